//! Connections that fail, fall silent, or are renewed (R-FEED-4, F22, F24).

use interlock::event::Body;
use interlock::event::fact::LinkId;
use interlock::feed::FeedConfig;
use interlock::shared::HaltLevel;
use interlock::types::Reason;
use interlock::types::time::NS_PER_S;

use super::rig::{ROOMY, Rig, depth, quote};
use crate::peer::{MS, Peer};

fn market_downs(rig: &Rig) -> Vec<(Reason, u32, i64)> {
    let down = |f: &interlock::event::Fact| match f.body {
        Body::Link(l) if l.link == LinkId::Market && !l.up => Some((l.reason, l.attempts, f.recv_ns)),
        _ => None,
    };
    rig.facts.iter().filter_map(down).collect()
}

#[test]
fn r_feed_4_five_attempts_with_back_off_then_the_page_trips_and_attempts_go_on_slowly() {
    let mut rig = Rig::new(&ROOMY);
    let epoch = rig.page.view(rig.now).epoch;
    assert!(rig.page.arm(epoch));
    // Nobody listens at all; the account's attempts fail as well and are as bounded.
    for _ in 0..20_000 {
        rig.step(10 * MS);
        if rig.page.view(rig.now).level >= HaltLevel::RiskOff {
            break;
        }
    }
    assert_eq!(rig.page.last_trip().0, Reason::RetriesExhausted);
    let downs = market_downs(&rig);
    let attempts: Vec<u32> = downs.iter().map(|d| d.1).collect();
    assert!(
        attempts.len() >= 4 && attempts.iter().enumerate().all(|(at, &n)| n as usize == at + 1),
        "{attempts:?}"
    );
    let pauses: Vec<i64> = downs.windows(2).map(|pair| pair[1].2 - pair[0].2).collect();
    for (at, pause) in pauses.iter().enumerate().take(3) {
        let base = (250 * MS) << at;
        assert!((base / 2..base + 20 * MS).contains(pause), "pause {at}: {pause}");
    }
    let before = market_downs(&rig).len();
    for _ in 0..12_000 {
        rig.step(10 * MS);
    }
    let slow = market_downs(&rig).len() - before;
    assert!((3..10).contains(&slow), "120 s at 15 to 30 s a try: {slow}");
}

#[test]
fn f24_a_socket_that_is_open_and_brings_nothing_is_dead() {
    let (mut rig, mut market) = Rig::synced(&ROOMY);
    for _ in 0..60 {
        market.ping();
        rig.step(100 * MS);
        market.serve();
    }
    assert_eq!(market_downs(&rig)[0].0, Reason::Silent, "pings are no data");
    assert_eq!(rig.book_status().last(), Some(&false));
    assert!(market.is_over);
    // The next connection heals it.
    let mut market = Peer::listen(&mut rig.market_links);
    for _ in 0..20 {
        rig.step(100 * MS);
        market.serve();
    }
    assert!(market.is_open);
    market.say(&quote(300, "60000", "60000.01"));
    market.say(&depth(301, 302, "60000", "1"));
    rig.run_ms(1_500);
    assert!(rig.requests.pop().is_ok());
    rig.answer_snapshot(302);
    rig.run_ms(2);
    assert_eq!(rig.book_status().last(), Some(&true));
}

#[test]
fn f24_one_dead_stream_among_living_ones_is_found() {
    let (mut rig, mut market) = Rig::synced(&ROOMY);
    let mut at_s = 0;
    for n in 0..400 {
        market.say(&depth(101 + n, 101 + n, "59000", "1"));
        rig.step(100 * MS);
        if !market_downs(&rig).is_empty() {
            at_s = n / 10;
            break;
        }
    }
    assert!((29..=31).contains(&at_s), "quotes were silent for 30 s: {at_s}");
    assert_eq!(market_downs(&rig)[0].0, Reason::Silent);
}

#[test]
fn an_announced_shutdown_is_left_at_once() {
    let (mut rig, mut market) = Rig::synced(&ROOMY);
    let mut next = Peer::listen(&mut rig.market_links);
    market.say(r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1723161253000123}}"#);
    for _ in 0..5 {
        rig.step(MS);
        next.serve();
    }
    assert_eq!(market_downs(&rig).last().map(|d| d.0), Some(Reason::ServerShutdown));
    assert!(next.is_open, "another connection is made without a pause");
    rig.run_ms(1_200);
    rig.sync(&mut next);
}

#[test]
fn a_connection_is_renewed_before_the_venue_ends_it() {
    let config = FeedConfig { renew_after_ns: 60 * NS_PER_S, account_read_every: 1, ..FeedConfig::default() };
    let mut rig = Rig::with(config, &ROOMY);
    let mut market = Peer::listen(&mut rig.market_links);
    rig.shake_hands(&mut market);
    rig.sync(&mut market);
    let mut next = Peer::listen(&mut rig.market_links);
    for n in 0..700 {
        market.say(&quote(400 + n, "60000", "60000.01"));
        market.say(&depth(101 + n, 101 + n, "59000", "1"));
        rig.step(100 * MS);
        next.serve();
        if next.is_open {
            break;
        }
    }
    assert_eq!(market_downs(&rig).iter().map(|d| d.0).collect::<Vec<_>>(), [Reason::Renewed]);
    assert!(next.is_open);
}

#[test]
fn f22_a_thousand_forced_drops_stay_within_the_budget_of_attempts() {
    let mut rig = Rig::new(&ROOMY);
    let mut drops = 0;
    let mut market = Peer::listen(&mut rig.market_links);
    // Ten minutes in which each connection works for a moment and is cut.
    while rig.now.mono_ns < 600 * NS_PER_S {
        rig.step(20 * MS);
        market.serve();
        if market.is_open {
            market.say(&quote(1, "60000", "60000.01"));
            rig.step(MS);
            market.hang_up();
            rig.step(MS);
            drops += 1;
            market = Peer::listen(&mut rig.market_links);
        }
    }
    assert!(drops <= 60 * 2 + 1, "60 attempts in any 5 minutes: {drops}");
    assert!(drops >= 20, "it kept trying: {drops}");
}
