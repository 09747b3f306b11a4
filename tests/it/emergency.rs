//! Incidents, holds, rollback triggers, evidence (R-KILL-4 to R-KILL-8, R-GOV-2, R-GOV-3).

use std::fs;

use interlock::ops::drills::{self, DrillResult, DrillSummary, Spread};
use interlock::ops::emergency::EmergencyConfig;
use interlock::ops::emergency::halted::{Effect, FAULTS, fault};
use interlock::ops::emergency::holds::{self, ClearError, Hold, Kind};
use interlock::ops::emergency::incident::{self, Cause, IncidentError, Opening, Pnl};
use interlock::ops::emergency::trigger::{Observed, TRIGGERS, first};
use interlock::ops::events::rfc3339;
use interlock::ops::evidence::{self, Source};
use interlock::ops::paths::Paths;
use interlock::ops::watch::{InstrumentLine, Snapshot};
use interlock::types::{Cash, Reason};
use serde_json::json;

const DAY_NS: i64 = 86_400_000_000_000;
const HOUR_NS: i64 = DAY_NS / 24;
const NOW_NS: i64 = 1_700_000_000_000_000_000;

fn folder() -> (tempfile::TempDir, Paths) {
    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    (dir, paths)
}

fn hold(kind: Kind, level: u8, by: &str) -> Hold {
    Hold {
        v: 1,
        id: String::new(),
        kind,
        level,
        reason: "OPERATOR".to_owned(),
        detail: "test".to_owned(),
        by: by.to_owned(),
        mode: String::new(),
        at: rfc3339(NOW_NS),
        incident: String::new(),
        cleared: None,
    }
}

const MODES: [&str; 6] = ["demo", "paper", "shadow", "testnet", "live", "something new"];

#[test]
fn r_kill_6_what_each_hold_permits() {
    let permitted = |kind, level| MODES.map(|mode| hold(kind, level, "a").permits(mode));
    assert_eq!(permitted(Kind::Rollback, 1), [true; 6]);
    assert_eq!(permitted(Kind::Rollback, 2), [true, true, true, true, false, false]);
    for level in [0, 3, 4, 5, 255] {
        assert_eq!(
            permitted(Kind::Rollback, level),
            [false, false, true, false, false, false],
            "level {level}"
        );
    }
    assert_eq!(permitted(Kind::PaperFirst, 0), [false, true, true, false, false, false]);
}

#[test]
fn r_gov_2_a_hold_is_lifted_by_a_named_person_other_than_who_set_it() {
    let (_dir, paths) = folder();
    assert_eq!(holds::check(&paths, "live"), Ok(()));
    let made = holds::make(&paths, hold(Kind::Rollback, 3, "Anna")).unwrap();
    assert!(holds::check(&paths, "shadow").is_ok());
    let why = holds::check(&paths, "live").unwrap_err();
    assert!(why.contains(&made.id) && why.contains("shadow") && why.contains("rollback clear"), "{why}");
    for (by, cause) in [("", "mended"), ("Ben", " "), (" ", " ")] {
        assert!(matches!(holds::clear(&paths, &made.id, by, cause, NOW_NS), Err(ClearError::Nameless)));
    }
    assert!(matches!(
        holds::clear(&paths, &made.id, " anna", "mended", NOW_NS),
        Err(ClearError::SamePerson(_))
    ));
    assert!(matches!(holds::clear(&paths, "other", "Ben", "mended", NOW_NS), Err(ClearError::Unknown(_))));
    assert!(holds::check(&paths, "live").is_err());
    holds::clear(&paths, &made.id, "Ben", "mended", NOW_NS).unwrap();
    assert_eq!(holds::check(&paths, "live"), Ok(()));
    let record = holds::all(&paths).unwrap();
    assert_eq!(record.len(), 1, "the record stays");
    assert_eq!(record[0].cleared.as_ref().unwrap().by, "Ben");
}

