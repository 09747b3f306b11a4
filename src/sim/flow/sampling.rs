//! Random draws as integers. This is the one file of the flow where floats live: the distributions are sampled with them and
//! the result is rounded to an integer at once. So the same seed gives the same stream on the same build; across machines
//! the last digit of a logarithm may differ, which a made-up market can bear and a recorded one never meets.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "sampling of distributions only; every result leaves as an integer, with bounds"
)]

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Exp1, LogNormal, StandardNormal};

use crate::types::time::NS_PER_S;

/// One, in millionths.
pub(super) const PPM: i64 = 1_000_000;

/// A waiting time of a Poisson process, at least a microsecond.
pub(super) fn exponential_ns(rng: &mut ChaCha8Rng, mean_ns: i64) -> i64 {
    let unit: f64 = Exp1.sample(rng);
    ((unit * mean_ns as f64) as i64).max(1_000)
}

/// A standard normal draw in millionths.
pub(super) fn normal_ppm(rng: &mut ChaCha8Rng) -> i64 {
    let unit: f64 = StandardNormal.sample(rng);
    (unit * PPM as f64) as i64
}

/// A log-normal draw with this median; `spread_percent` is the deviation of its logarithm in hundredths.
pub(super) fn lognormal(rng: &mut ChaCha8Rng, median: i64, spread_percent: u32) -> i64 {
    let factor = LogNormal::new(0.0, f64::from(spread_percent) / 100.0).map_or(1.0, |d| d.sample(rng));
    // A draw of a thousand medians is no size but an accident.
    (factor.min(1_000.0) * median as f64) as i64
}

/// Square root of a duration in seconds, in millionths: how a random walk grows.
pub(super) fn sqrt_seconds_ppm(duration_ns: i64) -> i64 {
    ((duration_ns as f64 / NS_PER_S as f64).sqrt() * PPM as f64) as i64
}

/// What is left of one after `duration_ns` of exponential decay, in millionths.
pub(super) fn decay_ppm(duration_ns: i64, time_constant_ns: i64) -> i64 {
    ((-(duration_ns as f64) / time_constant_ns as f64).exp() * PPM as f64) as i64
}

/// True in `percent` of all draws.
pub(super) fn chance(rng: &mut ChaCha8Rng, percent: u32) -> bool {
    rng.random_range(0..100) < percent
}
