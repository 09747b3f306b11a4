//! Disks that lie, fill up or can't be written: a cut journal, a damaged one, a read-only directory, no space left.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use interlock::venue::binance::rest::OpenOrder;

use crate::stage::{Stage, said, wait_for};

/// A session of a few seconds; its journal's only segment.
fn played(stage: &Stage) -> PathBuf {
    let output = stage.run_in(&stage.paths.data, &stage.venue_file(), &["--duration", "2s"]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    stage.paths.data.join("journal/00000001.seg")
}

fn run(stage: &Stage) -> (Option<i32>, String) {
    let output = stage.run_in(&stage.paths.data, &stage.venue_file(), &["--duration", "1s"]);
    (output.status.code(), said(&output))
}

#[test]
fn r_evd_2_a_cut_journal_is_mended_and_a_damaged_one_refused() {
    let stage = Stage::set();
    let segment = played(&stage);
    let whole = fs::read(&segment).unwrap();

    // What a crash leaves: the end is missing.
    fs::write(&segment, &whole[..whole.len() - 300]).unwrap();
    let verified = stage.interlock(&["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(0), "a torn tail is no damage: {}", said(&verified));
    assert!(said(&verified).contains("torn tail"), "{}", said(&verified));
    let (code, text) = run(&stage);
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("tail was cut off from record"), "{text}");
    let events = fs::read_to_string(stage.paths.events()).unwrap();
    assert!(events.contains("JOURNAL_TAIL_CUT"), "{events}");
    let verified = stage.interlock(&["journal", "verify"]);
    assert!(verified.status.success() && !said(&verified).contains("torn"), "{}", said(&verified));
    let cat = said(&stage.interlock(&["journal", "cat"]));
    assert!(cat.contains("recovered"), "the cut itself is a record");

    // What no crash leaves: a bad record, and behind it others that knew it as durable.
    let mut damaged = fs::read(&segment).unwrap();
    let at = damaged.len() / 3;
    damaged[at] ^= 1;
    fs::write(&segment, &damaged).unwrap();
    let verified = stage.interlock(&["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(5), "{}", said(&verified));
    let (code, text) = run(&stage);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("00000001.seg at byte") && text.contains("damage or tampering"), "{text}");
    assert!(text.contains("Restore the file from a backup"), "{text}");
    assert_eq!(fs::read(&segment).unwrap(), damaged, "nothing was changed");
}

#[test]
fn a_journal_that_is_something_else_is_refused() {
    let stage = Stage::set();
    let journal = stage.paths.data.join("journal");
    fs::create_dir_all(&journal).unwrap();
    fs::write(journal.join("00000001.seg"), "this is not a journal\n".repeat(30)).unwrap();
    let (code, text) = run(&stage);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("00000001.seg") && !text.contains("panicked"), "{text}");
    fs::remove_file(journal.join("00000001.seg")).unwrap();
    fs::write(journal.join("epoch"), "seven\n").unwrap();
    let (code, text) = run(&stage);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("epoch") && text.contains("Otherwise restore"), "{text}");
}

/// A small file system of its own, gone when this is dropped.
struct Mount(PathBuf);

impl Mount {
    /// `None` where mounting isn't permitted.
    fn new(at: &Path, options: &str) -> Option<Self> {
        fs::create_dir_all(at).unwrap();
        let mounted = mount(&["-t", "tmpfs", "-o", options, "tmpfs"], at);
        if !mounted {
            println!("skipped: mounting isn't permitted here");
        }
        mounted.then(|| Self(at.to_owned()))
    }
}

fn mount(args: &[&str], at: &Path) -> bool {
    let ran = Command::new("mount").args(args).arg(at).output();
    ran.is_ok_and(|output| output.status.success())
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_read_only_directory_is_refused() {
    let stage = Stage::set();
    let Some(mounted) = Mount::new(&stage.paths.data, "size=8m") else { return };
    assert!(mount(&["-o", "remount,ro"], &mounted.0));
    let (code, text) = run(&stage);
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("Read-only file system"), "{text}");
    let deeper = mounted.0.join("deeper");
    let output = stage.run_in(&deeper, &stage.venue_file(), &[]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("data directory"), "{}", said(&output));
}

/// P7, J6, R-KILL-8: the journal can't grow any more. The engine takes no more risk, cancels what is open, and ends by itself
/// with the code that no supervisor restarts.
#[test]
fn p7_a_full_disk_is_risk_off_cancels_still_leave_and_the_end_is_halted_ops() {
    let stage = Stage::set();
    let Some(mounted) = Mount::new(&stage.paths.data, "size=24m") else { return };
    let mut engine = stage.calm_engine();
    stage.wait_until_trading();
    stage.place("30000.00", "someone-1");
    fill(&mounted.0.join("filler"));
    let status = wait_for("the engine's end", || engine.0.try_wait().unwrap());
    assert_eq!(status.code(), Some(4), "{}", stage.log());
    assert!(stage.log().contains("HALTED_OPS: JOURNAL_FAILED"), "{}", stage.log());
    let is_theirs = |order: &OpenOrder| order.client == "someone-1";
    assert!(!stage.open().iter().any(is_theirs), "nothing stays in the market unwatched");
    drop(engine);
    // With room again the next start reads what was written, and starts tripped.
    fs::remove_file(mounted.0.join("filler")).unwrap();
    let verified = stage.interlock(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", said(&verified));
    let _engine = stage.calm_engine();
    assert!(!stage.status().kill.trading, "a person looks first");
}

/// Takes all the room that is left.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = fs::File::create(path).unwrap();
    for block in [1 << 20, 1 << 12, 1 << 6] {
        while file.write_all(&vec![0x55; block]).is_ok() {}
    }
}
