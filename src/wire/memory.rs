//! Links without a network: two ends joined by byte rings, for simulations, tests and benches. What a link writes, its
//! peer reads, in order. Deterministic: no clock, no thread, and the reader's owner says where reads are cut.

use std::collections::VecDeque;

use ringbuf::traits::{Consumer as _, Observer as _, Producer as _, Split as _};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use super::link::{Connector, Link, LinkState};
use crate::limits;
use crate::types::Reason;

/// One end of a pair.
pub struct MemoryLink {
    /// `None` after a close: a dropped end is how the peer learns of it.
    ends: Option<Ends>,
    reason: Reason,
    /// What did not fit into the ring.
    pending: VecDeque<u8>,
    read_bytes_max: usize,
    /// Offsets in the stream of read bytes where a read stops, ascending.
    cuts: VecDeque<u64>,
    read_offset: u64,
}

struct Ends {
    outgoing: HeapProd<u8>,
    incoming: HeapCons<u8>,
}

impl core::fmt::Debug for MemoryLink {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MemoryLink")
            .field("is_open", &self.ends.is_some())
            .field("pending", &self.pending.len())
            .field("read_offset", &self.read_offset)
            .finish_non_exhaustive()
    }
}

/// Two joined ends. Each direction holds `bytes_max` bytes on the way, as socket buffers would.
pub fn pair(bytes_max: usize) -> (MemoryLink, MemoryLink) {
    // ringbuf rather than rtrb: it moves slices of a byte stream in one call each way.
    let (a_out, b_in) = HeapRb::new(bytes_max).split();
    let (b_out, a_in) = HeapRb::new(bytes_max).split();
    (MemoryLink::new(a_out, a_in), MemoryLink::new(b_out, b_in))
}

impl MemoryLink {
    fn new(outgoing: HeapProd<u8>, incoming: HeapCons<u8>) -> Self {
        Self {
            ends: Some(Ends { outgoing, incoming }),
            reason: Reason::Closed,
            pending: VecDeque::with_capacity(limits::LINK_PENDING_BYTES_MAX),
            read_bytes_max: usize::MAX,
            cuts: VecDeque::new(),
            read_offset: 0,
        }
    }

    /// A link that never opened.
    pub fn closed(reason: Reason) -> Self {
        Self {
            ends: None,
            reason,
            pending: VecDeque::new(),
            read_bytes_max: usize::MAX,
            cuts: VecDeque::new(),
            read_offset: 0,
        }
    }

    /// Lets a read return at most `bytes_max` bytes.
    pub fn set_read_bytes_max(&mut self, bytes_max: usize) {
        self.read_bytes_max = bytes_max;
    }

    /// Stops reads at these offsets of the incoming stream (counted from the link's start), so that no read spans one.
    pub fn set_cuts(&mut self, mut offsets: Vec<u64>) {
        offsets.sort_unstable();
        self.cuts = offsets.into();
    }

    fn flush(&mut self) {
        let Some(ends) = &mut self.ends else { return };
        while let Some(&byte) = self.pending.front() {
            if ends.outgoing.try_push(byte).is_err() {
                return;
            }
            self.pending.pop_front();
        }
    }

    /// How much the next read may return.
    fn read_room(&mut self) -> usize {
        while self.cuts.front().is_some_and(|&cut| cut <= self.read_offset) {
            self.cuts.pop_front();
        }
        let until_cut = self.cuts.front().map_or(u64::MAX, |cut| cut - self.read_offset);
        self.read_bytes_max.min(usize::try_from(until_cut).unwrap_or(usize::MAX))
    }
}

impl Link for MemoryLink {
    fn drive(&mut self, _mono_ns: i64) -> LinkState {
        self.flush();
        if self.ends.is_some() { LinkState::Open } else { LinkState::Closed(self.reason) }
    }

    fn read(&mut self, into: &mut [u8]) -> Result<usize, Reason> {
        let room = self.read_room().min(into.len());
        let Some(ends) = &mut self.ends else { return Err(self.reason) };
        // Asked before the bytes are counted: what the peer wrote before it closed is then seen.
        let is_peer_gone = !ends.incoming.write_is_held();
        let count = ends.incoming.pop_slice(&mut into[..room]);
        if count == 0 {
            if is_peer_gone && ends.incoming.is_empty() && !into.is_empty() {
                self.ends = None;
                return Err(self.reason);
            }
            return Ok(0);
        }
        self.read_offset += count as u64;
        Ok(count)
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        self.flush();
        let Some(ends) = &mut self.ends else { return Err(self.reason) };
        if !ends.outgoing.read_is_held() {
            self.ends = None;
            return Err(self.reason);
        }
        let count = if self.pending.is_empty() { bytes.len().min(ends.outgoing.vacant_len()) } else { 0 };
        if self.pending.len() + bytes.len() - count > limits::LINK_PENDING_BYTES_MAX {
            return Err(Reason::LineFull);
        }
        let pushed = ends.outgoing.push_slice(&bytes[..count]);
        debug_assert_eq!(pushed, count, "room was seen before");
        self.pending.extend(&bytes[count..]);
        Ok(())
    }

    fn is_flushed(&self) -> bool {
        self.pending.is_empty()
    }

    fn close(&mut self) {
        self.flush();
        self.ends = None;
    }
}

/// Opens links that were made beforehand: each [`Connector::open`] takes the next one; when there is none, nobody listens.
#[derive(Debug)]
pub struct MemoryConnector {
    links: rtrb::Consumer<MemoryLink>,
}

/// A connector and where its links are put, at most `links_max` waiting.
pub fn connector(links_max: usize) -> (rtrb::Producer<MemoryLink>, MemoryConnector) {
    let (producer, links) = rtrb::RingBuffer::new(links_max);
    (producer, MemoryConnector { links })
}

impl Connector for MemoryConnector {
    type Link = MemoryLink;

    fn open(&mut self, _mono_ns: i64) -> MemoryLink {
        self.links.pop().unwrap_or_else(|_| MemoryLink::closed(Reason::Unreachable))
    }
}
