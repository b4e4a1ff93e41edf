//! `POST /api/v1/sessions/{session}/close` and `…/reopen`: append a record to the session's partition (E9).

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
/// Frames that come later are kept and change nothing unless the session is opened again. Closing it twice does no harm.
/// Without a grant, on a loopback address: send `X-Boxbox: 1` or `Content-Type: application/json`, which no web page can do.
#[utoipa::path(post, path = "/api/v1/sessions/{session}/close", tag = "sessions", operation_id = "closeSession",
    params(SessionPath, ("X-Boxbox" = Option<String>, Header, description = "Any value; needed if no grant is sent", example = "1")),
    responses((status = 202, description = "The record is in the log; the session is closed when that record is processed", body = Appended),
        (status = 503, description = "`no_log`: this process has no log; `log_unavailable`: try again", body = crate::problem::Body, content_type = "application/problem+json")))]
pub(crate) async fn close(
    manager: Manager,
    Path(path): Path<SessionPath>,
    State(app): State<Arc<App>>,
) -> Result<(StatusCode, Json<Appended>), Problem> {
    append(&app, &manager, path.session, Closing::ASKED).await
}

/// Open a closed session again: frames that came late count
///
/// Opening it twice does no harm.
#[utoipa::path(post, path = "/api/v1/sessions/{session}/reopen", tag = "sessions", operation_id = "reopenSession",
    params(SessionPath, ("X-Boxbox" = Option<String>, Header, description = "Any value; needed if no grant is sent", example = "1")),
    responses((status = 202, description = "The record is in the log; the session is open when that record is processed", body = Appended),
        (status = 409, description = "`session_retired`: its working state was deleted", body = crate::problem::Body, content_type = "application/problem+json"),
        (status = 503, description = "`no_log`: this process has no log; `log_unavailable`: try again", body = crate::problem::Body, content_type = "application/problem+json")))]
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
        return Err(Problem::conflict("session_retired", "This session was closed for good: its working state was deleted, its results stay."));
    }
    let log = app.log.as_ref().ok_or_else(|| {
        Problem::unavailable("no_log", "This process has no log: send the request to one that has, or start this one with --log-url.")
    })?;
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64);
    // Whether the session is closed already is not checked: an earlier request may not be processed yet.
    let appended = log.append(session, stamp::closed(manager.tenant, info.source, closing, now_us)).await?;
    tracing::info!(%session, tenant = %manager.tenant, closing = closing.0, "a session is closed or opened again, as asked");
    let asked = if closing == Closing::REOPENED { "reopened" } else { "closed" };
    Ok((StatusCode::ACCEPTED, Json(Appended { session, asked, partition: appended.partition, offset: appended.offset })))
}

/// The record that was appended to the log.
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
    /// Offset in the partition; `null` if the log does not know it.
    offset: Option<u64>,
}
