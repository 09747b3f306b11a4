//! The table of drills (R-KILL-4): what each does to the engine and how it is known that it did. Each is a few lines; what
//! all have in common (orders that rest, the measuring, the recovery) is in `mod.rs`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use super::DrillError;
use super::field::Field;
use super::hang::Hang;
use super::helm::{Helm, tripped};
use crate::agent::clock;
use crate::ops::protocol::{Request, VERSION, Verb};
use crate::ops::socket;
use crate::shared::HaltLevel;
use crate::sim::faults::{Fault, FaultKind, FaultPlan};
use crate::sim::server::VenueConfig;
use crate::types::Reason;

/// A trip that was brought about.
pub(super) struct Tripped {
    /// When, nanoseconds since the epoch.
    pub(super) at_ns: i64,
    /// The halt epoch.
    pub(super) epoch: u64,
    /// How it is known that what the drill is about did occur.
    pub(super) proof: String,
    /// What must be undone before the engine can recover: dropped then.
    pub(super) undo: Option<Hang>,
}

/// A row of the table.
pub struct Drill {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub what: &'static str,
    /// Changes to the venue's set-up.
    pub(super) venue: fn(&mut VenueConfig),
    /// Changes to the engine's configuration.
    pub(super) engine: &'static str,
    /// Brings the trip about.
    pub(super) trip: fn(&mut Field) -> Result<Tripped, DrillError>,
    /// It is the emergency stop that trips: it must be reset before the engine can recover, and each run has an engine of its
    /// own, because capital preservation would keep the next one from losing for days. Nobody knows when the losses come to the
    /// bound, so the orders rest before the engine begins.
    pub(super) by_layer: bool,
}

impl std::fmt::Debug for Drill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// Orders that the venue takes within 10 s, in the drill of the budget.
const FEW_ORDERS: u32 = 20;
/// The venue's code for "too many orders".
const CODE_TOO_MANY: i32 = -1015;
/// How long the venue's link stays dead.
const DEAD_FOR: Duration = Duration::from_millis(1_500);
/// A control thread that is well answers in milliseconds.
const NO_ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// A tenth of a second is an opportunity for a cut.
const CUTS: u32 = 15;

/// The drills.
pub const DRILLS: &[Drill] = &[
    Drill {
        name: "operator-trip",
        what: "an operator trips by the admin socket",
        venue: roomy,
        engine: "",
        trip: operator_trip,
        by_layer: false,
    },
    Drill {
        name: "kill-file",
        what: "somebody without any tool makes the kill file",
        venue: roomy,
        engine: "",
        trip: kill_file,
        by_layer: false,
    },
    Drill {
        name: "layer-trip",
        what: "the emergency stop (L4) trips, by losses that the strategy made; it is reset by a name, then recovered",
        venue: roomy,
        engine: LOSING,
        trip: layer_trip,
        by_layer: true,
    },
    Drill {
        name: "frozen-control",
        what: "the control thread hangs: its sockets are dumb, the trip goes by the page",
        venue: roomy,
        engine: "",
        trip: frozen_control,
        by_layer: false,
    },
    Drill {
        name: "rate-budget",
        what: "the venue takes no more orders (budget used up): cancels must still pass",
        venue: few_orders,
        engine: "",
        trip: rate_budget,
        by_layer: false,
    },
    Drill {
        name: "dead-link",
        what: "every connection to the venue dies, again and again, while the trip is carried out",
        venue: roomy,
        engine: "",
        trip: dead_link,
        by_layer: false,
    },
    Drill {
        name: "operator-gone",
        what: "the operator's machine is gone right after it asked: nobody hears the answer",
        venue: roomy,
        engine: "",
        trip: operator_gone,
        by_layer: false,
    },
];

/// The venue's budgets are the subject of one drill; the others must be able to be run a hundred times on end.
fn roomy(config: &mut VenueConfig) {
    config.limits.weight_per_min = 10_000_000;
    config.limits.orders_per_10s = 100_000;
    config.limits.raw_per_5min = 10_000_000;
    config.limits.connects_per_5min = 10_000;
}

/// What makes the strategy lose: it pays the spread and both fees, many times a second. Capital and bound are drawn so small
/// that a few fills come to it; the check, the trip and what follows are the same. (Each fill must cost far more than a
/// hundredth of a percent of the capital: lockdown begins right before the emergency stop, and ends what loses.)
const LOSING: &str = "entry = \"marketable\"\nhold_ms = 50\n\
    [risk.layers]\ncapital = \"4\"\ndrawdown_bp = 450\nconfirm_ms = 0\n\
    [risk.layers.preservation]\ndrawdown_bp = [447, 448, 449, 450]\nsize_percent = [100, 100, 100, 0]\n";
/// Until the losses have come to the bound.
const LOST_WITHIN: Duration = Duration::from_mins(2);

fn few_orders(config: &mut VenueConfig) {
    config.limits.orders_per_10s = FEW_ORDERS;
}

fn answered(answer: &crate::ops::protocol::Answer, proof: String) -> Result<Tripped, DrillError> {
    let (at_ns, epoch) = tripped(answer)?;
    Ok(Tripped { at_ns, epoch, proof, undo: None })
}

fn operator_trip(field: &mut Field) -> Result<Tripped, DrillError> {
    let (_connection, first) = field.helm.trip("drill: operator-trip")?;
    answered(&first, "the engine answered `tripped`".to_owned())
}

