//! Where risk reads the halt state: the live page, or what a journal says was read.
//!
//! The page is one of the two inputs that are off the line, so its reading is recorded in every decision and played
//! back from there in a replay.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::{Action, Decision, Order};
use crate::shared::{HaltLevel, HaltView, KillPage};
use crate::types::{ClientOrderId, Now, Reason, StrategyId};

/// Answers what the halt state is at a decision.
pub trait KillSource: Send {
    /// Called exactly once for each intent, in the order of the line. `client` is the intent's id.
    fn view(&mut self, client: ClientOrderId, now: Now) -> HaltView;
}

/// The live page.
#[derive(Clone, Debug)]
pub struct PageSource(pub Arc<KillPage>);

impl KillSource for PageSource {
    #[inline]
    fn view(&mut self, _client: ClientOrderId, now: Now) -> HaltView {
        self.0.view(now)
    }
}

/// The readings that a journal recorded. An intent without a recorded reading sees a tripped page, so that a replay can
/// only ever refuse more.
#[derive(Clone, Debug, Default)]
pub struct RecordedSource {
    readings: VecDeque<(ClientOrderId, HaltView)>,
}

impl RecordedSource {
    /// Appends what a decision record says was read.
    pub fn push(&mut self, decision: &Decision) {
        let level = HaltLevel::from_u8(decision.halt_level);
        let view = HaltView { level, epoch: 0, lease_valid: decision.lease_valid };
        self.readings.push_back((decision.client, view));
    }
    /// How many readings are left.
    pub fn remaining(&self) -> usize {
        self.readings.len()
    }
}

impl KillSource for RecordedSource {
    fn view(&mut self, client: ClientOrderId, _now: Now) -> HaltView {
        match self.readings.front() {
            Some(&(recorded, view)) if recorded == client => {
                self.readings.pop_front();
                view
            }
            _ => HaltView::TRIPPED,
        }
    }
}

/// The rule of the halt levels, for risk and, once more before the write, for the gateway:
/// - cancels always leave;
/// - an order that may add risk needs a level below risk-off and a running lease;
/// - an exit (reduce-only) leaves at risk-off and without a lease, and stops at cancel-all, when everything is being taken
///   out of the venue's book;
/// - the operator's own close (the flatten of a trip) also leaves at cancel-all, and stops only once the engine is drained.
#[inline]
pub const fn halt_allows(order: &Order, view: HaltView) -> Result<(), Reason> {
    if matches!(order.action, Action::Cancel { .. } | Action::CancelAll) || view.allows_risk() {
        return Ok(());
    }
    let operator = order.strategy.0 == StrategyId::OPERATOR.0;
    let bar = if operator { HaltLevel::Stopped } else { HaltLevel::CancelAll };
    if order.reduce_only && (view.level as u8) < bar as u8 {
        return Ok(());
    }
    Err(view.reason())
}
