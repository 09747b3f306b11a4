//! The gates before a real venue (R-GATE-1 to R-GATE-9): one table, each gate with its evidence and its remedy.
//!
//! What opens the live door is a [`Cleared`], and the only maker of one is [`pass`]: it judges a [`Case`] that was gathered from
//! the data directory, the configuration, the environment and the command line, finds every gate of the table open, and uses up
//! the confirm token and the arming, durably, before it says so. One gate missing and there is no `Cleared`; there is no
//! flag, no mode and no file that stands for one.
//!
//! What it refuses: a gate that can't be evaluated (it counts as closed), a second start on one token or one arming, an
//! approval by who proposed, a statement whose signature, configuration or time is another.

mod books;
mod case;
mod config;
mod drills;
mod keys;
mod render;
mod statement;
mod table;
#[cfg(test)]
mod tests;
mod token;
mod transition;

use serde_json::{Value, json};

pub use books::Books;
pub use case::{Bound, Bounded, Case, Sources, Variables, allowlist, plain_symbol};
pub use config::{
    EnforcementSection, EnvironmentName, EnvironmentSection, GatesSection, Signer, Signers, TOKEN_REFERENCE,
    check,
};
pub use keys::{PersonalKey, PublicKey};
pub use statement::{Demand, Draft, Kind, Role, Statement};
pub use table::{Finding, GATES, Gate, OPERATOR_CONFIRMATION};
pub use token::{TokenRecord, hash_kept as token_hash, make as make_token};
pub use transition::{Step, Transition, read as read_transition, record as record_transition};

use super::events::{Event, Level};
use super::files;
use super::lock::InstanceLock;

/// The words that an operator types.
pub const PHRASE: &str = "I UNDERSTAND";

/// What one gate found.
#[derive(Clone, Debug)]
pub struct Line {
    /// Which.
    pub gate: &'static Gate,
    /// What it found.
    pub finding: Finding,
}

/// What all gates found.
#[derive(Clone, Debug)]
pub struct Assessment {
    /// In the table's order, every gate once.
    pub lines: Vec<Line>,
    /// The configuration that was judged.
    pub config_hash: String,
}

/// Asks every gate. Changes nothing.
pub fn assess(case: &Case) -> Assessment {
    let lines = GATES.iter().map(|gate| Line { gate, finding: (gate.check)(case) }).collect();
    Assessment { lines, config_hash: case.config_hash().to_owned() }
}

impl Assessment {
    /// The gates that are closed.
    pub fn missing(&self) -> impl Iterator<Item = &Line> {
        self.lines.iter().filter(|line| line.finding.is_err())
    }

    /// What the gate of a name found.
    pub fn finding(&self, gate: &str) -> Option<&Finding> {
        self.lines.iter().find(|line| line.gate.name == gate).map(|line| &line.finding)
    }

    /// Whether every gate is open.
    pub fn is_clear(&self) -> bool {
        self.lines.len() == GATES.len() && self.missing().next().is_none()
    }

    /// Whether nothing but the operator's own words is missing.
    pub fn awaits_confirmation_only(&self) -> bool {
        self.missing().all(|line| line.gate.name == OPERATOR_CONFIRMATION)
    }

    /// The gates with their evidence, as one JSON value: what goes into a session's header.
    pub fn to_json(&self) -> Value {
        let rows: Vec<_> = self
            .lines
            .iter()
            .map(|line| {
                let (holds, text) = match &line.finding {
                    Ok(text) => (true, text),
                    Err(text) => (false, text),
                };
                let remedy = if holds { "" } else { line.gate.remedy };
                json!({
                    "gate": line.gate.name, "requirement": line.gate.requirement, "holds": holds,
                    "evidence": text, "remedy": remedy,
                })
            })
            .collect();
        json!({ "config_hash": self.config_hash, "clear": self.is_clear(), "gates": rows })
    }

