//! Records of other kinds than frames of the own car, as rows: what a block brought of one stream is a row; about a minute of rows is
//! joined to one, which packs several times better (see [`pack_records`](crate::pack_records)).

use std::collections::BTreeMap;

use boxbox_schemas::StreamKey;
use boxbox_schemas::results::Span;
use futures::TryStreamExt;
use sqlx::SqlitePool;
use sqlx::sqlite::SqliteConnection;

use super::error::from_sqlx;
use super::streams::{clamped, stream, stream_values};
use crate::pack_records::{pack, unpack};
use crate::sql::{Found, select, write};
use crate::{KeptRecord, StoreError};

/// A row that has waited this long is joined with the others of its stream.
const FOLD_AFTER_US: i64 = 60_000_000;
/// Most streams joined in a transaction.
const FOLD_MAX_STREAMS: i64 = 32;

/// ?1 to ?4 the stream, ?5 and ?6 the span. Rows do not overlap, so the first row needed is the last that begins at or before the span.
const RECORDS: &str = "\
    SELECT packed FROM records WHERE tenant = ?1 AND session = ?2 AND driver = ?3 AND run = ?4 AND first_seq < ?6 AND first_seq >= \
    COALESCE((SELECT MAX(first_seq) FROM records WHERE tenant = ?1 AND session = ?2 AND driver = ?3 AND run = ?4 AND first_seq <= ?5), 0) \
    ORDER BY first_seq";

/// A row to be written.
struct Row {
    stream: StreamKey,
    first_seq: u64,
    next_seq: u64,
    folded: i64,
    received_us: i64,
    packed: Vec<u8>,
}

impl Row {
    /// `None`: there is nothing to write.
    fn of(stream: StreamKey, records: &[KeptRecord], folded: bool, received_us: i64) -> Result<Option<Self>, StoreError> {
        let Some((first, last)) = records.first().zip(records.last()) else { return Ok(None) };
        let packed = pack(records)?;
        Ok(Some(Self { stream, first_seq: first.first_seq, next_seq: last.reaches(), folded: folded.into(), received_us, packed }))
    }
}

/// Store the new records of each stream, received at `received_us` the newest.
pub(super) async fn put(c: &mut SqliteConnection, fresh: Vec<(StreamKey, Vec<KeptRecord>)>, received_us: i64) -> Result<(), StoreError> {
    let packed = tokio::task::spawn_blocking(move || {
        let rows = fresh.iter().map(|(stream, records)| Row::of(*stream, records, false, received_us));
        rows.filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()
    });
    put_rows(c, &packed.await.map_err(|e| StoreError::Refused(e.to_string()))??).await?;
    fold(c, received_us).await
}

/// Join the rows of streams that have waited long enough.
async fn fold(c: &mut SqliteConnection, now_us: i64) -> Result<(), StoreError> {
    let due = sqlx::query("SELECT DISTINCT tenant, session, driver, run FROM records WHERE folded = 0 AND received_us < ? LIMIT ?");
    let due = due.bind(now_us.saturating_sub(FOLD_AFTER_US)).bind(FOLD_MAX_STREAMS).fetch_all(&mut *c).await.map_err(from_sqlx)?;
    let streams: Vec<StreamKey> = due.iter().map(|row| stream(row)).collect::<Result<_, _>>()?;
    let mut waiting: BTreeMap<StreamKey, (i64, Vec<Vec<u8>>)> = BTreeMap::new();
    let mut take = |row: &dyn Found| {
        let (received_us, packed) = waiting.entry(stream(row)?).or_default();
        *received_us = row.int("received_us")?.max(*received_us);
        packed.push(row.bytes("packed")?.to_vec());
        Ok(())
    };
    let head = "SELECT tenant, session, driver, run, received_us, packed FROM records WHERE folded = 0 AND (tenant, session, driver, run) IN (";
    select(c, head, &streams, stream_values, ") ORDER BY first_seq", &mut take).await?;
    write(c, "DELETE FROM records WHERE folded = 0 AND (tenant, session, driver, run) IN (", &streams, stream_values, ")").await?;
    let joined = tokio::task::spawn_blocking(move || {
        let mut rows = vec![];
        for (stream, (received_us, packed)) in waiting {
            let records = packed.iter().map(|packed| unpack(packed)).collect::<Result<Vec<_>, _>>()?.concat();
            rows.extend(Row::of(stream, &records, true, received_us)?);
        }
        Ok::<_, StoreError>(rows)
    });
    put_rows(c, &joined.await.map_err(|e| StoreError::Refused(e.to_string()))??).await
}

async fn put_rows(c: &mut SqliteConnection, rows: &[Row]) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO records (tenant, session, driver, run, first_seq, next_seq, folded, received_us, packed) ",
        rows,
        |Row { stream: s, first_seq, next_seq, folded, received_us, packed }| {
            values![&s.tenant, &s.session, &s.driver, &s.run, clamped(*first_seq), clamped(*next_seq), *folded, *received_us, packed.as_slice()]
        },
        "",
    )
    .await
}

/// As [`Archive::records`](crate::Archive::records).
pub(super) async fn read(readers: &SqlitePool, stream: StreamKey, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError> {
    let query = sqlx::query(RECORDS).bind(stream.tenant.as_str()).bind(&stream.session.0[..]);
    let query = query.bind(stream.driver.as_str()).bind(&stream.run.0[..]).bind(clamped(span.first_seq)).bind(clamped(span.next_seq));
    let mut rows = query.fetch(readers);
    let mut found = vec![];
    while found.len() < limit as usize
        && let Some(row) = rows.try_next().await.map_err(from_sqlx)?
    {
        let within = |record: &KeptRecord| (span.first_seq..span.next_seq).contains(&record.first_seq);
        found.extend(unpack(row.bytes("packed")?)?.into_iter().filter(within));
    }
    found.truncate(limit as usize);
    Ok(found)
}
