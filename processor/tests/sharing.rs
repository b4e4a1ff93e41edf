//! Several processors on one store (E5b): they share the partitions, take over from who falls silent, and give back to who
//! comes. And an archive that says where blocks must end and what it holds already (E6c).

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use boxbox_log::Log;
use boxbox_log::memory::MemoryLog;
use boxbox_processor::{Config, Phase, Processor, ProcessorError, Status};
use boxbox_schemas::results::Span;
use boxbox_schemas::{DriverId, SessionId, StreamKey, TenantId};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, Member, Pace, Removed, Retention, Sessions, Steps, StoreError};
use boxbox_testkit::wait::{PATIENCE, until};
use support::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const PARTITIONS: u32 = 6;
const TTL: Duration = Duration::from_millis(400);

fn config() -> Config {
    Config { member_ttl: TTL, ..quick() }
}

/// One of several processors.
struct One {
    status: Arc<Status>,
    stop: CancellationToken,
    work: JoinHandle<Result<(), ProcessorError>>,
}

impl One {
    fn start(log: &MemoryLog, results: &MemoryResults, archive: &MemoryArchive) -> Self {
        let processor = Processor::new(config(), Arc::new(log.clone()), Arc::new(results.clone()), Arc::new(archive.clone()));
        let (status, stop) = (processor.status(), CancellationToken::new());
        Self { status, stop: stop.clone(), work: tokio::spawn(processor.run(stop)) }
    }

    /// How many partitions it works on.
    fn working(&self) -> usize {
        self.status.partitions().iter().filter(|p| p.results.phase == Phase::Working && p.archive.phase == Phase::Working).count()
    }
}

/// A session in each partition, and what its client sends.
fn everyone() -> Vec<(u128, Vec<bytes::Bytes>)> {
    let of = |partition| (1..).find(|id| session(*id).partition(PARTITIONS) == partition).unwrap();
    (0..PARTITIONS).map(|p| (of(p), Client::laps(of(p), "anna", 1, 300, 6))).collect()
}

/// One joins, one dies without a word, one leaves politely, while frames come all the time: every lap once, every frame once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processors_share_partitions_and_take_over() {
    let (log, results, archive) = (inline_log(PARTITIONS), MemoryResults::shared(), MemoryArchive::new());
    let everyone = everyone();
    let part = |n: usize| {
        for (_, records) in &everyone {
            let step = records.len().div_ceil(4);
            append(&log, records.chunks(step).nth(n).unwrap_or_default());
        }
    };
    let a = One::start(&log, &results, &archive);
    until("alone with everything", || a.working() == PARTITIONS as usize).await;
    part(0);
    let b = One::start(&log, &results, &archive);
    until("evenly shared", || (a.working(), b.working()) == (3, 3)).await;
    assert!(a.status.ready() && b.status.ready());
    part(1);
    // Dies at once, whatever it was doing; its place is free when its time is up.
    a.work.abort();
    let since = Instant::now();
    until("taken over", || b.working() == PARTITIONS as usize).await;
    let took = since.elapsed();
    println!("taken over {took:?} after a death, with a time to live of {TTL:?}");
    part(2);
    let c = One::start(&log, &results, &archive);
    until("evenly shared again", || (b.working(), c.working()) == (3, 3)).await;
    part(3);
    // Leaves politely: no need to wait for its time to be up.
    b.stop.cancel();
    tokio::time::timeout(PATIENCE, b.work).await.unwrap().unwrap().unwrap();
    until("inherited", || c.working() == PARTITIONS as usize).await;
    let all_in = || {
        let done = |p: &boxbox_processor::PartitionStatus| {
            let end = log.records(p.partition).last().map_or(0, |e| e.offset + 1);
            p.results.committed == end && p.archive.committed == end
        };
        c.status.partitions().iter().all(done)
    };
    until("everything processed", all_in).await;
    c.stop.cancel();
    tokio::time::timeout(PATIENCE, c.work).await.unwrap().unwrap().unwrap();
    for (id, _) in &everyone {
        let laps = results.laps(&tenant(), &session(*id), &Default::default(), None, 100).await.unwrap();
        assert_eq!(laps.iter().map(|l| l.number).collect::<Vec<_>>(), [2, 3, 4, 5, 6]);
        let ledger = &results.ledgers(&tenant(), &session(*id)).await.unwrap()[0];
        assert!(ledger.balances() && ledger.duplicate == 0 && ledger.hole == 0);
        assert_eq!(archive.count(&tenant(), &session(*id), None).await.unwrap(), ledger.car_frames);
    }
}

