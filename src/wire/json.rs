//! JSON by `simd-json`, into a tape that is kept from message to message: no allocation after the warm-up.
//!
//! Numbers: integers are exact up to 64 bits; decimals come as text (Binance quotes every one of them) and are read by
//! their digits. A bare JSON number with a fraction or an exponent has already been through a float when the tape holds
//! it, so it is refused as a decimal rather than read inexactly.

use core::cell::Cell;
use core::fmt;

use simd_json::{Buffers, Node, StaticNode, Tape};

use crate::types::DecimalError;
use crate::wire::number;

/// Readable bytes that must follow a message in its buffer: what lets vector loads run past its end.
pub const PADDING: usize = simd_json::INPUT_PADDING;

/// Deepest nesting accepted. The deepest message of a venue that we know nests five deep.
const DEPTH_MAX: usize = 32;

/// A message in its receive buffer, followed by at least [`PADDING`] bytes of anything. Mutable, because `simd-json`
/// unescapes strings in place.
#[derive(Debug)]
pub struct Padded<'a> {
    buf: &'a mut [u8],
    len: usize,
}

impl<'a> Padded<'a> {
    /// The first `len` bytes of `buf`; `None` when fewer than [`PADDING`] bytes follow them.
    pub fn new(buf: &'a mut [u8], len: usize) -> Option<Self> {
        (buf.len() >= len.checked_add(PADDING)?).then_some(Self { buf, len })
    }
    /// The message.
    pub fn text(&self) -> &[u8] {
        &self.buf[..self.len]
    }
    /// The message and what follows it: for readers that load whole words. Always at least [`PADDING`] bytes longer than
    /// [`Padded::len`].
    pub fn padded(&self) -> &[u8] {
        self.buf
    }
    /// Length of the message.
    pub fn len(&self) -> usize {
        self.len
    }
    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// A text that is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JsonError {
    /// Byte offset at or before which it stopped being JSON.
    pub at: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not JSON at byte {}", self.at)
    }
}
impl std::error::Error for JsonError {}

/// The reused memory of one reader. One for each thread that reads JSON.
pub struct JsonReader {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl fmt::Debug for JsonReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonReader").finish_non_exhaustive()
    }
}

impl Default for JsonReader {
    /// Without any room: for set-up, where growing is no matter.
    fn default() -> Self {
        Self { buffers: Buffers::with_max_depth(0, DEPTH_MAX), tape: Tape(Vec::new()) }
    }
}

impl JsonReader {
    /// A reader with room for messages of `message_bytes_max`; larger ones work and grow it.
    pub fn new(message_bytes_max: usize) -> Self {
        let mut reader = Self {
            buffers: Buffers::with_max_depth(message_bytes_max, DEPTH_MAX),
            tape: Tape(Vec::with_capacity(message_bytes_max / 4)),
        };
        reader.warm(message_bytes_max);
        reader
    }

    /// Parses the densest text of the given size once, so that no later message of that size makes a vector grow (the
    /// library's own estimate is too low).
    fn warm(&mut self, bytes: usize) {
        let mut text = Vec::with_capacity(bytes + PADDING + 4);
        text.extend_from_slice(b"[0");
        while text.len() + 3 < bytes {
            text.extend_from_slice(b",0");
        }
        text.push(b']');
        let len = text.len();
        text.resize(len + PADDING, b' ');
        if let Some(padded) = Padded::new(&mut text, len) {
            let warmed = self.read(padded, |root| root.items().next().is_some());
            debug_assert_eq!(warmed, Ok(true));
        }
        // Nesting has its own stack.
        let mut deep = [b'['; DEPTH_MAX / 2].to_vec();
        deep.extend_from_slice(&[b']'; DEPTH_MAX / 2]);
        let len = deep.len();
        deep.resize(len + PADDING, b' ');
        if let Some(padded) = Padded::new(&mut deep, len) {
            let warmed = self.read(padded, |root| root.items().next().is_some());
            debug_assert_eq!(warmed, Ok(true));
        }
    }

    /// Parses a message and hands its root to `with`.
    pub fn read<R>(
        &mut self,
        message: Padded<'_>,
        with: impl FnOnce(Value<'_>) -> R,
    ) -> Result<R, JsonError> {
        let Padded { buf, len } = message;
        let base = buf.as_ptr().addr();
        let mut tape = core::mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let result = match simd_json::fill_tape_padded(buf, len, &mut self.buffers, &mut tape) {
            Ok(()) => Ok(with(Value { nodes: &tape.0, at: 0, base })),
            Err(error) => Err(JsonError { at: error.index().min(len) }),
        };
        self.tape = tape.reset();
        result
    }
}

/// A value of a parsed message.
#[derive(Clone, Copy, Debug)]
pub struct Value<'t> {
    nodes: &'t [Node<'t>],
    at: usize,
    /// Address of the message, for offsets.
    base: usize,
}

