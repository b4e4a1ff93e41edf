//! Bodies of requests, within bounds, and the key by which a repetition is known.

use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::request::Parts;
use boxbox_schemas::league::Digest;
use bytes::Bytes;
use serde_json::Value;

use crate::leagues::Asked;
use crate::problem::Problem;

/// Longest key of a client.
const KEY_MAX: usize = 100;
/// What a request is hashed under.
const TAG: &str = "boxbox.league.request.v1";

/// What a client sent.
pub(super) struct Sent {
    /// The body.
    pub(super) bytes: Bytes,
    /// By what the request is known if it comes again; none: it has no `Idempotency-Key`.
    pub(super) asked: Option<Asked>,
}

impl Sent {
    /// Reads a request whose body has `most` bytes at most.
    pub(super) async fn read(request: Request, most: usize) -> Result<Self, Problem> {
        let (head, body) = request.into_parts();
        let too_large = || {
            let detail = format!("The body is larger than {} KiB, or was cut off: send less at once.", most >> 10);
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", detail).with_header("connection", "close")
        };
        let bytes = to_bytes(body, most).await.map_err(|_| too_large())?;
        let asked = asked(&head, &bytes)?;
        Ok(Self { bytes, asked })
    }
}

/// The JSON of a body.
pub(super) fn json(bytes: &[u8]) -> Result<Value, Problem> {
    serde_json::from_slice(bytes).map_err(|e| Problem::unprocessable("bad_json", format!("The body is no JSON: {e}.")))
}

/// By what the request is known if it comes again: `Idempotency-Key`, and everything that it says.
fn asked(head: &Parts, bytes: &[u8]) -> Result<Option<Asked>, Problem> {
    let Some(key) = head.headers.get("idempotency-key") else { return Ok(None) };
    let key = key.to_str().ok().filter(|key| (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_graphic()));
    let bad = || Problem::bad_request("bad_key", format!("`Idempotency-Key` has 1 to {KEY_MAX} visible ASCII characters."));
    let key = key.ok_or_else(bad)?.to_owned();
    let said = [head.method.as_str(), head.uri.path_and_query().map_or("", |path| path.as_str())].map(str::as_bytes);
    Ok(Some(Asked { key, request: Digest::of(TAG, said.into_iter().chain([bytes])) }))
}
