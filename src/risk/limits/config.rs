//! The figures of the limits that look beyond the single order: pace, calm, repetition, fan-out, correlation. Sections below
//! `[risk]`; each figure has a default, a range and a reason.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::risk::RiskConfigError;
use crate::types::{Cash, Qty};

/// Where a limit holds that a made-up market would starve under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Apply {
    /// Everywhere but in the demo, whose market is made up and whose minutes stand for days.
    #[default]
    Auto,
    /// In the demo too.
    Always,
    /// Nowhere. Bounded live refuses it.
    Never,
}

impl Apply {
    /// Whether it holds where nothing was resolved: only what was switched off by name is off.
    pub const fn holds(self) -> bool {
        !matches!(self, Self::Never)
    }
    /// Resolved for a session: what `auto` means there.
    pub const fn resolved(self, demo: bool) -> Self {
        match self {
            Self::Auto if demo => Self::Never,
            Self::Auto => Self::Always,
            other => other,
        }
    }
}

/// Trade gate and turnover governor (R-LIM-7).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TurnoverConfig {
    /// Where it holds.
    pub apply: Apply,
    /// Fees of a round trip, entry and exit together, in hundredths of a basis point of the value. A decision's cost is
    /// these and the spread. Default: 10 bp for each side, Binance's taker fee without rebates.
    pub fees_centi_bp: u32,
    /// The figures of every instrument that has no others.
    pub all: PaceFigures,
    /// The figures of instruments whose base asset is BTC (or XBT), which trade too much for their edge (seed 002).
    #[serde(deserialize_with = "btc_figures")]
    pub btc: PaceFigures,
    /// Figures that differ, by symbol.
    pub symbols: BTreeMap<String, PacePatch>,
}

/// How often an instrument may be entered, and how good an entry must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PaceFigures {
    /// Least time between two decisions to enter.
    pub interval_min_s: u32,
    /// Most decisions a day (UTC); 0 = no bound.
    pub decisions_per_day_max: u32,
    /// Least expected gain, in percent of the cost: 100 = once the cost.
    pub gain_min_percent: u32,
    /// Least confidence.
    pub confidence_min_percent: u32,
    /// So many losing trades in a row ...
    pub cooldown_losses: u32,
    /// ... and the instrument rests for so long.
    pub cooldown_s: u32,
}

/// Figures of one symbol that differ from those of its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields of PaceFigures, each left out or given")]
pub struct PacePatch {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_min_s: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decisions_per_day_max: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gain_min_percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confidence_min_percent: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown_losses: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cooldown_s: Option<u32>,
}

impl Default for PaceFigures {
    fn default() -> Self {
        Self {
            interval_min_s: 3_600,
            decisions_per_day_max: 0,
            gain_min_percent: 100,
            confidence_min_percent: 60,
            cooldown_losses: 2,
            cooldown_s: 7_200,
        }
    }
}

impl PaceFigures {
    /// The default for BTC (R-LIM-7).
    pub const BTC: Self = Self {
        interval_min_s: 14_400,
        decisions_per_day_max: 3,
        gain_min_percent: 200,
        confidence_min_percent: 75,
        cooldown_losses: 2,
        cooldown_s: 21_600,
    };

    /// With what a patch gives.
    pub fn patched(self, patch: &PacePatch) -> Self {
        Self {
            interval_min_s: patch.interval_min_s.unwrap_or(self.interval_min_s),
            decisions_per_day_max: patch.decisions_per_day_max.unwrap_or(self.decisions_per_day_max),
            gain_min_percent: patch.gain_min_percent.unwrap_or(self.gain_min_percent),
            confidence_min_percent: patch.confidence_min_percent.unwrap_or(self.confidence_min_percent),
            cooldown_losses: patch.cooldown_losses.unwrap_or(self.cooldown_losses),
            cooldown_s: patch.cooldown_s.unwrap_or(self.cooldown_s),
        }
    }
}

/// What a file leaves out stays as it is for BTC, not as it is for the others.
fn btc_figures<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PaceFigures, D::Error> {
    PacePatch::deserialize(deserializer).map(|patch| PaceFigures::BTC.patched(&patch))
}

