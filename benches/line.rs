//! The line as a whole, and what only shows between two cores: the hop through a ring against bare atomics, frame bytes to
//! order bytes through all four stages on one thread and on two, and how many messages a second feed turns into facts.
//!
//! Times are percentiles over single operations (blocks where an operation is shorter than the counter's step), medians over
//! interleaved rounds. `ROUNDS` is their number.

#[path = "support/figures.rs"]
mod figures;
#[path = "support/memory.rs"]
mod memory;
#[path = "support/messages.rs"]
mod messages;
#[path = "support/stand.rs"]
mod stand;
#[path = "support/venue.rs"]
mod venue;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use figures::Table;
use interlock::agent::idle::{IdleStrategy, Idler};
use interlock::agent::line_ring::{self, Reader, Writer};
use interlock::agent::ring::{Consumer, Producer, ring};
use interlock::agent::{Agent, Clock, StopFlag, cpu};
use interlock::event::command::{ALL_INSTRUMENTS, NO_STRATEGY};
use interlock::event::{Body, Command, CommandKind, Fact, OrderTrace, Record, Sample, Slot, Stamps};
use interlock::feed::{Feed, FeedRings, RestAnswer, RestRequest};
use interlock::limits::{COMMAND_RING_SLOTS, JOURNAL_RING_SLOTS, LINE_RING_SLOTS, RETURN_RING_SLOTS};
use interlock::shared::Counter;
use interlock::types::InstrumentId;
use interlock::wire::memory::MemoryConnector;
use memory::{Bench, Peer, Venue};
use messages::Random;

/// Hops of one round, in blocks.
const HOP_BLOCKS: usize = 1_000;
const HOP_BLOCK: u64 = 64;
/// Ticks of one round of the whole path.
const TICKS: usize = 10_000;
const WARM_UP: usize = TICKS / 10;
/// Between two ticks, in ticks of the counter at 2.6 GHz about 8 us: the line is idle when the next one comes, as in a
/// market that does not run at the engine's limit.
const PACE_TICKS: u64 = 20_000;
/// Looks for an order's stamps before a tick is given up: some milliseconds, for a host that takes a core away.
const WAIT_TURNS: usize = 2_000_000;
/// Messages of one round of the feed.
const MESSAGES: u64 = 2_000_000;
/// Messages on their way at once, at most: less than the line may hold.
const OUTSTANDING_MAX: u64 = 4_096;

fn main() {
    // `cargo bench` also passes `--bench` and filters; a filter picks sections by name.
    let filters: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |section: &str| filters.is_empty() || filters.iter().any(|f| section.contains(f.as_str()));
    let rounds = std::env::vars_os()
        .find(|(key, _)| key == "ROUNDS")
        .and_then(|(_, value)| value.to_str()?.parse().ok())
        .unwrap_or(7);
    let cores = cpu::Granted::read().expect("the affinity mask").cores;
    let clock = Clock::system();
    let [first, second, ..] = cores[..] else {
        say("two cores are needed: a venue or a consumer must not share the measured one");
        return;
    };
    let host = Host { clock, first, second, rounds };
    if wanted("hop") {
        hops(&host);
    }
    if wanted("path") {
        paths(&host);
    }
    if wanted("feed") {
        feed(&host);
    }
}

/// Where and how often.
struct Host {
    clock: Clock,
    first: usize,
    second: usize,
    rounds: usize,
}

#[expect(clippy::print_stdout, reason = "what the bench is run for")]
fn say(text: &str) {
    println!("{text}");
}

// ---- the hop -------------------------------------------------------------------------------------------------------

/// One way between two threads: a message whose first word is the sender's reading of the counter.
trait Way: Send {
    fn send(&mut self, stamp: u64);
    fn receive(&mut self) -> u64;
}

/// The floor: one padded word, no payload but itself.
struct Word {
    cell: Arc<Padded>,
    seen: u64,
}

#[derive(Default)]
#[repr(align(128))]
struct Padded(AtomicU64);

