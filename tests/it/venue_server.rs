//! Does the embedded venue speak as the venue does? Real TLS sockets, other people's clients (R-FEED-2).

use interlock::sim::server::{
    ConnectionRules, LimitRules, VENUE_FILE, VenueConfig, VenueError, VenueFile, start,
};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use super::venue_support::{Bench, bench, limit, now_ms, quiet, sign, sign_params};

/// Rests a bid of 1 BTC at 59,000 and an ask of 1 at 61,000.
fn quote(bench: &Bench) {
    let mut api = bench.api();
    for order in [limit("BUY", "59000.00", "1"), limit("SELL", "61000.00", "1")] {
        let reply = api.signed("order.place", order, bench.hmac_key());
        assert_eq!(reply["status"], 200, "{reply}");
    }
}

#[test]
fn public_rest_answers_as_documented() {
    let bench = bench(|_| {});
    assert_eq!(bench.get("/api/v3/ping").body, json!({}));
    let time = bench.get("/api/v3/time").body["serverTime"].as_i64().unwrap();
    assert!((time - now_ms()).abs() < 5_000);
    let info = bench.get("/api/v3/exchangeInfo");
    assert_eq!(info.header("x-mbx-used-weight-1m"), Some("22"), "1 + 1 + 20");
    let symbols = info.body["symbols"].as_array().unwrap();
    assert_eq!(symbols.len(), 2);
    let filters = symbols[0]["filters"].as_array().unwrap();
    let price = filters.iter().find(|f| f["filterType"] == "PRICE_FILTER").unwrap();
    assert_eq!(price["tickSize"], "0.01000000");
    assert_eq!(info.body["rateLimits"][0]["rateLimitType"], "REQUEST_WEIGHT");
    let one = bench.get("/api/v3/exchangeInfo?symbol=ETHUSDT").body;
    assert_eq!(one["symbols"][0]["symbol"], "ETHUSDT");
    let two = bench.get("/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D").body;
    assert_eq!(two["symbols"].as_array().unwrap().len(), 2);
    let none = bench.get("/api/v3/exchangeInfo?permissions=MARGIN").body;
    assert_eq!(none["symbols"], json!([]));
    let depth = bench.get("/api/v3/depth?symbol=BTCUSDT&limit=5").body;
    assert_eq!(depth["bids"].as_array().unwrap().len(), 5);
    assert!(depth["lastUpdateId"].as_u64().unwrap() > 0);
    for path in
        ["trades", "historicalTrades", "aggTrades", "avgPrice", "ticker/24hr", "ticker", "ticker/price"]
    {
        let answer = bench.get(&format!("/api/v3/{path}?symbol=BTCUSDT"));
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    }
    let all = bench.get("/api/v3/ticker/bookTicker").body;
    assert_eq!(all.as_array().unwrap().len(), 2);
    let klines = bench.get("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=3").body;
    assert_eq!(klines[0].as_array().unwrap().len(), 12);
    assert_eq!(klines[1][0].as_i64().unwrap() - klines[0][0].as_i64().unwrap(), 60_000);
    assert_eq!(bench.get("/api/v3/klines?symbol=BTCUSDT&interval=1w").status, 200);
    assert_eq!(bench.get("/sapi/v1/capital/config/getall").body, json!([]));
    assert_eq!(bench.get("/fapi/v1/exchangeInfo").body["symbols"], json!([]));
}

#[test]
fn errors_have_the_documented_codes() {
    let bench = quiet();
    let code = |path: &str| {
        let answer = bench.get(path);
        (answer.status, answer.code())
    };
    assert_eq!(code("/api/v3/depth"), (400, -1102));
    assert_eq!(code("/api/v3/depth?symbol="), (400, -1105));
    assert_eq!(code("/api/v3/depth?symbol=NOPE"), (400, -1121));
    assert_eq!(code("/api/v3/depth?symbol=btcusdt"), (400, -1100));
    assert_eq!(code("/api/v3/klines?symbol=BTCUSDT&interval=7m"), (400, -1120));
    assert_eq!(code("/api/v3/account"), (401, -2014));
    assert_eq!(bench.get("/nothing").status, 404);
    assert_eq!(bench.http("PUT", "/api/v3/order", "", Some("")).status, 405);
    let unknown = "A".repeat(64);
    let answer = bench.http("GET", "/api/v3/account?timestamp=1&signature=00", &unknown, None);
    assert_eq!((answer.status, answer.code()), (401, -2015));
}

