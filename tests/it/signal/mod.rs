//! Signal: order of the line, backpressure, determinism, the operator's commands, and bars.

mod bars;
mod commands;
mod exits;
mod line;
pub(crate) mod scripted;
