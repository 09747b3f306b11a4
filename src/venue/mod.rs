//! What does a venue say? One folder a venue: market, order and account codecs and each session's grammar. `handle_*` takes
//! in, `poll_*` gives out, time is an argument; no socket, no clock, no thread, and no panic on anything that a
//! venue could send.
//!
//! What a folder offers, as `binance` does:
//!
//! | file | what |
//! |---|---|
//! | `market` | a session over the market streams: texts in, bodies of facts out, what to subscribe, when a snapshot is needed |
//! | `orders` | a session over the order connection: an order as bytes, answers as replies, what is unanswered |
//! | `account` | the private stream: order updates, fills, balances |
//! | `rest` | requests and answers of set-up and halt: instruments with their rules, snapshots, candles, the clock, cancel all |
//! | `rest_account` | requests and answers of reconcile: totals, own trades, one order, open orders |
//! | `credentials` | the key, and how a request is signed |
//!
//! Feed, gateway, `sim` and `run` name `binance` themselves. There is one venue; the second one turns those places into a choice.

pub mod binance;
pub mod malformed;

pub use malformed::Malformed;
