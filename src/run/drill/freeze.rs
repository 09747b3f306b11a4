//! One thread of another process, stopped: what a hung control thread looks like from outside. `SIGSTOP` would stop all of them.
#![expect(unsafe_code, reason = "ptrace has no safe wrapper; each block argues why it is sound")]

use std::fs;
use std::path::Path;

/// A thread that stands still for as long as this lives. Must be dropped on the thread that made it.
#[derive(Debug)]
pub(super) struct Frozen(i32);

impl Frozen {
    /// Stops a thread. An error where tracing isn't permitted: the engine doesn't let processes of its own user look into it, so
    /// this takes `CAP_SYS_PTRACE`.
    pub(super) fn freeze(process: u32, thread: &str) -> Result<Self, String> {
        let task =
            task(process, thread).ok_or_else(|| format!("process {process} has no thread {thread}"))?;
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: attaches to a thread of another process; no memory of ours is involved.
        if unsafe { libc::ptrace(libc::PTRACE_SEIZE, task, none, none) } != 0 {
            let error = std::io::Error::last_os_error();
            return Err(format!("stopping a single thread isn't permitted here ({error}): run as root"));
        }
        let frozen = Self(task);
        // SAFETY: as above; the thread was seized.
        if unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, task, none, none) } != 0 {
            return Err(std::io::Error::last_os_error().to_string());
        }
        Ok(frozen)
    }

    /// Whether the kernel says that it stands still.
    pub(super) fn is_frozen(&self, process: u32) -> bool {
        let path = format!("/proc/{process}/task/{}/stat", self.0);
        let stat = fs::read_to_string(path).unwrap_or_default();
        // The state follows the name, which stands in brackets and may hold anything.
        stat.rsplit(')')
            .next()
            .is_some_and(|rest| matches!(rest.trim_start().as_bytes().first(), Some(b't' | b'T')))
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: detaches from the thread that was seized; if it is gone, nothing happens.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}

/// Whether this process may stop a thread of an engine: `CAP_SYS_PTRACE`, bit 19 of the effective set.
pub(super) fn is_possible() -> Result<(), String> {
    let status = fs::read_to_string("/proc/self/status").map_err(|e| format!("/proc/self/status: {e}"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let set = line.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    let may = set & (1 << 19) != 0;
    may.then_some(()).ok_or_else(|| {
        "frozen-control needs CAP_SYS_PTRACE: run as root, or leave it out by --only".to_owned()
    })
}

fn task(process: u32, thread: &str) -> Option<i32> {
    let tasks = fs::read_dir(Path::new("/proc").join(process.to_string()).join("task")).ok()?;
    tasks
        .flatten()
        .find(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == thread))
        .and_then(|task| task.file_name().to_str()?.parse().ok())
}
