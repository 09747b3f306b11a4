//! What several test modules need: where the recordings are, and seeds that are printed.

use std::path::PathBuf;

/// The folder of real recordings, if it is there. Prints the reason for skipping otherwise.
pub(crate) fn recordings(path: &str) -> Option<PathBuf> {
    let full = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(path);
    if full.exists() {
        return Some(full);
    }
    println!("skipped: no recordings ({path})");
    None
}

/// The seed of a random test: `INTERLOCK_SEED` if it is set, a fixed one otherwise; printed, so that a failure can be
/// run again.
#[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
pub(crate) fn seed(fixed: u64) -> u64 {
    let seed = std::env::var("INTERLOCK_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or(fixed);
    println!("seed {seed} (set INTERLOCK_SEED to change it)");
    seed
}

/// A figure of a test that may be set higher for the night.
#[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
pub(crate) fn figure(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|s| s.parse().ok()).unwrap_or(otherwise)
}
