//! The third agent of the line: takes facts and intents in order, judges, journals, hands on.

use std::sync::Arc;

use crate::agent::line_ring::{Reader, Writer};
use crate::agent::ring::Producer;
use crate::agent::{Agent, Clock};
use crate::event::{Action, Body, Fact, Intent, Item, Record, Sample, Slot, Stamps};
use crate::limits::LINE_BATCH_MAX;
use crate::shared::latency::Metric;
use crate::shared::{Counter, Counters};
use crate::types::{ClientOrderId, Now, Reason};

use super::checks::order_of;
use super::{KillSource, Output, Risk};

/// What the stage is wired to.
pub struct Ports<K> {
    /// From signal.
    pub input: Reader<Slot<Item>>,
    /// To the gateway.
    pub output: Writer<Output>,
    /// To the journal.
    pub journal: Producer<Record>,
    /// Latency samples, if anyone wants them.
    pub latency: Option<Producer<Sample>>,
    /// Where the halt state is read.
    pub kill: K,
    /// Trips the kill page: the journal ring was full.
    pub trip: Box<dyn FnMut(Reason) + Send>,
    /// Counts.
    pub counters: Arc<Counters>,
    /// For measuring.
    pub clock: Clock,
    /// Whether market data goes on to the gateway's ring, for a fill model behind it.
    pub forward_market: bool,
}

impl<K> core::fmt::Debug for Ports<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ports").field("forward_market", &self.forward_market).finish_non_exhaustive()
    }
}

/// The stage. The input stands apart, so that an item is handled where it lies.
pub struct Stage<K> {
    input: Reader<Slot<Item>>,
    judge: Judge<K>,
}

/// The stage without its input.
struct Judge<K> {
    risk: Risk,
    ports: Outlets<K>,
    /// Approved and handed on, not booked yet: the booking is no part of the order's way, so it waits until the gateway has had
    /// its turn. It comes before anything else that this stage does.
    unbooked: Option<Intent>,
}

/// What the stage writes to.
struct Outlets<K> {
    output: Writer<Output>,
    journal: Producer<Record>,
    latency: Option<Producer<Sample>>,
    kill: K,
    trip: Box<dyn FnMut(Reason) + Send>,
    counters: Arc<Counters>,
    clock: Clock,
    forward_market: bool,
    /// Free slots of the output ring when last looked at, less what was put in since: never too many.
    room: usize,
}

impl<K> core::fmt::Debug for Stage<K> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stage").field("risk", &self.judge.risk).finish_non_exhaustive()
    }
}

impl<K: KillSource> Stage<K> {
    /// A stage around what risk knows so far.
    pub fn new(risk: Risk, ports: Ports<K>) -> Self {
        let Ports { input, output, journal, latency, kill, trip, counters, clock, forward_market } = ports;
        let ports =
            Outlets { output, journal, latency, kill, trip, counters, clock, forward_market, room: 0 };
        Self { input, judge: Judge { risk, ports, unbooked: None } }
    }
    /// What risk knows, but for [`unbooked`](Self::unbooked).
    pub const fn risk(&self) -> &Risk {
        &self.judge.risk
    }
    /// The order that the last poll approved and the next one books, before it does anything else.
    pub fn unbooked(&self) -> Option<ClientOrderId> {
        self.judge.unbooked.map(|intent| intent.client)
    }
}

impl<K> Outlets<K> {
    #[inline]
    fn has_room(&mut self) -> bool {
        if self.room == 0 {
            self.room = self.output.slots();
        }
        self.room > 0
    }
}

impl<K: KillSource> Judge<K> {
    #[inline]
    fn book(&mut self) {
        if let Some(intent) = self.unbooked.take() {
            self.risk.book(&intent);
        }
    }

