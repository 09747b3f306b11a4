//! What do hot and cold both touch? The kill page and its lease, counters, heartbeats: atomics, one writer each.

pub mod attempts;
pub mod counters;
pub mod halt;
pub mod kill;
pub mod latency;
mod sigbus;

pub use counters::{Counter, Counters};
pub use halt::{HaltLevel, HaltView};
pub use kill::KillPage;
