//! What one session leaves to the next (R-ORD-4): from the journal, through the state file, into the first facts.

use std::path::Path;
use std::sync::Arc;

use interlock::event::{Action, Body, Carry, Claim, Fact, Intent, OrderSpec, OrderUpdate, Record};
use interlock::journal::log::{Identity, Log, LogConfig};
use interlock::journal::session::FORMAT;
use interlock::journal::{Disk, Entry, RealDisk, SessionHeader};
use interlock::ops::paths::Paths;
use interlock::risk::{Risk, RiskConfig};
use interlock::run::carry::{self, BOOK_NOTE, Book, CarryOver, StateFile};
use interlock::run::plan::Plan;
use interlock::signal::Signal;
use interlock::types::{
    AssetId, Cash, ClientOrderId, InstrumentTable, Now, OrderState, OrderType, Qty, Side, StrategyId,
    TimeInForce, TradeId, VenueOrderId,
};
use serde_json::{Value, json};

use crate::market::{BTC, ETH, Facts, S, START_NS, cash, price, qty, table};

pub(crate) fn strategies() -> Vec<String> {
    vec!["ma_crossover".to_owned(), "order_flow_imbalance".to_owned()]
}

pub(crate) fn book(account: &str) -> Book {
    Book::new("testnet", account)
}

pub(crate) fn header(session: &str, epoch: u32, over: &CarryOver) -> SessionHeader {
    let plan = Plan::default();
    let mut header = SessionHeader {
        format: FORMAT,
        version: "0.1.0".to_owned(),
        session: session.to_owned(),
        mode: "testnet".to_owned(),
        boot_epoch: epoch,
        build_id: "test".to_owned(),
        config_hash: plan.hash(),
        started_ns: START_NS,
        config: plan.to_toml(),
        assets: Vec::new(),
        instruments: Vec::new(),
        strategies: strategies(),
        notes: over.notes.iter().cloned().collect(),
    };
    header.set_table(&table());
    header
}

/// A session: its records, in the order in which they stand in the journal.
pub(crate) fn write_session(data: &Path, header: &SessionHeader, records: &[Record]) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let identity =
        Identity { epoch: header.boot_epoch, config_hash: [7; 32], build_id: [0; 32], chain_id: [9; 16] };
    let now = Now { ns: START_NS, mono_ns: 1 };
    let dir = data.join("journal");
    std::fs::create_dir_all(&dir).unwrap();
    let (mut log, _) = Log::open(disk, &dir, LogConfig::default(), identity, now).unwrap();
    log.append(&Entry::Session(Box::new(header.clone())), now).unwrap();
    for record in records {
        log.append(&Entry::Record(*record), now).unwrap();
    }
    log.close().unwrap();
}

fn client(epoch: u32, counter: u64) -> ClientOrderId {
    ClientOrderId::new(epoch, counter)
}

fn buy(client: ClientOrderId, owner: u8, cause_seq: u64, at: &str, amount: &str) -> Record {
    let spec = OrderSpec {
        side: Side::Buy,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Ioc,
        price: price(at),
        qty: qty(amount),
    };
    Record::Intent(Intent {
        client,
        cause_seq,
        cause_ns: START_NS,
        strategy: StrategyId(owner),
        owner: StrategyId(owner),
        instrument: ETH,
        reduce_only: false,
        action: Action::Place(spec),
        claim: Claim::NONE,
    })
}

fn filled(client: ClientOrderId, trade: u64, at: &str, amount: &str) -> Body {
    Body::Order(OrderUpdate {
        instrument: ETH,
        side: Side::Buy,
        state: OrderState::Filled,
        snapshot: false,
        maker: false,
        fee_asset: AssetId::UNKNOWN,
        client,
        venue_order: VenueOrderId(77),
        trade: TradeId(trade),
        price: price(at),
        qty: qty(amount),
        filled: qty(amount),
        fee: Qty::ZERO,
        venue_ns: START_NS,
    })
}

