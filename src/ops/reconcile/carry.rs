//! What earlier sessions leave to a reconcile, rebuilt from their journal (R-ORD-4): what the account must hold, which trades
//! are booked, and which orders may still stand at the venue.
//!
//! Each round that balances is recorded with its figures (`ControlKind::Reconcile`), so that only what came after the last
//! one is folded. A process that was killed loses the records that were in a ring and not yet in the file; an order that has
//! left without a record is found again by its id, and a fill without one by the venue's list of trades.
//!
//! Only sessions on the same account count: another account's fills say nothing of this one. Sessions without an account
//! (paper, shadow) are passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::books::{Booked, Books, BooksView, Exact, OpenHere};
use super::compare::Footing;
use crate::event::{Body, CarriedOrder, Fact, Record, StopLevel};
use crate::journal::entry::{Control, ControlKind, Entry, Item};
use crate::journal::reader::{self, SessionSummary};
use crate::journal::{JournalError, SessionHeader};
use crate::types::{ClientOrderId, InstrumentTable, Price, Qty, Side, StrategyId, TradeId, VenueOrderId};

/// Key of the session header's notes under which the account stands.
pub const ACCOUNT_NOTE: &str = "account";

/// Version of [`Image`] in the journal.
const VERSION: u32 = 1;

/// Earlier sessions can't be read.
#[derive(Debug, thiserror::Error)]
pub enum CarryError {
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A session's header or a record of a reconcile is not what it should be.
    #[error(
        "session {session}: {what}; what this account holds can't be rebuilt. `interlock journal verify` says more"
    )]
    Form {
        /// Which session.
        session: String,
        /// What is wrong.
        what: String,
    },
}

/// An order that may still stand at the venue, by names rather than by a session's numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenImage {
    client: String,
    venue_order: u64,
    symbol: String,
    /// Name of the strategy; empty for none.
    strategy: String,
    is_buy: bool,
    reduce_only: bool,
    price: Price,
    qty: Qty,
    filled: Qty,
    placed_ns: i64,
}

/// A trade that is booked and not agreed upon yet, by names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FillImage {
    symbol: String,
    trade: u64,
    order: u64,
    net: String,
    price: Price,
    strategy: String,
}

/// What the record comes to at one point of the journal, by names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    v: u32,
    /// The last journal record in it.
    as_of: u64,
    /// What the account must hold, by asset, in units of `1e-17`, as text: JSON has no numbers of that size.
    expected: BTreeMap<String, String>,
    /// Trades below these are agreed upon, by symbol.
    next_trade: BTreeMap<String, u64>,
    /// Trades at or above those that are booked: symbol, trade, order.
    booked: BTreeSet<(String, u64, u64)>,
    /// Positions by symbol: what the venue's trades came to, in units of `1e-17`, as text.
    #[serde(default)]
    positions: BTreeMap<String, String>,
    /// Of the booked trades, those that changed a position: what each came to, at which price, for which strategy.
    #[serde(default)]
    fills: Vec<FillImage>,
    /// Orders that may stand at the venue.
    open: Vec<OpenImage>,
    /// Stops that strategies claimed with their last filled entries: symbol, strategy, price.
    #[serde(default)]
    stops: Vec<(String, String, Price)>,
    /// What strategies held, in units of `1e-17`, as text: symbol, strategy, amount.
    #[serde(default)]
    own: Vec<(String, String, String)>,
}

/// What a boot starts from.
#[derive(Clone, Debug, Default)]
pub struct Carry {
    /// What the comparison rests on.
    pub ground: Footing,
    /// Orders of earlier boots without an end on record.
    pub orders: Vec<CarriedOrder>,
    /// Stops that strategies claimed.
    pub stops: Vec<StopLevel>,
    /// Sessions that were read.
    pub sessions: usize,
}

/// The names of a session's numbers.
struct Names<'a> {
    table: &'a InstrumentTable,
    strategies: &'a [String],
}

