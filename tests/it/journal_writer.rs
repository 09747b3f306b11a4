//! The journal's agent: causal order, the control thread's door, and what a failed or slow disk does (J5, J6, J7; P4, P6).
#![expect(
    clippy::disallowed_types,
    reason = "test doubles may lock; no path of the engine goes through them"
)]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use interlock::agent::ring::{Producer, ring};
use interlock::agent::{Agent, Clock};
use interlock::event::{Body, Decision, Fact, Intent, Record, Sent, Verdict};
use interlock::journal::control::AppendError;
use interlock::journal::writer::Parts;
use interlock::journal::{
    Control, ControlHandle, ControlKind, Disk, Entry, JournalError, RealDisk, Rings, Writer, WriterConfig,
    epoch, verify,
};
use interlock::limits::JOURNAL_RING_SLOTS;
use interlock::shared::{Counter, Counters};
use interlock::types::{Now, Reason};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use crate::journal_disk::{Count, Crash, Fault, SimDisk};
use crate::journal_support as support;
use crate::support::seed;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EINTR: i32 = 4;

struct Bench {
    writer: Writer,
    handle: ControlHandle,
    counters: Arc<Counters>,
    clock: Clock,
    halts: Arc<Mutex<Vec<Reason>>>,
    observed: Arc<Mutex<Vec<(u64, Record)>>>,
    /// Feed's, signal's, risk's and the gateway's ends.
    stages: [Producer<Record>; 4],
}

fn timer(seq: u64) -> Record {
    Record::Fact(Fact { seq, recv_ns: 0, body: Body::Timer })
}

fn bench(disk: Arc<dyn Disk>, dir: &Path, config: WriterConfig, clock: Clock) -> Result<Bench, JournalError> {
    let (feed, feed_out) = ring(JOURNAL_RING_SLOTS, timer(0));
    let (signal, signal_out) = ring(JOURNAL_RING_SLOTS, timer(0));
    let (risk, risk_out) = ring(JOURNAL_RING_SLOTS, timer(0));
    let (gateway, gateway_out) = ring(JOURNAL_RING_SLOTS, timer(0));
    let rings = Rings { feed: feed_out, signal: signal_out, risk: risk_out, gateway: gateway_out };
    let counters = Arc::new(Counters::default());
    let halts = Arc::new(Mutex::new(Vec::new()));
    let observed = Arc::new(Mutex::new(Vec::new()));
    let (to_halts, to_observed) = (Arc::clone(&halts), Arc::clone(&observed));
    let parts = Parts {
        counters: Arc::clone(&counters),
        clock: clock.clone(),
        halt: Box::new(move |reason, _now: Now| to_halts.lock().unwrap().push(reason)),
        observer: Some(Box::new(move |seq: u64, record: &Record| {
            to_observed.lock().unwrap().push((seq, *record));
        })),
    };
    let header = support::header("s-1", 1);
    let (writer, handle) = Writer::create(disk, dir, config, &header, rings, parts)?;
    Ok(Bench { writer, handle, counters, clock, halts, observed, stages: [feed, signal, risk, gateway] })
}

fn sim_bench(disk: &SimDisk, config: WriterConfig) -> Result<Bench, JournalError> {
    bench(Arc::new(disk.clone()), &support::dir(), config, Clock::virtual_at(1_700_000_000_000_000_000))
}

impl Bench {
    fn poll_at(&mut self, mono_ns: i64) -> usize {
        self.clock.set_virtual(mono_ns);
        self.writer.poll(self.clock.now())
    }
    fn push(&mut self, stage: usize, record: Record) {
        self.stages[stage].push(record).unwrap();
    }
}

fn arming() -> Entry {
    Entry::Control(Box::new(Control {
        kind: ControlKind::Arm,
        who: "operator".to_owned(),
        cause: "start of the day".to_owned(),
        uid: Some(1000),
        halt_epoch: 1,
        details: serde_json::Map::new(),
    }))
}

