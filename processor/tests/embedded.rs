//! The processor on the embedded profile: log and stores as files. What comes out is what the reference log and stores
//! give, however often it is killed and started again.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Log;
use boxbox_log::embedded::{EmbeddedLog, Options};
use boxbox_log::memory::MemoryLog;
use boxbox_processor::{Config, Processor, Status};
use boxbox_schemas::SessionId;
use boxbox_schemas::record::Kind;
use boxbox_schemas::results::{IncidentStep, Lap, Ledger, SessionInfo};
use boxbox_schemas::stamp::LogRecord;
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, FrameRun, Sessions, rows_of};
use boxbox_testkit::wait::{PATIENCE, until, until_some};
use bytes::Bytes;
use fastrand::Rng;
use support::*;
use tokio_util::sync::CancellationToken;

/// What a user can see of a session.
#[derive(PartialEq, Debug)]
struct Visible {
    info: SessionInfo,
    laps: Vec<Lap>,
    incidents: Vec<IncidentStep>,
    ledgers: Vec<Ledger>,
    /// The frames of each lap, joined.
    traces: Vec<Vec<Bytes>>,
}

async fn visible(results: &dyn Sessions, archive: &dyn Archive, session: SessionId) -> Visible {
    let laps = results.laps(&tenant(), &session, &Default::default(), None, 1_000).await.unwrap();
    let mut traces = vec![];
    for lap in &laps {
        let mut trace = vec![];
        for span in &lap.spans {
            let runs = archive.frames(&tenant(), &session, span, 100_000).await.unwrap();
            trace.extend(runs.into_iter().map(|FrameRun { frames, .. }| frames));
        }
        traces.push(trace);
    }
    Visible {
        info: results.session(&tenant(), &session).await.unwrap().expect("the session"),
        incidents: rows_of(results, &tenant(), &session).await.unwrap(),
        ledgers: results.ledgers(&tenant(), &session).await.unwrap(),
        laps,
        traces,
    }
}

fn records() -> Vec<Bytes> {
    let mut carl = Client::flashback(1, "carl");
    carl.drive(2200, 3700);
    carl.void(5);
    carl.drive(3730, 6100);
    carl.end();
    let others = [Client::laps(1, "anna", 1, 300, 4), Client::laps(2, "bert", 1, 300, 4)];
    let mut turns: Vec<_> = [vec![carl.records], others.to_vec()].concat().into_iter().map(Vec::into_iter).collect();
    let mut all = vec![];
    while turns.iter().any(|r| r.len() > 0) {
        all.extend(turns.iter_mut().filter_map(Iterator::next));
    }
    all.insert(77, Bytes::from_static(b"rubbish"));
    all
}

async fn until_level(status: &Status, log: &dyn Log) {
    for partition in 0..log.partitions() {
        let end = log.bounds(partition).await.unwrap().end;
        let what = std::fmt::from_fn(|f| write!(f, "everything is committed: {:?}", status.partitions()));
        let level = || {
            let at = &status.partitions()[partition as usize];
            at.results.committed >= end && at.archive.committed >= end
        };
        until(what, level).await;
    }
}

async fn stores(folder: &Path) -> (Arc<SqliteResults>, Arc<SqliteArchive>) {
    (
        Arc::new(SqliteResults::open(&folder.join("results.sqlite")).await.unwrap()),
        Arc::new(SqliteArchive::open(&folder.join("archive.sqlite")).await.unwrap()),
    )
}

