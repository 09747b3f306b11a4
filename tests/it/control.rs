//! The control thread: lease, guard, arming. K2, K4, K8, K9 and K10 of the safety notes (R-KILL-1, 2, 5; R-EVD-4), on
//! virtual time.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use interlock::agent::Agent;
use interlock::event::CommandKind;
use interlock::journal::entry::ControlKind as ActKind;
use interlock::ops::control::ControlConfig;
use interlock::ops::health::Illness;
use interlock::ops::lock::{InstanceLock, LockError};
use interlock::ops::marker;
use interlock::ops::paths::Paths;
use interlock::ops::protocol::RecoverArgs;
use interlock::shared::{Counter, HaltLevel};
use interlock::types::Reason;
use serde_json::json;

use crate::control_rig::{Disk, Operator, Options, Rig, switch};

fn recover(rig: &mut Rig, args: &serde_json::Value) -> (Operator, interlock::ops::protocol::Answer) {
    let mut operator = Operator::admin(&rig.paths);
    operator.say(&json!({"v":1,"id":"r","cmd":"kill.recover","args":args,"deadline_ms":1000}));
    rig.run_for(3);
    let first = operator.hear();
    (operator, first)
}

#[test]
fn the_lease_runs_only_while_armed_and_healthy() {
    let mut rig = Rig::new();
    rig.run_for(1_000);
    assert!(!rig.page.view(rig.now()).lease_valid, "no lease while tripped");
    rig.arm();
    for _ in 0..20 {
        rig.run_for(100);
        rig.market_moves();
        assert!(rig.page.view(rig.now()).allows_risk());
    }
    // No market data: within its bound and the lease's length, risk is off, without a trip.
    rig.run_for(3_000 + 500 + 200);
    let view = rig.page.view(rig.now());
    assert!(!view.lease_valid && !view.is_tripped());
    assert_eq!(view.reason(), Reason::LeaseExpired);
    rig.market_moves();
    rig.run_for(300);
    assert!(rig.page.view(rig.now()).allows_risk(), "it comes back with the data");
}

/// K2: the control thread is stopped. The lease runs out by itself; when the thread comes back, that is a trip.
#[test]
fn k2_a_control_thread_that_stands_still_takes_the_engine_risk_off() {
    let mut rig = Rig::new();
    rig.arm();
    rig.stand_still(499);
    // Between two renewals at most a fifth of the lease has passed.
    rig.stand_still(2);
    assert!(!rig.page.view(rig.now()).allows_risk(), "nobody renewed");
    rig.stand_still(3_000);
    rig.run_for(1);
    let view = rig.page.view(rig.now());
    assert!(view.is_tripped());
    assert_eq!(rig.page.last_trip().0, Reason::Stall);
    assert!(rig.has_event("CONTROL_STALLED"));
    assert!(marker::look(&rig.paths).is_killed());
}

/// K8: each thread in turn stops moving.
#[test]
fn k8_a_stage_that_stops_moving_trips() {
    for blocked in 0..4 {
        let mut rig = Rig::with(Options { threads: 4, ..Options::default() });
        rig.arm();
        rig.moving[blocked] = false;
        rig.run_for(1_900);
        assert!(!rig.page.view(rig.now()).is_tripped());
        rig.market_moves();
        rig.run_for(300);
        assert!(rig.page.view(rig.now()).is_tripped(), "thread {blocked}");
        assert_eq!(rig.page.last_trip().0, Reason::Stall);
        let text = format!("stage{blocked}");
        let named = rig.events().iter().any(|(name, fields)| {
            name == "KILL_TRIPPED" && fields["text"].as_str().is_some_and(|t| t.contains(&text))
        });
        assert!(named, "the event names the thread");
    }
}

