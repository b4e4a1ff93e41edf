//! `GET /api/v1/compare` and `GET /api/v1/compare.svg`: two laps at the same distances.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::Response;
use boxbox_schemas::frame::ArchivedCarFrame;
use boxbox_schemas::results::SessionInfo;
use boxbox_schemas::{DriverId, EntryId, SessionId, TenantId, results};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::laps;
use super::map::{picture, title};
use super::trace::{FRAMES_MAX, Frames, bounded_steps, metres, no_length, no_place};
use crate::access::Reader;
use crate::app::App;
use crate::extract::{LapPath, Params};
use crate::openapi::{HexId, ShortId};
use crate::problem::{self, Problem};
use crate::read::{self, Car};
use crate::svg::{Chart, Curve};
use crate::trace::{Channel, Column, Progress, Values, delta_us, length_m, parse_channels};

/// Two laps of one track: where the second gains and where it loses time
#[utoipa::path(get, path = "/api/v1/compare", tag = "laps", operation_id = "compareLaps", params(CompareParams), responses(
    (status = 200, description = "Both laps at equal steps of distance", body = Comparison),
    (status = 404, description = "There is no such lap, or it is another tenant's", body = problem::Body, content_type = "application/problem+json"),
    (status = 409, description = "`trace_incomplete`: not all frames are archived (yet)", body = problem::Body, content_type = "application/problem+json"),
    (status = 422, description = "`tracks_differ`, `no_place` or `no_track_length`", body = problem::Body, content_type = "application/problem+json"),
))]
pub(crate) async fn compare(reader: Reader, Params(params): Params<CompareParams>, State(app): State<Arc<App>>) -> Result<Json<Comparison>, Problem> {
    let step_m = metres(params.step_m)?;
    let channels = parse_channels(params.channels.as_deref())?;
    let (a, b) = load_both(&app, &reader.tenant, &params.a, &params.b).await?;
    let axis = Axis::of(&a, &b, |_| step_m)?;
    let pair = |channel: &Channel| (channel.name, Pair { a: axis.column(0, channel), b: axis.column(1, channel) });
    let channels = channels.iter().filter(|c| !matches!(c.name, "lap_dist_m" | "lap_pct")).map(pair).collect();
    let sectors_m = sectors_m(&a.session, axis.length_m);
    Ok(Json(Comparison {
        length_m: axis.length_m,
        sectors_m,
        delta_us: axis.delta_us(),
        a: Compared::of(&a),
        b: Compared::of(&b),
        channels,
        lap_dist_m: axis.dist_m,
    }))
}

/// Two laps of one track, as a picture: speed above, the time between them below
#[utoipa::path(get, path = "/api/v1/compare.svg", tag = "laps", operation_id = "drawComparison", params(PairParams), responses(
    (status = 200, description = "The picture", body = String, content_type = "image/svg+xml"),
    (status = 404, description = "There is no such lap, or it is another tenant's", body = problem::Body, content_type = "application/problem+json"),
    (status = 409, description = "`trace_incomplete`: not all frames are archived (yet)", body = problem::Body, content_type = "application/problem+json"),
    (status = 422, description = "`tracks_differ`, `no_place` or `no_track_length`", body = problem::Body, content_type = "application/problem+json"),
))]
pub(crate) async fn draw(reader: Reader, Params(params): Params<PairParams>, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let (a, b) = load_both(&app, &reader.tenant, &params.a, &params.b).await?;
    // About one value for each pixel, however long the track is.
    let axis = Axis::of(&a, &b, |length_m| (length_m / 1_100.0).max(1.0))?;
    let curve = |k: usize, side: &Side| Curve { name: side.name(), time_us: side.lap.timed_us(), speed_mps: axis.speed_mps(k) };
    let chart = Chart {
        title: title(&a.session),
        laps: [curve(0, &a), curve(1, &b)],
        delta_us: axis.delta_us(),
        sectors_m: sectors_m(&a.session, axis.length_m),
        dist_m: axis.dist_m.clone(),
    };
    Ok(picture(chart.svg()))
}

/// One of two laps, with its frames.
struct Side {
    lap: results::Lap,
    session: SessionInfo,
    frames: Frames,
}

