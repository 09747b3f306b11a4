//! REST bodies: every filter of `exchangeInfo` as a rule, decimal text for every tick and lot, snapshots, bars
//! (R-ORD-5, R-HOT-2, R-FEED-4).

use std::collections::BTreeSet;

use interlock::limits::INSTRUMENTS_MAX;
use interlock::types::{Instrument, InstrumentId, Price, Qty, Side, Symbol};
use interlock::venue::binance::rest::{
    self, ExchangeInfo, parse_account, parse_depth, parse_error, parse_exchange_info, parse_klines,
    parse_open_orders, parse_time,
};
use interlock::wire::number::{RENDER_MAX, render};

use crate::binance_support::{fixture, price, qty};

const INFO: &str = include_str!("../data/binance_exchange_info.json");

fn symbol(name: &str) -> Symbol {
    Symbol::new(name.as_bytes()).unwrap()
}

fn info_of(names: &[&str]) -> ExchangeInfo {
    let wanted: Vec<Symbol> = names.iter().map(|n| symbol(n)).collect();
    parse_exchange_info(INFO.as_bytes(), &wanted).unwrap()
}

/// Every symbol of the file, a table's worth at a time.
fn every_instrument() -> Vec<Instrument> {
    let file: serde_json::Value = serde_json::from_str(INFO).unwrap();
    let names: Vec<&str> =
        file["symbols"].as_array().unwrap().iter().map(|s| s["symbol"].as_str().unwrap()).collect();
    assert!(names.len() > 50);
    names.chunks(INSTRUMENTS_MAX).flat_map(|chunk| info_of(chunk).table.all().to_vec()).collect()
}

#[test]
fn r_hot_2_decimal_text_goes_in_and_out_for_every_tick_and_lot() {
    let (mut ticks, mut steps) = (BTreeSet::new(), BTreeSet::new());
    for instrument in every_instrument() {
        let (tick, step) = (instrument.price.tick.units(), instrument.lot.step.units());
        ticks.insert(tick);
        steps.insert(step);
        let mut multiple: i64 = 1;
        // A walk over the whole range with irregular steps, and both ends.
        while let (Some(price), Some(qty)) = (tick.checked_mul(multiple), step.checked_mul(multiple)) {
            check_text(price, Price::DECIMALS, instrument.price_decimals, tick);
            check_text(qty, Qty::DECIMALS, instrument.qty_decimals, step);
            assert_eq!(Price::from_units(price).floor_to(instrument.price.tick).units(), price);
            multiple = multiple * 7 / 3 + 1;
        }
        let max = instrument.price.max.floor_to(instrument.price.tick).units();
        check_text(max, Price::DECIMALS, instrument.price_decimals, tick);
        let max = instrument.lot.max.floor_to(instrument.lot.step).units();
        check_text(max, Qty::DECIMALS, instrument.qty_decimals, step);
    }
    assert!(ticks.len() >= 10 && steps.len() >= 8, "{} ticks, {} lots", ticks.len(), steps.len());
}

fn check_text(units: i64, decimals: u32, shown: u8, grid: i64) {
    let mut out = [0; RENDER_MAX];
    let len =
        render(&mut out, units, decimals, u32::from(shown)).expect("a value on the grid can be written");
    let text = std::str::from_utf8(&out[..len]).unwrap();
    let fraction = text.split_once('.').map_or(0, |(_, f)| f.len());
    assert_eq!(fraction, usize::from(shown), "{text}");
    assert_eq!(interlock::wire::number::parse(text.as_bytes(), decimals), Ok(units));
    // Half a grid step off can't be written as if it were on it, unless the grid is coarser than its decimals show.
    if grid == 10i64.pow(decimals - u32::from(shown)) && grid > 1 {
        assert_eq!(render(&mut out, units + grid / 2, decimals, u32::from(shown)), None);
    }
}

