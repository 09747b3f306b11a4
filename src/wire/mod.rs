//! How are bytes framed? WebSocket, HTTP heads, JSON, signing: sans-IO, both directions. Nothing here opens a socket or reads a
//! clock.

pub mod link;
pub mod retry;
