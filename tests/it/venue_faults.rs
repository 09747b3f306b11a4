//! Does the embedded venue go wrong when it is told to? Each fault is provoked, seen by a client, and counted.

use interlock::sim::faults::{Fault, FaultKind, FaultPlan, Target};
use serde_json::{Value, json};
use tungstenite::Message;

use super::venue_support::{Bench, bench, limit, quiet};

fn plan(fault: Fault) -> FaultPlan {
    FaultPlan { seed: 11, faults: vec![fault] }
}

fn counted(bench: &Bench, kind: FaultKind) -> u64 {
    bench.handle.stats().unwrap().faults.get(kind.name()).copied().unwrap_or(0)
}

/// A venue whose trades come one by one, as the test asks for them.
struct Tape {
    bench: Bench,
    api: super::venue_support::Ws,
}

impl Tape {
    fn new() -> Self {
        let bench = quiet();
        let mut api = bench.api();
        let mut maker = limit("BUY", "59000.00", "1");
        maker["selfTradePreventionMode"] = "NONE".into();
        assert_eq!(api.signed("order.place", maker, bench.hmac_key())["status"], 200);
        Self { bench, api }
    }

    /// One trade; its number.
    fn trade(&mut self) -> u64 {
        let mut order = json!({"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.001"});
        order["selfTradePreventionMode"] = "NONE".into();
        let reply = self.api.signed("order.place", order, self.bench.hmac_key());
        reply["result"]["fills"][0]["tradeId"].as_u64().unwrap_or_else(|| panic!("{reply}"))
    }
}

fn trade_id(message: &Value) -> u64 {
    message["t"].as_u64().unwrap_or_else(|| panic!("{message}"))
}

#[test]
fn dropped_doubled_and_reordered_messages() {
    let mut tape = Tape::new();
    let mut stream = tape.bench.ws("/ws/btcusdt@trade");
    let first = tape.trade();
    assert_eq!(trade_id(&stream.json()), first);
    tape.bench.handle.set_faults(plan(Fault::always(FaultKind::Drop).times(1)));
    let (lost, seen) = (tape.trade(), tape.trade());
    assert_eq!((trade_id(&stream.json()), lost), (seen, seen - 1));
    tape.bench.handle.set_faults(plan(Fault::always(FaultKind::Duplicate).times(1)));
    let twice = tape.trade();
    assert_eq!((trade_id(&stream.json()), trade_id(&stream.json())), (twice, twice));
    tape.bench.handle.set_faults(plan(Fault::always(FaultKind::Reorder).times(1)));
    let (early, late) = (tape.trade(), tape.trade());
    assert_eq!((trade_id(&stream.json()), trade_id(&stream.json())), (late, early));
    for kind in [FaultKind::Drop, FaultKind::Duplicate, FaultKind::Reorder] {
        assert_eq!(counted(&tape.bench, kind), 1, "{}", kind.name());
    }
}

#[test]
fn broken_messages_and_frames() {
    let mut tape = Tape::new();
    let mut stream = tape.bench.ws("/ws/btcusdt@trade");
    tape.bench.handle.set_faults(plan(Fault::always(FaultKind::Truncate).times(1)));
    tape.trade();
    assert!(serde_json::from_str::<Value>(&stream.text()).is_err());
    tape.bench.handle.set_faults(plan(Fault::always(FaultKind::Garbage).times(1)));
    tape.trade();
    assert!(stream.text().contains('#'));
    tape.bench.handle.set_faults(plan(Fault { delay_ms: 150, ..Fault::always(FaultKind::Delay).times(1) }));
    let (held, behind) = (tape.trade(), tape.trade());
    assert_eq!((trade_id(&stream.json()), trade_id(&stream.json())), (held, behind), "order is kept");
    tape.bench.handle.set_faults(plan(Fault::always(FaultKind::BadFrame).times(1)));
    tape.trade();
    assert!(stream.message().is_err());
    for kind in [FaultKind::Truncate, FaultKind::Garbage, FaultKind::Delay, FaultKind::BadFrame] {
        assert_eq!(counted(&tape.bench, kind), 1, "{}", kind.name());
    }
}

