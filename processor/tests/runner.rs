//! The processor as a whole, on the reference log and stores: outages, takeovers, bad records, one partition of several
//! that fails, and when it commits.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Log;
use boxbox_log::memory::MemoryLog;
use boxbox_processor::time::{Believed, Time, of_this_machine};
use boxbox_processor::{Config, Phase, Processor, ProcessorError, Status};
use boxbox_schemas::TenantId;
use boxbox_schemas::event::ClosedFrame;
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::results::{Checkpoint, Lap, SessionInfo};
use boxbox_schemas::stamp::{LogRecord, Stamp};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, Pace, Sessions, Step, Steps, StoreError};
use boxbox_testkit::wait::{self, PATIENCE};
use bytes::Bytes;
use parking_lot::Mutex;
use support::log::{Counting, Flaky};
use support::stores::Blocks;
use support::*;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

const NEVER: Duration = Duration::from_secs(3600);

/// Milliseconds and bytes.
fn pace(every: u64, idle: u64, bytes: usize) -> Option<Pace> {
    Some(Pace { every: Duration::from_millis(every), idle: Duration::from_millis(idle), bytes })
}

struct Running {
    status: Arc<Status>,
    feed: tokio::sync::broadcast::Receiver<Arc<Step>>,
    stop: CancellationToken,
    work: JoinHandle<Result<(), ProcessorError>>,
}

fn start(config: Config, log: impl Log, results: impl Steps, archive: impl Archive) -> Running {
    start_by(config, log, results, archive, of_this_machine())
}

fn start_by(config: Config, log: impl Log, results: impl Steps, archive: impl Archive, time: Time) -> Running {
    let processor = Processor::new(config, Arc::new(log), Arc::new(results), Arc::new(archive)).with_time(time);
    let (status, feed, stop) = (processor.status(), processor.feed().subscribe(), CancellationToken::new());
    Running { status, feed, stop: stop.clone(), work: tokio::spawn(processor.run(stop)) }
}

impl Running {
    async fn until(&self, what: &str, done: impl Fn(&Status) -> bool) {
        let what = std::fmt::from_fn(|f| write!(f, "{what}: {:?}", self.status.partitions()));
        wait::until(what, || done(&self.status)).await;
    }

    /// Everything that is in the log now is in the results store.
    async fn until_committed(&self, log: &MemoryLog) {
        self.until("committed", |s| s.partitions().iter().all(|p| p.results.committed == end(log, p.partition))).await;
    }

    /// Everything that is in the log now is in the archive.
    async fn until_archived(&self, log: &MemoryLog) {
        self.until("archived", |s| s.partitions().iter().all(|p| p.archive.committed == end(log, p.partition))).await;
    }

    async fn next_laps(&mut self) -> Arc<Step> {
        let news = async {
            loop {
                let step = self.feed.recv().await.unwrap();
                if !step.laps.is_empty() {
                    return step;
                }
            }
        };
        tokio::time::timeout(PATIENCE, news).await.expect("no lap came")
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.work).await.unwrap().unwrap().unwrap();
    }
}

fn end(log: &MemoryLog, partition: u32) -> u64 {
    log.records(partition).last().map_or(0, |e| e.offset + 1)
}

async fn laps(results: &impl Sessions, source_id: u128) -> Vec<Lap> {
    results.laps(&tenant(), &session(source_id), &Default::default(), None, 1_000).await.unwrap()
}

fn numbers(laps: &[Lap]) -> Vec<u32> {
    laps.iter().map(|l| l.number).collect()
}

#[tokio::test]
async fn laps_come_out_of_a_log() {
    let (log, results, archive) = (inline_log(2), MemoryResults::new(), MemoryArchive::new());
    append(&log, &Client::laps(1, "anna", 1, 300, 3));
    let mut running = start(quick(), log.clone(), results.clone(), archive.clone());
    assert!(!running.status.ready() && !running.status.level(), "before it has looked, nothing is known");

    assert_eq!(running.next_laps().await.laps[0].entry.as_str(), "anna");
    append(&log, &Client::laps(2, "bert", 1, 300, 3));
    running.until_committed(&log).await;
    running.until_archived(&log).await;
    assert!(running.status.ready() && running.status.level());
    running.end().await;

    for (id, name) in [(1, "anna"), (2, "bert")] {
        let told: Vec<_> = laps(&results, id).await.iter().map(|l| (l.number, l.driver, l.time_us)).collect();
        assert_eq!(told, [(2, driver(name), 20_000_000), (3, driver(name), 20_000_000)]);
        let ledgers = results.ledgers(&tenant(), &session(id)).await.unwrap();
        assert!(ledgers[0].balances() && ledgers[0].ended && ledgers[0].car_frames == 700);
        assert_eq!(archive.count(&tenant(), &session(id), None).await.unwrap(), 700);
    }
}

