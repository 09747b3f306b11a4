//! One instrument's book, kept in step with the venue as its documents say (text of November 2025):
//!
//! 1. buffer the stream's updates;
//! 2. fetch a snapshot; if its `lastUpdateId` is below the first buffered `U`, fetch again;
//! 3. drop buffered updates with `u <= lastUpdateId`; the first kept must reach over the snapshot (`U <= lastUpdateId + 1`);
//! 4. from then on, an update with `u <=` the book's id is old, one with `U >` the book's id `+ 1` means that something was
//!    missed: the book is invalid and everything starts over.
//!
//! All memory is taken at the start. A buffer that overflows, a crossed book and a full line start over too.

use crate::event::{Body, BookStatus, Depth};
use crate::limits::{BOOK_LEVELS_MAX, LEVELS_PER_FACT};
use crate::types::time::NS_PER_S;
use crate::types::{Book, InstrumentId, Level, Now, Reason, Side};
use crate::venue::binance::scan::{DepthHead, LEVELS_MAX};

/// Updates buffered while the snapshot is on its way: over 50 s of the 100 ms stream.
const EVENTS_MAX: usize = 512;
/// Their levels together.
const BUFFER_LEVELS_MAX: usize = 2 * LEVELS_MAX;
/// How long a quiet stream is given to send its first update before the snapshot is asked for all the same.
const QUIET_NS: i64 = NS_PER_S;
/// Pause before the second snapshot in a row; doubles with each further one. A snapshot costs 250 of 6,000 weight a minute.
const BACKOFF_FIRST_NS: i64 = NS_PER_S;
/// Longest such pause.
const BACKOFF_MAX_NS: i64 = 60 * NS_PER_S;
/// How long an asked-for snapshot may take before it counts as failed.
const SNAPSHOT_TIMEOUT_NS: i64 = 30 * NS_PER_S;

/// Where the book stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No connection.
    Down,
    /// Updates are buffered; a snapshot is asked for at `at_ns`, at once when the first update is there and `at_ns` has passed.
    Waiting { at_ns: i64, quiet_until_ns: i64 },
    /// Asked for.
    Asked { deadline_ns: i64 },
    /// Its first piece was taken.
    Loading { deadline_ns: i64 },
    /// In step.
    Live,
}

/// What an update did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Applied {
    /// Given out.
    Done,
    /// Older than the book.
    Stale,
    /// Kept until the snapshot is there.
    Buffered,
    /// Updates before it are missing: starting over.
    Gap,
    /// The line was full, the buffer was, or the book crossed: starting over.
    Restarted,
}

/// A book and its standing.
#[derive(Debug)]
pub(super) struct BookSync {
    instrument: InstrumentId,
    book: Book,
    state: State,
    /// The venue's id of the last change in the book.
    last_id: u64,
    heads: Vec<(DepthHead, usize, usize)>,
    levels: Vec<Level>,
    backoff_ns: i64,
    last_asked_ns: Option<i64>,
    /// Said last; `None` = nothing yet.
    said: Option<BookStatus>,
    /// A status that the line had no room for.
    unsaid: Option<BookStatus>,
}

impl BookSync {
    pub(super) fn new(instrument: InstrumentId, buffered: bool) -> Self {
        Self {
            instrument,
            book: Book::with_capacity(BOOK_LEVELS_MAX),
            state: State::Down,
            last_id: 0,
            heads: Vec::with_capacity(if buffered { EVENTS_MAX } else { 0 }),
            levels: Vec::with_capacity(if buffered { BUFFER_LEVELS_MAX } else { 0 }),
            backoff_ns: BACKOFF_FIRST_NS,
            last_asked_ns: None,
            said: None,
            unsaid: None,
        }
    }

    pub(super) fn book(&self) -> &Book {
        &self.book
    }
    pub(super) fn is_valid(&self) -> bool {
        self.state == State::Live
    }

    /// The stream is open: what it sends is buffered from now on.
    pub(super) fn handle_open(&mut self, now: Now) {
        self.start_over(now);
    }

    /// The stream is gone.
    pub(super) fn handle_closed(&mut self, reason: Reason, out: &mut impl FnMut(Body) -> bool) {
        self.state = State::Down;
        self.say(false, reason, out);
    }

    /// Invalid for a reason of the caller's; starts over if the stream is open.
    pub(super) fn invalidate(&mut self, reason: Reason, now: Now, out: &mut impl FnMut(Body) -> bool) {
        if self.state != State::Down {
            self.start_over(now);
        }
        self.say(false, reason, out);
    }

