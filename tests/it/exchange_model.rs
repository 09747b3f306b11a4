//! The matching engine against a naive model: a list of orders, scanned. Same trades, same balances, same book, after every
//! one of many random commands (R-FEED-2). The model keeps no locked balances at all: it derives them from its open
//! orders, so that "locked = sum over open orders" is checked by comparing.

use std::collections::BTreeMap;

use interlock::sim::exchange::{
    AccountConfig, AccountEvent, AccountId, AmendOrder, CancelOrder, CancelReplaceMode, CancelReplaceOrder,
    CancelRestriction, ClientId, Exchange, ExchangeConfig, LotFilter, MarketEvent, NewOrder, OrderKey,
    OrderKind, OrderReport, OrderStatus, Refusal, Step, StpMode, SymbolId, SymbolSpec,
};
use interlock::types::{AssetId, Cash, Price, Qty, Side, TimeInForce, VenueOrderId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::support;

const SYMBOL: SymbolId = SymbolId(0);
const BASE: AssetId = AssetId(0);
const QUOTE: AssetId = AssetId(1);
const ACCOUNTS: usize = 3;
const UNIT: i64 = 100_000_000;
/// Lot step: a tenth.
const STEP: i64 = UNIT / 10;
const MAKER_BPS: i128 = 10;
const TAKER_BPS: i128 = 20;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    id: u64,
    client: ClientId,
    account: usize,
    side: Side,
    /// In whole units of quote.
    price: i64,
    qty: i64,
    executed: i64,
    prevented: i64,
    amends: u32,
}

impl Open {
    fn left(&self) -> i64 {
        self.qty - self.executed - self.prevented
    }
    fn status(&self) -> OrderStatus {
        if self.executed > 0 { OrderStatus::PartiallyFilled } else { OrderStatus::New }
    }
}

#[derive(Clone, Debug, Default)]
struct Model {
    /// By arrival.
    orders: Vec<Open>,
    /// Base and quote that each account owns, locked or not.
    owned: [[i128; 2]; ACCOUNTS],
    fees: [i128; 2],
}

/// What a model's order did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Outcome {
    /// (price, quantity) of each trade.
    trades: Vec<(i64, i64)>,
    executed: i64,
    prevented: i64,
    spent: i64,
    status: Option<OrderStatus>,
}

#[derive(Clone, Copy, Debug)]
struct Ask {
    account: usize,
    client: ClientId,
    side: Side,
    kind: OrderKind,
    time_in_force: TimeInForce,
    price: i64,
    /// Base quantity, or quote value when `by_quote`.
    amount: i64,
    by_quote: bool,
    stp: StpMode,
}

impl Model {
    fn locked(&self, account: usize) -> [i128; 2] {
        let mut locked = [0, 0];
        for order in self.orders.iter().filter(|o| o.account == account) {
            match order.side {
                Side::Buy => locked[1] += i128::from(order.left()) * i128::from(order.price),
                Side::Sell => locked[0] += i128::from(order.left()),
            }
        }
        locked
    }

    fn free(&self, account: usize, asset: usize) -> i128 {
        self.owned[account][asset] - self.locked(account)[asset]
    }

    /// Index of the order that the next match is with.
    fn best(&self, side: Side) -> Option<usize> {
        let side = side.opposite();
        let mine = self.orders.iter().enumerate().filter(|(_, o)| o.side == side);
        // `min_by_key` keeps the first of equals: the oldest.
        mine.min_by_key(|(_, o)| if side == Side::Sell { o.price } else { -o.price }).map(|(at, _)| at)
    }

    fn trade(&mut self, taker: &Ask, at: usize, qty: i64) {
        let maker = &mut self.orders[at];
        maker.executed += qty;
        let value = i128::from(qty) * i128::from(maker.price);
        let qty = i128::from(qty);
        let (buyer, buyer_bps, seller, seller_bps) = match taker.side {
            Side::Buy => (taker.account, TAKER_BPS, maker.account, MAKER_BPS),
            Side::Sell => (maker.account, MAKER_BPS, taker.account, TAKER_BPS),
        };
        let (base_fee, quote_fee) = (qty * buyer_bps / 10_000, value * seller_bps / 10_000);
        self.owned[buyer][0] += qty - base_fee;
        self.owned[buyer][1] -= value;
        self.owned[seller][0] -= qty;
        self.owned[seller][1] += value - quote_fee;
        self.fees[0] += base_fee;
        self.fees[1] += quote_fee;
    }

