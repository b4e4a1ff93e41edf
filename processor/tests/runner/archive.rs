//! The archive beside the results: down, behind, and what it gets.

use std::time::Duration;

use crate::running::*;
use crate::support::log::Counting;
use crate::support::stores::Blocks;
use crate::support::*;
use boxbox_processor::{Config, Phase};
use boxbox_store::Archive;
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_testkit::wait;
use bytes::Bytes;

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
