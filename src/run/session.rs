//! One session of the engine: everything is made ready, the threads start in the order of need (journal, control, REST, and the
//! hot ones last), and stop in the reverse one. A session that can't be made ready has started nothing.

mod figures;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use crate::agent::cpu::{self, Granted};
use crate::agent::ring::Producer;
use crate::agent::runner::{RunnerConfig, StopFlag};
use crate::agent::{Agent, AgentRunner, Clock, IdleStrategy, clock};
use crate::event::Body;
use crate::feed::RestAnswer;
use crate::journal::entry::Recovered;
use crate::journal::note::SigningKey;
use crate::journal::writer::{Parts as WriterParts, WriterConfig};
use crate::journal::{ControlHandle, Disk, JournalError, Observer, RealDisk, SessionHeader, Writer, epoch};
use crate::ops::connects::Connects;
use crate::ops::control::{Control, ControlParts, ReconcileDesk};
use crate::ops::events::{Event, EventSender, Events, Level};
use crate::ops::files::{self, Durability};
use crate::ops::latency::Histograms;
use crate::ops::lock::{InstanceLock, LockError};
use crate::ops::paths::Paths;
use crate::ops::reconcile::books::Bookkeeper;
use crate::ops::reconcile::carry::ACCOUNT_NOTE;
use crate::ops::reconcile::{Carry, Standing, bookkeeper, standing};
use crate::ops::socket::{Policy, Server, SocketError};
use crate::ops::watch::{self, Snapshot, View, Watcher};
use crate::ops::watchdog::Watchdog;
use crate::shared::{Counters, HaltLevel, KillPage};
use crate::types::time::NS_PER_S;
use crate::types::{InstrumentTable, Reason};

use self::figures::{control_config, ms, vitals, watchdog};
use super::access::HaltReference;
use super::audit::{All, Audit};
use super::carry::CarryOver;
use super::checkpoints::Checkpoints;
use super::line::{Assemble, Shared};
use super::papers::PAPERS_NOTE;
use super::placement::{self, Placement, PlacementError, Stage};
use super::plan::Plan;
use super::prepare::Prepared;
use super::reconcile::{self, Boot, Reconciler, ReconcilerParts, Rules};
use super::rest_worker::RestWorker;
use super::shadow::{self, About, Collector, Scribe};

