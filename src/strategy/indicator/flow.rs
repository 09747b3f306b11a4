//! Order flow imbalance at the best prices (Cont, Kukanov, Stoikov 2014), in a window that fades, and the microprice.

use fixed::types::I64F64;

use crate::event::Quote;
use crate::types::{Level, Price, Qty};

/// `2^(-k/32)` in units of `2^-62`, for k from 0 to 32.
const HALVINGS: [u64; 33] = [
    0x4000_0000_0000_0000,
    0x3EA0_ECB6_DC8A_80CF,
    0x3D49_5F45_4921_B30B,
    0x3BF9_2E66_F736_BD73,
    0x3AB0_31B9_F749_0E4C,
    0x396E_41B9_DF20_D22A,
    0x3833_37BB_0AA5_3844,
    0x36FE_EDE5_F6BC_8DD5,
    0x35D1_3F32_B5A7_5ABD,
    0x34AA_0764_7C4A_B917,
    0x3389_2305_47E1_2039,
    0x326E_6F61_9B8B_C9E9,
    0x3159_CA84_5541_B6B7,
    0x304B_1332_999C_2516,
    0x2F42_28E7_D603_0DB0,
    0x2E3E_EBD1_D8BE_E7BA,
    0x2D41_3CCC_FE77_9921,
    0x2C48_FD60_74AB_0964,
    0x2B56_0FBA_90A8_52B2,
    0x2A68_56AD_3A9F_03BE,
    0x297F_B5AA_6C54_4E3B,
    0x289C_10C0_C312_5A06,
    0x27BD_4C98_2468_446B,
    0x26E3_4E6E_7553_954E,
    0x260D_FC14_636E_2A5C,
    0x253D_3BEA_3FBD_C258,
    0x2470_F4DC_EAC4_70CE,
    0x23A9_0E62_D173_54F0,
    0x22E5_7078_FAA2_F5BA,
    0x2226_03A0_24B6_A14A,
    0x216A_B0D9_F312_1EC5,
    0x20B3_61A6_2B0A_E876,
    0x2000_0000_0000_0000,
];
const STEPS: i64 = 32;
/// Bits that the straight line between two steps does without, so that it stays within 64.
const COARSE: u32 = 36;
/// Longest half-life: an hour.
const HALF_LIFE_MAX_NS: i64 = 3_600 * crate::types::time::NS_PER_S;
/// From units of `2^-62` to units of `2^-64`.
const TO_FRACTION: u32 = 2;

/// Fading by half in each half-life, without floats: a table of 32 steps a halving, straight between them (off by less than
/// one part in ten thousand, and by the same on every machine).
#[derive(Clone, Copy, Debug)]
pub struct Decay {
    half_life_ns: i64,
}

impl Decay {
    /// With a half-life of at least `STEPS` nanoseconds and at most an hour.
    pub fn new(half_life_ns: i64) -> Self {
        Self { half_life_ns: half_life_ns.clamp(STEPS, HALF_LIFE_MAX_NS) }
    }
    /// What is left after a time: one at zero (and before), nothing after 62 half-lives.
    pub fn factor(&self, elapsed_ns: i64) -> I64F64 {
        if elapsed_ns <= 0 {
            return I64F64::ONE;
        }
        let halvings = elapsed_ns / self.half_life_ns;
        if halvings >= 62 {
            return I64F64::ZERO;
        }
        // At most 2^45 and 2^59: half-lives are minutes at most, and steps differ by less than 2^58.
        let rest = (elapsed_ns % self.half_life_ns) * STEPS;
        let step = usize::try_from(rest / self.half_life_ns).unwrap_or(0).min(HALVINGS.len() - 2);
        let (above, below) = (HALVINGS[step], HALVINGS[step + 1]);
        let part = ((above - below) >> COARSE).cast_signed() * (rest % self.half_life_ns) / self.half_life_ns;
        let between = i128::from(above) - (i128::from(part) << COARSE);
        I64F64::from_bits((between << TO_FRACTION) >> halvings)
    }
}

/// Quantities are brought near one by `2^-26`, so that their squares stay in range. Only ratios come out.
const QTY_FRACTION_BITS: u32 = 64 - 26;

/// The imbalance: what buyers added at the best bid and took at the best ask, minus the same of sellers, faded; and beside
/// it the variance that changes of that size would give it if they came from both sides alike, so that the imbalance is
/// measured in standard deviations, however busy the market is.
#[derive(Clone, Copy, Debug)]
pub struct OrderFlow {
    decay: Decay,
    last: Option<(Level, Level)>,
    at_ns: i64,
    imbalance: I64F64,
    variance: I64F64,
    events: u32,
}

