//! Those who take, and those who come and go: noise, momentum, a large patient trader, and cancellers.

use std::collections::VecDeque;

use rand::Rng;

use super::floor::Floor;
use super::sampling::{PPM, chance, decay_ppm, exponential_ns, lognormal};
use crate::sim::exchange::AccountId;
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{Price, Qty, Side, VenueOrderId};

/// Takers without opinion. They come in clusters (each trade makes the next one likelier for a while, as in a Hawkes process)
/// and tend to repeat the side of the last one.
#[derive(Debug)]
pub(super) struct NoiseTakers {
    account: AccountId,
    /// Excitement on top of the base rate, in millionths of the base rate.
    excitement_ppm: i64,
    last_ns: i64,
    last_side: Side,
}

/// Each arrival adds this much excitement; it decays with this time constant. The branching ratio is
/// 0.45 (step times time constant over base mean), below 1, so that clusters end.
const EXCITEMENT_STEP_PPM: i64 = 450_000;
const EXCITEMENT_CONSTANT_NS: i64 = 90 * NS_PER_MS;
pub(super) const NOISE_MEAN_NS: i64 = 90 * NS_PER_MS;
const SAME_SIDE_PERCENT: u32 = 40;

impl NoiseTakers {
    pub(super) fn new(account: AccountId, now_ns: i64) -> Self {
        Self { account, excitement_ppm: 0, last_ns: now_ns, last_side: Side::Buy }
    }

    /// One arrival. Returns when the next one comes.
    pub(super) fn turn(&mut self, floor: &mut Floor<'_>, mean_ns: i64) -> i64 {
        let decay = decay_ppm(floor.now_ns - self.last_ns, EXCITEMENT_CONSTANT_NS);
        self.excitement_ppm = self.excitement_ppm * decay / PPM + EXCITEMENT_STEP_PPM;
        self.last_ns = floor.now_ns;
        if !chance(floor.rng, SAME_SIDE_PERCENT) {
            self.last_side = floor.lean(30);
        }
        let side = self.last_side;
        let fair = floor.fair.price();
        let value = lognormal(floor.rng, floor.typical_value / 8, 130);
        let qty = floor.grid.qty_for(value, fair);
        // A third of them care for the price a little.
        let best = floor.best();
        let top = match side {
            Side::Buy => best.ask,
            Side::Sell => best.bid,
        };
        let limit = top
            .filter(|_| chance(floor.rng, 33))
            .map(|level| floor.grid.away(side.opposite(), level.price, 3));
        floor.take(self.account, side, qty, limit);
        let mean = mean_ns * PPM / (PPM + self.excitement_ppm);
        floor.now_ns + exponential_ns(floor.rng, mean)
    }
}

/// Takers who know the fair value and pick quotes that have not followed it: why stale quotes do not hold the price.
#[derive(Debug)]
pub(super) struct InformedTakers {
    account: AccountId,
}

pub(super) const INFORMED_MEAN_NS: i64 = 45 * NS_PER_MS;

impl InformedTakers {
    pub(super) const fn new(account: AccountId) -> Self {
        Self { account }
    }

    pub(super) fn turn(&mut self, floor: &mut Floor<'_>) {
        let fair = floor.fair.price();
        // A quote this far on the wrong side of the fair value is worth picking.
        let edge_ticks = 2 + floor.grid.slack_ticks / 2;
        let edge = edge_ticks * floor.grid.tick.units();
        let best = floor.best();
        let side = match (best.bid, best.ask) {
            (_, Some(ask)) if ask.price.units() + edge <= fair.units() => Side::Buy,
            (Some(bid), _) if bid.price.units() - edge >= fair.units() => Side::Sell,
            _ => return,
        };
        let limit = floor.grid.away(side, fair, edge_ticks / 2);
        let value = lognormal(floor.rng, floor.typical_value * 3, 70);
        let qty = floor.grid.qty_for(value, fair);
        floor.pick(self.account, side, qty, Some(limit));
    }
}

/// Takers who follow the last seconds' move.
#[derive(Debug)]
pub(super) struct MomentumTakers {
    account: AccountId,
    mids: VecDeque<Price>,
    resting_until_ns: i64,
}

pub(super) const MOMENTUM_MEAN_NS: i64 = 100 * NS_PER_MS;
const MOMENTUM_LOOKBACK: usize = 20;
/// A move of this many millionths over the lookback is worth following.
const MOMENTUM_TRIGGER_PPM: i64 = 25;

impl MomentumTakers {
    pub(super) fn new(account: AccountId) -> Self {
        Self { account, mids: VecDeque::with_capacity(MOMENTUM_LOOKBACK + 1), resting_until_ns: 0 }
    }

