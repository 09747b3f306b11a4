//! What outlives a process, with the real binary: a strategy's switch over a kill (C9), and the budget of connection attempts
//! (F22).

use std::fs;

use serde_json::Value;

use super::stage::{Calm, Stage, said, wait_for};

fn events(stage: &Stage, name: &str) -> Vec<Value> {
    let text = fs::read_to_string(stage.paths.events()).unwrap_or_default();
    text.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).filter(|e| e["event"] == name).collect()
}

const STRATEGY: &str = "order_flow_imbalance";

#[test]
fn c9_a_disabled_strategy_stays_so_over_a_kill_until_a_named_person_enables_it() {
    let stage = Stage::set();
    let engine = stage.engine_at(&stage.venue_file(), &Calm::eager(&stage));
    stage.wait_until_trading();
    let named = ["--cause", "odd trades", "--by", "alice"];
    let switch = |verb: &str, args: &[&str]| stage.interlock(&[&["limits", verb, STRATEGY], args].concat());
    assert_eq!(switch("disable", &named[..2]).status.code(), Some(2), "a named person, or nobody");
    let disabled = switch("disable", &named);
    assert_eq!(disabled.status.code(), Some(0), "{}", said(&disabled));
    let is_disabled =
        || stage.status().view.layers.strategies.iter().any(|s| s.strategy == STRATEGY && s.disabled);
    wait_for("the switch to be on record", || is_disabled().then_some(()));
    drop(engine); // by SIGKILL

    let engine = stage.engine_at(&stage.venue_file(), &Calm::eager(&stage));
    wait_for("the first facts", || is_disabled().then_some(()));
    let told = events(&stage, "STRATEGY_STILL_DISABLED");
    assert!(
        told.iter().any(|e| e["fields"]["strategy"] == STRATEGY && e["fields"]["why"] == "STRATEGY_DISABLED"),
        "{told:?}"
    );
    let recovered =
        stage.interlock(&["kill", "recover", "--cause", "killed by a test", "--by", "test", "--wait", "50s"]);
    assert_eq!(recovered.status.code(), Some(0), "{}\n{}", said(&recovered), stage.log());
    let entries = || stage.status().counters.get("entries_approved_total").copied().unwrap_or(0);
    wait_for("entries that are refused", || {
        stage.status().refusals.contains_key("STRATEGY_DISABLED").then_some(())
    });
    assert_eq!(entries(), 0, "armed, and the strategy still may not enter");
    let enabled = switch("enable", &["--cause", "looked at it", "--by", "alice"]);
    assert_eq!(enabled.status.code(), Some(0), "{}", said(&enabled));
    wait_for("an entry", || (entries() > 0).then_some(()));
    assert!(!is_disabled());
    drop(engine);
    // The session that began with what was carried is reproduced.
    let replay = stage.interlock(&["journal", "replay"]);
    assert_eq!(replay.status.code(), Some(0), "{}", said(&replay));
}

#[test]
fn f22_a_restart_begins_with_the_attempts_of_the_boots_before_it() {
    let stage = Stage::set();
    let config = stage.dir.path().join("budget.toml");
    fs::write(&config, "[feed]\nconnect_budget = \"always\"\nconnects_per_5min_max = 10\n").unwrap();
    let short = ["-c", config.to_str().unwrap(), "--duration", "2s"];
    let run = || stage.run_in(&stage.paths.data, &stage.venue_file(), &short);
    let first = run();
    assert_eq!(first.status.code(), Some(0), "{}", said(&first));
    assert!(events(&stage, "CONNECT_BUDGET_SPENT").is_empty());
    let path = stage.paths.connects();
    let mut kept: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let attempts = |kept: &Value| {
        kept["attempts"].as_array().unwrap().iter().map(|l| l.as_array().unwrap().len()).collect::<Vec<_>>()
    };
    assert!(attempts(&kept).iter().all(|n| (1..=4).contains(n)), "what it did: {kept}");
    // As a crash loop would have left it for one of the links.
    let last = kept["attempts"][2][0].clone();
    kept["attempts"][2] = Value::Array(vec![last; 10]);
    fs::write(&path, kept.to_string()).unwrap();
    let second = run();
    assert_eq!(second.status.code(), Some(0), "{}", said(&second));
    let told = events(&stage, "CONNECT_BUDGET_SPENT");
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!(told[0]["fields"]["link"], "orders");
    let after: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(attempts(&after)[2], 10, "it did not try: {after}");
    assert!(attempts(&after)[0] > attempts(&kept)[0], "the others did");
}
