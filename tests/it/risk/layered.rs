//! The boundary of each check of the layers.

use interlock::event::layers::{RampStage, day_of};
use interlock::event::{Body, CarriedAccount, CarriedStrategy, Carry};
use interlock::types::{Reason, Side, StrategyId};

use super::checks::{Case, World, case};
use crate::market::{BTC, START_NS, cash, spec};

fn strategy(world: &mut World, weight_bp: u32, disabled: bool) {
    let carried = CarriedStrategy {
        strategy: StrategyId(0),
        disabled,
        weight_bp,
        target_bp: weight_bp,
        weight_day: day_of(START_NS),
        ..CarriedStrategy::default()
    };
    world.fact(|f| f.body(Body::Carry(Carry::Strategy(carried))));
}

fn account(world: &mut World, day_stopped: bool, emergency: bool) {
    let day = day_of(START_NS);
    let carried = CarriedAccount { day, day_stopped, emergency, ..CarriedAccount::default() };
    world.fact(|f| f.body(Body::Carry(Carry::Account(carried))));
}

pub(super) const CASES: &[Case] = &[
    case("emergency_stop", Reason::EmergencyStop, |w| account(w, true, false), |w| account(w, false, true)),
    case("daily_loss", Reason::DailyLoss, |w| account(w, false, true), |w| account(w, true, false)),
    case(
        "circuit_breaker",
        Reason::CircuitBreaker,
        |w| strategy(w, 10_000, false),
        |w| strategy(w, 10_000, true),
    ),
    // 60 of at most 1,000.
    case("size", Reason::SizeReduced, |w| strategy(w, 600, false), |w| strategy(w, 599, false)),
    case(
        "trade_risk",
        Reason::TradeRisk,
        |w| w.rebuild(|c| c.layers.capital = cash("2400")),
        |w| w.rebuild(|c| c.layers.capital = cash("2399")),
    ),
    case(
        "ramp_entries",
        Reason::RampEntries,
        |w| w.rebuild(|c| c.layers.ramp.stage = RampStage::Canary),
        |w| {
            w.rebuild(|c| c.layers.ramp.stage = RampStage::Canary);
            w.place(BTC, spec(Side::Buy, "59999", "0.001"));
        },
    ),
];
