//! Replay: the facts of a recorded session run through the same stages, on one thread, and every decision is compared with the
//! recorded one, byte for byte (R-EVD-2).
//!
//! Signal and risk must raise the same intents and reach the same verdicts. Of the gateway's requests those that follow from an
//! approved order are encoded again, with the recorded timestamp, and compared by length and checksum. What the gateway
//! does by itself (queries, sweeps of a halt) follows from the network's pace, not from facts; it is counted, not judged.
//! The two inputs off the line are played back: the kill page's readings stand in the decisions, and what was withheld
//! stands in the gateway's notes.

use std::collections::BTreeMap;
use std::path::Path;

use secrecy::SecretString;

use crate::event::{Action, Decision, Intent, NoteKind, Order, Record, Sent, SentKind};
use crate::gateway::{Comparer, Request};
use crate::journal::codec::encode_record;
use crate::journal::reader::{Reader, read_session};
use crate::journal::{Entry, JournalError, SessionHeader};
use crate::risk::Risk;
use crate::shared::{HaltLevel, HaltView};
use crate::signal::Signal;
use crate::types::{ClientOrderId, InstrumentTable};
use crate::venue::binance::Credentials;
use crate::venue::binance::orders::OrderSession;

use super::paper::throwaway_credentials;
use super::plan::{Mode, Plan, Signing};
use super::prepare::strategies_of;
use super::session::ALLOWED_NOTE;
use super::wiring::{allowed_of, manage_exits, order_config};

/// Why a session can't be replayed at all.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The journal can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The session's header does not describe a session that this build can run.
    #[error("session {session}: {what}")]
    Header {
        /// Which.
        session: String,
        /// What is wrong.
        what: String,
    },
}

/// The first difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The fact that caused it.
    pub fact_seq: u64,
    /// What was recorded and what the replay did.
    pub what: String,
}

/// How a replay went.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The session.
    pub session: String,
    /// Facts run.
    pub facts: u64,
    /// Intents compared.
    pub intents: u64,
    /// Decisions compared.
    pub decisions: u64,
    /// Requests encoded again and compared.
    pub requests: u64,
    /// Approved orders that the gateway withheld, as its notes say.
    pub withheld: u64,
    /// Requests that no order asked for: queries and sweeps, counted only.
    pub own_requests: u64,
    /// Intents and decisions behind the last recorded one: the engine ended before it wrote them.
    pub beyond_the_end: u64,
    /// BLAKE3 of everything that the replay decided: equal for equal sessions.
    pub digest: String,
    /// The first difference.
    pub difference: Option<Difference>,
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "session {}: {} facts; {} intents, {} decisions and {} requests compared, {} withheld, {} of the gateway's own",
            self.session,
            self.facts,
            self.intents,
            self.decisions,
            self.requests,
            self.withheld,
            self.own_requests
        )?;
        if self.beyond_the_end > 0 {
            writeln!(
                f,
                "{} decisions behind the end of the record (the engine was killed)",
                self.beyond_the_end
            )?;
        }
        match &self.difference {
            None => write!(f, "every decision is the same, byte for byte; digest {}", self.digest),
            Some(d) => write!(f, "DIFFERENT at fact {}: {}", d.fact_seq, d.what),
        }
    }
}

/// Recorded requests by what they are about, in order.
type Requests = BTreeMap<(u8, ClientOrderId), Vec<Sent>>;

/// The recorded decisions, read ahead of the facts.
struct Recorded {
    intents: Reader,
    decisions: Reader,
    requests: Requests,
    withheld: BTreeMap<ClientOrderId, u64>,
}

