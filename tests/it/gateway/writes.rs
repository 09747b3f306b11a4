//! What leaves, and what does not.

use interlock::event::fact::LinkId;
use interlock::event::{Body, NoteKind, Record, ReplyKind, SentKind};
use interlock::gateway::{GatewayConfig, Limit, LimitKind, Request};
use interlock::shared::{Counter, HaltLevel};
use interlock::types::time::{NS_PER_MS, NS_PER_S};
use interlock::types::{InstrumentId, OrderState, Qty, Reason, Side};

use super::rig::{Rig, Sizes};
use super::venue::VenueOrder;
use crate::binance_support::{price, qty};

pub(super) fn open_order() -> VenueOrder {
    VenueOrder {
        instrument: InstrumentId(0),
        side: Side::Sell,
        price: price("61000"),
        qty: qty("0.5"),
        filled: Qty::ZERO,
        state: OrderState::Acknowledged,
        visible_from_ns: 0,
    }
}

#[test]
fn f6_the_session_is_up_only_after_account_and_open_orders_are_read_and_old_orders_are_adopted() {
    let mut rig = Rig::new(&[]);
    let old = interlock::types::ClientOrderId::new(1, 42);
    rig.venue().orders.insert(old.0, open_order());
    rig.venue().faults.deaf = true;
    rig.run_ms(50);
    assert!(!rig.gateway.is_session_up(), "nothing was read yet");
    rig.venue().faults.deaf = false;
    rig.run_s(3);
    assert!(rig.gateway.is_session_up());
    assert_eq!(rig.page.open_orders(), 1, "the order of an earlier boot is known");
    assert_eq!(rig.page.reconciled(), rig.page.view(rig.now).epoch);
    let up = |body: &Body| matches!(body, Body::Link(l) if l.link == LinkId::Orders && l.up);
    let up_at = rig.told.iter().position(up).expect("told");
    let old_at = rig.told.iter().position(|b| matches!(b, Body::Order(u) if u.client == old)).expect("told");
    assert!(old_at < up_at, "who hears that the session is up has heard what is open");
}

#[test]
fn an_order_is_journaled_before_it_is_told_as_sent() {
    let mut rig = Rig::armed(&[]);
    let client = rig.order();
    rig.run_ms(3);
    let sent = rig.records.iter().find_map(|r| match r {
        Record::Sent(s) if s.client == client => Some(*s),
        _ => None,
    });
    assert_eq!(sent.map(|s| s.kind), Some(SentKind::Place));
    assert_eq!(
        rig.replies(client).iter().map(|r| r.0).collect::<Vec<_>>(),
        [ReplyKind::Sent, ReplyKind::Accepted]
    );
    assert_eq!(rig.page.open_orders(), 1);
    assert_eq!(rig.traces.pop().map(|t| (t.read > 0, t.risk - t.read)), Ok((true, 3)));
    assert!(rig.counters.get(Counter::GatewaySent) > 0);
}

#[test]
fn r_hot_8_an_order_that_cannot_be_journaled_is_not_sent_and_trips_the_page() {
    let sizes = Sizes { returns: 1_024, journal: 32 };
    let mut rig = Rig::with(GatewayConfig { read_every: 1, ..GatewayConfig::default() }, &[], &sizes);
    rig.arm();
    rig.drains = false;
    let mut last = rig.order();
    rig.run_ms(1);
    for _ in 0..200 {
        if rig.page.view(rig.now).level >= HaltLevel::RiskOff {
            break;
        }
        last = rig.order();
        rig.run_ms(1);
    }
    assert_eq!(rig.page.last_trip().0, Reason::JournalFailed);
    let written = rig.venue().places();
    rig.drain();
    let recorded =
        rig.records.iter().filter(|r| matches!(r, Record::Sent(s) if s.kind == SentKind::Place)).count();
    assert_eq!(written, recorded, "what was written is in the journal ring");
    assert_eq!(rig.replies(last).last(), Some(&(ReplyKind::NotSent, Reason::JournalFull)));
}

