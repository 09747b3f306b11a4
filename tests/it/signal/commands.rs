//! The operator's commands on the line: stop, freeze, cancel all, flatten (R-KILL-3, R-KILL-7).

use interlock::event::{Action, Claim, CommandKind, Fact, Intent, OrderSpec, ReplyKind};
use interlock::signal::Signal;
use interlock::types::{OrderState, Qty, Side, StrategyId};

use super::scripted::{Echo, caused, one, scripted};
use crate::market::{BTC, ETH, Facts, MS, Placed, price, qty, spec, table};

struct Session {
    signal: Signal,
    facts: Facts,
    echo: Echo,
    raised: Vec<Intent>,
}

impl Session {
    fn new(signal: Signal) -> Self {
        Self { signal, facts: Facts::new(), echo: Echo::default(), raised: Vec::new() }
    }
    /// Lets a fact through, and the venue's answers to what it caused.
    fn put(&mut self, fact: Fact) {
        self.echo.see(&fact);
        let mut waiting = vec![fact];
        while let Some(fact) = waiting.pop() {
            for intent in caused(&mut self.signal, &fact) {
                self.raised.push(intent);
                waiting.extend(self.echo.answer(&mut self.facts, &intent).into_iter().rev());
            }
        }
    }
    fn quote(&mut self) {
        let fact = self.facts.quote_at(BTC, "100", "101");
        self.put(fact);
    }
    fn command(&mut self, kind: CommandKind) {
        let fact = self.facts.command(kind);
        self.put(fact);
    }
    fn timers(&mut self, count: usize) {
        for _ in 0..count {
            self.facts.now_ns += 100 * MS;
            let fact = self.facts.timer();
            self.put(fact);
        }
    }
    fn take(&mut self) -> Vec<Intent> {
        std::mem::take(&mut self.raised)
    }
}

fn order(side: Side, at: &str) -> OrderSpec {
    spec(side, at, "0.1")
}

#[test]
fn stop_means_no_more_intents() {
    let (signal, _) = one(|context| {
        context.enter(order(Side::Buy, "90"), Claim::NONE);
    });
    let mut session = Session::new(signal);
    session.quote();
    assert_eq!(session.take().len(), 1);
    session.command(CommandKind::Stop);
    session.quote();
    session.timers(5);
    assert!(session.take().is_empty());
}

#[test]
fn freeze_holds_entries_back_and_lets_exits_and_cancels_through() {
    let (signal, _) = one(|context| {
        let working = context.working().next().map(|order| order.client);
        if let Some(client) = working {
            context.cancel(client);
        }
        context.enter(order(Side::Buy, "90"), Claim::NONE);
        if context.sellable(price("100")).is_some() {
            context.exit(order(Side::Sell, "200"));
        }
    });
    let mut session = Session::new(signal);
    session.quote();
    assert_eq!(session.take().len(), 1);
    let fact = session.facts.command_on(CommandKind::Freeze, ETH);
    session.put(fact);
    session.quote();
    assert_eq!(session.take().len(), 2, "another instrument's freeze is not ours");
    session.command(CommandKind::Freeze);
    session.quote();
    session.quote();
    let kinds: Vec<_> = session.take().iter().map(|i| i.action).collect();
    assert!(!kinds.is_empty() && kinds.iter().all(|a| matches!(a, Action::Cancel { .. })), "{kinds:?}");
    session.command(CommandKind::Unfreeze);
    session.quote();
    assert!(session.take().iter().any(|i| matches!(i.action, Action::Place(_))));
}

