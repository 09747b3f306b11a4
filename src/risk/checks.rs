//! The checks: one table of short pure functions, walked from the top; the first refusal counts. Each has its own reasons
//! and says whether it binds exits as well.
//!
//! The rule for exits (reduce-only): what limits how much may be *entered* does not hold them back; what makes an order
//! wrong in itself (venue rules, collar, self-trade) and what keeps them exits (`reducing`) does. Cancels are not checked:
//! nothing here can hold one back.

use crate::event::{Intent, Order, OrderSpec};
use crate::shared::HaltView;
use crate::types::time::NS_PER_S;
use crate::types::{Cash, ClientOrderId, OrderTerms, Price, Qty, Reason, RuleContext, Side, StrategyId};

use super::kill::halt_allows;
use super::layers;
use super::limits::checks as lately;
use super::state::{Balance, Slot, State, paying_asset};
use super::throttle::Likeness;

/// What a check looks at.
pub(super) struct Case<'a> {
    pub(super) state: &'a State,
    pub(super) slot: &'a Slot,
    pub(super) intent: &'a Intent,
    pub(super) spec: &'a OrderSpec,
    pub(super) halt: HaltView,
    /// The order's value, rounded against us.
    pub(super) value: Cash,
}

/// One check.
pub struct Check {
    /// Stable name.
    pub name: &'static str,
    /// What it demands.
    pub help: &'static str,
    /// Whether it binds reduce-only orders too.
    pub binds_exits: bool,
    pub(super) run: fn(&Case<'_>) -> Result<(), Reason>,
}

impl core::fmt::Debug for Check {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Binds entries only.
const ENTRIES: bool = false;
/// Binds exits as well.
const EVERYTHING: bool = true;

/// The table as data, and as one function without a call through a pointer: the walk is on every order's way, and dozens of
/// indirect branches that were last taken microseconds ago cost more than what they lead to.
macro_rules! checks {
    ($($binds:ident $name:literal $help:literal $run:path;)*) => {
        /// The table, in the order in which it is walked.
        pub const CHECKS: &[Check] = &[$(Check { name: $name, help: $help, binds_exits: $binds, run: $run }),*];

        /// Walks the table: the first refusal.
        #[inline]
        pub(super) fn run_all(case: &Case<'_>) -> Result<(), Reason> {
            let is_entry = !case.intent.reduce_only;
            $(if $binds || is_entry {
                $run(case)?;
            })*
            Ok(())
        }
    };
}

checks! {
    EVERYTHING "halt" "the kill page and the lease allow it, by the rule of the halt levels" halt;
    ENTRIES "stopping" "the engine is not stopping" stopping;
    ENTRIES "emergency_stop" "L4: the drawdown has not ended everything" layers::emergency;
    ENTRIES "daily_loss" "L2: the day has not lost what a day may lose" layers::daily_loss;
    ENTRIES "symbol" "the symbol is on the allowlist and trading at the venue" symbol;
    ENTRIES "account" "the venue has told the balance that pays, on a living account link" account;
    ENTRIES "clock" "the venue's clock is known and near ours" clock;
    ENTRIES "frozen" "no unknown outcome, conflict, overfill or freeze on the instrument" frozen;
    ENTRIES "strategy" "the strategy is not disabled until a named person enables it (C9)" lately::switch;
    ENTRIES "circuit_breaker" "L3: the strategy is not disabled by losses in a row" layers::circuit_breaker;
    ENTRIES "book" "the book is valid and fresh" book;
    ENTRIES "market_data" "market data of the instrument is fresh" market_data;
    ENTRIES "news" "no news window" lately::news;
    ENTRIES "data_quality" "the market data was not broken too often lately" lately::data_quality;
    ENTRIES "spread" "the spread is narrow, and not much wider than usual" lately::spread;
    ENTRIES "volatility" "the price did not move too far lately (C36)" lately::volatility;
    EVERYTHING "collar" "the price is near a fresh reference; an exit without reference passes" collar;
    ENTRIES "period_collar" "the price is near all middles of the last period (C4)" lately::period_collar;
    EVERYTHING "venue_rules" "the venue's filters let it in" venue_rules;
    ENTRIES "order_value" "its value is within our maximum" order_value;
    ENTRIES "size" "its value is within what weight and preservation leave of the maximum" layers::size;
    ENTRIES "trade_risk" "L1: what it may lose to its stop is within a trade's share of equity" layers::trade_risk;
    ENTRIES "ramp_entries" "the ramp's entries of the day are not used up" layers::ramp_entries;
    ENTRIES "order_qty" "its quantity is within our maximum" order_qty;
    ENTRIES "position_limit" "the position stays within the symbol's own bounds (C22)" lately::position_limit;
    EVERYTHING "reducing" "a reduce-only order, with all others on its side, only reduces" reducing;
    EVERYTHING "self_trade" "it can't meet an order of our own" self_trade;
    ENTRIES "balance" "what pays for it is free" balance;
    EVERYTHING "order_table" "its id is new and there is room to keep it" order_table;
    ENTRIES "open_orders" "not too many orders are open" open_orders;
    ENTRIES "open_positions" "not too many positions are open" open_positions;
    ENTRIES "exposure" "the total exposure stays within our maximum" exposure;
    ENTRIES "correlation" "what moves together stays within its bound" lately::correlation;
    ENTRIES "duplicate" "it is not the same order again" duplicate;
    ENTRIES "fan_out" "one fact, and one window, cause only so many orders (C16)" lately::fan_out;
    ENTRIES "repeat" "the strategy is not executed too often (C9)" lately::repeat;
    ENTRIES "cooldown" "the instrument does not rest after losses" lately::cooldown;
    ENTRIES "interval" "not too soon after the last decision" lately::interval;
    ENTRIES "daily" "not too many decisions today" lately::daily;
    ENTRIES "gain" "the expected gain is worth its cost" lately::gain;
    ENTRIES "confidence" "the strategy is sure enough" lately::confidence;
    EVERYTHING "throttle" "not too many messages; a quarter of the burst is kept for exits" throttle;
}

#[inline]
pub(super) const fn require(holds: bool, otherwise: Reason) -> Result<(), Reason> {
    if holds { Ok(()) } else { refuse(otherwise) }
}

/// Out of the way: a refusal is the rare case, and has all the time in the world.
#[cold]
const fn refuse(reason: Reason) -> Result<(), Reason> {
    Err(reason)
}

/// How far time may seem to run backwards before nothing counts as fresh: the wall clock is corrected by microseconds, and
/// a step shows as a halt.
const BACKSTEP_MAX_NS: i64 = NS_PER_S;

/// Whether something seen at `then_ns` (0 = never) is at most `age_max_ns` old.
const fn is_fresh(now_ns: i64, then_ns: i64, age_max_ns: i64) -> bool {
    let age_ns = now_ns.saturating_sub(then_ns);
    then_ns != 0 && age_ns <= age_max_ns && age_ns > -BACKSTEP_MAX_NS
}

fn halt(case: &Case<'_>) -> Result<(), Reason> {
    halt_allows(&order_of(case.intent), case.halt)
}

fn stopping(case: &Case<'_>) -> Result<(), Reason> {
    require(!case.state.stopping, Reason::Stopping)
}

fn symbol(case: &Case<'_>) -> Result<(), Reason> {
    require(case.slot.allowed && case.slot.instrument.trading, Reason::SymbolNotAllowed)
}

fn account(case: &Case<'_>) -> Result<(), Reason> {
    let asset = paying_asset(&case.slot.instrument, case.spec.side);
    let known = case.state.balances.get(asset.index()).is_some_and(|b| b.known);
    require(known, Reason::AccountUnknown)
}

fn clock(case: &Case<'_>) -> Result<(), Reason> {
    let limits = &case.state.limits;
    let Some((bound_ns, at_ns)) = case.state.clock else { return Err(Reason::ClockUnknown) };
    require(is_fresh(case.state.now_ns, at_ns, limits.clock_age_max_ns), Reason::ClockUnknown)?;
    require(bound_ns <= limits.clock_offset_max_ns, Reason::ClockOffset)
}

fn frozen(case: &Case<'_>) -> Result<(), Reason> {
    require(case.slot.frozen.is_none() && case.slot.unknown == 0, Reason::InstrumentFrozen)
}

fn book(case: &Case<'_>) -> Result<(), Reason> {
    let fresh = is_fresh(case.state.now_ns, case.slot.book_ns, case.state.limits.book_age_max_ns);
    require(case.slot.book_valid && fresh, Reason::BookInvalid)
}

fn market_data(case: &Case<'_>) -> Result<(), Reason> {
    let fresh = is_fresh(case.state.now_ns, case.slot.market_ns, case.state.limits.market_age_max_ns);
    require(fresh, Reason::MarketDataStale)
}

/// Both sides: a price far from the market is a mistake, whether it would be filled at once or never.
fn collar(case: &Case<'_>) -> Result<(), Reason> {
    let limits = &case.state.limits;
    let fresh = is_fresh(case.state.now_ns, case.slot.quote_ns, limits.reference_age_max_ns);
    let Some(reference) = case.slot.middle().filter(|_| fresh) else {
        return require(case.intent.reduce_only, Reason::ReferenceMissing);
    };
    let distance = i128::from(case.spec.price.units()) - i128::from(reference.units());
    let allowed =
        i128::from(reference.units()) * i128::from(case.state.lately.own(case.intent.instrument)?.collar_bp);
    require(distance.abs() * 10_000 <= allowed, Reason::PriceCollar)
}

fn venue_rules(case: &Case<'_>) -> Result<(), Reason> {
    let (slot, spec) = (case.slot, case.spec);
    let terms = OrderTerms { side: spec.side, order_type: spec.order_type, price: spec.price, qty: spec.qty };
    let base = case.state.balances.get(slot.instrument.base.index()).map_or(0, Balance::total);
    let context = RuleContext {
        reference: slot.middle(),
        orders_open: slot.orders,
        position_with_open_buys: Qty::from_units(base.saturating_add(slot.buys.units())),
    };
    slot.instrument.check(&terms, &context)
}

fn order_value(case: &Case<'_>) -> Result<(), Reason> {
    require(case.value <= case.state.lately.own(case.intent.instrument)?.value_max, Reason::OrderValue)
}

fn order_qty(case: &Case<'_>) -> Result<(), Reason> {
    require(case.slot.qty_max.is_none_or(|max| case.spec.qty <= max), Reason::OrderQty)
}

/// Against everything that works on the same side, so that no sequence of fills can turn the position over.
fn reducing(case: &Case<'_>) -> Result<(), Reason> {
    if !case.intent.reduce_only {
        return Ok(());
    }
    let held = i128::from(case.slot.position.qty.units());
    let (working, reducible) = match case.spec.side {
        Side::Sell => (case.slot.sells, held),
        Side::Buy => (case.slot.buys, -held),
    };
    let after = i128::from(working.units()) + i128::from(case.spec.qty.units());
    require(after <= reducible, Reason::NotReducing)
}

fn self_trade(case: &Case<'_>) -> Result<(), Reason> {
    let price = case.spec.price;
    let (own_bid, own_ask) = (case.slot.own_bid, case.slot.own_ask);
    let meets = match case.spec.side {
        Side::Buy => own_ask > Price::ZERO && price >= own_ask,
        Side::Sell => own_bid > Price::ZERO && price <= own_bid,
    };
    require(!meets, Reason::SelfTrade)
}

fn balance(case: &Case<'_>) -> Result<(), Reason> {
    let asset = paying_asset(&case.slot.instrument, case.spec.side);
    let Some(balance) = case.state.balances.get(asset.index()) else { return Err(Reason::AccountUnknown) };
    let needed = match case.spec.side {
        Side::Buy => case.value.units(),
        Side::Sell => case.spec.qty.units(),
    };
    require(balance.available() >= i128::from(needed), Reason::Balance)
}

/// An id is used once: what was approved under it before would no longer be counted.
fn order_table(case: &Case<'_>) -> Result<(), Reason> {
    let client = case.intent.client;
    let new = client != ClientOrderId::NONE && case.state.ledger.get(client).is_none();
    require(new, Reason::DuplicateOrder)?;
    require(!case.state.ledger.is_full(), Reason::OrderTableFull)
}

fn open_orders(case: &Case<'_>) -> Result<(), Reason> {
    require(case.state.ledger.open_len() < case.state.limits.open_orders_max, Reason::OpenOrders)
}

fn open_positions(case: &Case<'_>) -> Result<(), Reason> {
    let room = case.state.occupied() < case.state.limits.open_positions_max;
    require(room || case.slot.is_occupied(), Reason::OpenPositions)
}

fn exposure(case: &Case<'_>) -> Result<(), Reason> {
    let after = case.state.exposure().checked_add(case.value).ok_or(Reason::Overflow)?;
    require(after <= case.state.limits.exposure_max, Reason::TotalExposure)
}

fn duplicate(case: &Case<'_>) -> Result<(), Reason> {
    let spec = case.spec;
    let likeness =
        Likeness { instrument: case.intent.instrument, side: spec.side, price: spec.price, qty: spec.qty };
    let again = case.state.recent.has(&likeness, case.state.now_ns, case.state.limits.duplicate_window_ns);
    require(!again, Reason::DuplicateOrder)
}

/// The operator's closes are few by construction, and waiting for tokens is not theirs.
fn throttle(case: &Case<'_>) -> Result<(), Reason> {
    let intent = case.intent;
    let operator = intent.reduce_only && intent.strategy == StrategyId::OPERATOR;
    let allowed = case.state.bucket.allows(case.state.now_ns, intent.reduce_only);
    require(operator || allowed, Reason::MessageThrottle)
}

/// An intent in the form in which it would leave.
pub(super) const fn order_of(intent: &Intent) -> Order {
    Order {
        client: intent.client,
        cause_seq: intent.cause_seq,
        cause_ns: intent.cause_ns,
        strategy: intent.strategy,
        instrument: intent.instrument,
        reduce_only: intent.reduce_only,
        action: intent.action,
    }
}
