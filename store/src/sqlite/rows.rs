//! Rows of the results file: what a step becomes, and what is read back.

use std::collections::BTreeMap;

use boxbox_schemas::frame::Flags;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{CarNow, FlagChange, IncidentStep, Lap, PitVisit, SessionInfo};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, ShortId, Sim, Source, TenantId};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{Sqlite, SqliteRow};
use sqlx::{Decode, Row, Type};

use super::error::from_sqlx;
use super::signed;
use crate::{Step, StoreError};

/// A step as rows, one for each key, in order of keys.
pub(super) struct Rows {
    pub(super) sessions: Vec<SessionInfo>,
    pub(super) descriptions: Vec<(SessionId, String)>,
    pub(super) undescribed: Vec<SessionId>,
    pub(super) streams: Vec<StreamRow>,
    pub(super) facts: Vec<LapRow>,
    pub(super) withdrawn: Vec<(SessionId, EntryId, u32)>,
    pub(super) laps: Vec<LapRow>,
    pub(super) field: Vec<FieldRow>,
    pub(super) incidents: Vec<IncidentStep>,
    pub(super) pit_visits: Vec<PitRow>,
    pub(super) flags: Vec<FlagChange>,
    pub(super) retired: Vec<SessionId>,
    pub(super) quarantine: Vec<(i64, String, Bytes)>,
}

pub(super) struct StreamRow {
    pub(super) session: SessionId,
    pub(super) driver: DriverId,
    pub(super) run: RunId,
    pub(super) ledger: String,
    pub(super) race: Bytes,
    pub(super) now: Option<String>,
}

pub(super) struct FieldRow {
    pub(super) session: SessionId,
    pub(super) driver: DriverId,
    pub(super) run: RunId,
    pub(super) slot: u16,
    pub(super) race: Bytes,
    pub(super) now: Option<String>,
}

pub(super) struct PitRow {
    pub(super) visit: PitVisit,
    pub(super) body: String,
}

pub(super) struct LapRow {
    pub(super) session: SessionId,
    pub(super) entry: EntryId,
    pub(super) number: u32,
    pub(super) driver: DriverId,
    pub(super) run: RunId,
    pub(super) timeline: u32,
    pub(super) start_us: i64,
    pub(super) end_us: i64,
    pub(super) time_us: i64,
    pub(super) reasons: u32,
    pub(super) superseded: bool,
    pub(super) body: String,
}

/// What a `descriptions` row holds.
#[derive(Default, Serialize, Deserialize)]
struct Description {
    meta: Option<SessionMeta>,
    from: Option<(DriverId, RunId, u32)>,
}

impl Rows {
    pub(super) fn of(step: &Step) -> Result<Self, StoreError> {
        let sessions = last_by_key(&step.sessions, |s| s.id);
        let streams = last_by_key(&step.streams, |s| (s.ledger.stream.session, s.ledger.stream.driver, s.ledger.stream.run));
        let facts = last_by_key(&step.facts, |l| (l.session, l.entry, l.number, l.driver, l.run, l.timeline));
        let laps = last_by_key(&step.laps, |l| (l.session, l.entry, l.number));
        let incidents = last_by_key(&step.incidents, |i| (i.session, i.driver, i.run, i.timeline, i.tick));
        let pit_visits = last_by_key(&step.pit_visits, |v| (v.session, v.driver, v.run, v.slot, v.timeline, v.tick));
        let flags = last_by_key(&step.flags, |f| (f.session, f.driver, f.run, f.timeline, f.tick));
        let field: Vec<_> = step.streams.iter().flat_map(|s| s.field.iter().map(|f| (s.ledger.stream, f))).collect();
        let field = last_by_key(&field, |(stream, f)| (stream.session, stream.driver, stream.run, f.slot));
        let (described, undescribed): (Vec<&SessionInfo>, Vec<&SessionInfo>) =
            sessions.iter().copied().partition(|s| s.meta.is_some() || s.meta_from.is_some());
        Ok(Self {
            descriptions: described
                .into_iter()
                .map(|s| Ok((s.id, json(&Description { meta: s.meta.clone(), from: s.meta_from })?)))
                .collect::<Result<_, StoreError>>()?,
            undescribed: undescribed.into_iter().map(|s| s.id).collect(),
            sessions: sessions.into_iter().map(|s| SessionInfo { meta: None, ..s.clone() }).collect(),
            streams: streams
                .into_iter()
                .map(|s| {
                    let key = &s.ledger.stream;
                    let (ledger, now) = (json(&s.ledger)?, now_json(s.now.as_ref())?);
                    Ok(StreamRow { session: key.session, driver: key.driver, run: key.run, ledger, race: s.race.clone(), now })
                })
                .collect::<Result<_, StoreError>>()?,
            field: field
                .into_iter()
                .map(|(key, f)| {
                    let now = now_json(f.now.as_ref())?;
                    Ok(FieldRow { session: key.session, driver: key.driver, run: key.run, slot: f.slot, race: f.race.clone(), now })
                })
                .collect::<Result<_, StoreError>>()?,
            facts: facts.into_iter().map(LapRow::of).collect::<Result<_, _>>()?,
            withdrawn: step.withdrawn.clone(),
            laps: laps.into_iter().map(LapRow::of).collect::<Result<_, _>>()?,
            incidents: incidents.into_iter().cloned().collect(),
            pit_visits: pit_visits.into_iter().map(|v| Ok(PitRow { visit: v.clone(), body: json(v)? })).collect::<Result<_, StoreError>>()?,
            flags: flags.into_iter().cloned().collect(),
            retired: step.retired.clone(),
            quarantine: last_by_key(&step.quarantine, |q| q.offset)
                .into_iter()
                .map(|q| Ok((signed(q.offset)?, q.reason.clone(), q.record.clone())))
                .collect::<Result<_, StoreError>>()?,
        })
    }
}

