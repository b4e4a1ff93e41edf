//! Waiting until something has happened.
//!
//! A test looks again and again, and fails when the condition does not hold within [`PATIENCE`]. `what` names the condition
//! in the failure: "the log is full", or [`std::fmt::from_fn`] for a text that is made when the test fails, and only then.

use std::fmt::Display;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far above what it takes, so that a busy machine fails no test.
pub const PATIENCE: Duration = Duration::from_secs(180);

/// When a wait began, and what it waits for.
struct Wait<W> {
    began: Instant,
    what: W,
}

impl<W: Display> Wait<W> {
    fn new(what: W) -> Self {
        Self { began: Instant::now(), what }
    }

    /// How long to pause until the next look.
    fn pause(&self, longest: Duration) -> Duration {
        let waited = self.began.elapsed();
        assert!(waited < PATIENCE, "not within {PATIENCE:?}: {}", self.what);
        pause_after(waited, longest)
    }
}

/// An eighth of the wait so far, so that a short wait ends soon and a long one costs little.
fn pause_after(waited: Duration, longest: Duration) -> Duration {
    (waited / 8).clamp(Duration::from_micros(500), longest)
}

/// The longest pause between two looks at the memory of this process.
#[cfg(feature = "pipeline")]
const LONGEST_HERE: Duration = Duration::from_millis(2);

/// The longest pause between two looks elsewhere: a request, a file.
const LONGEST: Duration = Duration::from_millis(50);

/// Waits until `holds` returns true.
///
/// # Panics
/// If it does not within [`PATIENCE`].
#[cfg(feature = "pipeline")]
pub async fn until(what: impl Display, mut holds: impl FnMut() -> bool) {
    let wait = Wait::new(what);
    while !holds() {
        tokio::time::sleep(wait.pause(LONGEST_HERE)).await;
    }
}

/// Waits until the future of `attempt` returns a value.
///
/// # Panics
/// If none does within [`PATIENCE`].
#[cfg(feature = "pipeline")]
pub async fn until_some<T>(what: impl Display, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let wait = Wait::new(what);
    loop {
        if let Some(value) = attempt().await {
            return value;
        }
        tokio::time::sleep(wait.pause(LONGEST)).await;
    }
}

/// Waits until `holds` returns true, and blocks the thread.
///
/// # Panics
/// If it does not within [`PATIENCE`].
pub fn block_until(what: impl Display, mut holds: impl FnMut() -> bool) {
    let wait = Wait::new(what);
    while !holds() {
        std::thread::sleep(wait.pause(LONGEST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_ends_at_the_first_look_that_finds_it() {
        let mut looks = 0;
        block_until("a third look", || {
            looks += 1;
            looks == 3
        });
        assert_eq!(looks, 3);
    }

    #[test]
    fn pauses_grow_to_the_longest() {
        let after_ms = |ms| pause_after(Duration::from_millis(ms), LONGEST);
        assert_eq!([0, 80, 800].map(after_ms), [Duration::from_micros(500), Duration::from_millis(10), LONGEST]);
    }
}
