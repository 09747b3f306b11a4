//! The confirm token (R-GATE-1): made once, shown once, used once. What is kept is a hash that also covers the data directory, so
//! that neither the file nor a copy of the directory is worth a token; mode 0600. It is compared in constant time.

use std::path::Path;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::books::Books;
use crate::ops::events::rfc3339;
use crate::ops::files::{self, Durability};
use crate::types::time::NS_PER_S;

/// Entropy of a token.
const TOKEN_BYTES: usize = 32;
/// Longest text that is looked at.
const TOKEN_TEXT_MAX: usize = 256;
/// Keeps this hash apart from every other use of BLAKE3.
const CONTEXT: &str = "interlock 2026 live confirm token";

/// What is kept of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRecord {
    /// Version of this object.
    pub v: u32,
    /// Hash of the token and of the data directory, hexadecimal.
    pub hash: String,
    /// Who had it made.
    pub by: String,
    /// When.
    pub made_ns: i64,
    /// When it was used; it can't be used again.
    pub used_ns: Option<i64>,
}

/// The hash of a token in a data directory.
fn hash_of(token: &str, data: &Path) -> blake3::Hash {
    let data = data.canonicalize().unwrap_or_else(|_| data.to_owned());
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(data.as_os_str().as_encoded_bytes());
    hasher.update(&[0]);
    hasher.update(token.as_bytes());
    hasher.finalize()
}

/// Makes a token for a data directory: what it returns is shown once and kept nowhere.
pub fn make(books: &Books, by: &str, now_ns: i64) -> Result<Zeroizing<String>, String> {
    let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
    SystemRandom::new().fill(bytes.as_mut()).map_err(|_| "the system has no random numbers".to_owned())?;
    let token = Zeroizing::new(crate::journal::frame::hex(bytes.as_ref()));
    let hash = hash_of(&token, books.data()).to_hex().to_string();
    let record = TokenRecord { v: 1, hash, by: by.to_owned(), made_ns: now_ns, used_ns: None };
    write(books, &record)?;
    Ok(token)
}

/// The hash of the token that was made last: what an arming is bound to.
pub fn hash_kept(books: &Books) -> Result<String, String> {
    read(books).map(|record| record.hash)
}

pub(super) fn read(books: &Books) -> Result<TokenRecord, String> {
    let path = books.token();
    let bytes =
        Books::read(&path).map_err(|why| format!("{why}; `interlock live token --by NAME` makes one"))?;
    serde_json::from_slice(&bytes).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(books: &Books, record: &TokenRecord) -> Result<(), String> {
    let path = books.token();
    books.make()?;
    let bytes = serde_json::to_vec_pretty(record).map_err(|error| error.to_string())?;
    files::replace(&path, &bytes, Durability::Synced).map_err(|error| format!("{}: {error}", path.display()))
}

/// Whether the token that was given is the one that was made, is not used and not too old. What it says never shows either.
pub(super) fn check(
    record: &Result<TokenRecord, String>,
    given: Option<&SecretString>,
    data: &Path,
    valid_s: u64,
    now_ns: i64,
) -> Result<(), String> {
    let given = given.ok_or("LIVE_CONFIRM_TOKEN is not set")?.expose_secret();
    let record = record.as_ref().map_err(Clone::clone)?;
    if record.v != 1 {
        return Err(format!("the token's record has version {}, which is not known", record.v));
    }
    let ours = hash_of(given.get(..given.len().min(TOKEN_TEXT_MAX)).unwrap_or_default(), data);
    let kept =
        blake3::Hash::from_hex(&record.hash).map_err(|_| "the token's record has no hash".to_owned())?;
    verify_slices_are_equal(ours.as_bytes(), kept.as_bytes()).map_err(|_| {
        "LIVE_CONFIRM_TOKEN is not the token that was made for this data directory".to_owned()
    })?;
    if let Some(used_ns) = record.used_ns {
        return Err(format!("the token was used at {}; a token is for one start", rfc3339(used_ns)));
    }
    let valid_ns = i64::try_from(valid_s).unwrap_or(i64::MAX).saturating_mul(NS_PER_S);
    if record.made_ns > now_ns || now_ns.saturating_sub(record.made_ns) >= valid_ns {
        return Err(format!(
            "the token was made at {} and is valid for {valid_s} s",
            rfc3339(record.made_ns)
        ));
    }
    Ok(())
}

/// Uses it up, durably, before what it lets through begins.
pub(super) fn use_up(books: &Books, record: &TokenRecord, now_ns: i64) -> Result<(), String> {
    write(books, &TokenRecord { used_ns: Some(now_ns), ..record.clone() })
}
