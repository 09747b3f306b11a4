//! What `events.jsonl` says to readiness.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::Path;

use serde_json::Value;

/// The CRITICAL events since a time: how many, and the last one's name.
pub(super) fn critical_since(path: &Path, since_ns: i64) -> Result<(u64, String), String> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(format!("{} is not there, so nothing can be said about alerts", path.display()));
        }
        Err(error) => return Err(format!("{}: {error}", path.display())),
    };
    let mut found = (0, String::new());
    for line in BufReader::new(file).split(b'\n') {
        let line = line.map_err(|error| format!("{}: {error}", path.display()))?;
        if !line.windows(10).any(|w| w == b"\"critical\"") {
            continue;
        }
        let Ok(event) = serde_json::from_slice::<Value>(&line) else { continue };
        if event["level"] != "critical" || event["event"] == super::NOT_GO {
            continue;
        }
        // One whose time can't be read may be of today.
        let at = event["ts"].as_str().and_then(|ts| ts.parse::<jiff::Timestamp>().ok());
        let at_ns = at.and_then(|at| i64::try_from(at.as_nanosecond()).ok()).unwrap_or(i64::MAX);
        if at_ns >= since_ns {
            found = (found.0 + 1, event["event"].as_str().unwrap_or("?").to_owned());
        }
    }
    Ok(found)
}
