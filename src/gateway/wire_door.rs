//! The door to a venue: its order session over a link that comes back.
//!
//! It leaves early rather than late: on the venue's announcement of a shutdown, and before the venue's 24 hours are over, it
//! waits until no request is outstanding (or [`LEAVE_AFTER_NS`] have passed) and connects anew. A message that can't be read
//! ends the connection: it may have been the answer to an order, and after a reconnect the venue is asked.

use core::fmt;

use crate::event::{Action, Body, Fact, Order, ReplyKind};
use crate::gateway::budget::{LimitKind, Usage};
use crate::gateway::config::GatewayConfig;
use crate::gateway::door::{Door, DoorEvent, Encoded, Request};
use crate::limits::{POLL_BATCH_MAX, WS_MESSAGE_BYTES_MAX};
use crate::types::time::{NS_PER_DAY, NS_PER_MIN, NS_PER_MS, NS_PER_S};
use crate::types::{ClientOrderId, InstrumentId, Now, Reason, StrategyId};
use crate::venue::binance::orders::{self, OrderSession, OrderSessionEvent, RateUsage, Secrets};
use crate::wire::channel::{Channel, ChannelConfig, ChannelEvent, ChannelStep};
use crate::wire::link::Connector;
use crate::wire::retry::Memory;
use crate::wire::text::{self, TextBuf};
use crate::wire::ws::{self, WsConfig};

const _: () = assert!(text::HEADROOM >= ws::HEADROOM, "a request is framed where it was written");

/// How long an announced shutdown waits for outstanding answers.
const LEAVE_AFTER_NS: i64 = 2 * NS_PER_S;
/// Reads in one poll: each is a system call.
const READS_PER_POLL_MAX: usize = 4;

/// How the order session's connection behaves. `host` is for the `Host` header.
pub fn channel_config(config: &GatewayConfig, host: String, session: &OrderSession) -> ChannelConfig {
    ChannelConfig {
        ws: WsConfig { host, path: session.path(), message_bytes_max: WS_MESSAGE_BYTES_MAX },
        retry: config.retry,
        open_timeout_ns: config.open_timeout_ns,
        quiet_after_ns: config.quiet_after_ns,
        renew_after_ns: config.renew_after_ns,
    }
}

/// The order session over a link.
pub struct WireDoor<C: Connector> {
    channel: Channel<C>,
    session: OrderSession,
    text: TextBuf,
    encoded: Option<orders::Encoded>,
    /// That the text is under since it was framed.
    mask: u32,
    is_logon_sent: bool,
    is_ready_told: bool,
    /// The link ended inside a write; the next poll says so.
    failed: Option<Reason>,
    leaving: Option<(Reason, i64)>,
    usage_told: RateUsage,
    block_told_ns: i64,
    /// The last refusal was a ban (418), not a used-up budget (429).
    is_banned: bool,
    offset_ns: i64,
    own_cancels: u64,
}

impl<C: Connector> fmt::Debug for WireDoor<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WireDoor")
            .field("session", &self.session)
            .field("is_ready_told", &self.is_ready_told)
            .finish_non_exhaustive()
    }
}

impl<C: Connector> WireDoor<C> {
    /// Closed; the first poll connects. `seed` feeds masks and jitter.
    pub fn new(connector: C, config: ChannelConfig, session: OrderSession, seed: u64) -> Self {
        Self {
            channel: Channel::new(connector, config, seed),
            session,
            text: TextBuf::new(),
            encoded: None,
            mask: 0,
            is_logon_sent: false,
            is_ready_told: false,
            failed: None,
            leaving: None,
            usage_told: RateUsage::default(),
            block_told_ns: 0,
            is_banned: false,
            offset_ns: 0,
            own_cancels: 0,
        }
    }

    /// Attempts of earlier processes count, and this one's are told. Before the first poll.
    pub fn remember(&mut self, memory: Memory) {
        self.channel.remember(memory);
    }

    /// In words, why the connection or the venue last refused; cold.
    pub fn last_error(&self) -> Option<&str> {
        let refusal = self.session.last_refusal();
        if refusal.is_empty() { self.channel.last_error() } else { Some(refusal) }
    }

    #[cold]
    fn lost(&mut self, reason: Reason, out: &mut dyn FnMut(DoorEvent)) {
        self.session.handle_closed(reason, &mut |body| out(DoorEvent::Body(body)));
        self.is_logon_sent = false;
        self.is_ready_told = false;
        self.leaving = None;
        self.encoded = None;
        let (attempts, is_exhausted) = (self.channel.attempts(), self.channel.is_exhausted());
        out(DoorEvent::Lost { reason, attempts, is_exhausted });
    }

    fn give_up(&mut self, reason: Reason, now: Now, out: &mut dyn FnMut(DoorEvent)) {
        self.channel.lose(reason, now.mono_ns);
        self.lost(reason, out);
    }

