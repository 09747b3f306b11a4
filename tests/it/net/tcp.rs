//! Plain links: opening, failing to open, partial writes, ends.

use std::io::Write as _;
use std::net::TcpListener;

use interlock::limits;
use interlock::net::{Endpoint, TcpConnector, TcpTimeouts, TlsRoots, client_config};
use interlock::types::Reason;
use interlock::wire::link::{Connector as _, Link as _, LinkState};

use super::{Peer, connector, listen, open, read_exactly, read_to_end, until};

fn plain(url: &str) -> TcpConnector {
    connector(url, &client_config(&TlsRoots::WebPki))
}

#[test]
fn a_plain_link_carries_bytes_both_ways_and_sees_the_end() {
    let (listener, port) = listen("127.0.0.1");
    let (mut link, peer) = open(&mut plain(&format!("ws://127.0.0.1:{port}/")), &listener, None);
    let mut peer = peer.unwrap();
    assert_eq!(link.drive(2), LinkState::Open);
    assert_eq!(link.read(&mut [0; 8]), Ok(0), "nothing there is not an error");
    assert_eq!(link.read(&mut []), Ok(0), "no room is not an end");
    link.write(b"to them").unwrap();
    assert!(link.is_flushed());
    until("it arrives", || {
        peer.pump();
        peer.received == b"to them"
    });
    peer.send(b"to us");
    assert_eq!(read_exactly(&mut link, 5), b"to us");
    peer.send(b"last words");
    drop(peer);
    assert_eq!(read_to_end(&mut link), (b"last words".to_vec(), Reason::Closed));
    assert_eq!(link.drive(3), LinkState::Closed(Reason::Closed));
    assert_eq!(link.write(b"x"), Err(Reason::Closed));
    assert_eq!(link.read(&mut [0; 8]), Err(Reason::Closed));
    assert!(link.last_error().unwrap().contains("the peer closed"), "{:?}", link.last_error());
}

#[test]
fn localhost_tries_both_families() {
    for address in ["127.0.0.1", "::1"] {
        let Ok(listener) = TcpListener::bind((address, 0)) else {
            println!("skipped: no {address} here");
            continue;
        };
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mut link, peer) = open(&mut plain(&format!("ws://localhost:{port}/")), &listener, None);
        assert_eq!(link.drive(2), LinkState::Open, "{:?}", link.last_error());
        assert_eq!(peer.unwrap().stream.local_addr().unwrap().ip().to_string(), address);
    }
}

#[test]
fn a_refused_port_is_unreachable_and_says_where() {
    let (listener, port) = listen("127.0.0.1");
    drop(listener);
    let mut link = plain(&format!("ws://127.0.0.1:{port}/")).open(0);
    until("it fails", || link.drive(1) != LinkState::Opening);
    assert_eq!(link.drive(1), LinkState::Closed(Reason::Unreachable));
    let text = link.last_error().unwrap();
    assert!(text.contains(&format!("127.0.0.1:{port}")) && text.contains("refused"), "{text}");
    assert_eq!(link.write(b"x"), Err(Reason::Unreachable));
}

#[test]
fn a_name_that_is_not_found_ends_by_answer_or_by_deadline_and_never_blocks() {
    let mut connector = plain("ws://no-such-host.invalid/");
    let mut link = connector.open(0);
    let _still_opening = link.drive(1);
    let state = link.drive(TcpTimeouts::default().open_ns);
    assert!(matches!(state, LinkState::Closed(Reason::Timeout | Reason::Unreachable)), "{state:?}");
    let text = link.last_error().unwrap();
    assert!(text.contains("no-such-host.invalid") && text.contains("resolved"), "{text}");
}

