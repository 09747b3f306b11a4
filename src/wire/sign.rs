//! Signing of requests: HMAC-SHA256 by `hmac` and `sha2`, Ed25519 by aws-lc, and the encodings around them.
//!
//! HMAC is not aws-lc's as everything else is: its context is copied, finished and cleaned through calls of their own, which
//! shows in the whole path (`docs/decisions/an-orders-way.md`).
//!
//! Keys are taken from secret containers, prepared once and never shown: no type here prints what it holds, and the texts
//! that they came from are wiped when dropped.

use core::fmt;

use aws_lc_rs::signature::Ed25519KeyPair;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use zeroize::Zeroizing;

/// Longest signature text: 64 hexadecimal digits (HMAC-SHA256) or 88 of base64 (Ed25519).
pub const SIGNATURE_TEXT_MAX: usize = 88;

/// Why a key can't be used. Says nothing about its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// No text at all.
    Empty,
    /// Not the PEM or base64 of a PKCS#8 key.
    NotPkcs8,
    /// PKCS#8, but not of an Ed25519 key (or damaged).
    NotEd25519,
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the key is empty",
            Self::NotPkcs8 => {
                "the key is not PKCS#8 in PEM or base64 (expected \"-----BEGIN PRIVATE KEY-----\")"
            }
            Self::NotEd25519 => "the key is PKCS#8, but not a usable Ed25519 key",
        })
    }
}
impl std::error::Error for KeyError {}

/// A signature as the text that a request carries.
#[derive(Clone, Copy)]
pub struct SignatureText {
    bytes: [u8; SIGNATURE_TEXT_MAX],
    len: u8,
}

impl SignatureText {
    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }
}

impl fmt::Debug for SignatureText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SignatureText({} bytes)", self.len)
    }
}

/// An HMAC-SHA256 key, its pads computed once.
#[derive(Clone)]
pub struct HmacKey {
    key: Hmac<Sha256>,
}

impl fmt::Debug for HmacKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacKey(..)")
    }
}

impl HmacKey {
    /// From the secret's text, used as it is.
    pub fn new(secret: &SecretString) -> Result<Self, KeyError> {
        let secret = secret.expose_secret().as_bytes();
        if secret.is_empty() {
            return Err(KeyError::Empty);
        }
        // HMAC takes a key of any length.
        let key = Hmac::<Sha256>::new_from_slice(secret).map_err(|_| KeyError::Empty)?;
        Ok(Self { key })
    }
    /// The state after a prefix that many payloads share.
    pub fn after(&self, prefix: &[u8]) -> HmacPrefix {
        let mut context = self.key.clone();
        context.update(prefix);
        HmacPrefix { context }
    }
    /// Signs a whole payload.
    pub fn sign(&self, payload: &[u8]) -> SignatureText {
        let mut context = self.key.clone();
        context.update(payload);
        hex(&context.finalize().into_bytes())
    }
}

/// An HMAC state that a prefix has been fed into; each signature goes on from a copy.
#[derive(Clone)]
pub struct HmacPrefix {
    context: Hmac<Sha256>,
}

impl fmt::Debug for HmacPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HmacPrefix(..)")
    }
}

impl HmacPrefix {
    /// Signs the prefix and `rest` together.
    #[inline]
    pub fn sign(&self, rest: &[u8]) -> SignatureText {
        let mut context = self.context.clone();
        context.update(rest);
        hex(&context.finalize().into_bytes())
    }
}

/// An Ed25519 key.
pub struct Ed25519Key {
    pair: Ed25519KeyPair,
}

impl fmt::Debug for Ed25519Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ed25519Key(..)")
    }
}

impl Ed25519Key {
    /// From a PKCS#8 key in PEM, or in bare base64.
    pub fn from_pem(pem: &SecretString) -> Result<Self, KeyError> {
        let mut base64 = Zeroizing::new(Vec::with_capacity(pem.expose_secret().len()));
        for line in pem.expose_secret().lines().filter(|line| !line.trim_start().starts_with("-----")) {
            base64.extend(line.bytes().filter(|b| !b.is_ascii_whitespace()));
        }
        if base64.is_empty() {
            return Err(KeyError::Empty);
        }
        let mut der = Zeroizing::new(vec![0; base64.len()]);
        let len = STANDARD.decode_slice(&*base64, &mut der).map_err(|_| KeyError::NotPkcs8)?;
        Self::from_der(&der[..len])
    }
    /// From a PKCS#8 key in DER, with or without its public half.
    pub fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        // Venues hand out PKCS#8 version 1, which has no public half to check against.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).map_err(|_| KeyError::NotEd25519)?;
        Ok(Self { pair })
    }
    /// Signs a payload; base64.
    pub fn sign(&self, payload: &[u8]) -> SignatureText {
        let signature = self.pair.sign(payload);
        let mut text = SignatureText { bytes: [0; SIGNATURE_TEXT_MAX], len: 0 };
        let len = STANDARD.encode_slice(signature.as_ref(), &mut text.bytes).unwrap_or(0);
        debug_assert_eq!(len, SIGNATURE_TEXT_MAX);
        text.len = u8::try_from(len).unwrap_or(0);
        text
    }
}

/// Lower-case hexadecimal of up to 44 bytes.
#[inline]
fn hex(bytes: &[u8]) -> SignatureText {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = SignatureText { bytes: [0; SIGNATURE_TEXT_MAX], len: 0 };
    for (pair, byte) in text.bytes.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    text.len = u8::try_from(2 * bytes.len().min(SIGNATURE_TEXT_MAX / 2)).unwrap_or(0);
    text
}

/// Appends `text` percent-encoded as a query value (RFC 3986: all but unreserved bytes). Binance signs the encoded form
/// since January 2026.
pub fn percent_encode(out: &mut String, text: &str) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push(char::from(DIGITS[usize::from(byte >> 4)]));
            out.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
}
