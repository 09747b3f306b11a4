//! The venue's side: one spinning thread that sends a tick and spins for the order, over the reference programs' transports. What
//! it answers is in `benches/support/venue.rs`.

use std::net::TcpListener;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;

use floors::tls::{Chan, Kind, Prov, Sock, server};

use crate::venue;

/// First byte of a close frame.
const CLOSE: u8 = 0x88;

/// One upgraded WebSocket connection with its receive buffer.
pub struct Ws {
    pub chan: Box<dyn Chan>,
    rx: Vec<u8>,
    have: usize,
    tx: Vec<u8>,
}

impl Ws {
    /// Accepts one connection, does TLS and the upgrade.
    pub fn accept(listener: &TcpListener, kind: Kind, config: Option<Arc<rustls::ServerConfig>>) -> Self {
        let stream = listener.accept().unwrap().0;
        stream.set_nodelay(true).unwrap();
        let chan = server(kind, Prov::AwsLc, config, Sock::new(stream));
        let mut ws = Self { chan, rx: vec![0; 1 << 16], have: 0, tx: vec![0; 1 << 17] };
        let (answer, end) = loop {
            ws.have += ws.chan.recv(&mut ws.rx, ws.have);
            if let Some(done) = venue::upgrade(&ws.rx[..ws.have]) {
                break done;
            }
        };
        ws.rx.copy_within(end..ws.have, 0);
        ws.have -= end;
        ws.send_frame(answer.as_bytes());
        ws
    }

    /// Puts a prepared frame on the wire; the time of the send is `chan.sock().tx`.
    #[inline]
    pub fn send_frame(&mut self, frame: &[u8]) {
        self.tx[5..5 + frame.len()].copy_from_slice(frame);
        self.chan.send(&mut self.tx, 5, frame.len());
    }

    /// Sends a text.
    pub fn send(&mut self, text: &str) {
        self.send_frame(&venue::server_frame(text));
    }

    /// Spins until a whole client frame is there; its bytes stay until [`Ws::try_text`] takes them. The time of the read that
    /// completed it is `chan.sock().rx`.
    #[inline]
    pub fn spin_frame(&mut self) {
        loop {
            if floors::order::client_frame_len(&self.rx[..self.have]).is_some_and(|len| self.have >= len) {
                return;
            }
            let got = self.chan.recv(&mut self.rx, self.have);
            assert!(got > 0, "the other side closed");
            self.have += got;
        }
    }

    /// Whether the engine has said goodbye.
    pub fn is_closing(&self) -> bool {
        self.have > 0 && self.rx[0] == CLOSE
    }

    /// Takes a whole client frame as text, if one is there.
    pub fn try_text(&mut self) -> Option<String> {
        if self.is_closing() {
            return None;
        }
        let mut bytes = self.rx[..self.have].to_vec();
        let mut text = venue::take_client_text(&mut bytes);
        if text.is_none() && self.is_readable() {
            let got = self.chan.recv(&mut self.rx, self.have);
            assert!(got > 0, "the other side closed");
            self.have += got;
            if self.is_closing() {
                return None;
            }
            bytes = self.rx[..self.have].to_vec();
            text = venue::take_client_text(&mut bytes);
        }
        self.rx[..bytes.len()].copy_from_slice(&bytes);
        self.have = bytes.len();
        text
    }

    fn is_readable(&self) -> bool {
        let mut fd = libc::pollfd { fd: self.chan.sock().s.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        unsafe { libc::poll(&mut fd, 1, 0) > 0 }
    }
}
