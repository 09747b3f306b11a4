//! WebSocket frames, the server's half: masked frames in, unmasked frames out. Apart from the engine's codec on purpose,
//! so that a mistake there has no twin here.
//!
//! No extension is ever agreed to, so a reserved bit is an error; offers of `permessage-deflate` are declined by silence.

use std::rc::Rc;

/// A frame ready to be written; shared by all connections that get it, since a server's frames are not masked.
pub(super) type Frame = Rc<[u8]>;

/// Longest message that the venue takes from a client.
const MESSAGE_BYTES_MAX: usize = 64 << 10;

/// Room for one read.
const READ_BYTES: usize = 4 << 10;

/// What a client said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(Vec<u8>),
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>),
}

/// Why a connection ends, with the close code that says so.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Violation {
    pub(super) code: u16,
    pub(super) why: &'static str,
}

const fn violation(code: u16, why: &'static str) -> Violation {
    Violation { code, why }
}

/// Bytes of a connection, cut into messages.
#[derive(Default)]
pub(super) struct Reader {
    bytes: Vec<u8>,
    /// Fragments so far; `None` outside of a fragmented message.
    partial: Option<Vec<u8>>,
}

struct Head {
    fin: bool,
    opcode: u8,
    mask: [u8; 4],
    start: usize,
    len: usize,
}

impl Reader {
    /// Where a socket's bytes go: with room for an order request, so that one read takes it whole.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        self.bytes.reserve(READ_BYTES);
        &mut self.bytes
    }

    fn head(&self) -> Result<Option<Head>, Violation> {
        let b = &self.bytes;
        if b.len() < 2 {
            return Ok(None);
        }
        if b[0] & 0x70 != 0 {
            return Err(violation(1002, "reserved bit without an extension"));
        }
        if b[1] & 0x80 == 0 {
            return Err(violation(1002, "unmasked frame from a client"));
        }
        let (len, at) = match b[1] & 0x7f {
            126 if b.len() < 4 => return Ok(None),
            126 => (usize::from(u16::from_be_bytes([b[2], b[3]])), 4),
            127 => return Err(violation(1009, "message too big")),
            len => (usize::from(len), 2),
        };
        if len > MESSAGE_BYTES_MAX {
            return Err(violation(1009, "message too big"));
        }
        if b.len() < at + 4 + len {
            return Ok(None);
        }
        let mask = [b[at], b[at + 1], b[at + 2], b[at + 3]];
        Ok(Some(Head { fin: b[0] & 0x80 != 0, opcode: b[0] & 0x0f, mask, start: at + 4, len }))
    }

    /// The next whole message, if there is one.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, Violation> {
        loop {
            let Some(head) = self.head()? else { return Ok(None) };
            let mut payload = self.bytes[head.start..head.start + head.len].to_vec();
            for (i, byte) in payload.iter_mut().enumerate() {
                *byte ^= head.mask[i & 3];
            }
            self.bytes.drain(..head.start + head.len);
            if head.opcode >= 8 && (!head.fin || head.len > 125) {
                return Err(violation(1002, "fragmented or long control frame"));
            }
            match head.opcode {
                8 => {
                    let code = payload.first_chunk::<2>().map(|b| u16::from_be_bytes(*b));
                    return Ok(Some(Incoming::Close(code)));
                }
                9 => return Ok(Some(Incoming::Ping(payload))),
                10 => return Ok(Some(Incoming::Pong(payload))),
                _ => {
                    if let Some(message) = self.data(head.opcode, head.fin, payload)? {
                        return Ok(Some(Incoming::Text(message)));
                    }
                }
            }
        }
    }

    fn data(&mut self, opcode: u8, fin: bool, payload: Vec<u8>) -> Result<Option<Vec<u8>>, Violation> {
        let whole = match (opcode, self.partial.take()) {
            (1, None) => payload,
            (0, Some(mut partial)) => {
                partial.extend_from_slice(&payload);
                partial
            }
            (2, _) => return Err(violation(1003, "binary messages are not spoken here")),
            (0, None) => return Err(violation(1002, "continuation of nothing")),
            (1, Some(_)) => return Err(violation(1002, "new message inside a fragmented one")),
            _ => return Err(violation(1002, "reserved opcode")),
        };
        if whole.len() > MESSAGE_BYTES_MAX {
            return Err(violation(1009, "message too big"));
        }
        if fin {
            return Ok(Some(whole));
        }
        self.partial = Some(whole);
        Ok(None)
    }
}

