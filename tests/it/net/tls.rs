//! TLS links: records cut anywhere, certificates that must not be taken, ends, key updates, resumption.

use std::io::Write as _;
use std::path::Path;
use std::sync::Arc;

use interlock::net::{TcpLink, TcpTimeouts, TlsRoots, TlsRootsError};
use interlock::types::Reason;
use interlock::wire::link::{Connector as _, Link as _, LinkState};
use interlock::wire::ws::{WsClient, WsConfig, WsEvent};
use rcgen::CertificateParams;
use rustls::ServerConfig;

use super::{Authority, Peer, connector, listen, open, read_exactly, read_some, read_to_end, until};

/// An open TLS link and its peer.
fn pair(authority: &Authority, server: &Arc<ServerConfig>) -> (TcpLink, Peer) {
    let (listener, port) = listen("127.0.0.1");
    let mut connector = connector(&format!("wss://localhost:{port}/"), &authority.client());
    let (mut link, peer) = open(&mut connector, &listener, Some(server));
    assert_eq!(link.drive(1), LinkState::Open, "{:?}", link.last_error());
    (link, peer.unwrap())
}

/// Writes until the socket is full and the bound is reached, then lets the peer read: all must arrive, in order.
pub(crate) fn check_full_socket(link: &mut TcpLink, peer: &mut Peer) {
    let piece: Vec<u8> = (0..65_521_u32).map(|at| at.to_le_bytes()[0] ^ at.to_le_bytes()[1]).collect();
    peer.received.clear();
    let mut count = 0;
    let full = loop {
        match link.write(&piece) {
            Ok(()) => count += 1,
            Err(reason) => break reason,
        }
        assert!(count < 10_000, "a socket that is never full");
    };
    assert_eq!(full, Reason::LineFull);
    assert!(!link.is_flushed());
    until("all is sent", || {
        peer.pump();
        assert_eq!(link.drive(2), LinkState::Open);
        link.is_flushed()
    });
    link.write(b"after").unwrap();
    until("all has arrived", || {
        peer.pump();
        peer.received.ends_with(b"after")
    });
    assert_eq!(peer.received.len(), count * piece.len() + 5);
    assert!(peer.received[..count * piece.len()].chunks(piece.len()).all(|c| c == piece));
}

#[test]
fn both_versions_carry_bytes_both_ways() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let server = authority.server_with("localhost", &[version], |_| {});
        let (mut link, mut peer) = pair(&authority, &server);
        assert_eq!(peer.tls.as_ref().unwrap().protocol_version(), Some(version.version));
        link.write(b"to them").unwrap();
        until("it arrives", || {
            peer.pump();
            peer.received == b"to them"
        });
        peer.send(b"to us");
        assert_eq!(read_exactly(&mut link, 5), b"to us");
        assert_eq!(link.read(&mut [0; 8]), Ok(0));
        check_full_socket(&mut link, &mut peer);
    }
}

#[test]
fn a_record_cut_at_every_byte() {
    let authority = Authority::new();
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let server = authority.server_with("localhost", &[version], |_| {});
        let (mut link, mut peer) = pair(&authority, &server);
        let len = peer.seal(b"x").len() + 30;
        drop((link, peer));
        (link, peer) = pair(&authority, &server);
        for at in 0..len {
            let text = format!("message {at:022}");
            let bytes = peer.seal(text.as_bytes());
            assert!(bytes.len() <= len);
            let (first, second) = bytes.split_at(at.min(bytes.len() - 1));
            peer.stream.write_all(first).unwrap();
            for _ in 0..3 {
                assert_eq!(link.read(&mut [0; 100]), Ok(0), "cut at {at}: half a record is nothing");
            }
            peer.stream.write_all(second).unwrap();
            assert_eq!(read_some(&mut link), text.as_bytes(), "cut at {at}");
        }
    }
}

