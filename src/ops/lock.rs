//! One engine in a data directory (R-EVD-4): a lock that the kernel gives back when its holder dies, however it dies.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use super::paths::Paths;

/// The lock, held until dropped.
#[derive(Debug)]
pub struct InstanceLock {
    _file: File,
}

/// Why the lock was not had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another engine runs here.
    #[error(
        "{}: another engine (pid {pid}) runs in this data directory; stop it, or use another --data-dir",
        path.display()
    )]
    Held {
        /// The lock file.
        path: PathBuf,
        /// Who holds it, as it wrote it; `?` if it hasn't yet.
        pid: String,
    },
    /// The file can't be made or locked.
    #[error("{}: the data directory can't be locked: {source}; is it there and writable?", path.display())]
    Io {
        /// The lock file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InstanceLock {
    /// Takes the lock and writes the process id into it. Never waits.
    pub fn take(paths: &Paths) -> Result<Self, LockError> {
        let path = paths.lock();
        let fail = |source: io::Error| LockError::Io { path: path.clone(), source };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(&path)
            .map_err(fail)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(error) if error == rustix::io::Errno::WOULDBLOCK => {
                let mut text = String::new();
                // Best effort: the pid is only for the message.
                let _read = file.take(32).read_to_string(&mut text);
                let pid = text.trim();
                let pid = if pid.is_empty() { "?" } else { pid }.to_owned();
                return Err(LockError::Held { path, pid });
            }
            Err(error) => return Err(fail(error.into())),
        }
        file.set_len(0).map_err(fail)?;
        file.rewind().map_err(fail)?;
        writeln!(file, "{}", std::process::id()).map_err(fail)?;
        Ok(Self { _file: file })
    }
}
