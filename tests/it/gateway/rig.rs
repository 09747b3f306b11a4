//! A gateway with everything around it on one thread, in virtual time: the page, the rings, a real risk stage's approvals
//! and a scripted venue behind the door.

use std::sync::Arc;

use crate::market::limits;
use interlock::agent::line_ring::{self, Writer};
use interlock::agent::ring::{Consumer, ring};
use interlock::agent::{Agent, Clock};
use interlock::event::fact::LinkId;
use interlock::event::{
    Action, BalanceUpdate, Body, BookStatus, Claim, ClockOffset, Depth, Fact, Intent, LinkStatus, NoteKind,
    Order, OrderSpec, OrderTrace, Quote, Record, Reply, ReplyKind, Stamps,
};
use interlock::gateway::{Gateway, GatewayConfig, GatewayRings, Limit};
use interlock::risk::{Approved, Output, Risk, RiskConfig};
use interlock::shared::{Counters, HaltLevel, HaltView, KillPage};
use interlock::types::time::{NS_PER_MS, NS_PER_S};
use interlock::types::{
    Cash, ClientOrderId, InstrumentId, Level, Now, OrderType, Price, Qty, Reason, Side, StrategyId,
    TimeInForce,
};

use super::venue::Venue;
use crate::binance_support::{price, qty, table};

pub(crate) const START_NS: i64 = 1_723_161_253_000_000_000;
const BTC: InstrumentId = InstrumentId(0);

pub(crate) struct Rig {
    pub(crate) gateway: Gateway<Venue>,
    pub(crate) page: Arc<KillPage>,
    pub(crate) counters: Arc<Counters>,
    input: Writer<Output>,
    pub(crate) returns: Consumer<Body>,
    pub(crate) journal: Consumer<Record>,
    pub(crate) traces: Consumer<OrderTrace>,
    risk: Risk,
    pub(crate) now: Now,
    clock: Clock,
    next: u64,
    /// All that came out of the return ring.
    pub(crate) told: Vec<Body>,
    /// All that came out of the journal ring.
    pub(crate) records: Vec<Record>,
    pub(crate) drains: bool,
    _folder: tempfile::TempDir,
}

pub(crate) struct Sizes {
    pub(crate) returns: usize,
    pub(crate) journal: usize,
}

impl Rig {
    pub(crate) fn new(limits: &[Limit]) -> Self {
        Self::with(
            GatewayConfig { read_every: 1, ..GatewayConfig::default() },
            limits,
            &Sizes { returns: 1_024, journal: 4_096 },
        )
    }

