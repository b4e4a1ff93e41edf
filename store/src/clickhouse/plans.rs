//! Plans and cursors in PostgreSQL: the content of a block's INSERT, decided in one fenced transaction.
//!
//! A plan is a block's last offset, the CRC of its last record, the cursors of its streams before it, and a token. The token names
//! the generation, the log, the partition and the offsets of the block ([`plan`]), so that the same block has the same token when it
//! is made again. A block that ClickHouse lost gets a new token, which ClickHouse cannot know ([`renew`]).

use std::collections::BTreeMap;

use boxbox_schemas::results::Checkpoint;
use boxbox_schemas::{DriverId, RunId, SessionId, ShortId, StreamKey, TenantId};
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::records::count;
use super::resume::{Plan, Planned};
use crate::postgres::from_sqlx;
use crate::rules::check_same_record;
use crate::sql::owned;
use crate::{ArchiveBlock, FrameRun, Lease, StoreError, StreamRecords};

/// Plans are kept for this time, and at least this many of each partition: ClickHouse can be restored as far back.
const KEPT_PLANS: i64 = 1_000;
const KEPT_FOR: &str = "7 days";

const COLUMNS: &str = "last_offset, crc, behind, token, frames, records, appended_us, confirmed, before";

/// Plans beyond `$3` whose blocks are made again. The newest plan does not count: it is always unconfirmed.
const MADE_AGAIN: &str =
    "NOT confirmed AND last_offset > $3 AND last_offset < (SELECT max(last_offset) FROM archive_plans WHERE log = $1 AND part = $2)";

/// What is to be done with a block.
#[derive(Debug)]
pub(super) enum Planning {
    /// Nothing: its frames are stored, or it has none.
    Nothing,
    /// Insert these runs, in the table's order, under the token.
    Insert {
        /// The rows of frames.
        runs: Vec<FrameRun>,
        /// The rows of records of other kinds.
        records: Vec<StreamRecords>,
        /// The plan's token.
        token: String,
        /// If the block was planned before: its rows may be stored already.
        again: Option<Again>,
    },
}

/// The rows of a block that was planned before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Again {
    /// How many frames it had then.
    pub(super) frames: u64,
    /// How many records it had then; `None`: they were not kept then.
    pub(super) records: Option<u64>,
}

/// Plan a block, or find that it is planned.
pub(super) async fn plan(c: &mut PgConnection, lease: &Lease, generation: u32, block: &ArchiveBlock) -> Result<Planning, StoreError> {
    owned(c, lease).await?;
    let at = &block.checkpoint;
    let newest = one(c, lease, "last_offset <= $3", i64::MAX).await?;
    let known = match &newest {
        Some(newest) if newest.last > at.offset => one(c, lease, "last_offset = $3", signed(at.offset)?).await?,
        newest => newest.clone().filter(|newest| newest.last == at.offset),
    };
    if let Some(plan) = known {
        let record = Checkpoint { offset: plan.last, crc: plan.crc, ..at.clone() };
        check_same_record(&record, at)?;
        confirm(c, lease, plan.last).await?;
        return planned_before(block, plan);
    }
    if newest.as_ref().is_some_and(|newest| newest.last > at.offset) {
        let open = one(c, lease, MADE_AGAIN, signed(at.offset)?).await?;
        return match open {
            Some(open) => Err(StoreError::Refused(format!("a block up to {}, where that up to {} is made again", at.offset, open.last))),
            None => Ok(Planning::Nothing),
        };
    }
    let before = cursors_of(c, block).await?;
    let (runs, records) = beyond(block, &before)?;
    let behind = newest.map(|newest| newest.last);
    let first = behind.map_or(0, |last| last + 1);
    let token = format!("{generation}:{}:{}:{first}-{}", at.log, at.partition, at.offset);
    confirm(c, lease, at.offset).await?;
    let query = sqlx::query(
        "INSERT INTO archive_plans (log, part, last_offset, crc, behind, token, frames, records, appended_us, before) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
    );
    let query = query.bind(at.log.0.as_str()).bind(i64::from(at.partition)).bind(signed(at.offset)?).bind(i64::from(at.crc));
    let query = query.bind(behind.map(signed).transpose()?).bind(&token).bind(frames_of(&runs) as i64);
    let query = query.bind(count(&records) as i64).bind(block.appended_at_us);
    query.bind(packed(&before)).execute(&mut *c).await.map_err(from_sqlx)?;
    put_cursors(c, block).await?;
    forget_old(c, lease).await?;
    Ok(if runs.is_empty() && records.is_empty() { Planning::Nothing } else { Planning::Insert { runs, records, token, again: None } })
}

