//! Tampering (J8), arbitrary bytes (J9), the journal of every released version (J10).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use interlock::event::Record;
use interlock::journal::codec::{encode_record, kind, record_kind};
use interlock::journal::frame::{
    self, Hash, RecordHeader, SEGMENT_HEADER_BYTES, SegmentHeader, decode_unlinked, encode_frame,
};
use interlock::journal::image::{Image, read_any};
use interlock::journal::note::{NoteError, VerifyingKey};
use interlock::journal::scan::segment_name;
use interlock::journal::verify::{Report, verify_on};
use interlock::journal::{
    Checkpoint, Disk, Entry, JournalError, Reader, Renderer, SigningKey, checkpoint, verify,
    verify_checkpoint,
};
use rand::rngs::SmallRng;
use rand::{Rng, RngCore, SeedableRng};

use crate::journal_disk::SimDisk;
use crate::journal_support as support;
use crate::support::seed;

/// A segment taken apart.
#[derive(Clone)]
struct Segment {
    header: SegmentHeader,
    frames: Vec<Vec<u8>>,
}

fn segment(chain: u8, count: usize, rng: &mut SmallRng) -> Segment {
    let disk = SimDisk::default();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let identity = interlock::journal::log::Identity { chain_id: [chain; 16], ..support::identity(1) };
    let opened = interlock::journal::log::Log::open(
        shared,
        &support::dir(),
        support::small_log(),
        identity,
        support::at(1),
    );
    let (mut log, _) = opened.unwrap();
    for _ in 0..count {
        let record = support::record(rng);
        let encode = |out: &mut Vec<u8>| {
            encode_record(&record, out);
            Ok(())
        };
        log.append_with(record_kind(&record), support::at(2), encode).unwrap();
        log.commit().unwrap();
    }
    log.close().unwrap();
    take_apart(&disk.bytes(&support::dir().join(segment_name(1))))
}

fn take_apart(bytes: &[u8]) -> Segment {
    let header = SegmentHeader::decode(bytes).unwrap();
    let mut frames = Vec::new();
    let mut at = SEGMENT_HEADER_BYTES;
    while at < bytes.len() {
        let frame = decode_unlinked(&bytes[at..]).unwrap();
        frames.push(bytes[at..at + frame.bytes].to_vec());
        at += frame.bytes;
    }
    Segment { header, frames }
}

impl Segment {
    fn bytes(&self) -> Vec<u8> {
        let mut out = self.header.encode().to_vec();
        for frame in &self.frames {
            out.extend_from_slice(frame);
        }
        out
    }

    fn verify(&self, checkpoint: Option<&Checkpoint>) -> Report {
        let disk = SimDisk::default();
        disk.put(&support::dir().join(segment_name(self.header.index)), &self.bytes());
        verify_on(Arc::new(disk), &support::dir(), checkpoint).unwrap()
    }

    fn checkpoint(&self) -> Checkpoint {
        let report = self.verify(None);
        Checkpoint {
            origin: Checkpoint::origin_of(&self.header.chain_id),
            size: report.last_seq,
            head: report.head,
            wall_ns: 1_700_000_000_123_456_789,
        }
    }

    /// Writes the record anew with other contents and a right checksum; `rechain` also writes all hashes from there on anew.
    fn edit(&mut self, at: usize, rechain: bool) {
        let old = decode_unlinked(&self.frames[at]).unwrap();
        let (header, mut payload) = (old.header, old.payload.to_vec());
        // A fact's time of reception: any value is a valid one.
        payload[8] ^= 1;
        let mut link = if at == 0 { self.header.link() } else { self.hash(at - 1) };
        self.frames[at] = reframe(header, &payload, &mut link);
        if !rechain {
            return;
        }
        for next in at + 1..self.frames.len() {
            let old = decode_unlinked(&self.frames[next]).unwrap();
            let (header, payload) = (old.header, old.payload.to_vec());
            self.frames[next] = reframe(header, &payload, &mut link);
        }
    }

    fn hash(&self, at: usize) -> Hash {
        decode_unlinked(&self.frames[at]).unwrap().hash
    }
}

fn reframe(header: RecordHeader, payload: &[u8], link: &mut Hash) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame::<()>(&mut out, header, link, |out| {
        out.extend_from_slice(payload);
        Ok(())
    })
    .unwrap();
    out
}

/// A journal whose records from `FIRST_FACT` on are facts, so that an edit gives a valid record.
fn facts(chain: u8, rng: &mut SmallRng) -> Segment {
    loop {
        let segment = segment(chain, 12, rng);
        if segment.frames.iter().all(|f| decode_unlinked(f).unwrap().header.kind == kind::FACT) {
            return segment;
        }
    }
}

