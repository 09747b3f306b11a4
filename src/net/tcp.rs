//! TCP links, plain or under TLS, behind [`Link`].
//!
//! `mio` makes the sockets, connects them without blocking and tells when a connect is done. Once open, a link is read by one
//! non-blocking `recv` per [`Link::read`] and not through a poller: the agents that own links spin, and asking epoll before
//! each `recv` costs 6 % of a round trip and saves nothing. A runner that parks instead bounds its wait by its own sleep.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsRawFd as _;
use std::sync::Arc;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};
use rustls::{ClientConfig, ClientConnection};

use super::endpoint::Endpoint;
use super::resolve::Lookup;
use super::tls;
use crate::limits;
use crate::types::Reason;
use crate::wire::link::{Connector, Link, LinkState};

/// How long a link may take, and when a silent peer counts as gone.
#[derive(Clone, Copy, Debug)]
pub struct TcpTimeouts {
    /// For one address to take the connection.
    pub connect_ns: i64,
    /// For all of it: name, connection, TLS handshake.
    pub open_ns: i64,
    /// For sent bytes to be acknowledged (`TCP_USER_TIMEOUT`).
    pub unacknowledged_ms: u32,
    /// Silence after which the kernel probes (`TCP_KEEPIDLE`). The engine judges freshness by data; this finds dead order
    /// sockets that have nothing to say.
    pub keepalive_idle_s: u16,
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        Self {
            connect_ns: 3_000_000_000,
            open_ns: 10_000_000_000,
            unacknowledged_ms: 10_000,
            keepalive_idle_s: 15,
        }
    }
}

/// Opens links to one endpoint.
#[derive(Debug)]
pub struct TcpConnector {
    endpoint: Arc<Endpoint>,
    tls: Arc<ClientConfig>,
    timeouts: TcpTimeouts,
    /// A lookup that has no answer yet is shared by the next attempt, so that a hanging resolver can't pile up threads.
    lookup: Option<Lookup>,
}

impl TcpConnector {
    /// For `endpoint`; `tls` is used when its scheme asks for it.
    pub fn new(endpoint: Endpoint, tls: Arc<ClientConfig>, timeouts: TcpTimeouts) -> Self {
        Self { endpoint: Arc::new(endpoint), tls, timeouts, lookup: None }
    }

    /// Where it connects to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Connector for TcpConnector {
    type Link = TcpLink;

    fn open(&mut self, mono_ns: i64) -> TcpLink {
        let lookup = match self.lookup.take() {
            Some(lookup) if lookup.answer().is_none() => lookup,
            _ => Lookup::start(&self.endpoint.host, self.endpoint.port),
        };
        self.lookup = Some(lookup.clone());
        TcpLink {
            endpoint: self.endpoint.clone(),
            tls_config: self.tls.clone(),
            timeouts: self.timeouts,
            open_deadline_ns: mono_ns.saturating_add(self.timeouts.open_ns),
            phase: Phase::Resolving(lookup),
            stream: None,
            tls: None,
            has_plaintext: false,
            is_ack_due: false,
            ending: None,
            pending: Vec::with_capacity(limits::LINK_PENDING_BYTES_MAX),
            last_error: None,
        }
    }
}

#[derive(Debug)]
enum Phase {
    Resolving(Lookup),
    Connecting(Connecting),
    ShakingHands,
    Open,
    Closed(Reason),
}

/// Addresses under trial. The poller lives only as long as this does.
#[derive(Debug)]
struct Connecting {
    poll: Poll,
    events: Events,
    /// Not tried yet, the next one last.
    addresses: Vec<SocketAddr>,
    current: Option<(SocketAddr, i64)>,
}

/// One connection.
pub struct TcpLink {
    endpoint: Arc<Endpoint>,
    tls_config: Arc<ClientConfig>,
    timeouts: TcpTimeouts,
    open_deadline_ns: i64,
    phase: Phase,
    stream: Option<TcpStream>,
    tls: Option<Box<ClientConnection>>,
    /// Whether the TLS session may hold decrypted bytes.
    has_plaintext: bool,
    /// Bytes were read since the last acknowledgement was seen to.
    is_ack_due: bool,
    /// TLS has failed but decrypted bytes are still to be read.
    ending: Option<Reason>,
    /// What was taken but not yet given to the socket (plain) or to the TLS session.
    pending: Vec<u8>,
    last_error: Option<String>,
}

