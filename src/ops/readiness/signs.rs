//! What readiness judges, gathered from the data directories. Whatever can't be read says so, and counts as not met.

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::config::ReadinessSection;
use super::digest::{self, Digest};
use super::events;
use super::layers::preservation;
use super::paper;
use crate::ops::events::rfc3339;
use crate::ops::files;
use crate::ops::marker;
use crate::ops::paths::Paths;
use crate::shared::{HaltLevel, KillPage};
use crate::types::time::{NS_PER_DAY, NS_PER_S};
use crate::types::{Now, Reason};

/// Nanoseconds of an hour.
const HOUR_NS: i64 = 3_600 * NS_PER_S;
/// Name of the mode, and of the folder in which it goes on beside a live one.
pub const PAPER: &str = "paper";
/// What a finding is.
type Finding = Result<String, String>;

/// Where to look.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The data directory.
    pub paths: Paths,
    /// Now.
    pub now_ns: i64,
    /// The section.
    pub section: ReadinessSection,
    /// The allowlist in force.
    pub allowlist: Vec<String>,
    /// `LIVE_KILL_SWITCH` is set.
    pub kill_environment: bool,
}

/// What was found, condition by condition.
#[derive(Clone, Debug)]
pub struct Signs {
    pub(super) stops: Vec<String>,
    pub(super) allowlist: Vec<String>,
    pub(super) preservation: Finding,
    pub(super) shadow_health: Finding,
    pub(super) daily_report: Finding,
    pub(super) paper_streak: Finding,
    pub(super) paper_weeks: Finding,
    pub(super) heartbeat: Finding,
    pub(super) block_rate: Finding,
    pub(super) realism: Finding,
    pub(super) alerts: Finding,
}

impl Signs {
    /// Looks.
    pub fn gather(sources: Sources) -> Self {
        let Sources { paths, now_ns, section, allowlist, kill_environment } = sources;
        let elsewhere = |dir: &Path| {
            if dir.as_os_str().is_empty() { paths.clone() } else { Paths::new(dir, None) }
        };
        let (paper, shadow) = (elsewhere(&section.paper_dir), elsewhere(&section.shadow_dir));
        let report = newest_report(&shadow);
        let sessions = paper_sessions(&paper, &paths);
        let by_days = |judge: &dyn Fn(&[i64]) -> Finding| {
            judge(&paper::days(sessions.as_ref().map_err(Clone::clone)?, section.paper_day_minutes_min))
        };
        let by_sessions = |judge: fn(&[Digest], &ReadinessSection) -> Finding| {
            judge(sessions.as_ref().map_err(Clone::clone)?, &section)
        };
        Self {
            stops: stops(&paths, kill_environment),
            allowlist,
            preservation: preservation(&paths),
            shadow_health: shadow_health(&report),
            daily_report: daily_report(&report, now_ns, section.report_age_max_h),
            paper_streak: by_days(&|days| streak(days, now_ns, section.paper_streak_days_min)),
            paper_weeks: by_days(&|days| weeks(days, section.paper_weeks_min)),
            heartbeat: heartbeat(&shadow, now_ns, section.heartbeat_age_max_s),
            block_rate: by_sessions(paper::block_rate),
            realism: by_sessions(paper::realism),
            alerts: alerts(&paths, now_ns, section.critical_free_days),
        }
    }
}

/// The paper sessions that there were.
fn paper_sessions(paper: &Paths, keep: &Paths) -> Result<Vec<Digest>, String> {
    let mut all = digest::digests(paper, PAPER, keep)?;
    // Where paper goes on when a live start was refused.
    all.extend(digest::digests(&Paths::new(&paper.data.join(PAPER), None), PAPER, keep)?);
    all.retain(|d| !d.dry_run);
    all.sort_by_key(|d| d.started_ns);
    Ok(all)
}

fn streak(days: &[i64], now_ns: i64, min: u32) -> Finding {
    match paper::streak(days, now_ns.div_euclid(NS_PER_DAY)) {
        days if days >= min => Ok(format!("{days} consecutive days")),
        days => Err(format!("PAPER_LIVE streak ({days} days) below minimum ({min} days)")),
    }
}

fn weeks(days: &[i64], min: u32) -> Finding {
    match paper::weeks(days) {
        weeks if weeks >= min => Ok(format!("{weeks} weeks")),
        weeks => Err(format!("PAPER_LIVE weeks counted ({weeks}) below minimum ({min})")),
    }
}

