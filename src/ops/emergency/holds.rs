//! Holds: modes that may not be started until a named person says so.
//!
//! One file for each, in `data/holds/`; its presence holds, its content says what and why. Clearing one renames it, so that
//! the record stays. A file that can't be read holds back everything but shadow, and a folder that can't be read does too:
//! what is asked here is "does anything forbid it?".
//!
//! Rollback levels (seed 003, R-GOV-3), and what each still permits:
//!
//! | level | what | permits |
//! |---|---|---|
//! | 1 | phase: a gate's criteria are not met; what comes next is put off | every mode; progress stands still |
//! | 2 | layer: a part is not to be relied on | everything but `live` |
//! | 3 | mode: back to shadow | `shadow` |
//! | 4 | emergency halt: a running engine is tripped, and back to shadow | `shadow` |

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ops::events::rfc3339;
use crate::ops::files::{self, Durability};
use crate::ops::paths::Paths;

/// Ending of the file of a hold that was lifted.
const CLEARED: &str = "cleared";
/// Modes that reach an account at a venue.
pub const ACCOUNT_MODES: [&str; 2] = ["testnet", "live"];

/// What holds back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A rollback; the level says how far.
    Rollback,
    /// After an emergency stop the engine goes into paper first (R-KILL-5). A paper session that held lifts it.
    PaperFirst,
}

/// Who lifted a hold, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cleared {
    /// Who.
    pub by: String,
    /// What was wrong and is not any more.
    pub cause: String,
    /// When, RFC 3339.
    pub at: String,
}

/// One hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// Version of this object.
    pub v: u32,
    /// Its name: that of its file.
    pub id: String,
    /// What holds back.
    pub kind: Kind,
    /// Rollback level, 1 to 4.
    pub level: u8,
    /// Why: the name of a trigger, or `OPERATOR`.
    pub reason: String,
    /// Why, with figures or in the words of who asked.
    pub detail: String,
    /// Who: a person, or `engine`.
    pub by: String,
    /// In which mode it came about; empty if no engine ran.
    pub mode: String,
    /// When, RFC 3339.
    pub at: String,
    /// The incident that belongs to it; empty for none.
    #[serde(default)]
    pub incident: String,
    /// Who lifted it; absent while it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleared: Option<Cleared>,
}

impl Hold {
    /// Whether a mode may be started under it. An unknown mode may not.
    pub fn permits(&self, mode: &str) -> bool {
        let permitted: &[&str] = match (self.kind, self.level) {
            (Kind::PaperFirst, _) => &["shadow", "paper"],
            (Kind::Rollback, 1) => return true,
            (Kind::Rollback, 2) => &["shadow", "paper", "testnet", "demo", "backtest"],
            (Kind::Rollback, _) => &["shadow"],
        };
        permitted.contains(&mode)
    }

    /// In a sentence.
    pub fn describe(&self) -> String {
        match self.kind {
            Kind::Rollback => format!(
                "rollback level {} since {} by {} ({}: {})",
                self.level, self.at, self.by, self.reason, self.detail
            ),
            Kind::PaperFirst => {
                format!("emergency stop at {} ({}): into paper first", self.at, self.detail)
            }
        }
    }
}

/// Where they are.
pub fn folder(paths: &Paths) -> PathBuf {
    paths.data.join("holds")
}

/// Makes a hold, durably. It is in force when this returns.
pub fn make(paths: &Paths, mut hold: Hold) -> io::Result<Hold> {
    let folder = folder(paths);
    fs::create_dir_all(&folder)?;
    files::sync_folder(&folder)?;
    if hold.id.is_empty() {
        let what = match hold.kind {
            Kind::Rollback => format!("rollback-{}", hold.level),
            Kind::PaperFirst => "paper-first".to_owned(),
        };
        let digits: String = hold.at.chars().filter(char::is_ascii_digit).take(20).collect();
        hold.id = format!("{what}-{digits}");
    }
    let text = serde_json::to_string_pretty(&hold)?;
    files::replace(&folder.join(format!("{}.json", hold.id)), text.as_bytes(), Durability::Synced)?;
    Ok(hold)
}

/// The holds, oldest first: those in force, and those that were lifted. A file that can't be read is a hold at level 3.
pub fn all(paths: &Paths) -> io::Result<Vec<Hold>> {
    let entries = match fs::read_dir(folder(paths)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry?.path();
        // What a crash left of a write is beside, under another ending.
        if path.extension().is_some_and(|e| e == "new") {
            continue;
        }
        found.push(read(&path));
    }
    found.sort_by(|a, b| a.at.cmp(&b.at).then_with(|| a.id.cmp(&b.id)));
    Ok(found)
}

