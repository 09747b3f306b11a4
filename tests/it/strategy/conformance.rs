//! What holds for every strategy of the table: the same facts give the same intents, a fact causes a bounded number of
//! them, nothing panics, every order is one that the venue's rules let in, and history raises nothing.

use std::collections::BTreeMap;

use interlock::event::fact::LinkId;
use interlock::event::{Action, Bar, Body, CommandKind, Fact, Intent, ReplyKind, Trade};
use interlock::limits::INTENTS_PER_FACT_MAX;
use interlock::risk::Risk;
use interlock::signal::{Running, Signal};
use interlock::strategy::{STRATEGIES, build};
use interlock::types::{
    Cash, ClientOrderId, InstrumentId, Level, OrderState, OrderTerms, OrderType, Price, Qty, RuleContext,
    Side, StrategyId, TradeId,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::market::{ARMED, BTC, ETH, Facts, MS, Placed, START_NS, limits, qty, spec, table};
use crate::signal::scripted::{Echo, caused};
use crate::support::seed;

fn every_strategy() -> Vec<Running> {
    let table = table();
    let mut running = Vec::new();
    for (id, entry) in STRATEGIES.iter().enumerate() {
        for instrument in table.all() {
            let strategy = build(entry.name, &BTreeMap::new(), instrument).unwrap();
            let id = StrategyId(u8::try_from(id).unwrap());
            running.push(Running { id, instrument: instrument.id, strategy });
        }
    }
    running
}

/// A fact of any kind, sensible or not.
fn random_fact(rng: &mut SmallRng, facts: &mut Facts, ids: u64) -> Fact {
    facts.now_ns += rng.random_range(0..200) * MS;
    let instrument = InstrumentId(if rng.random_bool(0.02) { 40 } else { rng.random_range(0..2) });
    let extreme = rng.random_bool(0.02);
    let number =
        |rng: &mut SmallRng| if extreme { i64::MAX } else { rng.random_range(0..2_000_000_000_000i64) };
    let at = Price::from_units(number(rng) / 10_000_000 * 10_000_000);
    let amount = Qty::from_units(number(rng) / 1_000);
    let placed = Placed {
        client: ClientOrderId::new(1, rng.random_range(1..ids.max(2))),
        instrument,
        spec: spec(if rng.random_bool(0.5) { Side::Buy } else { Side::Sell }, "100", "1"),
    };
    match rng.random_range(0..14) {
        0..=4 => {
            let width = rng.random_range(-1..30i64) * 10_000_000;
            let ask = Price::from_units(at.units().saturating_add(width));
            facts.quote(instrument, Level::new(at, amount), Level::new(ask, amount))
        }
        5..=6 => {
            let trade_id = TradeId(facts.seq);
            let (aggressor, venue_ns) = (Side::Buy, if extreme { i64::MAX } else { facts.now_ns });
            let conflated = rng.random_bool(0.05);
            facts.body(Body::Trade(Trade {
                instrument,
                aggressor,
                conflated,
                trade_id,
                price: at,
                qty: amount,
                venue_ns,
            }))
        }
        7 => facts.depth(instrument, &[(Side::Buy, Level::new(at, amount))], rng.random_bool(0.1)),
        8 => facts.book_status(instrument, rng.random_bool(0.7)),
        9 => facts.timer(),
        10 => {
            let state = OrderState::ALL[rng.random_range(0..OrderState::ALL.len())];
            facts.order(&placed, state, Qty::from_units(number(rng) / 1_000_000), rng.random_bool(0.3))
        }
        11 => {
            let part = Qty::from_units(rng.random_range(1..100_000));
            facts.fill(&placed, at, rng.random_range(1..500), part, part)
        }
        12 => {
            use ReplyKind as K;
            let kinds =
                [K::Sent, K::NotSent, K::Accepted, K::Rejected, K::Unknown, K::Absent, K::NothingOpen];
            facts.reply(kinds[rng.random_range(0..kinds.len())], placed.client, rng.random_bool(0.3))
        }
        _ => match rng.random_range(0..20) {
            0 => facts.link(LinkId::Market, rng.random_bool(0.5)),
            1 => facts.clock(rng.random_range(-2_000..2_000) * MS, 10 * MS),
            2 => facts.command(CommandKind::Flatten),
            3 => facts.command(CommandKind::Freeze),
            4 => facts.command(CommandKind::CancelAll),
            _ => facts.command(CommandKind::Unfreeze),
        },
    }
}

fn random_run(seed: u64, steps: usize) -> (Vec<Fact>, Vec<Intent>) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let (mut facts, mut told, mut raised) = (Facts::new(), Vec::new(), Vec::new());
    let mut signal = Signal::new(1, &table(), every_strategy()).unwrap();
    for _ in 0..steps {
        let fact = random_fact(&mut rng, &mut facts, signal.intents_raised() + 2);
        told.push(fact);
        let intents = caused(&mut signal, &fact);
        assert!(intents.len() <= INTENTS_PER_FACT_MAX, "seed {seed}: a storm at fact {}", fact.seq);
        raised.extend(intents);
    }
    (told, raised)
}

