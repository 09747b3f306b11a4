//! `interlock kill`.

use std::time::Duration;

use interlock::ops::client;
use interlock::ops::protocol::{RecoverArgs, TripArgs};

use crate::Outcome;
use crate::args::{Common, KillVerb};
use crate::drill;
use crate::with_console;

/// How long arming may take: a reconcile with the venue, and a record made durable.
const RECOVER_IN: Duration = Duration::from_secs(15);

pub(crate) fn run(common: &Common, verb: KillVerb) -> Outcome {
    Ok(match verb {
        KillVerb::Drill(args) => return drill::run(common, &args),
        KillVerb::Trip { reason, triggered_by, flatten, wait } => {
            let drill = reason.eq_ignore_ascii_case("drill");
            let args = TripArgs { reason, by: triggered_by, flatten, drill };
            with_console(common, |paths, console| client::kill_trip(paths, &args, wait, console))
        }
        KillVerb::Status => with_console(common, client::kill_status),
        KillVerb::Recover { cause, by } => {
            let args = RecoverArgs { cause, by };
            with_console(common, |paths, console| client::kill_recover(paths, &args, RECOVER_IN, console))
        }
    })
}
