//! From a plan, an environment and a command line to the case that the gates judge. Everything that decides whether live may
//! start is put together here and nowhere else.

use std::sync::Arc;

use crate::agent::Clock;
use crate::event::layers::RampStage;
use crate::net::Endpoint;
use crate::ops::emergency::holds;
use crate::ops::events::rfc3339;
use crate::ops::gates::{self, Bound, Bounded, Case, Cleared, Sources};
use crate::ops::paths::Paths;
use crate::ops::progress::Progress;
use crate::ops::readiness::serve::Server;
use crate::ops::readiness::{self, Eye, Readiness, Signs, Watch};
use crate::risk::PHASES;
use crate::types::Cash;

use super::access::{Access, AccessError};
use super::plan::{Environment, Mode, Plan};
use super::session::{Session, StartError, journal_dir};

/// What is asked to go live.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The effective configuration.
    pub plan: &'a Plan,
    /// The environment.
    pub environment: &'a Environment,
    /// `--live-confirm`.
    pub live_confirm: Option<&'a str>,
    /// The venue that would be used, or why there is none.
    pub access: Result<&'a Access, &'a AccessError>,
    /// The data directory.
    pub paths: &'a Paths,
    /// Now, nanoseconds since the epoch.
    pub now_ns: i64,
}

/// Gathers the case. Changes nothing.
pub fn case(asked: &Asked<'_>) -> Case {
    let plan = asked.plan;
    let bounded = bounded(plan);
    Case::gather(Sources {
        paths: asked.paths.clone(),
        now_ns: asked.now_ns,
        config_hash: plan.hash(),
        environment: plan.environment.clone(),
        enforcement: plan.bounded_live_enforcement.clone(),
        gates: plan.gates.clone(),
        symbols: plan.venue.symbols.clone(),
        variables: asked.environment.live.clone(),
        live_confirm: asked.live_confirm.map(ToOwned::to_owned),
        venue: asked.access.map_err(ToString::to_string).and_then(|access| same_venue(plan, access)),
        key: asked.access.map_err(ToString::to_string).and_then(|access| key(plan, access)),
        phase: phase(plan, asked.paths, bounded.phase),
        bounded,
        rollback: holds::check(asked.paths, "live").map(|()| "none is in force".to_owned()),
        readiness: readiness(plan, asked.paths, asked.environment, asked.now_ns),
    })
}

/// Readiness by the evidence.
pub fn readiness(plan: &Plan, paths: &Paths, environment: &Environment, now_ns: i64) -> Readiness {
    readiness::assess(&Signs::gather(readiness::Sources {
        paths: paths.clone(),
        now_ns,
        section: plan.readiness.clone(),
        allowlist: gates::allowlist(&plan.gates, &environment.live),
        kill_environment: environment.kill_switch,
    }))
}

/// The bounded-live section as the gates see it: what it says, what risk would apply, and what the phase allows.
fn bounded(plan: &Plan) -> Bounded {
    let section = &plan.bounded_live;
    let (given, in_force) = (section.in_force(&plan.bounded_live_phase2), plan.limits());
    let mut faults = section.live_faults(&plan.risk);
    let limits = PHASES.get(usize::from(section.phase)).map(|most| {
        let money = |name, given: Cash, risk: Cash, most: Cash| Bound {
            name,
            configured: given.units(),
            in_force: risk.units(),
            ceiling: most.units(),
            text: risk.to_string(),
        };
        let count = |name, given: i64, risk: u32, most: i64| Bound {
            name,
            configured: given,
            in_force: i64::from(risk),
            ceiling: most,
            text: risk.to_string(),
        };
        let bp = |percent: Cash| percent.units() / (Cash::ONE.units() / 100);
        vec![
            money(
                "max_order_notional",
                given.max_order_notional,
                in_force.order_value_max,
                most.max_order_notional,
            ),
            money(
                "max_total_notional",
                given.max_total_notional,
                in_force.exposure_max,
                most.max_total_notional,
            ),
            count(
                "max_open_positions",
                given.max_open_positions.into(),
                in_force.open_positions_max,
                most.max_open_positions.into(),
            ),
            money(
                "max_daily_loss_abs",
                given.max_daily_loss_abs,
                in_force.daily_loss_max,
                most.max_daily_loss_abs,
            ),
            count(
                "max_daily_loss_bp",
                bp(given.max_daily_loss_pct),
                in_force.daily_loss_max_bp,
                bp(most.max_daily_loss_pct),
            ),
        ]
    });
    if limits.is_none() {
        faults.push("bounded_live.phase = 1 or 2".to_owned());
    }
    Bounded { phase: section.phase.into(), faults, limits: limits.unwrap_or_default() }
}

