//! The made-up market is one to trade in: both first strategies, as configured by default, get signals and fills within
//! thirty seconds, against the exchange itself and against the paper fill model that watches it (R-RES-2, R-FEED-2).

use std::collections::BTreeMap;

use interlock::event::{Action, Body, Fact, Intent, Order, OrderSpec, OrderUpdate, Reply, ReplyKind};
use interlock::signal::{Running, Signal};
use interlock::sim::exchange::{
    AccountConfig, AccountEvent, AccountId, CancelOrder, ClientId, Exchange, ExchangeConfig, ExecutionKind,
    ExecutionReport, MarketEvent, NewOrder, OrderKey, OrderKind, OrderStatus, SymbolId,
};
use interlock::sim::fill::{FillConfig, FillEvent, FillModel};
use interlock::sim::flow::{Flow, FlowConfig};
use interlock::types::{
    AssetId, ClientOrderId, InstrumentId, OrderState, OrderType, Qty, Side, StrategyId, TradeId, VenueOrderId,
};

use crate::market::{Facts, MS, START_NS, table};

const INSTRUMENTS: [InstrumentId; 2] = [InstrumentId(0), InstrumentId(1)];
const STRATEGIES: [&str; 2] = ["ma_crossover", "order_flow_imbalance"];

fn signal() -> Signal {
    let table = table();
    let mut running = Vec::new();
    for (at, name) in STRATEGIES.into_iter().enumerate() {
        for instrument in INSTRUMENTS {
            let rules = table.get(instrument).expect("in the table");
            let strategy = interlock::strategy::build(name, &BTreeMap::new(), rules).expect("defaults");
            running.push(Running { id: StrategyId(u8::try_from(at).unwrap()), instrument, strategy });
        }
    }
    Signal::new(1, &table, running).expect("two strategies")
}

/// Takes orders and tells what became of them.
trait Desk {
    fn order(&mut self, order: &Order, exchange: &mut Exchange, now_ns: i64) -> Vec<Body>;
    fn fact(&mut self, fact: &Fact) -> Vec<Body>;
    fn events(&mut self, exchange: &mut Exchange) -> Vec<Body>;
}

/// The exchange, with an account of ours.
struct AtExchange {
    account: AccountId,
}

fn client_id(client: ClientOrderId) -> ClientId {
    ClientId::new(&client.text()).expect("legal")
}

fn new_order(order: &Order, spec: &OrderSpec) -> NewOrder {
    let kind = match spec.order_type {
        OrderType::Limit => OrderKind::Limit,
        OrderType::Market => OrderKind::Market,
        OrderType::LimitMaker => OrderKind::LimitMaker,
    };
    NewOrder {
        kind,
        price: (kind != OrderKind::Market).then_some(spec.price),
        ..NewOrder::limit(SymbolId(order.instrument.0), spec.side, spec.price, spec.qty)
            .with_time_in_force(spec.time_in_force)
            .with_client_id(client_id(order.client))
    }
}

/// What the gateway says of a request that it has written.
fn sent(order: &Order) -> Body {
    let (client, cancel) = match order.action {
        Action::Cancel { target } => (target, true),
        _ => (order.client, false),
    };
    let Body::Reply(accepted) = reply(order, client, cancel, 0) else { unreachable!("it is one") };
    Body::Reply(Reply { kind: ReplyKind::Sent, ..accepted })
}

fn reply(order: &Order, client: ClientOrderId, cancel: bool, code: i32) -> Body {
    Body::Reply(Reply {
        kind: if code == 0 { ReplyKind::Accepted } else { ReplyKind::Rejected },
        cancel,
        instrument: order.instrument,
        reason: interlock::types::Reason::None,
        venue_code: code,
        client,
        venue_order: VenueOrderId(0),
        venue_ns: 0,
    })
}

fn update(report: &ExecutionReport) -> OrderUpdate {
    let order = &report.order;
    let fill = report.fill.filter(|_| report.kind == ExecutionKind::Trade);
    OrderUpdate {
        instrument: InstrumentId(order.symbol.0),
        side: order.side,
        state: match order.status {
            OrderStatus::New => OrderState::Acknowledged,
            OrderStatus::PartiallyFilled => OrderState::PartiallyFilled,
            OrderStatus::Filled => OrderState::Filled,
            OrderStatus::Canceled => OrderState::Cancelled,
            OrderStatus::Expired | OrderStatus::ExpiredInMatch => OrderState::Expired,
            OrderStatus::Rejected => OrderState::Rejected,
        },
        snapshot: false,
        maker: fill.is_some_and(|f| f.maker),
        fee_asset: fill.map_or(AssetId::UNKNOWN, |f| f.commission_asset),
        client: ClientOrderId::parse(order.client_id.as_str().as_bytes()).expect("ours"),
        venue_order: order.id,
        trade: fill.map_or(TradeId(0), |f| f.trade_id),
        price: fill.map_or(order.price, |f| f.price),
        qty: fill.map_or(order.qty, |f| f.qty),
        filled: order.executed,
        fee: fill.map_or(Qty::ZERO, |f| f.commission),
        venue_ns: report.time_ns,
    }
}

