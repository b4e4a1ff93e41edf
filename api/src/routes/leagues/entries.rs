//! `…/seasons/{season}/entries`: who takes part; and entries from CSV.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use boxbox_race::league::DocKind;
use serde_json::{Value, json};

use super::body::Sent;
use super::paths::SeasonPath;
use crate::app::App;
use crate::cursor;
use crate::extract::{PageParams, Params, Path, rows};
use crate::leagues::{Acting, ENTRIES_MAX_BYTES, imported};
use crate::problem::Problem;

/// The entries of a season, by id
#[utoipa::path(get, path = "/api/v1/leagues/{league}/seasons/{season}/entries", tag = "leagues", operation_id = "listLeagueEntries", params(SeasonPath, PageParams),
    responses((status = 200, description = "A page of `entries`, each with its intervals (first event or `null`, and what holds from then on); `names` of persons and teams; `next_cursor`", body = Value)))]
pub(crate) async fn list(
    acting: Acting,
    Path(path): Path<SeasonPath>,
    Params(params): Params<PageParams>,
    State(app): State<Arc<App>>,
) -> Result<Json<Value>, Problem> {
    let loaded = app.leagues()?.league(&acting.tenant, &path.league).await?;
    if loaded.doc(DocKind::Season, path.season.as_str()).is_none() {
        return Err(Problem::not_found("There is no such season in this league."));
    }
    let prefix = format!("{}/", path.season);
    let of: Vec<&Value> = loaded.docs_of(DocKind::Entry).filter(|(id, _)| id.starts_with(&prefix)).map(|(_, body)| body).collect();
    let (page, next) =
        cursor::page(of, params.cursor.as_deref(), rows(params.limit)?, |body| (body["entry"].as_str().unwrap_or_default().to_owned(),))?;
    let entries = json!(page);
    let names = app.leagues()?.names(&acting.tenant, &loaded).await?.mentioned(&entries);
    Ok(Json(json!({ "entries": entries, "names": names, "next_cursor": next })))
}

/// Make entries from CSV
///
/// A line for each driver of each car, with the columns `entry` (its id; without it `car-NUMBER`), `number`, `class` (needless where there is only
/// one), `name`, `team`, `driver` (as in grants), `sim` and `account` (in the simulator), `status` (`registered`, `guest`, `reserve`, `withdrawn`),
/// `car`, `manufacturer`, `from_event`. Importing it again changes nothing: a line with an account means
/// its person, a line without one the person of that name in the entry. 1 MiB and 400 lines at most.
#[utoipa::path(post, path = "/api/v1/leagues/{league}/seasons/{season}/entries/import", tag = "leagues", operation_id = "importEntries",
    params(SeasonPath, ("Idempotency-Key" = Option<String>, Header, description = "A new text for each request: sent again, the request does nothing and has the same answer, for a day", example = "7f3a")),
    request_body(content = String, description = "The file", content_type = "text/csv"),
    responses((status = 200, description = "As of `…/acts`; `drivers` has the entry and the person of each line", body = Value),
        (status = 409, description = "`contradicts`, `state`", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 422, description = "`bad_csv`: every fault with its line; `unknown`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn import(
    acting: Acting,
    Path(path): Path<SeasonPath>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    acting.need_admin()?;
    let Sent { bytes, asked } = Sent::read(request, ENTRIES_MAX_BYTES).await?;
    let leagues = app.leagues()?;
    let loaded = leagues.league(&acting.tenant, &path.league).await?;
    let names = leagues.names(&acting.tenant, &loaded).await?;
    let make = |loaded: &crate::leagues::Loaded, salt| imported(loaded, &names, path.season, salt, &bytes);
    Ok(Json(leagues.decide(&acting, &path.league, asked, make).await?))
}
