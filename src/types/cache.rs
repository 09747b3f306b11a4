//! A word to the processor's caches: what will be written soon is fetched now.

/// Asks for the cache lines of a value that is about to be written, without waiting. A hint: it changes nothing and can't
/// fault. With the intent to write, so that lines do not stay shared with a core that read them before.
#[inline]
pub fn fetch_for_writing<T>(value: &T) {
    fetch::<T, 0>(value);
}

/// The same for all lines but the first, for a value whose first line another core is looking at.
#[inline]
pub fn fetch_for_writing_behind<T>(value: &T) {
    fetch::<T, 1>(value);
}

#[inline]
#[cfg_attr(target_arch = "x86_64", expect(unsafe_code, reason = "an instruction without a safe wrapper"))]
fn fetch<T, const FROM_LINE: usize>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    {
        const LINE_BYTES: usize = 64;
        let start = core::ptr::from_ref(value).cast::<u8>();
        for line in FROM_LINE..size_of::<T>().div_ceil(LINE_BYTES) {
            let at = start.wrapping_add(line * LINE_BYTES);
            // SAFETY: `prefetchw` reads and writes no memory that the program can see, sets no flag and never faults; a
            // processor that does not know it takes it for a no-op.
            unsafe {
                core::arch::asm!("prefetchw [{at}]", at = in(reg) at, options(nostack, preserves_flags));
            }
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
