//! Starting and stopping: everything that can fail is done on the caller's thread, so that it gets the error; then one
//! thread with a current-thread runtime owns the venue until it is told to stop.

use std::cell::RefCell;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::rc::Rc;
use std::thread::JoinHandle;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_rustls::TlsAcceptor;

use super::clock::VenueClock;
use super::diffs::Accumulator;
use super::file::{CA_FILE, ControlAccess, VENUE_CONFIG, VENUE_FILE, VenueFile, VenueUrls, write_private};
use super::hub::Hub;
use super::keys::{Registered, make_keys, random_text};
use super::limits::Limits;
use super::replay::{self, Plan};
use super::state::{Feed, State, Stats};
use super::venue::{self, Venue};
use super::{VenueConfig, VenueError, listener, tls};
use crate::agent::Clock;
use crate::agent::runner::start_cold;
use crate::sim::exchange::{AccountConfig, AccountId, Exchange, ExchangeConfig};
use crate::sim::faults::{FaultEngine, FaultPlan, Target};
use crate::sim::flow::{Flow, FlowConfig};
use crate::types::Qty;

/// What the venue's thread may be asked from outside.
enum Ask {
    Stop,
    Stats(oneshot::Sender<Stats>),
    Faults(FaultPlan),
    Disconnect(Target),
    AnnounceShutdown,
}

/// A running venue. Dropping it stops it.
pub struct VenueHandle {
    file: VenueFile,
    path: PathBuf,
    local_addr: SocketAddr,
    asks: mpsc::Sender<Ask>,
    thread: Option<JoinHandle<()>>,
}

impl std::fmt::Debug for VenueHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VenueHandle").field("urls", &self.file.urls).finish_non_exhaustive()
    }
}

impl VenueHandle {
    /// Where it is.
    pub fn urls(&self) -> &VenueUrls {
        &self.file.urls
    }
    /// Everything that `venue.json` says.
    pub fn file(&self) -> &VenueFile {
        &self.file
    }
    /// Where `venue.json` is.
    pub fn file_path(&self) -> &std::path::Path {
        &self.path
    }
    /// The address that it listens on.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }
    /// The counts as of now; `None` when the venue has ended. Blocks: not for use on an async runtime.
    pub fn stats(&self) -> Option<Stats> {
        let (reply, answer) = oneshot::channel();
        self.asks.blocking_send(Ask::Stats(reply)).ok()?;
        answer.blocking_recv().ok()
    }
    /// Puts a plan of faults in force.
    pub fn set_faults(&self, plan: FaultPlan) {
        self.ask(Ask::Faults(plan));
    }
    /// Ends connections without a word.
    pub fn disconnect(&self, target: Target) {
        self.ask(Ask::Disconnect(target));
    }
    /// Tells everyone that the venue will shut down.
    pub fn announce_shutdown(&self) {
        self.ask(Ask::AnnounceShutdown);
    }
    /// Whether the recording has been played to its end.
    pub fn is_recording_done(&self) -> bool {
        self.stats().is_some_and(|s| s.recording_done)
    }
    /// Stops it and waits until its thread has ended.
    pub fn stop(mut self) {
        self.end();
    }

    fn ask(&self, ask: Ask) {
        // A venue that has ended needs nothing more.
        drop(self.asks.blocking_send(ask));
    }

    fn end(&mut self) {
        self.ask(Ask::Stop);
        if let Some(thread) = self.thread.take() {
            // A panic of the venue's thread was printed by it; the caller is on its way out.
            drop(thread.join());
        }
    }
}

impl Drop for VenueHandle {
    fn drop(&mut self) {
        self.end();
    }
}

/// What the thread starts with: all of it can be sent to it.
struct Parts {
    config: VenueConfig,
    clock: VenueClock,
    exchange: Exchange,
    account: AccountId,
    house: Option<AccountId>,
    flow: Option<Flow>,
    plan: Option<Plan>,
    keys: Vec<Registered>,
    control_token: String,
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    asks: mpsc::Receiver<Ask>,
}

