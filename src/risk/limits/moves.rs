//! Which instruments moved together lately: measured from the middles of their quotes, once an interval, in whole numbers,
//! so that a replay finds the same (R-LIM-6).
//!
//! A pair moves together when its returns' correlation reaches the bound, and as long as too little of it is known: a
//! measurement that is missing counts against the entry. Measured is added to what is configured, and takes nothing from it,
//! because a correlation of the last hour is least reliable in the hour in which it matters. Pairs that move against each other
//! are no pair here: what is held is only ever long.
//!
//! Nothing here runs with a quote. A sample costs a few additions for each pair, and is taken on a timer fact.

use super::config::CorrelationConfig;
use super::window::NEVER;
use crate::limits::INSTRUMENTS_MAX;
use crate::types::Price;
use crate::types::time::NS_PER_S;

/// No return: one of the two middles was not known.
const NONE: i64 = i64::MIN;
/// A return of 1 in millionths.
const ONE: i128 = 1_000_000;
/// Beyond a tenth it is as good as a tenth: sums stay in their range.
const RETURN_MAX: i128 = ONE / 10;

/// Sums over the returns that both instruments of a pair have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sums {
    n: i64,
    x: i64,
    y: i64,
    xx: i64,
    yy: i64,
    xy: i64,
}

impl Sums {
    /// With a pair of returns more (`sign` 1) or less (-1).
    const fn change(&mut self, x: i64, y: i64, sign: i64) {
        if x == NONE || y == NONE {
            return;
        }
        self.n += sign;
        self.x += sign * x;
        self.y += sign * y;
        self.xx += sign * x * x;
        self.yy += sign * y * y;
        self.xy += sign * x * y;
    }

    /// Whether the correlation is at least `percent`, or can't be told.
    fn are_together(&self, samples_min: i64, percent: i128) -> bool {
        let wide = |v: i64| i128::from(v);
        let n = wide(self.n);
        let of_x = n * wide(self.xx) - wide(self.x) * wide(self.x);
        let of_y = n * wide(self.yy) - wide(self.y) * wide(self.y);
        if self.n < samples_min || of_x <= 0 || of_y <= 0 {
            return true;
        }
        let both = n * wide(self.xy) - wide(self.x) * wide(self.y);
        // Squared, so that no root is taken.
        both > 0 && both * both * 10_000 >= percent * percent * of_x * of_y
    }
}

/// The measurement.
#[derive(Clone, Debug)]
pub(in crate::risk) struct Moves {
    holds: bool,
    interval_ns: i64,
    samples: usize,
    samples_min: i64,
    percent: i128,
    next_ns: i64,
    /// The sample that is overwritten next.
    at: usize,
    /// The last middle of each instrument; zero = none.
    last: Box<[Price]>,
    /// Returns in millionths: of each instrument its samples.
    returns: Box<[i64]>,
    /// Of each pair; by the first, then the second instrument, each pair once.
    sums: Box<[Sums]>,
    /// Of each instrument those that it moves together with, one bit each.
    together: Box<[u16]>,
}

impl Moves {
    pub(in crate::risk) fn new(config: &CorrelationConfig, instruments: usize) -> Self {
        let samples = usize::try_from(config.samples).unwrap_or(1).max(1);
        let holds = config.measure.holds() && instruments > 1;
        let all = u16::try_from((1u32 << instruments.min(INSTRUMENTS_MAX)) - 1).unwrap_or(u16::MAX);
        Self {
            holds,
            interval_ns: i64::from(config.interval_s) * NS_PER_S,
            samples,
            samples_min: config.samples_min.into(),
            percent: config.measured_percent.into(),
            next_ns: NEVER,
            at: 0,
            last: vec![Price::ZERO; instruments].into_boxed_slice(),
            returns: vec![NONE; instruments * samples].into_boxed_slice(),
            sums: vec![Sums::default(); instruments * instruments.saturating_sub(1) / 2].into_boxed_slice(),
            together: vec![if holds { all } else { 0 }; instruments].into_boxed_slice(),
        }
    }

    /// Whether a sample is due.
    pub(in crate::risk) const fn is_due(&self, now_ns: i64) -> bool {
        self.holds && now_ns >= self.next_ns
    }

