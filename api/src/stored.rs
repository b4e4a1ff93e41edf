//! [`stored`]: a store's answer, or the problem to send to the client.

use boxbox_store::StoreError;

use crate::metrics::ApiMetrics;
use crate::problem::Problem;

/// A store's answer, or the problem to send to the client; the store's error is counted and logged.
pub(crate) fn stored<T>(metrics: &ApiMetrics, answer: Result<T, StoreError>) -> Result<T, Problem> {
    answer.map_err(|e| {
        let kind = match e {
            StoreError::Unavailable(_) => "unavailable",
            StoreError::Unreadable(_) => "unreadable",
            StoreError::Refused(_) => "refused",
            StoreError::Fenced { .. } => "fenced",
        };
        metrics.store_errors.with(kind).increment(1);
        tracing::warn!(kind, error = %e, "a request could not be answered");
        Problem::of_store(&e)
    })
}
