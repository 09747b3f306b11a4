//! Golden scenarios of the exchange: each order type, each self-trade prevention mode, each refusal with the venue's own code
//! and text, and what the account's owner is told (R-FEED-2, R-ORD-2).

use interlock::sim::exchange::{
    AccountConfig, AccountEvent, AccountId, AmendOrder, CancelOrder, CancelReplaceMode, CancelReplaceOrder,
    CancelRestriction, ClientId, Exchange, ExchangeConfig, ExecutionKind, ExecutionReport, HistoryQuery,
    Interval, KlineQuery, MarketEvent, NewOrder, OrderKey, OrderKind, OrderStatus, Refusal, SpecError, Step,
    StpMode, SymbolId, SymbolSpec, SymbolStatus,
};
use interlock::types::time::NS_PER_S;
use interlock::types::{AssetId, Cash, Price, Qty, Side, TimeInForce};

const BTC: SymbolId = SymbolId(0);
const NOW_NS: i64 = 1_760_000_000 * NS_PER_S;

fn price(text: &str) -> Price {
    text.parse().expect("a price")
}
fn qty(text: &str) -> Qty {
    text.parse().expect("a quantity")
}
fn cash(text: &str) -> Cash {
    text.parse().expect("an amount")
}
fn client(text: &str) -> ClientId {
    ClientId::new(text.as_bytes()).expect("a legal client id")
}

fn buy(at: &str, quantity: &str) -> NewOrder {
    NewOrder::limit(BTC, Side::Buy, price(at), qty(quantity))
}
fn sell(at: &str, quantity: &str) -> NewOrder {
    NewOrder::limit(BTC, Side::Sell, price(at), qty(quantity))
}
fn market_quote(side: Side, amount: &str) -> NewOrder {
    NewOrder { qty: None, quote_qty: Some(cash(amount)), ..NewOrder::market(BTC, side, Qty::ZERO) }
}

struct Venue {
    exchange: Exchange,
    us: AccountId,
    them: AccountId,
    now_ns: i64,
}

impl Venue {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut SymbolSpec)) -> Self {
        let mut config = ExchangeConfig::default();
        change(&mut config.symbols[0]);
        let mut exchange = Exchange::new(config).expect("sound");
        let us = exchange.open_account(AccountConfig::CLIENT);
        let them = exchange.open_account(AccountConfig { maker_rate: Qty::ZERO, ..AccountConfig::CLIENT });
        let (base, quote) = exchange.pair(BTC);
        for account in [us, them] {
            exchange.deposit(account, base, qty("10"), NOW_NS).expect("fits");
            exchange.deposit(account, quote, qty("1000000"), NOW_NS).expect("fits");
        }
        assert_eq!(exchange.drain_account_events().count(), 4, "deposits are told");
        Self { exchange, us, them, now_ns: NOW_NS }
    }

    fn place(&mut self, account: AccountId, order: &NewOrder) -> Result<OrderStatus, Refusal> {
        self.now_ns += NS_PER_S;
        self.exchange.place(account, order, self.now_ns).map(|report| report.order.status)
    }

    /// Places an order that must be accepted.
    fn ok(&mut self, account: AccountId, order: &NewOrder) -> interlock::sim::exchange::OrderReport {
        self.now_ns += NS_PER_S;
        self.exchange.place(account, order, self.now_ns).unwrap_or_else(|r| panic!("{order:?}: {r}"))
    }

    fn holding(&self, account: AccountId, asset: u16) -> (String, String) {
        let holding = self.exchange.account(account).holdings[usize::from(asset)];
        (holding.free.to_string(), holding.locked.to_string())
    }

    fn executions(&mut self, account: AccountId) -> Vec<ExecutionReport> {
        let events: Vec<AccountEvent> = self.exchange.drain_account_events().collect();
        events
            .into_iter()
            .filter_map(|event| match event {
                AccountEvent::Execution(report) if report.account == account => Some(report),
                _ => None,
            })
            .collect()
    }

    fn kinds(&mut self, account: AccountId) -> Vec<(&'static str, &'static str)> {
        let reports = self.executions(account);
        reports.iter().map(|r| (r.kind.as_str(), r.order.status.as_str())).collect()
    }
}

