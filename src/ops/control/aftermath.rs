//! What the control thread does after a trip, once the trip itself is out of its hands: it remembers it, opens an incident or
//! adds to the one that is open, and looks each second whether the engine must roll itself back to shadow (R-KILL-6, 7).
//!
//! All of it is paperwork: it is done once a second, never between a trip and its answer, and what can't be written is owed and
//! tried again. The rollback's own trip comes before its paper.

use serde_json::json;

use super::Control;
use crate::ops::emergency::holds::{self, Hold, Kind};
use crate::ops::emergency::incident::{self, Cause, Incident, IncidentError, Opening, Pnl};
use crate::ops::emergency::review::{self, Review};
use crate::ops::emergency::trigger::{self, Observed, Rollback};
use crate::ops::emergency::trips::{TripLine, Trips};
use crate::ops::emergency::{EmergencyConfig, halted};
use crate::ops::events::{Level, rfc3339};
use crate::shared::HaltLevel;
use crate::types::time::{NS_PER_DAY, NS_PER_S};
use crate::types::{Cash, Now, Reason};

/// Actions that one incident takes; beyond, it says so once. A trip a second for an hour must not fill the disk.
const ACTIONS_MAX: usize = 500;
/// Rollback level of a trigger: mode.
const MODE: u8 = 3;
/// Rollback level of a trigger: emergency halt.
const EMERGENCY: u8 = 4;

/// What the control thread is configured with, for what follows a trip.
#[derive(Clone, Debug, Default)]
pub struct AftermathConfig {
    /// The section `[emergency]`.
    pub emergency: EmergencyConfig,
    /// The day's loss limit; `None` if there is none.
    pub day_loss_limit: Option<Cash>,
    /// Name of the session, for the record.
    pub session: String,
}

/// A trip, or something about it, that is not yet in an incident.
#[derive(Clone, Debug)]
enum Owed {
    Trip { reason: Reason, by: String, text: String, at_ns: i64 },
    Act { by: String, what: String, at_ns: i64 },
}

/// What is remembered between two seconds.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a debt or a memory of its own")]
pub(super) struct Aftermath {
    trips: Trips,
    /// Trips before this time were looked at by who lifted the rollback that they led to.
    trips_since_ns: i64,
    trips_owed: bool,
    owed: Vec<Owed>,
    failure_told: bool,
    offline_since_mono_ns: Option<i64>,
    /// Day of the result's beginning, and the result then.
    day: Option<(i64, Cash)>,
    /// Reviews that were asked for in this session.
    reviews: Vec<Review>,
    rolled_back: Option<Hold>,
    is_hold_owed: bool,
    /// A hold waits for a paper session to hold.
    paper_waits: bool,
    paper_armed_since_mono_ns: Option<i64>,
}

impl Aftermath {
    /// With what the data directory remembers. What can't be read counts as too many trips.
    pub(super) fn begin(control: &mut Control, now: Now) {
        let paths = &control.parts.paths;
        let config = &control.config.aftermath.emergency;
        let trips = Trips::read(paths);
        let holds = holds::all(paths).unwrap_or_default();
        let cleared = holds.iter().filter_map(|h| h.cleared.as_ref()).map(|c| c.at.as_str()).max();
        let since = cleared.and_then(|at| at.parse::<jiff::Timestamp>().ok());
        let paper_waits = holds.iter().any(|h| h.kind == Kind::PaperFirst && h.cleared.is_none());
        let unreadable = trips.as_ref().err().map(ToString::to_string);
        let too_many = || {
            let line = TripLine {
                at_ns: now.ns,
                reason: "UNREADABLE".to_owned(),
                by: String::new(),
                mode: String::new(),
                drill: false,
            };
            let count = usize::try_from(config.rollback_trips).unwrap_or(1);
            Trips { v: 1, trips: vec![line; count] }
        };
        control.aftermath = Self {
            trips: trips.unwrap_or_else(|_| too_many()),
            trips_since_ns: since.map_or(0, |t| i64::try_from(t.as_nanosecond()).unwrap_or(0)),
            paper_waits,
            ..Self::default()
        };
        if let Some(error) = unreadable {
            control.event(now, Level::Error, "TRIPS_UNREADABLE", &[("error", json!(error))]);
        }
    }
}

