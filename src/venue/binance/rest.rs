//! The REST calls of set-up (`exchangeInfo`, `depth`, `klines`, `time`) and of the halt tool (account, open orders, cancel all).

//!
//! Paths and signed queries out, bodies in; who fetches them is not this file's matter. Cold: it may allocate.

use core::fmt::Write as _;

use crate::event::{Bar, Depth};
use crate::types::time::{NS_PER_MIN, NS_PER_S};
use crate::types::{InstrumentId, InstrumentTable, Qty, Symbol};
use crate::venue::Malformed;
use crate::venue::binance::Credentials;
use crate::venue::binance::fields::{Fields, price_of, qty_of};
use crate::venue::binance::filters::read_symbol;
use crate::venue::binance::market_json::read_sides;
use crate::venue::binance::reply::code_value;
use crate::venue::binance::scan::{DepthHead, Levels};
use crate::venue::binance::sync::pieces;
use crate::venue::binance::venue_time_ns;
use crate::wire::json::{JsonReader, PADDING, Padded, Value};
use crate::wire::sign::percent_encode;

/// How old a signed request may be when the venue takes it.
const RECV_WINDOW_MS: u32 = 5_000;

/// Lengths of bars that the venue keeps, and their names. Weeks and months are not of fixed length in its sense.
const INTERVALS: [(i64, &str); 13] = [
    (NS_PER_S, "1s"),
    (NS_PER_MIN, "1m"),
    (3 * NS_PER_MIN, "3m"),
    (5 * NS_PER_MIN, "5m"),
    (15 * NS_PER_MIN, "15m"),
    (30 * NS_PER_MIN, "30m"),
    (60 * NS_PER_MIN, "1h"),
    (120 * NS_PER_MIN, "2h"),
    (240 * NS_PER_MIN, "4h"),
    (360 * NS_PER_MIN, "6h"),
    (480 * NS_PER_MIN, "8h"),
    (720 * NS_PER_MIN, "12h"),
    (1_440 * NS_PER_MIN, "1d"),
];

/// One of the venue's rate limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// `REQUEST_WEIGHT`, `ORDERS`, `RAW_REQUESTS`.
    pub kind: String,
    /// Length of the window.
    pub interval_ns: i64,
    /// How much fits.
    pub limit: u32,
}

/// What `exchangeInfo` said.
#[derive(Clone, Debug, Default)]
pub struct ExchangeInfo {
    /// The instruments that were asked for and are there.
    pub table: InstrumentTable,
    /// Those that were asked for and are not there.
    pub missing: Vec<Symbol>,
    /// The venue's rate limits.
    pub limits: Vec<RateLimit>,
    /// Filters that we do not know (`SYMBOL: FILTER`): shown to the operator, not applied.
    pub unknown_filters: Vec<String>,
    /// The venue's clock.
    pub server_ns: i64,
}

/// A request with its key and signature.
#[derive(Clone)]
pub struct SignedRequest {
    /// `GET` or `DELETE`.
    pub method: &'static str,
    /// Path and query, signature included.
    pub path_and_query: String,
}

/// An open order as REST lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenOrder {
    /// Of what.
    pub symbol: Symbol,
    /// The venue's number.
    pub order_id: u64,
    /// The client's id.
    pub client: String,
}

/// A balance as REST lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Of what.
    pub asset: Symbol,
    /// Free to use.
    pub free: Qty,
    /// Locked by open orders.
    pub locked: Qty,
}

/// The header that carries the API key.
pub const API_KEY_HEADER: &str = "X-MBX-APIKEY";

impl core::fmt::Debug for SignedRequest {
    /// Without the query: it holds a signature.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let path = self.path_and_query.split('?').next().unwrap_or_default();
        f.debug_struct("SignedRequest")
            .field("method", &self.method)
            .field("path", &path)
            .finish_non_exhaustive()
    }
}

