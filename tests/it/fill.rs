//! The paper fill model (R-RES-2): latency, book walks, the queue, post-only, IOC and FOK, fees and money, all from facts.

use std::collections::BTreeMap;

use interlock::event::fact::LinkId;
use interlock::event::{
    Action, Body, BookStatus, Depth, Fact, LinkStatus, Order, OrderSpec, OrderUpdate, Quote, Reply,
    ReplyKind, Trade,
};
use interlock::sim::fill::{CancelsAhead, FillConfig, FillEvent, FillModel, Latency};
use interlock::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
use interlock::types::{
    AssetId, Cash, ClientOrderId, Instrument, InstrumentId, InstrumentTable, Level, OrderState, OrderType,
    Price, Qty, Reason, Side, StrategyId, Symbol, TimeInForce, TradeId,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support;

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

#[test]
fn latency_is_decided_on_fact_time() {
    let mut paper = Paper::new();
    paper.open_book();
    let client = paper.send(limit(Side::Buy, "90", "1"));
    assert_eq!(paper.model.pending(), 1);
    // 2 ms there and 2 ms back: at 3.9 ms nothing is known, whatever the clock outside says.
    paper.now_ns += 3 * MS + 900_000;
    assert!(paper.fact(Body::Timer).replies.is_empty());
    paper.now_ns += 100_000;
    let out = paper.fact(Body::Timer);
    assert_eq!((out.replies[0].kind, out.replies[0].client), (ReplyKind::Accepted, client));
    assert_eq!(out.replies[0].venue_ns, paper.now_ns);
    assert_eq!(out.states(), [OrderState::Acknowledged]);
    assert_eq!(out.balances, 2);
}

#[test]
fn the_market_may_move_away_while_the_order_travels() {
    let mut paper = Paper::new();
    paper.open_book();
    paper.send(OrderSpec { time_in_force: TimeInForce::Ioc, ..limit(Side::Buy, "101", "1") });
    paper.now_ns += 2 * MS;
    paper.depth(false, &[(Side::Sell, level("101", "0"))]);
    let out = paper.wait(3);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired]);
    assert!(out.fills().is_empty());
    assert_eq!(paper.balance(QUOTE), pair("1000000", "0"));
}

#[test]
fn takers_walk_the_book_and_pay_for_it() {
    let mut paper = Paper::new();
    paper.open_book();
    let out = paper.place(market(Side::Buy, "4"));
    assert_eq!(out.fills(), [fill("101", "2", false), fill("102", "2", false)]);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::PartiallyFilled, OrderState::Filled]);
    let last = out.orders.last().unwrap();
    assert_eq!((last.filled, last.fee, last.fee_asset), (qty("4"), qty("0.002"), BASE));
    assert_eq!(paper.balance(QUOTE), pair("999594", "0"));
    assert_eq!(paper.balance(BASE), pair("13.996", "0"));
    // What was taken is not there a second time, until the market shows the level anew.
    let out = paper.place(market(Side::Buy, "1"));
    assert_eq!(out.fills(), [fill("102", "1", false)]);
    paper.depth(false, &[(Side::Sell, level("101", "0.5"))]);
    let out = paper.place(market(Side::Buy, "1"));
    assert_eq!(out.fills(), [fill("101", "0.5", false), fill("103", "0.5", false)]);
}

#[test]
fn a_market_order_without_liquidity_expires() {
    let mut paper = Paper::new();
    paper.trade(Side::Buy, "100", "1");
    let out = paper.place(market(Side::Sell, "1"));
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired]);
    paper.open_book();
    let out = paper.place(market(Side::Sell, "9.9"));
    assert_eq!(out.fills().len(), 3);
    assert_eq!(out.fills()[2], fill("98", "4.9", false));
}

