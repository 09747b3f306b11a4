//! Requests about orders and the account.

use serde_json::{Value, json};

use super::error::ApiError;
use super::market_json;
use super::ops::{Answer, Call, symbol};
use super::ops_market::time_param;
use super::params::Params;
use super::shapes::{self, D8, ResponseType, TimeUnit, text};
use super::state::State;
use crate::sim::exchange::{
    AmendOrder, CancelOrder, CancelReplaceMode, CancelReplaceOrder, CancelReplaceReport, CancelRestriction,
    ClientId, HistoryQuery, NewOrder, OrderKey, OrderKind, Refusal, Step, StpMode, SymbolId,
};
use crate::types::{Cash, TimeInForce, VenueOrderId};

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        Self::new(refusal.code, refusal.msg)
    }
}

fn client_id(params: &Params, name: &'static str) -> Result<Option<ClientId>, ApiError> {
    params.get(name).map(|v| ClientId::new(v.as_bytes()).ok_or_else(|| ApiError::illegal(name))).transpose()
}

fn time_in_force(params: &Params, kind: OrderKind) -> Result<TimeInForce, ApiError> {
    match params.get("timeInForce") {
        Some("GTC") => Ok(TimeInForce::Gtc),
        Some("IOC") => Ok(TimeInForce::Ioc),
        Some("FOK") => Ok(TimeInForce::Fok),
        Some(_) => Err(ApiError::bad_enum("timeInForce")),
        None if kind == OrderKind::Limit => Err(ApiError::missing("timeInForce")),
        None => Ok(TimeInForce::Gtc),
    }
}

fn new_order(state: &State, params: &Params) -> Result<NewOrder, ApiError> {
    let symbol = symbol(state, params)?;
    let side = params.side()?;
    let kind = OrderKind::parse(params.need("type")?).ok_or_else(|| ApiError::bad_enum("type"))?;
    if params.get("icebergQty").is_some() {
        return Err(ApiError::new(-1013, "Iceberg orders are not supported for this symbol."));
    }
    let quote_qty = params.get("quoteOrderQty").map(|v| Cash::parse(v.as_bytes()));
    let stp = params.get("selfTradePreventionMode").map(|v| StpMode::parse(v).ok_or(Refusal::STP_MODE));
    Ok(NewOrder {
        symbol,
        side,
        kind,
        time_in_force: time_in_force(params, kind)?,
        price: params.price("price")?,
        qty: params.qty("quantity")?,
        quote_qty: quote_qty.transpose().map_err(|e| ApiError::decimal("quoteOrderQty", e))?,
        client_id: client_id(params, "newClientOrderId")?,
        stp: stp.transpose()?,
    })
}

fn response_type(params: &Params, kind: OrderKind) -> Result<ResponseType, ApiError> {
    match params.get("newOrderRespType") {
        Some("ACK") => Ok(ResponseType::Ack),
        Some("RESULT") => Ok(ResponseType::Result),
        Some("FULL") => Ok(ResponseType::Full),
        Some(_) => Err(ApiError::bad_enum("newOrderRespType")),
        None if matches!(kind, OrderKind::Limit | OrderKind::Market) => Ok(ResponseType::Full),
        None => Ok(ResponseType::Ack),
    }
}

pub(super) fn place(state: &mut State, call: &Call<'_>) -> Answer {
    let order = new_order(state, call.params)?;
    let kind = response_type(call.params, order.kind)?;
    let report = state.exchange.place(call.account, &order, call.now_ns)?;
    Ok(shapes::placed(&state.exchange, call.unit, &report, kind))
}

pub(super) fn test(state: &mut State, call: &Call<'_>) -> Answer {
    let order = new_order(state, call.params)?;
    response_type(call.params, order.kind)?;
    state.exchange.test(&order, call.now_ns)?;
    if call.params.flag("computeCommissionRates")? != Some(true) {
        return Ok("{}".to_owned());
    }
    let rates = state.exchange.account(call.account).config;
    let all = market_json::commission("", rates.maker_rate, rates.taker_rate);
    Ok(text(&json!({
        "standardCommissionForOrder": {"maker": D8(rates.maker_rate), "taker": D8(rates.taker_rate)},
        "specialCommissionForOrder": {"maker": "0.00000000", "taker": "0.00000000"},
        "taxCommissionForOrder": {"maker": "0.00000000", "taker": "0.00000000"},
        "discount": all["discount"],
    })))
}

