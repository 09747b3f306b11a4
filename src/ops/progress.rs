//! How far bounded live has come, computed from the evidence (R-LIM-3, R-LIM-4): the journal's sessions and acts, and the
//! event log. Nothing here is typed in, and what can't be computed is not met.
//!
//! | question | criteria |
//! |---|---|
//! | phase 1 to 2 | 7 live days of phase 1; no breach, trip or mismatch; each day reviewed without an anomaly; a formal review |
//! | ramp 0 to 1 | 30 days or 20 round trips as canary, and none of the stops below |
//! | ramp 1 to 2 | more than 60 live days, none of them with a stop in the last 60 |
//!
//! Sign-offs are the gates': they are bound to the new configuration's hash.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;

use serde::Serialize;
use serde_json::Value;

use crate::event::layers::{RampStage, day_of};
use crate::journal::entry::{ControlKind, Entry};
use crate::journal::reader;
use crate::types::Reason;

/// Days of phase 1.
pub const PHASE_DAYS: usize = 7;
/// Days, or round trips, as canary.
pub const CANARY_DAYS: usize = 30;
/// See [`CANARY_DAYS`].
pub const CANARY_TRADES: u64 = 20;
/// Live days before stage 2; it takes more.
pub const STABLE_DAYS: usize = 60;

/// Events that say that a limit was passed.
const BREACHES: &[&str] = &["DAILY_LOSS_STOP", "EMERGENCY_STOP", "LIMIT_BREACH", "WEIGHT_CLAMPED"];
/// Events that say that trades were not as expected.
const SURPRISES: &[&str] = &["RECONCILE_MISMATCH", "HALTED_OPS", "ROLLBACK", "JOURNAL_TAIL_CUT"];
/// A day was looked at: fields `day` (YYYY-MM-DD), `by`, `anomaly` (true or false).
pub const DAILY_REVIEW: &str = "DAILY_REVIEW";
/// The phase was looked at by those who are responsible: field `by`.
pub const FORMAL_REVIEW: &str = "FORMAL_REVIEW";

/// One criterion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Criterion {
    /// Stable name.
    pub name: &'static str,
    /// Whether it holds.
    pub met: bool,
    /// What was found.
    pub evidence: String,
    /// What to do while it does not.
    pub remedy: &'static str,
}

/// How far it has come.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Progress {
    /// Phase 1 to 2.
    pub phase_2: Vec<Criterion>,
    /// Ramp stage 0 to 1.
    pub ramp_1: Vec<Criterion>,
    /// Ramp stage 1 to 2.
    pub ramp_2: Vec<Criterion>,
}

/// A live session, as the journal has it.
#[derive(Clone, Debug)]
struct Lived {
    began_ns: i64,
    ended_ns: i64,
    phase: i64,
    stage: RampStage,
    trades_before: u64,
    trips: Vec<String>,
}

impl Lived {
    fn days(&self) -> impl Iterator<Item = i32> {
        day_of(self.began_ns)..=day_of(self.ended_ns.max(self.began_ns))
    }
}

/// A line of the event log.
#[derive(Clone, Debug)]
struct Told {
    at_ns: i64,
    name: String,
    fields: Value,
}

/// Everything that was found.
#[derive(Clone, Debug, Default)]
struct Evidence {
    lived: Vec<Lived>,
    told: Vec<Told>,
    trades_now: u64,
}

impl Progress {
    /// Computed from a data directory. The error says what can't be read: then nothing is met.
    pub fn gather(journal: &Path, events: &Path) -> Result<Self, String> {
        let evidence = Evidence { told: told(events)?, ..lived(journal)? };
        Ok(Self { phase_2: phase_2(&evidence), ramp_1: ramp_1(&evidence), ramp_2: ramp_2(&evidence) })
    }

    /// Whether the evidence allows a phase; the error lists what is missing.
    pub fn allows_phase(&self, phase: u32) -> Result<String, String> {
        match phase {
            0 | 1 => Ok(format!("phase {phase} needs no earlier one")),
            2 => verdict(&self.phase_2, "phase 2"),
            other => Err(format!("there is no phase {other}")),
        }
    }

    /// Whether the evidence allows a stage of the ramp.
    pub fn allows_stage(&self, stage: RampStage) -> Result<String, String> {
        match stage {
            RampStage::Off => Err("no stage of the ramp is configured".to_owned()),
            RampStage::Canary => Ok("the canary needs no earlier stage".to_owned()),
            RampStage::First => verdict(&self.ramp_1, "stage 1"),
            RampStage::Second => verdict(&self.ramp_2, "stage 2"),
        }
    }

    /// For people.
    pub fn render(&self) -> String {
        let parts =
            [("phase 1 to 2", &self.phase_2), ("ramp 0 to 1", &self.ramp_1), ("ramp 1 to 2", &self.ramp_2)];
        let mut lines = Vec::new();
        for (title, criteria) in parts {
            lines.push(title.to_owned());
            for criterion in criteria {
                let mark = if criterion.met { "met    " } else { "NOT MET" };
                let what = format!("  {mark}  {:<16} {}", criterion.name, criterion.evidence);
                lines.push(if criterion.met { what } else { format!("{what}; {}", criterion.remedy) });
            }
        }
        lines.join("\n")
    }
}

