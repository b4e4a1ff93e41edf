//! [`SqliteArchive`].

use std::collections::BTreeMap;
use std::path::Path;

use async_trait::async_trait;
use boxbox_schemas::results::{Checkpoint, Span};
use boxbox_schemas::{DriverId, LogId, RunId, SessionId, StreamKey, TenantId};
use futures::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnection, SqliteRow, SqliteSynchronous};

use super::error::from_sqlx;
use super::rows::{column, id, number, short_id};
use super::upsert::{Bind, select, write};
use super::{File, signed};
use crate::pack::{CHUNK_MAX_FRAMES, pack, unpack};
use crate::rules::{check_block, check_same_record};
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, StoreError, run};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite/archive");

/// [`Archive`] in one SQLite file.
pub struct SqliteArchive {
    pub(super) file: File,
}

impl SqliteArchive {
    /// Open the file at `path`, or make it.
    ///
    /// A power cut may undo the last blocks, checkpoint and all (`synchronous = NORMAL` in WAL mode); they are then
    /// taken from the log again. So a block costs no sync, and nothing is lost.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: File::open(path, SqliteSynchronous::Normal, &MIGRATIONS).await? })
    }

    /// Wait for what is being written, then close the file.
    pub async fn close(&self) {
        self.file.close().await;
    }
}

#[async_trait]
impl Archive for SqliteArchive {
    async fn load(&self, log: &LogId, partition: u32) -> Result<ArchiveState, StoreError> {
        // On the writer, so that what a caller before left being written is seen.
        let log = log.clone();
        self.file.writer.transaction(move |c| Box::pin(load(c, log, partition))).await
    }

    async fn append(&self, block: &ArchiveBlock) -> Result<(), StoreError> {
        check_block(block)?;
        let (checkpoint, cursors, runs) = (block.checkpoint.clone(), block.cursors.clone(), block.runs.clone());
        let chunks = tokio::task::spawn_blocking(move || chunks_of(runs)).await.map_err(|e| StoreError::Refused(e.to_string()))??;
        self.file.writer.transaction(move |c| Box::pin(append(c, checkpoint, cursors, chunks))).await
    }

    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Vec<FrameRun>, StoreError> {
        let stream = StreamKey { tenant: *tenant, session: *session, driver: span.driver, run: span.run };
        // Chunks do not overlap, so the first one wanted is the last that begins at or before the span.
        let query = sqlx::query(
            "SELECT first_seq, next_seq, packed FROM chunks WHERE tenant = ?1 AND session = ?2 AND driver = ?3 AND run = ?4 AND first_seq < ?6 AND first_seq >= \
             COALESCE((SELECT MAX(first_seq) FROM chunks WHERE tenant = ?1 AND session = ?2 AND driver = ?3 AND run = ?4 AND first_seq <= ?5), 0) \
             ORDER BY first_seq",
        );
        let query = query.bind(tenant.as_str()).bind(&session.0[..]).bind(span.driver.as_str()).bind(&span.run.0[..]);
        let mut rows = query.bind(clamped(span.first_seq)).bind(clamped(span.next_seq)).fetch(&self.file.readers);
        let (mut found, mut left) = (vec![], u64::from(limit));
        while left > 0
            && let Some(row) = rows.try_next().await.map_err(from_sqlx)?
        {
            let (first, next): (u64, u64) = (number(&row, "first_seq")?, number(&row, "next_seq")?);
            let frames = unpack(column(&row, "packed")?, next.saturating_sub(first))?;
            if let Some(run) = FrameRun::new(stream, first, frames)?.within(span.first_seq, span.next_seq)? {
                left = left.saturating_sub(run.count());
                found.push(run);
            }
        }
        run::join(found, limit)
    }

    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError> {
        let query = sqlx::query(
            "SELECT COALESCE(SUM(next_seq - first_seq), 0) AS frames FROM chunks WHERE tenant = ? AND session = ? AND (? IS NULL OR driver = ?)",
        );
        let driver = driver.map(DriverId::as_str);
        let query = query.bind(tenant.as_str()).bind(&session.0[..]).bind(driver).bind(driver);
        number(&query.fetch_one(&self.file.readers).await.map_err(from_sqlx)?, "frames")
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.file.ping().await
    }
}

/// Some frames of one stream, and the same packed.
struct Chunk {
    run: FrameRun,
    packed: Vec<u8>,
}

/// Cut runs into chunks and pack them, in order of sequence: work for a thread of its own, before the file is locked.
fn chunks_of(mut runs: Vec<FrameRun>) -> Result<Vec<Chunk>, StoreError> {
    runs.sort_by_key(|run| (run.stream, run.first_seq));
    let mut chunks = vec![];
    for run in runs {
        let mut from = run.first_seq;
        while let Some(part) = run.within(from, from + CHUNK_MAX_FRAMES)? {
            from = part.next_seq();
            chunks.push(Chunk { packed: pack(&part.frames)?, run: part });
        }
    }
    Ok(chunks)
}

