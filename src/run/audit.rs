//! What is known to hold in a recording, checked while it plays: trades without a gap, the book equal to the best bid and
//! ask that the venue sent apart, and candles for comparison with the venue's own. Sits on the journal's thread and sees
//! the facts as the stages saw them.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::event::{Body, Depth, Quote, Record, Trade};
use crate::journal::Observer;
use crate::limits::BOOK_LEVELS_MAX;
use crate::types::time::NS_PER_MIN;
use crate::types::{Book, InstrumentId, InstrumentTable, Now, Price, Qty, Side};

/// Length of the candles: the shortest that the venue's public candle files have for months.
const CANDLE_NS: i64 = 5 * NS_PER_MIN;
/// Quotes kept for comparison: they run ahead of the book's updates by up to 100 ms.
const QUOTES_KEPT: usize = 4_096;

/// A candle of the recording's trades.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candle {
    /// When it opens, nanoseconds since the epoch.
    pub open_ns: i64,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Base quantity.
    pub volume: Qty,
    /// Trades.
    pub trades: u64,
}

/// What was found for one instrument.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// Book updates applied.
    pub updates: u64,
    /// Times that the best bid and ask could be compared.
    pub compared: u64,
    /// Times that they were equal, price and quantity.
    pub equal: u64,
    /// Trades.
    pub trades: u64,
    /// Trades whose number did not follow the one before.
    pub trade_gaps: u64,
    /// Times that the book became invalid after it had been valid.
    pub book_lost: u64,
    /// Candles of five minutes, by opening time.
    pub candles: BTreeMap<i64, Candle>,
}

/// The whole finding, by symbol.
#[derive(Clone, Debug, Default)]
pub struct Finding(pub BTreeMap<String, Found>);

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (symbol, found) in &self.0 {
            writeln!(
                f,
                "{symbol}: book updates {}, book lost {} times, book equal to bookTicker in {} of {} comparisons, \
                 trades {} with {} gaps",
                found.updates, found.book_lost, found.equal, found.compared, found.trades, found.trade_gaps
            )?;
            for candle in found.candles.values() {
                let opened = jiff::Timestamp::from_nanosecond(i128::from(candle.open_ns)).unwrap_or_default();
                writeln!(
                    f,
                    "  5m candle {opened}: open {} high {} low {} close {} volume {} trades {}",
                    candle.open, candle.high, candle.low, candle.close, candle.volume, candle.trades
                )?;
            }
        }
        Ok(())
    }
}

struct Room {
    symbol: String,
    book: Book,
    valid: bool,
    quotes: VecDeque<Quote>,
    /// The newest quote that an update included.
    last_quote: Option<Quote>,
    last_trade: Option<u64>,
    found: Found,
}

/// The auditor. Sends its finding when the journal's thread is done with it.
pub struct Audit {
    rooms: Vec<Room>,
    finding: Sender<Finding>,
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Audit").field("instruments", &self.rooms.len()).finish_non_exhaustive()
    }
}

impl Audit {
    /// For the instruments of a session; the finding comes out of the receiver when the session has ended.
    pub fn new(table: &InstrumentTable) -> (Self, Receiver<Finding>) {
        let (finding, receiver) = channel();
        let rooms = table
            .all()
            .iter()
            .map(|i| Room {
                symbol: i.symbol.to_string(),
                book: Book::with_capacity(BOOK_LEVELS_MAX),
                valid: false,
                quotes: VecDeque::with_capacity(QUOTES_KEPT),
                last_quote: None,
                last_trade: None,
                found: Found::default(),
            })
            .collect();
        (Self { rooms, finding }, receiver)
    }

    fn room(&mut self, instrument: InstrumentId) -> Option<&mut Room> {
        self.rooms.get_mut(instrument.index())
    }
}

impl Observer for Audit {
    fn observe(&mut self, _seq: u64, record: &Record) {
        let Record::Fact(fact) = record else { return };
        match &fact.body {
            Body::Quote(quote) => {
                if let Some(room) = self.room(quote.instrument) {
                    if room.quotes.len() == QUOTES_KEPT {
                        room.quotes.pop_front();
                    }
                    room.quotes.push_back(*quote);
                }
            }
            Body::Depth(depth) => {
                if let Some(room) = self.room(depth.instrument) {
                    room.on_depth(depth);
                }
            }
            Body::Trade(trade) => {
                if let Some(room) = self.room(trade.instrument) {
                    room.on_trade(trade);
                }
            }
            Body::BookStatus(status) => {
                if let Some(room) = self.room(status.instrument) {
                    room.found.book_lost += u64::from(room.valid && !status.valid);
                    room.valid = status.valid;
                }
            }
            _ => {}
        }
    }

    fn batch_done(&mut self, _now: Now) {}
}

impl Room {
    fn on_depth(&mut self, depth: &Depth) {
        if depth.first && depth.snapshot {
            self.book.clear();
        }
        for (side, level) in depth.changes() {
            self.book.apply(side, level);
        }
        if !depth.last {
            return;
        }
        self.found.updates += 1;
        if !self.valid {
            return;
        }
        // The last quote that the update includes; newer ones stay for the next update.
        while self.quotes.front().is_some_and(|q| q.update_id <= depth.update_id) {
            self.last_quote = self.quotes.pop_front();
        }
        let Some(quote) = self.last_quote else { return };
        self.found.compared += 1;
        let best = |side: Side| self.book.side(side).next().unwrap_or_default();
        self.found.equal += u64::from((best(Side::Buy), best(Side::Sell)) == (quote.bid, quote.ask));
    }

    fn on_trade(&mut self, trade: &Trade) {
        self.found.trades += 1;
        let id = trade.trade_id.0;
        self.found.trade_gaps += u64::from(self.last_trade.is_some_and(|last| id != last + 1));
        self.last_trade = Some(id);
        let open_ns = trade.venue_ns - trade.venue_ns.rem_euclid(CANDLE_NS);
        let candle = self.found.candles.entry(open_ns).or_insert(Candle {
            open_ns,
            open: trade.price,
            high: trade.price,
            low: trade.price,
            close: trade.price,
            volume: Qty::ZERO,
            trades: 0,
        });
        candle.high = candle.high.max(trade.price);
        candle.low = candle.low.min(trade.price);
        candle.close = trade.price;
        candle.volume = candle.volume.checked_add(trade.qty).unwrap_or(Qty::MAX);
        candle.trades += 1;
    }
}

impl Drop for Audit {
    fn drop(&mut self) {
        let finding = self.rooms.drain(..).map(|room| (room.symbol, room.found)).collect();
        // Nobody listens any more: then nobody misses it.
        let _unheard = self.finding.send(Finding(finding));
    }
}

/// Several observers as one, in order.
pub struct All(pub Vec<Box<dyn Observer>>);

impl fmt::Debug for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("All").field("observers", &self.0.len()).finish()
    }
}

impl Observer for All {
    fn observe(&mut self, seq: u64, record: &Record) {
        for observer in &mut self.0 {
            observer.observe(seq, record);
        }
    }
    fn batch_done(&mut self, now: Now) {
        for observer in &mut self.0 {
            observer.batch_done(now);
        }
    }
}
