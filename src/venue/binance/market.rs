//! The market streams' session: messages in, facts out, books kept in step with the venue.
//!
//! The hot shapes go through the scanner; what it does not recognise goes through `simd-json`. Nothing allocates after
//! construction. What is not ours (other symbols, other events) is counted and left aside; what can't be read is an error
//! that names place and value, and leaves the session usable: a lost update shows as a gap in the next one.

use crate::event::{Body, Depth, Quote, Trade};
use crate::types::{Book, InstrumentId, InstrumentTable, Now, Reason};
use crate::venue::Malformed;
use crate::venue::binance::market_json::{self, Parsed};
use crate::venue::binance::names::Names;
use crate::venue::binance::scan::{DepthHead, Levels, Scanned, scan};
use crate::venue::binance::sync::{Applied, BookSync};
use crate::venue::binance::{CONNECTION_LIFE_NS, TIME_UNIT};
use crate::wire::json::{JsonReader, Padded};

/// Messages up to this size are read by `simd-json` without growing its memory: a diff of some 2,000 levels.
const JSON_BYTES_WARM: usize = 64 << 10;

/// Which depth stream is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthStream {
    /// None.
    Off,
    /// Changes every 100 ms (`@depth@100ms`), with a REST snapshot to start from.
    Diff,
    /// The best 5, 10 or 20 levels every 100 ms (`@depth20@100ms`): each message is the whole book.
    Partial(u8),
}

/// What to subscribe to, for every instrument of the table.
#[derive(Clone, Copy, Debug)]
pub struct MarketConfig {
    /// `@bookTicker`.
    pub quotes: bool,
    /// `@trade`.
    pub trades: bool,
    /// `@depth...`.
    pub depth: DepthStream,
    /// Ask for times in microseconds.
    pub microseconds: bool,
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self { quotes: true, trades: true, depth: DepthStream::Diff, microseconds: true }
    }
}

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// Market data; its facts were given out.
    Data,
    /// The venue will close the connection soon: open another.
    ServerShutdown,
    /// A request of ours (subscribe) was done.
    Ack,
    /// A request of ours was refused, with the venue's code.
    Refused {
        /// The venue's error code.
        code: i32,
    },
    /// Of no concern: an event or a symbol that we did not ask for, or an update that we have already.
    Ignored,
}

/// What was met and left aside, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketCounters {
    /// Messages that the scanner read.
    pub scanned: u64,
    /// Messages that `simd-json` read.
    pub parsed: u64,
    /// Messages that neither could read.
    pub malformed: u64,
    /// Messages about symbols that are not in the table.
    pub symbols_unknown: u64,
    /// Events that we know of no use for.
    pub events_unknown: u64,
    /// Depth updates that were older than the book.
    pub depth_stale: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Snapshots that came too old.
    pub snapshots_old: u64,
    /// Quotes and trades left out because the line was full.
    pub conflated: u64,
}

/// Left out on one instrument since the last that got through.
#[derive(Clone, Copy, Debug, Default)]
struct Conflated {
    quote: bool,
    trade: bool,
}

/// The session over one market-data connection.
#[derive(Debug)]
pub struct MarketSession {
    config: MarketConfig,
    streams: Vec<String>,
    names: Names,
    levels: Levels,
    reader: JsonReader,
    books: Vec<BookSync>,
    conflated: Vec<Conflated>,
    opened_ns: Option<i64>,
    counters: MarketCounters,
}

impl MarketSession {
    /// A session for every instrument of the table.
    pub fn new(table: &InstrumentTable, config: MarketConfig) -> Self {
        let buffered = config.depth == DepthStream::Diff;
        Self {
            config,
            streams: streams(table, config),
            names: Names::new(table),
            levels: Levels::new(),
            reader: JsonReader::new(JSON_BYTES_WARM),
            books: table.all().iter().map(|i| BookSync::new(i.id, buffered)).collect(),
            conflated: vec![Conflated::default(); table.all().len()],
            opened_ns: None,
            counters: MarketCounters::default(),
        }
    }

    /// Path and query to open: all streams named, so that nothing need be sent.
    pub fn path(&self) -> String {
        let mut path = format!("/stream?streams={}", self.streams.join("/"));
        if self.config.microseconds {
            path.push('&');
            path.push_str(TIME_UNIT);
        }
        path
    }

