//! The venue's patience, its links and its clock. F20 to F24, F30.

use std::sync::atomic::Ordering::Relaxed;

use interlock::event::Body;
use interlock::event::fact::LinkId;
use interlock::gateway::{Limit, LimitKind};
use interlock::shared::{Counter, HaltLevel};
use interlock::types::time::{NS_PER_MS, NS_PER_S};
use interlock::types::{Now, Reason};
use interlock::venue::binance::market::{DepthStream, MarketConfig, MarketSession};
use rand::Rng;

use crate::binance_support::{Inbox, table};
use crate::lab::{Lab, START_NS, Setup};
use crate::run::Run;

/// Every order is refused (-2010), and the strategy wants one all the time.
pub(crate) fn f20_what_is_refused_again_and_again_is_stopped(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.venue().faults.rejects = true;
    lab.wants.eager.store(true, Relaxed);
    lab.run_min(run.rng.random_range(5..20));
    let sent = lab.door().places().len();
    assert!(sent <= 20, "{sent}: at the bound it is disabled");
    assert!(lab.refused(Reason::RepeatThrottle) > 0, "for a reason that a person must answer");
    run.occurred("order refused by the venue", lab.count("rejected"));
    lab.venue().faults.rejects = false;
    lab.run_min(10);
    assert_eq!(lab.door().places().len(), sent, "no time enables it again");
}

/// The order budget is used up; orders stand at the venue.
pub(crate) fn f21_an_empty_order_budget_leaves_cancels_their_reserve(run: &mut Run) {
    let orders = Limit { kind: LimitKind::Orders, window_ns: 10 * NS_PER_S, limit: 5 };
    let weight = Limit { kind: LimitKind::Weight, window_ns: 60 * NS_PER_S, limit: 1_000 };
    let setup = Setup { limits: vec![orders, weight], ..Setup::default() };
    let mut lab = Lab::with(run.seed, &setup);
    lab.want(50);
    lab.pause(2_000, 8_000);
    assert!(!lab.door().open().is_empty());
    let withheld = lab.counter(Counter::GatewayWithheld);
    run.occurred("order withheld for the budget", withheld);
    let cancels = run.rng.random_bool(0.5);
    if cancels {
        lab.want(0);
        lab.wants.cancel.store(true, Relaxed);
        lab.until("all cancelled", 20, |lab| lab.door().open().is_empty());
    }
    let epoch = lab.page.trip(HaltLevel::CancelAll, Reason::Operator, lab.now.ns);
    lab.until("the halt is silent", 5, |lab| lab.page.silent().0 == epoch);
    assert!(lab.door().open().is_empty());
    lab.check_always();
}

/// A thousand forced drops of the market link.
pub(crate) fn f22_a_thousand_drops_are_no_storm(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let retry = Setup::default().feed.retry;
    let (mut opened, mut drops) = (Vec::new(), 0);
    let mut before = lab.counter(Counter::FeedReconnects);
    for _ in 0..30_000 {
        lab.step(50 * NS_PER_MS);
        let now = lab.counter(Counter::FeedReconnects);
        opened.extend((before..now).map(|_| lab.now.mono_ns));
        before = now;
        if let Some(peer) = lab.peer.as_mut().filter(|peer| peer.is_open && !peer.is_over) {
            peer.hang_up();
            drops += 1;
        }
    }
    // Not a thousand connections in 25 minutes, however often they drop: that is the point.
    assert!(drops > 20 && opened.len() > 20, "{drops} {}", opened.len());
    for pair in opened.windows(retry.attempts_per_window + 1) {
        let span_ns = pair[retry.attempts_per_window] - pair[0];
        assert!(span_ns >= retry.window_ns - 100 * NS_PER_MS, "the window's budget holds: {span_ns}");
    }
    let quickest = opened.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap();
    assert!(quickest >= retry.first_ns / 2 - 50 * NS_PER_MS, "back-off: {quickest}");
    let pauses: std::collections::BTreeSet<i64> = opened.windows(2).map(|p| p[1] - p[0]).collect();
    assert!(pauses.len() > 3, "jitter");
    run.occurred("connection dropped", drops);
}

