//! The records that wait for a partition's thread, and how it is woken.

use parking_lot::{Condvar, Mutex};

use crate::outcomes::Pending;

/// Records that wait for their partition's thread. Bounded by the writers' budgets.
pub(super) struct Queue {
    pub(super) state: Mutex<Waiting>,
    pub(super) wake: Condvar,
    /// Waiting bytes at which the thread is woken before its time.
    pub(super) commit_bytes: usize,
}

#[derive(Default)]
pub(super) struct Waiting {
    pub(super) records: Vec<Pending>,
    pub(super) bytes: usize,
    /// The thread waits for a first record and must be woken; otherwise it wakes up by its own timer.
    pub(super) idle: bool,
    pub(super) ended: bool,
    closed: Option<&'static str>,
}

impl Queue {
    pub(super) fn new(commit_bytes: usize) -> Self {
        Self { state: Mutex::default(), wake: Condvar::new(), commit_bytes }
    }

    /// Give a record to the thread, or get it back with the reason.
    pub(super) fn push(&self, pending: Pending) -> Result<(), (Pending, &'static str)> {
        let mut waiting = self.state.lock();
        if let Some(reason) = waiting.closed {
            return Err((pending, reason));
        }
        let before = waiting.bytes;
        waiting.bytes += pending.record.len();
        waiting.records.push(pending);
        let full = before < self.commit_bytes && waiting.bytes >= self.commit_bytes;
        let wake = full || std::mem::take(&mut waiting.idle);
        drop(waiting);
        if wake {
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Let the thread end after it has committed the waiting records.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.wake.notify_one();
    }

    /// Accept no more records, and return the waiting ones.
    pub(super) fn close(&self, reason: &'static str) -> Vec<Pending> {
        let mut waiting = self.state.lock();
        waiting.closed = Some(reason);
        waiting.bytes = 0;
        std::mem::take(&mut waiting.records)
    }
}
