//! The stage itself: takes what risk decided, checks once more, encodes, journals, writes.

use std::sync::Arc;

use crate::agent::line_ring::Reader;
use crate::agent::ring::Producer;
use crate::agent::{Agent, Clock};
use crate::event::command::ALL_INSTRUMENTS;
use crate::event::fact::LinkId;
use crate::event::{
    Action, Body, LinkStatus, NoteKind, Order, OrderTrace, Record, Reply, ReplyKind, Sample, Sent, Stamps,
};
use crate::gateway::budget::{Budgets, Cost, Limit};
use crate::gateway::config::GatewayConfig;
use crate::gateway::desk::{Desk, subject};
use crate::gateway::door::{Door, DoorEvent, Encoded, Request};
use crate::gateway::orders::Orders;
use crate::gateway::outbox::Outbox;
use crate::gateway::upkeep::Upkeep;
use crate::limits::LINE_BATCH_MAX;
use crate::risk::{Approved, Output, halt_allows};
use crate::shared::latency::Metric;
use crate::shared::{Counters, HaltView, KillPage};
use crate::types::time::NS_PER_MS;
use crate::types::{ClientOrderId, Now, Reason};

/// Orders written in one poll: each reading of the clock, which the lease is compared with, serves only so many.
const ORDERS_PER_POLL_MAX: usize = 8;
/// Requests of its own that the gateway sends in one poll.
const UPKEEP_PER_POLL_MAX: usize = 4;
/// How often the gateway looks whether something of its own is due, when nothing has happened.
const UPKEEP_EVERY_NS: i64 = NS_PER_MS;

/// The gateway's rings. `journal` is its own journal ring.
#[derive(Debug)]
pub struct GatewayRings {
    /// From risk.
    pub input: Reader<Output>,
    /// To feed.
    pub returns: Producer<Body>,
    /// To the journal's thread.
    pub journal: Producer<Record>,
    /// Each order's way through the engine.
    pub traces: Option<Producer<OrderTrace>>,
    /// Measurements.
    pub samples: Option<Producer<Sample>>,
}

/// Stage 4.
#[derive(Debug)]
pub struct Gateway<D> {
    door: D,
    desk: Desk,
    input: Reader<Output>,
    page: Arc<KillPage>,
    clock: Clock,
    /// How many may be open, as the page was last told.
    open_told: Option<usize>,
    polls_to_read: u32,
    next_upkeep_mono_ns: i64,
}

impl<D: Door> Gateway<D> {
    /// Over a door. `limits` are the venue's rate limits, from `exchangeInfo`.
    pub fn new(
        config: GatewayConfig,
        door: D,
        limits: &[Limit],
        rings: GatewayRings,
        (page, counters): (Arc<KillPage>, Arc<Counters>),
        clock: Clock,
    ) -> Self {
        let GatewayRings { input, returns, journal, traces, samples } = rings;
        let outbox = Outbox::new((returns, journal), (traces, samples), Arc::clone(&page), counters);
        let desk = Desk {
            config,
            orders: Orders::default(),
            budgets: Budgets::new(limits, config.reserve_percent),
            outbox,
            upkeep: Upkeep::new(&config),
            offset_ns: 0,
            is_changed: true,
        };
        Self {
            door,
            desk,
            input,
            page,
            clock,
            open_told: None,
            polls_to_read: 0,
            next_upkeep_mono_ns: i64::MIN,
        }
    }

    /// What stands behind.
    pub const fn door(&self) -> &D {
        &self.door
    }

    /// What stands behind, to steer a simulation.
    pub const fn door_mut(&mut self) -> &mut D {
        &mut self.door
    }

    /// The live orders.
    pub const fn orders(&self) -> &Orders {
        &self.desk.orders
    }

    /// Whether orders may use the session.
    pub const fn is_session_up(&self) -> bool {
        self.desk.upkeep.is_session_up()
    }

