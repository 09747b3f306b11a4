//! Liquidity that comes from outside: a recorded book mirrored as resting orders of one house account, and recorded trades.
//!
//! Clients' orders then match by the engine's own rules: what takes walks the mirrored levels; what rests is filled when
//! a recorded order crosses it or a recorded trade goes through its price. At the trade's own price it is not: where in
//! the recorded queue it would have stood nobody knows, and the doubt goes against the client.

use super::accounts::AccountId;
use super::filters::Want;
use super::market::{Desk, Market};
use super::order::{ClientId, NewOrder, OrderKey, OrderRecord, StpMode};
use super::spec::SymbolId;
use super::tape::{Interval, Kline};
use super::{Exchange, PublicTrade};
use crate::types::{Level, Price, Qty, Side, TimeInForce};

impl Exchange {
    /// Makes the quantity of the house at a price what the recording says; zero removes it. The house account must be rich
    /// enough for the whole book; what it can't pay for is left out.
    pub fn set_external_level(
        &mut self,
        house: AccountId,
        symbol: SymbolId,
        side: Side,
        level: Level,
        now_ns: i64,
    ) {
        self.at_desk(symbol, now_ns, |market, desk| {
            market.external = true;
            market.mirror(desk, house, side, level);
        });
    }

    /// A recorded trade: goes on the tape, and through the orders whose price it passed.
    pub fn external_trade(&mut self, house: AccountId, trade: &PublicTrade) {
        self.at_desk(trade.symbol, trade.time_ns, |market, desk| {
            market.external = true;
            market.tape.add(*trade);
            market.pass_through(desk, house, trade);
        });
    }

    /// Puts candles of the past on the tape: of `interval` and of every longer one that is made of it. For a tape on which
    /// nothing is yet.
    pub fn seed_klines(&mut self, symbol: SymbolId, interval: Interval, klines: &[Kline]) {
        self.market_mut(symbol).tape.seed(interval, klines);
    }
}

/// The house has one order at a price, found by this id.
fn level_id(side: Side, price: Price) -> Option<ClientId> {
    ClientId::new(format!("{}{}", side.as_str(), price.units()).as_bytes())
}

impl Market {
    fn mirror(&mut self, desk: &mut Desk<'_>, house: AccountId, side: Side, level: Level) {
        let Some(id) = level_id(side, level.price) else { return };
        if let Some(slot) = self.book.find(house, OrderKey::Client(id)) {
            self.remirror(desk, *self.book.record(slot), level.qty);
        } else if !level.qty.is_zero() {
            let mut order = NewOrder::limit(self.id, side, level.price, level.qty).with_client_id(id);
            // What the house still has on the other side at such a price is older news.
            order.stp = Some(StpMode::ExpireMaker);
            // A house that can't pay leaves the level out; that shows in the depth, not in an error.
            drop(self.place_wanted(desk, house, &order, Want::Limit(level.price, level.qty)));
        }
    }

    /// Changes the house's order in place: its place in the queue stays before that of clients who came after it.
    fn remirror(&mut self, desk: &mut Desk<'_>, before: OrderRecord, qty: Qty) {
        let Some(slot) = self.book.find(before.account, OrderKey::Id(before.id)) else { return };
        let (asset, held) = self.lock_of(&before, before.remaining());
        desk.accounts.unlock(before.account, asset, held);
        let (_, needed) = self.lock_of(&before, qty);
        if qty.is_zero() || !desk.accounts.lock(before.account, asset, needed) {
            // Funds were given back just now: take out an order that holds none.
            self.book.remove(slot);
        } else {
            self.book.update(slot, |record| {
                let gone = super::accounts::plus(record.executed, record.prevented);
                record.qty = super::accounts::plus(gone, qty);
            });
        }
        self.touch(desk, before.side, before.price);
    }

    /// Fills clients' orders that the trade's price is beyond.
    fn pass_through(&mut self, desk: &mut Desk<'_>, house: AccountId, trade: &PublicTrade) {
        let (resting, taking) =
            if trade.buyer_is_maker { (Side::Buy, Side::Sell) } else { (Side::Sell, Side::Buy) };
        let beyond = |price: Price| match resting {
            Side::Buy => price > trade.price,
            Side::Sell => price < trade.price,
        };
        let worst = self
            .book
            .orders(resting)
            .take_while(|order| beyond(order.price))
            .filter(|order| order.account != house)
            .last()
            .map(|order| order.price);
        let Some(price) = worst else { return };
        let mut order =
            NewOrder::limit(self.id, taking, price, trade.qty).with_time_in_force(TimeInForce::Ioc);
        // House levels on the way were consumed by this very trade in the recording.
        order.stp = Some(StpMode::ExpireMaker);
        drop(self.place_wanted(desk, house, &order, Want::Limit(price, trade.qty)));
    }
}
