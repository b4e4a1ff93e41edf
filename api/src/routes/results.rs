//! `GET /api/v1/sessions/{session}/results`: the classification (`race.rank`, `best.lap`), and a digest of all results.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::timing;
use boxbox_race::view::{Rows, SessionResult, SessionView};
use boxbox_schemas::results::{FlagChange, IncidentStep, PitVisit, SessionInfo};
use boxbox_schemas::{DriverId, EntryId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::extract::{Path, SessionPath};
use crate::openapi::ShortId;
use crate::problem::Problem;
use crate::read::{self, Car};

/// The classification
#[utoipa::path(get, path = "/api/v1/sessions/{session}/results", tag = "timing", operation_id = "getResults", params(SessionPath),
    responses((status = 200, description = "The classification", body = ResultList), (status = 422, description = "`session_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn results(reader: Reader, Path(path): Path<SessionPath>, State(app): State<Arc<App>>) -> Result<Json<ResultList>, Problem> {
    let tenant = &reader.tenant;
    let session = read::session(&app, tenant, &path.session).await?;
    let rows = Rows {
        laps: read::all_laps(&app, tenant, &path.session).await?,
        flags: read::rows_of::<FlagChange>(&app, tenant, &path.session).await?,
        pit_visits: read::rows_of::<PitVisit>(&app, tenant, &path.session).await?,
        incidents: read::rows_of::<IncidentStep>(&app, tenant, &path.session).await?,
        ..Rows::default()
    };
    let SessionResult { classified, digest } = SessionView::of(session.clone()).with(rows).result();
    let results = classified.into_iter().map(|c| Row::of(c, &session)).collect();
    Ok(Json(ResultList { r#final: session.closed, digest, results }))
}

/// The classification of a session.
#[derive(Serialize, ToSchema)]
#[schema(as = Results)]
pub(crate) struct ResultList {
    /// The session is closed: the results do not change unless it is opened again.
    r#final: bool,
    /// SHA-256 of all results (classification, laps, pit visits, incidents), 64 hexadecimal digits: equal for equal results,
    /// in whatever order their frames came.
    digest: String,
    /// In order of position.
    results: Vec<Row>,
}

/// One entry in the classification.
#[derive(Serialize, ToSchema)]
#[schema(as = Classified)]
struct Row {
    /// Position overall, 1-based.
    position: u32,
    /// Position in its class, 1-based.
    class_position: u32,
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The drivers of the laps that count, in order of their first laps.
    #[schema(value_type = Vec<ShortId>)]
    drivers: Vec<DriverId>,
    /// Its car.
    #[serde(flatten)]
    car: Car,
    /// Number of laps that count.
    laps: u32,
    /// It took the chequered flag.
    finished: bool,
    /// When it last crossed the line in a lap that counts, session time; `null` without a lap.
    finish_us: Option<i64>,
    /// Races: time from the start to `finish_us`.
    total_us: Option<i64>,
    /// Laps behind the winner.
    laps_down: u32,
    /// Time behind the winner; `null` if it is a lap or more behind. In practice and qualifying: by best laps.
    gap_us: Option<i64>,
    /// Time of its best valid lap that counts.
    best_lap_us: Option<i64>,
    /// Number of that lap.
    best_lap: Option<u32>,
}

impl Row {
    fn of(row: timing::Classified, session: &SessionInfo) -> Self {
        Self {
            position: row.position,
            class_position: row.class_position,
            entry: row.entry,
            drivers: row.drivers,
            car: Car::of(session.meta.as_ref(), row.slot),
            laps: row.laps,
            finished: row.finished,
            finish_us: row.finish_us,
            total_us: row.total_us,
            laps_down: row.laps_down,
            gap_us: row.gap_us,
            best_lap_us: row.best_lap_us,
            best_lap: row.best_lap,
        }
    }
}
