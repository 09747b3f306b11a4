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

/// The orders approved last, found by what they are: an order looks only at those of its own bucket, newest first, so that the
/// check costs the same however many were approved within the window.
#[derive(Clone, Debug)]
pub(super) struct Recent {
    orders: Box<[Entry]>,
    /// Of each bucket the number of its newest order; 0 = none.
    newest: Box<[u64]>,
    /// How many were ever entered: the number of the newest.
    entered: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    likeness: Likeness,
    at_ns: i64,
    /// Number of the order before it in its bucket; 0 = none.
    older: u64,
}

/// Four for each order: two of different likeness seldom meet.
const BUCKETS: usize = 4 * DUPLICATES_REMEMBERED;

impl Recent {
    pub(super) fn new() -> Self {
        Self {
            orders: vec![Entry::default(); DUPLICATES_REMEMBERED].into_boxed_slice(),
            newest: vec![0; BUCKETS].into_boxed_slice(),
            entered: 0,
        }
    }
    fn slot(number: u64) -> usize {
        usize::try_from(number % DUPLICATES_REMEMBERED as u64).unwrap_or(0)
    }
    pub(super) fn enter(&mut self, likeness: Likeness, now_ns: i64) {
        self.entered += 1;
        let older = core::mem::replace(&mut self.newest[likeness.bucket()], self.entered);
        self.orders[Self::slot(self.entered)] = Entry { likeness, at_ns: now_ns, older };
    }
    /// Whether the same was approved less than `window_ns` ago.
    pub(super) fn has(&self, likeness: &Likeness, now_ns: i64, window_ns: i64) -> bool {
        let mut number = self.newest[likeness.bucket()];
        // Ends: numbers fall from turn to turn. One that was overwritten since ends the chain, as all before it were too.
        while number != 0 && self.entered - number < DUPLICATES_REMEMBERED as u64 {
            let entry = &self.orders[Self::slot(number)];
            if now_ns.saturating_sub(entry.at_ns) >= window_ns {
                return false;
            }
            if entry.likeness == *likeness {
                return true;
            }
            number = entry.older;
        }
        false
    }
}

impl Likeness {
    fn bucket(&self) -> usize {
        // An odd number near 2^64 / phi moves low bits up; the top ones choose.
        const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;
        let mixed = self.price.units().cast_unsigned().wrapping_mul(SPREAD)
            ^ self.qty.units().cast_unsigned()
            ^ (u64::from(self.instrument.0) << 1 | self.side as u64) << 40;
        let top = mixed.wrapping_mul(SPREAD) >> (64 - BUCKETS.trailing_zeros());
        usize::try_from(top).unwrap_or(0)
    }
}

const _: () = assert!(BUCKETS.is_power_of_two(), "a bucket is chosen by the top bits");