    /// Reads what is there: messages handled, and why the connection is over if it is.
    fn read(&mut self, now: Now, out: &mut dyn FnMut(DoorEvent)) -> Result<usize, Reason> {
        let (mut messages, mut reads) = (0, 0);
        loop {
            let heard = match self.channel.next_event()? {
                ChannelEvent::Idle => {
                    if reads == READS_PER_POLL_MAX || self.channel.read(now.mono_ns)? == 0 {
                        return Ok(messages);
                    }
                    reads += 1;
                    continue;
                }
                ChannelEvent::Alive => None,
                ChannelEvent::Open => {
                    self.session.handle_open(now);
                    None
                }
                ChannelEvent::Text(message) => {
                    let mut is_order = false;
                    let is_banned = &mut self.is_banned;
                    let told = self.session.handle_text(message, now, &mut |body| {
                        *is_banned |= matches!(body, Body::Reply(r) if r.reason == Reason::Banned);
                        is_order |= matches!(body, Body::Order(_))
                            || matches!(body, Body::Reply(r) if r.kind == ReplyKind::Absent);
                        out(DoorEvent::Body(body));
                    });
                    Some((told.map_err(|_| Reason::Malformed)?, is_order))
                }
            };
            if let Some((event, is_order)) = heard {
                self.heard(event, is_order, now, out)?;
            }
            messages += 1;
            if messages == POLL_BATCH_MAX {
                return Ok(messages);
            }
        }
    }

    fn heard(
        &mut self,
        event: OrderSessionEvent,
        is_order: bool,
        now: Now,
        out: &mut dyn FnMut(DoorEvent),
    ) -> Result<(), Reason> {
        match event {
            OrderSessionEvent::LoggedOn
            | OrderSessionEvent::Reply
            | OrderSessionEvent::Ignored
            | OrderSessionEvent::OpenOrders { instrument: Some(_), .. } => {}
            OrderSessionEvent::LogonRefused { .. } => return Err(Reason::Refused),
            OrderSessionEvent::OpenOrders { instrument: None, count } => out(DoorEvent::OpenOrders { count }),
            OrderSessionEvent::Answer => {
                // The session does what it is for once the venue has answered a signed question.
                self.channel.confirm();
                if !is_order {
                    out(DoorEvent::AccountRead);
                }
            }
            OrderSessionEvent::QueryFailed { .. } => out(DoorEvent::QueryFailed),
            OrderSessionEvent::ServerShutdown => self.leave(Reason::ServerShutdown, now),
        }
        self.tell_usage(out);
        Ok(())
    }

    fn leave(&mut self, reason: Reason, now: Now) {
        if self.leaving.is_none() {
            self.leaving = Some((reason, now.mono_ns + LEAVE_AFTER_NS));
        }
    }

    fn tell_usage(&mut self, out: &mut dyn FnMut(DoorEvent)) {
        let usage = self.session.usage();
        if usage != self.usage_told {
            self.usage_told = usage;
            let windows = [
                (LimitKind::Weight, NS_PER_MIN, usage.weight_1m, usage.weight_1m_limit),
                (LimitKind::Orders, 10 * NS_PER_S, usage.orders_10s, usage.orders_10s_limit),
                (LimitKind::Orders, NS_PER_DAY, usage.orders_1d, usage.orders_1d_limit),
            ];
            for (kind, window_ns, used, limit) in windows {
                out(DoorEvent::Usage(Usage { kind, window_ns, limit, used }));
            }
        }
        let until_ns = self.session.retry_after_ns();
        if until_ns != self.block_told_ns {
            self.block_told_ns = until_ns;
            let banned = core::mem::take(&mut self.is_banned);
            let reason = if banned { Reason::Banned } else { Reason::RateLimited };
            out(DoorEvent::Blocked { reason, until_ns });
        }
    }

    fn log_on(&mut self, now: Now) -> Result<(), Reason> {
        if !self.is_logon_sent {
            self.is_logon_sent = true;
            let timestamp_ms = (now.ns + self.offset_ns) / NS_PER_MS;
            if self.session.logon_request(timestamp_ms, &mut self.text) {
                self.channel.send_text(self.text.text())?;
            }
        }
        Ok(())
    }

