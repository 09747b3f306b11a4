//! When it must stop, and when it must not. F33, F34, F37, F38.

use std::sync::atomic::Ordering::Relaxed;

use interlock::event::CommandKind;
use interlock::risk::RiskConfig;
use interlock::shared::HaltLevel;
use interlock::types::{Cash, Qty, Reason, Side};
use rand::Rng;

use crate::lab::{Lab, Setup, roomy};
use crate::run::Run;
use crate::venue::BTC;

/// What is to judge about a halt fails itself: the control thread is gone, or the page holds nonsense.
pub(crate) fn f33_a_fault_in_what_judges_is_risk_off(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let client = lab.enter(1)[0];
    let whole = lab.door().orders[&client].qty;
    lab.venue().fill(client, whole);
    lab.wants.eager.store(true, Relaxed);
    lab.pause(1, 2_000);
    if run.rng.random_bool(0.5) {
        lab.has_lease = false;
        lab.run_ms(1_100);
        run.occurred("the lease ran out", u64::from(!lab.page.view(lab.now).lease_valid));
    } else {
        // Any 64 bytes of it, as a stray write would leave them.
        let noise: [u8; 64] = std::array::from_fn(|_| run.rng.random());
        lab.damage_page(&noise);
        lab.run_ms(50);
        run.occurred("the page held nonsense", 1);
    }
    assert!(!lab.page.view(lab.now).allows_risk());
    let before = lab.door().places().len();
    lab.wants.exit.store(true, Relaxed);
    lab.run_s(30);
    let after = lab.door().places();
    assert!(after[before..].iter().all(|(order, _)| order.reduce_only), "nothing that adds risk");
    lab.check_always();
}

/// No price, or no account at the start: nothing is sold for that, and the reason stands in the record.
pub(crate) fn f34_a_missing_price_is_no_reason_to_flatten(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let client = lab.enter(1)[0];
    let whole = lab.door().orders[&client].qty;
    lab.venue().fill(client, whole);
    lab.run_ms(500);
    lab.market.silent = true;
    if run.rng.random_bool(0.5) {
        lab.venue().drop_stream();
    }
    lab.run_s(run.rng.random_range(10..60));
    run.occurred("no price", 1);
    let sells = |lab: &Lab| lab.door().places().iter().filter(|(_, s)| s.side == Side::Sell).count();
    assert_eq!(sells(&lab), 0, "nobody asked for a flatten");
    assert_eq!(lab.risk().position(BTC).qty, whole);
    // An operator's flatten waits for a price, and is then carried out.
    lab.command(CommandKind::Flatten);
    lab.run_s(5);
    assert_eq!(sells(&lab), 0, "no price to sell at");
    lab.venue().restore_stream();
    lab.market.silent = false;
    lab.until("flat", 120, |lab| lab.door().base == 0);
    lab.settle();
}

/// Each order that a flatten cancels is filled just before its cancel arrives.
pub(crate) fn f37_a_flatten_ends_when_the_venue_says_flat(run: &mut Run) {
    let mut lab = Lab::new(run.seed);
    let clients = lab.enter(run.rng.random_range(2..6));
    let part = Qty::from_units(lab.door().orders[&clients[0]].qty.units() / 2_000 * 1_000);
    lab.venue().fill(clients[0], part);
    lab.pause(1, 100);
    lab.venue().faults.fills_before_cancel = run.rng.random_range(20..101);
    lab.venue().faults.jitter_ns = run.rng.random_range(1..400_000_000);
    lab.venue().faults.leaves_percent = run.rng.random_range(0..60);
    if run.rng.random_bool(0.5) {
        lab.page.trip(HaltLevel::CancelAll, Reason::Operator, lab.now.ns);
    }
    lab.command(CommandKind::Flatten);
    lab.until("the venue is flat", 120, |lab| lab.door().open().is_empty() && lab.door().base < 9_000);
    let sells: Vec<_> = lab.door().places().into_iter().filter(|(_, s)| s.side == Side::Sell).collect();
    assert!(!sells.is_empty() && sells.iter().all(|(order, _)| order.reduce_only));
    assert_eq!(lab.door().oversold, 0, "it never turns the position over");
    run.occurred("filled before the cancel", lab.count("filled before cancel"));
    lab.settle();
}

/// The exposure stands at its limit, and the market swings it over and back; nothing here reduces exposure by itself, so
/// nothing may fight with the entries.
pub(crate) fn f38_a_limit_that_is_swung_over_makes_no_turnover(run: &mut Run) {
    let limit = Cash::from_units(121 * Cash::ONE.units());
    let risk = RiskConfig { exposure_max: limit, ..roomy() };
    let mut lab = Lab::with(run.seed, &Setup { risk, ..Setup::default() });
    lab.wants.eager.store(true, Relaxed);
    let mut over = 0;
    for _ in 0..300 {
        lab.run_s(1);
        for client in lab.door().open() {
            let whole = lab.door().orders[&client].open();
            lab.venue().fill(client, whole);
        }
        let swing = run.rng.random_range(-30_000..30_000);
        lab.market.bid_cents = (6_000_000 + swing * 5).max(5_800_000);
        over += u64::from(lab.risk().exposure() > limit);
    }
    let places = lab.door().places();
    assert!(places.iter().all(|(_, spec)| spec.side == Side::Buy), "a limit never sells");
    assert!(places.len() <= 4, "{}: no more was bought than the limit holds", places.len());
    run.occurred("exposure swung over its limit", over);
    run.occurred("entry refused at the limit", lab.refused(Reason::TotalExposure) as u64);
}