    pub(super) fn turn(&mut self, floor: &mut Floor<'_>) {
        let best = floor.best();
        let (Some(bid), Some(ask)) = (best.bid, best.ask) else { return };
        let mid = bid.price.midpoint(ask.price);
        self.mids.push_back(mid);
        if self.mids.len() <= MOMENTUM_LOOKBACK {
            return;
        }
        let then = self.mids.pop_front().unwrap_or(mid);
        let move_ppm = (mid.units() - then.units()) / (then.units() / PPM).max(1);
        if move_ppm.abs() < MOMENTUM_TRIGGER_PPM || floor.now_ns < self.resting_until_ns {
            return;
        }
        let side = if move_ppm > 0 { Side::Buy } else { Side::Sell };
        let value = lognormal(floor.rng, floor.typical_value / 3, 90);
        let qty = floor.grid.qty_for(value, mid);
        floor.take(self.account, side, qty, None);
        self.resting_until_ns = floor.now_ns + exponential_ns(floor.rng, 400 * NS_PER_MS);
    }
}

/// A large trader who hides: a parent order worked in small children, mostly passive, over minutes.
#[derive(Debug)]
pub(super) struct Iceberg {
    account: AccountId,
    side: Side,
    /// What is left of the parent, in cash units.
    left: i64,
    child: Option<(VenueOrderId, Qty, i64)>,
}

pub(super) const ICEBERG_MEAN_NS: i64 = 250 * NS_PER_MS;
const CHILD_LIFE_NS: i64 = 3 * NS_PER_S;
/// A parent is worth this many typical values.
const PARENT_VALUES: i64 = 120;

impl Iceberg {
    pub(super) fn new(account: AccountId) -> Self {
        Self { account, side: Side::Sell, left: 0, child: None }
    }

    pub(super) fn turn(&mut self, floor: &mut Floor<'_>) {
        if self.left <= 0 {
            self.side = if chance(floor.rng, 50) { Side::Buy } else { Side::Sell };
            self.left = lognormal(floor.rng, floor.typical_value * PARENT_VALUES, 50);
        }
        if let Some((id, qty, placed_ns)) = self.child {
            if floor.open_price(self.account, id).is_some() {
                if floor.now_ns - placed_ns < CHILD_LIFE_NS {
                    return;
                }
                floor.cancel(self.account, id);
                // Out of patience: a part is taken, and the rest is quoted anew next time.
                if chance(floor.rng, 40) {
                    let part = Qty::from_units(qty.units() / 2).floor_to(floor.grid.step);
                    let taken = floor.take(self.account, self.side, part.max(floor.grid.qty_min), None);
                    self.left -= taken.units();
                }
            } else {
                self.left -= floor.typical_value;
            }
            self.child = None;
            return;
        }
        let best = floor.best();
        let own = match self.side {
            Side::Buy => best.bid,
            Side::Sell => best.ask,
        };
        let Some(top) = own else { return };
        let qty = floor.grid.qty_for(floor.typical_value, top.price);
        self.child = floor.quote(self.account, self.side, top.price, qty).map(|id| (id, qty, floor.now_ns));
    }
}

/// Those who quote near the top and think better of it.
#[derive(Debug)]
pub(super) struct Cancellers {
    account: AccountId,
    orders: VecDeque<(VenueOrderId, i64)>,
}

pub(super) const CANCELLER_MEAN_NS: i64 = 20 * NS_PER_MS;
const FLICKERS_MAX: usize = 40;

impl Cancellers {
    pub(super) fn new(account: AccountId) -> Self {
        Self { account, orders: VecDeque::with_capacity(FLICKERS_MAX) }
    }

    pub(super) fn turn(&mut self, floor: &mut Floor<'_>) {
        if let Some(&(id, until_ns)) = self.orders.front()
            && (floor.now_ns >= until_ns || self.orders.len() >= FLICKERS_MAX)
        {
            self.orders.pop_front();
            floor.cancel(self.account, id);
            return;
        }
        let side = floor.lean(45);
        let best = floor.best();
        let own = match side {
            Side::Buy => best.bid,
            Side::Sell => best.ask,
        };
        let Some(top) = own else { return };
        // Near the top, but not where the informed would pick it at once.
        let fair = floor.fair.price();
        let from = match side {
            Side::Buy => top.price.min(fair),
            Side::Sell => top.price.max(fair),
        };
        let depth = floor.rng.random_range(0..12 + floor.grid.slack_ticks);
        let price = floor.grid.away(side, from, depth);
        let value = lognormal(floor.rng, floor.typical_value / 2, 100);
        let qty = floor.grid.qty_for(value, price);
        if let Some(id) = floor.quote(self.account, side, price, qty) {
            let life_ns = exponential_ns(floor.rng, 350 * NS_PER_MS);
            self.orders.push_back((id, floor.now_ns + life_ns));
        }
    }
}