    /// Takes a sample: `middle` gives an instrument's, if it is known. Intervals stand on the clock, as bars do.
    pub(in crate::risk) fn sample(&mut self, now_ns: i64, middle: impl Fn(usize) -> Option<Price>) {
        // A sample that was missed would make a return of two intervals.
        let missed = self.next_ns == NEVER || now_ns.saturating_sub(self.next_ns) >= self.interval_ns;
        self.next_ns = (now_ns.div_euclid(self.interval_ns) + 1).saturating_mul(self.interval_ns);
        let mut new = [NONE; INSTRUMENTS_MAX];
        for (own, (at, last)) in new.iter_mut().zip(self.last.iter_mut().enumerate()) {
            let before = if missed { Price::ZERO } else { *last };
            *last = middle(at).unwrap_or_default();
            *own = return_of(before, *last);
        }
        let mut pair = 0;
        let count = self.last.len().min(INSTRUMENTS_MAX);
        for first in 0..count {
            for second in first + 1..count {
                let old = (self.old(first), self.old(second));
                let sums = &mut self.sums[pair];
                sums.change(old.0, old.1, -1);
                sums.change(new[first], new[second], 1);
                let together = u16::from(sums.are_together(self.samples_min, self.percent));
                set(&mut self.together[first], second, together);
                set(&mut self.together[second], first, together);
                pair += 1;
            }
        }
        for (own, value) in new.iter().enumerate().take(count) {
            self.returns[own * self.samples + self.at] = *value;
        }
        self.at = (self.at + 1) % self.samples;
    }

    fn old(&self, instrument: usize) -> i64 {
        self.returns[instrument * self.samples + self.at]
    }

    /// Which instruments each one moves together with, one bit each; `None` where nothing is measured.
    pub(in crate::risk) fn together(&self) -> Option<&[u16]> {
        self.holds.then_some(&*self.together)
    }
}

const fn set(mask: &mut u16, bit: usize, value: u16) {
    *mask = *mask & !(1 << bit) | value << bit;
}

/// In millionths.
fn return_of(before: Price, now: Price) -> i64 {
    if before <= Price::ZERO || now <= Price::ZERO {
        return NONE;
    }
    let change = i128::from(now.units()) - i128::from(before.units());
    let share = change * ONE / i128::from(before.units());
    i64::try_from(share.clamp(-RETURN_MAX, RETURN_MAX)).unwrap_or(NONE)
}

