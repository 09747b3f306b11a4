//! The client's side of one connection.

use core::ops::Range;

use super::buffer::RxBuffer;
use super::error::{Misbehaviour, WsError};
use super::frame::{self, HEADROOM, Header, Opcode, SERVER_HEADER_BYTES_MAX};
use super::handshake::Handshake;
use crate::limits;
use crate::wire::json::Padded;

/// What a connection is for.
#[derive(Clone, Debug)]
pub struct WsConfig {
    /// For the `Host` header: with the port when it is not the scheme's own.
    pub host: String,
    /// Path and query.
    pub path: String,
    /// Longest message that is accepted, at most [`limits::WS_MESSAGE_BYTES_MAX`].
    pub message_bytes_max: usize,
}

/// What [`WsClient::poll`] found.
#[derive(Debug)]
pub enum WsEvent<'a> {
    /// Nothing more until the next read.
    Idle,
    /// The handshake is done. Comes once.
    Open,
    /// A text message.
    Text(Padded<'a>),
    /// The peer pinged; the pong with its payload waits in [`WsClient::transmit`].
    Ping,
    /// The peer ponged.
    Pong,
    /// The peer closed, or answered our close; a due echo waits in [`WsClient::transmit`]. Comes once, nothing follows.
    Closed {
        /// The code it gave.
        code: Option<u16>,
    },
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Handshake(Handshake),
    Open,
    /// Closed by the peer.
    Over,
    Failed(WsError),
}

/// What one step found, without the borrow.
enum Step {
    Idle,
    Open,
    Text(Range<usize>),
    Ping,
    Pong,
    Closed(Option<u16>),
}

/// A WebSocket client without I/O. See the module for what it refuses.
///
/// The calling order: `transmit` until nothing waits; read into `spare`, `filled`; `poll` until `Idle`; again.
pub struct WsClient {
    rx: RxBuffer,
    message_bytes_max: usize,
    phase: Phase,
    /// Whether a fragmented message is under way (its fragments so far may be empty).
    is_assembling: bool,
    is_close_sent: bool,
    random: SplitMix,
    tx: Vec<u8>,
    /// How much of `tx` the last [`WsClient::transmit`] showed.
    tx_shown: usize,
}

impl core::fmt::Debug for WsClient {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("WsClient")
            .field("phase", &self.phase)
            .field("unread", &self.rx.unread().len())
            .field("transmit", &self.tx.len())
            .finish_non_exhaustive()
    }
}

impl WsClient {
    /// A connection whose handshake request waits in [`WsClient::transmit`]. `seed` feeds masking keys and the
    /// handshake's nonce: give entropy, or a constant in a simulation.
    ///
    /// # Panics
    /// When the configuration's host or path has blanks or control characters, or its bound is over the system's: both are
    /// checked where configuration is read.
    pub fn new(config: &WsConfig, seed: u64) -> Self {
        assert!(config.message_bytes_max <= limits::WS_MESSAGE_BYTES_MAX, "the bound is checked at parsing");
        let mut random = SplitMix(seed);
        let nonce = u128::from(random.next()) << 64 | u128::from(random.next());
        let mut tx = Vec::with_capacity(limits::WS_TRANSMIT_BYTES_MAX);
        let handshake = Handshake::start(&config.host, &config.path, nonce, &mut tx);
        let content_bytes_max =
            (config.message_bytes_max + SERVER_HEADER_BYTES_MAX).max(limits::HTTP_HEAD_BYTES_MAX);
        Self {
            rx: RxBuffer::new(content_bytes_max),
            message_bytes_max: config.message_bytes_max,
            phase: Phase::Handshake(handshake),
            is_assembling: false,
            is_close_sent: false,
            random,
            tx,
            tx_shown: 0,
        }
    }

    /// Where to read into. Never empty after [`WsClient::poll`] said `Idle`.
    #[inline]
    pub fn spare(&mut self) -> &mut [u8] {
        self.rx.spare()
    }

    /// `count` bytes were read into [`WsClient::spare`].
    #[inline]
    pub fn filled(&mut self, count: usize) {
        self.rx.filled(count);
    }