    fn run(&mut self, ask: &Ask) -> Outcome {
        let mut outcome = Outcome::default();
        let mut left = ask.amount;
        let limit = matches!(ask.kind, OrderKind::Limit | OrderKind::LimitMaker);
        while let Some(at) = self.best(ask.side) {
            let maker = self.orders[at].clone();
            let crosses = match ask.side {
                Side::Buy => maker.price <= ask.price,
                Side::Sell => maker.price >= ask.price,
            };
            let can = if ask.by_quote { left / maker.price / STEP * STEP } else { left };
            if can == 0 || (limit && !crosses) {
                break;
            }
            let qty = can.min(maker.left());
            let cost = if ask.by_quote { qty * maker.price } else { qty };
            if maker.account == ask.account && ask.stp != StpMode::None {
                if ask.stp == StpMode::ExpireMaker || ask.stp == StpMode::ExpireBoth {
                    self.orders.remove(at);
                }
                if ask.stp == StpMode::ExpireTaker || ask.stp == StpMode::ExpireBoth {
                    outcome.prevented += if ask.by_quote { qty } else { left };
                    outcome.status = Some(OrderStatus::ExpiredInMatch);
                    return outcome;
                }
                if ask.stp == StpMode::Decrement {
                    left -= cost;
                    outcome.prevented += qty;
                    self.orders[at].prevented += qty;
                    if self.orders[at].left() == 0 {
                        self.orders.remove(at);
                    }
                    if left == 0 && !ask.by_quote {
                        outcome.status = Some(OrderStatus::ExpiredInMatch);
                        return outcome;
                    }
                }
                continue;
            }
            self.trade(ask, at, qty);
            left -= cost;
            outcome.executed += qty;
            outcome.spent += qty * maker.price;
            outcome.trades.push((maker.price, qty));
            if self.orders[at].left() == 0 {
                self.orders.remove(at);
            }
            let done = if ask.by_quote {
                self.best(ask.side).is_some_and(|next| left / self.orders[next].price / STEP == 0)
            } else {
                left == 0
            };
            if done {
                outcome.status = Some(OrderStatus::Filled);
                return outcome;
            }
        }
        outcome
    }

    fn place(&mut self, ask: &Ask) -> Result<Outcome, Refusal> {
        if self.orders.iter().any(|o| o.account == ask.account && o.client == ask.client) {
            return Err(Refusal::DUPLICATE);
        }
        let limit = ask.kind != OrderKind::Market;
        let mut what_if = self.clone();
        let forecast = what_if.run(ask);
        if ask.kind == OrderKind::LimitMaker
            && self.best(ask.side).is_some_and(|at| match ask.side {
                Side::Buy => self.orders[at].price <= ask.price,
                Side::Sell => self.orders[at].price >= ask.price,
            })
        {
            return Err(Refusal::WOULD_TAKE);
        }
        if ask.by_quote && self.best(ask.side).is_none() {
            return Err(Refusal::NO_LIQUIDITY);
        }
        let (asset, needed) = match (ask.side, limit, ask.by_quote) {
            (Side::Buy, true, _) => (1, i128::from(ask.amount) * i128::from(ask.price)),
            (Side::Buy, false, false) => (1, i128::from(forecast.spent)),
            (Side::Buy, false, true) => (1, i128::from(ask.amount)),
            (Side::Sell, _, false) => (0, i128::from(ask.amount)),
            (Side::Sell, _, true) => (0, i128::from(forecast.executed)),
        };
        if self.free(ask.account, asset) < needed {
            return Err(Refusal::INSUFFICIENT_BALANCE);
        }
        let kill = limit && ask.time_in_force == TimeInForce::Fok && forecast.executed < ask.amount;
        let mut outcome = if kill { Outcome::default() } else { self.run(ask) };
        if outcome.status.is_none() {
            let rests = limit && ask.time_in_force == TimeInForce::Gtc;
            outcome.status = Some(match (rests, outcome.executed) {
                (false, _) => OrderStatus::Expired,
                (true, 0) => OrderStatus::New,
                (true, _) => OrderStatus::PartiallyFilled,
            });
            if rests {
                self.orders.push(Open {
                    id: 0,
                    client: ask.client,
                    account: ask.account,
                    side: ask.side,
                    price: ask.price,
                    qty: ask.amount,
                    executed: outcome.executed,
                    prevented: outcome.prevented,
                    amends: 0,
                });
            }
        }
        Ok(outcome)
    }