impl core::fmt::Debug for TcpLink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TcpLink")
            .field("endpoint", &self.endpoint)
            .field("phase", &self.phase)
            .field("pending", &self.pending.len())
            .field("last_error", &self.last_error)
            .finish_non_exhaustive()
    }
}

impl Link for TcpLink {
    #[inline]
    fn drive(&mut self, mono_ns: i64) -> LinkState {
        match self.phase {
            Phase::Open => {
                if !self.is_flushed() && self.flush().is_err() {
                    return self.state();
                }
                LinkState::Open
            }
            Phase::Closed(reason) => LinkState::Closed(reason),
            _ => self.drive_opening(mono_ns),
        }
    }

    #[inline]
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Reason> {
        match self.phase {
            Phase::Open => {}
            Phase::Closed(reason) => return Err(reason),
            _ => return Ok(0),
        }
        if into.is_empty() {
            return Ok(0); // a zero from the socket would look like its end
        }
        if self.tls.is_some() {
            return self.read_tls(into);
        }
        let Some(stream) = &mut self.stream else { return Err(Reason::Closed) };
        match stream.read(into) {
            Ok(0) => Err(self.fail(Reason::Closed, "the peer closed the connection")),
            Ok(count) => {
                self.is_ack_due = true;
                Ok(count)
            }
            Err(error) if is_transient(error.kind()) => Ok(self.acknowledge()),
            Err(error) => Err(self.fail_io("reading", &error)),
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        match self.phase {
            Phase::Open => {}
            Phase::Closed(reason) => return Err(reason),
            _ => return Err(Reason::LineFull),
        }
        if !self.is_flushed() {
            self.flush()?;
        }
        if self.pending.len() + bytes.len() > limits::LINK_PENDING_BYTES_MAX {
            return Err(Reason::LineFull);
        }
        if !self.is_flushed() {
            self.pending.extend_from_slice(bytes);
            return Ok(());
        }
        let Some(stream) = &mut self.stream else { return Err(Reason::Closed) };
        let written = match &mut self.tls {
            // One record up to 16 KiB, one system call. What the socket does not take stays inside the session.
            Some(tls) => {
                tls.writer().write_all(bytes).and_then(|()| tls.write_tls(stream)).map(|_| bytes.len())
            }
            None => stream.write(bytes),
        };
        match written {
            Ok(count) => {
                self.pending.extend_from_slice(&bytes[count..]);
                Ok(())
            }
            Err(error) if is_transient(error.kind()) => {
                if self.tls.is_none() {
                    self.pending.extend_from_slice(bytes);
                }
                Ok(())
            }
            Err(error) => Err(self.fail_io("writing", &error)),
        }
    }

    #[inline]
    fn is_flushed(&self) -> bool {
        self.pending.is_empty() && self.tls.as_ref().is_none_or(|tls| !tls.wants_write())
    }

    fn close(&mut self) {
        if matches!(self.phase, Phase::Closed(_)) {
            return;
        }
        if let (Some(tls), Phase::Open | Phase::ShakingHands) = (&mut self.tls, &self.phase) {
            tls.send_close_notify();
        }
        // Best effort: a peer that does not take our goodbye learns of it from the closed socket.
        let _is_flushed = self.flush().is_ok();
        self.end(Reason::Closed);
    }

    fn last_error(&self) -> Option<&str> {
        self.last_error.as_deref()
    }
}

impl TcpLink {
    fn state(&self) -> LinkState {
        match self.phase {
            Phase::Open => LinkState::Open,
            Phase::Closed(reason) => LinkState::Closed(reason),
            _ => LinkState::Opening,
        }
    }

