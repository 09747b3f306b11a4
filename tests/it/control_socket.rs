//! The control sockets: K7 of the safety notes, and "a kill is never refused for a bad argument" (R-KILL-1).

use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;

use interlock::event::CommandKind;
use interlock::event::command::ALL_INSTRUMENTS;
use interlock::ops::paths::Paths;
use interlock::ops::protocol::{self, Verb};
use interlock::ops::socket::{Policy, Server, SocketError};
use interlock::shared::HaltLevel;
use interlock::types::{InstrumentId, Reason};
use serde_json::{Value, json};

use crate::control_rig::{Operator, Options, Rig};

const TRIP: &[u8] =
    b"{\"v\":1,\"id\":\"t\",\"cmd\":\"kill.trip\",\"args\":{\"reason\":\"drill\",\"by\":\"me\"}}\n";

#[test]
fn a_trip_answers_twice_and_ends_on_the_venues_word() {
    let mut rig = Rig::new();
    rig.arm();
    rig.page.set_open_orders(7);
    let mut operator = Operator::admin(&rig.paths);
    operator.write(TRIP);
    rig.run_for(1);
    let now = rig.now();
    let view = rig.page.view(now);
    assert_eq!(view.level, HaltLevel::CancelAll);
    let tripped = operator.hear();
    assert_eq!((tripped.ok, tripped.stage.as_deref(), tripped.epoch), (true, Some("tripped"), view.epoch));
    let result = tripped.result.unwrap();
    assert_eq!(result["tripped_ns"], json!(now.ns));
    assert_eq!(result["open_orders"], json!(7));
    // Silence of an earlier halt epoch does not count.
    rig.page.set_silent(view.epoch - 1, now.ns);
    rig.run_for(100);
    rig.page.set_silent(view.epoch, now.ns + 5_000_000);
    rig.run_for(1);
    let silent = operator.hear();
    assert_eq!((silent.ok, silent.stage.as_deref()), (true, Some("silent")));
    assert_eq!(
        silent.result.unwrap(),
        json!({"silent_ns": now.ns + 5_000_000, "open_orders": 0, "elapsed_us": 5_000})
    );
    let events = rig.events();
    let (_, trip) = events.iter().find(|(name, _)| name == "KILL_TRIPPED").unwrap();
    assert_eq!((&trip["by"], &trip["text"]), (&json!("me"), &json!("drill")));
    assert!(events.iter().any(|(name, f)| name == "COMMAND" && f["uid"].is_u64() && f["pid"].is_i64()));
}

#[test]
fn a_trip_without_the_venues_word_says_what_remains() {
    let mut rig = Rig::new();
    rig.arm();
    rig.page.set_open_orders(3);
    let mut operator = Operator::admin(&rig.paths);
    operator.say(&json!({"v":1,"id":1,"cmd":"kill.trip","deadline_ms":50}));
    rig.run_for(60);
    assert_eq!(operator.hear().stage.as_deref(), Some("tripped"));
    let timeout = operator.hear();
    assert!(!timeout.ok);
    assert_eq!(timeout.stage.as_deref(), Some("timeout"));
    assert_eq!(timeout.result.unwrap(), json!({"remaining": 3}));
    assert!(rig.page.view(rig.now()).is_tripped());
}

/// K4: kill twice: both are told, nothing changes, both acts are recorded.
#[test]
fn k4_killing_twice_is_one_trip_and_two_records() {
    let mut rig = Rig::new();
    rig.arm();
    let mut first = Operator::admin(&rig.paths);
    let mut second = Operator::admin(&rig.paths);
    first.write(TRIP);
    rig.run_for(1);
    let epoch = rig.page.view(rig.now()).epoch;
    second.write(TRIP);
    rig.run_for(1);
    assert_eq!(rig.page.view(rig.now()).epoch, epoch);
    assert_eq!(first.hear().result.unwrap()["raised"], json!(true));
    assert_eq!(second.hear().result.unwrap()["raised"], json!(false));
    rig.page.set_silent(epoch, rig.now().ns);
    rig.run_for(1);
    assert_eq!(first.hear().stage.as_deref(), Some("silent"));
    assert_eq!(second.hear().stage.as_deref(), Some("silent"));
    let trips =
        rig.acts.try_iter().filter(|a| a.kind == interlock::journal::entry::ControlKind::Trip).count();
    assert_eq!(trips, 2);
}