#[test]
fn signatures_and_times_are_checked_over_the_bytes_received() {
    let bench = quiet();
    for key in [bench.hmac_key(), bench.ed25519_key()] {
        let answer = bench.signed("GET", "/api/v3/account", "omitZeroBalances=true", key);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.body["balances"].as_array().unwrap().len(), 3);
        // Unsorted, split over query and body, the signature in the body.
        let (query, body) = (
            "type=LIMIT&symbol=BTCUSDT&side=BUY&timeInForce=GTC",
            format!("quantity=1&price=100.00&timestamp={}", now_ms()),
        );
        let (name, signature) = sign(key, &format!("{query}{body}"));
        let signature = signature.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
        let target = format!("/api/v3/order/test?{query}");
        let answer = bench.http("POST", &target, &name, Some(&format!("{body}&signature={signature}")));
        assert_eq!((answer.status, answer.code()), (400, -1013), "PERCENT_PRICE: {}", answer.body);
        let body = body.replace("100.00", "101.00");
        let answer = bench.http("POST", &target, &name, Some(&format!("{body}&signature={signature}")));
        assert_eq!((answer.status, answer.code()), (400, -1022));
    }
    let at = |stamp: i64, window: &str| {
        let payload = format!("timestamp={stamp}{window}");
        let (name, signature) = sign(bench.hmac_key(), &payload);
        bench.http("GET", &format!("/api/v3/account?{payload}&signature={signature}"), &name, None).code()
    };
    assert_eq!(at(now_ms(), ""), 0);
    assert_eq!(at(now_ms() * 1_000, ""), 0, "microseconds are taken too");
    assert_eq!(at(now_ms() - 5_500, ""), -1021);
    assert_eq!(at(now_ms() - 5_500, "&recvWindow=50000.125"), 0);
    assert_eq!(at(now_ms() + 1_500, ""), -1021);
    assert_eq!(at(now_ms(), "&recvWindow=60001"), -1131);
    assert_eq!(at(now_ms(), "&recvWindow=1.0001"), -1100);
    assert_eq!(bench.signed("GET", "/api/v3/account", "", bench.halt_key()).status, 200);
    let order = "symbol=BTCUSDT&side=BUY&type=MARKET&quantity=1";
    assert_eq!(
        bench.signed("POST", "/api/v3/order", order, bench.halt_key()).code(),
        -2015,
        "may only cancel"
    );
}

#[test]
fn orders_live_and_die_over_rest() {
    let bench = quiet();
    quote(&bench);
    let key = bench.hmac_key();
    let buy = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=58000.00&newClientOrderId=mine-1";
    let placed = bench.signed("POST", "/api/v3/order", buy, key);
    assert_eq!(placed.body["status"], "NEW", "{}", placed.body);
    assert_eq!(placed.body["fills"], json!([]));
    assert_eq!(placed.header("x-mbx-order-count-10s"), Some("3"));
    assert_eq!(bench.signed("POST", "/api/v3/order", buy, key).code(), -2010, "duplicate");
    let status = bench.signed("GET", "/api/v3/order", "symbol=BTCUSDT&origClientOrderId=mine-1", key).body;
    assert_eq!((&status["price"], &status["isWorking"]), (&json!("58000.00000000"), &json!(true)));
    let amend = "symbol=BTCUSDT&origClientOrderId=mine-1&newQty=0.4";
    let amended = bench.signed("PUT", "/api/v3/order/amend/keepPriority", amend, key).body;
    assert_eq!(amended["amendedOrder"]["qty"], "0.40000000", "{amended}");
    let id = status["orderId"].as_u64().unwrap();
    let replace = format!(
        "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.3&price=57000.00\
         &cancelReplaceMode=STOP_ON_FAILURE&cancelOrderId={id}"
    );
    let replaced = bench.signed("POST", "/api/v3/order/cancelReplace", &replace, key);
    assert_eq!(replaced.body["newOrderResult"], "SUCCESS", "{}", replaced.body);
    let again = bench.signed("POST", "/api/v3/order/cancelReplace", &replace, key);
    assert_eq!((again.status, again.code()), (400, -2022));
    assert_eq!(again.body["data"]["newOrderResult"], "NOT_ATTEMPTED");
    let allowed = replace.replace("STOP_ON_FAILURE", "ALLOW_FAILURE");
    let partial = bench.signed("POST", "/api/v3/order/cancelReplace", &allowed, key);
    assert_eq!((partial.status, partial.code()), (409, -2021));
    assert_eq!(bench.signed("GET", "/api/v3/openOrders", "", key).body.as_array().unwrap().len(), 4);
    // DELETE with its parameters in the body, as python-binance sends it.
    let payload = format!("symbol=BTCUSDT&timestamp={}", now_ms());
    let (name, signature) = sign(key, &payload);
    let body = format!("{payload}&signature={signature}");
    let cancelled = bench.http("DELETE", "/api/v3/openOrders", &name, Some(&body));
    assert_eq!(cancelled.body.as_array().unwrap().len(), 4, "{}", cancelled.body);
    assert_eq!(bench.signed("DELETE", "/api/v3/openOrders", "symbol=BTCUSDT", key).code(), -2011);
    assert_eq!(bench.signed("GET", "/api/v3/order", "symbol=BTCUSDT&orderId=1", key).code(), -2013);
    let all = bench.signed("GET", "/api/v3/allOrders", "symbol=BTCUSDT", key).body;
    assert_eq!(all.as_array().unwrap().len(), 5);
    let stats = bench.handle.stats().unwrap();
    assert_eq!(stats.open_orders.values().sum::<u64>(), 0);
    assert_eq!((stats.orders_accepted, stats.cancels), (5, 5));
}

