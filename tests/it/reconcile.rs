//! Our record against the venue's (R-ORD-3; F6, F9-F16 of the fault catalogue): what is missing is recovered once, what can't be
//! asked is never called balanced, and what does not agree halts only when it was found again and again.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use interlock::agent::runner::{RunnerConfig, StopFlag};
use interlock::agent::{Agent, AgentRunner, Clock, IdleStrategy};
use interlock::event::ledger::Ledger;
use interlock::event::{
    Action, Body, CarriedOrder, CarriedPosition, Carry, CarryHead, Fact, OrderUpdate, Record, ReplyKind,
};
use interlock::journal::Observer;
use interlock::journal::entry::Control as Act;
use interlock::ops::control::{Receipt, Recorder};
use interlock::ops::events::Events;
use interlock::ops::reconcile::books::{Booked, Bookkeeper, Books, exact};
use interlock::ops::reconcile::{Footing, Held, Outcome, Report, Reports, Standing, bookkeeper, standing};
use interlock::run::reconcile::{Reconciler, ReconcilerParts, Rules, Source, ground};
use interlock::types::{
    AssetId, Cash, ClientOrderId, InstrumentId, InstrumentTable, Now, OrderState, Position, Qty, Side,
    StrategyId, TradeId, VenueOrderId,
};
use interlock::venue::binance::rest_account::{AccountTotals, OrderName};
use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rtrb::{Consumer, Producer};

use crate::market::{BTC, Facts, Placed, intent, price, qty, spec, table};
use crate::support::seed;

const EPOCH: u32 = 1;
const BTC_ASSET: AssetId = AssetId(0);
const USDT: AssetId = AssetId(1);

/// The venue's account, plainly.
#[derive(Clone, Debug)]
struct Account {
    totals: Vec<Option<Qty>>,
    fills: Vec<OrderUpdate>,
    orders: Vec<OrderUpdate>,
    /// Every look at the balances finds others.
    is_restless: bool,
    /// Nothing is answered.
    is_dumb: bool,
}

impl Account {
    fn new() -> Self {
        let totals = vec![Some(qty("2")), Some(qty("10000")), Some(qty("0"))];
        Self { totals, fills: Vec::new(), orders: Vec::new(), is_restless: false, is_dumb: false }
    }

    fn add(&mut self, asset: AssetId, units: i128) {
        let total = &mut self.totals[asset.index()];
        *total = Some(Qty::from_units(i64::try_from(i128::from(total.unwrap().units()) + units).unwrap()));
    }

    /// A fill of an order, as the venue books it.
    fn fill(&mut self, order: &OrderUpdate, trade: u64, at: &str, amount: &str) -> OrderUpdate {
        let (at, amount) = (price(at), qty(amount));
        let sign = i128::from(order.side.sign());
        self.add(BTC_ASSET, sign * i128::from(amount.units()));
        self.add(USDT, -sign * (i128::from(at.units()) * i128::from(amount.units()) / 1_000_000_000));
        let kept = self.orders.iter_mut().find(|o| o.venue_order == order.venue_order).unwrap();
        kept.filled = kept.filled.checked_add(amount).unwrap();
        kept.state = if kept.filled >= kept.qty { OrderState::Filled } else { OrderState::PartiallyFilled };
        let state = kept.state;
        let filled = kept.filled;
        let told = OrderUpdate { trade: TradeId(trade), price: at, qty: amount, filled, state, ..*order };
        self.fills.push(OrderUpdate { client: ClientOrderId::NONE, snapshot: false, filled: amount, ..told });
        told
    }
}

type Edit = Box<dyn FnOnce(&mut Account) + Send>;

/// The account as a reconcile asks it. The test changes it by messages, between two questions.
#[derive(Debug)]
struct Asked {
    account: Account,
    edits: Receiver<Edit>,
}

impl Asked {
    fn look(&mut self) -> Result<&mut Account, String> {
        while let Ok(edit) = self.edits.try_recv() {
            edit(&mut self.account);
        }
        if self.account.is_dumb { Err("nobody answers".to_owned()) } else { Ok(&mut self.account) }
    }
}