#[test]
fn r_kill_5_only_a_paper_session_lifts_paper_first() {
    let (_dir, paths) = folder();
    let made = holds::make(&paths, hold(Kind::PaperFirst, 0, "engine")).unwrap();
    assert!(holds::check(&paths, "live").is_err() && holds::check(&paths, "paper").is_ok());
    assert!(matches!(holds::clear(&paths, &made.id, "Ben", "mended", NOW_NS), Err(ClearError::PaperOnly)));
    assert_eq!(holds::paper_has_held(&paths, "session 1", NOW_NS).unwrap(), 1);
    assert!(holds::check(&paths, "live").is_ok());
    assert_eq!(holds::paper_has_held(&paths, "session 2", NOW_NS).unwrap(), 0);
}

#[test]
fn a_hold_that_can_not_be_read_holds() {
    let (_dir, paths) = folder();
    holds::make(&paths, hold(Kind::Rollback, 2, "a")).unwrap();
    let place = holds::folder(&paths);
    let file = fs::read_dir(&place).unwrap().next().unwrap().unwrap().path();
    let sound = fs::read(&file).unwrap();
    assert!(holds::check(&paths, "demo").is_ok());
    for bad in [&b""[..], b"{", &sound[..sound.len() / 2], b"[]"] {
        fs::write(&file, bad).unwrap();
        assert!(holds::check(&paths, "demo").is_err(), "{bad:?}");
        assert!(holds::check(&paths, "shadow").is_ok());
    }
    // A hold that was only renamed was not lifted by anybody.
    fs::write(&file, &sound).unwrap();
    fs::rename(&file, file.with_extension("cleared")).unwrap();
    assert!(holds::check(&paths, "demo").is_err());
    fs::remove_dir_all(&place).unwrap();
    fs::write(&place, "not a folder").unwrap();
    assert!(holds::check(&paths, "shadow").is_err(), "nothing is known");
}

#[test]
fn r_kill_6_each_trigger_at_its_bound() {
    let config = EmergencyConfig::default();
    let calm = Observed { now_ns: NOW_NS, now_mono_ns: DAY_NS, ..Observed::default() };
    assert_eq!(first(&calm, &config), None);
    let trips = |hours: &[i64]| Observed {
        trips_ns: hours.iter().map(|h| NOW_NS - h * HOUR_NS).collect(),
        ..calm.clone()
    };
    let loss = |pnl: &str| Observed {
        day_pnl: Some(pnl.parse().unwrap()),
        day_loss_limit: Some("100".parse().unwrap()),
        ..calm.clone()
    };
    let offline = |minutes: i64| Observed {
        offline_since_mono_ns: Some(DAY_NS - minutes * HOUR_NS / 60),
        ..calm.clone()
    };
    let by = |reason| Observed { tripped_by: reason, ..calm.clone() };
    let cases = [
        (trips(&[0, 1]), None),
        (trips(&[0, 1, 23]), Some("REPEATED_TRIPS")),
        (trips(&[0, 1, 24]), None),
        (trips(&[0, 1, -1]), Some("REPEATED_TRIPS")),
        (loss("-150"), None),
        (loss("-150.00000001"), Some("DAILY_LOSS")),
        (loss("1000"), None),
        (offline(30), None),
        (offline(31), Some("CONNECTIVITY_LOST")),
        (by(Reason::Operator), None),
        (by(Reason::ReconcileMismatch), Some("POSITION_UNEXPLAINED")),
        (by(Reason::Overfill), Some("POSITION_UNEXPLAINED")),
    ];
    for (observed, wanted) in &cases {
        assert_eq!(first(observed, &config).map(|r| r.trigger), *wanted, "{observed:?}");
    }
    for (name, _) in TRIGGERS {
        assert!(cases.iter().any(|(_, wanted)| *wanted == Some(name)), "{name} has no case");
    }
    assert!(config.rolls_back_in("live") && config.rolls_back_in("testnet") && !config.rolls_back_in("demo"));
    let none = EmergencyConfig { rollback_modes: Vec::new(), ..config };
    assert!(none.rolls_back_in("live"), "not to be turned off");
}

