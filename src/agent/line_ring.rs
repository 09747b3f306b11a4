//! The ring between two stages: single producer, single consumer, wait-free, with the message's number in its slot.
//!
//! Why not `rtrb`, which serves every other ring of the engine: there the reader waits for the write index and then reads
//! the slot, two cache lines that come from the other core one after the other; here it waits for the slot itself. Side by
//! side (`cargo bench --bench line -- hop`) a hop takes about 1.1 times what a bare atomic takes, against 1.75 to 1.9. Between
//! stages that is on every order's way; to the journal it is not.
//!
//! Two sets of places. A ring that holds thousands of messages is walked from end to end, so the next slot is always one that
//! has long left both cores' nearest caches. As long as the reader keeps up, messages therefore go through a few *near* places,
//! over and over; only when these are all in use do they go through the *far* ones, of which there are as many as the ring
//! holds. The message's number says where it is: the reader finds message `n` in its near place or in the next far one.
//!
//! The protocol. A place holds a number and a value. The writer fills the value of message `n` (from 1) and then stores `n`
//! as the place's number (release); the reader sees `n` there (acquire), reads the value, and then stores `n` as the count of
//! what was taken (release). The writer uses a place again only when it has seen (acquire) that the message which stood there
//! was taken: a near place serves every `near.len()`th message, and is free when fewer than so many wait; the far ones are used
//! in turn, and the next one is free when fewer than `far.len()` messages wait, wherever they are. So each value is
//! written and read by one side at a time. The steps are written over two small traits, so that the very same code runs under
//! loom (`tests/loom_ring.rs`).

use core::cell::UnsafeCell;
use core::fmt;
use core::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::types::cache;

/// A number that one side writes and the other reads.
pub trait Number: Send + Sync {
    /// Reads; sees what was written before the value that it reads (acquire).
    fn read(&self) -> u64;
    /// Writes; whoever reads the value sees what was written before (release).
    fn write(&self, value: u64);
}

impl Number for AtomicU64 {
    #[inline]
    fn read(&self) -> u64 {
        self.load(Ordering::Acquire) // pairs with `write`
    }
    #[inline]
    fn write(&self, value: u64) {
        self.store(value, Ordering::Release); // pairs with `read`
    }
}

/// A place for a value with its number.
pub trait Place<T>: Send + Sync {
    /// Number of the message that the place holds, or held last; 0 before the first.
    fn number(&self) -> &impl Number;
    /// Writes the value.
    ///
    /// # Safety
    /// Nobody else may read or write the value meanwhile.
    #[expect(unsafe_code, reason = "who may write when is the protocol's to say")]
    unsafe fn put(&self, value: T);
    /// Lends the value.
    ///
    /// # Safety
    /// The value must have been written, and nobody may write it meanwhile.
    #[expect(unsafe_code, reason = "who may read when is the protocol's to say")]
    unsafe fn lend<R>(&self, see: impl FnOnce(&T) -> R) -> R;
    /// The value will be written next: a hint to the cache.
    fn expect(&self) {}
}

/// The place as it is in memory: aligned so that no two share a line, nor the pair of lines that come together.
#[repr(C, align(128))]
pub struct Slot<T> {
    number: AtomicU64,
    value: UnsafeCell<MaybeUninit<T>>,
}

#[expect(unsafe_code, reason = "the value is handed from thread to thread by the protocol")]
// SAFETY: the protocol above gives the value to one side at a time, and `T: Send` lets it change sides.
unsafe impl<T: Send> Sync for Slot<T> {}

impl<T: Copy + Send> Place<T> for Slot<T> {
    #[inline]
    fn number(&self) -> &impl Number {
        &self.number
    }
    #[inline]
    #[expect(unsafe_code, reason = "as the trait")]
    unsafe fn put(&self, value: T) {
        // SAFETY: the caller has the value for itself. `T: Copy`, so nothing needs to be dropped before.
        unsafe { (*self.value.get()).write(value) };
    }
    #[inline]
    #[expect(unsafe_code, reason = "as the trait")]
    unsafe fn lend<R>(&self, see: impl FnOnce(&T) -> R) -> R {
        // SAFETY: the caller says that it was written and is not being written.
        see(unsafe { (*self.value.get()).assume_init_ref() })
    }
    #[inline]
    fn expect(&self) {
        // But for the first line, at which the reader is looking: it would only be taken to and fro.
        cache::fetch_for_writing_behind(self);
    }
}

#[repr(align(128))]
struct Padded<N>(N);

struct Shared<P, N> {
    /// Where messages go as long as the reader keeps up.
    near: Box<[P]>,
    /// Where they go when it does not.
    far: Box<[P]>,
    /// How many messages were taken.
    taken: Padded<N>,
}

/// The end that writes.
pub struct Writer<T, P = Slot<T>, N = AtomicU64> {
    shared: Arc<Shared<P, N>>,
    /// Messages written.
    written: u64,
    /// Where the next one goes, near ...
    near_at: usize,
    /// ... and far.
    far_at: usize,
    /// How many were taken when last looked.
    taken: u64,
    value: core::marker::PhantomData<T>,
}

/// The end that reads.
pub struct Reader<T, P = Slot<T>, N = AtomicU64> {
    shared: Arc<Shared<P, N>>,
    /// Messages taken.
    taken: u64,
    /// Where the next one comes, near ...
    near_at: usize,
    /// ... or far.
    far_at: usize,
    value: core::marker::PhantomData<T>,
}

