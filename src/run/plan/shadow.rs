//! What shadow mode records of each decision, and what it assumes.

use serde::{Deserialize, Serialize};

/// Horizons that a decision may be followed over.
const HORIZONS_MAX: usize = 8;
/// Longest horizon: a day.
const HORIZON_S_MAX: u32 = 86_400;

/// Shadow: there is no gateway; each decision is recorded with what would have come of it (R-MODE-2, R-SHD-1). The money that
/// it assumes is `[paper.balances]`, its costs are paper's fees.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ShadowSection {
    /// How long after a decision its counterfactual result is taken, seconds, ascending.
    pub horizons_s: Vec<u32>,
    /// Decisions that are followed at once; those beyond are recorded without a counterfactual, and counted.
    pub followed_max: u32,
    /// Whether paper records its decisions too.
    pub in_paper: bool,
    /// The heartbeat file is renewed this often, seconds.
    pub heartbeat_s: u32,
}

impl Default for ShadowSection {
    fn default() -> Self {
        Self { horizons_s: vec![60, 300, 3_600], followed_max: 100_000, in_paper: true, heartbeat_s: 10 }
    }
}

impl ShadowSection {
    /// Whether the figures make sense; the error names key, value and bound.
    pub fn check(&self) -> Result<(), String> {
        let horizons = &self.horizons_s;
        if horizons.is_empty() || horizons.len() > HORIZONS_MAX {
            return Err(format!("shadow.horizons_s has {} entries; 1 to {HORIZONS_MAX}", horizons.len()));
        }
        if !horizons.is_sorted_by(|a, b| a < b) {
            return Err(format!("shadow.horizons_s = {horizons:?} must ascend"));
        }
        let outside = horizons.iter().find(|s| **s == 0 || **s > HORIZON_S_MAX);
        if let Some(seconds) = outside {
            return Err(format!("shadow.horizons_s holds {seconds}; each must be 1 to {HORIZON_S_MAX}"));
        }
        Ok(())
    }
}
