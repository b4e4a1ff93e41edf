//! [`SqliteArchive`].

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use boxbox_schemas::results::{Checkpoint, Span};
use boxbox_schemas::{DriverId, LogId, SessionId, StreamKey, TenantId};
use futures::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnection, SqliteSynchronous};

use super::chunks;
use super::error::from_sqlx;
use super::file::File;
use super::records;
use super::streams::{clamped, stream, stream_values};
use crate::pack::unpack;
use crate::rules::{check_block, check_same_record};
use crate::sql::rows::signed;
use crate::sql::{Found, number, select, write};
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, Pace, Readers, Removed, Retention, StoreError, run};

/// ?1 to ?4 the stream, ?5 and ?6 the span. One statement reads both tables, so that frames that are being folded are found in one of
/// them. Rows of a table do not overlap, so the first row needed is the last that begins at or before the span.
pub(super) const FRAMES: &str = "\
    SELECT first_seq, frames, packed FROM chunks WHERE tenant = ?1 AND session = ?2 AND driver = ?3 AND run = ?4 AND first_seq < ?6 AND first_seq >= \
    COALESCE((SELECT MAX(first_seq) FROM chunks WHERE tenant = ?1 AND session = ?2 AND driver = ?3 AND run = ?4 AND first_seq <= ?5), 0) \
    UNION ALL \
    SELECT first_seq, frames, packed FROM tails WHERE tenant = ?1 AND session = ?2 AND driver = ?3 AND run = ?4 AND first_seq < ?6 AND next_seq > ?5 \
    ORDER BY first_seq";

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite/archive");

/// [`Archive`] in one SQLite file.
pub struct SqliteArchive {
    pub(super) file: File,
}

impl SqliteArchive {
    /// Open the file at `path`, or create it.
    ///
    /// A power cut may undo the last blocks with their checkpoint (`synchronous = NORMAL` in WAL mode); they are then
    /// read from the log again. So a block costs no sync, and no frame is lost.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: File::open(path, SqliteSynchronous::Normal, &MIGRATIONS).await? })
    }

    /// Wait for running writes, then close the file.
    pub async fn close(&self) {
        self.file.close().await;
    }

    async fn read(&self, stream: StreamKey, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError> {
        let query = sqlx::query(FRAMES).bind(stream.tenant.as_str()).bind(&stream.session.0[..]);
        let query = query.bind(stream.driver.as_str()).bind(&stream.run.0[..]).bind(clamped(span.first_seq)).bind(clamped(span.next_seq));
        let mut rows = query.fetch(&self.file.readers);
        let (mut found, mut left) = (vec![], u64::from(limit));
        while left > 0
            && let Some(row) = rows.try_next().await.map_err(from_sqlx)?
        {
            let run = unpack(stream, number(&row, "first_seq")?, number(&row, "frames")?, row.bytes("packed")?)?;
            if let Some(run) = run.within(span.first_seq, span.next_seq)? {
                left = left.saturating_sub(run.count());
                found.push(run);
            }
        }
        run::join(found, limit.into())
    }
}

#[async_trait]
impl Archive for SqliteArchive {
    fn pace(&self) -> Pace {
        Pace::EMBEDDED
    }

    fn readers(&self) -> Option<Readers> {
        Some(self.file.readers())
    }

    async fn load(&self, lease: &Lease) -> Result<ArchiveState, StoreError> {
        // On the writer, so that a write which an earlier caller no longer waits for is seen.
        let (log, partition) = (lease.log.clone(), lease.partition);
        self.file.write(move |c| Box::pin(load(c, log, partition))).await
    }

    async fn append(&self, _: &Lease, block: &ArchiveBlock) -> Result<(), StoreError> {
        check_block(block)?;
        let block = block.clone();
        self.file.write(move |c| Box::pin(append(c, block))).await
    }

    async fn retain(&self, retention: &Retention) -> Result<Removed, StoreError> {
        let retention = *retention;
        self.file.write(move |c| Box::pin(chunks::retain(c, retention))).await
    }

    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError> {
        let stream = StreamKey { tenant: *tenant, session: *session, driver: span.driver, run: span.run };
        self.file.noted(self.read(stream, span, limit).await)
    }

    async fn records(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError> {
        let stream = StreamKey { tenant: *tenant, session: *session, driver: span.driver, run: span.run };
        self.file.noted(records::read(&self.file.readers, stream, span, limit).await)
    }

    async fn streams(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<StreamKey>, StoreError> {
        let query = sqlx::query("SELECT tenant, session, driver, run FROM streams WHERE tenant = ? AND session = ? ORDER BY driver, run");
        let rows = query.bind(tenant.as_str()).bind(&session.0[..]).fetch_all(&self.file.readers).await.map_err(from_sqlx);
        self.file.noted(rows.and_then(|rows| rows.iter().map(|row| stream(row)).collect()))
    }

    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "SELECT COALESCE(SUM(frames), 0) AS frames FROM ( \
             SELECT frames FROM chunks WHERE tenant = ?1 AND session = ?2 AND (?3 IS NULL OR driver = ?3) \
             UNION ALL SELECT frames FROM tails WHERE tenant = ?1 AND session = ?2 AND (?3 IS NULL OR driver = ?3)) AS kept",
        );
        let query = query.bind(tenant.as_str()).bind(&session.0[..]).bind(driver.map(DriverId::as_str));
        let counted = query.fetch_one(&self.file.readers).await.map_err(from_sqlx).and_then(|row| number(&row, "frames"));
        self.file.noted(counted)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.file.ping().await
    }
}

