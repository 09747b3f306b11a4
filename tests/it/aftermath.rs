//! What the control thread does after a trip: incidents, the memory of trips, rollback, flatten until flat, the watchdog
//! (R-KILL-3, R-KILL-5, R-KILL-6, R-KILL-7; F33, F35, F37).

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use interlock::agent::Agent;
use interlock::event::CommandKind;
use interlock::ops::emergency::EmergencyConfig;
use interlock::ops::emergency::holds::{self, Hold, Kind};
use interlock::ops::emergency::incident;
use interlock::ops::events::{Events, rfc3339};
use interlock::ops::health::Illness;
use interlock::ops::watch::ExecutionLine;
use interlock::ops::watchdog::{Watchdog, Watched};
use interlock::shared::{HaltLevel, KillPage};
use interlock::types::{Now, Reason};
use serde_json::json;

use super::control_rig::{MS, Operator, Options, Rig, START_NS, switch};

/// Rolls back in the rig's mode.
fn rolling(mode: &str, trips: u64) -> Options {
    let mut options = Options::default();
    mode.clone_into(&mut options.config.mode);
    options.config.aftermath.emergency = EmergencyConfig {
        rollback_modes: vec![mode.to_owned()],
        rollback_trips: trips,
        ..EmergencyConfig::default()
    };
    "session-1".clone_into(&mut options.config.aftermath.session);
    options
}

fn trip(rig: &mut Rig, args: &serde_json::Value) -> Operator {
    let mut operator = Operator::admin(&rig.paths);
    operator.say(&json!({"v":1,"id":1,"cmd":"kill.trip","args":args,"deadline_ms":20_000}));
    rig.run_for(3);
    operator
}

#[test]
fn r_kill_7_a_trip_opens_one_incident_and_what_follows_is_added() {
    let mut rig = Rig::new();
    rig.arm();
    drop(trip(&mut rig, &json!({"reason": "prices look wrong", "by": "anna"})));
    assert!(incident::all(&rig.paths).unwrap().is_empty(), "the paper comes after the trip");
    rig.run_for(1_100);
    let opened = incident::current(&rig.paths).unwrap().expect("an incident");
    assert_eq!((opened.level, opened.opened_by.as_str()), (1, "anna"));
    assert_eq!((opened.cause.reason.as_str(), opened.cause.text.as_str()), ("OPERATOR", "prices look wrong"));
    assert_eq!(opened.positions.len(), 1);
    assert!(opened.post_mortem.due_at > opened.opened_at);
    assert!(rig.has_event("INCIDENT_OPENED"));

    // The venue's word, the recovery and another trip belong to the same story.
    rig.page.set_silent(rig.page.view(rig.now()).epoch, rig.now().ns);
    rig.run_for(5);
    rig.arm();
    drop(trip(&mut rig, &json!({"reason": "again", "by": "ben"})));
    rig.run_for(1_100);
    let all = incident::all(&rig.paths).unwrap();
    assert_eq!(all.len(), 1);
    let told: Vec<_> = all[0].actions.iter().map(|a| format!("{}: {}", a.by, a.what)).collect();
    for wanted in ["engine: the venue says that nothing is open", "test: recovered: test", "ben: tripped"] {
        assert!(told.iter().any(|line| line.starts_with(wanted)), "{wanted}: {told:?}");
    }
}

/// R-KILL-6: orders that fare badly are a matter for a person: told once, shown, in the incident, and nothing is halted for it.
#[test]
fn r_kill_6_a_review_is_told_once_and_rolls_nothing_back() {
    let mut rig = Rig::with(rolling("testnet", 9));
    rig.arm();
    rig.execution = ExecutionLine { ended: 19, filled: 0, measured: 0, slippage_centi_bp: 0 };
    rig.run_for(2_100);
    assert!(!rig.has_event("REVIEW_FILL_RATE"), "too few orders to say anything");
    rig.execution = ExecutionLine { ended: 100, filled: 89, measured: 100, slippage_centi_bp: 40_100 };
    rig.run_for(3_100);
    let told = |rig: &Rig, name: &str| rig.events().iter().filter(|(n, _)| n == name).count();
    assert_eq!((told(&rig, "REVIEW_FILL_RATE"), told(&rig, "REVIEW_SLIPPAGE")), (1, 1), "once each");
    let now = rig.now();
    let shown = rig.control.status(now).reviews;
    assert!(shown.len() == 2 && shown[0].contains("401") && shown[1].contains("89 %"), "{shown:?}");
    assert!(!rig.page.view(now).is_tripped(), "never a halt");
    assert!(holds::in_force(&rig.paths).unwrap().is_empty());
}

