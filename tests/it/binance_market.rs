//! The market session: codecs (the scanner against `simd-json`), book synchronisation step by step, and what bad input gets
//! (R-FEED-1, R-FEED-3).

use interlock::event::{Body, BookStatus, Depth};
use interlock::types::time::NS_PER_S;
use interlock::types::{InstrumentId, Level, Reason, Side};
use interlock::venue::Malformed;
use interlock::venue::binance::market::{DepthStream, MarketConfig, MarketEvent, MarketSession};
use interlock::venue::binance::rest::parse_depth;

use crate::binance_support::{Inbox, at_ms, fixture, price, qty, table};

const BTC: InstrumentId = InstrumentId(0);
const ETH: InstrumentId = InstrumentId(1);

const QUOTE: &str = r#"{"stream":"btcusdt@bookTicker","data":{"u":50093239212,"s":"BTCUSDT","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}"#;
const TRADE: &str = r#"{"stream":"ethusdt@trade","data":{"e":"trade","E":1723161255343,"s":"ETHUSDT","t":3735683259,"p":"2683.11000000","q":"0.02000000","T":1723161255342,"m":true,"M":true}}"#;
const DEPTH: &str = r#"{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate","E":1723161255408,"s":"BTCUSDT","U":11,"u":13,"b":[["61837.63000000","3.78826000"],["61820.99000000","0.00000000"]],"a":[["61837.64000000","1.60520000"]]}}"#;

/// A session and all that it gave out.
struct Desk {
    session: MarketSession,
    inbox: Inbox,
    out: Vec<Body>,
    /// How many more facts the line takes.
    room: usize,
    now_ms: i64,
}

impl Desk {
    fn new(depth: DepthStream) -> Self {
        let config = MarketConfig { depth, ..MarketConfig::default() };
        let mut session = MarketSession::new(&table(&["BTC-USDT", "ETH-USDT"]), config);
        session.handle_open(at_ms(0));
        Self { session, inbox: Inbox::default(), out: Vec::new(), room: usize::MAX, now_ms: 0 }
    }

    fn say(&mut self, text: &str) -> Result<MarketEvent, Malformed> {
        let Self { session, inbox, out, room, now_ms } = self;
        session.handle_text(inbox.put(text.as_bytes()), at_ms(*now_ms), &mut |body| take(out, room, body))
    }

    /// A diff `first..=last` with one bid and one ask.
    fn diff(&mut self, first: u64, last: u64, bid: [&str; 2], ask: [&str; 2]) -> MarketEvent {
        let text = format!(
            r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255408,"s":"BTCUSDT","U":{first},"u":{last},"b":[["{}","{}"]],"a":[["{}","{}"]]}}}}"#,
            bid[0], bid[1], ask[0], ask[1]
        );
        self.say(&text).unwrap()
    }

    fn asks_for_snapshot(&mut self) -> bool {
        self.session.poll_snapshot_request(at_ms(self.now_ms)) == Some(BTC)
    }

    fn snapshot(&mut self, last_id: u64, bid: &str, ask: &str) {
        let body = format!(r#"{{"lastUpdateId":{last_id},"bids":[["{bid}","1"]],"asks":[["{ask}","2"]]}}"#);
        for piece in parse_depth(BTC, body.as_bytes()).unwrap() {
            self.piece(&piece);
        }
    }

    fn piece(&mut self, piece: &Depth) {
        let Self { session, out, room, now_ms, .. } = self;
        session.handle_snapshot_piece(piece, at_ms(*now_ms), &mut |body| take(out, room, body));
    }

    fn poll(&mut self) {
        let Self { session, out, room, now_ms, .. } = self;
        session.poll(at_ms(*now_ms), &mut |body| take(out, room, body));
    }

    fn statuses(&self) -> Vec<(bool, Reason)> {
        self.out
            .iter()
            .filter_map(|body| match body {
                Body::BookStatus(BookStatus { valid, reason, instrument }) if *instrument == BTC => {
                    Some((*valid, *reason))
                }
                _ => None,
            })
            .collect()
    }

    /// Update ids of the whole updates that were given out.
    fn updates(&self) -> Vec<(u64, bool)> {
        self.out
            .iter()
            .filter_map(|body| match body {
                Body::Depth(depth) if depth.last => Some((depth.update_id, depth.snapshot)),
                _ => None,
            })
            .collect()
    }

    /// A book in step at id 20: 100 x 1 bid, 101 x 2 ask.
    fn live() -> Self {
        let mut desk = Self::new(DepthStream::Diff);
        desk.diff(15, 20, ["100", "1"], ["101", "2"]);
        assert!(desk.asks_for_snapshot());
        desk.snapshot(20, "100", "101");
        assert_eq!(desk.statuses(), [(true, Reason::None)]);
        desk.out.clear();
        desk
    }
}

