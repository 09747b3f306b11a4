//! The fixed receive buffer: `[ message under assembly | hole | unread | spare | padding ]`.
//!
//! Invariant: `message_start + message_len <= head <= tail <= bytes.len() - PADDING`, so a text that ends anywhere up to
//! `tail` has its padding.

use core::ops::Range;

use crate::wire::json::{PADDING, Padded};

/// Room that a read should find: one TLS record.
const READ_ROOM: usize = 16 << 10;
/// Consumed bytes in front after which the rest is moved to the front: keeps the working part within the cache, and the
/// moves rare against the bytes that passed.
const COMPACT_AFTER: usize = 4 * READ_ROOM;

pub(super) struct RxBuffer {
    bytes: Box<[u8]>,
    head: usize,
    tail: usize,
    message_start: usize,
    message_len: usize,
}

impl RxBuffer {
    /// For content of at most `content_bytes_max` that waits for more bytes.
    pub(super) fn new(content_bytes_max: usize) -> Self {
        let capacity = content_bytes_max + COMPACT_AFTER + PADDING;
        Self {
            // Not zeros: those would come as pages that are not there yet, and a burst would pay for them.
            bytes: vec![b' '; capacity].into_boxed_slice(),
            head: 0,
            tail: 0,
            message_start: 0,
            message_len: 0,
        }
    }

    /// Where to read into.
    #[inline]
    pub(super) fn spare(&mut self) -> &mut [u8] {
        if self.head == self.tail && self.message_len == 0 {
            self.head = 0;
            self.tail = 0;
            self.message_start = 0;
        } else if self.head - self.message_len >= COMPACT_AFTER || self.end() - self.tail < READ_ROOM {
            self.compact();
        }
        let end = self.end();
        &mut self.bytes[self.tail..end]
    }

    /// `count` bytes were read into the spare room.
    #[inline]
    pub(super) fn filled(&mut self, count: usize) {
        assert!(count <= self.end() - self.tail, "a reader can't have read more than there was room for");
        self.tail += count;
    }

    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.head..self.tail]
    }

    #[inline]
    pub(super) fn consume(&mut self, count: usize) {
        debug_assert!(count <= self.tail - self.head, "only what is there can be consumed");
        self.head += count;
    }

    /// Consumes a header and the payload behind it, and says where the payload is.
    #[inline]
    pub(super) fn take(&mut self, header_len: usize, payload_len: usize) -> Range<usize> {
        let start = self.head + header_len;
        self.consume(header_len + payload_len);
        start..start + payload_len
    }

    #[inline]
    pub(super) fn message_len(&self) -> usize {
        self.message_len
    }

    /// Consumes a fragment and joins it to the message under assembly. The first one stays where it is; later ones move
    /// down over the headers and control frames that lay between.
    pub(super) fn join(&mut self, header_len: usize, payload_len: usize) {
        let payload = self.take(header_len, payload_len);
        if self.message_len == 0 {
            self.message_start = payload.start;
        } else {
            self.bytes.copy_within(payload, self.message_start + self.message_len);
        }
        self.message_len += payload_len;
    }

    /// Ends the assembly and says where the message is.
    pub(super) fn take_message(&mut self) -> Range<usize> {
        let message = self.message_start..self.message_start + self.message_len;
        self.message_len = 0;
        message
    }

    /// Bytes of a range that [`RxBuffer::take`] or [`RxBuffer::take_message`] gave, before the next [`RxBuffer::spare`].
    #[inline]
    pub(super) fn slice(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// The same as a text with its padding.
    #[inline]
    pub(super) fn text(&mut self, range: Range<usize>) -> Padded<'_> {
        let len = range.len();
        Padded::new(&mut self.bytes[range.start..range.end + PADDING], len)
            .expect("Invariant: nothing is read into the buffer's last PADDING bytes")
    }

    #[inline]
    fn end(&self) -> usize {
        self.bytes.len() - PADDING
    }

    #[cold]
    fn compact(&mut self) {
        if self.message_start > 0 && self.message_len > 0 {
            self.bytes.copy_within(self.message_start..self.message_start + self.message_len, 0);
        }
        self.message_start = 0;
        self.bytes.copy_within(self.head..self.tail, self.message_len);
        self.tail = self.message_len + (self.tail - self.head);
        self.head = self.message_len;
    }
}
