//! The feed over connections in memory: what the venue says becomes numbered facts, and nothing that matters is lost.

mod links;
mod market;
mod private;
mod rig;
