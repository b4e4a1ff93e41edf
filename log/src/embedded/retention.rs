//! Removal of whole sealed segments, by size and by age. The segment that is written to always stays, and with
//! [`Options::retain_unreleased`] everything that somebody may still need.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::Duration;

use super::options::Options;
use super::segment::{Partition, Sealed};
use crate::metrics::LogMetrics;

/// Applies the retention of one partition, and measures what it keeps.
pub(super) struct Retention {
    options: Options,
    /// The most that the partition's sealed segments may take.
    budget: Option<u64>,
    metrics: LogMetrics,
    /// What the gauges hold for this partition.
    kept_bytes: u64,
    unreleased_bytes: u64,
    told: bool,
    oldest: Arc<Oldest>,
}

/// When the oldest records of each partition were appended, Unix µs. The gauge is for the whole log.
pub(super) struct Oldest(Vec<AtomicI64>);

impl Oldest {
    pub(super) fn new(partitions: u32) -> Self {
        Self((0..partitions).map(|_| AtomicI64::new(i64::MAX)).collect())
    }

    /// Set that of one partition; returns that of the log.
    fn set(&self, partition: u32, oldest_us: i64) -> i64 {
        if let Some(own) = self.0.get(partition as usize) {
            own.store(oldest_us, Relaxed);
        }
        self.0.iter().map(|of| of.load(Relaxed)).min().unwrap_or(oldest_us)
    }
}

/// Why the oldest segment goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reason {
    Size,
    Age,
}

impl Reason {
    fn name(self) -> &'static str {
        match self {
            Reason::Size => "size",
            Reason::Age => "age",
        }
    }
}

impl Retention {
    pub(super) fn new(options: &Options, partitions: u32, metrics: LogMetrics, oldest: Arc<Oldest>) -> Self {
        let budget = options.retention_bytes.map(|bytes| (bytes / u64::from(partitions)).saturating_sub(options.segment_bytes));
        Self { options: options.clone(), budget, metrics, kept_bytes: 0, unreleased_bytes: 0, told: false, oldest }
    }

    /// Remove the segments that the options no longer keep. A failure is logged and tried again later: keeping too much does no harm.
    pub(super) fn apply(&mut self, partition: &Partition) {
        let long = Duration::from_secs(100 * 365 * 86_400);
        let oldest_us = self.options.retention_age.and_then(|age| Some((self.options.clock)()? - age.min(long).as_micros() as i64));
        while let Some((first, reason)) = self.too_much(partition, oldest_us) {
            if !self.remove(partition, &first, reason) {
                break;
            }
        }
        self.measure(partition);
    }

    fn too_much(&self, partition: &Partition, oldest_us: Option<i64>) -> Option<(Sealed, Reason)> {
        let segments = partition.segments.read();
        let held: u64 = segments.sealed.iter().map(|s| s.bytes).sum();
        let first = segments.sealed.front().filter(|first| first.end <= partition.released.load(Relaxed))?;
        let reason = match (self.budget, oldest_us) {
            (Some(budget), _) if held > budget => Reason::Size,
            (_, Some(oldest)) if first.last_us < oldest => Reason::Age,
            _ => return None,
        };
        Some((first.clone(), reason))
    }

    fn remove(&self, partition: &Partition, first: &Sealed, reason: Reason) -> bool {
        // The list of segments changes first, so that no reader opens a file that is about to be removed.
        partition.segments.write().sealed.pop_front();
        // The folder is synced after each file, so that a crash never leaves a gap between segments.
        let removed = std::fs::remove_file(&first.path).map_err(|e| e.to_string()).and_then(|()| partition.folder.sync().map_err(|e| e.to_string()));
        let (number, path, by) = (partition.number, first.path.display(), reason.name());
        match removed {
            Ok(()) => {
                self.metrics.trimmed_bytes.with(by).increment(first.bytes);
                tracing::info!(partition = number, %path, end = first.end, by, "the log removed a segment by its retention");
                true
            }
            Err(error) => {
                tracing::warn!(partition = number, %path, error, "the log could not remove a segment by its retention");
                false
            }
        }
    }

    /// Tell operators what the partition keeps, and whether it keeps more than it should because it is not processed yet.
    fn measure(&mut self, partition: &Partition) {
        let released = partition.released.load(Relaxed);
        let (sealed, unreleased) = {
            let segments = partition.segments.read();
            let bytes_of = |wanted: &dyn Fn(&Sealed) -> bool| segments.sealed.iter().filter(|s| wanted(s)).map(|s| s.bytes).sum::<u64>();
            (bytes_of(&|_| true), bytes_of(&|s| s.end > released))
        };
        let beyond = self.budget.map_or(0, |budget| sealed.saturating_sub(budget)).min(unreleased);
        let kept = partition.kept_bytes();
        let change = |gauge: &boxbox_schemas::metrics::facade::Gauge, before: &mut u64, now: u64| {
            gauge.increment(now as f64 - *before as f64);
            *before = now;
        };
        change(&self.metrics.kept_bytes, &mut self.kept_bytes, kept);
        change(&self.metrics.unprocessed_beyond_bytes, &mut self.unreleased_bytes, beyond);
        self.metrics.oldest_unix_seconds.set(self.oldest.set(partition.number, partition.oldest_us()) as f64 / 1e6);
        let (number, told) = (partition.number, std::mem::replace(&mut self.told, beyond > 0));
        if beyond > 0 && !told {
            tracing::warn!(
                partition = number,
                bytes = beyond,
                "the log is larger than its limit, because results or archive have not processed its oldest records: it removes nothing until they have"
            );
        }
    }
}

impl Drop for Retention {
    fn drop(&mut self) {
        self.metrics.kept_bytes.decrement(self.kept_bytes as f64);
        self.metrics.unprocessed_beyond_bytes.decrement(self.unreleased_bytes as f64);
    }
}
