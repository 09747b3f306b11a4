//! The scribe: writes decisions and results to `rl/shadow_decisions.jsonl`, a sign of life beside it, and in shadow mode a
//! `SHADOW_ORDER` event for each order that would have left. Cold, on a thread of its own, and the last but one to stop, so that
//! what the journal's thread saw at the very end is written too.
//!
//! | `kind` | keys |
//! |---|---|
//! | `decision` | `id`, `strategy`, `symbol`, `side`, `type`, `tif`, `price`, `qty`, `reduce_only`, `bid`, `ask`; what the |
//! | | strategy claimed: `stop`, `gain_centi_bp`, `confidence_bp`; `verdict` and `reason`; `unwritten` (refusals of the |
//! | | same kind since the last line of it); `followed` |
//! | `counterfactual` | `id`, `symbol`, `horizon_s`, `outcome` (`marked`, `unfilled`, `unknown`); if marked `entry`, `mark`, |
//! | | `gross_centi_bp`, `cost_centi_bp`, `net_centi_bp` |
//!
//! Each has `v`, `ts` (RFC 3339), `session` and `mode`; amounts are decimal text, `centi_bp` are hundredths of a basis point of
//! the entry. A followed decision without a counterfactual of a horizon had not come so far when the session ended.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_queue::ArrayQueue;
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::event::Verdict;
use crate::ops::events::{Event, EventSender, Level, open_lines, rfc3339};
use crate::ops::files::{self, Durability};
use crate::ops::paths::Paths;
use crate::types::time::NS_PER_S;
use crate::types::{InstrumentId, InstrumentTable, Now, StrategyId};

use super::collect::{Decided, Line, Tally};
use super::follow::{Outcome, Standing};

/// Lines in one poll.
const LINES_PER_POLL: usize = 256;

/// What every line says of its session.
#[derive(Clone, Debug)]
pub struct About {
    /// The session's name.
    pub session: String,
    /// The mode's name.
    pub mode: String,
    /// Whether orders would have left, had there been a gateway: each is an event then.
    pub is_shadow: bool,
    /// The session's instruments.
    pub table: InstrumentTable,
    /// Strategy names by id.
    pub strategies: Vec<String>,
    /// How often the sign of life is renewed.
    pub heartbeat_ns: i64,
}

/// The scribe.
#[derive(Debug)]
pub struct Scribe {
    about: About,
    file: File,
    heartbeat: PathBuf,
    next_beat_mono_ns: i64,
    lines: Arc<ArrayQueue<Line>>,
    tally: Arc<Tally>,
    events: EventSender,
    is_failure_told: bool,
    text: Vec<u8>,
}

impl Scribe {
    /// Opens the file and makes its folder.
    pub fn open(
        about: About,
        paths: &Paths,
        (lines, tally): (Arc<ArrayQueue<Line>>, Arc<Tally>),
        events: EventSender,
    ) -> io::Result<Self> {
        let path = paths.shadow_decisions();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let file = open_lines(&path)?;
        let heartbeat = paths.shadow_heartbeat();
        let (next_beat_mono_ns, is_failure_told, text) = (i64::MIN, false, Vec::new());
        Ok(Self { about, file, heartbeat, next_beat_mono_ns, lines, tally, events, is_failure_told, text })
    }

    fn write_some(&mut self, most: usize, now: Now) -> usize {
        self.text.clear();
        let mut written: usize = 0;
        while written < most
            && let Some(line) = self.lines.pop()
        {
            let object = match line {
                Line::Decided(decided) => self.decided(&decided),
                Line::Outcome(outcome) => self.outcome(&outcome),
            };
            self.text.extend_from_slice(object.to_string().as_bytes());
            self.text.push(b'\n');
            written += 1;
        }
        if written > 0
            && let Err(error) = self.file.write_all(&self.text)
        {
            for _ in 0..written {
                Tally::one_more(&self.tally.lost);
            }
            if !core::mem::replace(&mut self.is_failure_told, true) {
                let event = Event::new(now.ns, Level::Error, "SHADOW_LOG_FAILED");
                self.events.send(event.with("why", error.to_string()));
            }
        }
        written
    }

    fn symbol(&self, instrument: InstrumentId) -> &str {
        self.about.table.get(instrument).map_or("?", |i| i.symbol.as_str())
    }

