//! Facts: everything that enters the engine, stamped and numbered once, by feed.

use crate::event::{Carry, Command};
use crate::limits::LEVELS_PER_FACT;
use crate::types::order::OrderState;
use crate::types::{
    AssetId, ClientOrderId, InstrumentId, Level, Price, Qty, Reason, Side, StrategyId, TradeId, VenueOrderId,
};

/// One fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fact {
    /// Gap-free number, from 1 in each session.
    pub seq: u64,
    /// When feed had it, nanoseconds since the epoch: the only time that stages decide on.
    pub recv_ns: i64,
    /// What it says.
    pub body: Body,
}

/// What a fact says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// Best bid and ask.
    Quote(Quote),
    /// A public trade.
    Trade(Trade),
    /// Changes of an order book, up to [`LEVELS_PER_FACT`] levels.
    Depth(Depth),
    /// An order book became valid or invalid.
    BookStatus(BookStatus),
    /// A bar of history, at start (live bars are built by signal from trades).
    Bar(Bar),
    /// A connection or stream changed its state.
    Link(LinkStatus),
    /// The venue speaks of an order of ours (user data, or an answer to a query).
    Order(OrderUpdate),
    /// The answer to a request of ours on the order session, or its absence.
    Reply(Reply),
    /// The venue speaks of a balance.
    Balance(BalanceUpdate),
    /// The operator, or a watchdog, wants something.
    Command(Command),
    /// Time passes: at least every 100 ms, so that stages notice staleness and deadlines without a clock.
    Timer,
    /// How far the venue's clock is from ours.
    ClockOffset(ClockOffset),
    /// At the start of a session: an order of an earlier boot of which no end is recorded.
    Carried(CarriedOrder),
    /// At the start of a session: where a strategy of an earlier one would leave its position.
    Stop(StopLevel),
    /// What an earlier session left: only ever the first facts of a session.
    Carry(Carry),
}

/// Best bid and ask of an instrument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quote {
    /// Of what.
    pub instrument: InstrumentId,
    /// Whether feed left out quotes before this one because the line was full (R-HOT-8).
    pub conflated: bool,
    /// The venue's order book update id.
    pub update_id: u64,
    /// Best bid.
    pub bid: Level,
    /// Best ask.
    pub ask: Level,
}

/// A public trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trade {
    /// Of what.
    pub instrument: InstrumentId,
    /// The side that took liquidity.
    pub aggressor: Side,
    /// Whether trades before this one were left out because the line was full.
    pub conflated: bool,
    /// The venue's number.
    pub trade_id: TradeId,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// When the venue matched it.
    pub venue_ns: i64,
}

/// A piece of a book update. An update is one or more pieces; `first` and `last` frame it, and a reader may act on the book
/// only after `last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Depth {
    /// Of what.
    pub instrument: InstrumentId,
    /// How many of `levels` count.
    pub count: u8,
    /// Bit i set: level i is an ask.
    pub asks: u8,
    /// First piece of the update.
    pub first: bool,
    /// Last piece of the update.
    pub last: bool,
    /// The update replaces the whole book (on the `first` piece: forget what was there).
    pub snapshot: bool,
    /// The venue's id of the update's last change.
    pub update_id: u64,
    /// The venue's event time, 0 if it gave none.
    pub venue_ns: i64,
    /// New quantities at prices; zero removes.
    pub levels: [Level; LEVELS_PER_FACT],
}

impl Depth {
    /// The levels with their sides.
    pub fn changes(&self) -> impl Iterator<Item = (Side, Level)> + '_ {
        self.levels
            .iter()
            .take(usize::from(self.count))
            .enumerate()
            .map(|(i, &level)| (if self.asks >> i & 1 == 1 { Side::Sell } else { Side::Buy }, level))
    }
}

/// An order book's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BookStatus {
    /// Of what.
    pub instrument: InstrumentId,
    /// Whether decisions may rest on it.
    pub valid: bool,
    /// Why not, when it is not.
    pub reason: Reason,
}

/// A closed bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// Of what.
    pub instrument: InstrumentId,
    /// Number of trades (saturating).
    pub trades: u32,
    /// Length of the bar.
    pub interval_ns: i64,
    /// When it opened.
    pub open_ns: i64,
    /// First price.
    pub open: Price,
    /// Highest price.
    pub high: Price,
    /// Lowest price.
    pub low: Price,
    /// Last price.
    pub close: Price,
    /// Base quantity traded.
    pub volume: Qty,
}