#[test]
fn a_journal_that_fails_trips_and_one_that_lags_loses_the_lease() {
    let mut rig = Rig::new();
    rig.arm();
    rig.counters.set(Counter::JournalRecords, 100);
    rig.counters.set(Counter::JournalDurable, 90);
    rig.run_for(1_000);
    assert!(!rig.page.view(rig.now()).lease_valid && !rig.page.view(rig.now()).is_tripped());
    rig.counters.set(Counter::JournalDurable, 100);
    rig.market_moves();
    rig.run_for(300);
    assert!(rig.page.view(rig.now()).allows_risk());
    rig.counters.set(Counter::JournalFailed, 1);
    rig.run_for(110);
    assert_eq!(rig.page.last_trip().0, Reason::JournalFailed);
    assert!(rig.page.view(rig.now()).is_tripped());
}

/// K9: what is asked for its health fails itself: that is an illness, not a pardon. K10: and it trips risk-off, not more.
#[test]
fn k9_k10_an_unanswerable_health_question_trips_risk_off_and_flattens_nothing() {
    let on = Arc::new(AtomicU8::new(0));
    let health = switch(&on, Illness::trips(Reason::ReferenceMissing, "no price to judge the loss by"));
    let mut rig = Rig::with(Options { health: vec![health], ..Options::default() });
    rig.arm();
    while rig.commands.pop().is_ok() {}
    on.store(1, Ordering::Relaxed);
    rig.run_for(110);
    let view = rig.page.view(rig.now());
    assert_eq!(view.level, HaltLevel::RiskOff, "no cancel-all, no flatten: only no more risk");
    let kinds: Vec<_> = std::iter::from_fn(|| rig.commands.pop().ok()).map(|c| c.kind).collect();
    assert_eq!(kinds, [CommandKind::Tripped]);
}

/// R-KILL-1: the kill file trips, by being there: also as a folder, also empty; and arming waits for its removal.
#[test]
fn the_kill_file_trips_and_holds() {
    let mut rig = Rig::new();
    rig.arm();
    fs::create_dir(rig.paths.kill_file()).unwrap();
    rig.run_for(60);
    assert_eq!(rig.page.last_trip().0, Reason::KillFile);
    assert_eq!(rig.page.view(rig.now()).level, HaltLevel::CancelAll);
    let (_, answer) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
    let message = answer.error.unwrap().message;
    assert!(message.contains("live_kill_switch.txt") && message.contains("remove"), "{message}");
    fs::remove_dir(rig.paths.kill_file()).unwrap();
    rig.arm();
    fs::write(rig.paths.kill_file(), "").unwrap();
    rig.run_for(60);
    assert!(rig.page.view(rig.now()).is_tripped());
}

/// R-KILL-1: `LIVE_KILL_SWITCH`, read at start.
#[test]
fn the_environment_trips_and_holds() {
    let mut options = Options::default();
    options.config.kill_environment = true;
    let mut rig = Rig::with(options);
    assert_eq!(rig.page.last_trip().0, Reason::KillEnvironment);
    let (_, answer) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
    assert!(answer.error.unwrap().message.contains("LIVE_KILL_SWITCH"));
}

/// A halt tool that could not map the page (another container, say) but wrote the marker.
#[test]
fn a_marker_beside_an_armed_page_trips() {
    let mut rig = Rig::new();
    rig.arm();
    fs::write(rig.paths.marker(), "").unwrap();
    rig.run_for(60);
    assert_eq!(rig.page.last_trip().0, Reason::HaltTool);
}

/// K6: the page is cut, zeroed or replaced under a running engine.
#[test]
fn k6_a_lost_page_cancels_everything() {
    for damage in 0..3 {
        let mut rig = Rig::new();
        rig.arm();
        let path = rig.paths.kill_page();
        match damage {
            0 => fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(0).unwrap(),
            1 => fs::write(&path, [0; 4096]).unwrap(),
            _ => fs::rename(&path, path.with_extension("away")).unwrap(),
        }
        rig.run_for(60);
        let view = rig.page.view(rig.now());
        assert_eq!(view.level, HaltLevel::CancelAll, "damage {damage}");
        assert!(rig.has_event("KILL_TRIPPED"));
        assert!(marker::look(&rig.paths).is_killed());
        let (_, answer) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
        assert!(answer.error.unwrap().message.contains("start the engine anew"));
    }
}

