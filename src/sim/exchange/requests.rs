//! What an account may ask of one symbol: place, cancel, replace, amend. Each request is all or nothing until matching
//! begins: a refusal leaves no trace.

use super::accounts::{AccountId, as_qty};
use super::book::Slot;
use super::events::ExecutionKind;
use super::filters::{self, Reference, Want};
use super::market::{Desk, Market, Note};
use super::matching::{Left, Taker};
use super::order::{
    AmendReport, CancelOrder, CancelReplaceMode, CancelReplaceReport, CancelReport, CancelRestriction,
    ClientId, NewOrder, OrderKey, OrderKind, OrderRecord, OrderReport, OrderStatus, Step,
};
use super::refusal::Refusal;
use super::spec::SymbolStatus;
use crate::types::{Cash, Price, Qty, Side, TimeInForce, VenueOrderId};

/// An amendment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmendOrder {
    /// On what.
    pub symbol: super::spec::SymbolId,
    /// Which.
    pub key: OrderKey,
    /// The quantity that it shall have, less than what it has.
    pub new_qty: Qty,
    /// The client id that it shall have; the venue makes one when there is none.
    pub new_client_id: Option<ClientId>,
}

/// A cancel and a new order in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelReplaceOrder {
    /// The cancel.
    pub cancel: CancelOrder,
    /// What comes after it.
    pub new_order: NewOrder,
    /// Whether it comes even if the cancel fails.
    pub mode: CancelReplaceMode,
}

impl Market {
    /// Shape, status and filters: what is checked before the book is asked.
    pub(super) fn check(&mut self, order: &NewOrder, now_ns: i64) -> Result<Want, Refusal> {
        let want = filters::shape(order)?;
        if self.spec.status != SymbolStatus::Trading {
            return Err(Refusal::MARKET_CLOSED);
        }
        let rules = self.spec.filters;
        let mins = match want {
            Want::Limit(..) => rules.percent_price.avg_price_mins,
            Want::Market(_) | Want::MarketQuote(_) => rules.notional.avg_price_mins,
        };
        let reference = Reference { average: self.tape.average(mins, now_ns).price };
        filters::check(&rules, order.side, want, reference)?;
        Ok(want)
    }

    /// A new order.
    pub(super) fn place(
        &mut self,
        desk: &mut Desk<'_>,
        account: AccountId,
        order: &NewOrder,
    ) -> Result<OrderReport, Refusal> {
        let want = self.check(order, desk.now_ns)?;
        self.place_wanted(desk, account, order, want)
    }

    /// A new order whose filters were checked, or do not bind it.
    pub(super) fn place_wanted(
        &mut self,
        desk: &mut Desk<'_>,
        account: AccountId,
        order: &NewOrder,
        want: Want,
    ) -> Result<OrderReport, Refusal> {
        let mut taker = self.admit(desk, account, order, want)?;
        taker.record.id = self.next_order_id();
        if order.client_id.is_none() {
            taker.record.client_id = self.generated_id();
        }
        self.report(desk, &taker.record, ExecutionKind::New, Note::default());
        let kills = taker.record.kind == OrderKind::Limit
            && taker.record.time_in_force == TimeInForce::Fok
            && !self.outlook(&taker).complete;
        if !kills {
            self.run(desk, &mut taker);
        }
        self.settle_rest(desk, &mut taker);
        Ok(OrderReport { order: taker.record, fills: taker.fills, prevented: taker.prevented })
    }