#[test]
fn a_drill_opens_no_incident_and_is_not_counted() {
    let mut rig = Rig::with(rolling("testnet", 1));
    rig.arm();
    drop(trip(&mut rig, &json!({"reason": "drill", "drill": true})));
    rig.run_for(2_100);
    assert!(incident::all(&rig.paths).unwrap().is_empty());
    assert!(!rig.has_event("ROLLBACK") && holds::in_force(&rig.paths).unwrap().is_empty());
}

#[test]
fn r_kill_6_repeated_trips_roll_back_and_only_a_named_person_lifts_it() {
    let mut rig = Rig::with(rolling("testnet", 2));
    rig.arm();
    drop(trip(&mut rig, &json!({"reason": "one"})));
    rig.run_for(1_100);
    rig.arm();
    drop(trip(&mut rig, &json!({"reason": "two"})));
    rig.run_for(2_100);
    assert!(rig.has_event("ROLLBACK"), "{:?}", rig.events());
    let held = holds::in_force(&rig.paths).unwrap();
    assert_eq!((held.len(), held[0].reason.as_str(), held[0].by.as_str()), (1, "REPEATED_TRIPS", "engine"));
    assert!(holds::check(&rig.paths, "testnet").is_err() && holds::check(&rig.paths, "shadow").is_ok());

    // No arming over it.
    let mut operator = Operator::admin(&rig.paths);
    let recover = json!({"v":1,"id":1,"cmd":"kill.recover","args":{"cause":"fine","by":"anna"}});
    operator.say(&recover);
    rig.run_for(3);
    let refused = operator.hear().error.expect("refused");
    assert!(refused.message.contains("rollback level 3"), "{refused:?}");
    holds::clear(&rig.paths, &held[0].id, "ben", "looked at", rig.now().ns).unwrap();

    // The next boot remembers the trips, and that somebody has looked at them.
    let Rig { paths, .. } = &rig;
    let (paths, dir) = (paths.clone(), tempfile::tempdir().unwrap());
    let next = interlock::ops::paths::Paths::new(dir.path(), None);
    std::fs::create_dir_all(&next.data).unwrap();
    std::fs::copy(paths.data.join("trips.json"), next.data.join("trips.json")).unwrap();
    let mut again = Rig::in_folder(rolling("testnet", 2), next, None);
    again.run_for(1_100);
    assert!(again.has_event("ROLLBACK"), "without the lifting they count across the restart");
    drop(again);
}

#[test]
fn trips_that_can_not_be_read_count_as_too_many() {
    let dir = tempfile::tempdir().unwrap();
    let paths = interlock::ops::paths::Paths::new(dir.path(), None);
    std::fs::write(paths.data.join("trips.json"), "{").unwrap();
    let mut rig = Rig::in_folder(rolling("live", 3), paths, None);
    rig.run_for(1_100);
    assert!(rig.has_event("TRIPS_UNREADABLE") && rig.has_event("ROLLBACK"));
}

#[test]
fn r_kill_6_a_position_that_nobody_explains_rolls_back() {
    let mut rig = Rig::with(rolling("live", 3));
    rig.arm();
    rig.page.trip(HaltLevel::RiskOff, Reason::ReconcileMismatch, rig.now().ns);
    rig.run_for(1_100);
    assert_eq!(holds::in_force(&rig.paths).unwrap()[0].reason, "POSITION_UNEXPLAINED");
    assert_eq!(rig.page.view(rig.now()).level, HaltLevel::CancelAll);
}

