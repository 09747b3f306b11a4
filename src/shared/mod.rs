//! What do hot and cold both touch? The kill page and its lease, counters, heartbeats: atomics, one writer each.

pub mod counters;
pub mod kill;
pub mod latency;

pub use counters::{Counter, Counters};
pub use kill::{HaltLevel, HaltView, KillPage};
