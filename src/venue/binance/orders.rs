//! The order session over the WebSocket API: requests out, replies in.

use core::ops::Range;

use crate::event::{Body, Order, SentKind};
use crate::types::{ClientOrderId, InstrumentId, InstrumentTable, Now, Reason};
use crate::venue::Malformed;
use crate::venue::binance::Credentials;
use crate::wire::json::Padded;
use crate::wire::text::TextBuf;

/// Settings of the order session.
#[derive(Clone, Copy, Debug)]
pub struct OrderConfig {
    /// How old a request may be when the venue takes it.
    pub recv_window_ms: u32,
    /// How long to wait for an answer before the outcome counts as unknown. The venue itself gives up after 10 s.
    pub reply_timeout_ns: i64,
}

impl Default for OrderConfig {
    fn default() -> Self {
        Self { recv_window_ms: 5_000, reply_timeout_ns: 5_000_000_000 }
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
    /// The signature's place in the text (empty without one): left out of the journal's checksum.
    pub signature: Range<usize>,
    /// Number of the request within the session.
    pub request: u64,
}

/// Why a request can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EncodeError {
    /// Not logged on (Ed25519), or not open.
    NotReady,
    /// The instrument is not in the table.
    UnknownInstrument,
    /// Price or quantity is negative, zero or off its grid.
    OffGrid,
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
            Self::OffGrid => Reason::PriceTick,
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
    credentials: Credentials,
}

impl OrderSession {
    /// A session for every instrument of the table.
    pub fn new(_table: &InstrumentTable, credentials: Credentials, _config: OrderConfig) -> Self {
        Self { credentials }
    }
    /// Path and query to open.
    pub fn path(&self) -> String {
        String::new()
    }
    /// The connection is open. With HMAC the session is ready at once.
    pub fn handle_open(&mut self, _now: Now) {}
    /// The connection is gone: every pending order request is `Unknown`.
    pub fn handle_closed(&mut self, _reason: Reason, _out: &mut impl FnMut(Body)) {}
    /// Writes the logon, once per connection, if the credentials need one.
    pub fn logon_request(&mut self, _timestamp_ms: i64, _text: &mut TextBuf) -> bool {
        self.credentials.needs_logon()
    }
    /// Whether orders may be sent.
    pub fn is_ready(&self) -> bool {
        false
    }
    /// Writes an order's request into the buffer. Nothing is pending until [`OrderSession::handle_sent`].
    pub fn encode(
        &mut self,
        _order: &Order,
        _timestamp_ms: i64,
        _text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        Err(EncodeError::NotReady)
    }
    /// Writes "cancel everything open on this instrument".
    pub fn encode_cancel_all(
        &mut self,
        _instrument: InstrumentId,
        _timestamp_ms: i64,
        _text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        Err(EncodeError::NotReady)
    }
    /// Writes "what is open?"; `None` = on every symbol.
    pub fn encode_open_orders(
        &mut self,
        _instrument: Option<InstrumentId>,
        _timestamp_ms: i64,
        _text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        Err(EncodeError::NotReady)
    }
    /// Writes "what of this order?".
    pub fn encode_order_status(
        &mut self,
        _instrument: InstrumentId,
        _client: ClientOrderId,
        _timestamp_ms: i64,
        _text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        Err(EncodeError::NotReady)
    }
    /// Writes "what are the balances?".
    pub fn encode_account(
        &mut self,
        _timestamp_ms: i64,
        _text: &mut TextBuf,
    ) -> Result<Encoded, EncodeError> {
        Err(EncodeError::NotReady)
    }
    /// Writes "what time is it?".
    pub fn encode_time(&mut self, _text: &mut TextBuf) -> Result<Encoded, EncodeError> {
        Err(EncodeError::NotReady)
    }
    /// The encoded request is on its way: its answer is awaited from now on.
    pub fn handle_sent(&mut self, _encoded: &Encoded, _now: Now) {}
    /// One message.
    pub fn handle_text(
        &mut self,
        _message: Padded<'_>,
        _now: Now,
        _out: &mut impl FnMut(Body),
    ) -> Result<OrderSessionEvent, Malformed> {
        Ok(OrderSessionEvent::Ignored)
    }
    /// Requests without an answer in time become `Unknown`; returns how many.
    pub fn poll_timeout(&mut self, _now: Now, _out: &mut impl FnMut(Body)) -> usize {
        0
    }
    /// Whether the connection nears the venue's 24 hours.
    pub fn poll_renewal(&self, _now: Now) -> bool {
        false
    }
    /// How many requests wait for an answer.
    pub fn pending(&self) -> usize {
        0
    }
    /// Whether a query waits for an answer.
    pub fn is_query_pending(&self) -> bool {
        false
    }
    /// The venue's count of what we used.
    pub fn usage(&self) -> RateUsage {
        RateUsage::default()
    }
    /// Until when the venue told us to be quiet (429, 418), venue time; 0 = it did not.
    pub fn retry_after_ns(&self) -> i64 {
        0
    }
    /// The text of the last refusal, for the cold log.
    pub fn last_refusal(&self) -> &str {
        ""
    }
}
