//! A log in a folder that removes its oldest records: never what results or archive have not committed, whatever the limits are, and
//! what happens when a store is restored to a state before the log's oldest record.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use async_trait::async_trait;
use boxbox_log::embedded::{EmbeddedLog, Options};
use boxbox_log::memory::MemoryLog;
use boxbox_log::{Bounds, Completions, Limits, Log, LogError, Offset, Reader, Writer};
use boxbox_processor::{Config, Phase, Processor, Status};
use boxbox_schemas::results::Span;
use boxbox_schemas::{DriverId, LogId, SessionId, StreamKey, TenantId};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, Pace, Removed, Retention, Sessions, Steps, StoreError};
use boxbox_testkit::wait::until;
use bytes::Bytes;
use support::*;
use tokio_util::sync::CancellationToken;

const MAX_BYTES: u64 = 32 << 10;

/// A few short segments, and nothing may be older than a moment.
fn open(folder: &Path) -> Arc<EmbeddedLog> {
    let options = Options {
        partitions: Some(1),
        segment_bytes: 8 << 10,
        retention_bytes: Some(MAX_BYTES),
        retention_age: Some(Duration::from_millis(1)),
        retain_unreleased: true,
        retention_every: Duration::from_millis(5),
        ..Options::default()
    };
    Arc::new(EmbeddedLog::open(folder, options).unwrap())
}

/// Append a few records at a time: a batch is in one segment.
fn feed(log: &EmbeddedLog, records: &[Bytes]) {
    records.chunks(4).for_each(|few| append(log, few));
}

fn config() -> Config {
    Config { release_after: Duration::from_millis(10), ..quick() }
}

struct Running {
    status: Arc<Status>,
    stop: CancellationToken,
    work: tokio::task::JoinHandle<Result<(), boxbox_processor::ProcessorError>>,
}

fn run(config: Config, log: &Arc<EmbeddedLog>, results: &MemoryResults, archive: Arc<dyn Archive>) -> Running {
    let results: Arc<dyn Steps> = Arc::new(results.clone());
    let processor = Processor::new(config, log.clone(), results, archive);
    let (status, stop) = (processor.status(), CancellationToken::new());
    let work = tokio::spawn(processor.run(stop.clone()));
    Running { status, stop, work }
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.work.await.unwrap().unwrap();
    }

    async fn level(&self, log: &EmbeddedLog) {
        let end = log.bounds(0).await.unwrap().end;
        until("everything is committed", || {
            let at = &self.status.partitions()[0];
            at.results.committed >= end && at.archive.committed >= end
        })
        .await;
    }
}

async fn start_of(log: &EmbeddedLog) -> u64 {
    log.bounds(0).await.unwrap().start
}

/// An archive that does not answer until it is up.
struct Down {
    inner: MemoryArchive,
    up: AtomicBool,
}

impl Down {
    fn new(inner: MemoryArchive) -> Self {
        Self { inner, up: AtomicBool::new(false) }
    }

    fn up(&self) {
        self.up.store(true, Relaxed);
    }
}

