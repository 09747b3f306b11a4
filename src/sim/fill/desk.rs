//! The model's order desk: what a venue does with a request that has arrived, and what it says of it.

use super::purse::clamp;
use super::resting::Working;
use super::{Ended, FillEvent, FillModel, side_index};
use crate::event::{Action, BalanceUpdate, Body, Order, OrderSpec, OrderUpdate, Reply, ReplyKind};
use crate::limits::{ORDER_SLOTS, ORDERS_OPEN_MAX};
use crate::types::order::remaining;
use crate::types::rules::{OrderTerms, RuleContext};
use crate::types::{
    AssetId, Cash, ClientOrderId, Instrument, InstrumentId, Level, OrderState, OrderType, Price, Qty, Reason,
    Side, TimeInForce, TradeId, VenueOrderId,
};

/// The venue's error codes that the model answers with.
const CODE_FILTER: i32 = -1013;
const CODE_REFUSED: i32 = -2010;
const CODE_UNKNOWN_ORDER: i32 = -2011;
const CODE_NO_SUCH_ORDER: i32 = -2013;
const CODE_REPLACE_FAILED: i32 = -2022;

/// A refusal: the reason that the gateway would derive from the code.
#[derive(Clone, Copy, Debug)]
struct Refused {
    reason: Reason,
    code: i32,
}

/// What a taker found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Walk {
    base: i128,
    quote: i128,
}

/// `price * qty` in the quote asset's smallest unit, rounded up: what is locked and paid.
fn cost(price: Price, qty: Qty) -> i128 {
    let product = i128::from(price.units()) * i128::from(qty.units());
    (product + PRODUCT_PER_CASH - 1).div_euclid(PRODUCT_PER_CASH)
}

/// `price * qty` rounded down: what is received.
fn proceeds(price: Price, qty: Qty) -> i128 {
    (i128::from(price.units()) * i128::from(qty.units())).div_euclid(PRODUCT_PER_CASH)
}

const PRODUCT_PER_CASH: i128 =
    Price::ONE.units() as i128 * Qty::ONE.units() as i128 / Cash::ONE.units() as i128;

fn crosses(side: Side, limit: Option<Price>, price: Price) -> bool {
    match (limit, side) {
        (None, _) => true,
        (Some(limit), Side::Buy) => price <= limit,
        (Some(limit), Side::Sell) => price >= limit,
    }
}

/// What an order of these terms locks.
fn lock_of(instrument: &Instrument, side: Side, price: Price, qty: Qty) -> (AssetId, i128) {
    match side {
        Side::Buy => (instrument.quote, cost(price, qty)),
        Side::Sell => (instrument.base, i128::from(qty.units())),
    }
}

impl FillModel {
    pub(super) fn handle_order(&mut self, order: &Order) {
        let spec = match order.action {
            Action::Place(spec) => spec,
            Action::Replace { target, spec } => {
                // Stop on failure: without the cancel there is no new order.
                if !self.handle_cancel(target, order.instrument) {
                    let refused = Refused { reason: Reason::VenueReject, code: CODE_REPLACE_FAILED };
                    self.reply_rejected(order.instrument, order.client, refused, false);
                    return;
                }
                spec
            }
            Action::Cancel { .. } | Action::CancelAll => return,
        };
        match self.admit(order, &spec) {
            Ok(()) => self.accept(order, &spec),
            Err(refused) => self.reply_rejected(order.instrument, order.client, refused, false),
        }
    }

