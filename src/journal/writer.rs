//! The journal's agent: drains the stages' rings in causal order, takes the control thread's records, commits in groups, and
//! publishes what is durable.
//!
//! It alone may block, in disk calls, so it has a thread of its own. When anything fails it trips the kill switch, says so
//! once, and from then on drains and discards: rings that fill up would stop the very cancels that a halt needs.
//!
//! The order of the records is [`Rings`]' business.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError};

use crate::agent::{Agent, Clock};
use crate::event::Record;
use crate::journal::codec::{encode_record, record_kind};
use crate::journal::control::{Answer, AppendError, Appended, ControlHandle, Head, Health, Request};
use crate::journal::disk::Disk;
use crate::journal::entry::{Entry, Recovered, SessionEnd};
use crate::journal::error::JournalError;
use crate::journal::log::{Identity, Log, LogConfig};
use crate::journal::rings::Rings;
use crate::journal::session::SessionHeader;
use crate::limits::{JOURNAL_CONTROL_SLOTS, JOURNAL_RING_SLOTS};
use crate::shared::{Counter, Counters};
use crate::types::{Now, Reason};

/// Laps over the rings at the end of a session.
const STOP_LAPS_MAX: usize = 64;

/// Sees every record that a stage journals, in journal order, whether or not the disk still takes them.
pub trait Observer: Send {
    /// One record. `seq` is its number in the chain, or 0 once the journal has failed.
    fn observe(&mut self, seq: u64, record: &Record);
    /// A batch is over: a good moment to publish what was folded.
    fn batch_done(&mut self, _now: Now) {}
}

impl<F: FnMut(u64, &Record) + Send> Observer for F {
    fn observe(&mut self, seq: u64, record: &Record) {
        self(seq, record);
    }
}

/// Sizes and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WriterConfig {
    /// The log's sizes.
    pub log: LogConfig,
    /// A record is durable at most this long after it was taken (and the disk's own time).
    pub commit_ns: i64,
    /// Or when this many bytes wait.
    pub commit_bytes: usize,
    /// A ring this full means that the disk does not keep up: risk-off.
    pub high_water_percent: u64,
}

impl Default for WriterConfig {
    fn default() -> Self {
        Self {
            log: LogConfig::default(),
            commit_ns: 5 * crate::types::time::NS_PER_MS,
            commit_bytes: 256 << 10,
            high_water_percent: 75,
        }
    }
}

/// What the writer is given besides its rings.
pub struct Parts {
    /// Counters to publish in.
    pub counters: Arc<Counters>,
    /// The engine's clock: a disk call's length is only known afterwards.
    pub clock: Clock,
    /// Trips the kill switch (risk-off) with a reason. May be called more than once.
    pub halt: Box<dyn FnMut(Reason, Now) + Send>,
    /// The fold behind `status`.
    pub observer: Option<Box<dyn Observer>>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts").field("observer", &self.observer.is_some()).finish_non_exhaustive()
    }
}

/// The agent.
#[derive(Debug)]
pub struct Writer {
    log: Log,
    rings: Rings,
    config: WriterConfig,
    parts: Parts,
    health: Arc<Health>,
    requests: Receiver<Request>,
    /// Answers that wait for a commit, with the numbers of their records.
    waiting: Vec<(u64, SyncSender<Answer>)>,
    /// When the oldest uncommitted record was taken.
    uncommitted_since_ns: Option<i64>,
    /// Longest time from taking a record to its being durable.
    lag_max_us: u64,
    session: String,
    session_seq0: u64,
    last_fact: u64,
    failed: Option<JournalError>,
    discarded: u64,
    recovered: Option<Recovered>,
}

