//! What follows a trip, and what is done when things go wrong (R-KILL-6, R-KILL-7, R-KILL-8, R-GOV-3).
//!
//! - [`incident`]: the record of what happened, in `data/incidents/`: level, cause, actions, profit and loss, positions; its
//!   post-mortem is due a day later.
//! - [`holds`]: what may not be started until a named person says so: rollbacks, and "into paper first" after an emergency
//!   stop. One file each; what can't be read holds everything back.
//! - [`trigger`]: when the engine rolls itself back to shadow: three trips in a day, a loss far over the limit, a position
//!   that nobody can explain, a venue that could not be reached for half an hour.
//! - [`review`]: when a person must look at how orders fare. It rolls nothing back.
//! - [`trips`]: the memory of trips that the first of these is taken from.
//! - [`halted`]: which trips end the process, with the code that no supervisor restarts.
//!
//! Nothing in here lowers a level or arms.

pub mod halted;
pub mod holds;
pub mod incident;
pub mod review;
pub mod trigger;
pub mod trips;

use serde::{Deserialize, Serialize};

/// The section `[emergency]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EmergencyConfig {
    /// Modes in which the engine rolls itself back. `live` always counts, named or not.
    pub rollback_modes: Vec<String>,
    /// So many trips within the window are a rollback (drills don't count). Seed: 3.
    pub rollback_trips: u64,
    /// The window, hours. Seed: 24.
    pub rollback_window_h: u64,
    /// A day's loss beyond this share of the limit is a rollback, percent. Seed: 150.
    pub rollback_loss_percent: u64,
    /// A venue that could not be reached for so long is a rollback, minutes. Seed: 30.
    pub rollback_offline_min: u64,
    /// What a fill is expected to cost against the middle of the quote when it was wanted, hundredths of a basis point.
    pub review_slippage_expected_centi_bp: u64,
    /// Fills that cost more than this share of it, on average, are a review, percent. Seed: 200.
    pub review_slippage_percent: u64,
    /// So many percent of the orders that end at the venue are to be filled; fewer are a review. Orders that we withdrew before
    /// anything was filled don't count. Seed: 90.
    pub review_fill_percent_min: u64,
    /// Fewer orders (or fills) than this say nothing.
    pub review_orders_min: u64,
    /// When an incident's post-mortem is due, hours after it was opened. Seed: 24.
    pub post_mortem_h: u64,
    /// After an emergency stop: how long paper must have run, armed and without a trip, before an account is traded again.
    pub paper_first_s: u64,
    /// How long an engine that ends on an operational fault waits for the venue's answer that nothing is open.
    pub halt_within_s: u64,
    /// The watchdog trips when the control thread has not moved for so long, milliseconds. More than `kill.stall_after_ms`,
    /// so that a thread that comes back tells of it itself.
    pub watchdog_ms: u64,
    /// The same for the REST thread, seconds: it may wait for the network, but every request of its has an end.
    pub rest_stall_s: u64,
}

impl Default for EmergencyConfig {
    fn default() -> Self {
        Self {
            rollback_modes: vec!["live".to_owned(), "testnet".to_owned()],
            rollback_trips: 3,
            rollback_window_h: 24,
            rollback_loss_percent: 150,
            rollback_offline_min: 30,
            review_slippage_expected_centi_bp: 200,
            review_slippage_percent: 200,
            review_fill_percent_min: 90,
            review_orders_min: 20,
            post_mortem_h: 24,
            paper_first_s: 600,
            halt_within_s: 30,
            watchdog_ms: 5_000,
            rest_stall_s: 120,
        }
    }
}

impl EmergencyConfig {
    /// Whether the engine rolls itself back in this mode.
    pub fn rolls_back_in(&self, mode: &str) -> bool {
        mode == "live" || self.rollback_modes.iter().any(|m| m == mode)
    }
}