impl Way for Word {
    #[inline]
    fn send(&mut self, stamp: u64) {
        self.cell.0.store(stamp, Ordering::Release); // pairs with the load in `receive`
    }
    #[inline]
    fn receive(&mut self) -> u64 {
        // Ends: each message has another stamp than the one before.
        loop {
            let stamp = self.cell.0.load(Ordering::Acquire); // pairs with the store in `send`
            if stamp != self.seen {
                self.seen = stamp;
                return stamp;
            }
        }
    }
}

/// The ring between stages; `T` carries the stamp.
struct Line<T> {
    writer: Option<Writer<T>>,
    reader: Option<Reader<T>>,
    make: fn(u64) -> T,
    stamp: fn(&T) -> u64,
}

impl<T: Copy + Send> Way for Line<T> {
    #[inline]
    fn send(&mut self, stamp: u64) {
        let pushed = self.writer.as_mut().is_some_and(|w| w.push(black_box((self.make)(stamp))).is_ok());
        assert!(pushed, "the other side empties the ring");
    }
    #[inline]
    fn receive(&mut self) -> u64 {
        let Some(reader) = &mut self.reader else { return 0 };
        // Ends: the other side sends as many as are received.
        loop {
            if let Some(stamp) = reader.take(|message| (self.stamp)(black_box(message))) {
                return stamp;
            }
        }
    }
}

fn lines<T: Copy + Send>(make: fn(u64) -> T, stamp: fn(&T) -> u64) -> (Line<T>, Line<T>) {
    let (writer, reader) = line_ring::ring(1_024, make(0));
    let end = |writer, reader| Line { writer, reader, make, stamp };
    (end(Some(writer), None), end(None, Some(reader)))
}

/// The ring to everyone else.
struct Ring<T> {
    producer: Option<Producer<T>>,
    consumer: Option<Consumer<T>>,
    make: fn(u64) -> T,
    stamp: fn(&T) -> u64,
}

impl<T: Copy + Send> Way for Ring<T> {
    #[inline]
    fn send(&mut self, stamp: u64) {
        let pushed = self.producer.as_mut().is_some_and(|p| p.push(black_box((self.make)(stamp))).is_ok());
        assert!(pushed, "the other side empties the ring");
    }
    #[inline]
    fn receive(&mut self) -> u64 {
        let Some(consumer) = &mut self.consumer else { return 0 };
        // Ends: the other side sends as many as are received.
        loop {
            if let Ok(message) = consumer.pop() {
                return (self.stamp)(&black_box(message));
            }
        }
    }
}

fn words() -> (Word, Word) {
    let cell = Arc::new(Padded::default());
    (Word { cell: Arc::clone(&cell), seen: 0 }, Word { cell, seen: 0 })
}

fn rings<T: Copy>(make: fn(u64) -> T, stamp: fn(&T) -> u64) -> (Ring<T>, Ring<T>) {
    let (producer, consumer) = ring(1_024, make(0));
    let end = |producer, consumer| Ring { producer, consumer, make, stamp };
    (end(Some(producer), None), end(None, Some(consumer)))
}

fn plain(stamp: u64) -> [u64; 8] {
    [stamp, 1, 2, 3, 4, 5, 6, 7]
}
fn fact_slot(stamp: u64) -> Slot<Fact> {
    let item = Fact { seq: 1, recv_ns: 2, body: Body::Timer };
    Slot { stamps: Stamps { read: stamp, ..Stamps::default() }, item }
}

fn hops(host: &Host) {
    let mut table = Table::new("hop between two cores, one way", &host.clock);
    let mut trips = Table::new("the same, there and back", &host.clock);
    for _ in 0..host.rounds {
        let mut run = |name: &str, (one_way, round_trip): (Vec<u64>, Vec<u64>)| {
            table.add(name, one_way, HOP_BLOCK);
            trips.add(name, round_trip, HOP_BLOCK);
        };
        run("bare atomics: one padded word", ping_pong(host, words(), words()));
        let ends = || lines(plain, |message| message[0]);
        run("ring between stages, 64-byte message", ping_pong(host, ends(), ends()));
        let ends = || lines(fact_slot, |slot| slot.stamps.read);
        run("ring between stages, a fact of the line (128 bytes)", ping_pong(host, ends(), ends()));
        let ends = || rings(plain, |message| message[0]);
        run("ring (rtrb), 64-byte message", ping_pong(host, ends(), ends()));
        let ends = || rings(fact_slot, |slot| slot.stamps.read);
        run("ring (rtrb), a fact of the line (128 bytes)", ping_pong(host, ends(), ends()));
    }
    table.print();
    trips.print();
}

