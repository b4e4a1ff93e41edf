//! The allocator of the program, and when it gives memory back to the system.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's list of options, which its crate has no name for.
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;

/// Give freed memory back at once, not when the thread that had it allocates again: threads that make long answers are idle for long, and
/// what they had made a server of 512 MiB run out of memory under load. It costs nothing that could be measured in the edge's CPU time.
/// Who sets `MIMALLOC_PURGE_DELAY` (ms) decides otherwise. Called first thing in `main`, before there are threads.
pub fn give_back_at_once() {
    // SAFETY: the call reads and writes one entry of an array of mimalloc's; the number is below that array's length
    // (`_mi_option_last`, checked when this is compiled), and no other thread is running that could read the entry meanwhile.
    #[allow(unsafe_code, reason = "mimalloc has no safe interface for its options")]
    unsafe {
        libmimalloc_sys::mi_option_set_default(PURGE_DELAY, 0);
    }
}

const _: () = assert!(PURGE_DELAY < libmimalloc_sys::_mi_option_last);
