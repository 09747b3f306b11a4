//! The paper fill model (R-RES-2): latency, book walks, the queue, post-only, IOC and FOK, fees and money, all from facts.

use interlock::event::{Action, Body, Depth, Fact, Order, OrderSpec, OrderUpdate, Quote, Reply, Trade};
use interlock::sim::fill::{FillConfig, FillEvent, FillModel};
use interlock::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
use interlock::types::{
    AssetId, Cash, ClientOrderId, Instrument, InstrumentId, InstrumentTable, Level, OrderState, OrderType,
    Price, Qty, Side, StrategyId, Symbol, TimeInForce, TradeId,
};

mod desk;
mod taking;
mod waiting;

const ID: InstrumentId = InstrumentId(0);
const BASE: AssetId = AssetId(0);
const QUOTE: AssetId = AssetId(1);
const MS: i64 = 1_000_000;

fn price(text: &str) -> Price {
    text.parse().expect("a price")
}

fn qty(text: &str) -> Qty {
    text.parse().expect("a quantity")
}

fn level(at: &str, quantity: &str) -> Level {
    Level::new(price(at), qty(quantity))
}

fn table() -> InstrumentTable {
    let mut table = InstrumentTable::default();
    let base = table.intern_asset(Symbol::new(b"BTC").expect("a name")).expect("room");
    let quote = table.intern_asset(Symbol::new(b"USDT").expect("a name")).expect("room");
    let lot = LotRule { min: qty("0.00001"), max: qty("9000"), step: qty("0.00001") };
    let instrument = Instrument {
        id: ID,
        symbol: Symbol::new(b"BTCUSDT").expect("a name"),
        base,
        quote,
        trading: true,
        cancel_allowed: true,
        price: PriceRule { min: price("0.01"), max: price("1000000"), tick: price("0.01") },
        lot,
        market_lot: LotRule { min: Qty::ZERO, max: qty("100"), step: Qty::ZERO },
        notional: NotionalRule {
            min: Cash::from_units(5 * Cash::ONE.units()),
            min_for_market: true,
            max: Cash::ZERO,
            max_for_market: false,
        },
        band: PercentPriceRule::default(),
        orders_max: 200,
        position_max: Qty::ZERO,
        iceberg_parts_max: 0,
        price_decimals: 2,
        qty_decimals: 5,
    };
    table.push(instrument).expect("room");
    table
}

struct Paper {
    model: FillModel,
    seq: u64,
    now_ns: i64,
    update_id: u64,
    next_client: u64,
    /// Everything that ever came out.
    log: Vec<FillEvent>,
}

/// What came out, the parts that tests look at.
#[derive(Debug, Default)]
struct Out {
    replies: Vec<Reply>,
    orders: Vec<OrderUpdate>,
    balances: usize,
    open: Option<u32>,
}

impl Out {
    fn fills(&self) -> Vec<(String, String, bool)> {
        let fills = self.orders.iter().filter(|o| o.trade != TradeId(0));
        fills.map(|o| (o.price.to_string(), o.qty.to_string(), o.maker)).collect()
    }
    fn states(&self) -> Vec<OrderState> {
        self.orders.iter().map(|o| o.state).collect()
    }
}

fn fill(at: &str, quantity: &str, maker: bool) -> (String, String, bool) {
    (at.to_owned(), quantity.to_owned(), maker)
}