#[test]
fn a_newer_quote_tops_an_older_book_and_stands_in_for_none() {
    let mut paper = Paper::new();
    paper.quote(level("100", "1"), level("100.5", "0.4"));
    let out = paper.place(OrderSpec { time_in_force: TimeInForce::Ioc, ..limit(Side::Buy, "105", "1") });
    assert_eq!(out.fills(), [fill("100.5", "0.4", false)], "without a book only the quote is there");
    assert_eq!(out.states().last(), Some(&OrderState::Expired));

    let mut paper = Paper::new();
    paper.open_book();
    // The quote says that 101 is gone and that 102 has less; the book behind it still counts.
    paper.quote(level("100", "2"), level("102", "1"));
    let out = paper.place(market(Side::Buy, "2"));
    assert_eq!(out.fills(), [fill("102", "1", false), fill("103", "1", false)]);
    // An invalid book is not used.
    paper.fact(Body::BookStatus(BookStatus { instrument: ID, valid: false, reason: Reason::SequenceGap }));
    paper.quote(level("100", "2"), level("102.5", "1"));
    let out = paper.place(market(Side::Buy, "2"));
    assert_eq!(out.fills(), [fill("102.5", "1", false)]);
    // With the stream cut, nothing is there.
    paper.quote(level("100", "2"), level("102.5", "2"));
    let link = LinkId::Market;
    let cut = LinkStatus { link, up: false, reason: Reason::Closed, attempts: 1 };
    paper.fact(Body::Link(cut));
    let out = paper.place(market(Side::Buy, "1"));
    assert!(out.fills().is_empty());
}

#[test]
fn ioc_fok_and_post_only() {
    let mut paper = Paper::new();
    paper.open_book();
    let fok = OrderSpec { time_in_force: TimeInForce::Fok, ..limit(Side::Buy, "101", "2.1") };
    let out = paper.place(fok);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired]);
    let out = paper.place(OrderSpec { qty: qty("2"), ..fok });
    assert_eq!(out.fills(), [fill("101", "2", false)]);
    let ioc = OrderSpec { time_in_force: TimeInForce::Ioc, ..limit(Side::Sell, "99", "6") };
    let out = paper.place(ioc);
    assert_eq!(out.fills(), [fill("100", "2", false), fill("99", "3", false)]);
    assert_eq!(out.orders.last().unwrap().filled, qty("5"));
    assert_eq!(paper.model.open_orders(), 0);

    let mut paper = Paper::new();
    paper.open_book();
    let post = |at| OrderSpec { order_type: OrderType::LimitMaker, ..limit(Side::Buy, at, "1") };
    let out = paper.place(post("101"));
    assert_eq!((out.replies[0].kind, out.replies[0].venue_code), (ReplyKind::Rejected, -2010));
    assert!(out.orders.is_empty());
    let out = paper.place(post("100.99"));
    assert_eq!(out.states(), [OrderState::Acknowledged]);
    // Our own order counts for the next post-only one.
    let out = paper.place(OrderSpec { side: Side::Sell, ..post("100.5") });
    assert_eq!(out.replies[0].venue_code, -2010);
}

#[test]
fn a_maker_waits_behind_what_is_shown() {
    let mut paper = Paper::new();
    paper.open_book();
    let client = paper.send(limit(Side::Buy, "100", "1"));
    paper.wait(5);
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("2")));
    assert_eq!(paper.balance(QUOTE), pair("999900", "100"));
    // Trades take those ahead first; trades on the other side are none of its business.
    assert!(paper.trade(Side::Sell, "100", "1.5").orders.is_empty());
    assert!(paper.trade(Side::Buy, "101", "1").orders.is_empty());
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("0.5")));
    // The depth update that follows is explained by the trade: nobody cancelled.
    paper.depth(false, &[(Side::Buy, level("100", "0.5"))]);
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("0.5")));
    let out = paper.trade(Side::Sell, "100", "0.8");
    assert_eq!(out.fills(), [fill("100", "0.3", true)]);
    assert_eq!(out.states(), [OrderState::PartiallyFilled]);
    assert_eq!(out.balances, 2);
    assert_eq!(out.orders[0].fee, qty("0.0003"));
    // A trade at a worse price means that the level was exhausted.
    let out = paper.trade(Side::Sell, "99", "0.2");
    assert_eq!(out.fills(), [fill("100", "0.2", true)]);
    let out = paper.trade(Side::Sell, "99", "5");
    assert_eq!(out.fills(), [fill("100", "0.5", true)]);
    assert_eq!(out.states(), [OrderState::Filled]);
    assert_eq!(paper.balance(QUOTE), pair("999900", "0"));
    assert_eq!(paper.balance(BASE), pair("10.999", "0"));
}

