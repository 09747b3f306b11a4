//! The kill page and the marker: K4, K5 and K6 of the safety notes (R-KILL-2, R-KILL-5). What is damaged, cut, missing or
//! foreign counts as tripped, byte by byte.

use std::fs;
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use interlock::ops::marker::{self, Found, Marker};
use interlock::ops::paths::Paths;
use interlock::shared::kill::{PAGE_BYTES, PageFault};
use interlock::shared::{HaltLevel, HaltView, KillPage};
use interlock::types::{Now, Reason};

const NOW: Now = Now { ns: 1_000_000_000, mono_ns: 1_000_000 };
const BOOT: u64 = 0x1234_5678_9abc_def1;

fn armed(path: &Path) -> KillPage {
    let page = KillPage::create(path, BOOT, NOW).unwrap();
    assert!(page.arm(page.view(NOW).epoch));
    page.renew_lease(10_000_000);
    assert!(page.view(NOW).allows_risk());
    page
}

#[test]
fn every_boot_starts_tripped_whatever_the_page_said() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kill.page");
    drop(armed(&path));
    let page = KillPage::create(&path, BOOT + 1, NOW).unwrap();
    let view = page.view(NOW);
    assert_eq!(view, HaltView { level: HaltLevel::RiskOff, epoch: 1, lease_valid: false });
    assert_eq!(page.last_trip().0, Reason::Boot);
    assert_eq!((page.silent(), page.reconciled(), page.open_orders()), ((0, 0), 0, 0));
}

/// K5: a trip outlives its engine by the page itself, even without a marker; a boot's own trip and an armed page leave none.
#[test]
fn k5_a_new_boot_knows_the_trip_that_was_in_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kill.page");
    let boot = |id: u64| KillPage::create(&path, id, NOW).unwrap();
    assert_eq!(boot(1).inherited(), None, "there was no page");
    assert_eq!(boot(2).inherited(), None, "the start's own trip");
    assert!(boot(3).arm(1));
    let page = boot(4);
    assert_eq!(page.inherited(), None, "it was armed");
    page.trip(HaltLevel::CancelAll, Reason::Operator, NOW.ns);
    drop(page);
    assert_eq!(boot(5).inherited(), Some(Reason::Operator));
    for length in [1, 40, 4_095] {
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        assert_eq!(boot(6).inherited(), Some(Reason::PageUnreadable), "cut to {length}");
    }
    fs::write(&path, [0; PAGE_BYTES]).unwrap();
    assert_eq!(boot(7).inherited(), Some(Reason::PageUnreadable));
}

/// K6: each byte of an armed page takes each of its 255 other values, in the mapped file: either nothing that matters changed,
/// or risk is off. Never more is allowed than before.
#[test]
fn k6_a_damaged_byte_of_an_armed_page_never_allows_what_was_not_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kill.page");
    let page = armed(&path);
    let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
    let late = Now { ns: NOW.ns, mono_ns: 10_000_000 };
    for at in 0..PAGE_BYTES as u64 {
        let mut was = [0u8];
        file.read_exact_at(&mut was, at).unwrap();
        for other in 0..=255u8 {
            if other == was[0] {
                continue;
            }
            file.write_all_at(&[other], at).unwrap();
            assert!(!page.view(late).allows_risk(), "byte {at} = {other}: the lease was lengthened");
            // The words that decide: identity, level and lease.
            let decides = at < 24 || (24..26).contains(&at) || (32..40).contains(&at);
            assert_eq!(page.view(NOW).allows_risk(), !decides, "byte {at} = {other}");
        }
        file.write_all_at(&was, at).unwrap();
    }
    assert!(page.view(NOW).allows_risk(), "put back, it is as before");
}

/// K6: no damaged byte arms a tripped page, claims silence, or claims a reconcile.
#[test]
fn k6_a_damaged_byte_of_a_tripped_page_arms_nothing_and_claims_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for level in [HaltLevel::RiskOff, HaltLevel::CancelAll, HaltLevel::Stopped] {
        let path = dir.path().join(format!("{level:?}"));
        let page = armed(&path);
        page.set_silent(2, 5);
        page.set_reconciled(2);
        let epoch = page.trip(level, Reason::Operator, NOW.ns);
        assert_eq!(epoch, 3);
        page.renew_lease(10_000_000);
        let file = fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
        // Everything that is ever written, heartbeats left out: they decide nothing on the page.
        for at in 0..128u64 {
            let mut was = [0u8];
            file.read_exact_at(&mut was, at).unwrap();
            for other in 0..=255u8 {
                file.write_all_at(&[other], at).unwrap();
                let view = page.view(NOW);
                assert!(view.is_tripped() && !view.allows_risk(), "{level:?} byte {at} = {other}");
                let other_value = other != was[0];
                assert!(!other_value || page.silent().0 < 3, "byte {at} = {other} claims silence");
                assert!(!other_value || page.reconciled() < 3, "byte {at} = {other} claims a reconcile");
            }
            file.write_all_at(&was, at).unwrap();
        }
    }
}

