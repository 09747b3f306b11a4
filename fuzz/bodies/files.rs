//! Files of the data directory that are read at a start: whoever can write there could have written anything, and so could a
//! crash. What can't be read counts against a start, never for it; what is taken writes back as it was read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use interlock::ops::emergency::holds::{self, Hold};
use interlock::ops::emergency::incident::{self, Incident};
use interlock::ops::emergency::trips::Trips;
use interlock::ops::gates::Statement;
use interlock::ops::marker::{self, Found};
use interlock::ops::paths::Paths;
use interlock::run::carry::StateFile;
use interlock::shared::{HaltLevel, KillPage};
use interlock::types::Now;

/// A data directory for one input.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed); // a number of its own is all that is asked
        // In memory where there is such a place: the files are written durably, thousands of times.
        let memory = PathBuf::from("/dev/shm");
        let below = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let path = below.join(format!("interlock-fuzz-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

fn put(file: &Path, data: &[u8]) {
    std::fs::create_dir_all(file.parent().expect("a file in a folder")).expect("a folder");
    std::fs::write(file, data).expect("a temporary file");
}

/// Any bytes as each of the files.
pub(crate) fn files(data: &[u8]) {
    let folder = Folder::new();
    let paths = Paths::new(&folder.0, None);
    state(&paths, data);
    marker(&paths, data);
    hold(&paths, data);
    incident(&paths, data);
    trips(&paths, data);
    page(&paths, data);
    if let Ok(statement) = Statement::parse(data) {
        let text = serde_json::to_vec(&statement).expect("a statement can be written");
        assert_eq!(Statement::parse(&text), Ok(statement), "a statement reads back");
    }
}

/// What earlier sessions left: a state that is not sound is told of and left out whole.
fn state(paths: &Paths, data: &[u8]) {
    put(&paths.state(), data);
    let (state, told) = StateFile::load(&paths.state(), 7);
    match told.map(|event| event.line()) {
        Some(line) if line.contains("STATE_UNREADABLE") => {
            assert_eq!(state, StateFile::default(), "nothing is taken of a file that isn't sound");
        }
        told => {
            assert!(told.is_none_or(|line| line.contains("STATE_MIGRATED")));
            state.store(&paths.state()).expect("a state can be written");
            let (again, told) = StateFile::load(&paths.state(), 7);
            assert!(again == state && told.is_none(), "what was read reads back, without another word");
        }
    }
}

/// The marker: that it is there is what counts.
fn marker(paths: &Paths, data: &[u8]) {
    put(&paths.marker(), data);
    let found = marker::look(paths);
    assert!(found.is_killed(), "a marker is a trip whatever is in it");
    if let Found::Killed(marker) = found {
        marker::write(paths, &marker).expect("a marker can be written");
        assert_eq!(marker::look(paths), Found::Killed(marker), "a marker reads back");
    }
}

/// A hold permits live only if it says so itself.
fn hold(paths: &Paths, data: &[u8]) {
    put(&holds::folder(paths).join("a.json"), data);
    let sound = serde_json::from_slice::<Hold>(data).ok().filter(|hold| hold.cleared.is_none());
    let permits = sound.as_ref().is_some_and(|hold| hold.permits("live"));
    assert_eq!(holds::check(paths, "live").is_ok(), permits, "what can't be read holds back");
    assert!(holds::check(paths, "shadow").is_ok(), "shadow sends nothing and is never held back");
    if let Some(hold) = sound {
        let text = serde_json::to_vec(&hold).expect("a hold can be written");
        assert_eq!(serde_json::from_slice::<Hold>(&text).ok(), Some(hold), "a hold reads back");
    }
}

/// An incident: taken whole or not at all, and one that can't be read hides none of the others.
fn incident(paths: &Paths, data: &[u8]) {
    put(&incident::folder(paths).join("a.json"), data);
    match incident::load(paths, "a") {
        Ok(incident) => {
            let text = serde_json::to_vec(&incident).expect("an incident can be written");
            let again: Incident = serde_json::from_slice(&text).expect("what was written can be read");
            assert_eq!(again, incident, "an incident reads back");
            assert!(incident::all(paths).is_ok_and(|all| all == [incident]));
        }
        Err(_) => assert!(incident::all(paths).is_err(), "an incident that can't be read is not passed over"),
    }
}

/// The count of trips: no file is none, a broken file is an error.
fn trips(paths: &Paths, data: &[u8]) {
    put(&paths.data.join("trips.json"), data);
    if let Ok(trips) = Trips::read(paths) {
        trips.write(paths).expect("trips can be written");
        assert_eq!(Trips::read(paths).ok(), Some(trips), "trips read back");
    }
}

/// The kill page: of another's bytes nothing is armed but what an engine armed; a boot is tripped whatever it found.
fn page(paths: &Paths, data: &[u8]) {
    // A corpus of whole pages would be zeros mostly: the rest of a short input is.
    let mut whole = data.to_vec();
    whole.resize(whole.len().max(4_096), 0);
    put(&paths.kill_page(), data);
    assert_eq!(
        KillPage::open(&paths.kill_page()).is_ok(),
        data.len() >= 4_096,
        "a page that is cut short is refused"
    );
    put(&paths.kill_page(), &whole);
    let now = Now { ns: 1_000, mono_ns: 1_000 };
    let read = KillPage::open(&paths.kill_page()).expect("a page of that length");
    if read.inspect().is_err() {
        let view = read.view(now);
        assert!(view.level >= HaltLevel::RiskOff && !view.allows_risk(), "a foreign page is tripped");
        assert!(!read.arm(view.epoch), "and can't be armed");
    }
    drop(read);
    let booted = KillPage::create(&paths.kill_page(), 9, now).expect("a page can be taken over");
    assert!(booted.is_whole() && booted.view(now).level >= HaltLevel::RiskOff, "every boot starts tripped");
    assert!(booted.lease_until() <= now.mono_ns, "and without a lease");
}
