//! What the journal's tests share: random records of every kind, a session header, a log on a disk.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use interlock::event::command::{CommandKind, NO_STRATEGY};
use interlock::event::fact::LinkId;
use interlock::event::{
    Action, BalanceUpdate, Bar, Body, BookStatus, CarriedAccount, CarriedLatch, CarriedOrder, CarriedPace,
    CarriedPosition, CarriedStrategy, CarriedTimes, Carry, CarryHead, Claim, ClockOffset, Command, Decision,
    Depth, Fact, GatewayNote, Intent, LinkStatus, NoteKind, OrderSpec, OrderUpdate, Quote, Record, Reply,
    ReplyKind, Sent, SentKind, StopLevel, Trade, Verdict,
};
use interlock::journal::entry::{CheckpointMark, Recovered};
use interlock::journal::log::{Identity, Log, LogConfig};
use interlock::journal::session::FORMAT;
use interlock::journal::{
    Control, ControlKind, Disk, Entry, Item, JournalError, Reader, SessionEnd, SessionHeader,
};
use interlock::types::{
    AssetId, Cash, ClientOrderId, InstrumentId, Level, Now, OrderState, OrderType, PositionParts, Price, Qty,
    Reason, Side, StrategyId, TimeInForce, TradeId, VenueOrderId,
};
use rand::Rng;
use rand::rngs::SmallRng;

pub(crate) const FACT_BODIES: u32 = 15;

pub(crate) fn dir() -> PathBuf {
    PathBuf::from("data/journal")
}

pub(crate) fn small_log() -> LogConfig {
    LogConfig { segment_bytes: 1 << 20, step_bytes: 4096, check_bytes: 1 << 30 }
}

pub(crate) fn header(session: &str, epoch: u32) -> SessionHeader {
    SessionHeader {
        format: FORMAT,
        version: "0.1.0".to_owned(),
        session: session.to_owned(),
        mode: "demo".to_owned(),
        boot_epoch: epoch,
        build_id: "test-build".to_owned(),
        config_hash: "ab".repeat(32),
        started_ns: 1_700_000_000_000_000_000,
        config: "mode = \"demo\"\n".to_owned(),
        assets: vec!["BTC".to_owned(), "USDT".to_owned()],
        instruments: Vec::new(),
        strategies: vec!["ma_crossover".to_owned()],
        notes: serde_json::Map::new(),
    }
}

pub(crate) fn at(ns: i64) -> Now {
    Now { ns: 1_700_000_000_000_000_000 + ns, mono_ns: ns }
}

pub(crate) fn identity(epoch: u32) -> Identity {
    Identity { epoch, config_hash: [7; 32], build_id: [0; 32], chain_id: [9; 16] }
}

pub(crate) fn open_log(disk: &Arc<dyn Disk>, config: LogConfig, epoch: u32) -> Result<Log, JournalError> {
    Log::open(Arc::clone(disk), &dir(), config, identity(epoch), at(i64::from(epoch))).map(|(log, _)| log)
}

/// Everything that a reader gets, and how it ended.
pub(crate) fn read_all(disk: Arc<dyn Disk>, dir: &Path) -> (Vec<Item>, Result<bool, JournalError>) {
    let mut reader = match Reader::open_on(disk, dir) {
        Ok(reader) => reader,
        Err(e) => return (Vec::new(), Err(e)),
    };
    let mut items = Vec::new();
    for item in &mut reader {
        match item {
            Ok(item) => items.push(item),
            Err(e) => return (items, Err(e)),
        }
    }
    let clean = reader.tail().is_none();
    (items, Ok(clean))
}

/// The hot records among items.
pub(crate) fn records(items: &[Item]) -> Vec<Record> {
    items.iter().filter_map(|i| if let Entry::Record(r) = i.entry { Some(r) } else { None }).collect()
}

