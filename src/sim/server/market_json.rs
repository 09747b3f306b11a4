//! The venue's JSON about the market: REST and WebSocket API answers, and stream messages.

use serde::Serialize;
use serde_json::{Value, json};

use super::shapes::{D8, TimeUnit, stp_modes, text};
use crate::sim::exchange::{
    AveragePrice, BestChange, Filters, Kline, LotFilter, OrderKind, PublicTrade, SymbolSpec, Ticker,
};
use crate::types::{Cash, Level, Price, Qty};

/// A level as `["price","quantity"]`.
#[derive(Clone, Copy, Serialize)]
pub(super) struct LevelText(D8<Price>, D8<Qty>);

impl From<Level> for LevelText {
    fn from(level: Level) -> Self {
        Self(D8(level.price), D8(level.qty))
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Depth {
    last_update_id: u64,
    bids: Vec<LevelText>,
    asks: Vec<LevelText>,
}

/// `GET /depth` and partial depth streams.
pub(super) fn depth(last_update_id: u64, bids: &[Level], asks: &[Level]) -> String {
    let levels = |side: &[Level]| side.iter().map(|l| LevelText::from(*l)).collect();
    text(&Depth { last_update_id, bids: levels(bids), asks: levels(asks) })
}

/// A public trade as `trades` shows it.
pub(super) fn trade(unit: TimeUnit, trade: &PublicTrade) -> Value {
    json!({
        "id": trade.id.0,
        "price": D8(trade.price),
        "qty": D8(trade.qty),
        "quoteQty": D8(trade.quote),
        "time": unit.show(trade.time_ns),
        "isBuyerMaker": trade.buyer_is_maker,
        "isBestMatch": true,
    })
}

/// Trades of one taker order at one price.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aggregate {
    id: u64,
    price: Price,
    qty: Qty,
    first: u64,
    last: u64,
    time_ns: i64,
    buyer_is_maker: bool,
}

/// Folds trades that belong together.
pub(super) fn aggregates(trades: &[PublicTrade]) -> Vec<Aggregate> {
    let mut out: Vec<Aggregate> = Vec::new();
    for t in trades {
        match out.last_mut() {
            Some(a) if a.id == t.agg_id => {
                a.qty = a.qty.checked_add(t.qty).unwrap_or(a.qty);
                a.last = t.id.0;
            }
            _ => out.push(Aggregate {
                id: t.agg_id,
                price: t.price,
                qty: t.qty,
                first: t.id.0,
                last: t.id.0,
                time_ns: t.time_ns,
                buyer_is_maker: t.buyer_is_maker,
            }),
        }
    }
    out
}

/// An aggregate as `aggTrades` shows it.
pub(super) fn aggregate(unit: TimeUnit, a: &Aggregate) -> Value {
    json!({
        "a": a.id, "p": D8(a.price), "q": D8(a.qty), "f": a.first, "l": a.last,
        "T": unit.show(a.time_ns), "m": a.buyer_is_maker, "M": true,
    })
}

/// A kline as `klines` shows it: an array.
pub(super) fn kline(unit: TimeUnit, k: &Kline) -> Value {
    json!([
        unit.show(k.open_ns),
        D8(k.open),
        D8(k.high),
        D8(k.low),
        D8(k.close),
        D8(k.volume),
        unit.show(k.open_ns + k.interval_ns - 1),
        D8(k.quote_volume),
        k.trades,
        D8(k.taker_buy_volume),
        D8(k.taker_buy_quote_volume),
        "0",
    ])
}

/// `avgPrice`.
pub(super) fn average(unit: TimeUnit, a: &AveragePrice) -> String {
    text(&json!({"mins": a.mins, "price": D8(a.price), "closeTime": unit.show(a.close_ns)}))
}

fn change(t: &Ticker) -> (Price, String) {
    let change = Price::from_units(t.last.units().saturating_sub(t.open.units()));
    (change, percent(change, t.open))
}

/// `change / open` in percent with three decimals, towards zero.
fn percent(change: Price, open: Price) -> String {
    let thousandths =
        if open.is_zero() { 0 } else { i128::from(change.units()) * 100_000 / i128::from(open.units()) };
    let sign = if thousandths < 0 { "-" } else { "" };
    let magnitude = thousandths.unsigned_abs();
    format!("{sign}{}.{:03}", magnitude / 1_000, magnitude % 1_000)
}

fn first_last(t: &Ticker) -> (i64, i64) {
    let id = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    t.trade_ids.map_or((-1, -1), |(first, last)| (id(first.0), id(last.0)))
}

/// Best bid and ask, zero where a side is empty.
pub(super) type Best = (Level, Level);

/// `ticker/24hr` (with `best`) and `ticker` (without), FULL or MINI.
pub(super) fn ticker(unit: TimeUnit, symbol: &str, t: &Ticker, best: Option<Best>, mini: bool) -> Value {
    let (first, last) = first_last(t);
    let mut out = serde_json::Map::new();
    let mut put = |name: &str, value: Value| {
        out.insert(name.to_owned(), value);
    };
    put("symbol", json!(symbol));
    if !mini {
        let (change, percent) = change(t);
        put("priceChange", json!(D8(change)));
        put("priceChangePercent", json!(percent));
        put("weightedAvgPrice", json!(D8(t.weighted_average)));
        if let Some((bid, ask)) = best {
            put("prevClosePrice", json!(D8(t.previous_close)));
            put("lastQty", json!(D8(t.last_qty)));
            put("bidPrice", json!(D8(bid.price)));
            put("bidQty", json!(D8(bid.qty)));
            put("askPrice", json!(D8(ask.price)));
            put("askQty", json!(D8(ask.qty)));
        }
    }
    put("lastPrice", json!(D8(t.last)));
    put("openPrice", json!(D8(t.open)));
    put("highPrice", json!(D8(t.high)));
    put("lowPrice", json!(D8(t.low)));
    put("volume", json!(D8(t.volume)));
    put("quoteVolume", json!(D8(t.quote_volume)));
    put("openTime", json!(unit.show(t.open_ns)));
    put("closeTime", json!(unit.show(t.close_ns)));
    put("firstId", json!(first));
    put("lastId", json!(last));
    put("count", json!(t.trades));
    Value::Object(out)
}

/// `ticker/bookTicker`.
pub(super) fn book_ticker(symbol: &str, (bid, ask): Best) -> Value {
    json!({
        "symbol": symbol,
        "bidPrice": D8(bid.price), "bidQty": D8(bid.qty),
        "askPrice": D8(ask.price), "askQty": D8(ask.qty),
    })
}

fn filters(f: &Filters) -> Vec<Value> {
    let lot = |name: &str, lot: &LotFilter| {
        let (min, max, step) = (D8(lot.min), D8(lot.max), D8(lot.step));
        json!({"filterType": name, "minQty": min, "maxQty": max, "stepSize": step})
    };
    let mut out = vec![
        json!({
            "filterType": "PRICE_FILTER",
            "minPrice": D8(f.price.min),
            "maxPrice": D8(f.price.max),
            "tickSize": D8(f.price.tick),
        }),
        lot("LOT_SIZE", &f.lot),
        json!({"filterType": "ICEBERG_PARTS", "limit": f.iceberg_parts}),
        lot("MARKET_LOT_SIZE", &f.market_lot),
        json!({
            "filterType": "PERCENT_PRICE_BY_SIDE",
            "bidMultiplierUp": f.percent_price.bid_up.to_string(),
            "bidMultiplierDown": f.percent_price.bid_down.to_string(),
            "askMultiplierUp": f.percent_price.ask_up.to_string(),
            "askMultiplierDown": f.percent_price.ask_down.to_string(),
            "avgPriceMins": f.percent_price.avg_price_mins,
        }),
        json!({
            "filterType": "NOTIONAL",
            "minNotional": D8(f.notional.min),
            "applyMinToMarket": f.notional.apply_min_to_market,
            "maxNotional": D8(f.notional.max),
            "applyMaxToMarket": f.notional.apply_max_to_market,
            "avgPriceMins": f.notional.avg_price_mins,
        }),
        json!({"filterType": "MAX_NUM_ORDERS", "maxNumOrders": f.orders_max}),
        json!({"filterType": "MAX_NUM_ALGO_ORDERS", "maxNumAlgoOrders": f.algo_orders_max}),
        json!({"filterType": "MAX_NUM_ORDER_AMENDS", "maxNumOrderAmends": f.amends_max}),
        json!({"filterType": "MAX_NUM_ORDER_LISTS", "maxNumOrderLists": f.order_lists_max}),
    ];
    if let Some(max) = f.position_max {
        out.push(json!({"filterType": "MAX_POSITION", "maxPosition": D8(max)}));
    }
    out
}

/// One symbol of `exchangeInfo`.
pub(super) fn symbol_info(spec: &SymbolSpec) -> Value {
    let kinds = [OrderKind::Limit, OrderKind::LimitMaker, OrderKind::Market];
    json!({
        "symbol": spec.symbol.as_str(),
        "status": spec.status.as_str(),
        "baseAsset": spec.base.as_str(),
        "baseAssetPrecision": 8,
        "quoteAsset": spec.quote.as_str(),
        "quotePrecision": 8,
        "quoteAssetPrecision": 8,
        "baseCommissionPrecision": 8,
        "quoteCommissionPrecision": 8,
        "orderTypes": kinds.map(OrderKind::as_str),
        "icebergAllowed": false,
        "ocoAllowed": false,
        "otoAllowed": false,
        "opoAllowed": false,
        "quoteOrderQtyMarketAllowed": true,
        "allowTrailingStop": false,
        "cancelReplaceAllowed": true,
        "amendAllowed": true,
        "pegInstructionsAllowed": false,
        "isSpotTradingAllowed": true,
        "isMarginTradingAllowed": false,
        "filters": filters(&spec.filters),
        "permissions": [],
        "permissionSets": [["SPOT"]],
        "defaultSelfTradePreventionMode": spec.stp_default.as_str(),
        "allowedSelfTradePreventionModes": stp_modes(),
    })
}

#[derive(Serialize)]
struct TradeEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    t: u64,
    p: D8<Price>,
    q: D8<Qty>,
    #[serde(rename = "T")]
    time: i64,
    m: bool,
    #[serde(rename = "M")]
    ignore: bool,
}

