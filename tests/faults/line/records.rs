//! What is on record, and what does the venue say? F9 to F12.

use interlock::event::fact::CarriedOrder;
use interlock::event::{Body, CommandKind};
use interlock::gateway::Request;
use interlock::ops::reconcile::books::exact;
use interlock::ops::reconcile::{BooksView, Difference, Footing, VenueView, compare};
use interlock::types::{ClientOrderId, OrderState, Qty, Reason, Side, StrategyId, TradeId, VenueOrderId};
use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};

use crate::lab::{Lab, Setup, units};
use crate::run::Run;
use crate::venue::{BASE, BTC, Venue, VenueOrder};

const EARLIER: u32 = 4;

/// Orders of an earlier boot, as the venue has them.
fn earlier(lab: &mut Lab, count: u64, run: &mut Run) -> Vec<u64> {
    (1..=count)
        .map(|n| {
            let client = ClientOrderId::new(EARLIER, n).0;
            let filled = Qty::from_units(run.rng.random_range(0..90) * 1_000);
            let is_new = filled.is_zero();
            let order = VenueOrder {
                side: Side::Buy,
                price: units(59_000 - i64::try_from(n).unwrap()),
                qty: Qty::from_units(100_000),
                filled,
                state: if is_new { OrderState::Acknowledged } else { OrderState::PartiallyFilled },
                visible_from_ns: 0,
            };
            lab.venue().base += filled.units();
            lab.venue().orders.insert(client, order);
            client
        })
        .collect()
}

fn carried(client: u64, order: &VenueOrder, filled: Qty) -> Body {
    Body::Carried(CarriedOrder {
        client: ClientOrderId(client),
        venue_order: VenueOrderId(0),
        instrument: BTC,
        strategy: StrategyId(0),
        side: order.side,
        reduce_only: false,
        price: order.price,
        qty: order.qty,
        filled,
        placed_ns: crate::lab::START_NS - 1_000_000_000,
    })
}

/// Fourteen working orders of an earlier boot, of fills that nobody can list; some are on record, some are not.
pub(crate) fn f9_working_orders_are_kept_though_the_position_is_unknown(run: &mut Run) {
    let mut lab = Lab::cold(run.seed, &Setup::default());
    let clients = earlier(&mut lab, 14, run);
    for &client in &clients {
        if run.rng.random_bool(0.5) {
            let order = lab.door().orders[&client];
            assert!(lab.found.push(carried(client, &order, order.filled)).is_ok());
        }
    }
    let without = |order: &&VenueOrder| !order.filled.is_zero();
    run.occurred("fills without history", lab.door().orders.values().filter(without).count() as u64);
    lab.start();
    if run.rng.random_bool(0.5) {
        lab.venue().disconnect();
        lab.pause(1, 500);
        lab.venue().connect();
    }
    lab.run_s(30);
    assert_eq!(lab.door().open(), clients, "none is cancelled for being unknown");
    assert_eq!(lab.risk().open_orders(), 14, "each counts");
    for &client in &clients {
        assert!(lab.state(client).is_some_and(OrderState::is_exposed), "{client:x}");
        assert!(lab.gateway.orders().get(ClientOrderId(client)).is_some());
    }
    // And all of them end when the operator wants it.
    lab.command(CommandKind::CancelAll);
    lab.until("zero open orders", 20, |lab| lab.door().open().is_empty() && lab.risk().open_orders() == 0);
}

/// The same reports in any order and any number of times.
pub(crate) fn f11_reports_in_any_order_and_twice_come_to_the_same(run: &mut Run) {
    let mut model = None;
    for round in 0..4 {
        let mut lab = Lab::cold(run.seed, &Setup::default());
        let orders: Vec<(u64, VenueOrder)> = (1..=6)
            .map(|n| {
                let order = VenueOrder {
                    side: if n % 3 == 0 { Side::Sell } else { Side::Buy },
                    price: units(59_000 + n * 10),
                    qty: Qty::from_units(100_000),
                    filled: Qty::ZERO,
                    state: OrderState::Acknowledged,
                    visible_from_ns: 0,
                };
                (ClientOrderId::new(EARLIER, n.unsigned_abs()).0, order)
            })
            .collect();
        let mut reports = Vec::new();
        for (n, &(client, order)) in orders.iter().enumerate() {
            assert!(lab.found.push(carried(client, &order, Qty::ZERO)).is_ok());
            reports.extend(reports_of(n, client, order));
        }
        // The venue that could be asked is away: the reports are all there is.
        lab.venue().faults.deaf_to_queries = true;
        lab.run_ms(200);
        if round > 0 {
            reports.shuffle(&mut run.rng);
            let again = reports.choose(&mut run.rng).copied();
            let doubled = reports.clone();
            reports.extend(doubled.into_iter().filter(|_| run.rng.random_bool(0.5)).chain(again));
            run.occurred("reports reordered and doubled", 1);
        }
        for body in reports {
            lab.venue().tell(body);
            lab.run_ms(run.rng.random_range(1..10));
        }
        lab.run_ms(50);
        let states: Vec<_> = orders
            .iter()
            .map(|(client, _)| {
                let client = ClientOrderId(*client);
                (lab.risk().order(client), lab.gateway.orders().get(client).map(|l| (l.state, l.filled)))
            })
            .collect();
        let (risk, signal) = (lab.risk().position(BTC), lab.signal().position(BTC));
        let worth = |p: &interlock::types::Position| (p.qty, p.realised(), p.average_price(), p.fees);
        let state = format!(
            "{states:?} {:?} {:?} {:?} {}",
            worth(&risk).0,
            worth(&signal).0,
            lab.risk().frozen(BTC),
            lab.risk().open_orders()
        );
        let first = model.get_or_insert(state.clone());
        assert_eq!(*first, state, "round {round}");
    }
}

