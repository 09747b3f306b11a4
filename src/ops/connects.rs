//! The budget of connection attempts over restarts (F22): what was tried lately stands in a small file, so that a crash
//! loop can't do what a reconnect storm may not.
//!
//! At a boot, before any link opens, the file is written with the attempts that the boot may make before the control thread
//! first sees to it ([`CHARGE`] for each link). From then on the control thread writes it anew, once a second at most and only
//! after another attempt. So a process that dies within its first second has paid in advance, and of one that dies later at most
//! a second's attempts are missing, of which the next boot's charge is again no fewer.
//!
//! The file names the venue, because budgets are the venue's; another one begins anew. What can't be read counts as used up:
//! then the links wait for one window.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::files::{self, Durability};
use crate::shared::attempts::{ATTEMPTS_KEPT, Attempts, LINKS};

/// Attempts of one link that a boot may make before they are on record: the first, and those that the shortest pauses allow
/// within a second.
pub const CHARGE: usize = 4;
/// Larger than any file of ours.
const BYTES_MAX: u64 = 64 << 10;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    v: u32,
    venue: String,
    /// By link, in nanoseconds since the epoch.
    attempts: [Vec<i64>; LINKS],
}

/// The record of attempts.
#[derive(Debug)]
pub struct Connects {
    path: PathBuf,
    venue: String,
    window_ns: i64,
    attempts: Arc<Attempts>,
    written: u64,
}

impl Connects {
    /// Reads what earlier boots tried within the window, and pays for this one's first attempts.
    pub fn open(path: PathBuf, venue: &str, window_ns: i64, now_ns: i64) -> io::Result<Self> {
        let attempts = Arc::new(Attempts::default());
        let venue = venue.to_owned();
        let connects = Self { path, venue, window_ns, written: 0, attempts };
        let mut kept = connects.read(now_ns);
        for (link, times) in kept.attempts.iter().enumerate() {
            for at_ns in times {
                connects.attempts.enter(link, *at_ns);
            }
        }
        for times in &mut kept.attempts {
            times.extend([now_ns; CHARGE]);
        }
        connects.write(&kept)?;
        Ok(Self { written: connects.attempts.entered(), ..connects })
    }

    /// Where the links enter theirs.
    pub const fn attempts(&self) -> &Arc<Attempts> {
        &self.attempts
    }

    /// Times within the window, oldest first; later than now is now. None of another venue.
    fn read(&self, now_ns: i64) -> Kept {
        let used_up = || std::array::from_fn(|_| vec![now_ns; ATTEMPTS_KEPT]);
        let mut kept = Kept { v: 1, venue: self.venue.clone(), attempts: Default::default() };
        let length = match std::fs::metadata(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return kept,
            meta => meta.map(|m| m.len()),
        };
        let bytes = length.ok().filter(|n| *n <= BYTES_MAX).and_then(|_| std::fs::read(&self.path).ok());
        let found = bytes.and_then(|bytes| serde_json::from_slice::<Kept>(&bytes).ok()).filter(|k| k.v == 1);
        match found {
            None => kept.attempts = used_up(),
            Some(found) if found.venue == self.venue => kept.attempts = found.attempts,
            Some(_) => {}
        }
        for times in &mut kept.attempts {
            times.retain(|at_ns| now_ns.saturating_sub(*at_ns) < self.window_ns);
            for at_ns in times.iter_mut() {
                *at_ns = (*at_ns).min(now_ns);
            }
            times.sort_unstable();
            times.drain(..times.len().saturating_sub(ATTEMPTS_KEPT));
        }
        kept
    }

    fn write(&self, kept: &Kept) -> io::Result<()> {
        let text = serde_json::to_string(kept).unwrap_or_default();
        files::replace(&self.path, text.as_bytes(), Durability::Atomic)
    }

    /// Brings the file up to date, if anything was tried since. The disk's refusal is tried again at the next call.
    pub fn keep(&mut self) {
        let entered = self.attempts.entered();
        if entered == self.written {
            return;
        }
        let attempts = std::array::from_fn(|link| self.attempts.times(link));
        if self.write(&Kept { v: 1, venue: self.venue.clone(), attempts }).is_ok() {
            self.written = entered;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::time::{NS_PER_MIN, NS_PER_S};

    const WINDOW: i64 = 5 * NS_PER_MIN;
    const NOW: i64 = 1_700_000_000 * NS_PER_S;

    fn open(dir: &std::path::Path, venue: &str, now_ns: i64) -> Connects {
        Connects::open(dir.join("connects.json"), venue, WINDOW, now_ns).unwrap()
    }

    #[test]
    fn f22_a_crash_loop_pays_for_its_attempts_whether_it_lives_to_tell_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for boot in 0..5 {
            let connects = open(dir.path(), "venue", NOW + boot * NS_PER_S);
            let known = connects.attempts().times(0).len();
            assert_eq!(
                known,
                CHARGE * usize::try_from(boot).unwrap(),
                "each died before it told of anything"
            );
        }
        // One that lives tells what it did, instead of what it was charged for.
        let mut connects = open(dir.path(), "venue", NOW + 6 * NS_PER_S);
        connects.attempts().enter(2, NOW + 6 * NS_PER_S);
        connects.keep();
        let next = open(dir.path(), "venue", NOW + 7 * NS_PER_S);
        assert_eq!([0, 1, 2].map(|link| next.attempts().times(link).len()), [20, 20, 21]);
        // The window's end ends it.
        let later = open(dir.path(), "venue", NOW + 8 * NS_PER_S + WINDOW);
        assert_eq!([0, 1, 2].map(|link| later.attempts().times(link).len()), [0, 0, 0]);
    }

    #[test]
    fn another_venue_begins_anew_and_what_cannot_be_read_is_used_up() {
        let dir = tempfile::tempdir().unwrap();
        let _one = open(dir.path(), "venue", NOW);
        assert_eq!(open(dir.path(), "another", NOW).attempts().times(0).len(), 0);
        for broken in ["", "{", "{\"v\":9,\"venue\":\"venue\",\"attempts\":[[],[],[]]}"] {
            std::fs::write(dir.path().join("connects.json"), broken).unwrap();
            assert_eq!(open(dir.path(), "venue", NOW).attempts().times(1).len(), ATTEMPTS_KEPT, "{broken:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_does_not_lengthen_the_wait() {
        let dir = tempfile::tempdir().unwrap();
        let _one = open(dir.path(), "venue", NOW);
        let back = open(dir.path(), "venue", NOW - 3_600 * NS_PER_S);
        assert_eq!(back.attempts().times(0), [NOW - 3_600 * NS_PER_S; CHARGE], "as if it were now");
    }
}
