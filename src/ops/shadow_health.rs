//! The daily health report of the shadow programme (R-SHD-2), computed from what the collector wrote (the decisions and its
//! heartbeat) and from the event log. "Today" is the 24 hours up to the report. What can't be read or told counts against
//! health.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::events::rfc3339;
use super::files::{self, Durability};
use super::paths::Paths;
use crate::types::time::{NS_PER_DAY, NS_PER_S};

/// A heartbeat older than this says that nothing collects.
const BEAT_AGE_NS_MAX: i64 = 7_200 * NS_PER_S;
/// From this share of refusals on, someone should look at the signals.
const REJECTED_PERCENT_MAX: u64 = 80;

/// How well the programme is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All checks pass: go on.
    Healthy,
    /// Minor issues: investigate.
    Warning,
    /// Stop and fix.
    Critical,
}

impl Health {
    /// As in the report.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Healthy => "HEALTHY",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
        }
    }
}

/// A report.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// How well the programme is.
    pub health: Health,
    /// Why it is not healthier.
    pub alerts: Vec<String>,
    /// The report as it is written.
    pub json: Value,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counted {
    all_time: u64,
    today: u64,
    rejected: u64,
    by_reason: BTreeMap<String, u64>,
    followed: BTreeSet<String>,
    settled: BTreeSet<String>,
    unreadable: u64,
}

/// Walks the decisions' file.
fn count(path: &Path, since: &str) -> io::Result<Counted> {
    let mut counted = Counted::default();
    for line in BufReader::new(File::open(path)?).split(b'\n') {
        let line = line?;
        if line.is_empty() {
            continue;
        }
        let Ok(value) = serde_json::from_slice::<Value>(&line) else {
            // A crash may cut a line short; more than that is a damaged file.
            counted.unreadable += 1;
            continue;
        };
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        // Times are RFC 3339 in UTC with a fixed width, so they sort as text.
        let is_today = text("ts") >= since;
        match text("kind") {
            "decision" => {
                let decisions = 1 + value["unwritten"].as_u64().unwrap_or(0);
                counted.all_time += decisions;
                if !is_today {
                    continue;
                }
                counted.today += decisions;
                if text("verdict") != "APPROVED" {
                    counted.rejected += decisions;
                    *counted.by_reason.entry(text("reason").to_lowercase()).or_insert(0) += decisions;
                } else if value["followed"] == true {
                    counted.followed.insert(text("id").to_owned());
                }
            }
            "counterfactual" if is_today => {
                counted.settled.insert(text("id").to_owned());
            }
            _ => {}
        }
    }
    Ok(counted)
}

/// Events of today with one of these names, and how many.
fn events_today(paths: &Paths, since: &str, is_wanted: impl Fn(&str) -> bool) -> Vec<Value> {
    let Ok(file) = File::open(paths.events()) else { return Vec::new() };
    let lines = BufReader::new(file).lines().map_while(Result::ok);
    lines
        .filter_map(|line| serde_json::from_str::<Value>(&line).ok())
        .filter(|event| event["ts"].as_str().is_some_and(|ts| ts >= since))
        .filter(|event| event["event"].as_str().is_some_and(&is_wanted))
        .collect()
}

/// The collector's sign of life: why it is none.
fn heartbeat(paths: &Paths, now_ns: i64) -> Result<Value, String> {
    let path = paths.shadow_heartbeat();
    let bytes = std::fs::read(&path).map_err(|e| format!("no heartbeat: {}: {e}", path.display()))?;
    let beat: Value =
        serde_json::from_slice(&bytes).map_err(|_| format!("{}: not a heartbeat", path.display()))?;
    let at: Option<jiff::Timestamp> = beat["timestamp"].as_str().and_then(|text| text.parse().ok());
    let at_ns = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok());
    match at_ns {
        Some(at_ns) if now_ns.saturating_sub(at_ns) <= BEAT_AGE_NS_MAX => Ok(beat),
        Some(at_ns) => Err(format!("the last heartbeat is of {}", rfc3339(at_ns))),
        None => Err(format!("{}: no time in it", path.display())),
    }
}

