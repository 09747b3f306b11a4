//! Every reader of outside bytes against a corpus and seeded mutations of it: frames, JSON, numbers, configuration, control
//! lines, journal records. A reader may refuse anything; it must not panic, and what it says must hold together.
//!
//! A failing input that was found elsewhere becomes a file in `tests/corpus/<target>/` and is run from then on.
//! `INTERLOCK_FUZZ_ROUNDS` sets the mutations for each target, `INTERLOCK_SEED` the seed.

use std::hint::black_box;
use std::path::Path;

use interlock::event::{Action, Body, Order, OrderSpec};
use interlock::journal::codec::decode_record;
use interlock::journal::frame::{SEGMENT_HEADER_BYTES, SegmentHeader, decode_unlinked, peek_bytes};
use interlock::ops::protocol::{Request, wants_trip};
use interlock::run::plan;
use interlock::types::decimal::parse_decimal;
use interlock::types::{ClientOrderId, InstrumentId, OrderType, Reason, Side, StrategyId, TimeInForce};
use interlock::venue::binance::account::AccountSession;
use interlock::venue::binance::market::{DepthStream, MarketConfig, MarketSession};
use interlock::venue::binance::orders::{OrderConfig, OrderSession};
use interlock::venue::binance::{Credentials, rest};
use interlock::wire::number;
use interlock::wire::text::TextBuf;
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use secrecy::SecretString;

use crate::binance_support::{Inbox, at_ms, price, qty, table};
use crate::support::seed;
use crate::ws;

#[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
fn rounds(fixed: u32) -> u32 {
    std::env::var("INTERLOCK_FUZZ_ROUNDS").ok().and_then(|s| s.parse().ok()).unwrap_or(fixed)
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 3, "{target}: a corpus of {}", files.len());
    files.iter().map(|file| std::fs::read(file).unwrap()).collect()
}

