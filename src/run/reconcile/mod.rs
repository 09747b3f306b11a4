//! The reconciler: a cold agent that asks the venue, compares, puts what it found onto the line as facts, and says what does
//! not agree. The comparison itself is `ops::reconcile`'s; the rules are in `docs/decisions/reconcile.md`.
//!
//! Its thread may block on the network for as long as it likes: nothing hot waits for it, and arming waits with a deadline.

mod adopt;
mod boot;
mod round;
mod source;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rtrb::Producer;
use serde_json::json;

use crate::agent::clock::sleep;
use crate::agent::{Agent, Clock, StopFlag, ring};
use crate::event::Body;
use crate::journal::entry::{Control as Act, ControlKind};
use crate::ops::control::Recorder;
use crate::ops::events::{Event, EventSender, Level};
use crate::ops::reconcile::books::{TradeKey, Wanted};
use crate::ops::reconcile::carry::Image;
use crate::ops::reconcile::{BooksDesk, BooksView, Footing, Outcome, Report, Standing};
use crate::types::time::NS_PER_S;
use crate::types::{ClientOrderId, InstrumentTable, Now, VenueOrderId};

pub use boot::{Boot, ground};
pub use round::Rules;
pub use source::{RestSource, Source};

/// How long the journal's thread may take to say what the books come to.
const VIEW_WITHIN_NS: i64 = 2 * NS_PER_S;
/// How often it is looked whether it has, and whether the line has taken a fact.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// After a round that said nothing, the next one comes this soon.
const RETRY_NS: i64 = NS_PER_S;

/// What the reconciler is made of.
pub struct ReconcilerParts {
    /// Whom it asks; without an account (paper), the fill model's own word on the line is compared with the fills.
    pub source: Option<Box<dyn Source>>,
    /// What the record comes to.
    pub books: BooksDesk,
    /// Where it tells how it stands.
    pub standing: Arc<Standing>,
    /// Where each round's report goes.
    pub reports: Producer<Report>,
    /// What it found, onto the line.
    pub found: ring::Producer<Body>,
    /// For the record of rounds.
    pub journal: Box<dyn Recorder>,
    /// For people.
    pub events: EventSender,
    /// The session's instruments.
    pub table: InstrumentTable,
    /// The session's strategies, by number.
    pub strategies: Vec<String>,
    /// What earlier sessions leave.
    pub ground: Footing,
    /// The choices of the configuration.
    pub rules: Rules,
    /// The engine's clock.
    pub clock: Clock,
    /// Ends a round early.
    pub stop: StopFlag,
}

impl std::fmt::Debug for ReconcilerParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ReconcilerParts").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// The agent.
#[derive(Debug)]
pub struct Reconciler {
    parts: ReconcilerParts,
    /// Monotonic time of the next round that nobody asks for.
    due_ns: i64,
    answered: u64,
    views_asked: u64,
    foreign_told: BTreeSet<VenueOrderId>,
    adopted_told: BTreeSet<ClientOrderId>,
    /// Trades that the fold is to strike with the next view.
    struck: Vec<TradeKey>,
    /// Correcting orders that were made up in this session.
    corrections: u64,
    /// The last record of a balanced round, but for its point in the journal: what has not changed is not written again.
    recorded: Option<Image>,
}

impl Reconciler {
    /// The first round begins with the first poll.
    pub fn new(mut parts: ReconcilerParts) -> Self {
        parts.standing.ask();
        parts.ground.begin(parts.table.all().len());
        Self {
            parts,
            due_ns: 0,
            answered: 0,
            views_asked: 0,
            foreign_told: BTreeSet::new(),
            adopted_told: BTreeSet::new(),
            struck: Vec::new(),
            corrections: 0,
            recorded: None,
        }
    }

    fn event(&self, level: Level, name: &'static str, fields: &[(&str, serde_json::Value)]) {
        let mut event = Event::new(self.parts.clock.now().ns, level, name);
        for (key, value) in fields {
            event = event.with(key, value.clone());
        }
        self.parts.events.send(event);
    }

