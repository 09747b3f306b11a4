//! The WebSocket client (R-HOT-3) against an independent implementation (`tungstenite`), at every split point, and against
//! peers that break the rules.

mod against_tungstenite;
mod misbehaviour;
mod random;
mod splits;

use interlock::wire::ws::{WsClient, WsConfig, WsError, WsEvent};
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

pub(crate) const MESSAGE_BYTES_MAX: usize = 100_000;

/// An event that owns what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    Open,
    Text(Vec<u8>),
    Ping,
    Pong,
    Closed(Option<u16>),
    Failed(WsError),
}

pub(crate) fn client() -> WsClient {
    client_with(MESSAGE_BYTES_MAX)
}

pub(crate) fn client_with(message_bytes_max: usize) -> WsClient {
    let config =
        WsConfig { host: "venue.test:9443".to_owned(), path: "/ws?x=1".to_owned(), message_bytes_max };
    WsClient::new(&config, 42)
}

/// A client whose handshake is done.
pub(crate) fn open_client_with(message_bytes_max: usize) -> WsClient {
    let mut client = client_with(message_bytes_max);
    let answer = answer_to(&take_transmit(&mut client));
    assert_eq!(feed(&mut client, &answer), [Seen::Open]);
    client
}

pub(crate) fn open_client() -> WsClient {
    open_client_with(MESSAGE_BYTES_MAX)
}

/// Takes everything that waits to be written.
pub(crate) fn take_transmit(client: &mut WsClient) -> Vec<u8> {
    let bytes = client.transmit().map(<[u8]>::to_vec).unwrap_or_default();
    client.transmitted();
    bytes
}

/// What a correct server answers to a request.
pub(crate) fn answer_to(request: &[u8]) -> Vec<u8> {
    let request = core::str::from_utf8(request).unwrap();
    let key = request.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: keep-alive, Upgrade\r\nUPGRADE: WebSocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\nServer: test\r\n\r\n"
    )
    .into_bytes()
}

/// Gives the client bytes, as many at a time as it has room for, and collects what it finds.
pub(crate) fn feed(client: &mut WsClient, mut bytes: &[u8]) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let spare = client.spare();
        assert!(!spare.is_empty(), "there is always room after Idle");
        let count = spare.len().min(bytes.len());
        spare[..count].copy_from_slice(&bytes[..count]);
        client.filled(count);
        bytes = &bytes[count..];
        if drain(client, &mut seen) {
            break;
        }
    }
    seen
}

/// Polls until idle; whether the client failed.
fn drain(client: &mut WsClient, seen: &mut Vec<Seen>) -> bool {
    loop {
        seen.push(match client.poll() {
            Ok(WsEvent::Idle) => return false,
            Ok(WsEvent::Open) => Seen::Open,
            Ok(WsEvent::Text(padded)) => {
                assert!(padded.padded().len() >= padded.len() + 64, "a parser may read 64 bytes on");
                Seen::Text(padded.text().to_vec())
            }
            Ok(WsEvent::Ping) => Seen::Ping,
            Ok(WsEvent::Pong) => Seen::Pong,
            Ok(WsEvent::Closed { code }) => Seen::Closed(code),
            Err(error) => {
                seen.push(Seen::Failed(error));
                return true;
            }
        });
    }
}

/// A frame as a server sends it, by `tungstenite`.
pub(crate) fn frame(opcode: OpCode, payload: &[u8], is_final: bool) -> Vec<u8> {
    let mut bytes = Vec::new();
    let header = FrameHeader { is_final, opcode, ..FrameHeader::default() };
    Frame::from_payload(header, payload.to_vec().into()).format(&mut bytes).unwrap();
    bytes
}

pub(crate) fn text(payload: &[u8]) -> Vec<u8> {
    frame(OpCode::Data(Data::Text), payload, true)
}

pub(crate) fn ping(payload: &[u8]) -> Vec<u8> {
    frame(OpCode::Control(Control::Ping), payload, true)
}

/// The unmasked frames of a client's bytes: first byte and payload.
pub(crate) fn unmask(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        assert_ne!(bytes[1] & 0x80, 0, "a client masks");
        let (at, len) = match bytes[1] & 0x7f {
            126 => (4, usize::from(u16::from_be_bytes([bytes[2], bytes[3]]))),
            127 => (10, usize::try_from(u64::from_be_bytes(bytes[2..10].try_into().unwrap())).unwrap()),
            short => (2, usize::from(short)),
        };
        let mask = &bytes[at..at + 4];
        let payload =
            bytes[at + 4..at + 4 + len].iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
        frames.push((bytes[0], payload));
        bytes = &bytes[at + 4 + len..];
    }
    frames
}
