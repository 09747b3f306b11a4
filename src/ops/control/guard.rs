//! Standing guard: the lease, and what trips without being asked.

use serde_json::json;

use super::Control;
use crate::journal::entry::ControlKind as ActKind;
use crate::ops::events::Level;
use crate::ops::files;
use crate::ops::health::Illness;
use crate::shared::HaltLevel;
use crate::types::time::NS_PER_MS;
use crate::types::{Now, Reason};

/// How often files and page are looked at: some system calls.
const LOOK_EVERY_NS: i64 = 50 * NS_PER_MS;

/// What the guard remembers.
#[derive(Debug, Default)]
pub(super) struct Guard {
    last_poll_ns: Option<i64>,
    next_look_ns: i64,
    next_renewal_ns: i64,
    /// Why the lease is not renewed; empty when it is.
    withheld: String,
}

impl Guard {
    pub(super) fn withheld(&self) -> &str {
        &self.withheld
    }
}

impl Control {
    pub(super) fn stand_guard(&mut self, now: Now) -> usize {
        self.watch_itself(now);
        let mut work = 0;
        if now.mono_ns >= self.guard.next_look_ns {
            self.guard.next_look_ns = now.mono_ns + LOOK_EVERY_NS;
            self.watch_page(now);
            self.watch_files(now);
            work += 1;
        }
        // A stopping engine renews nothing, and threads that have stopped as they were asked to have not stalled.
        if !self.has_left && now.mono_ns >= self.guard.next_renewal_ns {
            self.guard.next_renewal_ns = now.mono_ns + self.config.lease_ns / 5;
            self.renew_or_not(now);
            work += 1;
        }
        work
    }

    /// This thread's own loop: if it stood still for longer than a stage may, nobody watched in that time, and it
    /// can't know what happened. The lease ran out meanwhile; going on takes an operator.
    fn watch_itself(&mut self, now: Now) {
        let Some(last) = self.guard.last_poll_ns.replace(now.mono_ns) else { return };
        let gap_ns = now.mono_ns.saturating_sub(last);
        if gap_ns <= self.config.stall_ns || self.has_left {
            return;
        }
        // The others' heartbeats may look as old as the gap without any of them having stalled.
        self.parts.vitals.begin_anew(now);
        let gap_ms = gap_ns / NS_PER_MS;
        self.event(now, Level::Error, "CONTROL_STALLED", &[("gap_ms", json!(gap_ms))]);
        let text = format!("the control thread stood still for {gap_ms} ms");
        self.trip(now, HaltLevel::RiskOff, Reason::Stall, &text);
    }

    /// A page that is cut, overwritten or replaced no longer carries a trip from outside to this engine: orders that can't be
    /// stopped from outside may not stay.
    fn watch_page(&mut self, now: Now) {
        if let Err(fault) = self.parts.page.inspect() {
            self.trip(now, HaltLevel::CancelAll, Reason::PageUnreadable, &fault.to_string());
        }
    }

    /// The kill file and the marker: both trip by being there.
    pub(super) fn watch_files(&mut self, now: Now) {
        let paths = &self.parts.paths;
        let kill_file = paths.kill_file();
        if files::may_exist(&kill_file) {
            let text = format!("{} is there", kill_file.display());
            self.trip(now, HaltLevel::CancelAll, Reason::KillFile, &text);
        }
        // A marker beside an armed page was written by a halt tool that could not reach the page.
        let armed = !self.parts.page.view(now).is_tripped();
        if armed && self.marker_owed.is_none() && files::may_exist(&self.parts.paths.marker()) {
            self.trip(now, HaltLevel::CancelAll, Reason::HaltTool, "the marker is there");
        }
    }

    fn renew_or_not(&mut self, now: Now) {
        let ill = self.illness(now);
        if let Some(illness) = &ill {
            self.fall_ill(now, illness);
        }
        let tripped = self.parts.page.view(now).is_tripped();
        let withheld = match ill {
            Some(illness) => format!("{}: {}", illness.reason.name(), illness.detail),
            // Two locks, not one: while tripped there is no lease either.
            None if tripped => "tripped".to_owned(),
            None => String::new(),
        };
        let was_renewed = self.guard.withheld.is_empty();
        if withheld.is_empty() {
            self.parts.page.renew_lease(now.mono_ns + self.config.lease_ns);
        }
        let renewed = withheld.is_empty();
        self.guard.withheld = withheld;
        // A trip has an event of its own.
        if was_renewed != renewed && !tripped {
            let (level, name) =
                if renewed { (Level::Info, "LEASE_RENEWED") } else { (Level::Warn, "LEASE_WITHHELD") };
            let why = self.guard.withheld.clone();
            self.event(now, level, name, &[("why", json!(why))]);
            self.record(now, ActKind::Lease, "engine", if renewed { "renewed" } else { &why }, None);
        }
    }

    /// What is wrong with the engine now.
    pub(super) fn illness(&mut self, now: Now) -> Option<Illness> {
        let armed = !self.parts.page.view(now).is_tripped();
        let market_ns = armed.then(|| self.parts.watcher.latest().market_ns);
        let parts = &mut self.parts;
        parts
            .vitals
            .illness(now, market_ns)
            .or_else(|| parts.health.iter_mut().find_map(|health| health.illness(now)))
            .or_else(|| self.reconcile_illness(now))
    }

    /// Anchors the wall clock anew. Deadlines and the lease don't see a step; timestamps in requests do.
    pub(super) fn watch_clock(&mut self, now: Now) {
        let moved_ns = self.parts.clock.reanchor();
        if moved_ns.abs() <= self.config.clock_step_ns_max {
            return;
        }
        let moved_ms = moved_ns / NS_PER_MS;
        self.event(now, Level::Error, "CLOCK_STEPPED", &[("moved_ms", json!(moved_ms))]);
        let text = format!("the wall clock stepped by {moved_ms} ms");
        self.trip(now, HaltLevel::RiskOff, Reason::ClockOffset, &text);
    }
}