    /// The same streams as a `SUBSCRIBE` request, for a connection opened at `/stream`.
    pub fn subscribe_text(&self, id: u32) -> String {
        let params = self.streams.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(",");
        format!("{{\"method\":\"SUBSCRIBE\",\"params\":[{params}],\"id\":{id}}}")
    }

    /// The connection is open: books wait for their snapshots.
    pub fn handle_open(&mut self, now: Now) {
        self.opened_ns = Some(now.mono_ns);
        if self.config.depth != DepthStream::Off {
            for book in &mut self.books {
                book.handle_open(now);
            }
        }
    }

    /// The connection is gone: every book becomes invalid.
    pub fn handle_closed(&mut self, reason: Reason, out: &mut impl FnMut(Body) -> bool) {
        self.opened_ns = None;
        for book in &mut self.books {
            book.handle_closed(reason, out);
        }
    }

    /// One message. `out` answers false when the line is full.
    #[inline]
    pub fn handle_text(
        &mut self,
        message: Padded<'_>,
        now: Now,
        out: &mut impl FnMut(Body) -> bool,
    ) -> Result<MarketEvent, Malformed> {
        match scan(&message, &mut self.names, &mut self.levels) {
            Some(scanned) => {
                self.counters.scanned += 1;
                Ok(match scanned {
                    Scanned::Quote(quote) => self.give_quote(quote, out),
                    Scanned::Trade(trade) => self.give_trade(trade, out),
                    Scanned::Depth(head) => self.give_depth(&head, now, out),
                })
            }
            None => self.handle_other(message, now, out),
        }
    }

    /// A message that the scanner left aside.
    #[cold]
    fn handle_other(
        &mut self,
        message: Padded<'_>,
        now: Now,
        out: &mut impl FnMut(Body) -> bool,
    ) -> Result<MarketEvent, Malformed> {
        let (names, levels) = (&self.names, &mut self.levels);
        let start = first_bytes(&message);
        let read = self.reader.read(message, |root| market_json::read(root, names, levels));
        let parsed = match read {
            Ok(Ok(parsed)) => parsed,
            Ok(Err(malformed)) => {
                self.counters.malformed += 1;
                return Err(malformed);
            }
            Err(error) => {
                self.counters.malformed += 1;
                return Err(Malformed::at("stream message", "", "JSON", error.at, &start));
            }
        };
        self.counters.parsed += 1;
        Ok(match parsed {
            Parsed::Quote(quote) => self.give_quote(quote, out),
            Parsed::Trade(trade) => self.give_trade(trade, out),
            Parsed::Depth(head) => self.give_depth(&head, now, out),
            Parsed::Partial { instrument, update_id } => self.give_whole(instrument, update_id, out),
            Parsed::ServerShutdown => MarketEvent::ServerShutdown,
            Parsed::Ack => MarketEvent::Ack,
            Parsed::Refused { code } => MarketEvent::Refused { code },
            Parsed::UnknownSymbol => {
                self.counters.symbols_unknown += 1;
                MarketEvent::Ignored
            }
            Parsed::UnknownEvent => {
                self.counters.events_unknown += 1;
                MarketEvent::Ignored
            }
        })
    }

    #[inline]
    fn give_quote(&mut self, mut quote: Quote, out: &mut impl FnMut(Body) -> bool) -> MarketEvent {
        let Some(left_out) = self.conflated.get_mut(quote.instrument.index()) else {
            return MarketEvent::Ignored;
        };
        quote.conflated = left_out.quote;
        left_out.quote = !out(Body::Quote(quote));
        self.counters.conflated += u64::from(left_out.quote);
        MarketEvent::Data
    }

    #[inline]
    fn give_trade(&mut self, mut trade: Trade, out: &mut impl FnMut(Body) -> bool) -> MarketEvent {
        let Some(left_out) = self.conflated.get_mut(trade.instrument.index()) else {
            return MarketEvent::Ignored;
        };
        trade.conflated = left_out.trade;
        left_out.trade = !out(Body::Trade(trade));
        self.counters.conflated += u64::from(left_out.trade);
        MarketEvent::Data
    }

    fn give_depth(&mut self, head: &DepthHead, now: Now, out: &mut impl FnMut(Body) -> bool) -> MarketEvent {
        let Some(book) = self.books.get_mut(head.instrument.index()) else {
            return MarketEvent::Ignored;
        };
        match book.handle_update(head, self.levels.all(), self.levels.bids(), now, out) {
            Applied::Stale => {
                self.counters.depth_stale += 1;
                return MarketEvent::Ignored;
            }
            Applied::Gap => self.counters.gaps += 1,
            Applied::Done | Applied::Buffered | Applied::Restarted => {}
        }
        MarketEvent::Data
    }

