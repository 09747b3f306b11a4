//! The line as the engine runs it, with the venue's place free: real stages, sessions, checks and rings by `run::line`, and a
//! strategy that answers every quote with an order, as the minimal trader that it is compared with does.

use std::sync::Arc;

use interlock::agent::ring::Consumer;
use interlock::agent::{Agent, Clock};
use interlock::event::{Claim, ClockOffset, OrderSpec, Quote, Sample};
use interlock::feed::{AccountSide, ExpectedStreams, FeedConfig, MarketSide, RestAnswer, RestRequest};
use interlock::gateway::{GatewayConfig, Limit, LimitKind, WireDoor, channel_config};
use interlock::journal::Rings;
use interlock::risk::{Apply, PaceFigures, Risk, RiskConfig};
use interlock::run::line::{Ends, Line, Parts, Shared, build};
use interlock::shared::{Counters, KillPage};
use interlock::signal::{Running, Signal};
use interlock::strategy::{Context, Strategy};
use interlock::types::time::{NS_PER_DAY, NS_PER_MIN, NS_PER_S};
use interlock::types::{Cash, InstrumentId, OrderType, Price, Qty, Reason, Side, StrategyId, TimeInForce};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::account::AccountSession;
use interlock::venue::binance::market::{MarketConfig, MarketSession};
use interlock::venue::binance::orders::{OrderConfig, OrderSession};
use interlock::venue::binance::rest::parse_depth;
use interlock::wire::link::Connector;
use secrecy::SecretString;

use crate::messages::{self, MIDDLE_CENTS};
use crate::venue;

/// Boot epoch of the stand's client order ids.
const EPOCH: u32 = 1;
/// The venue's id of the last change before its stream begins; the snapshot lies within the first update.
pub(crate) const SNAPSHOT_ID: u64 = 1_000;
/// A limit of the venue that is there to be checked and never reached.
const FAR: u32 = 4_000_000_000;

/// On every quote an order at the far side: buy below the middle of all prices, sell above. Quantities differ, so that none
/// is a duplicate.
struct Threshold {
    middle: Price,
    count: i64,
}

impl Strategy for Threshold {
    fn on_quote(&mut self, context: &mut Context<'_>, quote: &Quote) {
        self.count = (self.count + 1) % 4_096;
        let middle = i64::midpoint(quote.bid.price.units(), quote.ask.price.units());
        let side = if middle < self.middle.units() { Side::Buy } else { Side::Sell };
        let price = if side == Side::Buy { quote.ask.price } else { quote.bid.price };
        let qty = Qty::from_units(1_000_000 + 1_000 * self.count);
        let time_in_force = TimeInForce::Ioc;
        let spec = OrderSpec { side, order_type: OrderType::Limit, time_in_force, price, qty };
        context.enter(spec, Claim { stop: Price::ZERO, gain_centi_bp: 1_000_000, confidence_bp: 9_000 });
    }
}

/// What the checks of a session with 100,000 orders a second must allow; every check still runs.
fn risk_config() -> RiskConfig {
    let much = Cash::from_units(900_000_000 * Cash::ONE.units());
    let mut config = RiskConfig::default();
    // Nothing is switched off by these: their checks run and find that nothing is too soon, too much or too often.
    let free = PaceFigures {
        interval_min_s: 0,
        gain_min_percent: 1,
        confidence_min_percent: 0,
        ..PaceFigures::default()
    };
    (config.turnover.all, config.turnover.btc, config.turnover.fees_centi_bp) = (free, free, 0);
    (config.repeat.executions_max, config.repeat.window_s) = (1_000, 1);
    config.repeat.apply = Apply::Never;
    config.no_trade.spread_quotes_min = 1;
    (config.no_trade.spread_max_bp, config.no_trade.spread_calm_bp) = (1_000, 1_000);
    config.no_trade.volatility_max_bp = 5_000;
    (config.fan_out.orders_per_window_max, config.fan_out.window_s) = (200_000, 1);
    (config.fan_out.value_per_fact_max, config.fan_out.value_per_window_max) = (much, much);
    config.correlation.exposure_max = much;
    // An order without a stop may lose its whole value, which must be within what one entry may lose.
    config.layers.capital = much;
    RiskConfig {
        order_value_max: Cash::from_units(1_000_000 * Cash::ONE.units()),
        exposure_max: Cash::from_units(100_000_000 * Cash::ONE.units()),
        open_positions_max: 16,
        open_orders_max: 200,
        reference_age_max_ms: 60_000,
        book_age_max_ms: 600_000,
        market_age_max_ms: 600_000,
        clock_age_max_s: 86_400,
        messages_per_s: 200_000,
        messages_burst: 50,
        duplicate_window_ms: 1,
        ..config
    }
}

/// The engine's own default: a session that is logged on once with Ed25519 and whose orders carry no signature. `SIGNING=hmac`:
/// HMAC on every request, as the minimal trader does it.
fn credentials() -> Credentials {
    if !std::env::vars_os().any(|(key, value)| key == "SIGNING" && value == "hmac") {
        return interlock::run::paper::throwaway_credentials().expect("a key");
    }
    let key = SecretString::from("vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A");
    let secret = SecretString::from("NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j");
    Credentials::hmac(key, &secret).expect("credentials")
}