/// The order that a request names by `id`, by `client`, or by both.
fn key(params: &Params, id: &'static str, client: &'static str) -> Result<OrderKey, ApiError> {
    let id = params.int(id)?.map(|n| VenueOrderId(u64::try_from(n).unwrap_or(0)));
    match (id, client_id(params, client)?) {
        (Some(id), Some(client)) => Ok(OrderKey::Both(id, client)),
        (Some(id), None) => Ok(OrderKey::Id(id)),
        (None, Some(client)) => Ok(OrderKey::Client(client)),
        (None, None) => Err(ApiError::new(
            -1102,
            format!("Param '{client}' or 'orderId' must be sent, but both were empty/null!"),
        )),
    }
}

fn restriction(params: &Params) -> Result<Option<CancelRestriction>, ApiError> {
    let parse = |v| CancelRestriction::parse(v).ok_or_else(|| ApiError::bad_enum("cancelRestrictions"));
    params.get("cancelRestrictions").map(parse).transpose()
}

pub(super) fn cancel(state: &mut State, call: &Call<'_>) -> Answer {
    let request = CancelOrder {
        symbol: symbol(state, call.params)?,
        key: key(call.params, "orderId", "origClientOrderId")?,
        new_client_id: client_id(call.params, "newClientOrderId")?,
        restriction: restriction(call.params)?,
    };
    let report = state.exchange.cancel(call.account, &request, call.now_ns)?;
    Ok(shapes::cancelled(&state.exchange, call.unit, &report))
}

pub(super) fn cancel_all(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let reports = state.exchange.cancel_all(call.account, symbol, call.now_ns)?;
    let shown: Vec<String> =
        reports.iter().map(|r| shapes::cancelled(&state.exchange, call.unit, r)).collect();
    Ok(format!("[{}]", shown.join(",")))
}

pub(super) fn cancel_replace(state: &mut State, call: &Call<'_>) -> Answer {
    let params = call.params;
    let new_order = new_order(state, params)?;
    let kind = response_type(params, new_order.kind)?;
    let request = CancelReplaceOrder {
        cancel: CancelOrder {
            symbol: new_order.symbol,
            key: key(params, "cancelOrderId", "cancelOrigClientOrderId")?,
            new_client_id: client_id(params, "cancelNewClientOrderId")?,
            restriction: restriction(params)?,
        },
        new_order,
        mode: CancelReplaceMode::parse(params.need("cancelReplaceMode")?)
            .ok_or_else(|| ApiError::bad_enum("cancelReplaceMode"))?,
    };
    let report = state.exchange.cancel_replace(call.account, &request, call.now_ns)?;
    replaced(state, call.unit, &report, kind)
}

fn replaced(state: &State, unit: TimeUnit, report: &CancelReplaceReport, kind: ResponseType) -> Answer {
    let value = |json: String| serde_json::from_str::<Value>(&json).unwrap_or(Value::Null);
    let refused = |r: &Refusal| json!({"code": r.code, "msg": r.msg});
    let (cancel_result, cancel) = match &report.cancel {
        Step::Success(c) => ("SUCCESS", value(shapes::cancelled(&state.exchange, unit, c))),
        Step::Failure(r) => ("FAILURE", refused(r)),
        Step::NotAttempted => ("NOT_ATTEMPTED", Value::Null),
    };
    let (new_result, new) = match &report.new_order {
        Step::Success(o) => ("SUCCESS", value(shapes::placed(&state.exchange, unit, o, kind))),
        Step::Failure(r) => ("FAILURE", refused(r)),
        Step::NotAttempted => ("NOT_ATTEMPTED", Value::Null),
    };
    let data = json!({
        "cancelResult": cancel_result, "newOrderResult": new_result,
        "cancelResponse": cancel, "newOrderResponse": new,
    });
    match report.refusal() {
        None => Ok(text(&data)),
        Some(refusal) => {
            let status = if refusal == Refusal::REPLACE_PARTIAL { 409 } else { 400 };
            let mut error = ApiError::with_status(status, refusal.code, refusal.msg);
            error.data = Some(data);
            Err(error)
        }
    }
}

pub(super) fn amend(state: &mut State, call: &Call<'_>) -> Answer {
    let request = AmendOrder {
        symbol: symbol(state, call.params)?,
        key: key(call.params, "orderId", "origClientOrderId")?,
        new_qty: call.params.qty("newQty")?.ok_or_else(|| ApiError::missing("newQty"))?,
        new_client_id: client_id(call.params, "newClientOrderId")?,
    };
    let report = state.exchange.amend_keep_priority(call.account, &request, call.now_ns)?;
    let order = &report.order;
    Ok(text(&json!({
        "transactTime": call.unit.show(order.updated_ns),
        "executionId": report.execution_id,
        "amendedOrder": {
            "symbol": state.exchange.spec(order.symbol).symbol.as_str(),
            "orderId": order.id.0,
            "orderListId": -1,
            "origClientOrderId": report.orig_client_id.as_str(),
            "clientOrderId": order.client_id.as_str(),
            "price": D8(order.price),
            "qty": D8(order.qty),
            "executedQty": D8(order.executed),
            "preventedQty": D8(order.prevented),
            "quoteOrderQty": D8(order.quote_qty),
            "cumulativeQuoteQty": D8(order.executed_quote),
            "status": order.status.as_str(),
            "timeInForce": crate::sim::exchange::time_in_force_str(order.time_in_force),
            "type": order.kind.as_str(),
            "side": order.side.as_str(),
            "workingTime": call.unit.show(order.working_ns),
            "selfTradePreventionMode": order.stp.as_str(),
        },
    })))
}

