//! When connections were tried lately: written by the stages that connect, read by the control thread, which keeps them on disk.
//! One writer for each link; nothing here waits for anyone.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// Links that connect.
pub const LINKS: usize = 3;
/// Attempts of one link that are remembered: as many as a window's budget may be.
pub const ATTEMPTS_KEPT: usize = 100;

#[derive(Debug)]
struct Link {
    entered: AtomicU64,
    times: [AtomicI64; ATTEMPTS_KEPT],
}

/// The attempts of every link.
#[derive(Debug)]
pub struct Attempts {
    links: [Link; LINKS],
}

impl Default for Attempts {
    fn default() -> Self {
        let link =
            || Link { entered: AtomicU64::new(0), times: [const { AtomicI64::new(0) }; ATTEMPTS_KEPT] };
        Self { links: [link(), link(), link()] }
    }
}

impl Attempts {
    /// An attempt of a link starts, at this time of the wall clock. Only the link's own thread calls it.
    pub fn enter(&self, link: usize, at_ns: i64) {
        let Some(link) = self.links.get(link) else { return };
        // The only writer, so it reads its own.
        let entered = link.entered.load(Ordering::Relaxed);
        let slot = usize::try_from(entered % ATTEMPTS_KEPT as u64).unwrap_or(0);
        link.times[slot].store(at_ns, Ordering::Relaxed);
        // Release: who sees the count sees the time.
        link.entered.store(entered + 1, Ordering::Release);
    }

    /// Attempts of all links, ever.
    pub fn entered(&self) -> u64 {
        // Acquire pairs with the release in `enter`.
        self.links.iter().map(|link| link.entered.load(Ordering::Acquire)).sum()
    }

    /// The times that are kept of a link, oldest first.
    pub fn times(&self, link: usize) -> Vec<i64> {
        let Some(link) = self.links.get(link) else { return Vec::new() };
        // Acquire pairs with the release in `enter`. A time that is overwritten meanwhile is a later one: never fewer attempts.
        let entered = link.entered.load(Ordering::Acquire);
        let kept = entered.min(ATTEMPTS_KEPT as u64);
        let slot = |number: u64| usize::try_from(number % ATTEMPTS_KEPT as u64).unwrap_or(0);
        (entered - kept..entered).map(|number| link.times[slot(number)].load(Ordering::Relaxed)).collect()
    }
}