    /// Checks that need the book or the account, and locks the funds.
    fn admit(
        &self,
        desk: &mut Desk<'_>,
        account: AccountId,
        order: &NewOrder,
        want: Want,
    ) -> Result<Taker, Refusal> {
        if let Some(client) = order.client_id
            && self.book.find(account, OrderKey::Client(client)).is_some()
        {
            return Err(Refusal::DUPLICATE);
        }
        let taker = self.taker(account, order, want, desk.now_ns);
        let filters = &self.spec.filters;
        if let Want::Limit(price, qty) = want {
            let limited = desk.accounts.get(account).config.orders_limited;
            if limited && self.book.open_count(account) >= filters.orders_max {
                return Err(Refusal::MAX_NUM_ORDERS);
            }
            if let (Side::Buy, Some(max)) = (order.side, filters.position_max) {
                self.check_position(desk, account, qty, max)?;
            }
            if order.kind == OrderKind::LimitMaker
                && self.book.best(order.side.opposite()).is_some_and(|best| match order.side {
                    Side::Buy => best.price <= price,
                    Side::Sell => best.price >= price,
                })
            {
                return Err(Refusal::WOULD_TAKE);
            }
            let (asset, amount) = self.lock_of(&taker.record, qty);
            if !desk.accounts.lock(account, asset, amount) {
                return Err(Refusal::INSUFFICIENT_BALANCE);
            }
            return Ok(taker);
        }
        self.admit_market(desk, &taker)?;
        Ok(taker)
    }

    /// A market order must be payable in full for what the book would give it now.
    fn admit_market(&self, desk: &Desk<'_>, taker: &Taker) -> Result<(), Refusal> {
        let (account, side) = (taker.record.account, taker.record.side);
        let outlook = self.outlook(taker);
        if let (Side::Buy, Some(max)) = (side, self.spec.filters.position_max) {
            self.check_position(desk, account, outlook.base, max)?;
        }
        if let Left::Quote(_) = taker.left {
            let best = self.book.best(side.opposite()).ok_or(Refusal::NO_LIQUIDITY)?;
            let lot = self.spec.filters.lot;
            if taker.left.at(best.price, lot.step) < lot.min {
                return Err(Refusal::LIQUIDITY_LOT_SIZE);
            }
        }
        let (asset, needed) = match (side, taker.left) {
            (Side::Buy, Left::Base(_)) => (self.quote, as_qty(outlook.quote)),
            (Side::Buy, Left::Quote(cash)) => (self.quote, as_qty(cash)),
            (Side::Sell, Left::Base(qty)) => (self.base, qty),
            (Side::Sell, Left::Quote(_)) => (self.base, outlook.base),
        };
        if desk.accounts.holding(account, asset).free < needed {
            return Err(Refusal::INSUFFICIENT_BALANCE);
        }
        Ok(())
    }

    /// `MAX_POSITION`: what the account has of the base asset, what its open buys may bring, and this order.
    fn check_position(&self, desk: &Desk<'_>, account: AccountId, qty: Qty, max: Qty) -> Result<(), Refusal> {
        let held = desk.accounts.holding(account, self.base).total();
        let buys: i128 = self
            .book
            .of_account(account)
            .filter(|(_, record)| record.side == Side::Buy)
            .map(|(_, record)| i128::from(record.remaining().units()))
            .sum();
        if held + buys + i128::from(qty.units()) > i128::from(max.units()) {
            return Err(Refusal::MAX_POSITION);
        }
        Ok(())
    }

    fn taker(&self, account: AccountId, order: &NewOrder, want: Want, now_ns: i64) -> Taker {
        let (price, qty, quote_qty, left) = match want {
            Want::Limit(price, qty) => (price, qty, Cash::ZERO, Left::Base(qty)),
            Want::Market(qty) => (Price::ZERO, qty, Cash::ZERO, Left::Base(qty)),
            Want::MarketQuote(cash) => (Price::ZERO, Qty::ZERO, cash, Left::Quote(cash)),
        };
        let limit_order = matches!(want, Want::Limit(..));
        let record = OrderRecord {
            id: VenueOrderId(0),
            symbol: self.id,
            account,
            client_id: order.client_id.unwrap_or(ClientId::generated(0)),
            side: order.side,
            kind: order.kind,
            time_in_force: if order.kind == OrderKind::Limit {
                order.time_in_force
            } else {
                TimeInForce::Gtc
            },
            price,
            qty,
            quote_qty,
            executed: Qty::ZERO,
            executed_quote: Cash::ZERO,
            prevented: Qty::ZERO,
            prevented_match: None,
            status: OrderStatus::New,
            stp: order.stp.unwrap_or(self.spec.stp_default),
            created_ns: now_ns,
            updated_ns: now_ns,
            working_ns: now_ns,
            amends: 0,
        };
        Taker { record, limit: limit_order.then_some(price), left, fills: Vec::new(), prevented: Vec::new() }
    }