impl Source for Asked {
    fn totals(&mut self) -> Result<AccountTotals, String> {
        let account = self.look()?;
        if account.is_restless {
            account.add(USDT, 1);
        }
        Ok(AccountTotals { uid: 7, totals: account.totals.clone() })
    }
    fn fills(&mut self, instrument: InstrumentId, from: TradeId) -> Result<Vec<OrderUpdate>, String> {
        let fills = &self.look()?.fills;
        Ok(fills.iter().filter(|f| f.instrument == instrument && f.trade >= from).copied().collect())
    }
    fn open(&mut self) -> Result<Vec<(Option<InstrumentId>, OrderUpdate)>, String> {
        let orders = &self.look()?.orders;
        Ok(orders.iter().filter(|o| o.state.may_be_open()).map(|o| (Some(o.instrument), *o)).collect())
    }
    fn order(&mut self, _instrument: InstrumentId, name: OrderName) -> Result<Option<OrderUpdate>, String> {
        let orders = &self.look()?.orders;
        Ok(orders
            .iter()
            .find(|o| match name {
                OrderName::Client(client) => o.client == client,
                OrderName::Venue(order) => o.venue_order == order,
            })
            .map(|o| OrderUpdate { snapshot: true, ..*o }))
    }
}

/// The journal's thread and the line between the reconciler and it.
struct Line {
    keeper: Bookkeeper,
    records: Consumer<Record>,
    found: Consumer<Body>,
    told: Sender<Body>,
    seq: u64,
}

impl Agent for Line {
    fn name(&self) -> &'static str {
        "line"
    }
    fn poll(&mut self, now: Now) -> usize {
        while let Ok(record) = self.records.pop() {
            self.seq += 1;
            self.keeper.observe(self.seq, &record);
        }
        while let Ok(body) = self.found.pop() {
            self.seq += 1;
            self.keeper.observe(self.seq, &Record::Fact(Fact { seq: self.seq, recv_ns: 0, body }));
            let _over = self.told.send(body);
        }
        self.keeper.batch_done(now);
        0
    }
}

struct Acts(Sender<Act>);

impl Recorder for Acts {
    fn submit(&mut self, act: Act) -> Result<Receipt, String> {
        let _over = self.0.send(act);
        Ok(Receipt::new(|| Some(Ok(()))))
    }
}

struct Rig {
    reconciler: Reconciler,
    standing: Arc<Standing>,
    reports: Reports,
    edits: Sender<Edit>,
    records: Producer<Record>,
    told: Receiver<Body>,
    acts: Receiver<Act>,
    clock: Clock,
    stop: StopFlag,
    line: Option<AgentRunner>,
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new(account: Account, ground: Footing, foreign_halts: bool) -> Self {
        let (dir, clock, table) = (tempfile::tempdir().unwrap(), Clock::system(), table());
        let standing = Arc::new(Standing::default());
        let (keeper, books) = bookkeeper(&table, EPOCH, Arc::clone(&standing));
        let (report, reports) = standing::reports();
        let (records, records_out) = rtrb::RingBuffer::new(4_096);
        let (found, found_out) = rtrb::RingBuffer::new(1_024);
        let (edits, edits_out) = channel();
        let (told_in, told) = channel();
        let (acts_in, acts) = channel();
        let stop = StopFlag::default();
        let line = Line { keeper, records: records_out, found: found_out, told: told_in, seq: 0 };
        let config = RunnerConfig { name: "line".to_owned(), core: None, idle: IdleStrategy::Park };
        let line =
            AgentRunner::start(&config, vec![Box::new(line)], clock.clone(), stop.clone(), |_| ()).unwrap();
        let reconciler = Reconciler::new(ReconcilerParts {
            source: Some(Box::new(Asked { account, edits: edits_out })),
            books,
            standing: Arc::clone(&standing),
            reports: report,
            found: found.into(),
            journal: Box::new(Acts(acts_in)),
            events: Events::open(&dir.path().join("events.jsonl")).unwrap().sender(),
            table,
            strategies: vec!["first".to_owned()],
            ground: Footing { epoch: EPOCH, ..ground },
            rules: Rules { every_ns: 1, confirmations: 3, foreign_halts, arrival_ns: 1_000_000_000 },
            clock: clock.clone(),
            stop: stop.clone(),
        });
        let line = Some(line);
        Self { reconciler, standing, reports, edits, records, told, acts, clock, stop, line, _dir: dir }
    }

