//! What `interlock-halt` does: trip, mark, cancel at the venue, and look until the venue says that nothing is open. It needs
//! no engine: with a frozen, a dead or no engine it does the same.
//!
//! The order of things is the order of their worth. The page comes first, because it takes a microsecond and stops an engine
//! that runs; the marker next, so that nothing arms itself; then the venue, whatever the first two said. Only the venue's
//! answer ends it well: nothing open, asked for all symbols, twice, with a pause between for an order that was on its way.
//!
//! How the venue is asked is behind [`Desk`]; the binary has the one over REST.

use std::io::Write;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use super::events::rfc3339;
use super::marker::{self, Marker};
use super::paths::Paths;
use crate::agent::runner::start_cold;
use crate::agent::{Clock, clock};
use crate::shared::{HaltLevel, KillPage};
use crate::types::Reason;
use crate::types::time::{NS_PER_MS, NS_PER_S};

/// Pause between two looks, and before a retry without the venue's own word on when.
const PAUSE_NS: i64 = 250 * NS_PER_MS;
/// Looks in a row that must find nothing.
const EMPTY_LOOKS: u32 = 2;

/// What to do after a failed request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Again, after the usual pause.
    Soon,
    /// Again, but not before this long: the venue said so (429, 418).
    After(Duration),
    /// It will not get better by itself.
    Never,
}

/// A request that failed. Says nothing secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeskError {
    /// What, where, why.
    pub text: String,
    /// What to do.
    pub retry: Retry,
}

/// The venue's order desk, as far as a halt needs it. Requests have deadlines of their own.
pub trait Desk {
    /// The symbol of every open order of the account, on all symbols.
    fn open_orders(&mut self) -> Result<Vec<String>, DeskError>;
    /// Cancels everything on a symbol. That nothing was open there is no error.
    fn cancel_all(&mut self, symbol: &str) -> Result<(), DeskError>;
}

/// Who halts, and why.
#[derive(Clone, Debug, Default)]
pub struct Halt {
    /// Why, for the record.
    pub reason: String,
    /// Who, for the record.
    pub by: String,
    /// When to give up.
    pub deadline: Duration,
}

/// The steps, each with its time.
struct Steps<'a> {
    clock: &'a Clock,
    out: &'a mut dyn Write,
}

impl Steps<'_> {
    fn say(&mut self, text: &str) {
        let at = rfc3339(self.clock.now().ns);
        // A closed pipe must not keep a halt from its work.
        let _piped = writeln!(self.out, "{at}  {text}").and_then(|()| self.out.flush());
    }
}

/// Trips the page and writes the marker. Neither's failure keeps the venue waiting; `true` if the page was tripped or there
/// is none.
pub fn trip(paths: &Paths, halt: &Halt, clock: &Clock, out: &mut dyn Write) -> bool {
    let now = clock.now();
    let mut steps = Steps { clock, out };
    let path = paths.kill_page();
    let mut marker = Marker::new(Reason::HaltTool, &halt.reason, &halt.by, "halt");
    HaltLevel::CancelAll.name().clone_into(&mut marker.level);
    marker.at = rfc3339(now.ns);
    let tripped = match KillPage::open(&path) {
        Ok(page) => {
            let trip = page.trip_once(HaltLevel::CancelAll, Reason::HaltTool, now.ns);
            marker.boot_id = format!("{:016x}", page.boot_id());
            let how = if trip.raised { "tripped" } else { "was tripped already" };
            steps.say(&format!(
                "page {how}: {} (halt epoch {}, engine pid {})",
                path.display(),
                trip.epoch,
                page.pid()
            ));
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            steps.say(&format!("no page: {} (no engine ran here)", path.display()));
            true
        }
        Err(error) if error.kind() == std::io::ErrorKind::InvalidData => {
            steps.say(&format!("{error}; an engine reads that as tripped"));
            true
        }
        Err(error) => {
            steps.say(&format!("PAGE NOT TRIPPED: {}: {error}", path.display()));
            false
        }
    };
    match marker::write(paths, &marker) {
        Ok(()) => steps.say(&format!("marker written: {}", paths.marker().display())),
        Err(error) => steps.say(&format!("marker not written: {}: {error}", paths.marker().display())),
    }
    tripped
}