#[test]
fn a_session_trades_and_hears_of_it() {
    let bench = quiet();
    let mut api = bench.api();
    assert_eq!(api.request("session.status", json!({}))["result"]["apiKey"], Value::Null);
    let refused = api.signed("session.logon", json!({}), bench.hmac_key());
    assert_eq!((&refused["status"], &refused["error"]["code"]), (&json!(400), &json!(-4056)));
    let logged = api.signed("session.logon", json!({}), bench.ed25519_key());
    assert_eq!(logged["result"]["apiKey"], bench.ed25519_key().api_key(), "{logged}");
    let subscribed = api.request("userDataStream.subscribe", json!({}));
    assert_eq!(subscribed["result"], json!({"subscriptionId": 0}));
    // Logged on: no key, no signature, but a time stamp.
    let mut order = limit("BUY", "59000.00", "1");
    assert_eq!(api.request("order.place", order.clone())["error"]["code"], -1102);
    order["timestamp"] = now_ms().into();
    let placed = api.request("v3/order.place", order);
    assert_eq!(placed["result"]["status"], "NEW", "{placed}");
    assert_eq!(placed["rateLimits"][0]["rateLimitType"], "ORDERS");
    let report = api.json();
    assert_eq!((&report["subscriptionId"], &report["event"]["e"]), (&json!(0), &json!("executionReport")));
    assert_eq!((&report["event"]["x"], &report["event"]["X"]), (&json!("NEW"), &json!("NEW")));
    let position = api.json();
    assert_eq!(position["event"]["e"], "outboundAccountPosition", "{position}");
    let usdt = position["event"]["B"].as_array().unwrap().iter().find(|b| b["a"] == "USDT").unwrap();
    assert_eq!(usdt["l"], "59000.00000000");

    // Another connection, another key of the same account, hears of the same fills by signature.
    let mut other = bench.api();
    let subscribed = other.signed("userDataStream.subscribe.signature", json!({}), bench.hmac_key());
    assert_eq!(subscribed["result"]["subscriptionId"], 0);
    let mut sell = limit("SELL", "59000.00", "0.4");
    sell["selfTradePreventionMode"] = "NONE".into();
    let filled = other.signed("order.place", sell, bench.hmac_key());
    assert_eq!(filled["result"]["status"], "FILLED", "{filled}");
    assert_eq!(filled["result"]["fills"][0]["qty"], "0.40000000");
    assert_eq!(filled["result"]["fills"][0]["commission"], "23.60000000");
    for ws in [&mut api, &mut other] {
        let maker = ws.until(|v| v["event"]["x"] == "TRADE" && v["event"]["m"] == true);
        assert_eq!(maker["event"]["z"], "0.40000000");
        assert_eq!(maker["event"]["N"], "BTC");
    }
    let trades = other.signed("myTrades", json!({"symbol": "BTCUSDT"}), bench.hmac_key());
    assert_eq!(trades["result"].as_array().unwrap().len(), 2);
    assert_eq!(api.request("session.subscriptions", json!({}))["result"], json!([{"subscriptionId": 0}]));
    api.send(&json!({"id": "bye", "method": "userDataStream.unsubscribe"}));
    let ended = api.until(|v| v["event"]["e"] == "eventStreamTerminated");
    assert_eq!(ended["subscriptionId"], 0);
    assert_eq!(api.until(|v| v["id"] == "bye")["result"], json!({}));
    let now = now_ms();
    let cancelled = api.request("openOrders.cancelAll", json!({"symbol": "BTCUSDT", "timestamp": now}));
    assert_eq!(cancelled["result"][0]["status"], "CANCELED");
    assert_eq!(api.request("session.logout", json!({}))["result"]["apiKey"], Value::Null);
    let after = api.request("openOrders.status", json!({"timestamp": now_ms()}));
    assert_eq!(after["status"], 400, "no key and no session: {after}");
}

