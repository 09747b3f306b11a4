//! The transition record (R-GATE-8): who takes the step to live, from which commit, with the configuration backed up beforehand.
//! The first live session is entered when it starts.

use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::books::Books;
use crate::ops::events::rfc3339;

/// Longest configuration file that is backed up.
const BACKUP_BYTES_MAX: u64 = 1 << 20;

/// A file of the backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackedUp {
    /// Name in the backup.
    pub name: String,
    /// Where it was.
    pub from: PathBuf,
    /// BLAKE3 of its content, hexadecimal.
    pub hash: String,
}

/// The record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transition {
    /// Version of this object.
    pub v: u32,
    /// When, RFC 3339.
    pub date: String,
    /// By whom.
    pub executed_by: String,
    /// The commit that is the baseline.
    pub baseline_commit: String,
    /// Build of the program that made the record.
    pub build_id: String,
    /// The configuration that goes live.
    pub config_hash: String,
    /// The backup's folder, below the gates' own.
    pub backup: String,
    /// What is in it.
    pub files: Vec<BackedUp>,
    /// The first live session, once there is one.
    pub initial_session: Option<String>,
}

/// What a record is made of.
#[derive(Clone, Debug)]
pub struct Step<'a> {
    /// By whom.
    pub executed_by: &'a str,
    /// The baseline.
    pub baseline_commit: &'a str,
    /// This program's build.
    pub build_id: &'a str,
    /// The configuration.
    pub config_hash: &'a str,
    /// Its files.
    pub files: &'a [PathBuf],
    /// The effective configuration, as text.
    pub effective: &'a str,
    /// When.
    pub now_ns: i64,
}

/// Backs the configuration up and writes the record.
pub fn record(books: &Books, step: &Step<'_>) -> Result<Transition, String> {
    if step.executed_by.trim().is_empty() {
        return Err("--by is empty: the record names who takes the step".to_owned());
    }
    let commit = step.baseline_commit.trim();
    if commit.len() < 7 || commit.len() > 64 || !commit.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(format!("--commit {commit:?} is not a commit; give the output of `git rev-parse HEAD`"));
    }
    books.make()?;
    let backup_name = format!("config-backup-{}", step.now_ns);
    let backup = books.folder().join(&backup_name);
    let io = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    fs::create_dir(&backup).map_err(|error| io(&backup, error))?;
    let mut files = Vec::new();
    for (at, from) in step.files.iter().enumerate() {
        let len = fs::metadata(from).map_err(|error| io(from, error))?.len();
        if len > BACKUP_BYTES_MAX {
            return Err(format!(
                "{}: {len} bytes; a configuration has at most {BACKUP_BYTES_MAX}",
                from.display()
            ));
        }
        let bytes = fs::read(from).map_err(|error| io(from, error))?;
        // Two files of one name may stand in two folders.
        let name = format!("{at}-{}", from.file_name().unwrap_or_default().to_string_lossy());
        files.push(keep(books, &backup, name, from.clone(), &bytes)?);
    }
    let effective = step.effective.as_bytes();
    files.push(keep(books, &backup, "effective.toml".to_owned(), PathBuf::new(), effective)?);
    let transition = Transition {
        v: 1,
        date: rfc3339(step.now_ns),
        executed_by: step.executed_by.to_owned(),
        baseline_commit: commit.to_owned(),
        build_id: step.build_id.to_owned(),
        config_hash: step.config_hash.to_owned(),
        backup: backup_name,
        files,
        initial_session: None,
    };
    save(books, &transition)?;
    Ok(transition)
}

fn keep(books: &Books, folder: &Path, name: String, from: PathBuf, bytes: &[u8]) -> Result<BackedUp, String> {
    books.write(&folder.join(&name), bytes)?;
    Ok(BackedUp { name, from, hash: blake3::hash(bytes).to_hex().to_string() })
}

fn save(books: &Books, transition: &Transition) -> Result<(), String> {
    let bytes = serde_json::to_vec_pretty(transition).map_err(|error| error.to_string())?;
    books.write(&books.transition(), &bytes)
}

/// The record as it stands.
pub fn read(books: &Books) -> Result<Transition, String> {
    let path = books.transition();
    let bytes = Books::read(&path)?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

/// The record of a configuration, with its backup as it was made.
pub(super) fn look(books: &Books, config_hash: &str) -> Result<Transition, String> {
    let transition = read(books)?;
    if transition.config_hash != config_hash {
        let of = super::statement::short(&transition.config_hash);
        return Err(format!(
            "the record of {} is about configuration {of}, not about this one",
            transition.date
        ));
    }
    for file in &transition.files {
        let path = books.folder().join(&transition.backup).join(&file.name);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        if blake3::hash(&bytes).to_hex().as_str() != file.hash {
            return Err(format!("{} is not what was backed up", path.display()));
        }
    }
    Ok(transition)
}

/// Enters the first live session.
pub(super) fn enter_session(books: &Books, transition: &Transition, session: &str) -> Result<(), String> {
    if transition.initial_session.is_some() {
        return Ok(());
    }
    save(books, &Transition { initial_session: Some(session.to_owned()), ..transition.clone() })
}
