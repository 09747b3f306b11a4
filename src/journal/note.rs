//! Checkpoints: what the chain was at some moment, signed, as text that leaves the host (P8). In the form of C2SP's signed
//! notes and transparency-log checkpoints: origin, size, hash, then a line of ours with the time; Ed25519.
//!
//! The third line is the hash of the last record of the chain, not the root of a tree: to show that a record is in, one
//! reads the journal, which its owner has.
//!
//! ```text
//! interlock-journal/6f1d...
//! 18232
//! 9lJ0...=
//! wall 2026-11-20T09:30:00.123456789Z 1795166400123456789
//!
//! — interlock-journal/6f1d... AbCd...=
//! ```

use std::io;
use std::path::Path;
use std::sync::Arc;

use aws_lc_rs::digest;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::journal::disk::{Disk, RealDisk, read_file, replace_file};
use crate::journal::error::JournalError;
use crate::journal::frame::{Hash, hex};
use crate::journal::verify::verify_on;

/// Longest text that can be a checkpoint.
const NOTE_BYTES_MAX: usize = 4096;
const KEY_BYTES_MAX: usize = 512;
/// C2SP's number of Ed25519 signatures.
const ED25519_TYPE: u8 = 1;

/// What was signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which journal: `interlock-journal/` and the chain's id.
    pub origin: String,
    /// Number of the last record that it covers.
    pub size: u64,
    /// That record's hash.
    pub head: Hash,
    /// When, nanoseconds since the epoch.
    pub wall_ns: i64,
}

/// Why a text is not a checkpoint to rely on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    /// Not in the form of a checkpoint.
    #[error("this is not a checkpoint: {what}")]
    Form {
        /// What is wrong.
        what: &'static str,
    },
    /// No signature by the key.
    #[error("the checkpoint has no signature by the key {key}")]
    NoSignature {
        /// The key that was looked for.
        key: String,
    },
    /// A signature that is wrong.
    #[error(
        "the checkpoint's signature by the key {key} is wrong: its text was changed, or another key made it"
    )]
    BadSignature {
        /// The key.
        key: String,
    },
    /// Not a verifying key.
    #[error("this is not a verifying key: {what}")]
    Key {
        /// What is wrong.
        what: &'static str,
    },
}

impl Checkpoint {
    /// The name of a chain in checkpoints.
    pub fn origin_of(chain_id: &[u8; 16]) -> String {
        format!("interlock-journal/{}", hex(chain_id))
    }

    /// The time as text.
    pub fn when(&self) -> String {
        time_text(self.wall_ns)
    }

    /// The text that is signed.
    fn text(&self) -> String {
        format!(
            "{}\n{}\n{}\nwall {} {}\n",
            self.origin,
            self.size,
            BASE64.encode(self.head),
            self.when(),
            self.wall_ns
        )
    }

    /// From the signed text. Strict: one checkpoint has one text.
    fn parse(text: &str) -> Result<Self, NoteError> {
        let form = |what| NoteError::Form { what };
        let mut lines = text.lines();
        let origin = lines.next().filter(|l| !l.is_empty()).ok_or(form("no origin"))?;
        let size = lines.next().and_then(|l| l.parse().ok()).ok_or(form("no size"))?;
        let head = lines.next().and_then(|l| BASE64.decode(l).ok()).ok_or(form("no hash"))?;
        let head: Hash = head.try_into().map_err(|_| form("the hash does not have 32 bytes"))?;
        let wall = lines.next().and_then(|l| l.strip_prefix("wall ")).ok_or(form("no time"))?;
        let wall_ns = wall.split(' ').nth(1).and_then(|t| t.parse().ok()).ok_or(form("no time"))?;
        let checkpoint = Self { origin: origin.to_owned(), size, head, wall_ns };
        if checkpoint.text() == text {
            Ok(checkpoint)
        } else {
            Err(form("it has another text than it should"))
        }
    }
}

fn time_text(wall_ns: i64) -> String {
    jiff::Timestamp::from_nanosecond(i128::from(wall_ns))
        .map_or_else(|_| wall_ns.to_string(), |t| t.to_string())
}

/// The first four bytes of SHA-256(name, newline, type, public key).
fn key_id(name: &str, public: &[u8]) -> [u8; 4] {
    let mut bytes = name.as_bytes().to_vec();
    bytes.extend_from_slice(&[b'\n', ED25519_TYPE]);
    bytes.extend_from_slice(public);
    let hash = digest::digest(&digest::SHA256, &bytes);
    let mut id = [0; 4];
    id.copy_from_slice(&hash.as_ref()[..4]);
    id
}

/// The key that signs checkpoints.
pub struct SigningKey {
    name: String,
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningKey").field("name", &self.name).finish_non_exhaustive()
    }
}