/// [`trip`], but waits for the disk no longer than this: a file system that hangs may not keep the venue waiting. Goes on trying
/// behind the caller's back.
pub fn trip_within(limit: Duration, paths: &Paths, halt: &Halt, clock: &Clock, out: &mut dyn Write) -> bool {
    let (tell, told) = sync_channel(1);
    let (paths_there, halt_there, clock_there) = (paths.clone(), halt.clone(), clock.clone());
    let started = start_cold("trip", move || {
        let mut steps = Vec::new();
        let tripped = trip(&paths_there, &halt_there, &clock_there, &mut steps);
        // Nobody listens any more if it took too long.
        let _told = tell.send((tripped, steps));
    });
    if started.is_err() {
        return trip(paths, halt, clock, out);
    }
    if let Ok((tripped, steps)) = told.recv_timeout(limit) {
        let _piped = out.write_all(&steps).and_then(|()| out.flush());
        return tripped;
    }
    let text = format!(
        "PAGE OR MARKER NOT DONE: no answer from the disk under {} in {limit:?}",
        paths.data.display()
    );
    Steps { clock, out }.say(&format!("{text}; going on to the venue"));
    false
}

/// Cancels until the venue says twice in a row that nothing is open. `true` only then.
pub fn cancel_until_silent(desk: &mut dyn Desk, halt: &Halt, clock: &Clock, out: &mut dyn Write) -> bool {
    let mut steps = Steps { clock, out };
    let began_ns = clock.mono_ns();
    let deadline_ns = began_ns.saturating_add(i64::try_from(halt.deadline.as_nanos()).unwrap_or(i64::MAX));
    let mut empty_looks = 0;
    loop {
        let outcome = look_and_cancel(desk, &mut steps);
        let wait_ns = match outcome {
            Ok(0) => {
                empty_looks += 1;
                if empty_looks == EMPTY_LOOKS {
                    let took_ms = (clock.mono_ns() - began_ns) / NS_PER_MS;
                    steps.say(&format!("nothing is open at the venue, asked twice; {took_ms} ms"));
                    return true;
                }
                PAUSE_NS
            }
            Ok(_) => {
                empty_looks = 0;
                0 // look again at once
            }
            Err(error) => {
                empty_looks = 0;
                steps.say(&error.text);
                match error.retry {
                    Retry::Never => {
                        steps.say(
                            "that will not get better by itself; cancel at the venue's own site or app NOW",
                        );
                        return false;
                    }
                    Retry::Soon => PAUSE_NS,
                    Retry::After(pause) => i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX).max(PAUSE_NS),
                }
            }
        };
        let left_ns = deadline_ns.saturating_sub(clock.mono_ns());
        if wait_ns >= left_ns {
            let left_ms = left_ns.max(0) / NS_PER_MS;
            let why = if wait_ns > PAUSE_NS && left_ns > 0 {
                format!("the venue asks to wait {} s and only {left_ms} ms are left", wait_ns / NS_PER_S)
            } else {
                "the deadline has passed".to_owned()
            };
            steps.say(&format!(
                "{why}: the venue has NOT said that nothing is open; run again, or cancel at the venue's own site or app NOW"
            ));
            return false;
        }
        clock::sleep(Duration::from_nanos(u64::try_from(wait_ns).unwrap_or(0)));
    }
}

/// One look; cancels what it finds. How many orders were found.
fn look_and_cancel(desk: &mut dyn Desk, steps: &mut Steps<'_>) -> Result<usize, DeskError> {
    let open = desk.open_orders()?;
    let mut symbols = open.clone();
    symbols.sort();
    symbols.dedup();
    if open.is_empty() {
        steps.say("the venue says: nothing open");
        return Ok(0);
    }
    steps.say(&format!("the venue says: {} open on {}", open.len(), symbols.join(", ")));
    let mut worst: Option<DeskError> = None;
    for symbol in &symbols {
        // A failure on one symbol keeps nobody from the next.
        match desk.cancel_all(symbol) {
            Ok(()) => steps.say(&format!("cancelled all on {symbol}")),
            Err(error) => {
                steps.say(&error.text);
                if !matches!((&worst, error.retry), (Some(_), Retry::Soon)) {
                    worst = Some(error);
                }
            }
        }
    }
    match worst {
        Some(error) => Err(DeskError { text: "not everything could be cancelled".to_owned(), ..error }),
        None => Ok(open.len()),
    }
}
