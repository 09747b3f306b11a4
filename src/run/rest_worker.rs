//! The cold thread behind the feed: fetches book snapshots over REST when the feed asks, and measures the venue's clock. It may
//! block on the network; nothing hot ever waits for it.

use std::time::Duration;

use crate::agent::clock::sleep;
use crate::agent::ring::{Consumer, Producer};
use crate::agent::{Agent, Clock, StopFlag};
use crate::event::ClockOffset;
use crate::feed::{RestAnswer, RestRequest};
use crate::net::Rest;
use crate::types::time::NS_PER_S;
use crate::types::{InstrumentId, InstrumentTable, Now};
use crate::venue::binance::rest;

/// How often the venue's clock is measured.
const CLOCK_EVERY_NS: i64 = 30 * NS_PER_S;
/// After a failed measurement.
const CLOCK_RETRY_NS: i64 = 2 * NS_PER_S;
/// A measurement with a longer round trip says too little and is taken again.
const ROUND_TRIP_MAX_NS: i64 = 2 * NS_PER_S;
/// Measurements of which the one with the shortest round trip counts.
const CLOCK_SAMPLES: usize = 3;
/// Levels a side of a snapshot: 1,000 cost a tenth of the weight of 5,000 and are deeper than any order of ours.
const SNAPSHOT_LEVELS: u32 = 1_000;
/// How long the thread sleeps when there is nothing to do.
const PAUSE: Duration = Duration::from_millis(2);
/// Slots of the ring to the feed: a snapshot is about 500 pieces.
pub const ANSWER_RING_SLOTS: usize = 2_048;
/// Slots of the ring from the feed.
pub const REQUEST_RING_SLOTS: usize = 64;

/// The worker: an agent that may block, on a thread of its own.
#[derive(Debug)]
pub struct RestWorker {
    /// The venue's REST end.
    pub rest: Rest,
    /// Symbols by index.
    pub table: InstrumentTable,
    /// What the feed asks.
    pub requests: Consumer<RestRequest>,
    /// What it gets.
    pub answers: Producer<RestAnswer>,
    /// For the measurement of the venue's clock.
    pub clock: Clock,
    /// Bars of history and the clock's first measurement, to be told first.
    pub first: Vec<RestAnswer>,
    /// Until this time, monotonic, the venue wants no requests (429, 418).
    pub quiet_until_ns: i64,
    /// When the venue's clock is measured next, monotonic.
    pub clock_due_ns: i64,
    /// Ends a wait for the feed.
    pub stop: StopFlag,
}

impl Agent for RestWorker {
    fn name(&self) -> &'static str {
        "rest"
    }

    /// One thing at a time; may block on the network.
    fn poll(&mut self, now: Now) -> usize {
        for answer in std::mem::take(&mut self.first) {
            self.answer(answer);
        }
        if now.mono_ns < self.quiet_until_ns {
            self.refuse_all();
            return 0;
        }
        if let Ok(RestRequest::Snapshot(instrument)) = self.requests.pop() {
            self.snapshot(instrument);
            return 1;
        }
        if now.mono_ns < self.clock_due_ns {
            return 0;
        }
        let measured = self.measure_clock();
        let pause_ns = if measured.is_some() { CLOCK_EVERY_NS } else { CLOCK_RETRY_NS };
        self.clock_due_ns = self.clock.now().mono_ns + pause_ns;
        if let Some(offset) = measured {
            self.answer(RestAnswer::ClockOffset(offset));
        }
        1
    }
}

impl RestWorker {
    /// While the venue wants no requests, the feed hears so and keeps its own pacing.
    fn refuse_all(&mut self) {
        while let Ok(RestRequest::Snapshot(instrument)) = self.requests.pop() {
            if self.answers.push(RestAnswer::SnapshotFailed(instrument)).is_err() {
                return;
            }
        }
    }

    fn snapshot(&mut self, instrument: InstrumentId) {
        let pieces = self.fetch_snapshot(instrument).unwrap_or_default();
        if pieces.is_empty() {
            self.answer(RestAnswer::SnapshotFailed(instrument));
        }
        for piece in pieces {
            self.answer(RestAnswer::Depth(piece));
        }
    }

    fn fetch_snapshot(&mut self, instrument: InstrumentId) -> Option<Vec<crate::event::Depth>> {
        let symbol = self.table.get(instrument)?.symbol;
        let body = self.get(&rest::depth_path(symbol, SNAPSHOT_LEVELS))?;
        rest::parse_depth(instrument, &body).ok()
    }

    /// One GET; a refusal that names a pause is kept.
    fn get(&mut self, path: &str) -> Option<Vec<u8>> {
        let answer = self.rest.get(path, &[]).ok()?;
        if matches!(answer.status, 429 | 418) {
            let pause_s = i64::from(answer.retry_after_s().unwrap_or(60));
            self.quiet_until_ns = self.clock.now().mono_ns + pause_s * NS_PER_S;
        }
        answer.is_success().then_some(answer.body)
    }

    fn measure_clock(&mut self) -> Option<ClockOffset> {
        (0..CLOCK_SAMPLES)
            .filter_map(|_| measure_clock(&self.rest, &self.clock))
            .min_by_key(|o| o.round_trip_ns)
    }

    /// Puts an answer on the ring; waits for room, since a snapshot with a hole is none.
    fn answer(&mut self, answer: RestAnswer) {
        while self.answers.push(answer).is_err() {
            if self.stop.is_stopped() || self.answers.is_abandoned() {
                return;
            }
            sleep(PAUSE);
        }
    }
}

/// One measurement of the venue's clock: its answer is taken to belong to the middle of the round trip. `None` when there is no
/// answer, or one that took too long to say anything.
pub fn measure_clock(rest: &Rest, clock: &Clock) -> Option<ClockOffset> {
    let before = clock.now();
    let answer = rest.get(rest::time_path(), &[("X-MBX-TIME-UNIT", "MICROSECOND")]).ok()?;
    let after = clock.now();
    let venue_ns = answer.is_success().then(|| rest::parse_time(&answer.body).ok())??;
    let round_trip_ns = after.mono_ns - before.mono_ns;
    (round_trip_ns <= ROUND_TRIP_MAX_NS)
        .then(|| ClockOffset { offset_ns: venue_ns - (before.ns + round_trip_ns / 2), round_trip_ns })
}
