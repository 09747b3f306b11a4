//! Each check with a case that passes and one that is refused, on both sides of its boundary (R-LIM-6, R-LIM-11).

use std::collections::BTreeSet;

use interlock::event::fact::LinkId;
use interlock::event::{Action, Body, CommandKind, Decision, Intent, OrderSpec, ReplyKind, Verdict};
use interlock::risk::{CHECKS, Risk, RiskConfig, RiskConfigError, halt_allows};
use interlock::shared::{HaltLevel, HaltView};
use interlock::types::{
    AssetId, ClientOrderId, InstrumentTable, OrderState, OrderType, Qty, Reason, Side, StrategyId,
};

use crate::market::{ARMED, BTC, ETH, Facts, MS, Placed, S, cash, intent, price, qty, spec, table};

/// A risk that would let an order in, the order, and what can be moved to change that.
struct World {
    table: InstrumentTable,
    config: RiskConfig,
    risk: Risk,
    facts: Facts,
    intent: Intent,
    halt: HaltView,
    counter: u64,
}

impl World {
    fn new() -> Self {
        let config = RiskConfig {
            order_value_max: cash("1000"),
            exposure_max: cash("2000"),
            book_age_max_ms: 3_000,
            market_age_max_ms: 4_000,
            reference_age_max_ms: 2_000,
            ..RiskConfig::default()
        };
        Self::with(config, table())
    }

    fn with(config: RiskConfig, table: InstrumentTable) -> Self {
        let risk = Risk::new(&config, &table, &[BTC, ETH]).unwrap();
        let order = intent(1, BTC, Action::Place(spec(Side::Buy, "60000", "0.001")));
        let facts = Facts::new();
        let mut world = Self { table, config, risk, facts, intent: order, halt: ARMED, counter: 1 };
        world.ready();
        world
    }

    /// Everything that a check may want to know.
    fn ready(&mut self) {
        let facts = &mut self.facts;
        let mut ready = vec![facts.clock(0, 0)];
        for (asset, free) in [("USDT", "100000"), ("BTC", "10"), ("ETH", "100")] {
            let asset = self.table.asset(asset.as_bytes()).unwrap();
            ready.push(facts.balance(asset, qty(free), Qty::ZERO));
        }
        for (instrument, bid, ask) in [(BTC, "60000", "60000.02"), (ETH, "3000", "3000.02")] {
            ready.push(facts.depth(instrument, &[], true));
            ready.push(facts.book_status(instrument, true));
            ready.push(facts.quote_at(instrument, bid, ask));
        }
        for fact in ready {
            self.risk.on_fact(&fact);
        }
    }

    fn rebuild(&mut self, change: impl FnOnce(&mut RiskConfig)) {
        let mut config = self.config.clone();
        change(&mut config);
        *self = Self::with(config, self.table.clone());
    }

    fn fact(&mut self, make: impl FnOnce(&mut Facts) -> interlock::event::Fact) {
        let fact = make(&mut self.facts);
        self.risk.on_fact(&fact);
    }

    fn pass_time(&mut self, ns: i64) {
        self.facts.now_ns += ns;
        self.fact(Facts::timer);
    }

    fn spec(&mut self) -> &mut OrderSpec {
        match &mut self.intent.action {
            Action::Place(spec) | Action::Replace { spec, .. } => spec,
            Action::Cancel { .. } | Action::CancelAll => panic!("the case has an order"),
        }
    }

    fn decide(&mut self, intent: &Intent) -> Result<(), Reason> {
        self.risk.decide(intent, ARMED, &mut |_| true).map(|_| ())
    }

    /// Another order of ours, approved and acknowledged.
    fn place(&mut self, instrument: interlock::types::InstrumentId, spec: OrderSpec) -> Placed {
        self.counter += 1;
        // Past the duplicate window, and before anything grows old.
        self.pass_time(MS);
        let order = intent(100 + self.counter, instrument, Action::Place(spec));
        self.decide(&order).unwrap_or_else(|reason| panic!("set-up order refused: {reason:?}"));
        let placed = Placed { client: order.client, instrument, spec };
        self.fact(|f| f.order(&placed, OrderState::Acknowledged, Qty::ZERO, false));
        placed
    }

