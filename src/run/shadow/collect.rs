//! The collector: sees every record on the journal's thread, puts intents and verdicts together, follows what was approved,
//! and hands lines to the scribe. It decides nothing and blocks nobody: when the scribe is behind, lines are counted as lost.
//!
//! Everything in a line is in the journal too, so the lines can be made again from it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;

use crate::event::{Action, Body, Claim, Decision, Intent, OrderSpec, Quote, Record, Verdict};
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
    /// What its strategy said of it.
    pub claim: Claim,
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
            claim: intent.claim,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Fact;
    use crate::types::{Cash, Level, OrderType, Qty, Side, TimeInForce};

    fn collector() -> (Collector, Arc<ArrayQueue<Line>>, Arc<Tally>) {
        let assumptions = Assumptions {
            latency_ns: 0,
            maker_centi_bp: 0,
            taker_centi_bp: 0,
            horizons_ns: vec![NS_PER_S],
            followed_max: 1,
        };
        Collector::new(assumptions, 1)
    }

    fn intent(id: u64, at_ns: i64) -> Record {
        let spec = OrderSpec {
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Ioc,
            price: Price::from_units(200 * Price::ONE.units()),
            qty: Qty::ONE,
        };
        Record::Intent(Intent {
            client: ClientOrderId(id),
            cause_seq: 1,
            cause_ns: at_ns,
            strategy: StrategyId(0),
            owner: StrategyId(0),
            instrument: InstrumentId(0),
            reduce_only: false,
            action: Action::Place(spec),
            claim: Claim { confidence_bp: 6_000, ..Claim::NONE },
        })
    }

    fn decision(id: u64, reason: Reason) -> Record {
        let verdict = if reason == Reason::None { Verdict::Approved } else { Verdict::Refused };
        Record::Decision(Decision {
            client: ClientOrderId(id),
            cause_seq: 1,
            verdict,
            reason,
            halt_level: 0,
            lease_valid: true,
            instrument: InstrumentId(0),
            exposure: Cash::ZERO,
        })
    }

    fn quote(at_ns: i64) -> Record {
        let level = |price| Level { price: Price::from_units(price * Price::ONE.units()), qty: Qty::ONE };
        let quote = Quote {
            instrument: InstrumentId(0),
            conflated: false,
            update_id: 1,
            bid: level(99),
            ask: level(101),
        };
        Record::Fact(Fact { seq: 1, recv_ns: at_ns, body: Body::Quote(quote) })
    }

    fn decided(lines: &ArrayQueue<Line>) -> Decided {
        match lines.pop() {
            Some(Line::Decided(decided)) => decided,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn r_shd_1_intent_and_verdict_are_put_together_whichever_comes_first() {
        let (mut collector, lines, tally) = collector();
        collector.observe(1, &quote(1));
        collector.observe(2, &intent(1, 2));
        assert!(lines.is_empty(), "half is nothing");
        collector.observe(3, &decision(1, Reason::None));
        let first = decided(&lines);
        assert_eq!(
            (first.client, first.verdict, first.followed),
            (ClientOrderId(1), Verdict::Approved, true)
        );
        assert_eq!(first.claim.confidence_bp, 6_000);
        assert_eq!(first.ask, Price::from_units(101 * Price::ONE.units()), "with the market of then");
        collector.observe(4, &decision(2, Reason::None));
        collector.observe(5, &intent(2, 3));
        assert!(!decided(&lines).followed, "there is room for one");
        assert_eq!(Tally::read(&tally.unfollowed), 1);
        collector.observe(6, &quote(2 * NS_PER_S));
        assert!(matches!(lines.pop(), Some(Line::Outcome(o)) if o.client == ClientOrderId(1)));
        assert_eq!((Tally::read(&tally.decisions), Tally::read(&tally.approved)), (2, 2));
    }

    #[test]
    fn a_refusal_that_repeats_is_written_once_a_second_and_counted() {
        let (mut collector, lines, tally) = collector();
        let mut refuse = |id: u64, at_ns: i64, reason: Reason| {
            collector.observe(0, &intent(id, at_ns));
            collector.observe(0, &decision(id, reason));
        };
        for id in 1..=5 {
            refuse(id, 1 + i64::try_from(id).unwrap_or(0), Reason::Balance);
        }
        refuse(6, 10, Reason::OpenOrders);
        refuse(7, 2 * NS_PER_S, Reason::Balance);
        assert_eq!((decided(&lines).client, decided(&lines).client), (ClientOrderId(1), ClientOrderId(6)));
        let again = decided(&lines);
        assert_eq!((again.client, again.unwritten), (ClientOrderId(7), 4));
        assert_eq!(Tally::read(&tally.decisions), 7, "each counts");
    }

    #[test]
    fn what_finds_no_room_is_counted_as_lost() {
        let (mut collector, lines, tally) = collector();
        let more = u64::try_from(QUEUE).unwrap_or(0) + 3;
        for id in 1..=more {
            collector.observe(0, &intent(id, i64::try_from(id).unwrap_or(0) * 2 * NS_PER_S));
            collector.observe(0, &decision(id, Reason::Balance));
        }
        assert_eq!((lines.len(), Tally::read(&tally.lost)), (QUEUE, 3));
    }
}
