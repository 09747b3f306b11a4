//! Readiness for live (R-RDY-1, R-RDY-2): `GO`, `CONDITIONAL` or `NO_GO`, computed from the evidence by one table of conditions.
//!
//! What it refuses: to count a condition as met whose evidence is missing, old or unreadable. `GO` is the absence of every
//! objection, never the absence of data.

mod config;
mod digest;
mod events;
mod layers;
mod paper;
pub mod serve;
mod signs;
mod table;
mod watch;

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::{Map, Value, json};

pub use config::{ReadinessSection, TripsAt};
pub use digest::{Digest, digests};
pub use layers::preservation_level;
pub use signs::{PAPER, Signs, Sources, stops};
pub use table::{CONDITIONS, Condition};
pub use watch::{Eye, Judge, Watch};

/// The CRITICAL event of a live start without GO, and of a live session that loses it. It follows from the evidence and is none
/// itself: if it counted as an alert, a start that came too early would forbid the next one for two weeks.
pub const NOT_GO: &str = "READINESS_NOT_GO";

/// How ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Verdict {
    /// All criteria are met.
    #[serde(rename = "GO")]
    Go,
    /// Minor issues; not enough for live.
    #[serde(rename = "CONDITIONAL")]
    Conditional,
    /// Not under any circumstances.
    #[serde(rename = "NO_GO")]
    NoGo,
}

impl Verdict {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Go => "GO",
            Self::Conditional => "CONDITIONAL",
            Self::NoGo => "NO_GO",
        }
    }
}

/// What one condition found.
#[derive(Clone, Debug)]
pub struct Component {
    /// Which.
    pub condition: &'static Condition,
    /// What was found; `Err` if it is not met or can't be told.
    pub finding: Result<String, String>,
}

/// The whole answer.
#[derive(Clone, Debug)]
pub struct Readiness {
    /// Whether the system is well today.
    pub overall: Verdict,
    /// Whether it may go live.
    pub live_rollout: Verdict,
    /// In the table's order, each condition once.
    pub components: Vec<Component>,
}

/// Judges what was gathered.
pub fn assess(signs: &Signs) -> Readiness {
    let components: Vec<_> = CONDITIONS
        .iter()
        .map(|condition| Component { condition, finding: (condition.check)(signs) })
        .collect();
    let worst = |concerns: fn(&Condition) -> bool| {
        let unmet = components.iter().filter(|c| c.finding.is_err() && concerns(c.condition));
        unmet.map(|c| c.condition.otherwise).max().unwrap_or(Verdict::Go)
    };
    Readiness { overall: worst(|c| c.overall), live_rollout: worst(|_| true), components }
}

impl Readiness {
    fn unmet(&self) -> impl Iterator<Item = &Component> {
        self.components.iter().filter(|c| c.finding.is_err())
    }

    /// Why it is not GO.
    pub fn reasons(&self) -> Vec<String> {
        self.unmet().filter_map(|c| c.finding.clone().err()).collect()
    }

    /// The documented object of `GET /health/readiness` and of `interlock ready -o json`.
    pub fn to_json(&self, at: &str) -> Value {
        let go = self.live_rollout == Verdict::Go;
        let reasons = if go { vec!["All live rollout criteria met".to_owned()] } else { self.reasons() };
        let actions: Vec<_> = if go {
            vec!["System ready for live rollout"]
        } else {
            self.unmet().map(|c| c.condition.action).collect()
        };
        let components: Map<String, Value> = self
            .components
            .iter()
            .map(|c| {
                let (status, text) = match &c.finding {
                    Ok(text) => (Verdict::Go, text),
                    Err(text) => (c.condition.otherwise, text),
                };
                (c.condition.name.to_owned(), json!({ "status": status, "found": text }))
            })
            .collect();
        json!({
            "v": 1, "at": at, "overall_readiness": self.overall, "live_rollout_readiness": self.live_rollout,
            "live_rollout_reasons": reasons, "live_rollout_next_actions": actions, "components": components,
        })
    }

    /// For people.
    pub fn render(&self) -> String {
        let mut out = format!("overall {}   live rollout {}", self.overall.name(), self.live_rollout.name());
        for c in &self.components {
            let (mark, text) = match &c.finding {
                Ok(text) => (Verdict::Go, text),
                Err(text) => (c.condition.otherwise, text),
            };
            let _written = write!(out, "\n  {:<12} {:<22} {text}", mark.name(), c.condition.name);
        }
        for c in self.unmet() {
            let _written = write!(out, "\n-> {}: {}", c.condition.name, c.condition.action);
        }
        out
    }
}
