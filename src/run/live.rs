//! The start of live: the gates are judged, and either there is the proof that opens the door, or there is a list of what is
//! missing, an event, and nothing was started.
//!
//! Readiness that isn't GO does more (R-GATE-5): a CRITICAL event, and the kill switch of this data directory trips, so that it
//! takes a person with a cause to trade here again. Paper goes on in its own data directory, which this doesn't touch.

use serde_json::json;

use crate::ops::events::{self, Event, Level, rfc3339};
use crate::ops::gates::{self, Case};
pub use crate::ops::gates::{Cleared, Refused};
use crate::ops::lock::InstanceLock;
use crate::ops::marker::{self, Marker};
use crate::ops::paths::Paths;
use crate::ops::readiness::NOT_GO;
use crate::shared::{HaltLevel, KillPage};
use crate::types::Reason;

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
        && let Some(Err(why)) = assessment.finding("readiness")
    {
        tell(paths, &Event::new(now_ns, Level::Critical, NOT_GO).with("why", why.clone()));
        trip(paths, why, now_ns);
    }
    Err(refused)
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
