//! The stages' rings, read in causal order: every record behind what caused it, and before what it caused.
//!
//! An effect is pushed into its ring before it goes on down the line, so when a fact can be taken, everything that went
//! before it can be taken too. Before each fact the other rings are looked at, and what is there and older than the fact comes
//! first: an intent stands behind its fact, a decision behind its intent, a request behind its decision, and all of them before
//! the venue's answer, however far the writer lags behind. (Facts that feed numbered while signal was still at an earlier one may
//! stand between that one and its intent: the line is a pipeline.) Folds of the journal rely on it: an order that is
//! acknowledged before it was wanted would be taken for someone else's.
//!
//! Effects are counted before their causes are read (the gateway's, risk's, signal's, then feed's), so that nothing is taken
//! whose cause is not there yet. What was counted at the start of a lap has been taken by its end, whatever its numbers say:
//! nothing can stay behind.

use crate::agent::ring::Consumer;
use crate::event::{Fact, Record};

/// The reading ends of the four stages' rings.
#[derive(Debug)]
pub struct Rings {
    /// Facts.
    pub feed: Consumer<Record>,
    /// Intents.
    pub signal: Consumer<Record>,
    /// Decisions.
    pub risk: Consumer<Record>,
    /// Requests and notes.
    pub gateway: Consumer<Record>,
}

/// One lap over the rings: what was there when it began.
#[derive(Debug)]
pub(super) struct Lap {
    feed: usize,
    signal: usize,
    risk: usize,
    gateway: usize,
    /// Decisions and the gateway's records that were there before the next fact was looked at.
    looked: Option<(usize, usize)>,
}

impl Lap {
    /// How many records the fullest ring holds.
    pub(super) fn fullest(&self) -> usize {
        self.feed.max(self.signal).max(self.risk).max(self.gateway)
    }
}

impl Rings {
    /// Begins a lap.
    pub(super) fn lap(&self) -> Lap {
        // Effects first, causes last; see the module's head.
        let gateway = self.gateway.slots();
        let risk = self.risk.slots();
        let signal = self.signal.slots();
        Lap { feed: self.feed.slots(), signal, risk, gateway, looked: None }
    }

    /// The lap's next record.
    #[inline]
    pub(super) fn next(&mut self, lap: &mut Lap) -> Option<Record> {
        if lap.feed == 0 {
            return self.next_counted(lap);
        }
        if let Ok(Record::Fact(fact)) = self.feed.peek() {
            let (risk, gateway) = lap.looked.get_or_insert_with(|| {
                let gateway = self.gateway.slots();
                (self.risk.slots(), gateway)
            });
            // Whatever is here is younger than the two counts: of a decision that was counted, the intent is here.
            if older(&self.signal, fact) {
                lap.signal = lap.signal.saturating_sub(1);
                return self.signal.pop().ok();
            }
            if *risk > 0 && older(&self.risk, fact) {
                *risk -= 1;
                lap.risk = lap.risk.saturating_sub(1);
                return self.risk.pop().ok();
            }
            if *gateway > 0 && older(&self.gateway, fact) {
                *gateway -= 1;
                lap.gateway = lap.gateway.saturating_sub(1);
                return self.gateway.pop().ok();
            }
        }
        lap.looked = None;
        lap.feed -= 1;
        self.feed.pop().ok()
    }

    /// What was counted and is not older than any fact of the lap.
    fn next_counted(&mut self, lap: &mut Lap) -> Option<Record> {
        let (ring, left) = if lap.signal > 0 {
            (&mut self.signal, &mut lap.signal)
        } else if lap.risk > 0 {
            (&mut self.risk, &mut lap.risk)
        } else if lap.gateway > 0 {
            (&mut self.gateway, &mut lap.gateway)
        } else {
            return None;
        };
        *left -= 1;
        ring.pop().ok()
    }
}

/// Whether a ring's next record was there before a fact: its cause stands before the fact, or its time does.
#[inline]
fn older(ring: &Consumer<Record>, fact: &Fact) -> bool {
    match ring.peek() {
        Ok(Record::Intent(intent)) => intent.cause_seq < fact.seq,
        Ok(Record::Decision(decision)) => decision.cause_seq < fact.seq,
        Ok(Record::Sent(sent)) => sent.at_ns <= fact.recv_ns,
        Ok(Record::Note(note)) => note.at_ns <= fact.recv_ns,
        Ok(Record::Fact(_)) | Err(_) => false,
    }
}
