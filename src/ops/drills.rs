//! Drills as evidence (R-KILL-4): what a drill measured, and which drills an engine's evidence shows as passed. How drills are
//! run is in `run/drill`; the gate that asks for three of them reads [`passed`].

use std::io;

use serde::{Deserialize, Serialize};

use super::evidence;
use super::paths::Paths;

/// Kind of the evidence pack.
pub const KIND: &str = "drill";
/// Bounds of the seeds (003, phase 9): trip to no further order, everything stopped, recovered.
pub const STOP_WITHIN_US: u64 = 5_000_000;
/// See [`STOP_WITHIN_US`].
pub const SILENT_WITHIN_US: u64 = 30_000_000;
/// See [`STOP_WITHIN_US`].
pub const RECOVERED_WITHIN_US: u64 = 300_000_000;

/// Percentiles of a time over the runs, microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Half of the runs took at most this.
    pub p50_us: u64,
    /// 99 of 100 did.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

impl Spread {
    /// Of the runs' times: nearest rank, so that each figure is one that was measured. `None` without runs.
    pub fn of(times_us: &[u64]) -> Option<Self> {
        let mut sorted = times_us.to_vec();
        sorted.sort_unstable();
        let rank = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied();
        Some(Self { p50_us: rank(50)?, p99_us: rank(99)?, max_us: *sorted.last()? })
    }
}

/// One run of a drill.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRun {
    /// From the trip to the last order that adds risk; 0 if none left after it.
    pub last_order_us: u64,
    /// Orders and replaces that left after the trip.
    pub orders_after: u64,
    /// From the trip to the venue's word that nothing is open.
    pub silent_us: u64,
    /// From the operator's recover to trading again.
    pub recovered_us: u64,
    /// Orders that were open when the trip came, as the venue said.
    pub open_before: u64,
    /// How it is known that what the drill is about did occur.
    pub proof: String,
}

/// What a drill showed over its runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillResult {
    /// Its name in the table of drills.
    pub name: String,
    /// How often it was run.
    pub runs: u64,
    /// Whether every run did what it must, within the bounds.
    pub passed: bool,
    /// Why not; empty if passed.
    pub failures: Vec<String>,
    /// Trip to last order.
    pub last_order: Option<Spread>,
    /// Trip to zero open orders.
    pub silent: Option<Spread>,
    /// Recover to trading.
    pub recovered: Option<Spread>,
}

/// The summary in the manifest of a drill's pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillSummary {
    /// The drills.
    pub drills: Vec<DrillResult>,
    /// Whether all passed.
    pub passed: bool,
}

/// A drill that was passed, by a pack that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The pack.
    pub pack: String,
    /// The drill's name.
    pub name: String,
    /// How often it was run in it.
    pub runs: u64,
    /// When, RFC 3339.
    pub at: String,
    /// The build that was drilled.
    pub build: String,
}

/// The drills that the evidence shows as passed, oldest first. A pack that doesn't verify, or a drill with a failed run, counts
/// for nothing. A dry run leaves no pack.
pub fn passed(paths: &Paths) -> io::Result<Vec<Passed>> {
    let mut found = Vec::new();
    for manifest in evidence::index(paths)?.into_iter().flatten().filter(|m| m.kind == KIND) {
        let Ok(summary) = DrillSummary::deserialize(&manifest.summary) else { continue };
        for drill in summary.drills.into_iter().filter(|d| d.passed && d.runs > 0) {
            found.push(Passed {
                pack: manifest.id.clone(),
                name: drill.name,
                runs: drill.runs,
                at: manifest.created_at.clone(),
                build: manifest.build.clone(),
            });
        }
    }
    Ok(found)
}
