//! A control thread on the caller's thread: virtual time, a real data directory, real sockets, and the rest of the engine
//! played by the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use interlock::agent::{Agent, Clock};
use interlock::event::Command;
use interlock::journal::entry::Control as Act;
use interlock::ops::control::{Control, ControlConfig, ControlParts, Receipt, Recorder};
use interlock::ops::events::Events;
use interlock::ops::health::{Bounds, Health, Illness, Thread, Vitals};
use interlock::ops::latency::Histograms;
use interlock::ops::paths::Paths;
use interlock::ops::protocol::Answer;
use interlock::ops::socket::{Policy, Server};
use interlock::ops::watch::{self, ExecutionLine, View};
use interlock::shared::{Counters, KillPage};
use interlock::types::{InstrumentTable, Now, Qty};
use serde_json::{Value, json};

pub(crate) const MS: i64 = 1_000_000;
pub(crate) const START_NS: i64 = 1_700_000_000_000_000_000;

/// What the journal does with what it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Disk {
    /// Durable at once.
    Works = 0,
    /// Never answers.
    Hangs = 1,
    /// Full.
    Fails = 2,
}

struct TestRecorder {
    acts: mpsc::Sender<Act>,
    disk: Arc<AtomicU8>,
}

impl Recorder for TestRecorder {
    fn submit(&mut self, act: Act) -> Result<Receipt, String> {
        if self.disk.load(Ordering::Relaxed) == Disk::Fails as u8 {
            return Err("no space left on device".to_owned());
        }
        self.acts.send(act).unwrap();
        let disk = Arc::clone(&self.disk);
        Ok(Receipt::new(move || match disk.load(Ordering::Relaxed) {
            0 => Some(Ok(())),
            1 => None,
            _ => Some(Err("no space left on device".to_owned())),
        }))
    }
}

pub(crate) struct Options {
    pub(crate) config: ControlConfig,
    pub(crate) policy: Policy,
    pub(crate) threads: usize,
    pub(crate) health: Vec<Box<dyn Health>>,
}

impl Default for Options {
    fn default() -> Self {
        let mut config = ControlConfig::new("test");
        config.wait_ns = 0;
        Self { config, policy: Policy::standard(&[]), threads: 2, health: Vec::new() }
    }
}

