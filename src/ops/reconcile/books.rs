//! Our side of a reconcile: the line's facts folded into what the account must hold if our record is right.
//!
//! Sits on the journal's thread, apart from the stages' own folds, and keeps two accounts of every fill: what the ledger
//! booked, by whatever message it learned of it, and what the venue's trade records say, each counted once by
//! (order, trade id). The two must come to the same (C21), and the second one moves the balances.

use std::collections::BTreeMap;
use std::sync::Arc;

use rtrb::{Consumer, Producer};

use super::standing::Standing;
use crate::event::fact::LinkId;
use crate::event::ledger::{self, Ledger, Tracked};
use crate::event::{Action, Body, Carry, Fact, Intent, OrderUpdate, Record, SentKind, StopLevel};
use crate::journal::Observer;
use crate::types::{
    AssetId, ClientOrderId, InstrumentId, InstrumentTable, Now, OrderState, Position, Price, Qty, Side,
    StrategyId, TradeId, VenueOrderId,
};

/// Amounts of any asset in `1e-17`: the product of a price and a quantity is exact in it.
pub type Exact = i128;

/// A quantity in [`Exact`] units.
pub fn exact(qty: Qty) -> Exact {
    i128::from(qty.units()) * 1_000_000_000
}

/// One trade of the account: instrument, the venue's number of the trade, the venue's number of the order. Two orders may
/// share a trade (F16).
pub type TradeKey = (InstrumentId, TradeId, VenueOrderId);

/// The key of a fill.
pub const fn key_of(fill: &OrderUpdate) -> TradeKey {
    (fill.instrument, fill.trade, fill.venue_order)
}

/// What a trade did to the position of whoever's order it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Booked {
    /// Bought, or sold if negative, less the fee if that was taken in the base asset; zero for an order that is not ours.
    pub net: Exact,
    /// Price of the trade.
    pub price: Price,
    /// Whose position it changed.
    pub owner: StrategyId,
}

/// What a fill comes to in the position on its instrument: the fee is taken out of what was bought where it is of the base asset.
fn net_of(side: Side, qty: Qty, (fee, fee_asset): (Qty, AssetId), base: Option<AssetId>) -> Exact {
    let fee = if Some(fee_asset) == base { exact(fee) } else { 0 };
    i128::from(side.sign()) * exact(qty) - fee
}

/// What is kept beside each order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// Raised by us in this session, or carried over: its origin is on record.
    recorded: bool,
    /// When it was raised, and from the gateway's record of the request on when that was made.
    placed_ns: i64,
    /// Whose position it changes, and the stop that was claimed with it; zero for none.
    owner: StrategyId,
    stop: Price,
}

/// An order that may be open, as our record has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenHere {
    /// Our id.
    pub client: ClientOrderId,
    /// The venue's id; 0 while it is not known.
    pub venue_order: VenueOrderId,
    /// On what.
    pub instrument: InstrumentId,
    /// Whose.
    pub strategy: StrategyId,
    /// Buy or sell.
    pub side: Side,
    /// Where it stands.
    pub state: OrderState,
    /// Only reduces a position.
    pub reduce_only: bool,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Booked so far.
    pub filled: Qty,
    /// When it was raised or its request recorded, nanoseconds since the epoch; 0 if neither is on record.
    pub placed_ns: i64,
    /// Its origin is on record.
    pub recorded: bool,
}

/// What the record comes to at one moment of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BooksView {
    /// The request that this answers.
    pub number: u64,
    /// The last journal record in it.
    pub journal_seq: u64,
    /// What fills and fees moved since the session began, by asset.
    pub moved: Vec<Exact>,
    /// Trades that were counted, since the last ones that were forgotten.
    pub trades: BTreeMap<TradeKey, Booked>,
    /// Fees by asset that trades on other instruments took in it.
    pub fees_elsewhere: Vec<Exact>,
    /// Net quantity by instrument, less fees of the base asset: what the ledger booked for our orders ...
    pub booked: Vec<Exact>,
    /// ... and what the venue's trade records say of them.
    pub traded: Vec<Exact>,
    /// Orders that may be open.
    pub open: Vec<OpenHere>,
    /// Ids of ours by the venue's, of orders open or ended lately.
    pub names: Vec<(VenueOrderId, ClientOrderId)>,
    /// Balances as the line last heard of them, free and locked together.
    pub balances: Vec<Option<Qty>>,
    /// The stop that each strategy claimed with its last filled entry, as long as it holds anything.
    pub stops: Vec<StopLevel>,
    /// What each strategy holds, where it is not zero.
    pub own: Vec<(InstrumentId, StrategyId, Exact)>,
}