impl Drop for Venue {
    /// Whatever a scenario did, money is conserved.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            for asset in 0..self.exchange.assets().len() {
                assert_eq!(self.exchange.imbalance(AssetId(u16::try_from(asset).unwrap())), 0);
            }
        }
    }
}

fn pair(free: &str, locked: &str) -> (String, String) {
    (free.to_owned(), locked.to_owned())
}

#[test]
fn limit_orders_lock_rest_fill_and_pay_fees() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    let report = venue.ok(us, &buy("60000", "1.5").with_client_id(client("first")));
    assert_eq!((report.order.status, report.fills.len()), (OrderStatus::New, 0));
    assert_eq!(venue.holding(us, 1), pair("910000", "90000"));

    // They sell through our bid, at our price.
    let taken = venue.ok(them, &sell("59000", "0.5"));
    assert_eq!(taken.order.status, OrderStatus::Filled);
    assert_eq!(taken.fills[0].price, price("60000"));
    assert_eq!(taken.order.executed_quote, cash("30000"));
    assert_eq!((taken.fills[0].commission, taken.fills[0].commission_asset), (qty("30"), AssetId(1)));
    // We received 0.5 BTC less 0.1 %, and 30,000 of what was locked is gone.
    assert_eq!(venue.holding(us, 0), pair("10.4995", "0"));
    assert_eq!(venue.holding(us, 1), pair("910000", "60000"));
    assert_eq!(venue.holding(them, 0), pair("9.5", "0"));
    assert_eq!(venue.holding(them, 1), pair("1029970", "0"));
    assert_eq!(venue.exchange.fees(AssetId(0)), qty("0.0005"));
    assert_eq!(venue.exchange.fees(AssetId(1)), qty("30"));

    let order = venue.exchange.order(us, BTC, OrderKey::Client(client("first"))).expect("open");
    assert_eq!((order.status, order.remaining()), (OrderStatus::PartiallyFilled, qty("1")));
    let trades = venue.exchange.my_trades(us, BTC, HistoryQuery { limit: 10, ..HistoryQuery::default() });
    assert_eq!(trades.len(), 1);
    assert!(trades[0].buyer && trades[0].maker && trades[0].id == taken.fills[0].trade_id);

    let reports = venue.executions(us);
    assert_eq!(reports.len(), 2);
    let fill = reports[1].fill.expect("a fill");
    assert_eq!((fill.qty, fill.price, fill.quote), (qty("0.5"), price("60000"), cash("30000")));
    assert!(fill.maker && reports[1].on_book && reports[0].execution_id < reports[1].execution_id);
}

#[test]
fn a_buy_filled_below_its_limit_gets_the_difference_back() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    venue.ok(them, &sell("59000", "1"));
    venue.ok(them, &sell("59500", "1"));
    let report = venue.ok(us, &buy("60000", "3"));
    let prices: Vec<Price> = report.fills.iter().map(|f| f.price).collect();
    assert_eq!(prices, [price("59000"), price("59500")]);
    assert_eq!(report.order.status, OrderStatus::PartiallyFilled);
    // One is left at 60,000; 118,500 was paid.
    assert_eq!(venue.holding(us, 1), pair("821500", "60000"));
    assert_eq!(venue.exchange.best(BTC).bid.expect("ours").qty, qty("1"));
}

#[test]
fn time_decides_at_a_price() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    let first = venue.ok(us, &sell("60000", "1")).order.id;
    let second = venue.ok(us, &sell("60000", "1")).order.id;
    let better = venue.ok(us, &sell("59999.99", "0.5")).order.id;
    venue.ok(them, &buy("60000", "2"));
    let done = |venue: &Venue, id| venue.exchange.order(us, BTC, OrderKey::Id(id)).expect("known").executed;
    assert_eq!(done(&venue, better), qty("0.5"));
    assert_eq!(done(&venue, first), qty("1"));
    assert_eq!(done(&venue, second), qty("0.5"));
}

