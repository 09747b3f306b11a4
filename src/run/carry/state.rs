//! What is carried over, by names, and `data/state.json` that caches it: versioned, written whole and synced, migrated from
//! older versions. A file that can't be read is no reason to forget: the journal has it all.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::Book;
use crate::event::carry::TIME_GROUPS;
use crate::event::{CarriedAccount, CarriedPace, CarriedTimes};
use crate::journal::reader::SessionSummary;
use crate::ops::events::{Event, Level};
use crate::ops::files::{self, Durability};
use crate::types::{
    Cash, InstrumentId, InstrumentTable, Position, PositionParts, Price, Qty, Reason, StrategyId,
};

/// Version of the file.
const VERSION: u64 = 3;
/// Larger than any state of ours.
const STATE_BYTES_MAX: u64 = 16 << 20;

/// A position, exact: the wide sums as text, because JSON has no numbers of that size.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PositionState {
    qty: Qty,
    fees: Cash,
    fills: u64,
    cost: Wide,
    realised: Wide,
}

/// A sum of 128 bits as 32 hexadecimal digits. Anything else is no sum: a file that holds it can't be read, and the journal is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Wide([u64; 2]);

impl Serialize for Wide {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self([upper, lower]) = self;
        serializer.collect_str(&format_args!("{upper:016x}{lower:016x}"))
    }
}

impl<'de> Deserialize<'de> for Wide {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let is_hex = text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let half = |range| text.get(range).and_then(|half| u64::from_str_radix(half, 16).ok());
        match (half(0..16), half(16..32)) {
            (Some(upper), Some(lower)) if is_hex => Ok(Self([upper, lower])),
            _ => Err(serde::de::Error::custom(format!("{text:?} is not a sum of 32 hexadecimal digits"))),
        }
    }
}

impl From<&Position> for PositionState {
    fn from(position: &Position) -> Self {
        let parts = PositionParts::from(*position);
        Self {
            qty: parts.qty,
            fees: parts.fees,
            fills: parts.fills,
            cost: Wide(parts.cost),
            realised: Wide(parts.realised),
        }
    }
}

impl From<&PositionState> for Position {
    fn from(state: &PositionState) -> Self {
        let parts = PositionParts {
            qty: state.qty,
            fees: state.fees,
            fills: state.fills,
            cost: state.cost.0,
            realised: state.realised.0,
        };
        parts.into()
    }
}

/// The sum of all fills on an instrument.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetState {
    /// The position.
    pub position: PositionState,
    /// The venue's highest trade number in it.
    pub last_trade: u64,
    /// The middle that it was last valued at.
    pub mark: Price,
}

impl NetState {
    /// Realised, unrealised at the last mark, less fees.
    fn result(&self) -> i128 {
        let position = Position::from(&self.position);
        let open = if self.mark.is_zero() { Cash::ZERO } else { position.unrealised(self.mark) };
        i128::from(position.realised().units()) - i128::from(position.fees.units()) + i128::from(open.units())
    }
}

/// A strategy's part of a position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnState {
    /// The strategy's name; the second one of a name is `name#2`.
    pub strategy: String,
    /// The symbol.
    pub symbol: String,
    /// The position.
    pub position: PositionState,
    /// Result on the instrument when the open trade began.
    pub opened: Cash,
}

/// What is known of a strategy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyState {
    /// Losses in a row.
    pub losses: u32,
    /// Round trips.
    pub trades: u32,
    /// Disabled until a named person enables it.
    pub disabled: bool,
    /// Weight in force.
    pub weight_bp: u32,
    /// Day of its last move.
    pub weight_day: i32,
    /// Name of the reason for which it may not enter until a named person enables it (C9).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latch: Option<String>,
    /// Executed entries, lately: in groups, the time of each one's latest and how many there were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub executed: Vec<(i64, u16)>,
    /// Entries that the venue refused, lately.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub venue_refused: Vec<(i64, u16)>,
}

impl StrategyState {
    /// Why it may not enter. A reason that this build doesn't know disables all the same.
    pub fn latched(&self) -> Option<Reason> {
        let name = self.latch.as_deref()?;
        let known = Reason::ALL.iter().copied().find(|reason| reason.name() == name);
        Some(known.unwrap_or(Reason::StrategyDisabled))
    }
}

/// Groups as a fact tells them. More than fit were written by no build of ours: the latest stands for them.
pub(super) fn times_of(strategy: StrategyId, groups: &[(i64, u16)]) -> Option<CarriedTimes> {
    let mut times = CarriedTimes { strategy, at_ns: [0; TIME_GROUPS], count: [0; TIME_GROUPS] };
    for (at, (at_ns, count)) in groups.iter().enumerate() {
        let at = at.min(TIME_GROUPS - 1);
        times.at_ns[at] = *at_ns;
        times.count[at] = times.count[at].saturating_add(*count);
    }
    (!groups.is_empty()).then_some(times)
}

