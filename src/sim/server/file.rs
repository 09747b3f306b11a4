//! `venue.json`: where the venue is and with which keys it may be used. Mode 0600, replaced in one step.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::keys::DemoKeys;
use super::persona::Persona;

/// Name of the file in the venue's data directory.
pub const VENUE_FILE: &str = "venue.json";
/// Name of the file, in the venue's data directory, that names the venue as a configuration does.
pub const VENUE_CONFIG: &str = "venue.toml";
/// Name of the authority's certificate in the venue's data directory.
pub const CA_FILE: &str = "venue-ca.pem";

/// Where the venue listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VenueUrls {
    /// Base of REST; paths begin with `/api/v3`.
    pub rest: String,
    /// Base of market streams; paths are `/ws/..` and `/stream?streams=..`.
    pub ws_streams: String,
    /// The WebSocket API, whole.
    pub ws_api: String,
}

/// How to ask the venue for faults and counts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ControlAccess {
    /// Base; `POST faults`, `GET stats`.
    pub url: String,
    /// Value of the header `X-Control-Token`.
    pub token: String,
}

/// The file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VenueFile {
    /// Version of this format.
    pub version: u32,
    /// Who it plays.
    #[serde(default)]
    pub persona: Persona,
    /// The dialect spoken at these URLs.
    pub dialect: String,
    /// Process that serves them.
    pub pid: u32,
    /// Where.
    pub urls: VenueUrls,
    /// The authority to trust; absent without TLS.
    pub ca: Option<PathBuf>,
    /// What is traded.
    pub symbols: Vec<String>,
    /// The demo account's keys.
    pub keys: DemoKeys,
    /// Faults and counts.
    pub control: ControlAccess,
}

impl VenueFile {
    /// Reads it.
    pub fn read(path: &Path) -> io::Result<Self> {
        let text = fs::read(path)?;
        serde_json::from_slice(&text)
            .map_err(|e| io::Error::new(io::ErrorKind::InvalidData, format!("{}: {e}", path.display())))
    }

    /// The same as a piece of configuration (`interlock run -c venue.toml`): addresses, authority, where the keys are. It holds
    /// no key, and unlike `--venue` it is a part of the configuration's hash. `path` is where the file itself is.
    pub fn config(&self, path: &Path) -> String {
        let text = |path: &Path| format!("{:?}", path.display().to_string());
        let ca = self.ca.as_deref().map_or_else(String::new, |ca| format!("ca_file = {}\n", text(ca)));
        format!(
            "# The embedded venue that plays {}; made at its start, like its keys and its certificate.\n[venue]\n\
             symbols = {:?}\nrest_url = {:?}\nstream_url = {:?}\nws_api_url = {:?}\n{ca}api_key_file = {}\n",
            self.persona.name(),
            self.symbols,
            self.urls.rest,
            self.urls.ws_streams,
            self.urls.ws_api,
            text(path),
        )
    }

    /// Writes it.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        write_private(path, &text)
    }
}

/// Writes a file of mode 0600 under a temporary name and renames it.
pub(super) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    match fs::remove_file(&temporary) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)
}