/// E5a: a processor that lost the partition writes nothing more to it, and reports the loss.
#[tokio::test]
async fn a_fenced_processor_writes_nothing() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    append(&log, &Client::laps(1, "anna", 1, 300, 2));
    let old = start(quick(), log.clone(), results.clone(), MemoryArchive::new());
    old.until_committed(&log).await;
    assert_eq!(numbers(&laps(&results, 1).await), [2]);

    results.acquire(log.id(), 0).await.unwrap();
    append(&log, &Client::laps(2, "bert", 1, 300, 2));
    let error = tokio::time::timeout(PATIENCE, old.work).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, ProcessorError::Store(StoreError::Fenced { .. })), "{error}");
    assert!(matches!(&old.status.partitions()[0].results.phase, Phase::Stopped(why) if why.contains("newer owner")));
    assert!(results.session(&tenant(), &session(2)).await.unwrap().is_none());

    let new = start(quick(), log.clone(), results.clone(), MemoryArchive::new());
    new.until_committed(&log).await;
    new.end().await;
    assert_eq!((numbers(&laps(&results, 1).await), numbers(&laps(&results, 2).await)), (vec![2], vec![2]));
}

/// Records that nobody can process are kept aside, each with its reason; everything else is as if they were not there.
#[tokio::test]
async fn poison_is_quarantined_and_harms_nothing_else() {
    let clean = Client::laps(1, "anna", 1, 300, 3);
    let mut bert = Client::new(1, "bert", 1);
    bert.put(Kind::CLOSED, 1, 1, &archive(&ClosedFrame::default()));
    bert.as_tenant(TenantId::new("others").unwrap());
    bert.drive(300, 301);
    let [closed, other_tenant] = &bert.records[..] else { panic!("two records") };
    let mut damaged = clean[9].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let mut newer = clean[9].to_vec();
    newer[0] = 7;
    let elsewhere = (2..).find(|id| session(*id).partition(2) != session(1).partition(2)).unwrap();
    let misplaced = Client::laps(elsewhere, "emil", 1, 300, 1).remove(1);
    let poison: [(Bytes, &str); 7] = [
        (Bytes::from_static(b"\x01"), "malformed"),
        (Bytes::from_static(b"rubbish"), "version 114"),
        (damaged.into(), "checksum"),
        (newer.into(), "version 7"),
        (misplaced, "belongs to partition"),
        (closed.clone(), "closed"),
        (other_tenant.clone(), "of tenant league, not others"),
    ];
    let partition = session(1).partition(2);
    let mut found = vec![];
    for poison in [&[][..], &poison[..]] {
        let (log, results, archive) = (inline_log(2), MemoryResults::new(), MemoryArchive::new());
        let writer = log.writer(Arc::new(Told::default())).unwrap();
        for (i, record) in clean.iter().enumerate() {
            append_to(&*writer, partition, record.clone());
            if let (0, Some((poison, _))) = (i % 10, poison.get(i / 10)) {
                append_to(&*writer, partition, poison.clone());
            }
        }
        let running = start(quick(), log.clone(), results.clone(), archive.clone());
        running.until_committed(&log).await;
        running.until_archived(&log).await;
        running.end().await;
        let quarantined = results.quarantine(log.id(), partition).await.unwrap();
        assert_eq!(quarantined.len(), poison.len());
        for ((i, (bytes, says)), kept) in poison.iter().enumerate().zip(&quarantined) {
            assert!(kept.reason.contains(says), "{:?} does not say {says:?}", kept.reason);
            assert_eq!((&kept.record, kept.offset), (bytes, (i * 11 + 1) as u64));
        }
        found.push((
            laps(&results, 1).await,
            results.ledgers(&tenant(), &session(1)).await.unwrap(),
            archive.count(&tenant(), &session(1), None).await.unwrap(),
        ));
    }
    assert_eq!(found[0].0.len(), 2);
    assert_eq!(found[0], found[1]);
}