#[test]
fn records_become_durable_in_groups_and_only_then_are_published() {
    let disk = SimDisk::default();
    let mut bench = sim_bench(&disk, WriterConfig::default()).unwrap();
    assert_eq!(bench.counters.get(Counter::JournalDurable), 1, "the session header is durable at once");
    bench.push(0, timer(1));
    assert_eq!(bench.poll_at(1_000), 1);
    assert_eq!(bench.counters.get(Counter::JournalDurable), 1, "not synced yet");
    assert_eq!(bench.counters.get(Counter::JournalRecords), 2, "and the backlog shows");
    bench.push(0, timer(2));
    bench.poll_at(4_900_000);
    assert_eq!(bench.counters.get(Counter::JournalDurable), 1);
    bench.poll_at(5_100_000);
    assert_eq!(bench.counters.get(Counter::JournalDurable), 3, "5 ms after the first one");
    assert_eq!(bench.counters.get(Counter::JournalCommits), 1, "one sync for both");
    assert_eq!(bench.counters.get(Counter::JournalLagMaxUs), 5_099, "the lag is measured (P3)");
    bench.writer.on_stop(bench.clock.now());
    let (items, end) = support::read_all(Arc::new(disk), &support::dir());
    assert!(end.unwrap());
    assert_eq!(support::records(&items), [timer(1), timer(2)]);
    assert!(matches!(&items.last().unwrap().entry, Entry::End(end) if end.facts == 2 && end.records == 3));
}

#[test]
fn p6_arming_is_durable_before_the_answer() {
    let disk = SimDisk::default();
    let mut bench = sim_bench(&disk, WriterConfig::default()).unwrap();
    let pending = bench.handle.submit(arming()).unwrap();
    assert!(pending.poll().is_none());
    bench.poll_at(1);
    let seq = pending.poll().unwrap().unwrap().seq;
    assert!(bench.counters.get(Counter::JournalDurable) >= seq);
    // What was answered survives the harshest crash.
    let mut rng = SmallRng::seed_from_u64(1);
    let after = disk.crash(Crash::Lost, &mut rng);
    let (items, end) = support::read_all(Arc::new(after), &support::dir());
    assert!(end.is_ok());
    assert!(items.iter().any(|i| i.seq == seq && i.entry == arming()));
    // Hot records and session frames do not come this way.
    let wrong = bench.handle.submit(Entry::Record(timer(1))).unwrap_err();
    assert_eq!(wrong, AppendError::NotCold { what: "fact" });
}

#[test]
fn p6_a_sync_that_fails_refuses_the_arming_and_everything_after_it() {
    let disk = SimDisk::default();
    let mut bench = sim_bench(&disk, WriterConfig::default()).unwrap();
    disk.set_fault(Count::Syncs, 1, Fault::Errno(EIO));
    let pending = bench.handle.submit(arming()).unwrap();
    bench.poll_at(1);
    assert!(matches!(pending.poll(), Some(Err(AppendError::Failed { .. }))));
    assert_eq!(*bench.halts.lock().unwrap(), [Reason::JournalFailed]);
    let late = bench.handle.submit(arming()).unwrap();
    bench.poll_at(2);
    assert!(matches!(late.poll(), Some(Err(AppendError::Failed { .. }))));
    assert_eq!(disk.syncs_after_fault(), 0, "a sync is never tried again");
    assert!(!bench.handle.health().is_healthy(bench.clock.now(), i64::MAX));
}

#[test]
fn p6_no_answer_in_time_is_an_error() {
    let bench = sim_bench(&SimDisk::default(), WriterConfig::default()).unwrap();
    // Nobody polls the writer.
    let answer = bench.handle.append_durable(arming(), Duration::from_millis(1));
    assert_eq!(answer, Err(AppendError::Deadline));
    drop(bench.writer);
    assert_eq!(bench.handle.append_durable(arming(), Duration::from_secs(1)), Err(AppendError::Closed));
}

