//! The figures of the feed, and what it says to the REST worker.

use crate::event::{Bar, ClockOffset, Depth};
use crate::limits::LINE_RING_RESERVE;
use crate::types::InstrumentId;
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::wire::retry::RetryConfig;

/// The feed's figures; `run` makes them from the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FeedConfig {
    /// Time between timer facts.
    pub timer_ns: i64,
    /// A market connection without any data for this long is dead, however alive its socket is (F24).
    pub stale_after_ns: i64,
    /// The same for each expected stream of each instrument: longer, because a single quiet instrument is no fault. A stream
    /// that never speaks (a subscription that went wrong) uses up the attempts in a row.
    pub stream_stale_after_ns: i64,
    /// A private connection without a single frame (the venue pings every 20 s) for this long is dead.
    pub quiet_after_ns: i64,
    /// Opening, handshake and subscription together may take this long.
    pub open_timeout_ns: i64,
    /// A connection is renewed after this long; the venue ends it at 24 hours.
    pub renew_after_ns: i64,
    /// Line slots that market data leaves free for private facts (R-HOT-8).
    pub line_reserve: usize,
    /// Polls between two reads of the account link: a read is a system call, and market data is what races.
    pub account_read_every: u32,
    /// Which market streams are subscribed and must therefore flow.
    pub streams: ExpectedStreams,
    /// Reconnects.
    pub retry: RetryConfig,
}

impl Default for FeedConfig {
    fn default() -> Self {
        Self {
            timer_ns: 100 * NS_PER_MS,
            stale_after_ns: 5 * NS_PER_S,
            stream_stale_after_ns: 30 * NS_PER_S,
            quiet_after_ns: 65 * NS_PER_S,
            open_timeout_ns: 10 * NS_PER_S,
            renew_after_ns: (24 * 3_600 - 1_800) * NS_PER_S,
            line_reserve: LINE_RING_RESERVE,
            account_read_every: 4,
            streams: ExpectedStreams { quotes: true, depth: true },
            retry: RetryConfig::default(),
        }
    }
}

/// Streams whose silence means something. Trades are not among them: nobody need trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpectedStreams {
    /// Best bid and ask.
    pub quotes: bool,
    /// Book changes.
    pub depth: bool,
}

/// What the feed asks of the REST worker, a cold thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestRequest {
    /// A book snapshot. The answer is its pieces in order, or [`RestAnswer::SnapshotFailed`].
    Snapshot(InstrumentId),
}

/// What the REST worker tells the feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RestAnswer {
    /// A piece of a snapshot (`snapshot` is set, `first` and `last` frame it).
    Depth(Depth),
    /// The snapshot could not be had; the feed asks again when its pacing allows.
    SnapshotFailed(InstrumentId),
    /// The venue's clock against ours.
    ClockOffset(ClockOffset),
    /// A bar of history, at start.
    Bar(Bar),
}
