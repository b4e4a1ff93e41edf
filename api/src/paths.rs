//! The paths that the API answers: those that the document describes, those that need no grant, and the labels of metrics.

use crate::page;

/// Path of the document.
pub(crate) const DOCUMENT: &str = "/api/v1/openapi.json";
/// Path of the document's reader.
pub(crate) const READER: &str = "/api/docs";

/// Every route of the document, as axum names it.
pub(crate) const DESCRIBED: [&str; 45] = [
    "/livez",
    "/readyz",
    "/api/health",
    "/metrics",
    "/api/v1/sessions",
    "/api/v1/sessions/{session}",
    "/api/v1/sessions/{session}/close",
    "/api/v1/sessions/{session}/reopen",
    "/api/v1/sessions/{session}/exclude",
    "/api/v1/sessions/{session}/reinstate",
    "/api/v1/sessions/{session}/laps",
    "/api/v1/sessions/{session}/laps/{entry}/{number}",
    "/api/v1/sessions/{session}/laps/{entry}/{number}/trace",
    "/api/v1/sessions/{session}/laps/{entry}/{number}/slow",
    "/api/v1/sessions/{session}/laps/{entry}/{number}/field",
    "/api/v1/sessions/{session}/laps/{entry}/{number}/map.svg",
    "/api/v1/compare",
    "/api/v1/compare.svg",
    "/api/v1/sessions/{session}/entries",
    "/api/v1/sessions/{session}/order",
    "/api/v1/sessions/{session}/results",
    "/api/v1/sessions/{session}/stints",
    "/api/v1/sessions/{session}/pit-stops",
    "/api/v1/sessions/{session}/flags",
    "/api/v1/sessions/{session}/race-control",
    "/api/v1/sessions/{session}/incidents",
    "/api/v1/sessions/{session}/ledger",
    "/api/v1/leagues",
    "/api/v1/leagues/{league}",
    "/api/v1/leagues/{league}/acts",
    "/api/v1/leagues/{league}/ledger",
    "/api/v1/leagues/{league}/penalties",
    "/api/v1/leagues/{league}/publish",
    "/api/v1/leagues/{league}/rulesets/{ruleset}/{version}",
    "/api/v1/leagues/{league}/seasons/{season}",
    "/api/v1/leagues/{league}/seasons/{season}/entries",
    "/api/v1/leagues/{league}/seasons/{season}/entries/import",
    "/api/v1/leagues/{league}/sessions/{session}/attach",
    "/api/v1/leagues/{league}/sessions/{session}/facts",
    "/api/v1/leagues/{league}/sessions/{session}/result",
    "/api/v1/leagues/{league}/sessions/{session}/preview",
    "/api/v1/leagues/{league}/sessions/{session}/revisions",
    "/api/v1/leagues/{league}/championships/{championship}/table",
    "/api/v1/leagues/{league}/championships/{championship}/preview",
    "/api/v1/leagues/{league}/championships/{championship}/revisions",
];

/// Routes that take a body, by POST.
const WITH_BODY: [&str; 6] = [
    "/api/v1/leagues/{league}/acts",
    "/api/v1/leagues/{league}/penalties",
    "/api/v1/leagues/{league}/publish",
    "/api/v1/leagues/{league}/seasons/{season}/entries/import",
    "/api/v1/leagues/{league}/sessions/{session}/attach",
    "/api/v1/leagues/{league}/sessions/{session}/facts",
];

/// Whether requests of a route may have a body.
pub(crate) fn takes_body(route: &str) -> bool {
    WITH_BODY.contains(&route)
}

/// Routes beside the document and the page: the document itself and its reader.
const BESIDE: [&str; 4] = [DOCUMENT, READER, "/api/docs/", "/api/docs/{*rest}"];

/// The probes, because an orchestrator has no grant, and the API's description. They contain no tenant's data.
pub(crate) const OPEN: [&str; 4] = ["/livez", "/readyz", DOCUMENT, READER];

/// Whether a path is answered without a grant: [`OPEN`], the files of the document's reader, and the page, which contains no data.
pub(crate) fn is_open(path: &str) -> bool {
    OPEN.contains(&path) || page::PATHS.contains(&path) || path.strip_prefix(READER).is_some_and(|rest| rest.starts_with('/') && !rest.contains(".."))
}

/// The label of a request that no route answers.
const NO_ROUTE: &str = "none";
/// How many labels of routes there are.
const LABELS_COUNT: usize = DESCRIBED.len() + BESIDE.len() + page::PATHS.len() + 1;

/// The labels of routes in metrics.
pub(crate) const LABELS: [&str; LABELS_COUNT] = {
    let mut all = [NO_ROUTE; LABELS_COUNT];
    let lists: [&[&'static str]; 3] = [&DESCRIBED, &BESIDE, &page::PATHS];
    let (mut list, mut at) = (0, 0);
    // Loops over iterators are not const.
    while list < lists.len() {
        let mut one = 0;
        while one < lists[list].len() {
            all[at] = lists[list][one];
            (one, at) = (one + 1, at + 1);
        }
        list += 1;
    }
    all
};

/// The label of a request's route in metrics: always a path of this file, never text from a client.
pub(crate) fn label(matched: Option<&str>) -> &'static str {
    matched.and_then(|matched| LABELS.into_iter().find(|path| *path == matched)).unwrap_or(NO_ROUTE)
}