/// `<symbol>@trade`.
pub(super) fn trade_event(unit: TimeUnit, symbol: &str, t: &PublicTrade, now_ns: i64) -> String {
    text(&TradeEvent {
        e: "trade",
        event_time: unit.show(now_ns),
        s: symbol,
        t: t.id.0,
        p: D8(t.price),
        q: D8(t.qty),
        time: unit.show(t.time_ns),
        m: t.buyer_is_maker,
        ignore: true,
    })
}

/// `<symbol>@aggTrade`.
pub(super) fn aggregate_event(unit: TimeUnit, symbol: &str, a: &Aggregate, now_ns: i64) -> String {
    text(&json!({
        "e": "aggTrade", "E": unit.show(now_ns), "s": symbol,
        "a": a.id, "p": D8(a.price), "q": D8(a.qty), "f": a.first, "l": a.last,
        "T": unit.show(a.time_ns), "m": a.buyer_is_maker, "M": true,
    }))
}

#[derive(Serialize)]
struct BestEvent<'a> {
    u: u64,
    s: &'a str,
    b: D8<Price>,
    #[serde(rename = "B")]
    bid_qty: D8<Qty>,
    a: D8<Price>,
    #[serde(rename = "A")]
    ask_qty: D8<Qty>,
}

/// `<symbol>@bookTicker`: the one message without a time.
pub(super) fn best_event(symbol: &str, best: &BestChange) -> String {
    text(&BestEvent {
        u: best.update_id,
        s: symbol,
        b: D8(best.bid.price),
        bid_qty: D8(best.bid.qty),
        a: D8(best.ask.price),
        ask_qty: D8(best.ask.qty),
    })
}

