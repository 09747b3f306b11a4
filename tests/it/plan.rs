//! Configuration: what bad input gets.

use std::path::PathBuf;

use interlock::run::plan::{ConfigError, Plan, load};

fn file(text: &str) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("test.toml");
    std::fs::write(&path, text).expect("a file in it");
    (dir, path)
}

fn error(text: &str) -> String {
    let (_dir, path) = file(text);
    load(&[path]).expect_err("must be refused").to_string()
}

#[test]
fn no_file_means_the_defaults() {
    assert_eq!(load(&[]).expect("defaults"), Plan::default());
}

#[test]
fn an_unknown_key_names_the_line_and_the_nearest_match() {
    let message = error("mode = \"demo\"\n[feed]\nstale_aftr_ms = 100\n");
    assert!(message.contains("test.toml:3"), "{message}");
    assert!(message.contains("feed.stale_aftr_ms"), "{message}");
    assert!(message.contains("did you mean \"stale_after_ms\""), "{message}");
}

#[test]
fn an_unknown_key_in_a_strategy_is_found_too() {
    let message = error("[[strategy]]\nname = \"ma_crossover\"\nsymbol = [\"BTCUSDT\"]\n");
    assert!(message.contains("strategy.symbol") && message.contains("\"symbols\""), "{message}");
}

#[test]
fn a_figure_out_of_range_names_bound_and_value() {
    let message = error("[kill]\nlease_ms = 5\n");
    assert!(message.contains("test.toml:2"), "{message}");
    assert!(message.contains("kill.lease_ms = 5") && message.contains("100 to 10000"), "{message}");
}

#[test]
fn a_wrong_type_names_the_line() {
    let message = error("[kill]\n\nlease_ms = \"soon\"\n");
    assert!(message.contains("test.toml:3") && message.contains("invalid type"), "{message}");
}

#[test]
fn broken_toml_names_the_line() {
    let message = error("[kill\n");
    assert!(message.contains("test.toml:1"), "{message}");
}

#[test]
fn a_missing_file_says_so() {
    let missing = load(&[PathBuf::from("/nonexistent/x.toml")]);
    assert!(matches!(missing, Err(ConfigError::Unreadable { .. })));
}

#[test]
fn later_files_win_and_the_hash_follows_the_meaning() {
    let (_a, first) = file("[kill]\nlease_ms = 300\nstall_after_ms = 700\n");
    let (_b, second) = file("# other words, same section\n[kill]\nlease_ms = 400\n");
    let plan = load(&[first.clone(), second]).expect("both are sound");
    assert_eq!((plan.kill.lease_ms, plan.kill.stall_after_ms), (400, 700));
    let (_c, same) = file("[kill]\nstall_after_ms   = 700\nlease_ms=300 # a comment\n");
    let one = load(&[first]).expect("sound").hash();
    assert_eq!(one, load(&[same]).expect("sound").hash(), "text does not matter, meaning does");
    assert_ne!(one, plan.hash());
}

#[test]
fn the_effective_configuration_reads_back_as_itself() {
    let (_dir, path) = file(&Plan::default().to_toml());
    assert_eq!(load(&[path]).expect("what we print we read"), Plan::default());
}

#[test]
fn the_commented_files_in_config_are_sound_and_the_demos_is_the_default() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    assert_eq!(load(&[dir.join("demo.toml")]).expect("config/demo.toml"), Plan::default());
    let paper = load(&[dir.join("paper.toml")]).expect("config/paper.toml");
    assert_eq!(paper.mode.name(), "paper");
}
