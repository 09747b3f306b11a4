//! By strategy: losses in a row (L3), weights.
//!
//! A trade of a strategy is a round trip: from the first fill that opens a position on an instrument to the one that leaves
//! nothing of it that the venue would take. What it brought is realised profit less fees; below zero it is a loss.

use crate::event::layers::Booking;
use crate::event::layers::config::{FULL_BP, LayersConfig};
use crate::event::{CarriedPosition, CarriedStrategy};
use crate::limits::STRATEGIES_MAX;
use crate::types::{Cash, Instrument, InstrumentId, Position, StrategyId};

#[derive(Clone, Copy, Debug)]
struct Streak {
    losses: u32,
    trades: u32,
    disabled: bool,
    weight_bp: u32,
    target_bp: u32,
    weight_day: i32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Own {
    position: Position,
    /// Result on this instrument when the open trade began.
    opened: i64,
}

/// All strategies.
#[derive(Clone, Debug)]
pub(super) struct Streaks {
    losses_max: u32,
    instruments: usize,
    by_strategy: Box<[Streak]>,
    /// By strategy, then instrument.
    own: Box<[Own]>,
}

impl Streaks {
    pub(super) fn new(config: &LayersConfig, instruments: usize) -> Self {
        let fresh = Streak {
            losses: 0,
            trades: 0,
            disabled: false,
            weight_bp: FULL_BP,
            target_bp: FULL_BP,
            weight_day: i32::MIN,
        };
        Self {
            losses_max: if config.is_breaker_off { u32::MAX } else { config.losses_in_a_row_max },
            instruments,
            by_strategy: vec![fresh; STRATEGIES_MAX].into_boxed_slice(),
            own: vec![Own::default(); STRATEGIES_MAX * instruments].into_boxed_slice(),
        }
    }

    fn at(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<usize> {
        let (row, column) = (usize::from(strategy.0), instrument.index());
        (row < STRATEGIES_MAX && column < self.instruments).then(|| row * self.instruments + column)
    }

    pub(super) fn restore(&mut self, carried: &CarriedPosition) {
        let Some(at) = self.at(carried.strategy, carried.instrument) else { return };
        self.own[at] = Own { position: carried.position.into(), opened: carried.opened.units() };
    }

    pub(super) fn restore_strategy(&mut self, carried: &CarriedStrategy) {
        let Some(streak) = self.by_strategy.get_mut(usize::from(carried.strategy.0)) else { return };
        *streak = Streak {
            losses: carried.losses,
            trades: carried.trades,
            disabled: carried.disabled,
            weight_bp: carried.weight_bp.min(FULL_BP),
            target_bp: carried.target_bp.min(FULL_BP),
            weight_day: carried.weight_day,
        };
    }

    /// Each by its id.
    pub(super) fn carried(&self) -> impl Iterator<Item = CarriedStrategy> + '_ {
        (0u8..).zip(self.by_strategy.iter()).map(|(id, streak)| CarriedStrategy {
            strategy: StrategyId(id),
            losses: streak.losses,
            trades: streak.trades,
            disabled: streak.disabled,
            weight_bp: streak.weight_bp,
            target_bp: streak.target_bp,
            weight_day: streak.weight_day,
        })
    }

    pub(super) fn own(&self, strategy: StrategyId, instrument: InstrumentId) -> Option<(Position, Cash)> {
        let own = &self.own[self.at(strategy, instrument)?];
        Some((own.position, Cash::from_units(own.opened)))
    }

    /// Books a fill of a strategy; how many of its trades it ended.
    pub(super) fn book(&mut self, booking: &Booking<'_>) -> Option<u32> {
        let at = self.at(booking.owner, booking.instrument.id)?;
        let own = &mut self.own[at];
        let was = own.position;
        // A sum that left its range stays as it was; risk freezes the instrument over the same fill.
        booking.fill.book(&mut own.position, booking.instrument).ok()?;
        let held_before = holds(&was, booking.instrument);
        let turned = was.qty.units().signum() * own.position.qty.units().signum() < 0;
        let ends = held_before && (turned || !holds(&own.position, booking.instrument));
        if !held_before {
            own.opened = result(&was);
        }
        if !ends {
            return None;
        }
        let now = result(&own.position);
        let gain = now.saturating_sub(own.opened);
        own.opened = now;
        let streak = &mut self.by_strategy[usize::from(booking.owner.0)];
        streak.trades = streak.trades.saturating_add(1);
        streak.losses = if gain < 0 { streak.losses.saturating_add(1) } else { 0 };
        streak.disabled |= streak.losses >= self.losses_max;
        Some(1)
    }

    /// Moves each weight by at most a step towards what is configured.
    pub(super) fn begin_day(&mut self, day: i32, step_bp: u32) {
        for streak in &mut self.by_strategy {
            if day > streak.weight_day {
                streak.weight_day = day;
                let low = streak.weight_bp.saturating_sub(step_bp);
                streak.weight_bp = streak.target_bp.clamp(low, streak.weight_bp.saturating_add(step_bp));
            }
        }
    }

    pub(super) fn enable(&mut self, strategy: StrategyId) {
        if let Some(streak) = self.by_strategy.get_mut(usize::from(strategy.0)) {
            (streak.disabled, streak.losses) = (false, 0);
        }
    }

    pub(super) fn disable(&mut self, strategy: StrategyId) {
        if let Some(streak) = self.by_strategy.get_mut(usize::from(strategy.0)) {
            streak.disabled = true;
        }
    }

    /// The operator is no strategy; one that is not known is disabled.
    #[inline]
    pub(super) fn is_disabled(&self, strategy: StrategyId) -> bool {
        strategy != StrategyId::OPERATOR
            && self.by_strategy.get(usize::from(strategy.0)).is_none_or(|streak| streak.disabled)
    }

    #[inline]
    pub(super) fn weight_bp(&self, strategy: StrategyId) -> u32 {
        if strategy == StrategyId::OPERATOR {
            return FULL_BP;
        }
        self.by_strategy.get(usize::from(strategy.0)).map_or(0, |streak| streak.weight_bp)
    }
}

/// Realised profit less fees.
fn result(position: &Position) -> i64 {
    position.realised().units().saturating_sub(position.fees.units())
}

/// Whether a position is one: what is too small to be sold is none.
fn holds(position: &Position, instrument: &Instrument) -> bool {
    position.qty.units().unsigned_abs() >= instrument.lot.min.units().max(1).unsigned_abs()
}