#[test]
fn websocket_requests_are_answered_with_their_own_id() {
    let bench = quiet();
    let mut api = bench.api();
    for id in [json!(7), json!("9d32157c-a556-4d27-9866-66760a174b57"), Value::Null] {
        api.send(&json!({"id": id, "method": "ping"}));
        let reply = api.json();
        assert_eq!(reply["id"], id);
        assert_eq!((&reply["status"], &reply["result"]), (&json!(200), &json!({})));
        assert_eq!(reply["rateLimits"][0]["rateLimitType"], "REQUEST_WEIGHT");
    }
    api.send(&json!({"id": 1, "method": "time", "params": {"returnRateLimits": false}}));
    assert!(api.json().get("rateLimits").is_none());
    for bad in [
        "nonsense",
        "[]",
        "{\"id\":1.5,\"method\":\"ping\"}",
        "{\"id\":1}",
        "{\"id\":1,\"method\":\"no.such\"}",
    ] {
        api.send_text(bad);
        let reply = api.json();
        assert_eq!(reply["status"], 400, "{bad}: {reply}");
    }
    let unsigned = api.request("order.place", limit("BUY", "59000.00", "1"));
    assert_eq!(unsigned["error"]["code"], -1102);
    let mut tampered = sign_params(limit("BUY", "59000.00", "1"), bench.hmac_key(), now_ms());
    tampered["quantity"] = "2".into();
    assert_eq!(api.request("order.place", tampered)["error"]["code"], -1022);
    let late = sign_params(limit("BUY", "59000.00", "1"), bench.hmac_key(), now_ms() - 6_000);
    assert_eq!(api.request("order.place", late)["error"]["code"], -1021);
    let filtered = api.signed("order.place", limit("BUY", "59000.001", "1"), bench.hmac_key());
    assert_eq!(filtered["error"]["msg"], "Filter failure: PRICE_FILTER");
    let precise = api.signed("order.place", limit("BUY", "59000.0000000001", "1"), bench.hmac_key());
    assert_eq!(precise["error"]["code"], -1111);
    let poor = api.signed("order.place", limit("BUY", "59000.00", "100"), bench.hmac_key());
    assert_eq!(poor["error"]["code"], -2010);
    assert_eq!(bench.handle.stats().unwrap().orders_accepted, 0);
}

#[test]
fn market_streams_tell_of_orders() {
    let bench = quiet();
    let streams =
        "btcusdt@bookTicker/btcusdt@trade/btcusdt@aggTrade/btcusdt@depth@100ms/btcusdt@depth5@100ms";
    let mut stream = bench.ws(&format!("/stream?streams={streams}"));
    let mut micro = bench.ws("/ws/btcusdt@trade?timeUnit=MICROSECOND");
    quote(&bench);
    let best = stream.until(|v| v["stream"] == "btcusdt@bookTicker" && v["data"]["a"] == "61000.00000000");
    assert_eq!(best["data"]["b"], "59000.00000000");
    let first = stream.until(|v| v["stream"] == "btcusdt@depth@100ms")["data"].clone();
    assert_eq!(first["e"], "depthUpdate");
    let partial = stream.until(|v| v["stream"] == "btcusdt@depth5@100ms");
    assert!(partial["data"]["lastUpdateId"].is_u64());
    let mut api = bench.api();
    let mut order = json!({"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.1"});
    order["selfTradePreventionMode"] = "NONE".into();
    assert_eq!(api.signed("order.place", order, bench.hmac_key())["result"]["status"], "FILLED");
    let trade = stream.until(|v| v["stream"] == "btcusdt@trade");
    assert_eq!((&trade["data"]["p"], &trade["data"]["m"]), (&json!("59000.00000000"), &json!(true)));
    let aggregate = stream.until(|v| v["stream"] == "btcusdt@aggTrade");
    assert_eq!(aggregate["data"]["f"], aggregate["data"]["l"]);
    let second = stream.until(|v| v["stream"] == "btcusdt@depth@100ms")["data"].clone();
    assert_eq!(second["U"].as_u64(), first["u"].as_u64().map(|u| u + 1), "no gap");
    let raw = micro.json();
    assert_eq!(raw["e"], "trade");
    assert_eq!(raw["E"].as_i64().unwrap() / 1_000_000, trade["data"]["E"].as_i64().unwrap() / 1_000);
    let depth = bench.get("/api/v3/depth?symbol=BTCUSDT").body;
    assert_eq!(depth["lastUpdateId"], second["u"]);
    assert_eq!(depth["bids"][0], json!(["59000.00000000", "0.90000000"]));
}

