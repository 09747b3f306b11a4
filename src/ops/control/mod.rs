//! The control thread: cold, one for each engine, alone on its thread.
//!
//! - It renews the lease, every fifth of its length, and only while it finds the engine well (`guard`): page whole, no kill
//!   file, stages moving, journal durable, clock steady, market data fresh. If it hangs itself, the lease runs out.
//! - It serves the control sockets (`serve`). A trip takes effect on the page, here, before anything else of the line
//!   is read.
//! - It arms, when asked with a cause by someone who may, after a reconcile that balances and with the record durable
//!   (`arming`).
//! - It keeps heartbeat file, event log and latency histograms.
//!
//! What it refuses: to lower a level by a timer, to arm over a kill file or over another's trip, to wait for the disk or
//! for a stage. The one place where it may wait is the poll of its own sockets, a few milliseconds, which a
//! connection ends at once.

mod aftermath;
mod arming;
mod deeds;
mod flat;
mod guard;
mod layers;
mod marks;
mod reconciling;
mod serve;

pub use self::marks::LimitMarks;

use std::sync::Arc;

use serde_json::json;

use self::aftermath::Aftermath;
pub use self::aftermath::AftermathConfig;
use self::arming::Arming;
use self::deeds::Deed;
use self::guard::Guard;
use self::layers::LayerDesk;
use self::marks::Told;
pub use self::reconciling::ReconcileDesk;
use self::reconciling::Reconciling;
use self::serve::PendingTrip;
use super::connects::Connects;
use super::events::{Event, Events, Level, rfc3339};
use super::files::{self, Durability};
use super::health::{Health, Illness, Vitals};
use super::latency::Histograms;
use super::marker::{self, Marker};
use super::paths::Paths;
use super::protocol::RecoverArgs;
use super::rates::refusals;
use super::socket::{Incoming, Server};
use super::status::{JournalStatus, KillStatus, Status, ThreadStatus};
use super::watch::Watcher;
use crate::agent::ring::Producer;
use crate::agent::{Agent, Clock, StopFlag};
use crate::event::command::NO_STRATEGY;
use crate::event::{Command, CommandKind};
use crate::journal::ControlHandle;
use crate::journal::entry::{Control as Act, ControlKind as ActKind, Entry};
use crate::shared::{Counter, Counters, HaltLevel, HaltView, KillPage};
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{InstrumentTable, Now, Reason, StrategyId};

/// How often heartbeat file and clock are seen to.
const SECOND_NS: i64 = NS_PER_S;
/// How often the latency rings are drained: a stage's ring holds 4,096 samples.
const DRAIN_EVERY_NS: i64 = 5 * NS_PER_MS;

/// Times and choices.
#[derive(Clone, Debug)]
pub struct ControlConfig {
    /// What stands at the ends of the line, for people.
    pub mode: String,
    /// How long a renewed lease runs. It is renewed five times as often.
    pub lease_ns: i64,
    /// How long this thread itself may stand still before that is a trip (a suspended machine, a stopped process).
    pub stall_ns: i64,
    /// How far the wall clock may step.
    pub clock_step_ns_max: i64,
    /// `LIVE_KILL_SWITCH` was set. Read once, at start, by `run`: the environment of a running process does not change.
    pub kill_environment: bool,
    /// How long the answer to a trip waits for the venue, unless the request says otherwise.
    pub silent_ns: i64,
    /// How long a poll without work may wait for the sockets; 0 never waits (tests, shared threads).
    pub wait_ns: i64,
    /// Arm without being asked, once, after start: what the demo does, and says. Never over a marker, a kill file or a trip.
    pub arm_at_start: Option<RecoverArgs>,
    /// The bounded limits to watch, in a bounded session.
    pub limits: Option<LimitMarks>,
    /// Set when the engine is about to stop: no more intents then, and everything open is cancelled. No trip: a stop that
    /// was asked for leaves no marker.
    pub leave: StopFlag,
    /// What follows a trip: incidents, rollback.
    pub aftermath: AftermathConfig,
}

