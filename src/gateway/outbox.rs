//! What leaves the gateway towards the engine: facts-to-be on the return ring, records on the journal ring, samples.
//!
//! A body for the return ring is never lost and never waited for: when the ring is full it waits here, and the venue is not
//! read meanwhile. The gateway goes on taking from risk whatever happens; otherwise a full return ring would stop the
//! gateway, which would stop risk, signal and feed, which alone can empty the return ring.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::agent::ring::Producer;
use crate::event::{Body, GatewayNote, NoteKind, OrderTrace, Record, Reply, ReplyKind, Sample, Sent};
use crate::limits::RETURN_RING_SLOTS;
use crate::shared::latency::Metric;
use crate::shared::{Counter, Counters, HaltLevel, KillPage};
use crate::types::{ClientOrderId, InstrumentId, Now, Reason, VenueOrderId};

/// Facts that one read may become before the venue is asked to wait.
const READ_ROOM: usize = 64;

/// The gateway's rings towards the engine.
#[derive(Debug)]
pub struct Outbox {
    returns: Producer<Body>,
    waiting: VecDeque<Body>,
    journal: Producer<Record>,
    traces: Option<Producer<OrderTrace>>,
    samples: Option<Producer<Sample>>,
    page: Arc<KillPage>,
    counters: Arc<Counters>,
    /// Requests that left without a record, not yet noted.
    unjournaled: i64,
}

impl Outbox {
    /// Over the rings.
    pub fn new(
        (returns, journal): (Producer<Body>, Producer<Record>),
        (traces, samples): (Option<Producer<OrderTrace>>, Option<Producer<Sample>>),
        page: Arc<KillPage>,
        counters: Arc<Counters>,
    ) -> Self {
        let waiting = VecDeque::with_capacity(RETURN_RING_SLOTS);
        Self { returns, waiting, journal, traces, samples, page, counters, unjournaled: 0 }
    }

    /// Moves on what waits.
    pub fn begin(&mut self, now: Now) {
        while let Some(&body) = self.waiting.front() {
            if self.returns.push(body).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
        if self.unjournaled > 0 {
            let value = self.unjournaled;
            if self.note(NoteKind::Unjournaled, Reason::JournalFull, ClientOrderId::NONE, value, now) {
                self.unjournaled = 0;
            }
        }
    }

    /// Whether the venue may be read: what it says must find room.
    pub fn may_read(&self) -> bool {
        self.waiting.is_empty() && self.returns.slots() >= READ_ROOM
    }

    /// A fact-to-be. Order is kept.
    #[inline]
    pub fn body(&mut self, body: Body) {
        if !self.waiting.is_empty() || self.returns.push(body).is_err() {
            self.waiting.push_back(body);
        }
    }

    /// A reply that the gateway itself gives.
    pub fn reply(
        &mut self,
        kind: ReplyKind,
        cancel: bool,
        (client, instrument): (ClientOrderId, InstrumentId),
        reason: Reason,
    ) -> Reply {
        let (venue_code, venue_order, venue_ns) = (0, VenueOrderId(0), 0);
        let reply = Reply { kind, cancel, instrument, reason, venue_code, client, venue_order, venue_ns };
        self.body(Body::Reply(reply));
        reply
    }

    /// Counts an approved order that was not sent.
    pub fn withheld(&self, reason: Reason) {
        self.counters.add(Counter::GatewayWithheld, 1);
        self.counters.refuse(reason);
    }

    /// Counts a connection that is made.
    pub fn connecting(&self) {
        self.counters.add(Counter::GatewayReconnects, 1);
    }

    /// Counts an answer.
    pub fn reply_read(&self) {
        self.counters.add(Counter::GatewayReplies, 1);
    }

    /// Counts an outcome that became unknown.
    pub fn became_unknown(&self) {
        self.counters.add(Counter::GatewayUnknown, 1);
    }

    /// Counts a request that was written.
    #[inline]
    pub fn request_written(&self) {
        self.counters.add(Counter::GatewaySent, 1);
    }

    /// Trips the kill page.
    pub fn trip(&self, level: HaltLevel, reason: Reason, now: Now) {
        self.page.trip(level, reason, now.ns);
    }

    /// Whether a request's record will find room. `false` trips the page.
    #[inline]
    pub fn has_journal_room(&mut self, now: Now) -> bool {
        let room = self.journal.has_room();
        if !room {
            self.page.trip(HaltLevel::RiskOff, Reason::JournalFailed, now.ns);
        }
        room
    }

    /// Journals a request that was written: room was seen before, and nobody else writes here.
    #[inline]
    pub fn journal_sent(&mut self, sent: Sent) {
        let pushed = self.journal.push(Record::Sent(sent));
        debug_assert!(pushed.is_ok(), "room was seen before the write");
    }

    /// A cancel or query left without its record.
    pub fn sent_unjournaled(&mut self) {
        self.unjournaled += 1;
    }

    /// Notes something. `false`: the journal ring is full; notes are not waited for, the page trips on the next order.
    pub fn note(
        &mut self,
        kind: NoteKind,
        reason: Reason,
        client: ClientOrderId,
        value: i64,
        now: Now,
    ) -> bool {
        let note = GatewayNote { kind, reason, client, value, at_ns: now.ns };
        self.journal.push(Record::Note(note)).is_ok()
    }

    /// An order's way through the engine.
    #[inline]
    pub fn trace(&mut self, trace: OrderTrace) {
        if let Some(traces) = &mut self.traces
            && traces.push(trace).is_err()
        {
            self.counters.add_shared(Counter::LatencyDropped, 1);
        }
    }

    /// A measurement.
    #[inline]
    pub fn sample(&mut self, metric: Metric, ticks: u64) {
        if let Some(samples) = &mut self.samples {
            let ticks = u32::try_from(ticks).unwrap_or(u32::MAX);
            if samples.push(Sample { metric: metric as u16, ticks }).is_err() {
                self.counters.add_shared(Counter::LatencyDropped, 1);
            }
        }
    }
}