impl Default for TurnoverConfig {
    fn default() -> Self {
        Self {
            apply: Apply::default(),
            fees_centi_bp: 2_000,
            all: PaceFigures::default(),
            btc: PaceFigures::BTC,
            symbols: BTreeMap::new(),
        }
    }
}

impl TurnoverConfig {
    /// The figures of one instrument.
    pub fn figures(&self, symbol: &str, base: &str) -> PaceFigures {
        let kind = if matches!(base, "BTC" | "XBT") { self.btc } else { self.all };
        self.symbols.get(symbol).map_or(kind, |patch| kind.patched(patch))
    }
}

/// No-trade triggers and the volatility pause (R-LIM-10, C36). They only ever hold entries back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NoTradeConfig {
    /// No entry into a spread wider than this.
    pub spread_max_bp: u32,
    /// A spread up to this is never a spike, however narrow it was before.
    pub spread_calm_bp: u32,
    /// A spread of more than this many percent of its average is a spike.
    pub spread_spike_percent: u32,
    /// Quotes that must have come, since the market link is up, before the average means something.
    pub spread_quotes_min: u32,
    /// Over how long the price's range is watched.
    pub volatility_window_s: u32,
    /// A range beyond this within the window is a spike ...
    pub volatility_max_bp: u32,
    /// ... and pauses entries for this long after it was last seen.
    pub volatility_pause_s: u32,
    /// Over how long faults of the market data are counted.
    pub quality_window_s: u32,
    /// So many faults (book lost, quotes left out, crossed quotes, link down) within the window ...
    pub quality_faults_max: u32,
    /// ... pause entries for this long after the last one.
    pub quality_pause_s: u32,
    /// Times in which nothing is entered.
    pub news: Vec<NewsWindow>,
}

/// A time in which nothing is entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewsWindow {
    /// From, as in `2026-12-10T13:25:00Z`.
    pub from: String,
    /// Until.
    pub to: String,
    /// On which symbols; empty = all.
    #[serde(default)]
    pub symbols: Vec<String>,
    /// What it is about, for people.
    #[serde(default)]
    pub what: String,
}

impl NewsWindow {
    /// From and until in nanoseconds since the epoch.
    pub fn span_ns(&self) -> Result<(i64, i64), RiskConfigError> {
        let at = |key: &str, text: &str| {
            text.parse::<jiff::Timestamp>()
                .ok()
                .and_then(|t| i64::try_from(t.as_nanosecond()).ok())
                .ok_or_else(|| RiskConfigError::Setting {
                    key: format!("no_trade.news.{key}"),
                    what: format!("{text:?} is no time; write it like \"2026-12-10T13:25:00Z\""),
                })
        };
        let (from, to) = (at("from", &self.from)?, at("to", &self.to)?);
        if from >= to {
            let what = format!("{:?} does not come after from = {:?}", self.to, self.from);
            return Err(RiskConfigError::Setting { key: "no_trade.news.to".to_owned(), what });
        }
        Ok((from, to))
    }
}

impl Default for NoTradeConfig {
    fn default() -> Self {
        Self {
            spread_max_bp: 50,
            spread_calm_bp: 5,
            spread_spike_percent: 500,
            spread_quotes_min: 20,
            volatility_window_s: 60,
            volatility_max_bp: 300,
            volatility_pause_s: 120,
            quality_window_s: 60,
            quality_faults_max: 5,
            quality_pause_s: 30,
            news: Vec::new(),
        }
    }
}

/// The repeated-execution throttle (C9; RTS 6 Art. 15(3)): after so many executed entries of a strategy within the window it is
/// disabled, and only a named person enables it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepeatConfig {
    /// Where it holds.
    pub apply: Apply,
    /// Executed entries of one strategy within the window.
    pub executions_max: u32,
    /// Entries of one strategy that the venue may refuse within the window; at this many it is disabled, in every mode (F20).
    pub refusals_max: u32,
    /// The window.
    pub window_s: u32,
}

