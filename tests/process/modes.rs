//! The ladder's modes with the real binary against the embedded venue in its personas: what each may send, as the venue
//! counted it.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::stage::{Calm, Running, Stage, said, signal, wait_for};

/// Starts an engine of a mode that wants orders all the time.
fn eager(stage: &Stage, more: &[&str]) -> Running {
    let mut args = Calm::eager(stage);
    args.extend(more.iter().map(std::ffi::OsString::from));
    stage.engine_at(&stage.venue_file(), &args)
}

fn stop(mut engine: Running) {
    signal(&engine, rustix::process::Signal::INT);
    let status = engine.0.wait().unwrap();
    assert!(status.success(), "{status}");
}

fn lines(path: &std::path::Path) -> Vec<Value> {
    fs::read_to_string(path).unwrap_or_default().lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

fn events(stage: &Stage, name: &str) -> Vec<Value> {
    lines(&stage.paths.events()).into_iter().filter(|e| e["event"] == name).collect()
}

/// Nothing that could change anything at the venue was counted there.
fn assert_nothing_was_sent(stats: &Value) {
    for key in ["orders_accepted", "orders_rejected", "cancels", "fills"] {
        assert_eq!(stats[key], 0, "{key}: {stats}");
    }
}

/// R-MODE-2, R-SHD-1: on the live venue's data, with a strategy that wants to trade.
#[test]
fn r_mode_2_shadow_decides_records_and_reaches_nobody() {
    let stage = Stage::playing("live");
    let config = stage.dir.path().join("short.toml");
    fs::write(&config, "[shadow]\nhorizons_s = [1, 2]\nheartbeat_s = 1\n").unwrap();
    let engine = eager(&stage, &["--mode", "shadow", "-c", config.to_str().unwrap()]);
    wait_for("an order that would have left", || (!events(&stage, "SHADOW_ORDER").is_empty()).then_some(()));
    let decisions = stage.paths.shadow_decisions();
    let marked =
        || lines(&decisions).into_iter().find(|l| l["outcome"] == "marked" || l["outcome"] == "unfilled");
    wait_for("what would have come of one", marked);

    // A kill is answered at once: nothing can be open.
    let tripped = stage.interlock(&["kill", "trip", "--reason", "drill"]);
    assert!(tripped.status.success(), "{}", said(&tripped));
    let recovered = stage.interlock(&["kill", "recover", "--cause", "drill over", "--by", "tester"]);
    assert!(recovered.status.success(), "{}", said(&recovered));
    let stats = stage.stats();
    assert_nothing_was_sent(&stats);
    assert_eq!(
        (&stats["api_connections"], &stats["api_requests"]),
        (&Value::from(0), &Value::from(0)),
        "{stats}"
    );
    stop(engine);

    // Where nothing was ever sent, the halt tool has nothing to cancel, and says so.
    let halted = stage.halt(&["--reason", "drill"]);
    assert!(halted.status.success() && said(&halted).contains("nothing to cancel"), "{}", said(&halted));

    assert_eq!(events(&stage, "BOOT_SEAL")[0]["fields"]["mode"], "shadow");
    assert_eq!(events(&stage, "SHADOW_SAFETY_OK")[0]["fields"]["live_trading_unset"], true);
    let recorded = lines(&decisions);
    let approved: Vec<_> =
        recorded.iter().filter(|l| l["kind"] == "decision" && l["verdict"] == "APPROVED").collect();
    assert_eq!(approved.len(), events(&stage, "SHADOW_ORDER").len(), "an event for each order");
    let beat: Value = serde_json::from_slice(&fs::read(stage.paths.shadow_heartbeat()).unwrap()).unwrap();
    assert_eq!((&beat["state"], &beat["lost"]), (&Value::from("stopped"), &Value::from(0)), "{beat}");
    assert_eq!(beat["approved"], approved.len(), "{beat}");

    // The journal holds no request, and the replay finds the same decisions.
    let cat = stage.interlock(&["journal", "cat", "-o", "json"]);
    let sent = said(&cat).contains("\"type\":\"sent\"");
    assert!(said(&cat).contains("\"SHADOW\"") && !sent, "a request in the journal");
    let replay = stage.interlock(&["journal", "replay"]);
    assert!(replay.status.success(), "{}", said(&replay));
}

#[test]
fn r_mode_1_a_dry_run_signs_and_stops_before_the_write() {
    let stage = Stage::playing("live");
    let engine = eager(&stage, &["--mode", "live", "--dry-run"]);
    let withheld = || {
        let cat = stage.interlock(&["journal", "cat", "-o", "json"]);
        said(&cat).contains("\"DRY_RUN\"").then_some(())
    };
    wait_for("an order that was stopped before the write", withheld);
    let stats = stage.stats();
    assert_nothing_was_sent(&stats);
    assert_ne!(stats["api_requests"], 0, "it logged on and asked: {stats}");
    stop(engine);
    assert_nothing_was_sent(&stage.stats());
    assert_eq!(events(&stage, "BOOT_SEAL")[0]["fields"]["dry_run"], true);

    // Shadow in the same directory leaves the halt tool its way to the venue: orders of before may be open there.
    let reference = fs::read(stage.paths.halt_config()).unwrap();
    let shadow =
        stage.run_in(&stage.paths.data, &stage.venue_file(), &["--mode", "shadow", "--duration", "2s"]);
    assert!(shadow.status.success(), "{}", said(&shadow));
    assert_eq!(fs::read(stage.paths.halt_config()).unwrap(), reference);
    let halted = stage.halt(&["--reason", "drill"]);
    assert!(halted.status.success() && said(&halted).contains("nothing is open"), "{}", said(&halted));
    let replay = stage.interlock(&["journal", "replay"]);
    assert!(replay.status.success(), "{}", said(&replay));
}

#[test]
fn r_mode_1_testnet_trades_at_the_test_network() {
    let stage = Stage::playing("testnet");
    let engine = eager(&stage, &["--mode", "testnet"]);
    wait_for("an order at the venue", || (stage.stats()["orders_accepted"] != 0).then_some(()));
    stop(engine);
    assert!(stage.open().is_empty(), "a graceful stop leaves nothing open");
    assert_eq!(events(&stage, "BOOT_SEAL")[0]["fields"]["mode"], "testnet");
}

/// Every mode at a venue that is not its own, live without its gates, and shadow beside what asks for orders: exit code 3, and
/// the venue has heard of none of it.
#[test]
fn what_does_not_fit_is_refused_before_anything_starts() {
    let stage = Stage::playing("live");
    let data = stage.dir.path().join("other");
    for args in [vec!["--mode", "demo"], vec!["--mode", "testnet"], vec!["--mode", "live"]] {
        let refused = stage.run_in(&data, &stage.venue_file(), &args);
        assert_eq!(refused.status.code(), Some(3), "{args:?}: {}", said(&refused));
    }
    let beside = |name: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        let run = command.args(["run", "--plain", "--mode", "shadow", "--duration", "5s", "--venue"]);
        run.arg(stage.venue_file()).arg("--data-dir").arg(&data).env(name, "NO").output().unwrap()
    };
    for name in ["LIVE_TRADING", "INTERLOCK_API_KEY_FILE"] {
        let refused = beside(name);
        assert_eq!(refused.status.code(), Some(3), "{name}: {}", said(&refused));
        assert!(said(&refused).contains(&format!("unset {name}")), "{}", said(&refused));
    }
    for mode in ["shadow", "paper"] {
        let refused = stage.run_in(&data, &stage.venue_file(), &["--mode", mode, "--dry-run"]);
        assert!(!refused.status.success(), "{mode}: {}", said(&refused));
    }
    assert_nothing_was_sent(&stage.stats());
}
