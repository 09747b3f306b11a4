//! What the gateway knows: the live orders folded from every word of the venue, and what each word asks to be done.

use crate::event::fact::LinkId;
use crate::event::{
    Action, Body, CarriedOrder, Change, Fact, LinkStatus, NoteKind, Order, OrderUpdate, Reply, ReplyKind,
};
use crate::gateway::budget::Budgets;
use crate::gateway::config::GatewayConfig;
use crate::gateway::door::DoorEvent;
use crate::gateway::orders::Orders;
use crate::gateway::outbox::Outbox;
use crate::gateway::upkeep::Upkeep;
use crate::shared::HaltLevel;
use crate::shared::latency::Metric;
use crate::types::time::NS_PER_S;
use crate::types::{ClientOrderId, Now, OrderState, Reason, VenueOrderId};

/// The gateway without its door.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) config: GatewayConfig,
    pub(super) orders: Orders,
    pub(super) budgets: Budgets,
    pub(super) outbox: Outbox,
    pub(super) upkeep: Upkeep,
    /// Venue clock minus ours, as last measured.
    pub(super) offset_ns: i64,
    /// Whether the live orders changed since the page was told how many may be open.
    pub(super) is_changed: bool,
}

impl Desk {
    /// Our estimate of the venue's clock.
    #[inline]
    pub(super) const fn venue_ns(&self, now: Now) -> i64 {
        now.ns + self.offset_ns
    }

    /// Something came through the door. `ticks` is for measuring only.
    pub(super) fn on_door(&mut self, event: DoorEvent, now: Now, ticks: u64) {
        match event {
            DoorEvent::Body(body) => self.on_body(body, now, ticks),
            DoorEvent::OpenOrders { count } => self.listing_ended(count, now),
            DoorEvent::AccountRead => self.upkeep.account_read(),
            DoorEvent::QueryFailed => self.upkeep.query_failed(),
            DoorEvent::Opening => self.outbox.connecting(),
            DoorEvent::Ready => self.upkeep.session_ready(now),
            DoorEvent::Lost { reason, attempts, is_exhausted } => {
                self.upkeep.session_lost();
                self.orders.for_each(|_, extra| extra.inquiry.asked_mono_ns = None);
                let status = LinkStatus { link: LinkId::Orders, up: false, reason, attempts };
                self.outbox.body(Body::Link(status));
                if is_exhausted {
                    self.outbox.trip(HaltLevel::RiskOff, Reason::RetriesExhausted, now);
                }
            }
            DoorEvent::Usage(usage) => {
                let venue_ns = self.venue_ns(now);
                self.budgets.learn(usage, venue_ns);
            }
            DoorEvent::Blocked { reason, until_ns } => self.budgets.block(reason, until_ns),
        }
    }

    fn on_body(&mut self, body: Body, now: Now, ticks: u64) {
        match body {
            Body::Order(update) => {
                self.on_update(&update, now);
                self.outbox.body(body);
            }
            Body::Reply(reply) if reply.kind == ReplyKind::Absent => self.on_absent(&reply),
            Body::Reply(reply) => {
                self.on_reply(&reply, now, ticks);
                self.outbox.body(body);
            }
            _ => self.outbox.body(body),
        }
    }

    /// A fact passes by on the line. Those that began here as replies come back and change nothing.
    pub(super) fn on_fact(&mut self, fact: &Fact, now: Now) {
        match &fact.body {
            Body::Order(update) => self.on_update(update, now),
            Body::Carried(order) => self.on_carried(order, now),
            Body::ClockOffset(offset) => self.offset_ns = offset.offset_ns,
            Body::Link(status) => self.upkeep.link_changed(*status, now),
            Body::Command(command) => self.upkeep.command(command, now),
            _ => {}
        }
    }

    /// An order of an earlier boot: asked about as soon as the session stands, again until the venue says what became of it.
    fn on_carried(&mut self, order: &CarriedOrder, now: Now) {
        if !self.orders.carry(order) {
            return self.outbox.trip(HaltLevel::RiskOff, Reason::OrderTableFull, now);
        }
        self.is_changed = true;
        self.ask_about(order.client, now);
    }

