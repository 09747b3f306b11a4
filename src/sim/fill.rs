//! The paper fill model: what a venue would have made of our orders, judged from the facts that everyone sees.
//!
//! It is driven by facts and by the time that they carry, never by a clock. It invents nothing: no fill without liquidity
//! that was shown or a trade that happened.

use crate::event::{Body, Fact, Order};
use crate::types::instrument::Multiplier;
use crate::types::{AssetId, ClientOrderId, InstrumentId, InstrumentTable, Qty};

/// How long a message is on its way, one way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Latency {
    /// Always this long.
    Constant {
        /// Nanoseconds.
        ns: i64,
    },
    /// Evenly spread, drawn from the model's seed.
    Uniform {
        /// Shortest, nanoseconds.
        min_ns: i64,
        /// Longest, nanoseconds.
        max_ns: i64,
    },
}

/// How the model is set up.
#[derive(Clone, Debug)]
pub struct FillConfig {
    /// From us to the venue.
    pub request_latency: Latency,
    /// From the venue to us.
    pub report_latency: Latency,
    /// Fee of fills as maker, of what is received, in `1e-8`.
    pub maker_rate: Multiplier,
    /// Fee of fills as taker, of what is received, in `1e-8`.
    pub taker_rate: Multiplier,
    /// What the paper account starts with; assets not named start at zero.
    pub balances: Vec<(AssetId, Qty)>,
    /// For latencies.
    pub seed: u64,
}

/// The model.
#[derive(Debug)]
pub struct FillModel {
    _table: InstrumentTable,
    _config: FillConfig,
}

impl FillModel {
    /// A model over the session's instruments.
    pub fn new(table: &InstrumentTable, config: FillConfig) -> Self {
        Self { _table: table.clone(), _config: config }
    }

    /// Takes a request as the order session would: place, cancel, replace or cancel-all, by its action. Answers come from
    /// [`FillModel::poll`], after the latency.
    pub fn place(&mut self, _order: &Order, _now_ns: i64) {}

    /// Cancels one order.
    pub fn cancel(&mut self, _instrument: InstrumentId, _target: ClientOrderId, _now_ns: i64) {}

    /// Sees what everyone sees. Feed it every market fact, in order.
    pub fn on_fact(&mut self, _fact: &Fact) {}

    /// Hands over what has reached us by `now_ns`, oldest first.
    pub fn poll(&mut self, _now_ns: i64, _out: &mut impl FnMut(Body)) {}

    /// How many orders are working or on their way.
    pub fn open_orders(&self) -> usize {
        0
    }
}
