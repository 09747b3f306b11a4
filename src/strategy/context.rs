//! What a strategy sees and what it can ask for. Time is the fact's; there is no other.

use crate::event::{Action, Claim, Ledger, OrderSpec, Quote, Tracked};
use crate::types::time::NS_PER_MS;
use crate::types::{
    Book, Cash, ClientOrderId, Instrument, OrderType, Position, Price, Qty, Side, TimeInForce,
};

/// What signal keeps beside each order of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Index of the running strategy, [`Own::NOBODY`] for none.
    pub runner: u16,
    /// A cancel (or a replace) of it was asked for and not refused since.
    pub cancel_asked: bool,
    /// When that was asked for last; 0 = never.
    pub cancel_asked_ns: i64,
    /// The order that this one replaces, or `NONE`.
    pub replaces: ClientOrderId,
    /// When it was raised.
    pub raised_ns: i64,
    /// The stop that was claimed with it; zero for none.
    pub stop: Price,
}

impl Own {
    /// No strategy's order.
    pub const NOBODY: u16 = u16::MAX;
}

impl Default for Own {
    fn default() -> Self {
        Self {
            runner: Self::NOBODY,
            cancel_asked: false,
            cancel_asked_ns: 0,
            replaces: ClientOrderId::NONE,
            raised_ns: 0,
            stop: Price::ZERO,
        }
    }
}

/// Something that a strategy asked for in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// An exit.
    pub reduce_only: bool,
    /// What.
    pub action: Action,
    /// What the strategy says of an entry.
    pub claim: Claim,
}

/// What one call may ask for at most.
pub const WISHES_MAX: usize = 4;

/// The wishes of one call: fixed room, no allocation.
#[derive(Clone, Copy, Debug)]
pub struct Wishes {
    items: [Wish; WISHES_MAX],
    len: usize,
}

impl Default for Wishes {
    fn default() -> Self {
        let none = Wish { reduce_only: false, action: Action::CancelAll, claim: Claim::NONE };
        Self { items: [none; WISHES_MAX], len: 0 }
    }
}

impl Wishes {
    fn push(&mut self, wish: Wish) -> bool {
        let Some(slot) = self.items.get_mut(self.len) else { return false };
        *slot = wish;
        self.len += 1;
        true
    }
    /// None, for the next call.
    pub const fn clear(&mut self) {
        self.len = 0;
    }
    /// In the order in which they were made.
    pub fn all(&self) -> &[Wish] {
        &self.items[..self.len]
    }
}

/// What a strategy sees of its instrument, and where it puts its wishes.
#[derive(Debug)]
pub struct Context<'a> {
    /// The fact's time, nanoseconds since the epoch.
    pub now_ns: i64,
    /// The instrument and the venue's rules for it.
    pub instrument: &'a Instrument,
    /// The last quote; `None` before the first, and after the market link was cut.
    pub quote: Option<&'a Quote>,
    /// The book; `None` while it is not valid.
    pub book: Option<&'a Book>,
    /// The strategy's own position here.
    pub position: &'a Position,
    ledger: &'a Ledger<Own>,
    runner: u16,
    wishes: &'a mut Wishes,
}

/// What signal puts into a context.
#[derive(Debug)]
pub struct ContextParts<'a> {
    /// The fact's time.
    pub now_ns: i64,
    /// The instrument.
    pub instrument: &'a Instrument,
    /// The last quote.
    pub quote: Option<&'a Quote>,
    /// The book, if valid.
    pub book: Option<&'a Book>,
    /// The strategy's position.
    pub position: &'a Position,
    /// All orders of ours.
    pub ledger: &'a Ledger<Own>,
    /// Index of the running strategy.
    pub runner: u16,
}

impl<'a> Context<'a> {
    /// A context that collects into `wishes`.
    pub const fn new(parts: &ContextParts<'a>, wishes: &'a mut Wishes) -> Self {
        Self {
            now_ns: parts.now_ns,
            instrument: parts.instrument,
            quote: parts.quote,
            book: parts.book,
            position: parts.position,
            ledger: parts.ledger,
            runner: parts.runner,
            wishes,
        }
    }

    /// The strategy's orders that may be open, in the order of their entry.
    pub fn working(&self) -> impl Iterator<Item = &'a Tracked<Own>> + '_ {
        let runner = self.runner;
        self.ledger.open().filter(move |order| order.extra.runner == runner)
    }
    /// Whether none of the strategy's orders may be open.
    pub fn is_idle(&self) -> bool {
        self.ledger.open_len() == 0 || self.working().next().is_none()
    }

    /// Asks for an order that may add to the position. `false`: it breaks a rule of the venue that is known here (and would
    /// only be refused), or the call has asked for enough.
    pub fn enter(&mut self, spec: OrderSpec, claim: Claim) -> bool {
        self.fits(&spec) && self.wishes.push(Wish { reduce_only: false, action: Action::Place(spec), claim })
    }
    /// Asks for an order that only reduces the position.
    pub fn exit(&mut self, spec: OrderSpec) -> bool {
        let claim = Claim::NONE;
        self.fits(&spec) && self.wishes.push(Wish { reduce_only: true, action: Action::Place(spec), claim })
    }
    /// Asks for a cancel, once: again only after the first was refused, and not at once. What made the venue refuse it (an
    /// order whose end is under way, or whose outcome is unknown) does not change with the next quote, and cancels are
    /// never throttled: asked at the line's pace they would use up the very budget that a kill needs.
    pub fn cancel(&mut self, target: ClientOrderId) -> bool {
        self.is_cancellable(target)
            && self.wishes.push(Wish {
                reduce_only: false,
                action: Action::Cancel { target },
                claim: Claim::NONE,
            })
    }
    /// Asks to cancel one order and place another in one request.
    pub fn replace(&mut self, target: ClientOrderId, spec: OrderSpec, claim: Claim) -> bool {
        self.is_cancellable(target)
            && self.fits(&spec)
            && self.wishes.push(Wish { reduce_only: false, action: Action::Replace { target, spec }, claim })
    }

