//! The one place where facts get their number and their time, and where they enter the journal ring and the line.
//!
//! The rules (R-HOT-8), each with a test in `tests/it/feed.rs`:
//! - Numbers have no gap and times never decrease.
//! - A fact is in the journal ring before it is on the line, or it is on neither.
//! - Market data may fill the line only up to its capacity minus the reserve. Beyond that a quote replaces the one that waits
//!   (the next one that passes says `conflated`), a trade is left out (the next one says `conflated`), and a piece of depth is
//!   refused: the book is then invalid until its next snapshot.
//! - Private facts, commands, replies, link and book status use the reserve. One that finds no room waits here, in order; it is
//!   never dropped, and the sources that it came from are not read while anything waits.
//! - A full journal ring trips the kill page: what can't be recorded must not be traded on.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::agent::Clock;
use crate::agent::line_ring::Writer;
use crate::agent::ring::Producer;
use crate::event::{Body, Fact, Quote, Record, Slot, Stamps};
use crate::limits::{ASSETS_MAX, INSTRUMENTS_MAX};
use crate::shared::{Counter, Counters, HaltLevel, KillPage};
use crate::types::{InstrumentId, Now, Reason};

/// Facts that one private message may become (an account position lists every asset) with room to spare. More is not lost
/// either: the waiting list then grows, which costs an allocation.
const WAITING_TYPICAL: usize = 4 * ASSETS_MAX;

/// What was left out of an instrument's stream.
#[derive(Clone, Copy, Debug, Default)]
struct LeftOut {
    quote: Option<Quote>,
    trade: bool,
    depth: bool,
}

/// Numbers facts and puts them into the rings.
#[derive(Debug)]
pub struct Outlet {
    journal: Producer<Record>,
    line: Writer<Slot<Fact>>,
    page: Arc<KillPage>,
    counters: Arc<Counters>,
    clock: Clock,
    next_seq: u64,
    recv_ns: i64,
    /// Raw ticks of the read that the facts now pushed came from; 0 between reads.
    read_ticks: u64,
    last_decoded_ticks: u32,
    reserve: usize,
    /// A lower bound of the free slots of the line: only the consumer changes the truth, and only upwards.
    line_room: usize,
    waiting: VecDeque<Body>,
    left_out: [LeftOut; INSTRUMENTS_MAX],
    quotes_held: usize,
}

impl Outlet {
    /// Over the two rings. The first fact gets number 1.
    pub fn new(
        (journal, line): (Producer<Record>, Writer<Slot<Fact>>),
        reserve: usize,
        (page, counters): (Arc<KillPage>, Arc<Counters>),
        clock: Clock,
    ) -> Self {
        let capacity = line.capacity();
        assert!(
            reserve * 2 < capacity,
            "reserve {reserve} leaves market data too little of {capacity} line slots"
        );
        Self {
            line_room: line.slots(),
            journal,
            line,
            page,
            counters,
            clock,
            next_seq: 1,
            recv_ns: i64::MIN,
            read_ticks: 0,
            last_decoded_ticks: 0,
            reserve,
            waiting: VecDeque::with_capacity(WAITING_TYPICAL),
            left_out: [LeftOut::default(); INSTRUMENTS_MAX],
            quotes_held: 0,
        }
    }

    /// A cycle begins: its time is that of its facts, and what waits goes first.
    pub fn begin(&mut self, now: Now) {
        self.recv_ns = self.recv_ns.max(now.ns);
        self.read_ticks = 0;
        while let Some(&body) = self.waiting.front() {
            if !self.put(body) {
                return;
            }
            self.waiting.pop_front();
        }
        if self.quotes_held > 0 {
            self.release_quotes();
        }
    }

    /// The facts that follow came from a read that returned at `ticks`; 0: from no read that is worth measuring.
    #[inline]
    pub fn read_at(&mut self, ticks: u64) {
        self.read_ticks = ticks;
        self.last_decoded_ticks = 0;
    }

    /// Ticks from the read to the last fact since the last call; 0 when there was none.
    #[inline]
    pub fn take_decoded(&mut self) -> u32 {
        core::mem::take(&mut self.last_decoded_ticks)
    }

    /// Takes whatever a venue session says. `false`: a piece of depth was refused, the book is broken.
    #[inline]
    pub fn take(&mut self, body: Body) -> bool {
        match body {
            Body::Quote(_) | Body::Trade(_) | Body::Depth(_) => self.market(body),
            Body::BookStatus(_)
            | Body::Bar(_)
            | Body::Link(_)
            | Body::Order(_)
            | Body::Reply(_)
            | Body::Balance(_)
            | Body::Command(_)
            | Body::Timer
            | Body::ClockOffset(_)
            | Body::Carry(_)
            | Body::Carried(_)
            | Body::Stop(_) => {
                self.private(body);
                true
            }
        }
    }