/// E7: a partition whose checkpoint does not fit its log stops, with the reason; the others go on.
#[tokio::test]
async fn one_partition_that_fails_leaves_the_others_working() {
    let (log, results) = (inline_log(2), MemoryResults::new());
    let good = (1..).find(|id| session(*id).partition(2) == 0).unwrap();
    let lease = results.acquire(log.id(), 1).await.unwrap();
    let checkpoint = Checkpoint { log: log.id().clone(), partition: 1, offset: 99, crc: 0 };
    let step = Step::new(checkpoint);
    results.commit(&lease, &step).await.unwrap();

    let mut running = start(quick(), log.clone(), results.clone(), MemoryArchive::new());
    running.until("stopped", |s| matches!(&s.partitions()[1].results.phase, Phase::Stopped(why) if why.contains("processed up to offset 99"))).await;
    append(&log, &Client::laps(good, "anna", 1, 300, 2));
    running.next_laps().await;
    assert!(!running.status.ready());
    running.end().await;
    assert_eq!(numbers(&laps(&results, good).await), [2]);
}

#[tokio::test]
async fn an_archive_that_is_down_delays_no_lap() {
    let (log, results, archive) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
    archive.set_available(false);
    let mut running = start(quick(), log.clone(), results.clone(), archive.clone());
    append(&log, &Client::laps(1, "anna", 1, 300, 2));
    running.next_laps().await;
    running.until("retrying", |s| matches!(s.partitions()[0].archive.phase, Phase::Retrying(_))).await;
    assert!(running.status.ready());
    archive.set_available(true);
    running.until_archived(&log).await;
    archive.set_available(false);
    append(&log, &Client::laps(2, "bert", 1, 300, 2));
    running.next_laps().await;
    running.until("retrying", |s| matches!(s.partitions()[0].archive.phase, Phase::Retrying(_))).await;
    archive.set_available(true);
    running.until_archived(&log).await;
    running.end().await;
    for id in [1, 2] {
        assert_eq!(archive.count(&tenant(), &session(id), None).await.unwrap(), 500);
    }
}

/// E6b: while both pumps keep up, the log is read once.
#[tokio::test]
async fn one_fetch_feeds_laps_and_archive() {
    let (log, results, archive) = (Counting::new(inline_log(1)), MemoryResults::new(), MemoryArchive::new());
    let running = start(quick(), log.clone(), results.clone(), archive.clone());
    running.until("following", |_| log.opened() == 2 && log.open() == 1).await;
    let records = Client::laps(1, "anna", 1, 300, 8);
    for some in records.chunks(20) {
        append(&log.inner, some);
        running.until_archived(&log.inner).await;
    }
    running.until_committed(&log.inner).await;
    assert_eq!((log.given(), log.opened()), (records.len() as u64, 2), "each record was fetched once");
    running.end().await;
    assert_eq!(archive.count(&tenant(), &session(1), None).await.unwrap(), 1_700);
}

/// E6b: an archive that is down falls behind more than is kept for it, and delays no lap; back, it reads for itself, then
/// follows again. Every frame is archived once.
#[tokio::test]
async fn an_archive_that_falls_behind_reads_for_itself_and_follows_again() {
    let (log, results, archive) = (Counting::new(inline_log(1)), MemoryResults::new(), MemoryArchive::new());
    let config = Config { pace: pace(20, 10, 20_000), read_bytes: 5_000, ..quick() };
    let mut running = start(config, log.clone(), results.clone(), archive.clone());
    let mut frames = 0;
    for round in 0..4u8 {
        running.until("following", |_| log.open() == 1).await;
        let opened = log.opened();
        archive.set_available(false);
        for id in 0..3 {
            let records = Client::laps(u128::from(round) * 10 + id, "anna", 1, 300, 3);
            append(&log.inner, &records);
            let of = session(u128::from(round) * 10 + id);
            // The archive is down, and laps come: both, in one step or in two.
            while running.next_laps().await.laps.iter().all(|lap| lap.session != of || lap.number != 3) {}
        }
        running.until_committed(&log.inner).await;
        running.until("retrying", |s| matches!(s.partitions()[0].archive.phase, Phase::Retrying(_))).await;
        archive.set_available(true);
        running.until_archived(&log.inner).await;
        assert!(log.opened() > opened, "more was kept for it than was to be");
        frames += 3 * 700;
        let mut kept = 0;
        for id in (0..=round).flat_map(|round| (0..3).map(move |id| u128::from(round) * 10 + id)) {
            kept += archive.count(&tenant(), &session(id), None).await.unwrap();
        }
        assert_eq!(kept, frames);
    }
    running.end().await;
}

