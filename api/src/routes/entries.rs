//! `GET /api/v1/sessions/{session}/entries`: each entry's best laps and sectors, and its fuel.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::timing;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::results::{FlagChange, SessionStateChange};
use boxbox_schemas::{DriverId, EntryId};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, SessionPath, rows};
use crate::openapi::{Cursor, ShortId};
use crate::problem::Problem;
use crate::read::{self, Car};

/// Each entry's best lap, theoretical best, best sectors and fuel
#[utoipa::path(get, path = "/api/v1/sessions/{session}/entries", tag = "timing", operation_id = "listEntries", params(SessionPath, PageParams),
    responses((status = 200, description = "A page of the list", body = EntryList), (status = 422, description = "`session_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(page): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<EntryList>, Problem> {
    let session = read::session(&app, &reader.tenant, &path.session).await?;
    let laps = read::all_laps(&app, &reader.tenant, &path.session).await?;
    let cars = app.stored(app.sessions()?.cars(&reader.tenant, &path.session).await)?;
    let flags = read::rows_of::<FlagChange>(&app, &reader.tenant, &path.session).await?;
    let states = read::rows_of::<SessionStateChange>(&app, &reader.tenant, &path.session).await?;
    let view = SessionView::of(session.clone()).with(Rows { laps, flags, states, cars, ..Rows::default() });
    let all: Vec<_> = view.summaries().into_iter().map(|s| (s.entry, Entry::of(s, &session))).collect();
    // Each entry is in the list once; the 0 gives its key the same shape as those of other lists.
    let (page, next_cursor) = cursor::page(all, page.cursor.as_deref(), rows(page.limit)?, |(entry, _)| (*entry, 0u32))?;
    Ok(Json(EntryList { entries: page.into_iter().map(|(_, entry)| entry).collect(), next_cursor }))
}

/// A page of entries.
#[derive(Serialize, ToSchema)]
pub(crate) struct EntryList {
    /// By entry.
    entries: Vec<Entry>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// An entry's bests and fuel in a session.
#[derive(Serialize, ToSchema)]
struct Entry {
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The entry's car in its last lap.
    #[serde(flatten)]
    car: Car,
    /// The drivers, in order of their first laps.
    #[schema(value_type = Vec<ShortId>)]
    drivers: Vec<DriverId>,
    /// Number of laps completed, as in the order and in the results.
    laps: u32,
    /// How many of them are known.
    known_laps: u32,
    /// How many of those count for best.
    valid_laps: u32,
    /// Number of the best lap that counts; of equal laps, the first.
    best_lap: Option<u32>,
    /// Its time: the simulator's own where it reported one.
    best_lap_us: Option<i64>,
    /// Best time of each sector in laps that count for best; empty if no lap counts.
    best_sectors_us: Vec<i64>,
    /// Numbers of the laps with these times.
    best_sectors_lap: Vec<u32>,
    /// Sum of the best sectors.
    theoretical_best_us: Option<i64>,
    /// Mean fuel used in the last five laps without yellow that are neither in nor out laps, l (kWh).
    fuel_per_lap_l: Option<f32>,
    /// Number of laps for which the fuel in the car lasts at that rate.
    fuel_laps_left: Option<f32>,
}

impl Entry {
    fn of(summary: timing::Summary, session: &boxbox_schemas::results::SessionInfo) -> Self {
        Self {
            entry: summary.entry,
            car: Car::of(session.meta.as_ref(), summary.slot),
            drivers: summary.drivers,
            laps: summary.laps,
            known_laps: summary.known_laps,
            valid_laps: summary.valid_laps,
            best_lap: summary.best_lap,
            best_lap_us: summary.best_lap_us,
            best_sectors_us: summary.best_sectors_us,
            best_sectors_lap: summary.best_sectors_lap,
            theoretical_best_us: summary.theoretical_best_us,
            fuel_per_lap_l: summary.fuel_per_lap_l,
            fuel_laps_left: summary.fuel_laps_left,
        }
    }
}