#[derive(Serialize)]
struct DepthEvent<'a> {
    e: &'static str,
    #[serde(rename = "E")]
    event_time: i64,
    s: &'a str,
    #[serde(rename = "U")]
    first: u64,
    u: u64,
    b: Vec<LevelText>,
    a: Vec<LevelText>,
}

/// Level changes of an interval.
#[derive(Clone, Debug)]
pub(super) struct DepthDiff {
    /// First update id.
    pub(super) first: u64,
    /// Last update id.
    pub(super) last: u64,
    /// Bids, best first.
    pub(super) bids: Vec<Level>,
    /// Asks, best first.
    pub(super) asks: Vec<Level>,
}

/// `<symbol>@depth`.
pub(super) fn depth_event(unit: TimeUnit, symbol: &str, diff: &DepthDiff, now_ns: i64) -> String {
    let levels = |side: &[Level]| side.iter().map(|l| LevelText::from(*l)).collect();
    text(&DepthEvent {
        e: "depthUpdate",
        event_time: unit.show(now_ns),
        s: symbol,
        first: diff.first,
        u: diff.last,
        b: levels(&diff.bids),
        a: levels(&diff.asks),
    })
}

/// `<symbol>@kline_<interval>`.
pub(super) fn kline_event(unit: TimeUnit, symbol: &str, interval: &str, k: &Kline, now_ns: i64) -> String {
    let id = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let (first, last) = k.trade_ids.map_or((-1, -1), |(f, l)| (id(f.0), id(l.0)));
    text(&json!({
        "e": "kline", "E": unit.show(now_ns), "s": symbol,
        "k": {
            "t": unit.show(k.open_ns), "T": unit.show(k.open_ns + k.interval_ns - 1), "s": symbol, "i": interval,
            "f": first, "L": last, "o": D8(k.open), "c": D8(k.close), "h": D8(k.high), "l": D8(k.low),
            "v": D8(k.volume), "n": k.trades, "x": k.open_ns + k.interval_ns <= now_ns, "q": D8(k.quote_volume),
            "V": D8(k.taker_buy_volume), "Q": D8(k.taker_buy_quote_volume), "B": "0",
        },
    }))
}

