//! [`Steps`] and [`Sessions`] of a SQL store, questions and all. Included twice, see [`crate::sql`].

use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::results::{CarNow, FlagChange, IncidentStep, Lap, Ledger, PitVisit, SessionInfo};
use boxbox_schemas::{EntryId, LogId, SessionId, TenantId};
use bytes::Bytes;
use sqlx::QueryBuilder;

use super::commit::{acquire, commit, load};
use super::decode::{self, column, number};
use super::moments::{BEST_LAPS, LAPS_AT};
use super::{Db, Row, Store, members};
use crate::rules::check_step;
use crate::sql::rows::Rows;
use crate::{LapFilter, Lease, Member, PartitionState, Quarantined, SessionCursor, Sessions, Share, Step, Steps, StoreError};

impl Store {
    /// The quarantined records of a partition, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Unreadable`].
    pub async fn quarantine(&self, log: &LogId, partition: u32) -> Result<Vec<Quarantined>, StoreError> {
        let query = sqlx::query("SELECT log_offset, reason, record FROM quarantine WHERE log = $1 AND part = $2 ORDER BY log_offset");
        let one = |row: Row| {
            let record = Bytes::copy_from_slice(column(&row, "record")?);
            Ok(Quarantined { offset: number(&row, "log_offset")?, reason: column(&row, "reason")?, record })
        };
        self.all(query.bind(log.0.as_str()).bind(i64::from(partition)), one).await
    }
}

#[async_trait]
impl Steps for Store {
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError> {
        let of = log.clone();
        self.write(log, partition, move |c| Box::pin(acquire(c, of, partition))).await
    }

    fn shared(&self) -> bool {
        members::SHARED
    }

    async fn beat(&self, log: &LogId, partitions: u32, member: &Member) -> Result<Share, StoreError> {
        members::beat(self, log, partitions, member).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        members::release(self, lease).await
    }

    async fn leave(&self, log: &LogId, member: &Member) -> Result<(), StoreError> {
        members::leave(self, log, member).await
    }

    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError> {
        let (log, partition, lease) = (&lease.log, lease.partition, lease.clone());
        self.load_at_length(log, partition, move |c| Box::pin(load(c, lease))).await
    }

    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        check_step(lease, step)?;
        let (log, partition) = (&lease.log, lease.partition);
        let (lease, step, rows) = (lease.clone(), Arc::new(step.clone()), Rows::of(step)?);
        self.write(log, partition, move |c| Box::pin(commit(c, lease, step, rows))).await
    }
}

#[async_trait]
impl Sessions for Store {
    async fn sessions(&self, tenant: &TenantId, after: Option<SessionCursor>, limit: u32) -> Result<Vec<SessionInfo>, StoreError> {
        let Some(after) = after else {
            let query = sqlx::query(concat!(session_select!(), " WHERE s.tenant = $1 ORDER BY s.opened_at_us DESC, s.id LIMIT $2"));
            return self.all(query.bind(tenant.as_str()).bind(i64::from(limit)), |row| decode::session(&row)).await;
        };
        let query = sqlx::query(concat!(
            session_select!(),
            " WHERE s.tenant = $1 AND s.opened_at_us <= $2 AND (s.opened_at_us < $2 OR s.id > $3) ORDER BY s.opened_at_us DESC, s.id LIMIT $4"
        ));
        let query = query.bind(tenant.as_str()).bind(after.opened_at_us).bind(&after.id.0[..]).bind(i64::from(limit));
        self.all(query, |row| decode::session(&row)).await
    }

