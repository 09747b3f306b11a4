//! A recording as the venue's market: its messages relayed as they were, its book behind `GET /depth`, clients' orders
//! matched against it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use tokio::time::Instant;

use super::book::{RecordedBook, RecordedDiff};
use super::clock::Follow;
use super::hub::{Key, Topic};
use super::outbox::Outbox;
use super::shapes::TimeUnit;
use super::state::State;
use super::venue::Venue;
use crate::sim::exchange::{AccountId, Interval, Kline, PublicTrade, SymbolId, SymbolSpec};
use crate::sim::recording::{
    Prelude, Record, RecordedLine, Recording, RecordingClock, RecordingConfig, RecordingError, Snapshot,
    Speed, event_time_ms, with_shifted_times,
};
use crate::types::decimal::decimals_needed;
use crate::types::{Cash, Level, Price, Qty, Side, Symbol, TradeId, VenueOrderId};

/// Lines after which a replay at full speed lets others run.
const YIELD_EVERY: u64 = 16;

/// What is known of a recording before it is played.
pub(super) struct Plan {
    pub(super) config: RecordingConfig,
    pub(super) prelude: Prelude,
    pub(super) symbols: Vec<Symbol>,
}

impl Plan {
    /// Looks at the files.
    pub(super) fn read(config: RecordingConfig) -> Result<Self, RecordingError> {
        let symbols = Recording::open(&config.files)?.symbols();
        let prelude = Prelude::read(&config.files)?;
        Ok(Self { config, prelude, symbols })
    }

    /// The recording's symbols: those of `known` with the recording's price, others as their prices and quantities show.
    pub(super) fn specs(&self, known: &[SymbolSpec]) -> Vec<SymbolSpec> {
        let spec = |symbol: &Symbol| {
            let snapshot =
                self.prelude.snapshots.iter().find(|(s, _)| s == symbol).map(|(_, snapshot)| snapshot);
            let listed = known.iter().find(|spec| spec.symbol == *symbol).copied();
            let mut spec = listed.or_else(|| guess(*symbol, snapshot?))?;
            if let Some(best) = snapshot.and_then(|s| s.bids.first()) {
                spec.reference_price = best.price;
            }
            Some(spec)
        };
        self.symbols.iter().filter_map(spec).collect()
    }

    /// How far recorded event times are moved, when the replay begins at `now_ns`.
    fn shift_ns(&self, now_ns: i64) -> i64 {
        match self.config.clock {
            RecordingClock::Shifted => now_ns - self.prelude.first_ns,
            RecordingClock::Aligned => now_ns - self.prelude.first_ns - self.prelude.skew_ns,
            RecordingClock::Recorded => 0,
        }
    }

    /// What the venue's clock follows before the replay begins.
    pub(super) fn follow(&self) -> Follow {
        let ahead_ns = self.prelude.skew_ns;
        match self.config.clock {
            RecordingClock::Shifted => Follow::System { ahead_ns },
            RecordingClock::Aligned => Follow::System { ahead_ns: 0 },
            RecordingClock::Recorded => Follow::Recording { at_ns: self.prelude.first_ns + ahead_ns },
        }
    }

    /// Candles that had closed before the recording began, moved as its times are, but by whole candles.
    pub(super) fn history(&self, now_ns: i64) -> Result<Vec<(Symbol, Interval, Vec<Kline>)>, RecordingError> {
        let begin_ns = self.prelude.first_ns + self.prelude.skew_ns;
        let mut all = Vec::new();
        for (name, path) in &self.config.klines {
            let wrong =
                |what: &str| RecordingError::Line { path: path.clone(), line: 1, what: what.to_owned() };
            let symbol = Symbol::new(name.as_bytes()).ok_or_else(|| wrong("not a symbol"))?;
            let (interval, mut klines) = read_klines(path)?;
            klines.retain(|k| k.open_ns + k.interval_ns <= begin_ns);
            let shift_ns = self.shift_ns(now_ns);
            let shift_ns = shift_ns - shift_ns.rem_euclid(interval.ns());
            for kline in &mut klines {
                kline.open_ns += shift_ns;
            }
            all.push((symbol, interval, klines));
        }
        Ok(all)
    }
}

/// Tick and lot of a symbol that nobody listed: the finest that its snapshot shows.
fn guess(symbol: Symbol, snapshot: &Snapshot) -> Option<SymbolSpec> {
    let quote = ["USDT", "USDC", "FDUSD", "BTC", "ETH", "EUR", "USD"]
        .into_iter()
        .find(|q| symbol.as_str().len() > q.len() && symbol.as_str().ends_with(q))?;
    let base = symbol.as_str().strip_suffix(quote)?;
    let levels = || snapshot.bids.iter().chain(&snapshot.asks);
    let finest = |decimals: u32, one: i64| one / 10i64.pow(decimals);
    let price_decimals = levels().map(|l| decimals_needed(l.price.units(), Price::DECIMALS)).max()?;
    let qty_decimals = levels().map(|l| decimals_needed(l.qty.units(), Qty::DECIMALS)).max()?;
    let tick = Price::from_units(finest(price_decimals, Price::ONE.units()));
    let step = Qty::from_units(finest(qty_decimals, Qty::ONE.units()));
    SymbolSpec::spot(base, quote, tick, step, snapshot.bids.first()?.price)
}