/// Starts a venue.
pub fn start(config: VenueConfig) -> Result<VenueHandle, VenueError> {
    if !config.listen.ip().is_loopback() {
        return Err(VenueError::NotLoopback(config.listen));
    }
    if !config.persona.may_listen_on(config.listen.ip()) {
        return Err(VenueError::NotItsAddress { persona: config.persona, at: config.listen });
    }
    let clock = VenueClock::new(Clock::system());
    let plan = config.recording.clone().map(Plan::read).transpose()?;
    if let Some(plan) = &plan {
        clock.follow(plan.follow());
    }
    let Market { exchange, account, house, flow } = open_market(&config, plan.as_ref(), &clock)?;
    let (demo, keys) = make_keys()?;
    let at = config.listen;
    let listen = |source| VenueError::Listen { at, source };
    let listener = TcpListener::bind(at).map_err(listen)?;
    listener.set_nonblocking(true).map_err(listen)?;
    let local_addr = listener.local_addr().map_err(listen)?;
    let (acceptor, ca) = certificate(&config)?;
    let control_token = random_text(32)?;
    let symbols = exchange.symbols().map(|(_, spec)| spec.symbol.as_str().to_owned()).collect();
    let file = VenueFile {
        version: 1,
        persona: config.persona,
        dialect: config.dialects.first().map_or("binance", |d| d.name()).to_owned(),
        pid: std::process::id(),
        urls: urls(local_addr, config.tls),
        ca,
        symbols,
        keys: demo,
        control: ControlAccess { url: control_url(local_addr, config.tls), token: control_token.clone() },
    };
    let path = config.data_dir.join(VENUE_FILE);
    file.write(&path).map_err(|source| VenueError::File { path: path.clone(), source })?;
    let config_path = path.with_file_name(VENUE_CONFIG);
    let text = file.config(&path.canonicalize().unwrap_or_else(|_| path.clone()));
    write_private(&config_path, text.as_bytes())
        .map_err(|source| VenueError::File { path: config_path, source })?;
    let (ask, asks) = mpsc::channel(64);
    let parts = Parts {
        config,
        clock,
        exchange,
        account,
        house,
        flow,
        plan,
        keys,
        control_token,
        listener,
        acceptor,
        asks,
    };
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(VenueError::Thread)?;
    let thread = start_cold("venue", move || {
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, run(parts));
    });
    let thread = thread.map_err(VenueError::Thread)?;
    Ok(VenueHandle { file, path, local_addr, asks: ask, thread: Some(thread) })
}

fn scheme(tls: bool) -> (&'static str, &'static str) {
    if tls { ("https", "wss") } else { ("http", "ws") }
}

fn urls(at: SocketAddr, tls: bool) -> VenueUrls {
    let (http, ws) = scheme(tls);
    VenueUrls {
        rest: format!("{http}://{at}"),
        ws_streams: format!("{ws}://{at}"),
        ws_api: format!("{ws}://{at}/ws-api/v3"),
    }
}

fn control_url(at: SocketAddr, tls: bool) -> String {
    format!("{}://{at}/control", scheme(tls).0)
}

fn certificate(config: &VenueConfig) -> Result<(Option<TlsAcceptor>, Option<PathBuf>), VenueError> {
    let fail = |path: PathBuf| move |source| VenueError::File { path, source };
    std::fs::create_dir_all(&config.data_dir).map_err(fail(config.data_dir.clone()))?;
    if !config.tls {
        return Ok((None, None));
    }
    let identity = tls::make_identity(config.persona)?;
    let path = config.data_dir.join(CA_FILE);
    write_private(&path, identity.ca_pem.as_bytes()).map_err(fail(path.clone()))?;
    // Other programs are told the path: it must hold wherever they were started.
    let path = path.canonicalize().map_err(fail(path.clone()))?;
    Ok((Some(TlsAcceptor::from(identity.server)), Some(path)))
}

/// The exchange and who trades there.
struct Market {
    exchange: Exchange,
    account: AccountId,
    house: Option<AccountId>,
    flow: Option<Flow>,
}

