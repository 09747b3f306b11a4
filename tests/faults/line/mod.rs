//! The scenarios that run over the whole line in memory.

pub(crate) mod budgets;
pub(crate) mod emergencies;
pub(crate) mod fills;
pub(crate) mod numbers;
pub(crate) mod outcomes;
pub(crate) mod records;