/// The report as of now. `preservation` is the capital preservation level, or why it is not known.
pub fn assess(paths: &Paths, preservation: &Result<String, String>, now_ns: i64) -> Report {
    let since = rfc3339(now_ns.saturating_sub(NS_PER_DAY));
    let mut alerts: Vec<(Health, String)> = Vec::new();
    let path = paths.shadow_decisions();
    let counted = count(&path, &since).unwrap_or_else(|error| {
        alerts.push((Health::Critical, format!("Shadow log can't be read: {}: {error}", path.display())));
        Counted::default()
    });
    if counted.today == 0 {
        alerts.push((Health::Critical, "Shadow logging stopped: 0 decisions in 24 h".to_owned()));
    }
    if counted.unreadable > 0 {
        let lines = counted.unreadable;
        alerts.push((Health::Warning, format!("{lines} lines of the shadow log can't be read")));
    }
    match heartbeat(paths, now_ns) {
        Err(why) => alerts.push((Health::Warning, format!("Shadow collector heartbeat not recent: {why}"))),
        Ok(beat) if beat["lost"].as_u64() != Some(0) => {
            alerts.push((Health::Warning, format!("Shadow collector lost {} lines", beat["lost"])));
        }
        Ok(_) => {}
    }
    let logging_healthy = alerts.is_empty();
    if counted.today > 0 && counted.rejected * 100 >= counted.today * REJECTED_PERCENT_MAX {
        let percent = counted.rejected * 100 / counted.today;
        alerts.push((Health::Warning, format!("High TradeGate rejection rate: {percent}%")));
    }
    let level_alert = match preservation {
        Err(why) => Some((Health::Warning, format!("Capital preservation level unknown: {why}"))),
        Ok(level) if ["lockdown", "crisis"].contains(&level.to_lowercase().as_str()) => {
            Some((Health::Critical, format!("Capital preservation in {}", level.to_uppercase())))
        }
        Ok(_) => None,
    };
    let level_told = level_alert.is_some();
    alerts.extend(level_alert);
    let clamps = events_today(paths, &since, |name| name.contains("CLAMP"));
    if !clamps.is_empty() {
        alerts.push((Health::Critical, format!("CLAMP VIOLATION: {} in 24 h", clamps.len())));
    }
    let transitions = events_today(paths, &since, |name| name.starts_with("PRESERVATION")).len();
    let health = alerts.iter().map(|(health, _)| *health).max().unwrap_or(Health::Healthy);
    let alerts: Vec<String> = alerts.into_iter().map(|(_, text)| text).collect();
    let now = rfc3339(now_ns);
    let json = json!({
        "date": now.get(..10).unwrap_or_default(), "timestamp": now,
        "shadow_collection": {
            "logging_healthy": logging_healthy, "decisions_today": counted.today,
            "pending_decisions": counted.followed.difference(&counted.settled).count(),
            "total_all_time": counted.all_time,
        },
        "capital_preservation": {
            "current_level": preservation.as_ref().ok(), "transitions_today": transitions, "alert": level_told,
        },
        // Strategies are not weighted by an advisor yet: what is told is whether the clamp was ever exceeded.
        "strategy_weighting": { "enabled": false, "clamp_exceeded": !clamps.is_empty() },
        "tradegate": { "rejections_today": counted.rejected, "rejection_reasons": counted.by_reason },
        "summary": {
            "overall_health": health.name(), "alerts": alerts,
            "recommendations": recommendations(health),
        },
    });
    Report { health, alerts, json }
}

fn recommendations(health: Health) -> &'static [&'static str] {
    match health {
        Health::Healthy => &[],
        Health::Warning => &["look into the alerts; docs/modes.md says what each figure is"],
        Health::Critical => &["stop and fix before anything else: readiness is NO_GO until the next report"],
    }
}

