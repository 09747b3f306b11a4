//! What risk knows: the fold of the facts and of its own approvals. No check writes here, and nothing here decides.
//!
//! Exposure is `value held + value of every order that may still be filled`, in the session's one quote currency. An order
//! enters it when it is approved, at its full value; it leaves by facts only: fills turn it into a position, an end
//! releases the rest, and an unknown outcome keeps it in full. Reduce-only orders add none: together with every other
//! working order on their side they never exceed the position, which the `reducing` check sees to.

use crate::event::command::ALL_INSTRUMENTS;
use crate::event::fact::LinkId;
use crate::event::ledger::tracked;
use crate::event::{
    Body, CarriedPosition, Carry, Change, Command, CommandKind, Fact, Fill, Intent, Layers, Ledger,
    OrderSpec, OrderUpdate, Quote, Reply, ReplyKind, Tracked,
};
use crate::limits::ASSETS_MAX;
use crate::types::{
    AssetId, Cash, ClientOrderId, Instrument, InstrumentId, InstrumentTable, Level, OrderState, Position,
    Price, Qty, Reason, Side, StrategyId, TradeId,
};

use super::config::{RiskConfig, RiskConfigError};
use super::limits::Lately;
use super::limits::checks::is_decision;
use super::throttle::{Bucket, Likeness, Recent};

/// The limits in the units that checks compare.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) exposure_max: Cash,
    pub(super) open_positions_max: usize,
    pub(super) open_orders_max: usize,
    pub(super) reference_age_max_ns: i64,
    pub(super) book_age_max_ns: i64,
    pub(super) market_age_max_ns: i64,
    pub(super) clock_offset_max_ns: i64,
    pub(super) clock_age_max_ns: i64,
    pub(super) duplicate_window_ns: i64,
}

/// What an order holds while it may be filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reserve {
    /// Price that its value is computed with; zero for an adopted order, which has only its own.
    price: Price,
    /// Whose position it changes.
    owner: StrategyId,
    /// Its part of the total exposure.
    exposure: Cash,
    /// What it may still fill.
    open: Qty,
    /// What it may still take of the asset that pays for it: quote for buys, base for sells, in units of `1e-8`.
    committed: i64,
    /// Whether it counts among the instrument's orders.
    live: bool,
    /// Whether its outcome is unknown.
    unknown: bool,
    /// Whether it is an entry that waits for its first fill.
    pending: bool,
}

/// One instrument.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) instrument: Instrument,
    pub(super) allowed: bool,
    pub(super) qty_max: Option<Qty>,
    pub(super) book_valid: bool,
    pub(super) book_ns: i64,
    pub(super) bid: Level,
    pub(super) ask: Level,
    pub(super) quote_ns: i64,
    pub(super) market_ns: i64,
    /// Frozen until the operator lifts it: a command, a conflict, an overfill.
    pub(super) frozen: Option<Reason>,
    /// Orders whose outcome is not known: each freezes the instrument until the venue answers.
    pub(super) unknown: u32,
    /// Orders that may be open.
    pub(super) orders: u32,
    /// What working buys may still fill ...
    pub(super) buys: Qty,
    /// ... and working sells.
    pub(super) sells: Qty,
    /// Our best working bid; zero = none.
    pub(super) own_bid: Price,
    /// Our best working ask; zero = none.
    pub(super) own_ask: Price,
    pub(super) position: Position,
    /// The position's part of the total exposure.
    held: Cash,
}

/// One asset.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Balance {
    /// Whether the venue has told since the account link was last lost.
    pub(super) known: bool,
    free: i64,
    locked: i64,
    venue_ns: i64,
    /// Spent by fills that the venue's last word did not include yet.
    spent: i64,
    spent_ns: i64,
    /// What working orders may still take.
    committed: i128,
}

impl Balance {
    /// Everything of it, ours to use or not.
    pub(super) const fn total(&self) -> i64 {
        self.free.saturating_add(self.locked)
    }
    /// What another order may take. Of what the venue shows as locked only our own orders' part is ours to reckon with;
    /// they are then taken off as a whole, seen by the venue or not.
    pub(super) fn available(&self) -> i128 {
        let own_locked = i128::from(self.locked).min(self.committed);
        i128::from(self.free) + own_locked - i128::from(self.spent) - self.committed
    }
}

