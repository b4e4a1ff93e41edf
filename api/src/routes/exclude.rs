//! `POST /api/v1/sessions/{session}/exclude` and `…/reinstate`: append a record to the session's partition (E9e, `session.exclude`).

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use boxbox_schemas::event::{Exclusion, Judging};
use boxbox_schemas::results::EXCLUSIONS_MAX;
use boxbox_schemas::{DriverId, RunId, SessionId, stamp};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::access::Manager;
use crate::app::App;
use crate::extract::{Params, Path, SessionPath};
use crate::openapi::{HexId, ShortId};
use crate::problem::Problem;
use crate::read;

/// `?driver=…&run=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct WhomParams {
    /// The driver's id, as grants have it
    #[param(value_type = String, pattern = "^[A-Za-z0-9_.:-]{1,40}$", example = "max")]
    driver: DriverId,
    /// One run of the driver's client, as the ledger names it; by default all runs
    #[param(value_type = Option<String>, pattern = "^[0-9a-fA-F]{32}$", example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153")]
    run: Option<RunId>,
}

/// Exclude a driver, or one run, from a session: nothing that its client reported counts
///
/// Its laps, stops, flags, what it tells of the session and of other cars: the results are as if it had never been there, until it is
/// reinstated. Its frames are kept. Excluding twice does no harm.
/// Without a grant, on a loopback address: send `X-Boxbox: 1` or `Content-Type: application/json`, which no web page can do.
#[utoipa::path(post, path = "/api/v1/sessions/{session}/exclude", tag = "sessions", operation_id = "excludeFromSession",
    params(SessionPath, WhomParams, ("X-Boxbox" = Option<String>, Header, description = "Any value; needed if no grant is sent", example = "1")),
    responses((status = 202, description = "The record is in the log; the results change when that record is processed", body = Judged),
        (status = 409, description = "`session_retired`: its working state was deleted; `session_closed`: it was closed on purpose, open it first; `too_many_exclusions`: it has as many as it can have", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 503, description = "`no_log`: this process has no log; `log_unavailable`: try again", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn exclude(
    manager: Manager,
    Path(path): Path<SessionPath>,
    Params(whom): Params<WhomParams>,
    State(app): State<Arc<App>>,
) -> Result<(StatusCode, Json<Judged>), Problem> {
    append(&app, &manager, path.session, Judging::EXCLUDED, whom).await
}

/// Reinstate a driver or run that was excluded from a session: everything counts again
///
/// The results are as if it had never been excluded. Give the same driver and run as when it was excluded. Doing it twice does no harm.
#[utoipa::path(post, path = "/api/v1/sessions/{session}/reinstate", tag = "sessions", operation_id = "reinstateInSession",
    params(SessionPath, WhomParams, ("X-Boxbox" = Option<String>, Header, description = "Any value; needed if no grant is sent", example = "1")),
    responses((status = 202, description = "The record is in the log; the results change when that record is processed", body = Judged),
        (status = 409, description = "`session_retired`: its working state was deleted; `session_closed`: it was closed on purpose, open it first", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 503, description = "`no_log`: this process has no log; `log_unavailable`: try again", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn reinstate(
    manager: Manager,
    Path(path): Path<SessionPath>,
    Params(whom): Params<WhomParams>,
    State(app): State<Arc<App>>,
) -> Result<(StatusCode, Json<Judged>), Problem> {
    append(&app, &manager, path.session, Judging::REINSTATED, whom).await
}

async fn append(
    app: &App,
    manager: &Manager,
    session: SessionId,
    code: Judging,
    WhomParams { driver, run }: WhomParams,
) -> Result<(StatusCode, Json<Judged>), Problem> {
    let info = read::session(app, &manager.tenant, &session).await?;
    if info.retired {
        return Err(Problem::conflict("session_retired", "This session was closed for good: its working state was deleted, its results stay."));
    }
    if info.closed && !info.provisional {
        return Err(Problem::conflict(
            "session_closed",
            "This session was closed on purpose, so that its results stand still: open it first (`…/reopen`).",
        ));
    }
    let whom = Exclusion { driver, run };
    // The processor skips what is over that. Those that are not processed yet are not seen here.
    if code == Judging::EXCLUDED && info.excluded.len() >= EXCLUSIONS_MAX && !info.excluded.contains(&whom) {
        let detail = format!(
            "This session has {EXCLUSIONS_MAX} exclusions, and can have no more: reinstate somebody, or exclude a driver in place of single runs."
        );
        return Err(Problem::conflict("too_many_exclusions", detail));
    }
    let ledgers = app.stored(app.sessions()?.ledgers(&manager.tenant, &session).await)?;
    let in_session = ledgers.iter().any(|ledger| whom.covers(ledger.stream.driver, ledger.stream.run));
    let log = app.log.as_ref().ok_or_else(|| {
        Problem::unavailable("no_log", "This process has no log: send the request to one that has, or start this one with --log-url.")
    })?;
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    // Whether it is so already is not checked: an earlier request may not be processed yet.
    let appended = log.append(session, stamp::judged(manager.tenant, info.source, code, &whom, now_us)).await?;
    tracing::info!(%session, tenant = %manager.tenant, %driver, code = code.name(), "a driver is excluded from a session or reinstated, as asked");
    Ok((
        StatusCode::ACCEPTED,
        Json(Judged { session, asked: code.name(), driver, run, in_session, partition: appended.partition, offset: appended.offset }),
    ))
}

/// The record that was appended to the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Judged {
    /// The session.
    #[schema(value_type = HexId)]
    session: SessionId,
    /// `excluded` or `reinstated`.
    #[schema(example = "excluded")]
    asked: &'static str,
    /// The driver.
    #[schema(value_type = ShortId)]
    driver: DriverId,
    /// The run; `null`: all runs.
    #[schema(value_type = Option<HexId>)]
    run: Option<RunId>,
    /// Whether anything of this driver, or of this run, is in the session as far as it is processed: `false` may be a slip of the pen. The
    /// record is in the log all the same, for a driver who comes later.
    #[schema(example = true)]
    in_session: bool,
    /// Partition of the log.
    partition: u32,
    /// Offset in the partition; `null` if the log does not know it.
    offset: Option<u64>,
}
