//! The ledger: fills once, answers in any order, orders that are not known (F14-F17 of the fault catalogue).

use interlock::event::ledger::tracked;
use interlock::event::{Body, CarriedOrder, Fact, Ledger, ReplyKind};
use interlock::limits::{FILLS_REMEMBERED, ORDER_SLOTS, ORDERS_OPEN_MAX};
use interlock::types::table::RecentSet;
use interlock::types::{
    AssetId, ClientOrderId, FixedTable, OrderState, Position, Qty, Side, StrategyId, TradeId,
};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use crate::market::{BTC, Facts, Placed, price, qty, spec, table};
use crate::support::seed;

fn placed(counter: u64) -> Placed {
    Placed { client: ClientOrderId::new(1, counter), instrument: BTC, spec: spec(Side::Buy, "100", "1") }
}

fn enter(ledger: &mut Ledger<()>, order: &Placed) {
    ledger.enter(tracked(order.client, BTC, StrategyId(0), &order.spec, ())).unwrap();
}

/// What a fact books, and whether it contradicts the past.
fn feed(ledger: &mut Ledger<()>, fact: &Fact) -> (Qty, bool) {
    let change = match &fact.body {
        Body::Order(update) => ledger.on_update(update).and_then(Result::ok),
        Body::Reply(reply) => ledger.on_reply(reply),
        _ => None,
    };
    change.map_or((Qty::ZERO, false), |c| (c.fill.map_or(Qty::ZERO, |f| f.qty), c.conflict || c.overfill))
}

/// R-ORD-4, F6: an order of an earlier boot counts as unknown; the venue's answer books only what is new since.
#[test]
fn f06_a_carried_order_is_unknown_until_the_venue_speaks_and_books_only_what_is_new() {
    let mut facts = Facts::new();
    let order = placed(1);
    let carried = CarriedOrder {
        client: order.client,
        venue_order: interlock::types::VenueOrderId(7),
        instrument: BTC,
        strategy: StrategyId(0),
        side: Side::Buy,
        reduce_only: false,
        price: price("100"),
        qty: qty("1"),
        filled: qty("0.25"),
        placed_ns: 5,
    };
    let mut ledger = Ledger::<()>::default();
    let change = ledger.carry(&carried, ()).unwrap().unwrap();
    assert_eq!((change.after, change.fill), (OrderState::Unknown, None));
    assert_eq!(ledger.carry(&carried, ()), Ok(None), "once");
    // The venue counts more than was booked before the end of the boot: the rest is booked, and the late message is not.
    let (booked, wrong) = feed(&mut ledger, &facts.order(&order, OrderState::Cancelled, qty("0.75"), true));
    assert_eq!((booked, wrong), (qty("0.5"), false));
    let late = facts.fill(&order, price("100"), 9, qty("0.5"), qty("0.75"));
    assert_eq!(feed(&mut ledger, &late).0, Qty::ZERO);
    assert_eq!(ledger.get(order.client).unwrap().filled, qty("0.75"));
    assert_eq!(ledger.open_len(), 0);
}

#[test]
fn f17_fills_answers_and_doubles_in_any_order_end_in_the_same_state() {
    let seed = seed(0x1ed6);
    let mut rng = SmallRng::seed_from_u64(seed);
    for round in 0..5_000 {
        let mut facts = Facts::new();
        let order = placed(1);
        let mut messages = vec![
            facts.reply(ReplyKind::Sent, order.client, false),
            facts.reply(ReplyKind::Accepted, order.client, false),
            facts.order(&order, OrderState::Acknowledged, Qty::ZERO, false),
            facts.fill(&order, price("100"), 1, qty("0.25"), qty("0.25")),
            facts.fill(&order, price("101"), 2, qty("0.25"), qty("0.5")),
            facts.fill(&order, price("102"), 3, qty("0.5"), qty("1")),
        ];
        // Doubles of anything, and the answer to a query somewhere between.
        for _ in 0..rng.random_range(0..4) {
            let again = messages[rng.random_range(0..messages.len())];
            messages.push(again);
        }
        if rng.random_bool(0.5) {
            messages.push(facts.order(&order, OrderState::Filled, qty("1"), true));
        }
        messages.shuffle(&mut rng);
        let mut ledger = Ledger::default();
        enter(&mut ledger, &order);
        let mut booked = 0;
        for message in &messages {
            let (qty, conflict) = feed(&mut ledger, message);
            booked += qty.units();
            assert!(!conflict, "seed {seed} round {round}: no contradiction in {messages:?}");
        }
        let end = ledger.get(order.client).unwrap();
        assert_eq!((booked, end.filled), (qty("1").units(), qty("1")), "seed {seed} round {round}");
        assert_eq!(end.state, OrderState::Filled, "seed {seed} round {round}");
        assert_eq!(end.presumed, Qty::ZERO, "seed {seed} round {round}: every fill told in the end");
        assert_eq!(ledger.open_len(), 0);
    }
}

