//! The cold path: what watches the engine, speaks with its operators and leaves traces for people. Nothing here is on the
//! way of an order; what it must reach at once (the kill page) it reaches without asking a hot thread.
//!
//! - [`control`]: the control thread. Renews the lease, watches stages, kill file and clock, serves the sockets.
//! - [`client`]: the other end of the sockets: what `interlock kill` and `interlock status` do.
//! - [`halt`]: what `interlock-halt` does, without the engine.
//! - [`watchdog`]: watches the control thread and REST.
//! - [`emergency`]: incidents, holds and rollbacks, faults that end the process; [`evidence`], [`drills`]: packs that prove.
//! - [`watch`]: the journal's records folded into what a person looks at; [`latency`]: stamps into histograms.
//! - [`gates`]: the conditions before a real venue; [`readiness`]: whether the evidence says GO.
//! - [`reconcile`]: our record against the venue's.
//! - [`events`], [`marker`], [`lock`], [`paths`]: the files in the data directory.

pub mod client;
pub mod connects;
pub mod control;
pub mod drills;
pub mod emergency;
pub mod events;
pub mod evidence;
pub mod files;
pub mod gates;
pub mod halt;
pub mod health;
pub mod latency;
pub mod lock;
pub mod marker;
pub mod paths;
pub mod progress;
pub mod protocol;
pub mod rates;
pub mod readiness;
pub mod reconcile;
pub mod shadow_health;
pub mod socket;
pub mod status;
pub mod watch;
pub mod watchdog;
