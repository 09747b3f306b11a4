//! The table of gates. A gate says what it found when it holds, and what it found instead when it doesn't; what to do about it
//! stands beside it. No gate knows another, and none looks at anything but the case.

use super::case::Case;
use super::config::EnvironmentName;
use super::statement::{Role, short};
use crate::ops::events::rfc3339;
use crate::ops::readiness::Verdict;

/// What a gate found: the evidence, or what is missing.
pub type Finding = Result<String, String>;

/// One condition that must hold before an order may go to a real venue.
pub struct Gate {
    /// Its name, stable, as in events and JSON.
    pub name: &'static str,
    /// The requirement that it is.
    pub requirement: &'static str,
    /// What to do when it is closed.
    pub remedy: &'static str,
    pub(super) check: fn(&Case) -> Finding,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

const fn gate(
    name: &'static str,
    requirement: &'static str,
    check: fn(&Case) -> Finding,
    remedy: &'static str,
) -> Gate {
    Gate { name, requirement, remedy, check }
}

/// The name of the gate that `interlock live arm` closes last: everything else must hold before it asks.
pub const OPERATOR_CONFIRMATION: &str = "operator_confirmation";

/// All of them, in the order in which they are shown.
pub const GATES: &[Gate] = &[
    gate("environment", "R-GATE-1", environment, "set environment.environment = \"LIVE\""),
    gate(
        "enable_live_trading",
        "R-GATE-1",
        enable_live_trading,
        "set environment.enable_live_trading = true",
    ),
    gate("live_mode_armed", "R-GATE-1", live_mode_armed, "set environment.live_mode_armed = true"),
    gate("live_dry_run_mode", "R-GATE-1", live_dry_run_mode, "set environment.live_dry_run_mode = false"),
    gate(
        "confirm_token",
        "R-GATE-1",
        confirm_token,
        "export LIVE_CONFIRM_TOKEN=$(interlock live token --by NAME), and keep environment.require_confirm_token = true",
    ),
    gate(
        "kill_switch",
        "R-GATE-1",
        kill_switch,
        "find out why it was tripped, then `interlock kill recover` in paper first",
    ),
    gate("live_trading", "R-GATE-2", live_trading, "export LIVE_TRADING=YES_I_UNDERSTAND"),
    gate(
        "config_hash",
        "R-GATE-3",
        config_hash,
        "give --live-confirm with the hash that `interlock config hash` prints",
    ),
    gate(
        "bounded_limits",
        "R-GATE-4",
        bounded_limits,
        "add -c config/bounded_live.toml: enabled, enforced, without override, figures no larger than the phase's",
    ),
    gate(
        OPERATOR_CONFIRMATION,
        "R-GATE-4",
        operator_confirmation,
        "run `interlock live arm` for this session and type I UNDERSTAND",
    ),
    gate(
        "allowlist",
        "R-GATE-5",
        allowlist,
        "name the symbols in gates.symbol_allowlist or LIVE_SYMBOL_ALLOWLIST, and trade no others",
    ),
    gate("readiness", "R-GATE-5", readiness, "run `interlock ready` and do what it says"),
    gate(
        "sign_offs",
        "R-GATE-6",
        sign_offs,
        "each role runs `interlock live signoff --role ROLE --key FILE`",
    ),
    gate(
        "transition_record",
        "R-GATE-8",
        transition_record,
        "run `interlock live transition --by NAME --commit $(git rev-parse HEAD)`",
    ),
    gate(
        "secrets",
        "R-GATE-9",
        secrets,
        "put the venue's key into a file of mode 0600 and name it in venue.api_key_file",
    ),
    gate("drills", "R-KILL-4", drills, "run `interlock kill drill` until enough have passed"),
    gate(
        "venue",
        "R-GATE-3",
        venue,
        "name the venue's three addresses in [venue], so that the hash covers them",
    ),
    gate(
        "phase",
        "R-LIM-3",
        phase,
        "stay in phase 1 until `interlock progress` says that its criteria are met",
    ),
    gate(
        "rollback",
        "R-KILL-6",
        rollback,
        "start in shadow, find the cause, and have a named person clear it",
    ),
];

fn switch(name: &str, found: bool, wanted: bool) -> Finding {
    if found == wanted { Ok(format!("{name} = {found}")) } else { Err(format!("{name} = {found}")) }
}

fn environment(case: &Case) -> Finding {
    match case.sources.environment.environment {
        EnvironmentName::Live => Ok("environment = \"LIVE\"".to_owned()),
        other => Err(format!("environment is {other:?}")),
    }
}

fn enable_live_trading(case: &Case) -> Finding {
    switch("enable_live_trading", case.sources.environment.enable_live_trading, true)
}

fn live_mode_armed(case: &Case) -> Finding {
    switch("live_mode_armed", case.sources.environment.live_mode_armed, true)
}

fn live_dry_run_mode(case: &Case) -> Finding {
    switch("live_dry_run_mode", case.sources.environment.live_dry_run_mode, false)
}

fn confirm_token(case: &Case) -> Finding {
    if !case.sources.environment.require_confirm_token {
        return Err("require_confirm_token = false, which live does not take".to_owned());
    }
    case.token.clone().map(|()| "VALID (not displayed)".to_owned())
}

fn kill_switch(case: &Case) -> Finding {
    if case.stops.is_empty() {
        return Ok("ACTIVE: nothing says stop; it is armed when the session starts".to_owned());
    }
    Err(case.stops.join("; "))
}

fn live_trading(case: &Case) -> Finding {
    match case.sources.variables.live_trading.as_deref() {
        Some("YES_I_UNDERSTAND") => Ok("LIVE_TRADING=YES_I_UNDERSTAND".to_owned()),
        Some(_) => Err("LIVE_TRADING is set to something else".to_owned()),
        None => Err("LIVE_TRADING is not set".to_owned()),
    }
}

fn config_hash(case: &Case) -> Finding {
    let effective = &case.sources.config_hash;
    match case.sources.live_confirm.as_deref() {
        Some(given) if given == effective => Ok(effective.clone()),
        Some(given) => Err(format!(
            "--live-confirm {}, but the effective configuration's hash is {effective}",
            short(given)
        )),
        None => Err(format!("no --live-confirm; the effective configuration's hash is {effective}")),
    }
}

fn bounded_limits(case: &Case) -> Finding {
    let (bounded, section) = (&case.sources.bounded, &case.sources.enforcement);
    if !bounded.faults.is_empty() {
        return Err(format!("live needs {}", bounded.faults.join(", ")));
    }
    for (name, found, wanted) in [
        ("bounded_live_enforcement.enforce_bounded_limits", section.enforce_bounded_limits, true),
        ("bounded_live_enforcement.allow_limit_override", section.allow_limit_override, false),
    ] {
        switch(name, found, wanted)?;
    }
    if bounded.limits.is_empty() {
        return Err("no bounded figure is known".to_owned());
    }
    for limit in &bounded.limits {
        let name = limit.name;
        if limit.configured <= 0 || limit.configured > limit.ceiling {
            return Err(format!(
                "bounded_live.limits.{name} is over phase {}'s figure, or zero",
                bounded.phase
            ));
        }
        if limit.in_force <= 0 || limit.in_force > limit.configured {
            return Err(format!(
                "{name} = {} is in force, which is looser than bounded_live.limits says",
                limit.text
            ));
        }
    }
    let figures: Vec<_> = bounded.limits.iter().map(|l| format!("{} {}", l.name, l.text)).collect();
    Ok(format!("phase {}: {}", bounded.phase, figures.join(", ")))
}

fn operator_confirmation(case: &Case) -> Finding {
    let arming = case.arming.as_ref().map_err(Clone::clone)?;
    Ok(format!(
        "armed by {} at {}, until {}",
        arming.name,
        rfc3339(arming.issued_ns),
        rfc3339(arming.expires_ns)
    ))
}

fn allowlist(case: &Case) -> Finding {
    let allowed = case.allowlist();
    if allowed.is_empty() {
        return Err("the allowlist is empty".to_owned());
    }
    let plain: Vec<String> = allowed.iter().map(|s| super::case::plain_symbol(s)).collect();
    let foreign: Vec<_> = case
        .sources
        .symbols
        .iter()
        .filter(|s| !plain.contains(&super::case::plain_symbol(s)))
        .cloned()
        .collect();
    if case.sources.symbols.is_empty() {
        return Err("nothing is to be traded".to_owned());
    }
    if foreign.is_empty() {
        Ok(allowed.join(", "))
    } else {
        Err(format!("{} not on the allowlist", foreign.join(", ")))
    }
}

fn readiness(case: &Case) -> Finding {
    let readiness = &case.sources.readiness;
    match readiness.live_rollout {
        Verdict::Go => Ok("GO".to_owned()),
        other => Err(format!("{}: {}", other.name(), readiness.reasons().join("; "))),
    }
}

fn sign_offs(case: &Case) -> Finding {
    let mut missing = Vec::new();
    let mut names = Vec::new();
    for (role, found) in Role::APPROVERS.iter().zip(&case.sign_offs) {
        match found {
            Ok(statement) => names.push(format!("{} {}", role.name(), statement.name)),
            Err(why) => missing.push(format!("{}: {why}", role.name())),
        }
    }
    // Again here, although the configuration is refused for it: this is the gate.
    let signed: Vec<_> = case.sign_offs.iter().filter_map(|s| s.as_ref().ok()).collect();
    let proposer = &case.sources.gates.proposer;
    for (at, one) in signed.iter().enumerate() {
        if signed[at + 1..]
            .iter()
            .any(|other| other.key == one.key || other.name.eq_ignore_ascii_case(&one.name))
        {
            missing.push(format!("{} signed in two roles", one.name));
        }
        if one.key == proposer.key || one.name.eq_ignore_ascii_case(&proposer.name) {
            missing.push(format!("{} proposed this configuration and can't approve it", one.name));
        }
    }
    if missing.is_empty() { Ok(names.join(", ")) } else { Err(missing.join("; ")) }
}

fn transition_record(case: &Case) -> Finding {
    let record = case.transition.as_ref().map_err(Clone::clone)?;
    Ok(format!("{} by {}, baseline {}", record.date, record.executed_by, short(&record.baseline_commit)))
}

fn secrets(case: &Case) -> Finding {
    case.sources.key.clone()
}

fn drills(case: &Case) -> Finding {
    let (drills, gates) = (&case.drills, &case.sources.gates);
    if let Some(why) = &drills.unreadable {
        return Err(format!("no drill is known: {why}"));
    }
    // A drill that failed counts until the same one has passed later.
    let mended =
        |(at, name): &&(i64, String)| drills.passed.iter().any(|(later, same)| later > at && same == name);
    if let Some((_, name)) = drills.failed.iter().find(|failed| !mended(failed)) {
        return Err(format!("drill {name} failed and has not passed since"));
    }
    let (passed, days) = (drills.passed.len(), gates.drills_within_days);
    if u32::try_from(passed).unwrap_or(u32::MAX) < gates.drills_min {
        return Err(format!("{passed} passed in {days} days; {} must", gates.drills_min));
    }
    Ok(format!("{passed} passed in {days} days"))
}

fn venue(case: &Case) -> Finding {
    case.sources.venue.clone()
}

fn phase(case: &Case) -> Finding {
    case.sources.phase.clone()
}

fn rollback(case: &Case) -> Finding {
    case.sources.rollback.clone()
}
