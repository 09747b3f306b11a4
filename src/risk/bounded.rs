//! Bounded live (R-LIM-1, R-LIM-2): the small figures under which a system first meets a real venue. Where it is enforced, the
//! tighter of these and `[risk]` holds, and no figure may be above its phase's.

use serde::{Deserialize, Deserializer, Serialize};

use super::config::{RiskConfig, RiskConfigError};
use super::limits::config::Apply;
use crate::types::Cash;

/// `[bounded_live]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoundedLive {
    /// Whether this is a bounded session. Live refuses to start without.
    pub enabled: bool,
    /// 0 = rehearsal on a testnet, 1 = the first weeks of live, 2 = after the review of phase 1.
    pub phase: u8,
    /// The figures of phases 0 and 1.
    pub limits: BoundedLimits,
    /// Whether they bind.
    pub enforcement: Enforcement,
    /// Who is told.
    pub monitoring: Monitoring,
}

/// `[bounded_live.limits]`, and `[bounded_live_phase2]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BoundedLimits {
    /// Largest value of one order.
    #[serde(deserialize_with = "money")]
    pub max_order_notional: Cash,
    /// Largest total exposure.
    #[serde(deserialize_with = "money")]
    pub max_total_notional: Cash,
    /// Positions that may be open at once.
    pub max_open_positions: u32,
    /// Largest loss of a day (UTC) in the quote currency.
    #[serde(deserialize_with = "money")]
    pub max_daily_loss_abs: Cash,
    /// Largest loss of a day in percent of the day's first equity, two decimals at most. Kept as an exact decimal.
    #[serde(deserialize_with = "money")]
    pub max_daily_loss_pct: Cash,
}

/// `[bounded_live.enforcement]`: live refuses to start unless it is `true`, `false`, `true`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Enforcement {
    /// Whether the limits bind; without it they are only shown.
    pub enforce_limits: bool,
    /// Whether figures above the phase's are let in. Never in live.
    pub allow_override: bool,
    /// Whether each session needs its operator's confirmation.
    pub require_operator_confirmation: bool,
}

/// `[bounded_live.monitoring]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Monitoring {
    /// An event when four fifths of a limit are used.
    pub alert_on_warning: bool,
    /// An event when a limit is passed (by prices that move; orders can't).
    pub alert_on_breach: bool,
    /// Whether it is looked at every second, not only when orders come.
    pub continuous_monitoring: bool,
}

impl Default for BoundedLive {
    fn default() -> Self {
        Self {
            enabled: false,
            phase: 1,
            limits: BoundedLimits::default(),
            enforcement: Enforcement::default(),
            monitoring: Monitoring::default(),
        }
    }
}

impl Default for Enforcement {
    fn default() -> Self {
        Self { enforce_limits: true, allow_override: false, require_operator_confirmation: true }
    }
}

impl Default for Monitoring {
    fn default() -> Self {
        Self { alert_on_warning: true, alert_on_breach: true, continuous_monitoring: true }
    }
}

const fn whole(units: i64) -> Cash {
    Cash::from_units(units * Cash::ONE.units())
}

const fn limits(order: i64, total: i64, positions: u32, loss: i64) -> BoundedLimits {
    BoundedLimits {
        max_order_notional: whole(order),
        max_total_notional: whole(total),
        max_open_positions: positions,
        max_daily_loss_abs: whole(loss),
        max_daily_loss_pct: whole(5),
    }
}

/// The most that each phase allows: testnet, phase 1, phase 2 (R-LIM-1, R-LIM-2).
pub const PHASES: [BoundedLimits; 3] =
    [limits(100, 500, 3, 100), limits(50, 500, 2, 100), limits(100, 1_000, 3, 200)];

impl Default for BoundedLimits {
    /// Phase 1's.
    fn default() -> Self {
        let [_, first, _] = PHASES;
        first
    }
}

impl BoundedLimits {
    /// Phase 2's.
    pub fn phase2() -> Self {
        let [.., second] = PHASES;
        second
    }
}

/// An amount: decimal text, or a number as the seeds write it (`50.0`), taken by its digits.
fn money<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cash, D::Error> {
    let value = toml::Value::deserialize(deserializer)?;
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Cash::parse(text.as_bytes())
        .map_err(|e| serde::de::Error::custom(format_args!("amount {text:?}: {e}; write it like 50.0")))
}

