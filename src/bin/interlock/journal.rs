//! `interlock journal`.

use std::io::Write as _;
use std::path::Path;

use anyhow::{Context as _, anyhow};
use interlock::agent::Clock;
use interlock::journal::frame::hex;
use interlock::journal::note::{SigningKey, checkpoint, verify_checkpoint};
use interlock::journal::reader::{Reader, read_session, sessions};
use interlock::journal::render::Renderer;
use interlock::journal::verify::verify;
use interlock::ops::client::exit::DONE;
use interlock::ops::paths::Paths;
use interlock::run::session::{CHECKPOINT_KEY_NAME, checkpoint_key};
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, JournalVerb, Output};
use crate::exit;

pub(crate) fn run(common: &Common, verb: JournalVerb) -> Outcome {
    let dir = common.data_dir.join("journal");
    match verb {
        JournalVerb::Verify { checkpoint, key } => {
            run_verify(common, &dir, checkpoint.as_deref(), key.as_deref())
        }
        JournalVerb::Cat { from, number, session } => cat(common, &dir, from, number, session.as_deref()),
        JournalVerb::Replay { session } => crate::engine::replay(common, &dir, session.as_deref()),
        JournalVerb::Checkpoint { out } => make_checkpoint(common, &dir, out.as_deref()),
        JournalVerb::Sessions => list(common, &dir),
    }
}

fn signing_key(common: &Common) -> anyhow::Result<SigningKey> {
    let paths = Paths::new(&common.data_dir, None);
    Ok(SigningKey::load_or_create(&checkpoint_key(&paths), CHECKPOINT_KEY_NAME)?)
}

fn run_verify(common: &Common, dir: &Path, checkpoint: Option<&Path>, key: Option<&str>) -> Outcome {
    let known = match checkpoint {
        None => None,
        Some(path) => {
            let note =
                std::fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
            let key = match key {
                Some(text) => text.parse().map_err(|e| Failure::usage(anyhow!("--key: {e}")))?,
                None => signing_key(common)?.verifying(),
            };
            Some(verify_checkpoint(&note, &key)?)
        }
    };
    let report = verify(dir, known.as_ref())?;
    let mut out = std::io::stdout().lock();
    match common.output {
        Output::Json => {
            let bad = report.first_bad.as_ref().map(ToString::to_string);
            let row = json!({
                "good": report.is_good(), "records": report.records, "segments": report.segments,
                "sessions": report.sessions, "last_seq": report.last_seq, "head": hex(&report.head),
                "torn": report.torn, "first_bad": bad,
            });
            writeln!(out, "{row}")?;
        }
        Output::Table => writeln!(out, "{report}")?,
    }
    // A torn tail is what a crash leaves: it was never durable, nothing rests on it, and the next start cuts it off.
    Ok(if report.is_good() || report.torn { DONE } else { exit::DIFFERENCE })
}

fn cat(common: &Common, dir: &Path, from: u64, number: Option<u64>, session: Option<&str>) -> Outcome {
    let mut reader = match session {
        Some(wanted) => read_session(dir, wanted)?.1,
        None => Reader::open(dir)?,
    };
    let mut renderer = Renderer::new();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut left = number.unwrap_or(u64::MAX);
    for item in reader.by_ref() {
        let item = item?;
        // Rendered even when it is not shown: a session's header names the symbols of what follows.
        let line = match common.output {
            Output::Json => renderer.json(&item).to_string(),
            Output::Table => renderer.line(&item),
        };
        if item.seq < from {
            continue;
        }
        if left == 0 || writeln!(out, "{line}").is_err() {
            break;
        }
        left -= 1;
    }
    Ok(DONE)
}

fn make_checkpoint(common: &Common, dir: &Path, to: Option<&Path>) -> Outcome {
    let key = signing_key(common)?;
    let (_, note) = checkpoint(dir, &key, Clock::system().now().ns)?;
    match to {
        Some(path) => std::fs::write(path, &note).with_context(|| format!("writing {}", path.display()))?,
        None => write!(std::io::stdout(), "{note}")?,
    }
    writeln!(std::io::stderr(), "signed by {}; keep the note and this key off this host", key.verifying())?;
    Ok(DONE)
}

fn list(common: &Common, dir: &Path) -> Outcome {
    let mut out = std::io::stdout().lock();
    let all = sessions(dir)?;
    if common.output == Output::Json {
        let rows: Vec<_> = all
            .iter()
            .map(|s| {
                json!({
                    "session": s.header.session, "mode": s.header.mode, "epoch": s.header.boot_epoch,
                    "started_ns": s.started_ns, "first_seq": s.first_seq, "bytes": s.bytes,
                    "config_hash": s.header.config_hash, "build": s.header.build_id,
                })
            })
            .collect();
        writeln!(out, "{}", json!({ "sessions": rows }))?;
        return Ok(DONE);
    }
    for s in all {
        let header = &s.header;
        writeln!(
            out,
            "{}  {}  epoch {}  from record {}  {} bytes",
            header.session, header.mode, header.boot_epoch, s.first_seq, s.bytes
        )?;
    }
    Ok(DONE)
}
