//! The real edge (R-HOT-3): links over TCP and TLS against `rustls` servers on loopback, and REST against servers that
//! misbehave. One thread drives both ends of a link, so nothing here waits for a scheduler.

mod memory;
mod rest;
mod tcp;
mod tls;

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;

use interlock::net::{Endpoint, TcpConnector, TcpLink, TcpTimeouts, TlsRoots, client_config};
use interlock::wire::link::{Connector as _, Link as _, LinkState};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ServerConfig, ServerConnection};

/// A certificate authority of one test.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) pem: String,
}

impl Authority {
    pub(crate) fn new() -> Self {
        Self::named("test authority")
    }

    pub(crate) fn named(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self { issuer: Issuer::new(params, key), pem }
    }

    pub(crate) fn roots(&self) -> TlsRoots {
        TlsRoots::from_pem(self.pem.as_bytes(), Path::new("test-ca.pem")).unwrap()
    }

    pub(crate) fn client(&self) -> Arc<ClientConfig> {
        client_config(&self.roots())
    }

    pub(crate) fn server(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        self.server_with(name, rustls::DEFAULT_VERSIONS, change)
    }

    pub(crate) fn server_with(
        &self,
        name: &str,
        versions: &[&'static rustls::SupportedProtocolVersion],
        change: impl FnOnce(&mut CertificateParams),
    ) -> Arc<ServerConfig> {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(versions)
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.into()], PrivateKeyDer::Pkcs8(key.serialize_der().into()))
            .unwrap();
        Arc::new(config)
    }
}

/// A listener that does not block, and its port.
pub(crate) fn listen(address: &str) -> (TcpListener, u16) {
    let listener = TcpListener::bind((address, 0)).unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    (listener, port)
}

/// The other end of a link.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    pub(crate) tls: Option<ServerConnection>,
    /// What it received, decrypted.
    pub(crate) received: Vec<u8>,
    pub(crate) is_over: bool,
}

impl Peer {
    pub(crate) fn accept(listener: &TcpListener, tls: Option<&Arc<ServerConfig>>) -> Option<Self> {
        let (stream, _) = listener.accept().ok()?;
        stream.set_nonblocking(true).unwrap();
        stream.set_nodelay(true).unwrap();
        let tls = tls.map(|config| {
            let mut session = ServerConnection::new(config.clone()).unwrap();
            session.set_buffer_limit(None);
            session
        });
        Some(Self { stream, tls, received: Vec::new(), is_over: false })
    }

    /// Reads and writes what can be.
    pub(crate) fn pump(&mut self) {
        let mut bytes = vec![0; 1 << 16];
        loop {
            self.flush();
            let count = match self.stream.read(&mut bytes) {
                Ok(0) => {
                    self.is_over = true;
                    return;
                }
                Ok(count) => count,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(_) => {
                    self.is_over = true;
                    return;
                }
            };
            match &mut self.tls {
                None => self.received.extend_from_slice(&bytes[..count]),
                Some(tls) => {
                    let mut rest = &bytes[..count];
                    while !rest.is_empty() {
                        let _taken = tls.read_tls(&mut rest).unwrap();
                        if tls.process_new_packets().is_err() {
                            self.is_over = true;
                        }
                        let mut plain = Vec::new();
                        if let Err(error) = tls.reader().read_to_end(&mut plain) {
                            assert_eq!(error.kind(), ErrorKind::WouldBlock);
                        }
                        self.received.extend(plain);
                    }
                }
            }
        }
    }

    fn flush(&mut self) {
        if let Some(tls) = &mut self.tls {
            while tls.wants_write() && tls.write_tls(&mut self.stream).is_ok() {}
        }
    }

    /// The bytes that carry `text` on the wire: sealed, if this is TLS.
    pub(crate) fn seal(&mut self, text: &[u8]) -> Vec<u8> {
        let Some(tls) = &mut self.tls else { return text.to_vec() };
        tls.writer().write_all(text).unwrap();
        let mut bytes = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut bytes).unwrap();
        }
        bytes
    }

    pub(crate) fn send(&mut self, text: &[u8]) {
        let bytes = self.seal(text);
        self.stream.write_all(&bytes).unwrap();
    }
}

pub(crate) fn connector(url: &str, tls: &Arc<ClientConfig>) -> TcpConnector {
    TcpConnector::new(Endpoint::parse(url).unwrap(), tls.clone(), TcpTimeouts::default())
}

/// Repeats a step until it says yes. Loopback needs a few turns; a step that never says yes is a failure.
pub(crate) fn until(what: &str, mut step: impl FnMut() -> bool) {
    for _ in 0..200_000 {
        if step() {
            return;
        }
        std::thread::yield_now();
    }
    panic!("never: {what}");
}

/// Opens a link and drives it and its peer until it is open or closed.
pub(crate) fn open(
    connector: &mut TcpConnector,
    listener: &TcpListener,
    tls: Option<&Arc<ServerConfig>>,
) -> (TcpLink, Option<Peer>) {
    let mut link = connector.open(0);
    let mut peer: Option<Peer> = None;
    until("the link opens or closes", || {
        match &mut peer {
            Some(peer) => peer.pump(),
            None => peer = Peer::accept(listener, tls),
        }
        let is_peer_ready =
            |peer: &Peer| peer.is_over || peer.tls.as_ref().is_none_or(|tls| !tls.is_handshaking());
        match link.drive(1) {
            LinkState::Opening => false,
            LinkState::Open => peer.as_ref().is_some_and(is_peer_ready),
            LinkState::Closed(_) => peer.is_some(),
        }
    });
    (link, peer)
}

/// Reads until something comes.
pub(crate) fn read_some(link: &mut TcpLink) -> Vec<u8> {
    let mut bytes = vec![0; 1 << 16];
    let mut count = 0;
    until("bytes come", || {
        count = link.read(&mut bytes).unwrap();
        count > 0
    });
    bytes.truncate(count);
    bytes
}

/// Reads exactly `len` bytes.
pub(crate) fn read_exactly(link: &mut TcpLink, len: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < len {
        bytes.extend(read_some(link));
    }
    assert_eq!(bytes.len(), len);
    bytes
}

/// Reads until the link ends.
pub(crate) fn read_to_end(link: &mut TcpLink) -> (Vec<u8>, interlock::types::Reason) {
    let mut all = Vec::new();
    let mut bytes = [0; 1_024];
    let mut reason = None;
    until("the link ends", || match link.read(&mut bytes) {
        Ok(count) => {
            all.extend_from_slice(&bytes[..count]);
            false
        }
        Err(why) => {
            reason = Some(why);
            true
        }
    });
    (all, reason.unwrap())
}
