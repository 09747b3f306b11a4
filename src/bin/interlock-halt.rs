//! The halt tool: trips, cancels and waits for zero open orders, without the engine.
fn main() {}