    async fn session(&self, tenant: &TenantId, session: &SessionId) -> Result<Option<SessionInfo>, StoreError> {
        let query = sqlx::query(concat!(session_select!(), " WHERE s.tenant = $1 AND s.id = $2")).bind(tenant.as_str()).bind(&session.0[..]);
        Ok(self.all(query, |row| decode::session(&row)).await?.pop())
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
            Some(mut query) => self.all(query.build(), |row| decode::body(&row, "body")).await,
            None => Ok(vec![]),
        }
    }

    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError> {
        let query = sqlx::query(LAPS_AT).bind(tenant.as_str()).bind(&session.0[..]).bind(at_us);
        self.all(query, |row| decode::body(&row, "body")).await
    }

    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, until_us: i64) -> Result<Vec<Lap>, StoreError> {
        let query = sqlx::query(BEST_LAPS).bind(tenant.as_str()).bind(&session.0[..]).bind(until_us);
        self.all(query, |row| decode::body(&row, "body")).await
    }

    async fn lap(&self, tenant: &TenantId, session: &SessionId, entry: &EntryId, number: u32) -> Result<Option<Lap>, StoreError> {
        let query = sqlx::query(
            "SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session \
             WHERE s.tenant = $1 AND l.session = $2 AND l.entry = $3 AND l.number = $4 AND NOT l.superseded",
        );
        let query = query.bind(tenant.as_str()).bind(&session.0[..]).bind(entry.as_str()).bind(i64::from(number));
        Ok(self.all(query, |row| decode::body(&row, "body")).await?.pop())
    }

    async fn incidents(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<IncidentStep>, StoreError> {
        let query = sqlx::query(
            "SELECT i.* FROM incidents i JOIN sessions s ON s.id = i.session WHERE s.tenant = $1 AND i.session = $2 AND NOT i.superseded \
             ORDER BY i.entry, i.sim_time_us, i.driver, i.run, i.timeline, i.tick",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| decode::incident(&row)).await
    }

    async fn pit_visits(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<PitVisit>, StoreError> {
        let query = sqlx::query(
            "SELECT v.body FROM pit_visits v JOIN sessions s ON s.id = v.session WHERE s.tenant = $1 AND v.session = $2 AND NOT v.superseded \
             ORDER BY v.entry, v.enter_us, v.driver, v.run, v.slot, v.timeline, v.tick",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| decode::body(&row, "body")).await
    }

    async fn flags(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<FlagChange>, StoreError> {
        let query = sqlx::query(
            "SELECT f.* FROM flags f JOIN sessions s ON s.id = f.session WHERE s.tenant = $1 AND f.session = $2 AND NOT f.superseded \
             ORDER BY f.sim_time_us, f.entry, f.driver, f.run, f.timeline, f.tick",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| decode::flag(&row)).await
    }

    async fn cars(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<CarNow>, StoreError> {
        // A stream's own car first, then those that it sees; the entry is known to the body alone.
        let query = sqlx::query(
            "SELECT t.now, t.driver AS driver, t.run AS run, -1 AS slot FROM streams t JOIN sessions s ON s.id = t.session \
             WHERE s.tenant = $1 AND t.session = $2 AND t.now IS NOT NULL \
             UNION ALL SELECT f.now, f.driver, f.run, f.slot FROM field f JOIN sessions s ON s.id = f.session \
             WHERE s.tenant = $1 AND f.session = $2 AND f.now IS NOT NULL ORDER BY driver, run, slot",
        );
        let query = query.bind(tenant.as_str()).bind(&session.0[..]);
        let mut cars: Vec<CarNow> = self.all(query, |row| decode::body(&row, "now")).await?;
        cars.sort_by_key(|car| (car.entry, car.driver, car.run, car.slot));
        Ok(cars)
    }

    async fn ledgers(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<Ledger>, StoreError> {
        let query = sqlx::query(
            "SELECT t.ledger FROM streams t JOIN sessions s ON s.id = t.session WHERE s.tenant = $1 AND t.session = $2 ORDER BY t.driver, t.run",
        );
        self.all(query.bind(tenant.as_str()).bind(&session.0[..]), |row| decode::body(&row, "ledger")).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.answers().await
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
) -> Option<QueryBuilder<Db>> {
    let mut query = QueryBuilder::new("SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session WHERE NOT l.superseded AND s.tenant = ");
    query.push_bind(tenant.as_str().to_owned()).push(" AND l.session = ").push_bind(session.0.to_vec());
    let mut from = filter.from_number.unwrap_or(0);
    match (&filter.entry, after) {
        (None, None) => {}
        (None, Some((entry, number))) => {
            query.push(" AND (l.entry, l.number) > (").push_bind(entry.as_str().to_owned()).push(", ").push_bind(i64::from(number)).push(")");
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
        query.push(" AND l.number >= ").push_bind(i64::from(from));
    }
    if let Some(to) = filter.to_number {
        query.push(" AND l.number <= ").push_bind(i64::from(to));
    }
    if let Some(driver) = &filter.driver {
        query.push(" AND l.driver = ").push_bind(driver.as_str().to_owned());
    }
    if let Some(valid) = filter.valid {
        query.push(if valid { " AND l.reasons = 0" } else { " AND l.reasons <> 0" });
    }
    query.push(" ORDER BY l.entry, l.number LIMIT ").push_bind(i64::from(limit));
    Some(query)
}
