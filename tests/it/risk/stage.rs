//! The stage on its rings: order of the line, decisions before outputs, backpressure, a full journal (R-HOT-8, R-KILL-1).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use interlock::agent::line_ring::{self, Reader, Writer};
use interlock::agent::ring::{Consumer, ring};
use interlock::agent::{Agent, Clock};
use interlock::event::{Action, Body, Fact, Item, Record, Slot, Stamps, Verdict};
use interlock::risk::{KillSource, Output, Ports, RecordedSource, Risk, RiskConfig, Stage};
use interlock::shared::{Counter, Counters, HaltView};
use interlock::types::{ClientOrderId, Now, Qty, Reason, Side};

use crate::market::{ARMED, BTC, Facts, intent, limits, qty, spec, table};

#[derive(Clone, Copy)]
struct Always(HaltView);

impl KillSource for Always {
    fn view(&mut self, _client: ClientOrderId, _now: Now) -> HaltView {
        self.0
    }
}

struct Line<K: KillSource> {
    stage: Stage<K>,
    input: Writer<Slot<Item>>,
    output: Reader<Output>,
    journal: Consumer<Record>,
    counters: Arc<Counters>,
    trips: Arc<AtomicU64>,
    facts: Facts,
}

fn line<K: KillSource>(kill: K, output: usize, journal: usize, forward_market: bool) -> Line<K> {
    let mut facts = Facts::new();
    let fact = Item::Fact(facts.timer());
    let (input_in, input_out) = line_ring::ring(4_096, Slot { stamps: Stamps::default(), item: fact });
    let Item::Fact(sample) = fact else { panic!("a fact") };
    let (output_in, output_out) = line_ring::ring(output, Output::Fact(sample));
    let (journal_in, journal_out) = ring(journal, Record::Fact(sample));
    let counters = Arc::new(Counters::default());
    let trips = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&trips);
    let config = RiskConfig { messages_per_s: 100, messages_burst: 100, ..limits() };
    let ports = Ports {
        input: input_out,
        output: output_in,
        journal: journal_in,
        latency: None,
        kill,
        trip: Box::new(move |reason| {
            assert_eq!(reason, Reason::JournalFailed);
            seen.fetch_add(1, Ordering::Relaxed);
        }),
        counters: Arc::clone(&counters),
        clock: Clock::virtual_at(0),
        forward_market,
    };
    let risk = Risk::new(&config, &table(), &[BTC]).unwrap();
    let stage = Stage::new(risk, ports);
    Line { stage, input: input_in, output: output_out, journal: journal_out, counters, trips, facts }
}

impl<K: KillSource> Line<K> {
    fn put(&mut self, item: Item) {
        self.input.push(Slot { stamps: Stamps::default(), item }).unwrap();
    }
    fn fact(&mut self, make: impl FnOnce(&mut Facts) -> Fact) -> Fact {
        let fact = make(&mut self.facts);
        self.put(Item::Fact(fact));
        fact
    }
    fn ready(&mut self) {
        let table = table();
        self.fact(|f| f.clock(0, 0));
        for asset in [b"USDT".as_slice(), b"BTC"] {
            let asset = table.asset(asset).unwrap();
            self.fact(|f| f.balance(asset, qty("1000"), Qty::ZERO));
        }
        self.fact(|f| f.depth(BTC, &[], true));
        self.fact(|f| f.book_status(BTC, true));
        self.fact(|f| f.quote_at(BTC, "60000", "60000.01"));
    }
    fn place(&mut self, counter: u64) {
        let amount = format!("0.000{:02}", 10 + counter % 50);
        self.put(Item::Intent(intent(counter, BTC, Action::Place(spec(Side::Buy, "59999", &amount)))));
    }
    fn poll(&mut self) -> usize {
        self.stage.poll(Now { ns: 0, mono_ns: 0 })
    }
}

