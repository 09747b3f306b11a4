//! All four real stages on one thread and in virtual time, between the misbehaving venue and the puppet. In each step the
//! stages are polled in a random order, a few times, so that what a scenario proves holds for every schedule its seeds give.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use rand::rngs::SmallRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

use interlock::agent::line_ring::{self, Reader, Writer};
use interlock::agent::ring::{Consumer, Producer, ring};
use interlock::agent::{Agent, Clock};
use interlock::event::command::NO_STRATEGY;
use interlock::event::{
    Body, ClockOffset, Command, CommandKind, Decision, Fact, Item, NoteKind, Record, Slot, Stamps, Verdict,
};
use interlock::feed::{Feed, FeedConfig, FeedRings, MarketSide, RestAnswer, RestRequest};
use interlock::gateway::{Gateway, GatewayConfig, GatewayRings, Limit};
use interlock::risk::{self, Apply, Output, PageSource, Risk, RiskConfig};
use interlock::shared::{Counter, Counters, HaltLevel, KillPage};
use interlock::signal::{self, Running, Signal};
use interlock::types::time::{NS_PER_MS, NS_PER_S};
use interlock::types::{
    Cash, ClientOrderId, InstrumentTable, Now, OrderState, Price, Qty, Reason, StrategyId,
};
use interlock::venue::binance::market::{DepthStream, MarketConfig, MarketSession};
use interlock::wire::memory::{MemoryConnector, MemoryLink, connector};

use crate::binance_support::table;
use crate::market::MarketPeer;
use crate::puppet::{Puppet, Wants};
use crate::venue::{BTC, Venue};

pub(crate) const START_NS: i64 = 1_723_161_253_000_000_000;
const START: Now = Now { ns: START_NS, mono_ns: 0 };
/// This boot; earlier ones have smaller numbers.
pub(crate) const EPOCH: u32 = 5;

/// What a scenario changes before the lab is built.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) limits: Vec<Limit>,
    pub(crate) risk: RiskConfig,
    pub(crate) gateway: GatewayConfig,
    pub(crate) feed: FeedConfig,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Vec::new(),
            risk: roomy(),
            gateway: GatewayConfig { read_every: 1, ..GatewayConfig::default() },
            feed: FeedConfig { line_reserve: 64, ..FeedConfig::default() },
        }
    }
}

/// Limits that are not in the way.
pub(crate) fn roomy() -> RiskConfig {
    let mut limits = RiskConfig::default();
    (limits.turnover.apply, limits.repeat.apply) = (Apply::Never, Apply::Never);
    limits.no_trade.spread_quotes_min = 1;
    limits.no_trade.volatility_max_bp = 5_000;
    limits.no_trade.quality_faults_max = 1_000;
    limits.collar_period_bp = 5_000;
    (limits.fan_out.orders_per_fact_max, limits.fan_out.orders_per_window_max) = (16, 10_000);
    let wide = Cash::from_units(1_000_000_000 * Cash::ONE.units());
    limits.fan_out.value_per_fact_max = wide;
    limits.fan_out.value_per_window_max = wide;
    limits.correlation.exposure_max = wide;
    RiskConfig {
        order_value_max: Cash::from_units(1_000_000 * Cash::ONE.units()),
        exposure_max: Cash::from_units(100_000_000 * Cash::ONE.units()),
        open_orders_max: 256,
        ..limits
    }
}

/// How the market behaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Market {
    pub(crate) bid_cents: i64,
    pub(crate) every_ns: i64,
    /// Says nothing, though the socket is open and pings come.
    pub(crate) silent: bool,
    /// Nobody accepts a connection.
    pub(crate) absent: bool,
}

impl Default for Market {
    fn default() -> Self {
        Self { bid_cents: 6_000_000, every_ns: 50 * NS_PER_MS, silent: false, absent: false }
    }
}

