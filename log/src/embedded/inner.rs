//! An open log: its partitions with their threads.

use std::sync::Arc;
use std::thread::JoinHandle;

use boxbox_schemas::LogId;

use super::segment::Partition;
use crate::memory::no_partition;
use crate::{Limits, LogError};

/// Shared by the log, its writers and its readers; the folder's lock is released when the last of them is dropped.
pub(super) struct Inner {
    pub(super) id: LogId,
    pub(super) limits: Limits,
    pub(super) partitions: Vec<Arc<Partition>>,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) _lock: Arc<std::fs::File>,
}

impl Inner {
    pub(super) fn partition(&self, number: u32) -> Result<&Arc<Partition>, LogError> {
        self.partitions.get(number as usize).ok_or_else(|| no_partition(number, self.partitions.len() as u32))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.partitions.iter().for_each(|p| p.queue.end());
        for thread in self.threads.drain(..) {
            // A partition's own thread can be the last owner, through a writer's completions: it cannot join itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
