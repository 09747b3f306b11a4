//! A resting paper order and its place in the queue.
//!
//! The model of the queue, in full:
//! - An order joins behind all that is shown at its price when it arrives. Better than the best price: nobody is ahead. If
//!   the quantity there can't be known, the order waits until it is shown once.
//! - A trade at its price takes from those ahead first; what goes beyond them fills the order. A trade at a worse price
//!   means that the price was exhausted: everyone ahead is gone, and the order fills up to the traded quantity.
//! - When less is shown than the trades explain, somebody cancelled: [`CancelsAhead`] says how much of it was ahead.
//! - Quotes may overtake the trade that they follow from. So a trade that comes within [`OVERTAKEN_NS`] of an unexplained
//!   decrease explains it after all, and is not counted twice.
//! - Never are more ahead than are shown.
//! - When the other side's best price reaches the order's price, it would have been matched: it fills from what is shown
//!   there, at its own price.

use serde::{Deserialize, Serialize};

use crate::types::order::remaining;
use crate::types::time::NS_PER_MS;
use crate::types::{ClientOrderId, InstrumentId, OrderType, Price, Qty, Side, VenueOrderId};

/// How cancels at an order's price are shared between those ahead of it and those behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelsAhead {
    /// In proportion to how many there are.
    #[default]
    Proportional,
    /// All of them from behind, while there are any: the hardest assumption.
    FromBehind,
}

/// For so long a decrease of what is shown waits for the trade that may explain it.
pub const OVERTAKEN_NS: i64 = 50 * NS_PER_MS;

/// An order that the model has accepted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Working {
    pub(super) client: ClientOrderId,
    pub(super) venue_order: VenueOrderId,
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) order_type: OrderType,
    pub(super) price: Price,
    pub(super) qty: Qty,
    pub(super) filled: Qty,
    /// Quantity ahead of it; `None` while it can't be known.
    ahead: Option<i64>,
    /// What was last shown at its price.
    shown: i64,
    /// What traded at its price since.
    traded: i64,
    /// The update that last showed it.
    seen_update_id: u64,
    /// A decrease that was taken for cancels and that a trade may yet explain, ...
    unexplained: i64,
    /// ... how far it moved the order ahead, ...
    advanced: i64,
    /// ... and when it was seen.
    unexplained_ns: i64,
}

impl Working {
    /// An order that has just arrived; it has no place yet.
    pub(super) const fn arrived(
        (client, venue_order, instrument): (ClientOrderId, VenueOrderId, InstrumentId),
        spec: &crate::event::OrderSpec,
    ) -> Self {
        Self {
            client,
            venue_order,
            instrument,
            side: spec.side,
            order_type: spec.order_type,
            price: spec.price,
            qty: spec.qty,
            filled: Qty::ZERO,
            ahead: None,
            shown: 0,
            traded: 0,
            seen_update_id: 0,
            unexplained: 0,
            advanced: 0,
            unexplained_ns: 0,
        }
    }

    pub(super) const fn remaining(&self) -> Qty {
        remaining(self.qty, self.filled)
    }

    /// Whether this order's price is better than another's on the same side.
    pub(super) fn is_better_than(&self, price: Price) -> bool {
        match self.side {
            Side::Buy => self.price > price,
            Side::Sell => self.price < price,
        }
    }

    /// Takes its place behind what is shown.
    pub(super) fn join(&mut self, shown: Option<Qty>, update_id: u64) {
        self.ahead = shown.map(Qty::units);
        self.shown = shown.map_or(0, Qty::units);
        self.traded = 0;
        self.seen_update_id = update_id;
        (self.unexplained, self.advanced) = (0, 0);
    }

    /// The market showed the quantity at its price.
    pub(super) fn sighted(&mut self, shown: Qty, update_id: u64, model: CancelsAhead, now_ns: i64) {
        // A depth update that is older than the quote that was seen says nothing new.
        if update_id < self.seen_update_id {
            return;
        }
        let shown = shown.units();
        let Some(ahead) = self.ahead else {
            self.join(Some(Qty::from_units(shown)), update_id);
            return;
        };
        let expected = (self.shown - self.traded).max(0);
        let cancelled = (expected - shown).max(0);
        let gone = match model {
            CancelsAhead::Proportional if expected > 0 => {
                let share = i128::from(cancelled) * i128::from(ahead) / i128::from(expected);
                i64::try_from(share).unwrap_or(ahead)
            }
            _ => 0,
        };
        let now_ahead = (ahead - gone).clamp(0, shown);
        self.ahead = Some(now_ahead);
        (self.shown, self.traded, self.seen_update_id) = (shown, 0, update_id);
        self.forget_unexplained(now_ns);
        if cancelled > 0 {
            self.unexplained += cancelled;
            self.advanced += ahead - now_ahead;
            self.unexplained_ns = now_ns;
        }
    }

    fn forget_unexplained(&mut self, now_ns: i64) {
        if now_ns - self.unexplained_ns > OVERTAKEN_NS {
            (self.unexplained, self.advanced) = (0, 0);
        }
    }

    /// A trade of this quantity hit its side of the book at `price`. Returns how much of it falls to this order.
    pub(super) fn traded(&mut self, price: Price, qty: Qty, now_ns: i64) -> Qty {
        let qty = qty.units();
        let left = if self.is_better_than(price) {
            self.ahead = Some(0);
            qty
        } else if self.price == price {
            let Some(ahead) = self.ahead else {
                self.traded += qty;
                return Qty::ZERO;
            };
            self.forget_unexplained(now_ns);
            // What the trade explains of an earlier decrease was no cancel: the order was moved ahead for it already.
            let covered = qty.min(self.unexplained);
            let advanced = if self.unexplained == 0 {
                0
            } else {
                let share = i128::from(self.advanced) * i128::from(covered) / i128::from(self.unexplained);
                i64::try_from(share).unwrap_or(0)
            };
            self.unexplained -= covered;
            self.advanced -= advanced;
            self.traded += qty - covered;
            let ahead = ahead + advanced;
            self.ahead = Some((ahead - qty).max(0));
            (qty - ahead).max(0)
        } else {
            return Qty::ZERO;
        };
        Qty::from_units(left).min(self.remaining())
    }

    /// What is ahead of it, for views and tests.
    pub(super) fn ahead(&self) -> Option<Qty> {
        self.ahead.map(Qty::from_units)
    }
}
