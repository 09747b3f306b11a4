//! The other end of the control sockets: what `interlock status`, `kill`, `orders` and `positions` do.
//!
//! Data goes to the writer for standard output, everything else to the one for standard error; the result is the exit
//! code of `cli.md` (0 done, 1 failed, 3 refused). A trip doesn't depend on the engine's answer: if the control thread
//! doesn't say `tripped` at once, the page is tripped from here, and the marker is written.

pub mod close;

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};

use crate::agent::{Clock, clock};
use crate::ops::events::rfc3339;
use crate::ops::marker::{self, Marker};
use crate::ops::paths::Paths;
use crate::ops::protocol::{
    Answer, LayerArgs, ReconcileArgs, RecoverArgs, Request, StrategyArgs, SymbolArgs, TripArgs, VERSION, Verb,
};
use crate::ops::reconcile::{Outcome, Report};
use crate::ops::socket;
use crate::ops::status::{self, KillStatus, Status};
use crate::ops::watch::{InstrumentLine, OrderLine, Snapshot};
use crate::shared::{HaltLevel, KillPage};
use crate::types::Reason;

/// Exit codes.
pub mod exit {
    /// Done, or the check holds.
    pub const DONE: u8 = 0;
    /// Failed.
    pub const FAILED: u8 = 1;
    /// Refused by a gate or by the kill switch.
    pub const REFUSED: u8 = 3;
    /// A verification found a difference.
    pub const DIFFERENCE: u8 = 5;
}

/// How long the engine may take for an ordinary answer.
const ANSWER_IN: Duration = Duration::from_secs(5);
/// How long the engine may take to say `tripped` before the page is tripped from here.
const TRIPPED_IN: Duration = Duration::from_millis(500);
/// How often the page is looked at while waiting for silence without the engine's answer.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// How read verbs answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Table,
    /// One documented object.
    Json,
}

/// Where a verb writes to.
pub struct Console<'a> {
    /// Data.
    pub out: &'a mut dyn Write,
    /// Everything else.
    pub err: &'a mut dyn Write,
    /// How data is written.
    pub format: Format,
}

impl std::fmt::Debug for Console<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Console").field("format", &self.format).finish_non_exhaustive()
    }
}

impl Console<'_> {
    /// A line of data. A closed pipe is the reader's choice and no failure of ours.
    fn data(&mut self, text: &str) {
        let _piped = writeln!(self.out, "{text}");
    }
    fn say(&mut self, text: &str) {
        let _piped = writeln!(self.err, "{text}");
    }
    fn fail(&mut self, text: &str) -> u8 {
        self.say(&format!("interlock: {text}"));
        exit::FAILED
    }
}

/// How long an act may take that the journal makes durable first.
const DURABLE_IN: Duration = Duration::from_secs(12);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No socket, or nobody behind it.
    #[error("{}: {source}; does an engine run in this data directory (interlock run --data-dir)?", path.display())]
    Unreachable {
        /// The socket.
        path: std::path::PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The engine did not answer in time: its control thread hangs or is stopped.
    #[error(
        "the engine did not answer within {waited:?}: its control thread hangs, and its lease has run out"
    )]
    Silent {
        /// How long we waited.
        waited: Duration,
    },
    /// Not an answer of this protocol.
    #[error("the engine's answer can't be read: {0}")]
    Malformed(String),
}

/// A connection to an engine.
#[derive(Debug)]
pub struct Connection {
    reader: BufReader<UnixStream>,
}

impl Connection {
    /// Connects: to the operators' socket if `admin`, otherwise to the readers'.
    pub fn open(paths: &Paths, admin: bool) -> Result<Self, ClientError> {
        let path = if admin { paths.admin_socket() } else { paths.ro_socket() };
        let stream = socket::connect(&path).map_err(|source| ClientError::Unreachable { path, source })?;
        Ok(Self { reader: BufReader::new(stream) })
    }