/// Sums over blocks of the way there (by the stamp that the receiver takes, sent back to the sender) and of the round trips.
fn ping_pong<W: Way + 'static>(host: &Host, there: (W, W), back: (W, W)) -> (Vec<u64>, Vec<u64>) {
    let ((mut to, mut from), (mut answer, mut answered)) = (there, back);
    let (clock, second) = (host.clock.clone(), host.second);
    let warm_up = HOP_BLOCKS / 10;
    let total = (HOP_BLOCKS + warm_up) as u64 * HOP_BLOCK;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            cpu::pin_current_thread(second).expect("the second core");
            for _ in 0..total {
                from.receive();
                answer.send(clock.ticks());
            }
        });
        cpu::pin_current_thread(host.first).expect("the first core");
        let (mut one_way, mut round_trip) = (Vec::new(), Vec::new());
        for _ in 0..HOP_BLOCKS + warm_up {
            let (mut ways, start) = (0, host.clock.ticks());
            for _ in 0..HOP_BLOCK {
                let sent = host.clock.ticks();
                to.send(sent);
                ways += answered.receive().saturating_sub(sent);
            }
            one_way.push(ways);
            round_trip.push(host.clock.ticks() - start);
        }
        (one_way.split_off(warm_up), round_trip.split_off(warm_up))
    })
}

// ---- the whole path ------------------------------------------------------------------------------------------------

/// The parts of the way, from the engine's own stamps.
const PARTS: [&str; 6] = [
    "  read to fact on the line",
    "  to the intent",
    "  to the verdict (all checks)",
    "  to the request encoded and signed",
    "  to the bytes handed over",
    "  read to handed over",
];

fn paths(host: &Host) {
    let mut table = Table::new("whole path in memory, frame bytes to order bytes", &host.clock);
    let mut parts = Table::new("one thread, by part", &host.clock);
    let mut ticks = Ticks::new();
    let mut one = Bench::open();
    let mut two = Bench::open();
    for _ in 0..host.rounds {
        let (whole, traces) = one_thread(host, &mut one, &mut ticks);
        table.add("one thread, all stages", whole, 1);
        for (name, pick) in PARTS.into_iter().zip(PICKS) {
            parts.add(name, traces.iter().map(pick).collect(), 1);
        }
        let whole = two_threads(host, &mut two, &mut ticks);
        table.add("two threads: feed and signal, risk and gateway", whole, 1);
    }
    table.print();
    parts.print();
}

type Pick = fn(&OrderTrace) -> u64;
const PICKS: [Pick; 6] = [
    |t| t.decoded - t.read,
    |t| t.signal - t.decoded,
    |t| t.risk - t.signal,
    |t| t.encoded - t.risk,
    |t| t.written - t.encoded,
    |t| t.written - t.read,
];

/// Distinct ticks, walked in order.
struct Ticks {
    frames: Vec<Vec<u8>>,
    at: usize,
}

impl Ticks {
    fn new() -> Self {
        let mut random = Random(17);
        let frame = |i: u64| venue::server_frame(&messages::book_ticker(&mut random, 40_000_000_000 + i));
        Self { frames: (0..4_096).map(frame).collect(), at: 0 }
    }
    fn next(&mut self) -> &[u8] {
        self.at = (self.at + 1) % self.frames.len();
        &self.frames[self.at]
    }
}