/// Whether the evidence allows the configured phase, and the stage of the ramp if there is one.
fn phase(plan: &Plan, paths: &Paths, phase: u32) -> Result<String, String> {
    let stage = plan.risk.layers.ramp.stage;
    let first = matches!(stage, RampStage::Off | RampStage::Canary);
    if phase <= 1 && first {
        return Ok(format!("phase {phase} and this stage of the ramp need no earlier one"));
    }
    let progress = Progress::gather(&journal_dir(paths), &paths.events())?;
    let phase = progress.allows_phase(phase)?;
    if first { Ok(phase) } else { progress.allows_stage(stage).map(|stage| format!("{phase}; {stage}")) }
}

/// That the venue in use is the one that the configuration names: the hash covers the configuration, and nothing else.
fn same_venue(plan: &Plan, access: &Access) -> Result<String, String> {
    let venue = &plan.venue;
    for (key, named, used) in [
        ("rest_url", &venue.rest_url, &access.rest),
        ("stream_url", &venue.stream_url, &access.stream),
        ("ws_api_url", &venue.ws_api_url, &access.ws_api),
    ] {
        if named.is_empty() {
            return Err(format!(
                "venue.{key} is empty, so that the configuration's hash does not cover the venue"
            ));
        }
        let named = Endpoint::parse(named).map_err(|e| format!("venue.{key} = {named:?}: {e}"))?;
        if named != *used {
            return Err(format!("venue.{key} = {named}, but {used} would be used"));
        }
    }
    Ok(format!("{} and {}", access.rest, access.ws_api))
}

/// That the key is in a file that only we can read, and can be used; and that it isn't the configuration itself.
fn key(plan: &Plan, access: &Access) -> Result<String, String> {
    let credentials = access.credentials(plan.venue.signing).map_err(|e| e.to_string())?;
    let text = plan.to_toml();
    if text.contains(credentials.api_key()) {
        return Err("the API key stands in the configuration".to_owned());
    }
    let file = access.key_file.as_deref().map(|f| f.display().to_string()).unwrap_or_default();
    Ok(format!("key in {file}, mode 0600"))
}

/// That what is about to start is what was cleared: the same configuration, the same venue, no symbol more.
pub fn still_fits(cleared: &Cleared, plan: &Plan, access: &Access) -> Result<(), String> {
    let hash = plan.hash();
    if cleared.config_hash() != hash {
        return Err(format!(
            "the gates cleared configuration {}, and {hash} is to start",
            cleared.config_hash()
        ));
    }
    same_venue(plan, access).map(drop)
}

/// Serves readiness on loopback, if the plan says so. Each answer is computed anew from the evidence.
fn serve(
    plan: &Plan,
    paths: &Paths,
    environment: &Environment,
    clock: &Clock,
) -> Result<Option<Server>, StartError> {
    if plan.readiness.listen.is_empty() {
        return Ok(None);
    }
    let failed =
        |source| StartError::Io { what: format!("readiness.listen = {}", plan.readiness.listen), source };
    let listen = plan.readiness.listen.parse().map_err(|e| failed(std::io::Error::other(e)))?;
    let (asked, wall) = ((plan.clone(), paths.clone(), environment.clone()), clock.clone());
    let ask = move || {
        let (plan, paths, environment) = &asked;
        let now_ns = wall.now().ns;
        let found = readiness(plan, paths, environment, now_ns);
        (found.live_rollout, found.to_json(&rfc3339(now_ns)))
    };
    Server::start(listen, clock.clone(), Box::new(ask)).map(Some).map_err(failed)
}

/// What looks at readiness beside a session; ends when dropped.
#[derive(Debug)]
pub struct Attended {
    _server: Option<Server>,
    _watch: Option<Watch>,
}

/// Serves readiness, if the plan says so, and judges a live session anew while it runs (R-GATE-5). `paths` is the data directory
/// whose evidence is judged.
pub fn attend(
    plan: &Plan,
    paths: &Paths,
    environment: &Environment,
    session: &Session,
    dry_run: bool,
) -> Result<Attended, StartError> {
    let clock = &session.shared.clock;
    let server = serve(plan, paths, environment, clock)?;
    if plan.mode != Mode::Live || dry_run {
        return Ok(Attended { _server: server, _watch: None });
    }
    let section = &plan.readiness;
    let eye = Eye::new(Arc::clone(&session.shared.page), session.events().clone(), section.live_trips_at);
    let asked = (plan.clone(), paths.clone(), environment.clone());
    let judge = move |now_ns| readiness(&asked.0, &asked.1, &asked.2, now_ns);
    let failed = |source| StartError::Io { what: "starting to watch readiness".to_owned(), source };
    let watch = Watch::start(eye, Box::new(judge), section.live_every_s, clock.clone()).map_err(failed)?;
    Ok(Attended { _server: server, _watch: Some(watch) })
}
