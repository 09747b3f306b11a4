//! Market messages of any shape by `simd-json`: other key orders, extra fields, partial depth, acknowledgements. The
//! scanner's oracle.

use crate::event::{Quote, Trade};
use crate::types::{InstrumentId, Level, Side, TradeId};
use crate::venue::Malformed;
use crate::venue::binance::fields::{Fields, price_of, qty_of};
use crate::venue::binance::names::Names;
use crate::venue::binance::scan::{DepthHead, LEVELS_MAX, Levels};
use crate::wire::json::Value;

/// What a market message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Parsed {
    Quote(Quote),
    Trade(Trade),
    Depth(DepthHead),
    /// The whole (top of the) book; its levels are in [`Levels`].
    Partial {
        instrument: InstrumentId,
        update_id: u64,
    },
    ServerShutdown,
    Ack,
    Refused {
        code: i32,
    },
    UnknownSymbol,
    UnknownEvent,
}

/// Reads a parsed message.
pub(super) fn read(root: Value<'_>, names: &Names, levels: &mut Levels) -> Result<Parsed, Malformed> {
    let fields = Fields::new("stream message", root);
    if !root.is_object() {
        return Err(Malformed::at(fields.message, "", "an object", root.offset(), b""));
    }
    if root.get("stream").is_some() {
        let stream = fields.str("stream")?;
        let data = fields.object("data")?;
        return read_data(data.value, Some(stream), names, levels);
    }
    if let Some(event) = root.get("event").filter(|e| e.is_object()) {
        return read_data(event, None, names, levels);
    }
    if let Some(error) = root.get("error").filter(|e| e.is_object()) {
        return Ok(Parsed::Refused { code: code_of(error) });
    }
    // `{"result":null,"id":1}`; a refusal may also stand bare: `{"code":2,"msg":"..."}`.
    if root.get("result").is_some() {
        return Ok(Parsed::Ack);
    }
    if root.get("code").is_some() && root.get("msg").is_some() {
        return Ok(Parsed::Refused { code: code_of(root) });
    }
    read_data(root, None, names, levels)
}

fn code_of(error: Value<'_>) -> i32 {
    error.get("code").and_then(Value::as_i64).and_then(|c| i32::try_from(c).ok()).unwrap_or(0)
}

fn read_data(
    data: Value<'_>,
    stream: Option<&str>,
    names: &Names,
    levels: &mut Levels,
) -> Result<Parsed, Malformed> {
    match data.get("e").map(Value::as_str) {
        Some(Some("bookTicker")) => read_quote(&Fields::new("bookTicker", data), names),
        Some(Some("trade")) => read_trade(&Fields::new("trade", data), names),
        Some(Some("depthUpdate")) => read_depth(&Fields::new("depthUpdate", data), names, levels),
        Some(Some("serverShutdown")) => Ok(Parsed::ServerShutdown),
        Some(None) => Err(Fields::new("stream message", data).wrong("e", "text")),
        // Spot's `bookTicker` and partial depth have no event type.
        None if data.get("u").is_some() && data.get("B").is_some() => {
            read_quote(&Fields::new("bookTicker", data), names)
        }
        None if data.get("lastUpdateId").is_some() => {
            read_partial(&Fields::new("partial depth", data), stream, names, levels)
        }
        Some(Some(_)) | None => Ok(Parsed::UnknownEvent),
    }
}

fn read_quote(fields: &Fields<'_>, names: &Names) -> Result<Parsed, Malformed> {
    let symbol = fields.str("s")?;
    let quote = Quote {
        instrument: InstrumentId::default(),
        conflated: false,
        update_id: fields.u64("u")?,
        bid: Level::new(fields.price("b")?, fields.qty("B")?),
        ask: Level::new(fields.price("a")?, fields.qty("A")?),
    };
    Ok(names
        .find_symbol(symbol)
        .map_or(Parsed::UnknownSymbol, |instrument| Parsed::Quote(Quote { instrument, ..quote })))
}

fn read_trade(fields: &Fields<'_>, names: &Names) -> Result<Parsed, Malformed> {
    let symbol = fields.str("s")?;
    let trade = Trade {
        instrument: InstrumentId::default(),
        // `m`: the buyer was the maker, so the seller took.
        aggressor: if fields.bool("m")? { Side::Sell } else { Side::Buy },
        conflated: false,
        trade_id: TradeId(fields.u64("t")?),
        price: fields.price("p")?,
        qty: fields.qty("q")?,
        venue_ns: fields.time_ns("T")?,
    };
    Ok(names
        .find_symbol(symbol)
        .map_or(Parsed::UnknownSymbol, |instrument| Parsed::Trade(Trade { instrument, ..trade })))
}

fn read_depth(fields: &Fields<'_>, names: &Names, levels: &mut Levels) -> Result<Parsed, Malformed> {
    let symbol = fields.str("s")?;
    let head = DepthHead {
        instrument: InstrumentId::default(),
        first_id: fields.u64("U")?,
        last_id: fields.u64("u")?,
        venue_ns: fields.time_ns("E")?,
    };
    read_sides(fields, ["b", "a"], levels)?;
    Ok(names
        .find_symbol(symbol)
        .map_or(Parsed::UnknownSymbol, |instrument| Parsed::Depth(DepthHead { instrument, ..head })))
}

fn read_partial(
    fields: &Fields<'_>,
    stream: Option<&str>,
    names: &Names,
    levels: &mut Levels,
) -> Result<Parsed, Malformed> {
    let update_id = fields.u64("lastUpdateId")?;
    read_sides(fields, ["bids", "asks"], levels)?;
    // Only the stream's name says whose book it is.
    Ok(stream
        .and_then(|stream| names.find_stream(stream))
        .map_or(Parsed::UnknownSymbol, |instrument| Parsed::Partial { instrument, update_id }))
}

/// Reads both sides' levels.
pub(super) fn read_sides(
    fields: &Fields<'_>,
    [bids, asks]: [&'static str; 2],
    levels: &mut Levels,
) -> Result<(), Malformed> {
    levels.clear();
    read_levels(fields, bids, levels)?;
    levels.end_bids();
    read_levels(fields, asks, levels)
}

fn read_levels(fields: &Fields<'_>, side: &'static str, levels: &mut Levels) -> Result<(), Malformed> {
    const { assert!(LEVELS_MAX >= 10_000, "a REST snapshot must fit") };
    for entry in fields.array(side)?.items() {
        // A third element was once sent and may be again: what follows the pair is ignored.
        let mut pair = entry.items();
        let (Some(price), Some(qty)) = (pair.next().and_then(price_of), pair.next().and_then(qty_of)) else {
            let value = entry.items().find_map(Value::as_str).unwrap_or("(no text)");
            let expected = "[price, quantity] as decimal text";
            let at = entry.items().next().map_or(entry.offset(), Value::offset);
            return Err(Malformed::at(fields.message, side, expected, at, value.as_bytes()));
        };
        if levels.push(Level::new(price, qty)).is_none() {
            return Err(fields.wrong(side, "at most 16,384 levels"));
        }
    }
    Ok(())
}
