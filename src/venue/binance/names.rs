//! Symbols found in place: each instrument's name with the byte that ends it, as masked words, so that a lookup is three
//! loads and compares and no search for the end of the name.

use crate::types::{InstrumentId, InstrumentTable, Symbol};

/// A name and its terminator as three little-endian words.
#[derive(Clone, Copy, Debug)]
struct Key {
    words: [u64; 3],
    masks: [u64; 3],
    /// Length, terminator included.
    len: usize,
}

const KEY_BYTES: usize = 24;
const _: () = assert!(Symbol::LEN_MAX < KEY_BYTES, "a symbol and its terminator must fit the key");

impl Key {
    fn new(name: &[u8], terminator: u8) -> Self {
        let mut text = [0; KEY_BYTES];
        let mut mask = [0; KEY_BYTES];
        text[..name.len()].copy_from_slice(name);
        text[name.len()] = terminator;
        mask[..=name.len()].fill(0xff);
        Self { words: words(&text), masks: words(&mask), len: name.len() + 1 }
    }
    #[inline]
    fn matches(&self, there: &[u64; 3]) -> bool {
        let differ = |i: usize| (there[i] ^ self.words[i]) & self.masks[i];
        // Most names end within the first word.
        differ(0) == 0 && (self.len <= 8 || differ(1) | differ(2) == 0)
    }
}

#[inline]
fn words(bytes: &[u8; KEY_BYTES]) -> [u64; 3] {
    let (words, _) = bytes.as_chunks::<8>();
    [u64::from_le_bytes(words[0]), u64::from_le_bytes(words[1]), u64::from_le_bytes(words[2])]
}

/// The names of a session's instruments.
#[derive(Clone, Debug)]
pub(super) struct Names {
    symbols: Vec<Symbol>,
    /// `BTCUSDT"`, as events name them.
    upper: Vec<Key>,
    /// `btcusdt@`, as stream names start.
    lower: Vec<Key>,
    /// Found last: the next message is likely about the same.
    hint: usize,
}

impl Names {
    pub(super) fn new(table: &InstrumentTable) -> Self {
        let symbols: Vec<Symbol> = table.all().iter().map(|i| i.symbol).collect();
        let upper = symbols.iter().map(|s| Key::new(s.as_bytes(), b'"')).collect();
        let lower = symbols.iter().map(|s| Key::new(&s.as_bytes().to_ascii_lowercase(), b'@')).collect();
        Self { symbols, upper, lower, hint: 0 }
    }

    /// The instrument whose symbol and closing quote come next, and what is left behind them. `None` near the end of the
    /// buffer too: padding makes sure that this is no loss.
    #[inline]
    pub(super) fn symbol<'a>(&mut self, bytes: &'a [u8]) -> Option<(InstrumentId, &'a [u8])> {
        Self::find(&self.upper, &mut self.hint, bytes)
    }

    /// The instrument whose lower-case symbol and `@` come next, and what is left behind them.
    #[inline]
    pub(super) fn stream<'a>(&mut self, bytes: &'a [u8]) -> Option<(InstrumentId, &'a [u8])> {
        Self::find(&self.lower, &mut self.hint, bytes)
    }

    #[inline]
    fn find<'a>(keys: &[Key], hint: &mut usize, bytes: &'a [u8]) -> Option<(InstrumentId, &'a [u8])> {
        let there = words(bytes.first_chunk()?);
        let found = match keys.get(*hint) {
            Some(key) if key.matches(&there) => *hint,
            _ => keys.iter().position(|key| key.matches(&there))?,
        };
        *hint = found;
        Some((InstrumentId(u16::try_from(found).ok()?), bytes.get(keys[found].len..)?))
    }

    /// What is left behind the symbol of this instrument and a closing quote, if they come next.
    #[inline]
    pub(super) fn this_symbol<'a>(&self, instrument: InstrumentId, bytes: &'a [u8]) -> Option<&'a [u8]> {
        let key = self.upper.get(instrument.index())?;
        if key.matches(&words(bytes.first_chunk()?)) { bytes.get(key.len..) } else { None }
    }

    /// By symbol.
    pub(super) fn find_symbol(&self, symbol: &str) -> Option<InstrumentId> {
        let at = self.symbols.iter().position(|s| s.as_str() == symbol)?;
        u16::try_from(at).ok().map(InstrumentId)
    }

    /// By the name of a stream (`btcusdt@depth20@100ms`).
    pub(super) fn find_stream(&self, stream: &str) -> Option<InstrumentId> {
        let (name, _) = stream.split_once('@')?;
        let at = self.symbols.iter().position(|s| s.as_str().eq_ignore_ascii_case(name))?;
        u16::try_from(at).ok().map(InstrumentId)
    }
}