    /// What matching left over rests, or expires.
    fn settle_rest(&mut self, desk: &mut Desk<'_>, taker: &mut Taker) {
        if !taker.record.status.is_open() {
            return;
        }
        let limit_order = taker.limit.is_some();
        if limit_order && taker.record.time_in_force == TimeInForce::Gtc {
            self.book.insert(taker.record);
            self.touch(desk, taker.record.side, taker.record.price);
            return;
        }
        if limit_order {
            let (asset, amount) = self.lock_of(&taker.record, taker.record.remaining());
            desk.accounts.unlock(taker.record.account, asset, amount);
        }
        taker.record.status = OrderStatus::Expired;
        taker.record.updated_ns = desk.now_ns;
        self.report(desk, &taker.record, ExecutionKind::Expired, Note::default());
    }

    /// A cancel.
    pub(super) fn cancel(
        &mut self,
        desk: &mut Desk<'_>,
        account: AccountId,
        order: &CancelOrder,
    ) -> Result<CancelReport, Refusal> {
        if !matches!(self.spec.status, SymbolStatus::Trading | SymbolStatus::CancelOnly) {
            return Err(Refusal::MARKET_CLOSED);
        }
        let slot = self.book.find(account, order.key).ok_or(Refusal::UNKNOWN_ORDER)?;
        let allowed = match order.restriction {
            None => true,
            Some(CancelRestriction::OnlyNew) => self.book.record(slot).status == OrderStatus::New,
            Some(CancelRestriction::OnlyPartiallyFilled) => {
                self.book.record(slot).status == OrderStatus::PartiallyFilled
            }
        };
        if !allowed {
            return Err(Refusal::CANCEL_RESTRICTED);
        }
        let client_id = order.new_client_id.unwrap_or_else(|| self.generated_id());
        Ok(self.take_out(desk, slot, client_id))
    }

    /// Cancels all orders of an account, oldest first.
    pub(super) fn cancel_all(
        &mut self,
        desk: &mut Desk<'_>,
        account: AccountId,
    ) -> Result<Vec<CancelReport>, Refusal> {
        if !matches!(self.spec.status, SymbolStatus::Trading | SymbolStatus::CancelOnly) {
            return Err(Refusal::MARKET_CLOSED);
        }
        let slots: Vec<Slot> = self.book.of_account(account).map(|(slot, _)| slot).collect();
        if slots.is_empty() {
            return Err(Refusal::UNKNOWN_ORDER);
        }
        Ok(slots
            .into_iter()
            .map(|slot| {
                let client_id = self.generated_id();
                self.take_out(desk, slot, client_id)
            })
            .collect())
    }

    fn take_out(&mut self, desk: &mut Desk<'_>, slot: Slot, client_id: ClientId) -> CancelReport {
        let mut record = self.book.remove(slot);
        let (asset, amount) = self.lock_of(&record, record.remaining());
        desk.accounts.unlock(record.account, asset, amount);
        self.touch(desk, record.side, record.price);
        record.status = OrderStatus::Canceled;
        record.updated_ns = desk.now_ns;
        let note =
            Note { request_id: Some(client_id), orig_client_id: Some(record.client_id), ..Note::default() };
        self.report(desk, &record, ExecutionKind::Canceled, note);
        CancelReport { order: record, client_id }
    }

