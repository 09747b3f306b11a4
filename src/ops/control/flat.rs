//! Flatten until the venue is flat (R-KILL-3, F37): signal cancels and closes, reduce-only, and works until its own fold of the
//! fills is flat. A fill that was on its way (a cancel and a fill that crossed) comes later; so the control thread looks at what
//! is held, asks again as long as anything is, and says "flat" only when the venue said that nothing is open, our record was
//! found to agree with its, and nothing is held that it would take.

use serde_json::{Value, json};

use super::Control;
use crate::event::CommandKind;
use crate::event::command::ALL_INSTRUMENTS;
use crate::ops::watch::InstrumentLine;
use crate::types::time::NS_PER_S;
use crate::types::{Cash, Instrument, Qty};

/// How long one flatten may work before it is asked for again: longer than signal's own retry.
pub(super) const AGAIN_NS: i64 = 2 * NS_PER_S;

/// Whether something is held that the venue would take in an order. Without a quote that can't be known, and counts as held.
fn is_held(instrument: &Instrument, line: &InstrumentLine) -> bool {
    let Some(owned) = line.position.units().checked_abs().map(Qty::from_units) else { return true };
    if owned.is_zero() {
        return false;
    }
    let sellable = owned.floor_to(instrument.lot.step);
    if sellable.is_zero() || sellable < instrument.lot.min {
        return false;
    }
    let (Some(bid), Some(ask)) = (line.bid, line.ask) else { return true };
    let price = if line.position > Qty::ZERO { bid } else { ask };
    Cash::notional_floor(price, sellable).is_none_or(|worth| worth >= instrument.notional.min)
}

impl Control {
    /// What is held that the venue would take: symbol and quantity.
    pub(super) fn held(&mut self) -> Vec<(String, Qty)> {
        let lines = &self.parts.watcher.latest().instruments;
        let pairs = self.parts.table.all().iter().zip(lines);
        pairs
            .filter(|(i, line)| is_held(i, line))
            .map(|(_, line)| (line.symbol.clone(), line.position))
            .collect()
    }

    /// Whether the account is flat within this halt epoch, by the venue's word.
    pub(super) fn is_flat(&mut self, epoch: u64) -> bool {
        let agreed = self.parts.page.silent().0 >= epoch && self.parts.page.reconciled() >= epoch;
        // A snapshot is a moment old: what was filled since the venue's word must be in it.
        let told = self.parts.page.silent().1;
        agreed && self.parts.watcher.latest().fact_ns > told && self.held().is_empty()
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
