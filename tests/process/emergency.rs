//! Emergencies with the real binary (R-KILL-6, 7, 8; F35, F36, F37): the end with exit code 4, a rollback that holds, closing,
//! a network that is dead, a control thread that hangs, a drill.

use std::fs;

use interlock::ops::drills;
use interlock::ops::emergency::{holds, incident};
use rustix::process::Signal;

use crate::stage::{Calm, FrozenThread, Stage, said, signal, thread_of, wait_for};

/// R-KILL-8: the kill page is cut under a running engine. What is open is cancelled, and the process ends with the code that no
/// supervisor restarts.
#[test]
fn r_kill_8_a_lost_page_ends_the_engine_with_halted_ops() {
    let stage = Stage::set();
    let mut engine = stage.calm_engine();
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    fs::File::options().write(true).open(stage.paths.kill_page()).unwrap().set_len(0).unwrap();
    let status = wait_for("the engine's end", || engine.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(4), "{}", stage.log());
    assert!(stage.log().contains("HALTED_OPS: PAGE_UNREADABLE"), "{}", stage.log());
    assert_eq!(stage.open(), [], "nothing stays in the market unwatched");
    let events = fs::read_to_string(stage.paths.events()).unwrap();
    assert!(events.contains("\"HALTED_OPS\""), "{events}");
    let told = incident::all(&stage.paths).unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0].cause.reason, "PAGE_UNREADABLE");
}

