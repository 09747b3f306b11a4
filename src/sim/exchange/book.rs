//! The book of one symbol: resting orders by price, then by time. It knows order from order but nothing of money.

use std::collections::{BTreeMap, HashMap};

use super::accounts::AccountId;
use super::order::{ClientId, OrderKey, OrderRecord};
use crate::types::{Level, Price, Qty, Side, VenueOrderId};

/// Place of an order in the slab.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Slot(u32);

const NIL: u32 = u32::MAX;

#[derive(Debug)]
struct Node {
    record: OrderRecord,
    previous: u32,
    next: u32,
}

/// Orders at one price, oldest first: a list threaded through the slab, so that a cancel anywhere costs the same.
#[derive(Debug)]
struct Queue {
    head: u32,
    tail: u32,
    qty: Qty,
}

/// Resting orders of one symbol.
#[derive(Debug, Default)]
pub(super) struct RestingBook {
    nodes: Vec<Option<Node>>,
    vacant: Vec<u32>,
    bids: BTreeMap<Price, Queue>,
    asks: BTreeMap<Price, Queue>,
    by_id: HashMap<VenueOrderId, u32>,
    by_client: HashMap<(AccountId, ClientId), u32>,
    by_account: BTreeMap<(AccountId, VenueOrderId), u32>,
    /// Open orders by account index.
    counts: Vec<u32>,
}

impl RestingBook {
    fn node(&self, at: u32) -> &Node {
        self.nodes[at as usize].as_ref().unwrap_or_else(|| unreachable!("links lead to orders"))
    }
    fn node_mut(&mut self, at: u32) -> &mut Node {
        self.nodes[at as usize].as_mut().unwrap_or_else(|| unreachable!("links lead to orders"))
    }
    fn side(&self, side: Side) -> &BTreeMap<Price, Queue> {
        match side {
            Side::Buy => &self.bids,
            Side::Sell => &self.asks,
        }
    }
    fn side_mut(&mut self, side: Side) -> &mut BTreeMap<Price, Queue> {
        match side {
            Side::Buy => &mut self.bids,
            Side::Sell => &mut self.asks,
        }
    }

    pub(super) fn record(&self, slot: Slot) -> &OrderRecord {
        &self.node(slot.0).record
    }