impl ControlConfig {
    /// The defaults of the configuration, for a mode.
    pub fn new(mode: &str) -> Self {
        Self {
            mode: mode.to_owned(),
            lease_ns: 500 * NS_PER_MS,
            stall_ns: 2 * NS_PER_S,
            clock_step_ns_max: 250 * NS_PER_MS,
            kill_environment: false,
            silent_ns: 30 * NS_PER_S,
            wait_ns: 2 * NS_PER_MS,
            arm_at_start: None,
            limits: None,
            leave: StopFlag::default(),
            aftermath: AftermathConfig::default(),
        }
    }
}

/// Whether a record has become durable; polled.
pub struct Receipt(Box<dyn FnMut() -> Option<Result<(), String>> + Send>);

impl Receipt {
    /// From a question that answers `None` until it is known.
    pub fn new(ask: impl FnMut() -> Option<Result<(), String>> + Send + 'static) -> Self {
        Self(Box::new(ask))
    }
    fn poll(&mut self) -> Option<Result<(), String>> {
        (self.0)()
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Receipt")
    }
}

/// Where the control thread's acts are recorded: the journal.
pub trait Recorder: Send {
    /// Hands an act over, without waiting.
    fn submit(&mut self, act: Act) -> Result<Receipt, String>;
}

impl Recorder for ControlHandle {
    fn submit(&mut self, act: Act) -> Result<Receipt, String> {
        let pending = Self::submit(self, Entry::Control(Box::new(act))).map_err(|error| error.to_string())?;
        Ok(Receipt::new(move || pending.poll().map(|r| r.map(|_| ()).map_err(|error| error.to_string()))))
    }
}

/// What the control thread is given.
pub struct ControlParts {
    /// Where things are.
    pub paths: Paths,
    /// The kill page.
    pub page: Arc<KillPage>,
    /// The engine's clock; this thread anchors it anew each second.
    pub clock: Clock,
    /// The counters.
    pub counters: Arc<Counters>,
    /// To feed.
    pub commands: Producer<Command>,
    /// The session's instruments.
    pub table: InstrumentTable,
    /// The vital signs.
    pub vitals: Vitals,
    /// Further questions about the engine's health.
    pub health: Vec<Box<dyn Health>>,
    /// The journal.
    pub recorder: Box<dyn Recorder>,
    /// The view of the journal's thread.
    pub watcher: Watcher,
    /// The latency rings.
    pub latency: Histograms,
    /// The reconciler, where there is an account.
    pub reconcile: Option<ReconcileDesk>,
    /// The sockets.
    pub server: Server,
    /// The record of connection attempts, where it is kept.
    pub connects: Option<Connects>,
    /// The event log.
    pub events: Events,
}

impl std::fmt::Debug for ControlParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ControlParts").field("paths", &self.paths).finish_non_exhaustive()
    }
}

/// Who and why, for the record of a trip that came by socket.
#[derive(Clone, Debug, Default)]
struct TripNote {
    by: String,
    text: String,
    uid: Option<u32>,
    drill: bool,
}

/// The control thread's agent.
#[derive(Debug)]
pub struct Control {
    config: ControlConfig,
    parts: ControlParts,
    guard: Guard,
    /// The state as last seen, to notice changes, whoever made them.
    seen: HaltView,
    trip_note: Option<TripNote>,
    trips: Vec<PendingTrip>,
    deeds: Vec<Deed>,
    /// What was told of the limits.
    told: Told,
    arming: Arming,
    aftermath: Aftermath,
    layer_desk: LayerDesk,
    reconciling: Reconciling,
    /// A marker that could not be written yet.
    marker_owed: Option<Marker>,
    incoming: Vec<Incoming>,
    ticket: u64,
    began_ns: Option<i64>,
    next_second_ns: i64,
    next_drain_ns: i64,
    has_left: bool,
}