#[test]
fn r_kill_8_operational_faults_have_one_row_each() {
    for (at, (reason, effect, remedy)) in FAULTS.iter().enumerate() {
        assert!(FAULTS[..at].iter().all(|(r, ..)| r != reason), "{} twice", reason.name());
        assert_eq!(fault(*reason), Some((*effect, *remedy)));
        assert!(!remedy.is_empty());
    }
    for reason in [Reason::Operator, Reason::KillFile, Reason::Boot, Reason::Drill, Reason::HaltTool] {
        assert_eq!(fault(reason), None, "{}: a wish is no fault", reason.name());
    }
    assert_eq!(fault(Reason::JournalFailed).unwrap().0, Effect::Ends);
}

fn opening(level: u8) -> Opening {
    let line = InstrumentLine {
        symbol: "BTCUSDT".to_owned(),
        position: "0.5".parse().unwrap(),
        realised: "-12.5".parse().unwrap(),
        unrealised: Some("2".parse().unwrap()),
        fees: "0.25".parse().unwrap(),
        ..InstrumentLine::default()
    };
    Opening {
        level,
        by: "me".to_owned(),
        cause: Cause { reason: "OPERATOR".to_owned(), text: "looks wrong".to_owned() },
        snapshot: Snapshot { instruments: vec![line], ..Snapshot::default() },
        at_ns: NOW_NS,
        post_mortem_ns: DAY_NS,
        ..Opening::default()
    }
}

#[test]
fn r_kill_7_an_incident_tells_result_and_positions_and_ends_with_its_post_mortem() {
    let (_dir, paths) = folder();
    fs::write(paths.events(), "{\"event\":\"KILL_TRIPPED\"}\nnot json\n").unwrap();
    let opened = incident::open(&paths, opening(1)).unwrap();
    assert_eq!(incident::load(&paths, &opened.id).unwrap(), opened);
    assert_eq!(opened.pnl.net, Some("-10.75".parse().unwrap()));
    assert_eq!(opened.events, [json!({"event": "KILL_TRIPPED"})]);
    assert!(!opened.is_overdue(NOW_NS + DAY_NS) && opened.is_overdue(NOW_NS + DAY_NS + 1));
    assert_eq!(incident::overdue(&paths, NOW_NS + 2 * DAY_NS).unwrap().len(), 1);
    assert_eq!(incident::current(&paths).unwrap().unwrap().id, opened.id);
    for texts in [("", "x"), ("x", " ")] {
        let refused = incident::close(&paths, &opened.id, "me", texts, NOW_NS);
        assert!(matches!(refused, Err(IncidentError::Empty(_))), "{texts:?}");
    }
    let closed = incident::close(&paths, &opened.id, "me", ("a clock", "all of it"), NOW_NS + 1).unwrap();
    assert!(!closed.is_open() && !closed.is_overdue(NOW_NS + 9 * DAY_NS));
    assert!(incident::current(&paths).unwrap().is_none());
    let again = incident::close(&paths, &opened.id, "me", ("a", "b"), NOW_NS);
    assert!(matches!(again, Err(IncidentError::Closed(_))));
    for id in ["", "../x", ".hidden", "a/b", "none"] {
        assert!(matches!(incident::load(&paths, id), Err(IncidentError::Unknown(_))), "{id:?}");
    }
    assert!(matches!(incident::open(&paths, opening(4)), Err(IncidentError::Level(4))));
}

#[test]
fn a_result_that_overflows_is_no_figure() {
    let line =
        |realised: i64| InstrumentLine { realised: Cash::from_units(realised), ..InstrumentLine::default() };
    let view = Snapshot { instruments: vec![line(i64::MAX), line(1)], ..Snapshot::default() };
    assert_eq!(Pnl::of(&view).net, None);
}

fn pack(paths: &Paths, summary: serde_json::Value) -> evidence::Manifest {
    let sources = vec![
        ("b.txt".to_owned(), Source::Bytes(b"two".to_vec())),
        ("a.txt".to_owned(), Source::Bytes(b"one".to_vec())),
    ];
    evidence::pack(paths, "drill", summary, sources, ("build", NOW_NS)).unwrap()
}

