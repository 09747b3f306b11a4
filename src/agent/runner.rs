//! Hosts of agents: a pinned thread for one or more of them. The same agents run on the caller's thread in tests,
//! backtests and replays by being polled directly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use super::idle::Idler;
use super::{Agent, Clock, IdleStrategy, cpu, cycle};

/// Asks runners to stop. Clones share the flag.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Asks.
    pub fn stop(&self) {
        // Release pairs with the acquire in `is_stopped`: what was written before asking is seen by who stops.
        self.0.store(true, Ordering::Release);
    }
    /// Whether someone asked.
    #[inline]
    pub fn is_stopped(&self) -> bool {
        self.0.load(Ordering::Acquire) // pairs with `stop`
    }
}

/// Starts a named thread that is not on the hot path: the embedded venue, a writer, a server. It may block and is never
/// pinned.
#[expect(clippy::disallowed_methods, reason = "the one place where cold threads are started")]
pub fn start_cold<T: Send + 'static>(
    name: &str,
    body: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body)
}

/// Several agents as one: polled in order, so that a fact travels the whole line in one cycle.
pub struct Composite {
    agents: Vec<Box<dyn Agent>>,
}

impl std::fmt::Debug for Composite {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.agents.iter().map(|a| a.name())).finish()
    }
}

/// How a runner's thread is set up.
#[derive(Clone, Debug)]
pub struct RunnerConfig {
    /// Thread name.
    pub name: String,
    /// The core to pin to; `None` leaves the thread to the scheduler.
    pub core: Option<usize>,
    /// What to do when there is nothing to do.
    pub idle: IdleStrategy,
}

/// A running thread of agents.
#[derive(Debug)]
pub struct AgentRunner {
    thread: JoinHandle<()>,
    name: String,
}

impl AgentRunner {
    /// Starts a thread that polls the agents until `stop`. `heartbeat` is called with each cycle's reading of the clock.
    #[expect(clippy::disallowed_methods, reason = "the one place where hot threads are started")]
    pub fn start(
        config: &RunnerConfig,
        agents: Vec<Box<dyn Agent>>,
        clock: Clock,
        stop: StopFlag,
        mut heartbeat: impl FnMut(crate::types::Now) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (name, core, idle) = (config.name.clone(), config.core, config.idle);
        let thread = std::thread::Builder::new().name(config.name.clone()).spawn(move || {
            if let Some(core) = core {
                // Not fatal: the doctor and the start-up log tell of it, and unpinned is slow, not unsafe.
                let _pinned = cpu::pin_current_thread(core);
            }
            let mut composite = Composite { agents };
            for agent in &mut composite.agents {
                agent.on_start(clock.now());
            }
            let mut idler = Idler::new(idle);
            while !stop.is_stopped() {
                let (work, now) = cycle(&mut composite.agents, &clock);
                heartbeat(now);
                idler.idle(work);
            }
            for agent in &mut composite.agents {
                agent.on_stop(clock.now());
            }
        })?;
        Ok(Self { thread, name })
    }

    /// The thread's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Waits until it has stopped. A panicked agent is an error that names the thread.
    pub fn join(self) -> std::io::Result<()> {
        self.thread.join().map_err(|_| std::io::Error::other(format!("thread {} panicked", self.name)))
    }
}
