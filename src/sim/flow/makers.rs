//! Those who quote: market makers around the fair value, and the shelf of patient orders far from it.

use rand::Rng;

use super::floor::Floor;
use super::sampling::{PPM, chance, lognormal, normal_ppm};
use crate::sim::exchange::AccountId;
use crate::types::{Price, Qty, Side, VenueOrderId};

/// A layer's standing order.
type Layer = Option<VenueOrderId>;

/// A market maker: layered quotes on both sides of where it believes the price to be, skewed against its inventory.
#[derive(Debug)]
pub(super) struct MarketMaker {
    pub(super) account: AccountId,
    layers: [Vec<Layer>; 2],
    /// Its private error of the fair value, in ticks.
    opinion_ticks: i64,
    /// Base holding that it considers neutral.
    neutral: Qty,
    next: usize,
}

/// Requotes of one turn, so that a turn is bounded.
const REQUOTES_MAX: usize = 3;
pub(super) const MAKER_LAYERS: usize = 14;
/// A maker leans this many ticks against an inventory of ten typical values, at most this often over.
const SKEW_TICKS_MAX: i64 = 6;

/// How far a layer stands from the maker's centre, in ticks: dense at the top, sparse below.
fn layer_offset_ticks(layer: usize) -> i64 {
    let k = i64::try_from(layer).unwrap_or(i64::MAX);
    if k < 4 { k } else { 3 + (k - 3) * (k - 2) / 2 + (k - 3) }
}

impl MarketMaker {
    pub(super) fn new(account: AccountId, neutral: Qty) -> Self {
        Self {
            account,
            layers: [vec![None; MAKER_LAYERS], vec![None; MAKER_LAYERS]],
            opinion_ticks: 0,
            neutral,
            next: 0,
        }
    }

    /// Quotes every layer: the opening of the market.
    pub(super) fn open(&mut self, floor: &mut Floor<'_>) {
        for layer in 0..MAKER_LAYERS {
            for side in [Side::Buy, Side::Sell] {
                self.requote(floor, side, layer);
            }
        }
    }

    /// Looks at all its layers and moves those that stand worst, the top first.
    pub(super) fn turn(&mut self, floor: &mut Floor<'_>) {
        self.opinion_ticks = (self.opinion_ticks * 9 + 2 * normal_ppm(floor.rng) / PPM).clamp(-30, 30) / 10;
        // Neither side is always the first: that would make it the fresher one.
        let first = if chance(floor.rng, 50) { Side::Buy } else { Side::Sell };
        let mut moved = 0;
        for step in 0..MAKER_LAYERS {
            // The top two always, the others in turn: a maker with much to do does not forget its deep quotes.
            let layer = if step < 2 { step } else { 2 + (self.next + step) % (MAKER_LAYERS - 2) };
            for side in [first, first.opposite()] {
                if moved < REQUOTES_MAX && self.requote(floor, side, layer) {
                    moved += 1;
                }
            }
        }
        self.next = (self.next + 1) % (MAKER_LAYERS - 2);
    }

    /// Where the maker would trade neither way.
    fn centre(&self, floor: &Floor<'_>) -> Price {
        let (base, _) = floor.exchange.pair(floor.symbol);
        let held = floor.exchange.account(self.account).holdings[base.index()].total();
        let price = floor.fair.price();
        let lean_unit = i128::from(floor.grid.qty_for(10 * floor.typical_value, price).units());
        let lean = (held - i128::from(self.neutral.units())) / lean_unit.max(1);
        let lean = i64::try_from(lean).unwrap_or(0).clamp(-SKEW_TICKS_MAX, SKEW_TICKS_MAX);
        Price::from_units(price.units() + (self.opinion_ticks - lean) * floor.grid.tick.units())
    }

    /// Moves a layer to where it should stand unless it is near enough. `true` if it did.
    fn requote(&mut self, floor: &mut Floor<'_>, side: Side, layer: usize) -> bool {
        let centre = self.centre(floor);
        let offset = layer_offset_ticks(layer);
        // Deep layers are scattered, so that makers do not all stand at the same prices, and may drift further.
        let scatter = floor.rng.random_range(0..=offset / 3);
        let wanted = floor.grid.away(side, centre, offset + scatter);
        let tolerance = floor.grid.slack_ticks + offset / 2;
        let place = usize::from(side == Side::Sell);
        if let Some(id) = self.layers[place][layer]
            && let Some(price) = floor.open_price(self.account, id)
        {
            let distance = (price.units() - wanted.units()).abs() / floor.grid.tick.units();
            if distance <= tolerance {
                return false;
            }
            floor.cancel(self.account, id);
        }
        let growth = 1 + i64::try_from(layer).unwrap_or(0) / 3;
        let typical =
            if layer < 4 { floor.wanted_value(side, floor.typical_value) } else { floor.typical_value };
        let value = lognormal(floor.rng, typical * growth, 60);
        let qty = floor.grid.qty_for(value, wanted);
        self.layers[place][layer] = floor.quote(self.account, side, wanted, qty);
        true
    }
}

/// Patient orders far from the market: what gives the book its depth.
#[derive(Debug)]
pub(super) struct Shelf {
    account: AccountId,
    orders: [Vec<Layer>; 2],
    next: usize,
}

pub(super) const SHELF_LEVELS: usize = 120;
/// The shelf begins this far from the fair value and ends about ten times as far, in `1e-6` of the price.
const SHELF_START_PPM: i64 = 60;

impl Shelf {
    pub(super) fn new(account: AccountId) -> Self {
        Self { account, orders: [vec![None; SHELF_LEVELS], vec![None; SHELF_LEVELS]], next: 0 }
    }

    pub(super) fn open(&mut self, floor: &mut Floor<'_>) {
        for level in 0..SHELF_LEVELS {
            for side in [Side::Buy, Side::Sell] {
                self.replace(floor, side, level);
            }
        }
    }

    /// One level a turn, round and round.
    pub(super) fn turn(&mut self, floor: &mut Floor<'_>) {
        let level = self.next % SHELF_LEVELS;
        let side = if self.next < SHELF_LEVELS { Side::Buy } else { Side::Sell };
        self.next = (self.next + 1) % (2 * SHELF_LEVELS);
        self.replace(floor, side, level);
    }

    fn replace(&mut self, floor: &mut Floor<'_>, side: Side, level: usize) {
        let k = i64::try_from(level).unwrap_or(0);
        let fair = floor.fair.price();
        let unit = fair.units() / PPM;
        let distance = unit * (SHELF_START_PPM + k * (8 + k / 12));
        let jitter = floor.rng.random_range(0..=unit * 6);
        let ticks = ((distance + jitter) / floor.grid.tick.units()).max(20 + 2 * k);
        let wanted = floor.grid.away(side, fair, ticks);
        let place = usize::from(side == Side::Sell);
        if let Some(id) = self.orders[place][level]
            && let Some(price) = floor.open_price(self.account, id)
        {
            // Patient: it stays while it is within a third of where it should be.
            let off = (price.units() - wanted.units()).abs();
            if off * 3 < (wanted.units() - fair.units()).abs() {
                return;
            }
            floor.cancel(self.account, id);
        }
        let value = lognormal(floor.rng, floor.typical_value * (2 + k / 10), 80);
        let qty = floor.grid.qty_for(value, wanted);
        self.orders[place][level] = floor.quote(self.account, side, wanted, qty);
    }
}
