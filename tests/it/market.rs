//! A small market for the tests of signal, strategies and risk: two instruments, facts with running numbers, and orders.

use interlock::event::command::{ALL_INSTRUMENTS, NO_STRATEGY};
use interlock::event::fact::{LinkId, LinkStatus};
use interlock::event::{
    Action, BalanceUpdate, Body, BookStatus, Claim, ClockOffset, Command, CommandKind, Depth, Fact, Intent,
    OrderSpec, OrderUpdate, Quote, Reply, ReplyKind, Trade,
};
use interlock::limits::LEVELS_PER_FACT;
use interlock::risk::{Apply, RiskConfig};
use interlock::shared::{HaltLevel, HaltView};
use interlock::types::instrument::{LotRule, NotionalRule, PriceRule};
use interlock::types::{
    AssetId, Cash, ClientOrderId, Instrument, InstrumentId, InstrumentTable, Level, OrderState, OrderType,
    Price, Qty, Reason, Side, StrategyId, Symbol, TimeInForce, TradeId, VenueOrderId,
};

pub(crate) const BTC: InstrumentId = InstrumentId(0);
pub(crate) const ETH: InstrumentId = InstrumentId(1);
pub(crate) const START_NS: i64 = 1_700_000_000_000_000_000;
pub(crate) const MS: i64 = 1_000_000;
pub(crate) const S: i64 = 1_000 * MS;
pub(crate) const ARMED: HaltView = HaltView { level: HaltLevel::None, epoch: 1, lease_valid: true };

pub(crate) fn price(text: &str) -> Price {
    Price::parse(text.as_bytes()).unwrap()
}
pub(crate) fn qty(text: &str) -> Qty {
    Qty::parse(text.as_bytes()).unwrap()
}
pub(crate) fn cash(text: &str) -> Cash {
    Cash::parse(text.as_bytes()).unwrap()
}

pub(crate) fn instrument(table: &mut InstrumentTable, base: &str, quote: &str, step: &str) -> Instrument {
    let asset = |table: &mut InstrumentTable, name: &str| {
        table.intern_asset(Symbol::new(name.as_bytes()).unwrap()).unwrap()
    };
    Instrument {
        id: InstrumentId(0),
        symbol: Symbol::new(format!("{base}{quote}").as_bytes()).unwrap(),
        base: asset(table, base),
        quote: asset(table, quote),
        trading: true,
        cancel_allowed: true,
        price: PriceRule { min: price("0.01"), max: price("1000000"), tick: price("0.01") },
        lot: LotRule { min: qty(step), max: qty("9000"), step: qty(step) },
        market_lot: LotRule::default(),
        notional: NotionalRule {
            min: cash("5"),
            min_for_market: true,
            max: cash("9000000"),
            max_for_market: false,
        },
        band: interlock::types::instrument::PercentPriceRule {
            bid_up: qty("5"),
            bid_down: qty("0.2"),
            ask_up: qty("5"),
            ask_down: qty("0.2"),
        },
        orders_max: 200,
        position_max: Qty::ZERO,
        iceberg_parts_max: 10,
        price_decimals: 2,
        qty_decimals: 5,
    }
}

/// BTCUSDT and ETHUSDT.
pub(crate) fn table() -> InstrumentTable {
    let mut table = InstrumentTable::default();
    for (base, step) in [("BTC", "0.00001"), ("ETH", "0.0001")] {
        let made = instrument(&mut table, base, "USDT", step);
        table.push(made).unwrap();
    }
    table
}

/// Makes facts with running numbers at a time that only the test moves.
#[derive(Clone, Debug)]
pub(crate) struct Facts {
    pub(crate) seq: u64,
    pub(crate) now_ns: i64,
    trades: u64,
}

