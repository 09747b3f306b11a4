//! Exits that the engine manages (R-ORD-2; F8, F18 of the fault catalogue): from the fold of the fills, reduce-only, until
//! nothing is left, and after a restart as before it.

use interlock::event::{
    Action, Body, CarriedPosition, Carry, Claim, CommandKind, Fact, Intent, OrderSpec, ReplyKind, StopLevel,
};
use interlock::signal::{ExitLevels, Signal};
use interlock::types::{Cash, OrderState, Position, Price, Qty, Side, StrategyId, TimeInForce, TradeId};

use super::scripted::{caused, one};
use crate::market::{BTC, Facts, MS, Placed, price, qty, spec};

/// Buys once at 100, claiming a stop at 97, and then keeps an order waiting far below.
fn buyer() -> Signal {
    let (signal, _) = one(|context| {
        if context.position.qty.is_zero() && context.is_idle() {
            context.enter(spec(Side::Buy, "100", "1"), Claim { stop: price("97"), ..Claim::NONE });
        } else if context.is_idle() {
            context.enter(spec(Side::Buy, "90", "0.1"), Claim::NONE);
        }
    });
    signal
}

struct Session {
    signal: Signal,
    facts: Facts,
    trades: u64,
}

impl Session {
    fn new(signal: Signal) -> Self {
        Self { signal, facts: Facts::new(), trades: 0 }
    }
    fn put(&mut self, fact: &Fact) -> Vec<Intent> {
        caused(&mut self.signal, fact)
    }
    fn quote(&mut self, bid: &str, ask: &str) -> Vec<Intent> {
        self.facts.now_ns += 300 * MS;
        let fact = self.facts.quote_at(BTC, bid, ask);
        self.put(&fact)
    }
    /// The venue takes an order, and fills so much of it.
    fn fill(&mut self, intent: &Intent, amount: &str, filled: &str) -> Vec<Intent> {
        let order = placed(intent);
        self.trades += 1;
        let mut raised = Vec::new();
        for fact in [
            self.facts.reply(ReplyKind::Sent, order.client, false),
            self.facts.fill(&order, order.spec.price, self.trades, qty(amount), qty(filled)),
        ] {
            raised.extend(self.put(&fact));
        }
        raised
    }
    fn end(&mut self, intent: &Intent, state: OrderState, filled: &str) -> Vec<Intent> {
        let fact = self.facts.order(&placed(intent), state, qty(filled), false);
        self.put(&fact)
    }
}

fn placed(intent: &Intent) -> Placed {
    let Action::Place(spec) = intent.action else { panic!("{intent:?}") };
    Placed { client: intent.client, instrument: BTC, spec }
}

fn exit_of(raised: &[Intent]) -> (Intent, OrderSpec) {
    let [intent] = raised else { panic!("{raised:?}") };
    let Action::Place(spec) = intent.action else { panic!("{intent:?}") };
    assert!(
        intent.reduce_only && spec.side == Side::Sell && spec.time_in_force == TimeInForce::Ioc,
        "{intent:?}"
    );
    (*intent, spec)
}

/// F8, F18: the claimed stop is reached. The strategy's own order goes first; what is left after a part was filled is
/// tried again, as large as what is held; the strategy is heard again when nothing is left.
#[test]
fn f18_a_stop_cancels_what_works_and_sells_until_nothing_is_left() {
    let mut session = Session::new(buyer());
    let entry = session.quote("99.9", "100")[0];
    session.fill(&entry, "1", "1");
    let waiting = session.quote("99.9", "100")[0];
    let sent = session.facts.reply(ReplyKind::Sent, waiting.client, false);
    session.put(&sent);
    assert!(session.quote("97.01", "97.2").is_empty(), "not reached yet");
    let raised = session.quote("97", "97.2");
    assert!(
        matches!(raised[..], [Intent { action: Action::Cancel { target }, .. }] if target == waiting.client),
        "{raised:?}"
    );
    // Its end is the signal to go on.
    let (first, spec) = exit_of(&{
        let mut raised = session.end(&waiting, OrderState::Cancelled, "0");
        raised.extend(session.quote("96", "96.2"));
        raised
    });
    assert_eq!(spec.qty, qty("1"));
    assert_eq!(spec.price, price("95.52"), "half a percent below the bid");
    let mut raised = session.fill(&first, "0.4", "0.4");
    raised.extend(session.end(&first, OrderState::Expired, "0.4"));
    raised.extend(session.quote("95", "95.2"));
    let (second, spec) = exit_of(&raised);
    assert_eq!(spec.qty, qty("0.6"), "what is held, not what was ordered");
    let raised = session.fill(&second, "0.6", "0.6");
    assert!(raised.is_empty(), "{raised:?}");
    let raised = session.quote("95", "95.2");
    assert!(
        matches!(raised[..], [Intent { reduce_only: false, .. }]),
        "the strategy is heard again: {raised:?}"
    );
}