    /// A position by an order that is filled in full.
    fn hold(&mut self, instrument: interlock::types::InstrumentId, spec: OrderSpec) {
        let placed = self.place(instrument, spec);
        let trade = self.counter;
        self.fact(|f| f.fill(&placed, spec.price, trade, spec.qty, spec.qty));
    }

    fn usdt(&self) -> AssetId {
        self.table.asset(b"USDT").unwrap()
    }
}

struct Case {
    check: &'static str,
    reason: Reason,
    passes: fn(&mut World),
    refused: fn(&mut World),
}

const fn case(check: &'static str, reason: Reason, passes: fn(&mut World), refused: fn(&mut World)) -> Case {
    Case { check, reason, passes, refused }
}

const NOTHING: fn(&mut World) = |_| {};

fn exit(world: &mut World, side: Side, at: &str, amount: &str) {
    world.intent.reduce_only = true;
    world.intent.action = Action::Place(spec(side, at, amount));
}

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("halt", Reason::KillTripped,
        |w| w.halt.level = HaltLevel::Symbol,
        |w| w.halt.level = HaltLevel::RiskOff),
    case("halt", Reason::LeaseExpired, NOTHING, |w| w.halt.lease_valid = false),
    case("halt", Reason::KillTripped,
        |w| { w.intent.reduce_only = true; w.halt.level = HaltLevel::RiskOff; },
        |w| { w.intent.reduce_only = true; w.halt.level = HaltLevel::CancelAll; }),
    case("halt", Reason::KillTripped,
        |w| { w.intent.reduce_only = true; w.intent.strategy = StrategyId::OPERATOR; w.halt.level = HaltLevel::CancelAll; },
        |w| { w.intent.reduce_only = true; w.intent.strategy = StrategyId::OPERATOR; w.halt.level = HaltLevel::Stopped; }),
    case("stopping", Reason::Stopping, NOTHING, |w| w.fact(|f| f.command(CommandKind::Stop))),
    case("symbol", Reason::SymbolNotAllowed, NOTHING,
        |w| { w.risk = Risk::new(&w.config, &w.table, &[ETH]).unwrap(); w.ready(); }),
    case("account", Reason::AccountUnknown,
        |w| w.fact(|f| f.link(LinkId::Market, false)),
        |w| w.fact(|f| f.link(LinkId::Account, false))),
    case("clock", Reason::ClockUnknown,
        |w| w.pass_time(600 * S),
        |w| w.pass_time(600 * S + 1)),
    case("clock", Reason::ClockOffset,
        |w| w.fact(|f| f.clock(-900 * MS, 200 * MS)),
        |w| w.fact(|f| f.clock(-900 * MS, 200 * MS + 2))),
    case("frozen", Reason::InstrumentFrozen,
        |w| w.fact(|f| f.command_on(CommandKind::Freeze, ETH)),
        |w| w.fact(|f| f.command_on(CommandKind::Freeze, BTC))),
    case("frozen", Reason::InstrumentFrozen,
        |w| { w.fact(|f| f.command(CommandKind::Freeze)); w.fact(|f| f.command_on(CommandKind::Unfreeze, BTC)); },
        |w| { let p = w.place(BTC, spec(Side::Buy, "59990", "0.001")); w.fact(|f| f.reply(ReplyKind::Unknown, p.client, false)); }),
    case("book", Reason::BookInvalid, NOTHING, |w| w.fact(|f| f.book_status(BTC, false))),
    case("book", Reason::BookInvalid, |w| w.pass_time(3_000 * MS), |w| w.pass_time(3_000 * MS + 1)),
    case("market_data", Reason::MarketDataStale, |w| w.pass_time(4_000 * MS), |w| w.pass_time(4_000 * MS + 1)),
    case("market_data", Reason::MarketDataStale,
        |w| { w.pass_time(9 * S); w.fact(|f| f.trade(BTC, price("60000"), qty("1"), 0)); },
        |w| w.fact(|f| f.link(LinkId::Market, false))),
    case("collar", Reason::PriceCollar,
        |w| w.spec().price = price("61200.01"), // the middle is 60000.01; 2 % of it is 1200.0002
        |w| w.spec().price = price("61200.02")),
    case("collar", Reason::PriceCollar,
        |w| w.spec().price = price("58800.01"),
        |w| w.spec().price = price("58800.00")),
    case("collar", Reason::ReferenceMissing, |w| w.pass_time(2_000 * MS), |w| w.pass_time(2_000 * MS + 1)),
    case("collar", Reason::ReferenceMissing,
        |w| { w.intent.reduce_only = true; w.fact(|f| f.link(LinkId::Market, false)); },
        |w| w.fact(|f| f.quote_at(BTC, "60000", "60000"))), // crossed
    case("venue_rules", Reason::PriceTick,
        |w| w.spec().price = price("60000.01"),
        |w| w.spec().price = price("60000.005")),
    case("venue_rules", Reason::QtyStep,
        |w| w.spec().qty = qty("0.00101"),
        |w| w.spec().qty = qty("0.001005")),
    case("venue_rules", Reason::NotionalRange,
        |w| { w.spec().price = price("50000"); w.spec().qty = qty("0.0001"); },
        |w| { w.spec().price = price("49999.99"); w.spec().qty = qty("0.0001"); }),
    case("order_value", Reason::OrderValue,
        |w| { w.spec().price = price("50000"); w.spec().qty = qty("0.02"); },
        |w| { w.spec().price = price("50000.01"); w.spec().qty = qty("0.02"); }),
    case("order_value", Reason::OrderValue, // a sell is worth what the bid gives, not its limit
        |w| *w.spec() = spec(Side::Sell, "59000", "0.01666"),
        |w| *w.spec() = spec(Side::Sell, "59000", "0.01667")),
    case("order_qty", Reason::OrderQty,
        |w| { w.rebuild(|c| { c.order_qty_max.insert("BTCUSDT".to_owned(), qty("0.001")); }); },
        |w| { w.rebuild(|c| { c.order_qty_max.insert("BTCUSDT".to_owned(), qty("0.00099")); }); }),
    case("reducing", Reason::NotReducing,
        |w| { w.hold(BTC, spec(Side::Buy, "60000", "0.002")); exit(w, Side::Sell, "60000", "0.002"); },
        |w| { w.hold(BTC, spec(Side::Buy, "60000", "0.002")); exit(w, Side::Sell, "60000", "0.00201"); }),
    case("reducing", Reason::NotReducing, // an entry on the same side counts too
        |w| { w.hold(BTC, spec(Side::Buy, "60000", "0.003")); w.place(BTC, spec(Side::Sell, "60100", "0.001")); exit(w, Side::Sell, "60000", "0.002"); },
        |w| { w.hold(BTC, spec(Side::Buy, "60000", "0.003")); w.place(BTC, spec(Side::Sell, "60100", "0.001")); exit(w, Side::Sell, "60000", "0.00201"); }),
    case("reducing", Reason::NotReducing,
        |w| { w.hold(BTC, spec(Side::Sell, "60000", "0.002")); exit(w, Side::Buy, "60000", "0.002"); },
        |w| exit(w, Side::Buy, "60000", "0.002")),
    case("self_trade", Reason::SelfTrade,
        |w| { w.place(BTC, spec(Side::Sell, "60000.03", "0.001")); w.spec().price = price("60000.02"); },
        |w| { w.place(BTC, spec(Side::Sell, "60000.02", "0.001")); w.spec().price = price("60000.02"); }),
    case("self_trade", Reason::SelfTrade,
        |w| { w.place(BTC, spec(Side::Buy, "59000", "0.001")); *w.spec() = spec(Side::Sell, "59000.01", "0.001"); },
        |w| { w.place(BTC, spec(Side::Buy, "59000", "0.001")); *w.spec() = spec(Side::Sell, "59000", "0.001"); }),
    case("balance", Reason::Balance,
        |w| { let usdt = w.usdt(); w.fact(|f| f.balance(usdt, qty("60"), Qty::ZERO)); },
        |w| { let usdt = w.usdt(); w.fact(|f| f.balance(usdt, qty("59.99999999"), qty("0"))); }),
    case("balance", Reason::Balance, // what another order may take is taken, whether the venue shows it locked or not
        |w| { let usdt = w.usdt(); w.fact(|f| f.balance(usdt, qty("119.99"), Qty::ZERO)); w.place(BTC, spec(Side::Buy, "59990", "0.001")); },
        |w| { let usdt = w.usdt(); w.fact(|f| f.balance(usdt, qty("119.98"), Qty::ZERO)); w.place(BTC, spec(Side::Buy, "59990", "0.001")); }),
    case("balance", Reason::Balance, // the venue's lock of the same order is not counted twice
        |w| { let usdt = w.usdt(); w.place(BTC, spec(Side::Buy, "59990", "0.001")); w.fact(|f| f.balance(usdt, qty("60"), qty("59.99"))); },
        |w| { let usdt = w.usdt(); w.place(BTC, spec(Side::Buy, "59990", "0.001")); w.fact(|f| f.balance(usdt, qty("59.99"), qty("59.99"))); }),
    case("balance", Reason::Balance, // spent by a fill that the last balance did not know of
        |w| { let usdt = w.usdt(); w.fact(|f| f.balance(usdt, qty("120"), Qty::ZERO)); w.hold(BTC, spec(Side::Buy, "60000", "0.001")); },
        |w| { let usdt = w.usdt(); w.fact(|f| f.balance(usdt, qty("119.99"), Qty::ZERO)); w.hold(BTC, spec(Side::Buy, "60000", "0.001")); }),
    case("order_table", Reason::DuplicateOrder, NOTHING,
        |w| { let p = w.place(BTC, spec(Side::Buy, "59990", "0.001")); w.intent.client = p.client; }),
    case("order_table", Reason::DuplicateOrder, NOTHING, |w| w.intent.client = ClientOrderId::NONE),
    case("open_orders", Reason::OpenOrders,
        |w| { w.rebuild(|c| c.open_orders_max = 2); w.place(BTC, spec(Side::Buy, "59990", "0.001")); },
        |w| { w.rebuild(|c| c.open_orders_max = 1); w.place(BTC, spec(Side::Buy, "59990", "0.001")); }),
    case("open_positions", Reason::OpenPositions,
        |w| { w.rebuild(|c| c.open_positions_max = 1); w.hold(BTC, spec(Side::Buy, "60000", "0.001")); },
        |w| { w.rebuild(|c| c.open_positions_max = 1); w.hold(ETH, spec(Side::Buy, "3000", "0.01")); }),
    case("open_positions", Reason::OpenPositions, // an order that could open one counts like one; dust does not
        |w| { w.rebuild(|c| c.open_positions_max = 1); w.hold(ETH, spec(Side::Buy, "3000", "0.002")); w.hold(ETH, spec(Side::Sell, "3000", "0.0019")); },
        |w| { w.rebuild(|c| c.open_positions_max = 1); w.place(ETH, spec(Side::Buy, "3000", "0.01")); }),
    case("exposure", Reason::TotalExposure,
        |w| { w.rebuild(|c| c.exposure_max = cash("120")); w.place(BTC, spec(Side::Buy, "60000", "0.001")); },
        |w| { w.rebuild(|c| c.exposure_max = cash("119.99999999")); w.place(BTC, spec(Side::Buy, "60000", "0.001")); }),
    case("exposure", Reason::TotalExposure, // a lost order stays in full
        |w| { w.rebuild(|c| c.exposure_max = cash("119")); let p = w.place(BTC, spec(Side::Buy, "60000", "0.001")); w.fact(|f| f.order(&p, OrderState::Cancelled, Qty::ZERO, false)); },
        |w| { w.rebuild(|c| c.exposure_max = cash("119")); let p = w.place(BTC, spec(Side::Buy, "60000", "0.001")); w.fact(|f| f.reply(ReplyKind::Unknown, p.client, false)); w.pass_time(S); }),
    case("duplicate", Reason::DuplicateOrder,
        |w| { w.place(BTC, spec(Side::Buy, "60000", "0.001")); w.pass_time(500 * MS); },
        |w| { w.place(BTC, spec(Side::Buy, "60000", "0.001")); w.pass_time(500 * MS - 1); }),
    case("throttle", Reason::MessageThrottle,
        |w| { w.rebuild(|c| c.messages_burst = 4); for n in 0..2 { burst(w, n); } },
        |w| { w.rebuild(|c| c.messages_burst = 4); for n in 0..3 { burst(w, n); } }),
    case("throttle", Reason::MessageThrottle, // the kept quarter is the exits'
        |w| { w.rebuild(|c| c.messages_burst = 4); for n in 0..3 { burst(w, n); } w.intent.reduce_only = true; },
        |w| { w.rebuild(|c| c.messages_burst = 4); for n in 0..4 { burst(w, n); } w.intent.reduce_only = true; }),
];

