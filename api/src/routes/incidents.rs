//! `GET /api/v1/sessions/{session}/incidents`: when the drivers' incident counters rose.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::results::IncidentStep;
use boxbox_schemas::{DriverId, EntryId, RunId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, SessionPath, rows};
use crate::openapi::{Cursor, HexId, ShortId};
use crate::problem::Problem;
use crate::read;

/// Rises of drivers' incident counters, by entry, driver, then time
///
/// A rise that several runs report is listed once.
#[utoipa::path(get, path = "/api/v1/sessions/{session}/incidents", tag = "accounts", operation_id = "listIncidents", params(SessionPath, PageParams),
    responses((status = 200, description = "A page of the list", body = IncidentList)))]
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(page): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<IncidentList>, Problem> {
    let session = read::session(&app, &reader.tenant, &path.session).await?;
    let incidents = read::rows_of::<IncidentStep>(&app, &reader.tenant, &path.session).await?;
    let sort_key = |s: &IncidentStep| (s.entry, s.driver, s.sim_time_us, s.to, s.run);
    let steps = SessionView::of(session).with(Rows { incidents, ..Rows::default() }).incidents();
    let (steps, next_cursor) = cursor::page(steps, page.cursor.as_deref(), rows(page.limit)?, sort_key)?;
    Ok(Json(IncidentList { incidents: steps.into_iter().map(Incident::of).collect(), next_cursor }))
}

/// A page of incidents.
#[derive(Serialize, ToSchema)]
pub(crate) struct IncidentList {
    /// By entry, driver, then time.
    incidents: Vec<Incident>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// A rise of a driver's incident counter.
#[derive(Serialize, ToSchema)]
struct Incident {
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The driver whose counter it is.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The run that reported the rise.
    #[schema(value_type = HexId)]
    run: RunId,
    /// The simulator's tick of the first frame with the new count.
    tick: u32,
    /// The session time of that frame.
    sim_time_us: i64,
    /// Count before.
    from: u16,
    /// Count after.
    to: u16,
}

impl Incident {
    fn of(step: IncidentStep) -> Self {
        Self { entry: step.entry, driver: step.driver, run: step.run, tick: step.tick, sim_time_us: step.sim_time_us, from: step.from, to: step.to }
    }
}
