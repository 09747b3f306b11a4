//! A venue behind the gateway's door, with the session and the private stream to it as two queues of their own: each keeps its
//! order, neither knows of the other. It keeps orders, trades and the balance, and misbehaves on demand; each misbehaviour is
//! counted where it happens ([`Venue::count`]).

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use interlock::event::fact::LinkId;
use interlock::event::{
    Action, BalanceUpdate, Body, Fact, LinkStatus, Order, OrderSpec, OrderUpdate, Reply, ReplyKind, SentKind,
};
use interlock::gateway::{Door, DoorEvent, Encoded, Request};
use interlock::shared::KillPage;
use interlock::types::time::NS_PER_S;
use interlock::types::{
    AssetId, ClientOrderId, InstrumentId, Now, OrderState, Price, Qty, Reason, Side, TimeInForce, TradeId,
    VenueOrderId,
};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

pub(crate) const BTC: InstrumentId = InstrumentId(0);
pub(crate) const BASE: AssetId = AssetId(0);
pub(crate) const QUOTE: AssetId = AssetId(1);
const REPLY_TIMEOUT_NS: i64 = 5 * NS_PER_S;

/// One order as the venue has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VenueOrder {
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) qty: Qty,
    pub(crate) filled: Qty,
    pub(crate) state: OrderState,
    /// Queries and lists know it from then on.
    pub(crate) visible_from_ns: i64,
}

impl VenueOrder {
    pub(crate) fn open(self) -> Qty {
        Qty::from_units(self.qty.units() - self.filled.units())
    }
}

/// How the venue and the ways to it misbehave.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault that is on or off")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Orders arrive and their answers are lost.
    pub(crate) loses_acks: bool,
    /// Orders are lost on the way, and so are their answers.
    pub(crate) loses_orders: bool,
    /// Orders arrive and the answer is a 503: outcome unknown.
    pub(crate) answers_503: bool,
    /// Cancels are lost on the way.
    pub(crate) loses_cancels: bool,
    /// Queries are not answered.
    pub(crate) deaf_to_queries: bool,
    /// The account is not answered.
    pub(crate) deaf_to_account: bool,
    /// Queries fail at once.
    pub(crate) fails_queries: bool,
    /// Orders arrive, and nobody says anything of it: the scenario does.
    pub(crate) mute: bool,
    /// Orders are refused (-2010).
    pub(crate) rejects: bool,
    /// Whoever cancels meets a fill of so much of what is open, in percent, just before.
    pub(crate) fills_before_cancel: u32,
    /// An order to be filled at once is filled so far, in percent less than 100, and the rest expires.
    pub(crate) leaves_percent: u32,
    /// A query knows an order only so long after it arrived.
    pub(crate) visible_after_ns: i64,
    /// Each message takes up to so much longer.
    pub(crate) jitter_ns: i64,
    /// Each message of the private stream comes twice.
    pub(crate) doubles: bool,
    /// Fees of buys in thousandths of what was bought, in the base asset.
    pub(crate) base_fee_per_mille: i64,
    /// Fees in a third asset.
    pub(crate) third_fee: bool,
}

/// The venue, and the session to it.
#[derive(Debug)]
pub(crate) struct Venue {
    pub(crate) orders: BTreeMap<u64, VenueOrder>,
    pub(crate) faults: Faults,
    pub(crate) written: Vec<(Request, i64)>,
    /// Timestamps of what was written, venue's milliseconds.
    pub(crate) timestamps_ms: Vec<i64>,
    /// What is held of the base asset.
    pub(crate) base: i64,
    /// Of each fill, as the private stream tells it.
    pub(crate) fills: Vec<OrderUpdate>,
    /// Orders that added risk and were written although the page forbade it.
    pub(crate) violations: u64,
    /// Sells beyond what was held.
    pub(crate) oversold: u64,
    counts: BTreeMap<&'static str, u64>,
    session: VecDeque<(i64, DoorEvent)>,
    /// When the last answer is due that the venue sent.
    last_due_ns: i64,
    stream: VecDeque<(i64, Body)>,
    /// Placed, and no answer was handed over yet.
    pending: BTreeSet<u64>,
    encoded: Option<(Request, i64)>,
    is_connected: bool,
    is_ready_told: bool,
    is_stream_up: bool,
    trade: u64,
    page: Arc<KillPage>,
    now: Now,
    rng: SmallRng,
}

