//! `POST …/sessions/{session}/facts`: what was driven, from the telemetry or from a result file.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use boxbox_race::league::{Facts, SessionSlug};
use boxbox_schemas::{SessionId, TenantId};
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::body::Sent;
use super::paths::LeagueSessionPath;
use crate::app::App;
use crate::extract::{Params, Path};
use crate::leagues::{Acting, Draft, FILE_MAX_BYTES, Loaded, from_file, of_file, session_set};
use crate::problem::Problem;
use crate::read;

/// `?part=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct FileParams {
    /// Which session of the file, by its name in it; by default the last one that suits the role
    #[param(example = "RACE")]
    part: Option<String>,
}

/// Take over what was driven in a session
///
/// Without a body: from the sessions of the telemetry that the league's session names. With a body: from a result file, which is iRacing's result
/// JSON, that of a server of Assetto Corsa or Assetto Corsa Competizione, or CSV with the columns `car`, `number`, `class`, `model`, `sim`,
/// `account`, `position`, `laps`, `time`, `best_lap`, `status`, `grid`, `laps_led`, `incidents`. Facts are never edited; if those of a published
/// result change, a provisional revision is published and an operator is told.
#[utoipa::path(post, path = "/api/v1/leagues/{league}/sessions/{session}/facts", tag = "leagues", operation_id = "takeFacts",
    params(LeagueSessionPath, FileParams, ("Idempotency-Key" = Option<String>, Header, description = "A new text for each request: sent again, the request does nothing and has the same answer, for a day", example = "7f3a")),
    request_body(content = Option<String>, description = "A result file, 8 MiB at most", content_type = "application/octet-stream"),
    responses((status = 200, description = "As of `…/acts`; nothing is written if the facts are the same. `unclaimed` has the cars for which there is no entry, so that they score nothing (50 at most), `unclaimed_count` their number", body = Value),
        (status = 422, description = "`no_facts`, `bad_result_file`, `bad_csv`, `no_such_part`, `session_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn take(
    acting: Acting,
    Path(path): Path<LeagueSessionPath>,
    Params(params): Params<FileParams>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    acting.need_admin()?;
    let Sent { bytes, asked } = Sent::read(request, FILE_MAX_BYTES).await?;
    let leagues = app.leagues()?;
    let session = path.session;
    let unknown = || Problem::not_found("There is no such session in this league.");
    if bytes.is_empty() {
        let loaded = leagues.league(&acting.tenant, &path.league).await?;
        let set = session_set(&loaded, session).ok_or_else(unknown)?;
        let none = || {
            let why = if set.telemetry.is_empty() {
                "it names no session of the telemetry: name some, or send a result file"
            } else {
                "it is not there yet"
            };
            Problem::unprocessable("no_facts", format!("The session has no facts: {why}."))
        };
        let facts = of_telemetry(&app, &acting.tenant, &loaded, session).await?.ok_or_else(none)?;
        let make = |_: &Loaded, _| Ok(Draft { facts: vec![(session, facts.clone())], ..Draft::default() });
        return Ok(Json(leagues.decide(&acting, &path.league, asked, make).await?));
    }
    let make = |loaded: &Loaded, salt: [u8; 16]| {
        let set = session_set(loaded, session).ok_or_else(unknown)?;
        from_file(loaded, session, &bytes, of_file(&bytes, params.part.as_deref(), set.role, &salt)?)
    };
    Ok(Json(leagues.decide(&acting, &path.league, asked, make).await?))
}

/// What the telemetry says about a session; `None` if it says nothing, or the session is from a file.
pub(super) async fn of_telemetry(app: &App, tenant: &TenantId, loaded: &Loaded, session: SessionSlug) -> Result<Option<Facts>, Problem> {
    let (Some(set), Some(salt)) = (session_set(loaded, session), loaded.salt) else { return Ok(None) };
    of_sessions(app, tenant, &set.telemetry, &salt).await
}

/// What these sessions of the telemetry say together.
pub(super) async fn of_sessions(app: &App, tenant: &TenantId, ids: &[SessionId], salt: &[u8]) -> Result<Option<Facts>, Problem> {
    let mut parts = vec![];
    for (at, id) in ids.iter().enumerate() {
        // A ledger of before may name one twice.
        if ids[..at].contains(id) {
            continue;
        }
        let Some(info) = app.stored(app.sessions()?.session(tenant, id).await)? else { continue };
        let view = read::view(app, tenant, info).await?;
        parts.extend(Facts::from_view(&view, salt));
    }
    Ok(if parts.is_empty() { None } else { Some(Facts::joined(parts)) })
}
