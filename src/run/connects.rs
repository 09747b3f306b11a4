//! The budget of connection attempts from one boot to the next (F22): what the links are given of it, and where they tell.

use std::sync::Arc;

use crate::agent::Clock;
use crate::event::fact::LinkId;
use crate::ops::connects::Connects;
use crate::ops::events::{Event, Level};
use crate::ops::paths::Paths;
use crate::shared::attempts::Attempts;
use crate::types::time::NS_PER_S;
use crate::wire::retry::{AttemptLog, Memory, RetryConfig};

use super::access::Access;
use super::plan::{ConnectBudget, Plan};
use super::session::StartError;

/// The links by their names.
const LINKS: [(LinkId, &str); 3] =
    [(LinkId::Market, "market"), (LinkId::Account, "account"), (LinkId::Orders, "orders")];

/// What the links of a session are told of earlier attempts.
#[derive(Clone, Debug)]
pub struct Before {
    attempts: Arc<Attempts>,
    /// As of the boot, by link.
    times: [Vec<i64>; 3],
    clock: Clock,
}

#[derive(Debug)]
struct Log {
    attempts: Arc<Attempts>,
    link: usize,
    clock: Clock,
}

impl AttemptLog for Log {
    fn enter(&self) {
        self.attempts.enter(self.link, self.clock.now().ns);
    }
}

impl Before {
    /// What a link's channel needs: on the monotonic clock, which the channels live on.
    pub fn memory(&self, link: LinkId) -> Memory {
        let now = self.clock.now();
        let link = link as usize;
        let age = |at_ns: &i64| now.mono_ns.saturating_sub(now.ns.saturating_sub(*at_ns).max(0));
        Memory {
            before_mono_ns: self.times[link].iter().map(age).collect(),
            log: Arc::new(Log { attempts: Arc::clone(&self.attempts), link, clock: self.clock.clone() }),
        }
    }
}

/// Opens the record, if the plan says so and the venue is not one on this machine; with an event for each link that has to
/// wait.
pub fn open(
    plan: &Plan,
    access: &Access,
    paths: &Paths,
    clock: &Clock,
) -> Result<Option<(Connects, Before, Vec<Event>)>, StartError> {
    let keeps = match plan.feed.connect_budget {
        ConnectBudget::Always => true,
        ConnectBudget::Auto => !access.is_on_this_machine(),
    };
    if !keeps {
        return Ok(None);
    }
    let (now, window_ns) = (clock.now(), RetryConfig::default().window_ns);
    let path = paths.connects();
    let connects = Connects::open(path.clone(), &access.rest.to_string(), window_ns, now.ns)
        .map_err(|source| StartError::Io { what: format!("writing {}", path.display()), source })?;
    let attempts = Arc::clone(connects.attempts());
    let times = [0, 1, 2].map(|link| attempts.times(link));
    let max = plan.feed.connects_per_5min_max as usize;
    let waits = LINKS.iter().filter_map(|(link, name)| {
        let times = &times[*link as usize];
        let oldest = times.len().checked_sub(max).map(|at| times[at])?;
        let wait_s = (oldest.saturating_add(window_ns).saturating_sub(now.ns)) / NS_PER_S;
        let event = Event::new(now.ns, Level::Warn, "CONNECT_BUDGET_SPENT")
            .with("link", *name)
            .with("attempts", times.len())
            .with("wait_s", wait_s)
            .with("remedy", "earlier starts used the venue's connection attempts up; the link waits");
        Some(event)
    });
    let events = waits.collect();
    Ok(Some((connects, Before { attempts, times, clock: clock.clone() }, events)))
}
