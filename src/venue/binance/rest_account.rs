//! The REST calls of a reconcile: what the venue says of the account, apart from the sessions that trade on it.
//!
//! Paths and signed queries out, bodies in. An order or a trade that can't be read is an error and never left out: what is
//! missing from an answer would look like what is missing at the venue.

use crate::event::OrderUpdate;
use crate::types::{
    AssetId, ClientOrderId, InstrumentId, InstrumentTable, OrderState, Qty, Side, Symbol, TradeId,
    VenueOrderId,
};
use crate::venue::Malformed;
use crate::venue::binance::Credentials;
use crate::venue::binance::fields::Fields;
use crate::venue::binance::reply::order_snapshot;
use crate::venue::binance::rest::{SignedRequest, read, signed_with};
use crate::wire::json::Value;

/// Most trades of one answer.
pub const TRADES_MAX: u32 = 1_000;

/// Which order a query is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderName {
    /// By our id.
    Client(ClientOrderId),
    /// By the venue's.
    Venue(VenueOrderId),
}

/// An order that is open on the account, ours or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenOnAccount {
    /// On what; `None` for a symbol that the session does not have.
    pub instrument: Option<InstrumentId>,
    /// As a query answers it; its `client` is `NONE` for an order that is not ours.
    pub order: OrderUpdate,
}

/// The account: which one, and what it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountTotals {
    /// The venue's number of the account; 0 if it gave none.
    pub uid: u64,
    /// Free and locked together, by the session's assets; `None` for one that the venue does not list.
    pub totals: Vec<Option<Qty>>,
}

/// The account's fills on a symbol from a number on, oldest first.
pub fn my_trades_request(
    credentials: &Credentials,
    symbol: Symbol,
    from: TradeId,
    timestamp_ms: i64,
) -> SignedRequest {
    let params = format!("symbol={symbol}&fromId={}&limit={TRADES_MAX}", from.0);
    signed_with(credentials, "GET", "/api/v3/myTrades", &params, timestamp_ms)
}

/// One order.
pub fn order_request(
    credentials: &Credentials,
    symbol: Symbol,
    name: OrderName,
    timestamp_ms: i64,
) -> SignedRequest {
    let params = match name {
        OrderName::Client(client) => format!("symbol={symbol}&origClientOrderId={client}"),
        OrderName::Venue(order) => format!("symbol={symbol}&orderId={}", order.0),
    };
    signed_with(credentials, "GET", "/api/v3/order", &params, timestamp_ms)
}

/// Reads the account.
pub fn parse_totals(table: &InstrumentTable, body: &[u8]) -> Result<AccountTotals, Malformed> {
    read("account", body, |root| {
        let uid = root.get("uid").and_then(Value::as_u64).unwrap_or(0);
        let mut totals = vec![None; table.assets().len()];
        for entry in Fields::new("account", root).array("balances")?.items() {
            let fields = Fields::new("account", entry);
            if let Some(asset) = table.asset(fields.str("asset")?.as_bytes()) {
                let (free, locked) = (fields.qty("free")?, fields.qty("locked")?);
                let total = free.checked_add(locked);
                let total =
                    total.ok_or_else(|| fields.wrong("locked", "an amount that can be added to `free`"))?;
                totals[asset.index()] = Some(total);
            }
        }
        Ok(AccountTotals { uid, totals })
    })
}

/// Reads fills of one instrument, as the account stream would have told of them; but the venue's list does not bear our ids,
/// so `client` is `NONE` in all of them.
pub fn parse_my_trades(
    table: &InstrumentTable,
    instrument: InstrumentId,
    body: &[u8],
) -> Result<Vec<OrderUpdate>, Malformed> {
    read("myTrades", body, |root| {
        if !root.is_array() {
            return Err(Malformed::field("myTrades", "", "an array of trades", b"(no array)"));
        }
        let trade = |entry| {
            let fields = Fields::new("myTrades", entry);
            let qty = fields.qty("qty")?;
            Ok(OrderUpdate {
                instrument,
                side: if fields.bool("isBuyer")? { Side::Buy } else { Side::Sell },
                state: OrderState::PartiallyFilled,
                snapshot: false,
                maker: fields.bool("isMaker")?,
                fee_asset: table.asset(fields.str("commissionAsset")?.as_bytes()).unwrap_or(AssetId::UNKNOWN),
                client: ClientOrderId::NONE,
                venue_order: VenueOrderId(fields.u64("orderId")?),
                trade: TradeId(fields.u64("id")?),
                price: fields.price("price")?,
                qty,
                filled: qty,
                fee: fields.qty("commission")?,
                venue_ns: fields.time_ns("time")?,
            })
        };
        root.items().map(trade).collect()
    })
}

/// Reads one order.
pub fn parse_order(instrument: InstrumentId, body: &[u8]) -> Result<OrderUpdate, Malformed> {
    read("order", body, |root| order_snapshot(&Fields::new("order", root), instrument))
}

/// Reads open orders, those on symbols that the session does not have included.
pub fn parse_open(table: &InstrumentTable, body: &[u8]) -> Result<Vec<OpenOnAccount>, Malformed> {
    read("openOrders", body, |root| {
        if !root.is_array() {
            return Err(Malformed::field("openOrders", "", "an array of orders", b"(no array)"));
        }
        let order = |entry| {
            let fields = Fields::new("openOrders", entry);
            let instrument = table.find(fields.str("symbol")?.as_bytes());
            let order = order_snapshot(&fields, instrument.unwrap_or_default())?;
            Ok(OpenOnAccount { instrument, order })
        };
        root.items().map(order).collect()
    })
}
