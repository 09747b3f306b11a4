//! The drills that the evidence knows of (R-KILL-4): those in packs that verify. A dry run leaves no pack.

use serde::Deserialize as _;

use crate::ops::drills::{DrillSummary, KIND};
use crate::ops::evidence;
use crate::ops::paths::Paths;
use crate::types::time::NS_PER_S;

/// Nanoseconds of a day.
const DAY_NS: i64 = 86_400 * NS_PER_S;

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Drills {
    /// Drills that passed within the window: when, and which.
    pub(super) passed: Vec<(i64, String)>,
    /// Drills within the window that did not.
    pub(super) failed: Vec<(i64, String)>,
    /// Why nothing, or not all of it, can be relied on.
    pub(super) unreadable: Option<String>,
}

/// Looks.
pub(super) fn look(paths: &Paths, now_ns: i64, within_days: u32) -> Drills {
    let since_ns = now_ns.saturating_sub(i64::from(within_days).saturating_mul(DAY_NS));
    let mut drills = Drills::default();
    let packs = match evidence::index(paths) {
        Ok(packs) => packs,
        Err(error) => {
            drills.unreadable = Some(format!("{}: {error}", evidence::folder(paths).display()));
            return drills;
        }
    };
    for pack in packs {
        // A pack that does not verify counts for nothing, neither as a success nor against one.
        let Ok(manifest) = pack else { continue };
        let at = manifest.created_at.parse::<jiff::Timestamp>().ok();
        let Some(at_ns) = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok()) else { continue };
        if manifest.kind != KIND || at_ns < since_ns || at_ns > now_ns {
            continue;
        }
        let Ok(summary) = DrillSummary::deserialize(&manifest.summary) else { continue };
        for drill in summary.drills {
            let list = if drill.passed && drill.runs > 0 { &mut drills.passed } else { &mut drills.failed };
            list.push((at_ns, drill.name));
        }
    }
    drills
}
