//! `interlock limits`.

use std::io::Write as _;

use interlock::ops::client::{self, exit::DONE};
use interlock::ops::protocol::{StrategyArgs, Verb};
use interlock::run::plan;
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, LimitsVerb, Output};
use crate::with_console;

pub(crate) fn run(common: &Common, verb: Option<LimitsVerb>) -> Outcome {
    match verb.unwrap_or(LimitsVerb::Show) {
        LimitsVerb::Show => show(common),
        LimitsVerb::Rate => Ok(with_console(common, client::rates)),
        LimitsVerb::Enable { strategy, cause, by } => {
            Ok(switch(common, Verb::StrategyEnable, &StrategyArgs { strategy, cause, by }))
        }
        LimitsVerb::Disable { strategy, cause, by } => {
            Ok(switch(common, Verb::StrategyDisable, &StrategyArgs { strategy, cause, by }))
        }
    }
}

fn switch(common: &Common, verb: Verb, args: &StrategyArgs) -> u8 {
    with_console(common, |paths, console| client::switch_strategy(paths, verb, args, console))
}

/// The limits that a session of this configuration runs under: the tighter of `[risk]` and `[bounded_live]`.
fn show(common: &Common) -> Outcome {
    let plan = plan::load(&common.config).map_err(Failure::usage)?;
    let limits = plan.limits();
    let bounded = &plan.bounded_live;
    let mut out = std::io::stdout();
    if common.output == Output::Json {
        let answer = json!({
            "mode": plan.mode.name(),
            "bounded": { "enabled": bounded.enabled, "phase": bounded.phase, "enforced": bounded.binds() },
            "limits": limits,
        });
        writeln!(out, "{}", serde_json::to_string_pretty(&answer)?)?;
        return Ok(DONE);
    }
    let stands = match (bounded.enabled, bounded.binds()) {
        (true, true) => format!("bounded, phase {}: the tighter of [risk] and [bounded_live]", bounded.phase),
        (true, false) => "bounded limits are shown and NOT enforced".to_owned(),
        (false, _) => "not bounded: [risk] alone".to_owned(),
    };
    writeln!(out, "# {} ({stands})", plan.mode.name())?;
    write!(out, "{}", toml::to_string_pretty(&limits)?)?;
    Ok(DONE)
}
