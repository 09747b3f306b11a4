//! The small trait behind which every byte stream hides: TCP, TLS over TCP, or memory. `net` and `sim` implement it;
//! feed and gateway drive it.

use crate::types::Reason;

/// Where a stream stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkState {
    /// Resolving, connecting or shaking hands.
    Opening,
    /// Bytes flow.
    Open,
    /// Over. The link is dropped and a new one is opened.
    Closed(Reason),
}

/// A non-blocking, ordered stream of bytes.
pub trait Link {
    /// Drives what is under way (connect, TLS handshake, pending writes) without blocking and says where it stands.
    fn drive(&mut self, mono_ns: i64) -> LinkState;

    /// Reads what is there into `into`: the number of bytes, 0 when nothing is there now. `Err` ends the link.
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Reason>;

    /// Hands all of `bytes` over: either everything is on its way to the socket (the rest, if the socket is full, is kept
    /// and sent by [`Link::drive`]), or `Err` ends the link. Refuses with [`Reason::LineFull`] without ending it when
    /// it is not open yet, or when the rest would exceed its bound; then nothing of `bytes` was taken.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Reason>;

    /// Whether all that was written has left for the socket.
    fn is_flushed(&self) -> bool;

    /// Says goodbye as the protocol does, best effort, and closes.
    fn close(&mut self);

    /// In words, why the link closed or last failed to open: place, value, remedy. For the log; cold.
    fn last_error(&self) -> Option<&str> {
        None
    }
}

/// Opens links. What an endpoint's address is, only `run` and the connector know.
pub trait Connector: Send {
    /// What it opens.
    type Link: Link + Send;

    /// Starts opening a link; never blocks and never fails at once: a failure shows in [`Link::drive`].
    fn open(&mut self, mono_ns: i64) -> Self::Link;
}

impl<L: Link + ?Sized> Link for Box<L> {
    fn drive(&mut self, mono_ns: i64) -> LinkState {
        (**self).drive(mono_ns)
    }
    fn read(&mut self, into: &mut [u8]) -> Result<usize, Reason> {
        (**self).read(into)
    }
    fn write(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        (**self).write(bytes)
    }
    fn is_flushed(&self) -> bool {
        (**self).is_flushed()
    }
    fn close(&mut self) {
        (**self).close();
    }
    fn last_error(&self) -> Option<&str> {
        (**self).last_error()
    }
}