/// K6: a page of zeros, of ones and of noise are tripped; so is a page of another boot.
#[test]
fn k6_zeroed_foreign_and_garbage_pages_are_tripped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kill.page");
    let page = armed(&path);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    for fill in [0x00, 0xFF, 0xA5] {
        file.write_all_at(&[fill; PAGE_BYTES], 0).unwrap();
        assert!(page.view(NOW).is_tripped() && !page.view(NOW).lease_valid);
        assert_eq!(page.inspect(), Err(PageFault::Foreign));
        assert_eq!(page.last_trip().0, Reason::PageUnreadable);
        assert!(!page.arm(page.view(NOW).epoch), "what is not ours can't be armed");
        let opened = KillPage::open(&path).unwrap();
        assert!(opened.view(NOW).is_tripped());
    }
    // Another boot takes the file over: the first engine is tripped, and a trip of its own still raises its level.
    let other = KillPage::create(&path, BOOT + 7, NOW).unwrap();
    assert!(other.arm(1));
    other.renew_lease(10_000_000);
    assert!(other.view(NOW).allows_risk());
    assert!(!page.view(NOW).allows_risk());
    page.trip(HaltLevel::CancelAll, Reason::Operator, NOW.ns);
    assert_eq!(page.view(NOW).level, HaltLevel::CancelAll);
}

/// K6: the file is cut at every length while it is mapped. The engine neither dies of it (SIGBUS) nor trades on.
#[test]
fn k6_a_page_cut_short_while_mapped_is_tripped_and_ends_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kill.page");
    for length in (0..PAGE_BYTES as u64).step_by(8).chain([1, 4_095]) {
        let _gone = fs::remove_file(&path);
        let page = armed(&path);
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(length).unwrap();
        let view = page.view(NOW);
        // A file that ends within the page leaves the page in the kernel, with zeros behind its end.
        let decides = length < 40;
        assert_eq!(view.allows_risk(), !decides, "cut to {length}");
        page.heartbeat(3, NOW);
        assert_eq!(page.inspect(), Err(PageFault::Truncated), "cut to {length}");
        // What control does about it: after that nothing is allowed, and the level says "cancel all".
        page.trip(HaltLevel::CancelAll, Reason::PageUnreadable, NOW.ns);
        assert_eq!(page.view(NOW).level, HaltLevel::CancelAll, "cut to {length}");
        assert!(!page.view(NOW).allows_risk());
        assert!(KillPage::open(&path).is_err(), "nobody opens a page that is cut");
    }
}