/// One message at the same instant; cancels are counted and never refused.
fn burst(world: &mut World, n: u64) {
    let target = ClientOrderId::new(1, 1);
    let cancel = intent(500 + n, BTC, Action::Cancel { target });
    world.decide(&cancel).unwrap();
}

fn run(name: &str, world: &World) -> Result<(), Reason> {
    let check = CHECKS.iter().find(|check| check.name == name).expect("the case names a check");
    world.risk.run_check(check, &world.intent, world.halt)
}

#[test]
fn r_lim_6_each_check_holds_at_its_boundary() {
    for (at, case) in CASES.iter().enumerate() {
        let mut world = World::new();
        (case.passes)(&mut world);
        assert_eq!(run(case.check, &world), Ok(()), "case {at}: {} must pass", case.check);

        let mut world = World::new();
        (case.refused)(&mut world);
        assert_eq!(run(case.check, &world), Err(case.reason), "case {at}: {} must refuse", case.check);
        // A refusal by one check is a refusal of the order, journaled with a reason.
        let mut seen: Option<Decision> = None;
        let (intent, halt) = (world.intent, world.halt);
        let verdict = world.risk.decide(&intent, halt, &mut |d| {
            seen = Some(*d);
            true
        });
        let decision = seen.expect("every decision is recorded");
        assert_eq!(verdict.err(), Some(decision.reason), "case {at}");
        assert_eq!(decision.verdict, Verdict::Refused, "case {at}");
        assert_ne!(decision.reason, Reason::None, "case {at}");
    }
}

