//! Does the embedded venue play a recording as it was? Every line, in order, the snapshot by REST, orders against the book.

use std::path::Path;

use flate2::read::MultiGzDecoder;
use interlock::sim::faults::{Fault, FaultKind, FaultPlan};
use interlock::sim::recording::{RecordingClock, RecordingConfig, Speed};
use serde_json::json;
use std::io::{BufRead, BufReader};

use super::support::recordings;
use super::venue_support::{Bench, bench};

const STREAMS: &str = "/stream?streams=btcusdt@depth@100ms/btcusdt@bookTicker/btcusdt@trade";

fn lines(path: &Path) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap();
    BufReader::new(MultiGzDecoder::new(file)).lines().map(Result::unwrap).collect()
}

fn play(path: &Path, speed: Speed, clock: RecordingClock) -> Bench {
    let klines = recordings("klines/BTC_USDT-5m.csv.gz").map(|p| ("BTCUSDT".to_owned(), p));
    let recording =
        RecordingConfig { files: vec![path.to_owned()], klines: klines.into_iter().collect(), speed, clock };
    bench(|config| config.recording = Some(recording))
}

#[test]
fn every_line_in_order_at_full_speed_and_the_snapshot_by_rest() {
    let Some(path) = recordings("binance_spot_recording/spot_btcusdt_20240808.gz") else { return };
    let bench = play(&path, Speed::Full, RecordingClock::Recorded);
    let recorded = lines(&path);
    let snapshot: serde_json::Value = recorded
        .iter()
        .find_map(|l| l.split_once(' ').filter(|(_, json)| json.starts_with("{\"lastUpdateId\"")))
        .map(|(_, json)| serde_json::from_str(json).unwrap())
        .unwrap();
    let served = bench.get("/api/v3/depth?symbol=BTCUSDT&limit=1000").body;
    assert_eq!(served, snapshot, "before anybody listens the book is the recording's depth answer");
    let klines = bench.get("/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=2").body;
    // The recording begins at 23:54:13: the last candle that had closed opened at 23:45.
    assert_eq!(klines[0][0], 1_723_160_700_000i64, "{klines}");
    assert_eq!(bench.get("/api/v3/time").body["serverTime"].as_i64().unwrap() / 1_000, 1_723_161_255);
    let mut stream = bench.ws(STREAMS);
    let expected = recorded.iter().filter_map(|l| l.split_once(' ')).map(|(_, json)| json);
    for (at, line) in expected.filter(|json| json.starts_with("{\"stream\"")).enumerate() {
        assert_eq!(stream.text(), line, "message {at}");
    }
    while !bench.handle.is_recording_done() {
        std::thread::yield_now();
    }
    let stats = bench.handle.stats().unwrap();
    assert_eq!(stats.recording_lines, recorded.len() as u64);
    assert_eq!(stats.recording_error, None);
    let end = bench.get("/api/v3/depth?symbol=BTCUSDT&limit=5").body;
    let last: u64 = recorded
        .iter()
        .rev()
        .find_map(|l| {
            let json: serde_json::Value = serde_json::from_str(l.split_once(' ')?.1).unwrap();
            json["data"]["U"].as_u64().and(json["data"]["u"].as_u64())
        })
        .unwrap();
    assert_eq!(end["lastUpdateId"], last);
    let candle = bench.get("/api/v3/klines?symbol=BTCUSDT&interval=5m&startTime=1723161300000&limit=1").body;
    let ohlc: Vec<&str> = (1..5).map(|i| candle[0][i].as_str().unwrap()).collect();
    // 23:55 of 2024-08-08 in the kline file.
    let expected = kline_of(1_723_161_300_000);
    assert_eq!(ohlc, expected);
}

fn kline_of(open_ms: i64) -> Vec<String> {
    let path = recordings("klines/BTC_USDT-5m.csv.gz").unwrap();
    let line = lines(&path).into_iter().find(|l| l.starts_with(&open_ms.to_string())).unwrap();
    line.split(',')
        .skip(1)
        .take(4)
        .map(|p| interlock::types::Price::parse(p.as_bytes()).unwrap())
        .map(|p| format!("{p:.8}"))
        .collect()
}

