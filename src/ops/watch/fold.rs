//! The fold: record after record into the figures of a [`Snapshot`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Publisher;
use super::layers::{LayerFold, unique_names};
use super::snapshot::{
    BalanceLine, InstrumentLine, LinkLine, OrderLine, RefusalLine, Snapshot, StrategyLine, Totals,
};
use crate::event::fact::LinkId;
use crate::event::ledger::{self, Change, Ledger, LedgerFull, Tracked};
use crate::event::{
    Action, Body, CarriedPosition, Carry, Decision, Fact, GatewayNote, Intent, LayersConfig, NoteKind,
    Record, Reply, ReplyKind, Sent, SentKind, Verdict,
};
use crate::journal::Observer;
use crate::limits::STRATEGIES_MAX;
use crate::types::time::NS_PER_MS;
use crate::types::{
    Cash, ClientOrderId, Instrument, InstrumentId, InstrumentTable, Now, Position, Price, Qty, Reason,
    StrategyId,
};

/// How often a snapshot is published.
const PUBLISH_EVERY_NS: i64 = 100 * NS_PER_MS;

/// What is kept beside each order.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// Time of the last word on it.
    at_ns: i64,
    /// Middle of the quote when it was wanted.
    middle: Option<Price>,
}

/// The fold. On the journal's thread.
#[derive(Debug)]
pub struct View {
    table: InstrumentTable,
    positions: Vec<Position>,
    orders: Ledger<Known>,
    refused: BTreeMap<u16, (u64, u64)>,
    layers: Option<LayerFold>,
    names: Vec<String>,
    /// What is kept in the form in which it is shown.
    shown: Snapshot,
    publishers: Vec<Publisher>,
    publish_at_ns: i64,
}

impl View {
    /// For the session's instruments and the names of its strategies, by id.
    pub fn new(table: InstrumentTable, strategies: &[String], publishers: Vec<Publisher>) -> Self {
        let instruments = table.all().iter().map(|i| InstrumentLine {
            symbol: i.symbol.as_str().to_owned(),
            book_reason: Reason::AwaitingSnapshot.name().to_owned(),
            ..InstrumentLine::default()
        });
        let named = strategies.iter().take(STRATEGIES_MAX).map(String::as_str).chain(["operator"]);
        let shown = Snapshot {
            instruments: instruments.collect(),
            links: ["market", "account", "orders"].map(unknown_link).to_vec(),
            strategies: named
                .map(|name| StrategyLine { strategy: name.to_owned(), ..StrategyLine::default() })
                .collect(),
            balances: table
                .assets()
                .iter()
                .map(|a| BalanceLine { asset: a.as_str().to_owned(), ..BalanceLine::default() })
                .collect(),
            ..Snapshot::default()
        };
        let positions = vec![Position::default(); table.all().len()];
        Self {
            table,
            positions,
            orders: Ledger::default(),
            refused: BTreeMap::new(),
            layers: None,
            names: unique_names(strategies),
            shown,
            publishers,
            publish_at_ns: 0,
        }
    }

    /// With the session's figures of the layers. Before the first record.
    #[must_use]
    pub fn with_layers(mut self, config: &LayersConfig) -> Self {
        self.layers = Some(LayerFold::new(self.table.clone(), config));
        self
    }

    /// Takes in a record; `seq` is its number in the journal.
    pub fn observe(&mut self, seq: u64, record: &Record) {
        self.shown.journal_seq = self.shown.journal_seq.max(seq); // 0 once the journal has failed
        if let Some(layers) = &mut self.layers {
            layers.observe(record);
        }
        match record {
            Record::Fact(fact) => self.fact(fact),
            Record::Intent(intent) => self.intent(intent),
            Record::Decision(decision) => self.decision(decision),
            Record::Sent(sent) => self.sent(sent),
            Record::Note(note) => self.note(note),
        }
    }

