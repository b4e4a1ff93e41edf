//! `GET /api/v1/sessions` and `GET /api/v1/sessions/{session}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::SessionInfo;
use boxbox_schemas::{SessionId, TenantId};
use serde::Serialize;

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, SessionPath};
use crate::problem::Problem;

const USUAL: u32 = 50;
const MOST: u32 = 200;

/// The tenant's sessions, newest first.
pub(crate) async fn list(reader: Reader, Params(page): Params<PageParams>, State(app): State<Arc<App>>) -> Result<Json<SessionList>, Problem> {
    let limit = page.limit(USUAL, MOST)?;
    let after = page.cursor.as_deref().map(cursor::session).transpose()?;
    let mut sessions = app.stored(app.results.sessions(&reader.tenant, after, limit + 1).await)?;
    let more = sessions.len() > limit as usize;
    sessions.truncate(limit as usize);
    let next_cursor = sessions.last().filter(|_| more).map(cursor::of_session);
    Ok(Json(SessionList { sessions: sessions.into_iter().map(Session::of).collect(), next_cursor }))
}

/// One session, with the cars in it.
pub(crate) async fn one(reader: Reader, Path(path): Path<SessionPath>, State(app): State<Arc<App>>) -> Result<Json<SessionPage>, Problem> {
    let info = find(&app, &reader.tenant, &path.session).await?;
    let entries = info.meta.iter().flat_map(|meta| &meta.entries).map(Entry::of).collect();
    Ok(Json(SessionPage { session: Session::of(info), entries }))
}

/// The session, or 404: also if it is another tenant's.
pub(super) async fn find(app: &App, tenant: &TenantId, session: &SessionId) -> Result<SessionInfo, Problem> {
    let found = app.stored(app.results.session(tenant, session).await)?;
    found.ok_or_else(|| Problem::not_found("There is no such session."))
}

#[derive(Serialize)]
pub(crate) struct SessionList {
    sessions: Vec<Session>,
    /// Give it back as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct SessionPage {
    #[serde(flatten)]
    session: Session,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct Session {
    id: SessionId,
    /// `iracing`, `synthetic`, …
    sim: &'static str,
    /// The simulator's id of the lobby, 32 hexadecimal digits.
    source_id: String,
    session_num: u32,
    /// When its first record came, Unix time.
    opened_at_us: i64,
    /// When its last record came, Unix time.
    updated_at_us: i64,
    /// The simulator's session time so far.
    sim_time_us: i64,
    closed: bool,
    /// `practice`, `qualify`, `race`, …, as the simulator names it.
    session_type: Option<String>,
    /// `road`, `oval`, …
    category: Option<String>,
    laps_limit: Option<u32>,
    time_limit_us: Option<i64>,
    team_racing: Option<bool>,
    track: Option<Track>,
}

#[derive(Serialize)]
struct Track {
    id: u32,
    name: Option<String>,
    config: Option<String>,
    length_m: Option<f64>,
    /// Where sectors start, as fractions of the lap.
    sector_starts: Vec<f64>,
    pit_limit_mps: Option<f32>,
}

/// A car of the session, as the simulator lists it. Laps name its `slot`.
#[derive(Serialize)]
struct Entry {
    slot: u16,
    number: Option<String>,
    driver_name: Option<String>,
    team_name: Option<String>,
    car_name: Option<String>,
    class_name: Option<String>,
    /// `car`, `pace_car`, `spectator` or `ai`.
    kind: &'static str,
}

impl Session {
    fn of(info: SessionInfo) -> Self {
        let meta = info.meta.as_ref();
        Self {
            id: info.id,
            sim: info.source.sim.name(),
            source_id: format!("{:032x}", info.source.id),
            session_num: info.source.session_num,
            opened_at_us: info.opened_at_us,
            updated_at_us: info.updated_at_us,
            sim_time_us: info.sim_time_us,
            closed: info.closed,
            session_type: meta.and_then(|m| text(&m.session_type)),
            category: meta.and_then(|m| text(&m.category)),
            laps_limit: meta.map(|m| m.laps_limit).filter(|laps| *laps > 0),
            time_limit_us: meta.map(|m| m.time_limit_us).filter(|limit| *limit > 0),
            team_racing: meta.map(|m| m.team_racing == 1),
            track: meta.map(Track::of),
        }
    }
}

impl Track {
    fn of(meta: &SessionMeta) -> Self {
        Self {
            id: meta.track_id,
            name: text(&meta.track_name),
            config: text(&meta.track_config),
            length_m: Some(meta.track_length_m).filter(|m| *m > 0.0),
            sector_starts: meta.sector_starts.clone(),
            pit_limit_mps: Some(meta.pit_limit_mps).filter(|v| *v > 0.0),
        }
    }
}

impl Entry {
    fn of(entry: &MetaEntry) -> Self {
        Self {
            slot: entry.slot,
            number: text(&entry.number),
            driver_name: text(&entry.driver_name),
            team_name: text(&entry.team_name),
            car_name: text(&entry.car_name),
            class_name: text(&entry.class_name),
            kind: match entry.special {
                1 => "pace_car",
                2 => "spectator",
                3 => "ai",
                _ => "car",
            },
        }
    }
}

/// In metadata empty means absent; in JSON absent is `null`.
fn text(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}
