//! Matching: an incoming order against the resting ones, best price first, oldest first at a price.

use super::accounts::{AccountId, Pocket, as_qty};
use super::book::Slot;
use super::events::{ExecutionKind, LastFill, LastPrevention, MarketEvent, PublicTrade};
use super::history::AccountTrade;
use super::market::{Desk, Market, Note, next};
use super::order::{Fill, OrderRecord, OrderStatus, PreventedMatch, StpMode};
use super::tape::buyer_is_maker;
use crate::types::{Cash, Price, Qty, Side, TradeId};

/// What an incoming order may still do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// This much of the base asset.
    Base(Qty),
    /// As much as this much of the quote asset gives.
    Quote(Cash),
}

impl Left {
    /// How much of the base asset it can take at a price, on the lot grid.
    pub(super) fn at(self, price: Price, step: Qty) -> Qty {
        match self {
            Self::Base(qty) => qty,
            Self::Quote(cash) => {
                let units = i128::from(cash.units()) * i128::from(Price::ONE.units())
                    / i128::from(price.units().max(1));
                Qty::from_units(i64::try_from(units).unwrap_or(i64::MAX)).floor_to(step)
            }
        }
    }

    /// Less a quantity at a price.
    fn less(self, price: Price, qty: Qty) -> Self {
        match self {
            Self::Base(left) => Self::Base(super::accounts::minus(left, qty)),
            Self::Quote(left) => {
                let value = Market::value(price, qty);
                Self::Quote(Cash::from_units(left.units() - value.units()))
            }
        }
    }
}

/// An incoming order on its way through the book.
#[derive(Debug)]
pub(super) struct Taker {
    pub(super) record: OrderRecord,
    /// The worst price; `None` for market orders.
    pub(super) limit: Option<Price>,
    pub(super) left: Left,
    pub(super) fills: Vec<Fill>,
    pub(super) prevented: Vec<PreventedMatch>,
}

impl Taker {
    fn crosses(&self, price: Price) -> bool {
        match (self.limit, self.record.side) {
            (None, _) => true,
            (Some(limit), Side::Buy) => price <= limit,
            (Some(limit), Side::Sell) => price >= limit,
        }
    }

    fn is_own(&self, maker: AccountId) -> bool {
        self.record.account == maker && self.record.stp != StpMode::None
    }
}

/// What an order would do if it came now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    /// Base quantity that would trade.
    pub(super) base: Qty,
    /// Its quote value.
    pub(super) quote: Cash,
    /// Whether nothing of it would be left.
    pub(super) complete: bool,
}

impl Market {
    /// What an order would do if it came now, self-trade prevention included.
    pub(super) fn outlook(&self, taker: &Taker) -> Outlook {
        let step = self.spec.filters.lot.step;
        let (mut left, mut base, mut quote) = (taker.left, 0i64, 0i64);
        let mut complete = false;
        for maker in self.book.orders(taker.record.side.opposite()) {
            let available = left.at(maker.price, step);
            if available.is_zero() {
                complete = true;
                break;
            }
            if !taker.crosses(maker.price) {
                break;
            }
            let qty = available.min(maker.remaining());
            if taker.is_own(maker.account) {
                match taker.record.stp {
                    StpMode::ExpireMaker | StpMode::None => continue,
                    StpMode::ExpireTaker | StpMode::ExpireBoth => break,
                    StpMode::Decrement => {
                        left = left.less(maker.price, qty);
                        // What is prevented is not traded: such an order is never complete.
                        if left == Left::Base(Qty::ZERO) {
                            break;
                        }
                        continue;
                    }
                }
            }
            left = left.less(maker.price, qty);
            base += qty.units();
            quote += Self::value(maker.price, qty).units();
        }
        let asked = match taker.left {
            Left::Base(qty) => base == qty.units(),
            Left::Quote(_) => complete,
        };
        Outlook { base: Qty::from_units(base), quote: Cash::from_units(quote), complete: asked }
    }

