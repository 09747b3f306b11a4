//! Walks a journal's segments record by record, checks everything that a chain can show, and judges where it stops: at a
//! clean end, at a torn tail (what a crash leaves), or at damage below what had been durable (P9).
//!
//! Memory is bounded by one window, whatever the files hold. Payloads are not decoded here.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::journal::codec::kind;
use crate::journal::disk::{Disk, DiskFile, read_full_at};
use crate::journal::error::{Bad, JournalError};
use crate::journal::frame::{
    self, FrameError, Hash, RECORD_HEADER_BYTES, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader,
};

/// Bytes that a walk reads at once.
const WINDOW_BYTES: usize = 256 << 10;
/// What a segment's file name ends on.
const SUFFIX: &str = ".seg";

/// A segment's file name.
pub fn segment_name(index: u32) -> String {
    format!("{index:08}{SUFFIX}")
}

/// The segments of a directory in order. Other files are none of ours.
pub fn list_segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<(u32, PathBuf)>, JournalError> {
    let names = disk.list(dir).map_err(|e| JournalError::io("reading the directory", dir, &e))?;
    let mut segments: Vec<(u32, PathBuf)> = names
        .iter()
        .filter_map(|name| {
            let digits = name.strip_suffix(SUFFIX)?;
            let index = digits.parse().ok().filter(|&i| segment_name(i) == *name)?;
            Some((index, dir.join(name)))
        })
        .collect();
    segments.sort_unstable();
    Ok(segments)
}

/// Reads a segment's header. `Err(Ok(why))` is a bad header, `Err(Err(..))` a disk that does not answer.
pub fn read_header(disk: &dyn Disk, path: &Path) -> Result<SegmentHeader, Result<String, JournalError>> {
    let io = |e| Err(JournalError::io("reading", path, &e));
    let file = disk.open(path).map_err(io)?;
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    let n = read_full_at(file.as_ref(), 0, &mut bytes).map_err(io)?;
    SegmentHeader::decode(&bytes[..n]).map_err(Ok)
}

/// A sliding window over a file.
struct Window {
    file: Box<dyn DiskFile>,
    path: PathBuf,
    bytes: Vec<u8>,
    at: u64,
    len: u64,
}

impl Window {
    fn open(disk: &dyn Disk, path: &Path) -> Result<Self, JournalError> {
        let io = |e| JournalError::io("reading", path, &e);
        let file = disk.open(path).map_err(io)?;
        let len = file.len().map_err(io)?;
        Ok(Self { file, path: path.to_owned(), bytes: Vec::new(), at: 0, len })
    }

    /// Makes `want` bytes from `offset` on available, as far as the file has them.
    fn ensure(&mut self, offset: u64, want: usize) -> Result<&[u8], JournalError> {
        let have_until = self.at + self.bytes.len() as u64;
        if offset < self.at || offset + want as u64 > have_until {
            let rest = usize::try_from(self.len.saturating_sub(offset)).unwrap_or(usize::MAX);
            let size = want.max(WINDOW_BYTES).min(rest);
            self.bytes.resize(size, 0);
            let n = read_full_at(self.file.as_ref(), offset, &mut self.bytes)
                .map_err(|e| JournalError::io("reading", &self.path, &e))?;
            self.bytes.truncate(n);
            self.at = offset;
        }
        let from = usize::try_from(offset - self.at).unwrap_or(usize::MAX).min(self.bytes.len());
        Ok(&self.bytes[from..])
    }

    /// Forgets what was read: the file may have grown or been trimmed by its writer meanwhile.
    fn refresh(&mut self) -> Result<(), JournalError> {
        self.bytes.clear();
        self.len = self.file.len().map_err(|e| JournalError::io("reading", &self.path, &e))?;
        Ok(())
    }

    fn is_zero_from(&mut self, mut offset: u64) -> Result<bool, JournalError> {
        while offset < self.len {
            let bytes = self.ensure(offset, 1)?;
            if bytes.is_empty() {
                break; // the file was cut meanwhile
            }
            if bytes.iter().any(|&b| b != 0) {
                return Ok(false);
            }
            offset += bytes.len() as u64;
        }
        Ok(true)
    }
}

impl std::fmt::Debug for Window {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Window").field("path", &self.path).field("at", &self.at).finish_non_exhaustive()
    }
}

/// The record that a walk stands on.
#[derive(Clone, Debug)]
pub struct Current {
    /// Its header.
    pub header: RecordHeader,
    /// Its hash.
    pub hash: Hash,
    /// Its offset in the segment.
    pub offset: u64,
    /// Its whole length.
    pub bytes: usize,
    payload: Range<usize>,
}

/// How a walk ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// At the end of what was written.
    Clean,
    /// At a bad record with nothing behind it that had known it as durable: what a crash leaves.
    Torn(Bad),
    /// At a bad record below what had been durable.
    Corrupt(Bad),
}