fn next<T>(reader: &mut Reader, pick: impl Fn(&Record) -> Option<T>) -> Result<Option<T>, JournalError> {
    for item in reader.by_ref() {
        if let Entry::Record(record) = &item?.entry
            && let Some(found) = pick(record)
        {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn requests_of(
    reader: Reader,
    report: &mut Report,
) -> Result<(Requests, BTreeMap<ClientOrderId, u64>), JournalError> {
    let (mut requests, mut withheld) = (Requests::new(), BTreeMap::new());
    for item in reader {
        match item?.entry {
            Entry::Record(Record::Sent(sent)) => match sent.kind {
                SentKind::Place | SentKind::Cancel | SentKind::Replace => {
                    requests.entry((sent.kind as u8, sent.client)).or_default().push(sent);
                }
                SentKind::CancelAll | SentKind::Query => report.own_requests += 1,
            },
            Entry::Record(Record::Note(note)) if note.kind == NoteKind::Withheld => {
                *withheld.entry(note.client).or_insert(0) += 1;
            }
            _ => {}
        }
    }
    Ok((requests, withheld))
}

/// Replays a session: its id, a unique beginning of it, or `last`.
pub fn replay(dir: &Path, wanted: &str) -> Result<Report, ReplayError> {
    let (summary, facts) = read_session(dir, wanted)?;
    let header = summary.header;
    let open = || read_session(dir, &header.session).map(|(_, reader)| reader);
    let mut report = Report { session: header.session.clone(), ..Report::default() };
    let (requests, withheld) = requests_of(open()?, &mut report)?;
    let recorded = Recorded { intents: open()?, decisions: open()?, requests, withheld };
    let mut stages = Stages::new(&header, recorded)?;
    for item in facts {
        let Entry::Record(Record::Fact(fact)) = item?.entry else { continue };
        report.facts += 1;
        stages.risk.on_fact(&fact);
        let mut raised = Vec::new();
        stages.signal.on_fact(&fact, &mut |intent| {
            raised.push(*intent);
            true
        });
        for intent in &raised {
            if let Some(what) = stages.judge(intent, &mut report)? {
                report.difference = Some(Difference { fact_seq: fact.seq, what });
                return Ok(report);
            }
        }
    }
    // Whatever was recorded and not reproduced is a difference too.
    let left = next(&mut stages.recorded.intents, |r| matches!(r, Record::Intent(_)).then_some(()))?;
    if left.is_some() {
        let what = "the record holds an intent that the replay did not raise".to_owned();
        report.difference = Some(Difference { fact_seq: report.facts, what });
    }
    report.digest = stages.digest.finalize().to_hex().to_string();
    Ok(report)
}

struct Stages {
    signal: Signal,
    risk: Risk,
    comparer: Comparer,
    /// The first approved order of which no request and no note is recorded: right only if nothing was sent after it.
    untraced: Option<ClientOrderId>,
    recorded: Recorded,
    digest: blake3::Hasher,
    buffer: Vec<u8>,
}

impl Stages {
    fn new(header: &SessionHeader, recorded: Recorded) -> Result<Self, ReplayError> {
        let wrong = |what: String| ReplayError::Header { session: header.session.clone(), what };
        let plan: Plan =
            toml::from_str(&header.config).map_err(|e| wrong(format!("its configuration: {e}")))?;
        let table = header.table().map_err(|e| wrong(format!("its instruments: {e}")))?;
        let (running, _) = strategies_of(&plan, &table).map_err(|e| wrong(e.to_string()))?;
        let allowed: Option<Vec<String>> = match header.notes.get(ALLOWED_NOTE) {
            None => None,
            Some(note) => {
                Some(serde_json::from_value(note.clone()).map_err(|e| wrong(format!("its allowlist: {e}")))?)
            }
        };
        let allowed = allowed_of(&table, allowed.as_deref());
        let session = replay_session(&plan, &table)
            .ok_or_else(|| wrong("no key could be made to encode its requests with".to_owned()))?;
        let mut signal = Signal::new(header.boot_epoch, &table, running)
            .map_err(|e| wrong(e.to_string()))?
            .with_layers(&plan.limits().layers);
        manage_exits(&plan, &mut signal);
        Ok(Self {
            signal,
            risk: Risk::new(&plan.limits(), &table, &allowed).map_err(|e| wrong(e.to_string()))?,
            comparer: Comparer::new(session),
            untraced: None,
            recorded,
            digest: blake3::Hasher::new(),
            buffer: Vec::new(),
        })
    }

    /// Judges one intent as the stages do; `Some` tells how it differs from the record.
    fn judge(&mut self, intent: &Intent, report: &mut Report) -> Result<Option<String>, JournalError> {
        self.absorb(&Record::Intent(*intent));
        let was = next(&mut self.recorded.intents, |r| match r {
            Record::Intent(i) => Some(*i),
            _ => None,
        })?;
        let Some(was) = was else {
            report.beyond_the_end += 1;
            return Ok(None);
        };
        if was != *intent {
            return Ok(Some(format!("recorded intent {was:?}, replayed {intent:?}")));
        }
        report.intents += 1;
        let was = next(&mut self.recorded.decisions, |r| match r {
            Record::Decision(d) => Some(*d),
            _ => None,
        })?;
        let Some(was) = was else {
            report.beyond_the_end += 1;
            return Ok(None);
        };
        let halt =
            HaltView { level: HaltLevel::from_u8(was.halt_level), epoch: 0, lease_valid: was.lease_valid };
        let mut now: Option<Decision> = None;
        let verdict = self.risk.decide(intent, halt, &mut |decision| {
            now = Some(*decision);
            true
        });
        let Some(now) = now else { return Ok(Some("risk made no decision".to_owned())) };
        self.absorb(&Record::Decision(now));
        if now != was {
            return Ok(Some(format!("recorded decision {was:?}, replayed {now:?}")));
        }
        report.decisions += 1;
        Ok(match verdict {
            Ok(approved) => self.encode_again(approved.get(), report),
            Err(_) => None,
        })
    }

    /// Encodes an approved order again and looks for it among the recorded requests.
    fn encode_again(&mut self, order: &Order, report: &mut Report) -> Option<String> {
        let (kind, subject) = match order.action {
            Action::Place(_) => (SentKind::Place, order.client),
            Action::Replace { .. } => (SentKind::Replace, order.client),
            Action::Cancel { target } => (SentKind::Cancel, target),
            Action::CancelAll => return None,
        };
        for sent in self.recorded.requests.get(&(kind as u8, subject)).into_iter().flatten() {
            match self.comparer.compare(&Request::Order(*order), sent) {
                Ok(()) => {
                    report.requests += 1;
                    // The gateway takes orders in their order: one that left before this one without a trace is a hole.
                    return self
                        .untraced
                        .map(|client| format!("approved order {client} was neither sent nor withheld"));
                }
                // An order may be asked to be cancelled several times: any of those requests may be the one.
                Err(_) if kind == SentKind::Cancel => {}
                Err(difference) => return Some(format!("order {}: {difference}", order.client)),
            }
        }
        if let Some(times) = self.recorded.withheld.get_mut(&subject).filter(|n| **n > 0) {
            *times -= 1;
            report.withheld += 1;
            return None;
        }
        // Approved, and then the engine ended before the gateway took it: only possible at the very end.
        report.beyond_the_end += 1;
        self.untraced.get_or_insert(order.client);
        None
    }

    fn absorb(&mut self, record: &Record) {
        self.buffer.clear();
        encode_record(record, &mut self.buffer);
        self.digest.update(&self.buffer);
    }
}

/// An order session that only encodes, with keys that exist nowhere else: what depends on a key is not in the record.
fn replay_session(plan: &Plan, table: &InstrumentTable) -> Option<OrderSession> {
    // Paper encodes as a logged-on session, whatever the configuration says.
    let credentials = if plan.mode != Mode::Paper && plan.venue.signing == Signing::Hmac {
        let name = SecretString::from("replay".to_owned());
        Credentials::hmac(name.clone(), &name).ok()?
    } else {
        throwaway_credentials()?
    };
    Some(OrderSession::for_replay(table, credentials, order_config(plan)))
}
