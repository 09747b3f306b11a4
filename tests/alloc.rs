//! No allocation in steady state in our code on the four stages (R-HOT-3), counted by the allocator itself.
//!
//! The first test sends 100,000 ticks through the whole line: frames in, orders out, answers and reports back, journal and
//! latency rings filled. Only the stages' own work is counted; the venue's part, on the same thread, is not. The second
//! measures what the TLS library allocates for each record, and holds that our link adds nothing to it.
#![expect(unsafe_code, reason = "an allocator that counts is an unsafe trait")]

#[path = "it/alloc_shapes.rs"]
mod alloc_shapes;
#[path = "../benches/support/memory.rs"]
mod memory;
#[path = "../benches/support/messages.rs"]
mod messages;
#[path = "../benches/support/stand.rs"]
mod stand;
#[path = "../benches/support/venue.rs"]
mod venue;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use messages::Random;

/// Ticks sent, after as many as it takes to be warm.
const TICKS: u64 = 100_000;
const WARM_UP: u64 = 5_000;

struct Counting;

thread_local! {
    // Const and without a destructor: reading it allocates nothing, at any time of a thread's life.
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

fn count() {
    ALLOCATIONS.with(|counter| counter.set(counter.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a plain thread-local cell.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc_zeroed(layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(block, layout, size) }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(block, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `work` makes on this thread.
fn allocations<R>(work: impl FnOnce() -> R) -> (u64, R) {
    let before = ALLOCATIONS.with(Cell::get);
    let result = work();
    (ALLOCATIONS.with(Cell::get) - before, result)
}

#[test]
fn r_hot_3_the_whole_line_allocates_nothing_in_steady_state() {
    let mut bench = memory::Bench::open();
    let mut random = Random(17);
    let ticks: Vec<Vec<u8>> =
        (0..1_024).map(|i| venue::server_frame(&messages::book_ticker(&mut random, 5_000 + i))).collect();
    let (mut counted, mut orders, mut first) = (0, 0, None);
    for tick in 0..WARM_UP + TICKS {
        let is_counted = tick >= WARM_UP;
        if tick.is_multiple_of(64) {
            bench.venue.depth();
        }
        let at = usize::try_from(tick).expect("an index") % ticks.len();
        bench.venue.market.send(&ticks[at]);
        // The tick's own cycle, and those that take the answers and reports in.
        for part in 0..4 {
            let (made, ()) = allocations(|| stand::cycle(&mut bench.line.stages, &bench.shared.clock));
            if is_counted {
                counted += made;
                if made > 0 {
                    first.get_or_insert((tick, part));
                }
            }
            // The order comes with the first cycle; what the reports cause comes with the others.
            if part == 0 {
                let placed = bench.venue.answer() as u64;
                orders += if is_counted { placed } else { 0 };
            }
        }
        if tick.is_multiple_of(1_024) {
            stand::drain_journal(&mut bench.line.ends.journal);
            stand::drain_samples(&mut bench.line.ends.samples);
            while bench.line.ends.traces.pop().is_ok() {}
        }
    }
    assert!(
        orders * 100 >= TICKS * 99,
        "{orders} orders for {TICKS} ticks: {}",
        stand::complaint(&bench.shared)
    );
    assert_eq!(counted, 0, "allocations in {TICKS} ticks; the first at (tick, cycle) {first:?}");
}
