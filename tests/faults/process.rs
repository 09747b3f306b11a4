//! The scenarios whose point is a process: the real binary against the embedded venue. F6, F35, F36, F40.

use std::process::Command;
use std::time::Duration;

use interlock::agent::Clock;
use interlock::types::ClientOrderId;
use rand::Rng;
use rustix::process::{Pid, Signal, kill_process};

use crate::run::Run;
use crate::stage::{Calm, Stage, said, signal, wait_for};

/// How long an engine may take to leave, whatever the venue does: the stages' own deadline and room for a busy host.
const LEAVES_WITHIN: Duration = Duration::from_secs(45);

fn epoch_orders(run: &mut Run, count: u64) -> Vec<String> {
    let first = run.rng.random_range(1..1_000_000_000);
    (first..first + count).map(|counter| ClientOrderId::new(1, counter).to_string()).collect()
}

/// Killed with twenty live orders: the next boot finds all by the epoch in their ids, counts them, and can cancel them.
pub(crate) fn f6_a_restart_finds_every_order(run: &mut Run) {
    let stage = Stage::set();
    let mut engine = stage.engine_at(&stage.venue_file(), &Calm::args(&stage));
    stage.wait_until_trading();
    let ids = epoch_orders(run, 20);
    for (at, id) in ids.iter().enumerate() {
        stage.place(&format!("{}.00", 30_000 - at), id);
    }
    engine.0.kill().unwrap();
    engine.0.wait().unwrap();
    run.occurred("killed with 20 live orders", u64::from(stage.open().len() >= 20));
    let _next = stage.engine_at(&stage.venue_file(), &Calm::args(&stage));
    wait_for("every old order", || {
        let orders = stage.status().view.orders;
        ids.iter().all(|id| orders.iter().any(|o| o.client_id == *id)).then_some(())
    });
    assert!(!stage.status().kill.trading, "after an unclean end it does not arm itself");
    let output = stage.interlock(&["kill", "trip"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stage.open(), []);
}

/// A stop that is repeated changes nothing, ends only when the venue says zero, and nothing comes back after a restart.
pub(crate) fn f35_a_stop_is_for_good(run: &mut Run) {
    let stage = Stage::set();
    let mut engine = stage.engine_at(&stage.venue_file(), &Calm::eager(&stage));
    stage.wait_until_trading();
    wait_for("an order", || (stage.status().view.totals.orders_sent > 0).then_some(()));
    stage.place("30000.00", "someone-1");
    let times = run.rng.random_range(2..5);
    for _ in 0..times {
        let output = stage.interlock(&["kill", "trip", "--reason", "stop", "--triggered-by", "me"]);
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
        assert_eq!(stage.open(), []);
    }
    run.occurred("stopped again", times - 1);
    if run.rng.random_bool(0.5) {
        engine.0.kill().unwrap();
    } else {
        signal(&engine, Signal::INT);
    }
    engine.0.wait().unwrap();
    let _next = stage.engine_at(&stage.venue_file(), &Calm::eager(&stage));
    wait_for("links", || stage.status().view.links.iter().all(|l| l.up).then_some(()));
    interlock::agent::clock::sleep(Duration::from_secs(3));
    let status = stage.status();
    assert!(!status.kill.trading && status.kill.marker);
    assert_eq!(status.view.totals.orders_sent, 0, "no order comes back");
    assert_eq!(stage.open(), []);
}

/// The venue takes connections and says nothing any more; the engine is told to stop.
pub(crate) fn f36_a_shutdown_does_not_hang_on_a_dead_venue(run: &mut Run) {
    let stage = Stage::set();
    let mut engine = stage.engine_at(&stage.venue_file(), &Calm::args(&stage));
    stage.wait_until_trading();
    let venue = Pid::from_raw(i32::try_from(stage.venue.pid).unwrap()).unwrap();
    kill_process(venue, Signal::STOP).unwrap();
    interlock::agent::clock::sleep(Duration::from_millis(run.rng.random_range(1..2_000)));
    run.occurred("venue black-holed", 1);
    let clock = Clock::system();
    let from_ns = clock.mono_ns();
    signal(&engine, Signal::INT);
    let deadline_ns = from_ns + i64::try_from(LEAVES_WITHIN.as_nanos()).unwrap();
    let status = loop {
        if let Some(status) = engine.0.try_wait().unwrap() {
            break Some(status);
        }
        if clock.mono_ns() > deadline_ns {
            break None;
        }
        interlock::agent::clock::sleep(Duration::from_millis(20));
    };
    kill_process(venue, Signal::CONT).unwrap();
    assert!(status.is_some(), "it leaves within {LEAVES_WITHIN:?}: {}", stage.log());
}

/// A second engine of another configuration beside a running one.
pub(crate) fn f40_a_second_engine_of_another_configuration_does_not_arm(run: &mut Run) {
    let stage = Stage::set();
    let engine = stage.engine_at(&stage.venue_file(), &Calm::args(&stage));
    stage.wait_until_trading();
    let before = stage.status().boot_id;
    let other = stage.dir.path().join("other.toml");
    let value = run.rng.random_range(10..90);
    std::fs::write(&other, format!("[risk]\norder_value_max = \"{value}\"\n")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["run", "--plain", "--duration", "1s", "--venue"])
        .arg(stage.venue_file())
        .arg("--data-dir")
        .arg(&stage.paths.data)
        .arg("-c")
        .arg(&other)
        .output()
        .unwrap();
    run.occurred("a second engine was started", 1);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains(&format!("pid {}", engine.0.id())), "{}", said(&output));
    let status = stage.status();
    assert_eq!(status.boot_id, before);
    assert!(status.kill.trading, "the first one is not disturbed");
}
