//! `GET /api/v1/sessions/{session}/laps/{entry}/{number}/map.svg`: the driven line, coloured by speed.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::SessionInfo;

use super::laps;
use super::trace::{FRAMES_MAX, Frames};
use crate::access::Reader;
use crate::app::App;
use crate::extract::{LapPath, Path};
use crate::problem::{self, Problem};
use crate::read::{self, Car};
use crate::svg::Map;
use crate::trace::{self, Progress};

/// Where a lap was driven, as a picture coloured by speed
#[utoipa::path(get, path = "/api/v1/sessions/{session}/laps/{entry}/{number}/map.svg", tag = "laps", operation_id = "drawMap", params(LapPath), responses(
    (status = 200, description = "The picture, as far as the archive has the lap's frames", body = String, content_type = "image/svg+xml"),
    (status = 422, description = "`no_path`: the frames have neither the car's position nor its heading", body = problem::Body, content_type = "application/problem+json"),
))]
pub(crate) async fn draw(reader: Reader, Path(path): Path<LapPath>, State(app): State<Arc<App>>) -> Result<Response, Problem> {
    let lap = laps::find(&app, &reader.tenant, &path).await?;
    let session = read::session(&app, &reader.tenant, &path.session).await?;
    let frames = Frames::of(&app, &reader.tenant, &lap, FRAMES_MAX).await?;
    let all = frames.all();
    let driven = trace::Path::of(&all);
    let driven =
        driven.ok_or_else(|| Problem::unprocessable("no_path", "The frames of this lap have neither the car's position nor its heading."))?;
    let car = Car::of(session.meta.as_ref(), lap.slot);
    let progress = Progress::of(&lap, (&all, &frames.at_us(&lap)), session.meta.as_ref().and_then(SessionMeta::known_length_m), frames.complete);
    let starts = session.meta.iter().flat_map(|m| &m.sector_starts).copied();
    let marks = progress.map(|progress| {
        starts.filter(|share| *share <= progress.end()).filter_map(|share| progress.samples.between(share)).map(|at| at.before).collect()
    });
    let name = car.driver_name.unwrap_or_else(|| lap.driver.to_string());
    let map = Map {
        title: title(&session),
        name: format!("{name}, lap {}", lap.number),
        time_us: lap.timed_us(),
        path: &driven,
        marks: marks.unwrap_or_default(),
    };
    Ok(picture(map.svg()))
}

/// The name of the session's track, as the title of a picture.
pub(super) fn title(session: &SessionInfo) -> String {
    let meta = session.meta.as_ref();
    let names = meta.into_iter().flat_map(|m| [&m.track_name, &m.track_config]).filter_map(|name| read::text(name));
    let names: Vec<String> = names.collect();
    if names.is_empty() { "Unnamed track".into() } else { names.join(", ") }
}

/// A picture as an answer. Opened in a browser by itself, it may load and run nothing.
pub(super) fn picture(svg: String) -> Response {
    ([(CONTENT_TYPE, "image/svg+xml"), (CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox")], svg).into_response()
}