fn kill_file(field: &mut Field) -> Result<Tripped, DrillError> {
    let path = field.helm.paths.kill_file();
    let at_ns = field.helm.clock.now().ns;
    std::fs::write(&path, "drill\n").map_err(|e| DrillError::Field(format!("{}: {e}", path.display())))?;
    let page = field.helm.page()?;
    let found = field.wait("the trip", Duration::from_secs(5), |helm| {
        let view = page.view(helm.clock.now());
        view.is_tripped().then_some(view.epoch)
    });
    let removed = std::fs::remove_file(&path);
    let (epoch, reason) = (found?, page.last_trip().0);
    removed.map_err(|e| DrillError::Field(format!("{}: {e}", path.display())))?;
    if reason != Reason::KillFile {
        return Err(DrillError::Unproven(format!("tripped by {}", reason.name())));
    }
    Ok(Tripped { at_ns, epoch, proof: "the page says KILL_FILE".to_owned(), undo: None })
}

fn layer_trip(field: &mut Field) -> Result<Tripped, DrillError> {
    let (epoch, at_ns) = field.wait("the losses", LOST_WITHIN, |helm| {
        let page = helm.page().ok()?;
        let (reason, at_ns) = page.last_trip();
        (reason == Reason::EmergencyStop).then(|| (page.view(helm.clock.now()).epoch, at_ns))
    })?;
    let layers = field.wait("the layer's own word", Duration::from_secs(10), |helm| {
        helm.status().ok().map(|status| status.view.layers).filter(|layers| layers.emergency)
    })?;
    let proof = format!("the page says EMERGENCY_STOP; the layer says so at an equity of {}", layers.equity);
    Ok(Tripped { at_ns, epoch, proof, undo: None })
}

fn frozen_control(field: &mut Field) -> Result<Tripped, DrillError> {
    let hang = Hang::set(&field.helm.paths, field.pid())
        .map_err(|e| DrillError::NotHere(format!("a pipe in the data directory: {e}")))?;
    let page = field.helm.page()?;
    let view = |helm: &Helm| page.view(helm.clock.now());
    field.wait("the lease to run out", Duration::from_secs(10), |helm| {
        (!view(helm).lease_valid).then_some(())
    })?;
    if field.helm.answers(NO_ANSWER_WITHIN) {
        return Err(DrillError::Unproven("the control thread answers".to_owned()));
    }
    // What `interlock kill trip` does when the engine doesn't answer.
    let at_ns = field.helm.clock.now().ns;
    let trip = page.trip_once(HaltLevel::CancelAll, Reason::Operator, at_ns);
    if !trip.raised {
        return Err(DrillError::Unproven("the page was tripped already".to_owned()));
    }
    let proof = "the lease ran out by itself and the admin socket was dumb; the trip was raised on the page"
        .to_owned();
    Ok(Tripped { at_ns, epoch: trip.epoch, proof, undo: Some(hang) })
}

fn rate_budget(field: &mut Field) -> Result<Tripped, DrillError> {
    let mut taken = 0;
    let refused = loop {
        match field.place()? {
            Ok(()) => taken += 1,
            Err(code) => break code,
        }
        if taken > 10 * FEW_ORDERS {
            return Err(DrillError::Unproven(format!("the venue took {taken} orders and never refused one")));
        }
    };
    if refused != CODE_TOO_MANY {
        return Err(DrillError::Unproven(format!("the venue refused with {refused}, not {CODE_TOO_MANY}")));
    }
    let (_connection, first) = field.helm.trip("drill: rate-budget")?;
    answered(&first, format!("the venue refused a further order with {refused} (too many)"))
}

fn dead_link(field: &mut Field) -> Result<Tripped, DrillError> {
    // Told by the engine itself: a link that is lost is made anew, and counted. It may be up again at any look.
    let made_anew = |helm: &Helm| {
        let status = helm.status().ok()?;
        status.counters.get("gateway_reconnects_total").copied()
    };
    let before = made_anew(&field.helm).unwrap_or(0);
    let cut = Fault::always(FaultKind::Disconnect).times(CUTS);
    field.venue.set_faults(FaultPlan { seed: 1, faults: vec![cut] });
    field.wait("the link to die", Duration::from_secs(10), |helm| {
        made_anew(helm).is_some_and(|now| now > before).then_some(())
    })?;
    let (_connection, first) = field.helm.trip("drill: dead-link")?;
    let mut proof = "the engine counted a link for orders that it lost".to_owned();
    if let Some(stats) = field.venue.stats() {
        let cuts = stats.faults.get(FaultKind::Disconnect.name()).copied().unwrap_or(0);
        let _written = write!(proof, "; {cuts} cuts so far");
    }
    clock::sleep(DEAD_FOR);
    field.venue.set_faults(FaultPlan::default());
    answered(&first, proof)
}

fn operator_gone(field: &mut Field) -> Result<Tripped, DrillError> {
    let request = Request {
        v: VERSION,
        id: json!("gone"),
        cmd: Verb::KillTrip.name().to_owned(),
        args: json!(field.helm.trip_args("drill: operator-gone")),
        deadline_ms: None,
    };
    let line = serde_json::to_string(&request).unwrap_or_default() + "\n";
    let page = field.helm.page()?;
    let at_ns = field.helm.clock.now().ns;
    {
        let mut stream = socket::connect(&field.helm.paths.admin_socket())
            .map_err(|e| DrillError::Engine(format!("the admin socket: {e}")))?;
        stream.write_all(line.as_bytes()).map_err(|e| DrillError::Engine(e.to_string()))?;
        // Gone: nothing is read, the socket closes here.
    }
    let epoch = field.wait("the trip", Duration::from_secs(5), |helm| {
        let view = page.view(helm.clock.now());
        view.is_tripped().then_some(view.epoch)
    })?;
    let reason = page.last_trip().0;
    if reason != Reason::Operator {
        return Err(DrillError::Unproven(format!("tripped by {}", reason.name())));
    }
    let proof = "the socket was closed before any answer; the page says OPERATOR".to_owned();
    Ok(Tripped { at_ns, epoch, proof, undo: None })
}
