//! How the engine ends when it can't go on (R-KILL-8, F33, F36): always tripped, never with a hang, and with the exit code
//! that no supervisor restarts.
//!
//! - A panic anywhere trips the page before anything else, so that a fault in whatever judges the engine can't leave it trading.
//!   The gateway goes on cancelling on its own thread while the one that failed waits here for the venue's word, a few
//!   seconds; then the process ends with [`EXIT_CODE`]. (The release build would abort; with orders at the venue that is the
//!   worst way to go.)
//! - An operational fault after which nothing in this boot can be armed again ends the process once everything is cancelled
//!   ([`wait_for_silence`]).
//! - No end takes for ever: [`end_within`] ends the process when a thread that is waited for doesn't come.

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::agent::runner::start_cold;
use crate::agent::{Clock, clock};
use crate::ops::emergency::halted::{self, EXIT_CODE, Effect};
use crate::shared::{HaltLevel, KillPage};
use crate::types::Reason;
use crate::types::time::NS_PER_S;

/// How long a thread that failed waits for the gateway to bring the venue to silence.
const PANIC_WAITS: Duration = Duration::from_secs(10);
/// How often the page is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// The operational fault that is in force on the page, with what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The trip's cause.
    pub reason: Reason,
    /// What it means for the process.
    pub effect: Effect,
    /// What to do.
    pub remedy: &'static str,
}

/// The operational fault in force, if one is. A page that can't be read is one.
pub fn fault(page: &KillPage, clock: &Clock) -> Option<Fault> {
    if !page.view(clock.now()).is_tripped() {
        return None;
    }
    let reason = page.last_trip().0;
    halted::fault(reason).map(|(effect, remedy)| Fault { reason, effect, remedy })
}

/// Raises the level to "cancel all" and waits for the venue's word that nothing is open. Whether it came.
pub fn wait_for_silence(page: &KillPage, clock: &Clock, reason: Reason, within: Duration) -> bool {
    let now = clock.now();
    let epoch = page.trip(HaltLevel::CancelAll, reason, now.ns);
    let deadline_ns = now.mono_ns.saturating_add(i64::try_from(within.as_nanos()).unwrap_or(i64::MAX));
    loop {
        if page.silent().0 >= epoch {
            return true;
        }
        if clock.mono_ns() >= deadline_ns {
            return false;
        }
        clock::sleep(LOOK_EVERY);
    }
}

/// Ends the process after so long, whatever hangs. Harmless if it ends before by itself.
pub fn end_within(limit: Duration, code: u8) {
    let started = start_cold("deadline", move || {
        clock::sleep(limit);
        say(&format!("interlock: not ended in {} s: leaving now; run interlock-halt", limit.as_secs()));
        leave(code)
    });
    if started.is_err() {
        say("interlock: no thread for the deadline: an end that hangs must be ended by hand");
    }
}

/// From here on a panic on any thread of this process trips `page` and ends the process in order.
pub fn on_panic(page: &Arc<KillPage>, clock: &Clock, has_gateway: bool) {
    let (page, clock) = (Arc::clone(page), clock.clone());
    let is_under_way = AtomicBool::new(false);
    let tell = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        // First of all, and without the heap.
        page.trip(HaltLevel::CancelAll, Reason::Internal, clock.now().ns);
        tell(info);
        // AcqRel: exactly one thread goes on.
        if is_under_way.swap(true, Ordering::AcqRel) {
            // A second one fails while the first waits: it ends with the process.
            clock::sleep(PANIC_WAITS);
            leave(EXIT_CODE);
        }
        let name = std::thread::current().name().unwrap_or("?").to_owned();
        // Where the gateway itself failed, nobody cancels: waiting is for nothing.
        let silent = !has_gateway
            || (!name.contains("gateway") && wait_for_silence(&page, &clock, Reason::Internal, PANIC_WAITS));
        let end = if silent {
            "the venue says that nothing is open"
        } else {
            "the venue has NOT said that nothing is open: run interlock-halt NOW"
        };
        say(&format!("interlock: HALTED_OPS: thread {name:?} failed; {end}"));
        leave(EXIT_CODE);
    }));
}

fn say(text: &str) {
    let _closed = writeln!(std::io::stderr(), "{text}");
}

/// Without unwinding and without waiting for any thread.
#[expect(clippy::exit, reason = "the last resort: a thread that hangs would keep the process for ever")]
fn leave(code: u8) -> ! {
    std::process::exit(i32::from(code))
}

/// From configuration.
pub fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds.min(NS_PER_S.unsigned_abs()))
}