    fn give_whole(
        &mut self,
        instrument: InstrumentId,
        update_id: u64,
        out: &mut impl FnMut(Body) -> bool,
    ) -> MarketEvent {
        // Only where the book lives on these messages: beside a diff stream they would overwrite it.
        let whole = matches!(self.config.depth, DepthStream::Partial(_));
        let Some(book) = self.books.get_mut(instrument.index()).filter(|_| whole) else {
            self.counters.events_unknown += 1;
            return MarketEvent::Ignored;
        };
        match book.handle_whole(update_id, self.levels.all(), self.levels.bids(), out) {
            Applied::Stale => {
                self.counters.depth_stale += 1;
                MarketEvent::Ignored
            }
            _ => MarketEvent::Data,
        }
    }

    /// Gives out what was held back because the line was full. Call it in each poll; cheap when there is nothing.
    #[inline]
    pub fn poll(&mut self, _now: Now, out: &mut impl FnMut(Body) -> bool) {
        for book in &mut self.books {
            book.poll(out);
        }
    }

    /// Whether the connection nears the venue's 24 hours.
    pub fn poll_renewal(&self, now: Now) -> bool {
        self.opened_ns.is_some_and(|opened| now.mono_ns - opened >= CONNECTION_LIFE_NS)
    }

    /// An instrument whose book needs a REST snapshot now. Each is named once per request; the pause between requests
    /// doubles while they follow each other closely.
    pub fn poll_snapshot_request(&mut self, now: Now) -> Option<InstrumentId> {
        if self.config.depth != DepthStream::Diff {
            return None;
        }
        let at = self.books.iter_mut().position(|book| book.poll_request(now))?;
        u16::try_from(at).ok().map(InstrumentId)
    }

    /// A piece of the snapshot (`snapshot: true`), in order from `first` to `last`.
    pub fn handle_snapshot_piece(&mut self, piece: &Depth, now: Now, out: &mut impl FnMut(Body) -> bool) {
        if let Some(book) = self.books.get_mut(piece.instrument.index())
            && book.handle_snapshot_piece(piece, now, out)
        {
            self.counters.snapshots_old += 1;
        }
    }

    /// The snapshot could not be had: asked again after a back-off.
    pub fn handle_snapshot_failed(&mut self, instrument: InstrumentId, now: Now) {
        if let Some(book) = self.books.get_mut(instrument.index()) {
            book.handle_snapshot_failed(now);
        }
    }

    /// Declares a book invalid for a reason of the caller's, and starts over.
    pub fn invalidate(
        &mut self,
        instrument: InstrumentId,
        reason: Reason,
        now: Now,
        out: &mut impl FnMut(Body) -> bool,
    ) {
        if let Some(book) = self.books.get_mut(instrument.index()) {
            book.invalidate(reason, now, out);
        }
    }

    /// An instrument's book as this session keeps it.
    pub fn book(&self, instrument: InstrumentId) -> Option<&Book> {
        self.books.get(instrument.index()).map(BookSync::book)
    }

    /// Whether an instrument's book is in step with the venue.
    pub fn is_book_valid(&self, instrument: InstrumentId) -> bool {
        self.books.get(instrument.index()).is_some_and(BookSync::is_valid)
    }

    /// What was left aside.
    pub fn counters(&self) -> MarketCounters {
        self.counters
    }
}

/// The start of a message, kept for an error before `simd-json` takes the message.
fn first_bytes(message: &Padded<'_>) -> [u8; 32] {
    let mut start = [b' '; 32];
    let text = message.text();
    let len = text.len().min(start.len());
    start[..len].copy_from_slice(&text[..len]);
    start
}

/// The names of all streams.
fn streams(table: &InstrumentTable, config: MarketConfig) -> Vec<String> {
    let mut streams = Vec::new();
    for instrument in table.all() {
        let symbol = instrument.symbol.as_str().to_ascii_lowercase();
        if config.quotes {
            streams.push(format!("{symbol}@bookTicker"));
        }
        if config.trades {
            streams.push(format!("{symbol}@trade"));
        }
        match config.depth {
            DepthStream::Off => {}
            DepthStream::Diff => streams.push(format!("{symbol}@depth@100ms")),
            DepthStream::Partial(levels) => streams.push(format!("{symbol}@depth{levels}@100ms")),
        }
    }
    streams
}
