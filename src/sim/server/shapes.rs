//! The venue's JSON about orders and accounts: what requests are answered and what user data events say.

use std::fmt::{self, Display};

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use crate::sim::exchange::{
    AccountPosition, AccountTrade, Balance, BalanceDelta, CancelReport, ClientId, ExecutionReport, Fill,
    OrderRecord, OrderReport, StpMode, time_in_force_str,
};
use crate::types::{Cash, Price, Qty, Symbol};

/// A value with eight decimals, as the venue writes nearly all of them.
#[derive(Clone, Copy)]
pub(super) struct D8<T>(pub(super) T);

impl<T: Display> Serialize for D8<T> {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{:.8}", self.0))
    }
}

impl<T: Display> Display for D8<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.8}", self.0)
    }
}

/// Which unit times are shown in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum TimeUnit {
    /// Milliseconds.
    #[default]
    Milli,
    /// Microseconds.
    Micro,
}

impl TimeUnit {
    /// Nanoseconds in this unit.
    pub(super) const fn show(self, ns: i64) -> i64 {
        match self {
            Self::Milli => ns.div_euclid(1_000_000),
            Self::Micro => ns.div_euclid(1_000),
        }
    }
    /// From the request's word for it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text.to_ascii_uppercase().as_str() {
            "MILLISECOND" => Some(Self::Milli),
            "MICROSECOND" => Some(Self::Micro),
            _ => None,
        }
    }
}

/// Names of symbols and assets.
pub(super) trait Names {
    /// Of an order's symbol.
    fn symbol(&self, id: crate::sim::exchange::SymbolId) -> Symbol;
    /// Of an asset.
    fn asset(&self, id: crate::types::AssetId) -> Symbol;
}