    /// Best price of a side.
    pub(super) fn best(&self, side: Side) -> Option<Level> {
        let entry = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        };
        entry.map(|(&price, queue)| Level::new(price, queue.qty))
    }

    /// The oldest order at the best price of a side.
    pub(super) fn first(&self, side: Side) -> Option<Slot> {
        let entry = match side {
            Side::Buy => self.bids.last_key_value(),
            Side::Sell => self.asks.first_key_value(),
        };
        entry.map(|(_, queue)| Slot(queue.head))
    }

    /// Levels of a side, best first.
    pub(super) fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        let (mut bids, mut asks) = (self.bids.iter().rev(), self.asks.iter());
        core::iter::from_fn(move || match side {
            Side::Buy => bids.next(),
            Side::Sell => asks.next(),
        })
        .map(|(&price, queue)| Level::new(price, queue.qty))
    }

    /// Orders of a side, in the order in which they would be matched.
    pub(super) fn orders(&self, side: Side) -> impl Iterator<Item = &OrderRecord> + '_ {
        let (mut bids, mut asks) = (self.bids.values().rev(), self.asks.values());
        let mut at = NIL;
        core::iter::from_fn(move || {
            if at == NIL {
                at = match side {
                    Side::Buy => bids.next(),
                    Side::Sell => asks.next(),
                }?
                .head;
            }
            let node = self.node(at);
            at = node.next;
            Some(&node.record)
        })
    }

    /// Quantity at a price.
    pub(super) fn qty_at(&self, side: Side, price: Price) -> Qty {
        self.side(side).get(&price).map_or(Qty::ZERO, |queue| queue.qty)
    }

    pub(super) fn depth(&self, side: Side) -> usize {
        self.side(side).len()
    }

    /// Puts an order behind all others at its price.
    pub(super) fn insert(&mut self, record: OrderRecord) -> Slot {
        let at = self.vacant.pop().unwrap_or_else(|| {
            self.nodes.push(None);
            u32::try_from(self.nodes.len() - 1).unwrap_or_else(|_| unreachable!("fewer than 2^32 orders"))
        });
        let queue = self.side_mut(record.side).entry(record.price).or_insert(Queue {
            head: at,
            tail: NIL,
            qty: Qty::ZERO,
        });
        let previous = core::mem::replace(&mut queue.tail, at);
        queue.qty = shift(queue.qty, record.remaining().units());
        if previous != NIL {
            self.node_mut(previous).next = at;
        }
        self.by_id.insert(record.id, at);
        self.by_client.insert((record.account, record.client_id), at);
        self.by_account.insert((record.account, record.id), at);
        let account = record.account.index();
        if self.counts.len() <= account {
            self.counts.resize(account + 1, 0);
        }
        self.counts[account] += 1;
        self.nodes[at as usize] = Some(Node { record, previous, next: NIL });
        Slot(at)
    }

    /// Takes an order out.
    pub(super) fn remove(&mut self, slot: Slot) -> OrderRecord {
        let Node { record, previous, next } = self.nodes[slot.0 as usize]
            .take()
            .unwrap_or_else(|| unreachable!("only open orders are removed"));
        self.vacant.push(slot.0);
        if previous != NIL {
            self.node_mut(previous).next = next;
        }
        if next != NIL {
            self.node_mut(next).previous = previous;
        }
        let levels = self.side_mut(record.side);
        if let Some(queue) = levels.get_mut(&record.price) {
            queue.qty = shift(queue.qty, -record.remaining().units());
            if previous == NIL {
                queue.head = next;
            }
            if next == NIL {
                queue.tail = previous;
            }
            if queue.head == NIL {
                levels.remove(&record.price);
            }
        }
        self.by_id.remove(&record.id);
        self.by_client.remove(&(record.account, record.client_id));
        self.by_account.remove(&(record.account, record.id));
        self.counts[record.account.index()] -= 1;
        record
    }

    /// Changes an order in place; its remaining quantity may shrink, its place in the queue stays. The caller removes it
    /// when nothing remains.
    pub(super) fn update(&mut self, slot: Slot, change: impl FnOnce(&mut OrderRecord)) -> OrderRecord {
        let record = &mut self.node_mut(slot.0).record;
        let before = record.remaining();
        change(record);
        let after = *record;
        if let Some(queue) = self.side_mut(after.side).get_mut(&after.price) {
            queue.qty = shift(queue.qty, after.remaining().units() - before.units());
        }
        after
    }

    /// Gives an order another client id.
    pub(super) fn rename(&mut self, slot: Slot, client_id: ClientId) {
        let record = &mut self.node_mut(slot.0).record;
        let old = core::mem::replace(&mut record.client_id, client_id);
        let account = record.account;
        self.by_client.remove(&(account, old));
        self.by_client.insert((account, client_id), slot.0);
    }

    /// An open order of an account.
    pub(super) fn find(&self, account: AccountId, key: OrderKey) -> Option<Slot> {
        let at = match key {
            OrderKey::Id(id) | OrderKey::Both(id, _) => self.by_id.get(&id),
            OrderKey::Client(client) => self.by_client.get(&(account, client)),
        }
        .copied()?;
        let record = &self.node(at).record;
        let fits = record.account == account
            && match key {
                OrderKey::Both(_, client) => record.client_id == client,
                _ => true,
            };
        fits.then_some(Slot(at))
    }

    /// Open orders of an account, oldest first.
    pub(super) fn of_account(&self, account: AccountId) -> impl Iterator<Item = (Slot, &OrderRecord)> + '_ {
        let range = (account, VenueOrderId(0))..=(account, VenueOrderId(u64::MAX));
        self.by_account.range(range).map(|(_, &at)| (Slot(at), &self.node(at).record))
    }

    /// How many orders an account has open.
    pub(super) fn open_count(&self, account: AccountId) -> u32 {
        self.counts.get(account.index()).copied().unwrap_or(0)
    }
}

/// Level sums: each order's quantity passed the filters and the owner's balance, so sums fit; overflow is a bug of ours.
fn shift(qty: Qty, delta: i64) -> Qty {
    qty.checked_add(Qty::from_units(delta))
        .unwrap_or_else(|| panic!("level quantity {qty} + {delta} overflows"))
}