fn first_bad(report: &Report) -> u64 {
    report.first_bad.as_ref().map_or(0, |bad| bad.seq)
}

#[test]
fn j8_verify_names_the_first_bad_record() {
    let mut rng = SmallRng::seed_from_u64(seed(41));
    let good = facts(1, &mut rng);
    let other = facts(2, &mut rng);
    assert!(good.verify(None).is_good());
    for at in 0..good.frames.len() {
        let seq = at as u64 + 1;
        let last = at + 1 == good.frames.len();

        let mut flipped = good.clone();
        flipped.frames[at][50] ^= 4;
        assert_eq!(first_bad(&flipped.verify(None)), seq, "edit without a new checksum");

        let mut edited = good.clone();
        edited.edit(at, false);
        // Its own hash was written anew; the next record still follows from the old one.
        assert_eq!(
            first_bad(&edited.verify(None)),
            if last { 0 } else { seq + 1 },
            "edit with a new checksum and hash"
        );
        assert_eq!(first_bad(&edited.verify(Some(&good.checkpoint()))), if last { seq } else { seq + 1 });

        let mut deleted = good.clone();
        deleted.frames.remove(at);
        assert_eq!(first_bad(&deleted.verify(None)), if last { 0 } else { seq }, "delete");
        assert_eq!(
            first_bad(&deleted.verify(Some(&good.checkpoint()))),
            seq,
            "delete, against the checkpoint"
        );

        let mut inserted = good.clone();
        inserted.frames.insert(at, good.frames[at].clone());
        assert_eq!(first_bad(&inserted.verify(None)), seq + 1, "insert a copy");

        let mut spliced = good.clone();
        spliced.frames[at].clone_from(&other.frames[at]);
        assert_eq!(first_bad(&spliced.verify(None)), seq, "splice from another run");

        if !last {
            let mut reordered = good.clone();
            reordered.frames.swap(at, at + 1);
            assert_eq!(first_bad(&reordered.verify(None)), seq, "reorder");
        }
    }
    let foreign = Segment { header: other.header, frames: good.frames };
    assert_eq!(first_bad(&foreign.verify(None)), 1, "records under another header");
}

#[test]
fn j8_only_a_checkpoint_shows_a_cut_tail_and_a_chain_written_anew() {
    let mut rng = SmallRng::seed_from_u64(seed(42));
    let good = facts(1, &mut rng);
    let signed = good.checkpoint();
    for keep in 0..good.frames.len() {
        let mut cut = good.clone();
        cut.frames.truncate(keep);
        assert!(cut.verify(None).is_good(), "the chain alone can't know");
        let report = cut.verify(Some(&signed));
        assert_eq!(first_bad(&report), keep as u64 + 1);
        assert!(!report.torn, "below a checkpoint nothing is a mere crash");
    }
    for at in 0..good.frames.len() {
        let mut rewritten = good.clone();
        rewritten.edit(at, true);
        assert!(rewritten.verify(None).is_good(), "the chain alone can't know");
        let report = rewritten.verify(Some(&signed));
        assert_eq!(first_bad(&report), signed.size);
        assert!(report.first_bad.unwrap().why.contains("written anew"));
    }
    let other = facts(2, &mut rng);
    let report = other.verify(Some(&signed));
    assert!(report.first_bad.unwrap().why.contains("the checkpoint is of interlock-journal/0101"));
    // A journal that has grown since is fine.
    let mut earlier = good.clone();
    earlier.frames.truncate(4);
    assert!(good.verify(Some(&earlier.checkpoint())).is_good());
}

#[test]
fn j8_segments_can_not_be_taken_out_or_exchanged() {
    let mut rng = SmallRng::seed_from_u64(seed(43));
    let build = |rng: &mut SmallRng| {
        let disk = SimDisk::default();
        let config = interlock::journal::log::LogConfig {
            segment_bytes: 1_500,
            step_bytes: 512,
            check_bytes: 1 << 30,
        };
        let mut log = support::open_log(&(Arc::new(disk.clone()) as Arc<dyn Disk>), config, 1).unwrap();
        for _ in 0..40 {
            let record = support::record(rng);
            let encode = |out: &mut Vec<u8>| {
                encode_record(&record, out);
                Ok(())
            };
            log.append_with(record_kind(&record), support::at(2), encode).unwrap();
        }
        log.close().unwrap();
        disk
    };
    let (disk, other) = (build(&mut rng), build(&mut rng));
    let path = |index| support::dir().join(segment_name(index));
    let report = verify_on(Arc::new(disk.clone()), &support::dir(), None).unwrap();
    assert!(report.is_good() && report.segments >= 4, "{report}");
    for index in 1..u32::try_from(report.segments).unwrap() {
        let seq0 = SegmentHeader::decode(&disk.bytes(&path(index))).unwrap().seq0;
        let without = disk.copy();
        without.remove(&path(index)).unwrap();
        let shared: Arc<dyn Disk> = Arc::new(without.clone());
        let bad = verify_on(Arc::clone(&shared), &support::dir(), None).unwrap().first_bad.unwrap();
        assert_eq!(bad.seq, seq0, "segment {index} taken out");
        if index > 1 {
            let refused = support::open_log(&shared, support::small_log(), 2).unwrap_err();
            assert!(matches!(refused, JournalError::Corrupt { .. }), "{refused}");
        }
        let exchanged = disk.copy();
        exchanged.put(&path(index), &other.bytes(&path(index)));
        let bad = verify_on(Arc::new(exchanged), &support::dir(), None).unwrap().first_bad.unwrap();
        assert!(bad.seq >= seq0, "segment {index} from another run: {bad}");
    }
}