impl Venue {
    pub(crate) fn new(page: Arc<KillPage>, seed: u64) -> Self {
        Self {
            orders: BTreeMap::new(),
            faults: Faults::default(),
            written: Vec::new(),
            timestamps_ms: Vec::new(),
            base: 0,
            fills: Vec::new(),
            violations: 0,
            oversold: 0,
            counts: BTreeMap::new(),
            session: VecDeque::new(),
            last_due_ns: i64::MIN,
            stream: VecDeque::new(),
            pending: BTreeSet::new(),
            encoded: None,
            is_connected: true,
            is_ready_told: false,
            is_stream_up: true,
            trade: 0,
            page,
            now: Now::default(),
            rng: SmallRng::seed_from_u64(seed ^ 0xFA),
        }
    }

    /// How often a misbehaviour happened.
    pub(crate) fn count(&self, of: &str) -> u64 {
        self.counts.get(of).copied().unwrap_or(0)
    }
    fn note(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    pub(crate) fn open(&self) -> Vec<u64> {
        self.orders.iter().filter(|(_, o)| o.state.may_be_open()).map(|(&c, _)| c).collect()
    }

    /// The orders that were asked for, each as often as it was written.
    pub(crate) fn places(&self) -> Vec<(Order, OrderSpec)> {
        let places = |(request, _): &(Request, i64)| match request {
            Request::Order(order) => match order.action {
                Action::Place(spec) => Some((*order, spec)),
                _ => None,
            },
            _ => None,
        };
        self.written.iter().filter_map(places).collect()
    }

    pub(crate) fn count_written(&self, is: impl Fn(&Request) -> bool) -> usize {
        self.written.iter().filter(|(request, _)| is(request)).count()
    }

    /// The session drops; answers on the way are lost.
    pub(crate) fn disconnect(&mut self) {
        self.is_connected = false;
        self.session.clear();
    }
    pub(crate) fn connect(&mut self) {
        self.is_connected = true;
    }

    /// The private stream drops: what happens meanwhile is not told.
    pub(crate) fn drop_stream(&mut self) {
        self.is_stream_up = false;
        self.stream.clear();
        self.link(false);
    }
    pub(crate) fn restore_stream(&mut self) {
        self.is_stream_up = true;
        self.link(true);
    }
    /// The stream is silent, and nobody is told that it is.
    pub(crate) fn drop_quietly(&mut self, silent: bool) {
        self.is_stream_up = !silent;
    }
    fn link(&mut self, up: bool) {
        let reason = if up { Reason::None } else { Reason::Closed };
        let status = LinkStatus { link: LinkId::Account, up, reason, attempts: 0 };
        self.stream.push_back((self.now.ns, Body::Link(status)));
    }

    fn jitter(&mut self) -> i64 {
        if self.faults.jitter_ns == 0 { 0 } else { self.rng.random_range(0..self.faults.jitter_ns) }
    }

    fn answer(&mut self, after_ns: i64, event: DoorEvent) {
        if !self.is_connected {
            return;
        }
        let due = self.now.ns + after_ns + self.jitter();
        // A connection keeps its order; timeouts are the session's own and wait for nobody.
        let due = if after_ns >= REPLY_TIMEOUT_NS { due } else { due.max(self.last_due_ns) };
        if after_ns < REPLY_TIMEOUT_NS {
            self.last_due_ns = due;
        }
        let at = self.session.partition_point(|(other, _)| *other <= due);
        self.session.insert(at, (due, event));
    }

    /// The private stream says something.
    pub(crate) fn tell(&mut self, body: Body) {
        if !self.is_stream_up {
            return self.note("missed");
        }
        let before = self.stream.back().map_or(i64::MIN, |(due, _)| *due);
        let due = (self.now.ns + self.jitter()).max(before);
        self.stream.push_back((due, body));
        if self.faults.doubles {
            self.note("doubled");
            self.stream.push_back((due, body));
        }
    }

    pub(crate) fn reply(&mut self, kind: ReplyKind, cancel: bool, client: ClientOrderId, after_ns: i64) {
        let reason = match kind {
            ReplyKind::Unknown => Reason::Timeout,
            ReplyKind::Rejected => Reason::VenueReject,
            _ => Reason::None,
        };
        let venue_code = if kind == ReplyKind::Rejected { -2010 } else { 0 };
        let reply = Reply {
            kind,
            cancel,
            instrument: BTC,
            reason,
            venue_code,
            client,
            venue_order: VenueOrderId(0),
            venue_ns: 0,
        };
        self.answer(after_ns, DoorEvent::Body(Body::Reply(reply)));
    }

    pub(crate) fn update(client: u64, order: &VenueOrder, snapshot: bool) -> OrderUpdate {
        OrderUpdate {
            instrument: BTC,
            side: order.side,
            state: order.state,
            snapshot,
            maker: false,
            fee_asset: AssetId::UNKNOWN,
            client: ClientOrderId(client),
            venue_order: VenueOrderId(client & 0xFFFF),
            trade: TradeId(0),
            price: order.price,
            qty: order.qty,
            filled: order.filled,
            fee: Qty::ZERO,
            venue_ns: 0,
        }
    }

    fn held_for_sells(&self) -> i64 {
        let sells = self.orders.values().filter(|o| o.side == Side::Sell && o.state.may_be_open());
        sells.map(|o| o.open().units()).sum()
    }

    fn place(&mut self, client: ClientOrderId, spec: &OrderSpec) {
        let faults = self.faults;
        if faults.loses_orders {
            self.note("order lost");
            return self.reply(ReplyKind::Unknown, false, client, REPLY_TIMEOUT_NS);
        }
        let oversold = spec.side == Side::Sell && self.held_for_sells() + spec.qty.units() > self.base;
        if faults.rejects || oversold {
            self.oversold += u64::from(oversold);
            self.note("rejected");
            return self.reply(ReplyKind::Rejected, false, client, 0);
        }
        assert!(!self.orders.get(&client.0).is_some_and(|o| o.state.may_be_open()), "an id is open once");
        let new = VenueOrder {
            side: spec.side,
            price: spec.price,
            qty: spec.qty,
            filled: Qty::ZERO,
            state: OrderState::Acknowledged,
            visible_from_ns: self.now.ns + faults.visible_after_ns,
        };
        self.orders.insert(client.0, new);
        if faults.mute {
            self.pending.remove(&client.0);
        } else if faults.loses_acks {
            self.note("ack lost");
            self.reply(ReplyKind::Unknown, false, client, REPLY_TIMEOUT_NS);
        } else if faults.answers_503 {
            self.note("503 after acceptance");
            self.reply(ReplyKind::Unknown, false, client, 0);
        } else {
            self.reply(ReplyKind::Accepted, false, client, 0);
        }
        if spec.time_in_force == TimeInForce::Ioc {
            let leaves = i64::from(faults.leaves_percent);
            let lot = 1_000;
            let part = spec.qty.units() / lot * (100 - leaves) / 100 * lot;
            let part = if leaves == 0 { spec.qty.units() } else { part };
            self.fill(client.0, Qty::from_units(part));
            if leaves > 0 {
                self.note("partly filled and expired");
                self.end(client.0, OrderState::Expired);
            }
        }
    }

    /// A trade of an order of ours.
    pub(crate) fn fill(&mut self, client: u64, qty: Qty) {
        self.trade += 1;
        self.fill_as(client, qty, self.trade);
    }

    /// The same under a given trade number.
    pub(crate) fn fill_as(&mut self, client: u64, qty: Qty, trade: u64) {
        let faults = self.faults;
        let Some(order) = self.orders.get_mut(&client) else { return };
        order.filled = Qty::from_units(order.filled.units() + qty.units());
        order.state =
            if order.filled >= order.qty { OrderState::Filled } else { OrderState::PartiallyFilled };
        let order = *order;
        let base_fee = match order.side {
            Side::Buy => qty.units() * faults.base_fee_per_mille / 1_000,
            Side::Sell => 0,
        };
        self.base += qty.units() * order.side.sign() - base_fee;
        let mut update = Self::update(client, &order, false);
        (update.trade, update.qty, update.venue_ns) = (TradeId(trade), qty, self.now.ns);
        if base_fee > 0 {
            (update.fee, update.fee_asset) = (Qty::from_units(base_fee), BASE);
            self.note("fee in base");
        } else if faults.third_fee {
            (update.fee, update.fee_asset) = (Qty::from_units(1_000), AssetId(2));
            self.note("fee in third");
        }
        self.fills.push(update);
        self.tell(Body::Order(update));
        self.tell_balances();
    }

    fn balances(&self) -> [BalanceUpdate; 2] {
        let balance = |asset, free| BalanceUpdate { asset, free, locked: Qty::ZERO, venue_ns: self.now.ns };
        [
            balance(BASE, Qty::from_units(self.base)),
            balance(QUOTE, Qty::from_units(10_000_000 * Qty::ONE.units())),
        ]
    }
    fn tell_balances(&mut self) {
        for balance in self.balances() {
            self.tell(Body::Balance(balance));
        }
    }

    /// An order ends without a trade.
    pub(crate) fn end(&mut self, client: u64, state: OrderState) {
        let Some(order) = self.orders.get_mut(&client).filter(|o| o.state.may_be_open()) else { return };
        order.state = state;
        let order = *order;
        self.tell(Body::Order(Self::update(client, &order, false)));
    }

    fn cancel(&mut self, client: ClientOrderId) {
        if self.faults.loses_cancels {
            self.note("cancel lost");
            return self.reply(ReplyKind::Unknown, true, client, REPLY_TIMEOUT_NS);
        }
        self.fill_before_cancel(client.0);
        if self.orders.get(&client.0).is_some_and(|o| o.state.may_be_open()) {
            self.end(client.0, OrderState::Cancelled);
            self.reply(ReplyKind::Accepted, true, client, 0);
        } else {
            self.note("cancel too late");
            self.reply(ReplyKind::Rejected, true, client, 0);
        }
    }

    fn fill_before_cancel(&mut self, client: u64) {
        let percent = i64::from(self.faults.fills_before_cancel);
        let Some(order) = self.orders.get(&client).copied().filter(|o| o.state.may_be_open()) else { return };
        if percent > 0 && order.side == Side::Buy {
            self.note("filled before cancel");
            let lots = order.open().units() / 1_000 * percent / 100;
            self.fill(client, Qty::from_units(lots.max(1) * 1_000));
        }
    }

    fn receive(&mut self, request: &Request) {
        let is_query =
            matches!(request, Request::OrderStatus { .. } | Request::OpenOrders | Request::Account);
        if is_query && self.faults.deaf_to_queries {
            return self.note("query lost");
        }
        if is_query && self.faults.fails_queries {
            self.note("query failed");
            return self.answer(0, DoorEvent::QueryFailed);
        }
        match *request {
            Request::Order(order) => match order.action {
                Action::Place(spec) => {
                    self.pending.insert(order.client.0);
                    self.place(order.client, &spec);
                }
                Action::Cancel { target } => self.cancel(target),
                Action::CancelAll => self.cancel_all(),
                Action::Replace { .. } => {}
            },
            Request::Cancel { client, .. } => self.cancel(client),
            Request::CancelAll(_) => self.cancel_all(),
            Request::OrderStatus { client, .. } => self.status(client),
            Request::OpenOrders => self.list(),
            Request::Account if self.faults.deaf_to_account => self.note("account lost"),
            Request::Account => {
                for balance in self.balances() {
                    self.answer(0, DoorEvent::Body(Body::Balance(balance)));
                }
                self.answer(0, DoorEvent::AccountRead);
            }
        }
    }

    fn cancel_all(&mut self) {
        if self.faults.loses_cancels {
            return self.note("cancel lost");
        }
        for client in self.open() {
            self.fill_before_cancel(client);
            self.end(client, OrderState::Cancelled);
        }
        self.reply(ReplyKind::Accepted, true, ClientOrderId::NONE, 0);
    }

    /// A query is answered while a fill is on its way on the other connection.
    fn note_overlap(&mut self) {
        if self.stream.iter().any(|(_, body)| matches!(body, Body::Order(update) if update.trade.0 != 0)) {
            self.note("recovery overlaps the stream");
        }
    }

    fn status(&mut self, client: ClientOrderId) {
        self.note_overlap();
        let known = self.orders.get(&client.0).copied();
        if let Some(order) = known.filter(|o| o.visible_from_ns <= self.now.ns) {
            let update = Self::update(client.0, &order, true);
            return self.answer(0, DoorEvent::Body(Body::Order(update)));
        }
        if known.is_some() {
            self.note("not found though it exists");
        }
        self.reply(ReplyKind::Absent, false, client, 0);
    }

    fn list(&mut self) {
        self.note_overlap();
        let now_ns = self.now.ns;
        let open = self.orders.iter().filter(|(_, o)| o.state.may_be_open() && o.visible_from_ns <= now_ns);
        let open: Vec<_> = open.map(|(&client, &order)| (client, order)).collect();
        if open.len() < self.open().len() {
            self.note("not listed though it exists");
        }
        let count = u32::try_from(open.len()).unwrap();
        for (client, order) in open {
            self.answer(0, DoorEvent::Body(Body::Order(Self::update(client, &order, true))));
        }
        self.answer(0, DoorEvent::OpenOrders { count });
    }

    fn drive_session(&mut self, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize {
        if !self.is_connected {
            if core::mem::take(&mut self.is_ready_told) {
                for client in core::mem::take(&mut self.pending) {
                    let reply = Reply {
                        kind: ReplyKind::Unknown,
                        cancel: false,
                        instrument: BTC,
                        reason: Reason::ConnectionLost,
                        venue_code: 0,
                        client: ClientOrderId(client),
                        venue_order: VenueOrderId(0),
                        venue_ns: 0,
                    };
                    out(DoorEvent::Body(Body::Reply(reply)));
                }
                out(DoorEvent::Lost { reason: Reason::Closed, attempts: 0, is_exhausted: false });
            }
            return 0;
        }
        if !core::mem::replace(&mut self.is_ready_told, true) {
            out(DoorEvent::Ready);
        }
        let mut told = 0;
        while may_read && told < 64 && self.session.front().is_some_and(|(due, _)| *due <= self.now.ns) {
            let Some((_, event)) = self.session.pop_front() else { break };
            if let DoorEvent::Body(Body::Reply(reply)) = &event
                && !reply.cancel
                && reply.kind != ReplyKind::Absent
            {
                self.pending.remove(&reply.client.0);
            }
            out(event);
            told += 1;
        }
        told
    }

    fn drive_stream(&mut self, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize {
        let mut told = 0;
        while may_read && told < 64 && self.stream.front().is_some_and(|(due, _)| *due <= self.now.ns) {
            let Some((_, body)) = self.stream.pop_front() else { break };
            out(DoorEvent::Body(body));
            told += 1;
        }
        told
    }
}

impl Door for Venue {
    fn drive(&mut self, now: Now, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize {
        self.now = now;
        // Which of two connections is read first is chance.
        let is_stream_first = self.rng.random_bool(0.5);
        let before = if is_stream_first { self.drive_stream(may_read, out) } else { 0 };
        let read = before + self.drive_session(may_read, out);
        read + if is_stream_first { 0 } else { self.drive_stream(may_read, out) }
    }

    fn is_ready(&self) -> bool {
        self.is_connected && self.is_ready_told
    }

    fn set_urgent(&mut self, _urgent: bool, _now: Now) {}

    fn pending(&self) -> usize {
        self.session.len() + self.stream.len()
    }

    fn encode(&mut self, request: &Request, venue_ns: i64) -> Result<Encoded, Reason> {
        self.encoded = Some((*request, venue_ns / 1_000_000));
        let kind = match request {
            Request::Order(order) => match order.action {
                Action::Place(_) => SentKind::Place,
                Action::Replace { .. } => SentKind::Replace,
                Action::Cancel { .. } => SentKind::Cancel,
                Action::CancelAll => SentKind::CancelAll,
            },
            Request::Cancel { .. } => SentKind::Cancel,
            Request::CancelAll(_) => SentKind::CancelAll,
            _ => SentKind::Query,
        };
        Ok(Encoded { kind, timestamp_ms: venue_ns / 1_000_000, text_len: 100, text_crc: 7 })
    }

    fn write(&mut self, now: Now) -> Result<(), Reason> {
        self.now = now;
        let (request, timestamp_ms) = self.encoded.take().unwrap();
        if let Request::Order(order) = &request
            && matches!(order.action, Action::Place(_) | Action::Replace { .. })
            && !order.reduce_only
            && !self.page.view(now).allows_risk()
        {
            self.violations += 1;
        }
        self.written.push((request, now.ns));
        self.timestamps_ms.push(timestamp_ms);
        self.receive(&request);
        Ok(())
    }

    fn observe(&mut self, _fact: &Fact, _now: Now, _out: &mut dyn FnMut(DoorEvent)) {}
}