    /// Publishes a snapshot if one is due. Called by the journal's thread once a cycle.
    pub fn publish_if_due(&mut self, now: Now) -> bool {
        if now.mono_ns < self.publish_at_ns {
            return false;
        }
        self.publish_at_ns = now.mono_ns + PUBLISH_EVERY_NS;
        let snapshot = Arc::new(self.snapshot());
        for publisher in &mut self.publishers {
            publisher.publish(&snapshot);
        }
        true
    }

    /// The present look.
    pub fn snapshot(&self) -> Snapshot {
        let mut shown = self.shown.clone();
        if let Some(layers) = &self.layers {
            shown.layers = layers.line(&self.names);
        }
        for ((line, position), at) in shown.instruments.iter_mut().zip(&self.positions).zip(0u16..) {
            line.position = position.qty;
            line.average_price = position.average_price();
            line.realised = position.realised();
            line.unrealised = line.middle().map(|price| position.unrealised(price));
            line.fees = position.fees;
            line.fills = position.fills;
            let open = self.orders.open().filter(|o| o.instrument == InstrumentId(at));
            line.dust = self.table.get(InstrumentId(at)).is_some_and(|i| is_dust(i, line));
            line.working = open.filter(|o| o.state.may_be_open()).count() as u64;
        }
        shown.orders =
            self.orders.open().filter(|o| o.state.is_exposed()).map(|o| self.order_line(o)).collect();
        shown.refusals = self
            .refused
            .iter()
            .map(|(&code, &(refused, withheld))| RefusalLine {
                reason: Reason::from_code(code).unwrap_or(Reason::Internal).name().to_owned(),
                refused,
                withheld,
            })
            .collect();
        shown
    }

    fn order_line(&self, order: &Tracked<Known>) -> OrderLine {
        OrderLine {
            client_id: order.client.to_string(),
            venue_id: order.venue_order.0,
            symbol: self.table.get(order.instrument).map_or("?", |i| i.symbol.as_str()).to_owned(),
            strategy: self.shown.strategies[self.strategy_index(order.strategy)].strategy.clone(),
            side: order.side.as_str().to_owned(),
            price: order.price,
            qty: order.qty,
            filled: order.filled,
            state: format!("{:?}", order.state),
            updated_ns: order.extra.at_ns,
        }
    }

    /// The operator's line is the last; so is that of a strategy that the session does not know.
    fn strategy_index(&self, id: StrategyId) -> usize {
        usize::from(id.0).min(self.shown.strategies.len() - 1)
    }
    fn strategy(&mut self, id: StrategyId) -> &mut StrategyLine {
        let at = self.strategy_index(id);
        &mut self.shown.strategies[at]
    }
    fn totals(&mut self) -> &mut Totals {
        &mut self.shown.totals
    }