/// The turnover governor's memory of a symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PaceState {
    /// Time of the last decision; 0 = none.
    pub last_ns: i64,
    /// Its day.
    pub day: i32,
    /// Decisions of that day.
    pub decisions: u32,
    /// Losing trades in a row.
    pub losses: u32,
    /// Until when it rests; 0 = it does not.
    pub rest_until_ns: i64,
    /// Result when it was last flat.
    pub flat_result: Cash,
}

impl From<&CarriedPace> for PaceState {
    fn from(pace: &CarriedPace) -> Self {
        let CarriedPace { instrument: _, last_ns, day, decisions, losses, rest_until_ns, flat_result } =
            *pace;
        Self { last_ns, day, decisions, losses, rest_until_ns, flat_result }
    }
}

impl PaceState {
    /// As a fact. Where no position is carried, the next trade is measured from zero.
    pub(super) fn carried(&self, instrument: InstrumentId, has_position: bool) -> CarriedPace {
        let Self { last_ns, day, decisions, losses, rest_until_ns, flat_result } = *self;
        let flat_result = if has_position { flat_result } else { Cash::ZERO };
        CarriedPace { instrument, last_ns, day, decisions, losses, rest_until_ns, flat_result }
    }
}

/// The account's result and the layers, in the quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccountState {
    pub settled: Cash,
    pub result: Cash,
    pub peak: Cash,
    pub worst: Cash,
    pub day: i32,
    pub day_start: Cash,
    pub day_entries: u32,
    pub trades: u32,
    pub day_stopped: bool,
    pub emergency: bool,
    pub preservation: u8,
    pub preservation_ns: i64,
    pub served_bp: u32,
}

macro_rules! same_fields {
    ($($field:ident),* $(,)?) => {
        impl From<CarriedAccount> for AccountState {
            fn from(account: CarriedAccount) -> Self {
                let CarriedAccount { $($field),* } = account;
                Self { $($field),* }
            }
        }
        impl From<AccountState> for CarriedAccount {
            fn from(account: AccountState) -> Self {
                let AccountState { $($field),* } = account;
                Self { $($field),* }
            }
        }
    };
}
same_fields!(
    settled,
    result,
    peak,
    worst,
    day,
    day_start,
    day_entries,
    trades,
    day_stopped,
    emergency,
    preservation,
    preservation_ns,
    served_bp,
);

/// What a session leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Whose.
    pub book: Book,
    /// The session that it is the fold of; empty before the first.
    pub session: String,
    /// The last journal record in it.
    pub journal_seq: u64,
    /// Bytes of the session's segments then: more since, and it does not stand for the session any more.
    pub journal_bytes: u64,
    /// The account.
    pub account: AccountState,
    /// Strategies by name, those that are not run any more too.
    pub strategies: BTreeMap<String, StrategyState>,
    /// The turnover governor's memory by symbol, those that are not traded any more too.
    #[serde(default)]
    pub paces: BTreeMap<String, PaceState>,
    /// Net positions by symbol.
    pub nets: BTreeMap<String, NetState>,
    /// The strategies' parts.
    pub own: Vec<OwnState>,
    /// What the account held, by asset, as the venue or the fill model last told.
    pub balances: BTreeMap<String, Qty>,
}

impl State {
    /// Nothing is known of a book.
    pub fn new(book: Book) -> Self {
        Self {
            book,
            session: String::new(),
            journal_seq: 0,
            journal_bytes: 0,
            account: AccountState { day: i32::MIN, ..AccountState::default() },
            strategies: BTreeMap::new(),
            paces: BTreeMap::new(),
            nets: BTreeMap::new(),
            own: Vec::new(),
            balances: BTreeMap::new(),
        }
    }

    /// Whether it is the fold of all that the journal has of a session.
    pub fn stands_for(&self, session: &SessionSummary) -> bool {
        self.session == session.header.session && self.journal_bytes == session.bytes
    }

    /// Another account stands behind the book: nothing of what was held is held any more; what it was worth stays in the result.
    pub fn leave_account(&mut self, account: &str, now_ns: i64, events: &mut Vec<Event>) {
        let held: Vec<&str> = self
            .nets
            .iter()
            .filter(|(_, net)| !net.position.qty.is_zero())
            .map(|(symbol, _)| symbol.as_str())
            .collect();
        if !held.is_empty() {
            let event = Event::new(now_ns, Level::Warn, "CARRY_POSITIONS_DROPPED")
                .with("why", "another account stands behind the mode")
                .with("symbols", json!(held));
            events.push(event);
        }
        let settled: i128 = self.nets.values().map(NetState::result).sum();
        self.settle(settled);
        self.nets.clear();
        self.own.clear();
        self.balances.clear();
        account.clone_into(&mut self.book.account);
    }

