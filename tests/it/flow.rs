//! The seeded order flow: books that look and move like real ones, and the same ones for the same seed (R-FEED-2).

use std::hash::{DefaultHasher, Hash, Hasher};

use interlock::sim::exchange::{
    Exchange, ExchangeConfig, Interval, KlineQuery, MarketEvent, SymbolId, SymbolSpec,
};
use interlock::sim::flow::{CATCH_UP_MAX_NS, Flow, FlowConfig, TURNS_PER_STEP_MAX};
use interlock::types::time::{NS_PER_MS, NS_PER_S};
use interlock::types::{Price, Qty, Side};

const START_NS: i64 = 1_760_000_000 * NS_PER_S;
const SYMBOLS: [SymbolId; 2] = [SymbolId(0), SymbolId(1)];

fn venue(seed: u64) -> (Exchange, Flow) {
    let mut exchange = Exchange::new(ExchangeConfig::default()).expect("the default symbols are sound");
    let config = FlowConfig::for_exchange(&exchange, seed);
    let flow = Flow::new(&config, &mut exchange, START_NS).expect("stakes fit");
    (exchange, flow)
}

/// Hash of all market events of the first seconds, the flow being stepped at this pace.
fn stream_hash(seed: u64, pace_ms: i64) -> u64 {
    let (mut exchange, mut flow) = venue(seed);
    let mut hasher = DefaultHasher::new();
    let mut now_ns = START_NS;
    while now_ns < START_NS + 4 * NS_PER_S {
        now_ns += pace_ms * NS_PER_MS;
        while flow.step(&mut exchange, now_ns) == TURNS_PER_STEP_MAX {}
        for event in exchange.drain_market_events() {
            format!("{event:?}").hash(&mut hasher);
        }
    }
    hasher.finish()
}

#[test]
fn same_seed_same_stream_however_it_is_stepped() {
    assert_eq!(stream_hash(11, 5), stream_hash(11, 5));
    assert_eq!(stream_hash(11, 5), stream_hash(11, 100), "the pace of the steps must not matter");
    assert_ne!(stream_hash(11, 5), stream_hash(12, 5));
}

#[test]
fn opens_with_deep_books_and_a_history() {
    for seed in 1..=20 {
        let (exchange, _) = venue(seed);
        for symbol in SYMBOLS {
            let tick = exchange.spec(symbol).filters.price.tick.units();
            for side in [Side::Buy, Side::Sell] {
                let levels = exchange.level_count(symbol, side);
                assert!(levels >= 100, "seed {seed} {symbol:?} {side:?}: {levels} levels");
            }
            let best = exchange.best(symbol);
            let (bid, ask) = (best.bid.expect("bids"), best.ask.expect("asks"));
            let spread = (ask.price.units() - bid.price.units()) / tick;
            assert!((1..=8).contains(&spread), "seed {seed} {symbol:?}: spread of {spread} ticks");

            let query = KlineQuery { limit: 1_000, ..KlineQuery::default() };
            assert!(exchange.klines(symbol, Interval::M1, query).len() >= 499);
            let seconds = exchange.klines(symbol, Interval::S1, query);
            assert_eq!(seconds.len(), 1_000);
            for pair in seconds.windows(2) {
                assert_eq!(pair[0].open_ns + NS_PER_S, pair[1].open_ns, "klines are consecutive");
                assert!(pair[1].low <= pair[1].open.min(pair[1].close));
                assert!(pair[1].high >= pair[1].open.max(pair[1].close));
            }
        }
    }
}

/// What two minutes of one symbol looked like.
#[derive(Default)]
struct Seen {
    levels: u64,
    trades: u64,
    quote_units: i128,
    bests: u64,
    spreads: Vec<i64>,
    mids: Vec<i64>,
    depth_min: usize,
}

fn watch(seed: u64, seconds: i64) -> (Exchange, [Seen; 2]) {
    let (mut exchange, mut flow) = venue(seed);
    let opening = exchange.drain_market_events().count();
    assert!(opening > 400, "the opening book is told by events too");
    let mut seen = [(); 2].map(|()| Seen { depth_min: usize::MAX, ..Seen::default() });
    let mut update_ids = SYMBOLS.map(|s| exchange.best(s).update_id);
    for step in 1..=seconds * 100 {
        flow.step(&mut exchange, START_NS + step * 10 * NS_PER_MS);
        for event in exchange.drain_market_events() {
            match event {
                MarketEvent::Level(l) => {
                    let at = l.symbol.index();
                    seen[at].levels += 1;
                    assert_eq!(l.update_id, update_ids[at] + 1, "seed {seed}: update ids are consecutive");
                    update_ids[at] = l.update_id;
                }
                MarketEvent::Trade(t) => {
                    seen[t.symbol.index()].trades += 1;
                    seen[t.symbol.index()].quote_units += i128::from(t.quote.units());
                }
                MarketEvent::Best(b) => {
                    seen[b.symbol.index()].bests += 1;
                    assert!(b.bid.price < b.ask.price, "seed {seed}: crossed {b:?}");
                    assert_eq!(b.update_id, update_ids[b.symbol.index()]);
                }
            }
        }
        for (symbol, seen) in SYMBOLS.into_iter().zip(&mut seen) {
            let tick = exchange.spec(symbol).filters.price.tick.units();
            let best = exchange.best(symbol);
            let bid = best.bid.expect("somebody bids").price.units();
            let ask = best.ask.expect("somebody asks").price.units();
            seen.spreads.push((ask - bid) / tick);
            seen.mids.push(i64::midpoint(bid, ask) / tick);
            for side in [Side::Buy, Side::Sell] {
                seen.depth_min = seen.depth_min.min(exchange.level_count(symbol, side));
            }
        }
    }
    (exchange, seen)
}

