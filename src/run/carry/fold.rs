//! A session's journal folded into what it leaves.
//!
//! Two readers go through it in step, because feed records facts while signal is still at earlier ones: facts in their
//! order, and before each fact every intent that an earlier fact caused. That is the order of the line. Beside the layers'
//! fold stands risk itself, which is not asked anything: it folds the facts, and books the intents that it had approved by
//! its recorded decisions, so that what it keeps of pace, executions and latches (R-LIM-7, C9) is told by the code that
//! keeps it.

use std::path::Path;

use serde_json::Value;

use super::state::{NetState, OwnState, PaceState, State, StrategyState};
use super::{BOOK_NOTE, Book, CARRIED_NOTE};
use crate::event::{Carry, Decision, Fact, Intent, Record, Verdict};
use crate::journal::entry::Entry;
use crate::journal::reader::{Reader, SessionSummary, read_session};
use crate::journal::{JournalError, SessionHeader};
use crate::ops::watch::layers::{LayerFold, unique_names};
use crate::risk::Risk;
use crate::run::plan::Plan;
use crate::types::{InstrumentId, Position, StrategyId};

/// What a session of a journal leaves.
pub(super) fn of_session(journal: &Path, session: &SessionSummary) -> Result<State, JournalError> {
    let header = &session.header;
    let refused = |why: String| JournalError::Refused {
        path: journal.to_owned(),
        why: format!("session {}: {why}", header.session),
        remedy: "What was held at its end can't be known; `interlock journal verify` says more",
    };
    let table = header.table().map_err(refused)?;
    let plan: Plan = toml::from_str(&header.config).map_err(|e| refused(e.to_string()))?;
    let limits = plan.limits();
    let risk = Risk::new(&limits, &table, &[]).map_err(|e| refused(e.to_string()))?;
    let mut folds = Folds { layers: LayerFold::new(table, &limits.layers), risk };
    let open = || read_session(journal, &header.session).map(|(_, reader)| reader);
    let facts = open()?;
    let mut ahead = Ahead::new(open()?, open()?)?;
    let mut last_seq = session.first_seq;
    for item in facts {
        let item = item?;
        last_seq = item.seq;
        let Entry::Record(Record::Fact(fact)) = item.entry else { continue };
        ahead.tell_before(fact.seq, &mut folds)?;
        folds.on_fact(&fact);
    }
    // What the last fact caused.
    ahead.tell_before(u64::MAX, &mut folds)?;
    let mut state = state_of(&folds.layers, header);
    add_risk(&mut state, &folds, header);
    (state.journal_seq, state.journal_bytes) = (last_seq, session.bytes);
    Ok(state)
}

/// The stages' records, read ahead of the facts.
struct Ahead {
    intents: Reader,
    decisions: Reader,
    intent: Option<Intent>,
    decision: Option<Decision>,
}

impl Ahead {
    fn new(mut intents: Reader, mut decisions: Reader) -> Result<Self, JournalError> {
        let intent = next_intent(&mut intents)?;
        let decision = next_decision(&mut decisions)?;
        Ok(Self { intents, decisions, intent, decision })
    }

    /// Every intent that an earlier fact caused, with its decision. Risk decides each intent once and in their order; one without
    /// a decision never left.
    fn tell_before(&mut self, fact_seq: u64, folds: &mut Folds) -> Result<(), JournalError> {
        while let Some(intent) = self.intent.take_if(|intent| intent.cause_seq < fact_seq) {
            let same = |d: &mut Decision| d.client == intent.client && d.cause_seq == intent.cause_seq;
            let decision = self.decision.take_if(same);
            folds.on_intent(&intent, decision.as_ref());
            if decision.is_some() {
                self.decision = next_decision(&mut self.decisions)?;
            }
            self.intent = next_intent(&mut self.intents)?;
        }
        Ok(())
    }
}

struct Folds {
    layers: LayerFold,
    risk: Risk,
}

impl Folds {
    fn on_fact(&mut self, fact: &Fact) {
        self.layers.on_fact(fact);
        self.risk.on_fact(fact);
    }
    fn on_intent(&mut self, intent: &Intent, decision: Option<&Decision>) {
        self.layers.on_intent(intent);
        if decision.is_some_and(|d| d.verdict == Verdict::Approved) {
            self.risk.book_recorded(intent);
        }
    }
}

