//! The integration tests: one binary, one module for each question. Tests that need real recordings look in `../shared/data`
//! beside the project and say "skipped: no recordings" where it is absent.
#![expect(clippy::print_stdout, reason = "tests say why they skip and which seed they use")]

mod plan;
mod support;