#[test]
fn ioc_lets_the_rest_go_and_fok_takes_all_or_nothing() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    venue.ok(them, &sell("60000", "1"));
    let fok = venue.ok(us, &buy("60000", "1.1").with_time_in_force(TimeInForce::Fok));
    assert_eq!((fok.order.status, fok.order.executed), (OrderStatus::Expired, Qty::ZERO));
    assert_eq!(venue.kinds(us), [("NEW", "NEW"), ("EXPIRED", "EXPIRED")]);
    let ioc = venue.ok(us, &buy("60000", "1.1").with_time_in_force(TimeInForce::Ioc));
    assert_eq!((ioc.order.status, ioc.order.executed), (OrderStatus::Expired, qty("1")));
    assert_eq!(venue.kinds(us), [("NEW", "NEW"), ("TRADE", "PARTIALLY_FILLED"), ("EXPIRED", "EXPIRED")]);
    assert_eq!(venue.holding(us, 1), pair("940000", "0"), "nothing stays locked");
    venue.ok(them, &sell("60000", "1"));
    let fok = venue.ok(us, &buy("60000", "1").with_time_in_force(TimeInForce::Fok));
    assert_eq!(fok.order.status, OrderStatus::Filled);
    assert!(venue.exchange.open_orders(us, None).is_empty());
}

#[test]
fn market_orders_by_base_and_by_quote() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    assert_eq!(venue.place(us, &market_quote(Side::Buy, "100")), Err(Refusal::NO_LIQUIDITY));
    let dry = venue.ok(us, &NewOrder::market(BTC, Side::Buy, qty("1")));
    assert_eq!((dry.order.status, dry.fills.len()), (OrderStatus::Expired, 0));

    venue.ok(them, &sell("60000", "1"));
    venue.ok(them, &sell("61000", "1"));
    let base = venue.ok(us, &NewOrder::market(BTC, Side::Buy, qty("1.5")));
    assert_eq!((base.order.status, base.order.executed_quote), (OrderStatus::Filled, cash("90500")));
    assert_eq!(base.order.price, Price::ZERO);

    // 1,000 at 61,000 buys 0.01639 (on the lot grid), 999.79 of it is spent.
    let quote = venue.ok(us, &market_quote(Side::Buy, "1000"));
    assert_eq!(quote.order.status, OrderStatus::Filled);
    assert_eq!((quote.order.executed, quote.order.qty), (qty("0.01639"), qty("0.01639")));
    assert_eq!(quote.order.executed_quote, cash("999.79"));
    assert_eq!(quote.order.quote_qty, cash("1000"));

    // More than the book has: what there is, and the rest expires.
    let rest = venue.ok(us, &market_quote(Side::Buy, "50000"));
    assert_eq!((rest.order.status, rest.order.executed), (OrderStatus::Expired, qty("0.48361")));
    assert!(venue.exchange.best(BTC).ask.is_none());
    assert_eq!(
        venue.place(us, &NewOrder::market(BTC, Side::Sell, qty("100"))),
        Err(Refusal::INSUFFICIENT_BALANCE)
    );
}

#[test]
fn post_only_is_refused_when_it_would_take() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    venue.ok(them, &sell("60000", "1"));
    let refusal = venue.place(us, &buy("60000", "1").post_only()).expect_err("it would take");
    assert_eq!((refusal.code, refusal.msg), (-2010, "Order would immediately match and take."));
    assert_eq!(venue.holding(us, 1), pair("1000000", "0"));
    assert_eq!(venue.place(us, &buy("59999.99", "1").post_only()), Ok(OrderStatus::New));
}

/// Maker orders of ours at 60,000 (1.2) and 60,100 (1.3), and a taker of ours for 3 at 60,100 with this mode.
fn self_trade(mode: StpMode) -> (Venue, interlock::sim::exchange::OrderReport, Vec<OrderStatus>) {
    let mut venue = Venue::new();
    let us = venue.us;
    let makers =
        [("60000", "1.2"), ("60100", "1.3")].map(|(at, quantity)| venue.ok(us, &sell(at, quantity)).order.id);
    let report = venue.ok(us, &buy("60100", "3").with_stp(mode));
    let status = makers.map(|id| venue.exchange.order(us, BTC, OrderKey::Id(id)).expect("known").status);
    (venue, report, status.to_vec())
}