impl AtExchange {
    fn cancel(&self, order: &Order, target: ClientOrderId, exchange: &mut Exchange, now_ns: i64) -> Body {
        let key = OrderKey::Client(client_id(target));
        let request = CancelOrder::new(SymbolId(order.instrument.0), key);
        let answer = exchange.cancel(self.account, &request, now_ns);
        reply(order, target, true, answer.err().map_or(0, |r| r.code))
    }
}

impl Desk for AtExchange {
    fn order(&mut self, order: &Order, exchange: &mut Exchange, now_ns: i64) -> Vec<Body> {
        let mut bodies = Vec::new();
        let spec = match order.action {
            Action::Place(spec) => spec,
            Action::Cancel { target } => {
                bodies.push(self.cancel(order, target, exchange, now_ns));
                return bodies;
            }
            Action::Replace { target, spec } => {
                bodies.push(self.cancel(order, target, exchange, now_ns));
                spec
            }
            Action::CancelAll => return bodies,
        };
        let answer = exchange.place(self.account, &new_order(order, &spec), now_ns);
        bodies.push(reply(order, order.client, false, answer.err().map_or(0, |r| r.code)));
        bodies
    }

    fn fact(&mut self, _fact: &Fact) -> Vec<Body> {
        Vec::new()
    }

    fn events(&mut self, exchange: &mut Exchange) -> Vec<Body> {
        exchange
            .drain_account_events()
            .filter_map(|event| match event {
                AccountEvent::Execution(report) => Some(Body::Order(update(&report))),
                _ => None,
            })
            .collect()
    }
}

/// The fill model, which only watches the exchange.
struct OnPaper {
    model: FillModel,
}

impl OnPaper {
    fn drain(&mut self) -> Vec<Body> {
        let mut bodies = Vec::new();
        self.model.poll(&mut |event| {
            if let FillEvent::Body(body) = event {
                bodies.push(body);
            }
        });
        bodies
    }
}

impl Desk for OnPaper {
    fn order(&mut self, order: &Order, _exchange: &mut Exchange, now_ns: i64) -> Vec<Body> {
        self.model.place(order, now_ns);
        self.drain()
    }
    fn fact(&mut self, fact: &Fact) -> Vec<Body> {
        self.model.on_fact(fact);
        self.drain()
    }
    fn events(&mut self, _exchange: &mut Exchange) -> Vec<Body> {
        Vec::new()
    }
}

/// What a strategy got.
#[derive(Clone, Copy, Debug, Default)]
struct Got {
    intents: usize,
    bought: usize,
    sold: usize,
}

struct Session {
    exchange: Exchange,
    flow: Flow,
    signal: Signal,
    facts: Facts,
    desk: Box<dyn Desk>,
    owners: BTreeMap<u64, usize>,
    got: [Got; 2],
}

impl Session {
    fn new(seed: u64, desk: impl FnOnce(&mut Exchange) -> Box<dyn Desk>) -> Self {
        let mut exchange = Exchange::new(ExchangeConfig::default()).expect("sound");
        let desk = desk(&mut exchange);
        let config = FlowConfig { history_mins: 5, ..FlowConfig::for_exchange(&exchange, seed) };
        let flow = Flow::new(&config, &mut exchange, START_NS).expect("stakes fit");
        let _ = exchange.drain_market_events().count();
        let facts = Facts::new();
        let got = [Got::default(); 2];
        Self { exchange, flow, signal: signal(), facts, desk, owners: BTreeMap::new(), got }
    }

    /// A fact and all that follows from it at once.
    fn feed(&mut self, body: Body) {
        let mut waiting = vec![body];
        while !waiting.is_empty() {
            let mut next = Vec::new();
            for body in waiting {
                if let Body::Order(update) = body
                    && update.trade != TradeId(0)
                {
                    let got = &mut self.got[self.owners[&update.client.0]];
                    *(if update.side == Side::Buy { &mut got.bought } else { &mut got.sold }) += 1;
                }
                let fact = self.facts.body(body);
                next.extend(self.desk.fact(&fact));
                let mut intents: Vec<Intent> = Vec::new();
                self.signal.on_fact(&fact, &mut |intent| {
                    intents.push(*intent);
                    true
                });
                for intent in intents {
                    let owner = usize::from(intent.strategy.0);
                    self.owners.insert(intent.client.0, owner);
                    self.got[owner].intents += 1;
                    let order = Order {
                        client: intent.client,
                        cause_seq: intent.cause_seq,
                        cause_ns: intent.cause_ns,
                        strategy: intent.strategy,
                        instrument: intent.instrument,
                        reduce_only: intent.reduce_only,
                        action: intent.action,
                    };
                    next.push(sent(&order));
                    next.extend(self.desk.order(&order, &mut self.exchange, fact.recv_ns));
                    next.extend(self.desk.events(&mut self.exchange));
                }
            }
            waiting = next;
        }
    }

