//! An order book by price level: two sorted arrays, best level last, so that a change near the top moves little memory.

use super::order::Side;
use super::{Price, Qty};

/// A price and the quantity that stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[repr(C)]
pub struct Level {
    /// The price.
    pub price: Price,
    /// The quantity; zero means the level is gone.
    pub qty: Qty,
}

impl Level {
    /// A level.
    pub const fn new(price: Price, qty: Qty) -> Self {
        Self { price, qty }
    }
}

/// One instrument's book. All memory is taken at construction.
#[derive(Clone, Debug)]
pub struct Book {
    /// Ascending: the best bid is last.
    bids: Vec<Level>,
    /// Descending: the best ask is last.
    asks: Vec<Level>,
    levels_max: usize,
}

impl Book {
    /// A book that holds up to `levels_max` levels a side; beyond it the worst level is dropped.
    pub fn with_capacity(levels_max: usize) -> Self {
        Self {
            bids: Vec::with_capacity(levels_max + 1),
            asks: Vec::with_capacity(levels_max + 1),
            levels_max,
        }
    }

    /// Forgets every level.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
    }

    /// Sets the quantity at a price; zero removes the level, and removing one that is not there is no error (the venue
    /// sends such removals).
    pub fn apply(&mut self, side: Side, level: Level) {
        let levels = match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        };
        // From the best end: nearly all changes are near the top.
        let better = |there: Price| match side {
            Side::Buy => there > level.price,
            Side::Sell => there < level.price,
        };
        let mut at = levels.len();
        let mut steps = 0;
        while at > 0 && better(levels[at - 1].price) {
            at -= 1;
            steps += 1;
            if steps == 16 {
                // Deep change: binary search of the rest.
                at = levels[..at].partition_point(|l| !better(l.price));
                break;
            }
        }
        // levels[..at] are not better than the new price; an equal one is at `at - 1`.
        if at > 0 && levels[at - 1].price == level.price {
            if level.qty.is_zero() {
                levels.remove(at - 1);
            } else {
                levels[at - 1].qty = level.qty;
            }
        } else if !level.qty.is_zero() {
            levels.insert(at, level);
            if levels.len() > self.levels_max {
                levels.remove(0);
            }
        }
    }

    /// The best bid.
    pub fn best_bid(&self) -> Option<Level> {
        self.bids.last().copied()
    }
    /// The best ask.
    pub fn best_ask(&self) -> Option<Level> {
        self.asks.last().copied()
    }
    /// Levels of a side, best first.
    pub fn side(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        match side {
            Side::Buy => self.bids.iter().rev().copied(),
            Side::Sell => self.asks.iter().rev().copied(),
        }
    }
    /// How many levels a side has.
    pub fn depth(&self, side: Side) -> usize {
        match side {
            Side::Buy => self.bids.len(),
            Side::Sell => self.asks.len(),
        }
    }
    /// Whether the best bid is at or above the best ask, which a sound book never is.
    pub fn is_crossed(&self) -> bool {
        matches!((self.best_bid(), self.best_ask()), (Some(b), Some(a)) if b.price >= a.price)
    }
}
