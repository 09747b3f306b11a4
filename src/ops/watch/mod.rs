//! What the engine did, as a person wants to see it: the journal's records folded into quotes, positions, orders and counts.
//!
//! [`View`] lives on the journal's thread and sees each record once, in order. About ten times a second it publishes a
//! [`Snapshot`] to whoever watches, through rings: a reader that stands still (a stopped control thread, a slow terminal)
//! loses snapshots and never holds the journal up. That rules out a lock, and also a queue whose two ends wait on one
//! another's half-done steps.
//!
//! It is for looking. Nothing is decided here, and figures that decide (exposure, limits) are risk's own.

mod execution;
mod fold;
pub mod layers;
mod snapshot;

pub use execution::{ExecutionLine, cost_centi_bp, render as render_execution};
pub use fold::View;
pub use snapshot::{
    BalanceLine, InstrumentLine, LayersLine, LinkLine, OrderLine, RefusalLine, Snapshot, StrategyLine,
    StreakLine, Totals,
};

use std::sync::Arc;

use rtrb::{Consumer, Producer};

/// Snapshots that a reader may lag behind before it misses some.
const SNAPSHOTS: usize = 4;

/// Where [`View`] publishes to.
#[derive(Debug)]
pub struct Publisher(Producer<Arc<Snapshot>>);

impl Publisher {
    /// Publishes, unless the reader lags: then it misses this one.
    pub fn publish(&mut self, snapshot: &Arc<Snapshot>) {
        let _missed = self.0.push(Arc::clone(snapshot)).is_err();
    }
}

/// A reader's end: always has a snapshot, an empty one at first.
#[derive(Debug)]
pub struct Watcher {
    ring: Consumer<Arc<Snapshot>>,
    latest: Arc<Snapshot>,
}

impl Watcher {
    /// The newest snapshot.
    pub fn latest(&mut self) -> &Arc<Snapshot> {
        while let Ok(newer) = self.ring.pop() {
            self.latest = newer;
        }
        &self.latest
    }
}

/// A pair for one reader.
pub fn channel() -> (Publisher, Watcher) {
    let (producer, consumer) = rtrb::RingBuffer::new(SNAPSHOTS);
    (Publisher(producer), Watcher { ring: consumer, latest: Arc::default() })
}
