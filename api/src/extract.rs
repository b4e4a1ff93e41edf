//! The parameters of requests, read strictly: anything unexpected is answered with 400 and a sentence on what is expected.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use boxbox_schemas::{EntryId, SessionId};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use utoipa::IntoParams;

use crate::problem::Problem;

/// The parameters in a path.
pub(crate) struct Path<T>(pub(crate) T);

/// The parameters of a query. Unknown ones are refused, because most of them are misspelt.
pub(crate) struct Params<T>(pub(crate) T);

/// `sessions/{session}`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SessionPath {
    /// The session's id
    #[param(value_type = String, pattern = "^[0-9a-fA-F]{32}$", example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153")]
    pub(crate) session: SessionId,
}

/// `sessions/{session}/laps/{entry}/{number}`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct LapPath {
    /// The session's id
    #[param(value_type = String, pattern = "^[0-9a-fA-F]{32}$", example = "8c2f6a0d4b7e91538c2f6a0d4b7e9153")]
    pub(crate) session: SessionId,
    /// The entry's id
    #[param(value_type = String, pattern = "^[A-Za-z0-9_.:-]{1,40}$", example = "max")]
    pub(crate) entry: EntryId,
    /// The lap's number, 1-based
    #[param(minimum = 0, maximum = 4_294_967_295u32, example = 2)]
    pub(crate) number: u32,
}

/// `?cursor=…&limit=…`
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PageParams {
    /// `next_cursor` of the page before; by default the first page
    pub(crate) cursor: Option<String>,
    /// Rows at most; 100 by default
    #[param(minimum = 1, maximum = 500, example = 100)]
    pub(crate) limit: Option<u32>,
}

/// Rows of a page if the request does not give a limit.
pub(crate) const LIMIT_DEFAULT: u32 = 100;
/// Rows of a page at most.
pub(crate) const LIMIT_MAX: u32 = 500;

/// The number of rows to return.
pub(crate) fn rows(requested: Option<u32>) -> Result<u32, Problem> {
    limit(requested, LIMIT_DEFAULT, LIMIT_MAX)
}

/// The number of items to return, `max` at most.
pub(crate) fn limit(requested: Option<u32>, default: u32, max: u32) -> Result<u32, Problem> {
    let requested = requested.unwrap_or(default);
    if (1..=max).contains(&requested) { Ok(requested) } else { Err(Problem::bad_request("bad_limit", format!("`limit` is 1 to {max} here."))) }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<_, PathRejection> = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(t)| Self(t)).map_err(|_| {
            if parts.uri.path().starts_with("/api/v1/leagues") {
                let detail = "The id of a league, and of what is in one, is 1 to 40 characters of a-z, 0-9 and '-', the first not '-'; a version is a number from 1.";
                return Problem::bad_request("bad_path", detail);
            }
            let detail = "A session id is 32 hexadecimal digits, an entry id 1 to 40 characters of a-z, A-Z, 0-9, '-', '_', '.' or ':', a lap a number from 1.";
            Problem::bad_request("bad_path", detail)
        })
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let query: Result<_, QueryRejection> = Query::from_request_parts(parts, state).await;
        query.map(|Query(t)| Self(t)).map_err(|_| {
            let detail = "The query has a parameter that this route does not know, the same parameter twice, or a value of the wrong type.";
            Problem::bad_request("bad_query", detail)
        })
    }
}
