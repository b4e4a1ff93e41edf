//! A partition's ownership, state and steps: the writing half of a results store. Included twice, see [`crate::sql`].

use std::collections::BTreeMap;
use std::sync::Arc;

use boxbox_schemas::results::Checkpoint;
use boxbox_schemas::{DriverId, LogId, RunId, SessionId, StreamKey, TenantId};
use bytes::Bytes;
use futures::TryStreamExt;

use super::decode::{self, column, number};
use super::error::from_sqlx;
use super::outbox::put_outbox;
use super::upsert::{Bind, select, write};
use super::{Connection, Row};
use crate::rules::{QUARANTINE_MAX_ROWS, check_advance, check_sessions, sessions_named};
use crate::sql::rows::{LapRow, PitRow, Rows, signed};
use crate::{FieldState, Lease, PartitionState, Step, StoreError, StreamState};

pub(super) async fn acquire(c: &mut Connection, log: LogId, partition: u32) -> Result<Lease, StoreError> {
    let query = sqlx::query(concat!(
        "INSERT INTO partitions (log, part, epoch) VALUES ($1, $2, 1) ON CONFLICT (log, part) DO UPDATE SET epoch = partitions.epoch + 1",
        to_nobody!(),
        " RETURNING epoch"
    ));
    let row = query.bind(log.0.as_str()).bind(i64::from(partition)).fetch_one(c).await.map_err(from_sqlx)?;
    Ok(Lease { epoch: number(&row, "epoch")?, log, partition })
}

/// E5: the partition's checkpoint, if the lease is still the newest. Nobody else writes the partition, or takes it over, until the
/// transaction ends.
pub(crate) async fn owned(c: &mut Connection, lease: &Lease) -> Result<Option<Checkpoint>, StoreError> {
    let query = sqlx::query(concat!("SELECT epoch, log_offset, crc FROM partitions WHERE log = $1 AND part = $2", for_update!()));
    let row = query.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).fetch_optional(c).await.map_err(from_sqlx)?;
    let newer = row.as_ref().map_or(Ok(0), |row| number(row, "epoch"))?;
    let Some(row) = row.filter(|_| newer == lease.epoch) else {
        return Err(StoreError::Fenced { partition: lease.partition, mine: lease.epoch, newer });
    };
    if column::<Option<i64>>(&row, "log_offset")?.is_none() {
        return Ok(None);
    }
    Ok(Some(Checkpoint { log: lease.log.clone(), partition: lease.partition, offset: number(&row, "log_offset")?, crc: number(&row, "crc")? }))
}

pub(super) async fn load(c: &mut Connection, lease: Lease) -> Result<PartitionState, StoreError> {
    async fn all<T>(c: &mut Connection, lease: &Lease, sql: &'static str, one: impl Fn(&Row) -> Result<T, StoreError>) -> Result<Vec<T>, StoreError> {
        let mut found = vec![];
        let mut rows = sqlx::query(sql).bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).fetch(c);
        while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
            found.push(one(&row)?);
        }
        Ok(found)
    }
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
    const INCIDENTS: &str = rows_of!("t.*", "incidents", "t.session, t.driver, t.run, t.timeline, t.tick");
    const PIT_VISITS: &str = rows_of!("t.body", "pit_visits", "t.session, t.driver, t.run, t.slot, t.timeline, t.tick");
    const FLAGS: &str = rows_of!("t.*", "flags", "t.session, t.driver, t.run, t.timeline, t.tick");
    let race = |row: &Row| Ok::<_, StoreError>(Bytes::copy_from_slice(column(row, "race")?));
    let stream = |row: &Row| Ok(StreamState { ledger: decode::body(row, "ledger")?, race: race(row)?, now: decode::now(row)?, field: vec![] });
    let seen = |row: &Row| {
        let by = (SessionId(decode::id(row, "session")?), DriverId(decode::short_id(row, "driver")?), RunId(decode::id(row, "run")?));
        Ok((by, FieldState { slot: number(row, "slot")?, race: race(row)?, now: decode::now(row)? }))
    };
    let checkpoint = owned(c, &lease).await?;
    let mut streams = all(c, &lease, STREAMS, stream).await?;
    let mut field = all(c, &lease, FIELD, seen).await?.into_iter().peekable();
    for stream in &mut streams {
        let StreamKey { session, driver, run, .. } = stream.ledger.stream;
        stream.field.extend(std::iter::from_fn(|| field.next_if(|(by, _)| *by == (session, driver, run))).map(|(_, state)| state));
    }
    Ok(PartitionState {
        checkpoint,
        streams,
        sessions: all(c, &lease, SESSIONS, decode::session).await?,
        facts: all(c, &lease, FACTS, |row| decode::body(row, "body")).await?,
        laps: all(c, &lease, LAPS, |row| decode::body(row, "body")).await?,
        incidents: all(c, &lease, INCIDENTS, decode::incident).await?,
        pit_visits: all(c, &lease, PIT_VISITS, |row| decode::body(row, "body")).await?,
        flags: all(c, &lease, FLAGS, decode::flag).await?,
    })
}

