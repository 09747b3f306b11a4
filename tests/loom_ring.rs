//! The ring between stages under loom, which runs every interleaving of its two threads that the memory model allows and fails on
//! a value that is read while it may be written. The steps are the engine's own (`agent::line_ring`), over loom's cells.

use interlock::agent::line_ring::{Number, Place, Reader, Writer, over};
use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;

struct LoomNumber(AtomicU64);

impl Number for LoomNumber {
    fn read(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
    fn write(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }
}

struct LoomPlace {
    number: LoomNumber,
    value: UnsafeCell<u64>,
}

#[expect(unsafe_code, reason = "loom checks what the protocol promises")]
// SAFETY: loom's cell reports every access that is not ordered; that is what this test is for.
unsafe impl Sync for LoomPlace {}

impl Place<u64> for LoomPlace {
    fn number(&self) -> &impl Number {
        &self.number
    }
    #[expect(unsafe_code, reason = "as the trait")]
    unsafe fn put(&self, value: u64) {
        // SAFETY: loom fails the test if anyone else has the value.
        self.value.with_mut(|place| unsafe { *place = value });
    }
    #[expect(unsafe_code, reason = "as the trait")]
    unsafe fn lend<R>(&self, see: impl FnOnce(&u64) -> R) -> R {
        // SAFETY: as above.
        self.value.with(|place| see(unsafe { &*place }))
    }
}

type Ends = (Writer<u64, LoomPlace, LoomNumber>, Reader<u64, LoomPlace, LoomNumber>);

/// With `near` near places and room for `slots` messages.
fn ring(near: usize, slots: usize) -> Ends {
    let number = || LoomNumber(AtomicU64::new(0));
    let place = || LoomPlace { number: number(), value: UnsafeCell::new(0) };
    let places = |count: usize| (0..count).map(|_| place()).collect();
    over(places(near), places(slots), number())
}

/// Sends messages through a ring from one thread to the other: each arrives once, whole and in order, and a full ring refuses.
/// With at most `switches` switches of threads that neither asks for, if given: a bug that needs more than three of them is rare.
fn all_arrive((near, slots): (usize, usize), messages: u64, switches: Option<usize>) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = switches;
    builder.check(move || {
        let (mut writer, mut reader) = ring(near, slots);
        let sender = thread::spawn(move || {
            for message in 1..=messages {
                while writer.push(message * 10).is_err() {
                    assert!(message > slots as u64, "{slots} places take {slots} messages");
                    thread::yield_now();
                }
            }
        });
        let mut expected = 1;
        while expected <= messages {
            match reader.take(|value| *value) {
                Some(value) => {
                    assert_eq!(value, expected * 10);
                    expected += 1;
                }
                None => thread::yield_now(),
            }
        }
        sender.join().expect("the sender's end");
        assert!(reader.take(|value| *value).is_none());
    });
}

/// R-HOT-1: three messages through two places, all near.
#[test]
fn messages_arrive_once_and_in_order() {
    all_arrive((2, 2), 3, None);
}

/// R-HOT-1: past the one near place into the far ones and back, as the reader lags and catches up.
#[test]
fn messages_that_go_the_far_way_keep_their_order() {
    all_arrive((1, 2), 4, Some(3));
}

/// The room that the writer counts is never more than there is.
#[test]
fn counted_room_is_there() {
    loom::model(|| {
        let (mut writer, mut reader) = ring(1, 2);
        assert_eq!((writer.slots(), writer.capacity()), (2, 2));
        writer.push(1).unwrap();
        writer.push(2).unwrap();
        let taker = thread::spawn(move || {
            assert!(reader.take(|value| assert_eq!(*value, 1)).is_some());
            reader
        });
        let room = writer.slots();
        for message in 0..room {
            writer.push(message as u64).expect("room was counted");
        }
        drop(taker.join().unwrap());
    });
}
