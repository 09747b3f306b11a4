//! The fixed buffer in which a request is written, with room before it for the frame's header.

use crate::limits::ORDER_TEXT_BYTES_MAX;

/// Bytes before the text: the longest client frame header.
pub const HEADROOM: usize = 14;

/// A request's text. Reused; nothing in it grows.
pub struct TextBuf {
    buf: [u8; HEADROOM + ORDER_TEXT_BYTES_MAX],
    len: usize,
}

impl core::fmt::Debug for TextBuf {
    /// Shows the length only: the text holds the key's name and a signature.
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("TextBuf").field("len", &self.len).finish_non_exhaustive()
    }
}

impl Default for TextBuf {
    fn default() -> Self {
        Self::new()
    }
}

/// The text is longer than the buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TextFull;

impl TextBuf {
    /// An empty one.
    pub const fn new() -> Self {
        Self { buf: [0; HEADROOM + ORDER_TEXT_BYTES_MAX], len: 0 }
    }
    /// The text.
    pub fn text(&self) -> &[u8] {
        &self.buf[HEADROOM..HEADROOM + self.len]
    }
    /// The text, to patch.
    pub fn text_mut(&mut self) -> &mut [u8] {
        &mut self.buf[HEADROOM..HEADROOM + self.len]
    }
    /// Its length.
    pub const fn len(&self) -> usize {
        self.len
    }
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Forgets the text.
    pub fn clear(&mut self) {
        self.len = 0;
    }
    /// The whole buffer, the text at [`HEADROOM`], and the text's length: for framing in place.
    pub fn frame_parts(&mut self) -> (&mut [u8], usize) {
        (&mut self.buf, self.len)
    }
    /// Appends.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), TextFull> {
        let at = HEADROOM + self.len;
        self.buf.get_mut(at..at + bytes.len()).ok_or(TextFull)?.copy_from_slice(bytes);
        self.len += bytes.len();
        Ok(())
    }
    /// Appends what `write` puts at the start of the free room and reports as its length.
    #[inline]
    pub fn push_with(&mut self, write: impl FnOnce(&mut [u8]) -> Option<usize>) -> Result<(), TextFull> {
        let free = &mut self.buf[HEADROOM + self.len..];
        let room = free.len();
        let written = write(free).filter(|&n| n <= room).ok_or(TextFull)?;
        self.len += written;
        Ok(())
    }
}
