//! The journal through power losses and failing disks: J1 to J5. After any of them, what can be read is a prefix of what was
//! written, and holds everything that had been published as durable.

use std::sync::Arc;

use interlock::event::Record;
use interlock::journal::codec::{encode_record, record_kind};
use interlock::journal::frame::SEGMENT_HEADER_BYTES;
use interlock::journal::log::{Log, LogConfig};
use interlock::journal::scan::segment_name;
use interlock::journal::verify::verify_on;
use interlock::journal::{Disk, JournalError, epoch};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::journal_disk::{Count, Crash, Fault, SimDisk};
use crate::journal_support as support;
use crate::support::seed;

fn append(log: &mut Log, record: &Record, ns: i64) -> Result<u64, JournalError> {
    log.append_with(record_kind(record), support::at(ns), |out| {
        encode_record(record, out);
        Ok(())
    })
}

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

/// Records of a session, committed now and then; stops at the first error. Returns what was taken, and what was durable.
fn session(
    disk: &SimDisk,
    config: LogConfig,
    epoch: u32,
    count: usize,
    rng: &mut SmallRng,
) -> (Vec<Record>, u64, Result<(), JournalError>) {
    let mut taken = Vec::new();
    let mut log = match support::open_log(&shared(disk), config, epoch) {
        Ok(log) => log,
        Err(e) => return (taken, 0, Err(e)),
    };
    let mut run = || -> Result<(), JournalError> {
        for ns in 0..count {
            let record = support::record(rng);
            append(&mut log, &record, i64::try_from(ns).unwrap())?;
            taken.push(record);
            if rng.random_range(0..4) == 0 {
                log.commit()?;
            }
        }
        log.close().map(|_| ())
    };
    let result = run();
    let durable = log.durable_seq();
    (taken, durable, result)
}

/// What is read must be a prefix of `taken` and hold at least `durable` of it.
fn assert_prefix(disk: &SimDisk, taken: &[Record], durable: u64, context: &str) {
    let (items, end) = support::read_all(shared(disk), &support::dir());
    assert!(end.is_ok(), "{context}: {}", end.unwrap_err());
    let read = support::records(&items);
    assert!(read.len() as u64 >= durable, "{context}: {} of {durable} durable records", read.len());
    assert!(read.len() <= taken.len() && read == taken[..read.len()], "{context}: not a prefix");
    for (item, seq) in items.iter().zip(1..) {
        assert_eq!(item.seq, seq, "{context}");
    }
}

#[test]
fn j1_crash_at_every_byte_leaves_a_prefix() {
    let mut rng = SmallRng::seed_from_u64(seed(21));
    let disk = SimDisk::default();
    let mut log = support::open_log(&shared(&disk), support::small_log(), 1).unwrap();
    let records: Vec<Record> = (0..20).map(|_| support::record(&mut rng)).collect();
    let mut ends = Vec::new();
    for (at, record) in (0..).zip(&records) {
        append(&mut log, record, at).unwrap();
        ends.push(SEGMENT_HEADER_BYTES + usize::try_from(log.bytes_framed()).unwrap());
    }
    log.close().unwrap();
    let path = support::dir().join(segment_name(1));
    let whole = disk.bytes(&path);
    assert_eq!(ends.last(), Some(&whole.len()), "closing gives the unused space back");
    for cut in 0..=whole.len() {
        for zeros in [0, 512] {
            let disk = SimDisk::default();
            let mut bytes = whole[..cut].to_vec();
            bytes.resize(cut + zeros, 0);
            disk.put(&path, &bytes);
            let opened = support::open_log(&shared(&disk), support::small_log(), 2);
            if cut < SEGMENT_HEADER_BYTES {
                // The header was durable before the file had its name: this is damage, and is refused with nothing changed.
                assert!(matches!(opened, Err(JournalError::Corrupt { ref bad }) if bad.seq == 1), "{cut}");
                assert_eq!(disk.bytes(&path), bytes);
                continue;
            }
            let mut log = opened.unwrap();
            // By content: where a hash ends on zeros, the zeros that follow the cut make it whole again.
            let kept = ends.iter().filter(|&&end| bytes.get(..end) == Some(&whole[..end])).count();
            assert_eq!(log.last_seq(), kept as u64, "cut at {cut} with {zeros} zeros");
            append(&mut log, &records[0], 99).unwrap();
            log.close().unwrap();
            let mut expected = records[..kept].to_vec();
            expected.push(records[0]);
            assert_prefix(&disk, &expected, expected.len() as u64, "goes on after the cut");
            assert!(verify_on(shared(&disk), &support::dir(), None).unwrap().is_good());
        }
    }
}

