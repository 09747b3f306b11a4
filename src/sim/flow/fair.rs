//! The latent fair value: what the informed believe. A mean-reverting random walk whose volatility and drift change by
//! regime, and which large takers push; on top of it a swing that comes and goes within seconds.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::sampling::{PPM, decay_ppm, exponential_ns, normal_ppm, sqrt_seconds_ppm};
use crate::types::Price;
use crate::types::time::{NS_PER_MIN, NS_PER_S};

/// How restless the market is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Regime {
    Calm,
    Normal,
    Wild,
}

impl Regime {
    /// Volatility in hundredths of the symbol's.
    const fn percent(self) -> i64 {
        match self {
            Self::Calm => 40,
            Self::Normal => 100,
            Self::Wild => 280,
        }
    }
}

/// One symbol's fair value.
#[derive(Debug)]
pub(super) struct FairValue {
    /// In price units, without the swing.
    value: i64,
    anchor: i64,
    /// Passing mood, in price units: comes and goes within seconds.
    swing: i64,
    /// Which side the crowd leans to, in millionths: participants show it in their orders before the price follows.
    pressure_ppm: i64,
    /// Per square root of a second, in `1e-8` of the price.
    volatility: i64,
    regime: Regime,
    /// Drift per second, in `1e-8` of the price.
    drift: i64,
    regime_until_ns: i64,
    at_ns: i64,
}

const RATIO: i128 = 100_000_000;
/// The fair value comes back to its anchor with this time constant; the anchor itself follows slowly.
const REVERSION_S: i128 = 600;
const REGIME_MEAN_NS: i64 = 20 * NS_PER_S;
/// Trends are this share of the volatility a second, at most, in hundredths.
const DRIFT_PERCENT_MAX: i64 = 8;
/// The swing comes back to zero with this time constant.
const SWING_NS: i64 = 2 * NS_PER_S;
/// So does the pressure. While it lasts, it moves the fair value by up to this share of the volatility a second.
const PRESSURE_NS: i64 = 2 * NS_PER_S;
const PRESSURE_PERCENT: i64 = 65;
/// The fair value never leaves this band around its anchor (parts of the price): the venue's percent price filters and a
/// symbol's maximum price are far beyond it.
const BAND_PART: i64 = 5;
/// Nor the swing this part of it.
const SWING_PART: i128 = 100;

impl FairValue {
    pub(super) fn new(reference: Price, volatility: i64, now_ns: i64) -> Self {
        Self {
            value: reference.units(),
            anchor: reference.units(),
            swing: 0,
            pressure_ppm: 0,
            volatility,
            regime: Regime::Normal,
            drift: 0,
            regime_until_ns: now_ns,
            at_ns: now_ns,
        }
    }

    pub(super) fn price(&self) -> Price {
        Price::from_units(self.value + self.swing)
    }

    /// Which side the crowd leans to, in millionths: positive to buying.
    pub(super) const fn pressure_ppm(&self) -> i64 {
        self.pressure_ppm
    }

    /// Moves on to `now_ns`.
    pub(super) fn advance(&mut self, rng: &mut ChaCha8Rng, now_ns: i64) {
        let dt_ns = now_ns - self.at_ns;
        if dt_ns <= 0 {
            return;
        }
        self.at_ns = now_ns;
        if now_ns >= self.regime_until_ns {
            self.change_regime(rng, now_ns);
        }
        let value = i128::from(self.value);
        let deviation = value * i128::from(self.volatility * self.regime.percent() / 100) / RATIO;
        let root = i128::from(sqrt_seconds_ppm(dt_ns));
        let mut shock =
            || deviation * root * i128::from(normal_ppm(rng)) / (i128::from(PPM) * i128::from(PPM));
        let (lasting, passing) = (shock(), shock());
        let seconds_part = i128::from(dt_ns);
        let second = i128::from(NS_PER_S);
        let pressed = self.drift + self.volatility * PRESSURE_PERCENT / 100 * self.pressure_ppm / PPM;
        let trend = value * i128::from(pressed) * seconds_part / (RATIO * second);
        let pull = (i128::from(self.anchor) - value) * seconds_part / (REVERSION_S * second);
        self.shift(lasting + trend + pull);
        let kept = self.pressure_ppm * decay_ppm(dt_ns, PRESSURE_NS) / PPM;
        let news = normal_ppm(rng) * sqrt_seconds_ppm(dt_ns) / PPM * 6 / 10;
        self.pressure_ppm = (kept + news).clamp(-PPM, PPM);
        let swing =
            i128::from(self.swing) * i128::from(decay_ppm(dt_ns, SWING_NS)) / i128::from(PPM) + passing;
        self.swing = i64::try_from(swing.clamp(-value / SWING_PART, value / SWING_PART)).unwrap_or(0);
    }

    /// A taker of this value (in `1e-8` of the quote currency, negative for a sell) leaves a mark: `impact` is the move in
    /// `1e-8` of the price for 10,000 units of quote currency.
    pub(super) fn push(&mut self, signed_value: i64, impact: i64) {
        const TEN_THOUSAND: i128 = 10_000 * RATIO;
        let ratio = i128::from(signed_value) * i128::from(impact) / TEN_THOUSAND;
        self.shift(i128::from(self.value) * ratio / RATIO);
    }

    fn shift(&mut self, by: i128) {
        let band = i128::from(self.anchor / BAND_PART);
        let anchor = i128::from(self.anchor);
        let moved = (i128::from(self.value) + by).clamp(anchor - band, anchor + band);
        self.value = i64::try_from(moved).unwrap_or(self.value);
    }

    fn change_regime(&mut self, rng: &mut ChaCha8Rng, now_ns: i64) {
        self.regime = match rng.random_range(0..10) {
            0..=3 => Regime::Calm,
            4..=7 => Regime::Normal,
            _ => Regime::Wild,
        };
        let most = self.volatility * DRIFT_PERCENT_MAX / 100;
        self.drift = rng.random_range(-most..=most);
        self.regime_until_ns = now_ns + exponential_ns(rng, REGIME_MEAN_NS).clamp(4 * NS_PER_S, NS_PER_MIN);
        // The anchor gives way to where the market has gone, a twentieth of the distance each time.
        self.anchor += (self.value - self.anchor) / 20;
    }
}
