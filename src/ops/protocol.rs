//! What is said on the control sockets. One JSON object a line, at most [`CONTROL_LINE_BYTES_MAX`] bytes:
//!
//! ```json
//! {"v":1,"id":"7","cmd":"kill.trip","args":{"reason":"drill","by":"me"},"deadline_ms":30000}
//! ```
//!
//! and one line back, with the same `id`, `ok`, the halt `epoch`, and `result` or `error {code, message}`. Only `kill.trip`
//! and `kill.recover` answer twice; their lines carry a `stage` (`tripped`, then `silent` or `timeout`; `accepted`, then
//! `armed`). An unknown field is an error, because a misspelt field that is ignored is a wish that is ignored.
//!
//! One command is exempt from all of that: **a trip is never refused for a bad argument.** [`wants_trip`] looks at raw
//! bytes, so that a line which isn't even JSON still trips if it asks for `kill.trip`. It errs towards tripping.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Version of the protocol.
pub const VERSION: u32 = 1;
pub use crate::limits::CONTROL_LINE_BYTES_MAX;

/// The commands: name, whether the readers' socket has it, what it does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Is anyone there?
    Ping,
    /// The whole status.
    Status,
    /// The kill switch alone.
    KillStatus,
    /// Trip.
    KillTrip,
    /// Arm again.
    KillRecover,
    /// Working orders.
    Orders,
    /// Positions.
    Positions,
    /// Cancel open orders of one symbol, or of all.
    CancelAll,
    /// Close positions of one symbol, or of all, reduce-only.
    Flatten,
    /// No new entries on a symbol, or on all.
    Freeze,
    /// Entries again.
    Unfreeze,
    /// A disabled strategy may enter again: lifts the circuit breaker (L3), the repeat throttle's latch (C9) and a person's own
    /// `strategy.disable` alike.
    StrategyEnable,
    /// A strategy may not enter any more.
    StrategyDisable,
    /// Reset the emergency stop (L4).
    LayersReset,
    /// Compare our record with the venue's now.
    Reconcile,
}

impl Verb {
    /// The table: every command, its name and whether the readers' socket has it.
    pub const ALL: [(Self, &'static str, bool); 15] = [
        (Self::Ping, "ping", true),
        (Self::Status, "status", true),
        (Self::KillStatus, "kill.status", true),
        (Self::KillTrip, "kill.trip", false),
        (Self::KillRecover, "kill.recover", false),
        (Self::Orders, "orders", true),
        (Self::Positions, "positions", true),
        (Self::CancelAll, "cancel-all", false),
        (Self::Flatten, "flatten", false),
        (Self::Freeze, "freeze", false),
        (Self::Unfreeze, "unfreeze", false),
        (Self::StrategyEnable, "strategy.enable", false),
        (Self::StrategyDisable, "strategy.disable", false),
        (Self::LayersReset, "layers.reset", false),
        (Self::Reconcile, "reconcile", false),
    ];

    /// By name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, n, _)| *n == name).map(|&(verb, ..)| verb)
    }
    /// Its name.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(v, ..)| *v == self).map_or("?", |&(_, name, _)| name)
    }
    /// Whether it only reads.
    pub fn only_reads(self) -> bool {
        Self::ALL.iter().any(|&(v, _, reads)| v == self && reads)
    }
}

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Version of the protocol.
    pub v: u32,
    /// The client's name for the request: a string or a number, given back as it came.
    pub id: Value,
    /// The command.
    pub cmd: String,
    /// Its arguments; an empty object if left out.
    #[serde(default = "no_args")]
    pub args: Value,
    /// How long the client will wait for the last line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<u64>,
}

fn no_args() -> Value {
    Value::Object(serde_json::Map::new())
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// One of the codes below.
    pub code: String,
    /// What, where and what to do, in a sentence.
    pub message: String,
}

/// Codes of refusals.
pub mod code {
    /// Not a request of this protocol.
    pub const BAD_REQUEST: &str = "bad_request";
    /// The line is too long.
    pub const TOO_LONG: &str = "too_long";
    /// The peer may not.
    pub const FORBIDDEN: &str = "forbidden";
    /// Not now: the message says what is missing.
    pub const REFUSED: &str = "refused";
    /// The engine can't take it at the moment.
    pub const BUSY: &str = "busy";
    /// It did not end within the deadline.
    pub const TIMEOUT: &str = "timeout";
}

impl Refusal {
    /// A refusal.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
}