fn read(path: &Path) -> Hold {
    let lifted = path.extension().is_some_and(|e| e == CLEARED);
    let sound = fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<Hold>(&bytes).ok());
    let sound = sound.filter(|hold| hold.cleared.is_some() == lifted);
    sound.unwrap_or_else(|| Hold {
        v: 1,
        id: path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        kind: Kind::Rollback,
        level: 3,
        reason: "UNREADABLE".to_owned(),
        detail: format!("{} can't be read as a hold", path.display()),
        by: String::new(),
        mode: String::new(),
        at: String::new(),
        incident: String::new(),
        cleared: None,
    })
}

/// Those that are in force.
pub fn in_force(paths: &Paths) -> io::Result<Vec<Hold>> {
    Ok(all(paths)?.into_iter().filter(|hold| hold.cleared.is_none()).collect())
}

/// Whether a mode may be started. The error says what forbids it and what to do.
pub fn check(paths: &Paths, mode: &str) -> Result<(), String> {
    let holds = in_force(paths).map_err(|error| {
        format!("{}: {error}: what can't be read holds back; see to it first", folder(paths).display())
    })?;
    let against: Vec<_> = holds.iter().filter(|hold| !hold.permits(mode)).collect();
    let Some(first) = against.first() else { return Ok(()) };
    let all = against.iter().map(|h| h.describe()).collect::<Vec<_>>().join("; ");
    let remedy = match first.kind {
        Kind::Rollback => format!(
            "start shadow, or have a named person lift it: interlock rollback clear {} --by WHO --cause \"...\"",
            first.id
        ),
        Kind::PaperFirst => "run paper until it has held, which lifts it".to_owned(),
    };
    Err(format!("mode {mode} is held back: {all}; {remedy}"))
}

/// Why a hold was not lifted.
#[derive(Debug, thiserror::Error)]
pub enum ClearError {
    /// No such hold is in force.
    #[error("no hold {0:?} is in force; `interlock rollback show` lists them")]
    Unknown(String),
    /// A cause and a name are needed.
    #[error("lifting a hold needs a cause (what was wrong and is not any more) and a name")]
    Nameless,
    /// Who set it can't lift it (R-GOV-2).
    #[error("{0} set this hold and can't lift it: somebody else must")]
    SamePerson(String),
    /// Only a paper session lifts it.
    #[error("a paper session lifts this hold, no person does: run paper until it has held")]
    PaperOnly,
    /// The disk.
    #[error("holds: {0}")]
    Io(#[from] io::Error),
}

/// Lifts a hold, durably: a named person, another than who set it.
pub fn clear(paths: &Paths, id: &str, by: &str, cause: &str, now_ns: i64) -> Result<Hold, ClearError> {
    if by.trim().is_empty() || cause.trim().is_empty() {
        return Err(ClearError::Nameless);
    }
    let hold = find(paths, id)?;
    if hold.kind == Kind::PaperFirst {
        return Err(ClearError::PaperOnly);
    }
    if hold.by.trim().eq_ignore_ascii_case(by.trim()) {
        return Err(ClearError::SamePerson(hold.by));
    }
    if hold.level >= 4 {
        // After an emergency halt: into paper first. Before the lifting, so that a crash in between lets nothing through.
        let first = Hold {
            id: String::new(),
            kind: Kind::PaperFirst,
            reason: hold.reason.clone(),
            detail: format!("{} lifted by {by}", hold.id),
            by: "engine".to_owned(),
            at: rfc3339(now_ns),
            ..hold.clone()
        };
        make(paths, first)?;
    }
    lift(paths, hold, by, cause, now_ns)
}

/// A paper session held: lifts what waited for it. How many.
pub fn paper_has_held(paths: &Paths, session: &str, now_ns: i64) -> Result<usize, ClearError> {
    let waiting = in_force(paths)?.into_iter().filter(|hold| hold.kind == Kind::PaperFirst);
    let mut lifted = 0;
    for hold in waiting {
        lift(paths, hold, "engine", &format!("paper held: {session}"), now_ns)?;
        lifted += 1;
    }
    Ok(lifted)
}

fn find(paths: &Paths, id: &str) -> Result<Hold, ClearError> {
    let found = in_force(paths)?.into_iter().find(|hold| hold.id == id);
    found.ok_or_else(|| ClearError::Unknown(id.to_owned()))
}

fn lift(paths: &Paths, mut hold: Hold, by: &str, cause: &str, now_ns: i64) -> Result<Hold, ClearError> {
    hold.cleared = Some(Cleared { by: by.to_owned(), cause: cause.to_owned(), at: rfc3339(now_ns) });
    let path = folder(paths).join(format!("{}.json", hold.id));
    let text = serde_json::to_string_pretty(&hold).map_err(io::Error::from)?;
    // The record first: if it can't be kept, the hold stays.
    files::replace(&path.with_extension(CLEARED), text.as_bytes(), Durability::Synced)?;
    files::remove(&path)?;
    Ok(hold)
}
