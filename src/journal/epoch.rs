//! The boot epoch: the upper part of every client order id of a boot, durable before the first order and never the same twice,
//! so that an order of ours is recognised at the venue after any crash (P5).
//!
//! Two witnesses: the epoch file, and the headers of the segments (every session's segment is durable, with its epoch, before
//! its first order). The next epoch is above both. If the file is not there, the segments alone decide: an epoch without
//! a segment never sent an order. If the file is there but is not what was written, that is refused rather than guessed
//! around: the disk loses what it was given, and segments may have been moved away. Deleting the file is the operator's
//! word that the segments are all there.

use std::io;
use std::path::Path;

use crate::journal::disk::{Disk, read_file, replace_file};
use crate::journal::error::JournalError;
use crate::journal::log::highest_epoch;

/// The file's name in the journal directory.
pub const FILE: &str = "epoch";
/// Client order ids have 24 bits for it.
pub const MAX: u32 = (1 << 24) - 1;
const FILE_BYTES_MAX: usize = 256;
const REMEDY: &str = "If every segment of this journal is still in its directory, delete the epoch file: the next epoch is \
                      then taken from the segments. Otherwise restore the directory from a backup";

fn text(epoch: u32) -> String {
    let line = format!("interlock boot epoch {epoch}\n");
    let crc = crc32fast::hash(line.as_bytes());
    format!("{line}crc32 {crc:08x}\n")
}

fn parse(bytes: &[u8]) -> Option<u32> {
    let content = core::str::from_utf8(bytes).ok()?;
    let epoch = content.strip_prefix("interlock boot epoch ")?.lines().next()?.parse().ok()?;
    // One value, one text: whatever differs from what was written is damage.
    (text(epoch) == content).then_some(epoch)
}

fn read(disk: &dyn Disk, dir: &Path) -> Result<Option<u32>, JournalError> {
    let path = dir.join(FILE);
    let bytes = match read_file(disk, &path, FILE_BYTES_MAX) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) if e.kind() == io::ErrorKind::FileTooLarge => Vec::new(),
        Err(e) => return Err(JournalError::io("reading", &path, &e)),
    };
    match parse(&bytes) {
        Some(epoch) => Ok(Some(epoch)),
        None => Err(JournalError::Refused {
            path,
            why: "this is not a boot epoch, or its checksum is wrong".to_owned(),
            remedy: REMEDY,
        }),
    }
}

/// The last epoch that was given out; 0 = none. Changes nothing.
pub fn current(disk: &dyn Disk, dir: &Path) -> Result<u32, JournalError> {
    match disk.list(dir) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(0),
        _ => {}
    }
    Ok(read(disk, dir)?.unwrap_or(0).max(highest_epoch(disk, dir)?))
}

/// Gives out the next epoch. When this returns it is durable: a crash at any point before means that it was not used, a crash
/// after that it is not given out again.
pub fn next(disk: &dyn Disk, dir: &Path) -> Result<u32, JournalError> {
    disk.create_dir(dir).map_err(|e| JournalError::io("making", dir, &e))?;
    let path = dir.join(FILE);
    let last = current(disk, dir)?;
    if last >= MAX {
        return Err(JournalError::Refused {
            path,
            why: format!("all {MAX} boot epochs have been used"),
            remedy: "Start a new data directory, after the venue shows no open order of this one",
        });
    }
    let epoch = last + 1;
    replace_file(disk, &path, text(epoch).as_bytes()).map_err(|e| JournalError::io("writing", &path, &e))?;
    Ok(epoch)
}