/// The four stages on the second core; the journal's rings are emptied by the first, as the journal's thread would.
fn one_thread(host: &Host, bench: &mut Bench, ticks: &mut Ticks) -> (Vec<u64>, Vec<OrderTrace>) {
    let Bench { line, shared, venue } = bench;
    let interlock::run::line::Line { stages, ends } = line;
    let (journal, clock) = (&mut ends.journal, &host.clock);
    let (mut whole, mut traces) = (Vec::with_capacity(TICKS), Vec::with_capacity(TICKS));
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            cpu::pin_current_thread(host.first).expect("the first core");
            // As the journal's thread waits in the engine: one that spun on the rings would take their lines from the stages.
            let mut idler = Idler::new(IdleStrategy::Follow);
            while !is_over.load(Ordering::Acquire) {
                idler.idle(stand::drain_journal(journal));
            }
        });
        cpu::pin_current_thread(host.second).expect("the second core");
        for tick in 0..TICKS + WARM_UP {
            idle(host, || stand::cycle(stages, clock));
            venue.market.send(ticks.next());
            let start = clock.ticks();
            stand::cycle(stages, clock);
            let is_measured = venue.answer() == 1 && tick >= WARM_UP;
            // From the frame's bytes there to the order's bytes handed over, as on two threads.
            while let Ok(trace) = ends.traces.pop() {
                if is_measured && trace.read >= start {
                    whole.push(trace.written - start);
                    traces.push(trace);
                }
            }
            between(venue, tick);
            stand::drain_samples(&mut ends.samples);
        }
        is_over.store(true, Ordering::Release); // pairs with the load above
    });
    assert!(whole.len() * 100 > TICKS * 98, "{} orders: {}", whole.len(), stand::complaint(shared));
    (whole, traces)
}

/// Feed and signal with the venue on the first core, risk and gateway on the second.
fn two_threads(host: &Host, bench: &mut Bench, ticks: &mut Ticks) -> Vec<u64> {
    let Bench { line, shared, venue } = bench;
    let interlock::run::line::Line { stages, ends } = line;
    let (front, behind) = stages.split_at_mut(2);
    let clock = &host.clock;
    let mut whole = Vec::with_capacity(TICKS);
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            cpu::pin_current_thread(host.second).expect("the second core");
            while !is_over.load(Ordering::Acquire) {
                stand::cycle(behind, clock);
            }
        });
        cpu::pin_current_thread(host.first).expect("the first core");
        for tick in 0..TICKS + WARM_UP {
            idle(host, || stand::cycle(front, clock));
            while ends.traces.pop().is_ok() {}
            venue.market.send(ticks.next());
            let start = clock.ticks();
            stand::cycle(front, clock);
            // The order's stamps come out behind its bytes: the far side's own reading of the same counter. An order of an
            // earlier tick, held up by the host, is not this one's.
            let mine = |trace: &OrderTrace| trace.read >= start;
            let trace = (0..WAIT_TURNS).find_map(|_| ends.traces.pop().ok().filter(mine));
            venue.answer();
            if let Some(trace) = trace.filter(|_| tick >= WARM_UP) {
                whole.push(trace.written - start);
            }
            between(venue, tick);
            stand::drain_samples(&mut ends.samples);
            stand::drain_journal(&mut ends.journal);
        }
        is_over.store(true, Ordering::Release); // pairs with the load above
    });
    assert!(whole.len() * 2 > TICKS, "{} orders: {}", whole.len(), stand::complaint(shared));
    whole
}

/// The line runs empty until the next tick is due.
fn idle(host: &Host, mut cycle: impl FnMut()) {
    let due = host.clock.ticks() + PACE_TICKS;
    while host.clock.ticks() < due {
        cycle();
    }
}

/// Between two ticks, now and then: the book changes.
fn between(venue: &mut Venue, tick: usize) {
    if tick.is_multiple_of(16) {
        venue.depth();
    }
}

// ---- the feed ------------------------------------------------------------------------------------------------------

