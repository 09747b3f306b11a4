//! What every input must get, target by target: ordinary functions over bytes. `cargo fuzz` calls them with what it finds
//! (`fuzz/fuzz_targets`); `tests/fuzz_corpus.rs` calls them in every `cargo test` with the corpus and mutations of it.
//!
//! A body checks a property, not only that nothing panics: two readers agree, what was read writes back as it stood, an
//! error is final.

mod config;
mod control;
mod files;
mod frames;
mod journal;
mod market;
mod number;
mod sessions;
mod venue;

/// A target: its name, which is also the name of its corpus folder and of its binary under `cargo fuzz`, and its body.
pub(crate) type Target = (&'static str, fn(&[u8]));

/// The table.
pub(crate) const TARGETS: &[Target] = &[
    ("handshake", frames::handshake),
    ("frames", frames::frames),
    ("market", market::market),
    ("orders", sessions::orders),
    ("account", sessions::account),
    ("rest", venue::rest),
    ("number", number::number),
    ("config", config::config),
    ("control", control::control),
    ("journal", journal::journal),
    ("files", files::files),
];

/// Runs a target by name.
pub(crate) fn run(name: &str, data: &[u8]) {
    let (_, body) = TARGETS.iter().find(|(n, _)| *n == name).expect("the table has every target");
    body(data);
}
