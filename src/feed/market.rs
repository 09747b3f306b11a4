//! The market link: bytes to market facts, and the judgement whether data flows.
//!
//! The rule of reconnects (R-FEED-4): back-off with jitter, five attempts in a row, then the page is tripped
//! ([`Reason::RetriesExhausted`]) and attempts go on at the slow pace, because an operator who wants to arm again needs a
//! market to look at. A row ends when every expected stream has spoken. A connection is renewed before the venue's 24 hours
//! are over by closing it and opening another: the books are invalid for the moment between, which trades nothing, rather than
//! two connections feeding one book.

use crate::agent::Clock;
use crate::agent::ring::Producer;
use crate::event::fact::LinkId;
use crate::event::{Body, LinkStatus, Sample};
use crate::feed::config::{FeedConfig, RestAnswer, RestRequest};
use crate::feed::fresh::Freshness;
use crate::feed::outlet::Outlet;
use crate::limits::{POLL_BATCH_MAX, WS_MESSAGE_BYTES_MAX};
use crate::shared::latency::Metric;
use crate::shared::{Counter, Counters};
use crate::types::{InstrumentTable, Now, Reason};
use crate::venue::binance::market::{MarketEvent, MarketSession};
use crate::wire::channel::{Channel, ChannelConfig, ChannelEvent, ChannelStep};
use crate::wire::link::Connector;
use crate::wire::retry::Memory;
use crate::wire::ws::WsConfig;

/// Reads in one poll: each is a system call, and the line must get its turn.
const READS_PER_POLL_MAX: usize = 4;
/// Messages in a row that can't be read before the connection is given up.
const MALFORMED_IN_A_ROW_MAX: u32 = 16;

/// The market link with its session.
pub struct MarketSide<C: Connector> {
    channel: Channel<C>,
    session: MarketSession,
    fresh: Freshness,
    is_up: bool,
    /// Raw ticks of the last read that brought something.
    read_ticks: u64,
    malformed_in_a_row: u32,
    malformed: u64,
}

impl<C: Connector> core::fmt::Debug for MarketSide<C> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MarketSide").field("is_up", &self.is_up).finish_non_exhaustive()
    }
}

/// What one poll read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Read {
    pub(super) messages: usize,
    pub(super) bytes: usize,
}

impl<C: Connector> MarketSide<C> {
    /// Attempts of earlier processes count, and this one's are told. Before the first poll.
    pub fn remember(&mut self, memory: Memory) {
        self.channel.remember(memory);
    }

    /// Closed; the first poll connects. `host` is for the `Host` header, `seed` feeds masks and jitter.
    pub fn new(
        connector: C,
        host: String,
        session: MarketSession,
        table: &InstrumentTable,
        config: &FeedConfig,
        seed: u64,
    ) -> Self {
        let channel = ChannelConfig {
            ws: WsConfig { host, path: session.path(), message_bytes_max: WS_MESSAGE_BYTES_MAX },
            retry: config.retry,
            open_timeout_ns: config.open_timeout_ns,
            quiet_after_ns: config.quiet_after_ns,
            renew_after_ns: config.renew_after_ns,
        };
        Self {
            channel: Channel::new(connector, channel, seed),
            session,
            fresh: Freshness::new(config, table.all().len()),
            is_up: false,
            read_ticks: 0,
            malformed_in_a_row: 0,
            malformed: 0,
        }
    }

    /// The session, for its counters and books.
    pub const fn session(&self) -> &MarketSession {
        &self.session
    }

    /// In words, why the link last failed; cold.
    pub fn last_error(&self) -> Option<&str> {
        self.channel.last_error()
    }

    /// One poll: `Err` says that the attempts in a row are used up.
    #[inline]
    pub(super) fn poll(
        &mut self,
        now: Now,
        outlet: &mut Outlet,
        probe: &mut Probe<'_>,
    ) -> Result<Read, Exhausted> {
        match self.channel.drive(now.mono_ns) {
            ChannelStep::Idle => {}
            ChannelStep::Opening => {
                probe.counters.add(Counter::FeedReconnects, 1);
                return Ok(Read::default());
            }
            ChannelStep::Lost(reason) => return self.lost(reason, outlet),
        }
        let mut read = Read::default();
        let result = self.read(now, outlet, probe, &mut read);
        let fresh = &mut self.fresh;
        self.session.poll(now, &mut |body| {
            fresh.note(&body, now.mono_ns);
            outlet.take(body)
        });
        match result {
            Ok(()) => Ok(read),
            Err(reason) => {
                self.channel.lose(reason, now.mono_ns);
                self.lost(reason, outlet).map(|_| read)
            }
        }
    }