    /// Matches until the order is done, its limit is reached or the book is empty.
    pub(super) fn run(&mut self, desk: &mut Desk<'_>, taker: &mut Taker) {
        let step = self.spec.filters.lot.step;
        while let Some(slot) = self.book.first(taker.record.side.opposite()) {
            let maker = self.book.record(slot);
            let (price, remaining, account) = (maker.price, maker.remaining(), maker.account);
            let available = taker.left.at(price, step);
            if available.is_zero() || !taker.crosses(price) || !taker.record.status.is_open() {
                break;
            }
            let qty = available.min(remaining);
            if taker.is_own(account) {
                self.prevent(desk, taker, slot, qty);
            } else {
                self.fill(desk, taker, slot, qty);
            }
        }
    }

    /// One trade.
    fn fill(&mut self, desk: &mut Desk<'_>, taker: &mut Taker, slot: Slot, qty: Qty) {
        let now_ns = desk.now_ns;
        let price = self.book.record(slot).price;
        let value = Self::value(price, qty);
        let trade_id = TradeId(next(&mut self.numbers.trade));
        let maker = self.book.update(slot, |maker| {
            book_fill(maker, qty, value, now_ns);
            let done = maker.remaining().is_zero();
            maker.status = if done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };
        });
        self.touch(desk, maker.side, price);
        if maker.status == OrderStatus::Filled {
            self.book.remove(slot);
        }
        taker.left = taker.left.less(price, qty);
        book_fill(&mut taker.record, qty, value, now_ns);
        let done = match taker.left {
            Left::Base(left) => left.is_zero(),
            Left::Quote(_) => {
                taker.record.qty = super::accounts::plus(taker.record.executed, taker.record.prevented);
                self.book
                    .best(maker.side)
                    .is_some_and(|next| taker.left.at(next.price, self.spec.filters.lot.step).is_zero())
            }
        };
        taker.record.status = if done { OrderStatus::Filled } else { OrderStatus::PartiallyFilled };

        let trade = PublicTrade {
            symbol: self.id,
            id: trade_id,
            agg_id: self.tape.aggregate(taker.record.id, price),
            price,
            qty,
            quote: value,
            time_ns: now_ns,
            buyer_is_maker: buyer_is_maker(taker.record.side),
            taker_order: taker.record.id,
        };
        if !self.external {
            self.tape.add(trade);
        }
        desk.out.market.push(MarketEvent::Trade(trade));