    /// The next event. Call until `Idle` after each read. An error is final: it comes again, and a close frame that tells the
    /// peer waits in [`WsClient::transmit`].
    #[inline]
    pub fn poll(&mut self) -> Result<WsEvent<'_>, WsError> {
        // The hot shape first: a whole text frame, all of it there, nothing under assembly.
        if let Some(range) = self.take_whole_text() {
            return Ok(WsEvent::Text(self.rx.text(range)));
        }
        Ok(match self.step()? {
            Step::Idle => WsEvent::Idle,
            Step::Open => WsEvent::Open,
            Step::Text(range) => WsEvent::Text(self.rx.text(range)),
            Step::Ping => WsEvent::Ping,
            Step::Pong => WsEvent::Pong,
            Step::Closed(code) => WsEvent::Closed { code },
        })
    }

    /// Whether the handshake is done and neither side has closed.
    #[inline]
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open) && !self.is_close_sent
    }

    /// What waits to be written, in order. Confirm with [`WsClient::transmitted`] once the link has taken it.
    #[inline]
    pub fn transmit(&mut self) -> Option<&[u8]> {
        self.tx_shown = self.tx.len();
        if self.tx.is_empty() { None } else { Some(&self.tx) }
    }

    /// The link took what the last [`WsClient::transmit`] showed.
    #[inline]
    pub fn transmitted(&mut self) {
        self.tx.drain(..self.tx_shown);
        self.tx_shown = 0;
    }

    /// A masking key for a frame that is made outside, by [`super::frame_text_in_place`].
    #[inline]
    pub fn next_mask(&mut self) -> u32 {
        (self.random.next() >> 32) as u32
    }

    /// Queues a text message: for the cold ones (logon, subscriptions). Orders are framed in place instead. A refusal
    /// does not end the connection.
    pub fn send_text(&mut self, text: &[u8]) -> Result<(), WsError> {
        self.queue_ours(Opcode::Text, text)
    }

    /// Queues a ping.
    ///
    /// # Panics
    /// When `payload` is over [`super::CONTROL_BYTES_MAX`] bytes.
    pub fn send_ping(&mut self, payload: &[u8]) -> Result<(), WsError> {
        self.queue_ours(Opcode::Ping, payload)
    }

    /// Queues an unsolicited pong.
    ///
    /// # Panics
    /// When `payload` is over [`super::CONTROL_BYTES_MAX`] bytes.
    pub fn send_pong(&mut self, payload: &[u8]) -> Result<(), WsError> {
        self.queue_ours(Opcode::Pong, payload)
    }

    /// Queues our close, once. Messages that the peer sent before its answer still come out of [`WsClient::poll`]: they may
    /// be fills.
    pub fn close(&mut self, code: u16) {
        if matches!(self.phase, Phase::Open) {
            self.queue_close(Some(code));
        }
    }

    /// A whole text frame at the front, if that is what is there; consumed.
    #[inline]
    fn take_whole_text(&mut self) -> Option<Range<usize>> {
        if self.is_assembling || !matches!(self.phase, Phase::Open) {
            return None;
        }
        let unread = self.rx.unread();
        if *unread.first()? != frame::WHOLE_TEXT {
            return None;
        }
        let (header_len, payload_len) = frame::parse_len(unread).ok()??;
        if payload_len > self.message_bytes_max || unread.len() - header_len < payload_len {
            return None;
        }
        Some(self.rx.take(header_len, payload_len))
    }

    /// Everything else.
    #[cold]
    fn step(&mut self) -> Result<Step, WsError> {
        let found = match self.phase {
            Phase::Handshake(handshake) => self.step_handshake(handshake),
            Phase::Open => self.step_frames(),
            Phase::Over => return Ok(Step::Idle),
            Phase::Failed(error) => return Err(error),
        };
        if let Err(error) = found {
            self.phase = Phase::Failed(error);
            if let Some(code) = error.close_code() {
                self.queue_close(Some(code));
            }
        }
        found
    }

    fn step_handshake(&mut self, handshake: Handshake) -> Result<Step, WsError> {
        let Some(head_bytes) = handshake.handle_answer(self.rx.unread())? else { return Ok(Step::Idle) };
        self.rx.consume(head_bytes); // a first frame may lie behind it and stays
        self.phase = Phase::Open;
        Ok(Step::Open)
    }

    fn step_frames(&mut self) -> Result<Step, WsError> {
        // Ends: each turn consumes at least a header, or returns.
        loop {
            let Some(header) = Header::parse(self.rx.unread())? else { return Ok(Step::Idle) };
            if !header.opcode.is_control() {
                self.check_data(&header)?;
            }
            if self.rx.unread().len() - header.len < header.payload_len {
                return Ok(Step::Idle);
            }
            if header.opcode.is_control() {
                return self.handle_control(&header);
            }
            self.rx.join(header.len, header.payload_len);
            self.is_assembling = !header.is_final;
            if header.is_final {
                return Ok(Step::Text(self.rx.take_message()));
            }
        }
    }

    /// Whether a data frame may come here and now: known from its header, before its payload is there.
    fn check_data(&self, header: &Header) -> Result<(), WsError> {
        match (header.opcode, self.is_assembling) {
            (Opcode::Continuation, false) => return Err(Misbehaviour::UnexpectedContinuation.into()),
            (Opcode::Text | Opcode::Binary, true) => return Err(Misbehaviour::ExpectedContinuation.into()),
            (Opcode::Binary, false) => return Err(Misbehaviour::Binary.into()),
            _ => {}
        }
        let bytes = self.rx.message_len().saturating_add(header.payload_len);
        if bytes > self.message_bytes_max {
            return Err(WsError::TooLarge { bytes, bytes_max: self.message_bytes_max });
        }
        Ok(())
    }

    fn handle_control(&mut self, header: &Header) -> Result<Step, WsError> {
        let range = self.rx.take(header.len, header.payload_len);
        match header.opcode {
            Opcode::Ping => {
                let mut payload = [0; frame::CONTROL_BYTES_MAX];
                let payload = &mut payload[..range.len()];
                payload.copy_from_slice(self.rx.slice(range));
                if !self.is_close_sent {
                    self.queue(Opcode::Pong, payload)?;
                }
                Ok(Step::Ping)
            }
            Opcode::Close => {
                let code = parse_close(self.rx.slice(range))?;
                self.queue_close(code);
                self.phase = Phase::Over;
                Ok(Step::Closed(code))
            }
            _ => Ok(Step::Pong),
        }
    }

    fn queue_ours(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), WsError> {
        // Before the answer to the handshake nothing may follow the request; after a close, nothing at all.
        if self.is_open() { self.queue(opcode, payload) } else { Err(WsError::NotOpen) }
    }

    fn queue(&mut self, opcode: Opcode, payload: &[u8]) -> Result<(), WsError> {
        assert!(
            !opcode.is_control() || payload.len() <= frame::CONTROL_BYTES_MAX,
            "a control frame's payload is at most {} bytes",
            frame::CONTROL_BYTES_MAX
        );
        if self.tx.len() + HEADROOM + payload.len() > limits::WS_TRANSMIT_BYTES_MAX {
            return Err(WsError::TransmitFull { bytes_max: limits::WS_TRANSMIT_BYTES_MAX });
        }
        let mask = self.next_mask();
        let start = self.tx.len();
        self.tx.resize(start + HEADROOM, 0);
        self.tx.extend_from_slice(payload);
        let framed = frame::frame_in_place(&mut self.tx[start..], payload.len(), opcode, mask);
        self.tx.copy_within(start + framed.start.., start);
        self.tx.truncate(start + framed.len());
        Ok(())
    }

    fn queue_close(&mut self, code: Option<u16>) {
        if self.is_close_sent {
            return;
        }
        self.is_close_sent = true;
        let payload = code.map(u16::to_be_bytes);
        // A full queue means that the link does not drain: then the close would not leave either.
        let _is_queued = self.queue(Opcode::Close, payload.as_ref().map_or(&[], |p| p.as_slice())).is_ok();
    }
}

/// The code of a close frame. Codes that only name the absence of one may not be sent (RFC 6455 section 7.4.1); the text
/// behind the code is not read.
fn parse_close(payload: &[u8]) -> Result<Option<u16>, Misbehaviour> {
    match *payload {
        [] => Ok(None),
        [_] => Err(Misbehaviour::BadClose),
        [a, b, ..] => match u16::from_be_bytes([a, b]) {
            code @ (1000..=1003 | 1007..=1014 | 3000..=4999) => Ok(Some(code)),
            _ => Err(Misbehaviour::BadClose),
        },
    }
}

/// `SplitMix64` (Steele, Lea, Flood 2014): one word of state, any seed will do.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    #[inline]
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}
