//! Intents: what a strategy, or the operator, wants. Raised by signal, judged by risk.

use crate::types::{ClientOrderId, InstrumentId, OrderType, Price, Qty, Side, StrategyId, TimeInForce};

/// One intent. Its id becomes the client order id of what it places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Intent {
    /// Our order id: given here, so that signal knows its orders without waiting for anyone.
    pub client: ClientOrderId,
    /// Number of the fact that caused it.
    pub cause_seq: u64,
    /// The cause's time.
    pub cause_ns: i64,
    /// Whose.
    pub strategy: StrategyId,
    /// Whose position it changes: the strategy's own, except where the operator closes a strategy's position.
    pub owner: StrategyId,
    /// On what.
    pub instrument: InstrumentId,
    /// Only ever reduces a position: an exit. Risk checks that it does and then spares it the entry limits.
    pub reduce_only: bool,
    /// What.
    pub action: Action,
    /// What whoever raised it says of it: risk sizes and paces entries by it. [`Claim::NONE`] on exits and cancels.
    pub claim: Claim,
}

/// What a strategy claims of an entry. A claim that is not made counts as the worst: no stop (the whole value is at risk), no
/// gain, no confidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Claim {
    /// Where the strategy would leave at a loss; zero = nowhere.
    pub stop: Price,
    /// What it expects to gain before costs, in hundredths of a basis point of the order's value.
    pub gain_centi_bp: i32,
    /// How sure it is, in hundredths of a percent: 0 to 10000.
    pub confidence_bp: u16,
}

impl Claim {
    /// Nothing is claimed.
    pub const NONE: Self = Self { stop: Price::ZERO, gain_centi_bp: 0, confidence_bp: 0 };

    /// The stop, if there is one.
    pub const fn stop(&self) -> Option<Price> {
        if self.stop.units() > 0 { Some(self.stop) } else { None }
    }
}

/// What an intent asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// A new order.
    Place(OrderSpec),
    /// Take one of our orders out of the book.
    Cancel {
        /// Which.
        target: ClientOrderId,
    },
    /// Cancel one of our orders and place another in one request.
    Replace {
        /// Which goes.
        target: ClientOrderId,
        /// What comes.
        spec: OrderSpec,
    },
    /// Cancel everything that is open on the instrument.
    CancelAll,
}

/// A new order's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderSpec {
    /// Buy or sell.
    pub side: Side,
    /// Limit, market, post only.
    pub order_type: OrderType,
    /// How long it lives (limit orders).
    pub time_in_force: TimeInForce,
    /// Limit price; for a market order the worst price that the limits are computed with.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
}
