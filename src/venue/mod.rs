//! What does a venue say? One folder a venue: market, order and account codecs and each session's grammar. `handle_*` takes
//! in, `poll_*` gives out, time is an argument; no socket, no clock, no thread, and no panic on anything that a
//! venue could send.

pub mod binance;
pub mod malformed;

pub use malformed::Malformed;