impl BooksView {
    /// Our id of an order that the record knows.
    pub fn client_of(&self, order: VenueOrderId) -> Option<ClientOrderId> {
        self.names.iter().find(|(venue, _)| *venue == order).map(|&(_, client)| client)
    }
}

/// The fold.
#[derive(Debug)]
pub struct Books {
    table: InstrumentTable,
    /// This session's boot: the orders that bear its number have an intent on record, sooner or later.
    epoch: u32,
    ledger: Ledger<Told>,
    /// Facts about orders whose intent has not come by yet: a journal that another build wrote may hold a reply before the
    /// intent that it answers.
    early: Vec<Body>,
    names: Vec<(VenueOrderId, ClientOrderId)>,
    moved: Vec<Exact>,
    trades: BTreeMap<TradeKey, (Booked, ClientOrderId)>,
    fees_elsewhere: Vec<Exact>,
    /// By instrument, the number below which every trade is in the account already: one that is told later is a repetition.
    agreed: Vec<TradeId>,
    booked: Vec<Exact>,
    traded: Vec<Exact>,
    balances: Vec<Option<Qty>>,
    stops: BTreeMap<(InstrumentId, StrategyId), Price>,
    own: BTreeMap<(InstrumentId, StrategyId), Exact>,
    journal_seq: u64,
}

/// Ids that are kept by the venue's: more than the ledger's own memory of ended orders.
const NAMES_KEPT: usize = 4_096;

/// Facts that may wait for their intent: it is in another ring, less than a lap of the journal's thread away.
const EARLY_MAX: usize = 1_024;

/// The order of ours that a fact is about.
fn client_of(body: &Body) -> Option<ClientOrderId> {
    let client = match body {
        Body::Order(update) => update.client,
        Body::Reply(reply) => reply.client,
        _ => ClientOrderId::NONE,
    };
    (client != ClientOrderId::NONE).then_some(client)
}

impl Books {
    /// Nothing yet, for the instruments of a session and its boot.
    pub fn new(table: &InstrumentTable, epoch: u32) -> Self {
        let (assets, instruments) = (table.assets().len(), table.all().len());
        Self {
            table: table.clone(),
            epoch,
            ledger: Ledger::default(),
            early: Vec::new(),
            names: Vec::new(),
            moved: vec![0; assets],
            trades: BTreeMap::new(),
            fees_elsewhere: vec![0; assets],
            agreed: vec![TradeId(0); instruments],
            booked: vec![0; instruments],
            traded: vec![0; instruments],
            balances: vec![None; assets],
            stops: BTreeMap::new(),
            own: BTreeMap::new(),
            journal_seq: 0,
        }
    }

    /// Takes in a record; `seq` is its number in the journal.
    pub fn observe(&mut self, seq: u64, record: &Record) {
        self.journal_seq = self.journal_seq.max(seq);
        match record {
            Record::Fact(fact) => self.fact(fact),
            Record::Intent(intent) => self.intent(intent),
            Record::Sent(sent) if matches!(sent.kind, SentKind::Place | SentKind::Replace) => {
                if let Some(told) = self.ledger.extra_mut(sent.client) {
                    told.placed_ns = sent.at_ns;
                }
            }
            Record::Sent(_) | Record::Decision(_) | Record::Note(_) => {}
        }
    }

    fn intent(&mut self, intent: &Intent) {
        if let Action::Place(spec) | Action::Replace { spec, .. } = &intent.action {
            let stop = if intent.reduce_only { Price::ZERO } else { intent.claim.stop };
            let told = Told { recorded: true, placed_ns: intent.cause_ns, owner: intent.owner, stop };
            let mut order = ledger::tracked(intent.client, intent.instrument, intent.owner, spec, told);
            order.reduce_only = intent.reduce_only;
            // No room: the order then shows as one without a record, which halts; better than not showing.
            let _full = self.ledger.enter(order);
            let concerns = |body: &Body| client_of(body) == Some(intent.client);
            if self.early.iter().any(concerns) {
                let (now, later) = core::mem::take(&mut self.early).into_iter().partition(concerns);
                self.early = later;
                let now: Vec<Body> = now;
                for body in &now {
                    self.fold(body);
                }
            }
        }
    }