    /// Gives the order that just came to rest the venue's number.
    fn number(&mut self, report: &OrderReport) {
        if report.order.status.is_open() {
            self.orders.last_mut().expect("it rests").id = report.order.id.0;
        }
    }

    fn find(&self, account: usize, id: u64) -> Option<usize> {
        self.orders.iter().position(|o| o.account == account && o.id == id)
    }

    fn cancel(&mut self, account: usize, id: u64, only: Option<CancelRestriction>) -> Result<(), Refusal> {
        let at = self.find(account, id).ok_or(Refusal::UNKNOWN_ORDER)?;
        let status = self.orders[at].status();
        let fits = match only {
            None => true,
            Some(CancelRestriction::OnlyNew) => status == OrderStatus::New,
            Some(CancelRestriction::OnlyPartiallyFilled) => status == OrderStatus::PartiallyFilled,
        };
        if !fits {
            return Err(Refusal::CANCEL_RESTRICTED);
        }
        self.orders.remove(at);
        Ok(())
    }

    fn amend(&mut self, account: usize, id: u64, qty: i64, client: ClientId) -> Result<(), Refusal> {
        let at = self.find(account, id).ok_or(Refusal::AMEND_UNKNOWN)?;
        let order = self.orders[at].clone();
        if qty > order.qty {
            return Err(Refusal::AMEND_INCREASE);
        }
        if qty == order.qty {
            return Err(Refusal::AMEND_NOTHING);
        }
        if order.amends >= 10 {
            return Err(Refusal::AMEND_LIMIT);
        }
        if qty <= order.executed + order.prevented {
            return Err(Refusal::AMEND_BELOW_EXECUTED);
        }
        let taken = |o: &Open| o.account == account && o.client == client && o.id != id;
        if self.orders.iter().any(taken) {
            return Err(Refusal::DUPLICATE);
        }
        (self.orders[at].qty, self.orders[at].client) = (qty, client);
        self.orders[at].amends += 1;
        Ok(())
    }
}

/// Both, side by side, and what the venue's events say.
struct Pair {
    exchange: Exchange,
    model: Model,
    shadow: [BTreeMap<i64, i64>; 2],
    update_id: u64,
    best: Option<(i64, i64)>,
    positions: BTreeMap<(u32, u16), (i64, i64)>,
    now_ns: i64,
}

impl Pair {
    fn new() -> Self {
        let mut spec = SymbolSpec::spot(
            "AAA",
            "BBB",
            Price::ONE,
            Qty::from_units(STEP),
            Price::from_units(100 * Price::ONE.units()),
        )
        .expect("names");
        spec.filters.notional.min = Cash::ZERO;
        spec.filters.market_lot =
            LotFilter { min: Qty::ZERO, max: Qty::from_units(1_000_000 * UNIT), step: Qty::ZERO };
        let config = ExchangeConfig { symbols: vec![spec], ..ExchangeConfig::default() };
        let mut exchange = Exchange::new(config).expect("sound");
        let mut model = Model::default();
        for account in 0..ACCOUNTS {
            let id = exchange.open_account(AccountConfig {
                maker_rate: Qty::from_units(100_000),
                taker_rate: Qty::from_units(200_000),
                ..AccountConfig::CLIENT
            });
            for (at, asset, units) in [(0, BASE, 40 * UNIT), (1, QUOTE, 4_000 * UNIT)] {
                exchange.deposit(id, asset, Qty::from_units(units), 0).expect("fits");
                model.owned[account][at] = i128::from(units);
            }
        }
        let update_id = exchange.best(SYMBOL).update_id;
        Self {
            exchange,
            model,
            shadow: [BTreeMap::new(), BTreeMap::new()],
            update_id,
            best: None,
            positions: BTreeMap::new(),
            now_ns: 1,
        }
    }

