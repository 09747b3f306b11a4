//! The fault catalogue as named scenarios (F1 to F24, F30 to F40): stories of other engines' failures, each of them made to
//! happen here, and what must hold then. One table, [`catalogue::ROWS`]; one test for each row; `docs/faults.md` shows it.
//!
//! A scenario runs at `INTERLOCK_SEEDS` seeds (8 unless told; the catalogue asks for 10,000 before a row counts as passed for a
//! release), from `INTERLOCK_SEED` on; a failure prints its seed. Over the seeds each fault that the row names must really
//! have occurred, counted where it happens: a scenario whose fault never came proves nothing, and fails.
//!
//! Most rows run the whole line (feed, signal, risk, gateway) in memory and in virtual time, its stages polled in a random
//! order, between a venue that misbehaves ([`venue`]) and a strategy that does as it is told ([`puppet`]). Where a process is the
//! point, the real binary runs against the embedded venue; those rows run once for `INTERLOCK_PROCESS_SEEDS` (1).
#![expect(clippy::print_stdout, reason = "tests say which seed they use and why a row is not here")]
#![expect(clippy::unwrap_used, reason = "a helper of tests may panic as the tests themselves do")]

#[path = "../it/binance_support.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which need all of it")]
mod binance_support;
mod catalogue;
mod lab;
mod line;
mod market;
mod process;
mod puppet;
mod run;
#[path = "../process/stage.rs"]
#[expect(dead_code, reason = "shared with the process tests, which need all of it")]
mod stage;
#[path = "../it/support.rs"]
#[expect(dead_code, reason = "shared with the integration tests, which need all of it")]
mod support;
mod venue;
