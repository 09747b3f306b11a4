//! A stage for process tests: a venue and an engine, each a process of its own, ended when the test ends however it ends.

use std::any::Any;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use interlock::agent::clock;
use interlock::net::{Endpoint, Method, Rest, RestTimeouts, TlsRoots};
use interlock::ops::client;
use interlock::ops::paths::Paths;
use interlock::ops::status::Status;
use interlock::run::access::{Purpose, read_credentials};
use interlock::run::plan::Signing;
use interlock::sim::server::{LimitRules, Persona, VenueConfig, VenueFile};
use interlock::venue::binance::rest::{
    API_KEY_HEADER, OpenOrder, open_orders_request, parse_open_orders, parse_time, time_path,
};

/// How long anything may take before a test gives up. Generous: machines that run tests are busy.
const PATIENCE: Duration = Duration::from_mins(1);

/// Configuration for engines that share a machine with other tests: no core is hogged, and nothing is taken for a stall.
pub(crate) struct Calm;

impl Calm {
    pub(crate) const TEXT: &str = "[placement]\nidle = \"park\"\nunpinned = true\n[kill]\nlease_ms = 5000\n\
                                   stall_after_ms = 60000\nclock_step_max_ms = 5000\n[gateway]\ndecision_age_max_ms = 10000\n";
    /// Always wants an order or has one.
    const EAGER: &str = "[[strategy]]\nname = \"order_flow_imbalance\"\n[strategy.params]\nenter_centisigma = 1\n\
                         keep_centisigma = -1000\nevents_min = 1\nhalf_life_ms = 100\nspread_max_bp = 1000\ncooldown_ms = 300\n\
                         entry_life_ms = 600000\n[risk.turnover]\napply = \"never\"\n";

    /// Arguments that name it.
    pub(crate) fn args(stage: &Stage) -> Vec<OsString> {
        let path = stage.dir.path().join("calm.toml");
        fs::write(&path, Self::TEXT).unwrap();
        vec!["-c".into(), path.into()]
    }

    /// The same with a strategy that always wants something.
    pub(crate) fn eager(stage: &Stage) -> Vec<OsString> {
        let path = stage.dir.path().join("eager.toml");
        fs::write(&path, Self::EAGER).unwrap();
        let mut args = Self::args(stage);
        args.extend(["-c".into(), path.into()]);
        args
    }
}

/// A process that does not outlive the test.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

pub(crate) struct Stage {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) paths: Paths,
    pub(crate) venue: VenueFile,
    rest: Rest,
    /// Whose drop ends the venue.
    _venue_runs: Box<dyn Any>,
    _alone: Option<File>,
}

/// Holds the machine for one test at a time: engines of several tests on two cores starve each other, and then tests measure
/// the scheduler. Released when dropped.
pub(crate) fn alone() -> File {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("process-tests.lock");
    let lock = File::options().write(true).create(true).truncate(false).open(path).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    lock
}

/// Waits until `found` finds something.
pub(crate) fn wait_for<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let clock = interlock::agent::Clock::system();
    let deadline_ns = clock.mono_ns() + i64::try_from(PATIENCE.as_nanos()).unwrap();
    loop {
        if let Some(it) = found() {
            return it;
        }
        assert!(clock.mono_ns() < deadline_ns, "waited in vain for {what}");
        clock::sleep(Duration::from_millis(20));
    }
}

impl Stage {
    /// A venue with its usual participants.
    pub(crate) fn set() -> Self {
        Self::playing("demo")
    }

