//! `GET /api/v1/sessions/{session}/laps/{entry}/{number}/trace`: the frames of a lap, as columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_schemas::frame::{ArchivedCarFrame, Presence};
use boxbox_schemas::{EntryId, SessionId};
use boxbox_store::FrameRun;
use serde::{Deserialize, Serialize};

use super::laps;
use crate::access::Reader;
use crate::app::App;
use crate::extract::{LapPath, Params, Path, limit};
use crate::problem::Problem;

/// Frames in an answer at most: 10 minutes at 60 Hz, a slow lap of the longest track; some 3 MB with the usual channels.
const MOST: u32 = 36_000;

/// The frames between a lap's start and end, as far as the archive has them.
pub(crate) async fn trace(
    reader: Reader,
    Path(path): Path<LapPath>,
    Params(params): Params<TraceParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Trace>, Problem> {
    let limit = limit(params.limit, MOST, MOST)?;
    let channels = asked(params.channels.as_deref())?;
    let lap = laps::find(&app, &reader.tenant, &path).await?;
    let (mut runs, mut left) = (vec![], limit);
    for span in &lap.spans {
        if left == 0 {
            break;
        }
        let found = app.stored(app.archive.frames(&reader.tenant, &lap.session, span, left).await)?;
        left = left.saturating_sub(found.iter().map(FrameRun::count).sum::<u64>() as u32);
        runs.extend(found);
    }
    let frames: Vec<&ArchivedCarFrame> = runs.iter().flat_map(FrameRun::iter).map(|(_, frame)| frame).collect();
    Ok(Json(Trace {
        session: lap.session,
        entry: lap.entry,
        number: lap.number,
        time_us: lap.time_us,
        frames: frames.len(),
        complete: frames.len() >= lap.frames as usize,
        channels: channels.into_iter().map(|c| (c.name, c.column(&frames, lap.start_us))).collect(),
    }))
}

/// `?channels=time_us,speed_mps&limit=…`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TraceParams {
    /// Names of channels, separated by commas; left out, the usual ones.
    channels: Option<String>,
    /// Frames at most, from the lap's start.
    limit: Option<u32>,
}

#[derive(Serialize)]
pub(crate) struct Trace {
    session: SessionId,
    entry: EntryId,
    number: u32,
    /// The lap's time.
    time_us: i64,
    /// How many values each channel has.
    frames: usize,
    /// Whether these are all the frames that the lap was computed from: none is still to be archived, or beyond `limit`.
    complete: bool,
    /// Values by channel, frame by frame; `null` where the simulator gave none.
    channels: BTreeMap<&'static str, Column>,
}

/// Each in its own precision, so that no digits are made up.
#[derive(Serialize)]
#[serde(untagged)]
enum Column {
    Whole(Vec<Option<i64>>),
    Single(Vec<Option<f32>>),
    Double(Vec<Option<f64>>),
}

/// Something a frame tells.
#[derive(Clone, Copy)]
struct Channel {
    name: &'static str,
    usual: bool,
    presence: Presence,
    value: Value,
}

#[derive(Clone, Copy)]
enum Value {
    /// µs since the lap's start.
    Time,
    Whole(fn(&ArchivedCarFrame) -> i64),
    Single(fn(&ArchivedCarFrame) -> f32),
    Double(fn(&ArchivedCarFrame) -> f64),
}

const fn channel(name: &'static str, usual: bool, presence: Presence, value: Value) -> Channel {
    Channel { name, usual, presence, value }
}

const CHANNELS: [Channel; 20] = [
    channel("time_us", true, Presence(0), Value::Time),
    channel("tick", false, Presence(0), Value::Whole(|f| f.tick.to_native().into())),
    channel("lap_pct", true, Presence::LAP_PCT, Value::Double(|f| f.lap_pct.into())),
    channel("lap_dist_m", false, Presence::LAP_DIST, Value::Single(|f| f.lap_dist_m.into())),
    channel("speed_mps", true, Presence::SPEED, Value::Single(|f| f.speed_mps.into())),
    channel("throttle", true, Presence::THROTTLE, Value::Single(|f| f.throttle.into())),
    channel("brake", true, Presence::BRAKE, Value::Single(|f| f.brake.into())),
    channel("clutch", false, Presence::CLUTCH, Value::Single(|f| f.clutch.into())),
    channel("steer_rad", true, Presence::STEER, Value::Single(|f| f.steer_rad.into())),
    channel("gear", true, Presence::GEAR, Value::Whole(|f| f.gear.into())),
    channel("rpm", true, Presence::RPM, Value::Single(|f| f.rpm.into())),
    channel("fuel_l", false, Presence::FUEL, Value::Single(|f| f.fuel_l.into())),
    channel("lat_deg", false, Presence::LAT_LON, Value::Double(|f| f.lat_deg.into())),
    channel("lon_deg", false, Presence::LAT_LON, Value::Double(|f| f.lon_deg.into())),
    channel("accel_x_mps2", false, Presence::ACCEL, Value::Single(|f| f.accel_mps2[0].into())),
    channel("accel_y_mps2", false, Presence::ACCEL, Value::Single(|f| f.accel_mps2[1].into())),
    channel("accel_z_mps2", false, Presence::ACCEL, Value::Single(|f| f.accel_mps2[2].into())),
    channel("yaw_rate_radps", false, Presence::YAW_RATE, Value::Single(|f| f.yaw_rate_radps.into())),
    channel("track_loc", false, Presence::TRACK_LOC, Value::Whole(|f| f.track_loc.0.into())),
    channel("incident_count", false, Presence::INCIDENTS, Value::Whole(|f| f.incident_count.to_native().into())),
];

fn asked(names: Option<&str>) -> Result<Vec<Channel>, Problem> {
    let Some(names) = names else { return Ok(CHANNELS.into_iter().filter(|c| c.usual).collect()) };
    let find = |name: &str| CHANNELS.into_iter().find(|c| c.name == name);
    names.split(',').map(|name| find(name.trim())).collect::<Option<Vec<_>>>().ok_or_else(|| {
        let known: Vec<_> = CHANNELS.iter().map(|c| c.name).collect();
        Problem::bad_request("bad_channel", format!("`channels` takes names out of: {}.", known.join(", ")))
    })
}

impl Channel {
    fn column(&self, frames: &[&ArchivedCarFrame], start_us: i64) -> Column {
        match self.value {
            Value::Time => Column::Whole(self.values(frames, |f| i64::from(f.sim_time_us) - start_us)),
            Value::Whole(value) => Column::Whole(self.values(frames, value)),
            Value::Single(value) => Column::Single(self.values(frames, value)),
            Value::Double(value) => Column::Double(self.values(frames, value)),
        }
    }

    fn values<T>(&self, frames: &[&ArchivedCarFrame], value: impl Fn(&ArchivedCarFrame) -> T) -> Vec<Option<T>> {
        frames.iter().map(|frame| Presence::from(&frame.presence).has(self.presence).then(|| value(frame))).collect()
    }
}
