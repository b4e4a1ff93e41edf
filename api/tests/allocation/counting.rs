//! [`Counting`]: the system's allocator, which counts.

#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait; nothing else of this test is")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Bytes that the whole test may have at once. Above it an allocation fails, which ends the process: what is tested for
/// must not take the machine down when it comes back.
const MACHINE_BYTES: usize = 2 << 30;

static LIVE: AtomicUsize = AtomicUsize::new(0);
static PEAK: AtomicUsize = AtomicUsize::new(0);

/// The system's allocator, and how much it has given out.
pub(crate) struct Counting;

// SAFETY: blocks come from `System` with the layout that was asked for and go back to it with the layout that they were
// given with, so its guarantees are ours. What is done besides is arithmetic on atomics: it allocates nothing and does not
// unwind. A null pointer is the answer that the trait has for "no memory". `realloc` and `alloc_zeroed` are the trait's own,
// made of `alloc` and `dealloc`: so a block that grows is counted together with the one that it is copied from.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let live = LIVE.fetch_add(layout.size(), Relaxed).saturating_add(layout.size());
        // SAFETY: the caller promises a layout of more than 0 bytes, which is all that `System` wants.
        let block = if live <= MACHINE_BYTES { unsafe { System.alloc(layout) } } else { std::ptr::null_mut() };
        if block.is_null() {
            LIVE.fetch_sub(layout.size(), Relaxed);
        } else {
            PEAK.fetch_max(live, Relaxed);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller promises that `block` came from `alloc` with this layout, and so from `System`.
        unsafe { System.dealloc(block, layout) };
        LIVE.fetch_sub(layout.size(), Relaxed);
    }
}

/// From now on the most is counted anew.
pub(crate) fn begin() -> Counted {
    let live = LIVE.load(Relaxed);
    PEAK.store(live, Relaxed);
    Counted { live }
}

/// What was there when counting began.
pub(crate) struct Counted {
    live: usize,
}

impl Counted {
    /// The most that there was at once since then beyond what was there then, bytes.
    pub(crate) fn most(&self) -> usize {
        PEAK.load(Relaxed).saturating_sub(self.live)
    }
}