impl Side {
    /// The driver and the number of the lap.
    fn name(&self) -> String {
        let car = Car::of(self.session.meta.as_ref(), self.lap.slot);
        format!("{}, lap {}", car.driver_name.unwrap_or_else(|| self.lap.driver.to_string()), self.lap.number)
    }
}

/// Loads both laps, if they can be compared.
async fn load_both(app: &App, tenant: &TenantId, a: &str, b: &str) -> Result<(Side, Side), Problem> {
    let (a, b) = (parse_lap(a)?, parse_lap(b)?);
    let (a, b) = (load_side(app, tenant, a).await?, load_side(app, tenant, b).await?);
    let track = |side: &Side| side.session.meta.as_ref().map(|m| (m.track_id, m.track_name.clone(), m.track_config.clone()));
    let same = match (track(&a), track(&b)) {
        // Clients may spell names differently, so ids are compared where the simulator has them.
        (Some((of_a, _, config_a)), Some((of_b, _, config_b))) if of_a != 0 && of_b != 0 => {
            a.session.source.sim == b.session.source.sim && of_a == of_b && config_a == config_b
        }
        (a, b) => a == b,
    };
    if !same {
        return Err(Problem::unprocessable("tracks_differ", "These laps were not driven on the same track in the same configuration."));
    }
    if !(a.frames.complete && b.frames.complete) {
        let detail = "Not all frames of these laps are in the archive. If the laps were driven a moment ago, try again.";
        return Err(Problem::conflict("trace_incomplete", detail));
    }
    Ok((a, b))
}

async fn load_side(app: &App, tenant: &TenantId, path: LapPath) -> Result<Side, Problem> {
    let lap = laps::find(app, tenant, &path).await?;
    let session = read::session(app, tenant, &path.session).await?;
    let frames = Frames::of(app, tenant, &lap, FRAMES_MAX).await?;
    Ok(Side { lap, session, frames })
}

/// Parses `SESSION/ENTRY/NUMBER`.
fn parse_lap(text: &str) -> Result<LapPath, Problem> {
    let mut parts = text.split('/');
    let mut read = || {
        let path = LapPath { session: parts.next()?.parse().ok()?, entry: parts.next()?.parse().ok()?, number: parts.next()?.parse().ok()? };
        parts.next().is_none().then_some(path)
    };
    read().ok_or_else(|| Problem::bad_request("bad_lap", "`a` and `b` are laps: SESSION/ENTRY/NUMBER, as in their own addresses."))
}

/// Both laps at the same distances.
struct Axis<'a> {
    length_m: f64,
    dist_m: Vec<f64>,
    laps: [(Vec<&'a ArchivedCarFrame>, Progress); 2],
}

impl<'a> Axis<'a> {
    /// `step_m` returns the step for a lap of a given length.
    fn of(a: &'a Side, b: &'a Side, step_m: impl Fn(f64) -> f64) -> Result<Self, Problem> {
        let one = |side: &'a Side| {
            let frames = side.frames.all();
            let length_m = length_m(side.session.meta.as_ref(), &frames).ok_or_else(no_length)?;
            let at_us = side.frames.at_us(&side.lap);
            let progress = Progress::of(&side.lap, (&frames, &at_us), Some(length_m), true).ok_or_else(no_place)?;
            Ok((length_m, (frames, progress)))
        };
        let ((length_a, a), (length_b, b)) = (one(a)?, one(b)?);
        // Two clients may know slightly different lengths; the mean does not depend on which lap is named first.
        let length_m = (length_a + length_b) / 2.0;
        Ok(Self { length_m, dist_m: bounded_steps(length_m, step_m(length_m))?, laps: [a, b] })
    }

    fn shares(&self) -> Vec<f64> {
        self.dist_m.iter().map(|m| m / self.length_m).collect()
    }

    fn delta_us(&self) -> Vec<i64> {
        delta_us(&self.laps[0].1, &self.laps[1].1, &self.shares())
    }

    fn column(&self, lap: usize, channel: &Channel) -> Column {
        let (frames, progress) = &self.laps[lap];
        let at: Vec<_> = self.shares().into_iter().filter_map(|s| Some((progress.samples.between(s)?, progress.at_us(s).round() as i64))).collect();
        channel.column(frames, &Values::Between(&at))
    }

    fn speed_mps(&self, lap: usize) -> Vec<Option<f64>> {
        match self.column(lap, &Channel::SPEED) {
            Column::Single(speeds) => speeds.into_iter().map(|s| s.map(f64::from)).collect(),
            Column::Whole(_) | Column::Double(_) => vec![],
        }
    }
}