#[async_trait]
impl Archive for Down {
    fn pace(&self) -> Pace {
        self.inner.pace()
    }
    async fn load(&self, lease: &Lease) -> Result<ArchiveState, StoreError> {
        self.inner.load(lease).await
    }
    async fn append(&self, lease: &Lease, block: &ArchiveBlock) -> Result<(), StoreError> {
        if !self.up.load(Relaxed) {
            return Err(StoreError::Unavailable("it is down".into()));
        }
        self.inner.append(lease, block).await
    }
    async fn retain(&self, retention: &Retention) -> Result<Removed, StoreError> {
        self.inner.retain(retention).await
    }
    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError> {
        self.inner.frames(tenant, session, span, limit).await
    }
    async fn records(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError> {
        self.inner.records(tenant, session, span, limit).await
    }
    async fn streams(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<StreamKey>, StoreError> {
        self.inner.streams(tenant, session).await
    }
    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError> {
        self.inner.count(tenant, session, driver).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}

/// While the archive does not answer nothing is removed; when it does, the log becomes small, and keeps the record at the checkpoints, so
/// that a start finds it. The results are those of a log that keeps everything.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_removes_nothing_that_a_store_has_not_committed() {
    let records = Client::laps(1, "anna", 1, 300, 8);
    let (first, second) = records.split_at(records.len() / 2);
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let (results, archive) = (MemoryResults::new(), MemoryArchive::new());
    let down = Arc::new(Down::new(archive.clone()));
    let running = run(config(), &log, &results, down.clone());
    feed(&log, first);
    let end = log.bounds(0).await.unwrap().end;
    until("the results are committed", || running.status.partitions()[0].results.committed >= end).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(start_of(&log).await, 0, "the archive has none of it");
    assert!(log.kept().unwrap().bytes > 2 * MAX_BYTES, "it is larger than it may be: {:?}", log.kept());

    down.up();
    running.level(&log).await;
    let mut start = 0;
    for _ in 0..500 {
        start = start_of(&log).await;
        if start > 0 && log.kept().unwrap().bytes <= MAX_BYTES {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(start > end / 2 && start < end, "{start} of {end}");
    running.stop().await;

    // A start goes on where it was; and what comes while no processor runs is kept.
    drop(log);
    let log = open(folder.path());
    feed(&log, second);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(start_of(&log).await < end, "the record at the checkpoint is there");
    let running = run(config(), &log, &results, Arc::new(archive.clone()));
    running.level(&log).await;
    running.stop().await;

    let whole: Arc<EmbeddedLog> = {
        let options = Options { partitions: Some(1), ..Options::default() };
        Arc::new(EmbeddedLog::open(folder.path().join("whole"), options).unwrap())
    };
    append(&*whole, &records);
    let (all, frames) = (MemoryResults::new(), MemoryArchive::new());
    let running = run(config(), &whole, &all, Arc::new(frames.clone()));
    running.level(&whole).await;
    running.stop().await;
    let laps = async |of: &MemoryResults| of.laps(&tenant(), &session(1), &Default::default(), None, 100).await.unwrap();
    let expected = laps(&all).await;
    assert_eq!(expected.len(), 7);
    assert_eq!(laps(&results).await, expected);
    let ledgers = async |of: &MemoryResults| of.ledgers(&tenant(), &session(1)).await.unwrap();
    assert_eq!(ledgers(&results).await, ledgers(&all).await);
    let count = async |of: &MemoryArchive| of.count(&tenant(), &session(1), None).await.unwrap();
    assert_eq!(count(&archive).await, count(&frames).await);
}

/// Results that were restored to a state before the log's oldest record: their partition stops with words that say what to do, and with
/// `skip_removed` it goes on behind the gap, which is in the ledger.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_older_than_the_log_stops_or_goes_on_as_the_person_says() {
    let records = Client::laps(1, "anna", 1, 300, 8);
    let part = |n: usize| &records[n * records.len() / 4..(n + 1) * records.len() / 4];
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let (old, new, archive) = (MemoryResults::new(), MemoryResults::new(), MemoryArchive::new());
    // The copy of the results, made after the first quarter.
    feed(&log, part(0));
    let running = run(Config { release_after: Duration::from_secs(3_600), ..config() }, &log, &old, Arc::new(MemoryArchive::new()));
    running.level(&log).await;
    running.stop().await;
    let running = run(config(), &log, &new, Arc::new(archive.clone()));
    for n in 1..3 {
        feed(&log, part(n));
        running.level(&log).await;
    }
    let end = log.bounds(0).await.unwrap().end;
    for _ in 0..500 {
        if start_of(&log).await > end / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = start_of(&log).await;
    assert!(start > end / 2, "{start} of {end}");
    running.stop().await;

    let running = run(config(), &log, &old, Arc::new(archive.clone()));
    until("it stops", || matches!(running.status.partitions()[0].results.phase, Phase::Stopped(_))).await;
    let Phase::Stopped(why) = running.status.partitions()[0].results.phase.clone() else { unreachable!() };
    assert!(why.contains("--skip-removed") && why.contains("boxbox recompute"), "{why}");
    let _ = running.work.await;

    let running = run(Config { skip_removed: true, ..config() }, &log, &old, Arc::new(archive.clone()));
    feed(&log, part(3));
    running.level(&log).await;
    assert_eq!(running.status.partitions()[0].results.phase, Phase::Working);
    running.stop().await;
}

/// What both checkpoints on the disk cover is removed at a start, and not minutes later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_releases_what_was_committed_before() {
    let records = Client::laps(1, "anna", 1, 300, 8);
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let (results, archive) = (MemoryResults::new(), MemoryArchive::new());
    let late = || Config { release_after: Duration::from_secs(3_600), ..config() };
    feed(&log, &records);
    let running = run(late(), &log, &results, Arc::new(archive.clone()));
    running.level(&log).await;
    running.stop().await;
    assert_eq!(start_of(&log).await, 0, "it is committed, and not released yet");
    // An archive that does not answer has no checkpoint: nothing goes.
    let down = Arc::new(Down::new(archive.clone()));
    let running = run(late(), &log, &results, down.clone());
    until("results work", || running.status.partitions()[0].results.phase == Phase::Working).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(start_of(&log).await, 0);
    down.up();
    let end = log.bounds(0).await.unwrap().end;
    for _ in 0..500 {
        // The writer looks when something is written, or when it is time.
        if start_of(&log).await > end / 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let start = start_of(&log).await;
    assert!(start > end / 2 && start < end, "{start} of {end}");
    running.stop().await;
    // The record at the checkpoints is still there.
    let running = run(late(), &log, &results, Arc::new(archive));
    running.level(&log).await;
    running.stop().await;
}

/// A log that removes its oldest records whenever somebody has opened a reader and has not read yet.
struct Hasty {
    inner: MemoryLog,
    /// How many more records it removes each time, and how often yet.
    each: u64,
    times: AtomicU64,
}

#[async_trait]
impl Log for Hasty {
    fn id(&self) -> &LogId {
        self.inner.id()
    }
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }
    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        self.inner.writer(completions)
    }
    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let reader = self.inner.reader(partition, from).await;
        if self.times.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
            let start = self.inner.bounds(partition).await?.start;
            self.inner.remove_below(partition, start + self.each);
        }
        reader
    }
    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        self.inner.bounds(partition).await
    }
}

