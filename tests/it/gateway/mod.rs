//! The gateway against a venue that loses, delays, forgets and hangs up: nothing is sent twice, nothing is forgotten, and a
//! halt ends only on the venue's word.

mod rig;
mod venue;
mod whole_line;
mod wire;

mod halts;
mod outcomes;
mod random;
mod writes;
