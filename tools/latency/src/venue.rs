//! The venue's side: one spinning thread that sends a tick and spins for the order, over the reference programs' transports. It
//! speaks just enough of the protocol that the engine's sessions open: upgrade, account, open orders, order answers.

use floors::order::ws_server_frame;
use floors::tls::{Chan, Kind, Prov, Sock, server};
use std::net::TcpListener;
use std::sync::Arc;

/// One upgraded WebSocket connection with its receive buffer.
pub struct Ws {
    pub chan: Box<dyn Chan>,
    rx: Vec<u8>,
    have: usize,
    tx: Vec<u8>,
    pub path: String,
}

impl Ws {
    /// Accepts one connection, does TLS and the upgrade.
    pub fn accept(listener: &TcpListener, kind: Kind, config: Option<Arc<rustls::ServerConfig>>) -> Self {
        let stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        let mut chan = server(kind, Prov::AwsLc, config, Sock::new(stream));
        let (mut rx, mut have) = (vec![0u8; 1 << 16], 0);
        let end = loop {
            have += chan.recv(&mut rx, have);
            if let Some(at) = rx[..have].windows(4).position(|w| w == b"\r\n\r\n") {
                break at + 4;
            }
        };
        let head = String::from_utf8_lossy(&rx[..end]).to_string();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let key = head.lines().find(|l| l.to_ascii_lowercase().starts_with("sec-websocket-key:")).unwrap();
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {}\r\n\r\n",
            accept_key(key[18..].trim())
        );
        rx.copy_within(end..have, 0);
        let mut ws = Self { chan, rx, have: have - end, tx: vec![0; 1 << 16], path };
        ws.send_raw(answer.as_bytes());
        ws
    }

    fn send_raw(&mut self, bytes: &[u8]) {
        self.tx[5..5 + bytes.len()].copy_from_slice(bytes);
        self.chan.send(&mut self.tx, 5, bytes.len());
    }

    /// Sends a text frame.
    pub fn send(&mut self, text: &str) {
        self.send_raw(&ws_server_frame(text.as_bytes()));
    }

    /// Puts a prepared frame on the wire; the time of the send is `chan.sock().tx`.
    pub fn send_frame(&mut self, frame: &[u8]) {
        self.send_raw(frame);
    }

    /// Spins until a whole client frame is there and returns its length; its bytes stay until [`Ws::text`] takes them.
    pub fn spin_frame(&mut self) -> usize {
        loop {
            if let Some(len) = floors::order::client_frame_len(&self.rx[..self.have]) {
                if self.have >= len {
                    return len;
                }
            }
            let got = self.chan.recv(&mut self.rx, self.have);
            assert!(got > 0, "the engine closed {}", self.path);
            self.have += got;
        }
    }

    /// Takes a whole client frame as text.
    pub fn text(&mut self) -> String {
        let len = self.spin_frame();
        let head = if self.rx[1] & 127 == 126 { 8 } else { 6 };
        let key: [u8; 4] = self.rx[head - 4..head].try_into().unwrap();
        let text: Vec<u8> = self.rx[head..len].iter().enumerate().map(|(i, b)| b ^ key[i & 3]).collect();
        self.rx.copy_within(len..self.have, 0);
        self.have -= len;
        String::from_utf8(text).unwrap()
    }
}

fn accept_key(key: &str) -> String {
    let text = format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11");
    base64(ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

fn base64(bytes: &[u8]) -> String {
    const TABLE: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|c| {
            let v = (u32::from(c[0]) << 16) | (u32::from(*c.get(1).unwrap_or(&0)) << 8) | u32::from(*c.get(2).unwrap_or(&0));
            (0..4).map(move |i| if i <= c.len() { TABLE[(v >> (18 - 6 * i)) as usize & 63] as char } else { '=' })
        })
        .collect()
}

/// The value of a JSON string or number field, found by its name: the engine's own texts are flat enough.
pub fn field<'a>(text: &'a str, name: &str) -> &'a str {
    let at = text.find(&format!("\"{name}\":")).unwrap_or_else(|| panic!("no {name} in {text}")) + name.len() + 3;
    let rest = &text[at..];
    match rest.strip_prefix('"') {
        Some(inside) => &inside[..inside.find('"').unwrap()],
        None => &rest[..rest.find([',', '}']).unwrap()],
    }
}