    #[cold]
    fn drive_opening(&mut self, mono_ns: i64) -> LinkState {
        if mono_ns >= self.open_deadline_ns {
            let doing = match self.phase {
                Phase::Resolving(_) => "the name was not resolved",
                Phase::Connecting(_) => "no address took the connection",
                _ => "the TLS handshake was not finished",
            };
            let within_ms = self.timeouts.open_ns / 1_000_000;
            self.fail(Reason::Timeout, &format!("{doing} within {within_ms} ms"));
            return self.state();
        }
        // Ends: each turn moves to the next phase, or returns.
        loop {
            let is_further = match &self.phase {
                Phase::Resolving(_) => self.drive_lookup(),
                Phase::Connecting(_) => self.drive_connect(mono_ns),
                Phase::ShakingHands => self.drive_handshake(),
                Phase::Open | Phase::Closed(_) => Ok(false),
            };
            if !matches!(is_further, Ok(true)) {
                return self.state();
            }
        }
    }

    fn drive_lookup(&mut self) -> Result<bool, Reason> {
        let Phase::Resolving(lookup) = &self.phase else { return Ok(false) };
        let mut addresses = match lookup.answer() {
            None => return Ok(false),
            Some(Ok(addresses)) => addresses.clone(),
            Some(Err(text)) => {
                let text = text.clone();
                return Err(self.fail(Reason::Unreachable, &text));
            }
        };
        addresses.reverse();
        let poll = Poll::new().map_err(|error| self.fail_io("making a poller", &error))?;
        let events = Events::with_capacity(4);
        self.phase = Phase::Connecting(Connecting { poll, events, addresses, current: None });
        Ok(true)
    }

    fn drive_connect(&mut self, mono_ns: i64) -> Result<bool, Reason> {
        // Ends: each turn tries another address, or returns.
        loop {
            let Phase::Connecting(connecting) = &mut self.phase else { return Ok(false) };
            let outcome = match (&mut self.stream, connecting.current) {
                (Some(stream), Some((_, deadline_ns))) => connecting.progress(stream, mono_ns >= deadline_ns),
                _ => match connecting.addresses.pop() {
                    None => return Err(self.fail_all_addresses()),
                    Some(address) => {
                        connecting.current =
                            Some((address, mono_ns.saturating_add(self.timeouts.connect_ns)));
                        connecting.try_address(address).map(|stream| {
                            self.stream = Some(stream);
                            false
                        })
                    }
                },
            };
            match outcome {
                Ok(false) => return Ok(false),
                Ok(true) => return self.begin_session().map(|()| true),
                Err(error) => {
                    let address = connecting.current.take().map(|(address, _)| address.to_string());
                    self.last_error =
                        Some(format!("{} ({}): {error}", self.endpoint, address.unwrap_or_default()));
                    self.stream = None;
                }
            }
        }
    }

    fn fail_all_addresses(&mut self) -> Reason {
        // The last address's own error is the best that can be said.
        let text = self.last_error.take().unwrap_or_else(|| format!("{}: no address to try", self.endpoint));
        self.end(Reason::Unreachable);
        self.last_error = Some(format!("{text}; is the venue up, and the port right?"));
        Reason::Unreachable
    }

    fn begin_session(&mut self) -> Result<(), Reason> {
        let options = self.stream.as_ref().map_or(Ok(()), |stream| set_options(stream, self.timeouts));
        if let Err(error) = options {
            return Err(self.fail_io("setting socket options", &error));
        }
        self.last_error = None;
        if !self.endpoint.tls {
            self.phase = Phase::Open;
            return Ok(());
        }
        match ClientConnection::new(self.tls_config.clone(), self.endpoint.server_name.clone()) {
            Ok(mut session) => {
                // Bounded by what `write` and `flush` hand over: at most LINK_PENDING_BYTES_MAX, and only when empty.
                session.set_buffer_limit(None);
                self.tls = Some(Box::new(session));
                self.phase = Phase::ShakingHands;
                Ok(())
            }
            Err(error) => Err(self.fail(Reason::Tls, &tls::explain(&error))),
        }
    }