/// A SIGBUS at any other address is not swallowed: the process dies of it, as it should.
#[test]
fn k6_a_fault_elsewhere_still_ends_the_process() {
    if let Some(path) = std::env::var_os("INTERLOCK_TEST_FAULT") {
        let path = Path::new(&path);
        let _page = armed(&path.with_extension("page"));
        let other =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(true).open(path).unwrap();
        other.set_len(4096).unwrap();
        let map = memmap2::MmapOptions::new().len(4096).map_raw(&other).unwrap();
        other.set_len(0).unwrap();
        // SAFETY: the read is meant to fault; that is the test.
        #[expect(unsafe_code, reason = "provokes the fault that the test is about")]
        let byte = unsafe { map.as_ptr().read_volatile() };
        println!("still alive: {byte}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let status = again("kill::k6_a_fault_elsewhere_still_ends_the_process")
        .env("INTERLOCK_TEST_FAULT", dir.path().join("other"))
        .status()
        .unwrap();
    assert_eq!(status.signal(), Some(libc::SIGBUS), "{status}");
}

/// This test binary again, for one test, quietly.
fn again(test: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

#[test]
fn k6_a_page_that_was_replaced_or_removed_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("kill.page");
    let page = armed(&path);
    assert_eq!(page.inspect(), Ok(()));
    fs::rename(&path, dir.path().join("away")).unwrap();
    assert_eq!(page.inspect(), Err(PageFault::Replaced));
    fs::write(&path, [0; PAGE_BYTES]).unwrap();
    assert_eq!(page.inspect(), Err(PageFault::Replaced));
    // A symbolic link isn't followed, for reading or for making.
    fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(dir.path().join("away"), &path).unwrap();
    assert!(KillPage::open(&path).is_err());
    assert!(KillPage::create(&path, BOOT, NOW).is_err());
}

/// K4: kill twice: the level never falls, the first cause stays, a higher level takes over with its own.
#[test]
fn k4_trips_only_raise() {
    let dir = tempfile::tempdir().unwrap();
    let page = armed(&dir.path().join("kill.page"));
    let first = page.trip_once(HaltLevel::CancelAll, Reason::Operator, 10);
    assert!(first.raised);
    for level in HaltLevel::ALL {
        let again = page.trip_once(level, Reason::Stall, 20);
        let higher = level > HaltLevel::CancelAll;
        assert_eq!(again.raised, higher, "{level:?}");
        let (cause, at) = if higher { (Reason::Stall, 20) } else { (Reason::Operator, 10) };
        assert_eq!(page.last_trip(), (cause, at), "{level:?}");
    }
    assert_eq!(page.view(NOW).level, HaltLevel::Stopped);
}

/// K4: arming takes effect only for the epoch that was examined.
#[test]
fn k4_a_trip_since_the_examination_defeats_the_arming() {
    let dir = tempfile::tempdir().unwrap();
    let page = KillPage::create(&dir.path().join("kill.page"), BOOT, NOW).unwrap();
    let examined = page.view(NOW).epoch;
    page.trip(HaltLevel::CancelAll, Reason::Operator, NOW.ns);
    assert!(!page.arm(examined));
    assert!(page.view(NOW).is_tripped());
    assert!(page.arm(page.view(NOW).epoch));
    assert!(!page.view(NOW).is_tripped());
    assert!(!page.view(NOW).allows_risk(), "armed without a lease allows nothing");
}

/// K6: the marker, cut at every length, with each byte damaged, empty, a folder, a dangling link: always killed.
#[test]
fn k6_whatever_is_in_the_markers_place_is_a_trip() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    assert_eq!(marker::look(&paths), Found::Absent);
    marker::write(&paths, &Marker::new(Reason::Operator, "drill", "me", "halt")).unwrap();
    let whole = fs::read(paths.marker()).unwrap();
    assert!(matches!(marker::look(&paths), Found::Killed(m) if m.text == "drill"));
    for length in 0..whole.len() {
        fs::write(paths.marker(), &whole[..length]).unwrap();
        assert!(marker::look(&paths).is_killed(), "cut to {length}");
        let mut damaged = whole.clone();
        damaged[length] = 0;
        fs::write(paths.marker(), &damaged).unwrap();
        assert!(marker::look(&paths).is_killed(), "zero at {length}");
    }
    fs::remove_file(paths.marker()).unwrap();
    fs::create_dir(paths.marker()).unwrap();
    assert!(marker::look(&paths).is_killed());
    fs::remove_dir(paths.marker()).unwrap();
    std::os::unix::fs::symlink("nowhere", paths.marker()).unwrap();
    assert!(marker::look(&paths).is_killed());
}

/// K3: no room for a new file: the marker is written into its reserve.
#[test]
fn k3_a_marker_finds_room_on_a_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    marker::keep_reserve(&paths).unwrap();
    // What a full disk does to the ordinary way: the file beside can't be made. A folder in its place does the same.
    let beside = dir.path().join(format!("killed.{}.new", std::process::id()));
    fs::create_dir(&beside).unwrap();
    marker::write(&paths, &Marker::new(Reason::JournalFailed, "disk full", "engine", "engine")).unwrap();
    assert!(matches!(marker::look(&paths), Found::Killed(m) if m.reason == "JOURNAL_FAILED"));
    // The reserve is used up, and with it the second marker fails, loudly; the first still stands.
    assert!(marker::write(&paths, &Marker::new(Reason::Operator, "again", "me", "engine")).is_err());
    assert!(marker::look(&paths).is_killed());
    fs::remove_dir(&beside).unwrap();
    marker::keep_reserve(&paths).unwrap();
}

/// K5: the process dies (kill -9) after each system call of a trip with its marker; whatever is left counts as killed from the
/// moment at which the page was tripped, or the marker is there.
#[test]
fn k5_killed_at_each_step_of_a_trip_it_is_still_killed_after_a_restart() {
    if let Some(dir) = std::env::var_os("INTERLOCK_TEST_TRIP") {
        let paths = Paths::new(Path::new(&dir), None);
        let page = KillPage::open(&paths.kill_page()).unwrap();
        println!("opened");
        page.trip(HaltLevel::CancelAll, Reason::Operator, NOW.ns);
        println!("tripped");
        marker::write(&paths, &Marker::new(Reason::Operator, "drill", "me", "client")).unwrap();
        println!("marked");
        return;
    }
    let mut ends = std::collections::BTreeSet::new();
    for delay_us in (0..8_000).step_by(200) {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), None);
        drop(armed(&paths.kill_page()));
        let mut child = again("kill::k5_killed_at_each_step_of_a_trip_it_is_still_killed_after_a_restart")
            .env("INTERLOCK_TEST_TRIP", dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        interlock::agent::clock::sleep(std::time::Duration::from_micros(delay_us));
        let _ended = child.kill();
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let marked = marker::look(&paths).is_killed();
        let tripped = KillPage::open(&paths.kill_page()).unwrap().view(NOW).is_tripped();
        assert!(tripped || !said.contains("tripped"), "the page outlives the tripper");
        assert!(marked || !said.contains("marked"), "the marker outlives the tripper");
        assert!(tripped || !marked, "the page is tripped first");
        ends.insert((tripped, marked));
        // The restart: a page for a new boot is tripped, with or without the marker.
        let page = KillPage::create(&paths.kill_page(), BOOT + 1, NOW).unwrap();
        assert!(page.view(NOW).is_tripped());
        assert_eq!(marker::look(&paths).is_killed(), marked, "a restart forgets no marker");
    }
    println!("ends seen (tripped, marked): {ends:?}");
}