pub(crate) struct Lab {
    feed: Feed<MemoryConnector>,
    signal: signal::Stage,
    risk: risk::Stage<PageSource>,
    pub(crate) gateway: Gateway<Venue>,
    pub(crate) page: Arc<KillPage>,
    pub(crate) counters: Arc<Counters>,
    pub(crate) wants: Arc<Wants>,
    clock: Clock,
    pub(crate) now: Now,
    pub(crate) market: Market,
    pub(crate) peer: Option<MarketPeer>,
    links: rtrb::Producer<MemoryLink>,
    answers: Producer<RestAnswer>,
    commands: Producer<Command>,
    pub(crate) found: Producer<Body>,
    journals: [Consumer<Record>; 4],
    /// Risk's decisions.
    pub(crate) decisions: Vec<Decision>,
    /// Facts but for timers and market data.
    pub(crate) facts: Vec<Body>,
    /// Notes of the gateway.
    pub(crate) notes: Vec<NoteKind>,
    /// The venue's clock against ours, as the REST worker measures it; `None`: it does not.
    pub(crate) offset_ns: Option<i64>,
    /// Whether the control thread lives, and renews the lease.
    pub(crate) has_lease: bool,
    update_id: u64,
    next_quote_ns: i64,
    next_clock_ns: i64,
    rng: SmallRng,
    folder: tempfile::TempDir,
}

const FACT: Fact = Fact { seq: 0, recv_ns: 0, body: Body::Timer };

fn tripper(page: &Arc<KillPage>) -> Box<dyn FnMut(Reason) + Send> {
    let page = Arc::clone(page);
    Box::new(move |reason| {
        page.trip(HaltLevel::RiskOff, reason, 0);
    })
}

type Common<'a> = (&'a Arc<KillPage>, &'a Arc<Counters>, &'a Clock);

fn feed(
    links: MemoryConnector,
    rings: FeedRings,
    (table, config, seed): (&InstrumentTable, FeedConfig, u64),
    (page, counters, clock): Common<'_>,
) -> Feed<MemoryConnector> {
    // The book comes whole with each message: no REST needed.
    let streams = MarketConfig { depth: DepthStream::Partial(5), ..MarketConfig::default() };
    let session = MarketSession::new(table, streams);
    let side = MarketSide::new(links, "venue.test".to_owned(), session, table, &config, seed);
    Feed::new(config, side, None, rings, (Arc::clone(page), Arc::clone(counters)), clock.clone())
}

fn signal(
    (input, output, journal): (Reader<Slot<Fact>>, Writer<Slot<Item>>, Producer<Record>),
    (table, wants): (&InstrumentTable, &Arc<Wants>),
    (page, counters, clock): Common<'_>,
) -> signal::Stage {
    let strategy = Box::new(Puppet { wants: Arc::clone(wants), turn: 0 });
    let running = Running { id: StrategyId(0), instrument: BTC, strategy };
    let ports = signal::Ports {
        input,
        output,
        journal,
        latency: None,
        trip: tripper(page),
        counters: Arc::clone(counters),
        clock: clock.clone(),
    };
    signal::Stage::new(Signal::new(EPOCH, table, vec![running]).unwrap(), ports)
}

fn risk(
    (input, output, journal): (Reader<Slot<Item>>, Writer<Output>, Producer<Record>),
    (table, config): (&InstrumentTable, &RiskConfig),
    (page, counters, clock): Common<'_>,
) -> risk::Stage<PageSource> {
    let ports = risk::Ports {
        input,
        output,
        journal,
        latency: None,
        kill: PageSource(Arc::clone(page)),
        trip: tripper(page),
        counters: Arc::clone(counters),
        clock: clock.clone(),
        forward_market: false,
    };
    risk::Stage::new(Risk::new(config, table, &[BTC]).unwrap(), ports)
}

impl Lab {
    /// Ready to trade.
    pub(crate) fn new(seed: u64) -> Self {
        Self::with(seed, &Setup::default())
    }

    pub(crate) fn with(seed: u64, setup: &Setup) -> Self {
        let mut lab = Self::cold(seed, setup);
        lab.start();
        lab
    }

    /// Session, market and clock come up; then it is armed.
    pub(crate) fn start(&mut self) {
        self.run_ms(1_500);
        assert!(self.gateway.is_session_up(), "the session starts");
        self.arm();
    }

