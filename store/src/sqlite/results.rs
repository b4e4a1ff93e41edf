//! [`SqliteResults`].

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::results::{CarNow, FlagChange, IncidentStep, Lap, Ledger, PitVisit, SessionInfo};
use boxbox_schemas::{EntryId, LogId, SessionId, TenantId};
use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::QueryBuilder;
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteRow, SqliteSynchronous};

use super::File;
use super::commit::{acquire, commit, load};
use super::error::from_sqlx;
use super::rows::{self, Rows, column, number};
use crate::rules::check_step;
use crate::{LapFilter, Lease, PartitionState, Quarantined, Results, SessionCursor, Step, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite/results");

macro_rules! session_select {
    () => {
        "SELECT s.*, d.body AS description FROM sessions s LEFT JOIN descriptions d ON d.session = s.id"
    };
}
pub(super) use session_select;

/// ?1 tenant, ?2 session. Each entry of a session by one step in the index to the next: few, whatever laps there are.
macro_rules! entries {
    () => {
        "WITH RECURSIVE entries (entry) AS ( \
         SELECT (SELECT l.entry FROM laps l WHERE l.session = ?2 AND EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND tenant = ?1) ORDER BY l.entry LIMIT 1) \
         UNION ALL SELECT (SELECT l.entry FROM laps l WHERE l.session = ?2 AND l.entry > e.entry ORDER BY l.entry LIMIT 1) \
         FROM entries e WHERE e.entry IS NOT NULL) "
    };
}

/// ?3 the moment.
pub(super) const LAPS_AT: &str = concat!(
    entries!(),
    "SELECT l.body FROM entries e CROSS JOIN laps l WHERE l.session = ?2 AND l.entry = e.entry AND l.number IN ( \
     SELECT b.number FROM laps b WHERE b.session = ?2 AND b.entry = e.entry AND NOT b.superseded AND b.start_us <= ?3 \
     ORDER BY b.start_us DESC, b.number DESC LIMIT 2) ORDER BY l.entry, l.number"
);

/// ?3 the moment.
pub(super) const BEST_LAPS: &str = concat!(
    entries!(),
    "SELECT l.body FROM entries e CROSS JOIN laps l WHERE l.session = ?2 AND l.entry = e.entry AND l.number = ( \
     SELECT b.number FROM laps b WHERE b.session = ?2 AND b.entry = e.entry AND NOT b.superseded AND b.reasons = 0 AND b.end_us <= ?3 \
     ORDER BY b.time_us, b.end_us, b.number LIMIT 1) ORDER BY l.entry"
);

/// [`Results`] in one SQLite file.
pub struct SqliteResults {
    pub(super) file: File,
}

impl SqliteResults {
    /// Open the file at `path`, or make it. Every committed step survives a power cut.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: File::open(path, SqliteSynchronous::Full, &MIGRATIONS).await? })
    }

    /// Wait for what is being written, then close the file.
    pub async fn close(&self) {
        self.file.close().await;
    }

    /// The quarantined records of a partition, oldest first.
    pub async fn quarantine(&self, log: &LogId, partition: u32) -> Result<Vec<Quarantined>, StoreError> {
        let query = sqlx::query("SELECT log_offset, reason, record FROM quarantine WHERE log = ? AND part = ? ORDER BY log_offset");
        let one = |row: SqliteRow| {
            let record = Bytes::copy_from_slice(column(&row, "record")?);
            Ok(Quarantined { offset: number(&row, "log_offset")?, reason: column(&row, "reason")?, record })
        };
        self.all(query.bind(log.0.as_str()).bind(partition), one).await
    }

    async fn all<T>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        one: impl Fn(SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let all = async {
            let mut found = vec![];
            let mut rows = query.fetch(&self.file.readers);
            while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
                found.push(one(row)?);
            }
            Ok(found)
        };
        self.file.noted(all.await)
    }
}

