//! The marker `killed`: the memory of a trip beyond the process, the power cut and the page.
//!
//! Its presence says that a trip has not been recovered from; its content only says why, for people. So nothing about
//! the content can matter: an empty, torn, foreign or unreadable marker is a marker (K6). Its absence says nothing: each
//! boot starts tripped anyway, and arming has conditions of its own. What the marker adds is that no engine arms itself
//! over a person's trip.
//!
//! On a full disk a new file may be impossible just when it is needed. So a reserve is written at start, with its blocks, and
//! a marker that can't be written in the ordinary way is written into the reserve and renamed, which needs no space.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::files::{self, Durability};
use super::paths::Paths;
use crate::types::Reason;

/// Bytes of the reserve: one block.
const RESERVE_BYTES: usize = 4096;

/// What the marker tells.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Marker {
    /// Version of this object.
    pub v: u32,
    /// Why, by the name of the reason code.
    pub reason: String,
    /// Why, in the words of who tripped.
    pub text: String,
    /// Who.
    pub by: String,
    /// `engine`, `client` or `halt`: which program wrote it.
    pub source: String,
    /// Halt level, by name.
    pub level: String,
    /// Boot of the engine that was halted, as on the page; empty if there was no page.
    pub boot_id: String,
    /// When, RFC 3339.
    pub at: String,
}

impl Marker {
    /// A marker of the present version.
    pub fn new(reason: Reason, text: &str, by: &str, source: &str) -> Self {
        Self {
            v: 1,
            reason: reason.name().to_owned(),
            text: text.to_owned(),
            by: by.to_owned(),
            source: source.to_owned(),
            level: String::new(),
            boot_id: String::new(),
            at: String::new(),
        }
    }
}

/// What is found at the marker's place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Nothing: no trip to remember. Arms nothing.
    Absent,
    /// A marker that can be read.
    Killed(Box<Marker>),
    /// Something that can't be read: a trip, of which no more is known.
    Unreadable(String),
}

impl Found {
    /// Whether it says that a trip has not been recovered from.
    pub fn is_killed(&self) -> bool {
        *self != Self::Absent
    }
    /// In a sentence.
    pub fn describe(&self) -> String {
        match self {
            Self::Absent => "no marker".to_owned(),
            Self::Killed(m) => format!("{} by {:?} at {} ({})", m.reason, m.by, m.at, m.text),
            Self::Unreadable(why) => format!("a marker that can't be read ({why}), which counts as a trip"),
        }
    }
}

/// Looks.
pub fn look(paths: &Paths) -> Found {
    let path = paths.marker();
    match fs::read(&path) {
        Ok(bytes) => match serde_json::from_slice(&bytes) {
            Ok(marker) => Found::Killed(Box::new(marker)),
            Err(error) => Found::Unreadable(error.to_string()),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && !files::may_exist(&path) => Found::Absent,
        Err(error) => Found::Unreadable(error.to_string()),
    }
}

/// Writes the marker, durably; from the reserve if there is no other way.
pub fn write(paths: &Paths, marker: &Marker) -> io::Result<()> {
    let text = serde_json::to_vec(marker)?;
    files::replace(&paths.marker(), &text, Durability::Synced)
        .or_else(|first| write_into_reserve(paths, &text).map_err(|_| first))
}

/// Takes the marker away, durably. Only a recover does this, after the page was armed.
pub fn remove(paths: &Paths) -> io::Result<()> {
    files::remove(&paths.marker())
}

/// Sees to it that there is a reserve. At start, while there still is space.
pub fn keep_reserve(paths: &Paths) -> io::Result<()> {
    let path = reserve(paths);
    if fs::metadata(&path).is_ok_and(|m| m.len() == RESERVE_BYTES as u64) {
        return Ok(());
    }
    files::replace(&path, &[b' '; RESERVE_BYTES], Durability::Synced)
}

fn reserve(paths: &Paths) -> PathBuf {
    paths.data.join("killed.reserve")
}

fn write_into_reserve(paths: &Paths, text: &[u8]) -> io::Result<()> {
    let path = reserve(paths);
    // In place: the blocks are there. Spaces follow the text, and JSON allows them.
    let mut file = OpenOptions::new().write(true).open(&path)?;
    file.write_all(&text[..text.len().min(RESERVE_BYTES)])?;
    let marker: &Path = &paths.marker();
    // The rename comes before the sync: on a disk that fails, a marker that this boot's successor sees in the cache is
    // better than none.
    fs::rename(&path, marker)?;
    file.sync_all()?;
    files::sync_folder(marker)
}
