//! The kill page: one memory-mapped page that the hot path reads for every order (R-HOT-4), and that the control thread, the
//! operator's command and the separate halt tool can all trip without asking any other thread.
//!
//! Rules, each with a test:
//! - Only the exact armed pattern means armed: a missing, zeroed, truncated or foreign page is tripped.
//! - The level only rises by compare-and-swap; lowering is [`KillPage::arm`], another call with its own preconditions
//!   (cause, role, reconcile), which its callers in `ops` hold.
//! - Risk-increasing orders need `level < 3` **and** a running lease. The control thread renews the lease only while it finds
//!   the engine healthy; if it hangs, the lease runs out and risk and gateway go risk-off alone.
//! - Cancels, closes and reconcile never ask this page.
#![expect(unsafe_code, reason = "maps a file and views it as atomics; each block argues why that is sound")]

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::HEARTBEATS_MAX;
use crate::types::{Now, Reason};

/// How far trading is halted. Levels only rise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum HaltLevel {
    /// Armed: trading is possible.
    None = 0,
    /// One order was rejected.
    Order = 1,
    /// A symbol or strategy is frozen.
    Symbol = 2,
    /// No new or increasing exposure; cancel, close and reconcile stay alive.
    RiskOff = 3,
    /// Everything is cancelled and order entry is closed.
    CancelAll = 4,
    /// Drained and stopped.
    Stopped = 5,
}

impl HaltLevel {
    /// From a number; anything unknown is risk-off.
    pub const fn from_u8(level: u8) -> Self {
        match level {
            0 => Self::None,
            1 => Self::Order,
            2 => Self::Symbol,
            4 => Self::CancelAll,
            5 => Self::Stopped,
            _ => Self::RiskOff,
        }
    }
}

/// Words of the page. All are little-endian 64-bit words written by atomics.
mod word {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 1;
    pub(super) const BOOT: usize = 2;
    /// Halt epoch (upper 48 bits), level pattern (lower 16).
    pub(super) const STATE: usize = 3;
    pub(super) const LEASE_UNTIL: usize = 4;
    /// Reason code of the last trip.
    pub(super) const REASON: usize = 5;
    /// When the last trip was, nanoseconds since the epoch.
    pub(super) const TRIPPED_NS: usize = 6;
    /// Halt epoch for which the venue said that nothing is open, and when.
    pub(super) const SILENT_EPOCH: usize = 7;
    pub(super) const SILENT_NS: usize = 8;
    /// Orders that may be open, as the gateway counts them.
    pub(super) const OPEN_ORDERS: usize = 9;
    /// Last halt epoch that the gateway acted on.
    pub(super) const SEEN_EPOCH: usize = 10;
    pub(super) const PID: usize = 11;
    pub(super) const HEARTBEATS: usize = 16;
}

const MAGIC: u64 = u64::from_le_bytes(*b"ILKPAGE1");
const VERSION: u64 = 1;
/// Size of the page file.
pub const PAGE_BYTES: usize = 4096;
const WORDS: usize = PAGE_BYTES / 8;
/// Level patterns: `LEVEL_PATTERN + level`. Zero, and anything else, is not among them.
const LEVEL_PATTERN: u64 = 0xA5C0;

const _: () = assert!(word::HEARTBEATS + HEARTBEATS_MAX <= WORDS);

/// What one read of the page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HaltView {
    /// The level.
    pub level: HaltLevel,
    /// How often the state changed in this boot.
    pub epoch: u64,
    /// Whether the lease runs.
    pub lease_valid: bool,
}

impl HaltView {
    /// Whether an order that adds risk may leave.
    pub const fn allows_risk(self) -> bool {
        (self.level as u8) < HaltLevel::RiskOff as u8 && self.lease_valid
    }
    /// Why it may not.
    pub const fn reason(self) -> Reason {
        if self.level as u8 >= HaltLevel::RiskOff as u8 {
            Reason::KillTripped
        } else if self.lease_valid {
            Reason::None
        } else {
            Reason::LeaseExpired
        }
    }
    /// What an engine without a page sees.
    pub const TRIPPED: Self = Self { level: HaltLevel::RiskOff, epoch: 0, lease_valid: false };
}