    fn edit(&self, edit: impl FnOnce(&mut Account) + Send + 'static) {
        self.edits.send(Box::new(edit)).unwrap();
    }

    fn record(&mut self, record: Record) {
        self.records.push(record).unwrap();
    }

    fn fact(&mut self, fact: Fact) {
        self.record(Record::Fact(fact));
    }

    /// An order of ours, as the stages record it, standing at the venue.
    fn place(&mut self, facts: &mut Facts, order: &Placed) -> OrderUpdate {
        self.record(Record::Intent(intent(order.client.counter(), BTC, Action::Place(order.spec))));
        self.fact(facts.reply(ReplyKind::Sent, order.client, false));
        self.fact(facts.order(order, OrderState::Acknowledged, Qty::ZERO, false));
        let there = order.update(OrderState::Acknowledged, Qty::ZERO, facts.now_ns);
        self.edit(move |account| account.orders.push(there));
        there
    }

    fn round(&mut self) -> Report {
        self.standing.ask();
        assert_eq!(self.reconciler.poll(self.clock.now()), 1);
        let mut last = None;
        while let Some(report) = self.reports.take() {
            last = Some(report);
        }
        last.unwrap()
    }

    fn balanced(&mut self) -> Report {
        let report = self.round();
        assert_eq!(report.outcome, Outcome::Balanced, "{report:?}");
        report
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.stop();
        if let Some(line) = self.line.take() {
            line.join().unwrap();
        }
    }
}

fn placed(epoch: u32, counter: u64, side: Side, amount: &str) -> Placed {
    Placed { client: ClientOrderId::new(epoch, counter), instrument: BTC, spec: spec(side, "100", amount) }
}

/// What the stages' own fold makes of the facts that came back.
fn position_of(
    bodies: impl Iterator<Item = Body>,
    ledger: &mut Ledger<()>,
    table: &InstrumentTable,
) -> Position {
    let mut position = Position::default();
    for body in bodies {
        let change = match &body {
            Body::Order(update) => ledger.on_update(update).and_then(Result::ok),
            Body::Carried(order) => ledger.carry(order, ()).ok().flatten(),
            _ => None,
        };
        if let Some(change) = change {
            assert!(!change.conflict && !change.overfill, "{body:?}: {change:?}");
            if let Some(fill) = change.fill {
                fill.book(&mut position, table.get(BTC).unwrap()).unwrap();
            }
        }
    }
    position
}

#[test]
fn f13_a_fill_that_nobody_told_of_is_recovered_once() {
    let (mut rig, mut facts) = (Rig::new(Account::new(), Footing::default(), false), Facts::new());
    let report = rig.balanced();
    assert_eq!(report.fills_recovered, 0, "the account is taken as it stands, the first time");
    let order = placed(EPOCH, 1, Side::Buy, "1");
    let there = rig.place(&mut facts, &order);
    rig.edit(move |account| {
        account.fill(&there, 5, "99.5", "0.4");
    });
    let report = rig.balanced();
    assert_eq!((report.fills_recovered, report.orders_adopted), (1, 0), "{report:?}");
    assert_eq!(rig.balanced().fills_recovered, 0, "once");
    let recovered: Vec<_> = rig.told.try_iter().collect();
    let [Body::Order(fill)] = recovered[..] else { panic!("{recovered:?}") };
    assert_eq!((fill.client, fill.trade, fill.qty), (order.client, TradeId(5), qty("0.4")));
    // The message comes after all: nothing is doubled, and everything still agrees.
    rig.fact(facts.fill(&order, price("99.5"), 5, qty("0.4"), qty("0.4")));
    assert_eq!(rig.balanced().fills_recovered, 0);
}

