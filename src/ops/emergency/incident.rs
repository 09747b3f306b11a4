//! Incidents (R-KILL-7, R-GOV-3): one JSON file each in `data/incidents/`, written from what the engine recorded.
//!
//! A trip opens one (drills don't); a further trip while it is open is one more action of the same incident, so that a night of
//! trips is one story. Levels: 1 critical (the kill switch was tripped), 2 major (a limit was broken), 3 minor (something
//! unexpected). The post-mortem is due 24 hours after the opening; an incident can't be closed without it.

use std::fs;
use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::ops::events::rfc3339;
use crate::ops::files::{self, Durability};
use crate::ops::paths::Paths;
use crate::ops::status::Status;
use crate::ops::watch::{BalanceLine, InstrumentLine, OrderLine, Snapshot};
use crate::types::time::NS_PER_MIN;
use crate::types::{Cash, Reason};

/// Event lines that an incident takes along.
const EVENTS_KEPT: usize = 50;
/// Bytes of the event log that are looked through for them.
const TAIL_BYTES: u64 = 64 * 1024;

/// Something that was done, or happened, with its time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionLine {
    /// When, RFC 3339.
    pub at: String,
    /// Who: a person, or `engine`.
    pub by: String,
    /// What.
    pub what: String,
}

/// Why it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cause {
    /// A reason code by name, or `OPERATOR`.
    pub reason: String,
    /// With figures, or in the words of who opened it.
    pub text: String,
}

/// Profit and loss in the quote currency, over all instruments, as far as the engine's record goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pnl {
    /// Realised, before fees.
    pub realised: Cash,
    /// At the middle of the book; instruments without a quote are left out.
    pub unrealised: Cash,
    /// Instruments without a quote, which `unrealised` lacks.
    pub without_quote: u64,
    /// Fees.
    pub fees: Cash,
    /// Realised and unrealised less fees; absent if a figure left its range.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub net: Option<Cash>,
}

impl Pnl {
    /// Of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let sum = |figure: &dyn Fn(&InstrumentLine) -> Cash| {
            snapshot.instruments.iter().try_fold(Cash::ZERO, |sum, line| sum.checked_add(figure(line)))
        };
        let (realised, fees) = (sum(&|l| l.realised), sum(&|l| l.fees));
        let unrealised = sum(&|l| l.unrealised.unwrap_or(Cash::ZERO));
        let net = realised.zip(unrealised).zip(fees);
        let held = |l: &&InstrumentLine| l.unrealised.is_none() && !l.position.is_zero();
        Self {
            realised: realised.unwrap_or(Cash::ZERO),
            unrealised: unrealised.unwrap_or(Cash::ZERO),
            without_quote: snapshot.instruments.iter().filter(held).count() as u64,
            fees: fees.unwrap_or(Cash::ZERO),
            net: net.and_then(|((r, u), f)| r.checked_add(u)?.checked_sub(f)),
        }
    }
}

/// The post-mortem: when it is due, and who wrote what.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PostMortem {
    /// When it is due, RFC 3339.
    pub due_at: String,
    /// When it was written; empty while it is owed.
    #[serde(default)]
    pub done_at: String,
    /// By whom.
    #[serde(default)]
    pub by: String,
    /// What it says.
    #[serde(default)]
    pub text: String,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Closed {
    /// When, RFC 3339.
    pub at: String,
    /// By whom.
    pub by: String,
    /// What was found to be the root of it.
    pub root_cause: String,
}

/// One incident: the documented object of `interlock incident show -o json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Incident {
    /// Version of this object.
    pub v: u32,
    /// Its name: that of its file.
    pub id: String,
    /// 1 critical, 2 major, 3 minor.
    pub level: u8,
    /// When it was opened, RFC 3339.
    pub opened_at: String,
    /// By whom: a person, or `engine`.
    pub opened_by: String,
    /// Why.
    pub cause: Cause,
    /// Mode of the engine; empty if none ran.
    pub mode: String,
    /// Boot of the engine; empty if none ran.
    pub boot_id: String,
    /// Halt level by name at the opening; empty if unknown.
    pub halt_level: String,
    /// What was done and happened.
    pub actions: Vec<ActionLine>,
    /// Profit and loss at the opening.
    pub pnl: Pnl,
    /// Positions at the opening.
    pub positions: Vec<InstrumentLine>,
    /// Orders that may have been open at the opening.
    pub open_orders: Vec<OrderLine>,
    /// Balances at the opening.
    pub balances: Vec<BalanceLine>,
    /// Total exposure at the opening.
    pub exposure: Cash,
    /// Number of the last journal record in these figures: the place in the journal where they can be recomputed.
    pub journal_seq: u64,
    /// The last lines of the event log before it.
    pub events: Vec<Value>,
    /// The post-mortem.
    pub post_mortem: PostMortem,
    /// How it ended; absent while it is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<Closed>,
}