#[test]
fn stp_none_trades_with_itself() {
    let (venue, report, makers) = self_trade(StpMode::None);
    assert_eq!(makers, [OrderStatus::Filled; 2]);
    assert_eq!((report.order.status, report.order.executed), (OrderStatus::PartiallyFilled, qty("2.5")));
    // Only the fees are gone: 0.1 % of 2.5 BTC and of 150,130 USDT; half a bitcoin at 60,100 is locked.
    assert_eq!(venue.holding(venue.us, 0), pair("9.9975", "0"));
    assert_eq!(venue.holding(venue.us, 1), pair("969799.87", "30050"));
}

#[test]
fn stp_expire_maker() {
    let (mut venue, report, makers) = self_trade(StpMode::ExpireMaker);
    assert_eq!(makers, [OrderStatus::ExpiredInMatch; 2]);
    assert_eq!((report.order.status, report.order.executed), (OrderStatus::New, Qty::ZERO));
    let prevented: Vec<_> = report.prevented.iter().map(|p| (p.taker_prevented, p.maker_prevented)).collect();
    assert_eq!(prevented, [(None, Some(qty("1.2"))), (None, Some(qty("1.3")))]);
    assert_eq!(venue.holding(venue.us, 0), pair("10", "0"));
    assert_eq!(venue.holding(venue.us, 1), pair("819700", "180300"));
    let us = venue.us;
    let reports = venue.executions(us);
    let last = reports.last().expect("reports");
    assert_eq!((last.kind, last.order.prevented), (ExecutionKind::TradePrevention, qty("1.3")));
    assert_eq!(last.prevention.expect("it says so").counter_order, report.order.id);
}

#[test]
fn stp_expire_taker() {
    let (venue, report, makers) = self_trade(StpMode::ExpireTaker);
    assert_eq!(makers, [OrderStatus::New; 2]);
    assert_eq!(report.order.status, OrderStatus::ExpiredInMatch);
    assert_eq!((report.order.executed, report.order.prevented), (Qty::ZERO, qty("3")));
    assert_eq!(venue.holding(venue.us, 1), pair("1000000", "0"));
    assert_eq!(venue.holding(venue.us, 0), pair("7.5", "2.5"));
}

#[test]
fn stp_expire_both() {
    let (venue, report, makers) = self_trade(StpMode::ExpireBoth);
    assert_eq!(makers, [OrderStatus::ExpiredInMatch, OrderStatus::New]);
    assert_eq!(report.order.status, OrderStatus::ExpiredInMatch);
    assert_eq!(venue.holding(venue.us, 0), pair("8.7", "1.3"));
    assert_eq!(venue.holding(venue.us, 1), pair("1000000", "0"));
}

#[test]
fn stp_decrement() {
    let (venue, report, makers) = self_trade(StpMode::Decrement);
    assert_eq!(makers, [OrderStatus::ExpiredInMatch; 2]);
    assert_eq!(report.order.status, OrderStatus::New);
    assert_eq!((report.order.prevented, report.order.remaining()), (qty("2.5"), qty("0.5")));
    assert_eq!(venue.holding(venue.us, 1), pair("969950", "30050"));
    assert_eq!(venue.holding(venue.us, 0), pair("10", "0"));
}

#[test]
fn stp_spares_others_and_the_default_is_the_symbols() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    venue.ok(us, &sell("60000", "1"));
    let others = venue.ok(them, &sell("60000", "1"));
    let report = venue.ok(us, &buy("60000", "1"));
    assert_eq!(report.order.stp, StpMode::ExpireMaker, "the symbol's default");
    assert_eq!(report.order.status, OrderStatus::Filled);
    let theirs = venue.exchange.order(them, BTC, OrderKey::Id(others.order.id)).expect("known");
    assert_eq!(theirs.status, OrderStatus::Filled);
}

