//! Is the market data alive? Judged by the data itself, stream by stream: a socket that answers pings and brings nothing is
//! dead (F24), and so is a subscription that never began (F26).

use crate::event::Body;
use crate::feed::config::{ExpectedStreams, FeedConfig};
use crate::limits::INSTRUMENTS_MAX;
use crate::types::InstrumentId;

/// When the streams of one connection last spoke (monotonic); `None`: not since it opened.
#[derive(Clone, Debug)]
pub struct Freshness {
    expected: ExpectedStreams,
    instruments: usize,
    stale_after_ns: i64,
    stream_stale_after_ns: i64,
    opened_ns: i64,
    any_ns: Option<i64>,
    quotes_ns: [Option<i64>; INSTRUMENTS_MAX],
    depth_ns: [Option<i64>; INSTRUMENTS_MAX],
    is_book_valid: [bool; INSTRUMENTS_MAX],
    /// Book updates and whole books that passed, for the counters.
    pub depth_updates: u64,
    /// Whole books.
    pub snapshots: u64,
}

impl Freshness {
    /// For a connection that is not open yet.
    pub fn new(config: &FeedConfig, instruments: usize) -> Self {
        Self {
            expected: config.streams,
            instruments: instruments.min(INSTRUMENTS_MAX),
            stale_after_ns: config.stale_after_ns,
            stream_stale_after_ns: config.stream_stale_after_ns,
            opened_ns: 0,
            any_ns: None,
            quotes_ns: [None; INSTRUMENTS_MAX],
            depth_ns: [None; INSTRUMENTS_MAX],
            is_book_valid: [false; INSTRUMENTS_MAX],
            depth_updates: 0,
            snapshots: 0,
        }
    }

    /// The connection opened: nothing has spoken yet.
    pub fn opened(&mut self, mono_ns: i64) {
        self.opened_ns = mono_ns;
        self.any_ns = None;
        self.quotes_ns = [None; INSTRUMENTS_MAX];
        self.depth_ns = [None; INSTRUMENTS_MAX];
        self.is_book_valid = [false; INSTRUMENTS_MAX];
    }

    /// A market message was understood, whether or not it became a fact (a book that waits for its snapshot only keeps its
    /// changes).
    #[inline]
    pub fn heard(&mut self, mono_ns: i64) {
        self.any_ns = Some(mono_ns);
    }

    /// A fact passes.
    #[inline]
    pub fn note(&mut self, body: &Body, mono_ns: i64) {
        match body {
            Body::Quote(quote) => set(&mut self.quotes_ns, quote.instrument, mono_ns),
            Body::Depth(depth) => {
                set(&mut self.depth_ns, depth.instrument, mono_ns);
                self.depth_updates += u64::from(depth.last && !depth.snapshot);
                self.snapshots += u64::from(depth.last && depth.snapshot);
            }
            Body::BookStatus(status) => {
                if let Some(valid) = self.is_book_valid.get_mut(status.instrument.index()) {
                    *valid = status.valid;
                }
                // A book's first moment counts as a sign of life: the changes that follow are due from then.
                if status.valid {
                    set(&mut self.depth_ns, status.instrument, mono_ns);
                }
            }
            _ => {}
        }
    }

    /// Whether every expected stream has spoken since the connection opened.
    pub fn is_complete(&self) -> bool {
        self.any_ns.is_some() && self.quotes().chain(self.depth()).all(|spoke| spoke.is_some())
    }

    /// Whether the connection, or one of its streams, has been silent for too long.
    pub fn is_stale(&self, mono_ns: i64) -> bool {
        let silent_ns = |spoke: Option<i64>| mono_ns - spoke.unwrap_or(self.opened_ns);
        let is_stale = |spoke: Option<i64>| silent_ns(spoke) > self.stream_stale_after_ns;
        // A book that waits for its snapshot gives no facts, and nothing trades on it: that is no fault of the stream.
        let mut books = self.depth().zip(&self.is_book_valid).filter(|(_, valid)| **valid);
        silent_ns(self.any_ns) > self.stale_after_ns
            || self.quotes().any(is_stale)
            || books.any(|(spoke, _)| is_stale(spoke))
    }

    fn quotes(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        let count = if self.expected.quotes { self.instruments } else { 0 };
        self.quotes_ns[..count].iter().copied()
    }

    fn depth(&self) -> impl Iterator<Item = Option<i64>> + '_ {
        let count = if self.expected.depth { self.instruments } else { 0 };
        self.depth_ns[..count].iter().copied()
    }
}

#[inline]
fn set(times: &mut [Option<i64>; INSTRUMENTS_MAX], at: InstrumentId, mono_ns: i64) {
    if let Some(time) = times.get_mut(at.index()) {
        *time = Some(mono_ns);
    }
}
