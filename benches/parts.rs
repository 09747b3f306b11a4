//! The parts one by one: numbers, codecs, book, checks, signatures, journal. Mean times by criterion over sets of distinct
//! messages, so that no branch predictor learns one of them. What only makes sense as a whole or between two cores is in
//! `line.rs`.

#[path = "support/codecs.rs"]
mod codecs;
#[path = "support/messages.rs"]
mod messages;

use std::hint::black_box;
use std::time::Duration;

use base64::Engine as _;
use codecs::Message;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput};
use interlock::agent::ring::ring;
use interlock::event::decision::Order;
use interlock::event::{
    Action, BalanceUpdate, Body, BookStatus, Claim, ClockOffset, Depth, Fact, Intent, OrderSpec, Quote,
    Record, Reply, ReplyKind,
};
use interlock::journal::codec::{encode_record, record_kind};
use interlock::journal::frame::{RecordHeader, encode_frame};
use interlock::limits::{BOOK_LEVELS_MAX, JOURNAL_RING_SLOTS, LEVELS_PER_FACT};
use interlock::risk::{CHECKS, PaceFigures, Risk, RiskConfig};
use interlock::shared::{HaltLevel, HaltView};
use interlock::types::decimal::{DECIMAL_TEXT_MAX, parse_decimal, write_decimal};
use interlock::types::time::NS_PER_MS;
use interlock::types::{
    AssetId, Book, Cash, ClientOrderId, InstrumentId, Level, Now, OrderType, Price, Qty, Reason, Side,
    StrategyId, TimeInForce, VenueOrderId,
};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::orders::{OrderConfig, OrderSession};
use interlock::wire::number;
use interlock::wire::text::TextBuf;
use interlock::wire::ws::frame_text_in_place;
use messages::Random;
use secrecy::SecretString;

const SEED: u64 = 11;
/// Distinct messages in a set.
const SET: usize = 1_024;
const NOW: Now = Now { ns: 1_723_161_253_000_000_000, mono_ns: 1_000_000_000 };

fn main() {
    // The second core where there is one: the first takes the host's interrupts.
    let cores = interlock::agent::cpu::Granted::read().expect("the affinity mask").cores;
    let core = cores.get(1).or(cores.first()).copied().unwrap_or(0);
    interlock::agent::cpu::pin_current_thread(core).expect("a core to measure on");
    let mut criterion = Criterion::default()
        .sample_size(60)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800))
        .configure_from_args();
    numbers(&mut criterion);
    codecs::codecs(&mut criterion);
    books(&mut criterion);
    checks(&mut criterion);
    requests(&mut criterion);
    journal(&mut criterion);
    criterion.final_summary();
}

/// Runs `each` over a set, round and round; the figure is for one element.
fn over<T>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    set: &mut [T],
    mut each: impl FnMut(&mut T),
) {
    group.throughput(Throughput::Elements(1));
    group.bench_function(name, |bencher| {
        let mut at = 0;
        bencher.iter(|| {
            each(&mut set[at]);
            at = if at + 1 == set.len() { 0 } else { at + 1 };
        });
    });
}

fn numbers(criterion: &mut Criterion) {
    let mut random = Random(SEED);
    let mut texts: Vec<String> =
        (0..SET).map(|_| format!("{}.{:02}000000", random.below(90_000), random.below(100))).collect();
    let mut group = criterion.benchmark_group("number");
    over(&mut group, "parse, eight digits at a step", &mut texts, |text| {
        black_box(number::parse(black_box(text.as_bytes()), Price::DECIMALS)).expect("a decimal");
    });
    over(&mut group, "parse, digit by digit", &mut texts, |text| {
        black_box(parse_decimal(black_box(text.as_bytes()), Price::DECIMALS)).expect("a decimal");
    });
    let mut units: Vec<i64> =
        texts.iter().map(|t| number::parse(t.as_bytes(), Price::DECIMALS).expect("a decimal")).collect();
    let mut out = [0; number::RENDER_MAX];
    over(&mut group, "render, two decimals", &mut units, |units| {
        black_box(number::render(&mut out, black_box(*units), Price::DECIMALS, 2));
    });
    let mut general = [0; DECIMAL_TEXT_MAX];
    over(&mut group, "render, any decimals", &mut units, |units| {
        black_box(write_decimal(&mut general, black_box(*units), Price::DECIMALS, 2));
    });
    group.finish();
}

