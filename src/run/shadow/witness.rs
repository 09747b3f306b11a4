//! What stands behind risk in shadow mode, in the place of a gateway: it takes what risk decided, notes that it went nowhere, and
//! tells the line so. It has no door, no link, no key and no request that it could make; this file and its neighbours may not
//! even name the rooms that have them (a test reads them).
//!
//! Towards the engine it does what a gateway does: it acknowledges halts, which are carried out at once because nothing can be
//! open, and reconciles, which balance for the same reason.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::agent::Agent;
use crate::agent::line_ring::Reader;
use crate::agent::ring::Producer;
use crate::event::command::ALL_INSTRUMENTS;
use crate::event::{
    Action, BalanceUpdate, Body, CommandKind, GatewayNote, NoteKind, Order, Record, Reply, ReplyKind,
};
use crate::limits::{LINE_BATCH_MAX, RETURN_RING_SLOTS};
use crate::risk::Output;
use crate::shared::{Counter, Counters, HaltLevel, HaltView, KillPage};
use crate::types::{AssetId, ClientOrderId, InstrumentId, Now, Qty, Reason, VenueOrderId};

/// The rings of the witness.
#[derive(Debug)]
pub struct WitnessRings {
    /// From risk.
    pub input: Reader<Output>,
    /// To feed.
    pub returns: Producer<Body>,
    /// To the journal.
    pub journal: Producer<Record>,
}

/// The agent.
#[derive(Debug)]
pub struct Witness {
    rings: WitnessRings,
    /// Facts-to-be that found the return ring full, kept in order. What risk decides is taken meanwhile, always: a full return
    /// ring would otherwise stop risk, signal and feed, which alone can empty it.
    waiting: VecDeque<Body>,
    page: Arc<KillPage>,
    counters: Arc<Counters>,
    seen: Option<(u64, HaltLevel)>,
    /// Assumed balances, told once.
    balances: Vec<(AssetId, Qty)>,
}

impl Witness {
    /// Behind risk; `balances` is the money that shadow assumes.
    pub fn new(
        rings: WitnessRings,
        (page, counters): (Arc<KillPage>, Arc<Counters>),
        balances: Vec<(AssetId, Qty)>,
    ) -> Self {
        let waiting = VecDeque::with_capacity(RETURN_RING_SLOTS);
        Self { rings, waiting, page, counters, seen: None, balances }
    }

    fn body(&mut self, body: Body) {
        if !self.waiting.is_empty() || self.rings.returns.push(body).is_err() {
            self.waiting.push_back(body);
        }
    }

    fn reply(&mut self, kind: ReplyKind, cancel: bool, on: (ClientOrderId, InstrumentId), reason: Reason) {
        let (client, instrument) = on;
        let (venue_code, venue_order, venue_ns) = (0, VenueOrderId(0), 0);
        self.body(Body::Reply(Reply {
            kind,
            cancel,
            instrument,
            reason,
            venue_code,
            client,
            venue_order,
            venue_ns,
        }));
    }

    /// A note in the journal. An engine that can't keep its record must not go on, in shadow as anywhere.
    fn note(&mut self, kind: NoteKind, reason: Reason, client: ClientOrderId, value: i64, now: Now) {
        let note = GatewayNote { kind, reason, client, value, at_ns: now.ns };
        if self.rings.journal.push(Record::Note(note)).is_err() {
            self.page.trip(HaltLevel::RiskOff, Reason::JournalFailed, now.ns);
        }
    }

    /// Tells the line that an order went nowhere.
    fn not_sent(&mut self, order: &Order, reason: Reason) {
        let (client, cancel) = match order.action {
            Action::Cancel { target } => (target, true),
            Action::CancelAll => (ClientOrderId::NONE, true),
            Action::Place(_) | Action::Replace { .. } => (order.client, false),
        };
        self.reply(ReplyKind::NotSent, cancel, (client, order.instrument), reason);
    }

    /// Nothing was ever sent, so nothing is open, whatever the halt asks for; and our record of orders, which is empty, is the
    /// venue's.
    fn obey(&mut self, view: HaltView, now: Now) {
        if self.seen == Some((view.epoch, view.level)) {
            return;
        }
        self.seen = Some((view.epoch, view.level));
        let (reason, _) = self.page.last_trip();
        self.note(NoteKind::HaltSeen, reason, ClientOrderId::NONE, i64::from(view.level as u8), now);
        self.page.set_seen(view.epoch);
        self.page.set_open_orders(0);
        if view.level >= HaltLevel::CancelAll {
            self.page.set_silent(view.epoch, now.ns);
            self.note(NoteKind::NothingOpen, Reason::None, ClientOrderId::NONE, 0, now);
            let all = (ClientOrderId::NONE, ALL_INSTRUMENTS);
            self.reply(ReplyKind::NothingOpen, true, all, Reason::None);
        }
        if view.is_tripped() {
            self.page.set_reconciled(view.epoch);
        }
    }

    fn take(&mut self, output: &Output, now: Now) {
        match output {
            Output::Approved { order, .. } => {
                let order = order.get();
                self.counters.add(Counter::GatewayWithheld, 1);
                self.counters.refuse(Reason::Shadow);
                self.note(NoteKind::Withheld, Reason::Shadow, order.client, 0, now);
                self.not_sent(order, Reason::Shadow);
            }
            Output::Refused { order, reason } => self.not_sent(order, *reason),
            Output::Fact(fact) => {
                if let Body::Command(command) = &fact.body
                    && command.kind == CommandKind::Reconcile
                {
                    let (epoch, _) = self.seen.unwrap_or((0, HaltLevel::RiskOff));
                    self.page.set_reconciled(epoch);
                }
            }
        }
    }
}

impl Agent for Witness {
    fn name(&self) -> &'static str {
        "witness"
    }

    fn poll(&mut self, now: Now) -> usize {
        self.obey(self.page.view(now), now);
        for (asset, free) in core::mem::take(&mut self.balances) {
            self.body(Body::Balance(BalanceUpdate { asset, free, locked: Qty::ZERO, venue_ns: now.ns }));
        }
        while let Some(&body) = self.waiting.front() {
            if self.rings.returns.push(body).is_err() {
                break;
            }
            self.waiting.pop_front();
        }
        for taken in 0..LINE_BATCH_MAX {
            let Some(output) = self.rings.input.pop() else { return taken };
            self.take(&output, now);
        }
        LINE_BATCH_MAX
    }
}