#[test]
fn r_kill_7_flatten_cancels_then_closes_reduce_only_until_nothing_is_left() {
    // Buys once, and keeps an order waiting far below.
    let buy: fn(&mut interlock::strategy::Context<'_>) = |context| {
        if context.position.qty.is_zero() && context.is_idle() {
            context.enter(order(Side::Buy, "101"), Claim::NONE);
        } else if context.is_idle() {
            context.enter(order(Side::Buy, "90"), Claim::NONE);
        }
    };
    let (first, _) = scripted(0, BTC, None, buy);
    let (second, _) = scripted(1, BTC, None, buy);
    let mut session = Session::new(Signal::new(1, &table(), vec![first, second]).unwrap());
    session.quote();
    session.quote();
    assert_eq!(session.signal.position(BTC).qty, qty("0.2"));
    assert_eq!(session.signal.open_orders(), 2);
    session.take();

    session.command(CommandKind::Flatten);
    session.timers(20);
    let raised = session.take();
    assert!(matches!(raised[0].action, Action::CancelAll), "cancel first: {raised:?}");
    let closes: Vec<_> = raised.iter().filter(|i| matches!(i.action, Action::Place(_))).take(2).collect();
    for close in &closes {
        assert!(close.reduce_only && close.strategy == StrategyId::OPERATOR, "{close:?}");
        let Action::Place(spec) = close.action else { panic!("a close") };
        assert_eq!((spec.side, spec.qty), (Side::Sell, qty("0.1")), "one for each strategy");
        assert_eq!(spec.price, price("99.50"), "half a percent below the bid, on the grid");
    }
    // While the operator was at work the strategies were not heard; then they are free again.
    let first_entry = raised.iter().position(|i| !i.reduce_only && matches!(i.action, Action::Place(_)));
    let last_close = raised.iter().rposition(|i| i.strategy == StrategyId::OPERATOR);
    assert!(first_entry.is_none() || first_entry > last_close, "{raised:?}");
}

#[test]
fn f37_a_fill_between_cancel_and_close_is_closed_too() {
    let (signal, _) = one(|context| {
        if context.is_idle() && context.position.qty.is_zero() {
            context.enter(order(Side::Buy, "100"), Claim::NONE);
        }
    });
    let (mut signal, mut facts) = (signal, Facts::new());
    let first = caused(&mut signal, &facts.quote_at(BTC, "100", "101"))[0];
    let placed = Placed { client: first.client, instrument: BTC, spec: order(Side::Buy, "100") };
    caused(&mut signal, &facts.order(&placed, OrderState::Acknowledged, Qty::ZERO, false));
    assert!(matches!(caused(&mut signal, &facts.command(CommandKind::Flatten))[0].action, Action::CancelAll));
    // Half of it is filled before the cancel arrives.
    caused(&mut signal, &facts.fill(&placed, price("100"), 1, qty("0.06"), qty("0.06")));
    caused(&mut signal, &facts.order(&placed, OrderState::Cancelled, qty("0.06"), false));
    facts.now_ns += 600 * MS;
    let close = caused(&mut signal, &facts.timer())[0];
    assert!(close.reduce_only);
    let Action::Place(spec) = close.action else { panic!("a close: {close:?}") };
    assert_eq!((spec.side, spec.qty), (Side::Sell, qty("0.06")));
    // The close is refused: it is asked again.
    caused(&mut signal, &facts.reply(ReplyKind::NotSent, close.client, false));
    facts.now_ns += 600 * MS;
    assert_eq!(caused(&mut signal, &facts.timer()).len(), 1);
}

#[test]
fn an_unknown_order_does_not_hold_a_flatten_up() {
    let (mut signal, _) = one(|context| {
        if context.is_idle() {
            context.enter(order(Side::Buy, "101"), Claim::NONE);
        }
    });
    let mut facts = Facts::new();
    let first = caused(&mut signal, &facts.quote_at(BTC, "100", "101"))[0];
    let placed = Placed { client: first.client, instrument: BTC, spec: order(Side::Buy, "101") };
    caused(&mut signal, &facts.fill(&placed, price("101"), 1, qty("0.06"), qty("0.06")));
    caused(&mut signal, &facts.reply(ReplyKind::Unknown, placed.client, false));
    let raised = caused(&mut signal, &facts.command(CommandKind::Flatten));
    assert!(raised[0].reduce_only, "what is held is closed: {raised:?}");
}

#[test]
fn cancel_all_is_over_when_nothing_is_open() {
    let (signal, _) = one(|context| {
        if context.is_idle() {
            context.enter(order(Side::Buy, "90"), Claim::NONE);
        }
    });
    let mut session = Session::new(signal);
    session.quote();
    session.take();
    session.command(CommandKind::CancelAll);
    let raised = session.take();
    assert!(matches!(raised[0].action, Action::CancelAll), "{raised:?}");
    session.timers(10);
    assert!(session.take().iter().any(|i| matches!(i.action, Action::Place(_))), "then it goes on");
}