#[test]
fn cancels_ahead_move_the_queue_by_the_stated_model() {
    for (model, expected) in [(CancelsAhead::Proportional, "1.5"), (CancelsAhead::FromBehind, "2")] {
        let mut paper = Paper::with(|config| config.cancels_ahead = model);
        paper.open_book();
        let client = paper.send(limit(Side::Buy, "100", "1"));
        paper.wait(5);
        // Two more join behind it, then one cancels somewhere: of 4 shown, 2 are ahead.
        paper.depth(false, &[(Side::Buy, level("100", "4"))]);
        paper.wait(100);
        paper.depth(false, &[(Side::Buy, level("100", "3"))]);
        assert_eq!(paper.model.queue_ahead(ID, client), Some(qty(expected)), "{model:?}");
        // Never more ahead than is shown.
        paper.depth(false, &[(Side::Buy, level("100", "0.25"))]);
        assert!(paper.model.queue_ahead(ID, client) <= Some(qty("0.25")));
    }
}

#[test]
fn a_quote_that_overtakes_its_trade_is_not_counted_twice() {
    let mut paper = Paper::new();
    paper.open_book();
    let client = paper.send(limit(Side::Buy, "100", "1"));
    paper.wait(5);
    // All ahead of us: the quote already shows what the trade leaves.
    paper.quote(level("100", "1"), level("101", "2"));
    paper.trade(Side::Sell, "100", "1");
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("1")));
    // Much later the same sequence is a cancel and a trade.
    paper.wait(1_000);
    paper.quote(level("100", "0.5"), level("101", "2"));
    paper.wait(1_000);
    let out = paper.trade(Side::Sell, "100", "0.6");
    assert_eq!(out.fills(), [fill("100", "0.1", true)]);
}

#[test]
fn an_unknown_place_is_the_last_one_once_it_is_seen() {
    let mut paper = Paper::new();
    paper.quote(level("100", "2"), level("101", "2"));
    let client = paper.send(limit(Side::Buy, "99", "1"));
    paper.wait(5);
    assert_eq!(paper.model.queue_ahead(ID, client), None);
    assert!(paper.trade(Side::Sell, "99", "50").orders.is_empty(), "who knows who was ahead");
    paper.quote(level("99", "3"), level("99.5", "2"));
    assert_eq!(paper.model.queue_ahead(ID, client), Some(qty("3")));
    let out = paper.trade(Side::Sell, "98.99", "0.4");
    assert_eq!(out.fills(), [fill("99", "0.4", true)]);
}

#[test]
fn the_other_side_reaching_our_price_fills_us_there() {
    let mut paper = Paper::new();
    paper.open_book();
    paper.place(limit(Side::Buy, "100.5", "3"));
    let out = paper.quote(level("99", "1"), level("100.4", "1"));
    assert_eq!(out.fills(), [fill("100.5", "1", true)], "at our own price, as makers");
    let again = paper.quote(level("99", "1"), level("100.4", "1"));
    assert!(again.fills().is_empty(), "the same liquidity is not taken twice");
}

#[test]
fn price_then_time_among_our_own_orders() {
    let mut paper = Paper::new();
    paper.open_book();
    let first = paper.send(limit(Side::Sell, "101", "1"));
    let second = paper.send(limit(Side::Sell, "101", "1"));
    let better = paper.send(limit(Side::Sell, "100.5", "1"));
    paper.wait(5);
    let out = paper.trade(Side::Buy, "101", "4.5");
    // One goes to the better price, two are ahead at 101, one and a half are left for ours.
    let clients: Vec<_> = out.orders.iter().map(|o| (o.client, o.qty)).collect();
    assert_eq!(clients, [(better, qty("1")), (first, qty("1")), (second, qty("0.5"))]);
}

#[test]
fn refusals_are_the_venues() {
    let mut paper = Paper::new();
    paper.open_book();
    let mut code = |spec| {
        let out = paper.place(spec);
        assert!(out.orders.is_empty(), "{:?}", out.orders);
        (out.replies[0].kind, out.replies[0].venue_code)
    };
    let rejected = |code| (ReplyKind::Rejected, code);
    assert_eq!(code(limit(Side::Buy, "100.001", "1")), rejected(-1013));
    assert_eq!(code(limit(Side::Buy, "100", "0.000001")), rejected(-1013));
    assert_eq!(code(limit(Side::Buy, "100", "0.04")), rejected(-1013));
    assert_eq!(code(limit(Side::Buy, "100", "9000.00001")), rejected(-1013));
    assert_eq!(code(limit(Side::Sell, "150", "11")), rejected(-2010));
    assert_eq!(code(market(Side::Sell, "11")), rejected(-2010));
    assert_eq!(code(limit(Side::Buy, "150", "8000")), rejected(-2010));
    assert_eq!(paper.balance(QUOTE), pair("1000000", "0"));
    let order = paper.order(Action::Place(limit(Side::Buy, "90", "1")));
    paper.model.place(&order, paper.now_ns);
    paper.model.place(&order, paper.now_ns);
    let out = paper.wait(5);
    assert_eq!(out.replies[0].kind, ReplyKind::Accepted);
    assert_eq!((out.replies[1].kind, out.replies[1].venue_code), rejected(-2010));
}

