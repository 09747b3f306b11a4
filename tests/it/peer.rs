//! The venue's end of a connection in memory: it answers the WebSocket handshake and then says and hears what the test wants.

use interlock::types::time::NS_PER_MS;
use interlock::wire::link::{Link, LinkState};
use interlock::wire::memory::{MemoryLink, pair};
use rtrb::Producer;

use crate::ws;

pub(crate) struct Peer {
    link: MemoryLink,
    head: Vec<u8>,
    pub(crate) is_open: bool,
    /// Texts that came, in order.
    pub(crate) heard: Vec<String>,
    /// The path that was asked for.
    pub(crate) path: String,
    /// Whether the other end is gone.
    pub(crate) is_over: bool,
}

impl Peer {
    /// Puts one end where the connector finds it and keeps the other.
    pub(crate) fn listen(links: &mut Producer<MemoryLink>) -> Self {
        let (theirs, ours) = pair(1 << 20);
        assert!(links.push(theirs).is_ok());
        Self {
            link: ours,
            head: Vec::new(),
            is_open: false,
            heard: Vec::new(),
            path: String::new(),
            is_over: false,
        }
    }

    /// Reads what came: answers the handshake, collects texts.
    pub(crate) fn serve(&mut self) {
        self.is_over |= matches!(self.link.drive(0), LinkState::Closed(_));
        let mut buf = vec![0; 1 << 16];
        let mut bytes = Vec::new();
        loop {
            match self.link.read(&mut buf) {
                Ok(0) => break,
                Ok(count) => bytes.extend_from_slice(&buf[..count]),
                Err(_) => {
                    self.is_over = true;
                    break;
                }
            }
        }
        if !self.is_open {
            self.head.extend_from_slice(&bytes);
            let Some(end) = self.head.windows(4).position(|w| w == b"\r\n\r\n") else { return };
            let answer = ws::answer_to(&self.head[..end + 4]);
            let first = core::str::from_utf8(&self.head).unwrap().lines().next().unwrap();
            first.split(' ').nth(1).unwrap().clone_into(&mut self.path);
            bytes = self.head.split_off(end + 4);
            self.is_open = true;
            self.write(&answer);
        }
        for (first, payload) in ws::unmask(&bytes) {
            if first & 0x0f == 1 {
                self.heard.push(String::from_utf8(payload).unwrap());
            }
        }
    }

    fn write(&mut self, bytes: &[u8]) {
        // The other end may have hung up; a venue can't know either.
        self.is_over |= self.link.write(bytes).is_err();
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.write(&ws::text(text.as_bytes()));
    }

    pub(crate) fn ping(&mut self) {
        self.write(&ws::ping(b"1"));
    }

    pub(crate) fn hang_up(&mut self) {
        self.link.close();
    }
}

/// The id of a request, as text.
pub(crate) fn id_of(request: &str) -> &str {
    let after = request.split("\"id\":\"").nth(1).unwrap();
    after.split('"').next().unwrap()
}

pub(crate) const MS: i64 = NS_PER_MS;
