//! Boot epochs, sessions, recovery's record of itself, and reading a journal back.

use std::path::Path;
use std::sync::Arc;

use interlock::agent::ring::ring;
use interlock::agent::{Agent, Clock};
use interlock::event::{Body, Fact, Record};
use interlock::journal::scan::segment_name;
use interlock::journal::verify::verify_on;
use interlock::journal::writer::Parts;
use interlock::journal::{
    Disk, Entry, JournalError, RealDisk, Rings, Writer, WriterConfig, epoch, read_session, sessions, verify,
};
use interlock::limits::JOURNAL_RING_SLOTS;
use interlock::shared::Counters;

use rand::SeedableRng;
use rand::rngs::SmallRng;

use crate::journal_disk::SimDisk;
use crate::journal_support as support;
use crate::support::seed;

#[test]
fn p5_epochs_never_repeat() {
    let disk = SimDisk::default();
    let dir = support::dir();
    assert_eq!(epoch::current(&disk, &dir).unwrap(), 0);
    for expected in 1..50 {
        assert_eq!(epoch::next(&disk, &dir).unwrap(), expected);
    }
    // A lost file: the segments know.
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    support::open_log(&shared, support::small_log(), 49).unwrap();
    disk.remove(&dir.join(epoch::FILE)).unwrap();
    assert_eq!(epoch::next(&disk, &dir).unwrap(), 50);
    // An older file than the segments (restored from a backup).
    support::open_log(&shared, support::small_log(), 70).unwrap();
    assert_eq!(epoch::next(&disk, &dir).unwrap(), 71);
}

#[test]
fn p5_an_epoch_file_that_was_changed_is_refused_with_a_remedy() {
    let disk = SimDisk::default();
    let path = support::dir().join(epoch::FILE);
    epoch::next(&disk, &support::dir()).unwrap();
    let good = disk.bytes(&path);
    for at in 0..good.len() {
        for bit in 0..8 {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << bit;
            disk.put(&path, &bytes);
            let error = epoch::next(&disk, &support::dir()).unwrap_err().to_string();
            assert!(
                error.contains("data/journal/epoch") && error.contains("delete the epoch file"),
                "{error}"
            );
        }
        disk.put(&path, &good[..at]);
        assert!(epoch::next(&disk, &support::dir()).is_err(), "cut at {at}");
    }
    disk.put(&path, &vec![b'x'; 100_000]);
    assert!(epoch::next(&disk, &support::dir()).is_err());
    disk.put(&path, format!("interlock boot epoch {}\n", epoch::MAX).as_bytes());
    assert!(epoch::next(&disk, &support::dir()).is_err(), "without its checksum");
}

fn run_session(dir: &Path, name: &str, facts: u64) -> Option<String> {
    let timer = |seq| Record::Fact(Fact { seq, recv_ns: 0, body: Body::Timer });
    let (mut feed, feed_out) = ring(JOURNAL_RING_SLOTS, timer(0));
    let (_signal, signal) = ring(4, timer(0));
    let (_risk, risk) = ring(4, timer(0));
    let (_gateway, gateway) = ring(4, timer(0));
    let clock = Clock::virtual_at(1_700_000_000_000_000_000);
    let parts = Parts {
        counters: Arc::new(Counters::default()),
        clock: clock.clone(),
        halt: Box::new(|reason, _| panic!("{reason:?}")),
        observer: None,
    };
    let config = WriterConfig {
        log: interlock::journal::log::LogConfig {
            segment_bytes: 16 << 10,
            step_bytes: 4 << 10,
            check_bytes: 1 << 30,
        },
        ..WriterConfig::default()
    };
    let epoch = epoch::next(&RealDisk, dir).unwrap();
    let rings = Rings { feed: feed_out, signal, risk, gateway };
    let header = support::header(name, epoch);
    let (mut writer, _handle) =
        Writer::create(Arc::new(RealDisk), dir, config, &header, rings, parts).unwrap();
    for seq in 1..=facts {
        feed.push(timer(seq)).unwrap();
        if seq % 100 == 0 {
            writer.poll(clock.now());
        }
    }
    let recovered = writer.recovered().map(|r| r.why.clone());
    writer.on_stop(clock.now());
    recovered
}

