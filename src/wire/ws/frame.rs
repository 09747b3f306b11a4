//! Frame headers and masking.

use core::ops::Range;

use super::error::Misbehaviour;

/// Longest payload of a control frame.
pub const CONTROL_BYTES_MAX: usize = 125;
/// Room before a payload that is framed in place: the longest header of a client (2 + 8 + 4).
pub const HEADROOM: usize = 14;
/// Longest header of a server: no mask.
pub(super) const SERVER_HEADER_BYTES_MAX: usize = 10;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const MASKED: u8 = 0x80;
/// In place of a length: it follows in two bytes, or in eight.
const LENGTH_IN_2: u8 = 0x7e;
const LENGTH_IN_8: u8 = 0x7f;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    const fn bits(self) -> u8 {
        match self {
            Self::Continuation => 0x0,
            Self::Text => 0x1,
            Self::Binary => 0x2,
            Self::Close => 0x8,
            Self::Ping => 0x9,
            Self::Pong => 0xa,
        }
    }

    const fn from_bits(bits: u8) -> Option<Self> {
        match bits {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xa => Some(Self::Pong),
            _ => None,
        }
    }

    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// First byte of an unfragmented text frame: the one shape that the hot path knows.
pub(super) const WHOLE_TEXT: u8 = FIN | Opcode::Text.bits();

/// A server's frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) is_final: bool,
    pub(super) opcode: Opcode,
    /// Bytes of the header itself.
    pub(super) len: usize,
    pub(super) payload_len: usize,
}

impl Header {
    /// Reads the header at the start of `bytes`; `None` while it is not all there. Checks everything that a header
    /// alone can show, as soon as it can.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Misbehaviour> {
        let [first, second, ..] = *bytes else { return Ok(None) };
        if first & RESERVED != 0 {
            return Err(Misbehaviour::ReservedBits);
        }
        let opcode = Opcode::from_bits(first & 0x0f).ok_or(Misbehaviour::ReservedOpcode)?;
        let is_final = first & FIN != 0;
        if second & MASKED != 0 {
            return Err(Misbehaviour::Masked);
        }
        if opcode.is_control() {
            if !is_final {
                return Err(Misbehaviour::FragmentedControl);
            }
            if usize::from(second) > CONTROL_BYTES_MAX {
                return Err(Misbehaviour::LongControl);
            }
        }
        let Some((len, payload_len)) = parse_len(bytes)? else { return Ok(None) };
        Ok(Some(Self { is_final, opcode, len, payload_len }))
    }
}

/// The length of an unmasked frame: `(header bytes, payload bytes)`, or `None` while it is not all there.
#[inline]
pub(super) fn parse_len(bytes: &[u8]) -> Result<Option<(usize, usize)>, Misbehaviour> {
    let [_, second, ..] = *bytes else { return Ok(None) };
    match second {
        0..=125 => Ok(Some((2, usize::from(second)))),
        LENGTH_IN_2 => {
            let [_, _, a, b, ..] = *bytes else { return Ok(None) };
            let len = usize::from(u16::from_be_bytes([a, b]));
            if len <= CONTROL_BYTES_MAX { Err(Misbehaviour::BadLength) } else { Ok(Some((4, len))) }
        }
        LENGTH_IN_8 => {
            let Some(wide) = bytes.get(2..10).and_then(|w| <[u8; 8]>::try_from(w).ok()) else {
                return Ok(None);
            };
            let len = u64::from_be_bytes(wide);
            if u16::try_from(len).is_ok() || len >> 63 != 0 {
                return Err(Misbehaviour::BadLength);
            }
            let len = usize::try_from(len).map_err(|_| Misbehaviour::BadLength)?;
            Ok(Some((SERVER_HEADER_BYTES_MAX, len)))
        }
        _ => Err(Misbehaviour::Masked),
    }
}

/// Frames a text in place for sending: the payload already sits at `buf[HEADROOM..HEADROOM + len]`; its header is
/// written right before it and it is masked where it lies. Returns where the frame is in `buf`.
///
/// # Panics
/// When `buf` is shorter than `HEADROOM + len`.
#[inline]
pub fn frame_text_in_place(buf: &mut [u8], len: usize, mask: u32) -> Range<usize> {
    frame_in_place(buf, len, Opcode::Text, mask)
}

#[inline]
pub(super) fn frame_in_place(buf: &mut [u8], len: usize, opcode: Opcode, mask: u32) -> Range<usize> {
    let (head, rest) = buf.split_at_mut(HEADROOM);
    apply_mask(&mut rest[..len], mask);
    let first = FIN | opcode.bits();
    head[HEADROOM - 4..].copy_from_slice(&mask.to_le_bytes());
    let start = match len {
        0..=125 => {
            let start = HEADROOM - 6;
            head[start] = first;
            head[start + 1] = MASKED | low_byte(len);
            start
        }
        126..=0xffff => {
            let start = HEADROOM - 8;
            head[start] = first;
            head[start + 1] = MASKED | LENGTH_IN_2;
            head[start + 2] = low_byte(len >> 8);
            head[start + 3] = low_byte(len);
            start
        }
        _ => {
            head[0] = first;
            head[1] = MASKED | LENGTH_IN_8;
            head[2..10].copy_from_slice(&(len as u64).to_be_bytes());
            0
        }
    };
    start..HEADROOM + len
}

#[inline]
const fn low_byte(value: usize) -> u8 {
    value.to_le_bytes()[0]
}

/// XORs `bytes` with the key (RFC 6455, 5.3), which masks them and takes the mask off: eight bytes at a time, the loop has no
/// carried state, so the compiler widens it to vectors.
#[inline]
pub fn apply_mask(bytes: &mut [u8], mask: u32) {
    let wide = u64::from(mask) << 32 | u64::from(mask);
    let (chunks, tail) = bytes.as_chunks_mut::<8>();
    for chunk in chunks {
        *chunk = (u64::from_le_bytes(*chunk) ^ wide).to_le_bytes();
    }
    for (byte, key) in tail.iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
}