#[test]
fn filters_refuse_with_the_venues_words() {
    let mut venue = Venue::with(|spec| {
        spec.filters.orders_max = 2;
        spec.filters.position_max = Some(qty("12"));
        spec.filters.market_lot.max = qty("5");
        spec.filters.notional.max = cash("900000");
    });
    let us = venue.us;
    let cases: [(NewOrder, &str); 13] = [
        (buy("60000.001", "1"), "Filter failure: PRICE_FILTER"),
        (buy("0.001", "1"), "Filter failure: PRICE_FILTER"),
        (buy("1000000.01", "1"), "Filter failure: PRICE_FILTER"),
        (buy("300000.01", "1"), "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (buy("11999.99", "1"), "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (sell("300000.01", "1"), "Filter failure: PERCENT_PRICE_BY_SIDE"),
        (buy("60000", "0.000001"), "Filter failure: LOT_SIZE"),
        (buy("60000", "0.000015"), "Filter failure: LOT_SIZE"),
        (buy("60000", "9001"), "Filter failure: LOT_SIZE"),
        (buy("60000", "0.00008"), "Filter failure: NOTIONAL"),
        (buy("60000", "15.00001"), "Filter failure: NOTIONAL"),
        (NewOrder::market(BTC, Side::Buy, qty("5.1")), "Filter failure: MARKET_LOT_SIZE"),
        (market_quote(Side::Sell, "4.99"), "Filter failure: NOTIONAL"),
    ];
    for (order, msg) in cases {
        let refusal = venue.place(us, &order).expect_err(msg);
        assert_eq!((refusal.code, refusal.msg), (-1013, msg), "{order:?}");
        assert_eq!(venue.exchange.test(&order, venue.now_ns), Err(refusal), "order.test says the same");
    }
    assert_eq!(venue.place(us, &buy("60000", "2.1")), Err(Refusal::MAX_POSITION));
    assert_eq!(venue.place(us, &buy("60000", "1")), Ok(OrderStatus::New));
    assert_eq!(venue.place(us, &buy("60000", "1.1")), Err(Refusal::MAX_POSITION), "open buys count");
    assert_eq!(venue.place(us, &sell("61000", "1")), Ok(OrderStatus::New));
    assert_eq!(venue.place(us, &sell("61000", "1")), Err(Refusal::MAX_NUM_ORDERS));
    assert_eq!(venue.holding(us, 1), pair("940000", "60000"), "refusals leave no trace");
}

#[test]
fn shapes_and_conditional_orders_are_refused() {
    let mut venue = Venue::new();
    let us = venue.us;
    let limit = buy("60000", "1");
    let code = |venue: &mut Venue, order: NewOrder| venue.place(us, &order).expect_err("refused").code;
    assert_eq!(code(&mut venue, NewOrder { price: None, ..limit }), -1102);
    assert_eq!(code(&mut venue, NewOrder { qty: None, ..limit }), -1102);
    assert_eq!(code(&mut venue, NewOrder { quote_qty: Some(Cash::ONE), ..limit }), -1106);
    assert_eq!(code(&mut venue, NewOrder { qty: Some(Qty::ZERO), ..limit }), -1013);
    assert_eq!(code(&mut venue, NewOrder { price: Some(Price::ZERO), ..limit }), -1013);
    let market = NewOrder::market(BTC, Side::Buy, Qty::ONE);
    assert_eq!(code(&mut venue, NewOrder { price: Some(Price::ONE), ..market }), -1106);
    assert_eq!(code(&mut venue, NewOrder { qty: None, ..market }), -1102);
    assert_eq!(code(&mut venue, NewOrder { quote_qty: Some(Cash::ONE), ..market }), -1128);
    for (kind, msg) in [
        (OrderKind::StopLoss, "Stop loss orders are not supported for this symbol."),
        (OrderKind::StopLossLimit, "Stop loss limit orders are not supported for this symbol."),
        (OrderKind::TakeProfit, "Take profit orders are not supported for this symbol."),
        (OrderKind::TakeProfitLimit, "Take profit limit orders are not supported for this symbol."),
    ] {
        let refusal = venue.place(us, &NewOrder { kind, ..limit }).expect_err("refused");
        assert_eq!((refusal.code, refusal.msg), (-1013, msg));
    }
    assert_eq!(ClientId::new(b""), None);
    assert_eq!(ClientId::new(b"has space"), None);
    assert_eq!(ClientId::new(&[b'a'; 37]), None);
}

#[test]
fn client_ids_are_unique_among_open_orders_only() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    let order = buy("50000", "1").with_client_id(client("mine"));
    let first = venue.ok(us, &order).order.id;
    let refusal = venue.place(us, &order).expect_err("a duplicate");
    assert_eq!((refusal.code, refusal.msg), (-2010, "Duplicate order sent."));
    assert_eq!(venue.place(them, &order), Ok(OrderStatus::New), "another account's ids are its own");

    let cancel = CancelOrder {
        new_client_id: Some(client("the-cancel")),
        ..CancelOrder::new(BTC, OrderKey::Both(first, client("mine")))
    };
    let report = venue.exchange.cancel(us, &cancel, venue.now_ns).expect("open");
    assert_eq!((report.client_id, report.order.client_id), (client("the-cancel"), client("mine")));
    let told = venue.executions(us).pop().expect("told");
    assert_eq!((told.kind, told.client_id), (ExecutionKind::Canceled, client("the-cancel")));
    assert_eq!((told.orig_client_id, told.on_book), (Some(client("mine")), false));
    assert_eq!(venue.exchange.cancel(us, &cancel, venue.now_ns), Err(Refusal::UNKNOWN_ORDER));

    let second = venue.ok(us, &order).order.id;
    let found = venue.exchange.order(us, BTC, OrderKey::Client(client("mine"))).expect("known");
    assert_eq!(found.id, second, "the open one is meant");
    let old = venue.exchange.order(us, BTC, OrderKey::Id(first)).expect("remembered");
    assert_eq!(old.status, OrderStatus::Canceled);
    let wrong = OrderKey::Both(second, client("other"));
    assert_eq!(venue.exchange.order(us, BTC, wrong), Err(Refusal::NO_SUCH_ORDER));
    assert_eq!(venue.exchange.order(them, BTC, OrderKey::Id(second)), Err(Refusal::NO_SUCH_ORDER));
    let all = venue.exchange.all_orders(us, BTC, HistoryQuery { limit: 500, ..HistoryQuery::default() });
    assert_eq!(all.iter().map(|o| o.id).collect::<Vec<_>>(), [first, second]);
}