/// How long a graceful stop waits for the venue's answer that nothing is open.
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// Why a session did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Another engine has the data directory.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The data directory is not one, or can't be made.
    #[error(
        "{}: can't be used as the data directory: {source}; name one that can be written by --data-dir",
        path.display()
    )]
    DataDir {
        /// What was named.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The stages can't be placed.
    #[error(transparent)]
    Placement(#[from] PlacementError),
    /// The journal can't be opened.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The control sockets can't be bound.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// A file or a thread.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Why it failed.
        source: io::Error,
    },
    /// The parts do not fit together.
    #[error("{0}")]
    Parts(String),
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> StartError {
    let what = what.into();
    move |source| StartError::Io { what, source }
}

/// What the data directory gives a boot: the lock, the page, the epoch.
#[derive(Debug)]
pub struct Ground {
    /// Where things are.
    pub paths: Paths,
    /// Held as long as the engine runs.
    lock: InstanceLock,
    /// The boot's epoch, durable.
    pub epoch: u32,
    /// What the stages share.
    pub shared: Shared,
    /// Name of the session.
    pub session: String,
}

impl Ground {
    /// Takes the lock of a data directory: one engine each. Nothing else is touched.
    pub fn lock(data_dir: &std::path::Path) -> Result<(Paths, InstanceLock), StartError> {
        let paths = Paths::new(data_dir, None);
        std::fs::create_dir_all(&paths.data)
            .map_err(|source| StartError::DataDir { path: paths.data.clone(), source })?;
        let lock = InstanceLock::take(&paths)?;
        Ok((paths, lock))
    }

    /// Takes possession of a locked data directory. From here on the kill page is this boot's, and tripped.
    pub fn take((paths, lock): (Paths, InstanceLock), clock: &Clock) -> Result<Self, StartError> {
        let epoch = epoch::next(&RealDisk, &journal_dir(&paths))?;
        let now = clock.now();
        let boot_id = (now.ns.unsigned_abs() << 8) ^ u64::from(epoch) | 1;
        let page = KillPage::create(&paths.kill_page(), boot_id, now)
            .map_err(io_error(format!("making the kill page {}", paths.kill_page().display())))?;
        let shared =
            Shared { page: Arc::new(page), counters: Arc::new(Counters::default()), clock: clock.clone() };
        let started = jiff::Timestamp::from_nanosecond(i128::from(now.ns)).unwrap_or_default();
        let session = format!("{}-{epoch:06}", started.strftime("%Y%m%dT%H%M%SZ"));
        Ok(Self { paths, lock, epoch, shared, session })
    }
}

/// Key of the session header's notes under which stand the symbols that may be entered, where not all of them may.
pub const ALLOWED_NOTE: &str = "allowed";

/// The name that checkpoints are signed under.
pub const CHECKPOINT_KEY_NAME: &str = "interlock";

/// Where the key that signs checkpoints is, mode 0600.
pub fn checkpoint_key(paths: &Paths) -> PathBuf {
    paths.data.join("checkpoint.key")
}

/// Where the journal is in a data directory.
pub fn journal_dir(paths: &Paths) -> PathBuf {
    paths.data.join("journal")
}

/// Whether the previous session of a data directory ended without stopping: killed, crashed, or its host went away. Its
/// heartbeat file then still says that it runs. Unreadable counts as unclean; no file at all is a first start.
pub fn ended_uncleanly(paths: &Paths) -> bool {
    match std::fs::read(paths.heartbeat()) {
        Ok(bytes) => serde_json::from_slice::<serde_json::Value>(&bytes)
            .map_or(true, |beat| beat.get("state").and_then(|s| s.as_str()) != Some("stopped")),
        Err(error) => error.kind() != io::ErrorKind::NotFound,
    }
}

/// What a session is made of, besides the line's own parts.
#[derive(Debug)]
pub struct Setup {
    /// The configuration.
    pub plan: Plan,
    /// The mode's name, for the record and for people.
    pub mode: String,
    /// What the venue said.
    pub prepared_table: InstrumentTable,
    /// Strategy names by id.
    pub strategies: Vec<String>,
    /// For the REST worker.
    pub rest: crate::net::Rest,
    /// What the REST worker tells first.
    pub first: Vec<RestAnswer>,
    /// For the halt tool.
    pub halt: HaltReference,
    /// The cores, read in `main`.
    pub granted: Granted,
    /// `LIVE_KILL_SWITCH` is set.
    pub kill_environment: bool,
    /// Whether the engine arms itself once all is well.
    pub arm: bool,
    /// Sees every record too: the audit of a recording.
    pub audit: Option<Audit>,
    /// What stands at the line's end: the gateway, but in shadow.
    pub last_stage: Stage,
    /// Nothing that adds risk is written to the venue.
    pub dry_run: bool,
    /// What earlier sessions left: facts, notes, events.
    pub carried: CarryOver,
    /// Events that follow the boot's seal.
    pub first_events: Vec<Event>,
    /// Who armed a live session, with every gate and its evidence, for the session's header.
    pub cleared: Option<(String, serde_json::Value)>,
    /// Symbols that may be entered, where something narrows them: in live, the allowlist.
    pub allowed: Option<Vec<String>>,
    /// The record of connection attempts, where it is kept.
    pub connects: Option<Connects>,
    /// What earlier sessions leave, and whom a reconcile asks.
    pub books: Boot,
}

impl Setup {
    /// From what was prepared.
    pub fn first_answers(prepared: &Prepared) -> Vec<RestAnswer> {
        let bars = prepared.history.iter().copied().map(RestAnswer::Bar);
        prepared.offset.map(RestAnswer::ClockOffset).into_iter().chain(bars).collect()
    }
}

/// A running session.
#[derive(Debug)]
pub struct Session {
    /// What the stages share.
    pub shared: Shared,
    /// Where the stages are.
    pub placement: Placement,
    /// Name of the session.
    pub session: String,
    /// What was cut off the journal when it was opened.
    pub recovered: Option<Recovered>,
    /// Whether a gateway stands at the line's end, which can bring the venue to silence.
    pub has_gateway: bool,
    watcher: Watcher,
    events: EventSender,
    threads: Threads,
    stops: Stops,
    _lock: InstanceLock,
}

/// One flag for each group of threads that stops together.
#[derive(Clone, Debug, Default)]
struct Stops {
    leave: StopFlag,
    hot: StopFlag,
    rest: StopFlag,
    journal: StopFlag,
    scribe: StopFlag,
    control: StopFlag,
    watchdog: StopFlag,
}

/// How a session ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The last snapshot.
    pub snapshot: Arc<Snapshot>,
    /// Whether the venue said that nothing was open.
    pub all_cancelled: bool,
    /// Orders that may still be open.
    pub open_orders: u64,
}