    #[inline]
    fn on_fact(&mut self, fact: &Fact) {
        self.risk.on_fact(fact);
        if matches!(fact.body, Body::Order(_) | Body::Reply(_)) {
            self.ports.counters.set(Counter::OrdersExecuted, self.risk.executed());
        }
        if self.risk.take_alarm().emergency {
            (self.ports.trip)(Reason::EmergencyStop);
        }
        let market = matches!(
            fact.body,
            Body::Quote(_) | Body::Trade(_) | Body::Depth(_) | Body::BookStatus(_) | Body::Bar(_)
        );
        if !market || self.ports.forward_market {
            self.hand_on(Output::Fact(*fact));
        }
    }

    fn on_intent(&mut self, intent: &Intent, stamps: Stamps, now: Now) {
        if matches!(intent.action, Action::Place(_)) {
            self.ports.counters.add(Counter::OrdersGenerated, 1);
        }
        let halt = self.ports.kill.view(intent.client, now);
        let journal = &mut self.ports.journal;
        let mut recorded = true;
        let verdict = self.risk.verdict(intent, halt, &mut |decision| {
            recorded = journal.push(Record::Decision(*decision)).is_ok();
            recorded
        });
        if !recorded {
            // No order leaves without its record, and an engine that can't keep records must not trade.
            (self.ports.trip)(Reason::JournalFailed);
        }
        match verdict {
            Ok(order) => {
                let risk_ticks = self.measure(stamps);
                self.ports.counters.add(Counter::RiskApproved, 1);
                if matches!(intent.action, Action::Place(_)) {
                    self.ports.counters.add(Counter::OrdersApproved, 1);
                    self.ports.counters.add(Counter::EntriesApproved, u64::from(!intent.reduce_only));
                }
                self.hand_on(Output::Approved { order, stamps, risk_ticks });
                self.unbooked = Some(*intent);
            }
            Err(reason) => {
                self.ports.counters.add(Counter::RiskRefused, 1);
                self.ports.counters.refuse(reason);
                if reason == Reason::FanOut {
                    // Orders multiply: whatever makes them must not have another try (C16).
                    (self.ports.trip)(reason);
                }
                if reason.is_turnover() {
                    self.ports.counters.add(Counter::TurnoverBlocked, 1);
                }
                self.hand_on(Output::Refused { order: order_of(intent), reason });
            }
        }
    }

    /// Ticks from the read to here; samples the part that was risk's.
    fn measure(&mut self, stamps: Stamps) -> u32 {
        if stamps.read == 0 {
            return 0;
        }
        let risk_ticks = stamps.since_read(self.ports.clock.ticks());
        if let Some(latency) = &mut self.ports.latency {
            let ticks = risk_ticks.saturating_sub(stamps.signal);
            if latency.push(Sample { metric: Metric::Risk as u16, ticks }).is_err() {
                self.ports.counters.add(Counter::LatencyDropped, 1);
            }
        }
        risk_ticks
    }

    fn hand_on(&mut self, output: Output) {
        self.ports.room -= 1;
        let handed = self.ports.output.push(output);
        debug_assert!(handed.is_ok(), "room was seen before the item was taken");
    }
}

impl<K: KillSource> Agent for Stage<K> {
    fn name(&self) -> &'static str {
        "risk"
    }

    /// Its reading of the lease is for the record and spares the gateway work; the gateway reads page and clock again, right
    /// before the write.
    fn needs_fresh_time(&self) -> bool {
        false
    }

    fn poll(&mut self, now: Now) -> usize {
        let Self { input, judge } = self;
        judge.book();
        let mut done = 0;
        // Each item gives at most one output: without room for it the item stays where it is. An approved order ends the poll.
        while done < LINE_BATCH_MAX && judge.unbooked.is_none() && judge.ports.has_room() {
            let taken = input.take(|slot| match &slot.item {
                Item::Fact(fact) => judge.on_fact(fact),
                Item::Intent(intent) => judge.on_intent(intent, slot.stamps, now),
            });
            if taken.is_none() {
                break;
            }
            done += 1;
        }
        done
    }
}
