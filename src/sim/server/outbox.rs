//! What waits to be written to one WebSocket connection. Bounded: a consumer that is too slow is cut off, as the venue
//! does, and a replay at full speed waits for room instead.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::frame::{self, Frame};

/// Frames that may wait. A second of a busy book on every stream is about 1,000.
pub(super) const FRAMES_MAX: usize = 8_192;
/// Frames beyond which a flow-controlled sender waits.
const FRAMES_HIGH: usize = 256;
/// Bytes put into one write.
const WRITE_BYTES_MAX: usize = 64 << 10;

struct Item {
    due: Option<Instant>,
    frame: Frame,
}

/// The queue of one connection.
#[derive(Default)]
pub(super) struct Outbox {
    queue: RefCell<VecDeque<Item>>,
    /// Wakes the writer.
    wake: Notify,
    /// Wakes whoever waits for room.
    room: Notify,
    /// Wakes the reader when the connection is to end.
    ended: Notify,
    closing: Cell<bool>,
    dead: Cell<bool>,
    /// Nothing more is queued or written before this: the `stall` fault.
    stalled_until: Cell<Option<Instant>>,
}

impl Outbox {
    /// Queues a frame.
    pub(super) fn push(&self, frame: Frame) {
        self.push_later(frame, None);
    }

    /// Queues a frame that, with everything behind it, leaves only after `delay`: TCP does not reorder.
    pub(super) fn push_later(&self, frame: Frame, delay: Option<Duration>) {
        if self.is_closing() {
            return;
        }
        let mut queue = self.queue.borrow_mut();
        if queue.len() >= FRAMES_MAX {
            queue.clear();
            drop(queue);
            self.close(1008, "too slow: the outbound queue is full");
            return;
        }
        let due = delay.map(|d| Instant::now() + d);
        queue.push_back(Item { due, frame });
        self.wake.notify_one();
    }

    /// Writes nothing for a while although the connection stays up.
    pub(super) fn stall(&self, duration: Duration) {
        self.stalled_until.set(Some(Instant::now() + duration));
    }

    /// Whether the connection is silent on purpose at the moment.
    pub(super) fn is_stalled(&self) -> bool {
        self.stalled_until.get().is_some_and(|until| Instant::now() < until)
    }

    /// Says goodbye, writes what waits and ends.
    pub(super) fn close(&self, code: u16, why: &str) {
        if self.is_closing() {
            return;
        }
        self.push(frame::close(code, why));
        self.closing.set(true);
        self.wake.notify_one();
    }

    /// Ends at once, without a word.
    pub(super) fn cut(&self) {
        self.closing.set(true);
        self.dead.set(true);
        self.queue.borrow_mut().clear();
        self.wake.notify_one();
        self.room.notify_one();
        self.ended.notify_one();
    }

    /// Whether nothing more will be queued.
    pub(super) fn is_closing(&self) -> bool {
        self.closing.get()
    }

    /// Waits until the connection has ended.
    pub(super) async fn ended(&self) {
        while !self.dead.get() {
            self.ended.notified().await;
        }
    }

    /// Waits until little is queued, or the connection ends.
    pub(super) async fn has_room(&self) {
        while self.queue.borrow().len() > FRAMES_HIGH && !self.dead.get() {
            self.room.notified().await;
        }
    }

    /// Waits until nothing is queued, or the connection ends.
    pub(super) async fn is_empty(&self) {
        while !self.queue.borrow().is_empty() && !self.dead.get() {
            self.room.notified().await;
        }
    }

    /// Moves due frames into `out`; when the first one is not due yet, says when it is.
    fn take(&self, out: &mut Vec<u8>) -> Option<Instant> {
        let mut queue = self.queue.borrow_mut();
        while out.len() < WRITE_BYTES_MAX {
            let head = queue.front()?;
            if let Some(due) = head.due
                && due > Instant::now()
            {
                return Some(due);
            }
            if let Some(item) = queue.pop_front() {
                out.extend_from_slice(&item.frame);
            }
        }
        None
    }

    /// Writes until the connection ends.
    pub(super) async fn drain_to(&self, mut to: impl AsyncWrite + Unpin) {
        let mut bytes = Vec::with_capacity(4 << 10);
        loop {
            bytes.clear();
            let due = self.take(&mut bytes);
            if bytes.is_empty() {
                if self.dead.get() || (self.closing.get() && due.is_none()) {
                    break;
                }
                match due {
                    Some(due) => tokio::select! {
                        () = self.wake.notified() => {}
                        () = tokio::time::sleep_until(due) => {}
                    },
                    None => self.wake.notified().await,
                }
                continue;
            }
            if to.write_all(&bytes).await.is_err() || to.flush().await.is_err() {
                break;
            }
            self.room.notify_one();
            if bytes.capacity() > 4 * WRITE_BYTES_MAX {
                bytes = Vec::with_capacity(4 << 10);
            }
        }
        // The other side may be gone already; there is nobody left to tell.
        drop(to.shutdown().await);
        self.cut();
    }
}