impl OrderFlow {
    /// With a half-life.
    pub fn new(half_life_ns: i64) -> Self {
        Self {
            decay: Decay::new(half_life_ns),
            last: None,
            at_ns: 0,
            imbalance: I64F64::ZERO,
            variance: I64F64::ZERO,
            events: 0,
        }
    }

    /// Adds a change of the best prices.
    pub fn update(&mut self, quote: &Quote, now_ns: i64) {
        let Some((bid, ask)) = self.last.replace((quote.bid, quote.ask)) else {
            self.at_ns = now_ns;
            return;
        };
        let change = bid_change(bid, quote.bid).saturating_sub(ask_change(ask, quote.ask));
        let change = I64F64::from_bits(i128::from(change) << QTY_FRACTION_BITS);
        let kept = self.decay.factor(now_ns.saturating_sub(self.at_ns));
        self.at_ns = now_ns;
        // Saturating: a venue's quantities are far below, and a strategy must not stop the engine.
        self.imbalance = (self.imbalance * kept).saturating_add(change);
        self.variance = (self.variance * kept * kept).saturating_add(change.saturating_mul(change));
        self.events = self.events.saturating_add(1);
    }

    /// Forgets everything: the stream was cut.
    pub fn reset(&mut self) {
        *self = Self { decay: self.decay, ..Self::new(STEPS) };
    }

    /// Changes seen.
    pub const fn events(&self) -> u32 {
        self.events
    }

    /// How unlikely an imbalance of at most this size is when both sides are alike, in hundredths of a percent: the normal
    /// distribution at the quarter of a standard deviation below it.
    pub fn confidence_bp(&self) -> u16 {
        let reached = (0i64..).zip(NORMAL_BP).take_while(|&(quarter, _)| self.at_least(quarter * 25)).last();
        reached.map_or(0, |(_, &bp)| bp)
    }

    /// Whether the imbalance is at least this many hundredths of its standard deviation, towards buying. Compared by
    /// squares and products: nothing is divided and no root is drawn. No activity is no imbalance.
    pub fn at_least(&self, centisigma: i64) -> bool {
        if self.variance == I64F64::ZERO {
            return false;
        }
        let square = self.imbalance.saturating_mul(self.imbalance).saturating_mul(I64F64::from_num(10_000));
        let bound = self.variance.saturating_mul(I64F64::from_num(centisigma * centisigma));
        let leans = self.imbalance >= I64F64::ZERO;
        if centisigma >= 0 { leans && square >= bound } else { leans || square <= bound }
    }
}

/// The standard normal distribution at 0, 0.25, 0.5, ... 4 standard deviations, in hundredths of a percent, downwards.
const NORMAL_BP: &[u16] =
    &[5000, 5987, 6914, 7733, 8413, 8943, 9331, 9599, 9772, 9877, 9937, 9970, 9986, 9994, 9997, 9999, 9999];

/// What changed at the best bid: a better price is all new, a worse one took away all that stood.
fn bid_change(before: Level, after: Level) -> i64 {
    let (was, is) = (before.qty.units(), after.qty.units());
    match after.price.cmp(&before.price) {
        core::cmp::Ordering::Greater => is,
        core::cmp::Ordering::Equal => is.saturating_sub(was),
        core::cmp::Ordering::Less => was.saturating_neg(),
    }
}

/// The same at the best ask, where better is lower.
fn ask_change(before: Level, after: Level) -> i64 {
    let (was, is) = (before.qty.units(), after.qty.units());
    match after.price.cmp(&before.price) {
        core::cmp::Ordering::Less => is,
        core::cmp::Ordering::Equal => is.saturating_sub(was),
        core::cmp::Ordering::Greater => was.saturating_neg(),
    }
}

/// The middle weighted by the opposite quantities: where the next trade is likelier. Towards minus infinity; `None` without
/// quantity.
pub fn microprice(bid: Level, ask: Level) -> Option<Price> {
    let weight = |qty: Qty| i128::from(qty.units().max(0));
    let total = weight(bid.qty) + weight(ask.qty);
    if total == 0 {
        return None;
    }
    let weighted =
        i128::from(bid.price.units()) * weight(ask.qty) + i128::from(ask.price.units()) * weight(bid.qty);
    i64::try_from(weighted.div_euclid(total)).ok().map(Price::from_units)
}
