//! Where the gates keep what they know: `live/` in the data directory, mode 0700, its files 0600.

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::statement::Role;
use crate::ops::files::{self, Durability};
use crate::ops::paths::Paths;

/// Longest file here.
const BOOK_BYTES_MAX: u64 = 65_536;

/// The gates' files in a data directory.
#[derive(Clone, Debug)]
pub struct Books {
    data: PathBuf,
}

impl Books {
    /// Of a data directory.
    pub fn new(paths: &Paths) -> Self {
        Self { data: paths.data.clone() }
    }
    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }
    /// The folder.
    pub fn folder(&self) -> PathBuf {
        self.data.join("live")
    }
    /// The token's hash.
    pub fn token(&self) -> PathBuf {
        self.folder().join("token.json")
    }
    /// The arming.
    pub fn arming(&self) -> PathBuf {
        self.folder().join("armed.json")
    }
    /// A role's sign-off.
    pub fn sign_off(&self, role: Role) -> PathBuf {
        self.folder().join(format!("signoff-{}.json", role.name()))
    }
    /// The transition record.
    pub fn transition(&self) -> PathBuf {
        self.folder().join("transition.json")
    }

    /// Makes the folder.
    pub fn make(&self) -> Result<(), String> {
        let folder = self.folder();
        let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|error| format!("{}: {error}", folder.display()))
    }

    /// Writes a file of it, durably.
    pub fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), String> {
        self.make()?;
        files::replace(path, bytes, Durability::Synced)
            .map_err(|error| format!("{}: {error}", path.display()))
    }

    /// Reads a file of it. Refuses one that others may have written: what it says would be anybody's word.
    pub(super) fn read(path: &Path) -> Result<Vec<u8>, String> {
        let place = path.display();
        let meta = fs::symlink_metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => format!("{place} is not there"),
            _ => format!("{place}: {error}"),
        })?;
        let mode = meta.permissions().mode() & 0o777;
        if !meta.is_file() || mode & 0o077 != 0 {
            return Err(format!("{place}: must be a file of mode 0600, and has mode {mode:03o}"));
        }
        if meta.len() > BOOK_BYTES_MAX {
            return Err(format!("{place}: {} bytes; at most {BOOK_BYTES_MAX}", meta.len()));
        }
        fs::read(path).map_err(|error| format!("{place}: {error}"))
    }
}