#[test]
fn r_kill_6_a_venue_out_of_reach_for_half_an_hour_rolls_back() {
    // The rig's links never come up.
    let mut rig = Rig::with(rolling("live", 3));
    rig.run_for(1_100);
    assert!(!rig.has_event("ROLLBACK"));
    rig.stand_still(31 * 60 * 1_000);
    rig.run_for(1_100);
    let held = holds::in_force(&rig.paths).unwrap();
    assert_eq!(held[0].reason, "CONNECTIVITY_LOST");
}

#[test]
fn r_kill_5_paper_that_held_lifts_what_waits_for_it() {
    let dir = tempfile::tempdir().unwrap();
    let paths = interlock::ops::paths::Paths::new(dir.path(), None);
    let first = Hold {
        v: 1,
        id: String::new(),
        kind: Kind::PaperFirst,
        level: 4,
        reason: "EMERGENCY_STOP".to_owned(),
        detail: "drawdown".to_owned(),
        by: "engine".to_owned(),
        mode: "live".to_owned(),
        at: rfc3339(START_NS),
        incident: String::new(),
        cleared: None,
    };
    holds::make(&paths, first).unwrap();
    let mut options = rolling("paper", 9);
    options.config.aftermath.emergency.paper_first_s = 3;
    let mut rig = Rig::in_folder(options, paths, None);
    rig.run_for(5_000);
    assert!(holds::check(&rig.paths, "live").is_err(), "tripped paper proves nothing");
    rig.market_moves();
    rig.arm();
    for _ in 0..5 {
        rig.market_moves();
        rig.run_for(1_000);
    }
    assert!(rig.has_event("PAPER_HELD"), "{:?}", rig.events());
    assert!(holds::check(&rig.paths, "live").is_ok());
}

/// F37: a fill crosses the cancel and leaves a position. The flatten is asked for again until nothing is held, and "flat" is said
/// only then.
#[test]
fn f37_flatten_goes_on_until_nothing_is_held() {
    let mut rig = Rig::new();
    rig.arm();
    rig.position("0.5");
    let mut operator = trip(&mut rig, &json!({"reason": "out", "by": "anna", "flatten": true}));
    assert_eq!(operator.hear().stage.as_deref(), Some("tripped"));
    let flattens = |rig: &mut Rig| {
        std::iter::from_fn(|| rig.commands.pop().ok()).filter(|c| c.kind == CommandKind::Flatten).count()
    };
    assert_eq!(flattens(&mut rig), 1);
    let epoch = rig.page.view(rig.now()).epoch;
    rig.page.set_silent(epoch, rig.now().ns);
    rig.page.set_reconciled(epoch);
    rig.run_for(5);
    assert_eq!(operator.hear().stage.as_deref(), Some("silent"));
    rig.run_for(2_100);
    assert_eq!(flattens(&mut rig), 1, "still held: asked for again");
    rig.position("-0.5");
    rig.run_for(300);
    let flat = operator.hear();
    assert_eq!(flat.stage.as_deref(), Some("flat"), "{flat:?}");
    rig.run_for(2_100);
    assert_eq!(flattens(&mut rig), 0, "and then no more");
}

#[test]
fn f37_what_is_not_flat_in_time_is_told_with_what_is_held() {
    let mut rig = Rig::new();
    rig.arm();
    rig.position("0.5");
    let mut operator = trip(&mut rig, &json!({"flatten": true}));
    operator.hear();
    let epoch = rig.page.view(rig.now()).epoch;
    rig.page.set_silent(epoch, rig.now().ns);
    rig.page.set_reconciled(epoch);
    rig.run_for(5);
    operator.hear();
    rig.run_for(21_000);
    let late = operator.hear();
    assert!(!late.ok && late.stage.as_deref() == Some("timeout"), "{late:?}");
    assert_eq!(late.result.unwrap()["held"][0]["symbol"], "BTCUSDT");
}

/// F33: what judges the engine's health fails itself: that trips, and the next question is asked all the same.
#[test]
fn f33_a_fault_in_the_judge_trips() {
    let on = Arc::new(AtomicU8::new(0));
    let illness = Illness::trips(Reason::Internal, "the check could not be made");
    let mut rig = Rig::with(Options { health: vec![switch(&on, illness)], ..Options::default() });
    rig.arm();
    on.store(1, Ordering::Relaxed);
    rig.run_for(200);
    assert_eq!(rig.page.last_trip().0, Reason::Internal);
}

