//! The halt protocol: how level, epoch, cause and lease are coded in words, and how they may change. Pure: the words are
//! behind a small trait, so that the very same transitions run on the mapped page and under loom's scheduler
//! (`tests/loom_kill.rs`, K1).
//!
//! Codes are chosen for corruption, not for looks. Every level has a 16-bit code that differs from each other level's in
//! both bytes, so a damaged byte never turns one level into another; lease and epochs carry a check that any damaged byte
//! breaks. Zero is no code at all, so a zeroed page is tripped, and so is everything else that isn't exactly known.

use std::sync::atomic::{AtomicU64, Ordering};

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
    /// All levels, lowest first.
    pub const ALL: [Self; 6] =
        [Self::None, Self::Order, Self::Symbol, Self::RiskOff, Self::CancelAll, Self::Stopped];

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

    /// Stable name, as status answers and events show it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "ARMED",
            Self::Order => "ORDER",
            Self::Symbol => "SYMBOL",
            Self::RiskOff => "RISK_OFF",
            Self::CancelAll => "CANCEL_ALL",
            Self::Stopped => "STOPPED",
        }
    }
}

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
    /// Whether it is at risk-off or above, whatever the lease.
    pub const fn is_tripped(self) -> bool {
        self.level as u8 >= HaltLevel::RiskOff as u8
    }
    /// What an engine without a page sees.
    pub const TRIPPED: Self = Self { level: HaltLevel::RiskOff, epoch: 0, lease_valid: false };
}

/// A shared 64-bit word, with the three accesses that the protocol needs.
pub trait Word {
    /// Reads; sees what was written before the value that it reads (acquire).
    fn read(&self) -> u64;
    /// Writes; whoever reads the value sees what was written before (release).
    fn write(&self, value: u64);
    /// Compare and exchange, acquire and release at once; may fail spuriously.
    fn exchange(&self, current: u64, next: u64) -> Result<u64, u64>;
}

impl Word for AtomicU64 {
    #[inline]
    fn read(&self) -> u64 {
        self.load(Ordering::Acquire) // pairs with `write` and `exchange`
    }
    #[inline]
    fn write(&self, value: u64) {
        self.store(value, Ordering::Release); // pairs with `read`
    }
    fn exchange(&self, current: u64, next: u64) -> Result<u64, u64> {
        // AcqRel: a tripper sees what earlier trippers wrote, and whoever acquires the new state sees this trip.
        self.compare_exchange_weak(current, next, Ordering::AcqRel, Ordering::Acquire)
    }
}

/// Codes of the levels, by level. Any two differ in both bytes, and none has a zero byte.
const LEVEL_CODES: [u16; 6] = [0x5AC3, 0x9136, 0x2E6D, 0xE7B8, 0x7C15, 0xB84E];

const _: () = {
    let mut a = 0;
    while a < LEVEL_CODES.len() {
        assert!(
            LEVEL_CODES[a] & 0xFF != 0 && LEVEL_CODES[a] >> 8 != 0,
            "a zero byte is what a zeroed page has"
        );
        let mut b = a + 1;
        while b < LEVEL_CODES.len() {
            let differing = LEVEL_CODES[a] ^ LEVEL_CODES[b];
            assert!(
                differing & 0xFF != 0 && differing >> 8 != 0,
                "one damaged byte must not change the level"
            );
            b += 1;
        }
        a += 1;
    }
};

/// The state word: epoch (upper 32 bits), cause (16 bits), level code (lower 16 bits). The cause is in the same word, so that
/// of two trips at once the one in force is the one that is named.
pub const fn state(epoch: u64, reason: Reason, level: HaltLevel) -> u64 {
    (epoch & 0xFFFF_FFFF) << 32 | (reason as u64) << 16 | LEVEL_CODES[level as usize] as u64
}

/// The epoch in a state word.
pub const fn epoch_of(state: u64) -> u64 {
    state >> 32
}

/// The level in a state word; `None` if the code is none of ours.
#[inline]
pub fn known_level(state: u64) -> Option<HaltLevel> {
    let code = state & 0xFFFF;
    // Armed first: it is what the hot path sees.
    HaltLevel::ALL.into_iter().find(|&level| u64::from(LEVEL_CODES[level as usize]) == code)
}

