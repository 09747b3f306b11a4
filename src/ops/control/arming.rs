//! Arming: an act with conditions, never a timer's work.
//!
//! Asked with a cause and a name; nothing that trips may be in force any more (kill file, environment, illness); the engine
//! reconciles with the venue, and its record balances; the act is durable in the journal; and only then the level is
//! lowered, if no other trip came in between. The marker goes last, so that a crash at any point leaves a tripped
//! start with the marker still there; and only if it is still the one that was there when the act began.

use serde_json::{Value, json};

use super::{Control, Receipt};
use crate::event::CommandKind;
use crate::event::command::ALL_INSTRUMENTS;
use crate::journal::entry::ControlKind as ActKind;
use crate::ops::events::Level;
use crate::ops::files;
use crate::ops::marker::{self, Found};
use crate::ops::protocol::{Answer, RecoverArgs, Refusal, code};
use crate::ops::socket::ClientId;
use crate::shared::HaltLevel;
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{Now, Reason};

/// How long a reconcile and the journal may take, unless the request says otherwise.
const DEADLINE_NS: i64 = 30 * NS_PER_S;
/// Longest deadline that a request may give.
pub(super) const DEADLINE_NS_MAX: i64 = 600 * NS_PER_S;
/// How often arming at start looks whether the engine is well yet.
const RETRY_NS: i64 = 100 * NS_PER_MS;

/// Where an arming stands.
#[derive(Debug)]
enum Stage {
    /// The engine asks the venue.
    Reconciling,
    /// The journal makes the act durable.
    Recording(Receipt),
}

#[derive(Debug)]
struct Recover {
    /// Whom to answer; nobody when the engine arms itself at start.
    client: Option<(ClientId, Value)>,
    args: RecoverArgs,
    uid: Option<u32>,
    epoch: u64,
    /// The reconcile's round that must balance.
    round: Option<u64>,
    /// The marker that was there when the act began.
    marker: Found,
    deadline_ns: i64,
    stage: Stage,
}

/// What is under way.
#[derive(Debug)]
pub(super) struct Arming {
    recover: Option<Recover>,
    at_start: Option<RecoverArgs>,
    next_try_ns: i64,
}

impl Arming {
    pub(super) fn new(at_start: Option<RecoverArgs>) -> Self {
        Self { recover: None, at_start, next_try_ns: 0 }
    }
}

/// Who asked to arm, and until when.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) client: Option<(ClientId, Value)>,
    pub(super) uid: Option<u32>,
    pub(super) deadline_ms: Option<u64>,
}

impl Control {
    /// Begins to arm, or says why not.
    pub(super) fn begin_arming(&mut self, asked: Asked, args: RecoverArgs, now: Now) -> Result<u64, Refusal> {
        let refuse = |text: String| Err(Refusal::new(code::REFUSED, text));
        if args.cause.trim().is_empty() || args.by.trim().is_empty() {
            return refuse("arming needs a cause (what was wrong and is not any more) and a name".to_owned());
        }
        if self.arming.recover.is_some() {
            return refuse("another recover is under way".to_owned());
        }
        let view = self.parts.page.view(now);
        if !view.is_tripped() {
            return refuse("nothing is tripped".to_owned());
        }
        if let Some(text) = self.obstacle(now) {
            return refuse(text);
        }
        self.notice(now);
        if self.command(CommandKind::Reconcile, ALL_INSTRUMENTS, asked.uid).is_none() {
            return Err(Refusal::new(code::BUSY, "the engine takes no commands at the moment; try again"));
        }
        let wait_ns = asked.deadline_ms.map_or(DEADLINE_NS, |ms| {
            i64::try_from(ms).unwrap_or(i64::MAX).saturating_mul(NS_PER_MS).min(DEADLINE_NS_MAX)
        });
        self.arming.recover = Some(Recover {
            client: asked.client,
            args,
            uid: asked.uid,
            epoch: view.epoch,
            round: self.ask_for_round(),
            marker: marker::look(&self.parts.paths),
            deadline_ns: now.mono_ns + wait_ns,
            stage: Stage::Reconciling,
        });
        Ok(view.epoch)
    }

    /// What stands in the way of arming, and what to do about it.
    fn obstacle(&mut self, now: Now) -> Option<String> {
        let kill_file = self.parts.paths.kill_file();
        if self.config.kill_environment {
            return Some("LIVE_KILL_SWITCH was set at start; unset it and start anew".to_owned());
        }
        if files::may_exist(&kill_file) {
            return Some(format!("the kill file {} is there; remove it first", kill_file.display()));
        }
        if let Err(fault) = self.parts.page.inspect() {
            return Some(format!("{fault}; start the engine anew"));
        }
        if let Some(why) = self.hold() {
            return Some(why);
        }
        if self.parts.watcher.latest().layers.emergency {
            let text = "the emergency stop (L4) is in force; reset it first: interlock layers reset --cause WHY --by YOU";
            return Some(text.to_owned());
        }
        let illness = self.illness(now)?;
        Some(format!("the engine is not well: {}: {}", illness.reason.name(), illness.detail))
    }

