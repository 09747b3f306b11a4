//! What time an agent is given: a cycle reads the clock for those who obey a deadline, and spares the others the read.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use interlock::agent::{Agent, Clock, cycle};
use interlock::types::Now;

const START_NS: i64 = 1_723_161_253_000_000_000;

/// Takes its time, and keeps what the clock said to it.
struct Slow {
    clock: Clock,
    takes_ns: i64,
    needs_fresh_time: bool,
    given: Arc<AtomicI64>,
}

impl Agent for Slow {
    fn name(&self) -> &'static str {
        "slow"
    }
    fn poll(&mut self, now: Now) -> usize {
        assert_eq!(now.ns, START_NS + now.mono_ns, "both times are of one reading");
        self.given.store(now.mono_ns, Ordering::Relaxed); // one thread
        self.clock.set_virtual(self.clock.mono_ns() + self.takes_ns);
        1
    }
    fn needs_fresh_time(&self) -> bool {
        self.needs_fresh_time
    }
}

/// Runs one cycle of agents that take so long each; what each was given, the work, and the cycle's last reading.
fn given(agents: &[(bool, i64)]) -> (Vec<i64>, usize, i64) {
    let clock = Clock::virtual_at(START_NS);
    clock.set_virtual(1_000);
    let seen: Vec<Arc<AtomicI64>> = agents.iter().map(|_| Arc::new(AtomicI64::new(-1))).collect();
    let slow = |(&(needs_fresh_time, takes_ns), given): (&(bool, i64), &Arc<AtomicI64>)| {
        let slow = Slow { clock: clock.clone(), takes_ns, needs_fresh_time, given: Arc::clone(given) };
        Box::new(slow) as Box<dyn Agent>
    };
    let mut agents: Vec<_> = agents.iter().zip(&seen).map(slow).collect();
    let (work, last) = cycle(&mut agents, &clock);
    let seen = seen.iter().map(|at| at.load(Ordering::Relaxed)).collect(); // one thread
    (seen, work, last.mono_ns)
}

/// R-HOT-4: who obeys a deadline sees the time that passed in the turns before it; who doesn't is given the last reading.
#[test]
fn r_hot_4_a_deadline_is_judged_by_the_time_at_its_own_turn() {
    let (fresh, stale) = (true, false);
    // The line as it is: feed, signal, risk, gateway.
    let line = [(fresh, 10), (stale, 20), (stale, 30), (fresh, 40)];
    assert_eq!(given(&line), (vec![1_000, 1_000, 1_000, 1_060], 4, 1_060));
    // A reading serves until the next one is asked for, not only the first one of a cycle.
    let mixed = [(fresh, 10), (fresh, 20), (stale, 30), (fresh, 40), (stale, 50)];
    assert_eq!(given(&mixed), (vec![1_000, 1_010, 1_010, 1_060, 1_060], 5, 1_060));
    // The first one has a reading of its cycle in any case.
    assert_eq!(given(&[(stale, 10), (stale, 20)]), (vec![1_000, 1_000], 2, 1_000));
    assert_eq!(given(&[]), (vec![], 0, 1_000));
}
