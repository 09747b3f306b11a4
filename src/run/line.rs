//! The line put together: four stages, the rings between them, and the far ends of the rings that lead out of it. The engine, the
//! benches and the allocation test all build it here, so that what is measured is what runs.

use std::sync::Arc;

use crate::agent::line_ring::{self, Reader};
use crate::agent::ring::{Consumer, Producer, ring};
use crate::agent::{Agent, Clock};
use crate::event::command::{ALL_INSTRUMENTS, NO_STRATEGY};
use crate::event::{
    Body, ClockOffset, Command, CommandKind, Fact, Item, OrderTrace, Record, Sample, Slot, Stamps,
};
use crate::feed::{Feed, FeedConfig, FeedRings, RestAnswer, RestRequest};
use crate::gateway::{Door, Gateway, GatewayConfig, GatewayRings, Limit};
use crate::journal;
use crate::limits::{
    COMMAND_RING_SLOTS, FOUND_RING_SLOTS, JOURNAL_RING_SLOTS, LATENCY_RING_SLOTS, LINE_RING_SLOTS,
    RETURN_RING_SLOTS,
};
use crate::risk::{self, PageSource, Risk};
use crate::shared::{Counters, HaltLevel, KillPage};
use crate::signal::{self, Signal};
use crate::types::{InstrumentId, Reason};
use crate::wire::link::Connector;

use super::rest_worker::{ANSWER_RING_SLOTS, REQUEST_RING_SLOTS};

/// What all stages share.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The kill page.
    pub page: Arc<KillPage>,
    /// The counters.
    pub counters: Arc<Counters>,
    /// The clock.
    pub clock: Clock,
}

impl Shared {
    /// Trips the page: at risk-off, as a stage does when its journal ring is full; for the emergency stop everything is taken
    /// out of the venue's book.
    fn tripper(&self) -> Box<dyn FnMut(Reason) + Send> {
        let (page, clock) = (Arc::clone(&self.page), self.clock.clone());
        Box::new(move |reason| {
            let emergency = reason == Reason::EmergencyStop;
            let level = if emergency { HaltLevel::CancelAll } else { HaltLevel::RiskOff };
            page.trip(level, reason, clock.now().ns);
        })
    }
}

/// What the line is made of, besides its rings.
#[derive(Debug)]
pub struct Parts<M: Connector, A: Connector, D> {
    /// Feed's figures.
    pub feed: FeedConfig,
    /// The market side.
    pub market: crate::feed::MarketSide<M>,
    /// The account side, where there is an account.
    pub account: Option<crate::feed::AccountSide<A>>,
    /// Signal, with its strategies.
    pub signal: Signal,
    /// Risk.
    pub risk: Risk,
    /// Whether a fill model behind the gateway needs the market's facts.
    pub forward_market: bool,
    /// The gateway's figures.
    pub gateway: GatewayConfig,
    /// What stands behind the gateway.
    pub door: D,
    /// The venue's rate limits.
    pub limits: Vec<Limit>,
}

/// The far ends of the rings that lead out of the line.
#[derive(Debug)]
pub struct Ends {
    /// To the journal's thread.
    pub journal: journal::Rings,
    /// From the control thread.
    pub commands: Producer<Command>,
    /// What is found out apart from the sessions (earlier boots' state, recovered fills); what is pushed before the stages
    /// start is on the line before anything else.
    pub found: Producer<Body>,
    /// To the REST worker.
    pub rest_requests: Consumer<RestRequest>,
    /// From the REST worker.
    pub rest_answers: Producer<RestAnswer>,
    /// Latency samples: feed's, signal's, risk's, the gateway's.
    pub samples: Vec<Consumer<Sample>>,
    /// Each order's way.
    pub traces: Consumer<OrderTrace>,
}

/// The four stages, in order, ready to be polled by whichever host.
pub struct Line {
    /// Feed, signal, risk, gateway.
    pub stages: [Box<dyn Agent>; 4],
    /// The far ends.
    pub ends: Ends,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Line").field("ends", &self.ends).finish_non_exhaustive()
    }
}

/// A fact to prefault rings with.
const FACT: Fact = Fact { seq: 0, recv_ns: 0, body: Body::Timer };
const COMMAND: Command = Command {
    kind: CommandKind::Stop,
    instrument: ALL_INSTRUMENTS,
    uid: 0,
    ticket: 0,
    halt_epoch: 0,
    strategy: NO_STRATEGY,
};

fn journal_ring() -> (Producer<Record>, Consumer<Record>) {
    ring(JOURNAL_RING_SLOTS, Record::Fact(FACT))
}
fn sample_ring() -> (Producer<Sample>, Consumer<Sample>) {
    ring(LATENCY_RING_SLOTS, Sample::default())
}

/// What is made into a line: the edges differ by mode, the stages do not.
pub trait Assemble {
    /// Builds it.
    fn assemble(self, shared: &Shared) -> Line;
}

impl<M, A, D> Assemble for Parts<M, A, D>
where
    M: Connector + 'static,
    A: Connector + 'static,
    D: Door + 'static,
{
    fn assemble(self, shared: &Shared) -> Line {
        build(self, shared)
    }
}

