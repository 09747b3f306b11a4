//! Drills (R-KILL-4): what must work in an emergency is tried, timed and kept as evidence, with the very program that trades.
//!
//! Each drill of the table ([`DRILLS`]) has a venue, an engine and a data directory of its own. Orders rest at the venue, the
//! strategy wants more; then the trip comes, in the way that the drill is about. Measured are: the last order that left after it
//! (from the journal, which has each request before it is written), the venue's word that nothing is open (and the venue is
//! asked again, by another way), and the recovery. Every run proves that what it is about did occur; a run that can't is a
//! failed one.
//!
//! The engine that runs is drilled too, where that is asked for ([`run_on_running`]); nothing else touches it.
//!
//! What it refuses: to touch the data directory's own engine unasked, to call a drill passed that wasn't run, to leave anything
//! running.

mod cases;
mod field;
mod hang;
mod helm;
mod measure;
mod running;

use std::fs;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;

use crate::agent::{Clock, clock};
use crate::ops::drills::{
    DrillResult, DrillRun, DrillSummary, KIND, RECOVERED_WITHIN_US, SILENT_WITHIN_US, STOP_WITHIN_US, Spread,
};
use crate::ops::evidence::{self, Manifest, Source};
use crate::ops::paths::Paths;

pub use cases::{DRILLS, Drill};
pub use field::Ground;
pub use running::{RUNNING, Running, refusal, run as run_on_running};

use field::Field;

/// Orders that rest at the venue when the trip comes.
const RESTING: u64 = 5;
/// How long the venue's word may take before a run has failed: the seeds' bound.
const SILENT_WITHIN: Duration = Duration::from_micros(SILENT_WITHIN_US);

/// How long the journal may lag behind what was written to the socket: many times its own pace.
const SETTLED: Duration = Duration::from_millis(200);

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum DrillError {
    /// The drill's own ground.
    #[error("{0}")]
    Field(String),
    /// The engine.
    #[error("{0}")]
    Engine(String),
    /// The venue.
    #[error("the venue: {0}")]
    Venue(String),
    /// Something did not come in time.
    #[error("{what} did not come in {after:?}")]
    Late {
        /// What.
        what: String,
        /// How long was waited.
        after: Duration,
    },
    /// What the drill is about did not occur.
    #[error("not proven: {0}")]
    Unproven(String),
    /// It can't be done on this host.
    #[error("not possible here: {0}")]
    NotHere(String),
}

/// A drill with all that it left.
#[derive(Debug)]
pub struct Done {
    /// The figures.
    pub result: DrillResult,
    /// Each run.
    pub runs: Vec<DrillRun>,
    /// The engine's event log.
    pub events: Vec<u8>,
}

/// Runs one drill `times` times, on one field unless each run needs one of its own.
pub fn run(drill: &Drill, ground: &Ground, times: u64, tell: &mut dyn FnMut(&str)) -> Done {
    let (mut runs, mut failures, mut events) = (Vec::new(), Vec::new(), Vec::new());
    let mut number = 0;
    while number < times && failures.is_empty() {
        let (dir, until) = if drill.by_layer {
            (ground.dir.join((number + 1).to_string()), number + 1)
        } else {
            (ground.dir.clone(), times)
        };
        let mut one = |run: DrillRun, number: u64| {
            tell(&format!(
                "{} {number}/{times}: last order {} us, silent {} us, recovered {} us",
                drill.name, run.last_order_us, run.silent_us, run.recovered_us
            ));
            runs.push(run);
        };
        let here = Ground { dir: dir.clone(), ..ground.clone() };
        failures.extend(run_on_field(drill, &here, number + 1..=until, &mut one).err());
        number = until;
        events.extend(fs::read(Paths::new(&dir.join("data"), None).events()).unwrap_or_default());
    }
    let result = judge(drill.name, times, &runs, failures);
    Done { result, runs, events }
}

/// The runs of these numbers on one field. What comes after a failed run would be measured on an engine in an unknown state, so
/// it ends with that.
fn run_on_field(
    drill: &Drill,
    ground: &Ground,
    mut numbers: RangeInclusive<u64>,
    one: &mut dyn FnMut(DrillRun, u64),
) -> Result<(), String> {
    let mut field = Field::set(ground, drill, if drill.by_layer { RESTING } else { 0 })
        .map_err(|error| error.to_string())?;
    numbers.try_for_each(|number| {
        let run = run_once(drill, &mut field).map_err(|error| format!("run {number}: {error}"))?;
        one(run, number);
        Ok(())
    })
}

