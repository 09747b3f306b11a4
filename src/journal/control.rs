//! The journal's cold door: the control thread's records, with an answer when they are durable; and the journal's state of
//! health, for whoever renews the lease.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::time::Duration;

use crate::journal::entry::{Control, Entry};
use crate::journal::frame::Hash;
use crate::types::Now;

/// Why a control record is not durable. What depends on it must not take effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The journal failed.
    #[error("the journal failed and takes no records: {why}")]
    Failed {
        /// The first failure.
        why: String,
    },
    /// No answer in time. The record may become durable later; what it announces must not take effect.
    #[error("the journal did not confirm the record in time")]
    Deadline,
    /// Too many records wait.
    #[error("too many control records wait for the journal")]
    Busy,
    /// The journal's thread has ended.
    #[error("the journal has been closed")]
    Closed,
    /// Not a record that may come this way.
    #[error("a {what} record does not come from the control thread")]
    NotCold {
        /// Its type.
        what: &'static str,
    },
}

/// Where the chain stood when a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Number of the last durable record; for an appended record its own number or a later one.
    pub seq: u64,
    /// Its hash.
    pub hash: Hash,
}

/// What an append answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The record's number; 0 for a request that was only about the head.
    pub seq: u64,
    /// The durable head.
    pub head: Head,
}

pub(crate) type Answer = Result<Appended, AppendError>;

/// A request to the writer.
#[derive(Debug)]
pub(crate) struct Request {
    /// What to append; `None` asks for the durable head only.
    pub(crate) entry: Option<Entry>,
    pub(crate) answer: SyncSender<Answer>,
}

/// The control thread's end. Clones share the way in.
#[derive(Clone, Debug)]
pub struct ControlHandle {
    requests: SyncSender<Request>,
    health: Arc<Health>,
}

/// A request under way.
#[derive(Debug)]
pub struct Pending {
    answer: Receiver<Answer>,
}

impl Pending {
    /// The answer, if it is there.
    pub fn poll(&self) -> Option<Result<Appended, AppendError>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(TryRecvError::Empty) => None,
            Err(TryRecvError::Disconnected) => Some(Err(AppendError::Closed)),
        }
    }
    /// Waits for the answer. Cold threads only.
    pub fn wait(self, deadline: Duration) -> Result<Appended, AppendError> {
        match self.answer.recv_timeout(deadline) {
            Ok(answer) => answer,
            Err(RecvTimeoutError::Timeout) => Err(AppendError::Deadline),
            Err(RecvTimeoutError::Disconnected) => Err(AppendError::Closed),
        }
    }
}

impl ControlHandle {
    pub(crate) fn new(slots: usize, health: Arc<Health>) -> (Self, Receiver<Request>) {
        let (requests, receiver) = sync_channel(slots);
        (Self { requests, health }, receiver)
    }

    /// Appends a cold record and returns once it is durable: for what must be durable before it takes effect (arming,
    /// resets, limit changes, sign-offs). Any error means that it must not take effect.
    pub fn append_durable(&self, entry: Entry, deadline: Duration) -> Result<u64, AppendError> {
        self.submit(entry)?.wait(deadline).map(|a| a.seq)
    }

    /// [`ControlHandle::append_durable`] for an act of the control thread.
    pub fn record_durable(&self, control: Control, deadline: Duration) -> Result<u64, AppendError> {
        self.append_durable(Entry::Control(Box::new(control)), deadline)
    }

    /// Appends without waiting: for what takes effect first (a trip).
    pub fn submit(&self, entry: Entry) -> Result<Pending, AppendError> {
        if !matches!(entry, Entry::Control(_) | Entry::Checkpoint(_)) {
            return Err(AppendError::NotCold { what: entry.name() });
        }
        self.request(Some(entry))
    }

    /// The durable head of the chain, for a checkpoint of a running session.
    pub fn head(&self, deadline: Duration) -> Result<Head, AppendError> {
        self.request(None)?.wait(deadline).map(|a| a.head)
    }

    /// The journal's health.
    pub const fn health(&self) -> &Arc<Health> {
        &self.health
    }

    fn request(&self, entry: Option<Entry>) -> Result<Pending, AppendError> {
        let (answer, pending) = sync_channel(1);
        match self.requests.try_send(Request { entry, answer }) {
            Ok(()) => Ok(Pending { answer: pending }),
            Err(TrySendError::Full(_)) => Err(AppendError::Busy),
            Err(TrySendError::Disconnected(_)) => Err(AppendError::Closed),
        }
    }
}

/// The journal's health, for the control thread: it renews the lease only while this is good, so that a journal that hangs
/// in a disk call takes the engine risk-off although its own thread can't.
#[derive(Debug, Default)]
pub struct Health {
    failed: AtomicBool,
    /// When the poll under way began; 0 = none. A poll takes longer than milliseconds only in disk calls.
    busy_since_mono_ns: AtomicI64,
    /// Fullest ring at the last poll, percent.
    fill_percent: AtomicU64,
    /// A stage found its ring full.
    ring_full: AtomicBool,
}

impl Health {
    /// Whether the journal works and has not waited for the disk for longer than `stall_ns`.
    pub fn is_healthy(&self, now: Now, stall_ns: i64) -> bool {
        !self.is_failed() && self.busy_ns(now) < stall_ns && !self.ring_full.load(Ordering::Acquire)
    }
    /// Whether it failed for good.
    pub fn is_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire) // pairs with `set_failed`: the failure's counters are seen with it
    }
    /// For how long it has been in one poll, which only the disk can make long.
    pub fn busy_ns(&self, now: Now) -> i64 {
        match self.busy_since_mono_ns.load(Ordering::Acquire) {
            0 => 0,
            since => (now.mono_ns - since).max(0),
        }
    }
    /// How full the fullest ring was at the writer's last poll, percent.
    pub fn fill_percent(&self) -> u64 {
        self.fill_percent.load(Ordering::Relaxed) // stands for itself
    }
    /// A stage could not push: nothing was lost if it held its record back, but trading must stop. Any thread.
    pub fn report_ring_full(&self) {
        self.ring_full.store(true, Ordering::Release);
    }

    pub(crate) fn take_ring_full(&self) -> bool {
        // Swap only when set: the common case stays a load.
        self.ring_full.load(Ordering::Acquire) && self.ring_full.swap(false, Ordering::AcqRel)
    }
    pub(crate) fn set_failed(&self) {
        self.failed.store(true, Ordering::Release);
    }
    pub(crate) fn set_busy_since(&self, mono_ns: i64) {
        self.busy_since_mono_ns.store(mono_ns, Ordering::Release);
    }
    pub(crate) fn set_fill_percent(&self, percent: u64) {
        self.fill_percent.store(percent, Ordering::Relaxed);
    }
}
