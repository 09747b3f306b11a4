//! Rings between threads: `rtrb`, single producer, single consumer, wait-free. This file adds only what the engine asks of
//! every ring: its memory touched before the session, and `Copy` elements.

pub use rtrb::{Consumer, Producer, PushError};

/// A ring of `slots` elements whose pages are already there: filled and drained once, so that the first lap of a session
/// takes no page fault.
pub fn ring<T: Copy>(slots: usize, sample: T) -> (Producer<T>, Consumer<T>) {
    let (mut producer, mut consumer) = rtrb::RingBuffer::new(slots);
    while producer.push(sample).is_ok() {}
    while consumer.pop().is_ok() {}
    (producer, consumer)
}