#[test]
fn j5_failed_writer_halts_once_and_keeps_draining_so_that_cancels_go_on() {
    for fault in [EIO, ENOSPC, EINTR] {
        for nth in 1..40 {
            let disk = SimDisk::default();
            let config = WriterConfig {
                log: interlock::journal::log::LogConfig {
                    segment_bytes: 8_000,
                    step_bytes: 2_000,
                    check_bytes: 1 << 30,
                },
                ..WriterConfig::default()
            };
            let mut rng = SmallRng::seed_from_u64(seed(31));
            let mut bench = sim_bench(&disk, config).unwrap();
            disk.set_fault(Count::All, nth, Fault::Errno(fault));
            let mut pushed = Vec::new();
            for lap in 1..30 {
                for _ in 0..5 {
                    let record = support::record(&mut rng);
                    bench.push(0, record);
                    pushed.push(record);
                }
                bench.poll_at(lap * 10_000_000);
            }
            let context = format!("call {nth}, errno {fault}");
            // The observer saw everything, in order, whatever the disk did.
            let observed: Vec<Record> = bench.observed.lock().unwrap().iter().map(|(_, r)| *r).collect();
            assert!(observed == pushed, "{context}");
            assert!(bench.stages[0].slots() == JOURNAL_RING_SLOTS, "{context}: the rings are drained");
            let durable = bench.counters.get(Counter::JournalDurable);
            if let Some(error) = bench.writer.failure() {
                assert_eq!(*bench.halts.lock().unwrap(), [Reason::JournalFailed], "{context}");
                assert_eq!(bench.counters.get(Counter::JournalFailed), 1);
                assert_eq!(bench.counters.get(Counter::JournalDiscarded), bench.writer.discarded());
                assert_eq!(disk.syncs_after_fault(), 0, "{context}");
                assert!(fault != ENOSPC || error.to_string().contains("Free some space"), "{error}");
            } else {
                assert!(
                    fault == EINTR || !disk.fault_hit() || bench.halts.lock().unwrap().is_empty(),
                    "{context}"
                );
                assert_eq!(bench.writer.discarded(), 0, "{context}");
            }
            for crash in [Crash::Lost, Crash::Kept, Crash::Torn(512)] {
                let after = disk.crash(crash, &mut rng);
                let (items, end) = support::read_all(Arc::new(after), &support::dir());
                assert!(end.is_ok(), "{context}: {}", end.unwrap_err());
                assert!(items.len() as u64 >= durable, "{context}: {} of {durable} durable", items.len());
                let read = support::records(&items);
                assert!(read == pushed[..read.len()], "{context}: not a prefix");
            }
        }
    }
}

#[test]
fn j5_a_disk_that_fails_at_the_start_is_an_error_with_a_remedy() {
    for nth in 1..8 {
        let disk = SimDisk::with_fault(Count::All, nth, Fault::Errno(ENOSPC));
        let Err(error) = sim_bench(&disk, WriterConfig::default()) else {
            assert!(!disk.fault_hit());
            continue;
        };
        let text = error.to_string();
        assert!(text.contains("Free some space") && text.contains("data/journal"), "{text}");
    }
    let wrong =
        interlock::journal::SessionHeader { config_hash: "abc".to_owned(), ..support::header("s", 1) };
    assert_eq!(wrong.config_hash_bytes(), None);
}

