//! Recovery (R-ORD-3, R-ORD-4; F6, F9, F13 of the fault catalogue): an engine that is killed at any moment, again and again, with
//! orders working and fills on their way. Afterwards nothing is forgotten, nothing is doubled, and what the engine books is
//! what the venue holds.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use interlock::agent::clock;
use interlock::event::{Body, Record};
use interlock::journal::Reader;
use interlock::journal::entry::Entry;
use interlock::ops::reconcile::Outcome;
use interlock::types::{ClientOrderId, TradeId, VenueOrderId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::stage::{Calm, Stage, said, wait_for};

/// Kills in one run; `INTERLOCK_KILLS` sets another number.
#[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
fn from_environment(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// An engine that always wants something, and whose unknown orders are settled soon.
fn eager(stage: &Stage) -> Vec<OsString> {
    let path = stage.dir.path().join("soon.toml");
    fs::write(&path, "[gateway]\nabsent_settle_ms = 200\nrecv_window_ms = 1000\n[reconcile]\nevery_s = 1\nmax_age_s = 60\n")
        .unwrap();
    let mut args = Calm::eager(stage);
    args.extend(["-c".into(), path.into()]);
    args
}

fn recover(stage: &Stage) {
    let output =
        stage.interlock(&["kill", "recover", "--cause", "killed by a test", "--by", "test", "--wait", "50s"]);
    assert_eq!(output.status.code(), Some(0), "{}\n{}", said(&output), stage.log());
}

/// Every trade that a journal has booked, and how often; and every order of ours that it tells of.
fn journaled(stage: &Stage) -> (BTreeMap<(VenueOrderId, TradeId), u32>, BTreeSet<ClientOrderId>) {
    let (mut trades, mut orders) = (BTreeMap::new(), BTreeSet::new());
    for item in Reader::open(&stage.paths.data.join("journal")).unwrap() {
        match item.unwrap().entry {
            Entry::Record(Record::Fact(fact)) => match fact.body {
                Body::Order(update) => {
                    orders.insert(update.client);
                    if update.trade.0 != 0 && update.client != ClientOrderId::NONE {
                        *trades.entry((update.venue_order, update.trade)).or_insert(0) += 1;
                    }
                }
                Body::Carried(order) => {
                    orders.insert(order.client);
                }
                _ => {}
            },
            Entry::Record(Record::Intent(intent)) => {
                orders.insert(intent.client);
            }
            _ => {}
        }
    }
    (trades, orders)
}

#[test]
fn k5_killed_at_any_moment_nothing_is_forgotten_and_nothing_doubled() {
    let kills = from_environment("INTERLOCK_KILLS", 8);
    let seed = from_environment("INTERLOCK_SEED", 0x5eed);
    println!("seed {seed}, {kills} kills (INTERLOCK_SEED and INTERLOCK_KILLS change them)");
    let mut rng = SmallRng::seed_from_u64(seed);
    let stage = Stage::set();
    for round in 0..kills {
        let mut engine = stage.engine_at(&stage.venue_file(), &eager(&stage));
        if round > 0 {
            recover(&stage);
        }
        stage.wait_until_trading();
        clock::sleep(Duration::from_millis(rng.random_range(0..1_500)));
        engine.0.kill().unwrap();
        engine.0.wait().unwrap();
    }
    let _engine = stage.engine_at(&stage.venue_file(), &eager(&stage));
    recover(&stage);
    let output = stage.interlock(&["kill", "trip", "--wait", "50s"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // Balanced: each balance of the account is what the fills of all boots make it, to the last unit.
    let output = stage.interlock(&["reconcile", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let status = stage.status();
    assert_eq!(status.reconcile.unwrap().outcome, Outcome::Balanced);
    assert_eq!(stage.open(), []);
    // Nothing forgotten: every fill that the venue lists on an order of ours is in some journal. Nothing doubled: a fill that a
    // killed process may not have written is told again to the next one, which has booked none.
    let (trades, orders) = journaled(&stage);
    let mut ours = 0;
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let by_order: BTreeMap<u64, String> = stage
            .signed("/api/v3/allOrders", &format!("symbol={symbol}&orderId=0&limit=1000"))
            .as_array()
            .unwrap()
            .iter()
            .map(|o| (o["orderId"].as_u64().unwrap(), o["clientOrderId"].as_str().unwrap().to_owned()))
            .collect();
        let ids: BTreeSet<&String> = by_order.values().collect();
        assert_eq!(ids.len(), by_order.len(), "a client id is used once");
        for fill in stage
            .signed("/api/v3/myTrades", &format!("symbol={symbol}&fromId=0&limit=1000"))
            .as_array()
            .unwrap()
        {
            let (trade, order) = (fill["id"].as_u64().unwrap(), fill["orderId"].as_u64().unwrap());
            let Some(client) = by_order.get(&order) else { continue };
            let Some(client) = ClientOrderId::parse(client.as_bytes()) else { continue };
            ours += 1;
            assert!(orders.contains(&client), "order {client} of trade {trade} is in no journal");
            assert!(
                trades.contains_key(&(VenueOrderId(order), TradeId(trade))),
                "trade {trade} of order {client} is in no journal"
            );
        }
    }
    println!("{ours} fills of our orders, all booked");
    assert!(ours > 0, "the engine traded");
    let events = fs::read_to_string(stage.paths.events()).unwrap();
    assert!(!events.contains("RECONCILE_MISMATCH"), "{events}");
}

/// F13, F25: the account's stream is silent, sockets up. The fills are found by the next comparison, and booked once.
#[test]
fn f13_fills_that_the_stream_did_not_tell_are_found_by_the_next_reconcile() {
    let stage = Stage::set();
    let _engine = stage.engine_at(&stage.venue_file(), &eager(&stage));
    stage.wait_until_trading();
    stage.faults(r#"{"fault":[{"kind":"drop_private","only":"executionReport"}]}"#);
    wait_for("a recovered fill", || {
        let events = fs::read_to_string(stage.paths.events()).unwrap();
        assert!(!events.contains("RECONCILE_MISMATCH"), "{events}");
        events.contains("FILL_RECOVERED").then_some(())
    });
    stage.faults(r#"{"fault":[]}"#);
    let output = stage.interlock(&["reconcile"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}

/// R-ORD-3, R-KILL-1: a balance that no trade explains halts the engine; recovering is refused until somebody has said where it
/// comes from, by name and on record.
#[test]
fn a_mismatch_halts_and_only_a_named_person_settles_it() {
    let stage = Stage::set();
    let _engine = stage.engine_at(&stage.venue_file(), &eager(&stage));
    stage.wait_until_trading();
    stage.control("deposit", r#"{"asset":"USDT","amount":"-25"}"#);
    let kill =
        wait_for("the halt", || Some(stage.status().kill).filter(|k| k.reason == "RECONCILE_MISMATCH"));
    assert!(!kill.trading, "{kill:?}");
    let output = stage.interlock(&["reconcile"]);
    assert_eq!(output.status.code(), Some(5), "{}", said(&output));
    assert!(said(&output).contains("balance of USDT"), "{}", said(&output));
    let output = stage.interlock(&["kill", "recover", "--cause", "it will be fine", "--by", "me"]);
    assert_eq!(output.status.code(), Some(3), "{}", said(&output));
    let output = stage.interlock(&["reconcile", "--adopt"]);
    assert_eq!(output.status.code(), Some(2), "no name, no cause: {}", said(&output));
    let output = stage.interlock(&["reconcile", "--adopt", "--by", "me", "--cause", "withdrawal of 25 USDT"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let output = stage.interlock(&["kill", "recover", "--cause", "withdrawal explained", "--by", "me"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    stage.wait_until_trading();
    let events = fs::read_to_string(stage.paths.events()).unwrap();
    assert!(events.contains("RECONCILE_MISMATCH") && events.contains("RECONCILE_ADOPTED"), "{events}");
    let output = stage.interlock(&["journal", "replay"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
}
