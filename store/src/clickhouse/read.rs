//! Reading frames: a row is a sequence number and the frame's own bytes.

use std::time::Duration;

use boxbox_schemas::frame::CAR_FRAME_BYTES;
use boxbox_schemas::results::Span;
use boxbox_schemas::{DriverId, SessionId, StreamKey, TenantId};
use bytes::BytesMut;

use super::layout::FRAME;
use super::server::Server;
use crate::{FrameRun, Piece, StoreError};

/// How long a read may take.
const READ_DEADLINE: Duration = Duration::from_secs(60);
/// Bytes of a row: the number, then the frame.
const SEQ_BYTES: usize = size_of::<u64>();

/// As [`Archive::frames`](crate::Archive::frames).
pub(super) async fn frames(server: &Server, stream: StreamKey, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError> {
    let columns: Vec<&str> = FRAME.iter().map(|c| c.name).collect();
    // Ids contain no character with a meaning in SQL.
    let sql = format!(
        "SELECT seq, {} FROM frames WHERE tenant = '{}' AND session = unhex('{}') AND driver = '{}' AND run = unhex('{}') \
         AND seq >= {} AND seq < {} ORDER BY seq LIMIT {limit}",
        columns.join(", "),
        stream.tenant,
        stream.session,
        stream.driver,
        stream.run,
        span.first_seq,
        span.next_seq
    );
    let rows = async {
        let mut cursor = server.client.query_raw(&sql).fetch_bytes("RowBinary")?;
        let mut rows = Rows::default();
        while let Some(chunk) = cursor.next().await? {
            rows.take(&chunk);
        }
        Ok(rows)
    };
    let rows = server.within(READ_DEADLINE, rows).await?;
    if !rows.rest.is_empty() {
        return Err(server.at(StoreError::Unavailable("an answer ended within a row".into())));
    }
    if rows.twice > 0 {
        tracing::warn!(frames = rows.twice, session = %stream.session, driver = %stream.driver, "frames are in ClickHouse twice");
    }
    if rows.pieces.is_empty() {
        return Ok(None);
    }
    FrameRun::of(stream, rows.pieces, rows.frames.freeze()).map(Some)
}

/// As [`Archive::count`](crate::Archive::count).
pub(super) async fn count(server: &Server, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError> {
    let of = driver.map_or(String::new(), |driver| format!(" AND driver = '{driver}'"));
    let sql = format!("SELECT count() FROM frames WHERE tenant = '{tenant}' AND session = unhex('{session}'){of}");
    server.within(READ_DEADLINE, server.client.query_raw(&sql).fetch_one()).await
}

/// Rows as they come, in chunks that end anywhere.
#[derive(Default)]
struct Rows {
    pieces: Vec<Piece>,
    frames: BytesMut,
    /// The beginning of a row whose end has not arrived.
    rest: Vec<u8>,
    /// Rows with a number that was read already: this breaks E6a, but the frames are still returned.
    twice: u64,
}

impl Rows {
    fn take(&mut self, mut chunk: &[u8]) {
        const ROW: usize = SEQ_BYTES + CAR_FRAME_BYTES;
        if !self.rest.is_empty() {
            let missing = (ROW - self.rest.len()).min(chunk.len());
            self.rest.extend_from_slice(&chunk[..missing]);
            chunk = &chunk[missing..];
            if self.rest.len() < ROW {
                return;
            }
            let row = std::mem::take(&mut self.rest);
            self.row(&row);
        }
        self.frames.reserve(chunk.len());
        let rows = chunk.chunks_exact(ROW);
        self.rest.extend_from_slice(rows.remainder());
        rows.for_each(|row| self.row(row));
    }

    fn row(&mut self, row: &[u8]) {
        let (seq, frame) = row.split_at(SEQ_BYTES);
        let seq = seq.iter().rev().fold(0, |seq, byte| seq << 8 | u64::from(*byte));
        if self.pieces.last().is_some_and(|last| seq < last.next_seq()) {
            self.twice += 1;
            return;
        }
        Piece { first_seq: seq, count: 1 }.put_behind(&mut self.pieces);
        self.frames.extend_from_slice(frame);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_put_together_wherever_chunks_end() {
        let seqs = [3u64, 4, 4, 9, 10, 11];
        let rows: Vec<u8> = seqs.iter().flat_map(|seq| [&seq.to_le_bytes()[..], &[*seq as u8; CAR_FRAME_BYTES]].concat()).collect();
        for size in [1, 7, 208, 209, 500, 5_000] {
            let mut read = Rows::default();
            rows.chunks(size).for_each(|chunk| read.take(chunk));
            assert_eq!(read.pieces, [Piece { first_seq: 3, count: 2 }, Piece { first_seq: 9, count: 3 }]);
            let first_bytes: Vec<u8> = read.frames.chunks(CAR_FRAME_BYTES).map(|frame| frame[0]).collect();
            assert_eq!((first_bytes, read.twice, read.rest.len()), (vec![3, 4, 9, 10, 11], 1, 0));
        }
    }
}
