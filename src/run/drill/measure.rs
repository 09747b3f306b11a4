//! What left after a trip, from the engine's journal: each request is in it before it is written to the socket.

use std::collections::BTreeSet;

use crate::event::{Record, SentKind};
use crate::journal::entry::Entry;
use crate::journal::reader::read_session;
use crate::ops::paths::Paths;
use crate::run::session::journal_dir;
use crate::types::ClientOrderId;

/// Orders after a trip.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct After {
    /// How many orders and replaces that may add risk left.
    pub(super) orders: u64,
    /// When the last of them was ready to be written, microseconds after the trip; 0 for none.
    pub(super) last_us: u64,
}

/// The orders that may add risk and were written after a time. Those that only reduce a position are not meant: a halt lets
/// them pass.
pub(super) fn orders_after(paths: &Paths, tripped_ns: i64) -> Result<After, String> {
    let (_summary, reader) = read_session(&journal_dir(paths), "last").map_err(|e| e.to_string())?;
    let mut reducing: BTreeSet<ClientOrderId> = BTreeSet::new();
    let mut after = After::default();
    for item in reader {
        match item.map_err(|e| e.to_string())?.entry {
            Entry::Record(Record::Intent(intent)) if intent.reduce_only => {
                reducing.insert(intent.client);
            }
            Entry::Record(Record::Sent(sent)) => {
                let adds = matches!(sent.kind, SentKind::Place | SentKind::Replace);
                if adds && sent.at_ns > tripped_ns && !reducing.contains(&sent.client) {
                    after.orders += 1;
                    let us = u64::try_from((sent.at_ns - tripped_ns) / 1_000).unwrap_or(0);
                    after.last_us = after.last_us.max(us);
                }
            }
            _ => {}
        }
    }
    Ok(after)
}
