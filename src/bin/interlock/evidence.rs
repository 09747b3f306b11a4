//! `interlock evidence`.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use interlock::agent::Clock;
use interlock::ops::client::exit::DONE;
use interlock::ops::events::{self, Event, Level};
use interlock::ops::evidence::{self, Source};
use interlock::ops::paths::Paths;
use interlock::run::session::build_id;
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, Output};
use crate::exit;

/// `interlock evidence`.
#[derive(Debug, Subcommand)]
pub(crate) enum EvidenceVerb {
    /// Pack files so that they can't be changed unnoticed. (Drills pack their own.)
    #[command(
        after_help = "Example:\n  interlock evidence pack --kind incident --title \"night of the 3rd\" data/events.jsonl"
    )]
    Pack {
        /// What it is evidence of.
        #[arg(long, default_value = "files", value_name = "KIND", value_parser = kind)]
        kind: String,
        /// In a sentence.
        #[arg(long, default_value = "", value_name = "TEXT")]
        title: String,
        /// The files.
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Check a pack, or all of them. Exit 5 names what differs.
    Verify {
        /// Its id or its folder; all if left out.
        pack: Option<PathBuf>,
    },
    /// The packs.
    Index,
}

/// A word that can stand in a folder's name. `drill` is for drills: a gate counts them.
fn kind(text: &str) -> Result<String, String> {
    let fits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    match (fits, text) {
        (_, interlock::ops::drills::KIND) => {
            Err("a drill packs its own evidence: interlock kill drill".to_owned())
        }
        (true, _) => Ok(text.to_owned()),
        (false, _) => Err(format!("{text:?}: write it in small letters and digits")),
    }
}

pub(crate) fn run(common: &Common, verb: EvidenceVerb) -> Outcome {
    let paths = Paths::new(&common.data_dir, None);
    match verb {
        EvidenceVerb::Pack { kind, title, files } => pack(common, &paths, &kind, &title, files),
        EvidenceVerb::Verify { pack: Some(pack) } => verify_one(common, &paths, &pack),
        EvidenceVerb::Verify { pack: None } => index(common, &paths),
        EvidenceVerb::Index => index(common, &paths).map(|_| DONE),
    }
}

fn pack(common: &Common, paths: &Paths, kind: &str, title: &str, files: Vec<PathBuf>) -> Outcome {
    let sources = files.into_iter().map(|path| {
        let name = path.file_name().and_then(|n| n.to_str());
        let name = name.ok_or_else(|| anyhow!("{} has no file name", path.display()))?.to_owned();
        Ok((name, Source::File(path)))
    });
    let sources = sources.collect::<anyhow::Result<Vec<_>>>()?;
    let now_ns = Clock::system().now().ns;
    let manifest = evidence::pack(paths, kind, json!({ "title": title }), sources, (&build_id(), now_ns))
        .context("packing")?;
    let event = Event::new(now_ns, Level::Info, "EVIDENCE_PACKED")
        .with("id", manifest.id.clone())
        .with("kind", kind)
        .with("title", title);
    events::append(&paths.events(), &event)
        .with_context(|| format!("writing {}", paths.events().display()))?;
    let mut out = std::io::stdout().lock();
    if common.output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&manifest)?)?;
    } else {
        writeln!(out, "{}", evidence::folder(paths).join(&manifest.id).display())?;
    }
    Ok(DONE)
}

fn verify_one(common: &Common, paths: &Paths, pack: &Path) -> Outcome {
    let place = if pack.is_dir() { pack.to_owned() } else { evidence::folder(paths).join(pack) };
    // A trailing slash or a `.` would hide the folder's name, which is part of the check.
    let place = place.canonicalize().map_err(|e| Failure::from(anyhow!("{}: {e}", place.display())))?;
    match evidence::verify(&place) {
        Ok(manifest) => {
            let mut out = std::io::stdout().lock();
            match common.output {
                Output::Json => writeln!(out, "{}", json!({ "good": true, "id": manifest.id }))?,
                Output::Table => writeln!(out, "{}: good, {} files", manifest.id, manifest.files.len())?,
            }
            Ok(DONE)
        }
        Err(differs) => Err(Failure { code: exit::DIFFERENCE, error: differs.into() }),
    }
}

/// All packs; exit 5 if one differs.
fn index(common: &Common, paths: &Paths) -> Outcome {
    let packs = evidence::index(paths).context("reading the evidence")?;
    let mut out = std::io::stdout().lock();
    let good = packs.iter().all(Result::is_ok);
    if common.output == Output::Json {
        let rows: Vec<_> = packs
            .iter()
            .map(|pack| match pack {
                Ok(m) => json!({ "id": m.id, "kind": m.kind, "created_at": m.created_at, "good": true,
                                 "files": m.files.len(), "summary": m.summary }),
                Err(d) => json!({ "id": d.place.file_name().and_then(|n| n.to_str()), "good": false,
                                  "differences": d.differences }),
            })
            .collect();
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "good": good, "packs": rows }))?)?;
    } else {
        for pack in &packs {
            match pack {
                Ok(m) => writeln!(out, "{}  {}  {} files  good", m.id, m.created_at, m.files.len())?,
                Err(differs) => writeln!(out, "DIFFERS  {differs}")?,
            }
        }
        if packs.is_empty() {
            writeln!(out, "no evidence packs")?;
        }
    }
    Ok(if good { DONE } else { exit::DIFFERENCE })
}