fn next_intent(reader: &mut Reader) -> Result<Option<Intent>, JournalError> {
    next(reader, |record| if let Record::Intent(intent) = record { Some(intent) } else { None })
}

fn next_decision(reader: &mut Reader) -> Result<Option<Decision>, JournalError> {
    next(reader, |record| if let Record::Decision(decision) = record { Some(decision) } else { None })
}

fn next<T>(reader: &mut Reader, pick: impl Fn(Record) -> Option<T>) -> Result<Option<T>, JournalError> {
    for item in reader.by_ref() {
        if let Entry::Record(record) = item?.entry
            && let Some(found) = pick(record)
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// What risk keeps, by names. Of symbols and strategies that the session did not have nothing has changed.
fn add_risk(state: &mut State, folds: &Folds, header: &SessionHeader) {
    let table = folds.layers.table();
    let names = unique_names(&header.strategies);
    for instrument in table.all() {
        state.paces.remove(instrument.symbol.as_str());
    }
    for carry in folds.risk.carried() {
        match &carry {
            Carry::Pace(pace) => {
                if let Some(instrument) = table.get(pace.instrument) {
                    state.paces.insert(instrument.symbol.as_str().to_owned(), PaceState::from(pace));
                }
            }
            Carry::Latch(latch) => {
                if let Some(its) = strategy(state, &names, latch.strategy) {
                    its.latch = Some(latch.why.name().to_owned());
                }
            }
            Carry::Executed(times) | Carry::VenueRefused(times) => {
                let groups = times.groups().collect();
                if let Some(its) = strategy(state, &names, times.strategy) {
                    let kept = match carry {
                        Carry::Executed(_) => &mut its.executed,
                        _ => &mut its.venue_refused,
                    };
                    *kept = groups;
                }
            }
            Carry::Begin(_) | Carry::Net(_) | Carry::Own(_) | Carry::Account(_) | Carry::Strategy(_) => {}
        }
    }
}

fn strategy<'a>(state: &'a mut State, names: &[String], id: StrategyId) -> Option<&'a mut StrategyState> {
    state.strategies.get_mut(names.get(usize::from(id.0))?)
}

/// By names.
fn state_of(fold: &LayerFold, header: &SessionHeader) -> State {
    let note = |key: &str| header.notes.get(key).cloned().unwrap_or(Value::Null);
    let book: Book = serde_json::from_value(note(BOOK_NOTE)).unwrap_or_else(|_| Book::new(&header.mode, ""));
    // What the session began with: of the strategies that it did not run nothing has changed.
    let begun: Option<State> = serde_json::from_value(note(CARRIED_NOTE)).ok();
    let mut state = begun.unwrap_or_else(|| State::new(book.clone()));
    state.book = book;
    header.session.clone_into(&mut state.session);
    let layers = fold.layers();
    state.account = layers.account().into();
    let names = unique_names(&header.strategies);
    state.own.retain(|own| !names.contains(&own.strategy));
    for (carried, name) in layers.strategies().zip(&names) {
        let known = StrategyState {
            losses: carried.losses,
            trades: carried.trades,
            disabled: carried.disabled,
            weight_bp: carried.weight_bp,
            weight_day: carried.weight_day,
            latch: None,
            executed: Vec::new(),
            venue_refused: Vec::new(),
        };
        state.strategies.insert(name.clone(), known);
        for instrument in fold.table().all() {
            let own = layers.own(carried.strategy, instrument.id);
            if let Some((position, opened)) = own.filter(|(p, _)| *p != Position::default()) {
                let symbol = instrument.symbol.as_str().to_owned();
                state.own.push(OwnState {
                    strategy: name.clone(),
                    symbol,
                    position: (&position).into(),
                    opened,
                });
            }
        }
    }
    for (at, instrument) in (0u16..).zip(fold.table().all()) {
        let mark = layers.net(InstrumentId(at));
        if let Some(mark) = mark.filter(|mark| mark.position != Position::default()) {
            let net = NetState {
                position: (&mark.position).into(),
                last_trade: mark.last_trade.0,
                mark: mark.price,
            };
            state.nets.insert(instrument.symbol.as_str().to_owned(), net);
        }
    }
    for (asset, known) in fold.table().assets().iter().zip(fold.balances()) {
        if let Some(total) = known {
            state.balances.insert(asset.as_str().to_owned(), *total);
        }
    }
    state
}
