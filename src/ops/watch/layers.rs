//! The layers, folded from the journal's records: what status shows of them, and what a session leaves to the next.

use super::snapshot::{LayersLine, StreakLine};
use crate::event::ledger::tracked;
use crate::event::{Action, Body, Change, Fact, Intent, Layers, LayersConfig, Ledger, Record};
use crate::types::{InstrumentTable, Price, Qty, StrategyId, TradeId};

/// The fold.
#[derive(Debug)]
pub struct LayerFold {
    table: InstrumentTable,
    /// With the owner of each order.
    ledger: Ledger<StrategyId>,
    layers: Layers,
    balances: Vec<Option<Qty>>,
    now_ns: i64,
}

impl LayerFold {
    /// For the instruments of a session and its figures.
    pub fn new(table: InstrumentTable, layers: &LayersConfig) -> Self {
        let (instruments, assets) = (table.all().len(), table.assets().len());
        Self {
            table,
            ledger: Ledger::default(),
            layers: Layers::new(layers, instruments),
            balances: vec![None; assets],
            now_ns: 0,
        }
    }

    /// The layers as they stand.
    pub const fn layers(&self) -> &Layers {
        &self.layers
    }
    /// The instruments.
    pub const fn table(&self) -> &InstrumentTable {
        &self.table
    }
    /// What is held of each asset, free and locked together, as last told.
    pub fn balances(&self) -> &[Option<Qty>] {
        &self.balances
    }

    /// A record, in the order of the journal: near enough to the line's for what is shown.
    pub fn observe(&mut self, record: &Record) {
        match record {
            Record::Fact(fact) => self.on_fact(fact),
            Record::Intent(intent) => self.on_intent(intent),
            Record::Decision(_) | Record::Sent(_) | Record::Note(_) => {}
        }
    }

    /// A fact, in the order of the line.
    pub fn on_fact(&mut self, fact: &Fact) {
        self.now_ns = fact.recv_ns;
        self.layers.on_time(fact.recv_ns);
        match &fact.body {
            Body::Quote(quote) => {
                if let Some(middle) = Price::middle(quote.bid.price, quote.ask.price) {
                    self.layers.on_middle(quote.instrument, middle, fact.recv_ns);
                }
            }
            Body::Carry(carry) => self.layers.on_carry(carry),
            Body::Carried(order) => {
                let _full = self.ledger.carry(order, order.strategy);
            }
            Body::Order(update) => {
                if let Some(Ok(change)) = self.ledger.on_update(update) {
                    self.on_change(&change, update.trade);
                }
            }
            Body::Reply(reply) => {
                if let Some(change) = self.ledger.on_reply(reply) {
                    self.on_change(&change, TradeId(0));
                }
            }
            Body::Command(command) => self.layers.on_command(command, fact.recv_ns),
            Body::Balance(balance) => {
                if let Some(known) = self.balances.get_mut(balance.asset.index()) {
                    *known = balance.free.checked_add(balance.locked);
                }
            }
            _ => {}
        }
    }

    fn on_change(&mut self, change: &Change, trade: TradeId) {
        let order = self.ledger.get(change.client);
        if let Some((order, instrument)) = order.zip(self.table.get(change.instrument)) {
            self.layers.on_change((change, trade), order, order.extra, instrument, self.now_ns);
        }
    }

    /// An intent, behind the fact that caused it.
    pub fn on_intent(&mut self, intent: &Intent) {
        let (Action::Place(spec) | Action::Replace { spec, .. }) = &intent.action else { return };
        let mut order = tracked(intent.client, intent.instrument, intent.strategy, spec, intent.owner);
        order.reduce_only = intent.reduce_only;
        let _full = self.ledger.enter(order);
    }

    /// What status shows, for strategies of these names.
    pub fn line(&self, strategies: &[String]) -> LayersLine {
        let layers = &self.layers;
        let account = layers.account();
        let streaks = layers.strategies().zip(strategies).map(|(carried, name)| StreakLine {
            strategy: name.clone(),
            losses: carried.losses,
            trades: carried.trades,
            disabled: carried.disabled,
            weight_bp: carried.weight_bp,
        });
        LayersLine {
            equity: layers.equity(),
            trade_risk_max: layers.trade_risk_max(),
            day_result: layers.day_result(),
            day_loss_max: layers.day_loss_max(),
            day_stopped: account.day_stopped,
            day_entries: account.day_entries,
            drawdown_bp: layers.drawdown_bp(),
            emergency: account.emergency,
            level: layers.level().name().to_owned(),
            size_percent: layers.size_percent(),
            trades: account.trades,
            strategies: streaks.collect(),
        }
    }
}

impl LayersLine {
    /// For people.
    pub fn render(&self) -> String {
        use std::fmt::Write as _;
        let state = |holds: bool, text: &'static str| if holds { text } else { "active" };
        let mut out = format!(
            "equity {}   drawdown {}.{:02} %   round trips {}\n\
             L1 trade risk       active    an entry may lose {}\n\
             L2 daily loss       {:<9} {} of the {} that a day may lose; resets at midnight UTC\n\
             L3 circuit breaker  {:<9} see below\n\
             L4 emergency stop   {:<9} reset by a named person only\n\
             preservation        {:<9} entries at {} %\n",
            self.equity,
            self.drawdown_bp / 100,
            self.drawdown_bp % 100,
            self.trades,
            self.trade_risk_max,
            state(self.day_stopped, "STOPPED"),
            self.day_result,
            self.day_loss_max,
            state(self.strategies.iter().any(|s| s.disabled), "DISABLED"),
            state(self.emergency, "STOPPED"),
            self.level,
            self.size_percent,
        );
        for line in &self.strategies {
            // A String takes whatever is written.
            let _infallible = writeln!(
                out,
                "  {:<28} {:<8} {} losses in a row, {} round trips, weight {}.{:02} %",
                line.strategy,
                if line.disabled { "DISABLED" } else { "enabled" },
                line.losses,
                line.trades,
                line.weight_bp / 100,
                line.weight_bp % 100,
            );
        }
        out.truncate(out.trim_end().len());
        out
    }
}

/// Names of strategies by id, each unique: the second one of a name is `name#2`.
pub fn unique_names(strategies: &[String]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(strategies.len());
    for (at, name) in strategies.iter().enumerate() {
        let before = strategies[..at].iter().filter(|other| *other == name).count();
        names.push(if before == 0 { name.clone() } else { format!("{name}#{}", before + 1) });
    }
    names
}