#[test]
fn an_address_that_never_answers_ends_at_the_connect_deadline() {
    // A listener whose backlog is full takes no more connections: the kernel drops the requests silently.
    let socket =
        rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None).unwrap();
    rustix::net::bind(&socket, &std::net::SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    rustix::net::listen(&socket, 0).unwrap();
    let listener = TcpListener::from(socket);
    let port = listener.local_addr().unwrap().port();
    let timeouts = TcpTimeouts::default();
    let mut connector = plain(&format!("ws://127.0.0.1:{port}/"));
    let mut links: Vec<_> = (0..6).map(|_| connector.open(0)).collect();
    for _ in 0..1_000 {
        for link in &mut links {
            let _state = link.drive(1);
        }
        std::thread::yield_now();
    }
    let mut late = links.into_iter().filter_map(|mut link| match link.drive(1 + timeouts.connect_ns) {
        LinkState::Open => None,
        state => Some((state, link.last_error().unwrap_or_default().to_owned())),
    });
    let (state, text) = late.next().expect("a full backlog leaves some unanswered");
    assert_eq!(state, LinkState::Closed(Reason::Unreachable));
    assert!(text.contains("in time") && text.contains("127.0.0.1"), "{text}");
}

#[test]
fn before_it_is_open_a_write_is_refused_without_ending_the_link() {
    let (listener, port) = listen("127.0.0.1");
    let mut link = plain(&format!("ws://127.0.0.1:{port}/")).open(0);
    assert_eq!(link.write(b"early"), Err(Reason::LineFull));
    assert_eq!(link.read(&mut [0; 8]), Ok(0));
    let mut peer = None;
    until("it opens", || {
        peer = peer.take().or_else(|| Peer::accept(&listener, None));
        link.drive(1) == LinkState::Open && peer.is_some()
    });
    link.write(b"now").unwrap();
}

#[test]
fn a_full_socket_keeps_the_rest_up_to_the_bound_and_loses_nothing() {
    let (listener, port) = listen("127.0.0.1");
    let (mut link, peer) = open(&mut plain(&format!("ws://127.0.0.1:{port}/")), &listener, None);
    super::tls::check_full_socket(&mut link, &mut peer.unwrap());
    let mut connector = plain(&format!("ws://127.0.0.1:{port}/"));
    let (mut link, _peer) = open(&mut connector, &listener, None);
    let too_much = vec![0; limits::LINK_PENDING_BYTES_MAX + 1];
    assert_eq!(link.write(&too_much), Err(Reason::LineFull));
    assert_eq!(link.drive(2), LinkState::Open);
}

#[test]
fn a_reset_ends_the_link() {
    let (listener, port) = listen("127.0.0.1");
    let (mut link, peer) = open(&mut plain(&format!("ws://127.0.0.1:{port}/")), &listener, None);
    let peer = peer.unwrap();
    link.write(b"unread").unwrap();
    drop(peer); // with unread bytes inside, the kernel answers with a reset
    assert_eq!(read_to_end(&mut link), (Vec::new(), Reason::Closed));
    assert!(link.last_error().unwrap().contains("reset"), "{:?}", link.last_error());
}

#[test]
fn a_closed_link_is_closed_and_a_new_one_can_be_opened() {
    let (listener, port) = listen("127.0.0.1");
    let mut connector = plain(&format!("ws://127.0.0.1:{port}/"));
    for _ in 0..3 {
        let (mut link, peer) = open(&mut connector, &listener, None);
        let mut peer = peer.unwrap();
        link.write(b"x").unwrap();
        link.close();
        link.close();
        assert_eq!(link.drive(9), LinkState::Closed(Reason::Closed));
        until("they see it", || {
            peer.pump();
            peer.is_over
        });
        assert_eq!(peer.received, b"x");
    }
    assert_eq!(connector.endpoint(), &Endpoint::parse(&format!("ws://127.0.0.1:{port}/")).unwrap());
}

#[test]
fn a_tls_link_to_a_plain_port_says_so() {
    let (listener, port) = listen("127.0.0.1");
    let mut link = plain(&format!("wss://127.0.0.1:{port}/")).open(0);
    let mut peer = None;
    until("it fails", || {
        if peer.is_none() {
            peer = Peer::accept(&listener, None);
            if let Some(peer) = &mut peer {
                peer.stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
            }
        }
        link.drive(1) != LinkState::Opening
    });
    assert_eq!(link.drive(1), LinkState::Closed(Reason::Tls));
    assert!(link.last_error().unwrap().contains("does not speak TLS"), "{:?}", link.last_error());
}