/// Candles of `open_time_ms,open,high,low,close,volume`; the interval is the distance of the first two.
fn read_klines(path: &Path) -> Result<(Interval, Vec<Kline>), RecordingError> {
    let io = |line: u64| {
        let path = path.to_owned();
        move |source| RecordingError::Io { path, line, source }
    };
    let file = std::fs::File::open(path).map_err(io(0))?;
    let mut klines: Vec<Kline> = Vec::new();
    for (at, text) in BufReader::new(MultiGzDecoder::new(file)).lines().enumerate().skip(1) {
        let line = at as u64 + 1;
        let text = text.map_err(io(line))?;
        let wrong = || RecordingError::Line {
            path: path.to_owned(),
            line,
            what: "not `open_time_ms,open,high,low,close,volume`".to_owned(),
        };
        klines.push(parse_kline(&text).ok_or_else(wrong)?);
    }
    let step_ns = klines.windows(2).map(|pair| pair[1].open_ns - pair[0].open_ns).next().unwrap_or(0);
    let interval = Interval::ALL.iter().copied().find(|i| i.ns() == step_ns).ok_or_else(|| {
        let what = format!("candles {step_ns} ns apart are of no interval that the venue knows");
        RecordingError::Line { path: path.to_owned(), line: 2, what }
    })?;
    for kline in &mut klines {
        kline.interval_ns = step_ns;
    }
    Ok((interval, klines))
}

fn parse_kline(text: &str) -> Option<Kline> {
    let fields: Vec<&str> = text.trim_end().split(',').collect();
    let [open_ms, open, high, low, close, volume] = fields[..] else { return None };
    let price = |text: &str| Price::parse(text.as_bytes()).ok();
    Some(Kline {
        open_ns: open_ms.parse::<i64>().ok()?.checked_mul(1_000_000)?,
        interval_ns: 0,
        open: price(open)?,
        high: price(high)?,
        low: price(low)?,
        close: price(close)?,
        volume: Qty::parse(volume.as_bytes()).ok()?,
        quote_volume: Cash::ZERO,
        taker_buy_volume: Qty::ZERO,
        taker_buy_quote_volume: Cash::ZERO,
        trades: 0,
        // Trades there were, though nobody knows their numbers: the candle is not an empty one.
        trade_ids: Some((TradeId(0), TradeId(0))),
    })
}

#[derive(Deserialize)]
struct TradeText<'a> {
    t: u64,
    p: &'a str,
    q: &'a str,
    #[serde(rename = "T")]
    time_ms: i64,
    m: bool,
}

fn parse_trade(symbol: SymbolId, data: &str, shift_ns: i64) -> Result<PublicTrade, String> {
    let raw: TradeText<'_> = serde_json::from_str(data).map_err(|e| format!("trade: {e}"))?;
    let price = Price::parse(raw.p.as_bytes()).map_err(|e| format!("price {:?}: {e}", raw.p))?;
    let qty = Qty::parse(raw.q.as_bytes()).map_err(|e| format!("quantity {:?}: {e}", raw.q))?;
    Ok(PublicTrade {
        symbol,
        id: TradeId(raw.t),
        agg_id: raw.t,
        price,
        qty,
        quote: Cash::notional_floor(price, qty).ok_or("notional out of range")?,
        time_ns: raw.time_ms.saturating_mul(1_000_000).saturating_add(shift_ns),
        buyer_is_maker: raw.m,
        taker_order: VenueOrderId(raw.t),
    })
}

impl State {
    /// Puts the recording's first books in place.
    pub(super) fn open_recorded_books(&mut self, plan: &Plan, house: AccountId, now_ns: i64) {
        for (symbol, snapshot) in &plan.prelude.snapshots {
            let Some(id) = self.exchange.symbol_id(symbol.as_bytes()) else { continue };
            self.feeds[id.index()].recorded = Some(RecordedBook::new(snapshot));
            self.mirror(id, house, &snapshot.bids, &snapshot.asks, now_ns);
        }
    }

