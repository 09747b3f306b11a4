//! Configuration: TOML files, in order, later wins; checked in full before anything starts. The effective configuration
//! (defaults filled in, canonical order) has a hash, which journals and arming refer to.
//!
//! This is also the only room that reads the environment.

mod files;
mod limits;
mod orders;
mod ranges;
mod schema;
mod sections;
mod shadow;

use std::path::PathBuf;

use secrecy::SecretString;

use crate::ops::gates::Variables;

pub use limits::TurnoverOverrides;

pub use files::{ConfigError, from_texts, load};
pub use orders::{ExitsSection, ForeignOrders, ReconcileSection};
pub use schema::schema;
pub use sections::{
    ConnectBudget, FeedSection, GatewaySection, Idle, JournalSection, KillSection, Layout, Mode,
    PaperSection, PlacementSection, Plan, Signing, StrategySection, VenueSection,
};
pub use shadow::ShadowSection;

impl Plan {
    /// The effective configuration as canonical JSON: keys sorted, defaults filled in. What the hash is taken over.
    pub fn canonical_json(&self) -> String {
        fn sorted(value: serde_json::Value) -> serde_json::Value {
            match value {
                serde_json::Value::Object(map) => {
                    let mut pairs: Vec<_> = map.into_iter().map(|(k, v)| (k, sorted(v))).collect();
                    pairs.sort_by(|a, b| a.0.cmp(&b.0));
                    serde_json::Value::Object(pairs.into_iter().collect())
                }
                serde_json::Value::Array(items) => items.into_iter().map(sorted).collect(),
                other => other,
            }
        }
        serde_json::to_value(self).map(sorted).unwrap_or_default().to_string()
    }

    /// BLAKE3 of [`Plan::canonical_json`], as 64 hexadecimal digits.
    pub fn hash(&self) -> String {
        blake3::hash(self.canonical_json().as_bytes()).to_hex().to_string()
    }

    /// The effective configuration as TOML.
    pub fn to_toml(&self) -> String {
        toml::to_string_pretty(self).unwrap_or_default()
    }
}

/// What the environment says. Read once, here, at start: the environment of a running process does not change.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// `LIVE_KILL_SWITCH`: set to anything but empty, `0` or `off`, it trips.
    pub kill_switch: bool,
    /// `INTERLOCK_API_KEY_FILE`: where the API key is, instead of the configuration's path.
    pub api_key_file: Option<PathBuf>,
    /// The turnover governor's overrides in paper.
    pub turnover: TurnoverOverrides,
    /// Whether `LIVE_TRADING` is there at all, whatever it says: shadow does not start beside it (R-MODE-2).
    pub live_trading_set: bool,
    /// `LIVE_TRADING`, `LIVE_CONFIRM_TOKEN`, `LIVE_SYMBOL_ALLOWLIST` and `LIVE_KILL_SWITCH`, for the gates.
    pub live: Variables,
}

impl Environment {
    /// Reads it.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    pub fn read() -> Self {
        let get = |name: &str| std::env::var(name).ok().filter(|v| !v.is_empty());
        let kill_switch =
            get("LIVE_KILL_SWITCH").is_some_and(|v| !matches!(v.as_str(), "0" | "off" | "false"));
        Self {
            kill_switch,
            live: Variables {
                live_trading: get("LIVE_TRADING"),
                confirm_token: get("LIVE_CONFIRM_TOKEN").map(SecretString::from),
                allowlist: get("LIVE_SYMBOL_ALLOWLIST"),
                kill_switch,
            },
            api_key_file: get("INTERLOCK_API_KEY_FILE").map(PathBuf::from),
            turnover: TurnoverOverrides {
                min_ratio: get("PAPER_LIVE_TURNOVER_MIN_RATIO"),
                max_daily: get("PAPER_LIVE_TURNOVER_MAX_DAILY"),
            },
            live_trading_set: std::env::var_os("LIVE_TRADING").is_some(),
        }
    }
}
