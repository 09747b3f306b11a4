//! Codecs side by side: our scanner, `simd-json` and `sonic-rs` over the same messages, read to the same values.

use std::hint::black_box;

use criterion::Criterion;
use interlock::event::Quote;
use interlock::types::{InstrumentId, Level, Price, Qty};
use interlock::venue::binance::market::{DepthStream, MarketConfig, MarketSession};
use interlock::wire::json::{JsonReader, PADDING, Padded, Value};

use super::messages::{self, Random};
use super::{NOW, SEED, SET, over, price, qty};

/// A message in a buffer of its own with its padding.
pub(super) struct Message {
    buf: Vec<u8>,
    len: usize,
}

impl Message {
    pub(super) fn new(text: &str) -> Self {
        let mut buf = text.as_bytes().to_vec();
        buf.resize(text.len() + PADDING, b' ');
        Self { buf, len: text.len() }
    }
    pub(super) fn padded(&mut self) -> Padded<'_> {
        Padded::new(&mut self.buf, self.len).expect("padding was added")
    }
    fn text(&self) -> &[u8] {
        &self.buf[..self.len]
    }
}

#[derive(serde::Deserialize)]
struct Combined<'a, T> {
    stream: &'a str,
    data: T,
}

#[derive(serde::Deserialize)]
struct TickerData<'a> {
    u: u64,
    s: &'a str,
    b: &'a str,
    #[serde(rename = "B")]
    bid_qty: &'a str,
    a: &'a str,
    #[serde(rename = "A")]
    ask_qty: &'a str,
}

#[derive(serde::Deserialize)]
struct TradeData<'a> {
    s: &'a str,
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time: u64,
    m: bool,
}

#[derive(serde::Deserialize)]
struct DepthData<'a> {
    s: &'a str,
    #[serde(rename = "U")]
    first_id: u64,
    u: u64,
    #[serde(borrow)]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    a: Vec<(&'a str, &'a str)>,
}

fn trade(random: &mut Random, id: u64) -> String {
    let price = messages::MIDDLE_CENTS + random.below(20_000);
    format!(
        "{{\"stream\":\"btcusdt@trade\",\"data\":{{\"e\":\"trade\",\"E\":1723161253000123,\"s\":\"BTCUSDT\",\"t\":{id},\
         \"p\":\"{}.{:02}000000\",\"q\":\"{}\",\"T\":1723161253000100,\"m\":{},\"M\":true}}}}",
        price / 100,
        price % 100,
        messages::quantity(random),
        random.below(2) == 0,
    )
}

/// Each codec reads the same bytes to the same values: prices and quantities as integers, ids, the instrument.
pub(super) fn codecs(criterion: &mut Criterion) {
    let mut random = Random(SEED);
    let id = |i: usize| 40_000_000_000 + i as u64;
    let tickers: Vec<String> = (0..SET).map(|i| messages::book_ticker(&mut random, id(i))).collect();
    let trades: Vec<String> = (0..SET).map(|i| trade(&mut random, id(i))).collect();
    let depths: Vec<String> =
        (0..SET / 8).map(|i| messages::depth(&mut random, id(i), id(i) + 40, 20)).collect();
    ours(criterion, "codec, bookTicker", &tickers);
    ours(criterion, "codec, trade", &trades);
    ours(criterion, "codec, depth 20+20", &depths);
    tapes(criterion, [&tickers, &trades, &depths]);
    typed(criterion, [&tickers, &trades, &depths]);
}

/// The session as it runs: scan, and the fact's body out.
fn ours(criterion: &mut Criterion, name: &str, texts: &[String]) {
    let mut set: Vec<Message> = texts.iter().map(|text| Message::new(text)).collect();
    // Without a book: an update is then read in full and left aside.
    let config = MarketConfig { depth: DepthStream::Off, ..MarketConfig::default() };
    let mut session = MarketSession::new(&messages::table(), config);
    let mut group = criterion.benchmark_group(name);
    over(&mut group, "our scanner, bytes to fact", &mut set, |message| {
        let told = session.handle_text(message.padded(), NOW, &mut |body| {
            black_box(&body);
            true
        });
        assert!(told.is_ok(), "a message that the venue would send");
    });
    assert_eq!(session.counters().parsed, 0, "the scanner knows every one of these shapes");
    group.finish();
}

/// `simd-json` to a reused tape, as the engine uses it for all other shapes. It writes into its input, so each message is
/// copied first, for `sonic-rs` as well.
fn tapes(criterion: &mut Criterion, sets: [&[String]; 3]) {
    let mut reader = JsonReader::new(64 << 10);
    let mut buf = vec![b' '; 64 << 10];
    let mut levels: Vec<Level> = Vec::with_capacity(64);
    let names = ["codec, bookTicker", "codec, trade", "codec, depth 20+20"];
    for (kind, (name, texts)) in names.into_iter().zip(sets).enumerate() {
        let mut set: Vec<Message> = texts.iter().map(|text| Message::new(text)).collect();
        let mut group = criterion.benchmark_group(name);
        over(&mut group, "simd-json, tape", &mut set, |message| {
            buf[..message.len].copy_from_slice(message.text());
            let padded = Padded::new(&mut buf[..message.len + PADDING], message.len).expect("padding");
            let read = reader.read(padded, |root| {
                let data = root.get("data").expect("data");
                match kind {
                    0 => black_box(tape_ticker(data)),
                    1 => black_box(tape_trade(data)),
                    _ => black_box(tape_depth(data, &mut levels)),
                }
            });
            assert!(read.is_ok_and(|sum| sum != 0), "every message is JSON");
        });
        group.finish();
    }
}

