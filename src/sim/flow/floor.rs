//! What a participant sees and may do when it is its turn: one symbol, one moment, one account.

use rand_chacha::ChaCha8Rng;

use super::fair::FairValue;
use super::sampling::{PPM, chance};
use crate::sim::exchange::{
    AccountId, BestPrices, CancelOrder, Exchange, NewOrder, OrderKey, OrderReport, SymbolId,
};
use crate::types::{Cash, Price, Qty, Side, TimeInForce, VenueOrderId};

/// The symbol's grid.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) tick: Price,
    pub(super) step: Qty,
    /// Smallest quantity that surely passes the notional filter.
    pub(super) qty_min: Qty,
    pub(super) qty_max: Qty,
    /// Ticks that the fair value wanders in the time that a quote lives: closer than that, nobody bothers to requote.
    pub(super) slack_ticks: i64,
}

impl Grid {
    /// The quantity worth `value`, on the grid and within the bounds.
    pub(super) fn qty_for(&self, value: i64, price: Price) -> Qty {
        let units = i128::from(value) * i128::from(Price::ONE.units()) / i128::from(price.units().max(1));
        let qty = Qty::from_units(i64::try_from(units).unwrap_or(i64::MAX)).floor_to(self.step);
        qty.clamp(self.qty_min, self.qty_max)
    }

    /// A price this many ticks away from the market's side of `from` (positive = deeper in the book), on the grid.
    pub(super) fn away(&self, side: Side, from: Price, ticks: i64) -> Price {
        let base = match side {
            Side::Buy => from.floor_to(self.tick),
            Side::Sell => from.ceil_to(self.tick).unwrap_or(from),
        };
        let units = base.units() - side.sign() * ticks * self.tick.units();
        Price::from_units(units.max(self.tick.units()))
    }
}

/// A participant's turn.
#[derive(Debug)]
pub(super) struct Floor<'a> {
    pub(super) exchange: &'a mut Exchange,
    pub(super) rng: &'a mut ChaCha8Rng,
    pub(super) fair: &'a mut FairValue,
    pub(super) symbol: SymbolId,
    pub(super) grid: Grid,
    /// Move of the fair value for a taker of 10,000, in `1e-8`.
    pub(super) impact: i64,
    /// Value that sizes are measured by, in cash units.
    pub(super) typical_value: i64,
    pub(super) now_ns: i64,
    /// Requests made in this turn.
    pub(super) requests: u64,
}

impl Floor<'_> {
    pub(super) fn best(&self) -> BestPrices {
        self.exchange.best(self.symbol)
    }

    fn place(&mut self, account: AccountId, order: &NewOrder) -> Option<OrderReport> {
        self.requests += 1;
        // A refusal is part of a participant's life: it sees nothing and tries something else next time.
        self.exchange.place(account, order, self.now_ns).ok()
    }

    /// Quotes, post only: never takes. When the price would match, quotes one tick short of the other side.
    pub(super) fn quote(
        &mut self,
        account: AccountId,
        side: Side,
        price: Price,
        qty: Qty,
    ) -> Option<VenueOrderId> {
        let best = self.best();
        let other = match side {
            Side::Buy => best.ask,
            Side::Sell => best.bid,
        };
        let price = match (side, other) {
            (Side::Buy, Some(ask)) if price >= ask.price => self.grid.away(Side::Sell, ask.price, -1),
            (Side::Sell, Some(bid)) if price <= bid.price => self.grid.away(Side::Buy, bid.price, -1),
            _ => price,
        };
        let order = NewOrder::limit(self.symbol, side, price, qty).post_only();
        self.place(account, &order).map(|report| report.order.id)
    }

    /// Takes up to a quantity; what a limit does not reach is let go. The fair value moves with what was taken: the others
    /// believe that the taker knows something.
    pub(super) fn take(&mut self, account: AccountId, side: Side, qty: Qty, limit: Option<Price>) -> Cash {
        let taken = self.pick(account, side, qty, limit);
        self.fair.push(side.sign() * taken.units(), self.impact);
        taken
    }

    /// Takes what the fair value already says is cheap or dear: no news to anyone.
    pub(super) fn pick(&mut self, account: AccountId, side: Side, qty: Qty, limit: Option<Price>) -> Cash {
        let order = match limit {
            Some(price) => {
                NewOrder::limit(self.symbol, side, price, qty).with_time_in_force(TimeInForce::Ioc)
            }
            None => NewOrder::market(self.symbol, side, qty),
        };
        self.place(account, &order).map_or(Cash::ZERO, |report| report.order.executed_quote)
    }

    /// A side, drawn: even when there is no pressure, else leaning by up to `percent` hundredths.
    pub(super) fn lean(&mut self, percent: i64) -> Side {
        let buys = 50 + percent * self.fair.pressure_ppm() / PPM;
        let is_buy = chance(self.rng, u32::try_from(buys).unwrap_or(0));
        if is_buy { Side::Buy } else { Side::Sell }
    }

    /// A value scaled by how much the crowd wants this side: from a fifth to nine fifths.
    pub(super) fn wanted_value(&self, side: Side, value: i64) -> i64 {
        value + value / 5 * 4 * side.sign() * (self.fair.pressure_ppm() / 1_000) / 1_000
    }

    pub(super) fn cancel(&mut self, account: AccountId, id: VenueOrderId) -> bool {
        self.requests += 1;
        let order = CancelOrder::new(self.symbol, OrderKey::Id(id));
        self.exchange.cancel(account, &order, self.now_ns).is_ok()
    }

    /// An order's price while it is open.
    pub(super) fn open_price(&self, account: AccountId, id: VenueOrderId) -> Option<Price> {
        self.exchange
            .order(account, self.symbol, OrderKey::Id(id))
            .ok()
            .filter(|order| order.status.is_open())
            .map(|order| order.price)
    }
}