    fn start_over(&mut self, now: Now) {
        self.heads.clear();
        self.levels.clear();
        // The pause counts from the last request and doubles while requests follow each other closely.
        let at_ns = match self.last_asked_ns {
            Some(asked) if now.mono_ns - asked < BACKOFF_MAX_NS => {
                let at = asked + self.backoff_ns;
                self.backoff_ns = (self.backoff_ns * 2).min(BACKOFF_MAX_NS);
                at
            }
            _ => {
                self.backoff_ns = BACKOFF_FIRST_NS;
                now.mono_ns
            }
        };
        self.state = State::Waiting { at_ns, quiet_until_ns: now.mono_ns + QUIET_NS };
    }

    /// Says whether the book may be relied on, if that is news; kept for later when the line is full.
    fn say(&mut self, valid: bool, reason: Reason, out: &mut impl FnMut(Body) -> bool) {
        let status = BookStatus { instrument: self.instrument, valid, reason };
        // One invalid is enough, whatever the reasons that follow.
        let news = match self.unsaid.or(self.said) {
            Some(before) => before.valid != valid,
            None => true,
        };
        if news {
            self.unsaid = Some(status);
        }
        self.poll(out);
    }

    /// Gives out a status that the line had no room for.
    #[inline]
    pub(super) fn poll(&mut self, out: &mut impl FnMut(Body) -> bool) {
        if let Some(status) = self.unsaid
            && out(Body::BookStatus(status))
        {
            self.said = Some(status);
            self.unsaid = None;
        }
    }

    /// Whether a snapshot is to be asked for now.
    pub(super) fn poll_request(&mut self, now: Now) -> bool {
        match self.state {
            State::Waiting { at_ns, quiet_until_ns }
                if now.mono_ns >= at_ns && (!self.heads.is_empty() || now.mono_ns >= quiet_until_ns) =>
            {
                self.state = State::Asked { deadline_ns: now.mono_ns + SNAPSHOT_TIMEOUT_NS };
                self.last_asked_ns = Some(now.mono_ns);
                true
            }
            State::Asked { deadline_ns } | State::Loading { deadline_ns } if now.mono_ns >= deadline_ns => {
                self.retry(now);
                false
            }
            _ => false,
        }
    }

    /// Asks again after the pause; what is buffered stays.
    fn retry(&mut self, now: Now) {
        let at_ns = now.mono_ns + self.backoff_ns;
        self.backoff_ns = (self.backoff_ns * 2).min(BACKOFF_MAX_NS);
        self.state = State::Waiting { at_ns, quiet_until_ns: at_ns };
    }

    /// The snapshot could not be had.
    pub(super) fn handle_snapshot_failed(&mut self, now: Now) {
        if matches!(self.state, State::Asked { .. } | State::Loading { .. }) {
            self.retry(now);
        }
    }

    /// One update of the stream.
    #[inline]
    pub(super) fn handle_update(
        &mut self,
        head: &DepthHead,
        levels: &[Level],
        bids: usize,
        now: Now,
        out: &mut impl FnMut(Body) -> bool,
    ) -> Applied {
        match self.state {
            State::Live => {}
            State::Down => return Applied::Stale,
            State::Waiting { .. } | State::Asked { .. } | State::Loading { .. } => {
                return self.buffer(head, levels, bids, now, out);
            }
        }
        if head.last_id <= self.last_id {
            return Applied::Stale;
        }
        if head.first_id > self.last_id + 1 {
            self.start_over(now);
            self.say(false, Reason::SequenceGap, out);
            self.buffer(head, levels, bids, now, out);
            return Applied::Gap;
        }
        if let Err(reason) = self.apply(head, levels, bids, false, out) {
            self.start_over(now);
            self.say(false, reason, out);
            return Applied::Restarted;
        }
        Applied::Done
    }

    /// A message that is the whole top of the book (partial depth).
    pub(super) fn handle_whole(
        &mut self,
        update_id: u64,
        levels: &[Level],
        bids: usize,
        out: &mut impl FnMut(Body) -> bool,
    ) -> Applied {
        if self.state == State::Down || (self.is_valid() && update_id <= self.last_id) {
            return Applied::Stale;
        }
        let head =
            DepthHead { instrument: self.instrument, first_id: update_id, last_id: update_id, venue_ns: 0 };
        self.book.clear();
        if let Err(reason) = self.apply(&head, levels, bids, true, out) {
            self.state = State::Waiting { at_ns: 0, quiet_until_ns: 0 };
            self.say(false, reason, out);
            return Applied::Restarted;
        }
        self.state = State::Live;
        self.say(true, Reason::None, out);
        Applied::Done
    }

