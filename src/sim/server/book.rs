//! The book of a recording: its snapshot and the diffs since, as the venue had it.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::market_json::{self, Best};
use crate::sim::recording::{Snapshot, levels};
use crate::types::{Level, Price, Qty};

/// Level changes of a recorded `depthUpdate`.
#[derive(Debug)]
pub(super) struct RecordedDiff {
    /// First update id.
    pub(super) first: u64,
    /// Last update id.
    pub(super) last: u64,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

#[derive(Deserialize)]
struct DiffText<'a> {
    #[serde(rename = "U")]
    first: u64,
    u: u64,
    #[serde(borrow)]
    b: Vec<(&'a str, &'a str)>,
    #[serde(borrow)]
    a: Vec<(&'a str, &'a str)>,
}

impl RecordedDiff {
    /// From the `data` of a stream message.
    pub(super) fn parse(data: &str) -> Result<Self, String> {
        let raw: DiffText<'_> = serde_json::from_str(data).map_err(|e| format!("depth update: {e}"))?;
        Ok(Self { first: raw.first, last: raw.u, bids: levels(&raw.b)?, asks: levels(&raw.a)? })
    }
}

/// The book.
#[derive(Debug)]
pub(super) struct RecordedBook {
    last_update_id: u64,
    bids: BTreeMap<Price, Qty>,
    asks: BTreeMap<Price, Qty>,
}

fn put(side: &mut BTreeMap<Price, Qty>, level: Level) {
    if level.qty.is_zero() {
        side.remove(&level.price);
    } else {
        side.insert(level.price, level.qty);
    }
}

impl RecordedBook {
    /// From the recording's depth answer.
    pub(super) fn new(snapshot: &Snapshot) -> Self {
        let side = |levels: &[Level]| levels.iter().map(|l| (l.price, l.qty)).collect();
        Self {
            last_update_id: snapshot.last_update_id,
            bids: side(&snapshot.bids),
            asks: side(&snapshot.asks),
        }
    }

    /// Takes a diff; false when it is older than the book and was ignored.
    pub(super) fn apply(&mut self, diff: &RecordedDiff) -> bool {
        if diff.last <= self.last_update_id {
            return false;
        }
        diff.bids.iter().for_each(|l| put(&mut self.bids, *l));
        diff.asks.iter().for_each(|l| put(&mut self.asks, *l));
        self.last_update_id = diff.last;
        true
    }

    /// Levels, best first.
    pub(super) fn levels(&self, limit: usize) -> (Vec<Level>, Vec<Level>) {
        let level = |(p, q): (&Price, &Qty)| Level::new(*p, *q);
        (
            self.bids.iter().rev().take(limit).map(level).collect(),
            self.asks.iter().take(limit).map(level).collect(),
        )
    }

    /// Best bid and ask.
    pub(super) fn best(&self) -> Best {
        let (bids, asks) = self.levels(1);
        (bids.first().copied().unwrap_or_default(), asks.first().copied().unwrap_or_default())
    }

    /// As `GET /depth` answers.
    pub(super) fn json(&self, limit: usize) -> String {
        let (bids, asks) = self.levels(limit);
        market_json::depth(self.last_update_id, &bids, &asks)
    }
}
