//! `…/preview`: a result or table as it would be published now. For stewards and admins.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use boxbox_race::league::{DocKind, Scope};
use serde_json::{Value, json};

use super::list::has;
use super::paths::{ChampionshipPath, LeagueSessionPath};
use super::published::{kind_of, sent};
use crate::app::App;
use crate::extract::Path;
use crate::leagues::{Acting, Title, computed, shown};
use crate::problem::Problem;

/// The result of a session as it would be published now, with explanations
#[utoipa::path(get, path = "/api/v1/leagues/{league}/sessions/{session}/preview", tag = "leagues", operation_id = "previewLeagueResult", params(LeagueSessionPath),
    responses((status = 200, description = "As of `…/result?why=1`; `revision` is `null`", body = Value),
        (status = 422, description = "`no_facts`: nothing is known of what was driven", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn result(
    acting: Acting,
    Path(path): Path<LeagueSessionPath>,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    preview(&app, &acting, &path.league, Scope::Session(path.session), &headers).await
}

/// The table of a championship as it would be if every session with facts were published now, with explanations
#[utoipa::path(get, path = "/api/v1/leagues/{league}/championships/{championship}/preview", tag = "leagues", operation_id = "previewTable", params(ChampionshipPath),
    responses((status = 200, description = "As of `…/table?why=1`; `revision` is `null`", body = Value),
        (status = 422, description = "`no_facts`: nothing can be computed", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn table(
    acting: Acting,
    Path(path): Path<ChampionshipPath>,
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    preview(&app, &acting, &path.league, Scope::Championship(path.championship), &headers).await
}

async fn preview(
    app: &App,
    acting: &Acting,
    league: &boxbox_schemas::league::LeagueId,
    scope: Scope,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    acting.need_steward()?;
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, league).await?;
    let (kind, what, unknown) = kind_of(scope);
    has(&loaded, kind, scope.id(), unknown)?;
    let season = match scope {
        Scope::Session(session) => loaded.league.season_of(session),
        Scope::Championship(_) => loaded.doc(DocKind::Championship, scope.id()).and_then(|doc| doc["season"].as_str()?.parse().ok()),
    };
    let season = season.ok_or_else(Problem::internal)?;
    let facts = leagues.facts(&acting.tenant, &loaded).await?;
    let of = loaded.clone();
    let made = tokio::task::spawn_blocking(move || computed(&of.league, season, &facts)).await.map_err(|_| Problem::internal())?;
    let found = match scope {
        Scope::Session(session) => made.results.get(&session).map(|result| (json!(result), result.digest(), json!("provisional"))),
        Scope::Championship(id) => {
            made.tables.iter().find(|table| table.championship == id).map(|table| (json!(table), table.digest(), json!(table.state)))
        }
    };
    let none = || Problem::unprocessable("no_facts", "There is nothing to show: no session that counts has facts, or its rules cannot be read.");
    let (body, digest, state): (Value, _, Value) = found.ok_or_else(none)?;
    let names = leagues.names(&acting.tenant, &loaded).await?;
    let title = Title {
        what,
        revision: None,
        state: state.as_str().unwrap_or_default().to_owned(),
        digest: digest.to_string(),
        more: json!({ "latest": loaded.league.published(scope).map(|of| of.revision) }),
    };
    Ok(sent(&shown(title, body, true, &names), headers))
}
