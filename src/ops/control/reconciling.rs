//! The control thread's part in reconciling: it halts on a mismatch, freezes what the mismatch is about, and serves those who ask
//! for a round. The asking of the venue is the reconciler's, on a thread of its own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{Control, Receipt};
use crate::event::CommandKind;
use crate::event::command::ALL_INSTRUMENTS;
use crate::journal::entry::ControlKind as ActKind;
use crate::ops::health::Illness;
use crate::ops::protocol::{self, Answer, ReconcileArgs, Refusal, Request, code};
use crate::ops::reconcile::{Outcome, Report, Reports, Standing};
use crate::ops::socket::{ClientId, Incoming};
use crate::shared::HaltLevel;
use crate::types::time::{NS_PER_MS, NS_PER_S};
use crate::types::{InstrumentId, Now, Reason};

/// How long a round that was asked for may take, unless the request says otherwise.
const DEADLINE_NS: i64 = 30 * NS_PER_S;
/// Requests that wait for a round at once.
const WAITING_MAX: usize = 16;

/// The control thread's ends towards the reconciler.
#[derive(Debug)]
pub struct ReconcileDesk {
    /// Where it stands.
    pub standing: Arc<Standing>,
    /// Each round's report.
    pub reports: Reports,
    /// The lease is not renewed when the last round that balanced is older, nanoseconds.
    pub max_age_ns: i64,
}

/// Someone waits for a round.
#[derive(Debug)]
struct Waiting {
    client: ClientId,
    id: Value,
    /// The round that answers; 0 while the act that allows it is not durable.
    number: u64,
    deadline_ns: i64,
    /// To adopt takes effect only when it is on record.
    adopting: Option<Receipt>,
}

/// What the control thread keeps of it.
#[derive(Debug, Default)]
pub(super) struct Reconciling {
    last: Report,
    waiting: Vec<Waiting>,
    /// Frozen for a mismatch, until somebody recovers from it; all of them for an empty list with `is_frozen`.
    frozen: Vec<InstrumentId>,
    is_frozen: bool,
}

impl Control {
    /// The last round, as status shows it.
    pub(super) fn last_reconcile(&self) -> Option<Report> {
        self.parts.reconcile.as_ref().map(|_| self.reconciling.last.clone())
    }

    /// Takes reports in, and halts on a mismatch.
    pub(super) fn watch_reconcile(&mut self, now: Now) -> usize {
        let mut taken = 0;
        while let Some(report) = self.parts.reconcile.as_mut().and_then(|desk| desk.reports.take()) {
            taken += 1;
            if report.outcome == Outcome::Mismatch {
                let text = report.differences.join("; ");
                self.trip(now, HaltLevel::RiskOff, Reason::ReconcileMismatch, &text);
                self.freeze_for_mismatch(&report.frozen);
            }
            self.reconciling.last = report;
        }
        taken + self.answer_waiting(now)
    }

    fn freeze_for_mismatch(&mut self, instruments: &[InstrumentId]) {
        let all = [ALL_INSTRUMENTS];
        let which = if instruments.is_empty() { &all[..] } else { instruments };
        for &instrument in which {
            if !(self.reconciling.is_frozen && self.reconciling.frozen.contains(&instrument))
                && self.command(CommandKind::Freeze, instrument, None).is_some()
            {
                self.reconciling.frozen.push(instrument);
            }
        }
        self.reconciling.is_frozen = true;
    }

    /// Somebody recovered, with a round that balanced: what was frozen for the mismatch is free again.
    pub(super) fn thaw(&mut self) {
        for instrument in core::mem::take(&mut self.reconciling.frozen) {
            self.command(CommandKind::Unfreeze, instrument, None);
        }
        self.reconciling.is_frozen = false;
    }

    /// Asks for a round, for an arming: its number, or `None` where there is nobody to ask.
    pub(super) fn ask_for_round(&self) -> Option<u64> {
        self.parts.reconcile.as_ref().map(|desk| desk.standing.ask())
    }

    /// Whether a round that was asked for has balanced; why it never will, if that is known.
    pub(super) fn round_balanced(&self, number: Option<u64>) -> Result<bool, String> {
        let (Some(number), Some(desk)) = (number, &self.parts.reconcile) else { return Ok(true) };
        if desk.standing.is_answered(number) && desk.standing.is_open() {
            return Err(format!(
                "our record and the venue's differ: {}. `interlock reconcile` looks again; docs/decisions/reconcile.md says \
                 what to do",
                self.reconciling.last.differences.join("; ")
            ));
        }
        Ok(desk.standing.is_balanced_since(number))
    }

    /// In words, what a reconcile still waits for.
    pub(super) fn unsettled(&self) -> String {
        let last = &self.reconciling.last;
        if last.differences.is_empty() { String::new() } else { format!(": {}", last.differences.join("; ")) }
    }

