//! What happened within a window, in memory that was taken at the start.

use crate::types::{Cash, Price};

/// "Never" among times: before any window.
pub(in crate::risk) const NEVER: i64 = i64::MIN;

/// Whether something at `then_ns` lies less than `window_ns` back. Time that seems to run backwards counts as no time.
#[inline]
pub(in crate::risk) const fn is_within(now_ns: i64, then_ns: i64, window_ns: i64) -> bool {
    then_ns != NEVER && now_ns.saturating_sub(then_ns) < window_ns
}

/// When the last `n` of something happened. Whether `n` fell into a window shows at the oldest of them.
#[derive(Clone, Debug)]
pub(in crate::risk) struct Times {
    times: Box<[i64]>,
    /// The oldest, which the next one overwrites.
    next: usize,
}

impl Times {
    /// Of the last `n`, at least one.
    pub(in crate::risk) fn new(n: u32) -> Self {
        let n = usize::try_from(n.max(1)).unwrap_or(1);
        Self { times: vec![NEVER; n].into_boxed_slice(), next: 0 }
    }
    pub(in crate::risk) fn enter(&mut self, now_ns: i64) {
        self.times[self.next] = now_ns;
        self.next = (self.next + 1) % self.times.len();
    }
    pub(in crate::risk) fn clear(&mut self) {
        self.times.fill(NEVER);
    }
    /// Those within the window, the oldest first.
    pub(in crate::risk) fn within(&self, now_ns: i64, window_ns: i64) -> impl Iterator<Item = i64> + '_ {
        let (newer, older) = self.times.split_at(self.next);
        older.iter().chain(newer).copied().filter(move |then_ns| is_within(now_ns, *then_ns, window_ns))
    }
    /// Whether `n` less `spare` of them fell into the window; none are always there.
    #[inline]
    pub(in crate::risk) fn are_full(&self, spare: usize, now_ns: i64, window_ns: i64) -> bool {
        let n = self.times.len();
        spare >= n || is_within(now_ns, self.times[(self.next + spare) % n], window_ns)
    }
}

/// Amounts of a window and their sum.
#[derive(Clone, Debug)]
pub(in crate::risk) struct Amounts {
    entries: Box<[(i64, Cash)]>,
    first: usize,
    len: usize,
    sum: i128,
    window_ns: i64,
}

impl Amounts {
    /// Room for `n`, at least one.
    pub(in crate::risk) fn new(n: u32, window_ns: i64) -> Self {
        let n = usize::try_from(n.max(1)).unwrap_or(1);
        let entries = vec![(NEVER, Cash::ZERO); n].into_boxed_slice();
        Self { entries, first: 0, len: 0, sum: 0, window_ns }
    }
    /// Lets go what fell out of the window.
    #[inline]
    pub(in crate::risk) fn expire(&mut self, now_ns: i64) {
        while self.len > 0 {
            let (at_ns, amount) = self.entries[self.first];
            if is_within(now_ns, at_ns, self.window_ns) {
                return;
            }
            self.sum -= i128::from(amount.units());
            self.first = (self.first + 1) % self.entries.len();
            self.len -= 1;
        }
    }
    /// The caller has seen that there is room.
    pub(in crate::risk) fn enter(&mut self, now_ns: i64, amount: Cash) {
        if self.is_full() {
            return;
        }
        let at = (self.first + self.len) % self.entries.len();
        self.entries[at] = (now_ns, amount);
        self.sum += i128::from(amount.units());
        self.len += 1;
    }
    pub(in crate::risk) const fn is_full(&self) -> bool {
        self.len == self.entries.len()
    }
    pub(in crate::risk) const fn sum(&self) -> i128 {
        self.sum
    }
}

/// Lowest and highest price of at least the last window, at most two: a window that is being filled and the one before it.
#[derive(Clone, Copy, Debug)]
pub(in crate::risk) struct Range {
    window_ns: i64,
    start_ns: i64,
    now: Option<(Price, Price)>,
    before: Option<(Price, Price)>,
}

impl Range {
    pub(in crate::risk) const fn new(window_ns: i64) -> Self {
        Self { window_ns, start_ns: NEVER, now: None, before: None }
    }
    #[inline]
    pub(in crate::risk) fn enter(&mut self, price: Price, now_ns: i64) {
        let elapsed_ns = now_ns.saturating_sub(self.start_ns);
        match self.now {
            Some((low, high)) if elapsed_ns < self.window_ns => {
                self.now = Some((low.min(price), high.max(price)));
            }
            _ => {
                self.before = self.now.filter(|_| elapsed_ns < self.window_ns.saturating_mul(2));
                self.now = Some((price, price));
                self.start_ns = now_ns;
            }
        }
    }
    /// Lowest and highest; `None` before the first price.
    #[inline]
    pub(in crate::risk) fn bounds(&self) -> Option<(Price, Price)> {
        let (low, high) = self.now?;
        Some(self.before.map_or((low, high), |(l, h)| (low.min(l), high.max(h))))
    }
}