#[test]
fn every_check_of_the_table_has_a_case() {
    let cases: BTreeSet<_> = CASES.iter().map(|case| case.check).collect();
    let checks: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(cases, checks);
    assert_eq!(CHECKS.len(), checks.len(), "names are unique");
}

#[test]
fn an_order_that_nothing_speaks_against_is_approved_and_reserved() {
    let mut world = World::new();
    let order = world.intent;
    let mut decisions = Vec::new();
    let approved = world.risk.decide(&order, ARMED, &mut |d| {
        decisions.push(*d);
        true
    });
    assert_eq!(approved.map(|a| a.get().client), Ok(order.client));
    assert_eq!(decisions[0].exposure, cash("60"));
    assert_eq!(world.risk.exposure(), cash("60"), "reserved at approval, before anything is sent");
    assert_eq!(world.risk.order(order.client), Some((OrderState::Approved, Qty::ZERO)));
}

#[test]
fn r_kill_cancels_always_pass() {
    // Nothing is known, everything is tripped, frozen and stopping, and the journal ring is full.
    let table = table();
    let mut risk = Risk::new(&RiskConfig::default(), &table, &[]).unwrap();
    let mut facts = Facts::new();
    risk.on_fact(&facts.command(CommandKind::Freeze));
    risk.on_fact(&facts.command(CommandKind::Stop));
    let stopped = HaltView { level: HaltLevel::Stopped, epoch: 9, lease_valid: false };
    for counter in 1..200 {
        let target = ClientOrderId::new(1, counter + 1_000);
        let action = if counter % 2 == 0 { Action::Cancel { target } } else { Action::CancelAll };
        let order = intent(counter, BTC, action);
        assert!(risk.decide(&order, stopped, &mut |_| false).is_ok(), "cancel {counter}");
    }
    let nothing = intent(999, BTC, Action::Cancel { target: ClientOrderId::NONE });
    assert_eq!(risk.decide(&nothing, ARMED, &mut |_| true).err(), Some(Reason::UnknownOrder));
}

