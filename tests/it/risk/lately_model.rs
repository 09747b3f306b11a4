//! Random claims, orders, fills, prices, faults and switches under all limits at once: each entry that risk approves is held
//! against the whole history, by the limits' definitions and nothing else (R-LIM-6, R-LIM-7, R-LIM-10; C4, C9, C16, C36).
//!
//! `INTERLOCK_LIMIT_STEPS` sets how many steps are run: the default is what a test may take, millions are for the night.

use std::collections::BTreeSet;

use interlock::event::command::ALL_INSTRUMENTS;
use interlock::event::fact::LinkId;
use interlock::event::{Action, Body, Claim, Command, CommandKind, Intent, OrderSpec};
use interlock::risk::{Apply, NewsWindow, PaceFigures, Risk, RiskConfig, SymbolLimits, TurnoverConfig};
use interlock::types::{
    AssetId, ClientOrderId, InstrumentId, Level, OrderState, OrderType, Price, Qty, Reason, Side, StrategyId,
    TimeInForce,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::market::{ARMED, BTC, ETH, Facts, MS, Placed, S, START_NS, cash, limits, qty, table};
use crate::support::seed;

const DAY_NS: i64 = 86_400 * S;
const TICK: i64 = 10_000_000;
const STRATEGIES: u8 = 3;

fn config() -> RiskConfig {
    let mut c = RiskConfig {
        order_value_max: cash("120"),
        exposure_max: cash("500"),
        open_orders_max: 12,
        messages_per_s: 50,
        messages_burst: 50,
        duplicate_window_ms: 2,
        collar_period_s: 20,
        collar_period_bp: 150,
        ..limits()
    };
    let pace = |interval_min_s, decisions_per_day_max| PaceFigures {
        interval_min_s,
        decisions_per_day_max,
        gain_min_percent: 100,
        confidence_min_percent: 60,
        cooldown_losses: 2,
        cooldown_s: 20,
    };
    c.turnover = TurnoverConfig {
        apply: Apply::Always,
        all: pace(1, 60),
        btc: pace(2, 40),
        ..TurnoverConfig::default()
    };
    c.no_trade.spread_quotes_min = 5;
    (c.no_trade.volatility_window_s, c.no_trade.volatility_max_bp) = (10, 200);
    (c.no_trade.volatility_pause_s, c.no_trade.quality_pause_s) = (5, 5);
    (c.no_trade.quality_window_s, c.no_trade.quality_faults_max) = (30, 3);
    let at = |ns: i64| jiff::Timestamp::from_nanosecond(ns.into()).unwrap().to_string();
    c.no_trade.news = vec![NewsWindow {
        from: at(START_NS + 60 * S),
        to: at(START_NS + 90 * S),
        symbols: vec!["BTCUSDT".to_owned()],
        what: String::new(),
    }];
    (c.repeat.apply, c.repeat.executions_max, c.repeat.window_s) = (Apply::Always, 5, 30);
    c.repeat.refusals_max = 1_000; // the model does not know it
    (c.fan_out.orders_per_fact_max, c.fan_out.value_per_fact_max) = (2, cash("150"));
    (c.fan_out.orders_per_window_max, c.fan_out.value_per_window_max) = (6, cash("330"));
    c.correlation.exposure_max = cash("420");
    let own = SymbolLimits {
        position_max: Some(qty("0.5")),
        exposure_max: Some(cash("300")),
        ..SymbolLimits::default()
    };
    c.symbols.insert("BTCUSDT".to_owned(), own);
    c
}

fn worth(price: i64, qty: i64) -> i128 {
    (i128::from(price) * i128::from(qty.unsigned_abs()) + 999_999_999) / 1_000_000_000
}

#[derive(Clone, Debug)]
struct Order {
    placed: Placed,
    strategy: u8,
    exit: bool,
    value_price: i64,
    filled: i64,
}

impl Order {
    fn rest(&self) -> i64 {
        self.placed.spec.qty.units() - self.filled
    }
}

/// An approved entry.
#[derive(Clone, Copy)]
struct Entry {
    at_ns: i64,
    cause: u64,
    instrument: InstrumentId,
    value: i128,
    decision: bool,
}

/// What happened, in lists; orders are those that may still be filled. Nothing here is a
/// running figure but what can't be told from them.
#[derive(Default)]
struct History {
    orders: Vec<Order>,
    entries: Vec<Entry>,
    middles: [Vec<(i64, i64)>; 2],
    quote: [(i64, i64); 2],
    quotes_since_cut: [u32; 2],
    faults: [Vec<i64>; 2],
    /// Executions of each strategy since it was last enabled.
    executions: [Vec<i64>; STRATEGIES as usize],
    disabled: [bool; STRATEGIES as usize],
    held: [i64; 2],
    /// Money in and out since the position was last flat.
    flow: [i128; 2],
    /// When trades ended, and whether at a loss.
    trades: [Vec<(i64, bool)>; 2],
}

impl History {
    fn open(&self) -> impl Iterator<Item = &Order> {
        self.orders.iter()
    }
    fn own_exposure(&self, instrument: InstrumentId) -> i128 {
        let at = instrument.index();
        let (bid, ask) = self.quote[at];
        let its = self.open().filter(|o| o.placed.instrument == instrument && !o.exit);
        its.map(|o| worth(o.value_price, o.rest())).sum::<i128>()
            + worth(i64::midpoint(bid, ask), self.held[at])
    }
    fn range_is_calm(&self, at: usize, until_ns: i64, c: &RiskConfig) -> bool {
        let window_ns = i64::from(c.no_trade.volatility_window_s) * S;
        let seen = self.middles[at].iter().rev().skip_while(|(t, _)| *t > until_ns);
        let seen: Vec<i64> = seen.take_while(|(t, _)| until_ns - t < window_ns).map(|(_, m)| *m).collect();
        let (Some(low), Some(high)) = (seen.iter().min(), seen.iter().max()) else { return true };
        i128::from(high - low) * 10_000 <= i128::from(*low) * i128::from(c.no_trade.volatility_max_bp)
    }

    /// Everything that must hold for an entry that was let in, before it is entered here.
    fn assert_allowed(
        &self,
        intent: &Intent,
        spec: &OrderSpec,
        (value, now_ns): (i128, i64),
        c: &RiskConfig,
        tell: &str,
    ) {
        let (at, instrument) = (intent.instrument.index(), intent.instrument);
        let strategy = usize::from(intent.strategy.0);
        // C16.
        let of_fact: Vec<_> = self.entries.iter().filter(|e| e.cause == intent.cause_seq).collect();
        assert!(of_fact.len() < c.fan_out.orders_per_fact_max as usize, "{tell}: orders of one fact");
        let caused: i128 = of_fact.iter().map(|e| e.value).sum();
        assert!(
            caused + value <= i128::from(c.fan_out.value_per_fact_max.units()),
            "{tell}: value of one fact"
        );
        let window_ns = i64::from(c.fan_out.window_s) * S;
        let lately: Vec<_> = self.entries.iter().rev().take_while(|e| now_ns - e.at_ns < window_ns).collect();
        assert!(lately.len() < c.fan_out.orders_per_window_max as usize, "{tell}: orders of the window");
        let sum: i128 = lately.iter().map(|e| e.value).sum();
        assert!(
            sum + value <= i128::from(c.fan_out.value_per_window_max.units()),
            "{tell}: value of the window"
        );
        // C9.
        assert!(!self.disabled[strategy], "{tell}: strategy {strategy} is disabled");
        let window_ns = i64::from(c.repeat.window_s) * S;
        let executed = self.executions[strategy].iter().filter(|t| now_ns - **t < window_ns).count();
        let waiting =
            self.open().filter(|o| !o.exit && o.filled == 0 && usize::from(o.strategy) == strategy).count();
        assert!(executed + waiting < c.repeat.executions_max as usize, "{tell}: repeated executions");
        // The correlation limit, and the symbol's own bounds.
        let together = self.own_exposure(BTC) + self.own_exposure(ETH);
        assert!(together + value <= i128::from(c.correlation.exposure_max.units()), "{tell}: correlation");
        if instrument == BTC {
            assert!(
                self.own_exposure(BTC) + value <= i128::from(cash("300").units()),
                "{tell}: the symbol's exposure"
            );
            let side = |o: &&Order| o.placed.instrument == BTC && o.placed.spec.side == spec.side;
            let working: i64 = self.open().filter(side).map(Order::rest).sum();
            let after = self.held[at] + (working + spec.qty.units()) * spec.side.sign();
            let max = qty("0.5").units().max(self.held[at].abs());
            assert!(after.abs() <= max, "{tell}: position {after}");
        }
        self.assert_pace(intent, now_ns, c, tell);
        self.assert_calm(at, spec, now_ns, c, tell);
    }

    fn assert_pace(&self, intent: &Intent, now_ns: i64, c: &RiskConfig, tell: &str) {
        let at = intent.instrument.index();
        let pace = if at == 0 { c.turnover.btc } else { c.turnover.all };
        if self.is_decision(intent) {
            let its =
                || self.entries.iter().rev().filter(|e| e.instrument == intent.instrument && e.decision);
            if let Some(last) = its().next() {
                let since_ns = now_ns - last.at_ns;
                assert!(since_ns >= i64::from(pace.interval_min_s) * S, "{tell}: interval {since_ns}");
            }
            let today = its().filter(|e| e.at_ns.div_euclid(DAY_NS) == now_ns.div_euclid(DAY_NS)).count();
            assert!(today < pace.decisions_per_day_max as usize, "{tell}: {today} decisions today");
        }
        // Two losses in a row, counted from the last rest.
        let mut row = 0;
        for (ended_ns, lost) in &self.trades[at] {
            row = if *lost { row + 1 } else { 0 };
            if row == pace.cooldown_losses {
                row = 0;
                assert!(now_ns - ended_ns >= i64::from(pace.cooldown_s) * S, "{tell}: it rests");
            }
        }
        let (bid, ask) = self.quote[at];
        let middle = i128::from(i64::midpoint(bid, ask));
        let cost = i128::from(c.turnover.fees_centi_bp) * middle + i128::from(ask - bid) * 1_000_000;
        assert!(i128::from(intent.claim.gain_centi_bp) * middle >= cost, "{tell}: not worth its cost");
        assert!(
            u32::from(intent.claim.confidence_bp) >= pace.confidence_min_percent * 100,
            "{tell}: not sure"
        );
    }

    fn assert_calm(&self, at: usize, spec: &OrderSpec, now_ns: i64, c: &RiskConfig, tell: &str) {
        let n = &c.no_trade;
        let (bid, ask) = self.quote[at];
        let middle = i128::from(i64::midpoint(bid, ask));
        assert!(i128::from(ask - bid) * 10_000 <= middle * i128::from(n.spread_max_bp), "{tell}: spread");
        assert!(self.quotes_since_cut[at] >= n.spread_quotes_min, "{tell}: too few quotes");
        let pause_ns = i64::from(n.volatility_pause_s) * S;
        for (then_ns, _) in self.middles[at].iter().rev().take_while(|(t, _)| now_ns - t < pause_ns) {
            assert!(self.range_is_calm(at, *then_ns, c), "{tell}: volatile {} ns ago", now_ns - then_ns);
        }
        let (window_ns, pause_ns) = (i64::from(n.quality_window_s) * S, i64::from(n.quality_pause_s) * S);
        for then_ns in self.faults[at].iter().rev().take_while(|t| now_ns - **t < pause_ns) {
            let faults =
                self.faults[at].iter().filter(|t| **t <= *then_ns && then_ns - **t < window_ns).count();
            assert!(faults < n.quality_faults_max as usize, "{tell}: {faults} faults");
        }
        let period_ns = i64::from(c.collar_period_s) * S;
        for (_, middle) in self.middles[at].iter().rev().take_while(|(t, _)| now_ns - t < period_ns) {
            let off = i128::from(spec.price.units() - middle).abs() * 10_000;
            assert!(off <= i128::from(*middle) * i128::from(c.collar_period_bp), "{tell}: period's collar");
        }
        let news = at == 0 && (START_NS + 60 * S..START_NS + 90 * S).contains(&now_ns);
        assert!(!news, "{tell}: news window");
    }

    fn is_decision(&self, intent: &Intent) -> bool {
        let Action::Replace { target, .. } = intent.action else { return true };
        !self.open().any(|o| {
            o.placed.client == target
                && o.filled == 0
                && !o.exit
                && o.strategy == intent.strategy.0
                && o.placed.instrument == intent.instrument
        })
    }
}

struct Run {
    rng: SmallRng,
    facts: Facts,
    risk: Risk,
    config: RiskConfig,
    history: History,
    counter: u64,
    trades: u64,
    refused: BTreeSet<&'static str>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let config = config();
        let mut risk = Risk::new(&config, &table(), &[BTC, ETH]).unwrap();
        let mut facts = Facts::new();
        for asset in 0..3 {
            risk.on_fact(&facts.balance(AssetId(asset), qty("1000000"), Qty::ZERO));
        }
        let rng = SmallRng::seed_from_u64(seed);
        let (history, refused) = (History::default(), BTreeSet::new());
        let mut run = Self { rng, facts, risk, config, history, counter: 0, trades: 0, refused };
        for instrument in [BTC, ETH] {
            run.quote(instrument, 50_000, 2);
            run.tell(|f| f.book_status(instrument, true));
        }
        run
    }

    fn tell(&mut self, make: impl FnOnce(&mut Facts) -> interlock::event::Fact) {
        let fact = make(&mut self.facts);
        self.risk.on_fact(&fact);
    }

    fn quote(&mut self, instrument: InstrumentId, bid: i64, spread: i64) {
        let at = instrument.index();
        let (bid, ask) = (bid * TICK, (bid + spread) * TICK);
        let level = |units| Level::new(Price::from_units(units), Qty::ONE);
        self.tell(|f| f.depth(instrument, &[], false));
        self.tell(|f| f.quote(instrument, level(bid), level(ask)));
        let now_ns = self.facts.now_ns;
        if ask <= bid {
            self.history.faults[at].push(now_ns);
            return;
        }
        self.history.quote[at] = (bid, ask);
        self.history.quotes_since_cut[at] += 1;
        self.history.middles[at].push((now_ns, i64::midpoint(bid, ask)));
    }

    fn step(&mut self, tell: &str) {
        let jump = self.rng.random_bool(0.0003);
        self.facts.now_ns += if jump { 8 * 3_600 * S } else { self.rng.random_range(0..300) * MS };
        let instrument = if self.rng.random_bool(0.5) { BTC } else { ETH };
        match self.rng.random_range(0..1_000) {
            0..300 => self.moved(instrument),
            300..640 => self.enter(instrument, tell),
            640..760 => self.exit(instrument, tell),
            760..900 => self.fill(),
            900..970 => self.end(),
            970..985 => self.switch(),
            985..995 => self.fault(instrument),
            _ => {
                self.tell(|f| f.link(LinkId::Market, false));
                for at in 0..2 {
                    self.history.faults[at].push(self.facts.now_ns);
                    self.history.quotes_since_cut[at] = 0;
                }
                for instrument in [BTC, ETH] {
                    self.tell(|f| f.book_status(instrument, true));
                }
            }
        }
        let exposure = self.history.own_exposure(BTC) + self.history.own_exposure(ETH);
        assert_eq!(
            i128::from(self.risk.exposure().units()),
            exposure,
            "{tell}: exposure by fold and recount"
        );
        let window_ns = i64::from(self.config.repeat.window_s) * S;
        for (strategy, times) in self.history.executions.iter().enumerate() {
            let lately = times.iter().filter(|t| self.facts.now_ns - **t < window_ns).count();
            assert!(lately <= self.config.repeat.executions_max as usize, "{tell}: strategy {strategy}");
            let its = StrategyId(u8::try_from(strategy).unwrap());
            assert_eq!(
                self.risk.disabled(its).is_some(),
                self.history.disabled[strategy],
                "{tell}: {strategy}"
            );
        }
    }

    fn moved(&mut self, instrument: InstrumentId) {
        let (bid, _) = self.history.quote[instrument.index()];
        let wild = self.rng.random_bool(0.004);
        let by = if wild { 1_200 } else { 12 };
        let bid = (bid / TICK + self.rng.random_range(-by..=by)).clamp(40_000, 60_000);
        let spread = match self.rng.random_range(0..100) {
            0 => 300,
            1 => 40,
            _ => self.rng.random_range(1..6),
        };
        self.quote(instrument, bid, spread);
    }

    fn fault(&mut self, instrument: InstrumentId) {
        if self.rng.random_bool(0.5) {
            self.tell(|f| f.book_status(instrument, false));
            self.history.faults[instrument.index()].push(self.facts.now_ns);
            self.tell(|f| f.book_status(instrument, true));
        } else {
            let (bid, _) = self.history.quote[instrument.index()];
            self.quote(instrument, bid / TICK, 0);
            self.quote(instrument, bid / TICK, 2);
        }
    }

    fn switch(&mut self) {
        let strategy = self.rng.random_range(0..STRATEGIES);
        let enable = self.rng.random_bool(0.9);
        let kind = if enable { CommandKind::EnableStrategy } else { CommandKind::DisableStrategy };
        let command = Command {
            kind,
            instrument: ALL_INSTRUMENTS,
            uid: 0,
            ticket: 1,
            halt_epoch: 0,
            strategy: StrategyId(strategy),
        };
        self.tell(|f| f.body(Body::Command(command)));
        self.history.disabled[usize::from(strategy)] = !enable;
        if enable {
            self.history.executions[usize::from(strategy)].clear();
        }
    }

    fn spec(&mut self, instrument: InstrumentId, side: Side, units: i64) -> OrderSpec {
        let (bid, ask) = self.history.quote[instrument.index()];
        let off = if self.rng.random_bool(0.1) { 900 } else { 20 };
        let price = (i64::midpoint(bid, ask) / TICK + self.rng.random_range(-off..=off)) * TICK;
        OrderSpec {
            side,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Price::from_units(price),
            qty: Qty::from_units(units),
        }
    }

    /// Up to four entries that one fact causes.
    fn enter(&mut self, instrument: InstrumentId, tell: &str) {
        self.tell(|f| f.clock(0, 0));
        let burst = if self.rng.random_bool(0.2) { 4 } else { 1 };
        for _ in 0..burst {
            let step = if instrument == BTC { 1_000 } else { 10_000 };
            let units = self.rng.random_range(1..25_000_000 / step) * step;
            let side = if self.rng.random_bool(0.8) { Side::Buy } else { Side::Sell };
            let spec = self.spec(instrument, side, units);
            let strategy = self.rng.random_range(0..STRATEGIES);
            let good = self.rng.random_bool(0.9);
            let claim = Claim {
                stop: Price::ZERO,
                gain_centi_bp: if good {
                    self.rng.random_range(2_000..6_000)
                } else {
                    self.rng.random_range(-900..2_300)
                },
                confidence_bp: if good { 9_000 } else { self.rng.random_range(5_000..6_500) },
            };
            let its = self
                .history
                .open()
                .find(|o| !o.exit && o.strategy == strategy && o.placed.instrument == instrument);
            let target = its.map(|o| o.placed.client);
            let action = match target.filter(|_| self.rng.random_bool(0.4)) {
                Some(target) => Action::Replace { target, spec },
                None => Action::Place(spec),
            };
            let intent = self.intent(instrument, strategy, false, action, claim);
            self.decide(&intent, &spec, tell);
        }
    }

    fn exit(&mut self, instrument: InstrumentId, tell: &str) {
        self.tell(|f| f.clock(0, 0));
        let held = self.history.held[instrument.index()];
        let step = if instrument == BTC { 1_000 } else { 10_000 };
        let units = held.abs() / step * step;
        if units == 0 {
            return;
        }
        let side = if held > 0 { Side::Sell } else { Side::Buy };
        let spec = self.spec(instrument, side, units);
        let intent = self.intent(instrument, 0, true, Action::Place(spec), Claim::NONE);
        self.decide(&intent, &spec, tell);
    }

    fn intent(
        &mut self,
        instrument: InstrumentId,
        strategy: u8,
        exit: bool,
        action: Action,
        claim: Claim,
    ) -> Intent {
        self.counter += 1;
        Intent {
            client: ClientOrderId::new(1, self.counter),
            cause_seq: self.facts.seq,
            cause_ns: self.facts.now_ns,
            strategy: StrategyId(strategy),
            owner: StrategyId(strategy),
            instrument,
            reduce_only: exit,
            action,
            claim,
        }
    }

    fn decide(&mut self, intent: &Intent, spec: &OrderSpec, tell: &str) {
        let at = intent.instrument.index();
        let now_ns = self.facts.now_ns;
        if let Err(reason) = self.risk.decide(intent, ARMED, &mut |_| true) {
            self.refused.insert(reason.name());
            return;
        }
        let (bid, _) = self.history.quote[at];
        let value_price = match spec.side {
            Side::Buy => spec.price.units(),
            Side::Sell => spec.price.units().max(bid),
        };
        if !intent.reduce_only {
            let value = worth(value_price, spec.qty.units());
            self.history.assert_allowed(intent, spec, (value, now_ns), &self.config, tell);
            let decision = self.history.is_decision(intent);
            let (cause, instrument) = (intent.cause_seq, intent.instrument);
            self.history.entries.push(Entry { at_ns: now_ns, cause, instrument, value, decision });
        }
        let placed = Placed { client: intent.client, instrument: intent.instrument, spec: *spec };
        let (strategy, exit) = (intent.strategy.0, intent.reduce_only);
        self.history.orders.push(Order { placed, strategy, exit, value_price, filled: 0 });
        if let Action::Replace { target, .. } = intent.action {
            self.cancel(target);
        }
    }

    fn cancel(&mut self, client: ClientOrderId) {
        let orders = &mut self.history.orders;
        let Some(at) = orders.iter().position(|o| o.placed.client == client) else { return };
        let order = orders.remove(at);
        let (placed, filled) = (order.placed, Qty::from_units(order.filled));
        self.tell(|f| f.order(&placed, OrderState::Cancelled, filled, false));
    }

    fn some_open(&mut self) -> Option<ClientOrderId> {
        let open: Vec<_> = self.history.open().map(|o| o.placed.client).collect();
        (!open.is_empty()).then(|| open[self.rng.random_range(0..open.len())])
    }

    fn end(&mut self) {
        if let Some(client) = self.some_open() {
            self.cancel(client);
        }
    }

    fn fill(&mut self) {
        let Some(client) = self.some_open() else { return };
        let whole = self.rng.random_bool(0.8);
        let now_ns = self.facts.now_ns;
        let window_ns = i64::from(self.config.repeat.window_s) * S;
        let found = self.history.orders.iter().position(|o| o.placed.client == client).unwrap();
        let order = &mut self.history.orders[found];
        let rest = order.rest();
        // On the grid, so that a position is flat or can be sold.
        let step = if order.placed.instrument == BTC { 1_000 } else { 10_000 };
        let part = if whole { rest } else { self.rng.random_range(1..=rest / step) * step };
        if order.filled == 0 && !order.exit {
            let strategy = usize::from(order.strategy);
            let times = &mut self.history.executions[strategy];
            times.push(now_ns);
            let lately = times.iter().filter(|t| now_ns - **t < window_ns).count();
            self.history.disabled[strategy] |= lately >= self.config.repeat.executions_max as usize;
        }
        order.filled += part;
        let (placed, filled) = (order.placed, Qty::from_units(order.filled));
        let (at, sign) = (placed.instrument.index(), placed.spec.side.sign());
        self.history.held[at] += part * sign;
        self.history.flow[at] -= i128::from(placed.spec.price.units()) * i128::from(part * sign);
        if self.history.held[at] == 0 {
            let lost = self.history.flow[at] < 0;
            self.history.trades[at].push((now_ns, lost));
            self.history.flow[at] = 0;
        }
        if part == rest {
            self.history.orders.remove(found);
        }
        self.trades += 1;
        let trade = self.trades;
        self.tell(|f| f.fill(&placed, placed.spec.price, trade, Qty::from_units(part), filled));
    }
}

