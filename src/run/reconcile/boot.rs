//! What a boot does before anything starts: finds out which account it is on, and what earlier sessions leave to it.

use crate::agent::{Clock, clock};
use crate::event::Carry as Line;
use crate::net::{Endpoint, Rest, RestTimeouts};
use crate::ops::paths::Paths;
use crate::ops::reconcile::books::exact;
use crate::ops::reconcile::{Carry, CarryError, Footing, Held};
use crate::run::access::Access;
use crate::run::plan::Plan;
use crate::run::session::{StartError, journal_dir};
use crate::types::{InstrumentTable, Position, StrategyId};

use super::source::{RestSource, Source};

/// A reconcile must hear the answer soon, and a stop must not wait for one: shorter than what set-up allows.
const TIMEOUTS: RestTimeouts =
    RestTimeouts { connect: std::time::Duration::from_secs(2), total: std::time::Duration::from_secs(5) };
/// How often the venue is asked which account this is.
const TRIES: u32 = 3;
/// Between those.
const TRY_AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// What a session starts from.
#[derive(Debug, Default)]
pub struct Boot {
    /// Whom a reconcile asks; nobody where there is no account.
    pub source: Option<Box<dyn Source>>,
    /// What earlier sessions on this account leave.
    pub carry: Carry,
    /// Which account, for the session's header.
    pub account: Option<String>,
}

impl Boot {
    /// For a mode whose account is the engine's own (paper): the stops that its strategies claimed.
    pub fn on_paper(
        plan: &Plan,
        (table, strategies): (&InstrumentTable, &[String]),
        paths: &Paths,
    ) -> Result<Self, StartError> {
        let stops =
            Carry::stops_of(&journal_dir(paths), plan.mode.name(), table, strategies).map_err(unreadable)?;
        Ok(Self { carry: Carry { stops, ..Carry::default() }, ..Self::default() })
    }

    /// For a mode with an account.
    pub fn with_account(
        plan: &Plan,
        access: &Access,
        (table, strategies): (&InstrumentTable, &[String]),
        paths: &Paths,
        clock: &Clock,
    ) -> Result<Self, StartError> {
        let setting = |e: crate::run::access::AccessError| StartError::Parts(e.to_string());
        let credentials = access.credentials(plan.venue.signing).map_err(setting)?;
        let rest = Rest::new(access.rest.clone(), &access.roots, TIMEOUTS);
        let mut source = RestSource::new(rest, credentials, table.clone(), clock.clone());
        let account = account_of(&mut source, &access.rest)?;
        let carry = Carry::read(&journal_dir(paths), &account, table, strategies).map_err(unreadable)?;
        Ok(Self { source: Some(Box::new(source)), carry, account: Some(account) })
    }
}

fn unreadable(error: CarryError) -> StartError {
    match error {
        CarryError::Journal(error) => StartError::Journal(error),
        CarryError::Form { .. } => StartError::Parts(error.to_string()),
    }
}

/// The venue's number of the account; where it gives none, the place stands for it.
fn account_of(source: &mut RestSource, endpoint: &Endpoint) -> Result<String, StartError> {
    let mut why = String::new();
    for _ in 0..TRIES {
        match source.totals() {
            Ok(totals) if totals.uid != 0 => return Ok(totals.uid.to_string()),
            Ok(_) => return Ok(endpoint.to_string()),
            Err(error) => why = error,
        }
        clock::sleep(TRY_AGAIN);
    }
    let source = std::io::Error::other(format!(
        "{why}; is the API key this venue's own, may it read the account, and is the venue up?"
    ));
    Err(StartError::Io { what: format!("asking the venue at {endpoint} for the account"), source })
}

/// What a session's comparison rests on: the record of the account, and the positions that the stages take over, line by line. A
/// session that takes over nothing (a rehearsal, the first one of a book) has no line of its own: what the account's trades came
/// to is handed on as it is.
pub fn ground(carried: Footing, epoch: u32, taken_over: &[Line], instruments: usize) -> Footing {
    let mut ground = Footing { epoch, held: vec![Held::default(); instruments], ..carried };
    let is_first = |line: &Line| matches!(line, Line::Begin(head) if head.journal_seq == 0);
    if taken_over.is_empty() || taken_over.iter().any(is_first) {
        for (held, traded) in ground.held.iter_mut().zip(&ground.traded) {
            held.net = traded.unwrap_or(0);
        }
        return ground;
    }
    let mut owners: Vec<Vec<StrategyId>> = vec![Vec::new(); instruments];
    for line in taken_over {
        match line {
            Line::Net(net) => {
                if let Some(held) = ground.held.get_mut(net.instrument.index()) {
                    let position: Position = net.position.into();
                    held.net = exact(position.qty);
                    held.price = position.average_price().unwrap_or_default();
                }
            }
            Line::Own(own) => {
                let position: Position = own.position.into();
                if let Some(owners) =
                    owners.get_mut(own.instrument.index()).filter(|_| !position.qty.is_zero())
                {
                    owners.push(own.strategy);
                }
            }
            _ => {}
        }
    }
    for (held, owners) in ground.held.iter_mut().zip(&owners) {
        if let [only] = owners[..] {
            held.owner = Some(only);
        }
    }
    ground
}
