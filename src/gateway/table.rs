//! The live-order table: every order of ours that may stand at the venue, and those that ended lately, for late messages.
//!
//! A fixed number of slots, no allocation. An order that may be open is never evicted; one that ended gives its slot up
//! when another needs it, the longest-ended first. The states are those of [`OrderState`], and every change goes through its
//! total table.

use crate::event::OrderUpdate;
use crate::limits::{ORDER_SLOTS, ORDERS_OPEN_MAX};
use crate::types::order::{OrderEvent, OrderState, Transition};
use crate::types::{ClientOrderId, InstrumentId, Qty, VenueOrderId};

/// Slots that share a hash: looked through together, first and foremost without another cache miss.
const WAYS: usize = 16;
const SETS: usize = ORDER_SLOTS / WAYS;
const _: () = assert!(SETS * WAYS == ORDER_SLOTS && SETS.is_power_of_two());

/// Asking the venue what became of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Inquiry {
    /// Whether an answer is needed.
    pub is_wanted: bool,
    /// A query is under way since then (monotonic).
    pub asked_mono_ns: Option<i64>,
    /// When the one under way was asked (wall clock): evidence counts only from after the watermark.
    pub asked_ns: i64,
    /// Not before then (monotonic).
    pub next_mono_ns: i64,
    /// The pause that comes after the next query.
    pub pause_ns: i64,
    /// The venue said, past the watermark, that it has no such order ...
    pub is_absent_by_query: bool,
    /// ... and left it out of the list of what is open.
    pub is_absent_by_list: bool,
}

/// One order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Live {
    /// Our id; `NONE` marks a slot that was never used.
    pub client: ClientOrderId,
    /// Of what.
    pub instrument: InstrumentId,
    /// Where it stands.
    pub state: OrderState,
    /// The order's quantity; zero while it is not known (an order of an earlier boot, told by a fill).
    pub qty: Qty,
    /// Filled so far.
    pub filled: Qty,
    /// The venue's id, 0 while unknown.
    pub venue_order: VenueOrderId,
    /// When the placing request was written; 0 for an order of an earlier boot.
    pub written_ns: i64,
    /// Raw ticks of the same moment, for measuring.
    pub written_ticks: u64,
    /// The venue has spoken of it: it arrived.
    pub is_confirmed: bool,
    /// A cancel was wanted and did not succeed: it is sent again if the order turns out to live.
    pub is_cancel_owed: bool,
    /// A list of everything open, asked for when the order could no longer arrive, did not have it: it is not open,
    /// though how it ended is still to be asked.
    pub is_gone: bool,
    /// The listing that last named it.
    pub listed: u32,
    /// Asking about it.
    pub inquiry: Inquiry,
    /// When it ended: a count of endings, the smallest goes first.
    ended: u64,
}

impl Live {
    /// A new order that risk approved.
    pub fn approved(client: ClientOrderId, instrument: InstrumentId, qty: Qty) -> Self {
        Self { client, instrument, qty, state: OrderState::Approved, ..Self::EMPTY }
    }

    const EMPTY: Self = Self {
        client: ClientOrderId::NONE,
        instrument: InstrumentId(0),
        state: OrderState::NotSent,
        qty: Qty::ZERO,
        filled: Qty::ZERO,
        venue_order: VenueOrderId(0),
        written_ns: 0,
        written_ticks: 0,
        is_confirmed: false,
        is_cancel_owed: false,
        is_gone: false,
        listed: 0,
        inquiry: Inquiry {
            is_wanted: false,
            asked_mono_ns: None,
            asked_ns: 0,
            next_mono_ns: 0,
            pause_ns: 0,
            is_absent_by_query: false,
            is_absent_by_list: false,
        },
        ended: 0,
    };

    /// Whether it may stand in the venue's book.
    pub const fn may_be_open(&self) -> bool {
        self.state.may_be_open() && !self.is_gone
    }
}