/// The newest plans, `depth` or more: see [`Planned`].
pub(super) async fn planned(c: &mut PgConnection, lease: &Lease, depth: i64) -> Result<Planned, StoreError> {
    owned(c, lease).await?;
    let sql = format!(
        "SELECT {COLUMNS} FROM archive_plans WHERE log = $1 AND part = $2 AND last_offset >= LEAST( \
         (SELECT min(last_offset) FROM archive_plans WHERE log = $1 AND part = $2 AND NOT confirmed), \
         (SELECT min(last_offset) FROM (SELECT last_offset FROM archive_plans WHERE log = $1 AND part = $2 \
          ORDER BY last_offset DESC LIMIT $3) AS newest)) ORDER BY last_offset DESC"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).bind(depth);
    let plans: Vec<Plan> = query.fetch_all(&mut *c).await.map_err(from_sqlx)?.iter().map(read_plan).collect::<Result<_, _>>()?;
    let query = sqlx::query("SELECT tenant, session, driver, run, next_seq FROM archive_cursors WHERE log = $1 AND part = $2");
    let rows = query.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).fetch_all(&mut *c).await.map_err(from_sqlx)?;
    let cursors = rows.iter().map(cursor).collect::<Result<_, _>>()?;
    let older = match plans.last() {
        Some(oldest) => one(c, lease, "last_offset < $3", signed(oldest.last)?).await?,
        None => None,
    };
    Ok(Planned { plans, all: older.is_none(), cursors })
}

/// Give the plans of `offsets`, whose rows are gone, tokens that ClickHouse cannot know; returns the newest of these tokens.
pub(super) async fn renew(c: &mut PgConnection, lease: &Lease, offsets: &[u64]) -> Result<String, StoreError> {
    owned(c, lease).await?;
    let offsets: Vec<i64> = offsets.iter().map(|o| signed(*o)).collect::<Result<_, _>>()?;
    let query = sqlx::query_scalar(
        "UPDATE archive_plans SET confirmed = FALSE, \
         token = split_part(token, ':again-', 1) || ':again-' || $3 || '-' || (extract(epoch FROM clock_timestamp()) * 1000000)::BIGINT \
         WHERE log = $1 AND part = $2 AND last_offset = ANY($4) RETURNING token",
    );
    let query = query.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).bind(lease.epoch.to_string()).bind(offsets);
    query.fetch_all(c).await.map_err(from_sqlx)?.pop().ok_or_else(|| StoreError::Refused("there is no such plan".into()))
}

fn planned_before(block: &ArchiveBlock, plan: Plan) -> Result<Planning, StoreError> {
    let before: BTreeMap<StreamKey, u64> = plan.before.into_iter().collect();
    let (runs, records) = beyond(block, &before)?;
    let again = Again { frames: plan.frames, records: plan.records };
    let nothing = plan.frames == 0 && plan.records.unwrap_or(count(&records)) == 0;
    Ok(if nothing { Planning::Nothing } else { Planning::Insert { runs, records, token: plan.token, again: Some(again) } })
}

/// The part of a block's runs and records that is not below the cursors, in the tables' order.
fn beyond(block: &ArchiveBlock, before: &BTreeMap<StreamKey, u64>) -> Result<(Vec<FrameRun>, Vec<StreamRecords>), StoreError> {
    let cursor = |stream: &StreamKey| before.get(stream).copied().unwrap_or(0);
    let cut = |run: &FrameRun| run.within(cursor(&run.stream), u64::MAX);
    let mut runs: Vec<FrameRun> = block.runs.iter().filter_map(|run| cut(run).transpose()).collect::<Result<_, _>>()?;
    runs.sort_by_key(|run| (run.stream, run.first_seq()));
    let new = |of: &StreamRecords| {
        let records = of.records.iter().filter(|record| record.first_seq >= cursor(&of.stream)).cloned();
        StreamRecords { stream: of.stream, records: records.collect() }
    };
    let mut records: Vec<StreamRecords> = block.records.iter().map(new).filter(|of| !of.records.is_empty()).collect();
    records.sort_by_key(|of| of.stream);
    Ok((runs, records))
}

pub(super) fn frames_of(runs: &[FrameRun]) -> u64 {
    runs.iter().map(FrameRun::count).sum()
}