    fn fact(&mut self, fact: &Fact) {
        self.shown.fact_seq = fact.seq;
        self.shown.fact_ns = fact.recv_ns;
        match &fact.body {
            Body::Quote(quote) => {
                if let Some(line) = self.market(quote.instrument, fact.recv_ns) {
                    (line.bid, line.bid_qty) = (Some(quote.bid.price), Some(quote.bid.qty));
                    (line.ask, line.ask_qty) = (Some(quote.ask.price), Some(quote.ask.qty));
                }
            }
            Body::Trade(trade) => {
                if let Some(line) = self.market(trade.instrument, fact.recv_ns) {
                    line.last = Some(trade.price);
                }
            }
            Body::Depth(depth) => {
                let _line = self.market(depth.instrument, fact.recv_ns);
            }
            Body::BookStatus(status) => {
                if let Some(line) = self.shown.instruments.get_mut(status.instrument.index()) {
                    line.book_valid = status.valid;
                    status.reason.name().clone_into(&mut line.book_reason);
                }
            }
            Body::Link(status) => {
                if let Some(line) = self.shown.links.get_mut(link_index(status.link)) {
                    if line.up != status.up || line.since_ns == 0 {
                        line.since_ns = fact.recv_ns;
                    }
                    line.up = status.up;
                    line.attempts = status.attempts;
                    status.reason.name().clone_into(&mut line.reason);
                }
            }
            Body::Order(update) => match self.orders.on_update(update) {
                Some(Ok(change)) => self.changed(&change, fact.recv_ns),
                Some(Err(LedgerFull)) => self.totals().conflicts += 1,
                None => {}
            },
            Body::Carried(order) => {
                let known = Known { at_ns: fact.recv_ns, middle: None };
                if self.orders.carry(order, known).is_err() {
                    self.totals().conflicts += 1;
                }
            }
            Body::Reply(reply) => self.reply(reply, fact.recv_ns),
            Body::Balance(balance) => {
                if let Some(line) = self.shown.balances.get_mut(balance.asset.index()) {
                    (line.free, line.locked) = (balance.free, balance.locked);
                }
            }
            Body::Command(_) => self.totals().commands += 1,
            Body::ClockOffset(offset) => self.shown.clock_offset_ns = Some(offset.offset_ns),
            Body::Carry(carry) => self.carry(carry),
            Body::Bar(_) | Body::Stop(_) | Body::Timer => {}
        }
    }

    fn carry(&mut self, carry: &Carry) {
        if let Carry::Net(CarriedPosition { instrument, position, .. }) = carry
            && let Some(own) = self.positions.get_mut(instrument.index())
        {
            *own = (*position).into();
        }
    }

    fn market(&mut self, instrument: InstrumentId, recv_ns: i64) -> Option<&mut InstrumentLine> {
        self.shown.market_ns = recv_ns;
        let line = self.shown.instruments.get_mut(instrument.index())?;
        line.market_ns = recv_ns;
        Some(line)
    }

    fn intent(&mut self, intent: &Intent) {
        self.totals().intents += 1;
        self.strategy(intent.strategy).intents += 1;
        if let Action::Place(spec) | Action::Replace { spec, .. } = &intent.action {
            let quote = self.shown.instruments.get(intent.instrument.index());
            let known = Known { at_ns: intent.cause_ns, middle: quote.and_then(InstrumentLine::middle) };
            let mut order = ledger::tracked(intent.client, intent.instrument, intent.strategy, spec, known);
            order.reduce_only = intent.reduce_only;
            if self.orders.enter(order).is_err() {
                self.totals().conflicts += 1;
            }
        }
    }

    fn decision(&mut self, decision: &Decision) {
        self.shown.exposure = decision.exposure;
        let strategy = self.orders.get(decision.client).map(|o| o.strategy);
        let approved = decision.verdict == Verdict::Approved;
        if approved {
            self.totals().approved += 1;
        } else {
            self.totals().refused += 1;
            self.refused.entry(decision.reason as u16).or_default().0 += 1;
        }
        if let Some(strategy) = strategy {
            let line = self.strategy(strategy);
            if approved { line.approved += 1 } else { line.refused += 1 }
        }
    }

    fn sent(&mut self, sent: &Sent) {
        match sent.kind {
            SentKind::Place | SentKind::Replace => self.totals().orders_sent += 1,
            SentKind::Cancel | SentKind::CancelAll => self.totals().cancels_sent += 1,
            SentKind::Query => {}
        }
    }

    fn note(&mut self, note: &GatewayNote) {
        if note.kind == NoteKind::Withheld {
            self.refused.entry(note.reason as u16).or_default().1 += 1;
        }
    }

    fn reply(&mut self, reply: &Reply, at_ns: i64) {
        match reply.kind {
            ReplyKind::Accepted if !reply.cancel => self.totals().accepted += 1,
            ReplyKind::Rejected => self.totals().rejected += 1,
            ReplyKind::Unknown => self.totals().unknown += 1,
            _ => {}
        }
        if let Some(change) = self.orders.on_reply(reply) {
            self.exit_answered(&change, reply);
            self.changed(&change, at_ns);
        }
    }

