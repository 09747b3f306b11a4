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
    let behind = bytes.len() - message.len();
    let mut c = Cursor::new(bytes);
    if c.literal(b"{\"stream\":\"").is_none() {
        let scanned = scan_bare(&mut c, names, levels)?;
        return (c.rest.len() == behind).then_some(scanned);
    }
    let (instrument, rest) = names.stream(c.rest)?;
    c.rest = rest;
    // The stream's name must be the one of its data's kind: nothing is skipped unread.
    let scanned = match c.peek::<1>()? {
        b"b" => {
            c.literal(b"bookTicker\",\"data\":")?;
            Scanned::Quote(scan_quote(&mut c, Some(instrument), names)?)
        }
        b"t" => {
            c.literal(b"trade\",\"data\":")?;
            Scanned::Trade(scan_trade(&mut c, Some(instrument), names)?)
        }
        _ => {
            c.literal(b"depth")?;
            if c.literal(b"@100ms").is_none() && c.peek::<1>()? != b"\"" {
                return None;
            }
            c.literal(b"\",\"data\":")?;
            Scanned::Depth(scan_depth(&mut c, Some(instrument), names, levels)?)
        }
    };
    c.literal(b"}")?;
    (c.rest.len() == behind).then_some(scanned)
}

/// A message that is not wrapped: its own first key says what it is.
fn scan_bare(c: &mut Cursor<'_>, names: &mut Names, levels: &mut Levels) -> Option<Scanned> {
    match c.peek::<7>()? {
        [_, _, b'u', ..] => scan_quote(c, None, names).map(Scanned::Quote),
        [.., b't'] => scan_trade(c, None, names).map(Scanned::Trade),
        _ => scan_depth(c, None, names, levels).map(Scanned::Depth),
    }
}

/// The symbol that comes next, which must be the stream's own where there is one.
#[inline]
fn symbol(c: &mut Cursor<'_>, stream: Option<InstrumentId>, names: &mut Names) -> Option<InstrumentId> {
    let (instrument, rest) = match stream {
        Some(instrument) => (instrument, names.this_symbol(instrument, c.rest)?),
        None => names.symbol(c.rest)?,
    };
    c.rest = rest;
    Some(instrument)
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
#[inline(always)]
#[expect(clippy::inline_always, reason = "as the number itself")]
fn json_uint(cursor: &mut Cursor<'_>) -> Option<u64> {
    let leading_zero = matches!(cursor.peek::<2>(), Some([b'0', b'0'..=b'9']));
    if leading_zero { None } else { cursor.uint() }
}

#[inline]
fn time(cursor: &mut Cursor<'_>) -> Option<i64> {
    venue_time_ns(i64::try_from(json_uint(cursor)?).ok()?)
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "its result goes from registers to the line")]
fn scan_quote(c: &mut Cursor<'_>, stream: Option<InstrumentId>, names: &mut Names) -> Option<Quote> {
    c.literal(b"{\"u\":")?;
    let update_id = json_uint(c)?;
    c.literal(b",\"s\":\"")?;
    let instrument = symbol(c, stream, names)?;
    c.literal(b",\"b\":\"")?;
    let bid_price = price(c)?;
    c.literal(b"\",\"B\":\"")?;
    let bid_qty = qty(c)?;
    c.literal(b"\",\"a\":\"")?;
    let ask_price = price(c)?;
    c.literal(b"\",\"A\":\"")?;
    let ask_qty = qty(c)?;
    c.literal(b"\"}")?;
    let (bid, ask) = (Level::new(bid_price, bid_qty), Level::new(ask_price, ask_qty));
    Some(Quote { instrument, conflated: false, update_id, bid, ask })
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "its result goes from registers to the line")]
fn scan_trade(c: &mut Cursor<'_>, stream: Option<InstrumentId>, names: &mut Names) -> Option<Trade> {
    c.literal(b"{\"e\":\"trade\",\"E\":")?;
    time(c)?;
    c.literal(b",\"s\":\"")?;
    let instrument = symbol(c, stream, names)?;
    c.literal(b",\"t\":")?;
    let trade_id = TradeId(json_uint(c)?);
    c.literal(b",\"p\":\"")?;
    let price = price(c)?;
    c.literal(b"\",\"q\":\"")?;
    let qty = qty(c)?;
    c.literal(b"\",\"T\":")?;
    let venue_ns = time(c)?;
    c.literal(b",\"m\":")?;
    // `m`: the buyer was the maker, so the seller took.
    let aggressor = if flag(c)? { Side::Sell } else { Side::Buy };
    c.literal(b",\"M\":")?;
    flag(c)?;
    c.literal(b"}")?;
    Some(Trade { instrument, aggressor, conflated: false, trade_id, price, qty, venue_ns })
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
    c: &mut Cursor<'_>,
    stream: Option<InstrumentId>,
    names: &mut Names,
    levels: &mut Levels,
) -> Option<DepthHead> {
    c.literal(b"{\"e\":\"depthUpdate\",\"E\":")?;
    let venue_ns = time(c)?;
    c.literal(b",\"s\":\"")?;
    let instrument = symbol(c, stream, names)?;
    c.literal(b",\"U\":")?;
    let first_id = json_uint(c)?;
    c.literal(b",\"u\":")?;
    let last_id = json_uint(c)?;
    levels.clear();
    c.literal(b",\"b\":[")?;
    scan_levels(c, levels)?;
    levels.end_bids();
    c.literal(b",\"a\":[")?;
    scan_levels(c, levels)?;
    c.literal(b"}")?;
    Some(DepthHead { instrument, first_id, last_id, venue_ns })
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

#[cfg(test)]
#[path = "scan_tests.rs"]
mod tests;
