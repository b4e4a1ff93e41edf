//! Results on PostgreSQL: the server profile, which several processors share.

mod database;
mod error;
mod schema;
mod server;

pub use schema::migrate;

#[allow(unused_imports)] // The archive keeps its plans here.
pub(crate) use database::{Database, Work};
#[allow(unused_imports)]
pub(crate) use error::from_sqlx;

use boxbox_schemas::results::Checkpoint;
use sqlx::Row;
use sqlx::postgres::PgConnection;

use crate::{Lease, StoreError};

/// E5: the partition's checkpoint, if the lease is still the newest; nobody else writes the partition until the transaction ends.
#[allow(dead_code)]
pub(crate) async fn owned(c: &mut PgConnection, lease: &Lease) -> Result<Option<Checkpoint>, StoreError> {
    let query = sqlx::query("SELECT epoch, log_offset, crc FROM partitions WHERE log = $1 AND part = $2 FOR UPDATE");
    let row = query.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).fetch_optional(c).await.map_err(from_sqlx)?;
    let newer = row.as_ref().map_or(Ok(0), |row| row.try_get::<i64, _>("epoch")).map_err(from_sqlx)? as u64;
    let Some(row) = row.filter(|_| newer == lease.epoch) else {
        return Err(StoreError::Fenced { partition: lease.partition, mine: lease.epoch, newer });
    };
    let offset: Option<i64> = row.try_get("log_offset").map_err(from_sqlx)?;
    let crc: Option<i64> = row.try_get("crc").map_err(from_sqlx)?;
    Ok(offset.zip(crc).map(|(offset, crc)| Checkpoint { log: lease.log.clone(), partition: lease.partition, offset: offset as u64, crc: crc as u32 }))
}