    /// Cancels one order and places another. The filters are asked first, as the venue documents: what fails them leaves
    /// the old order alone.
    pub(super) fn cancel_replace(
        &mut self,
        desk: &mut Desk<'_>,
        account: AccountId,
        request: &CancelReplaceOrder,
    ) -> Result<CancelReplaceReport, Refusal> {
        self.check(&request.new_order, desk.now_ns)?;
        let cancel = match self.cancel(desk, account, &request.cancel) {
            Ok(report) => Step::Success(report),
            Err(refusal) => Step::Failure(refusal),
        };
        let cancelled = matches!(cancel, Step::Success(_));
        if !cancelled && request.mode == CancelReplaceMode::StopOnFailure {
            return Ok(CancelReplaceReport { cancel, new_order: Step::NotAttempted });
        }
        let new_order = match self.place(desk, account, &request.new_order) {
            Ok(report) => Step::Success(report),
            Err(refusal) => {
                if cancelled {
                    self.report_rejected(desk, account, &request.new_order, refusal);
                }
                Step::Failure(refusal)
            }
        };
        Ok(CancelReplaceReport { cancel, new_order })
    }

    fn report_rejected(
        &mut self,
        desk: &mut Desk<'_>,
        account: AccountId,
        order: &NewOrder,
        refusal: Refusal,
    ) {
        let Ok(want) = filters::shape(order) else { return };
        let mut record = self.taker(account, order, want, desk.now_ns).record;
        record.id = self.next_order_id();
        record.status = OrderStatus::Rejected;
        let note = Note { reject_reason: Some(refusal.reject_reason()), ..Note::default() };
        self.report(desk, &record, ExecutionKind::Rejected, note);
    }

    /// Makes an order smaller; its place in the queue stays.
    pub(super) fn amend(
        &mut self,
        desk: &mut Desk<'_>,
        account: AccountId,
        request: &AmendOrder,
    ) -> Result<AmendReport, Refusal> {
        if self.spec.status != SymbolStatus::Trading {
            return Err(Refusal::MARKET_CLOSED);
        }
        let slot = self.book.find(account, request.key).ok_or(Refusal::AMEND_UNKNOWN)?;
        let before = *self.book.record(slot);
        self.check_amend(desk, &before, request)?;
        let released = super::accounts::minus(before.qty, request.new_qty);
        let (asset, amount) = self.lock_of(&before, released);
        let client_id = request.new_client_id.unwrap_or_else(|| self.generated_id());
        if client_id != before.client_id {
            self.book.rename(slot, client_id);
        }
        let now_ns = desk.now_ns;
        let order = self.book.update(slot, |record| {
            record.qty = request.new_qty;
            record.amends += 1;
            record.updated_ns = now_ns;
        });
        desk.accounts.unlock(account, asset, amount);
        self.touch(desk, order.side, order.price);
        let note = Note { orig_client_id: Some(before.client_id), ..Note::default() };
        let execution_id = self.report(desk, &order, ExecutionKind::Replaced, note);
        Ok(AmendReport { order, orig_client_id: before.client_id, orig_qty: before.qty, execution_id })
    }

    fn check_amend(
        &mut self,
        desk: &Desk<'_>,
        order: &OrderRecord,
        request: &AmendOrder,
    ) -> Result<(), Refusal> {
        let rules = self.spec.filters;
        if request.new_qty.units() <= 0 {
            return Err(Refusal::INVALID_QUANTITY);
        }
        let want = Want::Limit(order.price, request.new_qty);
        let average = self.tape.average(rules.percent_price.avg_price_mins, desk.now_ns).price;
        filters::check(&rules, order.side, want, Reference { average })?;
        if request.new_qty > order.qty {
            return Err(Refusal::AMEND_INCREASE);
        }
        if request.new_qty == order.qty {
            return Err(Refusal::AMEND_NOTHING);
        }
        if order.amends >= rules.amends_max {
            return Err(Refusal::AMEND_LIMIT);
        }
        let done = super::accounts::plus(order.executed, order.prevented);
        if request.new_qty <= done {
            return Err(Refusal::AMEND_BELOW_EXECUTED);
        }
        if let Some(client) = request.new_client_id
            && client != order.client_id
            && self.book.find(order.account, OrderKey::Client(client)).is_some()
        {
            return Err(Refusal::DUPLICATE);
        }
        Ok(())
    }
}