#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) limits: Limits,
    pub(super) slots: Vec<Slot>,
    pub(super) ledger: Ledger<Reserve>,
    pub(super) balances: Box<[Balance]>,
    /// Sum of all reserves and holdings, in cash units. Wide, so that a saturated part can be taken out again exactly.
    exposure: i128,
    pub(super) now_ns: i64,
    /// Bound of the venue clock's distance, and when it was measured.
    pub(super) clock: Option<(i64, i64)>,
    pub(super) bucket: Bucket,
    pub(super) recent: Recent,
    pub(super) stopping: bool,
    /// The limits that look beyond the single order.
    pub(super) lately: Lately,
    pub(super) layers: Layers,
}

const MS: i64 = crate::types::time::NS_PER_MS;

impl State {
    pub(super) fn new(
        config: &RiskConfig,
        table: &InstrumentTable,
        allowed: &[InstrumentId],
    ) -> Result<Self, RiskConfigError> {
        config.check()?;
        config.check_symbols(|symbol| table.find(symbol.as_bytes()).is_some())?;
        if let [first, rest @ ..] = table.all()
            && let Some(other) = rest.iter().find(|i| i.quote != first.quote)
        {
            return Err(RiskConfigError::QuoteMismatch { first: first.symbol, second: other.symbol });
        }
        let slot = |instrument: &Instrument| Slot {
            instrument: *instrument,
            allowed: allowed.contains(&instrument.id),
            qty_max: config.order_qty_max.get(instrument.symbol.as_str()).copied(),
            book_valid: false,
            book_ns: 0,
            bid: Level::default(),
            ask: Level::default(),
            quote_ns: 0,
            market_ns: 0,
            frozen: None,
            unknown: 0,
            orders: 0,
            buys: Qty::ZERO,
            sells: Qty::ZERO,
            own_bid: Price::ZERO,
            own_ask: Price::ZERO,
            position: Position::default(),
            held: Cash::ZERO,
        };
        Ok(Self {
            limits: limits(config),
            slots: table.all().iter().map(slot).collect(),
            ledger: Ledger::default(),
            balances: vec![Balance::default(); ASSETS_MAX].into_boxed_slice(),
            exposure: 0,
            now_ns: 0,
            clock: None,
            bucket: Bucket::new(config.messages_per_s, config.messages_burst),
            recent: Recent::new(),
            stopping: false,
            lately: Lately::new(config, table)?,
            layers: Layers::new(&config.layers, table.all().len()),
        })
    }

    /// The total exposure; at the end of its range when it left it.
    pub(super) fn exposure(&self) -> Cash {
        Cash::from_units(i64::try_from(self.exposure).unwrap_or(i64::MAX))
    }

    /// How many instruments have a position or an order that could open one.
    pub(super) fn occupied(&self) -> usize {
        self.slots.iter().filter(|slot| slot.is_occupied()).count()
    }

    pub(super) fn on_fact(&mut self, fact: &Fact) {
        self.now_ns = fact.recv_ns;
        self.lately.on_time(fact.recv_ns);
        self.layers.on_time(fact.recv_ns);
        match &fact.body {
            Body::Quote(quote) => self.on_quote(quote),
            Body::Trade(trade) => self.touch(trade.instrument),
            Body::Depth(depth) => {
                let now_ns = self.now_ns;
                if let Some(slot) = self.slots.get_mut(depth.instrument.index()) {
                    slot.market_ns = now_ns;
                    // A book is only as fresh as its last complete update.
                    if depth.last {
                        slot.book_ns = now_ns;
                    }
                }
            }
            Body::BookStatus(status) => {
                if let Some(slot) = self.slots.get_mut(status.instrument.index()) {
                    slot.book_valid = status.valid;
                }
                self.lately.on_book_status(status.instrument, status.valid, self.now_ns);
            }
            Body::Link(link) if !link.up => self.on_link_down(link.link),
            Body::Order(update) => self.on_update(update),
            Body::Carried(order) => {
                match self.ledger.carry(order, Reserve { owner: order.strategy, ..Reserve::default() }) {
                    Ok(_) => self.reserve(order.client),
                    Err(_) => self.freeze(order.instrument, Reason::OrderTableFull),
                }
            }
            Body::Reply(reply) => self.on_reply(reply),
            Body::Balance(update) => {
                if let Some(balance) = self.balances.get_mut(update.asset.index()) {
                    balance.known = true;
                    balance.free = update.free.units();
                    balance.locked = update.locked.units();
                    balance.venue_ns = update.venue_ns;
                    if update.venue_ns >= balance.spent_ns {
                        balance.spent = 0;
                    }
                }
            }
            Body::Command(command) => self.on_command(command),
            Body::ClockOffset(offset) => {
                // Known to within half the round trip: the bound is the worst of it.
                let bound = offset
                    .offset_ns
                    .saturating_abs()
                    .saturating_add(offset.round_trip_ns.saturating_abs() / 2);
                self.clock = Some((bound, self.now_ns));
            }
            Body::Carry(carry) => self.on_carry(carry),
            Body::Timer => {
                let slots = &self.slots;
                // A price that did not change since is still the price; one of before a cut is not.
                let middle = |at: usize| slots.get(at).filter(|s| s.book_valid && s.quote_ns != 0)?.middle();
                self.lately.on_timer(fact.recv_ns, middle);
            }
            Body::Bar(_) | Body::Stop(_) | Body::Link(_) => {}
        }
    }

