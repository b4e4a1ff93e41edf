//! `…/sessions/{session}/result`, `…/championships/{championship}/table`, and the revisions of both. What is sent is made once for each head of
//! the ledger and kept.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::{CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use boxbox_race::league::{DocKind, Scope};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::IntoParams;

use super::list::has;
use super::paths::{ChampionshipPath, LeagueSessionPath};
use crate::app::App;
use crate::extract::{PageParams, Params, Path, rows};
use crate::leagues::{Acting, Shown, Title, shown};
use crate::problem::Problem;

/// `?revision=…&why=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RevisionParams {
    /// Its number, 1-based; by default the latest
    #[param(minimum = 1, maximum = 4_294_967_295u32, example = 1)]
    revision: Option<u32>,
    /// With an explanation of each place and each point: `1` or `true`
    #[param(example = "1")]
    why: Option<String>,
}

/// The published result of a session
///
/// `ETag` and `If-None-Match` work. `digest` is equal for equal results.
#[utoipa::path(get, path = "/api/v1/leagues/{league}/sessions/{session}/result", tag = "leagues", operation_id = "getLeagueResult", params(LeagueSessionPath, RevisionParams),
    responses((status = 200, description = "`result` (rows and scores), its `revision`, `state`, `digest`, `reason`, `difference` to the revision before, and `names`", body = Value),
        (status = 422, description = "`not_published`: it is not published yet", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn result(
    acting: Acting,
    Path(path): Path<LeagueSessionPath>,
    Params(params): Params<RevisionParams>,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = Scope::Session(path.session);
    answer(&app, &acting, &path.league, scope, &params, &headers).await
}

/// The published table of a championship
///
/// `ETag` and `If-None-Match` work. `digest` is equal for equal tables. Points are exact: `25`, `33/2`.
#[utoipa::path(get, path = "/api/v1/leagues/{league}/championships/{championship}/table", tag = "leagues", operation_id = "getTable", params(ChampionshipPath, RevisionParams),
    responses((status = 200, description = "`table` (lines with their events, dropped ones marked), its `revision`, `state`, `digest`, `reason`, `difference` to the revision before, and `names`", body = Value),
        (status = 422, description = "`not_published`: it is not published yet", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn table(
    acting: Acting,
    Path(path): Path<ChampionshipPath>,
    Params(params): Params<RevisionParams>,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let scope = Scope::Championship(path.championship);
    answer(&app, &acting, &path.league, scope, &params, &headers).await
}

/// The kind of thing of a scope, and what is said where it is not there.
pub(super) fn kind_of(scope: Scope) -> (DocKind, &'static str, &'static str) {
    match scope {
        Scope::Session(_) => (DocKind::Session, "result", "There is no such session in this league."),
        Scope::Championship(_) => (DocKind::Championship, "table", "There is no such championship in this league."),
    }
}

async fn answer(
    app: &App,
    acting: &Acting,
    league: &boxbox_schemas::league::LeagueId,
    scope: Scope,
    params: &RevisionParams,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let why = match params.why.as_deref() {
        None | Some("0" | "false") => false,
        Some("1" | "true") => true,
        Some(_) => return Err(Problem::bad_request("bad_query", "`why` is 1 or true, 0 or false.")),
    };
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, league).await?;
    let (kind, what, unknown) = kind_of(scope);
    let latest = loaded.league.published(scope).map(|of| of.revision);
    let Some(number) = params.revision.or(latest) else {
        has(&loaded, kind, scope.id(), unknown)?;
        return Err(Problem::unprocessable("not_published", "It is not published yet: stewards and admins see it with …/preview."));
    };
    let key = format!("{scope}/{number}/{why}");
    if let Some(kept) = loaded.answer(&key) {
        return Ok(sent(&kept, headers));
    }
    let found = leagues.revision(&acting.tenant, league, scope, Some(number)).await?;
    let found = found.ok_or_else(|| Problem::not_found("There is no such revision."))?;
    let names = leagues.names(&acting.tenant, &loaded).await?;
    let info = &found.info;
    let reason = match info.reason {
        Some(reason) => leagues.texts(&acting.tenant, league, &[reason]).await?.into_values().next(),
        None => None,
    };
    let difference: Value = serde_json::from_str(&info.difference).unwrap_or_default();
    let more = json!({ "seq": info.seq, "at_us": info.at_us, "reason": reason, "difference": difference, "latest": latest });
    let title = Title { what, revision: Some(number), state: info.state.clone(), digest: info.digest.to_string(), more };
    let body: Value = serde_json::from_str(&found.body).map_err(|_| Problem::internal())?;
    let made = shown(title, body, why, &names);
    loaded.keep(key, &made);
    Ok(sent(&made, headers))
}

/// The document, or 304 if the client has it.
pub(super) fn sent(made: &Shown, headers: &HeaderMap) -> Response {
    let has_it = headers
        .get(IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| tags.split(',').map(|tag| tag.trim().trim_start_matches("W/")).any(|tag| tag == "*" || tag == &*made.etag));
    let etag = [(ETAG, made.etag.to_string())];
    if has_it {
        return (StatusCode::NOT_MODIFIED, etag).into_response();
    }
    (etag, [(CONTENT_TYPE, "application/json")], made.body.clone()).into_response()
}

/// What was published of a session, the first first
#[utoipa::path(get, path = "/api/v1/leagues/{league}/sessions/{session}/revisions", tag = "leagues", operation_id = "listResultRevisions", params(LeagueSessionPath, PageParams),
    responses((status = 200, description = "A page of `revisions` with number, state, digests and difference; `names`; `next_cursor`", body = Value)))]
pub(crate) async fn result_revisions(
    acting: Acting,
    Path(path): Path<LeagueSessionPath>,
    Params(params): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Value>, Problem> {
    revisions(&app, &acting, &path.league, Scope::Session(path.session), &params).await
}

/// What was published of a championship, the first first
#[utoipa::path(get, path = "/api/v1/leagues/{league}/championships/{championship}/revisions", tag = "leagues", operation_id = "listTableRevisions", params(ChampionshipPath, PageParams),
    responses((status = 200, description = "A page of `revisions` with number, state, digests and difference; `names`; `next_cursor`", body = Value)))]