/// A walk over segments.
pub struct Walker {
    disk: Arc<dyn Disk>,
    segments: Vec<(u32, PathBuf)>,
    /// How many of `segments` are open or done.
    opened: usize,
    window: Option<Window>,
    /// Next offset in the window's file.
    offset: u64,
    link: Hash,
    last_hash: Hash,
    next_seq: u64,
    header: Option<SegmentHeader>,
    current: Option<Current>,
    stop: Option<Stop>,
    /// The offset of the last bad record that was looked at a second time.
    looked_twice_at: Option<u64>,
    /// Whether the first segment's place in the chain has to be taken from its own header.
    trust_first: bool,
}

impl std::fmt::Debug for Walker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Walker")
            .field("next_seq", &self.next_seq)
            .field("stop", &self.stop)
            .finish_non_exhaustive()
    }
}

impl Walker {
    /// Over these segments, which must be neighbours. With `trust_first`, the first one need not be the chain's first:
    /// its header says what it follows.
    pub fn new(disk: Arc<dyn Disk>, segments: Vec<(u32, PathBuf)>, trust_first: bool) -> Self {
        Self {
            disk,
            segments,
            opened: 0,
            window: None,
            offset: 0,
            link: [0; 32],
            last_hash: [0; 32],
            next_seq: 1,
            header: None,
            current: None,
            stop: None,
            looked_twice_at: None,
            trust_first,
        }
    }

