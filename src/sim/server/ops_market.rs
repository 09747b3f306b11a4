//! Requests about the market.

use serde_json::{Value, json};

use super::error::ApiError;
use super::market_json as show;
use super::ops::{Answer, Call, named, symbol};
use super::params::Params;
use super::shapes::{D8, text};
use super::state::State;
use crate::sim::exchange::{Interval, Kline, KlineQuery, SymbolId};
use crate::types::TradeId;
use crate::types::time::{NS_PER_DAY, NS_PER_MIN};

#[expect(clippy::unnecessary_wraps, reason = "a row of the table of requests")]
pub(super) fn ping(_: &mut State, _: &Call<'_>) -> Answer {
    Ok("{}".to_owned())
}

#[expect(clippy::unnecessary_wraps, reason = "a row of the table of requests")]
pub(super) fn time(_: &mut State, call: &Call<'_>) -> Answer {
    Ok(format!("{{\"serverTime\":{}}}", call.unit.show(call.now_ns)))
}

pub(super) fn exchange_info(state: &mut State, call: &Call<'_>) -> Answer {
    let wanted = call.params.symbols()?;
    let mut symbols: Vec<Value> = Vec::new();
    if let Some(names) = &wanted {
        for name in names {
            let id = named(state, name)?;
            symbols.push(show::symbol_info(state.exchange.spec(id)));
        }
    } else if permits_spot(call.params) {
        symbols = state.exchange.symbols().map(|(_, spec)| show::symbol_info(spec)).collect();
    }
    Ok(text(&json!({
        "timezone": "UTC",
        "serverTime": call.unit.show(call.now_ns),
        "rateLimits": state.limits.shown(),
        "exchangeFilters": [],
        "symbols": symbols,
        "sors": [],
    })))
}

/// Whether `permissions` (one name or a JSON list) includes `SPOT`, the only one that symbols here have.
fn permits_spot(params: &Params) -> bool {
    params.get("permissions").is_none_or(|p| p.contains("SPOT"))
}

pub(super) fn depth(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let limit = call.params.limit(100, 5_000)?;
    Ok(state.depth_json(symbol, limit))
}

fn trades_from(state: &State, call: &Call<'_>, from: Option<TradeId>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let limit = call.params.limit(500, 1_000)?;
    let trades = state.exchange.public_trades(symbol, from, limit);
    let shown: Vec<Value> = trades.iter().map(|t| show::trade(call.unit, t)).collect();
    Ok(text(&shown))
}

pub(super) fn trades(state: &mut State, call: &Call<'_>) -> Answer {
    trades_from(state, call, None)
}

pub(super) fn historical_trades(state: &mut State, call: &Call<'_>) -> Answer {
    let from = call.params.int("fromId")?.and_then(|id| u64::try_from(id).ok()).map(TradeId);
    trades_from(state, call, from)
}

/// A time parameter: milliseconds, or microseconds when it is too large for that.
pub(super) fn time_param(params: &Params, name: &'static str) -> Result<Option<i64>, ApiError> {
    const MICROS_FROM: i64 = 100_000_000_000_000;
    Ok(params
        .int(name)?
        .map(|t| if t >= MICROS_FROM { t.saturating_mul(1_000) } else { t.saturating_mul(1_000_000) }))
}

pub(super) fn aggregates(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let limit = call.params.limit(500, 1_000)?;
    let from_id = call.params.int("fromId")?.and_then(|id| u64::try_from(id).ok());
    let start = time_param(call.params, "startTime")?;
    let end = time_param(call.params, "endTime")?;
    let trades: Vec<_> = state
        .exchange
        .public_trades(symbol, None, usize::MAX)
        .into_iter()
        .filter(|t| from_id.is_none_or(|id| t.agg_id >= id))
        .filter(|t| start.is_none_or(|s| t.time_ns >= s) && end.is_none_or(|e| t.time_ns <= e))
        .collect();
    let all = show::aggregates(&trades);
    let forward = from_id.is_some() || start.is_some();
    let skip = if forward { 0 } else { all.len().saturating_sub(limit) };
    let shown: Vec<Value> =
        all.iter().skip(skip).take(limit).map(|a| show::aggregate(call.unit, a)).collect();
    Ok(text(&shown))
}

/// Intervals that the venue has but the tape does not keep: made of days.
fn long_interval(name: &str) -> Option<fn(i64) -> i64> {
    match name {
        "3d" => Some(|ns| ns.div_euclid(3 * NS_PER_DAY) * 3 * NS_PER_DAY),
        // The epoch was a Thursday; weeks begin on Monday.
        "1w" => Some(|ns| (ns + 3 * NS_PER_DAY).div_euclid(7 * NS_PER_DAY) * 7 * NS_PER_DAY - 3 * NS_PER_DAY),
        "1M" => Some(month_start),
        _ => None,
    }
}

fn month_start(ns: i64) -> i64 {
    let start = || {
        let at = jiff::Timestamp::from_nanosecond(i128::from(ns)).ok()?.to_zoned(jiff::tz::TimeZone::UTC);
        let first = at.date().first_of_month().to_zoned(jiff::tz::TimeZone::UTC).ok()?;
        i64::try_from(first.timestamp().as_nanosecond()).ok()
    };
    start().unwrap_or(ns)
}

