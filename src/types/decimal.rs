//! Decimal text to fixed point and back, by digits: no float is ever between the venue's text and our integers.
//!
//! Every fixed-point type of the crate is an `i64` count of its smallest unit (`1e-9` for prices, `1e-8` for quantities
//! and cash). Text with more decimals than the unit has is an error unless the surplus digits are zeros, because a
//! zero loses nothing and venues pad with them.

use core::fmt;

/// Longest decimal text that [`write_decimal`] makes: sign, 19 digits, point.
pub const DECIMAL_TEXT_MAX: usize = 24;

/// Why a decimal text is not a value. `Copy`, so that the hot path can carry it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecimalError {
    /// No digit at all.
    Empty,
    /// A byte that is not a digit, a leading sign or the one point, at this offset.
    NotADigit {
        /// Offset of the offending byte.
        at: usize,
    },
    /// More non-zero decimals than the type holds.
    TooManyDecimals {
        /// How many the type holds.
        decimals_max: u32,
    },
    /// Larger than the type holds.
    Overflow,
}

impl fmt::Display for DecimalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("no digits"),
            Self::NotADigit { at } => write!(f, "not a decimal digit at byte {at}"),
            Self::TooManyDecimals { decimals_max } => write!(f, "more than {decimals_max} decimals"),
            Self::Overflow => f.write_str("out of range"),
        }
    }
}

impl std::error::Error for DecimalError {}

/// `10^n` for the scales in use.
pub const POW10: [i64; 19] = {
    let mut table = [1i64; 19];
    let mut i = 1;
    while i < 19 {
        table[i] = table[i - 1] * 10;
        i += 1;
    }
    table
};

/// Parses plain decimal text (`-12.50`, `7`, `.5`; no exponent, no spaces) as a count of `10^-decimals`.
pub fn parse_decimal(text: &[u8], decimals: u32) -> Result<i64, DecimalError> {
    let (negative, start) = match text.first() {
        Some(b'-') => (true, 1),
        Some(b'+') => (false, 1),
        _ => (false, 0),
    };
    let mut value: i64 = 0;
    let mut decimals_seen: Option<u32> = None;
    let mut digits = 0usize;
    for (at, &byte) in text.iter().enumerate().skip(start) {
        if byte == b'.' && decimals_seen.is_none() {
            decimals_seen = Some(0);
            continue;
        }
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            return Err(DecimalError::NotADigit { at });
        }
        digits += 1;
        if let Some(seen) = &mut decimals_seen {
            if *seen == decimals {
                if digit != 0 {
                    return Err(DecimalError::TooManyDecimals { decimals_max: decimals });
                }
                continue;
            }
            *seen += 1;
        }
        // Accumulated as a negative number: its range is the larger one, so i64::MIN parses too.
        value = value
            .checked_mul(10)
            .and_then(|v| v.checked_sub(i64::from(digit)))
            .ok_or(DecimalError::Overflow)?;
    }
    if digits == 0 {
        return Err(DecimalError::Empty);
    }
    let missing = decimals - decimals_seen.unwrap_or(0);
    let scaled = value.checked_mul(POW10[missing as usize]).ok_or(DecimalError::Overflow)?;
    if negative { Ok(scaled) } else { scaled.checked_neg().ok_or(DecimalError::Overflow) }
}

/// Writes `value` (a count of `10^-decimals`) as plain decimal text with exactly `shown` decimals into `out` and
/// returns its length. `shown <= decimals`; digits beyond `shown` must be zero, which callers guarantee by having put
/// the value on its grid (checked in debug builds, cut otherwise).
pub fn write_decimal(out: &mut [u8; DECIMAL_TEXT_MAX], value: i64, decimals: u32, shown: u32) -> usize {
    debug_assert!(shown <= decimals && decimals < 19);
    let negative = value < 0;
    let magnitude = value.unsigned_abs();
    let unit = POW10[decimals as usize].unsigned_abs();
    let (whole, fraction) = (magnitude / unit, magnitude % unit);
    let cut = POW10[(decimals - shown) as usize].unsigned_abs();
    debug_assert_eq!(fraction % cut, 0, "value is off the grid it is written on");
    let mut fraction = fraction / cut;
    let mut at = out.len();
    if shown > 0 {
        for _ in 0..shown {
            at -= 1;
            out[at] = b'0' + (fraction % 10) as u8;
            fraction /= 10;
        }
        at -= 1;
        out[at] = b'.';
    }
    let mut whole = whole;
    loop {
        at -= 1;
        out[at] = b'0' + (whole % 10) as u8;
        whole /= 10;
        if whole == 0 {
            break;
        }
    }
    if negative {
        at -= 1;
        out[at] = b'-';
    }
    out.copy_within(at.., 0);
    out.len() - at
}

