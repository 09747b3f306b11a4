//! What do the facts say of our own orders? The one fold of order updates and replies, shared by all who keep orders, so
//! that no two stages can disagree on what a message means.
//!
//! What it does with what a venue may send (R-ORD-1):
//! - A fill is booked once, by (order, trade id), in whatever order fills and answers come.
//! - A fill, a final or a queried state that counts more fills than we have booked them *presumed*, at the price that the update
//!   gives; the late fill message then only adds its fee.
//! - A venue's word on an order proves that it was approved and sent, even if our own note of that is still on its way.
//! - An answer to a cancel does not end an order: the order's own update does, with what was filled before.
//! - An order of ours that is not known (an earlier boot's, or one long ended) is adopted as the venue describes it.
//!   Fills from before the adoption are not booked, until a reconcile tells of them one by one.
//! - What contradicts the past is applied and reported as a conflict; the caller freezes the instrument.

use crate::event::{CarriedOrder, OrderSpec, OrderUpdate, Reply, ReplyKind};
use crate::limits::{FILLS_REMEMBERED, ORDER_SLOTS, ORDERS_OPEN_MAX};
use crate::types::order::{OrderEvent, Transition, remaining};
use crate::types::position::PositionOverflow;
use crate::types::table::RecentSet;
use crate::types::{
    AssetId, Cash, ClientOrderId, FixedTable, Instrument, InstrumentId, OrderState, Position, Price, Qty,
    Side, StrategyId, TradeId, VenueOrderId,
};

/// One order of ours, with what its keeper needs beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tracked<X> {
    /// Our id.
    pub client: ClientOrderId,
    /// The venue's id; 0 while it is not known.
    pub venue_order: VenueOrderId,
    /// On what.
    pub instrument: InstrumentId,
    /// Whose.
    pub strategy: StrategyId,
    /// Buy or sell.
    pub side: Side,
    /// Where it stands.
    pub state: OrderState,
    /// Only reduces a position.
    pub reduce_only: bool,
    /// The venue told of it before we did.
    pub adopted: bool,
    /// Limit price, or the worst price of a market order.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Booked so far.
    pub filled: Qty,
    /// The part of `filled` that no fill message has told of yet.
    pub presumed: Qty,
    /// The part of `filled` that was filled before the order was adopted, and is not booked: a reconcile books it from the
    /// venue's list of trades.
    pub unbooked: Qty,
    /// The keeper's own.
    pub extra: X,
}

impl<X> Tracked<X> {
    /// What may still be filled.
    pub const fn remaining(&self) -> Qty {
        remaining(self.qty, self.filled)
    }
}

/// A fill to book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Buy or sell.
    pub side: Side,
    /// As maker.
    pub maker: bool,
    /// Price.
    pub price: Price,
    /// Quantity to book now; zero when all of it was booked as presumed and only the fee is news.
    pub qty: Qty,
    /// Fee, in `fee_asset`.
    pub fee: Qty,
    /// Asset of the fee.
    pub fee_asset: AssetId,
}

impl Fill {
    /// Books the fill and its fee. A fee in the base asset takes from what is held: it is booked as sold at the fill's price
    /// and paid away, so that a position is never more than what can be sold (a venue takes the fee of a buy out of what
    /// was bought). A fee in a third asset is not money of this position.
    pub fn book(&self, position: &mut Position, instrument: &Instrument) -> Result<(), PositionOverflow> {
        if !self.qty.is_zero() {
            position.fill(self.side, self.price, self.qty)?;
        }
        let mut paid = Cash::ZERO;
        if self.fee_asset == instrument.base && !self.fee.is_zero() {
            position.fill(Side::Sell, self.price, self.fee)?;
            position.fills -= 1; // a fee is no fill
            paid = Cash::notional_for_limit(self.price, self.fee).ok_or(PositionOverflow)?;
        } else if self.fee_asset == instrument.quote {
            paid = Cash::from_units(self.fee.units());
        }
        position.fees = position.fees.checked_add(paid).ok_or(PositionOverflow)?;
        Ok(())
    }
}

/// What a fact changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which order.
    pub client: ClientOrderId,
    /// On what.
    pub instrument: InstrumentId,
    /// Where it stood.
    pub before: OrderState,
    /// Where it stands.
    pub after: OrderState,
    /// What is to be booked.
    pub fill: Option<Fill>,
    /// The fact contradicts the past: freeze and reconcile.
    pub conflict: bool,
    /// More was filled than was ordered: booked; freeze and reconcile.
    pub overfill: bool,
}

