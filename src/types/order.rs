//! The life of an order: a total state machine. Every (state, event) pair has a defined result, so that no message of a
//! venue, however late, doubled or out of order, can leave an order undefined.

use super::Qty;

/// Buy or sell.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
#[repr(u8)]
pub enum Side {
    /// Bid.
    #[default]
    Buy = 0,
    /// Ask.
    Sell = 1,
}

impl Side {
    /// The other side.
    pub const fn opposite(self) -> Self {
        match self {
            Self::Buy => Self::Sell,
            Self::Sell => Self::Buy,
        }
    }
    /// `+1` for buys, `-1` for sells.
    pub const fn sign(self) -> i64 {
        match self {
            Self::Buy => 1,
            Self::Sell => -1,
        }
    }
    /// `BUY` or `SELL`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Buy => "BUY",
            Self::Sell => "SELL",
        }
    }
}

/// What kind of order goes to the venue (R-ORD-2). Stops are managed by the engine and never sent as such.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum OrderType {
    /// At a price or better.
    #[default]
    Limit = 0,
    /// At whatever the book gives.
    Market = 1,
    /// Post only: refused by the venue if it would match at once.
    LimitMaker = 2,
}

impl OrderType {
    /// As a report shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Limit => "LIMIT",
            Self::Market => "MARKET",
            Self::LimitMaker => "LIMIT_MAKER",
        }
    }
}

/// How long an order lives.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum TimeInForce {
    /// Until cancelled.
    #[default]
    Gtc = 0,
    /// What matches at once; the rest expires.
    Ioc = 1,
    /// All at once or nothing.
    Fok = 2,
}

impl TimeInForce {
    /// As a report shows it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gtc => "GTC",
            Self::Ioc => "IOC",
            Self::Fok => "FOK",
        }
    }
}

/// Where an order stands (R-ORD-1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
#[repr(u8)]
pub enum OrderState {
    /// Raised by signal, not yet judged.
    #[default]
    Created = 0,
    /// Approved by risk: counts as exposure from here on.
    Approved = 1,
    /// Handed to the socket.
    Sent = 2,
    /// The venue has it in its book.
    Acknowledged = 3,
    /// Part of it is done.
    PartiallyFilled = 4,
    /// A cancel is on its way.
    CancelSent = 5,
    /// The outcome is not known: a timeout, a 5xx, a lost connection. Counts as full exposure and ends only with the
    /// venue's answer.
    Unknown = 6,
    /// Done in full.
    Filled = 7,
    /// Cancelled.
    Cancelled = 8,
    /// Refused by the venue.
    Rejected = 9,
    /// Expired at the venue (IOC, FOK, self-trade prevention).
    Expired = 10,
    /// Never left the engine: refused by risk or by the gateway.
    NotSent = 11,
}

/// What happens to an order.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OrderEvent {
    /// Risk approved it.
    Approve,
    /// Risk or the gateway refused it before the write.
    Refuse,
    /// The gateway handed it to the socket.
    Send,
    /// The venue accepted it.
    Acknowledge,
    /// The venue filled some of it; `done` when nothing remains.
    Fill {
        /// Whether this fill completes the order.
        done: bool,
    },
    /// The gateway sent a cancel.
    SendCancel,
    /// The venue refused the cancel although the order may still live.
    CancelRefused,
    /// The venue says that it is cancelled.
    Cancelled,
    /// The venue says that it was refused.
    Reject,
    /// The venue says that it expired.
    Expire,
    /// No answer, a 5xx, or the connection was lost: the outcome is not known.
    Lose,
    /// The venue proved that it never had the order (asked by client id over two sources).
    ProvedAbsent,
}

/// What a transition did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transition {
    /// The order is in a new state.
    To(OrderState),
    /// The event repeats or trails what is known: nothing changes.
    Stays,
    /// The event contradicts what is known (a fill after a cancel): it is booked, the state becomes this one, and the
    /// instrument must be frozen and reconciled.
    Conflict(OrderState),
}