    /// Whether the venue would take the order.
    fn admit(&self, order: &Order, spec: &OrderSpec) -> Result<(), Refused> {
        let refused = |reason, code| Refused { reason, code };
        let unknown = refused(Reason::VenueReject, CODE_FILTER);
        let instrument = *self.table.get(order.instrument).ok_or(unknown)?;
        let room = self.rooms.get(order.instrument.index()).ok_or(unknown)?;
        let open = room.resting.iter().map(Vec::len).sum::<usize>();
        let buys = room.resting[side_index(Side::Buy)].iter().map(|o| i128::from(o.remaining().units()));
        let context = RuleContext {
            reference: room.view.reference(),
            orders_open: u32::try_from(open).unwrap_or(u32::MAX),
            position_with_open_buys: clamp(self.purse.total(instrument.base) + buys.sum::<i128>()),
        };
        let terms =
            OrderTerms { side: spec.side, order_type: spec.order_type, price: spec.price, qty: spec.qty };
        let filtered = instrument.check(&terms, &context);
        if filtered.is_err() || open >= ORDERS_OPEN_MAX {
            return Err(refused(Reason::VenueReject, CODE_FILTER));
        }
        if self.is_open(order.client) {
            return Err(refused(Reason::VenueReject, CODE_REFUSED));
        }
        let opposite = spec.side.opposite();
        let own_best = room.resting[side_index(opposite)].first().map(|o| o.price);
        let would_take =
            |price: Option<Price>| price.is_some_and(|p| crosses(spec.side, Some(spec.price), p));
        if spec.order_type == OrderType::LimitMaker
            && (would_take(room.view.best(opposite)) || would_take(own_best))
        {
            return Err(refused(Reason::VenueReject, CODE_REFUSED));
        }
        let (asset, needed) = if spec.order_type == OrderType::Market {
            let walk = self.walk(order.instrument, spec);
            match spec.side {
                Side::Buy => (instrument.quote, walk.quote),
                Side::Sell => (instrument.base, i128::from(spec.qty.units())),
            }
        } else {
            lock_of(&instrument, spec.side, spec.price, spec.qty)
        };
        if self.purse.free(asset) < needed {
            return Err(refused(Reason::VenueReject, CODE_REFUSED));
        }
        Ok(())
    }

    fn is_open(&self, client: ClientOrderId) -> bool {
        self.rooms.iter().flat_map(|room| room.resting.iter().flatten()).any(|o| o.client == client)
    }

    /// What the order would take if it came now.
    fn walk(&self, instrument: InstrumentId, spec: &OrderSpec) -> Walk {
        let limit = (spec.order_type != OrderType::Market).then_some(spec.price);
        let mut walk = Walk { base: 0, quote: 0 };
        let mut left = spec.qty;
        let Some(room) = self.rooms.get(instrument.index()) else { return walk };
        for level in room.view.available(spec.side.opposite()) {
            if left.is_zero() || !crosses(spec.side, limit, level.price) {
                break;
            }
            let qty = left.min(level.qty);
            walk.base += i128::from(qty.units());
            walk.quote += cost(self.slipped(instrument, spec.side, level.price, limit), qty);
            left = Qty::from_units(left.units() - qty.units());
        }
        walk
    }

    fn accept(&mut self, order: &Order, spec: &OrderSpec) {
        let venue_order = VenueOrderId(self.next_order);
        self.next_order += 1;
        let mut working = Working::arrived((order.client, venue_order, order.instrument), spec);
        self.reply(order.instrument, order.client, ReplyKind::Accepted, venue_order, false);
        self.tell_order(&working, OrderState::Acknowledged, false);

        let is_market = spec.order_type == OrderType::Market;
        let limit = (!is_market).then_some(spec.price);
        let walk = self.walk(order.instrument, spec);
        let kills =
            !is_market && spec.time_in_force == TimeInForce::Fok && walk.base < i128::from(spec.qty.units());
        if !kills {
            self.expire_own(order.instrument, spec.side, limit);
            self.take(&mut working, limit);
        }
        let rests = !is_market
            && (spec.order_type == OrderType::LimitMaker || spec.time_in_force == TimeInForce::Gtc);
        if working.remaining().is_zero() {
            self.end(working, OrderState::Filled);
        } else if rests {
            self.rest(working);
        } else {
            self.tell_order(&working, OrderState::Expired, false);
            self.end(working, OrderState::Expired);
        }
        self.tell_balances(order.instrument);
    }

