//! Commands: what the control thread asks of the line. A trip is not among them: it needs no stage's help.

use crate::types::{InstrumentId, StrategyId};

/// A command, once it is a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Command {
    /// What.
    pub kind: CommandKind,
    /// On what, for those that concern one instrument; `InstrumentId(u16::MAX)` = all.
    pub instrument: InstrumentId,
    /// Who asked: peer uid of the control socket, 0 for the engine itself as root.
    pub uid: u32,
    /// The control thread's number of the command, for its answer.
    pub ticket: u64,
    /// The halt epoch that it is about (arming).
    pub halt_epoch: u64,
    /// On which strategy, for those that concern one; [`NO_STRATEGY`] for the others.
    pub strategy: StrategyId,
}

/// Kinds of command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum CommandKind {
    /// The kill switch was tripped (recorded after the effect).
    Tripped = 0,
    /// The kill switch is about to be armed (recorded, durable, then effective).
    Arm = 1,
    /// Close positions, reduce-only.
    Flatten = 2,
    /// Cancel open orders.
    CancelAll = 3,
    /// Ask the venue for orders, fills and balances.
    Reconcile = 4,
    /// No new entries on an instrument.
    Freeze = 5,
    /// Entries again.
    Unfreeze = 6,
    /// The engine is stopping: no more intents.
    Stop = 7,
    /// A strategy may enter again: a named person looked at why it was disabled (R-LIM-5 L3, R-LIM-6).
    EnableStrategy = 8,
    /// A strategy may not enter any more.
    DisableStrategy = 9,
    /// The emergency stop (L4) is reset by a named person; durable before it takes effect.
    ResetEmergency = 10,
}

impl CommandKind {
    /// Whether it concerns one strategy.
    pub const fn names_strategy(self) -> bool {
        matches!(self, Self::EnableStrategy | Self::DisableStrategy)
    }
}

/// "All instruments" in a command.
pub const ALL_INSTRUMENTS: InstrumentId = InstrumentId(u16::MAX);
/// "No strategy in particular" in a command.
pub const NO_STRATEGY: StrategyId = StrategyId::OPERATOR;
