//! `interlock kill`.

use interlock::ops::client;
use interlock::ops::protocol::{RecoverArgs, TripArgs};

use crate::Outcome;
use crate::args::{Common, KillVerb};
use crate::drill;
use crate::with_console;

pub(crate) fn run(common: &Common, verb: KillVerb) -> Outcome {
    Ok(match verb {
        KillVerb::Drill(args) => return drill::run(common, &args),
        KillVerb::Trip { reason, triggered_by, flatten, wait } => {
            let drill = reason.eq_ignore_ascii_case("drill");
            let args = TripArgs { reason, by: triggered_by, flatten, drill };
            with_console(common, |paths, console| client::kill_trip(paths, &args, wait, console))
        }
        KillVerb::Status => with_console(common, client::kill_status),
        KillVerb::Recover { cause, by, wait } => {
            let args = RecoverArgs { cause, by };
            with_console(common, |paths, console| client::kill_recover(paths, &args, wait, console))
        }
    })
}
