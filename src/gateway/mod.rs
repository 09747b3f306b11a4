//! Stage 4, the only door out: what risk approved is checked once more against the kill page, paced, encoded, signed,
//! journaled and written; every order that may live at the venue is known here until the venue says how it ended.
//!
//! What it refuses: to write an order that adds risk after it saw a trip or an expired lease, to write an order that is not
//! in the journal ring, to send anything twice, and to end an order by a timer.

pub mod ask;
pub mod budget;
pub mod compare;
pub mod config;
mod desk;
pub mod door;
pub mod orders;
pub mod outbox;
mod stage;
pub mod upkeep;
mod wire_door;

pub use budget::{Budgets, Cost, Limit, LimitKind, Usage};
pub use compare::{Comparer, Difference};
pub use config::GatewayConfig;
pub use door::{Door, DoorEvent, Encoded, Request};
pub use outbox::Outbox;
pub use stage::{Gateway, GatewayRings};
pub use wire_door::{WireDoor, channel_config, encode_request, summary};
