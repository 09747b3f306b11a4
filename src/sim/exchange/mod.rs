//! The exchange inside the embedded venue: a price-time matching engine with accounts, filters, market data and history.
//!
//! Pure: no I/O, no clock, no randomness. Time is an argument of every request (and never runs backwards: an earlier time
//! counts as the latest seen). Events are kept until drained, in order. It refuses as the venue refuses, with its codes;
//! what it does not have (stops, icebergs, order lists) it refuses too.

mod accounts;
mod book;
mod events;
mod external;
mod filters;
mod history;
mod market;
mod matching;
mod order;
mod refusal;
mod requests;
mod spec;
mod tape;

pub use accounts::{Account, AccountConfig, AccountId, DepositError, Holding};
pub use events::{
    AccountEvent, AccountPosition, Balance, BalanceDelta, BestChange, ExecutionKind, ExecutionReport,
    LastFill, LastPrevention, LevelChange, MarketEvent, PublicTrade,
};
pub use history::{AccountTrade, HistoryQuery};
pub use order::{
    AmendReport, CancelOrder, CancelReplaceMode, CancelReplaceReport, CancelReport, CancelRestriction,
    ClientId, Fill, NewOrder, OrderKey, OrderKind, OrderRecord, OrderReport, OrderStatus, PreventedMatch,
    Step, StpMode, time_in_force_str,
};
pub use refusal::Refusal;
pub use requests::{AmendOrder, CancelReplaceOrder};
pub use spec::{
    ExchangeConfig, Filters, LotFilter, NotionalFilter, PercentPriceFilter, PriceFilter, Ratio, SpecError,
    SymbolId, SymbolSpec, SymbolStatus,
};
pub use tape::{AveragePrice, Interval, KLINES_KEPT_MAX, Kline, KlineQuery, Ticker};

use crate::types::{AssetId, Level, Price, Qty, Side, Symbol, TradeId};
use accounts::Accounts;
use market::{Desk, Market, Outbox};

/// The exchange.
#[derive(Debug)]
pub struct Exchange {
    markets: Vec<Market>,
    assets: Vec<Symbol>,
    accounts: Accounts,
    out: Outbox,
    config: ExchangeConfig,
    now_ns: i64,
}

/// The best prices of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct BestPrices {
    /// The book's number.
    pub update_id: u64,
    /// Best bid; `None` when nobody bids.
    pub bid: Option<Level>,
    /// Best ask.
    pub ask: Option<Level>,
}

/// A book as `depth` answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepthSnapshot {
    /// The book's number.
    pub last_update_id: u64,
    /// Bids, best first.
    pub bids: Vec<Level>,
    /// Asks, best first.
    pub asks: Vec<Level>,
}

impl Exchange {
    /// An exchange without accounts, with empty books.
    pub fn new(config: ExchangeConfig) -> Result<Self, SpecError> {
        let mut assets: Vec<Symbol> = Vec::new();
        let mut intern = |name: Symbol| {
            let at = assets.iter().position(|&a| a == name).unwrap_or_else(|| {
                assets.push(name);
                assets.len() - 1
            });
            AssetId(u16::try_from(at).unwrap_or(u16::MAX))
        };
        let mut markets: Vec<Market> = Vec::new();
        for spec in &config.symbols {
            spec.check()?;
            if markets.iter().any(|m| m.spec.symbol == spec.symbol) {
                return Err(SpecError::Twice(spec.symbol));
            }
            let id = SymbolId(u16::try_from(markets.len()).unwrap_or(u16::MAX));
            let pair = (intern(spec.base), intern(spec.quote));
            markets.push(Market::new(id, spec, pair, &config));
        }
        let accounts = Accounts::new(assets.len());
        Ok(Self { markets, assets, accounts, out: Outbox::default(), config, now_ns: 0 })
    }

    // What is listed.

