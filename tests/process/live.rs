//! R-GATE-1 to R-GATE-9 with the real binary: whatever is set in the environment and on the command line, live does not start
//! while a gate is closed, and nothing is sent to the venue; the verbs that open gates do what they say.

use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use super::stage::{Stage, said};

/// A venue that plays the live one, and the files of a team that wants to go live.
pub(crate) struct Team {
    pub(crate) stage: Stage,
    pub(crate) hash: String,
}

pub(crate) const ROLES: [&str; 4] = ["risk", "security", "operations", "system_owner"];
/// Whose verdict is not asked here.
const FOREIGN: [&str; 4] =
    ["LIVE_TRADING", "LIVE_CONFIRM_TOKEN", "LIVE_SYMBOL_ALLOWLIST", "LIVE_KILL_SWITCH"];

impl Team {
    fn new() -> Self {
        Self::with("")
    }

    /// With more configuration.
    pub(crate) fn with(more: &str) -> Self {
        let mut team = Self { stage: Stage::playing("live"), hash: String::new() };
        let keys = ROLES.iter().chain(&["proposer"]).map(|who| (*who, team.key(who)));
        let mut signers = String::new();
        for (who, key) in keys {
            let section = if who == "proposer" { "proposer".to_owned() } else { format!("signers.{who}") };
            let _written = writeln!(signers, "[gates.{section}]\nname = \"the {who}\"\nkey = \"{key}\"");
        }
        let urls = &team.stage.venue.urls;
        let text = format!(
            "mode = \"live\"\n[venue]\nsymbols = [\"BTCUSDT\"]\nrest_url = \"{}\"\nstream_url = \"{}\"\nws_api_url = \"{}\"\n\
             ca_file = \"{}\"\napi_key_file = \"{}\"\n[bounded_live]\nenabled = true\nphase = 1\n\
             [environment]\nenvironment = \"LIVE\"\nenable_live_trading = true\nlive_mode_armed = true\n\
             live_dry_run_mode = false\n[gates]\nsymbol_allowlist = [\"BTCUSDT\"]\n{signers}{more}",
            urls.rest,
            urls.ws_streams,
            urls.ws_api,
            team.stage.venue.ca.as_ref().unwrap().display(),
            team.stage.venue_file().display(),
        );
        fs::write(team.config(), text).unwrap();
        let hash = team.interlock(&["config", "hash"], &[]);
        assert!(hash.status.success(), "{}", said(&hash));
        String::from_utf8_lossy(&hash.stdout).trim().clone_into(&mut team.hash);
        team
    }

    fn config(&self) -> PathBuf {
        self.stage.dir.path().join("live.toml")
    }

    fn data(&self) -> PathBuf {
        self.stage.paths.data.clone()
    }

    pub(crate) fn pem(&self, who: &str) -> String {
        self.stage.dir.path().join(format!("{who}.pem")).display().to_string()
    }

    /// Makes a person's key; its public half.
    fn key(&self, who: &str) -> String {
        let made = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["live", "key", "--out", &self.pem(who)])
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", said(&made));
        String::from_utf8_lossy(&made.stdout).trim().to_owned()
    }

    /// A command with the team's configuration and data directory.
    pub(crate) fn command(&self, args: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        for name in FOREIGN {
            command.env_remove(name);
        }
        command.args(args).arg("-c").arg(self.config()).arg("--data-dir").arg(self.data());
        command.envs(variables.iter().copied()).stdin(Stdio::null());
        command
    }

    pub(crate) fn interlock(&self, args: &[&str], variables: &[(&str, &str)]) -> Output {
        self.command(args, variables).output().unwrap()
    }

    /// The four sign-offs and the transition record; the confirm token.
    pub(crate) fn approve(&self) -> String {
        let ok = |args: &[&str]| {
            let output = self.interlock(args, &[]);
            assert!(output.status.success(), "{args:?}: {}", said(&output));
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let token = ok(&["live", "token", "--by", "the proposer"]);
        for role in ROLES {
            ok(&["live", "signoff", "--role", role, "--key", &self.pem(role)]);
        }
        let commit = "fb829340dbb764a75c975d5bf413a4edb5e47107";
        ok(&["live", "transition", "--by", "the proposer", "--commit", commit]);
        token
    }

    /// The gates that are closed, as `live gates -o json` tells them.
    fn closed(&self, live_confirm: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let shown =
            self.interlock(&["live", "gates", "-o", "json", "--live-confirm", live_confirm], variables);
        assert_eq!(shown.status.code(), Some(3), "{}", said(&shown));
        let value: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        let rows = value["gates"].as_array().unwrap().iter();
        rows.filter(|row| row["holds"] == false).map(|row| row["gate"].as_str().unwrap().to_owned()).collect()
    }
}