/// Results that do not answer hold the laps back, and nothing else: the archive goes on by itself.
#[tokio::test]
async fn results_that_are_down_delay_no_frame() {
    let (log, results, archive) = (Counting::new(inline_log(1)), MemoryResults::new(), MemoryArchive::new());
    let running = start(quick(), log.clone(), results.clone(), archive.clone());
    running.until("following", |_| log.open() == 1).await;
    results.set_available(false);
    append(&log.inner, &Client::laps(1, "anna", 1, 300, 2));
    running.until("retrying", |s| matches!(s.partitions()[0].results.phase, Phase::Retrying(_))).await;
    append(&log.inner, &Client::laps(2, "bert", 1, 300, 2));
    running.until_archived(&log.inner).await;
    assert_eq!(archive.count(&tenant(), &session(2), None).await.unwrap(), 500);
    results.set_available(true);
    running.until_committed(&log.inner).await;
    running.end().await;
}

/// What is older than it may be goes, laps stay, and what has gone is not archived again.
#[tokio::test]
async fn old_frames_are_removed_and_laps_stay() {
    let (log, results, archive) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
    // The tests' records were received in 2023.
    let aged = Config { archive_max_age: Some(Duration::from_secs(86_400)), retain_every: Duration::from_millis(5), ..quick() };
    append(&log, &Client::laps(1, "anna", 1, 300, 2));
    for config in [quick(), aged.clone(), aged] {
        let keeps = config.archive_max_age.is_none();
        let running = start(config, log.clone(), results.clone(), archive.clone());
        running.until_committed(&log).await;
        running.until_archived(&log).await;
        let count = async || archive.count(&tenant(), &session(1), None).await.unwrap();
        if !keeps {
            wait::until_some("the frames are removed", async || (count().await == 0).then_some(())).await;
        }
        running.end().await;
        assert_eq!(count().await, if keeps { 500 } else { 0 });
        assert_eq!(numbers(&laps(&results, 1).await), [2]);
    }
}

/// A clock that is set forward removes nothing by age and retires no session, until a person says that it is right. What is too many bytes
/// goes all the same.
#[tokio::test]
async fn a_clock_that_jumped_costs_nothing() {
    let (log, results, archive) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
    append(&log, &Client::laps(1, "anna", 1, 300, 2));
    let day_us = 86_400_000_000;
    // The tests' records were received in 2023.
    let time = Arc::new(Mutex::new(Believed { now_us: 1_700_000_000_000_000 + day_us, jumped: false }));
    let config = Config {
        archive_max_age: Some(Duration::from_secs(30 * 86_400)),
        retain_every: Duration::from_millis(5),
        close_after: Duration::from_millis(100),
        ..quick()
    };
    let run = |config: Config| {
        let shown = time.clone();
        start_by(config, log.clone(), results.clone(), archive.clone(), Arc::new(move || *shown.lock()))
    };
    let running = run(config.clone());
    let info = async || results.session(&tenant(), &session(1)).await.unwrap();
    wait::until_some("the session is closed", async || info().await.filter(|info| info.closed)).await;
    running.until_archived(&log).await;
    let count = async || archive.count(&tenant(), &session(1), None).await.unwrap();
    let before_us = time.lock().now_us;
    *time.lock() = Believed { now_us: before_us + 40 * day_us, jumped: true };
    // Many times what a check takes.
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!((count().await, info().await.unwrap().retired), (500, false));
    running.end().await;
    let running = run(Config { archive_max_bytes: Some(0), ..config.clone() });
    wait::until_some("what is too many bytes goes", async || (count().await == 0).then_some(())).await;
    assert!(!info().await.unwrap().retired);
    time.lock().jumped = false;
    wait::until_some("a person said that the clock is right", async || info().await.filter(|info| info.retired)).await;
    running.end().await;
}