    /// Takes what risk decided. Never stops for a full ring: see [`Outbox`].
    fn take_input(&mut self, now: Now) -> usize {
        let mut orders = 0;
        for taken in 0..LINE_BATCH_MAX {
            if orders == ORDERS_PER_POLL_MAX {
                return taken;
            }
            match self.input.pop() {
                Some(Output::Approved { order, stamps, risk_ticks }) => {
                    orders += 1;
                    if let Err(reason) = self.send_approved(order, stamps, risk_ticks, now) {
                        // A halt first: its reason is the one that people must see. But not the halt that this order's own
                        // failure has just brought about.
                        let halted = halt_allows(order.get(), self.page.view(now)).err();
                        let halted = halted.filter(|_| reason != Reason::JournalFull);
                        self.desk.withhold(order.get(), halted.unwrap_or(reason), now);
                    }
                }
                Some(Output::Refused { order, reason }) => self.desk.not_sent(&order, reason),
                Some(Output::Fact(fact)) => {
                    let ticks = self.clock.ticks();
                    self.desk.on_fact(&fact, now);
                    let desk = &mut self.desk;
                    self.door.observe(&fact, now, &mut |event| desk.on_door(event, now, ticks));
                }
                None => return taken,
            }
        }
        LINE_BATCH_MAX
    }

    /// One approved order on its way out. `Err`: it did not leave, and nobody was told yet.
    #[inline]
    fn send_approved(
        &mut self,
        approved: Approved<Order>,
        stamps: Stamps,
        risk_ticks: u32,
        now: Now,
    ) -> Result<(), Reason> {
        let order = approved.get();
        let places = match &order.action {
            Action::Place(spec) | Action::Replace { spec, .. } => Some(spec),
            Action::Cancel { .. } | Action::CancelAll => None,
        };
        if places.is_some() {
            if !self.desk.upkeep.is_session_up() {
                return Err(Reason::SessionDown);
            }
            if now.ns - order.cause_ns > self.desk.config.decision_age_max_ns {
                return Err(Reason::Expired);
            }
            if self.desk.orders.get(order.client).is_some() {
                // Nothing is told of it on the line: it would be taken for news of the first one.
                self.desk.named_twice(order, now);
                return Ok(());
            }
            if self.desk.orders.is_full() {
                return Err(Reason::OrderTableFull);
            }
        }
        let read = stamps.read;
        let risk = read + u64::from(risk_ticks);
        let written = self.send(&Request::Order(*order), now)?;
        if let Some(spec) = places {
            // Behind the write, which is what the order waits for: nothing of the venue's is read in between, and there is room.
            let entered = self.desk.orders.enter(order, spec);
            debug_assert!(entered, "room was seen before the write");
        }
        self.desk.outbox.trace(OrderTrace {
            read,
            decoded: read + u64::from(stamps.decoded),
            signal: read + u64::from(stamps.signal),
            risk,
            encoded: written.encoded,
            written: written.handed_over,
        });
        self.after_order(order, &written, now);
        Ok(())
    }

    /// Books an order that left and tells the line.
    fn after_order(&mut self, order: &Order, written: &Written, now: Now) {
        let (client, cancel) = subject(order);
        let on = (client, order.instrument);
        let sent = self.desk.outbox.reply(ReplyKind::Sent, cancel, on, Reason::None);
        if client != ClientOrderId::NONE {
            self.desk.orders.on_reply(&sent);
        }
        if let Action::Replace { target, .. } = order.action {
            self.desk.orders.on_reply(&Reply { client: target, cancel: true, ..sent });
        }
        if let Some(extra) = self.desk.orders.extra_mut(client).filter(|_| !cancel) {
            extra.written_ns = now.ns;
            extra.written_ticks = written.handed_over;
        }
        self.desk.is_changed = true;
        if let Some(reason) = written.lost {
            // It may have left: the session's end says so of everything that was pending, and of this one we do.
            let lost = Reply { kind: ReplyKind::Unknown, reason, ..sent };
            let desk = &mut self.desk;
            desk.on_door(DoorEvent::Body(Body::Reply(lost)), now, 0);
        }
    }