/// F7: an order whose request was lost. The round need not wait until the venue's denial can be believed; it must wait until the
/// order can't arrive any more.
#[test]
fn f7_what_the_venue_denies_stays_unknown_and_holds_up_no_round_once_it_cannot_arrive() {
    for (is_old, seen_before) in [(true, false), (false, false), (true, true)] {
        let (mut rig, mut facts) = (Rig::new(Account::new(), Footing::default(), false), Facts::new());
        rig.balanced();
        let order = placed(EPOCH, 1, Side::Buy, "1");
        let mut raised = intent(1, BTC, Action::Place(order.spec));
        let now_ns = rig.clock.now().ns;
        raised.cause_ns = if is_old { now_ns - 60_000_000_000 } else { now_ns };
        rig.record(Record::Intent(raised));
        rig.fact(facts.reply(ReplyKind::Sent, order.client, false));
        if seen_before {
            rig.fact(facts.order(&order, OrderState::Acknowledged, Qty::ZERO, false));
        }
        rig.fact(facts.reply(ReplyKind::Unknown, order.client, false));
        let report = rig.round();
        assert_eq!(report.orders_resolved, 0);
        if seen_before {
            assert_eq!(
                report.outcome,
                Outcome::Mismatch,
                "the venue has spoken of it and denies it: {report:?}"
            );
            continue;
        }
        assert_eq!(report.outcome, Outcome::Balanced, "{report:?}");
        assert!(report.differences[0].contains("outcome is unknown"), "said all the same: {report:?}");
        if !is_old {
            assert!(report.attempts > 1, "not at once: it could still arrive");
        }
    }
}

/// F14: whatever is told, lost, told late or twice, each fill counts once, and the position is the venue's.
#[test]
fn f14_recovery_and_stream_in_any_order_count_each_fill_once() {
    let seed = seed(0xf14);
    let mut rng = SmallRng::seed_from_u64(seed);
    for _ in 0..30 {
        let mut rig = Rig::new(Account::new(), Footing::default(), false);
        let mut facts = Facts::new();
        rig.balanced();
        let mut ledger = Ledger::<()>::default();
        let mut late = Vec::new();
        let mut held = Qty::ZERO;
        let mut line = Vec::new();
        for counter in 1..=3 {
            let order = placed(EPOCH, counter, Side::Buy, "1");
            let there = rig.place(&mut facts, &order);
            line.push(Body::Order(there));
            let tracked =
                interlock::event::ledger::tracked(order.client, BTC, StrategyId(0), &order.spec, ());
            ledger.enter(tracked).unwrap();
            for part in 1..=rng.random_range(1..=4_u64) {
                let trade = counter * 10 + part;
                let filled = qty(&format!("0.{}", part * 2));
                let fact = facts.fill(&order, price("100"), trade, qty("0.2"), filled);
                rig.edit(move |account| {
                    account.fill(&there, trade, "100", "0.2");
                });
                held = held.checked_add(qty("0.2")).unwrap();
                match rng.random_range(0..4) {
                    0 => {}
                    1 => late.push(fact),
                    _ => {
                        rig.fact(fact);
                        line.push(fact.body);
                    }
                }
                if rng.random_bool(0.3) {
                    rig.balanced();
                    line.extend(rig.told.try_iter());
                }
            }
        }
        late.shuffle(&mut rng);
        for fact in late {
            rig.fact(fact);
            line.push(fact.body);
        }
        rig.balanced();
        line.extend(rig.told.try_iter());
        let position = position_of(line.into_iter(), &mut ledger, &table());
        assert_eq!(position.qty, held);
    }
}

/// F6, F9: an order that left without a record, half filled while nobody looked: taken up with its fills, and nothing halts.
#[test]
fn f06_an_order_of_an_earlier_boot_without_a_record_is_taken_up_with_its_fills() {
    let mut account = Account::new();
    let order = placed(3, 9, Side::Buy, "1");
    let there = order.update(OrderState::Acknowledged, Qty::ZERO, 5);
    account.orders.push(there);
    let expected = account.totals.iter().map(|t| t.map(exact)).collect();
    account.fill(&there, 41, "100", "0.3");
    account.fill(&there, 42, "99", "0.2");
    let mut rig = Rig::new(account, Footing { expected, ..Footing::default() }, false);
    let report = rig.balanced();
    assert_eq!((report.fills_recovered, report.orders_adopted), (2, 1), "{report:?}");
    let told: Vec<_> = rig.told.try_iter().collect();
    assert!(matches!(told[0], Body::Carried(o) if o.client == order.client && o.filled == Qty::ZERO));
    let mut ledger = Ledger::default();
    assert_eq!(position_of(told.into_iter(), &mut ledger, &table()).qty, qty("0.5"));
    let here = ledger.get(order.client).unwrap();
    assert_eq!((here.state, here.filled), (OrderState::PartiallyFilled, qty("0.5")));
    assert!(rig.acts.try_iter().any(|act| act.details.contains_key("as_of")), "the round is on record");
}

