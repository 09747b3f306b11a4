//! An order as the venue sees it: what was asked, where it stands, what happened to it.

use core::fmt;

use super::accounts::AccountId;
use super::refusal::Refusal;
use super::spec::SymbolId;
use crate::types::order::remaining;
use crate::types::{AssetId, Cash, Price, Qty, Side, TimeInForce, TradeId, VenueOrderId};

/// A client order id: 1 to 36 characters of `[.A-Z:/a-z0-9_-]`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId {
    bytes: [u8; Self::LEN_MAX],
    len: u8,
}

impl ClientId {
    /// Longest id.
    pub const LEN_MAX: usize = 36;

    /// From text; `None` when the venue would refuse it (-1100).
    pub fn new(text: &[u8]) -> Option<Self> {
        let legal = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b':' | b'/' | b'_' | b'-');
        if text.is_empty() || text.len() > Self::LEN_MAX || !text.iter().all(legal) {
            return None;
        }
        let mut bytes = [0; Self::LEN_MAX];
        bytes[..text.len()].copy_from_slice(text);
        Some(Self { bytes, len: u8::try_from(text.len()).ok()? })
    }

    /// An id made by the venue: 22 alphanumerics, told apart by `number`.
    pub(super) fn generated(number: u64) -> Self {
        const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
        let mut bytes = [0; Self::LEN_MAX];
        // The low half is the number itself (two numbers never meet), the high half scatters it.
        let (mut low, mut high) = (number, number.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ number >> 7);
        for pair in bytes[..22].chunks_exact_mut(2) {
            pair[0] = ALPHABET[(high % 62) as usize];
            pair[1] = ALPHABET[(low % 62) as usize];
            (low, high) = (low / 62, high / 62);
        }
        Self { bytes, len: 22 }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        core::str::from_utf8(&self.bytes[..usize::from(self.len)]).unwrap_or_default()
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
impl fmt::Debug for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Declares an enum whose variants have the venue's names.
macro_rules! venue_names {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];
            /// The venue's name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
            /// From the venue's name.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(super) use venue_names;

venue_names! {
    /// Order types that the venue knows; it refuses the conditional ones.
    OrderKind {
        /// At a price or better.
        Limit = "LIMIT",
        /// At whatever the book gives.
        Market = "MARKET",
        /// Post only.
        LimitMaker = "LIMIT_MAKER",
        /// Refused.
        StopLoss = "STOP_LOSS",
        /// Refused.
        StopLossLimit = "STOP_LOSS_LIMIT",
        /// Refused.
        TakeProfit = "TAKE_PROFIT",
        /// Refused.
        TakeProfitLimit = "TAKE_PROFIT_LIMIT",
    }
}

venue_names! {
    /// Where an order stands.
    OrderStatus {
        /// In the book, untouched.
        New = "NEW",
        /// In the book, partly done.
        PartiallyFilled = "PARTIALLY_FILLED",
        /// Done.
        Filled = "FILLED",
        /// Cancelled by its owner.
        Canceled = "CANCELED",
        /// Ended by its own rules (IOC, FOK, market without liquidity).
        Expired = "EXPIRED",
        /// Ended by self-trade prevention.
        ExpiredInMatch = "EXPIRED_IN_MATCH",
        /// Never accepted (only in the report of a cancel-replace whose new order was refused).
        Rejected = "REJECTED",
    }
}

impl OrderStatus {
    /// Whether it stands in the book.
    pub const fn is_open(self) -> bool {
        matches!(self, Self::New | Self::PartiallyFilled)
    }
}

venue_names! {
    /// Self-trade prevention modes; the taker's decides.
    StpMode {
        /// Trade with oneself.
        None = "NONE",
        /// The resting order goes.
        ExpireMaker = "EXPIRE_MAKER",
        /// The incoming order goes.
        ExpireTaker = "EXPIRE_TAKER",
        /// Both go.
        ExpireBoth = "EXPIRE_BOTH",
        /// Both shrink by the smaller one.
        Decrement = "DECREMENT",
    }
}

venue_names! {
    /// What a cancel asks of the order's status.
    CancelRestriction {
        /// Only an untouched order.
        OnlyNew = "ONLY_NEW",
        /// Only a partly filled one.
        OnlyPartiallyFilled = "ONLY_PARTIALLY_FILLED",
    }
}

venue_names! {
    /// Whether a cancel-replace goes on when its cancel fails.
    CancelReplaceMode {
        /// No new order then.
        StopOnFailure = "STOP_ON_FAILURE",
        /// The new order is tried all the same.
        AllowFailure = "ALLOW_FAILURE",
    }
}

/// `GTC`, `IOC` or `FOK`.
pub const fn time_in_force_str(time_in_force: TimeInForce) -> &'static str {
    match time_in_force {
        TimeInForce::Gtc => "GTC",
        TimeInForce::Ioc => "IOC",
        TimeInForce::Fok => "FOK",
    }
}