/// Small reads and many steps, so that the processor is often stopped between two of them.
fn small_steps() -> Config {
    let ms = Duration::from_millis;
    Config { read_bytes: 8_000, news_every: ms(2), quiet_every: ms(5), ..quick() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_give_what_the_reference_gives() {
    let records = records();
    let reference: Arc<MemoryLog> = Arc::new(inline_log(2));
    append(&*reference, &records);
    let (results, archive) = (MemoryResults::new(), MemoryArchive::new());
    let processor = Processor::new(small_steps(), reference.clone(), Arc::new(results.clone()), Arc::new(archive.clone()));
    let (status, stop) = (processor.status(), CancellationToken::new());
    let work = tokio::spawn(processor.run(stop.clone()));
    until_level(&status, &*reference).await;
    stop.cancel();
    work.await.unwrap().unwrap();

    let folder = tempfile::tempdir().unwrap();
    let options = Options { partitions: Some(2), segment_bytes: 1 << 20, ..Options::default() };
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(folder.path().join("log"), options).unwrap());
    let mut rng = Rng::with_seed(7);
    let (mut rest, mut kills) = (&records[..], 0);
    loop {
        let (results, archive) = stores(folder.path()).await;
        let processor = Processor::new(small_steps(), log.clone(), results.clone(), archive.clone());
        let (status, stop) = (processor.status(), CancellationToken::new());
        let work = tokio::spawn(processor.run(stop.clone()));
        // Records come while it runs.
        let (now, later) = rest.split_at(rng.usize(0..200).min(rest.len()));
        append(&*log, now);
        rest = later;
        if rest.is_empty() {
            until_level(&status, &*log).await;
            stop.cancel();
            work.await.unwrap().unwrap();
            break;
        }
        tokio::time::sleep(Duration::from_millis(rng.u64(0..40))).await;
        work.abort();
        let _ = work.await;
        kills += 1;
        results.close().await;
        archive.close().await;
    }
    assert!(kills > 3);

    let (files, frames) = stores(folder.path()).await;
    for (id, laps) in [(1, 7), (2, 3)] {
        let expected = visible(&results, &archive, session(id)).await;
        assert_eq!(expected.laps.len(), laps);
        assert_eq!(visible(&*files, &*frames, session(id)).await, expected);
    }
    let quarantined = files.quarantine(log.id(), SessionId::default().partition(2)).await.unwrap();
    assert_eq!(quarantined.iter().map(|q| &q.record[..]).collect::<Vec<_>>(), [b"rubbish"]);
}

/// E9a on the embedded log: the record that closes a silent session is in the same files, and is read back after a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_session_is_closed_in_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { partitions: Some(2), segment_bytes: 1 << 20, ..Options::default() };
    let log: Arc<dyn Log> = Arc::new(EmbeddedLog::open(folder.path().join("log"), options).unwrap());
    append(&*log, &Client::laps(1, "anna", 1, 300, 3));
    let (results, archive) = stores(folder.path()).await;
    let config = Config { close_after: Duration::from_millis(100), ..small_steps() };
    let processor = Processor::new(config, log.clone(), results.clone(), archive.clone());
    let stop = CancellationToken::new();
    let work = tokio::spawn(processor.run(stop.clone()));
    let closed = async || results.session(&tenant(), &session(1)).await.unwrap().filter(|s| s.closed);
    until_some("the session is closed", closed).await;
    stop.cancel();
    work.await.unwrap().unwrap();

    let again = MemoryResults::new();
    let processor = Processor::new(small_steps(), log.clone(), Arc::new(again.clone()), Arc::new(MemoryArchive::new()));
    let (status, stop) = (processor.status(), CancellationToken::new());
    let work = tokio::spawn(processor.run(stop.clone()));
    until_level(&status, &*log).await;
    stop.cancel();
    work.await.unwrap().unwrap();
    let laps = |results: Arc<dyn Sessions>| async move { results.laps(&tenant(), &session(1), &Default::default(), None, 100).await.unwrap() };
    assert_eq!(laps(Arc::new(again.clone())).await, laps(results.clone()).await);
    assert!(again.session(&tenant(), &session(1)).await.unwrap().unwrap().closed);
}

/// E9: silence is no end. What comes after it opens the session by itself, also with another processor in between, and a trickle of late
/// records opens and closes it no more often than silence allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_late_opens_a_silent_session_and_a_flood_does_not_flicker() {
    let log: Arc<MemoryLog> = Arc::new(inline_log(1));
    let close_after = Duration::from_millis(150);
    let config = Config { close_after, ..quick() };
    let results = MemoryResults::new();
    let is_closed = |closed: bool| {
        let results = results.clone();
        async move {
            let seen = async {
                while results.session(&tenant(), &session(1)).await.unwrap().is_none_or(|s| s.closed != closed) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            };
            tokio::time::timeout(PATIENCE, seen).await.expect("it is closed, or open");
        }
    };
    let run = || {
        let processor = Processor::new(config.clone(), log.clone(), Arc::new(results.clone()), Arc::new(MemoryArchive::new()));
        let (status, stop) = (processor.status(), CancellationToken::new());
        (status, stop.clone(), tokio::spawn(processor.run(stop)))
    };
    let (anna, bert) = (Client::laps(1, "anna", 1, 300, 3), Client::laps(1, "bert", 1, 300, 3));
    append(&*log, &anna);
    let (_, stop, work) = run();
    is_closed(true).await;
    stop.cancel();
    work.await.unwrap().unwrap();

    // Another processor takes over, and the other driver's upload trickles in.
    let (status, stop, work) = run();
    let began = std::time::Instant::now();
    for record in &bert {
        append(&*log, [record]);
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    until_level(&status, &*log).await;
    let took = began.elapsed();
    is_closed(true).await;
    stop.cancel();
    work.await.unwrap().unwrap();
    let laps = results.laps(&tenant(), &session(1), &Default::default(), None, 100).await.unwrap();
    assert_eq!(laps.iter().map(|lap| (lap.entry.as_str(), lap.number)).collect::<Vec<_>>(), [("anna", 2), ("anna", 3), ("bert", 2), ("bert", 3)]);
    assert!(laps.iter().all(|lap| !lap.tags.names().contains(&"late".to_owned())), "no person has decided that it is late");
    let closings =
        log.records(0).into_iter().filter(|entry| LogRecord::parse(entry.record.clone()).unwrap().record.prelude().kind == Kind::CLOSED).count();
    let most = 2 + (took.as_millis() / close_after.as_millis()) as usize;
    assert!((2..=most).contains(&closings), "{closings} closings within {took:?}");
}
