//! `GET /api/v1/sessions/{session}/incidents`: when drivers' own incident counters rose.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::results::IncidentStep;
use boxbox_schemas::{DriverId, EntryId, RunId};
use serde::Serialize;

use super::sessions;
use crate::access::Reader;
use crate::app::App;
use crate::extract::{Path, SessionPath};
use crate::problem::Problem;

/// All of a session's, by entry, driver, then time; a rise that several runs tell of is given once.
pub(crate) async fn list(reader: Reader, Path(path): Path<SessionPath>, State(app): State<Arc<App>>) -> Result<Json<IncidentList>, Problem> {
    let steps = app.stored(app.results.incidents(&reader.tenant, &path.session).await)?;
    if steps.is_empty() {
        sessions::find(&app, &reader.tenant, &path.session).await?;
    }
    Ok(Json(IncidentList { incidents: IncidentStep::fold(steps).into_iter().map(Incident::of).collect() }))
}

#[derive(Serialize)]
pub(crate) struct IncidentList {
    incidents: Vec<Incident>,
}

#[derive(Serialize)]
struct Incident {
    entry: EntryId,
    driver: DriverId,
    run: RunId,
    /// The simulator's tick of the first frame with the new count.
    tick: u32,
    /// Its session time.
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