impl Control {
    /// Sees to what must hold before the first poll: the reserve of the marker, a trip if environment or file ask for it.
    pub fn new(config: ControlConfig, parts: ControlParts) -> Self {
        let now = parts.clock.now();
        let mut control = Self {
            seen: parts.page.view(now),
            arming: Arming::new(config.arm_at_start.clone()),
            aftermath: Aftermath::default(),
            layer_desk: LayerDesk::default(),
            reconciling: Reconciling::default(),
            config,
            parts,
            guard: Guard::default(),
            trip_note: None,
            trips: Vec::new(),
            deeds: Vec::new(),
            told: Told::default(),
            marker_owed: None,
            incoming: Vec::new(),
            ticket: 0,
            began_ns: None,
            next_second_ns: 0,
            next_drain_ns: 0,
            has_left: false,
        };
        if let Err(error) = marker::keep_reserve(&control.parts.paths) {
            control.event(now, Level::Warn, "MARKER_RESERVE", &[("error", json!(error.to_string()))]);
        }
        Aftermath::begin(&mut control, now);
        let found = marker::look(&control.parts.paths);
        if let Some(reason) = control.parts.page.inherited().filter(|_| !found.is_killed()) {
            // The engine that was tripped died before it wrote its marker.
            let text = "found on the page of an earlier boot";
            let mut marker = Marker::new(reason, text, "engine", "engine");
            marker.at = rfc3339(now.ns);
            control.marker_owed = Some(marker);
            control.settle_marker(now);
            control.event(now, Level::Warn, "TRIP_INHERITED", &[("reason", json!(reason.name()))]);
        } else if found.is_killed() {
            control.event(now, Level::Warn, "MARKER_FOUND", &[("marker", json!(found.describe()))]);
        }
        if control.config.kill_environment {
            control.trip(now, HaltLevel::CancelAll, Reason::KillEnvironment, "LIVE_KILL_SWITCH is set");
        }
        control.watch_files(now);
        control.notice(now);
        control
    }

    /// What status shows of the kill switch.
    pub fn kill_status(&self, now: Now) -> KillStatus {
        let page = &self.parts.page;
        let view = page.view(now);
        let (reason, tripped_ns) = page.last_trip();
        let remaining_ns = page.lease_until().saturating_sub(now.mono_ns);
        KillStatus {
            trading: view.allows_risk(),
            level: view.level.name().to_owned(),
            level_number: view.level as u8,
            epoch: view.epoch,
            reason: reason.name().to_owned(),
            tripped_at: if view.is_tripped() { rfc3339(tripped_ns) } else { String::new() },
            lease_valid: view.lease_valid,
            lease_remaining_ms: if view.lease_valid { remaining_ns / NS_PER_MS } else { 0 },
            lease_withheld: self.guard.withheld().to_owned(),
            seen_epoch: page.seen(),
            open_orders: page.open_orders(),
            silent: page.silent().0 >= view.epoch,
            reconciled: page.reconciled() >= view.epoch,
            marker: files::may_exist(&self.parts.paths.marker()),
            kill_file: files::may_exist(&self.parts.paths.kill_file()),
            kill_environment: self.config.kill_environment,
        }
    }

    /// What status shows.
    pub fn status(&mut self, now: Now) -> Status {
        let kill = self.kill_status(now);
        let counters = &self.parts.counters;
        let vitals = &self.parts.vitals;
        Status {
            v: super::status::VERSION,
            at: rfc3339(now.ns),
            build: env!("CARGO_PKG_VERSION").to_owned(),
            mode: self.config.mode.clone(),
            pid: std::process::id(),
            boot_id: format!("{:016x}", self.parts.page.boot_id()),
            uptime_s: now.mono_ns.saturating_sub(self.began_ns.unwrap_or(now.mono_ns)) / NS_PER_S,
            kill,
            journal: JournalStatus {
                records: counters.get(Counter::JournalRecords),
                durable: counters.get(Counter::JournalDurable),
                bytes: counters.get(Counter::JournalBytes),
                failed: counters.get(Counter::JournalFailed) != 0,
            },
            threads: vitals
                .threads()
                .iter()
                .map(|t| ThreadStatus {
                    name: t.name.clone(),
                    age_ms: vitals.thread_age_ns(t, now) / NS_PER_MS,
                })
                .collect(),
            reconcile: self.last_reconcile(),
            reviews: self.reviews(),
            latency: self.parts.latency.all(),
            counters: Counter::ALL.iter().map(|&c| (c.name().to_owned(), counters.get(c))).collect(),
            refusals: refusals(|reason| counters.refusals(reason)),
            view: self.parts.watcher.latest().as_ref().clone(),
        }
    }

