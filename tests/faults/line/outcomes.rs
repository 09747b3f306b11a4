//! What became of an order? F1 to F5, F7, F8.

use std::sync::atomic::Ordering::Relaxed;

use interlock::event::{Body, ReplyKind};
use interlock::gateway::Request;
use interlock::types::{OrderState, Qty, Reason, Side};
use rand::Rng;

use crate::lab::{Lab, Setup, roomy};
use crate::run::Run;
use crate::venue::BTC;

/// Answers on the line that say an order is no more.
fn ends_told(lab: &Lab) -> usize {
    let ends = |kind| matches!(kind, ReplyKind::Rejected | ReplyKind::Absent);
    let is = |body: &&Body| matches!(body, Body::Reply(r) if !r.cancel && ends(r.kind));
    lab.facts.iter().filter(is).count()
}

fn queries(lab: &Lab) -> usize {
    lab.door().count_written(|r| matches!(r, Request::OrderStatus { .. }))
}

/// The answer is lost, the order lives.
pub(crate) fn f1_a_lost_answer_is_no_refusal(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.venue().faults.loses_acks = true;
    lab.wants.eager.store(true, Relaxed);
    lab.until("an order in the book", 10, |lab| !lab.door().orders.is_empty());
    let client = *lab.door().orders.keys().next().unwrap();
    let is_unknown = |body: &Body| matches!(body, Body::Reply(r) if r.kind == ReplyKind::Unknown);
    lab.until("an unknown outcome", 10, |lab| lab.facts.iter().any(is_unknown));
    lab.venue().faults.jitter_ns = run.rng.random_range(1..300_000_000);
    lab.want(run.rng.random_range(1..5));
    lab.until("the query's answer", 30, |lab| lab.state(client) == Some(OrderState::Acknowledged));
    assert!(queries(&lab) > 0, "asked by client id");
    assert_eq!(lab.door().places().len(), lab.door().orders.len(), "one order for each intent");
    assert_eq!(ends_told(&lab), 0);
    run.occurred("ack lost", lab.count("ack lost"));
    lab.wants.eager.store(false, Relaxed);
    lab.want(0);
    lab.settle();
}

/// Queries fail for ten minutes: lost, or refused at once, as chance has it.
pub(crate) fn f2_ten_minutes_of_failed_queries_end_nothing(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.venue().faults.loses_acks = true;
    let is_deaf = run.rng.random_bool(0.5);
    lab.venue().faults.deaf_to_queries = is_deaf;
    lab.venue().faults.fails_queries = !is_deaf;
    let clients = lab.enter(1);
    let count = clients.len();
    lab.run_s(6);
    for _ in 0..10 {
        lab.want(5);
        lab.run_min(1);
        for &client in &clients {
            assert!(lab.state(client).is_some_and(OrderState::may_be_open), "still tracked");
        }
        assert!(lab.risk().exposure().units() > 0, "the exposure stays reserved");
        assert_eq!(lab.risk().open_orders(), count);
    }
    assert_eq!(ends_told(&lab), 0, "a failed query is not `no such order`");
    assert_eq!(lab.door().places().len(), count, "nothing is added where an outcome is unknown");
    run.occurred("query without answer", lab.count("query lost") + lab.count("query failed"));
    lab.want(0);
    lab.settle();
    assert_eq!(lab.door().open().len(), count, "and the orders live");
}

/// Silence past all retries; then the fill comes.
pub(crate) fn f3_silence_is_no_rejection_and_the_late_fill_is_booked(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.venue().faults.loses_acks = true;
    lab.venue().faults.deaf_to_queries = true;
    let client = lab.enter(1)[0];
    lab.run_min(run.rng.random_range(1..6));
    assert_eq!(lab.state(client), Some(OrderState::Unknown));
    run.occurred("silence past all retries", u64::from(lab.count("query lost") > 10));
    let whole = lab.door().orders[&client].qty;
    let part = Qty::from_units(whole.units() / 2_000 * 1_000);
    let qty = if run.rng.random_bool(0.5) { whole } else { part };
    lab.venue().fill(client, qty);
    lab.run_s(2);
    assert_eq!(lab.risk().position(BTC).qty, qty, "the fill is booked though nothing was ever acknowledged");
    assert_eq!(ends_told(&lab), 0, "no reject is told");
    lab.settle();
}

/// 503 after the acceptance, and the first order is filled before anybody asks: its id would be free for a second one.
pub(crate) fn f4_a_503_is_asked_about_and_never_sent_again(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    lab.venue().faults.answers_503 = true;
    lab.venue().faults.jitter_ns = run.rng.random_range(1..2_000_000_000);
    lab.want(1);
    lab.until("the order", 10, |lab| !lab.door().orders.is_empty());
    let client = *lab.door().orders.keys().next().unwrap();
    let whole = lab.door().orders[&client].qty;
    if run.rng.random_bool(0.5) {
        lab.venue().drop_stream();
    }
    lab.venue().fill(client, whole);
    lab.until("the fill is known", 30, |lab| lab.risk().position(BTC).qty == whole);
    lab.venue().restore_stream();
    lab.settle();
    assert_eq!(lab.door().places().len(), 1, "sent once");
    assert_eq!(lab.state(client), Some(OrderState::Filled));
    run.occurred("503 after acceptance", lab.count("503 after acceptance"));
}

