//! [`Found`]: a row that a statement found, and the values of its columns.

use boxbox_schemas::results::{AnyRow, CarNow, FIRST_RULES, RowHead, RowKey, RowKind, SessionInfo};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId, Sim, Source, TenantId};
use serde::de::DeserializeOwned;

use super::rows::{Description, parse};
use crate::StoreError;

/// A row, read by the names of its columns. A column that is missing, or has another type, is [`StoreError::Unreadable`].
pub(crate) trait Found {
    /// A whole number.
    fn int(&self, name: &str) -> Result<i64, StoreError>;
    /// A whole number, if there is one.
    fn maybe_int(&self, name: &str) -> Result<Option<i64>, StoreError>;
    /// Text.
    fn text(&self, name: &str) -> Result<&str, StoreError>;
    /// Text, if there is any.
    fn maybe_text(&self, name: &str) -> Result<Option<&str>, StoreError>;
    /// Bytes.
    fn bytes(&self, name: &str) -> Result<&[u8], StoreError>;
    /// Yes or no.
    fn bool(&self, name: &str) -> Result<bool, StoreError>;
}

/// [`Found`] for a row of sqlx's.
macro_rules! found {
    ($row:ty, $from_sqlx:path) => {
        impl $crate::sql::Found for $row {
            fn int(&self, name: &str) -> Result<i64, $crate::StoreError> {
                sqlx::Row::try_get(self, name).map_err($from_sqlx)
            }
            fn maybe_int(&self, name: &str) -> Result<Option<i64>, $crate::StoreError> {
                sqlx::Row::try_get(self, name).map_err($from_sqlx)
            }
            fn text(&self, name: &str) -> Result<&str, $crate::StoreError> {
                sqlx::Row::try_get(self, name).map_err($from_sqlx)
            }
            fn maybe_text(&self, name: &str) -> Result<Option<&str>, $crate::StoreError> {
                sqlx::Row::try_get(self, name).map_err($from_sqlx)
            }
            fn bytes(&self, name: &str) -> Result<&[u8], $crate::StoreError> {
                sqlx::Row::try_get(self, name).map_err($from_sqlx)
            }
            fn bool(&self, name: &str) -> Result<bool, $crate::StoreError> {
                sqlx::Row::try_get(self, name).map_err($from_sqlx)
            }
        }
    };
}

/// An unsigned number.
pub(crate) fn number<T: TryFrom<i64>>(row: &dyn Found, name: &str) -> Result<T, StoreError> {
    let stored = row.int(name)?;
    T::try_from(stored).map_err(|_| StoreError::Unreadable(format!("{name} is {stored}")))
}

/// An id of 16 bytes.
pub(crate) fn id(row: &dyn Found, name: &str) -> Result<[u8; 16], StoreError> {
    let stored = row.bytes(name)?;
    stored.try_into().map_err(|_| StoreError::Unreadable(format!("{name} has {} bytes", stored.len())))
}

pub(crate) fn short_id(row: &dyn Found, name: &str) -> Result<ShortId, StoreError> {
    ShortId::new(row.text(name)?).map_err(|e| StoreError::Unreadable(format!("{name}: {e}")))
}

/// A column of JSON.
pub(super) fn json<T: DeserializeOwned>(row: &dyn Found, name: &str) -> Result<T, StoreError> {
    parse(row.text(name)?)
}

/// A `body` column.
pub(super) fn body<T: DeserializeOwned>(row: &dyn Found) -> Result<T, StoreError> {
    json(row, "body")
}

/// A `now` column.
pub(super) fn now(row: &dyn Found) -> Result<Option<CarNow>, StoreError> {
    row.maybe_text("now")?.map(parse).transpose()
}

/// A `run` column.
pub(super) fn run(row: &dyn Found) -> Result<RunId, StoreError> {
    Ok(RunId(id(row, "run")?))
}

/// A `sessions` row joined with its `descriptions` row's body, if any.
pub(super) fn session(row: &dyn Found) -> Result<SessionInfo, StoreError> {
    let description = match row.maybe_text("description")? {
        Some(body) => parse(body)?,
        None => Description::default(),
    };
    Ok(SessionInfo {
        id: SessionId(id(row, "id")?),
        tenant: TenantId(short_id(row, "tenant")?),
        source: Source { sim: Sim(number(row, "sim")?), id: u128::from_be_bytes(id(row, "source_id")?), session_num: number(row, "session_num")? },
        opened_at_us: row.int("opened_at_us")?,
        updated_at_us: row.int("updated_at_us")?,
        sim_time_us: row.int("sim_time_us")?,
        closed: row.bool("closed")?,
        retired: row.bool("retired")?,
        meta: description.meta,
        meta_from: description.from,
        rules: description.rules.unwrap_or(FIRST_RULES),
        provisional: description.provisional,
        disputes: description.disputes,
        limited: description.limited,
        conflicts: description.conflicts,
        excluded: description.excluded,
        refused: description.refused,
    })
}

/// A row of `rows`.
pub(super) fn any_row(row: &dyn Found) -> Result<AnyRow, StoreError> {
    let seen_as = row.maybe_text("seen_as")?.map(ShortId::new).transpose().map_err(|e| StoreError::Unreadable(format!("seen_as: {e}")))?;
    let key = RowKey {
        driver: DriverId(short_id(row, "driver")?),
        run: run(row)?,
        timeline: number(row, "timeline")?,
        slot: number(row, "slot")?,
        tick: number(row, "tick")?,
    };
    let head = RowHead {
        session: SessionId(id(row, "session")?),
        key,
        entry: EntryId(short_id(row, "entry")?),
        seen_as: seen_as.map(EntryId),
        field: row.bool("field")?,
        sim_time_us: row.int("sim_time_us")?,
        until_us: row.maybe_int("until_us")?,
        superseded: row.bool("superseded")?,
        late: row.bool("late")?,
    };
    Ok(AnyRow { kind: RowKind(short_id(row, "kind")?), head, body: row.text("body")?.into() })
}
