//! What bad input gets before anything runs: configuration, files, keys, certificates, addresses. Each case: the exit code, what
//! the text says, and that no engine started.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::stage::{Stage, said};

/// `interlock` with these arguments, to its end.
fn interlock(dir: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interlock")).current_dir(dir).args(args).output().unwrap()
}

/// It ended with this code, and said all of that.
fn expect(output: &Output, code: i32, words: &[&str]) {
    let text = said(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    for line in text.lines() {
        let (_, told) = line.rsplit_once(": ").unwrap_or_default();
        let twice = !told.is_empty() && line.matches(told).count() > 1;
        assert!(!twice, "told twice: {line}");
    }
}

/// A folder with a configuration file in it.
fn with_config(text: &str) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("bad.toml"), text).unwrap();
    dir
}

#[test]
fn configuration_that_is_none_exits_2_and_starts_nothing() {
    for (text, words) in [
        ("[kil]\nlease_ms = 500\n", &["bad.toml:1", "unknown key \"kil\"", "did you mean \"kill\""][..]),
        ("\n[feed]\nstale_aftr_ms = 100\n", &["bad.toml:3", "feed.stale_aftr_ms", "\"stale_after_ms\""]),
        ("[kill]\nlease_ms = 5\n", &["bad.toml:2", "kill.lease_ms = 5", "100 to 10000"]),
        ("[kill]\nlease_ms = \"soon\"\n", &["bad.toml:2", "invalid type"]),
        ("[kill\n", &["bad.toml:1"]),
        ("[risk]\norder_value_max = \"-5\"\n", &["order_value_max", "-5"]),
        ("[venue]\nsymbols = [\"btcusdt\"]\n", &["venue.symbols", "btcusdt", "BTCUSDT"]),
        ("[[strategy]]\nname = \"ma_crosover\"\n", &["ma_crosover", "did you mean \"ma_crossover\""]),
        (
            "[[strategy]]\nname = \"ma_crossover\"\nparams = { fast_bar = 3 }\n",
            &["fast_bar", "did you mean \"fast_bars\""],
        ),
        (
            "[[strategy]]\nname = \"ma_crossover\"\nparams = { fast_bars = 0 }\n",
            &["fast_bars = 0", "1 to 1000"],
        ),
        (
            "[[strategy]]\nname = \"ma_crossover\"\nparams = { fast_bars = \"x\" }\n",
            &["fast_bars", "a whole number"],
        ),
    ] {
        let dir = with_config(text);
        expect(&interlock(dir.path(), &["config", "check", "-c", "bad.toml"]), 2, words);
        expect(&interlock(dir.path(), &["run", "--plain", "-c", "bad.toml"]), 2, words);
        assert!(!dir.path().join("data").exists(), "nothing was started for {text:?}");
    }
    let dir = with_config("");
    expect(
        &interlock(dir.path(), &["run", "-c", "absent.toml"]),
        2,
        &["absent.toml", "cannot be read", "-c FILE"],
    );
    expect(&interlock(dir.path(), &["run", "--duration", "never"]), 2, &["never", "30s"]);
    expect(&interlock(dir.path(), &["run", "--mode", "live!"]), 2, &["live!", "demo", "paper"]);
}

#[test]
fn later_configuration_files_win_and_the_rest_stands() {
    let dir = with_config("[kill]\nlease_ms = 400\n[journal]\nsync_every_ms = 7\n");
    fs::write(dir.path().join("later.toml"), "[kill]\nlease_ms = 900\n").unwrap();
    let output =
        interlock(dir.path(), &["config", "show", "-o", "json", "-c", "bad.toml", "-c", "later.toml"]);
    let shown: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&shown["kill"]["lease_ms"], &shown["journal"]["sync_every_ms"]), (&900.into(), &7.into()));
}

#[test]
fn a_venue_that_can_not_be_made_exits_2() {
    let dir = with_config("[gatewy]\n");
    let venue = |more: &[&str]| interlock(dir.path(), &[&["venue"], more].concat());
    expect(&venue(&["--listen", "nonsense"]), 2, &["nonsense", "127.0.0.1:9443"]);
    expect(&venue(&["--listen", "0.0.0.0:0"]), 2, &["loopback", "0.0.0.0:0"]);
    expect(&venue(&["--faults", "bad.toml"]), 2, &["bad.toml", "gatewy"]);
    expect(&venue(&["--recording", "absent.gz"]), 2, &["absent.gz", "No such file"]);
    expect(&venue(&["--recording", "bad.toml"]), 2, &["bad.toml", "line 1"]);
    expect(&venue(&["--symbols", "NOSUCHUSDT"]), 2, &["NOSUCHUSDT"]);
}