fn price(text: &str) -> Price {
    Price::from_units(number::parse(text.as_bytes(), Price::DECIMALS).expect("a price"))
}
fn qty(text: &str) -> Qty {
    Qty::from_units(number::parse(text.as_bytes(), Qty::DECIMALS).expect("a quantity"))
}

fn books(criterion: &mut Criterion) {
    let mut random = Random(SEED);
    let mut book = Book::with_capacity(BOOK_LEVELS_MAX);
    let level = |cents: u64, qty: u64| {
        let price = Price::from_units(i64::try_from(cents).expect("a price") * 10_000_000);
        Level::new(price, Qty::from_units(i64::try_from(qty).expect("a quantity")))
    };
    for i in 0..1_000 {
        book.apply(Side::Buy, level(messages::MIDDLE_CENTS - 1 - i, 1 + random.below(1_000_000)));
        book.apply(Side::Sell, level(messages::MIDDLE_CENTS + i, 1 + random.below(1_000_000)));
    }
    // As in a live stream: near the top; one in eight takes a level out, the next one puts it back.
    let mut changes: Vec<(Side, Level)> = (0..SET)
        .map(|_| {
            let away = random.below(20);
            let qty = if random.below(8) == 0 { 0 } else { 1 + random.below(1_000_000) };
            if random.below(2) == 0 {
                (Side::Buy, level(messages::MIDDLE_CENTS - 1 - away, qty))
            } else {
                (Side::Sell, level(messages::MIDDLE_CENTS + away, qty))
            }
        })
        .collect();
    let mut group = criterion.benchmark_group("book");
    over(&mut group, "one change within 20 levels of the top", &mut changes, |(side, level)| {
        book.apply(*side, *level);
    });
    let mut far: Vec<(Side, Level)> = (0..SET)
        .map(|_| (Side::Buy, level(messages::MIDDLE_CENTS - 1 - random.below(1_000), 1 + random.below(99))))
        .collect();
    over(&mut group, "one change within 1,000 levels", &mut far, |(side, level)| book.apply(*side, *level));
    group.finish();
    black_box(&book);
}

fn fact(seq: u64, body: Body) -> Fact {
    Fact { seq, recv_ns: NOW.ns, body }
}

fn quote() -> Quote {
    Quote {
        instrument: InstrumentId(0),
        conflated: false,
        update_id: 1,
        bid: Level::new(price("60000.00"), qty("1")),
        ask: Level::new(price("60000.10"), qty("1")),
    }
}

/// What makes the market known and fresh: a book and a quote.
fn market() -> [Body; 3] {
    let instrument = InstrumentId(0);
    let piece = Depth {
        instrument,
        count: 1,
        asks: 0,
        first: true,
        last: true,
        snapshot: true,
        update_id: 1,
        venue_ns: 0,
        levels: [quote().bid; LEVELS_PER_FACT],
    };
    let status = BookStatus { instrument, valid: true, reason: Reason::None };
    [Body::Depth(piece), Body::BookStatus(status), Body::Quote(quote())]
}

fn not_sent(client: ClientOrderId) -> Reply {
    Reply {
        kind: ReplyKind::NotSent,
        cancel: false,
        instrument: InstrumentId(0),
        reason: Reason::SessionDown,
        venue_code: 0,
        client,
        venue_order: VenueOrderId(0),
        venue_ns: 0,
    }
}

