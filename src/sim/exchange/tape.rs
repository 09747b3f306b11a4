//! What was traded, as the venue tells it afterwards: recent trades, klines, the 24 hour ticker and the average price.

use std::collections::VecDeque;

use super::events::PublicTrade;
use super::order::venue_names;
use crate::types::time::{NS_PER_MIN, NS_PER_S};
use crate::types::{Cash, Price, Qty, Side, TradeId};

venue_names! {
    /// Kline intervals that the venue keeps.
    Interval {
        /// One second.
        S1 = "1s",
        /// One minute.
        M1 = "1m",
        /// Three minutes.
        M3 = "3m",
        /// Five minutes.
        M5 = "5m",
        /// Fifteen minutes.
        M15 = "15m",
        /// Thirty minutes.
        M30 = "30m",
        /// One hour.
        H1 = "1h",
        /// Two hours.
        H2 = "2h",
        /// Four hours.
        H4 = "4h",
        /// Six hours.
        H6 = "6h",
        /// Eight hours.
        H8 = "8h",
        /// Twelve hours.
        H12 = "12h",
        /// One day (UTC).
        D1 = "1d",
    }
}

impl Interval {
    /// Its length.
    pub const fn ns(self) -> i64 {
        let minutes = match self {
            Self::S1 => return NS_PER_S,
            Self::M1 => 1,
            Self::M3 => 3,
            Self::M5 => 5,
            Self::M15 => 15,
            Self::M30 => 30,
            Self::H1 => 60,
            Self::H2 => 120,
            Self::H4 => 240,
            Self::H6 => 360,
            Self::H8 => 480,
            Self::H12 => 720,
            Self::D1 => 1_440,
        };
        minutes * NS_PER_MIN
    }
}

/// Klines kept of each interval: a day of minutes, which the 24 hour ticker needs, and some.
pub const KLINES_KEPT_MAX: usize = 1_500;
const TICKER_NS: i64 = 24 * 60 * NS_PER_MIN;

/// A kline. Sums of quote value saturate at 92 billion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kline {
    /// When it opened; it closes one interval later.
    pub open_ns: i64,
    /// Its interval.
    pub interval_ns: i64,
    /// First price (the close before, when nothing traded).
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Base volume.
    pub volume: Qty,
    /// Quote volume.
    pub quote_volume: Cash,
    /// Base volume of taker buys.
    pub taker_buy_volume: Qty,
    /// Quote volume of taker buys.
    pub taker_buy_quote_volume: Cash,
    /// Number of trades.
    pub trades: u64,
    /// First and last trade, `None` when nothing traded.
    pub trade_ids: Option<(TradeId, TradeId)>,
}

impl Kline {
    fn flat(open_ns: i64, interval_ns: i64, price: Price) -> Self {
        Self {
            open_ns,
            interval_ns,
            open: price,
            high: price,
            low: price,
            close: price,
            volume: Qty::ZERO,
            quote_volume: Cash::ZERO,
            taker_buy_volume: Qty::ZERO,
            taker_buy_quote_volume: Cash::ZERO,
            trades: 0,
            trade_ids: None,
        }
    }

    fn add(&mut self, trade: &PublicTrade) {
        if self.trade_ids.is_none() {
            (self.open, self.high, self.low) = (trade.price, trade.price, trade.price);
        }
        self.high = self.high.max(trade.price);
        self.low = self.low.min(trade.price);
        self.close = trade.price;
        self.volume = saturating_qty(self.volume, trade.qty);
        self.quote_volume = saturating_cash(self.quote_volume, trade.quote);
        if !trade.buyer_is_maker {
            self.taker_buy_volume = saturating_qty(self.taker_buy_volume, trade.qty);
            self.taker_buy_quote_volume = saturating_cash(self.taker_buy_quote_volume, trade.quote);
        }
        self.trades += 1;
        self.trade_ids = Some((self.trade_ids.map_or(trade.id, |(first, _)| first), trade.id));
    }
}

fn saturating_qty(a: Qty, b: Qty) -> Qty {
    Qty::from_units(a.units().saturating_add(b.units()))
}

fn saturating_cash(a: Cash, b: Cash) -> Cash {
    Cash::from_units(a.units().saturating_add(b.units()))
}

/// The 24 hour ticker, rolling by the minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticker {
    /// Where the window begins.
    pub open_ns: i64,
    /// Where it ends.
    pub close_ns: i64,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub last: Price,
    /// Last quantity.
    pub last_qty: Qty,
    /// Price before the window.
    pub previous_close: Price,
    /// Average price by volume, towards zero.
    pub weighted_average: Price,
    /// Base volume.
    pub volume: Qty,
    /// Quote volume.
    pub quote_volume: Cash,
    /// Number of trades.
    pub trades: u64,
    /// First and last trade, `None` when nothing traded.
    pub trade_ids: Option<(TradeId, TradeId)>,
}

