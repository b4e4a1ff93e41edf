//! The log on one machine: a folder of checksummed segment files, nothing to install.
//!
//! ```text
//! log/log.json                        id, key, version, number of partitions
//!     lock                            held by the one process that uses the folder
//!     0000/00000000000000000000.seg   a segment, named by its first offset: see `format`
//!          commit                     what was last synced, a second time
//! ```
//! Each partition has a thread that collects records for up to [`Options::commit_every`], writes them as one batch, syncs,
//! writes a commit marker, and only then tells their outcomes. The next batch is written after that, so at a crash at most
//! the last batch is incomplete, and a marker proves that everything before it was synced. What this gives (E7): after a
//! killed process, a power cut, or damaged bytes, any one of them, no record that was told durable is ever cut; damage to
//! such a record is [`LogError::Damaged`], at the start for the last two segments and for every footer, at the read for all.
//!
//! Readers read files, at most 256 KiB at a time: what was just written is in the page cache and is read in place (µs);
//! anything older goes to tokio's blocking pool, because a cold disk may take its time.

mod file;
mod format;
mod meta;
mod queue;
mod reader;
mod recover;
mod retention;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod torture;
mod writer;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread::JoinHandle;
use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::{LogId, SessionId};
use bytes::Bytes;

use self::format::Ident;
use self::reader::EmbeddedReader;
use self::segment::Partition;
use crate::memory::no_partition;
use crate::outcomes::WriterShared;
use crate::{AppendError, Bounds, Completions, Limits, Log, LogError, Offset, Reader, Ticket, Writer};

/// Partitions of a new log: more than a small machine's cores, few enough threads.
pub const DEFAULT_PARTITIONS: u32 = 4;

/// How a log in a folder behaves. `Options::default()` is right for one machine.
#[derive(Clone)]
pub struct Options {
    /// Partitions that the log must have; a new log is made with them. `None`: whatever an existing log has,
    /// [`DEFAULT_PARTITIONS`] for a new one.
    pub partitions: Option<u32>,
    /// What each writer may hold.
    pub limits: Limits,
    /// A partition commits at most this often; a record waits at most this long for others (and then for the disk).
    pub commit_every: Duration,
    /// A partition with this many bytes waiting commits at once.
    pub commit_bytes: usize,
    /// Length of a segment file, bytes, reserved on disk when it is begun.
    pub segment_bytes: u64,
    /// Remove the oldest segments when the log takes more than this on disk; every partition may use an equal share.
    pub retention_bytes: Option<u64>,
    /// Remove segments whose last record is older than this.
    pub retention_age: Option<Duration>,
    /// On a full disk, or without file handles: try this long before the waiting records fail. Appends are accepted all the
    /// while, within their budget, so that a short squeeze is not noticed.
    pub space_patience: Duration,
    /// Called when a sync or write fails. Nobody knows then what is on disk, so the partition takes no more records; the
    /// default writes an error to the log and ends the process with status 70, because only a restart reads the disk anew.
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
            space_patience: Duration::from_secs(5),
            on_fatal: Arc::new(|what| {
                tracing::error!(what, "the embedded log cannot go on; ending the process so that a restart recovers it");
                std::process::exit(EXIT_STATUS_FATAL);
            }),
            faults: Arc::default(),
        }
    }
}

/// Exit status after a failed sync: sysexits' "internal software error", told apart from a usage error (2) or a crash.
pub const EXIT_STATUS_FATAL: i32 = 70;

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

/// A log in a folder. See the [module](self).
pub struct EmbeddedLog {
    inner: Arc<Inner>,
}

impl EmbeddedLog {
    /// Open the log in `folder`, or make one there. Blocks while it reads the last segments of each partition.
    ///
    /// # Errors
    /// [`LogError::Mismatch`] if another process uses the folder or the log is not as asked for; [`LogError::Damaged`] if
    /// synced records are damaged or missing (then nothing was changed on disk); [`LogError::Io`].
    pub fn open(folder: impl AsRef<Path>, options: Options) -> Result<Self, LogError> {
        let folder = folder.as_ref();
        let (lock, meta) = meta::take(folder, options.partitions)?;
        let lock = Arc::new(lock);
        let identity = |partition| Ident { log: meta.id.into_bytes(), key: meta.key.into_bytes(), partition, base: 0 };
        // All are looked at before any is touched: a refused log stays as it is.
        let mut found = Vec::new();
        for number in 0..meta.partitions {
            let path = meta::partition_folder(folder, number);
            found.push((recover::inspect(&path, &identity(number))?, path, identity(number)));
        }
        let mut log =
            Inner { id: LogId(meta.id.to_string()), limits: options.limits, partitions: Vec::new(), threads: Vec::new(), _lock: lock.clone() };
        for (found, path, identity) in found {
            let (partition, thread) = writer::start(path, identity, found, &options, meta.partitions, lock.clone())?;
            log.partitions.push(partition);
            log.threads.push(thread);
        }
        Ok(Self { inner: Arc::new(log) })
    }
}

#[async_trait]
impl Log for EmbeddedLog {
    fn id(&self) -> &LogId {
        &self.inner.id
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions.len() as u32
    }

    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        let shared = WriterShared::new(completions, self.inner.limits, self.partitions());
        Ok(Box::new(EmbeddedWriter { log: self.inner.clone(), shared }))
    }

    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let partition = self.inner.partition(partition)?.clone();
        let bounds = partition.bounds();
        if from < bounds.start || from > bounds.end {
            return Err(partition.out_of_range(from));
        }
        Ok(Box::new(EmbeddedReader::new(self.inner.clone(), partition, from)))
    }

    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        Ok(self.inner.partition(partition)?.bounds())
    }
}

/// Shared by the log, its writers and its readers; the folder's lock is free when the last of them is gone.
struct Inner {
    id: LogId,
    limits: Limits,
    partitions: Vec<Arc<Partition>>,
    threads: Vec<JoinHandle<()>>,
    _lock: Arc<std::fs::File>,
}

impl Inner {
    fn partition(&self, number: u32) -> Result<&Arc<Partition>, LogError> {
        self.partitions.get(number as usize).ok_or_else(|| no_partition(number, self.partitions.len() as u32))
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.partitions.iter().for_each(|p| p.queue.end());
        for thread in self.threads.drain(..) {
            // A partition's own thread can be the last owner, through a writer's completions: it ends by itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}

struct EmbeddedWriter {
    log: Arc<Inner>,
    shared: Arc<WriterShared>,
}

impl Writer for EmbeddedWriter {
    fn append(&self, partition: u32, _key: SessionId, record: Bytes, ticket: Ticket) -> Result<(), AppendError> {
        let pending = self.shared.accept(partition, record, ticket)?;
        self.log.partitions[partition as usize].queue.push(pending).map_err(|(pending, reason)| {
            self.shared.refuse(partition, &pending);
            AppendError::Closed(reason)
        })
    }
}

impl Drop for EmbeddedWriter {
    fn drop(&mut self) {
        // What it still holds is in the partitions' queues, and is completed from there.
        self.shared.mark_dropped();
    }
}
