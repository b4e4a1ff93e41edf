//! Frames as rows: the newest as tails, then as chunks, and the removal of the oldest.
//!
//! Appending to a packed chunk means packing it again, so ten appends would write a frame five times over. A stream's new
//! frames are separate rows in `tails`, and are folded into chunks once they fill one or have waited long enough.
//!
//! Frames are archived in chunks of about 10 s for each stream. The newest frames of a stream are rows of about a second in `tails`
//! until they fill a chunk, so that the trace of a lap is complete soon after the lap. The oldest chunks are removed by age and
//! by bytes. A removed frame stays below its stream's cursor, so that it does not come back when the log is read again (E6a).

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::StreamKey;
use sqlx::sqlite::SqliteConnection;

use super::error::from_sqlx;
use super::streams::{clamped, stream, stream_values};
use crate::pack::{CHUNK_MAX_FRAMES, pack, unpack};
use crate::sql::{Found, number, select, write};
use crate::{Daily, FrameRun, Removed, Retention, StoreError, run};

/// Most streams folded in a transaction: with full tails 15 MB of frames and some 100 ms. The fullest go first.
const FOLD_MAX_STREAMS: usize = 128;
/// A tail that has waited this long is folded however short it is: its stream is slow, or has ended.
const TAIL_MAX_US: i64 = 60_000_000;
/// Most chunks removed in a transaction: some 7 MB, and a few ms.
const REMOVE_MAX_CHUNKS: u32 = 256;

/// A row to write: some frames of one stream, and when the newest of them was received.
struct Chunk {
    run: FrameRun,
    received_us: i64,
    packed: Vec<u8>,
}

/// The frames of one stream to be written in a transaction.
struct StreamWrite {
    stream: StreamKey,
    /// The stream's tails, if they are folded; their frames are still packed.
    tails: Vec<(u64, u64, Vec<u8>)>,
    fresh: Vec<FrameRun>,
    received_us: i64,
    fold: Option<Fold>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    /// Into chunks that are full; the rest stays a tail.
    Full,
    /// Into chunks, all frames.
    All,
}

/// Store the new frames of each stream.
pub(super) async fn put(c: &mut SqliteConnection, fresh: BTreeMap<StreamKey, Vec<FrameRun>>, received_us: i64) -> Result<(), StoreError> {
    let folds = due(c, &fresh, received_us).await?;
    let streams: BTreeSet<StreamKey> = fresh.keys().chain(folds.keys()).copied().collect();
    let mut fresh = fresh;
    let mut writes = vec![];
    for stream in streams {
        let fold = folds.get(&stream).copied();
        let mut one = StreamWrite { stream, tails: vec![], fresh: fresh.remove(&stream).unwrap_or_default(), received_us, fold };
        if fold.is_some() {
            take_tails(c, &mut one).await?;
        }
        writes.push(one);
    }
    // On a separate thread: packing a full block takes longer than a task may occupy its worker.
    let packed = tokio::task::spawn_blocking(move || pack_all(writes)).await.map_err(|e| StoreError::Refused(e.to_string()))?;
    let (chunks, tails) = packed?;
    put_rows(c, "INSERT INTO chunks (tenant, session, driver, run, first_seq, next_seq, frames, received_us, packed) ", &chunks).await?;
    put_rows(c, "INSERT INTO tails (tenant, session, driver, run, first_seq, next_seq, frames, received_us, packed) ", &tails).await
}

/// The streams whose tails are to be folded now.
async fn due(c: &mut SqliteConnection, fresh: &BTreeMap<StreamKey, Vec<FrameRun>>, now_us: i64) -> Result<BTreeMap<StreamKey, Fold>, StoreError> {
    let mut frames: BTreeMap<StreamKey, u64> = fresh.iter().map(|(key, runs)| (*key, runs.iter().map(FrameRun::count).sum())).collect();
    let touched: Vec<StreamKey> = frames.keys().copied().collect();
    let head = "SELECT tenant, session, driver, run, SUM(frames) AS frames FROM tails WHERE (tenant, session, driver, run) IN (";
    let mut stored = |row: &dyn Found| {
        *frames.entry(stream(row)?).or_default() += number::<u64>(row, "frames")?;
        Ok(())
    };
    select(c, head, &touched, stream_values, ") GROUP BY tenant, session, driver, run", &mut stored).await?;
    let mut full: Vec<(u64, StreamKey)> = frames.into_iter().map(|(key, n)| (n, key)).filter(|(n, _)| *n >= CHUNK_MAX_FRAMES).collect();
    full.sort_by(|a, b| b.cmp(a));
    full.truncate(FOLD_MAX_STREAMS);
    let mut folds: BTreeMap<StreamKey, Fold> = full.into_iter().map(|(_, key)| (key, Fold::Full)).collect();

    // The index is named: to find distinct streams SQLite would rather read the whole table in the order of its key.
    let old = sqlx::query("SELECT DISTINCT tenant, session, driver, run FROM tails INDEXED BY tails_oldest WHERE received_us < ? LIMIT ?");
    let old = old.bind(now_us.saturating_sub(TAIL_MAX_US)).bind((FOLD_MAX_STREAMS - folds.len()) as i64);
    for row in old.fetch_all(c).await.map_err(from_sqlx)? {
        folds.insert(stream(&row)?, Fold::All);
    }
    Ok(folds)
}