/// Serialises; these shapes can't fail to.
pub(super) fn text<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// What `newOrderRespType` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ResponseType {
    Ack,
    Result,
    Full,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OrderAnswer<'a> {
    symbol: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    orig_client_order_id: Option<&'a str>,
    order_id: u64,
    order_list_id: i32,
    client_order_id: &'a str,
    transact_time: i64,
    #[serde(flatten)]
    state: Option<StateAnswer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fills: Option<Vec<FillAnswer>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct StateAnswer {
    price: D8<Price>,
    orig_qty: D8<Qty>,
    executed_qty: D8<Qty>,
    orig_quote_order_qty: D8<Cash>,
    cummulative_quote_qty: D8<Cash>,
    status: &'static str,
    time_in_force: &'static str,
    r#type: &'static str,
    side: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    working_time: Option<i64>,
    self_trade_prevention_mode: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct FillAnswer {
    price: D8<Price>,
    qty: D8<Qty>,
    commission: D8<Qty>,
    commission_asset: String,
    trade_id: u64,
}

fn state(order: &OrderRecord, working_time: Option<i64>) -> StateAnswer {
    StateAnswer {
        price: D8(order.price),
        orig_qty: D8(order.qty),
        executed_qty: D8(order.executed),
        orig_quote_order_qty: D8(order.quote_qty),
        cummulative_quote_qty: D8(order.executed_quote),
        status: order.status.as_str(),
        time_in_force: time_in_force_str(order.time_in_force),
        r#type: order.kind.as_str(),
        side: order.side.as_str(),
        working_time,
        self_trade_prevention_mode: order.stp.as_str(),
    }
}

/// The answer to an accepted order.
pub(super) fn placed(names: &dyn Names, unit: TimeUnit, report: &OrderReport, kind: ResponseType) -> String {
    let order = &report.order;
    let symbol = names.symbol(order.symbol);
    let fill = |f: &Fill| FillAnswer {
        price: D8(f.price),
        qty: D8(f.qty),
        commission: D8(f.commission),
        commission_asset: names.asset(f.commission_asset).as_str().to_owned(),
        trade_id: f.trade_id.0,
    };
    text(&OrderAnswer {
        symbol: symbol.as_str(),
        orig_client_order_id: None,
        order_id: order.id.0,
        order_list_id: -1,
        client_order_id: order.client_id.as_str(),
        transact_time: unit.show(order.updated_ns),
        state: (kind != ResponseType::Ack).then(|| state(order, Some(unit.show(order.working_ns)))),
        fills: (kind == ResponseType::Full).then(|| report.fills.iter().map(fill).collect()),
    })
}

/// The answer to a cancel.
pub(super) fn cancelled(names: &dyn Names, unit: TimeUnit, report: &CancelReport) -> String {
    let order = &report.order;
    let symbol = names.symbol(order.symbol);
    text(&OrderAnswer {
        symbol: symbol.as_str(),
        orig_client_order_id: Some(order.client_id.as_str()),
        order_id: order.id.0,
        order_list_id: -1,
        client_order_id: report.client_id.as_str(),
        transact_time: unit.show(order.updated_ns),
        state: Some(state(order, None)),
        fills: None,
    })
}

/// An order as queries show it.
pub(super) fn order(names: &dyn Names, unit: TimeUnit, order: &OrderRecord) -> Value {
    json!({
        "symbol": names.symbol(order.symbol).as_str(),
        "orderId": order.id.0,
        "orderListId": -1,
        "clientOrderId": order.client_id.as_str(),
        "price": D8(order.price),
        "origQty": D8(order.qty),
        "executedQty": D8(order.executed),
        "cummulativeQuoteQty": D8(order.executed_quote),
        "status": order.status.as_str(),
        "timeInForce": time_in_force_str(order.time_in_force),
        "type": order.kind.as_str(),
        "side": order.side.as_str(),
        "stopPrice": "0.00000000",
        "icebergQty": "0.00000000",
        "time": unit.show(order.created_ns),
        "updateTime": unit.show(order.updated_ns),
        "isWorking": true,
        "workingTime": unit.show(order.working_ns),
        "origQuoteOrderQty": D8(order.quote_qty),
        "selfTradePreventionMode": order.stp.as_str(),
    })
}

/// A fill as `myTrades` shows it.
pub(super) fn account_trade(names: &dyn Names, unit: TimeUnit, trade: &AccountTrade) -> Value {
    json!({
        "symbol": names.symbol(trade.symbol).as_str(),
        "id": trade.id.0,
        "orderId": trade.order.0,
        "orderListId": -1,
        "price": D8(trade.price),
        "qty": D8(trade.qty),
        "quoteQty": D8(trade.quote),
        "commission": D8(trade.commission),
        "commissionAsset": names.asset(trade.commission_asset).as_str(),
        "time": unit.show(trade.time_ns),
        "isBuyer": trade.buyer,
        "isMaker": trade.maker,
        "isBestMatch": true,
    })
}

#[derive(Serialize)]
struct ExecutionEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    c: &'a str,
    #[serde(rename = "S")]
    side: &'static str,
    o: &'static str,
    f: &'static str,
    q: D8<Qty>,
    p: D8<Price>,
    #[serde(rename = "P")]
    stop_price: &'static str,
    #[serde(rename = "F")]
    iceberg: &'static str,
    g: i32,
    #[serde(rename = "C")]
    orig_client_id: &'a str,
    x: &'static str,
    #[serde(rename = "X")]
    status: &'static str,
    r: &'static str,
    i: u64,
    l: D8<Qty>,
    z: D8<Qty>,
    #[serde(rename = "L")]
    last_price: D8<Price>,
    n: D8<Qty>,
    #[serde(rename = "N")]
    commission_asset: Option<String>,
    #[serde(rename = "T")]
    transaction_time: i64,
    t: i64,
    #[serde(rename = "I")]
    execution_id: u64,
    w: bool,
    m: bool,
    #[serde(rename = "M")]
    ignore: bool,
    #[serde(rename = "O")]
    created: i64,
    #[serde(rename = "Z")]
    executed_quote: D8<Cash>,
    #[serde(rename = "Y")]
    last_quote: D8<Cash>,
    #[serde(rename = "Q")]
    quote_qty: D8<Cash>,
    #[serde(rename = "W")]
    working: i64,
    #[serde(rename = "V")]
    stp: &'static str,
    #[serde(flatten)]
    prevention: Option<PreventionEvent<'a>>,
}