/// Parses a body and hands its root to `with`.
pub(super) fn read<R>(
    what: &'static str,
    body: &[u8],
    with: impl FnOnce(Value<'_>) -> Result<R, Malformed>,
) -> Result<R, Malformed> {
    let mut buf = Vec::with_capacity(body.len() + PADDING);
    buf.extend_from_slice(body);
    buf.resize(body.len() + PADDING, b' ');
    let not_json = |at| Malformed::at(what, "", "JSON", at, body.get(at..).unwrap_or_default());
    let padded = Padded::new(&mut buf, body.len()).ok_or_else(|| not_json(0))?;
    JsonReader::default().read(padded, with).unwrap_or_else(|error| Err(not_json(error.at)))
}

/// `exchangeInfo` of these symbols; of all when there are none.
pub fn exchange_info_path(symbols: &[Symbol]) -> String {
    let mut path = "/api/v3/exchangeInfo".to_owned();
    if !symbols.is_empty() {
        let list = symbols.iter().map(|s| format!("\"{s}\"")).collect::<Vec<_>>().join(",");
        path.push_str("?symbols=");
        percent_encode(&mut path, &format!("[{list}]"));
    }
    path
}

/// Reads `exchangeInfo`: the wanted symbols in the order in which they are wanted, or the venue's first ones when none is
/// named.
pub fn parse_exchange_info(body: &[u8], wanted: &[Symbol]) -> Result<ExchangeInfo, Malformed> {
    read("exchangeInfo", body, |root| {
        let fields = Fields::new("exchangeInfo", root);
        let mut info = ExchangeInfo { server_ns: fields.time_ns("serverTime")?, ..ExchangeInfo::default() };
        info.limits = read_limits(root);
        let symbols = fields.array("symbols")?;
        let exchange_filters = root.get("exchangeFilters");
        if wanted.is_empty() {
            for symbol in symbols.items().take(crate::limits::INSTRUMENTS_MAX) {
                read_symbol(symbol, exchange_filters, &mut info)?;
            }
            return Ok(info);
        }
        for name in wanted {
            let named = |s: &Value<'_>| s.get("symbol").and_then(Value::as_str) == Some(name.as_str());
            match symbols.items().find(named) {
                Some(symbol) => read_symbol(symbol, exchange_filters, &mut info)?,
                None => info.missing.push(*name),
            }
        }
        Ok(info)
    })
}

/// Limits whose shape we know; the venue's others are its own matter.
fn read_limits(root: Value<'_>) -> Vec<RateLimit> {
    let limit = |entry: Value<'_>| {
        let unit = match entry.get("interval")?.as_str()? {
            "SECOND" => NS_PER_S,
            "MINUTE" => NS_PER_MIN,
            "HOUR" => 60 * NS_PER_MIN,
            "DAY" => 1_440 * NS_PER_MIN,
            _ => return None,
        };
        Some(RateLimit {
            kind: entry.get("rateLimitType")?.as_str()?.to_owned(),
            interval_ns: unit.checked_mul(entry.get("intervalNum")?.as_i64()?)?,
            limit: u32::try_from(entry.get("limit")?.as_u64()?).ok()?,
        })
    };
    root.get("rateLimits").into_iter().flat_map(Value::items).filter_map(limit).collect()
}

/// A book snapshot of up to 5,000 levels a side.
pub fn depth_path(symbol: Symbol, limit: u32) -> String {
    format!("/api/v3/depth?symbol={symbol}&limit={limit}")
}

/// Reads a book snapshot as pieces, first to last.
pub fn parse_depth(instrument: InstrumentId, body: &[u8]) -> Result<Vec<Depth>, Malformed> {
    read("depth", body, |root| {
        let fields = Fields::new("depth", root);
        let last_id = fields.u64("lastUpdateId")?;
        let mut levels = Levels::new();
        read_sides(&fields, ["bids", "asks"], &mut levels)?;
        let mut out = Vec::with_capacity(levels.all().len() / crate::limits::LEVELS_PER_FACT + 1);
        let head = DepthHead { instrument, first_id: last_id, last_id, venue_ns: 0 };
        pieces(&head, levels.all(), levels.bids(), true, |piece| out.push(piece));
        Ok(out)
    })
}

/// Bars of history; `end_ms` = the latest opening time wanted. `None` for a length that the venue does not keep.
pub fn klines_path(symbol: Symbol, interval_ns: i64, limit: u32, end_ms: Option<i64>) -> Option<String> {
    let (_, name) = INTERVALS.iter().find(|(ns, _)| *ns == interval_ns)?;
    let mut path = format!("/api/v3/klines?symbol={symbol}&interval={name}&limit={limit}");
    if let Some(end_ms) = end_ms {
        path.push_str("&endTime=");
        path.push_str(&end_ms.to_string());
    }
    Some(path)
}

/// Reads bars; the one that is still open at `now_ns` is left out.
pub fn parse_klines(
    instrument: InstrumentId,
    interval_ns: i64,
    now_ns: i64,
    body: &[u8],
) -> Result<Vec<Bar>, Malformed> {
    read("klines", body, |root| {
        if !root.is_array() {
            return Err(Malformed::field("klines", "", "an array of bars", b"(no array)"));
        }
        let mut bars = Vec::new();
        for entry in root.items() {
            let bar = read_bar(instrument, interval_ns, entry).ok_or_else(|| {
                let text = entry.items().find_map(Value::as_str).unwrap_or("(no text)");
                let expected = "[time, open, high, low, close, volume, .., .., trades]";
                Malformed::at("klines", "bar", expected, entry.offset(), text.as_bytes())
            })?;
            if bar.open_ns + interval_ns <= now_ns {
                bars.push(bar);
            }
        }
        Ok(bars)
    })
}

