//! `GET /api/v1/sessions/{session}/laps/{entry}/{number}/trace`: the telemetry of a lap, as columns.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::stream::{LapClock, since_start_us};
use boxbox_schemas::frame::ArchivedCarFrame;
use boxbox_schemas::{EntryId, SessionId, TenantId, results};
use boxbox_store::FrameRun;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::laps;
use crate::access::Reader;
use crate::app::App;
use crate::extract::{LapPath, Params, Path, limit};
use crate::openapi::{HexId, ShortId};
use crate::problem::Problem;
use crate::read;
use crate::trace::{Column, Progress, Samples, Values, length_m, parse_channels, steps};

/// Frames in an answer at most: 10 minutes at 60 Hz, a slow lap of the longest track; about 3 MB with the usual channels.
pub(super) const FRAMES_MAX: u32 = 36_000;

/// The telemetry of a lap, frame by frame, or at equal steps of time or distance
#[utoipa::path(get, path = "/api/v1/sessions/{session}/laps/{entry}/{number}/trace", tag = "laps", operation_id = "getTrace", params(LapPath, TraceParams),
    responses((status = 200, description = "The trace", body = Trace), (status = 422, description = "`no_place`: no frame has a position on the lap; `no_track_length`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn trace(
    reader: Reader,
    Path(path): Path<LapPath>,
    Params(params): Params<TraceParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Trace>, Problem> {
    let limit = limit(params.limit, FRAMES_MAX, FRAMES_MAX)?;
    let channels = parse_channels(params.channels.as_deref())?;
    let grid = params.grid()?;
    let lap = laps::find(&app, &reader.tenant, &path).await?;
    let frames = Frames::of(&app, &reader.tenant, &lap, limit).await?;
    let (all, at_us) = (frames.all(), frames.at_us(&lap));
    let mut columns = BTreeMap::new();
    let points = match grid {
        Grid::Frames => {
            columns.extend(channels.iter().map(|c| (c.name, c.column(&all, &Values::Every(&at_us)))));
            all.len()
        }
        Grid::Time { step_us } => {
            let samples = Samples::rising(at_us.iter().enumerate().map(|(i, us)| (*us as f64, i)));
            let end_us = if frames.complete { lap.time_us } else { at_us.last().copied().unwrap_or(0) };
            let at = bounded_steps(end_us.max(0) as f64, step_us)?;
            let at: Vec<_> = at.into_iter().filter_map(|us| Some((samples.between(us)?, us.round() as i64))).collect();
            columns.extend(channels.iter().map(|c| (c.name, c.column(&all, &Values::Between(&at)))));
            at.len()
        }
        Grid::Distance { step_m } => {
            let session = read::session(&app, &reader.tenant, &lap.session).await?;
            let length_m = length_m(session.meta.as_ref(), &all).ok_or_else(no_length)?;
            let progress = Progress::of(&lap, (&all, &at_us), Some(length_m), frames.complete).ok_or_else(no_place)?;
            let dist_m = bounded_steps(length_m * progress.end(), step_m)?;
            let place = |m: &f64| Some((progress.samples.between(m / length_m)?, progress.at_us(m / length_m).round() as i64));
            let at: Vec<_> = dist_m.iter().filter_map(place).collect();
            columns.extend(channels.iter().map(|c| (c.name, c.column(&all, &Values::Between(&at)))));
            columns.insert("lap_dist_m", Column::Double(dist_m.into_iter().map(Some).collect()));
            columns.insert("time_us", Column::Whole(at.iter().map(|(_, us)| Some(*us)).collect()));
            at.len()
        }
    };
    Ok(Json(Trace {
        session: lap.session,
        entry: lap.entry,
        number: lap.number,
        time_us: lap.timed_us(),
        frames: all.len(),
        points,
        complete: frames.complete,
        channels: columns,
    }))
}

/// The frames of a lap, as far as the archive has them.
pub(super) struct Frames {
    runs: Vec<FrameRun>,
    /// Whether these are all frames from which the lap was computed.
    pub(super) complete: bool,
}

impl Frames {
    pub(super) async fn of(app: &App, tenant: &TenantId, lap: &results::Lap, limit: u32) -> Result<Self, Problem> {
        let (mut runs, mut left) = (vec![], limit);
        for span in &lap.spans {
            if left == 0 {
                break;
            }
            let found = app.stored(app.archive()?.frames(tenant, &lap.session, span, left).await)?;
            left = left.saturating_sub(found.iter().map(FrameRun::count).sum::<u64>() as u32);
            runs.extend(found);
        }
        let complete = runs.iter().map(FrameRun::count).sum::<u64>() >= u64::from(lap.frames);
        Ok(Self { runs, complete })
    }

    pub(super) fn all(&self) -> Vec<&ArchivedCarFrame> {
        self.runs.iter().flat_map(FrameRun::iter).map(|(_, frame)| frame).collect()
    }

    /// When each of [`Frames::all`] was, µs after the start of `lap`, whose frames they are (`clock.slip`).
    pub(super) fn at_us(&self, lap: &results::Lap) -> Vec<i64> {
        let frames: Vec<_> = self.runs.iter().flat_map(FrameRun::iter).collect();
        since_start_us(lap, &frames, length_m(None, &self.all()))
    }

    /// The clock of `lap`, as far as its frames are in the archive: for what its client sent beside them (`clock.slip`).
    pub(super) async fn clock(app: &App, tenant: &TenantId, lap: &results::Lap) -> Result<LapClock, Problem> {
        let frames = Self::of(app, tenant, lap, FRAMES_MAX).await?;
        let of_lap: Vec<_> = frames.runs.iter().flat_map(FrameRun::iter).collect();
        Ok(LapClock::of(lap, &of_lap, length_m(None, &frames.all())))
    }
}

pub(super) fn no_length() -> Problem {
    Problem::unprocessable("no_track_length", "No client has reported how long this track is.")
}

pub(super) fn no_place() -> Problem {
    Problem::unprocessable("no_place", "No frame of this lap has a position on the lap.")
}

/// Equal steps from 0 to `end`. If there would be more than an answer may have, this fails before it computes them.
pub(super) fn bounded_steps(end: f64, step: f64) -> Result<Vec<f64>, Problem> {
    steps(end, step, FRAMES_MAX)
        .ok_or_else(|| Problem::bad_request("bad_step", format!("That would be more than {FRAMES_MAX} steps: choose a longer step.")))
}

/// `?by=…&step_m=…&step_ms=…&channels=time_us,speed_mps&limit=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TraceParams {
    /// `time` (the default): every frame, or with `step_ms` equal steps of time; `distance`: equal steps of lap distance
    #[param(inline)]
    by: Option<By>,
    /// With `by=distance`: metres between two values; 5 by default
    #[param(minimum = 0.5, maximum = 1000.0, example = 5.0)]
    step_m: Option<f64>,
    /// With `by=time`: milliseconds between two values; by default every frame
    #[param(minimum = 1, maximum = 60_000, example = 100)]
    step_ms: Option<u32>,
    /// Names of channels, separated by commas; by default the usual ones
    #[param(example = "time_us,speed_mps,brake")]
    channels: Option<String>,
    /// Frames at most, from the lap's start
    #[param(minimum = 1, maximum = 36_000, example = 36_000)]
    limit: Option<u32>,
}

/// The axis of a trace.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum By {
    /// Time.
    Time,
    /// Distance round the lap.
    Distance,
}

