//! The REST calls of set-up (`exchangeInfo`, `depth`, `klines`, `time`) and of the halt tool (account, open orders, cancel all).

use crate::event::{Bar, Depth};
use crate::types::{InstrumentId, InstrumentTable, Qty, Symbol};
use crate::venue::Malformed;
use crate::venue::binance::Credentials;

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
#[derive(Clone, Debug)]
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

/// `exchangeInfo` of these symbols; of all when there are none.
pub fn exchange_info_path(_symbols: &[Symbol]) -> String {
    String::new()
}
/// Reads `exchangeInfo`.
pub fn parse_exchange_info(_body: &[u8], _wanted: &[Symbol]) -> Result<ExchangeInfo, Malformed> {
    Ok(ExchangeInfo::default())
}
/// A book snapshot of up to 5,000 levels a side.
pub fn depth_path(_symbol: Symbol, _limit: u32) -> String {
    String::new()
}
/// Reads a book snapshot as pieces, first to last.
pub fn parse_depth(_instrument: InstrumentId, _body: &[u8]) -> Result<Vec<Depth>, Malformed> {
    Ok(Vec::new())
}
/// Bars of history; `end_ms` = the latest opening time wanted.
pub fn klines_path(_symbol: Symbol, _interval_ns: i64, _limit: u32, _end_ms: Option<i64>) -> Option<String> {
    None
}
/// Reads bars; the one that is still open at `now_ns` is left out.
pub fn parse_klines(
    _instrument: InstrumentId,
    _interval_ns: i64,
    _now_ns: i64,
    _body: &[u8],
) -> Result<Vec<Bar>, Malformed> {
    Ok(Vec::new())
}
/// The venue's clock.
pub fn time_path() -> &'static str {
    "/api/v3/time"
}
/// Reads the venue's clock, nanoseconds since the epoch.
pub fn parse_time(_body: &[u8]) -> Result<i64, Malformed> {
    Ok(0)
}
/// Balances.
pub fn account_request(_credentials: &Credentials, _timestamp_ms: i64) -> SignedRequest {
    SignedRequest { method: "GET", path_and_query: String::new() }
}
/// Open orders, of one symbol or of all.
pub fn open_orders_request(
    _credentials: &Credentials,
    _symbol: Option<Symbol>,
    _timestamp_ms: i64,
) -> SignedRequest {
    SignedRequest { method: "GET", path_and_query: String::new() }
}
/// Cancels everything open on a symbol.
pub fn cancel_all_request(_credentials: &Credentials, _symbol: Symbol, _timestamp_ms: i64) -> SignedRequest {
    SignedRequest { method: "DELETE", path_and_query: String::new() }
}
/// Reads open orders.
pub fn parse_open_orders(_body: &[u8]) -> Result<Vec<OpenOrder>, Malformed> {
    Ok(Vec::new())
}
/// Reads balances.
pub fn parse_account(_body: &[u8]) -> Result<Vec<Balance>, Malformed> {
    Ok(Vec::new())
}
/// Reads an error answer: the venue's code and text.
pub fn parse_error(_body: &[u8]) -> Option<(i32, String)> {
    None
}