#[test]
fn checkpoints_are_signed_notes_and_nothing_in_them_can_be_changed() {
    let mut rng = SmallRng::seed_from_u64(seed(44));
    let temporary = tempfile::tempdir().unwrap();
    let dir = temporary.path().join("journal");
    std::fs::create_dir(&dir).unwrap();
    let good = facts(1, &mut rng);
    std::fs::write(dir.join(segment_name(1)), good.bytes()).unwrap();
    let key_path = temporary.path().join("checkpoint.key");
    let key = SigningKey::load_or_create(&key_path, "interlock-test").unwrap();
    let again = SigningKey::load_or_create(&key_path, "interlock-test").unwrap();
    assert_eq!(key.verifying(), again.verifying(), "the key is kept");
    let public: VerifyingKey = key.verifying().to_string().parse().unwrap();
    assert_eq!(public, key.verifying());

    let (signed, note) = checkpoint(&dir, &key, 1_700_000_000_000_000_000).unwrap();
    assert_eq!(verify_checkpoint(&note, &public).as_ref(), Ok(&signed));
    assert!(verify(&dir, Some(&signed)).unwrap().is_good());
    assert_eq!(note.lines().nth(1), Some("12"), "{note}");
    for at in 0..note.len() {
        let mut bytes = note.clone().into_bytes();
        bytes[at] ^= 1;
        let Ok(changed) = String::from_utf8(bytes) else { continue };
        let result = verify_checkpoint(&changed, &public);
        // The last base64 digit may carry bits that are not used; nothing else may change.
        assert!(result.is_err() || result.as_ref() == Ok(&signed), "byte {at} changed: {changed}");
    }
    // A witness's signature beside ours does no harm; alone it is none of ours.
    let other = SigningKey::load_or_create(&temporary.path().join("other.key"), "witness").unwrap();
    let foreign = other.sign(&signed);
    let witness_line = foreign.lines().last().unwrap();
    assert_eq!(verify_checkpoint(&format!("{note}{witness_line}\n"), &public), Ok(signed));
    assert_eq!(
        verify_checkpoint(&foreign, &public),
        Err(NoteError::NoSignature { key: "interlock-test".to_owned() })
    );
}

#[test]
fn r_gate_9_a_signing_key_that_others_can_read_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let temporary = tempfile::tempdir().unwrap();
    let path = temporary.path().join("checkpoint.key");
    SigningKey::load_or_create(&path, "k").unwrap();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let error = SigningKey::load_or_create(&path, "k").unwrap_err().to_string();
    assert!(error.contains("0644") && error.contains("0600"), "{error}");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&path, "something else").unwrap();
    let error = SigningKey::load_or_create(&path, "k").unwrap_err().to_string();
    assert!(error.contains("not a key file") && error.contains("Move the file away"), "{error}");
}

