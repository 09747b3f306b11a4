//! Level changes, gathered until their stream's next message.

use std::collections::BTreeMap;

use super::market_json::DepthDiff;
use crate::types::{Level, Price, Qty, Side};

/// Changes since the last message.
#[derive(Debug, Default)]
pub(super) struct Accumulator {
    first: Option<u64>,
    last: u64,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

impl Accumulator {
    /// Update ids `first` to `last` passed.
    pub(super) fn pass(&mut self, first: u64, last: u64) {
        self.first.get_or_insert(first);
        self.last = last;
    }

    /// A level changed; a later change of the same level replaces an earlier one.
    pub(super) fn add(&mut self, first: u64, last: u64, side: Side, level: Level) {
        self.pass(first, last);
        match side {
            Side::Buy => self.bids.insert(level.price, level.qty),
            Side::Sell => self.asks.insert(level.price, level.qty),
        };
    }

    /// What was gathered, if anything.
    pub(super) fn take(&mut self) -> Option<DepthDiff> {
        let first = self.first.take()?;
        let level = |(price, qty): (&Price, &Qty)| Level::new(*price, *qty);
        let diff = DepthDiff {
            first,
            last: self.last,
            bids: self.bids.iter().rev().map(level).collect(),
            asks: self.asks.iter().map(level).collect(),
        };
        self.bids.clear();
        self.asks.clear();
        Some(diff)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn diffs_join_without_a_gap_and_keep_the_last_change() {
        let level = |p, q| Level::new(Price::from_units(p), Qty::from_units(q));
        let mut acc = Accumulator::default();
        acc.add(5, 5, Side::Buy, level(10, 1));
        acc.add(6, 6, Side::Buy, level(11, 1));
        acc.add(7, 7, Side::Buy, level(10, 0));
        let diff = acc.take().unwrap();
        assert_eq!((diff.first, diff.last), (5, 7));
        assert_eq!(diff.bids, [level(11, 1), level(10, 0)]);
        assert!(acc.take().is_none());
        acc.pass(8, 9);
        assert_eq!(acc.take().unwrap().first, 8);
    }
}
