//! The account link: private events to facts. It is read only while no private fact waits for room, so that none is ever
//! dropped; the venue's socket buffer is then where they wait.

use crate::event::fact::LinkId;
use crate::event::{Body, LinkStatus};
use crate::feed::config::FeedConfig;
use crate::feed::market::{Exhausted, Read};
use crate::feed::outlet::Outlet;
use crate::limits::{POLL_BATCH_MAX, WS_MESSAGE_BYTES_MAX};
use crate::types::time::NS_PER_MS;
use crate::types::{Now, Reason};
use crate::venue::binance::account::{AccountEvent, AccountSession};
use crate::wire::channel::{Channel, ChannelConfig, ChannelEvent, ChannelStep};
use crate::wire::link::Connector;
use crate::wire::retry::Memory;
use crate::wire::text::TextBuf;
use crate::wire::ws::WsConfig;

/// Reads in one poll.
const READS_PER_POLL_MAX: usize = 2;

/// The account link with its session.
pub struct AccountSide<C: Connector> {
    channel: Channel<C>,
    session: AccountSession,
    text: TextBuf,
    /// Venue clock minus ours: logons carry the venue's time.
    offset_ns: i64,
}

impl<C: Connector> core::fmt::Debug for AccountSide<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("AccountSide").field("session", &self.session).finish_non_exhaustive()
    }
}

impl<C: Connector> AccountSide<C> {
    /// Closed; the first poll connects. `host` is for the `Host` header, `seed` feeds masks and jitter.
    pub fn new(connector: C, host: String, session: AccountSession, config: &FeedConfig, seed: u64) -> Self {
        let channel = ChannelConfig {
            ws: WsConfig { host, path: session.path(), message_bytes_max: WS_MESSAGE_BYTES_MAX },
            retry: config.retry,
            open_timeout_ns: config.open_timeout_ns,
            quiet_after_ns: config.quiet_after_ns,
            renew_after_ns: config.renew_after_ns,
        };
        Self { channel: Channel::new(connector, channel, seed), session, text: TextBuf::new(), offset_ns: 0 }
    }

    /// Attempts of earlier processes count, and this one's are told. Before the first poll.
    pub fn remember(&mut self, memory: Memory) {
        self.channel.remember(memory);
    }

    /// In words, why the venue or the link last refused; cold.
    pub fn last_error(&self) -> Option<&str> {
        let refusal = self.session.last_refusal();
        if refusal.is_empty() { self.channel.last_error() } else { Some(refusal) }
    }

    pub(super) fn set_offset(&mut self, offset_ns: i64) {
        self.offset_ns = offset_ns;
    }

    pub(super) fn poll(&mut self, now: Now, outlet: &mut Outlet) -> Result<Read, Exhausted> {
        let mut read = Read::default();
        let result = match self.channel.drive(now.mono_ns) {
            ChannelStep::Opening => return Ok(read),
            ChannelStep::Lost(reason) => return self.lost(reason, outlet),
            ChannelStep::Idle => self.work(now, outlet, &mut read),
        };
        match result {
            Ok(()) => Ok(read),
            Err(reason) => {
                self.channel.lose(reason, now.mono_ns);
                self.lost(reason, outlet).map(|_| read)
            }
        }
    }

    fn work(&mut self, now: Now, outlet: &mut Outlet, read: &mut Read) -> Result<(), Reason> {
        let mut reads = 0;
        while read.messages < POLL_BATCH_MAX && !outlet.is_waiting() {
            let event = match self.channel.next_event()? {
                ChannelEvent::Text(message) => self
                    .session
                    .handle_text(message, now, &mut |body| outlet.private(body))
                    // What can't be read may have been a fill: connect anew, and the gateway asks the venue.
                    .map_err(|_| Reason::Malformed)?,
                ChannelEvent::Idle => {
                    if reads == READS_PER_POLL_MAX {
                        break;
                    }
                    let bytes = self.channel.read(now.mono_ns)?;
                    if bytes == 0 {
                        break;
                    }
                    reads += 1;
                    read.bytes += bytes;
                    continue;
                }
                ChannelEvent::Open => {
                    self.session.handle_open(now);
                    self.request(now)?;
                    continue;
                }
                ChannelEvent::Alive => continue,
            };
            read.messages += 1;
            self.heard(event, now, outlet)?;
        }
        if self.session.poll_renewal(now) { Err(Reason::Renewed) } else { Ok(()) }
    }

    fn heard(&mut self, event: AccountEvent, now: Now, outlet: &mut Outlet) -> Result<(), Reason> {
        match event {
            AccountEvent::Data | AccountEvent::Ignored => Ok(()),
            AccountEvent::LoggedOn => self.request(now),
            AccountEvent::Subscribed => {
                let attempts = self.channel.attempts();
                self.channel.confirm();
                outlet.private(Body::Link(status(true, Reason::None, attempts)));
                Ok(())
            }
            // The link says once more that it is up: whoever keeps balances then asks for them anew.
            AccountEvent::Refresh => {
                outlet.private(Body::Link(status(true, Reason::None, 0)));
                Ok(())
            }
            AccountEvent::Refused { .. } => Err(Reason::Refused),
            AccountEvent::Terminated => Err(Reason::Closed),
            AccountEvent::ServerShutdown => Err(Reason::ServerShutdown),
        }
    }

    fn request(&mut self, now: Now) -> Result<(), Reason> {
        let timestamp_ms = (now.ns + self.offset_ns) / NS_PER_MS;
        if self.session.request(timestamp_ms, &mut self.text) {
            self.channel.send_text(self.text.text())?;
        }
        Ok(())
    }

    #[cold]
    fn lost(&mut self, reason: Reason, outlet: &mut Outlet) -> Result<Read, Exhausted> {
        self.session.handle_closed(reason);
        outlet.private(Body::Link(status(false, reason, self.channel.attempts())));
        if self.channel.is_exhausted() { Err(Exhausted) } else { Ok(Read::default()) }
    }
}

const fn status(up: bool, reason: Reason, attempts: u32) -> LinkStatus {
    LinkStatus { link: LinkId::Account, up, reason, attempts }
}