/// A first session that buys one ETH at 100 for the second strategy and marks it at 90.
fn bought(data: &Path, account: &str, fact_first: bool) {
    let mut over = CarryOver::default();
    over.notes.push((BOOK_NOTE.to_owned(), json!(book(account))));
    let mut facts = Facts::new();
    let quote = facts.quote_at(ETH, "99.99", "100.01");
    let order = client(1, 1);
    let fill = facts.body(filled(order, 4_711, "100", "1"));
    let mark = facts.quote_at(ETH, "89.99", "90.01");
    let intent = buy(order, 1, 1, "100", "1");
    let mut records = vec![Record::Fact(quote), intent, Record::Fact(fill), Record::Fact(mark)];
    if fact_first {
        // As the writer may find them: a reply before the intent that it answers.
        records.swap(1, 2);
    }
    write_session(data, &header("20231114T221320Z-000001", 1, &over), &records);
}

fn read(data: &Path, account: &str) -> CarryOver {
    let layers = Plan::default().limits().layers;
    let paths = Paths::new(data, None);
    let names = strategies();
    CarryOver::read(&paths, Some(book(account)), (&table(), &names), &layers, START_NS + S).unwrap()
}

fn told(over: &CarryOver) -> Vec<&'static str> {
    over.events.iter().map(|event| event.name).collect()
}

/// A stage's view after the first facts of a session.
fn stages(over: &CarryOver) -> (Risk, Signal) {
    let everything: Vec<_> = table().all().iter().map(|i| i.id).collect();
    let mut risk = Risk::new(&RiskConfig::default(), &table(), &everything).unwrap();
    let mut signal = Signal::new(2, &table(), Vec::new()).unwrap();
    for (seq, carry) in (1..).zip(&over.facts) {
        let fact = Fact { seq, recv_ns: START_NS + S, body: Body::Carry(*carry) };
        risk.on_fact(&fact);
        signal.on_fact(&fact, &mut |_| true);
    }
    (risk, signal)
}

#[test]
fn r_ord_4_a_boot_starts_from_what_the_journal_holds_in_whatever_order_it_stands() {
    for fact_first in [false, true] {
        let data = tempfile::tempdir().unwrap();
        bought(data.path(), "a", fact_first);
        let over = read(data.path(), "a");
        assert_eq!(told(&over), ["STATE_REBUILT"]);
        assert!(
            matches!(over.facts[0], Carry::Begin(head) if usize::from(head.follow) == over.facts.len() - 1)
        );
        let (risk, signal) = stages(&over);
        assert_eq!((risk.position(ETH).qty, signal.position(ETH).qty), (qty("1"), qty("1")));
        assert_eq!(risk.position(ETH).average_price(), Some(price("100")));
        assert_eq!(risk.position(BTC).qty, Qty::ZERO);
        let (own, _) = risk.layers().own(StrategyId(1), ETH).unwrap();
        assert_eq!(own.qty, qty("1"), "it is the second strategy's");
        assert_eq!(risk.layers().account().result, cash("-10"), "at the last middle");
        assert_eq!(risk.layers().net(ETH).unwrap().last_trade, TradeId(4_711));
    }
}

