//! The stage itself: merges the sources in a fixed order, in bounded pieces.

use std::sync::Arc;

use crate::agent::line_ring::Writer;
use crate::agent::ring::{Consumer, Producer};
use crate::agent::{Agent, Clock};
use crate::event::{Body, Command, Fact, Record, Sample, Slot};
use crate::feed::account::AccountSide;
use crate::feed::config::{FeedConfig, RestAnswer, RestRequest};
use crate::feed::market::{Exhausted, MarketSide, Probe, Read};
use crate::feed::outlet::Outlet;
use crate::limits::POLL_BATCH_MAX;
use crate::shared::{Counter, Counters, HaltLevel, KillPage};
use crate::types::time::NS_PER_MS;
use crate::types::{Now, Reason};
use crate::wire::link::Connector;

/// Commands taken in one poll.
const COMMANDS_PER_POLL_MAX: usize = 4;
/// Polls in a row for which busy market data may put off the account link's read, a system call in the way of a quote.
const ACCOUNT_PUT_OFF_MAX: u32 = 16;
/// How often staleness, renewals and snapshot requests are looked after.
const LOOK_EVERY_NS: i64 = NS_PER_MS;
/// Share of the line that a piece of a snapshot should find free before it is taken from the worker: the last piece also lets
/// the changes go that were kept meanwhile.
const SNAPSHOT_ROOM_SHARE: usize = 8;

/// The feed's rings. `journal` is its own journal ring.
#[derive(Debug)]
pub struct FeedRings {
    /// To signal.
    pub line: Writer<Slot<Fact>>,
    /// To the journal's thread.
    pub journal: Producer<Record>,
    /// From the gateway: replies. They go before everything else.
    pub returns: Consumer<Body>,
    /// From the control thread.
    pub commands: Consumer<Command>,
    /// To the REST worker.
    pub rest_requests: Producer<RestRequest>,
    /// From the REST worker.
    pub rest_answers: Consumer<RestAnswer>,
    /// What was found out apart from the sessions: state of earlier boots (there before the first poll), and fills and orders
    /// that a reconcile recovered. Taken before everything else.
    pub found: Option<Consumer<Body>>,
    /// Measurements.
    pub samples: Option<Producer<Sample>>,
}

/// Stage 1. `M` and `A` open the market and the account link.
#[derive(Debug)]
pub struct Feed<M: Connector, A: Connector = M> {
    config: FeedConfig,
    outlet: Outlet,
    market: MarketSide<M>,
    account: Option<AccountSide<A>>,
    returns: Consumer<Body>,
    commands: Consumer<Command>,
    rest_requests: Producer<RestRequest>,
    rest_answers: Consumer<RestAnswer>,
    found: Option<Consumer<Body>>,
    samples: Option<Producer<Sample>>,
    page: Arc<KillPage>,
    counters: Arc<Counters>,
    clock: Clock,
    snapshot_room: usize,
    polls_to_account: u32,
    account_put_off: u32,
    next_look_mono_ns: i64,
    next_timer_mono_ns: i64,
}

impl<M: Connector, A: Connector> Feed<M, A> {
    /// Over its links; without an account there are no private events (paper and shadow).
    pub fn new(
        config: FeedConfig,
        market: MarketSide<M>,
        account: Option<AccountSide<A>>,
        rings: FeedRings,
        (page, counters): (Arc<KillPage>, Arc<Counters>),
        clock: Clock,
    ) -> Self {
        assert!(config.timer_ns > 0, "stages notice deadlines by timer facts");
        let FeedRings { line, journal, returns, commands, rest_requests, rest_answers, found, samples } =
            rings;
        let snapshot_room = line.capacity() / SNAPSHOT_ROOM_SHARE;
        let (shared_page, shared_counters) = (Arc::clone(&page), Arc::clone(&counters));
        let outlet =
            Outlet::new((journal, line), config.line_reserve, (shared_page, shared_counters), clock.clone());
        Self {
            config,
            outlet,
            market,
            account,
            returns,
            commands,
            rest_requests,
            rest_answers,
            found,
            samples,
            page,
            counters,
            clock,
            snapshot_room,
            polls_to_account: 0,
            account_put_off: 0,
            next_look_mono_ns: i64::MIN,
            next_timer_mono_ns: i64::MIN,
        }
    }

    /// The market side, for its counters, books and errors.
    pub const fn market(&self) -> &MarketSide<M> {
        &self.market
    }

    /// The account side, for its errors.
    pub const fn account(&self) -> Option<&AccountSide<A>> {
        self.account.as_ref()
    }

