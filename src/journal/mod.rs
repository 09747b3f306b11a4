//! What happened? The append-only, hash-chained record of every input and decision (R-EVD-1), one chain per data directory.
//!
//! What it promises (P1 to P10 of the safety notes), and where that is kept:
//! - one writer, gap-free numbers ([`log`]); after any crash the readable journal is a prefix of what was written, and nothing
//!   behind a bad record is ever used ([`scan`]);
//! - records at or below the published durable number survive a power loss: it is published only after `fdatasync`;
//! - a full ring or disk, or any failed write or sync, is halt level 3 at once and for good: a sync is never tried a second
//!   time, because the kernel marks the lost pages clean and the second call would lie ([`writer`]);
//! - arming and its like are durable before they take effect ([`control`]);
//! - CRC-32 against accident, a BLAKE3 chain against edits, signed checkpoints that leave the host against a cut tail, which
//!   no chain can show by itself ([`frame`], [`note`], [`verify`](mod@verify)).
//!
//! It refuses: records of an unknown type or version, a bad record below the durable watermark (the engine does not start),
//! numbers that repeat. A bad record above the watermark is cut off, and the cut is itself recorded.
//!
//! The disk is assumed to overwrite safely (bytes outside a write's range keep their value through a power loss), which is
//! SQLite's default assumption too.

mod carry;
pub mod codec;
pub mod control;
pub mod disk;
pub mod entry;
pub mod epoch;
pub mod error;
pub mod frame;
pub mod image;
pub mod log;
pub mod note;
pub mod reader;
pub mod render;
pub mod rings;
pub mod scan;
pub mod session;
pub mod verify;
pub mod wire;
pub mod writer;

pub use control::{ControlHandle, Health, Pending};
pub use disk::{Disk, DiskFile, RealDisk};
pub use entry::{Control, ControlKind, Entry, Item, SessionEnd};
pub use error::JournalError;
pub use note::{Checkpoint, SigningKey, VerifyingKey, checkpoint, verify_checkpoint};
pub use reader::{Reader, SessionSummary, read_session, sessions};
pub use render::Renderer;
pub use rings::Rings;
pub use session::SessionHeader;
pub use verify::{Report, verify};
pub use writer::{Observer, Writer, WriterConfig};
