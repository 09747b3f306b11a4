//! The venue's clock: the system's, or that of a recording.

use std::cell::Cell;

use crate::agent::Clock;

/// How a venue's time follows from the system's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follow {
    /// Runs with the system's clock, this much ahead.
    System { ahead_ns: i64 },
    /// Stands where the recording stands.
    Recording { at_ns: i64 },
}

/// The clock.
pub(super) struct VenueClock {
    system: Clock,
    follow: Cell<Follow>,
}

impl VenueClock {
    pub(super) fn new(system: Clock) -> Self {
        Self { system, follow: Cell::new(Follow::System { ahead_ns: 0 }) }
    }

    /// Sets what it follows.
    pub(super) fn follow(&self, follow: Follow) {
        self.follow.set(follow);
    }

    /// The venue's time.
    pub(super) fn now_ns(&self) -> i64 {
        match self.follow.get() {
            Follow::System { ahead_ns } => self.system_ns().saturating_add(ahead_ns),
            Follow::Recording { at_ns } => at_ns,
        }
    }

    /// The system's time.
    pub(super) fn system_ns(&self) -> i64 {
        self.system.now().ns
    }

    /// Whether a request stamped `stamp_ns` is in time. A venue that shows recorded time takes stamps of the system's clock
    /// too: nobody's clock stands in the past.
    pub(super) fn accepts(&self, stamp_ns: i64, window_ns: i64) -> bool {
        let within = |now_ns: i64| stamp_ns < now_ns + 1_000_000_000 && now_ns - stamp_ns <= window_ns;
        within(self.now_ns())
            || (matches!(self.follow.get(), Follow::Recording { .. }) && within(self.system_ns()))
    }

    /// Follows corrections of the system's clock; call about once a second.
    pub(super) fn reanchor(&self) {
        self.system.reanchor();
    }
}