    fn buffer(
        &mut self,
        head: &DepthHead,
        levels: &[Level],
        bids: usize,
        now: Now,
        out: &mut impl FnMut(Body) -> bool,
    ) -> Applied {
        if self.heads.len() == EVENTS_MAX || self.levels.len() + levels.len() > BUFFER_LEVELS_MAX {
            // The snapshot is overdue. What is buffered is worth nothing without it: begin anew with this update.
            self.start_over(now);
            self.say(false, Reason::AwaitingSnapshot, out);
        }
        self.heads.push((*head, bids, levels.len()));
        self.levels.extend_from_slice(levels);
        Applied::Buffered
    }

    /// Applies an update to the book and gives it out in pieces; the reason why the book can't be relied on otherwise.
    fn apply(
        &mut self,
        head: &DepthHead,
        levels: &[Level],
        bids: usize,
        snapshot: bool,
        out: &mut impl FnMut(Body) -> bool,
    ) -> Result<(), Reason> {
        for (i, level) in levels.iter().enumerate() {
            self.book.apply(if i < bids { Side::Buy } else { Side::Sell }, *level);
        }
        self.last_id = head.last_id;
        let mut all_out = true;
        pieces(head, levels, bids, snapshot, |piece| {
            all_out = all_out && out(Body::Depth(piece));
        });
        if !all_out {
            return Err(Reason::LineFull);
        }
        if self.book.is_crossed() { Err(Reason::CrossedBook) } else { Ok(()) }
    }

    /// A piece of the snapshot. Says whether the snapshot was too old, once.
    pub(super) fn handle_snapshot_piece(
        &mut self,
        piece: &Depth,
        now: Now,
        out: &mut impl FnMut(Body) -> bool,
    ) -> bool {
        match self.state {
            State::Asked { deadline_ns } if piece.first => {
                if self.heads.first().is_some_and(|(head, ..)| piece.update_id < head.first_id) {
                    self.retry(now);
                    return true;
                }
                self.state = State::Loading { deadline_ns };
                self.book.clear();
            }
            State::Loading { .. } if !piece.first => {}
            // A snapshot that nobody waits for any more: the stream was lost or has started over.
            _ => return false,
        }
        for (side, level) in piece.changes() {
            self.book.apply(side, level);
        }
        let loaded = if out(Body::Depth(*piece)) { Ok(()) } else { Err(Reason::LineFull) };
        let loaded = match loaded {
            Ok(()) if piece.last => self.replay(piece.update_id, out),
            other => other,
        };
        match loaded {
            Err(reason) => {
                self.start_over(now);
                self.say(false, reason, out);
            }
            Ok(()) if piece.last => {
                self.state = State::Live;
                self.heads.clear();
                self.levels.clear();
                self.say(true, Reason::None, out);
            }
            Ok(()) => {}
        }
        false
    }

    /// Applies what was buffered to the loaded snapshot.
    fn replay(&mut self, snapshot_id: u64, out: &mut impl FnMut(Body) -> bool) -> Result<(), Reason> {
        self.last_id = snapshot_id;
        if self.book.is_crossed() {
            return Err(Reason::CrossedBook);
        }
        // Taken out so that `apply` may borrow the rest; put back, so that nothing is allocated.
        let heads = core::mem::take(&mut self.heads);
        let levels = core::mem::take(&mut self.levels);
        let mut from = 0;
        let mut result = Ok(());
        for (head, bids, count) in &heads {
            let update = &levels[from..from + count];
            from += count;
            if head.last_id <= self.last_id {
                continue;
            }
            result = if head.first_id > self.last_id + 1 {
                Err(Reason::SequenceGap)
            } else {
                self.apply(head, update, *bids, false, out)
            };
            if result.is_err() {
                break;
            }
        }
        self.heads = heads;
        self.levels = levels;
        result
    }
}

/// Cuts an update into facts: bids first, then asks; an update without levels is one empty piece.
pub(super) fn pieces(
    head: &DepthHead,
    levels: &[Level],
    bids: usize,
    snapshot: bool,
    mut each: impl FnMut(Depth),
) {
    let mut from = 0;
    loop {
        let rest = &levels[from..];
        let count = rest.len().min(LEVELS_PER_FACT);
        let mut piece = Depth {
            instrument: head.instrument,
            count: u8::try_from(count).unwrap_or(0),
            asks: 0,
            first: from == 0,
            last: count == rest.len(),
            snapshot,
            update_id: head.last_id,
            venue_ns: head.venue_ns,
            levels: [Level::default(); LEVELS_PER_FACT],
        };
        piece.levels[..count].copy_from_slice(&rest[..count]);
        for i in 0..count {
            piece.asks |= u8::from(from + i >= bids) << i;
        }
        each(piece);
        from += count;
        if piece.last {
            return;
        }
    }
}

const _: () = assert!(LEVELS_PER_FACT <= 8, "the sides of a piece are bits of one byte");