impl Control {
    /// A trip was noticed. `drill`: it was asked for as one.
    pub(super) fn remember_trip(&mut self, reason: Reason, (by, text): (&str, &str), drill: bool, now: Now) {
        let line = TripLine {
            at_ns: now.ns,
            reason: reason.name().to_owned(),
            by: by.to_owned(),
            mode: self.config.mode.clone(),
            drill,
        };
        self.aftermath.trips.push(line);
        self.aftermath.trips_owed = true;
        if !drill {
            let (by, text) = (by.to_owned(), text.to_owned());
            self.aftermath.owed.push(Owed::Trip { reason, by, text, at_ns: now.ns });
        }
    }

    /// Something was done that belongs into the incident, if one is open.
    pub(super) fn remember_act(&mut self, by: &str, what: &str, now: Now) {
        if self.aftermath.owed.len() < ACTIONS_MAX {
            let (by, what) = (by.to_owned(), what.to_owned());
            self.aftermath.owed.push(Owed::Act { by, what, at_ns: now.ns });
        }
    }

    /// What forbids to arm in this mode: a hold that is in force.
    pub(super) fn hold(&self) -> Option<String> {
        holds::check(&self.parts.paths, &self.config.mode).err()
    }

    /// Once a second.
    pub(super) fn see_to_aftermath(&mut self, now: Now) {
        self.watch_links(now);
        self.watch_for_rollback(now);
        self.watch_reviews(now);
        self.watch_paper(now);
        if let Err(error) = self.do_paperwork(now) {
            if !self.aftermath.failure_told {
                self.aftermath.failure_told = true;
                let why = error.to_string();
                self.event(now, Level::Error, "INCIDENT_FAILED", &[("error", json!(why))]);
            }
        } else {
            self.aftermath.failure_told = false;
        }
    }

    fn watch_links(&mut self, now: Now) {
        let all_up = self.parts.watcher.latest().links.iter().all(|link| link.up);
        if all_up {
            self.aftermath.offline_since_mono_ns = None;
        } else {
            self.aftermath.offline_since_mono_ns.get_or_insert(now.mono_ns);
        }
    }

    /// The day's result: that of the session since midnight UTC, after fees. `None` when it can't be computed.
    fn day_pnl(&mut self, now: Now) -> Option<Cash> {
        let pnl = Pnl::of(self.parts.watcher.latest());
        if pnl.without_quote > 0 {
            return None;
        }
        let (net, today) = (pnl.net?, now.ns.div_euclid(NS_PER_DAY));
        // A session begins with nothing; from its second day on the day begins with what was there at midnight.
        let (day, at_midnight) = *self.aftermath.day.get_or_insert((today, Cash::ZERO));
        if day == today {
            return net.checked_sub(at_midnight);
        }
        self.aftermath.day = Some((today, net));
        Some(Cash::ZERO)
    }

    fn watch_for_rollback(&mut self, now: Now) {
        if self.aftermath.is_hold_owed {
            self.make_hold(now);
        }
        if self.aftermath.rolled_back.is_some()
            || !self.config.aftermath.emergency.rolls_back_in(&self.config.mode)
        {
            return;
        }
        let day_pnl = self.day_pnl(now);
        let observed = Observed {
            trips_ns: self.aftermath.trips.counted(self.aftermath.trips_since_ns),
            tripped_by: self.parts.page.last_trip().0,
            day_pnl,
            day_loss_limit: self.config.aftermath.day_loss_limit,
            offline_since_mono_ns: self.aftermath.offline_since_mono_ns,
            now_ns: now.ns,
            now_mono_ns: now.mono_ns,
        };
        if let Some(rollback) = trigger::first(&observed, &self.config.aftermath.emergency) {
            let level = if rollback.trigger == "DAILY_LOSS" { EMERGENCY } else { MODE };
            self.roll_back(&rollback, level, now);
        }
    }

