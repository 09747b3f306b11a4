//! What the gateway knows: the live-order table folded from every word of the venue, and what each word asks to be done.

use crate::event::{Body, Fact, NoteKind, OrderUpdate, Reply, ReplyKind};
use crate::gateway::budget::Budgets;
use crate::gateway::config::GatewayConfig;
use crate::gateway::door::DoorEvent;
use crate::gateway::outbox::Outbox;
use crate::gateway::table::{Live, OrderTable};
use crate::gateway::upkeep::Upkeep;
use crate::shared::latency::Metric;
use crate::types::order::{OrderEvent, OrderState};
use crate::types::{ClientOrderId, Now, Reason};

/// The gateway without its door.
#[derive(Debug)]
pub struct Desk {
    pub(super) config: GatewayConfig,
    pub(super) table: OrderTable,
    pub(super) budgets: Budgets,
    pub(super) outbox: Outbox,
    pub(super) upkeep: Upkeep,
    /// Venue clock minus ours, as last measured.
    pub(super) offset_ns: i64,
    /// Answers read in this poll; each is counted once.
    pub(super) replies: u64,
    /// Outcomes that became unknown in this poll.
    pub(super) unknowns: u64,
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
            DoorEvent::Body(Body::Order(update)) => {
                self.replies += 1;
                self.on_update(&update, now);
                self.outbox.body(Body::Order(update));
            }
            DoorEvent::Body(Body::Reply(reply)) => {
                self.replies += 1;
                self.on_reply(&reply, now, ticks);
            }
            DoorEvent::Body(body) => self.outbox.body(body),
            DoorEvent::OpenOrdersBegin => self.upkeep.listing_begins(),
            DoorEvent::OpenOrdersEnd { count } => self.listing_ends(count, now),
            DoorEvent::AccountRead => self.upkeep.account.answered(now),
            DoorEvent::QueryFailed => self.upkeep.query_failed(now),
            DoorEvent::Ready => self.upkeep.session_ready(now),
            DoorEvent::Lost { reason, attempts, .. } => {
                self.table.change_pending(|live| live.inquiry.asked_mono_ns = None);
                if let Some(status) = self.upkeep.session_lost(reason, attempts) {
                    self.outbox.body(Body::Link(status));
                }
            }
            DoorEvent::Usage(usage) => {
                let venue_ns = self.venue_ns(now);
                self.budgets.learn(usage, venue_ns);
            }
            DoorEvent::Blocked { reason, until_ns } => self.budgets.block(reason, until_ns),
        }
    }

    /// A fact passes by on the line. Those that began here as replies come back and change nothing.
    pub(super) fn on_fact(&mut self, fact: &Fact, now: Now) {
        match &fact.body {
            Body::Order(update) => self.on_update(update, now),
            Body::ClockOffset(offset) => self.offset_ns = offset.offset_ns,
            Body::Link(status) => self.upkeep.link_changed(status, now),
            Body::Command(command) => self.upkeep.command(command, now),
            _ => {}
        }
    }

    fn on_update(&mut self, update: &OrderUpdate, now: Now) {
        if update.snapshot {
            self.upkeep.listed(update.instrument, update.state);
        }
        let generation = self.upkeep.generation();
        let Some(folded) = self.table.fold(update) else { return };
        if folded.opened {
            self.upkeep.order_opened(update.instrument);
        }
        self.table.change(update.client, |live| {
            live.listed = if update.snapshot { generation } else { live.listed };
            live.inquiry.is_absent_by_list = false;
            live.inquiry.is_absent_by_query = false;
            // The venue has spoken: the question is answered, unless it was about a cancel that the order outlived.
            if update.snapshot || live.state != OrderState::Unknown {
                live.inquiry.is_wanted = folded.conflict;
                live.inquiry.asked_mono_ns = None;
                live.inquiry.pause_ns = 0;
            }
        });
        if folded.conflict {
            self.ask_about(update.client, now);
        }
    }

    fn on_reply(&mut self, reply: &Reply, now: Now, ticks: u64) {
        let client = reply.client;
        match (reply.kind, reply.cancel) {
            (ReplyKind::Absent, _) => return self.on_absent(reply, now),
            (ReplyKind::Accepted, false) => {
                self.table.on(client, OrderEvent::Acknowledge);
                let written = self.table.change(client, |live| {
                    live.is_confirmed = true;
                    if reply.venue_order.0 != 0 {
                        live.venue_order = reply.venue_order;
                    }
                    core::mem::take(&mut live.written_ticks)
                });
                if let Some(written) = written.filter(|&w| w != 0) {
                    self.outbox.sample(Metric::Acknowledge, ticks.saturating_sub(written));
                }
                if let Some(instrument) = self.table.get(client).map(|live| live.instrument) {
                    self.upkeep.order_opened(instrument);
                }
            }
            (ReplyKind::Accepted, true) => {
                self.table.on(client, OrderEvent::Cancelled);
            }
            (ReplyKind::Rejected, false) => {
                self.table.on(client, OrderEvent::Reject);
                if self.table.get(client).is_some_and(|live| live.state == OrderState::Unknown) {
                    self.ask_about(client, now);
                }
            }
            (ReplyKind::Rejected, true) => {
                // "Unknown order" does not say how it ended; any other refusal leaves a cancel owed.
                self.table.on(client, OrderEvent::CancelRefused);
                self.owe_cancel(client, now);
            }
            (ReplyKind::Unknown, false) => {
                self.unknowns += 1;
                self.table.on(client, OrderEvent::Lose);
                self.ask_about(client, now);
            }
            (ReplyKind::Unknown, true) => {
                self.unknowns += 1;
                self.owe_cancel(client, now);
            }
            (ReplyKind::Sent | ReplyKind::NotSent | ReplyKind::NothingOpen, _) => {}
        }
        self.outbox.body(Body::Reply(*reply));
    }

    fn owe_cancel(&mut self, client: ClientOrderId, now: Now) {
        self.table.change(client, |live| live.is_cancel_owed = live.may_be_open());
        self.ask_about(client, now);
    }

    /// The venue must be asked about an order, soon, and until it answers.
    pub(super) fn ask_about(&mut self, client: ClientOrderId, now: Now) {
        let first_ns = self.config.query_first_ns;
        self.table.change(client, |live| {
            if !live.state.is_terminal() && !live.inquiry.is_wanted {
                live.inquiry.is_wanted = true;
                live.inquiry.next_mono_ns = now.mono_ns;
                live.inquiry.pause_ns = first_ns;
            }
        });
    }

    /// "No such order" proves absence only when it was asked past the watermark, and by two sources (F7). Until then it is
    /// not passed on: [`ReplyKind::Absent`] on the line means proved.
    fn on_absent(&mut self, reply: &Reply, now: Now) {
        let settle_ns = self.config.recv_window_ns + self.config.absent_settle_ns;
        self.table.change(reply.client, |live| {
            live.inquiry.asked_mono_ns = None;
            live.inquiry.is_absent_by_query |= live.inquiry.asked_ns > live.written_ns + settle_ns;
        });
        if !self.settle_absent(reply.client) {
            let Some(live) = self.table.get(reply.client) else { return };
            if live.inquiry.is_absent_by_query && !live.inquiry.is_absent_by_list {
                self.upkeep.listing.want(now);
            }
        }
    }

    /// Ends an order that both sources deny. One that the venue had confirmed can't be absent: it stays unknown, frozen and
    /// asked about, and a person must look.
    fn settle_absent(&mut self, client: ClientOrderId) -> bool {
        let Some(&live) = self.table.get(client) else { return false };
        let is_proved = live.inquiry.is_absent_by_query
            && live.inquiry.is_absent_by_list
            && !live.is_confirmed
            && live.state == OrderState::Unknown;
        if is_proved {
            self.table.on(client, OrderEvent::ProvedAbsent);
            self.outbox.reply(ReplyKind::Absent, false, (client, live.instrument), Reason::VenueReject);
        }
        is_proved
    }

    /// A list of everything open is complete: what it left out is not open, if it was asked for late enough.
    fn listing_ends(&mut self, count: usize, now: Now) {
        let Some(asked_ns) = self.upkeep.listing_ended(count, now) else { return };
        let generation = self.upkeep.generation();
        let (arrival_ns, settle_ns) =
            (self.config.recv_window_ns + ARRIVAL_MARGIN_NS, self.config.absent_settle_ns);
        let mut absent: [ClientOrderId; 16] = [ClientOrderId::NONE; 16];
        let mut found = 0;
        self.table.change_pending(|live| {
            if live.listed == generation || !live.state.may_be_open() {
                return;
            }
            if !live.is_confirmed && asked_ns <= live.written_ns + arrival_ns {
                return; // it may still arrive
            }
            live.is_gone = true;
            live.is_cancel_owed = false;
            if asked_ns > live.written_ns + arrival_ns + settle_ns {
                live.inquiry.is_absent_by_list = true;
                if found < absent.len() {
                    absent[found] = live.client;
                    found += 1;
                }
            }
            if !live.inquiry.is_wanted {
                live.inquiry.is_wanted = true;
                live.inquiry.next_mono_ns = now.mono_ns;
            }
        });
        for client in &absent[..found] {
            self.settle_absent(*client);
        }
    }

    /// Whether a list that was asked for at `asked_ns` and named nothing proves that nothing is open: no order of ours can
    /// still arrive after it.
    pub(super) fn proves_silence(&self, asked_ns: i64) -> bool {
        let arrival_ns = self.config.recv_window_ns + ARRIVAL_MARGIN_NS;
        let may_arrive =
            |live: &Live| live.may_be_open() && !live.is_confirmed && asked_ns <= live.written_ns + arrival_ns;
        !self.table.iter().any(may_arrive)
    }

    /// An approved order does not leave.
    #[cold]
    pub(super) fn withhold(&mut self, order: &crate::event::Order, reason: Reason, now: Now) {
        self.outbox.note(NoteKind::Withheld, reason, order.client, 0, now);
        self.not_sent(order, reason);
    }

    /// Tells signal and risk, as a fact, that an order did not leave.
    pub(super) fn not_sent(&mut self, order: &crate::event::Order, reason: Reason) {
        use crate::event::Action;
        let (client, cancel) = match order.action {
            Action::Cancel { target } => (target, true),
            Action::CancelAll => (ClientOrderId::NONE, true),
            Action::Place(_) | Action::Replace { .. } => (order.client, false),
        };
        self.outbox.reply(ReplyKind::NotSent, cancel, (client, order.instrument), reason);
    }
}

/// Beyond the receive window: the venue's own queue behind its check, and the error of our estimate of its clock.
const ARRIVAL_MARGIN_NS: i64 = crate::types::time::NS_PER_S;
