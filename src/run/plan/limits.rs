//! From the sections to the limits of a session: the tighter of `[risk]` and the bounded figures, and what `auto` means in a
//! mode. A function of the plan alone, so that a replay, which has the plan from the session's header, gets the same.

use super::{ConfigError, Mode, Plan};
use crate::risk::{PacePatch, RiskConfig, TurnoverConfig};
use crate::types::Qty;

/// `PAPER_LIVE_TURNOVER_MIN_RATIO` and `PAPER_LIVE_TURNOVER_MAX_DAILY` as they are in the environment (R-LIM-7, seed 002).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TurnoverOverrides {
    /// Least expected gain as a multiple of the cost, as in `2.5`.
    pub min_ratio: Option<String>,
    /// Most decisions a day, as in `8`.
    pub max_daily: Option<String>,
}

impl TurnoverOverrides {
    fn is_empty(&self) -> bool {
        self.min_ratio.is_none() && self.max_daily.is_none()
    }
}

impl Plan {
    /// The limits that risk is made with.
    pub fn limits(&self) -> RiskConfig {
        let mut limits = self.risk.bounded_by(&self.bounded_live, &self.bounded_live_phase2);
        // A bounded session is in earnest, whatever stands at its ends.
        let demo = self.mode == Mode::Demo && !self.bounded_live.binds();
        limits.turnover.apply = limits.turnover.apply.resolved(demo);
        limits.repeat.apply = limits.repeat.apply.resolved(demo);
        limits.correlation.measure = limits.correlation.measure.resolved(demo);
        limits.layers.is_breaker_off = demo && !limits.layers.breaker_in_demo;
        limits.layers.daily_loss_max = limits.daily_loss_max;
        limits.layers.daily_loss_bp = limits.layers.daily_loss_bp.min(limits.daily_loss_max_bp);
        limits
    }

    /// Applies what the environment says of the turnover governor: in paper, and nowhere else. The line to log, if there is
    /// anything to say.
    pub fn override_turnover(&mut self, given: &TurnoverOverrides) -> Result<Option<String>, ConfigError> {
        if given.is_empty() {
            return Ok(None);
        }
        let shown = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
        let words = format!("min_ratio={} max_daily={}", shown(&given.min_ratio), shown(&given.max_daily));
        if self.mode != Mode::Paper {
            let mode = self.mode.name();
            return Ok(Some(format!("Paper-live turnover overrides ignored in mode {mode}: {words}")));
        }
        let patch = PacePatch {
            gain_min_percent: given.min_ratio.as_deref().map(ratio_percent).transpose()?,
            decisions_per_day_max: given.max_daily.as_deref().map(daily).transpose()?,
            ..PacePatch::default()
        };
        let turnover: &mut TurnoverConfig = &mut self.risk.turnover;
        turnover.all = turnover.all.patched(&patch);
        turnover.btc = turnover.btc.patched(&patch);
        for own in turnover.symbols.values_mut() {
            own.gain_min_percent = patch.gain_min_percent.or(own.gain_min_percent);
            own.decisions_per_day_max = patch.decisions_per_day_max.or(own.decisions_per_day_max);
        }
        self.risk.check().map_err(|error| ConfigError::Inconsistent(error.to_string()))?;
        Ok(Some(format!("Paper-live turnover overrides active: {words}")))
    }
}

fn ratio_percent(text: &str) -> Result<u32, ConfigError> {
    let hundredths =
        Qty::parse(text.trim().as_bytes()).ok().map(|ratio| ratio.units() / (Qty::ONE.units() / 100));
    hundredths.and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=10_000).contains(n)).ok_or_else(|| {
        ConfigError::Inconsistent(format!(
            "PAPER_LIVE_TURNOVER_MIN_RATIO={text:?} is no multiple of the cost from 0.01 to 100, like 2.5; unset or correct it"
        ))
    })
}

fn daily(text: &str) -> Result<u32, ConfigError> {
    text.trim().parse().ok().filter(|n| (1..=1_000_000).contains(n)).ok_or_else(|| {
        ConfigError::Inconsistent(format!(
            "PAPER_LIVE_TURNOVER_MAX_DAILY={text:?} is no number of decisions from 1 to 1000000, like 8; unset or correct it"
        ))
    })
}
