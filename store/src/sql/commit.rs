//! The writes of a results store: a partition's ownership, and steps.

use std::collections::BTreeMap;
use std::sync::Arc;

use boxbox_schemas::results::{AnyRow, Checkpoint};
use boxbox_schemas::{EntryId, LogId, SessionId, TenantId};

use super::outbox::put_outbox;
use super::rows::{SessionRow, StepRows, signed};
use super::{Sql, all, id, number, select, short_id, write};
use crate::rules::{QUARANTINE_MAX_ROWS, check_advance, check_sessions, sessions_named};
use crate::{Lease, Step, StoreError};

pub(super) async fn acquire(c: &mut dyn Sql, log: LogId, partition: u32) -> Result<Lease, StoreError> {
    let sql = format!(
        "INSERT INTO partitions (log, part, epoch) VALUES ($1, $2, 1) \
         ON CONFLICT (log, part) DO UPDATE SET epoch = partitions.epoch + 1{} RETURNING epoch",
        c.dialect().to_no_owner
    );
    let mut epochs = all(c, &sql, &values![&log.0, partition], |row| number(row, "epoch")).await?;
    let epoch = epochs.pop().ok_or_else(|| StoreError::Refused("the partition was not taken".into()))?;
    Ok(Lease { epoch, log, partition })
}

/// E5: the partition's checkpoint, if the lease is still the newest. No other process writes the partition or takes it over until the
/// transaction ends.
pub(crate) async fn owned(c: &mut dyn Sql, lease: &Lease) -> Result<Option<Checkpoint>, StoreError> {
    let sql = format!("SELECT epoch, log_offset, crc FROM partitions WHERE log = $1 AND part = $2{}", c.dialect().for_update);
    let of = values![&lease.log.0, lease.partition];
    let found = all(c, &sql, &of, |row| {
        let at = row.maybe_int("log_offset")?.is_some().then(|| Ok::<_, StoreError>((number(row, "log_offset")?, number(row, "crc")?)));
        Ok((number::<u64>(row, "epoch")?, at.transpose()?))
    });
    let found = found.await?.pop();
    let newer = found.as_ref().map_or(0, |(epoch, _)| *epoch);
    let Some((_, at)) = found.filter(|_| newer == lease.epoch) else {
        return Err(StoreError::Fenced { partition: lease.partition, mine: lease.epoch, newer });
    };
    Ok(at.map(|(offset, crc)| Checkpoint { log: lease.log.clone(), partition: lease.partition, offset, crc }))
}

pub(super) async fn commit(c: &mut dyn Sql, lease: Lease, step: Arc<Step>, rows: StepRows) -> Result<(), StoreError> {
    check_advance(owned(c, &lease).await?.as_ref(), &step.checkpoint)?;
    let mut tenants = BTreeMap::new();
    let named: Vec<_> = sessions_named(&step).into_iter().collect();
    select(c, "SELECT id, tenant FROM sessions WHERE id IN (", &named, |session| values![session], ")", &mut |row| {
        tenants.insert(SessionId(id(row, "id")?), TenantId(short_id(row, "tenant")?));
        Ok(())
    })
    .await?;
    check_sessions(&step, |id| tenants.get(id).copied())?;

    remove_replaced(c, &rows).await?;
    put_sessions(c, &lease, &rows).await?;
    put_streams(c, &rows).await?;
    put_laps(c, &rows).await?;
    if c.dialect().outbox {
        put_outbox(c, &step.checkpoint, &rows).await?;
    }
    put_rows(c, &rows).await?;
    put_accounts(c, &lease, &rows).await?;
    retire(c, &rows).await?;
    put_quarantine(c, &lease, &rows).await?;

    let advance = values![signed(step.checkpoint.offset)?, step.checkpoint.crc, &lease.log.0, lease.partition];
    c.execute("UPDATE partitions SET log_offset = $1, crc = $2 WHERE log = $3 AND part = $4", &advance).await
}

/// Remove what is stored of sessions that are computed again. A lap that is not computed again must be among the step's withdrawn ones, so
/// that the outbox knows of it.
async fn remove_replaced(c: &mut dyn Sql, rows: &StepRows) -> Result<(), StoreError> {
    for head in [
        "DELETE FROM field WHERE session IN (",
        "DELETE FROM streams WHERE session IN (",
        "DELETE FROM facts WHERE session IN (",
        "DELETE FROM laps WHERE session IN (",
        "DELETE FROM rows WHERE session IN (",
    ] {
        write(c, head, &rows.replaced, |session| values![session], ")").await?;
    }
    Ok(())
}

async fn put_sessions(c: &mut dyn Sql, lease: &Lease, rows: &StepRows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO sessions (id, tenant, log, part, sim, source_id, session_num, opened_at_us, updated_at_us, sim_time_us, closed, retired) ",
        &rows.sessions,
        |SessionRow { info: s, source_id }| {
            values![
                &s.id,
                &s.tenant,
                &lease.log.0,
                lease.partition,
                s.source.sim.0,
                &source_id[..],
                s.source.session_num,
                s.opened_at_us,
                s.updated_at_us,
                s.sim_time_us,
                s.closed,
                s.retired,
            ]
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
        |(session, body)| values![session, body],
        " ON CONFLICT (session) DO UPDATE SET body = excluded.body WHERE descriptions.body <> excluded.body",
    )
    .await?;
    write(c, "DELETE FROM descriptions WHERE session IN (", &rows.undescribed, |session| values![session], ")").await
}