    /// What is listed, by [`SymbolId`].
    pub fn symbols(&self) -> impl ExactSizeIterator<Item = (SymbolId, &SymbolSpec)> {
        self.markets.iter().map(|m| (m.id, &m.spec))
    }
    /// A symbol by name (exact, upper case).
    pub fn symbol_id(&self, name: &[u8]) -> Option<SymbolId> {
        self.markets.iter().find(|m| m.spec.symbol.as_bytes() == name).map(|m| m.id)
    }
    /// One symbol.
    pub fn spec(&self, symbol: SymbolId) -> &SymbolSpec {
        &self.market(symbol).spec
    }
    /// Base and quote asset of a symbol.
    pub fn pair(&self, symbol: SymbolId) -> (AssetId, AssetId) {
        (self.market(symbol).base, self.market(symbol).quote)
    }
    /// Halts a symbol, or opens it again.
    pub fn set_status(&mut self, symbol: SymbolId, status: SymbolStatus) {
        self.market_mut(symbol).spec.status = status;
    }
    /// All assets, by [`AssetId`].
    pub fn assets(&self) -> &[Symbol] {
        &self.assets
    }
    /// An asset by name.
    pub fn asset_id(&self, name: &[u8]) -> Option<AssetId> {
        let at = self.assets.iter().position(|a| a.as_bytes() == name)?;
        u16::try_from(at).ok().map(AssetId)
    }

    // Accounts.

    /// Opens an account.
    pub fn open_account(&mut self, config: AccountConfig) -> AccountId {
        self.accounts.open(config)
    }
    /// Pays in (or out, when negative).
    pub fn deposit(
        &mut self,
        account: AccountId,
        asset: AssetId,
        delta: Qty,
        now_ns: i64,
    ) -> Result<(), DepositError> {
        let time_ns = self.clamp(now_ns);
        self.accounts.deposit(account, asset, delta)?;
        self.accounts.stamp(account, time_ns);
        if self.accounts.get(account).config.reports {
            let event = BalanceDelta { account, asset, delta, time_ns };
            self.out.account.push(AccountEvent::Balance(event));
        }
        Ok(())
    }
    /// One account.
    pub fn account(&self, account: AccountId) -> &Account {
        self.accounts.get(account)
    }
    /// How many accounts there are: their ids run from 0.
    pub fn account_count(&self) -> usize {
        self.accounts.len()
    }
    /// Fees taken in an asset.
    pub fn fees(&self, asset: AssetId) -> Qty {
        self.accounts.fees(asset)
    }
    /// What was paid in less what is held and what fees took: zero, always, or the venue has lost or made money.
    pub fn imbalance(&self, asset: AssetId) -> i128 {
        self.accounts.imbalance(asset)
    }

    // Requests. Times are the venue's own.

