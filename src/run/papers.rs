//! What a session's header says of the papers that it starts under: the hashes of what people signed, armed, rolled back and
//! recorded (`live/`, `holds/`, `incidents/`), and what of the limits is another than in the session before (C40).
//!
//! Those files are small and can be replaced by whoever owns the host. The header stands in the journal's chain, and
//! checkpoints of the chain leave the host: so a sign-off or an incident that is rewritten or taken away shows against the
//! next session's header, and `journal verify` covers it.
//!
//! What it refuses: to start over a paper that it can't read. A file that can't be sealed could be anything tomorrow.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::plan::Plan;
use super::session::{StartError, journal_dir};
use crate::journal::reader;
use crate::ops::emergency::{holds, incident};
use crate::ops::events::{Event, Level};
use crate::ops::gates::Books;
use crate::ops::paths::Paths;

/// Key of the header's notes under which the hashes stand.
pub const PAPERS_NOTE: &str = "papers";
/// Key of the header's notes under which changes of limits stand.
pub const LIMITS_NOTE: &str = "limits_changed";
/// Files of one folder that are sealed one by one: the newest by name, which begins with the time or is one of a few. All of
/// them are in the seal's own hash.
const EACH_MAX: usize = 200;
/// Longest file that is sealed.
const PAPER_BYTES_MAX: u64 = 4 << 20;
/// The sections that hold limits: who changes a figure in one of these is told of at the next start.
pub const LIMIT_SECTIONS: [&str; 8] = [
    "risk",
    "exits",
    "bounded_live",
    "bounded_live_phase2",
    "bounded_live_enforcement",
    "kill",
    "emergency",
    "gates",
];

/// For the header and the event log.
#[derive(Clone, Debug, Default)]
pub struct Papers {
    /// Notes for the header.
    pub notes: Vec<(String, Value)>,
    /// Events that follow the boot's seal.
    pub events: Vec<Event>,
}

/// Gathers what there is. Changes nothing.
pub fn gather(plan: &Plan, paths: &Paths, now_ns: i64) -> Result<Papers, StartError> {
    let mut papers = Papers { notes: vec![(PAPERS_NOTE.to_owned(), seal(paths)?)], ..Papers::default() };
    if let Some(event) = changes(plan, paths, now_ns)? {
        if event.name == LIMITS_CHANGED {
            papers.notes.push((LIMITS_NOTE.to_owned(), Value::Object(event.fields.clone())));
        }
        papers.events.push(event);
    }
    Ok(papers)
}

/// The hash over all papers, and those of the single ones.
fn seal(paths: &Paths) -> Result<Value, StartError> {
    let folders = [Books::new(paths).folder(), holds::folder(paths), incident::folder(paths)];
    let (mut all, mut files) = (blake3::Hasher::new(), Map::new());
    let mut count = 0_usize;
    for folder in folders {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let hashes = hashes(&folder)?;
        count += hashes.len();
        let left_out = hashes.len().saturating_sub(EACH_MAX);
        for (at, (file, hash)) in hashes.into_iter().enumerate() {
            let place = format!("{name}/{file}");
            // Lengths are fixed or ended by the zero, so that no two sets of papers are one text.
            all.update(place.as_bytes()).update(&[0]).update(hash.as_bytes());
            if at >= left_out {
                files.insert(place, json!(hash.to_hex().as_str()));
            }
        }
    }
    Ok(json!({ "hash": all.finalize().to_hex().as_str(), "count": count, "files": files }))
}

/// The files directly in a folder with their hashes, by name. No folder: none.
fn hashes(folder: &Path) -> Result<BTreeMap<String, blake3::Hash>, StartError> {
    let fail = |path: &Path, source| StartError::Io { what: format!("sealing {}", path.display()), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(fail(folder, error)),
    };
    let mut found = BTreeMap::new();
    for entry in entries {
        let entry = entry.map_err(|e| fail(folder, e))?;
        let path = entry.path();
        let meta = entry.metadata().map_err(|e| fail(&path, e))?;
        // What a crash left of a write stands for nothing; a backup is sealed by the transition record.
        if !meta.is_file() || path.extension().is_some_and(|e| e == "new") {
            continue;
        }
        if meta.len() > PAPER_BYTES_MAX {
            let why = format!("{} bytes; a paper has at most {PAPER_BYTES_MAX}", meta.len());
            return Err(fail(&path, std::io::Error::other(why)));
        }
        let bytes = std::fs::read(&path).map_err(|e| fail(&path, e))?;
        found.insert(entry.file_name().to_string_lossy().into_owned(), blake3::hash(&bytes));
    }
    Ok(found)
}

/// The event of a session whose limits are others than those of the one before.
pub const LIMITS_CHANGED: &str = "LIMITS_CHANGED";

/// What is another than in the session before, if anything is.
fn changes(plan: &Plan, paths: &Paths, now_ns: i64) -> Result<Option<Event>, StartError> {
    let journal = journal_dir(paths);
    if !journal.exists() {
        return Ok(None);
    }
    let Some(before) = reader::sessions(&journal)?.pop().map(|session| session.header) else {
        return Ok(None);
    };
    let hash = plan.hash();
    if before.config_hash == hash {
        return Ok(None);
    }
    let changed = match (flat(&before.config), flat(&plan.to_toml())) {
        (Ok(old), Ok(new)) => differences(&old, &new),
        (old, new) => {
            // An older version's text that this one can't read: nothing can be told, so it is told that nothing can.
            let why = old.err().or(new.err()).unwrap_or_default();
            vec![json!({ "key": "?", "from": null, "to": null, "why": why })]
        }
    };
    let (level, name) =
        if changed.is_empty() { (Level::Info, "CONFIG_CHANGED") } else { (Level::Warn, LIMITS_CHANGED) };
    let event = Event::new(now_ns, level, name)
        .with(
            "before",
            json!({ "session": before.session, "mode": before.mode, "config_hash": before.config_hash }),
        )
        .with("now", json!({ "mode": plan.mode.name(), "config_hash": hash }))
        .with("uid", rustix::process::getuid().as_raw())
        .with("changes", changed);
    Ok(Some(event))
}