    /// The same, playing someone: a test network, the live venue.
    pub(crate) fn playing(persona: &str) -> Self {
        let alone = alone();
        let dir = tempfile::tempdir().unwrap();
        let venue_dir = dir.path().join("venue");
        let process = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["venue", "--persona", persona, "--data-dir"])
            .arg(&venue_dir)
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("venue.log")).unwrap())
            .spawn()
            .unwrap();
        wait_for("venue.json", || VenueFile::read(&venue_dir.join("venue.json")).ok());
        Self::made(dir, Box::new(Running(process)), Some(alone))
    }

    /// A venue that runs already and has written its file below `dir`; it ends when `venue_runs` is dropped.
    pub(crate) fn on(dir: tempfile::TempDir, venue_runs: Box<dyn Any>) -> Self {
        Self::made(dir, venue_runs, Some(alone()))
    }

    /// One of several stages of a test that has the machine to itself, on a venue that counts no requests: an engine that is
    /// started anew every few seconds would use up what an address may ask.
    pub(crate) fn beside() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let limits = LimitRules {
            weight_per_min: u32::MAX,
            raw_per_5min: u32::MAX,
            connects_per_5min: u32::MAX,
            orders_per_10s: u32::MAX,
            orders_per_day: u32::MAX,
            ..LimitRules::default()
        };
        let config = VenueConfig { limits, ..VenueConfig::playing(Persona::Demo, dir.path().join("venue")) };
        let handle = interlock::sim::server::start(config).unwrap();
        Self::made(dir, Box::new(handle), None)
    }

    fn made(dir: tempfile::TempDir, venue_runs: Box<dyn Any>, alone: Option<File>) -> Self {
        let venue = VenueFile::read(&dir.path().join("venue/venue.json")).unwrap();
        let roots = TlsRoots::from_pem_file(venue.ca.as_ref().unwrap()).unwrap();
        let rest = Rest::new(Endpoint::parse(&venue.urls.rest).unwrap(), &roots, RestTimeouts::default());
        let data = dir.path().join("data");
        Self { paths: Paths::new(&data, None), dir, venue, rest, _venue_runs: venue_runs, _alone: alone }
    }

    pub(crate) fn venue_file(&self) -> PathBuf {
        self.dir.path().join("venue/venue.json")
    }

    /// An engine; waits until it answers.
    pub(crate) fn engine(&self, more: &[&str]) -> Running {
        self.engine_at(&self.venue_file(), &more.iter().map(OsString::from).collect::<Vec<_>>())
    }

    /// A calm one.
    pub(crate) fn calm_engine(&self) -> Running {
        self.engine_at(&self.venue_file(), &Calm::args(self))
    }

    /// An engine on the venue that this file tells of.
    pub(crate) fn engine_at(&self, venue: &Path, more: &[OsString]) -> Running {
        let mut engine = self.engine_begun(venue, more);
        wait_for("the engine's status", || {
            if let Some(status) = engine.0.try_wait().unwrap() {
                panic!("the engine ended: {status}\n{}", self.log());
            }
            client::read_status(&self.paths).ok()
        });
        engine
    }

    /// The same, not waited for.
    pub(crate) fn engine_begun(&self, venue: &Path, more: &[OsString]) -> Running {
        let log = self.dir.path().join("engine.log");
        let process = Command::new(env!("CARGO_BIN_EXE_interlock"))
            .args(["run", "--plain", "--venue"])
            .arg(venue)
            .arg("--data-dir")
            .arg(&self.paths.data)
            .args(more)
            .stdout(Stdio::null())
            .stderr(File::options().append(true).create(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Running(process)
    }

    /// The venue's process stands still: sockets stay open, nothing answers.
    pub(crate) fn stop_venue(&self) {
        self.signal_venue(rustix::process::Signal::STOP);
    }

    /// And goes on.
    pub(crate) fn go_on_venue(&self) {
        self.signal_venue(rustix::process::Signal::CONT);
    }

    fn signal_venue(&self, signal: rustix::process::Signal) {
        let pid = i32::try_from(self.venue.pid).unwrap();
        assert_ne!(self.venue.pid, std::process::id(), "a venue of its own process");
        rustix::process::kill_process(rustix::process::Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// What the engines said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("engine.log")).unwrap()
    }

    /// An engine that is run to its end: one that refuses to start, or with a `--duration`. Bounded by a duration in any case.
    pub(crate) fn run_in(&self, data: &Path, venue: &Path, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        command
            .args(["run", "--plain", "--venue"])
            .arg(venue)
            .arg("--data-dir")
            .arg(data)
            .args(Calm::args(self));
        if !more.contains(&"--duration") {
            command.args(["--duration", "10s"]);
        }
        command.args(more).output().unwrap()
    }

    pub(crate) fn status(&self) -> Status {
        client::read_status(&self.paths).unwrap()
    }

    pub(crate) fn wait_until_trading(&self) {
        wait_for("trading", || self.status().kill.trading.then_some(()));
    }

    pub(crate) fn interlock(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock"));
        command.args(args).arg("--data-dir").arg(&self.paths.data).output().unwrap()
    }

    pub(crate) fn halt(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_interlock-halt"));
        command.arg("--data-dir").arg(&self.paths.data).args(args).output().unwrap()
    }

    /// Places an order on the engine's account, far from the market, as someone else would.
    pub(crate) fn place(&self, price: &str, client_id: &str) {
        let credentials = read_credentials(&self.venue_file(), Purpose::Trade(Signing::Hmac)).unwrap();
        let query = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price={price}\
             &newClientOrderId={client_id}&timestamp={}",
            self.time_ms()
        );
        let signature = credentials.sign(query.as_bytes());
        let path = format!("/api/v3/order?{query}&signature={}", signature.as_str());
        let answer =
            self.rest.request(Method::Post, &path, &[(API_KEY_HEADER, credentials.api_key())], b"").unwrap();
        assert!(answer.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    }

    /// What the venue says is open.
    pub(crate) fn open(&self) -> Vec<OpenOrder> {
        let credentials = read_credentials(&self.venue_file(), Purpose::Halt).unwrap();
        let request = open_orders_request(&credentials, None, self.time_ms());
        let headers = [(API_KEY_HEADER, credentials.api_key())];
        let answer = self.rest.request(Method::Get, &request.path_and_query, &headers, b"").unwrap();
        parse_open_orders(&answer.body).unwrap()
    }

    /// What the venue has counted.
    pub(crate) fn stats(&self) -> serde_json::Value {
        let headers = [("X-Control-Token", self.venue.control.token.as_str())];
        let answer = self.rest.get("/control/stats", &headers).unwrap();
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// What the venue answers to a signed question.
    pub(crate) fn signed(&self, path: &str, params: &str) -> serde_json::Value {
        let credentials = read_credentials(&self.venue_file(), Purpose::Trade(Signing::Hmac)).unwrap();
        let query = format!("{params}&timestamp={}", self.time_ms());
        let signature = credentials.sign(query.as_bytes());
        let path = format!("{path}?{query}&signature={}", signature.as_str());
        let headers = [(API_KEY_HEADER, credentials.api_key())];
        let answer = self.rest.request(Method::Get, &path, &headers, b"").unwrap();
        assert!(answer.is_success(), "{}", String::from_utf8_lossy(&answer.body));
        serde_json::from_slice(&answer.body).unwrap()
    }

    /// Puts faults in force at the venue.
    pub(crate) fn faults(&self, json: &str) {
        self.control("faults", json);
    }

    /// Steers the venue.
    pub(crate) fn control(&self, what: &str, json: &str) {
        let path = format!("/control/{what}");
        let headers = [("X-Control-Token", self.venue.control.token.as_str())];
        let answer = self.rest.request(Method::Post, &path, &headers, json.as_bytes()).unwrap();
        assert!(answer.is_success(), "{}", String::from_utf8_lossy(&answer.body));
    }

    fn time_ms(&self) -> i64 {
        parse_time(&self.rest.get(time_path(), &[]).unwrap().body).unwrap() / 1_000_000
    }
}

pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// The thread of a process by its name.
pub(crate) fn thread_of(pid: u32, name: &str) -> i32 {
    let tasks = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("task")).unwrap();
    tasks
        .flatten()
        .find(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name))
        .and_then(|task| task.file_name().to_str()?.parse().ok())
        .unwrap_or_else(|| panic!("no thread {name}"))
}

/// Sends a signal to one process, by its id.
pub(crate) fn signal(process: &Running, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(&process.0);
    rustix::process::kill_process(pid, signal).unwrap();
}

/// A disk of a few megabytes, where mounting one is permitted.
pub(crate) struct SmallDisk(pub(crate) PathBuf);

impl SmallDisk {
    pub(crate) fn mount(at: &Path, mebibytes: u32) -> Option<Self> {
        fs::create_dir(at).unwrap();
        let size = format!("size={mebibytes}m");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(at).output();
        if mount.is_ok_and(|output| output.status.success()) {
            return Some(Self(at.to_owned()));
        }
        println!("skipped: mounting isn't permitted here");
        None
    }

    /// Until nothing more fits.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.0.join("filler")).unwrap();
        let piece = vec![0xAAu8; 1 << 16];
        while filler.write_all(&piece).is_ok() {}
        while filler.write_all(&piece[..1]).is_ok() {}
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: processes of the test may still be on their way out.
        let _unmounted = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// One thread of another process, stopped for as long as this lives. SIGSTOP would stop all of them.
pub(crate) struct FrozenThread(i32);

impl FrozenThread {
    /// `None` where tracing isn't permitted.
    #[expect(unsafe_code, reason = "ptrace has no safe wrapper here")]
    pub(crate) fn freeze(thread: i32) -> Option<Self> {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: attaches to a thread of a child of ours; no memory of ours is involved.
        if unsafe { libc::ptrace(libc::PTRACE_SEIZE, thread, none, none) } != 0 {
            println!("skipped: ptrace isn't permitted here");
            return None;
        }
        // SAFETY: as above.
        let stopped = unsafe { libc::ptrace(libc::PTRACE_INTERRUPT, thread, none, none) };
        assert_eq!(stopped, 0, "a seized thread can be stopped");
        Some(Self(thread))
    }
}

impl Drop for FrozenThread {
    #[expect(unsafe_code, reason = "ptrace has no safe wrapper here")]
    fn drop(&mut self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: detaches from the thread that `freeze` attached to; if it is gone, nothing happens.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) };
    }
}
