//! Whether shadow may start: a table of checks, each of which can fail. What the types already forbid (a gateway, a door, an
//! account session) needs no check; what the environment and the configuration could ask for does.

use serde_json::{Map, Value};

use crate::run::access::Access;
use crate::run::plan::Environment;

/// One check.
pub struct Check {
    /// Its name in `SHADOW_SAFETY_OK`.
    pub name: &'static str,
    /// What it demands.
    pub help: &'static str,
    /// What to do when it does not hold.
    pub remedy: &'static str,
    holds: fn(&Environment, &Access) -> bool,
}

impl std::fmt::Debug for Check {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Check").field("name", &self.name).finish_non_exhaustive()
    }
}

/// The table.
pub const CHECKS: &[Check] = &[
    Check {
        name: "live_trading_unset",
        help: "LIVE_TRADING is not in the environment (whoever set it wants orders, and shadow sends none)",
        remedy: "unset LIVE_TRADING",
        holds: |environment, _| !environment.live_trading_set,
    },
    Check {
        name: "no_key_in_environment",
        help: "INTERLOCK_API_KEY_FILE is not in the environment (shadow reads no key)",
        remedy: "unset INTERLOCK_API_KEY_FILE",
        holds: |environment, _| environment.api_key_file.is_none(),
    },
    Check {
        name: "no_key_configured",
        help: "venue.api_key_file is empty (shadow reads no key)",
        remedy: "remove venue.api_key_file from the configuration",
        holds: |_, access| access.key_file.is_none(),
    },
];

/// A check does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused: shadow does not start: it must hold that {help}. Do: {remedy}")]
pub struct Unsafe {
    /// Which.
    pub name: &'static str,
    /// What it demands.
    pub help: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// All checks hold: the only way to shadow's edge of the line. Holds where the market data is, and no key.
#[derive(Debug)]
pub struct Safety {
    access: Access,
}

impl Safety {
    /// Walks the table. A `venue.json` names the embedded venue's keys beside its addresses: its path is dropped, not read.
    pub fn check(environment: &Environment, access: Access, is_embedded: bool) -> Result<Self, Unsafe> {
        let access = if is_embedded { Access { key_file: None, ..access } } else { access };
        match CHECKS.iter().find(|check| !(check.holds)(environment, &access)) {
            Some(Check { name, help, remedy, .. }) => Err(Unsafe { name, help, remedy }),
            None => Ok(Self { access }),
        }
    }

    /// Where the market data is.
    pub const fn access(&self) -> &Access {
        &self.access
    }

    /// What `SHADOW_SAFETY_OK` tells: every check that holds.
    pub fn fields() -> Map<String, Value> {
        CHECKS.iter().map(|check| (check.name.to_owned(), Value::from(true))).collect()
    }
}
