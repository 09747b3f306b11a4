//! How orders fare: what fills cost against the middle of the quote when they were wanted, and how many of the orders that ended
//! at the venue were filled. What the reviews of R-KILL-6 look at.

use serde::{Deserialize, Serialize};

use super::snapshot::Snapshot;
use crate::event::ledger::{Change, Fill};
use crate::types::{OrderState, Price, Qty, Side};

/// Hundredths of a basis point in one.
const CENTI_BP: i128 = 1_000_000;

/// How the session's orders have fared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionLine {
    /// Orders that ended at the venue, without those that we withdrew before anything was filled.
    pub ended: u64,
    /// Those of them of which something was filled.
    pub filled: u64,
    /// Fills whose cost could be measured.
    pub measured: u64,
    /// Sum of their costs against the middle of the quote when they were wanted, hundredths of a basis point; negative = better.
    pub slippage_centi_bp: i64,
}

impl ExecutionLine {
    /// Average cost of a fill, hundredths of a basis point; `None` before the first.
    pub fn average_slippage(&self) -> Option<i64> {
        i64::try_from(self.measured).ok().filter(|n| *n > 0).map(|n| self.slippage_centi_bp / n)
    }

    /// Share of orders that were filled, percent, rounded down; `None` before the first ended.
    pub const fn fill_percent(&self) -> Option<u64> {
        match self.ended {
            0 => None,
            ended => Some(self.filled.saturating_mul(100) / ended),
        }
    }

    /// An order changed: what of it is filled by now, and the middle when it was wanted.
    pub(super) fn changed(&mut self, change: &Change, filled: Qty, middle: Option<Price>) {
        if let (Some(fill), Some(middle)) = (change.fill.filter(|fill| !fill.qty.is_zero()), middle) {
            self.measured += 1;
            self.slippage_centi_bp = self.slippage_centi_bp.saturating_add(cost_centi_bp(&fill, middle));
        }
        let ended_now = change.after.is_terminal() && !change.before.is_terminal();
        let has_fills = !filled.is_zero();
        let is_told = match change.after {
            OrderState::Filled | OrderState::Rejected | OrderState::Expired => true,
            OrderState::Cancelled => has_fills,
            _ => false,
        };
        if ended_now && is_told {
            self.ended += 1;
            self.filled += u64::from(has_fills || change.after == OrderState::Filled);
        }
    }
}

/// What a fill cost against a middle, hundredths of a basis point; negative = better than it.
pub fn cost_centi_bp(fill: &Fill, middle: Price) -> i64 {
    let worse = match fill.side {
        Side::Buy => i128::from(fill.price.units()) - i128::from(middle.units()),
        Side::Sell => i128::from(middle.units()) - i128::from(fill.price.units()),
    };
    let cost = worse.saturating_mul(CENTI_BP) / i128::from(middle.units()).max(1);
    i64::try_from(cost).unwrap_or(i64::MAX)
}

/// The line for people; empty before any order ended.
pub fn render(view: &Snapshot) -> String {
    let line = &view.execution;
    let Some(percent) = line.fill_percent() else { return String::new() };
    let cost = line.average_slippage().map_or_else(|| "-".to_owned(), |cost| cost.to_string());
    format!(
        "execution {percent} % of {} orders filled   average cost {cost} hundredths of a basis point over {} fills",
        line.ended, line.measured
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{AssetId, ClientOrderId, InstrumentId};

    fn change(after: OrderState, fill: Option<Fill>) -> Change {
        let (client, instrument) = (ClientOrderId(1), InstrumentId(0));
        let before = OrderState::Acknowledged;
        Change { client, instrument, before, after, fill, conflict: false, overfill: false }
    }

    #[test]
    fn r_kill_6_withdrawn_orders_do_not_count_and_expired_ones_do() {
        let mut line = ExecutionLine::default();
        assert_eq!(
            (line.fill_percent(), line.average_slippage()),
            (None, None),
            "nothing is known of nothing"
        );
        let some = Qty::from_units(5);
        line.changed(&change(OrderState::Cancelled, None), Qty::ZERO, None);
        line.changed(&change(OrderState::NotSent, None), Qty::ZERO, None);
        assert_eq!(line.ended, 0, "withdrawn, or never sent");
        line.changed(&change(OrderState::Expired, None), Qty::ZERO, None);
        line.changed(&change(OrderState::Rejected, None), Qty::ZERO, None);
        line.changed(&change(OrderState::Cancelled, None), some, None);
        line.changed(&change(OrderState::Filled, None), some, None);
        assert_eq!((line.ended, line.filled, line.fill_percent()), (4, 2, Some(50)));
    }

    #[test]
    fn a_cost_is_against_us_on_both_sides_and_is_measured_only_against_a_middle() {
        let fill = |side, price| Fill {
            side,
            maker: false,
            price: Price::from_units(price),
            qty: Qty::from_units(1),
            fee: Qty::ZERO,
            fee_asset: AssetId::UNKNOWN,
        };
        let middle = Price::from_units(1_000_000);
        assert_eq!(cost_centi_bp(&fill(Side::Buy, 1_000_100), middle), 100);
        assert_eq!(cost_centi_bp(&fill(Side::Sell, 1_000_100), middle), -100);
        let mut line = ExecutionLine::default();
        let part = change(OrderState::PartiallyFilled, Some(fill(Side::Buy, 1_000_300)));
        line.changed(&part, Qty::from_units(1), None);
        assert_eq!(line.measured, 0);
        line.changed(&part, Qty::from_units(1), Some(middle));
        line.changed(
            &change(OrderState::PartiallyFilled, Some(fill(Side::Sell, 1_000_100))),
            Qty::ZERO,
            Some(middle),
        );
        assert_eq!((line.measured, line.average_slippage()), (2, Some(100)));
    }
}