#[test]
fn cancels_with_restrictions_and_all_at_once() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    let fresh = venue.ok(us, &sell("61000", "1")).order.id;
    let touched = venue.ok(us, &sell("60000", "1")).order.id;
    venue.ok(them, &buy("60000", "0.4"));
    let mut cancel = |id, restriction| {
        let order = CancelOrder { restriction: Some(restriction), ..CancelOrder::new(BTC, OrderKey::Id(id)) };
        venue.exchange.cancel(us, &order, venue.now_ns).map(|r| r.order.status)
    };
    assert_eq!(cancel(fresh, CancelRestriction::OnlyPartiallyFilled), Err(Refusal::CANCEL_RESTRICTED));
    assert_eq!(cancel(touched, CancelRestriction::OnlyNew), Err(Refusal::CANCEL_RESTRICTED));
    assert_eq!(cancel(touched, CancelRestriction::OnlyPartiallyFilled), Ok(OrderStatus::Canceled));
    assert_eq!(venue.holding(us, 0), pair("8.6", "1"));
    venue.ok(us, &buy("50000", "1"));
    let reports = venue.exchange.cancel_all(us, BTC, venue.now_ns).expect("two are open");
    assert_eq!(reports.len(), 2);
    assert_eq!(venue.holding(us, 0), pair("9.6", "0"));
    assert_eq!(venue.exchange.cancel_all(us, BTC, venue.now_ns), Err(Refusal::UNKNOWN_ORDER));
}

