//! The sections that the gates read: `[environment]`, `[bounded_live_enforcement]` and `[gates]`. Their defaults are the closed
//! ones: a configuration that says nothing about going live can't.
//!
//! The public keys of those who sign stand here, so that they are part of the configuration's hash: whoever changes a signer
//! voids every signature.

use serde::{Deserialize, Serialize};

use super::keys::PublicKey;

/// The only text that `environment.confirm_token` may hold: the name of the variable, never a token.
pub const TOKEN_REFERENCE: &str = "${LIVE_CONFIRM_TOKEN}";

/// Which environment the file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EnvironmentName {
    /// Nothing leaves this machine.
    #[default]
    Paper,
    /// A test venue.
    Testnet,
    /// Real orders with real money.
    Live,
}

/// `[environment]`: the five gates of the transition runbook (R-GATE-1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "the runbook's own switches, one by one")]
pub struct EnvironmentSection {
    /// Which environment the file is for.
    pub environment: EnvironmentName,
    /// Gate 1.
    pub enable_live_trading: bool,
    /// Gate 2.
    pub live_mode_armed: bool,
    /// Gate 3: while it is true, everything runs, incl. signing and encoding, and the gateway stops before the socket write.
    pub live_dry_run_mode: bool,
    /// Gate 4: whether a confirm token is demanded. Live refuses while this is false.
    pub require_confirm_token: bool,
    /// Where the token comes from; nothing but `${LIVE_CONFIRM_TOKEN}` is taken (R-GATE-1: never in a file).
    pub confirm_token: String,
}

/// `[bounded_live_enforcement]`: bounded limits are enforced, not advisory (R-GATE-4).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnforcementSection {
    /// Live refuses while this is false.
    pub enforce_bounded_limits: bool,
    /// Live refuses while this is true.
    pub allow_limit_override: bool,
}

/// One who signs: a name for people, a key for the machine.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signer {
    /// Who.
    pub name: String,
    /// Public Ed25519 key, as `interlock live key` printed it; empty = nobody, so the gate stays closed.
    pub key: String,
}

impl Signer {
    /// The key, if there is a usable one.
    pub fn public(&self) -> Result<PublicKey, String> {
        if self.name.trim().is_empty() {
            return Err("has no name in the configuration".to_owned());
        }
        PublicKey::parse(&self.key).map_err(|why| format!("{}: {why}", self.name))
    }
}

/// The four roles that sign off (R-GATE-6).
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Signers {
    /// Risk owner.
    pub risk: Signer,
    /// Security owner.
    pub security: Signer,
    /// Operations owner.
    pub operations: Signer,
    /// System owner.
    pub system_owner: Signer,
}

/// `[gates]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GatesSection {
    /// Symbols that may be traded live; `LIVE_SYMBOL_ALLOWLIST` narrows it further, or stands alone if this is empty.
    pub symbol_allowlist: Vec<String>,
    /// How long a typed `I UNDERSTAND` may wait for the start that it was typed for, seconds.
    pub arming_valid_s: u64,
    /// How long a confirm token may wait for its use, seconds.
    pub token_valid_s: u64,
    /// Longest validity of a sign-off, days.
    pub sign_off_days_max: u64,
    /// Kill-switch drills that must have succeeded.
    pub drills_min: u32,
    /// Only drills of the last so many days count.
    pub drills_within_days: u32,
    /// Who proposes this configuration and arms it. Can't be one of those who approve (R-GOV-2).
    pub proposer: Signer,
    /// Who approves.
    pub signers: Signers,
}

impl Default for EnvironmentSection {
    fn default() -> Self {
        Self {
            environment: EnvironmentName::default(),
            enable_live_trading: false,
            live_mode_armed: false,
            live_dry_run_mode: true,
            require_confirm_token: true,
            confirm_token: TOKEN_REFERENCE.to_owned(),
        }
    }
}

impl Default for EnforcementSection {
    fn default() -> Self {
        Self { enforce_bounded_limits: true, allow_limit_override: false }
    }
}

impl Default for GatesSection {
    fn default() -> Self {
        Self {
            symbol_allowlist: Vec::new(),
            arming_valid_s: 3_600,
            token_valid_s: 86_400,
            sign_off_days_max: 30,
            drills_min: 3,
            drills_within_days: 31,
            proposer: Signer::default(),
            signers: Signers::default(),
        }
    }
}

/// Whether the sections make sense by themselves; what they would let through is the gates' business.
pub fn check(environment: &EnvironmentSection, gates: &GatesSection) -> Result<(), String> {
    if environment.confirm_token != TOKEN_REFERENCE {
        // The value is not quoted: it may be a token.
        return Err(format!(
            "environment.confirm_token may only be \"{TOKEN_REFERENCE}\": a token never stands in a file; \
             put it into that variable, and have a new one made if this was one"
        ));
    }
    let ranges: [(&str, u64, u64, u64, &str); 5] = [
        ("arming_valid_s", gates.arming_valid_s, 10, 86_400, "a confirmation is for one start, soon"),
        ("token_valid_s", gates.token_valid_s, 60, 604_800, "a token that lies about is found"),
        ("sign_off_days_max", gates.sign_off_days_max, 1, 90, "an approval without an end is none"),
        ("drills_min", u64::from(gates.drills_min), 3, 1_000, "R-KILL-4 asks three before live"),
        ("drills_within_days", u64::from(gates.drills_within_days), 1, 366, "drills are monthly"),
    ];
    for (key, value, min, max, why) in ranges {
        if value < min || value > max {
            return Err(format!("gates.{key} = {value} is out of range: {min} to {max} ({why})"));
        }
    }
    let signers = &gates.signers;
    let everyone =
        [&signers.risk, &signers.security, &signers.operations, &signers.system_owner, &gates.proposer];
    for (at, one) in everyone.iter().enumerate() {
        if !one.key.is_empty() {
            PublicKey::parse(&one.key).map_err(|why| format!("gates: the key of {:?}: {why}", one.name))?;
        }
        let twice = |other: &&Signer| {
            (!one.key.is_empty() && one.key == other.key)
                || (!one.name.is_empty() && one.name.eq_ignore_ascii_case(&other.name))
        };
        if let Some(other) = everyone[at + 1..].iter().find(|other| twice(other)) {
            return Err(format!(
                "gates: {:?} and {:?} are the same name or key: the four who approve and the one who proposes are five \
                 different people (R-GATE-6, R-GOV-2)",
                one.name, other.name
            ));
        }
    }
    Ok(())
}