#[test]
fn r_ord_5_every_filter_becomes_a_rule() {
    let info = info_of(&["BTCUSDT", "BNBBTC", "XRPETH", "WINUSDT"]);
    assert!(info.missing.is_empty());
    assert_eq!(info.server_ns, 1_789_000_000_123_000_000);
    let limits: Vec<_> =
        info.limits.iter().map(|l| (l.kind.as_str(), l.interval_ns / 1_000_000_000, l.limit)).collect();
    assert_eq!(
        limits,
        [
            ("REQUEST_WEIGHT", 60, 6_000),
            ("ORDERS", 10, 100),
            ("ORDERS", 86_400, 200_000),
            ("RAW_REQUESTS", 300, 300_000)
        ]
    );
    let [btc, bnb, xrp, win] = info.table.all() else { panic!() };
    assert_eq!((btc.id, bnb.id), (InstrumentId(0), InstrumentId(1)), "in the order in which they are wanted");
    assert_eq!(info.table.assets()[btc.quote.index()].as_str(), "USDT");
    assert!(btc.trading && btc.cancel_allowed);
    assert_eq!((btc.price.min, btc.price.tick), (price("0.01"), price("0.01")));
    assert_eq!((btc.lot.min, btc.lot.max, btc.lot.step), (qty("0.00001"), qty("9000"), qty("0.00001")));
    assert_eq!((btc.market_lot.max, btc.market_lot.step), (qty("131.18219991"), Qty::ZERO));
    assert_eq!(btc.notional.min.to_string(), "5");
    assert!(btc.notional.min_for_market && !btc.notional.max_for_market);
    assert_eq!((btc.band.bid_up, btc.band.ask_down), (qty("5"), qty("0.2")));
    assert_eq!((btc.orders_max, btc.iceberg_parts_max), (200, 100));
    assert_eq!((btc.price_decimals, btc.qty_decimals), (2, 5));
    assert_eq!(bnb.position_max, qty("10"));
    assert_eq!(
        (xrp.band.bid_up, xrp.band.ask_down),
        (qty("1.3"), qty("0.7")),
        "PERCENT_PRICE binds both sides"
    );
    assert_eq!(xrp.notional.min.to_string(), "0.001");
    assert!(!xrp.notional.min_for_market && xrp.notional.max.is_zero());
    assert_eq!((xrp.price_decimals, xrp.qty_decimals), (8, 0));
    assert_eq!(win.price_decimals, 7);
    assert_eq!(info.unknown_filters, ["WINUSDT: T_PLUS_SELL"], "tolerated and listed");
}

#[test]
fn r_ord_5_a_symbols_status_is_kept_and_a_missing_symbol_named() {
    let info = info_of(&["LUNCUSDT", "BTCPLN", "BTCUAH", "BTCARS", "NOSUCH"]);
    assert_eq!(info.missing, [symbol("NOSUCH")]);
    let standing: Vec<_> = info.table.all().iter().map(|i| (i.trading, i.cancel_allowed)).collect();
    assert_eq!(standing, [(false, false), (false, true), (false, true), (false, true)]);
    // Nothing wanted by name: the venue's first ones.
    assert_eq!(parse_exchange_info(INFO.as_bytes(), &[]).unwrap().table.all().len(), INSTRUMENTS_MAX);
}

#[test]
fn the_stricter_of_two_rules_holds() {
    let body = r#"{"serverTime":1789000000123,"rateLimits":[],"exchangeFilters":[{"filterType":"EXCHANGE_MAX_NUM_ORDERS","maxNumOrders":50},{"filterType":"EXCHANGE_MAX_NUM_ALGO_ORDERS","maxNumAlgoOrders":5}],"symbols":[{"symbol":"AB","status":"TRADING","baseAsset":"A","quoteAsset":"B","filters":[
        {"filterType":"MIN_NOTIONAL","minNotional":"7","applyToMarket":true},
        {"filterType":"NOTIONAL","minNotional":"5","applyMinToMarket":false,
         "maxNotional":"99999999999999999999","applyMaxToMarket":true},
        {"filterType":"LOT_SIZE","minQty":"1","maxQty":"99999999999999.0","stepSize":"0"},
        {"filterType":"MAX_NUM_ORDERS","limit":200}]}]}"#;
    let info = parse_exchange_info(body.as_bytes(), &[]).unwrap();
    let [instrument] = info.table.all() else { panic!() };
    assert_eq!(instrument.notional.min.to_string(), "7");
    assert!(instrument.notional.min_for_market && instrument.notional.max_for_market);
    assert_eq!(instrument.notional.max.units(), i64::MAX, "a maximum beyond our range is our range's end");
    assert_eq!(instrument.lot.max, Qty::MAX);
    assert_eq!(instrument.orders_max, 50);
    assert_eq!((instrument.price_decimals, instrument.qty_decimals), (8, 8), "without a grid");
}

