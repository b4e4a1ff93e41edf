//! [`SqliteResults`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::results::{CarNow, Checkpoint, FlagChange, IncidentStep, Lap, Ledger, PitVisit, SessionInfo};
use boxbox_schemas::{EntryId, LogId, SessionId, TenantId};
use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow, SqliteSynchronous};

use super::error::from_sqlx;
use super::rows::{self, LapRow, Rows, column, number};
use super::upsert::{Bind, select, write};
use super::{File, signed};
use crate::rules::{QUARANTINE_MAX_ROWS, check_advance, check_sessions, check_step, sessions_named};
use crate::{LapFilter, Lease, PartitionState, Quarantined, Results, SessionCursor, Step, StoreError, StreamState};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite/results");

macro_rules! session_select {
    () => {
        "SELECT s.*, d.body AS description FROM sessions s LEFT JOIN descriptions d ON d.session = s.id"
    };
}

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
        let mut found = vec![];
        let mut rows = query.fetch(&self.file.readers);
        while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
            found.push(one(row)?);
        }
        Ok(found)
    }
}

#[async_trait]
impl Results for SqliteResults {
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError> {
        let log = log.clone();
        self.file.writer.transaction(move |c| Box::pin(acquire(c, log, partition))).await
    }

    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError> {
        let lease = lease.clone();
        self.file.writer.transaction(move |c| Box::pin(load(c, lease))).await
    }

    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        check_step(lease, step)?;
        let (lease, step, rows) = (lease.clone(), Arc::new(step.clone()), Rows::of(step)?);
        self.file.writer.transaction(move |c| Box::pin(commit(c, lease, step, rows))).await
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

    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError> {
        let _ = (tenant, session, at_us);
        Ok(vec![])
    }

    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, until_us: i64) -> Result<Vec<Lap>, StoreError> {
        let _ = (tenant, session, until_us);
        Ok(vec![])
    }

    async fn pit_visits(&self, _: &TenantId, _: &SessionId) -> Result<Vec<PitVisit>, StoreError> {
        Ok(vec![])
    }

    async fn flags(&self, _: &TenantId, _: &SessionId) -> Result<Vec<FlagChange>, StoreError> {
        Ok(vec![])
    }

    async fn cars(&self, _: &TenantId, _: &SessionId) -> Result<Vec<CarNow>, StoreError> {
        Ok(vec![])
    }

    async fn laps(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        _filter: &LapFilter,
        after: Option<(EntryId, u32)>,
        limit: u32,
    ) -> Result<Vec<Lap>, StoreError> {
        // No entry is empty and no lap has the number 0, so this is before all.
        let (entry, number) = after.as_ref().map_or(("", 0), |(entry, number)| (entry.as_str(), *number));
        let query = sqlx::query(
            "SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session \
             WHERE s.tenant = ? AND l.session = ? AND NOT l.superseded AND (l.entry, l.number) > (?, ?) ORDER BY l.entry, l.number LIMIT ?",
        );
        let query = query.bind(tenant.as_str()).bind(&session.0[..]).bind(entry).bind(number).bind(limit);
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

async fn acquire(c: &mut SqliteConnection, log: LogId, partition: u32) -> Result<Lease, StoreError> {
    let query = sqlx::query(
        "INSERT INTO partitions (log, part, epoch) VALUES (?, ?, 1) ON CONFLICT (log, part) DO UPDATE SET epoch = partitions.epoch + 1 RETURNING epoch",
    );
    let row = query.bind(log.0.as_str()).bind(partition).fetch_one(c).await.map_err(from_sqlx)?;
    Ok(Lease { epoch: number(&row, "epoch")?, log, partition })
}

/// E5: the partition's checkpoint, if the lease is still the newest.
async fn owned(c: &mut SqliteConnection, lease: &Lease) -> Result<Option<Checkpoint>, StoreError> {
    let query =
        sqlx::query("SELECT epoch, log_offset, crc FROM partitions WHERE log = ? AND part = ?").bind(lease.log.0.as_str()).bind(lease.partition);
    let row = query.fetch_optional(c).await.map_err(from_sqlx)?;
    let newer = row.as_ref().map_or(Ok(0), |row| number(row, "epoch"))?;
    let Some(row) = row.filter(|_| newer == lease.epoch) else {
        return Err(StoreError::Fenced { partition: lease.partition, mine: lease.epoch, newer });
    };
    if column::<Option<i64>>(&row, "log_offset")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Checkpoint { log: lease.log.clone(), partition: lease.partition, offset: number(&row, "log_offset")?, crc: number(&row, "crc")? }))
}

