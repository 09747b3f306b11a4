//! Exits that the engine manages (R-ORD-2): a stop below and a target above the average price of a strategy's position, a stop
//! that follows the best price, and the stop that the strategy itself claimed with its entry. No such order ever stands at
//! the venue: what stands there can be forgotten there (F8). Signal watches the quotes and raises the exit, reduce-only,
//! from its own fold of the fills, so it is as large as what is held, also after a part of it was filled (F18), and after a
//! restart, when position and claimed stop come back as facts.
//!
//! The way out: the strategy's own orders there are cancelled and their end is waited for, then what is held is sold at a
//! price that the market should take at once, again until nothing is left that the venue would take. Meanwhile the strategy
//! isn't heard. Nothing here ends by a timer; timers only say when to ask again.
//!
//! An exit that the *venue* refuses is tried again after a wait that doubles up to [`EXIT_RETRY_MAX_NS`], and never given up:
//! what is held stays guarded, without a storm that would get the account banned. What never left us (no connection, no
//! budget) is no word of the venue's and waits no longer than before.

use crate::event::{Action, Change, Claim, Fact};
use crate::limits::{EXIT_RETRY_FIRST_NS, EXIT_RETRY_MAX_NS, INTENTS_PER_FACT_MAX};
use crate::strategy::Wish;
use crate::strategy::context::{CANCEL_RETRY_NS, has_passed, shifted};
use crate::types::time::NS_PER_MS;
use crate::types::{ClientOrderId, OrderState, Position, Price, StrategyId};

use super::operator::Task;
use super::{Own, Runner, Signal, Sink, Who};

/// How long a step may take before it is asked for again.
const RETRY_NS: i64 = 250 * NS_PER_MS;

/// Exits that the venue refused one after the other, and since when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Refusals {
    in_a_row: u32,
    last_ns: i64,
}

impl Refusals {
    /// What became of an exit: the venue refused it, or took it, or it is neither.
    pub(super) const fn note(&mut self, before: OrderState, after: OrderState, now_ns: i64) {
        match after {
            OrderState::Rejected if !before.is_terminal() => {
                self.in_a_row = self.in_a_row.saturating_add(1);
                self.last_ns = now_ns;
            }
            OrderState::Acknowledged | OrderState::PartiallyFilled | OrderState::Filled => {
                *self = Self::none();
            }
            _ => {}
        }
    }

    pub(super) const fn none() -> Self {
        Self { in_a_row: 0, last_ns: 0 }
    }

    /// How long the next one waits from the last refusal on.
    const fn pause_ns(self) -> i64 {
        // Sixteen doublings are beyond any maximum, and far from the width of the number.
        let doublings = if self.in_a_row > 16 { 16 } else { self.in_a_row.saturating_sub(1) };
        let pause_ns = EXIT_RETRY_FIRST_NS << doublings;
        if pause_ns < EXIT_RETRY_MAX_NS { pause_ns } else { EXIT_RETRY_MAX_NS }
    }

    /// Whether the next exit may be asked for.
    pub(super) const fn allow(self, now_ns: i64) -> bool {
        self.in_a_row == 0 || has_passed(now_ns, self.last_ns, self.pause_ns())
    }
}

/// Distances in hundredths of a percent; 0 = none of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExitLevels {
    /// Below the average price.
    pub stop_loss_bp: u32,
    /// Above the average price.
    pub take_profit_bp: u32,
    /// Below the best bid since the position was opened, or since the session began.
    pub trailing_bp: u32,
}

/// The exits of one running strategy.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exits {
    levels: ExitLevels,
    /// What the last filled entry claimed; zero = nothing.
    claimed: Price,
    /// The prices that the quotes are compared with; zero = none. Made anew when the position changes.
    stop: Price,
    target: Price,
    /// The best bid since the position was opened.
    best: Price,
    /// The way out has begun.
    leaving: bool,
    asked_ns: i64,
}

impl Exits {
    pub(super) const fn set_levels(&mut self, levels: ExitLevels) {
        self.levels = levels;
    }

    /// An entry with a claimed stop was filled, or an earlier session had one.
    pub(super) const fn claim(&mut self, stop: Price) {
        if stop.units() > 0 {
            self.claimed = stop;
        }
    }

    /// Whether the way out has begun: the strategy is not heard.
    pub(super) const fn is_leaving(&self) -> bool {
        self.leaving
    }

    /// The position is another one: what the quotes are compared with is made anew.
    pub(super) fn follow(&mut self, position: &Position) {
        let Some(average) = position.average_price().filter(|_| position.qty.units() > 0) else {
            *self = Self { levels: self.levels, ..Self::default() };
            return;
        };
        let away = |bp: u32, sign: i64| {
            if bp == 0 { Price::ZERO } else { shifted(average, sign * i64::from(bp)).unwrap_or(Price::ZERO) }
        };
        self.stop = away(self.levels.stop_loss_bp, -1).max(self.claimed);
        self.target = away(self.levels.take_profit_bp, 1);
    }

