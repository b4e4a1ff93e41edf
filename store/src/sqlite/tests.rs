//! The suites on files, and situations that only files have: damage, another version, another process, a full disk.

use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::LogId;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{AnyRow, FlagChange, IncidentStep, PitVisit, SessionInfo, Span};
use boxbox_testkit::wait::until_some;
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};
use tempfile::TempDir;

use super::writer::Writer;
use super::*;
use crate::sql::SqlFuture;
use crate::suite::migrated::Before;
use crate::suite::samples::*;
use crate::suite::{ArchiveFixture, ResultsFixture};
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, LapFilter, Quarantined, Sessions, Step, Steps, StoreError};

#[cfg(unix)]
mod handles;
mod leagues;

struct Folder(TempDir);

impl Folder {
    fn path(&self) -> std::path::PathBuf {
        self.0.path().join("store.db")
    }
}

#[async_trait]
impl ResultsFixture for Folder {
    type Store = SqliteResults;
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }
    async fn open(&self) -> SqliteResults {
        SqliteResults::open(&self.path()).await.unwrap()
    }
    async fn quarantine(&self, store: &SqliteResults, log: &LogId, partition: u32) -> Vec<Quarantined> {
        store.quarantine(log, partition).await.unwrap()
    }
}

struct ArchiveFolder(Folder);

#[async_trait]
impl ArchiveFixture for ArchiveFolder {
    type Store = SqliteArchive;
    fn new() -> Self {
        Self(Folder(tempfile::tempdir().unwrap()))
    }
    async fn open(&self) -> SqliteArchive {
        SqliteArchive::open(&self.0.path()).await.unwrap()
    }
}

mod results {
    results_suite!(super::Folder);
}
mod archive {
    archive_suite!(super::ArchiveFolder);
}

async fn raw(path: &Path) -> sqlx::SqliteConnection {
    SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5)).connect().await.unwrap()
}

async fn execute(path: &Path, sql: &'static str) {
    let mut c = raw(path).await;
    sqlx::query(sql).execute(&mut c).await.unwrap();
    c.close().await.unwrap();
}

async fn filled() -> (Folder, SqliteResults) {
    let folder: Folder = ResultsFixture::new();
    let store = ResultsFixture::open(&folder).await;
    let lease = store.acquire(&log(), 3).await.unwrap();
    store.commit(&lease, &step_of_revision(&session(tenant("a"), 1), 1)).await.unwrap();
    (folder, store)
}

#[tokio::test]
async fn a_newer_schema_is_refused_plainly() {
    let (folder, store) = filled().await;
    store.close().await;
    execute(&folder.path(), "UPDATE _sqlx_migrations SET version = 999 WHERE version = (SELECT MAX(version) FROM _sqlx_migrations)").await;
    let e = SqliteResults::open(&folder.path()).await.err().unwrap();
    assert!(matches!(&e, StoreError::Unreadable(_)) && e.to_string().contains("999") && e.to_string().contains("store.db"), "{e}");
    assert!(!e.is_retryable());
}

