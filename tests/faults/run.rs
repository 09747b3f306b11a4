//! How a scenario is run: at many seeds, with its faults counted.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::catalogue::{Row, Way};

/// One run of a scenario.
pub(crate) struct Run {
    pub(crate) rng: SmallRng,
    pub(crate) seed: u64,
    occurred: BTreeMap<&'static str, u64>,
}

impl Run {
    /// The fault of this name really occurred, so many times.
    pub(crate) fn occurred(&mut self, fault: &'static str, times: u64) {
        *self.occurred.entry(fault).or_default() += times;
    }
}

/// A number from the environment.
#[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Says which seed it was when the scenario fails.
struct Blame<'a>(&'a str, u64);

impl Drop for Blame<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(id, seed) = self;
            println!("{id} failed at seed {seed}: INTERLOCK_SEED={seed} INTERLOCK_SEEDS=1 runs it alone");
        }
    }
}

/// Runs a row at all its seeds, and demands that each of its faults occurred.
pub(crate) fn run(row: &Row) {
    let first = number("INTERLOCK_SEED", 20_261_120);
    let (scenario, seeds) = match row.way {
        Way::Line(scenario) => (scenario, number("INTERLOCK_SEEDS", 8)),
        Way::Process(scenario) => (scenario, number("INTERLOCK_PROCESS_SEEDS", 1)),
        Way::NotHere(why) => return println!("{} is not run: {why}", row.id),
    };
    println!("{}: {seeds} seeds from {first} (INTERLOCK_SEED, INTERLOCK_SEEDS)", row.id);
    let mut occurred = BTreeMap::new();
    for seed in first..first + seeds.max(1) {
        let _blame = Blame(row.id, seed);
        let mut run = Run { rng: SmallRng::seed_from_u64(seed), seed, occurred };
        scenario(&mut run);
        occurred = run.occurred;
    }
    for fault in row.faults {
        let times = occurred.get(fault).copied().unwrap_or(0);
        println!("{}: {fault}: {times} times", row.id);
        assert!(times > 0, "{}: over {seeds} seeds from {first}, `{fault}` never occurred", row.id);
    }
    for fault in occurred.keys() {
        assert!(row.faults.contains(fault), "{}: `{fault}` is counted, but the row does not name it", row.id);
    }
}
