//! The stage on its rings, and the fold without them: order of the line, backpressure, a full journal, determinism.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use interlock::agent::line_ring::{self, Reader, Writer};
use interlock::agent::ring::{Consumer, ring};
use interlock::agent::{Agent, Clock};
use interlock::event::fact::LinkId;
use interlock::event::{Action, Claim, Fact, Item, Record, ReplyKind, Slot, Stamps};
use interlock::limits::INTENTS_PER_FACT_MAX;
use interlock::shared::{Counter, Counters};
use interlock::signal::{Ports, Running, Signal, SignalError, Stage};
use interlock::strategy::Context;
use interlock::strategy::context::CANCEL_RETRY_NS;
use interlock::types::{ClientOrderId, Level, Now, OrderState, Qty, Reason, Side, StrategyId};

use super::scripted::{Script, caused, one, scripted};
use crate::market::{BTC, ETH, Facts, MS, Placed, price, qty, spec, table};

struct Line {
    stage: Stage,
    input: Writer<Slot<Fact>>,
    output: Reader<Slot<Item>>,
    journal: Consumer<Record>,
    counters: Arc<Counters>,
    trips: Arc<AtomicU64>,
}

fn line(signal: Signal, output: usize, journal: usize) -> Line {
    let fact = Facts::new().timer();
    let (input_in, input_out) = line_ring::ring(2_048, Slot { stamps: Stamps::default(), item: fact });
    let (output_in, output_out) =
        line_ring::ring(output, Slot { stamps: Stamps::default(), item: Item::Fact(fact) });
    let (journal_in, journal_out) = ring(journal, Record::Fact(fact));
    let counters = Arc::new(Counters::default());
    let trips = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&trips);
    let ports = Ports {
        input: input_out,
        output: output_in,
        journal: journal_in,
        latency: None,
        trip: Box::new(move |reason| {
            assert_eq!(reason, Reason::JournalFailed);
            seen.fetch_add(1, Ordering::Relaxed);
        }),
        counters: Arc::clone(&counters),
        clock: Clock::virtual_at(0),
    };
    let stage = Stage::new(signal, ports);
    Line { stage, input: input_in, output: output_out, journal: journal_out, counters, trips }
}

impl Line {
    fn put(&mut self, fact: Fact) {
        self.input.push(Slot { stamps: Stamps::default(), item: fact }).unwrap();
    }
    fn poll(&mut self) -> usize {
        self.stage.poll(Now { ns: 0, mono_ns: 0 })
    }
}

/// Two orders on every call.
fn greedy(context: &mut Context<'_>) {
    for at in ["100", "101"] {
        context.enter(spec(Side::Buy, at, "0.1"), Claim::NONE);
    }
}

const QUIET: Script = |_| {};

#[test]
fn intents_stand_right_behind_the_fact_that_caused_them() {
    let (signal, _) = one(greedy);
    let mut line = line(signal, 4_096, 4_096);
    let mut facts = Facts::new();
    for _ in 0..50 {
        line.put(facts.quote_at(BTC, "100", "101"));
        line.put(facts.quote_at(ETH, "100", "101"));
    }
    while line.poll() > 0 {}
    let (mut last_fact, mut raised) = (0, Vec::new());
    while let Some(slot) = line.output.pop() {
        match slot.item {
            Item::Fact(fact) => {
                assert_eq!(fact.seq, last_fact + 1, "every fact, in order");
                last_fact = fact.seq;
            }
            Item::Intent(intent) => {
                assert_eq!(intent.cause_seq, last_fact);
                assert_eq!(last_fact % 2, 1, "only the strategy's own instrument is heard");
                raised.push(intent);
            }
        }
    }
    assert_eq!((last_fact, raised.len()), (100, 100));
    for (at, intent) in raised.iter().enumerate() {
        assert_eq!(intent.client, ClientOrderId::new(1, at as u64 + 1), "ids count up");
        assert_eq!(line.journal.pop(), Ok(Record::Intent(*intent)), "journaled in the same order");
    }
    assert_eq!(line.counters.get(Counter::SignalIntents), 100);
}

#[test]
fn r_hot_8_a_full_risk_ring_stops_the_stage_and_loses_nothing() {
    let (signal, _) = one(greedy);
    let mut line = line(signal, INTENTS_PER_FACT_MAX + 3, 4_096);
    let mut facts = Facts::new();
    for _ in 0..60 {
        line.put(facts.quote_at(BTC, "100", "101"));
    }
    let (mut seen_facts, mut seen_intents) = (0u64, 0);
    for _ in 0..2_000 {
        line.poll();
        // A slow reader: one item at a time.
        if let Some(slot) = line.output.pop() {
            match slot.item {
                Item::Fact(fact) => {
                    seen_facts += 1;
                    assert_eq!(fact.seq, seen_facts);
                }
                Item::Intent(intent) => {
                    assert_eq!(intent.cause_seq, seen_facts);
                    seen_intents += 1;
                }
            }
        }
    }
    assert_eq!((seen_facts, seen_intents), (60, 120));
}