fn assert_on_grid(intent: &Intent, what: &str) {
    let (Action::Place(spec) | Action::Replace { spec, .. }) = intent.action else { return };
    let table = table();
    let instrument = table.get(intent.instrument).unwrap();
    // What the layers have sized down to too little is raised all the same: risk refuses it, by its reason (R-LIM-8).
    let is_least = spec.qty >= instrument.lot.min
        && Cash::notional_floor(spec.price, spec.qty).unwrap() >= instrument.notional.min;
    if !intent.reduce_only && !is_least {
        return assert_eq!(spec.price.floor_to(instrument.price.tick), spec.price, "{what}: {intent:?}");
    }
    let terms = OrderTerms { side: spec.side, order_type: spec.order_type, price: spec.price, qty: spec.qty };
    let context = RuleContext { reference: Some(spec.price), ..RuleContext::default() };
    assert_eq!(instrument.check(&terms, &context), Ok(()), "{what}: {intent:?}");
    assert!(Cash::notional_floor(spec.price, spec.qty).unwrap() >= instrument.notional.min, "{what}");
    assert_ne!(spec.order_type, OrderType::Market, "{what}: a strategy always names its worst price");
}

#[test]
fn any_facts_are_survived_with_a_bounded_number_of_orders_on_the_grid() {
    let seed = seed(0xc0f);
    for round in 0..20 {
        let seed = seed.wrapping_add(round);
        let (_, raised) = random_run(seed, 5_000);
        for intent in &raised {
            assert_on_grid(intent, &format!("seed {seed}"));
        }
    }
}

#[test]
fn r_evd_2_the_same_facts_give_the_same_intents_byte_for_byte() {
    let seed = seed(0xde7);
    let (facts, first) = random_run(seed, 20_000);
    let mut signal = Signal::new(1, &table(), every_strategy()).unwrap();
    let second: Vec<Intent> = facts.iter().flat_map(|fact| caused(&mut signal, fact)).collect();
    assert_eq!(format!("{first:?}"), format!("{second:?}"), "seed {seed}");
}