/// Why an order found no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableError {
    /// The id is there already: it would be a second order with the first one's name.
    Duplicate,
    /// Too many orders may be open.
    Full,
}

/// What a fold of the venue's word did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Folded {
    /// The order came (back) into the venue's book, as far as we know.
    pub opened: bool,
    /// The word contradicts what was known.
    pub conflict: bool,
}

/// The table.
#[derive(Debug)]
pub struct OrderTable {
    slots: Box<[Live]>,
    may_be_open: usize,
    wanted: usize,
    endings: u64,
    /// Whether an order ever had to go to another set than its own, so that a miss must look everywhere.
    has_strays: bool,
}

impl Default for OrderTable {
    fn default() -> Self {
        Self {
            slots: vec![Live::EMPTY; ORDER_SLOTS].into_boxed_slice(),
            may_be_open: 0,
            wanted: 0,
            endings: 0,
            has_strays: false,
        }
    }
}

impl OrderTable {
    /// How many orders may stand in the venue's book.
    pub const fn may_be_open(&self) -> usize {
        self.may_be_open
    }

    /// Orders that the venue must be asked about.
    pub const fn wanted(&self) -> usize {
        self.wanted
    }

    /// All slots in use, by slot.
    pub fn iter(&self) -> impl Iterator<Item = &Live> {
        self.slots.iter().filter(|live| live.client != ClientOrderId::NONE)
    }

    /// An order.
    #[inline]
    pub fn get(&self, client: ClientOrderId) -> Option<&Live> {
        self.find(client).map(|at| &self.slots[at])
    }

    /// Enters a new order of this boot.
    pub fn insert(&mut self, live: Live) -> Result<(), TableError> {
        if self.find(live.client).is_some() {
            return Err(TableError::Duplicate);
        }
        if self.may_be_open >= ORDERS_OPEN_MAX {
            return Err(TableError::Full);
        }
        self.place(live)
    }

    /// Changes an order; the table's counts follow.
    pub fn change<R>(&mut self, client: ClientOrderId, with: impl FnOnce(&mut Live) -> R) -> Option<R> {
        let at = self.find(client)?;
        Some(self.change_at(at, with))
    }

    /// Changes every order that may be open or is asked about.
    pub fn change_pending(&mut self, mut with: impl FnMut(&mut Live)) {
        for at in 0..self.slots.len() {
            if self.slots[at].state.may_be_open() || self.slots[at].inquiry.is_wanted {
                self.change_at(at, &mut with);
            }
        }
    }

    /// An event of the order's life. `None`: it is not known here.
    pub fn on(&mut self, client: ClientOrderId, event: OrderEvent) -> Option<Transition> {
        self.change(client, |live| step(live, event))
    }

    /// The venue speaks of an order. One that is ours by its name but not known here (an earlier boot's) is adopted
    /// while it may be open. `None`: nothing to do with us.
    pub fn fold(&mut self, update: &OrderUpdate) -> Option<Folded> {
        if update.client == ClientOrderId::NONE {
            return None;
        }
        let at = match self.find(update.client) {
            Some(at) => at,
            None if update.state.may_be_open() => self.adopt(update)?,
            None => return None,
        };
        Some(self.change_at(at, |live| fold(live, update)))
    }

    fn adopt(&mut self, update: &OrderUpdate) -> Option<usize> {
        let qty = if update.trade.0 == 0 { update.qty } else { Qty::ZERO };
        let live = Live {
            state: OrderState::Unknown, // the fold makes of it what the venue says
            ..Live::approved(update.client, update.instrument, qty)
        };
        // A table with no slot for it is the one thing that an adopted order can't survive; `Full` can't happen while
        // the orders of one account are within the venue's own bound.
        self.place(live).ok()?;
        self.find(update.client)
    }

