//! The two rings of the engine against a queue that is plainly right: whatever is pushed and taken in whatever order, the same
//! comes out, the same is refused, and the same is counted. What two threads may see of each other is shown by
//! `tests/loom_ring.rs`; here are the places: the wrap, the last free slot, a ring of one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use interlock::agent::line_ring::{self, Number, Place};
use interlock::agent::ring;
use proptest::prelude::*;

/// A run of pushes, or of takes. Runs and not single steps, so that rings get full and empty, time and again.
#[derive(Clone, Copy, Debug)]
enum Run {
    Push(usize),
    Take(usize),
}

fn runs() -> impl Strategy<Value = Vec<Run>> {
    let run = prop_oneof![(1..30usize).prop_map(Run::Push), (1..30usize).prop_map(Run::Take)];
    prop::collection::vec(run, 1..60)
}

/// The queue that is plainly right.
struct Model {
    queue: VecDeque<u64>,
    capacity: usize,
    next: u64,
}

impl Model {
    fn new(capacity: usize) -> Self {
        Self { queue: VecDeque::new(), capacity, next: 1 }
    }
    /// The next value, and whether there is room for it. A refused value is offered again: none may be lost.
    fn push(&mut self) -> (u64, bool) {
        let value = self.next;
        let has_room = self.queue.len() < self.capacity;
        if has_room {
            self.queue.push_back(value);
            self.next += 1;
        }
        (value, has_room)
    }
    fn room(&self) -> usize {
        self.capacity - self.queue.len()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// `agent::ring`: its push takes two slots to fetch the second, and must fill only the first.
    #[test]
    fn r_hot_1_the_ring_is_a_queue(capacity in 1..9usize, runs in runs()) {
        let (mut producer, mut consumer) = ring::ring(capacity, u64::MAX);
        let mut model = Model::new(capacity);
        prop_assert_eq!(producer.capacity(), capacity);
        for run in runs {
            match run {
                Run::Push(times) => for _ in 0..times {
                    let (value, has_room) = model.push();
                    let pushed = producer.push(value);
                    let given_back = pushed.err().map(|ring::PushError::Full(value)| value);
                    prop_assert_eq!(given_back, (!has_room).then_some(value));
                },
                Run::Take(times) => for _ in 0..times {
                    prop_assert_eq!(consumer.pop().ok(), model.queue.pop_front());
                },
            }
            prop_assert_eq!((producer.slots(), consumer.slots()), (model.room(), model.queue.len()));
        }
        drop(producer);
        prop_assert!(consumer.is_abandoned());
        while let Some(expected) = model.queue.pop_front() {
            prop_assert_eq!(consumer.pop().ok(), Some(expected), "what was pushed outlives who pushed it");
        }
        prop_assert!(consumer.pop().is_err());
    }

    /// `agent::line_ring`, taken as a copy and where it lies by turns.
    #[test]
    fn r_hot_1_the_ring_between_stages_is_a_queue(capacity in 1..40usize, runs in runs()) {
        let (mut writer, mut reader) = line_ring::ring(capacity, u64::MAX);
        let mut model = Model::new(capacity);
        prop_assert_eq!(writer.capacity(), capacity);
        for run in runs {
            match run {
                Run::Push(times) => for _ in 0..times {
                    let (value, has_room) = model.push();
                    prop_assert_eq!(writer.push(value).err(), (!has_room).then_some(value));
                },
                Run::Take(times) => for turn in 0..times {
                    let taken = if turn % 2 == 0 { reader.pop() } else { reader.take(|value| *value) };
                    prop_assert_eq!(taken, model.queue.pop_front());
                },
            }
            prop_assert_eq!((writer.slots(), reader.waiting()), (model.room(), model.queue.len()));
        }
        drop(writer);
        while let Some(expected) = model.queue.pop_front() {
            prop_assert_eq!(reader.pop(), Some(expected), "what was pushed outlives who pushed it");
        }
        prop_assert!(reader.pop().is_none());
    }
}

/// Values of more than a word, over many laps and with both ends on threads of their own: every one whole, once, in order.
#[test]
fn r_hot_1_whole_values_arrive_in_order_between_threads() {
    for capacity in [1usize, 2, 3, 64, 200] {
        // With one slot each value is a change of threads, which on a busy host takes milliseconds.
        let count = 200 * capacity as u64;
        let (mut producer, mut consumer) = ring::ring(capacity, [0u64; 6]);
        let (mut writer, mut reader) = line_ring::ring(capacity, [0u64; 6]);
        let sender = interlock::agent::runner::start_cold("sender", move || {
            for n in 1..=count {
                while producer.push([n; 6]).is_err() {
                    std::thread::yield_now();
                }
                while writer.push([n; 6]).is_err() {
                    std::thread::yield_now();
                }
            }
        });
        let (mut by_ring, mut by_line) = (0, 0);
        while by_ring < count || by_line < count {
            if let Ok(value) = consumer.pop() {
                by_ring += 1;
                assert_eq!(value, [by_ring; 6], "ring of {capacity}");
            }
            if let Some(value) = reader.pop() {
                by_line += 1;
                assert_eq!(value, [by_line; 6], "line ring of {capacity}");
            } else {
                std::thread::yield_now();
            }
        }
        sender.unwrap().join().unwrap();
        assert!(consumer.pop().is_err() && reader.pop().is_none());
    }
}

/// A place that counts what is asked of it.
#[derive(Default)]
struct Counted {
    number: AtomicU64,
    value: AtomicU64,
    hints: AtomicU64,
}

impl Place<u64> for &'static Counted {
    fn number(&self) -> &impl Number {
        &self.number
    }
    #[expect(unsafe_code, reason = "as the trait; here nothing can go wrong")]
    unsafe fn put(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed); // one thread
    }
    #[expect(unsafe_code, reason = "as the trait; here nothing can go wrong")]
    unsafe fn lend<R>(&self, see: impl FnOnce(&u64) -> R) -> R {
        see(&self.value.load(Ordering::Relaxed)) // one thread
    }
    fn expect(&self) {
        self.hints.fetch_add(1, Ordering::Relaxed); // one thread
    }
}