    pub(crate) fn with(config: GatewayConfig, limits: &[Limit], sizes: &Sizes) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let now = Now { ns: START_NS, mono_ns: 0 };
        let page = Arc::new(KillPage::create(&folder.path().join("kill.page"), 7, now).unwrap());
        let counters = Arc::new(Counters::default());
        let clock = Clock::virtual_at(START_NS);
        let fact = Fact { seq: 0, recv_ns: 0, body: Body::Timer };
        let (input, gateway_input) = line_ring::ring(1_024, Output::Fact(fact));
        let (gateway_returns, returns) = ring(sizes.returns, Body::Timer);
        let (gateway_journal, journal) = ring(sizes.journal, Record::Fact(fact));
        let (gateway_traces, traces) = ring(1_024, OrderTrace::default());
        let rings = GatewayRings {
            input: gateway_input,
            returns: gateway_returns,
            journal: gateway_journal,
            traces: Some(gateway_traces),
            samples: None,
        };
        let venue = Venue::new(Arc::clone(&page));
        let shared = (Arc::clone(&page), Arc::clone(&counters));
        let gateway = Gateway::new(config, venue, limits, rings, shared, clock.clone());
        let rig = Self {
            gateway,
            page,
            counters,
            input,
            returns,
            journal,
            traces,
            risk: risk(),
            now,
            clock,
            next: 1,
            told: Vec::new(),
            records: Vec::new(),
            drains: true,
            _folder: folder,
        };
        rig.renew_lease();
        rig
    }

    /// A rig whose session is up and whose page is armed.
    pub(crate) fn armed(limits: &[Limit]) -> Self {
        let mut rig = Self::new(limits);
        rig.arm();
        rig
    }

    pub(crate) fn arm(&mut self) {
        self.run_ms(10);
        assert!(self.gateway.is_session_up(), "the session starts");
        let epoch = self.page.view(self.now).epoch;
        assert!(self.page.arm(epoch), "nothing tripped meanwhile");
        self.run_ms(2);
    }

    pub(crate) fn renew_lease(&self) {
        self.page.renew_lease(self.now.mono_ns + 3_600 * NS_PER_S);
    }

    pub(crate) fn venue(&mut self) -> &mut Venue {
        self.gateway.door_mut()
    }

    /// One poll, `step_ns` later.
    pub(crate) fn step(&mut self, step_ns: i64) {
        self.now.ns += step_ns;
        self.now.mono_ns += step_ns;
        self.clock.set_virtual(self.now.mono_ns);
        self.gateway.poll(self.now);
        if self.drains {
            self.drain();
        }
    }

    pub(crate) fn drain(&mut self) {
        while let Ok(body) = self.returns.pop() {
            self.told.push(body);
        }
        while let Ok(record) = self.journal.pop() {
            self.records.push(record);
        }
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

    pub(crate) fn next_id(&mut self) -> ClientOrderId {
        let client = ClientOrderId::new(3, self.next);
        self.next += 1;
        client
    }

    fn intent(
        &mut self,
        client: ClientOrderId,
        action: Action,
        strategy: StrategyId,
        reduce_only: bool,
    ) -> Intent {
        let cause_ns = self.now.ns;
        Intent {
            client,
            cause_seq: 1,
            cause_ns,
            strategy,
            owner: strategy,
            instrument: BTC,
            reduce_only,
            action,
            claim: Claim::NONE,
        }
    }

    /// Risk's approval, given while the page was armed: what happens to the page until the write is the test's matter.
    pub(crate) fn approve(&mut self, intent: &Intent) -> Approved<Order> {
        let armed = HaltView { level: HaltLevel::None, epoch: 0, lease_valid: true };
        let mut risk = self.risk.clone();
        for fact in facts(self.now.ns) {
            risk.on_fact(&fact);
        }
        risk.decide(intent, armed, &mut |_| true).unwrap()
    }

    fn spec() -> OrderSpec {
        OrderSpec {
            side: Side::Buy,
            order_type: OrderType::Limit,
            time_in_force: TimeInForce::Gtc,
            price: price("60000"),
            qty: qty("0.001"),
        }
    }

    /// Hands an approved order to the gateway.
    pub(crate) fn order(&mut self) -> ClientOrderId {
        let client = self.next_id();
        self.order_as(client);
        client
    }

    pub(crate) fn order_as(&mut self, client: ClientOrderId) {
        let spec = Self::spec();
        let intent = self.intent(client, Action::Place(spec), StrategyId(0), false);
        self.push_approved(&intent);
    }

    pub(crate) fn cancel(&mut self, target: ClientOrderId) {
        let client = self.next_id();
        let intent = self.intent(client, Action::Cancel { target }, StrategyId(0), false);
        self.push_approved(&intent);
    }

    fn push_approved(&mut self, intent: &Intent) {
        let order = self.approve(intent);
        let stamps = Stamps { read: self.clock.ticks(), decoded: 1, signal: 2 };
        assert!(self.input.push(Output::Approved { order, stamps, risk_ticks: 3 }).is_ok());
    }

    /// A fact that comes along the line.
    pub(crate) fn fact(&mut self, body: Body) {
        let fact = Fact { seq: 1, recv_ns: self.now.ns, body };
        assert!(self.input.push(Output::Fact(fact)).is_ok());
    }

    pub(crate) fn replies(&self, client: ClientOrderId) -> Vec<(ReplyKind, Reason)> {
        let of = |body: &Body| match body {
            Body::Reply(r) if r.client == client => Some((r.kind, r.reason)),
            _ => None,
        };
        self.told.iter().filter_map(of).collect()
    }

    pub(crate) fn is_told(&self, is: impl Fn(&Reply) -> bool) -> bool {
        self.told.iter().any(|body| matches!(body, Body::Reply(r) if is(r)))
    }

    pub(crate) fn notes(&self, kind: NoteKind) -> usize {
        self.records.iter().filter(|r| matches!(r, Record::Note(n) if n.kind == kind)).count()
    }

    pub(crate) fn trip(&self) -> u64 {
        self.page.trip(HaltLevel::CancelAll, Reason::Operator, self.now.ns)
    }

    pub(crate) fn is_silent(&self, epoch: u64) -> bool {
        self.page.silent().0 == epoch
    }
}

/// A risk stage whose limits are not in the way.
pub(super) fn risk() -> Risk {
    let table = table(&["BTC-USDT"]);
    let config = RiskConfig {
        order_value_max: Cash::from_units(1_000_000 * Cash::ONE.units()),
        exposure_max: Cash::from_units(100_000_000 * Cash::ONE.units()),
        open_orders_max: 256,
        ..limits()
    };
    Risk::new(&config, &table, &[BTC]).unwrap()
}

/// What risk must have heard before it approves anything.
fn facts(now_ns: i64) -> Vec<Fact> {
    let level = |text| Level::new(price(text), qty("1"));
    let mut levels = [Level::new(Price::ZERO, Qty::ZERO); 4];
    levels[0] = level("60000");
    levels[1] = level("60000.01");
    let depth = Depth {
        instrument: BTC,
        count: 2,
        asks: 0b10,
        first: true,
        last: true,
        snapshot: true,
        update_id: 1,
        venue_ns: now_ns,
        levels,
    };
    let balance = |asset: u16| {
        let free = qty("1000000");
        Body::Balance(BalanceUpdate {
            asset: interlock::types::AssetId(asset),
            free,
            locked: Qty::ZERO,
            venue_ns: now_ns,
        })
    };
    let link = |link| Body::Link(LinkStatus { link, up: true, reason: Reason::None, attempts: 0 });
    let quote = Quote {
        instrument: BTC,
        conflated: false,
        update_id: 1,
        bid: level("60000"),
        ask: level("60000.01"),
    };
    let bodies = [
        link(LinkId::Market),
        link(LinkId::Account),
        link(LinkId::Orders),
        Body::ClockOffset(ClockOffset { offset_ns: 0, round_trip_ns: 1_000 }),
        balance(0),
        balance(1),
        Body::BookStatus(BookStatus { instrument: BTC, valid: true, reason: Reason::None }),
        Body::Depth(depth),
        Body::Quote(quote),
    ];
    bodies
        .into_iter()
        .enumerate()
        .map(|(at, body)| Fact { seq: at as u64 + 1, recv_ns: now_ns, body })
        .collect()
}