impl Writer {
    /// Opens the chain in `dir`, starts a session in it and makes its header durable. What was cut off a torn tail, if
    /// anything, is recorded first.
    pub fn create(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: WriterConfig,
        header: &SessionHeader,
        rings: Rings,
        parts: Parts,
    ) -> Result<(Self, ControlHandle), JournalError> {
        let now = parts.clock.now();
        let (mut log, recovered) = Log::open(disk, dir, config.log, identity(dir, header, now)?, now)?;
        let session_seq0 = log.append(&Entry::Session(Box::new(header.clone())), now)?;
        if let Some(cut) = &recovered {
            log.append(&Entry::Recovered(cut.clone()), now)?;
        }
        let durable = log.commit()?;
        let health = Arc::new(Health::default());
        let (handle, requests) = ControlHandle::new(JOURNAL_CONTROL_SLOTS, Arc::clone(&health));
        let writer = Self {
            log,
            rings,
            config,
            parts,
            health,
            requests,
            waiting: Vec::with_capacity(JOURNAL_CONTROL_SLOTS),
            uncommitted_since_ns: None,
            lag_max_us: 0,
            session: header.session.clone(),
            session_seq0,
            last_fact: 0,
            failed: None,
            discarded: 0,
            recovered,
        };
        writer.publish(durable);
        Ok((writer, handle))
    }

    /// What opening cut off a torn tail, for the start-up log.
    pub const fn recovered(&self) -> Option<&Recovered> {
        self.recovered.as_ref()
    }
    /// The first failure.
    pub const fn failure(&self) -> Option<&JournalError> {
        self.failed.as_ref()
    }
    /// Records drained and thrown away after the failure.
    pub const fn discarded(&self) -> u64 {
        self.discarded
    }
    /// The chain's id, as checkpoints name it.
    pub const fn chain_id(&self) -> [u8; 16] {
        self.log.chain_id()
    }
    /// Number of the last durable record.
    pub const fn durable_seq(&self) -> u64 {
        self.log.durable_seq()
    }

    fn drain(&mut self, now: Now) -> usize {
        let mut lap = self.rings.lap();
        self.watch_fill(lap.fullest(), now);
        let mut done = 0;
        while let Some(record) = self.rings.next(&mut lap) {
            self.take(&record, now);
            done += 1;
        }
        done
    }

    fn watch_fill(&mut self, slots: usize, now: Now) {
        let percent = (slots * 100 / JOURNAL_RING_SLOTS) as u64;
        self.health.set_fill_percent(percent);
        let full = self.health.take_ring_full();
        if full {
            self.parts.counters.add(Counter::JournalRingFull, 1);
        }
        if full || percent >= self.config.high_water_percent {
            (self.parts.halt)(Reason::JournalFull, now);
        }
    }

    #[inline]
    fn take(&mut self, record: &Record, now: Now) {
        let mut seq = 0;
        if self.failed.is_none() {
            let appended = self.log.append_with(record_kind(record), now, |out| {
                encode_record(record, out);
                Ok(())
            });
            match appended {
                Ok(given) => {
                    seq = given;
                    self.uncommitted_since_ns.get_or_insert(now.mono_ns);
                }
                Err(e) => self.fail(e, now),
            }
        }
        if seq == 0 {
            self.discarded += 1;
        } else if let Record::Fact(fact) = record {
            self.last_fact = fact.seq;
        }
        if let Some(observer) = &mut self.parts.observer {
            observer.observe(seq, record);
        }
    }

    fn take_requests(&mut self, now: Now) -> usize {
        let mut done = 0;
        while self.waiting.len() < JOURNAL_CONTROL_SLOTS {
            let request = match self.requests.try_recv() {
                Ok(request) => request,
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            };
            done += 1;
            if let Some(e) = &self.failed {
                answer(&request.answer, Err(AppendError::Failed { why: e.to_string() }));
                continue;
            }
            let seq = match &request.entry {
                None => 0,
                Some(entry) => match self.log.append(entry, now) {
                    Ok(seq) => seq,
                    Err(e) => {
                        answer(&request.answer, Err(AppendError::Failed { why: e.to_string() }));
                        // A record that can't be framed is its sender's mistake; a disk that failed is everyone's.
                        if self.log.failure().is_some() {
                            self.fail(e, now);
                        }
                        continue;
                    }
                },
            };
            self.waiting.push((seq, request.answer));
        }
        done
    }

    fn is_commit_due(&self, now: Now) -> bool {
        !self.waiting.is_empty()
            || self.log.uncommitted() >= self.config.commit_bytes
            || self.uncommitted_since_ns.is_some_and(|since| now.mono_ns - since >= self.config.commit_ns)
    }

