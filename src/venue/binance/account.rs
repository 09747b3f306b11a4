//! The user data session over the WebSocket API: orders, fills and balances of the account as the venue reports them.
//!
//! With an Ed25519 key the session is logged on and then subscribed (`userDataStream.subscribe`); with an HMAC key the
//! subscription is signed by itself (`userDataStream.subscribe.signature`). Listen keys are gone since February 2026.
//!
//! Fills come from here alone: an execution report carries the trade's id, by which it is booked once.

use crate::event::{BalanceUpdate, Body, OrderUpdate};
use crate::types::{
    AssetId, ClientOrderId, InstrumentId, InstrumentTable, Now, Qty, Reason, TradeId, VenueOrderId,
};
use crate::venue::Malformed;
use crate::venue::binance::fields::Fields;
use crate::venue::binance::names::Names;
use crate::venue::binance::reply::{Refusal, code_value, side_of, state_of};
use crate::venue::binance::request::{Letter, RequestId, Requests};
use crate::venue::binance::{CONNECTION_LIFE_NS, Credentials, TIME_UNIT, WS_API_PATH};
use crate::wire::json::{JsonReader, Padded, Value};
use crate::wire::text::TextBuf;

/// Messages up to this size are read without growing any memory.
const JSON_BYTES_WARM: usize = 32 << 10;
/// How old a logon or subscription may be when the venue takes it.
const RECV_WINDOW_MS: u32 = 5_000;

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountEvent {
    /// An event of the account; its bodies were given out.
    Data,
    /// The session is logged on; the next request is due.
    LoggedOn,
    /// The subscription stands.
    Subscribed,
    /// Logon or subscription was refused.
    Refused {
        /// The venue's error code.
        code: i32,
    },
    /// The account changed in a way that the event does not spell out: ask for the balances.
    Refresh,
    /// The venue ended the subscription: connect anew.
    Terminated,
    /// The venue will close the connection soon.
    ServerShutdown,
    /// Of no concern.
    Ignored,
}

/// Where the session stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Closed,
    LogonDue,
    LogonSent,
    SubscribeDue,
    SubscribeSent,
    Subscribed,
}

/// What was met and left aside, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AccountCounters {
    /// Execution reports on symbols that are not in the table.
    pub symbols_unknown: u64,
    /// Events that we know of no use for.
    pub events_unknown: u64,
}

/// The user data session.
#[derive(Debug)]
pub struct AccountSession {
    requests: Requests,
    names: Names,
    table: InstrumentTable,
    reader: JsonReader,
    state: State,
    opened_ns: Option<i64>,
    refusal: Refusal,
    counters: AccountCounters,
}

impl AccountSession {
    /// A session for the table's instruments and assets.
    pub fn new(table: &InstrumentTable, credentials: Credentials) -> Self {
        Self {
            requests: Requests::new(&InstrumentTable::default(), credentials, RECV_WINDOW_MS),
            names: Names::new(table),
            table: table.clone(),
            reader: JsonReader::new(JSON_BYTES_WARM),
            state: State::Closed,
            opened_ns: None,
            refusal: Refusal::NONE,
            counters: AccountCounters::default(),
        }
    }

    /// Path and query to open.
    pub fn path(&self) -> String {
        format!("{WS_API_PATH}?{TIME_UNIT}")
    }

    /// The connection is open.
    pub fn handle_open(&mut self, now: Now) {
        self.opened_ns = Some(now.mono_ns);
        self.state = if self.requests.needs_logon() { State::LogonDue } else { State::SubscribeDue };
    }

    /// The connection is gone.
    pub fn handle_closed(&mut self, _reason: Reason) {
        self.opened_ns = None;
        self.state = State::Closed;
    }

    /// Writes the next request that is due (logon, subscribe), each once; false when none is.
    pub fn request(&mut self, timestamp_ms: i64, text: &mut TextBuf) -> bool {
        let subscribe = RequestId { letter: Letter::Subscribe, number: 0 };
        let (written, next) = match self.state {
            State::LogonDue => {
                let id = RequestId { letter: Letter::Logon, number: 0 };
                let written = self.requests.signed_alone(id, "session.logon", timestamp_ms, text);
                (written.is_ok(), State::LogonSent)
            }
            State::SubscribeDue if self.requests.needs_logon() => {
                (Requests::bare(subscribe, "userDataStream.subscribe", text).is_ok(), State::SubscribeSent)
            }
            State::SubscribeDue => {
                let method = "userDataStream.subscribe.signature";
                let written = self.requests.signed_alone(subscribe, method, timestamp_ms, text);
                (written.is_ok(), State::SubscribeSent)
            }
            State::Closed | State::LogonSent | State::SubscribeSent | State::Subscribed => return false,
        };
        if written {
            self.state = next;
        }
        written
    }

    /// Whether events flow.
    pub fn is_subscribed(&self) -> bool {
        self.state == State::Subscribed
    }

    /// Whether the connection nears the venue's 24 hours.
    pub fn poll_renewal(&self, now: Now) -> bool {
        self.opened_ns.is_some_and(|opened| now.mono_ns - opened >= CONNECTION_LIFE_NS)
    }

    /// One message.
    pub fn handle_text(
        &mut self,
        message: Padded<'_>,
        _now: Now,
        out: &mut impl FnMut(Body),
    ) -> Result<AccountEvent, Malformed> {
        let Self { names, table, reader, state, refusal, counters, .. } = self;
        let read = reader.read(message, |root| match root.get("event") {
            Some(event) => read_event(event, names, table, counters, out),
            None => handle_answer(root, state, refusal),
        });
        let event = read.unwrap_or_else(|e| Err(Malformed::at("user data", "", "JSON", e.at, b"")))?;
        if event == AccountEvent::Terminated {
            self.state = State::Closed;
        }
        Ok(event)
    }

