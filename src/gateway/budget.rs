//! The venue's rate budgets: how much of each window is used, and the share that only cancels and queries may touch (F21:
//! an engine that has used up its budget and can't cancel fills twice).
//!
//! Windows are the venue's: fixed, aligned to their length on the venue's clock. We count what we send at once and
//! take the venue's own figure from each answer when it is higher in the same window; a figure that comes late never
//! lowers ours.
//!
//! When the venue refuses for a while (429), orders wait until then. Cancels and queries do not: which budget is used up, the
//! refusal does not say, and one that counts orders does not bind cancels. They go on at a trickle, one a second, which no
//! venue takes for an attack. A ban (418) holds everything: each request would make it longer.

use crate::types::Reason;
use crate::types::time::NS_PER_S;

/// What a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitKind {
    /// Weight of requests, per address.
    Weight,
    /// New orders, per account.
    Orders,
    /// Requests of any weight, per address.
    Raw,
}

/// A limit of the venue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// What it counts.
    pub kind: LimitKind,
    /// Length of its window.
    pub window_ns: i64,
    /// How many fit into a window.
    pub limit: u32,
}

/// The venue's word on a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Which limit: what it counts ...
    pub kind: LimitKind,
    /// ... and the length of its window.
    pub window_ns: i64,
    /// The limit, as the venue gives it now; 0 when it did not say.
    pub limit: u32,
    /// How much is used.
    pub used: u32,
}

/// What a request costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Weight.
    pub weight: u32,
    /// New orders in it.
    pub orders: u32,
    /// Whether it is a cancel or a query, which may use the reserve.
    pub reserved: bool,
}

/// Most limits of a venue that are kept (Binance lists four).
const LIMITS_MAX: usize = 8;

#[derive(Clone, Copy, Debug)]
struct Window {
    limit: Limit,
    started_ns: i64,
    used: u32,
}

/// All budgets of the order session.
#[derive(Clone, Debug)]
pub struct Budgets {
    windows: [Option<Window>; LIMITS_MAX],
    reserve_percent: u32,
    blocked: Option<(Reason, i64)>,
    next_trickle_ns: i64,
}

/// Pause between cancels or queries while the venue refuses.
const TRICKLE_NS: i64 = NS_PER_S;

impl Budgets {
    /// With the limits of `exchangeInfo`. Limits beyond the eighth are not kept: the venue's answers still block.
    pub fn new(limits: &[Limit], reserve_percent: u8) -> Self {
        assert!(reserve_percent < 100, "a reserve of {reserve_percent} % leaves orders nothing");
        let mut windows = [None; LIMITS_MAX];
        for (slot, &limit) in windows.iter_mut().zip(limits) {
            assert!(limit.window_ns > 0, "a rate limit without a window: {limit:?}");
            *slot = Some(Window { limit, started_ns: i64::MIN, used: 0 });
        }
        Self {
            windows,
            reserve_percent: u32::from(reserve_percent),
            blocked: None,
            next_trickle_ns: i64::MIN,
        }
    }

    /// Whether a request may leave now, and why not. `venue_ns` is our estimate of the venue's clock.
    #[inline]
    pub fn check(&mut self, cost: Cost, venue_ns: i64) -> Result<(), Reason> {
        if let Some((reason, until_ns)) = self.blocked {
            if venue_ns >= until_ns {
                self.blocked = None;
            } else if !cost.reserved || reason == Reason::Banned || venue_ns < self.next_trickle_ns {
                return Err(reason);
            }
        }
        for window in self.windows.iter_mut().flatten() {
            window.roll(venue_ns);
            let amount = window.amount(cost);
            let bound = if cost.reserved {
                window.limit.limit
            } else {
                u32::try_from(u64::from(window.limit.limit) * u64::from(100 - self.reserve_percent) / 100)
                    .unwrap_or(u32::MAX)
            };
            if amount > 0 && window.used.saturating_add(amount) > bound {
                return Err(Reason::RateBudget);
            }
        }
        Ok(())
    }

    /// A request leaves.
    #[inline]
    pub fn spend(&mut self, cost: Cost, venue_ns: i64) {
        if self.blocked.is_some() {
            self.next_trickle_ns = venue_ns + TRICKLE_NS;
        }
        for window in self.windows.iter_mut().flatten() {
            window.roll(venue_ns);
            window.used = window.used.saturating_add(window.amount(cost));
        }
    }