/// F35: a second trip changes nothing and is told so; the marker stays until a recover.
#[test]
fn f35_a_trip_may_come_twice() {
    let mut rig = Rig::new();
    rig.arm();
    let mut first = trip(&mut rig, &json!({"reason": "one"}));
    let mut second = trip(&mut rig, &json!({"reason": "two"}));
    let (first, second) = (first.hear(), second.hear());
    assert_eq!(first.result.unwrap()["raised"], true);
    assert_eq!(second.result.unwrap()["raised"], false);
    assert_eq!(first.epoch, second.epoch);
    assert!(rig.paths.marker().exists());
}

struct Dog {
    page: Arc<KillPage>,
    agent: Watchdog,
    events: Events,
    _dir: tempfile::TempDir,
}

fn dog() -> Dog {
    let dir = tempfile::tempdir().unwrap();
    let page = Arc::new(KillPage::create(&dir.path().join("kill.page"), 7, at(0)).unwrap());
    assert!(page.arm(page.view(at(0)).epoch));
    let events = Events::open(&dir.path().join("events.jsonl")).unwrap();
    let watched = |slot, name, bound_ms: i64, level| Watched { slot, name, bound_ns: bound_ms * MS, level };
    let watched = vec![
        watched(0, "control", 1_000, HaltLevel::CancelAll),
        watched(1, "rest", 10_000, HaltLevel::RiskOff),
    ];
    let agent = Watchdog::new(Arc::clone(&page), events.sender(), watched);
    Dog { page, agent, events, _dir: dir }
}

fn at(ms: i64) -> Now {
    Now { ns: START_NS + ms * MS, mono_ns: ms * MS }
}

impl Dog {
    /// Polls every 100 ms; `beats` says which slots beat.
    fn run(&mut self, from_ms: i64, to_ms: i64, beats: [bool; 2]) {
        for ms in (from_ms..to_ms).step_by(100) {
            for (slot, _) in beats.iter().enumerate().filter(|(_, beats)| **beats) {
                self.page.heartbeat(slot, at(ms));
            }
            self.agent.poll(at(ms));
        }
    }
    fn level(&self) -> HaltLevel {
        self.page.view(at(0)).level
    }
}

#[test]
fn the_watchdog_trips_for_a_control_thread_that_hangs() {
    let mut dog = dog();
    dog.run(100, 5_000, [true, true]);
    assert_eq!(dog.level(), HaltLevel::None);
    dog.run(5_000, 5_900, [false, true]);
    assert_eq!(dog.level(), HaltLevel::None, "not before its bound");
    dog.run(5_900, 6_200, [false, true]);
    assert_eq!((dog.level(), dog.page.last_trip().0), (HaltLevel::CancelAll, Reason::Stall));
    dog.run(6_200, 9_000, [false, true]);
    assert_eq!(dog.events.drain(), 1, "told once");
    // Armed over a thread that does not move: tripped again.
    assert!(dog.page.arm(dog.page.view(at(0)).epoch));
    dog.run(9_000, 9_100, [false, true]);
    assert_eq!(dog.level(), HaltLevel::CancelAll);
}

#[test]
fn the_watchdog_gives_rest_its_time_and_no_more() {
    let mut dog = dog();
    dog.run(100, 9_900, [true, false]);
    assert_eq!(dog.level(), HaltLevel::None);
    dog.run(9_900, 10_300, [true, false]);
    assert_eq!(dog.level(), HaltLevel::RiskOff);
}

#[test]
fn the_watchdog_does_not_judge_by_its_own_sleep() {
    let mut dog = dog();
    dog.run(100, 1_000, [true, true]);
    // The whole process stood still for a minute.
    dog.run(61_000, 61_900, [false, false]);
    assert_eq!(dog.level(), HaltLevel::None);
    dog.run(61_900, 62_200, [false, false]);
    assert_eq!(dog.level(), HaltLevel::CancelAll, "and now they have had their time");
}