pub(super) fn status(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let order =
        state.exchange.order(call.account, symbol, key(call.params, "orderId", "origClientOrderId")?)?;
    Ok(text(&shapes::order(&state.exchange, call.unit, &order)))
}

pub(super) fn open_orders(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = match call.params.get("symbol") {
        Some(_) => Some(symbol(state, call.params)?),
        None => None,
    };
    let orders = state.exchange.open_orders(call.account, symbol);
    let shown: Vec<Value> = orders.iter().map(|o| shapes::order(&state.exchange, call.unit, o)).collect();
    Ok(text(&shown))
}

fn history(params: &Params, from: &'static str) -> Result<HistoryQuery, ApiError> {
    Ok(HistoryQuery {
        order: None,
        from_id: params.int(from)?.and_then(|id| u64::try_from(id).ok()),
        start_ns: time_param(params, "startTime")?,
        end_ns: time_param(params, "endTime")?,
        limit: params.limit(500, 1_000)?,
    })
}

pub(super) fn all_orders(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let orders = state.exchange.all_orders(call.account, symbol, history(call.params, "orderId")?);
    let shown: Vec<Value> = orders.iter().map(|o| shapes::order(&state.exchange, call.unit, o)).collect();
    Ok(text(&shown))
}

pub(super) fn my_trades(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let mut query = history(call.params, "fromId")?;
    query.order = call.params.int("orderId")?.and_then(|id| u64::try_from(id).ok()).map(VenueOrderId);
    let trades = state.exchange.my_trades(call.account, symbol, query);
    let shown: Vec<Value> =
        trades.iter().map(|t| shapes::account_trade(&state.exchange, call.unit, t)).collect();
    Ok(text(&shown))
}

pub(super) fn account(state: &mut State, call: &Call<'_>) -> Answer {
    let omit_zero = call.params.flag("omitZeroBalances")? == Some(true);
    let account = state.exchange.account(call.account);
    let assets = state.exchange.assets();
    let balances: Vec<Value> = account
        .holdings
        .iter()
        .zip(assets)
        .filter(|(h, _)| !omit_zero || h.total() != 0)
        .map(|(h, asset)| json!({"asset": asset.as_str(), "free": D8(h.free), "locked": D8(h.locked)}))
        .collect();
    // The old fields count in hundredths of a percent.
    let points = |rate: crate::types::Qty| rate.units() / 10_000;
    let (maker, taker) = (account.config.maker_rate, account.config.taker_rate);
    Ok(text(&json!({
        "makerCommission": points(maker),
        "takerCommission": points(taker),
        "buyerCommission": 0,
        "sellerCommission": 0,
        "commissionRates": {"maker": D8(maker), "taker": D8(taker), "buyer": "0.00000000", "seller": "0.00000000"},
        "canTrade": true,
        "canWithdraw": false,
        "canDeposit": false,
        "brokered": false,
        "requireSelfTradePrevention": false,
        "preventSor": false,
        "updateTime": call.unit.show(account.updated_ns),
        "accountType": "SPOT",
        "balances": balances,
        "permissions": ["SPOT"],
        "uid": state.instance * 1_000 + u64::from(call.account.0),
    })))
}

#[expect(clippy::unnecessary_wraps, reason = "a row of the table of requests")]
pub(super) fn order_limits(state: &mut State, call: &Call<'_>) -> Answer {
    Ok(text(&state.limits.shown_orders(call.account.0, call.now_ns)))
}

pub(super) fn commission(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol: SymbolId = symbol(state, call.params)?;
    let rates = state.exchange.account(call.account).config;
    let name = state.exchange.spec(symbol).symbol;
    Ok(text(&market_json::commission(name.as_str(), rates.maker_rate, rates.taker_rate)))
}

/// Lists of what this venue does not have.
#[expect(clippy::unnecessary_wraps, reason = "a row of the table of requests")]
pub(super) fn nothing(_: &mut State, _: &Call<'_>) -> Answer {
    Ok("[]".to_owned())
}