fn verdict(criteria: &[Criterion], what: &str) -> Result<String, String> {
    let missing: Vec<_> = criteria.iter().filter(|c| !c.met).collect();
    if missing.is_empty() {
        return Ok(format!("the evidence allows {what}"));
    }
    let list: Vec<_> = missing.iter().map(|c| format!("{}: {} ({})", c.name, c.evidence, c.remedy)).collect();
    Err(format!("the evidence does not allow {what}: {}", list.join("; ")))
}

fn lived(journal: &Path) -> Result<Evidence, String> {
    let mut evidence = Evidence::default();
    if !journal.is_dir() {
        return Ok(evidence);
    }
    let sessions = reader::sessions(journal).map_err(|e| e.to_string())?;
    for session in sessions {
        let header = &session.header;
        let dry = header.notes.get("dry_run").and_then(Value::as_bool).unwrap_or(false);
        if header.mode != "live" || dry {
            continue;
        }
        let config: toml::Value = toml::from_str(&header.config)
            .map_err(|e| format!("session {}: its configuration: {e}", header.session))?;
        let at = |path: &[&str]| path.iter().try_fold(&config, |value, key| value.get(key));
        let stage = at(&["risk", "layers", "ramp", "stage"]).cloned();
        let mut one = Lived {
            began_ns: header.started_ns,
            ended_ns: header.started_ns,
            phase: at(&["bounded_live", "phase"]).and_then(toml::Value::as_integer).unwrap_or(-1),
            stage: stage.and_then(|s| s.try_into().ok()).unwrap_or(RampStage::Off),
            trades_before: trades_of(&header.notes),
            trips: Vec::new(),
        };
        let (_, items) = reader::read_session(journal, &header.session).map_err(|e| e.to_string())?;
        for item in items {
            let item = item.map_err(|e| e.to_string())?;
            one.ended_ns = one.ended_ns.max(item.wall_ns);
            if let Entry::Control(act) = &item.entry
                && act.kind == ControlKind::Trip
                && !act.cause.starts_with(Reason::Boot.name())
                && !act.cause.starts_with(Reason::Drill.name())
                && !act.cause.to_ascii_lowercase().ends_with(": drill")
            {
                one.trips.push(act.cause.clone());
            }
        }
        evidence.lived.push(one);
    }
    // Every session begins with what those before it came to.
    evidence.trades_now = evidence.lived.last().map_or(0, |s| s.trades_before);
    Ok(evidence)
}

fn trades_of(notes: &serde_json::Map<String, Value>) -> u64 {
    notes.get("carried").and_then(|c| c.pointer("/account/trades")).and_then(Value::as_u64).unwrap_or(0)
}

fn told(events: &Path) -> Result<Vec<Told>, String> {
    let file = match File::open(events) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!(
                "{} is not there, so nothing can be said of what happened",
                events.display()
            ));
        }
        Err(error) => return Err(format!("{}: {error}", events.display())),
    };
    let mut told = Vec::new();
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| format!("{}: {error}", events.display()))?;
        let Ok(mut event) = serde_json::from_slice::<Value>(&line) else { continue };
        let at = event["ts"].as_str().and_then(|ts| ts.parse::<jiff::Timestamp>().ok());
        // One whose time can't be read may be of any day: it counts.
        let at_ns = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok()).unwrap_or(i64::MAX);
        let name = event["event"].as_str().unwrap_or_default().to_owned();
        told.push(Told { at_ns, name, fields: event["fields"].take() });
    }
    Ok(told)
}