/// The feed's figures: as by default, but no stream is missed, because a bench's venue falls silent between its rounds.
pub(crate) fn feed_config() -> FeedConfig {
    FeedConfig {
        streams: ExpectedStreams { quotes: false, depth: false },
        stale_after_ns: NS_PER_DAY,
        quiet_after_ns: NS_PER_DAY,
        ..FeedConfig::default()
    }
}

/// An armed page with a lease that outlives the bench. Its file is gone as soon as it is mapped: nobody else trips it.
pub(crate) fn shared() -> Shared {
    let clock = Clock::system();
    let now = clock.now();
    let path = std::env::temp_dir().join(format!("interlock-{}-{}.page", std::process::id(), clock.ticks()));
    let page = KillPage::create(&path, 7, now).expect("a kill page");
    std::fs::remove_file(&path).expect("the page's file");
    assert!(page.arm(page.view(now).epoch), "a page that was just made can be armed");
    page.renew_lease(now.mono_ns + NS_PER_DAY);
    Shared { page: Arc::new(page), counters: Arc::new(Counters::default()), clock }
}

/// The market side alone.
pub(crate) fn market_side<C: Connector>(connector: C, host: String) -> MarketSide<C> {
    let table = messages::table();
    let session = MarketSession::new(&table, MarketConfig::default());
    MarketSide::new(connector, host, session, &table, &feed_config(), 11)
}

/// The line over three connections: market, account, orders.
pub(crate) fn line<C: Connector + 'static>(
    [market, account, orders]: [C; 3],
    host: &str,
    shared: &Shared,
) -> Line {
    let table = messages::table();
    let config = feed_config();
    let gateway = GatewayConfig { quiet_after_ns: NS_PER_DAY, ..GatewayConfig::default() };
    let account_session = AccountSession::new(&table, credentials());
    let order_session = OrderSession::new(&table, credentials(), OrderConfig::default());
    let channel = channel_config(&gateway, host.to_owned(), &order_session);
    let middle = i64::try_from(MIDDLE_CENTS).expect("a price") * (Price::ONE.units() / 100);
    let strategy = Threshold { middle: Price::from_units(middle), count: 0 };
    let running = Running { id: StrategyId(0), instrument: InstrumentId(0), strategy: Box::new(strategy) };
    let allowed: Vec<InstrumentId> = table.all().iter().map(|i| i.id).collect();
    let limit = |kind, window_ns| Limit { kind, window_ns, limit: FAR };
    let parts = Parts {
        feed: config,
        market: market_side(market, host.to_owned()),
        account: Some(AccountSide::new(account, host.to_owned(), account_session, &config, 12)),
        signal: Signal::new(EPOCH, &table, vec![running]).expect("a signal stage"),
        risk: Risk::new(&risk_config(), &table, &allowed).expect("a risk stage"),
        forward_market: false,
        gateway,
        door: WireDoor::new(orders, channel, order_session, 13),
        limits: vec![
            limit(LimitKind::Weight, NS_PER_MIN),
            limit(LimitKind::Orders, 10 * NS_PER_S),
            limit(LimitKind::Orders, NS_PER_DAY),
            limit(LimitKind::Raw, 5 * NS_PER_MIN),
        ],
    };
    build(parts, shared)
}

/// One cycle of stages, as a runner polls them.
#[inline]
pub(crate) fn cycle(stages: &mut [Box<dyn Agent>], clock: &Clock) {
    interlock::agent::cycle(stages, clock);
}

/// Plays the REST worker: snapshots on request, and the venue's clock at the start.
pub(crate) fn serve_rest(ends: &mut Ends) {
    while let Ok(RestRequest::Snapshot(instrument)) = ends.rest_requests.pop() {
        let body = venue::snapshot(SNAPSHOT_ID + 5, MIDDLE_CENTS);
        for piece in parse_depth(instrument, body.as_bytes()).expect("a snapshot") {
            assert!(ends.rest_answers.push(RestAnswer::Depth(piece)).is_ok(), "room for a snapshot");
        }
    }
}

/// Tells the line the venue's clock.
pub(crate) fn tell_clock(ends: &mut Ends) {
    let offset = ClockOffset { offset_ns: 0, round_trip_ns: 1_000 };
    assert!(ends.rest_answers.push(RestAnswer::ClockOffset(offset)).is_ok(), "room for the clock");
}

/// Plays the journal's thread: empties its rings. How many records there were.
pub(crate) fn drain_journal(journal: &mut Rings) -> usize {
    let mut records = 0;
    for ring in [&mut journal.feed, &mut journal.signal, &mut journal.risk, &mut journal.gateway] {
        while ring.pop().is_ok() {
            records += 1;
        }
    }
    records
}

/// Empties the rings of measurements.
pub(crate) fn drain_samples(samples: &mut [Consumer<Sample>]) {
    for ring in samples {
        while ring.pop().is_ok() {}
    }
}

/// Why orders do not come out, in the line's own words.
pub(crate) fn complaint(shared: &Shared) -> String {
    let refusals: Vec<String> = Reason::ALL
        .iter()
        .filter(|&&reason| shared.counters.refusals(reason) > 0)
        .map(|&reason| format!("{}: {}", reason.name(), shared.counters.refusals(reason)))
        .collect();
    let view = shared.page.view(shared.clock.now());
    format!("no order came out; refusals: {refusals:?}; page: {view:?}")
}
