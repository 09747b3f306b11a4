//! Decimal text to fixed point eight digits at a step, and back with a fixed number of decimals.
//!
//! Exactly [`parse_decimal`] in result, on every input: the fast path takes only the plain shape that venues send
//! (`digits[.digits]`) and leaves everything else, errors included, to it.

use crate::types::DecimalError;
use crate::types::decimal::{POW10, parse_decimal};

/// How many of the eight bytes, from the first (lowest) on, are ASCII digits.
#[inline]
const fn digits_in(word: u64) -> u32 {
    let t = word ^ 0x3030_3030_3030_3030;
    // A byte is a digit when its upper half is now zero and its lower half is at most nine.
    let not_digit = (((t & 0x7f7f_7f7f_7f7f_7f7f) + 0x7676_7676_7676_7676) | t) & 0x8080_8080_8080_8080;
    not_digit.trailing_zeros() / 8
}

/// The value of eight ASCII digits, the first in the lowest byte; zero bytes count as the digit 0.
#[inline]
const fn value_of_eight(word: u64) -> u64 {
    let v = (word & 0x0f0f_0f0f_0f0f_0f0f).wrapping_mul(2_561) >> 8;
    let v = (v & 0x00ff_00ff_00ff_00ff).wrapping_mul(6_553_601) >> 16;
    (v & 0x0000_ffff_0000_ffff).wrapping_mul(42_949_672_960_001) >> 32
}

/// Parses plain decimal text as a count of `10^-decimals`: [`parse_decimal`], faster.
#[inline]
pub fn parse(text: &[u8], decimals: u32) -> Result<i64, DecimalError> {
    match parse_plain(text, decimals) {
        Some(value) => Ok(value),
        None => parse_decimal(text, decimals),
    }
}

/// The next eight bytes, the first in the lowest byte; zero bytes where the text ends.
#[inline]
fn next_word(bytes: &[u8]) -> u64 {
    bytes.first_chunk::<8>().map_or_else(|| last_word(bytes), |eight| u64::from_le_bytes(*eight))
}

/// Fewer than eight bytes. Not inlined: readers of padded messages never come here.
#[inline(never)]
fn last_word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte))
}

/// The plain shape with at most eight digits on either side of the point; `None` for all else.
#[inline]
fn parse_plain(text: &[u8], decimals: u32) -> Option<i64> {
    let mut cursor = Cursor::new(text);
    let value = cursor.decimal(decimals)?;
    cursor.rest.is_empty().then_some(value)
}

/// What is left of a message, for readers that know what must come next. It may run over the end of a message into the
/// padding behind it: the reader looks at how much is left when it is done.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    /// What is left.
    pub rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    /// At the start.
    #[inline]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Steps over exactly these bytes; `None` when others stand there.
    #[inline(always)]
    #[expect(
        clippy::inline_always,
        reason = "the length is a constant only when inlined, and then it is a few loads"
    )]
    pub fn literal<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (there, rest) = self.rest.split_first_chunk::<N>()?;
        if there == expected {
            self.rest = rest;
            Some(())
        } else {
            None
        }
    }

    /// The next bytes, without stepping over them.
    #[inline]
    pub fn peek<const N: usize>(&self) -> Option<&'a [u8; N]> {
        self.rest.first_chunk::<N>()
    }

    /// Up to eight digits: their value and how many.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "eight times a quote, and a call is as long as the work")]
    fn step(&mut self) -> (u64, u32) {
        let word = next_word(self.rest);
        let count = digits_in(word);
        self.rest = self.rest.get(count as usize..).unwrap_or_default();
        // Without a digit all 64 bits are shifted out, and the value is 0.
        (value_of_eight(word.checked_shl(64 - 8 * count).unwrap_or(0)), count)
    }

    /// An unsigned integer; `None` without a digit or beyond 64 bits. Leading zeros are taken as the digits they are.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see `step`")]
    pub fn uint(&mut self) -> Option<u64> {
        let (value, count) = self.step();
        match count {
            0 => None,
            8 => self.long_uint(value),
            _ => Some(value),
        }
    }

    /// The digits behind the first eight.
    #[inline]
    fn long_uint(&mut self, first_eight: u64) -> Option<u64> {
        let (more, count) = self.step();
        // Sixteen digits fit.
        let value = first_eight * POW10[count as usize].unsigned_abs() + more;
        if count < 8 { Some(value) } else { self.very_long_uint(value) }
    }

    #[cold]
    fn very_long_uint(&mut self, first_sixteen: u64) -> Option<u64> {
        let mut value = first_sixteen;
        loop {
            let (more, count) = self.step();
            value = value.checked_mul(POW10[count as usize].unsigned_abs())?.checked_add(more)?;
            if count < 8 {
                return Some(value);
            }
        }
    }

    /// A decimal of the plain shape (up to eight digits on either side of the point), as a count of `10^-decimals` with
    /// `decimals` 8 or 9; `None` when the shape is another. What follows the digits is the caller's to check: a ninth
    /// digit stands there too.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "see `step`")]
    pub fn decimal(&mut self, decimals: u32) -> Option<i64> {
        debug_assert!(
            decimals == 8 || decimals == 9,
            "eight digits and nine decimals fit 64 bits, more may not"
        );
        let (whole, count) = self.step();
        if count == 0 {
            return None;
        }
        let whole = whole.cast_signed() * POW10[decimals as usize];
        let Some((b'.', rest)) = self.rest.split_first() else { return Some(whole) };
        self.rest = rest;
        let (fraction, count) = self.step();
        Some(whole + fraction.cast_signed() * POW10[(decimals - count) as usize])
    }
}

/// Longest text that [`render`] writes: 19 digits, a sign and a point.
pub const RENDER_MAX: usize = 24;

/// Writes `value` (a count of `10^-decimals`, not negative) with exactly `shown` decimals at the start of `out` and returns
/// the length; `None` when it is negative, off that grid, or does not fit `out`.
#[inline]
pub fn render(out: &mut [u8], value: i64, decimals: u32, shown: u32) -> Option<usize> {
    let value = u64::try_from(value).ok()?;
    let unit = POW10.get(decimals as usize)?.unsigned_abs();
    let cut = POW10.get(decimals.checked_sub(shown)? as usize)?.unsigned_abs();
    if !value.is_multiple_of(cut) {
        return None;
    }
    let (whole, fraction) = (value / unit, value % unit / cut);
    let mut at = render_uint(out, whole)?;
    if shown > 0 {
        let tail = out.get_mut(at..at + 1 + shown as usize)?;
        tail[0] = b'.';
        put_digits(&mut tail[1..], fraction);
        at += 1 + shown as usize;
    }
    Some(at)
}

/// Writes an unsigned integer at the start of `out` and returns its length; `None` when it does not fit.
#[inline]
pub fn render_uint(out: &mut [u8], value: u64) -> Option<usize> {
    let len = value.checked_ilog10().unwrap_or(0) as usize + 1;
    put_digits(out.get_mut(..len)?, value);
    Some(len)
}

/// Fills `out` with the last digits of `value`, leading zeros included.
#[inline]
pub fn put_digits(out: &mut [u8], value: u64) {
    let mut rest = value;
    for byte in out.iter_mut().rev() {
        *byte = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
}
