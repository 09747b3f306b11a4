//! The slots of the line's rings.

use crate::event::{Fact, Intent};

/// Measuring stamps that ride along: raw ticks at the read, and the distance to later points.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Stamps {
    /// The frame's last byte was read; 0 = not measured.
    pub read: u64,
    /// From `read` until feed pushed the fact.
    pub decoded: u32,
    /// From `read` until signal raised the intent.
    pub signal: u32,
}

impl Stamps {
    /// Ticks since `read`, saturating.
    pub fn since_read(&self, ticks: u64) -> u32 {
        u32::try_from(ticks.saturating_sub(self.read)).unwrap_or(u32::MAX)
    }
}

/// What stands in a slot between signal and risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A fact, passed on.
    Fact(Fact),
    /// An intent, behind the fact that caused it.
    Intent(Intent),
}

/// A slot of the rings feed to signal (facts only) and signal to risk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot<T> {
    /// For measuring.
    pub stamps: Stamps,
    /// What flows.
    pub item: T,
}

const _: () = assert!(size_of::<Slot<Fact>>() <= 128);
const _: () = assert!(size_of::<Slot<Item>>() <= 136);