    fn place(&mut self, live: Live) -> Result<(), TableError> {
        let home = set_of(live.client);
        for hop in 0..SETS {
            let set = (home + hop) % SETS;
            let slots = &self.slots[set * WAYS..(set + 1) * WAYS];
            let free = slots
                .iter()
                .enumerate()
                .filter(|(_, slot)| slot.state.is_terminal() && !slot.inquiry.is_wanted)
                .min_by_key(|(_, slot)| slot.ended)
                .map(|(way, _)| set * WAYS + way);
            if let Some(at) = free {
                self.has_strays |= hop > 0;
                self.slots[at] = live;
                self.may_be_open += usize::from(live.may_be_open());
                return Ok(());
            }
        }
        Err(TableError::Full)
    }

    #[inline]
    fn find(&self, client: ClientOrderId) -> Option<usize> {
        if client == ClientOrderId::NONE {
            return None;
        }
        let home = set_of(client) * WAYS;
        if let Some(way) = self.slots[home..home + WAYS].iter().position(|slot| slot.client == client) {
            return Some(home + way);
        }
        if self.has_strays { self.slots.iter().position(|slot| slot.client == client) } else { None }
    }

    fn change_at<R>(&mut self, at: usize, with: impl FnOnce(&mut Live) -> R) -> R {
        let live = &mut self.slots[at];
        let (was_open, was_wanted, was_terminal) =
            (live.may_be_open(), live.inquiry.is_wanted, live.state.is_terminal());
        let result = with(live);
        if live.state.is_terminal() && !was_terminal {
            self.endings += 1;
            live.ended = self.endings;
            live.inquiry = Inquiry::default();
            live.is_cancel_owed = false;
        }
        self.may_be_open = self.may_be_open + usize::from(live.may_be_open()) - usize::from(was_open);
        self.wanted = self.wanted + usize::from(live.inquiry.is_wanted) - usize::from(was_wanted);
        result
    }
}

/// Consecutive counters go to consecutive sets.
const fn set_of(client: ClientOrderId) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "masked to the number of sets")]
    let low = (client.0 ^ (client.0 >> ClientOrderId::COUNTER_BITS)) as usize;
    low & (SETS - 1)
}

fn step(live: &mut Live, event: OrderEvent) -> Transition {
    let transition = live.state.on(event);
    match transition {
        Transition::To(state) | Transition::Conflict(state) => live.state = state,
        Transition::Stays => {}
    }
    transition
}

