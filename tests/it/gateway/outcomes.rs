//! How orders end of which the venue does not tell (F1-F7): asked about, never sent again, never given up.

use interlock::event::{Body, ReplyKind};
use interlock::gateway::Request;
use interlock::types::time::NS_PER_S;
use interlock::types::{OrderState, Reason};

use super::rig::Rig;

#[test]
fn f1_f4_a_lost_answer_is_asked_for_and_the_order_is_not_sent_again() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.loses_acks = true;
    let client = rig.order();
    rig.run_s(10);
    let kinds: Vec<_> = rig.replies(client).iter().map(|r| r.0).collect();
    assert_eq!(kinds, [ReplyKind::Sent, ReplyKind::Unknown]);
    let found = |b: &Body| matches!(b, Body::Order(u) if u.client == client && u.snapshot);
    assert!(rig.told.iter().any(found), "the query found it");
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Acknowledged));
    assert_eq!(rig.venue().places(), 1);
    assert_eq!(
        rig.venue().count(|r| matches!(r, Request::OrderStatus { .. })),
        1,
        "asked until answered, not longer"
    );
}

#[test]
fn f4_a_filled_order_with_a_lost_answer_is_found_filled() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.loses_acks = true;
    rig.venue().faults.deaf_to_queries = true;
    let client = rig.order();
    rig.run_s(8);
    rig.venue().end(client.0, OrderState::Filled);
    rig.venue().faults.deaf_to_queries = false;
    rig.run_s(8);
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Filled));
    assert_eq!(rig.venue().places(), 1);
}

#[test]
fn f2_queries_that_fail_for_ten_minutes_end_nothing() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.loses_acks = true;
    rig.venue().faults.deaf_to_queries = true;
    let client = rig.order();
    rig.run_s(600);
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Unknown));
    assert_eq!(rig.page.open_orders(), 1, "it may be open");
    let asked = rig.venue().count(|r| matches!(r, Request::OrderStatus { .. }));
    assert!((100..200).contains(&asked), "asked all the time, at the slow pace: {asked}");
    rig.venue().faults.deaf_to_queries = false;
    rig.run_s(10);
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Acknowledged));
}

#[test]
fn f7_not_found_is_believed_only_late_and_from_two_sources() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.loses_orders = true;
    let client = rig.order();
    rig.run_s(34);
    assert!(!rig.is_told(|r| r.kind == ReplyKind::Absent), "not within the receive window and 30 s");
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Unknown));
    rig.run_s(20);
    let absent = rig.replies(client).iter().filter(|r| r.0 == ReplyKind::Absent).count();
    assert_eq!(absent, 1, "told once");
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Rejected));
    assert_eq!(rig.page.open_orders(), 0);
}

#[test]
fn f7_a_reconcile_need_not_wait_for_what_is_denied_and_the_order_has_not_ended() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.loses_orders = true;
    let client = rig.order();
    rig.run_ms(2);
    let epoch = rig.trip();
    rig.run_s(5);
    assert!(rig.page.reconciled() < epoch, "it may still arrive");
    rig.run_s(8);
    assert!(rig.is_silent(epoch));
    assert_eq!(rig.page.reconciled(), epoch, "denied by query and by list, when it could no longer arrive");
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Unknown), "not terminal");
    assert!(!rig.is_told(|r| r.kind == ReplyKind::Absent));
    rig.run_s(40);
    assert!(rig.is_told(|r| r.kind == ReplyKind::Absent), "when it can be believed");
}

#[test]
fn f7_an_order_that_shows_up_late_was_never_given_up() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.loses_acks = true;
    rig.venue().faults.visible_after_ns = 30 * NS_PER_S;
    let client = rig.order();
    rig.run_s(29);
    assert!(!rig.is_told(|r| r.kind == ReplyKind::Absent));
    rig.run_s(15);
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Acknowledged));
    assert!(!rig.is_told(|r| r.kind == ReplyKind::Absent));
}

#[test]
fn f5_a_lost_cancel_is_asked_about_and_sent_again_while_the_order_lives() {
    let mut rig = Rig::armed(&[]);
    let client = rig.order();
    rig.run_ms(3);
    rig.venue().faults.loses_cancels = true;
    rig.cancel(client);
    rig.run_s(7);
    assert_eq!(rig.venue().open_count(), 1);
    rig.venue().faults.loses_cancels = false;
    rig.run_s(15);
    assert_eq!(rig.venue().open_count(), 0, "sent again, with nobody asking");
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Cancelled));
}

#[test]
fn a_cancel_that_meets_a_filled_order_finds_the_fill() {
    let mut rig = Rig::armed(&[]);
    let client = rig.order();
    rig.run_ms(3);
    rig.venue().faults.deaf = true; // the fill's message is lost
    rig.venue().end(client.0, OrderState::Filled);
    rig.venue().faults.deaf = false;
    rig.cancel(client);
    rig.run_s(2);
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Filled));
    assert_eq!(rig.venue().count(|r| matches!(r, Request::Cancel { .. })), 0, "nothing is left to cancel");
}

#[test]
fn a_lost_connection_makes_outcomes_unknown_and_the_next_one_settles_them() {
    let mut rig = Rig::armed(&[]);
    let acked = rig.order();
    rig.run_ms(3);
    rig.venue().faults.loses_acks = true;
    let open = rig.order();
    rig.run_ms(2);
    rig.venue().disconnect();
    rig.run_ms(20);
    assert_eq!(rig.replies(open).last(), Some(&(ReplyKind::Unknown, Reason::ConnectionLost)));
    // Meanwhile one is filled; its message went to a connection that was not there.
    rig.venue().end(acked.0, OrderState::Filled);
    rig.venue().connect();
    rig.run_s(3);
    let states = [acked, open].map(|c| rig.gateway.orders().get(c).map(|l| l.state));
    assert_eq!(states, [Some(OrderState::Filled), Some(OrderState::Acknowledged)]);
    assert_eq!(rig.venue().places(), 2);
    assert!(rig.gateway.is_session_up());
}

#[test]
fn an_order_whose_write_broke_the_link_may_have_left() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.breaks_in_write = true;
    let client = rig.order();
    rig.run_ms(5);
    assert_eq!(
        rig.replies(client)[..2],
        [(ReplyKind::Sent, Reason::None), (ReplyKind::Unknown, Reason::Closed)]
    );
    rig.venue().connect();
    rig.run_s(3);
    assert_eq!(rig.gateway.orders().get(client).map(|l| l.state), Some(OrderState::Acknowledged));
    assert_eq!(rig.venue().places(), 1);
}

#[test]
fn r_hot_8_no_answer_is_lost_when_the_engine_stops_taking_them() {
    use super::rig::Sizes;
    use interlock::gateway::GatewayConfig;
    let config = GatewayConfig { read_every: 1, ..GatewayConfig::default() };
    let mut rig = Rig::with(config, &[], &Sizes { returns: 80, journal: 4_096 });
    rig.arm();
    rig.drains = false;
    let clients: Vec<_> = (0..150)
        .map(|_| {
            let client = rig.order();
            rig.run_ms(1);
            client
        })
        .collect();
    rig.run_ms(50);
    assert_eq!(rig.venue().places(), 150, "the gateway never stops for a full return ring");
    rig.drains = true;
    rig.run_ms(200);
    for client in clients {
        let kinds: Vec<_> = rig.replies(client).iter().map(|r| r.0).collect();
        assert_eq!(kinds, [ReplyKind::Sent, ReplyKind::Accepted], "{client}");
    }
}
