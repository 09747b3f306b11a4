//! All four real stages on rings so small that they are full most of the time, polled in a random order by a seeded scheduler,
//! between a venue that loses and delays and an operator who trips and arms.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};

use interlock::agent::line_ring::{self, Reader, Writer};
use interlock::agent::ring::{Consumer, Producer, ring};
use interlock::agent::{Agent, Clock, cycle};
use interlock::event::{
    Body, Claim, ClockOffset, Command, Fact, Item, OrderSpec, Quote, Record, SentKind, Slot, Stamps, Verdict,
};
use interlock::feed::{Feed, FeedConfig, FeedRings, MarketSide, RestAnswer, RestRequest};
use interlock::gateway::{Gateway, GatewayConfig, GatewayRings};
use interlock::risk::{self, Output, PageSource};
use interlock::shared::{Counters, HaltLevel, KillPage};
use interlock::signal::{self, Running, Signal};
use interlock::strategy::{Context, Strategy};
use interlock::types::time::{NS_PER_MS, NS_PER_S};
use interlock::types::{InstrumentId, Now, OrderState, OrderType, Reason, Side, StrategyId, TimeInForce};
use interlock::venue::binance::market::{DepthStream, MarketConfig, MarketSession};
use interlock::wire::memory::{MemoryConnector, connector};

use super::rig::{START_NS, risk as roomy_risk};
use super::venue::{Faults, Venue};
use crate::binance_support::{price, qty, table};
use crate::peer::Peer;
use crate::support::seed;

/// Orders, cancels and asks for more at every occasion.
struct Restless {
    turn: u64,
}

impl Restless {
    fn act(&mut self, context: &mut Context<'_>) {
        self.turn += 1;
        let working: Vec<_> = context.working().map(|order| order.client).collect();
        if self.turn.is_multiple_of(3)
            && let Some(&target) = working.first()
        {
            context.cancel(target);
        }
        if working.len() < 10 {
            let side = if self.turn.is_multiple_of(2) { Side::Buy } else { Side::Sell };
            let at = 100 + i64::try_from(self.turn % 400).unwrap();
            let at = if side == Side::Buy { 6_000_000 - at } else { 6_000_001 + at };
            let spec = OrderSpec {
                side,
                order_type: OrderType::Limit,
                time_in_force: TimeInForce::Gtc,
                price: price(&format!("{}.{:02}", at / 100, at % 100)),
                qty: qty("0.001"),
            };
            context.enter(spec, Claim::NONE);
        }
    }
}

impl Strategy for Restless {
    fn on_quote(&mut self, context: &mut Context<'_>, _quote: &Quote) {
        self.act(context);
    }
    fn on_timer(&mut self, context: &mut Context<'_>) {
        self.act(context);
    }
}

struct Lab {
    feed: Feed<MemoryConnector>,
    signal: signal::Stage,
    risk: risk::Stage<PageSource>,
    gateway: Gateway<Venue>,
    page: Arc<KillPage>,
    clock: Clock,
    now: Now,
    market: Peer,
    links: rtrb::Producer<interlock::wire::memory::MemoryLink>,
    answers: Producer<RestAnswer>,
    _commands: Producer<Command>,
    journals: [Consumer<Record>; 4],
    records: [Vec<Record>; 4],
    update_id: u64,
    _folder: tempfile::TempDir,
}

const FACT: Fact = Fact { seq: 0, recv_ns: 0, body: Body::Timer };

fn feed(
    links: MemoryConnector,
    rings: FeedRings,
    shared: (Arc<KillPage>, Arc<Counters>),
    clock: Clock,
) -> Feed<MemoryConnector> {
    let table = table(&["BTC-USDT"]);
    let config = FeedConfig { line_reserve: 32, ..FeedConfig::default() };
    // The book comes whole with each message: no REST needed.
    let streams = MarketConfig { depth: DepthStream::Partial(5), ..MarketConfig::default() };
    let session = MarketSession::new(&table, streams);
    let side = MarketSide::new(links, "venue.test".to_owned(), session, &table, &config, 1);
    Feed::new(config, side, None, rings, shared, clock)
}

type Common<'a> = (&'a Arc<KillPage>, &'a Arc<Counters>, &'a Clock);