#[test]
fn evidence_has_the_id_of_its_content_and_every_change_shows() {
    let ((_one, here), (_two, there)) = (folder(), folder());
    let summary = json!({ "z": 1, "a": [2, "three"] });
    let manifest = pack(&here, summary.clone());
    assert_eq!(pack(&there, summary).id, manifest.id, "the same evidence has the same id");
    assert_ne!(pack(&there, json!({ "z": 2 })).id, manifest.id);
    let place = evidence::folder(&here).join(&manifest.id);
    assert_eq!(evidence::verify(&place).unwrap(), manifest);

    let differs = |what: &str| {
        let found = evidence::verify(&place).expect_err(what);
        assert!(!found.differences.is_empty());
        found.to_string()
    };
    fs::write(place.join("a.txt"), "One").unwrap();
    assert!(differs("a changed file").contains("a.txt was changed"));
    fs::write(place.join("a.txt"), "one").unwrap();
    fs::write(place.join("c.txt"), "").unwrap();
    assert!(differs("a file too many").contains("c.txt is not of this pack"));
    fs::rename(place.join("c.txt"), place.join("b.txt")).unwrap();
    differs("a file emptied");
    fs::remove_file(place.join("b.txt")).unwrap();
    differs("a file that lacks");
    fs::write(place.join("b.txt"), "two").unwrap();
    assert!(evidence::verify(&place).is_ok());

    // Rewritten as a whole, manifest and all: it no longer fits its name.
    let text = fs::read_to_string(place.join(evidence::MANIFEST)).unwrap();
    let forged = text.replace("\"three\"", "\"four\"");
    assert_ne!(forged, text);
    fs::write(place.join(evidence::MANIFEST), &forged).unwrap();
    assert!(differs("a forged summary").contains("its content is that of"));
    let mut right: evidence::Manifest = serde_json::from_str(&forged).unwrap();
    right.id = right.id_of();
    fs::write(place.join(evidence::MANIFEST), serde_json::to_string(&right).unwrap()).unwrap();
    assert!(differs("a forged id").contains("not the pack's id"));
    let all = evidence::index(&here).unwrap();
    assert!(all.len() == 1 && all[0].is_err());
}

#[test]
fn what_can_not_be_packed_leaves_nothing() {
    let (_dir, paths) = folder();
    for name in ["", ".x", "a/b", "../a", evidence::MANIFEST] {
        let sources = vec![(name.to_owned(), Source::Bytes(Vec::new()))];
        assert!(evidence::pack(&paths, "files", json!({}), sources, ("b", NOW_NS)).is_err(), "{name:?}");
    }
    let lacking = vec![("x".to_owned(), Source::File(paths.data.join("none")))];
    let error = evidence::pack(&paths, "files", json!({}), lacking, ("b", NOW_NS)).unwrap_err();
    assert!(error.to_string().contains("none"), "{error}");
    assert_eq!(fs::read_dir(evidence::folder(&paths)).unwrap().count(), 0);
}

#[test]
fn r_kill_4_only_whole_packs_of_passed_drills_count() {
    let (_dir, paths) = folder();
    let drill = |name: &str, passed: bool, runs: u64| DrillResult {
        name: name.to_owned(),
        runs,
        passed,
        failures: Vec::new(),
        last_order: None,
        silent: None,
        recovered: None,
    };
    let drills = vec![drill("one", true, 3), drill("two", false, 3), drill("three", true, 0)];
    let summary = serde_json::to_value(DrillSummary { drills, passed: false }).unwrap();
    let manifest = pack(&paths, summary);
    let names = || drills::passed(&paths).unwrap().into_iter().map(|d| d.name).collect::<Vec<_>>();
    assert_eq!(names(), ["one"]);
    fs::write(evidence::folder(&paths).join(&manifest.id).join("a.txt"), "other").unwrap();
    assert_eq!(names(), [""; 0], "a pack that was touched counts for nothing");
}

#[test]
fn a_spread_shows_figures_that_were_measured() {
    assert_eq!(Spread::of(&[]), None);
    assert_eq!(Spread::of(&[7]), Some(Spread { p50_us: 7, p99_us: 7, max_us: 7 }));
    let hundred: Vec<u64> = (1..=100).rev().collect();
    assert_eq!(Spread::of(&hundred), Some(Spread { p50_us: 50, p99_us: 99, max_us: 100 }));
    assert_eq!(Spread::of(&[3, 1, 2]), Some(Spread { p50_us: 2, p99_us: 3, max_us: 3 }));
}
