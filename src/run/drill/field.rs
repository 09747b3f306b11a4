//! Where a drill takes place: an embedded venue in this process, an engine as a process of its own, both made for the drill and
//! gone after it. The engine is the very program that would trade; only its venue, its data directory and its strategy are the
//! drill's.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::helm::{Helm, PATIENCE};
use super::{Drill, DrillError, us_between};
use crate::agent::{Clock, clock};
use crate::net::{Endpoint, Method, Rest, RestTimeouts, TlsRoots};
use crate::ops::paths::Paths;
use crate::run::access::{Purpose, read_credentials};
use crate::run::plan::Signing;
use crate::sim::server::{VenueConfig, VenueHandle, start};
use crate::types::time::NS_PER_MS;
use crate::venue::binance::Credentials;
use crate::venue::binance::rest::{
    API_KEY_HEADER, open_orders_request, parse_error, parse_open_orders, parse_time, time_path,
};

/// Between two orders that the venue may refuse.
const ASK_AGAIN: Duration = Duration::from_millis(250);
/// A budget that the run before used up comes back within ten seconds.
const PLACED_WITHIN: Duration = Duration::from_secs(20);
/// Price of orders that are to rest: far below any market of the embedded venue, within its bands.
const FAR_PRICE: u32 = 30_000;

/// The engine's configuration in a drill: a strategy that always wants something, so that there is something to stop; and no
/// thread of a busy host is taken for one that hangs.
const CONFIG: &str = "mode = \"demo\"\n[kill]\nstall_after_ms = 30000\n[emergency]\nwatchdog_ms = 60000\nrollback_modes = []\n\
    [gateway]\ndecision_age_max_ms = 5000\n\
    [[strategy]]\nname = \"order_flow_imbalance\"\n[strategy.params]\nenter_centisigma = 1\nkeep_centisigma = -1000\n\
    events_min = 1\nhalf_life_ms = 100\nspread_max_bp = 1000\ncooldown_ms = 100\nentry_life_ms = 1000\n";

/// An engine that ends with its drill.
#[derive(Debug)]
struct Engine(Child);

impl Drop for Engine {
    fn drop(&mut self) {
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// What a field is made with.
#[derive(Clone, Debug)]
pub struct Ground {
    /// The program that is drilled.
    pub program: PathBuf,
    /// Configuration files that come before the drill's own.
    pub config: Vec<PathBuf>,
    /// A folder that is the drill's.
    pub dir: PathBuf,
}

/// The field.
pub(super) struct Field {
    /// The operator's side of the engine.
    pub(super) helm: Helm,
    /// The venue.
    pub(super) venue: VenueHandle,
    /// How many orders rested before the engine began, as the venue said.
    pub(super) rested: u64,
    engine: Option<Engine>,
    rest: Rest,
    trading_key: Credentials,
    halt_key: Credentials,
    placed: u32,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Field").field("helm", &self.helm).finish_non_exhaustive()
    }
}

impl Field {
    /// Starts venue and engine. Some orders may rest before the engine begins.
    pub(super) fn set(ground: &Ground, drill: &Drill, resting: u64) -> Result<Self, DrillError> {
        let failed = |what: &str, why: String| DrillError::Field(format!("{what}: {why}"));
        fs::create_dir_all(&ground.dir).map_err(|e| failed("a folder for the drill", e.to_string()))?;
        let mut config = VenueConfig::demo(ground.dir.join("venue"));
        (drill.venue)(&mut config);
        let venue = start(config).map_err(|e| failed("the embedded venue", e.to_string()))?;
        let file = venue.file();
        let roots = match &file.ca {
            Some(ca) => {
                TlsRoots::from_pem_file(ca).map_err(|e| failed("the venue's authority", e.to_string()))?
            }
            None => TlsRoots::WebPki,
        };
        let endpoint =
            Endpoint::parse(&file.urls.rest).map_err(|e| failed("the venue's address", e.to_string()))?;
        let key = |purpose| {
            read_credentials(venue.file_path(), purpose)
                .map_err(|e| failed("the venue's keys", e.to_string()))
        };
        let (trading_key, halt_key) = (key(Purpose::Trade(Signing::Hmac))?, key(Purpose::Halt)?);
        let paths = Paths::new(&ground.dir.join("data"), None);
        let drill_file = ground.dir.join("drill.toml");
        fs::write(&drill_file, format!("{CONFIG}{}", drill.engine))
            .map_err(|e| failed("the configuration", e.to_string()))?;
        let mut field = Self {
            helm: Helm { paths, clock: Clock::system(), by: "drill".to_owned() },
            rested: 0,
            engine: None,
            rest: Rest::new(endpoint, &roots, RestTimeouts::default()),
            trading_key,
            halt_key,
            placed: 0,
            venue,
        };
        if resting > 0 {
            field.rest_orders(resting)?;
            field.rested = field.open()?;
        }
        field.engine = Some(field.start_engine(ground, &drill_file)?);
        Ok(field)
    }