#[test]
fn j1_a_cut_in_a_segment_that_has_a_successor_is_refused() {
    let mut rng = SmallRng::seed_from_u64(seed(22));
    let disk = SimDisk::default();
    let config = LogConfig { segment_bytes: 2_000, ..support::small_log() };
    let (_, _, result) = session(&disk, config, 1, 40, &mut rng);
    result.unwrap();
    let path = support::dir().join(segment_name(1));
    let whole = disk.bytes(&path);
    for cut in (0..whole.len()).step_by(7) {
        let disk = disk.copy();
        disk.put(&path, &whole[..cut]);
        let error = support::open_log(&shared(&disk), config, 2).unwrap_err();
        assert!(matches!(error, JournalError::Corrupt { .. }), "cut at {cut}: {error}");
        assert!(error.to_string().contains("00000001.seg") || error.to_string().contains("00000002.seg"));
    }
}

/// The segment's bytes before and after an unsynced write of four sectors, all its records, and how many were durable.
fn torn_material(rng: &mut SmallRng, sector: usize) -> (Vec<u8>, Vec<u8>, Vec<Record>, usize) {
    let (durable, others) = (5, 4 * sector / 160);
    let records: Vec<Record> = (0..durable + others).map(|_| support::record(rng)).collect();
    let disk = SimDisk::default();
    let path = support::dir().join(segment_name(1));
    let mut log = support::open_log(&shared(&disk), support::small_log(), 1).unwrap();
    for record in &records[..durable] {
        append(&mut log, record, 1).unwrap();
    }
    log.commit().unwrap();
    let mut old = disk.bytes(&path);
    for record in &records[durable..] {
        append(&mut log, record, 2).unwrap();
    }
    log.commit().unwrap();
    let new = disk.bytes(&path);
    old.resize(new.len(), 0);
    (old, new, records, durable)
}

#[test]
fn j2_torn_last_sectors_in_all_combinations() {
    let mut rng = SmallRng::seed_from_u64(seed(23));
    let path = support::dir().join(segment_name(1));
    for sector in [512, 4096] {
        let (old, new, records, durable) = torn_material(&mut rng, sector);
        let first = old.iter().zip(&new).position(|(a, b)| a != b).unwrap();
        let last = new.iter().rposition(|&b| b != 0).unwrap();
        let end = last / sector;
        let start = (first / sector).max(end.saturating_sub(3));
        let sectors: Vec<usize> = (start..=end).collect();
        for combination in 0..4usize.pow(u32::try_from(sectors.len()).unwrap()) {
            let mut bytes = new.clone();
            for (nth, &at) in sectors.iter().enumerate() {
                // Bytes that had been durable are overwritten with themselves, safely; see the journal's assumptions.
                let range = (at * sector).max(first)..((at + 1) * sector).min(bytes.len());
                match combination >> (2 * nth) & 3 {
                    0 => bytes[range.clone()].copy_from_slice(&old[range]),
                    1 => {}
                    2 => bytes[range].fill(0),
                    _ => rng.fill_bytes(&mut bytes[range]),
                }
            }
            let disk = SimDisk::default();
            disk.put(&path, &bytes);
            let log = support::open_log(&shared(&disk), support::small_log(), 2)
                .unwrap_or_else(|e| panic!("combination {combination} of {sector}: {e}"));
            drop(log);
            assert_prefix(&disk, &records, durable as u64, &format!("combination {combination} of {sector}"));
        }
    }
}

