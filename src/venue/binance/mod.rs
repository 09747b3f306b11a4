//! Binance Spot in JSON: market streams, the WebSocket API for orders and user data, and the REST calls of set-up and halt.
//!
//! Venue facts as of September 2026. Times come in milliseconds or microseconds (`timeUnit=MICROSECOND`); both are taken,
//! told apart by magnitude.

pub mod account;
mod answers;
mod balances;
pub mod credentials;
mod fields;
mod filters;
pub mod market;
mod market_json;
mod names;
pub mod orders;
mod reply;
mod request;
pub mod rest;
pub mod rest_account;
mod scan;
mod sync;

pub use credentials::Credentials;

use crate::types::time::{NS_PER_MIN, NS_PER_MS, NS_PER_US};

/// The venue closes every connection after 24 hours; we go ten minutes before.
pub const CONNECTION_LIFE_NS: i64 = (24 * 60 - 10) * NS_PER_MIN;

/// The WebSocket API, for orders and user data alike.
const WS_API_PATH: &str = "/ws-api/v3";

/// The query that asks for times in microseconds.
const TIME_UNIT: &str = "timeUnit=MICROSECOND";

/// Times at or above this are microseconds: as milliseconds it would be the year 5138, as microseconds it is 1973.
const MICROSECONDS_FROM: i64 = 100_000_000_000_000;

/// A venue time in milliseconds or microseconds as nanoseconds; `None` when it is neither.
#[inline]
pub fn venue_time_ns(time: i64) -> Option<i64> {
    if time < 0 {
        None
    } else if time < MICROSECONDS_FROM {
        time.checked_mul(NS_PER_MS)
    } else {
        time.checked_mul(NS_PER_US)
    }
}
