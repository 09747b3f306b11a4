//! The figures of the layers (R-LIM-4, 5, 8, 9), as configuration. Each has a default, a range and a reason.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::types::Cash;

/// `[risk.layers]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LayersConfig {
    /// The money that the engine was given to trade with, in the quote currency: what percentages are of. Equity is this and
    /// the result of everything since the record began; deposits and other holdings of the account are not looked at.
    pub capital: Cash,
    /// L1: most that one entry may lose, in hundredths of a percent of equity: from its price to its stop, or its whole value
    /// where there is no stop.
    pub risk_per_trade_bp: u32,
    /// L2: most that a day (UTC) may lose, unrealised losses included, in hundredths of a percent of the day's first equity.
    /// Of the configuration's `risk.daily_loss_max_bp` and the bounded figures, the tighter.
    #[serde(skip)]
    pub daily_loss_bp: u32,
    /// L2: the same as an amount, of `risk.daily_loss_max`; 0 = only the percentage.
    #[serde(skip)]
    pub daily_loss_max: Cash,
    /// L3: so many losses of a strategy in a row disable it until a named person enables it.
    pub losses_in_a_row_max: u32,
    /// L3 in mode demo as well, where strategies trade against random flow and nothing is at stake.
    pub breaker_in_demo: bool,
    /// Not of the configuration: what the mode and the switch above come to.
    #[serde(skip)]
    pub is_breaker_off: bool,
    /// L4: drawdown from the highest equity at which everything stops, in hundredths of a percent.
    pub drawdown_bp: u32,
    /// L4: whether positions are closed too.
    pub flatten_on_emergency: bool,
    /// How long a loss must stand before L2 and L4 act on it. Entries are held back from its first moment; what a single wrong
    /// quote must not do is to close positions.
    pub confirm_ms: u32,
    /// How far a strategy's weight moves on one day, in hundredths of a percent of full size.
    pub weight_step_bp: u32,
    /// Weights by strategy name, in hundredths of a percent of full size; 10000 where none is given.
    pub weights: BTreeMap<String, u32>,
    /// Capital preservation.
    pub preservation: PreservationConfig,
    /// Ramp stages.
    pub ramp: RampConfig,
}

/// `[risk.layers.preservation]`: what each level above normal needs and does: cautious, defensive, crisis, lockdown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PreservationConfig {
    /// Drawdown from which a level is in force, in hundredths of a percent.
    pub drawdown_bp: [u32; 4],
    /// Size of entries, in percent of what a strategy asks for.
    pub size_percent: [u32; 4],
    /// Hours without a new low after which the level falls by one.
    pub recovery_h: [u32; 4],
}

/// Which stage of the ramp holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RampStage {
    /// None: only the layers bind.
    #[default]
    Off,
    /// Stage 0: the first 30 days or 20 trades.
    Canary,
    /// Stage 1: after a good canary.
    First,
    /// Stage 2: stable for more than 60 days.
    Second,
}

impl RampStage {
    /// Index of its figures; `None` when off.
    pub const fn index(self) -> Option<usize> {
        match self {
            Self::Off => None,
            Self::Canary => Some(0),
            Self::First => Some(1),
            Self::Second => Some(2),
        }
    }
    /// The stage of a number.
    pub const fn of(index: usize) -> Option<Self> {
        match index {
            0 => Some(Self::Canary),
            1 => Some(Self::First),
            2 => Some(Self::Second),
            _ => None,
        }
    }
}

/// `[risk.layers.ramp]`: the handover manual's table (R-LIM-4). A stage binds where it is tighter than the layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RampConfig {
    /// The stage in force. Advancing is a change of configuration: a new hash, armed anew.
    pub stage: RampStage,
    /// Risk per trade by stage, in hundredths of a percent of equity.
    pub risk_per_trade_bp: [u32; 3],
    /// Daily loss by stage, the same.
    pub daily_loss_bp: [u32; 3],
    /// Entries a day by stage; 0 = as many as the other limits let in.
    pub entries_a_day: [u32; 3],
}

impl Default for LayersConfig {
    fn default() -> Self {
        Self {
            capital: Cash::from_units(10_000 * Cash::ONE.units()),
            risk_per_trade_bp: 250,
            daily_loss_bp: 500,
            daily_loss_max: Cash::ZERO,
            losses_in_a_row_max: 5,
            breaker_in_demo: false,
            is_breaker_off: false,
            drawdown_bp: 1_500,
            flatten_on_emergency: true,
            confirm_ms: 1_000,
            weight_step_bp: 1_000,
            weights: BTreeMap::new(),
            preservation: PreservationConfig::default(),
            ramp: RampConfig::default(),
        }
    }
}

impl Default for PreservationConfig {
    fn default() -> Self {
        Self {
            drawdown_bp: [300, 600, 900, 1_200],
            size_percent: [75, 50, 25, 0],
            recovery_h: [24, 24, 48, 72],
        }
    }
}

impl Default for RampConfig {
    fn default() -> Self {
        Self {
            stage: RampStage::Off,
            risk_per_trade_bp: [10, 15, 20],
            daily_loss_bp: [50, 50, 100],
            entries_a_day: [1, 0, 0],
        }
    }
}

/// A figure of the layers that can't be used: its key, its value and what would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayersError {
    /// The key below `risk`.
    pub key: String,
    /// What was given.
    pub value: String,
    /// What would do, and why.
    pub wanted: String,
}