/// Everything that says stop, and every place that can't say that it doesn't.
pub fn stops(paths: &Paths, kill_environment: bool) -> Vec<String> {
    let mut found = Vec::new();
    if kill_environment {
        found.push("LIVE_KILL_SWITCH is set".to_owned());
    }
    if files::may_exist(&paths.kill_file()) {
        found.push(format!("the kill file {} is there", paths.kill_file().display()));
    }
    let marker = marker::look(paths);
    if marker.is_killed() {
        found.push(marker.describe());
    }
    let place = paths.kill_page();
    if files::may_exist(&place) {
        match KillPage::open(&place) {
            Err(error) => found.push(format!("the kill page {} can't be read: {error}", place.display())),
            Ok(page) => {
                let (reason, _) = page.last_trip();
                let tripped = page.view(Now::default()).level >= HaltLevel::RiskOff;
                // A page that only its own boot tripped is how every boot begins, and ends if nobody armed it.
                if tripped && reason != Reason::Boot && !marker.is_killed() {
                    found.push(format!("the kill page says {}", reason.name()));
                }
            }
        }
    }
    found
}

/// The newest daily report: its path and content.
fn newest_report(shadow: &Paths) -> Result<(PathBuf, Value), String> {
    let folder = shadow.data.join("reports");
    let none =
        || format!("Daily health reports missing: no daily_shadow_health_*.json in {}", folder.display());
    let entries = std::fs::read_dir(&folder).map_err(|_| none())?;
    let is_report = |name: &str| {
        name.strip_prefix("daily_shadow_health_").is_some_and(|rest| rest.strip_suffix(".json").is_some())
    };
    // The name ends in the date, so the last name is the newest report.
    let newest = entries
        .flatten()
        .filter(|e| e.file_name().to_str().is_some_and(is_report))
        .map(|e| e.path())
        .max()
        .ok_or_else(none)?;
    let bytes = std::fs::read(&newest).map_err(|error| format!("{}: {error}", newest.display()))?;
    let value = serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", newest.display()))?;
    Ok((newest, value))
}

fn shadow_health(report: &Result<(PathBuf, Value), String>) -> Finding {
    let (path, report) = report.as_ref().map_err(Clone::clone)?;
    match report["summary"]["overall_health"].as_str() {
        Some(health @ ("HEALTHY" | "WARNING")) => Ok(health.to_owned()),
        Some("CRITICAL") => {
            let alerts: Vec<_> = report["summary"]["alerts"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            Err(format!("Shadow data collection health is CRITICAL: {}", alerts.join("; ")))
        }
        _ => Err(format!("{}: summary.overall_health is none of HEALTHY, WARNING, CRITICAL", path.display())),
    }
}

fn time_of(value: &Value) -> Option<i64> {
    let at: jiff::Timestamp = value.as_str()?.parse().ok()?;
    i64::try_from(at.as_nanosecond()).ok()
}

fn daily_report(report: &Result<(PathBuf, Value), String>, now_ns: i64, hours_max: u32) -> Finding {
    let (path, report) = report.as_ref().map_err(Clone::clone)?;
    let at_ns = time_of(&report["timestamp"]).ok_or_else(|| format!("{}: no timestamp", path.display()))?;
    let age_ns = now_ns.saturating_sub(at_ns);
    if !(0..=i64::from(hours_max) * HOUR_NS).contains(&age_ns) {
        return Err(format!(
            "Daily health reports missing in last {hours_max}h: the newest is of {}",
            rfc3339(at_ns)
        ));
    }
    Ok(format!("of {}", rfc3339(at_ns)))
}

/// The shadow programme's heartbeat.
fn heartbeat(shadow: &Paths, now_ns: i64, age_max_s: u32) -> Finding {
    let path = shadow.shadow_heartbeat();
    let not_recent = |why: String| format!("Shadow collector heartbeat not recent: {why}");
    let bytes = std::fs::read(&path).map_err(|error| not_recent(format!("{}: {error}", path.display())))?;
    let beat: Value =
        serde_json::from_slice(&bytes).map_err(|error| not_recent(format!("{}: {error}", path.display())))?;
    let at_ns =
        time_of(&beat["timestamp"]).ok_or_else(|| not_recent(format!("{}: no timestamp", path.display())))?;
    let age_s = now_ns.saturating_sub(at_ns) / NS_PER_S;
    if !(0..=i64::from(age_max_s)).contains(&age_s) {
        return Err(not_recent(format!("the last is of {}", rfc3339(at_ns))));
    }
    Ok(format!("{age_s} s ago"))
}

fn alerts(paths: &Paths, now_ns: i64, days: u32) -> Finding {
    let since_ns = now_ns.saturating_sub(i64::from(days) * 24 * HOUR_NS);
    match events::critical_since(&paths.events(), since_ns)? {
        (0, _) => Ok(format!("none in {days} days")),
        (count, last) => Err(format!("{count} CRITICAL alert(s) in last {days} days; the last is {last}")),
    }
}
