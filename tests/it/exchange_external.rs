//! Does a mirrored recording make a market for clients without making or losing money, and without lying about prices?

use interlock::sim::exchange::{
    AccountConfig, AccountEvent, AccountId, Exchange, ExchangeConfig, ExecutionKind, NewOrder, OrderStatus,
    PublicTrade, SymbolId, SymbolSpec,
};
use interlock::sim::recording::{Record, Recording, Snapshot};
use interlock::types::{AssetId, Cash, Level, Price, Qty, Side, TradeId, VenueOrderId};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use serde_json::Value;
use std::collections::BTreeMap;

use super::support::{recordings, seed};

const BTC: SymbolId = SymbolId(0);

struct Scene {
    exchange: Exchange,
    house: AccountId,
    client: AccountId,
}

fn scene() -> Scene {
    let config = ExchangeConfig { symbols: vec![SymbolSpec::btcusdt()], ..ExchangeConfig::default() };
    let mut exchange = Exchange::new(config).unwrap();
    let client = exchange.open_account(AccountConfig::CLIENT);
    let house = exchange.open_account(AccountConfig::FLOW);
    let units = |whole: i64| Qty::from_units(whole * Qty::ONE.units());
    for (account, amounts) in [(client, [units(100), units(10_000_000)]), (house, [units(40_000_000_000); 2])]
    {
        for (at, amount) in amounts.into_iter().enumerate() {
            exchange.deposit(account, AssetId(u16::try_from(at).unwrap()), amount, 0).unwrap();
        }
    }
    Scene { exchange, house, client }
}

fn price(text: &str) -> Price {
    text.parse().unwrap()
}
fn qty(text: &str) -> Qty {
    text.parse().unwrap()
}

impl Scene {
    fn level(&mut self, side: Side, at: &str, quantity: &str) {
        self.exchange.set_external_level(self.house, BTC, side, Level::new(price(at), qty(quantity)), 1);
    }
    fn trade(&mut self, at: &str, quantity: &str, buyer_is_maker: bool) {
        let (price, qty) = (price(at), qty(quantity));
        let trade = PublicTrade {
            symbol: BTC,
            id: TradeId(1),
            agg_id: 1,
            price,
            qty,
            quote: Cash::notional_floor(price, qty).unwrap(),
            time_ns: 1,
            buyer_is_maker,
            taker_order: VenueOrderId(1),
        };
        self.exchange.external_trade(self.house, &trade);
    }
    fn bid(&mut self, at: &str, quantity: &str) -> VenueOrderId {
        let order = NewOrder::limit(BTC, Side::Buy, price(at), qty(quantity));
        self.exchange.place(self.client, &order, 1).unwrap().order.id
    }
    fn balanced(&self) {
        for asset in 0..2 {
            assert_eq!(self.exchange.imbalance(AssetId(asset)), 0);
        }
    }
}

#[test]
fn a_trade_through_a_price_fills_who_rests_there_and_a_trade_at_it_does_not() {
    let mut s = scene();
    s.level(Side::Buy, "60000", "2");
    s.level(Side::Sell, "60001", "2");
    let (at, above) = (s.bid("59999", "1"), s.bid("60000.50", "0.4"));
    s.trade("59999", "5", true);
    let status = |s: &Scene, id| {
        let key = interlock::sim::exchange::OrderKey::Id(id);
        s.exchange.order(s.client, BTC, key).unwrap()
    };
    assert_eq!(status(&s, above).status, OrderStatus::Filled);
    assert_eq!(status(&s, above).executed_quote, "24000.2".parse().unwrap(), "at its own price");
    assert_eq!(status(&s, at).status, OrderStatus::New, "the doubt goes against the client");
    s.trade("59998.99", "0.3", true);
    assert_eq!(status(&s, at).executed, qty("0.3"), "no more than was traded");
    assert_eq!(s.exchange.last_price(BTC), price("59998.99"), "the tape shows the recording only");
    s.balanced();
}

#[test]
fn a_level_keeps_its_place_before_those_who_came_later() {
    let mut s = scene();
    s.level(Side::Buy, "60000", "2");
    let mine = s.bid("60000", "1");
    s.level(Side::Buy, "60000", "3");
    let order: Vec<AccountId> = s.exchange.resting(BTC, Side::Buy).map(|o| o.account).collect();
    assert_eq!(order, [s.house, s.client]);
    assert_eq!(s.exchange.depth(BTC, 1).bids[0].qty, qty("4"));
    s.level(Side::Buy, "60000", "0");
    assert_eq!(s.exchange.resting(BTC, Side::Buy).map(|o| o.id).collect::<Vec<_>>(), [mine]);
    // A recorded ask that crosses the client fills him; what is left of it rests.
    s.level(Side::Sell, "59999.99", "1.5");
    assert_eq!(s.exchange.open_orders(s.client, None), []);
    assert_eq!(s.exchange.best(BTC).ask, Some(Level::new(price("59999.99"), qty("0.5"))));
    s.balanced();
}