fn joined(days: &[Kline], start_of: fn(i64) -> i64) -> Vec<Kline> {
    let mut out: Vec<Kline> = Vec::new();
    for day in days {
        let open_ns = start_of(day.open_ns);
        match out.last_mut() {
            Some(k) if k.open_ns == open_ns => {
                k.high = k.high.max(day.high);
                k.low = k.low.min(day.low);
                k.close = day.close;
                k.volume = k.volume.checked_add(day.volume).unwrap_or(k.volume);
                k.quote_volume = k.quote_volume.checked_add(day.quote_volume).unwrap_or(k.quote_volume);
                k.trades += day.trades;
                k.interval_ns = day.open_ns + day.interval_ns - open_ns;
            }
            _ => out.push(Kline { open_ns, interval_ns: day.open_ns + day.interval_ns - open_ns, ..*day }),
        }
    }
    out
}

fn klines_of(state: &State, symbol: SymbolId, name: &str, query: KlineQuery) -> Result<Vec<Kline>, ApiError> {
    if let Some(interval) = Interval::parse(name) {
        return Ok(state.exchange.klines(symbol, interval, query));
    }
    let start_of = long_interval(name).ok_or_else(|| ApiError::bad_enum("interval"))?;
    let days = state.exchange.klines(symbol, Interval::D1, KlineQuery { limit: usize::MAX, ..query });
    let mut all = joined(&days, start_of);
    let cut = if query.start_ns.is_some() { 0 } else { all.len().saturating_sub(query.limit) };
    all.drain(..cut);
    all.truncate(query.limit);
    Ok(all)
}

pub(super) fn klines(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let query = KlineQuery {
        start_ns: time_param(call.params, "startTime")?,
        end_ns: time_param(call.params, "endTime")?,
        limit: call.params.limit(500, 1_000)?,
    };
    state.exchange.advance(call.now_ns);
    let klines = klines_of(state, symbol, call.params.need("interval")?, query)?;
    let shown: Vec<Value> = klines.iter().map(|k| show::kline(call.unit, k)).collect();
    Ok(text(&shown))
}

pub(super) fn average(state: &mut State, call: &Call<'_>) -> Answer {
    let symbol = symbol(state, call.params)?;
    let average = state.exchange.average_price(symbol, call.now_ns);
    Ok(show::average(call.unit, &average))
}

/// Answers for one symbol with an object, for several or all with an array.
fn each(state: &State, call: &Call<'_>, one: impl Fn(&State, SymbolId, &str) -> Value) -> Answer {
    let render = |id: SymbolId| {
        let name = state.exchange.spec(id).symbol;
        one(state, id, name.as_str())
    };
    match call.params.symbols()? {
        None => {
            let all: Vec<Value> = state.exchange.symbols().map(|(id, _)| render(id)).collect();
            Ok(text(&all))
        }
        Some(names) if call.params.get("symbol").is_some() => Ok(text(&render(named(state, &names[0])?))),
        Some(names) => {
            let ids: Result<Vec<SymbolId>, ApiError> = names.iter().map(|n| named(state, n)).collect();
            let all: Vec<Value> = ids?.into_iter().map(render).collect();
            Ok(text(&all))
        }
    }
}

fn is_mini(params: &Params) -> bool {
    params.get("type").is_some_and(|t| t.eq_ignore_ascii_case("MINI"))
}

pub(super) fn ticker_24h(state: &mut State, call: &Call<'_>) -> Answer {
    let mini = is_mini(call.params);
    state.exchange.advance(call.now_ns);
    each(state, call, |state, id, name| {
        let ticker = state.exchange.ticker_24h(id, call.now_ns);
        show::ticker(call.unit, name, &ticker, Some(state.best(id)), mini)
    })
}

/// Rolling window and trading day tickers: the window is always the last 24 h here.
pub(super) fn ticker_window(state: &mut State, call: &Call<'_>) -> Answer {
    if call.params.symbols()?.is_none() {
        return Err(ApiError::missing("symbol"));
    }
    let mini = is_mini(call.params);
    state.exchange.advance(call.now_ns);
    each(state, call, |state, id, name| {
        let mut ticker = state.exchange.ticker_24h(id, call.now_ns);
        ticker.open_ns -= ticker.open_ns.rem_euclid(NS_PER_MIN);
        show::ticker(call.unit, name, &ticker, None, mini)
    })
}

pub(super) fn ticker_price(state: &mut State, call: &Call<'_>) -> Answer {
    each(state, call, |state, id, name| json!({"symbol": name, "price": D8(state.exchange.last_price(id))}))
}

pub(super) fn ticker_book(state: &mut State, call: &Call<'_>) -> Answer {
    each(state, call, |state, id, name| show::book_ticker(name, state.best(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weeks_begin_on_monday_and_months_on_the_first() {
        let at =
            |text: &str| i64::try_from(text.parse::<jiff::Timestamp>().unwrap().as_nanosecond()).unwrap();
        let week = long_interval("1w").unwrap();
        assert_eq!(week(at("2024-08-08T23:54:13Z")), at("2024-08-05T00:00:00Z"));
        assert_eq!(week(at("2024-08-05T00:00:00Z")), at("2024-08-05T00:00:00Z"));
        assert_eq!(month_start(at("2024-08-08T23:54:13Z")), at("2024-08-01T00:00:00Z"));
        assert!(long_interval("7m").is_none());
    }

    #[test]
    fn times_may_be_given_in_either_unit() {
        let p = Params::from_http("startTime=1723161253937&endTime=1723161253937085", "");
        assert_eq!(time_param(&p, "startTime").unwrap(), Some(1_723_161_253_937_000_000));
        assert_eq!(time_param(&p, "endTime").unwrap(), Some(1_723_161_253_937_085_000));
    }
}
