//! The order session over the WebSocket API: requests out, replies in.
//!
//! A request is written by an `encode...` call, which changes nothing; once the caller has handed it to the socket it says
//! so by [`OrderSession::handle_sent`], and from then on an answer is awaited. Every awaited order request ends in exactly
//! one of: an answer, a timeout, a lost connection. The last two are `Unknown`, and so is every answer that leaves open
//! what the venue did. An answer that comes after the timeout is still told.
//!
//! Bodies name the order that a request was about: for a cancel that is its target.

use crate::event::{Action, Body, Order, SentKind};
use crate::types::{ClientOrderId, InstrumentId, InstrumentTable, Now, Reason};
use crate::venue::Malformed;
use crate::venue::binance::answers::{Answers, Pending, State, kind_of};
use crate::venue::binance::request::{Call, Letter, RequestId, Requests};
use crate::venue::binance::{CONNECTION_LIFE_NS, Credentials, TIME_UNIT, WS_API_PATH};
use crate::wire::json::{JsonReader, Padded};
use crate::wire::text::TextBuf;

pub use crate::venue::binance::request::Secrets;

/// Answers up to this size are read without growing any memory.
const JSON_BYTES_WARM: usize = 64 << 10;

/// Settings of the order session.
#[derive(Clone, Copy, Debug)]
pub struct OrderConfig {
    /// How old a request may be when the venue takes it.
    pub recv_window_ms: u32,
    /// How long to wait for an answer before the outcome counts as unknown. The venue itself gives up after 10 s.
    pub reply_timeout_ns: i64,
    /// Ask for times in microseconds.
    pub microseconds: bool,
}

impl Default for OrderConfig {
    fn default() -> Self {
        Self { recv_window_ms: 5_000, reply_timeout_ns: 5_000_000_000, microseconds: true }
    }
}

/// A request that has been written into the buffer and awaits [`OrderSession::handle_sent`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// What kind of request.
    pub kind: SentKind,
    /// The order that it is about: the new one, or a cancel's target; `NONE` for a request about none in particular.
    pub client: ClientOrderId,
    /// A replace's order that goes; `NONE` otherwise.
    pub target: ClientOrderId,
    /// On what; `None` = all.
    pub instrument: Option<InstrumentId>,
    /// Where its secret parts stand in the text.
    pub secrets: Secrets,
    id: RequestId,
}

/// Why a request can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// Not logged on (Ed25519), or not open.
    NotReady,
    /// The instrument is not in the table.
    UnknownInstrument,
    /// The price is negative, zero or off its grid.
    Price,
    /// The quantity is negative, zero or off its grid.
    Qty,
    /// Too many requests wait for an answer.
    PendingFull,
    /// A request about the same order and of the same kind waits for an answer.
    Duplicate,
    /// The text is longer than its buffer.
    TooLong,
}

impl EncodeError {
    /// The reason that a refusal carries.
    pub const fn reason(self) -> Reason {
        match self {
            Self::NotReady => Reason::SessionDown,
            Self::UnknownInstrument => Reason::UnknownInstrument,
            Self::Price => Reason::PriceTick,
            Self::Qty => Reason::QtyStep,
            Self::PendingFull => Reason::OrderTableFull,
            Self::Duplicate => Reason::DuplicateOrder,
            Self::TooLong => Reason::Internal,
        }
    }
}

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderSessionEvent {
    /// The session is logged on: orders may be sent.
    LoggedOn,
    /// The venue refused the logon.
    LogonRefused {
        /// The venue's error code.
        code: i32,
    },
    /// An order, cancel or replace was answered; the bodies were given out.
    Reply,
    /// A query of open orders was answered in full.
    OpenOrders {
        /// The instrument asked for; `None` = all.
        instrument: Option<InstrumentId>,
        /// How many orders are open, foreign ones included.
        count: u32,
    },
    /// A query of one order, of the account or of the time was answered; the bodies were given out.
    Answer,
    /// A query was refused or got lost at the venue.
    QueryFailed {
        /// The venue's error code.
        code: i32,
    },
    /// The venue will close the connection soon.
    ServerShutdown,
    /// An answer to nothing that we asked, or an event without meaning here.
    Ignored,
}

/// The venue's own count of what we used, from the last answer. Zero where it did not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateUsage {
    /// Request weight in the current minute.
    pub weight_1m: u32,
    /// Its limit.
    pub weight_1m_limit: u32,
    /// Unfilled orders in the current ten seconds.
    pub orders_10s: u32,
    /// Its limit.
    pub orders_10s_limit: u32,
    /// Unfilled orders today.
    pub orders_1d: u32,
    /// Its limit.
    pub orders_1d_limit: u32,
}

