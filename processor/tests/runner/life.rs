//! The life of sessions, and what a running processor tells of itself.

use std::sync::Arc;
use std::time::Duration;

use crate::running::*;
use crate::support::*;
use boxbox_log::Log;
use boxbox_log::memory::MemoryLog;
use boxbox_processor::time::Believed;
use boxbox_processor::{Config, Phase, Status};
use boxbox_schemas::results::SessionInfo;
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, Sessions, Steps};
use boxbox_testkit::wait::{self, PATIENCE};
use parking_lot::Mutex;

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
