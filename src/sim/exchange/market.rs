//! One symbol at work: its book, its numbers, its tape, and what it tells of them.

use super::accounts::{AccountId, Accounts, as_qty};
use super::book::RestingBook;
use super::events::{
    AccountEvent, AccountPosition, Balance, BestChange, ExecutionKind, ExecutionReport, LastFill,
    LastPrevention, LevelChange, MarketEvent,
};
use super::history::History;
use super::order::{ClientId, OrderRecord};
use super::spec::{ExchangeConfig, SymbolId, SymbolSpec};
use super::tape::Tape;
use crate::types::{AssetId, Cash, Level, Price, Qty, Side, VenueOrderId};

/// Events that wait to be drained.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) market: Vec<MarketEvent>,
    pub(super) account: Vec<AccountEvent>,
    /// Accounts whose balances this request touched.
    touched: Vec<AccountId>,
}

/// What a request needs beside the market: the accounts, the outbox and the time.
#[derive(Debug)]
pub(super) struct Desk<'a> {
    pub(super) accounts: &'a mut Accounts,
    pub(super) out: &'a mut Outbox,
    pub(super) now_ns: i64,
    pub(super) orders_kept_max: usize,
    pub(super) trades_kept_max: usize,
}

impl Desk<'_> {
    pub(super) fn reports(&self, account: AccountId) -> bool {
        self.accounts.get(account).config.reports
    }
}

/// The next number of each kind.
#[derive(Debug)]
pub(super) struct Numbers {
    pub(super) order: u64,
    pub(super) trade: u64,
    pub(super) execution: u64,
    pub(super) prevented: u64,
}

/// A counter's next value.
pub(super) fn next(counter: &mut u64) -> u64 {
    *counter += 1;
    *counter - 1
}

/// One symbol.
#[derive(Debug)]
pub(super) struct Market {
    pub(super) id: SymbolId,
    pub(super) spec: SymbolSpec,
    pub(super) base: AssetId,
    pub(super) quote: AssetId,
    pub(super) book: RestingBook,
    pub(super) tape: Tape,
    pub(super) histories: Vec<History>,
    pub(super) numbers: Numbers,
    pub(super) update_id: u64,
    /// Whether a recording is mirrored: then only its trades go on the tape.
    pub(super) external: bool,
    /// A level that changed and has not been told yet: changes of one level in a row are told once.
    dirty: Option<(Side, Price)>,
    best: (Level, Level),
}

/// What an execution report says beyond the order itself.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Note {
    pub(super) request_id: Option<ClientId>,
    pub(super) orig_client_id: Option<ClientId>,
    pub(super) fill: Option<LastFill>,
    pub(super) prevention: Option<LastPrevention>,
    pub(super) reject_reason: Option<&'static str>,
}

impl Market {
    pub(super) fn new(
        id: SymbolId,
        spec: &SymbolSpec,
        (base, quote): (AssetId, AssetId),
        config: &ExchangeConfig,
    ) -> Self {
        let start = config.id_start + u64::from(id.0) * 1_000_000_000;
        Self {
            id,
            spec: *spec,
            base,
            quote,
            book: RestingBook::default(),
            tape: Tape::new(spec.reference_price, config.public_trades_kept_max, start),
            histories: Vec::new(),
            numbers: Numbers { order: start, trade: start, execution: start, prevented: 0 },
            update_id: config.update_id_start,
            external: false,
            dirty: None,
            best: (Level::default(), Level::default()),
        }
    }

    /// The value of a quantity at a price: exact, because tick and lot were checked to make it so.
    pub(super) fn value(price: Price, qty: Qty) -> Cash {
        let product = i128::from(price.units()) * i128::from(qty.units());
        debug_assert_eq!(product % i128::from(Price::ONE.units()), 0, "{price} * {qty} is not exact");
        Cash::notional_floor(price, qty).unwrap_or_else(|| panic!("value of {qty} at {price} overflows"))
    }