/// What is known when one is opened.
#[derive(Clone, Debug, Default)]
pub struct Opening {
    /// 1 to 3.
    pub level: u8,
    /// By whom.
    pub by: String,
    /// Why.
    pub cause: Cause,
    /// Mode, boot and halt level of the engine, if one runs.
    pub mode: String,
    /// See [`Incident::boot_id`].
    pub boot_id: String,
    /// See [`Incident::halt_level`].
    pub halt_level: String,
    /// What the engine sees; the default if none runs.
    pub snapshot: Snapshot,
    /// When.
    pub at_ns: i64,
    /// How long the post-mortem may take.
    pub post_mortem_ns: i64,
}

impl Opening {
    /// With what a running engine says of itself.
    pub fn with_status(mut self, status: Status) -> Self {
        self.mode = status.mode;
        self.boot_id = status.boot_id;
        self.halt_level = status.kill.level;
        self.snapshot = status.view;
        self
    }
}

/// The level of an incident that a trip opens: limits are major, everything else that trips is critical.
pub fn level_of(reason: Reason) -> u8 {
    const LIMITS: &[Reason] = &[
        Reason::OrderValue,
        Reason::OrderQty,
        Reason::TotalExposure,
        Reason::OpenPositions,
        Reason::MessageThrottle,
        Reason::OpenOrders,
    ];
    if LIMITS.contains(&reason) { 2 } else { 1 }
}

impl Incident {
    /// Whether it is open.
    pub const fn is_open(&self) -> bool {
        self.closed.is_none()
    }

    /// Whether its post-mortem is owed and late.
    pub fn is_overdue(&self, now_ns: i64) -> bool {
        // RFC 3339 of one length in one zone: the order of the texts is that of the times.
        self.post_mortem.done_at.is_empty() && self.post_mortem.due_at.as_str() < rfc3339(now_ns).as_str()
    }

    /// Notes something that was done.
    pub fn act(&mut self, at_ns: i64, by: &str, what: impl Into<String>) {
        self.actions.push(ActionLine { at: rfc3339(at_ns), by: by.to_owned(), what: what.into() });
    }
}

/// Where they are.
pub fn folder(paths: &Paths) -> PathBuf {
    paths.data.join("incidents")
}