#[test]
fn cancel_replace_cancel_all_and_queries() {
    let mut paper = Paper::new();
    paper.open_book();
    let old = paper.send(limit(Side::Buy, "90", "1"));
    paper.wait(5);
    let replace = paper.order(Action::Replace { target: old, spec: limit(Side::Buy, "91", "2") });
    paper.model.place(&replace, paper.now_ns);
    let out = paper.wait(5);
    let replies: Vec<_> = out.replies.iter().map(|r| (r.client, r.cancel, r.kind)).collect();
    assert_eq!(replies, [(old, true, ReplyKind::Accepted), (replace.client, false, ReplyKind::Accepted)]);
    assert_eq!(out.states(), [OrderState::Cancelled, OrderState::Acknowledged]);
    assert_eq!(paper.balance(QUOTE), pair("999818", "182"));
    // Again: the target is gone, so nothing new comes.
    let again = paper.order(Action::Replace { target: old, spec: limit(Side::Buy, "92", "2") });
    paper.model.place(&again, paper.now_ns);
    let out = paper.wait(5);
    let codes: Vec<_> = out.replies.iter().map(|r| (r.kind, r.venue_code, r.reason)).collect();
    assert_eq!(
        codes,
        [
            (ReplyKind::Rejected, -2011, Reason::UnknownOrder),
            (ReplyKind::Rejected, -2022, Reason::VenueReject)
        ]
    );
    paper.model.query_open_orders(paper.now_ns);
    paper.model.query_order(ID, old, paper.now_ns);
    paper.model.query_order(ID, ClientOrderId::new(9, 9), paper.now_ns);
    let out = paper.wait(5);
    assert_eq!(out.open, Some(1));
    assert!(out.orders.iter().all(|o| o.snapshot));
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Cancelled]);
    assert_eq!((out.replies[0].kind, out.replies[0].venue_code), (ReplyKind::Absent, -2013));

    paper.place(limit(Side::Sell, "110", "1"));
    paper.model.cancel_all(ID, paper.now_ns);
    paper.model.query_open_orders(paper.now_ns);
    paper.model.query_account(paper.now_ns);
    let out = paper.wait(5);
    assert_eq!((out.replies[0].kind, out.replies[0].cancel), (ReplyKind::Accepted, true));
    assert_eq!(out.states(), [OrderState::Cancelled, OrderState::Cancelled]);
    assert_eq!(out.open, Some(0));
    assert_eq!(paper.balance(QUOTE), pair("1000000", "0"));
    paper.model.cancel(ID, old, paper.now_ns);
    assert_eq!(paper.wait(5).replies[0].venue_code, -2011);
}

#[test]
fn our_own_resting_order_goes_before_we_would_trade_with_it() {
    let mut paper = Paper::new();
    paper.open_book();
    let resting = paper.send(limit(Side::Buy, "100.5", "1"));
    paper.wait(5);
    let out = paper.place(limit(Side::Sell, "100", "1"));
    assert_eq!(out.orders[1].client, resting);
    assert_eq!(out.states(), [OrderState::Acknowledged, OrderState::Expired, OrderState::Filled]);
    assert_eq!(out.fills(), [fill("100", "1", false)]);
}

