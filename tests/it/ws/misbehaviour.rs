//! Peers that break the rules: each is refused by name, at once, for good.

use interlock::limits;
use interlock::types::Reason;
use interlock::wire::ws::{Misbehaviour, WsError};

use super::{
    MESSAGE_BYTES_MAX, Seen, answer_to, client, feed, open_client, open_client_with, ping, take_transmit,
    text, unmask,
};

/// Feeds bytes, whole and byte by byte, to an open client: the last event must be the error, and the peer must be told.
fn check(bytes: &[u8], expected: WsError, code: Option<u16>) {
    for step in [bytes.len(), 1] {
        let mut client = open_client();
        let mut seen = Vec::new();
        for piece in bytes.chunks(step) {
            seen.extend(feed(&mut client, piece));
            if matches!(seen.last(), Some(Seen::Failed(_))) {
                break;
            }
        }
        assert_eq!(seen.last(), Some(&Seen::Failed(expected)), "{bytes:02x?}");
        assert_eq!(client.poll().map(|_| ()), Err(expected), "an error is final");
        let closing = unmask(&take_transmit(&mut client));
        let told = code.map(|code| (0x88, code.to_be_bytes().to_vec()));
        assert_eq!(closing.last(), told.as_ref(), "{bytes:02x?}");
        assert!(!expected.to_string().is_empty());
    }
}

#[test]
fn frames_that_break_the_rules() {
    use Misbehaviour as M;
    for (bytes, how) in [
        (&b"\x81\x81\x01\x02\x03\x04x"[..], M::Masked),
        (b"\x89\x80\x01\x02\x03\x04", M::Masked),
        (b"\xc1\x01x", M::ReservedBits),
        (b"\xa1\x01x", M::ReservedBits),
        (b"\x91\x01x", M::ReservedBits),
        (b"\xc9\x00", M::ReservedBits),
        (b"\x83\x00", M::ReservedOpcode),
        (b"\x87\x00", M::ReservedOpcode),
        (b"\x8b\x00", M::ReservedOpcode),
        (b"\x8f\x00", M::ReservedOpcode),
        (b"\x80\x01x", M::UnexpectedContinuation),
        (b"\x00\x01x", M::UnexpectedContinuation),
        (b"\x01\x01a\x81\x01b", M::ExpectedContinuation),
        (b"\x01\x00\x01\x01b", M::ExpectedContinuation),
        (b"\x01\x01a\x80\x01b\x80\x01c", M::UnexpectedContinuation),
        (b"\x09\x00", M::FragmentedControl),
        (b"\x08\x00", M::FragmentedControl),
        (b"\x89\x7e\x00\x7e", M::LongControl),
        (b"\x8a\x7f\x00\x00\x00\x00\x00\x00\x00\x7e", M::LongControl),
        (b"\x81\x7e\x00\x7d", M::BadLength),
        (b"\x81\x7f\x00\x00\x00\x00\x00\x00\xff\xff", M::BadLength),
        (b"\x81\x7f\x80\x00\x00\x00\x00\x00\x00\x00", M::BadLength),
        (b"\x88\x01\x03", M::BadClose),
        (b"\x88\x02\x03\xed", M::BadClose), // 1005
        (b"\x88\x02\x03\xee", M::BadClose), // 1006
        (b"\x88\x02\x00\x01", M::BadClose),
        (b"\x88\x02\xff\xff", M::BadClose),
    ] {
        check(bytes, WsError::PeerMisbehaved(how), Some(1002));
        // The same behind good frames.
        check(
            &[text(b"good"), ping(b"x"), bytes.to_vec()].concat(),
            WsError::PeerMisbehaved(how),
            Some(1002),
        );
    }
    check(b"\x82\x01x", WsError::PeerMisbehaved(M::Binary), Some(1003));
    assert_eq!(WsError::PeerMisbehaved(M::Masked).reason(), Reason::Malformed);
}

#[test]
fn a_message_over_the_bound_is_refused_by_its_header_alone() {
    let too_large = |bytes| WsError::TooLarge { bytes, bytes_max: MESSAGE_BYTES_MAX };
    check(b"\x81\x7f\x00\x00\x00\x00\x00\x01\x86\xa1", too_large(100_001), Some(1009));
    check(b"\x81\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", too_large(usize::MAX >> 1), Some(1009));
    // In fragments: the sum counts.
    let mut bytes = b"\x01\x7f\x00\x00\x00\x00\x00\x01\x86\x9f".to_vec();
    bytes.extend(vec![b'a'; 99_999]);
    let mut client = open_client();
    assert_eq!(feed(&mut client, &bytes), []);
    assert_eq!(feed(&mut client, b"\x00\x02"), [Seen::Failed(too_large(100_001))]);
    // A small bound is kept on the whole-frame path too.
    let mut client = open_client_with(10);
    assert_eq!(feed(&mut client, &text(&[b'a'; 10])), [Seen::Text(vec![b'a'; 10])]);
    let error = WsError::TooLarge { bytes: 11, bytes_max: 10 };
    assert_eq!(feed(&mut client, &text(&[b'a'; 11])), [Seen::Failed(error)]);
}

