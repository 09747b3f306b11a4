//! What happens when the file under a mapped kill page is cut short: the kernel answers the next access with SIGBUS, whose
//! default is to end the process, and with it the engine that still has orders at the venue.
//!
//! Instead, the handler puts a page of zeros over the lost one and lets the access run again. A page of zeros is not a valid
//! kill page, so every reader sees "tripped" and the engine goes on doing what it must: cancel, close, reconcile. Nothing
//! else is saved this way: a SIGBUS at any other address gets the default action.
#![expect(unsafe_code, reason = "a signal handler and a fixed mapping; each block argues why that is sound")]

use std::io;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::kill::PAGE_BYTES;

/// Pages that may be guarded at once: one per engine of this process, and some for tests.
const PAGES_MAX: usize = 64;

/// Addresses of the guarded pages; 0 is a free slot. A static array, because a signal handler may neither lock nor allocate.
static PAGES: [AtomicUsize; PAGES_MAX] = [const { AtomicUsize::new(0) }; PAGES_MAX];
static INSTALLED: AtomicBool = AtomicBool::new(false);

/// A guarded page, until dropped. Must be dropped before the page is unmapped.
#[derive(Debug)]
pub(super) struct Guard {
    slot: usize,
}

impl Guard {
    /// Guards the page at `address` (a page boundary, [`PAGE_BYTES`] long, mapped).
    pub(super) fn new(address: usize) -> io::Result<Self> {
        install()?;
        for (slot, cell) in PAGES.iter().enumerate() {
            // AcqRel: the slot's last user is done with it, and the handler sees the address.
            if cell.compare_exchange(0, address, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return Ok(Self { slot });
            }
        }
        Err(io::Error::other(format!("more than {PAGES_MAX} kill pages mapped in one process")))
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        PAGES[self.slot].store(0, Ordering::Release); // pairs with the exchange in `new`
    }
}

fn install() -> io::Result<()> {
    // AcqRel: one caller installs. A second one may go on before the handler stands, but only within the first moments of
    // the process, and a page that is cut in them ends the process before it has an order.
    if INSTALLED.swap(true, Ordering::AcqRel) {
        return Ok(());
    }
    // SAFETY: zero is a valid `sigaction` (default handler, empty mask, no flags).
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_sigbus as *const () as usize;
    // SA_NODEFER is left out: a fault inside the handler is a bug of ours and gets the default action.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: `action` is complete and the handler has the three-argument form that SA_SIGINFO asks for.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, std::ptr::null_mut()) } != 0 {
        INSTALLED.store(false, Ordering::Release); // pairs with the swap above: the next page tries again
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Runs on the faulting thread. Only calls what is safe there: atomic loads and the plain system calls `mmap` and `sigaction`.
extern "C" fn on_sigbus(signal: libc::c_int, info: *mut libc::siginfo_t, _context: *mut libc::c_void) {
    // SAFETY: the kernel passes a valid `siginfo_t`; for SIGBUS it carries the faulting address.
    let address = unsafe { (*info).si_addr() } as usize;
    let page = address & !(PAGE_BYTES - 1);
    let guarded = page != 0 && PAGES.iter().any(|cell| cell.load(Ordering::Acquire) == page);
    if guarded && cover_with_zeros(page) {
        return; // the access runs again, and finds zeros
    }
    // Not ours, or no memory: the default action, at the same instruction again.
    // SAFETY: as in `install`.
    let default: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: restores the default action, which is all that is left to do.
    unsafe { libc::sigaction(signal, &raw const default, std::ptr::null_mut()) };
}

fn cover_with_zeros(page: usize) -> bool {
    // SAFETY: `errno` belongs to this thread; it is put back below, because the interrupted code may be about to read it.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *errno };
    // SAFETY: the range is a page that this program mapped for a kill page and has not unmapped (the guard goes first), so
    // MAP_FIXED replaces only that. All access to it is through atomics, which accept any bit pattern.
    let covered = unsafe {
        libc::mmap(
            page as *mut libc::c_void,
            PAGE_BYTES,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED,
            -1,
            0,
        )
    };
    // SAFETY: as above.
    unsafe { *errno = before };
    covered != libc::MAP_FAILED
}