/// There is no room to keep the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerFull;

/// All orders of ours that may be open, and those that ended lately.
#[derive(Clone, Debug)]
pub struct Ledger<X> {
    table: FixedTable<ClientOrderId, Tracked<X>>,
    open: Vec<ClientOrderId>,
    /// Ended orders, oldest first from `ended_next`; the oldest makes room.
    ended: Box<[ClientOrderId]>,
    ended_next: usize,
    fills: RecentSet<(ClientOrderId, TradeId)>,
}

/// Ended orders that are kept for late messages.
const ENDED_KEPT: usize = ORDER_SLOTS * 3 / 4 - ORDERS_OPEN_MAX;

impl<X: Copy + Default> Default for Ledger<X> {
    fn default() -> Self {
        Self {
            table: FixedTable::new(ORDER_SLOTS),
            open: Vec::with_capacity(ORDERS_OPEN_MAX),
            ended: vec![ClientOrderId::NONE; ENDED_KEPT].into_boxed_slice(),
            ended_next: 0,
            fills: RecentSet::new(FILLS_REMEMBERED),
        }
    }
}

impl<X: Copy + Default> Ledger<X> {
    /// Orders that may be open, in the order of their entry.
    pub fn open(&self) -> impl Iterator<Item = &Tracked<X>> + '_ {
        self.open.iter().filter_map(|&client| self.table.get(client))
    }
    /// How many orders may be open.
    pub const fn open_len(&self) -> usize {
        self.open.len()
    }
    /// Whether another order finds no room.
    pub const fn is_full(&self) -> bool {
        self.open.len() >= ORDERS_OPEN_MAX || self.table.is_full()
    }
    /// One order.
    #[inline]
    pub fn get(&self, client: ClientOrderId) -> Option<&Tracked<X>> {
        self.table.get(client)
    }
    /// The keeper's own part of one order.
    #[inline]
    pub fn extra_mut(&mut self, client: ClientOrderId) -> Option<&mut X> {
        self.table.get_mut(client).map(|order| &mut order.extra)
    }

    /// Enters an order of ours.
    pub fn enter(&mut self, order: Tracked<X>) -> Result<(), LedgerFull> {
        if self.is_full() || self.table.get(order.client).is_some() {
            return Err(LedgerFull);
        }
        self.table.insert(order.client, order);
        self.open.push(order.client);
        // Ids are counted up: the next order's slot comes meanwhile.
        self.table.expect(ClientOrderId(order.client.0.wrapping_add(1)));
        Ok(())
    }

    /// Enters an order of an earlier boot: unknown until the venue says what became of it, so it counts in full and freezes.
    /// `Ok(None)`: it is known already, and what is known since is newer.
    pub fn carry(&mut self, order: &CarriedOrder, extra: X) -> Result<Option<Change>, LedgerFull> {
        if self.table.get(order.client).is_some() {
            return Ok(None);
        }
        let carried = Tracked {
            client: order.client,
            venue_order: order.venue_order,
            instrument: order.instrument,
            strategy: order.strategy,
            side: order.side,
            state: OrderState::Unknown,
            reduce_only: order.reduce_only,
            adopted: false,
            price: order.price,
            qty: order.qty,
            filled: order.filled,
            presumed: Qty::ZERO,
            unbooked: Qty::ZERO,
            extra,
        };
        self.enter(carried)?;
        let mut change = Change::none(&carried);
        change.before = OrderState::Created;
        Ok(Some(change))
    }

    /// The venue speaks of an order. `None`: it is not ours. `Some(Err)`: it is ours and there is no room to adopt it.
    pub fn on_update(&mut self, update: &OrderUpdate) -> Option<Result<Change, LedgerFull>> {
        if update.client == ClientOrderId::NONE {
            return None;
        }
        let known = self.table.get(update.client).is_some();
        if !known && let Err(full) = self.enter(adopt(update)) {
            return Some(Err(full));
        }
        let repeated = update.trade.0 != 0 && !self.fills.insert((update.client, update.trade));
        let order = self.table.get_mut(update.client)?;
        let before = order.state;
        if order.venue_order.0 == 0 {
            order.venue_order = update.venue_order;
        }
        let mut change = Change::none(order);
        if !repeated {
            if update.trade.0 != 0 {
                order.book_fill(update, &mut change);
            }
            order.follow_state(update, &mut change);
        }
        // Only a query's answer may tell of an order that we do not know without being a surprise.
        change.conflict |= !known && !update.snapshot;
        change.after = order.state;
        self.settle(update.client, before, change.after);
        Some(Ok(change))
    }

    /// The answer to a request of ours. `None`: it is about no order that we know.
    pub fn on_reply(&mut self, reply: &Reply) -> Option<Change> {
        let event = match (reply.kind, reply.cancel) {
            (ReplyKind::Sent, false) => OrderEvent::Send,
            (ReplyKind::Sent, true) => OrderEvent::SendCancel,
            (ReplyKind::NotSent, false) => OrderEvent::Refuse,
            (ReplyKind::Accepted, false) => OrderEvent::Acknowledge,
            (ReplyKind::Rejected, false) => OrderEvent::Reject,
            (ReplyKind::Rejected, true) => OrderEvent::CancelRefused,
            (ReplyKind::Unknown, _) => OrderEvent::Lose,
            (ReplyKind::Absent, _) => OrderEvent::ProvedAbsent,
            // A cancel that did not leave changes nothing, one that was accepted ends with the order's own update, and
            // that nothing is open does not say how each order ended.
            (ReplyKind::NotSent | ReplyKind::Accepted, true) | (ReplyKind::NothingOpen, _) => return None,
        };
        let order = self.table.get_mut(reply.client)?;
        let before = order.state;
        if order.venue_order.0 == 0 {
            order.venue_order = reply.venue_order;
        }
        let mut change = Change::none(order);
        order.apply(event, &mut change);
        change.after = order.state;
        self.settle(reply.client, before, change.after);
        Some(change)
    }

    /// Keeps the list of open orders and the queue of ended ones in step with a transition.
    fn settle(&mut self, client: ClientOrderId, before: OrderState, after: OrderState) {
        let listed = self.open.iter().position(|&open| open == client);
        match (after.is_terminal(), listed) {
            (true, Some(at)) => {
                self.open.remove(at);
                let oldest = core::mem::replace(&mut self.ended[self.ended_next], client);
                self.ended_next = (self.ended_next + 1) % self.ended.len();
                // An order that a conflict brought back to life is not forgotten.
                if oldest != client && self.table.get(oldest).is_some_and(|o| o.state.is_terminal()) {
                    self.table.remove(oldest);
                }
            }
            (false, None) => {
                debug_assert!(before.is_terminal(), "only an ended order is not listed");
                self.open.push(client);
            }
            (true, None) | (false, Some(_)) => {}
        }
    }
}

