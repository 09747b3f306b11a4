//! `HALTED_OPS`: faults of the engine's own working, as opposed to an operator's wish or a limit that did its work. A process
//! that ends while one of them is in force ends with [`EXIT_CODE`], which a supervisor must not restart by itself
//! (`RestartPreventExitStatus=4`): what broke is still broken, and an order may be open that nobody watches.

use crate::types::Reason;

/// The exit code.
pub const EXIT_CODE: u8 = 4;

/// What a fault means for the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The process lives on, tripped, so that an operator can look, close and recover. When it is stopped in that state, it
    /// ends with the code.
    Stays,
    /// Nothing in this boot can be armed again: everything open is cancelled, and the process ends by itself.
    Ends,
}

/// The operational faults: cause of the trip, effect, and what to do.
pub const FAULTS: &[(Reason, Effect, &str)] = &[
    (
        Reason::JournalFailed,
        Effect::Ends,
        "the record can't be kept: see to disk space and its health, then `interlock journal verify`, then start anew",
    ),
    (
        Reason::PageUnreadable,
        Effect::Ends,
        "the kill page was cut, replaced or overwritten: find out by whom, then start anew",
    ),
    (
        Reason::Internal,
        Effect::Ends,
        "the engine contradicted itself: keep the data directory, open an incident, don't start anew before it is understood",
    ),
    (
        Reason::RetriesExhausted,
        Effect::Ends,
        "the venue could not be reached in as many attempts as are allowed: see to the network, then start anew",
    ),
    (
        Reason::Stall,
        Effect::Stays,
        "a thread stood still: see to the host's load (`interlock status`), then `interlock kill recover`",
    ),
    (
        Reason::ReconcileMismatch,
        Effect::Stays,
        "our record and the venue's differ: look at `interlock orders` and `interlock positions` and at the venue's own site",
    ),
    (
        Reason::Overfill,
        Effect::Stays,
        "the venue filled more than was ordered: look at `interlock positions` and at the venue's own site",
    ),
    (
        Reason::ExitRefused,
        Effect::Stays,
        "the venue refuses to sell what is held: docs/runbooks/stuck-position.md, and look at the venue's own site",
    ),
    (
        Reason::ClockOffset,
        Effect::Stays,
        "the clock stepped: see to time synchronisation, then `interlock kill recover`",
    ),
];

/// What a cause means, if it is an operational fault.
pub fn fault(reason: Reason) -> Option<(Effect, &'static str)> {
    FAULTS.iter().find(|(r, ..)| *r == reason).map(|&(_, effect, remedy)| (effect, remedy))
}

/// Whether a trip is an emergency stop: layer 4, a drawdown of 15 %. After one, an account is traded only after paper has
/// held.
pub fn is_emergency_stop(reason: Reason) -> bool {
    reason.name() == "EMERGENCY_STOP"
}
