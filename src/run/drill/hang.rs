//! A control thread that hangs, brought about from outside by what an engine's own user may do: the next file that the thread
//! writes is a pipe that nobody reads, so that its `open` waits in the kernel for as long as the drill likes. That is how a disk
//! that hangs looks to it. No signal does this (`SIGSTOP` stops all threads), and the product has no hook for it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode};

use crate::agent::clock;
use crate::ops::files;
use crate::ops::paths::Paths;

/// The thread may be writing that very file at the moment: tried again so often.
const TRIES: u32 = 50;

/// A pipe in the thread's way. It goes on when this is dropped.
#[derive(Debug)]
pub(super) struct Hang {
    path: PathBuf,
    /// Names the pipe without opening it.
    pipe: File,
}

impl Hang {
    /// Puts a pipe where an engine's control thread writes its heartbeat, once a second.
    pub(super) fn set(paths: &Paths, process: u32) -> io::Result<Self> {
        let path = files::beside(&paths.heartbeat(), process);
        let mut tries = 0;
        loop {
            match rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0) {
                Ok(()) => break,
                Err(rustix::io::Errno::EXIST) if tries < TRIES => {
                    tries += 1;
                    clock::sleep(Duration::from_millis(3));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let pipe = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(&path)?;
        Ok(Self { path, pipe })
    }
}

impl Drop for Hang {
    fn drop(&mut self) {
        // The name goes first: what the thread writes into the pipe must not become its heartbeat.
        let _removed = fs::remove_file(&self.path);
        let pipe = format!("/proc/self/fd/{}", self.pipe.as_raw_fd());
        // A reader: the thread's `open` returns. What it writes then goes nowhere, and the next second finds no pipe.
        let reader = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(pipe);
        clock::sleep(Duration::from_millis(20));
        drop(reader);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_writes_a_file_into_it_waits_until_it_is_gone_and_the_file_is_never_the_pipe() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), None);
        let me = std::process::id();
        fs::write(paths.heartbeat(), "old").unwrap();
        let hang = Hang::set(&paths, me).unwrap();
        let (said, hears) = std::sync::mpsc::channel();
        let path = paths.heartbeat();
        let write = move || {
            let first = files::replace(&path, b"first", files::Durability::Atomic);
            let second = files::replace(&path, b"second", files::Durability::Atomic);
            said.send((first.is_err(), second.is_ok())).unwrap();
        };
        #[expect(clippy::disallowed_methods, reason = "a test's own thread")]
        let writer = std::thread::spawn(write);
        assert!(hears.recv_timeout(Duration::from_millis(300)).is_err(), "it waits");
        assert_eq!(fs::read_to_string(paths.heartbeat()).unwrap(), "old");
        drop(hang);
        assert_eq!(
            hears.recv_timeout(Duration::from_secs(10)).unwrap(),
            (true, true),
            "lost, and then as always"
        );
        assert_eq!(fs::read_to_string(paths.heartbeat()).unwrap(), "second");
        writer.join().unwrap();
    }
}
