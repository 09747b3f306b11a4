//! What the venue knows: the exchange, who listens, who may trade, what was counted. One thread owns it; nothing here waits.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde::{Deserialize, Serialize};

use super::book::RecordedBook;
use super::diffs::Accumulator;
use super::hub::{Hub, Key, Topic};
use super::keys::Registered;
use super::limits::Limits;
use super::market_json as show;
use super::shapes::{self, Names, TimeUnit};
use super::ws_api::Session;
use crate::sim::exchange::{
    AccountEvent, AccountId, BestChange, Exchange, ExecutionKind, LevelChange, MarketEvent, PublicTrade,
    SymbolId,
};
use crate::sim::faults::FaultEngine;
use crate::types::{AssetId, Symbol};

/// One symbol's streams.
pub(super) struct Feed {
    pub(super) symbol: SymbolId,
    pub(super) name: Symbol,
    pub(super) fast: Accumulator,
    pub(super) slow: Accumulator,
    /// The book of a recording, when one is played: it is what the world sees then.
    pub(super) recorded: Option<RecordedBook>,
}

/// What a stats request tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Faults that happened, by kind.
    pub faults: BTreeMap<String, u64>,
    /// Orders that the engine accepted.
    pub orders_accepted: u64,
    /// Orders that it refused.
    pub orders_rejected: u64,
    /// Orders cancelled.
    pub cancels: u64,
    /// Fills of clients' orders.
    pub fills: u64,
    /// Open orders of each client account.
    pub open_orders: BTreeMap<u32, u64>,
    /// Market stream connections now.
    pub stream_connections: u64,
    /// WebSocket API connections now.
    pub api_connections: u64,
    /// REST requests answered.
    pub rest_requests: u64,
    /// WebSocket API requests answered.
    pub api_requests: u64,
    /// Market messages queued to connections.
    pub market_messages: u64,
    /// Lines of the recording played.
    pub recording_lines: u64,
    /// Whether the recording has been played to its end.
    pub recording_done: bool,
    /// Why it ended early.
    pub recording_error: Option<String>,
}

/// Who hears of an account.
pub(super) struct UserSubscription {
    pub(super) session: Rc<Session>,
    pub(super) account: AccountId,
    pub(super) id: u64,
    /// Whether it came by the session's logon, and goes with it.
    pub(super) by_logon: bool,
}

/// Everything.
pub(super) struct State {
    pub(super) exchange: Exchange,
    pub(super) hub: Hub,
    pub(super) feeds: Vec<Feed>,
    pub(super) limits: Limits,
    pub(super) faults: FaultEngine,
    pub(super) keys: Vec<Registered>,
    /// Which venue this is, of all that were ever started: its accounts live no longer than it does, and none of another
    /// venue bears the same number.
    pub(super) instance: u64,
    /// The account that all keys belong to.
    pub(super) account: AccountId,
    pub(super) sessions: Vec<Rc<Session>>,
    pub(super) users: Vec<UserSubscription>,
    pub(super) stats: Stats,
}

impl Names for Exchange {
    fn symbol(&self, id: SymbolId) -> Symbol {
        self.spec(id).symbol
    }
    fn asset(&self, id: AssetId) -> Symbol {
        self.assets().get(id.index()).copied().unwrap_or_default()
    }
}

impl State {
    /// Whether a recording is played.
    pub(super) fn is_replay(&self) -> bool {
        self.feeds.iter().any(|f| f.recorded.is_some())
    }

    /// Best bid and ask of what the world sees.
    pub(super) fn best(&self, symbol: SymbolId) -> show::Best {
        if let Some(book) = &self.feeds[symbol.index()].recorded {
            return book.best();
        }
        let best = self.exchange.best(symbol);
        (best.bid.unwrap_or_default(), best.ask.unwrap_or_default())
    }

    /// The book that the world sees.
    pub(super) fn depth_json(&self, symbol: SymbolId, limit: usize) -> String {
        if let Some(book) = &self.feeds[symbol.index()].recorded {
            return book.json(limit);
        }
        let depth = self.exchange.depth(symbol, limit);
        show::depth(depth.last_update_id, &depth.bids, &depth.asks)
    }

    /// Passes on what has happened in the exchange.
    pub(super) fn publish(&mut self, now_ns: i64) {
        let events: Vec<MarketEvent> = self.exchange.drain_market_events().collect();
        if !self.is_replay() {
            self.publish_market(&events, now_ns);
        }
        let events: Vec<AccountEvent> = self.exchange.drain_account_events().collect();
        for event in &events {
            self.count(event, now_ns);
            self.publish_user(event, now_ns);
        }
    }