impl Names<'_> {
    fn symbol(&self, at: usize) -> String {
        self.table.all().get(at).map_or_else(String::new, |i| i.symbol.as_str().to_owned())
    }
    fn strategy(&self, id: StrategyId) -> String {
        self.strategies.get(usize::from(id.0)).cloned().unwrap_or_default()
    }
    fn numbered(&self, name: &str) -> StrategyId {
        let at = self.strategies.iter().position(|strategy| strategy == name);
        at.and_then(|at| u8::try_from(at).ok()).map_or(StrategyId::OPERATOR, StrategyId)
    }
    fn stop(&self, level: &StopLevel) -> (String, String, Price) {
        (self.symbol(level.instrument.index()), self.strategy(level.strategy), level.stop)
    }
    /// A claimed stop in the numbers of this session; `None` for what it does not run.
    fn level(&self, (symbol, strategy, stop): &(String, String, Price)) -> Option<StopLevel> {
        let instrument = self.table.find(symbol.as_bytes())?;
        let at = self.strategies.iter().position(|name| name == strategy)?;
        Some(StopLevel { instrument, strategy: StrategyId(u8::try_from(at).ok()?), stop: *stop })
    }
    fn open(&self, order: &OpenHere) -> OpenImage {
        OpenImage {
            client: order.client.to_string(),
            venue_order: order.venue_order.0,
            symbol: self.symbol(order.instrument.index()),
            strategy: self.strategy(order.strategy),
            is_buy: order.side == Side::Buy,
            reduce_only: order.reduce_only,
            price: order.price,
            qty: order.qty,
            filled: order.filled,
            placed_ns: order.placed_ns,
        }
    }
    /// An order in the numbers of this session; `None` for a symbol that it does not have.
    fn carried(&self, image: &OpenImage) -> Option<CarriedOrder> {
        Some(CarriedOrder {
            client: ClientOrderId::parse(image.client.as_bytes())?,
            venue_order: VenueOrderId(image.venue_order),
            instrument: self.table.find(image.symbol.as_bytes())?,
            strategy: self.numbered(&image.strategy),
            side: if image.is_buy { Side::Buy } else { Side::Sell },
            reduce_only: image.reduce_only,
            price: image.price,
            qty: image.qty,
            filled: image.filled,
            placed_ns: image.placed_ns,
        })
    }
}

impl Image {
    /// Of a view and the ground that it stands on: what is written down after a round that balanced.
    pub fn of(view: &BooksView, ground: &Footing, table: &InstrumentTable, strategies: &[String]) -> Self {
        let names = Names { table, strategies };
        let mut image = Self { v: VERSION, as_of: view.journal_seq, ..Self::default() };
        for (at, asset) in table.assets().iter().enumerate() {
            if let Some(Some(base)) = ground.expected.get(at) {
                let expected: Exact = base + view.moved.get(at).copied().unwrap_or(0);
                image.expected.insert(asset.as_str().to_owned(), expected.to_string());
            }
        }
        for (at, next) in ground.next_trade.iter().enumerate() {
            image.next_trade.insert(names.symbol(at), next.0);
        }
        let is_new = |at: usize, trade: TradeId| ground.next_trade.get(at).is_none_or(|next| trade >= *next);
        for ((instrument, trade, order), booked) in view.trades.iter().chain(&ground.booked) {
            if !is_new(instrument.index(), *trade) {
                continue;
            }
            let symbol = names.symbol(instrument.index());
            if image.booked.insert((symbol.clone(), trade.0, order.0)) && booked.net != 0 {
                image.fills.push(FillImage {
                    symbol,
                    trade: trade.0,
                    order: order.0,
                    net: booked.net.to_string(),
                    price: booked.price,
                    strategy: names.strategy(booked.owner),
                });
            }
        }
        for (at, (_, traded)) in ground.positions(view).into_iter().enumerate() {
            // Where nothing says what the trades came to when the session began, its end does not say it either.
            if ground.traded.get(at).is_some_and(Option::is_some) {
                image.positions.insert(names.symbol(at), traded.to_string());
            }
        }
        image.stops = view.stops.iter().map(|level| names.stop(level)).collect();
        image.own = view
            .own
            .iter()
            .map(|(at, strategy, net)| (names.symbol(at.index()), names.strategy(*strategy), net.to_string()))
            .collect();
        image.open = view.open.iter().map(|order| names.open(order)).collect();
        image
    }