async fn load(c: &mut SqliteConnection, log: LogId, partition: u32) -> Result<ArchiveState, StoreError> {
    let checkpoint = checkpoint(c, &log, partition).await?;
    let query =
        sqlx::query("SELECT tenant, session, driver, run, next_seq FROM streams WHERE log = ? AND part = ? ORDER BY tenant, session, driver, run");
    let rows = query.bind(log.0.as_str()).bind(partition).fetch_all(c).await.map_err(from_sqlx)?;
    Ok(ArchiveState { checkpoint, cursors: rows.iter().map(|row| cursor(row)).collect::<Result<_, _>>()?, ..ArchiveState::default() })
}

async fn checkpoint(c: &mut SqliteConnection, log: &LogId, partition: u32) -> Result<Option<Checkpoint>, StoreError> {
    let query = sqlx::query("SELECT log_offset, crc FROM partitions WHERE log = ? AND part = ?").bind(log.0.as_str()).bind(partition);
    let row = query.fetch_optional(c).await.map_err(from_sqlx)?;
    row.map(|row| Ok(Checkpoint { log: log.clone(), partition, offset: number(&row, "log_offset")?, crc: number(&row, "crc")? })).transpose()
}

async fn append(c: &mut SqliteConnection, block: ArchiveBlock) -> Result<(), StoreError> {
    let ArchiveBlock { checkpoint: new, received_at_us, cursors, mut runs, records, .. } = block;
    let old = checkpoint(c, &new.log, new.partition).await?;
    if let Some(old) = &old {
        check_same_record(old, &new)?;
    }
    let kept_below = stored_cursors(c, &cursors).await?;
    runs.sort_by_key(|run| (run.stream, run.first_seq()));
    let mut fresh: BTreeMap<StreamKey, Vec<FrameRun>> = BTreeMap::new();
    for run in runs {
        if let Some(run) = run.within(kept_below.get(&run.stream).copied().unwrap_or(0), u64::MAX)? {
            fresh.entry(run.stream).or_default().push(run);
        }
    }
    chunks::put(c, fresh, received_at_us).await?;
    let fresh = records.into_iter().map(|mut of| {
        of.records.retain(|record| record.first_seq >= kept_below.get(&of.stream).copied().unwrap_or(0));
        (of.stream, of.records)
    });
    records::put(c, fresh.collect(), received_at_us).await?;
    put_cursors(c, &new, &cursors).await?;
    if old.is_some_and(|old| old.offset >= new.offset) {
        return Ok(());
    }
    let query = sqlx::query(
        "INSERT INTO partitions (log, part, log_offset, crc) VALUES (?, ?, ?, ?) \
         ON CONFLICT (log, part) DO UPDATE SET log_offset = excluded.log_offset, crc = excluded.crc",
    );
    let query = query.bind(new.log.0.as_str()).bind(new.partition).bind(signed(new.offset)?).bind(new.crc);
    query.execute(c).await.map(drop).map_err(from_sqlx)
}

async fn stored_cursors(c: &mut SqliteConnection, of: &[(StreamKey, u64)]) -> Result<BTreeMap<StreamKey, u64>, StoreError> {
    let mut stored = BTreeMap::new();
    let head = "SELECT tenant, session, driver, run, next_seq FROM streams WHERE (tenant, session, driver, run) IN (";
    select(c, head, of, |(stream, _)| stream_values(stream), ")", &mut |row| {
        stored.extend([cursor(row)?]);
        Ok(())
    })
    .await?;
    Ok(stored)
}

async fn put_cursors(c: &mut SqliteConnection, checkpoint: &Checkpoint, cursors: &[(StreamKey, u64)]) -> Result<(), StoreError> {
    let newest = cursors.iter().fold(BTreeMap::new(), |mut all, (stream, next)| {
        let known = all.entry(*stream).or_insert(0u64);
        *known = (*known).max(*next);
        all
    });
    let head = "INSERT INTO streams (tenant, session, driver, run, log, part, next_seq) ";
    let tail = " ON CONFLICT (tenant, session, driver, run) DO UPDATE SET log = excluded.log, part = excluded.part, \
                next_seq = CASE WHEN excluded.next_seq > streams.next_seq THEN excluded.next_seq ELSE streams.next_seq END";
    let newest: Vec<(StreamKey, u64)> = newest.into_iter().collect();
    write(
        c,
        head,
        &newest,
        |(s, next)| values![&s.tenant, &s.session, &s.driver, &s.run, &checkpoint.log.0, checkpoint.partition, clamped(*next)],
        tail,
    )
    .await
}

fn cursor(row: &dyn Found) -> Result<(StreamKey, u64), StoreError> {
    Ok((stream(row)?, number(row, "next_seq")?))
}
