//! The venue's end of the market link in memory: it answers the WebSocket handshake, and then says what the lab wants.

use interlock::wire::link::{Link, LinkState};
use interlock::wire::memory::{MemoryLink, pair};
use rtrb::Producer;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

pub(crate) struct MarketPeer {
    link: MemoryLink,
    head: Vec<u8>,
    pub(crate) is_open: bool,
    pub(crate) is_over: bool,
}

impl MarketPeer {
    /// Puts one end where the connector finds it and keeps the other. `None`: as many as fit wait already.
    pub(crate) fn listen(links: &mut Producer<MemoryLink>) -> Option<Self> {
        let (theirs, ours) = pair(1 << 16);
        links.push(theirs).ok()?;
        Some(Self { link: ours, head: Vec::new(), is_open: false, is_over: false })
    }

    /// Reads what came and answers the handshake.
    pub(crate) fn serve(&mut self) {
        self.is_over |= matches!(self.link.drive(0), LinkState::Closed(_));
        let mut buf = [0; 4_096];
        loop {
            match self.link.read(&mut buf) {
                Ok(0) => break,
                Ok(count) if !self.is_open => self.head.extend_from_slice(&buf[..count]),
                Ok(_) => {}
                Err(_) => {
                    self.is_over = true;
                    break;
                }
            }
        }
        if !self.is_open && self.head.ends_with(b"\r\n\r\n") {
            let request = core::str::from_utf8(&self.head).unwrap();
            let key = request.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
            let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
            self.is_open = true;
            self.write(
                format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                )
                .as_bytes(),
            );
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        self.is_over |= self.link.write(bytes).is_err();
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.write(&frame(OpCode::Data(Data::Text), text.as_bytes()));
    }

    pub(crate) fn ping(&mut self) {
        self.write(&frame(OpCode::Control(Control::Ping), b"1"));
    }

    pub(crate) fn hang_up(&mut self) {
        self.link.close();
        self.is_over = true;
    }
}

fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    let mut out = Vec::new();
    Frame::from_payload(header, payload.to_vec().into()).format(&mut out).unwrap();
    out
}
