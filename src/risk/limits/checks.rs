//! The checks of these limits: each compares, none searches.

use super::within;
use crate::event::{Action, Intent};
use crate::risk::checks::Case;
use crate::risk::state::State;
use crate::types::{Reason, Side};

/// Whether the entry is a decision of its own. One that takes the place of an entry of the same strategy which still works, and
/// of which nothing is filled, goes on with that one's.
pub(in crate::risk) fn is_decision(state: &State, intent: &Intent) -> bool {
    let Action::Replace { target, .. } = intent.action else { return true };
    !state.ledger.get(target).is_some_and(|order| {
        order.state.is_exposed()
            && order.filled.is_zero()
            && !order.reduce_only
            && order.strategy == intent.strategy
            && order.instrument == intent.instrument
    })
}

pub(in crate::risk) fn switch(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.repeat.switch(case.intent.strategy)
}

pub(in crate::risk) fn news(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.own(case.intent.instrument)?.calm.news(case.state.now_ns)
}

pub(in crate::risk) fn data_quality(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.own(case.intent.instrument)?.calm.quality(case.state.now_ns)
}

pub(in crate::risk) fn spread(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.own(case.intent.instrument)?.calm.spread()
}

pub(in crate::risk) fn volatility(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.own(case.intent.instrument)?.calm.volatility(case.state.now_ns)
}

/// Near every middle of the period, not only the last: a price that the market ran to within a minute is no reference.
pub(in crate::risk) fn period_collar(case: &Case<'_>) -> Result<(), Reason> {
    let lately = &case.state.lately;
    let own = lately.own(case.intent.instrument)?;
    let (low, high) = own.calm.period.bounds().ok_or(Reason::ReferenceMissing)?;
    let price = i128::from(case.spec.price.units());
    let near = |middle: crate::types::Price| {
        let middle = i128::from(middle.units());
        (price - middle).abs() * 10_000 <= middle * lately.collar_period_bp
    };
    if near(low) && near(high) { Ok(()) } else { Err(Reason::PeriodCollar) }
}

pub(in crate::risk) fn position_limit(case: &Case<'_>) -> Result<(), Reason> {
    let lately = &case.state.lately;
    let own = lately.own(case.intent.instrument)?;
    let value = i128::from(case.value.units());
    if lately.groups.own(case.intent.instrument).saturating_add(value) > own.exposure_max {
        return Err(Reason::PositionLimit);
    }
    let Some(max) = own.position_max else { return Ok(()) };
    let working = match case.spec.side {
        Side::Buy => case.slot.buys,
        Side::Sell => case.slot.sells,
    };
    if within(case.slot.position.qty, working, case.spec, max) { Ok(()) } else { Err(Reason::PositionLimit) }
}

pub(in crate::risk) fn correlation(case: &Case<'_>) -> Result<(), Reason> {
    let lately = &case.state.lately;
    lately.groups.room(case.intent.instrument, case.value)?;
    let Some(together) = lately.moves.together() else { return Ok(()) };
    lately.groups.room_measured(case.intent.instrument, case.value, together)
}

pub(in crate::risk) fn repeat(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.repeat.room(case.intent.strategy, case.state.now_ns)
}

pub(in crate::risk) fn fan_out(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.fan_out.room(case.intent.cause_seq, case.value)
}

pub(in crate::risk) fn interval(case: &Case<'_>) -> Result<(), Reason> {
    let own = case.state.lately.own(case.intent.instrument)?;
    own.pace.interval(case.state.now_ns).or_else(|reason| continued(case, reason))
}

pub(in crate::risk) fn daily(case: &Case<'_>) -> Result<(), Reason> {
    let own = case.state.lately.own(case.intent.instrument)?;
    own.pace.daily(case.state.now_ns).or_else(|reason| continued(case, reason))
}

/// What goes on with a decision is not refused for coming too soon after it.
fn continued(case: &Case<'_>, reason: Reason) -> Result<(), Reason> {
    if is_decision(case.state, case.intent) { Err(reason) } else { Ok(()) }
}

pub(in crate::risk) fn cooldown(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.own(case.intent.instrument)?.pace.cooldown(case.state.now_ns)
}

pub(in crate::risk) fn gain(case: &Case<'_>) -> Result<(), Reason> {
    let own = case.state.lately.own(case.intent.instrument)?;
    own.pace.gain(&case.intent.claim, case.slot.bid.price, case.slot.ask.price)
}

pub(in crate::risk) fn confidence(case: &Case<'_>) -> Result<(), Reason> {
    case.state.lately.own(case.intent.instrument)?.pace.confidence(&case.intent.claim)
}