#[test]
fn j7_a_disk_that_stalls_for_5_s_means_risk_off_and_no_record_is_lost() {
    let disk = SimDisk::default();
    let mut bench = sim_bench(&disk, WriterConfig::default()).unwrap();
    let (mut feed, _) = ring(1, timer(0));
    std::mem::swap(&mut feed, &mut bench.stages[0]);
    let feed = Arc::new(Mutex::new(feed));
    let pushed = Arc::new(Mutex::new(0u64));
    let (clock, health) = (bench.clock.clone(), Arc::clone(bench.handle.health()));
    let counters = Arc::clone(&bench.counters);
    let (hook_feed, hook_pushed) = (Arc::clone(&feed), Arc::clone(&pushed));
    feed.lock().unwrap().push(timer(1)).unwrap();
    *pushed.lock().unwrap() = 1;
    let mut stalls = 0;
    disk.on_sync(move |_| {
        if stalls > 0 {
            return;
        }
        stalls += 1;
        // The disk hangs for 5 s; feed goes on at 10,000 records a second until its ring is full, then holds back.
        let start = clock.mono_ns();
        assert!(health.is_healthy(clock.now(), 200_000_000));
        let mut feed = hook_feed.lock().unwrap();
        for step in 1..=50_000i64 {
            clock.set_virtual(start + step * 100_000);
            let mut pushed = hook_pushed.lock().unwrap();
            if feed.push(timer(*pushed + 1)).is_ok() {
                *pushed += 1;
            } else {
                health.report_ring_full();
            }
        }
        // Whoever renews the lease sees the stall while it lasts: the engine is risk-off within the lease.
        assert!(!health.is_healthy(clock.now(), 200_000_000));
        assert!(
            counters.get(Counter::JournalRecords) > counters.get(Counter::JournalDurable),
            "the backlog shows"
        );
    });
    bench.poll_at(0);
    bench.poll_at(6_000_000);
    assert!(bench.halts.lock().unwrap().is_empty(), "the writer itself was in the disk call");
    let now = bench.clock.now();
    bench.writer.poll(now);
    assert_eq!(
        bench.halts.lock().unwrap().first(),
        Some(&Reason::JournalFull),
        "risk-off at the first chance"
    );
    assert!(bench.handle.health().fill_percent() >= 75);
    bench.writer.on_stop(now);
    assert_eq!(bench.counters.get(Counter::JournalFailed), 0, "slow is not broken");
    let (items, end) = support::read_all(Arc::new(disk), &support::dir());
    assert!(end.unwrap());
    let pushed = *pushed.lock().unwrap();
    assert!(pushed > 10_000);
    let expected: Vec<Record> = (1..=pushed).map(timer).collect();
    assert!(support::records(&items) == expected, "a record was lost");
}

/// A stage of the next test: for each cause that comes in, journals what it makes of it, and only then hands it on.
fn stage(
    mut causes: impl FnMut() -> Option<u64>,
    mut journal: Producer<Record>,
    mut next: Option<Producer<u64>>,
    make: impl Fn(u64) -> Record,
    count: u64,
) {
    let mut done = 0;
    while done < count {
        let Some(cause) = causes() else {
            std::thread::yield_now();
            continue;
        };
        while journal.push(make(cause)).is_err() {
            std::thread::yield_now();
        }
        while next.as_mut().is_some_and(|next| next.push(cause).is_err()) {
            std::thread::yield_now();
        }
        done += 1;
    }
}

