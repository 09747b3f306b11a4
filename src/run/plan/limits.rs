//! From the sections to the limits of a session: the tighter of `[risk]` and the bounded figures, and what `auto` means in a
//! mode. A function of the plan alone, so that a replay, which has the plan from the session's header, gets the same.

use super::{Mode, Plan};
use crate::risk::RiskConfig;

impl Plan {
    /// The limits that risk is made with.
    pub fn limits(&self) -> RiskConfig {
        let mut limits = self.risk.bounded_by(&self.bounded_live, &self.bounded_live_phase2);
        // A bounded session is in earnest, whatever stands at its ends.
        let demo = self.mode == Mode::Demo && !self.bounded_live.binds();
        limits.turnover.apply = limits.turnover.apply.resolved(demo);
        limits.repeat.apply = limits.repeat.apply.resolved(demo);
        limits
    }
}
