//! When may a connection be tried again? Exponential back-off with seeded jitter, a bound on attempts in a row, and a budget
//! over a sliding window, so that no run of drops becomes a storm of connects (R-FEED-4, F22).
//!
//! After `attempts_in_a_row_max` failures in a row the retry is *exhausted*: the owner trips the kill page, and attempts
//! go on at the slow pace, because a halted engine must still see the market and reach its orders. Only
//! [`Retry::succeeded`] (data flows, not merely a socket) ends a row; arming again is the operator's act.

use std::sync::Arc;

use crate::types::time::{NS_PER_MIN, NS_PER_MS, NS_PER_S};

/// Where attempts are remembered beyond this process (F22). Must not wait: a stage calls it.
pub trait AttemptLog: Send + Sync + core::fmt::Debug {
    /// An attempt starts now.
    fn enter(&self);
}

/// What a connection knows of attempts before this process, and where it tells of its own.
#[derive(Clone, Debug)]
pub struct Memory {
    /// When they were, on the monotonic clock (which may lie before its zero), oldest first.
    pub before_mono_ns: Vec<i64>,
    /// Where each one is told.
    pub log: Arc<dyn AttemptLog>,
}

/// The figures of a [`Retry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryConfig {
    /// Pause after the first failure; doubles with each further one.
    pub first_ns: i64,
    /// Longest pause of the doubling.
    pub longest_ns: i64,
    /// Failures in a row after which the retry is exhausted.
    pub attempts_in_a_row_max: u32,
    /// Pause between attempts once exhausted.
    pub slow_ns: i64,
    /// Length of the budget's sliding window.
    pub window_ns: i64,
    /// Attempts in any window. The venue's bound is per address (300 in 5 minutes) and three links share it.
    pub attempts_per_window: usize,
}

impl Default for RetryConfig {
    fn default() -> Self {
        Self {
            first_ns: 250 * NS_PER_MS,
            longest_ns: 10 * NS_PER_S,
            attempts_in_a_row_max: 5,
            slow_ns: 30 * NS_PER_S,
            window_ns: 5 * NS_PER_MIN,
            attempts_per_window: 60,
        }
    }
}

/// The memory of one connection's attempts.
#[derive(Clone, Debug)]
pub struct Retry {
    config: RetryConfig,
    random: u64,
    attempts: u32,
    is_urgent: bool,
    next_mono_ns: i64,
    held_until_mono_ns: i64,
    /// Times of the latest attempts, a ring: the oldest is at `oldest`.
    window: Box<[i64]>,
    oldest: usize,
    log: Option<Arc<dyn AttemptLog>>,
}

impl Retry {
    /// Ready at once.
    pub fn new(config: RetryConfig, seed: u64) -> Self {
        assert!(
            config.first_ns > 0 && config.longest_ns >= config.first_ns,
            "back-off must grow from above zero"
        );
        assert!(config.attempts_per_window > 0, "a budget of no attempts connects never");
        Self {
            config,
            random: seed,
            attempts: 0,
            is_urgent: false,
            next_mono_ns: i64::MIN,
            held_until_mono_ns: i64::MIN,
            window: vec![i64::MIN; config.attempts_per_window].into_boxed_slice(),
            oldest: 0,
            log: None,
        }
    }

    /// Attempts of earlier processes count as this one's. Before the first attempt.
    pub fn remember(&mut self, memory: Memory) {
        for mono_ns in memory.before_mono_ns {
            self.count(mono_ns);
        }
        self.log = Some(memory.log);
    }

    fn count(&mut self, mono_ns: i64) {
        self.window[self.oldest] = mono_ns;
        self.oldest = (self.oldest + 1) % self.window.len();
    }

    /// Whether an attempt may start now.
    pub fn is_due(&self, mono_ns: i64) -> bool {
        mono_ns >= self.next_mono_ns.max(self.held_until_mono_ns) && self.has_budget(mono_ns)
    }

    /// An attempt starts.
    pub fn start(&mut self, mono_ns: i64) {
        self.attempts = self.attempts.saturating_add(1);
        if let Some(log) = &self.log {
            log.enter();
        }
        self.count(mono_ns);
    }

    /// The connection, or the attempt at it, ended.
    pub fn failed(&mut self, mono_ns: i64) {
        self.next_mono_ns = mono_ns.saturating_add(self.pause());
    }

    /// Something that must not wait depends on the connection (orders are to be cancelled): pauses stay short, the
    /// window's budget alone slows attempts down.
    pub fn set_urgent(&mut self, urgent: bool, mono_ns: i64) {
        if urgent && !self.is_urgent {
            self.next_mono_ns = self.next_mono_ns.min(mono_ns.saturating_add(self.config.first_ns));
        }
        self.is_urgent = urgent;
    }

