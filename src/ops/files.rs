//! Small files that must be whole: written beside, synced, renamed over, and the directory synced.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// How sure the caller wants to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// It survives a power cut: file and directory are synced.
    Synced,
    /// A reader never sees half of it; a power cut may lose it (heartbeats).
    Atomic,
}

/// Replaces `path` by `bytes`, mode 0600. A reader sees the old or the new content, never a part.
pub fn replace(path: &Path, bytes: &[u8], durability: Durability) -> io::Result<()> {
    let beside = beside(path, std::process::id());
    let written = (|| {
        let mut file =
            OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
        file.write_all(bytes)?;
        if durability == Durability::Synced {
            file.sync_all()?;
        }
        fs::rename(&beside, path)
    })();
    if let Err(error) = written {
        // Best effort: an unfinished file beside is harmless, and the next write takes its place.
        let _removed = fs::remove_file(&beside);
        return Err(error);
    }
    if durability == Durability::Synced { sync_folder(path) } else { Ok(()) }
}

/// Removes `path` for good. No error if it isn't there.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Whether something is at `path`: a file, a folder, a dangling link. `true` also when that can't be told, because what is
/// asked here is "does anything say stop?".
pub fn may_exist(path: &Path) -> bool {
    !matches!(fs::symlink_metadata(path), Err(error) if error.kind() == io::ErrorKind::NotFound)
}

/// Makes the directory entry of `path` durable.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Where a process writes the new content of a file before it takes the file's place.
pub fn beside(path: &Path, process: u32) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    // The process's number: the halt tool and the engine may write the same file at once.
    name.push(format!(".{process}.new"));
    path.with_file_name(name)
}
