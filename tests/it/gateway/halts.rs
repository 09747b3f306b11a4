//! The end of a trip is the venue's word that nothing is open (R-KILL-2, R-KILL-3).

use interlock::event::{NoteKind, ReplyKind};
use interlock::gateway::{DoorEvent, GatewayConfig, Request};
use interlock::shared::HaltLevel;
use interlock::types::time::{NS_PER_MS, NS_PER_S};
use interlock::types::{ClientOrderId, OrderState, Reason};

use super::rig::{Rig, Sizes};
use super::writes::open_order;

#[test]
fn r_kill_3_a_trip_cancels_everything_and_ends_on_the_venues_word() {
    let mut rig = Rig::armed(&[]);
    for _ in 0..5 {
        rig.order();
        rig.run_ms(2);
    }
    let old = ClientOrderId::new(1, 9);
    rig.venue().orders.insert(old.0, open_order()); // nobody told us of this one
    let epoch = rig.trip();
    rig.step(NS_PER_MS);
    assert_eq!(rig.page.seen(), epoch);
    rig.run_s(2);
    assert_eq!(rig.venue().open_count(), 0);
    assert!(rig.is_silent(epoch));
    assert_eq!(rig.page.open_orders(), 0);
    assert!(rig.is_told(|r| r.kind == ReplyKind::NothingOpen));
    assert_eq!(rig.notes(NoteKind::NothingOpen), 1);
    assert_eq!(rig.page.reconciled(), epoch, "and what we know agrees with the venue");
}

#[test]
fn risk_off_stops_orders_and_leaves_those_that_work() {
    let mut rig = Rig::armed(&[]);
    rig.order();
    rig.run_ms(3);
    rig.page.trip(HaltLevel::RiskOff, Reason::Stall, rig.now.ns);
    let refused = rig.order();
    rig.run_s(2);
    assert_eq!(rig.replies(refused), [(ReplyKind::NotSent, Reason::KillTripped)]);
    assert_eq!(rig.venue().open_count(), 1);
    let epoch = rig.trip();
    rig.run_s(1);
    assert!(rig.is_silent(epoch), "a higher level goes further");
}

#[test]
fn silence_is_not_claimed_while_an_order_may_still_arrive() {
    let mut rig = Rig::armed(&[]);
    rig.venue().faults.loses_acks = true;
    rig.venue().faults.arrival_delay_ns = 3 * NS_PER_S;
    rig.order();
    rig.run_ms(2);
    assert_eq!(rig.venue().open_count(), 0, "under way");
    let epoch = rig.trip();
    rig.run_s(2);
    assert!(!rig.is_silent(epoch), "the list is empty and proves nothing yet");
    rig.run_s(8);
    assert!(rig.is_silent(epoch));
    assert_eq!(rig.venue().open_count(), 0, "it arrived and was cancelled");
    assert_eq!(rig.venue().orders.len(), 1);
}

#[test]
fn k3_a_kill_during_a_reconnect_is_carried_out_after_it() {
    let mut rig = Rig::armed(&[]);
    rig.order();
    rig.run_ms(3);
    rig.venue().disconnect();
    rig.run_ms(3);
    let epoch = rig.trip();
    rig.run_s(5);
    assert!(!rig.is_silent(epoch));
    assert_eq!(rig.page.seen(), epoch, "seen at once, all the same");
    rig.venue().connect();
    rig.run_s(2);
    assert!(rig.is_silent(epoch));
    assert_eq!(rig.venue().open_count(), 0);
}

#[test]
fn k3_a_kill_with_a_full_journal_ring_cancels_all_the_same() {
    let config = GatewayConfig { read_every: 1, ..GatewayConfig::default() };
    let mut rig = Rig::with(config, &[], &Sizes { returns: 256, journal: 24 });
    rig.arm();
    rig.order();
    rig.run_ms(3);
    rig.drains = false; // the journal's thread and the feed are dead
    for _ in 0..30 {
        rig.order();
        rig.run_ms(1);
    }
    let epoch = rig.trip();
    rig.run_s(3);
    assert_eq!(rig.venue().open_count(), 0);
    assert!(rig.is_silent(epoch), "nothing that died was needed");
    rig.drains = true;
    rig.run_ms(20);
    assert_eq!(rig.notes(NoteKind::Unjournaled), 1, "what left without a record is noted when there is room");
}

#[test]
fn cancels_that_get_lost_are_sent_until_the_venue_says_that_nothing_is_open() {
    let mut rig = Rig::armed(&[]);
    rig.order();
    rig.run_ms(3);
    rig.venue().faults.loses_cancels = true;
    let epoch = rig.trip();
    rig.run_s(10);
    assert!(!rig.is_silent(epoch));
    let rounds = rig.venue().count(|r| matches!(r, Request::CancelAll(_)));
    assert!((4..20).contains(&rounds), "again and again, at a bounded pace: {rounds}");
    rig.venue().faults.loses_cancels = false;
    rig.run_s(3);
    assert!(rig.is_silent(epoch));
}

#[test]
fn k3_a_kill_while_the_venue_refuses_for_a_minute_trickles_through() {
    let mut rig = Rig::armed(&[]);
    rig.order();
    rig.run_ms(3);
    let until_ns = rig.now.ns + 60 * NS_PER_S;
    rig.venue().tell(DoorEvent::Blocked { reason: Reason::RateLimited, until_ns });
    rig.run_ms(3);
    let refused = rig.order();
    rig.run_ms(3);
    assert_eq!(rig.replies(refused), [(ReplyKind::NotSent, Reason::RateLimited)]);
    let epoch = rig.trip();
    rig.run_s(5);
    assert!(rig.is_silent(epoch), "an order budget that is used up does not bind cancels");
    assert_eq!(rig.venue().open_count(), 0);
}

#[test]
fn a_venue_that_does_not_answer_is_not_silence() {
    let mut rig = Rig::armed(&[]);
    rig.order();
    rig.run_ms(3);
    rig.venue().faults.deaf = true;
    let epoch = rig.trip();
    rig.run_s(30);
    assert!(!rig.is_silent(epoch));
    rig.venue().faults.deaf = false;
    rig.run_s(5);
    assert!(rig.is_silent(epoch));
    assert_eq!(rig.venue().open_count(), 0);
}

#[test]
fn foreign_orders_of_the_account_are_cancelled_too() {
    let mut rig = Rig::armed(&[]);
    rig.venue().foreign_open = 2;
    let epoch = rig.trip();
    rig.run_s(2);
    assert!(rig.is_silent(epoch));
    assert_eq!(rig.venue().foreign_open, 0);
}

#[test]
fn k4_a_second_trip_while_the_first_runs_and_a_trip_after_silence() {
    let mut rig = Rig::armed(&[]);
    rig.order();
    rig.run_ms(3);
    rig.venue().faults.loses_cancels = true;
    rig.trip();
    rig.run_s(1);
    let epoch = rig.page.trip(HaltLevel::Stopped, Reason::Operator, rig.now.ns);
    rig.venue().faults.loses_cancels = false;
    rig.run_s(3);
    assert!(rig.is_silent(epoch), "the later epoch is the one that counts");
    // An order comes to stand after all (the venue was late): the halt is carried out again.
    let late = ClientOrderId::new(3, 999_999);
    rig.venue().orders.insert(late.0, open_order());
    let update = super::venue::Venue::update(late.0, &open_order(), false);
    rig.fact(interlock::event::Body::Order(update));
    rig.run_s(2);
    assert_eq!(rig.venue().open_count(), 0);
    assert_eq!(rig.gateway.orders().get(late).map(|l| l.state), Some(OrderState::Cancelled));
}