    fn on_update(&mut self, update: &OrderUpdate, now: Now) {
        if update.state.may_be_open() {
            self.upkeep.named(update.instrument);
        }
        let generation = self.upkeep.generation();
        let was_known = self.orders.get(update.client).is_some();
        let Some(change) = self.orders.on_update(update) else { return };
        self.is_changed = true;
        self.follow(&change, was_known);
        let Some(extra) = self.orders.extra_mut(update.client) else { return };
        extra.is_confirmed = true;
        if update.snapshot {
            extra.listed = generation;
        }
        if update.state.may_be_open() {
            if core::mem::take(&mut extra.is_gone) {
                self.upkeep.order_opened(update.instrument);
            }
            extra.inquiry.is_denied = false;
            extra.inquiry.is_absent_by_list = false;
            extra.inquiry.is_absent_by_query = false;
        }
        // The venue has spoken: the question is answered.
        extra.inquiry.is_wanted = false;
        extra.inquiry.asked_mono_ns = None;
        extra.inquiry.pause_ns = 0;
        if change.after == OrderState::Unknown {
            self.ask_about(update.client, now);
        }
    }

    fn on_reply(&mut self, reply: &Reply, now: Now, ticks: u64) {
        let client = reply.client;
        if let Some(change) = self.orders.on_reply(reply) {
            self.is_changed = true;
            self.follow(&change, true);
            if change.after == OrderState::Unknown {
                self.ask_about(client, now);
            }
        }
        match (reply.kind, reply.cancel) {
            (ReplyKind::Accepted, false) => {
                let Some(extra) = self.orders.extra_mut(client) else { return };
                extra.is_confirmed = true;
                let written = core::mem::take(&mut extra.written_ticks);
                if written != 0 {
                    self.outbox.sample(Metric::Acknowledge, ticks.saturating_sub(written));
                }
            }
            // The order's own end comes on the account link; if that is down, the venue is asked.
            (ReplyKind::Accepted, true) => {
                let wait_ns = CANCEL_NEWS_NS;
                self.ask_about(client, Now { mono_ns: now.mono_ns + wait_ns, ..now });
            }
            // A refusal ("unknown order") does not say how the order ended, nor silence whether the cancel arrived: the
            // venue is asked, and if the order lives on, the cancel is owed.
            (ReplyKind::Rejected | ReplyKind::Unknown, true) => {
                if let Some(extra) = self.orders.extra_mut(client) {
                    extra.is_cancel_owed = true;
                }
                self.upkeep.inquire();
                self.ask_about(client, now);
            }
            _ => {}
        }
        if reply.kind == ReplyKind::Unknown {
            self.outbox.became_unknown();
        }
        self.outbox.reply_read();
    }

    fn follow(&mut self, change: &Change, was_known: bool) {
        let is_in_book = matches!(change.after, OrderState::Acknowledged | OrderState::PartiallyFilled);
        if is_in_book && (change.before != change.after || !was_known) {
            self.upkeep.order_opened(change.instrument);
        }
    }

    /// The venue must be asked about an order, soon, and until it answers.
    pub(super) fn ask_about(&mut self, client: ClientOrderId, now: Now) {
        let is_over = self.orders.get(client).is_none_or(|live| live.state.is_terminal());
        let Some(extra) = self.orders.extra_mut(client).filter(|_| !is_over) else { return };
        if !extra.inquiry.is_wanted {
            extra.inquiry.is_wanted = true;
            extra.inquiry.next_mono_ns = now.mono_ns;
        }
        self.upkeep.inquire();
    }

    /// "No such order" proves absence only when it was asked past the watermark (the receive window, in which the order
    /// could still arrive, and the time by which a replica may lag), and by two sources (F7). Until then it is not passed on:
    /// [`ReplyKind::Absent`] on the line means proved.
    fn on_absent(&mut self, reply: &Reply) {
        let (arrival_ns, settle_ns) = (self.config.arrival_ns(), self.config.absent_ns());
        let Some(extra) = self.orders.extra_mut(reply.client) else { return };
        extra.inquiry.asked_mono_ns = None;
        extra.inquiry.is_denied |= extra.inquiry.asked_ns > extra.written_ns + arrival_ns;
        extra.inquiry.is_absent_by_query |= extra.inquiry.asked_ns > extra.written_ns + settle_ns;
        if extra.inquiry.is_absent_by_query && !extra.inquiry.is_absent_by_list {
            self.upkeep.want_listing();
        }
        self.settle_absent(reply.client);
    }

