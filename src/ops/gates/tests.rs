//! R-GATE-1 to R-GATE-9: every combination of gates, each gate broken for real, and the ways around that people try.

use std::os::unix::fs::PermissionsExt as _;

use secrecy::SecretString;

use super::*;
use crate::ops::drills::{DrillResult, DrillSummary, KIND};
use crate::ops::evidence;
use crate::ops::paths::Paths;
use crate::ops::readiness::{Readiness, Verdict};
use crate::types::time::NS_PER_S;

const NOW_NS: i64 = 1_800_000_000 * NS_PER_S;
const HASH: &str = "c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00c0ffee00";

/// A data directory in which every gate is open, with the keys of everyone.
struct Stand {
    _dir: tempfile::TempDir,
    sources: Sources,
    lock: InstanceLock,
    keys: Vec<PersonalKey>,
}

fn bound(name: &'static str) -> Bound {
    Bound { name, configured: 50, in_force: 50, ceiling: 50, text: "50".to_owned() }
}

impl Stand {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), None);
        let keys: Vec<_> = (0..5)
            .map(|at| PersonalKey::create(&dir.path().join(format!("key-{at}.pem"))).unwrap())
            .collect();
        let signer = |at: usize| Signer { name: format!("person {at}"), key: keys[at].public().to_string() };
        let gates = GatesSection {
            symbol_allowlist: vec!["BTCUSDT".to_owned(), "ETHUSDT".to_owned()],
            proposer: signer(4),
            signers: Signers {
                risk: signer(0),
                security: signer(1),
                operations: signer(2),
                system_owner: signer(3),
            },
            ..GatesSection::default()
        };
        let books = Books::new(&paths);
        let token = make_token(&books, "person 4", NOW_NS - NS_PER_S).unwrap();
        let variables = Variables {
            live_trading: Some("YES_I_UNDERSTAND".to_owned()),
            confirm_token: Some(SecretString::from(token.to_string())),
            allowlist: Some("BTC/USDT".to_owned()),
            kill_switch: false,
        };
        let sources = Sources {
            now_ns: NOW_NS,
            config_hash: HASH.to_owned(),
            environment: EnvironmentSection {
                environment: EnvironmentName::Live,
                enable_live_trading: true,
                live_mode_armed: true,
                live_dry_run_mode: false,
                ..EnvironmentSection::default()
            },
            enforcement: EnforcementSection::default(),
            gates,
            bounded: Bounded {
                phase: 1,
                faults: Vec::new(),
                limits: vec![bound("max_order_notional"), bound("max_total_notional")],
            },
            symbols: vec!["BTCUSDT".to_owned()],
            variables,
            live_confirm: Some(HASH.to_owned()),
            venue: Ok("https://127.0.0.3".to_owned()),
            key: Ok("mode 0600".to_owned()),
            phase: Ok("1".to_owned()),
            rollback: Ok("none".to_owned()),
            readiness: ready(Verdict::Go),
            paths: paths.clone(),
        };
        let lock = InstanceLock::take(&paths).unwrap();
        let stand = Self { _dir: dir, sources, lock, keys };
        for (at, role) in Role::APPROVERS.into_iter().enumerate() {
            stand.sign_off(at, role, HASH, 86_400);
        }
        stand.arm(3_600);
        record_transition(&books, &stand.step()).unwrap();
        stand.drill(&[true, true, true], 1_000);
        stand
    }

    fn step(&self) -> Step<'_> {
        Step {
            executed_by: "person 4",
            baseline_commit: "fb829340dbb764a75c975d5bf413a4edb5e47107",
            build_id: "0.1.0+test",
            config_hash: HASH,
            files: &[],
            effective: "mode = \"live\"",
            now_ns: self.sources.now_ns,
        }
    }

    fn books(&self) -> Books {
        Books::new(&self.sources.paths)
    }

    fn sign_off(&self, at: usize, role: Role, config_hash: &str, valid_s: u64) {
        let name = format!("person {at}");
        let issued_ns = NOW_NS - NS_PER_S;
        let draft =
            Draft { kind: Kind::SignOff, role, name: &name, config_hash, bound_to: "", issued_ns, valid_s };
        self.put(&self.books().sign_off(role), &Statement::sign(&draft, &self.keys[at]));
    }

    fn arm(&self, valid_s: u64) {
        let bound_to = token::read(&self.books()).unwrap().hash;
        let draft = Draft {
            kind: Kind::Arming,
            role: Role::Proposer,
            name: "person 4",
            config_hash: HASH,
            bound_to: &bound_to,
            issued_ns: NOW_NS - NS_PER_S,
            valid_s,
        };
        self.put(&self.books().arming(), &Statement::sign(&draft, &self.keys[4]));
    }

    fn put(&self, path: &std::path::Path, statement: &Statement) {
        self.books().write(path, &serde_json::to_vec(statement).unwrap()).unwrap();
    }

    /// A pack with one drill for each result, made `after_s` seconds before now.
    fn drill(&self, results: &[bool], before_s: i64) {
        let drill = |(at, passed): (usize, &bool)| DrillResult {
            name: format!("drill {at}"),
            runs: 1,
            passed: *passed,
            failures: Vec::new(),
            last_order: None,
            silent: None,
            recovered: None,
        };
        let drills: Vec<_> = results.iter().enumerate().map(drill).collect();
        let summary = DrillSummary { passed: results.iter().all(|p| *p), drills };
        let files =
            vec![("runs.json".to_owned(), evidence::Source::Bytes(format!("{before_s}").into_bytes()))];
        let at_ns = NOW_NS - before_s * NS_PER_S;
        let summary = serde_json::to_value(summary).unwrap();
        evidence::pack(&self.sources.paths, KIND, summary, files, ("test", at_ns)).unwrap();
    }

    fn case(&self) -> Case {
        Case::gather(self.sources.clone())
    }

    fn missing(&self) -> Vec<&'static str> {
        names(&assess(&self.case()))
    }
}

