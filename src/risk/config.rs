//! Our own limits, as configuration. Every figure has a default, a range and a reason; none can be switched off by leaving
//! it out.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::limits::config::{
    CorrelationConfig, FanOutConfig, GROUPS_MAX, NoTradeConfig, RepeatConfig, SymbolLimits, TurnoverConfig,
    check,
};
use crate::event::layers::{LayersConfig, LayersError};
use crate::limits::ORDERS_OPEN_MAX;
use crate::types::{Cash, Qty, Symbol};

/// Our limits. Money is in the quote currency, which all instruments of a session share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RiskConfig {
    /// Largest value of one order. Default: phase 1 of bounded live doubled, which is the testnet's figure (R-LIM-2).
    pub order_value_max: Cash,
    /// Largest quantity of one order, by symbol; a symbol that is not named is bound by value and by the venue's rule.
    pub order_qty_max: BTreeMap<String, Qty>,
    /// Largest total exposure: what is held, and every order that may still be filled, at its full remaining value.
    pub exposure_max: Cash,
    /// Instruments in which a position, or an order that could open one, may stand.
    pub open_positions_max: u32,
    /// Orders that may be open or unknown at once.
    pub open_orders_max: u32,
    /// How far a price may lie from the middle of the last quote, in hundredths of a percent.
    pub collar_bp: u32,
    /// A quote older than this is no reference for the collar.
    pub reference_age_max_ms: u32,
    /// A book without a change for this long is not fresh.
    pub book_age_max_ms: u32,
    /// No market data of the instrument for this long is stale.
    pub market_age_max_ms: u32,
    /// How far the venue's clock may be from ours, measurement error included (R-ORD-6).
    pub clock_offset_max_ms: u32,
    /// A measurement of the venue's clock older than this is no knowledge.
    pub clock_age_max_s: u32,
    /// Requests a second, in the long run.
    pub messages_per_s: u32,
    /// Requests at once, after a quiet time. A quarter of it is kept for exits.
    pub messages_burst: u32,
    /// The same instrument, side, price and quantity within this long is a duplicate.
    pub duplicate_window_ms: u32,
    /// Over how long the price is also compared with where the market was (C4).
    pub collar_period_s: u32,
    /// How far an entry's price may lie from any middle of that period.
    pub collar_period_bp: u32,
    /// Largest loss of a day (UTC) in the quote currency.
    pub daily_loss_max: Cash,
    /// Largest loss of a day in hundredths of a percent of the day's first equity.
    pub daily_loss_max_bp: u32,
    /// Limits of single symbols.
    pub symbols: BTreeMap<String, SymbolLimits>,
    /// Trade gate and turnover governor.
    pub turnover: TurnoverConfig,
    /// No-trade triggers and volatility pause.
    pub no_trade: NoTradeConfig,
    /// Repeated-execution throttle.
    pub repeat: RepeatConfig,
    /// Orders out per fact in.
    pub fan_out: FanOutConfig,
    /// Instruments that move together.
    pub correlation: CorrelationConfig,
    /// What outlives orders: daily loss, streaks, drawdown, preservation, weights, ramp.
    pub layers: LayersConfig,
}

impl Default for RiskConfig {
    fn default() -> Self {
        Self {
            order_value_max: Cash::from_units(100 * Cash::ONE.units()),
            order_qty_max: BTreeMap::new(),
            exposure_max: Cash::from_units(500 * Cash::ONE.units()),
            open_positions_max: 3,
            open_orders_max: 20,
            collar_bp: 200,
            reference_age_max_ms: 2_000,
            book_age_max_ms: 5_000,
            market_age_max_ms: 5_000,
            clock_offset_max_ms: 1_000,
            clock_age_max_s: 600,
            messages_per_s: 20,
            messages_burst: 20,
            duplicate_window_ms: 500,
            collar_period_s: 60,
            collar_period_bp: 500,
            daily_loss_max: Cash::from_units(100 * Cash::ONE.units()),
            daily_loss_max_bp: 500,
            symbols: BTreeMap::new(),
            turnover: TurnoverConfig::default(),
            no_trade: NoTradeConfig::default(),
            repeat: RepeatConfig::default(),
            fan_out: FanOutConfig::default(),
            correlation: CorrelationConfig::default(),
            layers: LayersConfig::default(),
        }
    }
}