#[derive(Serialize)]
struct PreventionEvent<'a> {
    v: u64,
    #[serde(rename = "A")]
    prevented: D8<Qty>,
    #[serde(rename = "B")]
    last_prevented: D8<Qty>,
    #[serde(rename = "U")]
    counter_order: u64,
    #[serde(rename = "Cs")]
    counter_symbol: &'a str,
    #[serde(rename = "pl")]
    execution_qty: D8<Qty>,
    #[serde(rename = "pL")]
    execution_price: D8<Price>,
}

/// `executionReport`.
pub(super) fn execution(names: &dyn Names, unit: TimeUnit, report: &ExecutionReport) -> String {
    let order = &report.order;
    let symbol = names.symbol(order.symbol);
    let prevention = report.prevention.map(|p| PreventionEvent {
        v: p.match_id,
        prevented: D8(order.prevented),
        last_prevented: D8(p.qty),
        counter_order: p.counter_order.0,
        counter_symbol: symbol.as_str(),
        execution_qty: D8(p.qty),
        execution_price: D8(p.price),
    });
    text(&ExecutionEvent {
        e: "executionReport",
        event_time: unit.show(report.time_ns),
        s: symbol.as_str(),
        c: report.client_id.as_str(),
        side: order.side.as_str(),
        o: order.kind.as_str(),
        f: time_in_force_str(order.time_in_force),
        q: D8(order.qty),
        p: D8(order.price),
        stop_price: "0.00000000",
        iceberg: "0.00000000",
        g: -1,
        orig_client_id: report.orig_client_id.as_ref().map_or("", ClientId::as_str),
        x: report.kind.as_str(),
        status: order.status.as_str(),
        r: report.reject_reason,
        i: order.id.0,
        l: D8(report.fill.map_or(Qty::ZERO, |f| f.qty)),
        z: D8(order.executed),
        last_price: D8(report.fill.map_or(Price::ZERO, |f| f.price)),
        n: D8(report.fill.map_or(Qty::ZERO, |f| f.commission)),
        commission_asset: report.fill.map(|f| names.asset(f.commission_asset).as_str().to_owned()),
        transaction_time: unit.show(order.updated_ns),
        t: report.fill.map_or(-1, |f| i64::try_from(f.trade_id.0).unwrap_or(i64::MAX)),
        execution_id: report.execution_id,
        w: report.on_book,
        m: report.fill.is_some_and(|f| f.maker),
        ignore: false,
        created: unit.show(order.created_ns),
        executed_quote: D8(order.executed_quote),
        last_quote: D8(report.fill.map_or(Cash::ZERO, |f| f.quote)),
        quote_qty: D8(order.quote_qty),
        working: unit.show(order.working_ns),
        stp: order.stp.as_str(),
        prevention,
    })
}

/// `outboundAccountPosition`.
pub(super) fn position(names: &dyn Names, unit: TimeUnit, position: &AccountPosition) -> String {
    let time = unit.show(position.time_ns);
    let balance = |b: &Balance| {
        let asset = names.asset(b.asset);
        json!({"a": asset.as_str(), "f": D8(b.free), "l": D8(b.locked)})
    };
    let balances: Vec<Value> = position.balances.iter().map(balance).collect();
    text(&json!({"e": "outboundAccountPosition", "E": time, "u": time, "B": balances}))
}

/// `balanceUpdate`.
pub(super) fn balance_delta(names: &dyn Names, unit: TimeUnit, delta: &BalanceDelta) -> String {
    let time = unit.show(delta.time_ns);
    let asset = names.asset(delta.asset);
    text(&json!({"e": "balanceUpdate", "E": time, "a": asset.as_str(), "d": D8(delta.delta), "T": time}))
}

/// All self-trade prevention modes by name.
pub(super) fn stp_modes() -> Vec<&'static str> {
    StpMode::ALL.iter().map(|m| m.as_str()).collect()
}