fn run_once(drill: &Drill, field: &mut Field) -> Result<DrillRun, DrillError> {
    let open_before = if drill.by_layer {
        field.rested
    } else {
        field.wait_until_trading()?;
        field.rest_orders(RESTING)?;
        field.open()?
    };
    if open_before < RESTING {
        return Err(DrillError::Unproven(format!("{open_before} orders are open, {RESTING} were placed")));
    }
    let tripped = (drill.trip)(field)?;
    let silent_ns = field.wait_until_silent(tripped.epoch, SILENT_WITHIN)?;
    let left = field.open()?;
    if left > 0 {
        return Err(DrillError::Venue(format!(
            "{left} orders are open although the halt was said to be silent"
        )));
    }
    // The control thread, if it stood still, must come back before anybody can recover.
    drop(tripped.undo);
    let session = field.helm.status()?.boot_id;
    // What the gateway wrote last must have reached the journal's file.
    clock::sleep(SETTLED);
    let after = measure::orders_after(&field.helm.paths, tripped.at_ns).map_err(DrillError::Engine)?;
    let left = field.open()?;
    if left > 0 {
        return Err(DrillError::Venue(format!("{left} orders came after the venue's word (boot {session})")));
    }
    let recovered_us = field.recover(drill.by_layer)?;
    Ok(DrillRun {
        last_order_us: after.last_us,
        orders_after: after.orders,
        silent_us: us_between(tripped.at_ns, silent_ns),
        recovered_us,
        open_before,
        proof: tripped.proof,
    })
}

fn us_between(from_ns: i64, to_ns: i64) -> u64 {
    u64::try_from(to_ns.saturating_sub(from_ns) / 1_000).unwrap_or(0)
}

/// One of a run's times, microseconds.
type Figure = fn(&DrillRun) -> u64;

fn judge(name: &str, times: u64, runs: &[DrillRun], mut failures: Vec<String>) -> DrillResult {
    let times_of = |figure: Figure| runs.iter().map(figure).collect::<Vec<_>>();
    let figures: [(&str, Figure, u64); 3] = [
        ("trip to last order", |r| r.last_order_us, STOP_WITHIN_US),
        ("trip to zero open orders", |r| r.silent_us, SILENT_WITHIN_US),
        ("recovery", |r| r.recovered_us, RECOVERED_WITHIN_US),
    ];
    for (what, figure, bound_us) in figures {
        let worst = runs.iter().map(figure).max().unwrap_or(0);
        if worst > bound_us {
            failures.push(format!("{what} took {worst} us, over {bound_us} us"));
        }
    }
    let [last_order, silent, recovered] = figures.map(|(_, figure, _)| Spread::of(&times_of(figure)));
    let count = runs.len() as u64;
    let passed = failures.is_empty() && count == times && times > 0;
    DrillResult { name: name.to_owned(), runs: count, passed, failures, last_order, silent, recovered }
}

/// Where the drills of a data directory take place, for as long as they take.
pub fn scratch(paths: &Paths) -> PathBuf {
    paths.data.join("drills").join(format!("run-{}", std::process::id()))
}

/// Packs what drills left as evidence.
pub fn pack(paths: &Paths, done: &[Done], build: &str, clock: &Clock) -> std::io::Result<Manifest> {
    let passed = !done.is_empty() && done.iter().all(|d| d.result.passed);
    let summary = DrillSummary { drills: done.iter().map(|d| d.result.clone()).collect(), passed };
    let mut sources = Vec::new();
    for drill in done {
        let runs = serde_json::to_string_pretty(&json!({ "drill": drill.result, "runs": drill.runs }))?;
        sources.push((format!("{}.json", drill.result.name), Source::Bytes(runs.into_bytes())));
        let events = Source::Bytes(drill.events.clone());
        sources.push((format!("{}.events.jsonl", drill.result.name), events));
    }
    evidence::pack(paths, KIND, serde_json::to_value(&summary)?, sources, (build, clock.now().ns))
}

/// Removes what a drill left on its ground.
pub fn clear(dir: &Path) {
    // Best effort: what stays is in nobody's way.
    let _removed = fs::remove_dir_all(dir);
}

/// What would keep the drills of a data directory from being run: looked for without starting anything.
pub fn obstacles(data_dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    // The nearest folder that is there must take files.
    let existing = data_dir.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("."));
    let existing = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
    let probe = existing.join(format!(".drill-probe-{}", std::process::id()));
    match fs::write(&probe, "probe") {
        Ok(()) => clear_file(&probe),
        Err(error) => found.push(format!("{}: {error}", existing.display())),
    }
    if let Err(error) = std::net::TcpListener::bind(("127.0.0.1", 0)) {
        found.push(format!("no port on 127.0.0.1: {error}"));
    }
    found
}

fn clear_file(path: &Path) {
    // Best effort: as `clear`.
    let _removed = fs::remove_file(path);
}
