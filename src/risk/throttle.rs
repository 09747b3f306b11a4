//! How fast: the message throttle and the memory of recent orders, both on the time that facts carry.

use super::config::DUPLICATES_REMEMBERED;
use crate::types::time::NS_PER_S;
use crate::types::{InstrumentId, Price, Qty, Side};

/// A token bucket that counts in nanoseconds: a request costs the time in which it is earned, so nothing is rounded.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_field_names, reason = "the unit is last in every name")]
pub(super) struct Bucket {
    cost_ns: i64,
    capacity_ns: i64,
    level_ns: i64,
    at_ns: i64,
}

impl Bucket {
    /// Full, at any time.
    pub(super) fn new(per_s: u32, burst: u32) -> Self {
        let cost_ns = NS_PER_S / i64::from(per_s.max(1));
        let capacity_ns = cost_ns * i64::from(burst);
        Self { cost_ns, capacity_ns, level_ns: capacity_ns, at_ns: 0 }
    }
    fn level_ns(&self, now_ns: i64) -> i64 {
        let earned = now_ns.saturating_sub(self.at_ns).max(0);
        self.level_ns.saturating_add(earned).min(self.capacity_ns)
    }
    /// Whether one more request may go now. Entries leave a quarter of the bucket to exits.
    pub(super) fn allows(&self, now_ns: i64, exit: bool) -> bool {
        let kept = if exit { 0 } else { self.capacity_ns / 4 };
        self.level_ns(now_ns) - kept >= self.cost_ns
    }
    /// Takes one request out; cancels, which are never held back, can empty it but not go below.
    pub(super) fn take(&mut self, now_ns: i64) {
        self.level_ns = (self.level_ns(now_ns) - self.cost_ns).max(0);
        self.at_ns = now_ns.max(self.at_ns);
    }
}

/// What makes two orders the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Likeness {
    pub(super) instrument: InstrumentId,
    pub(super) side: Side,
    pub(super) price: Price,
    pub(super) qty: Qty,
}

/// The orders approved last.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    orders: Box<[(Likeness, i64)]>,
    /// How many were ever entered.
    entered: u64,
}

impl Recent {
    pub(super) fn new() -> Self {
        Self { orders: vec![(Likeness::default(), 0); DUPLICATES_REMEMBERED].into_boxed_slice(), entered: 0 }
    }
    fn slot(&self, number: u64) -> usize {
        usize::try_from(number % self.orders.len() as u64).unwrap_or(0)
    }
    pub(super) fn enter(&mut self, likeness: Likeness, now_ns: i64) {
        let at = self.slot(self.entered);
        self.orders[at] = (likeness, now_ns);
        self.entered += 1;
    }
    /// Whether the same was approved less than `window_ns` ago, newest first.
    pub(super) fn has(&self, likeness: &Likeness, now_ns: i64, window_ns: i64) -> bool {
        let kept = self.entered.min(self.orders.len() as u64);
        (1..=kept)
            .map(|back| &self.orders[self.slot(self.entered - back)])
            .take_while(|(_, at_ns)| now_ns.saturating_sub(*at_ns) < window_ns)
            .any(|(there, _)| there == likeness)
    }
}
