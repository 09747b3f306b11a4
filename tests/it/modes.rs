//! The modes (R-MODE-1, R-MODE-2): each file is what it says, each mode takes only the venues that fit it, shadow and dry run
//! can't send.

use std::fs;
use std::path::PathBuf;

use interlock::net::{Endpoint, TlsRoots};
use interlock::run::access::Access;
use interlock::run::destination::{Destination, HOSTS, Realm, Rehearsal};
use interlock::run::edges::{Edges, Refused};
use interlock::run::plan::{Environment, Mode, load};
use interlock::run::shadow::{CHECKS, Safety};
use interlock::run::wiring::allowed_of;
use interlock::sim::server::Persona;

fn access(host: &str) -> Access {
    let endpoint = |scheme: &str| Endpoint::parse(&format!("{scheme}://{host}:9443")).unwrap();
    Access {
        rest: endpoint("https"),
        stream: endpoint("wss"),
        ws_api: endpoint("wss"),
        roots: TlsRoots::WebPki,
        ca_file: None,
        key_file: None,
        symbols: Vec::new(),
    }
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// One file for each mode, and what it must say.
const FILES: &[(&str, Mode, Option<Realm>, bool)] = &[
    ("demo.toml", Mode::Demo, None, false),
    ("shadow.toml", Mode::Shadow, Some(Realm::Live), false),
    ("paper.toml", Mode::Paper, Some(Realm::Live), false),
    ("testnet.toml", Mode::Testnet, Some(Realm::Testnet), true),
    ("live.toml", Mode::Live, Some(Realm::Live), true),
];

#[test]
fn r_mode_1_each_mode_has_a_commented_file_that_loads_and_is_what_it_says() {
    for mode in Mode::ALL {
        assert!(FILES.iter().any(|(_, of, ..)| *of == mode), "mode {} has no file in config/", mode.name());
        assert_eq!(Mode::parse(mode.name()), Some(mode));
    }
    for (name, mode, realm, has_key) in FILES {
        let path = root().join("config").join(name);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# "), "{name} begins with what it is");
        let plan = load(&[path]).unwrap_or_else(|e| panic!("{name}: {e}"));
        assert_eq!(plan.mode, *mode, "{name}");
        assert!(!plan.dry_run, "{name}");
        assert_eq!(
            !plan.venue.api_key_file.as_os_str().is_empty(),
            *has_key,
            "{name}: only what sends has a key"
        );
        let Some(realm) = realm else { continue };
        for url in [&plan.venue.rest_url, &plan.venue.stream_url, &plan.venue.ws_api_url] {
            let host = Endpoint::parse(url).unwrap().host;
            assert_eq!(Realm::of_host(&host), *realm, "{name}: {url}");
        }
    }
}

#[test]
fn the_dry_run_file_goes_over_each_mode_that_sends() {
    let dry = root().join("config/dry-run.toml");
    for (name, mode, ..) in FILES {
        let plan = load(&[root().join("config").join(name), dry.clone()]).unwrap();
        assert!(plan.dry_run && plan.mode == *mode, "{name}");
    }
}

#[test]
fn the_profiles_go_over_each_mode_and_name_strategies_that_exist() {
    let dir = root().join("config/profiles");
    let mut profiles: Vec<_> = fs::read_dir(&dir).unwrap().flatten().map(|entry| entry.path()).collect();
    profiles.sort();
    assert!(profiles.len() >= 3, "{profiles:?}");
    for profile in profiles {
        assert!(fs::read_to_string(&profile).unwrap().starts_with("# Profile: "), "{}", profile.display());
        for (name, mode, ..) in FILES {
            let plan = load(&[root().join("config").join(name), profile.clone()])
                .unwrap_or_else(|e| panic!("{} over {name}: {e}", profile.display()));
            assert_eq!(plan.mode, *mode, "{}", profile.display());
            if profile.ends_with("all_strategies.toml") {
                let mut running: Vec<_> = plan.strategy.iter().map(|s| s.name.as_str()).collect();
                running.sort_unstable();
                let mut all: Vec<_> = interlock::strategy::STRATEGIES.iter().map(|s| s.name).collect();
                all.sort_unstable();
                assert_eq!(running, all, "a new strategy belongs into the profile of all");
            }
        }
    }
}

/// Which realm each mode's orders may go to: every other one is refused, by name.
#[test]
fn r_mode_1_a_mode_takes_only_venues_of_its_own_realm() {
    let environment = Environment::default();
    let hosts: Vec<(&str, Realm)> = HOSTS
        .iter()
        .copied()
        .chain([
            ("127.0.0.1", Realm::Demo),
            ("127.0.0.2", Realm::Testnet),
            ("127.0.0.3", Realm::Live),
            ("127.0.0.4", Realm::Unknown),
            ("10.0.0.1", Realm::Unknown),
            ("api.binance.com.evil.example", Realm::Unknown),
            ("evil-testnet.binance.vision", Realm::Unknown),
        ])
        .collect();
    for (host, realm) in hosts {
        assert_eq!(Realm::of_host(host), realm, "{host}");
        for (mode, wanted) in [(Mode::Demo, Realm::Demo), (Mode::Testnet, Realm::Testnet)] {
            let edges = Edges::choose((mode, false), access(host), &environment, false, None);
            assert_eq!(edges.is_ok(), realm == wanted, "mode {} at {host}", mode.name());
            if let Err(error) = edges {
                assert!(error.to_string().contains(host), "{error}");
            }
        }
        let live = Edges::choose((Mode::Live, false), access(host), &environment, false, None);
        assert!(matches!(live, Err(Refused::NotCleared)), "live at {host} without its gates");
        let rehearsed = Rehearsal::of(access(host), Mode::Live);
        assert_eq!(rehearsed.is_ok(), realm == Realm::Live, "a rehearsal of live at {host}");
    }
}

#[test]
fn one_address_of_another_realm_is_enough_to_be_refused() {
    let foreign = |edit: fn(&mut Access)| {
        let mut mixed = access("127.0.0.2");
        edit(&mut mixed);
        Destination::testnet(mixed).map(|_| ()).unwrap_err().to_string()
    };
    let live = || Endpoint::parse("https://api.binance.com").unwrap();
    for error in [
        foreign(|a| a.rest = Endpoint::parse("https://api.binance.com").unwrap()),
        foreign(|a| a.stream = Endpoint::parse("https://api.binance.com").unwrap()),
        foreign(|a| a.ws_api = Endpoint::parse("https://api.binance.com").unwrap()),
    ] {
        assert!(error.contains(&live().host) && error.contains("the live venue"), "{error}");
    }
}

#[test]
fn personas_have_addresses_of_their_own_in_realms_of_their_own() {
    let realms = Persona::ALL.map(|p| Realm::of_host(&p.address().to_string()));
    assert_eq!(realms, [Realm::Demo, Realm::Testnet, Realm::Live]);
    for persona in Persona::ALL {
        for other in Persona::ALL {
            assert_eq!(persona.may_listen_on(other.address().into()), persona == other);
        }
    }
}

#[test]
fn r_mode_2_shadow_does_not_start_beside_live_trading_or_a_key() {
    let safe = Environment::default();
    assert!(Safety::check(&safe, access("api.binance.com"), false).is_ok());
    let with = |edit: fn(&mut Environment)| {
        let mut environment = Environment::default();
        edit(&mut environment);
        Safety::check(&environment, access("api.binance.com"), false).map(|_| ()).unwrap_err()
    };
    let keyed = Access { key_file: Some(PathBuf::from("key.json")), ..access("api.binance.com") };
    let mut found = vec![
        with(|e| e.live_trading_set = true),
        with(|e| e.api_key_file = Some(PathBuf::from("key.json"))),
        Safety::check(&safe, keyed, false).map(|_| ()).unwrap_err(),
    ];
    // Every check of the table can fail, and says what to do.
    found.sort_by_key(|f| CHECKS.iter().position(|c| c.name == f.name));
    assert_eq!(
        found.iter().map(|f| f.name).collect::<Vec<_>>(),
        CHECKS.iter().map(|c| c.name).collect::<Vec<_>>()
    );
    for refusal in &found {
        assert!(refusal.to_string().contains(refusal.remedy), "{refusal}");
    }
    // The embedded venue's file names keys beside addresses: its path is dropped.
    let embedded = Access { key_file: Some(PathBuf::from("venue.json")), ..access("127.0.0.1") };
    assert_eq!(Safety::check(&safe, embedded, true).unwrap().access().key_file, None);
}

/// R-MODE-2, by construction: what shadow is made of may not even name what could send.
#[test]
fn r_mode_2_the_room_of_shadow_names_no_gateway_no_net_and_no_venue() {
    let dir = root().join("src/run/shadow");
    let mut files = 0;
    for entry in fs::read_dir(&dir).unwrap().flatten() {
        let text = fs::read_to_string(entry.path()).unwrap();
        files += 1;
        for forbidden in
            ["crate::gateway", "crate::net", "crate::venue", "crate::sim", "Credentials", "WireDoor"]
        {
            let named =
                text.lines().any(|l| l.split("//").next().is_some_and(|code| code.contains(forbidden)));
            assert!(!named, "{} names {forbidden}", entry.path().display());
        }
    }
    assert!(files >= 3, "the room was found: {files} files in {}", dir.display());
}

#[test]
fn a_dry_run_of_a_mode_without_a_venue_behind_it_is_refused() {
    for mode in [Mode::Shadow, Mode::Paper] {
        let error = Rehearsal::of(access("127.0.0.1"), mode).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(mode.name()) && error.contains("demo, testnet or live"), "{error}");
    }
}