    /// What an order of this side and price locks for a quantity.
    pub(super) fn lock_of(&self, record: &OrderRecord, qty: Qty) -> (AssetId, Qty) {
        match record.side {
            Side::Buy => (self.quote, as_qty(Self::value(record.price, qty))),
            Side::Sell => (self.base, qty),
        }
    }

    pub(super) fn history_mut(&mut self, account: AccountId) -> &mut History {
        let at = account.index();
        if self.histories.len() <= at {
            self.histories.resize_with(at + 1, History::default);
        }
        &mut self.histories[at]
    }

    /// A level changed.
    pub(super) fn touch(&mut self, desk: &mut Desk<'_>, side: Side, price: Price) {
        if self.dirty != Some((side, price)) {
            self.tell_level(desk);
            self.dirty = Some((side, price));
        }
    }

    fn tell_level(&mut self, desk: &mut Desk<'_>) {
        let Some((side, price)) = self.dirty.take() else { return };
        self.update_id += 1;
        desk.out.market.push(MarketEvent::Level(LevelChange {
            symbol: self.id,
            update_id: self.update_id,
            side,
            level: Level::new(price, self.book.qty_at(side, price)),
            time_ns: desk.now_ns,
        }));
    }

    /// The request is done: what is left to tell is told.
    pub(super) fn finish(&mut self, desk: &mut Desk<'_>) {
        self.tell_level(desk);
        let best =
            (self.book.best(Side::Buy).unwrap_or_default(), self.book.best(Side::Sell).unwrap_or_default());
        if best != self.best {
            self.best = best;
            desk.out.market.push(MarketEvent::Best(BestChange {
                symbol: self.id,
                update_id: self.update_id,
                bid: best.0,
                ask: best.1,
                time_ns: desk.now_ns,
            }));
        }
        let mut touched = core::mem::take(&mut desk.out.touched);
        for account in touched.drain(..) {
            let balance = |asset| {
                let holding = desk.accounts.holding(account, asset);
                Balance { asset, free: holding.free, locked: holding.locked }
            };
            let balances = [balance(self.base), balance(self.quote)];
            desk.out.account.push(AccountEvent::Position(AccountPosition {
                account,
                balances,
                time_ns: desk.now_ns,
            }));
        }
        desk.out.touched = touched;
    }

    /// Remembers that an account's balances may have changed.
    pub(super) fn touch_account(desk: &mut Desk<'_>, account: AccountId) {
        desk.accounts.stamp(account, desk.now_ns);
        if desk.reports(account) && !desk.out.touched.contains(&account) {
            desk.out.touched.push(account);
        }
    }

    /// Sends an execution report and keeps an order that ended. Returns the execution's number.
    pub(super) fn report(
        &mut self,
        desk: &mut Desk<'_>,
        order: &OrderRecord,
        kind: ExecutionKind,
        note: Note,
    ) -> u64 {
        let execution_id = next(&mut self.numbers.execution);
        Self::touch_account(desk, order.account);
        if !desk.reports(order.account) {
            return execution_id;
        }
        if !order.status.is_open() && kind != ExecutionKind::Rejected {
            self.history_mut(order.account).close(*order, desk.orders_kept_max);
        }
        let rests = order.kind != super::order::OrderKind::Market && order.status.is_open();
        desk.out.account.push(AccountEvent::Execution(ExecutionReport {
            account: order.account,
            order: *order,
            kind,
            client_id: note.request_id.unwrap_or(order.client_id),
            orig_client_id: note.orig_client_id,
            execution_id,
            fill: note.fill,
            prevention: note.prevention,
            on_book: kind == ExecutionKind::New || rests,
            reject_reason: note.reject_reason.unwrap_or("NONE"),
            time_ns: desk.now_ns,
        }));
        execution_id
    }

    /// A number for an order.
    pub(super) fn next_order_id(&mut self) -> VenueOrderId {
        VenueOrderId(next(&mut self.numbers.order))
    }

    /// An id for a request that came without one: the execution counter tells them apart.
    pub(super) fn generated_id(&mut self) -> ClientId {
        ClientId::generated(next(&mut self.numbers.execution))
    }
}