/// Starts a session: the line's parts are given, everything around them is made here.
#[expect(clippy::too_many_lines, reason = "one list: everything that a session is made of, once")]
pub fn start(ground: Ground, parts: impl Assemble, mut setup: Setup) -> Result<Session, StartError> {
    let placement = placement::decide(&setup.plan.placement, &setup.granted)?.ending_with(setup.last_stage);
    let Ground { paths, lock, epoch, shared, session } = ground;
    // Threads that are started from here on stay away from the hot cores, but for the hot ones, which pin themselves.
    cpu::confine_current_thread(&placement.cold_cores).map_err(io_error("confining the cold threads"))?;
    tell_the_halt_tool(&paths, &setup.halt)?;

    let mut line = parts.assemble(&shared);
    let instruments = setup.prepared_table.all().len();
    let footing = core::mem::take(&mut setup.books.carry.ground);
    let footing = reconcile::ground(footing, epoch, &setup.carried.facts, instruments);
    carry_over(&mut setup, &mut line.ends.found)?;
    let Boot { source, carry, account } = core::mem::take(&mut setup.books);
    tell_first(&mut line.ends.found, &carry)?;
    let standing = Arc::new(Standing::default());
    let (keeper, books) = bookkeeper(&setup.prepared_table, epoch, Arc::clone(&standing));
    let (report, reports) = standing::reports();
    let (to_control, control_watcher) = watch::channel();
    let (to_main, watcher) = watch::channel();
    let mut header = header(&setup, &shared, &session, epoch, &placement);
    if let Some(account) = account {
        header.notes.insert(ACCOUNT_NOTE.to_owned(), json!(account));
    }
    let view = View::new(setup.prepared_table.clone(), &setup.strategies, vec![to_control, to_main])
        .with_layers(&setup.plan.limits().layers);
    let (collector, collected) = shadow::collection(&setup.plan, setup.prepared_table.all().len()).unzip();
    let (writer, handle) = Writer::create(
        Arc::new(RealDisk) as Arc<dyn Disk>,
        &journal_dir(&paths),
        writer_config(&setup.plan),
        &header,
        line.ends.journal,
        writer_parts(&shared, (view, keeper), setup.audit.take(), collector),
    )?;
    let events = open_events(&paths, &header, &writer, &setup.first_events, shared.clock.now().ns)?;
    let scribe = collected.map(|c| open_scribe(&setup, &session, &paths, c, events.sender())).transpose()?;
    let recovered = writer.recovered().cloned();
    let events_sender = events.sender();
    let stops = Stops::default();
    let checkpoints = checkpoints(&setup.plan, &paths, &writer, handle.clone(), events.sender(), &shared)?;
    let has_gateway = setup.last_stage == Stage::Gateway;
    let watchdog = watchdog(&setup.plan, &placement, &shared, events.sender());
    let reconciler = Reconciler::new(ReconcilerParts {
        source,
        books,
        standing: Arc::clone(&standing),
        reports: report,
        found: line.ends.found,
        journal: Box::new(handle.clone()),
        events: events.sender(),
        table: setup.prepared_table.clone(),
        strategies: setup.strategies.clone(),
        ground: footing,
        rules: Rules::of(&setup.plan),
        clock: shared.clock.clone(),
        stop: stops.rest.clone(),
    });
    let control = Control::new(
        control_config(&setup, &session, &stops),
        ControlParts {
            server: Server::bind(&paths, Policy::standard(&setup.plan.kill.operator_uids))?,
            page: Arc::clone(&shared.page),
            clock: shared.clock.clone(),
            counters: Arc::clone(&shared.counters),
            commands: line.ends.commands,
            table: setup.prepared_table.clone(),
            vitals: vitals(&setup.plan, &placement, &shared),
            health: Vec::new(),
            reconcile: Some(ReconcileDesk {
                standing,
                reports,
                max_age_ns: ms(setup.plan.reconcile.max_age_s.saturating_mul(1_000)),
            }),
            connects: setup.connects.take(),
            recorder: Box::new(handle),
            watcher: control_watcher,
            latency: Histograms::new(shared.clock.clone(), line.ends.samples, vec![line.ends.traces]),
            events,
            paths,
        },
    );
    let rest = RestWorker {
        rest: setup.rest,
        table: setup.prepared_table,
        requests: line.ends.rest_requests,
        answers: line.ends.rest_answers,
        clock: shared.clock.clone(),
        first: setup.first,
        quiet_until_ns: 0,
        clock_due_ns: 0,
        stop: stops.rest.clone(),
    };
    let threads = Threads::start(
        &placement,
        &shared,
        &stops,
        (writer, scribe),
        (control, watchdog),
        (rest, checkpoints, reconciler),
        line.stages,
    )
    .map_err(io_error("starting a thread"))?;
    let events = events_sender;
    Ok(Session {
        shared,
        placement,
        session,
        recovered,
        has_gateway,
        watcher,
        events,
        threads,
        stops,
        _lock: lock,
    })
}

