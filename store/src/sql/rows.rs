//! A step as rows: the same for every SQL database.

use std::collections::BTreeMap;

use boxbox_schemas::event::Exclusion;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{AnyRow, CarNow, Conflict, Dispute, FIRST_RULES, Lap, Limited, RefusedClaim, SessionInfo};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, TenantId};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Step, StoreError};

/// A step as rows, one for each key, in order of keys.
pub(crate) struct StepRows {
    pub(crate) replaced: Vec<SessionId>,
    pub(crate) sessions: Vec<SessionRow>,
    pub(crate) descriptions: Vec<(SessionId, String)>,
    pub(crate) undescribed: Vec<SessionId>,
    pub(crate) streams: Vec<StreamRow>,
    pub(crate) facts: Vec<LapRow>,
    pub(crate) withdrawn: Vec<(SessionId, EntryId, u32)>,
    pub(crate) laps: Vec<LapRow>,
    pub(crate) field: Vec<FieldRow>,
    pub(crate) rows: Vec<AnyRow>,
    /// Tenant, driver, and the account as JSON.
    pub(crate) accounts: Vec<(TenantId, DriverId, String)>,
    pub(crate) retired: Vec<SessionId>,
    pub(crate) quarantine: Vec<(i64, String, Bytes)>,
}

pub(crate) struct SessionRow {
    /// Without its description, which is another row.
    pub(crate) info: SessionInfo,
    pub(crate) source_id: [u8; 16],
}

pub(crate) struct StreamRow {
    pub(crate) session: SessionId,
    pub(crate) driver: DriverId,
    pub(crate) run: RunId,
    pub(crate) ledger: String,
    pub(crate) race: Bytes,
    pub(crate) now: Option<String>,
}

pub(crate) struct FieldRow {
    pub(crate) session: SessionId,
    pub(crate) driver: DriverId,
    pub(crate) run: RunId,
    pub(crate) slot: u16,
    pub(crate) race: Bytes,
    pub(crate) now: Option<String>,
}

pub(crate) struct LapRow {
    pub(crate) session: SessionId,
    pub(crate) entry: EntryId,
    pub(crate) number: u32,
    pub(crate) driver: DriverId,
    pub(crate) run: RunId,
    pub(crate) timeline: u32,
    pub(crate) start_us: i64,
    pub(crate) end_us: i64,
    /// The time that decides where lap times are compared.
    pub(crate) time_us: i64,
    pub(crate) reasons: u32,
    pub(crate) superseded: bool,
    pub(crate) body: String,
}

/// The content of a `descriptions` row.
#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Description {
    pub(crate) meta: Option<SessionMeta>,
    pub(crate) from: Option<(DriverId, RunId, u32)>,
    /// As [`SessionInfo::rules`]; a row of an older version has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rules: Option<u32>,
    #[serde(default)]
    pub(crate) provisional: bool,
    #[serde(default)]
    pub(crate) disputes: Vec<Dispute>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) limited: Vec<Limited>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) conflicts: Vec<Conflict>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) excluded: Vec<Exclusion>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) refused: Vec<RefusedClaim>,
}

impl Description {
    fn of(s: &SessionInfo) -> Self {
        let rules = Some(s.rules).filter(|rules| *rules != FIRST_RULES);
        Self {
            meta: s.meta.clone(),
            from: s.meta_from,
            rules,
            provisional: s.provisional,
            disputes: s.disputes.clone(),
            limited: s.limited.clone(),
            conflicts: s.conflicts.clone(),
            excluded: s.excluded.clone(),
            refused: s.refused.clone(),
        }
    }
}

impl StepRows {
    pub(crate) fn of(step: &Step) -> Result<Self, StoreError> {
        let sessions = last_by_key(&step.sessions, |s| s.id);
        let streams = last_by_key(&step.streams, |s| (s.ledger.stream.session, s.ledger.stream.driver, s.ledger.stream.run));
        let facts = last_by_key(&step.facts, |l| (l.session, l.entry, l.number, l.driver, l.run, l.timeline));
        let laps = last_by_key(&step.laps, |l| (l.session, l.entry, l.number));
        let rows = last_by_key(&step.rows, |r| (r.head.session, r.head.key, r.kind));
        let field: Vec<_> = step.streams.iter().flat_map(|s| s.field.iter().map(|f| (s.ledger.stream, f))).collect();
        let field = last_by_key(&field, |(stream, f)| (stream.session, stream.driver, stream.run, f.slot));
        let told = |s: &SessionInfo| {
            let nothing = s.disputes.is_empty() && s.limited.is_empty() && s.conflicts.is_empty() && s.excluded.is_empty() && s.refused.is_empty();
            !nothing
        };
        let (described, undescribed): (Vec<&SessionInfo>, Vec<&SessionInfo>) =
            sessions.iter().copied().partition(|s| s.meta.is_some() || s.meta_from.is_some() || s.rules != FIRST_RULES || s.provisional || told(s));
        Ok(Self {
            replaced: step.replaced.clone(),
            descriptions: described.into_iter().map(|s| Ok((s.id, json(&Description::of(s))?))).collect::<Result<_, StoreError>>()?,
            undescribed: undescribed.into_iter().map(|s| s.id).collect(),
            sessions: sessions
                .into_iter()
                .map(|s| SessionRow { info: SessionInfo { meta: None, ..s.clone() }, source_id: s.source.id.to_be_bytes() })
                .collect(),
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
            rows: rows.into_iter().cloned().collect(),
            accounts: last_by_key(&step.accounts, |a| (a.tenant, a.driver))
                .into_iter()
                .map(|a| Ok((a.tenant, a.driver, json(a)?)))
                .collect::<Result<_, StoreError>>()?,
            retired: step.retired.clone(),
            quarantine: last_by_key(&step.quarantine, |q| q.offset)
                .into_iter()
                .map(|q| Ok((signed(q.offset)?, without_nul(&q.reason), q.record.clone())))
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
            time_us: lap.deciding_us(),
            reasons: lap.reasons.0,
            superseded: lap.superseded,
            body: json(lap)?,
        })
    }
}

/// Unsigned numbers as SQL's signed ones; a number that does not fit is a fault of the caller.
pub(crate) fn signed(n: u64) -> Result<i64, StoreError> {
    i64::try_from(n).map_err(|_| StoreError::Refused(format!("{n} is no number that a database can hold")))
}

/// Parses a column of JSON.
pub(crate) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|e| StoreError::Unreadable(e.to_string()))
}

/// PostgreSQL's text cannot contain a NUL, and a text for people needs none.
fn without_nul(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

fn now_json(now: Option<&CarNow>) -> Result<Option<String>, StoreError> {
    now.map(json).transpose()
}

fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|e| StoreError::Refused(e.to_string()))
}

/// SQL refuses to change a row twice in one statement; the contract says that the later one stays.
pub(crate) fn last_by_key<'a, T, K: Ord>(rows: &'a [T], key: impl Fn(&'a T) -> K) -> Vec<&'a T> {
    rows.iter().map(|row| (key(row), row)).collect::<BTreeMap<_, _>>().into_values().collect()
}
