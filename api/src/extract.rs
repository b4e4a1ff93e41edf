//! What a request says, read strictly: anything else is 400 with a sentence on what is expected.

use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use boxbox_schemas::{EntryId, SessionId};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// A path's parameters.
pub(crate) struct Path<T>(pub(crate) T);

/// A query's parameters; unknown ones are refused, for they are mostly misspelt.
pub(crate) struct Params<T>(pub(crate) T);

/// `sessions/{session}`
#[derive(Deserialize)]
pub(crate) struct SessionPath {
    pub(crate) session: SessionId,
}

/// `sessions/{session}/laps/{entry}/{number}`
#[derive(Deserialize)]
pub(crate) struct LapPath {
    pub(crate) session: SessionId,
    pub(crate) entry: EntryId,
    pub(crate) number: u32,
}

/// `?cursor=…&limit=…`
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageParams {
    pub(crate) cursor: Option<String>,
    pub(crate) limit: Option<u32>,
}

impl PageParams {
    /// How many rows to give, at most `most`.
    pub(crate) fn limit(&self, usual: u32, most: u32) -> Result<u32, Problem> {
        limit(self.limit, usual, most)
    }
}

pub(crate) fn limit(asked: Option<u32>, usual: u32, most: u32) -> Result<u32, Problem> {
    let asked = asked.unwrap_or(usual);
    if (1..=most).contains(&asked) { Ok(asked) } else { Err(Problem::bad_request("bad_limit", format!("`limit` is 1 to {most} here."))) }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;
    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let path: Result<_, PathRejection> = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|axum::extract::Path(t)| Self(t)).map_err(|_| {
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
            let detail = "The query has a parameter that this route does not know, one twice, or one that is no number where a number is expected.";
            Problem::bad_request("bad_query", detail)
        })
    }
}