    /// Levels that vanish first: what comes must not meet what is gone.
    fn mirror(&mut self, symbol: SymbolId, house: AccountId, bids: &[Level], asks: &[Level], now_ns: i64) {
        for gone in [true, false] {
            for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
                for level in levels.iter().filter(|l| l.qty.is_zero() == gone) {
                    self.exchange.set_external_level(house, symbol, side, *level, now_ns);
                }
            }
        }
    }

    fn recorded_diff(
        &mut self,
        symbol: SymbolId,
        house: AccountId,
        data: &str,
        now_ns: i64,
    ) -> Result<(), String> {
        let diff = RecordedDiff::parse(data)?;
        let feed = &mut self.feeds[symbol.index()];
        for speed in [&mut feed.fast, &mut feed.slow] {
            speed.pass(diff.first, diff.last);
            diff.bids.iter().for_each(|l| speed.add(diff.first, diff.last, Side::Buy, *l));
            diff.asks.iter().for_each(|l| speed.add(diff.first, diff.last, Side::Sell, *l));
        }
        if feed.recorded.as_mut().is_some_and(|book| book.apply(&diff)) {
            self.mirror(symbol, house, &diff.bids, &diff.asks, now_ns);
        }
        Ok(())
    }

    /// Plays one line.
    fn play(
        &mut self,
        line: &RecordedLine,
        house: AccountId,
        shift_ns: i64,
        now_ns: i64,
    ) -> Result<(), String> {
        let Record::Stream { stream, data } = &line.record else {
            // The first depth answer stands behind `GET /depth` from the start; later ones tell what the diffs tell.
            return Ok(());
        };
        let Some(key) = Key::parse(stream, &self.exchange) else { return Ok(()) };
        let mut trades = Vec::new();
        match key.topic {
            Topic::Diff { .. } => self.recorded_diff(key.symbol, house, data, now_ns)?,
            Topic::Trade => {
                let trade = parse_trade(key.symbol, data, shift_ns)?;
                self.exchange.external_trade(house, &trade);
                trades.push(trade);
            }
            _ => {}
        }
        let render = |unit| with_shifted_times(data, shift_ns, unit == TimeUnit::Micro);
        self.hub.publish(key, &mut self.faults, now_ns, &render);
        self.publish_aggregates(&trades, now_ns);
        self.publish(now_ns);
        Ok(())
    }
}

/// Plays the recording once somebody listens, and says in the stats how it went.
pub(super) async fn play(venue: Rc<Venue>, plan: Plan, house: AccountId) {
    while !venue.state.borrow().hub.has_listeners() {
        venue.listened.notified().await;
    }
    let result = play_lines(&venue, &plan, house).await;
    for outbox in outboxes(&venue) {
        outbox.is_empty().await;
    }
    let mut state = venue.state.borrow_mut();
    state.stats.recording_error = result.err();
    state.stats.recording_done = true;
}

fn outboxes(venue: &Venue) -> Vec<Rc<Outbox>> {
    venue.state.borrow().hub.subscribers().iter().map(|s| Rc::clone(&s.outbox)).collect()
}

async fn play_lines(venue: &Rc<Venue>, plan: &Plan, house: AccountId) -> Result<(), String> {
    let mut recording = Recording::open(&plan.config.files).map_err(|e| e.to_string())?;
    let shift_ns = plan.shift_ns(venue.clock.system_ns());
    let begin = Instant::now();
    let mut count = 0u64;
    while let Some(line) = recording.next_line().map_err(|e| e.to_string())? {
        match plan.config.speed {
            Speed::Original => {
                let after_ns = u64::try_from(line.recv_ns - plan.prelude.first_ns).unwrap_or(0);
                let due = begin + Duration::from_nanos(after_ns);
                if due > Instant::now() {
                    tokio::time::sleep_until(due).await;
                }
            }
            Speed::Full => {
                if count.is_multiple_of(YIELD_EVERY) {
                    tokio::task::yield_now().await;
                    for outbox in outboxes(venue) {
                        outbox.has_room().await;
                    }
                }
            }
        }
        // From the first line on the clock runs at its own pace, also where the lines are played faster: stamps and windows of
        // requests need a clock that does not jump.
        if count == 0 && plan.config.clock == RecordingClock::Recorded {
            venue.clock.run_from(clock_of(&line, plan));
        }
        let now_ns = venue.clock.now_ns();
        let mut state = venue.state.borrow_mut();
        state.play(&line, house, shift_ns, now_ns).map_err(|what| format!("line {}: {what}", count + 1))?;
        count += 1;
        state.stats.recording_lines = count;
    }
    Ok(())
}

/// The venue's time when the recorder received a line; never before the line's own event.
fn clock_of(line: &RecordedLine, plan: &Plan) -> i64 {
    let received_ns = line.recv_ns + plan.prelude.skew_ns;
    match &line.record {
        Record::Stream { data, .. } => {
            event_time_ms(data).map_or(received_ns, |ms| received_ns.max(ms * 1_000_000))
        }
        Record::Snapshot { .. } => received_ns,
    }
}
