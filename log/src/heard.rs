//! The outcomes that a writer's completions heard, for tests that are not async.

use std::time::Instant;

use boxbox_testkit::wait::PATIENCE;
use parking_lot::{Condvar, Mutex};

use crate::{Completion, Completions, Outcome};

/// Keeps outcomes in the order in which they came.
#[derive(Default)]
pub(crate) struct Heard {
    all: Mutex<Vec<Completion>>,
    more: Condvar,
}

impl Heard {
    /// Waits for `n` completions; all so far.
    pub(crate) fn wait(&self, n: usize) -> Vec<Completion> {
        let (mut all, deadline) = (self.all.lock(), Instant::now() + PATIENCE);
        while all.len() < n {
            assert!(!self.more.wait_until(&mut all, deadline).timed_out(), "{} of {n} outcomes came", all.len());
        }
        all.clone()
    }

    pub(crate) fn outcomes(&self) -> Vec<Outcome> {
        self.all.lock().iter().map(|c| c.outcome).collect()
    }

    pub(crate) fn all_durable(&self) {
        assert!(self.outcomes().iter().all(|o| matches!(o, Outcome::Durable(_))));
    }
}

impl Completions for Heard {
    fn completed(&self, batch: &[Completion]) {
        self.all.lock().extend_from_slice(batch);
        self.more.notify_all();
    }
}