    /// The best bid is now this. Whether the way out begins.
    #[inline]
    pub(super) fn on_bid(&mut self, bid: Price, position: &Position) -> bool {
        if position.qty.units() <= 0 || bid <= Price::ZERO || self.leaving {
            return false;
        }
        self.best = self.best.max(bid);
        let trailing = if self.levels.trailing_bp == 0 {
            Price::ZERO
        } else {
            shifted(self.best, -i64::from(self.levels.trailing_bp)).unwrap_or(Price::ZERO)
        };
        let stopped = bid <= self.stop.max(trailing);
        let reached = self.target > Price::ZERO && bid >= self.target;
        self.leaving = stopped || reached;
        self.leaving
    }

    /// Whether the next step is due.
    pub(super) const fn is_due(&self, now_ns: i64) -> bool {
        self.leaving && (self.asked_ns == 0 || now_ns.saturating_sub(self.asked_ns) >= RETRY_NS)
    }

    pub(super) const fn asked(&mut self, now_ns: i64) {
        self.asked_ns = now_ns;
    }

    /// Nothing is left that could be sold: the strategy is heard again.
    pub(super) const fn end(&mut self) {
        *self = Self { levels: self.levels, ..Self::none() };
    }

    const fn none() -> Self {
        Self {
            levels: ExitLevels { stop_loss_bp: 0, take_profit_bp: 0, trailing_bp: 0 },
            claimed: Price::ZERO,
            stop: Price::ZERO,
            target: Price::ZERO,
            best: Price::ZERO,
            leaving: false,
            asked_ns: 0,
        }
    }
}

impl Signal {
    /// What became of an exit counts for whoever raised it: a strategy's for the strategy, the operator's for the instrument.
    pub(super) fn note_exit(&mut self, change: &Change, now_ns: i64) {
        let Some(order) = self.ledger.get(change.client).filter(|order| order.reduce_only) else { return };
        let refusals = if order.strategy == StrategyId::OPERATOR {
            self.markets.get_mut(change.instrument.index()).map(|market| &mut market.operator.refusals)
        } else {
            self.runners.get_mut(usize::from(order.extra.runner)).map(|runner| &mut runner.exit_refusals)
        };
        if let Some(refusals) = refusals {
            refusals.note(change.before, change.after, now_ns);
        }
    }

    /// Goes on with every way out that has begun and whose next step is due.
    pub(super) fn leave_on(&mut self, fact: &Fact, sink: &mut Sink<'_>) {
        for at in 0..self.runners.len() {
            if self.runners[at].exits.is_due(fact.recv_ns) {
                self.leave(at, fact, sink);
            }
        }
    }

    /// One step of a strategy's way out: its own orders first, then what it holds, until nothing is left that could be sold.
    pub(super) fn leave(&mut self, at: usize, fact: &Fact, sink: &mut Sink<'_>) {
        let Runner { id, instrument, position, .. } = self.runners[at];
        let market = instrument.index();
        // The operator's own way out goes before.
        if self.stopping || self.markets[market].operator.task != Task::None {
            return;
        }
        self.enter_raised();
        let who = Who { runner: at, strategy: id, instrument };
        let runner = u16::try_from(at).unwrap_or(Own::NOBODY);
        // An unknown order can't be waited for: it ends with the venue's answer, whenever that is. Risk counts it.
        let works = |order: &&crate::event::Tracked<Own>| {
            order.extra.runner == runner && order.state != OrderState::Unknown
        };
        let mut targets = [ClientOrderId::NONE; INTENTS_PER_FACT_MAX];
        for (slot, order) in targets.iter_mut().zip(self.ledger.open().filter(works)) {
            *slot = order.client;
        }
        let is_working = targets[0] != ClientOrderId::NONE;
        for &target in targets.iter().filter(|&&target| target != ClientOrderId::NONE) {
            let asked = self.ledger.get(target).is_some_and(|order| {
                order.extra.cancel_asked
                    && !has_passed(fact.recv_ns, order.extra.cancel_asked_ns, CANCEL_RETRY_NS)
            });
            if !asked {
                let wish = Wish { reduce_only: false, action: Action::Cancel { target }, claim: Claim::NONE };
                self.raise(who, &wish, fact, sink);
            }
        }
        if is_working {
            self.runners[at].exits.asked(fact.recv_ns);
            return;
        }
        if let Some(action) = self.closing(market, &position) {
            if !self.runners[at].exit_refusals.allow(fact.recv_ns) {
                return;
            }
            let wish = Wish { reduce_only: true, action, claim: Claim::NONE };
            self.raise(who, &wish, fact, sink);
            self.runners[at].exits.asked(fact.recv_ns);
        } else if self.markets[market].quote.is_some() {
            self.runners[at].exits.end();
        }
    }
}
