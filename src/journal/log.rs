//! The chain's one writing end: frames records, links them, puts them into preallocated segments, and makes them durable when
//! it is told to. After the first error of any kind it takes nothing more.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::codec::kind;
use crate::journal::disk::{Disk, DiskFile, write_all_at};
use crate::journal::entry::{Entry, Recovered};
use crate::journal::error::JournalError;
use crate::journal::frame::{
    self, Hash, RECORD_HEADER_BYTES, RECORD_VERSION, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader,
};
use crate::journal::scan::{Stop, Walker, list_segments, read_header, segment_name};
use crate::journal::wire::DecodeError;
use crate::limits::JOURNAL_RECORD_BYTES_MAX;
use crate::types::Now;

/// Framed bytes that are kept before they are handed to the disk, synced or not.
const BUFFER_BYTES: usize = 1 << 20;
/// Temporary name of a segment that is not durable yet.
const TEMPORARY: &str = "next-segment.tmp";

/// Sizes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogConfig {
    /// A segment that has reached this length is followed by a new one.
    pub segment_bytes: u64,
    /// Zeros written ahead of the records at a time.
    pub step_bytes: u64,
    /// Opening checks the newest segments up to this many bytes (the last one always); `verify` checks all.
    pub check_bytes: u64,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { segment_bytes: 64 << 20, step_bytes: 4 << 20, check_bytes: 1 << 30 }
    }
}

/// What stands in every segment header of a session.
#[derive(Clone, Copy, Debug)]
pub struct Identity {
    /// Boot epoch.
    pub epoch: u32,
    /// Hash of the configuration.
    pub config_hash: Hash,
    /// Build id, cut to 32 bytes.
    pub build_id: [u8; 32],
    /// The chain's id if this is its first segment.
    pub chain_id: [u8; 16],
}

/// The writing end.
pub struct Log {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    config: LogConfig,
    identity: Identity,
    file: Box<dyn DiskFile>,
    path: PathBuf,
    index: u32,
    /// Where `buffer` goes.
    offset: u64,
    /// How far the file is written, with zeros or records, and durable in length.
    allocated: u64,
    buffer: Vec<u8>,
    link: Hash,
    last_hash: Hash,
    next_seq: u64,
    durable_seq: u64,
    /// Bytes written but not yet synced are in the file.
    written_unsynced: bool,
    failed: Option<String>,
    bytes_framed: u64,
}

impl std::fmt::Debug for Log {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Log")
            .field("path", &self.path)
            .field("next_seq", &self.next_seq)
            .field("durable_seq", &self.durable_seq)
            .field("failed", &self.failed)
            .finish_non_exhaustive()
    }
}

/// Where a chain ends.
struct Tail {
    index: u32,
    next_seq: u64,
    last_hash: Hash,
    chain_id: Option<[u8; 16]>,
    recovered: Option<Recovered>,
}

