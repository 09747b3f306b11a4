//! Indicators: incremental, constant work for each update, memory taken at construction. Binary fixed point (`fixed`), so
//! that every machine computes the same bits; never a float, and never used for money.

mod average;
mod flow;

pub use average::{Average, Exponential, Simple};
pub use flow::{Decay, OrderFlow, microprice};
