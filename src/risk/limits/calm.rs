//! No-trade triggers (R-LIM-10), the volatility pause (C36) and where the market was lately (C4): per instrument, judged when
//! a quote comes, so that an order has only to look at the result.

use super::config::{NewsWindow, NoTradeConfig};
use super::window::{NEVER, Range, Times};
use crate::risk::RiskConfigError;
use crate::types::time::NS_PER_S;
use crate::types::{Price, Reason};

/// The spread's average moves by a 64th of the distance with each quote.
const AVERAGE_SHIFT: u32 = 6;

/// One instrument's calm, or the lack of it.
#[derive(Clone, Debug)]
pub(in crate::risk) struct Calm {
    spread_max_bp: i128,
    spread_calm_bp: i128,
    spread_spike_percent: i128,
    spread_quotes_min: u32,
    volatility_max_bp: i128,
    volatility_pause_ns: i64,
    quality_window_ns: i64,
    quality_pause_ns: i64,
    /// Quotes since the link is up.
    quotes: u32,
    /// Average spread in price units, times 2^`AVERAGE_SHIFT`.
    average: i128,
    spread_fits: bool,
    volatility: Range,
    volatile_until_ns: i64,
    faults: Times,
    faulty_until_ns: i64,
    book_was_valid: bool,
    /// The middles of the collar's period.
    pub(in crate::risk) period: Range,
    /// Sorted, without overlap.
    news: Box<[(i64, i64)]>,
}

const fn seconds(s: u32) -> i64 {
    s as i64 * NS_PER_S
}

impl Calm {
    pub(in crate::risk) fn new(
        config: &NoTradeConfig,
        collar_period_s: u32,
        symbol: &str,
    ) -> Result<Self, RiskConfigError> {
        Ok(Self {
            spread_max_bp: config.spread_max_bp.into(),
            spread_calm_bp: config.spread_calm_bp.into(),
            spread_spike_percent: config.spread_spike_percent.into(),
            spread_quotes_min: config.spread_quotes_min,
            volatility_max_bp: config.volatility_max_bp.into(),
            volatility_pause_ns: seconds(config.volatility_pause_s),
            quality_window_ns: seconds(config.quality_window_s),
            quality_pause_ns: seconds(config.quality_pause_s),
            quotes: 0,
            average: 0,
            spread_fits: false,
            volatility: Range::new(seconds(config.volatility_window_s)),
            volatile_until_ns: NEVER,
            faults: Times::new(config.quality_faults_max),
            faulty_until_ns: NEVER,
            book_was_valid: false,
            period: Range::new(seconds(collar_period_s)),
            news: spans(&config.news, symbol)?,
        })
    }

    /// The best prices changed. Crossed ones are a fault, and no spread.
    pub(in crate::risk) fn on_quote(&mut self, bid: Price, ask: Price, now_ns: i64) {
        let Some(middle) = Price::middle(bid, ask) else {
            self.spread_fits = false;
            self.on_fault(now_ns);
            return;
        };
        let spread = i128::from(ask.units()) - i128::from(bid.units());
        let share = spread * 10_000;
        let middle_wide = i128::from(middle.units());
        // Judged against the average before it: a spike does not excuse itself.
        let spike = share > middle_wide * self.spread_calm_bp
            && (spread << AVERAGE_SHIFT) * 100 > self.average * self.spread_spike_percent;
        self.average = if self.quotes == 0 {
            spread << AVERAGE_SHIFT
        } else {
            self.average + spread - (self.average >> AVERAGE_SHIFT)
        };
        let first = self.quotes == 0;
        self.quotes = self.quotes.saturating_add(1);
        self.spread_fits = self.quotes >= self.spread_quotes_min
            && share <= middle_wide * self.spread_max_bp
            && (first || !spike);
        self.period.enter(middle, now_ns);
        self.volatility.enter(middle, now_ns);
        if let Some((low, high)) = self.volatility.bounds() {
            let range = i128::from(high.units()) - i128::from(low.units());
            if range * 10_000 > i128::from(low.units()) * self.volatility_max_bp {
                self.volatile_until_ns = now_ns.saturating_add(self.volatility_pause_ns);
            }
        }
    }

    /// The book's standing: a loss is a fault, the wait for the first snapshot is none.
    pub(in crate::risk) fn on_book_status(&mut self, valid: bool, now_ns: i64) {
        if self.book_was_valid && !valid {
            self.on_fault(now_ns);
        }
        self.book_was_valid = valid;
    }

    /// The market link is down: what a usual spread is must be learned anew.
    pub(in crate::risk) fn on_cut(&mut self, now_ns: i64) {
        (self.quotes, self.average, self.spread_fits) = (0, 0, false);
        self.book_was_valid = false;
        self.on_fault(now_ns);
    }

    /// The market data was broken.
    pub(in crate::risk) fn on_fault(&mut self, now_ns: i64) {
        self.faults.enter(now_ns);
        if self.faults.are_full(0, now_ns, self.quality_window_ns) {
            self.faulty_until_ns = now_ns.saturating_add(self.quality_pause_ns);
        }
    }

    pub(in crate::risk) const fn spread(&self) -> Result<(), Reason> {
        if self.spread_fits { Ok(()) } else { Err(Reason::SpreadSpike) }
    }
    pub(in crate::risk) const fn volatility(&self, now_ns: i64) -> Result<(), Reason> {
        if now_ns >= self.volatile_until_ns { Ok(()) } else { Err(Reason::VolatilityPause) }
    }
    pub(in crate::risk) const fn quality(&self, now_ns: i64) -> Result<(), Reason> {
        if now_ns >= self.faulty_until_ns { Ok(()) } else { Err(Reason::DataQuality) }
    }
    pub(in crate::risk) fn news(&self, now_ns: i64) -> Result<(), Reason> {
        let behind = self.news.partition_point(|&(_, to_ns)| to_ns <= now_ns);
        let inside = self.news.get(behind).is_some_and(|&(from_ns, _)| from_ns <= now_ns);
        if inside { Err(Reason::NewsWindow) } else { Ok(()) }
    }
}

/// The windows that concern a symbol, joined where they meet, so that one search by halves finds the only one.
fn spans(windows: &[NewsWindow], symbol: &str) -> Result<Box<[(i64, i64)]>, RiskConfigError> {
    let its = windows.iter().filter(|w| w.symbols.is_empty() || w.symbols.iter().any(|s| s == symbol));
    let mut spans = its.map(NewsWindow::span_ns).collect::<Result<Vec<_>, _>>()?;
    spans.sort_unstable();
    let mut joined: Vec<(i64, i64)> = Vec::new();
    for (from, to) in spans {
        match joined.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(to),
            _ => joined.push((from, to)),
        }
    }
    Ok(joined.into_boxed_slice())
}