    fn strategy(&self, strategy: StrategyId) -> &str {
        if strategy == StrategyId::OPERATOR {
            return "operator";
        }
        self.about.strategies.get(usize::from(strategy.0)).map_or("?", String::as_str)
    }

    fn decided(&self, decided: &Decided) -> Value {
        let approved = decided.verdict == Verdict::Approved;
        let spec = &decided.spec;
        let (symbol, strategy) = (self.symbol(decided.instrument), self.strategy(decided.strategy));
        if approved && self.about.is_shadow {
            let event = Event::new(decided.at_ns, Level::Info, "SHADOW_ORDER")
                .with("id", decided.client.to_string())
                .with("strategy", strategy)
                .with("symbol", symbol)
                .with("side", spec.side.as_str())
                .with("price", spec.price.to_string())
                .with("qty", spec.qty.to_string());
            self.events.send(event);
        }
        json!({
            "v": 1, "kind": "decision", "ts": rfc3339(decided.at_ns), "session": self.about.session,
            "mode": self.about.mode, "id": decided.client.to_string(), "strategy": strategy, "symbol": symbol,
            "side": spec.side.as_str(), "type": spec.order_type.as_str(), "tif": spec.time_in_force.as_str(),
            "price": spec.price, "qty": spec.qty, "reduce_only": decided.reduce_only,
            "bid": decided.bid, "ask": decided.ask, "stop": decided.claim.stop,
            "gain_centi_bp": decided.claim.gain_centi_bp, "confidence_bp": decided.claim.confidence_bp,
            "verdict": if approved { "APPROVED" } else { "REFUSED" }, "reason": decided.reason.name(),
            "unwritten": decided.unwritten, "followed": decided.followed,
        })
    }

    fn outcome(&self, outcome: &Outcome) -> Value {
        let mut object = json!({
            "v": 1, "kind": "counterfactual", "ts": rfc3339(outcome.at_ns), "session": self.about.session,
            "mode": self.about.mode, "id": outcome.client.to_string(), "symbol": self.symbol(outcome.instrument),
            "horizon_s": outcome.horizon_ns / NS_PER_S,
        });
        match outcome.standing {
            Standing::Unfilled => object["outcome"] = json!("unfilled"),
            Standing::Unknown => object["outcome"] = json!("unknown"),
            Standing::Marked { entry, mark, gross_centi_bp, cost_centi_bp } => {
                object["outcome"] = json!("marked");
                object["entry"] = json!(entry);
                object["mark"] = json!(mark);
                object["gross_centi_bp"] = json!(gross_centi_bp);
                object["cost_centi_bp"] = json!(cost_centi_bp);
                object["net_centi_bp"] = json!(gross_centi_bp.saturating_sub(cost_centi_bp));
            }
        }
        object
    }

    /// The sign of life: who, when, how many (R-SHD-1).
    fn beat(&self, now: Now, state: &str) {
        let tally = &self.tally;
        let beat = json!({
            "v": 1, "pid": std::process::id(), "timestamp": rfc3339(now.ns), "session": self.about.session,
            "mode": self.about.mode, "state": state,
            "total_decisions_session": Tally::read(&tally.decisions),
            "approved": Tally::read(&tally.approved), "followed": Tally::read(&tally.followed),
            "unfollowed": Tally::read(&tally.unfollowed), "lost": Tally::read(&tally.lost),
        });
        // A beat that can't be written is a beat that is missing, which is what its reader looks for.
        let _missing = files::replace(&self.heartbeat, beat.to_string().as_bytes(), Durability::Atomic);
    }
}

impl Agent for Scribe {
    fn name(&self) -> &'static str {
        "scribe"
    }

    fn poll(&mut self, now: Now) -> usize {
        if now.mono_ns >= self.next_beat_mono_ns {
            self.next_beat_mono_ns = now.mono_ns.saturating_add(self.about.heartbeat_ns);
            self.beat(now, "running");
        }
        self.write_some(LINES_PER_POLL, now)
    }

    fn on_stop(&mut self, now: Now) {
        while self.write_some(LINES_PER_POLL, now) > 0 {}
        self.beat(now, "stopped");
    }
}
