//! The paper fill model: what a venue would have made of our orders, judged from the facts that everyone sees.
//!
//! It is driven by facts and by the time that they carry, never by a clock; with the same facts, requests and seed it does the
//! same. It invents nothing: no fill without liquidity that was shown or a trade that happened. It speaks as the venue
//! does: an answer to each request, then the order's events, then balances.
//!
//! - Latency: a request is decided when a fact reaches us that is later than its sending time and both latencies (there and
//!   back). What we then see of the market is what the venue had when the request arrived, so the book that it meets is the
//!   right one, and its answer comes at once.
//! - Takers walk the book that depth facts made, topped by the quote where that is newer, and by the quote alone while there
//!   is no book. Slippage is what comes out of that, and what is configured on top. What a paper order has taken stays taken
//!   until the market shows the level anew.
//! - Makers wait in a queue: see [`CancelsAhead`] and the source of `resting`.
//! - What it refuses, the venue refuses: the instrument's filters, post-only that would take, a client id that is open, money
//!   that is not there.

mod desk;
mod purse;
mod resting;
mod view;

use std::collections::VecDeque;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

pub use resting::{CancelsAhead, OVERTAKEN_NS};

use crate::event::fact::LinkId;
use crate::event::{Action, Body, Depth, Fact, Order, Quote, Trade};
use crate::limits::{ORDER_SLOTS, ORDERS_OPEN_MAX, RETURN_RING_SLOTS};
use crate::types::instrument::Multiplier;
use crate::types::{AssetId, ClientOrderId, InstrumentId, InstrumentTable, OrderState, Qty, Side};
use purse::Purse;
use resting::Working;
use view::View;

/// How long a message is on its way, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Always this long.
    Constant {
        /// Nanoseconds.
        ns: i64,
    },
    /// Evenly spread, drawn from the model's seed.
    Uniform {
        /// Shortest, nanoseconds.
        min_ns: i64,
        /// Longest, nanoseconds.
        max_ns: i64,
    },
}

impl Latency {
    fn draw(self, rng: &mut ChaCha8Rng) -> i64 {
        match self {
            Self::Constant { ns } => ns.max(0),
            Self::Uniform { min_ns, max_ns } => {
                let min_ns = min_ns.max(0);
                rng.random_range(min_ns..=max_ns.max(min_ns))
            }
        }
    }
}

/// How the model is set up.
#[derive(Clone, Debug)]
pub struct FillConfig {
    /// From us to the venue.
    pub request_latency: Latency,
    /// From the venue to us.
    pub report_latency: Latency,
    /// Fee of fills as maker, of what is received, in `1e-8`; rounded up.
    pub maker_rate: Multiplier,
    /// Fee of fills as taker, of what is received, in `1e-8`; rounded up.
    pub taker_rate: Multiplier,
    /// How much worse than the shown levels takers fare, hundredths of a basis point; never beyond an order's limit. Walking
    /// the book is slippage already; this is for what the book did not show.
    pub slippage_centi_bp: u32,
    /// How cancels move the queue.
    pub cancels_ahead: CancelsAhead,
    /// What the paper account starts with; assets not named start at zero.
    pub balances: Vec<(AssetId, Qty)>,
    /// First order number and first trade number; a later session of the same account should start where none was before.
    pub id_start: u64,
    /// For latencies.
    pub seed: u64,
}

impl Default for FillConfig {
    /// 2 ms there and 2 ms back, Binance's lowest fee tier, no money.
    fn default() -> Self {
        Self {
            request_latency: Latency::Constant { ns: 2_000_000 },
            report_latency: Latency::Constant { ns: 2_000_000 },
            maker_rate: Multiplier::from_units(100_000),
            taker_rate: Multiplier::from_units(100_000),
            slippage_centi_bp: 0,
            cancels_ahead: CancelsAhead::Proportional,
            balances: Vec::new(),
            id_start: 1,
            seed: 0,
        }
    }
}

/// What the model hands back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillEvent {
    /// A fact for the line.
    Body(Body),
    /// The answer to [`FillModel::query_open_orders`]: the bodies before it named them.
    OpenOrders {
        /// How many orders are open.
        count: u32,
    },
    /// The answer to [`FillModel::query_account`]: the bodies before it are the balances.
    AccountRead,
}

#[derive(Clone, Copy, Debug)]
enum Request {
    Order(Order),
    Cancel { client: ClientOrderId, instrument: InstrumentId },
    CancelAll { client: ClientOrderId, instrument: InstrumentId },
    OrderStatus { client: ClientOrderId, instrument: InstrumentId },
    OpenOrders,
    Account,
}

#[derive(Clone, Copy, Debug)]
struct Inbound {
    due_ns: i64,
    request: Request,
}

