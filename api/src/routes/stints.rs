//! `GET /api/v1/sessions/{session}/stints`: an entry's laps between two pit stops or driver changes (`stint.is`).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::timing;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::results::PitVisit;
use boxbox_schemas::{DriverId, EntryId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, SessionPath, rows};
use crate::openapi::{Cursor, ShortId};
use crate::problem::Problem;
use crate::read;

/// Stints, by entry, then number
#[utoipa::path(get, path = "/api/v1/sessions/{session}/stints", tag = "timing", operation_id = "listStints", params(SessionPath, PageParams),
    responses((status = 200, description = "A page of the list", body = StintList), (status = 422, description = "`session_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(page): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<StintList>, Problem> {
    let session = read::session(&app, &reader.tenant, &path.session).await?;
    let laps = read::all_laps(&app, &reader.tenant, &path.session).await?;
    let pit_visits = read::rows_of::<PitVisit>(&app, &reader.tenant, &path.session).await?;
    let stints = SessionView::of(session).with(Rows { laps, pit_visits, ..Rows::default() }).stints();
    let (stints, next_cursor) = cursor::page(stints, page.cursor.as_deref(), rows(page.limit)?, |s| (s.entry, s.number))?;
    Ok(Json(StintList { stints: stints.into_iter().map(Stint::of).collect(), next_cursor }))
}

/// A page of stints.
#[derive(Serialize, ToSchema)]
pub(crate) struct StintList {
    /// By entry, then number.
    stints: Vec<Stint>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// Consecutive laps of one driver between two pit stops.
#[derive(Serialize, ToSchema)]
struct Stint {
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// Its number within the entry, 1-based.
    number: u32,
    /// The driver.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// Number of its first lap.
    first_lap: u32,
    /// Number of its last lap so far.
    last_lap: u32,
    /// Number of known laps in it.
    laps: u32,
    /// When it began, session time.
    start_us: i64,
    /// When its last lap so far ended.
    end_us: i64,
    /// Best lap that counts for best.
    best_us: Option<i64>,
    /// Mean of the laps that count for best.
    mean_us: Option<i64>,
    /// Fuel used in its laps, as far as it is known, l (kWh).
    fuel_used_l: Option<f32>,
    /// Whether it began with new tyres; `null` if that is not known.
    new_tyres: Option<bool>,
}

impl Stint {
    fn of(stint: timing::Stint) -> Self {
        Self {
            entry: stint.entry,
            number: stint.number,
            driver: stint.driver,
            first_lap: stint.first_lap,
            last_lap: stint.last_lap,
            laps: stint.laps,
            start_us: stint.start_us,
            end_us: stint.end_us,
            best_us: stint.best_us,
            mean_us: stint.mean_us,
            fuel_used_l: stint.fuel_used_l,
            new_tyres: stint.new_tyres,
        }
    }
}