impl Default for RepeatConfig {
    fn default() -> Self {
        Self { apply: Apply::default(), executions_max: 60, refusals_max: 20, window_s: 3_600 }
    }
}

/// The bound of orders out per fact in (C16): an order that multiplies is stopped at the first excess, and trips the switch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FanOutConfig {
    /// Entries that one fact may cause.
    pub orders_per_fact_max: u32,
    /// Their value together.
    pub value_per_fact_max: Cash,
    /// Entries within the window.
    pub orders_per_window_max: u32,
    /// Their value together.
    pub value_per_window_max: Cash,
    /// The window.
    pub window_s: u32,
}

impl Default for FanOutConfig {
    fn default() -> Self {
        Self {
            orders_per_fact_max: 8,
            value_per_fact_max: units(500),
            orders_per_window_max: 100,
            value_per_window_max: units(5_000),
            window_s: 10,
        }
    }
}

/// The correlation limit: instruments that move together hold at most so much together. They do if a group names both, or if
/// that is measured. What no group names counts as one group: that it moves apart is not known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CorrelationConfig {
    /// Largest exposure of one group.
    pub exposure_max: Cash,
    /// Symbols that move together, by a name of the group's; a symbol may be in several.
    pub groups: BTreeMap<String, Vec<String>>,
    /// Where it is measured too, beside the groups.
    pub measure: Apply,
    /// From this correlation on a pair counts, in percent.
    pub measured_percent: u32,
    /// A sample of the middles so often.
    pub interval_s: u32,
    /// Over so many samples.
    pub samples: u32,
    /// With fewer, a pair counts as moving together.
    pub samples_min: u32,
}

impl Default for CorrelationConfig {
    fn default() -> Self {
        Self {
            exposure_max: units(500),
            groups: BTreeMap::new(),
            measure: Apply::default(),
            measured_percent: 70,
            interval_s: 60,
            samples: 60,
            samples_min: 20,
        }
    }
}

/// Limits of one symbol, beside those of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SymbolLimits {
    /// How far a price may lie from the middle of the last quote.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collar_bp: Option<u32>,
    /// Largest value of one order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_value_max: Option<Cash>,
    /// Largest exposure on the symbol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure_max: Option<Cash>,
    /// Largest quantity held, working buys included (C22).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position_max: Option<Qty>,
}

const fn units(whole: i64) -> Cash {
    Cash::from_units(whole * Cash::ONE.units())
}