#[test]
fn j2_a_sector_of_durable_records_turned_into_garbage_is_never_accepted() {
    // Beyond what the journal promises (a disk that overwrites unsafely): still a prefix or a refusal, nothing else.
    let mut rng = SmallRng::seed_from_u64(seed(24));
    let path = support::dir().join(segment_name(1));
    let (_, new, records, durable) = torn_material(&mut rng, 512);
    let mut refused = 0;
    for at in 0..new.len() / 512 {
        for garbage in [false, true] {
            let mut bytes = new.clone();
            let range = at * 512..(at + 1) * 512;
            bytes[range.clone()].fill(0);
            if garbage {
                rng.fill_bytes(&mut bytes[range.clone()]);
            }
            if bytes[range.clone()] == new[range] {
                continue;
            }
            let disk = SimDisk::default();
            disk.put(&path, &bytes);
            match support::open_log(&shared(&disk), support::small_log(), 2) {
                Ok(_) => assert_prefix(&disk, &records, 0, "garbage"),
                Err(JournalError::Corrupt { bad }) => {
                    assert!(bad.seq <= durable as u64, "only what had been durable is refused: {bad}");
                    assert_eq!(disk.bytes(&path), bytes, "a refusal changes nothing");
                    refused += 1;
                }
                Err(e) => panic!("{e}"),
            }
        }
    }
    assert!(refused >= 2, "records written later knew the damaged ones as durable: {refused}");
}

#[test]
fn j3_no_flipped_bit_is_accepted() {
    let mut rng = SmallRng::seed_from_u64(seed(25));
    let disk = SimDisk::default();
    let mut log = support::open_log(&shared(&disk), support::small_log(), 1).unwrap();
    let records: Vec<Record> = (0..6).map(|_| support::record(&mut rng)).collect();
    for (at, record) in (0..).zip(&records) {
        append(&mut log, record, at).unwrap();
        log.commit().unwrap();
    }
    let path = support::dir().join(segment_name(1));
    // With some of the zeros behind it: they are part of the file.
    let mut whole = disk.bytes(&path);
    whole.truncate(SEGMENT_HEADER_BYTES + usize::try_from(log.bytes_framed()).unwrap() + 64);
    drop(log);
    for bit in 0..whole.len() * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let disk = SimDisk::default();
        disk.put(&path, &bytes);
        let report = verify_on(shared(&disk), &support::dir(), None).unwrap();
        assert!(!report.is_good(), "bit {bit} flipped and not seen");
        let (items, end) = support::read_all(shared(&disk), &support::dir());
        assert!(!matches!(end, Ok(true)), "bit {bit} flipped and read to a clean end");
        let read = support::records(&items);
        assert!(read == records[..read.len()], "bit {bit}: not a prefix");
        // Every commit is known to the next record: damage there is told apart from a torn tail.
        let below = report.first_bad.is_some_and(|bad| bad.seq < records.len() as u64 - 1);
        if below {
            let opened = support::open_log(&shared(&disk.copy()), support::small_log(), 2);
            assert!(
                matches!(opened, Err(JournalError::Corrupt { .. })),
                "bit {bit}: damage taken for a crash"
            );
        }
    }
}

fn crashes() -> [Crash; 4] {
    [Crash::Lost, Crash::Kept, Crash::Torn(512), Crash::Torn(4096)]
}

/// One life of a data directory: an epoch, a session with rotations, both until the disk gives up.
fn life(disk: &SimDisk, rng: &mut SmallRng) -> (Option<u32>, Vec<Record>, u64, bool) {
    let config = LogConfig { segment_bytes: 3_000, step_bytes: 1_024, check_bytes: 1 << 30 };
    let Ok(epoch) = epoch::next(disk, &support::dir()) else { return (None, Vec::new(), 0, false) };
    let (taken, durable, result) = session(disk, config, epoch, 60, rng);
    (Some(epoch), taken, durable, result.is_ok())
}

