//! The watchdog: a thread that watches those whom the control thread can't watch: the control thread itself, and the REST thread,
//! which may wait for the network for a long while, but not for ever.
//!
//! A control thread that hangs lets the lease run out, so the engine is risk-off by itself; but its sockets are dumb, and what
//! is open stays open. The watchdog raises the level to "cancel all", which the gateway carries out without anybody's help.
//! Who watches the watchdog: the control thread, as it watches the stages.
//!
//! It refuses to judge others by its own sleep: if it stood still itself (a stopped process, a suspended machine), all others
//! look still too, and it begins anew; the control thread trips for that.

use std::sync::Arc;

use crate::agent::Agent;
use crate::ops::events::{Event, EventSender, Level};
use crate::shared::{HaltLevel, KillPage};
use crate::types::time::NS_PER_MS;
use crate::types::{Now, Reason};

/// A thread that is watched.
#[derive(Clone, Debug)]
pub struct Watched {
    /// Its heartbeat's slot on the kill page.
    pub slot: usize,
    /// Its name.
    pub name: &'static str,
    /// How long it may stand still.
    pub bound_ns: i64,
    /// What happens then.
    pub level: HaltLevel,
}

/// The agent.
#[derive(Debug)]
pub struct Watchdog {
    page: Arc<KillPage>,
    events: EventSender,
    watched: Vec<Watched>,
    began_mono_ns: Option<i64>,
    last_mono_ns: i64,
    /// By thread: already told.
    told: Vec<bool>,
}

impl Watchdog {
    /// For the threads that beat on the page.
    pub fn new(page: Arc<KillPage>, events: EventSender, watched: Vec<Watched>) -> Self {
        let told = vec![false; watched.len()];
        Self { page, events, watched, began_mono_ns: None, last_mono_ns: 0, told }
    }

    fn shortest_ns(&self) -> i64 {
        self.watched.iter().map(|w| w.bound_ns).min().unwrap_or(i64::MAX)
    }
}

impl Agent for Watchdog {
    fn name(&self) -> &'static str {
        "watchdog"
    }

    fn poll(&mut self, now: Now) -> usize {
        let slept_ns = now.mono_ns.saturating_sub(self.last_mono_ns);
        self.last_mono_ns = now.mono_ns;
        if self.began_mono_ns.is_none() || slept_ns > self.shortest_ns() / 2 {
            self.began_mono_ns = Some(now.mono_ns);
        }
        let began = self.began_mono_ns.unwrap_or(now.mono_ns);
        for (watched, told) in self.watched.iter().zip(&mut self.told) {
            let beat = self.page.last_heartbeat(watched.slot).max(began);
            let age_ns = now.mono_ns.saturating_sub(beat);
            if age_ns <= watched.bound_ns {
                *told = false;
                continue;
            }
            // Each time, not only the first: whoever armed meanwhile did so over a thread that does not move.
            self.page.trip(watched.level, Reason::Stall, now.ns);
            if !std::mem::replace(told, true) {
                let (age_ms, bound_ms) = (age_ns / NS_PER_MS, watched.bound_ns / NS_PER_MS);
                let event = Event::new(now.ns, Level::Error, "WATCHDOG")
                    .with("thread", watched.name)
                    .with("age_ms", age_ms)
                    .with("bound_ms", bound_ms)
                    .with("level", watched.level.name());
                // The control thread writes it when, or if, it comes back; the page has the trip at once.
                self.events.send(event);
            }
        }
        0
    }
}