impl Facts {
    pub(crate) const fn new() -> Self {
        Self { seq: 0, now_ns: START_NS, trades: 0 }
    }
    pub(crate) const fn body(&mut self, body: Body) -> Fact {
        self.seq += 1;
        Fact { seq: self.seq, recv_ns: self.now_ns, body }
    }
    pub(crate) fn quote(&mut self, instrument: InstrumentId, bid: Level, ask: Level) -> Fact {
        let quote = Quote { instrument, conflated: false, update_id: self.seq, bid, ask };
        self.body(Body::Quote(quote))
    }
    /// A quote of one unit a side.
    pub(crate) fn quote_at(&mut self, instrument: InstrumentId, bid: &str, ask: &str) -> Fact {
        self.quote(instrument, Level::new(price(bid), Qty::ONE), Level::new(price(ask), Qty::ONE))
    }
    pub(crate) fn trade(&mut self, instrument: InstrumentId, at: Price, qty: Qty, venue_ns: i64) -> Fact {
        self.trades += 1;
        let trade_id = TradeId(self.trades);
        let aggressor = Side::Buy;
        self.body(Body::Trade(Trade {
            instrument,
            aggressor,
            conflated: false,
            trade_id,
            price: at,
            qty,
            venue_ns,
        }))
    }
    pub(crate) fn depth(
        &mut self,
        instrument: InstrumentId,
        changes: &[(Side, Level)],
        snapshot: bool,
    ) -> Fact {
        let mut levels = [Level::default(); LEVELS_PER_FACT];
        let mut asks = 0;
        for (at, (side, level)) in changes.iter().enumerate() {
            levels[at] = *level;
            asks |= u8::from(*side == Side::Sell) << at;
        }
        let count = u8::try_from(changes.len()).unwrap();
        let update_id = self.seq;
        let venue_ns = self.now_ns;
        let (first, last) = (true, true);
        self.body(Body::Depth(Depth {
            instrument,
            count,
            asks,
            first,
            last,
            snapshot,
            update_id,
            venue_ns,
            levels,
        }))
    }
    pub(crate) const fn book_status(&mut self, instrument: InstrumentId, valid: bool) -> Fact {
        self.body(Body::BookStatus(BookStatus { instrument, valid, reason: Reason::None }))
    }
    pub(crate) const fn balance(&mut self, asset: AssetId, free: Qty, locked: Qty) -> Fact {
        let venue_ns = self.now_ns;
        self.body(Body::Balance(BalanceUpdate { asset, free, locked, venue_ns }))
    }
    pub(crate) const fn clock(&mut self, offset_ns: i64, round_trip_ns: i64) -> Fact {
        self.body(Body::ClockOffset(ClockOffset { offset_ns, round_trip_ns }))
    }
    pub(crate) const fn timer(&mut self) -> Fact {
        self.body(Body::Timer)
    }
    pub(crate) const fn link(&mut self, link: LinkId, up: bool) -> Fact {
        self.body(Body::Link(LinkStatus { link, up, reason: Reason::None, attempts: 0 }))
    }
    pub(crate) const fn command(&mut self, kind: CommandKind) -> Fact {
        self.command_on(kind, ALL_INSTRUMENTS)
    }
    pub(crate) const fn command_on(&mut self, kind: CommandKind, instrument: InstrumentId) -> Fact {
        self.body(Body::Command(Command {
            kind,
            instrument,
            uid: 0,
            ticket: 1,
            halt_epoch: 0,
            strategy: NO_STRATEGY,
        }))
    }
    pub(crate) fn reply(&mut self, kind: ReplyKind, client: ClientOrderId, cancel: bool) -> Fact {
        self.body(Body::Reply(Reply {
            kind,
            cancel,
            instrument: BTC,
            reason: Reason::None,
            venue_code: 0,
            client,
            venue_order: VenueOrderId::default(),
            venue_ns: self.now_ns,
        }))
    }
    /// The venue's word on an order of ours, as an event or a query's answer.
    pub(crate) fn order(&mut self, order: &Placed, state: OrderState, filled: Qty, snapshot: bool) -> Fact {
        let mut update = order.update(state, filled, self.now_ns);
        update.snapshot = snapshot;
        self.body(Body::Order(update))
    }
    /// A fill of an order of ours.
    pub(crate) fn fill(&mut self, order: &Placed, at: Price, trade: u64, qty: Qty, filled: Qty) -> Fact {
        let done = filled >= order.spec.qty;
        let state = if done { OrderState::Filled } else { OrderState::PartiallyFilled };
        let update =
            OrderUpdate { trade: TradeId(trade), price: at, qty, ..order.update(state, filled, self.now_ns) };
        self.body(Body::Order(update))
    }
}

/// An order of ours as the tests know it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    pub(crate) client: ClientOrderId,
    pub(crate) instrument: InstrumentId,
    pub(crate) spec: OrderSpec,
}

impl Placed {
    pub(crate) fn update(&self, state: OrderState, filled: Qty, venue_ns: i64) -> OrderUpdate {
        OrderUpdate {
            instrument: self.instrument,
            side: self.spec.side,
            state,
            snapshot: false,
            maker: false,
            fee_asset: AssetId::UNKNOWN,
            client: self.client,
            venue_order: VenueOrderId(self.client.counter() + 1_000),
            trade: TradeId(0),
            price: self.spec.price,
            qty: self.spec.qty,
            filled,
            fee: Qty::ZERO,
            venue_ns,
        }
    }
}

pub(crate) fn spec(side: Side, at: &str, amount: &str) -> OrderSpec {
    OrderSpec {
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price: price(at),
        qty: qty(amount),
    }
}

pub(crate) fn intent(counter: u64, instrument: InstrumentId, action: Action) -> Intent {
    Intent {
        client: ClientOrderId::new(1, counter),
        cause_seq: counter,
        cause_ns: START_NS,
        strategy: StrategyId(0),
        owner: StrategyId(0),
        instrument,
        reduce_only: false,
        action,
        claim: Claim::NONE,
    }
}

/// Limits under which a single order of a new session is let in: what looks at the past has no past to look at.
pub(crate) fn limits() -> RiskConfig {
    let mut limits = RiskConfig::default();
    (limits.turnover.apply, limits.repeat.apply) = (Apply::Never, Apply::Never);
    limits.no_trade.spread_quotes_min = 1;
    limits.no_trade.volatility_max_bp = 5_000;
    limits.collar_period_bp = 5_000;
    (limits.fan_out.orders_per_fact_max, limits.fan_out.orders_per_window_max) = (16, 10_000);
    limits.fan_out.value_per_fact_max = cash("1000000000");
    limits.fan_out.value_per_window_max = cash("1000000000");
    limits.correlation.exposure_max = cash("1000000000");
    limits
}
