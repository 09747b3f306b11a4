//! A scripted venue behind the gateway's door: it keeps orders, answers requests, and misbehaves on demand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use interlock::event::{Action, BalanceUpdate, Body, Fact, OrderUpdate, Reply, ReplyKind, SentKind};
use interlock::gateway::{Door, DoorEvent, Encoded, Request};
use interlock::shared::{HaltLevel, KillPage};
use interlock::types::time::NS_PER_S;
use interlock::types::{
    AssetId, ClientOrderId, InstrumentId, Now, OrderState, Price, Qty, Reason, Side, TradeId, VenueOrderId,
};

/// One order as the venue has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct VenueOrder {
    pub(crate) instrument: InstrumentId,
    pub(crate) side: Side,
    pub(crate) price: Price,
    pub(crate) qty: Qty,
    pub(crate) filled: Qty,
    pub(crate) state: OrderState,
    pub(crate) visible_from_ns: i64,
}

/// How the venue misbehaves.
#[expect(clippy::struct_excessive_bools, reason = "each is a fault that is on or off")]
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Faults {
    /// Orders arrive and their answers are lost.
    pub(crate) loses_acks: bool,
    /// Orders are lost on the way, and so are their answers.
    pub(crate) loses_orders: bool,
    /// Cancels are lost on the way.
    pub(crate) loses_cancels: bool,
    /// Queries are not answered.
    pub(crate) deaf_to_queries: bool,
    /// Nothing is answered.
    pub(crate) deaf: bool,
    /// Orders arrive so much later.
    pub(crate) arrival_delay_ns: i64,
    /// A query knows an order only so long after it arrived.
    pub(crate) visible_after_ns: i64,
    /// The next write ends the link.
    pub(crate) breaks_in_write: bool,
    /// The next encode trips the page, as another thread could at that moment.
    pub(crate) trips_in_encode: bool,
}

/// What was written, and when.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Written {
    pub(crate) request: Request,
    pub(crate) at_ns: i64,
}

/// The venue and the session to it.
#[derive(Debug)]
pub(crate) struct Venue {
    pub(crate) orders: BTreeMap<u64, VenueOrder>,
    pub(crate) foreign_open: u32,
    pub(crate) faults: Faults,
    pub(crate) written: Vec<Written>,
    pub(crate) seen: Vec<Body>,
    /// Requests that arrive later: orders under way.
    arriving: Vec<(i64, u64, VenueOrder)>,
    outgoing: VecDeque<(i64, DoorEvent)>,
    encoded: Option<Request>,
    connected: bool,
    ready_told: bool,
    page: Arc<KillPage>,
    /// Set when an order that adds risk was written although the page forbade it.
    pub(crate) violations: Arc<AtomicU64>,
    pub(crate) lost_pending: Arc<AtomicBool>,
    now: Now,
}

const REPLY_TIMEOUT_NS: i64 = 5 * NS_PER_S;

impl Venue {
    pub(crate) fn new(page: Arc<KillPage>) -> Self {
        Self {
            orders: BTreeMap::new(),
            foreign_open: 0,
            faults: Faults::default(),
            written: Vec::new(),
            seen: Vec::new(),
            arriving: Vec::new(),
            outgoing: VecDeque::new(),
            encoded: None,
            connected: true,
            ready_told: false,
            page,
            violations: Arc::default(),
            lost_pending: Arc::default(),
            now: Now::default(),
        }
    }

    pub(crate) fn open_count(&self) -> usize {
        self.orders.values().filter(|o| o.state.may_be_open()).count()
    }

    pub(crate) fn places(&self) -> usize {
        self.count(|r| matches!(r, Request::Order(o) if matches!(o.action, Action::Place(_))))
    }

    pub(crate) fn count(&self, is: impl Fn(&Request) -> bool) -> usize {
        self.written.iter().filter(|w| is(&w.request)).count()
    }

    /// The connection drops; answers on the way are lost.
    pub(crate) fn disconnect(&mut self) {
        self.connected = false;
        self.outgoing.clear();
        self.lost_pending.store(true, Ordering::Relaxed);
    }

    pub(crate) fn connect(&mut self) {
        self.connected = true;
    }

    /// The session tells the gateway something.
    pub(crate) fn tell(&mut self, event: DoorEvent) {
        self.answer(0, event);
    }

    fn answer(&mut self, after_ns: i64, event: DoorEvent) {
        if self.connected {
            self.outgoing.push_back((self.now.ns + after_ns, event));
        }
    }