/// K4: arming without a cause, without a name, without a reconcile, while another runs, when nothing is tripped.
#[test]
fn k4_arming_has_conditions() {
    let mut rig = Rig::new();
    for args in [json!({"cause":"","by":"b"}), json!({"cause":"c","by":" "})] {
        let (_, answer) = recover(&mut rig, &args);
        assert_eq!(answer.error.unwrap().code, "refused");
    }
    for args in [json!({"by":"b"}), json!({"cause":"c"}), json!({"cause":"c","by":"b","force":true})] {
        let (_, answer) = recover(&mut rig, &args);
        assert_eq!(answer.error.unwrap().code, "bad_request");
    }
    let (mut waiting, first) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
    assert_eq!(first.stage.as_deref(), Some("accepted"));
    let (_, second) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
    assert!(second.error.unwrap().message.contains("under way"));
    rig.run_for(1_000);
    let late = waiting.hear();
    assert!(!late.ok && late.error.unwrap().message.contains("agree"), "no reconcile, no arming");
    assert!(rig.page.view(rig.now()).is_tripped());
    // A reconcile of an earlier halt epoch counts for nothing.
    rig.page.set_reconciled(rig.page.view(rig.now()).epoch - 1);
    let (mut waiting, _) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
    rig.run_for(1_100);
    assert!(!waiting.hear().ok);
    rig.arm();
    let (_, answer) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
    assert!(answer.error.unwrap().message.contains("nothing is tripped"));
}

/// K4: a kill while an arming is under way, at each of its stages.
#[test]
fn k4_a_kill_during_an_arming_wins() {
    for stage in 0..3 {
        let mut rig = Rig::new();
        rig.disk(Disk::Hangs);
        let (mut waiting, _) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
        let epoch = rig.page.view(rig.now()).epoch;
        if stage > 0 {
            rig.page.set_reconciled(epoch);
            rig.run_for(2);
        }
        // Another process trips the page: no thread of the engine is asked.
        let page = interlock::shared::KillPage::open(&rig.paths.kill_page()).unwrap();
        page.trip(HaltLevel::CancelAll, Reason::HaltTool, 1);
        rig.page.set_reconciled(epoch);
        rig.disk(Disk::Works);
        rig.run_for(stage + 3);
        let answer = waiting.hear();
        assert!(!answer.ok, "stage {stage}: {answer:?}");
        assert!(rig.page.view(rig.now()).is_tripped(), "stage {stage}");
        assert_eq!(rig.page.last_trip().0, Reason::HaltTool);
        assert!(marker::look(&rig.paths).is_killed());
    }
}

/// P6: the act is durable before the level falls; a journal that hangs or fails arms nothing.
#[test]
fn arming_waits_for_the_journal() {
    for disk in [Disk::Hangs, Disk::Fails] {
        let mut rig = Rig::new();
        let (mut waiting, _) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
        rig.disk(disk);
        rig.page.set_reconciled(rig.page.view(rig.now()).epoch);
        rig.run_for(500);
        assert!(rig.page.view(rig.now()).is_tripped());
        rig.run_for(600);
        assert!(!waiting.hear().ok, "{disk:?}");
        assert!(rig.page.view(rig.now()).is_tripped());
    }
}

/// The marker stays until the arming took effect, and a marker that came meanwhile stops it.
#[test]
fn another_marker_stops_the_arming() {
    let mut rig = Rig::new();
    let (mut waiting, _) = recover(&mut rig, &json!({"cause":"c","by":"b"}));
    fs::write(rig.paths.marker(), "from elsewhere").unwrap();
    rig.page.set_reconciled(rig.page.view(rig.now()).epoch);
    rig.run_for(5);
    assert!(!waiting.hear().ok);
    assert!(rig.page.view(rig.now()).is_tripped());
    rig.arm();
    assert!(!marker::look(&rig.paths).is_killed(), "recovered from, with the marker seen");
}

fn self_arming() -> Options {
    let mut config = ControlConfig::new("demo");
    config.wait_ns = 0;
    config.arm_at_start = Some(RecoverArgs { cause: "demo".to_owned(), by: "run".to_owned() });
    Options { config, ..Options::default() }
}

