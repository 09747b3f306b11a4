//! Properties over random interleavings: seeds are printed.

use std::sync::atomic::Ordering;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use interlock::event::{Record, SentKind};
use interlock::shared::HaltLevel;
use interlock::types::time::NS_PER_MS;
use interlock::types::{OrderState, Reason};

use super::rig::Rig;
use super::venue::Faults;
use crate::support::seed;

/// K1 and the first two of "what must never be": whatever the venue, the links and the page do, no order that adds risk is
/// written after the gateway could see a trip or an expired lease, none is written twice, and none without its record.
#[test]
fn k1_no_order_leaves_after_a_trip_could_be_seen() {
    let mut rng = SmallRng::seed_from_u64(seed(20_261_120));
    for round in 0..60 {
        let mut rig = Rig::armed(&[]);
        for _ in 0..200 {
            random_step(&mut rig, &mut rng);
        }
        // Faults stop; a halt must then come to its end (liveness).
        rig.venue().faults = Faults::default();
        rig.venue().connect();
        let epoch = rig.page.trip(HaltLevel::Stopped, Reason::Drill, rig.now.ns);
        rig.run_s(20);
        assert!(rig.is_silent(epoch), "round {round}: the halt ends once the venue is well");
        assert_eq!(rig.venue().open_count(), 0, "round {round}");
        assert_eq!(rig.venue().violations.load(Ordering::Relaxed), 0, "round {round}");
        let written = rig.venue().places();
        let recorded =
            rig.records.iter().filter(|r| matches!(r, Record::Sent(s) if s.kind == SentKind::Place)).count();
        assert_eq!(written, recorded, "round {round}: each write has its record");
        let mut ids: Vec<u64> = rig
            .records
            .iter()
            .filter_map(|r| match r {
                Record::Sent(s) if s.kind == SentKind::Place => Some(s.client.0),
                _ => None,
            })
            .collect();
        ids.sort_unstable();
        assert!(ids.windows(2).all(|pair| pair[0] != pair[1]), "round {round}: none is sent twice");
        // No live order is ever forgotten, and every one that the venue ended is known to have ended.
        rig.run_s(60);
        for (&client, order) in &rig.gateway.door().orders {
            let known = rig.gateway.orders().get(interlock::types::ClientOrderId(client)).map(|l| l.state);
            assert_eq!(known, Some(order.state), "round {round}: {client:x}");
        }
    }
}

fn random_step(rig: &mut Rig, rng: &mut SmallRng) {
    match rng.random_range(0..100) {
        0..35 => {
            rig.order();
        }
        35..45 => {
            let open: Vec<_> = rig.gateway.orders().iter().map(|l| l.client).collect();
            if !open.is_empty() {
                let target = open[rng.random_range(0..open.len())];
                rig.cancel(target);
            }
        }
        45..48 => {
            rig.venue().faults = Faults {
                loses_acks: rng.random_bool(0.3),
                loses_orders: rng.random_bool(0.1),
                loses_cancels: rng.random_bool(0.2),
                deaf_to_queries: rng.random_bool(0.2),
                deaf: rng.random_bool(0.05),
                arrival_delay_ns: if rng.random_bool(0.2) {
                    rng.random_range(0..2_000) * NS_PER_MS
                } else {
                    0
                },
                visible_after_ns: if rng.random_bool(0.2) {
                    rng.random_range(0..5_000) * NS_PER_MS
                } else {
                    0
                },
                breaks_in_write: rng.random_bool(0.1),
                trips_in_encode: rng.random_bool(0.1),
            };
        }
        48..52 => rig.venue().disconnect(),
        52..60 => rig.venue().connect(),
        60..62 => {
            let level = if rng.random_bool(0.5) { HaltLevel::RiskOff } else { HaltLevel::CancelAll };
            rig.page.trip(level, Reason::Operator, rig.now.ns);
        }
        62..68 => {
            let epoch = rig.page.view(rig.now).epoch;
            rig.page.arm(epoch);
        }
        68..70 => rig.page.renew_lease(rig.now.mono_ns + rng.random_range(0..3) * NS_PER_MS),
        70..74 => rig.renew_lease(),
        74..80 => {
            let open: Vec<u64> =
                rig.venue().orders.iter().filter(|(_, o)| o.state.may_be_open()).map(|(&c, _)| c).collect();
            if !open.is_empty() {
                let client = open[rng.random_range(0..open.len())];
                rig.venue().end(client, OrderState::Filled);
            }
        }
        _ => rig.step(rng.random_range(0..20) * NS_PER_MS),
    }
}