impl<T, P, N> fmt::Debug for Writer<T, P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("written", &self.written).finish_non_exhaustive()
    }
}
impl<T, P, N> fmt::Debug for Reader<T, P, N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// Near places of a ring. Two or three messages wait where the stages keep up; 16 places of two or four lines are 2 to 4 KiB, of
/// the 32 or 48 that the nearest cache has.
pub const NEAR_SLOTS: usize = 16;

/// A ring of `slots` messages whose pages are already there: every place is written once, so that the first lap of a session
/// takes no page fault.
pub fn ring<T: Copy + Send>(slots: usize, sample: T) -> (Writer<T>, Reader<T>) {
    let place = || Slot { number: AtomicU64::new(0), value: UnsafeCell::new(MaybeUninit::new(sample)) };
    let places = |count: usize| (0..count).map(|_| place()).collect();
    over(places(NEAR_SLOTS.min(slots)), places(slots), AtomicU64::new(0))
}

/// A ring over given places, all of number 0, and a count of 0. It holds as many messages as there are far places.
pub fn over<T, P: Place<T>, N: Number>(
    near: Box<[P]>,
    far: Box<[P]>,
    taken: N,
) -> (Writer<T, P, N>, Reader<T, P, N>) {
    assert!(!near.is_empty(), "a ring without a place never passes anything on");
    assert!(near.len() <= far.len(), "what waits near counts among what the far places may hold");
    let shared = Arc::new(Shared { near, far, taken: Padded(taken) });
    let value = core::marker::PhantomData;
    let writer = Writer { shared: Arc::clone(&shared), written: 0, near_at: 0, far_at: 0, taken: 0, value };
    (writer, Reader { shared, taken: 0, near_at: 0, far_at: 0, value })
}

#[inline]
const fn after(at: usize, capacity: usize) -> usize {
    if at + 1 == capacity { 0 } else { at + 1 }
}

impl<T, P: Place<T>, N: Number> Writer<T, P, N> {
    /// Puts a message in; gives it back when the ring is full.
    #[inline]
    #[expect(unsafe_code, reason = "the protocol's own step")]
    pub fn push(&mut self, value: T) -> Result<(), T> {
        let Shared { near, far, taken } = &*self.shared;
        if self.written - self.taken >= near.len() as u64 {
            self.taken = taken.0.read();
        }
        let waiting = self.written - self.taken;
        let is_near = waiting < near.len() as u64;
        if !is_near && waiting >= far.len() as u64 {
            return Err(value);
        }
        let place = if is_near { &near[self.near_at] } else { &far[self.far_at] };
        // SAFETY: the message that stood here was taken. Near: it was the `near.len()`th before this one, if it was here, and
        // fewer wait. Far: it was the `far.len()`th of the far ones before this one, so if it waited they all would, and
        // fewer do. And the reader does not look at the value again before it sees the new number.
        unsafe { place.put(value) };
        self.written += 1;
        place.number().write(self.written);
        self.near_at = after(self.near_at, near.len());
        if !is_near {
            self.far_at = after(self.far_at, far.len());
            far[self.far_at].expect();
        }
        Ok(())
    }

    /// How many messages find room now, at least.
    #[inline]
    pub fn slots(&self) -> usize {
        let used = self.written - self.shared.taken.0.read();
        self.capacity() - usize::try_from(used).unwrap_or(usize::MAX).min(self.capacity())
    }

    /// How many messages the ring holds.
    pub fn capacity(&self) -> usize {
        self.shared.far.len()
    }
}

impl<T, P: Place<T>, N: Number> Reader<T, P, N> {
    /// Takes the next message, which is seen where it lies: it is two cache lines, not worth a copy. `None`: there is none.
    #[inline]
    #[expect(unsafe_code, reason = "the protocol's own step")]
    pub fn take<R>(&mut self, see: impl FnOnce(&T) -> R) -> Option<R> {
        let Shared { near, far, taken } = &*self.shared;
        let number = self.taken + 1;
        let mut place = &near[self.near_at];
        if place.number().read() != number {
            place = &far[self.far_at];
            if place.number().read() != number {
                return None;
            }
            self.far_at = after(self.far_at, far.len());
        }
        // SAFETY: the number says that the value was written; the writer comes back to it only when the count below says that
        // it was taken.
        let seen = unsafe { place.lend(see) };
        self.taken = number;
        self.near_at = after(self.near_at, near.len());
        taken.0.write(number);
        Some(seen)
    }

    /// How many messages wait to be taken, from 0 to the ring's capacity. Walks them: for tests and reports.
    pub fn waiting(&self) -> usize {
        let Shared { near, far, .. } = &*self.shared;
        let (mut count, mut far_at) = (0, self.far_at);
        while count < far.len() {
            let number = self.taken + 1 + count as u64;
            if near[(self.near_at + count) % near.len()].number().read() != number {
                if far[far_at].number().read() != number {
                    break;
                }
                far_at = after(far_at, far.len());
            }
            count += 1;
        }
        count
    }

    /// Takes the next message as a copy.
    #[inline]
    pub fn pop(&mut self) -> Option<T>
    where
        T: Copy,
    {
        self.take(|value| *value)
    }
}