    /// A fact that must not be lost.
    pub fn private(&mut self, body: Body) {
        if !self.waiting.is_empty() || !self.put(body) {
            self.waiting.push_back(body);
        }
    }

    /// Whether something waits for room: its sources are not to be read.
    pub fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Whether market data has at least `slots` of room.
    pub fn has_market_room(&mut self, slots: usize) -> bool {
        if self.line_room < self.reserve + slots {
            self.line_room = self.line.slots();
        }
        self.line_room >= self.reserve + slots
    }

    /// Number of the last fact; 0 before the first.
    pub fn last_seq(&self) -> u64 {
        self.next_seq - 1
    }

    #[inline]
    fn market(&mut self, mut body: Body) -> bool {
        let at = match &body {
            Body::Quote(quote) => quote.instrument,
            Body::Trade(trade) => trade.instrument,
            Body::Depth(depth) => depth.instrument,
            _ => return self.put(body),
        };
        let Some(left_out) = self.left_out.get_mut(at.index()) else {
            return true; // not an instrument of this session: the codec never makes one
        };
        match &mut body {
            Body::Quote(quote) => quote.conflated |= left_out.quote.is_some(),
            Body::Trade(trade) => trade.conflated |= left_out.trade,
            // Until a whole new book begins, changes would be applied to a book that lacks some.
            Body::Depth(depth) if left_out.depth && !(depth.snapshot && depth.first) => return false,
            _ => {}
        }
        if self.has_market_room(1) && self.waiting.is_empty() && self.put(body) {
            self.passed(&body, at);
            return true;
        }
        self.leave_out(body, at)
    }

    #[inline]
    fn passed(&mut self, body: &Body, at: InstrumentId) {
        let left_out = &mut self.left_out[at.index()];
        match body {
            Body::Quote(_) => self.quotes_held -= usize::from(left_out.quote.take().is_some()),
            Body::Trade(_) => left_out.trade = false,
            Body::Depth(_) => left_out.depth = false,
            _ => {}
        }
    }

    #[cold]
    fn leave_out(&mut self, body: Body, at: InstrumentId) -> bool {
        let left_out = &mut self.left_out[at.index()];
        self.counters.add(Counter::FeedConflated, 1);
        match body {
            Body::Quote(quote) => {
                // The one that waited is replaced, so the one that passes in the end stands for several.
                let replaced = left_out.quote.replace(quote);
                self.quotes_held += usize::from(replaced.is_none());
                true
            }
            Body::Trade(_) => {
                left_out.trade = true;
                true
            }
            _ => {
                left_out.depth = true;
                false
            }
        }
    }

    /// Quotes that were held back pass as soon as there is room, so that the line ends with the latest prices even if the
    /// venue then falls silent.
    #[cold]
    fn release_quotes(&mut self) {
        for at in 0..INSTRUMENTS_MAX {
            let Some(quote) = self.left_out[at].quote else { continue };
            if !self.has_market_room(1) || !self.put(Body::Quote(Quote { conflated: true, ..quote })) {
                return;
            }
            self.left_out[at].quote = None;
            self.quotes_held -= 1;
        }
    }

    /// Journal first, then the line; or neither.
    #[inline]
    fn put(&mut self, body: Body) -> bool {
        if self.line_room == 0 {
            self.line_room = self.line.slots();
            if self.line_room == 0 {
                return false;
            }
        }
        let fact = Fact { seq: self.next_seq, recv_ns: self.recv_ns, body };
        if self.journal.push(Record::Fact(fact)).is_err() {
            self.journal_is_full();
            return false;
        }
        let mut stamps = Stamps { read: self.read_ticks, ..Stamps::default() };
        if self.read_ticks != 0 {
            stamps.decoded = stamps.since_read(self.clock.ticks());
            self.last_decoded_ticks = stamps.decoded;
        }
        let pushed = self.line.push(Slot { stamps, item: fact });
        debug_assert!(pushed.is_ok(), "only the feed fills the line");
        self.line_room -= 1;
        self.next_seq += 1;
        self.counters.add(Counter::FeedFacts, 1);
        true
    }

    #[cold]
    fn journal_is_full(&self) {
        self.page.trip(HaltLevel::RiskOff, Reason::JournalFailed, self.recv_ns);
    }
}
