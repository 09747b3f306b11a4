//! What the stages put into their journal rings.

use crate::event::{Decision, Fact, GatewayNote, Intent, Sent};

/// One journal entry from a hot thread. The journal's own thread numbers, frames and chains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// Feed: a fact, in the order of the line.
    Fact(Fact),
    /// Signal: an intent.
    Intent(Intent),
    /// Risk: a decision.
    Decision(Decision),
    /// Gateway: a request about to be written.
    Sent(Sent),
    /// Gateway: something that it noticed off the line.
    Note(GatewayNote),
}

const _: () = assert!(size_of::<Record>() <= 128);