pub(crate) struct Rig {
    pub(crate) paths: Paths,
    pub(crate) page: Arc<KillPage>,
    pub(crate) clock: Clock,
    pub(crate) counters: Arc<Counters>,
    pub(crate) control: Control,
    pub(crate) commands: interlock::agent::ring::Consumer<Command>,
    pub(crate) acts: mpsc::Receiver<Act>,
    pub(crate) view: View,
    /// Threads of the engine that still move.
    pub(crate) moving: Vec<bool>,
    disk: Arc<AtomicU8>,
    mono_ns: i64,
    seen: watch::Watcher,
    shown: watch::Publisher,
    /// What is held of the one instrument, as the control thread is told.
    held: Qty,
    /// How orders fare, in each snapshot.
    pub(crate) execution: ExecutionLine,
    _dir: Option<tempfile::TempDir>,
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(crate) fn with(options: Options) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let paths = Paths::new(dir.path(), None);
        Self::in_folder(options, paths, Some(dir))
    }

    pub(crate) fn in_folder(options: Options, paths: Paths, dir: Option<tempfile::TempDir>) -> Self {
        let clock = Clock::virtual_at(START_NS);
        let now = clock.now();
        let page = Arc::new(KillPage::create(&paths.kill_page(), 0xB007, now).unwrap());
        let counters = Arc::new(Counters::default());
        let threads: Vec<_> =
            (0..options.threads).map(|slot| Thread { slot, name: format!("stage{slot}") }).collect();
        let bounds =
            Bounds { stall_ns: options.config.stall_ns, journal_lag_ns: 200 * MS, market_age_ns: 3_000 * MS };
        let (acts_in, acts) = mpsc::channel();
        let disk = Arc::new(AtomicU8::new(Disk::Works as u8));
        let (shown, watcher) = watch::channel();
        let (publisher, seen) = watch::channel();
        let table = table();
        let (producer, commands) = rtrb::RingBuffer::new(4);
        let parts = ControlParts {
            paths: paths.clone(),
            page: Arc::clone(&page),
            clock: clock.clone(),
            counters: Arc::clone(&counters),
            commands: producer.into(),
            table: table.clone(),
            vitals: Vitals::new(bounds, Arc::clone(&page), Arc::clone(&counters), threads),
            health: options.health,
            reconcile: None,
            connects: None,
            recorder: Box::new(TestRecorder { acts: acts_in, disk: Arc::clone(&disk) }),
            watcher,
            latency: Histograms::new(clock.clone(), Vec::new(), Vec::new()),
            server: Server::bind(&paths, options.policy).unwrap(),
            events: Events::open(&paths.events()).unwrap(),
        };
        let control = Control::new(options.config, parts);
        let view = View::new(table, &["first".to_owned()], vec![publisher]);
        let moving = vec![true; options.threads];
        let mut rig = Self {
            paths,
            page,
            clock,
            counters,
            control,
            commands,
            acts,
            view,
            moving,
            disk,
            mono_ns: 0,
            seen,
            shown,
            held: Qty::ZERO,
            execution: ExecutionLine::default(),
            _dir: dir,
        };
        rig.market_moves();
        rig.control.on_start(now);
        rig.run_for(1);
        rig
    }

    pub(crate) fn now(&self) -> Now {
        self.clock.now()
    }

    pub(crate) fn disk(&self, disk: Disk) {
        self.disk.store(disk as u8, Ordering::Relaxed);
    }

    /// A fact about the market, now.
    pub(crate) fn market_moves(&mut self) {
        use interlock::event::{Body, Depth, Fact, Record};
        use interlock::types::{InstrumentId, Level};
        let depth = Depth {
            instrument: InstrumentId(0),
            count: 0,
            asks: 0,
            first: true,
            last: true,
            snapshot: false,
            update_id: 1,
            venue_ns: 0,
            levels: [Level::default(); 4],
        };
        let fact = Fact { seq: 1, recv_ns: self.clock.now().ns, body: Body::Depth(depth) };
        self.view.observe(1, &Record::Fact(fact));
    }

    /// Lets `ms` of virtual time pass, a millisecond at a time: stages beat, control polls.
    pub(crate) fn run_for(&mut self, ms: i64) {
        for _ in 0..ms {
            self.mono_ns += MS;
            self.clock.set_virtual(self.mono_ns);
            let now = self.clock.now();
            for (slot, moving) in self.moving.iter().enumerate() {
                if *moving {
                    self.page.heartbeat(slot, now);
                }
            }
            if self.view.publish_if_due(now) {
                let mut snapshot = self.seen.latest().as_ref().clone();
                snapshot.fact_ns = now.ns;
                let first = &mut snapshot.instruments[0].position;
                *first = first.checked_add(self.held).unwrap();
                snapshot.execution = self.execution.clone();
                self.shown.publish(&Arc::new(snapshot));
            }
            self.control.poll(now);
        }
    }

    /// From the next snapshot on, so much more is held.
    pub(crate) fn position(&mut self, more: &str) {
        self.held = self.held.checked_add(more.parse().unwrap()).unwrap();
    }

    /// As the engine stands still for `ms` and then goes on (SIGSTOP, SIGCONT; a suspended machine).
    pub(crate) fn stand_still(&mut self, ms: i64) {
        self.mono_ns += ms * MS;
        self.clock.set_virtual(self.mono_ns);
    }

    /// Arms by the socket, with the gateway's part played.
    pub(crate) fn arm(&mut self) {
        while self.commands.pop().is_ok() {}
        let mut operator = Operator::admin(&self.paths);
        operator.say(&json!({"v":1,"id":1,"cmd":"kill.recover","args":{"cause":"test","by":"test"}}));
        self.run_for(3);
        self.page.set_reconciled(self.page.view(self.now()).epoch);
        self.run_for(3);
        assert_eq!(operator.hear().stage.as_deref(), Some("accepted"));
        let armed = operator.hear();
        assert_eq!(armed.stage.as_deref(), Some("armed"), "{armed:?}");
        self.run_for(200);
        self.market_moves();
        assert!(self.page.view(self.now()).allows_risk(), "armed, and the lease runs");
    }

    /// The events so far, by name.
    pub(crate) fn events(&self) -> Vec<(String, Value)> {
        let text = std::fs::read_to_string(self.paths.events()).unwrap();
        text.lines()
            .map(|line| {
                let event: Value = serde_json::from_str(line).unwrap();
                (event["event"].as_str().unwrap().to_owned(), event["fields"].clone())
            })
            .collect()
    }

    pub(crate) fn has_event(&self, name: &str) -> bool {
        self.events().iter().any(|(n, _)| n == name)
    }
}

