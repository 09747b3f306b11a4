//! A session's journal folded into what it leaves.
//!
//! Two readers go through it in step, because the stages' records meet in the journal ring by ring and a reply may stand before
//! the intent that it answers: facts in their order, and before each fact every intent that an earlier fact caused. That is
//! the order of the line.

use std::path::Path;

use serde_json::Value;

use super::state::{NetState, OwnState, State, StrategyState};
use super::{BOOK_NOTE, Book, CARRIED_NOTE};
use crate::event::{Intent, Record};
use crate::journal::entry::Entry;
use crate::journal::reader::{Reader, SessionSummary, read_session};
use crate::journal::{JournalError, SessionHeader};
use crate::ops::watch::layers::{LayerFold, unique_names};
use crate::run::plan::Plan;
use crate::types::{InstrumentId, Position};

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
    let mut fold = LayerFold::new(table, &plan.limits().layers);
    let open = || read_session(journal, &header.session).map(|(_, reader)| reader);
    let (facts, mut intents) = (open()?, open()?);
    let mut waiting = next_intent(&mut intents)?;
    let mut last_seq = session.first_seq;
    for item in facts {
        let item = item?;
        last_seq = item.seq;
        let Entry::Record(Record::Fact(fact)) = item.entry else { continue };
        while let Some(intent) = waiting.take_if(|intent| intent.cause_seq < fact.seq) {
            fold.on_intent(&intent);
            waiting = next_intent(&mut intents)?;
        }
        fold.on_fact(&fact);
    }
    let mut state = state_of(&fold, header);
    (state.journal_seq, state.journal_bytes) = (last_seq, session.bytes);
    Ok(state)
}

fn next_intent(reader: &mut Reader) -> Result<Option<Intent>, JournalError> {
    for item in reader.by_ref() {
        if let Entry::Record(Record::Intent(intent)) = item?.entry {
            return Ok(Some(intent));
        }
    }
    Ok(None)
}

/// By names.
fn state_of(fold: &LayerFold, header: &SessionHeader) -> State {
    let note = |key: &str| header.notes.get(key).cloned().unwrap_or(Value::Null);
    let book: Book = serde_json::from_value(note(BOOK_NOTE))
        .unwrap_or_else(|_| Book { name: header.mode.clone(), account: String::new() });
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
