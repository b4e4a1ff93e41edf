//! Stores and logs that do not answer, other processors, and partitions that fail.

use crate::running::*;
use crate::support::log::{Counting, Flaky};
use crate::support::*;
use boxbox_log::Log;
use boxbox_processor::{Config, Phase, ProcessorError, Status};
use boxbox_schemas::results::Checkpoint;
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, Sessions, Step, Steps, StoreError};
use boxbox_testkit::wait::PATIENCE;

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
