//! One partition's thread: collects records, commits them in batches, delivers the outcomes.
//!
//! A commit is: write the batch, sync, write the marker into the segment and into the `commit` file, publish, complete.
//! Markers become durable with the next batch's sync, or by a separate sync after a second without records.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use tokio::sync::watch;

use super::file::{Folder, Lack, io_error, lack, preallocate, write_all_at};
use super::format::{BATCH_HEAD_BYTES, BATCH_MAX_BYTES, HEADER_BYTES, Ident, MARKER_BYTES};
use super::options::{Faults, Options};
use super::queue::Queue;
use super::recover::Found;
use super::retention::{Oldest, Retention};
use super::segment::{Durable, Partition, Sealed, Segments, index_batch};
use super::tail::{CommitFile, Tail, capacity_for, prepare_next};
use crate::memory::now_us;
use crate::metrics::LogMetrics;
use crate::outcomes::{Outcomes, Pending};
use crate::{LogError, Offset, Outcome};

/// After this long without a record the last marker is synced too.
const QUIET: Duration = Duration::from_secs(1);
/// How often a commit is retried while space or handles are lacking: well below the 2 s within which acks must resume.
const LACK_RETRY: Duration = Duration::from_millis(250);

const CLOSED: &str = "a partition of the embedded log has failed; see the error before";

/// Prepare the partition from what recovery found on disk, and start its thread.
pub(super) fn start(
    folder: PathBuf,
    identity: Ident,
    found: Found,
    options: &Options,
    partitions: u32,
    oldest: Arc<Oldest>,
    lock: Arc<File>,
) -> Result<(Arc<Partition>, JoinHandle<()>), LogError> {
    let folder = Folder::open(folder)?;
    let commit_file = CommitFile::open(&folder, found.next_slot)?;
    let tail = match found.last {
        Some(last) => Tail::resume(last, &identity, options)?,
        None => {
            let base = found.sealed.last().map_or(0, |s| s.end);
            let next = prepare_next(folder.path(), &Ident { base, ..identity }, options.segment_bytes, &options.faults);
            let reserving = || format!("reserve {} MiB for a segment in", options.segment_bytes.div_ceil(1 << 20));
            let next = next.map_err(|e| io_error(&reserving(), folder.path(), e))?;
            Tail::begin(&folder, base, next)?
        }
    };
    let durable = Durable { end: tail.next, segment: tail.active.base, position: tail.position };
    let partition = Arc::new(Partition {
        number: identity.partition,
        folder,
        identity,
        queue: Queue::new(options.commit_bytes),
        segments: RwLock::new(Segments { sealed: found.sealed.into(), active: tail.active.clone() }),
        durable: watch::Sender::new(durable),
        released: AtomicU64::new(if options.retain_unreleased { 0 } else { Offset::MAX }),
    });
    let metrics = LogMetrics::new();
    let mut writer = PartitionWriter {
        partition: partition.clone(),
        retention: Retention::new(options, partitions, metrics.clone(), oldest),
        options: options.clone(),
        tail,
        commit_file,
        buffer: Vec::new(),
        outcomes: Outcomes::default(),
        metrics,
        lacking: None,
        unsynced_marker: true,
        retained_at: Instant::now(),
    };
    writer.retain();
    let thread = std::thread::Builder::new()
        .name(format!("log-{:04}", identity.partition))
        .spawn(move || {
            let _lock = lock;
            let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| writer.run()));
            if ran.is_err() {
                // The receiver of the outcomes may have panicked: no further outcomes are delivered.
                drop(writer.partition.queue.close(CLOSED));
                writer.report("its thread panicked");
            }
        })
        .map_err(|e| LogError::Io { context: "start a partition's thread".into(), source: e })?;
    Ok((partition, thread))
}

/// Why a batch was not committed.
enum Trouble {
    /// A resource is lacking and nothing was written: the commit can be retried.
    Lack(Lack),
    /// The contents of the disk are no longer known.
    Fatal(String),
}

fn fatal(action: &'static str) -> impl FnOnce(io::Error) -> Trouble {
    move |e| Trouble::Fatal(format!("{action}: {e}"))
}

struct PartitionWriter {
    partition: Arc<Partition>,
    options: Options,
    retention: Retention,
    tail: Tail,
    commit_file: CommitFile,
    buffer: Vec<u8>,
    outcomes: Outcomes,
    metrics: LogMetrics,
    /// The resource that the last batch lacked.
    lacking: Option<Lack>,
    unsynced_marker: bool,
    retained_at: Instant,
}