    fn commit(&mut self, now: Now) {
        match self.log.commit() {
            Ok(durable) => {
                if let Some(since) = self.uncommitted_since_ns.take() {
                    let lag_ns = self.parts.clock.mono_ns() - since;
                    self.lag_max_us = self.lag_max_us.max(lag_ns.max(0).unsigned_abs() / 1_000);
                    self.parts.counters.set(Counter::JournalLagMaxUs, self.lag_max_us);
                }
                self.parts.counters.add(Counter::JournalCommits, 1);
                self.publish(durable);
                let head = Head { seq: durable, hash: self.log.last_hash() };
                for (seq, waiting) in self.waiting.drain(..) {
                    answer(&waiting, Ok(Appended { seq, head }));
                }
            }
            Err(e) => self.fail(e, now),
        }
    }

    fn publish(&self, durable: u64) {
        self.parts.counters.set(Counter::JournalRecords, self.log.last_seq());
        self.parts.counters.set(Counter::JournalBytes, self.log.bytes_framed());
        self.parts.counters.set(Counter::JournalDurable, durable);
    }

    /// For good: the kill switch is tripped first, then everyone is told.
    fn fail(&mut self, error: JournalError, now: Now) {
        (self.parts.halt)(Reason::JournalFailed, now);
        self.parts.counters.set(Counter::JournalFailed, 1);
        self.health.set_failed();
        // What was framed but not durable is lost with it.
        self.uncommitted_since_ns = None;
        for (_, waiting) in self.waiting.drain(..) {
            answer(&waiting, Err(AppendError::Failed { why: error.to_string() }));
        }
        self.failed.get_or_insert(error);
    }
}

/// A control thread that no longer waits has given up on the record: nothing to do about it here.
fn answer(to: &SyncSender<Answer>, what: Answer) {
    let _gave_up = to.try_send(what);
}

fn identity(dir: &Path, header: &SessionHeader, now: Now) -> Result<Identity, JournalError> {
    let config_hash = header.config_hash_bytes().ok_or_else(|| JournalError::Refused {
        path: dir.to_owned(),
        why: format!("{:?} is not a configuration hash", header.config_hash),
        remedy: "A configuration hash has 64 hexadecimal digits",
    })?;
    let mut build_id = [0; 32];
    for (to, from) in build_id.iter_mut().zip(header.build_id.bytes()) {
        *to = from;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update(header.session.as_bytes());
    hasher.update(&now.ns.to_le_bytes());
    hasher.update(&config_hash);
    let mut chain_id = [0; 16];
    chain_id.copy_from_slice(&hasher.finalize().as_bytes()[..16]);
    Ok(Identity { epoch: header.boot_epoch, config_hash, build_id, chain_id })
}

impl Agent for Writer {
    fn name(&self) -> &'static str {
        "journal"
    }

    fn poll(&mut self, now: Now) -> usize {
        // Framing, too, may wait for the disk: a full buffer is written out, a full segment is rotated.
        self.health.set_busy_since(now.mono_ns.max(1));
        let work = self.drain(now) + self.take_requests(now);
        // Before the commit: while that hangs, the distance to the durable number must show.
        self.parts.counters.set(Counter::JournalRecords, self.log.last_seq());
        if self.failed.is_none() && self.is_commit_due(now) {
            self.commit(now);
        }
        self.health.set_busy_since(0);
        if self.failed.is_some() {
            self.parts.counters.set(Counter::JournalDiscarded, self.discarded);
        }
        if work > 0
            && let Some(observer) = &mut self.parts.observer
        {
            observer.batch_done(now);
        }
        work
    }

    fn on_stop(&mut self, now: Now) {
        // The stages have stopped, so one lap takes all; bounded in case one of them has not.
        for _ in 0..STOP_LAPS_MAX {
            if self.drain(now) + self.take_requests(now) == 0 {
                break;
            }
        }
        if self.failed.is_none() {
            let end = SessionEnd {
                session: self.session.clone(),
                cause: "stopped".to_owned(),
                records: self.log.last_seq() + 1 - self.session_seq0,
                facts: self.last_fact,
            };
            if let Err(e) = self.log.append(&Entry::End(end), now) {
                self.fail(e, now);
                return;
            }
            self.commit(now);
        }
        if self.failed.is_none()
            && let Err(e) = self.log.close()
        {
            self.fail(e, now);
        }
    }
}
