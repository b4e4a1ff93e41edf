//! `POST …/acts`, `…/penalties`, `…/publish`: decide.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use boxbox_race::league::{DocKind, Facts, Scope, State as Published};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{self, Sent};
use super::facts;
use super::paths::LeaguePath;
use crate::app::App;
use crate::extract::Path;
use crate::leagues::{ACTS_MAX_BYTES, Acting, Draft, Publish, check_rights, read_acts, text};
use crate::problem::Problem;

/// Decide one or several things, all of them or none
///
/// The body is an act, or a list of at most 500. An act has a `kind` and the fields of that kind, as the ledger shows them: `league_set` (the first
/// act makes the league), `ruleset_added`, `ruleset_adopted`, `series_set`, `season_set`, `class_set`, `event_set`, `session_set`,
/// `championship_set`, `person_added`, `account_linked`, `person_merged`, `person_erased`, `team_set`, `member_set`, `entry_set`, `rebound`,
/// `penalty_given`, `penalty_changed`, `override`. `name` and `reason` are texts here; they are kept beside the ledger. The id of a new person, the
/// number of a penalty, the hash of a ruleset (`preset` takes a built-in one) and the details of a `rebound` may be left out; the `account` of
/// `account_linked` is the account itself. What is published and changes by it is published anew in the same step. Stewards may send
/// `penalty_given`, `penalty_changed`, `override` and `rebound`, admins all.
#[utoipa::path(post, path = "/api/v1/leagues/{league}/acts", tag = "leagues", operation_id = "decide", request_body(content = Value, description = "An act (`Act` among the schemas), or a list of acts"),
    params(LeaguePath, ("Idempotency-Key" = Option<String>, Header, description = "A new text for each request: sent again, the request does nothing and has the same answer, for a day", example = "7f3a")),
    responses((status = 200, description = "Written: `first` and `head` are the numbers of the first act and of the last; `published` is what was published anew, `names` has the persons and teams in it", body = Value),
        (status = 409, description = "`exists`, `contradicts`, `state`: the league does not allow it now", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 422, description = "`malformed`, `unknown`, `out_of_bounds`, `reason_needed`, `bad_acts`, `bad_text`, `bad_json`, `key_reused`, `made_by_server`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn acts(
    acting: Acting,
    Path(path): Path<LeaguePath>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    acting.need_steward()?;
    let Sent { bytes, asked } = Sent::read(request, ACTS_MAX_BYTES).await?;
    let acts = body::json(&bytes)?;
    let make = |loaded: &crate::leagues::Loaded, salt| {
        let draft = read_acts(loaded, salt, &acts)?;
        check_rights(&acting, &draft.acts)?;
        Ok(draft)
    };
    Ok(Json(app.leagues()?.decide(&acting, &path.league, asked, make).await?))
}

/// Give a penalty
///
/// The body is a `penalty_given` without its kind: `at` (`{"session": …}`, `{"event": …}` or `{"season": …}`), `against` (`{"entry": …}`,
/// `{"person": …}`, `{"team": …}`), `sanction` (`{"kind": "time", "us": 5000000}`), `reason`, and if you like `penalty` (its id) and `state`.
/// Results and tables that are published and change by it are published anew.
#[utoipa::path(post, path = "/api/v1/leagues/{league}/penalties", tag = "leagues", operation_id = "givePenalty", request_body(content = Value, description = "The penalty"),
    params(LeaguePath, ("Idempotency-Key" = Option<String>, Header, description = "A new text for each request: sent again, the request does nothing and has the same answer, for a day", example = "7f3a")),
    responses((status = 200, description = "As of `…/acts`; `penalties` has its id", body = Value),
        (status = 409, description = "`exists`, `contradicts`, `state`", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 422, description = "`malformed`, `unknown`, `out_of_bounds`, `bad_text`, `key_reused`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn penalty(
    acting: Acting,
    Path(path): Path<LeaguePath>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    acting.need_steward()?;
    let Sent { bytes, asked } = Sent::read(request, ACTS_MAX_BYTES).await?;
    let mut act = body::json(&bytes)?;
    let Some(fields) = act.as_object_mut() else { return Err(Problem::unprocessable("malformed", "A penalty is an object.")) };
    fields.insert("kind".into(), "penalty_given".into());
    Ok(Json(app.leagues()?.decide(&acting, &path.league, asked, |loaded, salt| read_acts(loaded, salt, &act)).await?))
}

/// What to publish.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    scope: Scope,
    state: Published,
    #[serde(default)]
    reason: Option<String>,
}

/// Publish the result of a session, or the table of a championship
///
/// The body is `{"scope": {"session": …}, "state": "provisional"}`; or `{"championship": …}`; `state` is `provisional`, `official` or `amended`,
/// which needs a `reason`. Cars are bound to their entries, and where the session is in the telemetry its facts are read again before. What else is
/// published and changes by it is published anew. A revision never changes and stays readable. A published table counts the sessions that are
/// published.
#[utoipa::path(post, path = "/api/v1/leagues/{league}/publish", tag = "leagues", operation_id = "publish", request_body(content = Value, description = "What to publish, as what"),
    params(LeaguePath, ("Idempotency-Key" = Option<String>, Header, description = "A new text for each request: sent again, the request does nothing and has the same answer, for a day", example = "7f3a")),
    responses((status = 200, description = "As of `…/acts`; of a session also `unclaimed` and `unclaimed_count`, as of `…/facts`", body = Value),
        (status = 409, description = "`state`: it is open, official already, or something that counts is not official", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 422, description = "`malformed`, `unknown`, `reason_needed`, `no_facts`, `key_reused`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn publish(
    acting: Acting,
    Path(path): Path<LeaguePath>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    acting.need_admin()?;
    let Sent { bytes, asked } = Sent::read(request, ACTS_MAX_BYTES).await?;
    let wanted: Wanted = serde_json::from_slice(&bytes).map_err(|e| Problem::unprocessable("malformed", format!("{e}")))?;
    let mut read: Vec<(boxbox_race::league::SessionSlug, Facts)> = vec![];
    if let Scope::Session(session) = wanted.scope {
        let loaded = app.leagues()?.league(&acting.tenant, &path.league).await?;
        if loaded.doc(DocKind::Session, session.as_str()).is_some()
            && let Some(facts) = facts::of_telemetry(&app, &acting.tenant, &loaded, session).await?
        {
            read.push((session, facts));
        }
    }
    let make = |_: &crate::leagues::Loaded, _| {
        let mut draft = Draft { facts: read.clone(), ..Draft::default() };
        let reason = wanted.reason.as_deref().map(|reason| text(&mut draft, &[], reason)).transpose()?;
        draft.publish = Some(Publish { scope: wanted.scope, state: wanted.state, reason });
        draft.answer = json!({ "asked": wanted.scope.to_string() }).as_object().cloned().unwrap_or_default();
        Ok(draft)
    };
    Ok(Json(app.leagues()?.decide(&acting, &path.league, asked, make).await?))
}