fn frame(opcode: u8, payload: &[u8]) -> Frame {
    let mut out = Vec::with_capacity(payload.len() + 10);
    out.push(0x80 | opcode);
    match u16::try_from(payload.len()) {
        Ok(len) if len < 126 => out.push(len.to_be_bytes()[1]),
        Ok(len) => {
            out.push(126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend_from_slice(&(payload.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(payload);
    Rc::from(out)
}

/// A text frame.
pub(super) fn text(payload: &[u8]) -> Frame {
    frame(1, payload)
}

/// A ping.
pub(super) fn ping(payload: &[u8]) -> Frame {
    frame(9, payload)
}

/// A pong.
pub(super) fn pong(payload: &[u8]) -> Frame {
    frame(10, payload)
}

/// A close frame.
pub(super) fn close(code: u16, why: &str) -> Frame {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(&why.as_bytes()[..why.len().min(120)]);
    frame(8, &payload)
}

/// A frame that no client may accept (reserved opcode): the `bad_frame` fault.
pub(super) fn bad(payload: &[u8]) -> Frame {
    frame(3, payload)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut out = vec![first];
        if payload.len() < 126 {
            out.push(0x80 | u8::try_from(payload.len()).unwrap());
        } else {
            out.push(0xfe);
            out.extend_from_slice(&u16::try_from(payload.len()).unwrap().to_be_bytes());
        }
        let mask = [1u8, 2, 3, 4];
        out.extend_from_slice(&mask);
        out.extend(payload.iter().enumerate().map(|(i, b)| b ^ mask[i & 3]));
        out
    }

    #[test]
    fn every_split_point_gives_the_same_messages() {
        let long = vec![b'x'; 300];
        let mut wire = masked(0x81, b"hello");
        wire.extend(masked(0x01, b"frag"));
        wire.extend(masked(0x89, b"p"));
        wire.extend(masked(0x80, b"ment"));
        wire.extend(masked(0x81, &long));
        wire.extend(masked(0x88, &[0x03, 0xe8]));
        let expected = [
            Incoming::Text(b"hello".to_vec()),
            Incoming::Ping(b"p".to_vec()),
            Incoming::Text(b"fragment".to_vec()),
            Incoming::Text(long),
            Incoming::Close(Some(1000)),
        ];
        for cut in 0..=wire.len() {
            let mut reader = Reader::default();
            let mut got = Vec::new();
            for part in [&wire[..cut], &wire[cut..]] {
                reader.buffer().extend_from_slice(part);
                while let Some(message) = reader.next().unwrap() {
                    got.push(message);
                }
            }
            assert_eq!(got, expected, "cut at {cut}");
        }
    }

    #[test]
    fn violations_have_their_close_codes() {
        let refuse = |wire: &[u8]| {
            let mut reader = Reader::default();
            reader.buffer().extend_from_slice(wire);
            reader.next().unwrap_err().code
        };
        assert_eq!(refuse(&[0x81, 0x02, b'a', b'b']), 1002, "unmasked");
        assert_eq!(refuse(&masked(0xc1, b"x")), 1002, "compressed");
        assert_eq!(refuse(&masked(0x82, b"x")), 1003, "binary");
        assert_eq!(refuse(&masked(0x80, b"x")), 1002, "continuation of nothing");
        assert_eq!(refuse(&masked(0x09, b"x")), 1002, "fragmented ping");
        assert_eq!(refuse(&[0x81, 0xff, 0, 0, 0, 0, 0, 1, 0, 0]), 1009, "too big");
    }

    #[test]
    fn frames_carry_their_length_in_the_shortest_form() {
        assert_eq!(&text(b"ab")[..], b"\x81\x02ab");
        assert_eq!(&text(&[0; 126])[..4], [0x81, 126, 0, 126]);
        assert_eq!(&text(&vec![0; 65_536])[..10], [0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        assert_eq!(&close(1008, "slow")[..], b"\x88\x06\x03\xf0slow");
    }
}
