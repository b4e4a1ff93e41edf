//! What plans are for: answers and blocks that are lost, owners that come too late, databases that were put back.

use std::time::Duration;

use boxbox_schemas::StreamKey;
use bytes::Bytes;

use super::super::encode::Rows;
use super::super::insert::{Planned, insert};
use super::super::plans::{self, Planning};
use super::super::records::RecordRows;
use super::super::schema::{insert_records_sql, insert_sql};
use super::super::{ClickHouseArchive, Options};
use super::fixture::Fixture;
use crate::suite::ArchiveFixture;
use crate::suite::samples::*;
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, StoreError, StreamRecords};

fn key(n: u32) -> StreamKey {
    stream(&session(tenant("a"), 1), n)
}

/// The block up to `10 * n`, ten frames of each of two streams.
fn block(n: u64) -> ArchiveBlock {
    let run = |of: u32| FrameRun::new(key(of), (n - 1) * 10, frames((n - 1) * 10, 10)).unwrap();
    ArchiveBlock {
        checkpoint: checkpoint(n * 10),
        received_at_us: n as i64,
        appended_at_us: 1_800_000_000_000_000 + n as i64,
        cursors: vec![(key(1), n * 10), (key(2), n * 10)],
        runs: vec![run(1), run(2)],
        records: vec![heading(key(1), (n - 1) * 10, n * 10), heading(key(2), (n - 1) * 10, n * 10)],
    }
}

/// The heading of frames that begin at `seq`.
pub(super) fn heading(stream: StreamKey, seq: u64, offset: u64) -> StreamRecords {
    let record = KeptRecord { first_seq: seq, next_seq: seq, offset, received_at_us: 5, bytes: vec![seq as u8; 64].into() };
    StreamRecords { stream, records: vec![record] }
}

/// An INSERT that is ready to be sent.
pub(super) struct Ready {
    frames: Bytes,
    records: Bytes,
    token: String,
}

/// Plan a block as its owner does, and stop there.
pub(super) async fn plan(archive: &ClickHouseArchive, lease: &Lease, block: &ArchiveBlock) -> Result<Option<Ready>, StoreError> {
    let (lease_too, of) = (lease.clone(), block.clone());
    let database = &archive.inner().plans;
    let work = database.transaction(&lease.log, lease.partition, move |c| Box::pin(async move { plans::plan(c, &lease_too, 1, &of).await })).await?;
    let Planning::Insert { runs, records, token, .. } = work else { return Ok(None) };
    let (log, partition) = (&lease.log.0, lease.partition);
    let (offset, appended_us) = (block.checkpoint.offset, block.appended_at_us);
    let frames = if runs.is_empty() { Bytes::new() } else { Rows { log, partition, offset, appended_us, runs: &runs }.native() };
    let records = RecordRows { log, partition, offset, appended_us, records: &records }.row_binary();
    Ok(Some(Ready { frames, records, token }))
}

pub(super) async fn send(archive: &ClickHouseArchive, ready: &Ready) -> Result<(), StoreError> {
    send_frames(archive, ready).await?;
    if ready.records.is_empty() {
        return Ok(());
    }
    let into = format!("{}RowBinary", insert_records_sql());
    insert(&archive.inner().server, false, into, ready.records.clone(), &ready.token, Planned::now()).await
}

/// As [`send`], and then the process dies.
async fn send_frames(archive: &ClickHouseArchive, ready: &Ready) -> Result<(), StoreError> {
    if ready.frames.is_empty() {
        return Ok(());
    }
    let into = format!("{}Native", insert_sql("frames"));
    insert(&archive.inner().server, false, into, ready.frames.clone(), &ready.token, Planned::now()).await
}

async fn assert_holds(archive: &ClickHouseArchive, blocks: u64) {
    for n in [1, 2] {
        assert_eq!(archive.count(&key(n).tenant, &key(n).session, Some(&key(n).driver)).await.unwrap(), blocks * 10);
        let span = boxbox_schemas::results::Span { driver: key(n).driver, run: key(n).run, first_seq: 0, next_seq: u64::MAX };
        let run = archive.frames(&key(n).tenant, &key(n).session, &span, u32::MAX).await.unwrap();
        assert_eq!(run, (blocks > 0).then(|| FrameRun::new(key(n), 0, frames(0, blocks * 10)).unwrap()));
        let records = archive.records(&key(n).tenant, &key(n).session, &span, u32::MAX).await.unwrap();
        assert_eq!(
            records.iter().map(|r| (r.first_seq, r.offset)).collect::<Vec<_>>(),
            (0..blocks).map(|n| (n * 10, n * 10 + 10)).collect::<Vec<_>>()
        );
    }
}

/// The state behind block `n`.
fn behind(n: u64) -> ArchiveState {
    let cursors = if n > 0 { vec![(key(1), n * 10), (key(2), n * 10)] } else { vec![] };
    ArchiveState { checkpoint: (n > 0).then(|| checkpoint(n * 10)), cursors, ..ArchiveState::default() }
}

