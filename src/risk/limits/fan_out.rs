//! Orders out per fact in (C16), by number and by value: what one fact causes, and what a window sees.

use super::config::FanOutConfig;
use super::window::Amounts;
use crate::types::time::NS_PER_S;
use crate::types::{Cash, Reason};

#[derive(Clone, Debug)]
pub(in crate::risk) struct FanOut {
    orders_per_fact_max: u32,
    value_per_fact_max: i128,
    value_per_window_max: i128,
    cause_seq: u64,
    orders: u32,
    value: i128,
    window: Amounts,
}

impl FanOut {
    pub(in crate::risk) fn new(config: &FanOutConfig) -> Self {
        Self {
            orders_per_fact_max: config.orders_per_fact_max,
            value_per_fact_max: config.value_per_fact_max.units().into(),
            value_per_window_max: config.value_per_window_max.units().into(),
            cause_seq: 0,
            orders: 0,
            value: 0,
            window: Amounts::new(config.orders_per_window_max, i64::from(config.window_s) * NS_PER_S),
        }
    }

    #[inline]
    pub(in crate::risk) fn on_time(&mut self, now_ns: i64) {
        self.window.expire(now_ns);
    }

    pub(in crate::risk) fn room(&self, cause_seq: u64, value: Cash) -> Result<(), Reason> {
        let value = i128::from(value.units());
        let (orders, caused) = if cause_seq == self.cause_seq { (self.orders, self.value) } else { (0, 0) };
        let fits = orders < self.orders_per_fact_max
            && caused + value <= self.value_per_fact_max
            && !self.window.is_full()
            && self.window.sum() + value <= self.value_per_window_max;
        if fits { Ok(()) } else { Err(Reason::FanOut) }
    }

    pub(in crate::risk) fn on_approval(&mut self, cause_seq: u64, value: Cash, now_ns: i64) {
        if cause_seq != self.cause_seq {
            (self.cause_seq, self.orders, self.value) = (cause_seq, 0, 0);
        }
        self.orders += 1;
        self.value += i128::from(value.units());
        self.window.enter(now_ns, value);
    }
}
