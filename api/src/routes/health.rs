//! `/livez`, `/readyz`, `/api/health`, `/metrics`: for orchestrators and operators.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;

use crate::app::App;
use crate::problem::Problem;

/// `GET /livez`: the process answers. It asks nothing else, so that a store's outage restarts nobody.
pub(crate) async fn livez() -> Json<Live> {
    Json(Live { live: true })
}

#[derive(Serialize)]
pub(crate) struct Live {
    live: bool,
}

/// `GET /readyz`: 200 if every check passes, else 503 with the names of those that do not.
pub(crate) async fn readyz(State(app): State<Arc<App>>) -> Result<Json<Ready>, Problem> {
    let failed: Vec<_> = app.check().await.into_iter().filter(|c| c.outcome.is_err()).map(|c| c.name).collect();
    if failed.is_empty() {
        return Ok(Json(Ready { ready: true }));
    }
    Err(Problem::unavailable("not_ready", format!("Not ready: {}. /api/health says more.", failed.join(", "))).with_failed(failed))
}

#[derive(Serialize)]
pub(crate) struct Ready {
    ready: bool,
}

/// `GET /api/health`: what runs, for how long, and what each check says. Always 200: it is to be read, not probed.
pub(crate) async fn health(State(app): State<Arc<App>>) -> Json<Health> {
    let checks: Vec<_> = app.check().await.into_iter().map(|c| Check { name: c.name, ok: c.outcome.is_ok(), detail: c.outcome.err() }).collect();
    let status = if checks.iter().all(|c| c.ok) { "ok" } else { "degraded" };
    Json(Health { status, version: env!("CARGO_PKG_VERSION"), uptime_s: app.started.elapsed().as_secs(), checks })
}

#[derive(Serialize)]
pub(crate) struct Health {
    /// `ok` or `degraded`.
    status: &'static str,
    version: &'static str,
    uptime_s: u64,
    checks: Vec<Check>,
}

#[derive(Serialize)]
struct Check {
    name: &'static str,
    ok: bool,
    /// What is wrong.
    detail: Option<String>,
}

/// `GET /metrics`: every metric of this process, in Prometheus' text format.
pub(crate) async fn metrics(State(app): State<Arc<App>>) -> Result<impl IntoResponse, Problem> {
    let prometheus = app.prometheus.as_ref().ok_or_else(|| Problem::not_found("This process keeps no metrics."))?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], prometheus.render()))
}