impl LapRow {
    fn of(lap: &Lap) -> Result<Self, StoreError> {
        Ok(Self {
            session: lap.session,
            entry: lap.entry,
            number: lap.number,
            driver: lap.driver,
            run: lap.run,
            timeline: lap.timeline,
            start_us: lap.start_us,
            end_us: lap.end_us,
            time_us: lap.time_us,
            reasons: lap.reasons.0,
            superseded: lap.superseded,
            body: json(lap)?,
        })
    }
}

/// A `sessions` row joined with its `descriptions` row's body, if any.
pub(super) fn session(row: &SqliteRow) -> Result<SessionInfo, StoreError> {
    let description = match column::<Option<&str>>(row, "description")? {
        Some(body) => parse(body)?,
        None => Description::default(),
    };
    Ok(SessionInfo {
        id: SessionId(id(row, "id")?),
        tenant: TenantId(short_id(row, "tenant")?),
        source: Source { sim: Sim(number(row, "sim")?), id: u128::from_be_bytes(id(row, "source_id")?), session_num: number(row, "session_num")? },
        opened_at_us: column(row, "opened_at_us")?,
        updated_at_us: column(row, "updated_at_us")?,
        sim_time_us: column(row, "sim_time_us")?,
        closed: column(row, "closed")?,
        retired: column(row, "retired")?,
        meta: description.meta,
        meta_from: description.from,
    })
}

pub(super) fn incident(row: &SqliteRow) -> Result<IncidentStep, StoreError> {
    Ok(IncidentStep {
        session: SessionId(id(row, "session")?),
        entry: EntryId(short_id(row, "entry")?),
        driver: DriverId(short_id(row, "driver")?),
        run: RunId(id(row, "run")?),
        timeline: number(row, "timeline")?,
        tick: number(row, "tick")?,
        sim_time_us: column(row, "sim_time_us")?,
        from: number(row, "count_from")?,
        to: number(row, "count_to")?,
        superseded: column(row, "superseded")?,
        late: column(row, "late")?,
    })
}

pub(super) fn flag(row: &SqliteRow) -> Result<FlagChange, StoreError> {
    Ok(FlagChange {
        session: SessionId(id(row, "session")?),
        entry: EntryId(short_id(row, "entry")?),
        driver: DriverId(short_id(row, "driver")?),
        run: RunId(id(row, "run")?),
        timeline: number(row, "timeline")?,
        tick: number(row, "tick")?,
        sim_time_us: column(row, "sim_time_us")?,
        from: Flags(number(row, "flags_from")?),
        to: Flags(number(row, "flags_to")?),
        superseded: column(row, "superseded")?,
        late: column(row, "late")?,
    })
}

/// A `now` column.
pub(super) fn now(row: &SqliteRow) -> Result<Option<CarNow>, StoreError> {
    column::<Option<&str>>(row, "now")?.map(parse).transpose()
}

pub(super) fn column<'r, T: Decode<'r, Sqlite> + Type<Sqlite>>(row: &'r SqliteRow, name: &str) -> Result<T, StoreError> {
    row.try_get(name).map_err(from_sqlx)
}

/// An unsigned number.
pub(super) fn number<T: TryFrom<i64>>(row: &SqliteRow, name: &str) -> Result<T, StoreError> {
    let stored: i64 = column(row, name)?;
    T::try_from(stored).map_err(|_| StoreError::Unreadable(format!("{name} is {stored}")))
}

/// An id of 16 bytes.
pub(super) fn id(row: &SqliteRow, name: &str) -> Result<[u8; 16], StoreError> {
    let stored: &[u8] = column(row, name)?;
    stored.try_into().map_err(|_| StoreError::Unreadable(format!("{name} has {} bytes", stored.len())))
}

pub(super) fn short_id(row: &SqliteRow, name: &str) -> Result<ShortId, StoreError> {
    ShortId::new(column(row, name)?).map_err(|e| StoreError::Unreadable(format!("{name}: {e}")))
}

/// A column of JSON.
pub(super) fn body<T: DeserializeOwned>(row: &SqliteRow, name: &str) -> Result<T, StoreError> {
    parse(column(row, name)?)
}

fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Unreadable(e.to_string()))
}

fn now_json(now: Option<&CarNow>) -> Result<Option<String>, StoreError> {
    now.map(json).transpose()
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Refused(e.to_string()))
}

/// SQL refuses to touch a row twice in one statement; the contract says that the later one stays.
fn last_by_key<T, K: Ord>(rows: &[T], key: impl Fn(&T) -> K) -> Vec<&T> {
    rows.iter().map(|row| (key(row), row)).collect::<BTreeMap<_, _>>().into_values().collect()
}