    /// Asks for a review, once a session for each reason: it stays due until somebody ends the session or looks.
    fn watch_reviews(&mut self, now: Now) {
        let due = review::due(&self.parts.watcher.latest().execution, &self.config.aftermath.emergency);
        for review in due {
            if let Some(known) = self.aftermath.reviews.iter_mut().find(|known| known.name == review.name) {
                *known = review;
                continue;
            }
            self.event(now, Level::Warn, review.name, &[("why", json!(review.detail))]);
            self.remember_act("engine", &format!("{}: {}", review.name, review.detail), now);
            self.aftermath.reviews.push(review);
        }
    }

    /// The reviews that were asked for, as status shows them.
    pub(super) fn reviews(&self) -> Vec<String> {
        self.aftermath.reviews.iter().map(|review| format!("{}: {}", review.name, review.detail)).collect()
    }

    /// Back to shadow: tripped here and now, and the next start is held back until a named person lifts it.
    fn roll_back(&mut self, rollback: &Rollback, level: u8, now: Now) {
        let text = format!("{}: {}", rollback.trigger, rollback.detail);
        self.trip(now, HaltLevel::CancelAll, Reason::Rollback, &text);
        self.event(
            now,
            Level::Error,
            "ROLLBACK",
            &[
                ("trigger", json!(rollback.trigger)),
                ("detail", json!(rollback.detail)),
                ("level", json!(level)),
                ("by", json!("engine")),
            ],
        );
        self.aftermath.rolled_back = Some(Hold {
            v: 1,
            id: String::new(),
            kind: Kind::Rollback,
            level,
            reason: rollback.trigger.to_owned(),
            detail: rollback.detail.clone(),
            by: "engine".to_owned(),
            mode: self.config.mode.clone(),
            at: rfc3339(now.ns),
            incident: String::new(),
            cleared: None,
        });
        self.remember_act("engine", &format!("rolled back to shadow (level {level}): {text}"), now);
        self.make_hold(now);
    }

    fn make_hold(&mut self, now: Now) {
        let Some(hold) = self.aftermath.rolled_back.clone() else { return };
        match holds::make(&self.parts.paths, hold) {
            Ok(made) => {
                self.aftermath.rolled_back = Some(made);
                self.aftermath.is_hold_owed = false;
            }
            Err(error) => {
                if !self.aftermath.is_hold_owed {
                    let why = error.to_string();
                    self.event(now, Level::Error, "HOLD_FAILED", &[("error", json!(why))]);
                }
                self.aftermath.is_hold_owed = true;
            }
        }
    }

    /// A paper session that is armed for long enough, without a trip, lifts what waits for it.
    fn watch_paper(&mut self, now: Now) {
        if !self.aftermath.paper_waits || self.config.mode != "paper" {
            return;
        }
        if !self.parts.page.view(now).allows_risk() {
            self.aftermath.paper_armed_since_mono_ns = None;
            return;
        }
        let since = *self.aftermath.paper_armed_since_mono_ns.get_or_insert(now.mono_ns);
        let held_s = now.mono_ns.saturating_sub(since) / NS_PER_S;
        if u64::try_from(held_s).unwrap_or(0) < self.config.aftermath.emergency.paper_first_s {
            return;
        }
        let session = self.config.aftermath.session.clone();
        match holds::paper_has_held(&self.parts.paths, &session, now.ns) {
            Ok(lifted) => {
                self.aftermath.paper_waits = false;
                let fields =
                    [("session", json!(session)), ("held_s", json!(held_s)), ("lifted", json!(lifted))];
                self.event(now, Level::Warn, "PAPER_HELD", &fields);
            }
            Err(error) => {
                self.event(now, Level::Error, "HOLD_FAILED", &[("error", json!(error.to_string()))]);
                self.aftermath.paper_armed_since_mono_ns = None;
            }
        }
    }

