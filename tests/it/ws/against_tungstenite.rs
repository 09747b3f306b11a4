//! Both directions against `tungstenite`, byte for byte.

use std::io::{self, Read, Write};

use interlock::wire::link::Link as _;
use interlock::wire::memory::{self, MemoryLink};
use interlock::wire::ws::{HEADROOM, frame_text_in_place};
use tungstenite::Message;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::Frame;
use tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};

use super::{Seen, answer_to, client, feed, open_client, take_transmit, unmask};

/// A memory link as the blocking-style stream that `tungstenite` wants.
struct Pipe(MemoryLink);

impl Read for Pipe {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into) {
            Ok(0) => Err(io::ErrorKind::WouldBlock.into()),
            Ok(count) => Ok(count),
            Err(_) => Ok(0),
        }
    }
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map(|()| bytes.len()).map_err(|_| io::ErrorKind::WouldBlock.into())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn read_all(link: &mut MemoryLink) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 20];
    let count = link.read(&mut bytes).unwrap();
    bytes.truncate(count);
    bytes
}

const SIZES: [usize; 14] = [0, 1, 2, 7, 8, 9, 124, 125, 126, 127, 300, 65_535, 65_536, 99_999];

fn letters(len: usize) -> Vec<u8> {
    (0..len).map(|at| b'a' + u8::try_from(at % 26).unwrap()).collect()
}

#[test]
fn a_whole_session() {
    let (mut near, far) = memory::pair(1 << 20);
    let mut client = client();
    near.write(&take_transmit(&mut client)).unwrap();
    let mut server = tungstenite::accept(Pipe(far)).expect("tungstenite takes our handshake");
    // The first frame rides on the 101 answer.
    server.send(Message::text("first")).unwrap();
    assert_eq!(feed(&mut client, &read_all(&mut near)), [Seen::Open, Seen::Text(b"first".to_vec())]);
    assert!(client.is_open());

    for size in SIZES {
        let payload = letters(size);
        server.send(Message::text(String::from_utf8(payload.clone()).unwrap())).unwrap();
        assert_eq!(feed(&mut client, &read_all(&mut near)), [Seen::Text(payload.clone())], "{size} to us");

        let mut buf = vec![0; HEADROOM + size];
        buf[HEADROOM..].copy_from_slice(&payload);
        let range = frame_text_in_place(&mut buf, size, client.next_mask());
        near.write(&buf[range]).unwrap();
        assert_eq!(server.read().unwrap().into_data(), payload, "{size} from us");
    }
    client.send_text(b"queued").unwrap();
    client.send_ping(b"are you there").unwrap();
    near.write(&take_transmit(&mut client)).unwrap();
    assert_eq!(server.read().unwrap(), Message::text("queued"));
    assert_eq!(server.read().unwrap(), Message::Ping(b"are you there".as_slice().into()));
    server.flush().unwrap();
    assert_eq!(feed(&mut client, &read_all(&mut near)), [Seen::Pong]);

    server.send(Message::Ping(letters(125).into())).unwrap();
    assert_eq!(feed(&mut client, &read_all(&mut near)), [Seen::Ping]);
    near.write(&take_transmit(&mut client)).unwrap();
    assert_eq!(server.read().unwrap(), Message::Pong(letters(125).into()));
}

#[test]
fn they_close() {
    let (mut near, far) = memory::pair(1 << 16);
    let mut client = client();
    near.write(&take_transmit(&mut client)).unwrap();
    let mut server = tungstenite::accept(Pipe(far)).unwrap();
    server.close(Some(CloseFrame { code: CloseCode::Restart, reason: "24 hours".into() })).unwrap();
    assert_eq!(feed(&mut client, &read_all(&mut near)), [Seen::Open, Seen::Closed(Some(1012))]);
    assert!(!client.is_open());
    near.write(&take_transmit(&mut client)).unwrap();
    assert!(matches!(server.read().unwrap(), Message::Close(Some(f)) if f.code == CloseCode::Restart));
    assert!(matches!(server.read(), Err(tungstenite::Error::ConnectionClosed)), "our echo was clean");
    assert_eq!(feed(&mut client, b"\x81\x00"), [], "nothing follows a close");
}

#[test]
fn we_close_and_still_hear_what_was_under_way() {
    let (mut near, far) = memory::pair(1 << 16);
    let mut client = client();
    near.write(&take_transmit(&mut client)).unwrap();
    let mut server = tungstenite::accept(Pipe(far)).unwrap();
    server.send(Message::text("a fill")).unwrap();
    assert_eq!(feed(&mut client, &read_all(&mut near)).len(), 2);
    client.close(1000);
    client.close(1000); // once is enough
    let closing = take_transmit(&mut client);
    assert_eq!(unmask(&closing), [(0x88, vec![0x03, 0xe8])]);
    server.send(Message::text("another fill")).unwrap();
    near.write(&closing).unwrap();
    assert!(matches!(server.read().unwrap(), Message::Close(Some(_))));
    assert!(server.read().is_err());
    let seen = feed(&mut client, &read_all(&mut near));
    assert_eq!(seen, [Seen::Text(b"another fill".to_vec()), Seen::Closed(Some(1000))]);
    assert_eq!(take_transmit(&mut client), b"", "a close is not echoed to its echo");
}

#[test]
fn frames_are_the_same_bytes() {
    for size in SIZES {
        for mask in [0x0102_0304_u32, 0xffff_ffff, 0] {
            let payload = letters(size);
            let mut theirs = Vec::new();
            let mut frame = Frame::message(payload.clone(), OpCode::Data(Data::Text), true);
            frame.header_mut().mask = Some(mask.to_le_bytes());
            frame.format(&mut theirs).unwrap();
            let mut ours = vec![0xee; HEADROOM + size + 3];
            ours[HEADROOM..HEADROOM + size].copy_from_slice(&payload);
            let range = frame_text_in_place(&mut ours, size, mask);
            assert_eq!(&ours[range], &theirs, "{size} bytes with mask {mask:#x}");
            assert_eq!(&ours[HEADROOM + size..], [0xee; 3], "nothing behind the payload is touched");
        }
    }
}

#[test]
fn the_request_is_what_a_server_wants() {
    let mut client = client();
    let request = take_transmit(&mut client);
    let text = core::str::from_utf8(&request).unwrap();
    assert!(text.starts_with("GET /ws?x=1 HTTP/1.1\r\nHost: venue.test:9443\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\n"), "{text}");
    assert!(!text.contains("Extensions"), "no extension is offered");
    assert_eq!(client.transmit(), None);
    // What is queued while the rest is shown is not lost.
    let mut client = open_client();
    client.send_text(b"a").unwrap();
    assert!(client.transmit().is_some());
    client.send_text(b"b").unwrap();
    client.transmitted();
    assert_eq!(unmask(&take_transmit(&mut client)), [(0x81, b"b".to_vec())]);
}

#[test]
fn masks_differ_from_frame_to_frame_and_from_seed_to_seed() {
    let mut client = open_client();
    let masks: std::collections::BTreeSet<u32> = (0..1000).map(|_| client.next_mask()).collect();
    assert!(masks.len() > 990, "{} different masks of 1000", masks.len());
    assert_eq!(
        answer_to(&take_transmit(&mut super::client())),
        answer_to(&take_transmit(&mut super::client()))
    );
}
