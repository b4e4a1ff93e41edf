//! Layers around every route: requests are counted and bounded in time and size, and a bug of ours is answered with 500, not with
//! a broken connection.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use axum::body::HttpBody;
use axum::extract::{MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;

use crate::app::App;
use crate::bodies;
use crate::followed;
use crate::heavy;
use crate::metrics::METHODS;
use crate::paths;
use crate::problem::Problem;
use crate::who::Who;

/// Counts and times each request; sets the headers that all answers have.
pub(crate) async fn observe(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let route = paths::label(matched);
    let method = METHODS.into_iter().find(|known| *known == request.method().as_str()).unwrap_or("other");
    app.metrics.requests.with(route).increment(1);
    let in_flight = InFlight::begin(&app);
    let mut response = next.run(request).await;
    drop(in_flight);
    let class = match response.status().as_u16() {
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    app.metrics.responses.with(class).increment(1);
    followed::answered(&mut response, route, began);
    app.metrics.request_seconds.with([route, method, class]).record(began.elapsed().as_secs_f64());
    // Results change with every lap, and a shared cache cannot tell which client may see them.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// Refuses bodies of requests that have none, ends requests that take too long, and answers a panic with 500.
pub(crate) async fn contain(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let matched = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    // Of a route that takes a body by one method, the others do not read it.
    if !request.body().is_end_stream() && !matched.is_some_and(paths::takes_body) {
        let problem = Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "no_body", "This route takes no request body: send none.");
        return problem.with_header("connection", "close").into_response();
    }
    // A body has its own limits of time, and the answer has its time after it.
    let body = matched.filter(|route| bodies::most_bytes(request.method(), route).is_some()).map(|_| app.config.body_timeout);
    let limit = app.config.request_timeout + body.unwrap_or_default();
    let answer = AssertUnwindSafe(next.run(request)).catch_unwind();
    match tokio::time::timeout(limit, answer).await {
        Ok(Ok(response)) => response,
        Ok(Err(_)) => Problem::internal().into_response(),
        Err(_) => took_too_long(),
    }
}

fn took_too_long() -> Response {
    Problem::unavailable("timeout", "The answer took too long. Try again.").into_response()
}

/// Counts a request in flight until it is dropped, also when the client disconnects.
struct InFlight<'a>(&'a App);

impl<'a> InFlight<'a> {
    fn begin(app: &'a App) -> Self {
        app.metrics.in_flight.increment(1.0);
        Self(app)
    }
}

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.metrics.in_flight.decrement(1.0);
    }
}

/// A request with a body is passed on when all of it is here; then a heavy request waits for its turn, and any other passes. A client
/// that sends slowly therefore holds a few bytes, but no turn and no memory of an answer.
pub(crate) async fn take_turns(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>().cloned();
    let (Some(route), Some(who)) = (route, request.extensions().get::<Who>().copied()) else { return next.run(request).await };
    let method = request.method().clone();
    let (request, _bytes) = match bodies::most_bytes(&method, route.as_str()) {
        None => (request, None),
        Some(most) => match app.bodies.read(&who, request, most).await {
            Ok((request, bytes)) => (request, Some(bytes)),
            Err(refusal) => return refusal.problem(&app.metrics).into_response(),
        },
    };
    let answer = async {
        let Some(weight) = heavy::weight_mib(&method, route.as_str()) else { return next.run(request).await };
        match app.heavy.answer(who, weight, next.run(request)).await {
            Ok(response) => response,
            Err(refusal) => refusal.problem(&app.metrics).into_response(),
        }
    };
    tokio::time::timeout(app.config.request_timeout, answer).await.unwrap_or_else(|_| took_too_long())
}
