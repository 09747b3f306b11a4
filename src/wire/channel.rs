//! A WebSocket connection that comes back: connector, link, framing and retry policy as one machine that is polled. Feed and
//! gateway own one for each of their links.
//!
//! It knows nothing of what the texts say. Its owner says when the connection does what it is for ([`Channel::confirm`]),
//! and when it does not although the socket is open ([`Channel::lose`]).

use crate::types::Reason;
use crate::types::time::NS_PER_S;
use crate::wire::json::Padded;
use crate::wire::link::{Connector, Link, LinkState};
use crate::wire::retry::{Memory, Retry, RetryConfig, split_mix};
use crate::wire::ws::{WsClient, WsConfig, WsError, WsEvent};

/// The figures of a [`Channel`].
#[derive(Clone, Debug)]
pub struct ChannelConfig {
    /// Host, path and message bound.
    pub ws: WsConfig,
    /// Reconnects.
    pub retry: RetryConfig,
    /// From the start of an attempt until it is established.
    pub open_timeout_ns: i64,
    /// Without a byte for this long an open connection is dead: the venue pings.
    pub quiet_after_ns: i64,
    /// A connection is given up and made anew after this long.
    pub renew_after_ns: i64,
}

/// What [`Channel::drive`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChannelStep {
    /// Nothing changed.
    Idle,
    /// An attempt started.
    Opening,
    /// The connection, or the attempt, is over. Another attempt follows by itself.
    Lost(Reason),
}

/// What [`Channel::next_event`] found in the bytes read.
#[derive(Debug)]
pub enum ChannelEvent<'a> {
    /// Nothing more until the next read.
    Idle,
    /// The handshake is done: log on, subscribe.
    Open,
    /// A text message.
    Text(Padded<'a>),
    /// A ping or pong: a sign of life, no data.
    Alive,
}

/// A WebSocket connection with reconnects.
#[derive(Debug)]
pub struct Channel<C: Connector> {
    connector: C,
    config: ChannelConfig,
    retry: Retry,
    random: u64,
    /// `Retry-After` of the last refused handshake.
    retry_after_s: u32,
    connection: Option<Connection<C::Link>>,
}

#[derive(Debug)]
struct Connection<L> {
    link: L,
    ws: WsClient,
    is_link_open: bool,
    is_established: bool,
    started_ns: i64,
    heard_ns: i64,
}

impl<C: Connector> Channel<C> {
    /// Closed; the first [`Channel::drive`] starts an attempt. `seed` feeds masks and jitter: give entropy, or a constant in a
    /// simulation.
    pub fn new(connector: C, config: ChannelConfig, seed: u64) -> Self {
        let mut random = seed;
        let retry = Retry::new(config.retry, split_mix(&mut random));
        Self { connector, config, retry, random, retry_after_s: 0, connection: None }
    }

    /// Attempts of earlier processes count, and this one's are told. Before the first [`Channel::drive`].
    pub fn remember(&mut self, memory: Memory) {
        self.retry.remember(memory);
    }

    /// Drives connect, handshake, pending writes and deadlines.
    pub fn drive(&mut self, mono_ns: i64) -> ChannelStep {
        let Some(connection) = &mut self.connection else {
            if !self.retry.is_due(mono_ns) {
                return ChannelStep::Idle;
            }
            self.retry.start(mono_ns);
            let seed = split_mix(&mut self.random);
            self.connection = Some(Connection {
                link: self.connector.open(mono_ns),
                ws: WsClient::new(&self.config.ws, seed),
                is_link_open: false,
                is_established: false,
                started_ns: mono_ns,
                heard_ns: mono_ns,
            });
            return ChannelStep::Opening;
        };
        match connection.drive(&self.config, mono_ns) {
            Ok(()) => ChannelStep::Idle,
            Err(reason) => self.lose(reason, mono_ns),
        }
    }