#[test]
fn cancel_replace_in_all_its_outcomes() {
    let mut venue = Venue::new();
    let us = venue.us;
    let old = venue.ok(us, &buy("50000", "1")).order.id;
    let unknown = interlock::types::VenueOrderId(1);
    let mut replace = |id, new_order, mode| {
        let cancel = CancelOrder::new(BTC, OrderKey::Id(id));
        venue.exchange.cancel_replace(us, &CancelReplaceOrder { cancel, new_order, mode }, venue.now_ns)
    };
    let stop = CancelReplaceMode::StopOnFailure;
    let allow = CancelReplaceMode::AllowFailure;
    // A filter failure comes first and touches nothing.
    assert_eq!(replace(old, buy("50000.001", "1"), allow), Err(Refusal::PRICE_FILTER));
    // The cancel fails.
    let report = replace(unknown, buy("50000", "1"), stop).expect("filters pass");
    assert_eq!(report.new_order, Step::NotAttempted);
    assert_eq!(report.refusal().map(|r| r.code), Some(-2022));
    let report = replace(unknown, buy("49000", "1"), allow).expect("filters pass");
    assert!(matches!(report.new_order, Step::Success(_)));
    assert_eq!(report.refusal().map(|r| r.code), Some(-2021));
    let report = replace(unknown, buy("50000", "100"), allow).expect("filters pass");
    assert_eq!(report.new_order, Step::Failure(Refusal::INSUFFICIENT_BALANCE));
    assert_eq!(report.refusal().map(|r| r.code), Some(-2022));
    // Both succeed: the funds of the old order pay the new one.
    let report = replace(old, buy("50000", "18"), stop).expect("filters pass");
    assert_eq!(report.refusal(), None);
    let Step::Success(placed) = report.new_order else { panic!("placed") };
    // The cancel succeeds, the new order does not.
    let report = replace(placed.order.id, buy("50000", "100"), stop).expect("filters pass");
    assert!(matches!(report.cancel, Step::Success(_)));
    assert_eq!(report.refusal().map(|r| r.code), Some(-2021));
    let told = venue.executions(us).pop().expect("told");
    assert_eq!((told.kind, told.reject_reason), (ExecutionKind::Rejected, "INSUFFICIENT_BALANCES"));
    assert_eq!(venue.exchange.open_orders(us, Some(BTC)).len(), 1);
}

#[test]
fn amend_keeps_the_place_in_the_queue() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    let order = venue.ok(us, &sell("60000", "2").with_client_id(client("a")));
    venue.ok(them, &sell("60000", "1"));
    let mut amend = |quantity: &str, new_client_id| {
        let key = OrderKey::Id(order.order.id);
        let request = AmendOrder { symbol: BTC, key, new_qty: qty(quantity), new_client_id };
        venue.exchange.amend_keep_priority(us, &request, venue.now_ns)
    };
    assert_eq!(amend("3", None), Err(Refusal::AMEND_INCREASE));
    assert_eq!(amend("2", None), Err(Refusal::AMEND_NOTHING));
    assert_eq!(amend("1.000001", None), Err(Refusal::LOT_SIZE));
    let report = amend("1.5", Some(client("b"))).expect("smaller");
    assert_eq!((report.orig_client_id, report.order.client_id), (client("a"), client("b")));
    for at in 1..10 {
        assert!(amend(&format!("1.4{}", 9 - at), Some(client("b"))).is_ok());
    }
    assert_eq!(amend("1.2", None), Err(Refusal::AMEND_LIMIT));
    assert_eq!(venue.holding(us, 0), pair("8.6", "1.4"));
    venue.ok(them, &buy("60000", "1").with_stp(StpMode::None));
    let ours = venue.exchange.order(us, BTC, OrderKey::Client(client("b"))).expect("open");
    assert_eq!(ours.executed, qty("1"), "ours was first and still is");
    let request =
        AmendOrder { symbol: BTC, key: OrderKey::Id(order.order.id), new_qty: qty("1"), new_client_id: None };
    assert!(venue.exchange.amend_keep_priority(us, &request, venue.now_ns).is_err());
    assert!(venue.kinds(us).contains(&("REPLACED", "NEW")));
}

#[test]
fn a_halted_symbol_takes_nothing_and_cancel_only_takes_cancels() {
    let mut venue = Venue::new();
    let us = venue.us;
    let id = venue.ok(us, &buy("50000", "1")).order.id;
    venue.exchange.set_status(BTC, SymbolStatus::Halt);
    assert_eq!(venue.place(us, &buy("50000", "1")), Err(Refusal::MARKET_CLOSED));
    let cancel = CancelOrder::new(BTC, OrderKey::Id(id));
    assert_eq!(venue.exchange.cancel(us, &cancel, venue.now_ns), Err(Refusal::MARKET_CLOSED));
    venue.exchange.set_status(BTC, SymbolStatus::CancelOnly);
    assert_eq!(venue.place(us, &buy("50000", "1")), Err(Refusal::MARKET_CLOSED));
    assert!(venue.exchange.cancel(us, &cancel, venue.now_ns).is_ok());
}