/// C21, R-KILL-6: a balance that no trade explains. It halts only after it was found three times, and adopting it is an act.
#[test]
fn a_balance_that_no_trade_explains_is_a_mismatch_until_somebody_adopts_it() {
    let mut rig = Rig::new(Account::new(), Footing::default(), false);
    rig.balanced();
    rig.edit(|account| account.add(USDT, 500));
    let number = rig.standing.ask();
    let report = rig.round();
    assert_eq!((report.outcome, report.attempts), (Outcome::Mismatch, 3), "{report:?}");
    assert!(report.differences[0].contains("balance of USDT"), "{report:?}");
    assert!(report.frozen.is_empty(), "money concerns every instrument");
    assert!(rig.standing.is_open() && !rig.standing.is_balanced_since(number));
    assert_eq!(rig.round().outcome, Outcome::Mismatch, "it does not go away by looking");
    rig.standing.ask_to_adopt();
    rig.balanced();
    assert!(!rig.standing.is_open());
    rig.edit(|account| account.add(BTC_ASSET, -500));
    let report = rig.round();
    assert_eq!((report.outcome, report.frozen), (Outcome::Mismatch, vec![BTC]));
}

/// F12: a question that is not answered says nothing, least of all that all is well.
#[test]
fn f12_a_venue_that_can_not_be_asked_is_unknown_never_balanced() {
    let mut rig = Rig::new(Account::new(), Footing::default(), false);
    rig.balanced();
    let number = rig.standing.ask();
    rig.edit(|account| account.is_dumb = true);
    let report = rig.round();
    assert_eq!(report.outcome, Outcome::Unknown, "{report:?}");
    assert!(report.differences[0].contains("nobody answers"), "{report:?}");
    assert!(rig.standing.is_answered(number) && !rig.standing.is_balanced_since(number));
    rig.edit(|account| account.is_dumb = false);
    rig.balanced();
    assert!(rig.standing.is_balanced_since(number));
    rig.edit(|account| account.is_restless = true);
    assert_eq!(rig.round().outcome, Outcome::Moving);
}

#[test]
fn an_order_of_this_boot_that_is_not_on_record_halts() {
    let mut account = Account::new();
    let order = placed(EPOCH, 77, Side::Sell, "1");
    account.orders.push(order.update(OrderState::Acknowledged, Qty::ZERO, 5));
    let mut rig = Rig::new(account, Footing::default(), false);
    let report = rig.round();
    assert_eq!(report.outcome, Outcome::Mismatch, "{report:?}");
    assert!(report.differences[0].contains("not on record"), "{report:?}");
}

#[test]
fn an_order_of_somebody_else_is_told_of_and_halts_where_that_is_configured() {
    for halts in [false, true] {
        let mut account = Account::new();
        let order = Placed { client: ClientOrderId::NONE, ..placed(EPOCH, 5, Side::Buy, "1") };
        let there = OrderUpdate {
            venue_order: VenueOrderId(8),
            ..order.update(OrderState::Acknowledged, Qty::ZERO, 5)
        };
        account.orders.push(there);
        let mut rig = Rig::new(account, Footing::default(), halts);
        let report = rig.round();
        let wanted = if halts { Outcome::Mismatch } else { Outcome::Balanced };
        assert_eq!((report.outcome, report.foreign_orders), (wanted, 1), "{report:?}");
        if !halts {
            // Its fills move the account and are no business of ours: they explain the balance.
            rig.edit(move |account| {
                account.fill(&there, 3, "100", "1");
            });
            assert_eq!(rig.balanced().fills_recovered, 1);
            let told: Vec<_> = rig.told.try_iter().collect();
            assert_eq!(position_of(told.into_iter(), &mut Ledger::default(), &table()).qty, Qty::ZERO);
        }
    }
}

/// An order that our record has open and the venue does not: its end is asked for and told.
#[test]
fn an_end_that_nobody_told_of_is_learned_by_asking() {
    let (mut rig, mut facts) = (Rig::new(Account::new(), Footing::default(), false), Facts::new());
    let order = placed(EPOCH, 1, Side::Buy, "1");
    rig.place(&mut facts, &order);
    rig.balanced();
    rig.edit(|account| account.orders[0].state = OrderState::Cancelled);
    let report = rig.balanced();
    assert_eq!(report.orders_resolved, 1, "{report:?}");
    let told: Vec<_> = rig.told.try_iter().collect();
    assert!(
        matches!(told[..], [Body::Order(o)] if o.state == OrderState::Cancelled && o.snapshot),
        "{told:?}"
    );
}