fn price(rng: &mut SmallRng) -> Price {
    Price::from_units(rng.random())
}
fn qty(rng: &mut SmallRng) -> Qty {
    Qty::from_units(rng.random())
}
fn side(rng: &mut SmallRng) -> Side {
    if rng.random() { Side::Buy } else { Side::Sell }
}
fn level(rng: &mut SmallRng) -> Level {
    Level::new(price(rng), qty(rng))
}
fn client(rng: &mut SmallRng) -> ClientOrderId {
    ClientOrderId(rng.random())
}
fn instrument(rng: &mut SmallRng) -> InstrumentId {
    InstrumentId(rng.random())
}
fn pick<T: Copy>(rng: &mut SmallRng, all: &[T]) -> T {
    all[rng.random_range(0..all.len())]
}
fn reason(rng: &mut SmallRng) -> Reason {
    pick(rng, Reason::ALL)
}

fn spec(rng: &mut SmallRng) -> OrderSpec {
    OrderSpec {
        side: side(rng),
        order_type: pick(rng, &[OrderType::Limit, OrderType::Market, OrderType::LimitMaker]),
        time_in_force: pick(rng, &[TimeInForce::Gtc, TimeInForce::Ioc, TimeInForce::Fok]),
        price: price(rng),
        qty: qty(rng),
    }
}

fn market_body(rng: &mut SmallRng, kind: u32) -> Body {
    match kind {
        0 => Body::Quote(Quote {
            instrument: instrument(rng),
            conflated: rng.random(),
            update_id: rng.random(),
            bid: level(rng),
            ask: level(rng),
        }),
        1 => Body::Trade(Trade {
            instrument: instrument(rng),
            aggressor: side(rng),
            conflated: rng.random(),
            trade_id: TradeId(rng.random()),
            price: price(rng),
            qty: qty(rng),
            venue_ns: rng.random(),
        }),
        2 => Body::Depth(Depth {
            instrument: instrument(rng),
            count: rng.random_range(0..=4),
            asks: rng.random_range(0..16),
            first: rng.random(),
            last: rng.random(),
            snapshot: rng.random(),
            update_id: rng.random(),
            venue_ns: rng.random(),
            levels: [level(rng), level(rng), level(rng), level(rng)],
        }),
        3 => Body::BookStatus(BookStatus {
            instrument: instrument(rng),
            valid: rng.random(),
            reason: reason(rng),
        }),
        _ => Body::Bar(Bar {
            instrument: instrument(rng),
            trades: rng.random(),
            interval_ns: rng.random(),
            open_ns: rng.random(),
            open: price(rng),
            high: price(rng),
            low: price(rng),
            close: price(rng),
            volume: qty(rng),
        }),
    }
}

fn carried(rng: &mut SmallRng) -> CarriedOrder {
    CarriedOrder {
        client: client(rng),
        venue_order: VenueOrderId(rng.random()),
        instrument: instrument(rng),
        strategy: StrategyId(rng.random()),
        side: side(rng),
        reduce_only: rng.random(),
        price: price(rng),
        qty: qty(rng),
        filled: qty(rng),
        placed_ns: rng.random(),
    }
}

fn private_body(rng: &mut SmallRng, kind: u32) -> Body {
    match kind {
        5 => Body::Link(LinkStatus {
            link: pick(rng, &[LinkId::Market, LinkId::Account, LinkId::Orders]),
            up: rng.random(),
            reason: reason(rng),
            attempts: rng.random(),
        }),
        6 => Body::Order(OrderUpdate {
            instrument: instrument(rng),
            side: side(rng),
            state: pick(rng, &OrderState::ALL),
            snapshot: rng.random(),
            maker: rng.random(),
            fee_asset: AssetId(rng.random()),
            client: client(rng),
            venue_order: VenueOrderId(rng.random()),
            trade: TradeId(rng.random()),
            price: price(rng),
            qty: qty(rng),
            filled: qty(rng),
            fee: qty(rng),
            venue_ns: rng.random(),
        }),
        7 => {
            use ReplyKind as K;
            let kinds =
                [K::Sent, K::NotSent, K::Accepted, K::Rejected, K::Unknown, K::Absent, K::NothingOpen];
            Body::Reply(Reply {
                kind: pick(rng, &kinds),
                cancel: rng.random(),
                instrument: instrument(rng),
                reason: reason(rng),
                venue_code: rng.random(),
                client: client(rng),
                venue_order: VenueOrderId(rng.random()),
                venue_ns: rng.random(),
            })
        }
        8 => Body::Balance(BalanceUpdate {
            asset: AssetId(rng.random()),
            free: qty(rng),
            locked: qty(rng),
            venue_ns: rng.random(),
        }),
        9 => Body::Command(command(rng)),
        10 => Body::Timer,
        12 => Body::Carried(carried(rng)),
        14 => Body::Stop(StopLevel {
            instrument: instrument(rng),
            strategy: StrategyId(rng.random()),
            stop: price(rng),
        }),
        13 => Body::Carry(carry(rng)),
        _ => Body::ClockOffset(ClockOffset { offset_ns: rng.random(), round_trip_ns: rng.random() }),
    }
}

