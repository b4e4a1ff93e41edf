//! `…/seasons/{season}`: calendar, classes, championships.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::league::{DocKind, Scope};
use serde_json::{Value, json};

use super::list::{has, without_text};
use super::paths::SeasonPath;
use crate::app::App;
use crate::extract::Path;
use crate::leagues::Acting;
use crate::problem::Problem;

/// A season: its events in their order with their sessions, its classes and championships, and what is published of them
#[utoipa::path(get, path = "/api/v1/leagues/{league}/seasons/{season}", tag = "leagues", operation_id = "getSeason", params(SeasonPath),
    responses((status = 200, description = "The season, with `classes`, `events` (each with its `sessions`) and `championships`; `published` is the latest revision, or `null`", body = Value)))]
pub(crate) async fn one(acting: Acting, Path(path): Path<SeasonPath>, State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, &path.league).await?;
    let season = path.season.as_str();
    has(&loaded, DocKind::Season, season, "There is no such season in this league.")?;
    let names = leagues.names(&acting.tenant, &loaded).await?;
    let of_season = |kind: DocKind, slug: &str| -> Vec<Value> {
        let of = loaded.docs_of(kind).filter(|(_, body)| body["season"] == season);
        of.map(|(id, body)| json!({ slug: body[slug], "name": names.get(kind, id), "set": without_text(body) })).collect()
    };
    let published = |scope: Option<Scope>| {
        let latest = scope.and_then(|scope| loaded.league.published(scope));
        latest.map(|of| json!({ "revision": of.revision, "state": of.state, "digest": of.digest }))
    };
    let mut events = of_season(DocKind::Event, "event");
    for event in &mut events {
        let of = loaded.docs_of(DocKind::Session).filter(|(_, body)| body["event"] == event["event"]);
        let sessions: Vec<Value> =
            of.map(|(id, body)| json!({ "session": id, "set": body, "published": published(id.parse().ok().map(Scope::Session)) })).collect();
        event["sessions"] = sessions.into();
    }
    events.sort_by_key(|event| event["set"]["index"].as_u64());
    let mut championships = of_season(DocKind::Championship, "championship");
    for of in &mut championships {
        let scope = of["championship"].as_str().and_then(|id| id.parse().ok()).map(Scope::Championship);
        of["published"] = json!(published(scope));
    }
    Ok(Json(json!({
        "season": season,
        "name": names.get(DocKind::Season, season),
        "set": loaded.doc(DocKind::Season, season).map(without_text),
        "classes": of_season(DocKind::Class, "class"),
        "events": events,
        "championships": championships,
    })))
}