impl SigningKey {
    /// Reads the key file, or makes one (mode 0600) if there is none. The public half goes where checkpoints are verified.
    pub fn load_or_create(path: &Path, name: &str) -> Result<Self, JournalError> {
        let refused = |why: String| JournalError::Refused {
            path: path.to_owned(),
            why,
            remedy: "Move the file away to have a new key made, and give its public half to whoever verifies",
        };
        if name.is_empty() || name.contains(['+', '\n', ' ']) || !name.is_ascii() {
            return Err(refused(format!("{name:?} can't be the name of a key")));
        }
        let seed = match read_file(&RealDisk, path, KEY_BYTES_MAX) {
            Ok(bytes) => {
                check_mode(path)?;
                let text = core::str::from_utf8(&bytes).unwrap_or_default();
                let digits = text.trim_end().strip_prefix("interlock-checkpoint-key ");
                digits
                    .and_then(|d| BASE64.decode(d).ok())
                    .ok_or_else(|| refused("not a key file".to_owned()))?
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let mut seed = vec![0; 32];
                aws_lc_rs::rand::SecureRandom::fill(&SystemRandom::new(), &mut seed)
                    .map_err(|_| refused("the system has no random numbers".to_owned()))?;
                let text = format!("interlock-checkpoint-key {}\n", BASE64.encode(&seed));
                replace_file(&RealDisk, path, text.as_bytes())
                    .map_err(|e| JournalError::io("writing", path, &e))?;
                seed
            }
            Err(e) => return Err(JournalError::io("reading", path, &e)),
        };
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed)
            .map_err(|_| refused("not an Ed25519 key".to_owned()))?;
        Ok(Self { name: name.to_owned(), pair })
    }

    /// The public half.
    pub fn verifying(&self) -> VerifyingKey {
        VerifyingKey { name: self.name.clone(), public: self.pair.public_key().as_ref().to_vec() }
    }

    /// Signs: the whole note.
    pub fn sign(&self, checkpoint: &Checkpoint) -> String {
        let text = checkpoint.text();
        let mut signature = key_id(&self.name, self.pair.public_key().as_ref()).to_vec();
        signature.extend_from_slice(self.pair.sign(text.as_bytes()).as_ref());
        format!("{text}\n\u{2014} {} {}\n", self.name, BASE64.encode(signature))
    }
}

/// A secret that others can read is none.
fn check_mode(path: &Path) -> Result<(), JournalError> {
    use std::os::unix::fs::PermissionsExt as _;
    let meta = std::fs::metadata(path).map_err(|e| JournalError::io("reading", path, &e))?;
    let mode = meta.permissions().mode() & 0o777;
    let by_others = mode & 0o077;
    if by_others == 0 {
        return Ok(());
    }
    Err(JournalError::Refused {
        path: path.to_owned(),
        why: format!("the signing key has mode {mode:04o}, so others may have read it"),
        remedy: "Set it to 0600 if nobody did, or move it away to have a new one made",
    })
}

/// The public half: C2SP's text form `name+id+key`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyingKey {
    name: String,
    public: Vec<u8>,
}

impl std::fmt::Display for VerifyingKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut typed = vec![ED25519_TYPE];
        typed.extend_from_slice(&self.public);
        write!(f, "{}+{}+{}", self.name, hex(&key_id(&self.name, &self.public)), BASE64.encode(typed))
    }
}

impl std::str::FromStr for VerifyingKey {
    type Err = NoteError;
    fn from_str(text: &str) -> Result<Self, NoteError> {
        let bad = |what| NoteError::Key { what };
        let mut parts = text.trim().splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(bad("it is not name+id+key"));
        };
        let typed = BASE64.decode(key).map_err(|_| bad("its key is not base64"))?;
        let Some((&ED25519_TYPE, public)) = typed.split_first() else {
            return Err(bad("it is not an Ed25519 key"));
        };
        if public.len() != 32 {
            return Err(bad("an Ed25519 key has 32 bytes"));
        }
        if hex(&key_id(name, public)) != id {
            return Err(bad("its id does not belong to its key"));
        }
        Ok(Self { name: name.to_owned(), public: public.to_vec() })
    }
}

/// Reads a note and checks its signature. Signatures by other keys (witnesses) are passed over.
pub fn verify_checkpoint(note: &str, key: &VerifyingKey) -> Result<Checkpoint, NoteError> {
    let form = |what| NoteError::Form { what };
    if note.len() > NOTE_BYTES_MAX {
        return Err(form("it is too long"));
    }
    let split = note.rfind("\n\n").ok_or(form("no signature"))?;
    let (text, signatures) = (&note[..=split], &note[split + 2..]);
    let wanted = key_id(&key.name, &key.public);
    for line in signatures.lines() {
        let line =
            line.strip_prefix("\u{2014} ").ok_or(form("a signature line does not begin with a dash"))?;
        let (name, blob) = line.rsplit_once(' ').ok_or(form("a signature line has no signature"))?;
        let blob = BASE64.decode(blob).map_err(|_| form("a signature is not base64"))?;
        if name != key.name || blob.get(..4) != Some(wanted.as_slice()) {
            continue;
        }
        return match UnparsedPublicKey::new(&ED25519, &key.public).verify(text.as_bytes(), &blob[4..]) {
            Ok(()) => Checkpoint::parse(text),
            Err(_) => Err(NoteError::BadSignature { key: key.name.clone() }),
        };
    }
    Err(NoteError::NoSignature { key: key.name.clone() })
}

/// Checks the whole journal in a directory and signs what it is now. A torn tail is left out; damage is refused.
pub fn checkpoint(dir: &Path, key: &SigningKey, wall_ns: i64) -> Result<(Checkpoint, String), JournalError> {
    let report = verify_on(Arc::new(RealDisk) as Arc<dyn Disk>, dir, None)?;
    if let (Some(bad), false) = (&report.first_bad, report.torn) {
        return Err(JournalError::Corrupt { bad: bad.clone() });
    }
    let checkpoint = Checkpoint {
        origin: Checkpoint::origin_of(&report.chain_id),
        size: report.last_seq,
        head: report.head,
        wall_ns,
    };
    let note = key.sign(&checkpoint);
    Ok((checkpoint, note))
}