#[test]
fn silence_goodbyes_and_cuts() {
    let bench = bench(|_| {});
    let mut stream = bench.ws("/stream?streams=btcusdt@bookTicker");
    let mut api = bench.api();
    stream.json();
    bench.handle.set_faults(plan(Fault { duration_ms: 60_000, ..Fault::always(FaultKind::Stall) }));
    while counted(&bench, FaultKind::Stall) == 0 {
        std::thread::yield_now();
    }
    // What was under way arrives; then only the pong does.
    stream.ping(b"alive");
    loop {
        match stream.message().unwrap() {
            Message::Pong(payload) => break assert_eq!(&payload[..], b"alive"),
            Message::Text(_) => {}
            other => panic!("{other:?}"),
        }
    }
    let sent = bench.handle.stats().unwrap().market_messages;
    assert_eq!(bench.get("/api/v3/ping").status, 200);
    assert_eq!(bench.handle.stats().unwrap().market_messages, sent, "nothing is sent to who is stalled");
    let mut fresh = bench.ws("/stream?streams=btcusdt@bookTicker");
    fresh.json();
    bench.handle.set_faults(plan(Fault::always(FaultKind::ServerShutdown)));
    assert_eq!(fresh.until(|v| v["stream"] == "!serverShutdown")["data"]["e"], "serverShutdown");
    assert_eq!(api.until(|v| v.get("event").is_some())["event"]["e"], "serverShutdown");
    bench.handle.set_faults(plan(Fault { target: Target::Streams, ..Fault::always(FaultKind::Disconnect) }));
    while fresh.message().is_ok() {}
    assert_eq!(api.request("ping", json!({}))["status"], 200, "only streams were cut");
    bench.handle.disconnect(Target::All);
    while api.message().is_ok() {}
    assert_eq!(counted(&bench, FaultKind::Disconnect), 1);
}

#[test]
fn refusals_and_unknown_outcomes() {
    let bench = quiet();
    let mut api = bench.api();
    let key = bench.hmac_key();
    let named = |id: &str| {
        let mut order = limit("BUY", "59000.00", "0.1");
        order["newClientOrderId"] = id.into();
        order
    };
    let reject = Fault { code: -2010, msg: "drill".to_owned(), ..Fault::always(FaultKind::Reject).times(1) };
    bench.handle.set_faults(plan(reject));
    let refused = api.signed("order.place", named("a"), key);
    assert_eq!((&refused["error"]["code"], &refused["error"]["msg"]), (&json!(-2010), &json!("drill")));
    bench.handle.set_faults(plan(Fault::always(FaultKind::UnknownAfterAccept).times(1)));
    let unknown = api.signed("order.place", named("b"), key);
    assert_eq!((&unknown["status"], &unknown["error"]["code"]), (&json!(503), &json!(-1007)));
    let status = api.signed("order.status", json!({"symbol": "BTCUSDT", "origClientOrderId": "b"}), key);
    assert_eq!(status["result"]["status"], "NEW", "it was accepted all the same");
    bench.handle.set_faults(plan(Fault::always(FaultKind::SilentAfterAccept).times(1)));
    let params = super::venue_support::sign_params(named("c"), key, super::venue_support::now_ms());
    api.send(&json!({"id": "lost", "method": "order.place", "params": params}));
    let open = api.signed("openOrders.status", json!({"symbol": "BTCUSDT"}), key);
    assert_eq!(open["result"].as_array().unwrap().len(), 2, "b and c; the answer to c never came");
    for (kind, status) in [(FaultKind::Rest429, 429), (FaultKind::Rest418, 418), (FaultKind::Rest500, 500)] {
        bench.handle.set_faults(plan(Fault::always(kind).times(1)));
        let answer = bench.get("/api/v3/time");
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("retry-after").is_some(), status != 500);
        assert_eq!(bench.get("/api/v3/time").status, 200);
        assert_eq!(counted(&bench, kind), 1);
    }
    for kind in [FaultKind::Reject, FaultKind::UnknownAfterAccept, FaultKind::SilentAfterAccept] {
        assert_eq!(counted(&bench, kind), 1, "{}", kind.name());
    }
    let stats = bench.handle.stats().unwrap();
    assert_eq!((stats.orders_accepted, stats.orders_rejected), (2, 1));
}

#[test]
fn control_over_http_needs_the_token() {
    let bench = quiet();
    let control = bench.handle.file().control.clone();
    assert!(control.url.ends_with("/control"));
    assert_eq!(bench.get("/control/stats").status, 403);
    let body = r#"{"fault":[{"kind":"rest429","count":1}]}"#;
    assert_eq!(bench.http("POST", "/control/faults", "", Some(body)).status, 403);
    let ok = bench.control("POST", "faults", Some(body));
    assert_eq!(ok.status, 200, "{}", ok.body);
    assert_eq!(bench.get("/api/v3/time").status, 429);
    assert_eq!(bench.control("GET", "stats", None).body["faults"]["rest429"], 1);
    let wrong = bench.control("POST", "faults", Some(r#"{"fault":[{"kind":"nonsense"}]}"#));
    assert_eq!(wrong.status, 400);
    assert!(wrong.body["msg"].as_str().unwrap().contains("nonsense"), "{}", wrong.body);
}