/// Whatever stands around it: a line that asks for a trip trips.
#[test]
fn a_trip_is_never_refused_for_a_bad_argument() {
    let long = format!(
        "{{\"v\":1,\"id\":1,\"cmd\":\"kill.trip\",\"args\":{{\"reason\":\"{}\"}}}}\n",
        "x".repeat(10_000)
    );
    let lines: [&[u8]; 12] = [
        b"{\"v\":1,\"id\":1,\"cmd\":\"kill.trip\",\"args\":{\"reason\":7}}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"kill.trip\",\"args\":{\"raeson\":\"x\"}}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"kill.trip\",\"args\":[]}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"kill.trip\",\"args\":{broken\n",
        b"{\"v\":9,\"id\":1,\"cmd\":\"kill.trip\"}\n",
        b"{\"cmd\":\"kill.trip\"}\n",
        b"{\"v\":1,\"id\":1,\"cmd\" : \t\"kill.trip\",\"unknown\":true}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"kill.trip\",\"deadline_ms\":-1}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"kill.trip\",\"args\":{\"reason\":\"\xff\xfe\"}}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"kill\\u002etrip\",\"args\":{\"reason\":\"escaped\"}}\n",
        b"kill\n",
        long.as_bytes(),
    ];
    for line in lines {
        let mut rig = Rig::new();
        rig.arm();
        let mut operator = Operator::admin(&rig.paths);
        operator.write(line);
        rig.run_for(2);
        let shown = String::from_utf8_lossy(&line[..line.len().min(80)]).into_owned();
        assert_eq!(rig.page.view(rig.now()).level, HaltLevel::CancelAll, "{shown}");
        let answer = operator.hear();
        assert!(answer.ok, "{shown}");
        assert_eq!(answer.stage.as_deref(), Some("tripped"), "{shown}");
    }
}

/// K7: half a line, and then nothing, or the end of the connection: a trip that can be read in it is a trip.
#[test]
fn k7_half_a_line_is_dropped_in_time_and_still_trips_if_it_asks_to() {
    let mut rig = Rig::new();
    rig.arm();
    let mut slow = Operator::admin(&rig.paths);
    slow.write(b"{\"v\":1,\"id\":1,\"cmd\":\"sta");
    let mut gone = UnixStream::connect(rig.paths.admin_socket()).unwrap();
    gone.write_all(b"{\"v\":1,\"id\":1,\"cmd\":\"ping\"").unwrap();
    drop(gone);
    rig.run_for(4_900);
    rig.market_moves();
    assert!(!slow.is_closed());
    rig.run_for(200);
    assert!(!slow.hear().ok);
    rig.run_for(1);
    assert!(slow.is_closed());
    assert!(!rig.page.view(rig.now()).is_tripped());
    // Half a trip.
    let mut half = UnixStream::connect(rig.paths.admin_socket()).unwrap();
    half.write_all(&TRIP[..TRIP.len() - 20]).unwrap();
    drop(half);
    rig.run_for(1);
    assert!(rig.page.view(rig.now()).is_tripped());
}

/// K7: a line of 10 MiB: refused at the bound, without memory for it.
#[test]
fn k7_a_line_of_ten_mebibytes_is_refused() {
    let mut rig = Rig::new();
    let mut operator = Operator::admin(&rig.paths);
    operator.stream().set_nonblocking(true).unwrap();
    let piece = vec![b'x'; 65_536];
    let mut sent = 0usize;
    for _ in 0..500 {
        match operator.stream().write(&piece) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => break, // closed on us
        }
        rig.run_for(1);
        if sent > 10 << 20 {
            break;
        }
    }
    operator.stream().set_nonblocking(false).unwrap();
    let line = operator.hear_line();
    assert!(line.contains("too_long"), "{line}");
    assert!(sent < 1 << 20, "{sent} bytes were taken");
}

