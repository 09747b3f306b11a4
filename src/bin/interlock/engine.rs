//! `interlock run`, `interlock venue`, `interlock journal replay`.

use std::path::Path;

use crate::Outcome;
use crate::args::{Common, RunArgs, VenueArgs};

pub(crate) fn run(_common: &Common, _args: &RunArgs) -> Outcome {
    Ok(0)
}

pub(crate) fn venue(_common: &Common, _args: &VenueArgs) -> Outcome {
    Ok(0)
}

pub(crate) fn replay(_common: &Common, _dir: &Path, _session: Option<&str>) -> Outcome {
    Ok(0)
}
