//! The kill switch as an operator meets it (R-KILL-1, 2, 3; K2, K3, K5): a frozen control thread, a frozen engine, a dead one,
//! a venue that drops its connections.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use interlock::types::ClientOrderId;
use rustix::process::Signal;

use crate::stage::{FrozenThread, SmallDisk, Stage, said, signal, thread_of, wait_for};

#[test]
fn a_trip_answers_twice_and_the_venue_agrees() {
    let stage = Stage::set();
    let _engine = stage.engine(&[]);
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    let output = stage.interlock(&["kill", "trip", "--reason", "drill", "--triggered-by", "me"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("tripped") && text.contains("silent") && text.contains("0 open orders"), "{text}");
    assert_eq!(stage.open(), []);
    let status = stage.status();
    assert!(!status.kill.trading && status.kill.silent && status.kill.marker);
    let output = stage.interlock(&["kill", "recover", "--cause", "", "--by", "me"]);
    assert_eq!(output.status.code(), Some(3), "no cause, no arming: {}", said(&output));
    let output = stage.interlock(&["kill", "recover", "--cause", "drill finished", "--by", "me"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    stage.wait_until_trading();
    assert!(!stage.status().kill.marker);
}

/// K2: the control thread alone is frozen. Its lease runs out, its socket is dumb; the trip goes by the page, and the gateway
/// carries it out.
#[test]
fn k2_a_frozen_control_thread_keeps_nobody_from_tripping() {
    let stage = Stage::set();
    let engine = stage.engine(&[]);
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    let Some(frozen) = FrozenThread::freeze(thread_of(engine.0.id(), "control")) else { return };
    let output = stage.interlock(&["kill", "trip", "--reason", "control hangs", "--triggered-by", "me"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("the page was tripped from here"), "{text}");
    assert_eq!(stage.open(), []);
    let page = interlock::shared::KillPage::open(&stage.paths.kill_page()).unwrap();
    assert!(page.view(interlock::types::Now::default()).is_tripped());
    drop(frozen);
    let status = wait_for("the control thread", || interlock::ops::client::read_status(&stage.paths).ok());
    assert!(!status.kill.trading, "it comes back to a tripped engine");
}

/// K8: each watched thread in turn is frozen: the control thread trips, and names it.
#[test]
fn k8_a_frozen_thread_is_a_trip() {
    let stage = Stage::set();
    let engine = stage.engine(&[]);
    let names: Vec<_> = stage.status().threads.into_iter().map(|t| t.name).collect();
    assert!(names.contains(&"journal".to_owned()), "{names:?}");
    for name in names {
        wait_for("trading", || {
            let ready = stage.status().kill;
            if !ready.trading && ready.level_number >= 3 {
                let _tried = stage.interlock(&["kill", "recover", "--cause", "next thread", "--by", "me"]);
            }
            ready.trading.then_some(())
        });
        // The kernel keeps fifteen bytes of a thread's name.
        let comm: String = name.chars().take(15).collect();
        let Some(frozen) = FrozenThread::freeze(thread_of(engine.0.id(), &comm)) else { return };
        let kill = wait_for("the trip", || Some(stage.status().kill).filter(|kill| kill.level_number >= 3));
        assert!(!kill.trading && kill.reason == "STALL", "{name}: {kill:?}");
        let events = std::fs::read_to_string(stage.paths.events()).unwrap();
        assert!(events.contains(&format!("thread \\\"{name}\\\" has not moved")), "{events}");
        drop(frozen);
    }
}

/// K2: the whole engine is frozen. The halt tool needs none of it; what wakes up later is tripped.
#[test]
fn k2_a_frozen_engine_is_halted_from_outside() {
    let stage = Stage::set();
    let engine = stage.engine(&[]);
    stage.wait_until_trading();
    for at in 0..5 {
        stage.place(&format!("{}.00", 30_000 - at), &format!("someone-{at}"));
    }
    signal(&engine, Signal::STOP);
    let output = stage.halt(&["--reason", "engine hangs", "--triggered-by", "me"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stage.open(), []);
    signal(&engine, Signal::CONT);
    let status = wait_for("the engine", || interlock::ops::client::read_status(&stage.paths).ok());
    assert!(!status.kill.trading);
    assert_eq!(status.kill.level, "CANCEL_ALL");
    wait_for("the gateway's own word", || stage.status().kill.silent.then_some(()));
    assert_eq!(stage.open(), []);
}

/// K2, R-KILL-2: with a dead engine, and before any engine ran.
#[test]
fn a_dead_engine_is_halted_and_the_next_one_does_not_arm_itself() {
    let stage = Stage::set();
    let mut engine = stage.engine(&[]);
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    engine.0.kill().unwrap();
    engine.0.wait().unwrap();
    let output = stage.halt(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stage.open(), []);
    let _next = stage.engine(&[]);
    wait_for("links", || stage.status().view.links.iter().all(|l| l.up).then_some(()));
    let status = stage.status();
    assert!(!status.kill.trading && status.kill.marker);
    let output = stage.interlock(&["kill", "recover", "--cause", "looked at", "--by", "me"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    stage.wait_until_trading();
}

/// K5: the engine is killed with orders open, and started again: tripped, and its old orders are known by their ids.
#[test]
fn k5_a_killed_engine_comes_back_tripped_and_knows_its_orders() {
    let stage = Stage::set();
    let mut engine = stage.engine(&[]);
    stage.wait_until_trading();
    engine.0.kill().unwrap();
    engine.0.wait().unwrap();
    // Orders as the dead boot would have left them: its epoch, and counters that it may have reached.
    let old: Vec<_> = (0..3).map(|at| ClientOrderId::new(1, 1_000_000 + at).to_string()).collect();
    for (at, id) in old.iter().enumerate() {
        stage.place(&format!("{}.00", 30_000 - at), id);
    }
    let _next = stage.engine(&[]);
    assert!(!stage.status().kill.trading);
    let known = wait_for("the old orders", || {
        let orders = stage.status().view.orders;
        let all = old.iter().all(|id| orders.iter().any(|o| o.client_id == *id));
        all.then_some(orders)
    });
    println!("known: {known:?}");
    assert!(!stage.status().kill.trading, "it does not arm itself after an unclean end");
    let output = stage.interlock(&["kill", "trip"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stage.open(), []);
}

/// K5: killed right after it said `tripped`: the next boot does not arm itself.
#[test]
fn k5_a_trip_that_was_acknowledged_outlives_the_engine() {
    let stage = Stage::set();
    let mut engine = stage.engine(&[]);
    stage.wait_until_trading();
    let mut operator = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["kill", "trip", "--data-dir"])
        .arg(&stage.paths.data)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(operator.stdout.take().unwrap()).read_line(&mut line).unwrap();
    engine.0.kill().unwrap();
    assert!(line.starts_with("tripped"), "{line}");
    engine.0.wait().unwrap();
    operator.wait().unwrap();
    let _next = stage.engine(&[]);
    wait_for("links", || stage.status().view.links.iter().all(|l| l.up).then_some(()));
    assert!(!stage.status().kill.trading);
    assert!(interlock::ops::marker::look(&stage.paths).is_killed());
}

/// K3: the venue drops every connection at the moment of the kill: the answer waits for the reconnect and is the venue's.
#[test]
fn k3_a_kill_during_a_reconnect_ends_on_the_venues_word() {
    let stage = Stage::set();
    let _engine = stage.engine(&[]);
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    stage.faults(r#"{"fault":[{"kind":"disconnect","target":"all"}]}"#);
    let output = stage.interlock(&["kill", "trip", "--wait", "50s"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stage.open(), []);
}

/// K3, R-KILL-2: the disk is full. The trip is carried out, and is remembered: the marker has its reserve.
#[test]
fn k3_a_full_disk_keeps_nobody_from_tripping() {
    let mut stage = Stage::set();
    let Some(disk) = SmallDisk::mount(&stage.dir.path().join("small"), 160) else { return };
    stage.paths = interlock::ops::paths::Paths::new(&disk.0.join("data"), None);
    let _engine = stage.engine(&[]);
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    disk.fill();
    let output = stage.interlock(&["kill", "trip", "--wait", "50s"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(stage.open(), []);
    assert!(interlock::ops::marker::look(&stage.paths).is_killed(), "remembered");
    assert!(!stage.status().kill.trading);
}

/// R-EVD-4: a second engine is told who has the directory, and nothing of the first is touched.
#[test]
fn a_second_engine_is_refused_and_told_who() {
    let stage = Stage::set();
    let engine = stage.engine(&["--no-arm"]);
    let boot = stage.status().boot_id;
    let output = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["run", "--plain", "--duration", "1s", "--venue"])
        .arg(stage.venue_file())
        .arg("--data-dir")
        .arg(&stage.paths.data)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains(&format!("pid {}", engine.0.id())), "{}", said(&output));
    assert_eq!(stage.status().boot_id, boot);
}

/// Without an engine: status of the switch is what page and marker say, and a trip is remembered.
#[test]
fn without_an_engine_the_switch_can_be_read_and_tripped() {
    let stage = Stage::set();
    std::fs::create_dir(&stage.paths.data).unwrap();
    let output = stage.interlock(&["kill", "status", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["trading"], serde_json::json!(false));
    let output = stage.interlock(&["kill", "trip"]);
    assert_eq!(output.status.code(), Some(1), "no page, no venue: not a success: {}", said(&output));
    assert!(said(&output).contains("interlock-halt"), "{}", said(&output));
    assert!(interlock::ops::marker::look(&stage.paths).is_killed());
    assert_eq!(stage.interlock(&["status"]).status.code(), Some(1));
}