/// Signs the journal's head now and then.
fn checkpoints(
    plan: &Plan,
    paths: &Paths,
    writer: &Writer,
    journal: ControlHandle,
    events: EventSender,
    shared: &Shared,
) -> Result<Checkpoints, StartError> {
    Ok(Checkpoints {
        journal,
        chain_id: writer.chain_id(),
        key: SigningKey::load_or_create(&checkpoint_key(paths), CHECKPOINT_KEY_NAME)?,
        path: paths.data.join("checkpoints.txt"),
        every_s: plan.journal.checkpoint_every_s,
        events,
        clock: shared.clock.clone(),
        due_ns: 0,
        last_size: 0,
    })
}

/// Leaves word where the venue is. A session that can't send never takes the place of one that could: orders of an earlier live
/// session may still be open while shadow runs, and the halt tool must find them.
fn tell_the_halt_tool(paths: &Paths, halt: &HaltReference) -> Result<(), StartError> {
    let path = paths.halt_config();
    if !halt.sends_orders && files::may_exist(&path) {
        return Ok(());
    }
    files::replace(&path, halt.text().as_bytes(), Durability::Atomic)
        .map_err(io_error(format!("writing {}", path.display())))
}

/// The threads of a session.
#[derive(Debug)]
struct Threads {
    journal: AgentRunner,
    scribe: Option<AgentRunner>,
    control: AgentRunner,
    watchdog: AgentRunner,
    rest: AgentRunner,
    reconcile: AgentRunner,
    hot: Vec<AgentRunner>,
}

