//! `interlock config`, `interlock strategies`.

use std::io::Write as _;

use interlock::ops::client::exit::DONE;
use interlock::run::plan;
use interlock::strategy::STRATEGIES;
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, ConfigVerb, Output};

pub(crate) fn run(common: &Common, verb: &ConfigVerb) -> Outcome {
    let plan = plan::load(&common.config).map_err(Failure::usage)?;
    let mut out = std::io::stdout().lock();
    match verb {
        ConfigVerb::Check => {}
        ConfigVerb::Show if common.output == Output::Json => writeln!(out, "{}", plan.canonical_json())?,
        ConfigVerb::Show => write!(out, "{}", plan.to_toml())?,
        ConfigVerb::Schema => writeln!(out, "{:#}", plan::schema())?,
        ConfigVerb::Hash => writeln!(out, "{}", plan.hash())?,
    }
    Ok(DONE)
}

pub(crate) fn strategies(common: &Common) -> Outcome {
    let mut out = std::io::stdout().lock();
    if common.output == Output::Json {
        let rows: Vec<_> = STRATEGIES
            .iter()
            .map(|entry| {
                let params: Vec<_> = entry.params.iter().map(|p| json!(p.to_string())).collect();
                json!({ "name": entry.name, "help": entry.help, "params": params })
            })
            .collect();
        writeln!(out, "{}", json!({ "strategies": rows }))?;
        return Ok(DONE);
    }
    for entry in STRATEGIES {
        writeln!(out, "{}\n  {}", entry.name, entry.help)?;
        for param in entry.params {
            writeln!(out, "    {param}")?;
        }
    }
    Ok(DONE)
}
