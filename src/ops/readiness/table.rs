//! The table of conditions (R-RDY-2), with the runbook's words.

use super::Verdict;
use super::signs::Signs;

/// One condition.
pub struct Condition {
    /// Its name, stable: the key in `components`.
    pub name: &'static str,
    /// The verdict when it is not met.
    pub otherwise: Verdict,
    /// Whether it also says that the system is well today, apart from going live.
    pub overall: bool,
    /// What to do when it is not met.
    pub action: &'static str,
    pub(super) check: fn(&Signs) -> Result<String, String>,
}

impl std::fmt::Debug for Condition {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// All of them.
pub const CONDITIONS: &[Condition] = &[
    Condition {
        name: "kill_switch",
        otherwise: Verdict::NoGo,
        overall: true,
        action: "find out why; remove data/live_kill_switch.txt or unset LIVE_KILL_SWITCH; then `interlock kill recover`",
        check: kill_switch,
    },
    Condition {
        name: "capital_preservation",
        otherwise: Verdict::NoGo,
        overall: true,
        action: "wait for the automatic recovery, never override; review what triggered the escalation",
        check: |signs| signs.preservation.clone(),
    },
    Condition {
        name: "shadow_health",
        otherwise: Verdict::NoGo,
        overall: true,
        action: "check that the shadow programme runs and records, then `interlock shadow health`",
        check: |signs| signs.shadow_health.clone(),
    },
    Condition {
        name: "allowlist",
        otherwise: Verdict::NoGo,
        overall: false,
        action: "set LIVE_SYMBOL_ALLOWLIST or gates.symbol_allowlist",
        check: allowlist,
    },
    Condition {
        name: "daily_report",
        otherwise: Verdict::NoGo,
        overall: true,
        action: "run `interlock shadow health`; check its timer",
        check: |signs| signs.daily_report.clone(),
    },
    Condition {
        name: "paper_streak",
        otherwise: Verdict::Conditional,
        overall: false,
        action: "go on with paper trading, every day",
        check: |signs| signs.paper_streak.clone(),
    },
    Condition {
        name: "paper_weeks",
        otherwise: Verdict::Conditional,
        overall: false,
        action: "go on with paper trading",
        check: |signs| signs.paper_weeks.clone(),
    },
    Condition {
        name: "heartbeat",
        otherwise: Verdict::Conditional,
        overall: true,
        action: "check that the shadow programme runs",
        check: |signs| signs.heartbeat.clone(),
    },
    Condition {
        name: "turnover_block_rate",
        otherwise: Verdict::Conditional,
        overall: false,
        action: "review the turnover governor: too tight above the band, too loose below it",
        check: |signs| signs.block_rate.clone(),
    },
    Condition {
        name: "execution_realism",
        otherwise: Verdict::Conditional,
        overall: false,
        action: "look at the slippage model; compare recent with earlier averages",
        check: |signs| signs.realism.clone(),
    },
    Condition {
        name: "critical_alerts",
        otherwise: Verdict::Conditional,
        overall: true,
        action: "review and resolve the alerts and their root causes",
        check: |signs| signs.alerts.clone(),
    },
];

fn kill_switch(signs: &Signs) -> Result<String, String> {
    if signs.stops.is_empty() {
        Ok("not active".to_owned())
    } else {
        Err(format!("Kill switch is active: {}", signs.stops.join("; ")))
    }
}

fn allowlist(signs: &Signs) -> Result<String, String> {
    match signs.allowlist.as_slice() {
        [] => Err("Live mode enabled but symbol allowlist is empty".to_owned()),
        some => Ok(some.join(", ")),
    }
}
