//! `events.jsonl`: what happened, for people and `jq`. One JSON object a line:
//!
//! | key | value |
//! |---|---|
//! | `ts` | when, RFC 3339 in UTC with nanoseconds |
//! | `level` | `info`, `warn`, `error` or `critical` |
//! | `event` | what, an upper-case name from a fixed set (`BOOT_SEAL`, `KILL_TRIPPED`, `COMMAND`, ...) |
//! | `fields` | an object with what belongs to it; keys are stable for each event |
//!
//! It is a convenience, not the record: the journal is the record. So writing never stops anything, and what can't be
//! written is counted. Events never carry a secret: callers pass names, numbers and reasons, never keys or requests.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_queue::ArrayQueue;
use serde_json::{Map, Value};

/// Events that may wait for the control thread.
const QUEUE: usize = 1_024;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As expected.
    Info,
    /// Someone should look.
    Warn,
    /// Someone must look.
    Error,
    /// Someone must look now: it is alerted on every channel, and readiness remembers it for 14 days.
    Critical,
}

impl Level {
    /// As written.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// One event.
#[derive(Clone, Debug)]
pub struct Event {
    /// When, nanoseconds since the epoch.
    pub at_ns: i64,
    /// How much it matters.
    pub level: Level,
    /// What.
    pub name: &'static str,
    /// What belongs to it.
    pub fields: Map<String, Value>,
}

impl Event {
    /// An event without fields.
    pub fn new(at_ns: i64, level: Level, name: &'static str) -> Self {
        Self { at_ns, level, name, fields: Map::new() }
    }
    /// With one more field.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.fields.insert(key.to_owned(), value.into());
        self
    }
    /// The line, without its end.
    pub fn line(&self) -> String {
        serde_json::json!({
            "ts": rfc3339(self.at_ns),
            "level": self.level.name(),
            "event": self.name,
            "fields": self.fields,
        })
        .to_string()
    }
}

/// Hands events to the control thread, from any cold thread. Never waits: when the queue is full, the event is counted as
/// lost.
#[derive(Clone, Debug)]
pub struct EventSender {
    queue: Arc<ArrayQueue<Event>>,
    lost: Arc<AtomicU64>,
}

impl EventSender {
    /// Hands one over.
    pub fn send(&self, event: Event) {
        if self.queue.push(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed); // a count, orders nothing
        }
    }
}

/// The log's writer. The control thread has it.
#[derive(Debug)]
pub struct Events {
    file: File,
    sender: EventSender,
    /// Kept between writes, so that a line goes out in one write.
    line: Vec<u8>,
}

impl Events {
    /// Opens the log to append. A line that a crash left unfinished is ended first, so that it spoils no other.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = open_lines(path)?;
        let sender = EventSender { queue: Arc::new(ArrayQueue::new(QUEUE)), lost: Arc::default() };
        Ok(Self { file, sender, line: Vec::new() })
    }

    /// A sender for other threads.
    pub fn sender(&self) -> EventSender {
        self.sender.clone()
    }

    /// Writes one event now. Counted as lost when that fails.
    pub fn emit(&mut self, event: &Event) {
        self.line.clear();
        self.line.extend_from_slice(event.line().as_bytes());
        self.line.push(b'\n');
        if self.file.write_all(&self.line).is_err() {
            self.sender.lost.fetch_add(1, Ordering::Relaxed); // a count, orders nothing
        }
    }

    /// Writes what other threads have sent; returns how many.
    pub fn drain(&mut self) -> usize {
        let mut written = 0;
        // Bounded by what is there now, so that a chatty sender can't keep the control thread here.
        for _ in 0..QUEUE {
            let Some(event) = self.sender.queue.pop() else { break };
            self.emit(&event);
            written += 1;
        }
        written
    }

    /// Events that could not be kept.
    pub fn lost(&self) -> u64 {
        self.sender.lost.load(Ordering::Relaxed)
    }
}

/// Opens a file of lines to append. A line that a crash left unfinished is ended first, so that it spoils no other.
pub fn open_lines(path: &Path) -> io::Result<File> {
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(0o640)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(path)?;
    if !ends_with_line(&file)? {
        file.write_all(b"\n")?;
    }
    Ok(file)
}

fn ends_with_line(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::FileExt;
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(true);
    }
    let mut last = [0u8];
    file.read_exact_at(&mut last, length - 1)?;
    Ok(last[0] == b'\n')
}

/// Nanoseconds since the epoch as RFC 3339 in UTC, always with nine decimals; empty for a time that has no such text.
pub fn rfc3339(ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(ns)).map(|t| format!("{t:.9}")).unwrap_or_default()
}

/// Appends one event from a program that has no control thread: a command that works without an engine. One write of one line,
/// so an engine that writes the same log meanwhile is not disturbed. A name that a person types is that person's word; `uid`
/// beside it is the kernel's: the real user id of this process.
pub fn append(path: &Path, event: &Event) -> io::Result<()> {
    let mut events = Events::open(path)?;
    let mut event = event.clone();
    event.fields.entry("uid").or_insert_with(|| rustix::process::getuid().as_raw().into());
    events.emit(&event);
    if events.lost() > 0 { Err(io::Error::other("the event could not be written")) } else { Ok(()) }
}
