//! The state from which a partition's owner continues: where it begins, and its sessions one by one.

use std::collections::BTreeMap;

use boxbox_schemas::results::memory::{fact_bytes, field_bytes, info_bytes, lap_bytes, row_bytes, stream_bytes};
use boxbox_schemas::results::{Beginning, SessionInfo, SessionKey, SessionState};
use boxbox_schemas::{SessionId, Sim, Source, StreamKey, TenantId};

use super::commit::owned;
use super::found::{self, Found as Row, body, number, short_id};
use super::load::{ACCOUNTS, seen, stream};
use super::{Sql, all, select};
use crate::{FOUND_AT_ONCE_BYTES, Found, Lease, StoreError, StreamState};

const OPEN: &str = "SELECT tenant, sim, source_id, session_num FROM sessions WHERE log = $1 AND part = $2 AND NOT closed ORDER BY id";
/// A session is opened before its last record comes, and `opened_at_us` is what the index has.
const CLOSED_BEFORE: &str = "SELECT tenant, sim, source_id, session_num FROM sessions WHERE log = $1 AND part = $2 AND closed AND NOT retired \
                             AND opened_at_us <= $3 AND updated_at_us <= $3 ORDER BY opened_at_us, id LIMIT $4";
const SESSIONS: &str = concat!(session_select!(), " WHERE s.id IN (");

const STREAMS: &str = "SELECT ledger, race, now FROM streams WHERE session = $1 ORDER BY driver, run LIMIT $2";
const FIELD: &str = "SELECT * FROM field WHERE session = $1 ORDER BY driver, run, slot LIMIT $2";
const FACTS: &str = "SELECT body FROM facts WHERE session = $1 ORDER BY entry, number, driver, run, timeline LIMIT $2";
const LAPS: &str = "SELECT body FROM laps WHERE session = $1 ORDER BY entry, number LIMIT $2";
const ROWS: &str = "SELECT * FROM rows WHERE session = $1 ORDER BY driver, run, timeline, slot, tick, kind LIMIT $2";

/// Nothing that a row becomes takes less.
const ROW_MIN_BYTES: u64 = 256;

/// As [`Steps::begin`](crate::Steps::begin), in one transaction.
pub(super) async fn begin(c: &mut dyn Sql, lease: Lease) -> Result<Beginning, StoreError> {
    let checkpoint = owned(c, &lease).await?;
    let of = values![&lease.log.0, lease.partition];
    Ok(Beginning { checkpoint, open: all(c, OPEN, &of, key).await?, accounts: all(c, ACCOUNTS, &of, body).await? })
}

/// As [`Steps::closed_before`](crate::Steps::closed_before), in one transaction.
pub(super) async fn closed_before(c: &mut dyn Sql, lease: Lease, us: i64, limit: u32) -> Result<Vec<SessionKey>, StoreError> {
    owned(c, &lease).await?;
    all(c, CLOSED_BEFORE, &values![&lease.log.0, lease.partition, us, limit], key).await
}

fn key(row: &dyn Row) -> Result<SessionKey, StoreError> {
    let id = u128::from_be_bytes(found::id(row, "source_id")?);
    let source = Source { sim: Sim(number(row, "sim")?), id, session_num: number(row, "session_num")? };
    Ok(SessionKey { tenant: TenantId(short_id(row, "tenant")?), source })
}

/// As [`Steps::find`](crate::Steps::find), in one transaction.
pub(super) async fn find(c: &mut dyn Sql, lease: Lease, sessions: Vec<SessionId>, max_bytes: u64) -> Result<Vec<Found>, StoreError> {
    owned(c, &lease).await?;
    let mut infos = BTreeMap::new();
    select(c, SESSIONS, &sessions, |session| values![session], ")", &mut |row| {
        if row.text("log")? == lease.log.0 && number::<u32>(row, "part")? == lease.partition {
            let info = found::session(row)?;
            infos.insert(info.id, info);
        }
        Ok(())
    })
    .await?;
    let (mut all, mut bytes) = (vec![], 0);
    for id in sessions {
        let Some(info) = infos.remove(&id) else {
            all.push(Found::Nothing(id));
            continue;
        };
        if bytes >= FOUND_AT_ONCE_BYTES {
            break;
        }
        let mut room = Room { left: max_bytes };
        let state = state(c, &info, &mut room).await?;
        bytes += max_bytes - room.left;
        all.push(state.map_or_else(|| Found::TooLarge(Box::new(info)), |state| Found::Whole(Box::new(state))));
    }
    Ok(all)
}

/// The state of a session; `None`: there is no room for it.
async fn state(c: &mut dyn Sql, info: &SessionInfo, room: &mut Room) -> Result<Option<SessionState>, StoreError> {
    let (mut state, id) = (SessionState::new(info.clone()), &info.id);
    if info.retired {
        room.takes(info_bytes(info));
        return Ok(Some(state));
    }
    if !room.takes(info_bytes(info)) {
        return Ok(None);
    }
    let Some(streams) = within(c, STREAMS, id, room, |stream: &StreamState| stream_bytes(&stream.race), stream).await? else { return Ok(None) };
    let Some(field) = within(c, FIELD, id, room, |(_, car)| field_bytes(car), seen).await? else { return Ok(None) };
    let Some(facts) = within(c, FACTS, id, room, fact_bytes, body).await? else { return Ok(None) };
    let Some(laps) = within(c, LAPS, id, room, lap_bytes, body).await? else { return Ok(None) };
    let Some(rows) = within(c, ROWS, id, room, row_bytes, found::any_row).await? else { return Ok(None) };
    (state.streams, state.facts, state.laps, state.rows) = (streams, facts, laps, rows);
    let mut field = field.into_iter().peekable();
    for stream in &mut state.streams {
        let StreamKey { session, driver, run, .. } = stream.ledger.stream;
        stream.field.extend(std::iter::from_fn(|| field.next_if(|(by, _)| *by == (session, driver, run))).map(|(_, state)| state));
    }
    Ok(Some(state))
}

/// How many bytes of memory may still be taken.
struct Room {
    left: u64,
}

impl Room {
    /// Take some; whether there was enough.
    fn takes(&mut self, bytes: u64) -> bool {
        let fits = bytes <= self.left;
        self.left = self.left.saturating_sub(bytes);
        fits
    }
}

/// The rows that `sql` finds of a session; `None`: there is no room for them. No more are read than there could be room for.
async fn within<T: Send>(
    c: &mut dyn Sql,
    sql: &str,
    session: &SessionId,
    room: &mut Room,
    bytes: impl Fn(&T) -> u64 + Send,
    one: impl Fn(&dyn Row) -> Result<T, StoreError> + Send,
) -> Result<Option<Vec<T>>, StoreError> {
    let most = i64::try_from(room.left / ROW_MIN_BYTES + 1).unwrap_or(i64::MAX);
    let mut found = Some(vec![]);
    let rows = &mut found;
    c.query(sql, &values![session, most], &mut move |row| {
        if let Some(kept) = rows {
            let one = one(row)?;
            if room.takes(bytes(&one)) { kept.push(one) } else { *rows = None }
        }
        Ok(())
    })
    .await?;
    Ok(found)
}
