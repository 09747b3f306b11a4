//! When the engine rolls itself back to shadow (R-KILL-6): pure figures against bounds, one row each.

use super::EmergencyConfig;
use crate::types::time::{NS_PER_MIN, NS_PER_S};
use crate::types::{Cash, Reason};

/// What the control thread knows when it asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Times of trips, nanoseconds since the epoch, without drills.
    pub trips_ns: Vec<i64>,
    /// Cause of the trip in force; [`Reason::None`] while armed.
    pub tripped_by: Reason,
    /// Profit and loss of the day, after fees; `None` if it can't be computed.
    pub day_pnl: Option<Cash>,
    /// The day's loss limit; `None` if there is none.
    pub day_loss_limit: Option<Cash>,
    /// Since when the venue can't be reached, monotonic nanoseconds; `None` while it can.
    pub offline_since_mono_ns: Option<i64>,
    /// Now, since the epoch.
    pub now_ns: i64,
    /// Now, monotonic.
    pub now_mono_ns: i64,
}

/// A trigger that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollback {
    /// Its name.
    pub trigger: &'static str,
    /// With its figures.
    pub detail: String,
}

/// A row: what it finds, if it holds.
type Check = fn(&Observed, &EmergencyConfig) -> Option<String>;

/// The triggers. The first that holds is told.
pub const TRIGGERS: &[(&str, Check)] = &[
    ("REPEATED_TRIPS", repeated_trips),
    ("DAILY_LOSS", daily_loss),
    ("POSITION_UNEXPLAINED", position),
    ("CONNECTIVITY_LOST", connectivity),
];

/// The first trigger that holds.
pub fn first(observed: &Observed, config: &EmergencyConfig) -> Option<Rollback> {
    TRIGGERS
        .iter()
        .find_map(|(trigger, check)| check(observed, config).map(|detail| Rollback { trigger, detail }))
}

fn repeated_trips(observed: &Observed, config: &EmergencyConfig) -> Option<String> {
    let window_ns = super::incident::hours(config.rollback_window_h);
    let since_ns = observed.now_ns.saturating_sub(window_ns);
    // A time in the future is a clock that stepped back: counts.
    let trips = observed.trips_ns.iter().filter(|&&at| at > since_ns).count() as u64;
    (trips >= config.rollback_trips)
        .then(|| format!("{trips} trips in {} h (bound {})", config.rollback_window_h, config.rollback_trips))
}

fn daily_loss(observed: &Observed, config: &EmergencyConfig) -> Option<String> {
    let limit = observed.day_loss_limit?;
    // A loss that can't be computed is not "no loss"; but neither is it a figure. Lease and readiness hold back meanwhile.
    let pnl = observed.day_pnl?;
    let loss = i128::from(pnl.units()).checked_neg()?;
    let bound = i128::from(limit.units()).checked_mul(i128::from(config.rollback_loss_percent))?;
    (loss.checked_mul(100)? > bound).then(|| {
        format!("the day's result is {pnl}, over {} % of the limit {limit}", config.rollback_loss_percent)
    })
}

fn position(observed: &Observed, _config: &EmergencyConfig) -> Option<String> {
    matches!(observed.tripped_by, Reason::ReconcileMismatch | Reason::Overfill)
        .then(|| format!("tripped by {}", observed.tripped_by.name()))
}

fn connectivity(observed: &Observed, config: &EmergencyConfig) -> Option<String> {
    let since = observed.offline_since_mono_ns?;
    let bound_ns = i64::try_from(config.rollback_offline_min).ok()?.checked_mul(NS_PER_MIN)?;
    let gone_ns = observed.now_mono_ns.saturating_sub(since);
    (gone_ns > bound_ns).then(|| {
        format!(
            "the venue could not be reached for {} s (bound {} min)",
            gone_ns / NS_PER_S,
            config.rollback_offline_min
        )
    })
}
