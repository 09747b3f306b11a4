//! The halt tool, the real binary, against the embedded venue over TLS (R-KILL-2, R-KILL-3; K3, K9): it ends well only on the
//! venue's answer that nothing is open, whatever stands in the way.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use interlock::agent::Clock;
use interlock::net::{Endpoint, Method, Rest, RestTimeouts, TlsRoots};
use interlock::ops::halt::{self, Desk, DeskError, Halt, Retry};
use interlock::ops::marker::{self, Found};
use interlock::ops::paths::Paths;
use interlock::run::access::HaltReference;
use interlock::shared::{HaltLevel, KillPage};
use interlock::sim::faults::FaultPlan;
use interlock::sim::server::{self, ApiKey, VenueConfig, VenueHandle};
use interlock::types::{Now, Reason};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::rest::{API_KEY_HEADER, parse_time, time_path};
use secrecy::SecretString;

const NOW: Now = Now { ns: 1_000_000_000, mono_ns: 1_000_000 };

/// A venue with nobody but us, and orders of ours in its books.
struct Market {
    venue: VenueHandle,
    paths: Paths,
    dir: tempfile::TempDir,
}

impl Market {
    fn with_orders(each: usize) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut config = VenueConfig::demo(dir.path().join("venue"));
        config.flow_percent = 0;
        let venue = server::start(config).unwrap();
        let data = dir.path().join("data");
        fs::create_dir(&data).unwrap();
        let market = Self { venue, paths: Paths::new(&data, None), dir };
        for at in 0..each {
            market.place("BTCUSDT", &format!("{}.00", 59_000 - at));
            market.place("ETHUSDT", &format!("{}.00", 2_400 - at));
        }
        assert_eq!(market.open(), 2 * each as u64);
        market
    }

    fn rest(&self) -> Rest {
        let file = self.venue.file();
        let roots = TlsRoots::from_pem_file(file.ca.as_ref().unwrap()).unwrap();
        Rest::new(Endpoint::parse(&file.urls.rest).unwrap(), &roots, RestTimeouts::default())
    }

    fn place(&self, symbol: &str, price: &str) {
        let ApiKey::Hmac { api_key, secret } = &self.venue.file().keys.trade_hmac else { panic!("not HMAC") };
        let credentials =
            Credentials::hmac(SecretString::from(api_key.clone()), &SecretString::from(secret.clone()))
                .unwrap();
        let rest = self.rest();
        let time_ns = parse_time(&rest.get(time_path(), &[]).unwrap().body).unwrap();
        let query = format!(
            "symbol={symbol}&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.01&price={price}&timestamp={}",
            time_ns / 1_000_000
        );
        let signature = credentials.sign(query.as_bytes());
        let path = format!("/api/v3/order?{query}&signature={}", signature.as_str());
        let answer = rest.request(Method::Post, &path, &[(API_KEY_HEADER, api_key)], b"").unwrap();
        assert!(answer.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    }

    fn open(&self) -> u64 {
        self.venue.stats().unwrap().open_orders.values().sum()
    }

    fn faults(&self, toml: &str) {
        self.venue.set_faults(FaultPlan::from_toml(toml).unwrap());
    }

    fn halt(&self, more: &[&str]) -> Output {
        let venue = self.venue.file_path().to_str().unwrap().to_owned();
        let data = self.paths.data.to_str().unwrap().to_owned();
        let mut args = vec!["--data-dir", &data, "--venue", &venue];
        args.extend_from_slice(more);
        run(&args)
    }

    fn assert_no_secret(&self, output: &Output) {
        let text = said(output);
        let file = fs::read_to_string(self.venue.file_path()).unwrap();
        let file: serde_json::Value = serde_json::from_str(&file).unwrap();
        for key in file["keys"].as_object().unwrap().values() {
            for (name, value) in key.as_object().unwrap() {
                let value = value.as_str().unwrap();
                assert!(name == "kind" || !text.contains(value), "{name} was shown");
            }
        }
        assert!(!text.contains("signature="), "{text}");
    }
}

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_interlock-halt")).args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn it_cancels_everything_and_ends_on_the_venues_word() {
    let market = Market::with_orders(5);
    let page = KillPage::create(&market.paths.kill_page(), 7, NOW).unwrap();
    assert!(page.arm(1));
    let output = market.halt(&["--reason", "drill", "--triggered-by", "me"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert_eq!(market.open(), 0);
    assert_eq!(page.view(NOW).level, HaltLevel::CancelAll);
    assert_eq!(page.last_trip().0, Reason::HaltTool);
    assert!(matches!(marker::look(&market.paths), Found::Killed(m) if m.text == "drill" && m.by == "me"));
    for step in ["page tripped", "marker written", "10 open on BTCUSDT, ETHUSDT", "asked twice"] {
        assert!(text.contains(step), "{step}: {text}");
    }
    market.assert_no_secret(&output);
    // Again: idempotent.
    let output = market.halt(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("was tripped already"));
}

/// R-KILL-2: where no engine ever ran, and from `halt.json` alone.
#[test]
fn it_needs_no_engine_and_no_page() {
    let market = Market::with_orders(1);
    let reference = HaltReference::from_venue_file(market.venue.file_path()).unwrap();
    fs::write(market.paths.halt_config(), reference.text()).unwrap();
    let output = run(&["--data-dir", market.paths.data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert!(said(&output).contains("no engine ran here"));
    assert_eq!(market.open(), 0);
    assert!(marker::look(&market.paths).is_killed(), "nothing that starts here later arms itself");
}

/// With a key file of its own, an Ed25519 key, and the venue's address in `halt.json`.
#[test]
fn it_signs_with_a_key_file() {
    let market = Market::with_orders(1);
    let file = market.venue.file();
    let key_file = market.dir.path().join("key.json");
    fs::write(&key_file, serde_json::to_vec(&file.keys.trade_ed25519).unwrap()).unwrap();
    let reference = HaltReference {
        v: 1,
        rest: file.urls.rest.clone(),
        ca: file.ca.clone(),
        key_file: Some(key_file),
        symbols: Vec::new(),
        sends_orders: true,
    };
    fs::write(market.paths.halt_config(), reference.text()).unwrap();
    let output = run(&["--data-dir", market.paths.data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    assert_eq!(market.open(), 0);
    market.assert_no_secret(&output);
}

/// K3: the venue is overloaded, tells us to slow down, fails: the tool waits as told and goes on.
#[test]
fn k3_it_outlasts_errors_and_waits_as_told() {
    for (kind, shown) in [("rest429", "429"), ("rest500", "500")] {
        let market = Market::with_orders(2);
        market.faults(&format!("seed = 1\n[[fault]]\nkind = \"{kind}\"\none_in = 1\ncount = 3\n"));
        let output = market.halt(&[]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(0), "{kind}: {text}");
        assert!(text.contains(shown), "{kind}: the fault happened and was shown: {text}");
        assert_eq!(market.open(), 0);
        market.assert_no_secret(&output);
    }
}

/// The venue does not let us in for longer than the deadline: no success is claimed.
#[test]
fn it_claims_nothing_that_the_venue_did_not_say() {
    let market = Market::with_orders(1);
    market.faults("seed = 1\n[[fault]]\nkind = \"rest500\"\none_in = 1\n");
    let output = market.halt(&["--deadline", "1"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("NOT said that nothing is open"), "{text}");
    assert_eq!(market.open(), 2);
    assert!(marker::look(&market.paths).is_killed());
}

/// K3: the name can't be resolved: a clear error, and the page and marker are done all the same.
#[test]
fn k3_without_dns_it_says_so_and_fails() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    let page = KillPage::create(&paths.kill_page(), 7, NOW).unwrap();
    assert!(page.arm(1));
    let key_file = dir.path().join("key.json");
    fs::write(&key_file, r#"{"kind":"hmac","api_key":"name","secret":"verysecretvalue"}"#).unwrap();
    let reference = HaltReference {
        v: 1,
        rest: "https://no-such-host.invalid".to_owned(),
        ca: None,
        key_file: Some(key_file),
        symbols: Vec::new(),
        sends_orders: true,
    };
    fs::write(paths.halt_config(), reference.text()).unwrap();
    let output = run(&["--data-dir", dir.path().to_str().unwrap(), "--deadline", "1"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("no-such-host.invalid"), "{text}");
    assert!(!text.contains("verysecret"), "{text}");
    assert_eq!(page.view(NOW).level, HaltLevel::CancelAll);
}

/// What is missing or wrong is named; the page is tripped before any of it matters.
#[test]
fn a_bad_configuration_still_trips() {
    for (halt_json, told) in [
        (None, "halt.json"),
        (Some("{"), "halt.json"),
        (Some(r#"{"v":1}"#), "halt.json"),
        (
            Some(r#"{"v":1,"rest":"localhost:1","ca":null,"key_file":null,"symbols":[]}"#),
            "key_file is missing",
        ),
        (
            Some(r#"{"v":1,"rest":"localhost:1","ca":null,"key_file":"/nowhere/k","symbols":[]}"#),
            "/nowhere/k",
        ),
        (Some(r#"{"v":1,"rest":"ftp://x","ca":null,"key_file":"/nowhere/k","symbols":[]}"#), "ftp"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), None);
        let page = KillPage::create(&paths.kill_page(), 7, NOW).unwrap();
        assert!(page.arm(1));
        if let Some(text) = halt_json {
            fs::write(paths.halt_config(), text).unwrap();
        }
        let output = run(&["--data-dir", dir.path().to_str().unwrap()]);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains(told) && text.contains("NOTHING WAS CANCELLED"), "{text}");
        assert_eq!(page.view(NOW).level, HaltLevel::CancelAll);
    }
}

/// A wrong argument is told and keeps nothing from being halted.
#[test]
fn a_wrong_argument_does_not_keep_it_from_halting() {
    let market = Market::with_orders(1);
    let output = market.halt(&["--reson", "typo"]);
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("--reson"));
    assert_eq!(market.open(), 0);
    let output = run(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
}

/// A key that the venue doesn't know: no retry helps, and that is said at once.
#[test]
fn a_wrong_key_fails_at_once() {
    let market = Market::with_orders(1);
    let file = market.venue.file();
    let key_file = market.dir.path().join("key.json");
    fs::write(&key_file, r#"{"kind":"hmac","api_key":"nobody","secret":"nothing"}"#).unwrap();
    let reference = HaltReference {
        v: 1,
        rest: file.urls.rest.clone(),
        ca: file.ca.clone(),
        key_file: Some(key_file),
        symbols: Vec::new(),
        sends_orders: true,
    };
    fs::write(market.paths.halt_config(), reference.text()).unwrap();
    let output = run(&["--data-dir", market.paths.data.to_str().unwrap()]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("-2015") || text.contains("-2014"), "{text}");
    assert!(text.contains("at the venue's own site"), "{text}");
    // A certificate that isn't the venue's.
    let reference = HaltReference { ca: None, ..reference };
    fs::write(market.paths.halt_config(), reference.text()).unwrap();
    let output = run(&["--data-dir", market.paths.data.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

/// A desk that answers from a script.
struct Script(Vec<Result<Vec<&'static str>, Retry>>, Vec<String>);

impl Desk for Script {
    fn open_orders(&mut self) -> Result<Vec<String>, DeskError> {
        let answer = if self.0.is_empty() { Ok(Vec::new()) } else { self.0.remove(0) };
        answer
            .map(|symbols| symbols.into_iter().map(str::to_owned).collect())
            .map_err(|retry| DeskError { text: "scripted".to_owned(), retry })
    }
    fn cancel_all(&mut self, symbol: &str) -> Result<(), DeskError> {
        self.1.push(symbol.to_owned());
        if symbol == "BAD" && self.1.iter().filter(|s| *s == "BAD").count() == 1 {
            return Err(DeskError { text: "refused once".to_owned(), retry: Retry::Soon });
        }
        Ok(())
    }
}

fn scripted(answers: Vec<Result<Vec<&'static str>, Retry>>, deadline_ms: u64) -> (bool, Vec<String>, String) {
    let mut desk = Script(answers, Vec::new());
    let halt = Halt { deadline: Duration::from_millis(deadline_ms), ..Halt::default() };
    let mut out = Vec::new();
    let done = halt::cancel_until_silent(&mut desk, &halt, &Clock::system(), &mut out);
    (done, desk.1, String::from_utf8(out).unwrap())
}

/// An order that was on its way when the first look found nothing is found by the second. A failure on one symbol keeps nobody
/// from the next. A pause that the venue asks for and that ends after the deadline ends the attempt at once.
#[test]
fn it_looks_until_two_looks_in_a_row_find_nothing() {
    let (done, cancelled, _) = scripted(vec![Ok(vec![]), Ok(vec!["LATE"]), Ok(vec![])], 20_000);
    assert!(done);
    assert_eq!(cancelled, ["LATE"]);
    let (done, cancelled, _) = scripted(vec![Ok(vec!["BAD", "GOOD"]), Ok(vec!["BAD"])], 20_000);
    assert!(done);
    assert_eq!(cancelled, ["BAD", "GOOD", "BAD"]);
    let (done, _, text) = scripted(vec![Ok(vec![]), Err(Retry::After(Duration::from_hours(1)))], 20_000);
    assert!(!done && text.contains("3600 s"), "{text}");
    let (done, _, _) = scripted(vec![Err(Retry::Never)], 20_000);
    assert!(!done);
    let (done, _, _) = scripted(vec![Ok(vec![])], 0);
    assert!(!done, "one look is not enough, and there was no time for two");
}

/// K9: page unreadable, folder missing: each is said, and none is a success.
#[test]
fn k9_a_page_that_cannot_be_tripped_is_no_success() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let halt = Halt::default();
    let trip = |paths: &Paths| {
        let mut out = Vec::new();
        let tripped = halt::trip(paths, &halt, &clock, &mut out);
        (tripped, String::from_utf8(out).unwrap())
    };
    let missing = Paths::new(&dir.path().join("missing"), None);
    let (tripped, text) = trip(&missing);
    assert!(tripped && text.contains("marker not written"), "{text}");
    let paths = Paths::new(dir.path(), None);
    fs::write(paths.kill_page(), "short").unwrap();
    let (tripped, text) = trip(&paths);
    assert!(tripped && text.contains("cut short"), "{text}");
    fs::remove_file(paths.kill_page()).unwrap();
    fs::create_dir(paths.kill_page()).unwrap();
    let (tripped, text) = trip(&paths);
    assert!(!tripped && text.contains("PAGE NOT TRIPPED"), "{text}");
    assert!(Path::new(&paths.marker()).exists());
}

/// K3: a file system that hangs (here: a write that waits for a reader) holds page and marker up, and not the venue.
#[test]
fn k3_a_hung_disk_does_not_keep_the_venue_waiting() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    let beside = dir.path().join(format!("killed.{}.new", std::process::id()));
    assert!(Command::new("mkfifo").arg(&beside).status().unwrap().success());
    let clock = Clock::system();
    let mut out = Vec::new();
    let limit = Duration::from_millis(200);
    assert!(!halt::trip_within(limit, &paths, &Halt::default(), &clock, &mut out));
    let text = String::from_utf8(out).unwrap();
    assert!(text.contains("no answer from the disk") && text.contains("going on to the venue"), "{text}");
    // Lets the writer go.
    drop(fs::File::open(&beside).unwrap());
}