#[test]
fn times_move_to_now_and_the_clock_error_stays_visible() {
    let Some(path) = recordings("binance_spot_recording/spot_btcusdt_20240808.gz") else { return };
    let bench = play(&path, Speed::Original, RecordingClock::Shifted);
    let mut stream = bench.ws(&format!("{STREAMS}&timeUnit=MICROSECOND"));
    let now_us = super::venue_support::now_ms() * 1_000;
    let event = stream.until(|v| v["data"]["E"].is_i64());
    let ahead_us = event["data"]["E"].as_i64().unwrap() - now_us;
    // 1.27 s, and what the test itself takes.
    assert!((900_000..6_000_000).contains(&ahead_us), "{ahead_us}");
    let server_ms = bench.get("/api/v3/time").body["serverTime"].as_i64().unwrap();
    assert!(server_ms > super::venue_support::now_ms() + 900);
    assert!(!bench.handle.is_recording_done());
}

#[test]
fn orders_meet_the_recorded_book() {
    let Some(path) = recordings("binance_spot_recording/spot_btcusdt_20240808.gz") else { return };
    let bench = play(&path, Speed::Full, RecordingClock::Shifted);
    let key = bench.hmac_key();
    let mut api = bench.api();
    // Before the first line: best bid 61837.63 x 3.78826, best ask 61837.64 x 1.5 or so.
    let depth = bench.get("/api/v3/depth?symbol=BTCUSDT&limit=3").body;
    let ask = |i: usize| depth["asks"][i][0].as_str().unwrap().to_owned();
    let first: interlock::types::Qty = depth["asks"][0][1].as_str().unwrap().parse().unwrap();
    let more = first.checked_add("0.1".parse().unwrap()).unwrap();
    let market = json!({"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": more.to_string()});
    let filled = api.signed("order.place", market, key);
    assert_eq!(filled["result"]["status"], "FILLED", "{filled}");
    assert_eq!(filled["result"]["fills"][0]["price"], ask(0).as_str());
    assert_eq!(filled["result"]["fills"][1]["price"], ask(1).as_str(), "walks the levels");
    // A post-only bid two dollars below the market: the price falls through it within the file (61837 to 61686).
    let resting = json!({"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT_MAKER", "price": "61835.00",
        "quantity": "0.01", "newOrderRespType": "FULL"});
    let resting = api.signed("order.place", resting, key);
    assert_eq!(resting["result"]["status"], "NEW", "{resting}");
    api.signed("userDataStream.subscribe.signature", json!({}), key);
    let mut stream = bench.ws(STREAMS);
    let mut seen = 0u64;
    while stream.json()["data"]["U"] != 0 {
        seen += 1;
        if seen == 20_000 {
            break;
        }
    }
    let fill = api.until(|v| v["event"]["x"] == "TRADE");
    assert_eq!(fill["event"]["L"], "61835.00000000", "{fill}");
    assert_eq!(fill["event"]["m"], true);
    // The world sees the recording, not our trade.
    let book = bench.get("/api/v3/depth?symbol=BTCUSDT&limit=1").body;
    assert!(book["lastUpdateId"].as_u64().unwrap() > 50_093_239_218);
}

#[test]
fn what_a_fault_takes_from_a_recording_is_missing_and_counted() {
    let Some(path) = recordings("binance_spot_recording/spot_ethusdt_20240808.gz") else { return };
    let bench = play(&path, Speed::Full, RecordingClock::Recorded);
    let drop = Fault { one_in: 50, only: Some("trade".to_owned()), ..Fault::always(FaultKind::Drop) };
    bench.handle.set_faults(FaultPlan { seed: 5, faults: vec![drop] });
    let mut stream = bench.ws("/stream?streams=ethusdt@trade/ethusdt@depth@100ms");
    let recorded = lines(&path);
    let of = |name: &str| recorded.iter().filter(|l| l.contains(name)).count() as u64;
    let (trades, depths) = (of("@trade"), of("@depth"));
    let last = recorded.iter().rfind(|l| l.contains("@depth")).and_then(|l| l.split_once(' ')).unwrap().1;
    let (mut seen_trades, mut seen_depths) = (0, 0);
    loop {
        let text = stream.text();
        seen_trades += u64::from(text.contains("@trade"));
        seen_depths += u64::from(text.contains("@depth"));
        if text == last {
            break;
        }
    }
    assert_eq!(seen_depths, depths);
    while !bench.handle.is_recording_done() {
        std::thread::yield_now();
    }
    // Trades may follow the last depth update: what was queued is what was recorded less what was taken.
    let stats = bench.handle.stats().unwrap();
    let dropped = stats.faults.get("drop").copied().unwrap_or(0);
    assert!(dropped > trades / 100, "{dropped} of {trades}");
    assert!(seen_trades <= trades - dropped);
}
