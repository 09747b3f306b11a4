//! One look at the engine. The field names are those of `interlock status -o json`: they are stable, and new ones are only
//! added.

use serde::{Deserialize, Serialize};

use super::execution::ExecutionLine;
use crate::types::{Cash, Price, Qty};

/// One look.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// Number of the last journal record in it.
    pub journal_seq: u64,
    /// Number of the last fact in it.
    pub fact_seq: u64,
    /// Time of the last fact, nanoseconds since the epoch.
    pub fact_ns: i64,
    /// Time of the last fact about the market; 0 for none.
    pub market_ns: i64,
    /// The venue's clock minus ours, nanoseconds; absent until measured.
    pub clock_offset_ns: Option<i64>,
    /// Total exposure after risk's last decision.
    pub exposure: Cash,
    /// Connections.
    pub links: Vec<LinkLine>,
    /// Instruments.
    pub instruments: Vec<InstrumentLine>,
    /// Orders that may be open.
    pub orders: Vec<OrderLine>,
    /// Balances, as the venue last reported them.
    pub balances: Vec<BalanceLine>,
    /// By strategy.
    pub strategies: Vec<StrategyLine>,
    /// The protective layers.
    #[serde(default)]
    pub layers: LayersLine,
    /// How orders fare.
    #[serde(default)]
    pub execution: ExecutionLine,
    /// Refusals and withheld orders by reason.
    pub refusals: Vec<RefusalLine>,
    /// Counts.
    pub totals: Totals,
}

/// A connection.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkLine {
    /// `market`, `account` or `orders`.
    pub link: String,
    /// Whether it is usable.
    pub up: bool,
    /// Why not.
    pub reason: String,
    /// Attempts since it was last up.
    pub attempts: u32,
    /// Since when, nanoseconds since the epoch.
    pub since_ns: i64,
}

/// An instrument.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InstrumentLine {
    /// The venue's symbol.
    pub symbol: String,
    /// Best bid.
    pub bid: Option<Price>,
    /// Quantity there.
    pub bid_qty: Option<Qty>,
    /// Best ask.
    pub ask: Option<Price>,
    /// Quantity there.
    pub ask_qty: Option<Qty>,
    /// Last traded price.
    pub last: Option<Price>,
    /// Whether decisions may rest on the book.
    pub book_valid: bool,
    /// Why not.
    pub book_reason: String,
    /// Time of the last market fact; 0 for none.
    pub market_ns: i64,
    /// Position: the sum of our fills in this session.
    pub position: Qty,
    /// Whether that is less than the venue would take in an order: nothing that could be closed.
    #[serde(default)]
    pub dust: bool,
    /// Average price of the open quantity.
    pub average_price: Option<Price>,
    /// Realised profit before fees, in the quote currency.
    pub realised: Cash,
    /// Unrealised profit at the middle of the book, in the quote currency; absent without a quote.
    pub unrealised: Option<Cash>,
    /// Fees paid in the quote currency, or in the base currency at the fill's price.
    pub fees: Cash,
    /// Fills whose fee was in a third asset and is not in `fees`.
    pub fees_elsewhere: u64,
    /// Fills.
    pub fills: u64,
    /// Orders that may be open.
    pub working: u64,
    /// Exits that the venue refused in a row; 0 once it took one.
    #[serde(default)]
    pub exits_refused: u32,
    /// Why it refused the last of them.
    #[serde(default)]
    pub exit_refusal: String,
}

impl InstrumentLine {
    /// The middle of the last quote, if it had two sides.
    pub fn middle(&self) -> Option<Price> {
        self.bid.zip(self.ask).map(|(bid, ask)| bid.midpoint(ask))
    }
    /// Whether something is held that could be closed.
    pub const fn is_held(&self) -> bool {
        !self.position.is_zero() && !self.dust
    }
}

/// An order that may be open.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderLine {
    /// Our id.
    pub client_id: String,
    /// The venue's id; 0 while unknown.
    pub venue_id: u64,
    /// The venue's symbol.
    pub symbol: String,
    /// The strategy's name.
    pub strategy: String,
    /// `BUY` or `SELL`.
    pub side: String,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Filled so far.
    pub filled: Qty,
    /// Where it stands.
    pub state: String,
    /// Time of the last word on it, nanoseconds since the epoch.
    pub updated_ns: i64,
}

/// A balance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceLine {
    /// The asset.
    pub asset: String,
    /// Free.
    pub free: Qty,
    /// Locked by open orders.
    pub locked: Qty,
}

/// A strategy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StrategyLine {
    /// Its name.
    pub strategy: String,
    /// Intents raised.
    pub intents: u64,
    /// Approved by risk.
    pub approved: u64,
    /// Refused by risk.
    pub refused: u64,
    /// Fills.
    pub fills: u64,
}

/// The protective layers (R-LIM-5, R-LIM-8).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayersLine {
    /// Capital and the result of everything since the record began, in the quote currency.
    pub equity: Cash,
    /// L1: what one entry may lose now.
    pub trade_risk_max: Cash,
    /// What the day (UTC) has brought so far, open positions at the middle.
    pub day_result: Cash,
    /// L2: what it may lose.
    pub day_loss_max: Cash,
    /// L2 is in force, until midnight UTC.
    pub day_stopped: bool,
    /// Entries of the day that were filled, at least in part.
    pub day_entries: u32,
    /// Drawdown from the highest equity, in hundredths of a percent.
    pub drawdown_bp: u32,
    /// L4 is in force, until a named person resets it.
    pub emergency: bool,
    /// Capital preservation: `normal`, `cautious`, `defensive`, `crisis` or `lockdown`.
    pub level: String,
    /// Size of entries at that level, in percent of what a strategy asks for.
    pub size_percent: u32,
    /// Round trips that ended, ever.
    pub trades: u32,
    /// By strategy.
    pub strategies: Vec<StreakLine>,
}

/// A strategy's streak and switch (L3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreakLine {
    /// Its name; the second one of a name is `name#2`.
    pub strategy: String,
    /// Losses in a row.
    pub losses: u32,
    /// Round trips that ended.
    pub trades: u32,
    /// Disabled until a named person enables it.
    pub disabled: bool,
    /// Weight in force, in hundredths of a percent of full size.
    pub weight_bp: u32,
}

/// Refusals for one reason.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalLine {
    /// Its name.
    pub reason: String,
    /// How often risk refused for it.
    pub refused: u64,
    /// How often the gateway held an approved order back for it.
    pub withheld: u64,
}

/// Counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Intents.
    pub intents: u64,
    /// Approved orders and cancels.
    pub approved: u64,
    /// Refused.
    pub refused: u64,
    /// Orders and replaces sent.
    pub orders_sent: u64,
    /// Cancels sent.
    pub cancels_sent: u64,
    /// Accepted by the venue.
    pub accepted: u64,
    /// Refused by the venue.
    pub rejected: u64,
    /// Outcomes that became unknown.
    pub unknown: u64,
    /// Fills.
    pub fills: u64,
    /// Operator commands.
    pub commands: u64,
    /// Messages about orders that contradict what was known.
    pub conflicts: u64,
}