    /// Places an order.
    pub fn place(
        &mut self,
        account: AccountId,
        order: &NewOrder,
        now_ns: i64,
    ) -> Result<OrderReport, Refusal> {
        self.at_desk(order.symbol, now_ns, |market, desk| market.place(desk, account, order))
    }
    /// Checks an order as [`Exchange::place`] would, up to the filters, and does nothing (`order.test`).
    pub fn test(&mut self, order: &NewOrder, now_ns: i64) -> Result<(), Refusal> {
        let now_ns = self.clamp(now_ns);
        self.market_mut(order.symbol).check(order, now_ns).map(|_| ())
    }
    /// Cancels an order.
    pub fn cancel(
        &mut self,
        account: AccountId,
        order: &CancelOrder,
        now_ns: i64,
    ) -> Result<CancelReport, Refusal> {
        self.at_desk(order.symbol, now_ns, |market, desk| market.cancel(desk, account, order))
    }
    /// Cancels all orders of an account on a symbol; refused when there is none, as the venue does.
    pub fn cancel_all(
        &mut self,
        account: AccountId,
        symbol: SymbolId,
        now_ns: i64,
    ) -> Result<Vec<CancelReport>, Refusal> {
        self.at_desk(symbol, now_ns, |market, desk| market.cancel_all(desk, account))
    }
    /// Cancels one order and places another. `Err` only when the new order fails a filter (nothing was tried then); for
    /// the two halves see [`CancelReplaceReport::refusal`]. Both must be on the same symbol.
    pub fn cancel_replace(
        &mut self,
        account: AccountId,
        request: &CancelReplaceOrder,
        now_ns: i64,
    ) -> Result<CancelReplaceReport, Refusal> {
        if request.cancel.symbol != request.new_order.symbol {
            return Err(Refusal::INVALID_SYMBOL);
        }
        self.at_desk(request.cancel.symbol, now_ns, |market, desk| {
            market.cancel_replace(desk, account, request)
        })
    }
    /// Makes an order smaller and keeps its place in the queue.
    pub fn amend_keep_priority(
        &mut self,
        account: AccountId,
        request: &AmendOrder,
        now_ns: i64,
    ) -> Result<AmendReport, Refusal> {
        self.at_desk(request.symbol, now_ns, |market, desk| market.amend(desk, account, request))
    }
    /// Time passes: klines close.
    pub fn advance(&mut self, now_ns: i64) {
        let now_ns = self.clamp(now_ns);
        for market in &mut self.markets {
            market.tape.roll(now_ns);
        }
    }

    // Queries of an account.

    /// One order, open or closed.
    pub fn order(&self, account: AccountId, symbol: SymbolId, key: OrderKey) -> Result<OrderRecord, Refusal> {
        let market = self.market(symbol);
        if let Some(slot) = market.book.find(account, key) {
            return Ok(*market.book.record(slot));
        }
        let history = market.histories.get(account.index());
        history.and_then(|h| h.find(key)).copied().ok_or(Refusal::NO_SUCH_ORDER)
    }
    /// Open orders, oldest first, of one symbol or of all.
    pub fn open_orders(&self, account: AccountId, symbol: Option<SymbolId>) -> Vec<OrderRecord> {
        self.markets
            .iter()
            .filter(|m| symbol.is_none_or(|s| s == m.id))
            .flat_map(|m| m.book.of_account(account).map(|(_, record)| *record))
            .collect()
    }
    /// Open and closed orders by number.
    pub fn all_orders(&self, account: AccountId, symbol: SymbolId, query: HistoryQuery) -> Vec<OrderRecord> {
        let market = self.market(symbol);
        let closed = market.histories.get(account.index()).into_iter().flat_map(history::History::closed);
        let mut orders: Vec<OrderRecord> = closed
            .chain(market.book.of_account(account).map(|(_, record)| record))
            .filter(|record| query.holds(record.id.0, record.created_ns))
            .copied()
            .collect();
        orders.sort_unstable_by_key(|record| record.id);
        query.cut(orders)
    }
    /// Fills by number.
    pub fn my_trades(&self, account: AccountId, symbol: SymbolId, query: HistoryQuery) -> Vec<AccountTrade> {
        let history = self.market(symbol).histories.get(account.index());
        history.map_or_else(Vec::new, |h| h.trades(query))
    }

    // Queries of the market.

