//! How a log in a folder behaves: [`Options`].

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use crate::Limits;
use crate::memory::now_us;

/// Partitions of a new log: more than a small machine has cores, and not too many threads.
pub const DEFAULT_PARTITIONS: u32 = 4;

/// How a log in a folder behaves. `Options::default()` is right for one machine.
#[derive(Clone)]
pub struct Options {
    /// Partitions that the log must have; a new log is made with them. `None`: as many as an existing log has,
    /// [`DEFAULT_PARTITIONS`] for a new one.
    pub partitions: Option<u32>,
    /// How much each writer may hold.
    pub limits: Limits,
    /// Shortest time between two commits of a partition; a record waits at most this long for others (and then for the disk).
    pub commit_every: Duration,
    /// A partition with this many bytes waiting commits at once.
    pub commit_bytes: usize,
    /// Length of a segment file, bytes; it is reserved on disk when the segment is begun.
    pub segment_bytes: u64,
    /// Remove the oldest segments when the log takes more than this on disk; every partition may use an equal share.
    pub retention_bytes: Option<u64>,
    /// Remove segments whose last record is older than this.
    pub retention_age: Option<Duration>,
    /// Remove only segments whose records were all released ([`Log::release`](crate::Log::release)), however large or old the log is.
    pub retain_unreleased: bool,
    /// How often a partition looks for segments to remove; it also looks when it begins a segment.
    pub retention_every: Duration,
    /// The time now for [`Options::retention_age`], Unix µs; `None`: the clock cannot be believed, and nothing is removed by its age.
    pub clock: Arc<dyn Fn() -> Option<i64> + Send + Sync>,
    /// On a full disk, or without file handles: retry for this long before the waiting records fail. Appends are still
    /// accepted within their budget, so that a short shortage goes unnoticed.
    pub space_patience: Duration,
    /// Called when a sync or write fails. The contents of the disk are then unknown, so the partition accepts no more records.
    /// The default logs an error and ends the process with status 70, because only a restart reads the disk again.
    pub on_fatal: Arc<dyn Fn(&str) + Send + Sync>,
    #[doc(hidden)]
    pub faults: Arc<Faults>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            partitions: None,
            limits: Limits::default(),
            commit_every: Duration::from_millis(5),
            commit_bytes: 512 << 10,
            segment_bytes: 64 << 20,
            retention_bytes: None,
            retention_age: None,
            retain_unreleased: false,
            retention_every: Duration::from_secs(60),
            clock: Arc::new(|| Some(now_us())),
            space_patience: Duration::from_secs(5),
            on_fatal: Arc::new(|what| {
                tracing::error!(what, "the embedded log cannot continue; ending the process so that a restart recovers it");
                std::process::exit(EXIT_STATUS_FATAL);
            }),
            faults: Arc::default(),
        }
    }
}

/// Exit status after a failed sync: "internal software error" of sysexits.h, which differs from the status of a usage error (2) or a crash.
pub const EXIT_STATUS_FATAL: i32 = 70;

impl Options {
    /// Smallest segment to which [`Options::retention_bytes`] may lead.
    const SEGMENT_MIN_BYTES: u64 = 1 << 20;

    /// Length of the segments of a log with `partitions`. A partition's share holds several, so that a small log can keep its size.
    pub(super) fn fit(&mut self, partitions: u32) {
        if let Some(bytes) = self.retention_bytes {
            let share = bytes / u64::from(partitions.max(1));
            self.segment_bytes = self.segment_bytes.min((share / 4).max(Self::SEGMENT_MIN_BYTES));
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("partitions", &self.partitions).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// Faults on request, for tests.
#[doc(hidden)]
#[derive(Default, Debug)]
pub struct Faults {
    /// New segments find no space.
    pub no_space: AtomicBool,
    /// Syncs fail.
    pub fail_sync: AtomicBool,
    /// Batches are written and synced without a marker, and fail: an unconfirmed tail.
    pub skip_markers: AtomicBool,
    /// Bit n: partition n does not commit.
    pub stalled: AtomicU64,
}
