//! What people look at: the view of the journal's records, latency histograms, small files (R-HOT-5, R-EVD-4).

use std::fs;

use interlock::agent::Clock;
use interlock::agent::ring::ring;
use interlock::event::fact::LinkId;
use interlock::event::{
    Action, Claim, Decision, GatewayNote, Intent, NoteKind, OrderTrace, OrderUpdate, Record, ReplyKind,
    Sample, Sent, SentKind, Verdict,
};
use interlock::ops::files::{self, Durability};
use interlock::ops::latency::Histograms;
use interlock::ops::watch::{self, View};
use interlock::shared::latency::Metric;
use interlock::types::{Cash, ClientOrderId, Now, OrderState, Reason, Side, StrategyId, TradeId};

use crate::market::{BTC, Facts, Placed, START_NS, cash, price, qty, spec};

fn client(counter: u64) -> ClientOrderId {
    ClientOrderId::new(1, counter)
}

fn intent(order: &Placed, strategy: u8) -> Record {
    Record::Intent(Intent {
        client: order.client,
        cause_seq: 1,
        cause_ns: START_NS,
        strategy: StrategyId(strategy),
        owner: StrategyId(strategy),
        instrument: order.instrument,
        reduce_only: false,
        action: Action::Place(order.spec),
        claim: Claim::NONE,
    })
}

fn decision(order: &Placed, verdict: Verdict, reason: Reason, exposure: Cash) -> Record {
    Record::Decision(Decision {
        client: order.client,
        cause_seq: 1,
        verdict,
        reason,
        halt_level: 0,
        lease_valid: true,
        instrument: order.instrument,
        exposure,
    })
}

fn sent(order: &Placed) -> Record {
    Record::Sent(Sent {
        client: order.client,
        kind: SentKind::Place,
        instrument: order.instrument,
        timestamp_ms: 1,
        text_len: 1,
        text_crc: 1,
        at_ns: START_NS,
    })
}

struct Desk {
    view: View,
    facts: Facts,
    seq: u64,
}

impl Desk {
    fn new() -> Self {
        let table = crate::control_rig::table();
        let names = ["first".to_owned(), "second".to_owned()];
        Self { view: View::new(table, &names, Vec::new()), facts: Facts::new(), seq: 0 }
    }
    fn see(&mut self, record: &Record) {
        self.seq += 1;
        self.view.observe(self.seq, record);
    }
    fn order(&mut self, counter: u64, side: Side, at: &str, amount: &str) -> Placed {
        let order = Placed { client: client(counter), instrument: BTC, spec: spec(side, at, amount) };
        self.see(&intent(&order, 1));
        self.see(&decision(&order, Verdict::Approved, Reason::None, cash("100")));
        self.see(&sent(&order));
        let handed_over = self.facts.reply(ReplyKind::Sent, order.client, false);
        self.see(&Record::Fact(handed_over));
        let accepted = self.facts.reply(ReplyKind::Accepted, order.client, false);
        self.see(&Record::Fact(accepted));
        order
    }
}

#[test]
fn the_view_follows_an_order_from_intent_to_profit() {
    let mut desk = Desk::new();
    let quote = desk.facts.quote_at(BTC, "100.00", "100.02");
    desk.see(&Record::Fact(quote));
    let valid = desk.facts.book_status(BTC, true);
    desk.see(&Record::Fact(valid));
    let up = desk.facts.link(LinkId::Orders, true);
    desk.see(&Record::Fact(up));
    let buy = desk.order(1, Side::Buy, "100.00", "2");
    let shown = desk.view.snapshot();
    assert_eq!((shown.orders.len(), shown.instruments[0].working), (1, 1));
    assert_eq!(shown.orders[0].strategy, "second");
    assert_eq!(shown.orders[0].state, "Acknowledged");
    assert_eq!(shown.exposure, cash("100"));
    assert!(shown.links[2].up && !shown.links[0].up);

    let fill = desk.facts.fill(&buy, price("100.00"), 1, qty("2"), qty("2"));
    desk.see(&Record::Fact(fill));
    // The same fill again, as a reconnect brings it.
    desk.see(&Record::Fact(fill));
    let sell = desk.order(2, Side::Sell, "101.00", "1");
    let update = OrderUpdate {
        trade: TradeId(2),
        price: price("101.00"),
        qty: qty("1"),
        fee: qty("0.1"),
        fee_asset: crate::control_rig::table().asset(b"USDT").unwrap(),
        ..sell.update(OrderState::Filled, qty("1"), START_NS)
    };
    let fill = desk.facts.body(interlock::event::Body::Order(update));
    desk.see(&Record::Fact(fill));
    let shown = desk.view.snapshot();
    let line = &shown.instruments[0];
    assert_eq!((line.position, line.fills, line.working), (qty("1"), 2, 0));
    assert_eq!((line.realised, line.fees), (cash("1"), cash("0.1")));
    assert_eq!(line.unrealised, Some(cash("0.01")), "at the middle of the book");
    assert!(line.book_valid);
    assert!(shown.orders.is_empty());
    let t = shown.totals;
    assert_eq!((t.intents, t.approved, t.orders_sent, t.accepted, t.fills, t.conflicts), (2, 2, 2, 2, 2, 0));
    assert_eq!((shown.strategies[1].intents, shown.strategies[1].fills), (2, 2));
    assert_eq!(shown.journal_seq, desk.seq);
}