/// K7: a hundred clients, all silent: the next one still gets in and trips.
#[test]
fn k7_a_hundred_clients_lock_nobody_out() {
    let mut rig = Rig::new();
    rig.arm();
    let crowd: Vec<_> = (0..100)
        .map(|_| {
            let stream = UnixStream::connect(rig.paths.admin_socket()).unwrap();
            rig.run_for(1);
            stream
        })
        .collect();
    let mut operator = Operator::admin(&rig.paths);
    operator.write(TRIP);
    rig.run_for(2);
    assert!(rig.page.view(rig.now()).is_tripped());
    assert_eq!(operator.hear().stage.as_deref(), Some("tripped"));
    // The one who waits for the venue's word is not pushed out by another crowd.
    let second: Vec<_> = (0..100)
        .map(|_| {
            let stream = UnixStream::connect(rig.paths.ro_socket()).unwrap();
            rig.run_for(1);
            stream
        })
        .collect();
    rig.page.set_silent(rig.page.view(rig.now()).epoch, rig.now().ns);
    rig.run_for(1);
    assert_eq!(operator.hear().stage.as_deref(), Some("silent"));
    drop((crowd, second));
}

/// K7: a user who may not: refused, told why, and named in the log. By configuration, because tests run as one user.
#[test]
fn k7_a_wrong_user_is_turned_away() {
    let policy =
        Policy { admin_uids: vec![4_000_000], reader_uids: vec![rustix::process::getuid().as_raw()] };
    let mut rig = Rig::with(Options { policy, ..Options::default() });
    let mut operator = Operator::admin(&rig.paths);
    rig.run_for(2);
    let answer = operator.hear();
    assert_eq!(answer.error.unwrap().code, "forbidden");
    assert!(operator.is_closed());
    assert!(rig.has_event("PEER_TURNED_AWAY"));
    let epoch = rig.page.view(rig.now()).epoch;
    let operator = Operator::admin(&rig.paths);
    let _ignored = operator.stream().write_all(TRIP);
    rig.run_for(2);
    assert_eq!(rig.page.view(rig.now()).epoch, epoch, "not even a trip");
    // The readers' socket has its own list.
    let mut reader = Operator::reader(&rig.paths);
    reader.say(&json!({"v":1,"id":1,"cmd":"ping"}));
    rig.run_for(2);
    assert!(reader.hear().ok);
}

/// K7: modes of folder and sockets; a folder of someone else's, a file in the way; no abstract address.
#[test]
fn k7_sockets_have_permissions() {
    let rig = Rig::new();
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!(mode(&rig.paths.run), 0o750);
    assert_eq!(mode(&rig.paths.admin_socket()), 0o660);
    assert_eq!(mode(&rig.paths.ro_socket()), 0o660);
    let abstract_names = fs::read_to_string("/proc/net/unix").unwrap();
    assert!(!abstract_names.lines().any(|l| l.contains(" @") && l.contains("admin.sock")));
    drop(rig);

    let dir = tempfile::tempdir().unwrap();
    let paths = Paths::new(dir.path(), None);
    fs::create_dir(&paths.run).unwrap();
    fs::set_permissions(&paths.run, fs::Permissions::from_mode(0o777)).unwrap();
    drop(Server::bind(&paths, Policy::standard(&[])).unwrap());
    assert_eq!(mode(&paths.run), 0o750, "put right");
    // A dead engine's socket is replaced; what is no socket is not.
    drop(std::os::unix::net::UnixListener::bind(paths.admin_socket()).unwrap());
    assert!(fs::metadata(paths.admin_socket()).unwrap().file_type().is_socket());
    drop(Server::bind(&paths, Policy::standard(&[])).unwrap());
    fs::write(paths.admin_socket(), "mine").unwrap();
    let error = Server::bind(&paths, Policy::standard(&[])).unwrap_err();
    assert!(matches!(error, SocketError::InTheWay { .. }), "{error}");
    // A link instead of the folder.
    let linked = Paths::new(dir.path(), Some(&dir.path().join("link")));
    std::os::unix::fs::symlink(&paths.run, &linked.run).unwrap();
    let error = Server::bind(&linked, Policy::standard(&[])).unwrap_err();
    assert!(error.to_string().contains("--run-dir"), "{error}");
}

/// A path that is longer than a socket address can be.
#[test]
fn a_long_data_directory_works() {
    let dir = tempfile::tempdir().unwrap();
    let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    let mut rig = Rig::in_folder(Options::default(), Paths::new(&deep, None), Some(dir));
    let paths = rig.paths.clone();
    let asked = std::thread::scope(|scope| {
        let client = scope.spawn(|| interlock::ops::client::ask(&paths, true, Verb::Ping, json!({})));
        while !client.is_finished() {
            rig.run_for(1);
            std::thread::yield_now();
        }
        client.join().unwrap()
    });
    assert!(asked.unwrap().ok);
}