/// A busy book that is invalid at every message.
pub(crate) fn f23_an_invalid_book_asks_for_one_snapshot_at_a_time(run: &mut Run) {
    let table = table(&["BTC-USDT", "ETH-USDT"]);
    let mut session =
        MarketSession::new(&table, MarketConfig { depth: DepthStream::Diff, ..MarketConfig::default() });
    let mut now = Now { ns: START_NS, mono_ns: 0 };
    session.handle_open(now);
    let (mut inbox, mut outstanding, mut asked) = (Inbox::default(), [0_i32; 2], Vec::new());
    let mut id = 1_000_u64;
    for _ in 0..5_000 {
        let ns = run.rng.random_range(100_000..2_000_000);
        (now.ns, now.mono_ns) = (now.ns + ns, now.mono_ns + ns);
        id += run.rng.random_range(5..50); // a gap at each
        let symbol = if run.rng.random_bool(0.5) { "BTCUSDT" } else { "ETHUSDT" };
        let text = format!(
            r#"{{"stream":"{}@depth@100ms","data":{{"e":"depthUpdate","E":1723161253000,"s":"{symbol}","U":{id},"u":{},"b":[["60000.00","1.0"]],"a":[]}}}}"#,
            symbol.to_ascii_lowercase(),
            id + 2
        );
        run.occurred("gap in the book", 1);
        session.handle_text(inbox.put(text.as_bytes()), now, &mut |_| true).unwrap();
        session.poll(now, &mut |_| true);
        while let Some(instrument) = session.poll_snapshot_request(now) {
            let at = instrument.index();
            outstanding[at] += 1;
            assert_eq!(outstanding[at], 1, "one request in flight for each book");
            asked.push(now.mono_ns);
        }
        for at in 0..2_u16 {
            if outstanding[usize::from(at)] > 0 && run.rng.random_bool(0.02) {
                outstanding[usize::from(at)] = 0;
                session.handle_snapshot_failed(interlock::types::InstrumentId(at), now);
            }
        }
    }
    let spent_s = now.mono_ns / NS_PER_S + 1;
    let asked = i64::try_from(asked.len()).unwrap();
    assert!(asked > 0 && asked <= 2 * 2 * spent_s + 2, "{asked} requests in {spent_s} s");
}

/// The socket is open, pings come, and no data.
pub(crate) fn f24_a_socket_without_data_is_dead(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.wants.eager.store(true, Relaxed);
    lab.pause(1, 1_000);
    let before = lab.counter(Counter::FeedReconnects);
    lab.facts.clear();
    lab.market.silent = true;
    lab.run_s(2);
    for client in lab.door().open() {
        lab.venue().end(client, interlock::types::OrderState::Expired);
    }
    lab.run_s(4);
    let places = lab.door().places().len();
    lab.run_s(run.rng.random_range(10..40));
    assert_eq!(lab.door().places().len(), places, "no entry on a market that is silent");
    let silent = |body: &&Body| matches!(body, Body::Link(l) if l.link == LinkId::Market && !l.up && l.reason == Reason::Silent);
    let downs = lab.facts.iter().filter(silent).count();
    assert!(downs > 0, "found dead by its data");
    assert!(lab.counter(Counter::FeedReconnects) > before, "and connected anew");
    run.occurred("open and silent", downs as u64);
}

/// The venue's clock and ours part: a step, a drift of 500 ppm, a leap second; or our own is set.
pub(crate) fn f30_clocks_that_part_pause_orders_and_widen_nothing(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.wants.eager.store(true, Relaxed);
    let kind = run.rng.random_range(0..4);
    let sign = if run.rng.random_bool(0.5) { 1 } else { -1 };
    let (mut offset_ns, mut checked) = (0_i64, lab.door().written.len());
    for tick in 0..6_000_i64 {
        match kind {
            0 if tick == 1_000 => offset_ns += sign * 2 * NS_PER_S,
            1 => offset_ns += sign * 20 * NS_PER_MS / 2_000, // 500 ppm of 20 ms
            2 if tick == 1_000 => offset_ns -= NS_PER_S,     // the venue inserts a leap second
            3 if tick == 1_000 => {
                lab.now.ns += sign * 2 * NS_PER_S;
                offset_ns -= sign * 2 * NS_PER_S;
            }
            _ => {}
        }
        if tick == 1_000 {
            run.occurred("clocks parted", 1);
        }
        if tick % 50 == 0 {
            for client in lab.door().open() {
                lab.venue().end(client, interlock::types::OrderState::Expired);
            }
        }
        lab.offset_ns = Some(offset_ns);
        lab.step(20 * NS_PER_MS);
        if (1_000..1_200).contains(&tick) {
            checked = lab.door().written.len(); // measured at most a second later
            continue;
        }
        let (door, now_ns) = (lab.door(), lab.now.ns);
        for at in checked..door.written.len() {
            let true_ms = (now_ns + offset_ns) / NS_PER_MS;
            let error_ms = (door.timestamps_ms[at] - true_ms).abs();
            assert!(error_ms <= 25, "stamped with the venue's time: {error_ms} ms off");
        }
        if offset_ns.abs() >= NS_PER_S {
            let places = door.written[checked..].iter().filter(|(r, _)| {
                matches!(r, interlock::gateway::Request::Order(o) if matches!(o.action, interlock::event::Action::Place(_)))
            });
            assert_eq!(places.count(), 0, "orders pause beyond the bound");
        }
        checked = door.written.len();
    }
    let parted = offset_ns.abs() >= NS_PER_S;
    assert_eq!(parted, lab.refused(Reason::ClockOffset) > 0);
    assert_eq!(lab.level(), HaltLevel::None, "it is a pause, not a halt");
    run.occurred("orders paused", lab.refused(Reason::ClockOffset) as u64);
    // Back in step: it trades again, whatever the wall clock did, because deadlines are of the other clock.
    lab.offset_ns = Some(0);
    for client in lab.door().open() {
        lab.venue().end(client, interlock::types::OrderState::Expired);
    }
    lab.run_s(3);
    let before = lab.door().places().len();
    for client in lab.door().open() {
        lab.venue().end(client, interlock::types::OrderState::Expired);
    }
    lab.until("an order again", 30, |lab| lab.door().places().len() > before);
    lab.check_always();
}
