//! The runbook's commands, executed as they stand, in their order, with the real binaries over real sockets. A command that no
//! longer works fails here before it fails an operator.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A process that ends with the test.
struct Background(Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _gone = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// The blocks of a page: whether it is the set-up, and its commands.
fn blocks(page: &str) -> Vec<(bool, Vec<String>)> {
    let mut found = Vec::new();
    let mut inside: Option<(bool, Vec<String>)> = None;
    for line in page.lines() {
        match (&mut inside, line.strip_prefix("```")) {
            (None, Some(kind)) if kind.starts_with("sh") => inside = Some((kind == "sh setup", Vec::new())),
            (Some(_), Some(_)) => found.extend(inside.take()),
            (Some((_, commands)), None) if !line.trim().is_empty() => commands.push(line.to_owned()),
            _ => {}
        }
    }
    found
}

struct Shell<'a> {
    bin: &'a Path,
    dir: &'a Path,
}

impl Shell<'_> {
    #[expect(clippy::disallowed_methods, reason = "tests may read the environment")]
    fn command(&self, line: &str) -> Command {
        let path = format!("{}:{}", self.bin.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("exec {line}")])
            .env("PATH", path)
            .env("DATA", self.dir.join("data"))
            .env("VENUE", self.dir.join("venue"))
            .env("USER", "tester")
            .env_remove("LIVE_KILL_SWITCH");
        command
    }

    fn run(&self, line: &str) -> (bool, String) {
        let output = self.command(line).output().expect("a shell");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        (output.status.success(), text.into_owned())
    }

    fn start(&self, line: &str) -> Background {
        let child =
            self.command(line).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null()).spawn();
        Background(child.expect("a background process"))
    }

    /// Until a command succeeds and says what it should; panics with what it said last.
    fn until(&self, line: &str, wanted: &str) {
        let mut said = String::new();
        for _ in 0..300 {
            let (done, text) = self.run(line);
            if done && text.contains(wanted) {
                return;
            }
            said = text;
            interlock::agent::clock::sleep(Duration::from_millis(100));
        }
        panic!("`{line}` never said {wanted:?}; last: {said}");
    }
}

#[test]
fn every_command_of_the_kill_switch_runbook_works() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(root.join("docs/runbooks/kill-switch.md")).expect("the runbook");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let bin = dir.path().join("bin");
    std::fs::create_dir(&bin).expect("a folder for the binaries");
    for (name, path) in [
        ("interlock", env!("CARGO_BIN_EXE_interlock")),
        ("interlock-halt", env!("CARGO_BIN_EXE_interlock-halt")),
    ] {
        std::os::unix::fs::symlink(path, bin.join(name)).expect("a link");
    }
    let shell = Shell { bin: &bin, dir: dir.path() };
    let mut running = Vec::new();
    let mut commands = 0;
    for (is_setup, lines) in blocks(&page) {
        for line in lines {
            if is_setup {
                running.push(shell.start(&line));
                let ready = if line.starts_with("interlock venue") {
                    "test -f $VENUE/venue.json && echo there"
                } else {
                    "interlock kill status --data-dir $DATA"
                };
                let wanted = if line.starts_with("interlock venue") { "there" } else { "ARMED, trading" };
                // `exec` can't take a list: a shell of its own.
                shell.until(&format!("sh -c '{ready}'"), wanted);
            } else {
                let (done, text) = shell.run(&line);
                assert!(done, "`{line}` failed: {text}");
                commands += 1;
            }
        }
    }
    assert!(commands >= 7, "the runbook has its commands: {commands}");
}