/// Heartbeat slots on the kill page: the hot threads first, then the cold ones.
mod slot {
    use crate::limits::HEARTBEATS_MAX;
    use crate::run::placement::Placement;

    const COLD: usize = 4;
    const _: () =
        assert!(4 + COLD <= HEARTBEATS_MAX, "at most four hot threads, and every thread has a slot");

    pub(super) const fn journal(placement: &Placement) -> usize {
        placement.threads.len()
    }
    pub(super) const fn watchdog(placement: &Placement) -> usize {
        placement.threads.len() + 1
    }
    pub(super) const fn control(placement: &Placement) -> usize {
        placement.threads.len() + 2
    }
    pub(super) const fn rest(placement: &Placement) -> usize {
        placement.threads.len() + COLD - 1
    }
}

/// How a cold thread waits.
const COLD: IdleStrategy = IdleStrategy::Follow;

impl Threads {
    /// In the order of need: whoever is depended upon first.
    #[expect(clippy::too_many_arguments, reason = "everything that runs, once")]
    fn start(
        placement: &Placement,
        shared: &Shared,
        stops: &Stops,
        (writer, scribe): (Writer, Option<Scribe>),
        (control, watchdog): (Control, Watchdog),
        (rest, checkpoints, reconciler): (RestWorker, Checkpoints, Reconciler),
        stages: [Box<dyn Agent>; 4],
    ) -> io::Result<Self> {
        // The control thread watches the journal's heartbeat and the watchdog's as it does the stages'; the watchdog watches
        // control and REST.
        let cold = |name: &str, agents: Vec<Box<dyn Agent>>, stop: &StopFlag, slot: Option<usize>| {
            let config = RunnerConfig { name: name.to_owned(), core: None, idle: COLD };
            let page = Arc::clone(&shared.page);
            let beat = move |now| {
                if let Some(slot) = slot {
                    page.heartbeat(slot, now);
                }
            };
            AgentRunner::start(&config, agents, shared.clock.clone(), stop.clone(), beat)
        };
        let journal =
            cold("journal", vec![Box::new(writer)], &stops.journal, Some(slot::journal(placement)))?;
        let scribe =
            scribe.map(|scribe| cold("scribe", vec![Box::new(scribe)], &stops.scribe, None)).transpose()?;
        let control =
            cold("control", vec![Box::new(control)], &stops.control, Some(slot::control(placement)))?;
        let watchdog =
            cold("watchdog", vec![Box::new(watchdog)], &stops.watchdog, Some(slot::watchdog(placement)))?;
        let rest: Vec<Box<dyn Agent>> = vec![Box::new(rest), Box::new(checkpoints)];
        let rest = cold("rest", rest, &stops.rest, Some(slot::rest(placement)))?;
        let reconcile = cold("reconcile", vec![Box::new(reconciler)], &stops.rest, None)?;
        let mut stages = stages.into_iter();
        let mut hot = Vec::new();
        for (slot, thread) in placement.threads.iter().enumerate() {
            let config = RunnerConfig { name: thread.name(), core: thread.core, idle: thread.idle };
            let agents = stages.by_ref().take(thread.stages.len()).collect();
            let page = Arc::clone(&shared.page);
            let beat = move |now| page.heartbeat(slot, now);
            hot.push(AgentRunner::start(&config, agents, shared.clock.clone(), stops.hot.clone(), beat)?);
        }
        Ok(Self { journal, scribe, control, watchdog, rest, reconcile, hot })
    }
}

fn open_events(
    paths: &Paths,
    header: &SessionHeader,
    writer: &Writer,
    first: &[Event],
    now_ns: i64,
) -> Result<Events, StartError> {
    let mut events =
        Events::open(&paths.events()).map_err(io_error(format!("opening {}", paths.events().display())))?;
    announce(&mut events, header, writer, now_ns);
    for event in first {
        events.emit(event);
    }
    Ok(events)
}

