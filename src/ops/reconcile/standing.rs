//! Where the reconcile stands: what the worker tells the control thread, and who asked for what. Atomics, one writer each but
//! for the counter of requests, which anyone may raise.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};

use rtrb::{Consumer, Producer};
use serde::{Deserialize, Serialize};

use crate::types::InstrumentId;

/// How a round ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not one has ended yet.
    #[default]
    None,
    /// Everything agrees.
    Balanced,
    /// Something does not, and did not the last times either.
    Mismatch,
    /// The venue could not be asked: nothing is known, which is not the same as nothing being wrong (F12).
    Unknown,
    /// The account would not stand still for long enough to be compared.
    Moving,
}

/// One round, for people and for the record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// When, nanoseconds since the epoch.
    pub at_ns: i64,
    /// How long it took, microseconds.
    pub took_us: i64,
    /// How often everything was asked.
    pub attempts: u32,
    /// Fills that were recovered from the venue's list.
    pub fills_recovered: u32,
    /// Orders of ours that were taken up.
    pub orders_adopted: u32,
    /// Orders whose end was learned by asking.
    pub orders_resolved: u32,
    /// Orders of others on the account.
    pub foreign_orders: u32,
    /// What does not agree, in words; or why the venue could not be asked.
    pub differences: Vec<String>,
    /// Instruments on which no entry may be made until it is settled; empty with differences = all.
    #[serde(skip)]
    pub frozen: Vec<InstrumentId>,
}

/// Shared by the reconciler, the journal's thread and the control thread.
#[derive(Debug, Default)]
pub struct Standing {
    asked: AtomicU64,
    /// The last request that a finished round had seen when it began, and whether it balanced.
    answered: AtomicU64,
    balanced: AtomicU64,
    /// Monotonic time of the last balanced round; 0 for none.
    balanced_mono_ns: AtomicI64,
    rounds: AtomicU64,
    /// A difference stands: nobody may arm.
    is_open: AtomicBool,
    /// What the venue says is to be taken as right, once.
    adopt: AtomicBool,
}

impl Standing {
    /// Asks for a round that begins after now. The number to wait for.
    pub fn ask(&self) -> u64 {
        // AcqRel: whoever sees the number sees what the asker did before.
        self.asked.fetch_add(1, Ordering::AcqRel) + 1
    }
    /// The last number that was asked for.
    pub fn asked(&self) -> u64 {
        self.asked.load(Ordering::Acquire)
    }
    /// Asks that the venue's figures be taken as right in the round that answers this.
    pub fn ask_to_adopt(&self) -> u64 {
        // The wish first: a round that answers the number has seen it.
        self.adopt.store(true, Ordering::Release);
        self.ask()
    }
    /// Takes the wish to adopt, if there is one.
    pub fn take_adopt(&self) -> bool {
        self.adopt.swap(false, Ordering::AcqRel)
    }
    /// Whether a round that began after this was asked has ended.
    pub fn is_answered(&self, number: u64) -> bool {
        self.answered.load(Ordering::Acquire) >= number
    }
    /// Whether the last round that ended began after this was asked, and balanced.
    pub fn is_balanced_since(&self, number: u64) -> bool {
        self.balanced.load(Ordering::Acquire) >= number && !self.is_open()
    }
    /// When a round last balanced, monotonic; 0 for never.
    pub fn balanced_mono_ns(&self) -> i64 {
        self.balanced_mono_ns.load(Ordering::Acquire)
    }
    /// Whether a difference stands.
    pub fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }
    /// Rounds that ended.
    pub fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Acquire)
    }

    /// A round ended that had seen the requests up to `number` when it began. The reconciler alone.
    pub fn ended(&self, number: u64, outcome: Outcome, mono_ns: i64) {
        match outcome {
            Outcome::Balanced => {
                self.is_open.store(false, Ordering::Release);
                self.balanced_mono_ns.store(mono_ns.max(1), Ordering::Release);
                self.balanced.store(number, Ordering::Release);
            }
            Outcome::Mismatch => self.is_open.store(true, Ordering::Release),
            Outcome::None | Outcome::Unknown | Outcome::Moving => {}
        }
        self.rounds.fetch_add(1, Ordering::AcqRel);
        self.answered.store(number, Ordering::Release);
    }
}

/// The control thread's end: reports as they come, and the last one.
#[derive(Debug)]
pub struct Reports {
    ring: Consumer<Report>,
}

/// Reports that may wait.
const REPORTS: usize = 16;

/// The reports' two ends.
pub fn reports() -> (Producer<Report>, Reports) {
    let (producer, ring) = rtrb::RingBuffer::new(REPORTS);
    (producer, Reports { ring })
}

impl Reports {
    /// The next one.
    pub fn take(&mut self) -> Option<Report> {
        self.ring.pop().ok()
    }
}