    fn drive_handshake(&mut self) -> Result<bool, Reason> {
        // Ends: each turn reads or writes something, or returns.
        loop {
            self.flush()?;
            let (Some(session), Some(stream)) = (&mut self.tls, &mut self.stream) else {
                return Err(Reason::Closed);
            };
            if !session.is_handshaking() {
                self.phase = Phase::Open;
                self.has_plaintext = true; // data may have come with the handshake's last flight
                return Ok(true);
            }
            match session.read_tls(stream) {
                Ok(0) => {
                    let text = "the peer closed during the TLS handshake; is it a TLS port?";
                    return Err(self.fail(Reason::Closed, text));
                }
                Ok(_) => {}
                Err(error) if is_transient(error.kind()) => return Ok(false),
                Err(error) => return Err(self.fail_io("the TLS handshake", &error)),
            }
            if let Err(error) = session.process_new_packets() {
                self.send_alert();
                return Err(self.fail(Reason::Tls, &tls::explain(&error)));
            }
        }
    }

    fn read_tls(&mut self, into: &mut [u8]) -> Result<usize, Reason> {
        if self.has_plaintext {
            let count = self.read_plaintext(into)?;
            if count > 0 {
                return Ok(count);
            }
        }
        if let Some(reason) = self.ending {
            self.end(reason);
            return Err(reason);
        }
        let (Some(session), Some(stream)) = (&mut self.tls, &mut self.stream) else {
            return Err(Reason::Closed);
        };
        match session.read_tls(stream) {
            Ok(0) => {
                let text = "the stream ended without a TLS goodbye: it may be cut short";
                return Err(self.fail(Reason::Closed, text));
            }
            Ok(_) => self.is_ack_due = true,
            Err(error) if is_transient(error.kind()) => return Ok(self.acknowledge()),
            Err(error) => return Err(self.fail_io("reading", &error)),
        }
        if let Err(error) = session.process_new_packets() {
            // Records before the bad one are genuine: they are handed out before the link ends.
            self.send_alert();
            self.note(&tls::explain(&error));
            self.ending = Some(Reason::Tls);
        } else if session.wants_write() {
            self.flush()?; // the answer to a key update
        }
        let count = self.read_plaintext(into)?;
        match self.ending {
            Some(reason) if count == 0 => {
                self.end(reason);
                Err(reason)
            }
            _ => Ok(count),
        }
    }

    /// Nothing to read: after a read, the acknowledgement that the kernel still owes is sent now, and it is told to owe the
    /// next one too. On a connection that only listens it would otherwise send one inside the read, before the data can be
    /// had: about 2 us of a tick's way on loopback. Returns 0, what was read.
    #[inline]
    fn acknowledge(&mut self) -> usize {
        if core::mem::take(&mut self.is_ack_due)
            && let Some(stream) = &self.stream
        {
            // Best effort: without it reads cost more and nothing else changes.
            set_quickack(stream, QUICKACK_ONCE);
            set_quickack(stream, QUICKACK_OFF);
        }
        0
    }

    #[inline]
    fn read_plaintext(&mut self, into: &mut [u8]) -> Result<usize, Reason> {
        let Some(session) = &mut self.tls else { return Err(Reason::Closed) };
        match session.reader().read(into) {
            Ok(0) => Err(self.fail(Reason::Closed, "the peer said goodbye (close_notify)")),
            Ok(count) => {
                self.has_plaintext = true;
                Ok(count)
            }
            Err(_) => {
                // Nothing decrypted is waiting; a cut stream shows at the next read of the socket.
                self.has_plaintext = false;
                Ok(0)
            }
        }
    }

    /// Gives the socket what waits, as far as it takes it now.
    #[cold]
    fn flush(&mut self) -> Result<(), Reason> {
        let Some(stream) = &mut self.stream else { return Ok(()) };
        // Ends: each turn gives the socket something, or returns.
        loop {
            let given = match &mut self.tls {
                Some(session) if session.wants_write() => session.write_tls(stream),
                _ if self.pending.is_empty() => return Ok(()),
                Some(session) => session.writer().write_all(&self.pending).map(|()| {
                    self.pending.clear();
                    1
                }),
                None => stream.write(&self.pending).inspect(|&count| {
                    self.pending.drain(..count);
                }),
            };
            match given {
                Ok(0) => return Ok(()),
                Ok(_) => {}
                Err(error) if is_transient(error.kind()) => return Ok(()),
                Err(error) => return Err(self.fail_io("writing", &error)),
            }
        }
    }

