//! Loading all that is kept of a partition, and what is stored of a session; what a processor continues from is in [`find`](super::find).

use boxbox_schemas::results::Checkpoint;
use boxbox_schemas::{DriverId, LogId, RunId, SessionId, StreamKey};
use bytes::Bytes;

use super::commit::owned;
use super::found::{self, Found, body, json, number, short_id};
use super::{Sql, all};
use crate::{FieldState, Lease, PartitionState, StoreError, StoredSession, StreamState};

macro_rules! rows_of {
    ($columns:literal, $table:literal, $order:literal) => {
        concat!(
            "SELECT ",
            $columns,
            " FROM ",
            $table,
            " t JOIN sessions s ON s.id = t.session WHERE s.log = $1 AND s.part = $2 AND NOT s.retired ORDER BY ",
            $order
        )
    };
}
const SESSIONS: &str = concat!(session_select!(), " WHERE s.log = $1 AND s.part = $2 ORDER BY s.id");
const STREAMS: &str = rows_of!("t.ledger, t.race, t.now", "streams", "t.session, t.driver, t.run");
const FIELD: &str = rows_of!("t.*", "field", "t.session, t.driver, t.run, t.slot");
const FACTS: &str = rows_of!("t.body", "facts", "t.session, t.entry, t.number, t.driver, t.run, t.timeline");
const LAPS: &str = rows_of!("t.body", "laps", "t.session, t.entry, t.number");
const ROWS: &str = rows_of!("t.*", "rows", "t.session, t.driver, t.run, t.timeline, t.slot, t.tick, t.kind");
pub(super) const ACCOUNTS: &str = "SELECT body FROM accounts WHERE log = $1 AND part = $2 ORDER BY tenant, driver";

/// As [`Steps::load`](crate::Steps::load), in one transaction.
pub(super) async fn load(c: &mut dyn Sql, lease: Lease) -> Result<PartitionState, StoreError> {
    let checkpoint = owned(c, &lease).await?;
    let of = values![&lease.log.0, lease.partition];
    let mut streams = all(c, STREAMS, &of, stream).await?;
    let mut field = all(c, FIELD, &of, seen).await?.into_iter().peekable();
    for stream in &mut streams {
        let StreamKey { session, driver, run, .. } = stream.ledger.stream;
        stream.field.extend(std::iter::from_fn(|| field.next_if(|(by, _)| *by == (session, driver, run))).map(|(_, state)| state));
    }
    Ok(PartitionState {
        checkpoint,
        streams,
        sessions: all(c, SESSIONS, &of, found::session).await?,
        facts: all(c, FACTS, &of, body).await?,
        laps: all(c, LAPS, &of, body).await?,
        rows: all(c, ROWS, &of, found::any_row).await?,
        accounts: all(c, ACCOUNTS, &of, body).await?,
    })
}

/// As [`Steps::stored`](crate::Steps::stored).
pub(super) async fn stored(c: &mut dyn Sql, session: SessionId) -> Result<Option<StoredSession>, StoreError> {
    const PLACE: &str = "SELECT p.log, p.part, p.log_offset, p.crc FROM sessions s JOIN partitions p ON p.log = s.log AND p.part = s.part WHERE s.id = $1 \
                         AND p.log_offset IS NOT NULL";
    const INFO: &str = concat!(session_select!(), " WHERE s.id = $1");
    const LEDGERS: &str = "SELECT ledger FROM streams WHERE session = $1 ORDER BY driver, run";
    const LAPS: &str = "SELECT body FROM laps WHERE session = $1 AND NOT superseded ORDER BY entry, number";
    const ROWS: &str = "SELECT * FROM rows WHERE session = $1 AND NOT superseded ORDER BY driver, run, timeline, slot, tick, kind";
    let of = values![&session];
    let Some(checkpoint) = all(c, PLACE, &of, place).await?.pop() else { return Ok(None) };
    let Some(info) = all(c, INFO, &of, found::session).await?.pop() else { return Ok(None) };
    Ok(Some(StoredSession {
        checkpoint,
        info,
        ledgers: all(c, LEDGERS, &of, |row| json(row, "ledger")).await?,
        laps: all(c, LAPS, &of, body).await?,
        rows: all(c, ROWS, &of, found::any_row).await?,
    }))
}

/// A row of `partitions` with a checkpoint.
fn place(row: &dyn Found) -> Result<Checkpoint, StoreError> {
    let log = LogId(row.text("log")?.to_owned());
    Ok(Checkpoint { log, partition: number(row, "part")?, offset: number(row, "log_offset")?, crc: number(row, "crc")? })
}

pub(super) fn stream(row: &dyn Found) -> Result<StreamState, StoreError> {
    Ok(StreamState { ledger: json(row, "ledger")?, race: race(row)?, now: found::now(row)?, field: vec![] })
}

/// A car that a stream sees, and the stream.
pub(super) fn seen(row: &dyn Found) -> Result<((SessionId, DriverId, RunId), FieldState), StoreError> {
    let by = (SessionId(found::id(row, "session")?), DriverId(short_id(row, "driver")?), found::run(row)?);
    Ok((by, FieldState { slot: number(row, "slot")?, race: race(row)?, now: found::now(row)? }))
}

fn race(row: &dyn Found) -> Result<Bytes, StoreError> {
    Ok(Bytes::copy_from_slice(row.bytes("race")?))
}
