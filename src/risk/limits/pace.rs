//! Trade gate and turnover governor (R-LIM-7): how often an instrument is entered, and whether an entry is worth it.

use super::config::PaceFigures;
use super::window::{NEVER, is_within};
use crate::event::{CarriedPace, Claim};
use crate::types::time::NS_PER_S;
use crate::types::{Cash, Instrument, InstrumentId, Position, Price, Reason};

const NS_PER_DAY: i64 = 86_400 * NS_PER_S;

/// One instrument's pace.
#[derive(Clone, Copy, Debug)]
pub(in crate::risk) struct Pace {
    /// Whether it holds at all.
    holds: bool,
    interval_ns: i64,
    per_day_max: u32,
    gain_min_percent: i128,
    confidence_min_bp: u16,
    cooldown_losses: u32,
    cooldown_ns: i64,
    fees_centi_bp: i128,
    last_ns: i64,
    day: i64,
    decisions: u32,
    losses: u32,
    rest_until_ns: i64,
    /// Result of the instrument, fees taken off, when it was last flat.
    flat_result: i128,
}

impl Pace {
    pub(in crate::risk) fn new(figures: &PaceFigures, fees_centi_bp: u32, holds: bool) -> Self {
        Self {
            holds,
            interval_ns: i64::from(figures.interval_min_s) * NS_PER_S,
            per_day_max: figures.decisions_per_day_max,
            gain_min_percent: figures.gain_min_percent.into(),
            confidence_min_bp: u16::try_from(figures.confidence_min_percent * 100).unwrap_or(u16::MAX),
            cooldown_losses: figures.cooldown_losses,
            cooldown_ns: i64::from(figures.cooldown_s) * NS_PER_S,
            fees_centi_bp: fees_centi_bp.into(),
            last_ns: NEVER,
            day: 0,
            decisions: 0,
            losses: 0,
            rest_until_ns: NEVER,
            flat_result: 0,
        }
    }

    pub(in crate::risk) const fn interval(&self, now_ns: i64) -> Result<(), Reason> {
        if self.holds && is_within(now_ns, self.last_ns, self.interval_ns) {
            return Err(Reason::TurnoverInterval);
        }
        Ok(())
    }
    pub(in crate::risk) const fn daily(&self, now_ns: i64) -> Result<(), Reason> {
        let today = self.day == now_ns.div_euclid(NS_PER_DAY);
        if self.holds && self.per_day_max > 0 && today && self.decisions >= self.per_day_max {
            return Err(Reason::TurnoverDaily);
        }
        Ok(())
    }
    pub(in crate::risk) const fn cooldown(&self, now_ns: i64) -> Result<(), Reason> {
        if self.holds && now_ns < self.rest_until_ns { Err(Reason::Cooldown) } else { Ok(()) }
    }
    /// The gain against fees and spread; without a quote the cost is not known.
    pub(in crate::risk) fn gain(&self, claim: &Claim, bid: Price, ask: Price) -> Result<(), Reason> {
        if !self.holds || self.gain_min_percent == 0 {
            return Ok(());
        }
        if bid <= Price::ZERO || ask <= bid {
            return Err(Reason::TurnoverValue);
        }
        let middle = i128::from(i64::midpoint(bid.units(), ask.units()));
        let spread = i128::from(ask.units()) - i128::from(bid.units());
        // Both sides times the middle and 100, so that nothing is divided. Far inside: 2^63 * 10^6 * 10^4 < 2^97.
        let cost = self.fees_centi_bp * middle + spread * 1_000_000;
        let worth = i128::from(claim.gain_centi_bp) * middle * 100 >= cost * self.gain_min_percent;
        if worth { Ok(()) } else { Err(Reason::TurnoverValue) }
    }
    pub(in crate::risk) const fn confidence(&self, claim: &Claim) -> Result<(), Reason> {
        if self.holds && claim.confidence_bp < self.confidence_min_bp {
            return Err(Reason::TurnoverConfidence);
        }
        Ok(())
    }

    /// An entry was decided on.
    pub(in crate::risk) const fn on_decision(&mut self, now_ns: i64) {
        let day = now_ns.div_euclid(NS_PER_DAY);
        if day != self.day {
            (self.day, self.decisions) = (day, 0);
        }
        self.decisions = self.decisions.saturating_add(1);
        self.last_ns = now_ns;
    }

    /// A fill was booked: when nothing that could be sold is left, a trade has ended, and its result counts.
    pub(in crate::risk) fn on_position(&mut self, position: &Position, instrument: &Instrument, now_ns: i64) {
        let least = instrument.lot.min.units().max(instrument.lot.step.units()).max(1);
        if position.qty.units().unsigned_abs() >= least.unsigned_abs() {
            return;
        }
        let result = result_of(position);
        if result < self.flat_result {
            self.losses += 1;
            if self.losses >= self.cooldown_losses {
                self.losses = 0;
                self.rest_until_ns = now_ns.saturating_add(self.cooldown_ns);
            }
        } else {
            self.losses = 0;
        }
        self.flat_result = result;
    }

    /// A position from an earlier session: what it has realised by then is of earlier trades.
    pub(in crate::risk) fn on_carried(&mut self, position: &Position) {
        self.flat_result = result_of(position);
    }

    /// What an earlier session left.
    pub(in crate::risk) fn restore(&mut self, carried: &CarriedPace) {
        let time = |ns: i64| if ns == 0 { NEVER } else { ns };
        (self.last_ns, self.rest_until_ns) = (time(carried.last_ns), time(carried.rest_until_ns));
        (self.day, self.decisions, self.losses) = (carried.day.into(), carried.decisions, carried.losses);
        self.flat_result = carried.flat_result.units().into();
    }
    /// What the next session has to know; `None` if nothing happened.
    pub(in crate::risk) fn carried(&self, instrument: InstrumentId) -> Option<CarriedPace> {
        let time = |ns: i64| if ns == NEVER { 0 } else { ns };
        let wide = self.flat_result.clamp(i64::MIN.into(), i64::MAX.into());
        let carried = CarriedPace {
            instrument,
            last_ns: time(self.last_ns),
            day: i32::try_from(self.day).unwrap_or(i32::MAX),
            decisions: self.decisions,
            losses: self.losses,
            rest_until_ns: time(self.rest_until_ns),
            flat_result: Cash::from_units(i64::try_from(wide).unwrap_or(0)),
        };
        (carried != CarriedPace { instrument, ..CarriedPace::default() }).then_some(carried)
    }
}

fn result_of(position: &Position) -> i128 {
    let (realised, fees): (Cash, Cash) = (position.realised(), position.fees);
    i128::from(realised.units()) - i128::from(fees.units())
}