    /// Writes what is owed: the memory of trips, and the incident.
    pub(super) fn do_paperwork(&mut self, now: Now) -> Result<(), IncidentError> {
        if self.aftermath.trips_owed {
            self.aftermath.trips.write(&self.parts.paths)?;
            self.aftermath.trips_owed = false;
        }
        while let Some(owed) = self.aftermath.owed.first().cloned() {
            self.write_down(owed, now)?;
            self.aftermath.owed.remove(0);
        }
        Ok(())
    }

    fn write_down(&mut self, owed: Owed, now: Now) -> Result<(), IncidentError> {
        let open = incident::current(&self.parts.paths)?;
        match (owed, open) {
            (Owed::Trip { reason, by, text, at_ns }, None) => {
                let opened = self.open_incident(reason, (&by, &text), at_ns, now)?;
                let fields =
                    [("incident", json!(opened.id)), ("level", json!(opened.level)), ("by", json!("engine"))];
                self.event(now, Level::Error, "INCIDENT_OPENED", &fields);
                self.stop_for_good(reason, &opened, now)
            }
            (Owed::Trip { reason, by, text, at_ns }, Some(mut incident)) => {
                let view = self.parts.page.view(now);
                add(
                    &mut incident,
                    at_ns,
                    &by,
                    format!("tripped ({}): {}: {text}", view.level.name(), reason.name()),
                );
                incident::save(&self.parts.paths, &incident)?;
                self.stop_for_good(reason, &incident, now)
            }
            (Owed::Act { by, what, at_ns }, Some(mut incident)) => {
                add(&mut incident, at_ns, &by, what);
                incident::save(&self.parts.paths, &incident)
            }
            (Owed::Act { .. }, None) => Ok(()),
        }
    }

    fn open_incident(
        &mut self,
        reason: Reason,
        (by, text): (&str, &str),
        at_ns: i64,
        now: Now,
    ) -> Result<Incident, IncidentError> {
        let by = if by.trim().is_empty() { "operator" } else { by };
        let opening = Opening {
            level: incident::level_of(reason),
            by: by.to_owned(),
            cause: Cause { reason: reason.name().to_owned(), text: text.to_owned() },
            mode: self.config.mode.clone(),
            boot_id: format!("{:016x}", self.parts.page.boot_id()),
            halt_level: self.parts.page.view(now).level.name().to_owned(),
            snapshot: self.parts.watcher.latest().as_ref().clone(),
            at_ns,
            post_mortem_ns: incident::hours(self.config.aftermath.emergency.post_mortem_h),
        };
        incident::open(&self.parts.paths, opening)
    }

    /// An emergency stop, where an account is traded: into paper first (R-KILL-5).
    fn stop_for_good(&mut self, reason: Reason, incident: &Incident, now: Now) -> Result<(), IncidentError> {
        if !halted::is_emergency_stop(reason)
            || !self.config.aftermath.emergency.rolls_back_in(&self.config.mode)
        {
            return Ok(());
        }
        let hold = Hold {
            v: 1,
            id: String::new(),
            kind: Kind::PaperFirst,
            level: EMERGENCY,
            reason: reason.name().to_owned(),
            detail: incident.cause.text.clone(),
            by: "engine".to_owned(),
            mode: self.config.mode.clone(),
            at: rfc3339(now.ns),
            incident: incident.id.clone(),
            cleared: None,
        };
        let made = holds::make(&self.parts.paths, hold)?;
        self.event(
            now,
            Level::Error,
            "PAPER_FIRST",
            &[("hold", json!(made.id)), ("incident", json!(incident.id))],
        );
        Ok(())
    }
}

fn add(incident: &mut Incident, at_ns: i64, by: &str, what: String) {
    match incident.actions.len() {
        n if n < ACTIONS_MAX => incident.act(at_ns, by, what),
        ACTIONS_MAX => incident.act(at_ns, "engine", "more happened; see events.jsonl and the journal"),
        _ => {}
    }
}