    /// Best prices.
    pub fn best(&self, symbol: SymbolId) -> BestPrices {
        let market = self.market(symbol);
        BestPrices {
            update_id: market.update_id,
            bid: market.book.best(Side::Buy),
            ask: market.book.best(Side::Sell),
        }
    }
    /// The book, up to `limit` levels a side.
    pub fn depth(&self, symbol: SymbolId, limit: usize) -> DepthSnapshot {
        let market = self.market(symbol);
        DepthSnapshot {
            last_update_id: market.update_id,
            bids: market.book.levels(Side::Buy).take(limit).collect(),
            asks: market.book.levels(Side::Sell).take(limit).collect(),
        }
    }
    /// How many levels a side has.
    pub fn level_count(&self, symbol: SymbolId, side: Side) -> usize {
        self.market(symbol).book.depth(side)
    }
    /// Orders of a side in the order in which they would be matched (for tests and views).
    pub fn resting(&self, symbol: SymbolId, side: Side) -> impl Iterator<Item = &OrderRecord> {
        self.market(symbol).book.orders(side)
    }
    /// Public trades, oldest first: the latest `limit`, or `limit` from a number on.
    pub fn public_trades(&self, symbol: SymbolId, from: Option<TradeId>, limit: usize) -> Vec<PublicTrade> {
        self.market(symbol).tape.trades(from, limit)
    }
    /// Klines, oldest first; the last one may still be open (its close time is in the future).
    pub fn klines(&self, symbol: SymbolId, interval: Interval, query: KlineQuery) -> Vec<Kline> {
        self.market(symbol).tape.klines(interval, query)
    }
    /// The 24 hour ticker.
    pub fn ticker_24h(&self, symbol: SymbolId, now_ns: i64) -> Ticker {
        self.market(symbol).tape.ticker(now_ns)
    }
    /// The average price of the last five minutes.
    pub fn average_price(&mut self, symbol: SymbolId, now_ns: i64) -> AveragePrice {
        let now_ns = self.clamp(now_ns);
        self.market_mut(symbol).tape.average(5, now_ns)
    }
    /// The last price (the listing's reference before the first trade).
    pub fn last_price(&self, symbol: SymbolId) -> Price {
        self.market(symbol).tape.last_price()
    }

    /// Puts a made-up trade of the past on the tape (klines, ticker, public trades), so that a venue that just opened has a
    /// history. Touches no book and no account. Refused (`false`) when the tape has later trades.
    pub fn seed_trade(
        &mut self,
        symbol: SymbolId,
        (price, qty): (Price, Qty),
        taker: Side,
        time_ns: i64,
    ) -> bool {
        let market = self.market_mut(symbol);
        if time_ns < market.tape.last_trade_ns() {
            return false;
        }
        let taker_order = market.next_order_id();
        let trade = PublicTrade {
            symbol,
            id: TradeId(market::next(&mut market.numbers.trade)),
            agg_id: market.tape.aggregate(taker_order, price),
            price,
            qty,
            quote: Market::value(price, qty),
            time_ns,
            buyer_is_maker: tape::buyer_is_maker(taker),
            taker_order,
        };
        market.tape.add(trade);
        true
    }

    // Events.

    /// Hands over the market events that wait, oldest first.
    pub fn drain_market_events(&mut self) -> impl Iterator<Item = MarketEvent> {
        self.out.market.drain(..)
    }
    /// Hands over the account events that wait, oldest first.
    pub fn drain_account_events(&mut self) -> impl Iterator<Item = AccountEvent> {
        self.out.account.drain(..)
    }

    fn market(&self, symbol: SymbolId) -> &Market {
        &self.markets[symbol.index()]
    }
    fn market_mut(&mut self, symbol: SymbolId) -> &mut Market {
        &mut self.markets[symbol.index()]
    }
    fn clamp(&mut self, now_ns: i64) -> i64 {
        self.now_ns = self.now_ns.max(now_ns);
        self.now_ns
    }

    fn at_desk<T>(
        &mut self,
        symbol: SymbolId,
        now_ns: i64,
        request: impl FnOnce(&mut Market, &mut Desk<'_>) -> T,
    ) -> T {
        let now_ns = self.clamp(now_ns);
        let market = &mut self.markets[symbol.index()];
        let mut desk = Desk {
            accounts: &mut self.accounts,
            out: &mut self.out,
            now_ns,
            orders_kept_max: self.config.orders_kept_max,
            trades_kept_max: self.config.trades_kept_max,
        };
        let answer = request(market, &mut desk);
        market.finish(&mut desk);
        answer
    }
}