    /// Self-trade prevention as the venue's default has it (`EXPIRE_MAKER`): our own resting orders that the new one would
    /// meet go. Ours are not in the market's book, so a market order meets those at its best price or better.
    fn expire_own(&mut self, instrument: InstrumentId, side: Side, limit: Option<Price>) {
        let opposite = side.opposite();
        let room = &self.rooms[instrument.index()];
        let reach = limit.or_else(|| room.view.best(opposite));
        while let Some(order) = self.rooms[instrument.index()].resting[side_index(opposite)].first().copied()
        {
            if !crosses(side, reach, order.price) {
                break;
            }
            self.rooms[instrument.index()].resting[side_index(opposite)].remove(0);
            self.unlock(&order);
            self.tell_order(&order, OrderState::Expired, false);
            self.end(order, OrderState::Expired);
        }
    }

    /// Takes from the shown levels, best first.
    fn take(&mut self, order: &mut Working, limit: Option<Price>) {
        let Some(&instrument) = self.table.get(order.instrument) else { return };
        let opposite = order.side.opposite();
        while !order.remaining().is_zero() {
            let room = &mut self.rooms[order.instrument.index()];
            let Some(level) = room.view.available(opposite).next() else { break };
            if !crosses(order.side, limit, level.price) {
                break;
            }
            let qty = order.remaining().min(level.qty);
            room.view.take(opposite, Level::new(level.price, qty));
            let price = self.slipped(order.instrument, order.side, level.price, limit);
            self.book_fill(&instrument, order, Level::new(price, qty), false);
        }
    }

    /// What a taker pays or gets for a shown price: worse by the configured slippage, on the tick grid, never beyond its limit.
    fn slipped(&self, id: InstrumentId, side: Side, shown: Price, limit: Option<Price>) -> Price {
        const CENTI_BP: i128 = 1_000_000;
        let slippage = i128::from(self.config.slippage_centi_bp);
        let Some(instrument) = self.table.get(id).filter(|_| slippage > 0) else { return shown };
        let (units, tick) = (i128::from(shown.units()), instrument.price.tick);
        let worse = match side {
            Side::Buy => (units * (CENTI_BP + slippage) + CENTI_BP - 1).div_euclid(CENTI_BP),
            Side::Sell => (units * (CENTI_BP - slippage).max(0)).div_euclid(CENTI_BP),
        };
        let Ok(worse) = i64::try_from(worse) else { return shown };
        let worse = Price::from_units(worse);
        match side {
            Side::Buy => limit.map_or(worse, |limit| worse.min(limit)).ceil_to(tick).unwrap_or(shown),
            Side::Sell => limit.map_or(worse, |limit| worse.max(limit)).floor_to(tick).max(tick),
        }
    }

    fn rest(&mut self, mut order: Working) {
        let Some(instrument) = self.table.get(order.instrument) else { return };
        let (asset, amount) = lock_of(instrument, order.side, order.price, order.remaining());
        // Rounding of several fills may have cost a few units more than was checked: then the rest can't be locked.
        if !self.purse.lock(asset, amount) {
            self.tell_order(&order, OrderState::Expired, false);
            self.end(order, OrderState::Expired);
            return;
        }
        let room = &mut self.rooms[order.instrument.index()];
        order.join(room.view.shown_at(order.side, order.price), room.view.seen_update_id());
        let orders = &mut room.resting[side_index(order.side)];
        let at = orders.partition_point(|o| o.price == order.price || o.is_better_than(order.price));
        orders.insert(at, order);
    }

    /// A resting order is hit. `true` when it is done and gone.
    pub(super) fn fill_resting(&mut self, id: InstrumentId, side: Side, at: usize, qty: Qty) -> bool {
        let Some(&instrument) = self.table.get(id) else { return false };
        let mut order = self.rooms[id.index()].resting[side_index(side)][at];
        let price = order.price;
        self.book_fill(&instrument, &mut order, Level::new(price, qty), true);
        if order.remaining().is_zero() {
            self.rooms[id.index()].resting[side_index(side)].remove(at);
            self.end(order, OrderState::Filled);
            return true;
        }
        self.rooms[id.index()].resting[side_index(side)][at] = order;
        false
    }