pub(crate) async fn table_revisions(
    acting: Acting,
    Path(path): Path<ChampionshipPath>,
    Params(params): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Value>, Problem> {
    revisions(&app, &acting, &path.league, Scope::Championship(path.championship), &params).await
}

async fn revisions(
    app: &App,
    acting: &Acting,
    league: &boxbox_schemas::league::LeagueId,
    scope: Scope,
    params: &PageParams,
) -> Result<Json<Value>, Problem> {
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, league).await?;
    let (kind, _, unknown) = kind_of(scope);
    has(&loaded, kind, scope.id(), unknown)?;
    let limit = rows(params.limit)?;
    let after = crate::cursor::read::<(u32,)>(params.cursor.as_deref())?.map_or(0, |(after,)| after);
    let found = leagues.revisions(&acting.tenant, league, scope, after, limit + 1).await?;
    let (page, next_cursor) = crate::cursor::cut(found, limit, |info| (info.number,));
    let reasons: Vec<_> = page.iter().filter_map(|info| info.reason).collect();
    let texts = leagues.texts(&acting.tenant, league, &reasons).await?;
    let one = |info: &boxbox_schemas::league::RevisionInfo| {
        let reason = info.reason.and_then(|reason| texts.get(&reason.to_string()));
        let difference: Value = serde_json::from_str(&info.difference).unwrap_or_default();
        json!({ "revision": info.number, "state": info.state, "seq": info.seq, "at_us": info.at_us, "digest": info.digest, "facts": info.facts,
            "rules": info.rules, "reason": reason, "difference": difference })
    };
    let revisions: Value = page.iter().map(one).collect();
    let names = leagues.names(&acting.tenant, &loaded).await?.mentioned(&revisions);
    Ok(Json(json!({ "revisions": revisions, "names": names, "next_cursor": next_cursor })))
}