fn names(assessment: &Assessment) -> Vec<&'static str> {
    assessment.missing().map(|line| line.gate.name).collect()
}

fn ready(verdict: Verdict) -> Readiness {
    Readiness { overall: verdict, live_rollout: verdict, components: Vec::new() }
}

/// How a gate's evidence is taken away from a case, and given back from a good one.
type Flip = fn(&mut Case, &Case, bool);

/// One for each gate, by name: the test fails if a gate has none.
const FLIPS: &[(&str, Flip)] = &[
    ("environment", |c, _, open| {
        c.sources.environment.environment =
            if open { EnvironmentName::Live } else { EnvironmentName::Testnet };
    }),
    ("enable_live_trading", |c, _, open| c.sources.environment.enable_live_trading = open),
    ("live_mode_armed", |c, _, open| c.sources.environment.live_mode_armed = open),
    ("live_dry_run_mode", |c, _, open| c.sources.environment.live_dry_run_mode = !open),
    ("confirm_token", |c, good, open| {
        c.token = if open { good.token.clone() } else { Err("wrong".to_owned()) };
    }),
    ("kill_switch", |c, _, open| {
        c.stops = if open { Vec::new() } else { vec!["kill file".to_owned()] };
    }),
    ("live_trading", |c, good, open| {
        c.sources.variables.live_trading = good.sources.variables.live_trading.clone().filter(|_| open);
    }),
    ("config_hash", |c, good, open| {
        c.sources.live_confirm = good.sources.live_confirm.clone().filter(|_| open);
    }),
    ("bounded_limits", |c, _, open| c.sources.enforcement.allow_limit_override = !open),
    ("operator_confirmation", |c, good, open| {
        c.arming = if open { good.arming.clone() } else { Err("none".to_owned()) };
    }),
    ("allowlist", |c, good, open| {
        c.sources.variables.allowlist =
            if open { good.sources.variables.allowlist.clone() } else { Some("DOGEUSDT".to_owned()) };
    }),
    ("readiness", |c, _, open| {
        c.sources.readiness.live_rollout = if open { Verdict::Go } else { Verdict::Conditional };
    }),
    ("sign_offs", |c, good, open| {
        c.sign_offs[2] = if open { good.sign_offs[2].clone() } else { Err("expired".to_owned()) };
    }),
    ("transition_record", |c, good, open| {
        c.transition = if open { good.transition.clone() } else { Err("none".to_owned()) };
    }),
    ("secrets", |c, good, open| {
        c.sources.key = if open { good.sources.key.clone() } else { Err("mode 644".to_owned()) };
    }),
    ("drills", |c, good, open| {
        if open {
            c.drills.passed.clone_from(&good.drills.passed);
        } else {
            c.drills.passed.truncate(2);
        }
    }),
    ("venue", |c, good, open| {
        c.sources.venue = if open { good.sources.venue.clone() } else { Err("another".to_owned()) };
    }),
    ("phase", |c, good, open| {
        c.sources.phase = if open { good.sources.phase.clone() } else { Err("phase 2".to_owned()) };
    }),
    ("rollback", |c, good, open| {
        c.sources.rollback = if open { good.sources.rollback.clone() } else { Err("3 trips".to_owned()) };
    }),
];

