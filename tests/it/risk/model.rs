//! Random orders, fills, prices, answers and losses: what risk approves is held against a plain model that recomputes
//! everything from its own lists each time (R-LIM-6).

use std::collections::{BTreeMap, BTreeSet};

use interlock::event::{Action, Claim, Fact, Intent, ReplyKind};
use interlock::risk::{Risk, RiskConfig};
use interlock::types::{
    Cash, ClientOrderId, InstrumentId, Level, OrderState, OrderType, Position, Price, Qty, Side, StrategyId,
    TimeInForce,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::market::{ARMED, BTC, ETH, Facts, MS, Placed, cash, limits, qty, table};
use crate::support::seed;

#[derive(Clone, Debug)]
struct Order {
    placed: Placed,
    reduce_only: bool,
    value_price: Price,
    filled: i64,
    open: bool,
    trades: Vec<Fact>,
}

struct Model {
    config: RiskConfig,
    orders: BTreeMap<ClientOrderId, Order>,
    positions: [Position; 2],
    quotes: [(Level, Level); 2],
    approvals: Vec<i64>,
}

/// `price * qty` rounded away from zero, from the definition.
fn worth(price: Price, qty: i64) -> i128 {
    let product = i128::from(price.units()) * i128::from(qty.unsigned_abs());
    (product + 999_999_999) / 1_000_000_000
}

impl Model {
    fn middle(&self, instrument: InstrumentId) -> Price {
        let (bid, ask) = self.quotes[instrument.index()];
        Price::from_units(i64::midpoint(bid.price.units(), ask.price.units()))
    }
    fn exposure(&self) -> i128 {
        let open = self.orders.values().filter(|o| o.open && !o.reduce_only);
        let reserved: i128 = open.map(|o| worth(o.value_price, o.placed.spec.qty.units() - o.filled)).sum();
        let held: i128 =
            [BTC, ETH].iter().map(|&i| worth(self.middle(i), self.positions[i.index()].qty.units())).sum();
        reserved + held
    }
    fn remaining(&self, instrument: InstrumentId, side: Side) -> i64 {
        let its = |o: &&Order| o.open && o.placed.instrument == instrument && o.placed.spec.side == side;
        self.orders.values().filter(its).map(|o| o.placed.spec.qty.units() - o.filled).sum()
    }

    /// What must hold for an order that risk let in, before it is entered here.
    fn assert_allowed(&self, intent: &Intent, now_ns: i64, at: &str) {
        let Action::Place(spec) = intent.action else { return };
        let instrument = intent.instrument;
        if intent.reduce_only {
            let held = self.positions[instrument.index()].qty.units() * -spec.side.sign();
            let after = self.remaining(instrument, spec.side) + spec.qty.units();
            assert!(after <= held, "{at}: reduces {after} of {held}");
        } else {
            let value = match spec.side {
                Side::Buy => worth(spec.price, spec.qty.units()),
                Side::Sell => {
                    worth(spec.price.max(self.quotes[instrument.index()].0.price), spec.qty.units())
                }
            };
            let limit = |cash: Cash| i128::from(cash.units());
            assert!(value <= limit(self.config.order_value_max), "{at}: order value {value}");
            assert!(self.exposure() + value <= limit(self.config.exposure_max), "{at}: exposure");
            let open = self.orders.values().filter(|o| o.open).count();
            assert!(open < self.config.open_orders_max as usize, "{at}: open orders");
            let middle = i128::from(self.middle(instrument).units());
            let off = (i128::from(spec.price.units()) - middle).abs();
            assert!(off * 10_000 <= middle * i128::from(self.config.collar_bp), "{at}: collar");
        }
        for other in self.orders.values().filter(|o| o.open && o.placed.instrument == instrument) {
            let theirs = &other.placed.spec;
            let meets = match (spec.side, theirs.side) {
                (Side::Buy, Side::Sell) => spec.price >= theirs.price,
                (Side::Sell, Side::Buy) => spec.price <= theirs.price,
                _ => false,
            };
            assert!(!meets, "{at}: meets our own order");
        }
        let burst = i64::from(self.config.messages_burst);
        for (n, since) in self.approvals.iter().rev().enumerate() {
            let earned = (now_ns - since) * i64::from(self.config.messages_per_s) / 1_000_000_000;
            let sent = i64::try_from(n).unwrap() + 2;
            assert!(sent <= burst + earned + 1, "{at}: {sent} messages since {}", now_ns - since);
        }
        assert!(!self.orders.contains_key(&intent.client), "{at}: an id twice");
    }

    fn enter(&mut self, intent: &Intent, now_ns: i64) {
        let Action::Place(spec) = intent.action else { return };
        let bid = self.quotes[intent.instrument.index()].0.price;
        let value_price = if spec.side == Side::Buy { spec.price } else { spec.price.max(bid) };
        let placed = Placed { client: intent.client, instrument: intent.instrument, spec };
        let order = Order {
            placed,
            reduce_only: intent.reduce_only,
            value_price,
            filled: 0,
            open: true,
            trades: Vec::new(),
        };
        self.orders.insert(intent.client, order);
        self.approvals.push(now_ns);
    }
}

struct Run {
    rng: SmallRng,
    facts: Facts,
    risk: Risk,
    model: Model,
    counter: u64,
    trades: u64,
}

impl Run {
    fn new(seed: u64) -> Self {
        let config = RiskConfig {
            order_value_max: cash("120"),
            exposure_max: cash("500"),
            open_orders_max: 8,
            messages_per_s: 50,
            messages_burst: 20,
            duplicate_window_ms: 2,
            ..limits()
        };
        let table = table();
        let mut risk = Risk::new(&config, &table, &[BTC, ETH]).unwrap();
        let mut facts = Facts::new();
        risk.on_fact(&facts.clock(0, 0));
        for asset in 0..3u16 {
            let asset = interlock::types::AssetId(asset);
            risk.on_fact(&facts.balance(asset, qty("1000000"), Qty::ZERO));
        }
        let model = Model {
            config,
            orders: BTreeMap::new(),
            positions: [Position::default(); 2],
            quotes: [(Level::default(), Level::default()); 2],
            approvals: Vec::new(),
        };
        let mut run = Self { rng: SmallRng::seed_from_u64(seed), facts, risk, model, counter: 0, trades: 0 };
        for instrument in [BTC, ETH] {
            run.quote(instrument, 50_000);
            let fact = run.facts.book_status(instrument, true);
            run.risk.on_fact(&fact);
        }
        run
    }

    fn quote(&mut self, instrument: InstrumentId, ticks: i64) {
        let bid = Level::new(Price::from_units(ticks * 10_000_000), Qty::ONE);
        let ask = Level::new(Price::from_units((ticks + self.rng.random_range(1..5)) * 10_000_000), Qty::ONE);
        self.model.quotes[instrument.index()] = (bid, ask);
        let depth = self.facts.depth(instrument, &[(Side::Buy, bid)], false);
        self.risk.on_fact(&depth);
        let fact = self.facts.quote(instrument, bid, ask);
        self.risk.on_fact(&fact);
    }

    fn step(&mut self, at: &str) {
        self.facts.now_ns += self.rng.random_range(0..20) * MS;
        let instrument = if self.rng.random_bool(0.5) { BTC } else { ETH };
        match self.rng.random_range(0..10) {
            0..=4 => self.place(instrument, at),
            5..=6 => self.fill(),
            7 => {
                let ticks = self.model.quotes[instrument.index()].0.price.units() / 10_000_000;
                let moved = (ticks + self.rng.random_range(-300..=300)).clamp(20_000, 90_000);
                self.quote(instrument, moved);
            }
            _ => self.settle(),
        }
        let now = i128::from(self.risk.exposure().units());
        assert_eq!(now, self.model.exposure(), "{at}: exposure by fold and by recount");
        for instrument in [BTC, ETH] {
            assert_eq!(
                self.risk.position(instrument).qty,
                self.model.positions[instrument.index()].qty,
                "{at}"
            );
        }
        let open = self.model.orders.values().filter(|o| o.open).count();
        assert_eq!(self.risk.open_orders(), open, "{at}: open orders");
    }

    fn place(&mut self, instrument: InstrumentId, at: &str) {
        self.counter += 1;
        let side = if self.rng.random_bool(0.5) { Side::Buy } else { Side::Sell };
        let middle = self.model.middle(instrument).units() / 10_000_000;
        let price = Price::from_units((middle + self.rng.random_range(-1_500..1_500)) * 10_000_000);
        let step = if instrument == BTC { 1_000 } else { 10_000 };
        let reduce_only = self.rng.random_bool(0.3);
        let held = self.model.positions[instrument.index()].qty.units().abs();
        let units = if reduce_only && held > 0 && self.rng.random_bool(0.7) {
            held / step * step
        } else {
            self.rng.random_range(1..30_000_000 / step) * step
        };
        let spec = interlock::event::OrderSpec {
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price,
            qty: Qty::from_units(units),
        };
        let intent = Intent {
            client: ClientOrderId::new(1, self.counter),
            cause_seq: self.facts.seq,
            cause_ns: self.facts.now_ns,
            strategy: StrategyId(0),
            owner: StrategyId(0),
            instrument,
            reduce_only,
            action: Action::Place(spec),
            claim: Claim::NONE,
        };
        // The intent's time is its fact's.
        let timer = self.facts.timer();
        self.risk.on_fact(&timer);
        if self.risk.decide(&intent, ARMED, &mut |_| true).is_ok() {
            self.model.assert_allowed(&intent, self.facts.now_ns, at);
            self.model.enter(&intent, self.facts.now_ns);
        }
    }

    fn some_open(&mut self) -> Option<ClientOrderId> {
        let open: Vec<_> = self.model.orders.iter().filter(|(_, o)| o.open).map(|(c, _)| *c).collect();
        (!open.is_empty()).then(|| open[self.rng.random_range(0..open.len())])
    }

    fn fill(&mut self) {
        let Some(client) = self.some_open() else { return };
        let order = self.model.orders.get_mut(&client).unwrap();
        if !order.trades.is_empty() && self.rng.random_bool(0.2) {
            // A double: nothing may change.
            let again = order.trades[self.rng.random_range(0..order.trades.len())];
            self.risk.on_fact(&again);
            return;
        }
        let rest = order.placed.spec.qty.units() - order.filled;
        let part = if self.rng.random_bool(0.5) { rest } else { self.rng.random_range(1..=rest) };
        order.filled += part;
        order.open = order.filled < order.placed.spec.qty.units();
        self.trades += 1;
        let (spec, instrument) = (order.placed.spec, order.placed.instrument);
        let filled = Qty::from_units(order.filled);
        let fact = self.facts.fill(&order.placed, spec.price, self.trades, Qty::from_units(part), filled);
        order.trades.push(fact);
        self.model.positions[instrument.index()].fill(spec.side, spec.price, Qty::from_units(part)).unwrap();
        self.risk.on_fact(&fact);
    }

    /// An answer, a loss, or an end.
    fn settle(&mut self) {
        let Some(client) = self.some_open() else { return };
        let order = self.model.orders.get_mut(&client).unwrap();
        let filled = Qty::from_units(order.filled);
        let (placed, facts) = (order.placed, &mut self.facts);
        let fact = match self.rng.random_range(0..6) {
            0 => facts.reply(ReplyKind::Sent, client, false),
            1 => facts.reply(ReplyKind::Accepted, client, false),
            2 => {
                // A loss changes no exposure; the venue's answer comes at once, so that the instrument thaws.
                let lost = facts.reply(ReplyKind::Unknown, client, false);
                self.risk.on_fact(&lost);
                assert!(self.risk.frozen(placed.instrument).is_some());
                facts.order(&placed, OrderState::Acknowledged, filled, true)
            }
            3 => facts.reply(ReplyKind::Sent, client, true),
            _ => {
                order.open = false;
                let end = if self.rng.random_bool(0.5) { OrderState::Cancelled } else { OrderState::Expired };
                facts.order(&placed, end, filled, false)
            }
        };
        self.risk.on_fact(&fact);
    }
}

#[test]
fn r_lim_6_no_random_sequence_gets_past_a_limit() {
    let seed = seed(0x11e);
    let mut reached = BTreeSet::new();
    for round in 0..40u64 {
        let mut run = Run::new(seed.wrapping_add(round));
        for step in 0..2_000 {
            run.step(&format!("seed {seed} round {round} step {step}"));
        }
        let approved = run.model.orders.len();
        let exits = run.model.orders.values().filter(|o| o.reduce_only).count();
        assert!(approved > 50, "round {round}: the run must trade, {approved} approved");
        reached.insert(exits > 0);
        for instrument in [BTC, ETH] {
            assert_eq!(run.risk.frozen(instrument), None, "seed {seed} round {round}: nothing contradicts");
        }
    }
    assert!(reached.contains(&true), "exits happen too");
}
