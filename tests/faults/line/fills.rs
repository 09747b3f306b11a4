//! What was filled? F13 to F19.

use std::sync::atomic::Ordering::Relaxed;

use interlock::event::{Body, CommandKind, ReplyKind};
use interlock::types::{ClientOrderId, OrderState, Qty, Reason, Side, TradeId};
use rand::Rng;
use rand::seq::IndexedRandom;

use crate::lab::Lab;
use crate::run::Run;
use crate::venue::{BTC, Venue};

const LOT: i64 = 1_000;

/// A part of what is open, in whole lots; at least one.
fn part(lab: &Lab, client: u64, percent: i64) -> Qty {
    let lots = lab.door().orders[&client].open().units() / LOT;
    Qty::from_units((lots * percent / 100).max(1).min(lots) * LOT)
}

/// Fills while the private stream is down; afterwards the venue replays them or not.
pub(crate) fn f13_a_fill_in_an_outage_is_recovered(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let clients = lab.enter(run.rng.random_range(1..5));
    let both = run.rng.random_bool(0.5);
    lab.venue().drop_stream();
    if both {
        lab.venue().disconnect();
    }
    lab.pause(1, 200);
    for &client in &clients {
        let percent = *[0, 30, 100].choose(&mut run.rng).unwrap();
        if percent > 0 || client == clients[0] {
            let qty = part(&lab, client, percent.max(1));
            lab.venue().fill(client, qty);
        }
    }
    lab.pause(1, 3_000);
    run.occurred("fill missed", lab.count("missed"));
    let missed = lab.door().fills.clone();
    lab.venue().connect();
    lab.venue().restore_stream();
    if run.rng.random_bool(0.5) {
        lab.pause(1, 2_000);
        run.occurred("fill replayed", missed.len() as u64);
        for update in missed {
            lab.venue().tell(Body::Order(update));
        }
    }
    let held = lab.door().base;
    lab.until("the position is the venue's", 20, |lab| lab.risk().position(BTC).qty.units() == held);
    lab.settle();
}

/// Recovery by query overlaps the live stream in whatever way chance has it; the stream says everything twice.
pub(crate) fn f14_recovery_and_stream_count_each_fill_once(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let clients = lab.enter(4);
    lab.venue().faults.jitter_ns = run.rng.random_range(50..500) * 1_000_000;
    lab.venue().faults.doubles = true;
    for _ in 0..12 {
        let client = *clients.choose(&mut run.rng).unwrap();
        if lab.door().orders[&client].state.may_be_open() {
            let qty = part(&lab, client, run.rng.random_range(10..101));
            lab.venue().fill(client, qty);
        }
        match run.rng.random_range(0..5) {
            0 => {
                lab.venue().drop_stream();
                lab.pause(1, 300);
                lab.venue().restore_stream();
            }
            1 => {
                lab.venue().disconnect();
                lab.pause(1, 300);
                lab.venue().connect();
            }
            _ => lab.command(CommandKind::Reconcile),
        }
        lab.pause(1, 400);
    }
    run.occurred("recovery overlaps the stream", lab.count("recovery overlaps the stream"));
    run.occurred("doubled", lab.count("doubled"));
    lab.settle();
    assert_eq!(lab.risk().frozen(BTC), None, "none of it is a contradiction");
}

/// The same fill again under a new number: more is filled than was ordered.
pub(crate) fn f15_an_overfill_is_booked_and_freezes(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let client = lab.enter(1)[0];
    let whole = part(&lab, client, 100);
    lab.venue().fill(client, whole);
    lab.pause(1, 500);
    let mut again = lab.door().fills[0];
    again.trade = TradeId(9_000_000 + again.trade.0);
    again.filled = Qty::from_units(2 * whole.units());
    lab.venue().tell(Body::Order(again));
    run.occurred("filled beyond the order", 1);
    lab.run_ms(500);
    assert_eq!(lab.risk().position(BTC).qty.units(), 2 * whole.units(), "not dropped");
    assert_eq!(lab.risk().frozen(BTC), Some(Reason::Overfill));
    lab.want(3);
    lab.run_s(5);
    assert!(lab.refused(Reason::InstrumentFrozen) > 0);
    assert_eq!(lab.door().places().len(), 1, "nothing is added");
    lab.check_always();
}

/// Two orders of ours, one trade number.
pub(crate) fn f16_one_trade_number_of_two_orders_is_two_fills(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let clients = lab.enter(2);
    let trade = run.rng.random_range(1..1_000_000);
    lab.venue().faults.jitter_ns = run.rng.random_range(1..100_000_000);
    for &client in &clients {
        let qty = part(&lab, client, 50);
        lab.venue().fill_as(client, qty, trade);
    }
    run.occurred("one trade number on two orders", 1);
    lab.run_s(1);
    assert_eq!(lab.risk().position(BTC).qty.units(), lab.door().base, "both are booked");
    lab.settle();
}

/// What a venue may say of one order.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Word {
    Ack,
    Partial,
    Rest,
    Cancelled,
    Expired,
    CancelAck,
}

