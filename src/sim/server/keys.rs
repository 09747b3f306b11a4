//! API keys of the embedded venue's demo account and the check of a request's signature.
//!
//! Keys are drawn anew at every start and exist in `venue.json` only. They are worth nothing anywhere else.

use std::fmt;

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use aws_lc_rs::{hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::VenueError;

/// What a key may do. Reading is always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Permission {
    /// Place, amend and cancel.
    Trade,
    /// Cancel only: the halt tool's.
    Cancel,
}

/// One key as `venue.json` shows it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum ApiKey {
    /// HMAC-SHA256 with a shared secret.
    Hmac {
        /// Public name of the key (`X-MBX-APIKEY`).
        api_key: String,
        /// The shared secret.
        secret: String,
    },
    /// Ed25519.
    Ed25519 {
        /// Public name of the key (`X-MBX-APIKEY`).
        api_key: String,
        /// The private half, PKCS#8 as PEM.
        private_key_pem: String,
    },
}

impl ApiKey {
    /// The public name.
    pub fn api_key(&self) -> &str {
        match self {
            Self::Hmac { api_key, .. } | Self::Ed25519 { api_key, .. } => api_key,
        }
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ApiKey({}..)", &self.api_key()[..6.min(self.api_key().len())])
    }
}

/// The keys of the demo account, as `venue.json` shows them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DemoKeys {
    /// Trades, signs with HMAC.
    pub trade_hmac: ApiKey,
    /// Trades, signs with Ed25519 (the only kind that may log on to a WebSocket API session).
    pub trade_ed25519: ApiKey,
    /// May cancel and read: for the halt tool.
    pub halt: ApiKey,
}

enum Verifier {
    Hmac(Box<hmac::Key>),
    Ed25519(Vec<u8>),
}

/// A key as the venue holds it.
pub(super) struct Registered {
    pub(super) name: String,
    pub(super) permission: Permission,
    verifier: Verifier,
}

impl Registered {
    /// Whether the key is Ed25519, which `session.logon` insists on.
    pub(super) fn may_log_on(&self) -> bool {
        matches!(self.verifier, Verifier::Ed25519(_))
    }

    /// Whether `signature` (text as it came) is this key's over `payload`.
    pub(super) fn verify(&self, payload: &[u8], signature: &str) -> bool {
        match &self.verifier {
            Verifier::Hmac(key) => {
                decode_hex(signature).is_some_and(|tag| hmac::verify(key, payload, &tag).is_ok())
            }
            Verifier::Ed25519(public) => STANDARD
                .decode(signature)
                .is_ok_and(|sig| UnparsedPublicKey::new(&ED25519, public).verify(payload, &sig).is_ok()),
        }
    }
}

fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let bytes = text.as_bytes();
    if !bytes.len().is_multiple_of(2) {
        return None;
    }
    bytes
        .chunks_exact(2)
        .map(|pair| {
            let high = char::from(pair[0]).to_digit(16)?;
            let low = char::from(pair[1]).to_digit(16)?;
            u8::try_from(high << 4 | low).ok()
        })
        .collect()
}

/// `len` random letters and digits from the system's generator.
pub(super) fn random_text(len: usize) -> Result<String, VenueError> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789Zz";
    let mut bytes = vec![0u8; len];
    rand::fill(&mut bytes).map_err(|_| VenueError::Keys("the system's random generator failed"))?;
    Ok(bytes.iter().map(|b| char::from(ALPHABET[usize::from(b & 63)])).collect())
}

fn pem(label: &str, der: &[u8]) -> String {
    let body = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for at in (0..body.len()).step_by(64) {
        out.push_str(&body[at..body.len().min(at + 64)]);
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

fn hmac_pair(permission: Permission) -> Result<(ApiKey, Registered), VenueError> {
    let (api_key, secret) = (random_text(64)?, random_text(64)?);
    let verifier = Verifier::Hmac(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())));
    let registered = Registered { name: api_key.clone(), permission, verifier };
    Ok((ApiKey::Hmac { api_key, secret }, registered))
}

fn ed25519_pair(permission: Permission) -> Result<(ApiKey, Registered), VenueError> {
    let fail = |_| VenueError::Keys("an Ed25519 key could not be made");
    let pair = Ed25519KeyPair::generate().map_err(fail)?;
    // Version 1 of PKCS#8: OpenSSL and Python's cryptography refuse the version that carries the public key.
    let der = pair.to_pkcs8v1().map_err(fail)?;
    let api_key = random_text(64)?;
    let verifier = Verifier::Ed25519(pair.public_key().as_ref().to_vec());
    let registered = Registered { name: api_key.clone(), permission, verifier };
    Ok((ApiKey::Ed25519 { api_key, private_key_pem: pem("PRIVATE KEY", der.as_ref()) }, registered))
}

/// Draws the demo account's keys.
pub(super) fn make_keys() -> Result<(DemoKeys, Vec<Registered>), VenueError> {
    let (trade_hmac, a) = hmac_pair(Permission::Trade)?;
    let (trade_ed25519, b) = ed25519_pair(Permission::Trade)?;
    let (halt, c) = hmac_pair(Permission::Cancel)?;
    Ok((DemoKeys { trade_hmac, trade_ed25519, halt }, vec![a, b, c]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first published REST example of Binance (a REST request in ASCII).
    #[test]
    fn official_hmac_vector_verifies_in_either_case() {
        let key = Registered {
            name: "k".to_owned(),
            permission: Permission::Trade,
            verifier: Verifier::Hmac(Box::new(hmac::Key::new(
                hmac::HMAC_SHA256,
                b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j",
            ))),
        };
        let payload = b"symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1\
            &recvWindow=5000&timestamp=1499827319559";
        let good = "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71";
        assert!(key.verify(payload, good));
        assert!(key.verify(payload, &good.to_uppercase()));
        assert!(!key.verify(payload, &good.replace('c', "d")));
        assert!(!key.verify(payload, "zz"));
        assert!(!key.verify(b"", good));
    }

    #[test]
    fn demo_keys_verify_only_their_own_signatures() {
        let (keys, registered) = make_keys().unwrap();
        let ApiKey::Ed25519 { private_key_pem, .. } = &keys.trade_ed25519 else { panic!("kind") };
        let body: String = private_key_pem.lines().filter(|l| !l.starts_with('-')).collect();
        let pair = Ed25519KeyPair::from_pkcs8(&STANDARD.decode(body).unwrap()).unwrap();
        let signature = STANDARD.encode(pair.sign(b"payload"));
        assert!(registered[1].verify(b"payload", &signature));
        assert!(!registered[1].verify(b"payloae", &signature));
        assert!(!registered[0].verify(b"payload", &signature));
        assert!(registered[1].may_log_on() && !registered[0].may_log_on());
        assert_eq!(registered[2].permission, Permission::Cancel);
        assert!(!format!("{keys:?}").contains("PRIVATE"));
    }
}