/// R-ORD-4: position and claimed stop come back as facts, and the first quote below it begins the way out.
#[test]
fn a_stop_outlives_the_session() {
    let mut position = Position::default();
    position.fill(Side::Buy, price("100"), qty("1")).unwrap();
    let carried = CarriedPosition {
        instrument: BTC,
        strategy: StrategyId(0),
        position: position.into(),
        last_trade: TradeId(1),
        mark: Price::ZERO,
        opened: Cash::ZERO,
    };
    for (stop, levels, bid, leaves) in [
        (price("97"), ExitLevels::default(), "96.9", true),
        (price("97"), ExitLevels::default(), "97.1", false),
        (Price::ZERO, ExitLevels::default(), "50", false),
        (Price::ZERO, ExitLevels { stop_loss_bp: 200, ..ExitLevels::default() }, "98", true),
        (Price::ZERO, ExitLevels { stop_loss_bp: 200, ..ExitLevels::default() }, "98.01", false),
        (Price::ZERO, ExitLevels { take_profit_bp: 300, ..ExitLevels::default() }, "103", true),
        (Price::ZERO, ExitLevels { take_profit_bp: 300, ..ExitLevels::default() }, "102.99", false),
    ] {
        let (signal, _) = one(|_| ());
        let mut session = Session::new(signal);
        session.signal.manage_exits(StrategyId(0), levels);
        let stop = StopLevel { instrument: BTC, strategy: StrategyId(0), stop };
        for body in [Body::Carry(Carry::Own(carried)), Body::Stop(stop)] {
            let fact = session.facts.body(body);
            assert!(session.put(&fact).is_empty());
        }
        let raised = session.quote(bid, "200");
        assert_eq!(!raised.is_empty(), leaves, "{stop:?} {levels:?} {bid}: {raised:?}");
        if leaves {
            assert_eq!(exit_of(&raised).1.qty, qty("1"));
        }
    }
}

#[test]
fn a_trailing_stop_follows_the_best_bid_up_and_never_down() {
    let mut session = Session::new(buyer());
    session.signal.manage_exits(StrategyId(0), ExitLevels { trailing_bp: 100, ..ExitLevels::default() });
    let entry = session.quote("99.9", "100")[0];
    session.fill(&entry, "1", "1");
    let waiting = session.quote("120", "121")[0];
    session.end(&waiting, OrderState::Cancelled, "0");
    let is_exit = |raised: &[Intent]| raised.iter().any(|i| i.reduce_only);
    assert!(!is_exit(&session.quote("118.9", "119")));
    let raised = session.quote("118.8", "119");
    assert!(raised.iter().all(|i| i.reduce_only || matches!(i.action, Action::Cancel { .. })), "{raised:?}");
    assert!(!raised.is_empty(), "one percent below 120");
}

/// The operator's flatten goes before, and a stopping engine raises nothing.
#[test]
fn a_stopping_engine_raises_no_exit() {
    let mut session = Session::new(buyer());
    let entry = session.quote("99.9", "100")[0];
    session.fill(&entry, "1", "1");
    let stop = session.facts.command(CommandKind::Stop);
    session.put(&stop);
    assert!(session.quote("90", "91").is_empty());
    assert_eq!(session.signal.position(BTC).qty, Qty::ONE);
}

