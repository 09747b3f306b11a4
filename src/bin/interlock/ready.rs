//! `interlock ready`: readiness by the evidence, with the exit code that automation looks at.

use std::io::Write as _;

use interlock::agent::Clock;
use interlock::ops::client::exit::DONE;
use interlock::ops::events::rfc3339;
use interlock::ops::paths::Paths;
use interlock::ops::readiness::Verdict;
use interlock::run::clearance;
use interlock::run::plan::{self, Environment};

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, Output};
use crate::exit;

pub(crate) fn run(common: &Common, quiet: bool) -> Outcome {
    let plan = plan::load(&common.config).map_err(Failure::usage)?;
    let paths = Paths::new(&common.data_dir, None);
    let now_ns = Clock::system().now().ns;
    let readiness = clearance::readiness(&plan, &paths, &Environment::read(), now_ns);
    let mut out = std::io::stdout().lock();
    match common.output {
        _ if quiet => {}
        Output::Json => writeln!(out, "{}", readiness.to_json(&rfc3339(now_ns)))?,
        Output::Table => writeln!(out, "{}", readiness.render())?,
    }
    Ok(match readiness.live_rollout {
        Verdict::Go => DONE,
        Verdict::Conditional => exit::CONDITIONAL,
        Verdict::NoGo => exit::NO_GO,
    })
}
