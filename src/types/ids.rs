//! Identifiers: small, `Copy`, never mixed up.

use core::fmt;

/// Index of an instrument in the session's instrument table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct InstrumentId(pub u16);

impl InstrumentId {
    /// As an index into per-instrument tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of an asset in the session's asset table.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct AssetId(pub u16);

impl AssetId {
    /// An asset that the session does not know (a fee in a third coin, say).
    pub const UNKNOWN: Self = Self(u16::MAX);
    /// As an index into per-asset tables.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Index of a strategy in the session's list of running strategies.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct StrategyId(pub u8);

impl StrategyId {
    /// Orders that no strategy asked for: the operator's closes, the kill switch's flatten.
    pub const OPERATOR: Self = Self(u8::MAX);
}

/// The venue's number of an order; 0 while it is not known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct VenueOrderId(pub u64);

/// The venue's number of a trade (a fill).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TradeId(pub u64);

/// Our number of an order: the boot epoch in the upper 24 bits (durable before the first order of a boot) and a counter
/// in the lower 40. It can't repeat across boots, so an order of ours is recognised at the venue after any crash.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClientOrderId(pub u64);

impl ClientOrderId {
    /// No order.
    pub const NONE: Self = Self(0);
    /// Bits of the counter.
    pub const COUNTER_BITS: u32 = 40;
    /// Length of the text form: `IL` and sixteen hexadecimal digits.
    pub const TEXT_LEN: usize = 18;

    /// From a boot epoch (1 ..= 2^24 - 1) and a counter (< 2^40).
    pub const fn new(epoch: u32, counter: u64) -> Self {
        assert!(epoch > 0 && epoch < 1 << 24 && counter < 1 << Self::COUNTER_BITS);
        Self(((epoch as u64) << Self::COUNTER_BITS) | counter)
    }
    /// The boot epoch.
    pub const fn epoch(self) -> u32 {
        (self.0 >> Self::COUNTER_BITS) as u32
    }
    /// The counter within the boot.
    pub const fn counter(self) -> u64 {
        self.0 & ((1 << Self::COUNTER_BITS) - 1)
    }
    /// The text that goes to the venue: fixed width, so that order templates have a hole of known size.
    pub fn text(self) -> [u8; Self::TEXT_LEN] {
        let mut out = *b"IL0000000000000000";
        let mut rest = self.0;
        for digit in out[2..].iter_mut().rev() {
            *digit = b"0123456789abcdef"[(rest & 15) as usize];
            rest >>= 4;
        }
        out
    }
    /// Reads the text form; `None` for an order that is not ours.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let digits = text.strip_prefix(b"IL")?;
        if digits.len() != 16 {
            return None;
        }
        let mut value = 0u64;
        for &byte in digits {
            let digit = match byte {
                b'0'..=b'9' => byte - b'0',
                b'a'..=b'f' => byte - b'a' + 10,
                _ => return None,
            };
            value = value << 4 | u64::from(digit);
        }
        (value != 0).then_some(Self(value))
    }
}

impl fmt::Display for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(core::str::from_utf8(&self.text()).map_err(|_| fmt::Error)?)
    }
}
impl fmt::Debug for ClientOrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// An instrument's symbol as the venue writes it (`BTCUSDT`), at most [`Symbol::LEN_MAX`] bytes of ASCII.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Symbol {
    bytes: [u8; Self::LEN_MAX],
    len: u8,
}

impl Symbol {
    /// Longest symbol.
    pub const LEN_MAX: usize = 23;

    /// From the venue's text; `None` if it is empty, too long or not printable ASCII.
    pub fn new(text: &[u8]) -> Option<Self> {
        if text.is_empty() || text.len() > Self::LEN_MAX || !text.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text);
        Some(Self { bytes, len: u8::try_from(text.len()).ok()? })
    }
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