/// Orders and layers name the account alike: by the venue's number of it. Records under the name of before are still its own, and
/// another number is another account, whatever the key file holds.
#[test]
fn r_ord_4_the_account_has_one_name_and_answers_to_its_former_one() {
    let data = tempfile::tempdir().unwrap();
    bought(data.path(), "0123456789abcdef", false);
    let paths = Paths::new(data.path(), None);
    let layers = Plan::default().limits().layers;
    let of = |former: &str, uid: Option<&str>| {
        let book = Some(book(former).on(uid));
        CarryOver::read(&paths, book, (&table(), &strategies()), &layers, START_NS + S).unwrap()
    };
    let held = |over: &CarryOver| stages(over).0.position(ETH).qty;
    let same = of("0123456789abcdef", Some("4711"));
    assert_eq!((held(&same), told(&same)), (qty("1"), vec!["STATE_REBUILT"]));
    assert_eq!(same.notes[0].1, json!({ "name": "testnet", "account": "4711" }), "the one name, from now on");
    let other = of("fedcba9876543210", Some("4711"));
    assert_eq!((held(&other), told(&other)), (Qty::ZERO, vec!["STATE_REBUILT", "CARRY_POSITIONS_DROPPED"]));
    // A session under the one name: the key may be another one now, the account may not.
    write_session(data.path(), &header("20231115T221320Z-000002", 2, &same), &[]);
    assert_eq!(told(&of("fedcba9876543210", Some("4712"))), ["STATE_REBUILT", "CARRY_POSITIONS_DROPPED"]);
}

#[test]
fn r_ord_4_the_state_file_is_believed_only_as_long_as_the_journal_has_not_grown() {
    let data = tempfile::tempdir().unwrap();
    bought(data.path(), "a", false);
    let paths = Paths::new(data.path(), None);
    carry::save(&paths, &book("a"), START_NS).unwrap();
    let cached = read(data.path(), "a");
    assert!(told(&cached).is_empty(), "{:?}", cached.events);
    // A second session begins with all of it, so it alone is enough for the third.
    let order = client(2, 1);
    let mut facts = Facts::new();
    let mut records: Vec<Record> =
        cached.facts.iter().map(|carry| Record::Fact(facts.body(Body::Carry(*carry)))).collect();
    let cause = facts.timer();
    records.push(Record::Fact(cause));
    records.push(buy(order, 1, cause.seq, "90", "2"));
    records.push(Record::Fact(facts.body(filled(order, 4_800, "90", "2"))));
    write_session(data.path(), &header("20231115T221320Z-000002", 2, &cached), &records);
    let over = read(data.path(), "a");
    assert_eq!(told(&over), ["STATE_REBUILT"], "the file stands for the first session only");
    let (risk, signal) = stages(&over);
    assert_eq!((risk.position(ETH).qty, signal.position(ETH).qty), (qty("3"), qty("3")));
    assert_eq!(risk.layers().account().result, cash("-10"));
}

#[test]
fn r_ord_4_an_older_state_file_migrates_and_one_that_cannot_be_read_is_rebuilt() {
    let data = tempfile::tempdir().unwrap();
    bought(data.path(), "a", false);
    let paths = Paths::new(data.path(), None);
    carry::save(&paths, &book("a"), START_NS).unwrap();
    let (new, none) = StateFile::load(&paths.state(), START_NS);
    assert!(none.is_none());
    // Version 1: one book, and no lowest result.
    let mut state = serde_json::to_value(&new.books["testnet"]).unwrap();
    state["account"].as_object_mut().unwrap().remove("worst");
    std::fs::write(paths.state(), json!({ "v": 1, "state": state }).to_string()).unwrap();
    let over = read(data.path(), "a");
    assert_eq!(told(&over), ["STATE_MIGRATED"]);
    assert_eq!(stages(&over).0.position(ETH).qty, qty("1"));
    // Version 2: no pace, no latch.
    let mut state = serde_json::to_value(&new.books["testnet"]).unwrap();
    state.as_object_mut().unwrap().remove("paces");
    std::fs::write(paths.state(), json!({ "v": 2, "books": { "testnet": state } }).to_string()).unwrap();
    assert_eq!(told(&read(data.path(), "a")), ["STATE_MIGRATED"]);
    // A cost that is no sum is not taken for nothing.
    let whole = json!({ "v": 3, "books": new.books }).to_string();
    let at = whole.find("\"cost\":\"").unwrap() + 8;
    let bad_cost = format!("{}z{}", &whole[..at], &whole[at + 1..]);
    for broken in
        [bad_cost.as_str(), "", "{", "{\"v\":99}", "{\"v\":2,\"books\":{\"testnet\":{}}}", "{\"v\":1}"]
    {
        std::fs::write(paths.state(), broken).unwrap();
        let over = read(data.path(), "a");
        assert_eq!(told(&over), ["STATE_UNREADABLE", "STATE_REBUILT"], "{broken:?}");
        assert_eq!(stages(&over).0.position(ETH).qty, qty("1"));
    }
}

