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

/// How long the end of a TLS session may take to be told.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(1);

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
    /// Frees a writer that is stuck in a full socket when the connection is to end.
    freed: Notify,
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
            // Who does not read can't be told either.
            drop(queue);
            self.cut();
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
        self.freed.notify_one();
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
            let write = async {
                to.write_all(&bytes).await?;
                to.flush().await
            };
            let written = tokio::select! {
                written = write => written.is_ok(),
                () = self.freed.notified() => false,
            };
            if !written {
                break;
            }
            self.room.notify_one();
            if bytes.capacity() > 4 * WRITE_BYTES_MAX {
                bytes = Vec::with_capacity(4 << 10);
            }
        }
        // The other side may be gone already, or not reading: nobody is waited for.
        if !self.dead.get() {
            drop(tokio::time::timeout(SHUTDOWN_WITHIN, to.shutdown()).await);
        }
        self.cut();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::rc::Rc;

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        tokio::task::LocalSet::new().block_on(&runtime, test);
    }

    #[test]
    fn who_reads_nothing_is_cut_off_although_the_writer_is_stuck() {
        run(async {
            let (near, _far) = tokio::io::duplex(64);
            let outbox: Rc<Outbox> = Rc::default();
            let writer = Rc::clone(&outbox);
            let task = tokio::task::spawn_local(async move { writer.drain_to(near).await });
            let frame = frame::text(&[b'x'; 1_000]);
            for _ in 0..=FRAMES_MAX {
                outbox.push(Rc::clone(&frame));
            }
            task.await.unwrap();
            outbox.ended().await;
            assert!(outbox.is_closing());
        });
    }

    #[test]
    fn room_is_waited_for_and_nothing_is_lost() {
        run(async {
            let (near, mut far) = tokio::io::duplex(4_096);
            let outbox: Rc<Outbox> = Rc::default();
            let writer = Rc::clone(&outbox);
            tokio::task::spawn_local(async move { writer.drain_to(near).await });
            let reader = tokio::task::spawn_local(async move {
                let mut all = Vec::new();
                tokio::io::AsyncReadExt::read_to_end(&mut far, &mut all).await.unwrap();
                all
            });
            let mut expected = Vec::new();
            for n in 0..20_000u32 {
                outbox.has_room().await;
                let frame = frame::text(n.to_string().as_bytes());
                expected.extend_from_slice(&frame);
                outbox.push(frame);
            }
            outbox.is_empty().await;
            outbox.close(1000, "");
            expected.extend_from_slice(&frame::close(1000, ""));
            assert!(reader.await.unwrap() == expected);
        });
    }

    #[test]
    fn a_delayed_frame_holds_back_what_is_behind_it() {
        run(async {
            let outbox = Outbox::default();
            outbox.push_later(frame::text(b"a"), Some(Duration::from_hours(1)));
            outbox.push(frame::text(b"b"));
            let mut out = Vec::new();
            assert!(outbox.take(&mut out).is_some() && out.is_empty());
        });
    }
}