    fn order(ask: &Ask) -> NewOrder {
        let market = ask.kind == OrderKind::Market;
        NewOrder {
            symbol: SYMBOL,
            side: ask.side,
            kind: ask.kind,
            time_in_force: ask.time_in_force,
            price: (!market).then(|| Price::from_units(ask.price * Price::ONE.units())),
            qty: (!ask.by_quote).then(|| Qty::from_units(ask.amount)),
            quote_qty: ask.by_quote.then(|| Cash::from_units(ask.amount)),
            client_id: Some(ask.client),
            stp: Some(ask.stp),
        }
    }

    fn compare_place(&mut self, ask: &Ask, got: Result<&OrderReport, Refusal>) {
        let wanted = self.model.place(ask);
        match (wanted, got) {
            (Ok(outcome), Ok(report)) => {
                let trades: Vec<(i64, i64)> = report
                    .fills
                    .iter()
                    .map(|f| (f.price.units() / Price::ONE.units(), f.qty.units()))
                    .collect();
                assert_eq!(outcome.trades, trades, "{ask:?}");
                assert_eq!(outcome.executed, report.order.executed.units(), "{ask:?}");
                assert_eq!(outcome.prevented, report.order.prevented.units(), "{ask:?}");
                assert_eq!(outcome.spent, report.order.executed_quote.units(), "{ask:?}");
                assert_eq!(outcome.status, Some(report.order.status), "{ask:?}");
                self.model.number(report);
            }
            (wanted, got) => {
                assert_eq!(wanted.as_ref().err().copied(), got.err(), "{ask:?}: {wanted:?}");
            }
        }
    }

    /// Book, balances and everything that was told agree.
    fn check(&mut self) {
        for side in [Side::Buy, Side::Sell] {
            let mut model: Vec<&Open> = self.model.orders.iter().filter(|o| o.side == side).collect();
            // Stable: arrival decides at a price.
            model.sort_by_key(|o| if side == Side::Sell { o.price } else { -o.price });
            let model: Vec<_> = model.iter().map(|o| (o.id, o.client, o.left(), o.status())).collect();
            let venue: Vec<_> = self
                .exchange
                .resting(SYMBOL, side)
                .map(|o| (o.id.0, o.client_id, o.remaining().units(), o.status))
                .collect();
            assert_eq!(model, venue, "{side:?} book, in matching order");
        }
        for account in 0..ACCOUNTS {
            let locked = self.model.locked(account);
            for (at, asset) in [(0, BASE), (1, QUOTE)] {
                let id = AccountId(u32::try_from(account).unwrap());
                let holding = self.exchange.account(id).holdings[asset.index()];
                assert_eq!(i128::from(holding.locked.units()), locked[at], "locked of {account} {at}");
                let free = self.model.owned[account][at] - locked[at];
                assert_eq!(i128::from(holding.free.units()), free, "free of {account} {at}");
            }
        }
        for (at, asset) in [(0, BASE), (1, QUOTE)] {
            assert_eq!(i128::from(self.exchange.fees(asset).units()), self.model.fees[at], "fees");
            assert_eq!(self.exchange.imbalance(asset), 0, "money came or went");
        }
        self.check_market_events();
        self.check_account_events();
    }

