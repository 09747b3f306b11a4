//! Faults on demand: what goes wrong, how often, how many times; seeded, so that a run can be repeated, and counted, so that a
//! test can prove that the fault which it is about really happened.
//!
//! Pure: this file decides, the server does. A plan comes from a TOML file (`--faults`) or, at run time, as JSON.

use std::collections::BTreeMap;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $class:ident;)*) => {
        /// What goes wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FaultKind { $($(#[$doc])* $name,)* }
        impl FaultKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];
            /// Its name in plans and counts.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
            const fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

/// What gives a fault the opportunity to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    /// A market message to one connection.
    Market,
    /// A REST request.
    Rest,
    /// An order request, before it reaches the engine.
    BeforeOrder,
    /// An order request that the engine has accepted.
    AfterOrder,
    /// An event of the account to whoever listens.
    Private,
    /// A tenth of a second.
    Timed,
}

kinds! {
    /// A market message is not sent.
    Drop = "drop", Market;
    /// A market message, and all behind it, waits `delay_ms`.
    Delay = "delay", Market;
    /// A market message is sent twice.
    Duplicate = "duplicate", Market;
    /// A market message is sent after its successor.
    Reorder = "reorder", Market;
    /// A market message is cut.
    Truncate = "truncate", Market;
    /// Bytes of a market message are replaced.
    Garbage = "garbage", Market;
    /// A market message comes in a frame that no client may accept.
    BadFrame = "bad_frame", Market;
    /// REST answers 429.
    Rest429 = "rest429", Rest;
    /// REST answers 418.
    Rest418 = "rest418", Rest;
    /// REST answers 500 without having done anything.
    Rest500 = "rest500", Rest;
    /// An order request is refused with `code` and `msg`.
    Reject = "reject", BeforeOrder;
    /// An order request is carried out and answered 503, code -1007.
    UnknownAfterAccept = "unknown_after_accept", AfterOrder;
    /// An order request is carried out and never answered.
    SilentAfterAccept = "silent_after_accept", AfterOrder;
    /// An event of the account (an execution, a position) reaches nobody, and the connections stay up.
    DropPrivate = "drop_private", Private;
    /// Connections of `target` end without a word.
    Disconnect = "disconnect", Timed;
    /// Market connections fall silent for `duration_ms`; sockets stay up and pings are answered.
    Stall = "stall", Timed;
    /// The venue announces that it will shut down.
    ServerShutdown = "server_shutdown", Timed;
}

/// Which connections a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// All WebSocket connections.
    #[default]
    All,
    /// Market streams.
    Streams,
    /// The WebSocket API.
    WsApi,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Once in so many opportunities, at random; 1 = at every one.
    #[serde(default = "one")]
    pub one_in: u32,
    /// Not more often than this; no bound when absent (for timed kinds: once).
    #[serde(default)]
    pub count: Option<u32>,
    /// Opportunities to let pass first.
    #[serde(default)]
    pub skip: u32,
    /// Not before this long, by the venue's clock, after the plan was put in force.
    #[serde(default)]
    pub after_ms: u64,
    /// Only streams whose name contains this, only order methods whose name contains this.
    #[serde(default)]
    pub only: Option<String>,
    /// For `disconnect`.
    #[serde(default)]
    pub target: Target,
    /// For `delay`.
    #[serde(default = "hundred")]
    pub delay_ms: u64,
    /// For `stall`.
    #[serde(default = "thousand")]
    pub duration_ms: u64,
    /// For `reject`.
    #[serde(default = "reject_code")]
    pub code: i32,
    /// For `reject`.
    #[serde(default = "reject_msg")]
    pub msg: String,
}

const fn one() -> u32 {
    1
}
const fn hundred() -> u64 {
    100
}
const fn thousand() -> u64 {
    1_000
}
const fn reject_code() -> i32 {
    -1008
}
fn reject_msg() -> String {
    "Server is currently overloaded with other requests. Please try again in a few minutes.".to_owned()
}

impl Fault {
    /// A fault at every opportunity.
    pub fn always(kind: FaultKind) -> Self {
        Self {
            kind,
            one_in: one(),
            count: None,
            skip: 0,
            after_ms: 0,
            only: None,
            target: Target::All,
            delay_ms: hundred(),
            duration_ms: thousand(),
            code: reject_code(),
            msg: reject_msg(),
        }
    }
    /// The same, at most `count` times.
    pub fn times(mut self, count: u32) -> Self {
        self.count = Some(count);
        self
    }
}

/// A plan of faults.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FaultPlan {
    /// Seed of the chances.
    #[serde(default)]
    pub seed: u64,
    /// The faults.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
}

