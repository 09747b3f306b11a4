//! A message that could not be read, with its place and value. `Copy` and without allocation, so that the hot path can
//! carry it.

use core::fmt;

/// Bytes of the offending value that are kept.
const VALUE_MAX: usize = 32;

/// What could not be read, where, and why.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Malformed {
    /// Which message (`bookTicker`, `order.place reply`).
    pub message: &'static str,
    /// Which field, or the whole message (`""`).
    pub field: &'static str,
    /// What was expected of it.
    pub expected: &'static str,
    /// Byte offset, where known.
    pub at: usize,
    value: [u8; VALUE_MAX],
    value_len: u8,
}

impl Malformed {
    /// A field whose value is not what it must be.
    #[cold]
    pub fn field(message: &'static str, field: &'static str, expected: &'static str, value: &[u8]) -> Self {
        Self::at(message, field, expected, 0, value)
    }
    /// The same with its place.
    #[cold]
    pub fn at(
        message: &'static str,
        field: &'static str,
        expected: &'static str,
        at: usize,
        value: &[u8],
    ) -> Self {
        let len = value.len().min(VALUE_MAX);
        let mut kept = [0; VALUE_MAX];
        kept[..len].copy_from_slice(&value[..len]);
        Self { message, field, expected, at, value: kept, value_len: u8::try_from(len).unwrap_or(0) }
    }
    /// The start of the offending value.
    pub fn value(&self) -> &[u8] {
        &self.value[..usize::from(self.value_len)]
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "malformed {}", self.message)?;
        if self.at > 0 {
            write!(f, " at byte {}", self.at)?;
        }
        if !self.field.is_empty() {
            write!(f, ", field {:?}", self.field)?;
        }
        write!(f, ": expected {}, found \"{}\"", self.expected, self.value().escape_ascii())
    }
}
impl fmt::Debug for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
impl std::error::Error for Malformed {}