    /// Encodes, journals and writes one request. `Err`: it did not leave.
    #[inline]
    fn send(&mut self, request: &Request, now: Now) -> Result<Written, Reason> {
        if !self.door.is_ready() {
            return Err(Reason::SessionDown);
        }
        let cost = cost(request);
        let venue_ns = self.desk.venue_ns(now);
        self.desk.budgets.check(cost, venue_ns)?;
        let encoded = self.door.encode(request, venue_ns)?;
        let encoded_ticks = self.clock.ticks();
        // The page again, after the encoding and right before the write: a trip or an expired lease that can be seen now is
        // obeyed now. Requests of the gateway's own never add risk.
        if let Request::Order(order) = request {
            self.check_halt(order, self.page.view(now), now)?;
            if self.desk.config.dry_run {
                return Err(Reason::DryRun);
            }
        }
        // The decision has been in its ring since before risk handed the order on. The request's own record follows the write,
        // which need not wait for its checksum; room for it is seen before, and without room nothing leaves.
        let has_room = self.desk.outbox.has_journal_room(now);
        if !has_room && cost.orders > 0 {
            return Err(Reason::JournalFull);
        }
        let lost = match self.door.write(now) {
            Ok(()) => None,
            Err(Reason::LineFull) => return Err(Reason::LineFull),
            Err(reason) => Some(reason),
        };
        let written_ticks = self.clock.ticks();
        let made = self.door.settle(encoded, now);
        if has_room {
            self.desk.outbox.journal_sent(sent(request, &made, now));
        } else {
            self.desk.outbox.sent_unjournaled();
        }
        self.desk.budgets.spend(cost, venue_ns);
        self.desk.outbox.request_written();
        self.desk.outbox.sample(Metric::Write, written_ticks.saturating_sub(encoded_ticks));
        Ok(Written { encoded: encoded_ticks, handed_over: written_ticks, lost })
    }

    #[inline]
    fn check_halt(&mut self, order: &Order, view: HaltView, now: Now) -> Result<(), Reason> {
        let allowed = halt_allows(order, view);
        if allowed == Err(Reason::LeaseExpired) {
            self.desk.outbox.note(NoteKind::LeaseExpired, Reason::LeaseExpired, order.client, 0, now);
        }
        allowed
    }

    /// Requests of the gateway's own, and what has come about.
    fn upkeep(&mut self, now: Now) -> usize {
        let mut sent = 0;
        while sent < UPKEEP_PER_POLL_MAX && self.door.is_ready() {
            let desk = &mut self.desk;
            let Some(request) = desk.upkeep.next_request(&mut desk.orders, &desk.config, now) else { break };
            match self.send(&request, now) {
                Ok(written) => self.after_own(&request, written.lost, now),
                Err(reason) => {
                    let desk = &mut self.desk;
                    if reason == Reason::RateBudget {
                        desk.outbox.note(NoteKind::Paced, reason, ClientOrderId::NONE, 0, now);
                    }
                    // The same request is under way already: its answer, or its timeout, will do.
                    if reason != Reason::DuplicateOrder {
                        desk.upkeep.could_not_leave(&request, &mut desk.orders, now);
                        break;
                    }
                }
            }
            sent += 1;
        }
        self.settle(now);
        sent
    }

    /// The line hears of a cancel that the gateway sent by itself, as of any other.
    fn after_own(&mut self, request: &Request, lost: Option<Reason>, now: Now) {
        let on = match *request {
            Request::Cancel { client, instrument } => (client, instrument),
            Request::CancelAll(instrument) => (ClientOrderId::NONE, instrument),
            _ => return,
        };
        let sent = self.desk.outbox.reply(ReplyKind::Sent, true, on, Reason::None);
        self.desk.orders.on_reply(&sent);
        if let Some(reason) = lost {
            let reply = Reply { kind: ReplyKind::Unknown, reason, ..sent };
            self.desk.on_door(DoorEvent::Body(Body::Reply(reply)), now, 0);
        }
    }

    fn settle(&mut self, now: Now) {
        let desk = &mut self.desk;
        let settled = desk.upkeep.settle(&desk.orders, &desk.config, now);
        if settled.session_up {
            let status = LinkStatus { link: LinkId::Orders, up: true, reason: Reason::None, attempts: 0 };
            desk.outbox.body(Body::Link(status));
        }
        if let Some((epoch, after_ns)) = settled.silent {
            self.page.set_open_orders(0);
            self.page.set_silent(epoch, now.ns);
            desk.outbox.note(NoteKind::NothingOpen, Reason::None, ClientOrderId::NONE, after_ns / 1_000, now);
            let all = (ClientOrderId::NONE, ALL_INSTRUMENTS);
            desk.outbox.reply(ReplyKind::NothingOpen, true, all, Reason::None);
        }
        if let Some(epoch) = settled.reconciled {
            self.page.set_reconciled(epoch);
        }
    }

