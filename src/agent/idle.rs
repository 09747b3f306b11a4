//! What a runner does when its agents had nothing to do.

use std::time::Duration;

/// The waiting policy, a value of configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IdleStrategy {
    /// Burn the core: the lowest latency, for a core of one's own.
    #[default]
    Spin,
    /// Give the core to whoever waits for it, come back at once.
    Yield,
    /// Sleep a little (50 us): for laptops and tests. A message then waits up to that long.
    Park,
    /// Sleep at once after every empty poll: for threads that follow behind, as the journal's. One that looks at a ring again
    /// and again keeps taking the line of its write index from the stage that writes, whose next push then waits for it
    /// (about 100 ns for cores that are near, 200 for cores that are far, on the order's way).
    Follow,
}

/// How many empty polls in a row before [`IdleStrategy::Park`] sleeps.
const PARK_AFTER_EMPTY_POLLS: u32 = 64;
const PARK: Duration = Duration::from_micros(50);

/// The state of one runner's waiting.
#[derive(Debug)]
pub struct Idler {
    strategy: IdleStrategy,
    empty_polls: u32,
}

impl Idler {
    /// For a strategy.
    pub fn new(strategy: IdleStrategy) -> Self {
        Self { strategy, empty_polls: 0 }
    }

    /// After a cycle that did `work`.
    #[inline]
    pub fn idle(&mut self, work: usize) {
        if work > 0 {
            self.empty_polls = 0;
            return;
        }
        match self.strategy {
            IdleStrategy::Spin => core::hint::spin_loop(),
            IdleStrategy::Yield => std::thread::yield_now(),
            IdleStrategy::Follow => super::clock::sleep(PARK),
            IdleStrategy::Park => {
                self.empty_polls = self.empty_polls.saturating_add(1);
                if self.empty_polls > PARK_AFTER_EMPTY_POLLS {
                    super::clock::sleep(PARK);
                } else {
                    std::thread::yield_now();
                }
            }
        }
    }
}