impl<'t> Value<'t> {
    fn node(self) -> Node<'t> {
        self.nodes.get(self.at).copied().unwrap_or(Node::Static(StaticNode::Null))
    }
    /// Index of the node behind this value and all that it contains.
    fn end(self) -> usize {
        match self.node() {
            Node::Object { count, .. } | Node::Array { count, .. } => self.at + 1 + count,
            Node::String(_) | Node::Static(_) => self.at + 1,
        }
    }
    fn child(self, at: usize) -> Self {
        Self { at, ..self }
    }
    /// Byte offset of the text where it or, for anything but a string, the last string before it starts.
    pub fn offset(self) -> usize {
        let mut before = self.nodes.get(..=self.at).unwrap_or_default().iter().rev();
        let text = before.find_map(|node| if let Node::String(text) = node { Some(text) } else { None });
        text.map_or(0, |text| text.as_ptr().addr().saturating_sub(self.base))
    }
    /// Whether it is an array.
    pub fn is_array(self) -> bool {
        matches!(self.node(), Node::Array { .. })
    }
    /// Whether it is an object.
    pub fn is_object(self) -> bool {
        matches!(self.node(), Node::Object { .. })
    }
    /// Whether it is null.
    pub fn is_null(self) -> bool {
        matches!(self.node(), Node::Static(StaticNode::Null))
    }
    /// The member of that name (the first one); `None` in anything but an object.
    pub fn get(self, name: &str) -> Option<Self> {
        self.entries().find(|(key, _)| *key == name).map(|(_, value)| value)
    }
    /// The member of that name, searched from behind the one that was found last (`found`, to begin with 0) and then from
    /// the start: fields asked for in the order of the text are found at once. Of members of the same name, which no
    /// venue sends, any may be found.
    pub fn get_near(self, name: &str, found: &Cell<usize>) -> Option<Self> {
        let Node::Object { count, .. } = self.node() else { return None };
        let (start, end) = (self.at + 1, self.at + 1 + count);
        let from = if (start..end).contains(&found.get()) { found.get() } else { start };
        let value = self.find_key(name, from, end).or_else(|| self.find_key(name, start, from))?;
        found.set(value.end());
        Some(value)
    }
    /// The value behind the key of that name among the nodes from a key on.
    fn find_key(self, name: &str, from: usize, to: usize) -> Option<Self> {
        let mut at = from;
        while at < to {
            let Node::String(key) = self.child(at).node() else { return None };
            let value = self.child(at + 1);
            if key == name {
                return Some(value);
            }
            at = value.end();
        }
        None
    }
    /// The members of an object, in the order of the text; none in anything else.
    pub fn entries(self) -> impl Iterator<Item = (&'t str, Self)> + use<'t> {
        let (mut at, mut left) = match self.node() {
            Node::Object { len, .. } => (self.at + 1, len),
            _ => (0, 0),
        };
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let Node::String(key) = self.child(at).node() else { return None };
            let value = self.child(at + 1);
            at = value.end();
            Some((key, value))
        })
    }
    /// The elements of an array; none in anything else.
    pub fn items(self) -> impl Iterator<Item = Self> + use<'t> {
        let (mut at, mut left) = match self.node() {
            Node::Array { len, .. } => (self.at + 1, len),
            _ => (0, 0),
        };
        core::iter::from_fn(move || {
            left = left.checked_sub(1)?;
            let value = self.child(at);
            at = value.end();
            Some(value)
        })
    }
    /// The text of a string.
    pub fn as_str(self) -> Option<&'t str> {
        match self.node() {
            Node::String(text) => Some(text),
            _ => None,
        }
    }
    /// An integer.
    pub fn as_i64(self) -> Option<i64> {
        match self.node() {
            Node::Static(StaticNode::I64(v)) => Some(v),
            Node::Static(StaticNode::U64(v)) => i64::try_from(v).ok(),
            _ => None,
        }
    }
    /// An integer that is not negative.
    pub fn as_u64(self) -> Option<u64> {
        match self.node() {
            Node::Static(StaticNode::I64(v)) => u64::try_from(v).ok(),
            Node::Static(StaticNode::U64(v)) => Some(v),
            _ => None,
        }
    }
    /// True or false.
    pub fn as_bool(self) -> Option<bool> {
        match self.node() {
            Node::Static(StaticNode::Bool(v)) => Some(v),
            _ => None,
        }
    }
    /// A decimal, from text or from a bare integer, as a count of `10^-decimals`; `None` where the value is neither (see
    /// the module's note on bare fractions).
    pub fn as_decimal(self, decimals: u32) -> Option<Result<i64, DecimalError>> {
        if let Some(text) = self.as_str() {
            return Some(number::parse(text.as_bytes(), decimals));
        }
        let unit = *crate::types::decimal::POW10.get(decimals as usize)?;
        Some(self.as_i64()?.checked_mul(unit).ok_or(DecimalError::Overflow))
    }
}