/// An order that ended, for late queries.
#[derive(Clone, Copy, Debug)]
struct Ended {
    order: Working,
    state: OrderState,
    at_ns: i64,
}

/// One instrument: its market and our orders on it.
#[derive(Debug)]
struct Room {
    view: View,
    /// By side; best price first, then oldest first.
    resting: [Vec<Working>; 2],
}

/// The model.
#[derive(Debug)]
pub struct FillModel {
    table: InstrumentTable,
    config: FillConfig,
    rng: ChaCha8Rng,
    rooms: Vec<Room>,
    purse: Purse,
    inbound: VecDeque<Inbound>,
    outbound: VecDeque<FillEvent>,
    ended: VecDeque<Ended>,
    next_order: u64,
    next_trade: u64,
    now_ns: i64,
}

impl FillModel {
    /// A model over the session's instruments. All memory that the steady state needs is taken here.
    pub fn new(table: &InstrumentTable, config: FillConfig) -> Self {
        let room = || Room {
            view: View::new(),
            resting: [Vec::with_capacity(ORDERS_OPEN_MAX), Vec::with_capacity(ORDERS_OPEN_MAX)],
        };
        Self {
            table: table.clone(),
            rng: ChaCha8Rng::seed_from_u64(config.seed),
            rooms: table.all().iter().map(|_| room()).collect(),
            purse: Purse::new(table.assets().len(), &config.balances),
            inbound: VecDeque::with_capacity(RETURN_RING_SLOTS),
            outbound: VecDeque::with_capacity(4 * RETURN_RING_SLOTS),
            ended: VecDeque::with_capacity(ORDER_SLOTS),
            next_order: config.id_start.max(1),
            next_trade: config.id_start.max(1),
            now_ns: i64::MIN,
            config,
        }
    }

    /// Takes a request as the order session would: place, cancel, replace or cancel-all, by its action. `now_ns` is when it
    /// leaves: the time of the fact in hand where results must repeat.
    pub fn place(&mut self, order: &Order, now_ns: i64) {
        let request = match order.action {
            Action::Cancel { target } => Request::Cancel { client: target, instrument: order.instrument },
            Action::CancelAll => Request::CancelAll { client: order.client, instrument: order.instrument },
            Action::Place(_) | Action::Replace { .. } => Request::Order(*order),
        };
        self.send(request, now_ns);
    }

    /// Cancels one order.
    pub fn cancel(&mut self, instrument: InstrumentId, client: ClientOrderId, now_ns: i64) {
        self.send(Request::Cancel { client, instrument }, now_ns);
    }

    /// Cancels all orders of an instrument.
    pub fn cancel_all(&mut self, instrument: InstrumentId, now_ns: i64) {
        self.send(Request::CancelAll { client: ClientOrderId::NONE, instrument }, now_ns);
    }

    /// Asks what became of an order.
    pub fn query_order(&mut self, instrument: InstrumentId, client: ClientOrderId, now_ns: i64) {
        self.send(Request::OrderStatus { client, instrument }, now_ns);
    }

    /// Asks for all open orders.
    pub fn query_open_orders(&mut self, now_ns: i64) {
        self.send(Request::OpenOrders, now_ns);
    }

    /// Asks for all balances.
    pub fn query_account(&mut self, now_ns: i64) {
        self.send(Request::Account, now_ns);
    }

    /// Sees what everyone sees. Feed it every fact that passes, timers too, in order: their times are its clock.
    pub fn on_fact(&mut self, fact: &Fact) {
        // What was due before this fact met the market without it.
        self.advance(fact.recv_ns.saturating_sub(1));
        self.now_ns = self.now_ns.max(fact.recv_ns);
        match &fact.body {
            Body::Quote(quote) => self.on_quote(*quote),
            Body::Trade(trade) => self.on_trade(trade),
            Body::Depth(depth) => self.on_depth(depth),
            Body::BookStatus(status) => {
                if let Some(room) = self.rooms.get_mut(status.instrument.index()) {
                    room.view.set_valid(status.valid);
                }
            }
            // What was seen may be long gone when the stream comes back: until then nothing is there.
            Body::Link(link) if link.link == LinkId::Market && !link.up => {
                for room in &mut self.rooms {
                    room.view.cut();
                }
            }
            _ => {}
        }
        self.advance(fact.recv_ns);
    }

    /// Hands over what is decided, oldest first.
    pub fn poll(&mut self, out: &mut (impl FnMut(FillEvent) + ?Sized)) -> usize {
        let count = self.outbound.len();
        for event in self.outbound.drain(..) {
            out(event);
        }
        count
    }

    /// Requests on their way and answers not handed over yet.
    pub fn pending(&self) -> usize {
        self.inbound.len() + self.outbound.len()
    }