const _: () = assert!(INSTRUMENTS_MAX <= 16, "one bit of a word each");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::risk::Apply;

    const MINUTE: i64 = 60 * NS_PER_S;
    const START: i64 = 1_700_000_000 * NS_PER_S;

    fn config(percent: u32) -> CorrelationConfig {
        CorrelationConfig {
            measure: Apply::Always,
            measured_percent: percent,
            interval_s: 60,
            samples: 12,
            samples_min: 6,
            ..CorrelationConfig::default()
        }
    }

    /// Plays middles, a minute each, and gives the masks after every one.
    fn play(moves: &mut Moves, steps: impl IntoIterator<Item = Vec<Option<i64>>>) -> Vec<Vec<u16>> {
        let mut masks = Vec::new();
        for (step, middles) in (0..).zip(steps) {
            let now_ns = START + step * MINUTE;
            assert!(moves.is_due(now_ns), "once a minute");
            moves.sample(now_ns, |at| middles[at].map(Price::from_units));
            assert!(!moves.is_due(now_ns + 1), "and not again within it");
            masks.push(moves.together().expect("measured").to_vec());
        }
        masks
    }

    /// A price that rises and falls by twelve `bits`, again and again, a thousandth each.
    fn swing(bits: u32, step: u32) -> i64 {
        let mut price = 1_000_000_000i64;
        for at in 0..step {
            price += if bits >> (at % 12) & 1 == 1 { price / 1_000 } else { -price / 1_000 };
        }
        price
    }

    #[test]
    fn what_is_not_known_yet_moves_together_and_what_moves_apart_does_so_only_once_it_is_measured() {
        let mut moves = Moves::new(&config(70), 2);
        assert_eq!(moves.together().unwrap(), [3, 3], "nothing is known");
        let apart = (0..20).map(|s| vec![Some(swing(0b0110_0110_0110, s)), Some(swing(0b0101_0101_0101, s))]);
        let masks = play(&mut moves, apart);
        // The first sample has no return, six returns are the least.
        assert!(masks[..6].iter().all(|m| m[0] & 2 == 2 && m[1] & 1 == 1), "{masks:?}");
        assert!(masks[8][0] & 2 == 0 && masks[8][1] & 1 == 0, "{masks:?}");
    }

    #[test]
    fn the_same_moves_are_together_at_any_scale_and_opposite_ones_are_not() {
        let same = (0..20).map(|s| vec![Some(swing(0b0110_1101, s)), Some(swing(0b0110_1101, s) * 50)]);
        let masks = play(&mut Moves::new(&config(99), 2), same);
        assert!(masks.iter().all(|m| m[0] & 2 == 2));
        let against = (0..20).map(|s| vec![Some(swing(0b0110_1101, s)), Some(swing(!0b0110_1101, s))]);
        let masks = play(&mut Moves::new(&config(1), 2), against);
        assert_eq!(masks[19][0] & 2, 0);
    }

    #[test]
    fn a_market_that_is_cut_off_stands_still_or_was_not_looked_at_is_not_known() {
        let price = |s: u32, bits| Some(swing(bits, s));
        let apart = |s: u32| vec![price(s, 0b0110_0110_0110), price(s, 0b0101_0101_0101)];
        let mut moves = Moves::new(&config(70), 2);
        let masks =
            play(&mut moves, (0..12).map(apart).chain((12..24).map(|s| vec![price(s, 0b0110), None])));
        assert_eq!(masks[11][0] & 2, 0);
        assert_eq!(masks[23][0] & 2, 2, "the second is cut off");
        let still = (0..20).map(|s| vec![price(s, 0b0110), Some(1_000_000_000)]);
        let masks = play(&mut Moves::new(&config(70), 2), still);
        assert_eq!(masks[19][0] & 2, 2, "a price that stands still says nothing");
        // Hours in which no fact came leave no return behind.
        let mut moves = Moves::new(&config(70), 2);
        let _known = play(&mut moves, (0..12).map(apart));
        let before = moves.sums[0].n;
        moves.sample(START + 500 * MINUTE, |at| apart(30)[at].map(Price::from_units));
        assert!(moves.sums[0].n <= before);
    }

    #[test]
    fn running_sums_are_those_of_the_samples_that_are_kept() {
        // Against the definition, over the whole window, in whole numbers.
        let mut random = 0x5EED_u64;
        let mut next = move || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from(random >> 44).unwrap_or(0)
        };
        let mut moves = Moves::new(&config(40), 3);
        let mut kept: Vec<[i64; 3]> = Vec::new();
        let mut last = [Price::ZERO; 3];
        for step in 0..400 {
            let middles = [0, 1, 2].map(|_| (next() % 7 != 0).then(|| 1_000_000_000 + next() % 30_000_000));
            moves.sample(START + step * MINUTE, |at| middles[at].map(Price::from_units));
            let now = middles.map(|m| Price::from_units(m.unwrap_or(0)));
            kept.push([0, 1, 2].map(|at| return_of(last[at], now[at])));
            last = now;
            let window = &kept[kept.len().saturating_sub(12)..];
            for (pair, (first, second)) in [(0, 1), (0, 2), (1, 2)].into_iter().enumerate() {
                let mut sums = Sums::default();
                for sample in window {
                    sums.change(sample[first], sample[second], 1);
                }
                assert_eq!(moves.sums[pair], sums, "step {step}");
                let together = moves.together().unwrap()[first] >> second & 1 == 1;
                assert_eq!(together, sums.are_together(6, 40), "step {step}");
            }
        }
    }

    #[test]
    fn extremes_stay_in_range() {
        let mut moves = Moves::new(&CorrelationConfig { samples: 240, ..config(100) }, 2);
        let wild = (0..600)
            .map(|s| if s % 2 == 0 { vec![Some(1), Some(i64::MAX)] } else { vec![Some(i64::MAX), Some(1)] });
        let masks = play(&mut moves, wild);
        assert_eq!(masks[599][0] & 2, 0, "against each other");
    }
}