/// The figures of the limit sections by dotted key, as text.
fn flat(config: &str) -> Result<BTreeMap<String, String>, String> {
    let table: toml::Table = toml::from_str(config).map_err(|error| error.to_string())?;
    let mut found = BTreeMap::new();
    for section in LIMIT_SECTIONS {
        if let Some(value) = table.get(section) {
            flatten(section.to_owned(), value, &mut found);
        }
    }
    Ok(found)
}

fn flatten(key: String, value: &toml::Value, into: &mut BTreeMap<String, String>) {
    match value {
        toml::Value::Table(table) => {
            for (inner, value) in table {
                flatten(format!("{key}.{inner}"), value, into);
            }
        }
        other => {
            into.insert(key, other.to_string());
        }
    }
}

/// Key by key: what was, and what is. A key that one side lacks is `null` there.
fn differences(old: &BTreeMap<String, String>, new: &BTreeMap<String, String>) -> Vec<Value> {
    let mut keys: Vec<_> = old.keys().chain(new.keys()).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| json!({ "key": key, "from": old.get(key), "to": new.get(key) }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c40_a_changed_limit_is_told_with_both_values_and_nothing_else_is() {
        let old = Plan::default();
        let mut new = Plan::default();
        new.feed.stale_after_ms += 1;
        let told = |new: &Plan| differences(&flat(&old.to_toml()).unwrap(), &flat(&new.to_toml()).unwrap());
        assert_eq!(told(&new), Vec::<Value>::new(), "not a limit");
        new.risk.open_orders_max += 1;
        new.emergency.rollback_trips += 4;
        let changed = told(&new);
        let keys: Vec<_> = changed.iter().map(|c| c["key"].as_str().unwrap()).collect();
        assert_eq!(keys, ["emergency.rollback_trips", "risk.open_orders_max"]);
        assert_eq!((&changed[0]["from"], &changed[0]["to"]), (&json!("3"), &json!("7")));
    }

    #[test]
    fn a_section_that_came_or_went_is_a_change() {
        let (old, new) = (flat("[risk]\na = 1\n").unwrap(), flat("[risk.b]\nc = [1, 2]\n").unwrap());
        let changed = differences(&old, &new);
        assert_eq!(changed.len(), 2, "{changed:?}");
        assert_eq!(changed[0], json!({ "key": "risk.a", "from": "1", "to": null }));
        assert_eq!(changed[1], json!({ "key": "risk.b.c", "from": null, "to": "[1, 2]" }));
        assert!(flat("[risk").is_err());
    }

    #[test]
    fn the_seal_changes_with_each_paper_and_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), None);
        let seal = |paths: &Paths| seal(paths).unwrap();
        let none = seal(&paths);
        assert_eq!((&none["count"], &none["files"]), (&json!(0), &json!({})));
        let live = dir.path().join("live");
        std::fs::create_dir_all(live.join("config-backup-1")).unwrap();
        std::fs::write(live.join("signoff-risk.json"), "{}").unwrap();
        std::fs::write(live.join("x.new"), "half").unwrap();
        let one = seal(&paths);
        assert_eq!(one["files"], json!({ "live/signoff-risk.json": blake3::hash(b"{}").to_hex().as_str() }));
        std::fs::write(live.join("signoff-risk.json"), "{ }").unwrap();
        let other = seal(&paths);
        std::fs::rename(live.join("signoff-risk.json"), live.join("signoff-security.json")).unwrap();
        let renamed = seal(&paths);
        std::fs::create_dir_all(holds::folder(&paths)).unwrap();
        std::fs::write(holds::folder(&paths).join("rollback-3-1.json"), "{}").unwrap();
        let more = seal(&paths);
        let all = [&none, &one, &other, &renamed, &more].map(|s| s["hash"].as_str().unwrap());
        for (at, hash) in all.iter().enumerate() {
            assert!(!all[at + 1..].contains(hash), "{all:?}");
        }
        assert_eq!(more["count"], 2);
    }

    #[test]
    fn of_many_papers_the_newest_are_named_and_all_are_sealed() {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), None);
        let folder = incident::folder(&paths);
        std::fs::create_dir_all(&folder).unwrap();
        for at in 0..EACH_MAX + 5 {
            std::fs::write(folder.join(format!("{at:06}.json")), "{}").unwrap();
        }
        let first = seal(&paths).unwrap();
        assert_eq!(first["count"], EACH_MAX + 5);
        let files = first["files"].as_object().unwrap();
        assert_eq!(files.len(), EACH_MAX);
        assert!(!files.contains_key("incidents/000004.json") && files.contains_key("incidents/000005.json"));
        std::fs::write(folder.join("000000.json"), "{ }").unwrap();
        assert_ne!(seal(&paths).unwrap()["hash"], first["hash"], "one that is not named counts too");
    }
}
