//! Stage 3, the only maker of [`Approved`] orders: a table of short pure checks over a fold of the facts.
//!
//! [`Risk`] is the stage without its rings: benches, replays and backtests call it as the [`Stage`] does. It decides only
//! on facts, on its own approvals and on the halt state that it is given. Exposure is reserved when an order is approved
//! and released only by a fact. Cancels always pass: not the kill switch, no limit and not even a full journal ring holds
//! one back, because a cancel can only take risk away.
//!
//! The limits read money in one currency: a session's instruments share their quote asset, or there is no session.

mod approved;
mod bounded;
mod checks;
mod config;
mod kill;
mod layers;
mod limits;
mod stage;
mod state;
mod throttle;

use crate::event::layers::Alarm;
use crate::event::{Action, Carry, Decision, Fact, Intent, Layers, Order, OrderSpec, Stamps, Verdict};
use crate::shared::HaltView;
use crate::types::{
    Cash, ClientOrderId, InstrumentId, InstrumentTable, OrderState, Position, Qty, Reason, StrategyId,
};

use checks::{Case, order_of, run_all};
use state::State;

pub use approved::Approved;
pub use bounded::{BoundedLimits, BoundedLive, Enforcement, Monitoring, PHASES};
pub use checks::{CHECKS, Check};
pub use config::{RiskConfig, RiskConfigError};
pub use kill::{KillSource, PageSource, RecordedSource, halt_allows};
pub use limits::config::{
    Apply, CorrelationConfig, FanOutConfig, NewsWindow, NoTradeConfig, PaceFigures, PacePatch, RepeatConfig,
    SymbolLimits, TurnoverConfig,
};
pub use stage::{Ports, Stage};

/// What risk hands to the gateway, in the order of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// It may leave. Its decision is in the journal ring already.
    Approved {
        /// The order, cancel or replace.
        order: Approved<Order>,
        /// For measuring.
        stamps: Stamps,
        /// For measuring: ticks from `stamps.read` to the verdict.
        risk_ticks: u32,
    },
    /// It may not. The gateway answers with `Reply { kind: NotSent, reason, .. }` on the return ring, so that the refusal
    /// reaches signal as a fact: `client` is the id of the order that does not leave, or, with `cancel` set, of the order
    /// that stays. Risk has counted the refusal.
    Refused {
        /// What was asked.
        order: Order,
        /// Why not.
        reason: Reason,
    },
    /// A fact that the gateway (or the fill model behind it) needs: private facts, links, commands, timers and clock
    /// offsets always; market data only where a fill model stands behind the gateway.
    Fact(Fact),
}

const _: () = assert!(size_of::<Output>() <= 128, "two cache lines");

/// Everything that risk knows, and its judgement.
#[derive(Clone, Debug)]
pub struct Risk {
    state: State,
}

impl Risk {
    /// Over the instruments of a session; orders may be entered on those in `allowed`.
    pub fn new(
        config: &RiskConfig,
        table: &InstrumentTable,
        allowed: &[InstrumentId],
    ) -> Result<Self, RiskConfigError> {
        State::new(config, table, allowed).map(|state| Self { state })
    }

    /// Folds a fact.
    #[inline]
    pub fn on_fact(&mut self, fact: &Fact) {
        self.state.on_fact(fact);
    }

    /// What the layers brought about since the last call: told once.
    #[inline]
    pub const fn take_alarm(&mut self) -> Alarm {
        self.state.layers.take_alarm()
    }

    /// The layers.
    pub const fn layers(&self) -> &Layers {
        &self.state.layers
    }

    /// Judges an intent and, if it may leave, books it. `record` puts the decision into the journal ring and says whether it
    /// did: an order whose decision can't be journaled is refused (R-HOT-8); a cancel passes all the same.
    pub fn decide(
        &mut self,
        intent: &Intent,
        halt: HaltView,
        record: &mut impl FnMut(&Decision) -> bool,
    ) -> Result<Approved<Order>, Reason> {
        let approved = self.verdict(intent, halt, record)?;
        self.book(intent);
        Ok(approved)
    }

    /// The first half of [`decide`](Self::decide). What it approves must be booked before anything else is folded or judged:
    /// until then the order is in no limit's arithmetic.
    #[inline]
    fn verdict(
        &self,
        intent: &Intent,
        halt: HaltView,
        record: &mut impl FnMut(&Decision) -> bool,
    ) -> Result<Approved<Order>, Reason> {
        let spec = placed(intent);
        let verdict = match spec {
            Some(spec) => self.judge(intent, spec, halt),
            None => judge_cancel(intent),
        };
        let added = verdict.unwrap_or_default();
        let decision = Decision {
            client: intent.client,
            cause_seq: intent.cause_seq,
            verdict: if verdict.is_ok() { Verdict::Approved } else { Verdict::Refused },
            reason: verdict.err().unwrap_or_default(),
            halt_level: halt.level as u8,
            lease_valid: halt.lease_valid,
            instrument: intent.instrument,
            exposure: self.state.exposure().checked_add(added).unwrap_or(Cash::MAX),
        };
        let recorded = record(&decision);
        verdict?;
        if spec.is_some() && !recorded {
            return Err(Reason::JournalFull);
        }
        Ok(Approved::new(order_of(intent)))
    }

