//! `POST …/sessions/{session}/attach`: a session and what was driven in it, in one step.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Request, State};
use boxbox_race::league::{ChampionshipSlug, EventSlug, Role, SessionSet, SessionSlug};
use boxbox_schemas::SessionId;
use serde::Deserialize;
use serde_json::Value;
use utoipa::IntoParams;

use super::body::Sent;
use super::facts::of_sessions;
use super::paths::LeagueSessionPath;
use crate::app::App;
use crate::extract::{Params, Path};
use crate::leagues::{Acting, Draft, FILE_MAX_BYTES, Loaded, file_digest, of_file, session_set};
use crate::problem::Problem;

/// `?event=…&role=…&telemetry=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AttachParams {
    /// Its event; a session that is there has one already
    #[param(value_type = Option<String>, example = "monza")]
    event: Option<EventSlug>,
    /// What it is: `practice`, `qualifying`, `sprint`, `heat`, `consolation`, `feature` or `stage`; of a new session `feature` by default
    #[param(value_type = Option<String>, example = "feature")]
    role: Option<Role>,
    /// Its sessions in the telemetry, in their order, with commas between them
    #[param(example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153")]
    telemetry: Option<String>,
    /// The championships it counts for, with commas between them
    #[param(example = "drivers,teams")]
    counts_for: Option<String>,
    /// Laps that it was to have
    #[param(minimum = 1, maximum = 4_294_967_295u32, example = 30)]
    planned_laps: Option<u32>,
    /// Which session of the file, by its name in it; by default the last one that suits the role
    #[param(example = "RACE")]
    part: Option<String>,
}

impl AttachParams {
    /// The session as it is to be: what is not named stays as it is.
    fn set(&self, loaded: &Loaded, session: SessionSlug, file: &[u8]) -> Result<(Option<SessionSet>, SessionSet), Problem> {
        let before = session_set(loaded, session);
        let event = || self.event.ok_or_else(|| Problem::unprocessable("malformed", "event: the session is new: say of which event it is."));
        let mut set = match before.clone() {
            Some(set) => set,
            None => SessionSet { session, event: event()?, role: Role::Feature, telemetry: vec![], file: None, counts_for: None, planned_laps: None },
        };
        set.event = self.event.unwrap_or(set.event);
        set.role = self.role.unwrap_or(set.role);
        set.planned_laps = self.planned_laps.or(set.planned_laps);
        if let Some(ids) = &self.counts_for {
            set.counts_for = Some(listed::<ChampionshipSlug>("counts_for", ids)?);
        }
        if let Some(ids) = &self.telemetry {
            if !file.is_empty() {
                return Err(Problem::unprocessable("malformed", "telemetry: a session is from the telemetry or from a file, not from both."));
            }
            (set.telemetry, set.file) = (listed::<SessionId>("telemetry", ids)?, None);
        }
        if !file.is_empty() {
            (set.telemetry, set.file) = (vec![], Some(file_digest(file)));
        }
        Ok((before, set))
    }
}

fn listed<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, texts: &str) -> Result<Vec<T>, Problem> {
    let one = |text: &str| text.trim().parse::<T>().map_err(|e| Problem::unprocessable("malformed", format!("{name}: {text:?}: {e}")));
    texts.split(',').map(one).collect()
}

/// Make or change a session and take over what was driven in it, in one step
///
/// The session is set as by `session_set`, and its facts are taken as by `…/facts`; if either is refused, nothing is written. What is not named
/// stays as the session has it. Without a body the facts are those of the sessions of the telemetry that it names; with a body those of a result
/// file, in the forms of `…/facts`. To take something away, send a `session_set`.
#[utoipa::path(post, path = "/api/v1/leagues/{league}/sessions/{session}/attach", tag = "leagues", operation_id = "attachSession",
    params(LeagueSessionPath, AttachParams, ("Idempotency-Key" = Option<String>, Header, description = "A new text for each request: sent again, the request does nothing and has the same answer, for a day", example = "7f3a")),
    request_body(content = Option<String>, description = "A result file, 8 MiB at most", content_type = "application/octet-stream"),
    responses((status = 200, description = "As of `…/facts`", body = Value),
        (status = 409, description = "`contradicts`, `state`", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 422, description = "`malformed`, `unknown`, `out_of_bounds`, `no_facts`, `bad_result_file`, `bad_csv`, `no_such_part`, `session_too_long`", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn attach(
    acting: Acting,
    Path(path): Path<LeagueSessionPath>,
    Params(params): Params<AttachParams>,
    State(app): State<Arc<App>>,
    request: Request,
) -> Result<Json<Value>, Problem> {
    acting.need_admin()?;
    let Sent { bytes, asked } = Sent::read(request, FILE_MAX_BYTES).await?;
    let (leagues, session) = (app.leagues()?, path.session);
    let mut driven = None;
    if bytes.is_empty() {
        let loaded = leagues.league(&acting.tenant, &path.league).await?;
        let (_, set) = params.set(&loaded, session, &bytes)?;
        let salt = loaded.salt.ok_or_else(crate::leagues::salt_unknown)?;
        let none = |why: &str| Problem::unprocessable("no_facts", format!("The session has no facts: {why}."));
        if set.telemetry.is_empty() {
            return Err(none("it names no session of the telemetry: name some, or send a result file"));
        }
        let facts = of_sessions(&app, &acting.tenant, &set.telemetry, &salt).await?;
        driven = Some(facts.ok_or_else(|| none("what it names is not in the telemetry, or not described yet"))?);
    }
    let make = |loaded: &Loaded, salt: [u8; 16]| {
        let (before, set) = params.set(loaded, session, &bytes)?;
        let facts = match &driven {
            Some(facts) => facts.clone(),
            None => of_file(&bytes, params.part.as_deref(), set.role, &salt)?,
        };
        let acts = if before.as_ref() == Some(&set) { vec![] } else { vec![set.into()] };
        Ok(Draft { acts, facts: vec![(session, facts)], ..Draft::default() })
    };
    Ok(Json(leagues.decide(&acting, &path.league, asked, make).await?))
}
