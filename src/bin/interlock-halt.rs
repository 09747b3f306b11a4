//! The halt tool: trips, cancels at the venue and waits for zero open orders, without the engine (R-KILL-2, R-KILL-3).
//!
//! It shares no thread, no session and, if it can be had, no key with the engine. It exits 0 only when the venue said that
//! nothing is open. A wrong argument is told and does not keep it from halting.

use std::ffi::OsString;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use interlock::agent::Clock;
use interlock::net::{Endpoint, Method, Rest, RestAnswer, RestError, RestTimeouts, TlsRoots};
use interlock::ops::halt::{self, Desk, DeskError, Halt, Retry};
use interlock::ops::paths::Paths;
use interlock::run::access::{self, HaltReference, Purpose};
use interlock::types::{Reason, Symbol};
use interlock::venue::binance::Credentials;
use interlock::venue::binance::rest::{self, API_KEY_HEADER, SignedRequest};

const TIMEOUTS: RestTimeouts =
    RestTimeouts { connect: Duration::from_secs(2), total: Duration::from_secs(5) };
/// How long page and marker may keep the venue waiting.
const DISK: Duration = Duration::from_secs(2);
/// `-1021`: the request's time is outside the venue's window.
const CODE_TIMESTAMP: i32 = -1021;
/// `-2011`: nothing to cancel.
const CODE_CANCEL_REJECTED: i32 = -2011;
/// Unknown key, wrong signature, not permitted: no retry will help.
const CODES_OF_OUR_FAULT: [i32; 4] = [-1022, -2014, -2015, -1002];

/// Trips the kill page, cancels everything at the venue and waits until the venue says that nothing is open.
///
/// Works with a frozen, a dead or no engine. Exits 0 only when the venue said, for all symbols, that nothing is open.
#[derive(Debug, Parser)]
#[command(
    name = "interlock-halt",
    version,
    max_term_width = 110,
    after_help = "Examples:\n  interlock-halt\n  \
        interlock-halt --data-dir data --venue data-venue/venue.json --reason \"engine hangs\""
)]
struct Args {
    /// The engine's data directory: kill page, marker, halt.json.
    #[arg(long, default_value = "data", value_name = "DIR")]
    data_dir: PathBuf,
    /// The venue.json of an embedded venue; otherwise halt.json in the data directory says where the venue is.
    #[arg(long, value_name = "FILE")]
    venue: Option<PathBuf>,
    /// When to give up, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    deadline: u64,
    /// Why, for the record.
    #[arg(long, default_value = "operator", value_name = "TEXT")]
    reason: String,
    /// Who, for the record.
    #[arg(long, default_value = "", value_name = "NAME")]
    triggered_by: String,
}

fn main() -> ExitCode {
    // Keys will be in memory: no core dump, no tracing by others of the same user.
    let _not_critical =
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let (args, usage_wrong) = match Args::try_parse_from(&arguments) {
        Ok(args) => (args, false),
        Err(error) if !error.use_stderr() => error.exit(), // --help, --version
        Err(error) => {
            // Never refused for a bad argument: told, and then halted with what could be read.
            let _piped = error.print();
            (salvage(&arguments), true)
        }
    };
    let paths = Paths::new(&args.data_dir, None);
    let halt = Halt {
        reason: args.reason.clone(),
        by: args.triggered_by.clone(),
        deadline: Duration::from_secs(args.deadline),
    };
    let clock = Clock::system();
    let mut out = std::io::stdout();
    let tripped = halt::trip_within(DISK, &paths, &halt, &clock, &mut out);
    let silent = match VenueDesk::open(&args, &paths, &clock) {
        Ok(Some(mut desk)) => halt::cancel_until_silent(&mut desk, &halt, &clock, &mut out),
        Ok(None) => {
            let _piped = writeln!(
                out,
                "nothing to cancel: only shadow and paper sessions ran in {}, and those send no orders",
                paths.data.display()
            );
            true
        }
        Err(error) => {
            let _piped = writeln!(
                std::io::stderr(),
                "interlock-halt: {error}\nNOTHING WAS CANCELLED: cancel at the venue's own site or app NOW"
            );
            false
        }
    };
    match (silent, tripped, usage_wrong) {
        (true, true, false) => ExitCode::SUCCESS,
        (true, true, true) => ExitCode::from(2),
        _ => ExitCode::FAILURE,
    }
}

/// What can be read of arguments that are wrong.
fn salvage(arguments: &[OsString]) -> Args {
    let value = |name: &str| {
        let text = arguments.iter().enumerate().find_map(|(at, argument)| {
            let argument = argument.to_str()?;
            match argument.strip_prefix(name)? {
                "" => arguments.get(at + 1).cloned(),
                rest => rest.strip_prefix('=').map(OsString::from),
            }
        });
        text.map(PathBuf::from)
    };
    Args {
        data_dir: value("--data-dir").unwrap_or_else(|| PathBuf::from("data")),
        venue: value("--venue"),
        deadline: 30,
        reason: "operator".to_owned(),
        triggered_by: String::new(),
    }
}