#[test]
fn unreadable_exchange_info_is_an_error_that_names_the_value() {
    let with = |from: &str, to: &str| {
        let changed = INFO.replacen(from, to, 1);
        assert_ne!(changed, INFO);
        parse_exchange_info(changed.as_bytes(), &[symbol("BTCUSDT")]).unwrap_err().to_string()
    };
    for (from, to, words) in [
        ("\"minPrice\":\"0.01000000\"", "\"minPrice\":\"0.0100000001\"", ["minPrice", "0.0100000001"]),
        ("\"tickSize\":\"0.01000000\"", "\"tickSize\":\"-1\"", ["tickSize", "-1"]),
        ("\"maxQty\":\"9000.00000000\"", "\"maxQty\":\"9e3\"", ["maxQty", "9e3"]),
        ("\"minNotional\":\"5.00000000\"", "\"minNotional\":null", ["minNotional", "decimals"]),
        ("\"maxNumOrders\":200", "\"maxNumOrders\":-200", ["maxNumOrders", "not negative"]),
        ("\"applyMinToMarket\":true", "\"applyMinToMarket\":\"yes\"", ["applyMinToMarket", "yes"]),
        ("\"filterType\":\"PRICE_FILTER\"", "\"filter\":\"PRICE_FILTER\"", ["filterType", "(nothing)"]),
        ("\"baseAsset\":\"BTC\"", "\"baseAsset\":\"\"", ["baseAsset", "ASCII"]),
        ("\"serverTime\":1789000000123", "\"serverTime\":\"x\"", ["serverTime", "time"]),
        ("\"symbols\":[", "\"symbols\":{\"a\":[", ["JSON", "exchangeInfo"]),
    ] {
        let error = with(from, to);
        assert!(words.iter().all(|w| error.contains(w)), "{to}: {error}");
    }
}

#[test]
fn the_exchange_info_fixture_is_read() {
    let Some(body) = fixture("Endpoints/Spot/ExchangeData/GetExchangeInfo.txt") else { return };
    let info = parse_exchange_info(body.as_bytes(), &[symbol("ETHBTC")]).unwrap();
    assert_eq!(info.table.all().len(), 1);
    assert!(info.limits.is_empty(), "an empty limit says nothing");
}

#[test]
fn paths_are_what_the_venue_expects() {
    assert_eq!(rest::exchange_info_path(&[]), "/api/v3/exchangeInfo");
    assert_eq!(
        rest::exchange_info_path(&[symbol("BTCUSDT"), symbol("ETHUSDT")]),
        "/api/v3/exchangeInfo?symbols=%5B%22BTCUSDT%22%2C%22ETHUSDT%22%5D"
    );
    assert_eq!(rest::depth_path(symbol("BTCUSDT"), 5_000), "/api/v3/depth?symbol=BTCUSDT&limit=5000");
    let minute = 60_000_000_000;
    assert_eq!(
        rest::klines_path(symbol("BTCUSDT"), 5 * minute, 500, Some(17)).unwrap(),
        "/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=500&endTime=17"
    );
    assert_eq!(rest::klines_path(symbol("BTCUSDT"), 7 * minute, 500, None), None);
    assert_eq!(rest::time_path(), "/api/v3/time");
}