    fn fact(&mut self, fact: &Fact) {
        match &fact.body {
            Body::Order(update) => self.order(update),
            Body::Reply(reply) => {
                if reply.venue_order.0 != 0 && reply.client != ClientOrderId::NONE {
                    self.name(reply.venue_order, reply.client);
                }
                self.fold_or_wait(&fact.body);
            }
            Body::Carried(order) => {
                let told = Told {
                    recorded: true,
                    placed_ns: order.placed_ns,
                    owner: order.strategy,
                    stop: Price::ZERO,
                };
                self.name(order.venue_order, order.client);
                let _full = self.ledger.carry(order, told);
            }
            Body::Stop(level) => {
                self.stops.insert((level.instrument, level.strategy), level.stop);
            }
            Body::Carry(Carry::Own(own)) => {
                let position: Position = own.position.into();
                self.holds(own.instrument, own.strategy, exact(position.qty));
            }
            Body::Balance(balance) => {
                if let Some(slot) = self.balances.get_mut(balance.asset.index()) {
                    *slot = balance.free.checked_add(balance.locked);
                }
            }
            _ => {}
        }
    }

    fn order(&mut self, update: &OrderUpdate) {
        if update.client != ClientOrderId::NONE {
            self.name(update.venue_order, update.client);
        }
        let is_old = self.agreed.get(update.instrument.index()).is_some_and(|next| update.trade < *next);
        if update.trade.0 != 0 && !is_old && !self.trades.contains_key(&key_of(update)) {
            let net = self.trade(update);
            let booked = Booked { net, price: update.price, owner: StrategyId::OPERATOR };
            self.trades.insert(key_of(update), (booked, update.client));
        }
        self.fold_or_wait(&Body::Order(*update));
    }

    fn fold_or_wait(&mut self, body: &Body) {
        let Some(client) = client_of(body) else { return };
        if client.epoch() != self.epoch || self.ledger.get(client).is_some() {
            return self.fold(body);
        }
        if self.early.len() >= EARLY_MAX {
            let oldest = self.early.remove(0);
            self.fold(&oldest);
        }
        self.early.push(*body);
    }

    fn fold(&mut self, body: &Body) {
        let change = match body {
            Body::Order(update) => self.ledger.on_update(update).and_then(Result::ok),
            Body::Reply(reply) => self.ledger.on_reply(reply),
            _ => None,
        };
        if let Some(change) = change {
            self.book(&change);
        }
    }

    /// The record is over: what still waits for an intent has lost it with the process.
    pub fn end(&mut self) {
        for body in core::mem::take(&mut self.early) {
            self.fold(&body);
        }
    }

    fn name(&mut self, order: VenueOrderId, client: ClientOrderId) {
        if order.0 != 0 && !self.names.iter().rev().any(|(venue, _)| *venue == order) {
            if self.names.len() >= NAMES_KEPT {
                self.names.drain(..NAMES_KEPT / 2);
            }
            self.names.push((order, client));
        }
    }

    /// A trade moves both balances, and the fee a third or one of them; whoever's order it was. What it comes to in a position
    /// of ours.
    fn trade(&mut self, fill: &OrderUpdate) -> Exact {
        let Some(instrument) = self.table.get(fill.instrument) else { return 0 };
        let sign = i128::from(fill.side.sign());
        let (base, quote) = (instrument.base, instrument.quote);
        self.shift(base, sign * exact(fill.qty));
        self.shift(quote, -sign * i128::from(fill.price.units()) * i128::from(fill.qty.units()));
        self.shift(fill.fee_asset, -exact(fill.fee));
        if fill.fee_asset != base
            && fill.fee_asset != quote
            && let Some(spent) = self.fees_elsewhere.get_mut(fill.fee_asset.index())
        {
            *spent += exact(fill.fee);
        }
        if fill.client == ClientOrderId::NONE {
            return 0;
        }
        let net = net_of(fill.side, fill.qty, (fill.fee, fill.fee_asset), Some(base));
        if let Some(traded) = self.traded.get_mut(fill.instrument.index()) {
            *traded += net;
        }
        net
    }

    /// Trades that the venue does not list and an operator has given up: they never happened. What they moved in balances
    /// has been settled by taking the venue's.
    pub fn strike(&mut self, keys: &[TradeKey]) {
        for key in keys {
            if let Some((booked, _)) = self.trades.remove(key)
                && let Some(traded) = self.traded.get_mut(key.0.index())
            {
                *traded -= booked.net;
            }
        }
    }

    fn shift(&mut self, asset: AssetId, by: Exact) {
        if let Some(moved) = self.moved.get_mut(asset.index()) {
            *moved += by;
        }
    }

    fn book(&mut self, change: &ledger::Change) {
        let Some(fill) = &change.fill else { return };
        let base = self.table.get(change.instrument).map(|i| i.base);
        let net = net_of(fill.side, fill.qty, (fill.fee, fill.fee_asset), base);
        if let Some(booked) = self.booked.get_mut(change.instrument.index()) {
            *booked += net;
        }
        let Some(told) = self.ledger.get(change.client).map(|order| order.extra) else { return };
        if told.stop > Price::ZERO {
            self.stops.insert((change.instrument, told.owner), told.stop);
        }
        let before = self.own.get(&(change.instrument, told.owner)).copied().unwrap_or(0);
        self.holds(change.instrument, told.owner, before + net);
    }