impl Log {
    /// Opens the chain of a directory for a new session, in a new segment. A torn tail is cut off and told of; damage
    /// below what had been durable is refused, with nothing changed.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        identity: Identity,
        now: Now,
    ) -> Result<(Self, Option<Recovered>), JournalError> {
        disk.create_dir(dir).map_err(|e| JournalError::io("making", dir, &e))?;
        let tail = recover(&disk, dir, config)?;
        let identity = Identity { chain_id: tail.chain_id.unwrap_or(identity.chain_id), ..identity };
        let header = SegmentHeader {
            epoch: identity.epoch,
            index: tail.index + 1,
            seq0: tail.next_seq,
            created_ns: now.ns,
            chain_id: identity.chain_id,
            prev_hash: tail.last_hash,
            config_hash: identity.config_hash,
            build_id: identity.build_id,
        };
        let (file, path, allocated) = make_segment(disk.as_ref(), dir, config, &header)?;
        let log = Self {
            disk,
            dir: dir.to_owned(),
            config,
            identity,
            file,
            path,
            index: header.index,
            offset: SEGMENT_HEADER_BYTES as u64,
            allocated,
            buffer: Vec::with_capacity(BUFFER_BYTES + (64 << 10)),
            link: header.link(),
            last_hash: tail.last_hash,
            next_seq: tail.next_seq,
            durable_seq: tail.next_seq - 1,
            written_unsynced: false,
            failed: None,
            bytes_framed: 0,
        };
        Ok((log, tail.recovered))
    }

    /// The last number given out; 0 = none.
    pub const fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }
    /// The last durable number.
    pub const fn durable_seq(&self) -> u64 {
        self.durable_seq
    }
    /// Hash of the last record.
    pub const fn last_hash(&self) -> Hash {
        self.last_hash
    }
    /// Bytes of records framed since it was opened.
    pub const fn bytes_framed(&self) -> u64 {
        self.bytes_framed
    }
    /// Bytes that are not durable yet, roughly: what a commit would be for.
    pub const fn uncommitted(&self) -> usize {
        if self.written_unsynced { self.buffer.len() + BUFFER_BYTES } else { self.buffer.len() }
    }
    /// The chain's id, as checkpoints name it.
    pub const fn chain_id(&self) -> [u8; 16] {
        self.identity.chain_id
    }

    /// Why it takes nothing more.
    pub fn failure(&self) -> Option<&str> {
        self.failed.as_deref()
    }

    /// Frames one entry. It is in memory only; [`Log::commit`] makes it durable.
    pub fn append(&mut self, entry: &Entry, now: Now) -> Result<u64, JournalError> {
        self.append_with(entry.kind(), now, |out| entry.encode(out))
    }

    /// Frames one payload.
    pub fn append_with(
        &mut self,
        kind: u16,
        now: Now,
        payload: impl FnOnce(&mut Vec<u8>) -> Result<(), DecodeError>,
    ) -> Result<u64, JournalError> {
        self.check()?;
        if self.offset + self.buffer.len() as u64 >= self.config.segment_bytes {
            self.rotate(now)?;
        }
        let header = RecordHeader {
            kind,
            version: RECORD_VERSION,
            seq: self.next_seq,
            durable: self.durable_seq,
            mono_ns: now.mono_ns,
            wall_ns: now.ns,
        };
        let start = self.buffer.len();
        let mut link = self.link;
        let encoded = frame::encode_frame(&mut self.buffer, header, &mut link, payload);
        let what = kind::name(kind).unwrap_or("record");
        let bytes = self.buffer.len() - start;
        if bytes > JOURNAL_RECORD_BYTES_MAX {
            self.buffer.truncate(start);
            return Err(JournalError::TooLong { what, bytes, max: JOURNAL_RECORD_BYTES_MAX });
        }
        if let Err(source) = encoded {
            return Err(JournalError::Decode {
                seq: self.next_seq,
                file: self.path.clone(),
                offset: self.offset + start as u64,
                source,
            });
        }
        self.link = link;
        self.last_hash = link;
        self.next_seq += 1;
        self.bytes_framed += bytes as u64;
        if self.buffer.len() >= BUFFER_BYTES {
            self.write_out()?;
        }
        Ok(self.next_seq - 1)
    }

    /// Hands the framed bytes to the disk without waiting for it to keep them.
    fn write_out(&mut self) -> Result<(), JournalError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let end = self.offset + self.buffer.len() as u64;
        if end > self.allocated {
            let target = end.next_multiple_of(self.config.step_bytes.max(1));
            let extended = extend(self.file.as_mut(), self.allocated, target);
            self.guard("preallocating", extended)?;
            self.allocated = target;
        }
        let written = write_all_at(self.file.as_mut(), self.offset, &self.buffer);
        self.guard("writing", written)?;
        self.offset = end;
        self.buffer.clear();
        self.written_unsynced = true;
        Ok(())
    }

    /// Makes everything framed so far durable and returns the last durable number. Never tried a second time.
    pub fn commit(&mut self) -> Result<u64, JournalError> {
        self.check()?;
        self.write_out()?;
        if self.written_unsynced {
            let synced = self.file.sync_data();
            self.guard("syncing", synced)?;
            self.written_unsynced = false;
        }
        self.durable_seq = self.next_seq - 1;
        Ok(self.durable_seq)
    }

    /// Commits, gives the unused space back and starts the next segment.
    fn rotate(&mut self, now: Now) -> Result<(), JournalError> {
        self.commit()?;
        self.trim()?;
        let header = SegmentHeader {
            epoch: self.identity.epoch,
            index: self.index + 1,
            seq0: self.next_seq,
            created_ns: now.ns,
            chain_id: self.identity.chain_id,
            prev_hash: self.last_hash,
            config_hash: self.identity.config_hash,
            build_id: self.identity.build_id,
        };
        let made = make_segment(self.disk.as_ref(), &self.dir, self.config, &header);
        let (file, path, allocated) = match made {
            Ok(made) => made,
            Err(e) => {
                self.failed = Some(e.to_string());
                return Err(e);
            }
        };
        self.file = file;
        self.path = path;
        self.allocated = allocated;
        self.index = header.index;
        self.offset = SEGMENT_HEADER_BYTES as u64;
        self.link = header.link();
        Ok(())
    }

    fn trim(&mut self) -> Result<(), JournalError> {
        let trimmed = self.file.set_len(self.offset).and_then(|()| self.file.sync_all());
        self.guard("trimming", trimmed)?;
        self.allocated = self.offset;
        Ok(())
    }

    /// Commits and gives the unused space back. The log takes nothing more afterwards.
    pub fn close(&mut self) -> Result<u64, JournalError> {
        let durable = self.commit()?;
        self.trim()?;
        self.failed = Some("closed".to_owned());
        Ok(durable)
    }

    fn check(&self) -> Result<(), JournalError> {
        match &self.failed {
            Some(why) => Err(JournalError::Failed { why: why.clone() }),
            None => Ok(()),
        }
    }

    /// The first error is the last: afterwards nobody knows what the disk holds.
    fn guard<T>(&mut self, what: &'static str, result: io::Result<T>) -> Result<T, JournalError> {
        result.map_err(|e| {
            let error = JournalError::io(what, &self.path, &e);
            self.failed = Some(error.to_string());
            error
        })
    }
}