    /// Reads the page: a state that was not seen before is noted, acknowledged and acted on.
    fn watch(&mut self, now: Now) {
        let view = self.page.view(now);
        let desk = &mut self.desk;
        if desk.upkeep.watch(view, now) {
            let (reason, _) = self.page.last_trip();
            desk.outbox.note(
                NoteKind::HaltSeen,
                reason,
                ClientOrderId::NONE,
                i64::from(view.level as u8),
                now,
            );
            self.page.set_seen(view.epoch);
            self.next_upkeep_mono_ns = i64::MIN;
        }
    }

    fn tell_open(&mut self) {
        if core::mem::take(&mut self.desk.is_changed) {
            let open = self.desk.orders.may_be_open();
            if self.open_told != Some(open) {
                self.open_told = Some(open);
                self.page.set_open_orders(open as u64);
            }
        }
    }

    fn read_door(&mut self, now: Now) -> usize {
        // A read is a system call: with nothing outstanding it can wait a few polls, and orders leave the sooner.
        if self.polls_to_read > 0 && self.door.pending() == 0 && self.door.is_ready() {
            self.polls_to_read -= 1;
            return 0;
        }
        self.polls_to_read = self.desk.config.read_every.saturating_sub(1);
        self.door.set_urgent(self.desk.upkeep.is_sweeping(), now);
        // While a halt is carried out the venue is read even if the engine no longer takes what it says (a dead journal stops
        // the feed): the answers are kept, and nothing may keep the halt from hearing them.
        let may_read = self.desk.outbox.may_read() || self.desk.upkeep.is_sweeping();
        let (desk, ticks) = (&mut self.desk, self.clock.ticks());
        self.door.drive(now, may_read, &mut |event| desk.on_door(event, now, ticks))
    }
}

impl<D: Door> Agent for Gateway<D> {
    fn name(&self) -> &'static str {
        "gateway"
    }

    fn poll(&mut self, now: Now) -> usize {
        self.watch(now);
        self.desk.outbox.begin(now);
        let mut work = self.take_input(now);
        let read = self.read_door(now);
        work += read;
        if read > 0 || now.mono_ns >= self.next_upkeep_mono_ns {
            self.next_upkeep_mono_ns = now.mono_ns + UPKEEP_EVERY_NS;
            work += self.upkeep(now);
        }
        self.tell_open();
        work
    }
}

/// A request that left, or may have.
#[derive(Clone, Copy, Debug)]
struct Written {
    encoded: u64,
    handed_over: u64,
    /// The link ended in the write.
    lost: Option<Reason>,
}

/// The record of a request.
#[inline]
const fn sent(request: &Request, made: &Encoded, now: Now) -> Sent {
    let (client, instrument) = match request {
        Request::Order(order) => (subject(order).0, order.instrument),
        Request::Cancel { client, instrument } | Request::OrderStatus { client, instrument } => {
            (*client, *instrument)
        }
        Request::CancelAll(instrument) => (ClientOrderId::NONE, *instrument),
        Request::OpenOrders | Request::Account => (ClientOrderId::NONE, ALL_INSTRUMENTS),
    };
    Sent {
        client,
        kind: made.kind,
        instrument,
        timestamp_ms: made.timestamp_ms,
        text_len: made.text_len,
        text_crc: made.text_crc,
        at_ns: now.ns,
    }
}

/// What requests cost at the venue. Placing and cancelling cost no weight when they succeed and 1 when they fail: counted as
/// 1, the venue's own figure corrects us.
const fn cost(request: &Request) -> Cost {
    match request {
        Request::Order(order) => match order.action {
            Action::Place(_) | Action::Replace { .. } => Cost { weight: 1, orders: 1, reserved: false },
            Action::Cancel { .. } | Action::CancelAll => CANCEL,
        },
        Request::Cancel { .. } | Request::CancelAll(_) => CANCEL,
        Request::OrderStatus { .. } => Cost { weight: 4, orders: 0, reserved: true },
        Request::OpenOrders => Cost { weight: 80, orders: 0, reserved: true },
        Request::Account => Cost { weight: 20, orders: 0, reserved: true },
    }
}

const CANCEL: Cost = Cost { weight: 1, orders: 0, reserved: true };