#[test]
fn subscriptions_are_managed_on_any_token() {
    let bench = bench(|_| {});
    let mut ws = bench.ws("/ws/0");
    ws.send(&json!({"method": "SUBSCRIBE", "params": ["btcusdt@bookTicker", "ethusdt@kline_1m"], "id": "a"}));
    assert_eq!(ws.until(|v| v["id"] == "a"), json!({"result": null, "id": "a"}));
    ws.send(&json!({"method": "LIST_SUBSCRIPTIONS", "id": 2}));
    assert_eq!(ws.until(|v| v["id"] == 2)["result"], json!(["btcusdt@bookTicker", "ethusdt@kline_1m"]));
    ws.send(&json!({"method": "SET_PROPERTY", "params": ["combined", true], "id": null}));
    ws.until(|v| v.get("id").is_some());
    assert!(ws.until(|v| v.get("stream").is_some())["data"]["u"].is_u64());
    let kline = ws.until(|v| v["stream"] == "ethusdt@kline_1m");
    assert_eq!(kline["data"]["k"]["i"], "1m");
    // Five messages a second are tolerated, a sixth is not.
    interlock::agent::clock::sleep(Duration::from_millis(1_100));
    ws.send(&json!({"method": "GET_PROPERTY", "params": ["combined"], "id": 3}));
    assert_eq!(ws.until(|v| v["id"] == 3)["result"], true);
    ws.send(&json!({"method": "UNSUBSCRIBE", "params": ["btcusdt@bookTicker"], "id": 4}));
    ws.until(|v| v["id"] == 4);
    ws.send(&json!({"method": "NONSENSE", "id": 5}));
    assert_eq!(ws.until(|v| v["id"] == 5)["error"]["code"], 2);
    for id in 6..12 {
        ws.send(&json!({"method": "LIST_SUBSCRIPTIONS", "id": id}));
    }
    let closed = loop {
        match ws.message() {
            Ok(tungstenite::Message::Close(frame)) => break frame.map(|f| u16::from(f.code)),
            Ok(_) => {}
            Err(error) => panic!("{error}"),
        }
    };
    assert_eq!(closed, Some(1008));
}

#[test]
fn the_venue_pings_and_cuts_off_who_does_not_answer() {
    let rules = ConnectionRules {
        ping_every: Duration::from_millis(50),
        pong_within: Duration::from_millis(200),
        ..ConnectionRules::default()
    };
    let bench = bench(|c| (c.connections, c.flow_percent) = (rules, 0));
    let mut ws = bench.ws("/ws");
    // Reading answers pings: several in a row mean that the pongs were taken.
    let mut pings = 0;
    while pings < 5 {
        if let tungstenite::Message::Ping(_) = ws.message().unwrap() {
            pings += 1;
        }
    }
    ws.ping(b"mine");
    loop {
        if let tungstenite::Message::Pong(payload) = ws.message().unwrap() {
            assert_eq!(&payload[..], b"mine");
            break;
        }
    }
    // Silence: the connection ends.
    interlock::agent::clock::sleep(Duration::from_millis(600));
    while ws.message().is_ok() {}
    let rules = ConnectionRules { life_max: Duration::from_millis(150), ..ConnectionRules::default() };
    let short = super::venue_support::bench(|c| (c.connections, c.flow_percent) = (rules, 0));
    let mut ws = short.api();
    while ws.message().is_ok() {}
}

