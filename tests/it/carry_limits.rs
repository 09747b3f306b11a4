//! A restart forgets no decision, cooldown, execution or latch (R-LIM-7, C9, R-ORD-4): what risk kept when a session ended, told
//! from its journal alone, is what risk keeps when the next one begins.

use std::path::Path;

use interlock::event::command::ALL_INSTRUMENTS;
use interlock::event::{
    Action, Body, Carry, Command, CommandKind, Fact, Intent, OrderSpec, Record, ReplyKind,
};
use interlock::ops::paths::Paths;
use interlock::risk::{Apply, PaceFigures, Risk, TurnoverConfig};
use interlock::run::carry::{self, BOOK_NOTE, CarryOver};
use interlock::run::plan::Plan;
use interlock::types::{
    ClientOrderId, InstrumentId, Level, OrderState, Price, Qty, Reason, Side, StrategyId,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::carry::{book, header, strategies, write_session};
use crate::market::{ARMED, BTC, ETH, Facts, Placed, S, START_NS, cash, intent, limits, qty, spec, table};
use crate::support::{figure, seed};

const DAY_NS: i64 = 86_400 * S;

fn plan() -> Plan {
    let pace = PaceFigures {
        interval_min_s: 60,
        decisions_per_day_max: 4,
        gain_min_percent: 0,
        confidence_min_percent: 0,
        cooldown_losses: 2,
        cooldown_s: 3_600,
    };
    let mut plan = Plan { risk: limits(), ..Plan::default() };
    plan.risk.turnover =
        TurnoverConfig { apply: Apply::Always, all: pace, btc: pace, ..TurnoverConfig::default() };
    (plan.risk.repeat.apply, plan.risk.repeat.executions_max) = (Apply::Always, 12);
    (plan.risk.repeat.refusals_max, plan.risk.repeat.window_s) = (6, 7_200);
    plan.risk.layers.capital = cash("1000000");
    plan
}

/// A session: risk, and what the journal has of it.
struct Session {
    over: CarryOver,
    epoch: u32,
    risk: Risk,
    facts: Facts,
    records: Vec<Record>,
    counter: u64,
    trade: u64,
}

impl Session {
    fn begin(over: CarryOver, epoch: u32, now_ns: i64) -> Self {
        let risk = Risk::new(&plan().limits(), &table(), &[BTC, ETH]).unwrap();
        let mut facts = Facts::new();
        facts.now_ns = now_ns;
        let trade = u64::from(epoch) * 1_000_000;
        let mut session = Self { over, epoch, risk, facts, records: Vec::new(), counter: 0, trade };
        for carry in session.over.facts.clone() {
            session.fact(|f| f.body(Body::Carry(carry)));
        }
        session
    }
    fn fact(&mut self, make: impl FnOnce(&mut Facts) -> Fact) {
        let fact = make(&mut self.facts);
        self.risk.on_fact(&fact);
        self.records.push(Record::Fact(fact));
    }
    /// Everything that a check wants to know, as of now.
    fn ready(&mut self) {
        self.fact(|f| f.clock(0, 0));
        for (name, free) in [("USDT", "1000000"), ("BTC", "100"), ("ETH", "1000")] {
            let asset = table().asset(name.as_bytes()).unwrap();
            self.fact(|f| f.balance(asset, qty(free), Qty::ZERO));
        }
        for (instrument, middle) in [(BTC, 60_000), (ETH, 3_000)] {
            self.fact(|f| f.depth(instrument, &[], true));
            self.fact(|f| f.book_status(instrument, true));
            let at =
                |cents: i64| Level::new(Price::from_units((middle * 100 + cents) * 10_000_000), Qty::ONE);
            self.fact(|f| f.quote(instrument, at(0), at(2)));
        }
    }
    fn decide(
        &mut self,
        instrument: InstrumentId,
        strategy: u8,
        spec: OrderSpec,
        exit: bool,
    ) -> Result<Placed, Reason> {
        self.counter += 1;
        let strategy = StrategyId(strategy);
        let intent = Intent {
            client: ClientOrderId::new(self.epoch, self.counter),
            cause_seq: self.facts.seq,
            strategy,
            owner: strategy,
            reduce_only: exit,
            ..intent(1, instrument, Action::Place(spec))
        };
        self.records.push(Record::Intent(intent));
        let records = &mut self.records;
        let verdict = self.risk.decide(&intent, ARMED, &mut |decision| {
            records.push(Record::Decision(*decision));
            true
        });
        verdict.map(|_| Placed { client: intent.client, instrument, spec })
    }
    fn fill(&mut self, placed: &Placed) {
        self.trade += 1;
        let (trade, amount) = (self.trade, placed.spec.qty);
        self.fact(|f| f.fill(placed, placed.spec.price, trade, amount, amount));
    }
    fn switch(&mut self, kind: CommandKind, strategy: u8) {
        self.fact(|f| {
            let (uid, ticket, halt_epoch) = (7, 1, 0);
            f.body(Body::Command(Command {
                kind,
                instrument: ALL_INSTRUMENTS,
                uid,
                ticket,
                halt_epoch,
                strategy: StrategyId(strategy),
            }))
        });
    }
    /// An entry and, if it was filled, most often its exit, at a gain or a loss.
    fn trade(&mut self, rng: &mut SmallRng) {
        let (instrument, middle) = if rng.random() { (BTC, 60_000) } else { (ETH, 3_000) };
        let strategy = rng.random_range(0..2);
        let around = |rng: &mut SmallRng| format!("{}", middle + rng.random_range(-9i64..=9));
        let amount = if instrument == BTC { "0.001" } else { "0.01" };
        let Ok(placed) = self.decide(instrument, strategy, spec(Side::Buy, &around(rng), amount), false)
        else {
            return;
        };
        match rng.random_range(0..6) {
            0 => return self.fact(|f| f.reply(ReplyKind::Rejected, placed.client, false)),
            1 => return self.fact(|f| f.order(&placed, OrderState::Acknowledged, Qty::ZERO, false)),
            _ => self.fill(&placed),
        }
        let exit = spec(Side::Sell, &around(rng), amount);
        if rng.random_ratio(4, 5)
            && let Ok(placed) = self.decide(instrument, strategy, exit, true)
        {
            self.fill(&placed);
        }
    }
    /// Into the journal.
    fn end(self, data: &Path) -> Vec<Carry> {
        let mut header = header(&format!("20231114T221320Z-{:06}", self.epoch), self.epoch, &self.over);
        (header.config, header.config_hash) = (plan().to_toml(), plan().hash());
        header.notes.entry(BOOK_NOTE).or_insert_with(|| json!(book("a")));
        write_session(data, &header, &self.records);
        self.risk.carried().collect()
    }
}

fn read(data: &Path, now_ns: i64) -> CarryOver {
    let (paths, names) = (Paths::new(data, None), strategies());
    CarryOver::read(&paths, Some(book("a")), (&table(), &names), &plan().limits().layers, now_ns).unwrap()
}

#[test]
fn r_lim_7_c9_what_risk_keeps_of_pace_executions_and_latches_outlives_any_restart() {
    let seed = seed(0xCA44);
    let (mut latches, mut rests) = (0, 0);
    for round in 0..figure("INTERLOCK_CARRY_ROUNDS", 30) {
        let mut rng = SmallRng::seed_from_u64(seed.wrapping_add(round));
        let data = tempfile::tempdir().unwrap();
        let mut now_ns = START_NS;
        let mut kept: Vec<Carry> = Vec::new();
        for epoch in 1..=4 {
            let over = if epoch == 1 { CarryOver::default() } else { read(data.path(), now_ns) };
            let mut session = Session::begin(over, epoch, now_ns);
            let begun: Vec<Carry> = session.risk.carried().collect();
            assert_eq!(
                begun, kept,
                "seed {seed} round {round} epoch {epoch}: nothing forgotten, nothing added"
            );
            for _ in 0..rng.random_range(0..40) {
                session.facts.now_ns += match rng.random_range(0..30) {
                    0 => DAY_NS / 3,
                    1..=9 => 600 * S,
                    _ => 61 * S,
                };
                session.ready();
                match rng.random_range(0..20) {
                    0 => session.switch(CommandKind::DisableStrategy, rng.random_range(0..2)),
                    1 => session.switch(CommandKind::EnableStrategy, rng.random_range(0..2)),
                    _ => session.trade(&mut rng),
                }
            }
            now_ns = session.facts.now_ns;
            kept = session.end(data.path());
            latches += kept.iter().filter(|c| matches!(c, Carry::Latch(_))).count();
            rests += kept.iter().filter(|c| matches!(c, Carry::Pace(p) if p.rest_until_ns > now_ns)).count();
            // After a clean stop the file says the same as the journal.
            if rng.random() {
                carry::save(&Paths::new(data.path(), None), &book("a"), now_ns).unwrap();
            }
        }
    }
    assert!(latches > 5 && rests > 0, "the runs must get there: {latches} latches, {rests} rests");
}

#[test]
fn r_lim_7_the_days_decisions_the_interval_and_the_cooldown_hold_after_a_restart() {
    let data = tempfile::tempdir().unwrap();
    let mut session = Session::begin(CarryOver::default(), 1, START_NS);
    // Two losing round trips: the instrument rests, and the day has two decisions.
    for _ in 0..2 {
        session.facts.now_ns += 61 * S;
        session.ready();
        let entry = session.decide(ETH, 0, spec(Side::Buy, "3000", "0.01"), false).unwrap();
        session.fill(&entry);
        let exit = session.decide(ETH, 0, spec(Side::Sell, "2990", "0.01"), true).unwrap();
        session.fill(&exit);
    }
    let now_ns = session.facts.now_ns;
    let before = session.end(data.path());
    let mut session = Session::begin(read(data.path(), now_ns), 2, now_ns);
    assert_eq!(session.risk.carried().collect::<Vec<_>>(), before);
    session.ready();
    let buy = spec(Side::Buy, "3001", "0.01");
    assert_eq!(session.decide(ETH, 0, buy, false).unwrap_err(), Reason::Cooldown);
    assert!(
        session.decide(BTC, 0, spec(Side::Buy, "60000", "0.001"), false).is_ok(),
        "the other one does not rest"
    );
    session.facts.now_ns += 3_600 * S;
    session.ready();
    assert!(session.decide(ETH, 0, buy, false).is_ok(), "the third of four");
    session.facts.now_ns += S;
    session.ready();
    let soon = spec(Side::Buy, "3002", "0.01");
    assert_eq!(session.decide(ETH, 0, soon, false).unwrap_err(), Reason::TurnoverInterval);
    session.facts.now_ns += 61 * S;
    session.ready();
    assert!(session.decide(ETH, 0, soon, false).is_ok(), "the fourth");
    session.facts.now_ns += 61 * S;
    session.ready();
    let fifth = spec(Side::Buy, "3003", "0.01");
    assert_eq!(session.decide(ETH, 0, fifth, false).unwrap_err(), Reason::TurnoverDaily);
}

#[test]
fn c9_a_latched_strategy_stays_disabled_over_restarts_until_a_named_person_enables_it() {
    let data = tempfile::tempdir().unwrap();
    let mut session = Session::begin(CarryOver::default(), 1, START_NS);
    for n in 0..6 {
        session.facts.now_ns += 61 * S;
        session.ready();
        let (instrument, price, amount) = if n < 3 { (BTC, 60_000, "0.001") } else { (ETH, 3_000, "0.01") };
        let entry = spec(Side::Buy, &format!("{}", price + n), amount);
        let placed = session.decide(instrument, 1, entry, false).unwrap();
        session.fact(|f| f.reply(ReplyKind::Rejected, placed.client, false));
    }
    assert_eq!(session.risk.disabled(StrategyId(1)), Some(Reason::RepeatThrottle));
    let mut now_ns = session.facts.now_ns;
    session.end(data.path());
    for epoch in 2..4 {
        now_ns += 10 * DAY_NS; // no timer and no restart enables it
        let over = read(data.path(), now_ns);
        let told = over.events.iter().find(|e| e.name == "STRATEGY_STILL_DISABLED").expect("people are told");
        assert_eq!(told.fields["why"], json!("REPEAT_THROTTLE"));
        let mut session = Session::begin(over, epoch, now_ns);
        session.ready();
        let entry = spec(Side::Buy, "3000", "0.01");
        assert_eq!(session.decide(ETH, 1, entry, false).unwrap_err(), Reason::RepeatThrottle);
        assert!(session.decide(ETH, 0, entry, false).is_ok(), "the other strategy goes on");
        if epoch == 3 {
            session.switch(CommandKind::EnableStrategy, 1);
            assert!(
                session
                    .decide(ETH, 1, spec(Side::Buy, "3001", "0.01"), false)
                    .is_err_and(Reason::is_turnover)
            );
        }
        session.end(data.path());
    }
    let over = read(data.path(), now_ns + DAY_NS);
    assert!(over.events.iter().all(|e| e.name != "STRATEGY_STILL_DISABLED"), "{:?}", over.events);
    let session = Session::begin(over, 4, now_ns + DAY_NS);
    assert_eq!(session.risk.disabled(StrategyId(1)), None);
}

#[test]
fn c9_a_persons_disable_and_losses_in_a_row_end_with_the_same_switch() {
    let data = tempfile::tempdir().unwrap();
    let mut session = Session::begin(CarryOver::default(), 1, START_NS);
    session.switch(CommandKind::DisableStrategy, 0);
    session.end(data.path());
    let mut session = Session::begin(read(data.path(), START_NS + S), 2, START_NS + S);
    assert_eq!(session.risk.disabled(StrategyId(0)), Some(Reason::StrategyDisabled));
    assert!(session.risk.layers().is_disabled(StrategyId(0)));
    session.switch(CommandKind::EnableStrategy, 0);
    assert_eq!(session.risk.disabled(StrategyId(0)), None);
    assert!(!session.risk.layers().is_disabled(StrategyId(0)));
}