impl Change {
    fn none<X>(order: &Tracked<X>) -> Self {
        Self {
            client: order.client,
            instrument: order.instrument,
            before: order.state,
            after: order.state,
            fill: None,
            conflict: false,
            overfill: false,
        }
    }
}

impl<X> Tracked<X> {
    /// Applies an event with what it implies.
    fn apply(&mut self, event: OrderEvent, change: &mut Change) {
        let implies_sent = !matches!(event, OrderEvent::Approve | OrderEvent::Refuse);
        if implies_sent && matches!(self.state, OrderState::Created | OrderState::Approved) {
            self.state = OrderState::Sent;
        }
        // A cancel may leave while the order's own answer is still under way. That answer then says no to an order which never
        // was in the book: no contradiction, as it would be for one that the venue had given a number.
        let refused_at_once = event == OrderEvent::Reject
            && self.state == OrderState::CancelSent
            && self.venue_order.0 == 0
            && self.filled.is_zero();
        let state = if refused_at_once { OrderState::Sent } else { self.state };
        match state.on(event) {
            Transition::To(next) => self.state = next,
            Transition::Stays => {}
            Transition::Conflict(next) => {
                self.state = next;
                change.conflict = true;
            }
        }
    }

    /// Adds to what is booked; a sum that leaves its range stays at the end of it and shows as an overfill.
    fn book(&mut self, qty: Qty, change: &mut Change) {
        self.filled = self.filled.checked_add(qty).unwrap_or(Qty::MAX);
        change.overfill |= self.filled > self.qty;
    }

