//! R-RDY-1, R-RDY-2: readiness is computed from evidence, and what can't be computed is not met.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use interlock::agent::Clock;
use interlock::ops::events::{Event, Events, Level, append, rfc3339};
use interlock::ops::paths::Paths;
use interlock::ops::readiness::serve::{PATH, Server};
use interlock::ops::readiness::{
    CONDITIONS, Eye, NOT_GO, Readiness, ReadinessSection, Signs, Sources, TripsAt, Verdict, Watch, assess,
};
use interlock::shared::{HaltLevel, KillPage};
use interlock::types::Reason;
use serde_json::{Value, json};

const DAY_NS: i64 = 86_400_000_000_000;
const NOW_NS: i64 = 20_500 * DAY_NS + DAY_NS / 2;

fn look(dir: &Path, change: impl FnOnce(&mut Sources)) -> Readiness {
    let mut sources = Sources {
        paths: Paths::new(dir, None),
        now_ns: NOW_NS,
        section: ReadinessSection::default(),
        allowlist: vec!["BTCUSDT".to_owned()],
        kill_environment: false,
    };
    change(&mut sources);
    assess(&Signs::gather(sources))
}

fn found<'a>(readiness: &'a Readiness, name: &str) -> &'a Result<String, String> {
    &readiness.components.iter().find(|c| c.condition.name == name).expect("a condition").finding
}

fn put(path: &Path, value: &Value) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, value.to_string()).unwrap();
}

#[test]
fn r_rdy_2_without_evidence_every_condition_that_needs_some_is_not_met() {
    let dir = tempfile::tempdir().unwrap();
    let readiness = look(dir.path(), |_| {});
    assert_eq!((readiness.overall, readiness.live_rollout), (Verdict::NoGo, Verdict::NoGo));
    for component in &readiness.components {
        // Only these two speak of what is not there: no trip, and an allowlist that was given.
        let by_absence = ["kill_switch", "allowlist"].contains(&component.condition.name);
        assert_eq!(component.finding.is_ok(), by_absence, "{:?}", component.condition);
    }
    assert_eq!(readiness.components.len(), CONDITIONS.len());
    for (at, one) in CONDITIONS.iter().enumerate() {
        assert!(!one.action.is_empty() && one.otherwise != Verdict::Go, "{one:?}");
        assert!(CONDITIONS[at + 1..].iter().all(|other| other.name != one.name), "{one:?} stands twice");
    }
}

#[test]
fn r_rdy_2_each_condition_follows_its_evidence() {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    let report = |health: &str, at_ns: i64| {
        let value =
            json!({ "timestamp": rfc3339(at_ns), "summary": { "overall_health": health, "alerts": ["x"] } });
        put(&dir.path().join("reports/daily_shadow_health_2026-02-16.json"), &value);
    };
    report("WARNING", NOW_NS - 1);
    put(&paths.shadow_heartbeat(), &json!({ "timestamp": rfc3339(NOW_NS - 60_000_000_000) }));
    append(&paths.events(), &Event::new(NOW_NS - DAY_NS, Level::Error, "KILL_TRIPPED")).unwrap();
    append(&paths.events(), &Event::new(NOW_NS - 15 * DAY_NS, Level::Critical, "OLD")).unwrap();
    append(&paths.events(), &Event::new(NOW_NS - DAY_NS, Level::Critical, NOT_GO)).unwrap();
    let written = std::fs::read_to_string(paths.events()).unwrap();
    let uid = format!("\"uid\":{}", rustix::process::getuid().as_raw());
    assert!(written.lines().all(|line| line.contains(&uid)), "who wrote it, by the kernel: {written}");
    let readiness = look(dir.path(), |_| {});
    for met in ["shadow_health", "daily_report", "heartbeat", "critical_alerts"] {
        assert!(found(&readiness, met).is_ok(), "{met}: {:?}", found(&readiness, met));
    }

    report("CRITICAL", NOW_NS - 1);
    assert!(found(&look(dir.path(), |_| {}), "shadow_health").is_err());
    report("FINE", NOW_NS - 1);
    assert!(found(&look(dir.path(), |_| {}), "shadow_health").is_err(), "a word that is not known");
    for at_ns in [NOW_NS - DAY_NS - 1, NOW_NS + 1] {
        report("HEALTHY", at_ns);
        assert!(found(&look(dir.path(), |_| {}), "daily_report").is_err(), "too old, or of the future");
    }
    put(&paths.shadow_heartbeat(), &json!({ "timestamp": rfc3339(NOW_NS - 7_201_000_000_000) }));
    assert!(found(&look(dir.path(), |_| {}), "heartbeat").is_err());
    append(&paths.events(), &Event::new(NOW_NS - 13 * DAY_NS, Level::Critical, "CLAMP")).unwrap();
    let alerts = look(dir.path(), |_| {});
    assert!(found(&alerts, "critical_alerts").as_ref().is_err_and(|why| why.contains("CLAMP")));
    assert!(found(&look(dir.path(), |s| s.allowlist.clear()), "allowlist").is_err());
    assert!(found(&look(dir.path(), |s| s.kill_environment = true), "kill_switch").is_err());
    std::fs::write(paths.kill_file(), "").unwrap();
    assert!(found(&look(dir.path(), |_| {}), "kill_switch").is_err());
}

