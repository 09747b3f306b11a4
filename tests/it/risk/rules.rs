//! What holds beyond the single checks: reservation, cancels, the journal, the halt rule, conflicts, configuration.

use interlock::event::{Action, Body, CommandKind, Intent, ReplyKind};
use interlock::risk::{CHECKS, Risk, RiskConfig, RiskConfigError, halt_allows};
use interlock::shared::{HaltLevel, HaltView};
use interlock::types::{AssetId, ClientOrderId, OrderState, OrderType, Qty, Reason, Side, StrategyId};

use super::checks::World;
use crate::market::{ARMED, BTC, Facts, Placed, S, cash, intent, price, qty, spec, table};

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
