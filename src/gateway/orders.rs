//! The live orders: the ledger that all stages share, with what the gateway keeps beside each order to find out how those end
//! of which the venue has not told.

use crate::event::ledger::tracked;
use crate::event::{CarriedOrder, Change, Ledger, Order, OrderSpec, OrderUpdate, Reply, Tracked};
use crate::limits::ORDERS_OPEN_MAX;
use crate::types::{ClientOrderId, OrderState};

/// Asking the venue what became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a piece of evidence of its own")]
pub struct Inquiry {
    /// Whether an answer is needed.
    pub is_wanted: bool,
    /// A query is under way since then (monotonic).
    pub asked_mono_ns: Option<i64>,
    /// When the first one without an answer was asked (wall clock): evidence counts only from after the watermark.
    pub asked_ns: i64,
    /// Not before then (monotonic).
    pub next_mono_ns: i64,
    /// The pause before the next query.
    pub pause_ns: i64,
    /// The venue said, when the order could no longer arrive, that it has no such order. That ends nothing: a replica may lag.
    pub is_denied: bool,
    /// The venue said, past the watermark, that it has no such order ...
    pub is_absent_by_query: bool,
    /// ... and left it out of a list of what is open.
    pub is_absent_by_list: bool,
}

/// What the gateway keeps beside an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Extra {
    /// When the placing request was written; 0 for an order of an earlier boot.
    pub written_ns: i64,
    /// Raw ticks of the same moment, for measuring; 0 once measured.
    pub written_ticks: u64,
    /// The venue has spoken of it: it arrived.
    pub is_confirmed: bool,
    /// A cancel was wanted and did not succeed: it is sent again if the order turns out to live.
    pub is_cancel_owed: bool,
    /// A list of everything open, asked for when the order could no longer arrive, did not have it: it is not open, though how
    /// it ended is still to be asked.
    pub is_gone: bool,
    /// The listing that last named it.
    pub listed: u32,
    /// Asking about it.
    pub inquiry: Inquiry,
}

/// One live order.
pub type Live = Tracked<Extra>;

/// Whether an order may stand in the venue's book.
pub const fn may_be_open(live: &Live) -> bool {
    live.state.may_be_open() && !live.extra.is_gone
}

/// Whether an order needs no answer before a reconcile may balance. Either its state is the venue's word; or its outcome is
/// unknown, the venue has never spoken of it, and when it could no longer arrive both a query and a list of everything open
/// had it not. Such an order has not ended (F7): it counts as full exposure, its instrument stays frozen, and it is asked about
/// until the venue's word can be believed. Only the rest of the engine need not wait for that.
pub const fn is_accounted(live: &Live) -> bool {
    let extra = &live.extra;
    if matches!(live.state, OrderState::Unknown) {
        return !extra.is_confirmed && extra.is_gone && extra.inquiry.is_denied;
    }
    !extra.inquiry.is_wanted && extra.is_confirmed
}

/// All of them.
#[derive(Debug)]
pub struct Orders {
    ledger: Ledger<Extra>,
    /// Reused by walks that change what they walk over.
    walk: Vec<ClientOrderId>,
}

impl Default for Orders {
    fn default() -> Self {
        Self { ledger: Ledger::default(), walk: Vec::with_capacity(ORDERS_OPEN_MAX) }
    }
}

impl Orders {
    /// Those that have not ended, by entry.
    pub fn iter(&self) -> impl Iterator<Item = &Live> {
        self.ledger.open()
    }

    /// How many may stand in the venue's book.
    pub fn may_be_open(&self) -> usize {
        self.iter().filter(|live| may_be_open(live)).count()
    }

    /// One.
    #[inline]
    pub fn get(&self, client: ClientOrderId) -> Option<&Live> {
        self.ledger.get(client)
    }

    /// Whether another finds no room.
    pub const fn is_full(&self) -> bool {
        self.ledger.is_full()
    }

    /// Enters an order of ours before it is written. `false`: no room, or its id is there already.
    #[inline]
    pub fn enter(&mut self, order: &Order, spec: &OrderSpec) -> bool {
        let live = tracked(order.client, order.instrument, order.strategy, spec, Extra::default());
        let live = Tracked { state: OrderState::Approved, reduce_only: order.reduce_only, ..live };
        self.ledger.enter(live).is_ok()
    }

    /// Enters an order of an earlier boot. `false`: no room.
    pub fn carry(&mut self, order: &CarriedOrder) -> bool {
        let is_confirmed = order.venue_order.0 != 0 || !order.filled.is_zero();
        let extra = Extra { written_ns: order.placed_ns, is_confirmed, ..Extra::default() };
        self.ledger.carry(order, extra).is_ok()
    }

    /// The venue speaks of an order. `None`: not ours, or no room to adopt it.
    pub fn on_update(&mut self, update: &OrderUpdate) -> Option<Change> {
        self.ledger.on_update(update)?.ok()
    }

    /// The answer to a request.
    pub fn on_reply(&mut self, reply: &Reply) -> Option<Change> {
        self.ledger.on_reply(reply)
    }

    /// The gateway's own part of an order.
    #[inline]
    pub fn extra_mut(&mut self, client: ClientOrderId) -> Option<&mut Extra> {
        self.ledger.extra_mut(client)
    }

    /// Visits every order that has not ended.
    pub fn for_each(&mut self, mut with: impl FnMut(&Live, &mut Extra)) {
        let mut walk = core::mem::take(&mut self.walk);
        walk.clear();
        walk.extend(self.ledger.open().map(|live| live.client));
        for &client in &walk {
            let Some(&live) = self.ledger.get(client) else { continue };
            if let Some(extra) = self.ledger.extra_mut(client) {
                with(&live, extra);
            }
        }
        self.walk = walk;
    }
}