fn open_market(config: &VenueConfig, plan: Option<&Plan>, clock: &VenueClock) -> Result<Market, VenueError> {
    let now_ns = clock.now_ns();
    let symbols = plan.map_or_else(|| config.symbols.clone(), |plan| plan.specs(&config.symbols));
    let mut exchange = Exchange::new(ExchangeConfig { symbols, ..ExchangeConfig::default() })?;
    let account = exchange.open_account(AccountConfig::CLIENT);
    let mut house = None;
    let mut flow = None;
    if let Some(plan) = plan {
        house = Some(exchange.open_account(AccountConfig::FLOW));
        for (symbol, interval, klines) in plan.history(clock.system_ns())? {
            if let Some(id) = exchange.symbol_id(symbol.as_bytes()) {
                exchange.seed_klines(id, interval, &klines);
            }
        }
    } else if config.flow_percent > 0 {
        let flow_config = FlowConfig {
            rate_percent: config.flow_percent,
            history_mins: config.history_mins,
            ..FlowConfig::for_exchange(&exchange, config.seed)
        };
        flow = Some(
            Flow::new(&flow_config, &mut exchange, now_ns).map_err(|e| VenueError::Balance(e.to_string()))?,
        );
    }
    fund(&mut exchange, config, account, house, now_ns)?;
    // What happened so far is the beginning, not news.
    exchange.drain_market_events().for_each(drop);
    exchange.drain_account_events().for_each(drop);
    Ok(Market { exchange, account, house, flow })
}

fn fund(
    exchange: &mut Exchange,
    config: &VenueConfig,
    account: AccountId,
    house: Option<AccountId>,
    now_ns: i64,
) -> Result<(), VenueError> {
    // Enough for any recorded book, and far from what an asset's sum may be.
    const HOUSE: Qty = Qty::from_units(40_000_000_000 * Qty::ONE.units());
    let fail = |e: crate::sim::exchange::DepositError| VenueError::Balance(e.to_string());
    for (name, amount) in &config.balances {
        if let Some(asset) = exchange.asset_id(name.as_bytes()) {
            exchange.deposit(account, asset, *amount, now_ns).map_err(fail)?;
        }
    }
    if let Some(house) = house {
        for at in 0..exchange.assets().len() {
            let asset = crate::types::AssetId(u16::try_from(at).unwrap_or(u16::MAX));
            exchange.deposit(house, asset, HOUSE, now_ns).map_err(fail)?;
        }
    }
    Ok(())
}

async fn run(parts: Parts) {
    let feed = |(symbol, name)| Feed {
        symbol,
        name,
        fast: Accumulator::default(),
        slow: Accumulator::default(),
        recorded: None,
    };
    let feeds = parts.exchange.symbols().map(|(id, spec)| feed((id, spec.symbol))).collect();
    let mut state = State {
        exchange: parts.exchange,
        hub: Hub::default(),
        feeds,
        limits: Limits::new(parts.config.limits),
        faults: FaultEngine::new(parts.config.faults.clone(), parts.clock.now_ns()),
        keys: parts.keys,
        instance: Clock::system().now().ns.unsigned_abs() / 1_000_000,
        account: parts.account,
        sessions: Vec::new(),
        users: Vec::new(),
        stats: Stats::default(),
    };
    if let (Some(plan), Some(house)) = (&parts.plan, parts.house) {
        state.open_recorded_books(plan, house, parts.clock.now_ns());
        state.publish(parts.clock.now_ns());
    }
    let venue = Rc::new(Venue {
        clock: parts.clock,
        state: RefCell::new(state),
        rules: parts.config.connections,
        control_token: parts.control_token,
        listened: Notify::new(),
    });
    let Ok(listener) = tokio::net::TcpListener::from_std(parts.listener) else { return };
    tokio::task::spawn_local(listener::accept(Rc::clone(&venue), listener, parts.acceptor));
    tokio::task::spawn_local(venue::tick(Rc::clone(&venue)));
    if let Some(flow) = parts.flow {
        tokio::task::spawn_local(venue::live(Rc::clone(&venue), flow));
    }
    if let (Some(plan), Some(house)) = (parts.plan, parts.house) {
        tokio::task::spawn_local(replay::play(Rc::clone(&venue), plan, house));
    }
    answer(&venue, parts.asks).await;
}

/// Does what the handle asks until it asks to stop, or is gone.
async fn answer(venue: &Rc<Venue>, mut asks: mpsc::Receiver<Ask>) {
    while let Some(ask) = asks.recv().await {
        match ask {
            Ask::Stop => break,
            // Whoever asked may have given up.
            Ask::Stats(reply) => drop(reply.send(venue.state.borrow().stats())),
            Ask::Faults(plan) => venue.set_faults(plan),
            Ask::Disconnect(target) => venue.disconnect(target),
            Ask::AnnounceShutdown => venue.announce_shutdown(),
        }
    }
}