async fn load(c: &mut SqliteConnection, lease: Lease) -> Result<PartitionState, StoreError> {
    async fn all<T>(
        c: &mut SqliteConnection,
        lease: &Lease,
        sql: &'static str,
        one: impl Fn(&SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut found = vec![];
        let mut rows = sqlx::query(sql).bind(lease.log.0.as_str()).bind(lease.partition).fetch(c);
        while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
            found.push(one(&row)?);
        }
        Ok(found)
    }
    const SESSIONS: &str = concat!(session_select!(), " WHERE s.log = ? AND s.part = ? ORDER BY s.id");
    const STREAMS: &str = "SELECT t.ledger, t.race FROM streams t JOIN sessions s ON s.id = t.session WHERE s.log = ? AND s.part = ? ORDER BY t.session, t.driver, t.run";
    const FACTS: &str = "SELECT f.body FROM facts f JOIN sessions s ON s.id = f.session WHERE s.log = ? AND s.part = ? \
                         ORDER BY f.session, f.entry, f.number, f.driver, f.run, f.timeline";
    const LAPS: &str =
        "SELECT l.body FROM laps l JOIN sessions s ON s.id = l.session WHERE s.log = ? AND s.part = ? ORDER BY l.session, l.entry, l.number";
    let stream = |row: &SqliteRow| {
        Ok(StreamState { ledger: rows::body(row, "ledger")?, race: Bytes::copy_from_slice(column(row, "race")?), now: None, field: vec![] })
    };
    Ok(PartitionState {
        checkpoint: owned(c, &lease).await?,
        sessions: all(c, &lease, SESSIONS, rows::session).await?,
        streams: all(c, &lease, STREAMS, stream).await?,
        facts: all(c, &lease, FACTS, |row| rows::body(row, "body")).await?,
        laps: all(c, &lease, LAPS, |row| rows::body(row, "body")).await?,
        ..Default::default()
    })
}

async fn commit(c: &mut SqliteConnection, lease: Lease, step: Arc<Step>, rows: Rows) -> Result<(), StoreError> {
    check_advance(owned(c, &lease).await?.as_ref(), &step.checkpoint)?;
    let mut tenants = BTreeMap::new();
    let named: Vec<_> = sessions_named(&step).into_iter().collect();
    let known = |row: &SqliteRow| {
        tenants.insert(SessionId(rows::id(row, "id")?), TenantId(rows::short_id(row, "tenant")?));
        Ok(())
    };
    select(c, "SELECT id, tenant FROM sessions WHERE id IN (", &named, bind_session, ")", known).await?;
    check_sessions(&step, |id| tenants.get(id).copied())?;

    put_sessions(c, &lease, &rows).await?;
    put_streams(c, &rows).await?;
    put_laps(c, &rows).await?;
    put_incidents(c, &rows).await?;
    put_quarantine(c, &lease, &rows).await?;

    let advance = sqlx::query("UPDATE partitions SET log_offset = ?, crc = ? WHERE log = ? AND part = ?");
    let advance = advance.bind(signed(step.checkpoint.offset)?).bind(step.checkpoint.crc).bind(lease.log.0.as_str()).bind(lease.partition);
    advance.execute(c).await.map(drop).map_err(from_sqlx)
}

async fn put_sessions(c: &mut SqliteConnection, lease: &Lease, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO sessions (id, tenant, log, part, sim, source_id, session_num, opened_at_us, updated_at_us, sim_time_us, closed) ",
        &rows.sessions,
        |b, s| {
            b.push_bind(&s.id.0[..]).push_bind(s.tenant.as_str()).push_bind(lease.log.0.as_str()).push_bind(lease.partition);
            b.push_bind(s.source.sim.0).push_bind(s.source.id.to_be_bytes().to_vec()).push_bind(s.source.session_num);
            b.push_bind(s.opened_at_us).push_bind(s.updated_at_us).push_bind(s.sim_time_us).push_bind(s.closed);
        },
        " ON CONFLICT (id) DO UPDATE SET log = excluded.log, part = excluded.part, sim = excluded.sim, source_id = excluded.source_id, \
         session_num = excluded.session_num, opened_at_us = excluded.opened_at_us, updated_at_us = excluded.updated_at_us, \
         sim_time_us = excluded.sim_time_us, closed = excluded.closed",
    )
    .await?;
    write(
        c,
        "INSERT INTO descriptions (session, body) ",
        &rows.descriptions,
        |b, (session, body)| {
            bind_session(b, session);
            b.push_bind(body.as_str());
        },
        " ON CONFLICT (session) DO UPDATE SET body = excluded.body WHERE descriptions.body <> excluded.body",
    )
    .await?;
    write(c, "DELETE FROM descriptions WHERE session IN (", &rows.undescribed, bind_session, ")").await?;
    Ok(())
}

