//! One WebSocket connection: pings, pongs, limits and end of life. What its messages mean is [`streams`](super::streams)'
//! and [`ws_api`](super::ws_api)'s business.

use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::time::Instant;

use super::frame::{self, Incoming, Reader};
use super::outbox::Outbox;

/// The venue's rules for connections; figures of Binance by default, shorter ones for tests.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRules {
    /// How often the venue pings.
    pub ping_every: Duration,
    /// How long it waits for the pong.
    pub pong_within: Duration,
    /// How long a connection may live.
    pub life_max: Duration,
    /// Messages a second (pings and pongs included) that a market stream connection may send.
    pub stream_messages_per_s: u32,
}

impl Default for ConnectionRules {
    fn default() -> Self {
        Self {
            ping_every: Duration::from_secs(20),
            pong_within: Duration::from_mins(1),
            life_max: Duration::from_hours(24),
            stream_messages_per_s: 5,
        }
    }
}

/// What a connection's messages mean.
pub(super) trait Speaker {
    /// A text message arrived.
    fn on_text(&self, text: &[u8]);
    /// Messages a second that are tolerated; 0 = no limit.
    fn messages_per_s(&self) -> u32;
    /// The connection is gone.
    fn on_end(&self);
}

struct Pulse {
    rules: ConnectionRules,
    born: Instant,
    last_ping: Instant,
    awaited: Option<Vec<u8>>,
    window: Instant,
    seen: u32,
}

impl Pulse {
    fn new(rules: ConnectionRules) -> Self {
        let now = Instant::now();
        Self { rules, born: now, last_ping: now, awaited: None, window: now, seen: 0 }
    }

    /// Pings when it is time; false when the connection has to end.
    fn tick(&mut self, outbox: &Outbox) -> bool {
        let now = Instant::now();
        if now - self.born >= self.rules.life_max {
            outbox.close(1001, "end of the connection's life");
            return false;
        }
        if self.awaited.is_some() {
            if now - self.last_ping >= self.rules.pong_within {
                outbox.close(1008, "Pong timeout");
                return false;
            }
        } else if now - self.last_ping >= self.rules.ping_every {
            let payload = (now - self.born).as_millis().to_string().into_bytes();
            outbox.push(frame::ping(&payload));
            self.awaited = Some(payload);
            self.last_ping = now;
        }
        true
    }

    /// Counts a message; false when there were too many within a second.
    fn admit(&mut self, per_s: u32) -> bool {
        let now = Instant::now();
        if now - self.window >= Duration::from_secs(1) {
            self.window = now;
            self.seen = 0;
        }
        self.seen += 1;
        per_s == 0 || self.seen <= per_s
    }
}

/// Serves a connection until it ends.
pub(super) async fn serve<S, K>(io: S, rules: ConnectionRules, outbox: Rc<Outbox>, speaker: Rc<K>)
where
    S: AsyncRead + AsyncWrite + Unpin + 'static,
    K: Speaker,
{
    let (mut from, to) = tokio::io::split(io);
    let for_writer = Rc::clone(&outbox);
    let writer = tokio::task::spawn_local(async move { for_writer.drain_to(to).await });
    let mut reader = Reader::default();
    let mut pulse = Pulse::new(rules);
    let period = rules.ping_every.min(rules.pong_within).min(rules.life_max).min(Duration::from_secs(1)) / 2;
    let mut tick = tokio::time::interval(period.max(Duration::from_millis(5)));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            got = from.read_buf(reader.buffer()) => {
                if !matches!(got, Ok(n) if n > 0) {
                    break;
                }
                if !take(&mut reader, &mut pulse, &outbox, speaker.as_ref()) {
                    break;
                }
            }
            _ = tick.tick() => if !pulse.tick(&outbox) { break },
            () = outbox.ended() => break,
        }
    }
    speaker.on_end();
    if outbox.is_closing() {
        // Leaves the goodbye a moment to go out, and reads what the client still sends: closing a socket with unread
        // bytes would reset it, and a reset may overtake the goodbye.
        let goodbye = async {
            drop(writer.await);
            let mut rest = [0u8; 1024];
            while matches!(from.read(&mut rest).await, Ok(n) if n > 0) {}
        };
        drop(tokio::time::timeout(Duration::from_secs(1), goodbye).await);
    }
    outbox.cut();
}

/// Handles all whole messages; false when the connection has to end.
fn take<K: Speaker>(reader: &mut Reader, pulse: &mut Pulse, outbox: &Outbox, speaker: &K) -> bool {
    loop {
        let message = match reader.next() {
            Ok(None) => return true,
            Ok(Some(message)) => message,
            Err(violation) => {
                outbox.close(violation.code, violation.why);
                return false;
            }
        };
        if !pulse.admit(speaker.messages_per_s()) {
            outbox.close(1008, "Too many requests");
            return false;
        }
        match message {
            Incoming::Text(text) => speaker.on_text(&text),
            Incoming::Ping(payload) => outbox.push(frame::pong(&payload)),
            Incoming::Pong(payload) => {
                if pulse.awaited.as_ref() == Some(&payload) {
                    pulse.awaited = None;
                }
            }
            Incoming::Close(code) => {
                outbox.close(code.unwrap_or(1000), "");
                return false;
            }
        }
    }
}
