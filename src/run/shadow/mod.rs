//! Shadow: a venue's market data through the same stages, and nothing behind risk. No order can leave by construction (R-MODE-2):
//! in the place of the gateway stands the [`Witness`], which has no door; the account side is of a type without a value, so no
//! session can be logged on; no key is read. Each decision is recorded instead.

mod collect;
mod follow;
mod safety;
mod scribe;
mod witness;

use std::sync::Arc;

use crossbeam_queue::ArrayQueue;

pub use collect::{Collector, Decided, Line as DecisionLine, Tally};
pub use follow::{Assumptions, Follower, Outcome, Standing};
pub use safety::{CHECKS, Check, Safety, Unsafe};
pub use scribe::{About, Scribe};
pub use witness::{Witness, WitnessRings};

use crate::feed::{FeedConfig, MarketSide};
use crate::risk::Risk;
use crate::signal::Signal;
use crate::types::time::{NS_PER_S, NS_PER_US};
use crate::types::{AssetId, Qty, Reason};
use crate::wire::link::{Connector, Link, LinkState};

use super::line::{Assemble, Front, Line, Shared, build_front};
use super::plan::{Mode, Plan};

/// What the scribe gets from the collector.
pub type Collected = (Arc<ArrayQueue<DecisionLine>>, Arc<Tally>);

/// The collector of a session that records its decisions: shadow always, paper unless it is told not to.
pub(super) fn collection(plan: &Plan, instruments: usize) -> Option<(Collector, Collected)> {
    if !(plan.mode == Mode::Shadow || plan.mode == Mode::Paper && plan.shadow.in_paper) {
        return None;
    }
    let horizons_ns = plan.shadow.horizons_s.iter().map(|s| i64::from(*s) * NS_PER_S).collect();
    let assumptions = Assumptions {
        latency_ns: i64::try_from(plan.paper.latency_max_us).unwrap_or(i64::MAX).saturating_mul(NS_PER_US),
        maker_centi_bp: i64::from(plan.paper.maker_fee_centi_bp),
        taker_centi_bp: i64::from(plan.paper.taker_fee_centi_bp),
        horizons_ns,
        followed_max: usize::try_from(plan.shadow.followed_max).unwrap_or(usize::MAX),
    };
    let (collector, lines, tally) = Collector::new(assumptions, instruments);
    Some((collector, (lines, tally)))
}

/// A link that can't be: shadow's account side is of this type, so that there is none.
#[derive(Debug)]
pub enum NoLink {}

impl Link for NoLink {
    fn drive(&mut self, _mono_ns: i64) -> LinkState {
        match *self {}
    }
    fn read(&mut self, _into: &mut [u8]) -> Result<usize, Reason> {
        match *self {}
    }
    fn write(&mut self, _bytes: &[u8]) -> Result<(), Reason> {
        match *self {}
    }
    fn is_flushed(&self) -> bool {
        match *self {}
    }
    fn close(&mut self) {
        match *self {}
    }
}

impl Connector for NoLink {
    type Link = Self;
    fn open(&mut self, _mono_ns: i64) -> Self {
        match *self {}
    }
}

/// What a shadow line is made of: no door, no limits of a venue, no account.
#[derive(Debug)]
pub struct ShadowParts<M: Connector> {
    /// Feed's figures.
    pub feed: FeedConfig,
    /// The market side.
    pub market: MarketSide<M>,
    /// Signal, with its strategies.
    pub signal: Signal,
    /// Risk.
    pub risk: Risk,
    /// The money that is assumed.
    pub balances: Vec<(AssetId, Qty)>,
}

impl<M: Connector + 'static> Assemble for ShadowParts<M> {
    fn assemble(self, shared: &Shared) -> Line {
        let Self { feed, market, signal, risk, balances } = self;
        let front = Front::<M, NoLink> { feed, market, account: None, signal, risk, forward_market: false };
        let ([feed, signal, risk], back, ends) = build_front(front, shared);
        let rings = WitnessRings { input: back.input, returns: back.returns, journal: back.journal };
        let common = (Arc::clone(&shared.page), Arc::clone(&shared.counters));
        let witness = Witness::new(rings, common, balances);
        Line { stages: [feed, signal, risk, Box::new(witness)], ends }
    }
}