    /// How many orders stand in the paper book.
    pub fn open_orders(&self) -> usize {
        self.rooms.iter().flat_map(|room| &room.resting).map(Vec::len).sum()
    }

    /// What an asset holds, free and locked.
    pub fn balance(&self, asset: AssetId) -> (Qty, Qty) {
        self.purse.shown(asset)
    }

    /// What the model believes to be ahead of an open order; `None` when it is not open or nothing is known.
    pub fn queue_ahead(&self, instrument: InstrumentId, client: ClientOrderId) -> Option<Qty> {
        let room = self.rooms.get(instrument.index())?;
        room.resting.iter().flatten().find(|order| order.client == client)?.ahead()
    }

    fn send(&mut self, request: Request, now_ns: i64) {
        let way_ns =
            self.config.request_latency.draw(&mut self.rng) + self.config.report_latency.draw(&mut self.rng);
        // One connection: a later request never overtakes an earlier one.
        let last_ns = self.inbound.back().map_or(i64::MIN, |last| last.due_ns);
        let due_ns = now_ns.saturating_add(way_ns).max(last_ns);
        self.inbound.push_back(Inbound { due_ns, request });
    }

    /// Decides what is due.
    fn advance(&mut self, now_ns: i64) {
        while let Some(inbound) = self.inbound.front().copied().filter(|i| i.due_ns <= now_ns) {
            self.inbound.pop_front();
            self.now_ns = self.now_ns.max(inbound.due_ns);
            match inbound.request {
                Request::Order(order) => self.handle_order(&order),
                Request::Cancel { client, instrument } => {
                    self.handle_cancel(client, instrument);
                }
                Request::CancelAll { client, instrument } => self.handle_cancel_all(client, instrument),
                Request::OrderStatus { client, instrument } => self.handle_status(client, instrument),
                Request::OpenOrders => self.handle_open_orders(),
                Request::Account => {
                    for asset in self.purse.assets() {
                        self.tell_balance(asset);
                    }
                    self.outbound.push_back(FillEvent::AccountRead);
                }
            }
        }
        self.now_ns = self.now_ns.max(now_ns);
    }

    fn on_quote(&mut self, quote: Quote) {
        let Some(room) = self.rooms.get_mut(quote.instrument.index()) else { return };
        room.view.quoted(quote);
        let model = self.config.cancels_ahead;
        for (side, level) in [(Side::Buy, quote.bid), (Side::Sell, quote.ask)] {
            for order in room.resting[side_index(side)].iter_mut().filter(|o| o.price == level.price) {
                order.sighted(level.qty, quote.update_id, model, self.now_ns);
            }
        }
        self.match_crossed(quote.instrument);
    }

    fn on_depth(&mut self, depth: &Depth) {
        let Some(room) = self.rooms.get_mut(depth.instrument.index()) else { return };
        room.view.changed(depth);
        let model = self.config.cancels_ahead;
        if !depth.snapshot {
            for (side, level) in depth.changes() {
                for order in room.resting[side_index(side)].iter_mut().filter(|o| o.price == level.price) {
                    order.sighted(level.qty, depth.update_id, model, self.now_ns);
                }
            }
        }
        if !depth.last {
            return;
        }
        if depth.snapshot {
            let update_id = room.view.book_update_id();
            for order in room.resting.iter_mut().flatten() {
                if let Some(shown) = room.view.shown_at(order.side, order.price) {
                    order.sighted(shown, update_id, model, self.now_ns);
                }
            }
        }
        self.match_crossed(depth.instrument);
    }

    /// A public trade: it hit the side opposite to its aggressor, and ours are part of that side.
    fn on_trade(&mut self, trade: &Trade) {
        let Some(room) = self.rooms.get_mut(trade.instrument.index()) else { return };
        room.view.traded(trade.price);
        let side = trade.aggressor.opposite();
        let mut left = trade.qty;
        let mut at = 0;
        let mut filled = false;
        while at < self.rooms[trade.instrument.index()].resting[side_index(side)].len() {
            let order = &mut self.rooms[trade.instrument.index()].resting[side_index(side)][at];
            let qty = order.traded(trade.price, left, self.now_ns);
            if qty.is_zero() {
                at += 1;
                continue;
            }
            left = Qty::from_units(left.units() - qty.units());
            filled = true;
            // A filled order leaves its place to the next one.
            if !self.fill_resting(trade.instrument, side, at, qty) {
                at += 1;
            }
        }
        if filled {
            self.tell_balances(trade.instrument);
        }
    }
}

const fn side_index(side: Side) -> usize {
    match side {
        Side::Buy => 0,
        Side::Sell => 1,
    }
}