/// What a client asks for. What a type does not need stays `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewOrder {
    /// On what.
    pub symbol: SymbolId,
    /// Buy or sell.
    pub side: Side,
    /// The type.
    pub kind: OrderKind,
    /// How long it lives (limit orders; ignored otherwise).
    pub time_in_force: TimeInForce,
    /// Limit price.
    pub price: Option<Price>,
    /// Base quantity.
    pub qty: Option<Qty>,
    /// Quote quantity (market orders).
    pub quote_qty: Option<Cash>,
    /// The client's id; the venue makes one when there is none.
    pub client_id: Option<ClientId>,
    /// Self-trade prevention; the symbol's default when `None`.
    pub stp: Option<StpMode>,
}

impl NewOrder {
    /// A limit order, good till cancelled.
    pub const fn limit(symbol: SymbolId, side: Side, price: Price, qty: Qty) -> Self {
        Self {
            symbol,
            side,
            kind: OrderKind::Limit,
            time_in_force: TimeInForce::Gtc,
            price: Some(price),
            qty: Some(qty),
            quote_qty: None,
            client_id: None,
            stp: None,
        }
    }
    /// A market order by base quantity.
    pub const fn market(symbol: SymbolId, side: Side, qty: Qty) -> Self {
        Self {
            symbol,
            side,
            kind: OrderKind::Market,
            time_in_force: TimeInForce::Gtc,
            price: None,
            qty: Some(qty),
            quote_qty: None,
            client_id: None,
            stp: None,
        }
    }
    /// The same with another life time.
    pub const fn with_time_in_force(mut self, time_in_force: TimeInForce) -> Self {
        self.time_in_force = time_in_force;
        self
    }
    /// The same, post only.
    pub const fn post_only(mut self) -> Self {
        self.kind = OrderKind::LimitMaker;
        self
    }
    /// The same with a client id.
    pub const fn with_client_id(mut self, client_id: ClientId) -> Self {
        self.client_id = Some(client_id);
        self
    }
    /// The same with a self-trade prevention mode.
    pub const fn with_stp(mut self, stp: StpMode) -> Self {
        self.stp = Some(stp);
        self
    }
}

/// An order and everything that a query answers about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderRecord {
    /// The venue's number, unique on the symbol.
    pub id: VenueOrderId,
    /// On what.
    pub symbol: SymbolId,
    /// Whose.
    pub account: AccountId,
    /// Client order id.
    pub client_id: ClientId,
    /// Buy or sell.
    pub side: Side,
    /// The type.
    pub kind: OrderKind,
    /// How long it lives.
    pub time_in_force: TimeInForce,
    /// Limit price; zero for a market order.
    pub price: Price,
    /// Quantity asked for (for a quote quantity order: what it executed).
    pub qty: Qty,
    /// Quote quantity asked for; zero otherwise.
    pub quote_qty: Cash,
    /// Done so far.
    pub executed: Qty,
    /// Quote value of what is done.
    pub executed_quote: Cash,
    /// Taken away by self-trade prevention so far.
    pub prevented: Qty,
    /// The last prevented match that it was part of.
    pub prevented_match: Option<u64>,
    /// Where it stands.
    pub status: OrderStatus,
    /// Its self-trade prevention mode.
    pub stp: StpMode,
    /// When it was accepted (`time`, `O`).
    pub created_ns: i64,
    /// When it last changed (`updateTime`, `transactTime`, `T`).
    pub updated_ns: i64,
    /// When it began to work (`workingTime`, `W`).
    pub working_ns: i64,
    /// How often it was amended.
    pub amends: u32,
}