    /// Number of the last fact.
    pub fn last_seq(&self) -> u64 {
        self.outlet.last_seq()
    }

    /// What was found out apart, then replies, then commands. What finds no room stays in its ring.
    #[inline]
    fn take_private(&mut self) -> usize {
        let mut taken = 0;
        if let Some(found) = &mut self.found {
            while !self.outlet.is_waiting() {
                let Ok(body) = found.pop() else { break };
                self.outlet.private(body);
                taken += 1;
            }
        }
        while taken < POLL_BATCH_MAX && !self.outlet.is_waiting() {
            let Ok(body) = self.returns.pop() else { break };
            self.outlet.private(body);
            taken += 1;
        }
        for _ in 0..COMMANDS_PER_POLL_MAX {
            if self.outlet.is_waiting() {
                break;
            }
            let Ok(command) = self.commands.pop() else { break };
            self.outlet.private(Body::Command(command));
            taken += 1;
        }
        taken
    }

    #[inline]
    fn take_rest(&mut self, now: Now) -> usize {
        let mut taken = 0;
        while taken < POLL_BATCH_MAX
            && !self.outlet.is_waiting()
            && self.outlet.has_market_room(self.snapshot_room)
        {
            let Ok(answer) = self.rest_answers.pop() else { break };
            match answer {
                RestAnswer::ClockOffset(offset) => {
                    if let Some(account) = &mut self.account {
                        account.set_offset(offset.offset_ns);
                    }
                    self.outlet.private(Body::ClockOffset(offset));
                }
                RestAnswer::Bar(bar) => self.outlet.private(Body::Bar(bar)),
                RestAnswer::Depth(_) | RestAnswer::SnapshotFailed(_) => {
                    self.market.answer(&answer, now, &mut self.outlet);
                }
            }
            taken += 1;
        }
        taken
    }

    #[inline]
    fn take_market(&mut self, now: Now) -> usize {
        let samples = self.samples.as_mut();
        let mut probe = Probe { clock: &self.clock, counters: &self.counters, samples, dropped: 0 };
        let result = self.market.poll(now, &mut self.outlet, &mut probe);
        if probe.dropped > 0 {
            self.counters.add_shared(Counter::LatencyDropped, probe.dropped);
        }
        self.count(result, now)
    }

    /// `is_busy`: the market brought something that has not gone down the line yet.
    fn take_account(&mut self, now: Now, is_busy: bool) -> usize {
        if self.polls_to_account > 0 {
            self.polls_to_account -= 1;
            return 0;
        }
        if is_busy && self.account_put_off < ACCOUNT_PUT_OFF_MAX {
            self.account_put_off += 1;
            return 0;
        }
        self.account_put_off = 0;
        self.polls_to_account = self.config.account_read_every.saturating_sub(1);
        let Some(account) = &mut self.account else { return 0 };
        let result = account.poll(now, &mut self.outlet);
        self.count(result, now)
    }

    #[inline]
    fn count(&mut self, result: Result<Read, Exhausted>, now: Now) -> usize {
        let Ok(read) = result else {
            self.page.trip(HaltLevel::RiskOff, Reason::RetriesExhausted, now.ns);
            return 1;
        };
        if read.messages + read.bytes > 0 {
            self.counters.add(Counter::FeedMessages, read.messages as u64);
            self.counters.add(Counter::FeedBytes, read.bytes as u64);
        }
        read.messages
    }

    fn look_after(&mut self, now: Now) {
        if now.mono_ns >= self.next_look_mono_ns {
            self.next_look_mono_ns = now.mono_ns + LOOK_EVERY_NS;
            let looked =
                self.market.look_after(now, &mut self.outlet, &mut self.rest_requests, &self.counters);
            if looked.is_err() {
                self.page.trip(HaltLevel::RiskOff, Reason::RetriesExhausted, now.ns);
            }
        }
        // A timer fact that would have to wait is left out: time passes again soon, and the page's lease does not depend on it.
        if now.mono_ns >= self.next_timer_mono_ns && !self.outlet.is_waiting() {
            self.next_timer_mono_ns = now.mono_ns + self.config.timer_ns;
            self.outlet.private(Body::Timer);
        }
    }
}

impl<M: Connector, A: Connector> Agent for Feed<M, A> {
    fn name(&self) -> &'static str {
        "feed"
    }

    fn poll(&mut self, now: Now) -> usize {
        self.outlet.begin(now);
        let mut work = self.take_private();
        work += self.take_rest(now);
        let market = self.take_market(now);
        work += market + self.take_account(now, market > 0);
        self.look_after(now);
        work
    }
}
