//! Readiness of a live session while it runs: what was GO at the start may not stay so. A cold thread judges anew every
//! `readiness.live_every_s`; when the verdict falls to `readiness.live_trips_at` the kill switch trips (risk-off) with a CRITICAL
//! event, as it does at a start that is not ready (R-GATE-5).
//!
//! It refuses to arm: a verdict that gets better is told, and it takes a person with a cause to trade again. And it refuses to be
//! off: the bound between two looks is configured, whether there are looks is not.

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use super::config::TripsAt;
use super::{NOT_GO, Readiness, Verdict};
use crate::agent::runner::start_cold;
use crate::agent::{Clock, StopFlag, clock};
use crate::ops::events::{Event, EventSender, Level};
use crate::shared::{HaltLevel, KillPage};
use crate::types::Reason;
use crate::types::time::NS_PER_S;

/// How often the thread looks whether it is to end.
const NAP: Duration = Duration::from_millis(50);

/// What is judged each time.
pub type Judge = Box<dyn Fn(i64) -> Readiness + Send>;

/// The look at a verdict: what follows from it.
#[derive(Debug)]
pub struct Eye {
    page: Arc<KillPage>,
    events: EventSender,
    trips_at: TripsAt,
    /// What was told last; a session starts with GO, or it would not be live.
    told: Verdict,
}

impl Eye {
    /// On a session's page and event log.
    pub const fn new(page: Arc<KillPage>, events: EventSender, trips_at: TripsAt) -> Self {
        Self { page, events, trips_at, told: Verdict::Go }
    }

    /// Takes a verdict in. Trips if it is bad enough, each time: whoever armed meanwhile did so without the evidence.
    pub fn look(&mut self, readiness: &Readiness, at_ns: i64) {
        let verdict = readiness.live_rollout;
        let why = || readiness.reasons().join("; ");
        if verdict >= self.trips_at.verdict() {
            // Tripped for another cause: the trip in force has its own event, and is among the reasons of this verdict.
            if self.page.trip_once(HaltLevel::RiskOff, Reason::NotReady, at_ns).raised {
                let event = Event::new(at_ns, Level::Critical, NOT_GO);
                self.events.send(event.with("verdict", verdict.name()).with("why", why()));
            }
        } else if verdict != self.told {
            let level = if verdict == Verdict::Go { Level::Info } else { Level::Warn };
            let event = Event::new(at_ns, level, "READINESS_CHANGED");
            self.events.send(event.with("verdict", verdict.name()).with("why", why()));
        }
        self.told = verdict;
    }
}

/// The running thread. Dropping it ends it.
#[derive(Debug)]
pub struct Watch {
    stop: StopFlag,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Starts it: the first look comes after `every_s`, since the gates have judged at the start.
    pub fn start(mut eye: Eye, judge: Judge, every_s: u32, clock: Clock) -> std::io::Result<Self> {
        let stop = StopFlag::default();
        let until = stop.clone();
        let every_ns = i64::from(every_s).saturating_mul(NS_PER_S);
        let thread = start_cold("readiness-watch", move || {
            let mut due_ns = clock.mono_ns().saturating_add(every_ns);
            while !until.is_stopped() {
                clock::sleep(NAP);
                if clock.mono_ns() < due_ns {
                    continue;
                }
                let now_ns = clock.now().ns;
                eye.look(&judge(now_ns), now_ns);
                // After the look: one that takes long must not be followed by another at once.
                due_ns = clock.mono_ns().saturating_add(every_ns);
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(thread) = self.thread.take() {
            // A panic of that thread was printed by it, and has tripped the page.
            drop(thread.join());
        }
    }
}