/// Why something was not done with an incident.
#[derive(Debug, thiserror::Error)]
pub enum IncidentError {
    /// No such incident.
    #[error("no incident {0:?}; `interlock incident show` lists them")]
    Unknown(String),
    /// It is closed already.
    #[error("{0} is closed already")]
    Closed(String),
    /// Not one of 1, 2, 3.
    #[error("level {0} is none: 1 critical, 2 major, 3 minor")]
    Level(u8),
    /// Something that must be said is not.
    #[error("{0} may not be empty")]
    Empty(&'static str),
    /// A file that can't be read as one.
    #[error("{}: not an incident: {why}", path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The disk.
    #[error("incidents: {0}")]
    Io(#[from] io::Error),
}

/// Opens one, durably.
pub fn open(paths: &Paths, opening: Opening) -> Result<Incident, IncidentError> {
    if !(1..=3).contains(&opening.level) {
        return Err(IncidentError::Level(opening.level));
    }
    if opening.by.trim().is_empty() {
        return Err(IncidentError::Empty("the name of who opens it"));
    }
    if opening.cause.text.trim().is_empty() && opening.cause.reason.trim().is_empty() {
        return Err(IncidentError::Empty("the cause"));
    }
    let opened_at = rfc3339(opening.at_ns);
    let digits: String = opened_at.chars().filter(char::is_ascii_digit).collect();
    let view = opening.snapshot;
    let mut incident = Incident {
        v: 1,
        id: format!("inc-{digits}"),
        level: opening.level,
        opened_by: opening.by.clone(),
        cause: opening.cause,
        mode: opening.mode,
        boot_id: opening.boot_id,
        halt_level: opening.halt_level,
        actions: Vec::new(),
        pnl: Pnl::of(&view),
        positions: view.instruments,
        open_orders: view.orders,
        balances: view.balances,
        exposure: view.exposure,
        journal_seq: view.journal_seq,
        events: last_events(paths),
        post_mortem: PostMortem {
            due_at: rfc3339(opening.at_ns.saturating_add(opening.post_mortem_ns)),
            ..PostMortem::default()
        },
        opened_at,
        closed: None,
    };
    incident.act(opening.at_ns, &opening.by, "opened");
    fs::create_dir_all(folder(paths))?;
    save(paths, &incident)?;
    Ok(incident)
}

/// Writes one, durably.
pub fn save(paths: &Paths, incident: &Incident) -> Result<(), IncidentError> {
    let text = serde_json::to_string_pretty(incident).map_err(io::Error::from)?;
    let path = folder(paths).join(format!("{}.json", incident.id));
    Ok(files::replace(&path, text.as_bytes(), Durability::Synced)?)
}

/// One by its name.
pub fn load(paths: &Paths, id: &str) -> Result<Incident, IncidentError> {
    let unknown = || IncidentError::Unknown(id.to_owned());
    // A name, not a path.
    if id.is_empty() || id.contains(['/', '\\']) || id.starts_with('.') {
        return Err(unknown());
    }
    let path = folder(paths).join(format!("{id}.json"));
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(unknown()),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&bytes).map_err(|e| IncidentError::Unreadable { path, why: e.to_string() })
}

/// All, oldest first.
pub fn all(paths: &Paths) -> Result<Vec<Incident>, IncidentError> {
    let entries = match fs::read_dir(folder(paths)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "json")
            && let Some(id) = path.file_stem().and_then(|s| s.to_str())
        {
            found.push(load(paths, id)?);
        }
    }
    found.sort_by(|a, b| a.opened_at.cmp(&b.opened_at));
    Ok(found)
}

/// The open one that was opened last.
pub fn current(paths: &Paths) -> Result<Option<Incident>, IncidentError> {
    Ok(all(paths)?.into_iter().rev().find(Incident::is_open))
}

/// Those whose post-mortem is owed and late. For readiness.
pub fn overdue(paths: &Paths, now_ns: i64) -> Result<Vec<Incident>, IncidentError> {
    Ok(all(paths)?.into_iter().filter(|incident| incident.is_overdue(now_ns)).collect())
}

/// Closes one, with its root cause and its post-mortem.
pub fn close(
    paths: &Paths,
    id: &str,
    by: &str,
    (root_cause, post_mortem): (&str, &str),
    now_ns: i64,
) -> Result<Incident, IncidentError> {
    let said =
        [(by, "the name of who closes it"), (root_cause, "the root cause"), (post_mortem, "the post-mortem")];
    if let Some((_, what)) = said.iter().find(|(text, _)| text.trim().is_empty()) {
        return Err(IncidentError::Empty(what));
    }
    let mut incident = load(paths, id)?;
    if !incident.is_open() {
        return Err(IncidentError::Closed(incident.id));
    }
    let at = rfc3339(now_ns);
    incident.act(now_ns, by, "closed");
    incident.post_mortem.done_at.clone_from(&at);
    by.clone_into(&mut incident.post_mortem.by);
    post_mortem.clone_into(&mut incident.post_mortem.text);
    incident.closed = Some(Closed { at, by: by.to_owned(), root_cause: root_cause.to_owned() });
    save(paths, &incident)?;
    Ok(incident)
}

/// The last lines of the event log, as they are. Best effort: the journal is the record.
fn last_events(paths: &Paths) -> Vec<Value> {
    use std::os::unix::fs::FileExt;
    let read = || -> io::Result<Vec<u8>> {
        let file = fs::File::open(paths.events())?;
        let length = file.metadata()?.len();
        let from = length.saturating_sub(TAIL_BYTES);
        let mut bytes = vec![0; usize::try_from(length - from).unwrap_or(0)];
        file.read_exact_at(&mut bytes, from)?;
        Ok(bytes)
    };
    let text = String::from_utf8_lossy(&read().unwrap_or_default()).into_owned();
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    lines[lines.len().saturating_sub(EVENTS_KEPT)..].to_vec()
}

/// How long a post-mortem may take, in nanoseconds, from hours.
pub fn hours(hours: u64) -> i64 {
    i64::try_from(hours).unwrap_or(i64::MAX).saturating_mul(60).saturating_mul(NS_PER_MIN)
}