/// The newest plan of which `condition` is true, `$3` being `offset`.
async fn one(c: &mut PgConnection, lease: &Lease, condition: &'static str, offset: i64) -> Result<Option<Plan>, StoreError> {
    let sql = format!("SELECT {COLUMNS} FROM archive_plans WHERE log = $1 AND part = $2 AND {condition} ORDER BY last_offset DESC LIMIT 1");
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).bind(offset);
    query.fetch_optional(c).await.map_err(from_sqlx)?.as_ref().map(read_plan).transpose()
}

/// Confirm all plans before `offset`: a process begins or repeats that block only after the earlier ones were stored.
async fn confirm(c: &mut PgConnection, lease: &Lease, offset: u64) -> Result<(), StoreError> {
    let query = sqlx::query("UPDATE archive_plans SET confirmed = TRUE WHERE log = $1 AND part = $2 AND last_offset < $3 AND NOT confirmed");
    let query = query.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).bind(signed(offset)?);
    query.execute(c).await.map(drop).map_err(from_sqlx)
}

async fn forget_old(c: &mut PgConnection, lease: &Lease) -> Result<(), StoreError> {
    let sql = format!(
        "DELETE FROM archive_plans WHERE log = $1 AND part = $2 AND confirmed AND planned_at < now() - INTERVAL '{KEPT_FOR}' AND last_offset < \
         (SELECT last_offset FROM archive_plans WHERE log = $1 AND part = $2 ORDER BY last_offset DESC OFFSET {KEPT_PLANS} LIMIT 1)"
    );
    let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(lease.log.0.as_str()).bind(i64::from(lease.partition));
    query.execute(c).await.map(drop).map_err(from_sqlx)
}

/// The cursors of the block's streams; 0: there is none yet.
async fn cursors_of(c: &mut PgConnection, block: &ArchiveBlock) -> Result<BTreeMap<StreamKey, u64>, StoreError> {
    let mut found: BTreeMap<StreamKey, u64> = block.cursors.iter().map(|(stream, _)| (*stream, 0)).collect();
    let keys = Keys::of(found.keys());
    let query = sqlx::query(
        "SELECT tenant, session, driver, run, next_seq FROM archive_cursors JOIN UNNEST($1::TEXT[], $2::BYTEA[], $3::TEXT[], $4::BYTEA[]) \
         AS asked (tenant, session, driver, run) USING (tenant, session, driver, run)",
    );
    let query = query.bind(keys.tenants).bind(keys.sessions).bind(keys.drivers).bind(keys.runs);
    for row in query.fetch_all(c).await.map_err(from_sqlx)? {
        found.extend([cursor(&row)?]);
    }
    Ok(found)
}

async fn put_cursors(c: &mut PgConnection, block: &ArchiveBlock) -> Result<(), StoreError> {
    let mut newest: BTreeMap<StreamKey, u64> = BTreeMap::new();
    for (stream, next) in &block.cursors {
        let known = newest.entry(*stream).or_default();
        *known = (*known).max(*next);
    }
    let keys = Keys::of(newest.keys());
    let nexts: Vec<i64> = newest.values().map(|next| signed(*next)).collect::<Result<_, _>>()?;
    let query = sqlx::query(
        "INSERT INTO archive_cursors (tenant, session, driver, run, next_seq, log, part) \
         SELECT *, $6, $7 FROM UNNEST($1::TEXT[], $2::BYTEA[], $3::TEXT[], $4::BYTEA[], $5::BIGINT[]) \
         ON CONFLICT (tenant, session, driver, run) DO UPDATE SET log = excluded.log, part = excluded.part, \
         next_seq = GREATEST(archive_cursors.next_seq, excluded.next_seq)",
    );
    let query = query.bind(keys.tenants).bind(keys.sessions).bind(keys.drivers).bind(keys.runs).bind(nexts);
    let query = query.bind(block.checkpoint.log.0.as_str()).bind(i64::from(block.checkpoint.partition));
    query.execute(c).await.map(drop).map_err(from_sqlx)
}

/// Streams as columns.
struct Keys {
    tenants: Vec<String>,
    sessions: Vec<Vec<u8>>,
    drivers: Vec<String>,
    runs: Vec<Vec<u8>>,
}