#[tokio::test]
async fn the_processor_goes_on_when_the_results_store_is_back() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    results.set_available(false);
    let running = start(quick(), log.clone(), results.clone(), MemoryArchive::new());
    running.until("retrying its start", |s| matches!(&s.partitions()[0].results.phase, Phase::Retrying(why) if why.contains("start"))).await;
    assert!(!running.status.ready());
    results.set_available(true);
    running.until("ready", Status::ready).await;
    let anna = Client::laps(1, "anna", 1, 300, 2);
    append(&log, &anna[..2]);
    running.until_committed(&log).await;
    results.set_available(false);
    append(&log, &anna[2..]);
    running.until("retrying a step", |s| matches!(&s.partitions()[0].results.phase, Phase::Retrying(why) if why.contains("commit a step"))).await;
    append(&log, &Client::laps(2, "bert", 1, 300, 2));
    let end = end(&log, 0);
    running.until("aware of the log's end", |s| (s.partitions()[0].results.end, s.partitions()[0].results.lag()) == (end, end - 2)).await;
    results.set_available(true);
    running.until_committed(&log).await;
    // Whether a session is new only the store knows.
    results.set_available(false);
    append(&log, &Client::laps(3, "carl", 1, 300, 2));
    running.until("retrying to load", |s| matches!(&s.partitions()[0].results.phase, Phase::Retrying(why) if why.contains("load a session"))).await;
    results.set_available(true);
    running.until_committed(&log).await;
    running.end().await;
    for id in 1..=3 {
        assert_eq!(numbers(&laps(&results, id).await), [2], "session {id}");
    }
}

#[tokio::test]
async fn asked_to_end_during_an_outage_it_ends() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    let running = start(quick(), log.clone(), results.clone(), MemoryArchive::new());
    running.until("ready", Status::ready).await;
    results.set_available(false);
    append(&log, &Client::laps(1, "anna", 1, 300, 2));
    running.until("retrying", |s| matches!(s.partitions()[0].results.phase, Phase::Retrying(_))).await;
    let status = running.status.clone();
    running.end().await;
    assert_eq!((&status.partitions()[0].results.phase, status.partitions()[0].results.committed), (&Phase::Ended, 0));
}

#[tokio::test]
async fn a_log_that_does_not_answer_now_and_then_loses_nothing() {
    let (log, results, archive) = (Flaky::new(inline_log(1)), MemoryResults::new(), MemoryArchive::new());
    append(&log.inner, &Client::laps(1, "anna", 1, 300, 4));
    let running = start(Config { read_bytes: 5_000, ..quick() }, log.clone(), results.clone(), archive.clone());
    running.until_committed(&log.inner).await;
    running.until_archived(&log.inner).await;
    running.end().await;
    assert!(log.failed() > 10);
    assert_eq!(numbers(&laps(&results, 1).await), [2, 3, 4]);
    let ledger = &results.ledgers(&tenant(), &session(1)).await.unwrap()[0];
    assert_eq!((ledger.car_frames, ledger.duplicate, ledger.hole), (900, 0, 0));
    assert_eq!(archive.count(&tenant(), &session(1), None).await.unwrap(), 900);
}

#[tokio::test]
async fn what_is_pending_is_committed_at_the_end() {
    let (log, results, archive) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
    let never = Config { news_every: NEVER, quiet_every: NEVER, pace: Some(Pace { every: NEVER, idle: NEVER, bytes: 4 << 20 }), ..Config::default() };
    let running = start(never, log.clone(), results.clone(), archive.clone());
    append(&log, &Client::laps(1, "anna", 1, 300, 1));
    // The first news goes out at once; what follows waits for ever.
    running.until("read", |s| s.partitions()[0].results.next == end(&log, 0) && s.partitions()[0].archive.next == end(&log, 0)).await;
    append(&log, &Client::laps(2, "bert", 1, 300, 2));
    running.until("read", |s| s.partitions()[0].results.next == end(&log, 0) && s.partitions()[0].archive.next == end(&log, 0)).await;
    assert!(laps(&results, 2).await.is_empty());
    assert_eq!(archive.count(&tenant(), &session(2), None).await.unwrap(), 0);
    running.end().await;
    assert_eq!(numbers(&laps(&results, 2).await), [2]);
    assert_eq!(archive.count(&tenant(), &session(2), None).await.unwrap(), 500);
}

#[tokio::test]
async fn a_lap_does_not_wait_for_a_quiet_step() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    let mut running =
        start(Config { news_every: Duration::from_millis(1), quiet_every: NEVER, ..quick() }, log.clone(), results, MemoryArchive::new());
    append(&log, &Client::laps(1, "anna", 1, 300, 2));
    assert_eq!(numbers(&running.next_laps().await.laps), [2]);
    running.end().await;
}

