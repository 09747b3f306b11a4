//! The made-up edge: an exchange, participants that make its books move, a fill model, and the server that speaks for them.
//! Nothing here is named by the engine's own rooms.

pub mod exchange;
pub mod faults;
pub mod fill;
pub mod flow;
pub mod recording;
pub mod server;
