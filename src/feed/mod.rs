//! Stage 1, the only door in: market data, private account events, the gateway's replies, the operator's commands and time
//! itself become facts here, stamped and numbered once.
//!
//! What it refuses: to drop a private fact, to pass a book change behind a gap, to number anything twice, and to call a stream
//! alive because its socket is (staleness is judged by data).

pub mod account;
pub mod config;
pub mod fresh;
pub mod market;
pub mod outlet;
mod stage;

pub use account::AccountSide;
pub use config::{ExpectedStreams, FeedConfig, RestAnswer, RestRequest};
pub use market::MarketSide;
pub use outlet::Outlet;
pub use stage::{Feed, FeedRings};