/// Records that are removed between a look for the oldest and the read of it: the partition stops with words that say what to do, or goes
/// on behind them as often as that happens.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_removed_while_it_is_about_to_be_read_is_a_gap_too() {
    let records = Client::laps(1, "anna", 1, 300, 8);
    for skip_removed in [false, true] {
        let log = Arc::new(Hasty { inner: MemoryLog::inline(1, Limits::default()), each: 5, times: AtomicU64::new(4) });
        append(&*log, &records);
        let (results, archive) = (MemoryResults::new(), MemoryArchive::new());
        let processor = Processor::new(Config { skip_removed, ..config() }, log.clone(), Arc::new(results.clone()), Arc::new(archive.clone()));
        let (status, stop) = (processor.status(), CancellationToken::new());
        let work = tokio::spawn(processor.run(stop.clone()));
        let pumps = || {
            let at = status.partitions()[0].clone();
            [at.results, at.archive]
        };
        if skip_removed {
            let end = records.len() as u64;
            until("both have what is left", || pumps().iter().all(|pump| pump.committed >= end)).await;
            stop.cancel();
            work.await.unwrap().unwrap();
            assert!(!results.laps(&tenant(), &session(1), &Default::default(), None, 100).await.unwrap().is_empty());
        } else {
            until("one of them stops", || pumps().iter().any(|pump| matches!(pump.phase, Phase::Stopped(_)))).await;
            for pump in pumps() {
                if let Phase::Stopped(why) = pump.phase {
                    assert!(why.contains("--skip-removed"), "{why}");
                }
            }
            stop.cancel();
            let _ = work.await;
        }
    }
}