    fn touch(&mut self, instrument: InstrumentId) {
        let now_ns = self.now_ns;
        if let Some(slot) = self.slots.get_mut(instrument.index()) {
            slot.market_ns = now_ns;
        }
    }

    fn on_quote(&mut self, quote: &Quote) {
        let now_ns = self.now_ns;
        let Some(slot) = self.slots.get_mut(quote.instrument.index()) else { return };
        (slot.bid, slot.ask, slot.quote_ns, slot.market_ns) = (quote.bid, quote.ask, now_ns, now_ns);
        if let Some(middle) = slot.middle() {
            self.layers.on_middle(quote.instrument, middle, now_ns);
        }
        if !slot.position.qty.is_zero() {
            self.mark(quote.instrument);
        }
        self.lately.on_quote(quote, now_ns);
    }

    fn on_link_down(&mut self, link: LinkId) {
        match link {
            // What was seen before the cut says nothing of now.
            LinkId::Market => {
                for slot in &mut self.slots {
                    (slot.book_valid, slot.quote_ns, slot.market_ns, slot.book_ns) = (false, 0, 0, 0);
                }
                self.lately.on_market_cut(self.now_ns);
            }
            LinkId::Account => {
                for balance in &mut self.balances {
                    balance.known = false;
                }
            }
            // Requests without an answer become unknown one by one, as facts.
            LinkId::Orders => {}
        }
    }

    fn on_command(&mut self, command: &Command) {
        self.layers.on_command(command, self.now_ns);
        let concerns =
            |slot: &Slot| command.instrument == ALL_INSTRUMENTS || command.instrument == slot.instrument.id;
        match command.kind {
            CommandKind::Freeze => {
                for slot in self.slots.iter_mut().filter(|s| concerns(s)) {
                    slot.frozen = Some(Reason::Operator);
                }
            }
            CommandKind::Unfreeze => {
                for slot in self.slots.iter_mut().filter(|s| concerns(s)) {
                    slot.frozen = None;
                }
            }
            CommandKind::Stop => self.stopping = true,
            CommandKind::EnableStrategy | CommandKind::DisableStrategy => {
                let enable = command.kind == CommandKind::EnableStrategy;
                self.lately.repeat.on_switch(command.strategy, enable);
            }
            CommandKind::Tripped
            | CommandKind::Arm
            | CommandKind::Flatten
            | CommandKind::CancelAll
            | CommandKind::Reconcile
            | CommandKind::ResetEmergency => {}
        }
    }

    fn on_update(&mut self, update: &OrderUpdate) {
        match self.ledger.on_update(update) {
            None => {}
            Some(Ok(change)) => self.on_change(&change, update.trade, update.venue_ns),
            // An order that may be open and can't be kept: nothing may be added where it stands.
            Some(Err(_)) => self.freeze(update.instrument, Reason::OrderTableFull),
        }
    }

    fn on_reply(&mut self, reply: &Reply) {
        if let Some(change) = self.ledger.on_reply(reply) {
            self.on_change(&change, TradeId(0), reply.venue_ns);
            let refused = reply.kind == ReplyKind::Rejected && change.after == OrderState::Rejected;
            if refused
                && change.before != change.after
                && let Some(order) = self.ledger.get(change.client).filter(|order| !order.reduce_only)
            {
                self.lately.repeat.on_refusal(order.strategy, self.now_ns);
            }
        }
    }