    fn publish_market(&mut self, events: &[MarketEvent], now_ns: i64) {
        let mut trades: Vec<PublicTrade> = Vec::new();
        for event in events {
            match event {
                MarketEvent::Trade(trade) => {
                    self.publish_trade(trade, now_ns);
                    trades.push(*trade);
                }
                MarketEvent::Level(change) => self.level(change),
                MarketEvent::Best(best) => self.publish_best(best, now_ns),
            }
        }
        self.publish_aggregates(&trades, now_ns);
    }

    fn level(&mut self, change: &LevelChange) {
        let feed = &mut self.feeds[change.symbol.index()];
        feed.fast.add(change.update_id, change.update_id, change.side, change.level);
        feed.slow.add(change.update_id, change.update_id, change.side, change.level);
    }

    fn publish_trade(&mut self, trade: &PublicTrade, now_ns: i64) {
        let key = Key { symbol: trade.symbol, topic: Topic::Trade };
        let name = self.feeds[trade.symbol.index()].name;
        let render = |unit| show::trade_event(unit, name.as_str(), trade, now_ns);
        self.hub.publish(key, &mut self.faults, now_ns, &render);
    }

    /// Aggregates of trades that came together.
    pub(super) fn publish_aggregates(&mut self, trades: &[PublicTrade], now_ns: i64) {
        let Some(symbol) = trades.first().map(|t| t.symbol) else { return };
        for group in trades.chunk_by(|a, b| a.symbol == b.symbol) {
            let symbol = group.first().map_or(symbol, |t| t.symbol);
            let key = Key { symbol, topic: Topic::Aggregate };
            if !self.hub.is_wanted(key) {
                continue;
            }
            let name = self.feeds[symbol.index()].name;
            for aggregate in show::aggregates(group) {
                let render = |unit| show::aggregate_event(unit, name.as_str(), &aggregate, now_ns);
                self.hub.publish(key, &mut self.faults, now_ns, &render);
            }
        }
    }

    fn publish_best(&mut self, best: &BestChange, now_ns: i64) {
        let key = Key { symbol: best.symbol, topic: Topic::Best };
        let name = self.feeds[best.symbol.index()].name;
        self.hub.publish(key, &mut self.faults, now_ns, &|_| show::best_event(name.as_str(), best));
    }

    fn count(&mut self, event: &AccountEvent, now_ns: i64) {
        let AccountEvent::Execution(report) = event else { return };
        match report.kind {
            ExecutionKind::New => self.stats.orders_accepted += 1,
            ExecutionKind::Canceled => self.stats.cancels += 1,
            ExecutionKind::Trade => {
                self.stats.fills += 1;
                if report.fill.is_some_and(|f| f.qty == report.order.executed) {
                    // The order's first fill gives its place under the order limits back.
                    self.limits.release_order(report.account.0, now_ns);
                }
            }
            _ => {}
        }
    }

    fn publish_user(&mut self, event: &AccountEvent, now_ns: i64) {
        let (account, name) = match event {
            AccountEvent::Execution(e) => (e.account, "executionReport"),
            AccountEvent::Position(e) => (e.account, "outboundAccountPosition"),
            AccountEvent::Balance(e) => (e.account, "balanceUpdate"),
        };
        if account == self.account && self.faults.private(name, now_ns) {
            return;
        }
        let names: &dyn Names = &self.exchange;
        let render = |unit: TimeUnit| match event {
            AccountEvent::Execution(e) => shapes::execution(names, unit, e),
            AccountEvent::Position(e) => shapes::position(names, unit, e),
            AccountEvent::Balance(e) => shapes::balance_delta(names, unit, e),
        };
        for user in self.users.iter().filter(|u| u.account == account) {
            let event = render(user.session.unit);
            user.session.say(&format!("{{\"subscriptionId\":{},\"event\":{event}}}", user.id));
        }
    }

    /// A WebSocket API connection went.
    pub(super) fn forget(&mut self, session: &Rc<Session>) {
        self.sessions.retain(|s| !Rc::ptr_eq(s, session));
        self.users.retain(|u| !Rc::ptr_eq(&u.session, session));
    }

    /// The counts as of now.
    pub(super) fn stats(&self) -> Stats {
        let mut stats = self.stats.clone();
        stats.faults = self.faults.counts().iter().map(|(k, n)| ((*k).to_owned(), *n)).collect();
        let open = self.exchange.open_orders(self.account, None).len();
        stats.open_orders.insert(self.account.0, open as u64);
        stats.stream_connections = self.hub.subscribers().len() as u64;
        stats.api_connections = self.sessions.len() as u64;
        stats.market_messages = self.hub.sent;
        stats
    }
}
