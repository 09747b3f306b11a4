//! The schema-directed scanner of the hot shapes: `bookTicker`, `trade` and `depthUpdate`, wrapped in a combined stream or
//! not, in the key order in which the venue writes them. Keys are compared as constants and values go straight to
//! integers. Whatever looks different in any byte makes it abstain, and `simd-json` reads the message instead.

use crate::event::{Quote, Trade};
use crate::types::{InstrumentId, Level, Price, Qty, Side, TradeId};
use crate::venue::binance::names::Names;
use crate::venue::binance::venue_time_ns;
use crate::wire::json::Padded;
use crate::wire::number::Cursor;

/// Most levels of one message (both sides): a REST snapshot has 10,000 at most, a 100 ms diff a few hundred.
pub(super) const LEVELS_MAX: usize = 16_384;

/// The levels of the depth message read last.
#[derive(Debug)]
pub(super) struct Levels {
    all: Vec<Level>,
    bids: usize,
}

impl Levels {
    pub(super) fn new() -> Self {
        Self { all: Vec::with_capacity(LEVELS_MAX), bids: 0 }
    }
    pub(super) fn clear(&mut self) {
        self.all.clear();
        self.bids = 0;
    }
    /// `None` when there are too many.
    #[inline]
    pub(super) fn push(&mut self, level: Level) -> Option<()> {
        if self.all.len() == LEVELS_MAX {
            return None;
        }
        self.all.push(level);
        Some(())
    }
    /// What was pushed so far are the bids; asks follow.
    #[inline]
    pub(super) fn end_bids(&mut self) {
        self.bids = self.all.len();
    }
    pub(super) fn all(&self) -> &[Level] {
        &self.all
    }
    pub(super) fn bids(&self) -> usize {
        self.bids
    }
}

/// The frame of a depth update; its levels are in [`Levels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DepthHead {
    pub(super) instrument: InstrumentId,
    /// `U`.
    pub(super) first_id: u64,
    /// `u`.
    pub(super) last_id: u64,
    pub(super) venue_ns: i64,
}

/// A message of a hot shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scanned {
    Quote(Quote),
    Trade(Trade),
    Depth(DepthHead),
}

/// Reads a message of a hot shape; `None` when it is none.
#[inline]
pub(super) fn scan(message: &Padded<'_>, names: &mut Names, levels: &mut Levels) -> Option<Scanned> {
    let bytes = message.padded();
    let mut cursor = Cursor::new(bytes);
    let combined = cursor.literal(b"{\"stream\":\"");
    if combined.is_none() {
        let (scanned, at) = scan_data(bytes, 0, None, names, levels)?;
        return (at == message.len()).then_some(scanned);
    }
    let (instrument, at) = names.stream_at(bytes, cursor.at)?;
    cursor.at = at;
    // The stream's name must be the one of its data's kind: nothing is skipped unread.
    let (scanned, at) = match cursor.peek::<1>()? {
        b"b" => {
            cursor.literal(b"bookTicker\",\"data\":")?;
            scan_quote(bytes, cursor.at, Some(instrument), names)?
        }
        b"t" => {
            cursor.literal(b"trade\",\"data\":")?;
            scan_trade(bytes, cursor.at, Some(instrument), names)?
        }
        _ => {
            cursor.literal(b"depth")?;
            if cursor.literal(b"@100ms").is_none() && cursor.peek::<1>()? != b"\"" {
                return None;
            }
            cursor.literal(b"\",\"data\":")?;
            scan_depth(bytes, cursor.at, Some(instrument), names, levels)?
        }
    };
    cursor.at = at;
    cursor.literal(b"}")?;
    (cursor.at == message.len()).then_some(scanned)
}

/// The data of a message that is not wrapped: its own first key says what it is.
fn scan_data(
    bytes: &[u8],
    at: usize,
    instrument: Option<InstrumentId>,
    names: &mut Names,
    levels: &mut Levels,
) -> Option<(Scanned, usize)> {
    match bytes.get(at + 2)? {
        b'u' => scan_quote(bytes, at, instrument, names),
        _ if bytes.get(at + 6) == Some(&b't') => scan_trade(bytes, at, instrument, names),
        _ => scan_depth(bytes, at, instrument, names, levels),
    }
}

/// The symbol at `at`, which must be the stream's own where there is one.
#[inline]
fn symbol(
    bytes: &[u8],
    at: usize,
    stream: Option<InstrumentId>,
    names: &mut Names,
) -> Option<(InstrumentId, usize)> {
    match stream {
        Some(instrument) => Some((instrument, names.is_symbol_at(instrument, bytes, at)?)),
        None => names.symbol_at(bytes, at),
    }
}

#[inline]
fn price(cursor: &mut Cursor<'_>) -> Option<Price> {
    cursor.decimal(Price::DECIMALS).map(Price::from_units)
}

#[inline]
fn qty(cursor: &mut Cursor<'_>) -> Option<Qty> {
    cursor.decimal(Qty::DECIMALS).map(Qty::from_units)
}