/// The three stages that every mode has, and what they are made of.
pub(super) struct Front<M: Connector, A: Connector> {
    pub(super) feed: FeedConfig,
    pub(super) market: crate::feed::MarketSide<M>,
    pub(super) account: Option<crate::feed::AccountSide<A>>,
    pub(super) signal: Signal,
    pub(super) risk: Risk,
    pub(super) forward_market: bool,
}

/// The rings that whatever stands behind risk is wired to.
pub(super) struct Back {
    pub(super) input: Reader<risk::Output>,
    pub(super) returns: Producer<Body>,
    pub(super) journal: Producer<Record>,
    pub(super) samples: Producer<Sample>,
    pub(super) traces: Producer<OrderTrace>,
}

/// Builds the line.
pub fn build<M, A, D>(parts: Parts<M, A, D>, shared: &Shared) -> Line
where
    M: Connector + 'static,
    A: Connector + 'static,
    D: Door + 'static,
{
    let Parts { feed, market, account, signal, risk, forward_market, gateway, door, limits } = parts;
    let front = Front { feed, market, account, signal, risk, forward_market };
    let ([feed, signal, risk], back, ends) = build_front(front, shared);
    let gateway = Gateway::new(
        gateway,
        door,
        &limits,
        GatewayRings {
            input: back.input,
            returns: back.returns,
            journal: back.journal,
            traces: Some(back.traces),
            samples: Some(back.samples),
        },
        (Arc::clone(&shared.page), Arc::clone(&shared.counters)),
        shared.clock.clone(),
    );
    Line { stages: [feed, signal, risk, Box::new(gateway)], ends }
}

/// Builds feed, signal and risk, and every ring of the line.
#[expect(clippy::too_many_lines, reason = "one list: every ring and who holds which end")]
pub(super) fn build_front<M, A>(parts: Front<M, A>, shared: &Shared) -> ([Box<dyn Agent>; 3], Back, Ends)
where
    M: Connector + 'static,
    A: Connector + 'static,
{
    let slot = Slot { stamps: Stamps::default(), item: FACT };
    let (line_in, line_out) = line_ring::ring(LINE_RING_SLOTS, slot);
    let (item_in, item_out) =
        line_ring::ring(LINE_RING_SLOTS, Slot { stamps: slot.stamps, item: Item::Fact(FACT) });
    let (output_in, output_out) = line_ring::ring(LINE_RING_SLOTS, risk::Output::Fact(FACT));
    let (return_in, return_out) = ring(RETURN_RING_SLOTS, Body::Timer);
    let (found_in, found_out) = ring(FOUND_RING_SLOTS, Body::Timer);
    let (command_in, command_out) = ring(COMMAND_RING_SLOTS, COMMAND);
    let (request_in, request_out) = ring(REQUEST_RING_SLOTS, RestRequest::Snapshot(InstrumentId(0)));
    let no_offset = RestAnswer::ClockOffset(ClockOffset { offset_ns: 0, round_trip_ns: 0 });
    let (answer_in, answer_out) = ring(ANSWER_RING_SLOTS, no_offset);
    let (trace_in, trace_out) = ring(LATENCY_RING_SLOTS, OrderTrace::default());
    let [feed_j, signal_j, risk_j, gateway_j] = [(); 4].map(|()| journal_ring());
    let [feed_s, signal_s, risk_s, gateway_s] = [(); 4].map(|()| sample_ring());
    let common = || (Arc::clone(&shared.page), Arc::clone(&shared.counters));

    let feed = Feed::new(
        parts.feed,
        parts.market,
        parts.account,
        FeedRings {
            line: line_in,
            journal: feed_j.0,
            returns: return_out,
            commands: command_out,
            rest_requests: request_in,
            rest_answers: answer_out,
            found: Some(found_out),
            samples: Some(feed_s.0),
        },
        common(),
        shared.clock.clone(),
    );
    let signal = signal::Stage::new(
        parts.signal,
        signal::Ports {
            input: line_out,
            output: item_in,
            journal: signal_j.0,
            latency: Some(signal_s.0),
            trip: shared.tripper(),
            counters: Arc::clone(&shared.counters),
            clock: shared.clock.clone(),
        },
    );
    let risk = risk::Stage::new(
        parts.risk,
        risk::Ports {
            input: item_out,
            output: output_in,
            journal: risk_j.0,
            latency: Some(risk_s.0),
            kill: PageSource(Arc::clone(&shared.page)),
            trip: shared.tripper(),
            counters: Arc::clone(&shared.counters),
            clock: shared.clock.clone(),
            forward_market: parts.forward_market,
        },
    );
    let back = Back {
        input: output_out,
        returns: return_in,
        journal: gateway_j.0,
        samples: gateway_s.0,
        traces: trace_in,
    };
    let ends = Ends {
        journal: journal::Rings { feed: feed_j.1, signal: signal_j.1, risk: risk_j.1, gateway: gateway_j.1 },
        commands: command_in,
        found: found_in,
        rest_requests: request_out,
        rest_answers: answer_in,
        samples: vec![feed_s.1, signal_s.1, risk_s.1, gateway_s.1],
        traces: trace_out,
    };
    ([Box::new(feed), Box::new(signal), Box::new(risk)], back, ends)
}
