//! `interlock layers`.

use clap::Subcommand;
use interlock::ops::client;
use interlock::ops::protocol::LayerArgs;

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
}

pub(crate) fn run(common: &Common, verb: LayersVerb) -> u8 {
    match verb {
        LayersVerb::Status => with_console(common, client::layers),
        LayersVerb::Reset { cause, by } => {
            let args = LayerArgs { cause, by };
            with_console(common, |paths, console| client::layers_reset(paths, &args, console))
        }
    }
}
