//! Rings between threads: `rtrb`, single producer, single consumer, wait-free. This file adds only what the engine asks of
//! every ring: its memory touched before the session, `Copy` elements, and the next slot fetched before it is needed.

use crate::types::cache;

pub use rtrb::{Consumer, PushError};

/// A ring of `slots` elements whose pages are already there: filled and drained once, so that the first lap of a session
/// takes no page fault.
pub fn ring<T: Copy>(slots: usize, sample: T) -> (Producer<T>, Consumer<T>) {
    let (producer, mut consumer) = rtrb::RingBuffer::new(slots);
    let mut producer = Producer { inner: producer };
    while producer.push(sample).is_ok() {}
    while consumer.pop().is_ok() {}
    (producer, consumer)
}

/// The end that writes.
#[derive(Debug)]
pub struct Producer<T> {
    inner: rtrb::Producer<T>,
}

impl<T> From<rtrb::Producer<T>> for Producer<T> {
    fn from(inner: rtrb::Producer<T>) -> Self {
        Self { inner }
    }
}

impl<T: Copy> Producer<T> {
    /// Puts an element in; gives it back when the ring is full.
    ///
    /// A ring of some megabytes is walked from end to end, so the slot that comes next is always the one that was used longest
    /// ago and is in no near cache. Between two messages there are microseconds: the next slot is asked for here, at
    /// the end of this push, and has come by the next one.
    #[inline]
    pub fn push(&mut self, value: T) -> Result<(), PushError<T>> {
        let Ok(mut chunk) = self.inner.write_chunk_uninit(2) else { return self.inner.push(value) };
        let (first, second) = chunk.as_mut_slices();
        // The second slot may lie at the ring's start.
        let (([slot, next], _) | ([slot], [next, ..])) = (first, second) else {
            return self.push_last(value);
        };
        slot.write(value);
        cache::fetch_for_writing(next);
        commit_one(chunk);
        Ok(())
    }

    /// Into the last free slot.
    #[cold]
    fn push_last(&mut self, value: T) -> Result<(), PushError<T>> {
        self.inner.push(value)
    }
}

impl<T> Producer<T> {
    /// Whether another element finds room. Looks at the other end only when it has to.
    #[inline]
    pub fn has_room(&self) -> bool {
        !self.inner.is_full()
    }
    /// How many elements find room now, at least.
    #[inline]
    pub fn slots(&self) -> usize {
        self.inner.slots()
    }
    /// Whether the other end is gone.
    pub fn is_abandoned(&self) -> bool {
        self.inner.is_abandoned()
    }
    /// How many elements the ring holds.
    pub fn capacity(&self) -> usize {
        self.inner.buffer().capacity()
    }
}

#[inline]
#[expect(unsafe_code, reason = "rtrb's own call for elements written in place")]
fn commit_one<T>(chunk: rtrb::chunks::WriteChunkUninit<'_, T>) {
    // SAFETY: the one caller has written the chunk's first element.
    unsafe { chunk.commit(1) }
}
