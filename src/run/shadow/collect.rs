//! The collector: sees every record on the journal's thread, puts intents and verdicts together, follows what was approved,
//! and hands lines to the scribe. It decides nothing and blocks nobody: when the scribe is behind, lines are counted as lost.
//!
//! Everything in a line is in the journal too, so the lines can be made again from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::event::{Action, Body, Decision, Intent, OrderSpec, Quote, Record, Verdict};
use crate::journal::Observer;
use crate::types::time::NS_PER_S;
use crate::types::{ClientOrderId, InstrumentId, Price, Reason, StrategyId};

use super::follow::{Assumptions, Follower, Outcome};

/// Lines that may wait for the scribe.
const QUEUE: usize = 8_192;
/// Intents whose verdict, or verdicts whose intent, has not been seen yet. The two come from two rings, a moment apart.
const HALVES_MAX: usize = 4_096;
/// The same refusal (strategy, instrument, reason) is written at most this often.
const REFUSAL_EVERY_NS: i64 = NS_PER_S;

/// What the collector has counted; the scribe's heartbeat tells it.
#[derive(Debug, Default)]
pub struct Tally {
    /// Decisions about orders, approved or refused.
    pub decisions: AtomicU64,
    /// Of those, approved.
    pub approved: AtomicU64,
    /// Approved decisions that are not followed, because too many are.
    pub unfollowed: AtomicU64,
    /// Decisions that are being followed.
    pub followed: AtomicU64,
    /// Lines that could not be handed over or written.
    pub lost: AtomicU64,
}

impl Tally {
    /// Counts one.
    pub(super) fn one_more(which: &AtomicU64) {
        which.fetch_add(1, Ordering::Relaxed); // a count, orders nothing
    }
    /// Reads one.
    pub(super) fn read(which: &AtomicU64) -> u64 {
        which.load(Ordering::Relaxed) // a count, orders nothing
    }
}

/// A decision about an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided {
    /// The order that it is about.
    pub client: ClientOrderId,
    /// Whose.
    pub strategy: StrategyId,
    /// On what.
    pub instrument: InstrumentId,
    /// Time of the fact that caused it.
    pub at_ns: i64,
    /// An exit.
    pub reduce_only: bool,
    /// What was wanted.
    pub spec: OrderSpec,
    /// Risk's verdict.
    pub verdict: Verdict,
    /// Why, when refused.
    pub reason: Reason,
    /// Best bid as the record had it then; zero if there was none.
    pub bid: Price,
    /// Best ask.
    pub ask: Price,
    /// Refusals of the same kind since the last one that was written.
    pub unwritten: u64,
    /// Whether what would have come of it is followed.
    pub followed: bool,
}

/// What the scribe writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// A decision.
    Decided(Decided),
    /// What would have come of one.
    Outcome(Outcome),
}

#[derive(Clone, Copy, Debug, Default)]
struct Half {
    intent: Option<Intent>,
    decision: Option<Decision>,
}

/// Refusals of one kind: when one was written last, and how many were not since.
#[derive(Clone, Copy, Debug, Default)]
struct Refused {
    written_ns: i64,
    unwritten: u64,
}

/// The collector.
#[derive(Debug)]
pub struct Collector {
    halves: BTreeMap<ClientOrderId, Half>,
    quotes: Vec<Option<Quote>>,
    refused: BTreeMap<(StrategyId, InstrumentId, u16), Refused>,
    follower: Follower,
    lines: Arc<ArrayQueue<Line>>,
    tally: Arc<Tally>,
}

impl Collector {
    /// Over so many instruments. The queue and the counts go to the scribe.
    pub fn new(assumptions: Assumptions, instruments: usize) -> (Self, Arc<ArrayQueue<Line>>, Arc<Tally>) {
        let (lines, tally) = (Arc::new(ArrayQueue::new(QUEUE)), Arc::<Tally>::default());
        let collector = Self {
            halves: BTreeMap::new(),
            quotes: vec![None; instruments],
            refused: BTreeMap::new(),
            follower: Follower::new(assumptions, instruments),
            lines: Arc::clone(&lines),
            tally: Arc::clone(&tally),
        };
        (collector, lines, tally)
    }