/// What the venue reports of one order: fills, a query's answer, an end.
fn reports_of(n: usize, client: u64, mut order: VenueOrder) -> Vec<Body> {
    let mut reports = Vec::new();
    let parts: &[i64] = if n.is_multiple_of(2) { &[30_000, 70_000] } else { &[40_000] };
    for (at, &part) in parts.iter().enumerate() {
        order.filled = Qty::from_units(order.filled.units() + part);
        order.state =
            if order.filled == order.qty { OrderState::Filled } else { OrderState::PartiallyFilled };
        let mut update = Venue::update(client, &order, false);
        update.trade = TradeId((n * 10 + at + 1) as u64);
        update.qty = Qty::from_units(part);
        reports.push(Body::Order(update));
    }
    if order.state == OrderState::PartiallyFilled {
        order.state = OrderState::Cancelled;
        reports.push(Body::Order(Venue::update(client, &order, false)));
    }
    reports.push(Body::Order(Venue::update(client, &order, true)));
    reports
}

/// The account can't be read: at the start, and after an outage.
pub(crate) fn f12_an_account_that_cannot_be_read_is_unknown_and_not_zero(run: &mut Run) {
    let mut lab = Lab::cold(run.seed, &Setup::default());
    lab.venue().base = 50_000_000;
    lab.venue().faults.deaf_to_account = true;
    lab.run_s(5);
    let epoch = lab.page.view(lab.now).epoch;
    lab.page.arm(epoch);
    lab.want(3);
    lab.run_s(run.rng.random_range(5..60));
    assert!(!lab.gateway.is_session_up(), "a session without an account is none");
    assert!(lab.refused(Reason::AccountUnknown) > 0, "unknown, not zero");
    assert_eq!(lab.door().places().len(), 0);
    run.occurred("account query without answer", lab.count("account lost"));
    lab.venue().faults.deaf_to_account = false;
    lab.venue().base = 0;
    lab.until("the session", 30, |lab| lab.gateway.is_session_up());
    lab.want(0);
    lab.run_s(2);
    let client = lab.enter(1)[0];
    let whole = lab.door().orders[&client].qty;
    lab.venue().fill(client, whole);
    lab.run_s(1);
    // An outage: what was known of the account is not known any more, and what is held is still held.
    lab.venue().faults.deaf_to_account = true;
    lab.venue().drop_stream();
    lab.run_s(1);
    lab.venue().restore_stream();
    let before = lab.door().places().len();
    lab.want(3);
    lab.run_s(20);
    assert_eq!(lab.risk().position(BTC).qty, whole);
    assert_eq!(lab.door().places().len(), before, "no entry on an unknown account");
    assert!(lab.door().count_written(|r| matches!(r, Request::Account)) > 3, "asked again and again");
    lab.want(0);
    lab.settle();
}

/// Our record and the venue's balance part, and the venue's list of trades is too short to say why.
pub(crate) fn f10_a_balance_that_no_trade_explains_freezes_until_adopted(run: &mut Run) {
    let table = crate::binance_support::table(&["BTC-USDT"]);
    let ours = Qty::from_units(run.rng.random_range(1..1_000_000_000));
    let theirs = Qty::from_units(run.rng.random_range(0..1_000_000_000));
    if (ours.units() - theirs.units()).abs() <= 1 {
        return;
    }
    run.occurred("record and venue part", 1);
    let view = BooksView { moved: vec![exact(ours), 0], ..BooksView::default() };
    let totals = vec![Some(theirs), Some(Qty::ZERO)];
    let venue = VenueView { before: totals.clone(), after: totals, ..VenueView::default() };
    let mut ground =
        Footing { expected: vec![Some(0), Some(0)], epoch: crate::lab::EPOCH, ..Footing::default() };
    // By the list, and by what the line was told where nobody can be asked.
    for is_told in [false, true] {
        let venue = VenueView { is_told, ..venue.clone() };
        let first = compare((&view, &venue, &ground), &table, false);
        let [difference] = first.differences[..] else { panic!("one difference: {first:?}") };
        let parted = Difference::Balance { asset: BASE, expected: exact(ours), found: exact(theirs) };
        assert_eq!(difference, parted, "the break is recorded, with both figures");
        assert_eq!(difference.instruments(&table, &view), Some(vec![BTC]), "and this instrument is frozen");
        assert_eq!(
            compare((&view, &venue, &ground), &table, false),
            first,
            "it does not go away by looking again"
        );
    }
    // Adopted by a named person: the venue's figure is what counts from then on.
    ground.expected[0] = Some(exact(theirs) - exact(ours));
    assert!(compare((&view, &venue, &ground), &table, false).differences.is_empty());
}