    fn check_market_events(&mut self) {
        for event in self.exchange.drain_market_events() {
            match event {
                MarketEvent::Level(change) => {
                    assert_eq!(change.update_id, self.update_id + 1, "update ids are consecutive");
                    self.update_id = change.update_id;
                    let side = &mut self.shadow[usize::from(change.side == Side::Sell)];
                    if change.level.qty.is_zero() {
                        side.remove(&change.level.price.units());
                    } else {
                        side.insert(change.level.price.units(), change.level.qty.units());
                    }
                }
                MarketEvent::Best(best) => {
                    assert_eq!(best.update_id, self.update_id);
                    self.best = Some((best.bid.price.units(), best.ask.price.units()));
                }
                MarketEvent::Trade(_) => {}
            }
        }
        let depth = self.exchange.depth(SYMBOL, usize::MAX);
        assert_eq!(depth.last_update_id, self.update_id);
        let pairs = |levels: &[interlock::types::Level]| -> Vec<(i64, i64)> {
            levels.iter().map(|l| (l.price.units(), l.qty.units())).collect()
        };
        let bids: Vec<_> = self.shadow[0].iter().rev().map(|(&p, &q)| (p, q)).collect();
        let asks: Vec<_> = self.shadow[1].iter().map(|(&p, &q)| (p, q)).collect();
        assert_eq!((bids.clone(), asks.clone()), (pairs(&depth.bids), pairs(&depth.asks)), "told = true");
        let top = |levels: &[(i64, i64)]| levels.first().map_or(0, |&(price, _)| price);
        if let Some(told) = self.best {
            assert_eq!(told, (top(&bids), top(&asks)), "best prices told");
        }
        if let (Some(bid), Some(ask)) = (bids.first(), asks.first()) {
            assert!(bid.0 < ask.0, "the book is crossed: {bid:?} {ask:?}");
        }
    }

    fn check_account_events(&mut self) {
        for event in self.exchange.drain_account_events() {
            if let AccountEvent::Position(position) = event {
                for balance in position.balances {
                    let key = (position.account.0, balance.asset.0);
                    self.positions.insert(key, (balance.free.units(), balance.locked.units()));
                }
            }
        }
        for (&(account, asset), &(free, locked)) in &self.positions {
            let holding = self.exchange.account(AccountId(account)).holdings[usize::from(asset)];
            assert_eq!((free, locked), (holding.free.units(), holding.locked.units()), "balances told");
        }
    }
}

fn client(rng: &mut ChaCha8Rng) -> ClientId {
    // Few enough that they meet.
    ClientId::new(format!("c-{}", rng.random_range(0..60)).as_bytes()).expect("legal")
}

fn random_ask(rng: &mut ChaCha8Rng) -> Ask {
    let kind = match rng.random_range(0..10) {
        0..=5 => OrderKind::Limit,
        6 | 7 => OrderKind::LimitMaker,
        _ => OrderKind::Market,
    };
    let by_quote = kind == OrderKind::Market && rng.random_bool(0.4);
    let time_in_force = match rng.random_range(0..6) {
        0 if kind == OrderKind::Limit => TimeInForce::Ioc,
        1 if kind == OrderKind::Limit => TimeInForce::Fok,
        _ => TimeInForce::Gtc,
    };
    let amount =
        if by_quote { rng.random_range(100 * UNIT..1_500 * UNIT) } else { rng.random_range(1..=100) * STEP };
    Ask {
        account: rng.random_range(0..ACCOUNTS),
        client: client(rng),
        side: if rng.random_bool(0.5) { Side::Buy } else { Side::Sell },
        kind,
        time_in_force,
        price: rng.random_range(94..=106),
        amount,
        by_quote,
        stp: StpMode::ALL[rng.random_range(0..StpMode::ALL.len())],
    }
}

fn random_restriction(rng: &mut ChaCha8Rng) -> Option<CancelRestriction> {
    match rng.random_range(0..6) {
        0 => Some(CancelRestriction::OnlyNew),
        1 => Some(CancelRestriction::OnlyPartiallyFilled),
        _ => None,
    }
}

