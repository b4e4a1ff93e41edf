//! Records of other kinds than frames of the own car: table `records`, a row for each, in ClickHouse's `RowBinary`.

use std::time::Duration;

use boxbox_schemas::results::Span;
use boxbox_schemas::{DriverId, RunId, SessionId, StreamKey, TenantId};
use bytes::Bytes;
use clickhouse::Row;
use serde::Deserialize;

use super::server::Server;
use crate::{KeptRecord, StoreError, StreamRecords};

/// How long a read may take.
const READ_DEADLINE: Duration = Duration::from_secs(60);

/// The rows of one block, to be written.
#[derive(Clone, Copy, Debug)]
pub(super) struct RecordRows<'a> {
    /// The log's id.
    pub(super) log: &'a str,
    /// The partition.
    pub(super) partition: u32,
    /// Offset of the block's last record.
    pub(super) offset: u64,
    /// When the log took it, Unix µs.
    pub(super) appended_us: i64,
    /// In the order of the table.
    pub(super) records: &'a [StreamRecords],
}

/// Number of records.
pub(super) fn count(records: &[StreamRecords]) -> u64 {
    records.iter().map(|of| of.records.len() as u64).sum()
}

impl RecordRows<'_> {
    /// In `RowBinary`, for the columns of [`super::schema::insert_records_sql`].
    pub(super) fn row_binary(&self) -> Bytes {
        let mut out = vec![];
        for StreamRecords { stream, records } in self.records {
            for record in records {
                bytes(&mut out, stream.tenant.as_str().as_bytes());
                out.extend_from_slice(&stream.session.0);
                bytes(&mut out, stream.driver.as_str().as_bytes());
                out.extend_from_slice(&stream.run.0);
                out.extend_from_slice(&record.first_seq.to_le_bytes());
                bytes(&mut out, self.log.as_bytes());
                out.extend_from_slice(&self.partition.to_le_bytes());
                out.extend_from_slice(&self.offset.to_le_bytes());
                out.extend_from_slice(&self.appended_us.to_le_bytes());
                out.extend_from_slice(&record.next_seq.to_le_bytes());
                out.extend_from_slice(&record.offset.to_le_bytes());
                out.extend_from_slice(&record.received_at_us.to_le_bytes());
                bytes(&mut out, &record.bytes);
            }
        }
        out.into()
    }
}

/// Its length, then the text.
fn bytes(out: &mut Vec<u8>, text: &[u8]) {
    let mut n = text.len();
    while n > 0x7f {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
    out.extend_from_slice(text);
}

/// As [`Archive::records`](crate::Archive::records).
pub(super) async fn read(server: &Server, stream: StreamKey, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError> {
    // Ids contain no character with a meaning in SQL.
    let sql = format!(
        "SELECT seq, next_seq, record_offset, received_us, bytes FROM records WHERE tenant = '{}' AND session = unhex('{}') AND driver = '{}' \
         AND run = unhex('{}') AND seq >= {} AND seq < {} ORDER BY seq LIMIT {limit}",
        stream.tenant, stream.session, stream.driver, stream.run, span.first_seq, span.next_seq
    );
    let rows = async {
        let mut cursor = server.client.query_raw(&sql).fetch_bytes("RowBinary")?;
        let mut rows = vec![];
        while let Some(chunk) = cursor.next().await? {
            rows.extend_from_slice(&chunk);
        }
        Ok(rows)
    };
    let rows = Bytes::from(server.within(READ_DEADLINE, rows).await?);
    let mut records = parsed(&rows).ok_or_else(|| server.at(StoreError::Unavailable("an answer ended within a row".into())))?;
    let all = records.len();
    records.dedup_by_key(|record| record.first_seq);
    if records.len() < all {
        tracing::warn!(records = all - records.len(), session = %stream.session, driver = %stream.driver, "records are in ClickHouse twice");
    }
    Ok(records)
}

fn parsed(rows: &Bytes) -> Option<Vec<KeptRecord>> {
    let (mut rest, mut records) = (rows.clone(), vec![]);
    let word = |rest: &mut Bytes| {
        let word = rest.first_chunk::<8>().copied()?;
        _ = rest.split_to(8);
        Some(word)
    };
    while !rest.is_empty() {
        let (first_seq, next_seq, offset) =
            (u64::from_le_bytes(word(&mut rest)?), u64::from_le_bytes(word(&mut rest)?), u64::from_le_bytes(word(&mut rest)?));
        let received_at_us = i64::from_le_bytes(word(&mut rest)?);
        let (mut length, mut shift) = (0usize, 0u32);
        loop {
            let byte = *rest.first()?;
            _ = rest.split_to(1);
            length |= usize::from(byte & 0x7f).checked_shl(shift)?;
            shift += 7;
            if byte < 0x80 {
                break;
            }
        }
        if length > rest.len() {
            return None;
        }
        records.push(KeptRecord { first_seq, next_seq, offset, received_at_us, bytes: rest.split_to(length) });
    }
    Some(records)
}

#[derive(Row, Deserialize)]
struct StreamRow {
    driver: String,
    run: [u8; 16],
}

/// As [`Archive::streams`](crate::Archive::streams). Every stream with a frame has a heading, so records are enough.
pub(super) async fn streams(server: &Server, tenant: &TenantId, session: &SessionId) -> Result<Vec<StreamKey>, StoreError> {
    let sql = format!(
        "SELECT DISTINCT toString(driver) AS driver, run FROM records WHERE tenant = '{tenant}' AND session = unhex('{session}') ORDER BY driver, run"
    );
    let rows = server.within(READ_DEADLINE, server.client.query_raw(&sql).fetch_all::<StreamRow>()).await?;
    let stream = |row: StreamRow| {
        let driver = DriverId::new(&row.driver).map_err(|e| StoreError::Unreadable(format!("driver: {e}")))?;
        Ok(StreamKey { tenant: *tenant, session: *session, driver, run: RunId(row.run) })
    };
    rows.into_iter().map(stream).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_as_they_come_and_a_cut_one_is_noticed() {
        let mut rows = vec![];
        let records: Vec<KeptRecord> = [0usize, 5, 127, 128, 40_000]
            .into_iter()
            .enumerate()
            .map(|(n, length)| KeptRecord {
                first_seq: n as u64,
                next_seq: n as u64 + 1,
                offset: 7,
                received_at_us: -3,
                bytes: vec![n as u8; length].into(),
            })
            .collect();
        for record in &records {
            for word in [record.first_seq, record.next_seq, record.offset, record.received_at_us as u64] {
                rows.extend_from_slice(&word.to_le_bytes());
            }
            bytes(&mut rows, &record.bytes);
        }
        let rows = Bytes::from(rows);
        assert_eq!(parsed(&rows), Some(records));
        assert_eq!((parsed(&rows.slice(..rows.len() - 1)), parsed(&rows.slice(..40))), (None, None));
    }
}