/// Orders remembered for the duplicate check. More can't be approved within its window, which [`RiskConfig::check`]
/// sees to.
pub(super) const DUPLICATES_REMEMBERED: usize = 256;

/// A limit that can't be used, with its place, its value and what would do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RiskConfigError {
    /// A figure is out of its range.
    Range {
        /// The key below `risk`.
        key: &'static str,
        /// What was given.
        value: String,
        /// Least.
        min: String,
        /// Most.
        max: String,
        /// Why.
        why: &'static str,
    },
    /// A key below `risk` that can't be as it is.
    Setting {
        /// The key below `risk`.
        key: String,
        /// What is wrong, and what would do.
        what: String,
    },
    /// A key of the bounded limits that can't be as it is.
    Bounded {
        /// The key.
        key: String,
        /// What is wrong, and what would do.
        what: String,
    },
    /// A limit names a symbol that the session does not trade.
    UnknownSymbol {
        /// The section below `risk`.
        section: &'static str,
        /// The symbol.
        symbol: String,
    },
    /// The burst and rate allow more orders within the duplicate window than are remembered.
    DuplicateWindow {
        /// How many that would be.
        orders: u64,
    },
    /// A figure of the layers.
    Layers(LayersError),
    /// Two instruments are paid in different currencies, so that exposures can't be added up.
    QuoteMismatch {
        /// One.
        first: Symbol,
        /// The other.
        second: Symbol,
    },
}

impl fmt::Display for RiskConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { key, value, min, max, why } => {
                write!(f, "risk.{key} = {value} is out of range {min} to {max}: {why}")
            }
            Self::Setting { key, what } => write!(f, "risk.{key}: {what}"),
            Self::Bounded { key, what } => write!(f, "{key}: {what}"),
            Self::UnknownSymbol { section, symbol } => {
                write!(
                    f,
                    "risk.{section}: {symbol} is not among the session's symbols; remove it or trade it"
                )
            }
            Self::DuplicateWindow { orders } => write!(
                f,
                "risk.duplicate_window_ms: {orders} orders could fall into it and {DUPLICATES_REMEMBERED} are \
                 remembered; shorten it, or lower risk.messages_per_s or risk.messages_burst"
            ),
            Self::Layers(error) => write!(f, "{error}"),
            Self::QuoteMismatch { first, second } => write!(
                f,
                "{first} and {second} are paid in different currencies, so that no total exposure can be \
                 computed; trade them in two sessions"
            ),
        }
    }
}

impl std::error::Error for RiskConfigError {}