#[test]
fn rate_limits_are_counted_and_enforced() {
    let limits =
        LimitRules { weight_per_min: 60, ignored_before_ban: 1, orders_per_10s: 2, ..LimitRules::default() };
    let bench = bench(|c| (c.limits, c.flow_percent) = (limits, 0));
    let key = bench.hmac_key();
    let order = "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.5&price=58000.00";
    let mut codes: Vec<i64> =
        (0..4).map(|_| bench.signed("POST", "/api/v3/order", order, key).code()).collect();
    codes.dedup();
    assert!(codes == [0, -1015] || codes == [0, -1015, 0], "{codes:?} (a new window may begin)");
    let mut last = bench.get("/api/v3/exchangeInfo");
    for _ in 0..8 {
        last = bench.get("/api/v3/exchangeInfo");
        if last.status == 418 {
            break;
        }
    }
    assert_eq!(last.status, 418, "{}", last.body);
    assert!(last.header("retry-after").unwrap().parse::<u32>().unwrap() > 0);
    assert_eq!(last.code(), -1003);
}

#[test]
fn who_connects_too_often_is_refused() {
    let limits = LimitRules { connects_per_5min: 2, ..LimitRules::default() };
    let bench = bench(|c| (c.limits, c.flow_percent) = (limits, 0));
    // Kept: a connection that ends is counted all the same.
    let _streams = bench.ws("/ws");
    let _api = bench.api();
    let refused = bench.try_ws("/ws").err().unwrap_or_default();
    assert!(refused.contains("429") || bench.try_ws("/ws").is_ok(), "{refused} (a new window may begin)");
}

#[test]
fn the_venue_file_is_private_and_complete() {
    let bench = quiet();
    let path = bench.handle.file_path();
    assert_eq!(path.file_name().unwrap(), VENUE_FILE);
    let mode = std::fs::metadata(path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let file = VenueFile::read(path).unwrap();
    assert_eq!(&file.urls, bench.handle.urls());
    assert_eq!(file.symbols, ["BTCUSDT", "ETHUSDT"]);
    assert!(file.ca.unwrap().is_absolute());
    let dir = tempfile::tempdir().unwrap();
    let mut public = VenueConfig::demo(dir.path().to_owned());
    public.listen = "0.0.0.0:0".parse().unwrap();
    assert!(matches!(start(public), Err(VenueError::NotLoopback(_))));
    let mut taken = VenueConfig::demo(dir.path().to_owned());
    taken.listen = bench.handle.local_addr();
    assert!(matches!(start(taken), Err(VenueError::Listen { .. })));
}

/// ccxt, ccxt.pro and python-binance from PyPI: `cargo test --test it third_party -- --ignored --nocapture`.
#[test]
#[ignore = "needs PyPI and a minute; tools/ccxt_check.sh does the same, and .ci/run runs it"]
fn third_party_clients_work_unchanged() {
    let bench = bench(|c| c.history_mins = 120);
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tools/ccxt_check.sh");
    let status = std::process::Command::new(script).arg(bench.handle.file_path()).status().unwrap();
    assert!(status.success(), "the lines marked FAIL say why");
}

/// For benches: the same venue without TLS.
#[test]
fn plain_sockets_are_spoken_when_asked_for() {
    use std::io::{Read, Write};
    let dir = tempfile::tempdir().unwrap();
    let config = VenueConfig { tls: false, flow_percent: 0, ..VenueConfig::demo(dir.path().to_owned()) };
    let handle = start(config).unwrap();
    assert!(handle.file().ca.is_none() && handle.urls().rest.starts_with("http://"));
    assert!(handle.urls().ws_api.starts_with("ws://") && handle.urls().ws_streams.starts_with("ws://"));
    let connect = || std::net::TcpStream::connect(handle.local_addr()).unwrap();
    let mut http = connect();
    http.write_all(b"GET /api/v3/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("{}"), "{answer}");
    let (mut api, _) = tungstenite::client(handle.urls().ws_api.as_str(), connect()).unwrap();
    api.send(tungstenite::Message::text(r#"{"id":1,"method":"ping"}"#)).unwrap();
    let reply: Value = serde_json::from_str(api.read().unwrap().to_text().unwrap()).unwrap();
    assert_eq!((&reply["id"], &reply["status"]), (&json!(1), &json!(200)));
    handle.stop();
}
