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
    /// Whether recorded time is shown.
    recorded: Cell<bool>,
}

impl VenueClock {
    pub(super) fn new(system: Clock) -> Self {
        Self { system, follow: Cell::new(Follow::System { ahead_ns: 0 }), recorded: Cell::new(false) }
    }

    /// Sets what it follows.
    pub(super) fn follow(&self, follow: Follow) {
        self.recorded.set(self.recorded.get() || matches!(follow, Follow::Recording { .. }));
        self.follow.set(follow);
    }

    /// Lets recorded time run on from here, at the pace of the system's clock.
    pub(super) fn run_from(&self, at_ns: i64) {
        self.recorded.set(true);
        self.follow.set(Follow::System { ahead_ns: at_ns.saturating_sub(self.system_ns()) });
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
        within(self.now_ns()) || (self.recorded.get() && within(self.system_ns()))
    }

    /// Follows corrections of the system's clock; call about once a second.
    pub(super) fn reanchor(&self) {
        self.system.reanchor();
    }
}
