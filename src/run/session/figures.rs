//! A session's figures: from the plan to what control thread, health and watchdog are given.

use std::sync::Arc;

use crate::ops::control::{AftermathConfig, ControlConfig, LimitMarks};
use crate::ops::events::EventSender;
use crate::ops::health::{Bounds, Thread, Vitals};
use crate::ops::protocol::RecoverArgs;
use crate::ops::watchdog::{Watchdog, Watched};
use crate::run::line::Shared;
use crate::run::placement::{HotThread, Placement};
use crate::run::plan::Plan;
use crate::shared::HaltLevel;
use crate::types::time::{NS_PER_MS, NS_PER_S};

use super::{Setup, Stops, slot};

/// How long the journal may lag without progress before the lease is withheld.
const JOURNAL_LAG_NS: i64 = NS_PER_S;

/// In whose name a session arms itself.
pub(super) fn armed_by(setup: &Setup) -> String {
    setup.cleared.as_ref().map_or_else(|| "interlock run".to_owned(), |(by, _)| by.clone())
}

/// What of a bounded session's limits is watched.
fn limit_marks(plan: &Plan) -> Option<LimitMarks> {
    let (limits, monitoring) = (plan.limits(), &plan.bounded_live.monitoring);
    (plan.bounded_live.binds() && monitoring.continuous_monitoring).then_some(LimitMarks {
        exposure_max: limits.exposure_max,
        open_positions_max: limits.open_positions_max,
        on_warning: monitoring.alert_on_warning,
        on_breach: monitoring.alert_on_breach,
    })
}

pub(super) fn control_config(setup: &Setup, session: &str, stops: &Stops) -> ControlConfig {
    let kill = &setup.plan.kill;
    ControlConfig {
        lease_ns: ms(kill.lease_ms),
        stall_ns: ms(kill.stall_after_ms),
        clock_step_ns_max: ms(kill.clock_step_max_ms),
        kill_environment: setup.kill_environment,
        arm_at_start: setup
            .arm
            .then(|| RecoverArgs { cause: format!("{} start", setup.mode), by: armed_by(setup) }),
        limits: limit_marks(&setup.plan),
        leave: stops.leave.clone(),
        aftermath: AftermathConfig {
            emergency: setup.plan.emergency.clone(),
            day_loss_limit: Some(setup.plan.limits().daily_loss_max),
            session: session.to_owned(),
        },
        ..ControlConfig::new(&setup.mode)
    }
}

pub(super) fn vitals(plan: &Plan, placement: &Placement, shared: &Shared) -> Vitals {
    let bounds = Bounds {
        stall_ns: ms(plan.kill.stall_after_ms),
        journal_lag_ns: JOURNAL_LAG_NS,
        market_age_ns: ms(plan.feed.stale_after_ms),
    };
    let names =
        placement.threads.iter().map(HotThread::name).chain(["journal", "watchdog"].map(str::to_owned));
    let threads = names.enumerate().map(|(slot, name)| Thread { slot, name }).collect();
    Vitals::new(bounds, Arc::clone(&shared.page), Arc::clone(&shared.counters), threads)
}

/// The control thread may stand still for longer than a stage, so that one that comes back tells of it itself.
pub(super) fn watchdog(plan: &Plan, placement: &Placement, shared: &Shared, events: EventSender) -> Watchdog {
    let control_ns = ms(plan.emergency.watchdog_ms.max(plan.kill.stall_after_ms));
    let watched = vec![
        Watched {
            slot: slot::control(placement),
            name: "control",
            bound_ns: control_ns.saturating_add(ms(plan.kill.lease_ms)),
            level: HaltLevel::CancelAll,
        },
        Watched {
            slot: slot::rest(placement),
            name: "rest",
            bound_ns: ms(plan.emergency.rest_stall_s.saturating_mul(1_000)),
            level: HaltLevel::RiskOff,
        },
    ];
    Watchdog::new(Arc::clone(&shared.page), events, watched)
}

pub(super) fn ms(ms: u64) -> i64 {
    i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS)
}