fn take(out: &mut Vec<Body>, room: &mut usize, body: Body) -> bool {
    if *room == 0 {
        return false;
    }
    *room -= 1;
    out.push(body);
    true
}

#[test]
fn the_hot_shapes_become_facts() {
    let mut desk = Desk::new(DepthStream::Off);
    assert_eq!(desk.say(QUOTE).unwrap(), MarketEvent::Data);
    assert_eq!(desk.say(TRADE).unwrap(), MarketEvent::Data);
    let [Body::Quote(quote), Body::Trade(trade)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert_eq!((quote.instrument, quote.update_id, quote.conflated), (BTC, 50_093_239_212, false));
    assert_eq!(quote.bid, Level::new(price("61837.63"), qty("3.78826")));
    assert_eq!(quote.ask, Level::new(price("61837.64"), qty("1.54698")));
    assert_eq!((trade.instrument, trade.trade_id.0), (ETH, 3_735_683_259));
    assert_eq!(trade.aggressor, Side::Sell, "the buyer was the maker");
    assert_eq!(trade.venue_ns, 1_723_161_255_342_000_000);
    assert_eq!(desk.session.counters().scanned, 2);
}

#[test]
fn times_in_microseconds_and_milliseconds_are_told_apart() {
    let mut desk = Desk::new(DepthStream::Off);
    desk.say(&TRADE.replace("1723161255342", "1723161255342817")).unwrap();
    desk.say(&TRADE.replace("1723161255342", "1700000000001")).unwrap();
    // Beyond 2262 in microseconds: no time that our nanoseconds can hold.
    desk.say(&TRADE.replace("1723161255342", "9223372036854775807")).unwrap_err();
    let times: Vec<i64> = desk
        .out
        .iter()
        .filter_map(|b| if let Body::Trade(t) = b { Some(t.venue_ns) } else { None })
        .collect();
    assert_eq!(times, [1_723_161_255_342_817_000, 1_700_000_000_001_000_000]);
}

#[test]
fn the_fixtures_are_read_or_left_aside() {
    let mut desk = Desk::new(DepthStream::Partial(5));
    for (file, expected) in [
        ("BookTicker", MarketEvent::Ignored), // BNBUSDT is not ours
        ("Trades", MarketEvent::Ignored),
        ("PartialBook", MarketEvent::Data),
        ("AggregatedTrades", MarketEvent::Ignored),
        ("Klines", MarketEvent::Ignored),
        ("MiniTicker", MarketEvent::Ignored),
        ("Ticker", MarketEvent::Ignored),
        ("RollingWindowTicker", MarketEvent::Ignored),
    ] {
        let Some(body) = fixture(&format!("Subscriptions/Spot/ExchangeData/{file}.txt")) else { return };
        assert_eq!(desk.say(&body).unwrap(), expected, "{file}");
    }
    assert_eq!(desk.session.counters().symbols_unknown, 2);
    let [Body::Depth(depth), Body::BookStatus(status)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert!(depth.snapshot && depth.first && depth.last && status.valid);
    assert_eq!(depth.update_id, 160);
    let levels: Vec<_> = depth.changes().collect();
    assert_eq!(
        levels,
        [
            (Side::Buy, Level::new(price("0.0024"), qty("10"))),
            (Side::Sell, Level::new(price("0.0026"), qty("100")))
        ]
    );
}

#[test]
fn what_is_not_market_data_is_named() {
    let mut desk = Desk::new(DepthStream::Off);
    for (text, expected) in [
        (r#"{"result":null,"id":1}"#, MarketEvent::Ack),
        (r#"{"id":null,"result":["btcusdt@trade"]}"#, MarketEvent::Ack),
        (r#"{"error":{"code":2,"msg":"Invalid request"},"id":1}"#, MarketEvent::Refused { code: 2 }),
        (r#"{"code":0,"msg":"Unknown property"}"#, MarketEvent::Refused { code: 0 }),
        (r#"{"e":"serverShutdown","E":1723161255343}"#, MarketEvent::ServerShutdown),
        (
            r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1723161255343}}"#,
            MarketEvent::ServerShutdown,
        ),
        (r#"{"event":{"e":"serverShutdown","E":1}}"#, MarketEvent::ServerShutdown),
        (r#"{"stream":"x","data":{"e":"brandNew","E":1}}"#, MarketEvent::Ignored),
        (r#"{"what":"ever"}"#, MarketEvent::Ignored),
    ] {
        assert_eq!(desk.say(text).unwrap(), expected, "{text}");
    }
    assert!(desk.out.is_empty());
    assert_eq!(desk.session.counters().events_unknown, 2);
}

#[test]
fn what_can_not_be_read_is_an_error_with_place_and_value() {
    let mut desk = Desk::new(DepthStream::Diff);
    let cases = [
        (QUOTE.replace("61837.63000000", "61837.6x"), "malformed bookTicker at byte ", "61837.6x"),
        (QUOTE.replace("61837.63000000", "-1"), "expected a price", "-1"),
        (QUOTE.replace("3.78826000", "3.788260001"), "at most 8 decimals", "3.788260001"),
        (QUOTE.replace("61837.63000000", "99999999999"), "\"b\"", "99999999999"),
        (QUOTE.replace("\"u\":50093239212", "\"u\":-1"), "\"u\"", "not negative"),
        (QUOTE.replace("\"A\":\"1.54698000\"", "\"Z\":1"), "\"A\"", "(nothing)"),
        (TRADE.replace("\"m\":true", "\"m\":1"), "\"m\"", "true or false"),
        (TRADE.replace("1723161255342", "-5"), "\"T\"", "a time"),
        (DEPTH.replace("\"1.60520000\"", "\"\""), "[price, quantity]", "malformed depthUpdate"),
        (DEPTH.replace("[[\"61837.64000000\",\"1.60520000\"]]", "7"), "an array", "\"a\""),
        (QUOTE[..60].to_owned(), "expected JSON", "malformed stream message"),
        (String::new(), "expected JSON", ""),
        ("[]".to_owned(), "an object", ""),
        ("{\"stream\":5,\"data\":{}}".to_owned(), "expected text", "stream"),
        ("{\"stream\":\"a\",\"data\":5}".to_owned(), "an object", "data"),
    ];
    for (text, first, second) in cases {
        let error = desk.say(&text).expect_err(&text).to_string();
        assert!(error.contains(first) && error.contains(second), "{text}: {error}");
    }
    assert_eq!(desk.session.counters().malformed, 15);
    let error = desk.say(&QUOTE.replace("61837.63000000", "61837.6x")).unwrap_err();
    assert_eq!(&QUOTE.as_bytes()[error.at..error.at + 7], b"61837.6", "the place is the value's");
    assert!(desk.out.is_empty());
}

#[test]
fn the_path_names_every_stream() {
    let desk = Desk::new(DepthStream::Diff);
    assert_eq!(
        desk.session.path(),
        "/stream?streams=btcusdt@bookTicker/btcusdt@trade/btcusdt@depth@100ms/\
         ethusdt@bookTicker/ethusdt@trade/ethusdt@depth@100ms&timeUnit=MICROSECOND"
    );
    let partial = Desk::new(DepthStream::Partial(20));
    let text = partial.session.subscribe_text(7);
    let value: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(value["method"], "SUBSCRIBE");
    assert_eq!(value["params"][2], "btcusdt@depth20@100ms");
    assert_eq!(value["id"], 7);
}

#[test]
fn a_connection_is_renewed_before_its_24_hours() {
    let desk = Desk::new(DepthStream::Diff);
    let minutes = |m: i64| at_ms(m * 60_000);
    assert!(!desk.session.poll_renewal(minutes(23 * 60 + 49)));
    assert!(desk.session.poll_renewal(minutes(23 * 60 + 50)));
}

#[test]
fn r_hot_8_what_the_line_had_no_room_for_marks_what_follows() {
    let mut desk = Desk::new(DepthStream::Off);
    desk.room = 0;
    desk.say(QUOTE).unwrap();
    desk.room = usize::MAX;
    desk.say(TRADE).unwrap();
    desk.say(QUOTE).unwrap();
    desk.say(QUOTE).unwrap();
    let marks: Vec<bool> = desk
        .out
        .iter()
        .map(|body| match body {
            Body::Quote(q) => q.conflated,
            Body::Trade(t) => t.conflated,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(marks, [false, true, false]);
    assert_eq!(desk.session.counters().conflated, 1);
}

// Book synchronisation, step by step.

#[test]
fn r_feed_3_updates_before_the_snapshot_are_kept_and_applied_from_it_on() {
    let mut desk = Desk::new(DepthStream::Diff);
    assert!(!desk.asks_for_snapshot(), "not before the stream has spoken");
    desk.diff(5, 9, ["99", "9"], ["102", "9"]);
    desk.diff(10, 12, ["98", "4"], ["103", "4"]);
    assert!(desk.asks_for_snapshot());
    assert!(!desk.asks_for_snapshot(), "once");
    desk.diff(13, 15, ["100", "5"], ["101", "0"]);
    assert!(desk.out.is_empty(), "nothing leaves before the snapshot");
    desk.snapshot(11, "100", "101");
    assert_eq!(desk.updates(), [(11, true), (12, false), (15, false)], "5..=9 lies before the snapshot");
    assert_eq!(desk.statuses(), [(true, Reason::None)]);
    let book = desk.session.book(BTC).unwrap();
    assert_eq!(book.best_bid(), Some(Level::new(price("100"), qty("5"))));
    assert_eq!(book.best_ask(), Some(Level::new(price("103"), qty("4"))));
    assert_eq!(book.depth(Side::Buy), 2);
}

#[test]
fn r_feed_3_a_snapshot_older_than_the_first_update_is_fetched_again() {
    let mut desk = Desk::new(DepthStream::Diff);
    desk.diff(15, 20, ["99", "1"], ["102", "1"]);
    assert!(desk.asks_for_snapshot());
    desk.snapshot(14, "100", "101");
    assert!(desk.out.is_empty());
    assert_eq!(desk.session.counters().snapshots_old, 1);
    assert!(!desk.asks_for_snapshot(), "not at once");
    desk.now_ms += 1_000;
    assert!(desk.asks_for_snapshot());
    desk.snapshot(15, "100", "101");
    assert_eq!(desk.updates(), [(15, true), (20, false)]);
}

#[test]
fn r_feed_3_a_quiet_stream_gets_its_snapshot_all_the_same() {
    let mut desk = Desk::new(DepthStream::Diff);
    desk.now_ms = 999;
    assert!(!desk.asks_for_snapshot());
    desk.now_ms = 1_000;
    assert!(desk.asks_for_snapshot());
    desk.snapshot(50, "100", "101");
    assert_eq!(desk.statuses(), [(true, Reason::None)]);
    assert_eq!(desk.diff(48, 50, ["100", "7"], ["101", "7"]), MarketEvent::Ignored, "older than the book");
    assert_eq!(desk.diff(49, 51, ["100", "7"], ["101", "7"]), MarketEvent::Data, "reaches over it");
    assert_eq!(desk.session.counters().depth_stale, 1);
}

#[test]
fn r_feed_3_a_gap_makes_the_book_invalid_until_a_new_snapshot() {
    let mut desk = Desk::live();
    desk.diff(21, 25, ["100", "3"], ["101", "3"]);
    desk.diff(27, 30, ["100", "4"], ["101", "4"]);
    assert_eq!(desk.statuses(), [(false, Reason::SequenceGap)]);
    assert_eq!(desk.updates(), [(25, false)], "what follows a gap does not leave");
    assert!(!desk.session.is_book_valid(BTC));
    assert_eq!(desk.session.counters().gaps, 1);
    desk.diff(31, 31, ["100", "5"], ["101", "5"]);
    desk.now_ms += 1_000;
    assert!(desk.asks_for_snapshot());
    desk.snapshot(28, "100", "101");
    assert_eq!(desk.updates(), [(25, false), (28, true), (30, false), (31, false)]);
    assert_eq!(desk.statuses(), [(false, Reason::SequenceGap), (true, Reason::None)]);
}

#[test]
fn r_feed_3_a_repeated_update_changes_nothing() {
    let mut desk = Desk::live();
    assert_eq!(desk.diff(21, 25, ["100", "3"], ["101", "3"]), MarketEvent::Data);
    assert_eq!(desk.diff(21, 25, ["100", "9"], ["101", "9"]), MarketEvent::Ignored);
    assert_eq!(desk.updates(), [(25, false)]);
}

#[test]
fn r_feed_3_a_crossed_book_is_no_book() {
    let mut desk = Desk::live();
    desk.diff(21, 22, ["101.5", "1"], ["103", "1"]);
    assert_eq!(desk.statuses(), [(false, Reason::CrossedBook)]);
    // A crossed snapshot is none either, and is asked for again after a pause that grows.
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let start = desk.now_ms;
        desk.diff(30, 31, ["90", "1"], ["110", "1"]);
        while !desk.asks_for_snapshot() {
            desk.now_ms += 250;
        }
        pauses.push((desk.now_ms - start) / 1_000);
        desk.snapshot(31, "101", "100");
    }
    assert_eq!(desk.statuses().len(), 1, "said once");
    assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
}

#[test]
fn r_feed_3_a_full_line_makes_the_book_invalid_and_the_word_is_kept() {
    let mut desk = Desk::live();
    desk.room = 0;
    desk.diff(21, 22, ["100", "3"], ["101", "3"]);
    desk.poll();
    assert!(desk.out.is_empty() && !desk.session.is_book_valid(BTC));
    desk.room = 1;
    desk.poll();
    assert_eq!(desk.statuses(), [(false, Reason::LineFull)]);
    desk.poll();
    assert_eq!(desk.statuses().len(), 1);
}

#[test]
fn r_feed_3_a_failed_or_lost_snapshot_is_asked_for_again() {
    let mut desk = Desk::new(DepthStream::Diff);
    desk.diff(15, 20, ["99", "1"], ["102", "1"]);
    assert!(desk.asks_for_snapshot());
    desk.session.handle_snapshot_failed(BTC, at_ms(desk.now_ms));
    desk.now_ms += 1_000;
    assert!(desk.asks_for_snapshot());
    // No word at all: after thirty seconds it counts as failed.
    desk.now_ms += 30_000;
    assert!(!desk.asks_for_snapshot());
    desk.now_ms += 2_000;
    assert!(desk.asks_for_snapshot());
    desk.snapshot(20, "100", "101");
    assert_eq!(desk.statuses(), [(true, Reason::None)]);
}

#[test]
fn r_feed_3_a_lost_connection_invalidates_and_a_late_snapshot_is_not_taken() {
    let mut desk = Desk::live();
    let Desk { session, out, room, .. } = &mut desk;
    session.handle_closed(Reason::Closed, &mut |body| take(out, room, body));
    assert_eq!(desk.statuses(), [(false, Reason::Closed)]);
    desk.snapshot(40, "100", "101");
    assert_eq!(desk.diff(41, 42, ["100", "1"], ["101", "1"]), MarketEvent::Ignored);
    assert!(desk.updates().is_empty());
    desk.session.handle_open(at_ms(5_000));
    desk.now_ms = 5_000;
    desk.diff(50, 51, ["100", "1"], ["101", "1"]);
    assert!(desk.asks_for_snapshot());
    desk.snapshot(51, "100", "101");
    assert_eq!(desk.statuses(), [(false, Reason::Closed), (true, Reason::None)]);
}

#[test]
fn r_feed_3_the_buffer_is_bounded_and_begins_anew_when_it_is_full() {
    let mut desk = Desk::new(DepthStream::Diff);
    for id in 0..600u64 {
        desk.diff(id + 1, id + 1, ["100", "1"], ["101", "1"]);
    }
    assert_eq!(desk.statuses(), [(false, Reason::AwaitingSnapshot)]);
    assert!(desk.asks_for_snapshot());
    desk.snapshot(590, "100", "101");
    assert_eq!(desk.updates().first(), Some(&(590, true)));
    assert_eq!(desk.updates().last(), Some(&(600, false)));
}

#[test]
fn r_feed_3_a_book_can_be_declared_invalid_from_outside() {
    let mut desk = Desk::live();
    let Desk { session, out, room, .. } = &mut desk;
    session.invalidate(BTC, Reason::Silent, at_ms(0), &mut |body| take(out, room, body));
    assert_eq!(desk.statuses(), [(false, Reason::Silent)]);
    desk.now_ms = (NS_PER_S / 1_000_000) * 2;
    assert!(desk.asks_for_snapshot());
}

#[test]
fn updates_of_many_levels_are_cut_into_framed_pieces() {
    let mut desk = Desk::live();
    let levels =
        |from: u32, n: u32| (0..n).map(|i| format!("[\"{}\",\"1\"]", from + i)).collect::<Vec<_>>().join(",");
    let text = format!(
        r#"{{"stream":"btcusdt@depth@100ms","data":{{"e":"depthUpdate","E":1723161255408,"s":"BTCUSDT","U":21,"u":22,"b":[{}],"a":[{}]}}}}"#,
        levels(50, 6),
        levels(200, 5)
    );
    desk.say(&text).unwrap();
    let pieces: Vec<&Depth> =
        desk.out.iter().filter_map(|b| if let Body::Depth(d) = b { Some(d) } else { None }).collect();
    let frames: Vec<_> = pieces.iter().map(|p| (p.count, p.asks, p.first, p.last)).collect();
    assert_eq!(frames, [(4, 0, true, false), (4, 0b1100, false, false), (3, 0b111, false, true)]);
    assert!(pieces.iter().all(|p| p.venue_ns == 1_723_161_255_408_000_000 && !p.snapshot));
    desk.out.clear();
    desk.say(
        &text
            .replace("\"U\":21,\"u\":22", "\"U\":23,\"u\":23")
            .replace(&levels(50, 6), "")
            .replace(&levels(200, 5), ""),
    )
    .unwrap();
    let [Body::Depth(empty)] = desk.out[..] else { panic!("{:?}", desk.out) };
    assert_eq!((empty.count, empty.first, empty.last, empty.update_id), (0, true, true, 23));
}