#[test]
fn the_tape_tells_klines_ticker_and_average() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    for (at, quantity) in [("60000", "1"), ("60010", "2"), ("59990", "1")] {
        venue.ok(them, &sell(at, quantity));
        venue.ok(us, &buy(at, quantity));
    }
    venue.exchange.advance(venue.now_ns + 5 * NS_PER_S);
    let query = KlineQuery { limit: 3, ..KlineQuery::default() };
    let seconds = venue.exchange.klines(BTC, Interval::S1, query);
    assert_eq!(seconds.len(), 3);
    assert!(seconds.iter().all(|k| k.trades == 0 && k.close == price("59990") && k.trade_ids.is_none()));
    let minute = venue.exchange.klines(BTC, Interval::D1, query)[0];
    assert_eq!((minute.open, minute.high), (price("60000"), price("60010")));
    assert_eq!((minute.low, minute.close), (price("59990"), price("59990")));
    assert_eq!((minute.volume, minute.trades), (qty("4"), 3));
    assert_eq!((minute.taker_buy_volume, minute.quote_volume), (qty("4"), cash("240010")));
    assert_eq!(venue.exchange.average_price(BTC, venue.now_ns).price, price("60002.5"));
    let ticker = venue.exchange.ticker_24h(BTC, venue.now_ns);
    assert_eq!((ticker.open, ticker.last, ticker.trades), (price("60000"), price("59990"), 3));
    assert_eq!(ticker.weighted_average, price("60002.5"));
    let trades = venue.exchange.public_trades(BTC, None, 2);
    assert_eq!(trades.len(), 2);
    assert!(trades[0].id < trades[1].id && !trades[1].buyer_is_maker);
    let from = venue.exchange.public_trades(BTC, Some(trades[1].id), 10);
    assert_eq!(from.len(), 1);
}

#[test]
fn a_sweep_tells_each_level_once_and_aggregates_by_price() {
    let mut venue = Venue::new();
    let (us, them) = (venue.us, venue.them);
    for (at, quantity) in [("60000", "1"), ("60000", "1"), ("60001", "1"), ("60002", "5")] {
        venue.ok(them, &sell(at, quantity));
    }
    let before = venue.exchange.best(BTC).update_id;
    assert!(venue.exchange.drain_market_events().count() >= 4);
    venue.ok(us, &buy("60002", "4"));
    let events: Vec<MarketEvent> = venue.exchange.drain_market_events().collect();
    let levels: Vec<_> = events
        .iter()
        .filter_map(|e| match e {
            MarketEvent::Level(l) => Some((l.update_id - before, l.level.price, l.level.qty)),
            _ => None,
        })
        .collect();
    let expected =
        [(1, price("60000"), Qty::ZERO), (2, price("60001"), Qty::ZERO), (3, price("60002"), qty("4"))];
    assert_eq!(levels, expected);
    let aggregates: Vec<u64> = events
        .iter()
        .filter_map(|e| match e {
            MarketEvent::Trade(t) => Some(t.agg_id),
            _ => None,
        })
        .collect();
    assert_eq!(aggregates.len(), 4);
    assert_eq!(aggregates[0], aggregates[1]);
    assert!(aggregates[1] < aggregates[2] && aggregates[2] < aggregates[3]);
    let bests = events.iter().filter(|e| matches!(e, MarketEvent::Best(_))).count();
    assert_eq!(bests, 1, "one request, one change of the top");
}

#[test]
fn listings_that_could_not_be_exact_are_refused() {
    let fine =
        SymbolSpec::spot("AAA", "BBB", Price::from_units(1), Qty::from_units(1), Price::ONE).expect("names");
    assert!(matches!(fine.check(), Err(SpecError::Inexact(_))));
    let twice = ExchangeConfig {
        symbols: vec![SymbolSpec::btcusdt(), SymbolSpec::btcusdt()],
        ..ExchangeConfig::default()
    };
    assert!(matches!(Exchange::new(twice), Err(SpecError::Twice(_))));
    let zero = SymbolSpec::spot("AAA", "BBB", Price::ZERO, Qty::ONE, Price::ONE).expect("names");
    assert!(matches!(zero.check(), Err(SpecError::NotPositive(_))));
    let mut venue = Venue::new();
    let (us, now_ns) = (venue.us, venue.now_ns);
    assert!(venue.exchange.deposit(us, AssetId(0), qty("-11"), now_ns).is_err());
    assert!(venue.exchange.deposit(us, AssetId(0), Qty::MAX, now_ns).is_err());
}
