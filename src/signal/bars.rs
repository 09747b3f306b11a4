//! Bars from trades (R-FEED-5), on the venue's time.
//!
//! The rules:
//! - A bar covers `[n * interval, (n + 1) * interval)` of the venue's clock and closes when a trade at or after its end
//!   arrives, or when a timer shows that the venue's clock has passed the end by [`GRACE_NS`]. Timers count only once the
//!   venue's clock has been measured; until then trades alone close bars.
//! - An interval without trades has no bar.
//! - A bar is whole only if every trade of it was seen. Where the stream began within it, was cut in it, or left trades out
//!   because the line was full, no bar comes out: a wrong bar is worse than none.
//! - A trade that comes after its bar has closed, or a second time, is left out.

use crate::event::{Bar, Trade};
use crate::types::time::NS_PER_MS;
use crate::types::{InstrumentId, Qty, TradeId};

/// How long a timer waits for trades that are still on their way.
pub const GRACE_NS: i64 = 250 * NS_PER_MS;

/// Builds the bars of one length for one instrument.
#[derive(Clone, Copy, Debug)]
pub struct BarBuilder {
    instrument: InstrumentId,
    interval_ns: i64,
    /// Every trade since this time of the venue was seen; `None` = nothing is being seen.
    watched_from_ns: Option<i64>,
    /// Nothing before this can be added any more.
    closed_until_ns: i64,
    last_trade: TradeId,
    open: Option<Bar>,
    open_is_whole: bool,
}

impl BarBuilder {
    /// For a length of at least a nanosecond.
    pub fn new(instrument: InstrumentId, interval_ns: i64) -> Self {
        Self {
            instrument,
            interval_ns: interval_ns.max(1),
            watched_from_ns: None,
            closed_until_ns: i64::MIN,
            last_trade: TradeId::default(),
            open: None,
            open_is_whole: false,
        }
    }
    /// The length.
    pub const fn interval_ns(&self) -> i64 {
        self.interval_ns
    }

    /// Adds a trade; the bar that it closes, if that is whole.
    pub fn on_trade(&mut self, trade: &Trade) -> Option<Bar> {
        let repeated = trade.trade_id.0 != 0 && trade.trade_id <= self.last_trade;
        if repeated || trade.venue_ns < self.closed_until_ns {
            return None;
        }
        self.last_trade = trade.trade_id;
        if trade.conflated {
            // Whichever bar the missing trades belong to, neither the open one nor this one can be known.
            self.open_is_whole = false;
            self.watched_from_ns = None;
        }
        let start_ns = trade.venue_ns - trade.venue_ns.rem_euclid(self.interval_ns);
        let closed = match self.open {
            Some(open) if start_ns > open.open_ns => self.close(),
            Some(open) if start_ns < open.open_ns => return None,
            _ => None,
        };
        let watched_from_ns = *self.watched_from_ns.get_or_insert(trade.venue_ns);
        if let Some(open) = &mut self.open {
            add(open, trade);
        } else {
            self.open_is_whole = start_ns >= watched_from_ns;
            self.open = Some(self.first(trade, start_ns));
        }
        closed
    }

    /// The venue's clock is known to have reached `venue_ns`.
    pub fn on_time(&mut self, venue_ns: i64) -> Option<Bar> {
        let open = self.open.as_ref()?;
        let due_ns = open.open_ns.saturating_add(self.interval_ns).saturating_add(GRACE_NS);
        if venue_ns >= due_ns { self.close() } else { None }
    }

    /// The stream was cut: the open bar can't be known.
    pub const fn cut(&mut self) {
        self.open = None;
        self.watched_from_ns = None;
    }

    fn close(&mut self) -> Option<Bar> {
        let bar = self.open.take()?;
        self.closed_until_ns = bar.open_ns.saturating_add(self.interval_ns);
        self.open_is_whole.then_some(bar)
    }

    const fn first(&self, trade: &Trade, start_ns: i64) -> Bar {
        Bar {
            instrument: self.instrument,
            trades: 1,
            interval_ns: self.interval_ns,
            open_ns: start_ns,
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: trade.qty,
        }
    }
}

fn add(bar: &mut Bar, trade: &Trade) {
    bar.trades = bar.trades.saturating_add(1);
    bar.high = bar.high.max(trade.price);
    bar.low = bar.low.min(trade.price);
    bar.close = trade.price;
    bar.volume = bar.volume.checked_add(trade.qty).unwrap_or(Qty::MAX);
}