impl RiskConfig {
    /// Whether every figure is in its range and they fit together.
    pub fn check(&self) -> Result<(), RiskConfigError> {
        let orders_max = u32::try_from(ORDERS_OPEN_MAX).unwrap_or(u32::MAX);
        let figures: [(&str, u32, u32, u32, &str); 14] = [
            ("open_positions_max", self.open_positions_max, 1, 16, "0 would never trade"),
            ("open_orders_max", self.open_orders_max, 1, orders_max, "the order table's size"),
            ("collar_bp", self.collar_bp, 1, 5_000, "beyond half the price it is no collar"),
            ("reference_age_max_ms", self.reference_age_max_ms, 10, 60_000, "an old price is no reference"),
            ("book_age_max_ms", self.book_age_max_ms, 10, 600_000, "an old book is no book"),
            ("market_age_max_ms", self.market_age_max_ms, 10, 600_000, "trading blind"),
            ("clock_offset_max_ms", self.clock_offset_max_ms, 1, 60_000, "the venue's own bound"),
            ("clock_age_max_s", self.clock_age_max_s, 1, 86_400, "clocks drift"),
            (
                "messages_per_s",
                self.messages_per_s,
                1,
                200_000,
                "more than any venue takes, or a bench sends",
            ),
            ("messages_burst", self.messages_burst, 4, 200, "a quarter is kept for exits"),
            ("duplicate_window_ms", self.duplicate_window_ms, 1, 60_000, "0 would find none"),
            ("collar_period_s", self.collar_period_s, 1, 3_600, "a period, not a day"),
            ("collar_period_bp", self.collar_period_bp, 1, 5_000, "beyond half the price it is no collar"),
            ("daily_loss_max_bp", self.daily_loss_max_bp, 1, 10_000, "more than all can't be lost"),
        ];
        for (key, value, min, max, why) in figures {
            if value < min || value > max {
                let (value, min, max) = (value.to_string(), min.to_string(), max.to_string());
                return Err(RiskConfigError::Range { key, value, min, max, why });
            }
        }
        let money = [
            ("order_value_max", self.order_value_max),
            ("exposure_max", self.exposure_max),
            ("daily_loss_max", self.daily_loss_max),
            ("fan_out.value_per_fact_max", self.fan_out.value_per_fact_max),
            ("fan_out.value_per_window_max", self.fan_out.value_per_window_max),
            ("correlation.exposure_max", self.correlation.exposure_max),
        ];
        for (key, value) in money {
            if value <= Cash::ZERO || value.units() > MONEY_MAX_UNITS {
                let max = Cash::from_units(MONEY_MAX_UNITS).to_string();
                let why = "zero would never trade, and sums must stay in range";
                let (value, min) = (value.to_string(), "0.00000001".to_owned());
                return Err(RiskConfigError::Range { key, value, min, max, why });
            }
        }
        self.layers.check().map_err(RiskConfigError::Layers)?;
        let window = u64::from(self.messages_per_s) * u64::from(self.duplicate_window_ms) / 1_000;
        let orders = window + 1 + u64::from(self.messages_burst);
        if orders > DUPLICATES_REMEMBERED as u64 {
            return Err(RiskConfigError::DuplicateWindow { orders });
        }
        if self.correlation.groups.len() >= GROUPS_MAX {
            let what = format!("{} groups; at most {}", self.correlation.groups.len(), GROUPS_MAX - 1);
            return Err(RiskConfigError::Setting { key: "correlation.groups".to_owned(), what });
        }
        for (symbol, limits) in &self.symbols {
            limits.check(symbol)?;
        }
        check(&self.turnover, &self.no_trade, &self.repeat, &self.fan_out, &self.correlation)
    }

    /// Every symbol that a section names must be traded: a limit on a name that is spelt wrongly limits nothing.
    pub(super) fn check_symbols(&self, is_traded: impl Fn(&str) -> bool) -> Result<(), RiskConfigError> {
        let news = self.no_trade.news.iter().flat_map(|window| &window.symbols);
        let named = (self.order_qty_max.keys().map(|s| ("order_qty_max", s)))
            .chain(self.symbols.keys().map(|s| ("symbols", s)))
            .chain(self.turnover.symbols.keys().map(|s| ("turnover.symbols", s)))
            .chain(self.correlation.groups.values().flatten().map(|s| ("correlation.groups", s)))
            .chain(news.map(|s| ("no_trade.news", s)));
        for (section, symbol) in named {
            if !is_traded(symbol) {
                return Err(RiskConfigError::UnknownSymbol { section, symbol: symbol.clone() });
            }
        }
        Ok(())
    }
}

impl SymbolLimits {
    fn check(&self, symbol: &str) -> Result<(), RiskConfigError> {
        let wrong = |key: &str, what: String| {
            Err(RiskConfigError::Setting { key: format!("symbols.{symbol}.{key}"), what })
        };
        if let Some(bp) = self.collar_bp.filter(|bp| !(1..=5_000).contains(bp)) {
            return wrong("collar_bp", format!("{bp} is out of range 1 to 5000"));
        }
        let money = [("order_value_max", self.order_value_max), ("exposure_max", self.exposure_max)];
        for (key, value) in money {
            if let Some(value) = value.filter(|v| *v <= Cash::ZERO || v.units() > MONEY_MAX_UNITS) {
                return wrong(key, format!("{value} is out of range: above zero, at most a billion"));
            }
        }
        match self.position_max.filter(|qty| *qty <= Qty::ZERO) {
            Some(qty) => wrong("position_max", format!("{qty} is not above zero")),
            None => Ok(()),
        }
    }
}

/// A billion: far above any account of ours, far below where sums leave their range.
const MONEY_MAX_UNITS: i64 = 1_000_000_000 * Cash::ONE.units();