/// F11: the same facts in any order, twice over, come to the same books.
#[test]
fn f11_the_same_reports_in_any_order_and_twice_come_to_the_same_books() {
    let seed = seed(0xf11);
    let mut rng = SmallRng::seed_from_u64(seed);
    let mut facts = Facts::new();
    let order = placed(EPOCH, 1, Side::Buy, "1");
    let told = [
        facts.reply(ReplyKind::Sent, order.client, false),
        facts.order(&order, OrderState::Acknowledged, Qty::ZERO, false),
        facts.fill(&order, price("100"), 1, qty("0.25"), qty("0.25")),
        facts.fill(&order, price("101"), 2, qty("0.75"), qty("1")),
        facts.order(&order, OrderState::Filled, qty("1"), true),
    ];
    let raised = Record::Intent(intent(1, BTC, Action::Place(order.spec)));
    let mut first = None;
    for _ in 0..200 {
        let mut records: Vec<Record> = told.iter().chain(&told).map(|fact| Record::Fact(*fact)).collect();
        // The intent comes through another ring: anywhere among the rest.
        records.push(raised);
        records.shuffle(&mut rng);
        let mut books = Books::new(&table(), EPOCH);
        for record in &records {
            books.observe(1, record);
        }
        books.end();
        let mut view = books.view(0);
        view.names.clear();
        assert_eq!(view.booked, view.traded);
        assert_eq!(first.get_or_insert_with(|| view.clone()), &view);
    }
}

/// C21: a fill that we booked and the venue does not list. It halts, naming the line; adopting strikes it and brings the position
/// back for the strategy whose it was, and a later trade under the same number is a trade like any other.
#[test]
fn a_booked_trade_that_the_venue_does_not_list_is_struck_by_adopting() {
    let (mut rig, mut facts) = (Rig::new(Account::new(), Footing::default(), false), Facts::new());
    rig.balanced();
    let order = placed(EPOCH, 1, Side::Buy, "1");
    rig.place(&mut facts, &order);
    rig.balanced();
    // With a fee of what was bought: the position is less than the quantity.
    let fact = facts.fill(&order, price("100"), 5, qty("0.4"), qty("0.4"));
    let Body::Order(update) = fact.body else { panic!("{fact:?}") };
    let update = OrderUpdate { fee: qty("0.001"), fee_asset: BTC_ASSET, ..update };
    rig.fact(Fact { body: Body::Order(update), ..fact });
    let report = rig.round();
    assert_eq!(
        (report.outcome, report.attempts, &report.frozen[..]),
        (Outcome::Mismatch, 3, &[BTC][..]),
        "{report:?}"
    );
    assert!(report.differences.iter().any(|d| d.contains("trade 5 of order")), "{report:?}");
    rig.standing.ask_to_adopt();
    rig.balanced();
    let told: Vec<_> = rig.told.try_iter().collect();
    let [Body::Carried(correction), Body::Order(end)] = told[..] else { panic!("{told:?}") };
    assert_eq!(
        (correction.side, correction.qty, correction.strategy),
        (Side::Sell, qty("0.399"), StrategyId(0))
    );
    assert_eq!((end.client, end.state, end.trade), (correction.client, OrderState::Filled, TradeId(0)));
    let line = [Body::Carried(carried_of(&order)), Body::Order(update), told[0], told[1]];
    assert_eq!(position_of(line.into_iter(), &mut Ledger::default(), &table()).qty, Qty::ZERO);
    assert_eq!(rig.balanced().fills_recovered, 0, "it stays settled");
    let next = placed(EPOCH, 2, Side::Buy, "1");
    let there = rig.place(&mut facts, &next);
    rig.edit(move |account| {
        account.fill(&there, 5, "100", "0.2");
    });
    assert_eq!(rig.balanced().fills_recovered, 1, "the number is another trade's now");
}

