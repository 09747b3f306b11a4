//! What became of the orders that were asked for (R-LIM-11): execution rate, turnover block rate, refusals by reason. Computed
//! from the engine's counters; without an order there is no rate, rather than a good one.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::status::Status;
use crate::shared::Counter;
use crate::types::Reason;

/// The rates of a session so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rates {
    /// New orders that strategies and operators asked for.
    pub generated: u64,
    /// Those that risk approved.
    pub approved: u64,
    /// Orders executed, at least in part.
    pub executed: u64,
    /// `executed / generated` in hundredths of a percent; absent before the first order.
    pub execution_rate_bp: Option<u64>,
    /// New entries that were approved.
    pub entries_approved: u64,
    /// Entries that the turnover governor held back.
    pub turnover_blocked: u64,
    /// `turnover_blocked / (turnover_blocked + entries_approved)` in hundredths of a percent; absent before the first entry.
    pub turnover_block_rate_bp: Option<u64>,
    /// Refusals by reason, risk's and the gateway's.
    pub refusals: BTreeMap<String, u64>,
}

fn share_bp(part: u64, whole: u64) -> Option<u64> {
    let share = (u128::from(part) * 10_000).checked_div(u128::from(whole))?;
    u64::try_from(share).ok()
}

fn percent(bp: Option<u64>) -> String {
    bp.map_or_else(|| "-".to_owned(), |bp| format!("{}.{:02} %", bp / 100, bp % 100))
}

impl Rates {
    /// From the counters by name.
    pub fn new(counters: &BTreeMap<String, u64>, refusals: &BTreeMap<String, u64>) -> Self {
        let get = |counter: Counter| counters.get(counter.name()).copied().unwrap_or(0);
        let (generated, executed) = (get(Counter::OrdersGenerated), get(Counter::OrdersExecuted));
        let (entries, blocked) = (get(Counter::EntriesApproved), get(Counter::TurnoverBlocked));
        Self {
            generated,
            approved: get(Counter::OrdersApproved),
            executed,
            execution_rate_bp: share_bp(executed, generated),
            entries_approved: entries,
            turnover_blocked: blocked,
            turnover_block_rate_bp: share_bp(blocked, blocked.saturating_add(entries)),
            refusals: refusals.clone(),
        }
    }

    /// For people.
    pub fn render(&self) -> String {
        let mut text = format!(
            "orders: {} generated, {} approved, {} executed; execution rate {}\n\
             entries: {} approved, {} held back by the turnover governor; block rate {}",
            self.generated,
            self.approved,
            self.executed,
            percent(self.execution_rate_bp),
            self.entries_approved,
            self.turnover_blocked,
            percent(self.turnover_block_rate_bp)
        );
        let mut refusals: Vec<_> = self.refusals.iter().collect();
        refusals.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
        for (reason, count) in refusals {
            let _in_memory = write!(text, "\n  {count:>8}  {reason}");
        }
        text
    }
}

impl Status {
    /// What became of the orders that were asked for.
    pub fn rates(&self) -> Rates {
        Rates::new(&self.counters, &self.refusals)
    }
}

/// The refusals of a session by the reason's name, those that happened.
pub fn refusals(count: impl Fn(Reason) -> u64) -> BTreeMap<String, u64> {
    let counted = Reason::ALL.iter().map(|&reason| (reason.name().to_owned(), count(reason)));
    counted.filter(|(_, n)| *n > 0).collect()
}
