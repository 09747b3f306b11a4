//! Signed checkpoints of a running journal, on a timer and at the end: how long the journal was, and its head's hash. A
//! chain can't show by itself that its tail was cut; a checkpoint that was copied off the host can (P8). The notes are
//! appended to one file, the newest last, for whatever carries them away.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::time::Duration;

use crate::agent::{Agent, Clock};
use crate::journal::ControlHandle;
use crate::journal::note::{Checkpoint, SigningKey};
use crate::ops::events::{Event, EventSender, Level};
use crate::types::Now;
use crate::types::time::NS_PER_S;

/// How long the journal may take to say where its head is.
const HEAD_WITHIN: Duration = Duration::from_secs(2);

/// The agent that makes them. Cold: it waits for the journal's thread.
#[derive(Debug)]
pub struct Checkpoints {
    /// The journal.
    pub journal: ControlHandle,
    /// The chain's id.
    pub chain_id: [u8; 16],
    /// Who signs.
    pub key: SigningKey,
    /// Where the notes go.
    pub path: PathBuf,
    /// How often.
    pub every_s: u64,
    /// For what went wrong.
    pub events: EventSender,
    /// The engine's clock.
    pub clock: Clock,
    /// When the next is due, monotonic.
    pub due_ns: i64,
    /// The last one's length.
    pub last_size: u64,
}

impl Checkpoints {
    fn make(&mut self) {
        let now = self.clock.now();
        self.due_ns = now.mono_ns + i64::try_from(self.every_s).unwrap_or(i64::MAX / NS_PER_S) * NS_PER_S;
        let made = self.journal.head(HEAD_WITHIN).map_err(|e| e.to_string()).and_then(|head| {
            if head.seq == self.last_size {
                return Ok(());
            }
            let origin = Checkpoint::origin_of(&self.chain_id);
            let checkpoint = Checkpoint { origin, size: head.seq, head: head.hash, wall_ns: now.ns };
            let note = self.key.sign(&checkpoint);
            self.last_size = head.seq;
            self.append(&note).map_err(|e| format!("{}: {e}", self.path.display()))
        });
        if let Err(why) = made {
            self.events.send(Event::new(now.ns, Level::Warn, "CHECKPOINT_FAILED").with("why", why));
        }
    }

    fn append(&self, note: &str) -> std::io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?;
        file.write_all(note.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_data()
    }
}

impl Agent for Checkpoints {
    fn name(&self) -> &'static str {
        "checkpoints"
    }

    fn poll(&mut self, now: Now) -> usize {
        if now.mono_ns < self.due_ns {
            return 0;
        }
        self.make();
        1
    }

    fn on_stop(&mut self, _now: Now) {
        self.make();
    }
}
