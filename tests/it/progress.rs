//! How far bounded live has come (R-LIM-3, R-LIM-4): computed from the journal and the event log, and from nothing that is typed.

use std::path::Path;

use interlock::event::layers::RampStage;
use interlock::ops::events::{Event, Events, Level};
use interlock::ops::paths::Paths;
use interlock::ops::progress::{Criterion, DAILY_REVIEW, FORMAL_REVIEW, Progress};
use interlock::run::carry::CarryOver;
use interlock::run::plan::Plan;
use serde_json::json;

use crate::carry::{header, write_session};
use crate::market::{S, START_NS};

const DAY_NS: i64 = 86_400 * S;

/// A live session of a day: phase and stage of its configuration, round trips before it.
fn lived(data: &Path, day: i64, (phase, stage): (u32, RampStage), trades: u64, mode: &str) {
    let mut plan = Plan::default();
    plan.bounded_live.phase = phase.try_into().unwrap();
    plan.risk.layers.ramp.stage = stage;
    let epoch = u32::try_from(day + 1).unwrap();
    let mut header = header(&format!("2023-{epoch:06}"), epoch, &CarryOver::default());
    (header.mode, header.config, header.started_ns) =
        (mode.to_owned(), plan.to_toml(), START_NS + day * DAY_NS);
    header.notes.insert("carried".to_owned(), json!({ "account": { "trades": trades } }));
    write_session(data, &header, &[]);
}

fn tell(data: &Path, events: &[Event]) {
    let mut log = Events::open(&Paths::new(data, None).events()).unwrap();
    for event in events {
        log.emit(event);
    }
}

fn day_name(day: i64) -> String {
    let at = jiff::Timestamp::from_nanosecond(i128::from(START_NS + day * DAY_NS)).unwrap();
    at.strftime("%Y-%m-%d").to_string()
}

fn review(day: i64, by: &str, anomaly: bool) -> Event {
    Event::new(START_NS + day * DAY_NS, Level::Info, DAILY_REVIEW)
        .with("day", day_name(day))
        .with("by", by)
        .with("anomaly", anomaly)
}

fn gather(data: &Path) -> Progress {
    let paths = Paths::new(data, None);
    Progress::gather(&data.join("journal"), &paths.events()).unwrap()
}

fn unmet(criteria: &[Criterion]) -> Vec<&'static str> {
    criteria.iter().filter(|c| !c.met).map(|c| c.name).collect()
}

/// Seven reviewed days of phase 1 and the formal review.
fn week(data: &Path) {
    for day in 0..7 {
        lived(data, day, (1, RampStage::Off), 0, "live");
        tell(data, &[review(day, "alice", false)]);
    }
    tell(data, &[Event::new(START_NS + 7 * DAY_NS, Level::Info, FORMAL_REVIEW).with("by", "bob")]);
}

#[test]
fn r_lim_3_phase_2_takes_seven_reviewed_days_and_the_formal_review() {
    let data = tempfile::tempdir().unwrap();
    std::fs::create_dir_all(data.path()).unwrap();
    tell(data.path(), &[]);
    assert_eq!(
        unmet(&gather(data.path()).phase_2),
        ["days", "daily_review", "formal_review"],
        "nothing was lived"
    );
    week(data.path());
    let progress = gather(data.path());
    assert!(unmet(&progress.phase_2).is_empty(), "{}", progress.render());
    assert!(progress.allows_phase(2).is_ok() && progress.allows_phase(1).is_ok());
    assert!(progress.allows_phase(3).is_err(), "there is none");
}

