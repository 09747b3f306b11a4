//! Signed statements: "I, in this role, agree to this configuration until then". Sign-offs (R-GATE-6) and armings are statements.
//! The signature covers every field in one fixed text, so that no field can be moved from one statement to another.

use serde::{Deserialize, Serialize};

use super::keys::{PersonalKey, PublicKey};
use crate::ops::events::rfc3339;
use crate::types::time::NS_PER_S;

/// How far ahead of our clock a statement may have been issued: clocks of two hosts differ.
const SKEW_NS: i64 = 120 * NS_PER_S;

/// What is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A role approves a configuration.
    SignOff,
    /// The proposer arms a configuration for one session.
    Arming,
}

/// Who may state something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Risk owner.
    Risk,
    /// Security owner.
    Security,
    /// Operations owner.
    Operations,
    /// System owner.
    SystemOwner,
    /// Who proposes and arms; approves nothing.
    Proposer,
}

impl Role {
    /// Those whose approval is needed.
    pub const APPROVERS: [Self; 4] = [Self::Risk, Self::Security, Self::Operations, Self::SystemOwner];

    /// As on the command line and in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Risk => "risk",
            Self::Security => "security",
            Self::Operations => "operations",
            Self::SystemOwner => "system_owner",
            Self::Proposer => "proposer",
        }
    }
}

/// A signed statement, as its file holds it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Statement {
    /// Version of this object.
    pub v: u32,
    /// What is stated.
    pub kind: Kind,
    /// In which role.
    pub role: Role,
    /// By whom.
    pub name: String,
    /// About which configuration: its hash.
    pub config_hash: String,
    /// What else it is bound to: an arming names the hash of the token that it was made with; empty for sign-offs.
    pub bound_to: String,
    /// When, nanoseconds since the epoch.
    pub issued_ns: i64,
    /// Until when.
    pub expires_ns: i64,
    /// The signer's public key.
    pub key: String,
    /// Over all of it.
    pub signature: String,
}

/// What a statement is made of before it is signed.
#[derive(Clone, Debug)]
pub struct Draft<'a> {
    /// What is stated.
    pub kind: Kind,
    /// In which role.
    pub role: Role,
    /// By whom.
    pub name: &'a str,
    /// About which configuration.
    pub config_hash: &'a str,
    /// What else it is bound to.
    pub bound_to: &'a str,
    /// When.
    pub issued_ns: i64,
    /// For how long, seconds.
    pub valid_s: u64,
}

/// What a statement must say to count.
#[derive(Clone, Copy, Debug)]
pub struct Demand<'a> {
    /// What is stated.
    pub kind: Kind,
    /// In which role.
    pub role: Role,
    /// The name that the configuration gives the role.
    pub name: &'a str,
    /// The key that the configuration gives the role.
    pub key: PublicKey,
    /// The effective configuration.
    pub config_hash: &'a str,
    /// What else it must be bound to.
    pub bound_to: &'a str,
    /// Longest validity, seconds.
    pub valid_s_max: u64,
    /// Now.
    pub now_ns: i64,
}

impl Statement {
    /// Signs a draft.
    pub fn sign(draft: &Draft<'_>, key: &PersonalKey) -> Self {
        let valid_ns = i64::try_from(draft.valid_s).unwrap_or(i64::MAX).saturating_mul(NS_PER_S);
        let mut statement = Self {
            v: 1,
            kind: draft.kind,
            role: draft.role,
            name: draft.name.to_owned(),
            config_hash: draft.config_hash.to_owned(),
            bound_to: draft.bound_to.to_owned(),
            issued_ns: draft.issued_ns,
            expires_ns: draft.issued_ns.saturating_add(valid_ns),
            key: key.public().to_string(),
            signature: String::new(),
        };
        statement.signature = key.sign(&statement.text());
        statement
    }

    /// The text that is signed. JSON of every other field: no value can look like the end of another.
    fn text(&self) -> String {
        serde_json::json!({
            "interlock": "statement", "v": self.v, "kind": self.kind, "role": self.role, "name": self.name,
            "config_hash": self.config_hash, "bound_to": self.bound_to, "issued_ns": self.issued_ns,
            "expires_ns": self.expires_ns, "key": self.key,
        })
        .to_string()
    }

    /// Reads one; never follows it further than that it is one.
    pub fn parse(bytes: &[u8]) -> Result<Self, String> {
        serde_json::from_slice(bytes).map_err(|error| format!("not a statement: {error}"))
    }

    /// Whether it says what is demanded, and who says so may; otherwise what is wrong.
    pub fn check(&self, demand: &Demand<'_>) -> Result<(), String> {
        if self.v != 1 || self.kind != demand.kind || self.role != demand.role {
            return Err(format!(
                "is a {:?} of {}, not a {:?} of {}",
                self.kind,
                self.role.name(),
                demand.kind,
                demand.role.name()
            ));
        }
        if self.name != demand.name {
            return Err(format!("is by {:?}; the configuration names {:?}", self.name, demand.name));
        }
        if self.key != demand.key.to_string() {
            return Err(format!("is signed by {}; the configuration names {}", self.key, demand.key));
        }
        if !demand.key.verifies(&self.text(), &self.signature) {
            return Err("has a signature that is not by its key: its text was changed".to_owned());
        }
        if self.config_hash != demand.config_hash {
            return Err(format!("is about configuration {}, not about this one", short(&self.config_hash)));
        }
        if self.bound_to != demand.bound_to {
            return Err("is bound to another confirm token".to_owned());
        }
        if self.issued_ns > demand.now_ns.saturating_add(SKEW_NS) {
            return Err(format!("was issued in the future, at {}", rfc3339(self.issued_ns)));
        }
        let valid_ns = i64::try_from(demand.valid_s_max).unwrap_or(i64::MAX).saturating_mul(NS_PER_S);
        if self.expires_ns <= self.issued_ns || self.expires_ns.saturating_sub(self.issued_ns) > valid_ns {
            return Err(format!("has a validity that is not allowed: {} s at most", demand.valid_s_max));
        }
        if demand.now_ns >= self.expires_ns {
            return Err(format!("expired at {}", rfc3339(self.expires_ns)));
        }
        Ok(())
    }
}

/// The first digits of a hash, for people.
pub(super) fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
