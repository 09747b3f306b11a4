//! Does our record agree with the venue's? Orders, fills, positions and balances, at start, after each reconnect, every few
//! seconds and on demand (R-ORD-3, C20, C21).
//!
//! The venue is asked over REST, apart from the sessions that trade: a session that lies, lags or is silent does not vouch for
//! itself. What is found comes onto the line as facts, so that the stages, the journal and every replay learn of it alike;
//! what does not agree halts. The rules, and why each, are in `docs/decisions/reconcile.md`.
//!
//! What it refuses: to call anything balanced that could not be asked, to settle a difference by waiting, and to change a book
//! without a fact.

pub mod books;
pub mod carry;
pub mod compare;
pub mod standing;

pub use books::{BooksDesk, BooksView, bookkeeper};
pub use carry::{Carry, CarryError};
pub use compare::{Comparison, Difference, Footing, Held, VenueView, compare};
pub use standing::{Outcome, Report, Reports, Standing};
