//! What the desk answers, and whether its books balance: refusals, cancels, queries; whole sessions.

use std::collections::BTreeMap;

use interlock::event::{Action, Body, Fact, OrderSpec, ReplyKind};
use interlock::sim::fill::{FillEvent, FillModel, Latency};
use interlock::types::{
    Cash, ClientOrderId, Level, OrderState, OrderType, Price, Qty, Reason, Side, TimeInForce, TradeId,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{BASE, ID, MS, Paper, QUOTE, limit, market, pair, qty};
use crate::support;

#[test]
fn refusals_are_the_venues() {
    let mut paper = Paper::new();
    paper.open_book();
    let mut code = |spec| {
        let out = paper.place(spec);
        assert!(out.orders.is_empty(), "{:?}", out.orders);
        (out.replies[0].kind, out.replies[0].venue_code)
    };
    let rejected = |code| (ReplyKind::Rejected, code);
    assert_eq!(code(limit(Side::Buy, "100.001", "1")), rejected(-1013));
    assert_eq!(code(limit(Side::Buy, "100", "0.000001")), rejected(-1013));
    assert_eq!(code(limit(Side::Buy, "100", "0.04")), rejected(-1013));
    assert_eq!(code(limit(Side::Buy, "100", "9000.00001")), rejected(-1013));
    assert_eq!(code(limit(Side::Sell, "150", "11")), rejected(-2010));
    assert_eq!(code(market(Side::Sell, "11")), rejected(-2010));
    assert_eq!(code(limit(Side::Buy, "150", "8000")), rejected(-2010));
    assert_eq!(paper.balance(QUOTE), pair("1000000", "0"));
    let order = paper.order(Action::Place(limit(Side::Buy, "90", "1")));
    paper.model.place(&order, paper.now_ns);
    paper.model.place(&order, paper.now_ns);
    let out = paper.wait(5);
    assert_eq!(out.replies[0].kind, ReplyKind::Accepted);
    assert_eq!((out.replies[1].kind, out.replies[1].venue_code), rejected(-2010));
}

#[test]
fn cancel_replace_cancel_all_and_queries() {
    let mut paper = Paper::new();
    paper.open_book();
    let old = paper.send(limit(Side::Buy, "90", "1"));
    paper.wait(5);
    let replace = paper.order(Action::Replace { target: old, spec: limit(Side::Buy, "91", "2") });
    paper.model.place(&replace, paper.now_ns);
    let out = paper.wait(5);
    let replies: Vec<_> = out.replies.iter().map(|r| (r.client, r.cancel, r.kind)).collect();
    assert_eq!(replies, [(old, true, ReplyKind::Accepted), (replace.client, false, ReplyKind::Accepted)]);
    assert_eq!(out.states(), [OrderState::Cancelled, OrderState::Acknowledged]);
    assert_eq!(paper.balance(QUOTE), pair("999818", "182"));
    // Again: the target is gone, so nothing new comes.
    let again = paper.order(Action::Replace { target: old, spec: limit(Side::Buy, "92", "2") });
    paper.model.place(&again, paper.now_ns);
    let out = paper.wait(5);
    let codes: Vec<_> = out.replies.iter().map(|r| (r.kind, r.venue_code, r.reason)).collect();
    assert_eq!(
        codes,
        [
            (ReplyKind::Rejected, -2011, Reason::UnknownOrder),
            (ReplyKind::Rejected, -2022, Reason::VenueReject)
        ]
    );
    paper.model.query_open_orders(paper.now_ns);
    paper.model.query_order(ID, old, paper.now_ns);
    paper.model.query_order(ID, ClientOrderId::new(9, 9), paper.now_ns);
    let out = paper.wait(5);
    assert_eq!(out.open, Some(1));
    assert!(out.orders.iter().all(|o| o.snapshot));
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Cancelled]);
    assert_eq!((out.replies[0].kind, out.replies[0].venue_code), (ReplyKind::Absent, -2013));

    paper.place(limit(Side::Sell, "110", "1"));
    paper.model.cancel_all(ID, paper.now_ns);
    paper.model.query_open_orders(paper.now_ns);
    paper.model.query_account(paper.now_ns);
    let out = paper.wait(5);
    assert_eq!((out.replies[0].kind, out.replies[0].cancel), (ReplyKind::Accepted, true));
    assert_eq!(out.states(), [OrderState::Cancelled, OrderState::Cancelled]);
    assert_eq!(out.open, Some(0));
    assert_eq!(paper.balance(QUOTE), pair("1000000", "0"));
    paper.model.cancel(ID, old, paper.now_ns);
    assert_eq!(paper.wait(5).replies[0].venue_code, -2011);
}