    /// Counts the exits that the venue refuses in a row: what is held is then held without a way out.
    fn exit_answered(&mut self, change: &Change, reply: &Reply) {
        let is_exit = self.orders.get(change.client).is_some_and(|order| order.reduce_only);
        let Some(line) = self.shown.instruments.get_mut(change.instrument.index()).filter(|_| is_exit) else {
            return;
        };
        match reply.kind {
            ReplyKind::Rejected if !reply.cancel => {
                line.exits_refused = line.exits_refused.saturating_add(1);
                reply.reason.name().clone_into(&mut line.exit_refusal);
            }
            ReplyKind::Accepted if !reply.cancel => {
                line.exits_refused = 0;
                line.exit_refusal.clear();
            }
            _ => {}
        }
    }

    fn changed(&mut self, change: &Change, at_ns: i64) {
        if let Some(known) = self.orders.extra_mut(change.client) {
            known.at_ns = at_ns;
        }
        let (filled, wanted_at) =
            self.orders.get(change.client).map_or((Qty::ZERO, None), |o| (o.filled, o.extra.middle));
        self.shown.execution.changed(change, filled, wanted_at);
        if change.conflict || change.overfill {
            self.totals().conflicts += 1;
        }
        let Some(fill) = &change.fill else { return };
        if !fill.qty.is_zero() {
            self.count_fill(change.client);
        }
        let at = change.instrument.index();
        let Some((position, line)) = self.positions.get_mut(at).zip(self.shown.instruments.get_mut(at))
        else {
            return;
        };
        if !fill.qty.is_zero() && position.fill(fill.side, fill.price, fill.qty).is_err() {
            self.shown.totals.conflicts += 1;
            return;
        }
        let Some(instrument) = self.table.get(change.instrument) else { return };
        let fee = if fill.fee.is_zero() {
            Some(Cash::ZERO)
        } else if fill.fee_asset == instrument.quote {
            Some(Cash::from_units(fill.fee.units())) // both count units of 1e-8
        } else if fill.fee_asset == instrument.base {
            Cash::notional_for_limit(fill.price, fill.fee)
        } else {
            None
        };
        match fee.and_then(|fee| position.fees.checked_add(fee)) {
            Some(fees) => position.fees = fees,
            None => line.fees_elsewhere += 1,
        }
    }

    fn count_fill(&mut self, client: ClientOrderId) {
        self.totals().fills += 1;
        if let Some(strategy) = self.orders.get(client).map(|o| o.strategy) {
            self.strategy(strategy).fills += 1;
        }
    }
}

impl Observer for View {
    fn observe(&mut self, seq: u64, record: &Record) {
        Self::observe(self, seq, record);
    }
    fn batch_done(&mut self, now: Now) {
        let _published = self.publish_if_due(now);
    }
}

fn unknown_link(name: &str) -> LinkLine {
    LinkLine { link: name.to_owned(), reason: Reason::Connecting.name().to_owned(), ..LinkLine::default() }
}

fn link_index(link: LinkId) -> usize {
    match link {
        LinkId::Market => 0,
        LinkId::Account => 1,
        LinkId::Orders => 2,
    }
}

/// Whether what is held is less than the venue would take in an order. Without a quote that is not known, and it is not dust.
fn is_dust(instrument: &Instrument, line: &InstrumentLine) -> bool {
    let Some(owned) = line.position.units().checked_abs().map(Qty::from_units) else { return false };
    let closable = owned.floor_to(instrument.lot.step);
    if owned.is_zero() || closable.is_zero() || closable < instrument.lot.min {
        return !owned.is_zero();
    }
    let price = if line.position > Qty::ZERO { line.bid } else { line.ask };
    let worth = price.and_then(|price| Cash::notional_floor(price, closable));
    worth.is_some_and(|worth| worth < instrument.notional.min)
}