fn pairs(value: &Value) -> Vec<Level> {
    let level = |pair: &Value| Level::new(price(pair[0].as_str().unwrap()), qty(pair[1].as_str().unwrap()));
    value.as_array().unwrap().iter().map(level).collect()
}

fn mirror(s: &mut Scene, book: &mut [BTreeMap<Price, Qty>; 2], bids: &[Level], asks: &[Level], now_ns: i64) {
    for gone in [true, false] {
        for (at, (side, levels)) in [(Side::Buy, bids), (Side::Sell, asks)].into_iter().enumerate() {
            for level in levels.iter().filter(|l| l.qty.is_zero() == gone) {
                s.exchange.set_external_level(s.house, BTC, side, *level, now_ns);
                if gone {
                    book[at].remove(&level.price)
                } else {
                    book[at].insert(level.price, level.qty)
                };
            }
        }
    }
}

#[test]
fn a_real_recording_mirrors_exactly_and_money_is_conserved() {
    let Some(path) = recordings("binance_spot_recording/spot_btcusdt_20240808.gz") else { return };
    for trades in [false, true] {
        let mut rng = SmallRng::seed_from_u64(seed(20_240_808));
        let mut s = scene();
        let mut book: [BTreeMap<Price, Qty>; 2] = Default::default();
        let mut recording = Recording::open(std::slice::from_ref(&path)).unwrap();
        let (mut last, mut fills) = (0, 0u32);
        for _ in 0..8_000 {
            let Some(line) = recording.next_line().unwrap() else { break };
            let now_ns = line.recv_ns;
            match &line.record {
                Record::Snapshot { text } => {
                    let snapshot = Snapshot::parse(text).unwrap();
                    last = snapshot.last_update_id;
                    mirror(&mut s, &mut book, &snapshot.bids, &snapshot.asks, now_ns);
                }
                Record::Stream { stream, data } if stream.ends_with("@depth@100ms") && last > 0 => {
                    let data: Value = serde_json::from_str(data).unwrap();
                    if data["u"].as_u64().unwrap() > last {
                        mirror(&mut s, &mut book, &pairs(&data["b"]), &pairs(&data["a"]), now_ns);
                    }
                }
                Record::Stream { stream, data } if trades && stream.ends_with("@trade") && last > 0 => {
                    let data: Value = serde_json::from_str(data).unwrap();
                    let text = |name: &str| data[name].as_str().unwrap().to_owned();
                    s.trade(&text("p"), &text("q"), data["m"].as_bool().unwrap());
                }
                Record::Stream { .. } => {}
            }
            if !trades && last > 0 {
                let shown = s.exchange.depth(BTC, 5);
                let bids: Vec<Level> =
                    book[0].iter().rev().take(5).map(|(p, q)| Level::new(*p, *q)).collect();
                assert_eq!(shown.bids, bids, "without clients the mirror is the recorded book");
            }
            if trades && last > 0 && rng.random_ratio(1, 20) {
                fills += act(&mut s, &mut rng, now_ns);
                s.balanced();
            }
        }
        assert!(!trades || fills > 0);
        s.balanced();
    }
}

/// One random order; says how many fills came of it and of what happened before.
fn act(s: &mut Scene, rng: &mut SmallRng, now_ns: i64) -> u32 {
    let side = if rng.random() { Side::Buy } else { Side::Sell };
    let quantity = Qty::from_units(rng.random_range(10..2_000) * 1_000);
    let best = s.exchange.best(BTC);
    let order = match (rng.random_range(0..3u8), best.bid, best.ask) {
        (0, Some(_), Some(_)) => NewOrder::market(BTC, side, quantity),
        (_, Some(bid), Some(ask)) => {
            let near = if side == Side::Buy { bid.price } else { ask.price };
            let ticks = Price::from_units(rng.random_range(-50..200) * 10_000_000);
            let away = if side == Side::Buy { near.checked_sub(ticks) } else { near.checked_add(ticks) };
            NewOrder::limit(BTC, side, away.unwrap(), quantity)
        }
        _ => return 0,
    };
    // Refusals (too small, too poor) are part of life.
    drop(s.exchange.place(s.client, &order, now_ns));
    let mut fills = 0;
    for event in s.exchange.drain_account_events() {
        let AccountEvent::Execution(report) = event else { continue };
        if let (ExecutionKind::Trade, Some(fill)) = (report.kind, report.fill) {
            fills += 1;
            let limit = report.order.price;
            match report.order.side {
                _ if limit.is_zero() => {}
                Side::Buy => assert!(fill.price <= limit),
                Side::Sell => assert!(fill.price >= limit),
            }
            assert!(!fill.maker || fill.price == limit, "a maker gets his own price");
        }
    }
    s.exchange.drain_market_events().for_each(drop);
    fills
}