/// Cancels get lost; meanwhile the strategy wants a replacement, and there is room for one order.
pub(crate) fn f5_a_lost_cancel_leaves_the_order_counted(run: &mut Run) {
    let risk = interlock::risk::RiskConfig { open_orders_max: 1, ..roomy() };
    let mut lab = Lab::with(run.seed, &Setup { risk, ..Setup::default() });
    let client = lab.enter(1)[0];
    lab.venue().faults.loses_cancels = true;
    lab.venue().faults.deaf_to_queries = run.rng.random_bool(0.5);
    lab.wants.cancel.store(true, Relaxed);
    lab.want(1);
    let is_filled = run.rng.random_bool(0.5);
    for _ in 0..run.rng.random_range(10..40) {
        lab.run_s(1);
        assert!(lab.state(client).is_some_and(OrderState::may_be_open), "still pending");
        assert_eq!(lab.door().places().len(), 1, "no replacement while the first may be open");
    }
    assert!(lab.refused(Reason::OpenOrders) + lab.refused(Reason::InstrumentFrozen) > 0);
    run.occurred("cancel lost", lab.count("cancel lost"));
    let whole = lab.door().orders[&client].qty;
    if is_filled {
        lab.venue().fill(client, whole);
        lab.run_s(1);
        assert_eq!(lab.risk().position(BTC).qty, whole, "the order that was as good as cancelled is filled");
    }
    lab.want(0);
    lab.settle();
    let end = if is_filled { OrderState::Filled } else { OrderState::Cancelled };
    assert_eq!(lab.state(client), Some(end), "and in the end it is cancelled, or found filled");
}

/// "Order not found" in the first half minute, from a replica that lags; or because it never arrived.
pub(crate) fn f7_not_found_is_believed_late_and_from_two_sources(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let arrives = run.rng.random_bool(0.7);
    if arrives {
        lab.venue().faults.loses_acks = true;
        lab.venue().faults.visible_after_ns = run.rng.random_range(10..30) * 1_000_000_000;
        let client = lab.enter(1)[0];
        for _ in 0..30 {
            lab.run_s(1);
            assert!(lab.state(client).is_some_and(OrderState::may_be_open), "not terminal");
        }
        assert_eq!(ends_told(&lab), 0);
        run.occurred("not found though it exists", lab.count("not found though it exists"));
        lab.settle();
        assert_eq!(lab.state(client), Some(OrderState::Acknowledged));
    } else {
        lab.venue().faults.loses_orders = true;
        lab.want(1);
        lab.until("the order", 10, |lab| lab.count("order lost") > 0);
        let written_ns = lab.now.ns;
        let client = lab.door().places()[0].0.client;
        lab.until("proved absent", 90, |lab| ends_told(lab) > 0);
        assert!(
            lab.now.ns - written_ns > 35_000_000_000,
            "not before receive window and replica lag are over"
        );
        let lists = lab.door().count_written(|r| matches!(r, Request::OpenOrders));
        assert!(queries(&lab) > 0 && lists > 1, "two sources");
        lab.settle();
        assert!(lab.risk().order(client).is_none_or(|(state, _)| state.is_terminal()));
        assert_eq!(lab.risk().open_orders(), 0);
    }
}

/// The venue acknowledges an order that only reduces, and forgets it for forty minutes. (Interlock sends no conditional orders:
/// its stops and take-profits are orders that only reduce, raised by the engine.)
pub(crate) fn f8_an_exit_that_the_venue_forgets_is_not_placed_again(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let client = lab.enter(1)[0];
    let whole = lab.door().orders[&client].qty;
    lab.venue().fill(client, whole);
    lab.run_ms(200);
    lab.venue().faults.visible_after_ns = 40 * 60 * 1_000_000_000;
    lab.wants.exit_waits.store(true, Relaxed);
    lab.run_s(1);
    for _ in 0..39 {
        if run.rng.random_bool(0.5) {
            lab.command(interlock::event::CommandKind::Reconcile);
        } else {
            lab.venue().drop_stream();
            lab.run_s(1);
            lab.venue().restore_stream();
        }
        lab.run_min(1);
        let sells = |lab: &Lab| lab.door().places().iter().filter(|(_, s)| s.side == Side::Sell).count();
        assert_eq!(sells(&lab), 1, "one exit, however often it is asked for");
        assert_eq!(lab.risk().open_orders(), 1, "still counted");
    }
    assert!(lab.wants.asked.load(Relaxed) > 100, "it was asked for");
    assert!(lab.door().places().iter().all(|(o, s)| s.side == Side::Buy || o.reduce_only));
    run.occurred(
        "order forgotten",
        lab.count("not found though it exists") + lab.count("not listed though it exists"),
    );
    lab.wants.exit_waits.store(false, Relaxed);
    lab.run_min(3);
    lab.command(interlock::event::CommandKind::Reconcile);
    lab.settle();
    assert_eq!(lab.door().oversold, 0);
}
