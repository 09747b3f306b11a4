//! Which stage runs on which thread, on which core, and how it waits (R-HOT-7).
//!
//! `auto` goes by the cores that the host truly grants this process: its affinity mask and its cgroup's quota, read in
//! `main` before anything is pinned. It never lets more threads spin than there are cores to spare: one core always
//! stays with the cold threads.

use crate::agent::IdleStrategy;
use crate::agent::cpu::Granted;

use super::plan::{Layout, PlacementSection};

/// The stages, in the order of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Stage 1.
    Feed,
    /// Stage 2.
    Signal,
    /// Stage 3.
    Risk,
    /// Stage 4.
    Gateway,
    /// What stands in the gateway's place in shadow mode.
    Witness,
}

impl Stage {
    /// The four of a line with a gateway, in order.
    pub const ALL: [Self; 4] = [Self::Feed, Self::Signal, Self::Risk, Self::Gateway];
    /// Name of the stage: threads, heartbeats, metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Feed => "feed",
            Self::Signal => "signal",
            Self::Risk => "risk",
            Self::Gateway => "gateway",
            Self::Witness => "witness",
        }
    }
}

/// One hot thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HotThread {
    /// What it polls, in order.
    pub stages: Vec<Stage>,
    /// Where; `None` leaves it to the scheduler.
    pub core: Option<usize>,
    /// How it waits.
    pub idle: IdleStrategy,
}

impl HotThread {
    /// The thread's name: its stages' names joined.
    pub fn name(&self) -> String {
        self.stages.iter().map(|s| s.name()).collect::<Vec<_>>().join("+")
    }
}

/// All threads, and what is left for the others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// The hot threads, feed first.
    pub threads: Vec<HotThread>,
    /// Cores of the cold threads: everything that no hot thread is pinned to; all cores if that is nothing.
    pub cold_cores: Vec<usize>,
}

impl Placement {
    /// The same with another stage at the line's end.
    pub fn ending_with(mut self, last: Stage) -> Self {
        if let Some(stage) = self.threads.last_mut().and_then(|thread| thread.stages.last_mut()) {
            *stage = last;
        }
        self
    }
}

/// Why a placement can't be had.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlacementError {
    /// The wrong number of cores.
    #[error(
        "placement.cores names {found} cores, but layout {layout:?} has {wanted} threads; name {wanted}, or none"
    )]
    CoreCount {
        /// Named.
        found: usize,
        /// Threads of the layout.
        wanted: usize,
        /// The layout.
        layout: Layout,
    },
    /// A core that this process may not use.
    #[error("placement.cores: core {core} is not granted to this process (granted: {granted:?})")]
    NotGranted {
        /// Named.
        core: usize,
        /// The mask.
        granted: Vec<usize>,
    },
    /// A core twice.
    #[error("placement.cores: core {core} is named twice; threads that spin can't share a core")]
    Twice {
        /// Named.
        core: usize,
    },
}

fn groups(layout: Layout, usable: usize) -> Vec<Vec<Stage>> {
    use Stage::{Feed, Gateway, Risk, Signal};
    let layout = match (layout, usable) {
        (Layout::Auto, 0..=3) => Layout::One,
        (Layout::Auto, 4..=5) => Layout::Two,
        (Layout::Auto, _) => Layout::Four,
        (fixed, _) => fixed,
    };
    match layout {
        Layout::Two => vec![vec![Feed, Signal], vec![Risk, Gateway]],
        Layout::Four => Stage::ALL.map(|s| vec![s]).to_vec(),
        Layout::One | Layout::Auto => vec![Stage::ALL.to_vec()],
    }
}