    fn book_fill(&mut self, update: &OrderUpdate, change: &mut Change) {
        let absorbed = self.presumed.min(update.qty);
        self.presumed = self.presumed.checked_sub(absorbed).unwrap_or_default();
        let news = update.qty.checked_sub(absorbed).unwrap_or_default();
        change.fill = Some(Fill {
            side: self.side,
            maker: update.maker,
            price: update.price,
            qty: news,
            fee: update.fee,
            fee_asset: update.fee_asset,
        });
        // A fill out of a list of past trades may be one that the adoption has counted: then only the booking is news.
        let counted = if update.snapshot { self.unbooked.min(news) } else { Qty::ZERO };
        self.unbooked = self.unbooked.checked_sub(counted).unwrap_or_default();
        let news = news.checked_sub(counted).unwrap_or_default();
        if !news.is_zero() {
            self.book(news, change);
            self.apply(OrderEvent::Fill { done: self.filled >= self.qty }, change);
        }
    }

    /// Books what a final or queried state counts and no fill message has told of yet.
    fn presume(&mut self, missing: Qty, update: &OrderUpdate, change: &mut Change) {
        self.presumed = self.presumed.checked_add(missing).unwrap_or(Qty::MAX);
        let price = if update.price.is_zero() { self.price } else { update.price };
        let told = change.fill.unwrap_or(Fill {
            side: self.side,
            maker: update.maker,
            price,
            qty: Qty::ZERO,
            fee: Qty::ZERO,
            fee_asset: AssetId::UNKNOWN,
        });
        change.fill = Some(Fill { qty: told.qty.checked_add(missing).unwrap_or(Qty::MAX), ..told });
        self.book(missing, change);
        self.apply(OrderEvent::Fill { done: self.filled >= self.qty }, change);
    }

    /// What the update says beside its fill.
    fn follow_state(&mut self, update: &OrderUpdate, change: &mut Change) {
        let is_fill = update.trade.0 != 0;
        // A fill says as well how much is filled with it: more than is booked means that an earlier one is missing. Left
        // until the order ends, the next fills would be taken for it, and the position would lag behind the venue's (F14).
        let settles = is_fill || update.state.is_terminal() || update.snapshot;
        let missing = update.filled.checked_sub(self.filled).unwrap_or_default();
        if settles && missing > Qty::ZERO {
            self.presume(missing, update, change);
        }
        let event = match update.state {
            OrderState::Acknowledged | OrderState::PartiallyFilled if !is_fill => OrderEvent::Acknowledge,
            OrderState::Cancelled => OrderEvent::Cancelled,
            OrderState::Expired => OrderEvent::Expire,
            OrderState::Rejected => OrderEvent::Reject,
            // Filled by its fills; the rest are states of ours, not the venue's.
            _ => return,
        };
        // An order that is done in full has nothing left to cancel, and a doubled message is no news.
        if !self.state.is_terminal() {
            self.apply(event, change);
        }
    }
}

/// An order that the venue tells of and we do not know.
fn adopt<X: Default>(update: &OrderUpdate) -> Tracked<X> {
    let is_fill = update.trade.0 != 0;
    // What was filled before this update is not booked here: the venue's list of trades tells of each such fill.
    let filled = if is_fill {
        update.filled.checked_sub(update.qty).unwrap_or_default().max(Qty::ZERO)
    } else {
        update.filled
    };
    let state = if filled.is_zero() { OrderState::Acknowledged } else { OrderState::PartiallyFilled };
    Tracked {
        client: update.client,
        venue_order: update.venue_order,
        instrument: update.instrument,
        strategy: StrategyId::OPERATOR,
        side: update.side,
        state,
        reduce_only: false,
        adopted: true,
        price: update.price,
        // A fill does not say how much was ordered: at least what is filled.
        qty: if is_fill { update.filled.max(update.qty) } else { update.qty.max(update.filled) },
        filled,
        presumed: Qty::ZERO,
        unbooked: if is_fill { Qty::ZERO } else { filled },
        extra: X::default(),
    }
}

/// An order as it is entered when it is raised or approved.
pub fn tracked<X>(
    client: ClientOrderId,
    instrument: InstrumentId,
    strategy: StrategyId,
    spec: &OrderSpec,
    extra: X,
) -> Tracked<X> {
    Tracked {
        client,
        venue_order: VenueOrderId::default(),
        instrument,
        strategy,
        side: spec.side,
        state: OrderState::Created,
        reduce_only: false,
        adopted: false,
        price: spec.price,
        qty: spec.qty,
        filled: Qty::ZERO,
        presumed: Qty::ZERO,
        unbooked: Qty::ZERO,
        extra,
    }
}