async fn put_streams(c: &mut SqliteConnection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO streams (session, driver, run, ledger, race) ",
        &rows.streams,
        |b, s| {
            b.push_bind(&s.session.0[..]).push_bind(s.driver.as_str()).push_bind(&s.run.0[..]);
            b.push_bind(s.ledger.as_str()).push_bind(&s.race[..]);
        },
        " ON CONFLICT (session, driver, run) DO UPDATE SET ledger = excluded.ledger, race = excluded.race",
    )
    .await
    .map(drop)
}

async fn put_laps(c: &mut SqliteConnection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO facts (session, entry, number, driver, run, timeline, body) ",
        &rows.facts,
        |b, l: &LapRow| {
            b.push_bind(&l.session.0[..]).push_bind(l.entry.as_str()).push_bind(l.number).push_bind(l.driver.as_str());
            b.push_bind(&l.run.0[..]).push_bind(l.timeline).push_bind(l.body.as_str());
        },
        " ON CONFLICT (session, entry, number, driver, run, timeline) DO UPDATE SET body = excluded.body",
    )
    .await?;
    write(
        c,
        "DELETE FROM laps WHERE (session, entry, number) IN (",
        &rows.withdrawn,
        |b, (session, entry, number)| {
            b.push_bind(&session.0[..]).push_bind(entry.as_str()).push_bind(*number);
        },
        ")",
    )
    .await?;
    write(
        c,
        "INSERT INTO laps (session, entry, number, driver, revision, time_us, reasons, superseded, body) ",
        &rows.laps,
        |b, l: &LapRow| {
            b.push_bind(&l.session.0[..]).push_bind(l.entry.as_str()).push_bind(l.number).push_bind(l.driver.as_str()).push_bind(l.revision);
            b.push_bind(l.time_us).push_bind(l.reasons).push_bind(l.superseded).push_bind(l.body.as_str());
        },
        " ON CONFLICT (session, entry, number) DO UPDATE SET driver = excluded.driver, revision = excluded.revision, time_us = excluded.time_us, \
         reasons = excluded.reasons, superseded = excluded.superseded, body = excluded.body",
    )
    .await
    .map(drop)
}

async fn put_incidents(c: &mut SqliteConnection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO incidents (session, driver, run, timeline, tick, entry, sim_time_us, count_from, count_to, superseded, late) ",
        &rows.incidents,
        |b, i| {
            b.push_bind(&i.session.0[..]).push_bind(i.driver.as_str()).push_bind(&i.run.0[..]).push_bind(i.timeline).push_bind(i.tick);
            b.push_bind(i.entry.as_str()).push_bind(i.sim_time_us).push_bind(i.from).push_bind(i.to).push_bind(i.superseded).push_bind(i.late);
        },
        " ON CONFLICT (session, driver, run, timeline, tick) DO UPDATE SET entry = excluded.entry, sim_time_us = excluded.sim_time_us, \
         count_from = excluded.count_from, count_to = excluded.count_to, superseded = excluded.superseded, late = excluded.late",
    )
    .await
    .map(drop)
}

async fn put_quarantine(c: &mut SqliteConnection, lease: &Lease, rows: &Rows) -> Result<(), StoreError> {
    if rows.quarantine.is_empty() {
        return Ok(());
    }
    write(
        c,
        "INSERT INTO quarantine (log, part, log_offset, reason, record) ",
        &rows.quarantine,
        |b, (offset, reason, record)| {
            b.push_bind(lease.log.0.as_str()).push_bind(lease.partition).push_bind(*offset).push_bind(reason.as_str()).push_bind(&record[..]);
        },
        " ON CONFLICT (log, part, log_offset) DO UPDATE SET reason = excluded.reason, record = excluded.record",
    )
    .await?;
    let trim = sqlx::query(
        "DELETE FROM quarantine WHERE log = ? AND part = ? AND log_offset <= \
         (SELECT log_offset FROM quarantine WHERE log = ? AND part = ? ORDER BY log_offset DESC LIMIT 1 OFFSET ?)",
    );
    let (log, part) = (lease.log.0.as_str(), lease.partition);
    let trim = trim.bind(log).bind(part).bind(log).bind(part).bind(QUARANTINE_MAX_ROWS as i64);
    trim.execute(c).await.map(drop).map_err(from_sqlx)
}

fn bind_session(b: &mut Bind<'_>, session: &SessionId) {
    b.push_bind(&session.0[..]);
}
