//! Reads a journal back: entry by entry over its segments, in bounded memory, for replays, `cat` and reports.
//!
//! What it hands out is a prefix of what was written. It ends at a clean end or at a torn tail ([`Reader::tail`] says which);
//! at damage below what had been durable it fails, with the number, the file, the offset and the remedy. Reading a journal
//! that is being written is allowed: the end may then look torn.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::codec::kind;
use crate::journal::disk::{Disk, RealDisk};
use crate::journal::entry::{Entry, Item};
use crate::journal::error::{Bad, JournalError};
use crate::journal::scan::{Stop, Walker, list_segments};
use crate::journal::session::SessionHeader;

/// An iterator over entries.
#[derive(Debug)]
pub struct Reader {
    walker: Walker,
    /// The last number to hand out.
    until_seq: u64,
    done: bool,
}

impl Reader {
    /// Over everything in a directory, on the machine's disk.
    pub fn open(dir: &Path) -> Result<Self, JournalError> {
        Self::open_on(Arc::new(RealDisk), dir)
    }

    /// Over everything in a directory of a given disk. A journal whose first segments were moved away is read from the first
    /// one that is there; `verify` tells of that.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, JournalError> {
        let segments = list_segments(disk.as_ref(), dir)?;
        Ok(Self::over(disk, segments))
    }

    fn over(disk: Arc<dyn Disk>, segments: Vec<(u32, PathBuf)>) -> Self {
        Self { walker: Walker::new(disk, segments, true), until_seq: u64::MAX, done: false }
    }

    /// The torn tail that reading ended at, if it did. What stands behind it was never durable and is not used.
    pub fn tail(&self) -> Option<&Bad> {
        match self.walker.stop() {
            Some(Stop::Torn(bad)) => Some(bad),
            _ => None,
        }
    }

    fn read(&mut self) -> Result<Option<Item>, JournalError> {
        let Some(current) = self.walker.advance()? else {
            return match self.walker.stop() {
                Some(Stop::Corrupt(bad)) => Err(JournalError::Corrupt { bad: bad.clone() }),
                _ => Ok(None),
            };
        };
        let (header, offset) = (current.header, current.offset);
        if header.seq > self.until_seq {
            return Ok(None);
        }
        let entry = Entry::decode(header.kind, header.version, self.walker.payload()).map_err(|source| {
            let file = self.walker.file().unwrap_or_else(|| Path::new("")).to_owned();
            JournalError::Decode { seq: header.seq, file, offset, source }
        })?;
        Ok(Some(Item { seq: header.seq, wall_ns: header.wall_ns, mono_ns: header.mono_ns, entry }))
    }
}

impl Iterator for Reader {
    type Item = Result<Item, JournalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.done {
            return None;
        }
        let item = self.read().transpose();
        self.done = !matches!(item, Some(Ok(_)));
        item
    }
}

/// A session in a journal.
#[derive(Clone, Debug)]
pub struct SessionSummary {
    /// Its header.
    pub header: SessionHeader,
    /// Number of its header record.
    pub first_seq: u64,
    /// When its header was written, nanoseconds since the epoch.
    pub started_ns: i64,
    /// Its segments.
    pub segments: Vec<PathBuf>,
    /// Bytes of its segments.
    pub bytes: u64,
    range: Vec<(u32, PathBuf)>,
}

/// The sessions of a directory, oldest first. Reads each segment's first record only.
pub fn sessions(dir: &Path) -> Result<Vec<SessionSummary>, JournalError> {
    sessions_on(&(Arc::new(RealDisk) as Arc<dyn Disk>), dir)
}

/// [`sessions`] on a given disk.
pub fn sessions_on(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Vec<SessionSummary>, JournalError> {
    let mut all: Vec<SessionSummary> = Vec::new();
    for (index, path) in list_segments(disk.as_ref(), dir)? {
        let bytes =
            disk.open(&path).and_then(|f| f.len()).map_err(|e| JournalError::io("reading", &path, &e))?;
        let mut walker = Walker::new(Arc::clone(disk), vec![(index, path.clone())], true);
        let first = walker.advance()?.map(|current| current.header);
        match first {
            Some(header) if header.kind == kind::SESSION => {
                let entry =
                    Entry::decode(header.kind, header.version, walker.payload()).map_err(|source| {
                        JournalError::Decode { seq: header.seq, file: path.clone(), offset: 0, source }
                    })?;
                let Entry::Session(session) = entry else { continue };
                all.push(SessionSummary {
                    header: *session,
                    first_seq: header.seq,
                    started_ns: header.wall_ns,
                    segments: vec![path.clone()],
                    bytes,
                    range: vec![(index, path)],
                });
            }
            // A further segment of the session before it, or one whose session did not get as far as its header; the
            // latter holds nothing and does no harm in the range.
            _ => {
                if let Some(session) = all.last_mut() {
                    session.segments.push(path.clone());
                    session.bytes += bytes;
                    session.range.push((index, path));
                }
            }
        }
    }
    Ok(all)
}

/// The entries of one session, its header first: by its name, by a unique beginning of its name, or `last`.
pub fn read_session(dir: &Path, wanted: &str) -> Result<(SessionSummary, Reader), JournalError> {
    read_session_on(&(Arc::new(RealDisk) as Arc<dyn Disk>), dir, wanted)
}

/// [`read_session`] on a given disk.
pub fn read_session_on(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    wanted: &str,
) -> Result<(SessionSummary, Reader), JournalError> {
    let all = sessions_on(disk, dir)?;
    let session = if wanted == "last" {
        all.last().cloned()
    } else {
        let exact = all.iter().rev().find(|s| s.header.session == wanted);
        let mut begins = all.iter().filter(|s| s.header.session.starts_with(wanted));
        match (exact, begins.next(), begins.next()) {
            (Some(session), _, _) | (None, Some(session), None) => Some(session.clone()),
            _ => None,
        }
    };
    let session =
        session.ok_or_else(|| JournalError::NoSession { dir: dir.to_owned(), wanted: wanted.to_owned() })?;
    let reader = Reader::over(Arc::clone(disk), session.range.clone());
    Ok((session, reader))
}
