//! What each strategy does, on small stories.

use std::collections::BTreeMap;

use interlock::event::{Action, Fact, Intent, OrderSpec};
use interlock::signal::{Running, Signal};
use interlock::strategy::build;
use interlock::types::{Level, OrderState, OrderType, Side, StrategyId, TimeInForce};

use crate::market::{BTC, Facts, MS, S, START_NS, price, qty, table};
use crate::signal::scripted::{Echo, caused};

struct Story {
    signal: Signal,
    facts: Facts,
    echo: Echo,
    raised: Vec<Intent>,
    answering: bool,
}

impl Story {
    fn new(name: &str, params: &str) -> Self {
        let table = table();
        let params: BTreeMap<String, toml::Value> = toml::from_str(params).unwrap();
        let strategy = build(name, &params, table.get(BTC).unwrap()).unwrap();
        let running = Running { id: StrategyId(0), instrument: BTC, strategy };
        let signal = Signal::new(1, &table, vec![running]).unwrap();
        Self { signal, facts: Facts::new(), echo: Echo::default(), raised: Vec::new(), answering: true }
    }
    fn put(&mut self, fact: Fact) {
        self.echo.see(&fact);
        let mut waiting = vec![fact];
        while let Some(fact) = waiting.pop() {
            for intent in caused(&mut self.signal, &fact) {
                self.raised.push(intent);
                if self.answering {
                    waiting.extend(self.echo.answer(&mut self.facts, &intent).into_iter().rev());
                }
            }
        }
    }
    fn quote(&mut self, bid: &str, bid_qty: &str, ask: &str, ask_qty: &str) {
        let (bid, ask) = (Level::new(price(bid), qty(bid_qty)), Level::new(price(ask), qty(ask_qty)));
        let fact = self.facts.quote(BTC, bid, ask);
        self.put(fact);
    }
    fn timer(&mut self, ms: i64) {
        self.facts.now_ns += ms * MS;
        let fact = self.facts.timer();
        self.put(fact);
    }
    fn take(&mut self) -> Vec<Intent> {
        std::mem::take(&mut self.raised)
    }
    /// One trade a second, each opening its own bar.
    fn closes(&mut self, closes: &[&str]) {
        for close in closes {
            self.facts.now_ns += S;
            let at = self.facts.now_ns;
            let fact = self.facts.trade(BTC, price(close), qty("1"), at);
            self.put(fact);
        }
    }
}

fn placed(intents: &[Intent]) -> Vec<(OrderSpec, bool)> {
    let spec = |i: &Intent| match i.action {
        Action::Place(spec) => Some((spec, i.reduce_only)),
        _ => None,
    };
    intents.iter().filter_map(spec).collect()
}

#[test]
fn ma_crossover_buys_the_cross_up_and_sells_the_cross_down() {
    let mut story =
        Story::new("ma_crossover", "fast_bars = 2\nslow_bars = 4\naverage = \"sma\"\ncooldown_ms = 0");
    story.quote("100.00", "1", "100.01", "1");
    // Falling: no first relation is a cross.
    story.closes(&["110", "108", "106", "104", "102", "100", "98"]);
    assert!(story.take().is_empty());
    story.closes(&["104", "110", "116"]);
    let bought = placed(&story.take());
    assert_eq!(bought.len(), 1, "once, at the cross");
    let (spec, reduce_only) = bought[0];
    assert_eq!((spec.side, spec.time_in_force, reduce_only), (Side::Buy, TimeInForce::Ioc, false));
    assert_eq!(spec.price, price("100.04"), "two hundredths of a percent above the ask, up to the tick");
    assert_eq!(spec.qty, qty("0.49980"), "50 at that price, down to the lot");
    story.closes(&["110", "100", "90", "80", "70"]);
    let sold = placed(&story.take());
    assert_eq!(sold.len(), 1);
    assert_eq!((sold[0].0.side, sold[0].0.qty, sold[0].1), (Side::Sell, qty("0.49980"), true));
    assert_eq!(sold[0].0.price, price("99.98"), "down to the tick");
    assert!(story.signal.position(BTC).qty.is_zero());
}

#[test]
fn ma_crossover_tries_an_exit_again_until_the_position_is_gone() {
    let mut story = Story::new("ma_crossover", "fast_bars = 2\nslow_bars = 4\naverage = \"sma\"");
    story.quote("100.00", "1", "100.01", "1");
    story.closes(&["110", "108", "106", "104", "102", "110", "118"]);
    assert_eq!(placed(&story.take()).len(), 1);
    // The venue says nothing of the first exit, and then that it was refused.
    story.answering = false;
    story.closes(&["110", "100", "90", "80"]);
    let first = story.take();
    assert_eq!(placed(&first).len(), 1);
    story.timer(400);
    assert!(story.take().is_empty(), "one at a time");
    let fact = story.facts.reply(interlock::event::ReplyKind::Rejected, first[0].client, false);
    story.put(fact);
    story.timer(300);
    let exits = story.take();
    assert_eq!(placed(&exits).len(), 1, "again");
    assert!(exits[0].reduce_only);
}