#[test]
fn r_gate_1_to_9_of_all_combinations_of_gates_only_the_full_set_passes() {
    let stand = Stand::new();
    let good = stand.case();
    assert_eq!(names(&assess(&good)), Vec::<&str>::new());
    let flips: Vec<Flip> = GATES
        .iter()
        .map(|gate| FLIPS.iter().find(|(name, _)| *name == gate.name).expect("every gate can be closed").1)
        .collect();
    assert_eq!(FLIPS.len(), GATES.len());

    // A Gray code: each step closes or opens one gate, and all combinations come once.
    let mut case = good.clone();
    let mut closed = 0_usize;
    let mut refused = 0_usize;
    for step in 1..1_usize << GATES.len() {
        let gray = step ^ (step >> 1);
        let changed = (gray ^ closed).trailing_zeros() as usize;
        closed = gray;
        flips[changed](&mut case, &good, closed >> changed & 1 == 0);
        // The door itself, not only what is shown: nothing but the full set makes a `Cleared`.
        let Err(Refused::Closed(assessment)) = pass(&case, &stand.lock) else {
            panic!("passed with gates closed: {closed:b}");
        };
        let found = assessment.lines.iter().enumerate().filter(|(_, line)| line.finding.is_err());
        let found = found.fold(0_usize, |mask, (at, _)| mask | 1 << at);
        assert_eq!(found, closed, "exactly the gates that were closed are missing");
        refused += 1;
    }
    assert_eq!(refused, (1 << GATES.len()) - 1);

    // And the full set passes, once.
    let cleared = pass(&good, &stand.lock).expect("all gates are open");
    assert_eq!(cleared.config_hash(), HASH);
    assert_eq!(cleared.armed_by(), "person 4");
    assert_eq!(cleared.symbols(), ["BTCUSDT"]);
    assert_eq!(stand.missing(), ["confirm_token", "operator_confirmation"], "token and arming are used up");
}