/// A risk stage that knows all that its checks ask for, and an intent that passes them.
fn informed() -> (Risk, Intent, HaltView) {
    let table = messages::table();
    let much = Cash::from_units(900_000_000 * Cash::ONE.units());
    let mut config = RiskConfig::default();
    let free = PaceFigures { interval_min_s: 0, ..PaceFigures::default() };
    (config.turnover.all, config.turnover.btc) = (free, free);
    config.no_trade.spread_quotes_min = 1;
    (config.fan_out.value_per_fact_max, config.fan_out.value_per_window_max) = (much, much);
    (config.fan_out.orders_per_window_max, config.correlation.exposure_max) = (10_000, much);
    let config = RiskConfig {
        order_value_max: Cash::from_units(1_000_000 * Cash::ONE.units()),
        exposure_max: Cash::from_units(100_000_000 * Cash::ONE.units()),
        ..config
    };
    let allowed: Vec<InstrumentId> = table.all().iter().map(|i| i.id).collect();
    let mut risk = Risk::new(&config, &table, &allowed).expect("a risk configuration");
    let mut bodies = vec![Body::ClockOffset(ClockOffset { offset_ns: 0, round_trip_ns: 1_000 })];
    bodies.extend(market());
    for asset in 0..4 {
        let free = qty("1000000");
        let balance = BalanceUpdate { asset: AssetId(asset), free, locked: Qty::ZERO, venue_ns: NOW.ns };
        bodies.push(Body::Balance(balance));
    }
    for (seq, body) in (1..).zip(bodies) {
        risk.on_fact(&fact(seq, body));
    }
    let spec = OrderSpec {
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        price: price("60000.10"),
        qty: qty("0.01"),
    };
    let intent = Intent {
        client: ClientOrderId::new(1, 1),
        cause_seq: 9,
        cause_ns: NOW.ns,
        strategy: StrategyId(0),
        owner: StrategyId(0),
        instrument: InstrumentId(0),
        reduce_only: false,
        action: Action::Place(spec),
        claim: Claim { stop: price("59000"), gain_centi_bp: 10_000, confidence_bp: 9_000 },
    };
    (risk, intent, HaltView { level: HaltLevel::None, epoch: 2, lease_valid: true })
}

fn checks(criterion: &mut Criterion) {
    let (mut risk, intent, halt) = informed();
    let mut group = criterion.benchmark_group("risk");
    for check in CHECKS {
        assert_eq!(risk.run_check(check, &intent, halt), Ok(()), "{}", check.name);
        group.bench_function(format!("check {}", check.name), |bencher| {
            bencher.iter(|| black_box(risk.run_check(check, black_box(&intent), black_box(halt))));
        });
    }
    // A decision that can't be journaled is refused after every check has passed and before anything is booked, so the
    // same intent can be judged again and again.
    group.bench_function("all checks and the decision, nothing booked", |bencher| {
        bencher.iter(|| {
            let refused = risk.decide(black_box(&intent), black_box(halt), &mut |decision| {
                black_box(decision);
                false
            });
            black_box(refused.is_err())
        });
    });
    let (mut counter, mut now_ns, mut intent) = (1, NOW.ns, intent);
    let Action::Place(mut spec) = intent.action else { unreachable!("the intent places an order") };
    group.bench_function("all checks, decision, booking, and the release by a fact", |bencher| {
        bencher.iter(|| {
            counter += 1;
            now_ns += 60 * NS_PER_MS; // the throttle's pace
            if counter % 16 == 0 {
                // Fresh enough for the next sixteen; a few per cent of the cost.
                let clock = Body::ClockOffset(ClockOffset { offset_ns: 0, round_trip_ns: 1_000 });
                for body in market().into_iter().chain([clock]) {
                    risk.on_fact(&Fact { seq: counter, recv_ns: now_ns, body });
                }
            }
            spec.qty = Qty::from_units(1_000_000 + 1_000 * i64::try_from(counter % 1_000).unwrap_or(0));
            intent.client = ClientOrderId::new(1, counter);
            intent.cause_seq = counter;
            intent.action = Action::Place(spec);
            let approved = risk.decide(black_box(&intent), black_box(halt), &mut |_| true);
            assert!(approved.is_ok(), "{approved:?}");
            let body = Body::Reply(not_sent(intent.client));
            risk.on_fact(&Fact { seq: counter, recv_ns: now_ns, body });
        });
    });
    let told = fact(10, Body::Quote(quote()));
    group.bench_function("fold of a quote", |bencher| bencher.iter(|| risk.on_fact(black_box(&told))));
    group.finish();
}

