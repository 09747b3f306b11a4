//! The table of drills (R-KILL-4): what each does to the engine and how it is known that it did. Each is a few lines; what
//! all have in common (orders that rest, the measuring, the recovery) is in `mod.rs`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use serde_json::json;

use super::DrillError;
use super::field::Field;
use super::freeze::Frozen;
use crate::agent::clock;
use crate::ops::client;
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
    pub(super) undo: Option<Frozen>,
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
/// A tenth of a second is an opportunity for a cut.
const CUTS: u32 = 15;

/// The drills.
pub const DRILLS: &[Drill] = &[
    Drill {
        name: "operator-trip",
        what: "an operator trips by the admin socket",
        venue: as_it_is,
        engine: "",
        trip: operator_trip,
    },
    Drill {
        name: "kill-file",
        what: "somebody without any tool makes the kill file",
        venue: as_it_is,
        engine: "",
        trip: kill_file,
    },
    Drill {
        name: "frozen-control",
        what: "the control thread hangs: its sockets are dumb, the trip goes by the page",
        venue: as_it_is,
        engine: "",
        trip: frozen_control,
    },
    Drill {
        name: "rate-budget",
        what: "the venue takes no more orders (budget used up): cancels must still pass",
        venue: few_orders,
        engine: "",
        trip: rate_budget,
    },
    Drill {
        name: "dead-link",
        what: "every connection to the venue dies, again and again, while the trip is carried out",
        venue: as_it_is,
        engine: "",
        trip: dead_link,
    },
    Drill {
        name: "operator-gone",
        what: "the operator's machine is gone right after it asked: nobody hears the answer",
        venue: as_it_is,
        engine: "",
        trip: operator_gone,
    },
];

fn as_it_is(_config: &mut VenueConfig) {}

fn few_orders(config: &mut VenueConfig) {
    config.limits.orders_per_10s = FEW_ORDERS;
}

fn answered(answer: &crate::ops::protocol::Answer, proof: String) -> Result<Tripped, DrillError> {
    let tripped_ns =
        answer.result.as_ref().and_then(|r| r.get("tripped_ns")).and_then(serde_json::Value::as_i64);
    let Some(at_ns) = tripped_ns else {
        return Err(DrillError::Engine(format!("no time in the answer to a trip: {}", answer.line())));
    };
    let raised = answer.result.as_ref().and_then(|r| r.get("raised")) == Some(&json!(true));
    if !raised {
        return Err(DrillError::Unproven("the engine was tripped already".to_owned()));
    }
    Ok(Tripped { at_ns, epoch: answer.epoch, proof, undo: None })
}

fn operator_trip(field: &mut Field) -> Result<Tripped, DrillError> {
    let (_connection, first) = field.trip("drill: operator-trip")?;
    answered(&first, "the engine answered `tripped`".to_owned())
}

fn kill_file(field: &mut Field) -> Result<Tripped, DrillError> {
    let path = field.paths.kill_file();
    let at_ns = field.clock.now().ns;
    std::fs::write(&path, "drill\n").map_err(|e| DrillError::Field(format!("{}: {e}", path.display())))?;
    let page = field.page()?;
    let found = field.wait("the trip", Duration::from_secs(5), |field| {
        let view = page.view(field.clock.now());
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

fn frozen_control(field: &mut Field) -> Result<Tripped, DrillError> {
    let frozen = Frozen::freeze(field.pid(), "control").map_err(DrillError::NotHere)?;
    let process = field.pid();
    field.wait("the thread to stand still", Duration::from_secs(5), |_| {
        frozen.is_frozen(process).then_some(())
    })?;
    // What `interlock kill trip` does when the engine doesn't answer.
    let page = field.page()?;
    let at_ns = field.clock.now().ns;
    let trip = page.trip_once(HaltLevel::CancelAll, Reason::Operator, at_ns);
    if !trip.raised {
        return Err(DrillError::Unproven("the page was tripped already".to_owned()));
    }
    let proof = "the kernel says that the thread stands still; the trip was raised on the page".to_owned();
    Ok(Tripped { at_ns, epoch: trip.epoch, proof, undo: Some(frozen) })
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
    let (_connection, first) = field.trip("drill: rate-budget")?;
    answered(&first, format!("the venue refused a further order with {refused} (too many)"))
}

fn dead_link(field: &mut Field) -> Result<Tripped, DrillError> {
    // Told by the engine itself: a link that is lost is made anew, and counted. It may be up again at any look.
    let made_anew = |field: &Field| {
        let status = client::read_status(&field.paths).ok()?;
        status.counters.get("gateway_reconnects_total").copied()
    };
    let before = made_anew(field).unwrap_or(0);
    let cut = Fault::always(FaultKind::Disconnect).times(CUTS);
    field.venue.set_faults(FaultPlan { seed: 1, faults: vec![cut] });
    field.wait("the link to die", Duration::from_secs(10), |field| {
        made_anew(field).is_some_and(|now| now > before).then_some(())
    })?;
    let (_connection, first) = field.trip("drill: dead-link")?;
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
        args: json!(Field::trip_args("drill: operator-gone")),
        deadline_ms: None,
    };
    let line = serde_json::to_string(&request).unwrap_or_default() + "\n";
    let page = field.page()?;
    let at_ns = field.clock.now().ns;
    {
        let mut stream = socket::connect(&field.paths.admin_socket())
            .map_err(|e| DrillError::Engine(format!("the admin socket: {e}")))?;
        stream.write_all(line.as_bytes()).map_err(|e| DrillError::Engine(e.to_string()))?;
        // Gone: nothing is read, the socket closes here.
    }
    let epoch = field.wait("the trip", Duration::from_secs(5), |field| {
        let view = page.view(field.clock.now());
        view.is_tripped().then_some(view.epoch)
    })?;
    let reason = page.last_trip().0;
    if reason != Reason::Operator {
        return Err(DrillError::Unproven(format!("tripped by {}", reason.name())));
    }
    let proof = "the socket was closed before any answer; the page says OPERATOR".to_owned();
    Ok(Tripped { at_ns, epoch, proof, undo: None })
}