#[test]
fn decisions_stand_in_the_journal_ring_before_their_outputs_in_the_order_of_the_line() {
    let mut line = line(Always(ARMED), 256, 256, false);
    line.ready();
    for counter in 1..=30 {
        line.place(counter);
        line.fact(Facts::timer);
    }
    while line.poll() > 0 {}
    let mut decided = Vec::new();
    while let Ok(Record::Decision(decision)) = line.journal.pop() {
        decided.push((decision.client, decision.verdict == Verdict::Approved));
    }
    let mut handed = Vec::new();
    let mut last_seq = 0;
    while let Some(output) = line.output.pop() {
        match output {
            Output::Approved { order, .. } => handed.push((order.get().client, true)),
            Output::Refused { order, reason } => {
                assert_ne!(reason, Reason::None);
                handed.push((order.client, false));
            }
            Output::Fact(fact) => {
                assert!(fact.seq > last_seq, "facts keep their order");
                assert!(!matches!(fact.body, Body::Quote(_) | Body::Depth(_) | Body::BookStatus(_)));
                last_seq = fact.seq;
            }
        }
    }
    assert_eq!(decided, handed);
    assert_eq!(decided.len(), 30);
    let (approved, refused) =
        (line.counters.get(Counter::RiskApproved), line.counters.get(Counter::RiskRefused));
    assert_eq!(approved + refused, 30);
    // The exposure limit of 500 is reached along the way, and each refusal is counted by its reason (R-LIM-11).
    assert!(approved > 5 && refused > 5, "{approved} approved");
    assert_eq!(
        line.counters.refusals(Reason::TotalExposure) + line.counters.refusals(Reason::OpenOrders),
        refused
    );
}

#[test]
fn market_facts_go_on_only_where_a_fill_model_stands_behind() {
    for forward in [false, true] {
        let mut line = line(Always(ARMED), 256, 256, forward);
        line.ready();
        while line.poll() > 0 {}
        let mut market = 0;
        while let Some(output) = line.output.pop() {
            let is_market =
                |f: &Fact| matches!(f.body, Body::Quote(_) | Body::Depth(_) | Body::BookStatus(_));
            market += usize::from(matches!(output, Output::Fact(fact) if is_market(&fact)));
        }
        assert_eq!(market, if forward { 3 } else { 0 });
    }
}

#[test]
fn r_hot_8_a_full_gateway_ring_stops_the_stage_and_loses_nothing() {
    let mut line = line(Always(ARMED), 4, 256, false);
    for _ in 0..50 {
        line.fact(Facts::timer);
    }
    let mut seen = Vec::new();
    for _ in 0..1_000 {
        line.poll();
        assert_eq!(line.poll(), 0, "the ring is full, or nothing is left");
        if let Some(Output::Fact(fact)) = line.output.pop() {
            seen.push(fact.seq);
        }
    }
    assert_eq!(seen.len(), 50);
    assert!(seen.is_sorted());
}

#[test]
fn r_hot_8_a_full_journal_ring_refuses_orders_trips_and_lets_cancels_go() {
    let mut line = line(Always(ARMED), 256, 2, false);
    line.ready();
    for counter in 1..=4 {
        line.place(counter);
    }
    let target = ClientOrderId::new(1, 1);
    line.put(Item::Intent(intent(9, BTC, Action::Cancel { target })));
    while line.poll() > 0 {}
    let mut verdicts = Vec::new();
    while let Some(output) = line.output.pop() {
        match output {
            Output::Approved { order, .. } => verdicts.push((order.get().client.counter(), Reason::None)),
            Output::Refused { order, reason } => verdicts.push((order.client.counter(), reason)),
            Output::Fact(_) => {}
        }
    }
    let full = Reason::JournalFull;
    assert_eq!(verdicts, [(1, Reason::None), (2, Reason::None), (3, full), (4, full), (9, Reason::None)]);
    assert_eq!(line.trips.load(Ordering::Relaxed), 3);
}

#[test]
fn r_evd_2_a_replay_with_the_recorded_halt_readings_decides_the_same() {
    // First with a page that changes its mind ...
    struct Flicker(u64);
    impl KillSource for Flicker {
        fn view(&mut self, _client: ClientOrderId, _now: Now) -> HaltView {
            self.0 += 1;
            HaltView { lease_valid: !self.0.is_multiple_of(3), ..ARMED }
        }
    }
    fn run<K: KillSource>(mut line: Line<K>) -> Vec<interlock::event::Decision> {
        line.ready();
        for counter in 1..=40 {
            line.place(counter);
            if counter % 7 == 0 {
                line.facts.now_ns += 100_000_000;
                line.fact(|f| f.quote_at(BTC, "60000", "60000.01"));
            }
        }
        while line.poll() > 0 {}
        std::iter::from_fn(|| match line.journal.pop() {
            Ok(Record::Decision(decision)) => Some(decision),
            _ => None,
        })
        .collect()
    }
    let first = run(line(Flicker(0), 256, 256, false));
    assert!(first.iter().any(|d| d.reason == Reason::LeaseExpired));
    // ... then from the record.
    let mut recorded = RecordedSource::default();
    for decision in &first {
        recorded.push(decision);
    }
    assert_eq!(run(line(recorded, 256, 256, false)), first);
    // An intent without a record sees a tripped page.
    assert!(!RecordedSource::default().view(ClientOrderId::NONE, Now::default()).allows_risk());
}