    /// The lease is not renewed on books that nobody has compared for too long, or that do not agree.
    pub(super) fn reconcile_illness(&self, now: Now) -> Option<Illness> {
        let desk = self.parts.reconcile.as_ref()?;
        if desk.standing.is_open() {
            let text = format!("our record and the venue's differ{}", self.unsettled());
            return Some(Illness::withholds(Reason::ReconcileMismatch, text));
        }
        let at_ns = desk.standing.balanced_mono_ns();
        let age_ns = now.mono_ns.saturating_sub(at_ns);
        // Before the first round nothing is armed: arming asks for one.
        (at_ns != 0 && age_ns > desk.max_age_ns).then(|| {
            let text = format!(
                "the last reconcile that balanced was {} s ago (bound {} s){}",
                age_ns / NS_PER_S,
                desk.max_age_ns / NS_PER_S,
                self.unsettled()
            );
            Illness::withholds(Reason::ReconcileMismatch, text)
        })
    }

    /// `reconcile`: somebody wants a round, or wants the venue's balances taken as right.
    pub(super) fn reconcile_asked(
        &mut self,
        request: Request,
        piece: &Incoming,
        now: Now,
    ) -> Result<Option<Value>, Refusal> {
        let args: ReconcileArgs = protocol::args(&request.args)?;
        let Some(desk) = &self.parts.reconcile else {
            let text = "this mode has no account to reconcile with";
            return Err(Refusal::new(code::REFUSED, text));
        };
        if self.reconciling.waiting.len() >= WAITING_MAX {
            return Err(Refusal::new(code::BUSY, "too many wait for a round already; try again"));
        }
        let wait_ns = request.deadline_ms.map_or(DEADLINE_NS, |ms| {
            i64::try_from(ms)
                .unwrap_or(i64::MAX)
                .saturating_mul(NS_PER_MS)
                .min(super::arming::DEADLINE_NS_MAX)
        });
        let mut waiting = Waiting {
            client: piece.client,
            id: request.id.clone(),
            number: 0,
            deadline_ns: now.mono_ns + wait_ns,
            adopting: None,
        };
        if args.adopt {
            if args.by.trim().is_empty() || args.cause.trim().is_empty() {
                let text =
                    "to adopt the venue's figures needs a cause (where the difference comes from) and a name";
                return Err(Refusal::new(code::REFUSED, text));
            }
            let cause = format!("adopt: {}", args.cause);
            let act = self.act(ActKind::Reconcile, &args.by, &cause, Some(piece.peer.uid));
            let receipt = self.parts.recorder.submit(act).map_err(|error| {
                Refusal::new(code::REFUSED, format!("the journal did not take it: {error}"))
            })?;
            waiting.adopting = Some(receipt);
        } else {
            waiting.number = desk.standing.ask();
        }
        let epoch = self.parts.page.view(now).epoch;
        let line = Answer::ok(request.id, epoch, json!({ "reconciling": true })).at_stage("accepted").line();
        self.parts.server.answer(piece.client, &line, false, now);
        self.reconciling.waiting.push(waiting);
        Ok(None)
    }

    fn answer_waiting(&mut self, now: Now) -> usize {
        let mut answered = 0;
        for mut waiting in core::mem::take(&mut self.reconciling.waiting) {
            match self.next_step(&mut waiting, now) {
                None => self.reconciling.waiting.push(waiting),
                Some(answer) => {
                    self.parts.server.answer(waiting.client, &answer.line(), true, now);
                    answered += 1;
                }
            }
        }
        answered
    }

    /// The last line for someone who waits, if it can be said.
    fn next_step(&mut self, waiting: &mut Waiting, now: Now) -> Option<Answer> {
        let epoch = self.parts.page.view(now).epoch;
        let refused = |id: Value, code: &str, text: String| {
            Answer::refused(id, epoch, Refusal::new(code, text)).at_stage("refused")
        };
        let desk = self.parts.reconcile.as_ref()?;
        if let Some(receipt) = &mut waiting.adopting {
            match receipt.poll() {
                Some(Ok(())) => {
                    waiting.number = desk.standing.ask_to_adopt();
                    waiting.adopting = None;
                }
                Some(Err(error)) => {
                    let text = format!("the journal did not take it: {error}");
                    return Some(refused(waiting.id.clone(), code::REFUSED, text));
                }
                None => {}
            }
        }
        if waiting.number != 0 && desk.standing.is_answered(waiting.number) {
            let result = json!(self.reconciling.last);
            return Some(Answer::ok(waiting.id.clone(), epoch, result).at_stage("reconciled"));
        }
        (now.mono_ns >= waiting.deadline_ns).then(|| {
            let text = format!("the round has not ended in time{}", self.unsettled());
            refused(waiting.id.clone(), code::TIMEOUT, text)
        })
    }
}