    /// The venue says how much is used.
    pub fn learn(&mut self, usage: Usage, venue_ns: i64) {
        let known = self
            .windows
            .iter_mut()
            .flatten()
            .find(|w| w.limit.kind == usage.kind && w.limit.window_ns == usage.window_ns);
        if let Some(window) = known {
            window.roll(venue_ns);
            window.used = window.used.max(usage.used);
            if usage.limit > 0 {
                window.limit.limit = usage.limit;
            }
        }
    }

    /// The venue refuses everything for a while.
    pub fn block(&mut self, reason: Reason, until_ns: i64) {
        self.blocked = Some(match self.blocked {
            Some((held, until)) if until > until_ns => (held, until),
            _ => (reason, until_ns),
        });
    }
}

impl Window {
    #[inline]
    fn roll(&mut self, venue_ns: i64) {
        // Times only grow but for the estimate's jitter; a window is never reopened.
        if venue_ns >= self.started_ns.saturating_add(self.limit.window_ns) {
            self.started_ns = venue_ns - venue_ns.rem_euclid(self.limit.window_ns);
            self.used = 0;
        }
    }

    #[inline]
    const fn amount(&self, cost: Cost) -> u32 {
        match self.limit.kind {
            LimitKind::Weight => cost.weight,
            LimitKind::Orders => cost.orders,
            LimitKind::Raw => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDER: Cost = Cost { weight: 1, orders: 1, reserved: false };
    const CANCEL: Cost = Cost { weight: 1, orders: 0, reserved: true };

    fn limits() -> [Limit; 2] {
        [
            Limit { kind: LimitKind::Weight, window_ns: 60 * NS_PER_S, limit: 100 },
            Limit { kind: LimitKind::Orders, window_ns: 10 * NS_PER_S, limit: 10 },
        ]
    }

    #[test]
    fn f21_orders_stop_before_the_reserve_and_cancels_do_not() {
        let mut budgets = Budgets::new(&limits(), 20);
        let mut sent = 0;
        while budgets.check(ORDER, 1).is_ok() {
            budgets.spend(ORDER, 1);
            sent += 1;
        }
        assert_eq!(sent, 8, "80 % of 10 orders");
        assert_eq!(budgets.check(ORDER, 1), Err(Reason::RateBudget));
        assert_eq!(budgets.check(CANCEL, 1), Ok(()));
        // The next window of orders; the weight's window goes on.
        assert_eq!(budgets.check(ORDER, 10 * NS_PER_S), Ok(()));
    }

    #[test]
    fn the_venues_figure_counts_when_it_is_higher() {
        let mut budgets = Budgets::new(&limits(), 20);
        let usage = Usage { kind: LimitKind::Weight, window_ns: 60 * NS_PER_S, limit: 100, used: 95 };
        budgets.learn(usage, 5);
        assert_eq!(budgets.check(ORDER, 5), Err(Reason::RateBudget));
        assert_eq!(budgets.check(CANCEL, 5), Ok(()));
        budgets.learn(Usage { used: 1, ..usage }, 6);
        assert_eq!(budgets.check(ORDER, 6), Err(Reason::RateBudget), "a late figure does not lower ours");
        assert_eq!(budgets.check(ORDER, 60 * NS_PER_S), Ok(()));
    }

    #[test]
    fn a_refusal_lets_cancels_trickle_and_holds_orders() {
        let mut budgets = Budgets::new(&limits(), 20);
        budgets.block(Reason::RateLimited, 10 * NS_PER_S);
        assert_eq!(budgets.check(ORDER, 1), Err(Reason::RateLimited));
        assert_eq!(budgets.check(CANCEL, 1), Ok(()));
        budgets.spend(CANCEL, 1);
        assert_eq!(budgets.check(CANCEL, NS_PER_S), Err(Reason::RateLimited));
        assert_eq!(budgets.check(CANCEL, NS_PER_S + 1), Ok(()));
        assert_eq!(budgets.check(ORDER, 10 * NS_PER_S), Ok(()));
    }

    #[test]
    fn a_ban_holds_everything_until_its_end() {
        let mut budgets = Budgets::new(&limits(), 20);
        budgets.block(Reason::Banned, 1_000);
        budgets.block(Reason::RateLimited, 500);
        assert_eq!(budgets.check(CANCEL, 999), Err(Reason::Banned));
        assert_eq!(budgets.check(CANCEL, 1_000), Ok(()));
    }
}
