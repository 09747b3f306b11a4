//! `interlock incident`, `interlock rollback`.

use std::io::Write as _;

use anyhow::{Context as _, anyhow};
use clap::Subcommand;
use interlock::agent::Clock;
use interlock::ops::client::exit::{DONE, REFUSED};
use interlock::ops::client::{self, read_status};
use interlock::ops::emergency::holds::{self, ClearError, Hold, Kind};
use interlock::ops::emergency::incident::{self, Cause, Incident, IncidentError, Opening};
use interlock::ops::events::{self, Event, Level, rfc3339};
use interlock::ops::paths::Paths;
use interlock::ops::protocol::TripArgs;
use interlock::run::plan;
use serde_json::json;

use crate::Failure;
use crate::Outcome;
use crate::args::{Common, Output};
use crate::with_console;

/// `interlock incident`.
#[derive(Debug, Subcommand)]
pub(crate) enum IncidentVerb {
    /// Open one: takes positions, orders, profit and loss from the engine, if one runs. (A trip opens one by itself.)
    #[command(
        after_help = "Example:\n  interlock incident open --level 3 --cause \"fills look late\" --by me"
    )]
    Open {
        /// 1 critical, 2 major, 3 minor.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=3))]
        level: u8,
        /// What happened.
        #[arg(long, value_name = "TEXT")]
        cause: String,
        /// Who says so.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// All of them, or one in full.
    Show {
        /// Which; `last` for the last one.
        id: Option<String>,
    },
    /// Note something that was done about it.
    Note {
        /// Which; `last` for the last one.
        id: String,
        /// What.
        #[arg(long, value_name = "TEXT")]
        text: String,
        /// Who.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// Close one: needs its root cause and the post-mortem, which is due 24 hours after the opening.
    #[command(
        after_help = "Example:\n  interlock incident close last --root-cause \"clock\" --post-mortem pm.md --by me"
    )]
    Close {
        /// Which; `last` for the last one.
        id: String,
        /// What was found to be the root of it.
        #[arg(long, value_name = "TEXT")]
        root_cause: String,
        /// The post-mortem: a file, or the text itself.
        #[arg(long, value_name = "FILE|TEXT")]
        post_mortem: String,
        /// Who closes it.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
}

/// `interlock rollback`.
#[derive(Debug, Subcommand)]
pub(crate) enum RollbackVerb {
    /// Roll back. 1 phase: what comes next is put off; 2 layer: no live; 3 mode: back to shadow; 4 emergency halt: trips
    /// a running engine too.
    #[command(
        after_help = "Example:\n  interlock rollback set --level 3 --reason \"reconcile differs\" --by me"
    )]
    Set {
        /// 1 to 4.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
        level: u8,
        /// Why.
        #[arg(long, value_name = "TEXT")]
        reason: String,
        /// Who.
        #[arg(long, value_name = "NAME")]
        by: String,
    },
    /// What is held back, and what was. Exit 3 while anything is.
    Show,
    /// Lift one: a named person, another than who set it.
    Clear {
        /// Which.
        id: String,
        /// Who says so.
        #[arg(long, value_name = "NAME")]
        by: String,
        /// What was wrong and is not any more.
        #[arg(long, value_name = "TEXT")]
        cause: String,
    },
}

fn refused(error: IncidentError) -> Failure {
    match error {
        IncidentError::Closed(_) => Failure { code: REFUSED, error: error.into() },
        IncidentError::Level(_) | IncidentError::Empty(_) => Failure::usage(error),
        IncidentError::Unknown(_) | IncidentError::Unreadable { .. } | IncidentError::Io(_) => error.into(),
    }
}

/// What a person did is told in the event log too.
fn tell(paths: &Paths, event: &Event) -> anyhow::Result<()> {
    events::append(&paths.events(), event).with_context(|| format!("writing {}", paths.events().display()))
}