#[test]
fn an_old_decision_does_not_leave() {
    let mut rig = Rig::armed(&[]);
    let client = rig.order();
    rig.step(501 * NS_PER_MS);
    assert_eq!(rig.replies(client), [(ReplyKind::NotSent, Reason::Expired)]);
    assert_eq!(rig.venue().places(), 0);
    assert_eq!(rig.notes(NoteKind::Withheld), 1);
}

#[test]
fn k2_without_a_lease_no_order_leaves_and_cancels_do() {
    let mut rig = Rig::armed(&[]);
    let first = rig.order();
    rig.run_ms(3);
    rig.page.renew_lease(rig.now.mono_ns); // runs out now
    let second = rig.order();
    rig.cancel(first);
    rig.run_ms(3);
    assert_eq!(rig.replies(second), [(ReplyKind::NotSent, Reason::LeaseExpired)]);
    assert_eq!(rig.venue().places(), 1);
    assert_eq!(rig.venue().open_count(), 0, "the cancel left");
    rig.renew_lease();
    let third = rig.order();
    rig.run_ms(3);
    assert_eq!(rig.replies(third).last().map(|r| r.0), Some(ReplyKind::Accepted));
}

#[test]
fn k1_a_trip_between_encoding_and_writing_is_obeyed() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.trips_in_encode = true;
    let client = rig.order();
    rig.run_ms(3);
    assert_eq!(rig.venue().places(), 0);
    assert_eq!(rig.replies(client), [(ReplyKind::NotSent, Reason::KillTripped)]);
}

#[test]
fn an_id_that_comes_twice_is_sent_once_and_halts() {
    let mut rig = Rig::armed(&[]);
    let client = rig.order();
    rig.order_as(client);
    rig.run_ms(3);
    assert_eq!(rig.venue().places(), 1);
    assert_eq!(rig.page.last_trip().0, Reason::Internal);
    assert!(
        !rig.is_told(|r| r.client == client && r.kind == ReplyKind::NotSent),
        "it would be news of the first"
    );
}

#[test]
fn f21_orders_stop_at_the_reserve_and_a_kill_still_cancels() {
    let orders = Limit { kind: LimitKind::Orders, window_ns: 10 * NS_PER_S, limit: 5 };
    let weight = Limit { kind: LimitKind::Weight, window_ns: 60 * NS_PER_S, limit: 1_000 };
    let mut rig = Rig::armed(&[orders, weight]);
    let clients: Vec<_> = (0..8)
        .map(|_| {
            let client = rig.order();
            rig.run_ms(1);
            client
        })
        .collect();
    rig.run_ms(2);
    assert_eq!(rig.venue().places(), 4, "80 % of 5");
    assert_eq!(rig.replies(clients[7]), [(ReplyKind::NotSent, Reason::RateBudget)]);
    let epoch = rig.trip();
    rig.run_ms(100);
    assert_eq!(rig.venue().open_count(), 0);
    assert!(rig.is_silent(epoch));
}

#[test]
fn an_order_before_the_session_is_up_does_not_leave() {
    let mut rig = Rig::armed(&[]);
    rig.venue().disconnect();
    rig.run_ms(2);
    let client = rig.order();
    rig.run_ms(2);
    assert_eq!(rig.replies(client), [(ReplyKind::NotSent, Reason::SessionDown)]);
    assert!(rig.told.iter().any(|b| matches!(b, Body::Link(l) if l.link == LinkId::Orders && !l.up)));
}

#[test]
fn a_dry_run_stops_before_the_write() {
    let config = GatewayConfig { dry_run: true, read_every: 1, ..GatewayConfig::default() };
    let mut rig = Rig::with(config, &[], &Sizes { returns: 64, journal: 64 });
    rig.run_ms(20);
    let epoch = rig.page.view(rig.now).epoch;
    rig.page.arm(epoch);
    let client = rig.order();
    rig.run_ms(2);
    assert_eq!(
        rig.venue().written.len(),
        rig.venue().count(|r| matches!(r, Request::Account | Request::OpenOrders))
    );
    assert_eq!(rig.replies(client), [(ReplyKind::NotSent, Reason::DryRun)]);
}
