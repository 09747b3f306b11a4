//! Evidence packs: what was done, as files that can't be changed unnoticed. A pack is a folder in `data/evidence/` with the files
//! and a `manifest.json` that names each with its length and BLAKE3 hash. The pack's id is made of the manifest's own hash, so
//! the same evidence has the same id, and a pack whose manifest was rewritten no longer fits its name.
//!
//! It proves that nothing was changed since the id was noted elsewhere (the event `EVIDENCE_PACKED`, a report, a ticket); it does
//! not prove who made it. Verification errs towards "differs": a file too many is a difference like one that lacks.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::events::rfc3339;
use super::files::{self, Durability};
use super::paths::Paths;

/// Name of the manifest in a pack.
pub const MANIFEST: &str = "manifest.json";
/// Hexadecimal digits of the id.
const ID_DIGITS: usize = 16;

/// One file of a pack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileEntry {
    /// Its name in the pack.
    pub name: String,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3, hexadecimal.
    pub blake3: String,
}

/// What a pack holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of this object.
    pub v: u32,
    /// `KIND-0123456789abcdef`: see the module.
    pub id: String,
    /// What it is evidence of: `drill`, `incident`, `files`, ...
    pub kind: String,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Build of the program that made it.
    pub build: String,
    /// What it says, in short; its keys are the kind's.
    pub summary: Value,
    /// The files, by name.
    pub files: Vec<FileEntry>,
}

impl Manifest {
    /// The id that belongs to the content.
    pub fn id_of(&self) -> String {
        let without = Self { id: String::new(), ..self.clone() };
        // The fields are in the order of the declaration, and `summary` keeps its own order, also through a file.
        let text = serde_json::to_string(&without).unwrap_or_default();
        let hash = blake3::hash(text.as_bytes()).to_hex();
        format!("{}-{}", self.kind, &hash.as_str()[..ID_DIGITS])
    }
}

/// A file to be packed.
#[derive(Clone, Debug)]
pub enum Source {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A copy of this file.
    File(PathBuf),
}

/// Where packs are.
pub fn folder(paths: &Paths) -> PathBuf {
    paths.data.join("evidence")
}

/// Makes a pack. It appears whole: it is written under another name and renamed.
pub fn pack(
    paths: &Paths,
    kind: &str,
    summary: Value,
    sources: Vec<(String, Source)>,
    (build, now_ns): (&str, i64),
) -> io::Result<Manifest> {
    let folder = folder(paths);
    fs::create_dir_all(&folder)?;
    let beside = folder.join(format!(".making-{}-{now_ns}", std::process::id()));
    fs::create_dir(&beside)?;
    let made = fill(&beside, sources).and_then(|files| {
        let mut manifest = Manifest {
            v: 1,
            id: String::new(),
            kind: kind.to_owned(),
            created_at: rfc3339(now_ns),
            build: build.to_owned(),
            summary,
            files,
        };
        manifest.id = manifest.id_of();
        let text = serde_json::to_string_pretty(&manifest)?;
        files::replace(&beside.join(MANIFEST), text.as_bytes(), Durability::Synced)?;
        let place = folder.join(&manifest.id);
        fs::rename(&beside, &place)?;
        files::sync_folder(&place)?;
        Ok(manifest)
    });
    if made.is_err() {
        // Best effort: what is left of it has a name that no reader takes for a pack.
        let _removed = fs::remove_dir_all(&beside);
    }
    made
}

fn fill(place: &Path, sources: Vec<(String, Source)>) -> io::Result<Vec<FileEntry>> {
    let mut entries = Vec::new();
    for (name, source) in sources {
        if !is_name(&name) || entries.iter().any(|e: &FileEntry| e.name == name) {
            let why = format!("{name:?} is no name for a file of a pack, or is there twice");
            return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
        }
        let bytes = match source {
            Source::Bytes(bytes) => bytes,
            Source::File(path) => {
                fs::read(&path).map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?
            }
        };
        files::replace(&place.join(&name), &bytes, Durability::Synced)?;
        entries.push(entry(name, &bytes));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn entry(name: String, bytes: &[u8]) -> FileEntry {
    FileEntry { name, bytes: bytes.len() as u64, blake3: blake3::hash(bytes).to_hex().to_string() }
}

/// A plain file name: no folder, nothing hidden, not the manifest.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']) && name != MANIFEST
}

/// A pack that is not what it says: each difference in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", place.display(), differences.join("; "))]
pub struct Differs {
    /// The pack's folder.
    pub place: PathBuf,
    /// What differs.
    pub differences: Vec<String>,
}

/// Checks a pack: its name, each file, and that nothing is there that it doesn't name.
pub fn verify(place: &Path) -> Result<Manifest, Differs> {
    let differs = |differences: Vec<String>| Differs { place: place.to_owned(), differences };
    let one = |text: String| differs(vec![text]);
    let bytes = fs::read(place.join(MANIFEST)).map_err(|e| one(format!("{MANIFEST}: {e}")))?;
    let manifest: Manifest =
        serde_json::from_slice(&bytes).map_err(|e| one(format!("{MANIFEST} is not one: {e}")))?;
    let mut found = Vec::new();
    let name = place.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    let right = manifest.id_of();
    if manifest.id != right {
        found.push(format!("the manifest says {}, its content is that of {right}", manifest.id));
    } else if name != right {
        found.push(format!("the folder's name is not the pack's id {right}"));
    }
    for file in &manifest.files {
        if !is_name(&file.name) {
            found.push(format!("{:?} is no name for a file of a pack", file.name));
            continue;
        }
        match fs::read(place.join(&file.name)) {
            Err(error) => found.push(format!("{}: {error}", file.name)),
            Ok(bytes) => {
                if entry(file.name.clone(), &bytes) != *file {
                    found.push(format!("{} was changed", file.name));
                }
            }
        }
    }
    match fs::read_dir(place) {
        Err(error) => found.push(error.to_string()),
        Ok(entries) => {
            for entry in entries.flatten() {
                let name = entry.file_name().to_string_lossy().into_owned();
                if name != MANIFEST && !manifest.files.iter().any(|f| f.name == name) {
                    found.push(format!("{name} is not of this pack"));
                }
            }
        }
    }
    if found.is_empty() { Ok(manifest) } else { Err(differs(found)) }
}

/// Every pack with what its check says, oldest first; those that differ last.
pub fn index(paths: &Paths) -> io::Result<Vec<Result<Manifest, Differs>>> {
    let entries = match fs::read_dir(folder(paths)) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut packs = Vec::new();
    for entry in entries {
        let entry = entry?;
        let hidden = entry.file_name().to_string_lossy().starts_with('.');
        if !hidden && entry.file_type()?.is_dir() {
            packs.push(verify(&entry.path()));
        }
    }
    packs.sort_by(|a, b| match (a, b) {
        (Ok(a), Ok(b)) => a.created_at.cmp(&b.created_at),
        (Err(a), Err(b)) => a.place.cmp(&b.place),
        (a, b) => b.is_ok().cmp(&a.is_ok()),
    });
    Ok(packs)
}
