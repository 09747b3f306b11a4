//! What a named person settles (`interlock reconcile --adopt`): the venue is right. Balances are taken from there; an order that
//! it denies is over; a trade that it does not list never happened; and where a position is not what the venue's trades make
//! it, or is more than the account has, it is brought there.
//!
//! A position is changed as by an order that was filled, because then every stage, the journal and every replay fold it as they
//! fold everything else: an order of ours that no venue ever sees, with a number from the end of this boot's range, for the
//! strategy whose position is wrong. It stands in the journal as what it is, and `POSITION_CORRECTED` tells of it.

use serde_json::json;

use super::Reconciler;
use crate::event::{Body, CarriedOrder, OrderUpdate};
use crate::ops::events::Level;
use crate::ops::reconcile::books::{Exact, OpenHere, TradeKey};
use crate::ops::reconcile::{BooksView, Difference, VenueView};
use crate::types::{
    AssetId, ClientOrderId, InstrumentId, OrderState, Price, Qty, Side, StrategyId, TradeId, VenueOrderId,
};

/// One unit of a quantity in exact units.
const UNIT: Exact = 1_000_000_000;

/// A change of a position: on what, by how much, at which price, for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Correction {
    instrument: InstrumentId,
    by: Exact,
    price: Price,
    owner: StrategyId,
    /// No trade says so, and from now on none has to: what the trades come to is moved along.
    beyond_trades: bool,
}

impl Reconciler {
    /// Takes what the venue says as right, once. `false`: something differs that this does not settle.
    pub(super) fn adopt(&mut self, confirmed: &[Difference], venue: &VenueView, view: &BooksView) -> bool {
        let settles = |d: &Difference| {
            !matches!(d, Difference::Unrecorded(_) | Difference::StillOpen(_) | Difference::Foreign(_))
        };
        if !confirmed.iter().all(settles) || !venue.is_still() {
            return false;
        }
        let Some(corrections) = self.corrections(confirmed, view) else { return false };
        let words: Vec<_> = confirmed.iter().map(|d| d.describe(&self.parts.table)).collect();
        self.event(Level::Warn, "RECONCILE_ADOPTED", &[("differences", json!(words))]);
        for difference in confirmed {
            match difference {
                // An order that the venue has spoken of and now denies: over, with what was filled of it.
                Difference::NoSuchOrder(client) => {
                    if let Some(here) = view.open.iter().find(|o| o.client == *client) {
                        self.tell(Body::Order(ended(here)));
                    }
                }
                Difference::NoSuchTrade(key) => self.strike(*key),
                _ => {}
            }
        }
        for correction in corrections {
            self.correct(&correction);
        }
        self.rebase(venue, view);
        true
    }

    /// What must be changed so that positions are what the venue's trades make them, without those that it does not list, and no
    /// more than what the account has. `None`: it can't be told whose position that would be.
    fn corrections(&self, confirmed: &[Difference], view: &BooksView) -> Option<Vec<Correction>> {
        let ground = &self.parts.ground;
        let mut positions = ground.positions(view);
        let mut out: Vec<Correction> = Vec::new();
        for difference in confirmed {
            let Difference::NoSuchTrade(key) = difference else { continue };
            let Some(booked) = view.trades.get(key).or_else(|| ground.booked.get(key)) else { continue };
            let (_, traded) = positions.get_mut(key.0.index())?;
            *traded -= booked.net;
            out.push(Correction {
                instrument: key.0,
                by: -booked.net,
                price: booked.price,
                owner: booked.owner,
                beyond_trades: false,
            });
        }
        for (at, (booked, traded)) in (0u16..).zip(&positions) {
            let instrument = InstrumentId(at);
            let done: Exact = out.iter().filter(|c| c.instrument == instrument).map(|c| c.by).sum();
            self.rest(instrument, traded - booked - done, false, &mut out);
        }
        for difference in confirmed {
            let Difference::Uncovered { asset, found, .. } = difference else { continue };
            let of_base = self.parts.table.all().iter().filter(|i| i.base == *asset);
            let held: Vec<_> =
                of_base.map(|i| (i.id, positions[i.id.index()].1)).filter(|(_, held)| *held != 0).collect();
            // On two instruments nobody can say which of the positions is gone.
            let [(instrument, held)] = held[..] else { return None };
            if held > *found {
                self.rest(instrument, found - held, true, &mut out);
            }
        }
        Some(out)
    }