pub(super) async fn commit(c: &mut Connection, lease: Lease, step: Arc<Step>, rows: Rows) -> Result<(), StoreError> {
    check_advance(owned(c, &lease).await?.as_ref(), &step.checkpoint)?;
    let mut tenants = BTreeMap::new();
    let named: Vec<_> = sessions_named(&step).into_iter().collect();
    let known = |row: &Row| {
        tenants.insert(SessionId(decode::id(row, "id")?), TenantId(decode::short_id(row, "tenant")?));
        Ok(())
    };
    select(c, "SELECT id, tenant FROM sessions WHERE id IN (", &named, bind_session, ")", known).await?;
    check_sessions(&step, |id| tenants.get(id).copied())?;

    put_sessions(c, &lease, &rows).await?;
    put_streams(c, &rows).await?;
    put_laps(c, &rows).await?;
    put_outbox(c, &step.checkpoint, &rows).await?;
    put_incidents(c, &rows).await?;
    put_pit_visits(c, &rows).await?;
    put_flags(c, &rows).await?;
    retire(c, &rows).await?;
    put_quarantine(c, &lease, &rows).await?;

    let advance = sqlx::query("UPDATE partitions SET log_offset = $1, crc = $2 WHERE log = $3 AND part = $4");
    let advance = advance.bind(signed(step.checkpoint.offset)?).bind(i64::from(step.checkpoint.crc));
    let advance = advance.bind(lease.log.0.as_str()).bind(i64::from(lease.partition));
    advance.execute(c).await.map(drop).map_err(from_sqlx)
}

async fn put_sessions(c: &mut Connection, lease: &Lease, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO sessions (id, tenant, log, part, sim, source_id, session_num, opened_at_us, updated_at_us, sim_time_us, closed, retired) ",
        &rows.sessions,
        |b, s| {
            b.push_bind(&s.id.0[..]).push_bind(s.tenant.as_str()).push_bind(lease.log.0.as_str()).push_bind(i64::from(lease.partition));
            b.push_bind(i64::from(s.source.sim.0)).push_bind(&s.source.id.to_be_bytes()[..]).push_bind(i64::from(s.source.session_num));
            b.push_bind(s.opened_at_us).push_bind(s.updated_at_us).push_bind(s.sim_time_us).push_bind(s.closed).push_bind(s.retired);
        },
        " ON CONFLICT (id) DO UPDATE SET log = excluded.log, part = excluded.part, sim = excluded.sim, source_id = excluded.source_id, \
         session_num = excluded.session_num, opened_at_us = excluded.opened_at_us, updated_at_us = excluded.updated_at_us, \
         sim_time_us = excluded.sim_time_us, closed = excluded.closed, retired = excluded.retired",
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

async fn put_streams(c: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO streams (session, driver, run, ledger, race, now) ",
        &rows.streams,
        |b, s| {
            b.push_bind(&s.session.0[..]).push_bind(s.driver.as_str()).push_bind(&s.run.0[..]);
            b.push_bind(s.ledger.as_str()).push_bind(&s.race[..]).push_bind(s.now.as_deref());
        },
        " ON CONFLICT (session, driver, run) DO UPDATE SET ledger = excluded.ledger, race = excluded.race, now = excluded.now",
    )
    .await?;
    write(
        c,
        "INSERT INTO field (session, driver, run, slot, race, now) ",
        &rows.field,
        |b, f| {
            b.push_bind(&f.session.0[..]).push_bind(f.driver.as_str()).push_bind(&f.run.0[..]).push_bind(i64::from(f.slot));
            b.push_bind(&f.race[..]).push_bind(f.now.as_deref());
        },
        " ON CONFLICT (session, driver, run, slot) DO UPDATE SET race = excluded.race, now = excluded.now",
    )
    .await
    .map(drop)
}