    /// Moves an arming on.
    pub(super) fn arm_if_due(&mut self, now: Now) -> usize {
        self.arm_at_start(now);
        let Some(mut recover) = self.arming.recover.take() else { return 0 };
        let view = self.parts.page.view(now);
        if view.epoch != recover.epoch || !view.is_tripped() {
            self.refuse_arming(&recover, "tripped again meanwhile; look at why, then recover again", now);
            return 1;
        }
        if now.mono_ns >= recover.deadline_ns {
            let what = match recover.stage {
                Stage::Reconciling => format!(
                    "our record and the venue's have not been found to agree in time{}",
                    self.unsettled()
                ),
                Stage::Recording(_) => "the journal has not confirmed the record in time".to_owned(),
            };
            self.refuse_arming(&recover, &what, now);
            return 1;
        }
        match &mut recover.stage {
            Stage::Reconciling => {
                let round = match self.round_balanced(recover.round) {
                    Ok(balanced) => balanced,
                    Err(why) => {
                        self.refuse_arming(&recover, &why, now);
                        return 1;
                    }
                };
                if round && self.parts.page.reconciled() >= recover.epoch {
                    return self.record_arming(recover, now);
                }
            }
            Stage::Recording(receipt) => match receipt.poll() {
                None => {}
                Some(Ok(())) => {
                    self.arm(&recover, now);
                    return 1;
                }
                Some(Err(error)) => {
                    self.refuse_arming(&recover, &format!("the journal did not take it: {error}"), now);
                    return 1;
                }
            },
        }
        self.arming.recover = Some(recover);
        0
    }

    fn record_arming(&mut self, mut recover: Recover, now: Now) -> usize {
        let kind = if recover.client.is_some() { ActKind::Recover } else { ActKind::Arm };
        let act = self.act(kind, &recover.args.by, &recover.args.cause, recover.uid);
        match self.parts.recorder.submit(act) {
            Ok(receipt) => {
                recover.stage = Stage::Recording(receipt);
                self.arming.recover = Some(recover);
            }
            Err(error) => {
                self.refuse_arming(&recover, &format!("the journal did not take it: {error}"), now);
            }
        }
        1
    }

    /// Everything holds: lowers the level, if it still is the one that was examined.
    fn arm(&mut self, recover: &Recover, now: Now) {
        if let Some(obstacle) = self.obstacle(now) {
            return self.refuse_arming(recover, &obstacle, now);
        }
        if self.command(CommandKind::Arm, ALL_INSTRUMENTS, recover.uid).is_none() {
            return self.refuse_arming(recover, "the engine takes no commands at the moment; try again", now);
        }
        if marker::look(&self.parts.paths) != recover.marker {
            let why = "another marker was written meanwhile; look at why, then recover again";
            return self.refuse_arming(recover, why, now);
        }
        if !self.parts.page.arm(recover.epoch) {
            // Tripped in this moment: `notice` writes the marker for it.
            return self.refuse_arming(recover, "tripped again meanwhile; look at why", now);
        }
        self.marker_owed = None;
        self.thaw();
        if let Err(error) = marker::remove(&self.parts.paths) {
            let path = self.parts.paths.marker().display().to_string();
            let why = format!("{path} can't be removed: {error}");
            self.trip(now, HaltLevel::RiskOff, Reason::Internal, &why);
            return self.refuse_arming(recover, &why, now);
        }
        let fields = [("cause", json!(recover.args.cause)), ("by", json!(recover.args.by))];
        self.event(now, Level::Warn, "RECOVERED", &fields);
        let what = format!("recovered: {}", recover.args.cause);
        self.remember_act(&recover.args.by, &what, now);
        let epoch = self.parts.page.view(now).epoch;
        self.notice(now);
        if let Some((client, id)) = &recover.client {
            let result = json!({ "armed_ns": now.ns, "cause": recover.args.cause, "by": recover.args.by });
            let line = Answer::ok(id.clone(), epoch, result).at_stage("armed").line();
            self.parts.server.answer(*client, &line, true, now);
        }
    }

    fn refuse_arming(&mut self, recover: &Recover, why: &str, now: Now) {
        self.event(
            now,
            Level::Warn,
            "RECOVER_REFUSED",
            &[("why", json!(why)), ("by", json!(recover.args.by)), ("cause", json!(recover.args.cause))],
        );
        let Some((client, id)) = &recover.client else { return };
        let epoch = self.parts.page.view(now).epoch;
        let refusal = Refusal::new(code::REFUSED, why);
        let line = Answer::refused(id.clone(), epoch, refusal).at_stage("refused").line();
        self.parts.server.answer(*client, &line, true, now);
    }

    /// Arms by itself, once, if that was configured and nothing but the boot itself is the reason of the trip.
    fn arm_at_start(&mut self, now: Now) {
        if self.arming.at_start.is_none()
            || self.arming.recover.is_some()
            || now.mono_ns < self.arming.next_try_ns
        {
            return;
        }
        self.arming.next_try_ns = now.mono_ns + RETRY_NS;
        let (reason, _) = self.parts.page.last_trip();
        let found = marker::look(&self.parts.paths);
        let hindrance = if reason != Reason::Boot {
            Some(format!("tripped by {}", reason.name()))
        } else if found.is_killed() {
            Some(format!("an earlier trip has not been recovered from: {}", found.describe()))
        } else {
            None
        };
        if let Some(why) = hindrance {
            self.arming.at_start = None;
            self.event(now, Level::Warn, "NOT_ARMED_AT_START", &[("why", json!(why))]);
            return;
        }
        if self.obstacle(now).is_some() {
            return; // not well yet: threads and links are only starting
        }
        let Some(args) = self.arming.at_start.clone() else { return };
        let asked = Asked { client: None, uid: None, deadline_ms: Some(60_000) };
        if self.begin_arming(asked, args, now).is_ok() {
            self.arming.at_start = None;
        }
    }
}
