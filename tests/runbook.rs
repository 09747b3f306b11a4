//! The runbooks' commands, executed as they stand, in their order, with the real binaries over real sockets. A command that no
//! longer works fails here before it fails an operator.
//!
//! A page's blocks say what is expected of their commands:
//!
//! | block | each of its commands |
//! |---|---|
//! | ` ```sh setup ` | runs until the page ends; a venue is waited for by its file, an engine until it is armed |
//! | ` ```sh ` | must succeed; `export NAME=VALUE` holds from there on |
//! | ` ```sh exit N ` | must end with this exit code |
//! | ` ```sh stop ` | must succeed, and the engine that runs must end by it |
//!
//! `$DATA` and `$VENUE` are the engine's and the venue's directories, `$WORK` is a directory of the page's own, `$REHEARSAL` the
//! profile for rehearsals; commands start at the project's root.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that ends with the test.
struct Background {
    process: Child,
    is_engine: bool,
}

impl Drop for Background {
    fn drop(&mut self) {
        let _gone = self.process.kill();
        let _reaped = self.process.wait();
    }
}

/// What is expected of a block's commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Background,
    Exit(i32),
    Stop,
}

fn expected(kind: &str) -> Option<Expected> {
    match kind.strip_prefix("sh")?.trim() {
        "" => Some(Expected::Exit(0)),
        "setup" => Some(Expected::Background),
        "stop" => Some(Expected::Stop),
        other => {
            let code = other.strip_prefix("exit ").and_then(|code| code.parse().ok());
            Some(Expected::Exit(code.unwrap_or_else(|| panic!("a block that is not known: {kind}"))))
        }
    }
}

/// The blocks of a page. A command may go on in the next line behind a backslash.
fn blocks(page: &str) -> Vec<(Expected, Vec<String>)> {
    let mut found = Vec::new();
    let mut inside: Option<(Expected, Vec<String>)> = None;
    let mut goes_on = false;
    for line in page.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(kind)) => inside = expected(kind).map(|expected| (expected, Vec::new())),
            (Some(_), Some(_)) => found.extend(inside.take()),
            (Some((_, commands)), None) if !line.trim().is_empty() => {
                let (text, more) = line.strip_suffix('\\').map_or((line, false), |text| (text, true));
                match commands.last_mut().filter(|_| goes_on) {
                    Some(command) => command.push_str(text.trim_start()),
                    None => commands.push(text.to_owned()),
                }
                goes_on = more;
            }
            _ => {}
        }
    }
    found
}

struct Shell<'a> {
    bin: &'a Path,
    dir: &'a Path,
    exported: RefCell<BTreeMap<String, String>>,
}

/// What would decide for a page what it decides itself.
const FOREIGN: &[&str] = &[
    "LIVE_KILL_SWITCH",
    "LIVE_TRADING",
    "LIVE_CONFIRM_TOKEN",
    "LIVE_SYMBOL_ALLOWLIST",
    "INTERLOCK_API_KEY_FILE",
];

impl Shell<'_> {
    #[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
    fn command(&self, line: &str) -> Command {
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        for name in FOREIGN {
            command.env_remove(name);
        }
        command
            .args(["-c", line])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .env("PATH", path)
            .env("DATA", self.dir.join("data"))
            .env("VENUE", self.dir.join("venue"))
            .env("WORK", self.dir)
            .env("REHEARSAL", "config/profiles/rehearsal.toml")
            .env("USER", "tester")
            .envs(self.exported.borrow().iter());
        command
    }

    fn run(&self, line: &str) -> (Option<i32>, String) {
        let output = self.command(line).output().expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.code(), text.into_owned())
    }

    /// `export NAME=VALUE`: the shell says what the value comes to.
    fn export(&self, line: &str) {
        let name = line.trim_start_matches("export ").split('=').next().unwrap_or_default().to_owned();
        let output =
            self.command(&format!("set -e; {line}; printf %s \"${name}\"")).output().expect("a shell");
        let value = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !value.is_empty(), "`{line}` gave nothing: {said}");
        self.exported.borrow_mut().insert(name, value);
    }

    fn start(&self, line: &str) -> Background {
        let log = std::fs::File::create(self.dir.join("background.log")).expect("a log");
        // `exec`, so that the process that ends with the test is the program itself.
        let process = self
            .command(&format!("exec {line}"))
            .stdout(Stdio::null())
            .stderr(log)
            .stdin(Stdio::null())
            .spawn()
            .expect("a background process");
        Background { process, is_engine: !line.starts_with("interlock venue") }
    }

    /// Until a command succeeds and says what it should; panics with what it said last.
    fn until(&self, line: &str, wanted: &str) {
        let mut said = String::new();
        for _ in 0..600 {
            let (code, text) = self.run(line);
            if code == Some(0) && text.contains(wanted) {
                return;
            }
            said = text;
            interlock::agent::clock::sleep(Duration::from_millis(100));
        }
        let log = std::fs::read_to_string(self.dir.join("background.log")).unwrap_or_default();
        panic!("`{line}` never said {wanted:?}; last: {said}\n{log}");
    }

    fn wait_until_up(&self, started: &Background) {
        if started.is_engine {
            self.until("interlock kill status --data-dir $DATA", "ARMED, trading");
        } else {
            self.until("test -s $VENUE/venue.json && echo there", "there");
        }
    }
}