/// Who lost a partition without noticing is refused, lets go of it, and takes part again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_slept_writes_nothing_and_joins_again() {
    let (log, results, archive) = (inline_log(1), MemoryResults::shared(), MemoryArchive::new());
    let a = One::start(&log, &results, &archive);
    until("working", || a.working() == 1).await;
    // Somebody else's for a moment: as if this one had slept.
    let lease = results.acquire(log.id(), 0).await.unwrap();
    append(&log, &Client::laps(1, "anna", 1, 300, 3));
    let other = Member { name: "other".into(), ttl: TTL };
    results.leave(log.id(), &other).await.unwrap();
    let ends = || {
        let status = &a.status.partitions()[0];
        a.working() == 1 && status.results.committed == log.records(0).last().unwrap().offset + 1
    };
    until("working again, under a newer lease", ends).await;
    assert!(matches!(results.load(&lease).await, Err(StoreError::Fenced { newer, .. }) if newer > lease.epoch));
    a.stop.cancel();
    tokio::time::timeout(PATIENCE, a.work).await.unwrap().unwrap().unwrap();
    let laps = results.laps(&tenant(), &session(1), &Default::default(), None, 100).await.unwrap();
    assert_eq!(laps.iter().map(|l| l.number).collect::<Vec<_>>(), [2, 3]);
}

/// An archive as one with plans looks after a crash: it says where it stands, and remembers its blocks.
#[derive(Clone)]
struct Planned {
    state: ArchiveState,
    blocks: support::stores::Blocks,
}

#[async_trait]
impl Archive for Planned {
    fn pace(&self) -> Pace {
        self.blocks.pace()
    }
    async fn load(&self, _: &Lease) -> Result<ArchiveState, StoreError> {
        Ok(self.state.clone())
    }
    async fn append(&self, lease: &Lease, block: &ArchiveBlock) -> Result<(), StoreError> {
        self.blocks.append(lease, block).await
    }
    async fn retain(&self, retention: &Retention) -> Result<Removed, StoreError> {
        self.blocks.retain(retention).await
    }
    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError> {
        self.blocks.frames(tenant, session, span, limit).await
    }
    async fn records(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError> {
        self.blocks.records(tenant, session, span, limit).await
    }
    async fn streams(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<StreamKey>, StoreError> {
        self.blocks.streams(tenant, session).await
    }
    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError> {
        self.blocks.count(tenant, session, driver).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.blocks.ping().await
    }
}

/// Blocks end exactly where they were planned, whatever is asked of their pace; what is held is admitted and left out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn blocks_end_where_they_were_planned_and_leave_out_what_is_held() {
    let log = inline_log(1);
    let records = Client::laps(1, "anna", 1, 300, 3);
    let (whole, early) = records.split_at(60);
    append(&log, whole);
    let state = ArchiveState { held_to: Some(30), planned: vec![17, 40, 75], ..ArchiveState::default() };
    let archive = Planned { state, blocks: Default::default() };
    let processor = Processor::new(config(), Arc::new(log.clone()), Arc::new(MemoryResults::new()), Arc::new(archive.clone()));
    let (status, stop) = (processor.status(), CancellationToken::new());
    let work = tokio::spawn(processor.run(stop.clone()));
    until("at the second planned end", || status.partitions()[0].archive.committed == 41).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(status.partitions()[0].archive.committed, 41, "the third block waits for its end");
    append(&log, early);
    let end = log.records(0).last().unwrap().offset;
    until("at the end", || status.partitions()[0].archive.committed == end + 1).await;
    stop.cancel();
    tokio::time::timeout(PATIENCE, work).await.unwrap().unwrap().unwrap();
    let blocks = archive.blocks.blocks.lock().unwrap().clone();
    assert_eq!(blocks.iter().map(|b| b.checkpoint.offset).take(3).collect::<Vec<_>>(), [17, 40, 75]);
    assert!(blocks[0].runs.is_empty() && !blocks[0].cursors.is_empty(), "held, and admitted");
    let numbers: Vec<u64> = blocks.iter().flat_map(|b| &b.runs).flat_map(|r| r.iter().map(|(seq, _)| seq)).collect();
    let wanted: Vec<u64> = records[31..].iter().flat_map(car_numbers).collect();
    assert_eq!(numbers, wanted);
    assert!(blocks.iter().all(|b| b.appended_at_us >= 0));
}

/// The sequence numbers of a record's own car's frames.
fn car_numbers(bytes: &bytes::Bytes) -> Vec<u64> {
    use boxbox_schemas::record::Content;
    let record = boxbox_schemas::stamp::LogRecord::parse(bytes.clone()).unwrap();
    let first = record.record.prelude().first_seq;
    match record.record.content() {
        Ok(Content::Car(frames)) => (first..).take(frames.iter().count()).collect(),
        _ => vec![],
    }
}