/// The order session.
#[derive(Debug)]
pub struct OrderSession {
    requests: Requests,
    config: OrderConfig,
    reader: JsonReader,
    opened_ns: Option<i64>,
    /// Numbers requests that are about no order of ours.
    count: u64,
    answers: Answers,
}

impl OrderSession {
    /// A session for every instrument of the table.
    pub fn new(table: &InstrumentTable, credentials: Credentials, config: OrderConfig) -> Self {
        Self {
            requests: Requests::new(table, credentials, config.recv_window_ms),
            config,
            reader: JsonReader::new(JSON_BYTES_WARM),
            opened_ns: None,
            count: 0,
            answers: Answers::new(table),
        }
    }

    /// A session that only encodes, as if it were logged on: for comparing a replay's requests with the recorded ones.
    pub fn for_replay(table: &InstrumentTable, credentials: Credentials, config: OrderConfig) -> Self {
        let mut session = Self::new(table, credentials, config);
        session.answers.state = State::Ready;
        session
    }

    /// Path and query to open.
    pub fn path(&self) -> String {
        if self.config.microseconds { format!("{WS_API_PATH}?{TIME_UNIT}") } else { WS_API_PATH.to_owned() }
    }

    /// The connection is open. With HMAC the session is ready at once.
    pub fn handle_open(&mut self, now: Now) {
        self.opened_ns = Some(now.mono_ns);
        self.answers.state = if self.requests.needs_logon() { State::LogonDue } else { State::Ready };
    }

    /// The connection is gone: every pending order request is `Unknown`.
    pub fn handle_closed(&mut self, reason: Reason, out: &mut impl FnMut(Body)) {
        self.opened_ns = None;
        self.answers.handle_closed(reason, out);
    }

    /// Writes the logon, once per connection, if the credentials need one.
    pub fn logon_request(&mut self, timestamp_ms: i64, text: &mut TextBuf) -> bool {
        if self.answers.state != State::LogonDue {
            return false;
        }
        let id = RequestId { letter: Letter::Logon, number: 0 };
        let written = self.requests.signed_alone(id, "session.logon", timestamp_ms, text).is_ok();
        if written {
            self.answers.state = State::LogonSent;
        }
        written
    }

    /// Whether orders may be sent.
    pub fn is_ready(&self) -> bool {
        self.answers.state == State::Ready
    }

    /// Writes an order's request into the buffer. Nothing is pending until [`OrderSession::handle_sent`].
    #[inline]
    pub fn encode(
        &mut self,
        order: &Order,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        let (client, instrument) = (order.client, order.instrument);
        match &order.action {
            Action::Place(spec) => {
                self.answers.check(RequestId { letter: Letter::Place, number: client.0 })?;
                let ids = (client, None);
                let secrets = self.requests.order(instrument, ids, spec, timestamp_ms, text)?;
                Ok(encoded(Letter::Place, client.0, ids, instrument, secrets))
            }
            Action::Replace { target, spec } => {
                self.answers.check(RequestId { letter: Letter::Replace, number: client.0 })?;
                let ids = (client, Some(*target));
                let secrets = self.requests.order(instrument, ids, spec, timestamp_ms, text)?;
                Ok(encoded(Letter::Replace, client.0, ids, instrument, secrets))
            }
            Action::Cancel { target } => {
                let id = RequestId { letter: Letter::Cancel, number: client.0 };
                self.answers.check(id)?;
                let symbol = self.requests.symbol(instrument).ok_or(EncodeError::UnknownInstrument)?;
                let named = target.text();
                let param = Some(("origClientOrderId", &named[..]));
                let call = Call { id, method: "order.cancel", param, symbol: Some(symbol) };
                let secrets = self.requests.other(&call, timestamp_ms, text)?;
                Ok(encoded(Letter::Cancel, client.0, (*target, None), instrument, secrets))
            }
            Action::CancelAll => self.encode_cancel_all(instrument, timestamp_ms, text),
        }
    }

    /// Writes "cancel everything open on this instrument".
    pub fn encode_cancel_all(
        &mut self,
        instrument: InstrumentId,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        self.query((Letter::CancelAll, "openOrders.cancelAll"), None, Some(instrument), timestamp_ms, text)
    }

    /// Writes "what is open?"; `None` = on every symbol.
    pub fn encode_open_orders(
        &mut self,
        instrument: Option<InstrumentId>,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        self.query((Letter::OpenOrders, "openOrders.status"), None, instrument, timestamp_ms, text)
    }

