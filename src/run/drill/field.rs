//! Where a drill takes place: an embedded venue in this process, an engine as a process of its own, both made for the drill and
//! gone after it. The engine is the very program that would trade; only its venue, its data directory and its strategy are the
//! drill's.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::DrillError;
use crate::agent::{Clock, clock};
use crate::net::{Endpoint, Method, Rest, RestTimeouts, TlsRoots};
use crate::ops::client::{self, Connection};
use crate::ops::paths::Paths;
use crate::ops::protocol::{Answer, RecoverArgs, TripArgs, Verb};
use crate::ops::status::Status;
use crate::run::access::{Purpose, read_credentials};
use crate::run::plan::Signing;
use crate::shared::KillPage;
use crate::sim::server::{VenueConfig, VenueHandle, start};
use crate::types::time::NS_PER_MS;
use crate::venue::binance::Credentials;
use crate::venue::binance::rest::{
    API_KEY_HEADER, open_orders_request, parse_error, parse_open_orders, parse_time, time_path,
};

/// How long anything but the venue's silence may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(2);
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
    /// The engine's data directory.
    pub(super) paths: Paths,
    /// The venue.
    pub(super) venue: VenueHandle,
    /// The clock that our own readings come from.
    pub(super) clock: Clock,
    engine: Engine,
    rest: Rest,
    trading_key: Credentials,
    halt_key: Credentials,
    placed: u32,
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Field").field("paths", &self.paths).finish_non_exhaustive()
    }
}

impl Field {
    /// Starts venue and engine; waits until the engine trades.
    pub(super) fn set(ground: &Ground, shape: fn(&mut VenueConfig), more: &str) -> Result<Self, DrillError> {
        let failed = |what: &str, why: String| DrillError::Field(format!("{what}: {why}"));
        fs::create_dir_all(&ground.dir).map_err(|e| failed("a folder for the drill", e.to_string()))?;
        let mut config = VenueConfig::demo(ground.dir.join("venue"));
        shape(&mut config);
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
        let drill = ground.dir.join("drill.toml");
        fs::write(&drill, format!("{CONFIG}{more}"))
            .map_err(|e| failed("the configuration", e.to_string()))?;
        let log = File::create(ground.dir.join("engine.log")).map_err(|e| failed("a log", e.to_string()))?;
        let mut command = Command::new(&ground.program);
        command.args(["run", "--plain", "--venue"]).arg(venue.file_path());
        command.arg("--data-dir").arg(&paths.data);
        for path in ground.config.iter().chain([&drill]) {
            command.arg("-c").arg(path);
        }
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let engine = command.spawn().map_err(|e| failed("the engine", e.to_string()))?;
        let mut field = Self {
            paths,
            clock: Clock::system(),
            engine: Engine(engine),
            rest: Rest::new(endpoint, &roots, RestTimeouts::default()),
            trading_key,
            halt_key,
            placed: 0,
            venue,
        };
        field.wait_until_trading()?;
        Ok(field)
    }

    /// The engine's process.
    pub(super) fn pid(&self) -> u32 {
        self.engine.0.id()
    }

    /// One look at the engine.
    pub(super) fn status(&self) -> Result<Status, DrillError> {
        client::read_status(&self.paths).map_err(DrillError::Engine)
    }

    /// The page, as someone outside maps it.
    pub(super) fn page(&self) -> Result<KillPage, DrillError> {
        KillPage::open(&self.paths.kill_page()).map_err(|e| DrillError::Engine(format!("the kill page: {e}")))
    }

    /// Waits until something is found; an engine that ended is told with its last words.
    pub(super) fn wait<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut found: impl FnMut(&mut Self) -> Option<T>,
    ) -> Result<T, DrillError> {
        let limit_ns = i64::try_from(within.as_nanos()).unwrap_or(i64::MAX);
        let deadline_ns = self.clock.mono_ns().saturating_add(limit_ns);
        loop {
            if let Some(it) = found(self) {
                return Ok(it);
            }
            if let Ok(Some(status)) = self.engine.0.try_wait() {
                return Err(DrillError::Engine(format!(
                    "the engine ended ({status}) while waiting for {what}: {}",
                    self.last_words()
                )));
            }
            if self.clock.mono_ns() >= deadline_ns {
                return Err(DrillError::Late { what: what.to_owned(), after: within });
            }
            clock::sleep(LOOK_EVERY);
        }
    }

    fn last_words(&self) -> String {
        let log = self.paths.data.parent().map(|dir| dir.join("engine.log")).unwrap_or_default();
        let text = fs::read_to_string(log).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        lines[lines.len().saturating_sub(3)..].join(" | ")
    }

    /// Waits until orders may leave.
    pub(super) fn wait_until_trading(&mut self) -> Result<(), DrillError> {
        self.wait("trading", PATIENCE, |field| {
            client::read_status(&field.paths).is_ok_and(|status| status.kill.trading).then_some(())
        })
    }

    /// Waits for the venue's word that nothing is open in a halt epoch; when it came.
    pub(super) fn wait_until_silent(&mut self, epoch: u64, within: Duration) -> Result<i64, DrillError> {
        let page = self.page()?;
        self.wait("the venue's word that nothing is open", within, |_| {
            let (silent_epoch, silent_ns) = page.silent();
            (silent_epoch >= epoch).then_some(silent_ns)
        })
    }

    /// Trips as an operator's command does, as a drill; hears the first answer.
    pub(super) fn trip(&self, why: &str) -> Result<(Connection, Answer), DrillError> {
        let told = |e: client::ClientError| DrillError::Engine(e.to_string());
        let mut connection = Connection::open(&self.paths, true).map_err(told)?;
        let args = Self::trip_args(why);
        connection.send(Verb::KillTrip, json!(args), Some(PATIENCE)).map_err(told)?;
        let first = connection.receive(PATIENCE).map_err(told)?;
        Ok((connection, first))
    }

    /// The arguments of such a trip.
    pub(super) fn trip_args(why: &str) -> TripArgs {
        TripArgs { reason: why.to_owned(), by: "drill".to_owned(), flatten: false, drill: true }
    }

    /// Recovers as an operator does; how long it took until orders may leave again, microseconds.
    pub(super) fn recover(&mut self) -> Result<u64, DrillError> {
        let began_ns = self.clock.mono_ns();
        let told = |e: client::ClientError| DrillError::Engine(e.to_string());
        let mut connection = Connection::open(&self.paths, true).map_err(told)?;
        let args = RecoverArgs { cause: "drill finished".to_owned(), by: "drill".to_owned() };
        connection.send(Verb::KillRecover, json!(args), Some(PATIENCE)).map_err(told)?;
        let mut last = connection.receive(PATIENCE).map_err(told)?;
        if last.ok {
            last = connection.receive(PATIENCE).map_err(told)?;
        }
        if let Some(refusal) = last.error {
            return Err(DrillError::Engine(format!("recover: {}", refusal.message)));
        }
        self.wait_until_trading()?;
        Ok(u64::try_from((self.clock.mono_ns() - began_ns) / 1_000).unwrap_or(0))
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
