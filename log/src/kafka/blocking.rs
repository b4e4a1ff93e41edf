//! Blocking requests, on threads other than the async workers.

use crate::LogError;

/// librdkafka's requests block; they run on tokio's blocking pool.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) if e.is_cancelled() => Err(LogError::Unavailable("the runtime is shutting down".into())),
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}
