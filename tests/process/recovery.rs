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

use crate::stage::{Calm, Stage, alone, said, wait_for};

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

/// The same, and it holds nothing for long: one instrument with orders that wait and move, one with orders that are filled at
/// once.
fn restless(stage: &Stage) -> Vec<OsString> {
    const PARAMS: &str = "enter_centisigma = 1\nkeep_centisigma = -1000\nevents_min = 1\nhalf_life_ms = 100\n\
                          spread_max_bp = 1000\ncooldown_ms = 50\nentry_life_ms = 2000\nreprice_ms = 50\n\
                          hold_ms = 200\ntarget_bp = 1\nstop_bp = 1\n";
    let strategy = |symbol: &str, entry: &str| {
        format!(
            "[[strategy]]\nname = \"order_flow_imbalance\"\nsymbols = [\"{symbol}\"]\n[strategy.params]\n\
             entry = \"{entry}\"\n{PARAMS}"
        )
    };
    let path = stage.dir.path().join("restless.toml");
    fs::write(&path, strategy("BTCUSDT", "passive") + &strategy("ETHUSDT", "marketable")).unwrap();
    let mut args = eager(stage);
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

/// Kills, and settles after the last one: everything that the venue has of ours is in some journal, once.
fn killed(stage: &Stage, kills: u64, seed: u64) -> Killed {
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut done = Killed::default();
    // A lap begins with the engine of the lap before dead: recovered by a person, unless it dies on its way up.
    for round in 0..kills {
        if round > 0 && rng.random_bool(0.25) {
            let mut engine = stage.engine_begun(&stage.venue_file(), &restless(stage));
            clock::sleep(Duration::from_millis(rng.random_range(0..1_200)));
            engine.0.kill().unwrap();
            engine.0.wait().unwrap();
            done.coming_up += 1;
            continue;
        }
        let mut engine = stage.engine_at(&stage.venue_file(), &restless(stage));
        if round > 0 {
            recover(stage);
        }
        stage.wait_until_trading();
        clock::sleep(Duration::from_millis(rng.random_range(0..1_200)));
        done.with_orders += u64::from(!stage.open().is_empty());
        engine.0.kill().unwrap();
        engine.0.wait().unwrap();
        done.trading += 1;
    }
    let _engine = stage.engine_at(&stage.venue_file(), &restless(stage));
    recover(stage);
    let output = stage.interlock(&["kill", "trip", "--wait", "50s"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    // Balanced: each position and each balance is what the fills of all boots make it, to the last unit.
    let output = stage.interlock(&["reconcile", "-o", "json"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let status = stage.status();
    assert_eq!(status.reconcile.unwrap().outcome, Outcome::Balanced);
    assert_eq!(stage.open(), []);
    done.fills = all_are_booked(stage);
    let events = fs::read_to_string(stage.paths.events()).unwrap();
    assert!(!events.contains("RECONCILE_MISMATCH"), "{events}");
    done
}

/// What was killed, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Killed {
    coming_up: u64,
    trading: u64,
    /// Of those, with an order working.
    with_orders: u64,
    fills: u64,
}

/// A list of the venue's, page by page, from its number 0 on.
fn pages(stage: &Stage, path: &str, symbol: &str, (from, id): (&str, &str)) -> Vec<serde_json::Value> {
    let mut all: Vec<serde_json::Value> = Vec::new();
    loop {
        let next = all.last().map_or(0, |last| last[id].as_u64().unwrap() + 1);
        let page = stage.signed(path, &format!("symbol={symbol}&{from}={next}&limit=1000"));
        let page = page.as_array().unwrap();
        all.extend(page.iter().cloned());
        if page.len() < 1_000 {
            return all;
        }
    }
}

/// Nothing forgotten: every fill that the venue lists on an order of ours is in some journal. Nothing doubled: a fill that a
/// killed process may not have written is told again to the next one, which has booked none. How many there are.
fn all_are_booked(stage: &Stage) -> u64 {
    let (trades, orders) = journaled(stage);
    let mut ours = 0;
    for symbol in ["BTCUSDT", "ETHUSDT"] {
        let listed = pages(stage, "/api/v3/allOrders", symbol, ("orderId", "orderId"));
        let by_order: BTreeMap<u64, String> = listed
            .iter()
            .map(|o| (o["orderId"].as_u64().unwrap(), o["clientOrderId"].as_str().unwrap().to_owned()))
            .collect();
        let ids: BTreeSet<&String> = by_order.values().collect();
        assert_eq!(ids.len(), by_order.len(), "a client id is used once");
        for fill in pages(stage, "/api/v3/myTrades", symbol, ("fromId", "id")) {
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
    ours
}

/// `INTERLOCK_KILLS` kills, in `INTERLOCK_KILL_LANES` lanes at once: each has a venue, a data directory and a seed of its own.
#[test]
fn k5_killed_at_any_moment_nothing_is_forgotten_and_nothing_doubled() {
    let kills = from_environment("INTERLOCK_KILLS", 8);
    let lanes = from_environment("INTERLOCK_KILL_LANES", 1).clamp(1, 16);
    let seed = from_environment("INTERLOCK_SEED", 0x5eed);
    println!(
        "seed {seed}, {kills} kills in {lanes} lanes (INTERLOCK_SEED, INTERLOCK_KILLS and INTERLOCK_KILL_LANES change them)"
    );
    let _alone = alone();
    let all: Vec<Killed> = std::thread::scope(|scope| {
        let lane =
            |at| move || killed(&Stage::beside(), kills / lanes + u64::from(at < kills % lanes), seed + at);
        let running: Vec<_> = (0..lanes).map(|at| scope.spawn(lane(at))).collect();
        running.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    for (lane, done) in all.iter().enumerate() {
        println!("lane {lane}: {done:?}");
    }
    let sum = |of: fn(&Killed) -> u64| all.iter().map(of).sum::<u64>();
    let (coming_up, trading, fills) = (sum(|k| k.coming_up), sum(|k| k.trading), sum(|k| k.fills));
    assert_eq!(coming_up + trading, kills);
    println!(
        "{kills} kills: {coming_up} coming up, {trading} trading ({} with an order working); {fills} fills of ours, all booked",
        sum(|k| k.with_orders)
    );
    assert!(fills > 0, "the engine traded");
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