    fn on_change(&mut self, change: &Change, trade: TradeId, venue_ns: i64) {
        if let Some(fill) = &change.fill {
            self.book(change.instrument, fill, venue_ns);
            let slot = self.slots.get(change.instrument.index());
            if let Some((slot, order)) = slot.zip(self.ledger.get(change.client)) {
                self.lately.on_fill(change, order, (&slot.position, &slot.instrument), self.now_ns);
                let owner = order.extra.owner;
                self.layers.on_change((change, trade), order, owner, &slot.instrument, self.now_ns);
            }
        }
        if change.overfill {
            self.freeze(change.instrument, Reason::Overfill);
        } else if change.conflict {
            self.freeze(change.instrument, Reason::ReconcileMismatch);
        }
        self.reserve(change.client);
    }

    fn freeze(&mut self, instrument: InstrumentId, reason: Reason) {
        if let Some(slot) = self.slots.get_mut(instrument.index()) {
            slot.frozen.get_or_insert(reason);
        }
    }

    fn book(&mut self, instrument: InstrumentId, fill: &Fill, venue_ns: i64) {
        let Some(slot) = self.slots.get_mut(instrument.index()) else { return };
        if fill.book(&mut slot.position, &slot.instrument).is_err() {
            self.freeze(instrument, Reason::Overflow);
            return;
        }
        let (asset, spent) = match fill.side {
            Side::Buy => (slot.instrument.quote, value(fill.price, fill.qty).units()),
            Side::Sell => (slot.instrument.base, fill.qty.units()),
        };
        if let Some(balance) = self.balances.get_mut(asset.index())
            && venue_ns > balance.venue_ns
        {
            balance.spent = balance.spent.saturating_add(spent);
            balance.spent_ns = balance.spent_ns.max(venue_ns);
        }
        self.mark(instrument);
    }

    /// Values a position anew: at the middle of the last quote, or at its own cost before there is one.
    fn mark(&mut self, instrument: InstrumentId) {
        let Some(slot) = self.slots.get_mut(instrument.index()) else { return };
        let price = slot.middle().or_else(|| slot.position.average_price()).unwrap_or_default();
        let held = value(price, slot.position.qty);
        let delta = i128::from(held.units()) - i128::from(slot.held.units());
        self.exposure += delta;
        slot.held = held;
        self.lately.on_exposure(instrument, delta);
    }

    /// Brings what an order holds in step with where it stands.
    fn reserve(&mut self, client: ClientOrderId) {
        let Some(order) = self.ledger.get(client) else { return };
        let Some(slot) = self.slots.get_mut(order.instrument.index()) else { return };
        let (side, before) = (order.side, order.extra);
        let after = reserve_of(order);
        let asset = paying_asset(&slot.instrument, side);
        let open = match side {
            Side::Buy => &mut slot.buys,
            Side::Sell => &mut slot.sells,
        };
        *open = Qty::from_units(
            open.units().saturating_sub(before.open.units()).saturating_add(after.open.units()),
        );
        slot.orders = slot.orders + u32::from(after.live) - u32::from(before.live);
        slot.unknown = slot.unknown + u32::from(after.unknown) - u32::from(before.unknown);
        let delta = i128::from(after.exposure.units()) - i128::from(before.exposure.units());
        self.exposure += delta;
        self.lately.on_exposure(order.instrument, delta);
        self.lately.repeat.on_pending(order.strategy, before.pending, after.pending);
        if let Some(balance) = self.balances.get_mut(asset.index()) {
            balance.committed += i128::from(after.committed) - i128::from(before.committed);
        }
        let instrument = slot.instrument.id;
        if let Some(extra) = self.ledger.extra_mut(client) {
            *extra = after;
        }
        self.find_own_best(instrument);
    }

    /// Our best working prices, for the self-trade check: on order facts, so that the check itself has nothing to search.
    fn find_own_best(&mut self, instrument: InstrumentId) {
        let (mut bid, mut ask) = (Price::ZERO, Price::ZERO);
        for order in self.ledger.open().filter(|o| o.instrument == instrument) {
            match order.side {
                Side::Buy => bid = bid.max(order.price),
                Side::Sell if ask.is_zero() => ask = order.price,
                Side::Sell => ask = ask.min(order.price),
            }
        }
        if let Some(slot) = self.slots.get_mut(instrument.index()) {
            (slot.own_bid, slot.own_ask) = (bid, ask);
        }
    }