async fn with_blocks(fixture: &Fixture, blocks: u64) -> ClickHouseArchive {
    let archive = fixture.open().await;
    for n in 1..=blocks {
        archive.append(&lease(), &block(n)).await.unwrap();
    }
    archive
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_was_lost() {
    let Some(f) = Fixture::start("an_answer_that_was_lost").await else { return };
    let archive = with_blocks(&f, 2).await;
    let ready = plan(&archive, &lease(), &block(3)).await.unwrap().unwrap();
    send(&archive, &ready).await.unwrap();
    assert_eq!(f.open().await.load(&lease()).await.unwrap(), behind(3));
    archive.append(&lease(), &block(3)).await.unwrap();
    archive.append(&lease(), &block(4)).await.unwrap();
    assert_holds(&archive, 4).await;
}

/// A process that died between the two tables of a block.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_of_half_a_block() {
    let Some(f) = Fixture::start("an_insert_of_half_a_block").await else { return };
    let archive = with_blocks(&f, 2).await;
    let ready = plan(&archive, &lease(), &block(3)).await.unwrap().unwrap();
    send_frames(&archive, &ready).await.unwrap();
    let archive = f.open().await;
    assert_eq!(archive.load(&lease()).await.unwrap(), ArchiveState { planned: vec![30], ..behind(2) });
    archive.append(&lease(), &block(3)).await.unwrap();
    assert_eq!(archive.load(&lease()).await.unwrap(), behind(3));
    assert_holds(&archive, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_that_was_lost() {
    let Some(f) = Fixture::start("an_insert_that_was_lost").await else { return };
    let archive = with_blocks(&f, 2).await;
    plan(&archive, &lease(), &block(3)).await.unwrap().unwrap();
    let archive = f.open().await;
    assert_eq!(archive.load(&lease()).await.unwrap(), ArchiveState { planned: vec![30], ..behind(2) });
    archive.append(&lease(), &block(3)).await.unwrap();
    assert_eq!(archive.load(&lease()).await.unwrap(), behind(3));
    assert_holds(&archive, 3).await;
}

/// A process that died, or was cut off, sends what it had planned while the next one makes the same again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_insert_that_comes_late() {
    let Some(f) = Fixture::start("an_insert_that_comes_late").await else { return };
    let zombie = with_blocks(&f, 2).await;
    for (n, before) in [(3, true), (4, false)] {
        let ready = plan(&zombie, &lease(), &block(n)).await.unwrap().unwrap();
        let archive = f.open().await;
        assert_eq!(archive.load(&lease()).await.unwrap(), ArchiveState { planned: vec![n * 10], ..behind(n - 1) });
        if before {
            send(&zombie, &ready).await.unwrap();
        }
        archive.append(&lease(), &block(n)).await.unwrap();
        send(&zombie, &ready).await.unwrap();
        assert_holds(&archive, n).await;
    }
    let archive = f.open().await;
    archive.append(&lease(), &block(5)).await.unwrap();
    assert_holds(&archive, 5).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_was_replaced_plans_nothing() {
    let Some(f) = Fixture::start("who_was_replaced_plans_nothing").await else { return };
    let zombie = with_blocks(&f, 2).await;
    let newer = f.take_over(&lease()).await;
    let fenced = |e: &StoreError| matches!(e, StoreError::Fenced { partition: 3, mine: 1, newer: 2 });
    assert!(fenced(&zombie.append(&lease(), &block(3)).await.unwrap_err()));
    assert!(fenced(&zombie.load(&lease()).await.unwrap_err()));
    assert!(fenced(&zombie.export_laps(&lease()).await.unwrap_err()));
    let archive = f.open().await;
    assert_eq!(archive.load(&newer).await.unwrap(), behind(2));
    archive.append(&newer, &block(3)).await.unwrap();
    assert_holds(&archive, 3).await;
    let stray = Lease { partition: 4, ..newer };
    assert!(matches!(archive.append(&stray, &block(4)).await, Err(StoreError::Refused(_))), "a block of another partition");
}

/// Rows that were there are gone, with the tokens still known to ClickHouse, which is the harder case.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clickhouse_was_put_back() {
    let Some(f) = Fixture::start("clickhouse_was_put_back").await else { return };
    with_blocks(&f, 8).await;
    for round in 0..2 {
        f.clickhouse("ALTER TABLE frames DELETE WHERE log_offset > 50").await;
        let archive = f.open().await;
        let state = ArchiveState { planned: vec![60, 70, 80], ..behind(5) };
        assert_eq!(archive.load(&lease()).await.unwrap(), state);
        let other = ArchiveBlock { checkpoint: checkpoint(65), ..block(6) };
        assert!(matches!(archive.append(&lease(), &other).await, Err(StoreError::Refused(_))), "blocks must end as planned");
        archive.append(&lease(), &block(6)).await.unwrap();
        if round == 1 {
            // It dies and starts again amid that.
            assert_eq!(f.open().await.load(&lease()).await.unwrap(), ArchiveState { planned: vec![70, 80], ..behind(6) });
        }
        archive.append(&lease(), &block(7)).await.unwrap();
        archive.append(&lease(), &block(8)).await.unwrap();
        assert_eq!(archive.load(&lease()).await.unwrap(), behind(8));
        assert_holds(&archive, 8).await;
    }
    // Only the newest: its token is known too.
    f.clickhouse("ALTER TABLE frames DELETE WHERE log_offset > 70").await;
    let archive = f.open().await;
    assert_eq!(archive.load(&lease()).await.unwrap(), ArchiveState { planned: vec![80], ..behind(7) });
    archive.append(&lease(), &block(8)).await.unwrap();
    assert_holds(&archive, 8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn clickhouse_was_put_back_too_far() {
    let Some(f) = Fixture::start("clickhouse_was_put_back_too_far").await else { return };
    with_blocks(&f, 4).await;
    f.sql("DELETE FROM archive_plans WHERE last_offset < 30").await;
    f.clickhouse("TRUNCATE TABLE frames").await;
    f.clickhouse("TRUNCATE TABLE records").await;
    let archive = f.open().await;
    let e = archive.load(&lease()).await.unwrap_err();
    assert!(matches!(&e, StoreError::Unreadable(what) if what.contains("delete from archive_plans")), "{e}");
    assert!(matches!(archive.ping().await, Err(StoreError::Unreadable(_))), "a ping fails too");
    // What the error says.
    f.sql("DELETE FROM archive_plans; DELETE FROM archive_cursors").await;
    let archive = f.try_open(Options { generation: 2, ..f.options.clone() }).await.unwrap();
    assert_eq!(archive.load(&lease()).await.unwrap(), behind(0));
    for n in 1..=4 {
        archive.append(&lease(), &block(n)).await.unwrap();
    }
    assert_holds(&archive, 4).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_was_put_back() {
    let Some(f) = Fixture::start("postgres_was_put_back").await else { return };
    let archive = with_blocks(&f, 4).await;
    f.sql("CREATE TABLE plans_then AS SELECT * FROM archive_plans; CREATE TABLE cursors_then AS SELECT * FROM archive_cursors").await;
    for n in 5..=7 {
        archive.append(&lease(), &block(n)).await.unwrap();
    }
    let back = "TRUNCATE archive_plans, archive_cursors; INSERT INTO archive_plans SELECT * FROM plans_then; \
                INSERT INTO archive_cursors SELECT * FROM cursors_then";
    f.sql(back).await;
    let archive = f.open().await;
    assert_eq!(archive.load(&lease()).await.unwrap(), ArchiveState { held_to: Some(70), records_held_to: Some(70), ..behind(4) });
    // Records up to 70 are admitted and left out; this block ends in another place than those before.
    let runs = |from: u64, to: u64| [1, 2].map(|n| FrameRun::new(key(n), from, frames(from, to - from)).unwrap()).to_vec();
    let cursors = |next: u64| vec![(key(1), next), (key(2), next)];
    archive
        .append(&lease(), &ArchiveBlock { checkpoint: checkpoint(65), cursors: cursors(65), runs: vec![], records: vec![], ..block(6) })
        .await
        .unwrap();
    let archive = f.open().await;
    let state =
        ArchiveState { checkpoint: Some(checkpoint(65)), cursors: cursors(65), held_to: Some(70), records_held_to: Some(70), planned: vec![] };
    assert_eq!(archive.load(&lease()).await.unwrap(), state);
    archive.append(&lease(), &ArchiveBlock { checkpoint: checkpoint(80), cursors: cursors(80), runs: runs(70, 80), ..block(8) }).await.unwrap();
    assert_eq!(archive.load(&lease()).await.unwrap(), behind(8));
    assert_holds(&archive, 8).await;
    // All of it.
    f.sql("TRUNCATE archive_plans, archive_cursors").await;
    assert_eq!(f.open().await.load(&lease()).await.unwrap(), ArchiveState { held_to: Some(80), records_held_to: Some(80), ..behind(0) });
}

/// While the last block has not been answered, going on to another would leave a hole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_block_that_was_not_answered_comes_first() {
    let Some(f) = Fixture::start("a_block_that_was_not_answered_comes_first").await else { return };
    let archive = with_blocks(&f, 1).await;
    f.clickhouse("RENAME TABLE frames TO away").await;
    assert!(archive.append(&lease(), &block(2)).await.is_err());
    f.clickhouse("RENAME TABLE away TO frames").await;
    assert!(matches!(archive.append(&lease(), &block(3)).await, Err(StoreError::Refused(_))));
    archive.append(&lease(), &block(2)).await.unwrap();
    archive.append(&lease(), &block(3)).await.unwrap();
    assert_holds(&archive, 3).await;
}

/// A server that takes connections and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_hangs_is_unavailable_in_time() {
    let hole = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("clickhouse://app@{}/boxbox", hole.local_addr().unwrap());
    let opening = ClickHouseArchive::open(&url, None, ("postgres://app@127.0.0.1:1/boxbox", None), Options::default());
    let opened = tokio::time::timeout(Duration::from_secs(60), opening).await.unwrap();
    assert!(opened.err().unwrap().is_retryable());
}