/// Feed alone, as fast as it can: frames in on one side, facts and journal records taken out by the other core.
fn feed(host: &Host) {
    let mut rates = Vec::new();
    let mut left_out = 0;
    for _ in 0..host.rounds {
        let (rate, lost) = feed_round(host);
        rates.push(rate);
        left_out += lost;
    }
    say("\nfeed on one core, bookTicker frames to facts on the line and in the journal ring");
    say(&format!(
        "{} messages a second (median of {} rounds, {} to {}), {left_out} lost",
        figures::median(rates.iter().copied()),
        rates.len(),
        rates.iter().min().copied().unwrap_or(0),
        rates.iter().max().copied().unwrap_or(0),
    ));
}

const COMMAND: Command = Command {
    kind: CommandKind::Stop,
    instrument: ALL_INSTRUMENTS,
    uid: 0,
    ticket: 0,
    halt_epoch: 0,
    strategy: NO_STRATEGY,
};
const NO_ANSWER: RestAnswer = RestAnswer::SnapshotFailed(InstrumentId(0));

fn feed_round(host: &Host) -> (u64, u64) {
    let shared = stand::shared();
    let (connector, mut venue) = memory::connection();
    let fact = Fact { seq: 0, recv_ns: 0, body: Body::Timer };
    let (line, mut facts) = line_ring::ring(LINE_RING_SLOTS, fact_slot(0));
    let (journal, mut records) = ring(JOURNAL_RING_SLOTS, Record::Fact(fact));
    let (_returns, returned) = ring(RETURN_RING_SLOTS, Body::Timer);
    let (_commands, commanded) = ring(COMMAND_RING_SLOTS, COMMAND);
    let (request, _requests) = ring(16, RestRequest::Snapshot(InstrumentId(0)));
    let (_answers, answered) = ring(16, NO_ANSWER);
    let (samples, mut sampled) = ring(4_096, Sample::default());
    let rings = FeedRings {
        line,
        journal,
        returns: returned,
        commands: commanded,
        rest_requests: request,
        rest_answers: answered,
        found: None,
        samples: Some(samples),
    };
    let market = stand::market_side(connector, "bench".to_owned());
    let common = (Arc::clone(&shared.page), Arc::clone(&shared.counters));
    let mut feed: Feed<MemoryConnector> =
        Feed::new(stand::feed_config(), market, None, rings, common, shared.clock.clone());
    while !venue.is_upgraded() {
        feed.poll(shared.clock.now());
        venue.read();
    }
    let stop = StopFlag::default();
    let mut ticks = Ticks::new();
    let elapsed_ns = std::thread::scope(|scope| {
        let (second, stopped, clock) = (host.second, stop.clone(), shared.clock.clone());
        scope.spawn(move || {
            cpu::pin_current_thread(second).expect("the second core");
            while !stopped.is_stopped() {
                feed.poll(clock.now());
            }
        });
        cpu::pin_current_thread(host.first).expect("the first core");
        let (mut sent, mut seen, mut start) = (0, 0, 0);
        while seen < MESSAGES {
            sent = send_some(&mut venue, &mut ticks, sent, seen);
            seen += count_quotes(&mut facts);
            while records.pop().is_ok() {}
            while sampled.pop().is_ok() {}
            if start == 0 && seen >= MESSAGES / 10 {
                start = shared.clock.mono_ns();
                sent -= seen; // warm: from here it counts
                seen = 0;
            }
        }
        let elapsed = shared.clock.mono_ns() - start;
        stop.stop();
        elapsed
    });
    let lost = shared.counters.get(Counter::FeedConflated);
    (MESSAGES * 1_000_000_000 / elapsed_ns.unsigned_abs().max(1), lost)
}

/// Sends a burst while not too many are on their way; how many were sent in all.
fn send_some(venue: &mut Peer, ticks: &mut Ticks, mut sent: u64, seen: u64) -> u64 {
    for _ in 0..32 {
        if sent >= seen + OUTSTANDING_MAX {
            break;
        }
        venue.send(ticks.next());
        sent += 1;
    }
    sent
}

fn count_quotes(facts: &mut Reader<Slot<Fact>>) -> u64 {
    let mut quotes = 0;
    while let Some(slot) = facts.pop() {
        quotes += u64::from(matches!(slot.item.body, Body::Quote(_)));
    }
    quotes
}
