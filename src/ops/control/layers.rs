//! What people decide about layers, and what is told of them.
//!
//! A reset of the emergency stop (L4) is an act with a name and a cause, durable in the journal before it becomes a command on
//! the line. A strategy's switch, which lifts L3 too, is in `deeds`. Nothing else can be reset: the daily loss ends at midnight
//! UTC, capital preservation by its hours.

use serde_json::{Value, json};

use super::{Control, Receipt};
use crate::event::CommandKind;
use crate::event::command::{ALL_INSTRUMENTS, NO_STRATEGY};
use crate::journal::entry::ControlKind as ActKind;
use crate::ops::events::Level;
use crate::ops::protocol::{self, Answer, LayerArgs, Refusal, Request, Verb, code};
use crate::ops::socket::{ClientId, Incoming};
use crate::ops::watch::LayersLine;
use crate::types::Now;
use crate::types::time::NS_PER_S;

/// How long the journal may take to make an act durable.
const DEADLINE_NS: i64 = 10 * NS_PER_S;
/// Acts that wait for the journal at once.
const ACTS_MAX: usize = 8;

/// An act that the journal is making durable.
#[derive(Debug)]
pub(super) struct LayerAct {
    client: ClientId,
    id: Value,
    args: LayerArgs,
    uid: u32,
    receipt: Receipt,
    deadline_ns: i64,
}

/// What is under way, and what was last told.
#[derive(Debug, Default)]
pub(super) struct LayerDesk {
    acts: Vec<LayerAct>,
    told: Option<LayersLine>,
}

impl Control {
    /// Begins a reset of the emergency stop, or says why not.
    pub(super) fn begin_layer_reset(
        &mut self,
        request: Request,
        piece: &Incoming,
        now: Now,
    ) -> Result<(), Refusal> {
        let args: LayerArgs = protocol::args(&request.args)?;
        let refuse = |text: String| Err(Refusal::new(code::REFUSED, text));
        if args.cause.trim().is_empty() || args.by.trim().is_empty() {
            return refuse("it needs a cause (what was looked at) and the name of a person".to_owned());
        }
        if !self.parts.watcher.latest().layers.emergency {
            return refuse(
                "the emergency stop is not in force; nothing else can be reset by hand".to_owned(),
            );
        }
        if self.layer_desk.acts.len() >= ACTS_MAX {
            return Err(Refusal::new(code::BUSY, "other acts wait for the journal; try again"));
        }
        self.command_event(piece.peer, Verb::LayersReset, &request.args, now);
        let mut act = self.act(ActKind::Reset, &args.by, &args.cause, Some(piece.peer.uid));
        act.details.insert("what".to_owned(), json!(Verb::LayersReset.name()));
        let receipt = self.parts.recorder.submit(act).map_err(|e| Refusal::new(code::REFUSED, e))?;
        self.layer_desk.acts.push(LayerAct {
            client: piece.client,
            id: request.id,
            args,
            uid: piece.peer.uid,
            receipt,
            deadline_ns: now.mono_ns + DEADLINE_NS,
        });
        Ok(())
    }

    /// Carries out what has become durable.
    pub(super) fn finish_layer_acts(&mut self, now: Now) -> usize {
        let mut done = 0;
        let mut at = 0;
        while at < self.layer_desk.acts.len() {
            let act = &mut self.layer_desk.acts[at];
            let verdict = match act.receipt.poll() {
                None if now.mono_ns < act.deadline_ns => {
                    at += 1;
                    continue;
                }
                None => Err("the journal has not confirmed the record in time".to_owned()),
                Some(verdict) => verdict.map_err(|error| format!("the journal did not take it: {error}")),
            };
            let act = self.layer_desk.acts.swap_remove(at);
            self.carry_out(act, verdict, now);
            done += 1;
        }
        done
    }

    fn carry_out(&mut self, act: LayerAct, verdict: Result<(), String>, now: Now) {
        let epoch = self.parts.page.view(now).epoch;
        let verdict = verdict.and_then(|()| {
            self.command_on(CommandKind::ResetEmergency, ALL_INSTRUMENTS, NO_STRATEGY, Some(act.uid))
                .ok_or_else(|| "the engine takes no commands at the moment; try again".to_owned())
        });
        let line = match verdict {
            Ok(ticket) => {
                let fields = [("by", json!(act.args.by)), ("cause", json!(act.args.cause))];
                self.event(now, Level::Warn, "EMERGENCY_RESET", &fields);
                let done = json!({ "done": Verb::LayersReset.name(), "ticket": ticket });
                Answer::ok(act.id, epoch, done).line()
            }
            Err(why) => Answer::refused(act.id, epoch, Refusal::new(code::REFUSED, why)).line(),
        };
        self.parts.server.answer(act.client, &line, true, now);
    }

    /// Tells what the layers brought about since last looked at.
    pub(super) fn watch_layers(&mut self, now: Now) {
        let line = self.parts.watcher.latest().layers.clone();
        let Some(told) = self.layer_desk.told.replace(line.clone()) else { return };
        if told == line {
            return;
        }
        let money = [
            ("day_result", json!(line.day_result)),
            ("day_loss_max", json!(line.day_loss_max)),
            ("drawdown_bp", json!(line.drawdown_bp)),
            ("equity", json!(line.equity)),
        ];
        if line.emergency && !told.emergency {
            self.event(now, Level::Critical, "EMERGENCY_STOP", &money);
        }
        if line.day_stopped && !told.day_stopped {
            self.event(now, Level::Critical, "DAILY_LOSS_STOP", &money);
        }
        if told.day_stopped && !line.day_stopped {
            self.event(now, Level::Info, "DAILY_LOSS_RESET", &money);
        }
        if line.level != told.level {
            let fields = [("from", json!(told.level)), ("to", json!(line.level))];
            self.event(now, Level::Warn, "PRESERVATION_LEVEL", &fields);
        }
        for (now_line, was) in line.strategies.iter().zip(&told.strategies) {
            if now_line.disabled && !was.disabled {
                let fields = [("strategy", json!(now_line.strategy)), ("losses", json!(now_line.losses))];
                self.event(now, Level::Warn, "CIRCUIT_BREAKER", &fields);
            }
        }
    }
}