/// An answer line.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    /// Version of the protocol.
    pub v: u32,
    /// The request's `id`; null if it could not be read.
    pub id: Value,
    /// Whether it was done.
    pub ok: bool,
    /// Which of several lines this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The halt epoch at the time of the answer.
    pub epoch: u64,
    /// What came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Refusal>,
}

impl Answer {
    /// Done.
    pub fn ok(id: Value, epoch: u64, result: Value) -> Self {
        Self { v: VERSION, id, ok: true, stage: None, epoch, result: Some(result), error: None }
    }
    /// Not done.
    pub fn refused(id: Value, epoch: u64, refusal: Refusal) -> Self {
        Self { v: VERSION, id, ok: false, stage: None, epoch, result: None, error: Some(refusal) }
    }
    /// With the name of the stage.
    pub fn at_stage(mut self, stage: &str) -> Self {
        self.stage = Some(stage.to_owned());
        self
    }
    /// The line, without its end.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// Reads a line.
pub fn parse(line: &[u8]) -> Result<(Verb, Request), (Value, Refusal)> {
    let bad = |id: Value, message: String| (id, Refusal::new(code::BAD_REQUEST, message));
    let request: Request = serde_json::from_slice(line)
        .map_err(|error| bad(id_of(line), format!("the line is not a request: {error}")))?;
    if request.v != VERSION {
        let message = format!("protocol version {} is not spoken here; use {VERSION}", request.v);
        return Err(bad(request.id, message));
    }
    if !request.args.is_object() {
        return Err(bad(request.id, "args must be an object".to_owned()));
    }
    if let Some(verb) = Verb::parse(&request.cmd) {
        return Ok((verb, request));
    }
    let names: Vec<_> = Verb::ALL.iter().map(|(_, name, _)| *name).collect();
    let message = format!("unknown command {:?}; known: {}", request.cmd, names.join(", "));
    Err(bad(request.id, message))
}

/// The `id` of a line that is no sound request, if it is at least JSON with one.
pub fn id_of(line: &[u8]) -> Value {
    let value: Option<Value> = serde_json::from_slice(line).ok();
    value.and_then(|mut v| v.get_mut("id").map(Value::take)).unwrap_or_default()
}

/// Whether a line asks for a trip, sound or not: `"cmd"`, a colon, `"kill.trip"`, with nothing but white space between.
pub fn wants_trip(line: &[u8]) -> bool {
    const KEY: &[u8] = b"\"cmd\"";
    const VALUE: &[u8] = b"\"kill.trip\"";
    let mut rest = line;
    while let Some(at) = find(rest, KEY) {
        rest = &rest[at + KEY.len()..];
        let value = rest.trim_ascii_start().strip_prefix(b":").map(<[u8]>::trim_ascii_start);
        if value.is_some_and(|v| v.starts_with(VALUE)) {
            return true;
        }
    }
    // A bare word, for people with `nc -U`.
    matches!(line.trim_ascii(), b"kill.trip" | b"kill")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

/// Arguments of `kill.trip`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TripArgs {
    /// Why, for the record.
    pub reason: String,
    /// Who, for the record.
    pub by: String,
    /// Close positions too, reduce-only.
    pub flatten: bool,
    /// Whether it is a drill: recorded as such, done as always.
    pub drill: bool,
}

/// Arguments of `kill.recover`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoverArgs {
    /// What was wrong and is not any more.
    pub cause: String,
    /// Who says so.
    pub by: String,
}

/// Arguments of `strategy.enable` and `strategy.disable`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StrategyArgs {
    /// The strategy's name; the second one of a name is `name#2`.
    pub strategy: String,
    /// Why: what was found when it was looked at.
    pub cause: String,
    /// Who says so.
    pub by: String,
}

/// Arguments of `layers.reset`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerArgs {
    /// What was looked at, and why it may go on.
    pub cause: String,
    /// The person who decides.
    pub by: String,
}

/// Arguments of `reconcile`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReconcileArgs {
    /// Take the venue's balances as right. Needs both of the following.
    pub adopt: bool,
    /// Who says so.
    pub by: String,
    /// Where the difference comes from.
    pub cause: String,
}

/// Arguments of the commands that concern one symbol or all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SymbolArgs {
    /// The venue's symbol; all if left out.
    pub symbol: Option<String>,
    /// Why, for the record.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// Who, for the record; the peer's number if left out.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
}

/// Arguments of the commands that have none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoArgs {}

/// Reads a command's arguments.
pub fn args<T: serde::de::DeserializeOwned>(args: &Value) -> Result<T, Refusal> {
    T::deserialize(args).map_err(|error| Refusal::new(code::BAD_REQUEST, format!("args: {error}")))
}