/// Writes a report where readiness looks for it.
pub fn write(paths: &Paths, report: &Report) -> io::Result<PathBuf> {
    let folder = paths.data.join("reports");
    std::fs::create_dir_all(&folder)?;
    let date = report.json["date"].as_str().unwrap_or_default();
    let path = folder.join(format!("daily_shadow_health_{date}.json"));
    let mut bytes = serde_json::to_vec_pretty(&report.json)?;
    bytes.push(b'\n');
    files::replace(&path, &bytes, Durability::Synced)?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_NS: i64 = 1_800_000_000 * NS_PER_S;

    struct Programme {
        _dir: tempfile::TempDir,
        paths: Paths,
    }

    fn programme(lines: &[Value], beat: &Value) -> Programme {
        let dir = tempfile::tempdir().expect("a folder");
        let paths = Paths::new(dir.path(), None);
        std::fs::create_dir(dir.path().join("rl")).expect("rl");
        let text: Vec<String> = lines.iter().map(Value::to_string).collect();
        std::fs::write(paths.shadow_decisions(), text.join("\n")).expect("the log");
        std::fs::write(paths.shadow_heartbeat(), beat.to_string()).expect("the beat");
        Programme { _dir: dir, paths }
    }

    fn decision(hours_ago: i64, id: &str, verdict: &str, unwritten: u64) -> Value {
        let ts = rfc3339(NOW_NS - hours_ago * 3_600 * NS_PER_S);
        json!({
            "kind": "decision", "ts": ts, "id": id, "verdict": verdict, "reason": "DUPLICATE_ORDER",
            "unwritten": unwritten, "followed": verdict == "APPROVED",
        })
    }

    fn beat(hours_ago: i64, lost: u64) -> Value {
        json!({ "timestamp": rfc3339(NOW_NS - hours_ago * 3_600 * NS_PER_S), "lost": lost })
    }

    #[test]
    fn r_shd_2_a_day_of_decisions_is_healthy_and_counted() {
        let normal = Ok("normal".to_owned());
        let settled = json!({ "kind": "counterfactual", "ts": rfc3339(NOW_NS), "id": "a" });
        let lines = [
            decision(30, "old", "APPROVED", 0),
            decision(2, "a", "APPROVED", 0),
            decision(1, "b", "APPROVED", 0),
            decision(1, "c", "REFUSED", 2),
            settled,
        ];
        let programme = programme(&lines, &beat(1, 0));
        let report = assess(&programme.paths, &normal, NOW_NS);
        assert_eq!((report.health, &report.alerts[..]), (Health::Healthy, &[][..]));
        let collected = &report.json["shadow_collection"];
        assert_eq!(collected["decisions_today"], 5);
        assert_eq!(collected["total_all_time"], 6);
        assert_eq!(collected["pending_decisions"], 1);
        assert_eq!(report.json["tradegate"]["rejection_reasons"]["duplicate_order"], 3);
        let path = write(&programme.paths, &report).expect("written");
        assert!(path.ends_with("reports/daily_shadow_health_2027-01-15.json"), "{}", path.display());
    }

    #[test]
    fn r_shd_2_what_is_wrong_or_can_not_be_told_counts_against_health() {
        let normal = Ok("normal".to_owned());
        let good = || vec![decision(1, "a", "APPROVED", 0)];
        let judge = |lines: &[Value], beat: &Value, level: &Result<String, String>| {
            let programme = programme(lines, beat);
            let report = assess(&programme.paths, level, NOW_NS);
            assert!(!report.alerts.is_empty());
            report.health
        };
        assert_eq!(judge(&[decision(30, "a", "APPROVED", 0)], &beat(1, 0), &normal), Health::Critical);
        assert_eq!(judge(&good(), &beat(3, 0), &normal), Health::Warning);
        assert_eq!(judge(&good(), &beat(1, 7), &normal), Health::Warning);
        assert_eq!(judge(&good(), &json!({}), &normal), Health::Warning);
        assert_eq!(judge(&[decision(1, "a", "REFUSED", 9)], &beat(1, 0), &normal), Health::Warning);
        assert_eq!(judge(&good(), &beat(1, 0), &Err("no state".to_owned())), Health::Warning);
        assert_eq!(judge(&good(), &beat(1, 0), &Ok("LOCKDOWN".to_owned())), Health::Critical);
        let clamped = programme(&good(), &beat(1, 0));
        let event = json!({ "ts": rfc3339(NOW_NS), "event": "WEIGHT_CLAMP_EXCEEDED" });
        std::fs::write(clamped.paths.events(), format!("{event}\n")).expect("events");
        assert_eq!(assess(&clamped.paths, &normal, NOW_NS).health, Health::Critical);
        let nothing = tempfile::tempdir().expect("a folder");
        assert_eq!(assess(&Paths::new(nothing.path(), None), &normal, NOW_NS).health, Health::Critical);
    }
}