    /// Reads once, as much as fits: the number of bytes.
    #[inline]
    pub fn read(&mut self, mono_ns: i64) -> Result<usize, Reason> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        if !connection.is_link_open {
            return Ok(0);
        }
        let count = connection.link.read(connection.ws.spare())?;
        if count > 0 {
            connection.ws.filled(count);
            connection.heard_ns = mono_ns;
        }
        Ok(count)
    }

    /// The next message among the bytes read. Call until [`ChannelEvent::Idle`]. An error is for [`Channel::lose`].
    #[inline]
    pub fn next_event(&mut self) -> Result<ChannelEvent<'_>, Reason> {
        let Some(connection) = &mut self.connection else { return Ok(ChannelEvent::Idle) };
        match connection.ws.poll() {
            Ok(WsEvent::Text(text)) => Ok(ChannelEvent::Text(text)),
            Ok(WsEvent::Idle) => Ok(ChannelEvent::Idle),
            Ok(WsEvent::Open) => Ok(ChannelEvent::Open),
            Ok(WsEvent::Ping | WsEvent::Pong) => Ok(ChannelEvent::Alive),
            Ok(WsEvent::Closed { .. }) => Err(Reason::Closed),
            Err(error) => {
                if let WsError::HandshakeRefused { retry_after_s: Some(seconds), .. } = error {
                    self.retry_after_s = seconds;
                }
                Err(error.reason())
            }
        }
    }

    /// Queues a text and starts writing it: logon, subscriptions, anything but orders.
    pub fn send_text(&mut self, text: &[u8]) -> Result<(), Reason> {
        let Some(connection) = &mut self.connection else { return Err(Reason::SessionDown) };
        connection.ws.send_text(text).map_err(WsError::reason)?;
        connection.flush()
    }

    /// Writes a frame that was made in place. [`Reason::LineFull`]: nothing was taken.
    #[inline]
    pub fn write_frame(&mut self, frame: &[u8]) -> Result<(), Reason> {
        match &mut self.connection {
            Some(connection) => connection.link.write(frame),
            None => Err(Reason::SessionDown),
        }
    }

    /// A masking key for a frame made in place.
    #[inline]
    pub fn next_mask(&mut self) -> u32 {
        self.connection.as_mut().map_or(0, |c| c.ws.next_mask())
    }

    /// The peer answers as it should: the opening deadline is met. The row of failures goes on until
    /// [`Channel::confirm`].
    pub fn establish(&mut self) {
        if let Some(connection) = &mut self.connection {
            connection.is_established = true;
        }
    }

    /// The connection does all that it is for: the row of failures is over.
    pub fn confirm(&mut self) {
        self.establish();
        if self.connection.is_some() {
            self.retry.succeeded();
        }
    }

    /// Gives the connection up. Returns the step that its owner acts on. A renewal and an announced shutdown are no failures:
    /// another connection is tried at once.
    #[cold]
    pub fn lose(&mut self, reason: Reason, mono_ns: i64) -> ChannelStep {
        if let Some(mut connection) = self.connection.take() {
            connection.ws.close(1000);
            // Best effort: the close frame, or the echo of the peer's. The connection is over either way.
            let _said_goodbye = connection.flush().is_ok();
            connection.link.close();
            if !matches!(reason, Reason::Renewed | Reason::ServerShutdown) {
                self.retry.failed(mono_ns);
            }
            let held_ns = i64::from(core::mem::take(&mut self.retry_after_s)) * NS_PER_S;
            self.retry.hold_until(mono_ns.saturating_add(held_ns));
        }
        ChannelStep::Lost(reason)
    }

    /// Whether there is a connection whose handshake is done.
    #[inline]
    pub fn is_open(&self) -> bool {
        self.connection.as_ref().is_some_and(|c| c.is_link_open && c.ws.is_open())
    }

    /// Attempts since the connection last did what it is for.
    pub const fn attempts(&self) -> u32 {
        self.retry.attempts()
    }

    /// Whether the attempts in a row are used up.
    pub const fn is_exhausted(&self) -> bool {
        self.retry.is_exhausted()
    }

    /// Whether something that must not wait depends on the connection.
    pub fn set_urgent(&mut self, urgent: bool, mono_ns: i64) {
        self.retry.set_urgent(urgent, mono_ns);
    }

    /// In words, why the link last failed; cold.
    pub fn last_error(&self) -> Option<&str> {
        self.connection.as_ref().and_then(|c| c.link.last_error())
    }
}

impl<L: Link> Connection<L> {
    fn drive(&mut self, config: &ChannelConfig, mono_ns: i64) -> Result<(), Reason> {
        match self.link.drive(mono_ns) {
            LinkState::Opening => {}
            LinkState::Open => {
                self.is_link_open = true;
                self.flush()?;
            }
            LinkState::Closed(reason) => return Err(reason),
        }
        let age_ns = mono_ns - self.started_ns;
        if !self.is_established && age_ns > config.open_timeout_ns {
            return Err(Reason::Timeout);
        }
        if self.is_established && mono_ns - self.heard_ns > config.quiet_after_ns {
            return Err(Reason::Silent);
        }
        if age_ns > config.renew_after_ns {
            return Err(Reason::Renewed);
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<(), Reason> {
        if !self.is_link_open {
            return Ok(()); // the first `drive` that finds it open flushes
        }
        if let Some(bytes) = self.ws.transmit() {
            match self.link.write(bytes) {
                Ok(()) => self.ws.transmitted(),
                Err(Reason::LineFull) => {} // stays queued; its own bound ends the connection
                Err(reason) => return Err(reason),
            }
        }
        Ok(())
    }
}
