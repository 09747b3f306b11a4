//! Where the venue is and with which key it may be used. Keys come from files of mode 0600 and stay in `SecretString`s; nothing
//! that the engine writes holds one (R-GATE-9): the halt tool's file names the key's file only.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

use crate::net::{Endpoint, TlsRoots, TlsRootsError};
use crate::venue::binance::Credentials;

use super::plan::{Plan, Signing};

/// Why the venue can't be used.
#[derive(Debug, thiserror::Error)]
pub enum AccessError {
    /// A file can't be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A key file that others can read.
    #[error("{}: mode {mode:03o}; a file with a secret must be 0600 (chmod 600 {})", path.display(), path.display())]
    Mode {
        /// Which.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Not in the form that is expected. Never shows the content.
    #[error("{}: {what}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The authority's certificate can't be used.
    #[error(transparent)]
    Ca(#[from] TlsRootsError),
    /// A setting is missing or wrong.
    #[error("{0}")]
    Setting(String),
}

/// A key as its file holds it.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum KeyText {
    Hmac { api_key: SecretString, secret: SecretString },
    Ed25519 { api_key: SecretString, private_key_pem: SecretString },
}

impl KeyText {
    fn credentials(&self) -> Result<Credentials, String> {
        match self {
            Self::Hmac { api_key, secret } => Credentials::hmac(api_key.clone(), secret),
            Self::Ed25519 { api_key, private_key_pem } => {
                Credentials::ed25519(api_key.clone(), private_key_pem)
            }
        }
        .map_err(|e| e.to_string())
    }
}

/// What we read of a `venue.json`; unknown fields are the venue's business.
#[derive(Deserialize)]
struct VenueFile {
    urls: Urls,
    ca: Option<PathBuf>,
    symbols: Vec<String>,
    keys: VenueKeys,
}

#[derive(Deserialize)]
struct Urls {
    rest: String,
    ws_streams: String,
    ws_api: String,
}

#[derive(Deserialize)]
struct VenueKeys {
    trade_hmac: KeyText,
    trade_ed25519: KeyText,
    halt: KeyText,
}

/// Reads a file with a secret in it: refuses one that others can read.
fn read_secret(path: &Path) -> Result<Vec<u8>, AccessError> {
    let read = |source| AccessError::Read { path: path.to_owned(), source };
    let mode = fs::metadata(path).map_err(read)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(AccessError::Mode { path: path.to_owned(), mode });
    }
    fs::read(path).map_err(read)
}

fn read_any(path: &Path) -> Result<Vec<u8>, AccessError> {
    fs::read(path).map_err(|source| AccessError::Read { path: path.to_owned(), source })
}

fn parse<T: serde::de::DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, AccessError> {
    serde_json::from_slice(bytes).map_err(|e| AccessError::Form {
        path: path.to_owned(),
        // The category and the place, not the message: it could quote a value.
        what: format!(
            "not what is expected here ({:?} error at line {} column {})",
            e.classify(),
            e.line(),
            e.column()
        ),
    })
}

/// Which key of a `venue.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Trading.
    Trade(Signing),
    /// Halting: may cancel and read.
    Halt,
}

/// The credentials in a file: a key file, or a `venue.json`. Others may not be able to read it, except for a halt: the harm is
/// done by then, and a halt isn't refused for it.
pub fn read_credentials(path: &Path, purpose: Purpose) -> Result<Credentials, AccessError> {
    let bytes = if purpose == Purpose::Halt { read_any(path) } else { read_secret(path) }?;
    let key: KeyText = match parse::<VenueFile>(path, &bytes) {
        Ok(venue) => match purpose {
            Purpose::Trade(Signing::Ed25519) => venue.keys.trade_ed25519,
            Purpose::Trade(Signing::Hmac) => venue.keys.trade_hmac,
            Purpose::Halt => venue.keys.halt,
        },
        Err(_) => parse(path, &bytes)?,
    };
    key.credentials().map_err(|what| AccessError::Form { path: path.to_owned(), what })
}

/// Where the venue is.
#[derive(Clone, Debug)]
pub struct Access {
    /// REST.
    pub rest: Endpoint,
    /// Market streams; the session gives the path.
    pub stream: Endpoint,
    /// The WebSocket API; its path is the session's.
    pub ws_api: Endpoint,
    /// Whom to trust.
    pub roots: TlsRoots,
    /// The authority's file, if it is a private one.
    pub ca_file: Option<PathBuf>,
    /// The file with the key; none in paper mode without an account.
    pub key_file: Option<PathBuf>,
    /// What is traded there, if it says so.
    pub symbols: Vec<String>,
}