impl fmt::Display for LayersError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "risk.{} = {} can't be used: {}", self.key, self.value, self.wanted)
    }
}

impl std::error::Error for LayersError {}

/// A billion: as for the other limits.
const MONEY_MAX: i64 = 1_000_000_000 * Cash::ONE.units();

impl LayersConfig {
    /// Whether every figure is in its range and they fit together.
    pub fn check(&self) -> Result<(), LayersError> {
        let wrong = |key: &str, value: String, wanted: &str| {
            Err(LayersError { key: key.to_owned(), value, wanted: wanted.to_owned() })
        };
        if self.capital <= Cash::ZERO || self.capital.units() > MONEY_MAX {
            return wrong("layers.capital", self.capital.to_string(), "0.00000001 to 1000000000");
        }
        if self.daily_loss_max < Cash::ZERO || self.daily_loss_max.units() > MONEY_MAX {
            return wrong("layers.daily_loss_max", self.daily_loss_max.to_string(), "0 (none) to 1000000000");
        }
        let figures: [(&str, u32, u32, u32, &str); 6] = [
            ("layers.risk_per_trade_bp", self.risk_per_trade_bp, 1, 250, "a trade may lose 2.5 % at most"),
            ("layers.daily_loss_bp", self.daily_loss_bp, 1, 500, "a day may lose 5 % at most"),
            ("layers.losses_in_a_row_max", self.losses_in_a_row_max, 1, 5, "five losses disable"),
            ("layers.drawdown_bp", self.drawdown_bp, 1, 1_500, "a drawdown of 15 % ends it"),
            ("layers.confirm_ms", self.confirm_ms, 0, 60_000, "a loss that stands is a loss"),
            ("layers.weight_step_bp", self.weight_step_bp, 1, 1_000, "a weight moves by 10 % a day at most"),
        ];
        for (key, value, min, max, why) in figures {
            if value < min || value > max {
                return wrong(key, value.to_string(), &format!("{min} to {max} ({why})"));
            }
        }
        if let Some((name, weight)) = self.weights.iter().find(|(_, weight)| **weight > FULL_BP) {
            return wrong(&format!("layers.weights.{name}"), weight.to_string(), "0 to 10000 (full size)");
        }
        self.preservation.check(self.drawdown_bp)?;
        self.ramp.check()
    }

    /// The risk per trade in force: the layer's or the ramp's, whichever is tighter.
    pub fn trade_bp(&self) -> u32 {
        let ramp = self.ramp.stage.index().map_or(u32::MAX, |at| self.ramp.risk_per_trade_bp[at]);
        self.risk_per_trade_bp.min(ramp)
    }
    /// The daily loss in force, likewise.
    pub fn day_bp(&self) -> u32 {
        let ramp = self.ramp.stage.index().map_or(u32::MAX, |at| self.ramp.daily_loss_bp[at]);
        self.daily_loss_bp.min(ramp)
    }
    /// Entries a day; `None` = the ramp sets no bound.
    pub fn entries_max(&self) -> Option<u32> {
        self.ramp.stage.index().map(|at| self.ramp.entries_a_day[at]).filter(|&max| max > 0)
    }
    /// A strategy's weight as configured.
    pub fn weight_bp(&self, name: &str) -> u32 {
        self.weights.get(name).copied().unwrap_or(FULL_BP)
    }
}

/// Full size, in hundredths of a percent.
pub const FULL_BP: u32 = 10_000;

impl PreservationConfig {
    fn check(&self, emergency_bp: u32) -> Result<(), LayersError> {
        let wrong = |key: &str, value: &[u32; 4], wanted: &str| {
            let key = format!("layers.preservation.{key}");
            Err(LayersError { key, value: format!("{value:?}"), wanted: wanted.to_owned() })
        };
        let (levels, sizes) = (&self.drawdown_bp, &self.size_percent);
        if levels[0] == 0 || levels.windows(2).any(|pair| pair[0] >= pair[1]) || levels[3] > emergency_bp {
            let wanted = format!("four rising figures, the last not above drawdown_bp = {emergency_bp}");
            return wrong("drawdown_bp", levels, &wanted);
        }
        if sizes[0] > 100 || sizes.windows(2).any(|pair| pair[0] < pair[1]) || sizes[3] != 0 {
            return wrong(
                "size_percent",
                sizes,
                "four falling figures up to 100, the last 0: lockdown enters nothing",
            );
        }
        if self.recovery_h.iter().any(|&hours| !(1..=8_760).contains(&hours)) {
            return wrong("recovery_h", &self.recovery_h, "1 to 8760 hours each: time is what recovers");
        }
        Ok(())
    }
}

impl RampConfig {
    fn check(&self) -> Result<(), LayersError> {
        let bounds = [
            ("risk_per_trade_bp", &self.risk_per_trade_bp, 250),
            ("daily_loss_bp", &self.daily_loss_bp, 500),
        ];
        for (key, values, max) in bounds {
            if values.iter().any(|&v| v == 0 || v > max) || values.windows(2).any(|pair| pair[0] > pair[1]) {
                return Err(LayersError {
                    key: format!("layers.ramp.{key}"),
                    value: format!("{values:?}"),
                    wanted: format!("three figures that do not fall, 1 to {max}: each stage allows more"),
                });
            }
        }
        Ok(())
    }
}
