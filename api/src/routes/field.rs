//! `GET /api/v1/sessions/{session}/laps/{entry}/{number}/field`: where the other cars were in a lap, as its car's client saw them.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::field::FieldBits;
use boxbox_schemas::record::Content;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::laps;
use super::trace::Frames;
use crate::access::Reader;
use crate::app::App;
use crate::extract::{LapPath, Params, Path};
use crate::problem::Problem;
use crate::records;

/// Longest time before or after the start of the lap, µs.
const TIME_MAX_US: i64 = 1_000_000_000_000;
/// Rows in an answer at most: 60 cars, four times a second, for two minutes and more; about 3 MB.
const ROWS_MAX: usize = 30_000;

/// Other cars in a lap, as its client saw them
#[utoipa::path(get, path = "/api/v1/sessions/{session}/laps/{entry}/{number}/field", tag = "laps", operation_id = "getField", params(LapPath, FieldParams),
    responses((status = 200, description = "The cars", body = Field), (status = 422, description = "`lap_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn field(
    reader: Reader,
    Path(path): Path<LapPath>,
    Params(params): Params<FieldParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Field>, Problem> {
    for (name, us) in [("from_us", params.from_us), ("to_us", params.to_us)] {
        if us.is_some_and(|us| !(-TIME_MAX_US..=TIME_MAX_US).contains(&us)) {
            return Err(Problem::bad_request("bad_moment", format!("`{name}` is a time after the lap's start, -{TIME_MAX_US} to {TIME_MAX_US}.")));
        }
    }
    let lap = laps::find(&app, &reader.tenant, &path).await?;
    let clock = Frames::clock(&app, &reader.tenant, &lap).await?;
    let wanted = params.from_us.unwrap_or(i64::MIN)..params.to_us.unwrap_or(i64::MAX);
    let mut field = Field { complete: true, cars: vec![] };
    let each = |content: Content<'_>| {
        let Content::Field(frames) = content else { return };
        for frame in frames.iter().filter_map(Result::ok) {
            let time_us = clock.since_start_us(frame.sim_time_us.to_native());
            if !wanted.contains(&time_us) || params.slot.is_some_and(|slot| slot != frame.slot.to_native()) {
                continue;
            }
            if field.cars.len() == ROWS_MAX {
                field.complete = false;
                return;
            }
            field.cars.push(SeenCar {
                time_us,
                slot: frame.slot.to_native(),
                lap: frame.lap.to_native(),
                lap_pct: frame.lap_pct.to_native(),
                on_pit_road: FieldBits::from(&frame.bits).has(FieldBits::ON_PIT_ROAD),
                track_loc: frame.track_loc.0,
                place: Some(frame.place).filter(|place| *place > 0),
                class_place: Some(frame.class_place).filter(|place| *place > 0),
            });
        }
    };
    records::each(&app, &reader.tenant, &lap, each).await?;
    Ok(Json(field))
}

/// `?from_us=…&to_us=…&slot=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FieldParams {
    /// From this time on, µs since the lap's start
    #[param(minimum = -1_000_000_000_000i64, maximum = 1_000_000_000_000i64, example = 30_000_000)]
    from_us: Option<i64>,
    /// Up to this time, which is excluded, µs since the lap's start
    #[param(minimum = -1_000_000_000_000i64, maximum = 1_000_000_000_000i64, example = 31_000_000)]
    to_us: Option<i64>,
    /// Only the car in this slot
    #[param(minimum = 0, maximum = 65_535, example = 7)]
    slot: Option<u16>,
}

/// Other cars in a lap, as its client saw them.
#[derive(Serialize, ToSchema)]
pub(crate) struct Field {
    /// False: there are more than an answer may have; ask for a shorter time.
    complete: bool,
    /// By time, then in the client's order.
    cars: Vec<SeenCar>,
}

/// Another car at a moment.
#[derive(Serialize, ToSchema)]
struct SeenCar {
    /// When, since the lap's start.
    time_us: i64,
    /// Its slot in the simulator (iRacing: CarIdx).
    slot: u16,
    /// Laps started, the simulator's counter.
    lap: i16,
    /// Fraction of the lap, 0..1.
    lap_pct: f32,
    /// Between the pit lane's cones.
    on_pit_road: bool,
    /// Where it is: -1 not in the world, 0 off track, 1 pit stall, 2 pit approach, 3 on track.
    track_loc: i8,
    /// Overall position, the simulator's; `null` if it gives none.
    place: Option<u8>,
    /// Position in class, the simulator's; `null` if it gives none.
    class_place: Option<u8>,
}