#[test]
fn several_frames_in_a_record_several_records_in_a_read_and_the_largest_record() {
    let authority = Authority::new();
    let (mut link, mut peer) = pair(&authority, &authority.server("localhost", |_| {}));
    let (mut bytes, mut all) = (Vec::new(), String::new());
    for at in 0..50 {
        let frame = format!("<{at:03}>");
        bytes.extend(peer.seal(frame.as_bytes()));
        all.push_str(&frame);
    }
    peer.stream.write_all(&bytes).unwrap();
    assert_eq!(read_exactly(&mut link, 250), all.as_bytes());
    // 100,000 bytes are seven records, most of them the largest there is; read through a small window.
    let text: Vec<u8> = (0..100_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    peer.send(&text);
    let mut received = Vec::new();
    let mut window = [0; 701];
    until("all came", || {
        let count = link.read(&mut window).unwrap();
        received.extend_from_slice(&window[..count]);
        received.len() == text.len()
    });
    assert!(received == text);
}

/// What comes of a server whose certificate must not be taken.
fn refused(client: &Authority, server: &Arc<ServerConfig>, url_host: &str) -> String {
    let (listener, port) = listen("127.0.0.1");
    let mut connector = connector(&format!("wss://{url_host}:{port}/"), &client.client());
    let (mut link, peer) = open(&mut connector, &listener, Some(server));
    assert_eq!(link.drive(1), LinkState::Closed(Reason::Tls), "{:?}", link.last_error());
    assert_eq!(link.write(b"secret"), Err(Reason::Tls));
    let mut peer = peer.unwrap();
    until("they see it", || {
        peer.pump();
        peer.is_over
    });
    assert_eq!(peer.received, b"");
    let text = link.last_error().unwrap().to_owned();
    assert!(text.contains(&format!("{url_host}:{port}")), "{text}");
    text
}

#[test]
fn wrong_certificates_are_refused_and_the_text_says_why() {
    let (authority, other) = (Authority::new(), Authority::named("another"));
    let text = refused(&authority, &other.server("localhost", |_| {}), "localhost");
    assert!(text.contains("not trusted here") && text.contains("CA file"), "{text}");
    let text = refused(&authority, &Authority::new().server("localhost", |_| {}), "localhost");
    assert!(text.contains("earlier start"), "{text}");
    let text = refused(&authority, &authority.server("elsewhere.test", |_| {}), "localhost");
    assert!(text.contains("for another name") && text.contains("elsewhere.test"), "{text}");
    let text = refused(&authority, &authority.server("localhost", |_| {}), "127.0.0.1");
    assert!(text.contains("for another name"), "{text}");
    let expired = |p: &mut CertificateParams| p.not_after = rcgen::date_time_ymd(2020, 1, 1);
    let text = refused(&authority, &authority.server("localhost", expired), "localhost");
    assert!(text.contains("expired") && text.contains("clock"), "{text}");
    let early = |p: &mut CertificateParams| p.not_before = rcgen::date_time_ymd(3020, 1, 1);
    let text = refused(&authority, &authority.server("localhost", early), "localhost");
    assert!(text.contains("not valid yet"), "{text}");
}

#[test]
fn an_address_may_be_certified_too() {
    let authority = Authority::new();
    let (listener, port) = listen("127.0.0.1");
    let server = authority.server("127.0.0.1", |_| {});
    let mut connector = connector(&format!("wss://127.0.0.1:{port}/"), &authority.client());
    let (mut link, _peer) = open(&mut connector, &listener, Some(&server));
    assert_eq!(link.drive(1), LinkState::Open, "{:?}", link.last_error());
}

#[test]
fn a_server_that_never_answers_ends_at_the_deadline() {
    let authority = Authority::new();
    let (listener, port) = listen("127.0.0.1");
    let mut connector = connector(&format!("wss://localhost:{port}/"), &authority.client());
    let mut link = connector.open(1_000);
    let mut peer = None;
    until("the connection is there", || {
        peer = peer.take().or_else(|| Peer::accept(&listener, None));
        assert_eq!(link.drive(1_001), LinkState::Opening);
        peer.is_some()
    });
    let deadline_ns = 1_000 + TcpTimeouts::default().open_ns;
    assert_eq!(link.drive(deadline_ns - 1), LinkState::Opening);
    assert_eq!(link.drive(deadline_ns), LinkState::Closed(Reason::Timeout));
    let text = link.last_error().unwrap();
    assert!(text.contains("TLS handshake") && text.contains("10000 ms"), "{text}");
}

#[test]
fn goodbyes_and_cut_streams_are_told_apart() {
    let authority = Authority::new();
    let server = authority.server("localhost", |_| {});
    let (mut link, mut peer) = pair(&authority, &server);
    let mut bytes = peer.seal(b"last words");
    peer.tls.as_mut().unwrap().send_close_notify();
    bytes.extend(peer.seal(b""));
    peer.stream.write_all(&bytes).unwrap();
    assert_eq!(read_to_end(&mut link), (b"last words".to_vec(), Reason::Closed));
    assert!(link.last_error().unwrap().contains("goodbye (close_notify)"), "{:?}", link.last_error());

    let (mut link, mut peer) = pair(&authority, &server);
    peer.send(b"last words");
    drop(peer);
    assert_eq!(read_to_end(&mut link), (b"last words".to_vec(), Reason::Closed));
    assert!(link.last_error().unwrap().contains("cut short"), "{:?}", link.last_error());

    let (mut link, mut peer) = pair(&authority, &server);
    link.write(b"bye").unwrap();
    link.close();
    until("they see it", || {
        peer.pump();
        peer.is_over
    });
    assert_eq!(peer.received, b"bye");
    let tls = peer.tls.as_mut().unwrap();
    assert!(tls.process_new_packets().unwrap().peer_has_closed(), "we say goodbye too");
}

#[test]
fn a_damaged_record_ends_the_link_after_the_good_ones() {
    let authority = Authority::new();
    let (mut link, mut peer) = pair(&authority, &authority.server("localhost", |_| {}));
    let mut bytes = peer.seal(b"a fill");
    let good = bytes.len();
    bytes.extend(peer.seal(b"forged"));
    bytes[good + 10] ^= 1;
    peer.stream.write_all(&bytes).unwrap();
    assert_eq!(read_to_end(&mut link), (b"a fill".to_vec(), Reason::Tls));
    assert!(link.last_error().is_some());
    assert_eq!(link.drive(3), LinkState::Closed(Reason::Tls));
}

#[test]
fn key_updates_are_followed() {
    let authority = Authority::new();
    let (mut link, mut peer) =
        pair(&authority, &authority.server_with("localhost", &[&rustls::version::TLS13], |_| {}));
    for round in 0..5 {
        peer.tls.as_mut().unwrap().refresh_traffic_keys().unwrap();
        let text = format!("round {round}");
        peer.send(text.as_bytes());
        assert_eq!(read_exactly(&mut link, text.len()), text.as_bytes());
        link.write(text.as_bytes()).unwrap();
        until("the answer comes under the new key", || {
            peer.pump();
            assert!(!peer.is_over);
            peer.received == text.as_bytes()
        });
        peer.received.clear();
    }
}

#[test]
fn sessions_are_resumed_across_links_and_connectors() {
    let authority = Authority::new();
    let server = authority.server("localhost", |_| {});
    let (listener, port) = listen("127.0.0.1");
    let client = authority.client();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let mut connector = connector(&format!("wss://localhost:{port}/"), &client);
        let (mut link, peer) = open(&mut connector, &listener, Some(&server));
        let mut peer = peer.unwrap();
        peer.send(b"ticket"); // the ticket comes before it
        assert_eq!(read_exactly(&mut link, 6), b"ticket");
        kinds.push(peer.tls.as_ref().unwrap().handshake_kind());
    }
    assert_eq!(kinds[0], Some(rustls::HandshakeKind::Full));
    assert_eq!(kinds[1..], [Some(rustls::HandshakeKind::Resumed); 2]);
}

