//! `POST /api/v1/sessions/{session}/close` and `…/reopen` (E9): by a record in the session's partition, like everything.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use boxbox_schemas::event::Closing;
use boxbox_schemas::{SessionId, stamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access::Manager;
use crate::app::App;
use crate::extract::{Path, SessionPath};
use crate::openapi::HexId;
use crate::problem::Problem;
use crate::read;

/// Close a session: its results become final
///
/// What comes later is kept and changes nothing unless the session is opened again. Doing it twice does no harm.
/// Without a grant, on a loopback address: send `X-Boxbox: 1` or `Content-Type: application/json`, so that no web page can do it.
#[utoipa::path(post, path = "/api/v1/sessions/{session}/close", tag = "sessions", operation_id = "closeSession",
    params(SessionPath, ("X-Boxbox" = Option<String>, Header, description = "Anything, where no grant is sent", example = "1")),
    responses((status = 202, description = "It is in the log; the session is closed when that record is processed", body = Appended),
        (status = 503, description = "`no_log`: this process has none; `log_unavailable`: try again", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn close(
    manager: Manager,
    Path(path): Path<SessionPath>,
    State(app): State<Arc<App>>,
) -> Result<(StatusCode, Json<Appended>), Problem> {
    append(&app, &manager, path.session, Closing::ASKED).await
}

/// Open a closed session again: what came late counts
///
/// Doing it twice does no harm.
#[utoipa::path(post, path = "/api/v1/sessions/{session}/reopen", tag = "sessions", operation_id = "reopenSession",
    params(SessionPath, ("X-Boxbox" = Option<String>, Header, description = "Anything, where no grant is sent", example = "1")),
    responses((status = 202, description = "It is in the log; the session is open when that record is processed", body = Appended),
        (status = 409, description = "`session_retired`: its working state is gone", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 503, description = "`no_log`: this process has none; `log_unavailable`: try again", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn reopen(
    manager: Manager,
    Path(path): Path<SessionPath>,
    State(app): State<Arc<App>>,
) -> Result<(StatusCode, Json<Appended>), Problem> {
    append(&app, &manager, path.session, Closing::REOPENED).await
}

async fn append(app: &App, manager: &Manager, session: SessionId, closing: Closing) -> Result<(StatusCode, Json<Appended>), Problem> {
    let info = read::session(app, &manager.tenant, &session).await?;
    if info.retired && closing == Closing::REOPENED {
        return Err(Problem::conflict("session_retired", "This session was closed for good: its working state is gone, its results stay."));
    }
    let log = app
        .log
        .as_ref()
        .ok_or_else(|| Problem::unavailable("no_log", "This process has no log to write to: ask the one that has, or start it with --log-url."))?;
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    // Whether it is closed already is not asked: what was asked a moment ago may not be processed yet.
    let appended = log.append(session, stamp::closed(manager.tenant, info.source, closing, now_us)).await?;
    tracing::info!(%session, tenant = %manager.tenant, closing = closing.0, "a session is closed or opened again, as asked");
    let asked = if closing == Closing::REOPENED { "reopened" } else { "closed" };
    Ok((StatusCode::ACCEPTED, Json(Appended { session, asked, partition: appended.partition, offset: appended.offset })))
}

/// What was written into the log.
#[derive(Serialize, ToSchema)]
pub(crate) struct Appended {
    /// The session.
    #[schema(value_type = HexId)]
    session: SessionId,
    /// `closed` or `reopened`.
    #[schema(example = "closed")]
    asked: &'static str,
    /// Partition of the log.
    partition: u32,
    /// Offset in it; `null` if the log does not say.
    offset: Option<u64>,
}
