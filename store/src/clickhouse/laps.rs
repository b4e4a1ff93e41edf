//! Copying laps to ClickHouse, for queries over seasons.
//!
//! An outbox in PostgreSQL lists the laps that steps wrote or withdrew. A lap is copied as it is at that time; a row's
//! `log_offset` says which of two rows of a lap is valid, so that copying one twice, or late, changes nothing under `FINAL`.

use std::collections::BTreeMap;
use std::time::Duration;

use boxbox_schemas::Sim;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::Lap;
use clickhouse::Row as ClickHouseRow;
use serde::Serialize;
use sqlx::Row;
use sqlx::postgres::{PgConnection, PgRow};

use super::error::from_clickhouse;
use super::server::Server;
use crate::postgres::{Database, from_sqlx};
use crate::sql::owned;
use crate::sql::rows::{Description, parse};
use crate::{Lease, StoreError};

/// Most laps copied at once.
const BATCH: i64 = 5_000;
/// How long a piece may take to send, and ClickHouse to answer.
const DEADLINE: Duration = Duration::from_secs(30);

/// A row of table `laps`, in its order.
#[derive(ClickHouseRow, Serialize)]
struct LapRow {
    tenant: String,
    session: [u8; 16],
    entry: String,
    number: u32,
    sim: String,
    track: String,
    track_config: String,
    session_type: String,
    car: String,
    class: String,
    driver: String,
    run: [u8; 16],
    slot: u16,
    timeline: u32,
    revision: u32,
    start_us: i64,
    end_us: i64,
    time_us: i64,
    sim_time_us: Option<i64>,
    sectors_us: Vec<i64>,
    fuel_l: Option<f32>,
    fuel_used_l: Option<f32>,
    reasons: u32,
    tags: u32,
    frames: u32,
    log_offset: u64,
    deleted: u8,
}

/// As [`Archive::export_laps`](crate::Archive::export_laps).
pub(super) async fn export(plans: &Database, server: &Server, replicated: bool, lease: &Lease) -> Result<u64, StoreError> {
    let lease_too = lease.clone();
    let (ids, rows) = plans.transaction(&lease.log, lease.partition, move |c| Box::pin(async move { outbox(c, &lease_too).await })).await?;
    if ids.is_empty() {
        return Ok(0);
    }
    let mut insert = server.within(DEADLINE, server.client.insert::<LapRow>("laps")).await?.with_timeouts(Some(DEADLINE), Some(DEADLINE));
    let settings = [("async_insert", "0"), ("wait_end_of_query", "1")].into_iter();
    insert = settings.chain(replicated.then_some(("insert_quorum", "auto"))).fold(insert, |i, (name, value)| i.with_setting(name, value));
    for row in &rows {
        insert.write(row).await.map_err(|e| server.at(from_clickhouse(e)))?;
    }
    insert.end().await.map_err(|e| server.at(from_clickhouse(e)))?;
    let (copied, lease_too) = (ids.len() as u64, lease.clone());
    plans.transaction(&lease.log, lease.partition, move |c| Box::pin(async move { copied_all(c, &lease_too, ids).await })).await?;
    Ok(copied)
}