/// Why a plan is not one.
#[derive(Debug, thiserror::Error)]
pub enum FaultPlanError {
    /// Not TOML, an unknown key, a value of the wrong type.
    #[error("fault plan: {0}")]
    Toml(#[from] toml::de::Error),
    /// Not JSON, an unknown key, a value of the wrong type.
    #[error("fault plan: {0}")]
    Json(#[from] serde_json::Error),
    /// A figure that makes no sense.
    #[error("fault plan: {kind}: one_in must be at least 1")]
    OneInZero {
        /// Of which fault.
        kind: &'static str,
    },
}

impl FaultPlan {
    /// From a file's text.
    pub fn from_toml(text: &str) -> Result<Self, FaultPlanError> {
        toml::from_str::<Self>(text)?.checked()
    }
    /// From a control request.
    pub fn from_json(text: &[u8]) -> Result<Self, FaultPlanError> {
        serde_json::from_slice::<Self>(text)?.checked()
    }
    fn checked(self) -> Result<Self, FaultPlanError> {
        match self.faults.iter().find(|f| f.one_in == 0) {
            Some(f) => Err(FaultPlanError::OneInZero { kind: f.kind.name() }),
            None => Ok(self),
        }
    }
}

/// What becomes of a market message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarketAction {
    /// Sent as it is.
    Send,
    /// Not sent.
    Drop,
    /// Sent later, with all behind it.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// Sent twice.
    Duplicate,
    /// Sent after its successor.
    Reorder,
    /// Only this many bytes of it are sent.
    Truncate {
        /// How many.
        keep: usize,
    },
    /// `length` bytes from `at` are replaced.
    Garbage {
        /// Where.
        at: usize,
        /// How many.
        length: usize,
    },
    /// Sent in a frame with a reserved opcode.
    BadFrame,
}

struct Armed {
    fault: Fault,
    since_ns: i64,
    seen: u32,
    fired: u32,
}

/// Decides.
pub struct FaultEngine {
    rng: SmallRng,
    armed: Vec<Armed>,
    counts: BTreeMap<&'static str, u64>,
}

impl std::fmt::Debug for FaultEngine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FaultEngine").field("counts", &self.counts).finish_non_exhaustive()
    }
}

impl FaultEngine {
    /// Puts a plan in force.
    pub fn new(plan: FaultPlan, now_ns: i64) -> Self {
        let mut engine = Self { rng: SmallRng::seed_from_u64(0), armed: Vec::new(), counts: BTreeMap::new() };
        engine.replace(plan, now_ns);
        engine
    }

    /// Puts another plan in force; counts go on.
    pub fn replace(&mut self, plan: FaultPlan, now_ns: i64) {
        self.rng = SmallRng::seed_from_u64(plan.seed);
        let arm = |fault| Armed { fault, since_ns: now_ns, seen: 0, fired: 0 };
        self.armed = plan.faults.into_iter().map(arm).collect();
    }