fn units(value: Value<'_>, key: &str, decimals: u32) -> i64 {
    value.get(key).and_then(|v| v.as_decimal(decimals)).expect("a decimal").expect("in range")
}

fn number_of(value: Value<'_>, key: &str) -> u64 {
    value.get(key).and_then(Value::as_u64).expect("a number")
}

fn is_btc(value: Value<'_>) -> bool {
    value.get("s").and_then(Value::as_str) == Some("BTCUSDT")
}

fn tape_ticker(data: Value<'_>) -> u64 {
    assert!(is_btc(data), "the one instrument");
    let quote = Quote {
        instrument: InstrumentId(0),
        conflated: false,
        update_id: number_of(data, "u"),
        bid: Level::new(
            Price::from_units(units(data, "b", Price::DECIMALS)),
            Qty::from_units(units(data, "B", Qty::DECIMALS)),
        ),
        ask: Level::new(
            Price::from_units(units(data, "a", Price::DECIMALS)),
            Qty::from_units(units(data, "A", Qty::DECIMALS)),
        ),
    };
    black_box(quote).update_id
}

fn tape_trade(data: Value<'_>) -> u64 {
    assert!(is_btc(data), "the one instrument");
    let read = (
        units(data, "p", Price::DECIMALS),
        units(data, "q", Qty::DECIMALS),
        number_of(data, "T"),
        data.get("m").and_then(Value::as_bool),
    );
    black_box(read);
    number_of(data, "t")
}

fn tape_depth(data: Value<'_>, levels: &mut Vec<Level>) -> u64 {
    assert!(is_btc(data), "the one instrument");
    levels.clear();
    for side in ["b", "a"] {
        for pair in data.get(side).expect("a side").items() {
            let mut pair = pair.items();
            let mut next = |decimals| {
                pair.next().and_then(|v| v.as_decimal(decimals)).expect("a decimal").expect("in range")
            };
            let price = Price::from_units(next(Price::DECIMALS));
            levels.push(Level::new(price, Qty::from_units(next(Qty::DECIMALS))));
        }
    }
    black_box(&levels);
    number_of(data, "u") + number_of(data, "U")
}

/// `sonic-rs` into borrowed structs.
fn typed(criterion: &mut Criterion, [tickers, trades, depths]: [&[String]; 3]) {
    let mut buf = vec![b' '; 64 << 10];
    let messages = |texts: &[String]| texts.iter().map(|text| Message::new(text)).collect::<Vec<_>>();
    let mut group = criterion.benchmark_group("codec, bookTicker");
    over(&mut group, "sonic-rs, typed", &mut messages(tickers), |message| {
        buf[..message.len].copy_from_slice(message.text());
        let read: Combined<'_, TickerData<'_>> =
            sonic_rs::from_slice(&buf[..message.len]).expect("a bookTicker");
        let data = read.data;
        assert!(data.s == "BTCUSDT" && !read.stream.is_empty(), "the one instrument");
        let bid = Level::new(price(data.b), qty(data.bid_qty));
        let ask = Level::new(price(data.a), qty(data.ask_qty));
        black_box(Quote { instrument: InstrumentId(0), conflated: false, update_id: data.u, bid, ask });
    });
    group.finish();
    let mut group = criterion.benchmark_group("codec, trade");
    over(&mut group, "sonic-rs, typed", &mut messages(trades), |message| {
        buf[..message.len].copy_from_slice(message.text());
        let read: Combined<'_, TradeData<'_>> = sonic_rs::from_slice(&buf[..message.len]).expect("a trade");
        let data = read.data;
        assert!(data.s == "BTCUSDT" && !read.stream.is_empty(), "the one instrument");
        black_box((data.t, price(data.p), qty(data.q), data.time, data.m));
    });
    group.finish();
    let mut levels: Vec<Level> = Vec::with_capacity(64);
    let mut group = criterion.benchmark_group("codec, depth 20+20");
    over(&mut group, "sonic-rs, typed", &mut messages(depths), |message| {
        buf[..message.len].copy_from_slice(message.text());
        let read: Combined<'_, DepthData<'_>> = sonic_rs::from_slice(&buf[..message.len]).expect("a depth");
        let data = read.data;
        assert!(data.s == "BTCUSDT" && !read.stream.is_empty(), "the one instrument");
        levels.clear();
        levels.extend(data.b.iter().chain(&data.a).map(|(p, q)| Level::new(price(p), qty(q))));
        black_box((&levels, data.first_id, data.u));
    });
    group.finish();
}
