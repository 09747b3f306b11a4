//! Bars from trades against a naive model, and against the exchange's own candles (R-FEED-5).

use std::io::{BufRead, BufReader, Read};

use flate2::read::GzDecoder;
use interlock::event::fact::LinkId;
use interlock::event::{Bar, Body, Claim, Fact, Trade};
use interlock::signal::{BarBuilder, GRACE_NS, Signal};
use interlock::types::{InstrumentId, Price, Qty, Side, TradeId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use super::scripted::{caused, scripted};
use crate::market::{BTC, Facts, MS, S, START_NS, price, qty, table};
use crate::support::{recordings, seed};

fn trade(id: u64, venue_ns: i64, at: i64, units: i64) -> Trade {
    Trade {
        instrument: InstrumentId(0),
        aggressor: Side::Buy,
        conflated: false,
        trade_id: TradeId(id),
        price: Price::from_units(at),
        qty: Qty::from_units(units),
        venue_ns,
    }
}

/// Groups trades by interval; the first interval is cut off, the last is not over.
fn naive(trades: &[Trade], interval_ns: i64) -> Vec<Bar> {
    let start = |t: &Trade| t.venue_ns.div_euclid(interval_ns) * interval_ns;
    let mut bars: Vec<Bar> = Vec::new();
    for group in trades.chunk_by(|a, b| start(a) == start(b)) {
        let prices = || group.iter().map(|t| t.price);
        bars.push(Bar {
            instrument: InstrumentId(0),
            trades: u32::try_from(group.len()).unwrap(),
            interval_ns,
            open_ns: start(&group[0]),
            open: group[0].price,
            high: prices().max().unwrap(),
            low: prices().min().unwrap(),
            close: group[group.len() - 1].price,
            volume: Qty::from_units(group.iter().map(|t| t.qty.units()).sum()),
        });
    }
    bars.pop();
    if trades.first().is_some_and(|t| t.venue_ns % interval_ns != 0) && !bars.is_empty() {
        bars.remove(0);
    }
    bars
}

#[test]
fn r_feed_5_bars_equal_a_naive_grouping() {
    let seed = seed(0xba5);
    let mut rng = SmallRng::seed_from_u64(seed);
    for interval_ns in [S, 5 * S, 60 * S, 3_600 * S, 86_400 * S] {
        let mut trades: Vec<Trade> = Vec::new();
        let (mut now, mut at) = (START_NS + rng.random_range(1..interval_ns), 60_000_000_000);
        for id in 1..5_000 {
            // Sometimes long gaps: intervals without a trade have no bar.
            let part = if rng.random_bool(0.02) { 1 } else { 40 };
            now += rng.random_range(0..interval_ns / part) * 2;
            at += rng.random_range(-1_000_000..=1_000_000);
            trades.push(trade(id, now, at, rng.random_range(1..1_000_000)));
        }
        let mut builder = BarBuilder::new(BTC, interval_ns);
        let mut bars = Vec::new();
        for trade in &trades {
            bars.extend(builder.on_trade(trade));
            if rng.random_bool(0.1) {
                assert_eq!(builder.on_trade(trade), None, "a doubled trade is left out");
            }
        }
        assert_eq!(bars, naive(&trades, interval_ns), "seed {seed} interval {interval_ns}");
    }
}

#[test]
fn a_timer_closes_a_bar_after_a_grace_and_late_trades_are_left_out() {
    let mut builder = BarBuilder::new(BTC, S);
    assert_eq!(builder.on_trade(&trade(1, START_NS, 100, 1)), None, "starts with the interval: whole");
    assert_eq!(builder.on_time(START_NS + S + GRACE_NS - 1), None);
    let bar = builder.on_time(START_NS + S + GRACE_NS).expect("closed by time");
    assert_eq!((bar.open_ns, bar.trades), (START_NS, 1));
    assert_eq!(builder.on_trade(&trade(2, START_NS + S - 1, 999, 1)), None);
    assert_eq!(builder.on_trade(&trade(3, START_NS + S, 101, 1)), None);
    let next = builder.on_trade(&trade(4, START_NS + 5 * S, 102, 1)).expect("closed by a trade");
    assert_eq!((next.open_ns, next.high.units(), next.trades), (START_NS + S, 101, 1));
    assert_eq!(builder.on_time(i64::MAX).map(|b| b.open_ns), Some(START_NS + 5 * S));
}

#[test]
fn a_bar_that_lacks_trades_does_not_come_out() {
    let mut builder = BarBuilder::new(BTC, S);
    // The stream began within the interval.
    builder.on_trade(&trade(1, START_NS + 1, 100, 1));
    assert_eq!(builder.on_trade(&trade(2, START_NS + S, 100, 1)), None);
    assert!(builder.on_trade(&trade(3, START_NS + 2 * S, 100, 1)).is_some());
    // It was cut within one.
    builder.cut();
    builder.on_trade(&trade(9, START_NS + 2 * S + 5, 100, 1));
    assert_eq!(builder.on_trade(&trade(10, START_NS + 3 * S, 100, 1)), None);
    // Trades were left out because the line was full.
    let conflated = Trade { conflated: true, ..trade(15, START_NS + 4 * S, 100, 1) };
    assert_eq!(builder.on_trade(&conflated), None, "the bar before may lack its last trades");
    let whole = builder.on_trade(&trade(16, START_NS + 5 * S, 100, 1));
    assert_eq!(whole.map(|b| b.open_ns), Some(START_NS + 4 * S), "from its first nanosecond on all was seen");
    let conflated = Trade { conflated: true, ..trade(20, START_NS + 5 * S + 7, 100, 1) };
    assert_eq!(builder.on_trade(&conflated), None);
    assert_eq!(builder.on_trade(&trade(21, START_NS + 6 * S, 100, 1)), None);
}

#[test]
fn signal_closes_bars_by_timer_only_on_the_venues_clock() {
    let (running, heard) = scripted(0, BTC, Some(S), |_| {});
    let mut signal = Signal::new(1, &table(), vec![running]).unwrap();
    let mut facts = Facts::new();
    let bars = || heard.lock().unwrap().bars.len();
    caused(&mut signal, &facts.trade(BTC, price("100"), qty("1"), START_NS));
    facts.now_ns += 60 * S;
    caused(&mut signal, &facts.timer());
    assert_eq!(bars(), 0, "the venue's clock is not known");
    // Our clock is a minute ahead of the venue's.
    caused(&mut signal, &facts.clock(-60 * S, 20 * MS));
    caused(&mut signal, &facts.timer());
    assert_eq!(bars(), 0);
    facts.now_ns += S + GRACE_NS + 10 * MS;
    caused(&mut signal, &facts.timer());
    assert_eq!((bars(), signal.bars_closed()), (1, 1));
    // A cut stream leaves no half bar behind.
    caused(&mut signal, &facts.trade(BTC, price("100"), qty("1"), START_NS + 2 * S));
    caused(&mut signal, &facts.link(LinkId::Market, false));
    facts.now_ns += 600 * S;
    caused(&mut signal, &facts.timer());
    assert_eq!(bars(), 1);
}

#[test]
fn r_feed_4_history_warms_up_and_never_repeats_or_follows_a_live_bar() {
    let (running, heard) = scripted(0, BTC, Some(S), |context| {
        context.enter(crate::market::spec(Side::Buy, "100", "1"), Claim::NONE);
    });
    let mut signal = Signal::new(1, &table(), vec![running]).unwrap();
    let mut facts = Facts::new();
    let bar = |n: i64, interval_ns| Bar {
        instrument: BTC,
        trades: 1,
        interval_ns,
        open_ns: START_NS + n * S,
        open: price("100"),
        high: price("100"),
        low: price("100"),
        close: price("100"),
        volume: qty("1"),
    };
    for n in [0, 1, 1, 2] {
        assert!(caused(&mut signal, &facts.body(Body::Bar(bar(n, S)))).is_empty(), "history raises nothing");
    }
    caused(&mut signal, &facts.body(Body::Bar(bar(3, 60 * S))));
    assert_eq!(heard.lock().unwrap().history.len(), 3, "each once, of the wanted length only");
    caused(&mut signal, &facts.trade(BTC, price("100"), qty("1"), START_NS + 5 * S));
    caused(&mut signal, &facts.trade(BTC, price("100"), qty("1"), START_NS + 6 * S));
    assert_eq!(heard.lock().unwrap().bars.len(), 1);
    caused(&mut signal, &facts.body(Body::Bar(bar(4, S))));
    assert_eq!(heard.lock().unwrap().history.len(), 3, "too late");
}

/// The trades of a recording, as facts with running numbers.
fn recorded_trades(files: &[&str]) -> Option<Vec<Fact>> {
    let mut facts = Vec::new();
    for file in files {
        let path = recordings(&format!("binance_spot_recording/{file}"))?;
        let reader = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
        for line in reader.lines() {
            let line = line.unwrap();
            if !line.contains("@trade\"") {
                continue;
            }
            let (recv, json) = line.split_once(' ').unwrap();
            let message: serde_json::Value = serde_json::from_str(json).unwrap();
            let data = &message["data"];
            let text = |key: &str| data[key].as_str().unwrap().to_owned();
            let trade = Trade {
                instrument: BTC,
                aggressor: if data["m"].as_bool().unwrap() { Side::Sell } else { Side::Buy },
                conflated: false,
                trade_id: TradeId(data["t"].as_u64().unwrap()),
                price: price(&text("p")),
                qty: qty(&text("q")),
                venue_ns: data["T"].as_i64().unwrap() * MS,
            };
            let seq = facts.len() as u64 + 1;
            facts.push(Fact { seq, recv_ns: recv.parse().unwrap(), body: Body::Trade(trade) });
        }
    }
    Some(facts)
}

#[test]
fn r_feed_5_bars_of_a_real_recording_equal_the_exchanges_candles() {
    let files = ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"];
    let (Some(facts), Some(candles)) = (recorded_trades(&files), recordings("klines/BTC_USDT-5m.csv.gz"))
    else {
        return;
    };
    let five_minutes = 300 * S;
    let (running, heard) = scripted(0, BTC, Some(five_minutes), |_| {});
    let mut signal = Signal::new(1, &table(), vec![running]).unwrap();
    for fact in &facts {
        caused(&mut signal, fact);
    }
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(candles).unwrap()).read_to_string(&mut text).unwrap();
    let bars = heard.lock().unwrap().bars.clone();
    assert_eq!(bars.len(), 2, "23:55 and 00:00; 23:54 began before the recording, 00:05 is not over");
    for bar in bars {
        let row = text.lines().find(|line| line.starts_with(&(bar.open_ns / MS).to_string())).unwrap();
        let field = |n: usize| row.split(',').nth(n).unwrap();
        assert_eq!(bar.open, price(field(1)), "{row}");
        assert_eq!(bar.high, price(field(2)), "{row}");
        assert_eq!(bar.low, price(field(3)), "{row}");
        assert_eq!(bar.close, price(field(4)), "{row}");
        assert_eq!(bar.volume, qty(field(5)), "{row}");
    }
}