    /// Books an approval: from here on the order counts.
    pub(super) fn approve(&mut self, intent: &Intent, spec: &OrderSpec) {
        let decision = is_decision(self, intent);
        let price = self.slots.get(intent.instrument.index()).map_or(spec.price, |s| s.value_price(spec));
        let reserve = Reserve { price, owner: intent.owner, ..Reserve::default() };
        let mut order = tracked(intent.client, intent.instrument, intent.strategy, spec, reserve);
        order.state = OrderState::Approved;
        order.reduce_only = intent.reduce_only;
        if self.ledger.enter(order).is_ok() {
            self.reserve(intent.client);
        }
        let likeness =
            Likeness { instrument: intent.instrument, side: spec.side, price: spec.price, qty: spec.qty };
        self.recent.enter(likeness, self.now_ns);
        if !intent.reduce_only {
            self.lately.on_entry(intent, value(price, spec.qty), decision, self.now_ns);
        }
    }

    /// What an earlier session left.
    fn on_carry(&mut self, carry: &Carry) {
        self.layers.on_carry(carry);
        if let Carry::Net(CarriedPosition { instrument, position, .. }) = carry
            && let Some(slot) = self.slots.get_mut(instrument.index())
        {
            slot.position = (*position).into();
            self.lately.on_carried(*instrument, &slot.position);
            self.mark(*instrument);
        }
        self.lately.on_carry(carry);
    }
}

impl Slot {
    /// Whether a position stands here or an order could open one. What is too small to be sold is no position.
    pub(super) fn is_occupied(&self) -> bool {
        self.orders > 0
            || (self.position.qty.units().unsigned_abs()
                >= self.instrument.lot.min.units().max(1).unsigned_abs()
                && self.held >= self.instrument.notional.min)
    }
    /// The middle of the last quote, whatever its age; `None` before the first, or when it is crossed.
    #[inline]
    pub(super) fn middle(&self) -> Option<Price> {
        Price::middle(self.bid.price, self.ask.price)
    }
    /// The price that an order's value is computed with: a sell may be filled far above its limit.
    #[inline]
    pub(super) fn value_price(&self, spec: &OrderSpec) -> Price {
        match spec.side {
            Side::Buy => spec.price,
            Side::Sell => spec.price.max(self.bid.price),
        }
    }
}

/// What pays for an order.
pub(super) const fn paying_asset(instrument: &Instrument, side: Side) -> AssetId {
    match side {
        Side::Buy => instrument.quote,
        Side::Sell => instrument.base,
    }
}

/// A value that saturates: too much to count is too much to hold.
fn value(price: Price, qty: Qty) -> Cash {
    Cash::notional_for_limit(price, qty).unwrap_or(Cash::MAX)
}

fn reserve_of(order: &Tracked<Reserve>) -> Reserve {
    let (price, owner) = (order.extra.price, order.extra.owner);
    if !order.state.is_exposed() {
        return Reserve { price, owner, ..Reserve::default() };
    }
    let open = order.remaining();
    let worth = value(price.max(order.price), open);
    Reserve {
        price,
        owner,
        exposure: if order.reduce_only { Cash::ZERO } else { worth },
        open,
        committed: match order.side {
            Side::Buy => value(order.price, open).units(),
            Side::Sell => open.units(),
        },
        live: true,
        unknown: order.state == OrderState::Unknown,
        pending: !order.reduce_only && order.filled.is_zero(),
    }
}

fn limits(config: &RiskConfig) -> Limits {
    Limits {
        exposure_max: config.exposure_max,
        open_positions_max: config.open_positions_max as usize,
        open_orders_max: config.open_orders_max as usize,
        reference_age_max_ns: i64::from(config.reference_age_max_ms) * MS,
        book_age_max_ns: i64::from(config.book_age_max_ms) * MS,
        market_age_max_ns: i64::from(config.market_age_max_ms) * MS,
        clock_offset_max_ns: i64::from(config.clock_offset_max_ms) * MS,
        clock_age_max_ns: i64::from(config.clock_age_max_s) * 1_000 * MS,
        duplicate_window_ns: i64::from(config.duplicate_window_ms) * MS,
    }
}