/// The first events of a session: the boot's seal (R-GATE-7), and what opening the journal cut off.
fn announce(events: &mut Events, header: &SessionHeader, writer: &Writer, now_ns: i64) {
    let seal = Event::new(now_ns, Level::Info, "BOOT_SEAL")
        .with("session", header.session.clone())
        .with("mode", header.mode.clone())
        .with("config_hash", header.config_hash.clone())
        .with("build", header.build_id.clone())
        .with("boot_epoch", header.boot_epoch)
        .with("papers", header.notes.get(PAPERS_NOTE).map_or(json!(null), |p| p["hash"].clone()))
        .with("dry_run", header.notes.get("dry_run").is_some_and(|v| *v == json!(true)));
    events.emit(&seal);
    if let Some(cut) = writer.recovered() {
        let event = Event::new(now_ns, Level::Warn, "JOURNAL_TAIL_CUT")
            .with("first_bad_seq", cut.first_bad_seq)
            .with("file", cut.file.clone())
            .with("why", cut.why.clone());
        events.emit(&event);
    }
}

/// Build id: version, and a hash of the running program, so that two builds of one version differ.
pub fn build_id() -> String {
    let program = std::fs::read("/proc/self/exe").map(|bytes| blake3::hash(&bytes).to_hex().to_string());
    let hash = program.unwrap_or_else(|_| "unknown".to_owned());
    format!("{}+{}", env!("CARGO_PKG_VERSION"), &hash[..hash.len().min(16)])
}

fn header(setup: &Setup, shared: &Shared, session: &str, epoch: u32, placement: &Placement) -> SessionHeader {
    let mut header = SessionHeader {
        format: crate::journal::session::FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        session: session.to_owned(),
        mode: setup.mode.clone(),
        boot_epoch: epoch,
        build_id: build_id(),
        config_hash: setup.plan.hash(),
        started_ns: shared.clock.now().ns,
        config: setup.plan.to_toml(),
        assets: Vec::new(),
        instruments: Vec::new(),
        strategies: setup.strategies.clone(),
        notes: serde_json::Map::new(),
    };
    header.set_table(&setup.prepared_table);
    let threads: Vec<_> =
        placement.threads.iter().map(|t| json!({ "stages": t.name(), "core": t.core })).collect();
    header.notes.insert("dry_run".to_owned(), json!(setup.dry_run));
    if let Some((_, gates)) = &setup.cleared {
        header.notes.insert("gates".to_owned(), gates.clone());
    }
    if let Some(allowed) = &setup.allowed {
        header.notes.insert(ALLOWED_NOTE.to_owned(), json!(allowed));
    }
    header.notes.extend(setup.carried.notes.iter().cloned());
    header.notes.insert("threads".to_owned(), json!(threads));
    header.notes.insert("counter_clock".to_owned(), json!(shared.clock.has_counter()));
    header
}

/// The writer of the decisions' file, with what each line says of its session.
fn open_scribe(
    setup: &Setup,
    session: &str,
    paths: &Paths,
    collected: shadow::Collected,
    events: EventSender,
) -> Result<Scribe, StartError> {
    let about = About {
        session: session.to_owned(),
        mode: setup.mode.clone(),
        is_shadow: setup.last_stage == Stage::Witness,
        table: setup.prepared_table.clone(),
        strategies: setup.strategies.clone(),
        heartbeat_ns: i64::from(setup.plan.shadow.heartbeat_s).saturating_mul(NS_PER_S),
    };
    Scribe::open(about, paths, collected, events)
        .map_err(io_error(format!("opening {}", paths.shadow_decisions().display())))
}

