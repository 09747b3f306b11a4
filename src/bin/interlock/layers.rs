//! `interlock layers`.

use clap::Subcommand;
use interlock::ops::client;
use interlock::ops::protocol::{LayerArgs, Verb};

use crate::args::Common;
use crate::with_console;

/// `interlock layers`.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum LayersVerb {
    /// Equity, the day's loss, drawdown, preservation level, streaks and weights.
    #[command(after_help = "Example:\n  interlock layers status -o json")]
    Status,
    /// Reset the emergency stop (L4). The engine stays tripped until `interlock kill recover`.
    #[command(after_help = "Example:\n  interlock layers reset --cause \"reviewed the drawdown\" --by alice")]
    Reset {
        /// What was looked at, and why it may go on.
        #[arg(long)]
        cause: String,
        /// The person who decides.
        #[arg(long)]
        by: String,
    },
    /// Let a strategy enter again that losses in a row (L3) or a person disabled.
    #[command(
        after_help = "Example:\n  interlock layers enable ma_crossover --cause \"trend is back\" --by alice"
    )]
    Enable {
        /// The strategy's name; the second one of a name is `name#2`.
        strategy: String,
        /// What was looked at, and why it may go on.
        #[arg(long)]
        cause: String,
        /// The person who decides.
        #[arg(long)]
        by: String,
    },
    /// Let a strategy enter nothing until it is enabled again. What it holds it may still close.
    #[command(
        after_help = "Example:\n  interlock layers disable ma_crossover --cause \"odd trades\" --by alice"
    )]
    Disable {
        /// The strategy's name; the second one of a name is `name#2`.
        strategy: String,
        /// Why.
        #[arg(long)]
        cause: String,
        /// The person who decides.
        #[arg(long)]
        by: String,
    },
}

pub(crate) fn run(common: &Common, verb: LayersVerb) -> u8 {
    let (verb, args) = match verb {
        LayersVerb::Status => return with_console(common, client::layers),
        LayersVerb::Reset { cause, by } => {
            (Verb::LayersReset, LayerArgs { strategy: String::new(), cause, by })
        }
        LayersVerb::Enable { strategy, cause, by } => (Verb::LayersEnable, LayerArgs { strategy, cause, by }),
        LayersVerb::Disable { strategy, cause, by } => {
            (Verb::LayersDisable, LayerArgs { strategy, cause, by })
        }
    };
    with_console(common, |paths, console| client::layer_act(paths, verb, &args, console))
}
