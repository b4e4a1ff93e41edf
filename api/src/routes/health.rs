//! `/livez`, `/readyz`, `/api/health`, `/metrics`: for orchestrators and operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::problem::Problem;

/// Whether the process answers
///
/// Nothing else is checked, so that an outage of a store does not make an orchestrator restart the process.
#[utoipa::path(get, path = "/livez", tag = "operations", operation_id = "live", responses((status = 200, description = "The process answers", body = Live)))]
pub(crate) async fn livez() -> Json<Live> {
    Json(Live { live: true })
}

/// The process answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Live {
    /// `true`.
    live: bool,
}

/// Whether every check passes that decides about it
///
/// If one fails: 503 with the names of the checks that fail. Checks that only tell a person what to do are in `/api/health` alone.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "ready", responses((status = 200, description = "All checks pass", body = Ready)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    let failed: Vec<_> = app.check().await.into_iter().filter(|c| c.decides && c.outcome.is_err()).map(|c| c.name).collect();
    if failed.is_empty() {
        return Ok(Json(Ready { ready: true }));
    }
    Err(Problem::unavailable("not_ready", format!("Not ready: {}. /api/health has the details.", failed.join(", "))).with_failed(failed))
}

/// Every check passes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `true`.
    ready: bool,
}

/// Version, uptime and the result of each check
///
/// The status is always 200: this is for people, not for probes.
#[utoipa::path(get, path = "/api/health", tag = "operations", operation_id = "health", responses((status = 200, description = "The state of the process", body = Health)))]
pub(crate) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let checks: Vec<_> =
        app.check().await.into_iter().map(|c| Check { name: c.name, ok: c.outcome.is_ok(), detail: c.outcome.err().or(c.note) }).collect();
    let status = if checks.iter().all(|c| c.ok) { "ok" } else { "degraded" };
    Json(Health { status, version: env!("CARGO_PKG_VERSION"), uptime_s: app.started.elapsed().as_secs(), checks })
}

/// The state of the process.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` or `degraded`.
    status: &'static str,
    /// The version of this program.
    version: &'static str,
    /// Seconds since the process started.
    uptime_s: u64,
    /// The results of all checks; those of the stores come first.
    checks: Vec<Check>,
}

/// The result of one check.
#[derive(Serialize, ToSchema)]
struct Check {
    /// The check's name.
    name: &'static str,
    /// Whether the check passes.
    ok: bool,
    /// What is wrong; if the check passes, what is to be known all the same, or `null`.
    detail: Option<String>,
}

/// Every metric of this process, in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics", responses(
    (status = 200, description = "All samples", body = String, content_type = "text/plain"),
    (status = 404, description = "This process has no metrics", body = crate::problem::Body, content_type = "application/problem+json"),
))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let scrape = app.scrape.as_ref().ok_or_else(|| Problem::not_found("This process has no metrics."))?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], scrape.text().await))
}
