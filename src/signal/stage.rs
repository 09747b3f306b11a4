//! The second agent of the line: takes facts, passes each on, and puts the intents that it caused right behind it.

use std::sync::Arc;

use crate::agent::ring::{Consumer, Producer};
use crate::agent::{Agent, Clock};
use crate::event::{Action, Fact, Item, Record, Sample, Slot, Stamps};
use crate::limits::{INTENTS_PER_FACT_MAX, LINE_BATCH_MAX};
use crate::shared::latency::Metric;
use crate::shared::{Counter, Counters};
use crate::types::{Now, Reason};

use super::Signal;

/// What the stage is wired to.
pub struct Ports {
    /// From feed.
    pub input: Consumer<Slot<Fact>>,
    /// To risk.
    pub output: Producer<Slot<Item>>,
    /// To the journal.
    pub journal: Producer<Record>,
    /// Latency samples, if anyone wants them.
    pub latency: Option<Producer<Sample>>,
    /// Trips the kill page: the journal ring was full.
    pub trip: Box<dyn FnMut(Reason) + Send>,
    /// Counts.
    pub counters: Arc<Counters>,
    /// For measuring.
    pub clock: Clock,
}

impl core::fmt::Debug for Ports {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Ports").finish_non_exhaustive()
    }
}

/// The stage.
#[derive(Debug)]
pub struct Stage {
    signal: Signal,
    ports: Ports,
    /// Free slots of the output ring when last looked at, less what was put in since: never too many.
    room: usize,
}

/// A fact and the most that it can cause.
const ROOM_NEEDED: usize = 1 + INTENTS_PER_FACT_MAX;

impl Stage {
    /// A stage around what signal knows so far.
    pub const fn new(signal: Signal, ports: Ports) -> Self {
        Self { signal, ports, room: 0 }
    }
    /// What signal knows.
    pub const fn signal(&self) -> &Signal {
        &self.signal
    }

    fn has_room(&mut self) -> bool {
        if self.room < ROOM_NEEDED {
            self.room = self.ports.output.slots();
        }
        self.room >= ROOM_NEEDED
    }

    fn on_fact(&mut self, slot: &Slot<Fact>) {
        let Self { signal, ports, room } = self;
        let passed = ports.output.push(Slot { stamps: slot.stamps, item: Item::Fact(slot.item) });
        debug_assert!(passed.is_ok(), "room was seen before the fact was taken");
        *room -= 1;
        let bars_before = signal.bars_closed();
        signal.on_fact(&slot.item, &mut |intent| {
            let recorded = ports.journal.push(Record::Intent(*intent)).is_ok();
            if !recorded {
                // An engine that can't keep records must not trade.
                (ports.trip)(Reason::JournalFailed);
                // What only takes risk away goes on: losing a record is better than keeping an order.
                if !matches!(intent.action, Action::Cancel { .. } | Action::CancelAll) {
                    return false;
                }
            }
            let stamps = ports.stamped(slot.stamps);
            let raised = ports.output.push(Slot { stamps, item: Item::Intent(*intent) }).is_ok();
            debug_assert!(raised, "room was seen for the most that a fact can cause");
            *room -= usize::from(raised);
            ports.counters.add(Counter::SignalIntents, u64::from(raised));
            raised
        });
        if signal.bars_closed() != bars_before {
            ports.counters.add(Counter::SignalBars, signal.bars_closed() - bars_before);
        }
    }
}

impl Ports {
    /// The fact's stamps with the time of the intent, which is also sampled.
    fn stamped(&mut self, mut stamps: Stamps) -> Stamps {
        if stamps.read == 0 {
            return stamps;
        }
        stamps.signal = stamps.since_read(self.clock.ticks());
        if let Some(latency) = &mut self.latency {
            let ticks = stamps.signal.saturating_sub(stamps.decoded);
            if latency.push(Sample { metric: Metric::Signal as u16, ticks }).is_err() {
                self.counters.add(Counter::LatencyDropped, 1);
            }
        }
        stamps
    }
}

impl Agent for Stage {
    fn name(&self) -> &'static str {
        "signal"
    }

    fn poll(&mut self, _now: Now) -> usize {
        let mut done = 0;
        while done < LINE_BATCH_MAX && self.has_room() {
            let Ok(slot) = self.ports.input.pop() else { break };
            self.on_fact(&slot);
            done += 1;
        }
        done
    }
}