/// The average price that filters use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AveragePrice {
    /// Minutes.
    pub mins: u32,
    /// The price.
    pub price: Price,
    /// Time of the last trade in it.
    pub close_ns: i64,
}

#[derive(Debug)]
struct Series {
    interval: Interval,
    closed: VecDeque<Kline>,
    current: Option<Kline>,
}

impl Series {
    /// Closes the current kline, and flat ones after it, until one holds `now_ns`.
    fn roll(&mut self, now_ns: i64) {
        let Some(mut current) = self.current else { return };
        let step = self.interval.ns();
        let target_ns = now_ns - now_ns.rem_euclid(step);
        if current.open_ns >= target_ns {
            return;
        }
        // After a long silence only the klines that would be kept are made.
        let oldest_kept_ns = target_ns - step * i64::try_from(KLINES_KEPT_MAX).unwrap_or(i64::MAX / step);
        while current.open_ns < target_ns {
            if self.closed.len() == KLINES_KEPT_MAX {
                self.closed.pop_front();
            }
            self.closed.push_back(current);
            let next_ns = (current.open_ns + step).max(oldest_kept_ns);
            current = Kline::flat(next_ns, step, current.close);
        }
        self.current = Some(current);
    }

    fn add(&mut self, trade: &PublicTrade) {
        self.roll(trade.time_ns);
        let step = self.interval.ns();
        self.current
            .get_or_insert_with(|| {
                Kline::flat(trade.time_ns - trade.time_ns.rem_euclid(step), step, trade.price)
            })
            .add(trade);
    }

    /// Joins a candle of the past, given in order, to what is there.
    fn seed(&mut self, kline: &Kline) {
        let step = self.interval.ns();
        let open_ns = kline.open_ns - kline.open_ns.rem_euclid(step);
        match &mut self.current {
            Some(current) if current.open_ns == open_ns => {
                current.high = current.high.max(kline.high);
                current.low = current.low.min(kline.low);
                current.close = kline.close;
                current.volume = saturating_qty(current.volume, kline.volume);
                current.quote_volume = saturating_cash(current.quote_volume, kline.quote_volume);
                current.trades += kline.trades;
            }
            _ => {
                self.roll(open_ns);
                self.current = Some(Kline { open_ns, interval_ns: step, ..*kline });
            }
        }
    }

    fn all(&self) -> impl DoubleEndedIterator<Item = &Kline> {
        self.closed.iter().chain(self.current.iter())
    }
}

/// The tape of one symbol.
#[derive(Debug)]
pub(super) struct Tape {
    series: Vec<Series>,
    trades: VecDeque<PublicTrade>,
    trades_kept_max: usize,
    last: Price,
    average: AveragePrice,
    average_second: i64,
    last_agg: Option<(crate::types::VenueOrderId, Price)>,
    next_agg: u64,
}

/// Which klines are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct KlineQuery {
    /// Not before.
    pub start_ns: Option<i64>,
    /// Not after (by open time).
    pub end_ns: Option<i64>,
    /// At most; the earliest when `start_ns` is given, else the latest.
    pub limit: usize,
}

const AVERAGE_MINS: u32 = 5;

impl Tape {
    pub(super) fn new(reference: Price, trades_kept_max: usize, first_id: u64) -> Self {
        let series = |&interval: &Interval| Series { interval, closed: VecDeque::new(), current: None };
        Self {
            series: Interval::ALL.iter().map(series).collect(),
            trades: VecDeque::new(),
            trades_kept_max,
            last: reference,
            average: AveragePrice { mins: AVERAGE_MINS, price: reference, close_ns: 0 },
            average_second: i64::MIN,
            last_agg: None,
            next_agg: first_id,
        }
    }

    /// The aggregate that a trade of this order at this price belongs to.
    pub(super) fn aggregate(&mut self, taker: crate::types::VenueOrderId, price: Price) -> u64 {
        if self.last_agg != Some((taker, price)) {
            self.last_agg = Some((taker, price));
            self.next_agg += 1;
        }
        self.next_agg - 1
    }

    /// Puts candles of the past, oldest first, into the series of their interval and of those made of it.
    pub(super) fn seed(&mut self, interval: Interval, klines: &[Kline]) {
        for series in self.series.iter_mut().filter(|s| s.interval.ns() % interval.ns() == 0) {
            for kline in klines {
                series.seed(kline);
            }
        }
        self.last = klines.last().map_or(self.last, |kline| kline.close);
    }

    pub(super) fn add(&mut self, trade: PublicTrade) {
        for series in &mut self.series {
            series.add(&trade);
        }
        self.last = trade.price;
        if self.trades.len() == self.trades_kept_max {
            self.trades.pop_front();
        }
        self.trades.push_back(trade);
    }

