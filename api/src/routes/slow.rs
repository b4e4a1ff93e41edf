//! `GET /api/v1/sessions/{session}/laps/{entry}/{number}/slow`: tyres, fluids and weather in a lap, as its car's client sent them.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::record::Content;
use boxbox_schemas::slow::{ArchivedSlowFrame, SlowPresence};
use serde::Serialize;
use utoipa::ToSchema;

use super::laps;
use super::trace::Frames;
use crate::access::Reader;
use crate::app::App;
use crate::extract::{LapPath, Path};
use crate::problem::Problem;
use crate::records;

/// Values in an answer at most, once a second for an hour.
const FRAMES_MAX: usize = 3_600;

/// Wheels, in the order of the frame.
const WHEELS: [&str; 4] = ["lf", "rf", "lr", "rr"];
/// Places across a tyre, in the order of the frame.
const ACROSS: [&str; 3] = ["left", "middle", "right"];

/// Tyres, fluids and weather in a lap
#[utoipa::path(get, path = "/api/v1/sessions/{session}/laps/{entry}/{number}/slow", tag = "laps", operation_id = "getSlow", params(LapPath),
    responses((status = 200, description = "The values", body = Slow), (status = 422, description = "`lap_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn slow(reader: Reader, Path(path): Path<LapPath>, State(app): State<Arc<App>>) -> Result<Json<Slow>, Problem> {
    let lap = laps::find(&app, &reader.tenant, &path).await?;
    let clock = Frames::clock(&app, &reader.tenant, &lap).await?;
    let (mut time_us, mut channels) = (vec![], BTreeMap::<String, Vec<Option<f32>>>::new());
    let each = |content: Content<'_>| {
        let Content::Slow(frames) = content else { return };
        for frame in frames.iter().filter_map(Result::ok).take(FRAMES_MAX - time_us.len()) {
            time_us.push(clock.since_start_us(frame.sim_time_us.to_native()));
            values(frame, |name, value| channels.entry(name).or_default().push(value));
        }
    };
    records::each(&app, &reader.tenant, &lap, each).await?;
    // A channel that has no value at all is left out.
    channels.retain(|_, values| values.iter().any(Option::is_some));
    Ok(Json(Slow { time_us, channels }))
}

/// Tyres, fluids and weather in a lap.
#[derive(Serialize, ToSchema)]
pub(crate) struct Slow {
    /// When each value is from, since the lap's start.
    time_us: Vec<i64>,
    /// Values by channel, as many as times; `null` where the simulator gave no value. Tyres: `tyre_wear_lf_left`, `tyre_temp_c_rr_middle`,
    /// `tyre_pressure_kpa_lf`; others: `water_c`, `oil_c`, `oil_bar`, `volts`, `air_c`, `track_c`, `humidity`, `wind_mps`,
    /// `wind_dir_rad`, `tyre_sets_used`.
    channels: BTreeMap<String, Vec<Option<f32>>>,
}

/// Every value of a frame, by name.
fn values(frame: &ArchivedSlowFrame, mut each: impl FnMut(String, Option<f32>)) {
    let presence = SlowPresence::from(&frame.presence);
    let mut one = |name: String, group: SlowPresence, value: f32| each(name, presence.has(group).then_some(value));
    for (wheel, name) in WHEELS.iter().enumerate() {
        for (place, across) in ACROSS.iter().enumerate() {
            one(format!("tyre_wear_{name}_{across}"), SlowPresence::TYRE_WEAR, frame.tyre_wear[wheel][place].to_native());
            one(format!("tyre_temp_c_{name}_{across}"), SlowPresence::TYRE_TEMP, frame.tyre_temp_c[wheel][place].to_native());
        }
        one(format!("tyre_pressure_kpa_{name}"), SlowPresence::TYRE_PRESSURE, frame.tyre_pressure_kpa[wheel].to_native());
    }
    let others = [
        ("water_c", SlowPresence::WATER, frame.water_c),
        ("oil_c", SlowPresence::OIL_TEMP, frame.oil_c),
        ("oil_bar", SlowPresence::OIL_PRESSURE, frame.oil_bar),
        ("volts", SlowPresence::VOLTS, frame.volts),
        ("air_c", SlowPresence::AIR_TEMP, frame.air_c),
        ("track_c", SlowPresence::TRACK_TEMP, frame.track_c),
        ("humidity", SlowPresence::HUMIDITY, frame.humidity),
        ("wind_mps", SlowPresence::WIND, frame.wind_mps),
        ("wind_dir_rad", SlowPresence::WIND, frame.wind_dir_rad),
    ];
    for (name, group, value) in others {
        one(name.to_owned(), group, value.to_native());
    }
    one("tyre_sets_used".to_owned(), SlowPresence::TYRE_SETS, f32::from(frame.tyre_sets_used.to_native()));
}
