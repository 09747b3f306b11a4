//! What the gates judge: gathered once, from the configuration, the environment, the command line and the data directory. A
//! [`Case`] can only be gathered, never written by hand, so that nobody outside this folder can make one up.

use secrecy::SecretString;
use serde_json::{Value, json};

use super::books::Books;
use super::config::{EnforcementSection, EnvironmentSection, GatesSection, Signer};
use super::drills::{self, Drills};
use super::statement::{Demand, Kind, Role, Statement};
use super::token::{self, TokenRecord};
use super::transition::{self, Transition};
use crate::ops::events::rfc3339;
use crate::ops::paths::Paths;
use crate::ops::readiness::{self, Readiness};

/// What the environment says about going live. Read by `run`, the only room that may.
#[derive(Clone, Debug, Default)]
pub struct Variables {
    /// `LIVE_TRADING`.
    pub live_trading: Option<String>,
    /// `LIVE_CONFIRM_TOKEN`.
    pub confirm_token: Option<SecretString>,
    /// `LIVE_SYMBOL_ALLOWLIST`.
    pub allowlist: Option<String>,
    /// `LIVE_KILL_SWITCH` is set.
    pub kill_switch: bool,
}

/// A bounded-live figure: what the section says, what the checks apply, and the most that the phase allows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bound {
    /// The key in `[bounded_live.limits]`.
    pub name: &'static str,
    /// As configured there, in the figure's own smallest unit.
    pub configured: i64,
    /// What risk applies, in the same unit.
    pub in_force: i64,
    /// The phase's figure, in the same unit.
    pub ceiling: i64,
    /// What is in force, for people.
    pub text: String,
}

/// The bounded-live section as the gates see it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bounded {
    /// `bounded_live.phase`.
    pub phase: u32,
    /// What keeps the section from being the bounds of a live session, as what must stand there instead.
    pub faults: Vec<String>,
    /// The figures. None at all counts as not enforced.
    pub limits: Vec<Bound>,
}

/// Where the evidence comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    /// The data directory.
    pub paths: Paths,
    /// Now.
    pub now_ns: i64,
    /// Hash of the effective configuration.
    pub config_hash: String,
    /// `[environment]`.
    pub environment: EnvironmentSection,
    /// `[bounded_live_enforcement]`.
    pub enforcement: EnforcementSection,
    /// `[gates]`.
    pub gates: GatesSection,
    /// `[bounded_live]`.
    pub bounded: Bounded,
    /// What is to be traded.
    pub symbols: Vec<String>,
    /// The environment.
    pub variables: Variables,
    /// `--live-confirm`.
    pub live_confirm: Option<String>,
    /// The venue: where it is, and that its addresses are those of the configuration.
    pub venue: Result<String, String>,
    /// The key: that it is in a file of mode 0600 and can be used.
    pub key: Result<String, String>,
    /// Whether the evidence allows the configured phase (R-LIM-3).
    pub phase: Result<String, String>,
    /// Whether an automatic rollback forbids live until a person has cleared it (R-KILL-6).
    pub rollback: Result<String, String>,
    /// Readiness.
    pub readiness: Readiness,
}

/// Everything that the gates judge.
#[derive(Clone, Debug)]
pub struct Case {
    pub(super) sources: Sources,
    pub(super) token: Result<(), String>,
    pub(super) token_record: Result<TokenRecord, String>,
    pub(super) arming: Result<Statement, String>,
    pub(super) sign_offs: [Result<Statement, String>; 4],
    pub(super) stops: Vec<String>,
    pub(super) drills: Drills,
    pub(super) transition: Result<Transition, String>,
}

impl Case {
    /// Looks at everything. Changes nothing.
    pub fn gather(sources: Sources) -> Self {
        let books = Books::new(&sources.paths);
        let (now_ns, gates) = (sources.now_ns, &sources.gates);
        let token_record = token::read(&books);
        let given = sources.variables.confirm_token.as_ref();
        let token = token::check(&token_record, given, books.data(), gates.token_valid_s, now_ns);
        let bound_to = token_record.as_ref().map(|r| r.hash.clone()).unwrap_or_default();
        let arming = gather_statement(&sources, &books.arming(), Role::Proposer, &bound_to);
        let sign_offs =
            Role::APPROVERS.map(|role| gather_statement(&sources, &books.sign_off(role), role, ""));
        Self {
            token,
            token_record,
            arming,
            sign_offs,
            stops: readiness::stops(&sources.paths, sources.variables.kill_switch),
            drills: drills::look(&sources.paths, now_ns, gates.drills_within_days),
            transition: transition::look(&books, &sources.config_hash),
            sources,
        }
    }

    /// The hash of the configuration that is judged.
    pub fn config_hash(&self) -> &str {
        &self.sources.config_hash
    }

    /// What people signed and made, in full. Of the token only its hash, as its file has it.
    pub(super) fn papers(&self) -> Value {
        let found = |statement: &Result<Statement, String>| json!(statement.as_ref().ok());
        let sign_offs = self.sign_offs.iter().map(found).collect::<Vec<_>>();
        json!({
            "sign_offs": sign_offs, "arming": found(&self.arming), "token": self.token_record.as_ref().ok(),
            "transition": self.transition.as_ref().ok(),
            "readiness": self.sources.readiness.to_json(&rfc3339(self.sources.now_ns)),
        })
    }

    /// The allowlist in force.
    pub fn allowlist(&self) -> Vec<String> {
        allowlist(&self.sources.gates, &self.sources.variables)
    }
}

/// The allowlist in force: the configuration's, narrowed by the environment's; the environment's alone if the configuration has
/// none.
pub fn allowlist(gates: &GatesSection, variables: &Variables) -> Vec<String> {
    let configured = &gates.symbol_allowlist;
    let Some(text) = &variables.allowlist else { return configured.clone() };
    let named = text.split([',', ' ']).map(plain_symbol).filter(|s| !s.is_empty());
    named.filter(|s| configured.is_empty() || configured.iter().any(|c| plain_symbol(c) == *s)).collect()
}

/// `ETH/USDT`, `eth-usdt` and `ETHUSDT` are the same symbol.
pub fn plain_symbol(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}

fn signer(gates: &GatesSection, role: Role) -> &Signer {
    match role {
        Role::Risk => &gates.signers.risk,
        Role::Security => &gates.signers.security,
        Role::Operations => &gates.signers.operations,
        Role::SystemOwner => &gates.signers.system_owner,
        Role::Proposer => &gates.proposer,
    }
}

fn gather_statement(
    sources: &Sources,
    path: &std::path::Path,
    role: Role,
    bound_to: &str,
) -> Result<Statement, String> {
    let gates = &sources.gates;
    let who = signer(gates, role);
    let key = who.public()?;
    let statement = Statement::parse(&Books::read(path)?)?;
    let (kind, valid_s_max) = match role {
        Role::Proposer => (Kind::Arming, gates.arming_valid_s),
        _ => (Kind::SignOff, gates.sign_off_days_max.saturating_mul(86_400)),
    };
    let (config_hash, now_ns) = (sources.config_hash.as_str(), sources.now_ns);
    let demand = Demand { kind, role, name: &who.name, key, config_hash, bound_to, valid_s_max, now_ns };
    statement.check(&demand)?;
    Ok(statement)
}