    /// The text of the last refusal, for the cold log.
    pub fn last_refusal(&self) -> &str {
        self.refusal.as_str()
    }

    /// What was left aside.
    pub fn counters(&self) -> AccountCounters {
        self.counters
    }
}

/// An answer to a request of ours.
fn handle_answer(
    root: Value<'_>,
    state: &mut State,
    refusal: &mut Refusal,
) -> Result<AccountEvent, Malformed> {
    let status = Fields::new("answer", root).i64("status")?;
    let Some(id) = root.get("id").and_then(Value::as_str).and_then(RequestId::parse) else {
        return Ok(AccountEvent::Ignored);
    };
    let (next, event) = match (*state, id.letter) {
        (State::LogonSent, Letter::Logon) => (State::SubscribeDue, AccountEvent::LoggedOn),
        (State::SubscribeSent, Letter::Subscribe) => (State::Subscribed, AccountEvent::Subscribed),
        _ => return Ok(AccountEvent::Ignored),
    };
    if status == 200 {
        *state = next;
        return Ok(event);
    }
    *state = State::Closed;
    let error = root.get("error");
    refusal.set(error.and_then(|e| e.get("msg")).and_then(Value::as_str).unwrap_or_default());
    Ok(AccountEvent::Refused { code: error.and_then(|e| e.get("code")).and_then(code_value).unwrap_or(0) })
}

fn read_event(
    event: Value<'_>,
    names: &Names,
    table: &InstrumentTable,
    counters: &mut AccountCounters,
    out: &mut impl FnMut(Body),
) -> Result<AccountEvent, Malformed> {
    match Fields::new("user data event", event).str("e")? {
        "executionReport" => {
            let Some(update) = read_execution(&Fields::new("executionReport", event), names, table)? else {
                counters.symbols_unknown += 1;
                return Ok(AccountEvent::Ignored);
            };
            out(Body::Order(update));
            Ok(AccountEvent::Data)
        }
        "outboundAccountPosition" => {
            read_position(&Fields::new("outboundAccountPosition", event), table, out)?;
            Ok(AccountEvent::Data)
        }
        // A deposit, withdrawal or transfer, as a difference. The new balance itself comes as an
        // `outboundAccountPosition`; adding the difference as well would count it twice, so balances are asked for.
        "balanceUpdate" | "externalLockUpdate" => Ok(AccountEvent::Refresh),
        "eventStreamTerminated" => Ok(AccountEvent::Terminated),
        "serverShutdown" => Ok(AccountEvent::ServerShutdown),
        // We place no order lists; their orders report by themselves.
        "listStatus" => Ok(AccountEvent::Ignored),
        _ => {
            counters.events_unknown += 1;
            Ok(AccountEvent::Ignored)
        }
    }
}

/// An execution report; `None` when it is about a symbol that the session does not have.
fn read_execution(
    fields: &Fields<'_>,
    names: &Names,
    table: &InstrumentTable,
) -> Result<Option<OrderUpdate>, Malformed> {
    // In the order of the text, which is the order in which fields are found at once.
    let symbol = fields.str("s")?;
    let own = fields.str("c")?;
    let side = side_of(fields, "S")?;
    let (qty, price) = (fields.qty("q")?, fields.price("p")?);
    let original = fields.optional("C").and_then(Value::as_str).filter(|id| !id.is_empty());
    let filled_now = fields.str("x")? == "TRADE";
    let state = state_of(fields.str("X")?);
    let venue_order = VenueOrderId(fields.u64("i")?);
    // Of a cancelled order, `C` is the id that it was placed with and `c` the cancel's own.
    let client = ClientOrderId::parse(original.unwrap_or(own).as_bytes()).unwrap_or_default();
    let mut update = OrderUpdate {
        instrument: InstrumentId::default(),
        side,
        state,
        snapshot: false,
        maker: false,
        fee_asset: AssetId::UNKNOWN,
        client,
        venue_order,
        trade: TradeId(0),
        price,
        qty,
        filled: Qty::ZERO,
        fee: Qty::ZERO,
        venue_ns: 0,
    };
    if filled_now {
        update.qty = fields.qty("l")?;
        update.filled = fields.qty("z")?;
        update.price = fields.price("L")?;
        update.fee = fields.qty("n")?;
        let asset = fields.get("N")?.as_str().unwrap_or_default();
        update.fee_asset = table.asset(asset.as_bytes()).unwrap_or(AssetId::UNKNOWN);
        update.venue_ns = fields.time_ns("T")?;
        update.trade = TradeId(fields.u64("t")?);
        update.maker = fields.bool("m")?;
    } else {
        update.filled = fields.qty("z")?;
        update.venue_ns = fields.time_ns("T")?;
    }
    Ok(names.find_symbol(symbol).map(|instrument| OrderUpdate { instrument, ..update }))
}

fn read_position(
    fields: &Fields<'_>,
    table: &InstrumentTable,
    out: &mut impl FnMut(Body),
) -> Result<(), Malformed> {
    let venue_ns = fields.time_ns("u")?;
    for balance in fields.array("B")?.items() {
        let balance = Fields::new("outboundAccountPosition", balance);
        if let Some(asset) = table.asset(balance.str("a")?.as_bytes()) {
            let (free, locked) = (balance.qty("f")?, balance.qty("l")?);
            out(Body::Balance(BalanceUpdate { asset, free, locked, venue_ns }));
        }
    }
    Ok(())
}
