//! This machine's clock.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix µs. Used for the status and for decisions outside the pure code (E9a); no result depends on it.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}