    /// `LIVE_ARM_FAILED`, with what is missing.
    pub fn event(&self, at_ns: i64) -> Event {
        let missing: Vec<_> = self
            .missing()
            .map(|line| json!({ "gate": line.gate.name, "found": line.finding.as_ref().err() }))
            .collect();
        Event::new(at_ns, Level::Error, "LIVE_ARM_FAILED")
            .with("config_hash", self.config_hash.clone())
            .with("missing", missing)
    }
}

/// Why there is no [`Cleared`].
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Gates are closed.
    #[error("LIVE_ARM_FAILED: {}", closed(.0))]
    Closed(Box<Assessment>),
    /// Every gate was open, but token or arming could not be used up, so that they might have been used twice.
    #[error("LIVE_ARM_FAILED: {0}; nothing was started")]
    NotRecorded(String),
}

fn closed(assessment: &Assessment) -> String {
    let all: Vec<_> = assessment.missing().map(|line| line.gate.name).collect();
    format!("{} of {} gates are closed: {}", all.len(), assessment.lines.len(), all.join(", "))
}

/// The proof that every gate was open for one session. Its fields are private and [`pass`] is its only maker.
#[derive(Debug)]
pub struct Cleared {
    assessment: Assessment,
    armed_by: String,
    symbols: Vec<String>,
    transition: Transition,
    books: Books,
    papers: Value,
}

/// Judges a case and, if every gate is open, uses up token and arming. The lock shows that no other engine of this data
/// directory does the same at this moment.
pub fn pass(case: &Case, _lock: &InstanceLock) -> Result<Cleared, Refused> {
    let assessment = assess(case);
    if !assessment.is_clear() {
        return Err(Refused::Closed(Box::new(assessment)));
    }
    let books = Books::new(&case.sources.paths);
    // All of them are there, or their gates would be closed; asked again, because nothing may be assumed here.
    let (Ok(record), Ok(arming), Ok(transition)) = (&case.token_record, &case.arming, &case.transition)
    else {
        return Err(Refused::Closed(Box::new(assessment)));
    };
    let papers = case.papers();
    token::use_up(&books, record, case.sources.now_ns).map_err(Refused::NotRecorded)?;
    let path = books.arming();
    files::remove(&path).map_err(|error| Refused::NotRecorded(format!("{}: {error}", path.display())))?;
    Ok(Cleared {
        assessment,
        armed_by: arming.name.clone(),
        symbols: case.allowlist(),
        transition: transition.clone(),
        books,
        papers,
    })
}

impl Cleared {
    /// The configuration that was cleared, and no other.
    pub fn config_hash(&self) -> &str {
        &self.assessment.config_hash
    }
    /// Who armed.
    pub fn armed_by(&self) -> &str {
        &self.armed_by
    }
    /// What may be traded.
    pub fn symbols(&self) -> &[String] {
        &self.symbols
    }
    /// Every gate with its evidence, for the session's header.
    pub const fn assessment(&self) -> &Assessment {
        &self.assessment
    }
    /// For the session's header: every gate with its evidence, and the papers themselves (sign-offs, arming, token's hash,
    /// transition record, readiness), whose files are replaced and used up, while the journal's chain keeps them.
    pub fn record(&self) -> Value {
        let mut record = self.assessment.to_json();
        record["papers"] = self.papers.clone();
        record
    }
    /// `LIVE_CLEARED`: who armed what.
    pub fn event(&self, at_ns: i64, session: &str) -> Event {
        Event::new(at_ns, Level::Warn, "LIVE_CLEARED")
            .with("session", session)
            .with("config_hash", self.config_hash())
            .with("armed_by", self.armed_by())
            .with("symbols", self.symbols.clone())
            .with("gates", self.assessment.lines.len())
    }
    /// Enters the session into the transition record, if it is the first one.
    pub fn enter_session(&self, session: &str) -> Result<(), String> {
        transition::enter_session(&self.books, &self.transition, session)
    }
}