fn ask(at: SocketAddr, request: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let status = answer.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status line");
    (status, answer.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}

#[test]
fn r_rdy_1_readiness_is_served_on_loopback_and_nothing_else_is() {
    let anywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let never = || Box::new(|| (Verdict::NoGo, json!({})));
    assert!(Server::start(anywhere, Clock::system(), never()).is_err());

    let loopback = SocketAddr::from(([127, 0, 0, 1], 0));
    for (verdict, status) in [(Verdict::Go, 200), (Verdict::Conditional, 200), (Verdict::NoGo, 503)] {
        let answer = json!({ "live_rollout_readiness": verdict });
        let server =
            Server::start(loopback, Clock::system(), Box::new(move || (verdict, answer.clone()))).unwrap();
        let get = |line: &str| ask(server.address(), &format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n"));
        let (code, body) = get(&format!("GET {PATH}"));
        assert_eq!(code, status);
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body["live_rollout_readiness"], verdict.name());
        assert_eq!(get("GET /").0, 404);
        assert_eq!(get(&format!("POST {PATH}")).0, 405);
    }
}

fn verdict(live_rollout: Verdict) -> Readiness {
    Readiness { overall: live_rollout, live_rollout, components: Vec::new() }
}

/// An armed page, and the event log.
fn armed(dir: &Path) -> (Arc<KillPage>, Events) {
    let now = Clock::system().now();
    let page = Arc::new(KillPage::create(&dir.join("kill.page"), 7, now).unwrap());
    assert!(page.arm(page.view(now).epoch));
    (page, Events::open(&dir.join("events.jsonl")).unwrap())
}

fn names(events: &mut Events, dir: &Path) -> Vec<String> {
    events.drain();
    let text = std::fs::read_to_string(dir.join("events.jsonl")).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|e| format!("{} {}", e["level"].as_str().unwrap(), e["event"].as_str().unwrap())).collect()
}

#[test]
fn r_gate_5_a_live_session_trips_when_its_readiness_falls_and_never_arms_itself() {
    let dir = tempfile::tempdir().unwrap();
    let (page, mut events) = armed(dir.path());
    let mut eye = Eye::new(Arc::clone(&page), events.sender(), TripsAt::Conditional);
    let now = Clock::system().now();
    eye.look(&verdict(Verdict::Go), now.ns);
    assert!(!page.view(now).is_tripped());
    eye.look(&verdict(Verdict::Conditional), now.ns);
    assert_eq!((page.view(now).level, page.last_trip().0), (HaltLevel::RiskOff, Reason::NotReady));
    // In force already: told once.
    eye.look(&verdict(Verdict::NoGo), now.ns);
    eye.look(&verdict(Verdict::Go), now.ns);
    assert!(page.view(now).is_tripped(), "better evidence arms nothing");
    assert_eq!(names(&mut events, dir.path()), ["critical READINESS_NOT_GO", "info READINESS_CHANGED"]);
    // Armed by a person over evidence that is still missing: tripped again.
    eye.look(&verdict(Verdict::Conditional), now.ns);
    assert!(page.arm(page.view(now).epoch));
    eye.look(&verdict(Verdict::Conditional), now.ns);
    assert!(page.view(now).is_tripped());
    // A trip for another cause is not overwritten.
    assert!(page.arm(page.view(now).epoch));
    page.trip(HaltLevel::CancelAll, Reason::Operator, now.ns);
    eye.look(&verdict(Verdict::NoGo), now.ns);
    assert_eq!((page.view(now).level, page.last_trip().0), (HaltLevel::CancelAll, Reason::Operator));
}

#[test]
fn r_gate_5_conditional_may_be_told_only_and_no_go_trips_always() {
    let dir = tempfile::tempdir().unwrap();
    let (page, mut events) = armed(dir.path());
    let mut eye = Eye::new(Arc::clone(&page), events.sender(), TripsAt::NoGo);
    let now = Clock::system().now();
    for _ in 0..3 {
        eye.look(&verdict(Verdict::Conditional), now.ns);
    }
    assert!(!page.view(now).is_tripped());
    eye.look(&verdict(Verdict::NoGo), now.ns);
    assert_eq!(page.last_trip().0, Reason::NotReady);
    assert_eq!(names(&mut events, dir.path()), ["warn READINESS_CHANGED", "critical READINESS_NOT_GO"]);
}

#[test]
fn r_gate_5_the_watch_judges_anew_for_as_long_as_it_lives() {
    let dir = tempfile::tempdir().unwrap();
    let (page, events) = armed(dir.path());
    let eye = Eye::new(Arc::clone(&page), events.sender(), TripsAt::default());
    let file = dir.path().join("evidence");
    std::fs::write(&file, "").unwrap();
    let evidence = file.clone();
    let judge = move |_| verdict(if evidence.exists() { Verdict::Go } else { Verdict::Conditional });
    let clock = Clock::system();
    let watch = Watch::start(eye, Box::new(judge), 1, clock.clone()).unwrap();
    std::fs::remove_file(file).unwrap();
    for _ in 0..600 {
        if page.view(clock.now()).is_tripped() {
            break;
        }
        interlock::agent::clock::sleep(Duration::from_millis(100));
    }
    assert_eq!(page.last_trip().0, Reason::NotReady);
    drop(watch);
}
