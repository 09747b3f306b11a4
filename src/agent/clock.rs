//! The only file that reads a clock. Time reaches everyone else as an argument.
//!
//! Two times are handed out together: `ns`, nanoseconds since the epoch, for facts and requests; and `mono_ns`, which
//! never steps, for deadlines and the lease. Both come from one read of the time-stamp counter; the wall clock is
//! anchored to it by the control thread, about once a second, so that NTP's corrections arrive without a system call on
//! a hot thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::types::Now;

/// Where the wall clock stands against the counter: wall clock minus monotonic, nanoseconds. One word, so it can't tear
/// and needs no seqlock; one writer (control), many readers.
#[derive(Debug, Default)]
struct Anchor {
    epoch_minus_mono_ns: AtomicI64,
    /// How far the engine's time is moved from the host's: into a recording's.
    shift_ns: AtomicI64,
}

#[derive(Clone, Debug)]
enum Source {
    Counter { quanta: quanta::Clock, start_raw: u64 },
    Virtual(Arc<AtomicI64>),
}

/// A clock. Clones share the anchor.
#[derive(Clone, Debug)]
pub struct Clock {
    source: Source,
    anchor: Arc<Anchor>,
}

impl Clock {
    /// The system's clock. Calibrates the time-stamp counter, which takes up to 200 ms: make one in `main` and clone it.
    pub fn system() -> Self {
        let quanta = quanta::Clock::new();
        let start_raw = quanta.raw();
        let clock = Self { source: Source::Counter { quanta, start_raw }, anchor: Arc::default() };
        clock.reanchor();
        clock
    }

    /// A clock that stands at `ns` until [`Clock::set_virtual`] moves it: simulation and tests.
    pub fn virtual_at(ns: i64) -> Self {
        let anchor = Anchor { epoch_minus_mono_ns: AtomicI64::new(ns), shift_ns: AtomicI64::new(0) };
        Self { source: Source::Virtual(Arc::new(AtomicI64::new(0))), anchor: Arc::new(anchor) }
    }

    /// Moves a virtual clock to `mono_ns` after its start. No effect on the system's clock.
    pub fn set_virtual(&self, mono_ns: i64) {
        if let Source::Virtual(at) = &self.source {
            // Relaxed: one thread drives a virtual clock, and nothing else is published through it.
            at.store(mono_ns, Ordering::Relaxed);
        }
    }

    /// Whether the time-stamp counter is in use (otherwise every read is a `clock_gettime`).
    pub fn has_counter(&self) -> bool {
        match &self.source {
            // quanta falls back silently; a scaled counter does not map ticks one to one to nanoseconds.
            Source::Counter { quanta, .. } => quanta.delta_as_nanos(0, 1 << 40) != 1 << 40,
            Source::Virtual(_) => false,
        }
    }

    /// Both times.
    #[inline]
    pub fn now(&self) -> Now {
        let mono_ns = self.mono_ns();
        Now { ns: mono_ns + self.epoch_minus_mono_ns(), mono_ns }
    }

    /// The monotonic time alone.
    #[inline]
    pub fn mono_ns(&self) -> i64 {
        match &self.source {
            Source::Counter { quanta, start_raw } => {
                i64::try_from(quanta.delta_as_nanos(*start_raw, quanta.raw())).unwrap_or(i64::MAX)
            }
            Source::Virtual(at) => at.load(Ordering::Relaxed), // see `set_virtual`
        }
    }

    /// Raw ticks, for latency stamps only.
    #[inline]
    pub fn ticks(&self) -> u64 {
        match &self.source {
            Source::Counter { quanta, .. } => quanta.raw(),
            Source::Virtual(at) => at.load(Ordering::Relaxed).unsigned_abs(), // see `set_virtual`
        }
    }

    /// A distance in ticks as nanoseconds.
    #[inline]
    pub fn ticks_to_ns(&self, ticks: u64) -> u64 {
        match &self.source {
            Source::Counter { quanta, .. } => quanta.delta_as_nanos(0, ticks),
            Source::Virtual(_) => ticks,
        }
    }

    #[inline]
    fn epoch_minus_mono_ns(&self) -> i64 {
        // Relaxed: the value stands for itself; nothing else is published through it.
        self.anchor.epoch_minus_mono_ns.load(Ordering::Relaxed)
    }

    /// Moves the engine's wall clock by `shift_ns` from the host's, for good: a recording is played in its own time. Before the
    /// session starts.
    pub fn shift(&self, shift_ns: i64) {
        self.anchor.shift_ns.store(shift_ns, Ordering::Relaxed); // see `epoch_minus_mono_ns`
        self.reanchor();
    }

    /// Moves it further.
    pub fn shift_more(&self, by_ns: i64) {
        self.shift(self.anchor.shift_ns.load(Ordering::Relaxed).saturating_add(by_ns)); // see `epoch_minus_mono_ns`
    }

    /// Anchors the wall clock anew and returns by how many nanoseconds it moved. Control thread only, about once a
    /// second. A step of the wall clock shows in the return value; deadlines do not see it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the wall clock")]
    pub fn reanchor(&self) -> i64 {
        if matches!(self.source, Source::Virtual(_)) {
            return 0;
        }
        // The tightest of a few pairs: the counter is read on both sides of the system call.
        let mut best = (i64::MAX, 0i64);
        for _ in 0..5 {
            let before = self.mono_ns();
            let wall =
                std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or(Duration::ZERO);
            let after = self.mono_ns();
            let wall_ns = i64::try_from(wall.as_nanos()).unwrap_or(i64::MAX);
            if after - before < best.0 {
                best = (after - before, wall_ns - i64::midpoint(before, after));
            }
        }
        let anchored = best.1.saturating_add(self.anchor.shift_ns.load(Ordering::Relaxed));
        let old = self.anchor.epoch_minus_mono_ns.swap(anchored, Ordering::Relaxed); // see `epoch_minus_mono_ns`
        anchored - old
    }
}

/// Sleeps; for cold threads only.
#[expect(clippy::disallowed_methods, reason = "the one place where a cold thread may sleep")]
pub fn sleep(duration: Duration) {
    std::thread::sleep(duration);
}
