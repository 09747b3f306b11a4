//! A venue that lies, stammers and leaves things out, a clock that is wrong, and noise on the control socket: the engine lives,
//! counts what it met, and either mends it or stands still.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;

use interlock::sim::recording::{RecordingClock, RecordingConfig, Speed};
use interlock::sim::server::{self, VenueConfig};

use crate::stage::{Calm, Stage, wait_for};

#[test]
fn r_feed_3_damaged_market_data_is_counted_and_mended() {
    let stage = Stage::set();
    let mut engine = stage.calm_engine();
    stage.wait_until_trading();
    stage.faults(
        r#"{"seed":7,"fault":[{"kind":"garbage","one_in":40},{"kind":"truncate","one_in":40},{"kind":"drop","one_in":40},
            {"kind":"duplicate","one_in":40},{"kind":"reorder","one_in":40}]}"#,
    );
    wait_for("malformed messages and gaps", || {
        let counters = stage.status().counters;
        (counters["feed_malformed_total"] > 5 && counters["feed_gaps_total"] > 1).then_some(())
    });
    // A frame that no client may accept costs the connection, not the engine.
    let before = stage.status().counters["feed_reconnects_total"];
    stage.faults(r#"{"seed":7,"fault":[{"kind":"bad_frame","count":1}]}"#);
    wait_for("a new connection", || {
        (stage.status().counters["feed_reconnects_total"] > before).then_some(())
    });
    stage.faults("{}");
    wait_for("books in step again", || {
        let view = stage.status().view;
        (view.instruments.len() == 2 && view.instruments.iter().all(|i| i.book_valid)).then_some(())
    });
    stage.wait_until_trading();
    assert!(engine.0.try_wait().unwrap().is_none(), "it lives");
    assert!(!stage.log().contains("panicked"), "{}", stage.log());
}

#[test]
fn r_ord_6_a_venue_whose_clock_is_off_gets_no_order() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/binance_spot_recording/spot_btcusdt_20240808.gz");
    if !path.exists() {
        println!("skipped: no recordings");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    // The recorder's clock was 1.27 s behind the venue's; our bound is 1 s.
    let recording = RecordingConfig {
        files: vec![path],
        klines: Vec::new(),
        speed: Speed::Original,
        clock: RecordingClock::Shifted,
    };
    let config = VenueConfig { recording: Some(recording), ..VenueConfig::demo(dir.path().join("venue")) };
    let venue = server::start(config).unwrap();
    let stage = Stage::on(dir, Box::new(venue));
    let _engine = stage.engine_at(&stage.venue_file(), &Calm::eager(&stage));
    let status = wait_for("a refusal for the clock", || {
        let status = stage.status();
        status.view.refusals.iter().any(|r| r.reason == "CLOCK_OFFSET" && r.refused > 0).then_some(status)
    });
    assert_eq!(status.view.totals.orders_sent, 0);
    let offset_ns = status.view.clock_offset_ns.unwrap();
    assert!(offset_ns > 1_000_000_000, "{offset_ns}");
}

#[test]
fn r_kill_1_noise_on_the_control_socket_does_no_harm_and_a_broken_trip_still_trips() {
    let stage = Stage::set();
    let mut engine = stage.calm_engine();
    stage.wait_until_trading();
    let connect = || UnixStream::connect(stage.paths.admin_socket()).unwrap();
    // A line without end, bytes that are no text, a client that says half a word and leaves.
    let mut noisy = connect();
    let _too_much = noisy.write_all(&vec![b'x'; 1 << 20]);
    let mut answer = Vec::new();
    let _cut = noisy.read_to_end(&mut answer);
    assert!(!String::from_utf8_lossy(&answer).contains("\"ok\":true"), "noise is never a command");
    let mut binary = connect();
    binary.write_all(b"\xff\xfe\x00\n{\"v\":1}\n").unwrap();
    let mut line = [0; 512];
    let count = binary.read(&mut line).unwrap();
    assert!(String::from_utf8_lossy(&line[..count]).contains("bad_request"));
    drop(connect().write_all(b"{\"v\":1,\"id\":"));
    stage.wait_until_trading();
    connect().write_all(b"{\"v\":1,\"id\":7,\"cmd\":\"kill.trip\",\"args\":{\"rea\n").unwrap();
    wait_for("the trip", || (!stage.status().kill.trading).then_some(()));
    assert!(engine.0.try_wait().unwrap().is_none(), "it lives");
}
