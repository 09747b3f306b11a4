//! Stage 3, the only maker of [`Approved`] orders: a table of short pure checks over a fold of the facts.
//!
//! Exposure is reserved when an order is approved and released only by a fact. Cancels always pass.

mod approved;
mod kill;

use crate::event::{Fact, Order, Stamps};
use crate::types::Reason;

pub use approved::Approved;
pub use kill::{KillSource, PageSource, RecordedSource, halt_allows};

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
