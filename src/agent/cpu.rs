//! Cores: which ones the host truly grants, and pinning with a check afterwards.
//!
//! `core_affinity::get_core_ids` is the caller's affinity mask, shrinks after pinning and omits isolated cores, so it is
//! never asked. The truth is the process's mask (read in `main`, before any pinning), cut by a cgroup's CPU quota.

use std::fs;

/// What the host grants this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// Cores in the process's affinity mask.
    pub cores: Vec<usize>,
    /// A cgroup's CPU quota in whole cores (rounded down, at least 1), if there is one.
    pub quota_cores: Option<usize>,
}

impl Granted {
    /// Reads the mask and the quota. Call it in `main`, before pinning anything.
    pub fn read() -> std::io::Result<Self> {
        let mask = rustix::thread::sched_getaffinity(None)?;
        let cores = (0..rustix::thread::CpuSet::MAX_CPU).filter(|&c| mask.is_set(c)).collect();
        Ok(Self { cores, quota_cores: read_quota() })
    }

    /// How many threads may spin at once: the mask, cut by the quota.
    pub fn usable(&self) -> usize {
        self.cores.len().min(self.quota_cores.unwrap_or(usize::MAX)).max(1)
    }
}

fn read_quota() -> Option<usize> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|l| l.strip_prefix("0::"))?.trim();
    let text = fs::read_to_string(format!("/sys/fs/cgroup{path}/cpu.max"))
        .or_else(|_| fs::read_to_string("/sys/fs/cgroup/cpu.max"))
        .ok()?;
    let mut words = text.split_whitespace();
    let quota: u64 = words.next()?.parse().ok()?; // "max" is no quota
    let period: u64 = words.next()?.parse().ok()?;
    usize::try_from(quota / period.max(1)).ok().map(|c| c.max(1))
}

/// Why a thread is not where it should be.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// No such core in the kernel's mask type.
    #[error("core {core} is beyond the {max} cores that can be named")]
    OutOfRange {
        /// Asked for.
        core: usize,
        /// The bound.
        max: usize,
    },
    /// The kernel refused, usually because the core is outside the cgroup's cpuset.
    #[error("the kernel did not pin the thread to core {core}; is it in the process's cpuset?")]
    Refused {
        /// Asked for.
        core: usize,
    },
    /// The call succeeded but the thread runs elsewhere.
    #[error("the thread runs on core {found}, not on core {core}")]
    Elsewhere {
        /// Asked for.
        core: usize,
        /// Where it runs.
        found: usize,
    },
}

/// Pins the calling thread to one core and checks that it got there.
pub fn pin_current_thread(core: usize) -> Result<(), PinError> {
    // core_affinity indexes a fixed mask with the id: beyond it, it would abort the process.
    if core >= rustix::thread::CpuSet::MAX_CPU {
        return Err(PinError::OutOfRange { core, max: rustix::thread::CpuSet::MAX_CPU });
    }
    if !core_affinity::set_for_current(core_affinity::CoreId { id: core }) {
        return Err(PinError::Refused { core });
    }
    let found = rustix::thread::sched_getcpu();
    if found == core { Ok(()) } else { Err(PinError::Elsewhere { core, found }) }
}

/// Keeps the calling thread, and those that it starts later, on some cores: cold threads away from hot cores.
pub fn confine_current_thread(cores: &[usize]) -> std::io::Result<()> {
    let mut mask = rustix::thread::CpuSet::new();
    for &core in cores.iter().filter(|&&c| c < rustix::thread::CpuSet::MAX_CPU) {
        mask.set(core);
    }
    Ok(rustix::thread::sched_setaffinity(None, &mask)?)
}
