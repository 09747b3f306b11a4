//! `interlock reconcile`.

use std::time::Duration;

use clap::Args;
use interlock::ops::client;
use interlock::ops::protocol::ReconcileArgs;

use crate::args::{Common, duration};
use crate::with_console;

/// `interlock reconcile`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReconcileVerb {
    /// Take the venue's balances as right, because the difference is explained: a deposit, a withdrawal.
    #[arg(long, requires = "by", requires = "cause")]
    adopt: bool,
    /// Who says so.
    #[arg(long, default_value = "", value_name = "NAME")]
    by: String,
    /// Where the difference comes from.
    #[arg(long, default_value = "", value_name = "TEXT")]
    cause: String,
    /// How long to wait for the round.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = duration)]
    wait: Duration,
}

pub(crate) fn run(common: &Common, verb: &ReconcileVerb) -> u8 {
    let args = ReconcileArgs { adopt: verb.adopt, by: verb.by.clone(), cause: verb.cause.clone() };
    with_console(common, |paths, console| client::reconcile(paths, &args, verb.wait, console))
}
