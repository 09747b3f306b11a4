//! Counters: one table, one writer each. A hot thread adds with a load and a store, never with a locked instruction.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::Reason;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident => $text:literal, $help:literal;)*) => {
        /// Every counter of the engine. Each is written by exactly one thread.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(usize)]
        pub enum Counter { $($(#[$doc])* $name,)* }
        impl Counter {
            /// The table, in order.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Stable name, as metrics and `status` show it.
            pub const fn name(self) -> &'static str { match self { $(Self::$name => $text,)* } }
            /// What it counts.
            pub const fn help(self) -> &'static str { match self { $(Self::$name => $help,)* } }
        }
    };
}

counters! {
    /// Feed: WebSocket messages read.
    FeedMessages => "feed_messages_total", "market and account messages read";
    /// Feed: bytes read.
    FeedBytes => "feed_bytes_total", "bytes read from market and account connections";
    /// Feed: facts put on the line.
    FeedFacts => "feed_facts_total", "facts put on the line";
    /// Feed: messages that could not be read.
    FeedMalformed => "feed_malformed_total", "messages that could not be read";
    /// Feed: messages that the scanner left to the general parser.
    FeedFallback => "feed_fallback_total", "messages left to the general JSON parser";
    /// Feed: quotes and trades left out because the line was full.
    FeedConflated => "feed_conflated_total", "quotes and trades left out because the line was full";
    /// Feed: sequence gaps.
    FeedGaps => "feed_gaps_total", "gaps in book updates";
    /// Feed: snapshots applied.
    FeedSnapshots => "feed_snapshots_total", "book snapshots applied";
    /// Feed: connections made anew.
    FeedReconnects => "feed_reconnects_total", "market and account connections made anew";
    /// Feed: depth updates applied to a synchronised book.
    FeedDepthUpdates => "feed_depth_updates_total", "book updates applied in sequence";
    /// Signal: intents raised.
    SignalIntents => "signal_intents_total", "intents raised by strategies";
    /// Signal: bars closed.
    SignalBars => "signal_bars_total", "bars built from trades";
    /// Risk: orders approved.
    RiskApproved => "risk_approved_total", "orders and cancels approved";
    /// Risk: orders refused.
    RiskRefused => "risk_refused_total", "orders refused";
    /// Risk: new orders that were asked for (R-LIM-11).
    OrdersGenerated => "orders_generated_total", "new orders asked for by strategies and operators";
    /// Risk: new orders approved.
    OrdersApproved => "orders_approved_total", "new orders approved";
    /// Risk: orders executed; against [`Counter::OrdersGenerated`] it is the execution rate.
    OrdersExecuted => "orders_executed_total", "orders executed, at least in part";
    /// Risk: new entries approved.
    EntriesApproved => "entries_approved_total", "new entries approved";
    /// Risk: entries that the turnover governor held back; against those and [`Counter::EntriesApproved`] it is the block rate.
    TurnoverBlocked => "turnover_blocked_total", "entries that the turnover governor held back";
    /// Gateway: requests written.
    GatewaySent => "gateway_sent_total", "requests written to the order session";
    /// Gateway: approved orders that were not sent.
    GatewayWithheld => "gateway_withheld_total", "approved orders that were not sent";
    /// Gateway: replies read.
    GatewayReplies => "gateway_replies_total", "replies read from the order session";
    /// Gateway: outcomes that became unknown.
    GatewayUnknown => "gateway_unknown_total", "requests whose outcome became unknown";
    /// Gateway: order sessions made anew.
    GatewayReconnects => "gateway_reconnects_total", "order sessions made anew";
    /// Journal: number of the last record framed, durable or not; against [`Counter::JournalDurable`] it is the backlog.
    JournalRecords => "journal_records_total", "number of the last record given to the journal";
    /// Journal: bytes written.
    JournalBytes => "journal_bytes_total", "bytes written to the journal";
    /// Journal: number of the last durable record.
    JournalDurable => "journal_durable_seq", "number of the last durable record";
    /// Journal: 1 once it failed.
    JournalFailed => "journal_failed", "1 once the journal can't be written";
    /// Journal: group commits.
    JournalCommits => "journal_commits_total", "group commits, each one fdatasync";
    /// Journal: longest lag so far.
    JournalLagMaxUs => "journal_lag_max_us", "longest time from taking a record to its being durable, microseconds";
    /// Journal: times a stage found its ring full.
    JournalRingFull => "journal_ring_full_total", "times that a stage found its journal ring full";
    /// Journal: records drained and thrown away after it failed.
    JournalDiscarded => "journal_discarded_total", "records thrown away after the journal failed";
    /// Latency samples lost to a full ring.
    LatencyDropped => "latency_samples_dropped_total", "latency samples lost to a full ring";
}

const REASONS: usize = 256;

/// The counters of one session.
#[derive(Debug)]
pub struct Counters {
    values: Box<[Padded]>,
    refusals: Box<[AtomicU64]>,
}

/// On a cache line of its own, so that two writers never share one.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Padded(AtomicU64);

impl Default for Counters {
    fn default() -> Self {
        Self {
            values: Counter::ALL.iter().map(|_| Padded::default()).collect(),
            refusals: (0..REASONS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Counters {
    /// Adds; only the counter's one writer may.
    #[inline]
    pub fn add(&self, counter: Counter, n: u64) {
        let cell = &self.values[counter as usize].0;
        // One writer: a plain load and store lose nothing. Relaxed: a counter orders nothing.
        cell.store(cell.load(Ordering::Relaxed).wrapping_add(n), Ordering::Relaxed);
    }
    /// Adds where several threads write the same counter (lost latency samples): a locked add, off the path that counts.
    pub fn add_shared(&self, counter: Counter, n: u64) {
        self.values[counter as usize].0.fetch_add(n, Ordering::Relaxed); // a counter orders nothing
    }
    /// Sets; only the counter's one writer may.
    #[inline]
    pub fn set(&self, counter: Counter, value: u64) {
        // Release: whoever reads the journal's durable number also sees what the writer did before publishing it.
        self.values[counter as usize].0.store(value, Ordering::Release);
    }
    /// Reads.
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize].0.load(Ordering::Acquire) // pairs with `set`
    }
    /// Counts a refusal by reason. Written by risk and by the gateway, so this one is a locked add; refusals are not the
    /// path whose nanoseconds count.
    pub fn refuse(&self, reason: Reason) {
        self.refusals[reason as usize % REASONS].fetch_add(1, Ordering::Relaxed);
    }
    /// Refusals so far for a reason.
    pub fn refusals(&self, reason: Reason) -> u64 {
        self.refusals[reason as usize % REASONS].load(Ordering::Relaxed)
    }
}

const _: () = {
    let mut at = 0;
    while at < Reason::ALL.len() {
        assert!((Reason::ALL[at] as usize) < REASONS, "each reason has a counter of its own");
        at += 1;
    }
};
