//! What outlives a session: positions, the day's result, streaks, the state of the layers, the pace of decisions,
//! latches. At boot it is rebuilt from the journal of the session before and enters the line as the very first facts, so
//! that signal and risk begin where they ended, and a replay begins there too.
//!
//! A carry-over is one [`Carry::Begin`], which says how many facts follow, and then those. They are on the
//! line before feed reads anything. Orders that had not ended come beside it, as `Body::Carried`.

use crate::types::{Cash, InstrumentId, PositionParts, Price, Reason, StrategyId, TradeId};

/// One piece of what is carried over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carry {
    /// The head.
    Begin(CarryHead),
    /// The sum of all fills on an instrument, whoever's.
    Net(CarriedPosition),
    /// A strategy's part of it.
    Own(CarriedPosition),
    /// The account's result and the layers that concern all of it.
    Account(CarriedAccount),
    /// A strategy's streak, switch and weight.
    Strategy(CarriedStrategy),
    /// The turnover governor's memory of an instrument.
    Pace(CarriedPace),
    /// A strategy that a named person must enable (C9).
    Latch(CarriedLatch),
    /// Executed entries of a strategy, lately (C9).
    Executed(CarriedTimes),
    /// Entries of a strategy that the venue refused, lately (C9, F20).
    VenueRefused(CarriedTimes),
}

/// Where the carry-over comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CarryHead {
    /// Number of the last journal record that is in it; 0 when there was no earlier session.
    pub journal_seq: u64,
    /// How many facts follow.
    pub follow: u16,
}

/// A position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedPosition {
    /// On what.
    pub instrument: InstrumentId,
    /// Whose; [`StrategyId::OPERATOR`] in [`Carry::Net`].
    pub strategy: StrategyId,
    /// The position with its exact sums.
    pub position: PositionParts,
    /// The venue's highest trade number that is booked in it (net only): what comes after it was missed.
    pub last_trade: TradeId,
    /// The middle that it was last valued at (net only); zero = none.
    pub mark: Price,
    /// Result on the instrument when the open trade began (a strategy's own only).
    pub opened: Cash,
}

/// The account's result, in the quote currency, and the layers over all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CarriedAccount {
    /// Result that stands in none of the carried positions: of instruments no longer traded, of accounts that are gone.
    pub settled: Cash,
    /// Result (realised, unrealised, fees) at the end, for people and checks; the line computes it anew.
    pub result: Cash,
    /// The highest result that was reached.
    pub peak: Cash,
    /// The lowest result since that peak.
    pub worst: Cash,
    /// Day, counted from the epoch, UTC.
    pub day: i32,
    /// Result when that day began.
    pub day_start: Cash,
    /// Entries of that day that were filled, at least in part.
    pub day_entries: u32,
    /// Round trips that ended, ever.
    pub trades: u32,
    /// L2: the day's loss limit was reached on that day.
    pub day_stopped: bool,
    /// L4: the emergency stop is in force.
    pub emergency: bool,
    /// Capital preservation: the level, 0 (normal) to 4 (lockdown).
    pub preservation: u8,
    /// Since when the level's time for recovery runs, nanoseconds since the epoch.
    pub preservation_ns: i64,
    /// Drawdown that has been served, in basis points: only a deeper one raises the level again.
    pub served_bp: u32,
}

/// What is carried over of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CarriedStrategy {
    /// Which.
    pub strategy: StrategyId,
    /// Losses in a row.
    pub losses: u32,
    /// Round trips that ended.
    pub trades: u32,
    /// L3: disabled until a named person enables it.
    pub disabled: bool,
    /// Weight in basis points (10 000 = full size).
    pub weight_bp: u32,
    /// Where it moves to, a step a day.
    pub target_bp: u32,
    /// The day, counted from the epoch, on which the weight was last moved.
    pub weight_day: i32,
}

/// The turnover governor's memory of an instrument (R-LIM-7): behind the instrument's [`Carry::Net`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct CarriedPace {
    /// Of what.
    pub instrument: InstrumentId,
    /// When an entry was last decided on, nanoseconds since the epoch; 0 = never.
    pub last_ns: i64,
    /// Day of that decision, counted from the epoch, UTC.
    pub day: i32,
    /// Decisions of that day.
    pub decisions: u32,
    /// Losing trades in a row.
    pub losses: u32,
    /// It rests until then, nanoseconds since the epoch; 0 = it does not.
    pub rest_until_ns: i64,
    /// Result of the instrument, fees taken off, when it was last flat: what the open trade is measured from.
    pub flat_result: Cash,
}

/// A strategy that may not enter until a named person enables it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedLatch {
    /// Which.
    pub strategy: StrategyId,
    /// Why: repeated executions or refusals, or a person.
    pub why: Reason,
}

/// Groups of a [`CarriedTimes`].
pub const TIME_GROUPS: usize = 8;

/// When something of a strategy happened within the window that still counts. Whatever number there was is told in
/// [`TIME_GROUPS`] groups, each at the time of its latest: it may count a little longer than it would have, never shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CarriedTimes {
    /// Which.
    pub strategy: StrategyId,
    /// Time of each group's latest, nanoseconds since the epoch, in order.
    pub at_ns: [i64; TIME_GROUPS],
    /// How many are in each group; 0 = no group.
    pub count: [u16; TIME_GROUPS],
}

impl CarriedTimes {
    /// Of times in order; `None` without any.
    pub fn of(strategy: StrategyId, times: &[i64]) -> Option<Self> {
        let size = times.len().div_ceil(TIME_GROUPS).max(1);
        let mut carried = Self { strategy, at_ns: [0; TIME_GROUPS], count: [0; TIME_GROUPS] };
        for (at, group) in times.chunks(size).enumerate() {
            carried.at_ns[at] = *group.last()?;
            carried.count[at] = u16::try_from(group.len()).unwrap_or(u16::MAX);
        }
        (!times.is_empty()).then_some(carried)
    }

    /// The groups that there are.
    pub fn groups(&self) -> impl Iterator<Item = (i64, u16)> + '_ {
        self.at_ns.into_iter().zip(self.count).filter(|(_, count)| *count > 0)
    }
}