fn carried_position(rng: &mut SmallRng) -> CarriedPosition {
    let position = PositionParts {
        qty: qty(rng),
        fees: Cash::from_units(rng.random()),
        fills: rng.random(),
        cost: [rng.random(), rng.random()],
        realised: [rng.random(), rng.random()],
    };
    let (instrument, strategy) = (instrument(rng), StrategyId(rng.random()));
    CarriedPosition {
        instrument,
        strategy,
        position,
        last_trade: TradeId(rng.random()),
        mark: price(rng),
        opened: Cash::from_units(rng.random()),
    }
}

fn carried_times(rng: &mut SmallRng) -> CarriedTimes {
    CarriedTimes { strategy: StrategyId(rng.random()), at_ns: rng.random(), count: rng.random() }
}

fn carry(rng: &mut SmallRng) -> Carry {
    let cash = |rng: &mut SmallRng| Cash::from_units(rng.random());
    match rng.random_range(0..9) {
        0 => Carry::Begin(CarryHead { journal_seq: rng.random(), follow: rng.random() }),
        1 => Carry::Net(carried_position(rng)),
        2 => Carry::Own(carried_position(rng)),
        3 => Carry::Account(CarriedAccount {
            settled: cash(rng),
            result: cash(rng),
            peak: cash(rng),
            worst: cash(rng),
            day: rng.random(),
            day_start: cash(rng),
            day_entries: rng.random(),
            trades: rng.random(),
            day_stopped: rng.random(),
            emergency: rng.random(),
            preservation: rng.random(),
            preservation_ns: rng.random(),
            served_bp: rng.random(),
        }),
        4 => Carry::Pace(CarriedPace {
            instrument: InstrumentId(rng.random()),
            last_ns: rng.random(),
            day: rng.random(),
            decisions: rng.random(),
            losses: rng.random(),
            rest_until_ns: rng.random(),
            flat_result: cash(rng),
        }),
        5 => Carry::Latch(CarriedLatch { strategy: StrategyId(rng.random()), why: Reason::RepeatThrottle }),
        6 => Carry::Executed(carried_times(rng)),
        7 => Carry::VenueRefused(carried_times(rng)),
        _ => Carry::Strategy(CarriedStrategy {
            strategy: StrategyId(rng.random()),
            losses: rng.random(),
            trades: rng.random(),
            disabled: rng.random(),
            weight_bp: rng.random(),
            target_bp: rng.random(),
            weight_day: rng.random(),
        }),
    }
}

fn command(rng: &mut SmallRng) -> Command {
    use CommandKind as K;
    let kinds = [
        K::Tripped,
        K::Arm,
        K::Flatten,
        K::CancelAll,
        K::Reconcile,
        K::Freeze,
        K::Unfreeze,
        K::Stop,
        K::EnableStrategy,
        K::DisableStrategy,
        K::ResetEmergency,
    ];
    let kind = pick(rng, &kinds);
    Command {
        kind,
        instrument: instrument(rng),
        uid: rng.random(),
        ticket: rng.random(),
        halt_epoch: rng.random(),
        strategy: if kind.names_strategy() { StrategyId(rng.random()) } else { NO_STRATEGY },
    }
}

