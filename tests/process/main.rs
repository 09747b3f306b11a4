//! Tests of the real binaries as an operator meets them: processes, signals, sockets, a venue of their own on loopback TLS.
//! They take seconds each, so they are a binary apart: `cargo test --test process`.
#![expect(clippy::print_stdout, reason = "tests say why they skip")]
#![expect(clippy::unwrap_used, reason = "a helper of tests may panic as the tests themselves do")]

mod bad_input;
mod disks;
mod drills;
mod emergency;
mod hostile_venue;
mod kill;
mod live;
mod modes;
mod panic;
mod ready;
mod recovery;
mod session;
mod stage;
mod state;