#[test]
fn a_data_directory_that_is_none_exits_2() {
    let stage = Stage::set();
    let file = stage.dir.path().join("a-file");
    fs::write(&file, "").unwrap();
    let output = stage.run_in(&file, &stage.venue_file(), &[]);
    expect(&output, 2, &["a-file", "data directory", "--data-dir"]);
}

/// The venue's file, changed; private unless told otherwise.
fn changed(stage: &Stage, name: &str, change: impl FnOnce(String) -> String) -> PathBuf {
    let path = stage.dir.path().join(name);
    fs::write(&path, change(fs::read_to_string(stage.venue_file()).unwrap())).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

fn with_ca(stage: &Stage, ca: &Path) -> PathBuf {
    let real = stage.venue.ca.as_ref().unwrap().display().to_string();
    changed(stage, "other-ca.json", |text| text.replace(&real, &ca.display().to_string()))
}

#[test]
fn files_certificates_and_addresses_of_the_venue() {
    let stage = Stage::set();
    let run = |venue: &Path| stage.run_in(&stage.paths.data, venue, &[]);

    let open = changed(&stage, "open.json", |text| text);
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    expect(&run(&open), 2, &["open.json", "644", "chmod 600"]);
    expect(&run(&stage.dir.path().join("absent.json")), 2, &["absent.json", "No such file"]);
    let garbage = changed(&stage, "garbage.json", |_| "{\"secret\": hunter2".to_owned());
    let output = run(&garbage);
    expect(&output, 2, &["garbage.json", "line 1"]);
    assert!(!said(&output).contains("hunter2"), "a file with secrets is never quoted");

    let absent = stage.dir.path().join("absent.pem");
    expect(&run(&with_ca(&stage, &absent)), 2, &["absent.pem", "No such file"]);
    let empty = stage.dir.path().join("empty.pem");
    fs::write(&empty, "no certificate at all\n").unwrap();
    expect(&run(&with_ca(&stage, &empty)), 2, &["empty.pem", "holds no certificate"]);
    let other = stage.dir.path().join("other.pem");
    let foreign = rcgen::generate_simple_self_signed(vec!["elsewhere.test".to_owned()]).unwrap();
    fs::write(&other, foreign.cert.pem()).unwrap();
    expect(
        &run(&with_ca(&stage, &other)),
        1,
        &["127.0.0.1", "authority that is not trusted here", "CA file"],
    );

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let real = stage.venue.urls.rest.strip_prefix("https://").unwrap();
    let gone = changed(&stage, "gone.json", |text| text.replace(real, &closed.to_string()));
    expect(&run(&gone), 1, &[&closed.to_string(), "refused"]);
    let far = changed(&stage, "far.json", |text| text.replace(real, "192.0.2.7:443"));
    expect(&run(&far), 3, &["refused", "this machine only", "192.0.2.7", "--mode paper"]);

    assert!(!stage.paths.kill_page().exists(), "no engine took possession of the directory");
}

#[test]
fn symbols_that_the_venue_does_not_list_are_named() {
    let stage = Stage::set();
    let config = stage.dir.path().join("symbols.toml");
    fs::write(&config, "[venue]\nsymbols = [\"BTCUSDT\", \"NOSUCHUSDT\"]\n").unwrap();
    let output = stage.run_in(&stage.paths.data, &stage.venue_file(), &["-c", config.to_str().unwrap()]);
    expect(&output, 2, &["venue.symbols", "NOSUCHUSDT", "does not list"]);
}

#[test]
fn r_evd_4_a_second_engine_names_the_first() {
    let stage = Stage::set();
    let first = stage.calm_engine();
    let output = stage.run_in(&stage.paths.data, &stage.venue_file(), &[]);
    expect(&output, 2, &[&format!("pid {}", first.0.id()), "--data-dir"]);
    stage.wait_until_trading();
}

#[test]
fn r_gate_9_a_wrong_key_sends_no_order_and_says_why() {
    let stage = Stage::set();
    let keys = &stage.venue.keys;
    let ids = [keys.trade_ed25519.api_key(), keys.trade_hmac.api_key()].map(str::to_owned);
    let file = changed(&stage, "wrong-key.json", |mut text| {
        for id in &ids {
            text = text.replace(id, &"x".repeat(id.len()));
        }
        text
    });
    // Without the account nothing is started: what could it be compared with?
    let data = stage.dir.path().join("with-a-wrong-key");
    let output = stage.run_in(&data, &file, &[]);
    expect(&output, 1, &["the account", "-2015", "is the API key this venue's own"]);
    let said = said(&output);
    for id in &ids {
        assert!(!said.contains(id.as_str()), "no key shows");
    }
}
