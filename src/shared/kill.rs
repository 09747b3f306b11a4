//! The kill page: one memory-mapped page that the hot path reads for every order (R-HOT-4), and that the control thread, the
//! operator's command and the separate halt tool can all trip without asking any other thread.
//!
//! Rules, each with a test:
//! - Only the exact armed pattern means armed: a missing, zeroed, truncated or foreign page is tripped (K6). A page that is
//!   cut short while mapped is covered with zeros (`sigbus.rs`), which is tripped too, and the engine lives on.
//! - The level only rises by compare-and-swap; lowering is [`KillPage::arm`], another call with its own preconditions
//!   (cause, role, reconcile), which its callers in `ops` hold.
//! - Risk-increasing orders need `level < 3` **and** a running lease. The control thread renews the lease only while it finds
//!   the engine healthy; if it hangs, the lease runs out and risk and gateway go risk-off alone.
//! - Cancels, closes and reconcile never ask this page.
//!
//! What spinning threads write all the time (heartbeats, the count of open orders) is not on the page but in ordinary memory of
//! the engine: a store to a mapped file faults after each writeback and may then wait for the file system, and a hung disk
//! would hang the stage. The control thread copies what outsiders want to see ([`KillPage::mirror`]).
//!
//! How the words are coded and may change is in `halt.rs`.
#![expect(unsafe_code, reason = "maps a file and views it as atomics; each block argues why that is sound")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::halt::{self, Trip, Word};
pub use super::halt::{HaltLevel, HaltView};
use super::sigbus;
use crate::limits::HEARTBEATS_MAX;
use crate::types::{Now, Reason};

/// Words of the page. All are little-endian 64-bit words written by atomics. What the hot path reads is on the first
/// cache line and is written rarely; the rest is on the second.
mod word {
    pub(super) const MAGIC: usize = 0;
    pub(super) const VERSION: usize = 1;
    pub(super) const BOOT: usize = 2;
    /// Epoch, cause and level: see `halt::state`.
    pub(super) const STATE: usize = 3;
    /// See `halt::lease_word`.
    pub(super) const LEASE: usize = 4;
    /// When the last trip was, nanoseconds since the epoch.
    pub(super) const TRIPPED_NS: usize = 5;
    pub(super) const PID: usize = 6;
    /// Last halt epoch that the gateway acted on.
    pub(super) const SEEN_EPOCH: usize = 8;
    /// Orders that may be open, as the gateway counted them when the control thread last looked.
    pub(super) const OPEN_ORDERS: usize = 9;
    /// Halt epoch for which the venue said that nothing is open (sealed), and when.
    pub(super) const SILENT_EPOCH: usize = 10;
    pub(super) const SILENT_NS: usize = 11;
    /// Halt epoch within which our record was found to agree with the venue's (sealed).
    pub(super) const RECONCILED_EPOCH: usize = 12;
}

const MAGIC: u64 = u64::from_le_bytes(*b"ILKPAGE1");
const VERSION: u64 = 3;
/// Size of the page file.
pub const PAGE_BYTES: usize = 4096;
const WORDS: usize = PAGE_BYTES / 8;

/// Why a page can't be trusted any more. Each is tripped; the difference is for the operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PageFault {
    /// Magic, version or boot id are not what this boot wrote.
    #[error("the kill page's identity is gone: it was zeroed, overwritten or taken over")]
    Foreign,
    /// The file is shorter than a page.
    #[error("the kill page's file was cut short")]
    Truncated,
    /// The path is gone or names another file, so an outside trip would no longer reach this engine.
    #[error("the kill page's file was removed or replaced")]
    Replaced,
}

/// A word on a cache line of its own, so that spinning threads don't pass a line to and fro.
#[derive(Debug, Default)]
#[repr(align(64))]
struct OwnLine(AtomicU64);

/// What the engine's own threads write all the time.
#[derive(Debug, Default)]
struct Pulse {
    heartbeats: [OwnLine; HEARTBEATS_MAX],
    open_orders: OwnLine,
}

/// The mapped page. Shared by reference between threads, and by the file between processes.
#[derive(Debug)]
pub struct KillPage {
    /// Before the mapping, so that it is dropped first.
    _guard: sigbus::Guard,
    map: memmap2::MmapRaw,
    boot_id: u64,
    /// Held so that the file stays open for checks of its length.
    file: File,
    path: PathBuf,
    /// The trip that was in force when this boot took the page over.
    inherited: Option<Reason>,
    pulse: Box<Pulse>,
    /// Whether this process made the page for its boot: the engine.
    is_engine: bool,
}