/// R-KILL-6: the second trip within the day rolls back; the next start is refused until a named person lifts it.
#[test]
fn r_kill_6_a_rollback_holds_the_next_start_back() {
    let stage = Stage::set();
    let mut args = Calm::args(&stage);
    let path = stage.dir.path().join("rollback.toml");
    fs::write(&path, "[emergency]\nrollback_modes = [\"demo\"]\nrollback_trips = 2\n").unwrap();
    args.extend(["-c".into(), path.into()]);
    let engine = stage.engine_at(&stage.venue_file(), &args);
    stage.wait_until_trading();
    let trip = |why: &str| {
        let output = stage.interlock(&["kill", "trip", "--reason", why, "--triggered-by", "anna"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    };
    trip("one");
    let recovered = stage.interlock(&["kill", "recover", "--cause", "looked at", "--by", "anna"]);
    assert_eq!(recovered.status.code(), Some(0), "{}", said(&recovered));
    trip("two");
    let held = wait_for("the rollback", || holds::in_force(&stage.paths).unwrap().pop());
    assert_eq!(held.reason, "REPEATED_TRIPS");
    let refused = stage.interlock(&["kill", "recover", "--cause", "again", "--by", "anna"]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    drop(engine);
    let data = stage.paths.data.clone();
    let output = stage.run_in(&data, &stage.venue_file(), &[]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    assert!(said(&output).contains("rollback clear"), "{}", said(&output));
    let shown = stage.interlock(&["rollback", "show"]);
    assert_eq!(shown.status.code(), Some(3), "{}", said(&shown));
    let lifted = stage.interlock(&["rollback", "clear", &held.id, "--by", "ben", "--cause", "mended"]);
    assert_eq!(lifted.status.code(), Some(0), "{}", said(&lifted));
    let output = stage.run_in(&data, &stage.venue_file(), &["--duration", "1s"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let story = incident::all(&stage.paths).unwrap();
    assert_eq!(story.len(), 1, "one story: {story:?}");
    assert!(
        story[0].actions.iter().any(|a| a.what.contains("rolled back to shadow")),
        "{:?}",
        story[0].actions
    );
}

/// R-KILL-7, F37: a strategy that always wants something holds a position; closing ends flat, and stays so.
#[test]
fn r_kill_7_closing_ends_flat_and_stays_so() {
    let stage = Stage::set();
    let _engine = stage.engine_at(&stage.venue_file(), &Calm::eager(&stage));
    stage.wait_until_trading();
    let held =
        || stage.status().view.instruments.into_iter().find(interlock::ops::watch::InstrumentLine::is_held);
    let line = wait_for("a position", held);
    let output = stage.interlock(&["positions", "close-all", "--reason", "no"]);
    assert_eq!(output.status.code(), Some(2), "not without --confirm: {}", said(&output));
    let output = stage.interlock(&["positions", "close", "NONE", "--reason", "no"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let output = stage.interlock(&["positions", "close", &line.symbol, "--reason", "stuck", "--by", "anna"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = stage.interlock(&["positions", "close-all", "--confirm", "--reason", "leaving"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // F38: no strategy fights the close.
    let fills = stage.status().view.totals.fills;
    interlock::agent::clock::sleep(std::time::Duration::from_secs(2));
    let after = stage.status();
    assert!(after.view.instruments.iter().all(|line| !line.is_held()), "{:?}", after.view.instruments);
    assert_eq!(after.view.totals.fills, fills, "nothing is traded behind it");
    let told = incident::all(&stage.paths).unwrap();
    assert_eq!(told[0].cause.reason, "MANUAL_CLOSE", "{told:?}");
    // And released, it trades again.
    let output = stage.interlock(&["positions", "release", "--reason", "looked at"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    wait_for("a position again", held);
    let output = stage.interlock(&["kill", "trip", "--flatten", "--reason", "out", "--triggered-by", "anna"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("flat "), "{}", said(&output));
    assert_eq!(stage.open(), []);
    let after = stage.status();
    assert!(after.view.instruments.iter().all(|line| !line.is_held()), "{:?}", after.view.instruments);
}

/// F36: the venue is a black hole: sockets stay open and nothing answers. A stop ends within its deadline all the same.
#[test]
fn f36_a_stop_ends_with_a_dead_network() {
    let stage = Stage::set();
    let mut engine = stage.calm_engine();
    stage.wait_until_trading();
    stage.stop_venue();
    signal(&engine, Signal::TERM);
    let clock = interlock::agent::Clock::system();
    let began_ns = clock.mono_ns();
    let status = wait_for("the end", || engine.0.try_wait().unwrap());
    assert!(clock.mono_ns() - began_ns < 50_000_000_000, "{status}");
    stage.go_on_venue();
}

/// The control thread hangs for good: the watchdog raises "cancel all", and the gateway carries it out, without anybody's help.
#[test]
fn r_kill_1_a_control_thread_that_hangs_is_tripped_by_the_watchdog() {
    let stage = Stage::set();
    let path = stage.dir.path().join("watchdog.toml");
    fs::write(&path, "[placement]\nidle = \"park\"\nunpinned = true\n[emergency]\nwatchdog_ms = 2500\n")
        .unwrap();
    let engine = stage.engine_at(&stage.venue_file(), &["-c".into(), path.into()]);
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    let Some(frozen) = FrozenThread::freeze(thread_of(engine.0.id(), "control")) else { return };
    let page = interlock::shared::KillPage::open(&stage.paths.kill_page()).unwrap();
    wait_for("the watchdog", || {
        (page.view(interlock::types::Now::default()).level >= interlock::shared::HaltLevel::CancelAll)
            .then_some(())
    });
    assert_eq!(page.last_trip().0, interlock::types::Reason::Stall);
    wait_for("nothing open at the venue", || stage.open().is_empty().then_some(()));
    drop(frozen);
}

/// R-KILL-4: a drill leaves evidence that holds, and an incident it is not.
#[test]
fn r_kill_4_a_drill_leaves_a_pack_that_verifies() {
    let stage = Stage::set();
    let output = stage.interlock(&["kill", "drill", "--dry-run"]);
    assert!(said(&output).contains("operator-trip"), "{}", said(&output));
    assert!(!stage.paths.data.join("evidence").exists(), "a dry run leaves nothing");
    let output = stage.interlock(&["kill", "drill", "-n", "2", "--only", "operator-trip", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&answer["passed"], &answer["drills"][0]["runs"]), (&true.into(), &2.into()));
    let passed = drills::passed(&stage.paths).unwrap();
    assert_eq!((passed.len(), passed[0].name.as_str(), passed[0].runs), (1, "operator-trip", 2));
    let verified = stage.interlock(&["evidence", "verify", answer["pack"].as_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    assert!(fs::read_to_string(stage.paths.events()).unwrap().contains("\"DRILL\""));
    assert!(!stage.paths.data.join("drills").join("run").exists());
    let unknown = stage.interlock(&["kill", "drill", "--only", "none"]);
    assert_eq!(unknown.status.code(), Some(2), "{}", said(&unknown));
}