/// Every refusal that this is about must have happened: a generator that never gets there proves nothing.
const WANTED: &[Reason] = &[
    Reason::FanOut,
    Reason::RepeatThrottle,
    Reason::StrategyDisabled,
    Reason::Correlation,
    Reason::PositionLimit,
    Reason::TurnoverInterval,
    Reason::TurnoverDaily,
    Reason::TurnoverValue,
    Reason::TurnoverConfidence,
    Reason::Cooldown,
    Reason::SpreadSpike,
    Reason::VolatilityPause,
    Reason::DataQuality,
    Reason::NewsWindow,
    Reason::PeriodCollar,
];

#[test]
fn r_lim_6_r_lim_7_r_lim_10_no_random_sequence_gets_past_a_limit_on_what_happened_lately() {
    let seed = seed(0x11f);
    let steps: u64 = crate::support::figure("INTERLOCK_LIMIT_STEPS", 60_000);
    let mut refused = BTreeSet::new();
    let (mut entries, mut executed) = (0, 0);
    for round in 0..steps.div_ceil(3_000) {
        let mut run = Run::new(seed.wrapping_add(round));
        for step in 0..3_000 {
            run.step(&format!("seed {seed} round {round} step {step}"));
        }
        entries += run.history.entries.len();
        executed += run.trades;
        refused.extend(run.refused);
    }
    println!("{steps} steps: {entries} entries approved, {executed} fills, refused for {refused:?}");
    assert!(entries > 500 && executed > 500, "the runs must trade");
    for reason in WANTED {
        assert!(refused.contains(reason.name()), "{} never happened: {refused:?}", reason.name());
    }
}