#[test]
fn the_view_counts_refusals_by_reason_and_unknown_outcomes() {
    let mut desk = Desk::new();
    let refused = Placed { client: client(1), instrument: BTC, spec: spec(Side::Buy, "100", "1") };
    desk.see(&intent(&refused, 0));
    desk.see(&decision(&refused, Verdict::Refused, Reason::PriceCollar, Cash::ZERO));
    let not_sent = desk.facts.reply(ReplyKind::NotSent, refused.client, false);
    desk.see(&Record::Fact(not_sent));
    desk.see(&Record::Note(GatewayNote {
        kind: NoteKind::Withheld,
        reason: Reason::KillTripped,
        client: client(9),
        value: 0,
        at_ns: START_NS,
    }));
    let lost = desk.order(2, Side::Buy, "100", "1");
    let unknown = desk.facts.reply(ReplyKind::Unknown, lost.client, false);
    desk.see(&Record::Fact(unknown));
    let shown = desk.view.snapshot();
    let count = |reason: Reason| {
        let line = shown.refusals.iter().find(|r| r.reason == reason.name()).unwrap();
        (line.refused, line.withheld)
    };
    assert_eq!(count(Reason::PriceCollar), (1, 0));
    assert_eq!(count(Reason::KillTripped), (0, 1));
    assert_eq!(shown.totals.unknown, 1);
    assert_eq!(shown.orders.len(), 1, "an unknown order is still shown: it may be open");
    assert_eq!(shown.orders[0].state, "Unknown");
    assert_eq!(shown.strategies[0].refused, 1);
}

/// A reader that stands still loses snapshots; the journal's thread is never held up.
#[test]
fn a_slow_watcher_misses_snapshots_and_delays_nobody() {
    let (publisher, mut watcher) = watch::channel();
    let mut view = View::new(crate::control_rig::table(), &[], vec![publisher]);
    assert_eq!(watcher.latest().journal_seq, 0, "there is always one");
    let mut facts = Facts::new();
    for at in 0..100u64 {
        let timer = facts.timer();
        view.observe(at + 1, &Record::Fact(timer));
        let mono_ns = i64::try_from(at).unwrap() * 100_000_000;
        assert!(view.publish_if_due(Now { ns: START_NS, mono_ns }));
        assert!(!view.publish_if_due(Now { ns: START_NS, mono_ns: mono_ns + 1 }));
    }
    let latest = watcher.latest().journal_seq;
    assert!(latest > 0 && latest < 100, "{latest}: what fitted the ring");
    let timer = facts.timer();
    view.observe(101, &Record::Fact(timer));
    view.publish_if_due(Now { ns: START_NS, mono_ns: i64::MAX / 2 });
    assert_eq!(watcher.latest().journal_seq, 101, "and then the newest again");
}

/// R-HOT-5: stages' samples and orders' traces become figures; what was not stamped gives none.
#[test]
fn histograms_hold_what_was_measured() {
    let clock = Clock::virtual_at(0); // a tick is a nanosecond
    let (mut samples, sample_out) = ring(1_024, Sample::default());
    let (mut traces, trace_out) = ring(16, OrderTrace::default());
    let mut histograms = Histograms::new(clock, vec![sample_out], vec![trace_out]);
    for ticks in 1..=1_000 {
        samples.push(Sample { metric: Metric::Decode as u16, ticks }).unwrap();
    }
    samples.push(Sample { metric: 999, ticks: 1 }).unwrap();
    let trace = OrderTrace { read: 100, decoded: 150, signal: 300, risk: 400, encoded: 900, written: 1_100 };
    traces.push(trace).unwrap();
    traces.push(OrderTrace { read: 0, ..trace }).unwrap();
    traces.push(OrderTrace { risk: 950, written: 50, ..trace }).unwrap();
    assert_eq!(histograms.drain(), 1_004);
    let decode = histograms.figures(Metric::Decode);
    assert_eq!((decode.count, decode.p50_ns, decode.p99_ns, decode.max_ns), (1_000, 500, 990, 1_000));
    let whole = histograms.figures(Metric::TickToTrade);
    assert_eq!((whole.count, whole.max_ns), (1, 1_000));
    assert_eq!(histograms.figures(Metric::Encode).count, 2);
    assert_eq!(histograms.all().len(), Metric::ALL.len());
    assert_eq!(histograms.drain(), 0);
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    files::replace(&path, b"one", Durability::Synced).unwrap();
    files::replace(&path, b"two", Durability::Atomic).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"two");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
    assert!(files::replace(&dir.path().join("no/such"), b"x", Durability::Atomic).is_err());
    files::remove(&path).unwrap();
    files::remove(&path).unwrap();
    assert!(!files::may_exist(&path));
}