    pub(crate) fn arm(&mut self) {
        let epoch = self.page.view(self.now).epoch;
        assert!(self.page.arm(epoch), "nothing tripped meanwhile");
        self.run_ms(5);
    }

    /// Built, and nothing was polled yet.
    pub(crate) fn cold(seed: u64, setup: &Setup) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let page = Arc::new(KillPage::create(&folder.path().join("kill.page"), 9, START).unwrap());
        let counters = Arc::new(Counters::default());
        let clock = Clock::virtual_at(START_NS);
        let table = table(&["BTC-USDT"]);
        let wants = Arc::new(Wants::default());
        let (line_in, line_out) = line_ring::ring(512, Slot { stamps: Stamps::default(), item: FACT });
        let (item_in, item_out) =
            line_ring::ring(512, Slot { stamps: Stamps::default(), item: Item::Fact(FACT) });
        let (output_in, output_out) = line_ring::ring(512, Output::Fact(FACT));
        let (return_in, return_out) = ring(512, Body::Timer);
        let (commands, commands_out) = rtrb::RingBuffer::new(8);
        let (request_in, _requests) = ring(4, RestRequest::Snapshot(BTC));
        let (answers, answers_out) = ring(8, RestAnswer::SnapshotFailed(BTC));
        let (found, found_out) = ring(64, Body::Timer);
        let journals = [(); 4].map(|()| ring(1_024, Record::Fact(FACT)));
        let [(feed_j, a), (signal_j, b), (risk_j, c), (gateway_j, d)] = journals;
        let (links, market_links) = connector(8);

