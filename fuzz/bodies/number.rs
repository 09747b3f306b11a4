//! Decimal text: the fast parser, the plain one and arithmetic on whole numbers agree, and what was read writes back.

use interlock::types::DecimalError;
use interlock::types::decimal::{DECIMAL_TEXT_MAX, POW10, parse_decimal, write_decimal};
use interlock::wire::number;

/// What the text means, by 128-bit arithmetic; `None` where it means nothing that fits, or is longer than this model reads.
fn model(text: &[u8], decimals: u32) -> Option<i64> {
    let (negative, digits) = match text {
        [b'-', rest @ ..] => (true, rest),
        [b'+', rest @ ..] | rest => (false, rest),
    };
    let point = digits.iter().position(|b| *b == b'.').unwrap_or(digits.len());
    let (whole, fraction) = (&digits[..point], digits.get(point + 1..).unwrap_or_default());
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    let kept = fraction.len().min(decimals as usize);
    if fraction[kept..].iter().any(|b| *b != b'0') {
        return None;
    }
    let mut value: i128 = 0;
    for digit in whole.iter().chain(&fraction[..kept]) {
        if !digit.is_ascii_digit() {
            return None;
        }
        value = value.checked_mul(10)?.checked_add(i128::from(digit - b'0'))?;
    }
    let scale = POW10[decimals as usize - kept];
    let value = value.checked_mul(i128::from(scale))?;
    i64::try_from(if negative { -value } else { value }).ok()
}

/// Any bytes as a decimal.
pub(crate) fn number(data: &[u8]) {
    for decimals in [8, 9] {
        let plain = parse_decimal(data, decimals);
        assert_eq!(number::parse(data, decimals), plain, "fast and plain differ with {decimals} decimals");
        assert_eq!(plain.ok(), model(data, decimals), "{decimals} decimals: {plain:?}");
        if let Err(DecimalError::NotADigit { at }) = plain {
            assert!(at < data.len() && !data[at].is_ascii_digit(), "byte {at} is a digit");
        }
        let Ok(value) = plain else { continue };
        let mut text = [0; DECIMAL_TEXT_MAX];
        let len = write_decimal(&mut text, value, decimals, decimals);
        assert_eq!(parse_decimal(&text[..len], decimals), Ok(value), "written and read again");
        let mut rendered = [0; number::RENDER_MAX];
        let shown = number::render(&mut rendered, value, decimals, decimals);
        assert_eq!(shown.is_some(), value >= 0, "only what is not negative is rendered");
        if let Some(shown) = shown {
            assert_eq!(rendered[..shown], text[..len], "the two writers differ");
        }
    }
}
