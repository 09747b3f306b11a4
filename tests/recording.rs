//! A real recording through the real binary, over TLS, as fast as the sockets carry it. A binary of its own: what it asks of
//! the machine is what a loaded test run would take from it.
#![expect(clippy::unwrap_used, reason = "a helper of tests may panic as the tests themselves do")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Settings that leave the machine usable.
const GENTLE: &str = "[placement]\nunpinned = true\nidle = \"yield\"\n";

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The candle that opens at `open_ms` in a public candle file.
fn candle(file: &Path, open_ms: i64) -> Vec<String> {
    use std::io::Read as _;
    let mut table = String::new();
    flate2::read::GzDecoder::new(fs::File::open(file).unwrap()).read_to_string(&mut table).unwrap();
    let wanted = open_ms.to_string();
    let row = table.lines().find(|l| l.starts_with(&wanted)).expect("the candle is in the file");
    // Values as numbers are written: `61828.0` and `61828` are the same.
    row.split(',').skip(1).map(|v| v.trim_end_matches('0').trim_end_matches('.').to_owned()).collect()
}

#[test]
fn r_feed_3_a_real_recording_plays_without_a_gap_and_equals_the_venues_own_figures() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let files = ["spot_btcusdt_20240808.gz", "spot_btcusdt_20240809.gz"]
        .map(|f| data.join("binance_spot_recording").join(f));
    if !files.iter().all(|f| f.exists()) {
        println!("skipped: no recordings");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("gentle.toml"), GENTLE).unwrap();
    let interlock = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        command.args(args).arg("--data-dir").arg(dir.path().join("data")).output().unwrap()
    };
    let [first, second] = files.map(|f| f.display().to_string());
    let gentle = dir.path().join("gentle.toml").display().to_string();
    let ended = interlock(&[
        "run",
        "--plain",
        "-c",
        &gentle,
        "--full-speed",
        "--recording",
        &first,
        "--recording",
        &second,
    ]);
    let said = text(&ended);
    assert!(ended.status.success(), "{said}");
    assert!(said.contains("book lost 0 times"), "{said}");
    assert!(said.contains("trades 19904 with 0 gaps"), "{said}");
    let counts = said.split("book equal to bookTicker in ").nth(1).expect("comparisons");
    let mut numbers = counts.split(' ').filter_map(|w| w.parse::<u64>().ok());
    let (equal, compared) = (numbers.next().unwrap(), numbers.next().unwrap());
    assert!(compared > 5_000 && compared - equal <= 2, "{equal} of {compared}: {said}");
    for (opened, open_ms) in [("23:55:00Z", 1_723_161_300_000), ("00:00:00Z", 1_723_161_600_000)] {
        let line = said.lines().find(|l| l.contains("5m candle") && l.contains(opened)).expect("a candle");
        let words: Vec<&str> = line.split_whitespace().collect();
        let value = |name: &str| words[words.iter().position(|w| *w == name).unwrap() + 1].to_owned();
        let found = ["open", "high", "low", "close", "volume"].map(value).to_vec();
        assert_eq!(found, candle(&data.join("klines/BTC_USDT-5m.csv.gz"), open_ms), "{opened}");
    }
    let replayed = interlock(&["journal", "replay"]);
    assert!(replayed.status.success(), "{}", text(&replayed));
}