#[test]
fn the_demo_arms_itself_once_after_a_reconcile() {
    let mut rig = Rig::with(self_arming());
    rig.run_for(300);
    assert!(rig.page.view(rig.now()).is_tripped());
    let asked = std::iter::from_fn(|| rig.commands.pop().ok()).any(|c| c.kind == CommandKind::Reconcile);
    assert!(asked);
    rig.page.set_reconciled(1);
    rig.run_for(300);
    assert!(rig.page.view(rig.now()).allows_risk());
    assert!(rig.acts.try_iter().any(|act| act.kind == ActKind::Arm && act.who == "run"));
    // A later trip stays.
    rig.page.trip(HaltLevel::RiskOff, Reason::Operator, 5);
    rig.page.set_reconciled(rig.page.view(rig.now()).epoch);
    rig.run_for(1_000);
    assert!(rig.page.view(rig.now()).is_tripped());
}

/// R-KILL-2: the state survives a restart: no engine arms itself over the marker of a trip.
#[test]
fn the_demo_does_not_arm_itself_over_an_earlier_trip() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    fs::write(paths.marker(), "{ torn").unwrap();
    let mut rig = Rig::in_folder(self_arming(), paths, Some(dir));
    rig.page.set_reconciled(1);
    rig.run_for(1_000);
    assert!(rig.page.view(rig.now()).is_tripped());
    assert!(rig.has_event("NOT_ARMED_AT_START"));
    rig.arm();
    assert!(!marker::look(&rig.paths).is_killed());
}

/// K5: the engine died between the page and the marker.
#[test]
fn k5_the_demo_does_not_arm_itself_over_a_trip_on_the_page_of_a_dead_engine() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    let page = interlock::shared::KillPage::create(&paths.kill_page(), 1, interlock::types::Now::default());
    page.unwrap().trip(HaltLevel::CancelAll, Reason::Operator, 5);
    let mut rig = Rig::in_folder(self_arming(), paths, Some(dir));
    rig.page.set_reconciled(1);
    rig.run_for(1_000);
    assert!(rig.page.view(rig.now()).is_tripped());
    assert!(rig.has_event("TRIP_INHERITED") && rig.has_event("NOT_ARMED_AT_START"));
    assert!(marker::look(&rig.paths).describe().contains("OPERATOR"));
}

#[test]
fn trips_leave_their_traces() {
    let mut rig = Rig::new();
    rig.arm();
    while rig.acts.try_recv().is_ok() {}
    while rig.commands.pop().is_ok() {}
    rig.page.trip(HaltLevel::RiskOff, Reason::ReconcileMismatch, rig.now().ns);
    rig.run_for(2);
    let act = rig.acts.try_recv().unwrap();
    assert_eq!(act.kind, ActKind::Trip);
    assert!(act.cause.contains("RECONCILE_MISMATCH"));
    assert_eq!(rig.commands.pop().unwrap().kind, CommandKind::Tripped);
    assert!(marker::look(&rig.paths).describe().contains("RECONCILE_MISMATCH"));
    let text = fs::read_to_string(rig.paths.events()).unwrap();
    for line in text.lines() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        for key in ["ts", "level", "event", "fields"] {
            assert!(event.get(key).is_some(), "{line}");
        }
    }
}

/// The halt tool's words on why are not written over by an engine that only saw the page change.
#[test]
fn a_marker_from_outside_keeps_its_words() {
    let mut rig = Rig::new();
    rig.arm();
    let note = marker::Marker::new(Reason::HaltTool, "engine hangs", "me", "halt");
    rig.page.trip(HaltLevel::CancelAll, Reason::HaltTool, rig.now().ns);
    marker::write(&rig.paths, &note).unwrap();
    rig.run_for(1_500);
    assert!(marker::look(&rig.paths).describe().contains("engine hangs"));
}

