//! The second agent of the line: takes facts, passes each on, and puts the intents that it caused right behind it.

use std::sync::Arc;

use crate::agent::line_ring::{Reader, Writer};
use crate::agent::ring::Producer;
use crate::agent::{Agent, Clock};
use crate::event::{Action, Fact, Intent, Item, Record, Sample, Slot, Stamps};
use crate::limits::{INTENTS_PER_FACT_MAX, LINE_BATCH_MAX};
use crate::shared::latency::Metric;
use crate::shared::{Counter, Counters};
use crate::types::{Now, Reason};

use super::Signal;

/// What the stage is wired to.
pub struct Ports {
    /// From feed.
    pub input: Reader<Slot<Fact>>,
    /// To risk.
    pub output: Writer<Slot<Item>>,
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

/// What the stage writes to: the ports without the input, so that a fact is handled where it lies.
struct Outlets {
    output: Writer<Slot<Item>>,
    journal: Producer<Record>,
    latency: Option<Producer<Sample>>,
    trip: Box<dyn FnMut(Reason) + Send>,
    counters: Arc<Counters>,
    clock: Clock,
    /// Free slots of the output ring when last looked at, less what was put in since: never too many.
    room: usize,
}

/// The stage.
pub struct Stage {
    signal: Signal,
    input: Reader<Slot<Fact>>,
    out: Outlets,
    /// A fact that caused an intent: the intent goes on first, the rest of the fact has its turn in the next poll.
    unfinished: Option<Slot<Fact>>,
}

impl core::fmt::Debug for Stage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Stage").field("signal", &self.signal).finish_non_exhaustive()
    }
}

/// A fact and the most that it can cause.
const ROOM_NEEDED: usize = 1 + INTENTS_PER_FACT_MAX;

impl Stage {
    /// A stage around what signal knows so far.
    pub fn new(signal: Signal, ports: Ports) -> Self {
        let Ports { input, output, journal, latency, trip, counters, clock } = ports;
        let out = Outlets { output, journal, latency, trip, counters, clock, room: 0 };
        Self { signal, input, out, unfinished: None }
    }
    /// What signal knows.
    pub const fn signal(&self) -> &Signal {
        &self.signal
    }
}

impl Outlets {
    #[inline]
    fn has_room(&mut self) -> bool {
        if self.room < ROOM_NEEDED {
            self.room = self.output.slots();
        }
        self.room >= ROOM_NEEDED
    }

    /// Whether the fact caused an intent, and so is not finished yet.
    #[inline]
    fn on_fact(&mut self, signal: &mut Signal, slot: &Slot<Fact>) -> bool {
        let passed = self.output.push(Slot { stamps: slot.stamps, item: Item::Fact(slot.item) });
        debug_assert!(passed.is_ok(), "room was seen before the fact was taken");
        self.room -= 1;
        let bars_before = signal.bars_closed();
        let raised_before = signal.intents_raised();
        signal.begin(&slot.item, &mut |intent| self.raise(intent, slot.stamps));
        let has_raised = signal.intents_raised() != raised_before;
        if !has_raised {
            self.finish(signal, slot);
        }
        if signal.bars_closed() != bars_before {
            self.counters.add(Counter::SignalBars, signal.bars_closed() - bars_before);
        }
        has_raised
    }

    /// The rest of a fact. Room for all that one can cause was seen before it was taken.
    #[inline]
    fn finish(&mut self, signal: &mut Signal, slot: &Slot<Fact>) {
        signal.finish(&slot.item, &mut |intent| self.raise(intent, slot.stamps));
    }

    /// Whether the intent was taken.
    fn raise(&mut self, intent: &Intent, stamps: Stamps) -> bool {
        let recorded = self.journal.push(Record::Intent(*intent)).is_ok();
        if !recorded {
            // An engine that can't keep records must not trade.
            (self.trip)(Reason::JournalFailed);
            // What only takes risk away goes on: losing a record is better than keeping an order.
            if !matches!(intent.action, Action::Cancel { .. } | Action::CancelAll) {
                return false;
            }
        }
        let stamps = self.stamped(stamps);
        let raised = self.output.push(Slot { stamps, item: Item::Intent(*intent) }).is_ok();
        debug_assert!(raised, "room was seen for the most that a fact can cause");
        self.room -= usize::from(raised);
        self.counters.add(Counter::SignalIntents, u64::from(raised));
        raised
    }

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

    fn needs_fresh_time(&self) -> bool {
        false // signal knows only the time that facts carry
    }

    fn poll(&mut self, _now: Now) -> usize {
        let Self { signal, input, out, unfinished } = self;
        let mut done = 0;
        if let Some(slot) = unfinished.take() {
            out.finish(signal, &slot);
            done += 1;
        }
        while done < LINE_BATCH_MAX && unfinished.is_none() && out.has_room() {
            let taken = input.take(|slot| {
                if out.on_fact(signal, slot) {
                    *unfinished = Some(*slot);
                }
            });
            if taken.is_none() {
                break;
            }
            done += 1;
        }
        done
    }
}
