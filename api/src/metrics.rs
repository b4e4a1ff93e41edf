//! [`ApiMetrics`]: the metrics of the API.

use boxbox_schemas::places::Full;

use crate::paths::LABELS;

/// Status classes of answers.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// Methods of requests; any other is `other`.
pub(crate) const METHODS: [&str; 5] = ["GET", "HEAD", "POST", "OPTIONS", "other"];
/// What was full for a connection: a share, or the open files of the process.
const FULL_OR_HANDLES: [&str; 8] = ["all", "reserved", "address", "net56", "net48", "driver", "tenant", "handles"];
/// Why a long answer was refused.
const HEAVY_REFUSED: [&str; 10] = ["all", "reserved", "address", "net56", "net48", "driver", "tenant", "busy", "unread", "stopping"];
/// Why a request was refused because of who sent it.
const REFUSED: [&str; 19] = [
    "none",
    "proxied",
    "host",
    "cross_site",
    "malformed",
    "unknown_key",
    "signature",
    "expired",
    "revoked",
    "unavailable",
    "ability",
    "event",
    "all",
    "reserved",
    "address",
    "net56",
    "net48",
    "driver",
    "tenant",
];

boxbox_schemas::metrics! {
    /// The metrics of the API.
    pub struct ApiMetrics("boxbox_api") {
        /// Requests, by route.
        requests: counter by "route" of LABELS,
        /// Answers, by status class.
        responses: counter by "class" of CLASSES,
        /// Seconds from the head of a request to the head of its answer, by route, method and status class.
        request_seconds: histogram by "route" of LABELS, "method" of METHODS, "class" of CLASSES,
        /// Requests that are being answered now.
        in_flight: gauge,
        /// Connections that are open now.
        connections: gauge,
        /// Connections that ended with an error or a time-out.
        connections_failed: counter,
        /// Connections that were idle and gave their place to a new one, by what was full.
        displaced: counter by "full" of FULL_OR_HANDLES,
        /// Connections that were closed at once, by what was full.
        turned_away: counter by "full" of Full::NAMES,
        /// Long answers that were refused, by reason.
        heavy_refused: counter by "reason" of HEAVY_REFUSED,
        /// Requests whose body was refused, by reason.
        bodies_refused: counter by "reason" of ["too_large", "too_slow", "cut_off", "no_room"],
        /// Requests that were refused because of who sent them, by reason.
        refused: counter by "reason" of REFUSED,
        /// Published results of leagues whose facts changed afterwards: a person should look.
        league_facts_changed: counter,
        /// Calls of a store that failed, by kind of error.
        store_errors: counter by "kind" of ["unavailable", "unreadable", "refused", "fenced"],
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::grant::GrantError;

    use super::*;

    #[test]
    fn every_value_of_a_label_is_declared() {
        for list in [&FULL_OR_HANDLES[..], &HEAVY_REFUSED, &REFUSED] {
            assert!(Full::NAMES.iter().all(|name| list.contains(name)));
        }
        assert!(GrantError::NAMES.iter().all(|name| REFUSED.contains(name)));
    }
}