/// Who wants out in [`refused`].
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    Managed,
    Strategys,
    Operators,
}

/// The times at which exits are asked for within a minute, all of them refused by the venue or held back on our own side.
fn refused(way: Way, kind: ReplyKind) -> (Session, Vec<i64>) {
    let (signal, _) = one(|context| {
        if context.position.qty.is_zero() && context.is_idle() {
            context.enter(spec(Side::Buy, "100", "1"), Claim::NONE);
        } else if context.quote.is_some_and(|q| q.bid.price < price("90")) && context.is_idle() {
            context.exit(spec(Side::Sell, "80", "1"));
        }
    });
    let mut session = Session::new(signal);
    if way == Way::Managed {
        let levels = ExitLevels { stop_loss_bp: 500, ..ExitLevels::default() };
        session.signal.manage_exits(StrategyId(0), levels);
    }
    let entry = session.quote("99.9", "100")[0];
    session.fill(&entry, "1", "1");
    let mut raised = Vec::new();
    if way == Way::Operators {
        let flatten = session.facts.command(CommandKind::Flatten);
        raised = session.put(&flatten);
    }
    let (bid, ask) = if way == Way::Strategys { ("89", "89.1") } else { ("94", "94.1") };
    let mut times = Vec::new();
    for _ in 0..6_000 {
        session.facts.now_ns += 10 * MS;
        let quote = session.facts.quote_at(BTC, bid, ask);
        raised.extend(session.put(&quote));
        for intent in core::mem::take(&mut raised) {
            assert!(intent.reduce_only, "{way:?}: {intent:?}");
            times.push(session.facts.now_ns);
            if kind == ReplyKind::Rejected {
                let sent = session.facts.reply(ReplyKind::Sent, intent.client, false);
                raised.extend(session.put(&sent));
            }
            let refusal = session.facts.reply(kind, intent.client, false);
            raised.extend(session.put(&refusal));
        }
    }
    (session, times)
}

/// R-ORD-2: an exit that the venue refuses is asked for again after a wait that doubles up to five seconds, and never given up,
/// whoever wants it. What did not leave us waits no longer than ever.
#[test]
fn an_exit_that_the_venue_refuses_is_tried_again_ever_later_and_never_given_up() {
    for way in [Way::Managed, Way::Strategys, Way::Operators] {
        let (mut session, times) = refused(way, ReplyKind::Rejected);
        let waits: Vec<i64> = times.windows(2).map(|pair| (pair[1] - pair[0]) / MS).collect();
        assert!((14..=20).contains(&times.len()), "{way:?}: {waits:?}");
        assert!(waits.windows(2).all(|pair| pair[0] <= pair[1] + 10), "{way:?}: {waits:?}");
        assert!(waits.iter().all(|wait| (90..=5_500).contains(wait)), "{way:?}: {waits:?}");
        assert!(waits.iter().rev().take(8).all(|wait| *wait >= 4_990), "{way:?}: {waits:?}");
        // The venue takes one, and leaves a part of it: the rest is not held back any more.
        let intent = loop {
            session.facts.now_ns += 10 * MS;
            let quote = session.facts.quote_at(BTC, "89", "89.1");
            if let Some(intent) = session.put(&quote).first() {
                break *intent;
            }
        };
        let mut raised = session.fill(&intent, "0.5", "0.5");
        raised.extend(session.end(&intent, OrderState::Expired, "0.5"));
        raised.extend(session.quote("89", "89.1"));
        raised.extend(session.quote("89", "89.1"));
        assert!(raised.iter().any(|i| i.reduce_only), "{way:?}: {raised:?}");

        let (_, times) = refused(way, ReplyKind::NotSent);
        let longest = times.windows(2).map(|pair| (pair[1] - pair[0]) / MS).max().unwrap();
        assert!(longest <= 520, "{way:?}: {longest} ms");
    }
}