#[test]
fn a_line_gets_one_answer_and_unknown_fields_are_errors() {
    let mut rig = Rig::new();
    let mut operator = Operator::admin(&rig.paths);
    let bad: [&[u8]; 8] = [
        b"{\"v\":1,\"id\":1,\"cmd\":\"ping\",\"extra\":1}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"ping\",\"args\":{\"x\":1}}\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"pong\"}\n",
        b"{\"v\":2,\"id\":1,\"cmd\":\"ping\"}\n",
        b"{\"v\":1,\"cmd\":\"ping\"}\n",
        b"[]\n",
        b"\xff\xff\n",
        b"{\"v\":1,\"id\":1,\"cmd\":\"freeze\",\"args\":{\"symbol\":\"NOSUCH\"}}\n",
    ];
    for line in bad {
        operator.write(line);
        rig.run_for(1);
        let answer = operator.hear();
        assert!(!answer.ok, "{}", String::from_utf8_lossy(line));
        assert_eq!(answer.error.unwrap().code, "bad_request");
    }
    operator.write(b"\n  \n");
    operator.write(
        b"{\"v\":1,\"id\":{\"any\":[1]},\"cmd\":\"ping\",\"args\":{}}\n{\"v\":1,\"id\":2,\"cmd\":\"ping\"}\n",
    );
    rig.run_for(1);
    let answer = operator.hear();
    assert_eq!((answer.ok, answer.id), (true, json!({"any":[1]})));
    assert_eq!(operator.hear().id, json!(2));
    assert!(!rig.page.view(rig.now()).allows_risk());
}

#[test]
fn the_readers_socket_only_reads() {
    let mut rig = Rig::new();
    rig.arm();
    let epoch = rig.page.view(rig.now()).epoch;
    let mut reader = Operator::reader(&rig.paths);
    for (verb, name, reads) in Verb::ALL {
        let args = if verb == Verb::KillRecover { json!({"cause":"c","by":"b"}) } else { json!({}) };
        reader.say(&json!({"v":1,"id":name,"cmd":name,"args":args}));
        rig.run_for(1);
        let answer = reader.hear();
        assert_eq!(answer.ok, reads, "{name}: {answer:?}");
        assert!(reads || answer.error.unwrap().code == "forbidden");
    }
    assert_eq!(rig.page.view(rig.now()).epoch, epoch);
}

#[test]
fn commands_reach_the_feeds_ring_with_their_peer() {
    let mut rig = Rig::new();
    rig.arm();
    while rig.commands.pop().is_ok() {}
    let mut operator = Operator::admin(&rig.paths);
    let cases = [
        ("cancel-all", json!({}), CommandKind::CancelAll, ALL_INSTRUMENTS),
        ("flatten", json!({"symbol":"BTCUSDT"}), CommandKind::Flatten, InstrumentId(0)),
        ("freeze", json!({"symbol":"BTCUSDT"}), CommandKind::Freeze, InstrumentId(0)),
        ("unfreeze", json!({"symbol":null}), CommandKind::Unfreeze, ALL_INSTRUMENTS),
    ];
    for (name, args, kind, instrument) in cases {
        operator.say(&json!({"v":1,"id":1,"cmd":name,"args":args}));
        rig.run_for(1);
        let answer = operator.hear();
        let command = rig.commands.pop().unwrap();
        assert_eq!((command.kind, command.instrument), (kind, instrument));
        assert_eq!(command.uid, rustix::process::getuid().as_raw());
        assert_eq!(answer.result.unwrap()["ticket"], json!(command.ticket));
    }
    operator.say(&json!({"v":1,"id":1,"cmd":"kill.trip","args":{"flatten":true,"reason":"r","by":"b"}}));
    rig.run_for(1);
    let kinds: Vec<_> = std::iter::from_fn(|| rig.commands.pop().ok()).map(|c| c.kind).collect();
    assert_eq!(kinds, [CommandKind::Tripped, CommandKind::Flatten]);
}