#[tokio::test]
async fn frames_without_news_are_committed_in_time() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    let running = start(Config { news_every: NEVER, ..quick() }, log.clone(), results, MemoryArchive::new());
    let drive = Client::laps(1, "anna", 1, 300, 0);
    append(&log, &drive[..10]);
    running.until_committed(&log).await;
    append(&log, &drive[10..20]);
    running.until_committed(&log).await;
    running.end().await;
}

/// E10: runs of one stream, up to ten seconds each, over other kinds and gaps; together every admitted frame, once.
#[tokio::test]
async fn the_archive_gets_runs_of_ten_seconds() {
    let mut anna = Client::new(1, "anna", 1);
    anna.meta(1, 0);
    anna.drive(300, 2400);
    anna.slow();
    anna.drive(2400, 2460);
    anna.gap(4);
    anna.drive(2484, 2600);
    anna.rewind(2500);
    anna.drive(2500, 2600);
    let resent = anna.records[3..9].to_vec();
    let bert = Client::laps(1, "bert", 1, 300, 1);
    let records: Vec<Bytes> =
        anna.records.iter().zip(bert.iter().chain(std::iter::repeat(&bert[0]))).flat_map(|(a, b)| [a.clone(), b.clone()]).chain(resent).collect();
    for config in [
        Config { pace: pace(3_600_000, 20, 4 << 20), ..quick() },
        Config { pace: pace(0, 3_600_000, 4 << 20), read_bytes: 9_000, ..quick() },
        Config { pace: pace(3_600_000, 50, 30_000), read_bytes: 9_000, ..quick() },
    ] {
        let (log, archive) = (inline_log(1), Blocks::default());
        append(&log, &records);
        let running = start(config.clone(), log.clone(), MemoryResults::new(), archive.clone());
        running.until_archived(&log).await;
        running.end().await;
        let blocks = archive.blocks.lock().unwrap().clone();
        assert!(config.pace == pace(3_600_000, 20, 4 << 20) || blocks.len() > 2, "{} blocks", blocks.len());
        assert!(blocks.is_sorted_by_key(|b| b.checkpoint.offset));
        for name in ["anna", "bert"] {
            let runs: Vec<_> = blocks.iter().flat_map(|b| &b.runs).filter(|r| r.stream.driver == driver(name)).collect();
            let ticks: Vec<u32> = runs.iter().flat_map(|r| r.iter().map(|(_, f)| f.tick.to_native())).collect();
            let numbers: Vec<u64> = runs.iter().flat_map(|r| r.iter().map(|(seq, _)| seq)).collect();
            assert!(numbers.is_sorted_by(|a, b| a < b), "{name}: a frame twice, or out of order");
            let drives: &[(u32, u32)] = if name == "anna" { &[(300, 2460), (2484, 2600), (2500, 2600)] } else { &[(300, 2100)] };
            let driven: Vec<u32> = drives.iter().flat_map(|(from, to)| (*from..*to).step_by(TICK_STEP as usize)).collect();
            assert_eq!(ticks, driven, "{name}");
            assert!(runs.iter().all(|r| r.last_us - r.first_us < 10_000_000));
            if blocks.len() == 1 {
                let lengths: Vec<u64> = runs.iter().map(|r| r.count()).collect();
                let expected: &[u64] = if name == "anna" { &[100, 100, 100, 80, 17] } else { &[100, 100, 100] };
                assert_eq!(lengths, expected, "{name}");
            }
        }
    }
}

/// The same records again under another base, as a client sends them that has lost its connection.
#[tokio::test]
async fn resent_records_are_counted_and_change_nothing() {
    let (log, results, archive) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
    let records = Client::laps(1, "anna", 1, 300, 2);
    let again = records.iter().map(|r| {
        let LogRecord { stamp, record } = LogRecord::parse(r.clone()).unwrap();
        Stamp { base: 0, ..stamp }.seal(record.bytes())
    });
    let again: Vec<Bytes> = again.collect();
    append(&log, records.iter().chain(&again));
    let running = start(quick(), log.clone(), results.clone(), archive.clone());
    running.until_committed(&log).await;
    running.until_archived(&log).await;
    running.end().await;
    assert_eq!(numbers(&laps(&results, 1).await), [2]);
    let ledger = &results.ledgers(&tenant(), &session(1)).await.unwrap()[0];
    assert_eq!((ledger.admitted, ledger.duplicate), (502, 502));
    assert_eq!(archive.count(&tenant(), &session(1), None).await.unwrap(), 500);
}

