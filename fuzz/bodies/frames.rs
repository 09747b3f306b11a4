//! WebSocket bytes from a venue: the handshake's answer, then frames. Cut anywhere they say the same; an error is final; and
//! what we take, `tungstenite` takes too.

use std::io::{self, Cursor, Read, Write};

use interlock::wire::ws::{WsClient, WsConfig, WsError, WsEvent};
use tungstenite::protocol::{Role, WebSocketConfig};
use tungstenite::{Message, WebSocket};

const MESSAGE_BYTES_MAX: usize = 70_000;

/// An event that owns what it saw.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Open,
    Text(Vec<u8>),
    Ping,
    Pong,
    Closed(Option<u16>),
    Failed(WsError),
}

fn client() -> WsClient {
    let config = WsConfig {
        host: "venue.test:9443".to_owned(),
        path: "/ws?x=1".to_owned(),
        message_bytes_max: MESSAGE_BYTES_MAX,
    };
    // The seed is fixed, so that an answer in the corpus can fit the request.
    WsClient::new(&config, 42)
}

/// The answer that fits the fixed seed's request.
fn answer() -> Vec<u8> {
    let mut client = client();
    let request = String::from_utf8(client.transmit().expect("the request waits").to_vec()).expect("text");
    let key = request.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// Gives the client bytes in pieces of at most `piece`, and collects what it finds, up to its first error.
fn feed(client: &mut WsClient, mut bytes: &[u8], piece: usize) -> Vec<Seen> {
    let mut seen = Vec::new();
    while !bytes.is_empty() {
        let spare = client.spare();
        assert!(!spare.is_empty(), "there is always room after Idle");
        let count = spare.len().min(bytes.len()).min(piece);
        spare[..count].copy_from_slice(&bytes[..count]);
        client.filled(count);
        bytes = &bytes[count..];
        loop {
            let event = match client.poll() {
                Ok(WsEvent::Idle) => break,
                Ok(WsEvent::Open) => Seen::Open,
                Ok(WsEvent::Text(padded)) => {
                    assert!(padded.padded().len() >= padded.len() + 64, "a parser may read 64 bytes on");
                    assert!(padded.len() <= MESSAGE_BYTES_MAX, "a message over its bound");
                    Seen::Text(padded.text().to_vec())
                }
                Ok(WsEvent::Ping) => Seen::Ping,
                Ok(WsEvent::Pong) => Seen::Pong,
                Ok(WsEvent::Closed { code }) => Seen::Closed(code),
                Err(error) => {
                    assert_eq!(client.poll().err(), Some(error), "an error is final");
                    seen.push(Seen::Failed(error));
                    return seen;
                }
            };
            assert!(!matches!(seen.last(), Some(Seen::Closed(_))), "{event:?} behind a close");
            seen.push(event);
        }
        // Pongs and the like leave at once, as the link takes them.
        if client.transmit().is_some() {
            client.transmitted();
        }
    }
    seen
}

/// A client whose handshake is done.
fn open_client() -> WsClient {
    let mut client = client();
    let _request = client.transmit().is_some();
    client.transmitted();
    assert_eq!(feed(&mut client, &answer(), usize::MAX), [Seen::Open]);
    client
}

/// Any bytes as a server's answer to our handshake, and what follows it.
pub(crate) fn handshake(data: &[u8]) {
    let whole = feed(&mut client(), data, usize::MAX);
    for piece in [1, 7] {
        assert_eq!(feed(&mut client(), data, piece), whole, "in pieces of {piece}");
    }
    let opened = whole.iter().filter(|s| **s == Seen::Open).count();
    assert!(opened <= 1, "opened {opened} times");
    assert!(matches!(whole.first(), None | Some(Seen::Open | Seen::Failed(_))), "{whole:?}");
    if opened == 1 {
        let accept = answer();
        let accept = accept.rsplit(|b| *b == b':').next().map(<[u8]>::trim_ascii).unwrap_or_default();
        assert!(
            data.windows(accept.len()).any(|window| window == accept),
            "only a server that knows our key opens it"
        );
    }
}

/// Bytes to read, and somewhere to write to.
struct Pipe<'a>(Cursor<&'a [u8]>);

impl Read for Pipe<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self.0.read(into)? {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            count => Ok(count),
        }
    }
}

impl Write for Pipe<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What `tungstenite` makes of the same bytes, and the error that ended it, if one did.
fn theirs(data: &[u8]) -> (Vec<Seen>, Option<tungstenite::Error>) {
    let config = WebSocketConfig::default()
        .max_message_size(Some(MESSAGE_BYTES_MAX))
        .max_frame_size(Some(MESSAGE_BYTES_MAX));
    let mut socket = WebSocket::from_raw_socket(Pipe(Cursor::new(data)), Role::Client, Some(config));
    let mut seen = Vec::new();
    loop {
        match socket.read() {
            Ok(Message::Text(text)) => seen.push(Seen::Text(text.as_bytes().to_vec())),
            Ok(Message::Ping(_)) => seen.push(Seen::Ping),
            Ok(Message::Pong(_)) => seen.push(Seen::Pong),
            Ok(Message::Close(frame)) => {
                seen.push(Seen::Closed(frame.map(|f| u16::from(f.code))));
                return (seen, None);
            }
            Ok(Message::Binary(_) | Message::Frame(_)) => return (seen, None),
            Err(tungstenite::Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                return (seen, None);
            }
            Err(error) => return (seen, Some(error)),
        }
    }
}

/// Any bytes as frames behind a good handshake.
pub(crate) fn frames(data: &[u8]) {
    let ours = feed(&mut open_client(), data, usize::MAX);
    for piece in [1, 13] {
        assert_eq!(feed(&mut open_client(), data, piece), ours, "in pieces of {piece}");
    }
    let (theirs, error) = theirs(data);
    // We are stricter in places (binary, lengths not in their shortest form) and read no UTF-8 here: the JSON parser does. So
    // wherever both still go on, both must have seen the same; and where only they stopped, text was not UTF-8.
    let stopped = matches!(ours.last(), Some(Seen::Failed(_)));
    let ours_good = &ours[..ours.len() - usize::from(stopped)];
    let shared = ours_good.len().min(theirs.len());
    assert_eq!(ours_good[..shared], theirs[..shared], "the same bytes, read differently");
    if !stopped && ours_good.len() > theirs.len() {
        assert!(
            matches!(error, Some(tungstenite::Error::Utf8(_))),
            "we took what tungstenite refuses: {:?} ({error:?})",
            ours_good[theirs.len()]
        );
    }
    if !stopped && error.is_none() {
        assert_eq!(ours_good.len(), theirs.len(), "{ours:?} against {theirs:?}");
    }
}
