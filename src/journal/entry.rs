//! What a journal holds: the hot records and, as JSON, the few cold ones that frame them.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::event::Record;
use crate::journal::codec::{decode_record, encode_record, kind, record_kind};
use crate::journal::session::SessionHeader;
use crate::journal::wire::DecodeError;

/// One entry with its place in the chain.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// Number in the chain, gap-free from 1.
    pub seq: u64,
    /// When the writer took it, nanoseconds since the epoch.
    pub wall_ns: i64,
    /// The same on the engine's monotonic clock.
    pub mono_ns: i64,
    /// The entry.
    pub entry: Entry,
}

/// An entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Entry {
    /// From a stage.
    Record(Record),
    /// A session begins (`BOOT_SEAL`).
    Session(Box<SessionHeader>),
    /// The control thread did something.
    Control(Box<Control>),
    /// A checkpoint was signed.
    Checkpoint(CheckpointMark),
    /// A session ends.
    End(SessionEnd),
    /// A bad tail was cut off when the journal was opened.
    Recovered(Recovered),
}

/// What the control thread records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ControlKind {
    /// Armed; durable before it takes effect.
    Arm,
    /// Tripped; recorded after it took effect.
    Trip,
    /// The venue said that nothing is open.
    Silent,
    /// Recovery began: a cause was given; durable before it takes effect.
    Recover,
    /// An emergency layer was reset; durable before it takes effect.
    Reset,
    /// A limit changed; durable before it takes effect.
    LimitChange,
    /// A role signed off; durable before it takes effect.
    SignOff,
    /// Positions are to be closed.
    Flatten,
    /// Open orders are to be cancelled.
    CancelAll,
    /// The venue is to be asked.
    Reconcile,
    /// Entries on an instrument stop.
    Freeze,
    /// Entries on an instrument go on.
    Unfreeze,
    /// The lease was lost, or is renewed again.
    Lease,
    /// The engine is stopping.
    Stop,
    /// Anything else.
    Note,
}

/// An act of the control thread, with who and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Control {
    /// What.
    pub kind: ControlKind,
    /// Who asked: a name, a role, or the engine's own part (`watchdog`).
    pub who: String,
    /// Why.
    pub cause: String,
    /// Peer uid of the control socket, if it came that way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The halt epoch that it is about.
    #[serde(default)]
    pub halt_epoch: u64,
    /// Anything else.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
}

/// A checkpoint was signed: the chain's own note of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointMark {
    /// Up to which record.
    pub size: u64,
    /// Hash of that record, hexadecimal.
    pub head: String,
    /// Name of the key.
    pub key: String,
}

/// The end of a session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionEnd {
    /// Which session.
    pub session: String,
    /// Why it ended.
    pub cause: String,
    /// Records of the session, this one not counted.
    pub records: u64,
    /// The last fact's number.
    pub facts: u64,
}

/// What opening the journal cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recovered {
    /// Number of the first record that could not be trusted.
    pub first_bad_seq: u64,
    /// The segment's file name.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// Bytes cut off (unused preallocated bytes included).
    pub bytes: u64,
    /// What was wrong.
    pub why: String,
}

fn from_json<T: DeserializeOwned>(what: &'static str, payload: &[u8]) -> Result<T, DecodeError> {
    serde_json::from_slice(payload).map_err(|e| DecodeError::Json { what, why: e.to_string() })
}

fn to_json<T: Serialize>(what: &'static str, value: &T, out: &mut Vec<u8>) -> Result<(), DecodeError> {
    serde_json::to_writer(&mut *out, value).map_err(|e| DecodeError::Json { what, why: e.to_string() })
}

impl Entry {
    /// The entry's type.
    pub const fn kind(&self) -> u16 {
        match self {
            Self::Record(record) => record_kind(record),
            Self::Session(_) => kind::SESSION,
            Self::Control(_) => kind::CONTROL,
            Self::Checkpoint(_) => kind::CHECKPOINT,
            Self::End(_) => kind::END,
            Self::Recovered(_) => kind::RECOVERED,
        }
    }

    /// The name of its type.
    pub fn name(&self) -> &'static str {
        kind::name(self.kind()).unwrap_or("record")
    }

    /// Appends the payload.
    pub fn encode(&self, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        match self {
            Self::Record(record) => {
                encode_record(record, out);
                Ok(())
            }
            Self::Session(e) => to_json("session", e, out),
            Self::Control(e) => to_json("control", e, out),
            Self::Checkpoint(e) => to_json("checkpoint", e, out),
            Self::End(e) => to_json("end", e, out),
            Self::Recovered(e) => to_json("recovered", e, out),
        }
    }

    /// Reads a payload back. An unknown type or version is an error that names it.
    pub fn decode(kind: u16, version: u8, payload: &[u8]) -> Result<Self, DecodeError> {
        let Some(name) = kind::name(kind) else { return Err(DecodeError::UnknownType { kind }) };
        if version != 1 {
            return Err(DecodeError::UnknownVersion { name, version });
        }
        Ok(match kind {
            kind::SESSION => Self::Session(from_json(name, payload)?),
            kind::CONTROL => Self::Control(from_json(name, payload)?),
            kind::CHECKPOINT => Self::Checkpoint(from_json(name, payload)?),
            kind::END => Self::End(from_json(name, payload)?),
            kind::RECOVERED => Self::Recovered(from_json(name, payload)?),
            _ => Self::Record(decode_record(kind, payload)?),
        })
    }
}
