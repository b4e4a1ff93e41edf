//! [`ApiMetrics`].

boxbox_schemas::metrics! {
    /// What the API counts.
    pub struct ApiMetrics("boxbox_api") {
        /// Requests, by route.
        requests: counter by "route",
        /// Answers, by status class.
        responses: counter by "class",
        /// Seconds from a request's head to its answer's head.
        request_seconds: histogram,
        /// Requests being answered.
        in_flight: gauge,
        /// Open connections.
        connections: gauge,
        /// Connections that ended by an error or a time-out of theirs.
        connections_failed: counter,
        /// Requests refused for who asks, by reason.
        refused: counter by "reason",
        /// Calls of a store that failed, by kind.
        store_errors: counter by "kind",
    }
}
