//! Checks a whole journal: every checksum, every link, every number, every payload, and, if there is one, an external
//! checkpoint. Only the checkpoint shows that the tail was cut off or that everything was written anew with fresh hashes
//! (P8): a chain alone can't know how long it was.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::codec::kind;
use crate::journal::disk::{Disk, RealDisk};
use crate::journal::entry::Entry;
use crate::journal::error::{Bad, JournalError};
use crate::journal::frame::{Hash, hex};
use crate::journal::note::Checkpoint;
use crate::journal::scan::{Stop, Walker, list_segments};

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Good records, from the first on.
    pub records: u64,
    /// Segments read.
    pub segments: usize,
    /// Sessions begun.
    pub sessions: u64,
    /// The last good record's number; 0 = none.
    pub last_seq: u64,
    /// The last good record's hash.
    pub head: Hash,
    /// The chain's id.
    pub chain_id: [u8; 16],
    /// The last durable number that a record speaks of.
    pub durable_seq: u64,
    /// The first record that is wrong: edited, missing, put in, out of order, or from elsewhere.
    pub first_bad: Option<Bad>,
    /// Whether `first_bad` may be what a crash leaves behind (a torn tail above what was durable).
    pub torn: bool,
}

impl Report {
    /// Whether nothing is wrong.
    pub const fn is_good(&self) -> bool {
        self.first_bad.is_none()
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "{} records in {} segments, {} sessions, head {} {}",
            self.records,
            self.segments,
            self.sessions,
            self.last_seq,
            hex(&self.head)
        )?;
        match &self.first_bad {
            None => f.write_str("good: every record follows from the one before it"),
            Some(bad) if self.torn => write!(
                f,
                "torn tail: {bad}; nothing behind it was durable, and the next start cuts it off and records that"
            ),
            Some(bad) => write!(f, "BAD from {bad}"),
        }
    }
}

/// Checks the journal in a directory on the machine's disk.
pub fn verify(dir: &Path, checkpoint: Option<&Checkpoint>) -> Result<Report, JournalError> {
    verify_on(Arc::new(RealDisk), dir, checkpoint)
}

/// [`verify`] on a given disk.
pub fn verify_on(
    disk: Arc<dyn Disk>,
    dir: &Path,
    checkpoint: Option<&Checkpoint>,
) -> Result<Report, JournalError> {
    let segments = list_segments(disk.as_ref(), dir)?;
    let mut report = Report { segments: segments.len(), ..Report::default() };
    let last_file = segments.last().map_or_else(|| dir.to_owned(), |(_, path)| path.clone());
    let mut walker = Walker::new(disk, segments, false);
    let mut at_checkpoint = None;
    while let Some(current) = walker.advance()? {
        let (header, hash, offset) = (current.header, current.hash, current.offset);
        if let Err(e) = Entry::decode(header.kind, header.version, walker.payload()) {
            let file = walker.file().unwrap_or(dir).to_owned();
            report.first_bad = Some(Bad { seq: header.seq, file, offset, why: e.to_string() });
            return Ok(report);
        }
        report.records += 1;
        report.sessions += u64::from(header.kind == kind::SESSION);
        report.last_seq = header.seq;
        report.durable_seq = report.durable_seq.max(header.durable);
        report.head = hash;
        if checkpoint.is_some_and(|c| c.size == header.seq) {
            at_checkpoint = Some((hash, walker.file().unwrap_or(dir).to_owned(), offset));
        }
    }
    report.chain_id = walker.segment().map_or([0; 16], |h| h.chain_id);
    match walker.stop() {
        Some(Stop::Corrupt(bad)) => report.first_bad = Some(bad.clone()),
        Some(Stop::Torn(bad)) => {
            report.first_bad = Some(bad.clone());
            report.torn = true;
        }
        _ => {}
    }
    if let Some(checkpoint) = checkpoint {
        compare(&mut report, checkpoint, at_checkpoint, last_file, walker.offset());
    }
    Ok(report)
}

/// The checkpoint is the least that must be there, and its hash the only one that may stand there.
fn compare(
    report: &mut Report,
    checkpoint: &Checkpoint,
    found: Option<(Hash, PathBuf, u64)>,
    last_file: PathBuf,
    end: u64,
) {
    let origin = Checkpoint::origin_of(&report.chain_id);
    if origin != checkpoint.origin {
        report.torn = false;
        let why = format!("this is {origin}, and the checkpoint is of {}", checkpoint.origin);
        report.first_bad = Some(Bad { seq: 1, file: last_file, offset: 0, why });
        return;
    }
    match found {
        Some((hash, file, offset)) if hash != checkpoint.head => {
            report.torn = false;
            let why = format!(
                "its hash is not the one that was signed on {}: it, or a record before it, was changed and the chain \
                 written anew",
                checkpoint.when()
            );
            report.first_bad = Some(Bad { seq: checkpoint.size, file, offset, why });
        }
        Some(_) => {}
        None if checkpoint.size == 0 => {}
        None => {
            // Cut off below the checkpoint: whatever the tail looks like, this is no crash.
            report.torn = false;
            let why =
                format!("the checkpoint signed on {} has {} records", checkpoint.when(), checkpoint.size);
            report.first_bad.get_or_insert(Bad {
                seq: report.last_seq + 1,
                file: last_file,
                offset: end,
                why,
            });
        }
    }
}
