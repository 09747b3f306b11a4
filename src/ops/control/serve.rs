//! Serving the sockets: what each command does.

use serde_json::{Value, json};

use super::arming::{Asked, DEADLINE_NS_MAX};
use super::flat::AGAIN_NS;
use super::{Control, TripNote};
use crate::event::CommandKind;
use crate::event::command::ALL_INSTRUMENTS;
use crate::journal::entry::ControlKind as ActKind;
use crate::ops::events::Level;
use crate::ops::protocol::{
    self, Answer, NoArgs, RecoverArgs, Refusal, Request, StrategyArgs, SymbolArgs, TripArgs, Verb, code,
};
use crate::ops::socket::{ClientId, Incoming, IncomingKind, Peer};
use crate::shared::HaltLevel;
use crate::types::time::NS_PER_MS;
use crate::types::{InstrumentId, Now, Reason};

/// Trips that wait for the venue's answer at once. Beyond it the first line is the only one.
const TRIPS_MAX: usize = 16;

/// A trip whose second line is owed.
#[derive(Debug)]
pub(super) struct PendingTrip {
    client: ClientId,
    id: Value,
    epoch: u64,
    tripped_ns: i64,
    deadline_ns: i64,
    flatten: Option<Flatten>,
}

/// A flatten that came with a trip.
#[derive(Clone, Copy, Debug)]
struct Flatten {
    uid: Option<u32>,
    /// When it is asked for again, monotonic.
    again_mono_ns: i64,
    /// The answer `silent` was given: only `flat` is owed.
    is_silent_told: bool,
}

impl Control {
    /// Takes what came in and answers it.
    pub(super) fn serve(&mut self, now: Now) -> usize {
        let mut incoming = std::mem::take(&mut self.incoming);
        let mut work = self.parts.server.poll(now, &mut incoming);
        work += incoming.len();
        for piece in incoming.drain(..) {
            self.take_in(&piece, now);
        }
        self.incoming = incoming;
        for peer in self.parts.server.take_turned_away() {
            let fields = [("uid", json!(peer.uid)), ("pid", json!(peer.pid)), ("admin", json!(peer.admin))];
            self.event(now, Level::Warn, "PEER_TURNED_AWAY", &fields);
        }
        work
    }

    fn take_in(&mut self, piece: &Incoming, now: Now) {
        // Before anything else of the line is read: a trip is never refused for a bad argument.
        if piece.peer.admin && protocol::wants_trip(&piece.line) {
            return self.trip_asked(piece);
        }
        let (verb, request) = match piece.kind {
            IncomingKind::Line => match protocol::parse(&piece.line) {
                Ok(sound) => sound,
                Err((id, refusal)) => return self.refuse(piece, id, refusal, now),
            },
            IncomingKind::TooLong => {
                let text = format!("a line may have at most {} bytes", protocol::CONTROL_LINE_BYTES_MAX);
                return self.refuse(piece, Value::Null, Refusal::new(code::TOO_LONG, text), now);
            }
            IncomingKind::Unfinished => {
                let text = "the line was not ended in time";
                return self.refuse(piece, Value::Null, Refusal::new(code::BAD_REQUEST, text), now);
            }
        };
        if !piece.peer.admin && !verb.only_reads() {
            let text = format!("{} needs the operators' socket (admin.sock)", verb.name());
            return self.refuse(piece, request.id, Refusal::new(code::FORBIDDEN, text), now);
        }
        let id = request.id.clone();
        match self.act_on(verb, request, piece, now) {
            Ok(None) => {}
            Ok(Some(result)) => {
                let epoch = self.parts.page.view(now).epoch;
                self.parts.server.answer(piece.client, &Answer::ok(id, epoch, result).line(), true, now);
            }
            Err(refusal) => self.refuse(piece, id, refusal, now),
        }
    }

