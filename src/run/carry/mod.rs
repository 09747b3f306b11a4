//! What earlier sessions leave to a boot (R-ORD-4): positions with their cost, the day's result, the peak, streaks, disabled
//! strategies, the state of the layers and of the ramp, the turnover governor's memory (R-LIM-7), the repeat throttle's (C9).
//!
//! The journal is the truth. Each session begins with the whole of what was carried over, as facts and by names in its
//! header, so what it leaves is the fold of that one session alone (`fold`). `data/state.json` is a cache of it, with the
//! session that it stands for (`state`): believed only if the journal of that session has not grown since.
//!
//! What belongs together is a [`Book`]: a mode and, where orders meet a real account, that account. The result and the layers
//! go on within a book; positions only as long as the same account stands behind it (the demo's venue is a new one at
//! each start, and what was held there went with it: its last value stays in the result).
//!
//! What it refuses: to start without knowing. A journal that can't be read, or a position on an instrument that the session
//! does not have, ends the start.

mod fold;
mod state;

use std::path::Path;

use serde_json::{Value, json};

use crate::event::layers::{FULL_BP, LayersConfig, day_of};
use crate::event::{CarriedAccount, CarriedLatch, CarriedPosition, CarriedStrategy, Carry, CarryHead};
use crate::journal::reader::{self, SessionSummary};
use crate::ops::events::{Event, Level};
use crate::ops::paths::Paths;
use crate::ops::watch::layers::unique_names;
use crate::types::{AssetId, Cash, InstrumentTable, Position, Price, Qty, Reason, StrategyId, TradeId};

use super::access::Access;
use super::plan::{Mode, Plan};
use super::session::{StartError, journal_dir};
use state::times_of;

pub use state::{NetState, OwnState, PaceState, State, StateFile, StrategyState};

/// Key of the session header's notes under which the book stands.
pub const BOOK_NOTE: &str = "book";
/// Key of the session header's notes under which stands what was carried over, by names.
pub const CARRIED_NOTE: &str = "carried";

/// Whose positions and results belong together.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Book {
    /// The mode; with the venue where orders meet an account that lasts.
    pub name: String,
    /// What holds the positions; another one holds none of them. The same name as in the reconcile's record: the venue's number
    /// of the account, where orders meet one.
    pub account: String,
    /// What records before that one name called the same account; empty for nothing.
    #[serde(skip)]
    pub former: String,
}

impl Book {
    /// Of a session. `None` where nothing is ever held: shadow, and a dry run.
    pub fn of(plan: &Plan, access: &Access, dry_run: bool) -> Option<Self> {
        let mode = plan.mode.name();
        let venue = format!("{mode}@{}", access.rest);
        Some(match plan.mode {
            _ if dry_run => return None,
            Mode::Shadow => return None,
            Mode::Paper => Self::new(mode, "paper"),
            Mode::Demo => Self::new(mode, &key_print(access)),
            // An embedded venue has a new account whenever it starts: its results go on, its positions do not.
            Mode::Testnet | Mode::Live if access.is_on_this_machine() => Self::new(mode, &key_print(access)),
            Mode::Testnet | Mode::Live => Self::new(&venue, &venue),
        })
    }

    /// A book of this name on this account.
    pub fn new(name: &str, account: &str) -> Self {
        Self { name: name.to_owned(), account: account.to_owned(), former: String::new() }
    }

    /// The same where the venue has said which account it is. A key may be changed without changing the account, and one key
    /// file may come to hold the key of another one: the venue's word counts.
    #[must_use]
    pub fn on(self, account: Option<&str>) -> Self {
        match account {
            Some(account) => Self { account: account.to_owned(), former: self.account, name: self.name },
            None => self,
        }
    }

    /// Whether a record that bears this account's name is about this book's account.
    fn is_on(&self, account: &str) -> bool {
        self.account == account || (!self.former.is_empty() && self.former == account)
    }
}

/// What tells two accounts of embedded venues apart: their keys are made at start. Never the key itself.
fn key_print(access: &Access) -> String {
    let bytes = access.key_file.as_ref().and_then(|path| std::fs::read(path).ok()).unwrap_or_default();
    blake3::hash(&bytes).to_hex()[..16].to_owned()
}