/// Which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum LinkId {
    /// Public market data.
    Market = 0,
    /// Private account events.
    Account = 1,
    /// The order session.
    Orders = 2,
}

/// A connection's standing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkStatus {
    /// Which.
    pub link: LinkId,
    /// Usable: connected, logged on, subscribed.
    pub up: bool,
    /// Why not, when it is not.
    pub reason: Reason,
    /// Attempts since it was last up.
    pub attempts: u32,
}

/// The venue speaks of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderUpdate {
    /// Of what.
    pub instrument: InstrumentId,
    /// Buy or sell.
    pub side: Side,
    /// The state that the venue reports.
    pub state: OrderState,
    /// Whether this is an answer to a query (a snapshot) rather than an event.
    pub snapshot: bool,
    /// Whether the fill in it, if any, was as maker.
    pub maker: bool,
    /// Asset of the fee.
    pub fee_asset: AssetId,
    /// Our id; `NONE` for an order that is not ours.
    pub client: ClientOrderId,
    /// The venue's id.
    pub venue_order: VenueOrderId,
    /// The fill's number; 0 when the update is no fill.
    pub trade: TradeId,
    /// Price of the fill; the order's price otherwise.
    pub price: Price,
    /// Quantity of the fill; the order's quantity otherwise.
    pub qty: Qty,
    /// Filled so far, this fill included.
    pub filled: Qty,
    /// Fee of the fill, in `fee_asset`.
    pub fee: Qty,
    /// When the venue says it happened.
    pub venue_ns: i64,
}

/// How a request on the order session ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplyKind {
    /// Handed to the socket.
    Sent = 0,
    /// Refused by risk or the gateway before the write; nothing left.
    NotSent = 1,
    /// Accepted by the venue.
    Accepted = 2,
    /// Refused by the venue: the order does not exist (for a cancel: it was not cancelled).
    Rejected = 3,
    /// No answer in time, a 5xx, or the connection was lost: the outcome is not known.
    Unknown = 4,
    /// The venue answered a query: it has no such order.
    Absent = 5,
    /// The venue answered that nothing is open (the end of a trip).
    NothingOpen = 6,
}

/// The answer to a request of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// How it ended.
    pub kind: ReplyKind,
    /// Whether the request was a cancel.
    pub cancel: bool,
    /// Of what.
    pub instrument: InstrumentId,
    /// Why, when it did not succeed.
    pub reason: Reason,
    /// The venue's error code, 0 for none.
    pub venue_code: i32,
    /// The order that it was about.
    pub client: ClientOrderId,
    /// The venue's id, when it gave one.
    pub venue_order: VenueOrderId,
    /// When the venue says it happened; 0 when it did not say.
    pub venue_ns: i64,
}

/// A balance as the venue reports it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceUpdate {
    /// Of what.
    pub asset: AssetId,
    /// Free to use.
    pub free: Qty,
    /// Locked by open orders.
    pub locked: Qty,
    /// When the venue says it was so.
    pub venue_ns: i64,
}

/// The venue's clock against ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockOffset {
    /// Venue minus ours.
    pub offset_ns: i64,
    /// Round trip of the measurement: the offset is known to within half of it.
    pub round_trip_ns: i64,
}

/// The stop that a strategy claimed with the entry that was filled last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StopLevel {
    /// On what.
    pub instrument: InstrumentId,
    /// Whose.
    pub strategy: StrategyId,
    /// Where it leaves at a loss.
    pub stop: Price,
}

/// An order that the journal of an earlier boot shows sent, and not ended. Its outcome is unknown until the venue says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedOrder {
    /// Our id; its epoch is the earlier boot's.
    pub client: ClientOrderId,
    /// The venue's id; 0 if it was never told.
    pub venue_order: VenueOrderId,
    /// On what.
    pub instrument: InstrumentId,
    /// Whose, in the numbers of this session; [`StrategyId::OPERATOR`] if the strategy is not run any more.
    pub strategy: StrategyId,
    /// Buy or sell.
    pub side: Side,
    /// Only reduces a position.
    pub reduce_only: bool,
    /// Limit price, or the worst price of a market order.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Booked before this session.
    pub filled: Qty,
    /// When its request was written, nanoseconds since the epoch.
    pub placed_ns: i64,
}

const _: () = assert!(size_of::<Fact>() <= 112, "a fact and its stamps must fit two cache lines");