/// What programs a page names: a block that names one and isn't run would be a command that nobody tried.
const PROGRAMS: [&str; 2] = ["interlock ", "interlock-halt"];

/// Runs a page: each of its commands, in its order.
fn run_page(name: &str) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/runbooks").join(name)).expect("the runbook");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder for the binaries");
    for (name, path) in [
        ("interlock", env!("CARGO_BIN_EXE_interlock")),
        ("interlock-halt", env!("CARGO_BIN_EXE_interlock-halt")),
    ] {
        std::os::unix::fs::symlink(path, bin.join(name)).expect("a link");
    }
    let shell = Shell { bin: &bin, dir: dir.path(), exported: RefCell::default() };
    let mut running: Vec<Background> = Vec::new();
    let mut commands = 0;
    for (expected, lines) in blocks(&page) {
        for line in lines {
            commands += 1;
            match expected {
                Expected::Background => {
                    let started = shell.start(&line);
                    shell.wait_until_up(&started);
                    running.push(started);
                }
                Expected::Exit(0) if line.starts_with("export ") => shell.export(&line),
                Expected::Exit(wanted) => {
                    let (code, text) = shell.run(&line);
                    assert_eq!(code, Some(wanted), "{name}: `{line}`: {text}");
                    if line.starts_with("interlock kill trip") {
                        // The paper work of a trip is done within a second.
                        interlock::agent::clock::sleep(Duration::from_millis(1_500));
                    }
                }
                Expected::Stop => {
                    let (code, text) = shell.run(&line);
                    assert_eq!(code, Some(0), "{name}: `{line}`: {text}");
                    let engine = running.iter().rposition(|r| r.is_engine).expect("an engine that runs");
                    let _status = running.remove(engine).process.wait().expect("its end");
                }
            }
        }
    }
    assert!(commands > 0, "{name} has no command");
}

/// The pages, each run by a test of its own: they take from seconds to minutes, and a test says which one failed.
macro_rules! pages {
    ($($test:ident: $page:literal,)*) => {
        const PAGES: &[&str] = &[$($page),*];
        $(
            #[test]
            fn $test() {
                run_page($page);
            }
        )*
    };
}

pages! {
    every_command_of_the_kill_switch_runbook_works: "kill-switch.md",
    every_command_of_the_drill_runbook_works: "drill.md",
    every_command_of_the_incident_runbook_works: "incident.md",
    every_command_of_the_stuck_position_runbook_works: "stuck-position.md",
    every_command_of_the_rollback_runbook_works: "rollback.md",
    every_command_of_the_recovery_runbook_works: "recovery.md",
    every_command_of_the_transition_runbook_works: "transition-to-live.md",
}

#[test]
fn every_page_is_run_and_every_block_with_a_command_of_ours_is_one_that_runs() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/runbooks");
    let mut found = 0;
    for entry in std::fs::read_dir(folder).expect("the runbooks") {
        let path = entry.expect("a runbook").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
        assert!(PAGES.contains(&name.as_str()), "{name} is not among the pages that tests run");
        let page = std::fs::read_to_string(&path).expect("the runbook");
        // A block is run, or is text without a command of ours in it: `expected` knows no third kind.
        let mut kind = None;
        for line in page.lines() {
            match (kind, line.strip_prefix("```")) {
                (None, Some(opened)) => kind = Some(opened),
                (Some(_), Some(_)) => kind = None,
                (Some(opened), None) if expected(opened).is_none() => {
                    let named = PROGRAMS.iter().any(|program| line.trim_start().starts_with(program));
                    assert!(!named, "{name}: `{line}` stands in a block that is not run");
                }
                _ => {}
            }
        }
        assert!(kind.is_none(), "{name}: a block without an end");
        found += 1;
    }
    assert_eq!(found, PAGES.len(), "a page that is named here is gone");
}
