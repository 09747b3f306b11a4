//! The integration tests: one binary, one module for each question. Tests that need real recordings look in `../shared/data`
//! beside the project and say "skipped: no recordings" where it is absent.

mod plan;
mod support;
