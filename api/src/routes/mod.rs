//! The routes. Each file is one page of the API: parameters, answer, handler.

mod close;
mod compare;
mod entries;
mod exclude;
mod field;
mod flags;
mod health;
mod incidents;
mod laps;
pub(crate) mod leagues;
mod ledger;
mod map;
mod order;
mod pits;
mod race_control;
mod results;
mod sessions;
mod slow;
mod stints;
mod trace;

use std::sync::Arc;

use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::routing::get;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::app::App;
use crate::paths::{DOCUMENT, READER};
use crate::problem::Problem;
use crate::{access, layers, openapi, page};

/// The routes that the document describes, and the document. A route that is added here is in both.
pub(crate) fn described() -> (Router<Arc<App>>, utoipa::openapi::OpenApi) {
    let (router, document) = OpenApiRouter::with_openapi(openapi::Base::openapi())
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
        .routes(routes!(sessions::list))
        .routes(routes!(sessions::one))
        .routes(routes!(close::close))
        .routes(routes!(close::reopen))
        .routes(routes!(exclude::exclude))
        .routes(routes!(exclude::reinstate))
        .routes(routes!(laps::list))
        .routes(routes!(laps::one))
        .routes(routes!(trace::trace))
        .routes(routes!(slow::slow))
        .routes(routes!(field::field))
        .routes(routes!(map::draw))
        .routes(routes!(compare::compare))
        .routes(routes!(compare::draw))
        .routes(routes!(entries::list))
        .routes(routes!(order::order))
        .routes(routes!(results::results))
        .routes(routes!(stints::list))
        .routes(routes!(pits::list))
        .routes(routes!(flags::list))
        .routes(routes!(race_control::race_control))
        .routes(routes!(incidents::list))
        .routes(routes!(ledger::list))
        .routes(routes!(leagues::list::all))
        .routes(routes!(leagues::list::one))
        .routes(routes!(leagues::list::penalties, leagues::decide::penalty))
        .routes(routes!(leagues::list::ruleset))
        .routes(routes!(leagues::decide::acts))
        .routes(routes!(leagues::decide::publish))
        .routes(routes!(leagues::ledger::list))
        .routes(routes!(leagues::season::one))
        .routes(routes!(leagues::entries::list))
        .routes(routes!(leagues::entries::import))
        .routes(routes!(leagues::facts::take))
        .routes(routes!(leagues::attach::attach))
        .routes(routes!(leagues::published::result))
        .routes(routes!(leagues::published::result_revisions))
        .routes(routes!(leagues::published::table))
        .routes(routes!(leagues::published::table_revisions))
        .routes(routes!(leagues::preview::result))
        .routes(routes!(leagues::preview::table))
        .split_for_parts();
    (router, openapi::complete(document))
}

/// All routes with their layers: counting, then limits, then the grant, then the turn. `local`: no grant is needed.
pub(crate) fn router(app: Arc<App>, local: bool) -> Router {
    let (described, document) = described();
    // Serialised once: it does not change while the process runs.
    let document = openapi::text(&document);
    let all = described
        .route(DOCUMENT, get(|| async move { ([(CONTENT_TYPE, "application/json")], document).into_response() }))
        .merge(SwaggerUi::new(READER).config(Config::from(DOCUMENT)))
        .merge(page::routes());
    with_layers(all, app, local, "There is nothing at this path. The API is under /api/v1, its description at /api/docs, a page for people at /.")
}

/// The routes of a process without stores, and of the listener for probes: for operators.
pub(crate) fn operations(app: Arc<App>, local: bool) -> Router {
    let (router, _) = OpenApiRouter::new()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::health))
        .routes(routes!(health::metrics))
        .split_for_parts();
    with_layers(
        router,
        app,
        local,
        "There is nothing at this path. This address shows its health and metrics only: /livez, /readyz, /api/health, /metrics.",
    )
}

fn with_layers(router: Router<Arc<App>>, app: Arc<App>, local: bool, nothing: &'static str) -> Router {
    router
        .fallback(move || async move { Problem::not_found(nothing) })
        .method_not_allowed_fallback(|| async {
            Problem::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "method_not_allowed",
                "This route does not have this method; `Allow` lists those that it has.",
            )
        })
        .layer(from_fn_with_state(app.clone(), layers::take_turns))
        .layer(from_fn_with_state(access::Guarded { app: app.clone(), local }, access::guard))
        .layer(from_fn_with_state(app.clone(), layers::contain))
        .layer(from_fn_with_state(app.clone(), layers::observe))
        .with_state(app)
}