    /// `Ok(None)`: answered already, or later.
    fn act_on(
        &mut self,
        verb: Verb,
        request: Request,
        piece: &Incoming,
        now: Now,
    ) -> Result<Option<Value>, Refusal> {
        match verb {
            Verb::KillTrip => {
                self.trip_asked(piece);
                Ok(None)
            }
            Verb::KillRecover => {
                let args: RecoverArgs = protocol::args(&request.args)?;
                self.command_event(piece.peer, verb, &request.args, now);
                let asked = Asked {
                    client: Some((piece.client, request.id.clone())),
                    uid: Some(piece.peer.uid),
                    deadline_ms: request.deadline_ms,
                };
                let epoch = self.begin_arming(asked, args, now)?;
                let accepted = json!({ "reconciling": true });
                let line = Answer::ok(request.id, epoch, accepted).at_stage("accepted").line();
                self.parts.server.answer(piece.client, &line, false, now);
                Ok(None)
            }
            Verb::StrategyEnable | Verb::StrategyDisable => {
                let args: StrategyArgs = protocol::args(&request.args)?;
                self.command_event(piece.peer, verb, &request.args, now);
                self.switch_strategy(verb, request.id, args, piece, now)
            }
            Verb::Reconcile => {
                self.command_event(piece.peer, verb, &request.args, now);
                self.reconcile_asked(request, piece, now)
            }
            Verb::CancelAll | Verb::Flatten | Verb::Freeze | Verb::Unfreeze => {
                let args: SymbolArgs = protocol::args(&request.args)?;
                let instrument = self.instrument(args.symbol.as_deref())?;
                self.command_event(piece.peer, verb, &request.args, now);
                self.push(verb, instrument, (&args, piece.peer), now).map(Some)
            }
            Verb::LayersReset => {
                self.begin_layer_reset(request, piece, now)?;
                Ok(None)
            }
            Verb::Ping | Verb::Status | Verb::KillStatus | Verb::Orders | Verb::Positions => {
                let NoArgs {} = protocol::args(&request.args)?;
                Ok(Some(self.look(verb, now)))
            }
        }
    }

    fn look(&mut self, verb: Verb, now: Now) -> Value {
        let snapshot = self.parts.watcher.latest();
        let seen = |value: Result<Value, serde_json::Error>| value.unwrap_or_default();
        match verb {
            Verb::Orders => seen(serde_json::to_value(&snapshot.orders)),
            Verb::Positions => seen(serde_json::to_value(&snapshot.instruments)),
            Verb::KillStatus => seen(serde_json::to_value(self.kill_status(now))),
            Verb::Status => seen(serde_json::to_value(self.status(now))),
            _ => json!({ "pong": true, "pid": std::process::id(), "at_ns": now.ns }),
        }
    }

    fn instrument(&self, symbol: Option<&str>) -> Result<InstrumentId, Refusal> {
        let Some(symbol) = symbol else { return Ok(ALL_INSTRUMENTS) };
        self.parts.table.find(symbol.as_bytes()).ok_or_else(|| {
            let known: Vec<_> = self.parts.table.all().iter().map(|i| i.symbol.as_str()).collect();
            let text = format!("args.symbol: {symbol:?} is not of this session; known: {}", known.join(", "));
            Refusal::new(code::BAD_REQUEST, text)
        })
    }

    fn push(
        &mut self,
        verb: Verb,
        instrument: InstrumentId,
        (args, peer): (&SymbolArgs, Peer),
        now: Now,
    ) -> Result<Value, Refusal> {
        let (kind, act) = match verb {
            Verb::CancelAll => (CommandKind::CancelAll, ActKind::CancelAll),
            Verb::Flatten => (CommandKind::Flatten, ActKind::Flatten),
            Verb::Freeze => (CommandKind::Freeze, ActKind::Freeze),
            _ => (CommandKind::Unfreeze, ActKind::Unfreeze),
        };
        let who = match args.by.trim() {
            "" => format!("uid {} pid {}", peer.uid, peer.pid),
            by => by.to_owned(),
        };
        let what = self.parts.table.get(instrument).map_or("all", |i| i.symbol.as_str()).to_owned();
        let cause = match args.reason.trim() {
            "" => format!("{} {what}", verb.name()),
            reason => format!("{} {what}: {reason}", verb.name()),
        };
        self.record(now, act, &who, &cause, Some(peer.uid));
        self.remember_act(&who, &cause, now);
        match self.command(kind, instrument, Some(peer.uid)) {
            Some(ticket) => Ok(json!({ "queued": true, "ticket": ticket })),
            None => Err(Refusal::new(
                code::BUSY,
                "the engine takes no commands at the moment; `kill trip` needs none",
            )),
        }
    }

