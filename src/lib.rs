//! Interlock: a low-latency trading engine that cannot trade by accident.
//!
//! Four stages (feed, signal, risk, gateway) linked by single-producer single-consumer rings turn a venue's bytes into an
//! order's bytes; around them stand the kill switch, the journal and the gates. `docs/ARCHITECTURE.md` has the picture;
//! `tests/tidy.rs` holds the table of who may name whom.

pub mod agent;
pub mod event;
pub mod feed;
pub mod gateway;
pub mod journal;
pub mod limits;
pub mod net;
pub mod ops;
pub mod risk;
pub mod run;
pub mod shared;
pub mod signal;
pub mod sim;
pub mod strategy;
pub mod types;
pub mod venue;
pub mod wire;
