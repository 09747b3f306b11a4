//! A journal that is only bytes in memory: one segment, read-only. For fuzzing the reader, and for looking at a segment that
//! came without its directory.

use std::convert::Infallible;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::event::Record;
use crate::journal::codec::{encode_record, record_kind};
use crate::journal::disk::{Disk, DiskFile};
use crate::journal::error::JournalError;
use crate::journal::frame::{Hash, RECORD_VERSION, RecordHeader, SegmentHeader, encode_frame};
use crate::journal::reader::Reader;
use crate::journal::render::Renderer;
use crate::journal::scan::segment_name;
use crate::journal::verify::{Report, verify_on};
use crate::types::Now;

/// A disk with one read-only file.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    bytes: Arc<[u8]>,
}

impl Image {
    /// Of a segment's bytes. It gets the name that its header asks for.
    pub fn new(bytes: &[u8]) -> Self {
        let index = SegmentHeader::decode(bytes).map_or(1, |h| h.index);
        Self { name: segment_name(index), bytes: bytes.into() }
    }

    /// The one directory that it has.
    pub fn dir() -> PathBuf {
        PathBuf::from("image")
    }

    /// Reads its entries.
    pub fn reader(&self) -> Result<Reader, JournalError> {
        Reader::open_on(Arc::new(self.clone()), &Self::dir())
    }

    /// Checks it.
    pub fn verify(&self) -> Result<Report, JournalError> {
        verify_on(Arc::new(self.clone()), &Self::dir(), None)
    }
}

/// Frames and links records into `out`, exactly as the writer does before it hands them to the disk; returns the last hash.
/// For benches of the journal's own work, and for images made in memory.
pub fn frame_records(records: &[Record], header: &SegmentHeader, now: Now, out: &mut Vec<u8>) -> Hash {
    let mut link = header.link();
    for (seq, record) in (header.seq0..).zip(records) {
        let head = RecordHeader {
            kind: record_kind(record),
            version: RECORD_VERSION,
            seq,
            durable: header.seq0 - 1,
            mono_ns: now.mono_ns,
            wall_ns: now.ns,
        };
        let framed = encode_frame(out, head, &mut link, |out| {
            encode_record(record, out);
            Ok::<(), Infallible>(())
        });
        match framed {
            Ok(()) => {}
            Err(never) => match never {},
        }
    }
    link
}

/// Reads any bytes as a segment, as a fuzz target does: no input may panic, loop, or take memory beyond a bound. Returns how
/// many entries were read.
pub fn read_any(bytes: &[u8]) -> usize {
    let image = Image::new(bytes);
    let mut renderer = Renderer::new();
    let Ok(reader) = image.reader() else { return 0 };
    let mut read = 0;
    for item in reader.map_while(Result::ok) {
        let line = renderer.line(&item);
        assert!(!line.is_empty(), "every entry can be shown");
        read += 1;
    }
    // The two ways to read agree on what can be read; only `verify` refuses a segment that is not the first.
    if let Ok(report) = image.verify()
        && report.records > 0
    {
        assert_eq!(usize::try_from(report.records).ok(), Some(read), "verify and reader disagree");
    }
    read
}

#[derive(Debug)]
struct ImageFile(Arc<[u8]>);

fn read_only<T>() -> io::Result<T> {
    Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "an image can't be written"))
}

impl Disk for Image {
    fn create_dir(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }
    fn list(&self, _dir: &Path) -> io::Result<Vec<String>> {
        Ok(vec![self.name.clone()])
    }
    fn create(&self, _path: &Path) -> io::Result<Box<dyn DiskFile>> {
        read_only()
    }
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        if path == Self::dir().join(&self.name) {
            Ok(Box::new(ImageFile(Arc::clone(&self.bytes))))
        } else {
            Err(io::ErrorKind::NotFound.into())
        }
    }
    fn open_to_write(&self, _path: &Path) -> io::Result<Box<dyn DiskFile>> {
        read_only()
    }
    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        read_only()
    }
    fn remove(&self, _path: &Path) -> io::Result<()> {
        read_only()
    }
    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        read_only()
    }
}

impl DiskFile for ImageFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> io::Result<usize> {
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(self.0.len());
        let n = out.len().min(self.0.len() - from);
        out[..n].copy_from_slice(&self.0[from..from + n]);
        Ok(n)
    }
    fn write_at(&mut self, _offset: u64, _bytes: &[u8]) -> io::Result<usize> {
        read_only()
    }
    fn sync_data(&mut self) -> io::Result<()> {
        read_only()
    }
    fn sync_all(&mut self) -> io::Result<()> {
        read_only()
    }
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
    fn set_len(&mut self, _len: u64) -> io::Result<()> {
        read_only()
    }
}
