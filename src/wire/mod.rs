//! How are bytes framed? WebSocket, HTTP heads, JSON, signing: sans-IO, both directions. Nothing here opens a socket or reads a
//! clock.

pub mod channel;
pub mod http;
pub mod json;
pub mod link;
pub mod memory;
pub mod number;
pub mod retry;
pub mod sign;
pub mod text;
pub mod ws;
