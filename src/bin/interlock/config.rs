//! `interlock config`, `interlock strategies`.

use std::io::Write as _;

use interlock::ops::client::exit::DONE;
use interlock::run::plan;

use crate::args::{Common, ConfigVerb, Output};
use crate::{Failure, Outcome};

pub(crate) fn run(common: &Common, verb: &ConfigVerb) -> Outcome {
    let plan = plan::load(&common.config).map_err(Failure::usage)?;
    let mut out = std::io::stdout().lock();
    match verb {
        ConfigVerb::Check => {}
        ConfigVerb::Show if common.output == Output::Json => writeln!(out, "{}", plan.canonical_json())?,
        ConfigVerb::Show => write!(out, "{}", plan.to_toml())?,
        ConfigVerb::Hash => writeln!(out, "{}", plan.hash())?,
    }
    Ok(DONE)
}

pub(crate) fn strategies(common: &Common) -> Outcome {
    let _unused = common;
    Ok(DONE)
}
