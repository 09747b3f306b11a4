//! Each check with a case that passes and one that is refused, on both sides of its boundary (R-LIM-6, R-LIM-11).

use std::collections::BTreeSet;

use interlock::event::fact::LinkId;
use interlock::event::{Action, CommandKind, Decision, Intent, LayersConfig, OrderSpec, ReplyKind, Verdict};
use interlock::risk::{CHECKS, Risk, RiskConfig};
use interlock::shared::{HaltLevel, HaltView};
use interlock::types::{AssetId, ClientOrderId, InstrumentTable, OrderState, Qty, Reason, Side, StrategyId};

use super::{lately, layered};
use crate::market::{ARMED, BTC, ETH, Facts, MS, Placed, S, cash, intent, limits, price, qty, spec, table};

/// A risk that would let an order in, the order, and what can be moved to change that.
pub(super) struct World {
    table: InstrumentTable,
    config: RiskConfig,
    pub(super) risk: Risk,
    pub(super) facts: Facts,
    pub(super) intent: Intent,
    pub(super) halt: HaltView,
    counter: u64,
}

impl World {
    pub(super) fn new() -> Self {
        let config = RiskConfig {
            order_value_max: cash("1000"),
            exposure_max: cash("2000"),
            book_age_max_ms: 3_000,
            market_age_max_ms: 4_000,
            reference_age_max_ms: 2_000,
            layers: LayersConfig { capital: cash("1000000"), ..LayersConfig::default() },
            ..limits()
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
    pub(super) fn ready(&mut self) {
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

    pub(super) fn rebuild(&mut self, change: impl FnOnce(&mut RiskConfig)) {
        let mut config = self.config.clone();
        change(&mut config);
        *self = Self::with(config, self.table.clone());
    }

    pub(super) fn fact(&mut self, make: impl FnOnce(&mut Facts) -> interlock::event::Fact) {
        let fact = make(&mut self.facts);
        self.risk.on_fact(&fact);
    }

    pub(super) fn pass_time(&mut self, ns: i64) {
        self.facts.now_ns += ns;
        self.fact(Facts::timer);
    }

    pub(super) fn spec(&mut self) -> &mut OrderSpec {
        match &mut self.intent.action {
            Action::Place(spec) | Action::Replace { spec, .. } => spec,
            Action::Cancel { .. } | Action::CancelAll => panic!("the case has an order"),
        }
    }

    pub(super) fn decide(&mut self, intent: &Intent) -> Result<(), Reason> {
        self.risk.decide(intent, ARMED, &mut |_| true).map(|_| ())
    }

    /// A number that no order of this world has.
    pub(super) const fn next(&mut self) -> u64 {
        self.counter += 1;
        100 + self.counter
    }

    /// Another order of ours, approved and acknowledged.
    pub(super) fn place(&mut self, instrument: interlock::types::InstrumentId, spec: OrderSpec) -> Placed {
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
    pub(super) fn hold(&mut self, instrument: interlock::types::InstrumentId, spec: OrderSpec) {
        let placed = self.place(instrument, spec);
        let trade = self.counter;
        self.fact(|f| f.fill(&placed, spec.price, trade, spec.qty, spec.qty));
    }

    fn usdt(&self) -> AssetId {
        self.table.asset(b"USDT").unwrap()
    }
}

pub(super) struct Case {
    pub(super) check: &'static str,
    reason: Reason,
    passes: fn(&mut World),
    refused: fn(&mut World),
}

pub(super) const fn case(
    check: &'static str,
    reason: Reason,
    passes: fn(&mut World),
    refused: fn(&mut World),
) -> Case {
    Case { check, reason, passes, refused }
}

pub(super) const NOTHING: fn(&mut World) = |_| {};

fn exit(world: &mut World, side: Side, at: &str, amount: &str) {
    world.intent.reduce_only = true;
    world.intent.action = Action::Place(spec(side, at, amount));
}

const CASES: &[Case] = &[
    case(
        "halt",
        Reason::KillTripped,
        |w| w.halt.level = HaltLevel::Symbol,
        |w| w.halt.level = HaltLevel::RiskOff,
    ),
    case("halt", Reason::LeaseExpired, NOTHING, |w| w.halt.lease_valid = false),
    case(
        "halt",
        Reason::KillTripped,
        |w| {
            w.intent.reduce_only = true;
            w.halt.level = HaltLevel::RiskOff;
        },
        |w| {
            w.intent.reduce_only = true;
            w.halt.level = HaltLevel::CancelAll;
        },
    ),
    case(
        "halt",
        Reason::KillTripped,
        |w| {
            w.intent.reduce_only = true;
            w.intent.strategy = StrategyId::OPERATOR;
            w.halt.level = HaltLevel::CancelAll;
        },
        |w| {
            w.intent.reduce_only = true;
            w.intent.strategy = StrategyId::OPERATOR;
            w.halt.level = HaltLevel::Stopped;
        },
    ),
    case("stopping", Reason::Stopping, NOTHING, |w| w.fact(|f| f.command(CommandKind::Stop))),
    case("symbol", Reason::SymbolNotAllowed, NOTHING, |w| {
        w.risk = Risk::new(&w.config, &w.table, &[ETH]).unwrap();
        w.ready();
    }),
    case(
        "account",
        Reason::AccountUnknown,
        |w| w.fact(|f| f.link(LinkId::Market, false)),
        |w| w.fact(|f| f.link(LinkId::Account, false)),
    ),
    case("clock", Reason::ClockUnknown, |w| w.pass_time(600 * S), |w| w.pass_time(600 * S + 1)),
    case(
        "clock",
        Reason::ClockOffset,
        |w| w.fact(|f| f.clock(-900 * MS, 200 * MS)),
        |w| w.fact(|f| f.clock(-900 * MS, 200 * MS + 2)),
    ),
    case(
        "frozen",
        Reason::InstrumentFrozen,
        |w| w.fact(|f| f.command_on(CommandKind::Freeze, ETH)),
        |w| w.fact(|f| f.command_on(CommandKind::Freeze, BTC)),
    ),
    case(
        "frozen",
        Reason::InstrumentFrozen,
        |w| {
            w.fact(|f| f.command(CommandKind::Freeze));
            w.fact(|f| f.command_on(CommandKind::Unfreeze, BTC));
        },
        |w| {
            let p = w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.fact(|f| f.reply(ReplyKind::Unknown, p.client, false));
        },
    ),
    case("book", Reason::BookInvalid, NOTHING, |w| w.fact(|f| f.book_status(BTC, false))),
    case("book", Reason::BookInvalid, |w| w.pass_time(3_000 * MS), |w| w.pass_time(3_000 * MS + 1)),
    case(
        "market_data",
        Reason::MarketDataStale,
        |w| w.pass_time(4_000 * MS),
        |w| w.pass_time(4_000 * MS + 1),
    ),
    case(
        "market_data",
        Reason::MarketDataStale,
        |w| {
            w.pass_time(9 * S);
            w.fact(|f| f.trade(BTC, price("60000"), qty("1"), 0));
        },
        |w| w.fact(|f| f.link(LinkId::Market, false)),
    ),
    case(
        "collar",
        Reason::PriceCollar,
        |w| w.spec().price = price("61200.01"), // the middle is 60000.01; 2 % of it is 1200.0002
        |w| w.spec().price = price("61200.02"),
    ),
    case(
        "collar",
        Reason::PriceCollar,
        |w| w.spec().price = price("58800.01"),
        |w| w.spec().price = price("58800.00"),
    ),
    case("collar", Reason::ReferenceMissing, |w| w.pass_time(2_000 * MS), |w| w.pass_time(2_000 * MS + 1)),
    case(
        "collar",
        Reason::ReferenceMissing,
        |w| {
            w.intent.reduce_only = true;
            w.fact(|f| f.link(LinkId::Market, false));
        },
        |w| w.fact(|f| f.quote_at(BTC, "60000", "60000")),
    ), // crossed
    case(
        "venue_rules",
        Reason::PriceTick,
        |w| w.spec().price = price("60000.01"),
        |w| w.spec().price = price("60000.005"),
    ),
    case(
        "venue_rules",
        Reason::QtyStep,
        |w| w.spec().qty = qty("0.00101"),
        |w| w.spec().qty = qty("0.001005"),
    ),
    case(
        "venue_rules",
        Reason::NotionalRange,
        |w| {
            w.spec().price = price("50000");
            w.spec().qty = qty("0.0001");
        },
        |w| {
            w.spec().price = price("49999.99");
            w.spec().qty = qty("0.0001");
        },
    ),
    case(
        "order_value",
        Reason::OrderValue,
        |w| {
            w.spec().price = price("50000");
            w.spec().qty = qty("0.02");
        },
        |w| {
            w.spec().price = price("50000.01");
            w.spec().qty = qty("0.02");
        },
    ),
    case(
        "order_value",
        Reason::OrderValue, // a sell is worth what the bid gives, not its limit
        |w| *w.spec() = spec(Side::Sell, "59000", "0.01666"),
        |w| *w.spec() = spec(Side::Sell, "59000", "0.01667"),
    ),
    case(
        "order_qty",
        Reason::OrderQty,
        |w| {
            w.rebuild(|c| {
                c.order_qty_max.insert("BTCUSDT".to_owned(), qty("0.001"));
            });
        },
        |w| {
            w.rebuild(|c| {
                c.order_qty_max.insert("BTCUSDT".to_owned(), qty("0.00099"));
            });
        },
    ),
    case(
        "reducing",
        Reason::NotReducing,
        |w| {
            w.hold(BTC, spec(Side::Buy, "60000", "0.002"));
            exit(w, Side::Sell, "60000", "0.002");
        },
        |w| {
            w.hold(BTC, spec(Side::Buy, "60000", "0.002"));
            exit(w, Side::Sell, "60000", "0.00201");
        },
    ),
    case(
        "reducing",
        Reason::NotReducing, // an entry on the same side counts too
        |w| {
            w.hold(BTC, spec(Side::Buy, "60000", "0.003"));
            w.place(BTC, spec(Side::Sell, "60100", "0.001"));
            exit(w, Side::Sell, "60000", "0.002");
        },
        |w| {
            w.hold(BTC, spec(Side::Buy, "60000", "0.003"));
            w.place(BTC, spec(Side::Sell, "60100", "0.001"));
            exit(w, Side::Sell, "60000", "0.00201");
        },
    ),
    case(
        "reducing",
        Reason::NotReducing,
        |w| {
            w.hold(BTC, spec(Side::Sell, "60000", "0.002"));
            exit(w, Side::Buy, "60000", "0.002");
        },
        |w| exit(w, Side::Buy, "60000", "0.002"),
    ),
    case(
        "self_trade",
        Reason::SelfTrade,
        |w| {
            w.place(BTC, spec(Side::Sell, "60000.03", "0.001"));
            w.spec().price = price("60000.02");
        },
        |w| {
            w.place(BTC, spec(Side::Sell, "60000.02", "0.001"));
            w.spec().price = price("60000.02");
        },
    ),
    case(
        "self_trade",
        Reason::SelfTrade,
        |w| {
            w.place(BTC, spec(Side::Buy, "59000", "0.001"));
            *w.spec() = spec(Side::Sell, "59000.01", "0.001");
        },
        |w| {
            w.place(BTC, spec(Side::Buy, "59000", "0.001"));
            *w.spec() = spec(Side::Sell, "59000", "0.001");
        },
    ),
    case(
        "balance",
        Reason::Balance,
        |w| {
            let usdt = w.usdt();
            w.fact(|f| f.balance(usdt, qty("60"), Qty::ZERO));
        },
        |w| {
            let usdt = w.usdt();
            w.fact(|f| f.balance(usdt, qty("59.99999999"), qty("0")));
        },
    ),
    case(
        "balance",
        Reason::Balance, // what another order may take is taken, whether the venue shows it locked or not
        |w| {
            let usdt = w.usdt();
            w.fact(|f| f.balance(usdt, qty("119.99"), Qty::ZERO));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
        |w| {
            let usdt = w.usdt();
            w.fact(|f| f.balance(usdt, qty("119.98"), Qty::ZERO));
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
    ),
    case(
        "balance",
        Reason::Balance, // the venue's lock of the same order is not counted twice
        |w| {
            let usdt = w.usdt();
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.fact(|f| f.balance(usdt, qty("60"), qty("59.99")));
        },
        |w| {
            let usdt = w.usdt();
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
            w.fact(|f| f.balance(usdt, qty("59.99"), qty("59.99")));
        },
    ),
    case(
        "balance",
        Reason::Balance, // spent by a fill that the last balance did not know of
        |w| {
            let usdt = w.usdt();
            w.fact(|f| f.balance(usdt, qty("120"), Qty::ZERO));
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
        },
        |w| {
            let usdt = w.usdt();
            w.fact(|f| f.balance(usdt, qty("119.99"), Qty::ZERO));
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
        },
    ),
    case("order_table", Reason::DuplicateOrder, NOTHING, |w| {
        let p = w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        w.intent.client = p.client;
    }),
    case("order_table", Reason::DuplicateOrder, NOTHING, |w| w.intent.client = ClientOrderId::NONE),
    case(
        "open_orders",
        Reason::OpenOrders,
        |w| {
            w.rebuild(|c| c.open_orders_max = 2);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
        |w| {
            w.rebuild(|c| c.open_orders_max = 1);
            w.place(BTC, spec(Side::Buy, "59990", "0.001"));
        },
    ),
    case(
        "open_positions",
        Reason::OpenPositions,
        |w| {
            w.rebuild(|c| c.open_positions_max = 1);
            w.hold(BTC, spec(Side::Buy, "60000", "0.001"));
        },
        |w| {
            w.rebuild(|c| c.open_positions_max = 1);
            w.hold(ETH, spec(Side::Buy, "3000", "0.01"));
        },
    ),
    case(
        "open_positions",
        Reason::OpenPositions, // an order that could open one counts like one; dust does not
        |w| {
            w.rebuild(|c| c.open_positions_max = 1);
            w.hold(ETH, spec(Side::Buy, "3000", "0.002"));
            w.hold(ETH, spec(Side::Sell, "3000", "0.0019"));
        },
        |w| {
            w.rebuild(|c| c.open_positions_max = 1);
            w.place(ETH, spec(Side::Buy, "3000", "0.01"));
        },
    ),
    case(
        "exposure",
        Reason::TotalExposure,
        |w| {
            w.rebuild(|c| c.exposure_max = cash("120"));
            w.place(BTC, spec(Side::Buy, "60000", "0.001"));
        },
        |w| {
            w.rebuild(|c| c.exposure_max = cash("119.99999999"));
            w.place(BTC, spec(Side::Buy, "60000", "0.001"));
        },
    ),
    case(
        "exposure",
        Reason::TotalExposure, // a lost order stays in full
        |w| {
            w.rebuild(|c| c.exposure_max = cash("119"));
            let p = w.place(BTC, spec(Side::Buy, "60000", "0.001"));
            w.fact(|f| f.order(&p, OrderState::Cancelled, Qty::ZERO, false));
        },
        |w| {
            w.rebuild(|c| c.exposure_max = cash("119"));
            let p = w.place(BTC, spec(Side::Buy, "60000", "0.001"));
            w.fact(|f| f.reply(ReplyKind::Unknown, p.client, false));
            w.pass_time(S);
        },
    ),
    case(
        "duplicate",
        Reason::DuplicateOrder,
        |w| {
            w.place(BTC, spec(Side::Buy, "60000", "0.001"));
            w.pass_time(500 * MS);
        },
        |w| {
            w.place(BTC, spec(Side::Buy, "60000", "0.001"));
            w.pass_time(500 * MS - 1);
        },
    ),
    case(
        "throttle",
        Reason::MessageThrottle,
        |w| {
            w.rebuild(|c| c.messages_burst = 4);
            for n in 0..2 {
                burst(w, n);
            }
        },
        |w| {
            w.rebuild(|c| c.messages_burst = 4);
            for n in 0..3 {
                burst(w, n);
            }
        },
    ),
    case(
        "throttle",
        Reason::MessageThrottle, // the kept quarter is the exits'
        |w| {
            w.rebuild(|c| c.messages_burst = 4);
            for n in 0..3 {
                burst(w, n);
            }
            w.intent.reduce_only = true;
        },
        |w| {
            w.rebuild(|c| c.messages_burst = 4);
            for n in 0..4 {
                burst(w, n);
            }
            w.intent.reduce_only = true;
        },
    ),
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
    for (at, case) in CASES.iter().chain(lately::CASES).chain(layered::CASES).enumerate() {
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
    let cases: BTreeSet<_> =
        CASES.iter().chain(lately::CASES).chain(layered::CASES).map(|case| case.check).collect();
    let checks: BTreeSet<_> = CHECKS.iter().map(|check| check.name).collect();
    assert_eq!(cases, checks);
    assert_eq!(CHECKS.len(), checks.len(), "names are unique");
}
