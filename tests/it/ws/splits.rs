//! The same stream cut anywhere is the same session.

use interlock::wire::json::JsonReader;
use interlock::wire::ws::{WsClient, WsEvent};
use tungstenite::protocol::frame::coding::{Data, OpCode};

use super::{
    Seen, answer_to, client, drain, feed, frame, open_client, open_client_with, ping, take_transmit, text,
    unmask,
};

/// A handshake answer with frames of every kind right behind it, and what must come of them.
fn stream(answer: &[u8]) -> (Vec<u8>, Vec<Seen>) {
    let part = |payload: &[u8], is_first, is_final| {
        let data = if is_first { Data::Text } else { Data::Continue };
        frame(OpCode::Data(data), payload, is_final)
    };
    let long = vec![b'x'; 130];
    let bytes = [
        answer.to_vec(),
        text(b"rides on the 101"),
        text(b""),
        text(&long),
        part(b"one ", true, false),
        ping(b"p1"),
        part(b"", false, false),
        part(b"two ", false, false),
        ping(b""),
        frame(OpCode::Control(tungstenite::protocol::frame::coding::Control::Pong), b"q", true),
        part(b"three", false, true),
        part(b"", true, false),
        part(b"", false, true),
        text(b"last"),
        b"\x88\x04\x03\xe8ok".to_vec(),
    ]
    .concat();
    let seen = vec![
        Seen::Open,
        Seen::Text(b"rides on the 101".to_vec()),
        Seen::Text(Vec::new()),
        Seen::Text(long),
        Seen::Ping,
        Seen::Ping,
        Seen::Pong,
        Seen::Text(b"one two three".to_vec()),
        Seen::Text(Vec::new()),
        Seen::Text(b"last".to_vec()),
        Seen::Closed(Some(1000)),
    ];
    (bytes, seen)
}

fn replies() -> Vec<(u8, Vec<u8>)> {
    vec![(0x8a, b"p1".to_vec()), (0x8a, Vec::new()), (0x88, vec![0x03, 0xe8])]
}

fn check(pieces: &[&[u8]], expected: &[Seen]) {
    let mut client = client();
    let _request = take_transmit(&mut client);
    let seen: Vec<Seen> = pieces.iter().flat_map(|piece| feed(&mut client, piece)).collect();
    assert_eq!(seen, expected, "cut into {:?}", pieces.iter().map(|p| p.len()).collect::<Vec<_>>());
    assert_eq!(unmask(&take_transmit(&mut client)), replies());
}

#[test]
fn one_cut_at_every_byte() {
    let (bytes, expected) = stream(&answer_to(&take_transmit(&mut client())));
    for at in 0..=bytes.len() {
        check(&[&bytes[..at], &bytes[at..]], &expected);
    }
}

#[test]
fn two_cuts_at_every_pair_of_bytes() {
    let answer = answer_to(&take_transmit(&mut client()));
    let (bytes, expected) = stream(&answer);
    for first in (answer.len() - 2)..bytes.len() {
        for second in (first..bytes.len()).step_by(3) {
            check(&[&bytes[..first], &bytes[first..second], &bytes[second..]], &expected);
        }
    }
}

#[test]
fn byte_by_byte() {
    let (bytes, expected) = stream(&answer_to(&take_transmit(&mut client())));
    check(&bytes.chunks(1).collect::<Vec<_>>(), &expected);
}

#[test]
fn long_frames_cut_around_their_header() {
    for len in [126, 65_535, 65_536, 99_990] {
        let payload = vec![b'y'; len];
        let bytes = text(&payload);
        for at in (0..16).chain(bytes.len() - 3..bytes.len()) {
            let mut client = open_client();
            let mut seen = feed(&mut client, &bytes[..at]);
            seen.extend(feed(&mut client, &bytes[at..]));
            assert!(seen == [Seen::Text(payload.clone())], "{len} bytes cut at {at}");
        }
    }
}

#[test]
fn truncated_input_is_idle_and_not_an_error() {
    let (bytes, _) = stream(&answer_to(&take_transmit(&mut client())));
    let mut client = client();
    let _seen = feed(&mut client, &bytes[..bytes.len() - 20]);
    for _ in 0..3 {
        assert!(matches!(client.poll(), Ok(WsEvent::Idle)));
    }
}

/// Gives the client one byte at a time through its own spare room, so that buffers wrap at every position.
fn trickle(client: &mut WsClient, bytes: &[u8], step: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    for piece in bytes.chunks(step) {
        seen.extend(feed(client, piece));
    }
    seen
}

#[test]
fn the_buffer_goes_round_many_times() {
    // 3 MB through a buffer of about 70 kB, in steps that leave rests of every length at its end.
    for (len, step) in [(1_000, 777), (4_000, 4_096), (3_999, 16_384), (17, 1_371)] {
        let mut client = open_client_with(4_000);
        let count = 3_000_000 / (len + 4);
        let mut bytes = Vec::new();
        for at in 0..count {
            let mut payload = vec![b'.'; len];
            payload[..8].copy_from_slice(format!("{at:08}").as_bytes());
            bytes.extend(text(&payload));
        }
        let seen = trickle(&mut client, &bytes, step);
        assert_eq!(seen.len(), count);
        for (at, seen) in seen.iter().enumerate() {
            let Seen::Text(payload) = seen else { panic!("{seen:?}") };
            assert!(
                payload.len() == len && payload.starts_with(format!("{at:08}").as_bytes()),
                "message {at}"
            );
        }
    }
}

#[test]
fn many_small_fragments_make_one_message_of_the_longest_length() {
    let mut client = open_client_with(50_000);
    let mut bytes = frame(OpCode::Data(Data::Text), b"", false);
    for at in 0..49_999 {
        bytes.extend(frame(OpCode::Data(Data::Continue), &[b'a' + u8::try_from(at % 7).unwrap()], false));
        if at % 1_000 == 0 {
            bytes.extend(ping(b"between"));
        }
    }
    bytes.extend(frame(OpCode::Data(Data::Continue), b"!", true));
    for step in [16_384, 333] {
        let seen = trickle(&mut client, &bytes, step);
        assert_eq!(seen.iter().filter(|s| **s == Seen::Ping).count(), 50);
        let Some(Seen::Text(message)) = seen.last() else { panic!("no message") };
        assert_eq!(message.len(), 50_000);
        assert!(message[..49_999].iter().enumerate().all(|(at, &b)| usize::from(b - b'a') == at % 7));
        let _pongs = take_transmit(&mut client);
    }
}

#[test]
fn parsing_in_place_leaves_the_next_message_alone() {
    let mut client = open_client();
    let mut reader = JsonReader::new(1_000);
    let bytes = [text(br#"{"a":"\u0041\n"}"#), text(br#"{"a":"B"}"#), text(br#"{"a":"\"C"}"#)].concat();
    client.spare()[..bytes.len()].copy_from_slice(&bytes);
    client.filled(bytes.len());
    for expected in ["A\n", "B", "\"C"] {
        let Ok(WsEvent::Text(padded)) = client.poll() else { panic!("a text was due") };
        let value = reader.read(padded, |v| v.get("a").and_then(|a| a.as_str().map(str::to_owned)));
        assert_eq!(value, Ok(Some(expected.to_owned())));
    }
    assert!(!drain(&mut client, &mut Vec::new()));
}