#[tokio::test]
async fn a_newer_body_is_unreadable_and_a_new_field_is_not() {
    let (folder, store) = filled().await;
    let home = session(tenant("a"), 1);
    execute(&folder.path(), r#"UPDATE laps SET body = '{"colour":"blue",' || substr(body, 2)"#).await;
    assert_eq!(store.laps(&home.tenant, &home.id, &Default::default(), None, 10).await.unwrap().len(), 5);
    execute(&folder.path(), "UPDATE laps SET body = '{}'").await;
    assert!(matches!(store.laps(&home.tenant, &home.id, &Default::default(), None, 10).await, Err(StoreError::Unreadable(_))));
}

#[tokio::test]
async fn what_is_no_database_is_refused_plainly() {
    let folder: Folder = ResultsFixture::new();
    std::fs::write(folder.path(), "a shopping list that is long enough to be a header of something, but of what?".repeat(20)).unwrap();
    let e = SqliteResults::open(&folder.path()).await.err().unwrap();
    assert!(matches!(&e, StoreError::Unreadable(_)) && e.to_string().contains("store.db"), "{e}");
    let e = SqliteArchive::open(&folder.0.path().join("no/such/folder.db")).await.err().unwrap();
    assert!(e.is_retryable() && e.to_string().contains("folder.db"), "{e}");
}

/// Pages damaged in the middle of a file: a call that meets one fails, and from then on so does a ping.
#[tokio::test]
async fn damaged_pages_show_in_the_ping() {
    let (folder, store) = filled().await;
    let home = session(tenant("a"), 1);
    let lease = store.acquire(&log(), 3).await.unwrap();
    let laps = (1..3_000).map(|n| lap(home.id, entry(1), n, 1)).collect();
    store.commit(&lease, &Step { laps, ..empty_step(2) }).await.unwrap();
    store.close().await;
    let mut bytes = std::fs::read(folder.path()).unwrap();
    let from = bytes.len() / 2;
    bytes[from..].fill(0xa5);
    std::fs::write(folder.path(), bytes).unwrap();
    let store = ResultsFixture::open(&folder).await;
    store.ping().await.unwrap();
    let met = store.laps(&home.tenant, &home.id, &Default::default(), None, 10_000).await;
    assert!(matches!(met, Err(StoreError::Unreadable(_))), "{met:?}");
    for _ in 0..2 {
        assert!(matches!(store.ping().await, Err(StoreError::Unreadable(_))));
    }
}

/// Another process holds the write lock: the commit waits, then says so, and works again once the lock is gone.
#[tokio::test]
async fn a_locked_file_is_unavailable_for_as_long_as_it_is_locked() {
    let (folder, store) = filled().await;
    let lease = store.acquire(&log(), 3).await.unwrap();
    let mut other = raw(&folder.path()).await;
    sqlx::query("BEGIN IMMEDIATE").execute(&mut other).await.unwrap();
    let home = session(tenant("a"), 1);
    let refused = store.commit(&lease, &step_of_revision(&home, 2)).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    assert_eq!(store.laps(&home.tenant, &home.id, &Default::default(), None, 10).await.unwrap()[0].revision, 1, "readers are not locked out");
    sqlx::query("ROLLBACK").execute(&mut other).await.unwrap();
    store.commit(&lease, &step_of_revision(&home, 2)).await.unwrap();
    assert_eq!(store.laps(&home.tenant, &home.id, &Default::default(), None, 10).await.unwrap()[0].revision, 2);
}

/// A disk that is full, as SQLite sees it: a file that may not grow.
#[tokio::test]
async fn a_full_disk_is_unavailable_and_loses_nothing() {
    let (folder, store) = filled().await;
    store.close().await;
    let options = SqliteConnectOptions::new().filename(folder.path()).pragma("max_page_count", "60");
    let writer = Writer::open(options, &sqlx::migrate!("migrations/sqlite/results")).await.unwrap();
    let grow = "INSERT INTO quarantine SELECT log, part, 7, 'x', zeroblob(1000000) FROM partitions";
    let work = writer.transaction(move |c| Box::pin(async move { sqlx::query(grow).execute(c).await.map(drop).map_err(error::from_sqlx) }));
    let e = work.await.unwrap_err();
    assert!(e.is_retryable() && e.to_string().contains("full"), "{e}");
    writer.close().await;
    let store = ResultsFixture::open(&folder).await;
    let home = session(tenant("a"), 1);
    assert_eq!(store.laps(&home.tenant, &home.id, &Default::default(), None, 10).await.unwrap().len(), 5);
    assert!(store.quarantine(&log(), 3).await.unwrap().is_empty());
}

/// A panic in a transaction is an error of that transaction only.
#[tokio::test]
async fn a_panic_in_a_transaction_leaves_no_lock() {
    let (_folder, store) = filled().await;
    let panicked = store.file.writer.transaction(|_| -> SqlFuture<'_, ()> { Box::pin(async { panic!("on purpose") }) }).await;
    assert!(panicked.unwrap_err().is_retryable());
    let lease = store.acquire(&log(), 3).await.unwrap();
    store.commit(&lease, &step_of_revision(&session(tenant("a"), 1), 2)).await.unwrap();
}

/// The process ends during a transaction: its connection closes, and the file is as before or after.
#[test]
fn a_runtime_that_ends_in_mid_commit_leaves_no_half_step() {
    let folder: Folder = ResultsFixture::new();
    let home = session(tenant("a"), 1);
    let mut at = 0;
    for round in 0..60 {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let now = runtime.block_on(async {
            let store = SqliteResults::open(&folder.path()).await.unwrap();
            let lease = store.acquire(&log(), 3).await.unwrap();
            let state = store.load(&lease).await.unwrap();
            let now = state.checkpoint.map_or(0, |c| c.offset as u32);
            if now > 0 {
                let whole = step_of_revision(&home, now);
                assert_eq!((state.streams, state.facts, state.laps), (whole.streams, whole.facts, whole.laps));
            }
            tokio::spawn({
                let home = home.clone();
                async move {
                    for revision in now + 1.. {
                        if store.commit(&lease, &step_of_revision(&home, revision)).await.is_err() {
                            return;
                        }
                    }
                }
            });
            tokio::time::sleep(Duration::from_millis(round % 7)).await;
            now
        });
        runtime.shutdown_background();
        assert!(now >= at, "a committed step is gone");
        at = now;
    }
    assert!(at > 0, "nothing was committed: this test tested nothing");
}

/// Makes the files that the test below reads.
#[tokio::test]
#[ignore = "writes tests/golden: only while version 1 is not released"]
async fn write_the_golden_files() {
    let folder = tempfile::tempdir().unwrap();
    let (step, block) = golden();
    let results = SqliteResults::open(&folder.path().join("results_v1.db")).await.unwrap();
    let lease = results.acquire(&log(), 3).await.unwrap();
    results.commit(&lease, &step).await.unwrap();
    results.close().await;
    let archive = SqliteArchive::open(&folder.path().join("archive_v1.db")).await.unwrap();
    archive.append(&lease, &block).await.unwrap();
    archive.close().await;
    for name in ["results_v1.db", "archive_v1.db"] {
        let golden = std::fs::File::create(format!("{}/tests/golden/{name}.gz", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let mut packed = flate2::write::GzEncoder::new(golden, flate2::Compression::best());
        std::io::copy(&mut std::fs::File::open(folder.path().join(name)).unwrap(), &mut packed).unwrap();
        packed.finish().unwrap();
    }
}

/// F8: files as version 1 of the schema wrote them. They hold `step_of_revision(…, 9)` with a description and one of each
/// other row, and 700 frames; made once, by the code of that version.
#[tokio::test]
async fn files_of_version_1_are_readable() {
    let folder = tempfile::tempdir().unwrap();
    for (name, golden) in [
        ("results.db", &include_bytes!("../../tests/golden/results_v1.db.gz")[..]),
        ("archive.db", include_bytes!("../../tests/golden/archive_v1.db.gz")),
    ] {
        let mut file = std::fs::File::create(folder.path().join(name)).unwrap();
        std::io::copy(&mut flate2::read::GzDecoder::new(golden), &mut file).unwrap();
    }
    let (step, block) = golden();
    let results = SqliteResults::open(&folder.path().join("results.db")).await.unwrap();
    let taken = results.acquire(&log(), 3).await.unwrap();
    assert_eq!(taken.epoch, 2);
    let state = results.load(&taken).await.unwrap();
    assert_eq!((state.checkpoint, &state.sessions, &state.streams), (Some(step.checkpoint), &step.sessions, &step.streams));
    assert_eq!((&state.facts, &state.laps), (&step.facts, &step.laps));
    // Rows of other kinds than laps were tables then: their text is another, what they say is the same.
    let heads = |rows: &[AnyRow]| rows.iter().map(|row| (row.kind, row.head)).collect::<Vec<_>>();
    assert_eq!(heads(&state.rows), heads(&step.rows));
    assert_eq!(AnyRow::read_all::<IncidentStep>(&state.rows), AnyRow::read_all(&step.rows));
    assert_eq!(AnyRow::read_all::<PitVisit>(&state.rows), AnyRow::read_all(&step.rows));
    assert_eq!(AnyRow::read_all::<FlagChange>(&state.rows), AnyRow::read_all(&step.rows));
    assert_eq!(results.quarantine(&log(), 3).await.unwrap(), step.quarantine);

    let archive = SqliteArchive::open(&folder.path().join("archive.db")).await.unwrap();
    let stream = block.runs[0].stream;
    assert_eq!(
        archive.load(&lease()).await.unwrap(),
        ArchiveState { checkpoint: Some(block.checkpoint), cursors: block.cursors, ..ArchiveState::default() }
    );
    let span = Span { driver: stream.driver, run: stream.run, first_seq: 0, next_seq: 9_999 };
    assert_eq!(archive.frames(&stream.tenant, &stream.session, &span, 9_999).await.unwrap().as_ref(), block.runs.first());
}

/// F8: random rows, as version 1 of the schema keeps them.
#[tokio::test]
async fn rows_of_version_1_are_migrated() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let folder: Folder = ResultsFixture::new();
    let before = Before::random(&mut fastrand::Rng::with_seed(seed));
    let of_then = sqlx::migrate!("migrations/sqlite/results").iter().filter(|m| m.version == 1).cloned().collect();
    let mut c = SqliteConnectOptions::new().filename(folder.path()).create_if_missing(true).connect().await.unwrap();
    Migrator::with_migrations(of_then).run_direct(None, &mut c, false).await.unwrap();
    before.put(&mut c).await;
    c.close().await.unwrap();
    let store = ResultsFixture::open(&folder).await;
    before.check_views(&mut raw(&folder.path()).await).await;
    before.check(&store).await;
}

fn golden() -> (Step, ArchiveBlock) {
    let meta = SessionMeta {
        track_id: 12,
        track_name: "Phillip Island Circuit".into(),
        track_length_m: 4_406.9,
        sector_starts: vec![0.0, 0.371_176, 0.628_746],
        pit_limit_mps: 16.67,
        entries: vec![MetaEntry { slot: 7, user_id: u64::MAX, driver_name: "Zoë".into(), ..MetaEntry::default() }],
        ..SessionMeta::default()
    };
    let home = SessionInfo { meta: Some(meta), meta_from: Some((driver(1), run(1), 4)), ..session(tenant("a"), 1) };
    let quarantine = vec![Quarantined { offset: 8, reason: "crc".into(), record: vec![1, 2, 3].into() }];
    let rows = [rows(&[flag(home.id, 1, 30)]), rows(&[incident(home.id, 1, 30)]), rows(&[visit(home.id, 1, 30)])].concat();
    let step = Step { rows, quarantine, ..step_of_revision(&home, 9) };
    let run = FrameRun::new(stream(&home, 1), 5, frames(5, 700)).unwrap();
    (
        step,
        ArchiveBlock {
            checkpoint: checkpoint(9),
            received_at_us: 7,
            appended_at_us: 7,
            cursors: vec![(run.stream, 705)],
            runs: vec![run],
            records: vec![],
        },
    )
}

/// However many laps there are, a query begins at its first row: no table is scanned, and no page sorted.
#[tokio::test]
async fn questions_about_laps_scan_nothing() {
    let (_folder, store) = filled().await;
    let (me, home) = (tenant("a"), session(tenant("a"), 1).id);
    let plan = async |sql: String| -> Vec<String> {
        let rows = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"))).fetch_all(&store.file.readers).await.unwrap();
        rows.iter().map(|row| sqlx::Row::get(row, "detail")).collect()
    };
    let filters = [
        (LapFilter::default(), None),
        (LapFilter::default(), Some((entry(2), 7))),
        (LapFilter { valid: Some(true), driver: Some(driver(1)), ..Default::default() }, Some((entry(2), 7))),
        (LapFilter { entry: Some(entry(2)), from_number: Some(3), to_number: Some(9), ..Default::default() }, Some((entry(2), 7))),
    ];
    for (filter, after) in filters {
        let sql = crate::sql::read::laps_query(&me, &home, &filter, after.as_ref(), 100).unwrap().0;
        let plan = plan(sql).await.join("\n");
        println!("{plan}\n");
        assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{filter:?} after {after:?}:\n{plan}");
    }
    for (sql, index) in [
        (super::moments::LAPS_AT, "laps_begun (session=? AND entry=? AND start_us<?)"),
        (super::moments::BEST_LAPS, "laps_best (session=? AND entry=?)"),
    ] {
        let plan = plan(sql.to_owned()).await;
        println!("{}\n", plan.join("\n"));
        assert!(plan.iter().any(|line| line.contains(index)), "{plan:#?}");
        let scanned: Vec<_> = plan.iter().filter(|line| line.contains("SCAN")).collect();
        assert!(scanned.iter().all(|line| ["SCAN e", "SCAN CONSTANT ROW"].contains(&line.as_str())), "{plan:#?}");
    }
}

/// A span is read in the order of the index: whole sessions are not sorted, and a reader may stop early.
#[tokio::test]
async fn a_span_is_read_without_sorting() {
    let folder: ArchiveFolder = ArchiveFixture::new();
    let store = ArchiveFixture::open(&folder).await;
    let plan = sqlx::query(sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {}", super::archive::FRAMES)));
    let plan: Vec<String> = plan.fetch_all(&store.file.readers).await.unwrap().iter().map(|row| sqlx::Row::get(row, "detail")).collect();
    println!("{}", plan.join("\n"));
    assert!(plan.iter().all(|line| !line.contains("SCAN") && !line.contains("TEMP B-TREE")), "{plan:#?}");
}

/// A second a block, as the pump brings them: rows stay few, frames are read all along, and most are in full chunks.
#[tokio::test]
async fn tails_are_folded_into_chunks() {
    let folder: ArchiveFolder = ArchiveFixture::new();
    let store = ArchiveFixture::open(&folder).await;
    let home = session(tenant("a"), 1);
    let rows = async |sql: &'static str| sqlx::query_scalar::<_, i64>(sql).fetch_one(&store.file.readers).await.unwrap();
    for second in 0..95u64 {
        let runs: Vec<FrameRun> = (0..5).map(|n| FrameRun::new(stream(&home, n), second * 60, frames(second * 60, 60)).unwrap()).collect();
        let cursors = runs.iter().map(|r| (r.stream, r.next_seq())).collect();
        store
            .append(
                &lease(),
                &ArchiveBlock {
                    checkpoint: checkpoint(second),
                    received_at_us: second as i64 * 1_000_000,
                    appended_at_us: 0,
                    cursors,
                    runs,
                    records: vec![],
                },
            )
            .await
            .unwrap();
        assert!(rows("SELECT COUNT(*) FROM tails").await <= 5 * 10);
        assert_eq!(rows("SELECT COUNT(*) FROM chunks WHERE frames <> 600").await, 0);
    }
    assert_eq!((rows("SELECT COUNT(*) FROM chunks").await, rows("SELECT COUNT(*) FROM tails").await), (5 * 9, 5 * 5));
    // Another stream goes on; those that have ended leave no small rows behind.
    let key = stream(&home, 9);
    for second in 95..170u64 {
        let run = FrameRun::new(key, second, frames(second, 1)).unwrap();
        let block = ArchiveBlock {
            checkpoint: checkpoint(second),
            received_at_us: second as i64 * 1_000_000,
            appended_at_us: 0,
            cursors: vec![(key, second + 1)],
            runs: vec![run],
            records: vec![],
        };
        store.append(&lease(), &block).await.unwrap();
    }
    assert_eq!(rows("SELECT COUNT(*) FROM tails WHERE driver <> 'driver-9'").await, 0);
    assert_eq!(rows("SELECT COUNT(*) FROM chunks WHERE driver <> 'driver-9'").await, 5 * 10);
    assert_eq!(store.count(&home.tenant, &home.id, None).await.unwrap(), 5 * 95 * 60 + 75);
}

/// What retention frees is used again: a file that is filled and emptied repeatedly stops growing.
#[tokio::test]
async fn the_file_stays_within_what_retention_allows() {
    const MAX: u64 = 3 << 20;
    let folder: ArchiveFolder = ArchiveFixture::new();
    let store = ArchiveFixture::open(&folder).await;
    let key = stream(&session(tenant("a"), 1), 1);
    let mut rng = fastrand::Rng::with_seed(11);
    let (mut largest, mut removed, mut written) = (0, 0, 0);
    for n in 0..300u64 {
        // Bytes that cannot be packed.
        let bytes: bytes::Bytes = (0..600 * boxbox_schemas::frame::CAR_FRAME_BYTES).map(|_| rng.u8(..)).collect();
        written += bytes.len() as u64;
        let run = FrameRun::new(key, n * 600, bytes).unwrap();
        store
            .append(
                &lease(),
                &ArchiveBlock {
                    checkpoint: checkpoint(n),
                    received_at_us: n as i64,
                    appended_at_us: 0,
                    cursors: vec![(key, run.next_seq())],
                    runs: vec![run],
                    records: vec![],
                },
            )
            .await
            .unwrap();
        let taken = store.retain(&crate::Retention { max_bytes: Some(MAX), ..Default::default() }).await.unwrap();
        removed += taken.frames;
        largest = largest.max(std::fs::metadata(folder.0.path()).unwrap().len());
    }
    let kept = store.count(&key.tenant, &key.session, None).await.unwrap();
    assert_eq!(kept + removed, 300 * 600);
    assert!(kept > 10 * 600, "it removed more than it had to: {kept} frames are left");
    assert!(written > 10 * MAX && largest < MAX + MAX / 4, "{written} bytes written, the file had up to {largest}");
    let span = Span { driver: key.driver, run: key.run, first_seq: 0, next_seq: u64::MAX };
    let left = store.frames(&key.tenant, &key.session, &span, u32::MAX).await.unwrap().unwrap();
    assert_eq!((left.first_seq(), left.count()), (removed, kept), "the oldest are gone");
}

/// A reader that stops in the middle of its rows releases its snapshot; otherwise the write-ahead log grows for ever.
#[tokio::test]
async fn readers_that_stop_early_hold_nothing() {
    let folder: ArchiveFolder = ArchiveFixture::new();
    let store = ArchiveFixture::open(&folder).await;
    let (_, block) = golden();
    let key = block.runs[0].stream;
    for n in 0..20u64 {
        let run = FrameRun::new(key, n * 600, frames(n * 600, 600)).unwrap();
        store
            .append(
                &lease(),
                &ArchiveBlock {
                    checkpoint: checkpoint(n),
                    received_at_us: 0,
                    appended_at_us: 0,
                    cursors: vec![(key, run.next_seq())],
                    runs: vec![run],
                    records: vec![],
                },
            )
            .await
            .unwrap();
    }
    let span = Span { driver: key.driver, run: key.run, first_seq: 0, next_seq: u64::MAX };
    for turns in 0..50 {
        assert_eq!(store.frames(&key.tenant, &key.session, &span, 1).await.unwrap().unwrap().count(), 1);
        crate::suite::drop_after(store.frames(&key.tenant, &key.session, &span, u32::MAX), turns).await;
    }
    // Dropped queries end on their own threads; give them a moment.
    let mut c = raw(&folder.0.path()).await;
    until_some("no reader holds a snapshot", async || {
        let (busy, ..) = sqlx::query_as::<_, (i64, i64, i64)>("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut c).await.unwrap();
        (busy == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_settings_that_durability_rests_on_hold() {
    let (_folder, store) = filled().await;
    let one = |sql: &'static str| {
        store
            .file
            .writer
            .transaction(move |c| Box::pin(async move { sqlx::query_scalar::<_, i64>(sql).fetch_one(c).await.map_err(error::from_sqlx) }))
    };
    assert_eq!(one("PRAGMA synchronous").await.unwrap(), 2, "FULL");
    assert_eq!(one("PRAGMA foreign_keys").await.unwrap(), 1);
    let journal = sqlx::query_scalar::<_, String>("PRAGMA journal_mode").fetch_one(&store.file.readers).await.unwrap();
    assert_eq!(journal, "wal");
    assert!(sqlx::query("DELETE FROM laps").execute(&store.file.readers).await.is_err(), "readers cannot write");
}