/// A random market and random orders; returns everything that came out.
fn random_session(seed: u64) -> (Vec<FillEvent>, FillModel) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut paper = Paper::with(|config| {
        config.request_latency = Latency::Uniform { min_ns: 500_000, max_ns: 4 * MS };
        config.seed = seed;
    });
    paper.open_book();
    let mut clients = Vec::new();
    for _ in 0..2_000 {
        paper.now_ns += rng.random_range(0..3 * MS);
        let at = Price::from_units(rng.random_range(9_700..10_400) * 10_000_000);
        let amount = Qty::from_units(rng.random_range(0..300_000) * 1_000);
        let side = if rng.random_bool(0.5) { Side::Buy } else { Side::Sell };
        match rng.random_range(0..10) {
            0..=3 => {
                paper.depth(false, &[(side, Level::new(at, amount))]);
            }
            4 => {
                paper.trade(side, &at.to_string(), &(amount.checked_add(qty("0.001")).unwrap()).to_string());
            }
            5 => {
                let ask = Price::from_units(at.units() + rng.random_range(1..100) * 10_000_000);
                paper.quote(Level::new(at, qty("1")), Level::new(ask, qty("1")));
            }
            6 | 7 => {
                let spec = OrderSpec {
                    side,
                    order_type: [OrderType::Limit, OrderType::Market, OrderType::LimitMaker]
                        [rng.random_range(0..3)],
                    time_in_force: [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok]
                        [rng.random_range(0..3)],
                    price: at,
                    qty: amount,
                };
                clients.push(paper.send(spec));
            }
            8 if !clients.is_empty() => {
                let client = clients[rng.random_range(0..clients.len())];
                paper.model.cancel(ID, client, paper.now_ns);
            }
            _ => {}
        }
        paper.fact(Body::Timer);
    }
    // What is still on its way arrives.
    paper.wait(50);
    (paper.log, paper.model)
}

#[test]
fn the_same_session_gives_the_same_fills() {
    let seed = support::seed(77);
    let first = format!("{:?}", random_session(seed).0);
    assert_eq!(first, format!("{:?}", random_session(seed).0));
    assert_ne!(first, format!("{:?}", random_session(seed + 1).0));
}

#[test]
fn money_is_what_the_fills_say_and_locks_end_with_the_orders() {
    let seed = support::seed(4_242);
    for run in 0..20 {
        let (events, mut model) = random_session(seed + run);
        let mut fills = 0;
        let mut filled: BTreeMap<u64, i64> = BTreeMap::new();
        let mut owned = [10 * i128::from(Qty::ONE.units()), 1_000_000 * i128::from(Qty::ONE.units())];
        for event in &events {
            if let FillEvent::Body(Body::Order(o)) = event
                && o.trade != TradeId(0)
            {
                fills += 1;
                let so_far = filled.entry(o.client.0).or_default();
                *so_far += o.qty.units();
                assert_eq!(o.filled.units(), *so_far, "{o:?}");
                let value = i128::from(Cash::notional_floor(o.price, o.qty).unwrap().units());
                let (got, paid) = if o.side == Side::Buy { (0, 1) } else { (1, 0) };
                let amounts = [i128::from(o.qty.units()), value];
                owned[got] += amounts[got] - i128::from(o.fee.units());
                owned[paid] -= amounts[paid];
                assert_eq!(o.fee_asset, [BASE, QUOTE][got]);
            }
            if let FillEvent::Body(Body::Balance(b)) = event {
                assert!(b.free >= Qty::ZERO && b.locked >= Qty::ZERO, "run {run} of seed {seed}: {b:?}");
            }
        }
        assert!(fills > 20, "run {run} of seed {seed}: {fills} fills prove nothing");
        model.cancel_all(ID, i64::MAX - 1_000 * MS);
        let end = Fact { seq: u64::MAX, recv_ns: i64::MAX - 1, body: Body::Timer };
        model.on_fact(&end);
        model.poll(&mut |_| {});
        assert_eq!((model.open_orders(), model.pending()), (0, 0));
        for (asset, owned) in [BASE, QUOTE].into_iter().zip(owned) {
            let (free, locked) = model.balance(asset);
            assert_eq!(locked, Qty::ZERO, "run {run} of seed {seed}: nothing stays locked");
            assert_eq!(i128::from(free.units()), owned, "run {run} of seed {seed}: {asset:?}");
        }
    }
}