    /// No attempt before then, however urgent: the venue asked for it.
    pub fn hold_until(&mut self, mono_ns: i64) {
        self.held_until_mono_ns = self.held_until_mono_ns.max(mono_ns);
    }

    /// The connection does what it is for: a row of failures is over.
    pub fn succeeded(&mut self) {
        self.attempts = 0;
    }

    /// Attempts since the last success.
    pub const fn attempts(&self) -> u32 {
        self.attempts
    }

    /// Whether the attempts in a row are used up.
    pub const fn is_exhausted(&self) -> bool {
        self.attempts >= self.config.attempts_in_a_row_max
    }

    fn has_budget(&self, mono_ns: i64) -> bool {
        let oldest = self.window[self.oldest];
        oldest == i64::MIN || mono_ns.saturating_sub(oldest) >= self.config.window_ns
    }

    /// Half of the pause is certain, half is jitter, so that links that fell together do not rise together.
    fn pause(&mut self) -> i64 {
        let base = if self.is_urgent {
            self.config.first_ns * 4
        } else if self.is_exhausted() {
            self.config.slow_ns
        } else {
            let doublings = self.attempts.saturating_sub(1).min(30);
            self.config.first_ns.saturating_mul(1 << doublings).min(self.config.longest_ns)
        };
        let half = base / 2;
        let jitter = split_mix(&mut self.random) % half.max(1).unsigned_abs();
        half + i64::try_from(jitter).unwrap_or(half)
    }
}

/// The `SplitMix64` sequence: small, seeded, good enough to scatter retries and WebSocket masks.
pub fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_jitter_and_end_in_the_slow_pace() {
        let config = RetryConfig::default();
        let mut retry = Retry::new(config, 7);
        let mut at = 0;
        for attempt in 1..=8u32 {
            assert!(retry.is_due(at));
            retry.start(at);
            assert_eq!(retry.attempts(), attempt);
            retry.failed(at);
            let base = if attempt >= config.attempts_in_a_row_max {
                config.slow_ns
            } else {
                config.first_ns << (attempt - 1)
            };
            assert!(!retry.is_due(at + base / 2 - 1), "attempt {attempt}: half of the pause is certain");
            assert!(retry.is_due(at + base), "attempt {attempt}: the pause is never longer than its base");
            assert_eq!(retry.is_exhausted(), attempt >= config.attempts_in_a_row_max);
            at += base;
        }
        retry.succeeded();
        assert!(!retry.is_exhausted());
    }

    #[test]
    fn a_thousand_drops_stay_within_the_window_budget() {
        // F22: each connection works for a moment, so that no row of failures builds up; the budget alone must hold.
        let config = RetryConfig { attempts_per_window: 60, ..RetryConfig::default() };
        let mut retry = Retry::new(config, 1);
        let mut starts = Vec::new();
        let mut at = 0;
        while starts.len() < 1_000 {
            if retry.is_due(at) {
                retry.start(at);
                starts.push(at);
                retry.succeeded();
                retry.failed(at);
            }
            at += 50 * NS_PER_MS;
        }
        for pair in starts.windows(61) {
            assert!(pair[60] - pair[0] >= config.window_ns);
        }
    }

    #[derive(Debug, Default)]
    struct Told(std::sync::atomic::AtomicUsize);
    impl AttemptLog for Told {
        fn enter(&self) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed); // a count
        }
    }

    #[test]
    fn f22_a_restart_does_not_reset_the_budget() {
        // A crash loop: each process makes one attempt and dies; what it did is all that the next one knows.
        let config = RetryConfig { attempts_per_window: 10, ..RetryConfig::default() };
        let log = Arc::new(Told::default());
        let (mut starts, mut at): (Vec<i64>, i64) = (Vec::new(), -NS_PER_MIN);
        while starts.len() < 60 {
            let mut retry = Retry::new(config, 1);
            let kept = starts.iter().copied().filter(|start| at - start < config.window_ns);
            retry.remember(Memory {
                before_mono_ns: kept.collect(),
                log: Arc::clone(&log) as Arc<dyn AttemptLog>,
            });
            if retry.is_due(at) {
                retry.start(at);
                starts.push(at);
            }
            at += NS_PER_S;
        }
        for pair in starts.windows(11) {
            assert!(pair[10] - pair[0] >= config.window_ns);
        }
        assert_eq!(log.0.load(std::sync::atomic::Ordering::Relaxed), 60, "each was told");
    }
}