impl KillPage {
    /// Makes (or takes over) the page for a new boot: tripped, with no lease. `boot_id` must differ between boots and
    /// not be 0.
    pub fn create(path: &Path, boot_id: u64, now: Now) -> io::Result<Self> {
        assert!(boot_id != 0, "boot id 0 is what a zeroed page has");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
            .open(path)?;
        let inherited = inherited(&file);
        // Zeros first: a reader from now on sees a tripped page, and the blocks are there, so that a full disk is an error
        // here and not a SIGBUS at the first store.
        file.write_all(&[0; PAGE_BYTES])?;
        file.set_len(PAGE_BYTES as u64)?;
        file.sync_all()?;
        let mut page = Self::map(file, path, boot_id)?;
        page.inherited = inherited;
        page.is_engine = true;
        // Identity last: whoever reads half of this sees a foreign or a tripped page.
        page.store(word::STATE, halt::state(1, Reason::Boot, HaltLevel::RiskOff));
        page.store(word::TRIPPED_NS, now.ns.unsigned_abs());
        page.store(word::PID, u64::from(std::process::id()));
        page.store(word::VERSION, VERSION);
        page.store(word::BOOT, boot_id);
        page.store(word::MAGIC, MAGIC);
        Ok(page)
    }

    /// Maps an existing page to trip or read it (the halt tool, `status`). The page's own boot id is taken.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC | libc::O_NONBLOCK)
            .open(path)?;
        let length = file.metadata()?.len();
        if length < PAGE_BYTES as u64 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the kill page {} is cut short: {length} of {PAGE_BYTES} bytes", path.display()),
            ));
        }
        let mut page = Self::map(file, path, 0)?;
        page.boot_id = page.load(word::BOOT);
        Ok(page)
    }

    fn map(file: File, path: &Path, boot_id: u64) -> io::Result<Self> {
        let map = memmap2::MmapOptions::new().len(PAGE_BYTES).map_raw(&file)?;
        // Best effort: a page that stays in memory is read without a fault.
        let _locked = map.lock();
        let guard = sigbus::Guard::new(map.as_ptr() as usize)?;
        Ok(Self {
            _guard: guard,
            map,
            boot_id,
            file,
            path: path.to_path_buf(),
            inherited: None,
            pulse: Box::default(),
            is_engine: false,
        })
    }

    #[inline]
    #[expect(clippy::cast_ptr_alignment, reason = "a mapping starts on a page boundary")]
    fn words(&self) -> &[AtomicU64] {
        // SAFETY: the mapping is PAGE_BYTES long, page-aligned, lives as long as `self`, and all access by this program
        // (every process that maps it) is through these atomics. AtomicU64 has no invalid bit pattern. If the file is cut
        // short, the guard puts zeros there.
        unsafe { std::slice::from_raw_parts(self.map.as_ptr().cast::<AtomicU64>(), WORDS) }
    }
    #[inline]
    fn load(&self, at: usize) -> u64 {
        self.words()[at].read()
    }
    fn store(&self, at: usize, value: u64) {
        self.words()[at].write(value);
    }
    #[inline]
    fn is_ours(&self) -> bool {
        self.load(word::MAGIC) == MAGIC
            && self.load(word::VERSION) == VERSION
            && self.load(word::BOOT) == self.boot_id
            && self.boot_id != 0
    }

    /// Reads level, epoch and lease: what the hot path does for every order. Anything unexpected is tripped.
    #[inline]
    pub fn view(&self, now: Now) -> HaltView {
        let words = self.words();
        let view = halt::view(&words[word::STATE], &words[word::LEASE], now);
        if self.is_ours() {
            return view;
        }
        // The page was lost; a trip in this process can still raise the level above risk-off and is obeyed.
        HaltView { level: view.level.max(HaltLevel::RiskOff), lease_valid: false, ..view }
    }

    /// Raises the level; never lowers it. Returns the halt epoch in force. Any thread, any process.
    pub fn trip(&self, level: HaltLevel, reason: Reason, now_ns: i64) -> u64 {
        self.trip_once(level, reason, now_ns).epoch
    }

    /// As [`KillPage::trip`], and says whether this call raised the level.
    pub fn trip_once(&self, level: HaltLevel, reason: Reason, now_ns: i64) -> Trip {
        let trip = halt::trip(&self.words()[word::STATE], level, reason);
        if trip.raised {
            self.store(word::TRIPPED_NS, now_ns.unsigned_abs());
        }
        trip
    }

    /// Lowers the level to armed, if the state is still the one that the caller examined (`epoch`) and the page is whole. The
    /// caller has seen to cause, role and reconcile, and has made the record durable. Returns whether it took effect.
    pub fn arm(&self, epoch: u64) -> bool {
        self.is_ours() && halt::arm(&self.words()[word::STATE], epoch)
    }

    /// Lets the lease run until `until_mono_ns` of the engine's monotonic clock. Control thread only.
    pub fn renew_lease(&self, until_mono_ns: i64) {
        self.store(word::LEASE, halt::lease_word(until_mono_ns));
    }

    /// The lease's end on the engine's monotonic clock; 0 for none.
    pub fn lease_until(&self) -> i64 {
        let until_us = halt::unseal(self.load(word::LEASE)).unwrap_or(0);
        i64::try_from(until_us.saturating_mul(1_000)).unwrap_or(i64::MAX)
    }

    /// The cause and wall-clock time of the trip in force; [`Reason::None`] while armed.
    pub fn last_trip(&self) -> (Reason, i64) {
        let reason =
            if self.is_ours() { halt::reason_of(self.load(word::STATE)) } else { Reason::PageUnreadable };
        (reason, i64::try_from(self.load(word::TRIPPED_NS)).unwrap_or(0))
    }

    /// Gateway: acted on this halt epoch.
    pub fn set_seen(&self, epoch: u64) {
        self.store(word::SEEN_EPOCH, epoch);
    }
    /// Gateway: how many orders may be open.
    pub fn set_open_orders(&self, orders: u64) {
        self.pulse.open_orders.0.write(orders);
    }
    /// Orders that may be open, as the gateway last counted; seen from outside, a moment old.
    pub fn open_orders(&self) -> u64 {
        if self.is_engine { self.pulse.open_orders.0.read() } else { self.load(word::OPEN_ORDERS) }
    }
    /// Control thread: copies to the page what outsiders want to see of the engine's pulse.
    pub fn mirror(&self) {
        let open_orders = self.open_orders();
        if self.load(word::OPEN_ORDERS) != open_orders {
            self.store(word::OPEN_ORDERS, open_orders);
        }
    }
    /// Last halt epoch that the gateway acted on.
    pub fn seen(&self) -> u64 {
        self.load(word::SEEN_EPOCH)
    }
    /// Gateway: the venue answered, after this halt epoch began, that nothing is open.
    pub fn set_silent(&self, epoch: u64, now_ns: i64) {
        self.store(word::SILENT_NS, now_ns.unsigned_abs());
        self.store(word::SILENT_EPOCH, halt::seal(epoch));
    }
    /// The last halt epoch for which the venue said that nothing is open, and when. Zeros if it never did.
    pub fn silent(&self) -> (u64, i64) {
        let epoch = halt::unseal(self.load(word::SILENT_EPOCH)).unwrap_or(0);
        (epoch, i64::try_from(self.load(word::SILENT_NS)).unwrap_or(0))
    }
    /// Gateway: within this halt epoch, our record of orders, fills and balances was found to agree with the venue's. What
    /// arming waits for.
    pub fn set_reconciled(&self, epoch: u64) {
        self.store(word::RECONCILED_EPOCH, halt::seal(epoch));
    }
    /// The last halt epoch within which a reconcile balanced; 0 if none.
    pub fn reconciled(&self) -> u64 {
        halt::unseal(self.load(word::RECONCILED_EPOCH)).unwrap_or(0)
    }

    /// A thread's sign of life. In the engine only.
    #[inline]
    pub fn heartbeat(&self, thread: usize, now: Now) {
        if let Some(beat) = self.pulse.heartbeats.get(thread) {
            // Relaxed: the value stands for itself.
            beat.0.store(now.mono_ns.unsigned_abs(), Ordering::Relaxed);
        }
    }
    /// A thread's last sign of life, monotonic nanoseconds; 0 for none.
    pub fn last_heartbeat(&self, thread: usize) -> i64 {
        let beat = self.pulse.heartbeats.get(thread).map_or(0, |beat| beat.0.load(Ordering::Relaxed)); // as above
        i64::try_from(beat).unwrap_or(0)
    }

    /// The cause of the trip that was in force when [`KillPage::create`] took the page over from an earlier boot: `None` if it
    /// was armed, or tripped by its own start only, or there was no page. So a trip outlives its engine even if that died
    /// before the marker was written (K5).
    pub const fn inherited(&self) -> Option<Reason> {
        self.inherited
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
    /// Whether the page is still the one that others would find at its path, whole and ours. For the control thread: some
    /// system calls.
    pub fn inspect(&self) -> Result<(), PageFault> {
        if !self.is_whole() {
            return Err(PageFault::Truncated);
        }
        if !self.is_ours() {
            return Err(PageFault::Foreign);
        }
        let held = self.file.metadata().ok().map(|m| (m.dev(), m.ino()));
        let named = fs::symlink_metadata(&self.path).ok().map(|m| (m.dev(), m.ino()));
        if named.is_none() || held != named { Err(PageFault::Replaced) } else { Ok(()) }
    }
}

/// The trip that an earlier boot left on the page. What can't be read was tripped.
fn inherited(file: &File) -> Option<Reason> {
    let mut bytes = [0; PAGE_BYTES];
    match file.metadata() {
        Ok(meta) if meta.len() == 0 => return None, // made just now
        _ => {}
    }
    if file.read_exact_at(&mut bytes, 0).is_err() {
        return Some(Reason::PageUnreadable);
    }
    let word = |at: usize| {
        let mut word = [0; 8];
        word.copy_from_slice(&bytes[at * 8..at * 8 + 8]);
        u64::from_le_bytes(word)
    };
    let state = word(word::STATE);
    if word(word::MAGIC) != MAGIC || word(word::VERSION) != VERSION {
        return Some(Reason::PageUnreadable);
    }
    match halt::known_level(state) {
        None => Some(Reason::PageUnreadable),
        Some(level) if level < HaltLevel::RiskOff => None,
        Some(_) => Some(halt::reason_of(state)).filter(|&reason| reason != Reason::Boot),
    }
}