/// Every order of {ack, partial, fill, cancel, cancel's ack, expiry}, of each of the three ends.
pub(crate) fn f17_words_in_any_order_end_where_they_must(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.venue().faults.mute = true;
    let ends: [(&[Word], OrderState); 3] = [
        (&[Word::Ack, Word::Partial, Word::Rest], OrderState::Filled),
        (&[Word::Ack, Word::Partial, Word::Cancelled, Word::CancelAck], OrderState::Cancelled),
        (&[Word::Ack, Word::Partial, Word::Expired], OrderState::Expired),
    ];
    for (words, end) in ends {
        for words in permutations(words) {
            run.occurred("news before the ack", u64::from(words[0] != Word::Ack));
            let client = lab.enter(1)[0];
            say_all(&mut lab, client, &words, end);
            lab.run_ms(20);
            assert_eq!(lab.state(client), Some(end), "{words:?}");
            let live = lab.gateway.orders().get(ClientOrderId(client)).map(|live| (live.state, live.filled));
            let filled = lab.door().orders[&client].filled;
            assert_eq!(live, Some((end, filled)), "{words:?}");
            assert_eq!(lab.risk().position(BTC).qty.units(), lab.door().base, "{words:?}");
            assert_eq!(lab.risk().frozen(BTC), None, "{words:?}: no contradiction");
        }
    }
    lab.settle();
}

/// Lets everything happen at the venue first, and tells of it in the given order.
fn say_all(lab: &mut Lab, client: u64, words: &[Word], end: OrderState) {
    let half = part(lab, client, 40);
    let venue = lab.venue();
    // The private stream is down while it happens, and its words are said by hand.
    let first = venue.fills.len();
    venue.drop_quietly(true);
    venue.fill(client, half);
    let mut rest = None;
    if end == OrderState::Filled {
        let open = venue.orders[&client].open();
        venue.fill(client, open);
        rest = venue.fills.get(first + 1).copied();
    }
    let partial = venue.fills[first];
    venue.end(client, end);
    let last = Venue::update(client, &venue.orders[&client], false);
    venue.drop_quietly(false);
    for word in words {
        match word {
            Word::Ack => lab.venue().reply(ReplyKind::Accepted, false, ClientOrderId(client), 0),
            Word::CancelAck => lab.venue().reply(ReplyKind::Accepted, true, ClientOrderId(client), 0),
            Word::Partial => lab.venue().tell(Body::Order(partial)),
            Word::Rest => lab.venue().tell(Body::Order(rest.unwrap())),
            Word::Cancelled | Word::Expired => lab.venue().tell(Body::Order(last)),
        }
        lab.run_ms(3);
    }
}

fn permutations(words: &[Word]) -> Vec<Vec<Word>> {
    let [first, rest @ ..] = words else { return vec![Vec::new()] };
    let shorter = permutations(rest);
    let places = |words: Vec<Word>| {
        (0..=words.len()).map(move |at| {
            let mut longer = words.clone();
            longer.insert(at, *first);
            longer
        })
    };
    shorter.into_iter().flat_map(places).collect()
}

/// An exit is filled in part, and the rest of it expires.
pub(crate) fn f18_what_a_partial_exit_leaves_is_still_sold(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.wants.qty_units.store(Qty::ONE.units() * 3 / 1_000, Relaxed);
    let client = lab.enter(1)[0];
    let whole = part(&lab, client, 100);
    lab.venue().fill(client, whole);
    lab.run_ms(200);
    lab.venue().faults.leaves_percent = 60;
    lab.venue().faults.jitter_ns = run.rng.random_range(1..50_000_000);
    lab.wants.exit.store(true, Relaxed);
    let dust = 9_000; // below 5 dollars
    lab.until("all is sold", 120, |lab| lab.door().base < dust);
    let (mut sells, mut sold) = (0, 0);
    for (order, spec) in lab.door().places().iter().filter(|(_, spec)| spec.side == Side::Sell) {
        assert!(order.reduce_only, "an exit only reduces");
        assert!(spec.qty.units() <= whole.units() - sold, "its size is what the venue says is held");
        sold += lab.door().orders[&order.client.0].filled.units();
        sells += 1;
    }
    assert!(sells > 2);
    assert_eq!(lab.door().oversold, 0);
    run.occurred("exit filled in part", lab.count("partly filled and expired"));
    lab.settle();
}

/// Fees in the base asset, in the quote asset, in a third one: the venue takes them out of what is held.
pub(crate) fn f19_a_fee_in_the_base_asset_leaves_dust_and_no_loop(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let kind = run.rng.random_range(0..3);
    lab.venue().faults.base_fee_per_mille = if kind == 0 { run.rng.random_range(1..10) } else { 0 };
    lab.venue().faults.third_fee = kind == 1;
    let clients = lab.enter(3);
    for &client in &clients {
        let whole = part(&lab, client, run.rng.random_range(50..101));
        lab.venue().fill(client, whole);
    }
    lab.run_ms(500);
    lab.venue().faults.loses_cancels = false;
    lab.wants.cancel.store(true, Relaxed);
    lab.run_s(1);
    lab.wants.cancel.store(false, Relaxed);
    lab.wants.exit.store(true, Relaxed);
    lab.run_s(60);
    let sells = lab.door().places().iter().filter(|(_, spec)| spec.side == Side::Sell).count();
    assert!(sells <= 2, "{sells}: it is sold, and not tried again and again");
    assert_eq!(lab.door().oversold, 0, "never more than is held");
    assert!((0..9_000).contains(&lab.door().base), "dust: {}", lab.door().base);
    assert_eq!(lab.risk().position(BTC).qty.units(), lab.door().base, "and accounted for");
    run.occurred("fee in base", lab.count("fee in base"));
    run.occurred("fee in a third asset", lab.count("fee in third"));
    lab.settle();
}