/// Writes zeros ahead, so that later commits change no metadata, and makes them durable.
fn extend(file: &mut dyn DiskFile, from: u64, to: u64) -> io::Result<()> {
    let zeros = vec![0u8; 256 << 10];
    let mut at = from;
    while at < to {
        let n = usize::try_from(to - at).unwrap_or(usize::MAX).min(zeros.len());
        write_all_at(file, at, &zeros[..n])?;
        at += n as u64;
    }
    file.sync_all()
}

/// Makes a segment under a temporary name, durable with its header and its zeros, and only then gives it its name: a
/// segment that can be found is whole.
fn make_segment(
    disk: &dyn Disk,
    dir: &Path,
    config: LogConfig,
    header: &SegmentHeader,
) -> Result<(Box<dyn DiskFile>, PathBuf, u64), JournalError> {
    let temporary = dir.join(TEMPORARY);
    let path = dir.join(segment_name(header.index));
    let allocated = config.step_bytes.max(SEGMENT_HEADER_BYTES as u64);
    let make = || -> io::Result<Box<dyn DiskFile>> {
        match disk.remove(&temporary) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let mut file = disk.create(&temporary)?;
        write_all_at(file.as_mut(), 0, &header.encode())?;
        extend(file.as_mut(), SEGMENT_HEADER_BYTES as u64, allocated)?;
        disk.rename(&temporary, &path)?;
        disk.sync_dir(dir)?;
        Ok(file)
    };
    let file = make().map_err(|e| JournalError::io("making", &path, &e))?;
    Ok((file, path, allocated))
}

/// Finds the end of the chain, cutting a torn tail off.
fn recover(disk: &Arc<dyn Disk>, dir: &Path, config: LogConfig) -> Result<Tail, JournalError> {
    let segments = list_segments(disk.as_ref(), dir)?;
    let Some((last_index, last_path)) = segments.last().cloned() else {
        return Ok(Tail { index: 0, next_seq: 1, last_hash: [0; 32], chain_id: None, recovered: None });
    };
    let from = first_to_check(disk.as_ref(), &segments, config.check_bytes)?;
    let mut walker = Walker::new(Arc::clone(disk), segments[from..].to_vec(), true);
    while walker.advance()?.is_some() {}
    let torn = match walker.stop() {
        Some(Stop::Corrupt(bad)) => return Err(JournalError::Corrupt { bad: bad.clone() }),
        Some(Stop::Torn(bad)) => Some(bad.clone()),
        _ => None,
    };
    let used = walker.offset();
    let bytes = walker.file_bytes().saturating_sub(used);
    if bytes > 0 {
        // The torn tail, or the zeros that a crash left: both go, so that every segment but the newest ends where its
        // records end.
        let cut = || -> io::Result<()> {
            let mut file = disk.open_to_write(&last_path)?;
            file.set_len(used)?;
            file.sync_all()
        };
        cut().map_err(|e| JournalError::io("cutting the unused end off", &last_path, &e))?;
    }
    let recovered = torn.map(|bad| Recovered {
        first_bad_seq: bad.seq,
        file: segment_name(last_index),
        offset: bad.offset,
        bytes,
        why: bad.why,
    });
    let chain_id = walker.segment().map(|h| h.chain_id);
    Ok(Tail {
        index: last_index,
        next_seq: walker.next_seq(),
        last_hash: walker.last_hash(),
        chain_id,
        recovered,
    })
}

/// From which segment on opening checks: the newest ones within the bound, and the last one always.
fn first_to_check(
    disk: &dyn Disk,
    segments: &[(u32, PathBuf)],
    bytes_max: u64,
) -> Result<usize, JournalError> {
    let mut total = 0u64;
    for (at, (_, path)) in segments.iter().enumerate().rev() {
        let len = disk.open(path).and_then(|f| f.len()).map_err(|e| JournalError::io("reading", path, &e))?;
        total = total.saturating_add(len);
        if total > bytes_max && at + 1 < segments.len() {
            return Ok(at + 1);
        }
    }
    Ok(0)
}

/// The highest boot epoch in any segment header; 0 = no segment.
pub fn highest_epoch(disk: &dyn Disk, dir: &Path) -> Result<u32, JournalError> {
    let mut highest = 0;
    for (_, path) in list_segments(disk, dir)? {
        match read_header(disk, &path) {
            Ok(header) => highest = highest.max(header.epoch),
            Err(Ok(why)) => {
                return Err(JournalError::Refused {
                    path,
                    why,
                    remedy: "Restore the file from a backup, or move the journal directory away and keep it as evidence",
                });
            }
            Err(Err(e)) => return Err(e),
        }
    }
    Ok(highest)
}

const _: () = assert!(RECORD_HEADER_BYTES.is_multiple_of(8) && SEGMENT_HEADER_BYTES.is_multiple_of(8));