impl Paper {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut FillConfig)) -> Self {
        let mut config = FillConfig {
            balances: vec![(BASE, qty("10")), (QUOTE, qty("1000000"))],
            ..FillConfig::default()
        };
        change(&mut config);
        Self {
            model: FillModel::new(&table(), config),
            seq: 0,
            now_ns: 1_000 * MS,
            update_id: 100,
            next_client: 1,
            log: Vec::new(),
        }
    }

    fn fact(&mut self, body: Body) -> Out {
        self.seq += 1;
        self.model.on_fact(&Fact { seq: self.seq, recv_ns: self.now_ns, body });
        self.drain()
    }

    fn drain(&mut self) -> Out {
        let mut out = Out::default();
        let from = self.log.len();
        self.model.poll(&mut |event| self.log.push(event));
        for event in &self.log[from..] {
            match *event {
                FillEvent::Body(Body::Reply(reply)) => out.replies.push(reply),
                FillEvent::Body(Body::Order(order)) => out.orders.push(order),
                FillEvent::Body(Body::Balance(_)) => out.balances += 1,
                FillEvent::OpenOrders { count } => out.open = Some(count),
                FillEvent::Body(_) | FillEvent::AccountRead => {}
            }
        }
        out
    }

    /// Time passes and nothing else.
    fn wait(&mut self, ms: i64) -> Out {
        self.now_ns += ms * MS;
        self.fact(Body::Timer)
    }

    fn depth(&mut self, snapshot: bool, changes: &[(Side, Level)]) -> Out {
        self.update_id += 1;
        let mut out = Out::default();
        let pieces: Vec<&[(Side, Level)]> = changes.chunks(4).collect();
        for (at, piece) in pieces.iter().enumerate() {
            let mut levels = [Level::default(); 4];
            let mut asks = 0;
            for (i, &(side, level)) in piece.iter().enumerate() {
                levels[i] = level;
                asks |= u8::from(side == Side::Sell) << i;
            }
            let part = self.fact(Body::Depth(Depth {
                instrument: ID,
                count: u8::try_from(piece.len()).unwrap(),
                asks,
                first: at == 0,
                last: at + 1 == pieces.len(),
                snapshot,
                update_id: self.update_id,
                venue_ns: self.now_ns,
                levels,
            }));
            out.orders.extend(part.orders);
            out.replies.extend(part.replies);
        }
        out
    }

    /// 100 / 101 with three levels each.
    fn open_book(&mut self) {
        self.depth(
            true,
            &[
                (Side::Buy, level("100", "2")),
                (Side::Buy, level("99", "3")),
                (Side::Buy, level("98", "5")),
                (Side::Sell, level("101", "2")),
                (Side::Sell, level("102", "3")),
                (Side::Sell, level("103", "5")),
            ],
        );
    }

    fn quote(&mut self, bid: Level, ask: Level) -> Out {
        self.update_id += 1;
        let update_id = self.update_id;
        self.fact(Body::Quote(Quote { instrument: ID, conflated: false, update_id, bid, ask }))
    }

    fn trade(&mut self, aggressor: Side, at: &str, quantity: &str) -> Out {
        self.fact(Body::Trade(Trade {
            instrument: ID,
            aggressor,
            conflated: false,
            trade_id: TradeId(self.seq),
            price: price(at),
            qty: qty(quantity),
            venue_ns: self.now_ns,
        }))
    }

    fn order(&mut self, action: Action) -> Order {
        self.next_client += 1;
        Order {
            client: ClientOrderId::new(1, self.next_client),
            cause_seq: self.seq,
            cause_ns: self.now_ns,
            strategy: StrategyId(0),
            instrument: ID,
            reduce_only: false,
            action,
        }
    }

    fn send(&mut self, spec: OrderSpec) -> ClientOrderId {
        let order = self.order(Action::Place(spec));
        self.model.place(&order, self.now_ns);
        order.client
    }

    /// Places an order and waits for it.
    fn place(&mut self, spec: OrderSpec) -> Out {
        self.send(spec);
        self.wait(5)
    }

    fn balance(&self, asset: AssetId) -> (String, String) {
        let (free, locked) = self.model.balance(asset);
        (free.to_string(), locked.to_string())
    }
}

fn limit(side: Side, at: &str, quantity: &str) -> OrderSpec {
    OrderSpec {
        side,
        order_type: OrderType::Limit,
        time_in_force: TimeInForce::Gtc,
        price: price(at),
        qty: qty(quantity),
    }
}

fn market(side: Side, quantity: &str) -> OrderSpec {
    OrderSpec { order_type: OrderType::Market, ..limit(side, "100", quantity) }
}

fn pair(free: &str, locked: &str) -> (String, String) {
    (free.to_owned(), locked.to_owned())
}
