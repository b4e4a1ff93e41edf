//! `GET /api/v1/sessions/{session}/laps` and `GET /api/v1/sessions/{session}/laps/{entry}/{number}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::results::Span;
use boxbox_schemas::{DriverId, EntryId, SessionId, TenantId, results};
use serde::Serialize;

use super::sessions;
use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{LapPath, PageParams, Params, Path, SessionPath};
use crate::problem::Problem;

const USUAL: u32 = 100;
const MOST: u32 = 500;

/// A session's timed laps, by entry, then number.
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(page): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<LapList>, Problem> {
    let limit = page.limit(USUAL, MOST)?;
    let after = page.cursor.as_deref().map(cursor::lap).transpose()?;
    let mut laps = app.stored(app.results.laps(&reader.tenant, &path.session, &Default::default(), after, limit + 1).await)?;
    if laps.is_empty() {
        sessions::find(&app, &reader.tenant, &path.session).await?;
    }
    let more = laps.len() > limit as usize;
    laps.truncate(limit as usize);
    let next_cursor = laps.last().filter(|_| more).map(cursor::of_lap);
    Ok(Json(LapList { laps: laps.into_iter().map(Lap::of).collect(), next_cursor }))
}

/// One lap.
pub(crate) async fn one(reader: Reader, Path(path): Path<LapPath>, State(app): State<Arc<App>>) -> Result<Json<Lap>, Problem> {
    find(&app, &reader.tenant, &path).await.map(|lap| Json(Lap::of(lap)))
}

/// The lap, or 404.
pub(super) async fn find(app: &App, tenant: &TenantId, path: &LapPath) -> Result<results::Lap, Problem> {
    let found = app.stored(app.results.lap(tenant, &path.session, &path.entry, path.number).await)?;
    found.ok_or_else(|| Problem::not_found("There is no such lap."))
}

#[derive(Serialize)]
pub(crate) struct LapList {
    laps: Vec<Lap>,
    /// Give it back as `cursor` for the next page; `null` on the last.
    next_cursor: Option<String>,
}

#[derive(Serialize)]
pub(crate) struct Lap {
    session: SessionId,
    entry: EntryId,
    number: u32,
    /// Who crossed the line at its end.
    driver: DriverId,
    /// The car's slot, as in the session's `entries`.
    slot: u16,
    /// Rises when the lap is told anew.
    revision: u32,
    /// Session time at its start.
    start_us: i64,
    /// Session time at its end.
    end_us: i64,
    time_us: i64,
    /// The simulator's own time of it.
    sim_time_us: Option<i64>,
    /// They sum to `time_us`; empty if not every sector's marker was crossed.
    sectors_us: Vec<i64>,
    /// Whether it counts for best: no `reasons`.
    valid: bool,
    /// Why it does not count: `in_lap`, `off_track`, …
    reasons: Vec<String>,
    /// What else is worth knowing: `first_lap`, `had_yellow`, …
    tags: Vec<String>,
    /// Frames it was computed from.
    frames: u32,
    /// Nothing about it will change any more, unless frames come late.
    settled: bool,
    /// Its frames; `…/trace` gives them.
    spans: Vec<Span>,
}

impl Lap {
    fn of(lap: results::Lap) -> Self {
        Self {
            valid: lap.valid(),
            session: lap.session,
            entry: lap.entry,
            number: lap.number,
            driver: lap.driver,
            slot: lap.slot,
            revision: lap.revision,
            start_us: lap.start_us,
            end_us: lap.end_us,
            time_us: lap.time_us,
            sim_time_us: lap.sim_time_us,
            sectors_us: lap.sectors_us,
            reasons: lap.reasons.names(),
            tags: lap.tags.names(),
            frames: lap.frames,
            settled: lap.settled,
            spans: lap.spans,
        }
    }
}