        let rings = FeedRings {
            line: line_in,
            journal: feed_j,
            returns: return_out,
            commands: commands_out,
            rest_requests: request_in,
            rest_answers: answers_out,
            found: Some(found_out),
            samples: None,
        };
        let common = (&page, &counters, &clock);
        let feed = feed(market_links, rings, (&table, setup.feed, seed), common);
        let signal = signal((line_out, item_in, signal_j), (&table, &wants), common);
        let risk = risk((item_out, output_in, risk_j), (&table, &setup.risk), common);
        let rings = GatewayRings {
            input: output_out,
            returns: return_in,
            journal: gateway_j,
            traces: None,
            samples: None,
        };
        let venue = Venue::new(Arc::clone(&page), seed);
        let shared = (Arc::clone(&page), Arc::clone(&counters));
        let gateway = Gateway::new(setup.gateway, venue, &setup.limits, rings, shared, clock.clone());
        Self {
            feed,
            signal,
            risk,
            gateway,
            page,
            counters,
            wants,
            clock,
            now: START,
            market: Market::default(),
            peer: None,
            links,
            answers,
            commands: commands.into(),
            found,
            journals: [a, b, c, d],
            decisions: Vec::new(),
            facts: Vec::new(),
            notes: Vec::new(),
            offset_ns: Some(0),
            has_lease: true,
            update_id: 1,
            next_quote_ns: 0,
            next_clock_ns: 0,
            rng: SmallRng::seed_from_u64(seed),
            folder,
        }
    }

    pub(crate) fn venue(&mut self) -> &mut Venue {
        self.gateway.door_mut()
    }
    pub(crate) fn door(&self) -> &Venue {
        self.gateway.door()
    }
    pub(crate) fn risk(&self) -> &Risk {
        self.risk.risk()
    }
    pub(crate) fn signal(&self) -> &Signal {
        self.signal.signal()
    }
    pub(crate) fn level(&self) -> HaltLevel {
        self.page.view(self.now).level
    }

    /// Overwrites the page's words in its file, as a stray write of somebody would.
    pub(crate) fn damage_page(&self, noise: &[u8]) {
        use std::os::unix::fs::FileExt as _;
        let path = self.folder.path().join("kill.page");
        std::fs::File::options().write(true).open(path).unwrap().write_all_at(noise, 0).unwrap();
    }

    pub(crate) fn command(&mut self, kind: CommandKind) {
        let instrument = interlock::event::command::ALL_INSTRUMENTS;
        let ticket = self.update_id;
        let command = Command { kind, instrument, uid: 1_000, ticket, halt_epoch: 0, strategy: NO_STRATEGY };
        assert!(self.commands.push(command).is_ok());
    }

    fn talk(&mut self) {
        if self.market.absent {
            self.peer = None;
            return;
        }
        if self.peer.as_ref().is_none_or(|peer| peer.is_over) {
            self.peer = MarketPeer::listen(&mut self.links).or(self.peer.take());
        }
        let Some(peer) = &mut self.peer else { return };
        peer.serve();
        if !peer.is_open || peer.is_over || self.now.mono_ns < self.next_quote_ns {
            return;
        }
        self.next_quote_ns = self.now.mono_ns + self.market.every_ns;
        if self.market.silent {
            return peer.ping();
        }
        self.update_id += 1;
        let (id, bid) = (self.update_id, self.market.bid_cents);
        let [bid, ask] = [bid, bid + 1].map(|cents| format!("{}.{:02}", cents / 100, cents % 100));
        peer.say(&format!(
            r#"{{"stream":"btcusdt@depth5@100ms","data":{{"lastUpdateId":{id},"bids":[["{bid}","1.0"]],"asks":[["{ask}","1.0"]]}}}}"#
        ));
        peer.say(&format!(
            r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"{bid}","B":"1.0","a":"{ask}","A":"1.0"}}}}"#
        ));
    }

    fn tell_clock(&mut self) {
        let Some(offset_ns) = self.offset_ns.filter(|_| self.now.mono_ns >= self.next_clock_ns) else {
            return;
        };
        self.next_clock_ns = self.now.mono_ns + NS_PER_S;
        // A full ring means that the last word still waits: it will do.
        let offset = ClockOffset { offset_ns, round_trip_ns: 1_000 };
        let _told = self.answers.push(RestAnswer::ClockOffset(offset)).is_ok();
    }

    fn poll(&mut self, stage: usize) {
        match stage {
            0 => self.feed.poll(self.now),
            1 => self.signal.poll(self.now),
            2 => self.risk.poll(self.now),
            _ => self.gateway.poll(self.now),
        };
    }

    fn drain(&mut self) {
        while let Ok(record) = self.journals[0].pop() {
            if let Record::Fact(fact) = record
                && !matches!(fact.body, Body::Timer | Body::Quote(_) | Body::Depth(_) | Body::ClockOffset(_))
            {
                self.facts.push(fact.body);
            }
        }
        while self.journals[1].pop().is_ok() {}
        while let Ok(record) = self.journals[2].pop() {
            if let Record::Decision(decision) = record {
                self.decisions.push(decision);
            }
        }
        while let Ok(record) = self.journals[3].pop() {
            if let Record::Note(note) = record {
                self.notes.push(note.kind);
            }
        }
    }

    /// So much later; everybody gets his turns.
    pub(crate) fn step(&mut self, ns: i64) {
        self.now.ns += ns;
        self.now.mono_ns += ns;
        self.clock.set_virtual(self.now.mono_ns);
        if self.has_lease {
            self.page.renew_lease(self.now.mono_ns + NS_PER_S);
        }
        self.tell_clock();
        self.talk();
        let rounds = if ns > 5 * NS_PER_MS { 4 } else { 1 };
        for _ in 0..rounds {
            let mut order = [0, 1, 2, 3];
            order.shuffle(&mut self.rng);
            for stage in order {
                self.poll(stage);
            }
        }
        self.drain();
    }

    pub(crate) fn run_ms(&mut self, ms: i64) {
        for _ in 0..ms {
            self.step(NS_PER_MS);
        }
    }
    /// In steps of 20 ms: for waits.
    pub(crate) fn run_s(&mut self, seconds: i64) {
        for _ in 0..seconds * 50 {
            self.step(20 * NS_PER_MS);
        }
    }
    /// In steps of 100 ms: for long waits.
    pub(crate) fn run_min(&mut self, minutes: i64) {
        for _ in 0..minutes * 600 {
            self.step(100 * NS_PER_MS);
        }
    }

    /// Until it is so; fails after so many seconds.
    pub(crate) fn until(&mut self, what: &str, seconds: i64, is: impl Fn(&Self) -> bool) {
        for _ in 0..seconds * 200 {
            if is(self) {
                return;
            }
            self.step(5 * NS_PER_MS);
        }
        panic!("waited {seconds} s in vain for: {what}");
    }

    /// Entries that stand in the venue's book, so many.
    pub(crate) fn enter(&mut self, count: u32) -> Vec<u64> {
        let before: BTreeSet<u64> = self.door().orders.keys().copied().collect();
        self.want(count);
        self.until("entries", 30, |lab| lab.door().orders.len() >= before.len() + count as usize);
        self.run_ms(20);
        self.door().orders.keys().copied().filter(|client| !before.contains(client)).collect()
    }
    pub(crate) fn want(&self, count: u32) {
        self.wants.entries.store(count, Relaxed);
    }

    /// A random time within bounds, in milliseconds.
    pub(crate) fn pause(&mut self, from_ms: i64, to_ms: i64) {
        let ms = self.rng.random_range(from_ms..to_ms);
        self.run_ms(ms);
    }

    pub(crate) fn count(&self, of: &str) -> u64 {
        self.door().count(of)
    }
    pub(crate) fn counter(&self, of: Counter) -> u64 {
        self.counters.get(of)
    }
    pub(crate) fn refused(&self, reason: Reason) -> usize {
        let is = |d: &&Decision| d.verdict == Verdict::Refused && d.reason == reason;
        self.decisions.iter().filter(is).count()
    }
    pub(crate) fn state(&self, client: u64) -> Option<OrderState> {
        self.risk().order(ClientOrderId(client)).map(|(state, _)| state)
    }

    /// Whether it was approved in risk's last poll, and is booked before risk does anything else.
    fn is_next_to_count(&self, client: u64) -> bool {
        self.risk.unbooked() == Some(ClientOrderId(client))
    }

    /// Holds at every moment: nothing left against the page, nothing twice, nothing without approval.
    pub(crate) fn check_always(&self) {
        let door = self.door();
        assert_eq!(door.violations, 0, "no order that adds risk leaves against the page");
        let sent: Vec<u64> = door.places().iter().map(|(order, _)| order.client.0).collect();
        let unique: BTreeSet<u64> = sent.iter().copied().collect();
        assert_eq!(sent.len(), unique.len(), "no order is sent twice");
        let approved: BTreeSet<u64> =
            self.decisions.iter().filter(|d| d.verdict == Verdict::Approved).map(|d| d.client.0).collect();
        assert!(unique.is_subset(&approved), "what left was approved");
        for client in door.open() {
            if client >> ClientOrderId::COUNTER_BITS == u64::from(EPOCH) {
                assert!(self.gateway.orders().get(ClientOrderId(client)).is_some(), "{client:x} is tracked");
                let counts = self.state(client).is_some_and(|state| !state.is_terminal());
                assert!(counts || self.is_next_to_count(client), "{client:x} counts");
            }
        }
    }

    /// A well venue and well links, until all is settled; then everybody agrees with the venue.
    pub(crate) fn settle(&mut self) {
        let fees = self.door().faults.base_fee_per_mille;
        self.venue().faults = crate::venue::Faults { base_fee_per_mille: fees, ..Default::default() };
        self.venue().connect();
        self.market.silent = false;
        self.market.absent = false;
        self.run_s(60);
        self.check_always();
        self.check_agreement();
    }

    pub(crate) fn check_agreement(&self) {
        for (&client, order) in &self.door().orders {
            let gateway = self.gateway.orders().get(ClientOrderId(client)).map(|live| live.state);
            assert!(gateway.is_none_or(|s| s == order.state), "{client:x}: {gateway:?}, {:?}", order.state);
            let risk = self.state(client);
            assert!(risk.is_none_or(|s| s == order.state), "{client:x}: {risk:?}, {:?}", order.state);
        }
        let held = Qty::from_units(self.door().base);
        assert_eq!(self.risk().position(BTC).qty, held, "risk's position is the venue's");
        assert_eq!(self.signal().position(BTC).qty, held, "signal's position is the venue's");
    }
}

/// A price from whole units.
pub(crate) fn units(of: i64) -> Price {
    Price::from_units(of * Price::ONE.units())
}