    /// What no trade explains: for the strategy that had the position alone, else for nobody.
    fn rest(&self, instrument: InstrumentId, by: Exact, beyond_trades: bool, out: &mut Vec<Correction>) {
        if by / UNIT == 0 {
            return;
        }
        let held = self.parts.ground.held(instrument.index());
        let last = out.iter().find(|c| c.instrument == instrument).map(|c| c.price);
        let price = if held.price.is_zero() { last.unwrap_or(Price::ZERO) } else { held.price };
        let owner = held.owner.unwrap_or(StrategyId::OPERATOR);
        out.push(Correction { instrument, by, price, owner, beyond_trades });
    }

    /// The fold is to forget a trade that never happened; an earlier session's is taken out of what it left.
    fn strike(&mut self, key: TradeKey) {
        let ground = &mut self.parts.ground;
        if let Some(booked) = ground.booked.remove(&key)
            && let Some(Some(traded)) = ground.traded.get_mut(key.0.index())
        {
            *traded -= booked.net;
        }
        self.struck.push(key);
    }

    /// Brings a change of a position onto the line.
    fn correct(&mut self, correction: &Correction) {
        let Correction { instrument, by, price, owner, beyond_trades } = *correction;
        let units = i64::try_from((by / UNIT).abs()).unwrap_or(i64::MAX);
        if units == 0 {
            return;
        }
        if beyond_trades && let Some(Some(traded)) = self.parts.ground.traded.get_mut(instrument.index()) {
            *traded += i128::from(units) * UNIT * by.signum();
        }
        let (side, qty) = (if by > 0 { Side::Buy } else { Side::Sell }, Qty::from_units(units));
        self.corrections += 1;
        let last = (1 << ClientOrderId::COUNTER_BITS) - 1;
        let client = ClientOrderId::new(self.parts.ground.epoch, last - self.corrections);
        let placed_ns = self.parts.clock.now().ns;
        self.tell(Body::Carried(CarriedOrder {
            client,
            venue_order: VenueOrderId::default(),
            instrument,
            strategy: owner,
            side,
            reduce_only: by < 0,
            price,
            qty,
            filled: Qty::ZERO,
            placed_ns,
        }));
        self.tell(Body::Order(OrderUpdate {
            instrument,
            side,
            state: OrderState::Filled,
            snapshot: true,
            maker: false,
            fee_asset: AssetId::UNKNOWN,
            client,
            venue_order: VenueOrderId::default(),
            trade: TradeId(0),
            price,
            qty,
            filled: qty,
            fee: Qty::ZERO,
            venue_ns: placed_ns,
        }));
        let symbol = self.parts.table.get(instrument).map_or("?", |i| i.symbol.as_str()).to_owned();
        let strategy = self.parts.strategies.get(usize::from(owner.0)).cloned();
        let fields = [
            ("symbol", json!(symbol)),
            ("side", json!(side.as_str())),
            ("qty", json!(qty.to_string())),
            ("price", json!(price.to_string())),
            ("strategy", json!(strategy)),
            ("client", json!(client.to_string())),
        ];
        self.event(Level::Warn, "POSITION_CORRECTED", &fields);
    }
}

/// The end of an order as an answer to a query would tell of it.
const fn ended(here: &OpenHere) -> OrderUpdate {
    OrderUpdate {
        instrument: here.instrument,
        side: here.side,
        state: OrderState::Cancelled,
        snapshot: true,
        maker: false,
        fee_asset: AssetId::UNKNOWN,
        client: here.client,
        venue_order: here.venue_order,
        trade: TradeId(0),
        price: here.price,
        qty: here.qty,
        filled: here.filled,
        fee: Qty::ZERO,
        venue_ns: 0,
    }
}