/// Every metric that the pumps themselves keep moves (those of counts: `metrics::tests`).
#[test]
fn metrics_move() {
    let recorder = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder();
    let text = recorder.handle();
    let value = |name: &str| -> f64 {
        let (text, name) = (text.render(), format!("boxbox_processor_{name} "));
        text.lines().find_map(|l| l.strip_prefix(&name)).unwrap_or_else(|| panic!("no {name} in\n{text}")).parse().unwrap()
    };
    // One thread, so that everything the processor does finds the recorder.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let (log, results, archive): (MemoryLog, _, _) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
            let running = start(quick(), log.clone(), results.clone(), archive.clone());
            running.until("ready", Status::ready).await;
            append(&log, &Client::laps(1, "anna", 1, 300, 2));
            running.until_committed(&log).await;
            running.until_archived(&log).await;
            for name in ["commits_total", "commit_seconds_count", "archive_frames_total", "archive_blocks_total", "archive_seconds_count"] {
                assert!(value(name) > 0.0, "{name}");
            }
            assert_eq!(value("archive_frames_total"), 500.0);
            for name in ["retries_total", "archive_retries_total", "lag_records", "archive_lag_records", "stopped_partitions"] {
                assert_eq!(value(name), 0.0, "{name}");
            }
            results.set_available(false);
            archive.set_available(false);
            let more = Client::laps(2, "bert", 1, 300, 2);
            append(&log, &more);
            let retrying =
                |s: &Status| [&s.partitions()[0].results, &s.partitions()[0].archive].iter().all(|p| matches!(p.phase, Phase::Retrying(_)));
            running.until("retrying", retrying).await;
            running.until("aware of the lag", |s| s.partitions()[0].results.lag() > 0 && s.partitions()[0].archive.lag() > 0).await;
            for name in ["retries_total", "archive_retries_total"] {
                assert!(value(name) > 0.0, "{name}");
            }
            assert_eq!((value("lag_records"), value("archive_lag_records")), (more.len() as f64, more.len() as f64));
            results.set_available(true);
            archive.set_available(true);
            running.until_committed(&log).await;
            running.until_archived(&log).await;
            assert_eq!((value("lag_records"), value("archive_lag_records")), (0.0, 0.0));
            results.acquire(log.id(), 0).await.unwrap();
            append(&log, &Client::laps(3, "carl", 1, 300, 2));
            tokio::time::timeout(PATIENCE, running.work).await.unwrap().unwrap().unwrap_err();
            assert_eq!(value("stopped_partitions"), 1.0);
        });
    });
}

/// E9: a session without new records is closed by a record in the log; later records open it again; after some time it is retired.
#[tokio::test]
async fn a_silent_session_is_closed_and_retired() {
    let anna = Client::laps(1, "anna", 1, 300, 3);
    let (log, results) = (inline_log(2), MemoryResults::new());
    append(&log, &anna[..60]);
    let silence = Duration::from_millis(300);
    let config = Config { close_after: silence, retire_after: NEVER * 1_000_000, ..quick() };
    let running = start(config.clone(), log.clone(), results.clone(), MemoryArchive::new());
    let partition = session(1).partition(2);
    let session_info = || async { results.session(&tenant(), &session(1)).await.unwrap() };
    let until = |what: &'static str, done: fn(&SessionInfo) -> bool| async move {
        wait::until_some(what, async || session_info().await.filter(done)).await;
    };
    until("closed", |s| s.closed).await;
    assert_eq!(end(&log, partition), 61, "one record says so");

    append(&log, &anna[60..]);
    running.until_committed(&log).await;
    assert_eq!(numbers(&laps(&results, 1).await), [2, 3], "frames open it again");
    assert_eq!(results.ledgers(&tenant(), &session(1)).await.unwrap()[0].late, 0);
    until("closed again", |s| s.closed).await;
    running.end().await;

    // The clients' clocks were set in 2023: the session is as old as that.
    let config = Config { retire_after: Duration::from_secs(3_600), ..config };
    let running = start(config, log.clone(), results.clone(), MemoryArchive::new());
    until("retired", |s| s.retired).await;
    assert_eq!(numbers(&laps(&results, 1).await), [2, 3]);
    running.end().await;
}