/// The mapped page. Shared by reference between threads, and by the file between processes.
#[derive(Debug)]
pub struct KillPage {
    map: memmap2::MmapRaw,
    boot_id: u64,
    /// Held so that the file stays open for checks of its length.
    file: File,
}

impl KillPage {
    /// Makes (or takes over) the page for a new boot: tripped, with no lease. `boot_id` must differ between boots and
    /// not be 0.
    pub fn create(path: &Path, boot_id: u64, now: Now) -> io::Result<Self> {
        assert!(boot_id != 0, "boot id 0 is what a zeroed page has");
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        file.set_len(PAGE_BYTES as u64)?;
        let page = Self::map(file, boot_id)?;
        // Tripped first, identity last: whoever reads half of this sees a foreign or a tripped page.
        page.store(word::STATE, state(1, HaltLevel::RiskOff));
        for at in word::LEASE_UNTIL..WORDS {
            page.store(at, 0);
        }
        page.store(word::REASON, Reason::Boot as u64);
        page.store(word::TRIPPED_NS, now.ns.unsigned_abs());
        page.store(word::VERSION, VERSION);
        page.store(word::PID, u64::from(std::process::id()));
        page.store(word::BOOT, boot_id);
        page.store(word::MAGIC, MAGIC);
        Ok(page)
    }

