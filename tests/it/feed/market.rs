//! Market data: in step, out of step, too much of it, none of it.

use interlock::event::fact::LinkId;
use interlock::event::{Body, Fact};
use interlock::feed::RestRequest;
use interlock::shared::Counter;
use interlock::types::Reason;

use super::rig::{BTC, ROOMY, Rig, Sizes, depth, quote, trade};
use crate::peer::{MS, Peer};

fn quotes(facts: &[Fact]) -> Vec<(u64, bool)> {
    let quote = |f: &Fact| match f.body {
        Body::Quote(q) => Some((q.update_id, q.conflated)),
        _ => None,
    };
    facts.iter().filter_map(quote).collect()
}

fn trades(facts: &[Fact]) -> Vec<(u64, bool)> {
    let trade = |f: &Fact| match f.body {
        Body::Trade(t) => Some((t.trade_id.0, t.conflated)),
        _ => None,
    };
    facts.iter().filter_map(trade).collect()
}

#[test]
fn handshake_streams_snapshot_and_a_book_in_step() {
    let (mut rig, mut market) = Rig::synced(&ROOMY);
    assert!(
        market.path.contains("btcusdt@bookTicker") && market.path.contains("btcusdt@depth@100ms"),
        "{}",
        market.path
    );
    market.say(&trade(5));
    market.say(&depth(101, 102, "59999", "3"));
    rig.run_ms(2);
    assert_eq!(trades(&rig.facts), [(5, false)]);
    let up = |b: &Body| matches!(b, Body::Link(l) if l.link == LinkId::Market && l.up);
    assert_eq!(rig.count(up), 1);
    let last_depth = rig.facts.iter().rev().find_map(|f| match f.body {
        Body::Depth(d) => Some(d.update_id),
        _ => None,
    });
    assert_eq!(last_depth, Some(102));
    let at = rig.facts.iter().position(|f| matches!(f.body, Body::Trade(_))).unwrap();
    assert!(rig.stamps[at].read > 0, "a fact from a read is measured from it");
    assert!(rig.counters.get(Counter::FeedMessages) >= 4);
    assert!(rig.count(|b| matches!(b, Body::Timer)) >= 1);
}

#[test]
fn r_feed_3_a_gap_makes_the_book_invalid_until_it_is_in_step_again() {
    let (mut rig, mut market) = Rig::synced(&ROOMY);
    market.say(&depth(105, 106, "59999", "3")); // 101 to 104 are missing
    rig.run_ms(2);
    assert_eq!(rig.book_status().last(), Some(&false));
    rig.run_ms(1_100);
    assert_eq!(rig.requests.pop(), Ok(RestRequest::Snapshot(BTC)));
    rig.answer_snapshot(106);
    rig.run_ms(2);
    assert_eq!(rig.book_status().last(), Some(&true));
    assert_eq!(rig.counters.get(Counter::FeedGaps), 1);
    assert!(!market.is_over, "a gap is no reason to reconnect");
}

#[test]
fn a_snapshot_that_cannot_be_had_is_asked_for_again() {
    let mut rig = Rig::new(&ROOMY);
    let mut market = Peer::listen(&mut rig.market_links);
    rig.shake_hands(&mut market);
    market.say(&depth(91, 100, "60000", "1"));
    rig.run_ms(5);
    assert!(rig.requests.pop().is_ok());
    assert!(rig.answers.push(interlock::feed::RestAnswer::SnapshotFailed(BTC)).is_ok());
    for _ in 0..30 {
        market.say(&quote(1, "60000", "60000.01"));
        rig.step(100 * MS);
    }
    assert_eq!(rig.requests.pop(), Ok(RestRequest::Snapshot(BTC)));
}