    fn on_quote(&mut self, quote: &Quote, now_ns: i64) {
        if let Some(last) = self.quotes.get_mut(quote.instrument.index()) {
            *last = Some(*quote);
        }
        let (lines, tally) = (&self.lines, &self.tally);
        self.follower.on_quote(quote, now_ns, &mut |outcome| hand_over(lines, tally, Line::Outcome(outcome)));
    }

    fn put_together(&mut self, client: ClientOrderId, put: impl FnOnce(&mut Half)) {
        if self.halves.len() >= HALVES_MAX && !self.halves.contains_key(&client) {
            // A half that never found its other one: the engine was killed in between, or a cancel.
            self.halves.pop_first();
        }
        let half = self.halves.entry(client).or_default();
        put(half);
        let Half { intent: Some(intent), decision: Some(decision) } = *half else { return };
        self.halves.remove(&client);
        if let Action::Place(spec) | Action::Replace { spec, .. } = intent.action {
            self.decided(&intent, &spec, &decision);
        }
    }

    fn decided(&mut self, intent: &Intent, spec: &OrderSpec, decision: &Decision) {
        Tally::one_more(&self.tally.decisions);
        let at_ns = intent.cause_ns;
        let mut unwritten = 0;
        let mut followed = false;
        if decision.verdict == Verdict::Approved {
            Tally::one_more(&self.tally.approved);
            followed = self.follower.follow(intent.client, intent.instrument, spec, at_ns);
            if !followed {
                Tally::one_more(&self.tally.unfollowed);
            }
        } else {
            let kind = (intent.strategy, intent.instrument, decision.reason as u16);
            let refused = self.refused.entry(kind).or_default();
            let age_ns = at_ns.saturating_sub(refused.written_ns);
            if refused.written_ns != 0 && (0..REFUSAL_EVERY_NS).contains(&age_ns) {
                refused.unwritten += 1;
                return;
            }
            unwritten = core::mem::take(&mut refused.unwritten);
            refused.written_ns = at_ns;
        }
        let quote = self.quotes.get(intent.instrument.index()).copied().flatten();
        let line = Line::Decided(Decided {
            client: intent.client,
            strategy: intent.strategy,
            instrument: intent.instrument,
            at_ns,
            reduce_only: intent.reduce_only,
            spec: *spec,
            verdict: decision.verdict,
            reason: decision.reason,
            bid: quote.map_or(Price::ZERO, |q| q.bid.price),
            ask: quote.map_or(Price::ZERO, |q| q.ask.price),
            unwritten,
            followed,
        });
        hand_over(&self.lines, &self.tally, line);
    }
}

fn hand_over(lines: &ArrayQueue<Line>, tally: &Tally, line: Line) {
    if lines.push(line).is_err() {
        Tally::one_more(&tally.lost);
    }
}

impl Observer for Collector {
    fn observe(&mut self, _seq: u64, record: &Record) {
        match record {
            Record::Fact(fact) => match &fact.body {
                Body::Quote(quote) => self.on_quote(quote, fact.recv_ns),
                Body::Timer => {
                    let (lines, tally) = (&self.lines, &self.tally);
                    let hand = &mut |outcome| hand_over(lines, tally, Line::Outcome(outcome));
                    self.follower.on_time(fact.recv_ns, hand);
                    // A count, orders nothing.
                    self.tally.followed.store(self.follower.len() as u64, Ordering::Relaxed);
                }
                _ => {}
            },
            Record::Intent(intent) => self.put_together(intent.client, |half| half.intent = Some(*intent)),
            Record::Decision(decision) => {
                self.put_together(decision.client, |half| half.decision = Some(*decision));
            }
            Record::Sent(_) | Record::Note(_) => {}
        }
    }
}