#[test]
fn a_cancel_that_overtakes_a_fill_message_books_it_once() {
    let (mut facts, order) = (Facts::new(), placed(1));
    let mut ledger = Ledger::default();
    enter(&mut ledger, &order);
    feed(&mut ledger, &facts.reply(ReplyKind::Sent, order.client, false));
    feed(&mut ledger, &facts.reply(ReplyKind::Sent, order.client, true));
    assert_eq!(ledger.get(order.client).unwrap().state, OrderState::CancelSent);
    // The cancel's answer alone ends nothing ...
    assert_eq!(feed(&mut ledger, &facts.reply(ReplyKind::Accepted, order.client, true)), (Qty::ZERO, false));
    assert_eq!(ledger.open_len(), 1);
    // ... the order's own final word does, with what was filled before ...
    let last = facts.order(&order, OrderState::Cancelled, qty("0.4"), false);
    assert_eq!(feed(&mut ledger, &last), (qty("0.4"), false));
    // ... and the late fill message is no second fill.
    let late = facts.fill(&order, price("100"), 5, qty("0.4"), qty("0.4"));
    assert_eq!(feed(&mut ledger, &late), (Qty::ZERO, false));
    let end = ledger.get(order.client).unwrap();
    assert_eq!((end.state, end.filled, end.presumed), (OrderState::Cancelled, qty("0.4"), Qty::ZERO));
    // A fill beyond that contradicts the venue's own final word.
    let more = facts.fill(&order, price("100"), 6, qty("0.1"), qty("0.5"));
    assert_eq!(feed(&mut ledger, &more), (qty("0.1"), true));
}

#[test]
fn a_cancel_that_overtakes_the_order_own_refusal_is_no_contradiction() {
    let (mut facts, order) = (Facts::new(), placed(1));
    let mut ledger = Ledger::default();
    enter(&mut ledger, &order);
    feed(&mut ledger, &facts.reply(ReplyKind::Sent, order.client, false));
    feed(&mut ledger, &facts.reply(ReplyKind::Sent, order.client, true));
    // The venue says no to the order, and then that there is nothing to cancel: both are the same news.
    assert_eq!(feed(&mut ledger, &facts.reply(ReplyKind::Rejected, order.client, false)), (Qty::ZERO, false));
    assert_eq!(feed(&mut ledger, &facts.reply(ReplyKind::Rejected, order.client, true)), (Qty::ZERO, false));
    assert_eq!((ledger.get(order.client).unwrap().state, ledger.open_len()), (OrderState::Rejected, 0));
    // Of an order that the venue had in its book, it does contradict.
    let order = placed(2);
    enter(&mut ledger, &order);
    feed(&mut ledger, &facts.reply(ReplyKind::Sent, order.client, false));
    feed(&mut ledger, &facts.order(&order, OrderState::Acknowledged, Qty::ZERO, false));
    feed(&mut ledger, &facts.reply(ReplyKind::Sent, order.client, true));
    assert_eq!(feed(&mut ledger, &facts.reply(ReplyKind::Rejected, order.client, false)), (Qty::ZERO, true));
    assert_eq!(ledger.get(order.client).unwrap().state, OrderState::Unknown);
}

#[test]
fn f15_a_double_under_a_new_trade_id_shows_as_an_overfill() {
    let (mut facts, order) = (Facts::new(), placed(1));
    let mut ledger = Ledger::default();
    enter(&mut ledger, &order);
    assert_eq!(
        feed(&mut ledger, &facts.fill(&order, price("100"), 1, qty("1"), qty("1"))),
        (qty("1"), false)
    );
    assert_eq!(feed(&mut ledger, &facts.fill(&order, price("100"), 2, qty("1"), qty("1"))), (qty("1"), true));
}

#[test]
fn f16_one_trade_id_on_two_orders_is_two_fills() {
    let (mut facts, one, other) = (Facts::new(), placed(1), placed(2));
    let mut ledger = Ledger::default();
    enter(&mut ledger, &one);
    enter(&mut ledger, &other);
    assert_eq!(feed(&mut ledger, &facts.fill(&one, price("100"), 9, qty("1"), qty("1"))).0, qty("1"));
    assert_eq!(feed(&mut ledger, &facts.fill(&other, price("100"), 9, qty("1"), qty("1"))).0, qty("1"));
}

