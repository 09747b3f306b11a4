//! The start of live: the gates are judged, and either there is the proof that opens the door, or there is a list of what is
//! missing, an event, and nothing was started.
//!
//! Readiness that isn't GO does more (R-GATE-5): a CRITICAL event, and the kill switch of this data directory trips, so that it
//! takes a person with a cause to trade here again. If nothing but readiness was missing, paper goes on in the same process
//! ([`paper_goes_on`]): in a data directory of its own, with the fill model behind the gateway, and still with exit code 3 in
//! the end, because live was refused.

use std::path::PathBuf;

use serde_json::json;

use crate::ops::events::{self, Event, Level, rfc3339};
use crate::ops::gates::{self, Case};
pub use crate::ops::gates::{Cleared, Refused};
use crate::ops::lock::InstanceLock;
use crate::ops::marker::{self, Found, Marker};
use crate::ops::paths::Paths;
use crate::ops::readiness::{self, NOT_GO, PAPER, ReadinessSection};
use crate::shared::{HaltLevel, KillPage};
use crate::types::Reason;

/// The gate that paper goes on without.
const READINESS: &str = "readiness";
/// The gate that a refused start closes itself, by its trip.
const KILL_SWITCH: &str = "kill_switch";

/// Judges a case at the start of a live session, and leaves the traces of a refusal.
pub fn clear(case: &Case, paths: &Paths, lock: &InstanceLock, now_ns: i64) -> Result<Cleared, Refused> {
    let refused = match gates::pass(case, lock) {
        Ok(cleared) => return Ok(cleared),
        Err(refused) => refused,
    };
    let event = match &refused {
        Refused::Closed(assessment) => assessment.event(now_ns),
        Refused::NotRecorded(why) => {
            Event::new(now_ns, Level::Error, "LIVE_ARM_FAILED").with("missing", json!([{ "found": why }]))
        }
    };
    tell(paths, &event);
    if let Refused::Closed(assessment) = &refused
        && let Some(Err(why)) = assessment.finding(READINESS)
    {
        tell(paths, &Event::new(now_ns, Level::Critical, NOT_GO).with("why", why.clone()));
        trip(paths, why, now_ns);
    }
    Err(refused)
}

/// Why paper goes on instead of a live session that was refused; `None` if it doesn't: more than readiness was missing, and then
/// nothing was started at all (exit code 3 at once). A trip by an earlier start that was not ready is not more.
pub fn paper_goes_on(refused: &Refused, paths: &Paths, kill_environment: bool) -> Option<String> {
    let Refused::Closed(assessment) = refused else { return None };
    let why = assessment.finding(READINESS)?.as_ref().err()?;
    let is_our_trip = match marker::look(paths) {
        Found::Killed(marker) => marker.reason == Reason::NotReady.name(),
        Found::Absent | Found::Unreadable(_) => false,
    };
    let only_our_trip = is_our_trip && readiness::stops(paths, kill_environment).len() == 1;
    let mut missing = assessment.missing().map(|line| line.gate.name);
    missing.all(|gate| gate == READINESS || (gate == KILL_SWITCH && only_our_trip)).then(|| why.clone())
}

/// Where paper goes on: in the paper programme's data directory, or, if that is the live one, in `paper/` below it. Never in the
/// live one itself: its kill switch has tripped, and stays tripped.
pub fn paper_dir(section: &ReadinessSection, live: &Paths) -> PathBuf {
    let own = || live.data.join(PAPER);
    let given = &section.paper_dir;
    if given.as_os_str().is_empty() {
        return own();
    }
    let same = match (given.canonicalize(), live.data.canonicalize()) {
        (Ok(given), Ok(live)) => given == live,
        _ => *given == live.data,
    };
    if same { own() } else { given.clone() }
}

/// The refusal itself is what counts, and it goes to the terminal too: a log that can't be written does not undo it.
fn tell(paths: &Paths, event: &Event) {
    drop(events::append(&paths.events(), event));
}

/// Trips page and marker. A marker that is there already stays: it says why it was written.
fn trip(paths: &Paths, why: &str, now_ns: i64) {
    if let Ok(page) = KillPage::open(&paths.kill_page()) {
        page.trip_once(HaltLevel::RiskOff, Reason::NotReady, now_ns);
    }
    if !marker::look(paths).is_killed() {
        let mut marker = Marker::new(Reason::NotReady, why, "interlock run", "engine");
        HaltLevel::RiskOff.name().clone_into(&mut marker.level);
        marker.at = rfc3339(now_ns);
        if let Err(error) = marker::write(paths, &marker) {
            let path = paths.marker().display().to_string();
            let event = Event::new(now_ns, Level::Critical, "MARKER_FAILED");
            tell(paths, &event.with("path", path).with("error", error.to_string()));
        }
    }
}