#[test]
fn each_gate_closes_by_what_really_closes_it() {
    type Break = fn(&mut Stand);
    let breaks: &[(&str, Break)] = &[
        ("environment", |s| s.sources.environment.environment = EnvironmentName::Paper),
        ("enable_live_trading", |s| s.sources.environment.enable_live_trading = false),
        ("live_mode_armed", |s| s.sources.environment.live_mode_armed = false),
        ("live_dry_run_mode", |s| s.sources.environment.live_dry_run_mode = true),
        ("confirm_token", |s| s.sources.environment.require_confirm_token = false),
        ("confirm_token", |s| s.sources.variables.confirm_token = None),
        ("confirm_token", |s| s.sources.variables.confirm_token = Some(SecretString::from(String::new()))),
        ("confirm_token", |s| s.sources.variables.confirm_token = Some(SecretString::from("0".repeat(64)))),
        // The hash itself is worth nothing, and neither is an old token.
        ("confirm_token", |s| {
            let hash = token::read(&s.books()).unwrap().hash;
            s.sources.variables.confirm_token = Some(SecretString::from(hash));
        }),
        ("confirm_token", |s| s.sources.gates.token_valid_s = 0),
        ("confirm_token", |s| {
            std::fs::set_permissions(s.books().token(), std::fs::Permissions::from_mode(0o640)).unwrap();
        }),
        ("kill_switch", |s| std::fs::write(s.sources.paths.kill_file(), "").unwrap()),
        ("kill_switch", |s| std::fs::write(s.sources.paths.marker(), "torn").unwrap()),
        ("kill_switch", |s| std::fs::write(s.sources.paths.kill_page(), "zeroes").unwrap()),
        ("kill_switch", |s| s.sources.variables.kill_switch = true),
        ("live_trading", |s| s.sources.variables.live_trading = None),
        ("live_trading", |s| s.sources.variables.live_trading = Some("yes_i_understand".to_owned())),
        ("config_hash", |s| s.sources.live_confirm = None),
        ("config_hash", |s| s.sources.live_confirm = Some(HASH[..63].to_owned())),
        ("bounded_limits", |s| s.sources.bounded = Bounded::default()),
        ("bounded_limits", |s| s.sources.bounded.faults = vec!["bounded_live.enabled = true".to_owned()]),
        ("bounded_limits", |s| s.sources.bounded.limits[1].configured = 51),
        ("bounded_limits", |s| s.sources.bounded.limits[0].in_force = 51),
        ("bounded_limits", |s| s.sources.enforcement.enforce_bounded_limits = false),
        ("bounded_limits", |s| s.sources.enforcement.allow_limit_override = true),
        ("operator_confirmation", |s| std::fs::remove_file(s.books().arming()).unwrap()),
        ("operator_confirmation", |s| s.arm(7_200)),
        ("allowlist", |s| {
            s.sources.gates.symbol_allowlist.clear();
            s.sources.variables.allowlist = None;
        }),
        ("allowlist", |s| s.sources.symbols.push("DOGEUSDT".to_owned())),
        ("readiness", |s| s.sources.readiness = ready(Verdict::Conditional)),
        ("sign_offs", |s| std::fs::remove_file(s.books().sign_off(Role::Security)).unwrap()),
        ("sign_offs", |s| s.sign_off(2, Role::Operations, &HASH.replace('c', "d"), 86_400)),
        ("sign_offs", |s| s.sign_off(2, Role::Operations, HASH, 365 * 86_400)),
        ("sign_offs", |s| s.sign_off(1, Role::Operations, HASH, 86_400)),
        ("sign_offs", |s| {
            std::fs::copy(s.books().sign_off(Role::Risk), s.books().sign_off(Role::Security))
                .map(drop)
                .unwrap();
        }),
        ("transition_record", |s| std::fs::remove_file(s.books().transition()).unwrap()),
        ("transition_record", |s| {
            let name = read_transition(&s.books()).unwrap().backup;
            std::fs::write(s.books().folder().join(name).join("effective.toml"), "other").unwrap();
        }),
        ("drills", |s| s.sources.gates.drills_min = 4),
        ("drills", |s| s.drill(&[true, true, true, false], 900)),
        ("drills", |s| s.drill(&[true, false, true], 900)),
        ("drills", |s| std::fs::remove_dir_all(evidence::folder(&s.sources.paths)).unwrap()),
        ("drills", |s| s.sources.gates.drills_within_days = 0),
    ];
    for (at, (gate, break_it)) in breaks.iter().enumerate() {
        let mut stand = Stand::new();
        assert_eq!(stand.missing(), Vec::<&str>::new());
        break_it(&mut stand);
        let mut missing = stand.missing();
        // An arming is bound to the token: without the one the other says nothing.
        missing.retain(|name| *gate != "confirm_token" || *name != OPERATOR_CONFIRMATION);
        assert_eq!(missing, [*gate], "break {at}");
        assert!(pass(&stand.case(), &stand.lock).is_err());
        assert!(token::read(&stand.books()).is_ok_and(|t| t.used_ns.is_none()) || *gate == "confirm_token");
    }
}