fn tripper(page: &Arc<KillPage>) -> Box<dyn FnMut(Reason) + Send> {
    let page = Arc::clone(page);
    Box::new(move |reason| {
        page.trip(HaltLevel::RiskOff, reason, 0);
    })
}

fn signal(
    (input, output, journal): (Reader<Slot<Fact>>, Writer<Slot<Item>>, Producer<Record>),
    (page, counters, clock): Common<'_>,
) -> signal::Stage {
    let strategy = Box::new(Restless { turn: 0 });
    let running = Running { id: StrategyId(0), instrument: InstrumentId(0), strategy };
    let ports = signal::Ports {
        input,
        output,
        journal,
        latency: None,
        trip: tripper(page),
        counters: Arc::clone(counters),
        clock: clock.clone(),
    };
    signal::Stage::new(Signal::new(5, &table(&["BTC-USDT"]), vec![running]).unwrap(), ports)
}

fn risk(
    (input, output, journal): (Reader<Slot<Item>>, Writer<Output>, Producer<Record>),
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
    risk::Stage::new(roomy_risk(), ports)
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Now { ns: START_NS, mono_ns: 0 };
        let page = Arc::new(KillPage::create(&folder.path().join("kill.page"), 9, now).unwrap());
        let counters = Arc::new(Counters::default());
        let clock = Clock::virtual_at(START_NS);
        let shared = || (Arc::clone(&page), Arc::clone(&counters));
        let (line_in, line_out) = line_ring::ring(96, Slot { stamps: Stamps::default(), item: FACT });
        let (item_in, item_out) =
            line_ring::ring(64, Slot { stamps: Stamps::default(), item: Item::Fact(FACT) });
        let (output_in, output_out) = line_ring::ring(16, Output::Fact(FACT));
        let (return_in, return_out) = ring(96, Body::Timer);
        let (commands, commands_out) = rtrb::RingBuffer::new(4);
        let (request_in, _requests) = ring(4, RestRequest::Snapshot(InstrumentId(0)));
        let (answers, answers_out) = ring(4, RestAnswer::SnapshotFailed(InstrumentId(0)));
        let journals = [(); 4].map(|()| ring(512, Record::Fact(FACT)));
        let [(feed_j, a), (signal_j, b), (risk_j, c), (gateway_j, d)] = journals;
        let (mut links, market_links) = connector(8);
        let market = Peer::listen(&mut links);

        let rings = FeedRings {
            line: line_in,
            journal: feed_j,
            returns: return_out,
            commands: commands_out,
            rest_requests: request_in,
            rest_answers: answers_out,
            found: None,
            samples: None,
        };
        let feed = feed(market_links, rings, shared(), clock.clone());
        let common = (&page, &counters, &clock);
        let signal = signal((line_out, item_in, signal_j), common);
        let risk = risk((item_out, output_in, risk_j), common);
        let rings = GatewayRings {
            input: output_out,
            returns: return_in,
            journal: gateway_j,
            traces: None,
            samples: None,
        };
        let venue = Venue::new(Arc::clone(&page));
        let gateway = Gateway::new(GatewayConfig::default(), venue, &[], rings, shared(), clock.clone());
        let journals = [a, b, c, d];
        Self {
            feed,
            signal,
            risk,
            gateway,
            page,
            clock,
            now,
            market,
            links,
            answers,
            _commands: commands.into(),
            journals,
            records: [const { Vec::new() }; 4],
            update_id: 1,
            _folder: folder,
        }
    }

    fn pass(&mut self, ns: i64) {
        self.now.ns += ns;
        self.now.mono_ns += ns;
        self.clock.set_virtual(self.now.mono_ns);
    }

    fn poll(&mut self, stage: usize) {
        match stage {
            0 => self.feed.poll(self.now),
            1 => self.signal.poll(self.now),
            2 => self.risk.poll(self.now),
            _ => self.gateway.poll(self.now),
        };
    }

    fn drain(&mut self, stage: usize) {
        while let Ok(record) = self.journals[stage].pop() {
            self.records[stage].push(record);
        }
    }

    fn market_talks(&mut self) {
        self.market.serve();
        if self.market.is_over {
            self.market = Peer::listen(&mut self.links);
            return;
        }
        if !self.market.is_open {
            return;
        }
        self.update_id += 1;
        let id = self.update_id;
        self.market.say(&format!(
            r#"{{"stream":"btcusdt@depth5@100ms","data":{{"lastUpdateId":{id},"bids":[["60000.00","1.0"]],"asks":[["60000.01","1.0"]]}}}}"#
        ));
        self.market.say(&format!(
            r#"{{"stream":"btcusdt@bookTicker","data":{{"u":{id},"s":"BTCUSDT","b":"60000.00","B":"1.0","a":"60000.01","A":"1.0"}}}}"#
        ));
    }

    fn tell_clock(&mut self) {
        // A full ring means that the last word still waits: it will do.
        let _told = self
            .answers
            .push(RestAnswer::ClockOffset(ClockOffset { offset_ns: 0, round_trip_ns: 1_000 }))
            .is_ok();
    }

    fn random_step(&mut self, rng: &mut SmallRng) {
        match rng.random_range(0..100) {
            0..60 => self.poll(rng.random_range(0..4)),
            60..75 => self.market_talks(),
            75..84 => {
                let stage = rng.random_range(0..4);
                self.drain(stage);
            }
            84..92 => self.pass(rng.random_range(0..20) * NS_PER_MS),
            92 => {
                self.gateway.door_mut().faults = Faults {
                    loses_acks: rng.random_bool(0.2),
                    loses_orders: rng.random_bool(0.1),
                    loses_cancels: rng.random_bool(0.2),
                    deaf_to_queries: rng.random_bool(0.1),
                    arrival_delay_ns: rng.random_range(0..500) * NS_PER_MS,
                    breaks_in_write: rng.random_bool(0.05),
                    trips_in_encode: rng.random_bool(0.05),
                    ..Faults::default()
                };
            }
            93 => self.gateway.door_mut().connect(),
            94 => {
                let open: Vec<u64> = self
                    .gateway
                    .door()
                    .orders
                    .iter()
                    .filter(|(_, o)| o.state.may_be_open())
                    .map(|(&c, _)| c)
                    .collect();
                if !open.is_empty() {
                    let client = open[rng.random_range(0..open.len())];
                    self.gateway.door_mut().end(client, OrderState::Filled);
                }
            }
            95 if rng.random_bool(0.3) => {
                let level = if rng.random_bool(0.5) { HaltLevel::RiskOff } else { HaltLevel::CancelAll };
                self.page.trip(level, Reason::Operator, self.now.ns);
            }
            96..98 => {
                let epoch = self.page.view(self.now).epoch;
                self.page.arm(epoch);
                self.page.renew_lease(self.now.mono_ns + NS_PER_S);
            }
            98 => self.page.renew_lease(self.now.mono_ns + 20 * NS_PER_MS),
            _ => self.tell_clock(),
        }
    }

    /// A well engine and a well venue for a while.
    fn calm(&mut self, seconds: i64) {
        self.gateway.door_mut().faults = Faults::default();
        self.gateway.door_mut().connect();
        for n in 0..seconds * 100 {
            self.pass(10 * NS_PER_MS);
            if n % 10 == 0 {
                self.market_talks();
            }
            for stage in 0..4 {
                self.poll(stage);
                self.drain(stage);
            }
        }
    }

    fn check(&self, round: u32) {
        assert_eq!(
            self.gateway.door().violations.load(Ordering::Relaxed),
            0,
            "round {round}: no send after a trip"
        );
        let places = |record: &Record| match record {
            Record::Sent(s) if s.kind == SentKind::Place => Some(s.client),
            _ => None,
        };
        let sent: Vec<_> = self.records[3].iter().filter_map(places).collect();
        let unique: BTreeSet<_> = sent.iter().copied().collect();
        assert_eq!(sent.len(), unique.len(), "round {round}: no order is sent twice");
        assert_eq!(sent.len(), self.gateway.door().places(), "round {round}: what left has its record");
        let approved: BTreeSet<_> = self.records[2]
            .iter()
            .filter_map(|record| match record {
                Record::Decision(d) if d.verdict == Verdict::Approved => Some(d.client),
                _ => None,
            })
            .collect();
        assert!(unique.is_subset(&approved), "round {round}: what left was approved");
        let numbers: Vec<u64> = self.records[0]
            .iter()
            .filter_map(|record| match record {
                Record::Fact(fact) => Some(fact.seq),
                _ => None,
            })
            .collect();
        assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "round {round}: facts have no gap");
        // Everyone has come to agree with the venue on every order.
        for (&client, order) in &self.gateway.door().orders {
            let client = interlock::types::ClientOrderId(client);
            let gateway = self.gateway.orders().get(client).map(|live| live.state);
            let risk = self.risk.risk().order(client).map(|(state, _)| state);
            assert!(gateway.is_none_or(|state| state == order.state), "round {round}: {client}: {gateway:?}");
            assert!(
                risk.is_none_or(|state| state == order.state),
                "round {round}: {client}: {risk:?}, {:?}",
                order.state
            );
        }
        assert_eq!(self.risk.risk().open_orders(), 0, "round {round}: nothing is left open in risk's book");
    }
}