    /// Resting orders that the other side's shown prices have reached.
    pub(super) fn match_crossed(&mut self, id: InstrumentId) {
        let mut filled = false;
        for side in [Side::Buy, Side::Sell] {
            loop {
                let room = &mut self.rooms[id.index()];
                let Some(order) = room.resting[side_index(side)].first() else { break };
                let Some(level) = room.view.available(side.opposite()).next() else { break };
                if !crosses(side, Some(order.price), level.price) {
                    break;
                }
                let qty = order.remaining().min(level.qty);
                room.view.take(side.opposite(), Level::new(level.price, qty));
                self.fill_resting(id, side, 0, qty);
                filled = true;
            }
        }
        if filled {
            self.tell_balances(id);
        }
    }

    /// Moves the money of one fill and tells of it.
    fn book_fill(&mut self, instrument: &Instrument, order: &mut Working, at: Level, maker: bool) {
        let rate = if maker { self.config.maker_rate } else { self.config.taker_rate };
        let (got, received) = match order.side {
            Side::Buy => (instrument.base, i128::from(at.qty.units())),
            Side::Sell => (instrument.quote, proceeds(at.price, at.qty)),
        };
        if maker {
            // What the filled part had locked, to the unit: roundings of many fills can't leave anything behind.
            let (asset, before) = lock_of(instrument, order.side, order.price, order.remaining());
            let rest = remaining(order.remaining(), at.qty);
            let (_, after) = lock_of(instrument, order.side, order.price, rest);
            self.purse.unlock(asset, before - after);
            self.purse.pay(asset, before - after);
        } else {
            let (asset, amount) = lock_of(instrument, order.side, at.price, at.qty);
            self.purse.pay(asset, amount);
        }
        let fee = clamp(self.purse.receive(got, received, rate));
        order.filled = Qty::from_units(order.filled.units() + at.qty.units());
        let done = order.remaining().is_zero();
        let trade = TradeId(self.next_trade);
        self.next_trade += 1;
        let update = OrderUpdate {
            state: if done { OrderState::Filled } else { OrderState::PartiallyFilled },
            maker,
            fee_asset: got,
            trade,
            price: at.price,
            qty: at.qty,
            fee,
            ..self.update_of(order, OrderState::Acknowledged, false)
        };
        self.tell(Body::Order(update));
    }

    fn unlock(&mut self, order: &Working) {
        if let Some(instrument) = self.table.get(order.instrument) {
            let (asset, amount) = lock_of(instrument, order.side, order.price, order.remaining());
            self.purse.unlock(asset, amount);
        }
    }

    /// Takes an order out. `true` when it was there.
    pub(super) fn handle_cancel(&mut self, client: ClientOrderId, id: InstrumentId) -> bool {
        let found = self.rooms.get(id.index()).and_then(|room| {
            let place = |side: usize| room.resting[side].iter().position(|o| o.client == client);
            place(0).map(|at| (0, at)).or_else(|| place(1).map(|at| (1, at)))
        });
        let Some((side, at)) = found else {
            let refused = Refused { reason: Reason::UnknownOrder, code: CODE_UNKNOWN_ORDER };
            self.reply_rejected(id, client, refused, true);
            return false;
        };
        let order = self.rooms[id.index()].resting[side].remove(at);
        self.reply(id, client, ReplyKind::Accepted, order.venue_order, true);
        self.cancelled(order);
        self.tell_balances(id);
        true
    }

    fn cancelled(&mut self, order: Working) {
        self.unlock(&order);
        self.tell_order(&order, OrderState::Cancelled, false);
        self.end(order, OrderState::Cancelled);
    }

    /// Nothing open is as good as everything cancelled: what was asked for holds.
    pub(super) fn handle_cancel_all(&mut self, client: ClientOrderId, id: InstrumentId) {
        self.reply(id, client, ReplyKind::Accepted, VenueOrderId(0), true);
        if id.index() >= self.rooms.len() {
            return;
        }
        let mut any = false;
        for side in [Side::Buy, Side::Sell] {
            while let Some(order) = self.rooms[id.index()].resting[side_index(side)].pop() {
                self.cancelled(order);
                any = true;
            }
        }
        if any {
            self.tell_balances(id);
        }
    }