/// An id or a time as JSON writes it: a leading zero would be no JSON.
#[inline]
fn json_uint(cursor: &mut Cursor<'_>) -> Option<u64> {
    let [first, second] = *cursor.peek::<2>()?;
    if first == b'0' && second.is_ascii_digit() {
        return None;
    }
    cursor.uint()
}

#[inline]
fn time(cursor: &mut Cursor<'_>) -> Option<i64> {
    venue_time_ns(i64::try_from(json_uint(cursor)?).ok()?)
}

#[inline]
fn scan_quote(
    bytes: &[u8],
    at: usize,
    stream: Option<InstrumentId>,
    names: &mut Names,
) -> Option<(Scanned, usize)> {
    let mut c = Cursor::new(bytes);
    c.at = at;
    c.literal(b"{\"u\":")?;
    let update_id = json_uint(&mut c)?;
    c.literal(b",\"s\":\"")?;
    let (instrument, at) = symbol(bytes, c.at, stream, names)?;
    c.at = at;
    c.literal(b",\"b\":\"")?;
    let bid_price = price(&mut c)?;
    c.literal(b"\",\"B\":\"")?;
    let bid_qty = qty(&mut c)?;
    c.literal(b"\",\"a\":\"")?;
    let ask_price = price(&mut c)?;
    c.literal(b"\",\"A\":\"")?;
    let ask_qty = qty(&mut c)?;
    c.literal(b"\"}")?;
    let (bid, ask) = (Level::new(bid_price, bid_qty), Level::new(ask_price, ask_qty));
    Some((Scanned::Quote(Quote { instrument, conflated: false, update_id, bid, ask }), c.at))
}

#[inline]
fn scan_trade(
    bytes: &[u8],
    at: usize,
    stream: Option<InstrumentId>,
    names: &mut Names,
) -> Option<(Scanned, usize)> {
    let mut c = Cursor::new(bytes);
    c.at = at;
    c.literal(b"{\"e\":\"trade\",\"E\":")?;
    time(&mut c)?;
    c.literal(b",\"s\":\"")?;
    let (instrument, at) = symbol(bytes, c.at, stream, names)?;
    c.at = at;
    c.literal(b",\"t\":")?;
    let trade_id = TradeId(json_uint(&mut c)?);
    c.literal(b",\"p\":\"")?;
    let price = price(&mut c)?;
    c.literal(b"\",\"q\":\"")?;
    let qty = qty(&mut c)?;
    c.literal(b"\",\"T\":")?;
    let venue_ns = time(&mut c)?;
    c.literal(b",\"m\":")?;
    // `m`: the buyer was the maker, so the seller took.
    let aggressor = if flag(&mut c)? { Side::Sell } else { Side::Buy };
    c.literal(b",\"M\":")?;
    flag(&mut c)?;
    c.literal(b"}")?;
    let trade = Trade { instrument, aggressor, conflated: false, trade_id, price, qty, venue_ns };
    Some((Scanned::Trade(trade), c.at))
}

#[inline]
fn flag(cursor: &mut Cursor<'_>) -> Option<bool> {
    if cursor.literal(b"true").is_some() {
        return Some(true);
    }
    cursor.literal(b"false").map(|()| false)
}

#[inline]
fn scan_depth(
    bytes: &[u8],
    at: usize,
    stream: Option<InstrumentId>,
    names: &mut Names,
    levels: &mut Levels,
) -> Option<(Scanned, usize)> {
    let mut c = Cursor::new(bytes);
    c.at = at;
    c.literal(b"{\"e\":\"depthUpdate\",\"E\":")?;
    let venue_ns = time(&mut c)?;
    c.literal(b",\"s\":\"")?;
    let (instrument, at) = symbol(bytes, c.at, stream, names)?;
    c.at = at;
    c.literal(b",\"U\":")?;
    let first_id = json_uint(&mut c)?;
    c.literal(b",\"u\":")?;
    let last_id = json_uint(&mut c)?;
    levels.clear();
    c.literal(b",\"b\":[")?;
    scan_levels(&mut c, levels)?;
    levels.end_bids();
    c.literal(b",\"a\":[")?;
    scan_levels(&mut c, levels)?;
    c.literal(b"}")?;
    Some((Scanned::Depth(DepthHead { instrument, first_id, last_id, venue_ns }), c.at))
}

/// `["price","qty"],...]`, the opening bracket already read.
#[inline]
fn scan_levels(c: &mut Cursor<'_>, levels: &mut Levels) -> Option<()> {
    if c.literal(b"]").is_some() {
        return Some(());
    }
    loop {
        c.literal(b"[\"")?;
        let price = price(c)?;
        c.literal(b"\",\"")?;
        let qty = qty(c)?;
        levels.push(Level::new(price, qty))?;
        if c.literal(b"\"],").is_none() {
            return c.literal(b"\"]]");
        }
    }
}