#[test]
fn snapshots_become_framed_pieces() {
    let body = br#"{"lastUpdateId":160,"bids":[["0.0024","10"],["0.0023","1"],["0.0022","2"]],"asks":[["0.0026","100"],["0.0027","3"]]}"#;
    let pieces = parse_depth(InstrumentId(3), body).unwrap();
    let frames: Vec<_> = pieces.iter().map(|p| (p.count, p.asks, p.first, p.last, p.update_id)).collect();
    assert_eq!(frames, [(4, 0b1000, true, false, 160), (1, 1, false, true, 160)]);
    assert!(pieces.iter().all(|p| p.snapshot && p.instrument == InstrumentId(3)));
    let sides: Vec<Side> =
        pieces.iter().flat_map(|p| p.changes().map(|(side, _)| side).collect::<Vec<_>>()).collect();
    assert_eq!(sides, [Side::Buy, Side::Buy, Side::Buy, Side::Sell, Side::Sell]);
    let empty = parse_depth(InstrumentId(0), br#"{"lastUpdateId":1,"bids":[],"asks":[]}"#).unwrap();
    assert_eq!((empty.len(), empty[0].first, empty[0].last, empty[0].count), (1, true, true, 0));
    for body in
        ["", "{}", r#"{"lastUpdateId":1,"bids":[]}"#, r#"{"lastUpdateId":1,"bids":[["x","1"]],"asks":[]}"#]
    {
        assert!(parse_depth(InstrumentId(0), body.as_bytes()).is_err(), "{body}");
    }
}

#[test]
fn r_feed_4_bars_are_read_and_the_open_one_left_out() {
    let minute = 60_000_000_000;
    let body = br#"[[1499040000000,"0.01634790","0.80000000","0.01575800","0.01577100","148976.11427815",1499040059999,"2434.19055334",308,"1756.87402397","28.46694368","0"],
        [1499040060000,"1","3","0.5","2","4",1499040119999,"5",6,"7","8","0"]]"#;
    let open_ns = 1_499_040_000_000_000_000;
    let bars = parse_klines(InstrumentId(2), minute, open_ns + minute + 5, body).unwrap();
    assert_eq!(bars.len(), 1);
    let bar = bars[0];
    assert_eq!(
        (bar.instrument, bar.open_ns, bar.interval_ns, bar.trades),
        (InstrumentId(2), open_ns, minute, 308)
    );
    assert_eq!((bar.open, bar.high), (price("0.0163479"), price("0.8")));
    assert_eq!(
        (bar.low, bar.close, bar.volume),
        (price("0.015758"), price("0.015771"), qty("148976.11427815"))
    );
    assert_eq!(parse_klines(InstrumentId(2), minute, open_ns + 2 * minute, body).unwrap().len(), 2);
    // The same in microseconds.
    let micros = String::from_utf8_lossy(body).replace("1499040000000", "1499040000000000");
    assert_eq!(
        parse_klines(InstrumentId(2), minute, i64::MAX, micros.as_bytes()).unwrap()[0].open_ns,
        open_ns
    );
    for body in ["{}", "[[1]]", "[[1499040000000,1.5,\"1\",\"1\",\"1\",\"1\",1,\"1\",1]]", "[7]"] {
        let error = parse_klines(InstrumentId(0), minute, 0, body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains("klines"), "{body}: {error}");
    }
    if let Some(body) = fixture("Endpoints/Spot/ExchangeData/GetKlines.txt") {
        assert_eq!(parse_klines(InstrumentId(0), minute, i64::MAX, body.as_bytes()).unwrap().len(), 1);
    }
}

#[test]
fn what_the_halt_tool_reads() {
    let orders = br#"[{"symbol":"LTCBTC","orderId":1,"clientOrderId":"IL0000070000000001","price":"0.1"},{"symbol":"BTCUSDT","orderId":2,"clientOrderId":"web"}]"#;
    let orders = parse_open_orders(orders).unwrap();
    assert_eq!(orders.len(), 2);
    assert_eq!(
        (orders[1].symbol, orders[1].order_id, orders[1].client.as_str()),
        (symbol("BTCUSDT"), 2, "web")
    );
    assert!(parse_open_orders(b"[]").unwrap().is_empty());
    // Anything but a list of orders is no proof that nothing is open.
    for body in ["{}", "", "null", r#"{"code":-1021,"msg":"x"}"#, r#"[{"symbol":"A"}]"#, "[7]"] {
        assert!(parse_open_orders(body.as_bytes()).is_err(), "{body}");
    }
    let error = parse_error(br#"{"code":-2011,"msg":"Unknown order sent."}"#);
    assert_eq!(error, Some((-2011, "Unknown order sent.".to_owned())));
    assert_eq!(parse_error(b"<html>502</html>"), None);
    assert_eq!(parse_error(b"[]"), None);
    assert_eq!(parse_time(br#"{"serverTime":1499827319559}"#).unwrap(), 1_499_827_319_559_000_000);
    assert!(parse_time(b"{}").is_err());
    if let Some(body) = fixture("Endpoints/Spot/Account/GetAccountInfo.txt") {
        let balances = parse_account(body.as_bytes()).unwrap();
        assert!(!balances.is_empty());
    }
    if let Some(body) = fixture("Endpoints/Spot/ExchangeData/GetServerTime.txt") {
        parse_time(body.as_bytes()).unwrap();
    }
}