    /// Someone asks for a trip, in whatever words.
    fn trip_asked(&mut self, piece: &Incoming) {
        // Its own reading of the clock: this is the time from which the drill is measured.
        let now = self.parts.clock.now();
        let trip = self.parts.page.trip_once(HaltLevel::CancelAll, Reason::Operator, now.ns);
        // It is in force. From here on nothing that fails matters.
        let (id, deadline_ms, args, warning) = trip_words(piece);
        if trip.raised {
            self.trip_note = Some(TripNote {
                by: args.by.clone(),
                text: args.reason.clone(),
                uid: Some(piece.peer.uid),
                drill: args.drill,
            });
        }
        let mut result = json!({
            "tripped_ns": now.ns,
            "raised": trip.raised,
            "level": self.parts.page.view(now).level.name(),
            "open_orders": self.parts.page.open_orders(),
        });
        if let Some(warning) = warning {
            result["warning"] = json!(warning);
        }
        let answer = Answer::ok(id.clone(), trip.epoch, result).at_stage("tripped");
        let room = self.trips.len() < TRIPS_MAX;
        self.parts.server.answer(piece.client, &answer.line(), !room, now);
        self.notice(now);
        if args.flatten {
            self.record(now, ActKind::Flatten, &args.by, "flatten with the trip", Some(piece.peer.uid));
            self.command(CommandKind::Flatten, ALL_INSTRUMENTS, Some(piece.peer.uid));
        }
        let words =
            json!({ "reason": args.reason, "by": args.by, "flatten": args.flatten, "drill": args.drill });
        self.command_event(piece.peer, Verb::KillTrip, &words, now);
        if !trip.raised {
            // A second trip changes nothing on the page and is still an act of someone.
            let cause = format!("again: {}", args.reason);
            self.record(now, ActKind::Trip, &args.by, &cause, Some(piece.peer.uid));
        }
        if room {
            let wait_ns = deadline_ms.map_or(self.config.silent_ns, |ms| {
                i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS).min(DEADLINE_NS_MAX)
            });
            self.trips.push(PendingTrip {
                client: piece.client,
                id,
                epoch: trip.epoch,
                tripped_ns: now.ns,
                deadline_ns: now.mono_ns + wait_ns,
                flatten: args.flatten.then(|| Flatten {
                    uid: Some(piece.peer.uid),
                    again_mono_ns: now.mono_ns + AGAIN_NS,
                    is_silent_told: false,
                }),
            });
        }
    }

    /// The second line of trips: the venue's word, or the time that is up.
    pub(super) fn answer_trips(&mut self, now: Now) -> usize {
        let (silent_epoch, silent_ns) = self.parts.page.silent();
        let mut answered = 0;
        let mut at = 0;
        while at < self.trips.len() {
            let trip = &mut self.trips[at];
            let is_late = now.mono_ns >= trip.deadline_ns;
            let owes_silent = trip.flatten.is_none_or(|flatten| !flatten.is_silent_told);
            if owes_silent && silent_epoch >= trip.epoch {
                let line = silent_line(trip, silent_ns);
                let (client, is_last) = (trip.client, trip.flatten.is_none());
                if let Some(flatten) = &mut trip.flatten {
                    flatten.is_silent_told = true;
                    at += 1;
                } else {
                    self.trips.swap_remove(at);
                }
                self.record(now, ActKind::Silent, "engine", "the venue says that nothing is open", None);
                self.remember_act("engine", "the venue says that nothing is open", now);
                self.parts.server.answer(client, &line, is_last, now);
                answered += 1;
            } else if owes_silent && is_late {
                let trip = self.trips.swap_remove(at);
                let line = self.late_line(trip.id, trip.epoch);
                self.parts.server.answer(trip.client, &line, true, now);
                answered += 1;
            } else if owes_silent || !self.answer_flat(at, is_late, now) {
                at += 1;
            } else {
                answered += 1;
            }
        }
        answered
    }

    /// The third line of a trip with a flatten: flat, or the time that is up. Asks again meanwhile. `true` if answered.
    fn answer_flat(&mut self, at: usize, is_late: bool, now: Now) -> bool {
        let (epoch, tripped_ns) = (self.trips[at].epoch, self.trips[at].tripped_ns);
        let is_flat = self.is_flat(epoch);
        if !is_flat && !is_late {
            if let Some(flatten) = &mut self.trips[at].flatten
                && now.mono_ns >= flatten.again_mono_ns
            {
                flatten.again_mono_ns = now.mono_ns + AGAIN_NS;
                let uid = flatten.uid;
                self.flatten_again(uid);
            }
            return false;
        }
        let trip = self.trips.swap_remove(at);
        let answer = if is_flat {
            self.record(now, ActKind::Flatten, "engine", "flat: nothing is held", None);
            self.remember_act("engine", "flat: nothing is held that the venue would take", now);
            let elapsed_us = (now.ns - tripped_ns).max(0) / 1_000;
            Answer::ok(trip.id, epoch, json!({ "flat_ns": now.ns, "elapsed_us": elapsed_us }))
                .at_stage("flat")
        } else {
            let held = self.held_json();
            let text = format!(
                "not flat in time; held: {held}. The trip is in force, and the engine goes on closing. \
                 Look at `interlock positions`"
            );
            let mut answer =
                Answer::refused(trip.id, epoch, Refusal::new(code::TIMEOUT, text)).at_stage("timeout");
            answer.result = Some(json!({ "held": held }));
            answer
        };
        self.parts.server.answer(trip.client, &answer.line(), true, now);
        true
    }

    fn late_line(&self, id: Value, epoch: u64) -> String {
        let remaining = self.parts.page.open_orders();
        let text = format!(
            "the venue has not said in time that nothing is open; {remaining} orders may be. \
             The trip is in force. Run interlock-halt"
        );
        let mut answer = Answer::refused(id, epoch, Refusal::new(code::TIMEOUT, text)).at_stage("timeout");
        answer.result = Some(json!({ "remaining": remaining }));
        answer.line()
    }

    fn refuse(&mut self, piece: &Incoming, id: Value, refusal: Refusal, now: Now) {
        let fields = [
            ("uid", json!(piece.peer.uid)),
            ("code", json!(refusal.code)),
            ("message", json!(refusal.message)),
        ];
        self.event(now, Level::Warn, "COMMAND_REFUSED", &fields);
        let epoch = self.parts.page.view(now).epoch;
        let line = Answer::refused(id, epoch, refusal).line();
        self.parts.server.answer(piece.client, &line, true, now);
    }

    /// Acts leave a trace with their peer; looking does not, or a dashboard would fill the log.
    pub(super) fn command_event(&mut self, peer: Peer, verb: Verb, args: &Value, now: Now) {
        let fields = [
            ("command", json!(verb.name())),
            ("uid", json!(peer.uid)),
            ("gid", json!(peer.gid)),
            ("pid", json!(peer.pid)),
            ("args", args.clone()),
        ];
        self.event(now, Level::Info, "COMMAND", &fields);
    }
}

/// The venue's word that nothing is open. Silent before this trip: an earlier one had already brought it about.
fn silent_line(trip: &PendingTrip, silent_ns: i64) -> String {
    let elapsed_us = (silent_ns - trip.tripped_ns).max(0) / 1_000;
    let result = json!({ "silent_ns": silent_ns, "open_orders": 0, "elapsed_us": elapsed_us });
    Answer::ok(trip.id.clone(), trip.epoch, result).at_stage("silent").line()
}

/// What can be made of a trip's line: its id, deadline, arguments, and what was wrong with them.
fn trip_words(piece: &Incoming) -> (Value, Option<u64>, TripArgs, Option<String>) {
    let unread = |why: String| {
        let id = protocol::id_of(&piece.line);
        (id, None, TripArgs::default(), Some(format!("tripped although {why}")))
    };
    match protocol::parse(&piece.line) {
        Err((_, refusal)) => unread(refusal.message),
        Ok((_, request)) => match protocol::args::<TripArgs>(&request.args) {
            Ok(args) => (request.id, request.deadline_ms, args, None),
            Err(refusal) => {
                let warning = format!("tripped although {}", refusal.message);
                (request.id, request.deadline_ms, TripArgs::default(), Some(warning))
            }
        },
    }
}