#[async_trait]
impl Results for SqliteResults {
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError> {
        let log = log.clone();
        self.file.write(move |c| Box::pin(acquire(c, log, partition))).await
    }

    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError> {
        let lease = lease.clone();
        self.file.write(move |c| Box::pin(load(c, lease))).await
    }

    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        check_step(lease, step)?;
        let (lease, step, rows) = (lease.clone(), Arc::new(step.clone()), Rows::of(step)?);
        self.file.write(move |c| Box::pin(commit(c, lease, step, rows))).await
    }

    async fn sessions(&self, tenant: &TenantId, after: Option<SessionCursor>, limit: u32) -> Result<Vec<SessionInfo>, StoreError> {
        let Some(after) = after else {
            let query = sqlx::query(concat!(session_select!(), " WHERE s.tenant = ? ORDER BY s.opened_at_us DESC, s.id LIMIT ?"));
            return self.all(query.bind(tenant.as_str()).bind(limit), |row| rows::session(&row)).await;
        };
        let query = sqlx::query(concat!(
            session_select!(),
            " WHERE s.tenant = ? AND s.opened_at_us <= ? AND (s.opened_at_us < ? OR s.id > ?) ORDER BY s.opened_at_us DESC, s.id LIMIT ?"
        ));
        let query = query.bind(tenant.as_str()).bind(after.opened_at_us).bind(after.opened_at_us).bind(&after.id.0[..]).bind(limit);
        self.all(query, |row| rows::session(&row)).await
    }

    async fn session(&self, tenant: &TenantId, session: &SessionId) -> Result<Option<SessionInfo>, StoreError> {
        let query = sqlx::query(concat!(session_select!(), " WHERE s.tenant = ? AND s.id = ?")).bind(tenant.as_str()).bind(&session.0[..]);
        Ok(self.all(query, |row| rows::session(&row)).await?.pop())
    }

    async fn laps(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        filter: &LapFilter,
        after: Option<(EntryId, u32)>,
        limit: u32,
    ) -> Result<Vec<Lap>, StoreError> {
        match laps_query(tenant, session, filter, after, limit) {
            Some(mut query) => self.all(query.build(), |row| rows::body(&row, "body")).await,
            None => Ok(vec![]),
        }
    }

    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError> {
        let query = sqlx::query(LAPS_AT).bind(tenant.as_str()).bind(&session.0[..]).bind(at_us);
        self.all(query, |row| rows::body(&row, "body")).await
    }

    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, until_us: i64) -> Result<Vec<Lap>, StoreError> {
        let query = sqlx::query(BEST_LAPS).bind(tenant.as_str()).bind(&session.0[..]).bind(until_us);
        self.all(query, |row| rows::body(&row, "body")).await
    }

    async fn lap(&self, tenant: &TenantId, session: &SessionId, entry: &EntryId, number: u32) -> Result<Option<Lap>, StoreError> {
        let query = sqlx::query(
            "SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session \
             WHERE s.tenant = ? AND l.session = ? AND l.entry = ? AND l.number = ? AND NOT l.superseded",
        );
        let query = query.bind(tenant.as_str()).bind(&session.0[..]).bind(entry.as_str()).bind(number);
        Ok(self.all(query, |row| rows::body(&row, "body")).await?.pop())
    }

    async fn incidents(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<IncidentStep>, StoreError> {
        let query = sqlx::query(
            "SELECT i.* FROM incidents i JOIN sessions s ON s.id = i.session WHERE s.tenant = ? AND i.session = ? AND NOT i.superseded \
             ORDER BY i.entry, i.sim_time_us, i.driver, i.run, i.timeline, i.tick",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| rows::incident(&row)).await
    }

    async fn pit_visits(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<PitVisit>, StoreError> {
        let query = sqlx::query(
            "SELECT v.body FROM pit_visits v JOIN sessions s ON s.id = v.session WHERE s.tenant = ? AND v.session = ? AND NOT v.superseded \
             ORDER BY v.entry, v.enter_us, v.driver, v.run, v.slot, v.timeline, v.tick",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| rows::body(&row, "body")).await
    }

    async fn flags(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<FlagChange>, StoreError> {
        let query = sqlx::query(
            "SELECT f.* FROM flags f JOIN sessions s ON s.id = f.session WHERE s.tenant = ? AND f.session = ? AND NOT f.superseded \
             ORDER BY f.sim_time_us, f.entry, f.driver, f.run, f.timeline, f.tick",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| rows::flag(&row)).await
    }

    async fn cars(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<CarNow>, StoreError> {
        // A stream's own car first, then those that it sees; the entry is known to the body alone.
        let query = sqlx::query(
            "SELECT t.now, t.driver AS driver, t.run AS run, -1 AS slot FROM streams t JOIN sessions s ON s.id = t.session \
             WHERE s.tenant = ?1 AND t.session = ?2 AND t.now IS NOT NULL \
             UNION ALL SELECT f.now, f.driver, f.run, f.slot FROM field f JOIN sessions s ON s.id = f.session \
             WHERE s.tenant = ?1 AND f.session = ?2 AND f.now IS NOT NULL ORDER BY driver, run, slot",
        );
        let query = query.bind(tenant.as_str()).bind(&session.0[..]);
        let mut cars: Vec<CarNow> = self.all(query, |row| rows::body(&row, "now")).await?;
        cars.sort_by_key(|car| (car.entry, car.driver, car.run, car.slot));
        Ok(cars)
    }

    async fn ledgers(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<Ledger>, StoreError> {
        let query = sqlx::query(
            "SELECT t.ledger FROM streams t JOIN sessions s ON s.id = t.session WHERE s.tenant = ? AND t.session = ? ORDER BY t.driver, t.run",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| rows::body(&row, "ledger")).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.file.ping().await
    }
}

/// The laps asked for; `None` if there can be none.
///
/// Conditions are put into the text as they are needed, so that each text has a plan that begins where its first row is:
/// of one entry by number, of all by (entry, number).
pub(super) fn laps_query(
    tenant: &TenantId,
    session: &SessionId,
    filter: &LapFilter,
    after: Option<(EntryId, u32)>,
    limit: u32,
) -> Option<QueryBuilder<Sqlite>> {
    let mut query = QueryBuilder::new("SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session WHERE NOT l.superseded AND s.tenant = ");
    query.push_bind(tenant.as_str().to_owned()).push(" AND l.session = ").push_bind(session.0.to_vec());
    let mut from = filter.from_number.unwrap_or(0);
    match (&filter.entry, after) {
        (None, None) => {}
        (None, Some((entry, number))) => {
            query.push(" AND (l.entry, l.number) > (").push_bind(entry.as_str().to_owned()).push(", ").push_bind(number).push(")");
        }
        (Some(entry), after) => {
            query.push(" AND l.entry = ").push_bind(entry.as_str().to_owned());
            match after {
                Some((last, _)) if last > *entry => return None,
                Some((last, number)) if last == *entry => from = from.max(number.checked_add(1)?),
                _ => {}
            }
        }
    }
    if from > 0 {
        query.push(" AND l.number >= ").push_bind(from);
    }
    if let Some(to) = filter.to_number {
        query.push(" AND l.number <= ").push_bind(to);
    }
    if let Some(driver) = &filter.driver {
        query.push(" AND l.driver = ").push_bind(driver.as_str().to_owned());
    }
    if let Some(valid) = filter.valid {
        query.push(if valid { " AND l.reasons = 0" } else { " AND l.reasons <> 0" });
    }
    query.push(" ORDER BY l.entry, l.number LIMIT ").push_bind(limit);
    Some(query)
}
