//! The only room that knows them all: from configuration to a running engine.
//!
//! [`plan`] turns TOML into a checked plan; the other files build the pipeline that the plan's mode asks for. No stage is
//! ever told its mode: what differs is which edges stand at the two ends of the line.

pub mod access;
pub mod audit;
pub mod carry;
pub mod checkpoints;
pub mod clearance;
pub mod connects;
pub mod destination;
pub mod drill;
pub mod dry;
pub mod edges;
pub mod last_resort;
pub mod line;
pub mod live;
pub mod paper;
pub mod papers;
pub mod placement;
pub mod plan;
pub mod prepare;
pub mod reconcile;
pub mod replay;
pub mod rest_worker;
pub mod session;
pub mod shadow;
pub mod wiring;
