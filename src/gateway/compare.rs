//! Behind the gateway in a replay there is no door, only a comparison: a recorded request is made again from what the replay
//! decided, with the recorded timestamp, and must come out the same.
//!
//! No key is needed. The checksum leaves out the signature's digits and the key's name, so a session with any key of the
//! same kind makes the same checksum. The length is compared only where a request carries neither.

use core::fmt;

use crate::event::Sent;
use crate::gateway::door::Request;
use crate::gateway::wire_door::{encode_request, summary};
use crate::venue::binance::orders::{EncodeError, OrderSession};
use crate::wire::text::TextBuf;

/// How a request differs from the recorded one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Difference {
    /// It can't be made at all.
    Unencodable(EncodeError),
    /// It is of another kind.
    Kind,
    /// Its text has another length.
    Length {
        /// Recorded.
        recorded: u32,
        /// Made again.
        again: u32,
    },
    /// Its text is another one.
    Text {
        /// Recorded checksum.
        recorded: u32,
        /// Checksum of what was made again.
        again: u32,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unencodable(error) => write!(f, "the request can't be made again: {error:?}"),
            Self::Kind => f.write_str("the request is of another kind than the recorded one"),
            Self::Length { recorded, again } => {
                write!(f, "the request is {again} bytes long, the recorded one {recorded}")
            }
            Self::Text { recorded, again } => {
                write!(f, "the request's checksum is {again:08x}, the recorded one's {recorded:08x}")
            }
        }
    }
}

/// Makes requests again and compares them with the record.
#[derive(Debug)]
pub struct Comparer {
    session: OrderSession,
    text: TextBuf,
    own_cancels: u64,
}

impl Comparer {
    /// Over a session that only encodes ([`OrderSession::for_replay`]).
    pub fn new(session: OrderSession) -> Self {
        Self { session, text: TextBuf::new(), own_cancels: 0 }
    }

    /// Whether the request that the replay would have sent is the recorded one. Requests about no order are numbered by the
    /// session, so those must come in the recorded order; orders and cancels may come in any.
    pub fn compare(&mut self, request: &Request, sent: &Sent) -> Result<(), Difference> {
        self.text.clear();
        let own_cancels = &mut self.own_cancels;
        let encoded =
            encode_request(&mut self.session, request, own_cancels, sent.timestamp_ms, &mut self.text)
                .map_err(Difference::Unencodable)?;
        let again = summary(&encoded, sent.timestamp_ms, self.text.text());
        if again.kind != sent.kind {
            return Err(Difference::Kind);
        }
        if again.text_crc != sent.text_crc {
            return Err(Difference::Text { recorded: sent.text_crc, again: again.text_crc });
        }
        if encoded.secrets.signature.is_empty() && again.text_len != sent.text_len {
            return Err(Difference::Length { recorded: sent.text_len, again: again.text_len });
        }
        Ok(())
    }
}