fn credentials(ed25519: bool) -> Credentials {
    let key = SecretString::from("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A");
    if ed25519 {
        let random = aws_lc_rs::rand::SystemRandom::new();
        let pair = aws_lc_rs::signature::Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
        let text = base64::engine::general_purpose::STANDARD.encode(pair.as_ref());
        Credentials::ed25519(key, &SecretString::from(text)).expect("credentials")
    } else {
        let secret = SecretString::from("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j");
        Credentials::hmac(key, &secret).expect("credentials")
    }
}

fn requests(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("request");
    let mut text = TextBuf::new();
    let (_, intent, _) = informed();
    let mut orders: Vec<Order> = (0..SET as u64)
        .map(|i| Order {
            client: ClientOrderId::new(1, i + 1),
            cause_seq: i,
            cause_ns: NOW.ns,
            strategy: intent.strategy,
            instrument: intent.instrument,
            reduce_only: false,
            action: intent.action,
        })
        .collect();
    for (ed25519, name) in [
        (false, "encode and sign an order, HMAC-SHA256"),
        (true, "encode an order, Ed25519 session logged on (no signature)"),
    ] {
        let mut session = OrderSession::new(&messages::table(), credentials(ed25519), OrderConfig::default());
        session.handle_open(NOW);
        if ed25519 {
            assert!(session.logon_request(1, &mut text), "a logon is due");
            let mut answer = Message::new("{\"id\":\"l0000000000000000\",\"status\":200,\"result\":{}}");
            let told = session.handle_text(answer.padded(), NOW, &mut |_| {});
            assert!(told.is_ok() && session.is_ready(), "logged on");
        }
        over(&mut group, name, &mut orders, |order| {
            black_box(session.encode(black_box(order), NOW.ns / 1_000_000, &mut text)).expect("encoded");
        });
    }
    let payload = text.text().to_vec();
    for (ed25519, name) in [(false, "sign alone, HMAC-SHA256"), (true, "sign alone, Ed25519")] {
        let keys = credentials(ed25519);
        group.bench_function(name, |bencher| {
            bencher.iter(|| black_box(keys.sign(black_box(&payload))).as_bytes().len());
        });
    }
    // The same signature by the library that everything else uses: why HMAC is not aws-lc's (`wire::sign`).
    let key = aws_lc_rs::hmac::Key::new(
        aws_lc_rs::hmac::HMAC_SHA256,
        b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XA",
    );
    group.bench_function("the same HMAC-SHA256 by aws-lc, without its text", |bencher| {
        bencher.iter(|| black_box(aws_lc_rs::hmac::sign(&key, black_box(&payload))).as_ref().len());
    });
    let mut mask = 0x1234_5678_u32;
    group.bench_function("frame and mask the order", |bencher| {
        bencher.iter(|| {
            mask = mask.rotate_left(5);
            let (buf, len) = text.frame_parts();
            black_box(frame_text_in_place(buf, len, mask))
        });
    });
    group.finish();
}

fn journal(criterion: &mut Criterion) {
    let record = Record::Fact(fact(10, Body::Quote(quote())));
    let (mut producer, mut consumer) = ring(JOURNAL_RING_SLOTS, record);
    let mut group = criterion.benchmark_group("journal");
    group.bench_function("hot side: a record into the ring, and out again", |bencher| {
        bencher.iter(|| {
            assert!(producer.push(black_box(record)).is_ok(), "the ring is drained below");
            black_box(consumer.pop().is_ok())
        });
    });
    let mut out = Vec::with_capacity(1 << 20);
    let mut link = [0; 32];
    let mut seq = 0;
    group.bench_function("cold side: encode, CRC-32, BLAKE3 chain", |bencher| {
        bencher.iter(|| {
            if out.len() > (1 << 20) - 1_024 {
                out.clear();
            }
            seq += 1;
            let header = RecordHeader {
                kind: record_kind(&record),
                version: 1,
                seq,
                durable: seq - 1,
                mono_ns: NOW.mono_ns,
                wall_ns: NOW.ns,
            };
            let framed: Result<(), ()> = encode_frame(&mut out, header, &mut link, |out| {
                encode_record(black_box(&record), out);
                Ok(())
            });
            assert!(framed.is_ok(), "a record always fits");
        });
    });
    group.finish();
}