/// Whatever the order in which the stages run and however full their rings are: nothing deadlocks, no order leaves after a
/// trip could be seen, none twice, none without its record and approval; and once all is well, everyone agrees.
#[test]
fn k1_the_whole_line_on_tiny_rings_in_any_order() {
    let mut rng = SmallRng::seed_from_u64(seed(20_261_121));
    let mut written = 0;
    for round in 0..20 {
        let mut lab = Lab::new();
        lab.tell_clock();
        lab.page.renew_lease(3_600 * NS_PER_S);
        lab.calm(1);
        let epoch = lab.page.view(lab.now).epoch;
        assert!(lab.page.arm(epoch), "round {round}");
        for _ in 0..6_000 {
            lab.random_step(&mut rng);
        }
        lab.calm(1);
        let epoch = lab.page.trip(HaltLevel::Stopped, Reason::Drill, lab.now.ns);
        lab.calm(30);
        assert_eq!(lab.page.silent().0, epoch, "round {round}: the halt came to its end");
        assert_eq!(lab.gateway.door().open_count(), 0, "round {round}");
        lab.calm(50);
        lab.check(round);
        written += lab.gateway.door().places();
    }
    assert!(written > 300, "the test saw orders: {written}");
}

/// Takes so long that a lease runs out meanwhile: the host took the core away.
struct Away {
    clock: Clock,
    until_ns: i64,
}