#[test]
fn r_hot_8_a_full_line_conflates_market_data_and_marks_it() {
    let sizes = Sizes { line: 64, reserve: 16, journal: 4_096 };
    let (mut rig, mut market) = Rig::synced(&sizes);
    rig.facts.clear();
    rig.drains = false;
    for n in 0..100 {
        market.say(&quote(1_000 + n, "60000", "60000.01"));
        market.say(&trade(500 + n));
    }
    for _ in 0..10 {
        rig.step(0);
        rig.drain_journal();
    }
    assert!(rig.line.waiting() >= 64 - 16, "market data filled what it may");
    assert!(rig.line.waiting() <= 64 - 16 + 4, "and left the reserve to others");
    let seq_before = rig.journaled.len() - rig.line.waiting();
    let mut seen = Vec::new();
    while let Some(slot) = rig.line.pop() {
        seen.push(slot.item);
    }
    assert_eq!(seen.first().map(|f| usize::try_from(f.seq).unwrap()), Some(seq_before + 1));
    market.say(&trade(700));
    rig.step(MS);
    rig.step(MS);
    while let Some(slot) = rig.line.pop() {
        seen.push(slot.item);
    }
    assert!(seen.windows(2).all(|pair| pair[1].seq == pair[0].seq + 1), "still no gap in the numbers");
    let quotes = quotes(&seen);
    assert_eq!(quotes.last(), Some(&(1_099, true)), "the latest quote passed when there was room, marked");
    assert!(quotes[..quotes.len() - 1].iter().all(|q| !q.1));
    assert_eq!(trades(&seen).last(), Some(&(700, true)), "trades were left out before this one");
    assert!(rig.counters.get(Counter::FeedConflated) > 50);
}

#[test]
fn r_hot_8_book_changes_that_find_no_room_make_the_book_invalid() {
    let sizes = Sizes { line: 64, reserve: 16, journal: 4_096 };
    let (mut rig, mut market) = Rig::synced(&sizes);
    rig.drains = false;
    for n in 0..100 {
        market.say(&depth(101 + n, 101 + n, "59000", "1"));
    }
    for _ in 0..5 {
        rig.step(0);
    }
    rig.drain();
    let status = rig.facts.iter().rev().find_map(|f| match f.body {
        Body::BookStatus(s) => Some(s),
        _ => None,
    });
    assert_eq!(status.map(|s| (s.valid, s.reason)), Some((false, Reason::LineFull)));
    rig.drains = true;
    rig.run_ms(1_200);
    assert_eq!(rig.requests.pop(), Ok(RestRequest::Snapshot(BTC)));
    rig.answer_snapshot(200);
    rig.run_ms(2);
    assert_eq!(rig.book_status().last(), Some(&true));
}

#[test]
fn r_hot_8_a_full_journal_ring_trips_the_page_and_nothing_passes_unrecorded() {
    let sizes = Sizes { line: 4_096, reserve: 16, journal: 64 };
    let (mut rig, mut market) = Rig::synced(&sizes);
    let epoch = rig.page.view(rig.now).epoch;
    assert!(rig.page.arm(epoch));
    rig.drains = false;
    for n in 0..200 {
        market.say(&quote(1_000 + n, "60000", "60000.01"));
    }
    for _ in 0..6 {
        rig.step(MS);
    }
    assert_eq!(rig.page.last_trip().0, Reason::JournalFailed);
    rig.drains = true;
    rig.run_ms(2);
    assert_eq!(quotes(&rig.facts).last(), Some(&(1_199, true)));
}

#[test]
fn malformed_and_foreign_messages_are_counted_and_harm_nothing() {
    let (mut rig, mut market) = Rig::synced(&ROOMY);
    let before = rig.facts.len();
    market.say("{\"stream\":\"btcusdt@trade\",\"data\":{\"e\":\"trade\",\"s\":\"BTCUSDT\",\"t\":");
    market.say(&trade(9).replace("60000.00000000", "6e4"));
    market.say(&quote(7, "1", "2").replace("BTCUSDT", "DOGEUSDT"));
    market.say("{\"result\":null,\"id\":1}");
    rig.run_ms(3);
    let facts = rig.facts[before..].iter().filter(|f| f.body != Body::Timer).count();
    assert_eq!(facts, 0);
    assert_eq!(rig.counters.get(Counter::FeedMalformed), 2);
    market.say(&trade(10));
    rig.run_ms(2);
    assert_eq!(trades(&rig.facts), [(10, false)], "the connection goes on");
}