/// A random market and random orders; returns everything that came out.
fn random_session(seed: u64) -> (Vec<FillEvent>, FillModel) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut paper = Paper::with(|config| {
        config.request_latency = Latency::Uniform { min_ns: 500_000, max_ns: 4 * MS };
        config.seed = seed;
    });
    paper.open_book();
    let mut clients = Vec::new();
    for _ in 0..2_000 {
        paper.now_ns += rng.random_range(0..3 * MS);
        let at = Price::from_units(rng.random_range(9_700..10_400) * 10_000_000);
        let amount = Qty::from_units(rng.random_range(0..300_000) * 1_000);
        let side = if rng.random_bool(0.5) { Side::Buy } else { Side::Sell };
        match rng.random_range(0..10) {
            0..=3 => {
                paper.depth(false, &[(side, Level::new(at, amount))]);
            }
            4 => {
                paper.trade(side, &at.to_string(), &(amount.checked_add(qty("0.001")).unwrap()).to_string());
            }
            5 => {
                let ask = Price::from_units(at.units() + rng.random_range(1..100) * 10_000_000);
                paper.quote(Level::new(at, qty("1")), Level::new(ask, qty("1")));
            }
            6 | 7 => {
                let spec = OrderSpec {
                    side,
                    order_type: [OrderType::Limit, OrderType::Market, OrderType::LimitMaker]
                        [rng.random_range(0..3)],
                    time_in_force: [TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok]
                        [rng.random_range(0..3)],
                    price: at,
                    qty: amount,
                };
                clients.push(paper.send(spec));
            }
            8 if !clients.is_empty() => {
                let client = clients[rng.random_range(0..clients.len())];
                paper.model.cancel(ID, client, paper.now_ns);
            }
            _ => {}
        }
        paper.fact(Body::Timer);
    }
    // What is still on its way arrives.
    paper.wait(50);
    (paper.log, paper.model)
}

#[test]
fn the_same_session_gives_the_same_fills() {
    let seed = support::seed(77);
    let first = format!("{:?}", random_session(seed).0);
    assert_eq!(first, format!("{:?}", random_session(seed).0));
    assert_ne!(first, format!("{:?}", random_session(seed + 1).0));
}

#[test]
fn money_is_what_the_fills_say_and_locks_end_with_the_orders() {
    let seed = support::seed(4_242);
    for run in 0..20 {
        let (events, mut model) = random_session(seed + run);
        let mut fills = 0;
        let mut filled: BTreeMap<u64, i64> = BTreeMap::new();
        let mut owned = [10 * i128::from(Qty::ONE.units()), 1_000_000 * i128::from(Qty::ONE.units())];
        for event in &events {
            if let FillEvent::Body(Body::Order(o)) = event
                && o.trade != TradeId(0)
            {
                fills += 1;
                let so_far = filled.entry(o.client.0).or_default();
                *so_far += o.qty.units();
                assert_eq!(o.filled.units(), *so_far, "{o:?}");
                let value = i128::from(Cash::notional_floor(o.price, o.qty).unwrap().units());
                let (got, paid) = if o.side == Side::Buy { (0, 1) } else { (1, 0) };
                let amounts = [i128::from(o.qty.units()), value];
                owned[got] += amounts[got] - i128::from(o.fee.units());
                owned[paid] -= amounts[paid];
                assert_eq!(o.fee_asset, [BASE, QUOTE][got]);
            }
            if let FillEvent::Body(Body::Balance(b)) = event {
                assert!(b.free >= Qty::ZERO && b.locked >= Qty::ZERO, "run {run} of seed {seed}: {b:?}");
            }
        }
        assert!(fills > 20, "run {run} of seed {seed}: {fills} fills prove nothing");
        model.cancel_all(ID, i64::MAX - 1_000 * MS);
        let end = Fact { seq: u64::MAX, recv_ns: i64::MAX - 1, body: Body::Timer };
        model.on_fact(&end);
        model.poll(&mut |_| {});
        assert_eq!((model.open_orders(), model.pending()), (0, 0));
        for (asset, owned) in [BASE, QUOTE].into_iter().zip(owned) {
            let (free, locked) = model.balance(asset);
            assert_eq!(locked, Qty::ZERO, "run {run} of seed {seed}: nothing stays locked");
            assert_eq!(i128::from(free.units()), owned, "run {run} of seed {seed}: {asset:?}");
        }
    }
}

#[test]
fn configured_slippage_worsens_takers_up_to_their_limit_and_spares_makers() {
    let mut paper = Paper::with(|config| config.slippage_centi_bp = 5_000);
    paper.open_book();
    // 50 bp on 101 is 101.505, on the tick grid 101.51.
    assert_eq!(paper.place(market(Side::Buy, "1")).fills(), [fill("101.51", "1", false)]);
    assert_eq!(paper.place(limit(Side::Buy, "101.2", "1")).fills(), [fill("101.2", "1", false)]);
    assert_eq!(paper.place(market(Side::Sell, "1")).fills(), [fill("99.5", "1", false)]);
    assert_eq!(paper.place(limit(Side::Sell, "99.99", "1")).fills(), [fill("99.99", "1", false)]);
    paper.place(limit(Side::Sell, "101.5", "1"));
    let out = paper.trade(Side::Buy, "101.6", "9");
    assert_eq!(out.fills(), [fill("101.5", "1", true)], "a waiting order has its price");
}
