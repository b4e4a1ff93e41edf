//! The page at `/`: sessions and results, for people. Its files are static and part of the binary. It requests its data like any
//! other client of the API, so it shows a person no more than the API would, and needs no grant itself.

use axum::Router;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY};
use axum::response::IntoResponse;
use axum::routing::get;

/// The page and its files.
pub(crate) const PATHS: [&str; 3] = ["/", "/page.css", "/page.js"];

/// The page may load and request what is at its own address, and nothing else. Pictures are blobs, because they are requested with a
/// grant.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src blob: data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's routes.
pub(crate) fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    let [page, style, script] = PATHS;
    Router::new()
        .route(page, get(|| file("text/html; charset=utf-8", include_str!("index.html"))))
        .route(style, get(|| file("text/css; charset=utf-8", include_str!("page.css"))))
        .route(script, get(|| file("text/javascript; charset=utf-8", include_str!("page.js"))))
}

async fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    let headers: [(HeaderName, &str); 3] = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY), (REFERRER_POLICY, "no-referrer")];
    (headers, text)
}