    fn event(&mut self, now: Now, level: Level, name: &'static str, fields: &[(&str, serde_json::Value)]) {
        let mut event = Event::new(now.ns, level, name);
        for (key, value) in fields {
            event = event.with(key, value.clone());
        }
        self.parts.events.emit(&event);
    }

    /// Trips, and leaves the words for the record.
    fn trip(&mut self, now: Now, level: HaltLevel, reason: Reason, text: &str) {
        if self.parts.page.trip_once(level, reason, now.ns).raised {
            self.trip_note =
                Some(TripNote { by: "engine".to_owned(), text: text.to_owned(), ..TripNote::default() });
        }
    }

    fn fall_ill(&mut self, now: Now, illness: &Illness) {
        if illness.trips {
            self.trip(now, HaltLevel::RiskOff, illness.reason, &illness.detail);
        }
    }

    /// Notices what changed on the page, whoever changed it, and leaves the traces: event, journal, marker, fact.
    fn notice(&mut self, now: Now) -> usize {
        let view = self.parts.page.view(now);
        if (view.epoch, view.level) == (self.seen.epoch, self.seen.level) {
            return 0;
        }
        self.seen = view;
        let note = self.trip_note.take();
        if !view.is_tripped() {
            self.event(now, Level::Warn, "KILL_ARMED", &[("epoch", json!(view.epoch))]);
            return 1;
        }
        // Two locks, not one: a tripped engine has no lease either.
        self.parts.page.renew_lease(0);
        let outside = note.is_none();
        let note = note.unwrap_or_else(|| TripNote { by: "outside".to_owned(), ..TripNote::default() });
        let (reason, tripped_ns) = self.parts.page.last_trip();
        self.event(
            now,
            Level::Error,
            "KILL_TRIPPED",
            &[
                ("level", json!(view.level.name())),
                ("reason", json!(reason.name())),
                ("epoch", json!(view.epoch)),
                ("by", json!(note.by)),
                ("uid", json!(note.uid)),
                ("text", json!(note.text)),
                ("drill", json!(note.drill)),
                ("tripped_at", json!(rfc3339(tripped_ns))),
            ],
        );
        let mut marker = Marker::new(reason, &note.text, &note.by, "engine");
        view.level.name().clone_into(&mut marker.level);
        marker.boot_id = format!("{:016x}", self.parts.page.boot_id());
        marker.at = rfc3339(tripped_ns);
        // Whoever tripped from outside knows better why: a marker that is there already stays.
        if !(outside && files::may_exist(&self.parts.paths.marker())) {
            self.marker_owed = Some(marker);
            self.settle_marker(now);
        }
        self.remember_trip(reason, (&note.by, &note.text), note.drill, now);
        let cause = format!("{}: {}", reason.name(), note.text);
        self.record(now, ActKind::Trip, &note.by, &cause, note.uid);
        self.command(CommandKind::Tripped, crate::event::command::ALL_INSTRUMENTS, note.uid);
        1
    }

    /// Writes the marker that is owed. Called again each second until it succeeds: a full disk may get room.
    fn settle_marker(&mut self, now: Now) {
        let Some(owed) = &self.marker_owed else { return };
        match marker::write(&self.parts.paths, owed) {
            Ok(()) => self.marker_owed = None,
            Err(error) => {
                let path = self.parts.paths.marker().display().to_string();
                let fields = [("path", json!(path)), ("error", json!(error.to_string()))];
                self.event(now, Level::Error, "MARKER_FAILED", &fields);
            }
        }
    }

    /// Puts an act into the journal without waiting for it.
    fn record(&mut self, now: Now, kind: ActKind, who: &str, cause: &str, uid: Option<u32>) {
        let act = self.act(kind, who, cause, uid);
        if let Err(error) = self.parts.recorder.submit(act) {
            self.event(now, Level::Error, "JOURNAL_REFUSED", &[("error", json!(error))]);
        }
    }

    fn act(&self, kind: ActKind, who: &str, cause: &str, uid: Option<u32>) -> Act {
        Act {
            kind,
            who: who.to_owned(),
            cause: cause.to_owned(),
            uid,
            halt_epoch: self.seen.epoch,
            details: serde_json::Map::new(),
        }
    }

