//! What an account may ask about its past on one symbol: closed orders and fills, bounded.

use std::collections::VecDeque;

use super::order::{OrderKey, OrderRecord};
use super::spec::SymbolId;
use crate::types::{AssetId, Cash, Price, Qty, TradeId, VenueOrderId};

/// A fill of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AccountTrade {
    /// On what.
    pub symbol: SymbolId,
    /// The trade.
    pub id: TradeId,
    /// The order.
    pub order: VenueOrderId,
    /// Price.
    pub price: Price,
    /// Quantity.
    pub qty: Qty,
    /// Quote value.
    pub quote: Cash,
    /// Fee.
    pub commission: Qty,
    /// Asset of the fee.
    pub commission_asset: AssetId,
    /// When.
    pub time_ns: i64,
    /// Whether the account bought.
    pub buyer: bool,
    /// Whether it was the maker.
    pub maker: bool,
}

/// Which orders or fills are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct HistoryQuery {
    /// Only of this order (fills).
    pub order: Option<VenueOrderId>,
    /// From this number on (order id, or trade id for fills).
    pub from_id: Option<u64>,
    /// Not before.
    pub start_ns: Option<i64>,
    /// Not after.
    pub end_ns: Option<i64>,
    /// At most: the earliest when `from_id` or `start_ns` is given, else the latest.
    pub limit: usize,
}

impl HistoryQuery {
    pub(super) fn holds(&self, id: u64, time_ns: i64) -> bool {
        self.from_id.is_none_or(|from| id >= from)
            && self.start_ns.is_none_or(|start| time_ns >= start)
            && self.end_ns.is_none_or(|end| time_ns <= end)
    }

    /// Cuts a list in ascending order to the limit.
    pub(super) fn cut<T>(&self, mut list: Vec<T>) -> Vec<T> {
        if self.from_id.is_some() || self.start_ns.is_some() {
            list.truncate(self.limit);
            return list;
        }
        list.split_off(list.len().saturating_sub(self.limit))
    }
}

/// One account's past on one symbol.
#[derive(Debug, Default)]
pub(super) struct History {
    closed: VecDeque<OrderRecord>,
    trades: VecDeque<AccountTrade>,
}

impl History {
    pub(super) fn close(&mut self, record: OrderRecord, kept_max: usize) {
        if self.closed.len() >= kept_max {
            self.closed.pop_front();
        }
        self.closed.push_back(record);
    }

    pub(super) fn trade(&mut self, trade: AccountTrade, kept_max: usize) {
        if self.trades.len() >= kept_max {
            self.trades.pop_front();
        }
        self.trades.push_back(trade);
    }

    /// The latest closed order that fits: client ids may come again.
    pub(super) fn find(&self, key: OrderKey) -> Option<&OrderRecord> {
        self.closed.iter().rev().find(|record| match key {
            OrderKey::Id(id) => record.id == id,
            OrderKey::Client(client) => record.client_id == client,
            OrderKey::Both(id, client) => record.id == id && record.client_id == client,
        })
    }

    pub(super) fn closed(&self) -> impl Iterator<Item = &OrderRecord> {
        self.closed.iter()
    }

    pub(super) fn trades(&self, query: HistoryQuery) -> Vec<AccountTrade> {
        let fits = |t: &&AccountTrade| {
            query.order.is_none_or(|order| t.order == order) && query.holds(t.id.0, t.time_ns)
        };
        query.cut(self.trades.iter().filter(fits).copied().collect())
    }
}
