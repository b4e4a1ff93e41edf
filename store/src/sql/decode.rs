//! What rows say. Included twice, see [`crate::sql`].

use boxbox_schemas::frame::Flags;
use boxbox_schemas::results::{CarNow, FlagChange, IncidentStep, SessionInfo};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId, Sim, Source, TenantId};
use serde::de::DeserializeOwned;
use sqlx::{Decode, Type};

use super::error::from_sqlx;
use super::{Db, Row};
use crate::StoreError;
use crate::sql::rows::{Description, parse};

/// A `sessions` row joined with its `descriptions` row's body, if any.
pub(super) fn session(row: &Row) -> Result<SessionInfo, StoreError> {
    let description = match column::<Option<&str>>(row, "description")? {
        Some(body) => parse(body)?,
        None => Description::default(),
    };
    Ok(SessionInfo {
        id: SessionId(id(row, "id")?),
        tenant: TenantId(short_id(row, "tenant")?),
        source: Source { sim: Sim(number(row, "sim")?), id: u128::from_be_bytes(id(row, "source_id")?), session_num: number(row, "session_num")? },
        opened_at_us: column(row, "opened_at_us")?,
        updated_at_us: column(row, "updated_at_us")?,
        sim_time_us: column(row, "sim_time_us")?,
        closed: column(row, "closed")?,
        retired: column(row, "retired")?,
        meta: description.meta,
        meta_from: description.from,
    })
}

pub(super) fn incident(row: &Row) -> Result<IncidentStep, StoreError> {
    Ok(IncidentStep {
        session: SessionId(id(row, "session")?),
        entry: EntryId(short_id(row, "entry")?),
        driver: DriverId(short_id(row, "driver")?),
        run: RunId(id(row, "run")?),
        timeline: number(row, "timeline")?,
        tick: number(row, "tick")?,
        sim_time_us: column(row, "sim_time_us")?,
        from: number(row, "count_from")?,
        to: number(row, "count_to")?,
        superseded: column(row, "superseded")?,
        late: column(row, "late")?,
    })
}

pub(super) fn flag(row: &Row) -> Result<FlagChange, StoreError> {
    Ok(FlagChange {
        session: SessionId(id(row, "session")?),
        entry: EntryId(short_id(row, "entry")?),
        driver: DriverId(short_id(row, "driver")?),
        run: RunId(id(row, "run")?),
        timeline: number(row, "timeline")?,
        tick: number(row, "tick")?,
        sim_time_us: column(row, "sim_time_us")?,
        from: Flags(number(row, "flags_from")?),
        to: Flags(number(row, "flags_to")?),
        superseded: column(row, "superseded")?,
        late: column(row, "late")?,
    })
}

/// A `now` column.
pub(super) fn now(row: &Row) -> Result<Option<CarNow>, StoreError> {
    column::<Option<&str>>(row, "now")?.map(parse).transpose()
}

pub(super) fn column<'r, T: Decode<'r, Db> + Type<Db>>(row: &'r Row, name: &str) -> Result<T, StoreError> {
    sqlx::Row::try_get(row, name).map_err(from_sqlx)
}

/// An unsigned number.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, name: &str) -> Result<T, StoreError> {
    let stored: i64 = column(row, name)?;
    T::try_from(stored).map_err(|_| StoreError::Unreadable(format!("{name} is {stored}")))
}

/// An id of 16 bytes.
pub(super) fn id(row: &Row, name: &str) -> Result<[u8; 16], StoreError> {
    let stored: &[u8] = column(row, name)?;
    stored.try_into().map_err(|_| StoreError::Unreadable(format!("{name} has {} bytes", stored.len())))
}

pub(super) fn short_id(row: &Row, name: &str) -> Result<ShortId, StoreError> {
    ShortId::new(column(row, name)?).map_err(|e| StoreError::Unreadable(format!("{name}: {e}")))
}

/// A column of JSON.
pub(super) fn body<T: DeserializeOwned>(row: &Row, name: &str) -> Result<T, StoreError> {
    parse(column(row, name)?)
}