/// The oldest rows of the partition's outbox, and the rows that they become in ClickHouse.
async fn outbox(c: &mut PgConnection, lease: &Lease) -> Result<(Vec<i64>, Vec<LapRow>), StoreError> {
    owned(c, lease).await?;
    let query = sqlx::query(
        "SELECT o.id, o.log_offset, o.session, o.entry, o.number, s.tenant, s.sim, l.body FROM lap_outbox o JOIN sessions s ON s.id = o.session \
         LEFT JOIN laps l ON l.session = o.session AND l.entry = o.entry AND l.number = o.number AND NOT l.superseded \
         WHERE o.log = $1 AND o.part = $2 ORDER BY o.id LIMIT $3",
    );
    let query = query.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).bind(BATCH);
    let found = query.fetch_all(&mut *c).await.map_err(from_sqlx)?;
    let sessions: Vec<Vec<u8>> = found.iter().map(|row| row.try_get("session").map_err(from_sqlx)).collect::<Result<_, _>>()?;
    let query = sqlx::query("SELECT session, body FROM descriptions WHERE session = ANY($1)");
    let mut described: BTreeMap<Vec<u8>, SessionMeta> = BTreeMap::new();
    for row in query.bind(sessions).fetch_all(&mut *c).await.map_err(from_sqlx)? {
        let body: &str = row.try_get("body").map_err(from_sqlx)?;
        if let Some(meta) = parse::<Description>(body)?.meta {
            described.insert(row.try_get("session").map_err(from_sqlx)?, meta);
        }
    }
    let ids = found.iter().map(|row| row.try_get("id").map_err(from_sqlx)).collect::<Result<_, _>>()?;
    let rows = found.iter().map(|row| lap_row(row, &described)).collect::<Result<_, _>>()?;
    Ok((ids, rows))
}

async fn copied_all(c: &mut PgConnection, lease: &Lease, ids: Vec<i64>) -> Result<(), StoreError> {
    owned(c, lease).await?;
    sqlx::query("DELETE FROM lap_outbox WHERE id = ANY($1)").bind(ids).execute(c).await.map(drop).map_err(from_sqlx)
}

fn lap_row(row: &PgRow, described: &BTreeMap<Vec<u8>, SessionMeta>) -> Result<LapRow, StoreError> {
    let unreadable = |what: String| StoreError::Unreadable(format!("a lap to be copied: {what}"));
    let number = |name: &str| row.try_get::<i64, _>(name).map_err(from_sqlx);
    let session: Vec<u8> = row.try_get("session").map_err(from_sqlx)?;
    let body: Option<&str> = row.try_get("body").map_err(from_sqlx)?;
    let lap: Option<Lap> = body.map(parse).transpose()?;
    let (lap, meta) = (lap.as_ref(), described.get(&session));
    let car = meta.zip(lap).and_then(|(meta, lap)| meta.entries.iter().find(|e| e.slot == lap.slot));
    let text = |text: Option<&String>| text.cloned().unwrap_or_default();
    Ok(LapRow {
        tenant: row.try_get("tenant").map_err(from_sqlx)?,
        entry: row.try_get("entry").map_err(from_sqlx)?,
        number: number("number")? as u32,
        sim: Sim(number("sim")? as u16).name().to_owned(),
        track: text(meta.map(|m| &m.track_name)),
        track_config: text(meta.map(|m| &m.track_config)),
        session_type: text(meta.map(|m| &m.session_type)),
        car: text(car.map(|c| &c.car_name)),
        class: text(car.map(|c| &c.class_name)),
        driver: lap.map_or(String::new(), |l| l.driver.as_str().to_owned()),
        run: lap.map_or([0; 16], |l| l.run.0),
        slot: lap.map_or(0, |l| l.slot),
        timeline: lap.map_or(0, |l| l.timeline),
        revision: lap.map_or(0, |l| l.revision),
        start_us: lap.map_or(0, |l| l.start_us),
        end_us: lap.map_or(0, |l| l.end_us),
        time_us: lap.map_or(0, |l| l.time_us),
        sim_time_us: lap.and_then(|l| l.sim_time_us),
        sectors_us: lap.map_or(vec![], |l| l.sectors_us.clone()),
        fuel_l: lap.and_then(|l| l.fuel_l),
        fuel_used_l: lap.and_then(|l| l.fuel_used_l),
        reasons: lap.map_or(0, |l| l.reasons.0),
        tags: lap.map_or(0, |l| l.tags.0),
        frames: lap.map_or(0, |l| l.frames),
        log_offset: number("log_offset")? as u64,
        deleted: u8::from(lap.is_none()),
        session: session.try_into().map_err(|id: Vec<u8>| unreadable(format!("a session's id of {} bytes", id.len())))?,
    })
}