impl Access {
    /// Whether the venue is one on this machine: an embedded one, which nobody else shares.
    pub fn is_on_this_machine(&self) -> bool {
        self.rest.host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
            || self.rest.host.eq_ignore_ascii_case("localhost")
    }

    /// From the embedded venue's `venue.json`.
    pub fn from_venue_file(path: &Path) -> Result<Self, AccessError> {
        let file: VenueFile = parse(path, &read_secret(path)?)?;
        let urls = [&file.urls.rest, &file.urls.ws_streams, &file.urls.ws_api];
        Self::from_urls(urls.map(String::as_str), file.ca, Some(path.to_owned()), file.symbols)
    }

    /// From the configuration.
    pub fn from_plan(plan: &Plan, key_file: Option<PathBuf>) -> Result<Self, AccessError> {
        let venue = &plan.venue;
        for (key, value) in [
            ("rest_url", &venue.rest_url),
            ("stream_url", &venue.stream_url),
            ("ws_api_url", &venue.ws_api_url),
        ] {
            if value.is_empty() {
                return Err(AccessError::Setting(format!(
                    "venue.{key} is empty: give the venue's address, or --venue FILE for an embedded one"
                )));
            }
        }
        let some = |path: &Path| (!path.as_os_str().is_empty()).then(|| path.to_owned());
        let key_file = key_file.or_else(|| some(&venue.api_key_file));
        let urls = [venue.rest_url.as_str(), &venue.stream_url, &venue.ws_api_url];
        Self::from_urls(urls, some(&venue.ca_file), key_file, venue.symbols.clone())
    }

    fn from_urls(
        [rest, stream, ws_api]: [&str; 3],
        ca_file: Option<PathBuf>,
        key_file: Option<PathBuf>,
        symbols: Vec<String>,
    ) -> Result<Self, AccessError> {
        let endpoint = |url: &str| {
            Endpoint::parse(url).map_err(|e| AccessError::Setting(format!("address {url:?}: {e}")))
        };
        let roots = match &ca_file {
            None => TlsRoots::WebPki,
            Some(path) => TlsRoots::from_pem_file(path)?,
        };
        Ok(Self {
            rest: endpoint(rest)?,
            stream: endpoint(stream)?,
            ws_api: endpoint(ws_api)?,
            roots,
            ca_file,
            key_file,
            symbols,
        })
    }

    /// The trading key.
    pub fn credentials(&self, signing: Signing) -> Result<Credentials, AccessError> {
        let Some(path) = &self.key_file else {
            return Err(AccessError::Setting(
                "venue.api_key_file is empty: name a file of mode 0600 with the API key".to_owned(),
            ));
        };
        read_credentials(path, Purpose::Trade(signing))
    }

    /// What the halt tool needs to reach the venue without the engine.
    pub fn halt_reference(
        &self,
        rest_url: String,
        symbols: Vec<String>,
        sends_orders: bool,
    ) -> HaltReference {
        HaltReference {
            v: 1,
            rest: rest_url,
            ca: self.ca_file.as_deref().map(absolute),
            key_file: self.key_file.as_deref().map(absolute),
            symbols,
            sends_orders,
        }
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// `halt.json`: where the halt tool finds the venue and the key. Written by the engine at start; holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HaltReference {
    /// Version of this object.
    pub v: u32,
    /// Base of REST.
    pub rest: String,
    /// The authority's certificate, if it is a private one.
    pub ca: Option<PathBuf>,
    /// The file with the key (a key file or a `venue.json`).
    pub key_file: Option<PathBuf>,
    /// Symbols that may have open orders.
    pub symbols: Vec<String>,
    /// Whether a session of this data directory has ever been able to send orders. Shadow and paper can't.
    #[serde(default = "yes")]
    pub sends_orders: bool,
}

const fn yes() -> bool {
    true
}

impl HaltReference {
    /// Reads it.
    pub fn read(path: &Path) -> Result<Self, AccessError> {
        parse(path, &read_any(path)?)
    }
    /// What a `venue.json` says to the halt tool.
    pub fn from_venue_file(path: &Path) -> Result<Self, AccessError> {
        let file: VenueFile = parse(path, &read_any(path)?)?;
        let (rest, ca, symbols) = (file.urls.rest, file.ca, file.symbols);
        Ok(Self { v: 1, rest, ca, key_file: Some(path.to_owned()), symbols, sends_orders: true })
    }
    /// As text.
    pub fn text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }
}
