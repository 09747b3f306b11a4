//! Ed25519 keys of people: who signs off, who arms. The private half stays in a file of mode 0600 with its owner; the public
//! half stands in the configuration.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use zeroize::Zeroizing;

/// Bytes of a public key.
const PUBLIC_BYTES: usize = 32;
/// Before the public key's base64, so that nobody takes it for something else.
const PUBLIC_PREFIX: &str = "ed25519:";
/// Longest file that can be a key.
const KEY_BYTES_MAX: u64 = 4_096;

/// The public half of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; PUBLIC_BYTES]);

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{PUBLIC_PREFIX}{}", BASE64.encode(self.0))
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl PublicKey {
    /// From `ed25519:` and base64.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "no key; `interlock live key --out FILE` makes one and prints its public half".to_owned()
            );
        }
        text.strip_prefix(PUBLIC_PREFIX)
            .and_then(|digits| BASE64.decode(digits).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .map(Self)
            .ok_or_else(|| {
                format!("{text:?} is not a public key like \"{PUBLIC_PREFIX}...\" (44 characters of base64)")
            })
    }

    /// Whether `signature` (base64) is of `text` by this key.
    pub fn verifies(&self, text: &str, signature: &str) -> bool {
        let Ok(signature) = BASE64.decode(signature) else { return false };
        UnparsedPublicKey::new(&ED25519, self.0).verify(text.as_bytes(), &signature).is_ok()
    }
}

/// A key that can sign.
pub struct PersonalKey {
    pair: Ed25519KeyPair,
}

impl std::fmt::Debug for PersonalKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PersonalKey({})", self.public())
    }
}

impl PersonalKey {
    /// Reads a PKCS#8 key in PEM. Refuses a file that others can read.
    pub fn read(path: &Path) -> Result<Self, String> {
        let place = path.display();
        let meta = fs::metadata(path).map_err(|error| format!("{place}: {error}"))?;
        let mode = meta.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(format!("{place}: mode {mode:03o}; a key's file must be 0600 (chmod 600 {place})"));
        }
        if meta.len() > KEY_BYTES_MAX {
            return Err(format!("{place}: {} bytes; a key has at most {KEY_BYTES_MAX}", meta.len()));
        }
        let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| format!("{place}: {error}"))?);
        let mut digits = Zeroizing::new(String::with_capacity(text.len()));
        for line in text.lines().filter(|line| !line.starts_with("-----")) {
            digits.push_str(line.trim());
        }
        let der = BASE64.decode(digits.as_bytes()).map(Zeroizing::new);
        der.ok()
            .and_then(|der| Ed25519KeyPair::from_pkcs8_maybe_unchecked(&der).ok())
            .map(|pair| Self { pair })
            .ok_or_else(|| format!("{place}: not an Ed25519 key in PEM (PKCS#8)"))
    }

    /// Makes one in a new file, mode 0600. Never writes over a file: a lost key is a lost identity.
    pub fn create(path: &Path) -> Result<Self, String> {
        let place = path.display();
        let pair = Ed25519KeyPair::generate().map_err(|_| "the system has no random numbers".to_owned())?;
        let der = pair.to_pkcs8v1().map_err(|_| "the key can't be written as PKCS#8".to_owned())?;
        let mut text = Zeroizing::new("-----BEGIN PRIVATE KEY-----\n".to_owned());
        text.push_str(&Zeroizing::new(BASE64.encode(der.as_ref())));
        text.push_str("\n-----END PRIVATE KEY-----\n");
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(path);
        file.and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
            .map_err(|error| format!("{place}: {error}"))?;
        Ok(Self { pair })
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; PUBLIC_BYTES];
        bytes.copy_from_slice(self.pair.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs a text; base64.
    pub fn sign(&self, text: &str) -> String {
        BASE64.encode(self.pair.sign(text.as_bytes()).as_ref())
    }
}
