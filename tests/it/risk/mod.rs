//! Risk: each check at its boundary, the whole against a plain model, the stage on its rings, and the ledger under it.

mod checks;
mod lately;
mod lately_model;
mod layered;
mod ledger;
mod model;
mod rules;
mod stage;
mod together;