    /// What the record comes to, seen after now.
    fn view(&mut self) -> Result<BooksView, String> {
        self.views_asked += 1;
        let number = self.views_asked;
        let struck = core::mem::take(&mut self.struck);
        let wanted = Wanted { number, agreed: self.parts.ground.next_trade.clone(), struck };
        let deadline_ns = self.parts.clock.mono_ns() + VIEW_WITHIN_NS;
        let mut pending = Some(wanted);
        while !self.parts.stop.is_stopped() && self.parts.clock.mono_ns() < deadline_ns {
            if let Some(wanted) = pending.take()
                && let Err(rtrb::PushError::Full(back)) = self.parts.books.wanted.push(wanted)
            {
                pending = Some(back);
            }
            while let Ok(view) = self.parts.books.views.pop() {
                if view.number == number {
                    return Ok(view);
                }
            }
            sleep(LOOK_EVERY);
        }
        if let Some(never_asked) = pending {
            self.struck = never_asked.struck;
        }
        Err("the journal's thread does not say what the record comes to".to_owned())
    }

    /// Puts a fact onto the line; waits for room, since a fill that is left out is a fill that is forgotten.
    fn tell(&mut self, body: Body) {
        while self.parts.found.push(body).is_err() {
            if self.parts.stop.is_stopped() || self.parts.found.is_abandoned() {
                return;
            }
            sleep(LOOK_EVERY);
        }
    }

    /// Records a round that balanced, with the figures from which a later boot goes on.
    fn record(&mut self, view: &BooksView, report: &Report) {
        let Self { parts, .. } = self;
        let image = Image::of(view, &parts.ground, &parts.table, &parts.strategies);
        if self.recorded.as_ref().is_some_and(|last| last.says_the_same(&image)) {
            return;
        }
        let act = Act {
            kind: ControlKind::Reconcile,
            who: "reconcile".to_owned(),
            cause: format!("balanced after {} attempts", report.attempts),
            uid: None,
            halt_epoch: 0,
            details: image.details(),
        };
        // Not waited for: if it is lost, a boot folds a little more.
        if self.parts.journal.submit(act).is_ok() {
            self.recorded = Some(image);
        }
    }

    fn finish(&mut self, number: u64, report: Report, began_mono_ns: i64) {
        let parts = &mut self.parts;
        let now = parts.clock.now();
        let report = Report { at_ns: now.ns, took_us: (now.mono_ns - began_mono_ns) / 1_000, ..report };
        parts.standing.ended(number, report.outcome, now.mono_ns);
        // The control thread lags: it sees the next one.
        let _missed = parts.reports.push(report).is_err();
        self.answered = number;
    }
}

impl Agent for Reconciler {
    fn name(&self) -> &'static str {
        "reconcile"
    }

    /// One round, if one is due; may block on the network.
    fn poll(&mut self, now: Now) -> usize {
        let number = self.parts.standing.asked();
        if number == self.answered && now.mono_ns < self.due_ns {
            return 0;
        }
        let report = self.round();
        if self.parts.stop.is_stopped() {
            return 0;
        }
        let pause_ns = match report.outcome {
            Outcome::Balanced | Outcome::Mismatch => self.parts.rules.every_ns,
            Outcome::None | Outcome::Unknown | Outcome::Moving => RETRY_NS,
        };
        self.due_ns = self.parts.clock.mono_ns() + pause_ns;
        if matches!(report.outcome, Outcome::Unknown | Outcome::Moving) {
            let fields = [("outcome", json!(report.outcome)), ("why", json!(report.differences))];
            self.event(Level::Warn, "RECONCILE_INCOMPLETE", &fields);
        }
        self.finish(number, report, now.mono_ns);
        1
    }
}

/// How long to wait before everything is asked again.
const fn pause_ms(attempt: u32) -> u64 {
    let ms = 20_u64 << if attempt < 5 { attempt } else { 5 };
    if ms < 500 { ms } else { 500 }
}
