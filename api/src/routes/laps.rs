//! `GET /api/v1/sessions/{session}/laps` and `GET /api/v1/sessions/{session}/laps/{entry}/{number}`.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use boxbox_schemas::limits::META_STRING_MAX_BYTES;
use boxbox_schemas::results::Tags;
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId, TenantId, results};
use boxbox_store::LapFilter;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Reader;
use crate::app::App;
use crate::cursor;
use crate::extract::{LapPath, Params, Path, SessionPath, rows};
use crate::followed::Followed;
use crate::openapi::{Cursor, HexId, ShortId};
use crate::problem::Problem;
use crate::read::{self, Class};

/// A session's timed laps, by entry, then number
#[utoipa::path(get, path = "/api/v1/sessions/{session}/laps", tag = "laps", operation_id = "listLaps", params(SessionPath, LapParams),
    responses((status = 200, description = "A page of the list", body = LapList)))]
pub(crate) async fn list(
    reader: Reader,
    Path(path): Path<SessionPath>,
    Params(params): Params<LapParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<LapList>, Problem> {
    let limit = rows(params.limit)?;
    if params.class.as_ref().is_some_and(|class| class.chars().count() > META_STRING_MAX_BYTES) {
        return Err(Problem::bad_request("bad_class", format!("No class has a name longer than {META_STRING_MAX_BYTES} characters.")));
    }
    let after = cursor::read(params.cursor.as_deref())?;
    let filter = LapFilter { entry: params.entry, driver: params.driver, from_number: params.from, to_number: params.to, valid: params.valid };
    let of = (&reader.tenant, &path.session);
    let most = limit as usize + 1;
    let found = match params.class.as_deref() {
        None => app.stored(app.sessions()?.laps(of.0, of.1, &filter, after, limit + 1).await)?,
        Some(class) => {
            let session = read::session(&app, &reader.tenant, &path.session).await?;
            let class = Class::of(session.meta.as_ref(), class);
            read::matching_laps(&app, of, &filter, after, most, |lap| class.has(lap.slot)).await?
        }
    };
    if found.is_empty() {
        read::session(&app, &reader.tenant, &path.session).await?;
    }
    let (laps, next_cursor) = cursor::cut(found, limit, |lap| (lap.entry, lap.number));
    let loops = params.loops == Some(true);
    Ok(Json(LapList { laps: laps.into_iter().map(|lap| Lap::of(lap, loops)).collect(), next_cursor }))
}

/// One lap
#[utoipa::path(get, path = "/api/v1/sessions/{session}/laps/{entry}/{number}", tag = "laps", operation_id = "getLap", params(LapPath, OneParams),
    responses((status = 200, description = "The lap", body = Lap)))]
pub(crate) async fn one(
    reader: Reader,
    Path(path): Path<LapPath>,
    Params(params): Params<OneParams>,
    State(app): State<Arc<App>>,
) -> Result<(Option<Extension<Followed>>, Json<Lap>), Problem> {
    let lap = find(&app, &reader.tenant, &path).await?;
    let followed = Followed::lap(reader.tenant, &lap).map(Extension);
    Ok((followed, Json(Lap::of(lap, params.loops == Some(true)))))
}

/// The lap, or 404.
pub(super) async fn find(app: &App, tenant: &TenantId, path: &LapPath) -> Result<results::Lap, Problem> {
    let found = app.stored(app.sessions()?.lap(tenant, &path.session, &path.entry, path.number).await)?;
    found.ok_or_else(|| Problem::not_found("There is no such lap."))
}

/// `?entry=…&driver=…&class=…&from=…&to=…&valid=…&loops=…&cursor=…&limit=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct LapParams {
    /// Laps of this entry only
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9_.:-]{1,40}$", example = "max")]
    entry: Option<EntryId>,
    /// Laps credited to this driver only
    #[param(value_type = Option<String>, pattern = "^[A-Za-z0-9_.:-]{1,40}$", example = "max")]
    driver: Option<DriverId>,
    /// Laps of cars of this class only: its name in the session's description, or the simulator's id of it
    #[param(max_length = 128, example = "GT4")]
    class: Option<String>,
    /// Laps from this number on
    #[param(minimum = 0, maximum = 4_294_967_295u32, example = 1)]
    from: Option<u32>,
    /// Laps to this number
    #[param(minimum = 0, maximum = 4_294_967_295u32, example = 99)]
    to: Option<u32>,
    /// `true`: laps that count for best; `false`: the others
    valid: Option<bool>,
    /// `true`: include `loops_us`
    loops: Option<bool>,
    /// `next_cursor` of the page before; by default the first page
    cursor: Option<String>,
    /// Rows at most; 100 by default
    #[param(minimum = 1, maximum = 500, example = 100)]
    limit: Option<u32>,
}