enum Grid {
    Frames,
    Time { step_us: f64 },
    Distance { step_m: f64 },
}

impl TraceParams {
    fn grid(&self) -> Result<Grid, Problem> {
        let wrong = |detail| Err(Problem::bad_request("bad_step", detail));
        match (self.by.unwrap_or(By::Time), self.step_ms, self.step_m) {
            (By::Time, None, None) => Ok(Grid::Frames),
            (By::Time, Some(ms), None) if (1..=60_000).contains(&ms) => Ok(Grid::Time { step_us: f64::from(ms) * 1_000.0 }),
            (By::Time, Some(_), None) => wrong("`step_ms` is 1 to 60000."),
            (By::Time, _, Some(_)) => wrong("`step_m` belongs to `by=distance`."),
            (By::Distance, Some(_), _) => wrong("`step_ms` belongs to `by=time`."),
            (By::Distance, None, step_m) => Ok(Grid::Distance { step_m: metres(step_m)? }),
        }
    }
}

/// The step of distance, or the default.
pub(super) fn metres(step_m: Option<f64>) -> Result<f64, Problem> {
    let step_m = step_m.unwrap_or(5.0);
    if (0.5..=1_000.0).contains(&step_m) { Ok(step_m) } else { Err(Problem::bad_request("bad_step", "`step_m` is 0.5 to 1000.")) }
}

/// The telemetry of a lap.
#[derive(Serialize, ToSchema)]
pub(crate) struct Trace {
    /// The session.
    #[schema(value_type = HexId)]
    session: SessionId,
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// The lap's number.
    number: u32,
    /// The lap's time.
    time_us: Option<i64>,
    /// Number of frames from which the values were made.
    frames: usize,
    /// Number of values of each channel.
    points: usize,
    /// Whether all frames of the lap are used: none is missing in the archive (yet), and none is beyond `limit`.
    complete: bool,
    /// Values by channel; `null` where the simulator gave no value. `time_us` counts from the lap's start.
    #[schema(value_type = BTreeMap<String, Vec<Option<f64>>>)]
    channels: BTreeMap<&'static str, Column>,
}