fn fold(live: &mut Live, update: &OrderUpdate) -> Folded {
    let before = live.state;
    let mut conflict = false;
    let mut apply = |live: &mut Live, event| {
        conflict |= matches!(step(live, event), Transition::Conflict(_));
    };
    if update.venue_order.0 != 0 {
        live.venue_order = update.venue_order;
    }
    if live.qty.is_zero() && update.trade.0 == 0 {
        live.qty = update.qty;
    }
    live.is_confirmed = true;
    // Fills are folded by their running total: a repeated or trailing update adds nothing.
    if update.filled > live.filled {
        live.filled = update.filled;
        apply(live, OrderEvent::Fill { done: update.state == OrderState::Filled });
    }
    match update.state {
        OrderState::Acknowledged | OrderState::PartiallyFilled => apply(live, OrderEvent::Acknowledge),
        OrderState::Filled if live.state != OrderState::Filled => {
            apply(live, OrderEvent::Fill { done: true });
        }
        OrderState::Cancelled => apply(live, OrderEvent::Cancelled),
        OrderState::Rejected => apply(live, OrderEvent::Reject),
        OrderState::Expired => apply(live, OrderEvent::Expire),
        _ => {}
    }
    let is_open = update.state.may_be_open();
    if is_open {
        live.is_gone = false;
    }
    let opened = is_open && live.state.may_be_open() && !matches!(before, OrderState::Acknowledged);
    Folded { opened, conflict }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AssetId, Price, Side, TradeId};

    fn update(client: ClientOrderId, state: OrderState, filled: i64) -> OrderUpdate {
        OrderUpdate {
            instrument: InstrumentId(0),
            side: Side::Buy,
            state,
            snapshot: false,
            maker: false,
            fee_asset: AssetId::UNKNOWN,
            client,
            venue_order: VenueOrderId(9),
            trade: TradeId(0),
            price: Price::from_units(1),
            qty: Qty::from_units(10),
            filled: Qty::from_units(filled),
            fee: Qty::ZERO,
            venue_ns: 0,
        }
    }

    fn sent(table: &mut OrderTable, client: ClientOrderId) {
        table.insert(Live::approved(client, InstrumentId(0), Qty::from_units(10))).expect("room");
        table.on(client, OrderEvent::Send).expect("known");
    }

    #[test]
    fn an_open_order_is_never_evicted_and_the_longest_ended_goes_first() {
        let mut table = OrderTable::default();
        let kept = ClientOrderId::new(1, 1);
        sent(&mut table, kept);
        for counter in 2..20_000 {
            let client = ClientOrderId::new(1, counter);
            sent(&mut table, client);
            assert_eq!(table.may_be_open(), 2);
            table.fold(&update(client, OrderState::Filled, 10)).expect("known");
        }
        assert!(table.get(kept).is_some_and(Live::may_be_open));
        let late = ClientOrderId::new(1, 19_999 - 500);
        assert!(table.get(late).is_some(), "those that ended lately are still known");
        assert_eq!(table.insert(Live::approved(kept, InstrumentId(0), Qty::ZERO)), Err(TableError::Duplicate));
    }

    #[test]
    fn open_orders_are_bounded_even_when_they_share_a_set() {
        let mut table = OrderTable::default();
        for n in 0..ORDERS_OPEN_MAX as u64 {
            sent(&mut table, ClientOrderId::new(1, 1 + n * SETS as u64));
        }
        let one_more = ClientOrderId::new(1, 5);
        let refused = table.insert(Live::approved(one_more, InstrumentId(0), Qty::ZERO));
        assert_eq!(refused, Err(TableError::Full));
        assert!((0..ORDERS_OPEN_MAX as u64).all(|n| table.get(ClientOrderId::new(1, 1 + n * SETS as u64)).is_some()));
    }

    #[test]
    fn f6_orders_of_an_earlier_boot_are_adopted_and_foreign_ones_are_not() {
        let mut table = OrderTable::default();
        let old = ClientOrderId::new(1, 77);
        assert!(table.fold(&update(old, OrderState::PartiallyFilled, 4)).is_some_and(|f| f.opened));
        assert_eq!(table.may_be_open(), 1);
        assert_eq!(table.fold(&update(ClientOrderId::NONE, OrderState::Acknowledged, 0)), None);
        assert_eq!(table.fold(&update(ClientOrderId::new(1, 78), OrderState::Filled, 10)), None);
        assert_eq!(table.may_be_open(), 1);
    }

    #[test]
    fn repeated_and_trailing_words_change_nothing() {
        let mut table = OrderTable::default();
        let client = ClientOrderId::new(1, 1);
        sent(&mut table, client);
        let fill = update(client, OrderState::Filled, 10);
        assert_eq!(table.fold(&fill), Some(Folded { opened: false, conflict: false }));
        for trailing in [fill, update(client, OrderState::PartiallyFilled, 4), update(client, OrderState::Acknowledged, 0)] {
            assert_eq!(table.fold(&trailing), Some(Folded { opened: false, conflict: false }));
            assert_eq!(table.get(client).map(|l| l.state), Some(OrderState::Filled));
        }
        // Fill before acknowledgement (F17), cancel before the last fill: the fill is booked and told.
        let other = ClientOrderId::new(1, 2);
        sent(&mut table, other);
        table.fold(&update(other, OrderState::Cancelled, 0)).expect("known");
        assert_eq!(table.fold(&update(other, OrderState::Filled, 10)).map(|f| f.conflict), Some(true));
    }
}
