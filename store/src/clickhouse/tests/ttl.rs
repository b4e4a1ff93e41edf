//! Retention by age, which is ClickHouse's own, and tables that are not as they are wanted.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::Options;
use super::fixture::Fixture;
use crate::suite::ArchiveFixture;
use crate::suite::samples::*;
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, StoreError};

const HOUR: Duration = Duration::from_secs(3_600);

fn aged(age: Duration) -> Options {
    Options { max_age: Some(age), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_is_removed_and_does_not_come_back() {
    let Some(f) = Fixture::start_with("what_is_old_is_removed_and_does_not_come_back", aged(HOUR)).await else { return };
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    let key = stream(&session(tenant("a"), 1), 1);
    let block = |n: u64, age: Duration| ArchiveBlock {
        checkpoint: checkpoint(n),
        received_at_us: 0,
        appended_at_us: now_us - age.as_micros() as i64,
        cursors: vec![(key, n * 10)],
        runs: vec![FrameRun::new(key, n * 10 - 10, frames(n * 10 - 10, 10)).unwrap()],
        records: vec![],
    };
    let archive = f.open().await;
    archive.append(&lease(), &block(1, 3 * HOUR)).await.unwrap();
    archive.append(&lease(), &block(2, 2 * HOUR)).await.unwrap();
    f.clickhouse("OPTIMIZE TABLE frames FINAL").await;
    let count = || archive.count(&key.tenant, &key.session, None);
    assert_eq!(count().await.unwrap(), 0);
    let state = ArchiveState { checkpoint: Some(checkpoint(2)), cursors: vec![(key, 20)], ..ArchiveState::default() };
    assert_eq!(f.open().await.load(&lease()).await.unwrap(), state, "it need not be there any more");
    archive.append(&lease(), &block(1, 3 * HOUR)).await.unwrap();
    archive.append(&lease(), &block(3, Duration::ZERO)).await.unwrap();
    f.clickhouse("OPTIMIZE TABLE frames FINAL").await;
    assert_eq!(count().await.unwrap(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_migrated_and_checked() {
    let Some(mut f) = Fixture::start("tables_are_migrated_and_checked").await else { return };
    f.migrate().await.unwrap();
    f.open().await.ping().await.unwrap();
    let message = |e: Result<_, StoreError>| e.err().map_or(String::new(), |e| e.to_string());
    f.try_open(aged(HOUR)).await.unwrap();
    for options in [aged(HOUR), aged(2 * HOUR), Options::default()] {
        f.options = options;
        f.migrate().await.unwrap();
        f.migrate().await.unwrap();
        let kept = crate::clickhouse::schema::check(&f.server()).await.unwrap().max_age;
        assert_eq!(kept, f.options.max_age);
    }
    let archive = f.open().await;
    f.clickhouse("ALTER TABLE frames MODIFY COMMENT 'Ok, Box Box, schema 99'").await;
    assert!(message(f.try_open(Options::default()).await).contains("version 99, which this program does not know"));
    assert!(matches!(archive.ping().await, Err(StoreError::Unreadable(_))));
    assert!(message(f.migrate().await.map(|()| unreachable!())).contains("version 99"));
    f.clickhouse("DROP TABLE frames SYNC").await;
    assert!(message(f.try_open(Options::default()).await).contains("run `boxbox migrate`"));
    f.migrate().await.unwrap();
    f.open().await.ping().await.unwrap();
}