async fn put_laps(c: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO facts (session, entry, number, driver, run, timeline, body) ",
        &rows.facts,
        |b, l: &LapRow| {
            b.push_bind(&l.session.0[..]).push_bind(l.entry.as_str()).push_bind(i64::from(l.number)).push_bind(l.driver.as_str());
            b.push_bind(&l.run.0[..]).push_bind(i64::from(l.timeline)).push_bind(l.body.as_str());
        },
        " ON CONFLICT (session, entry, number, driver, run, timeline) DO UPDATE SET body = excluded.body",
    )
    .await?;
    write(
        c,
        "DELETE FROM laps WHERE (session, entry, number) IN (",
        &rows.withdrawn,
        |b, (session, entry, number)| {
            b.push_bind(&session.0[..]).push_bind(entry.as_str()).push_bind(i64::from(*number));
        },
        ")",
    )
    .await?;
    write(
        c,
        "INSERT INTO laps (session, entry, number, driver, start_us, end_us, time_us, reasons, superseded, body) ",
        &rows.laps,
        |b, l: &LapRow| {
            b.push_bind(&l.session.0[..]).push_bind(l.entry.as_str()).push_bind(i64::from(l.number)).push_bind(l.driver.as_str());
            b.push_bind(l.start_us)
                .push_bind(l.end_us)
                .push_bind(l.time_us)
                .push_bind(i64::from(l.reasons))
                .push_bind(l.superseded)
                .push_bind(l.body.as_str());
        },
        " ON CONFLICT (session, entry, number) DO UPDATE SET driver = excluded.driver, start_us = excluded.start_us, end_us = excluded.end_us, \
         time_us = excluded.time_us, reasons = excluded.reasons, superseded = excluded.superseded, body = excluded.body",
    )
    .await
    .map(drop)
}

async fn put_incidents(c: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO incidents (session, driver, run, timeline, tick, entry, sim_time_us, count_from, count_to, superseded, late) ",
        &rows.incidents,
        |b, i| {
            b.push_bind(&i.session.0[..])
                .push_bind(i.driver.as_str())
                .push_bind(&i.run.0[..])
                .push_bind(i64::from(i.timeline))
                .push_bind(i64::from(i.tick));
            b.push_bind(i.entry.as_str())
                .push_bind(i.sim_time_us)
                .push_bind(i64::from(i.from))
                .push_bind(i64::from(i.to))
                .push_bind(i.superseded)
                .push_bind(i.late);
        },
        " ON CONFLICT (session, driver, run, timeline, tick) DO UPDATE SET entry = excluded.entry, sim_time_us = excluded.sim_time_us, \
         count_from = excluded.count_from, count_to = excluded.count_to, superseded = excluded.superseded, late = excluded.late",
    )
    .await
    .map(drop)
}

