//! What the model knows of one instrument's market: the book from depth facts, the fresher top from quotes, and what our
//! own paper orders have already taken of what is shown (the real market does not know of them and shows it still).

use crate::event::{Depth, Quote};
use crate::limits::BOOK_LEVELS_MAX;
use crate::types::{Book, Level, Price, Qty, Side};

/// Shown liquidity that paper orders have used up.
#[derive(Clone, Copy, Debug)]
struct Taken {
    side: Side,
    price: Price,
    qty: Qty,
}

/// More taken levels than this at once are forgotten from the oldest on: a sweep of as many levels has other worries.
const TAKEN_MAX: usize = 128;

/// One instrument's market.
#[derive(Debug)]
pub(super) struct View {
    book: Book,
    /// A whole snapshot and only valid updates since.
    book_is_whole: bool,
    book_is_valid: bool,
    book_update_id: u64,
    quote: Option<Quote>,
    taken: Vec<Taken>,
    last_trade: Option<Price>,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            book: Book::with_capacity(BOOK_LEVELS_MAX),
            book_is_whole: false,
            book_is_valid: true,
            book_update_id: 0,
            quote: None,
            taken: Vec::with_capacity(TAKEN_MAX),
            last_trade: None,
        }
    }

    pub(super) fn set_valid(&mut self, valid: bool) {
        self.book_is_valid = valid;
        if !valid {
            self.book_is_whole = false;
        }
    }

    /// The market stream was cut.
    pub(super) fn cut(&mut self) {
        self.set_valid(false);
        self.quote = None;
        self.taken.clear();
    }

    pub(super) fn traded(&mut self, price: Price) {
        self.last_trade = Some(price);
    }

    pub(super) fn quoted(&mut self, quote: Quote) {
        let fresh = |old: Option<Level>, new: Level| old != Some(new);
        let old = self.quote.map(|q| (q.bid, q.ask));
        for (side, old, new) in
            [(Side::Buy, old.map(|o| o.0), quote.bid), (Side::Sell, old.map(|o| o.1), quote.ask)]
        {
            if fresh(old, new) {
                self.forget_taken(side, new.price);
            }
        }
        self.quote = Some(quote);
    }

    /// Applies a piece. The caller acts only after the last one.
    pub(super) fn changed(&mut self, depth: &Depth) {
        if depth.snapshot && depth.first {
            self.book.clear();
            self.taken.clear();
            self.book_is_whole = false;
        }
        for (side, level) in depth.changes() {
            self.book.apply(side, level);
            self.forget_taken(side, level.price);
        }
        self.book_update_id = depth.update_id;
        if depth.snapshot && depth.last {
            (self.book_is_whole, self.book_is_valid) = (true, true);
        }
    }

    /// Whether the book may be used at all.
    pub(super) fn has_book(&self) -> bool {
        self.book_is_whole && self.book_is_valid
    }

    pub(super) fn book_update_id(&self) -> u64 {
        self.book_update_id
    }

    /// The newest update that either the book or the quote has seen.
    pub(super) fn seen_update_id(&self) -> u64 {
        self.book_update_id.max(self.quote.map_or(0, |q| q.update_id))
    }

    /// The quote, where it is newer than the book or the book is of no use.
    fn fresh_quote(&self) -> Option<Quote> {
        self.quote.filter(|q| !self.has_book() || q.update_id > self.book_update_id)
    }

    /// Shown levels of a side, best first, paper fills not yet taken off.
    fn shown(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let top = self
            .fresh_quote()
            .map(|q| if side == Side::Buy { q.bid } else { q.ask })
            .filter(|level| !level.qty.is_zero());
        // What the book shows at the quote's price or better is older than the quote.
        let below = move |level: &Level| {
            top.is_none_or(|top| match side {
                Side::Buy => level.price < top.price,
                Side::Sell => level.price > top.price,
            })
        };
        let book = self.book.side(side).take(if self.has_book() { usize::MAX } else { 0 });
        top.into_iter().chain(book.filter(below))
    }

    /// Levels of a side that are there to be taken, best first.
    pub(super) fn available(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.shown(side).filter_map(move |level| {
            let taken = self.taken.iter().filter(|t| t.side == side && t.price == level.price);
            let taken: i64 = taken.map(|t| t.qty.units()).sum();
            let left = level.qty.units() - taken;
            (left > 0).then(|| Level::new(level.price, Qty::from_units(left)))
        })
    }

    /// Best shown price of a side.
    pub(super) fn best(&self, side: Side) -> Option<Price> {
        self.shown(side).next().map(|level| level.price)
    }

    /// Quantity shown at a price: `None` when the model can't know (no book, and not at the quote).
    pub(super) fn shown_at(&self, side: Side, price: Price) -> Option<Qty> {
        let better = |a: Price, b: Price| if side == Side::Buy { a > b } else { a < b };
        for level in self.shown(side) {
            if level.price == price {
                return Some(level.qty);
            }
            if better(price, level.price) {
                return Some(Qty::ZERO);
            }
        }
        // Beyond the worst level shown: nothing is there if the book is whole, anything may be if it is not.
        self.has_book().then_some(Qty::ZERO)
    }

    /// Remembers that a paper order took some of a level.
    pub(super) fn take(&mut self, side: Side, level: Level) {
        if self.taken.len() == TAKEN_MAX {
            self.taken.remove(0);
        }
        self.taken.push(Taken { side, price: level.price, qty: level.qty });
    }

    /// The market spoke of a level anew: what it shows now is what there is.
    fn forget_taken(&mut self, side: Side, price: Price) {
        self.taken.retain(|t| t.side != side || t.price != price);
    }

    /// A price to value market orders at: the middle of the best prices, or the last trade.
    pub(super) fn reference(&self) -> Option<Price> {
        match (self.best(Side::Buy), self.best(Side::Sell)) {
            (Some(bid), Some(ask)) => Some(bid.midpoint(ask)),
            _ => self.last_trade,
        }
    }
}