/// Take a stream's tails out of the table.
async fn take_tails(c: &mut SqliteConnection, stream: &mut StreamWrite) -> Result<(), StoreError> {
    let key = [stream.stream];
    let mut take = |row: &dyn Found| {
        stream.tails.push((number(row, "first_seq")?, number(row, "frames")?, row.bytes("packed")?.to_vec()));
        stream.received_us = stream.received_us.max(row.int("received_us")?);
        Ok(())
    };
    let head = "SELECT first_seq, frames, received_us, packed FROM tails WHERE (tenant, session, driver, run) IN (";
    select(c, head, &key, stream_values, ") ORDER BY first_seq", &mut take).await?;
    write(c, "DELETE FROM tails WHERE (tenant, session, driver, run) IN (", &key, stream_values, ")").await
}

/// The rows of all streams: chunks, and tails.
fn pack_all(writes: Vec<StreamWrite>) -> Result<(Vec<Chunk>, Vec<Chunk>), StoreError> {
    let (mut chunks, mut tails) = (vec![], vec![]);
    for StreamWrite { stream, tails: stored, fresh, received_us, fold } in writes {
        let stored = stored.into_iter().map(|(first_seq, frames, packed)| unpack(stream, first_seq, frames, &packed));
        let runs = stored.chain(fresh.into_iter().map(Ok)).collect::<Result<Vec<_>, _>>()?;
        let Some(run) = run::join(runs, u64::MAX)? else { continue };
        let mut at = 0;
        while let Some(run) = run.part(at, at + CHUNK_MAX_FRAMES)? {
            at += run.count();
            let chunk = Chunk { packed: pack(&run)?, received_us, run };
            let done = match fold {
                None => false,
                Some(Fold::Full) => chunk.run.count() == CHUNK_MAX_FRAMES,
                Some(Fold::All) => true,
            };
            if done { chunks.push(chunk) } else { tails.push(chunk) }
        }
    }
    Ok((chunks, tails))
}

async fn put_rows(c: &mut SqliteConnection, head: &'static str, rows: &[Chunk]) -> Result<(), StoreError> {
    write(
        c,
        head,
        rows,
        |Chunk { run, received_us, packed }| {
            let s = &run.stream;
            let (first_seq, next_seq, frames) = (clamped(run.first_seq()), clamped(run.next_seq()), clamped(run.count()));
            values![&s.tenant, &s.session, &s.driver, &s.run, first_seq, next_seq, frames, *received_us, packed.as_slice()]
        },
        "",
    )
    .await
}

/// Remove the oldest rows, a bounded number of them. New rows use their pages again, so the file stops growing.
pub(super) async fn retain(c: &mut SqliteConnection, retention: Retention) -> Result<Removed, StoreError> {
    let mut removed = Removed::default();
    if let Some(oldest_us) = retention.oldest_us {
        let allowed = match &retention.daily {
            Some(daily) => daily.allows(used_bytes(c).await?, removed_in_a_day(c, daily).await?),
            None => u64::MAX,
        };
        let bytes = remove(c, &mut removed, &[&CHUNKS, &TAILS, &RECORDS], oldest_us, allowed).await?;
        if let Some(daily) = retention.daily.filter(|_| bytes > 0) {
            let note = "INSERT INTO removed (hour, bytes) VALUES (?, ?) ON CONFLICT (hour) DO UPDATE SET bytes = bytes + excluded.bytes";
            sqlx::query(note).bind(daily.hour()).bind(clamped(bytes)).execute(&mut *c).await.map_err(from_sqlx)?;
        }
    }
    if let Some(max) = retention.max_bytes {
        let over = used_bytes(c).await?.saturating_sub(max);
        remove(c, &mut removed, &[&CHUNKS, &RECORDS], i64::MAX, over).await?;
    }
    Ok(removed)
}