impl Agent for Away {
    fn name(&self) -> &'static str {
        "away"
    }
    fn poll(&mut self, _now: Now) -> usize {
        self.clock.set_virtual(self.until_ns);
        0
    }
}

/// R-HOT-4: orders of one cycle in which the core was away for so long between risk and gateway, of a lease that runs 20 ms.
fn written_after(away_ns: i64) -> usize {
    let mut lab = Lab::new();
    lab.tell_clock();
    lab.page.renew_lease(3_600 * NS_PER_S);
    lab.calm(1);
    let epoch = lab.page.view(lab.now).epoch;
    assert!(lab.page.arm(epoch));
    lab.page.renew_lease(lab.now.mono_ns + 20 * NS_PER_MS);
    lab.market_talks();
    let Lab { feed, signal, risk, gateway, clock, now, mut journals, .. } = lab;
    let fresh = [feed.needs_fresh_time(), signal.needs_fresh_time(), risk.needs_fresh_time()];
    assert_eq!(fresh, [true, false, false], "who obeys no deadline spares the read");
    assert!(gateway.needs_fresh_time(), "it obeys the lease");
    let away = Away { clock: clock.clone(), until_ns: now.mono_ns + away_ns };
    let mut agents: Vec<Box<dyn Agent>> =
        vec![Box::new(feed), Box::new(signal), Box::new(risk), Box::new(away), Box::new(gateway)];
    cycle(&mut agents, &clock);
    let mut approved = 0;
    while let Ok(record) = journals[2].pop() {
        approved += usize::from(matches!(record, Record::Decision(d) if d.verdict == Verdict::Approved));
    }
    assert!(approved > 0, "the lease ran when risk looked");
    let mut written = 0;
    while let Ok(record) = journals[3].pop() {
        written += usize::from(matches!(record, Record::Sent(sent) if sent.kind == SentKind::Place));
    }
    written
}

#[test]
fn r_hot_4_a_lease_that_ends_within_a_cycle_is_seen_before_the_write() {
    assert!(written_after(19 * NS_PER_MS) > 0, "within the lease");
    assert_eq!(written_after(21 * NS_PER_MS), 0, "the gateway judges by the time at its own turn");
}
