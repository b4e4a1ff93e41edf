//! [`Releases`]: tells the log which records neither results nor archive need any more, so that it may remove them.
//!
//! The record at a checkpoint stays, because a start looks for it (E7). An archive in a file may lose its last blocks, with their
//! checkpoint, at a power cut; they are then made again from the log. So a record is released only some time after both have it, when
//! every system has written it to its disk.

use std::collections::BTreeMap;

use boxbox_log::{Log, Offset};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::Config;
use crate::status::Status;

/// What was committed by both pumps of each partition, and when that was seen.
#[derive(Default)]
pub(crate) struct Releases(Mutex<BTreeMap<u32, Seen>>);

struct Seen {
    at: Instant,
    committed: Offset,
}

impl Releases {
    /// A pump of `partition` has read its checkpoint from its store. When both have for the first time in this process, release what both
    /// checkpoints cover: they, and what belongs to them, were read from the disk, so a start need not wait for the system to write it.
    pub(crate) fn begun(&self, log: &dyn Log, partition: u32, status: &Status) {
        let committed = status.committed(partition);
        let Some(below) = committed.checked_sub(1) else { return };
        let mut seen = self.0.lock();
        if seen.contains_key(&partition) {
            return;
        }
        seen.insert(partition, Seen { at: Instant::now(), committed });
        drop(seen);
        log.release(partition, below);
    }

    /// Release what both pumps of `partition` had committed [`Config::release_after`] ago.
    pub(crate) fn update(&self, log: &dyn Log, partition: u32, status: &Status, config: &Config) {
        let committed = status.committed(partition);
        // Until both have begun or committed something.
        if committed == 0 {
            return;
        }
        let mut seen = self.0.lock();
        let now = Instant::now();
        let before = seen.entry(partition).or_insert(Seen { at: now, committed: 0 });
        if now.duration_since(before.at) < config.release_after {
            return;
        }
        // A partition that went to another processor and came back begins again at 0.
        let released = before.committed.min(committed);
        *before = Seen { at: now, committed };
        drop(seen);
        if let Some(below) = released.checked_sub(1) {
            log.release(partition, below);
        }
    }
}