/// What readers like least.
const PIECES: [&[u8]; 16] = [
    b"null",
    b"-1",
    b"1e400",
    b"{}",
    b"[]",
    b"\\u0000",
    b"\\ud800",
    b"\"",
    b"\\",
    b"99999999999999999999999",
    b"\xff",
    b"\xc3\xa9",
    b"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    b"{\"a\":",
    b"18446744073709551615",
    b"0.0000000000001",
];

/// Changes a text in a few places, with pieces of others of the corpus.
fn mutate(random: &mut SmallRng, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut text = inputs[random.random_range(0..inputs.len())].clone();
    for _ in 0..random.random_range(1..6) {
        let at = random.random_range(0..=text.len());
        let end = (at + random.random_range(1..12)).min(text.len());
        match random.random_range(0..6) {
            0 if at < text.len() => text[at] = random.random(),
            1 => text.insert(at, random.random()),
            2 => text.truncate(at),
            3 => drop(text.drain(at..end)),
            4 => drop(text.splice(at..at, PIECES[random.random_range(0..PIECES.len())].iter().copied())),
            _ => {
                let other = &inputs[random.random_range(0..inputs.len())];
                let from = random.random_range(0..=other.len());
                let to = (from + random.random_range(0..30)).min(other.len());
                drop(text.splice(at..at, other[from..to].iter().copied()));
            }
        }
    }
    text
}

/// Runs a target over its corpus and over mutations of it.
fn run(target: &str, fixed_rounds: u32, mut check: impl FnMut(&[u8])) {
    let inputs = corpus(target);
    for input in &inputs {
        check(input);
    }
    let mut random = SmallRng::seed_from_u64(seed(0x1c0_ffee));
    for _ in 0..rounds(fixed_rounds) {
        check(&mutate(&mut random, &inputs));
    }
}

#[test]
fn numbers() {
    run("number", 20_000, |input| {
        for decimals in [8, 9] {
            let value = number::parse(input, decimals);
            assert_eq!(value, parse_decimal(input, decimals), "{}", input.escape_ascii());
            let Some(units) = value.ok().filter(|units| *units >= 0) else { continue };
            let mut out = [0; number::RENDER_MAX];
            let len = number::render(&mut out, units, decimals, decimals).expect("every value has a text");
            assert_eq!(number::parse(&out[..len], decimals), Ok(units));
        }
    });
}

#[test]
fn frames() {
    run("frame", 3_000, |input| {
        let mut client = ws::open_client();
        let seen = ws::feed(&mut client, input);
        // The same, byte by byte, means the same.
        let mut slow = ws::open_client();
        let mut seen_slowly = Vec::new();
        for byte in input {
            seen_slowly.extend(ws::feed(&mut slow, &[*byte]));
            if matches!(seen_slowly.last(), Some(ws::Seen::Failed(_))) {
                break;
            }
        }
        assert_eq!(seen, seen_slowly, "{}", input.escape_ascii());
        // And before the handshake.
        ws::feed(&mut ws::client(), input);
    });
}

/// Everything that reads a venue's JSON.
struct Sessions {
    diffs: MarketSession,
    partial: MarketSession,
    orders: OrderSession,
    account: AccountSession,
    inbox: Inbox,
    text: TextBuf,
}

impl Sessions {
    fn new() -> Self {
        let table = table(&["BTC-USDT", "ETH-USDT"]);
        let credentials =
            || Credentials::hmac(SecretString::from("a-key"), &SecretString::from("a-secret")).unwrap();
        let config = MarketConfig { depth: DepthStream::Partial(5), ..MarketConfig::default() };
        let mut sessions = Self {
            diffs: MarketSession::new(&table, MarketConfig::default()),
            partial: MarketSession::new(&table, config),
            orders: OrderSession::new(&table, credentials(), OrderConfig::default()),
            account: AccountSession::new(&table, credentials()),
            inbox: Inbox::default(),
            text: TextBuf::new(),
        };
        sessions.diffs.handle_open(at_ms(0));
        sessions.partial.handle_open(at_ms(0));
        sessions.orders.handle_open(at_ms(0));
        sessions.account.handle_open(at_ms(0));
        sessions
    }

    fn check(&mut self, input: &[u8]) {
        let now = at_ms(1);
        let Self { diffs, partial, orders, account, inbox, text } = self;
        for market in [diffs, partial] {
            if let Err(malformed) = market.handle_text(inbox.put(input), now, &mut |_| true) {
                assert!(malformed.to_string().starts_with("malformed "), "{malformed}");
            }
        }
        // A replace waits, so that answers have something to answer.
        let encoded = orders.encode(&replace(), 1, text).unwrap();
        orders.handle_sent(&encoded, now);
        let told = std::cell::Cell::new(0);
        let mut out = |body| told.set(told.get() + u32::from(matches!(body, Body::Reply(_))));
        let answered = orders.handle_text(inbox.put(input), now, &mut out);
        assert!(answered.is_ok() || told.get() == 0, "half an answer was told: {}", input.escape_ascii());
        orders.handle_closed(Reason::Closed, &mut out);
        assert_eq!(told.get(), 2, "each half of a replace ends once: {}", input.escape_ascii());
        orders.handle_open(now);

        let mut told = 0;
        let read = account.handle_text(inbox.put(input), now, &mut |_| told += 1);
        assert!(read.is_ok() || told <= 1, "{}", input.escape_ascii());
        if let Ok(pieces) = rest::parse_depth(InstrumentId(0), input) {
            assert!(pieces[0].first && pieces[pieces.len() - 1].last);
        }
        if let Ok(info) = rest::parse_exchange_info(input, &[]) {
            for instrument in info.table.all() {
                assert!(instrument.price.max >= price("0") && instrument.lot.step >= qty("0"));
            }
        }
        let minute = 60_000_000_000;
        drop(rest::parse_klines(InstrumentId(0), minute, i64::MAX, input));
        drop(rest::parse_open_orders(input));
        drop(rest::parse_account(input));
        drop(rest::parse_error(input));
    }
}

fn replace() -> Order {
    let spec = OrderSpec {
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price: price("100"),
        qty: qty("1"),
    };
    Order {
        client: ClientOrderId::new(7, 2),
        cause_seq: 1,
        cause_ns: 1,
        strategy: StrategyId(0),
        instrument: InstrumentId(0),
        reduce_only: false,
        action: Action::Replace { target: ClientOrderId::new(7, 1), spec },
    }
}

#[test]
fn json() {
    let mut sessions = Sessions::new();
    run("json", 5_000, |input| sessions.check(input));
}

#[test]
fn configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fuzz.toml");
    run("configuration", 150, |input| {
        std::fs::write(&path, input).unwrap();
        match plan::load(std::slice::from_ref(&path)) {
            // What was accepted is accepted again as it writes itself, and is the same.
            Ok(plan) => {
                let hash = plan.hash();
                std::fs::write(&path, plan.to_toml()).unwrap();
                assert_eq!(plan::load(std::slice::from_ref(&path)).unwrap().hash(), hash);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    });
}

#[test]
fn r_kill_1_control_lines() {
    run("control_line", 20_000, |input| {
        let trips = wants_trip(input);
        if let Ok(request) = serde_json::from_slice::<Request>(input) {
            // A well-formed trip is a trip, unless its bytes hide what they say behind escapes: then the verb does it.
            let hidden = input.contains(&b'\\');
            assert!(trips || hidden || request.cmd != "kill.trip", "{}", input.escape_ascii());
        }
    });
}

#[test]
fn journal_records() {
    run("journal", 5_000, |input| {
        black_box(SegmentHeader::decode(input).is_ok());
        // The frames behind a segment's header, as far as they can be told apart.
        let mut rest = input.get(SEGMENT_HEADER_BYTES..).unwrap_or(input);
        while let Ok(bytes) = peek_bytes(rest) {
            black_box(decode_unlinked(rest).is_ok());
            let Some(behind) = rest.get(bytes.max(1)..) else { break };
            rest = behind;
        }
        for kind in 0..32 {
            black_box(decode_record(kind, input).is_ok());
        }
    });
}
