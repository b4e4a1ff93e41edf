//! `GET /api/v1/sessions/{session}/order`: positions and gaps, now or at any moment (`order.race`, `gap.leader`).

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::timing::{self, FINISH_QUESTIONS, FinishLaps};
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::limits::SIM_TIME_MAX_US;
use boxbox_schemas::results::{FlagChange, PitVisit, SessionInfo, SessionStateChange};
use boxbox_schemas::{DriverId, EntryId, TenantId};
use boxbox_store::{BestLaps, LapFilter};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Reader;
use crate::app::App;
use crate::extract::{Params, Path, SessionPath};
use crate::openapi::ShortId;
use crate::problem::Problem;
use crate::read::{self, Car};

/// Order and gaps, now or at a moment of the session
#[utoipa::path(get, path = "/api/v1/sessions/{session}/order", tag = "timing", operation_id = "getOrder", params(SessionPath, OrderParams),
    responses((status = 200, description = "The order", body = Order)))]
pub(crate) async fn order(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(params): Params<OrderParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Order>, Problem> {
    if params.at_us.is_some_and(|at| !(0..=SIM_TIME_MAX_US).contains(&at)) {
        return Err(Problem::bad_request("bad_moment", format!("`at_us` is a session time, 0 to {SIM_TIME_MAX_US}.")));
    }
    let session = read::session(&app, &reader.tenant, &path.session).await?;
    let view = view(&app, &reader.tenant, &session, params.at_us).await?;
    let order = view.order(params.at_us).into_iter().map(|s| Standing::of(s, &session)).collect();
    Ok(Json(Order { at_us: params.at_us, session_us: session.sim_time_us, closed: session.closed, order }))
}

/// The session with the rows that its order at a moment needs, which are far fewer than all of its laps.
async fn view(app: &App, tenant: &TenantId, session: &SessionInfo, at_us: Option<i64>) -> Result<SessionView, Problem> {
    let (results, id) = (app.sessions()?, &session.id);
    let at_or_now_us = at_us.unwrap_or(SIM_TIME_MAX_US);
    let mut view = SessionView::of(session.clone()).with(Rows {
        flags: read::rows_of::<FlagChange>(app, tenant, id).await?,
        states: read::rows_of::<SessionStateChange>(app, tenant, id).await?,
        cars: app.stored(results.cars(tenant, id).await)?,
        ..Rows::default()
    });
    // What the end of a race depends on: each question may depend on the laps of the one before.
    let mut known = FinishLaps::default();
    for _ in 0..FINISH_QUESTIONS {
        let wanted = view.finish_laps();
        let mut laps = vec![];
        for number in wanted.numbers.iter().filter(|number| !known.numbers.contains(number)) {
            let of_number = LapFilter { from_number: Some(*number), to_number: Some(*number), ..LapFilter::default() };
            laps.extend(read::matching_laps(app, (tenant, id), &of_number, None, usize::from(u16::MAX), |_| true).await?);
        }
        if let Some(us) = wanted.last_two_begun_by.filter(|us| known.last_two_begun_by != Some(*us)) {
            laps.extend(app.stored(results.laps_at(tenant, id, us).await)?);
        }
        view = view.with(Rows { laps, ..Rows::default() });
        known = wanted;
    }
    let Some(counting) = view.counting() else { return Ok(view) };
    if counting.laps_counted > 0 {
        // Which laps count depends on all laps of a car; such a session has few.
        return Ok(view.with(Rows { laps: read::all_laps(app, tenant, id).await?, ..Rows::default() }));
    }
    let bests = BestLaps {
        ended_by_us: at_or_now_us.min(counting.ended_by_us),
        begun_before_us: counting.begun_before_us,
        from_number: counting.best_from_number,
    };
    let mut laps = app.stored(results.laps_at(tenant, id, view.recent_until_us(Some(at_or_now_us))).await)?;
    laps.extend(app.stored(results.best_laps(tenant, id, bests).await)?);
    // Where cars are says who is in the pits now; who was there is told by the visits.
    let pit_visits = if at_us.is_some() { read::rows_of::<PitVisit>(app, tenant, id).await? } else { vec![] };
    Ok(view.with(Rows { laps, pit_visits, ..Rows::default() }))
}

/// `?at_us=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OrderParams {
    /// The moment, session time in µs; by default now
    #[param(minimum = 0, maximum = 2_592_000_000_000i64, example = 600_000_000)]
    at_us: Option<i64>,
}

/// The order of a session at a moment.
#[derive(Serialize, ToSchema)]
pub(crate) struct Order {
    /// The moment asked for; `null`: now.
    at_us: Option<i64>,
    /// The session's time so far.
    session_us: i64,
    /// Whether the session is closed.
    closed: bool,
    /// In order of position.
    order: Vec<Standing>,
}

/// One entry in the order.
#[derive(Serialize, ToSchema)]
struct Standing {
    /// Position overall, 1-based.
    position: u32,
    /// Position in its class, 1-based.
    class_position: u32,
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The driver at that moment.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// Its car.
    #[serde(flatten)]
    car: Car,
    /// Number of laps completed. In practice and qualifying: of the last lap that is in the results.
    laps: u32,
    /// Fraction of the current lap; `null` if it is in no lap.
    lap_pct: Option<f64>,
    /// Whole laps behind the leader; if it is not 0, there is no gap in time.
    laps_down: u32,
    /// Time behind the leader at the mini-loop (a twentieth of the lap) that it passed last; `null` if it is a lap or more, or not known.
    /// In practice and qualifying: by best laps.
    gap_us: Option<i64>,
    /// Whole laps behind the car ahead in the order.
    interval_laps: u32,
    /// Time behind the car ahead in the order, measured where `gap_us` is, and never more than it.
    interval_us: Option<i64>,
    /// Whole laps behind the first car of its class.
    class_laps_down: u32,
    /// Time behind the first car of its class.
    class_gap_us: Option<i64>,
    /// Whole laps behind the car ahead in its class.
    class_interval_laps: u32,
    /// Time behind the car ahead in its class.
    class_interval_us: Option<i64>,
    /// Time of its last lap.
    last_lap_us: Option<i64>,
    /// Time of its best valid lap.
    best_lap_us: Option<i64>,
    /// Whether it is, or was, in the pits; `null` if that is not known.
    in_pits: Option<bool>,
    /// It has taken the chequered flag.
    finished: bool,
    /// Only other clients saw the car.
    field: bool,
    /// Session time of the latest data about it.
    known_us: i64,
}

impl Standing {
    fn of(standing: timing::Standing, session: &SessionInfo) -> Self {
        Self {
            position: standing.position,
            class_position: standing.class_position,
            entry: standing.entry,
            driver: standing.driver,
            car: Car::of(session.meta.as_ref(), standing.slot),
            laps: standing.laps,
            lap_pct: standing.lap_pct,
            laps_down: standing.laps_down,
            gap_us: standing.gap_us,
            interval_laps: standing.interval_laps,
            interval_us: standing.interval_us,
            class_laps_down: standing.class_laps_down,
            class_gap_us: standing.class_gap_us,
            class_interval_laps: standing.class_interval_laps,
            class_interval_us: standing.class_interval_us,
            last_lap_us: standing.last_lap_us,
            best_lap_us: standing.best_lap_us,
            in_pits: standing.in_pits,
            finished: standing.finished,
            field: standing.field,
            known_us: standing.at_us,
        }
    }
}