#[test]
fn another_account_holds_nothing_of_it_and_the_result_stays() {
    let data = tempfile::tempdir().unwrap();
    bought(data.path(), "a", false);
    let over = read(data.path(), "b");
    assert_eq!(told(&over), ["STATE_REBUILT", "CARRY_POSITIONS_DROPPED"]);
    let (risk, _) = stages(&over);
    assert_eq!(risk.position(ETH).qty, Qty::ZERO);
    assert_eq!(risk.layers().account().result, cash("-10"));
    assert_eq!(risk.layers().day_result(), cash("-10"), "of the same day");
}

#[test]
fn a_position_on_a_symbol_that_the_session_does_not_have_ends_the_start() {
    let data = tempfile::tempdir().unwrap();
    bought(data.path(), "a", false);
    let mut only_btc = InstrumentTable::default();
    let made = crate::market::instrument(&mut only_btc, "BTC", "USDT", "0.00001");
    only_btc.push(made).unwrap();
    let layers = Plan::default().limits().layers;
    let paths = Paths::new(data.path(), None);
    let error = CarryOver::read(&paths, Some(book("a")), (&only_btc, &strategies()), &layers, START_NS);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("1 ETHUSDT") && text.contains("venue.symbols"), "{text}");
}

#[test]
fn r_lim_9_a_weight_that_is_changed_by_more_than_a_step_is_critical() {
    let data = tempfile::tempdir().unwrap();
    bought(data.path(), "a", false);
    let mut layers = Plan::default().limits().layers;
    layers.weights.insert("ma_crossover".to_owned(), 5_000);
    layers.weights.insert("order_flow_imbalance".to_owned(), 9_500);
    let paths = Paths::new(data.path(), None);
    let over =
        CarryOver::read(&paths, Some(book("a")), (&table(), &strategies()), &layers, START_NS).unwrap();
    assert_eq!(told(&over), ["STATE_REBUILT", "WEIGHT_CLAMPED"]);
    let event = over.events.last().unwrap();
    assert_eq!((event.level.name(), &event.fields["strategy"]), ("critical", &json!("ma_crossover")));
    let (risk, _) = stages(&over);
    assert_eq!(risk.layers().size_bp(StrategyId(0)), 10_000, "it moves tomorrow, by a step");
}

#[test]
fn nothing_is_carried_where_nothing_is_held() {
    let data = tempfile::tempdir().unwrap();
    bought(data.path(), "a", false);
    let layers = Plan::default().limits().layers;
    let paths = Paths::new(data.path(), None);
    let over = CarryOver::read(&paths, None, (&table(), &strategies()), &layers, START_NS).unwrap();
    assert!(over.facts.is_empty() && over.notes.is_empty());
    // A book that was never opened begins with nothing, and says so on the line.
    let fresh = Book::new("paper", "paper");
    let over = CarryOver::read(&paths, Some(fresh), (&table(), &strategies()), &layers, START_NS).unwrap();
    assert!(over.events.is_empty());
    let (risk, _) = stages(&over);
    assert_eq!((risk.position(ETH).qty, risk.layers().account().result), (Qty::ZERO, Cash::ZERO));
    let Some(Value::Object(note)) =
        over.notes.iter().find(|(key, _)| key == BOOK_NOTE).map(|(_, v)| v.clone())
    else {
        panic!("the header names the book");
    };
    assert_eq!(note["name"], "paper");
}
