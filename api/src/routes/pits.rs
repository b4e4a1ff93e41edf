//! `GET /api/v1/sessions/{session}/pit-stops`: visits to the pit lane (`pit.visit`, `pit.once`).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::results::{PitKind, PitVisit};
use boxbox_schemas::{DriverId, EntryId};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{Params, Path, SessionPath, rows};
use crate::openapi::{Cursor, ShortId};
use crate::problem::Problem;
use crate::read;

/// Visits to the pit lane, by entry, then time
#[utoipa::path(get, path = "/api/v1/sessions/{session}/pit-stops", tag = "timing", operation_id = "listPitStops", params(SessionPath, PitParams),
    responses((status = 200, description = "A page of the list", body = PitList)))]
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(params): Params<PitParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<PitList>, Problem> {
    let session = read::session(&app, &reader.tenant, &path.session).await?;
    let pit_visits = read::rows_of::<PitVisit>(&app, &reader.tenant, &path.session).await?;
    let mut visits = SessionView::of(session).with(Rows { pit_visits, ..Rows::default() }).pit_visits();
    visits.retain(|v| params.kind.is_none_or(|kind| kind == VisitKind::of(v.kind)));
    let (visits, next_cursor) = cursor::page(visits, params.cursor.as_deref(), rows(params.limit)?, |v| (v.entry, v.enter_us))?;
    Ok(Json(PitList { pit_stops: visits.into_iter().map(Visit::of).collect(), next_cursor }))
}

/// `?kind=…&cursor=…&limit=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PitParams {
    /// Visits of this kind only
    #[param(inline)]
    kind: Option<VisitKind>,
    /// `next_cursor` of the page before; by default the first page
    cursor: Option<String>,
    /// Rows at most; 100 by default
    #[param(minimum = 1, maximum = 500, example = 100)]
    limit: Option<u32>,
}

/// The kind of a visit.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = PitKind)]
enum VisitKind {
    /// Stop: the car stood in its own stall.
    Stop,
    /// The car drove through without standing in its stall.
    DriveThrough,
    /// The car was towed or reset to the pits.
    Tow,
    /// The car began the session in the pit lane or in the garage.
    Start,
    /// A kind that a newer version wrote.
    Other,
}

impl VisitKind {
    fn of(kind: PitKind) -> Self {
        match kind {
            PitKind::STOP => VisitKind::Stop,
            PitKind::DRIVE_THROUGH => VisitKind::DriveThrough,
            PitKind::TOW => VisitKind::Tow,
            PitKind::START => VisitKind::Start,
            _ => VisitKind::Other,
        }
    }
}

/// A page of visits to the pit lane.
#[derive(Serialize, ToSchema)]
pub(crate) struct PitList {
    /// By entry, then time.
    pit_stops: Vec<Visit>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// The time of a car between entering and leaving the pit lane.
#[derive(Serialize, ToSchema)]
#[schema(as = PitVisit)]
struct Visit {
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The driver whose client reported it: the car's own driver, or (`field`) another who saw it.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The car's slot.
    slot: u16,
    /// Its kind, as far as it is known.
    kind: VisitKind,
    /// Number of the lap in which the car came in; 0 if no lap had begun.
    lap: u32,
    /// When the car entered the pit lane, session time.
    enter_us: i64,
    /// When the car left it, session time; `null` while it is there, and for good if no client saw it leave.
    exit_us: Option<i64>,
    /// Time between entering and leaving.
    lane_us: Option<i64>,
    /// How long the car stood in its stall.
    stationary_us: i64,
    /// How long the car was serviced; `null` if the simulator does not report it.
    service_us: Option<i64>,
    /// Fuel that was added, l (kWh).
    fuel_added_l: Option<f32>,
    /// Whether tyres were changed; `null` if the simulator does not report it.
    tyres_changed: Option<bool>,
    /// Highest speed in the pit lane.
    speed_max_mps: f32,
    /// Whether the car was faster than the pit lane's limit.
    speeding: bool,
    /// Only other clients saw the car.
    field: bool,
}

impl Visit {
    fn of(visit: PitVisit) -> Self {
        Self {
            lane_us: visit.lane_us(),
            entry: visit.entry,
            driver: visit.driver,
            slot: visit.slot,
            kind: VisitKind::of(visit.kind),
            lap: visit.lap,
            enter_us: visit.enter_us,
            exit_us: visit.exit_us,
            stationary_us: visit.stationary_us,
            service_us: visit.service_us,
            fuel_added_l: visit.fuel_added_l,
            tyres_changed: visit.tyres_changed,
            speed_max_mps: visit.speed_max_mps,
            speeding: visit.speeding,
            field: visit.field,
        }
    }
}