#[test]
fn moves_like_a_market() {
    for seed in [1, 2, 3] {
        let (exchange, mut seen) = watch(seed, 60);
        for (symbol, seen) in SYMBOLS.into_iter().zip(&mut seen) {
            let span = seen.mids.iter().max().unwrap() - seen.mids.iter().min().unwrap();
            let second_moves = seen.mids.windows(101).filter(|w| w[0] != w[100]).count();
            seen.spreads.sort_unstable();
            let spread = |percent: usize| seen.spreads[seen.spreads.len() * percent / 100];
            println!(
                "seed {seed} {symbol:?}: {} levels, {} bests, {} trades worth {} in 60 s; spread p50 {} p90 {} p99 {}; \
                 mid span {span} ticks; fewest levels {}",
                seen.levels,
                seen.bests,
                seen.trades,
                seen.quote_units / 100_000_000,
                spread(50),
                spread(90),
                spread(99),
                seen.depth_min
            );
            assert!((60 * 200..60 * 4_000).contains(&seen.levels), "level changes: {}", seen.levels);
            assert!((60 * 100..60 * 2_000).contains(&seen.bests), "best changes: {}", seen.bests);
            assert!((60 * 8..60 * 300).contains(&seen.trades), "trades: {}", seen.trades);
            // A day of it must stay far below what a quote volume can hold.
            assert!(seen.quote_units / 60 < 50_000_000_000_000, "value traded: {}", seen.quote_units);
            assert!(spread(50) <= 3 && spread(99) <= 200, "spreads: {} {}", spread(50), spread(99));
            assert!(seen.depth_min >= 60, "levels: {}", seen.depth_min);
            assert!(span >= 20, "the price stands still: {span} ticks in a minute");
            assert!(second_moves * 2 > seen.mids.len(), "too few seconds with a move: {second_moves}");
        }
        for asset in 0..exchange.assets().len() {
            let asset = interlock::types::AssetId(u16::try_from(asset).unwrap());
            assert_eq!(exchange.imbalance(asset), 0);
        }
    }
}

#[test]
fn missed_time_is_left_out_and_work_is_bounded() {
    let (mut exchange, mut flow) = venue(5);
    assert_eq!(flow.step(&mut exchange, START_NS - NS_PER_S), 0, "nobody acts before their time");
    let late_ns = START_NS + 3_600 * NS_PER_S;
    let turns = flow.step(&mut exchange, late_ns);
    assert!((1..TURNS_PER_STEP_MAX).contains(&turns), "{turns} turns after an hour's sleep");
    assert!(flow.next_due_ns() > late_ns);
    let burst = flow.step(&mut exchange, late_ns + CATCH_UP_MAX_NS);
    assert_eq!(burst, TURNS_PER_STEP_MAX, "two seconds are lived through, in bounded steps");
}

#[test]
fn lives_on_other_symbols_too() {
    let coarse = SymbolSpec::spot(
        "SOL",
        "USDT",
        Price::from_units(10_000_000),
        Qty::from_units(100_000),
        Price::from_units(150 * Price::ONE.units()),
    )
    .expect("names");
    let fine = SymbolSpec::spot(
        "DOGE",
        "USDT",
        Price::from_units(10_000),
        Qty::from_units(100_000_000),
        Price::from_units(150_000_000),
    )
    .expect("names");
    let config = ExchangeConfig { symbols: vec![coarse, fine], ..ExchangeConfig::default() };
    let mut exchange = Exchange::new(config).expect("sound");
    let config = FlowConfig::for_exchange(&exchange, 3);
    let mut flow = Flow::new(&config, &mut exchange, START_NS).expect("stakes fit");
    for step in 1..=1_000 {
        flow.step(&mut exchange, START_NS + step * 10 * NS_PER_MS);
    }
    for symbol in SYMBOLS {
        let best = exchange.best(symbol);
        assert!(best.bid.is_some() && best.ask.is_some(), "{best:?}");
        assert!(exchange.level_count(symbol, Side::Buy) >= 60);
    }
}