    fn start_engine(&self, ground: &Ground, drill_file: &Path) -> Result<Engine, DrillError> {
        let failed = |what: &str, why: String| DrillError::Field(format!("{what}: {why}"));
        let log = File::create(ground.dir.join("engine.log")).map_err(|e| failed("a log", e.to_string()))?;
        let mut command = Command::new(&ground.program);
        command.args(["run", "--plain", "--venue"]).arg(self.venue.file_path());
        command.arg("--data-dir").arg(&self.helm.paths.data);
        for path in ground.config.iter().map(PathBuf::as_path).chain([drill_file]) {
            command.arg("-c").arg(path);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().map(Engine).map_err(|e| failed("the engine", e.to_string()))
    }

    /// The engine's process.
    pub(super) fn pid(&self) -> u32 {
        self.engine.as_ref().map_or(0, |engine| engine.0.id())
    }

    /// Waits until something is found; an engine that ended is told with its last words.
    pub(super) fn wait<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut found: impl FnMut(&Helm) -> Option<T>,
    ) -> Result<T, DrillError> {
        let log = self.helm.paths.data.parent().map(|dir| dir.join("engine.log")).unwrap_or_default();
        let Self { helm, engine, .. } = self;
        let mut ended = || {
            let status = engine.as_mut()?.0.try_wait().ok().flatten()?;
            Some(format!("the engine ended ({status}, last words: {})", last_words(&log)))
        };
        helm.wait(what, within, &mut ended, || found(helm))
    }

    /// Waits until orders may leave.
    pub(super) fn wait_until_trading(&mut self) -> Result<(), DrillError> {
        self.wait("trading", PATIENCE, |helm| helm.is_trading().then_some(()))
    }

    /// Waits for the venue's word that nothing is open in a halt epoch; when it came.
    pub(super) fn wait_until_silent(&mut self, epoch: u64, within: Duration) -> Result<i64, DrillError> {
        let page = self.helm.page()?;
        self.wait("the venue's word that nothing is open", within, |_| {
            let (silent_epoch, silent_ns) = page.silent();
            (silent_epoch >= epoch).then_some(silent_ns)
        })
    }

    /// Recovers as an operator does, the emergency stop first if that is in force; how long it took until orders may leave again,
    /// microseconds.
    pub(super) fn recover(&mut self, by_layer: bool) -> Result<u64, DrillError> {
        let began_ns = self.helm.clock.mono_ns();
        let emergency = |helm: &Helm| helm.status().map(|status| status.view.layers.emergency);
        if by_layer {
            self.helm.reset_layers()?;
            self.wait("the reset", PATIENCE, |helm| emergency(helm).is_ok_and(|it| !it).then_some(()))?;
        }
        self.helm.recover()?;
        self.wait_until_trading()?;
        Ok(us_between(began_ns, self.helm.clock.mono_ns()))
    }

    fn time_ms(&self) -> Result<i64, DrillError> {
        let answer = self.rest.get(time_path(), &[]).map_err(|e| DrillError::Venue(e.to_string()))?;
        let time_ns = parse_time(&answer.body).map_err(|e| DrillError::Venue(e.to_string()))?;
        Ok(time_ns / NS_PER_MS)
    }

    /// Places one order that rests, on the engine's account but not by the engine, as somebody's stray order. The venue's code
    /// if it refuses.
    pub(super) fn place(&mut self) -> Result<Result<(), i32>, DrillError> {
        self.placed += 1;
        let price = FAR_PRICE - self.placed % 1_000;
        let query = format!(
            "symbol=BTCUSDT&side=BUY&type=LIMIT&timeInForce=GTC&quantity=0.001&price={price}.00\
             &newClientOrderId=drill-{}-{}&timestamp={}",
            std::process::id(),
            self.placed,
            self.time_ms()?
        );
        let signature = self.trading_key.sign(query.as_bytes());
        let path = format!("/api/v3/order?{query}&signature={}", signature.as_str());
        let headers = [(API_KEY_HEADER, self.trading_key.api_key())];
        let answer = self.rest.request(Method::Post, &path, &headers, b"");
        let answer = answer.map_err(|e| DrillError::Venue(e.to_string()))?;
        if answer.is_success() {
            return Ok(Ok(()));
        }
        let (code, text) = parse_error(&answer.body).unwrap_or_default();
        if code == 0 { Err(DrillError::Venue(format!("{}: {text}", answer.status))) } else { Ok(Err(code)) }
    }

    /// Places orders that rest, until the venue has taken so many.
    pub(super) fn rest_orders(&mut self, count: u64) -> Result<(), DrillError> {
        let limit_ns = i64::try_from(PLACED_WITHIN.as_nanos()).unwrap_or(i64::MAX);
        for _ in 0..count {
            let deadline_ns = self.helm.clock.mono_ns().saturating_add(limit_ns);
            while !matches!(self.place(), Ok(Ok(()))) {
                if self.helm.clock.mono_ns() >= deadline_ns {
                    let what = "the venue's taking of an order".to_owned();
                    return Err(DrillError::Late { what, after: PLACED_WITHIN });
                }
                // Asked slowly: a venue that is asked on and on takes nothing any more, from anyone here.
                clock::sleep(ASK_AGAIN);
            }
        }
        Ok(())
    }

    /// How many orders the venue says are open on the account.
    pub(super) fn open(&self) -> Result<u64, DrillError> {
        let request = open_orders_request(&self.halt_key, None, self.time_ms()?);
        let headers = [(API_KEY_HEADER, self.halt_key.api_key())];
        let answer = self.rest.request(Method::Get, &request.path_and_query, &headers, b"");
        let answer = answer.map_err(|e| DrillError::Venue(e.to_string()))?;
        if !answer.is_success() {
            let (code, text) = parse_error(&answer.body).unwrap_or_default();
            return Err(DrillError::Venue(format!("{}: {code} {text}", answer.status)));
        }
        let orders = parse_open_orders(&answer.body).map_err(|e| DrillError::Venue(e.to_string()))?;
        Ok(orders.len() as u64)
    }
}

fn last_words(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(3)..].join(" | ")
}