#[test]
fn r_lim_3_six_days_other_modes_and_reviews_without_a_name_do_not_count() {
    let data = tempfile::tempdir().unwrap();
    for day in 0..6 {
        lived(data.path(), day, (1, RampStage::Off), 0, "live");
        tell(data.path(), &[review(day, "alice", false)]);
    }
    lived(data.path(), 6, (1, RampStage::Off), 0, "paper");
    lived(data.path(), 7, (0, RampStage::Off), 0, "live");
    tell(data.path(), &[review(6, "alice", false), review(7, "alice", false)]);
    assert_eq!(unmet(&gather(data.path()).phase_2), ["days", "daily_review", "formal_review"]);
    lived(data.path(), 8, (1, RampStage::Off), 0, "live");
    tell(data.path(), &[review(8, " ", false)]);
    tell(data.path(), &[Event::new(START_NS + 9 * DAY_NS, Level::Info, FORMAL_REVIEW).with("by", "bob")]);
    assert_eq!(unmet(&gather(data.path()).phase_2), ["daily_review"], "nobody signed the last day");
    tell(data.path(), &[review(8, "alice", true)]);
    assert_eq!(unmet(&gather(data.path()).phase_2), ["daily_review"], "it had an anomaly");
}

#[test]
fn r_lim_3_a_breach_or_a_mismatch_within_the_days_that_count_holds_the_phase_back() {
    for (name, criterion) in [
        ("DAILY_LOSS_STOP", "limits"),
        ("LIMIT_BREACH", "limits"),
        ("RECONCILE_MISMATCH", "as_expected"),
        ("HALTED_OPS", "as_expected"),
    ] {
        let data = tempfile::tempdir().unwrap();
        week(data.path());
        tell(data.path(), &[Event::new(START_NS + 3 * DAY_NS, Level::Critical, name)]);
        let progress = gather(data.path());
        assert_eq!(unmet(&progress.phase_2), [criterion], "{name}");
        let why = progress.allows_phase(2).unwrap_err();
        assert!(why.contains(name), "{why}");
        // Seven good days later it is history.
        for day in 7..14 {
            lived(data.path(), day, (1, RampStage::Off), 0, "live");
            tell(data.path(), &[review(day, "alice", false)]);
        }
        tell(
            data.path(),
            &[Event::new(START_NS + 14 * DAY_NS, Level::Info, FORMAL_REVIEW).with("by", "bob")],
        );
        assert!(unmet(&gather(data.path()).phase_2).is_empty(), "{name}");
    }
}

#[test]
fn r_lim_4_the_ramp_moves_on_days_or_round_trips_and_stops_at_a_breach() {
    let data = tempfile::tempdir().unwrap();
    tell(data.path(), &[]);
    assert!(gather(data.path()).allows_stage(RampStage::Canary).is_ok(), "the first needs no evidence");
    lived(data.path(), 0, (1, RampStage::Canary), 3, "live");
    assert_eq!(unmet(&gather(data.path()).ramp_1), ["canary"]);
    lived(data.path(), 1, (1, RampStage::Canary), 22, "live");
    assert_eq!(unmet(&gather(data.path()).ramp_1), ["canary"], "19 round trips");
    lived(data.path(), 2, (1, RampStage::Canary), 23, "live");
    assert!(gather(data.path()).allows_stage(RampStage::First).is_ok(), "20 round trips");
    tell(data.path(), &[Event::new(START_NS + DAY_NS, Level::Critical, "WEIGHT_CLAMPED")]);
    assert_eq!(unmet(&gather(data.path()).ramp_1), ["limits"]);
    assert!(gather(data.path()).allows_stage(RampStage::Second).is_err());
    for day in 3..62 {
        lived(data.path(), day, (1, RampStage::First), 23, "live");
    }
    let progress = gather(data.path());
    assert_eq!(
        unmet(&progress.ramp_2),
        Vec::<&str>::new(),
        "62 days, the breach is older than 60: {}",
        progress.render()
    );
}

#[test]
fn r_lim_3_without_an_event_log_nothing_can_be_said_and_an_event_without_time_counts() {
    let data = tempfile::tempdir().unwrap();
    let paths = Paths::new(data.path(), None);
    let why = Progress::gather(&data.path().join("journal"), &paths.events()).unwrap_err();
    assert!(why.contains("events.jsonl"), "{why}");
    week(data.path());
    let mut text = std::fs::read_to_string(paths.events()).unwrap();
    text.push_str("not json\n{\"event\":\"LIMIT_BREACH\",\"ts\":\"?\",\"fields\":{}}\n");
    std::fs::write(paths.events(), text).unwrap();
    assert_eq!(unmet(&gather(data.path()).phase_2), ["limits"]);
}