fn sectors_m(session: &SessionInfo, length_m: f64) -> Vec<f64> {
    session.meta.iter().flat_map(|m| &m.sector_starts).map(|start| start * length_m).collect()
}

/// `?a=…&b=…&step_m=…&channels=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct CompareParams {
    /// The lap to compare with: SESSION/ENTRY/NUMBER
    #[param(pattern = "^[0-9a-fA-F]{32}/[A-Za-z0-9_.:-]{1,40}/[0-9]{1,9}$", example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153/max/1")]
    a: String,
    /// The lap to compare: SESSION/ENTRY/NUMBER
    #[param(pattern = "^[0-9a-fA-F]{32}/[A-Za-z0-9_.:-]{1,40}/[0-9]{1,9}$", example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153/max/2")]
    b: String,
    /// Metres between two values; 5 by default
    #[param(minimum = 0.5, maximum = 1000.0, example = 5.0)]
    step_m: Option<f64>,
    /// Names of channels, separated by commas; by default the usual ones
    #[param(example = "speed_mps,throttle,brake")]
    channels: Option<String>,
}

/// `?a=…&b=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PairParams {
    /// The lap to compare with: SESSION/ENTRY/NUMBER
    #[param(pattern = "^[0-9a-fA-F]{32}/[A-Za-z0-9_.:-]{1,40}/[0-9]{1,9}$", example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153/max/1")]
    a: String,
    /// The lap to compare: SESSION/ENTRY/NUMBER
    #[param(pattern = "^[0-9a-fA-F]{32}/[A-Za-z0-9_.:-]{1,40}/[0-9]{1,9}$", example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153/max/2")]
    b: String,
}

/// Two laps at equal steps of distance, each from its own start to its own end.
#[derive(Serialize, ToSchema)]
pub(crate) struct Comparison {
    /// The lap to compare with.
    a: Compared,
    /// The lap to compare.
    b: Compared,
    /// Length of the lap, m.
    length_m: f64,
    /// Where sectors begin, m.
    sectors_m: Vec<f64>,
    /// Distances from the line in equal steps; the last is the length of the lap.
    lap_dist_m: Vec<f64>,
    /// How far `b` is behind `a` at each distance, µs, each since its own start: 0 at first, at last the difference of the lap
    /// times. The first lap of a race begins on the grid, behind the line; the time to the line is within the first step.
    delta_us: Vec<i64>,
    /// Channels of both laps, with a value at each distance.
    #[schema(value_type = BTreeMap<String, Pair>)]
    channels: BTreeMap<&'static str, Pair>,
}

/// One channel of both laps.
#[derive(Serialize, ToSchema)]
pub(crate) struct Pair {
    /// Of lap `a`.
    #[schema(value_type = Vec<Option<f64>>)]
    a: Column,
    /// Of lap `b`.
    #[schema(value_type = Vec<Option<f64>>)]
    b: Column,
}

/// One of the two laps.
#[derive(Serialize, ToSchema)]
struct Compared {
    /// The session.
    #[schema(value_type = HexId)]
    session: SessionId,
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The lap's number.
    number: u32,
    /// The driver.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The car.
    #[serde(flatten)]
    car: Car,
    /// The lap's time; `null` if it has none.
    time_us: Option<i64>,
}

impl Compared {
    fn of(side: &Side) -> Self {
        let lap = &side.lap;
        let car = Car::of(side.session.meta.as_ref(), lap.slot);
        Self { session: lap.session, entry: lap.entry, number: lap.number, driver: lap.driver, car, time_us: lap.timed_us() }
    }
}
