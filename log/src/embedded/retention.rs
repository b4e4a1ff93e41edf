//! Removal of whole sealed segments, by size and by age. The segment that is written to always stays.

use std::time::Duration;

use super::options::Options;
use super::segment::{Partition, Sealed};
use crate::memory::now_us;

/// Remove the segments that the options no longer keep. A failure is logged and tried again later: keeping too much does no harm.
pub(super) fn apply(partition: &Partition, options: &Options, partitions: u32) {
    let budget = options.retention_bytes.map(|bytes| (bytes / u64::from(partitions)).saturating_sub(options.segment_bytes));
    let oldest_us = options.retention_age.map(|age| now_us() - age.min(Duration::from_secs(100 * 365 * 86_400)).as_micros() as i64);
    loop {
        let Some(first) = too_much(partition, budget, oldest_us) else { return };
        // The list of segments changes first, so that no reader opens a file that is about to be removed.
        partition.segments.write().sealed.pop_front();
        // The folder is synced after each file, so that a crash never leaves a gap between segments.
        let removed = std::fs::remove_file(&first.path).map_err(|e| e.to_string()).and_then(|()| partition.folder.sync().map_err(|e| e.to_string()));
        match removed {
            Ok(()) => {
                tracing::info!(partition = partition.number, path = %first.path.display(), end = first.end, "the log removed a segment by its retention")
            }
            Err(error) => {
                tracing::warn!(partition = partition.number, path = %first.path.display(), error, "the log could not remove a segment by its retention");
                return;
            }
        }
    }
}

fn too_much(partition: &Partition, budget: Option<u64>, oldest_us: Option<i64>) -> Option<Sealed> {
    let segments = partition.segments.read();
    let held: u64 = segments.sealed.iter().map(|s| s.bytes).sum();
    let first = segments.sealed.front()?;
    let too_large = budget.is_some_and(|budget| held > budget);
    let too_old = oldest_us.is_some_and(|oldest| first.last_us < oldest);
    (too_large || too_old).then(|| first.clone())
}
