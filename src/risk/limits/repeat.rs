//! The repeated-execution throttle (C9; RTS 6 Art. 15(3)) and the strategies' switch: what a strategy does again and again, it
//! does until someone has looked.

use super::config::RepeatConfig;
use super::window::Times;
use crate::event::{CarriedLatch, CarriedTimes, Carry};
use crate::limits::STRATEGIES_MAX;
use crate::types::time::NS_PER_S;
use crate::types::{Reason, StrategyId};

/// All strategies.
#[derive(Clone, Debug)]
pub(in crate::risk) struct Repeat {
    holds: bool,
    window_ns: i64,
    strategies: Box<[Repeated]>,
}

#[derive(Clone, Debug)]
struct Repeated {
    /// Why it may not enter, until a named person enables it.
    disabled: Option<Reason>,
    /// Entries that may still be executed for the first time.
    pending: usize,
    executed: Times,
    /// Entries that the venue refused.
    refused: Times,
}

impl Repeat {
    pub(in crate::risk) fn new(config: &RepeatConfig) -> Self {
        let one = Repeated {
            disabled: None,
            pending: 0,
            executed: Times::new(config.executions_max),
            refused: Times::new(config.refusals_max),
        };
        Self {
            holds: config.apply.holds(),
            window_ns: i64::from(config.window_s) * NS_PER_S,
            strategies: vec![one; STRATEGIES_MAX].into_boxed_slice(),
        }
    }

    fn of(&mut self, strategy: StrategyId) -> Option<&mut Repeated> {
        self.strategies.get_mut(usize::from(strategy.0))
    }

    /// An entry of the strategy began or ceased to wait for its first fill.
    pub(in crate::risk) fn on_pending(&mut self, strategy: StrategyId, before: bool, after: bool) {
        if let Some(its) = self.of(strategy) {
            its.pending = its.pending + usize::from(after) - usize::from(before);
        }
    }

    /// An entry of the strategy was executed, at least in part.
    pub(in crate::risk) fn on_execution(&mut self, strategy: StrategyId, now_ns: i64) {
        let (holds, window_ns) = (self.holds, self.window_ns);
        let Some(its) = self.of(strategy) else { return };
        its.executed.enter(now_ns);
        if holds && its.executed.are_full(0, now_ns, window_ns) {
            its.disabled.get_or_insert(Reason::RepeatThrottle);
        }
    }

    /// The venue refused an entry of the strategy. What is refused again and again is sent again and again, until the venue
    /// refuses the whole account (F20); this holds in every mode.
    pub(in crate::risk) fn on_refusal(&mut self, strategy: StrategyId, now_ns: i64) {
        let window_ns = self.window_ns;
        let Some(its) = self.of(strategy) else { return };
        its.refused.enter(now_ns);
        if its.refused.are_full(0, now_ns, window_ns) {
            its.disabled.get_or_insert(Reason::RepeatThrottle);
        }
    }

    /// A named person's command. Enabled, it begins to count anew.
    pub(in crate::risk) fn on_switch(&mut self, strategy: StrategyId, enable: bool) {
        let Some(its) = self.of(strategy) else { return };
        if enable {
            its.disabled = None;
            its.executed.clear();
            its.refused.clear();
        } else {
            its.disabled = Some(Reason::StrategyDisabled);
        }
    }

    /// It was disabled in an earlier session, and nobody has enabled it since.
    pub(in crate::risk) fn latch(&mut self, latch: CarriedLatch) {
        if let Some(its) = self.of(latch.strategy) {
            its.disabled = Some(latch.why);
        }
    }
    /// What was executed in earlier sessions, lately.
    pub(in crate::risk) fn restore_executed(&mut self, times: &CarriedTimes) {
        if let Some(its) = self.of(times.strategy) {
            enter_groups(&mut its.executed, times);
        }
    }
    /// What the venue refused in earlier sessions, lately.
    pub(in crate::risk) fn restore_refused(&mut self, times: &CarriedTimes) {
        if let Some(its) = self.of(times.strategy) {
            enter_groups(&mut its.refused, times);
        }
    }
    /// What the next session has to know.
    pub(in crate::risk) fn carried(&self, now_ns: i64) -> impl Iterator<Item = Carry> + '_ {
        (0u8..).map(StrategyId).zip(self.strategies.iter()).flat_map(move |(strategy, its)| {
            let lately = |times: &Times| {
                let within: Vec<i64> = times.within(now_ns, self.window_ns).collect();
                CarriedTimes::of(strategy, &within)
            };
            let latch = its.disabled.map(|why| Carry::Latch(CarriedLatch { strategy, why }));
            let executed = lately(&its.executed).map(Carry::Executed);
            let refused = lately(&its.refused).map(Carry::VenueRefused);
            latch.into_iter().chain(executed).chain(refused)
        })
    }

    /// Why the strategy may not enter.
    pub(in crate::risk) fn disabled(&self, strategy: StrategyId) -> Option<Reason> {
        self.strategies.get(usize::from(strategy.0)).and_then(|its| its.disabled)
    }

    pub(in crate::risk) fn switch(&self, strategy: StrategyId) -> Result<(), Reason> {
        self.disabled(strategy).map_or(Ok(()), Err)
    }

    /// Whether another entry could be executed within the bound: those that wait count as if they were.
    pub(in crate::risk) fn room(&self, strategy: StrategyId, now_ns: i64) -> Result<(), Reason> {
        let Some(its) = self.strategies.get(usize::from(strategy.0)) else { return Ok(()) };
        if self.holds && its.executed.are_full(its.pending, now_ns, self.window_ns) {
            return Err(Reason::RepeatThrottle);
        }
        Ok(())
    }
}

fn enter_groups(times: &mut Times, carried: &CarriedTimes) {
    for (at_ns, count) in carried.groups() {
        for _ in 0..count {
            times.enter(at_ns);
        }
    }
}