impl BoundedLive {
    /// The figures that hold in its phase.
    pub const fn in_force<'a>(&'a self, phase2: &'a BoundedLimits) -> &'a BoundedLimits {
        if self.phase >= 2 { phase2 } else { &self.limits }
    }

    /// Whether its figures bind.
    pub const fn binds(&self) -> bool {
        self.enabled && self.enforcement.enforce_limits
    }

    /// What keeps it from being the bounds of a live session (R-GATE-4); empty when nothing does.
    pub fn live_faults(&self, risk: &RiskConfig) -> Vec<String> {
        let e = &self.enforcement;
        let never = |apply: Apply| apply != Apply::Never;
        let wanted = [
            (self.enabled, "bounded_live.enabled = true"),
            (matches!(self.phase, 1 | 2), "bounded_live.phase = 1 or 2"),
            (e.enforce_limits, "bounded_live.enforcement.enforce_limits = true"),
            (!e.allow_override, "bounded_live.enforcement.allow_override = false"),
            (
                e.require_operator_confirmation,
                "bounded_live.enforcement.require_operator_confirmation = true",
            ),
            (never(risk.turnover.apply), "risk.turnover.apply = \"auto\""),
            (never(risk.repeat.apply), "risk.repeat.apply = \"auto\""),
        ];
        wanted.into_iter().filter(|(holds, _)| !holds).map(|(_, what)| what.to_owned()).collect()
    }

    /// Whether the figures are sound and, unless overrides are allowed, within their phase's.
    pub fn check(&self, phase2: &BoundedLimits) -> Result<(), RiskConfigError> {
        let wrong = |key: &str, what: String| Err(RiskConfigError::Bounded { key: key.to_owned(), what });
        let Some(most) = PHASES.get(usize::from(self.phase)) else {
            return wrong("bounded_live.phase", format!("{} is none of 0, 1, 2", self.phase));
        };
        let place = if self.phase >= 2 { "bounded_live_phase2" } else { "bounded_live.limits" };
        let given = self.in_force(phase2);
        let rows = [
            ("max_order_notional", given.max_order_notional, most.max_order_notional),
            ("max_total_notional", given.max_total_notional, most.max_total_notional),
            ("max_open_positions", count(given.max_open_positions), count(most.max_open_positions)),
            ("max_daily_loss_abs", given.max_daily_loss_abs, most.max_daily_loss_abs),
            ("max_daily_loss_pct", given.max_daily_loss_pct, most.max_daily_loss_pct),
        ];
        for (key, value, max) in rows {
            let key = format!("{place}.{key}");
            if value <= Cash::ZERO {
                return wrong(&key, format!("{value} would never trade"));
            }
            if value > max && !self.enforcement.allow_override {
                let phase = self.phase;
                return wrong(&key, format!("{value} is over the {max} that phase {phase} allows"));
            }
        }
        let pct = given.max_daily_loss_pct;
        if pct > whole(100) || pct.units() % PER_BP != 0 {
            let key = format!("{place}.max_daily_loss_pct");
            return wrong(&key, format!("{pct} is no percentage up to 100 with at most two decimals"));
        }
        Ok(())
    }
}

/// Cash units of a hundredth of a percent.
const PER_BP: i64 = Cash::ONE.units() / 100;

fn count(n: u32) -> Cash {
    Cash::from_units(i64::from(n).saturating_mul(Cash::ONE.units()))
}

impl RiskConfig {
    /// The limits of a session: the tighter of these and the bounded ones, where those bind.
    #[must_use]
    pub fn bounded_by(&self, bounded: &BoundedLive, phase2: &BoundedLimits) -> Self {
        let mut tight = self.clone();
        if !bounded.binds() {
            return tight;
        }
        let limits = bounded.in_force(phase2);
        tight.order_value_max = tight.order_value_max.min(limits.max_order_notional);
        tight.exposure_max = tight.exposure_max.min(limits.max_total_notional);
        tight.open_positions_max = tight.open_positions_max.min(limits.max_open_positions);
        tight.daily_loss_max = tight.daily_loss_max.min(limits.max_daily_loss_abs);
        let bp = u32::try_from(limits.max_daily_loss_pct.units() / PER_BP).unwrap_or(u32::MAX);
        tight.daily_loss_max_bp = tight.daily_loss_max_bp.min(bp);
        tight
    }
}