#[test]
fn r_gate_6_a_statement_with_any_field_changed_counts_for_nothing() {
    let stand = Stand::new();
    let path = stand.books().sign_off(Role::Risk);
    let good = serde_json::to_value(Statement::parse(&std::fs::read(&path).unwrap()).unwrap()).unwrap();
    for (key, value) in good.as_object().unwrap() {
        let mut forged = good.clone();
        forged[key] = match value {
            Value::String(text) if key == "signature" => Value::from(text.replacen(&text[..4], "AAAA", 1)),
            Value::String(text) => Value::from(format!("{text}0")),
            other => Value::from(other.as_i64().unwrap() + 1),
        };
        stand.books().write(&path, forged.to_string().as_bytes()).unwrap();
        assert_eq!(stand.missing(), ["sign_offs"], "{key}");
    }
}

#[test]
fn r_gov_2_who_proposes_cannot_approve_and_no_one_signs_twice() {
    let mut stand = Stand::new();
    // The configuration check refuses it already; the gate does not rely on that.
    stand.sources.gates.signers.risk = stand.sources.gates.proposer.clone();
    assert!(check(&stand.sources.environment, &stand.sources.gates).unwrap_err().contains("five"));
    stand.sign_off(4, Role::Risk, HASH, 86_400);
    assert_eq!(stand.missing(), ["sign_offs"]);

    let mut stand = Stand::new();
    stand.sources.gates.signers.risk = stand.sources.gates.signers.security.clone();
    stand.sign_off(1, Role::Risk, HASH, 86_400);
    assert_eq!(stand.missing(), ["sign_offs"]);
}

#[test]
fn an_approval_ends_and_a_change_of_the_configuration_voids_everything_that_was_bound_to_it() {
    let mut stand = Stand::new();
    stand.sources.now_ns = NOW_NS + 2 * 86_400 * NS_PER_S;
    let missing = stand.missing();
    for gate in ["sign_offs", "operator_confirmation", "confirm_token"] {
        assert!(missing.contains(&gate), "{gate} outlived its time: {missing:?}");
    }
    let mut stand = Stand::new();
    stand.sources.config_hash = HASH.replace('c', "d");
    assert_eq!(stand.missing(), ["config_hash", "operator_confirmation", "sign_offs", "transition_record"]);
}

#[test]
fn r_gate_1_a_token_is_worth_nothing_in_another_data_directory_and_never_shows() {
    let stand = Stand::new();
    let other = Stand::new();
    std::fs::copy(stand.books().token(), other.books().token()).unwrap();
    let mut sources = other.sources;
    sources.variables.confirm_token.clone_from(&stand.sources.variables.confirm_token);
    assert!(names(&assess(&Case::gather(sources))).contains(&"confirm_token"));

    let token = make_token(&stand.books(), "person 4", NOW_NS).unwrap();
    let mode = std::fs::metadata(stand.books().token()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let kept = std::fs::read_to_string(stand.books().token()).unwrap();
    let mut sources = stand.sources.clone();
    sources.variables.confirm_token = Some(SecretString::from(token.to_string()));
    let case = Case::gather(sources);
    let shown = assess(&case);
    for text in
        [kept, format!("{case:?}"), shown.render(), shown.to_json().to_string(), shown.event(0).line()]
    {
        assert!(!text.contains(token.as_str()), "a token in: {text}");
    }
}

#[test]
fn a_token_in_the_configuration_is_refused_without_being_quoted() {
    let environment =
        EnvironmentSection { confirm_token: "deadbeef".to_owned(), ..EnvironmentSection::default() };
    let said = check(&environment, &GatesSection::default()).unwrap_err();
    assert!(said.contains("LIVE_CONFIRM_TOKEN") && !said.contains("deadbeef"), "{said}");
}

#[test]
fn every_gate_has_a_name_of_its_own_a_requirement_and_a_remedy() {
    for (at, gate) in GATES.iter().enumerate() {
        assert!(!gate.remedy.is_empty() && gate.requirement.starts_with("R-"), "{gate:?}");
        assert!(GATES[at + 1..].iter().all(|other| other.name != gate.name), "{gate:?} stands twice");
    }
}