    fn is_cancellable(&self, target: ClientOrderId) -> bool {
        let asked_here = self.wishes.all().iter().any(|wish| match wish.action {
            Action::Cancel { target: asked } | Action::Replace { target: asked, .. } => asked == target,
            Action::Place(_) | Action::CancelAll => false,
        });
        !asked_here
            && self.ledger.get(target).is_some_and(|order| {
                order.extra.runner == self.runner
                    && !order.extra.cancel_asked
                    && has_passed(self.now_ns, order.extra.cancel_asked_ns, CANCEL_RETRY_NS)
                    && !order.state.is_terminal()
            })
    }

    fn fits(&self, spec: &OrderSpec) -> bool {
        let instrument = self.instrument;
        let notional = Cash::notional_floor(spec.price, spec.qty);
        instrument.check_price(spec.price).is_ok()
            && instrument.check_qty(spec.qty, spec.order_type == OrderType::Market).is_ok()
            && notional.is_some_and(|n| n >= instrument.notional.min)
    }

    /// The quantity that an amount of money buys at a price, down to the lot grid; `None` when the venue would not take it.
    pub fn qty_for(&self, amount: Cash, price: Price) -> Option<Qty> {
        acceptable(self.instrument, affordable(amount, price)?, price)
    }

    /// What of the position can be sold at a price, down to the lot grid; `None` when there is nothing, or too little for
    /// the venue to take (dust).
    pub fn sellable(&self, price: Price) -> Option<Qty> {
        sellable(self.instrument, self.position, price)
    }

    /// A limit sell that should be filled at once: at the bid less a margin, whatever is left expires.
    pub fn sell_now(&self, qty: Qty, margin_bp: i64) -> Option<OrderSpec> {
        let bid = self.quote?.bid.price;
        let price = shifted(bid, -margin_bp)?.floor_to(self.instrument.price.tick);
        Some(limit(Side::Sell, TimeInForce::Ioc, price, qty))
    }
    /// A limit buy for an amount that should be filled at once: at the ask plus a margin, whatever is left expires.
    pub fn buy_now(&self, amount: Cash, margin_bp: i64) -> Option<OrderSpec> {
        let ask = self.quote?.ask.price;
        let price = shifted(ask, margin_bp)?.ceil_to(self.instrument.price.tick)?;
        Some(limit(Side::Buy, TimeInForce::Ioc, price, self.qty_for(amount, price)?))
    }
    /// A buy for an amount that waits at the best bid; post-only, so it never takes.
    pub fn buy_at_bid(&self, amount: Cash) -> Option<OrderSpec> {
        let price = self.quote?.bid.price.floor_to(self.instrument.price.tick);
        let qty = self.qty_for(amount, price)?;
        let order_type = OrderType::LimitMaker;
        Some(OrderSpec { order_type, ..limit(Side::Buy, TimeInForce::Gtc, price, qty) })
    }
}

/// A limit order.
pub const fn limit(side: Side, time_in_force: TimeInForce, price: Price, qty: Qty) -> OrderSpec {
    OrderSpec { side, order_type: OrderType::Limit, time_in_force, price, qty }
}

/// A price moved by hundredths of a percent; the caller puts it on the grid. `None` when it leaves the range.
pub fn shifted(price: Price, by_bp: i64) -> Option<Price> {
    let moved = i128::from(price.units()) * i128::from(10_000 + by_bp) / 10_000;
    i64::try_from(moved).ok().map(Price::from_units).filter(|p| *p > Price::ZERO)
}

/// What of a long position the venue would let us sell at a price.
pub fn sellable(instrument: &Instrument, position: &Position, price: Price) -> Option<Qty> {
    acceptable(instrument, position.qty, price)
}

/// What an amount of money buys at a price, off the grid; `None` for no price.
fn affordable(amount: Cash, price: Price) -> Option<Qty> {
    if price <= Price::ZERO {
        return None;
    }
    // Cash and Qty have the same unit, so the price's scale is all that is left.
    let units = i128::from(amount.units()) * i128::from(Price::ONE.units()) / i128::from(price.units());
    Some(Qty::from_units(i64::try_from(units).unwrap_or(i64::MAX)))
}

/// A quantity brought down to what the venue would take in one order; `None` when that is nothing.
pub fn acceptable(instrument: &Instrument, wanted: Qty, price: Price) -> Option<Qty> {
    let lot = &instrument.lot;
    let wanted = if lot.max.is_zero() { wanted } else { wanted.min(lot.max) };
    let largest = instrument.notional.max;
    let wanted = if largest.is_zero() { wanted } else { wanted.min(affordable(largest, price)?) };
    let qty = wanted.floor_to(lot.step);
    let worth = Cash::notional_floor(price, qty)?;
    (qty > Qty::ZERO && qty >= lot.min && worth >= instrument.notional.min).then_some(qty)
}

/// Whether enough time has passed since something that may never have been (0).
pub const fn has_passed(now_ns: i64, since_ns: i64, span_ns: i64) -> bool {
    since_ns == 0 || now_ns.saturating_sub(since_ns) >= span_ns
}

/// How long after a cancel was asked for the next one of the same order may be.
pub const CANCEL_RETRY_NS: i64 = 500 * NS_PER_MS;

/// How long an exit that was not filled waits before it is tried again.
pub const EXIT_RETRY_NS: i64 = 250 * NS_PER_MS;