#[test]
fn r_gate_1_to_9_no_combination_of_flags_environment_and_files_starts_live_with_a_gate_closed() {
    let team = Team::new();
    let token = team.approve();
    // Another's key is refused, whatever the role says.
    let forged = team.interlock(&["live", "signoff", "--role", "security", "--key", &team.pem("risk")], &[]);
    assert_eq!(forged.status.code(), Some(3), "{}", said(&forged));

    // What the verbs could open is open; what only evidence can open is not.
    let all = [
        ("LIVE_TRADING", "YES_I_UNDERSTAND"),
        ("LIVE_CONFIRM_TOKEN", token.as_str()),
        ("LIVE_SYMBOL_ALLOWLIST", "BTCUSDT"),
    ];
    assert_eq!(team.closed(&team.hash, &all), ["operator_confirmation", "readiness", "drills"]);

    // Arming is refused as long as anything else is closed, even with the phrase.
    let pem = team.pem("proposer");
    let armed = team.interlock(&["live", "arm", "--live-confirm", &team.hash, "--key", &pem], &all);
    assert_eq!(armed.status.code(), Some(3), "{}", said(&armed));
    assert!(said(&armed).contains("LIVE_ARM_FAILED"), "{}", said(&armed));

    // Every combination of what a person could set by hand; the flags that look like ways around, too.
    for mask in 0..32_u32 {
        let variables: Vec<_> =
            all.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, v)| *v).collect();
        let mut args = vec!["run", "--plain", "--duration", "2s"];
        if mask & 8 != 0 {
            args.extend(["--live-confirm", &team.hash]);
        }
        if mask & 16 != 0 {
            args.extend(["--mode", "live", "--no-arm"]);
        }
        let run = team.interlock(&args, &variables);
        assert_eq!(run.status.code(), Some(3), "{mask:05b}: {}", said(&run));
        assert!(said(&run).contains("LIVE_ARM_FAILED"), "{mask:05b}: {}", said(&run));
        assert!(mask & 8 != 0 || said(&run).contains(&team.hash), "it prints the hash: {}", said(&run));
        assert!(!said(&run).contains(&token), "the token shows");
    }
    assert!(!team.data().join("journal").exists(), "no session was begun");
    let events = fs::read_to_string(team.data().join("events.jsonl")).unwrap();
    assert!(events.matches("\"LIVE_ARM_FAILED\"").count() >= 33, "{events}");
    assert!(!events.contains(&token), "the token is in the event log");
    // R-GATE-5: readiness is not GO, so the kill switch of this directory has tripped.
    assert!(events.contains("\"READINESS_NOT_GO\"") && team.data().join("killed").exists());
    let closed = team.closed(&team.hash, &all);
    assert_eq!(closed, ["kill_switch", "operator_confirmation", "readiness", "drills"]);
}

#[test]
fn r_rdy_1_readiness_without_evidence_is_no_go_and_says_what_is_missing() {
    let team = Team::new();
    let ready = team.interlock(&["ready", "-o", "json"], &[]);
    assert_eq!(ready.status.code(), Some(11), "{}", said(&ready));
    let value: serde_json::Value = serde_json::from_slice(&ready.stdout).unwrap();
    assert_eq!(value["live_rollout_readiness"], "NO_GO");
    assert_eq!(value["components"]["allowlist"]["status"], "GO");
    for missing in ["shadow_health", "daily_report", "paper_streak", "heartbeat", "execution_realism"] {
        assert_ne!(value["components"][missing]["status"], "GO", "{missing} without any data");
    }
    let quiet = team.interlock(&["ready", "--quiet"], &[]);
    assert_eq!((quiet.status.code(), said(&quiet)), (Some(11), String::new()));
}
