//! The routes, a page each: parameters, answer, handler.

mod health;
mod incidents;
mod laps;
mod ledger;
mod sessions;
mod trace;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::get;

use crate::app::App;
use crate::problem::Problem;
use crate::{access, layers};

/// Every route, as axum matches it.
const PATHS: [&str; 11] = [
    "/livez",
    "/readyz",
    "/api/health",
    "/metrics",
    "/api/v1/sessions",
    "/api/v1/sessions/{session}",
    "/api/v1/sessions/{session}/laps",
    "/api/v1/sessions/{session}/laps/{entry}/{number}",
    "/api/v1/sessions/{session}/laps/{entry}/{number}/trace",
    "/api/v1/sessions/{session}/incidents",
    "/api/v1/sessions/{session}/ledger",
];

/// All routes with what surrounds them: counting, then bounds, then the grant.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/livez", get(health::livez))
        .route("/readyz", get(health::readyz))
        .route("/api/health", get(health::health))
        .route("/metrics", get(health::metrics))
        .route("/api/v1/sessions", get(sessions::list))
        .route("/api/v1/sessions/{session}", get(sessions::one))
        .route("/api/v1/sessions/{session}/laps", get(laps::list))
        .route("/api/v1/sessions/{session}/laps/{entry}/{number}", get(laps::one))
        .route("/api/v1/sessions/{session}/laps/{entry}/{number}/trace", get(trace::trace))
        .route("/api/v1/sessions/{session}/incidents", get(incidents::list))
        .route("/api/v1/sessions/{session}/ledger", get(ledger::list))
        .fallback(|| async { Problem::not_found("There is nothing at this path. The API is under /api/v1.") })
        .method_not_allowed_fallback(|| async { Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "This API only reads: use GET.") })
        .layer(from_fn_with_state(app.clone(), access::guard))
        .layer(from_fn_with_state(app.clone(), layers::contain))
        .layer(from_fn_with_state(app.clone(), layers::observe))
        .with_state(app)
}

/// A request's route as a metric's label: one of [`PATHS`], never what a client wrote.
pub(crate) fn label(matched: Option<&str>) -> &'static str {
    matched.and_then(|matched| PATHS.into_iter().find(|path| *path == matched)).unwrap_or("none")
}