/// A reader that does not read is dropped, and nobody waits for it.
#[test]
fn a_slow_reader_is_dropped() {
    let mut rig = Rig::new();
    let mut slow = Operator::reader(&rig.paths);
    slow.stream().set_nonblocking(true).unwrap();
    for _ in 0..3_000 {
        let _full = slow.stream().write_all(b"{\"v\":1,\"id\":1,\"cmd\":\"status\"}\n");
        rig.run_for(1);
    }
    slow.stream().set_nonblocking(false).unwrap();
    rig.run_for(5_100);
    let mut heard = 0;
    while !slow.hear_line().is_empty() {
        heard += 1;
    }
    println!("{heard} answers were taken before the end");
    assert!(heard < 3_000);
}

/// A client that stays silent is dropped after a minute, one that speaks is not.
#[test]
fn an_idle_client_is_dropped() {
    let mut rig = Rig::new();
    let mut idle = Operator::admin(&rig.paths);
    let mut busy = Operator::admin(&rig.paths);
    for _ in 0..7 {
        busy.say(&json!({"v":1,"id":1,"cmd":"ping"}));
        rig.run_for(10_000);
        assert!(busy.hear().ok);
    }
    assert!(idle.is_closed());
}

#[test]
fn status_is_one_object_with_stable_keys_and_no_secret() {
    let mut rig = Rig::new();
    rig.arm();
    let mut reader = Operator::reader(&rig.paths);
    reader.say(&json!({"v":1,"id":1,"cmd":"status"}));
    rig.run_for(1);
    let status = reader.hear().result.unwrap();
    let keys: Vec<_> = status.as_object().unwrap().keys().cloned().collect();
    assert_eq!(
        keys,
        [
            "v", "at", "build", "mode", "pid", "boot_id", "uptime_s", "kill", "journal", "threads",
            "reviews", "latency", "counters", "refusals", "view"
        ]
    );
    assert_eq!(status["kill"]["level"], json!("ARMED"));
    assert_eq!(status["kill"]["trading"], json!(true));
    assert!(status["latency"]["tick_to_trade"]["p99_ns"].is_u64());
    assert_eq!(status["view"]["instruments"][0]["symbol"], json!("BTCUSDT"));
    let parsed: interlock::ops::status::Status = serde_json::from_value(status).unwrap();
    let shown = parsed.render();
    assert!(shown.contains("ARMED, trading") && shown.contains("BTCUSDT"), "{shown}");
    rig.page.trip(HaltLevel::RiskOff, Reason::Stall, rig.now().ns);
    reader.say(&json!({"v":1,"id":1,"cmd":"kill.status"}));
    rig.run_for(1);
    let kill: interlock::ops::status::KillStatus =
        serde_json::from_value(reader.hear().result.unwrap()).unwrap();
    assert!(kill.render().contains("TRIPPED (RISK_OFF) by STALL"), "{}", kill.render());
}

/// The byte scanner errs towards tripping, and only towards.
#[test]
fn the_scanner_finds_every_trip_and_few_others() {
    assert!(protocol::wants_trip(b"{\"cmd\":\"kill.trip\"}"));
    assert!(protocol::wants_trip(b"{\"cmd\":\"x\",\"cmd\"\n:\n\"kill.trip\""));
    for not in [
        &b"{\"cmd\":\"kill.status\"}"[..],
        b"{\"cmd\":\"status\",\"args\":{\"text\":\"kill.trip\"}}",
        b"",
        b"\"cmd\"",
        b"\"cmd\":",
        b"killed",
    ] {
        assert!(!protocol::wants_trip(not), "{}", String::from_utf8_lossy(not));
    }
    let seed = crate::support::seed(7);
    let mut state = seed;
    for _ in 0..20_000 {
        // Noise around the pattern never hides it; noise never panics.
        let mut line = Vec::new();
        for _ in 0..state % 40 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            line.push((state >> 56) as u8);
        }
        let _any = protocol::wants_trip(&line);
        let _parsed = protocol::parse(&line);
        line.extend_from_slice(b"\"cmd\":\"kill.trip\"");
        assert!(protocol::wants_trip(&line));
        state = state.wrapping_add(1).wrapping_mul(6_364_136_223_846_793_005);
    }
    let _null: Value = protocol::id_of(b"{");
}