    /// How it ended; `None` while it goes on.
    pub const fn stop(&self) -> Option<&Stop> {
        self.stop.as_ref()
    }
    /// The header of the segment that it is in.
    pub const fn segment(&self) -> Option<&SegmentHeader> {
        self.header.as_ref()
    }
    /// The file that it is in.
    pub fn file(&self) -> Option<&Path> {
        self.window.as_ref().map(|w| w.path.as_path())
    }
    /// The number that comes next.
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }
    /// Hash of the last good record.
    pub const fn last_hash(&self) -> Hash {
        self.last_hash
    }
    /// Where the next record of the segment would start: the end of what is good.
    pub const fn offset(&self) -> u64 {
        self.offset
    }
    /// Bytes of the segment's file.
    pub fn file_bytes(&self) -> u64 {
        self.window.as_ref().map_or(0, |w| w.len)
    }

    /// The payload of the record that the last [`Walker::advance`] found.
    pub fn payload(&self) -> &[u8] {
        match (&self.window, &self.current) {
            (Some(window), Some(current)) => window.bytes.get(current.payload.clone()).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Goes to the next record. `None` = stopped; [`Walker::stop`] says how.
    pub fn advance(&mut self) -> Result<Option<&Current>, JournalError> {
        loop {
            if self.stop.is_some() {
                self.current = None;
                return Ok(None);
            }
            if self.window.is_none() && !self.open_next()? {
                continue;
            }
            match self.step()? {
                Ok(current) => {
                    self.next_seq += 1;
                    self.offset = current.offset + current.bytes as u64;
                    self.link = current.hash;
                    self.last_hash = current.hash;
                    return Ok(Some(self.current.insert(current)));
                }
                Err(FrameError::End) => self.end_of_segment()?,
                Err(why) => self.bad_record(why.to_string())?,
            }
        }
    }

    /// Opens the next segment and checks that it follows. False = stopped.
    fn open_next(&mut self) -> Result<bool, JournalError> {
        let Some((index, path)) = self.segments.get(self.opened).cloned() else {
            self.stop = Some(Stop::Clean);
            return Ok(false);
        };
        let header = match read_header(self.disk.as_ref(), &path) {
            Ok(header) => header,
            Err(Ok(why)) => return Ok(self.refuse_segment(path, why)),
            Err(Err(e)) => return Err(e),
        };
        if self.opened == 0 && self.trust_first {
            self.next_seq = header.seq0;
            self.last_hash = header.prev_hash;
        }
        if let Some(why) = self.misfit(index, &header) {
            return Ok(self.refuse_segment(path, why));
        }
        self.window = Some(Window::open(self.disk.as_ref(), &path)?);
        self.offset = SEGMENT_HEADER_BYTES as u64;
        self.link = header.link();
        self.header = Some(header);
        self.opened += 1;
        Ok(true)
    }

    /// Why a segment does not follow from what was read, if it does not.
    fn misfit(&self, index: u32, header: &SegmentHeader) -> Option<String> {
        if header.index != index {
            return Some(format!("the segment says that it is number {}", header.index));
        }
        if header.seq0 != self.next_seq {
            return Some(format!(
                "the segment starts with record {}, so records from {} on are missing or doubled",
                header.seq0, self.next_seq
            ));
        }
        if header.prev_hash != self.last_hash {
            return Some("the segment does not follow from the one before it".to_owned());
        }
        match &self.header {
            Some(before) if before.chain_id != header.chain_id => {
                Some("the segment is from another journal".to_owned())
            }
            Some(before) if before.index + 1 != index => {
                Some(format!("segment {} is missing", before.index + 1))
            }
            None if !self.trust_first && index != 1 => Some("the first segments are missing".to_owned()),
            _ => None,
        }
    }

    /// A segment was durable, header and all, before it got its name: a bad header is never a crash.
    fn refuse_segment(&mut self, file: PathBuf, why: String) -> bool {
        self.stop = Some(Stop::Corrupt(Bad { seq: self.next_seq, file, offset: 0, why }));
        false
    }

    fn step(&mut self) -> Result<Result<Current, FrameError>, JournalError> {
        let (offset, link, next_seq) = (self.offset, self.link, self.next_seq);
        let Some(window) = &mut self.window else { return Ok(Err(FrameError::End)) };
        let left = window.len.saturating_sub(offset);
        if left < RECORD_HEADER_BYTES as u64 {
            return Ok(Err(if window.is_zero_from(offset)? {
                FrameError::End
            } else {
                FrameError::Short(RECORD_HEADER_BYTES)
            }));
        }
        let total = match frame::peek_bytes(window.ensure(offset, RECORD_HEADER_BYTES)?) {
            Ok(total) => total,
            Err(e) => return Ok(Err(e)),
        };
        if total as u64 > left {
            return Ok(Err(FrameError::Short(total)));
        }
        let bytes = window.ensure(offset, total)?;
        let frame = match frame::decode_frame(bytes, &link) {
            Ok(frame) => frame,
            Err(e) => return Ok(Err(e)),
        };
        let (header, hash, bytes) = (frame.header, frame.hash, frame.bytes);
        let payload_len = frame.payload.len();
        if header.seq != next_seq {
            return Ok(Err(FrameError::Seq(header.seq)));
        }
        let start = usize::try_from(offset - window.at).unwrap_or(usize::MAX) + RECORD_HEADER_BYTES;
        Ok(Ok(Current { header, hash, offset, bytes, payload: start..start + payload_len }))
    }

    /// A zero length: the end of what was written, unless something other than zeros follows.
    fn end_of_segment(&mut self) -> Result<(), JournalError> {
        let offset = self.offset;
        let clean = match &mut self.window {
            Some(window) => window.is_zero_from(offset)?,
            None => true,
        };
        if !clean {
            return self.bad_record("the record is missing, but bytes follow".to_owned());
        }
        if self.opened == self.segments.len() {
            self.stop = Some(Stop::Clean);
        } else {
            self.window = None;
        }
        Ok(())
    }

    /// Judges a bad record (P9).
    fn bad_record(&mut self, why: String) -> Result<(), JournalError> {
        let (seq, offset) = (self.next_seq, self.offset);
        let last = self.opened == self.segments.len();
        let Some(window) = &mut self.window else { return Ok(()) };
        if last && self.looked_twice_at != Some(offset) {
            // The journal may be in use: its writer was between the window's reading and the file's. Look again.
            self.looked_twice_at = Some(offset);
            return window.refresh();
        }
        // A further segment is only made when all of this one is durable.
        let durable = !last || known_durable_behind(window, offset, seq)?;
        if durable && last {
            // The last word before an accusation: the record itself, read after its witness.
            window.refresh()?;
            if self.step()?.is_ok() {
                return Ok(());
            }
        }
        let Some(window) = &self.window else { return Ok(()) };
        let bad = Bad { seq, file: window.path.clone(), offset, why };
        self.stop = Some(if durable { Stop::Corrupt(bad) } else { Stop::Torn(bad) });
        Ok(())
    }
}

/// Whether a whole record behind `offset` knew `seq` as durable. Every record says up to where the journal was durable when
/// it was framed, so what was written after a sync bears witness to what was written before it.
fn known_durable_behind(window: &mut Window, offset: u64, seq: u64) -> Result<bool, JournalError> {
    let mut at = offset.next_multiple_of(8);
    while at + RECORD_HEADER_BYTES as u64 <= window.len {
        let left = window.len - at;
        let head = window.ensure(at, RECORD_HEADER_BYTES)?;
        if head.len() < RECORD_HEADER_BYTES {
            break;
        }
        // Cheap questions first, so that garbage with large lengths does not cost a checksum over megabytes at each step.
        let witness = plausible(head, seq)
            && match frame::peek_bytes(head) {
                Ok(total) if total as u64 <= left => {
                    frame::decode_unlinked(window.ensure(at, total)?).is_ok_and(|f| f.header.durable >= seq)
                }
                _ => false,
            };
        if witness {
            return Ok(true);
        }
        at += 8;
    }
    Ok(false)
}

/// Whether these bytes could head a record behind `seq` that knew it as durable.
fn plausible(head: &[u8], seq: u64) -> bool {
    let field = |at: usize| {
        let mut out = [0; 8];
        out.copy_from_slice(&head[at..at + 8]);
        u64::from_le_bytes(out)
    };
    let known = kind::name(u16::from_le_bytes([head[4], head[5]])).is_some();
    known && field(8) > seq && (seq..field(8)).contains(&field(16))
}