/// Bytes of the file that are in use.
async fn used_bytes(c: &mut SqliteConnection) -> Result<u64, StoreError> {
    let used = sqlx::query(
        "SELECT (SELECT page_count FROM pragma_page_count()) AS pages, (SELECT freelist_count FROM pragma_freelist_count()) AS free, \
         (SELECT page_size FROM pragma_page_size()) AS size",
    );
    let row = used.fetch_one(c).await.map_err(from_sqlx)?;
    let (pages, free, size): (u64, u64, u64) = (number(&row, "pages")?, number(&row, "free")?, number(&row, "size")?);
    Ok(pages.saturating_sub(free) * size)
}

/// Bytes that were removed by age within the last 24 hours.
async fn removed_in_a_day(c: &mut SqliteConnection, daily: &Daily) -> Result<u64, StoreError> {
    let hour = daily.hour();
    // Before the clock was set back it was later: what was removed then counts as removed now, and does not for all the time until then.
    let later = "INSERT INTO removed (hour, bytes) SELECT ?1, SUM(bytes) FROM removed WHERE hour > ?1 HAVING COUNT(*) > 0 \
                 ON CONFLICT (hour) DO UPDATE SET bytes = bytes + excluded.bytes";
    sqlx::query(later).bind(hour).execute(&mut *c).await.map_err(from_sqlx)?;
    let of_other_days = sqlx::query("DELETE FROM removed WHERE hour > ?1 OR hour <= ?2").bind(hour).bind(hour.saturating_sub(24));
    of_other_days.execute(&mut *c).await.map_err(from_sqlx)?;
    let sum = sqlx::query("SELECT COALESCE(SUM(bytes), 0) AS bytes FROM removed").fetch_one(c).await.map_err(from_sqlx)?;
    number(&sum, "bytes")
}

/// How rows of a table are found and removed.
struct Oldest {
    find: &'static str,
    delete: &'static str,
}

macro_rules! oldest {
    ($table:literal, $frames:literal) => {
        Oldest {
            find: concat!(
                "SELECT tenant, session, driver, run, first_seq, received_us, ",
                $frames,
                " AS frames, LENGTH(packed) AS bytes FROM ",
                $table,
                " WHERE received_us < ? ORDER BY received_us LIMIT ?"
            ),
            delete: concat!("DELETE FROM ", $table, " WHERE (tenant, session, driver, run, first_seq) IN ("),
        }
    };
}

const CHUNKS: Oldest = oldest!("chunks", "frames");
const TAILS: Oldest = oldest!("tails", "frames");
/// Records go with the frames that came with them: one without the other is of little use.
const RECORDS: Oldest = oldest!("records", "0");

/// A row that may be removed.
struct Due {
    received_us: i64,
    table: usize,
    key: (StreamKey, i64),
    frames: u64,
    bytes: u64,
}

/// Remove the oldest rows of some tables, received before `before_us`, until they make up `bytes` or are enough for one transaction. Returns
/// the bytes of these rows.
async fn remove(c: &mut SqliteConnection, removed: &mut Removed, tables: &[&Oldest], before_us: i64, bytes: u64) -> Result<u64, StoreError> {
    if bytes == 0 {
        return Ok(0);
    }
    let mut due = vec![];
    // Rows beyond this may be younger than some that were not looked at.
    let (mut horizon_us, mut more) = (i64::MAX, false);
    for (table, of) in tables.iter().enumerate() {
        let rows = sqlx::query(of.find).bind(before_us).bind(REMOVE_MAX_CHUNKS).fetch_all(&mut *c).await.map_err(from_sqlx)?;
        for row in &rows {
            let received_us = row.int("received_us")?;
            let (frames, bytes) = (number::<u64>(row, "frames")?, number::<u64>(row, "bytes")?);
            due.push(Due { received_us, table, key: (stream(row)?, row.int("first_seq")?), frames, bytes });
        }
        if let Some(last) = due.last().filter(|_| rows.len() == REMOVE_MAX_CHUNKS as usize) {
            (horizon_us, more) = (horizon_us.min(last.received_us), true);
        }
    }
    due.sort_by_key(|row| row.received_us);
    let (mut keys, mut freed) = (vec![vec![]; tables.len()], 0u64);
    for Due { table, key, frames, bytes: of_row, .. } in due.into_iter().take_while(|row| row.received_us <= horizon_us) {
        if freed >= bytes {
            more = false;
            break;
        }
        freed += of_row;
        removed.frames += frames;
        keys[table].push(key);
    }
    removed.more |= more;
    for (of, keys) in tables.iter().zip(&keys) {
        write(c, of.delete, keys, |(s, first_seq)| values![&s.tenant, &s.session, &s.driver, &s.run, *first_seq], ")").await?;
    }
    Ok(freed)
}
