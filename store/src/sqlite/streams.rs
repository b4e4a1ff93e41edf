//! A stream and its sequence numbers, as the archive's columns store them.

use boxbox_schemas::{DriverId, RunId, SessionId, StreamKey, TenantId};

use crate::StoreError;
use crate::sql::{Found, Value, id, short_id};

pub(super) fn stream_values(stream: &StreamKey) -> [Value<'_>; 4] {
    values![&stream.tenant, &stream.session, &stream.driver, &stream.run]
}

pub(super) fn stream(row: &dyn Found) -> Result<StreamKey, StoreError> {
    Ok(StreamKey {
        tenant: TenantId(short_id(row, "tenant")?),
        session: SessionId(id(row, "session")?),
        driver: DriverId(short_id(row, "driver")?),
        run: RunId(id(row, "run")?),
    })
}

/// Sequence numbers are below 2^48 (W4); a query may ask for more.
pub(super) fn clamped(seq: u64) -> i64 {
    i64::try_from(seq).unwrap_or(i64::MAX)
}