#[test]
fn a_cause_stands_before_its_effects_and_an_answer_behind_its_request() {
    // Stages on threads of their own, each acting on what the one before it handed on; the writer drains meanwhile. But for
    // the first ones, each fact answers the decision `LAP` facts before it.
    const LAP: u64 = 16;
    let count = 30_000u64;
    let disk = SimDisk::default();
    let mut bench = sim_bench(&disk, WriterConfig::default()).unwrap();
    let [feed, signal, risk, _gateway] = bench.stages;
    let (to_signal, mut from_feed) = ring(64, 0u64);
    let (to_risk, mut from_signal) = ring(64, 0u64);
    let (to_venue, mut from_risk) = ring(64, 0u64);
    let mut rng = SmallRng::seed_from_u64(seed(33));
    let (intent, decision) = (support::intent(&mut rng), support::decision(&mut rng));
    std::thread::scope(|scope| {
        let mut numbers = 1..=LAP;
        let answers = move || numbers.next().or_else(|| from_risk.pop().ok().map(|n| n + LAP));
        scope.spawn(move || stage(answers, feed, Some(to_signal), timer, count));
        let intent = move |cause_seq| Record::Intent(Intent { cause_seq, ..intent });
        scope.spawn(move || stage(|| from_feed.pop().ok(), signal, Some(to_risk), intent, count));
        let decision =
            move |cause_seq| Record::Decision(Decision { cause_seq, verdict: Verdict::Approved, ..decision });
        scope.spawn(move || stage(|| from_signal.pop().ok(), risk, Some(to_venue), decision, count));
        let (mut drained, mut at) = (0, 0);
        while drained < 3 * usize::try_from(count).unwrap() {
            at += 1_000;
            bench.clock.set_virtual(at);
            drained += bench.writer.poll(bench.clock.now());
        }
    });
    bench.writer.on_stop(bench.clock.now());
    let (items, end) = support::read_all(Arc::new(disk), &support::dir());
    assert!(end.unwrap());
    let (mut facts, mut intents, mut decisions) = (0, 0, 0);
    for record in support::records(&items) {
        match record {
            Record::Fact(fact) => {
                assert_eq!(fact.seq, facts + 1);
                facts = fact.seq;
                assert!(intents + LAP >= facts, "fact {facts}, which answers an intent after {intents}");
                assert!(decisions + LAP >= facts, "fact {facts}, which answers a decision after {decisions}");
            }
            Record::Intent(intent) => {
                assert!(intent.cause_seq <= facts, "an intent before its fact");
                intents = intent.cause_seq;
            }
            Record::Decision(decision) => {
                assert!(decision.cause_seq <= intents, "a decision before its intent");
                decisions = decision.cause_seq;
            }
            _ => {}
        }
    }
    assert_eq!((facts, intents, decisions), (count, count, count));
}

#[test]
fn a_writer_that_lags_writes_every_record_between_its_cause_and_the_answer() {
    let disk = SimDisk::default();
    let mut bench = sim_bench(&disk, WriterConfig::default()).unwrap();
    let mut rng = SmallRng::seed_from_u64(seed(35));
    let fact = |seq, recv_ns| Record::Fact(Fact { seq, recv_ns, body: Body::Timer });
    let intent =
        |cause_seq| Record::Intent(Intent { cause_seq, ..support::intent(&mut SmallRng::seed_from_u64(1)) });
    let decision = |cause_seq| {
        Record::Decision(Decision { cause_seq, ..support::decision(&mut SmallRng::seed_from_u64(2)) })
    };
    let sent = Record::Sent(Sent { at_ns: 25, ..support::sent(&mut rng) });
    // Everything is in the rings before the writer looks: two orders, of facts 1 and 3; fact 3 is the answer to the first.
    for record in [fact(1, 10), fact(2, 20), fact(3, 30), fact(4, 40)] {
        bench.push(0, record);
    }
    bench.push(1, intent(1));
    bench.push(1, intent(3));
    bench.push(2, decision(1));
    bench.push(2, decision(3));
    bench.push(3, sent);
    assert_eq!(bench.poll_at(1), 9);
    let observed: Vec<Record> = bench.observed.lock().unwrap().iter().map(|(_, record)| *record).collect();
    let wanted = [
        fact(1, 10),
        intent(1),
        decision(1),
        fact(2, 20),
        sent,
        fact(3, 30),
        intent(3),
        decision(3),
        fact(4, 40),
    ];
    assert!(observed == wanted, "{observed:?}");
    // An effect whose cause never came by (its ring was full) is written all the same.
    bench.push(1, intent(99));
    assert_eq!(bench.poll_at(2), 1);
}