impl Keys {
    fn of<'a>(streams: impl Iterator<Item = &'a StreamKey> + Clone) -> Self {
        Self {
            tenants: streams.clone().map(|s| s.tenant.as_str().to_owned()).collect(),
            sessions: streams.clone().map(|s| s.session.0.to_vec()).collect(),
            drivers: streams.clone().map(|s| s.driver.as_str().to_owned()).collect(),
            runs: streams.map(|s| s.run.0.to_vec()).collect(),
        }
    }
}

fn read_plan(row: &PgRow) -> Result<Plan, StoreError> {
    let number = |name: &str| row.try_get::<i64, _>(name).map_err(from_sqlx);
    let behind: Option<i64> = row.try_get("behind").map_err(from_sqlx)?;
    let before: Vec<u8> = row.try_get("before").map_err(from_sqlx)?;
    Ok(Plan {
        last: number("last_offset")? as u64,
        crc: number("crc")? as u32,
        behind: behind.map(|offset| offset as u64),
        token: row.try_get("token").map_err(from_sqlx)?,
        frames: number("frames")? as u64,
        records: row.try_get::<Option<i64>, _>("records").map_err(from_sqlx)?.map(|records| records as u64),
        appended_us: number("appended_us")?,
        confirmed: row.try_get("confirmed").map_err(from_sqlx)?,
        before: unpacked(&before).ok_or_else(|| StoreError::Unreadable("the cursors of a plan".into()))?,
    })
}

fn cursor(row: &PgRow) -> Result<(StreamKey, u64), StoreError> {
    let text = |name: &str| -> Result<ShortId, StoreError> {
        let text: &str = row.try_get(name).map_err(from_sqlx)?;
        ShortId::new(text).map_err(|e| StoreError::Unreadable(format!("{name}: {e}")))
    };
    let id = |name: &str| -> Result<[u8; 16], StoreError> {
        let bytes: &[u8] = row.try_get(name).map_err(from_sqlx)?;
        bytes.try_into().map_err(|_| StoreError::Unreadable(format!("{name} of {} bytes", bytes.len())))
    };
    let stream = StreamKey {
        tenant: TenantId(text("tenant")?),
        session: SessionId(id("session")?),
        driver: DriverId(text("driver")?),
        run: RunId(id("run")?),
    };
    Ok((stream, row.try_get::<i64, _>("next_seq").map_err(from_sqlx)? as u64))
}

/// Cursors as bytes: texts with their length before them, the next number little endian.
fn packed(cursors: &BTreeMap<StreamKey, u64>) -> Vec<u8> {
    let mut out = vec![];
    for (stream, next) in cursors {
        for text in [stream.tenant.as_str(), stream.driver.as_str()] {
            out.push(text.len() as u8);
            out.extend_from_slice(text.as_bytes());
        }
        out.extend_from_slice(&stream.session.0);
        out.extend_from_slice(&stream.run.0);
        out.extend_from_slice(&next.to_le_bytes());
    }
    out
}

fn unpacked(mut bytes: &[u8]) -> Option<Vec<(StreamKey, u64)>> {
    fn text(bytes: &mut &[u8]) -> Option<ShortId> {
        let length = bytes.split_off_first()?;
        ShortId::new(std::str::from_utf8(bytes.split_off(..(*length).into())?).ok()?).ok()
    }
    fn fixed<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
        bytes.split_off(..N)?.try_into().ok()
    }
    let mut out = vec![];
    while !bytes.is_empty() {
        let (tenant, driver) = (TenantId(text(&mut bytes)?), DriverId(text(&mut bytes)?));
        let (session, run) = (SessionId(fixed(&mut bytes)?), RunId(fixed(&mut bytes)?));
        out.push((StreamKey { tenant, session, driver, run }, u64::from_le_bytes(fixed(&mut bytes)?)));
    }
    Some(out)
}

fn signed(n: u64) -> Result<i64, StoreError> {
    i64::try_from(n).map_err(|_| StoreError::Refused(format!("{n} is no number that a database can hold")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::samples::*;

    #[test]
    fn cursors_come_back_from_their_bytes() {
        let of = |n: u32| stream(&session(tenant("a"), n), n);
        let cursors: BTreeMap<StreamKey, u64> = (0..5).map(|n| (of(n), u64::from(n) << 40)).collect();
        let bytes = packed(&cursors);
        assert_eq!(unpacked(&bytes), Some(cursors.into_iter().collect()));
        assert_eq!(unpacked(&[]), Some(vec![]));
        for end in (1..bytes.len()).filter(|end| end % (bytes.len() / 5) != 0) {
            assert!(unpacked(&bytes[..end]).is_none(), "cut at {end}");
        }
    }
}
