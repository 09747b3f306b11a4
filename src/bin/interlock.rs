//! The engine and its verbs.
fn main() {}