/// Decides.
pub fn decide(section: &PlacementSection, granted: &Granted) -> Result<Placement, PlacementError> {
    let groups = groups(section.layout, granted.usable());
    let wanted = groups.len();
    check_named(section, granted, wanted)?;
    // At least one core stays with the cold threads, else nobody is pinned and nobody spins.
    let room = granted.usable() > wanted;
    let cores: Vec<Option<usize>> = if section.unpinned {
        vec![None; wanted]
    } else if !section.cores.is_empty() {
        section.cores.iter().copied().map(Some).collect()
    } else if room {
        // The last cores: the first ones usually serve interrupts.
        granted.cores[granted.cores.len() - wanted..].iter().copied().map(Some).collect()
    } else {
        vec![None; wanted]
    };
    let idle = section.idle.fixed().unwrap_or(if room { IdleStrategy::Spin } else { IdleStrategy::Yield });
    let mut cold_cores: Vec<usize> =
        granted.cores.iter().copied().filter(|core| !cores.contains(&Some(*core))).collect();
    if cold_cores.is_empty() {
        cold_cores.clone_from(&granted.cores);
    }
    let threads =
        groups.into_iter().zip(cores).map(|(stages, core)| HotThread { stages, core, idle }).collect();
    Ok(Placement { threads, cold_cores })
}

fn check_named(section: &PlacementSection, granted: &Granted, wanted: usize) -> Result<(), PlacementError> {
    if section.cores.is_empty() {
        return Ok(());
    }
    if section.cores.len() != wanted {
        return Err(PlacementError::CoreCount { found: section.cores.len(), wanted, layout: section.layout });
    }
    for (at, &core) in section.cores.iter().enumerate() {
        if !granted.cores.contains(&core) {
            return Err(PlacementError::NotGranted { core, granted: granted.cores.clone() });
        }
        if section.cores[..at].contains(&core) {
            return Err(PlacementError::Twice { core });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granted(cores: usize) -> Granted {
        Granted { cores: (0..cores).collect(), quota_cores: None }
    }
    fn section(layout: Layout) -> PlacementSection {
        PlacementSection { layout, ..PlacementSection::default() }
    }

    #[test]
    fn r_hot_7_auto_goes_by_the_granted_cores() {
        for (cores, threads) in [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 4), (64, 4)] {
            let placed = decide(&section(Layout::Auto), &granted(cores)).unwrap();
            assert_eq!(placed.threads.len(), threads, "{cores} cores");
        }
    }

    #[test]
    fn spinning_threads_never_take_the_last_core() {
        for layout in [Layout::Auto, Layout::One, Layout::Two, Layout::Four] {
            for cores in 1..10 {
                let placed = decide(&section(layout), &granted(cores)).unwrap();
                let spinning = placed.threads.iter().filter(|t| t.idle == IdleStrategy::Spin).count();
                assert!(spinning < cores, "{layout:?} on {cores} cores: {spinning} spin");
            }
        }
    }

    #[test]
    fn a_quota_counts_as_fewer_cores() {
        let quota = Granted { cores: (0..16).collect(), quota_cores: Some(2) };
        assert_eq!(decide(&section(Layout::Auto), &quota).unwrap().threads.len(), 1);
    }

    #[test]
    fn named_cores_are_checked() {
        let named = |cores: &[usize]| PlacementSection { cores: cores.to_vec(), ..section(Layout::Two) };
        assert!(matches!(decide(&named(&[1]), &granted(4)), Err(PlacementError::CoreCount { .. })));
        assert!(matches!(
            decide(&named(&[1, 9]), &granted(4)),
            Err(PlacementError::NotGranted { core: 9, .. })
        ));
        assert!(matches!(decide(&named(&[1, 1]), &granted(4)), Err(PlacementError::Twice { core: 1 })));
        let placed = decide(&named(&[3, 1]), &granted(4)).unwrap();
        assert_eq!(placed.threads.iter().map(|t| t.core).collect::<Vec<_>>(), [Some(3), Some(1)]);
        assert_eq!(placed.cold_cores, [0, 2]);
    }

    #[test]
    fn every_stage_runs_exactly_once() {
        for layout in [Layout::One, Layout::Two, Layout::Four] {
            let placed = decide(&section(layout), &granted(8)).unwrap();
            let stages: Vec<Stage> = placed.threads.iter().flat_map(|t| t.stages.clone()).collect();
            assert_eq!(stages, Stage::ALL);
        }
    }
}