    /// Sends a request.
    pub fn send(&mut self, verb: Verb, args: Value, deadline: Option<Duration>) -> Result<(), ClientError> {
        let request = Request {
            v: VERSION,
            id: json!("cli"),
            cmd: verb.name().to_owned(),
            args,
            deadline_ms: deadline.map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
        };
        let line = serde_json::to_string(&request).unwrap_or_default() + "\n";
        let stream = self.reader.get_mut();
        let sent =
            stream.set_write_timeout(Some(TRIPPED_IN)).and_then(|()| stream.write_all(line.as_bytes()));
        // A refused peer is told why and closed, maybe before it has written: the answer says more than this error.
        match sent {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(ClientError::Malformed(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    /// Waits for an answer line.
    pub fn receive(&mut self, within: Duration) -> Result<Answer, ClientError> {
        let set = self.reader.get_mut().set_read_timeout(Some(within.max(Duration::from_millis(1))));
        set.map_err(|error| ClientError::Malformed(error.to_string()))?;
        let mut line = String::new();
        match self.reader.read_line(&mut line) {
            Ok(0) => Err(ClientError::Malformed("the engine closed the connection".to_owned())),
            Ok(_) => serde_json::from_str(&line).map_err(|error| ClientError::Malformed(error.to_string())),
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                Err(ClientError::Silent { waited: within })
            }
            Err(error) => Err(ClientError::Malformed(error.to_string())),
        }
    }
}

/// One request, one answer.
pub fn ask(paths: &Paths, admin: bool, verb: Verb, args: Value) -> Result<Answer, ClientError> {
    let mut connection = Connection::open(paths, admin)?;
    connection.send(verb, args, None)?;
    connection.receive(ANSWER_IN)
}

/// The result of a read verb as the type that it documents.
fn look<T: serde::de::DeserializeOwned>(paths: &Paths, verb: Verb) -> Result<T, String> {
    let answer = ask(paths, false, verb, json!({})).map_err(|error| error.to_string())?;
    if let Some(refusal) = answer.error {
        return Err(refusal.message);
    }
    serde_json::from_value(answer.result.unwrap_or_default())
        .map_err(|error| format!("the engine's answer can't be read: {error}; is it of another version?"))
}

fn as_json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// The whole status, for a dashboard.
pub fn read_status(paths: &Paths) -> Result<Status, String> {
    look(paths, Verb::Status)
}

/// `interlock status`.
pub fn status(paths: &Paths, console: &mut Console<'_>) -> u8 {
    match read_status(paths) {
        Ok(status) => {
            let text = if console.format == Format::Json { as_json(&status) } else { status.render() };
            console.data(&text);
            exit::DONE
        }
        Err(error) => console.fail(&error),
    }
}

/// `interlock orders`.
pub fn orders(paths: &Paths, console: &mut Console<'_>) -> u8 {
    match look::<Vec<OrderLine>>(paths, Verb::Orders) {
        Ok(orders) if console.format == Format::Json => console.data(&as_json(&orders)),
        Ok(orders) if orders.is_empty() => console.data("no working orders"),
        Ok(orders) => {
            console.data(&status::render_orders(&Snapshot { orders, ..Snapshot::default() }));
        }
        Err(error) => return console.fail(&error),
    }
    exit::DONE
}

/// `interlock positions`.
pub fn positions(paths: &Paths, console: &mut Console<'_>) -> u8 {
    match look::<Vec<InstrumentLine>>(paths, Verb::Positions) {
        Ok(lines) if console.format == Format::Json => console.data(&as_json(&lines)),
        Ok(instruments) => {
            console.data(&status::render_instruments(&Snapshot { instruments, ..Snapshot::default() }));
        }
        Err(error) => return console.fail(&error),
    }
    exit::DONE
}

/// `interlock kill status`. Without an engine it tells what page and marker say: a directory at rest is tripped.
pub fn kill_status(paths: &Paths, console: &mut Console<'_>) -> u8 {
    let status = match look::<KillStatus>(paths, Verb::KillStatus) {
        Ok(status) => status,
        Err(error) => {
            console.say(&format!("interlock: {error}"));
            console.say("what follows is what page and marker say; without an engine nothing can trade");
            status_at_rest(paths)
        }
    };
    let text = if console.format == Format::Json { as_json(&status) } else { status.render() };
    console.data(&text);
    exit::DONE
}

fn status_at_rest(paths: &Paths) -> KillStatus {
    let mut status = KillStatus {
        level: HaltLevel::RiskOff.name().to_owned(),
        level_number: HaltLevel::RiskOff as u8,
        reason: Reason::PageUnreadable.name().to_owned(),
        lease_withheld: "no engine answers".to_owned(),
        marker: crate::ops::files::may_exist(&paths.marker()),
        kill_file: crate::ops::files::may_exist(&paths.kill_file()),
        ..KillStatus::default()
    };
    if let Ok(page) = KillPage::open(&paths.kill_page()) {
        let view = page.view(crate::types::Now::default());
        let (reason, tripped_ns) = page.last_trip();
        view.level.name().clone_into(&mut status.level);
        status.level_number = view.level as u8;
        status.epoch = view.epoch;
        reason.name().clone_into(&mut status.reason);
        status.tripped_at = rfc3339(tripped_ns);
        status.seen_epoch = page.seen();
        status.open_orders = page.open_orders();
        status.silent = page.silent().0 >= view.epoch;
        status.reconciled = page.reconciled() >= view.epoch;
    }
    status
}

/// `interlock kill trip`. Exit 0 only when the venue said that nothing is open.
pub fn kill_trip(paths: &Paths, args: &TripArgs, wait: Duration, console: &mut Console<'_>) -> u8 {
    let clock = Clock::system();
    let deadline_ns = clock.mono_ns().saturating_add(i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX));
    let asked = Connection::open(paths, true).and_then(|mut connection| {
        connection.send(Verb::KillTrip, json!(args), Some(wait))?;
        let first = connection.receive(TRIPPED_IN)?;
        Ok((connection, first))
    });
    match asked {
        Ok((_, first)) if !first.ok => {
            let why = first.error.map(|r| r.message).unwrap_or_default();
            console.say(&format!("interlock: the engine's socket refused: {why}"));
            trip_page(paths, args, &clock, deadline_ns, console)
        }
        Ok((mut connection, first)) => {
            show_stage(&first, console);
            let left = left_of(&clock, deadline_ns).saturating_add(TRIPPED_IN);
            match connection.receive(left) {
                Ok(second) => {
                    show_stage(&second, console);
                    match (second.ok, args.flatten) {
                        (false, _) => exit::FAILED,
                        (true, false) => exit::DONE,
                        (true, true) => hear_flat(&mut connection, (&clock, deadline_ns), console),
                    }
                }
                Err(error) => {
                    console.say(&format!("interlock: tripped, but {error}; run interlock-halt"));
                    exit::FAILED
                }
            }
        }
        Err(error) => {
            console.say(&format!("interlock: {error}"));
            trip_page(paths, args, &clock, deadline_ns, console)
        }
    }
}

/// The third line of a trip with a flatten.
fn hear_flat(
    connection: &mut Connection,
    (clock, deadline_ns): (&Clock, i64),
    console: &mut Console<'_>,
) -> u8 {
    match connection.receive(left_of(clock, deadline_ns).saturating_add(TRIPPED_IN)) {
        Ok(third) => {
            show_stage(&third, console);
            if third.ok { exit::DONE } else { exit::FAILED }
        }
        Err(error) => {
            console.say(&format!("interlock: tripped and silent, but not known to be flat: {error}"));
            exit::FAILED
        }
    }
}

fn show_stage(answer: &Answer, console: &mut Console<'_>) {
    if console.format == Format::Json {
        console.data(&answer.line());
        return;
    }
    let result = answer.result.clone().unwrap_or_default();
    let number = |key: &str| result.get(key).and_then(Value::as_i64).unwrap_or(0);
    let text = match answer.stage.as_deref() {
        Some("tripped") => {
            let again = if result.get("raised") == Some(&json!(false)) { " (it already was)" } else { "" };
            format!(
                "tripped   {}   epoch {}   {} orders may be open{again}",
                rfc3339(number("tripped_ns")),
                answer.epoch,
                number("open_orders")
            )
        }
        Some("silent") => format!(
            "silent    {}   0 open orders, {} us after the trip",
            rfc3339(number("silent_ns")),
            number("elapsed_us")
        ),
        Some("flat") => format!(
            "flat      {}   nothing is held, {} us after the trip",
            rfc3339(number("flat_ns")),
            number("elapsed_us")
        ),
        Some("armed") => format!("armed     {}   epoch {}", rfc3339(number("armed_ns")), answer.epoch),
        Some("accepted") => "accepted  reconciling with the venue".to_owned(),
        _ => answer.error.as_ref().map_or_else(String::new, |refusal| refusal.message.clone()),
    };
    if let Some(warning) = result.get("warning").and_then(Value::as_str) {
        console.say(&format!("interlock: {warning}"));
    }
    if answer.ok { console.data(&text) } else { console.say(&format!("interlock: {text}")) }
}

/// The engine's control thread doesn't answer: trips the page and writes the marker from here. The gateway reads the page
/// itself, so it may still cancel; that is waited for.
fn trip_page(
    paths: &Paths,
    args: &TripArgs,
    clock: &Clock,
    deadline_ns: i64,
    console: &mut Console<'_>,
) -> u8 {
    let now = clock.now();
    let page = KillPage::open(&paths.kill_page());
    let tripped = page.as_ref().map(|page| page.trip_once(HaltLevel::CancelAll, Reason::Operator, now.ns));
    let (page, trip) = match (page.as_ref(), tripped) {
        (Ok(page), Ok(trip)) => (page, trip),
        (Err(error), _) | (_, Err(error)) => {
            console.say(&format!("interlock: {}: {error}", paths.kill_page().display()));
            if mark(paths, args, now.ns, console) {
                console
                    .say("the marker is written: no engine arms itself here until `interlock kill recover`");
            }
            console.say("no page was tripped; run interlock-halt to cancel what is open at the venue");
            return exit::FAILED;
        }
    };
    console.say("the page was tripped from here, without the control thread; run interlock-halt if it hangs");
    let stage = |name: &str, result: Value| Answer::ok(json!("cli"), trip.epoch, result).at_stage(name);
    let open_orders = page.open_orders();
    let result = json!({ "tripped_ns": now.ns, "raised": trip.raised, "open_orders": open_orders });
    show_stage(&stage("tripped", result), console);
    mark(paths, args, now.ns, console);
    if args.flatten {
        console.say("interlock: --flatten needs the control thread and was not done");
    }
    while page.silent().0 < trip.epoch {
        if clock.mono_ns() >= deadline_ns {
            let text = format!(
                "the venue has not said in time that nothing is open; {} orders may be; run interlock-halt",
                page.open_orders()
            );
            return console.fail(&text);
        }
        clock::sleep(LOOK_EVERY);
    }
    let silent_ns = page.silent().1;
    let elapsed_us = (silent_ns - now.ns).max(0) / 1_000;
    let result = json!({ "silent_ns": silent_ns, "open_orders": 0, "elapsed_us": elapsed_us });
    show_stage(&stage("silent", result), console);
    exit::DONE
}

/// Writes the marker of a trip from here; `true` if it is there.
fn mark(paths: &Paths, args: &TripArgs, at_ns: i64, console: &mut Console<'_>) -> bool {
    let mut note = Marker::new(Reason::Operator, &args.reason, &args.by, "client");
    HaltLevel::CancelAll.name().clone_into(&mut note.level);
    note.at = rfc3339(at_ns);
    match marker::write(paths, &note) {
        Ok(()) => true,
        Err(error) => {
            let path = paths.marker();
            console.say(&format!("interlock: {}: the marker can't be written: {error}", path.display()));
            false
        }
    }
}

/// `interlock kill recover`. Exit 0 only when armed; 3 when refused.
pub fn kill_recover(paths: &Paths, args: &RecoverArgs, wait: Duration, console: &mut Console<'_>) -> u8 {
    let answers = Connection::open(paths, true).and_then(|mut connection| {
        connection.send(Verb::KillRecover, json!(args), Some(wait))?;
        let first = connection.receive(ANSWER_IN)?;
        if !first.ok {
            return Ok(first);
        }
        show_stage(&first, console);
        connection.receive(wait.saturating_add(ANSWER_IN))
    });
    conclude(answers, console)
}

/// `interlock limits enable` and `disable`. Exit 3 when refused.
pub fn switch_strategy(paths: &Paths, verb: Verb, args: &StrategyArgs, console: &mut Console<'_>) -> u8 {
    let answer = Connection::open(paths, true).and_then(|mut connection| {
        connection.send(verb, json!(args), None)?;
        // The act is durable first: as long as a disk may take.
        connection.receive(ANSWER_IN.saturating_mul(3))
    });
    if let Ok(answer) = &answer
        && answer.ok
        && console.format == Format::Table
    {
        console.data(&format!("{} {}: recorded, and handed to the engine", verb.name(), args.strategy));
        return exit::DONE;
    }
    conclude(answer, console)
}

/// `interlock limits rate`: what became of the orders that were asked for (R-LIM-11).
pub fn rates(paths: &Paths, console: &mut Console<'_>) -> u8 {
    let status = match read_status(paths) {
        Ok(status) => status,
        Err(error) => return console.fail(&error),
    };
    let rates = status.rates();
    let text = match console.format {
        Format::Json => serde_json::to_string_pretty(&rates).unwrap_or_default(),
        Format::Table => rates.render(),
    };
    console.data(&text);
    exit::DONE
}

/// `interlock reconcile`. Exit 0 when everything agrees, 5 when it does not, 1 when it could not be found out.
pub fn reconcile(paths: &Paths, args: &ReconcileArgs, wait: Duration, console: &mut Console<'_>) -> u8 {
    let answers = Connection::open(paths, true).and_then(|mut connection| {
        connection.send(Verb::Reconcile, json!(args), Some(wait))?;
        let first = connection.receive(ANSWER_IN)?;
        if first.ok { connection.receive(wait.saturating_add(ANSWER_IN)) } else { Ok(first) }
    });
    let answer = match answers {
        Ok(answer) if answer.ok => answer,
        other => return conclude(other, console),
    };
    let Ok(report) = serde_json::from_value::<Report>(answer.result.unwrap_or_default()) else {
        return console.fail("the engine's answer can't be read; is it of another version?");
    };
    let text =
        if console.format == Format::Json { as_json(&report) } else { status::render_reconcile(&report) };
    console.data(&text);
    match report.outcome {
        Outcome::Balanced => exit::DONE,
        Outcome::Mismatch => exit::DIFFERENCE,
        Outcome::None | Outcome::Unknown | Outcome::Moving => exit::FAILED,
    }
}

/// The verbs that hand the engine a command: cancel-all, flatten, freeze, unfreeze.
pub fn command(paths: &Paths, verb: Verb, args: &SymbolArgs, console: &mut Console<'_>) -> u8 {
    let answer = ask(paths, true, verb, json!(args));
    if let Ok(answer) = &answer
        && answer.ok
        && console.format == Format::Table
    {
        console.data(&format!("{}: handed to the engine", verb.name()));
        return exit::DONE;
    }
    conclude(answer, console)
}

fn conclude(answer: Result<Answer, ClientError>, console: &mut Console<'_>) -> u8 {
    match answer {
        Ok(answer) => {
            show_stage(&answer, console);
            if answer.ok { exit::DONE } else { exit::REFUSED }
        }
        Err(error) => console.fail(&error.to_string()),
    }
}

fn left_of(clock: &Clock, deadline_ns: i64) -> Duration {
    Duration::from_nanos(u64::try_from(deadline_ns.saturating_sub(clock.mono_ns())).unwrap_or(0))
}

/// `interlock layers status`.
pub fn layers(paths: &Paths, console: &mut Console<'_>) -> u8 {
    match read_status(paths) {
        Ok(status) if console.format == Format::Json => console.data(&as_json(&status.view.layers)),
        Ok(status) => console.data(&status.view.layers.render()),
        Err(error) => return console.fail(&error),
    }
    exit::DONE
}

/// `interlock layers reset`. Exit 0 only when the act is durable and on its way.
pub fn layers_reset(paths: &Paths, args: &LayerArgs, console: &mut Console<'_>) -> u8 {
    let asked = Connection::open(paths, true).and_then(|mut connection| {
        connection.send(Verb::LayersReset, json!(args), None)?;
        connection.receive(DURABLE_IN)
    });
    conclude(asked, console)
}
