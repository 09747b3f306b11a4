//! What the operator wants done on an instrument: cancel all, or flatten. Worked off step by step, as facts come: orders are
//! cancelled first and their end is waited for, then what is held is closed, again until nothing is left that the venue
//! would take. While that lasts the strategies there are not heard.

use crate::event::{Action, OrderSpec};
use crate::strategy::context::{acceptable, limit, shifted};
use crate::types::time::NS_PER_MS;
use crate::types::{Instrument, Position, Price, Qty, Side, TimeInForce};

/// How far a close goes beyond the best price: it must be filled, within the collar of risk.
const CLOSE_MARGIN_BP: i64 = 50;
/// How long one step may take before it is asked for again.
pub(super) const RETRY_NS: i64 = 500 * NS_PER_MS;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Task {
    /// Nothing.
    #[default]
    None,
    /// Cancel everything that is open.
    CancelAll,
    /// The same, then close what is held.
    Flatten,
}

/// The state of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) task: Task,
    /// When the last step was asked for; 0 = not yet.
    pub(super) asked_ns: i64,
}

impl Progress {
    pub(super) const fn begin(&mut self, task: Task) {
        // A flatten is not weakened to a cancel-all.
        if !matches!((self.task, task), (Task::Flatten, Task::CancelAll)) {
            self.task = task;
        }
        self.asked_ns = 0;
    }
    pub(super) const fn is_due(&self, now_ns: i64) -> bool {
        self.asked_ns == 0 || now_ns.saturating_sub(self.asked_ns) >= RETRY_NS
    }
}

/// The order that closes a position, at a price that the market should take at once; `None` when nothing is held that the
/// venue would take.
pub(super) fn close(instrument: &Instrument, position: &Position, bid: Price, ask: Price) -> Option<Action> {
    let spec: OrderSpec = if position.qty > Qty::ZERO {
        let price = shifted(bid, -CLOSE_MARGIN_BP)?.floor_to(instrument.price.tick);
        limit(Side::Sell, TimeInForce::Ioc, price, acceptable(instrument, position.qty, price)?)
    } else {
        let price = shifted(ask, CLOSE_MARGIN_BP)?.ceil_to(instrument.price.tick)?;
        let owed = Qty::from_units(position.qty.units().checked_neg()?);
        limit(Side::Buy, TimeInForce::Ioc, price, acceptable(instrument, owed, price)?)
    };
    instrument.check_price(spec.price).is_ok().then_some(Action::Place(spec))
}