        let taken = self.settle(desk, &taker.record, &trade, false, taker.limit.is_some());
        taker.fills.push(Fill {
            trade_id,
            price,
            qty,
            commission: taken.commission,
            commission_asset: taken.commission_asset,
        });
        self.settle(desk, &maker, &trade, true, true);
    }

    /// Moves one side's money, reports its fill and remembers it.
    fn settle(
        &mut self,
        desk: &mut Desk<'_>,
        order: &OrderRecord,
        trade: &PublicTrade,
        maker: bool,
        was_locked: bool,
    ) -> LastFill {
        let cash = as_qty(trade.quote);
        let (paid_asset, paid, got_asset, got) = match order.side {
            Side::Buy => (self.quote, cash, self.base, trade.qty),
            Side::Sell => (self.base, trade.qty, self.quote, cash),
        };
        let pocket = if was_locked { Pocket::Locked(self.lock_of(order, trade.qty).1) } else { Pocket::Free };
        desk.accounts.pay(order.account, paid_asset, paid, pocket);
        let commission = desk.accounts.receive(order.account, got_asset, got, maker);
        let fill = LastFill {
            trade_id: trade.id,
            price: trade.price,
            qty: trade.qty,
            quote: trade.quote,
            commission,
            commission_asset: got_asset,
            maker,
        };
        if desk.reports(order.account) {
            let past = AccountTrade {
                symbol: self.id,
                id: trade.id,
                order: order.id,
                price: trade.price,
                qty: trade.qty,
                quote: trade.quote,
                commission,
                commission_asset: got_asset,
                time_ns: trade.time_ns,
                buyer: order.side == Side::Buy,
                maker,
            };
            self.history_mut(order.account).trade(past, desk.trades_kept_max);
        }
        self.report(desk, order, ExecutionKind::Trade, Note { fill: Some(fill), ..Note::default() });
        fill
    }

    /// One trade of an account with itself that the taker's mode forbids.
    fn prevent(&mut self, desk: &mut Desk<'_>, taker: &mut Taker, slot: Slot, qty: Qty) {
        let match_id = next(&mut self.numbers.prevented);
        let price = self.book.record(slot).price;
        let maker_left = self.book.record(slot).remaining();
        let (taker_loses, maker_loses) = match (taker.record.stp, taker.left) {
            (StpMode::None | StpMode::ExpireMaker, _) => (None, Some(maker_left)),
            (StpMode::ExpireTaker, Left::Base(left)) => (Some(left), None),
            (StpMode::ExpireBoth, Left::Base(left)) => (Some(left), Some(maker_left)),
            (StpMode::ExpireTaker, Left::Quote(_)) => (Some(qty), None),
            (StpMode::ExpireBoth, Left::Quote(_)) => (Some(qty), Some(maker_left)),
            (StpMode::Decrement, _) => (Some(qty), Some(qty)),
        };
        let maker_id = self.book.record(slot).id;
        taker.prevented.push(PreventedMatch {
            id: match_id,
            taker: taker.record.id,
            maker: maker_id,
            price,
            taker_prevented: taker_loses,
            maker_prevented: maker_loses,
        });
        if let Some(qty) = maker_loses {
            let last = LastPrevention { match_id, qty, counter_order: taker.record.id, price };
            self.prevent_maker(desk, slot, last);
        }
        if let Some(qty) = taker_loses {
            let last = LastPrevention { match_id, qty, counter_order: maker_id, price };
            self.prevent_taker(desk, taker, last);
        }
    }

    fn prevent_maker(&mut self, desk: &mut Desk<'_>, slot: Slot, last: LastPrevention) {
        let now_ns = desk.now_ns;
        let (asset, amount) = self.lock_of(self.book.record(slot), last.qty);
        let maker = self.book.update(slot, |maker| book_prevention(maker, last, now_ns));
        self.touch(desk, maker.side, maker.price);
        if !maker.status.is_open() {
            self.book.remove(slot);
        }
        desk.accounts.unlock(maker.account, asset, amount);
        let note = Note { prevention: Some(last), ..Note::default() };
        self.report(desk, &maker, ExecutionKind::TradePrevention, note);
    }

    fn prevent_taker(&mut self, desk: &mut Desk<'_>, taker: &mut Taker, last: LastPrevention) {
        if taker.limit.is_some() {
            let (asset, amount) = self.lock_of(&taker.record, last.qty);
            desk.accounts.unlock(taker.record.account, asset, amount);
        }
        let ends = taker.record.stp != StpMode::Decrement;
        if matches!(taker.left, Left::Quote(_)) {
            // A quote quantity order has no base quantity of its own: what is prevented is added to it.
            taker.record.qty = super::accounts::plus(taker.record.qty, last.qty);
        }
        taker.left = taker.left.less(last.price, last.qty);
        book_prevention(&mut taker.record, last, desk.now_ns);
        taker.record.status = match taker.left {
            Left::Base(left) if ends || left.is_zero() => OrderStatus::ExpiredInMatch,
            Left::Quote(_) if ends => OrderStatus::ExpiredInMatch,
            _ if taker.record.executed.is_zero() => OrderStatus::New,
            _ => OrderStatus::PartiallyFilled,
        };
        let note = Note { prevention: Some(last), ..Note::default() };
        self.report(desk, &taker.record, ExecutionKind::TradePrevention, note);
    }
}

fn book_fill(record: &mut OrderRecord, qty: Qty, value: Cash, now_ns: i64) {
    record.executed = super::accounts::plus(record.executed, qty);
    record.executed_quote = Cash::from_units(record.executed_quote.units() + value.units());
    record.updated_ns = now_ns;
}

fn book_prevention(record: &mut OrderRecord, last: LastPrevention, now_ns: i64) {
    record.prevented = super::accounts::plus(record.prevented, last.qty);
    record.prevented_match = Some(last.match_id);
    record.updated_ns = now_ns;
    if record.remaining().is_zero() {
        record.status = OrderStatus::ExpiredInMatch;
    }
}