/// Some order's owner and number: mostly right, sometimes not.
fn random_target(rng: &mut ChaCha8Rng, model: &Model) -> (usize, u64) {
    if model.orders.is_empty() || rng.random_bool(0.1) {
        return (rng.random_range(0..ACCOUNTS), rng.random_range(1_000_000..1_000_400));
    }
    let order = &model.orders[rng.random_range(0..model.orders.len())];
    (order.account, order.id)
}

fn step(pair: &mut Pair, rng: &mut ChaCha8Rng) {
    pair.now_ns += 1;
    let now_ns = pair.now_ns;
    match rng.random_range(0..20) {
        0..=12 => {
            let ask = random_ask(rng);
            let account = AccountId(u32::try_from(ask.account).unwrap());
            let got = pair.exchange.place(account, &Pair::order(&ask), now_ns);
            pair.compare_place(&ask, got.as_ref().map_err(|&refusal| refusal));
        }
        13..=15 => {
            let (owner, id) = random_target(rng, &pair.model);
            let restriction = random_restriction(rng);
            let request =
                CancelOrder { restriction, ..CancelOrder::new(SYMBOL, OrderKey::Id(VenueOrderId(id))) };
            let got = pair.exchange.cancel(AccountId(u32::try_from(owner).unwrap()), &request, now_ns);
            assert_eq!(pair.model.cancel(owner, id, restriction), got.map(|_| ()));
        }
        16 | 17 => {
            let (owner, id) = random_target(rng, &pair.model);
            let (qty, new_client) = (rng.random_range(1..=100) * STEP, client(rng));
            let request = AmendOrder {
                symbol: SYMBOL,
                key: OrderKey::Id(VenueOrderId(id)),
                new_qty: Qty::from_units(qty),
                new_client_id: Some(new_client),
            };
            let account = AccountId(u32::try_from(owner).unwrap());
            let got = pair.exchange.amend_keep_priority(account, &request, now_ns);
            assert_eq!(pair.model.amend(owner, id, qty, new_client), got.map(|_| ()));
        }
        18 => {
            let (owner, id) = random_target(rng, &pair.model);
            let ask = Ask { account: owner, ..random_ask(rng) };
            let mode = CancelReplaceMode::ALL[rng.random_range(0..2)];
            let request = CancelReplaceOrder {
                cancel: CancelOrder::new(SYMBOL, OrderKey::Id(VenueOrderId(id))),
                new_order: Pair::order(&ask),
                mode,
            };
            let account = AccountId(u32::try_from(owner).unwrap());
            let got = pair.exchange.cancel_replace(account, &request, now_ns).expect("filters pass");
            let cancelled = pair.model.cancel(owner, id, None);
            assert_eq!(cancelled.is_ok(), matches!(got.cancel, Step::Success(_)));
            match &got.new_order {
                Step::NotAttempted => {
                    assert!(cancelled.is_err() && mode == CancelReplaceMode::StopOnFailure);
                }
                Step::Success(report) => pair.compare_place(&ask, Ok(report)),
                Step::Failure(refusal) => pair.compare_place(&ask, Err(*refusal)),
            }
        }
        _ => {
            let owner = rng.random_range(0..ACCOUNTS);
            let count = pair.model.orders.iter().filter(|o| o.account == owner).count();
            let account = AccountId(u32::try_from(owner).unwrap());
            match pair.exchange.cancel_all(account, SYMBOL, now_ns) {
                Ok(reports) => assert_eq!(reports.len(), count),
                Err(refusal) => assert_eq!((refusal, count), (Refusal::UNKNOWN_ORDER, 0)),
            }
            pair.model.orders.retain(|o| o.account != owner);
        }
    }
    pair.check();
}

#[test]
fn agrees_with_the_naive_model() {
    let seed = support::seed(20_260_401);
    for run in 0..120 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed.wrapping_add(run));
        let mut pair = Pair::new();
        for _ in 0..200 {
            step(&mut pair, &mut rng);
        }
        let trades = pair.exchange.public_trades(SYMBOL, None, 10_000).len();
        assert!(trades > 10, "run {run} of seed {seed} traded only {trades} times: it proves nothing");
    }
}
