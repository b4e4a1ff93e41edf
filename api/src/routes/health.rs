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
/// It asks nothing else, so that a store's outage restarts nobody.
#[utoipa::path(get, path = "/livez", tag = "operations", operation_id = "live", responses((status = 200, description = "It does", body = Live)))]
pub(crate) async fn livez() -> Json<Live> {
    Json(Live { live: true })
}

/// The process answers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Live {
    /// `true`.
    live: bool,
}

/// Whether every check passes
///
/// If not, 503 with the names of those that do not.
#[utoipa::path(get, path = "/readyz", tag = "operations", operation_id = "ready", responses((status = 200, description = "They do", body = Ready)))]
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    let failed: Vec<_> = app.check().await.into_iter().filter(|c| c.outcome.is_err()).map(|c| c.name).collect();
    if failed.is_empty() {
        return Ok(Json(Ready { ready: true }));
    }
    Err(Problem::unavailable("not_ready", format!("Not ready: {}. /api/health says more.", failed.join(", "))).with_failed(failed))
}

/// Every check passes.
#[derive(Serialize, ToSchema)]
pub(crate) struct Ready {
    /// `true`.
    ready: bool,
}

/// What runs, for how long, and what each check says
///
/// Always 200: it is to be read, not probed.
#[utoipa::path(get, path = "/api/health", tag = "operations", operation_id = "health", responses((status = 200, description = "How it is", body = Health)))]
pub(crate) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let checks: Vec<_> = app.check().await.into_iter().map(|c| Check { name: c.name, ok: c.outcome.is_ok(), detail: c.outcome.err() }).collect();
    let status = if checks.iter().all(|c| c.ok) { "ok" } else { "degraded" };
    Json(Health { status, version: env!("CARGO_PKG_VERSION"), uptime_s: app.started.elapsed().as_secs(), checks })
}

/// How the process is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Health {
    /// `ok` or `degraded`.
    status: &'static str,
    /// Of this program.
    version: &'static str,
    /// Seconds since it began.
    uptime_s: u64,
    /// Each check's answer, the stores' first.
    checks: Vec<Check>,
}

/// One check's answer.
#[derive(Serialize, ToSchema)]
struct Check {
    /// What is asked.
    name: &'static str,
    /// Whether it is well.
    ok: bool,
    /// What is wrong.
    detail: Option<String>,
}

/// Every metric of this process, in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "operations", operation_id = "metrics", responses(
    (status = 200, description = "All samples", body = String, content_type = "text/plain"),
    (status = 404, description = "This process keeps none", body = crate::problem::Body, content_type = "application/problem+json"),
))]
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let prometheus = app.prometheus.as_ref().ok_or_else(|| Problem::not_found("This process keeps no metrics."))?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], prometheus.render()))
}
