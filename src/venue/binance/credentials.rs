//! The key pair of an account: its public name and the signing half.

use core::fmt;

use secrecy::SecretString;

use crate::wire::sign::{Ed25519Key, HmacKey, KeyError, SignatureText};

/// Longest API key that is taken. Binance's are 64 characters.
pub const API_KEY_MAX: usize = 128;

/// Why credentials can't be used. Says nothing about their content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialsError {
    /// The API key is empty, too long or not printable ASCII without quotes.
    ApiKey,
    /// The signing key.
    Key(KeyError),
}

impl fmt::Display for CredentialsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ApiKey => {
                write!(f, "the API key must be 1 to {API_KEY_MAX} printable ASCII characters without quotes")
            }
            Self::Key(error) => error.fmt(f),
        }
    }
}
impl std::error::Error for CredentialsError {}

/// How requests are signed.
#[derive(Debug)]
pub enum Signer {
    /// Each request carries an HMAC-SHA256 signature.
    Hmac(Box<HmacKey>),
    /// The session is logged on once; requests then carry none.
    Ed25519(Ed25519Key),
}

/// An account's API key and its signer. Shows neither.
pub struct Credentials {
    api_key: SecretString,
    /// The signer.
    pub signer: Signer,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("signer", &self.signer).finish_non_exhaustive()
    }
}

impl Credentials {
    /// With an HMAC secret.
    pub fn hmac(api_key: SecretString, secret: &SecretString) -> Result<Self, CredentialsError> {
        let key = HmacKey::new(secret).map_err(CredentialsError::Key)?;
        Self::with(api_key, Signer::Hmac(Box::new(key)))
    }
    /// With an Ed25519 private key (PKCS#8, PEM or base64).
    pub fn ed25519(api_key: SecretString, pem: &SecretString) -> Result<Self, CredentialsError> {
        let key = Ed25519Key::from_pem(pem).map_err(CredentialsError::Key)?;
        Self::with(api_key, Signer::Ed25519(key))
    }
    fn with(api_key: SecretString, signer: Signer) -> Result<Self, CredentialsError> {
        use secrecy::ExposeSecret as _;
        let text = api_key.expose_secret().as_bytes();
        let plain = text.iter().all(|b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\\'));
        if text.is_empty() || text.len() > API_KEY_MAX || !plain {
            return Err(CredentialsError::ApiKey);
        }
        Ok(Self { api_key, signer })
    }
    /// The API key, for the header `X-MBX-APIKEY` or the parameter `apiKey`.
    pub fn api_key(&self) -> &str {
        use secrecy::ExposeSecret as _;
        self.api_key.expose_secret()
    }
    /// Whether the session must be logged on before requests.
    pub fn needs_logon(&self) -> bool {
        matches!(self.signer, Signer::Ed25519(_))
    }
    /// Signs a payload.
    pub fn sign(&self, payload: &[u8]) -> SignatureText {
        match &self.signer {
            Signer::Hmac(key) => key.sign(payload),
            Signer::Ed25519(key) => key.sign(payload),
        }
    }
}
