//! Configuration: what bad input gets.

use std::path::PathBuf;

use interlock::risk::Apply;
use interlock::run::plan::{ConfigError, Mode, Plan, TurnoverOverrides, load};

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

#[test]
fn r_lim_1_r_lim_2_the_bounded_files_hold_the_figures_of_their_phases() {
    let dir = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("config");
    let limits = |files: &[&str]| {
        let paths: Vec<_> = files.iter().map(|file| dir.join(file)).collect();
        let plan = load(&paths).unwrap_or_else(|e| panic!("{files:?}: {e}"));
        assert!(plan.bounded_live.binds(), "{files:?}");
        let limits = plan.limits();
        let money = [limits.order_value_max, limits.exposure_max, limits.daily_loss_max];
        (money.map(|m| m.to_string()), limits.open_positions_max, limits.daily_loss_max_bp)
    };
    let text = |money: [&str; 3]| money.map(str::to_owned);
    assert_eq!(limits(&["bounded_live.toml"]), (text(["50", "500", "100"]), 2, 500));
    // [risk] is the tighter one unless it is raised, too.
    assert_eq!(
        limits(&["bounded_live.toml", "bounded_live_phase2.toml"]),
        (text(["100", "500", "100"]), 3, 500)
    );
    assert_eq!(limits(&["testnet.toml", "bounded_live_testnet.toml"]), (text(["100", "500", "100"]), 3, 500));
    let (_raised, raised) = file("[bounded_live.limits]\nmax_order_notional = 50.01\n");
    let error = load(&[dir.join("bounded_live.toml"), raised]).expect_err("over phase 1").to_string();
    assert!(error.contains("max_order_notional") && error.contains("50.01"), "{error}");
    let (_odd, odd) = file("[bounded_live.limits]\nmax_order_notional = \"fifty\"\n");
    assert!(load(&[odd]).expect_err("no amount").to_string().contains("write it like 50.0"));
}

#[test]
fn r_lim_7_the_environment_overrides_the_governor_in_paper_and_nowhere_else() {
    let given = TurnoverOverrides { min_ratio: Some("2.5".to_owned()), max_daily: Some("8".to_owned()) };
    let mut paper = Plan { mode: Mode::Paper, ..Plan::default() };
    let line = paper.override_turnover(&given).expect("sound").expect("told");
    assert_eq!(line, "Paper-live turnover overrides active: min_ratio=2.5 max_daily=8");
    for (symbol, base) in [("BTCUSDT", "BTC"), ("ETHUSDT", "ETH")] {
        let figures = paper.limits().turnover.figures(symbol, base);
        assert_eq!((figures.gain_min_percent, figures.decisions_per_day_max), (250, 8), "{symbol}");
    }
    let mut live = Plan { mode: Mode::Live, ..Plan::default() };
    let line = live.override_turnover(&given).expect("sound").expect("told");
    assert!(line.contains("ignored in mode live"), "{line}");
    assert_eq!(live, Plan { mode: Mode::Live, ..Plan::default() });
    assert_eq!(live.override_turnover(&TurnoverOverrides::default()).expect("sound"), None);
    for bad in ["", "0", "-1", "much", "101"] {
        let given = TurnoverOverrides { min_ratio: Some(bad.to_owned()), max_daily: None };
        let error = paper.override_turnover(&given).expect_err(bad).to_string();
        assert!(error.contains("PAPER_LIVE_TURNOVER_MIN_RATIO"), "{error}");
    }
    let given = TurnoverOverrides { min_ratio: None, max_daily: Some("0".to_owned()) };
    assert!(paper.override_turnover(&given).is_err(), "0 would be no bound");
}

#[test]
fn auto_is_resolved_by_the_mode_and_a_bounded_demo_is_in_earnest() {
    let applies = |plan: &Plan| (plan.limits().turnover.apply, plan.limits().repeat.apply);
    let mut plan = Plan::default();
    assert_eq!(applies(&plan), (Apply::Never, Apply::Never));
    plan.bounded_live.enabled = true;
    assert_eq!(applies(&plan), (Apply::Always, Apply::Always));
    for mode in Mode::ALL.into_iter().filter(|mode| *mode != Mode::Demo) {
        let plan = Plan { mode, ..Plan::default() };
        assert_eq!(applies(&plan), (Apply::Always, Apply::Always), "{}", mode.name());
    }
}
