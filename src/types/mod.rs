//! What is a value? Exact numbers, identifiers, instruments, orders, books and positions: pure, without I/O, clock or
//! thread. Nothing here rounds silently, wraps or reads a float: what does not fit is an error that names the value.

pub mod book;
pub mod cache;
pub mod cash;
pub mod decimal;
pub mod ids;
pub mod instrument;
pub mod order;
pub mod position;
pub mod price;
pub mod qty;
pub mod reason;
pub mod rules;
pub mod table;
pub mod time;

pub use book::{Book, Level};
pub use cash::Cash;
pub use decimal::DecimalError;
pub use ids::{AssetId, ClientOrderId, InstrumentId, StrategyId, Symbol, TradeId, VenueOrderId};
pub use instrument::{Instrument, InstrumentTable};
pub use order::{OrderEvent, OrderState, OrderType, Side, TimeInForce};
pub use position::{Position, PositionParts};
pub use price::Price;
pub use qty::Qty;
pub use reason::Reason;
pub use rules::{OrderTerms, RuleContext};
pub use table::FixedTable;
pub use time::Now;
