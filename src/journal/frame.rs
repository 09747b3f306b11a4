//! How a record lies on disk.
//!
//! A segment is a header and then records, each of them linked to the one before:
//! ```text
//! header: magic 8 | format u32 | length u32 | epoch u32 | index u32 | first seq u64 | created ns i64 | chain id 16
//!         | hash before 32 | config hash 32 | build id 32 | 0 u32 | crc u32
//! record: length u32 (header and payload) | type u16 | version u8 | flags u8 | seq u64 | durable u64 | mono ns i64
//!         | wall ns i64 | payload | zeros to 4 mod 8 | crc u32 | hash 32
//! hash  = BLAKE3(hash before || record up to and with its crc); before a segment's first record stands BLAKE3(header)
//! ```
//! Everything is little-endian and aligned to 8. A length of 0 is the end: the space behind it was written with zeros
//! ahead of time. `durable` is the last record that was known durable when this one was framed; it is how a reader tells
//! a torn tail (nothing whole behind it knew it as durable) from damage.
//!
//! The CRC is CRC-32 (IEEE), not CRC-32C: for records of this size both find every error of up to 3 bits and any burst of
//! 32, `crc32fast` already serves the venue's book checksums, and what a CRC may miss the 256-bit hash does not.

use crate::limits::JOURNAL_RECORD_BYTES_MAX;

/// A BLAKE3 hash.
pub type Hash = [u8; 32];

/// First bytes of every segment.
pub const MAGIC: [u8; 8] = *b"ILKJRNL\x01";
/// Bytes of a segment's header.
pub const SEGMENT_HEADER_BYTES: usize = 160;
/// The same, as it stands in the header.
const SEGMENT_HEADER_BYTES_FIELD: u32 = 160;
/// Bytes of a record before its payload.
pub const RECORD_HEADER_BYTES: usize = 40;
/// The hash behind a record.
pub const HASH_BYTES: usize = 32;
/// The version of every record type so far.
pub const RECORD_VERSION: u8 = 1;

/// A segment's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Boot epoch of the session that wrote it.
    pub epoch: u32,
    /// Place in the chain, from 1; also its file name.
    pub index: u32,
    /// Number of its first record.
    pub seq0: u64,
    /// When it was made, nanoseconds since the epoch.
    pub created_ns: i64,
    /// Which chain: given once, at the first segment.
    pub chain_id: [u8; 16],
    /// Hash of the last record before it; zeros in the first segment.
    pub prev_hash: Hash,
    /// Hash of the session's configuration.
    pub config_hash: Hash,
    /// Build id, cut to 32 bytes.
    pub build_id: [u8; 32],
}

impl SegmentHeader {
    /// As bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        let mut out = Vec::with_capacity(SEGMENT_HEADER_BYTES);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&crate::journal::session::FORMAT.to_le_bytes());
        out.extend_from_slice(&SEGMENT_HEADER_BYTES_FIELD.to_le_bytes());
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&self.index.to_le_bytes());
        out.extend_from_slice(&self.seq0.to_le_bytes());
        out.extend_from_slice(&self.created_ns.to_le_bytes());
        out.extend_from_slice(&self.chain_id);
        out.extend_from_slice(&self.prev_hash);
        out.extend_from_slice(&self.config_hash);
        out.extend_from_slice(&self.build_id);
        out.extend_from_slice(&[0; 4]);
        let crc = crc32fast::hash(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes.copy_from_slice(&out);
        bytes
    }

    /// From bytes. The error says what is wrong with them.
    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        let Some(bytes) = bytes.first_chunk::<SEGMENT_HEADER_BYTES>() else {
            return Err(format!("the segment header is cut off after {} bytes", bytes.len()));
        };
        if bytes[..8] != MAGIC {
            return Err("this is not a journal segment (its magic is wrong)".to_owned());
        }
        let format = u32_at(bytes, 8);
        if format != crate::journal::session::FORMAT {
            return Err(format!(
                "journal format {format}; this version reads {}",
                crate::journal::session::FORMAT
            ));
        }
        let crc = u32_at(bytes, SEGMENT_HEADER_BYTES - 4);
        if crc32fast::hash(&bytes[..SEGMENT_HEADER_BYTES - 4]) != crc {
            return Err("the segment header's checksum is wrong".to_owned());
        }
        if u32_at(bytes, 12) as usize != SEGMENT_HEADER_BYTES || u32_at(bytes, SEGMENT_HEADER_BYTES - 8) != 0
        {
            return Err("the segment header's length is wrong".to_owned());
        }
        Ok(Self {
            epoch: u32_at(bytes, 16),
            index: u32_at(bytes, 20),
            seq0: u64_at(bytes, 24),
            created_ns: u64_at(bytes, 32).cast_signed(),
            chain_id: array_at(bytes, 40),
            prev_hash: array_at(bytes, 56),
            config_hash: array_at(bytes, 88),
            build_id: array_at(bytes, 120),
        })
    }

    /// What the segment's first record is linked to.
    pub fn link(&self) -> Hash {
        *blake3::hash(&self.encode()).as_bytes()
    }
}

/// What stands before a record's payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordHeader {
    /// Type.
    pub kind: u16,
    /// Version of the type.
    pub version: u8,
    /// Number.
    pub seq: u64,
    /// Last number known durable when this one was framed.
    pub durable: u64,
    /// Monotonic time.
    pub mono_ns: i64,
    /// Wall-clock time.
    pub wall_ns: i64,
}

/// A whole record in a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its header.
    pub header: RecordHeader,
    /// Its payload.
    pub payload: &'a [u8],
    /// Its hash, already compared.
    pub hash: Hash,
    /// All its bytes.
    pub bytes: usize,
}