#[test]
fn r_hot_8_a_full_journal_ring_raises_no_order_trips_and_lets_cancels_go() {
    let (signal, _) = one(|context| {
        let working = context.working().next().map(|order| order.client);
        if let Some(client) = working {
            context.cancel(client);
        }
        context.enter(spec(Side::Buy, "100", "0.1"), Claim::NONE);
    });
    let mut line = line(signal, 256, 1);
    let mut facts = Facts::new();
    for _ in 0..3 {
        line.put(facts.quote_at(BTC, "100", "101"));
    }
    while line.poll() > 0 {}
    let mut raised = Vec::new();
    while let Some(slot) = line.output.pop() {
        if let Item::Intent(intent) = slot.item {
            raised.push(intent.action);
        }
    }
    let target = ClientOrderId::new(1, 1);
    assert_eq!(raised, [Action::Place(spec(Side::Buy, "100", "0.1")), Action::Cancel { target }]);
    assert_eq!(line.trips.load(Ordering::Relaxed), 3, "two orders and one cancel found no room");
    // The order that was not raised is not kept either.
    assert_eq!(line.stage.signal().open_orders(), 1);
}

#[test]
fn r_lim_6_a_fact_causes_a_bounded_number_of_intents_and_no_strategy_starves() {
    let greedy_all: Script = |context| {
        for at in ["100", "101", "102", "103", "104"] {
            context.enter(spec(Side::Buy, at, "0.1"), Claim::NONE);
        }
    };
    let mut running = Vec::new();
    for id in 0..10 {
        running.push(scripted(id, if id % 2 == 0 { BTC } else { ETH }, None, greedy_all).0);
    }
    let mut signal = Signal::new(1, &table(), running).unwrap();
    let mut facts = Facts::new();
    let mut heard = std::collections::BTreeSet::new();
    for _ in 0..10 {
        let intents = caused(&mut signal, &facts.timer());
        assert_eq!(intents.len(), INTENTS_PER_FACT_MAX);
        heard.extend(intents.iter().map(|intent| intent.strategy));
    }
    assert_eq!(heard.len(), 10, "each had its turn");
}

#[test]
fn a_cancel_is_asked_once_and_again_after_it_was_refused() {
    let (mut signal, heard) = one(|context| {
        let first = context.working().next().map(|order| order.client);
        match first {
            Some(client) => {
                context.cancel(client);
            }
            None => {
                context.enter(spec(Side::Buy, "100", "0.1"), Claim::NONE);
            }
        }
    });
    let mut facts = Facts::new();
    let placed = caused(&mut signal, &facts.quote_at(BTC, "100", "101"))[0].client;
    assert_eq!(caused(&mut signal, &facts.timer())[0].action, Action::Cancel { target: placed });
    assert!(caused(&mut signal, &facts.timer()).is_empty(), "asked already");
    let fact = facts.reply(ReplyKind::NotSent, placed, true);
    caused(&mut signal, &fact);
    // Not at the line's pace: whatever stood in the way does not change with the next fact, and cancels have no throttle.
    assert!(caused(&mut signal, &facts.timer()).is_empty(), "not at once");
    facts.now_ns += CANCEL_RETRY_NS;
    assert_eq!(caused(&mut signal, &facts.timer()).len(), 1, "the first never left");
    // A refusal of the order itself ends it, and the strategy hears of it.
    let fact = facts.reply(ReplyKind::NotSent, placed, false);
    caused(&mut signal, &fact);
    let news = heard.lock().unwrap().news.clone();
    assert_eq!(news.last().map(|n| n.change.after), Some(OrderState::NotSent));
    assert_eq!(signal.open_orders(), 0);
}

#[test]
fn a_refused_replace_leaves_its_target_to_be_asked_again() {
    let (mut signal, _) = one(|context| {
        let first = context.working().next().map(|order| (order.client, order.state));
        match first {
            Some((client, OrderState::Acknowledged)) => {
                context.replace(client, spec(Side::Buy, "101", "0.1"), Claim::NONE);
            }
            Some(_) => {}
            None => {
                context.enter(spec(Side::Buy, "100", "0.1"), Claim::NONE);
            }
        }
    });
    let mut facts = Facts::new();
    let first = caused(&mut signal, &facts.quote_at(BTC, "100", "101"))[0];
    let placed = Placed { client: first.client, instrument: BTC, spec: spec(Side::Buy, "100", "0.1") };
    let fact = facts.order(&placed, OrderState::Acknowledged, Qty::ZERO, false);
    caused(&mut signal, &fact);
    let replace = caused(&mut signal, &facts.timer())[0];
    assert!(matches!(replace.action, Action::Replace { target, .. } if target == first.client));
    assert!(caused(&mut signal, &facts.timer()).is_empty(), "asked already");
    let fact = facts.reply(ReplyKind::NotSent, replace.client, false);
    caused(&mut signal, &fact);
    facts.now_ns += CANCEL_RETRY_NS;
    assert_eq!(caused(&mut signal, &facts.timer()).len(), 1);
}