/// One instrument.
pub(crate) fn table() -> InstrumentTable {
    use interlock::types::instrument::{LotRule, NotionalRule, PercentPriceRule, PriceRule};
    use interlock::types::{Instrument, InstrumentId, Qty, Symbol};
    let mut table = InstrumentTable::default();
    let base = table.intern_asset(Symbol::new(b"BTC").unwrap()).unwrap();
    let quote = table.intern_asset(Symbol::new(b"USDT").unwrap()).unwrap();
    let instrument = Instrument {
        id: InstrumentId(0),
        symbol: Symbol::new(b"BTCUSDT").unwrap(),
        base,
        quote,
        trading: true,
        cancel_allowed: true,
        price: PriceRule::default(),
        lot: LotRule::default(),
        market_lot: LotRule::default(),
        notional: NotionalRule::default(),
        band: PercentPriceRule::default(),
        orders_max: 0,
        position_max: Qty::ZERO,
        iceberg_parts_max: 0,
        price_decimals: 2,
        qty_decimals: 5,
    };
    table.push(instrument).unwrap();
    table
}

/// The other end of a socket.
pub(crate) struct Operator {
    reader: BufReader<UnixStream>,
}

impl Operator {
    pub(crate) fn admin(paths: &Paths) -> Self {
        Self::at(&paths.admin_socket())
    }
    pub(crate) fn reader(paths: &Paths) -> Self {
        Self::at(&paths.ro_socket())
    }
    fn at(path: &std::path::Path) -> Self {
        let stream = UnixStream::connect(path).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
        Self { reader: BufReader::new(stream) }
    }
    pub(crate) fn say(&mut self, request: &Value) {
        self.write(format!("{request}\n").as_bytes());
    }
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).unwrap();
    }
    pub(crate) fn stream(&self) -> &UnixStream {
        self.reader.get_ref()
    }
    pub(crate) fn hear(&mut self) -> Answer {
        let line = self.hear_line();
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }
    pub(crate) fn hear_line(&mut self) -> String {
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => String::new(),
            read => {
                read.unwrap();
                line
            }
        }
    }
    /// Whether the other end has closed.
    pub(crate) fn is_closed(&mut self) -> bool {
        let mut line = String::new();
        self.reader.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
        let read = self.reader.read_line(&mut line);
        self.reader.get_ref().set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        match read {
            Ok(n) => n == 0,
            Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
        }
    }
}

/// A condition that a test switches.
pub(crate) fn switch(on: &Arc<AtomicU8>, illness: Illness) -> Box<dyn Health> {
    let on = Arc::clone(on);
    Box::new(move |_now: Now| (on.load(Ordering::Relaxed) != 0).then(|| illness.clone()))
}
