//! The venue as its connections see it, and what happens by itself: order flow, interval streams, timed faults.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{MissedTickBehavior, interval};

use super::clock::VenueClock;
use super::conn::ConnectionRules;
use super::hub::{Key, Topic};
use super::market_json as show;
use super::state::State;
use crate::sim::exchange::{Interval, KlineQuery, SymbolId};
use crate::sim::faults::{Fault, FaultKind, FaultPlan, Target};
use crate::sim::flow::Flow;

/// How often the order flow lives.
const FLOW_EVERY: Duration = Duration::from_millis(4);
/// The finest interval of streams.
const TICK: Duration = Duration::from_millis(100);

/// The venue.
pub(super) struct Venue {
    pub(super) clock: VenueClock,
    pub(super) state: RefCell<State>,
    pub(super) rules: ConnectionRules,
    pub(super) control_token: String,
    /// Somebody listens to a market stream: a replay may begin.
    pub(super) listened: Notify,
}

impl Venue {
    /// Puts a plan of faults in force.
    pub(super) fn set_faults(&self, plan: FaultPlan) {
        let now_ns = self.clock.now_ns();
        self.state.borrow_mut().faults.replace(plan, now_ns);
    }

    /// Tells everyone that the venue will shut down.
    pub(super) fn announce_shutdown(&self) {
        let now_ns = self.clock.now_ns();
        let state = self.state.borrow();
        state.hub.announce_shutdown(now_ns);
        for session in &state.sessions {
            session.announce_shutdown(now_ns);
        }
    }

    /// Ends connections without a word.
    pub(super) fn disconnect(&self, target: Target) {
        let state = self.state.borrow();
        if target != Target::WsApi {
            state.hub.subscribers().iter().for_each(|s| s.outbox.cut());
        }
        if target != Target::Streams {
            state.sessions.iter().for_each(|s| s.outbox.cut());
        }
    }

    fn timed_fault(&self, fault: &Fault) {
        match fault.kind {
            FaultKind::Disconnect => self.disconnect(fault.target),
            FaultKind::ServerShutdown => self.announce_shutdown(),
            _ => {
                let duration = Duration::from_millis(fault.duration_ms);
                let state = self.state.borrow();
                if fault.target != Target::WsApi {
                    state.hub.subscribers().iter().for_each(|s| s.outbox.stall(duration));
                }
                if fault.target == Target::WsApi {
                    state.sessions.iter().for_each(|s| s.outbox.stall(duration));
                }
            }
        }
    }

    fn timed_faults(&self) {
        let now_ns = self.clock.now_ns();
        loop {
            let due = self.state.borrow_mut().faults.timed(now_ns);
            let Some(fault) = due else { break };
            self.timed_fault(&fault);
        }
    }
}

/// Lets the participants trade until the venue ends.
pub(super) async fn live(venue: Rc<Venue>, mut flow: Flow) {
    let mut every = interval(FLOW_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        let now_ns = venue.clock.now_ns();
        let mut state = venue.state.borrow_mut();
        flow.step(&mut state.exchange, now_ns);
        state.publish(now_ns);
    }
}

/// Sends what is sent at intervals, until the venue ends.
pub(super) async fn tick(venue: Rc<Venue>) {
    let mut every = interval(TICK);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut count = 0u32;
    loop {
        every.tick().await;
        count = count.wrapping_add(1);
        venue.timed_faults();
        let now_ns = venue.clock.now_ns();
        let mut state = venue.state.borrow_mut();
        state.interval_streams(now_ns, true);
        if count.is_multiple_of(10) {
            state.exchange.advance(now_ns);
            state.interval_streams(now_ns, false);
            state.second_streams(now_ns, count.is_multiple_of(20));
            venue.clock.reanchor();
        }
    }
}

impl State {
    /// Depth diffs and partial books of one speed.
    pub(super) fn interval_streams(&mut self, now_ns: i64, fast: bool) {
        let replay = self.is_replay();
        for at in 0..self.feeds.len() {
            let (symbol, name) = (self.feeds[at].symbol, self.feeds[at].name);
            let feed = &mut self.feeds[at];
            let diff = if fast { feed.fast.take() } else { feed.slow.take() };
            let Some(diff) = diff else { continue };
            // A recording brings its own fast diffs, which were relayed as they came.
            if !(replay && fast) {
                let key = Key { symbol, topic: Topic::Diff { fast } };
                let render = |unit| show::depth_event(unit, name.as_str(), &diff, now_ns);
                self.hub.publish(key, &mut self.faults, now_ns, &render);
            }
            for levels in [5u8, 10, 20] {
                let key = Key { symbol, topic: Topic::Partial { levels, fast } };
                if self.hub.is_wanted(key) {
                    let text = self.depth_json(symbol, usize::from(levels));
                    self.hub.publish(key, &mut self.faults, now_ns, &|_| text.clone());
                }
            }
        }
    }

    /// Tickers, averages and klines. One second klines come every second, longer ones every two.
    fn second_streams(&mut self, now_ns: i64, even: bool) {
        let symbols: Vec<SymbolId> = self.feeds.iter().map(|f| f.symbol).collect();
        for symbol in symbols {
            self.ticker_streams(symbol, now_ns);
            for (at, interval) in Interval::ALL.iter().enumerate() {
                let Ok(at) = u8::try_from(at) else { continue };
                let key = Key { symbol, topic: Topic::Kline(at) };
                if self.hub.is_wanted(key) && (even || *interval == Interval::S1) {
                    self.kline_stream(key, *interval, now_ns);
                }
            }
        }
    }

    fn ticker_streams(&mut self, symbol: SymbolId, now_ns: i64) {
        let name = self.feeds[symbol.index()].name;
        let wants = |topic| self.hub.is_wanted(Key { symbol, topic });
        if wants(Topic::MiniTicker) || wants(Topic::Ticker) {
            let (ticker, best) = (self.exchange.ticker_24h(symbol, now_ns), self.best(symbol));
            let mini = |unit| show::mini_ticker_event(unit, name.as_str(), &ticker, now_ns);
            self.hub.publish(Key { symbol, topic: Topic::MiniTicker }, &mut self.faults, now_ns, &mini);
            let full = |unit| show::ticker_event(unit, name.as_str(), &ticker, best, now_ns);
            self.hub.publish(Key { symbol, topic: Topic::Ticker }, &mut self.faults, now_ns, &full);
        }
        if self.hub.is_wanted(Key { symbol, topic: Topic::Average }) {
            let average = self.exchange.average_price(symbol, now_ns);
            let render = |unit| show::average_event(unit, name.as_str(), &average, now_ns);
            self.hub.publish(Key { symbol, topic: Topic::Average }, &mut self.faults, now_ns, &render);
        }
    }

    /// The open kline, and before it the one that closed since the last message.
    fn kline_stream(&mut self, key: Key, interval: Interval, now_ns: i64) {
        let name = self.feeds[key.symbol.index()].name;
        let query = KlineQuery { start_ns: None, end_ns: None, limit: 2 };
        for kline in self.exchange.klines(key.symbol, interval, query) {
            let closed_ns = kline.open_ns + kline.interval_ns;
            if closed_ns + 2_000_000_000 <= now_ns {
                continue;
            }
            let render = |unit| show::kline_event(unit, name.as_str(), interval.as_str(), &kline, now_ns);
            self.hub.publish(key, &mut self.faults, now_ns, &render);
        }
    }
}