#[test]
fn r_hot_8_an_order_that_cannot_be_journaled_is_refused_and_not_reserved() {
    let mut world = World::new();
    let order = world.intent;
    assert_eq!(world.risk.decide(&order, ARMED, &mut |_| false).err(), Some(Reason::JournalFull));
    assert_eq!(world.risk.exposure(), cash("0"));
    assert_eq!(world.risk.order(order.client), None);
}

#[test]
fn a_value_out_of_range_is_an_overflow_and_an_unknown_instrument_is_named() {
    let mut world = World::new();
    world.spec().price = interlock::types::Price::MAX;
    world.spec().qty = Qty::MAX;
    let order = world.intent;
    assert_eq!(world.decide(&order), Err(Reason::Overflow));
    let stray = intent(2, interlock::types::InstrumentId(9), order.action);
    assert_eq!(world.decide(&stray), Err(Reason::UnknownInstrument));
}

#[test]
fn r_lim_6_a_market_order_without_a_worst_price_is_refused() {
    let mut world = World::new();
    world.spec().order_type = OrderType::Market;
    world.spec().price = interlock::types::Price::ZERO;
    let order = world.intent;
    assert_eq!(world.decide(&order), Err(Reason::PriceCollar));
}

#[test]
fn an_overfill_is_booked_and_freezes_until_the_operator_lifts_it() {
    let mut world = World::new();
    let placed = world.place(BTC, spec(Side::Buy, "60000", "0.001"));
    world.fact(|f| f.fill(&placed, price("60000"), 7, qty("0.0015"), qty("0.0015")));
    assert_eq!(world.risk.position(BTC).qty, qty("0.0015"), "booked");
    assert_eq!(world.risk.frozen(BTC), Some(Reason::Overfill));
    world.fact(|f| f.command(CommandKind::Unfreeze));
    assert_eq!(world.risk.frozen(BTC), None);
}

