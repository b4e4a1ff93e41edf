//! `/leagues` and `/leagues/{league}`, its penalties and rulesets.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use boxbox_race::league::DocKind;
use boxbox_schemas::league::LeagueId;
use serde_json::{Value, json};

use super::paths::{LeaguePath, RulesetPath};
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, rows};
use crate::leagues::{Acting, Loaded};
use crate::problem::Problem;

/// The leagues, by id
#[utoipa::path(get, path = "/api/v1/leagues", tag = "leagues", operation_id = "listLeagues", params(PageParams),
    responses((status = 200, description = "A page of `leagues`, each with its id and the number of its last act; `next_cursor`", body = Value)))]
pub(crate) async fn all(acting: Acting, Params(params): Params<PageParams>, State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let limit = rows(params.limit)?;
    let after = cursor::read::<(LeagueId,)>(params.cursor.as_deref())?.map(|(id,)| id);
    let found = app.leagues()?.leagues(&acting.tenant, after.as_ref(), limit + 1).await?;
    let (page, next_cursor) = cursor::cut(found, limit, |(id, _)| (*id,));
    let leagues: Vec<Value> = page.into_iter().map(|(id, head)| json!({ "league": id, "head": head.seq })).collect();
    Ok(Json(json!({ "leagues": leagues, "next_cursor": next_cursor })))
}

/// A league: its series, seasons, rulesets and teams
#[utoipa::path(get, path = "/api/v1/leagues/{league}", tag = "leagues", operation_id = "getLeague", params(LeaguePath),
    responses((status = 200, description = "The league, with names; `head` is the number of its last act", body = Value)))]
pub(crate) async fn one(acting: Acting, Path(path): Path<LeaguePath>, State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, &path.league).await?;
    let names = leagues.names(&acting.tenant, &loaded).await?;
    let of = |kind: DocKind| -> Vec<Value> {
        let named = |(id, body): (&str, &Value)| json!({ "id": id, "name": names.get(kind, id), "set": without_text(body) });
        loaded.docs_of(kind).map(named).collect()
    };
    let rulesets: Vec<Value> = loaded
        .docs_of(DocKind::Ruleset)
        .map(|(_, body)| json!({ "ruleset": body["ruleset"], "version": body["version"], "hash": body["hash"] }))
        .collect();
    let set = loaded.docs_of(DocKind::League).next().map(|(_, body)| without_text(body));
    Ok(Json(json!({
        "league": path.league,
        "name": names.get(DocKind::League, path.league.as_str()),
        "head": loaded.head.seq,
        "hash": loaded.head.hash,
        "set": set,
        "rulesets": rulesets,
        "series": of(DocKind::Series),
        "seasons": of(DocKind::Season),
        "teams": of(DocKind::Team),
    })))
}

/// What an act set, without the id of its name.
pub(super) fn without_text(body: &Value) -> Value {
    let mut body = body.clone();
    if let Some(fields) = body.as_object_mut() {
        fields.remove("name");
    }
    body
}

/// The document of a ruleset
#[utoipa::path(get, path = "/api/v1/leagues/{league}/rulesets/{ruleset}/{version}", tag = "leagues", operation_id = "getRuleset", params(RulesetPath),
    responses((status = 200, description = "The ruleset with its `hash` and its `document`, as it was written", body = Value)))]
pub(crate) async fn ruleset(acting: Acting, Path(path): Path<RulesetPath>, State(app): State<Arc<App>>) -> Result<Json<Value>, Problem> {
    let loaded = app.leagues()?.league(&acting.tenant, &path.league).await?;
    let found = loaded.doc(DocKind::Ruleset, &format!("{}/{}", path.ruleset, path.version));
    found.cloned().map(Json).ok_or_else(|| Problem::not_found("There is no such version of a ruleset in this league."))
}

/// The penalties of a league, by id
///
/// Those that were only proposed, also if that was dropped, are for stewards and admins.
#[utoipa::path(get, path = "/api/v1/leagues/{league}/penalties", tag = "leagues", operation_id = "listPenalties", params(LeaguePath, PageParams),
    responses((status = 200, description = "A page of `penalties` with their states and reasons; `names`; `next_cursor`", body = Value)))]
pub(crate) async fn penalties(
    acting: Acting,
    Path(path): Path<LeaguePath>,
    Params(params): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Value>, Problem> {
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, &path.league).await?;
    // What was proposed and then dropped was never more than a proposal.
    let is_more = |state: &Value| matches!(state.as_str(), Some("in_force" | "suspended" | "served"));
    let was_more = |body: &Value| is_more(&body["state"]) || body["changes"].as_array().is_some_and(|of| of.iter().any(|change| is_more(&change[0])));
    let is_shown = |body: &Value| acting.sees_all() || was_more(body);
    let all: Vec<(String, Value)> =
        loaded.docs_of(DocKind::Penalty).filter(|(_, body)| is_shown(body)).map(|(id, body)| (id.to_owned(), body.clone())).collect();
    let (page, next_cursor) = cursor::page(all, params.cursor.as_deref(), rows(params.limit)?, |(id, _)| (id.clone(),))?;
    let mut penalties: Vec<Value> = page.into_iter().map(|(_, body)| body).collect();
    let ids = penalties.iter().flat_map(texts_of).collect::<Vec<_>>();
    let mut texts = std::collections::BTreeMap::new();
    for ids in ids.chunks(1_000) {
        texts.extend(leagues.texts(&acting.tenant, &path.league, ids).await?);
    }
    penalties.iter_mut().for_each(|body| say(body, &texts));
    let penalties = json!(penalties);
    let names = leagues.names(&acting.tenant, &loaded).await?.mentioned(&penalties);
    Ok(Json(json!({ "penalties": penalties, "names": names, "next_cursor": next_cursor })))
}

/// The ids of the texts of a penalty.
fn texts_of(body: &Value) -> Vec<boxbox_schemas::league::Digest> {
    let changes = body["changes"].as_array().into_iter().flatten().map(|change| &change[1]);
    std::iter::once(&body["reason"]).chain(changes).filter_map(|id| id.as_str()?.parse().ok()).collect()
}

/// Put texts in the place of their ids; `null` where they were erased.
fn say(body: &mut Value, texts: &std::collections::BTreeMap<String, String>) {
    let of = |id: &Value| id.as_str().and_then(|id| texts.get(id)).map_or(Value::Null, |text| text.as_str().into());
    body["reason"] = of(&body["reason"]);
    for change in body["changes"].as_array_mut().into_iter().flatten() {
        *change = json!({ "state": change[0], "reason": of(&change[1]) });
    }
}

/// Refuses what the league does not have.
pub(super) fn has(loaded: &Loaded, kind: DocKind, id: &str, what: &'static str) -> Result<(), Problem> {
    if loaded.doc(kind, id).is_some() { Ok(()) } else { Err(Problem::not_found(what)) }
}