    /// Maps an existing page to trip or read it (the halt tool, `status`). The page's own boot id is taken.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        if file.metadata()?.len() < PAGE_BYTES as u64 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the kill page is truncated"));
        }
        let mut page = Self::map(file, 0)?;
        page.boot_id = page.load(word::BOOT);
        Ok(page)
    }

    fn map(file: File, boot_id: u64) -> io::Result<Self> {
        let map = memmap2::MmapOptions::new().len(PAGE_BYTES).map_raw(&file)?;
        Ok(Self { map, boot_id, file })
    }

    #[inline]
    #[expect(clippy::cast_ptr_alignment, reason = "a mapping starts on a page boundary")]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is PAGE_BYTES long, page-aligned, lives as long as `self`, and all access by this program
        // (every process that maps it) is through these atomics. AtomicU64 has no invalid bit pattern.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), WORDS) }
    }
    #[inline]
    fn load(&self, at: usize) -> u64 {
        self.words()[at].load(Ordering::Acquire) // pairs with the releases below
    }
    fn store(&self, at: usize, value: u64) {
        self.words()[at].store(value, Ordering::Release);
    }

    /// Reads level, epoch and lease: what the hot path does for every order. Anything unexpected is tripped.
    #[inline]
    pub fn view(&self, now: Now) -> HaltView {
        let state = self.load(word::STATE);
        let ours = self.load(word::MAGIC) == MAGIC
            && self.load(word::VERSION) == VERSION
            && self.load(word::BOOT) == self.boot_id
            && self.boot_id != 0;
        if !ours {
            return HaltView::TRIPPED;
        }
        let lease_until = i64::try_from(self.load(word::LEASE_UNTIL)).unwrap_or(0);
        HaltView { level: level_of(state), epoch: state >> 16, lease_valid: now.mono_ns < lease_until }
    }

    /// Raises the level; never lowers it. Returns the halt epoch of the trip. Any thread, any process.
    pub fn trip(&self, level: HaltLevel, reason: Reason, now_ns: i64) -> u64 {
        let cell = &self.words()[word::STATE];
        let mut current = cell.load(Ordering::Acquire);
        loop {
            let raised = level_of(current).max(level);
            let known = is_level_pattern(current);
            // Nothing to raise: the trip is already in force and keeps its first cause.
            if known && raised == level_of(current) {
                return current >> 16;
            }
            let next = state((current >> 16).wrapping_add(1), raised);
            // AcqRel: a tripper sees what earlier trippers wrote, and whoever acquires the new state sees this trip.
            match cell.compare_exchange_weak(current, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => {
                    self.store(word::REASON, reason as u64);
                    self.store(word::TRIPPED_NS, now_ns.unsigned_abs());
                    return next >> 16;
                }
                Err(seen) => current = seen,
            }
        }
    }

    /// Lowers the level to armed, if the state is still the one that the caller examined (`epoch`). The caller has seen to
    /// cause, role and reconcile, and has made the record durable. Returns whether it took effect.
    pub fn arm(&self, epoch: u64) -> bool {
        let cell = &self.words()[word::STATE];
        let current = cell.load(Ordering::Acquire);
        if current >> 16 != epoch {
            return false;
        }
        // A trip between the examination and here changes the epoch and wins.
        cell.compare_exchange(current, state(epoch + 1, HaltLevel::None), Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Lets the lease run until `until_mono_ns` of the engine's monotonic clock. Control thread only.
    pub fn renew_lease(&self, until_mono_ns: i64) {
        self.store(word::LEASE_UNTIL, until_mono_ns.max(0).unsigned_abs());
    }

    /// The reason and wall-clock time of the last trip.
    pub fn last_trip(&self) -> (Reason, i64) {
        let reason = u16::try_from(self.load(word::REASON)).ok().and_then(Reason::from_code);
        (reason.unwrap_or(Reason::PageUnreadable), i64::try_from(self.load(word::TRIPPED_NS)).unwrap_or(0))
    }

    /// Gateway: acted on this halt epoch.
    pub fn set_seen(&self, epoch: u64) {
        self.store(word::SEEN_EPOCH, epoch);
    }
    /// Gateway: how many orders may be open.
    pub fn set_open_orders(&self, orders: u64) {
        self.store(word::OPEN_ORDERS, orders);
    }
    /// Orders that may be open, as the gateway last counted.
    pub fn open_orders(&self) -> u64 {
        self.load(word::OPEN_ORDERS)
    }
    /// Last halt epoch that the gateway acted on.
    pub fn seen(&self) -> u64 {
        self.load(word::SEEN_EPOCH)
    }
    /// Gateway: the venue answered, after this halt epoch began, that nothing is open.
    pub fn set_silent(&self, epoch: u64, now_ns: i64) {
        self.store(word::SILENT_NS, now_ns.unsigned_abs());
        self.store(word::SILENT_EPOCH, epoch);
    }
    /// The last halt epoch for which the venue said that nothing is open, and when.
    pub fn silent(&self) -> (u64, i64) {
        (self.load(word::SILENT_EPOCH), i64::try_from(self.load(word::SILENT_NS)).unwrap_or(0))
    }

    /// A thread's sign of life.
    #[inline]
    pub fn heartbeat(&self, thread: usize, now: Now) {
        if thread < HEARTBEATS_MAX {
            // Relaxed: the value stands for itself.
            self.words()[word::HEARTBEATS + thread].store(now.mono_ns.unsigned_abs(), Ordering::Relaxed);
        }
    }
    /// A thread's last sign of life, monotonic nanoseconds.
    pub fn last_heartbeat(&self, thread: usize) -> i64 {
        if thread >= HEARTBEATS_MAX {
            return 0;
        }
        i64::try_from(self.load(word::HEARTBEATS + thread)).unwrap_or(0)
    }

    /// The engine's process id, as it wrote it.
    pub fn pid(&self) -> u64 {
        self.load(word::PID)
    }
    /// The boot id on the page.
    pub fn boot_id(&self) -> u64 {
        self.load(word::BOOT)
    }
    /// Whether the file still has its full length.
    pub fn is_whole(&self) -> bool {
        self.file.metadata().is_ok_and(|m| m.len() >= PAGE_BYTES as u64)
    }
}

const fn state(epoch: u64, level: HaltLevel) -> u64 {
    epoch << 16 | (LEVEL_PATTERN + level as u64)
}
const fn is_level_pattern(state: u64) -> bool {
    let pattern = state & 0xFFFF;
    pattern >= LEVEL_PATTERN && pattern <= LEVEL_PATTERN + HaltLevel::Stopped as u64
}
fn level_of(state: u64) -> HaltLevel {
    if is_level_pattern(state) {
        HaltLevel::from_u8(u8::try_from((state & 0xFFFF) - LEVEL_PATTERN).unwrap_or(u8::MAX))
    } else {
        HaltLevel::RiskOff
    }
}
