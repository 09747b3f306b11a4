//! `interlock positions close`: freeze, flatten, and look until it is flat (R-KILL-7).
//!
//! Entries are frozen first: a strategy that enters again behind the close would trade against it for ever (F38). The engine
//! closes reduce-only and asks again by itself until its fold of the fills is flat; this end looks, asks again in case a fill
//! was on its way, and says what is left when the time is up. It never says "flat" without having seen it.

use std::time::Duration;

use super::{Console, Format, ask, exit, left_of, read_status};
use crate::agent::{Clock, clock};
use crate::ops::paths::Paths;
use crate::ops::protocol::{SymbolArgs, Verb};
use crate::ops::watch::InstrumentLine;
use crate::types::time::NS_PER_S;
use serde_json::json;

/// How often the engine is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How often a flatten is asked for again.
const AGAIN_NS: i64 = 2 * NS_PER_S;
/// Looks in a row that must find it flat: a snapshot is a moment old.
const FLAT_LOOKS: u32 = 4;

/// Asks for one command; the exit code if it was refused.
fn order(paths: &Paths, verb: Verb, args: &SymbolArgs, console: &mut Console<'_>) -> Result<(), u8> {
    match ask(paths, true, verb, json!(args)) {
        Ok(answer) => match answer.error {
            None => Ok(()),
            Some(refusal) => {
                console.say(&format!("interlock: {}", refusal.message));
                Err(exit::REFUSED)
            }
        },
        Err(error) => Err(console.fail(&error.to_string())),
    }
}

/// Closes one symbol, or all. Exit 0 only when nothing is held there that the engine could close.
pub fn run(paths: &Paths, args: &SymbolArgs, wait: Duration, console: &mut Console<'_>) -> u8 {
    let what = args.symbol.clone().unwrap_or_else(|| "all".to_owned());
    for verb in [Verb::Freeze, Verb::Flatten] {
        if let Err(code) = order(paths, verb, args, console) {
            return code;
        }
    }
    console.say(&format!(
        "{what}: entries are frozen (`interlock positions release` lets them in again), closing"
    ));
    let clock = Clock::system();
    let wait_ns = i64::try_from(wait.as_nanos()).unwrap_or(i64::MAX);
    let deadline_ns = clock.mono_ns().saturating_add(wait_ns);
    let (mut again_ns, mut flat_looks) = (clock.mono_ns() + AGAIN_NS, 0);
    loop {
        clock::sleep(LOOK_EVERY);
        let held = match read_status(paths) {
            Ok(status) => held(status.view.instruments, args.symbol.as_deref()),
            Err(error) => return console.fail(&error),
        };
        flat_looks = if held.is_empty() { flat_looks + 1 } else { 0 };
        if flat_looks == FLAT_LOOKS {
            let done = json!({ "flat": true, "symbol": args.symbol, "held": [] });
            console.data(&if console.format == Format::Json {
                done.to_string()
            } else {
                format!("{what}: flat")
            });
            return exit::DONE;
        }
        if left_of(&clock, deadline_ns).is_zero() {
            if console.format == Format::Json {
                let held: Vec<_> =
                    held.iter().map(|l| json!({ "symbol": l.symbol, "position": l.position })).collect();
                console.data(&json!({ "flat": false, "symbol": args.symbol, "held": held }).to_string());
            }
            let left: Vec<_> = held.iter().map(|l| format!("{} {}", l.symbol, l.position)).collect();
            return console.fail(&format!(
                "not flat in time: {}. The engine goes on closing; what is below the venue's least order can't be closed; \
                 if the venue is not reached, close at its own site or app",
                left.join(", ")
            ));
        }
        if clock.mono_ns() >= again_ns {
            again_ns = clock.mono_ns() + AGAIN_NS;
            if let Err(code) = order(paths, Verb::Flatten, args, console) {
                return code;
            }
        }
    }
}

/// What is held, or may come to be held through an order that works.
fn held(lines: Vec<InstrumentLine>, symbol: Option<&str>) -> Vec<InstrumentLine> {
    let ours = |line: &InstrumentLine| symbol.is_none_or(|symbol| line.symbol == symbol);
    lines.into_iter().filter(|line| ours(line) && (line.is_held() || line.working > 0)).collect()
}
