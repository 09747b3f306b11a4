//! What the venue tells the world and its account holders. Kept until drained, in the order in which it happened.

use super::accounts::AccountId;
use super::order::{ClientId, OrderRecord, venue_names};
use super::spec::SymbolId;
use crate::types::{AssetId, Cash, Level, Price, Qty, Side, TradeId, VenueOrderId};

/// A public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicTrade {
    /// On what.
    pub symbol: SymbolId,
    /// The trade's number.
    pub id: TradeId,
    /// Number of the aggregate that it belongs to: trades of one taker order at one price share it.
    pub agg_id: u64,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Quote value.
    pub quote: Cash,
    /// When.
    pub time_ns: i64,
    /// Whether the resting order was the buy (`m`).
    pub buyer_is_maker: bool,
    /// The order that took.
    pub taker_order: VenueOrderId,
}

/// A price level has a new quantity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LevelChange {
    /// On what.
    pub symbol: SymbolId,
    /// The book's number after this change: consecutive on a symbol.
    pub update_id: u64,
    /// Which side.
    pub side: Side,
    /// The level; a zero quantity removes it.
    pub level: Level,
    /// When.
    pub time_ns: i64,
}

/// Best bid and ask changed. Told once a request, after all level changes that it made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BestChange {
    /// On what.
    pub symbol: SymbolId,
    /// The book's number.
    pub update_id: u64,
    /// Best bid; zero quantity when the side is empty.
    pub bid: Level,
    /// Best ask; zero quantity when the side is empty.
    pub ask: Level,
    /// When.
    pub time_ns: i64,
}

/// What everyone may know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// A trade.
    Trade(PublicTrade),
    /// A level.
    Level(LevelChange),
    /// The top of the book.
    Best(BestChange),
}

venue_names! {
    /// Why an execution report is sent (`x`).
    ExecutionKind {
        /// Accepted.
        New = "NEW",
        /// Cancelled.
        Canceled = "CANCELED",
        /// Amended.
        Replaced = "REPLACED",
        /// Refused within a cancel-replace whose cancel succeeded.
        Rejected = "REJECTED",
        /// A fill.
        Trade = "TRADE",
        /// Ended by its rules.
        Expired = "EXPIRED",
        /// Touched by self-trade prevention.
        TradePrevention = "TRADE_PREVENTION",
    }
}

/// The fill in an execution report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastFill {
    /// `t`.
    pub trade_id: TradeId,
    /// `L`.
    pub price: Price,
    /// `l`.
    pub qty: Qty,
    /// `Y`.
    pub quote: Cash,
    /// `n`.
    pub commission: Qty,
    /// `N`.
    pub commission_asset: AssetId,
    /// `m`.
    pub maker: bool,
}

/// The prevention in an execution report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LastPrevention {
    /// `v`.
    pub match_id: u64,
    /// `B`.
    pub qty: Qty,
    /// `U`: the other order.
    pub counter_order: VenueOrderId,
    /// `pL`.
    pub price: Price,
}

/// `executionReport`. What is not here follows from the order: `c` is the cancel's id for a cancel, else the order's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExecutionReport {
    /// Whose.
    pub account: AccountId,
    /// The order after it (`i`, `S`, `o`, `f`, `q`, `p`, `X`, `z`, `Z`, `Q`, `O`, `T`, `W`, `V`, `A`).
    pub order: OrderRecord,
    /// `x`.
    pub kind: ExecutionKind,
    /// `c`.
    pub client_id: ClientId,
    /// `C`: the order's own id when `c` is that of a cancel or of an amendment.
    pub orig_client_id: Option<ClientId>,
    /// `I`.
    pub execution_id: u64,
    /// `l`, `L`, `Y`, `n`, `N`, `t`, `m` of a fill.
    pub fill: Option<LastFill>,
    /// `v`, `B`, `U`, `pL` of a prevention.
    pub prevention: Option<LastPrevention>,
    /// `w`: whether the order stands in the book.
    pub on_book: bool,
    /// `r`.
    pub reject_reason: &'static str,
    /// `E`.
    pub time_ns: i64,
}

/// A balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Of what.
    pub asset: AssetId,
    /// Free to use.
    pub free: Qty,
    /// Locked by open orders.
    pub locked: Qty,
}

/// `outboundAccountPosition`: the balances that a request may have changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountPosition {
    /// Whose.
    pub account: AccountId,
    /// Base and quote of the symbol concerned.
    pub balances: [Balance; 2],
    /// When.
    pub time_ns: i64,
}

/// `balanceUpdate`: money came or went other than by trading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceDelta {
    /// Whose.
    pub account: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub delta: Qty,
    /// When.
    pub time_ns: i64,
}

/// What an account's owner may know. Accounts opened with `reports: false` get none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a queue of reports is short and its elements are nearly all reports"
)]
pub enum AccountEvent {
    /// Of an order.
    Execution(ExecutionReport),
    /// Of balances.
    Position(AccountPosition),
    /// Of a deposit or withdrawal.
    Balance(BalanceDelta),
}