#[test]
fn f1_a_timeout_freezes_and_only_the_venue_ends_it() {
    let mut world = World::new();
    let placed = world.place(BTC, spec(Side::Buy, "60000", "0.001"));
    world.fact(|f| f.reply(ReplyKind::Unknown, placed.client, false));
    for _ in 0..100 {
        world.pass_time(60 * S);
    }
    world.ready();
    assert_eq!(world.risk.exposure(), cash("60"), "no timer releases it");
    assert_eq!(world.risk.frozen(BTC), Some(Reason::InstrumentFrozen));
    world.fact(|f| f.reply(ReplyKind::Absent, placed.client, false));
    assert_eq!(world.risk.exposure(), cash("0"));
    assert_eq!(world.risk.frozen(BTC), None);
}

#[test]
fn halt_rule_is_the_same_for_risk_and_gateway() {
    let world = World::new();
    for level in [0u8, 1, 2, 3, 4, 5] {
        for lease_valid in [false, true] {
            let view = HaltView { level: HaltLevel::from_u8(level), epoch: 1, lease_valid };
            for (reduce_only, strategy) in [(false, 0), (true, 0), (true, 255), (false, 255)] {
                let order = Intent { reduce_only, strategy: StrategyId(strategy), ..world.intent };
                let check = CHECKS.iter().find(|c| c.name == "halt").unwrap();
                let by_check = world.risk.run_check(check, &order, view);
                let by_rule = halt_allows(&as_order(&order), view);
                assert_eq!(by_check, by_rule);
                let may = if !reduce_only {
                    level < 3 && lease_valid
                } else if strategy == 255 {
                    level < 5
                } else {
                    level < 4
                };
                assert_eq!(by_rule.is_ok(), may, "level {level} lease {lease_valid} exit {reduce_only}");
            }
        }
    }
}