    /// How often each kind has happened.
    pub fn counts(&self) -> &BTreeMap<&'static str, u64> {
        &self.counts
    }

    fn fire(&mut self, class: Class, name: &str, now_ns: i64) -> Option<Fault> {
        for armed in &mut self.armed {
            let fault = &armed.fault;
            let bound = fault.count.or((fault.kind.class() == Class::Timed).then_some(1));
            let due = armed.since_ns.saturating_add_unsigned(fault.after_ms.saturating_mul(1_000_000));
            if fault.kind.class() != class
                || bound.is_some_and(|max| armed.fired >= max)
                || now_ns < due
                || fault.only.as_ref().is_some_and(|only| !name.contains(only.as_str()))
            {
                continue;
            }
            armed.seen = armed.seen.saturating_add(1);
            if armed.seen <= fault.skip || !self.rng.random_ratio(1, fault.one_in) {
                continue;
            }
            armed.fired += 1;
            *self.counts.entry(fault.kind.name()).or_default() += 1;
            return Some(fault.clone());
        }
        None
    }

    /// What becomes of a market message of `len` bytes to one connection.
    pub fn market(&mut self, stream: &str, len: usize, now_ns: i64) -> MarketAction {
        if self.armed.is_empty() {
            return MarketAction::Send;
        }
        let Some(fault) = self.fire(Class::Market, stream, now_ns) else { return MarketAction::Send };
        match fault.kind {
            FaultKind::Drop => MarketAction::Drop,
            FaultKind::Delay => MarketAction::Delay { ms: fault.delay_ms },
            FaultKind::Duplicate => MarketAction::Duplicate,
            FaultKind::Reorder => MarketAction::Reorder,
            FaultKind::Truncate => MarketAction::Truncate { keep: self.rng.random_range(0..len.max(1)) },
            FaultKind::Garbage => {
                let at = self.rng.random_range(0..len.max(1));
                MarketAction::Garbage { at, length: self.rng.random_range(1..=16).min(len - at.min(len)) }
            }
            _ => MarketAction::BadFrame,
        }
    }

    /// What goes wrong with a REST request before it is looked at.
    pub fn rest(&mut self, path: &str, now_ns: i64) -> Option<FaultKind> {
        self.fire(Class::Rest, path, now_ns).map(|f| f.kind)
    }

    /// Whether an order request is refused, and how.
    pub fn before_order(&mut self, method: &str, now_ns: i64) -> Option<(i32, String)> {
        self.fire(Class::BeforeOrder, method, now_ns).map(|f| (f.code, f.msg))
    }

    /// What goes wrong with the answer to an order request that was carried out.
    pub fn after_order(&mut self, method: &str, now_ns: i64) -> Option<FaultKind> {
        self.fire(Class::AfterOrder, method, now_ns).map(|f| f.kind)
    }

    /// Whether an event of the account reaches nobody.
    pub fn private(&mut self, event: &str, now_ns: i64) -> bool {
        !self.armed.is_empty() && self.fire(Class::Private, event, now_ns).is_some()
    }

    /// What happens by itself: ask ten times a second until it says `None`.
    pub fn timed(&mut self, now_ns: i64) -> Option<Fault> {
        self.fire(Class::Timed, "", now_ns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_says_what_is_wrong_with_it() {
        let plan = "seed = 3\n[[fault]]\nkind = \"drop\"\none_in = 10\nonly = \"depth\"\n";
        let plan = FaultPlan::from_toml(plan).unwrap();
        assert_eq!((plan.seed, plan.faults[0].kind, plan.faults[0].one_in), (3, FaultKind::Drop, 10));
        let error = FaultPlan::from_toml("[[fault]]\nkind = \"drpo\"\n").unwrap_err().to_string();
        assert!(error.contains("drpo"), "{error}");
        let error = FaultPlan::from_toml("[[fault]]\nkind = \"drop\"\nonein = 1\n").unwrap_err().to_string();
        assert!(error.contains("onein"), "{error}");
        assert!(FaultPlan::from_json(br#"{"fault":[{"kind":"reject","one_in":0}]}"#).is_err());
        for kind in FaultKind::ALL {
            let text = format!("[[fault]]\nkind = \"{}\"\n", kind.name());
            assert_eq!(FaultPlan::from_toml(&text).unwrap().faults[0].kind, *kind, "{text}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_faults_and_counts_them() {
        let plan = FaultPlan { seed: 9, faults: vec![Fault { one_in: 5, ..Fault::always(FaultKind::Drop) }] };
        let run = |plan: &FaultPlan| -> (Vec<bool>, u64) {
            let mut engine = FaultEngine::new(plan.clone(), 0);
            let hits = (0..1_000).map(|i| engine.market("s", 10, i) != MarketAction::Send).collect();
            (hits, engine.counts().get("drop").copied().unwrap_or(0))
        };
        let (hits, counted) = run(&plan);
        assert_eq!(run(&plan), (hits.clone(), counted));
        assert_eq!(hits.iter().filter(|h| **h).count() as u64, counted);
        assert!((100..300).contains(&counted), "{counted}");
    }

    #[test]
    fn bounds_of_a_fault_hold() {
        let fault = Fault {
            skip: 2,
            after_ms: 1,
            only: Some("depth".into()),
            ..Fault::always(FaultKind::Truncate).times(1)
        };
        let mut engine = FaultEngine::new(FaultPlan { seed: 1, faults: vec![fault] }, 0);
        assert_eq!(engine.market("btcusdt@depth", 9, 999_999), MarketAction::Send, "too early");
        assert_eq!(engine.market("btcusdt@trade", 9, 2_000_000), MarketAction::Send, "another stream");
        assert_eq!(engine.market("btcusdt@depth", 9, 2_000_000), MarketAction::Send, "skipped");
        assert_eq!(engine.market("btcusdt@depth", 9, 2_000_000), MarketAction::Send, "skipped");
        assert!(matches!(
            engine.market("btcusdt@depth", 9, 2_000_000),
            MarketAction::Truncate { keep: 0..9 }
        ));
        assert_eq!(engine.market("btcusdt@depth", 9, 2_000_000), MarketAction::Send, "counted out");
        let mut timed =
            FaultEngine::new(FaultPlan { seed: 1, faults: vec![Fault::always(FaultKind::Stall)] }, 0);
        assert!(timed.timed(0).is_some() && timed.timed(0).is_none());
        assert_eq!(timed.before_order("order.place", 0), None);
    }
}