#[test]
fn a_websocket_over_tls_reads_into_its_own_buffer() {
    let authority = Authority::new();
    let (mut link, mut peer) = pair(&authority, &authority.server("localhost", |_| {}));
    let config = WsConfig { host: "localhost".to_owned(), path: "/ws".to_owned(), message_bytes_max: 1_000 };
    let mut ws = WsClient::new(&config, 7);
    link.write(ws.transmit().unwrap()).unwrap();
    ws.transmitted();
    until("the request arrives", || {
        peer.pump();
        peer.received.ends_with(b"\r\n\r\n")
    });
    let mut answer = crate::ws::answer_to(&peer.received);
    answer.extend(crate::ws::text(b"{}"));
    peer.send(&answer);
    let count = read_some_into(&mut link, &mut ws);
    ws.filled(count);
    assert!(matches!(ws.poll(), Ok(WsEvent::Open)));
    assert!(matches!(ws.poll(), Ok(WsEvent::Text(text)) if text.text() == b"{}"));
    assert!(matches!(ws.poll(), Ok(WsEvent::Idle)));
}

fn read_some_into(link: &mut TcpLink, ws: &mut WsClient) -> usize {
    let mut count = 0;
    until("bytes come", || {
        count = link.read(ws.spare()).unwrap();
        count > 0
    });
    count
}

#[test]
fn files_of_authorities_that_are_none_are_refused_at_start() {
    let origin = Path::new("ca.pem");
    let error = TlsRoots::from_pem(b"", origin).unwrap_err();
    assert!(matches!(error, TlsRootsError::Empty { .. }), "{error}");
    let error = TlsRoots::from_pem(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", origin)
        .unwrap_err();
    assert!(
        matches!(error, TlsRootsError::Malformed { .. }) && error.to_string().contains("ca.pem"),
        "{error}"
    );
    let error = TlsRoots::from_pem(b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n", origin)
        .unwrap_err();
    assert!(matches!(error, TlsRootsError::Malformed { .. }), "{error}");
    let error = TlsRoots::from_pem_file(Path::new("/nonexistent/ca.pem")).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/ca.pem"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, &Authority::new().pem).unwrap();
    assert!(
        matches!(TlsRoots::from_pem_file(&path), Ok(TlsRoots::Pinned(certificates)) if certificates.len() == 1)
    );
}
