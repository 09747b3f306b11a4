//! The real recording of 2024-08-08/09 through the market session: sequence, book, trades, bars (R-FEED-3, R-FEED-5).

use std::collections::{HashMap, VecDeque};

use interlock::event::{Body, BookStatus};
use interlock::types::{InstrumentId, Level, Now, Price, Qty, Reason};
use interlock::venue::binance::market::{MarketConfig, MarketEvent, MarketSession};
use interlock::venue::binance::rest::parse_depth;

use crate::binance_support::{Inbox, gz_lines, table};
use crate::support::recordings;

const FIVE_MINUTES_NS: i64 = 300_000_000_000;

#[derive(Default)]
struct Seen {
    statuses: Vec<BookStatus>,
    trades: Vec<u64>,
    bars: HashMap<i64, [i64; 5]>,
    /// Quotes by update id, oldest first.
    quotes: VecDeque<(u64, Level, Level)>,
    last_quote: Option<(u64, Level, Level)>,
    compared: u32,
    equal: u32,
}

impl Seen {
    fn take(&mut self, body: &Body) {
        match body {
            Body::Quote(q) => self.quotes.push_back((q.update_id, q.bid, q.ask)),
            Body::Trade(t) => {
                self.trades.push(t.trade_id.0);
                let price = t.price.units();
                let bar = self
                    .bars
                    .entry(t.venue_ns.div_euclid(FIVE_MINUTES_NS) * FIVE_MINUTES_NS)
                    .or_insert([price, price, price, price, 0]);
                bar[1] = bar[1].max(price);
                bar[2] = bar[2].min(price);
                bar[3] = price;
                bar[4] += t.qty.units();
            }
            Body::BookStatus(status) => self.statuses.push(*status),
            _ => {}
        }
    }

    /// After a diff up to `update_id`: the book's best levels against the last quote at or before it.
    fn compare(&mut self, update_id: u64, bid: Option<Level>, ask: Option<Level>) {
        while self.quotes.front().is_some_and(|(id, ..)| *id <= update_id) {
            self.last_quote = self.quotes.pop_front();
        }
        if let Some((_, quote_bid, quote_ask)) = self.last_quote {
            self.compared += 1;
            self.equal += u32::from(bid == Some(quote_bid) && ask == Some(quote_ask));
        }
    }
}

/// Plays recording files through one session; the snapshot inside is served when the session asks for one.
fn play(files: &[&str], symbol: &str) -> Option<(Seen, MarketSession)> {
    let mut session = MarketSession::new(&table(&[symbol]), MarketConfig::default());
    let mut seen = Seen::default();
    let mut inbox = Inbox::default();
    let mut asked = 0;
    let mut snapshot_line = None;
    let id = InstrumentId(0);
    let mut opened = false;
    for file in files {
        for line in gz_lines(&recordings(&format!("binance_spot_recording/{file}"))?) {
            let (ns, text) = line.split_once(' ').unwrap();
            let ns: i64 = ns.parse().unwrap();
            let now = Now { ns, mono_ns: ns - 1_723_161_000_000_000_000 };
            if !opened {
                session.handle_open(now);
                opened = true;
            }
            if text.starts_with("{\"lastUpdateId\"") {
                snapshot_line = Some(text.to_owned());
                continue;
            }
            let mut last_depth = None;
            let event = session
                .handle_text(inbox.put(text.as_bytes()), now, &mut |body| {
                    if let Body::Depth(depth) = &body
                        && depth.last
                    {
                        last_depth = Some(depth.update_id);
                    }
                    seen.take(&body);
                    true
                })
                .unwrap();
            assert_eq!(event, MarketEvent::Data, "{text}");
            asked += usize::from(session.poll_snapshot_request(now) == Some(id));
            if asked == 1
                && let Some(snapshot) = snapshot_line.take()
            {
                for piece in parse_depth(id, snapshot.as_bytes()).unwrap() {
                    session.handle_snapshot_piece(&piece, now, &mut |body| {
                        if let Body::Depth(depth) = &body
                            && depth.last
                            && !depth.snapshot
                        {
                            last_depth = Some(depth.update_id);
                        }
                        seen.take(&body);
                        true
                    });
                }
            }
            if let (Some(update_id), Some(book)) = (last_depth, session.book(id)) {
                seen.compare(update_id, book.best_bid(), book.best_ask());
            }
        }
    }
    assert_eq!(asked, 1, "one snapshot is enough");
    Some((seen, session))
}

#[test]
fn r_feed_3_the_recording_has_no_gap_and_its_book_equals_the_venues_quotes() {
    let Some((seen, session)) = play(&["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"], "BTC-USDT")
    else {
        return;
    };
    let counters = session.counters();
    assert_eq!((counters.gaps, counters.snapshots_old, counters.malformed), (0, 0, 0), "{counters:?}");
    assert_eq!(counters.parsed, 0, "the scanner knows every shape of the recording");
    assert_eq!(
        seen.statuses,
        [BookStatus { instrument: InstrumentId(0), valid: true, reason: Reason::None }],
        "valid once, and for good"
    );
    println!("book equal to bookTicker in {} of {} comparisons", seen.equal, seen.compared);
    assert_eq!((seen.equal, seen.compared), (6_491, 6_493));

    assert_eq!(seen.trades.len(), 19_904);
    assert!(seen.trades.windows(2).all(|pair| pair[1] == pair[0] + 1), "trade ids are consecutive");
    bars_equal_the_kline_file(&seen);
}

/// R-FEED-5: five-minute bars from trades equal the venue's.
fn bars_equal_the_kline_file(seen: &Seen) {
    let Some(klines) = recordings("klines/BTC_USDT-5m.csv.gz") else { return };
    let mut checked = 0;
    for line in gz_lines(&klines).skip(1) {
        let fields: Vec<&str> = line.split(',').collect();
        let open_ns = fields[0].parse::<i64>().unwrap() * 1_000_000;
        // 23:55 and 00:00; the recording ends inside the next one.
        if ![1_723_161_300_000_000_000, 1_723_161_600_000_000_000].contains(&open_ns) {
            continue;
        }
        let price = |i: usize| fields[i].parse::<Price>().unwrap().units();
        let expected = [price(1), price(2), price(3), price(4), fields[5].parse::<Qty>().unwrap().units()];
        assert_eq!(seen.bars.get(&open_ns), Some(&expected), "bar of {open_ns}");
        checked += 1;
    }
    assert_eq!(checked, 2);
}

#[test]
fn r_feed_3_the_eth_recording_plays_without_a_gap() {
    let Some((seen, session)) = play(&["spot_ethusdt_20240808.gz"], "ETH-USDT") else { return };
    assert_eq!(session.counters().gaps, 0);
    assert_eq!(session.counters().malformed, 0);
    assert!(seen.compared > 2_000);
    println!("book equal to bookTicker in {} of {} comparisons", seen.equal, seen.compared);
    assert!(seen.equal * 1_000 >= seen.compared * 999, "{} of {}", seen.equal, seen.compared);
}
