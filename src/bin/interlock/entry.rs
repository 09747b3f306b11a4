//! The way into a session of `interlock run`: the gates of live, and paper instead of a live session that was not ready
//! (R-GATE-5).

use std::io::Write as _;
use std::path::PathBuf;

use interlock::ops::client::exit::REFUSED;
use interlock::ops::emergency::holds;
use interlock::ops::events::{self, Event, Level};
use interlock::ops::lock::InstanceLock;
use interlock::ops::paths::Paths;
use interlock::run::access::Access;
use interlock::run::clearance::{self, Asked};
use interlock::run::live::{self, Cleared};
use interlock::run::plan::{Environment, Mode, Plan};
use interlock::run::session::{Ground, StartError};
use serde_json::{Value, json};

use crate::Failure;
use crate::engine::started_nothing;

/// Key of the session header's notes under which stands what paper runs instead of.
const INSTEAD_NOTE: &str = "instead_of_live";

/// What a session was let in with.
pub(crate) struct Entry {
    /// The data directory, locked.
    pub(crate) held: (Paths, InstanceLock),
    /// Live's proof.
    pub(crate) cleared: Option<Cleared>,
    /// The data directory whose readiness is judged: live's, although paper goes on in another.
    pub(crate) judged: Paths,
    /// That paper runs instead of live.
    pub(crate) instead: Option<Instead>,
}

/// Why paper runs instead of live.
pub(crate) struct Instead {
    why: String,
    live: PathBuf,
}

impl Instead {
    /// For the header of the session.
    pub(crate) fn note(&self) -> (String, Value) {
        (INSTEAD_NOTE.to_owned(), json!({ "data_dir": self.live, "why": self.why }))
    }

    /// For the event logs of both data directories.
    pub(crate) fn event(&self, at_ns: i64) -> Event {
        Event::new(at_ns, Level::Warn, "PAPER_GOES_ON")
            .with("instead_of", self.live.display().to_string())
            .with("why", self.why.clone())
    }
}

fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Passes every mode but live through. Live is judged: it gets its proof, or is refused with the list of what is missing; or, if
/// that is nothing but readiness, the plan becomes paper's.
pub(crate) fn enter(
    plan: &mut Plan,
    environment: &Environment,
    access: &Access,
    held: (Paths, InstanceLock),
    (live_confirm, dry_run, now_ns): (Option<&str>, bool, i64),
) -> Result<Entry, Failure> {
    let judged = held.0.clone();
    if plan.mode != Mode::Live || dry_run {
        return Ok(Entry { held, cleared: None, judged, instead: None });
    }
    let asked = Asked { plan, environment, live_confirm, access: Ok(access), paths: &judged, now_ns };
    let refused = match live::clear(&clearance::case(&asked), &judged, &held.1, now_ns) {
        Ok(cleared) => return Ok(Entry { held, cleared: Some(cleared), judged, instead: None }),
        Err(refused) => refused,
    };
    if let live::Refused::Closed(assessment) = &refused {
        say(&assessment.render());
    }
    let Some(why) = live::paper_goes_on(&refused, &judged, environment.kill_switch) else {
        return Err(Failure { code: REFUSED, error: refused.into() });
    };
    say(&format!("interlock: {refused}"));
    // Someone may mend what is missing and start live again: its directory is free for it.
    drop(held);
    let instead = Instead { why, live: judged.data.clone() };
    let held = into_paper(plan, environment, &judged)?;
    if let Err(error) = events::append(&judged.events(), &instead.event(now_ns)) {
        say(&format!("interlock: {}: {error}; PAPER_GOES_ON is not in it", judged.events().display()));
    }
    say(&format!(
        "interlock: live is refused and its kill switch has tripped; paper goes on in {0}\n  \
         interlock status --data-dir {0}",
        held.0.data.display()
    ));
    Ok(Entry { held, cleared: None, judged, instead: Some(instead) })
}

/// Makes the plan paper's and takes paper's data directory. If the paper programme runs there already, it goes on without us.
fn into_paper(
    plan: &mut Plan,
    environment: &Environment,
    live: &Paths,
) -> Result<(Paths, InstanceLock), Failure> {
    plan.mode = Mode::Paper;
    if let Some(line) = plan.override_turnover(&environment.turnover).map_err(Failure::usage)? {
        say(&line);
    }
    let dir = live::paper_dir(&plan.readiness, live);
    let held = Ground::lock(&dir).map_err(|error| match error {
        StartError::Lock(_) => Failure {
            code: REFUSED,
            error: anyhow::anyhow!("live is refused; paper goes on as it is: {error}"),
        },
        other => started_nothing(other),
    })?;
    holds::check(&held.0, Mode::Paper.name())
        .map_err(|why| Failure { code: REFUSED, error: anyhow::anyhow!(why) })?;
    Ok(held)
}
