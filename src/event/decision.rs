//! What risk and gateway decided: the records that a replay must reproduce byte for byte.

use crate::event::Action;
use crate::types::{Cash, ClientOrderId, InstrumentId, Reason, StrategyId};

/// An order, cancel or replace as risk hands it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order {
    /// Our id.
    pub client: ClientOrderId,
    /// Number of the fact that caused it.
    pub cause_seq: u64,
    /// The cause's time.
    pub cause_ns: i64,
    /// Whose.
    pub strategy: StrategyId,
    /// On what.
    pub instrument: InstrumentId,
    /// Only reduces a position.
    pub reduce_only: bool,
    /// What.
    pub action: Action,
}

/// Risk's verdict on an intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// It may leave.
    Approved = 0,
    /// It may not.
    Refused = 1,
}

/// Risk's decision, as journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// The intent.
    pub client: ClientOrderId,
    /// Number of the fact that caused the intent.
    pub cause_seq: u64,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, when refused ([`Reason::None`] otherwise).
    pub reason: Reason,
    /// Kill page as read for this decision: halt level ...
    pub halt_level: u8,
    /// ... and whether the lease ran.
    pub lease_valid: bool,
    /// On what.
    pub instrument: InstrumentId,
    /// Total exposure after the decision.
    pub exposure: Cash,
}

/// What the gateway sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum SentKind {
    /// A new order.
    Place = 0,
    /// A cancel.
    Cancel = 1,
    /// A cancel-replace.
    Replace = 2,
    /// Cancel all of an instrument.
    CancelAll = 3,
    /// A query of open orders, or of one.
    Query = 4,
}

/// A request that is about to be written to the order socket. In the journal ring before the write, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// The order, or `NONE` for a request about none in particular.
    pub client: ClientOrderId,
    /// What kind of request.
    pub kind: SentKind,
    /// On what.
    pub instrument: InstrumentId,
    /// The venue-clock timestamp inside the request, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Length of the request text.
    pub text_len: u32,
    /// CRC-32 (IEEE) of the request text with the signature's digits left out, so that a replay needs no key.
    pub text_crc: u32,
    /// When the gateway had it ready, nanoseconds since the epoch.
    pub at_ns: i64,
}

/// What the gateway noticed by itself, off the line: played back in a replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum NoteKind {
    /// It read a halt level that it had not seen (`value` = level).
    HaltSeen = 0,
    /// The lease was found expired at the write.
    LeaseExpired = 1,
    /// The venue's rate budget held a request back.
    Paced = 2,
    /// Every order was cancelled and the venue confirmed it (`value` = microseconds since the halt was seen).
    NothingOpen = 3,
    /// An approved order was not sent (see `reason`).
    Withheld = 4,
    /// Cancels or queries left while the journal ring was full: they are never held back for it (`value` = how many).
    Unjournaled = 5,
}

/// A note of the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayNote {
    /// What.
    pub kind: NoteKind,
    /// Why.
    pub reason: Reason,
    /// About which order, or `NONE`.
    pub client: ClientOrderId,
    /// A figure, by kind.
    pub value: i64,
    /// When.
    pub at_ns: i64,
}
