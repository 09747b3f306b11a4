//! What stands behind the gateway: a trait, so that the stage is the same whether a venue, a fill model or nothing does.

use crate::event::{Body, Fact, Order, SentKind};
use crate::gateway::budget::Usage;
use crate::types::{ClientOrderId, InstrumentId, Now, Reason};

/// A request that the gateway wants to leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// An approved order, cancel or replace.
    Order(Order),
    /// Cancel one order: the gateway's own doing, when a halt asks for it.
    Cancel {
        /// Which.
        client: ClientOrderId,
        /// Of what.
        instrument: InstrumentId,
    },
    /// Cancel all of an instrument.
    CancelAll(InstrumentId),
    /// What became of an order.
    OrderStatus {
        /// Which.
        client: ClientOrderId,
        /// Of what.
        instrument: InstrumentId,
    },
    /// Everything that is open, on all instruments.
    OpenOrders,
    /// Balances.
    Account,
}

/// What [`Door::encode`] made, and [`Door::write`] will hand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Encoded {
    /// Kind of request.
    pub kind: SentKind,
    /// Venue-clock timestamp in it, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Length of its text.
    pub text_len: u32,
    /// CRC-32 of its text, the signature's digits left out. Known once the door has settled the write.
    pub text_crc: u32,
}

/// What a door reports besides facts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DoorEvent {
    /// A fact for the line.
    Body(Body),
    /// [`Request::OpenOrders`] was answered; the bodies before this event named the orders of the session's instruments.
    OpenOrders {
        /// How many orders are open, ours or not, on any instrument.
        count: u32,
    },
    /// [`Request::Account`] was answered.
    AccountRead,
    /// A query of ours failed or was refused; it may be asked again.
    QueryFailed,
    /// A connection is being made.
    Opening,
    /// The session is logged on and may be used.
    Ready,
    /// The session is gone; whatever was pending has become unknown (bodies before this event said so). It is opened again.
    Lost {
        /// Why.
        reason: Reason,
        /// Attempts since it last did what it is for.
        attempts: u32,
        /// The attempts in a row are used up; further ones come slowly.
        is_exhausted: bool,
    },
    /// The venue told how much of a budget is used.
    Usage(Usage),
    /// The venue refuses everything until then (429, 418).
    Blocked {
        /// Why: [`Reason::RateLimited`] or [`Reason::Banned`].
        reason: Reason,
        /// Until when, venue's clock, nanoseconds since the epoch.
        until_ns: i64,
    },
}

/// What stands behind the gateway.
///
/// A door never decides: whether a request may leave, at which pace, and what an answer means for an order is the gateway's.
/// It neither blocks nor, in steady state, allocates.
pub trait Door: Send {
    /// Drives the session and reads a bounded amount. `false` for `may_read`: nothing that could become a fact may be taken
    /// from the venue now.
    fn drive(&mut self, now: Now, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize;

    /// Whether requests can be written.
    fn is_ready(&self) -> bool;

    /// A halt waits for the session: come back as fast as the venue's budget of connections allows.
    fn set_urgent(&mut self, urgent: bool, now: Now);

    /// Requests whose answer is outstanding, so that the gateway reads more often.
    fn pending(&self) -> usize;

    /// Renders and signs a request with the venue's time; it stays inside until [`Door::write`] or the next encode.
    fn encode(&mut self, request: &Request, venue_ns: i64) -> Result<Encoded, Reason>;

    /// Hands over what was encoded. [`Reason::LineFull`]: nothing was taken. Any other error: the session ends, and whether
    /// the request left is not known.
    fn write(&mut self, now: Now) -> Result<(), Reason>;

    /// Behind every write that took the request: the door's own book-keeping, and what the record says of the request. Here,
    /// because the wire need not wait for it.
    fn settle(&mut self, made: Encoded, _now: Now) -> Encoded {
        made
    }

    /// A fact passes by: the clock's offset for those who stamp, the market for a fill model.
    fn observe(&mut self, fact: &Fact, now: Now, out: &mut dyn FnMut(DoorEvent));
}