#[test]
fn f20_a_refusal_that_comes_back_at_once_makes_no_storm() {
    let (mut signal, _) = one(|context| {
        if context.is_idle() {
            context.enter(spec(Side::Buy, "100", "0.1"), Claim::NONE);
        }
    });
    let mut facts = Facts::new();
    let mut waiting = vec![facts.quote_at(BTC, "100", "101")];
    let mut raised = 0;
    for _ in 0..1_000 {
        facts.now_ns += MS;
        let fact = waiting.pop().unwrap_or_else(|| facts.timer());
        for intent in caused(&mut signal, &fact) {
            raised += 1;
            waiting.push(facts.reply(ReplyKind::NotSent, intent.client, false));
        }
    }
    assert!((5..=11).contains(&raised), "{raised} in a second");
}

#[test]
fn a_strategy_sees_the_book_only_while_it_is_valid_and_complete() {
    let (mut signal, heard) = one(QUIET);
    let mut facts = Facts::new();
    let bid = (Side::Buy, Level::new(price("100"), qty("1")));
    let ask = (Side::Sell, Level::new(price("101"), qty("1")));
    let books = || heard.lock().unwrap().books;
    caused(&mut signal, &facts.depth(BTC, &[bid, ask], true));
    assert_eq!(books(), 0, "not valid yet");
    caused(&mut signal, &facts.book_status(BTC, true));
    caused(&mut signal, &facts.depth(BTC, &[bid], false));
    assert_eq!(books(), 1);
    assert_eq!(
        signal.book(BTC).and_then(interlock::types::Book::best_ask).map(|l| l.price),
        Some(price("101"))
    );
    caused(&mut signal, &facts.depth(BTC, &[(Side::Buy, Level::new(price("99"), qty("2")))], true));
    let book = signal.book(BTC).unwrap();
    assert_eq!((book.depth(Side::Buy), book.depth(Side::Sell)), (1, 0), "a snapshot replaces");
    caused(&mut signal, &facts.link(LinkId::Market, false));
    assert!(signal.book(BTC).is_none());
    caused(&mut signal, &facts.depth(BTC, &[bid], false));
    assert_eq!((books(), heard.lock().unwrap().cuts), (2, 1));
}

#[test]
fn a_session_that_cannot_be_run_is_refused_with_its_reason() {
    let stray = || scripted(0, interlock::types::InstrumentId(9), None, QUIET).0;
    assert_eq!(Signal::new(0, &table(), Vec::new()).err(), Some(SignalError::BootEpoch(0)));
    assert_eq!(Signal::new(1 << 24, &table(), Vec::new()).err(), Some(SignalError::BootEpoch(1 << 24)));
    let error = Signal::new(1, &table(), vec![stray()]).expect_err("not in the table");
    assert!(error.to_string().contains("instrument 9"), "{error}");
    let many: Vec<Running> = (0..1_025).map(|_| scripted(0, BTC, None, QUIET).0).collect();
    assert_eq!(Signal::new(1, &table(), many).err(), Some(SignalError::TooManyStrategies(1_025)));
}

#[test]
fn positions_of_strategies_are_apart_and_add_up() {
    let buy: Script = |context| {
        if context.is_idle() && context.position.qty.is_zero() {
            context.enter(spec(Side::Buy, "101", "0.1"), Claim::NONE);
        }
    };
    let (first, _) = scripted(0, BTC, None, buy);
    let (second, _) = scripted(1, BTC, None, buy);
    let mut signal = Signal::new(1, &table(), vec![first, second]).unwrap();
    let mut echo = super::scripted::Echo::default();
    let mut facts = Facts::new();
    let quote = facts.quote_at(BTC, "100", "101");
    echo.see(&quote);
    let mut waiting = vec![quote];
    let mut raised = Vec::new();
    while let Some(fact) = waiting.pop() {
        for intent in caused(&mut signal, &fact) {
            raised.push(intent.strategy);
            waiting.extend(echo.answer(&mut facts, &intent).into_iter().rev());
        }
    }
    assert_eq!(raised, [StrategyId(0), StrategyId(1)], "each bought once");
    assert_eq!(signal.position(BTC).qty, qty("0.2"));
}
