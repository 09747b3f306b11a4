//! The market streams' session: messages in, facts out, books kept in step with the venue.

use crate::event::{Body, Depth};
use crate::types::{InstrumentId, InstrumentTable, Now, Reason};
use crate::venue::Malformed;
use crate::wire::json::Padded;

/// Which depth stream is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DepthStream {
    /// None.
    Off,
    /// Changes every 100 ms (`@depth@100ms`), with a REST snapshot to start from.
    Diff,
    /// The best 5, 10 or 20 levels every 100 ms (`@depth20@100ms`): each message is the whole book.
    Partial(u8),
}

/// What to subscribe to, for every instrument of the table.
#[derive(Clone, Copy, Debug)]
pub struct MarketConfig {
    /// `@bookTicker`.
    pub quotes: bool,
    /// `@trade`.
    pub trades: bool,
    /// `@depth...`.
    pub depth: DepthStream,
    /// Ask for times in microseconds.
    pub microseconds: bool,
}

impl Default for MarketConfig {
    fn default() -> Self {
        Self { quotes: true, trades: true, depth: DepthStream::Diff, microseconds: true }
    }
}

/// What a message was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketEvent {
    /// Market data; its facts were given out.
    Data,
    /// The venue will close the connection soon: open another.
    ServerShutdown,
    /// A request of ours (subscribe) was done.
    Ack,
    /// A request of ours was refused, with the venue's code.
    Refused {
        /// The venue's error code.
        code: i32,
    },
    /// Of no concern: an event or a symbol that we did not ask for, or an update that we have already.
    Ignored,
}

/// What was met and left aside, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MarketCounters {
    /// Messages that the scanner read.
    pub scanned: u64,
    /// Messages that `simd-json` read.
    pub parsed: u64,
    /// Messages that neither could read.
    pub malformed: u64,
    /// Messages about symbols that are not in the table.
    pub symbols_unknown: u64,
    /// Events that we know of no use for.
    pub events_unknown: u64,
    /// Depth updates that were older than the book.
    pub depth_stale: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Snapshots that came too old.
    pub snapshots_old: u64,
    /// Quotes and trades left out because the line was full.
    pub conflated: u64,
}

/// The session over one market-data connection.
#[derive(Debug)]
pub struct MarketSession {
    counters: MarketCounters,
}

impl MarketSession {
    /// A session for every instrument of the table.
    pub fn new(_table: &InstrumentTable, _config: MarketConfig) -> Self {
        Self { counters: MarketCounters::default() }
    }
    /// Path and query to open: all streams named, so that nothing need be sent.
    pub fn path(&self) -> String {
        String::new()
    }
    /// The same streams as a `SUBSCRIBE` request, for a connection opened at `/stream`.
    pub fn subscribe_text(&self, _id: u32) -> String {
        String::new()
    }
    /// The connection is open: books wait for their snapshots.
    pub fn handle_open(&mut self, _now: Now) {}
    /// The connection is gone: every book becomes invalid.
    pub fn handle_closed(&mut self, _reason: Reason, _out: &mut impl FnMut(Body) -> bool) {}
    /// One message. `out` answers false when the line is full.
    pub fn handle_text(
        &mut self,
        _message: Padded<'_>,
        _now: Now,
        _out: &mut impl FnMut(Body) -> bool,
    ) -> Result<MarketEvent, Malformed> {
        Ok(MarketEvent::Ignored)
    }
    /// Gives out what was held back because the line was full. Call it in each poll; cheap when there is nothing.
    pub fn poll(&mut self, _now: Now, _out: &mut impl FnMut(Body) -> bool) {}
    /// Whether the connection nears the venue's 24 hours.
    pub fn poll_renewal(&self, _now: Now) -> bool {
        false
    }
    /// An instrument whose book needs a REST snapshot now. Each is named once per request.
    pub fn poll_snapshot_request(&mut self, _now: Now) -> Option<InstrumentId> {
        None
    }
    /// A piece of the snapshot (`snapshot: true`), in order from `first` to `last`.
    pub fn handle_snapshot_piece(&mut self, _piece: &Depth, _now: Now, _out: &mut impl FnMut(Body) -> bool) {}
    /// The snapshot could not be had: asked again after a back-off.
    pub fn handle_snapshot_failed(&mut self, _instrument: InstrumentId, _now: Now) {}
    /// Declares a book invalid for a reason of the caller's, and starts over.
    pub fn invalidate(
        &mut self,
        _instrument: InstrumentId,
        _reason: Reason,
        _now: Now,
        _out: &mut impl FnMut(Body) -> bool,
    ) {
    }
    /// What was left aside.
    pub fn counters(&self) -> MarketCounters {
        self.counters
    }
}