pub(crate) fn run(common: &Common, verb: IncidentVerb) -> Outcome {
    let paths = Paths::new(&common.data_dir, None);
    let now_ns = Clock::system().now().ns;
    match verb {
        IncidentVerb::Open { level, cause, by } => {
            let plan = plan::load(&common.config).map_err(Failure::usage)?;
            let opening = Opening {
                level,
                by,
                cause: Cause { reason: "OPERATOR".to_owned(), text: cause },
                at_ns: now_ns,
                post_mortem_ns: incident::hours(plan.emergency.post_mortem_h),
                ..Opening::default()
            };
            // Without an engine there is nothing to take along, and the incident is as true.
            let opening = match read_status(&paths) {
                Ok(status) => opening.with_status(status),
                Err(_) => opening,
            };
            let incident = incident::open(&paths, opening).map_err(refused)?;
            tell(&paths, &event(&incident, "INCIDENT_OPENED", &incident.opened_by, now_ns))?;
            show_one(common, &incident)
        }
        IncidentVerb::Show { id: None } => list(common, &incident::all(&paths).map_err(refused)?, now_ns),
        IncidentVerb::Show { id: Some(id) } => show_one(common, &find(&paths, &id)?),
        IncidentVerb::Note { id, text, by } => {
            let mut incident = find(&paths, &id)?;
            incident.act(now_ns, &by, text);
            incident::save(&paths, &incident).map_err(refused)?;
            show_one(common, &incident)
        }
        IncidentVerb::Close { id, root_cause, post_mortem, by } => {
            let id = find(&paths, &id)?.id;
            // A file is meant if there is one of that name.
            let text = match std::fs::read_to_string(&post_mortem) {
                Ok(text) => text,
                Err(_) => post_mortem,
            };
            let incident =
                incident::close(&paths, &id, &by, (&root_cause, &text), now_ns).map_err(refused)?;
            tell(&paths, &event(&incident, "INCIDENT_CLOSED", &by, now_ns))?;
            show_one(common, &incident)
        }
    }
}

fn event(incident: &Incident, name: &'static str, by: &str, now_ns: i64) -> Event {
    Event::new(now_ns, Level::Warn, name)
        .with("incident", incident.id.clone())
        .with("level", incident.level)
        .with("by", by)
        .with("cause", incident.cause.text.clone())
}

fn find(paths: &Paths, id: &str) -> Result<Incident, Failure> {
    if id != "last" {
        return incident::load(paths, id).map_err(refused);
    }
    let last = incident::all(paths).map_err(refused)?.pop();
    last.ok_or_else(|| anyhow!("there is no incident in {}", incident::folder(paths).display()).into())
}

fn list(common: &Common, all: &[Incident], now_ns: i64) -> Outcome {
    let mut out = std::io::stdout().lock();
    if common.output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "incidents": all }))?)?;
        return Ok(DONE);
    }
    if all.is_empty() {
        writeln!(out, "no incidents")?;
    }
    for incident in all {
        let state = match (&incident.closed, incident.is_overdue(now_ns)) {
            (Some(_), _) => "closed".to_owned(),
            (None, true) => format!("OPEN, post-mortem OVERDUE since {}", incident.post_mortem.due_at),
            (None, false) => format!("open, post-mortem due {}", incident.post_mortem.due_at),
        };
        writeln!(
            out,
            "{}  level {}  {}  {}: {}  [{state}]",
            incident.id, incident.level, incident.opened_at, incident.cause.reason, incident.cause.text
        )?;
    }
    Ok(DONE)
}

fn show_one(common: &Common, incident: &Incident) -> Outcome {
    let mut out = std::io::stdout().lock();
    if common.output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(incident)?)?;
        return Ok(DONE);
    }
    writeln!(out, "{}   level {}   by {}", incident.id, incident.level, incident.opened_by)?;
    writeln!(out, "opened      {}", incident.opened_at)?;
    writeln!(out, "cause       {}: {}", incident.cause.reason, incident.cause.text)?;
    if !incident.mode.is_empty() {
        writeln!(
            out,
            "engine      mode {}, boot {}, {}",
            incident.mode, incident.boot_id, incident.halt_level
        )?;
    }
    let pnl = &incident.pnl;
    let net = pnl.net.map_or_else(|| "?".to_owned(), |net| net.to_string());
    writeln!(
        out,
        "result      net {net} (realised {}, unrealised {}, fees {}), exposure {}",
        pnl.realised, pnl.unrealised, pnl.fees, incident.exposure
    )?;
    for line in incident.positions.iter().filter(|line| !line.position.is_zero()) {
        writeln!(out, "position    {} {}", line.symbol, line.position)?;
    }
    for order in &incident.open_orders {
        writeln!(
            out,
            "open order  {} {} {} {} @ {}",
            order.client_id, order.symbol, order.side, order.qty, order.price
        )?;
    }
    for action in &incident.actions {
        writeln!(out, "{}  {}: {}", action.at, action.by, action.what)?;
    }
    match &incident.closed {
        None => writeln!(out, "post-mortem due {}", incident.post_mortem.due_at)?,
        Some(closed) => {
            writeln!(out, "closed      {} by {}: {}", closed.at, closed.by, closed.root_cause)?;
            writeln!(out, "post-mortem {}", incident.post_mortem.text)?;
        }
    }
    Ok(DONE)
}