#[test]
fn j9_no_bytes_make_the_reader_panic_loop_or_lie() {
    let mut rng = SmallRng::seed_from_u64(seed(45));
    let good = segment(1, 30, &mut rng).bytes();
    let whole = read_any(&good);
    assert_eq!(whole, 30);
    for _ in 0..3_000 {
        let mut bytes = good.clone();
        for _ in 0..rng.random_range(1..4) {
            if bytes.is_empty() {
                break;
            }
            let at = rng.random_range(0..bytes.len());
            match rng.random_range(0..6) {
                0 => bytes[at] = rng.random(),
                1 => bytes.truncate(at),
                2 => {
                    let end = (at + rng.random_range(0..64)).min(bytes.len());
                    bytes.drain(at..end);
                }
                3 => {
                    let end = (at + rng.random_range(0..200)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    bytes.splice(at..at, piece);
                }
                4 => {
                    let end = (at + 8).min(bytes.len());
                    bytes[at..end].fill(if rng.random() { 0xFF } else { 0 });
                }
                _ => {
                    let mut garbage = vec![0; rng.random_range(0..300)];
                    rng.fill_bytes(&mut garbage);
                    bytes.extend_from_slice(&garbage);
                }
            }
        }
        assert!(read_any(&bytes) <= whole);
    }
    for len in 0..2_000 {
        let mut bytes = vec![0; len];
        rng.fill_bytes(&mut bytes);
        assert_eq!(read_any(&bytes), 0);
    }
}

#[test]
fn j9_payloads_behind_good_hashes_are_errors_not_panics() {
    // What an attacker who owns the machine can write: sound frames, arbitrary contents.
    let mut rng = SmallRng::seed_from_u64(seed(46));
    let good = segment(1, 1, &mut rng);
    for _ in 0..20_000 {
        let kind = if rng.random() { rng.random_range(0..24) } else { rng.random() };
        let mut payload = vec![0; rng.random_range(0..150)];
        rng.fill_bytes(&mut payload);
        if rng.random() {
            for byte in &mut payload {
                *byte %= 12;
            }
        }
        let mut link = good.header.link();
        let version = if rng.random_range(0..8) == 0 { 2 } else { 1 };
        let header = RecordHeader { kind, version, seq: 1, durable: 0, mono_ns: 0, wall_ns: rng.random() };
        let frames = vec![reframe(header, &payload, &mut link)];
        let bytes = Segment { header: good.header, frames }.bytes();
        read_any(&bytes);
        let first = Image::new(&bytes).reader().unwrap().next();
        if let Some(Err(error)) = first {
            let text = error.to_string();
            assert!(text.contains("record 1 (") && text.contains("00000001.seg"), "{text}");
            if kind::name(kind).is_none() {
                assert!(text.contains(&format!("record type {kind} is not known")), "{text}");
            }
        }
    }
}

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/journal/v1")
}

fn golden_entries() -> Vec<Entry> {
    let mut rng = SmallRng::seed_from_u64(1);
    let mut entries = support::cold_entries();
    for kind in 0..support::FACT_BODIES {
        let fact = interlock::event::Fact {
            seq: u64::from(kind) + 1,
            recv_ns: 5,
            body: support::body(&mut rng, kind),
        };
        entries.push(Entry::Record(Record::Fact(fact)));
    }
    for _ in 0..8 {
        entries.push(Entry::Record(Record::Intent(support::intent(&mut rng))));
        entries.push(Entry::Record(Record::Decision(support::decision(&mut rng))));
        entries.push(Entry::Record(Record::Sent(support::sent(&mut rng))));
        entries.push(Entry::Record(Record::Note(support::note(&mut rng))));
    }
    entries
}

#[test]
#[ignore = "writes the fixture of j10; run it once for a new format version"]
fn j10_write_golden() {
    let dir = fixture();
    std::fs::create_dir_all(&dir).unwrap();
    let disk: Arc<dyn Disk> = Arc::new(interlock::journal::RealDisk);
    let opened = interlock::journal::log::Log::open(
        disk,
        &dir,
        support::small_log(),
        support::identity(1),
        support::at(0),
    );
    let (mut log, _) = opened.unwrap();
    for (ns, entry) in (0..).zip(golden_entries()) {
        log.append(&entry, support::at(ns)).unwrap();
    }
    log.close().unwrap();
    let mut renderer = Renderer::new();
    let lines: Vec<String> =
        Reader::open(&dir).unwrap().map(|item| renderer.json(&item.unwrap()).to_string()).collect();
    std::fs::write(dir.join("expected.jsonl"), lines.join("\n") + "\n").unwrap();
}

#[test]
fn j10_journals_of_every_released_version_are_read() {
    let dir = fixture();
    assert!(verify(&dir, None).unwrap().is_good());
    let expected = std::fs::read_to_string(dir.join("expected.jsonl")).unwrap();
    let mut renderer = Renderer::new();
    let mut expected = expected.lines();
    for item in Reader::open(&dir).unwrap() {
        let item = item.unwrap();
        assert_eq!(Some(renderer.json(&item).to_string().as_str()), expected.next());
        // And today's encoder still writes the same bytes.
        if let Entry::Record(record) = &item.entry {
            let mut bytes = Vec::new();
            encode_record(record, &mut bytes);
            assert_eq!(Entry::decode(record_kind(record), frame::RECORD_VERSION, &bytes), Ok(item.entry));
        }
    }
    assert_eq!(expected.next(), None);
}
