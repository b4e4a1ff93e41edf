//! The paths that the API answers: which the document describes, which need no grant, and which are labels of metrics.

use crate::page;

/// Where the document is.
pub(crate) const DOCUMENT: &str = "/api/v1/openapi.json";
/// Where its reader is.
pub(crate) const READER: &str = "/api/docs";

/// Every route of the document, as axum matches it.
pub(crate) const DESCRIBED: [&str; 22] = [
    "/livez",
    "/readyz",
    "/api/health",
    "/metrics",
    "/api/v1/sessions",
    "/api/v1/sessions/{session}",
    "/api/v1/sessions/{session}/close",
    "/api/v1/sessions/{session}/reopen",
    "/api/v1/sessions/{session}/laps",
    "/api/v1/sessions/{session}/laps/{entry}/{number}",
    "/api/v1/sessions/{session}/laps/{entry}/{number}/trace",
    "/api/v1/sessions/{session}/laps/{entry}/{number}/map.svg",
    "/api/v1/compare",
    "/api/v1/compare.svg",
    "/api/v1/sessions/{session}/entries",
    "/api/v1/sessions/{session}/order",
    "/api/v1/sessions/{session}/results",
    "/api/v1/sessions/{session}/stints",
    "/api/v1/sessions/{session}/pit-stops",
    "/api/v1/sessions/{session}/flags",
    "/api/v1/sessions/{session}/incidents",
    "/api/v1/sessions/{session}/ledger",
];

/// What is routed beside the document, but for the page: itself and its reader.
const BESIDE: [&str; 4] = [DOCUMENT, READER, "/api/docs/", "/api/docs/{*rest}"];

/// Probes of an orchestrator, which has no grant, and the API's description. They say nothing of anybody's data.
pub(crate) const OPEN: [&str; 4] = ["/livez", "/readyz", DOCUMENT, READER];

/// Whether a path is answered without a grant: these, the reader's own files below it, and the page, which has no data in it.
pub(crate) fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || page::PATHS.contains(&path) || path.strip_prefix(READER).is_some_and(|rest| rest.starts_with('/') && !rest.contains(".."))
}

/// A request's route as a metric's label: one of ours, never what a client wrote.
pub(crate) fn label(matched: Option<&str>) -> &'static str {
    matched.and_then(|matched| DESCRIBED.into_iter().chain(BESIDE).chain(page::PATHS).find(|path| *path == matched)).unwrap_or("none")
}