fn read_bar(instrument: InstrumentId, interval_ns: i64, entry: Value<'_>) -> Option<Bar> {
    let mut items = entry.items();
    let open_ns = venue_time_ns(items.next()?.as_i64()?)?;
    let (open, high) = (price_of(items.next()?)?, price_of(items.next()?)?);
    let (low, close) = (price_of(items.next()?)?, price_of(items.next()?)?);
    let volume = qty_of(items.next()?)?;
    // Behind the close time and the quote volume.
    let trades = items.nth(2).and_then(Value::as_u64)?;
    Some(Bar {
        instrument,
        trades: u32::try_from(trades).unwrap_or(u32::MAX),
        interval_ns,
        open_ns,
        open,
        high,
        low,
        close,
        volume,
    })
}

/// The venue's clock.
pub fn time_path() -> &'static str {
    "/api/v3/time"
}

/// Reads the venue's clock, nanoseconds since the epoch.
pub fn parse_time(body: &[u8]) -> Result<i64, Malformed> {
    read("time", body, |root| Fields::new("time", root).time_ns("serverTime"))
}

/// Signs a query: what is signed is the query as it is sent, percent-encoded.
fn signed(
    credentials: &Credentials,
    method: &'static str,
    path: &str,
    symbol: Option<Symbol>,
    timestamp_ms: i64,
) -> SignedRequest {
    let mut params = String::new();
    if let Some(symbol) = symbol {
        params.push_str("symbol=");
        percent_encode(&mut params, symbol.as_str());
    }
    signed_with(credentials, method, path, &params, timestamp_ms)
}

/// The same with parameters that are encoded already; none for an empty text.
pub(super) fn signed_with(
    credentials: &Credentials,
    method: &'static str,
    path: &str,
    params: &str,
    timestamp_ms: i64,
) -> SignedRequest {
    let mut query = params.to_owned();
    if !query.is_empty() {
        query.push('&');
    }
    // Writing to a String can't fail.
    let written = write!(query, "recvWindow={RECV_WINDOW_MS}&timestamp={timestamp_ms}");
    debug_assert!(written.is_ok());
    let signature = credentials.sign(query.as_bytes());
    let mut path_and_query = format!("{path}?{query}&signature=");
    percent_encode(&mut path_and_query, signature.as_str());
    SignedRequest { method, path_and_query }
}

/// Balances.
pub fn account_request(credentials: &Credentials, timestamp_ms: i64) -> SignedRequest {
    signed(credentials, "GET", "/api/v3/account", None, timestamp_ms)
}

/// Open orders, of one symbol or of all.
pub fn open_orders_request(
    credentials: &Credentials,
    symbol: Option<Symbol>,
    timestamp_ms: i64,
) -> SignedRequest {
    signed(credentials, "GET", "/api/v3/openOrders", symbol, timestamp_ms)
}

/// Cancels everything open on a symbol. The answer -2011 means that nothing was.
pub fn cancel_all_request(credentials: &Credentials, symbol: Symbol, timestamp_ms: i64) -> SignedRequest {
    signed(credentials, "DELETE", "/api/v3/openOrders", Some(symbol), timestamp_ms)
}

/// Reads open orders. One on a symbol that can't be named here is an error, not a gap: the halt tool must not take it for
/// nothing.
pub fn parse_open_orders(body: &[u8]) -> Result<Vec<OpenOrder>, Malformed> {
    read("openOrders", body, |root| {
        if !root.is_array() {
            return Err(Malformed::field("openOrders", "", "an array of orders", b"(no array)"));
        }
        let order = |entry| {
            let fields = Fields::new("openOrders", entry);
            let symbol = fields.str("symbol")?;
            Ok(OpenOrder {
                symbol: Symbol::new(symbol.as_bytes())
                    .ok_or_else(|| fields.wrong("symbol", "up to 23 ASCII characters"))?,
                order_id: fields.u64("orderId")?,
                client: fields.str("clientOrderId")?.to_owned(),
            })
        };
        root.items().map(order).collect()
    })
}

/// Reads balances. Assets that can't be named here are left out.
pub fn parse_account(body: &[u8]) -> Result<Vec<Balance>, Malformed> {
    read("account", body, |root| {
        let mut balances = Vec::new();
        for entry in Fields::new("account", root).array("balances")?.items() {
            let fields = Fields::new("account", entry);
            if let Some(asset) = Symbol::new(fields.str("asset")?.as_bytes()) {
                balances.push(Balance { asset, free: fields.qty("free")?, locked: fields.qty("locked")? });
            }
        }
        Ok(balances)
    })
}

/// Reads an error answer: the venue's code and text.
pub fn parse_error(body: &[u8]) -> Option<(i32, String)> {
    let error = read("error", body, |root| {
        let code = root.get("code").and_then(code_value);
        Ok(code.map(|code| (code, root.get("msg").and_then(Value::as_str).unwrap_or_default().to_owned())))
    });
    error.ok().flatten()
}
