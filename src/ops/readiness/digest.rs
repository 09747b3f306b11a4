//! What a session came to, folded once from its journal: how long it ran, how many entries the trade gate blocked, what its fills
//! cost against the middle of the quote. The journal is the evidence; the digest of a session that has ended is kept beside the
//! reports, and is made anew whenever it doesn't fit its session.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::event::ledger::{self, Ledger};
use crate::event::{Action, Body, Change, Decision, Record, Verdict};
use crate::journal::entry::Entry;
use crate::journal::reader::{SessionSummary, read_session, sessions};
use crate::ops::files::{self, Durability};
use crate::ops::paths::Paths;
use crate::ops::watch::cost_centi_bp;
use crate::types::{ClientOrderId, Price, Reason};

/// Refusals of the trade gate and of the turnover governor.
const GATED: [Reason; 5] = [
    Reason::TurnoverInterval,
    Reason::TurnoverDaily,
    Reason::TurnoverValue,
    Reason::TurnoverConfidence,
    Reason::Cooldown,
];

/// One session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    /// Version of this object.
    pub v: u32,
    /// The session.
    pub session: String,
    /// Number of its first record: two journals may have sessions of one name.
    pub first_seq: u64,
    /// Its mode.
    pub mode: String,
    /// Nothing that adds risk was written.
    pub dry_run: bool,
    /// When it began, nanoseconds since the epoch.
    pub started_ns: i64,
    /// Time of its last record.
    pub ended_ns: i64,
    /// Whether it ended as sessions should.
    pub ended: bool,
    /// Orders wanted that may add to a position.
    pub entries: u64,
    /// Those that the trade gate or the turnover governor refused.
    pub gated: u64,
    /// The same by reason.
    pub gated_by: BTreeMap<String, u64>,
    /// Intents of any kind that risk judged.
    pub judged: u64,
    /// Those that it refused.
    pub refused: u64,
    /// Fills.
    pub fills: u64,
    /// Fills whose cost could be measured.
    pub measured: u64,
    /// Sum of their costs against the middle of the quote when they were decided, hundredths of a basis point; negative = better.
    pub slippage_centi_bp: i64,
}

/// The fold.
struct Fold {
    digest: Digest,
    quotes: Vec<Option<(Price, Price)>>,
    orders: Ledger<Option<Price>>,
    /// Entries that were wanted and not judged yet.
    wanted: Vec<ClientOrderId>,
}

impl Fold {
    fn take(&mut self, record: &Record) {
        match record {
            Record::Fact(fact) => match &fact.body {
                Body::Quote(quote) => {
                    if let Some(slot) = self.quotes.get_mut(quote.instrument.index()) {
                        *slot = Some((quote.bid.price, quote.ask.price));
                    }
                }
                Body::Order(update) => {
                    if let Some(Ok(change)) = self.orders.on_update(update) {
                        self.changed(&change);
                    }
                }
                Body::Reply(reply) => {
                    if let Some(change) = self.orders.on_reply(reply) {
                        self.changed(&change);
                    }
                }
                _ => {}
            },
            Record::Intent(intent) => {
                let (Action::Place(spec) | Action::Replace { spec, .. }) = &intent.action else { return };
                let middle = self.quotes.get(intent.instrument.index()).copied().flatten().and_then(middle);
                let order = ledger::tracked(intent.client, intent.instrument, intent.strategy, spec, middle);
                // A full ledger measures nothing; it refuses nothing either.
                let _entered = self.orders.enter(order).is_ok();
                if !intent.reduce_only {
                    self.wanted.push(intent.client);
                }
            }
            Record::Decision(decision) => self.judged(decision),
            Record::Sent(_) | Record::Note(_) => {}
        }
    }

    fn judged(&mut self, decision: &Decision) {
        let refused = decision.verdict == Verdict::Refused;
        self.digest.judged += 1;
        self.digest.refused += u64::from(refused);
        // Judged in the order in which they were raised, so the first one is nearly always it.
        if let Some(at) = self.wanted.iter().position(|client| *client == decision.client) {
            self.wanted.remove(at);
            self.digest.entries += 1;
            if refused && GATED.contains(&decision.reason) {
                self.digest.gated += 1;
                *self.digest.gated_by.entry(decision.reason.name().to_owned()).or_default() += 1;
            }
        }
    }

