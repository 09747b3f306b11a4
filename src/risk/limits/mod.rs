//! The limits that look beyond the single order (R-LIM-6, 7, 10; C4, C9, C16, C36): what happened lately decides what may happen
//! now. Each is a fold of facts and approvals, and a check that only compares.
//!
//! None of them binds an exit or a cancel: they hold entries back and nothing else. What they need and don't know counts
//! against the entry.

pub(super) mod config;