pub(crate) fn body(rng: &mut SmallRng, kind: u32) -> Body {
    if kind < 5 { market_body(rng, kind) } else { private_body(rng, kind) }
}

pub(crate) fn fact(rng: &mut SmallRng) -> Fact {
    let kind = rng.random_range(0..FACT_BODIES);
    Fact { seq: rng.random(), recv_ns: rng.random(), body: body(rng, kind) }
}

pub(crate) fn intent(rng: &mut SmallRng) -> Intent {
    let action = match rng.random_range(0..4) {
        0 => Action::Place(spec(rng)),
        1 => Action::Cancel { target: client(rng) },
        2 => Action::Replace { target: client(rng), spec: spec(rng) },
        _ => Action::CancelAll,
    };
    Intent {
        client: client(rng),
        cause_seq: rng.random(),
        cause_ns: rng.random(),
        strategy: StrategyId(rng.random()),
        owner: StrategyId(rng.random()),
        instrument: instrument(rng),
        reduce_only: rng.random(),
        action,
        claim: Claim { stop: price(rng), gain_centi_bp: rng.random(), confidence_bp: rng.random() },
    }
}

pub(crate) fn decision(rng: &mut SmallRng) -> Decision {
    Decision {
        client: client(rng),
        cause_seq: rng.random(),
        verdict: pick(rng, &[Verdict::Approved, Verdict::Refused]),
        reason: reason(rng),
        halt_level: rng.random(),
        lease_valid: rng.random(),
        instrument: instrument(rng),
        exposure: Cash::from_units(rng.random()),
    }
}

pub(crate) fn sent(rng: &mut SmallRng) -> Sent {
    use SentKind as K;
    Sent {
        client: client(rng),
        kind: pick(rng, &[K::Place, K::Cancel, K::Replace, K::CancelAll, K::Query]),
        instrument: instrument(rng),
        timestamp_ms: rng.random(),
        text_len: rng.random(),
        text_crc: rng.random(),
        at_ns: rng.random(),
    }
}

pub(crate) fn note(rng: &mut SmallRng) -> GatewayNote {
    use NoteKind as K;
    let kinds = [K::HaltSeen, K::LeaseExpired, K::Paced, K::NothingOpen, K::Withheld, K::Unjournaled];
    GatewayNote {
        kind: pick(rng, &kinds),
        reason: reason(rng),
        client: client(rng),
        value: rng.random(),
        at_ns: rng.random(),
    }
}

/// A record of any kind, facts most often.
pub(crate) fn record(rng: &mut SmallRng) -> Record {
    match rng.random_range(0..10) {
        0 => Record::Intent(intent(rng)),
        1 => Record::Decision(decision(rng)),
        2 => Record::Sent(sent(rng)),
        3 => Record::Note(note(rng)),
        _ => Record::Fact(fact(rng)),
    }
}

/// One of each cold record.
pub(crate) fn cold_entries() -> Vec<Entry> {
    let mut header = header("s-1", 3);
    header.notes.insert("clock".to_owned(), "tsc".into());
    let control = Control {
        kind: ControlKind::Arm,
        who: "me \u{1F512} \"quoted\"".to_owned(),
        cause: "drill\n2".to_owned(),
        uid: Some(1000),
        halt_epoch: u64::MAX,
        details: serde_json::Map::new(),
    };
    let end = SessionEnd { session: "s-1".to_owned(), cause: "stopped".to_owned(), records: 3, facts: 9 };
    let mark = CheckpointMark { size: 12, head: "00ff".to_owned(), key: "k".to_owned() };
    let cut = Recovered {
        first_bad_seq: 7,
        file: "00000001.seg".to_owned(),
        offset: 160,
        bytes: 8,
        why: "the checksum is wrong".to_owned(),
    };
    vec![
        Entry::Session(Box::new(header)),
        Entry::Control(Box::new(control)),
        Entry::End(end),
        Entry::Checkpoint(mark),
        Entry::Recovered(cut),
    ]
}