    /// Everything of a poll but the connection's end.
    fn work(&mut self, now: Now, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> Result<usize, Reason> {
        if let Some(reason) = self.failed.take() {
            return Err(reason);
        }
        if self.channel.is_open() {
            self.log_on(now)?;
        }
        let work = if may_read { self.read(now, out)? } else { 0 };
        if !self.is_ready_told && self.channel.is_open() && self.session.is_ready() {
            self.is_ready_told = true;
            out(DoorEvent::Ready);
        }
        self.session.poll_timeout(now, &mut |body| out(DoorEvent::Body(body)));
        if self.session.poll_renewal(now) {
            self.leave(Reason::Renewed, now);
        }
        if let Some((reason, deadline_ns)) = self.leaving
            && (self.session.pending() == 0 || now.mono_ns >= deadline_ns)
        {
            return Err(reason);
        }
        Ok(work)
    }
}

impl<C: Connector> Door for WireDoor<C>
where
    C::Link: Send,
{
    fn drive(&mut self, now: Now, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize {
        match self.channel.drive(now.mono_ns) {
            ChannelStep::Lost(reason) => {
                self.lost(reason, out);
                return 1;
            }
            ChannelStep::Opening => {
                out(DoorEvent::Opening);
                return 1;
            }
            ChannelStep::Idle => {}
        }
        match self.work(now, may_read, out) {
            Ok(work) => work,
            Err(reason) => {
                self.give_up(reason, now, out);
                1
            }
        }
    }

    #[inline]
    fn is_ready(&self) -> bool {
        self.is_ready_told && self.failed.is_none() && self.leaving.is_none()
    }

    fn set_urgent(&mut self, urgent: bool, now: Now) {
        self.channel.set_urgent(urgent, now.mono_ns);
    }

    fn pending(&self) -> usize {
        self.session.pending()
    }

    #[inline]
    fn encode(&mut self, request: &Request, venue_ns: i64) -> Result<Encoded, Reason> {
        let timestamp_ms = venue_ns / NS_PER_MS;
        let own_cancels = &mut self.own_cancels;
        let encoded = encode_request(&mut self.session, request, own_cancels, timestamp_ms, &mut self.text)
            .map_err(orders::EncodeError::reason)?;
        let made = Encoded {
            kind: encoded.kind,
            timestamp_ms,
            text_len: u32::try_from(self.text.len()).unwrap_or(u32::MAX),
            text_crc: 0,
        };
        self.encoded = Some(encoded);
        Ok(made)
    }

    #[inline]
    fn write(&mut self, _now: Now) -> Result<(), Reason> {
        if self.encoded.is_none() {
            return Err(Reason::LineFull);
        }
        self.mask = self.channel.next_mask();
        let (buf, len) = self.text.frame_parts();
        let frame = ws::frame_text_in_place(buf, len, self.mask);
        match self.channel.write_frame(&buf[frame]) {
            Ok(()) => Ok(()),
            Err(Reason::LineFull) => {
                self.encoded = None;
                Err(Reason::LineFull)
            }
            Err(reason) => {
                self.failed = Some(reason);
                Err(reason)
            }
        }
    }

    fn settle(&mut self, made: Encoded, now: Now) -> Encoded {
        let Some(encoded) = self.encoded.take() else { return made };
        if self.failed.is_none() {
            self.session.handle_sent(&encoded, now);
        }
        // The mask again takes the mask off.
        ws::apply_mask(self.text.text_mut(), self.mask);
        summary(&encoded, made.timestamp_ms, self.text.text())
    }

    fn observe(&mut self, fact: &Fact, _now: Now, _out: &mut dyn FnMut(DoorEvent)) {
        if let Body::ClockOffset(offset) = fact.body {
            self.offset_ns = offset.offset_ns;
        }
    }
}

/// Writes a request in the venue's grammar.
#[inline]
pub fn encode_request(
    session: &mut OrderSession,
    request: &Request,
    own_cancels: &mut u64,
    timestamp_ms: i64,
    text: &mut TextBuf,
) -> Result<orders::Encoded, orders::EncodeError> {
    match *request {
        Request::Order(ref order) => session.encode(order, timestamp_ms, text),
        Request::Cancel { client, instrument } => {
            *own_cancels += 1;
            let order = own_cancel(client, instrument, *own_cancels);
            session.encode(&order, timestamp_ms, text)
        }
        Request::CancelAll(instrument) => session.encode_cancel_all(instrument, timestamp_ms, text),
        Request::OrderStatus { client, instrument } => {
            session.encode_order_status(instrument, client, timestamp_ms, text)
        }
        Request::OpenOrders => session.encode_open_orders(None, timestamp_ms, text),
        Request::Account => session.encode_account(timestamp_ms, text),
    }
}

/// A cancel of the gateway's own in the words of an order. Its number names the request, and is no order's: it has no boot
/// epoch.
fn own_cancel(target: ClientOrderId, instrument: InstrumentId, number: u64) -> Order {
    Order {
        client: ClientOrderId(number),
        cause_seq: 0,
        cause_ns: 0,
        strategy: StrategyId::OPERATOR,
        instrument,
        reduce_only: true,
        action: Action::Cancel { target },
    }
}

/// What the journal keeps of a request: the checksum leaves out the signature's digits and the key's name, so that a replay
/// needs neither.
#[inline]
pub fn summary(encoded: &orders::Encoded, timestamp_ms: i64, text: &[u8]) -> Encoded {
    let mut crc = crc32fast::Hasher::new();
    let Secrets { key, signature } = &encoded.secrets;
    let mut from = 0;
    // The key stands before the signature; where there is neither, both are empty and the text is one piece.
    for secret in [key, signature] {
        if !secret.is_empty() {
            crc.update(text.get(from..secret.start).unwrap_or_default());
            from = secret.end;
        }
    }
    crc.update(text.get(from..).unwrap_or_default());
    Encoded {
        kind: encoded.kind,
        timestamp_ms,
        text_len: u32::try_from(text.len()).unwrap_or(u32::MAX),
        text_crc: crc.finalize(),
    }
}