    fn open(&mut self) {
        let offset = interlock::event::ClockOffset { offset_ns: 0, round_trip_ns: 0 };
        self.feed(Body::ClockOffset(offset));
        for instrument in INSTRUMENTS {
            let depth = self.exchange.depth(SymbolId(instrument.0), 100);
            let bids = depth.bids.iter().map(|&l| (Side::Buy, l));
            let levels: Vec<_> = bids.chain(depth.asks.iter().map(|&l| (Side::Sell, l))).collect();
            for (at, piece) in levels.chunks(4).enumerate() {
                let fact = self.facts.depth(instrument, piece, true);
                let Body::Depth(mut depth_fact) = fact.body else { unreachable!("it is one") };
                (depth_fact.first, depth_fact.last) = (at == 0, (at + 1) * 4 >= levels.len());
                depth_fact.update_id = depth.last_update_id;
                self.feed(Body::Depth(depth_fact));
            }
            let status = self.facts.book_status(instrument, true);
            self.feed(status.body);
        }
    }

    fn run(&mut self, seconds: i64) {
        self.open();
        for step in 1..=seconds * 1_000 / 5 {
            let now_ns = START_NS + step * 5 * MS;
            self.facts.now_ns = now_ns;
            self.flow.step(&mut self.exchange, now_ns);
            let events: Vec<MarketEvent> = self.exchange.drain_market_events().collect();
            for event in events {
                let body = self.body(&event);
                self.feed(body);
            }
            for body in self.desk.events(&mut self.exchange) {
                self.feed(body);
            }
            if step % 20 == 0 {
                self.feed(Body::Timer);
            }
        }
    }

    fn body(&mut self, event: &MarketEvent) -> Body {
        match *event {
            MarketEvent::Trade(trade) => Body::Trade(interlock::event::Trade {
                instrument: InstrumentId(trade.symbol.0),
                aggressor: if trade.buyer_is_maker { Side::Sell } else { Side::Buy },
                conflated: false,
                trade_id: trade.id,
                price: trade.price,
                qty: trade.qty,
                venue_ns: trade.time_ns,
            }),
            MarketEvent::Level(change) => {
                let piece = [(change.side, change.level)];
                let fact = self.facts.depth(InstrumentId(change.symbol.0), &piece, false);
                let Body::Depth(mut depth) = fact.body else { unreachable!("it is one") };
                depth.update_id = change.update_id;
                Body::Depth(depth)
            }
            MarketEvent::Best(best) => Body::Quote(interlock::event::Quote {
                instrument: InstrumentId(best.symbol.0),
                conflated: false,
                update_id: best.update_id,
                bid: best.bid,
                ask: best.ask,
            }),
        }
    }
}

/// Both entered in each session, and left again in most of them.
fn check(what: &str, sessions: &[(u64, [Got; 2])]) {
    for (at, name) in STRATEGIES.into_iter().enumerate() {
        for (seed, got) in sessions {
            println!("{what}, seed {seed}, {name}: {:?}", got[at]);
            assert!(got[at].bought > 0, "{what}, seed {seed}: {name} bought nothing in 30 s");
        }
        let sold: usize = sessions.iter().map(|(_, got)| got[at].sold).sum();
        assert!(sold > 0, "{what}: {name} never sold");
    }
}

#[test]
fn both_strategies_trade_at_the_exchange() {
    let mut sessions = Vec::new();
    for seed in [1, 2, 3] {
        let mut session = Session::new(seed, |exchange| {
            let account = exchange.open_account(AccountConfig::CLIENT);
            for (asset, units) in [(0, 10), (1, 1_000_000), (2, 100)] {
                let amount = Qty::from_units(units * Qty::ONE.units());
                exchange.deposit(account, AssetId(asset), amount, START_NS).expect("fits");
            }
            let _ = exchange.drain_account_events().count();
            Box::new(AtExchange { account })
        });
        session.run(30);
        for asset in 0..3 {
            assert_eq!(session.exchange.imbalance(AssetId(asset)), 0);
        }
        sessions.push((seed, session.got));
    }
    check("exchange", &sessions);
}

#[test]
fn both_strategies_trade_on_paper() {
    let mut sessions = Vec::new();
    for seed in [2, 3] {
        let mut session = Session::new(seed, |_| {
            let amount = |units: i64| Qty::from_units(units * Qty::ONE.units());
            let balances =
                vec![(AssetId(0), amount(10)), (AssetId(1), amount(1_000_000)), (AssetId(2), amount(100))];
            let config = FillConfig { balances, ..FillConfig::default() };
            Box::new(OnPaper { model: FillModel::new(&table(), config) })
        });
        session.run(30);
        sessions.push((seed, session.got));
    }
    check("paper", &sessions);
}
