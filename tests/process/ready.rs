//! R-GATE-5 with the real binary and every other gate open: a live start that isn't ready trips and goes on as paper; a live
//! session that stops being ready trips. And what the session's header keeps of who signed what.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use interlock::agent::Clock;
use interlock::ops::client::read_status;
use interlock::ops::drills::{DrillResult, DrillSummary, KIND};
use interlock::ops::events::rfc3339;
use interlock::ops::evidence;
use interlock::ops::marker::{self, Found};
use interlock::ops::paths::Paths;
use rustix::process::Signal;
use serde_json::{Value, json};

use super::live::{ROLES, Team};
use super::stage::{Calm, Running, said, signal, wait_for};

/// What can't be had in a minute: days of paper, fills, a shadow programme of its own.
const LOW: &str = "[readiness]\npaper_streak_days_min = 1\npaper_weeks_min = 1\npaper_day_minutes_min = 0\n\
                   execution_sessions = 1\nexecution_drift_centi_bp_max = 100000\nturnover_block_percent_min = 0\n\
                   turnover_block_percent_max = 100\nlive_every_s = 1\n";

fn read(path: PathBuf) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Team {
    fn beat(&self) -> PathBuf {
        self.stage.paths.shadow_heartbeat()
    }

    fn events(&self) -> String {
        fs::read_to_string(self.stage.paths.events()).unwrap()
    }

    /// The shadow programme lives.
    fn put_beat(&self) {
        let now = rfc3339(Clock::system().now().ns);
        fs::write(self.beat(), json!({ "timestamp": now }).to_string()).unwrap();
    }

    /// Evidence of a programme that went well: sessions that ran, what they came to (written as it is kept), a daily report,
    /// drills.
    fn gather_evidence(&self) {
        for _ in 0..2 {
            let run = self.interlock(&["run", "--plain", "--mode", "paper", "--duration", "2s"], &[]);
            assert_eq!(run.status.code(), Some(0), "{}", said(&run));
        }
        let _folds_them = self.interlock(&["ready"], &[]);
        let data = &self.stage.paths.data;
        let kept = fs::read_dir(data.join("reports/sessions")).unwrap();
        let mut digests = 0;
        for path in kept.map(|entry| entry.unwrap().path()) {
            let mut digest = read(path.clone());
            for (key, value) in [("entries", 100), ("gated", 10), ("fills", 5), ("measured", 5)] {
                digest[key] = json!(value);
            }
            fs::write(path, digest.to_string()).unwrap();
            digests += 1;
        }
        assert_eq!(digests, 2, "a digest of each paper session is kept");
        let now_ns = Clock::system().now().ns;
        let report =
            json!({ "timestamp": rfc3339(now_ns), "summary": { "overall_health": "HEALTHY", "alerts": [] } });
        fs::write(data.join("reports/daily_shadow_health_2026-01-01.json"), report.to_string()).unwrap();
        self.put_beat();
        let drill = |name: &str| DrillResult {
            name: name.to_owned(),
            runs: 1,
            passed: true,
            failures: Vec::new(),
            last_order: None,
            silent: None,
            recovered: None,
        };
        let summary = DrillSummary { drills: ["a", "b", "c"].map(drill).to_vec(), passed: true };
        let files = vec![("runs.json".to_owned(), evidence::Source::Bytes(b"{}".to_vec()))];
        let summary = serde_json::to_value(summary).unwrap();
        evidence::pack(&self.stage.paths, KIND, summary, files, ("test", now_ns)).unwrap();
    }

    /// Types the phrase.
    fn arm(&self, variables: &[(&str, &str)]) {
        let pem = self.pem("proposer");
        let mut arm = self
            .command(&["live", "arm", "--live-confirm", &self.hash, "--key", &pem], variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        arm.stdin.take().unwrap().write_all(b"I UNDERSTAND\n").unwrap();
        let output = arm.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    }

    /// `interlock run`; until it trades, in the data directory in which it does.
    fn start(&self, args: &[&str], variables: &[(&str, &str)], data: &Paths) -> Running {
        let log = self.stage.dir.path().join("engine.log");
        let err = fs::File::options().append(true).create(true).open(&log).unwrap();
        let mut all = vec!["run", "--plain"];
        all.extend(args);
        let mut engine =
            Running(self.command(&all, variables).stdout(Stdio::null()).stderr(err).spawn().unwrap());
        wait_for("trading", || {
            if let Some(status) = engine.0.try_wait().unwrap() {
                panic!("the engine ended: {status}\n{}", self.stage.log());
            }
            read_status(data).is_ok_and(|status| status.kill.trading).then_some(())
        });
        engine
    }
}

fn end(mut engine: Running) -> Option<i32> {
    signal(&engine, Signal::INT);
    wait_for("the engine's end", || engine.0.try_wait().unwrap()).code()
}

/// The header of the last session of a data directory.
fn header(data: &Paths) -> Value {
    let shown = Command::new(env!("CARGO_BIN_EXE_interlock"))
        .args(["journal", "cat", "--session", "last", "-n", "1", "-o", "json", "--data-dir"])
        .arg(&data.data)
        .output()
        .unwrap();
    assert!(shown.status.success(), "{}", said(&shown));
    serde_json::from_slice(&shown.stdout).unwrap()
}

#[test]
fn r_gate_5_a_live_start_that_is_not_ready_trips_and_paper_goes_on() {
    let team = Team::with(&format!("{}{LOW}", Calm::TEXT));
    team.gather_evidence();
    let token = team.approve();
    let variables = [
        ("LIVE_TRADING", "YES_I_UNDERSTAND"),
        ("LIVE_CONFIRM_TOKEN", token.as_str()),
        ("LIVE_SYMBOL_ALLOWLIST", "BTCUSDT"),
    ];
    team.arm(&variables);
    let live = ["--live-confirm", team.hash.as_str()];
    let paper = Paths::new(&team.stage.paths.data.join("paper"), None);

    // Everything is open. Then the shadow programme's sign of life is gone.
    fs::remove_file(team.beat()).unwrap();
    let engine = team.start(&live, &variables, &paper);
    assert_eq!(read_status(&paper).unwrap().mode, "paper");
    let events = team.events();
    for name in ["LIVE_ARM_FAILED", "READINESS_NOT_GO", "PAPER_GOES_ON"] {
        assert!(events.contains(&format!("\"{name}\"")), "{name}: {events}");
    }
    assert!(events.contains("\"critical\""), "{events}");
    assert!(matches!(marker::look(&team.stage.paths), Found::Killed(m) if m.reason == "NOT_READY"));
    assert_eq!(end(engine), Some(3), "live was refused, however well paper went: {}", team.stage.log());
    let seal = fs::read_to_string(paper.events()).unwrap();
    assert!(seal.contains("\"BOOT_SEAL\"") && seal.contains("\"mode\":\"paper\""), "{seal}");
    assert!(seal.contains("\"PAPER_GOES_ON\""), "{seal}");
    let header = header(&paper).to_string();
    assert!(header.contains("instead_of_live") && header.contains("heartbeat"), "{header}");
    for key in ["orders_accepted", "orders_rejected", "cancels", "api_connections"] {
        assert_eq!(team.stage.stats()[key], 0, "{key}: nothing was sent, nobody logged on");
    }

    // Again: our own trip is not another missing gate. What else says stop is.
    let mut again = vec!["run", "--plain", "--duration", "1s"];
    again.extend(live);
    let run = team.interlock(&again, &variables);
    assert_eq!(run.status.code(), Some(3), "{}", said(&run));
    assert!(said(&run).contains("System shutdown complete"), "paper went on: {}", said(&run));
    fs::write(team.stage.paths.kill_file(), "").unwrap();
    let run = team.interlock(&again, &variables);
    assert_eq!(run.status.code(), Some(3), "{}", said(&run));
    assert!(!said(&run).contains("System shutdown complete"), "nothing was started: {}", said(&run));
    fs::remove_file(team.stage.paths.kill_file()).unwrap();

    // A person looks, and recovers in paper. Token and arming are as good as before: nothing was started on them.
    team.put_beat();
    let run =
        team.command(&["run", "--plain", "--mode", "paper"], &[]).stdout(Stdio::null()).spawn().unwrap();
    let engine = Running(run);
    wait_for("paper", || read_status(&team.stage.paths).ok());
    let recovered = team.stage.interlock(&["kill", "recover", "--cause", "beats again", "--by", "anna"]);
    assert_eq!(recovered.status.code(), Some(0), "{}", said(&recovered));
    assert_eq!(end(engine), Some(0));
    team.put_beat();

    // A live session that loses its readiness trips.
    let engine = team.start(&live, &variables, &team.stage.paths);
    let before = team.events().matches("\"READINESS_NOT_GO\"").count();
    fs::remove_file(team.beat()).unwrap();
    wait_for("the trip", || (team.stage.status().kill.reason == "NOT_READY").then_some(()));
    wait_for("the event", || (team.events().matches("\"READINESS_NOT_GO\"").count() > before).then_some(()));
    assert_eq!(end(engine), Some(0), "{}", team.stage.log());

    papers_are_in_the_header(&team, &token);
    a_changed_limit_is_told(&team);
}

/// What people signed stands in the journal, which verifies.
fn papers_are_in_the_header(team: &Team, token: &str) {
    let header = header(&team.stage.paths);
    let text = header.to_string();
    assert!(!text.contains(token), "the token itself");
    for role in ROLES {
        assert!(text.contains(&format!("live/signoff-{role}.json")), "{role}'s hash: {text}");
        assert!(text.contains(&format!("the {role}")), "{role}'s statement: {text}");
    }
    for part in ["\"arming\"", "\"sign_offs\"", "\"transition\""] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let verified = team.interlock(&["journal", "verify"], &[]);
    assert_eq!(verified.status.code(), Some(0), "{}", said(&verified));
}

/// C40: who starts with another limit leaves word of both figures.
fn a_changed_limit_is_told(team: &Team) {
    let path = team.stage.dir.path().join("other.toml");
    fs::write(&path, "[risk]\nopen_orders_max = 1\n").unwrap();
    let args = ["run", "--plain", "--mode", "paper", "--no-arm", "--duration", "1s"];
    let run = team.command(&args, &[]).arg("-c").arg(&path).output().unwrap();
    assert_eq!(run.status.code(), Some(0), "{}", said(&run));
    let events = team.events();
    let told: Vec<_> = events.lines().filter(|line| line.contains("\"LIMITS_CHANGED\"")).collect();
    let last = told.last().unwrap_or_else(|| panic!("{events}"));
    assert!(last.contains("risk.open_orders_max") && last.contains("\"to\":\"1\""), "{last}");
    let header = header(&team.stage.paths).to_string();
    assert!(header.contains("limits_changed"), "{header}");
    // And of the trip before it, the incident that followed.
    assert!(header.contains("\"incidents/"), "{header}");
}
