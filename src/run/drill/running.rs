//! The drill on the engine that runs: an operator trips it, the venue says that nothing is open, and it is recovered. It is a
//! halt of the trading engine like any other, but for its name: it opens no incident and does not count towards a rollback.
//!
//! What it refuses: an engine that does not trade (there would be nothing to try), and, without a word for it, one that trades
//! live. What it does not do: place orders. What was open is cancelled, as by any trip.

use std::fs;
use std::time::Duration;

use super::helm::{Helm, PATIENCE, tripped};
use super::{Done, DrillError, SETTLED, SILENT_WITHIN, judge, measure, us_between};
use crate::agent::{Clock, clock};
use crate::ops::drills::DrillRun;
use crate::ops::paths::Paths;

/// The drill's name in the evidence.
pub const RUNNING: &str = "running-engine";
/// Between two runs: an engine that is tripped and armed on and on trades nothing.
const BETWEEN: Duration = Duration::from_secs(1);

/// What is drilled.
#[derive(Clone, Debug)]
pub struct Running {
    /// In whose name: the trip and the recovery are that person's acts.
    pub by: String,
    /// Whether an engine that trades live may be drilled too.
    pub live_too: bool,
    /// How often.
    pub times: u64,
}

/// Why the engine of a data directory can't be drilled now; nothing if it can.
pub fn refusal(paths: &Paths, live_too: bool) -> Option<String> {
    let helm = Helm { paths: paths.clone(), clock: Clock::system(), by: String::new() };
    let status = match helm.status() {
        Ok(status) => status,
        Err(error) => return Some(error.to_string()),
    };
    if status.mode == "live" && !live_too {
        return Some(
            "the engine trades live: a drill cancels everything that it has open. With --live-too it is done"
                .to_owned(),
        );
    }
    (!status.kill.trading).then(|| {
        format!(
            "the engine does not trade ({}, reason {}): there is nothing to try. Look at `interlock kill status`",
            status.kill.level, status.kill.reason
        )
    })
}

/// Trips and recovers the engine that runs in a data directory.
pub fn run(paths: &Paths, what: &Running, tell: &mut dyn FnMut(&str)) -> Done {
    let helm = Helm { paths: paths.clone(), clock: Clock::system(), by: what.by.clone() };
    let (mut runs, mut failures) = (Vec::new(), Vec::new());
    let events_from = fs::metadata(paths.events()).map_or(0, |m| m.len());
    for number in 1..=what.times {
        if number > 1 {
            clock::sleep(BETWEEN);
        }
        match run_once(&helm, what.live_too) {
            Ok(run) => {
                tell(&format!(
                    "{RUNNING} {number}/{}: {} open; last order {} us, silent {} us, recovered {} us",
                    what.times, run.open_before, run.last_order_us, run.silent_us, run.recovered_us
                ));
                runs.push(run);
            }
            Err(error) => {
                failures.push(format!("run {number}: {error}"));
                if !helm.is_trading() {
                    failures.push(
                        "the engine was left tripped: find out why, then `interlock kill recover`".to_owned(),
                    );
                }
                break;
            }
        }
    }
    let events = fs::read(paths.events()).unwrap_or_default();
    let from = usize::try_from(events_from).unwrap_or(0);
    let events = events.get(from..).unwrap_or_default().to_vec();
    Done { result: judge(RUNNING, what.times, &runs, failures), runs, events }
}

fn run_once(helm: &Helm, live_too: bool) -> Result<DrillRun, DrillError> {
    if let Some(why) = refusal(&helm.paths, live_too) {
        return Err(DrillError::Engine(why));
    }
    let page = helm.page()?;
    let open_before = page.open_orders();
    let (_connection, first) = helm.trip("drill on the running engine")?;
    let (at_ns, epoch) = tripped(&first)?;
    let silent_ns = helm.wait(
        "the venue's word that nothing is open",
        SILENT_WITHIN,
        || None,
        || {
            let (silent_epoch, silent_ns) = page.silent();
            (silent_epoch >= epoch).then_some(silent_ns)
        },
    )?;
    clock::sleep(SETTLED);
    let after = measure::orders_after(&helm.paths, at_ns).map_err(DrillError::Engine)?;
    let left = page.open_orders();
    if left > 0 {
        return Err(DrillError::Engine(format!("{left} orders may be open after the venue's word")));
    }
    let began_ns = helm.clock.mono_ns();
    helm.recover()?;
    helm.wait("trading", PATIENCE, || None, || helm.is_trading().then_some(()))?;
    Ok(DrillRun {
        last_order_us: after.last_us,
        orders_after: after.orders,
        silent_us: us_between(at_ns, silent_ns),
        recovered_us: us_between(began_ns, helm.clock.mono_ns()),
        open_before,
        proof: "the engine answered `tripped`; a reconcile with the venue balanced before it was armed again"
            .to_owned(),
    })
}