    /// Ends an order that both sources deny. One that the venue had confirmed can't be absent: it stays unknown, frozen and
    /// asked about, and a person must look.
    fn settle_absent(&mut self, client: ClientOrderId) {
        let Some(&live) = self.orders.get(client) else { return };
        let inquiry = live.extra.inquiry;
        let is_denied = inquiry.is_absent_by_query && inquiry.is_absent_by_list;
        if !is_denied || live.extra.is_confirmed || live.state != OrderState::Unknown {
            return;
        }
        let reply = Reply {
            kind: ReplyKind::Absent,
            cancel: false,
            instrument: live.instrument,
            reason: Reason::VenueReject,
            venue_code: 0,
            client,
            venue_order: VenueOrderId(0),
            venue_ns: 0,
        };
        self.orders.on_reply(&reply);
        self.is_changed = true;
        self.outbox.body(Body::Reply(reply));
    }

    /// A list of everything open is complete: what it left out is not open, if it was asked for late enough.
    fn listing_ended(&mut self, count: u32, now: Now) {
        let Some(asked) = self.upkeep.listing_ended(count) else { return };
        let generation = self.upkeep.generation();
        let (arrival_ns, settle_ns) = (self.config.arrival_ns(), self.config.absent_ns());
        let mut denied = ClientOrderId::NONE;
        self.orders.for_each(|live, extra| {
            if extra.listed == generation || !live.state.may_be_open() {
                return;
            }
            if !extra.is_confirmed && asked.ns <= extra.written_ns + arrival_ns {
                return; // it may still arrive
            }
            // Newly gone: the other source is asked now, and not at the end of a pause.
            let is_news = !core::mem::replace(&mut extra.is_gone, true);
            extra.is_cancel_owed = false;
            extra.inquiry.is_absent_by_list |= asked.ns > extra.written_ns + settle_ns;
            if extra.inquiry.is_absent_by_list && extra.inquiry.is_absent_by_query {
                denied = live.client; // the others are settled by their next answer
            }
            if is_news || !extra.inquiry.is_wanted {
                extra.inquiry.is_wanted = true;
                extra.inquiry.next_mono_ns = now.mono_ns;
            }
        });
        self.is_changed = true;
        self.upkeep.inquire();
        self.settle_absent(denied);
    }

    /// An approved order does not leave.
    #[cold]
    pub(super) fn withhold(&mut self, order: &Order, reason: Reason, now: Now) {
        self.outbox.withheld(reason);
        self.outbox.note(NoteKind::Withheld, reason, order.client, 0, now);
        self.not_sent(order, reason);
    }

    /// An approved order bears the name of another: an error inside the engine, and the one kind of order that could be
    /// sent twice.
    #[cold]
    pub(super) fn named_twice(&mut self, order: &Order, now: Now) {
        self.outbox.withheld(Reason::DuplicateOrder);
        self.outbox.note(NoteKind::Withheld, Reason::DuplicateOrder, order.client, 0, now);
        self.outbox.trip(HaltLevel::RiskOff, Reason::Internal, now);
    }

    /// Tells signal and risk, as a fact, that an order did not leave.
    pub(super) fn not_sent(&mut self, order: &Order, reason: Reason) {
        let (client, cancel) = subject(order);
        let reply = self.outbox.reply(ReplyKind::NotSent, cancel, (client, order.instrument), reason);
        if !cancel {
            self.orders.on_reply(&reply);
        }
    }
}

/// How long the account link may take to tell how a cancelled order ended.
const CANCEL_NEWS_NS: i64 = NS_PER_S;

/// The order that a request is about, and whether it is a cancel.
pub(super) const fn subject(order: &Order) -> (ClientOrderId, bool) {
    match order.action {
        Action::Cancel { target } => (target, true),
        Action::CancelAll => (ClientOrderId::NONE, true),
        Action::Place(_) | Action::Replace { .. } => (order.client, false),
    }
}