fn carried_of(order: &Placed) -> CarriedOrder {
    CarriedOrder {
        client: order.client,
        venue_order: VenueOrderId::default(),
        instrument: BTC,
        strategy: StrategyId(0),
        side: order.spec.side,
        reduce_only: false,
        price: order.spec.price,
        qty: order.spec.qty,
        filled: Qty::ZERO,
        placed_ns: 0,
    }
}

/// R-ORD-3, R-ORD-4: what a session takes over is compared line by line with what the venue's trades come to and with what the
/// account has. Each difference halts and names line, ours and theirs; adopting brings the position to the venue's.
#[test]
fn positions_that_are_carried_over_are_checked_line_by_line() {
    let key = (BTC, TradeId(7), VenueOrderId(70));
    let booked = Booked { net: exact(qty("0.3")), price: price("100"), owner: StrategyId(0) };
    let held = Held { net: exact(qty("0.5")), price: price("90"), owner: Some(StrategyId(0)) };
    let lines = |traded: &str| Footing {
        held: vec![held],
        traded: vec![Some(exact(qty(traded)))],
        ..Footing::default()
    };
    let holding = |amount: &str| {
        let mut account = Account::new();
        let has = account.totals[BTC_ASSET.index()].unwrap_or_default();
        account.add(BTC_ASSET, i128::from(qty(amount).units() - has.units()));
        account
    };
    for (ground, has, words, sold) in [
        (lines("0.3"), "5", "position on BTCUSDT: booked 0.5, the venue's trades come to 0.3", Some("0.2")),
        (lines("0.5"), "0.2", "position in BTC: booked 0.5, the account holds 0.2", Some("0.3")),
        (
            Footing { booked: [(key, booked)].into(), ..lines("0.5") },
            "5",
            "BTCUSDT: trade 7 of order 70 is booked and the venue does not list it",
            Some("0.3"),
        ),
        (lines("0.5"), "0.5", "", None),
        (Footing { held: vec![held], ..Footing::default() }, "0.5", "", None),
    ] {
        let mut rig = Rig::new(holding(has), ground, false);
        let Some(sold) = sold else {
            rig.balanced();
            assert_eq!(rig.told.try_iter().count(), 0);
            continue;
        };
        let report = rig.round();
        assert_eq!((report.outcome, &report.frozen[..]), (Outcome::Mismatch, &[BTC][..]), "{report:?}");
        assert!(report.differences.iter().any(|d| d == words), "{report:?} and not {words}");
        rig.standing.ask_to_adopt();
        rig.balanced();
        let told: Vec<_> = rig.told.try_iter().collect();
        let [Body::Carried(order), Body::Order(_)] = told[..] else { panic!("{told:?}") };
        assert_eq!(
            (order.side, order.qty, order.strategy),
            (Side::Sell, qty(sold), StrategyId(0)),
            "{words}"
        );
        assert!(rig.acts.try_iter().any(|act| act.details.contains_key("positions")));
        rig.balanced();
        assert_eq!(rig.told.try_iter().count(), 0, "corrected once");
    }
}

/// A session that takes over nothing hands the account's line on; one that does is compared by it.
#[test]
fn what_a_session_takes_over_is_its_side_of_the_line() {
    let record = Footing { traded: vec![Some(exact(qty("0.5")))], ..Footing::default() };
    let mut position = Position::default();
    position.fill(Side::Buy, price("100"), qty("0.2")).unwrap();
    let carried = |strategy| CarriedPosition {
        instrument: BTC,
        strategy,
        position: position.into(),
        last_trade: TradeId(1),
        mark: price("90"),
        opened: Cash::ZERO,
    };
    let begin = |journal_seq| Carry::Begin(CarryHead { journal_seq, follow: 2 });
    let lines = |journal_seq| {
        [begin(journal_seq), Carry::Net(carried(StrategyId::OPERATOR)), Carry::Own(carried(StrategyId(1)))]
    };
    let of = |taken_over: &[Carry]| ground(record.clone(), 7, taken_over, 2);
    let taken = of(&lines(40));
    assert_eq!(
        taken.held(0),
        Held { net: exact(qty("0.2")), price: price("100"), owner: Some(StrategyId(1)) }
    );
    assert_eq!((taken.epoch, taken.held(1)), (7, Held::default()));
    for handed_on in [of(&[]), of(&[begin(0)])] {
        assert_eq!(handed_on.held(0).net, exact(qty("0.5")));
        assert_eq!(handed_on.traded, record.traded);
    }
}