    /// What a strategy holds now. A stop guards what is held: with the last of it the claim is over.
    pub fn holds(&mut self, instrument: InstrumentId, strategy: StrategyId, net: Exact) {
        if net > 0 {
            self.own.insert((instrument, strategy), net);
        } else {
            self.own.remove(&(instrument, strategy));
            self.stops.remove(&(instrument, strategy));
        }
    }

    /// Trades below these numbers, by instrument, are agreed upon for good.
    pub fn forget_below(&mut self, next: &[TradeId]) {
        for (agreed, next) in self.agreed.iter_mut().zip(next) {
            *agreed = (*agreed).max(*next);
        }
        self.trades
            .retain(|(instrument, trade, _), _| next.get(instrument.index()).is_none_or(|n| trade >= n));
    }

    /// What it comes to now.
    pub fn view(&self, number: u64) -> BooksView {
        BooksView {
            number,
            journal_seq: self.journal_seq,
            moved: self.moved.clone(),
            trades: self
                .trades
                .iter()
                .map(|(key, (booked, client))| {
                    let owner = self.ledger.get(*client).map_or(booked.owner, |order| order.extra.owner);
                    (*key, Booked { owner, ..*booked })
                })
                .collect(),
            fees_elsewhere: self.fees_elsewhere.clone(),
            booked: self.booked.clone(),
            traded: self.traded.clone(),
            open: self.ledger.open().map(open_here).collect(),
            names: self.names.clone(),
            balances: self.balances.clone(),
            stops: self
                .stops
                .iter()
                .map(|(&(instrument, strategy), &stop)| StopLevel { instrument, strategy, stop })
                .collect(),
            own: self.own.iter().map(|(&(instrument, strategy), &net)| (instrument, strategy, net)).collect(),
        }
    }
}

fn open_here(order: &Tracked<Told>) -> OpenHere {
    OpenHere {
        client: order.client,
        venue_order: order.venue_order,
        instrument: order.instrument,
        strategy: order.strategy,
        side: order.side,
        state: order.state,
        reduce_only: order.reduce_only,
        price: order.price,
        qty: order.qty,
        filled: order.filled,
        placed_ns: order.extra.placed_ns,
        recorded: order.extra.recorded,
    }
}

/// What the reconciler asks of the fold.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Number of the request.
    pub number: u64,
    /// Trades below these are agreed upon.
    pub agreed: Vec<TradeId>,
    /// Trades that never happened.
    pub struck: Vec<TradeKey>,
}

/// The fold on the journal's thread, with its ends towards the reconciler.
#[derive(Debug)]
pub struct Bookkeeper {
    books: Books,
    wanted: Consumer<Wanted>,
    views: Producer<BooksView>,
    standing: Arc<Standing>,
}

/// The reconciler's ends.
#[derive(Debug)]
pub struct BooksDesk {
    /// Asks for a view.
    pub wanted: Producer<Wanted>,
    /// Views, as asked.
    pub views: Consumer<BooksView>,
}

/// Requests and answers that may wait.
const REQUESTS: usize = 8;

/// The two ends.
pub fn bookkeeper(table: &InstrumentTable, epoch: u32, standing: Arc<Standing>) -> (Bookkeeper, BooksDesk) {
    let (wanted_in, wanted) = rtrb::RingBuffer::new(REQUESTS);
    let (views, views_out) = rtrb::RingBuffer::new(REQUESTS);
    let keeper = Bookkeeper { books: Books::new(table, epoch), wanted, views, standing };
    (keeper, BooksDesk { wanted: wanted_in, views: views_out })
}

impl Observer for Bookkeeper {
    fn observe(&mut self, seq: u64, record: &Record) {
        self.books.observe(seq, record);
        // A private link that comes (back) may have missed something.
        if let Record::Fact(Fact { body: Body::Link(link), .. }) = record
            && link.up
            && link.link != LinkId::Market
        {
            self.standing.ask();
        }
    }

    fn batch_done(&mut self, _now: Now) {
        while let Ok(wanted) = self.wanted.pop() {
            self.books.strike(&wanted.struck);
            self.books.forget_below(&wanted.agreed);
            // Nobody takes it: then nobody waits for it.
            let _lost = self.views.push(self.books.view(wanted.number)).is_err();
        }
    }
}