pub(crate) fn rollback(common: &Common, verb: RollbackVerb) -> Outcome {
    let paths = Paths::new(&common.data_dir, None);
    let now_ns = Clock::system().now().ns;
    match verb {
        RollbackVerb::Set { level, reason, by } => set(common, &paths, (level, &reason, &by), now_ns),
        RollbackVerb::Show => show_holds(common, &paths),
        RollbackVerb::Clear { id, by, cause } => {
            let hold = holds::clear(&paths, &id, &by, &cause, now_ns).map_err(|error| match error {
                ClearError::Nameless => Failure::usage(error),
                ClearError::SamePerson(_) | ClearError::PaperOnly => {
                    Failure { code: REFUSED, error: error.into() }
                }
                ClearError::Unknown(_) | ClearError::Io(_) => error.into(),
            })?;
            let event = Event::new(now_ns, Level::Warn, "ROLLBACK_CLEARED")
                .with("hold", hold.id.clone())
                .with("by", by)
                .with("cause", cause);
            tell(&paths, &event)?;
            writeln!(std::io::stdout(), "cleared {}", hold.id)?;
            Ok(DONE)
        }
    }
}

fn set(common: &Common, paths: &Paths, (level, reason, by): (u8, &str, &str), now_ns: i64) -> Outcome {
    if reason.trim().is_empty() || by.trim().is_empty() {
        return Err(Failure::usage(anyhow!("a rollback needs a reason and a name")));
    }
    let engine = read_status(paths).ok();
    let hold = Hold {
        v: 1,
        id: String::new(),
        kind: Kind::Rollback,
        level,
        reason: "OPERATOR".to_owned(),
        detail: reason.to_owned(),
        by: by.to_owned(),
        mode: engine.as_ref().map(|status| status.mode.clone()).unwrap_or_default(),
        at: rfc3339(now_ns),
        incident: String::new(),
        cleared: None,
    };
    let hold = holds::make(paths, hold).context("recording the rollback")?;
    let event = Event::new(now_ns, Level::Error, "ROLLBACK")
        .with("hold", hold.id.clone())
        .with("level", level)
        .with("trigger", "OPERATOR")
        .with("detail", reason)
        .with("by", by);
    tell(paths, &event)?;
    writeln!(std::io::stdout(), "{}  {}", hold.id, hold.describe())?;
    if level < 4 || engine.is_none() {
        return Ok(DONE);
    }
    let args = TripArgs {
        reason: format!("rollback level {level}: {reason}"),
        by: by.to_owned(),
        flatten: false,
        drill: false,
    };
    let wait = std::time::Duration::from_secs(30);
    Ok(with_console(common, |paths, console| client::kill_trip(paths, &args, wait, console)))
}

fn show_holds(common: &Common, paths: &Paths) -> Outcome {
    let all = holds::all(paths).context("reading the holds")?;
    let held = all.iter().any(|hold| hold.cleared.is_none());
    let mut out = std::io::stdout().lock();
    if common.output == Output::Json {
        writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "held": held, "holds": all }))?)?;
    } else {
        if all.is_empty() {
            writeln!(out, "nothing is held back")?;
        }
        for hold in &all {
            let state = hold.cleared.as_ref().map_or_else(
                || "IN FORCE".to_owned(),
                |c| format!("lifted {} by {}: {}", c.at, c.by, c.cause),
            );
            writeln!(out, "{}  {}  [{state}]", hold.id, hold.describe())?;
        }
    }
    Ok(if held { REFUSED } else { DONE })
}
