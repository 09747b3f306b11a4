//! How is work run? A stage is an [`Agent`]: `poll` does a bounded amount of work and never blocks. A runner gives one or
//! more agents a pinned thread, a clock and an idle strategy; an invoker polls the same agents on the caller's thread
//! in a chosen order. No agent knows which of the two hosts it has.

pub mod clock;
pub mod cpu;
pub mod idle;
pub mod line_ring;
pub mod ring;
pub mod runner;

pub use clock::Clock;
pub use idle::IdleStrategy;
pub use runner::{AgentRunner, StopFlag};

use crate::types::Now;

/// A unit of work that is polled.
pub trait Agent: Send {
    /// Short name: thread name, heartbeat and metrics label.
    fn name(&self) -> &'static str;

    /// Does a bounded amount of work and says how much: 0 when there was nothing to do. Must not block, and in steady
    /// state must not allocate.
    fn poll(&mut self, now: Now) -> usize;

    /// Whether it must be given the time as it is when its turn comes, however short the turns before it usually are: an agent
    /// that obeys a deadline, because the host may take the core away in the middle of a cycle. The others are given the
    /// reading of the agent before them, which spares a read of the counter on the way of an order.
    fn needs_fresh_time(&self) -> bool {
        true
    }

    /// Called once on the agent's own thread before the first poll: touch memory, warm parsers.
    fn on_start(&mut self, _now: Now) {}

    /// Called once on the agent's own thread after the last poll.
    fn on_stop(&mut self, _now: Now) {}
}

/// Polls each agent once, in order: what every host does in a cycle. The work done, and the last reading of the clock.
#[inline]
pub fn cycle(agents: &mut [Box<dyn Agent>], clock: &Clock) -> (usize, Now) {
    let mut now = clock.now();
    let mut work = 0;
    for (turn, agent) in agents.iter_mut().enumerate() {
        if turn > 0 && agent.needs_fresh_time() {
            now = clock.now();
        }
        work += agent.poll(now);
    }
    (work, now)
}
