//! What flows? Fixed-size `Copy` values: facts, intents, decisions, commands, and the vocabulary of rings and journal.
//!
//! There is one line and one total order (see `docs/ARCHITECTURE.md`): feed numbers every fact; signal passes facts on
//! and puts the intents that they caused right behind them; risk judges in that order.

pub mod carry;
pub mod command;
pub mod decision;
pub mod fact;
pub mod intent;
pub mod latency;
pub mod layers;
pub mod ledger;
pub mod line;
pub mod record;

pub use carry::{
    CarriedAccount, CarriedLatch, CarriedPace, CarriedPosition, CarriedStrategy, CarriedTimes, Carry,
    CarryHead,
};
pub use command::{Command, CommandKind};
pub use decision::{Decision, GatewayNote, NoteKind, Order, Sent, SentKind, Verdict};
pub use fact::{
    BalanceUpdate, Bar, Body, BookStatus, CarriedOrder, ClockOffset, Depth, Fact, LinkStatus, OrderUpdate,
    Quote, Reply, ReplyKind, StopLevel, Trade,
};
pub use intent::{Action, Claim, Intent, OrderSpec};
pub use latency::{OrderTrace, Sample};
pub use layers::{Layers, LayersConfig};
pub use ledger::{Change, Fill, Ledger, Tracked};
pub use line::{Item, Slot, Stamps};
pub use record::Record;