/// K3: the journal takes nothing (disk full): a trip is as quick, and only its record is missing, which is said.
#[test]
fn k3_a_trip_needs_no_journal_and_no_command_ring() {
    let mut rig = Rig::new();
    rig.arm();
    rig.disk(Disk::Fails);
    let mut operator = Operator::admin(&rig.paths);
    for at in 0..8 {
        operator.say(&json!({"v":1,"id":at,"cmd":"freeze","args":{}}));
        rig.run_for(1);
    }
    operator.say(&json!({"v":1,"id":"k","cmd":"kill.trip"}));
    rig.run_for(1);
    assert!(rig.page.view(rig.now()).is_tripped());
    let answers: Vec<_> = (0..9).map(|_| operator.hear()).collect();
    assert!(answers.iter().any(|a| a.error.as_ref().is_some_and(|e| e.code == "busy")), "the ring was full");
    assert_eq!(answers.last().unwrap().stage.as_deref(), Some("tripped"));
    assert!(rig.has_event("JOURNAL_REFUSED"));
}

#[test]
fn one_engine_in_a_directory_and_the_second_is_told_who() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    let lock = InstanceLock::take(&paths).unwrap();
    let error = InstanceLock::take(&paths).unwrap_err();
    assert!(matches!(&error, LockError::Held { pid, .. } if *pid == std::process::id().to_string()));
    assert!(error.to_string().contains("--data-dir"));
    drop(lock);
    let _again = InstanceLock::take(&paths).unwrap();
    let nowhere = InstanceLock::take(&Paths::new(&dir.path().join("missing"), None)).unwrap_err();
    assert!(nowhere.to_string().contains("writable"), "{nowhere}");
}

/// A stop that was asked for is no trip: threads that end one after another have not stalled, and no marker is left.
#[test]
fn a_graceful_stop_leaves_no_marker() {
    let mut options = Options::default();
    let leave = options.config.leave.clone();
    options.threads = 3;
    let mut rig = Rig::with(options);
    rig.arm();
    while rig.commands.pop().is_ok() {}
    leave.stop();
    rig.run_for(1);
    assert!(!rig.page.view(rig.now()).lease_valid, "no entry leaves any more");
    let kinds: Vec<_> = std::iter::from_fn(|| rig.commands.pop().ok()).map(|c| c.kind).collect();
    assert_eq!(kinds, [CommandKind::Stop, CommandKind::CancelAll]);
    rig.moving = vec![false; 3];
    rig.run_for(10_000);
    rig.stand_still(10_000);
    rig.run_for(100);
    assert!(!rig.page.view(rig.now()).is_tripped());
    assert!(!marker::look(&rig.paths).is_killed());
    // A trip still is one.
    fs::write(rig.paths.kill_file(), "").unwrap();
    rig.run_for(60);
    assert!(rig.page.view(rig.now()).is_tripped());
}

/// R-EVD-4: the heartbeat file has the pid, is never half written, and says when the engine stopped.
#[test]
fn the_heartbeat_file_tells_who_and_when() {
    let mut rig = Rig::new();
    let read = |rig: &Rig| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(rig.paths.heartbeat()).unwrap()).unwrap()
    };
    let first = read(&rig);
    assert_eq!(first["pid"], json!(std::process::id()));
    assert_eq!(first["state"], json!("running"));
    rig.run_for(1_001);
    assert_ne!(read(&rig)["at"], first["at"]);
    let now = rig.now();
    rig.control.on_stop(now);
    assert_eq!(read(&rig)["state"], json!("stopped"));
    assert!(!rig.page.view(now).lease_valid);
}

#[test]
fn an_event_log_with_a_torn_end_is_continued_on_a_new_line() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    fs::write(paths.events(), "{\"ts\":\"2026").unwrap();
    let rig = Rig::in_folder(Options::default(), paths, Some(dir));
    let text = fs::read_to_string(rig.paths.events()).unwrap();
    let (torn, rest) = text.split_once('\n').unwrap();
    assert_eq!(torn, "{\"ts\":\"2026");
    for line in rest.lines() {
        let _event: serde_json::Value = serde_json::from_str(line).unwrap();
    }
}
