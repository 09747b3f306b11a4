//! F33: a fault inside whatever judges the engine can't leave it trading. The hook of the real engine, in a process that really
//! panics: this test binary starts itself again for one test of it, so that the product needs no way to be broken on purpose.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use interlock::agent::runner::{RunnerConfig, start_cold};
use interlock::agent::{Agent, AgentRunner, Clock, IdleStrategy, StopFlag, clock};
use interlock::run::last_resort;
use interlock::shared::{HaltLevel, KillPage};
use interlock::types::{Now, Reason};

use super::stage::{Calm, Stage, said, wait_for};

/// `FOLDER|THREAD|VENUE`: where the page is, which thread fails, and what stands behind it (`none`, `answers`, `mute`).
const PART: &str = "INTERLOCK_TEST_PANIC";

/// An agent that fails.
struct Bomb;

impl Agent for Bomb {
    fn name(&self) -> &'static str {
        "bomb"
    }
    fn poll(&mut self, _now: Now) -> usize {
        panic!("a fault that nobody thought of")
    }
}

/// What the engine is at that moment: armed, with its hook.
#[test]
#[ignore = "a part of the tests below, which start it in a process of its own: it ends by its panic"]
#[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
fn the_process_that_panics() {
    let Ok(part) = std::env::var(PART) else { return };
    let parts: Vec<_> = part.split('|').collect();
    let [folder, thread, venue] = parts[..] else { panic!("{part}") };
    let clock = Clock::system();
    let page = Arc::new(KillPage::create(&Path::new(folder).join("kill.page"), 7, clock.now()).unwrap());
    assert!(page.arm(page.view(clock.now()).epoch));
    last_resort::on_panic(&page, &clock, venue != "none");
    if venue == "answers" {
        let (page, clock) = (Arc::clone(&page), clock.clone());
        let gateway = move || loop {
            let view = page.view(clock.now());
            if view.level >= HaltLevel::CancelAll {
                page.set_silent(view.epoch, clock.now().ns);
            }
            clock::sleep(Duration::from_millis(1));
        };
        start_cold("answers", gateway).map(drop).unwrap();
    }
    let config = RunnerConfig { name: thread.to_owned(), core: None, idle: IdleStrategy::Park };
    let stop = StopFlag::default();
    let runner = AgentRunner::start(&config, vec![Box::new(Bomb)], clock, stop, |_| {}).unwrap();
    // The hook ends the process before the thread is joined.
    let _joined = runner.join();
    clock::sleep(Duration::from_mins(1));
}

/// Runs the part above; what its page says afterwards stays in the folder.
fn panic_in(folder: &Path, thread: &str, venue: &str) -> Output {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own)
        .args(["--exact", "panic::the_process_that_panics", "--ignored", "--nocapture"])
        .env(PART, format!("{}|{thread}|{venue}", folder.display()))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(4), "{}", said(&output));
    assert!(said(&output).contains("a fault that nobody thought of"), "{}", said(&output));
    output
}

#[test]
fn f33_a_panic_on_any_thread_trips_first_and_ends_in_order() {
    for (thread, venue, wanted) in [
        ("control", "answers", "the venue says that nothing is open"),
        ("risk", "answers", "the venue says that nothing is open"),
        ("control", "none", "the venue says that nothing is open"),
        ("gateway", "mute", "has NOT said that nothing is open: run interlock-halt NOW"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let output = panic_in(dir.path(), thread, venue);
        assert!(said(&output).contains(wanted), "{thread} {venue}: {}", said(&output));
        let page = KillPage::open(&dir.path().join("kill.page")).unwrap();
        let view = page.view(Clock::system().now());
        assert_eq!(
            (view.level, page.last_trip().0),
            (HaltLevel::CancelAll, Reason::Internal),
            "{thread} {venue}"
        );
        assert!(!view.allows_risk());
    }
}

/// The engine that comes after one that failed so: it finds the trip on the page, writes it down, and arms only for a person.
#[test]
fn f33_the_next_boot_inherits_the_trip() {
    let stage = Stage::set();
    let folder = stage.dir.path().join("failed");
    fs::create_dir(&folder).unwrap();
    let _output = panic_in(&folder, "control", "none");
    fs::create_dir_all(&stage.paths.data).unwrap();
    let page = stage.paths.kill_page();
    fs::create_dir_all(page.parent().unwrap()).unwrap();
    fs::rename(folder.join("kill.page"), page).unwrap();
    let _engine = stage.engine_at(&stage.venue_file(), &Calm::args(&stage));
    wait_for("the marker", || stage.paths.marker().exists().then_some(()));
    let events = fs::read_to_string(stage.paths.events()).unwrap();
    assert!(events.contains("\"TRIP_INHERITED\"") && events.contains("INTERNAL"), "{events}");
    clock::sleep(Duration::from_secs(2));
    assert!(!stage.status().kill.trading, "it does not arm itself over that");
    let recovered = stage.interlock(&["kill", "recover", "--cause", "the fault is known", "--by", "anna"]);
    assert_eq!(recovered.status.code(), Some(0), "{}", said(&recovered));
    stage.wait_until_trading();
}
