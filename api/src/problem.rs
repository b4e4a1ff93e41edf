//! [`Problem`]: every error of the API, as `application/problem+json` (RFC 9457).
//!
//! The text is written in this crate, for the client; errors of the stores are only logged.

use std::borrow::Cow;

use axum::Json;
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use boxbox_store::StoreError;
use serde::Serialize;
use utoipa::ToSchema;

/// After how many seconds to try again after 503: most outages of a local store are shorter than a second.
const RETRY_AFTER_S: &str = "1";

/// An error, as the client sees it.
#[derive(Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: Cow<'static, str>,
    header: Option<(&'static str, &'static str)>,
    failed: Option<Vec<&'static str>>,
}

/// Why a request failed (RFC 9457).
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Body {
    /// `about:blank`: the problem is identified by `code`.
    #[schema(example = "about:blank")]
    r#type: &'static str,
    /// The name of the status.
    #[schema(example = "Not Found")]
    title: &'static str,
    /// The HTTP status.
    #[schema(example = 404, minimum = 400, maximum = 599)]
    status: u16,
    /// Identifies the problem, for programs; it does not change.
    #[schema(example = "not_found")]
    code: &'static str,
    /// What is wrong, for people.
    #[schema(example = "There is no such lap.")]
    detail: Cow<'static, str>,
    /// Only for readiness: the names of the checks that fail.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed: Option<Vec<&'static str>>,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self { status, code, detail: detail.into(), header: None, failed: None }
    }

    pub(crate) fn bad_request(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, detail)
    }

    pub(crate) fn not_found(what: &'static str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", what)
    }

    pub(crate) fn conflict(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::CONFLICT, code, detail)
    }

    /// The request makes sense, but the data does not suffice to answer it.
    pub(crate) fn unprocessable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, detail)
    }

    pub(crate) fn unauthorized(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, code, detail).with_header("www-authenticate", "Bearer realm=\"boxbox\"")
    }

    pub(crate) fn unavailable(code: &'static str, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).with_header("retry-after", RETRY_AFTER_S)
    }

    pub(crate) fn too_many(code: &'static str, detail: &'static str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, code, detail).with_header("retry-after", RETRY_AFTER_S)
    }

    pub(crate) fn internal() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "The server failed to answer this request; the reason is in its log.")
    }

    pub(crate) fn of_store(e: &StoreError) -> Self {
        if e.is_retryable() { Self::unavailable("store_unavailable", "The store does not answer. Try again.") } else { Self::internal() }
    }

    /// Adds the names of the checks that fail, for programs.
    pub(crate) fn with_failed(mut self, failed: Vec<&'static str>) -> Self {
        self.failed = Some(failed);
        self
    }

    /// Adds a header that belongs to the status; its name is in lower case.
    pub(crate) fn with_header(self, name: &'static str, value: &'static str) -> Self {
        Self { header: Some((name, value)), ..self }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let title = self.status.canonical_reason().unwrap_or("Error");
        let body = Body { r#type: "about:blank", title, status: self.status.as_u16(), code: self.code, detail: self.detail, failed: self.failed };
        let mut response = (self.status, Json(body)).into_response();
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        response
    }
}