#[test]
fn sessions_are_listed_and_read_one_by_one_from_one_chain() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("journal");
    for (name, facts) in [("s-20260101-a", 10), ("s-20260101-b", 1_000), ("s-20260102-a", 0)] {
        assert_eq!(run_session(&dir, name, facts), None);
    }
    let all = sessions(&dir).unwrap();
    let names: Vec<&str> = all.iter().map(|s| s.header.session.as_str()).collect();
    assert_eq!(names, ["s-20260101-a", "s-20260101-b", "s-20260102-a"]);
    assert!(all[1].segments.len() > 2, "the long one has several segments");
    assert_eq!(all.iter().map(|s| s.header.boot_epoch).collect::<Vec<_>>(), [1, 2, 3]);
    for (wanted, facts) in [("s-20260101-a", 10), ("s-20260101-b", 1_000), ("last", 0), ("s-20260102", 0)] {
        let (summary, mut reader) = read_session(&dir, wanted).unwrap();
        let items: Vec<_> = reader.by_ref().map(Result::unwrap).collect();
        assert!(reader.tail().is_none());
        assert!(matches!(&items[0].entry, Entry::Session(h) if **h == summary.header));
        assert_eq!(items[0].seq, summary.first_seq);
        assert_eq!(support::records(&items).len(), facts, "{wanted}");
        assert!(matches!(&items.last().unwrap().entry, Entry::End(end) if end.facts == facts as u64));
    }
    for wanted in ["s-2026", "nothing"] {
        let error = read_session(&dir, wanted).unwrap_err();
        assert!(matches!(error, JournalError::NoSession { .. }), "{error}");
    }
    let report = verify(&dir, None).unwrap();
    assert!(report.is_good() && report.sessions == 3, "{report}");
}

#[test]
fn a_journal_in_use_is_read_without_a_false_alarm() {
    // Whatever the writer does between two reads (append more than a reader's window, trim, rotate), it is no damage.
    let mut rng = SmallRng::seed_from_u64(seed(51));
    let config = interlock::journal::log::LogConfig {
        segment_bytes: 1_200 << 10,
        step_bytes: 1 << 20,
        check_bytes: 1 << 30,
    };
    for (before, meanwhile) in [(600, 3_000), (600, 12_000), (3_000, 3_000)] {
        let mut nth = 1;
        loop {
            let disk = SimDisk::default();
            let shared: Arc<dyn Disk> = Arc::new(disk.clone());
            let mut log = support::open_log(&shared, config, 1).unwrap();
            let entries: Vec<Entry> = (0..50).map(|_| Entry::Record(support::record(&mut rng))).collect();
            let mut append = move |count: usize| {
                for entry in entries.iter().cycle().take(count) {
                    log.append(entry, support::at(0)).unwrap();
                }
                log.commit().unwrap();
            };
            append(before);
            let reached = Arc::new(std::sync::atomic::AtomicBool::new(false));
            let reached_by_hook = Arc::clone(&reached);
            disk.on_read(move |read| {
                if read == nth {
                    append(meanwhile);
                    reached_by_hook.store(true, std::sync::atomic::Ordering::Relaxed);
                }
            });
            let report = verify_on(Arc::clone(&shared), &support::dir(), None).unwrap();
            assert!(report.is_good(), "{meanwhile} records before read {nth}: {report}");
            assert!(report.records >= before as u64);
            if !reached.load(std::sync::atomic::Ordering::Relaxed) {
                break;
            }
            nth += 1;
        }
        assert!(nth > 3, "{nth} reads");
    }
}

#[test]
fn p9_a_cut_tail_is_recorded_in_the_chain_itself() {
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("journal");
    run_session(&dir, "one", 5);
    let path = dir.join(segment_name(1));
    let mut bytes = std::fs::read(&path).unwrap();
    let whole = bytes.len();
    bytes.truncate(whole - 3);
    std::fs::write(&path, &bytes).unwrap();
    assert!(verify(&dir, None).unwrap().torn);
    let why = run_session(&dir, "two", 1).expect("something was cut off");
    assert!(why.contains("the file ends inside the record"), "{why}");
    let (_, reader) = read_session(&dir, "two").unwrap();
    let items: Vec<_> = reader.map(Result::unwrap).collect();
    let Entry::Recovered(cut) = &items[1].entry else { panic!("{:?}", items[1]) };
    assert_eq!((cut.first_bad_seq, cut.file.as_str()), (items[0].seq, "00000001.seg"));
    assert!(verify(&dir, None).unwrap().is_good());
}

#[test]
fn a_journal_directory_that_can_not_be_written_is_an_error_with_a_remedy() {
    let temporary = tempfile::tempdir().unwrap();
    let file = temporary.path().join("journal");
    std::fs::write(&file, "a file where the directory should be").unwrap();
    let error = epoch::next(&RealDisk, &file).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
    assert!(sessions(&temporary.path().join("none")).is_err());
}