/// Decimals needed to show `value` exactly: its trailing zeros dropped.
pub fn decimals_needed(value: i64, decimals: u32) -> u32 {
    let mut needed = decimals;
    let mut rest = value;
    while needed > 0 && rest % 10 == 0 {
        rest /= 10;
        needed -= 1;
    }
    needed
}

/// Formats with as many decimals as needed, honouring `{:.N}` as a minimum.
pub(crate) fn fmt_decimal(f: &mut fmt::Formatter<'_>, value: i64, decimals: u32) -> fmt::Result {
    let asked = f.precision().unwrap_or(0).min(decimals as usize);
    let shown = decimals_needed(value, decimals).max(u32::try_from(asked).unwrap_or(0));
    let mut text = [0u8; DECIMAL_TEXT_MAX];
    let len = write_decimal(&mut text, value, decimals, shown);
    let text = core::str::from_utf8(&text[..len]).map_err(|_| fmt::Error)?;
    // As a number is padded: `pad` would take the precision as a bound of the whole text and cut it.
    f.pad_integral(value >= 0, "", text.trim_start_matches('-'))
}

/// Declares a fixed-point newtype with checked arithmetic, decimal text both ways and serde as decimal text.
macro_rules! fixed_point {
    ($(#[$doc:meta])* $name:ident, decimals = $decimals:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[repr(transparent)]
        pub struct $name(i64);

        impl $name {
            /// Decimals of the smallest unit.
            pub const DECIMALS: u32 = $decimals;
            /// How many smallest units make one.
            pub const ONE: Self = Self($crate::types::decimal::POW10[$decimals]);
            /// Zero.
            pub const ZERO: Self = Self(0);
            /// The largest value.
            pub const MAX: Self = Self(i64::MAX);

            /// From a count of smallest units.
            pub const fn from_units(units: i64) -> Self {
                Self(units)
            }
            /// The count of smallest units.
            pub const fn units(self) -> i64 {
                self.0
            }
            /// From plain decimal text.
            pub fn parse(text: &[u8]) -> Result<Self, $crate::types::DecimalError> {
                $crate::types::decimal::parse_decimal(text, Self::DECIMALS).map(Self)
            }
            /// Sum, or `None` on overflow.
            pub const fn checked_add(self, other: Self) -> Option<Self> {
                match self.0.checked_add(other.0) {
                    Some(v) => Some(Self(v)),
                    None => None,
                }
            }
            /// Difference, or `None` on overflow.
            pub const fn checked_sub(self, other: Self) -> Option<Self> {
                match self.0.checked_sub(other.0) {
                    Some(v) => Some(Self(v)),
                    None => None,
                }
            }
            /// Whether it is exactly zero.
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
            /// Whether it lies on the grid of `step` (a zero step means no grid).
            pub const fn is_multiple_of(self, step: Self) -> bool {
                step.0 == 0 || self.0 % step.0 == 0
            }
            /// The nearest grid value at or below (towards minus infinity).
            pub const fn floor_to(self, step: Self) -> Self {
                if step.0 <= 0 { self } else { Self(self.0 - self.0.rem_euclid(step.0)) }
            }
            /// The nearest grid value at or above, or `None` on overflow.
            pub const fn ceil_to(self, step: Self) -> Option<Self> {
                let floor = self.floor_to(step);
                if floor.0 == self.0 { Some(self) } else { floor.checked_add(step) }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                $crate::types::decimal::fmt_decimal(f, self.0, Self::DECIMALS)
            }
        }
        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self)
            }
        }
        impl core::str::FromStr for $name {
            type Err = $crate::types::DecimalError;
            fn from_str(s: &str) -> Result<Self, Self::Err> {
                Self::parse(s.as_bytes())
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(d)?;
                Self::parse(text.as_bytes())
                    .map_err(|e| serde::de::Error::custom(format_args!("decimal {text:?}: {e}")))
            }
        }
    };
}
pub(crate) use fixed_point;
