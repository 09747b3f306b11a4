//! The bodies of the fuzz targets over their corpus (`fuzz/corpus/<target>/`) and over seeded mutations of it, in every `cargo
//! test`. The search for new inputs is `cargo fuzz`'s (see CONTRIBUTING); what it finds becomes a file of the corpus.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a failure shows its input, and its seed")]

#[path = "../fuzz/bodies/mod.rs"]
mod bodies;
#[expect(dead_code, reason = "the recordings are not for here")]
#[path = "it/support.rs"]
mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use rand::rngs::SmallRng;
use rand::{Rng as _, SeedableRng as _};

/// Mutations of each corpus file. `INTERLOCK_FUZZ_ROUNDS` asks for more.
const ROUNDS: u32 = 40;

/// Places at which each corpus file is cut.
const CUTS: usize = 30;

#[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
fn rounds() -> u32 {
    std::env::var("INTERLOCK_FUZZ_ROUNDS").ok().and_then(|r| r.parse().ok()).unwrap_or(ROUNDS)
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<PathBuf> = std::fs::read_dir(&folder)
        .expect("every target has a corpus")
        .map(|e| e.expect("readable").path())
        .collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).expect("readable"))).collect()
}

/// What hurts numbers, quotes, brackets, lengths and commands.
const TOKENS: &[&[u8]] = &[
    b"0",
    b"-",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b" ",
    b"\x00",
    b"\xff",
    b"\xc3\x28",
    b"null",
    b"true",
    b"1e9",
    b"-1",
    b"0.00000001",
    b"9223372036854775807",
    b"9223372036854775808",
    b"99999999999999999999",
    b"\\u0000",
    b"BTCUSDT",
    b"XXXUSDT",
    b"\x81\x7e",
    b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
    b"\x88\x02\x03\xe8",
    b"\x89\x00",
    b"[kill]\n",
    b"=",
    b"\"cmd\":\"kill.trip\"",
    b"\x00\x00\x00\x00\x00\x00\x00\x00",
];

fn mutate(rng: &mut SmallRng, input: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = input.to_vec();
    for _ in 0..rng.random_range(1..=4) {
        let at = rng.random_range(0..=bytes.len());
        let end = (at + rng.random_range(1..=32)).min(bytes.len());
        match rng.random_range(0..9) {
            0 if at < bytes.len() => bytes[at] ^= 1 << rng.random_range(0..8),
            1 if at < bytes.len() => bytes[at] = rng.random(),
            2 => bytes.truncate(at),
            3 => drop(bytes.drain(at..end)),
            4 => {
                let piece = bytes[at..end].to_vec();
                bytes.splice(at..at, piece);
            }
            5 if !other.is_empty() => {
                let from = rng.random_range(0..other.len());
                let to = (from + rng.random_range(1..=64)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            6 if at < bytes.len() && bytes[at].is_ascii_digit() => bytes[at] = rng.random_range(b'0'..=b'9'),
            7 => bytes[at..end].fill(if rng.random() { 0 } else { 0xff }),
            _ => {
                let token = TOKENS[rng.random_range(0..TOKENS.len())];
                bytes.splice(at..at, token.iter().copied());
            }
        }
    }
    bytes
}

/// Runs a body; on failure shows the input, so that it can become a file of the corpus.
fn check(target: &str, what: &str, input: &[u8]) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| bodies::run(target, input))) {
        eprintln!("{target}: failed on {what}: b\"{}\"", input.escape_ascii());
        std::panic::resume_unwind(panic);
    }
}

fn run(target: &str) {
    let seed = support::seed(1);
    let files = corpus(target);
    assert!(files.len() >= 5, "{target}: a corpus of {} files", files.len());
    for (path, bytes) in &files {
        check(target, &path.display().to_string(), bytes);
        for cut in (0..bytes.len()).step_by((bytes.len() / CUTS).max(1)) {
            check(target, &format!("{} cut at {cut}", path.display()), &bytes[..cut]);
        }
    }
    let mut rng = SmallRng::seed_from_u64(seed);
    for (path, bytes) in &files {
        for round in 0..rounds() {
            let (_, other) = &files[rng.random_range(0..files.len())];
            let input = mutate(&mut rng, bytes, other);
            check(target, &format!("mutation {round} of {}", path.display()), &input);
        }
    }
    println!("{target}: {} files", files.len());
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test]
        fn $name() {
            run(stringify!($name));
        })*
        /// The table, the tests, the corpus and the binaries of `cargo fuzz` name the same targets.
        #[test]
        fn nothing_is_left_out() {
            let tests = [$(stringify!($name)),*];
            let table: Vec<_> = bodies::TARGETS.iter().map(|(name, _)| *name).collect();
            assert_eq!(table, tests);
            let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
            let manifest = std::fs::read_to_string(root.join("Cargo.toml")).expect("readable");
            for name in table {
                assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name} in Cargo.toml");
                let binary = std::fs::read_to_string(root.join(format!("fuzz_targets/{name}.rs"))).expect("readable");
                assert!(binary.contains(&format!("bodies::run(\"{name}\", data)")), "{name} runs its own body");
            }
        }
    };
}

targets! { handshake frames market orders account rest number config control journal files }