impl Evidence {
    fn of_phase_1(&self) -> impl Iterator<Item = &Lived> {
        self.lived.iter().filter(|s| s.phase == 1)
    }
    fn of_stage(&self, stage: RampStage) -> impl Iterator<Item = &Lived> {
        self.lived.iter().filter(move |s| s.stage == stage)
    }
    /// Names of events of a list since a time, each once.
    fn happened(&self, names: &[&str], since_ns: i64) -> Vec<String> {
        let its = self.told.iter().filter(|t| t.at_ns >= since_ns && names.contains(&t.name.as_str()));
        its.map(|t| t.name.clone()).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn days<'a>(sessions: impl Iterator<Item = &'a Lived>) -> BTreeSet<i32> {
    sessions.flat_map(Lived::days).collect()
}

fn none_of(name: &'static str, found: &[String], what: &str, remedy: &'static str) -> Criterion {
    let met = found.is_empty();
    let evidence = if met { format!("no {what}") } else { format!("{what}: {}", found.join(", ")) };
    Criterion { name, met, evidence, remedy }
}

/// The last week of phase 1 is what counts: after a breach or a trip it begins anew.
fn phase_2(evidence: &Evidence) -> Vec<Criterion> {
    let all = days(evidence.of_phase_1());
    let counted: BTreeSet<i32> = all.iter().rev().take(PHASE_DAYS).copied().collect();
    let since_ns = counted.first().map_or(i64::MIN, |day| start_of(*day));
    let trips: Vec<String> =
        evidence.of_phase_1().filter(|s| s.ended_ns >= since_ns).flat_map(|s| s.trips.clone()).collect();
    let reviewed: BTreeSet<String> =
        evidence.told.iter().filter(|t| is_clean_review(t)).map(day_named).collect();
    let unreviewed: Vec<String> =
        counted.iter().map(|day| day_text(*day)).filter(|day| !reviewed.contains(day)).collect();
    let formal = evidence.told.iter().any(|t| {
        t.name == FORMAL_REVIEW
            && t.at_ns >= counted.last().map_or(i64::MAX, |d| start_of(*d))
            && is_signed(t)
    });
    vec![
        Criterion {
            name: "days",
            met: all.len() >= PHASE_DAYS,
            evidence: format!("{} of {PHASE_DAYS} days with a live session of phase 1", all.len()),
            remedy: "go on in phase 1",
        },
        none_of(
            "limits",
            &evidence.happened(BREACHES, since_ns),
            "limit breached in the days that count",
            "review the cause; the days begin anew after it",
        ),
        none_of(
            "kill_switch",
            &trips,
            "trip in the days that count",
            "review the cause; the days begin anew after it",
        ),
        none_of(
            "as_expected",
            &evidence.happened(SURPRISES, since_ns),
            "mismatch or fault in the days that count",
            "review the cause; the days begin anew after it",
        ),
        Criterion {
            name: "daily_review",
            met: counted.len() >= PHASE_DAYS && unreviewed.is_empty(),
            evidence: if unreviewed.is_empty() {
                format!("{} days reviewed without an anomaly", counted.len())
            } else {
                format!("no clean review of {}", unreviewed.join(", "))
            },
            remedy: "interlock progress review --day YYYY-MM-DD --by NAME",
        },
        Criterion {
            name: "formal_review",
            met: formal,
            evidence: if formal { "held after the last day" } else { "none after the last day" }.to_owned(),
            remedy: "hold it, then interlock progress review --formal --by NAME",
        },
    ]
}

fn ramp_1(evidence: &Evidence) -> Vec<Criterion> {
    let canary = days(evidence.of_stage(RampStage::Canary));
    let first = evidence.of_stage(RampStage::Canary).next();
    let trades = first.map_or(0, |s| evidence.trades_now.saturating_sub(s.trades_before));
    let since_ns = first.map_or(i64::MIN, |s| s.began_ns);
    vec![
        Criterion {
            name: "canary",
            met: canary.len() >= CANARY_DAYS || trades >= CANARY_TRADES,
            evidence: format!(
                "{} of {CANARY_DAYS} days, or {trades} of {CANARY_TRADES} round trips, as canary",
                canary.len()
            ),
            remedy: "go on as canary",
        },
        none_of(
            "limits",
            &evidence.happened(BREACHES, since_ns),
            "limit breached as canary",
            "stay in stage 0 and review",
        ),
        none_of(
            "as_expected",
            &evidence.happened(SURPRISES, since_ns),
            "mismatch or fault as canary",
            "stay in stage 0 and review",
        ),
    ]
}

fn ramp_2(evidence: &Evidence) -> Vec<Criterion> {
    let all = days(evidence.lived.iter());
    let recent = all.iter().rev().take(STABLE_DAYS).next_back().copied();
    let since_ns = recent.map_or(i64::MIN, start_of);
    vec![
        Criterion {
            name: "days",
            met: all.len() > STABLE_DAYS,
            evidence: format!("{} live days; more than {STABLE_DAYS} are needed", all.len()),
            remedy: "go on in stage 1",
        },
        none_of(
            "limits",
            &evidence.happened(BREACHES, since_ns),
            "limit breached in the last 60 live days",
            "stay in stage 1 and review",
        ),
        none_of(
            "as_expected",
            &evidence.happened(SURPRISES, since_ns),
            "mismatch or fault in the last 60 live days",
            "stay in stage 1 and review",
        ),
    ]
}

fn is_signed(told: &Told) -> bool {
    told.fields["by"].as_str().is_some_and(|by| !by.trim().is_empty())
}

/// A review whose anomaly is not said to be none has one.
fn is_clean_review(told: &Told) -> bool {
    told.name == DAILY_REVIEW && is_signed(told) && told.fields["anomaly"] == Value::Bool(false)
}

fn day_named(told: &Told) -> String {
    told.fields["day"].as_str().unwrap_or_default().to_owned()
}

fn start_of(day: i32) -> i64 {
    i64::from(day).saturating_mul(crate::types::time::NS_PER_DAY)
}

fn day_text(day: i32) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(start_of(day)));
    at.map(|at| at.strftime("%Y-%m-%d").to_string()).unwrap_or_default()
}