    pub(super) fn handle_status(&mut self, client: ClientOrderId, id: InstrumentId) {
        let open = self
            .rooms
            .get(id.index())
            .and_then(|room| room.resting.iter().flatten().find(|o| o.client == client).copied());
        if let Some(order) = open {
            self.tell_order(&order, state_of(&order), true);
            return;
        }
        let ended = self.ended.iter().rev().find(|e| e.order.client == client && e.order.instrument == id);
        if let Some(&Ended { order, state, at_ns }) = ended {
            let update = OrderUpdate { venue_ns: at_ns, ..self.update_of(&order, state, true) };
            self.tell(Body::Order(update));
            return;
        }
        let reply = Reply {
            kind: ReplyKind::Absent,
            cancel: false,
            instrument: id,
            reason: Reason::VenueReject,
            venue_code: CODE_NO_SUCH_ORDER,
            client,
            venue_order: VenueOrderId(0),
            venue_ns: self.now_ns,
        };
        self.tell(Body::Reply(reply));
    }

    pub(super) fn handle_open_orders(&mut self) {
        let mut count = 0;
        for room in 0..self.rooms.len() {
            for side in 0..2 {
                for at in 0..self.rooms[room].resting[side].len() {
                    let order = self.rooms[room].resting[side][at];
                    self.tell_order(&order, state_of(&order), true);
                    count += 1;
                }
            }
        }
        self.outbound.push_back(FillEvent::OpenOrders { count });
    }

    fn end(&mut self, order: Working, state: OrderState) {
        if self.ended.len() == ORDER_SLOTS {
            self.ended.pop_front();
        }
        self.ended.push_back(Ended { order, state, at_ns: self.now_ns });
    }

    fn reply_rejected(&mut self, id: InstrumentId, client: ClientOrderId, refused: Refused, cancel: bool) {
        self.tell(Body::Reply(Reply {
            kind: ReplyKind::Rejected,
            cancel,
            instrument: id,
            reason: refused.reason,
            venue_code: refused.code,
            client,
            venue_order: VenueOrderId(0),
            venue_ns: self.now_ns,
        }));
    }

    fn reply(
        &mut self,
        instrument: InstrumentId,
        client: ClientOrderId,
        kind: ReplyKind,
        venue_order: VenueOrderId,
        cancel: bool,
    ) {
        self.tell(Body::Reply(Reply {
            kind,
            cancel,
            instrument,
            reason: Reason::None,
            venue_code: 0,
            client,
            venue_order,
            venue_ns: self.now_ns,
        }));
    }

    fn update_of(&self, order: &Working, state: OrderState, snapshot: bool) -> OrderUpdate {
        OrderUpdate {
            instrument: order.instrument,
            side: order.side,
            state,
            snapshot,
            maker: false,
            fee_asset: AssetId::UNKNOWN,
            client: order.client,
            venue_order: order.venue_order,
            trade: TradeId(0),
            price: if order.order_type == OrderType::Market { Price::ZERO } else { order.price },
            qty: order.qty,
            filled: order.filled,
            fee: Qty::ZERO,
            venue_ns: self.now_ns,
        }
    }

    fn tell_order(&mut self, order: &Working, state: OrderState, snapshot: bool) {
        let update = self.update_of(order, state, snapshot);
        self.tell(Body::Order(update));
    }

    pub(super) fn tell_balances(&mut self, id: InstrumentId) {
        if let Some(&instrument) = self.table.get(id) {
            self.tell_balance(instrument.base);
            self.tell_balance(instrument.quote);
        }
    }

    pub(super) fn tell_balance(&mut self, asset: AssetId) {
        let (free, locked) = self.purse.shown(asset);
        self.tell(Body::Balance(BalanceUpdate { asset, free, locked, venue_ns: self.now_ns }));
    }

    fn tell(&mut self, body: Body) {
        self.outbound.push_back(FillEvent::Body(body));
    }
}

fn state_of(order: &Working) -> OrderState {
    if order.filled.is_zero() { OrderState::Acknowledged } else { OrderState::PartiallyFilled }
}
