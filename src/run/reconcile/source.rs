//! Where a reconcile gets the venue's word from: REST, with the account's key, apart from the sessions that trade.

use std::fmt;

use crate::agent::Clock;
use crate::event::OrderUpdate;
use crate::net::{Rest, RestAnswer};
use crate::run::rest_worker::measure_clock;
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{InstrumentId, InstrumentTable, Symbol, TradeId};
use crate::venue::binance::Credentials;
use crate::venue::binance::rest::{
    API_KEY_HEADER, SignedRequest, account_request, open_orders_request, parse_error,
};
use crate::venue::binance::rest_account::{
    AccountTotals, OrderName, TRADES_MAX, my_trades_request, order_request, parse_my_trades, parse_open,
    parse_order, parse_totals,
};

/// What a reconcile asks. An error is an answer that is not there: nothing follows from it.
pub trait Source: Send + fmt::Debug {
    /// Which account, and what it holds.
    fn totals(&mut self) -> Result<AccountTotals, String>;
    /// Every fill of the account on an instrument from a number on, oldest first.
    fn fills(&mut self, instrument: InstrumentId, from: TradeId) -> Result<Vec<OrderUpdate>, String>;
    /// Everything open on the account.
    fn open(&mut self) -> Result<Vec<(Option<InstrumentId>, OrderUpdate)>, String>;
    /// One order; `None` when the venue says that it has no such order.
    fn order(&mut self, instrument: InstrumentId, name: OrderName) -> Result<Option<OrderUpdate>, String>;
}

/// The venue has no such order.
const CODE_NO_SUCH_ORDER: i32 = -2013;
/// Our idea of the venue's clock is taken anew after this long: requests bear the venue's time.
const OFFSET_LIFE_NS: i64 = 30 * NS_PER_S;
/// Pages of trades in one go: a million of them is not a gap, it is another account.
const PAGES_MAX: usize = 1_000;

/// The venue's REST end.
pub struct RestSource {
    rest: Rest,
    credentials: Credentials,
    table: InstrumentTable,
    clock: Clock,
    /// Venue's clock minus ours, and until when that is believed (monotonic).
    offset: Option<(i64, i64)>,
    /// The venue wants no requests until then (monotonic).
    quiet_until_ns: i64,
}

impl fmt::Debug for RestSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestSource").field("rest", &self.rest).finish_non_exhaustive()
    }
}

impl RestSource {
    /// Over the venue's REST end.
    pub const fn new(rest: Rest, credentials: Credentials, table: InstrumentTable, clock: Clock) -> Self {
        Self { rest, credentials, table, clock, offset: None, quiet_until_ns: 0 }
    }

    fn timestamp_ms(&mut self) -> Result<i64, String> {
        let now = self.clock.now();
        let offset_ns = match self.offset {
            Some((offset_ns, until_ns)) if now.mono_ns < until_ns => offset_ns,
            _ => {
                let measured =
                    measure_clock(&self.rest, &self.clock).ok_or("the venue does not say what time it is")?;
                self.offset = Some((measured.offset_ns, now.mono_ns + OFFSET_LIFE_NS));
                measured.offset_ns
            }
        };
        Ok((self.clock.now().ns + offset_ns) / NS_PER_MS)
    }

    fn send(&mut self, make: impl FnOnce(&Credentials, i64) -> SignedRequest) -> Result<RestAnswer, String> {
        let now = self.clock.now();
        if now.mono_ns < self.quiet_until_ns {
            let left_s = (self.quiet_until_ns - now.mono_ns) / NS_PER_S;
            return Err(format!("the venue wants no requests for another {left_s} s"));
        }
        let timestamp_ms = self.timestamp_ms()?;
        let request = make(&self.credentials, timestamp_ms);
        let headers = [(API_KEY_HEADER, self.credentials.api_key())];
        let answer = self.rest.get(&request.path_and_query, &headers).map_err(|e| e.to_string())?;
        if matches!(answer.status, 429 | 418) {
            let pause_s = i64::from(answer.retry_after_s().unwrap_or(60));
            self.quiet_until_ns = self.clock.now().mono_ns + pause_s * NS_PER_S;
        }
        if !answer.is_success() {
            // A wrong time is the likeliest reason that can pass by itself.
            self.offset = None;
        }
        Ok(answer)
    }

    fn good(&mut self, make: impl FnOnce(&Credentials, i64) -> SignedRequest) -> Result<Vec<u8>, String> {
        let answer = self.send(make)?;
        if answer.is_success() { Ok(answer.body) } else { Err(refusal(&answer)) }
    }

    fn symbol(&self, instrument: InstrumentId) -> Result<Symbol, String> {
        let found = self.table.get(instrument).map(|i| i.symbol);
        found.ok_or_else(|| format!("instrument {} is not of this session", instrument.0))
    }
}

fn refusal(answer: &RestAnswer) -> String {
    let (code, text) = parse_error(&answer.body).unwrap_or_default();
    format!("HTTP status {}: {code} {text}", answer.status)
}

impl Source for RestSource {
    fn totals(&mut self) -> Result<AccountTotals, String> {
        let body = self.good(account_request)?;
        parse_totals(&self.table, &body).map_err(|e| e.to_string())
    }

    fn fills(&mut self, instrument: InstrumentId, from: TradeId) -> Result<Vec<OrderUpdate>, String> {
        let symbol = self.symbol(instrument)?;
        let (mut all, mut next) = (Vec::new(), from);
        for _ in 0..PAGES_MAX {
            let body = self.good(|credentials, at| my_trades_request(credentials, symbol, next, at))?;
            let page = parse_my_trades(&self.table, instrument, &body).map_err(|e| e.to_string())?;
            let is_last = page.len() < TRADES_MAX as usize;
            let last = page.last().map(|fill| fill.trade);
            // A trade may be listed twice, once for each order; both stand under one number, and a page may part them.
            let seen = |fill: &OrderUpdate| {
                all.iter()
                    .rev()
                    .take(page.len())
                    .any(|had: &OrderUpdate| (had.trade, had.venue_order) == (fill.trade, fill.venue_order))
            };
            let news: Vec<_> = page.iter().filter(|fill| !seen(fill)).copied().collect();
            let stands_still = news.is_empty();
            all.extend(news);
            match last {
                Some(last) if !is_last && !stands_still => next = last,
                _ => return Ok(all),
            }
        }
        Err(format!("more than {PAGES_MAX} pages of trades on {symbol}"))
    }

    fn open(&mut self) -> Result<Vec<(Option<InstrumentId>, OrderUpdate)>, String> {
        let body = self.good(|credentials, at| open_orders_request(credentials, None, at))?;
        let open = parse_open(&self.table, &body).map_err(|e| e.to_string())?;
        Ok(open.into_iter().map(|o| (o.instrument, o.order)).collect())
    }

    fn order(&mut self, instrument: InstrumentId, name: OrderName) -> Result<Option<OrderUpdate>, String> {
        let symbol = self.symbol(instrument)?;
        let answer = self.send(|credentials, at| order_request(credentials, symbol, name, at))?;
        if answer.is_success() {
            return parse_order(instrument, &answer.body).map(Some).map_err(|e| e.to_string());
        }
        let code = parse_error(&answer.body).map_or(0, |(code, _)| code);
        if answer.status == 400 && code == CODE_NO_SUCH_ORDER { Ok(None) } else { Err(refusal(&answer)) }
    }
}
