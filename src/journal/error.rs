//! What can be wrong with a journal, in words that name the place, the value and the remedy.

use std::io;
use std::path::{Path, PathBuf};

use crate::journal::wire::DecodeError;

/// The first record that can't be trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bad {
    /// Its number (the number that should stand there).
    pub seq: u64,
    /// The file.
    pub file: PathBuf,
    /// Byte offset in the file.
    pub offset: u64,
    /// What is wrong with it.
    pub why: String,
}

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "record {} ({} at byte {}): {}", self.seq, self.file.display(), self.offset, self.why)
    }
}

/// Why the journal could not do what was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum JournalError {
    /// The disk said no.
    #[error("journal: {what} {}: {why}{}", path.display(), remedy(*kind))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// The kind of error.
        kind: io::ErrorKind,
        /// The system's words.
        why: String,
    },
    /// A bad record where records had been durable: something changed them.
    #[error(
        "journal: {bad}; records behind it had already been durable, so this is damage or tampering and not a crash. \
         Nothing was changed. Restore the file from a backup, or move the journal directory away to start a new one (and \
         keep it as evidence); `interlock journal verify` tells more"
    )]
    Corrupt {
        /// Where.
        bad: Bad,
    },
    /// A record that is whole but not understood.
    #[error("journal: record {seq} ({} at byte {offset}): {source}", file.display())]
    Decode {
        /// Its number.
        seq: u64,
        /// The file.
        file: PathBuf,
        /// Where it starts.
        offset: u64,
        /// What is wrong.
        source: DecodeError,
    },
    /// The journal failed earlier and stays failed.
    #[error("journal: failed earlier and takes no more records: {why}")]
    Failed {
        /// The first failure.
        why: String,
    },
    /// A record that is too long.
    #[error("journal: a {what} record of {bytes} bytes; at most {max} fit")]
    TooLong {
        /// Its type.
        what: &'static str,
        /// Its length.
        bytes: usize,
        /// The bound.
        max: usize,
    },
    /// A file of the journal's housekeeping (epoch, key, checkpoint) is not what it should be.
    #[error("journal: {}: {why}. {remedy}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
        /// What to do.
        remedy: &'static str,
    },
    /// No session of that name.
    #[error("journal: no session {wanted:?} in {}; `interlock journal sessions` lists them", dir.display())]
    NoSession {
        /// The directory.
        dir: PathBuf,
        /// What was asked for.
        wanted: String,
    },
}

const fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            ". Free some space (old sessions may be moved away once a checkpoint of them is kept elsewhere) and start again"
        }
        io::ErrorKind::ReadOnlyFilesystem => ". Mount it writable, or give another directory by --data-dir",
        io::ErrorKind::PermissionDenied => ". Give this user the directory, or another one by --data-dir",
        _ => "",
    }
}

impl JournalError {
    /// From the disk's error.
    pub(crate) fn io(what: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { what, path: path.to_owned(), kind: error.kind(), why: error.to_string() }
    }
}