async fn put_pit_visits(c: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO pit_visits (session, driver, run, slot, timeline, tick, entry, enter_us, superseded, body) ",
        &rows.pit_visits,
        |b, PitRow { visit: v, body }| {
            b.push_bind(&v.session.0[..])
                .push_bind(v.driver.as_str())
                .push_bind(&v.run.0[..])
                .push_bind(i64::from(v.slot))
                .push_bind(i64::from(v.timeline));
            b.push_bind(i64::from(v.tick)).push_bind(v.entry.as_str()).push_bind(v.enter_us).push_bind(v.superseded).push_bind(body.as_str());
        },
        " ON CONFLICT (session, driver, run, slot, timeline, tick) DO UPDATE SET entry = excluded.entry, enter_us = excluded.enter_us, \
         superseded = excluded.superseded, body = excluded.body",
    )
    .await
    .map(drop)
}

async fn put_flags(c: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO flags (session, driver, run, timeline, tick, entry, sim_time_us, flags_from, flags_to, superseded, late) ",
        &rows.flags,
        |b, f| {
            b.push_bind(&f.session.0[..])
                .push_bind(f.driver.as_str())
                .push_bind(&f.run.0[..])
                .push_bind(i64::from(f.timeline))
                .push_bind(i64::from(f.tick));
            b.push_bind(f.entry.as_str())
                .push_bind(f.sim_time_us)
                .push_bind(i64::from(f.from.0))
                .push_bind(i64::from(f.to.0))
                .push_bind(f.superseded)
                .push_bind(f.late);
        },
        " ON CONFLICT (session, driver, run, timeline, tick) DO UPDATE SET entry = excluded.entry, sim_time_us = excluded.sim_time_us, \
         flags_from = excluded.flags_from, flags_to = excluded.flags_to, superseded = excluded.superseded, late = excluded.late",
    )
    .await
    .map(drop)
}

/// E9: what nobody will go on from is dropped; what is shown stays.
async fn retire(c: &mut Connection, rows: &Rows) -> Result<(), StoreError> {
    for head in [
        "DELETE FROM facts WHERE session IN (",
        "DELETE FROM field WHERE session IN (",
        "DELETE FROM laps WHERE superseded AND session IN (",
        "DELETE FROM incidents WHERE superseded AND session IN (",
        "DELETE FROM pit_visits WHERE superseded AND session IN (",
        "DELETE FROM flags WHERE superseded AND session IN (",
        concat!("UPDATE streams SET race = ", no_bytes!(), " WHERE session IN ("),
    ] {
        write(c, head, &rows.retired, bind_session, ")").await?;
    }
    Ok(())
}

async fn put_quarantine(c: &mut Connection, lease: &Lease, rows: &Rows) -> Result<(), StoreError> {
    if rows.quarantine.is_empty() {
        return Ok(());
    }
    write(
        c,
        "INSERT INTO quarantine (log, part, log_offset, reason, record) ",
        &rows.quarantine,
        |b, (offset, reason, record)| {
            b.push_bind(lease.log.0.as_str())
                .push_bind(i64::from(lease.partition))
                .push_bind(*offset)
                .push_bind(reason.as_str())
                .push_bind(&record[..]);
        },
        " ON CONFLICT (log, part, log_offset) DO UPDATE SET reason = excluded.reason, record = excluded.record",
    )
    .await?;
    let trim = sqlx::query(
        "DELETE FROM quarantine WHERE log = $1 AND part = $2 AND log_offset <= \
         (SELECT log_offset FROM quarantine WHERE log = $1 AND part = $2 ORDER BY log_offset DESC LIMIT 1 OFFSET $3)",
    );
    let trim = trim.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).bind(QUARANTINE_MAX_ROWS as i64);
    trim.execute(c).await.map(drop).map_err(from_sqlx)
}

fn bind_session(b: &mut Bind<'_>, session: &SessionId) {
    b.push_bind(&session.0[..]);
}