#[test]
fn the_embedded_venue_writes_a_configuration_that_names_it_and_holds_no_key() {
    use interlock::sim::server::{VENUE_CONFIG, VenueConfig, VenueFile, start};
    let dir = tempfile::tempdir().unwrap();
    for persona in Persona::ALL {
        let data = dir.path().join(persona.name());
        let venue =
            start(VenueConfig { flow_percent: 0, ..VenueConfig::playing(persona, data.clone()) }).unwrap();
        let file = VenueFile::read(venue.file_path()).unwrap();
        assert_eq!(file.persona, persona);
        let path = data.join(VENUE_CONFIG);
        let text = fs::read_to_string(&path).unwrap();
        assert!(!text.contains(file.keys.halt.api_key()) && !text.contains("PRIVATE"), "{text}");
        let plan = load(&[path]).unwrap();
        let named = Access::from_plan(&plan, None).unwrap();
        let told = Access::from_venue_file(venue.file_path()).unwrap();
        assert_eq!((named.rest, named.stream, named.ws_api), (told.rest, told.stream, told.ws_api));
        assert_eq!(plan.venue.symbols, told.symbols);
        let key = named.key_file.as_deref().map(|path| path.canonicalize().unwrap());
        assert_eq!(key, told.key_file.as_deref().map(|path| path.canonicalize().unwrap()));
        venue.stop();
    }
}

#[test]
fn r_gate_1_risk_gets_the_allowed_symbols_of_the_session_and_no_others() {
    use crate::market::{BTC, ETH, table};
    let list = |names: &[&str]| names.iter().map(|s| (*s).to_owned()).collect::<Vec<_>>();
    assert_eq!(allowed_of(&table(), None), [BTC, ETH], "nothing narrows them");
    assert_eq!(allowed_of(&table(), Some(&list(&["ETHUSDT"]))), [ETH]);
    assert_eq!(
        allowed_of(&table(), Some(&list(&["eth/usdt", "BTC-USDT"]))),
        [BTC, ETH],
        "as people write them"
    );
    assert_eq!(allowed_of(&table(), Some(&list(&["DOGEUSDT"]))), [], "what the session does not have");
    assert_eq!(allowed_of(&table(), Some(&[])), [], "an empty list allows nothing");
}
