//! Whole sessions with the real binary: the demo as a newcomer runs it, its journal, its replay, a real recording, paper.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use interlock::ops::client;
use interlock::ops::paths::Paths;

use super::stage::{alone, wait_for};

/// Settings that leave the machine usable: tests run on busy, small hosts.
const GENTLE: &str = "[placement]\nunpinned = true\nidle = \"park\"\n[risk.turnover]\napply = \"never\"\n";

struct Demo {
    dir: tempfile::TempDir,
    _alone: fs::File,
}

impl Demo {
    fn new() -> Self {
        let alone = alone();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("gentle.toml"), GENTLE).unwrap();
        Self { dir, _alone: alone }
    }
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }
    fn paths(&self) -> Paths {
        Paths::new(&self.data(), None)
    }
    fn start(&self, more: &[&str]) -> Child {
        Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["run", "--plain", "-c"])
            .arg(self.dir.path().join("gentle.toml"))
            .arg("--data-dir")
            .arg(self.data())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
    fn interlock(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        command.args(args).arg("--data-dir").arg(self.data()).output().unwrap()
    }
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Ctrl-C, as a terminal sends it.
fn interrupt(child: &Child) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
}

/// The digest that a replay prints: equal for equal sessions.
fn digest(output: &Output) -> String {
    text(output).split("digest ").nth(1).expect("a digest").trim().to_owned()
}

#[test]
fn r_evd_2_the_demo_trades_stops_on_ctrl_c_verifies_and_replays_to_the_same_bytes_twice() {
    let demo = Demo::new();
    let child = demo.start(&[]);
    wait_for("an order and a fill", || {
        let status = client::read_status(&demo.paths()).ok()?;
        (status.view.totals.orders_sent > 0 && status.view.totals.fills > 0).then_some(())
    });
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    let said = text(&ended);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("System shutdown complete"), "{said}");
    assert!(said.contains("tick_to_trade"), "the summary shows latencies: {said}");

    let verified = demo.interlock(&["journal", "verify"]);
    assert!(verified.status.success(), "{}", text(&verified));
    let first = demo.interlock(&["journal", "replay"]);
    assert!(first.status.success(), "{}", text(&first));
    let second = demo.interlock(&["journal", "replay"]);
    assert_eq!(digest(&first), digest(&second));

    // R-GATE-7: the boot's seal is in the event log and in the journal.
    let events = fs::read_to_string(demo.paths().events()).unwrap();
    assert!(events.contains("\"BOOT_SEAL\""), "{events}");
    let cat = demo.interlock(&["journal", "cat", "-n", "1", "-o", "json"]);
    assert!(text(&cat).contains("BOOT_SEAL"), "{}", text(&cat));
    no_secret_was_written(&demo.data());
    a_tampered_journal_is_found(&demo);
}

/// R-GATE-9: nothing that the engine wrote holds a key of the venue's.
fn no_secret_was_written(data: &Path) {
    let venue: serde_json::Value =
        serde_json::from_slice(&fs::read(data.join("venue/venue.json")).unwrap()).unwrap();
    let keys = &venue["keys"];
    let pem = keys["trade_ed25519"]["private_key_pem"].as_str().unwrap();
    let secrets = [
        keys["trade_hmac"]["secret"].as_str().unwrap().to_owned(),
        pem.lines().nth(1).expect("a line of the key").to_owned(),
    ];
    let mut folders = vec![data.to_owned()];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                if path.file_name().is_some_and(|n| n != "venue") {
                    folders.push(path);
                }
                continue;
            }
            let Ok(bytes) = fs::read(&path) else { continue };
            looked_at += 1;
            for secret in &secrets {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "a secret stands in {}", path.display());
            }
        }
    }
    assert!(looked_at > 5, "only {looked_at} files");
}

/// One changed byte in the middle: verify says where, with the exit code of a difference.
fn a_tampered_journal_is_found(demo: &Demo) {
    let dir = demo.data().join("journal");
    let segment = fs::read_dir(&dir)
        .unwrap()
        .flatten()
        .map(|e| e.path())
        .find(|p| p.extension().is_some_and(|e| e == "seg"))
        .expect("a segment");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let verified = demo.interlock(&["journal", "verify"]);
    assert_eq!(verified.status.code(), Some(5), "{}", text(&verified));
}

#[test]
fn a_session_ends_by_itself_after_its_duration() {
    let demo = Demo::new();
    let ended = demo.start(&["--duration", "2s"]).wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", text(&ended));
    assert!(text(&ended).contains("System shutdown complete"));
    // A clean end: the next one arms itself again.
    let child = demo.start(&[]);
    wait_for("trading", || client::read_status(&demo.paths()).ok()?.kill.trading.then_some(()));
    interrupt(&child);
    assert!(child.wait_with_output().unwrap().status.success());
}

#[test]
fn paper_fills_from_the_model_and_replays() {
    let demo = Demo::new();
    let child = demo.start(&["--mode", "paper"]);
    wait_for("a fill", || (client::read_status(&demo.paths()).ok()?.view.totals.fills > 0).then_some(()));
    interrupt(&child);
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", text(&ended));
    let replayed = demo.interlock(&["journal", "replay"]);
    assert!(replayed.status.success(), "{}", text(&replayed));
}