/// The order desk over REST, with a session and, best, a key of its own.
struct VenueDesk {
    rest: Rest,
    credentials: Credentials,
    clock: Clock,
    /// The venue's clock minus ours.
    offset_ms: i64,
    offset_known: bool,
}

impl VenueDesk {
    /// `None`: no session of the data directory could ever send an order.
    fn open(args: &Args, paths: &Paths, clock: &Clock) -> Result<Option<Self>, String> {
        let reference = match &args.venue {
            Some(path) => HaltReference::from_venue_file(path),
            None => HaltReference::read(&paths.halt_config()),
        };
        let reference = reference.map_err(|error| {
            format!("{error}; give --venue FILE, or write {}", paths.halt_config().display())
        })?;
        if !reference.sends_orders {
            return Ok(None);
        }
        let key_file = reference.key_file.as_deref().ok_or_else(|| {
            format!("{}: key_file is missing: name the file with the key", paths.halt_config().display())
        })?;
        // An address without a scheme is one over TLS.
        let url = &reference.rest;
        let url = if url.contains("://") { url.clone() } else { format!("https://{url}") };
        let endpoint = Endpoint::parse(&url).map_err(|error| format!("{url}: {error}"))?;
        let roots = match &reference.ca {
            Some(path) => TlsRoots::from_pem_file(path).map_err(|error| error.to_string())?,
            None => TlsRoots::WebPki,
        };
        let credentials = access::read_credentials(key_file, Purpose::Halt);
        Ok(Some(Self {
            rest: Rest::new(endpoint, &roots, TIMEOUTS),
            credentials: credentials.map_err(|error| error.to_string())?,
            clock: clock.clone(),
            offset_ms: 0,
            offset_known: false,
        }))
    }

    /// The venue's time. A venue that doesn't tell is asked again next time; meanwhile our own clock must do.
    fn timestamp_ms(&mut self) -> i64 {
        if !self.offset_known
            && let Ok(answer) = self.rest.get(rest::time_path(), &[])
            && let Ok(server_ns) = rest::parse_time(&answer.body)
        {
            self.clock.reanchor();
            self.offset_ms = (server_ns - self.clock.now().ns) / 1_000_000;
            self.offset_known = true;
        }
        self.clock.now().ns / 1_000_000 + self.offset_ms
    }

    fn ask(&mut self, what: &str, request: &SignedRequest) -> Result<RestAnswer, Refused> {
        let method = if request.method == "DELETE" { Method::Delete } else { Method::Get };
        let headers = [(API_KEY_HEADER, self.credentials.api_key())];
        let answer = self
            .rest
            .request(method, &request.path_and_query, &headers, b"")
            .map_err(|error| Refused { code: 0, error: unreached(what, &error) })?;
        if answer.is_success() {
            return Ok(answer);
        }
        let (code, text) = rest::parse_error(&answer.body).unwrap_or_default();
        if code == CODE_TIMESTAMP {
            self.offset_known = false;
        }
        let text = format!("{what}: the venue answers {} ({code} {text})", answer.status);
        let retry = match answer.status {
            429 | 418 => Retry::After(Duration::from_secs(answer.retry_after_s().unwrap_or(1).into())),
            _ if CODES_OF_OUR_FAULT.contains(&code) => Retry::Never,
            _ => Retry::Soon,
        };
        Err(Refused { code, error: DeskError { text, retry } })
    }
}

/// A request that was not done, with the venue's code if it gave one.
struct Refused {
    code: i32,
    error: DeskError,
}

fn unreached(what: &str, error: &RestError) -> DeskError {
    // A certificate that is wrong stays wrong; a name or a host that isn't there may come back.
    let retry = if error.reason == Reason::Tls { Retry::Never } else { Retry::Soon };
    DeskError { text: format!("{what}: {error}"), retry }
}

impl Desk for VenueDesk {
    fn open_orders(&mut self) -> Result<Vec<String>, DeskError> {
        let timestamp_ms = self.timestamp_ms();
        let request = rest::open_orders_request(&self.credentials, None, timestamp_ms);
        let answer = self.ask("open orders", &request).map_err(|refused| refused.error)?;
        // An answer that can't be read is not "nothing open".
        let orders = rest::parse_open_orders(&answer.body)
            .map_err(|error| DeskError { text: format!("open orders: {error}"), retry: Retry::Soon })?;
        Ok(orders.into_iter().map(|order| order.symbol.as_str().to_owned()).collect())
    }

    fn cancel_all(&mut self, symbol: &str) -> Result<(), DeskError> {
        let what = format!("cancel all on {symbol}");
        let Some(name) = Symbol::new(symbol.as_bytes()) else {
            return Err(DeskError { text: format!("{what}: not a symbol"), retry: Retry::Soon });
        };
        let timestamp_ms = self.timestamp_ms();
        let request = rest::cancel_all_request(&self.credentials, name, timestamp_ms);
        match self.ask(&what, &request) {
            Ok(_) => Ok(()),
            Err(refused) if refused.code == CODE_CANCEL_REJECTED => Ok(()),
            Err(refused) => Err(refused.error),
        }
    }
}