/// `<symbol>@miniTicker`.
pub(super) fn mini_ticker_event(unit: TimeUnit, symbol: &str, t: &Ticker, now_ns: i64) -> String {
    text(&json!({
        "e": "24hrMiniTicker", "E": unit.show(now_ns), "s": symbol, "c": D8(t.last), "o": D8(t.open), "h": D8(t.high),
        "l": D8(t.low), "v": D8(t.volume), "q": D8(t.quote_volume),
    }))
}

/// `<symbol>@ticker`.
pub(super) fn ticker_event(
    unit: TimeUnit,
    symbol: &str,
    t: &Ticker,
    (bid, ask): Best,
    now_ns: i64,
) -> String {
    let (change, percent) = change(t);
    let (first, last) = first_last(t);
    text(&json!({
        "e": "24hrTicker", "E": unit.show(now_ns), "s": symbol, "p": D8(change), "P": percent,
        "w": D8(t.weighted_average), "x": D8(t.previous_close), "c": D8(t.last), "Q": D8(t.last_qty),
        "b": D8(bid.price), "B": D8(bid.qty), "a": D8(ask.price), "A": D8(ask.qty),
        "o": D8(t.open), "h": D8(t.high), "l": D8(t.low), "v": D8(t.volume), "q": D8(t.quote_volume),
        "O": unit.show(t.open_ns), "C": unit.show(t.close_ns), "F": first, "L": last, "n": t.trades,
    }))
}

/// `<symbol>@avgPrice`.
pub(super) fn average_event(unit: TimeUnit, symbol: &str, a: &AveragePrice, now_ns: i64) -> String {
    text(&json!({
        "e": "avgPrice", "E": unit.show(now_ns), "s": symbol, "i": "5m", "w": D8(a.price), "T": unit.show(a.close_ns),
    }))
}

/// `account/commission` and the like: rates of an account, the rest zero.
pub(super) fn commission(symbol: &str, maker: Qty, taker: Qty) -> Value {
    const NONE: &str = "0.00000000";
    let rates = |maker: Qty, taker: Qty| {
        let (maker, taker) = (D8(maker), D8(taker));
        json!({"maker": maker, "taker": taker, "buyer": NONE, "seller": NONE})
    };
    json!({
        "symbol": symbol,
        "standardCommission": rates(maker, taker),
        "specialCommission": rates(Qty::ZERO, Qty::ZERO),
        "taxCommission": rates(Qty::ZERO, Qty::ZERO),
        "discount": {
            "enabledForAccount": false, "enabledForSymbol": false, "discountAsset": "BNB",
            "discount": D8(Cash::ZERO),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_are_cut_not_rounded() {
        let p = |units| Price::from_units(units);
        assert_eq!(percent(p(-94_999), p(10_000_000)), "-0.949");
        assert_eq!(percent(p(1), p(3)), "33.333");
        assert_eq!(percent(p(0), p(0)), "0.000");
    }
}