impl OrderState {
    /// Every state, in order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Created,
        Self::Approved,
        Self::Sent,
        Self::Acknowledged,
        Self::PartiallyFilled,
        Self::CancelSent,
        Self::Unknown,
        Self::Filled,
        Self::Cancelled,
        Self::Rejected,
        Self::Expired,
        Self::NotSent,
    ];

    /// Whether nothing more is expected.
    pub const fn is_terminal(self) -> bool {
        matches!(self, Self::Filled | Self::Cancelled | Self::Rejected | Self::Expired | Self::NotSent)
    }
    /// Whether it may stand in the venue's book, now or unknown to us.
    pub const fn may_be_open(self) -> bool {
        matches!(
            self,
            Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent | Self::Unknown
        )
    }
    /// Whether it counts as exposure: from approval until a terminal state.
    pub const fn is_exposed(self) -> bool {
        matches!(self, Self::Approved) || self.may_be_open()
    }

    /// The result of an event, for every pair.
    #[expect(
        clippy::match_same_arms,
        reason = "the table is grouped by meaning, and each group argues for itself"
    )]
    pub const fn on(self, event: OrderEvent) -> Transition {
        use OrderEvent as E;
        use Transition::{Conflict, Stays, To};
        match (self, event) {
            // What the engine itself does.
            (Self::Created, E::Approve) => To(Self::Approved),
            (Self::Created | Self::Approved, E::Refuse) => To(Self::NotSent),
            (Self::Approved, E::Send) => To(Self::Sent),
            (Self::Sent | Self::Acknowledged | Self::PartiallyFilled, E::SendCancel) => To(Self::CancelSent),
            // The state is only about the outcome: a cancel of an unknown order leaves it unknown.
            (Self::Unknown | Self::CancelSent, E::SendCancel) => Stays,

            // What the venue says of an order that may be open.
            (Self::Sent | Self::Unknown, E::Acknowledge) => To(Self::Acknowledged),
            (Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent, E::Acknowledge) => Stays,
            (
                Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent | Self::Unknown,
                E::Fill { done: true },
            ) => To(Self::Filled),
            (Self::Sent | Self::Acknowledged | Self::Unknown, E::Fill { done: false }) => {
                To(Self::PartiallyFilled)
            }
            (Self::PartiallyFilled | Self::CancelSent, E::Fill { done: false }) => Stays,
            (
                Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent | Self::Unknown,
                E::Cancelled,
            ) => To(Self::Cancelled),
            (
                Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent | Self::Unknown,
                E::Expire,
            ) => To(Self::Expired),
            (Self::Sent | Self::Unknown, E::Reject) => To(Self::Rejected),
            // A reject of something that the venue had accepted contradicts it: only a query can tell.
            (Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent, E::Reject) => {
                Conflict(Self::Unknown)
            }
            // "Unknown order" in answer to a cancel does not say how the order ended.
            (Self::CancelSent, E::CancelRefused) => To(Self::Unknown),
            (Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::Unknown, E::CancelRefused) => {
                Stays
            }
            (Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent, E::Lose) => {
                To(Self::Unknown)
            }
            (Self::Unknown, E::Lose) => Stays,
            (Self::Unknown, E::ProvedAbsent) => To(Self::Rejected),
            (Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent, E::ProvedAbsent) => {
                Conflict(Self::Unknown)
            }

            // Late and doubled messages after the end.
            (Self::Filled, E::Fill { .. }) => Conflict(Self::Filled),
            (Self::Cancelled | Self::Expired, E::Fill { done: false }) => Conflict(self),
            (Self::Cancelled | Self::Expired, E::Fill { done: true }) => Conflict(Self::Filled),
            (Self::Rejected | Self::NotSent, E::Fill { done: true }) => Conflict(Self::Filled),
            (Self::Rejected | Self::NotSent, E::Fill { done: false }) => Conflict(Self::PartiallyFilled),
            (Self::Rejected | Self::NotSent, E::Acknowledge) => Conflict(Self::Acknowledged),
            (Self::Filled | Self::Cancelled | Self::Expired | Self::Rejected | Self::NotSent, _) => Stays,

            // The venue speaks of an order that we did not send: believe it.
            (Self::Created | Self::Approved, E::Acknowledge) => Conflict(Self::Acknowledged),
            (Self::Created | Self::Approved, E::Fill { done: true }) => Conflict(Self::Filled),
            (Self::Created | Self::Approved, E::Fill { done: false }) => Conflict(Self::PartiallyFilled),
            (Self::Created | Self::Approved, E::Cancelled) => Conflict(Self::Cancelled),
            (Self::Created | Self::Approved, E::Expire) => Conflict(Self::Expired),
            (Self::Created | Self::Approved, E::Reject) => Conflict(Self::Rejected),
            (Self::Created, E::Send) => Conflict(Self::Sent),
            (Self::Created | Self::Approved, E::SendCancel | E::CancelRefused | E::ProvedAbsent) => Stays,
            (Self::Created, E::Lose) => Stays,
            // Approved and lost before the write was confirmed: it may have left.
            (Self::Approved, E::Lose) => To(Self::Unknown),
            (Self::Approved, E::Approve) => Stays,
            (
                Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent | Self::Unknown,
                E::Approve | E::Send,
            ) => Stays,
            // Refused after it was sent: a contradiction inside the engine; the venue must be asked.
            (
                Self::Sent | Self::Acknowledged | Self::PartiallyFilled | Self::CancelSent | Self::Unknown,
                E::Refuse,
            ) => Conflict(Self::Unknown),
        }
    }
}

/// What remains of an order.
pub const fn remaining(qty: Qty, filled: Qty) -> Qty {
    match qty.checked_sub(filled) {
        Some(rest) if rest.units() > 0 => rest,
        _ => Qty::ZERO,
    }
}