/// What earlier sessions left is on the line before anything else.
fn carry_over(setup: &mut Setup, found: &mut Producer<Body>) -> Result<(), StartError> {
    let count = setup.carried.facts.len();
    for carry in setup.carried.facts.drain(..) {
        found.push(Body::Carry(carry)).map_err(|_| {
            StartError::Parts(format!("{count} pieces of earlier sessions are too many to carry over"))
        })?;
    }
    setup.first_events.append(&mut setup.carried.events);
    Ok(())
}

fn writer_config(plan: &Plan) -> WriterConfig {
    let mut config = WriterConfig { commit_ns: ms(plan.journal.sync_every_ms), ..WriterConfig::default() };
    config.log.segment_bytes = plan.journal.segment_mib << 20;
    config
}

/// Orders of earlier boots are on the line before anything else.
fn tell_first(found: &mut Producer<Body>, carry: &Carry) -> Result<(), StartError> {
    let orders = carry.orders.iter().map(|order| Body::Carried(*order));
    for body in orders.chain(carry.stops.iter().map(|level| Body::Stop(*level))) {
        found.push(body).map_err(|_| {
            let count = carry.orders.len();
            StartError::Parts(format!(
                "{count} orders of earlier boots have no end on record: too many to carry over"
            ))
        })?;
    }
    Ok(())
}

fn writer_parts(
    shared: &Shared,
    (view, keeper): (View, Bookkeeper),
    audit: Option<Audit>,
    collector: Option<Collector>,
) -> WriterParts {
    let boxed = |observer: Option<Box<dyn Observer>>| observer.into_iter();
    let all = boxed(Some(Box::new(view)))
        .chain(boxed(Some(Box::new(keeper))))
        .chain(boxed(audit.map(|a| Box::new(a) as Box<dyn Observer>)))
        .chain(boxed(collector.map(|c| Box::new(c) as Box<dyn Observer>)));
    let observer: Box<dyn Observer> = Box::new(All(all.collect()));
    let page = Arc::clone(&shared.page);
    WriterParts {
        counters: Arc::clone(&shared.counters),
        clock: shared.clock.clone(),
        halt: Box::new(move |reason: Reason, now| {
            page.trip(HaltLevel::RiskOff, reason, now.ns);
        }),
        observer: Some(observer),
    }
}

impl Session {
    /// The latest view of the line.
    pub fn snapshot(&mut self) -> &Arc<Snapshot> {
        self.watcher.latest()
    }

    /// For events of the caller's.
    pub const fn events(&self) -> &EventSender {
        &self.events
    }

    /// Stops gracefully: no more intents, everything open cancelled (bounded in time), then the threads in the reverse order of
    /// their start.
    pub fn stop(mut self) -> io::Result<Ended> {
        self.stops.leave.stop();
        let deadline_ns = self.shared.clock.mono_ns() + i64::try_from(STOP_WITHIN.as_nanos()).unwrap_or(0);
        let all_cancelled = loop {
            // The commands need a moment to travel; after that the count is the truth.
            clock::sleep(Duration::from_millis(50));
            if self.shared.page.open_orders() == 0 {
                break true;
            }
            if self.shared.clock.mono_ns() >= deadline_ns {
                break false;
            }
        };
        let open_orders = self.shared.page.open_orders();
        self.stops.watchdog.stop();
        self.threads.watchdog.join()?;
        self.stops.hot.stop();
        for runner in std::mem::take(&mut self.threads.hot) {
            runner.join()?;
        }
        self.stops.rest.stop();
        self.threads.rest.join()?;
        self.threads.reconcile.join()?;
        // The journal takes what the stages left in its rings, and the control thread's last acts.
        self.stops.journal.stop();
        self.threads.journal.join()?;
        let snapshot = Arc::clone(self.watcher.latest());
        // Then the scribe has everything that it will get, and the control thread writes its last events.
        self.stops.scribe.stop();
        if let Some(scribe) = self.threads.scribe {
            scribe.join()?;
        }
        self.stops.control.stop();
        self.threads.control.join()?;
        Ok(Ended { snapshot, all_cancelled, open_orders })
    }
}