#[test]
fn good_frames_before_a_bad_one_are_still_heard() {
    let mut client = open_client();
    let seen = feed(&mut client, &[text(b"a fill"), b"\xf1\x00".to_vec()].concat());
    let error = WsError::PeerMisbehaved(Misbehaviour::ReservedBits);
    assert_eq!(seen, [Seen::Text(b"a fill".to_vec()), Seen::Failed(error)]);
}

#[test]
fn a_flood_of_pings_while_we_cannot_write_ends_the_connection() {
    let mut client = open_client();
    let flood = ping(&[7; 125]).repeat(1_000);
    let seen = feed(&mut client, &flood);
    let full = WsError::TransmitFull { bytes_max: limits::WS_TRANSMIT_BYTES_MAX };
    assert_eq!(seen.last(), Some(&Seen::Failed(full)));
    assert!(take_transmit(&mut client).len() <= limits::WS_TRANSMIT_BYTES_MAX);
    // Our own texts are refused instead, and the connection lives.
    let mut client = open_client();
    assert_eq!(client.send_text(&vec![b'a'; limits::WS_TRANSMIT_BYTES_MAX]), Err(full));
    assert!(client.is_open());
}

#[test]
fn nothing_is_sent_before_the_handshake_or_after_a_close() {
    let mut client = client();
    assert_eq!(client.send_text(b"early"), Err(WsError::NotOpen));
    let mut client = open_client();
    client.close(1000);
    assert_eq!(client.send_text(b"late"), Err(WsError::NotOpen));
    assert_eq!(client.send_ping(b""), Err(WsError::NotOpen));
    assert_eq!(unmask(&take_transmit(&mut client)).len(), 1);
}

/// Feeds an answer to the handshake, made from the correct one.
fn check_answer(change: impl Fn(String) -> String, expected: Result<(), WsError>) {
    let mut client = client();
    let answer = String::from_utf8(answer_to(&take_transmit(&mut client))).unwrap();
    let answer = change(answer);
    let seen = feed(&mut client, answer.as_bytes());
    match expected {
        Ok(()) => assert_eq!(seen, [Seen::Open], "{answer}"),
        Err(error) => {
            assert_eq!(seen, [Seen::Failed(error)], "{answer}");
            assert_eq!(client.transmit(), None, "nothing is said to a server that is no WebSocket");
        }
    }
}

#[test]
fn handshakes_that_are_none() {
    use Misbehaviour as M;
    let bad = |how| Err(WsError::PeerMisbehaved(how));
    let refused = |status, retry_after_s| Err(WsError::HandshakeRefused { status, retry_after_s });
    check_answer(|a| a, Ok(()));
    check_answer(|a| a.replace("keep-alive, Upgrade", "upgrade"), Ok(()));
    check_answer(|_| "HTTP/1.1 429 Too Many\r\nRetry-After: 12\r\n\r\n".to_owned(), refused(429, Some(12)));
    check_answer(|_| "HTTP/1.1 418 Teapot\r\nretry-after: soon\r\n\r\n".to_owned(), refused(418, None));
    check_answer(|_| "HTTP/1.1 503 Down\r\nContent-Length: 4\r\n\r\ndown".to_owned(), refused(503, None));
    check_answer(|_| "HTTP/1.1 200 OK\r\n\r\n".to_owned(), refused(200, None));
    check_answer(|_| "HTTP/1.1 301 Moved\r\nLocation: /\r\n\r\n".to_owned(), refused(301, None));
    check_answer(|a| a.replace("HTTP/1.1", "HTTP/1.0"), bad(M::BadHead));
    check_answer(|_| "SSH-2.0-OpenSSH_9.6\r\n".to_owned(), bad(M::BadHead));
    check_answer(|_| "\u{16}\u{3}\u{1}".to_owned(), bad(M::BadHead));
    check_answer(|a| a.replace("UPGRADE: WebSocket", "Upgrade: h2c"), bad(M::NotUpgraded));
    check_answer(|a| a.replace("UPGRADE: WebSocket\r\n", ""), bad(M::NotUpgraded));
    check_answer(|a| a.replace("keep-alive, Upgrade", "keep-alive"), bad(M::NotUpgraded));
    check_answer(|a| a.replace("Accept: ", "Accept: A"), bad(M::BadAccept));
    check_answer(|a| a.replace("Sec-WebSocket-Accept", "X"), bad(M::BadAccept));
    check_answer(|a| a.replace("Server: test", "Sec-WebSocket-Accept: x"), bad(M::BadAccept));
    check_answer(
        |a| a.replace("Server: test", "Sec-WebSocket-Extensions: permessage-deflate"),
        bad(M::NotOffered),
    );
    check_answer(|a| a.replace("Server: test", "Sec-WebSocket-Protocol: json"), bad(M::NotOffered));
    check_answer(|a| a.replace("Server: test", &"A: b\r\n".repeat(70)), bad(M::BadHead));
    let long = limits::HTTP_HEAD_BYTES_MAX;
    check_answer(|a| a.replace("test", &"t".repeat(long)), Err(WsError::HeadTooLarge));
    check_answer(|a| a.replace("test", &"t".repeat(long - 1_000)), Ok(()));
    assert_eq!(refused(429, None).unwrap_err().reason(), Reason::RateLimited);
    assert_eq!(refused(418, None).unwrap_err().reason(), Reason::Banned);
    assert_eq!(refused(503, None).unwrap_err().reason(), Reason::Refused);
}
