//! The table of requests: one line each for what REST and the WebSocket API have in common, which is nearly everything.

use super::error::ApiError;
use super::keys::Permission;
use super::ops_market as market;
use super::ops_trade as trade;
use super::params::Params;
use super::shapes::TimeUnit;
use super::state::State;
use crate::sim::exchange::{AccountId, SymbolId};

/// What a request must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Nothing.
    Open,
    /// A signature of a key.
    Signed,
    /// A signature of a key that may cancel.
    Cancel,
    /// A signature of a key that may trade.
    Trade,
}

impl Security {
    /// Whether a key with `permission` suffices.
    pub(super) fn allows(self, permission: Permission) -> bool {
        match self {
            Self::Open | Self::Signed | Self::Cancel => true,
            Self::Trade => permission == Permission::Trade,
        }
    }
}

/// A request that may be carried out.
pub(super) struct Call<'a> {
    pub(super) params: &'a Params,
    pub(super) account: AccountId,
    pub(super) now_ns: i64,
    pub(super) unit: TimeUnit,
}

/// An answer's JSON, or why there is none.
pub(super) type Answer = Result<String, ApiError>;

/// A kind of request.
pub(super) struct Op {
    /// WebSocket API method.
    pub(super) method: &'static str,
    /// REST verb.
    pub(super) verb: &'static str,
    /// REST path below `/api/v3/`.
    pub(super) path: &'static str,
    /// What it must show.
    pub(super) security: Security,
    /// What it costs; order requests that succeed cost nothing.
    pub(super) weight: fn(&Params) -> u32,
    /// What it counts as under the order limits.
    pub(super) orders: u32,
    /// What it does.
    pub(super) run: fn(&mut State, &Call<'_>) -> Answer,
}

impl Op {
    /// Whether it is about an order: free when it succeeds, subject to order faults.
    pub(super) fn is_order(&self) -> bool {
        matches!(self.security, Security::Trade | Security::Cancel)
    }
}

const fn op(
    (method, verb, path): (&'static str, &'static str, &'static str),
    security: Security,
    weight: fn(&Params) -> u32,
    run: fn(&mut State, &Call<'_>) -> Answer,
) -> Op {
    Op { method, verb, path, security, weight, orders: 0, run }
}

const fn placing(
    names: (&'static str, &'static str, &'static str),
    weight: fn(&Params) -> u32,
    run: fn(&mut State, &Call<'_>) -> Answer,
) -> Op {
    let mut op = op(names, Security::Trade, weight, run);
    op.orders = 1;
    op
}

fn depth_weight(p: &Params) -> u32 {
    match p.get("limit").and_then(|l| l.parse::<u32>().ok()).unwrap_or(100) {
        0..=100 => 5,
        101..=500 => 25,
        501..=1_000 => 50,
        _ => 250,
    }
}

fn symbols_or(p: &Params, one: u32, many: u32) -> u32 {
    if p.get("symbol").is_some() { one } else { many }
}

/// Every request.
#[rustfmt::skip]
pub(super) static OPS: &[Op] = &[
    op(("ping", "GET", "ping"), Security::Open, |_| 1, market::ping),
    op(("time", "GET", "time"), Security::Open, |_| 1, market::time),
    op(("exchangeInfo", "GET", "exchangeInfo"), Security::Open, |_| 20, market::exchange_info),
    op(("depth", "GET", "depth"), Security::Open, depth_weight, market::depth),
    op(("trades.recent", "GET", "trades"), Security::Open, |_| 25, market::trades),
    op(("trades.historical", "GET", "historicalTrades"), Security::Open, |_| 25, market::historical_trades),
    op(("trades.aggregate", "GET", "aggTrades"), Security::Open, |_| 4, market::aggregates),
    op(("klines", "GET", "klines"), Security::Open, |_| 2, market::klines),
    op(("uiKlines", "GET", "uiKlines"), Security::Open, |_| 2, market::klines),
    op(("avgPrice", "GET", "avgPrice"), Security::Open, |_| 2, market::average),
    op(("ticker.24hr", "GET", "ticker/24hr"), Security::Open, |p| symbols_or(p, 2, 80), market::ticker_24h),
    op(("ticker.tradingDay", "GET", "ticker/tradingDay"), Security::Open, |_| 4, market::ticker_window),
    op(("ticker", "GET", "ticker"), Security::Open, |_| 4, market::ticker_window),
    op(("ticker.price", "GET", "ticker/price"), Security::Open, |p| symbols_or(p, 2, 4), market::ticker_price),
    op(("ticker.book", "GET", "ticker/bookTicker"), Security::Open, |p| symbols_or(p, 2, 4), market::ticker_book),
    placing(("order.place", "POST", "order"), |_| 1, trade::place),
    op(("order.test", "POST", "order/test"), Security::Trade, |_| 1, trade::test),
    op(("order.cancel", "DELETE", "order"), Security::Cancel, |_| 1, trade::cancel),
    placing(("order.cancelReplace", "POST", "order/cancelReplace"), |_| 1, trade::cancel_replace),
    op(("order.amend.keepPriority", "PUT", "order/amend/keepPriority"), Security::Trade, |_| 4, trade::amend),
    op(("order.status", "GET", "order"), Security::Signed, |_| 4, trade::status),
    op(("openOrders.status", "GET", "openOrders"), Security::Signed, |p| symbols_or(p, 6, 80), trade::open_orders),
    op(("openOrders.cancelAll", "DELETE", "openOrders"), Security::Cancel, |_| 1, trade::cancel_all),
    op(("allOrders", "GET", "allOrders"), Security::Signed, |_| 20, trade::all_orders),
    op(("myTrades", "GET", "myTrades"), Security::Signed, |p| if p.get("orderId").is_some() { 5 } else { 20 }, trade::my_trades),
    op(("account.status", "GET", "account"), Security::Signed, |_| 20, trade::account),
    op(("account.rateLimits.orders", "GET", "rateLimit/order"), Security::Signed, |_| 40, trade::order_limits),
    op(("account.commission", "GET", "account/commission"), Security::Signed, |_| 20, trade::commission),
    op(("myPreventedMatches", "GET", "myPreventedMatches"), Security::Signed, |_| 20, trade::nothing),
    op(("myAllocations", "GET", "myAllocations"), Security::Signed, |_| 20, trade::nothing),
    op(("openOrderLists.status", "GET", "openOrderList"), Security::Signed, |_| 6, trade::nothing),
    op(("allOrderLists", "GET", "allOrderList"), Security::Signed, |_| 20, trade::nothing),
];

/// The symbol that a request must name.
pub(super) fn symbol(state: &State, params: &Params) -> Result<SymbolId, ApiError> {
    named(state, params.need("symbol")?)
}

/// A symbol by name.
pub(super) fn named(state: &State, name: &str) -> Result<SymbolId, ApiError> {
    if !name.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_' | b'.'))
    {
        return Err(ApiError::illegal("symbol"));
    }
    state.exchange.symbol_id(name.as_bytes()).ok_or_else(ApiError::symbol)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_request_is_listed_twice() {
        for (at, op) in OPS.iter().enumerate() {
            for other in &OPS[at + 1..] {
                assert_ne!(op.method, other.method);
                assert_ne!((op.verb, op.path), (other.verb, other.path));
            }
        }
    }
}
