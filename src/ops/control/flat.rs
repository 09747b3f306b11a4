//! Flatten until the venue is flat (R-KILL-3, F37): signal cancels and closes, reduce-only, and works until its own fold of the
//! fills is flat. A fill that was on its way (a cancel and a fill that crossed) comes later; so the control thread looks at what
//! is held, asks again as long as anything is, and says "flat" only when the venue said that nothing is open, our record was
//! found to agree with its, and nothing is held that it would take.

use serde_json::{Value, json};

use super::Control;
use crate::event::CommandKind;
use crate::event::command::ALL_INSTRUMENTS;
use crate::types::Qty;
use crate::types::time::NS_PER_S;

/// How long one flatten may work before it is asked for again: longer than signal's own retry.
pub(super) const AGAIN_NS: i64 = 2 * NS_PER_S;

/// The state of an order whose outcome is not known, as a snapshot shows it.
const UNKNOWN: &str = "Unknown";

impl Control {
    /// What is held that the venue would take: symbol and quantity.
    pub(super) fn held(&mut self) -> Vec<(String, Qty)> {
        let lines = &self.parts.watcher.latest().instruments;
        lines.iter().filter(|line| line.is_held()).map(|line| (line.symbol.clone(), line.position)).collect()
    }

    /// Whether the account is flat within this halt epoch, by the venue's word.
    pub(super) fn is_flat(&mut self, epoch: u64) -> bool {
        let agreed = self.parts.page.silent().0 >= epoch && self.parts.page.reconciled() >= epoch;
        // A snapshot is a moment old: what was filled since the venue's word must be in it.
        let told = self.parts.page.silent().1;
        let latest = self.parts.watcher.latest();
        // An order whose outcome nobody knows may turn out to have been filled, though a reconcile need not wait for it.
        let is_known = latest.orders.iter().all(|order| order.state != UNKNOWN);
        agreed && is_known && latest.fact_ns > told && self.held().is_empty()
    }

    /// Asks for a flatten again.
    pub(super) fn flatten_again(&mut self, uid: Option<u32>) {
        self.command(CommandKind::Flatten, ALL_INSTRUMENTS, uid);
    }

    /// What is still held, for an answer.
    pub(super) fn held_json(&mut self) -> Value {
        let held = self.held();
        json!(
            held.iter().map(|(symbol, qty)| json!({ "symbol": symbol, "position": qty })).collect::<Vec<_>>()
        )
    }
}