    /// Lets a waiting TLS alert out, so that the peer's log says what ours does. Best effort.
    fn send_alert(&mut self) {
        if let (Some(session), Some(stream)) = (&mut self.tls, &mut self.stream) {
            let _is_sent = session.write_tls(stream).is_ok();
        }
    }

    fn note(&mut self, text: &str) {
        self.last_error = Some(format!("{}: {text}", self.endpoint));
    }

    #[cold]
    fn fail(&mut self, reason: Reason, text: &str) -> Reason {
        self.note(text);
        self.end(reason);
        reason
    }

    #[cold]
    fn fail_io(&mut self, doing: &str, error: &std::io::Error) -> Reason {
        let reason = match error.kind() {
            ErrorKind::TimedOut => Reason::Timeout,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                Reason::Unreachable
            }
            _ => Reason::Closed,
        };
        self.fail(reason, &format!("{doing}: {error}"))
    }

    fn end(&mut self, reason: Reason) {
        self.phase = Phase::Closed(reason);
        self.stream = None;
        self.tls = None;
        self.pending.clear();
    }
}

impl Connecting {
    fn try_address(&mut self, address: SocketAddr) -> std::io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        self.poll.registry().register(&mut stream, Token(0), Interest::WRITABLE)?;
        Ok(stream)
    }

    /// Whether the connect is done. As mio documents it: writable, no pending error, and a peer.
    fn progress(&mut self, stream: &mut TcpStream, is_late: bool) -> std::io::Result<bool> {
        if let Err(error) = self.poll.poll(&mut self.events, Some(Duration::ZERO))
            && error.kind() != ErrorKind::Interrupted
        {
            return Err(error);
        }
        if !self.events.is_empty() {
            if let Some(error) = stream.take_error()? {
                return Err(error);
            }
            match stream.peer_addr() {
                Ok(_) => {
                    self.poll.registry().deregister(stream)?;
                    return Ok(true);
                }
                // Not yet: a spurious event.
                Err(error) if error.kind() == ErrorKind::NotConnected => {}
                Err(error) => return Err(error),
            }
        }
        if is_late {
            return Err(std::io::Error::new(
                ErrorKind::TimedOut,
                "no answer to the connection request in time",
            ));
        }
        Ok(false)
    }
}

fn set_options(stream: &TcpStream, timeouts: TcpTimeouts) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    rustix::net::sockopt::set_tcp_user_timeout(stream, timeouts.unacknowledged_ms)?;
    rustix::net::sockopt::set_socket_keepalive(stream, true)?;
    let idle = Duration::from_secs(u64::from(timeouts.keepalive_idle_s.max(1)));
    rustix::net::sockopt::set_tcp_keepidle(stream, idle)?;
    rustix::net::sockopt::set_tcp_keepintvl(stream, Duration::from_secs(5))?;
    rustix::net::sockopt::set_tcp_keepcnt(stream, 3)?;
    Ok(())
}

/// Values of `TCP_QUICKACK` (tcp(7), and `__tcp_sock_set_quickack` in Linux): 0 delays acknowledgements from here on; an even
/// number sends the one that is owed, if one is, and delays again.
const QUICKACK_OFF: libc::c_int = 0;
const QUICKACK_ONCE: libc::c_int = 2;

/// `rustix` knows the option as a switch only.
#[expect(unsafe_code, reason = "a socket option that no safe wrapper offers with this value")]
fn set_quickack(stream: &TcpStream, value: libc::c_int) {
    let len = libc::socklen_t::try_from(size_of::<libc::c_int>()).unwrap_or(4);
    // SAFETY: the descriptor is open for as long as the stream is borrowed, and pointer and length are those of one whole
    // `c_int`, which the kernel only reads.
    let _is_best_effort = unsafe {
        libc::setsockopt(
            stream.as_raw_fd(),
            libc::IPPROTO_TCP,
            libc::TCP_QUICKACK,
            core::ptr::from_ref(&value).cast(),
            len,
        )
    };
}

const fn is_transient(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