async fn put_streams(c: &mut dyn Sql, rows: &StepRows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO streams (session, driver, run, ledger, race, now) ",
        &rows.streams,
        |s| values![&s.session, &s.driver, &s.run, &s.ledger, &s.race, s.now.as_deref()],
        " ON CONFLICT (session, driver, run) DO UPDATE SET ledger = excluded.ledger, race = excluded.race, now = excluded.now",
    )
    .await?;
    write(
        c,
        "INSERT INTO field (session, driver, run, slot, race, now) ",
        &rows.field,
        |f| values![&f.session, &f.driver, &f.run, f.slot, &f.race, f.now.as_deref()],
        " ON CONFLICT (session, driver, run, slot) DO UPDATE SET race = excluded.race, now = excluded.now",
    )
    .await
}

async fn put_laps(c: &mut dyn Sql, rows: &StepRows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO facts (session, entry, number, driver, run, timeline, body) ",
        &rows.facts,
        |l| values![&l.session, &l.entry, l.number, &l.driver, &l.run, l.timeline, &l.body],
        " ON CONFLICT (session, entry, number, driver, run, timeline) DO UPDATE SET body = excluded.body",
    )
    .await?;
    write(
        c,
        "DELETE FROM laps WHERE (session, entry, number) IN (",
        &rows.withdrawn,
        |(session, entry, number)| values![session, entry, *number],
        ")",
    )
    .await?;
    write(
        c,
        "INSERT INTO laps (session, entry, number, driver, start_us, end_us, time_us, reasons, superseded, body) ",
        &rows.laps,
        |l| values![&l.session, &l.entry, l.number, &l.driver, l.start_us, l.end_us, l.time_us, l.reasons, l.superseded, &l.body],
        " ON CONFLICT (session, entry, number) DO UPDATE SET driver = excluded.driver, start_us = excluded.start_us, end_us = excluded.end_us, \
         time_us = excluded.time_us, reasons = excluded.reasons, superseded = excluded.superseded, body = excluded.body",
    )
    .await
}

async fn put_rows(c: &mut dyn Sql, rows: &StepRows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO rows (session, driver, run, timeline, slot, tick, kind, entry, seen_as, field, sim_time_us, until_us, superseded, late, body) ",
        &rows.rows,
        |AnyRow { kind, head: h, body }| {
            let seen_as = h.seen_as.as_ref().map(EntryId::as_str);
            values![
                &h.session,
                &h.key.driver,
                &h.key.run,
                h.key.timeline,
                h.key.slot,
                h.key.tick,
                kind.as_str(),
                &h.entry,
                seen_as,
                h.field,
                h.sim_time_us,
                h.until_us,
                h.superseded,
                h.late,
                &**body,
            ]
        },
        " ON CONFLICT (session, driver, run, timeline, slot, tick, kind) DO UPDATE SET entry = excluded.entry, seen_as = excluded.seen_as, \
         field = excluded.field, sim_time_us = excluded.sim_time_us, until_us = excluded.until_us, superseded = excluded.superseded, \
         late = excluded.late, body = excluded.body",
    )
    .await
}

async fn put_accounts(c: &mut dyn Sql, lease: &Lease, rows: &StepRows) -> Result<(), StoreError> {
    write(
        c,
        "INSERT INTO accounts (log, part, tenant, driver, body) ",
        &rows.accounts,
        |(tenant, driver, body)| values![&lease.log.0, lease.partition, tenant, driver, body],
        " ON CONFLICT (log, part, tenant, driver) DO UPDATE SET body = excluded.body",
    )
    .await
}

/// E9: state that is no longer needed to continue is dropped; what readers see stays.
async fn retire(c: &mut dyn Sql, rows: &StepRows) -> Result<(), StoreError> {
    let no_race = format!("UPDATE streams SET race = {} WHERE session IN (", c.dialect().no_bytes);
    for head in [
        "DELETE FROM facts WHERE session IN (",
        "DELETE FROM field WHERE session IN (",
        "DELETE FROM laps WHERE superseded AND session IN (",
        "DELETE FROM rows WHERE superseded AND session IN (",
        &no_race,
    ] {
        write(c, head, &rows.retired, |session| values![session], ")").await?;
    }
    Ok(())
}

async fn put_quarantine(c: &mut dyn Sql, lease: &Lease, rows: &StepRows) -> Result<(), StoreError> {
    if rows.quarantine.is_empty() {
        return Ok(());
    }
    write(
        c,
        "INSERT INTO quarantine (log, part, log_offset, reason, record) ",
        &rows.quarantine,
        |(offset, reason, record)| values![&lease.log.0, lease.partition, *offset, reason, record],
        " ON CONFLICT (log, part, log_offset) DO UPDATE SET reason = excluded.reason, record = excluded.record",
    )
    .await?;
    const TRIM: &str = "DELETE FROM quarantine WHERE log = $1 AND part = $2 AND log_offset <= \
                        (SELECT log_offset FROM quarantine WHERE log = $1 AND part = $2 ORDER BY log_offset DESC LIMIT 1 OFFSET $3)";
    c.execute(TRIM, &values![&lease.log.0, lease.partition, QUARANTINE_MAX_ROWS as i64]).await
}