/// `?loops=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct OneParams {
    /// `true`: include `loops_us`
    loops: Option<bool>,
}

/// A page of laps.
#[derive(Serialize, ToSchema)]
pub(crate) struct LapList {
    /// By entry, then number.
    laps: Vec<Lap>,
    /// Send it as `cursor` to get the next page; `null` on the last page.
    #[schema(value_type = Option<Cursor>)]
    next_cursor: Option<String>,
}

/// A timed lap: from one crossing of the line to the next.
#[derive(Serialize, ToSchema)]
pub(crate) struct Lap {
    /// The session.
    #[schema(value_type = HexId)]
    session: SessionId,
    /// The entry's id.
    #[schema(value_type = ShortId)]
    entry: EntryId,
    /// Number of laps completed before it, plus 1.
    #[schema(example = 2)]
    number: u32,
    /// The driver who crossed the line at its end.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The car's slot, as in the session's `entries`.
    slot: u16,
    /// Rises when the lap is computed again with another result.
    revision: u32,
    /// Session time at its start.
    start_us: i64,
    /// Session time at its end.
    end_us: i64,
    /// `end_us` minus `start_us`; `null` if the lap counts and has no time (the tag `untimed`).
    #[schema(example = 92_556_400)]
    time_us: Option<i64>,
    /// The simulator's own time of the lap.
    sim_time_us: Option<i64>,
    /// Times of the sectors; they sum to `time_us`. Empty if a sector's marker was not crossed.
    sectors_us: Vec<i64>,
    /// With `loops=true`: when the car passed each twentieth of the lap, µs since its start; `null` where that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    loops_us: Option<Vec<Option<i64>>>,
    /// Fuel at its end, l (kWh for electric cars).
    fuel_l: Option<f32>,
    /// Fuel used in the lap, l (kWh); `null` if the car was refuelled or towed, or if frames of the lap are missing.
    fuel_used_l: Option<f32>,
    /// Whether it counts for best: it has no `reasons`.
    valid: bool,
    /// Why it does not count: `in_lap`, `off_track`, …
    reasons: Vec<String>,
    /// Other facts about the lap: `first_lap`, `had_yellow`, …
    tags: Vec<String>,
    /// Seen by other clients only (the tag `field`): less exact, and without a trace.
    field: bool,
    /// Number of frames from which it was computed.
    frames: u32,
    /// The lap does not change any more, unless frames come late.
    settled: bool,
    /// Where its frames are; `…/trace` returns the frames.
    spans: Vec<Span>,
}

/// Consecutive frames of one stream.
#[derive(Serialize, ToSchema)]
struct Span {
    /// The driver whose stream it is.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The run of the stream.
    #[schema(value_type = HexId)]
    run: RunId,
    /// First sequence number.
    first_seq: u64,
    /// First sequence number after it.
    next_seq: u64,
}

impl Lap {
    fn of(lap: results::Lap, loops: bool) -> Self {
        let span = |s: results::Span| Span { driver: s.driver, run: s.run, first_seq: s.first_seq, next_seq: s.next_seq };
        Self {
            valid: lap.valid(),
            session: lap.session,
            entry: lap.entry,
            number: lap.number,
            driver: lap.driver,
            slot: lap.slot,
            revision: lap.revision,
            start_us: lap.start_us,
            end_us: lap.end_us,
            time_us: lap.timed_us(),
            sim_time_us: lap.sim_time_us,
            sectors_us: lap.sectors_us,
            loops_us: loops.then(|| lap.loops_us.into_iter().map(|us| Some(us).filter(|us| *us >= 0)).collect()),
            fuel_l: lap.fuel_l,
            fuel_used_l: lap.fuel_used_l,
            reasons: lap.reasons.names(),
            tags: lap.tags.names(),
            field: lap.tags.has(Tags::FIELD),
            frames: lap.frames,
            settled: lap.settled,
            spans: lap.spans.into_iter().map(span).collect(),
        }
    }
}