/// How fast the whole writer is, disk and all. Meaningful with `--profile quick`; prints, asserts nothing about time.
#[test]
#[ignore = "a measurement; benches/ has the journal's own work alone"]
fn throughput_of_the_writer() {
    let temporary = tempfile::tempdir().unwrap();
    let clock = Clock::system();
    let mut bench =
        bench(Arc::new(RealDisk), temporary.path(), WriterConfig::default(), clock.clone()).unwrap();
    let mut rng = SmallRng::seed_from_u64(1);
    let records: Vec<Record> = (0..JOURNAL_RING_SLOTS).map(|_| support::record(&mut rng)).collect();
    let (mut count, start) = (0u64, clock.mono_ns());
    while count < 1_000_000 {
        for record in &records[..8_000] {
            bench.push(0, *record);
        }
        count += bench.writer.poll(clock.now()) as u64;
    }
    bench.writer.on_stop(clock.now());
    let us = u64::try_from(clock.mono_ns() - start).unwrap() / 1_000;
    let bytes = bench.counters.get(Counter::JournalBytes);
    println!("{count} records, {bytes} bytes in {us} us: {} records a second", count * 1_000_000 / us);
}

/// Not a test of its own: the process that J6 kills. Writes facts as fast as it can and says what is durable.
#[test]
#[ignore = "the child process of j6_killed_at_random_what_was_published_is_there"]
#[expect(clippy::disallowed_methods, reason = "the parent tells it where by the environment")]
fn j6_child() {
    let Ok(dir) = std::env::var("INTERLOCK_J6_DIR") else { return };
    let dir = Path::new(&dir);
    let epoch = epoch::next(&RealDisk, dir).unwrap();
    println!("epoch {epoch}");
    let config = WriterConfig { commit_ns: 500_000, ..WriterConfig::default() };
    let mut bench = bench(Arc::new(RealDisk), dir, config, Clock::system()).unwrap();
    let mut rng = SmallRng::seed_from_u64(u64::from(epoch));
    for seq in 1..u64::MAX {
        let body = support::fact(&mut rng).body;
        bench.push(0, Record::Fact(Fact { seq, recv_ns: i64::from(epoch), body }));
        if seq % 50 == 0 {
            bench.writer.poll(bench.clock.now());
            println!("durable {}", bench.counters.get(Counter::JournalDurable));
        }
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test may read the environment and sleep")]
fn j6_killed_at_random_what_was_published_is_there() {
    // INTERLOCK_KILLS=1000 for the long run.
    let kills = std::env::var("INTERLOCK_KILLS").ok().and_then(|s| s.parse().ok()).unwrap_or(12u32);
    let mut rng = SmallRng::seed_from_u64(seed(36));
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("journal");
    let mut last_epoch = 0;
    for kill in 0..kills {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal_writer::j6_child", "--ignored", "--nocapture"])
            .env("INTERLOCK_J6_DIR", &dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        child.kill().unwrap();
        let (mut epoch, mut durable) = (None, 0u64);
        for line in BufReader::new(child.stdout.take().unwrap()).lines() {
            // Half a line at the end says nothing.
            let line = line.unwrap_or_default();
            if let Some(text) = line.strip_prefix("epoch ") {
                epoch = text.parse::<u32>().ok();
            } else if let Some(text) = line.strip_prefix("durable ") {
                durable = text.parse::<u64>().unwrap_or(durable).max(durable);
            }
        }
        child.wait().unwrap();
        if let Some(epoch) = epoch {
            assert!(epoch > last_epoch, "epoch {epoch} after {last_epoch}");
            last_epoch = epoch;
        }
        if !dir.exists() {
            continue;
        }
        let (items, end) = support::read_all(Arc::new(RealDisk), &dir);
        assert!(end.is_ok(), "kill {kill}: {}", end.unwrap_err());
        // A half line "durable 12" of "durable 1234" is smaller, never larger.
        assert!(items.len() as u64 >= durable, "kill {kill}: {} of {durable} durable records", items.len());
        let report = verify(&dir, None).unwrap();
        assert!(report.is_good() || report.torn, "kill {kill}: {report}");
    }
    assert!(epoch::next(&RealDisk, &dir).unwrap() > last_epoch);
    println!("{kills} kills, epoch {last_epoch}");
}
