//! A hash table of fixed size for the hot path: open addressing, no allocation after construction, no random state, so that
//! two runs over the same facts walk it the same way.

use super::{ClientOrderId, TradeId, cache};

/// What can be a key: spread over 64 bits, the upper ones best.
pub trait Key: Copy + Eq {
    /// The spread value.
    fn spread(self) -> u64;
}

/// An odd number near `2^64 / phi`: multiplying by it moves a counter's low bits into the high ones.
const SPREAD: u64 = 0x9E37_79B9_7F4A_7C15;

impl Key for ClientOrderId {
    #[inline]
    fn spread(self) -> u64 {
        self.0.wrapping_mul(SPREAD)
    }
}

impl Key for (ClientOrderId, TradeId) {
    #[inline]
    fn spread(self) -> u64 {
        (self.0.0.wrapping_mul(SPREAD) ^ self.1.0).wrapping_mul(SPREAD)
    }
}

/// The table. At most three quarters of its slots are used, so that probes stay short.
#[derive(Clone, Debug)]
pub struct FixedTable<K, V> {
    slots: Box<[Option<(K, V)>]>,
    len: usize,
    shift: u32,
}

impl<K: Key, V: Copy> FixedTable<K, V> {
    /// With `slots` slots, a power of two of at least 2.
    pub fn new(slots: usize) -> Self {
        assert!(slots.is_power_of_two() && slots >= 2, "slots are found by their upper bits");
        Self { slots: vec![None; slots].into_boxed_slice(), len: 0, shift: 64 - slots.trailing_zeros() }
    }
    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.len
    }
    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }
    /// Whether another key would make probes long.
    pub const fn is_full(&self) -> bool {
        self.len * 4 >= self.slots.len() * 3
    }

    #[inline]
    fn home(&self, key: K) -> usize {
        // The shift leaves log2(slots) bits.
        usize::try_from(key.spread() >> self.shift).unwrap_or(0)
    }

    /// The slot of a key, or the empty slot where it would go. There is one: the table is never full.
    #[inline]
    fn find(&self, key: K) -> Result<usize, usize> {
        let mask = self.slots.len() - 1;
        let mut at = self.home(key);
        loop {
            match &self.slots[at] {
                Some((there, _)) if *there == key => return Ok(at),
                Some(_) => at = (at + 1) & mask,
                None => return Err(at),
            }
        }
    }

    /// The value of a key.
    #[inline]
    pub fn get(&self, key: K) -> Option<&V> {
        self.find(key).ok().and_then(|at| self.slots[at].as_ref()).map(|(_, v)| v)
    }
    /// The value of a key, to change.
    #[inline]
    pub fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let at = self.find(key).ok()?;
        self.slots[at].as_mut().map(|(_, v)| v)
    }
    /// Enters a key or overwrites its value. `false`: the table is full and nothing was entered.
    pub fn insert(&mut self, key: K, value: V) -> bool {
        match self.find(key) {
            Ok(at) => self.slots[at] = Some((key, value)),
            Err(_) if self.is_full() => return false,
            Err(at) => {
                self.slots[at] = Some((key, value));
                self.len += 1;
            }
        }
        true
    }
    /// A key that is about to be entered: its slot is fetched. Slots are spread, so that of the next key is in no near cache.
    #[inline]
    pub fn expect(&self, key: K) {
        cache::fetch_for_writing(&self.slots[self.home(key)]);
    }
    /// Takes a key out.
    pub fn remove(&mut self, key: K) -> Option<V> {
        let mut hole = self.find(key).ok()?;
        let (_, value) = self.slots[hole].take()?;
        self.len -= 1;
        // Entries behind the hole move up when that brings them nearer to their home, so that no probe breaks off.
        let mask = self.slots.len() - 1;
        let mut at = (hole + 1) & mask;
        while let Some((there, _)) = self.slots[at] {
            let home = self.home(there);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.slots[hole] = self.slots[at].take();
                hole = at;
            }
            at = (at + 1) & mask;
        }
        Some(value)
    }
    /// Every key and value, in slot order: the same after the same calls.
    pub fn iter(&self) -> impl Iterator<Item = (K, &V)> + '_ {
        self.slots.iter().flatten().map(|(k, v)| (*k, v))
    }
}

/// A set that forgets its oldest keys: "was this fill booked already?" over the last `capacity` fills.
#[derive(Clone, Debug)]
pub struct RecentSet<K> {
    table: FixedTable<K, ()>,
    order: Box<[Option<K>]>,
    next: usize,
}

impl<K: Key> RecentSet<K> {
    /// Remembers the last `capacity` keys, a power of two.
    pub fn new(capacity: usize) -> Self {
        Self { table: FixedTable::new(capacity * 2), order: vec![None; capacity].into_boxed_slice(), next: 0 }
    }
    /// Enters a key; `false` if it was there.
    pub fn insert(&mut self, key: K) -> bool {
        if self.table.get(key).is_some() {
            return false;
        }
        if let Some(oldest) = self.order[self.next].replace(key) {
            self.table.remove(oldest);
        }
        self.next = (self.next + 1) % self.order.len();
        // Twice as many slots as keys: never full.
        self.table.insert(key, ())
    }
}