impl OrderRecord {
    /// What may still execute.
    pub const fn remaining(&self) -> Qty {
        remaining(remaining(self.qty, self.executed), self.prevented)
    }
}

/// Which order is meant. When both ids are given, both must fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKey {
    /// By the venue's number.
    Id(VenueOrderId),
    /// By client id.
    Client(ClientId),
    /// By both.
    Both(VenueOrderId, ClientId),
}

/// One fill of the incoming order (`fills` of a FULL answer).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// The trade.
    pub trade_id: TradeId,
    /// At which price.
    pub price: Price,
    /// How much.
    pub qty: Qty,
    /// Fee.
    pub commission: Qty,
    /// Asset of the fee.
    pub commission_asset: AssetId,
}

/// One prevented self-trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreventedMatch {
    /// Its number on the symbol.
    pub id: u64,
    /// The incoming order.
    pub taker: VenueOrderId,
    /// The resting order.
    pub maker: VenueOrderId,
    /// Where they met.
    pub price: Price,
    /// What the incoming order lost; `None` when it is not touched.
    pub taker_prevented: Option<Qty>,
    /// What the resting order lost; `None` when it is not touched.
    pub maker_prevented: Option<Qty>,
}

/// The answer to an accepted order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderReport {
    /// The order after matching.
    pub order: OrderRecord,
    /// Its fills, in order.
    pub fills: Vec<Fill>,
    /// Self-trades prevented on the way.
    pub prevented: Vec<PreventedMatch>,
}

/// A cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelOrder {
    /// On what.
    pub symbol: SymbolId,
    /// Which.
    pub key: OrderKey,
    /// The cancel's own id (`newClientOrderId`); the venue makes one when there is none.
    pub new_client_id: Option<ClientId>,
    /// Which status the order must have.
    pub restriction: Option<CancelRestriction>,
}

impl CancelOrder {
    /// A plain cancel.
    pub const fn new(symbol: SymbolId, key: OrderKey) -> Self {
        Self { symbol, key, new_client_id: None, restriction: None }
    }
}

/// The answer to a cancel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CancelReport {
    /// The cancelled order (`origClientOrderId` is its `client_id`).
    pub order: OrderRecord,
    /// The cancel's own id (`clientOrderId` of the answer).
    pub client_id: ClientId,
}

/// One half of a cancel-replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<T> {
    /// Done.
    Success(T),
    /// Refused.
    Failure(Refusal),
    /// Not tried.
    NotAttempted,
}

/// The answer to a cancel-replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelReplaceReport {
    /// The cancel.
    pub cancel: Step<CancelReport>,
    /// The new order.
    pub new_order: Step<OrderReport>,
}

impl CancelReplaceReport {
    /// `None` when both halves succeeded; otherwise the code that covers both (-2021 or -2022).
    pub const fn refusal(&self) -> Option<Refusal> {
        match (&self.cancel, &self.new_order) {
            (Step::Success(_), Step::Success(_)) => None,
            (Step::Success(_), _) | (_, Step::Success(_)) => Some(Refusal::REPLACE_PARTIAL),
            _ => Some(Refusal::REPLACE_FAILED),
        }
    }
}

/// The answer to an amendment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmendReport {
    /// The order after it.
    pub order: OrderRecord,
    /// Its client id before it.
    pub orig_client_id: ClientId,
    /// Its quantity before it.
    pub orig_qty: Qty,
    /// Number of the amendment's execution.
    pub execution_id: u64,
}
