//! WebSocket (RFC 6455), client side, as a machine without I/O: bytes in through [`WsClient::spare`] and
//! [`WsClient::filled`], events out through [`WsClient::poll`], bytes to write through [`WsClient::transmit`].
//!
//! The client owns one fixed receive buffer into which the link reads. A text message that came in one frame is handed out
//! where it lies: no copy, no allocation, and 64 readable bytes behind it for a parser that works in place. Fragments are
//! moved together inside the same buffer.
//!
//! What it refuses: extensions and subprotocols (none is offered, so none may be accepted; `permessage-deflate` would cost a
//! copy and more time than it saves on a venue's short messages), binary messages (no venue sends them), masked frames,
//! reserved bits and opcodes, lengths not in their shortest form, fragmented or long control frames, continuations out of
//! place, messages over the bound. Each ends the connection with an error that says who is to blame.
//!
//! What it leaves to others: whether a text is UTF-8 is checked by the JSON parser in its own pass, not twice. Masking
//! keys come from a seeded generator: masking protects caches between a browser and a server from a hostile page; our
//! texts are our own and travel inside TLS.

mod buffer;
mod client;
mod error;
mod frame;
mod handshake;

pub use client::{WsClient, WsConfig, WsEvent};
pub use error::{Misbehaviour, WsError};
pub use frame::{CONTROL_BYTES_MAX, HEADROOM, apply_mask, frame_text_in_place};
