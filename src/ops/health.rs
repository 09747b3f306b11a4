//! Is the engine well enough to trade? The control thread asks before each renewal of the lease; a "no" lets the lease run out,
//! and some answers trip at once.
//!
//! A check that lacks the data to know answers "no": no snapshot yet, no heartbeat yet, no durable record yet are all reasons
//! not to renew.

use std::sync::Arc;

use crate::shared::{Counter, Counters, KillPage};
use crate::types::{Now, Reason};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Illness {
    /// Why, as a code.
    pub reason: Reason,
    /// Whether it trips at once; otherwise the lease is only not renewed.
    pub trips: bool,
    /// With its figures, for people.
    pub detail: String,
}

impl Illness {
    /// Something that trips.
    pub fn trips(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, trips: true, detail: detail.into() }
    }
    /// Something for which the lease is withheld.
    pub fn withholds(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, trips: false, detail: detail.into() }
    }
}

/// A further question about the engine's health, asked on the control thread before each renewal. Must not block.
pub trait Health: Send {
    /// What is wrong, if anything is.
    fn illness(&mut self, now: Now) -> Option<Illness>;
}

impl<F: FnMut(Now) -> Option<Illness> + Send> Health for F {
    fn illness(&mut self, now: Now) -> Option<Illness> {
        self(now)
    }
}

/// A thread that beats on the kill page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thread {
    /// Its slot.
    pub slot: usize,
    /// Its name.
    pub name: String,
}

/// Bounds of the vital signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// A thread that has not beaten for this long has stalled.
    pub stall_ns: i64,
    /// The journal may lag this long behind the disk without progress.
    pub journal_lag_ns: i64,
    /// Market data may be this old.
    pub market_age_ns: i64,
}

/// The vital signs that every engine has: threads, journal, market data.
#[derive(Debug)]
pub struct Vitals {
    bounds: Bounds,
    page: Arc<KillPage>,
    counters: Arc<Counters>,
    threads: Vec<Thread>,
    /// When watching began: a thread has until then plus the stall bound for its first beat.
    began_ns: Option<i64>,
    durable_seen: u64,
    /// Since when records wait without the watermark having moved.
    lagging_since_ns: Option<i64>,
}

impl Vitals {
    /// For the threads that beat on the page.
    pub fn new(bounds: Bounds, page: Arc<KillPage>, counters: Arc<Counters>, threads: Vec<Thread>) -> Self {
        Self { bounds, page, counters, threads, began_ns: None, durable_seen: 0, lagging_since_ns: None }
    }

    /// The threads watched.
    pub fn threads(&self) -> &[Thread] {
        &self.threads
    }

    /// How long ago a thread last beat; since watching began if it never did.
    pub fn thread_age_ns(&self, thread: &Thread, now: Now) -> i64 {
        let beat = self.page.last_heartbeat(thread.slot).max(self.began_ns.unwrap_or(now.mono_ns));
        now.mono_ns.saturating_sub(beat)
    }

    /// Forgets how long it has been watching: after the control thread itself stood still (a suspended machine, a stopped
    /// process), when all beats look old and nobody stalled.
    pub fn begin_anew(&mut self, now: Now) {
        self.began_ns = Some(now.mono_ns);
        self.lagging_since_ns = None;
    }

    /// What is wrong, if anything is. `market_recv_ns` is the time of the last fact about the market, if watching it is asked
    /// for.
    pub fn illness(&mut self, now: Now, market_recv_ns: Option<i64>) -> Option<Illness> {
        self.began_ns.get_or_insert(now.mono_ns);
        self.stalled(now).or_else(|| self.journal(now)).or_else(|| self.market(now, market_recv_ns))
    }

    fn stalled(&self, now: Now) -> Option<Illness> {
        let stalled = self.threads.iter().find(|t| self.thread_age_ns(t, now) > self.bounds.stall_ns)?;
        let age_ms = self.thread_age_ns(stalled, now) / 1_000_000;
        let bound_ms = self.bounds.stall_ns / 1_000_000;
        let detail = format!("thread {:?} has not moved for {age_ms} ms (bound {bound_ms} ms)", stalled.name);
        Some(Illness::trips(Reason::Stall, detail))
    }

    fn journal(&mut self, now: Now) -> Option<Illness> {
        if self.counters.get(Counter::JournalFailed) != 0 {
            return Some(Illness::trips(Reason::JournalFailed, "the journal can't be written"));
        }
        let written = self.counters.get(Counter::JournalRecords);
        let durable = self.counters.get(Counter::JournalDurable);
        if durable >= written || durable != self.durable_seen {
            self.durable_seen = durable;
            self.lagging_since_ns = None;
            return None;
        }
        let since = *self.lagging_since_ns.get_or_insert(now.mono_ns);
        let lag_ns = now.mono_ns.saturating_sub(since);
        (lag_ns > self.bounds.journal_lag_ns).then(|| {
            let lag_ms = lag_ns / 1_000_000;
            let detail =
                format!("the journal has not become durable for {lag_ms} ms ({durable} of {written})");
            Illness::withholds(Reason::JournalFailed, detail)
        })
    }

    fn market(&self, now: Now, market_recv_ns: Option<i64>) -> Option<Illness> {
        let age_ns = now.ns.saturating_sub(market_recv_ns?);
        (age_ns > self.bounds.market_age_ns).then(|| {
            let detail = format!("the last market data is {} ms old", age_ns / 1_000_000);
            Illness::withholds(Reason::MarketDataStale, detail)
        })
    }
}
