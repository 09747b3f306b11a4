//! What can go wrong on a WebSocket, by who is to blame.

use crate::limits;
use crate::types::Reason;

/// How the peer broke the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Misbehaviour {
    /// The answer to the handshake is not an HTTP/1.1 head.
    BadHead,
    /// The answer says 101 but not `Upgrade: websocket` and `Connection: Upgrade`.
    NotUpgraded,
    /// `Sec-WebSocket-Accept` is missing or does not answer our key: a cache or another protocol answered.
    BadAccept,
    /// It accepted an extension or a subprotocol that we never offered.
    NotOffered,
    /// A reserved bit is set.
    ReservedBits,
    /// The opcode is reserved.
    ReservedOpcode,
    /// A server must not mask.
    Masked,
    /// A control frame is fragmented.
    FragmentedControl,
    /// A control frame has more than 125 bytes.
    LongControl,
    /// A length is not in its shortest form, or has its top bit set.
    BadLength,
    /// A continuation without a message to continue.
    UnexpectedContinuation,
    /// A new message inside an unfinished one.
    ExpectedContinuation,
    /// A binary message: venues speak JSON text only.
    Binary,
    /// A close frame with one byte, or with a code that may not be sent.
    BadClose,
}

impl Misbehaviour {
    const fn text(self) -> &'static str {
        match self {
            Self::BadHead => "its answer to the handshake is not an HTTP/1.1 head",
            Self::NotUpgraded => "it answered 101 without upgrading to WebSocket",
            Self::BadAccept => "its Sec-WebSocket-Accept does not answer our key",
            Self::NotOffered => "it accepted an extension or subprotocol that was not offered",
            Self::ReservedBits => "a reserved bit is set",
            Self::ReservedOpcode => "an opcode is reserved",
            Self::Masked => "a server's frame is masked",
            Self::FragmentedControl => "a control frame is fragmented",
            Self::LongControl => "a control frame is over 125 bytes",
            Self::BadLength => "a frame's length is not in its shortest form",
            Self::UnexpectedContinuation => "a continuation has nothing to continue",
            Self::ExpectedContinuation => "a message began inside an unfinished one",
            Self::Binary => "a message is binary where text was due",
            Self::BadClose => "a close frame's code is malformed",
        }
    }
}

/// Why a WebSocket ended, or refuses to send. From [`super::WsClient::poll`] it is final: the connection must be dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WsError {
    /// The server answered the handshake with another status than 101.
    #[error("the server refused the WebSocket handshake with HTTP status {status}")]
    HandshakeRefused {
        /// HTTP status: 429 and 418 are the venue's rate limits, 5xx its own trouble.
        status: u16,
        /// `Retry-After`, if it came.
        retry_after_s: Option<u32>,
    },
    /// The peer broke the protocol.
    #[error("the peer broke the WebSocket protocol: {}", .0.text())]
    PeerMisbehaved(Misbehaviour),
    /// A message over the bound.
    #[error("a message of at least {bytes} bytes is over the bound of {bytes_max}")]
    TooLarge {
        /// What the frame headers announce so far.
        bytes: usize,
        /// The bound of this connection.
        bytes_max: usize,
    },
    /// The handshake's answer has no end within the bound.
    #[error("the handshake's answer is over {} bytes long", limits::HTTP_HEAD_BYTES_MAX)]
    HeadTooLarge,
    /// More is waiting to be written than the bound allows: the link does not drain, or the peer floods us with pings.
    #[error("over {bytes_max} bytes wait to be written; the link does not drain")]
    TransmitFull {
        /// The bound.
        bytes_max: usize,
    },
    /// Ours: something was to be sent before the handshake was done or after a close.
    #[error("the WebSocket is not open")]
    NotOpen,
}

impl WsError {
    /// The reason code that journals and status answers show.
    pub const fn reason(self) -> Reason {
        match self {
            Self::HandshakeRefused { status: 429, .. } => Reason::RateLimited,
            Self::HandshakeRefused { status: 418, .. } => Reason::Banned,
            Self::HandshakeRefused { .. } => Reason::Refused,
            Self::PeerMisbehaved(_) | Self::TooLarge { .. } | Self::HeadTooLarge => Reason::Malformed,
            Self::TransmitFull { .. } => Reason::LineFull,
            Self::NotOpen => Reason::SessionDown,
        }
    }

    /// The close code that tells the peer, RFC 6455 section 7.4.1. `None` while no WebSocket exists.
    pub(super) const fn close_code(self) -> Option<u16> {
        match self {
            Self::HandshakeRefused { .. }
            | Self::HeadTooLarge
            | Self::TransmitFull { .. }
            | Self::NotOpen
            | Self::PeerMisbehaved(
                Misbehaviour::BadHead
                | Misbehaviour::NotUpgraded
                | Misbehaviour::BadAccept
                | Misbehaviour::NotOffered,
            ) => None,
            Self::PeerMisbehaved(Misbehaviour::Binary) => Some(1003),
            Self::PeerMisbehaved(_) => Some(1002),
            Self::TooLarge { .. } => Some(1009),
        }
    }
}

impl From<Misbehaviour> for WsError {
    fn from(how: Misbehaviour) -> Self {
        Self::PeerMisbehaved(how)
    }
}
