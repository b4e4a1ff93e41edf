//! [`StoredLives`]: the results store tells the edge which sessions are closed on purpose.

use std::sync::Arc;

use boxbox_ingest::{Answer, Life, Lives};
use boxbox_schemas::{SessionId, TenantId};
use boxbox_store::Sessions;
use tokio::runtime::Handle;

/// What a results store says of sessions. See the [module](self).
pub struct StoredLives {
    sessions: Arc<dyn Sessions>,
    // The store's tasks run where it was opened; the edge has other threads.
    runtime: Handle,
}

impl StoredLives {
    /// To be called within the runtime of the store.
    pub fn new(sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions, runtime: Handle::current() }
    }
}

impl Lives for StoredLives {
    fn life(&self, tenant: TenantId, session: SessionId) -> Answer {
        let sessions = self.sessions.clone();
        let asked = self.runtime.spawn(async move { sessions.session(&tenant, &session).await });
        Box::pin(async move {
            match asked.await {
                Ok(Ok(Some(info))) if info.retired => Life::Retired,
                Ok(Ok(Some(info))) if info.closed && !info.provisional => Life::Closed,
                // What cannot be told now is told by the results.
                _ => Life::Counts,
            }
        })
    }
}
