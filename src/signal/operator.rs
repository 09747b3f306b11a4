//! What the operator wants done on an instrument: cancel all, or flatten. Worked off step by step, as facts come: orders are
//! cancelled first and their end is waited for, then what is held is closed, again until nothing is left that the venue
//! would take. While that lasts the strategies there are not heard.

use crate::event::{Action, Claim, Fact, OrderSpec};
use crate::strategy::Wish;
use crate::strategy::context::{acceptable, limit, shifted};
use crate::types::time::NS_PER_MS;
use crate::types::{Instrument, OrderState, Position, Price, Qty, Side, TimeInForce};

use super::exits::Refusals;
use super::{Own, Signal, Sink, Who};

/// How far a close goes beyond the best price: it must be filled, within the collar of risk.
const CLOSE_MARGIN_BP: i64 = 50;
/// How long one step may take before it is asked for again.
pub(super) const RETRY_NS: i64 = 500 * NS_PER_MS;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Task {
    /// Nothing.
    #[default]
    None,
    /// Cancel everything that is open.
    CancelAll,
    /// The same, then close what is held.
    Flatten,
}

/// The state of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Progress {
    pub(super) task: Task,
    /// When the last step was asked for; 0 = not yet.
    pub(super) asked_ns: i64,
    /// Closes that the venue refused.
    pub(super) refusals: Refusals,
}

impl Progress {
    pub(super) const fn begin(&mut self, task: Task) {
        // A flatten is not weakened to a cancel-all.
        if !matches!((self.task, task), (Task::Flatten, Task::CancelAll)) {
            self.task = task;
        }
        self.asked_ns = 0;
        self.refusals = Refusals::none();
    }
    pub(super) const fn is_due(&self, now_ns: i64) -> bool {
        self.asked_ns == 0 || now_ns.saturating_sub(self.asked_ns) >= RETRY_NS
    }
}

/// The order that closes a position, at a price that the market should take at once; `None` when nothing is held that the
/// venue would take.
pub(super) fn close(instrument: &Instrument, position: &Position, bid: Price, ask: Price) -> Option<Action> {
    let spec: OrderSpec = if position.qty > Qty::ZERO {
        let price = shifted(bid, -CLOSE_MARGIN_BP)?.floor_to(instrument.price.tick);
        limit(Side::Sell, TimeInForce::Ioc, price, acceptable(instrument, position.qty, price)?)
    } else {
        let price = shifted(ask, CLOSE_MARGIN_BP)?.ceil_to(instrument.price.tick)?;
        let owed = Qty::from_units(position.qty.units().checked_neg()?);
        limit(Side::Buy, TimeInForce::Ioc, price, acceptable(instrument, owed, price)?)
    };
    instrument.check_price(spec.price).is_ok().then_some(Action::Place(spec))
}

impl Signal {
    /// One step on each instrument where the operator wants something, as far as the budget goes.
    pub(super) fn work_for_operator(&mut self, fact: &Fact, sink: &mut Sink<'_>) {
        for at in 0..self.markets.len() {
            let market = &self.markets[at];
            if market.operator.task == Task::None || !market.operator.is_due(fact.recv_ns) {
                continue;
            }
            let id = market.instrument.id;
            // An unknown order can't be waited for: it ends with the venue's answer, whenever that is.
            let waits = |order: &&crate::event::Tracked<Own>| {
                order.instrument == id && order.state != OrderState::Unknown
            };
            let asked = if self.ledger.open().any(|order| waits(&order)) {
                let wish = Wish { reduce_only: false, action: Action::CancelAll, claim: Claim::NONE };
                self.raise(Who::operator(usize::MAX, id), &wish, fact, sink)
            } else if market.operator.task == Task::Flatten {
                self.close_all(at, fact, sink)
            } else {
                false
            };
            let progress = &mut self.markets[at].operator;
            if asked {
                progress.asked_ns = fact.recv_ns;
            } else if self.budget > 0 && self.is_done(at) {
                self.markets[at].operator = Progress::default();
            }
        }
    }

    /// Closes each strategy's position under the operator's name, and what is held beyond them. Whether anything was asked.
    fn close_all(&mut self, at: usize, fact: &Fact, sink: &mut Sink<'_>) -> bool {
        if !self.markets[at].operator.refusals.allow(fact.recv_ns) {
            return false;
        }
        let mut asked = false;
        for runner in self.markets[at].runners.clone() {
            let position = self.runners[runner].position;
            asked |= self.close_one(at, runner, &position, fact, sink);
        }
        if !asked && self.closing(at, &self.markets[at].net).is_some() {
            let net = self.markets[at].net;
            asked = self.close_one(at, usize::MAX, &net, fact, sink);
        }
        asked
    }

    fn close_one(
        &mut self,
        at: usize,
        runner: usize,
        position: &Position,
        fact: &Fact,
        sink: &mut Sink<'_>,
    ) -> bool {
        let Some(action) = self.closing(at, position) else { return false };
        let instrument = self.markets[at].instrument.id;
        let wish = Wish { reduce_only: true, action, claim: Claim::NONE };
        self.raise(Who::operator(runner, instrument), &wish, fact, sink)
    }

    pub(super) fn closing(&self, at: usize, position: &Position) -> Option<Action> {
        let market = &self.markets[at];
        let quote = market.quote.as_ref()?;
        close(&market.instrument, position, quote.bid.price, quote.ask.price)
    }

    /// Whether the operator's task on an instrument has reached its end.
    fn is_done(&self, at: usize) -> bool {
        let market = &self.markets[at];
        let id = market.instrument.id;
        let open = self.ledger.open().any(|order| order.instrument == id);
        let held = market.quote.is_none() && !market.net.qty.is_zero();
        match market.operator.task {
            Task::None => true,
            Task::CancelAll => !open,
            // Without a quote it is not known what could be sold.
            Task::Flatten => !open && !held && self.closing(at, &market.net).is_none(),
        }
    }
}