/// What a session starts from.
#[derive(Clone, Debug, Default)]
pub struct CarryOver {
    /// The first facts.
    pub facts: Vec<Carry>,
    /// Notes for the session's header.
    pub notes: Vec<(String, Value)>,
    /// What people should know, for the event log.
    pub events: Vec<Event>,
    /// What the account held, where the engine itself keeps the account (paper).
    pub balances: Option<Vec<(AssetId, Qty)>>,
}

impl CarryOver {
    /// Reads what the data directory leaves to a book, in the numbers of a new session.
    pub fn read(
        paths: &Paths,
        book: Option<Book>,
        (table, strategies): (&InstrumentTable, &[String]),
        layers: &LayersConfig,
        now_ns: i64,
    ) -> Result<Self, StartError> {
        let Some(book) = book else { return Ok(Self::default()) };
        let mut over = Self::default();
        let (mut state, told) = latest(paths, &book, now_ns)?;
        over.events.extend(told);
        if !book.is_on(&state.book.account) {
            state.leave_account(&book.account, now_ns, &mut over.events);
        }
        state.book.account.clone_from(&book.account);
        state.settle_absent(table).map_err(StartError::Parts)?;
        over.balances = (!state.balances.is_empty()).then(|| {
            let known = state.balances.iter();
            known.filter_map(|(name, &qty)| Some((table.asset(name.as_bytes())?, qty))).collect()
        });
        over.notes.push((BOOK_NOTE.to_owned(), json!(book)));
        over.notes.push((CARRIED_NOTE.to_owned(), json!(state)));
        over.facts = facts_of(&state, table, strategies, layers, day_of(now_ns));
        over.events.extend(weights_clamped(&state, strategies, layers, now_ns));
        over.events.extend(still_disabled(&state, strategies, now_ns));
        Ok(over)
    }
}

/// What the last session of a book left: from the cache if it stands for it, else from the journal.
fn latest(paths: &Paths, book: &Book, now_ns: i64) -> Result<(State, Vec<Event>), StartError> {
    let mut events = Vec::new();
    let (file, told) = StateFile::load(&paths.state(), now_ns);
    events.extend(told);
    let journal = journal_dir(paths);
    let last = last_session(&journal, book)?;
    let cached = file.books.get(&book.name);
    let Some(session) = last else {
        // The journal of it was moved away: the cache is all there is.
        let state = cached.cloned().unwrap_or_else(|| State::new(book.clone()));
        return Ok((state, events));
    };
    if let Some(state) = cached.filter(|state| state.stands_for(&session)) {
        return Ok((state.clone(), events));
    }
    let state = fold::of_session(&journal, &session).map_err(StartError::Journal)?;
    events.push(
        Event::new(now_ns, Level::Info, "STATE_REBUILT")
            .with("book", book.name.clone())
            .with("session", session.header.session)
            .with("journal_seq", state.journal_seq),
    );
    Ok((state, events))
}

fn last_session(journal: &Path, book: &Book) -> Result<Option<SessionSummary>, StartError> {
    if !journal.is_dir() {
        return Ok(None);
    }
    let all = reader::sessions(journal).map_err(StartError::Journal)?;
    let its = |session: &SessionSummary| book_of(session).is_some_and(|b| b.name == book.name);
    Ok(all.into_iter().rfind(its))
}

fn book_of(session: &SessionSummary) -> Option<Book> {
    let note = session.header.notes.get(BOOK_NOTE)?;
    serde_json::from_value(note.clone()).ok()
}

/// Writes down what the last session of a book left: after a clean stop, so that the next boot need not read its journal.
pub fn save(paths: &Paths, book: &Book, now_ns: i64) -> Result<(), StartError> {
    let journal = journal_dir(paths);
    let Some(session) = last_session(&journal, book)? else { return Ok(()) };
    let state = fold::of_session(&journal, &session).map_err(StartError::Journal)?;
    let (mut file, _) = StateFile::load(&paths.state(), now_ns);
    file.books.insert(book.name.clone(), state);
    file.store(&paths.state())
        .map_err(|source| StartError::Io { what: format!("writing {}", paths.state().display()), source })
}