async fn load(c: &mut SqliteConnection, log: LogId, partition: u32) -> Result<ArchiveState, StoreError> {
    let checkpoint = checkpoint(c, &log, partition).await?;
    let query =
        sqlx::query("SELECT tenant, session, driver, run, next_seq FROM streams WHERE log = ? AND part = ? ORDER BY tenant, session, driver, run");
    let rows = query.bind(log.0.as_str()).bind(partition).fetch_all(c).await.map_err(from_sqlx)?;
    Ok(ArchiveState { checkpoint, cursors: rows.iter().map(cursor).collect::<Result<_, _>>()? })
}

async fn checkpoint(c: &mut SqliteConnection, log: &LogId, partition: u32) -> Result<Option<Checkpoint>, StoreError> {
    let query = sqlx::query("SELECT log_offset, crc FROM partitions WHERE log = ? AND part = ?").bind(log.0.as_str()).bind(partition);
    let row = query.fetch_optional(c).await.map_err(from_sqlx)?;
    row.map(|row| Ok(Checkpoint { log: log.clone(), partition, offset: number(&row, "log_offset")?, crc: number(&row, "crc")? })).transpose()
}

async fn append(c: &mut SqliteConnection, new: Checkpoint, cursors: Vec<(StreamKey, u64)>, chunks: Vec<Chunk>) -> Result<(), StoreError> {
    let old = checkpoint(c, &new.log, new.partition).await?;
    if let Some(old) = &old {
        check_same_record(old, &new)?;
    }
    let mut kept_below = stored_cursors(c, &cursors).await?;
    let mut fresh = Vec::with_capacity(chunks.len());
    for chunk in chunks {
        let kept_below = kept_below.entry(chunk.run.stream).or_default();
        if let Some(chunk) = above(chunk, *kept_below)? {
            *kept_below = chunk.run.next_seq();
            fresh.push(chunk);
        }
    }
    put_chunks(c, &fresh).await?;
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

/// What of a chunk is not kept yet. A part must be packed again; it happens only when two owners overlap.
fn above(chunk: Chunk, kept_below: u64) -> Result<Option<Chunk>, StoreError> {
    if chunk.run.first_seq >= kept_below {
        return Ok(Some(chunk));
    }
    let rest = chunk.run.within(kept_below, u64::MAX)?;
    rest.map(|run| Ok(Chunk { packed: pack(&run.frames)?, run })).transpose()
}

async fn stored_cursors(c: &mut SqliteConnection, of: &[(StreamKey, u64)]) -> Result<BTreeMap<StreamKey, u64>, StoreError> {
    let mut stored = BTreeMap::new();
    let found = |row: &SqliteRow| {
        stored.extend([cursor(row)?]);
        Ok(())
    };
    let head = "SELECT tenant, session, driver, run, next_seq FROM streams WHERE (tenant, session, driver, run) IN (";
    select(c, head, of, |b, (stream, _)| bind_stream(b, stream), ")", found).await?;
    Ok(stored)
}

async fn put_chunks(c: &mut SqliteConnection, chunks: &[Chunk]) -> Result<(), StoreError> {
    let head = "INSERT INTO chunks (tenant, session, driver, run, first_seq, next_seq, first_us, last_us, packed) ";
    let bind = |b: &mut Bind<'_>, Chunk { run, packed }: &Chunk| {
        bind_stream(b, &run.stream);
        b.push_bind(clamped(run.first_seq))
            .push_bind(clamped(run.next_seq()))
            .push_bind(run.first_us)
            .push_bind(run.last_us)
            .push_bind(packed.as_slice());
    };
    write(c, head, chunks, bind, "").await.map(drop)
}

async fn put_cursors(c: &mut SqliteConnection, checkpoint: &Checkpoint, cursors: &[(StreamKey, u64)]) -> Result<(), StoreError> {
    let newest = cursors.iter().fold(BTreeMap::new(), |mut all, (stream, next)| {
        let known = all.entry(*stream).or_insert(0u64);
        *known = (*known).max(*next);
        all
    });
    let head = "INSERT INTO streams (tenant, session, driver, run, log, part, next_seq) ";
    let bind = |b: &mut Bind<'_>, (stream, next): &(StreamKey, u64)| {
        bind_stream(b, stream);
        b.push_bind(checkpoint.log.0.as_str()).push_bind(checkpoint.partition).push_bind(clamped(*next));
    };
    let tail = " ON CONFLICT (tenant, session, driver, run) DO UPDATE SET log = excluded.log, part = excluded.part, \
                next_seq = CASE WHEN excluded.next_seq > streams.next_seq THEN excluded.next_seq ELSE streams.next_seq END";
    write(c, head, &newest.into_iter().collect::<Vec<_>>(), bind, tail).await.map(drop)
}

fn bind_stream(b: &mut Bind<'_>, stream: &StreamKey) {
    b.push_bind(stream.tenant.as_str()).push_bind(&stream.session.0[..]).push_bind(stream.driver.as_str()).push_bind(&stream.run.0[..]);
}

fn cursor(row: &SqliteRow) -> Result<(StreamKey, u64), StoreError> {
    let stream = StreamKey {
        tenant: TenantId(short_id(row, "tenant")?),
        session: SessionId(id(row, "session")?),
        driver: DriverId(short_id(row, "driver")?),
        run: RunId(id(row, "run")?),
    };
    Ok((stream, number(row, "next_seq")?))
}

/// Sequence numbers are below 2^48 (W4); a question may ask for more.
fn clamped(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