    #[inline]
    fn read(
        &mut self,
        now: Now,
        outlet: &mut Outlet,
        probe: &mut Probe<'_>,
        read: &mut Read,
    ) -> Result<(), Reason> {
        let mut reads = 0;
        outlet.read_at(self.read_ticks); // of messages that the last poll left over
        while read.messages < POLL_BATCH_MAX {
            match self.channel.next_event()? {
                ChannelEvent::Text(message) => {
                    let fresh = &mut self.fresh;
                    let event = self.session.handle_text(message, now, &mut |body| {
                        fresh.note(&body, now.mono_ns);
                        outlet.take(body)
                    });
                    read.messages += 1;
                    probe.decoded(outlet.take_decoded());
                    self.heard(&event, now, outlet)?;
                }
                ChannelEvent::Idle => {
                    // What was read goes down the line before the next system call.
                    if reads == READS_PER_POLL_MAX || read.messages > 0 {
                        break;
                    }
                    let bytes = self.channel.read(now.mono_ns)?;
                    if bytes == 0 {
                        break;
                    }
                    // The stamp comes right after the read, before anything is looked at.
                    self.read_ticks = probe.clock.ticks();
                    outlet.read_at(self.read_ticks);
                    reads += 1;
                    read.bytes += bytes;
                }
                ChannelEvent::Open => {
                    self.fresh.opened(now.mono_ns);
                    self.session.handle_open(now);
                }
                ChannelEvent::Alive => {}
            }
        }
        outlet.read_at(0);
        Ok(())
    }

    #[inline]
    fn heard<E>(
        &mut self,
        event: &Result<MarketEvent, E>,
        now: Now,
        outlet: &mut Outlet,
    ) -> Result<(), Reason> {
        match event {
            Ok(MarketEvent::Data) => {
                self.malformed_in_a_row = 0;
                self.fresh.heard(now.mono_ns);
                if !self.is_up {
                    self.is_up = true;
                    self.channel.establish();
                    outlet.private(Body::Link(status(true, Reason::None, self.channel.attempts())));
                }
                Ok(())
            }
            Ok(MarketEvent::Ack | MarketEvent::Ignored) => Ok(()),
            Ok(MarketEvent::ServerShutdown) => Err(Reason::ServerShutdown),
            Ok(MarketEvent::Refused { .. }) => Err(Reason::Refused),
            Err(_) => {
                self.malformed += 1;
                self.malformed_in_a_row += 1;
                if self.malformed_in_a_row > MALFORMED_IN_A_ROW_MAX { Err(Reason::Malformed) } else { Ok(()) }
            }
        }
    }

    #[cold]
    fn lost(&mut self, reason: Reason, outlet: &mut Outlet) -> Result<Read, Exhausted> {
        self.is_up = false;
        self.malformed_in_a_row = 0;
        self.session.handle_closed(reason, &mut |body| outlet.take(body));
        outlet.private(Body::Link(status(false, reason, self.channel.attempts())));
        if self.channel.is_exhausted() { Err(Exhausted) } else { Ok(Read::default()) }
    }

    /// What need not be done in every poll: staleness, renewal, snapshot requests, counters.
    pub(super) fn look_after(
        &mut self,
        now: Now,
        outlet: &mut Outlet,
        requests: &mut Producer<RestRequest>,
        counters: &Counters,
    ) -> Result<(), Exhausted> {
        if self.channel.is_open() {
            if self.fresh.is_complete() {
                self.channel.confirm();
            }
            let over = if self.fresh.is_stale(now.mono_ns) {
                Some(Reason::Silent)
            } else if self.session.poll_renewal(now) {
                Some(Reason::Renewed)
            } else {
                None
            };
            if let Some(reason) = over {
                self.channel.lose(reason, now.mono_ns);
                self.lost(reason, outlet)?;
            }
        }
        while let Some(instrument) = self.session.poll_snapshot_request(now) {
            if requests.push(RestRequest::Snapshot(instrument)).is_err() {
                self.session.handle_snapshot_failed(instrument, now);
                break;
            }
        }
        let seen = self.session.counters();
        counters.set(Counter::FeedFallback, seen.parsed);
        counters.set(Counter::FeedMalformed, self.malformed);
        counters.set(Counter::FeedGaps, seen.gaps);
        counters.set(Counter::FeedDepthUpdates, self.fresh.depth_updates);
        counters.set(Counter::FeedSnapshots, self.fresh.snapshots);
        Ok(())
    }

    /// An answer of the REST worker that concerns books.
    pub(super) fn answer(&mut self, answer: &RestAnswer, now: Now, outlet: &mut Outlet) {
        match answer {
            RestAnswer::Depth(piece) => {
                let fresh = &mut self.fresh;
                self.session.handle_snapshot_piece(piece, now, &mut |body| {
                    fresh.note(&body, now.mono_ns);
                    outlet.take(body)
                });
            }
            RestAnswer::SnapshotFailed(instrument) => self.session.handle_snapshot_failed(*instrument, now),
            RestAnswer::ClockOffset(_) | RestAnswer::Bar(_) => {}
        }
    }
}

/// The attempts in a row are used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Exhausted;

/// What measures.
#[derive(Debug)]
pub(super) struct Probe<'a> {
    pub(super) clock: &'a Clock,
    pub(super) counters: &'a Counters,
    pub(super) samples: Option<&'a mut Producer<Sample>>,
    pub(super) dropped: u64,
}

impl Probe<'_> {
    #[inline]
    fn decoded(&mut self, ticks: u32) {
        if let Some(samples) = &mut self.samples
            && ticks != 0
            && samples.push(Sample { metric: Metric::Decode as u16, ticks }).is_err()
        {
            self.dropped += 1;
        }
    }
}

const fn status(up: bool, reason: Reason, attempts: u32) -> LinkStatus {
    LinkStatus { link: LinkId::Market, up, reason, attempts }
}
