//! `interlock positions close`, `close-all`, `release`.

use std::time::Duration;

use anyhow::anyhow;
use clap::Subcommand;
use interlock::agent::Clock;
use interlock::ops::client::exit::{DONE, FAILED};
use interlock::ops::client::{self, close, read_status};
use interlock::ops::emergency::incident::{self, Cause, Opening};
use interlock::ops::paths::Paths;
use interlock::ops::protocol::{SymbolArgs, Verb};
use interlock::run::plan;

use crate::Failure;
use crate::Outcome;
use crate::args::Common;
use crate::with_console;

/// `interlock positions`.
#[derive(Debug, Subcommand)]
pub(crate) enum PositionsVerb {
    /// Close one: freezes entries on it, cancels its orders, sells or buys back what is held, reduce-only, until it is flat.
    /// Works while tripped too.
    Close {
        /// The venue's symbol.
        symbol: String,
        #[command(flatten)]
        why: Why,
    },
    /// Close all of them.
    CloseAll {
        /// Needed: everything that is held is closed at what the market gives.
        #[arg(long)]
        confirm: bool,
        #[command(flatten)]
        why: Why,
    },
    /// Let strategies enter again where a close has frozen entries.
    Release {
        /// The venue's symbol; all if left out.
        symbol: Option<String>,
        #[command(flatten)]
        why: Why,
    },
}

/// Why, who, how long.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Why {
    /// Why, for the record.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Who, for the record.
    #[arg(long, default_value = "", value_name = "NAME")]
    by: String,
    /// How long to wait for it to be flat.
    #[arg(long, default_value = "30s", value_name = "TIME", value_parser = crate::args::duration)]
    wait: Duration,
}

pub(crate) fn run(common: &Common, verb: &PositionsVerb) -> Outcome {
    let (symbol, why) = match verb {
        PositionsVerb::Close { symbol, why } => (Some(symbol.clone()), why),
        PositionsVerb::CloseAll { confirm: false, .. } => {
            return Err(Failure::usage(anyhow!(
                "close-all closes everything that is held at what the market gives; say --confirm"
            )));
        }
        PositionsVerb::CloseAll { confirm: true, why } => (None, why),
        PositionsVerb::Release { symbol, why } => {
            let args = args(symbol.clone(), why);
            return Ok(with_console(common, |paths, console| {
                client::command(paths, Verb::Unfreeze, &args, console)
            }));
        }
    };
    let paths = Paths::new(&common.data_dir, None);
    let before = read_status(&paths);
    let args = args(symbol, why);
    let code = with_console(common, |paths, console| close::run(paths, &args, why.wait, console));
    // What was held is told in an incident: the one that is open (the engine adds to it), or one of its own.
    if let Ok(status) = before
        && (code == DONE || code == FAILED)
        && incident::current(&paths)?.is_none()
    {
        let plan = plan::load(&common.config).map_err(Failure::usage)?;
        let what = args.symbol.as_deref().unwrap_or("all");
        let opening = Opening {
            level: 3,
            by: if why.by.is_empty() { "operator".to_owned() } else { why.by.clone() },
            cause: Cause {
                reason: "MANUAL_CLOSE".to_owned(),
                text: format!("{what} closed by hand: {}", why.reason),
            },
            at_ns: Clock::system().now().ns,
            post_mortem_ns: incident::hours(plan.emergency.post_mortem_h),
            ..Opening::default()
        };
        incident::open(&paths, opening.with_status(status))?;
    }
    Ok(code)
}

fn args(symbol: Option<String>, why: &Why) -> SymbolArgs {
    SymbolArgs { symbol, reason: why.reason.clone(), by: why.by.clone() }
}