/// After a crash: the epoch does not repeat, a prefix is there, and the journal goes on from it.
fn second_life(
    disk: &SimDisk,
    used: Option<u32>,
    taken: &[Record],
    durable: u64,
    rng: &mut SmallRng,
    context: &str,
) {
    let config = LogConfig { segment_bytes: 3_000, step_bytes: 1_024, check_bytes: 1 << 30 };
    let fresh = epoch::next(disk, &support::dir()).unwrap_or_else(|e| panic!("{context}: {e}"));
    assert!(used.is_none_or(|used| fresh > used), "{context}: epoch {fresh} after {used:?}");
    assert_prefix(disk, taken, durable, context);
    let kept = {
        let log = support::open_log(&shared(disk), config, fresh);
        let log = log.unwrap_or_else(|e| panic!("{context}: {e}"));
        usize::try_from(log.last_seq()).unwrap()
    };
    let (more, _, result) = session(disk, config, fresh + 1, 20, rng);
    result.unwrap_or_else(|e| panic!("{context}: {e}"));
    let mut all = taken[..kept].to_vec();
    all.extend(more);
    assert_prefix(disk, &all, all.len() as u64, context);
    let report = verify_on(shared(disk), &support::dir(), None).unwrap();
    assert!(report.is_good(), "{context}: {report}");
}

#[test]
fn j4_power_loss_at_every_sync() {
    let base = seed(26);
    let mut nth = 1;
    loop {
        let mut finished = false;
        for fault in [Fault::FreezeBefore, Fault::FreezeAfter] {
            for (at, crash) in (0..).zip(crashes()) {
                let mut rng = SmallRng::seed_from_u64(base + nth * 10 + at);
                let disk = SimDisk::with_fault(Count::Syncs, nth, fault);
                let (used, taken, durable, whole) = life(&disk, &mut rng);
                finished |= whole && !disk.fault_hit();
                let after = disk.crash(crash, &mut rng);
                let context = format!("sync {nth}, {fault:?}, {crash:?}");
                second_life(&after, used, &taken, durable, &mut rng, &context);
            }
        }
        if finished {
            break;
        }
        nth += 1;
    }
    assert!(nth > 20, "the workload has few syncs: {nth}");
}

#[test]
fn j4_power_loss_at_every_call() {
    let base = seed(27);
    let mut nth = 1;
    loop {
        let crash = crashes()[usize::try_from(nth % 4).unwrap()];
        let mut rng = SmallRng::seed_from_u64(base + nth);
        let disk = SimDisk::with_fault(Count::All, nth, Fault::FreezeBefore);
        let (used, taken, durable, _) = life(&disk, &mut rng);
        let after = disk.crash(crash, &mut rng);
        second_life(&after, used, &taken, durable, &mut rng, &format!("call {nth}, {crash:?}"));
        if !disk.fault_hit() {
            break;
        }
        nth += 1;
    }
    assert!(nth > 40, "the workload has few calls: {nth}");
}

#[test]
fn j5_a_log_with_a_failed_call_takes_nothing_more_and_never_syncs_again() {
    const EIO: i32 = 5;
    const ENOSPC: i32 = 28;
    const EINTR: i32 = 4;
    let base = seed(28);
    for fault in [Fault::Errno(EIO), Fault::Errno(ENOSPC), Fault::Errno(EINTR), Fault::Short] {
        for nth in 1.. {
            let mut rng = SmallRng::seed_from_u64(base + nth);
            let disk = SimDisk::with_fault(Count::All, nth, fault);
            let (used, taken, durable, whole) = life(&disk, &mut rng);
            let context = format!("call {nth}, {fault:?}");
            if !disk.fault_hit() {
                break;
            }
            if !whole {
                assert_eq!(disk.syncs_after_fault(), 0, "{context}: synced again after a failure");
                assert_ne!(fault, Fault::Short, "{context}: a short write is no failure");
            }
            // The machine lives on: what a restart finds is what the page cache shows, or what survived.
            for crash in [Crash::Lost, Crash::Kept] {
                let after = disk.crash(crash, &mut rng);
                second_life(&after, used, &taken, durable, &mut rng, &context);
            }
        }
    }
}