impl PartitionWriter {
    fn run(&mut self) {
        let mut batch = Vec::new();
        let mut last_commit = Instant::now().checked_sub(self.options.commit_every).unwrap_or_else(Instant::now);
        while self.wait(&mut batch, last_commit + self.options.commit_every) {
            last_commit = Instant::now();
            let mut rest = batch.as_slice();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(batch_size(rest));
                match self.commit_patiently(now) {
                    Ok(outcome) => self.complete(now, outcome),
                    Err(what) => {
                        let partition = self.partition.number;
                        rest.iter().for_each(|pending| self.outcomes.add(partition, pending, Outcome::Failed));
                        batch.clear();
                        return self.fail_for_good(&what);
                    }
                }
                rest = later;
            }
            batch.clear();
            self.retain_if_due();
        }
        if let Err(e) = self.sync_markers() {
            tracing::warn!(partition = self.partition.number, error = %e, "the log could not sync its last marker while it ended");
        }
    }

    /// Wait until a commit is due; `false` when the log has ended and no record waits.
    fn wait(&mut self, batch: &mut Vec<Pending>, due: Instant) -> bool {
        let partition = self.partition.clone();
        let queue = &partition.queue;
        let mut waiting = queue.state.lock();
        // Never commits twice within `commit_every`, unless many bytes are waiting. A busy partition wakes up once per commit for this.
        while !waiting.ended && waiting.bytes < queue.commit_bytes && !queue.wake.wait_until(&mut waiting, due).timed_out() {}
        while waiting.records.is_empty() {
            if waiting.ended {
                return false;
            }
            let pause = if self.unsynced_marker { QUIET } else { self.options.retention_every };
            waiting.idle = true;
            let quiet = queue.wake.wait_for(&mut waiting, pause).timed_out();
            waiting.idle = false;
            if quiet && waiting.records.is_empty() {
                parking_lot::MutexGuard::unlocked(&mut waiting, || self.while_quiet());
            }
        }
        while self.options.faults.stalled.load(Ordering::Relaxed) >> partition.number & 1 == 1 && !waiting.ended {
            queue.wake.wait_for(&mut waiting, Duration::from_millis(1));
        }
        std::mem::swap(batch, &mut waiting.records);
        waiting.bytes = 0;
        true
    }

    fn while_quiet(&mut self) {
        if self.unsynced_marker {
            self.unsynced_marker = false;
            // A failure here loses no record that was confirmed; the next commit's sync decides.
            if let Err(e) = self.sync_markers() {
                tracing::warn!(partition = self.partition.number, error = %e, "the log could not sync its last marker");
            }
        }
        self.retain_if_due();
    }

    fn retain_if_due(&mut self) {
        if self.retained_at.elapsed() >= self.options.retention_every {
            self.retain();
        }
    }

    fn retain(&mut self) {
        self.retained_at = Instant::now();
        self.retention.apply(&self.partition);
    }

    fn sync_markers(&mut self) -> io::Result<()> {
        self.tail.active.file.sync_data()?;
        self.commit_file.file.sync_data()
    }

    /// Commit; on a full disk or without handles retry for [`Options::space_patience`], then give up the batch.
    fn commit_patiently(&mut self, batch: &[Pending]) -> Result<Option<Offset>, String> {
        let began = Instant::now();
        loop {
            match self.commit(batch) {
                Ok(first) => {
                    self.lacks(None);
                    return Ok(Some(first));
                }
                Err(Trouble::Fatal(what)) => return Err(what),
                Err(Trouble::Lack(lack)) => {
                    self.lacks(Some(lack));
                    let ended = self.partition.queue.state.lock().ended;
                    if ended || began.elapsed() >= self.options.space_patience {
                        return Ok(None);
                    }
                    std::thread::sleep(LACK_RETRY.min(self.options.space_patience));
                }
            }
        }
    }

    /// Log which resource is lacking: once until it is available again, however many batches fail in the meantime.
    fn lacks(&mut self, now: Option<Lack>) {
        let before = std::mem::replace(&mut self.lacking, now);
        if before == now {
            return;
        }
        let gauge = |lack| match lack {
            Lack::Space => &self.metrics.partitions_without_space,
            Lack::Handles => &self.metrics.partitions_without_handles,
        };
        before.map(gauge).inspect(|gauge| gauge.decrement(1.0));
        now.map(gauge).inspect(|gauge| gauge.increment(1.0));
        let (partition, folder) = (self.partition.number, self.partition.folder.path().display());
        match now {
            None => tracing::warn!(partition, %folder, "the log continues: the space or the file handles that it lacked are available again"),
            Some(Lack::Space) => tracing::error!(
                partition,
                %folder,
                needed_bytes = self.options.segment_bytes,
                "the disk is full: the log accepts no records until there is space for its next segment, in each partition as much"
            ),
            Some(Lack::Handles) => tracing::error!(
                partition,
                %folder,
                "no file handle is left for the next segment: the log accepts no records until there is one; a higher limit of open files helps (ulimit -n)"
            ),
        }
    }

    /// The offset of the batch's first record.
    fn commit(&mut self, batch: &[Pending]) -> Result<Offset, Trouble> {
        let length = batch_bytes(batch);
        if !self.tail.fits(length) {
            self.roll(length)?;
        }
        let now = now_us();
        let (base, position) = (self.tail.next, self.tail.position);
        let ident = self.partition.ident(self.tail.active.base);
        let file = self.tail.active.file.clone();
        self.buffer.clear();
        ident.batch(&mut self.buffer, position, base, now, batch.iter().map(|p| &p.record));
        let began = Instant::now();
        write_all_at(&file, &self.buffer, position).map_err(lack_or_fatal("write a batch"))?;
        sync(&file, &self.options.faults).map_err(fatal("sync a batch"))?;
        self.metrics.commit_seconds.record(began.elapsed());

        let marker_at = position + self.buffer.len() as u64;
        let end = base + batch.len() as Offset;
        if self.options.faults.skip_markers.load(Ordering::Relaxed) {
            (self.tail.position, self.tail.next) = (marker_at, end);
            return Err(Trouble::Lack(Lack::Space));
        }
        let marker = ident.marker(marker_at, end);
        write_all_at(&file, &marker, marker_at).map_err(fatal("write a commit marker"))?;
        self.commit_file.write(&marker).map_err(fatal("write the commit file"))?;
        self.unsynced_marker = true;

        let tail = &mut self.tail;
        index_batch(&mut tail.active.index.lock(), base, position);
        (tail.last_us, tail.position, tail.next) = (now, marker_at + MARKER_BYTES as u64, end);
        self.partition.durable.send_replace(Durable { end, segment: tail.active.base, position: tail.position });
        Ok(base)
    }

    /// Make room for a batch of `length` bytes: seal the segment and begin the next.
    fn roll(&mut self, length: usize) -> Result<(), Trouble> {
        let (base, partition) = (self.tail.next, self.partition.clone());
        let (active, capacity) = (self.tail.active.clone(), capacity_for(length, &self.options));
        if base == active.base {
            // The segment is empty but too short: the disk was full when it was made, or the batch is longer than the setting.
            preallocate(&active.file, capacity).map_err(lack_or_fatal("reserve space"))?;
            active.file.sync_all().map_err(fatal("sync a segment"))?;
            self.tail.capacity = capacity;
            return Ok(());
        }
        let next = prepare_next(partition.folder.path(), &self.partition.ident(base), capacity, &self.options.faults);
        let next = next.map_err(lack_or_fatal("prepare a segment"))?;
        let (position, last_us) = (self.tail.position, self.tail.last_us);
        let footer = self.partition.ident(active.base).footer(position, &active.index.lock(), base, last_us);
        let bytes = position + footer.len() as u64;
        write_all_at(&active.file, &footer, position).map_err(lack_or_fatal("write a footer"))?;
        active.file.set_len(bytes).map_err(fatal("cut a sealed segment to its length"))?;
        active.file.sync_all().map_err(fatal("sync a sealed segment"))?;
        self.tail = Tail::begin(&partition.folder, base, next).map_err(|e| Trouble::Fatal(e.to_string()))?;
        {
            let mut segments = self.partition.segments.write();
            segments.sealed.push_back(Sealed {
                base: active.base,
                end: base,
                position,
                bytes,
                created_us: active.created_us,
                last_us,
                path: active.path.clone(),
            });
            segments.active = self.tail.active.clone();
        }
        self.partition.durable.send_replace(Durable { end: base, segment: base, position: HEADER_BYTES });
        self.retain();
        Ok(())
    }

    fn complete(&mut self, batch: &[Pending], first: Option<Offset>) {
        for (pending, n) in batch.iter().zip(0..) {
            let outcome = first.map_or(Outcome::Failed, |first| Outcome::Durable(first + n));
            self.outcomes.add(self.partition.number, pending, outcome);
        }
        self.outcomes.deliver();
    }

    /// Accept no more records, fail the waiting ones, and report the error.
    fn fail_for_good(&mut self, what: &str) {
        for pending in &self.partition.queue.close(CLOSED) {
            self.outcomes.add(self.partition.number, pending, Outcome::Failed);
        }
        self.outcomes.deliver();
        self.report(what);
    }

    fn report(&self, what: &str) {
        (self.options.on_fatal)(&format!("partition {} in {}: {what}", self.partition.number, self.partition.folder.path().display()));
    }
}

fn lack_or_fatal(action: &'static str) -> impl FnOnce(io::Error) -> Trouble {
    move |e| lack(&e).map_or_else(|| fatal(action)(e), Trouble::Lack)
}

fn sync(file: &File, faults: &Faults) -> io::Result<()> {
    if faults.fail_sync.load(Ordering::Relaxed) {
        return Err(io::Error::other("a test wants this sync to fail"));
    }
    file.sync_data()
}

/// Bytes of the block that holds `batch`.
fn batch_bytes(batch: &[Pending]) -> usize {
    BATCH_HEAD_BYTES + batch.iter().map(|p| 4 + p.record.len()).sum::<usize>()
}

/// How many of the waiting records go into the next block: at least one (a record is far below the limit).
fn batch_size(waiting: &[Pending]) -> usize {
    let mut bytes = BATCH_HEAD_BYTES;
    let fits = |pending: &&Pending| {
        bytes += 4 + pending.record.len();
        bytes <= BATCH_MAX_BYTES
    };
    waiting.iter().take_while(fits).count().max(1)
}