    pub(super) fn roll(&mut self, now_ns: i64) {
        for series in &mut self.series {
            series.roll(now_ns);
        }
    }

    pub(super) fn last_price(&self) -> Price {
        self.last
    }

    pub(super) fn last_trade_ns(&self) -> i64 {
        self.trades.back().map_or(i64::MIN, |trade| trade.time_ns)
    }

    fn series(&self, interval: Interval) -> &Series {
        self.series
            .iter()
            .find(|s| s.interval == interval)
            .unwrap_or_else(|| unreachable!("every interval has its series"))
    }

    pub(super) fn klines(&self, interval: Interval, query: KlineQuery) -> Vec<Kline> {
        let within = |k: &&Kline| {
            query.start_ns.is_none_or(|start| k.open_ns >= start)
                && query.end_ns.is_none_or(|end| k.open_ns <= end)
        };
        let all = self.series(interval).all().filter(within);
        if query.start_ns.is_some() {
            return all.take(query.limit).copied().collect();
        }
        let mut latest: Vec<Kline> = all.rev().take(query.limit).copied().collect();
        latest.reverse();
        latest
    }

    /// The average over the last minutes, computed anew once a second. `mins == 0` is the last price, as filters have it.
    pub(super) fn average(&mut self, mins: u32, now_ns: i64) -> AveragePrice {
        if mins == 0 {
            return AveragePrice { mins, price: self.last, close_ns: now_ns };
        }
        let second = now_ns.div_euclid(NS_PER_S);
        if self.average_second != second {
            self.average_second = second;
            let from_ns = now_ns - i64::from(AVERAGE_MINS) * NS_PER_MIN;
            let (mut volume, mut quote, mut close_ns) = (0i128, 0i128, 0);
            for kline in self.series(Interval::S1).all().rev().take_while(|k| k.open_ns > from_ns) {
                volume += i128::from(kline.volume.units());
                quote += i128::from(kline.quote_volume.units());
                if close_ns == 0 && kline.trades > 0 {
                    close_ns = kline.open_ns + kline.interval_ns;
                }
            }
            let price = average_floor(quote, volume).unwrap_or(self.last);
            self.average = AveragePrice { mins: AVERAGE_MINS, price, close_ns: close_ns.min(now_ns) };
        }
        self.average
    }

    pub(super) fn ticker(&self, now_ns: i64) -> Ticker {
        let from_ns = now_ns - TICKER_NS;
        let mut window = Kline::flat(from_ns, TICKER_NS, self.last);
        let mut previous_close = None;
        for kline in self.series(Interval::M1).all() {
            if kline.open_ns <= from_ns {
                previous_close = Some(kline.close);
            } else if let Some((first, last)) = kline.trade_ids {
                if window.trade_ids.is_none() {
                    (window.open, window.high, window.low) = (kline.open, kline.high, kline.low);
                }
                window.high = window.high.max(kline.high);
                window.low = window.low.min(kline.low);
                window.volume = saturating_qty(window.volume, kline.volume);
                window.quote_volume = saturating_cash(window.quote_volume, kline.quote_volume);
                window.trades += kline.trades;
                window.trade_ids = Some((window.trade_ids.map_or(first, |(first, _)| first), last));
            }
        }
        let (volume, quote) = (i128::from(window.volume.units()), i128::from(window.quote_volume.units()));
        Ticker {
            open_ns: from_ns,
            close_ns: now_ns,
            open: window.open,
            high: window.high,
            low: window.low,
            last: self.last,
            last_qty: self.trades.back().map_or(Qty::ZERO, |t| t.qty),
            previous_close: previous_close.unwrap_or(window.open),
            weighted_average: average_floor(quote, volume).unwrap_or(Price::ZERO),
            volume: window.volume,
            quote_volume: window.quote_volume,
            trades: window.trades,
            trade_ids: window.trade_ids,
        }
    }

    /// Public trades, oldest first: the latest `limit`, or `limit` from a number on.
    pub(super) fn trades(&self, from: Option<TradeId>, limit: usize) -> Vec<PublicTrade> {
        let skip = match from {
            Some(from) => self.trades.partition_point(|t| t.id < from),
            None => self.trades.len().saturating_sub(limit),
        };
        self.trades.iter().skip(skip).take(limit).copied().collect()
    }
}

/// Average price of a volume: quote value (1e-8) over base (1e-8) as a price (1e-9), towards zero.
fn average_floor(quote: i128, volume: i128) -> Option<Price> {
    let units = (quote * i128::from(Price::ONE.units())).checked_div(volume)?;
    i64::try_from(units).ok().map(Price::from_units)
}

/// The side that took.
pub(super) const fn buyer_is_maker(taker: Side) -> bool {
    matches!(taker, Side::Sell)
}