#[test]
fn f6_orders_of_an_earlier_boot_are_adopted_and_a_stranger_is_ignored() {
    let (mut facts, old) = (Facts::new(), placed(77));
    let mut ledger: Ledger<()> = Ledger::default();
    // From a query: no surprise, and what was filled before is not booked here.
    let answer = facts.order(&old, OrderState::PartiallyFilled, qty("0.3"), true);
    assert_eq!(feed(&mut ledger, &answer), (Qty::ZERO, false));
    assert_eq!(ledger.get(old.client).unwrap().remaining(), qty("0.7"));
    assert_eq!(
        feed(&mut ledger, &facts.fill(&old, price("100"), 4, qty("0.7"), qty("1"))),
        (qty("0.7"), false)
    );
    assert_eq!(ledger.get(old.client).unwrap().state, OrderState::Filled);
    // Out of the blue: adopted, and a conflict.
    let surprise = placed(78);
    assert!(feed(&mut ledger, &facts.order(&surprise, OrderState::Acknowledged, Qty::ZERO, false)).1);
    assert_eq!(ledger.open_len(), 1);
    let stranger = Placed { client: ClientOrderId::NONE, ..old };
    let Body::Order(update) = facts.order(&stranger, OrderState::Acknowledged, Qty::ZERO, true).body else {
        panic!("an order update")
    };
    assert!(ledger.on_update(&update).is_none());
}

#[test]
fn f19_a_fee_in_the_base_asset_leaves_what_can_be_sold() {
    let table = table();
    let instrument = *table.get(BTC).unwrap();
    let (mut facts, order) = (Facts::new(), placed(1));
    let Body::Order(mut update) = facts.fill(&order, price("100"), 1, qty("1"), qty("1")).body else {
        panic!("an order update")
    };
    (update.fee, update.fee_asset) = (qty("0.001"), instrument.base);
    let mut ledger = Ledger::default();
    enter(&mut ledger, &order);
    let change = ledger.on_update(&update).unwrap().unwrap();
    let mut position = Position::default();
    change.fill.unwrap().book(&mut position, &instrument).unwrap();
    assert_eq!(position.qty, qty("0.999"));
    assert_eq!((position.fills, position.realised().to_string()), (1, "0".to_owned()));
    assert_eq!(position.fees.to_string(), "0.1");
    assert_ne!(instrument.base, AssetId::UNKNOWN);
}

#[test]
fn the_table_of_orders_makes_room_only_by_forgetting_ended_ones() {
    let mut facts = Facts::new();
    let mut ledger = Ledger::default();
    let keep = placed(1);
    enter(&mut ledger, &keep);
    for counter in 2..u64::try_from(ORDER_SLOTS * 4).unwrap() {
        let order = placed(counter);
        enter(&mut ledger, &order);
        let ended = if counter % 2 == 0 {
            facts.reply(ReplyKind::NotSent, order.client, false)
        } else {
            facts.order(&order, OrderState::Rejected, Qty::ZERO, false)
        };
        feed(&mut ledger, &ended);
    }
    assert!(ledger.get(keep.client).is_some(), "an open order is never forgotten");
    assert_eq!(ledger.open_len(), 1);
    for counter in 0..u64::try_from(ORDERS_OPEN_MAX).unwrap() - 1 {
        enter(&mut ledger, &placed(1_000_000 + counter));
    }
    let one_more = placed(2_000_000);
    assert!(ledger.enter(tracked(one_more.client, BTC, StrategyId(0), &one_more.spec, ())).is_err());
    let answer = facts.order(&one_more, OrderState::Acknowledged, Qty::ZERO, true);
    let Body::Order(update) = answer.body else { panic!("an order update") };
    assert!(matches!(ledger.on_update(&update), Some(Err(_))), "no room to adopt is said, not hidden");
}

#[test]
fn the_fixed_table_behaves_like_a_map() {
    let seed = seed(0x7ab1e);
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut table: FixedTable<ClientOrderId, u64> = FixedTable::new(64);
    let mut model = std::collections::BTreeMap::new();
    for step in 0..200_000 {
        // Few keys, so that probes collide and holes close.
        let key = ClientOrderId::new(1, rng.random_range(1..80));
        match rng.random_range(0..3) {
            0 => {
                let room = model.len() < 48 || model.contains_key(&key);
                assert_eq!(table.insert(key, step), room, "seed {seed} step {step}");
                if room {
                    model.insert(key, step);
                }
            }
            1 => assert_eq!(table.remove(key), model.remove(&key), "seed {seed} step {step}"),
            _ => assert_eq!(table.get(key), model.get(&key), "seed {seed} step {step}"),
        }
        assert_eq!(table.len(), model.len());
    }
    let mut all: Vec<_> = table.iter().map(|(k, v)| (k, *v)).collect();
    all.sort_unstable();
    assert_eq!(all, model.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_recent_set_forgets_the_oldest_only() {
    let mut set = RecentSet::new(8);
    let key = |n| (ClientOrderId::new(1, 1), TradeId(n));
    for n in 0..100 {
        assert!(set.insert(key(n)), "{n} is new");
        for back in 0..n.min(7) {
            assert!(!set.insert(key(n - back)), "{} was {back} ago", n - back);
        }
    }
    assert!(set.insert(key(0)), "long forgotten");
    assert!(FILLS_REMEMBERED.is_power_of_two());
}
