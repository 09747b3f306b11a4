//! Which edges stand at the two ends of the line: the one place where a mode becomes parts (R-MODE-1). The stages never
//! learn which it was.
//!
//! | mode | market data from | behind risk | account | key |
//! |---|---|---|---|---|
//! | demo | embedded venue | embedded venue | yes | the embedded venue's |
//! | shadow | a venue | the witness: no gateway | no | none is read |
//! | paper | a venue | the fill model | the model's | none is read |
//! | testnet | a test network | a test network | yes | its own |
//! | live | the venue | the venue, behind all gates | yes | its own |
//! | dry run of demo, testnet, live | as there | a door that writes no order | yes | as there |

use crate::ops::events::{Event, Level};

use super::access::{Access, AccessError};
use super::clearance;
use super::destination::{Destination, Rehearsal};
use super::live::Cleared;
use super::placement::Stage;
use super::plan::{Environment, Mode, Plan};
use super::session::{self, Ground, Session, Setup, StartError};
use super::shadow::{Safety, Unsafe};
use super::wiring::{self, Brain};

/// Why a mode has no edges here: a refusal, exit code 3.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The venue does not fit the mode.
    #[error(transparent)]
    Venue(#[from] AccessError),
    /// Shadow is not safe.
    #[error(transparent)]
    Shadow(#[from] Unsafe),
    /// Live without the proof of its gates.
    #[error("refused: mode live opens behind its gates only, and they were not passed")]
    NotCleared,
}

/// The edges of one session.
#[derive(Debug)]
pub enum Edges {
    /// A venue at both ends.
    Venue(Destination),
    /// The same, without the write.
    Rehearsal(Rehearsal),
    /// A venue's data and the fill model.
    Paper(Access),
    /// A venue's data and the witness.
    Shadow(Safety),
}

impl Edges {
    /// Chooses them. `cleared` is needed by live, and by nothing else. `is_embedded`: the address came from a `venue.json`.
    pub fn choose(
        (mode, dry_run): (Mode, bool),
        access: Access,
        environment: &Environment,
        is_embedded: bool,
        cleared: Option<Cleared>,
    ) -> Result<Self, Refused> {
        if dry_run {
            return Ok(Self::Rehearsal(Rehearsal::of(access, mode)?));
        }
        Ok(match mode {
            Mode::Demo => Self::Venue(Destination::demo(access)?),
            Mode::Testnet => Self::Venue(Destination::testnet(access)?),
            Mode::Live => Self::Venue(Destination::live(access, cleared.ok_or(Refused::NotCleared)?)?),
            Mode::Paper => Self::Paper(access),
            Mode::Shadow => Self::Shadow(Safety::check(environment, access, is_embedded)?),
        })
    }

    /// Where the market data is, and for a venue everything else.
    pub const fn access(&self) -> &Access {
        match self {
            Self::Venue(destination) => destination.access(),
            Self::Rehearsal(rehearsal) => rehearsal.access(),
            Self::Paper(access) => access,
            Self::Shadow(safety) => safety.access(),
        }
    }

    /// Whether an order, or a halt's cancel, can leave.
    pub const fn sends_orders(&self) -> bool {
        matches!(self, Self::Venue(_) | Self::Rehearsal(_))
    }

    /// Whether there is an account at a venue, to be reconciled with.
    pub const fn has_account(&self) -> bool {
        matches!(self, Self::Venue(_) | Self::Rehearsal(_))
    }

    /// Starts the session.
    pub fn start(
        self,
        ground: Ground,
        plan: &Plan,
        mut brain: Brain,
        mut setup: Setup,
    ) -> Result<Session, StartError> {
        match self {
            Self::Venue(destination) => {
                if let Some(cleared) = destination.cleared() {
                    clearance::still_fits(cleared, plan, destination.access()).map_err(StartError::Parts)?;
                    cleared.enter_session(&ground.session).map_err(StartError::Parts)?;
                    setup.cleared = Some((cleared.armed_by().to_owned(), cleared.record()));
                    setup.first_events.push(cleared.event(ground.shared.clock.now().ns, &ground.session));
                    // What was cleared for entries, and no more: risk refuses the others, a symbol of the table or not.
                    brain.allowed = Some(cleared.symbols().to_vec());
                    setup.allowed.clone_from(&brain.allowed);
                }
                session::start(ground, wiring::venue_parts(plan, &destination, brain)?, setup)
            }
            Self::Rehearsal(rehearsal) => {
                setup.dry_run = true;
                session::start(ground, wiring::rehearsal_parts(plan, &rehearsal, brain)?, setup)
            }
            Self::Paper(access) => session::start(ground, wiring::paper_parts(plan, &access, brain)?, setup),
            Self::Shadow(safety) => {
                let now_ns = ground.shared.clock.now().ns;
                let parts = wiring::shadow_parts(plan, &safety, brain)?;
                let mut event = Event::new(now_ns, Level::Info, "SHADOW_SAFETY_OK");
                event.fields = Safety::fields();
                setup.last_stage = Stage::Witness;
                setup.first_events.push(event);
                session::start(ground, parts, setup)
            }
        }
    }
}