    /// Whether another record would say nothing new.
    pub fn says_the_same(&self, other: &Self) -> bool {
        Self { as_of: 0, ..self.clone() } == Self { as_of: 0, ..other.clone() }
    }

    /// For the journal.
    pub fn details(&self) -> Map<String, Value> {
        match serde_json::to_value(self) {
            Ok(Value::Object(map)) => map,
            _ => Map::new(),
        }
    }

    fn from_details(details: &Map<String, Value>) -> Result<Self, String> {
        let image: Self =
            serde_json::from_value(Value::Object(details.clone())).map_err(|e| e.to_string())?;
        if image.v == VERSION { Ok(image) } else { Err(format!("a reconcile record of version {}", image.v)) }
    }

    fn ground(&self, names: &Names<'_>) -> Footing {
        let expected = names.table.assets().iter().map(|a| self.expected.get(a.as_str())?.parse().ok());
        let next = names
            .table
            .all()
            .iter()
            .map(|i| TradeId(self.next_trade.get(i.symbol.as_str()).copied().unwrap_or(0)));
        let key = |symbol: &str, trade: u64, order: u64| {
            Some((names.table.find(symbol.as_bytes())?, TradeId(trade), VenueOrderId(order)))
        };
        let nothing = Booked { net: 0, price: Price::ZERO, owner: StrategyId::OPERATOR };
        let mut booked: BTreeMap<_, _> = self
            .booked
            .iter()
            .filter_map(|(s, trade, order)| Some((key(s, *trade, *order)?, nothing)))
            .collect();
        for fill in &self.fills {
            if let (Some(key), Ok(net)) = (key(&fill.symbol, fill.trade, fill.order), fill.net.parse()) {
                booked.insert(key, Booked { net, price: fill.price, owner: names.numbered(&fill.strategy) });
            }
        }
        let traded =
            names.table.all().iter().map(|i| self.positions.get(i.symbol.as_str())?.parse().ok()).collect();
        Footing {
            expected: expected.collect(),
            next_trade: next.collect(),
            booked,
            epoch: 0,
            held: Vec::new(),
            traded,
        }
    }

    /// Folds the rest of a session behind this image.
    fn fold(
        &self,
        header: &SessionHeader,
        items: impl Iterator<Item = Result<Item, JournalError>>,
    ) -> Result<Self, CarryError> {
        let wrong = |what: String| CarryError::Form { session: header.session.clone(), what };
        let table = header.table().map_err(wrong)?;
        let names = Names { table: &table, strategies: &header.strategies };
        let mut books = Books::new(&table, header.boot_epoch);
        for order in self.open.iter().filter_map(|o| names.carried(o)) {
            let fact = Fact { seq: 0, recv_ns: 0, body: Body::Carried(order) };
            books.observe(0, &Record::Fact(fact));
        }
        for (symbol, strategy, net) in &self.own {
            if let (Some(instrument), Ok(net)) = (table.find(symbol.as_bytes()), net.parse()) {
                books.holds(instrument, names.numbered(strategy), net);
            }
        }
        for level in self.stops.iter().filter_map(|s| names.level(s)) {
            books.observe(0, &Record::Fact(Fact { seq: 0, recv_ns: 0, body: Body::Stop(level) }));
        }
        for item in items {
            let item = item?;
            if let Entry::Record(record) = item.entry
                && item.seq > self.as_of
            {
                books.observe(item.seq, &record);
            }
        }
        books.end();
        let mut folded = Self::of(&books.view(0), &self.ground(&names), &table, &header.strategies);
        folded.as_of = folded.as_of.max(self.as_of);
        // Symbols and assets that the session does not have stay as they were.
        for (asset, amount) in &self.expected {
            folded.expected.entry(asset.clone()).or_insert_with(|| amount.clone());
        }
        for (symbol, next) in &self.next_trade {
            folded.next_trade.entry(symbol.clone()).or_insert(*next);
        }
        folded.booked.extend(self.booked.iter().cloned());
        for (symbol, position) in &self.positions {
            folded.positions.entry(symbol.clone()).or_insert_with(|| position.clone());
        }
        let is_elsewhere = |fill: &&FillImage| table.find(fill.symbol.as_bytes()).is_none();
        folded.fills.extend(self.fills.iter().filter(is_elsewhere).cloned());
        let elsewhere = self.open.iter().filter(|o| table.find(o.symbol.as_bytes()).is_none());
        folded.open.extend(elsewhere.cloned());
        Ok(folded)
    }
}

