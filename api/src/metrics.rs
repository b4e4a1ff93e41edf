//! [`ApiMetrics`]: the metrics of the API.

boxbox_schemas::metrics! {
    /// The metrics of the API.
    pub struct ApiMetrics("boxbox_api") {
        /// Requests, by route.
        requests: counter by "route",
        /// Answers, by status class.
        responses: counter by "class",
        /// Seconds from the head of a request to the head of its answer.
        request_seconds: histogram,
        /// Requests that are being answered now.
        in_flight: gauge,
        /// Connections that are open now.
        connections: gauge,
        /// Connections that ended with an error or a time-out.
        connections_failed: counter,
        /// Connections that were idle and gave their place to a new one, by what was full.
        displaced: counter by "full",
        /// Connections that were closed at once, by what was full.
        turned_away: counter by "full",
        /// Long answers that were refused, by reason.
        heavy_refused: counter by "reason",
        /// Requests whose body was refused, by reason.
        bodies_refused: counter by "reason",
        /// Requests that were refused because of who sent them, by reason.
        refused: counter by "reason",
        /// Published results of leagues whose facts changed afterwards: somebody should look.
        league_facts_changed: counter,
        /// Calls of a store that failed, by kind of error.
        store_errors: counter by "kind",
    }
}