fn facts_of(
    state: &State,
    table: &InstrumentTable,
    strategies: &[String],
    layers: &LayersConfig,
    today: i32,
) -> Vec<Carry> {
    let mut facts = Vec::new();
    for instrument in table.all() {
        let Some(net) = state.nets.get(instrument.symbol.as_str()) else { continue };
        facts.push(Carry::Net(CarriedPosition {
            instrument: instrument.id,
            strategy: StrategyId::OPERATOR,
            position: Position::from(&net.position).into(),
            last_trade: TradeId(net.last_trade),
            mark: net.mark,
            opened: Cash::ZERO,
        }));
    }
    for (id, name) in (0u8..).zip(unique_names(strategies)) {
        let strategy = StrategyId(id);
        let its = state.own.iter().filter(|own| own.strategy == name);
        for (own, instrument) in its.filter_map(|own| Some((own, table.find(own.symbol.as_bytes())?))) {
            facts.push(Carry::Own(CarriedPosition {
                instrument,
                strategy,
                position: Position::from(&own.position).into(),
                last_trade: TradeId(0),
                mark: Price::ZERO,
                opened: own.opened,
            }));
        }
        let target_bp = layers.weight_bp(&strategies[usize::from(id)]);
        let known = state.strategies.get(&name).cloned();
        let known = known.unwrap_or_else(|| StrategyState::fresh(target_bp, today));
        facts.push(Carry::Strategy(CarriedStrategy {
            strategy,
            losses: known.losses,
            trades: known.trades,
            disabled: known.disabled,
            weight_bp: known.weight_bp,
            target_bp,
            weight_day: known.weight_day,
        }));
        facts.extend(known.latched().map(|why| Carry::Latch(CarriedLatch { strategy, why })));
        facts.extend(times_of(strategy, &known.executed).map(Carry::Executed));
        facts.extend(times_of(strategy, &known.venue_refused).map(Carry::VenueRefused));
    }
    for instrument in table.all() {
        let symbol = instrument.symbol.as_str();
        if let Some(pace) = state.paces.get(symbol) {
            facts.push(Carry::Pace(pace.carried(instrument.id, state.nets.contains_key(symbol))));
        }
    }
    facts.push(Carry::Account(CarriedAccount { result: state.account.result, ..state.account.into() }));
    let follow = u16::try_from(facts.len()).unwrap_or(u16::MAX);
    facts.insert(0, Carry::Begin(CarryHead { journal_seq: state.journal_seq, follow }));
    facts
}

/// A configured weight that is further than a day's step: it gets there step by step, and someone must look (R-LIM-9).
fn weights_clamped(state: &State, strategies: &[String], layers: &LayersConfig, now_ns: i64) -> Vec<Event> {
    let clamped = |(name, unique): (&String, String)| {
        let from = state.strategies.get(&unique)?.weight_bp;
        let wanted = layers.weight_bp(name);
        (from.abs_diff(wanted) > layers.weight_step_bp).then(|| {
            Event::new(now_ns, Level::Critical, "WEIGHT_CLAMPED")
                .with("strategy", unique)
                .with("from_bp", from)
                .with("wanted_bp", wanted)
                .with("step_bp", layers.weight_step_bp)
        })
    };
    strategies.iter().zip(unique_names(strategies)).filter_map(clamped).collect()
}

/// A restart enables nothing: who wonders why a strategy is silent finds it here.
fn still_disabled(state: &State, strategies: &[String], now_ns: i64) -> Vec<Event> {
    let disabled = |name: String| {
        let known = state.strategies.get(&name)?;
        let breaker = known.disabled.then_some(Reason::CircuitBreaker);
        let why = known.latched().or(breaker)?;
        Some(
            Event::new(now_ns, Level::Warn, "STRATEGY_STILL_DISABLED")
                .with("why", why.name())
                .with("remedy", format!("interlock limits enable {name} --cause C --by WHO"))
                .with("strategy", name),
        )
    };
    unique_names(strategies).into_iter().filter_map(disabled).collect()
}

impl StrategyState {
    /// A strategy that is seen for the first time: it starts at its configured weight.
    pub const fn fresh(weight_bp: u32, day: i32) -> Self {
        let weight_bp = if weight_bp > FULL_BP { FULL_BP } else { weight_bp };
        Self {
            losses: 0,
            trades: 0,
            disabled: false,
            weight_bp,
            weight_day: day,
            latch: None,
            executed: Vec::new(),
            venue_refused: Vec::new(),
        }
    }
}