    fn reply(&mut self, kind: ReplyKind, cancel: bool, client: ClientOrderId, after_ns: i64) {
        let reply = Reply {
            kind,
            cancel,
            instrument: InstrumentId(0),
            reason: if kind == ReplyKind::Unknown { Reason::Timeout } else { Reason::None },
            venue_code: 0,
            client,
            venue_order: VenueOrderId(0),
            venue_ns: 0,
        };
        self.answer(after_ns, DoorEvent::Body(Body::Reply(reply)));
    }

    pub(crate) fn update(client: u64, order: &VenueOrder, snapshot: bool) -> OrderUpdate {
        OrderUpdate {
            instrument: order.instrument,
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

    fn receive(&mut self, request: &Request) {
        let faults = self.faults;
        match *request {
            Request::Order(order) => match order.action {
                Action::Place(spec) => {
                    let new = VenueOrder {
                        instrument: order.instrument,
                        side: spec.side,
                        price: spec.price,
                        qty: spec.qty,
                        filled: Qty::ZERO,
                        state: OrderState::Acknowledged,
                        visible_from_ns: self.now.ns + faults.arrival_delay_ns + faults.visible_after_ns,
                    };
                    if !faults.loses_orders {
                        let at = self.now.ns + faults.arrival_delay_ns;
                        self.arriving.push((at, order.client.0, new));
                        self.arrive();
                    }
                    if faults.loses_acks || faults.loses_orders || faults.deaf {
                        self.reply(ReplyKind::Unknown, false, order.client, REPLY_TIMEOUT_NS);
                    } else {
                        self.reply(ReplyKind::Accepted, false, order.client, faults.arrival_delay_ns);
                    }
                }
                Action::Cancel { target } => self.cancel(target),
                Action::Replace { .. } | Action::CancelAll => {}
            },
            Request::Cancel { client, .. } => self.cancel(client),
            Request::CancelAll(instrument) => {
                if faults.deaf || faults.loses_cancels {
                    return;
                }
                let open: Vec<u64> = self
                    .orders
                    .iter()
                    .filter(|(_, o)| o.instrument == instrument && o.state.may_be_open())
                    .map(|(&c, _)| c)
                    .collect();
                for client in open {
                    self.end(client, OrderState::Cancelled);
                }
                self.foreign_open = 0;
                self.reply(ReplyKind::Accepted, true, ClientOrderId::NONE, 0);
            }
            Request::OrderStatus { client, .. } => {
                if faults.deaf || faults.deaf_to_queries {
                    return;
                }
                match self.orders.get(&client.0).copied().filter(|o| o.visible_from_ns <= self.now.ns) {
                    Some(order) => {
                        let update = Self::update(client.0, &order, true);
                        self.answer(0, DoorEvent::Body(Body::Order(update)));
                    }
                    None => self.reply(ReplyKind::Absent, false, client, 0),
                }
            }
            Request::OpenOrders => self.list(),
            Request::Account => {
                if !faults.deaf {
                    let free = Qty::from_units(1_000_000 * Qty::ONE.units());
                    for asset in [AssetId(0), AssetId(1)] {
                        let balance = BalanceUpdate { asset, free, locked: Qty::ZERO, venue_ns: 0 };
                        self.answer(0, DoorEvent::Body(Body::Balance(balance)));
                    }
                    self.answer(0, DoorEvent::AccountRead);
                }
            }
        }
    }

    fn list(&mut self) {
        if self.faults.deaf || self.faults.deaf_to_queries {
            return;
        }
        let open: Vec<(u64, VenueOrder)> = self
            .orders
            .iter()
            .filter(|(_, o)| o.state.may_be_open() && o.visible_from_ns <= self.now.ns)
            .map(|(&c, &o)| (c, o))
            .collect();
        let count = u32::try_from(open.len()).unwrap() + self.foreign_open;
        for (client, order) in open {
            self.answer(0, DoorEvent::Body(Body::Order(Self::update(client, &order, true))));
        }
        if self.foreign_open > 0 {
            let foreign = VenueOrder {
                instrument: InstrumentId(0),
                side: Side::Buy,
                price: Price::from_units(1),
                qty: Qty::from_units(1),
                filled: Qty::ZERO,
                state: OrderState::Acknowledged,
                visible_from_ns: 0,
            };
            self.answer(0, DoorEvent::Body(Body::Order(Self::update(0, &foreign, true))));
        }
        self.answer(0, DoorEvent::OpenOrders { count });
    }

    fn cancel(&mut self, client: ClientOrderId) {
        let faults = self.faults;
        let is_open = self.orders.get(&client.0).is_some_and(|o| o.state.may_be_open());
        if faults.loses_cancels || faults.deaf {
            self.reply(ReplyKind::Unknown, true, client, REPLY_TIMEOUT_NS);
        } else if is_open {
            self.end(client.0, OrderState::Cancelled);
            self.reply(ReplyKind::Accepted, true, client, 0);
        } else {
            self.reply(ReplyKind::Rejected, true, client, 0);
        }
    }

    /// An order ends; the session's update of it is told.
    pub(crate) fn end(&mut self, client: u64, state: OrderState) {
        let Some(order) = self.orders.get_mut(&client) else { return };
        order.state = state;
        if state == OrderState::Filled {
            order.filled = order.qty;
        }
        let order = *order;
        if !self.faults.deaf {
            self.answer(0, DoorEvent::Body(Body::Order(Self::update(client, &order, false))));
        }
    }

    fn arrive(&mut self) {
        let now_ns = self.now.ns;
        let due: Vec<_> = self.arriving.iter().copied().filter(|(at, ..)| *at <= now_ns).collect();
        self.arriving.retain(|(at, ..)| *at > now_ns);
        for (_, client, order) in due {
            self.orders.insert(client, order);
        }
    }
}

impl Door for Venue {
    fn drive(&mut self, now: Now, may_read: bool, out: &mut dyn FnMut(DoorEvent)) -> usize {
        self.now = now;
        self.arrive();
        if !self.connected {
            if self.ready_told {
                self.ready_told = false;
                if self.lost_pending.swap(false, Ordering::Relaxed) {
                    let pending: Vec<ClientOrderId> =
                        self.written.iter().filter_map(|w| unanswered(&w.request)).collect();
                    for client in pending {
                        let reply = Reply {
                            kind: ReplyKind::Unknown,
                            cancel: false,
                            instrument: InstrumentId(0),
                            reason: Reason::ConnectionLost,
                            venue_code: 0,
                            client,
                            venue_order: VenueOrderId(0),
                            venue_ns: 0,
                        };
                        out(DoorEvent::Body(Body::Reply(reply)));
                    }
                }
                out(DoorEvent::Lost { reason: Reason::Closed, attempts: 0, is_exhausted: false });
            }
            return 0;
        }
        if !self.ready_told {
            self.ready_told = true;
            out(DoorEvent::Ready);
        }
        let mut told = 0;
        while may_read && told < 64 {
            let Some(at) = self.outgoing.iter().position(|(due, _)| *due <= now.ns) else { break };
            let (_, event) = self.outgoing.remove(at).unwrap();
            if let DoorEvent::Body(body) = event {
                self.seen.push(body);
            }
            out(event);
            told += 1;
        }
        told
    }

    fn is_ready(&self) -> bool {
        self.connected && self.ready_told
    }

    fn set_urgent(&mut self, _urgent: bool, _now: Now) {}

    fn pending(&self) -> usize {
        self.outgoing.len()
    }

    fn encode(&mut self, request: &Request, venue_ns: i64) -> Result<Encoded, Reason> {
        if core::mem::take(&mut self.faults.trips_in_encode) {
            self.page.trip(HaltLevel::CancelAll, Reason::Operator, venue_ns);
        }
        self.encoded = Some(*request);
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
        let request = self.encoded.take().unwrap();
        if let Request::Order(order) = &request
            && matches!(order.action, Action::Place(_) | Action::Replace { .. })
            && !order.reduce_only
            && !self.page.view(now).allows_risk()
        {
            self.violations.fetch_add(1, Ordering::Relaxed);
        }
        self.written.push(Written { request, at_ns: now.ns });
        if core::mem::take(&mut self.faults.breaks_in_write) {
            self.receive(&request); // it left all the same
            self.disconnect();
            return Err(Reason::Closed);
        }
        self.receive(&request);
        Ok(())
    }

    fn observe(&mut self, _fact: &Fact, _now: Now, _out: &mut dyn FnMut(DoorEvent)) {}
}

/// The order of a request whose answer is lost with the connection. Answers that came before make the `Unknown` a repeat,
/// which must not harm.
fn unanswered(request: &Request) -> Option<ClientOrderId> {
    match request {
        Request::Order(order) if matches!(order.action, Action::Place(_)) => Some(order.client),
        _ => None,
    }
}
