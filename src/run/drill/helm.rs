//! What an operator does, from outside: looks at an engine, trips it, waits for the venue's word, recovers. The same for a
//! drill's own engine and for one that runs.

use std::time::Duration;

use serde_json::json;

use super::DrillError;
use crate::agent::{Clock, clock};
use crate::ops::client::{self, ClientError, Connection};
use crate::ops::paths::Paths;
use crate::ops::protocol::{Answer, LayerArgs, RecoverArgs, TripArgs, Verb};
use crate::ops::status::Status;
use crate::shared::KillPage;

/// How long anything but the venue's silence may take.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);
/// How often is looked.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// One engine, from outside.
#[derive(Debug)]
pub(super) struct Helm {
    /// The engine's data directory.
    pub(super) paths: Paths,
    /// The clock that our own readings come from.
    pub(super) clock: Clock,
    /// In whose name.
    pub(super) by: String,
}

fn told(error: &ClientError) -> DrillError {
    DrillError::Engine(error.to_string())
}

impl Helm {
    /// One look.
    pub(super) fn status(&self) -> Result<Status, DrillError> {
        client::read_status(&self.paths).map_err(DrillError::Engine)
    }

    /// The page, as someone outside maps it.
    pub(super) fn page(&self) -> Result<KillPage, DrillError> {
        KillPage::open(&self.paths.kill_page()).map_err(|e| DrillError::Engine(format!("the kill page: {e}")))
    }

    /// Waits until something is found. `ended`: why it never will be, if that is known.
    pub(super) fn wait<T>(
        &self,
        what: &str,
        within: Duration,
        mut ended: impl FnMut() -> Option<String>,
        mut found: impl FnMut() -> Option<T>,
    ) -> Result<T, DrillError> {
        let limit_ns = i64::try_from(within.as_nanos()).unwrap_or(i64::MAX);
        let deadline_ns = self.clock.mono_ns().saturating_add(limit_ns);
        loop {
            if let Some(it) = found() {
                return Ok(it);
            }
            if let Some(why) = ended() {
                return Err(DrillError::Engine(format!("{why} while waiting for {what}")));
            }
            if self.clock.mono_ns() >= deadline_ns {
                return Err(DrillError::Late { what: what.to_owned(), after: within });
            }
            clock::sleep(LOOK_EVERY);
        }
    }

    /// Whether orders may leave.
    pub(super) fn is_trading(&self) -> bool {
        client::read_status(&self.paths).is_ok_and(|status| status.kill.trading)
    }

    /// Whether the control thread answers within a time.
    pub(super) fn answers(&self, within: Duration) -> bool {
        let ping = || {
            let mut connection = Connection::open(&self.paths, true)?;
            connection.send(Verb::Ping, json!({}), None)?;
            connection.receive(within)
        };
        ping().is_ok()
    }

    /// Trips as an operator's command does, as a drill; hears the first answer.
    pub(super) fn trip(&self, why: &str) -> Result<(Connection, Answer), DrillError> {
        let mut connection = Connection::open(&self.paths, true).map_err(|e| told(&e))?;
        connection.send(Verb::KillTrip, json!(self.trip_args(why)), Some(PATIENCE)).map_err(|e| told(&e))?;
        let first = connection.receive(PATIENCE).map_err(|e| told(&e))?;
        Ok((connection, first))
    }

    /// The arguments of such a trip.
    pub(super) fn trip_args(&self, why: &str) -> TripArgs {
        TripArgs { reason: why.to_owned(), by: self.by.clone(), flatten: false, drill: true }
    }

    /// Asks to arm again and hears that it was done; whether orders leave is for the caller to see.
    pub(super) fn recover(&self) -> Result<(), DrillError> {
        let mut connection = Connection::open(&self.paths, true).map_err(|e| told(&e))?;
        let args = RecoverArgs { cause: "drill finished".to_owned(), by: self.by.clone() };
        connection.send(Verb::KillRecover, json!(args), Some(PATIENCE)).map_err(|e| told(&e))?;
        let mut last = connection.receive(PATIENCE).map_err(|e| told(&e))?;
        if last.ok {
            last = connection.receive(PATIENCE).map_err(|e| told(&e))?;
        }
        last.error.map_or(Ok(()), |refusal| Err(DrillError::Engine(format!("recover: {}", refusal.message))))
    }

    /// Resets the emergency stop, as a named person does.
    pub(super) fn reset_layers(&self) -> Result<(), DrillError> {
        let mut connection = Connection::open(&self.paths, true).map_err(|e| told(&e))?;
        let cause = "drill: the loss was the drill's".to_owned();
        let args = LayerArgs { cause, by: self.by.clone() };
        connection.send(Verb::LayersReset, json!(args), Some(PATIENCE)).map_err(|e| told(&e))?;
        let answer = connection.receive(PATIENCE).map_err(|e| told(&e))?;
        answer.error.map_or(Ok(()), |refusal| Err(DrillError::Engine(format!("reset: {}", refusal.message))))
    }
}

/// When a trip that was asked for took effect, and its epoch.
pub(super) fn tripped(answer: &Answer) -> Result<(i64, u64), DrillError> {
    let result = answer.result.as_ref();
    let Some(at_ns) = result.and_then(|r| r.get("tripped_ns")).and_then(serde_json::Value::as_i64) else {
        return Err(DrillError::Engine(format!("no time in the answer to a trip: {}", answer.line())));
    };
    if result.and_then(|r| r.get("raised")) != Some(&json!(true)) {
        return Err(DrillError::Unproven("the engine was tripped already".to_owned()));
    }
    Ok((at_ns, answer.epoch))
}