#[test]
fn ma_crossover_passive_waits_at_the_bid_and_gives_up() {
    let params = "fast_bars = 2\nslow_bars = 4\naverage = \"sma\"\nentry = \"passive\"\nentry_life_ms = 1000";
    let mut story = Story::new("ma_crossover", params);
    story.quote("100.00", "1", "100.01", "1");
    story.closes(&["110", "108", "106", "104", "102", "110", "118"]);
    let (spec, _) = placed(&story.take())[0];
    assert_eq!((spec.order_type, spec.price), (OrderType::LimitMaker, price("100.00")));
    story.timer(900);
    assert!(story.take().iter().all(|i| !matches!(i.action, Action::Cancel { .. })));
    story.timer(200);
    assert!(matches!(story.take()[0].action, Action::Cancel { .. }));
}

const OFI: &str = "events_min = 2\nhold_ms = 2000\ncooldown_ms = 5000\ntarget_bp = 10\nstop_bp = 20";

/// Quotes in which only buyers add.
fn lean(story: &mut Story) {
    for n in 1..6 {
        story.facts.now_ns += 10 * MS;
        story.quote("100.00", &n.to_string(), "100.01", "1");
    }
}

#[test]
fn order_flow_waits_at_the_bid_follows_it_and_gives_up() {
    let mut story = Story::new("order_flow_imbalance", OFI);
    lean(&mut story);
    let raised = story.take();
    assert_eq!(raised.len(), 1, "one entry at a time: {raised:?}");
    let (spec, reduce_only) = placed(&raised)[0];
    assert_eq!((spec.side, spec.order_type, spec.price), (Side::Buy, OrderType::LimitMaker, price("100.00")));
    assert_eq!((spec.qty, reduce_only), (qty("0.5"), false));
    // The bid moves up: the order follows, not at once.
    story.quote("100.01", "9", "100.02", "1");
    assert!(story.take().is_empty());
    story.facts.now_ns += 500 * MS;
    story.quote("100.01", "10", "100.02", "1");
    let moved = story.take();
    assert!(
        matches!(moved[0].action, Action::Replace { spec, .. } if spec.price == price("100.01")),
        "{moved:?}"
    );
    assert_eq!(story.signal.open_orders(), 1);
    // Sellers come: the entry is withdrawn.
    story.quote("100.01", "10", "100.02", "80");
    assert!(matches!(story.take()[0].action, Action::Cancel { .. }));
    assert_eq!(story.signal.open_orders(), 0);
    lean(&mut story);
    assert!(story.take().is_empty(), "not before the cooldown is over");
}

#[test]
fn order_flow_leaves_by_target_stop_or_time() {
    for (bid, ask, wait_ms, why) in [
        ("100.12", "100.13", 0, "target"),
        ("99.80", "99.81", 0, "stop"),
        ("100.00", "100.01", 2_000, "time"),
    ] {
        let mut story = Story::new("order_flow_imbalance", &format!("{OFI}\nentry = \"marketable\""));
        lean(&mut story);
        let raised = story.take();
        assert_eq!(placed(&raised)[0].0.time_in_force, TimeInForce::Ioc, "{why}");
        assert!(!story.signal.position(BTC).qty.is_zero(), "{why}");
        story.facts.now_ns += wait_ms * MS;
        story.quote(bid, "1", ask, "1");
        let exits = story.take();
        assert_eq!(exits.len(), 1, "{why}: {exits:?}");
        assert!(exits[0].reduce_only && placed(&exits)[0].0.side == Side::Sell, "{why}");
        assert!(story.signal.position(BTC).qty.is_zero(), "{why}");
    }
}

#[test]
fn order_flow_cancels_a_waiting_entry_before_it_leaves() {
    let mut story = Story::new("order_flow_imbalance", OFI);
    lean(&mut story);
    let entry = story.take()[0];
    // Part of it is filled; the rest waits.
    let order = crate::market::Placed { client: entry.client, instrument: BTC, spec: placed(&[entry])[0].0 };
    let fact = story.facts.fill(&order, price("100.00"), 900, qty("0.2"), qty("0.2"));
    story.put(fact);
    story.answering = false;
    story.quote("100.20", "1", "100.21", "1");
    let raised = story.take();
    assert!(matches!(raised[0].action, Action::Cancel { .. }), "{raised:?}");
    assert_eq!(raised.len(), 1, "the exit waits for it");
    let fact = story.facts.order(&order, OrderState::Cancelled, qty("0.2"), false);
    story.put(fact);
    let exits = story.take();
    assert_eq!(placed(&exits)[0].0.qty, qty("0.2"));
    assert!(exits[0].reduce_only);
    assert!(story.facts.now_ns > START_NS);
}