    fn changed(&mut self, change: &Change) {
        let Some(fill) = change.fill.filter(|fill| !fill.qty.is_zero()) else { return };
        self.digest.fills += 1;
        let Some(reference) = self.orders.get(change.client).and_then(|order| order.extra) else { return };
        self.digest.measured += 1;
        let cost = cost_centi_bp(&fill, reference);
        self.digest.slippage_centi_bp = self.digest.slippage_centi_bp.saturating_add(cost);
    }
}

fn middle((bid, ask): (Price, Price)) -> Option<Price> {
    (bid > Price::ZERO && ask >= bid).then(|| bid.midpoint(ask))
}

fn fold(dir: &Path, summary: &SessionSummary, is_last: bool) -> Result<Digest, String> {
    let header = &summary.header;
    let broken = |error: String| format!("session {}: {error}", header.session);
    let mut fold = Fold {
        digest: Digest {
            v: 1,
            session: header.session.clone(),
            first_seq: summary.first_seq,
            mode: header.mode.clone(),
            dry_run: header.notes.get("dry_run").is_some_and(|v| v == true),
            started_ns: summary.started_ns,
            ended_ns: summary.started_ns,
            ..Digest::default()
        },
        quotes: vec![None; header.instruments.len()],
        orders: Ledger::default(),
        wanted: Vec::new(),
    };
    let (_, reader) = read_session(dir, &header.session).map_err(|error| broken(error.to_string()))?;
    for item in reader {
        match item {
            Ok(item) => {
                fold.digest.ended_ns = fold.digest.ended_ns.max(item.wall_ns);
                match &item.entry {
                    Entry::Record(record) => fold.take(record),
                    Entry::End(end) => fold.digest.ended = end.session == header.session,
                    _ => {}
                }
            }
            // The end of a session that is being written, or that a crash cut short.
            Err(_) if is_last => break,
            Err(error) => return Err(broken(error.to_string())),
        }
    }
    Ok(fold.digest)
}

/// The digests of a data directory's sessions of one mode, oldest first. `keep` is the data directory that keeps those that are
/// final. Sessions of other modes are not read: the one that asks may be among them, and long.
pub fn digests(of: &Paths, mode: &str, keep: &Paths) -> Result<Vec<Digest>, String> {
    let dir = of.data.join("journal");
    if !files::may_exist(&dir) {
        return Ok(Vec::new());
    }
    let all = sessions(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let mut found = Vec::new();
    for (at, summary) in all.iter().enumerate() {
        let is_last = at + 1 == all.len();
        if summary.header.mode != mode {
            continue;
        }
        let place = kept_at(keep, &summary.header.session);
        if let Some(kept) = kept(&place, summary) {
            found.push(kept);
            continue;
        }
        let digest = fold(&dir, summary, is_last)?;
        if digest.ended || !is_last {
            keep_digest(&place, &digest);
        }
        found.push(digest);
    }
    Ok(found)
}

fn kept_at(keep: &Paths, session: &str) -> PathBuf {
    keep.data.join("reports").join("sessions").join(format!("{session}.json"))
}

fn kept(place: &Path, summary: &SessionSummary) -> Option<Digest> {
    let digest: Digest = serde_json::from_slice(&std::fs::read(place).ok()?).ok()?;
    let fits = digest.v == 1
        && digest.session == summary.header.session
        && digest.first_seq == summary.first_seq
        && digest.started_ns == summary.started_ns;
    fits.then_some(digest)
}

/// Best effort: what isn't kept is folded again.
fn keep_digest(place: &Path, digest: &Digest) {
    let Some(folder) = place.parent() else { return };
    if std::fs::create_dir_all(folder).is_ok()
        && let Ok(bytes) = serde_json::to_vec_pretty(digest)
    {
        drop(files::replace(place, &bytes, Durability::Atomic));
    }
}