    /// The second half: from here on the order counts.
    fn book(&mut self, intent: &Intent) {
        if let Some(spec) = placed(intent) {
            self.state.approve(intent, spec);
        }
        self.state.bucket.take(self.state.now_ns);
    }

    /// Books an intent that was approved when the record was made, as [`Risk::decide`] booked it then: for what folds a journal.
    /// It judges nothing, and nothing comes of it that could leave.
    pub fn book_recorded(&mut self, intent: &Intent) {
        if let Some(spec) = placed(intent) {
            self.state.approve(intent, spec);
        }
    }

    /// What the next session has to know of decisions, executions and latches (R-LIM-7, C9). What the layers keep is carried
    /// by their own fold.
    pub fn carried(&self) -> impl Iterator<Item = Carry> + '_ {
        self.state.lately.carried(self.state.now_ns)
    }

    /// What the order adds to the exposure, or the first reason against it.
    #[inline]
    fn judge(&self, intent: &Intent, spec: &OrderSpec, halt: HaltView) -> Result<Cash, Reason> {
        let case = self.case(intent, spec, halt)?;
        run_all(&case)?;
        Ok(if intent.reduce_only { Cash::ZERO } else { case.value })
    }

    #[inline]
    fn case<'a>(
        &'a self,
        intent: &'a Intent,
        spec: &'a OrderSpec,
        halt: HaltView,
    ) -> Result<Case<'a>, Reason> {
        let slot = self.state.slots.get(intent.instrument.index()).ok_or(Reason::UnknownInstrument)?;
        let value = Cash::notional_for_limit(slot.value_price(spec), spec.qty).ok_or(Reason::Overflow)?;
        Ok(Case { state: &self.state, slot, intent, spec, halt, value })
    }

    /// Runs one check alone; for benches and for asking why.
    pub fn run_check(&self, check: &Check, intent: &Intent, halt: HaltView) -> Result<(), Reason> {
        match &intent.action {
            Action::Place(spec) | Action::Replace { spec, .. } => {
                (check.run)(&self.case(intent, spec, halt)?)
            }
            Action::Cancel { .. } | Action::CancelAll => judge_cancel(intent).map(|_| ()),
        }
    }

    /// The total exposure: holdings and every order that may still be filled.
    pub fn exposure(&self) -> Cash {
        self.state.exposure()
    }
    /// The position on an instrument.
    pub fn position(&self, instrument: InstrumentId) -> Position {
        self.state.slots.get(instrument.index()).map(|s| s.position).unwrap_or_default()
    }
    /// Why no order may be entered on an instrument, if it is frozen.
    pub fn frozen(&self, instrument: InstrumentId) -> Option<Reason> {
        let slot = self.state.slots.get(instrument.index())?;
        slot.frozen.or((slot.unknown > 0).then_some(Reason::InstrumentFrozen))
    }
    /// Orders that were executed, at least in part (R-LIM-11).
    pub const fn executed(&self) -> u64 {
        self.state.lately.executed()
    }
    /// Why a strategy may not enter, if a named person has to enable it first.
    pub fn disabled(&self, strategy: StrategyId) -> Option<Reason> {
        self.state.lately.repeat.disabled(strategy)
    }
    /// Orders that may be open.
    pub const fn open_orders(&self) -> usize {
        self.state.ledger.open_len()
    }
    /// Where an order stands and how much of it is filled.
    pub fn order(&self, client: ClientOrderId) -> Option<(OrderState, Qty)> {
        self.state.ledger.get(client).map(|order| (order.state, order.filled))
    }
}

/// What an intent would put into the book.
const fn placed(intent: &Intent) -> Option<&OrderSpec> {
    match &intent.action {
        Action::Place(spec) | Action::Replace { spec, .. } => Some(spec),
        Action::Cancel { .. } | Action::CancelAll => None,
    }
}

/// Cancels always pass, unless they name nothing: even the cancel of an order that we do not know may find one.
const fn judge_cancel(intent: &Intent) -> Result<Cash, Reason> {
    match intent.action {
        Action::Cancel { target: ClientOrderId::NONE } => Err(Reason::UnknownOrder),
        _ => Ok(Cash::ZERO),
    }
}