/// A market that moves like one, with a venue that answers: strategies and risk on one line.
fn traded(seed: u64, seconds: i64) -> (Vec<String>, Signal, Risk, Vec<Intent>) {
    let mut rng = SmallRng::seed_from_u64(seed);
    let table = table();
    let config = limits();
    let mut risk = Risk::new(&config, &table, &[BTC, ETH]).unwrap();
    let mut signal = Signal::new(1, &table, every_strategy()).unwrap();
    let (mut facts, mut echo) = (Facts::new(), Echo::default());
    let mut log = Vec::new();
    let mut raised = Vec::new();
    let mut waiting = std::collections::VecDeque::from([facts.clock(0, 0)]);
    for asset in 0..3u16 {
        waiting.push_back(facts.balance(interlock::types::AssetId(asset), qty("100000"), Qty::ZERO));
    }
    for instrument in [BTC, ETH] {
        waiting.push_back(facts.book_status(instrument, true));
    }
    let mut ticks = [6_000_000i64, 300_000];
    let mut lean = [0i64; 2];
    let end_ns = START_NS + seconds * 1_000 * MS;
    while facts.now_ns < end_ns {
        let mut at_once = 0;
        while let Some(fact) = waiting.pop_front() {
            at_once += 1;
            assert!(at_once < 1_000, "seed {seed}: a storm between two ticks");
            echo.see(&fact);
            risk.on_fact(&fact);
            for intent in caused(&mut signal, &fact) {
                raised.push(intent);
                let mut line = String::new();
                let verdict = risk.decide(&intent, ARMED, &mut |decision| {
                    line = format!("{decision:?}");
                    true
                });
                log.push(line);
                let answers = match verdict {
                    Ok(order) => echo.answer(&mut facts, &Intent { action: order.get().action, ..intent }),
                    Err(_) => vec![facts.reply(ReplyKind::NotSent, intent.client, false)],
                };
                waiting.extend(answers);
            }
        }
        facts.now_ns += rng.random_range(5..60) * MS;
        let at = rng.random_range(0..2usize);
        let instrument = InstrumentId(u16::try_from(at).unwrap());
        lean[at] = (lean[at] + rng.random_range(-2..=2)).clamp(-6, 6);
        ticks[at] += lean[at] * ticks[at] / 100_000;
        let bid = Level::new(
            Price::from_units(ticks[at] * 10_000_000),
            Qty::from_units(rng.random_range(1..9) * 10_000_000),
        );
        let ask = Level::new(
            Price::from_units((ticks[at] + 2) * 10_000_000),
            Qty::from_units(rng.random_range(1..9) * 10_000_000),
        );
        waiting.push_back(facts.depth(instrument, &[(Side::Buy, bid)], false));
        waiting.push_back(facts.trade(instrument, bid.price, Qty::from_units(1_000_000), facts.now_ns));
        let quote = facts.quote(instrument, bid, ask);
        echo.see(&quote);
        waiting.push_back(quote);
        waiting.extend(echo.match_waiting(&mut facts));
        waiting.push_back(facts.timer());
    }
    (log, signal, risk, raised)
}

#[test]
fn on_a_moving_market_both_strategies_trade_soon_and_do_not_storm() {
    let seed = seed(0x7ade);
    let (log, signal, risk, raised) = traded(seed, 30);
    for (id, entry) in STRATEGIES.iter().enumerate() {
        let its = raised.iter().filter(|i| usize::from(i.strategy.0) == id).count();
        println!("{}: {its} intents in 30 s", entry.name);
        assert!(its >= 2, "seed {seed}: {} raised {its} intents in 30 s", entry.name);
        assert!(its < 600, "seed {seed}: {} raised {its} intents in 30 s", entry.name);
    }
    assert!(log.iter().any(|line| line.contains("Approved")), "seed {seed}");
    let fills: u64 = [BTC, ETH].iter().map(|&i| signal.position(i).fills).sum();
    assert!(fills > 0, "seed {seed}: no fill in 30 s");
    for instrument in [BTC, ETH] {
        assert_eq!(signal.position(instrument), risk.position(instrument), "one fold, two keepers");
        assert_eq!(risk.frozen(instrument), None, "nothing contradicts");
    }
}

#[test]
fn r_evd_2_the_same_market_gives_the_same_decisions_byte_for_byte() {
    let seed = seed(0x5a3e);
    let (first, ..) = traded(seed, 120);
    let (second, ..) = traded(seed, 120);
    assert!(first.len() > 50);
    assert_eq!(first, second, "seed {seed}");
}

#[test]
fn r_feed_4_history_raises_nothing() {
    let mut signal = Signal::new(1, &table(), every_strategy()).unwrap();
    let mut facts = Facts::new();
    let mut rng = SmallRng::seed_from_u64(1);
    for n in 0..2_000i64 {
        let close = Price::from_units(rng.random_range(50_000..60_000) * 1_000_000_000);
        let interval_ns = 1_000 * MS;
        let bar = Bar {
            instrument: BTC,
            trades: 1,
            interval_ns,
            open_ns: START_NS + n * interval_ns,
            open: close,
            high: close,
            low: close,
            close,
            volume: qty("1"),
        };
        assert!(caused(&mut signal, &facts.body(Body::Bar(bar))).is_empty());
    }
}
