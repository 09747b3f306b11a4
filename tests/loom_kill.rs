//! K1: the halt protocol under loom, which runs every interleaving of two or three threads that the memory model allows.
//! The words are loom's, the transitions are the engine's own (`shared::halt`), by the same trait.
//!
//! What loom can't show is said too: it does not model the mapping, and its view of the memory model is close to, not
//! equal to, C++'s. The orderings used are acquire and release only, which it does model.

use interlock::shared::halt::{self, HaltLevel, Word, known_level, lease_word, state};
use interlock::types::{Now, Reason};
use loom::sync::Arc;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

/// A word of the page, under loom.
struct LoomWord(AtomicU64);

impl LoomWord {
    fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }
}

impl Word for LoomWord {
    fn read(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
    fn write(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
    fn exchange(&self, current: u64, next: u64) -> Result<u64, u64> {
        self.0.compare_exchange(current, next, Ordering::AcqRel, Ordering::Acquire)
    }
}

struct Page {
    state: LoomWord,
    lease: LoomWord,
    /// What a tripper does after its trip: a reader that sees it must have to see the trip.
    after: LoomWord,
}

impl Page {
    fn armed() -> Arc<Self> {
        Arc::new(Self {
            state: LoomWord::new(state(1, Reason::None, HaltLevel::None)),
            lease: LoomWord::new(lease_word(1_000_000)),
            after: LoomWord::new(0),
        })
    }
    fn view(&self, mono_ns: i64) -> halt::HaltView {
        halt::view(&self.state, &self.lease, Now { ns: mono_ns, mono_ns })
    }
}

/// K1: whoever has seen a trip, or anything that came after it, never again sees leave to send.
#[test]
fn k1_no_send_after_the_sender_saw_the_trip() {
    loom::model(|| {
        let page = Page::armed();
        let tripper = Arc::clone(&page);
        let trip = thread::spawn(move || {
            let trip = halt::trip(&tripper.state, HaltLevel::CancelAll, Reason::Operator);
            tripper.after.write(1);
            trip
        });
        let mut seen_trip = false;
        for _ in 0..2 {
            // The gateway: reads something that the tripper wrote behind its trip, then the page, then sends.
            let knows = page.after.read() == 1;
            let view = page.view(0);
            assert!(!(knows && view.allows_risk()), "a send after the trip was known");
            assert!(!(seen_trip && view.allows_risk()), "a send after the trip was seen");
            seen_trip |= view.is_tripped();
        }
        let trip = trip.join().unwrap();
        assert!(trip.raised && trip.epoch == 2);
        assert!(!page.view(0).allows_risk());
    });
}

/// K1: two trips at once: the higher level is in force, it has its own cause, and epochs are counted once each.
#[test]
fn k1_trips_at_once_end_at_the_highest_with_its_cause() {
    loom::model(|| {
        let page = Page::armed();
        let other = Arc::clone(&page);
        let lower =
            thread::spawn(move || halt::trip(&other.state, HaltLevel::RiskOff, Reason::JournalFailed));
        let upper = halt::trip(&page.state, HaltLevel::CancelAll, Reason::Operator);
        let lower = lower.join().unwrap();
        let word = page.state.read();
        assert_eq!(known_level(word), Some(HaltLevel::CancelAll));
        assert_eq!(halt::reason_of(word), Reason::Operator);
        assert!(upper.raised, "the higher trip always raises");
        assert_eq!(halt::epoch_of(word), if lower.raised { 3 } else { 2 });
    });
}

/// K4 under loom: a trip during an arming wins, whatever the order: armed only if the trip came before and was itself what
/// the arming examined, which it was not.
#[test]
fn k1_k4_a_trip_beats_an_arming_that_examined_an_earlier_state() {
    loom::model(|| {
        let page = Arc::new(Page {
            state: LoomWord::new(state(5, Reason::Boot, HaltLevel::RiskOff)),
            lease: LoomWord::new(0),
            after: LoomWord::new(0),
        });
        let other = Arc::clone(&page);
        let armer = thread::spawn(move || halt::arm(&other.state, 5));
        let trip = halt::trip(&page.state, HaltLevel::CancelAll, Reason::Operator);
        let armed = armer.join().unwrap();
        // Either order of the two exchanges; in both the trip is in force at the end.
        assert!(trip.raised);
        assert_eq!(halt::level_of(page.state.read()), HaltLevel::CancelAll);
        assert_eq!(trip.epoch, if armed { 7 } else { 6 });
    });
}

/// K1: the lease alone stops the sender. The control thread renews or does not; after the end of the last renewal that was
/// written, no interleaving allows a send.
#[test]
fn k1_an_expired_lease_stops_the_sender_without_the_control_thread() {
    loom::model(|| {
        let page = Page::armed();
        let control = Arc::clone(&page);
        let renewal = thread::spawn(move || control.lease.write(lease_word(2_000_000)));
        let view = page.view(1_500_000);
        if view.allows_risk() {
            // Between the two leases: only because the renewal was seen, and what was seen stays seen.
            assert_eq!(page.lease.read(), lease_word(2_000_000));
        }
        assert!(!page.view(2_000_000).allows_risk(), "beyond every lease that was ever written");
        renewal.join().unwrap();
        assert!(page.view(1_999_999).allows_risk());
    });
}

/// K1: the control thread looks at the state before it renews. A sender that sees such a renewal can't have missed a trip that
/// came before the look.
#[test]
fn k1_a_renewal_after_a_trip_never_hides_the_trip() {
    loom::model(|| {
        let page = Arc::new(Page {
            state: LoomWord::new(state(1, Reason::None, HaltLevel::None)),
            lease: LoomWord::new(0),
            after: LoomWord::new(0),
        });
        let other = Arc::clone(&page);
        let control = thread::spawn(move || {
            halt::trip(&other.state, HaltLevel::RiskOff, Reason::Stall);
            // A control thread gone wrong renews although it tripped.
            other.lease.write(lease_word(1_000_000));
        });
        assert!(!page.view(0).allows_risk(), "the lease came with the trip");
        control.join().unwrap();
    });
}
