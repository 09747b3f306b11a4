//! Drills on the engine that runs, and trips by limits and layers, with the real binary (R-KILL-4, R-LIM-5, R-LIM-6, C16).

use std::fs;

use interlock::ops::drills;
use interlock::ops::emergency::incident;

use crate::stage::{Calm, Running, Stage, said, wait_for};

/// R-KILL-4: the engine that trades is drilled: refused where there is none or it doesn't trade, and otherwise tripped, proved
/// silent, recovered, with a pack that the gates count and no incident.
#[test]
fn r_kill_4_the_running_engine_is_drilled_in_somebodys_name() {
    let stage = Stage::set();
    let drill = |more: &[&str]| {
        let args: Vec<_> =
            ["kill", "drill", "--running", "--by", "anna"].iter().chain(more).copied().collect();
        stage.interlock(&args)
    };
    let refused = drill(&[]);
    assert_eq!(refused.status.code(), Some(3), "no engine: {}", said(&refused));
    let nameless = stage.interlock(&["kill", "drill", "--running"]);
    assert_eq!(nameless.status.code(), Some(2), "{}", said(&nameless));
    let _engine = stage.calm_engine();
    stage.wait_until_trading();
    for at in 0..3 {
        stage.place(&format!("{}.00", 30_000 - at), &format!("someone-{at}"));
    }
    let shown = drill(&["--dry-run"]);
    assert_eq!(shown.status.code(), Some(0), "{}", said(&shown));
    let strays = || stage.open().iter().filter(|order| order.client.starts_with("someone-")).count();
    assert_eq!(strays(), 3, "a dry run trips nothing");
    let done = drill(&["-n", "2", "-o", "json"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&answer["passed"], &answer["drills"][0]["runs"]), (&true.into(), &2.into()), "{answer}");
    assert_eq!(strays(), 0, "everything open was cancelled");
    assert!(stage.status().kill.trading, "and it trades again");
    let passed = drills::passed(&stage.paths).unwrap();
    assert_eq!((passed.len(), passed[0].name.as_str(), passed[0].runs), (1, "running-engine", 2));
    let verified = stage.interlock(&["evidence", "verify", answer["pack"].as_str().unwrap()]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
    assert!(incident::all(&stage.paths).unwrap().is_empty(), "an incident it is not");
    let events = fs::read_to_string(stage.paths.events()).unwrap();
    assert!(events.contains("\"by\":\"anna\"") && events.contains("\"DRILL\""), "{events}");
    let trip = stage.interlock(&["kill", "trip", "--reason", "real", "--triggered-by", "ben"]);
    assert_eq!(trip.status.code(), Some(0), "{}", said(&trip));
    let refused = drill(&[]);
    assert_eq!(refused.status.code(), Some(3), "tripped already, by somebody else: {}", said(&refused));
}

/// A running engine with an eager strategy and a bound drawn tight, until it is tripped; the reason on the page.
fn trips_by(bound: &str) -> (Stage, interlock::types::Reason, Running) {
    let stage = Stage::set();
    let mut args = Calm::eager(&stage);
    let path = stage.dir.path().join("bound.toml");
    fs::write(&path, bound).unwrap();
    args.extend(["-c".into(), path.into()]);
    let engine = stage.engine_at(&stage.venue_file(), &args);
    let page = wait_for("a trip after arming", || {
        let events = fs::read_to_string(stage.paths.events()).unwrap_or_default();
        let tripped = events.lines().any(|line| line.contains("\"KILL_TRIPPED\""));
        tripped.then(|| interlock::shared::KillPage::open(&stage.paths.kill_page()).unwrap())
    });
    let reason = page.last_trip().0;
    (stage, reason, engine)
}

/// C16, R-LIM-6: orders that multiply trip the switch at the first excess.
#[test]
fn c16_orders_beyond_the_fan_out_bound_trip_the_engine() {
    let (stage, reason, _engine) = trips_by("[risk.fan_out]\nvalue_per_fact_max = \"1\"\n");
    assert_eq!(reason, interlock::types::Reason::FanOut);
    let status = stage.status();
    assert!(!status.kill.trading && status.kill.level_number >= 3, "{:?}", status.kill);
    assert_eq!(status.view.totals.orders_sent, 0, "the first excess did not leave");
    let told = wait_for("the incident", || incident::all(&stage.paths).unwrap().pop());
    assert_eq!(told.cause.reason, "FAN_OUT");
}

/// R-LIM-5, L4: the drawdown trips at cancel-all, is not recovered from without a reset by name, and survives a restart.
#[test]
fn r_lim_5_the_emergency_stop_trips_and_needs_a_reset_by_name() {
    let (stage, reason, engine) = trips_by(
        "[risk.layers]\ncapital = \"4\"\ndrawdown_bp = 450\nconfirm_ms = 0\n[risk.layers.preservation]\n\
         drawdown_bp = [447, 448, 449, 450]\nsize_percent = [100, 100, 100, 0]\n[[strategy]]\n\
         name = \"order_flow_imbalance\"\n[strategy.params]\n\
         enter_centisigma = 1\nkeep_centisigma = -1000\nevents_min = 1\nhalf_life_ms = 100\nspread_max_bp = 1000\n\
         cooldown_ms = 100\nentry = \"marketable\"\nhold_ms = 50\n",
    );
    assert_eq!(reason, interlock::types::Reason::EmergencyStop);
    wait_for("the venue's word", || stage.status().kill.silent.then_some(()));
    assert_eq!(stage.open(), []);
    wait_for("the layer's word", || stage.status().view.layers.emergency.then_some(()));
    let refused = stage.interlock(&["kill", "recover", "--cause", "go on", "--by", "anna"]);
    assert_eq!(refused.status.code(), Some(3), "{}", said(&refused));
    drop(engine);
    let _next = stage.calm_engine();
    wait_for("the layer, after a restart", || {
        interlock::ops::client::read_status(&stage.paths).ok()?.view.layers.emergency.then_some(())
    });
    assert!(!stage.status().kill.trading, "it does not arm itself");
    let reset = stage.interlock(&["layers", "reset", "--cause", "looked at", "--by", "anna"]);
    assert_eq!(reset.status.code(), Some(0), "{}", said(&reset));
    wait_for("the reset", || (!stage.status().view.layers.emergency).then_some(()));
    wait_for("the recovery", || {
        let recovered = stage.interlock(&["kill", "recover", "--cause", "looked at", "--by", "anna"]);
        (recovered.status.code() == Some(0)).then_some(())
    });
    stage.wait_until_trading();
}