/// The level in a state word; a code that is none of ours is risk-off.
#[inline]
pub fn level_of(state: u64) -> HaltLevel {
    known_level(state).unwrap_or(HaltLevel::RiskOff)
}

/// The cause in a state word.
pub fn reason_of(state: u64) -> Reason {
    u16::try_from(state >> 16 & 0xFFFF).ok().and_then(Reason::from_code).unwrap_or(Reason::PageUnreadable)
}

/// How many low bits of a sealed word are its value.
const SEALED_BITS: u32 = 48;
/// The largest value of a sealed word.
pub const SEALED_MAX: u64 = (1 << SEALED_BITS) - 1;

/// A value (cut to 48 bits) and its check. A sealed word is never 0.
pub const fn seal(value: u64) -> u64 {
    let value = if value > SEALED_MAX { SEALED_MAX } else { value };
    value | (check(value) << SEALED_BITS)
}

/// The value of a sealed word; `None` if it was not made by [`seal`].
#[inline]
pub const fn unseal(word: u64) -> Option<u64> {
    let value = word & SEALED_MAX;
    if check(value) == word >> SEALED_BITS { Some(value) } else { None }
}

/// Sixteen bits over 48. A damaged byte changes one of the three parts by less than 2^16 in steps of one byte; an odd factor
/// is invertible modulo 2^16, so the sum changes too: every damage within one byte is found, always.
const fn check(value: u64) -> u64 {
    let sum = (value & 0xFFFF)
        .wrapping_mul(0x9E37)
        .wrapping_add((value >> 16 & 0xFFFF).wrapping_mul(0x85EB))
        .wrapping_add((value >> 32 & 0xFFFF).wrapping_mul(0xC2B3));
    (sum ^ 0x1C3A) & 0xFFFF
}

/// The lease word for a lease that runs until `until_mono_ns`: whole microseconds, rounded down, so that a lease is never
/// longer than it was meant.
pub const fn lease_word(until_mono_ns: i64) -> u64 {
    if until_mono_ns <= 0 { 0 } else { seal(until_mono_ns.unsigned_abs() / 1_000) }
}

/// Whether the lease runs at `mono_ns`.
#[inline]
pub const fn lease_runs(lease: u64, mono_ns: i64) -> bool {
    match unseal(lease) {
        Some(until_us) => mono_ns >= 0 && mono_ns.unsigned_abs() < until_us * 1_000,
        None => false,
    }
}

/// What the words say at a time.
///
/// The state is read after the lease: a renewal is written by a control thread that saw no trip, so a reader that sees the
/// renewal must not miss a trip that was there before it.
#[inline]
pub fn view(state: &impl Word, lease: &impl Word, now: Now) -> HaltView {
    let lease = lease.read();
    let state = state.read();
    HaltView { level: level_of(state), epoch: epoch_of(state), lease_valid: lease_runs(lease, now.mono_ns) }
}

/// The outcome of a trip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trip {
    /// The halt epoch in force.
    pub epoch: u64,
    /// Whether this call raised the level (otherwise it was already as high, and keeps its first cause).
    pub raised: bool,
}

/// Raises the level; never lowers it. A state that isn't known counts as risk-off and is brought into form.
pub fn trip(cell: &impl Word, level: HaltLevel, reason: Reason) -> Trip {
    let mut current = cell.read();
    loop {
        let raised = level_of(current).max(level);
        if known_level(current) == Some(raised) {
            return Trip { epoch: epoch_of(current), raised: false };
        }
        let next = state(epoch_of(current).wrapping_add(1), reason, raised);
        match cell.exchange(current, next) {
            Ok(_) => return Trip { epoch: epoch_of(next), raised: true },
            Err(seen) => current = seen,
        }
    }
}

/// Lowers the level to armed if the state is still the one examined: known, and of this epoch. A trip in between changes
/// the epoch and wins.
pub fn arm(cell: &impl Word, epoch: u64) -> bool {
    loop {
        let current = cell.read();
        if epoch_of(current) != epoch || known_level(current).is_none() {
            return false;
        }
        match cell.exchange(current, state(epoch + 1, Reason::None, HaltLevel::None)) {
            Ok(_) => return true,
            Err(seen) if seen == current => {} // failed spuriously
            Err(_) => return false,
        }
    }
}