    fn settle(&mut self, amount: i128) {
        let sum = i128::from(self.account.settled.units()) + amount;
        let units = i64::try_from(sum).unwrap_or(if sum < 0 { i64::MIN } else { i64::MAX });
        self.account.settled = Cash::from_units(units);
    }

    /// Instruments that the session does not have: their results are settled; a position there ends the start.
    pub fn settle_absent(&mut self, table: &InstrumentTable) -> Result<(), String> {
        let is_absent = |symbol: &str| table.find(symbol.as_bytes()).is_none();
        if let Some((symbol, net)) =
            self.nets.iter().find(|(symbol, net)| is_absent(symbol) && !net.position.qty.is_zero())
        {
            return Err(format!(
                "a position of {} {symbol} is held, and venue.symbols does not name {symbol}: add it, so that the position is \
                 watched and can be closed",
                net.position.qty
            ));
        }
        let settled: i128 =
            self.nets.iter().filter(|(symbol, _)| is_absent(symbol)).map(|(_, net)| net.result()).sum();
        self.settle(settled);
        self.nets.retain(|symbol, _| !is_absent(symbol));
        self.own.retain(|own| !is_absent(&own.symbol));
        Ok(())
    }
}

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateFile {
    /// By the book's name.
    pub books: BTreeMap<String, State>,
}

type Migration = fn(Value) -> Option<Value>;

/// From one version to the next; each step knows only its own two.
const MIGRATIONS: &[(u64, Migration)] = &[(1, one_book_to_many), (2, without_paces)];

/// Version 2 knew no pace of decisions, no latch, and neither executions nor refusals: none is known of that time.
fn without_paces(mut file: Value) -> Option<Value> {
    for state in file.get_mut("books")?.as_object_mut()?.values_mut() {
        state.as_object_mut()?.insert("paces".to_owned(), json!({}));
    }
    Some(file)
}

/// Version 1 held one book, without the lowest result since the peak.
fn one_book_to_many(mut file: Value) -> Option<Value> {
    let Value::Object(mut state) = file.get_mut("state")?.take() else { return None };
    let account = state.get_mut("account")?.as_object_mut()?;
    let result = account.get("result")?.clone();
    account.insert("worst".to_owned(), result);
    let name = state.get("book")?.get("name")?.as_str()?.to_owned();
    Some(json!({ "v": 2, "books": { name: Value::Object(state) } }))
}

impl StateFile {
    /// Reads it. What can't be read is told and left out: the journal has it all.
    pub fn load(path: &Path, now_ns: i64) -> (Self, Option<Event>) {
        let unreadable = |why: String| {
            let event = Event::new(now_ns, Level::Warn, "STATE_UNREADABLE")
                .with("path", path.display().to_string())
                .with("why", why)
                .with("remedy", "it is rebuilt from the journal");
            (Self::default(), Some(event))
        };
        let bytes = match std::fs::metadata(path).map(|meta| meta.len()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Self::default(), None),
            Ok(len) if len > STATE_BYTES_MAX => return unreadable(format!("{len} bytes")),
            _ => match std::fs::read(path) {
                Ok(bytes) => bytes,
                Err(error) => return unreadable(error.to_string()),
            },
        };
        let mut file: Value = match serde_json::from_slice(&bytes) {
            Ok(file) => file,
            Err(error) => return unreadable(error.to_string()),
        };
        let found = file.get("v").and_then(Value::as_u64).unwrap_or(0);
        let mut version = found;
        while version != VERSION {
            let step = MIGRATIONS.iter().find(|(from, _)| *from == version);
            let Some(next) = step.and_then(|(_, migrate)| migrate(file.take())) else {
                return unreadable(format!(
                    "version {found} can't be read by this build, which knows {VERSION}"
                ));
            };
            file = next;
            version += 1;
        }
        let books = file.get_mut("books").map(Value::take).unwrap_or_default();
        match serde_json::from_value(books) {
            Err(error) => unreadable(error.to_string()),
            Ok(books) => {
                let event = (found != VERSION).then(|| {
                    Event::new(now_ns, Level::Info, "STATE_MIGRATED")
                        .with("path", path.display().to_string())
                        .with("from", found)
                        .with("to", VERSION)
                });
                (Self { books }, event)
            }
        }
    }

    /// Writes it whole, and durably.
    pub fn store(&self, path: &Path) -> io::Result<()> {
        let text = json!({ "v": VERSION, "books": self.books }).to_string();
        files::replace(path, text.as_bytes(), Durability::Synced)
    }
}
