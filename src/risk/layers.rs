//! The checks of what outlives orders (R-LIM-4, 5, 8, 9). Each only reads what the layers' fold keeps; none binds an exit.

use crate::event::layers::{FULL_BP, Level};
use crate::types::{Cash, Reason, Side};

use super::checks::{Case, require};

/// L4: until a named person resets it.
pub(super) fn emergency(case: &Case<'_>) -> Result<(), Reason> {
    require(!case.state.layers.is_emergency(), Reason::EmergencyStop)
}

/// L2: until midnight UTC.
pub(super) fn daily_loss(case: &Case<'_>) -> Result<(), Reason> {
    require(!case.state.layers.is_day_stopped(), Reason::DailyLoss)
}

/// L3: until a named person enables the strategy.
pub(super) fn circuit_breaker(case: &Case<'_>) -> Result<(), Reason> {
    require(!case.state.layers.is_disabled(case.intent.strategy), Reason::CircuitBreaker)
}

/// Signal sizes entries by weight and preservation level; here it is held against the largest order that they leave.
pub(super) fn size(case: &Case<'_>) -> Result<(), Reason> {
    let layers = &case.state.layers;
    require(layers.level() != Level::Lockdown, Reason::Lockdown)?;
    let size = layers.size_bp(case.intent.strategy);
    let max = i128::from(case.state.lately.own(case.intent.instrument)?.value_max.units()) * i128::from(size);
    require(i128::from(case.value.units()) * i128::from(FULL_BP) <= max, Reason::SizeReduced)
}

/// L1: from the entry's price to its stop; a stop on the wrong side is none.
pub(super) fn trade_risk(case: &Case<'_>) -> Result<(), Reason> {
    let price = case.spec.price;
    let distance = match (case.intent.claim.stop(), case.spec.side) {
        (Some(stop), Side::Buy) if stop < price => price.checked_sub(stop),
        (Some(stop), Side::Sell) if stop > price => stop.checked_sub(price),
        _ => None,
    };
    let risk = match distance {
        Some(distance) => Cash::notional_for_limit(distance, case.spec.qty).ok_or(Reason::Overflow)?,
        None => case.value,
    };
    require(risk <= case.state.layers.trade_risk_max(), Reason::TradeRisk)
}

/// The ramp's entries of a day: those that were filled, and those that may still be.
pub(super) fn ramp_entries(case: &Case<'_>) -> Result<(), Reason> {
    let Some(left) = case.state.layers.entries_left() else { return Ok(()) };
    let working = case.state.ledger.open().filter(|order| !order.reduce_only && order.filled.is_zero());
    require((working.count() as u64) < u64::from(left), Reason::RampEntries)
}
