//! Strategies: the conformance test that walks the table, what each one does, its parameters, and the indicators.

mod behaviour;
mod conformance;
mod indicator;
mod params;