/// The figures in a record of a reconcile, if it has any.
fn image_of(act: &Control) -> Result<Option<Image>, String> {
    if act.kind != ControlKind::Reconcile || !act.details.contains_key("as_of") {
        return Ok(None);
    }
    Image::from_details(&act.details).map(Some)
}

fn account_of(session: &SessionSummary) -> Option<&str> {
    session.header.notes.get(ACCOUNT_NOTE).and_then(Value::as_str)
}

impl Carry {
    /// What the journal in a directory leaves to this account, in the numbers of a new session.
    pub fn read(
        journal: &Path,
        account: &str,
        table: &InstrumentTable,
        strategies: &[String],
    ) -> Result<Self, CarryError> {
        let all = if journal.is_dir() { reader::sessions(journal)? } else { Vec::new() };
        // From the newest back to the first one that was on another account; those without one are passed over.
        let since =
            all.iter().rposition(|s| account_of(s).is_some_and(|a| a != account)).map_or(0, |at| at + 1);
        let ours: Vec<_> = all[since..].iter().filter(|s| account_of(s) == Some(account)).collect();
        Self::of_sessions(journal, &ours, table, strategies)
    }

    /// Claimed stops that sessions of a mode without an account leave: their orders end with the process, and what they hold is
    /// carried over by itself.
    pub fn stops_of(
        journal: &Path,
        mode: &str,
        table: &InstrumentTable,
        strategies: &[String],
    ) -> Result<Vec<StopLevel>, CarryError> {
        let all = if journal.is_dir() { reader::sessions(journal)? } else { Vec::new() };
        let ours: Vec<_> = all.iter().filter(|s| s.header.mode == mode && account_of(s).is_none()).collect();
        Self::of_sessions(journal, &ours, table, strategies).map(|carry| carry.stops)
    }

    /// What these sessions leave, oldest first.
    fn of_sessions(
        journal: &Path,
        ours: &[&SessionSummary],
        table: &InstrumentTable,
        strategies: &[String],
    ) -> Result<Self, CarryError> {
        // Back to the last record of a round that balanced; what came after its own point is folded on.
        let mut image = Image { v: VERSION, ..Image::default() };
        let mut from = ours.len();
        for (at, session) in ours.iter().enumerate().rev() {
            from = at;
            if let Some(last) = last_image(journal, session)? {
                image = last;
                break;
            }
        }
        for session in &ours[from..] {
            let (_, items) = reader::read_session(journal, &session.header.session)?;
            image = image.fold(&session.header, items)?;
        }
        let names = Names { table, strategies };
        let orders = image.open.iter().filter_map(|o| names.carried(o)).collect();
        let stops = image.stops.iter().filter_map(|s| names.level(s)).collect();
        Ok(Self { ground: image.ground(&names), orders, stops, sessions: ours.len() - from })
    }
}

/// The figures of the last round of a session that balanced.
fn last_image(journal: &Path, session: &SessionSummary) -> Result<Option<Image>, CarryError> {
    let wrong = |what| CarryError::Form { session: session.header.session.clone(), what };
    let (_, items) = reader::read_session(journal, &session.header.session)?;
    let mut last = None;
    for item in items {
        if let Entry::Control(act) = item?.entry {
            last = image_of(&act).map_err(wrong)?.or(last);
        }
    }
    Ok(last)
}