    /// Hands a command to feed; its ticket, or `None` if the ring is full.
    fn command(
        &mut self,
        kind: CommandKind,
        instrument: crate::types::InstrumentId,
        uid: Option<u32>,
    ) -> Option<u64> {
        self.command_on(kind, instrument, NO_STRATEGY, uid)
    }

    /// The same, on a strategy.
    fn command_on(
        &mut self,
        kind: CommandKind,
        instrument: crate::types::InstrumentId,
        strategy: StrategyId,
        uid: Option<u32>,
    ) -> Option<u64> {
        let (ticket, uid) = (self.ticket + 1, uid.unwrap_or(0));
        let command = Command { kind, instrument, uid, ticket, halt_epoch: self.seen.epoch, strategy };
        self.parts.commands.push(command).ok()?;
        self.ticket = ticket;
        Some(ticket)
    }

    /// The first half of a graceful stop.
    fn leave_if_asked(&mut self, now: Now) -> usize {
        if self.has_left || !self.config.leave.is_stopped() {
            return 0;
        }
        self.has_left = true;
        // No entry leaves any more, whatever is still on the line.
        self.parts.page.renew_lease(0);
        self.event(now, Level::Info, "STOPPING", &[]);
        for kind in [CommandKind::Stop, CommandKind::CancelAll] {
            self.command(kind, crate::event::command::ALL_INSTRUMENTS, None);
        }
        1
    }

    /// What is done once a second.
    fn each_second(&mut self, now: Now) -> usize {
        if now.mono_ns < self.next_second_ns {
            return 0;
        }
        self.next_second_ns = now.mono_ns + SECOND_NS;
        self.watch_clock(now);
        self.watch_limits(now);
        self.watch_exits(now);
        self.settle_marker(now);
        self.see_to_aftermath(now);
        self.watch_layers(now);
        self.beat(now, "running");
        1
    }

    fn beat(&mut self, now: Now, state: &str) {
        let view = self.parts.page.view(now);
        let beat = json!({
            "v": 1,
            "pid": std::process::id(),
            "boot_id": format!("{:016x}", self.parts.page.boot_id()),
            "state": state,
            "mode": self.config.mode,
            "at": rfc3339(now.ns),
            "uptime_s": now.mono_ns.saturating_sub(self.began_ns.unwrap_or(now.mono_ns)) / NS_PER_S,
            "level": view.level.name(),
            "trading": view.allows_risk(),
        });
        // Best effort: its absence or age is what tells.
        let _written =
            files::replace(&self.parts.paths.heartbeat(), format!("{beat}\n").as_bytes(), Durability::Atomic);
    }

    fn keep_connects(&mut self) {
        if let Some(connects) = &mut self.parts.connects {
            connects.keep();
        }
    }

    fn drain(&mut self, now: Now) -> usize {
        if now.mono_ns < self.next_drain_ns {
            return 0;
        }
        self.next_drain_ns = now.mono_ns + DRAIN_EVERY_NS;
        self.parts.latency.drain() + self.parts.events.drain()
    }
}

impl Agent for Control {
    fn name(&self) -> &'static str {
        "control"
    }

    fn on_start(&mut self, now: Now) {
        self.began_ns = Some(now.mono_ns);
        self.parts.vitals.begin_anew(now);
    }

    fn poll(&mut self, now: Now) -> usize {
        self.began_ns.get_or_insert(now.mono_ns);
        self.parts.page.mirror();
        let mut work = self.serve(now);
        work += self.stand_guard(now);
        work += self.watch_reconcile(now);
        work += self.notice(now);
        work += self.answer_trips(now);
        work += self.do_deeds(now);
        work += self.arm_if_due(now);
        work += self.finish_layer_acts(now);
        work += self.leave_if_asked(now);
        work += self.each_second(now);
        work += self.drain(now);
        if work == 0 && self.config.wait_ns > 0 {
            self.parts.server.wait(self.config.wait_ns);
        }
        work
    }

    fn on_stop(&mut self, now: Now) {
        // Nobody vouches for the engine any more.
        self.parts.page.renew_lease(0);
        self.notice(now);
        // Best effort: the event log and the journal have it.
        let _owed = self.do_paperwork(now);
        self.parts.latency.drain();
        self.parts.events.drain();
        self.keep_connects();
        self.beat(now, "stopped");
    }
}