/// Why there is no whole record at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// The length is 0: nothing was written here yet.
    End,
    /// A length that no record has.
    Length(u32),
    /// The bytes end before the record does; this many are needed.
    Short(usize),
    /// Bytes that must be zero are not.
    Padding,
    /// The checksum is wrong.
    Crc,
    /// The hash does not follow from the record before.
    Chain,
    /// Another number than the one that comes next.
    Seq(u64),
}

impl std::fmt::Display for FrameError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::End => f.write_str("the record is missing"),
            Self::Length(len) => write!(f, "{len} is not the length of a record"),
            Self::Short(needed) => write!(f, "the file ends inside the record, which has {needed} bytes"),
            Self::Padding => f.write_str("bytes that must be zero are not"),
            Self::Crc => f.write_str("the checksum is wrong"),
            Self::Seq(found) => write!(f, "record {found} stands here"),
            Self::Chain => f.write_str(
                "the hash does not follow from the record before: the record was changed, put in, or taken from \
                 elsewhere",
            ),
        }
    }
}

/// Bytes of a record with this much payload.
pub const fn frame_bytes(payload: usize) -> usize {
    (RECORD_HEADER_BYTES + payload + 4).next_multiple_of(8) + HASH_BYTES
}

/// Appends a record; `payload` appends the payload. `link` is the hash of the record before and becomes this one's.
#[inline]
pub fn encode_frame<E>(
    out: &mut Vec<u8>,
    header: RecordHeader,
    link: &mut Hash,
    payload: impl FnOnce(&mut Vec<u8>) -> Result<(), E>,
) -> Result<(), E> {
    let start = out.len();
    let mut head = [0u8; RECORD_HEADER_BYTES];
    head[4..6].copy_from_slice(&header.kind.to_le_bytes());
    head[6] = header.version;
    head[8..16].copy_from_slice(&header.seq.to_le_bytes());
    head[16..24].copy_from_slice(&header.durable.to_le_bytes());
    head[24..32].copy_from_slice(&header.mono_ns.to_le_bytes());
    head[32..40].copy_from_slice(&header.wall_ns.to_le_bytes());
    out.extend_from_slice(&head);
    if let Err(e) = payload(out) {
        out.truncate(start);
        return Err(e);
    }
    let len = out.len() - start;
    // Callers bound the payload; a length that does not fit would read back as a bad one, never as another record.
    let len_field = u32::try_from(len).unwrap_or(u32::MAX);
    out[start..start + 4].copy_from_slice(&len_field.to_le_bytes());
    let before_crc = (len + 4).next_multiple_of(8) - 4;
    out.resize(start + before_crc, 0);
    let crc = crc32fast::hash(&out[start..]);
    out.extend_from_slice(&crc.to_le_bytes());
    *link = hash(link, &out[start..]);
    out.extend_from_slice(link);
    Ok(())
}

fn hash(link: &Hash, record: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(link);
    hasher.update(record);
    *hasher.finalize().as_bytes()
}

/// The whole length of the record at the start of `bytes`, from its length field alone.
pub fn peek_bytes(bytes: &[u8]) -> Result<usize, FrameError> {
    let Some(field) = bytes.first_chunk::<4>() else { return Err(FrameError::Short(4)) };
    let field = u32::from_le_bytes(*field);
    let len = field as usize;
    if len == 0 {
        return Err(FrameError::End);
    }
    if !(RECORD_HEADER_BYTES..=JOURNAL_RECORD_BYTES_MAX).contains(&len) {
        return Err(FrameError::Length(field));
    }
    Ok((len + 4).next_multiple_of(8) + HASH_BYTES)
}

/// Reads the record at the start of `bytes` without asking the chain.
pub fn decode_unlinked(bytes: &[u8]) -> Result<Frame<'_>, FrameError> {
    let total = peek_bytes(bytes)?;
    let Some(frame) = bytes.get(..total) else { return Err(FrameError::Short(total)) };
    let len = u32_at(frame, 0) as usize;
    let crc_at = total - HASH_BYTES - 4;
    if crc32fast::hash(&frame[..crc_at]) != u32_at(frame, crc_at) {
        return Err(FrameError::Crc);
    }
    // The checksum covers them, so this is not about accidents: one record has one encoding.
    if frame[7] != 0 || frame[len..crc_at].iter().any(|&b| b != 0) {
        return Err(FrameError::Padding);
    }
    let header = RecordHeader {
        kind: u16::from_le_bytes([frame[4], frame[5]]),
        version: frame[6],
        seq: u64_at(frame, 8),
        durable: u64_at(frame, 16),
        mono_ns: u64_at(frame, 24).cast_signed(),
        wall_ns: u64_at(frame, 32).cast_signed(),
    };
    let payload = &frame[RECORD_HEADER_BYTES..len];
    Ok(Frame { header, payload, hash: array_at(frame, total - HASH_BYTES), bytes: total })
}

/// Reads the record at the start of `bytes`, which must follow from `link`.
pub fn decode_frame<'a>(bytes: &'a [u8], link: &Hash) -> Result<Frame<'a>, FrameError> {
    let frame = decode_unlinked(bytes)?;
    if hash(link, &bytes[..frame.bytes - HASH_BYTES]) == frame.hash {
        Ok(frame)
    } else {
        Err(FrameError::Chain)
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a String can't fail.
        let _infallible = write!(out, "{byte:02x}");
        out
    })
}

const _: () = assert!(SEGMENT_HEADER_BYTES_FIELD as usize == SEGMENT_HEADER_BYTES);

fn array_at<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(array_at(bytes, at))
}
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(array_at(bytes, at))
}