    /// Writes "what of this order?".
    pub fn encode_order_status(
        &mut self,
        instrument: InstrumentId,
        client: ClientOrderId,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        let method = (Letter::OrderStatus, "order.status");
        self.query(method, Some(client), Some(instrument), timestamp_ms, text)
    }

    /// Writes "what are the balances?".
    pub fn encode_account(&mut self, timestamp_ms: i64, text: &mut TextBuf) -> Result<Encoded, EncodeError> {
        self.query((Letter::Account, "account.status"), None, None, timestamp_ms, text)
    }

    /// Writes "what time is it?".
    pub fn encode_time(&mut self, text: &mut TextBuf) -> Result<Encoded, EncodeError> {
        let id = RequestId { letter: Letter::Time, number: self.count + 1 };
        self.answers.check(id)?;
        Requests::bare(id, "time", text)?;
        self.count += 1;
        Ok(Encoded {
            kind: SentKind::Query,
            client: ClientOrderId::NONE,
            target: ClientOrderId::NONE,
            instrument: None,
            secrets: Secrets::default(),
            id,
        })
    }

    fn query(
        &mut self,
        (letter, method): (Letter, &'static str),
        client: Option<ClientOrderId>,
        instrument: Option<InstrumentId>,
        timestamp_ms: i64,
        text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        let id = RequestId { letter, number: self.count + 1 };
        self.answers.check(id)?;
        let symbol = match instrument {
            Some(instrument) => Some(self.requests.symbol(instrument).ok_or(EncodeError::UnknownInstrument)?),
            None => None,
        };
        let named = client.map(ClientOrderId::text);
        let param = named.as_ref().map(|text| ("origClientOrderId", &text[..]));
        let call = Call { id, method, param, symbol };
        let secrets = self.requests.other(&call, timestamp_ms, text)?;
        self.count += 1;
        Ok(Encoded {
            kind: if letter == Letter::CancelAll { SentKind::CancelAll } else { SentKind::Query },
            client: client.unwrap_or_default(),
            target: ClientOrderId::NONE,
            instrument,
            secrets,
            id,
        })
    }

    /// The encoded request is on its way: its answer is awaited from now on.
    pub fn handle_sent(&mut self, encoded: &Encoded, now: Now) {
        self.answers.await_answer(Pending {
            id: encoded.id,
            client: encoded.client,
            target: encoded.target,
            instrument: encoded.instrument,
            sent: now,
            timed_out: false,
        });
    }

    /// One message.
    pub fn handle_text(
        &mut self,
        message: Padded<'_>,
        now: Now,
        out: &mut impl FnMut(Body),
    ) -> Result<OrderSessionEvent, Malformed> {
        let answers = &mut self.answers;
        let read = self.reader.read(message, |root| answers.handle_value(root, now, out));
        read.unwrap_or_else(|error| Err(Malformed::at("answer", "", "JSON", error.at, b"")))
    }

    /// Requests without an answer in time become `Unknown`; returns how many, queries included.
    pub fn poll_timeout(&mut self, now: Now, out: &mut impl FnMut(Body)) -> usize {
        self.answers.poll_timeout(self.config.reply_timeout_ns, now, out)
    }

    /// Whether the connection nears the venue's 24 hours.
    pub fn poll_renewal(&self, now: Now) -> bool {
        self.opened_ns.is_some_and(|opened| now.mono_ns - opened >= CONNECTION_LIFE_NS)
    }

    /// How many requests wait for an answer.
    pub fn pending(&self) -> usize {
        self.answers.awaited().count()
    }

    /// Whether a query waits for an answer.
    pub fn is_query_pending(&self) -> bool {
        self.answers.awaited().any(|p| kind_of(p.id.letter) == SentKind::Query)
    }

    /// The venue's count of what we used.
    pub fn usage(&self) -> RateUsage {
        self.answers.usage
    }

    /// Until when the venue told us to be quiet (429, 418), venue time; 0 = it did not.
    pub fn retry_after_ns(&self) -> i64 {
        self.answers.retry_after_ns
    }

    /// The text of the last refusal, for the cold log.
    pub fn last_refusal(&self) -> &str {
        self.answers.refusal.as_str()
    }
}

fn encoded(
    letter: Letter,
    number: u64,
    (client, target): (ClientOrderId, Option<ClientOrderId>),
    instrument: InstrumentId,
    secrets: Secrets,
) -> Encoded {
    Encoded {
        kind: kind_of(letter),
        client,
        target: target.unwrap_or_default(),
        instrument: Some(instrument),
        secrets,
        id: RequestId { letter, number },
    }
}