/// A figure with its range: place, value, least, most, why.
type Figure = (String, u32, u32, u32, &'static str);

fn pace_figures(at: &str, pace: &PaceFigures, out: &mut Vec<Figure>) {
    const DAY: u32 = 86_400;
    let rows: [(&str, u32, u32, u32, &'static str); 6] = [
        ("interval_min_s", pace.interval_min_s, 0, 30 * DAY, "longer than a month is a halt"),
        ("decisions_per_day_max", pace.decisions_per_day_max, 0, 1_000_000, "0 = no bound"),
        ("gain_min_percent", pace.gain_min_percent, 0, 10_000, "a hundred times the cost is never met"),
        ("confidence_min_percent", pace.confidence_min_percent, 0, 100, "a percentage"),
        ("cooldown_losses", pace.cooldown_losses, 1, 1_000, "0 would rest for ever"),
        ("cooldown_s", pace.cooldown_s, 0, 30 * DAY, "longer than a month is a halt"),
    ];
    out.extend(rows.map(|(key, value, min, max, why)| (format!("{at}.{key}"), value, min, max, why)));
}

/// Every figure of the sections with its range.
pub(in crate::risk) fn check(
    turnover: &TurnoverConfig,
    no_trade: &NoTradeConfig,
    repeat: &RepeatConfig,
    fan_out: &FanOutConfig,
    correlation: &CorrelationConfig,
) -> Result<(), RiskConfigError> {
    let n = no_trade;
    let c = correlation;
    let mut figures: Vec<Figure> = [
        ("turnover.fees_centi_bp", turnover.fees_centi_bp, 0, 100_000, "10 % at most"),
        ("no_trade.spread_max_bp", n.spread_max_bp, 1, 1_000, "beyond 10 % it is no market"),
        ("no_trade.spread_calm_bp", n.spread_calm_bp, 0, 1_000, "beyond 10 % it is no market"),
        ("no_trade.spread_spike_percent", n.spread_spike_percent, 101, 100_000, "100 is no spike"),
        ("no_trade.spread_quotes_min", n.spread_quotes_min, 1, 100_000, "0 quotes have no average"),
        ("no_trade.volatility_window_s", n.volatility_window_s, 1, 3_600, "a spike, not a trend"),
        ("no_trade.volatility_max_bp", n.volatility_max_bp, 1, 5_000, "beyond half the price it is no bound"),
        ("no_trade.volatility_pause_s", n.volatility_pause_s, 0, 86_400, "a pause, not a halt"),
        ("no_trade.quality_window_s", n.quality_window_s, 1, 3_600, "lately"),
        (
            "no_trade.quality_faults_max",
            n.quality_faults_max,
            1,
            QUALITY_FAULTS_MAX,
            "so many are remembered",
        ),
        ("no_trade.quality_pause_s", n.quality_pause_s, 0, 86_400, "a pause, not a halt"),
        ("repeat.executions_max", repeat.executions_max, 1, EXECUTIONS_MAX, "so many are remembered"),
        ("repeat.refusals_max", repeat.refusals_max, 1, EXECUTIONS_MAX, "so many are remembered"),
        ("repeat.window_s", repeat.window_s, 1, 30 * 86_400, "a month at most"),
        ("fan_out.orders_per_fact_max", fan_out.orders_per_fact_max, 1, 16, "signal raises 16 at most"),
        (
            "fan_out.orders_per_window_max",
            fan_out.orders_per_window_max,
            1,
            WINDOW_ORDERS_MAX,
            "so many are remembered",
        ),
        ("fan_out.window_s", fan_out.window_s, 1, 3_600, "an hour at most"),
        ("correlation.measured_percent", c.measured_percent, 1, 100, "a correlation, in percent"),
        ("correlation.interval_s", c.interval_s, 1, 3_600, "an hour at most"),
        ("correlation.samples", c.samples, 2, SAMPLES_MAX, "so many are remembered"),
        ("correlation.samples_min", c.samples_min, 2, c.samples, "more than are kept are never there"),
    ]
    .map(|(key, value, min, max, why)| (key.to_owned(), value, min, max, why))
    .into();
    pace_figures("turnover.all", &turnover.all, &mut figures);
    pace_figures("turnover.btc", &turnover.btc, &mut figures);
    for (symbol, patch) in &turnover.symbols {
        pace_figures(&format!("turnover.symbols.{symbol}"), &turnover.all.patched(patch), &mut figures);
    }
    for (key, value, min, max, why) in figures {
        if value < min || value > max {
            let what = format!("{value} is out of range {min} to {max}: {why}");
            return Err(RiskConfigError::Setting { key, what });
        }
    }
    if no_trade.news.len() > NEWS_WINDOWS_MAX {
        let what = format!("{} windows; at most {NEWS_WINDOWS_MAX}", no_trade.news.len());
        return Err(RiskConfigError::Setting { key: "no_trade.news".to_owned(), what });
    }
    no_trade.news.iter().try_for_each(|window| window.span_ns().map(drop))
}

/// Executions of one strategy that can be remembered.
pub(in crate::risk) const EXECUTIONS_MAX: u32 = 1_000;
/// Entries of one window that can be remembered.
pub(in crate::risk) const WINDOW_ORDERS_MAX: u32 = 200_000;
/// Faults of one instrument's data that can be remembered.
pub(in crate::risk) const QUALITY_FAULTS_MAX: u32 = 1_000;
/// Samples of the correlation's measurement: sums of so many stay in their range.
const SAMPLES_MAX: u32 = 240;
/// News windows in a configuration: searched by halves in each check.
const NEWS_WINDOWS_MAX: usize = 256;
/// Groups of correlated instruments, one bit each.
pub(in crate::risk) const GROUPS_MAX: usize = 8;
