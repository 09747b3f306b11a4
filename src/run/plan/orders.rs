//! The sections about orders that outlive a decision: exits that the engine manages, and the reconcile.

use serde::{Deserialize, Serialize};

/// What the reconcile does with an open order on the account that bears none of our ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForeignOrders {
    /// Tell of it (`FOREIGN_ORDER`) and leave it alone.
    #[default]
    Report,
    /// Halt: nobody else may trade on the account.
    Halt,
}

/// Comparing our record with the venue's (R-ORD-3).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReconcileSection {
    /// How often orders, fills, positions and balances are compared with the venue's, seconds. At start, after each reconnect
    /// and on demand they are in any case.
    pub every_s: u64,
    /// When the last comparison that balanced is older than this, the lease is not renewed: an engine that can't know whether
    /// its books are right takes no new risk.
    pub max_age_s: u64,
    /// How often a difference is looked at again before it counts. Each time everything is asked anew; a difference that is
    /// only a message on its way is gone by then.
    pub confirmations: u32,
    /// Open orders that are not ours.
    pub foreign_orders: ForeignOrders,
}

impl Default for ReconcileSection {
    fn default() -> Self {
        Self { every_s: 30, max_age_s: 300, confirmations: 3, foreign_orders: ForeignOrders::default() }
    }
}

/// Exits that the engine manages by itself (R-ORD-2): raised by the signal stage from its own fold of the fills, reduce-only,
/// after a restart as before it. 0 = none of that kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ExitsSection {
    /// A long position is closed when the best bid is this far below its average price, hundredths of a percent.
    pub stop_loss_bp: u32,
    /// ... when the best bid is this far above it.
    pub take_profit_bp: u32,
    /// ... when the best bid is this far below the highest best bid since the position was opened (of this session).
    pub trailing_bp: u32,
}