/// Messages go through the near places until these are in use, then through the far ones in turn; the hint goes to the far place
/// that is written next, past the end to the first; a refused push gives none.
#[test]
fn the_far_place_that_comes_next_is_asked_for() {
    let places =
        |count: usize| -> Vec<&'static Counted> { (0..count).map(|_| &*Box::leak(Box::default())).collect() };
    let (near, far) = (places(1), places(3));
    let hints = || far.iter().map(|place| place.hints.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let boxed = |places: &Vec<&'static Counted>| places.clone().into_boxed_slice();
    let (mut writer, mut reader) = line_ring::over(boxed(&near), boxed(&far), AtomicU64::new(0));
    let expected = [[0, 0, 0], [0, 1, 0], [0, 1, 1]];
    for (value, expected) in expected.iter().enumerate() {
        writer.push(value as u64).unwrap();
        assert_eq!(hints(), expected);
    }
    assert_eq!(writer.push(9), Err(9), "full");
    assert_eq!(hints(), [0, 1, 1]);
    assert_eq!(reader.pop(), Some(0));
    writer.push(9).unwrap();
    assert_eq!(hints(), [1, 1, 1], "the near place is free, but later messages wait: far");
    assert_eq!([reader.pop(), reader.pop(), reader.pop(), reader.pop()], [Some(1), Some(2), Some(9), None]);
    writer.push(10).unwrap();
    assert_eq!(near[0].value.load(Ordering::Relaxed), 10, "the reader keeps up again");
    assert_eq!((hints(), reader.pop()), (vec![1, 1, 1], Some(10)));
    assert_eq!(near[0].hints.load(Ordering::Relaxed), 0, "near places are at hand");
}

#[test]
#[should_panic(expected = "a ring without a place")]
fn a_ring_between_stages_has_a_slot() {
    let _ends = line_ring::ring(0, 0u64);
}
