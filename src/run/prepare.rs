//! What is fetched and checked before anything starts: the venue's rules and clock, history, strategies, credentials. All of it
//! may block and fail; nothing of it has touched the data directory's state when it does.

use crate::agent::Clock;
use crate::event::{Bar, ClockOffset};
use crate::gateway::{Limit, LimitKind};
use crate::net::{Rest, RestTimeouts};
use crate::signal::Running;
use crate::strategy;
use crate::types::{InstrumentId, InstrumentTable, StrategyId, Symbol};
use crate::venue::binance::rest;

use super::access::Access;
use super::plan::Plan;
use super::rest_worker::measure_clock;

/// Why the engine can't start; each says what to do. Exit code 2 unless it is the venue's doing.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The venue does not answer, or not as it should.
    #[error("the venue at {venue}: {what}")]
    Venue {
        /// Which.
        venue: String,
        /// What happened.
        what: String,
    },
    /// A symbol that the venue does not list.
    #[error("venue.symbols: the venue does not list {0}; remove it, or correct its name")]
    UnknownSymbol(String),
    /// A strategy can't be made.
    #[error("strategy {name}: {what}")]
    Strategy {
        /// Which.
        name: String,
        /// Why.
        what: String,
    },
}

/// What was found.
#[derive(Debug)]
pub struct Prepared {
    /// Instruments and assets.
    pub table: InstrumentTable,
    /// The venue's rate limits.
    pub limits: Vec<Limit>,
    /// Filters that we do not know and do not apply, for the operator.
    pub unknown_filters: Vec<String>,
    /// The venue's clock.
    pub offset: Option<ClockOffset>,
    /// Bars of history, oldest first.
    pub history: Vec<Bar>,
    /// The strategies on their instruments.
    pub running: Vec<Running>,
    /// Strategy names by id.
    pub strategies: Vec<String>,
}

/// The venue's REST end.
pub fn rest_of(access: &Access) -> Rest {
    Rest::new(access.rest.clone(), &access.roots, RestTimeouts::default())
}

/// Fetches and checks.
pub fn prepare(plan: &Plan, rest_end: &Rest, clock: &Clock) -> Result<Prepared, PrepareError> {
    let symbols: Vec<Symbol> = plan.venue.symbols.iter().filter_map(|s| Symbol::new(s.as_bytes())).collect();
    let body = match get(rest_end, &rest::exchange_info_path(&symbols)) {
        Err(refused) if refused.code == CODE_INVALID_SYMBOL => {
            // The venue does not say which one it means.
            let is_unknown = |symbol: &&Symbol| {
                let alone = get(rest_end, &rest::exchange_info_path(&[**symbol]));
                alone.is_err_and(|e| e.code == CODE_INVALID_SYMBOL)
            };
            let unknown = symbols.iter().find(is_unknown);
            return Err(unknown.map_or(refused.error, |s| PrepareError::UnknownSymbol(s.to_string())));
        }
        answer => answer?,
    };
    let info = rest::parse_exchange_info(&body, &symbols)
        .map_err(|e| venue_error(rest_end, format!("exchangeInfo can't be read: {e}")))?;
    if let Some(missing) = info.missing.first() {
        return Err(PrepareError::UnknownSymbol(missing.to_string()));
    }
    let (running, strategies) = strategies_of(plan, &info.table)?;
    let history = history_of(plan, rest_end, clock, &info.table, &running)?;
    Ok(Prepared {
        limits: info.limits.iter().filter_map(limit_of).collect(),
        unknown_filters: info.unknown_filters,
        offset: measure_clock(rest_end, clock),
        table: info.table,
        history,
        running,
        strategies,
    })
}

fn venue_error(rest_end: &Rest, what: String) -> PrepareError {
    PrepareError::Venue { venue: rest_end.endpoint().to_string(), what }
}

/// The venue's code for a symbol that it does not list.
const CODE_INVALID_SYMBOL: i32 = -1121;

/// A request that gave nothing, with the venue's code if it said one.
#[derive(Debug)]
struct Refused {
    code: i32,
    error: PrepareError,
}

impl From<Refused> for PrepareError {
    fn from(refused: Refused) -> Self {
        refused.error
    }
}

fn get(rest_end: &Rest, path: &str) -> Result<Vec<u8>, Refused> {
    let refused = |code, what| Refused { code, error: venue_error(rest_end, what) };
    let answer = rest_end.get(path, &[]).map_err(|e| refused(0, e.to_string()))?;
    if answer.is_success() {
        return Ok(answer.body);
    }
    let (code, text) = rest::parse_error(&answer.body).unwrap_or_default();
    let words = if code == 0 { String::new() } else { format!(": {code} {text}") };
    let path = path.split('?').next().unwrap_or_default();
    Err(refused(code, format!("{path} was answered with HTTP status {}{words}", answer.status)))
}

fn limit_of(limit: &rest::RateLimit) -> Option<Limit> {
    let kind = match limit.kind.as_str() {
        "REQUEST_WEIGHT" => LimitKind::Weight,
        "ORDERS" => LimitKind::Orders,
        "RAW_REQUESTS" => LimitKind::Raw,
        _ => return None,
    };
    Some(Limit { kind, window_ns: limit.interval_ns, limit: limit.limit })
}

/// The strategies of a plan on their instruments, and their names by id.
pub fn strategies_of(
    plan: &Plan,
    table: &InstrumentTable,
) -> Result<(Vec<Running>, Vec<String>), PrepareError> {
    let mut running = Vec::new();
    let mut names = Vec::new();
    for section in &plan.strategy {
        let id = StrategyId(u8::try_from(names.len()).unwrap_or(u8::MAX));
        names.push(section.name.clone());
        let symbols = if section.symbols.is_empty() { &plan.venue.symbols } else { &section.symbols };
        for symbol in symbols {
            let wrong = |what: String| PrepareError::Strategy { name: section.name.clone(), what };
            let instrument = table
                .find(symbol.as_bytes())
                .and_then(|id| table.get(id))
                .ok_or_else(|| wrong(format!("symbol {symbol:?} is not in the session's table")))?;
            let strategy = strategy::build(&section.name, &section.params, instrument)
                .map_err(|e| wrong(e.to_string()))?;
            running.push(Running { id, instrument: instrument.id, strategy });
        }
    }
    Ok((running, names))
}

/// Bars of history for every bar length that a strategy wants.
fn history_of(
    plan: &Plan,
    rest_end: &Rest,
    clock: &Clock,
    table: &InstrumentTable,
    running: &[Running],
) -> Result<Vec<Bar>, PrepareError> {
    let mut wanted: Vec<(InstrumentId, i64)> =
        running.iter().filter_map(|r| Some((r.instrument, r.strategy.bar_interval_ns()?))).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut history = Vec::new();
    if plan.feed.history_bars == 0 {
        return Ok(history);
    }
    for (instrument, interval_ns) in wanted {
        let Some(symbol) = table.get(instrument).map(|i| i.symbol) else { continue };
        // An interval that the venue does not serve is warmed up by live bars.
        let Some(path) = rest::klines_path(symbol, interval_ns, plan.feed.history_bars, None) else {
            continue;
        };
        let body = get(rest_end, &path)?;
        let bars = rest::parse_klines(instrument, interval_ns, clock.now().ns, &body)
            .map_err(|e| venue_error(rest_end, format!("klines of {symbol} can't be read: {e}")))?;
        history.extend(bars);
    }
    Ok(history)
}