const fn as_order(intent: &Intent) -> interlock::event::Order {
    interlock::event::Order {
        client: intent.client,
        cause_seq: intent.cause_seq,
        cause_ns: intent.cause_ns,
        strategy: intent.strategy,
        instrument: intent.instrument,
        reduce_only: intent.reduce_only,
        action: intent.action,
    }
}

#[test]
fn limits_out_of_range_name_bound_and_value() {
    let config = RiskConfig { collar_bp: 0, ..RiskConfig::default() };
    let message = config.check().expect_err("0 is out of range").to_string();
    assert!(message.contains("risk.collar_bp = 0") && message.contains("1 to 5000"), "{message}");
    let config = RiskConfig { order_value_max: cash("-1"), ..RiskConfig::default() };
    assert!(config.check().is_err());
    let config = RiskConfig { messages_per_s: 1_000, duplicate_window_ms: 60_000, ..RiskConfig::default() };
    assert!(matches!(config.check(), Err(RiskConfigError::DuplicateWindow { .. })));
    let mut config = RiskConfig::default();
    config.order_qty_max.insert("NOPE".to_owned(), qty("1"));
    let message = Risk::new(&config, &table(), &[]).expect_err("not traded").to_string();
    assert!(message.contains("NOPE"), "{message}");
    let text = toml::to_string(&RiskConfig::default()).unwrap();
    assert_eq!(toml::from_str::<RiskConfig>(&text).unwrap(), RiskConfig::default());
    assert!(toml::from_str::<RiskConfig>("order_value = \"1\"").is_err(), "unknown keys are refused");
}

#[test]
fn instruments_of_two_quote_currencies_are_no_session() {
    let mut table = table();
    let other = crate::market::instrument(&mut table, "ETH", "BTC", "0.001");
    table.push(other).unwrap();
    let error = Risk::new(&RiskConfig::default(), &table, &[]).expect_err("exposures do not add up");
    assert!(matches!(error, RiskConfigError::QuoteMismatch { .. }));
}

#[test]
fn facts_of_unknown_instruments_and_assets_are_survived() {
    let mut world = World::new();
    let nowhere = interlock::types::InstrumentId(77);
    world.fact(|f| f.quote_at(nowhere, "1", "2"));
    world.fact(|f| f.depth(nowhere, &[], true));
    world.fact(|f| f.book_status(nowhere, true));
    world.fact(|f| f.balance(AssetId::UNKNOWN, qty("1"), Qty::ZERO));
    let stray =
        Placed { client: ClientOrderId::new(3, 3), instrument: nowhere, spec: spec(Side::Buy, "1", "1") };
    world.fact(|f| f.order(&stray, OrderState::Acknowledged, Qty::ZERO, true));
    world.fact(|f| f.body(Body::Timer));
    let order = world.intent;
    assert_eq!(world.decide(&order), Ok(()));
}
