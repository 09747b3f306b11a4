//! The switch of a strategy, the only one: it lifts the circuit breaker (L3) and the repeat throttle's latch (C9) alike, so
//! that nobody who enabled a strategy wonders why it is still silent.
//!
//! Enabling loosens: a named person asks with a cause, the act is durable in the journal, and only then it takes effect, as a
//! command on the line. Disabling restricts: it takes effect at once and is recorded beside.

use serde_json::{Value, json};

use super::{Control, Receipt};
use crate::event::CommandKind;
use crate::event::command::ALL_INSTRUMENTS;
use crate::journal::entry::ControlKind as ActKind;
use crate::ops::events::Level;
use crate::ops::protocol::{Answer, Refusal, StrategyArgs, Verb, code};
use crate::ops::socket::{ClientId, Incoming};
use crate::ops::watch::layers::unique_names;
use crate::types::time::NS_PER_S;
use crate::types::{Now, StrategyId};

/// How long the journal may take.
const DEADLINE_NS: i64 = 10 * NS_PER_S;
/// Acts that wait for the journal at once.
const DEEDS_MAX: usize = 16;

/// An act that waits for the journal.
#[derive(Debug)]
pub(super) struct Deed {
    client: ClientId,
    id: Value,
    strategy: StrategyId,
    args: StrategyArgs,
    uid: u32,
    deadline_ns: i64,
    receipt: Receipt,
}

impl Control {
    /// Enables or disables a strategy. `Ok(None)`: the answer comes later.
    pub(super) fn switch_strategy(
        &mut self,
        verb: Verb,
        id: Value,
        args: StrategyArgs,
        piece: &Incoming,
        now: Now,
    ) -> Result<Option<Value>, Refusal> {
        if args.cause.trim().is_empty() || args.by.trim().is_empty() {
            let text = format!("{} needs a cause and the name of a person: args.cause, args.by", verb.name());
            return Err(Refusal::new(code::REFUSED, text));
        }
        let strategy = self.strategy_of(&args.strategy)?;
        let uid = piece.peer.uid;
        let cause = format!("{} {}: {}", verb.name(), args.strategy, args.cause);
        if verb == Verb::StrategyDisable {
            self.record(now, ActKind::LimitChange, &args.by, &cause, Some(uid));
            return self.take_effect(CommandKind::DisableStrategy, strategy, &args, uid, now).map(Some);
        }
        if self.deeds.len() >= DEEDS_MAX {
            return Err(Refusal::new(code::BUSY, "too many acts wait for the journal; try again"));
        }
        let act = self.act(ActKind::Reset, &args.by, &cause, Some(uid));
        let receipt =
            self.parts.recorder.submit(act).map_err(|error| {
                Refusal::new(code::REFUSED, format!("the journal did not take it: {error}"))
            })?;
        let deadline_ns = now.mono_ns + DEADLINE_NS;
        self.deeds.push(Deed { client: piece.client, id, strategy, args, uid, deadline_ns, receipt });
        Ok(None)
    }

    /// The id of a strategy of this session.
    fn strategy_of(&mut self, name: &str) -> Result<StrategyId, Refusal> {
        let snapshot = self.parts.watcher.latest();
        // The last line is the operator's.
        let lines = &snapshot.strategies[..snapshot.strategies.len().saturating_sub(1)];
        let names = unique_names(&lines.iter().map(|line| line.strategy.clone()).collect::<Vec<_>>());
        let at = names.iter().position(|known| known == name).and_then(|at| u8::try_from(at).ok());
        at.map(StrategyId).ok_or_else(|| {
            let text = format!("args.strategy: {name:?} does not run here; known: {}", names.join(", "));
            Refusal::new(code::BAD_REQUEST, text)
        })
    }

    fn take_effect(
        &mut self,
        kind: CommandKind,
        strategy: StrategyId,
        args: &StrategyArgs,
        uid: u32,
        now: Now,
    ) -> Result<Value, Refusal> {
        let ticket = self.command_on(kind, ALL_INSTRUMENTS, strategy, Some(uid)).ok_or_else(|| {
            Refusal::new(code::BUSY, "the engine takes no commands at the moment; try again")
        })?;
        let name = if kind == CommandKind::EnableStrategy { "STRATEGY_ENABLED" } else { "STRATEGY_DISABLED" };
        let fields = [
            ("strategy", json!(args.strategy)),
            ("by", json!(args.by)),
            ("cause", json!(args.cause)),
            ("uid", json!(uid)),
        ];
        self.event(now, Level::Warn, name, &fields);
        Ok(json!({ "strategy": args.strategy, "queued": true, "ticket": ticket }))
    }

    /// Moves on what waits for the journal.
    pub(super) fn do_deeds(&mut self, now: Now) -> usize {
        let mut done = 0;
        let mut at = 0;
        while at < self.deeds.len() {
            let deed = &mut self.deeds[at];
            let outcome = match deed.receipt.poll() {
                None if now.mono_ns < deed.deadline_ns => {
                    at += 1;
                    continue;
                }
                None => Err("the journal has not confirmed the record in time".to_owned()),
                Some(result) => result.map_err(|error| format!("the journal did not take it: {error}")),
            };
            let deed = self.deeds.swap_remove(at);
            let result = outcome.map_err(|why| Refusal::new(code::REFUSED, why)).and_then(|()| {
                self.take_effect(CommandKind::EnableStrategy, deed.strategy, &deed.args, deed.uid, now)
            });
            let epoch = self.parts.page.view(now).epoch;
            let answer = match result {
                Ok(result) => Answer::ok(deed.id, epoch, result),
                Err(refusal) => Answer::refused(deed.id, epoch, refusal),
            };
            self.parts.server.answer(deed.client, &answer.line(), true, now);
            done += 1;
        }
        done
    }
}
