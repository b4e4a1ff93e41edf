//! [`StoredLives`]: the results store tells the edge which sessions are closed on purpose.
//!
//! An edge beside a processor or an API asks the store of its process. An edge alone has none, and asks PostgreSQL if it is told where.
//! It does not need PostgreSQL for anything else, so it neither waits for it at the start nor ends with it.

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use anyhow::Context;
use boxbox_ingest::{Answer, Life, Lives};
use boxbox_schemas::{SessionId, TenantId};
use boxbox_store::{Sessions, StoreError};
use tokio::runtime::Handle;

use crate::node::stores::Login;

/// How long the start of an edge waits for PostgreSQL.
const START_WITHIN: Duration = Duration::from_secs(2);
/// First pause until PostgreSQL is tried again; it doubles up to the last.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Last pause.
const RETRY_LAST: Duration = Duration::from_secs(15);

/// Set once the store is open.
type Opening = OnceLock<Arc<dyn Sessions>>;

/// What a results store says of sessions. See the [module](self).
pub struct StoredLives {
    sessions: Arc<Opening>,
    // The store's tasks run where it was opened; the edge has other threads.
    runtime: Handle,
}

impl StoredLives {
    /// Of an open store. To be called within the runtime of the store.
    pub fn new(sessions: Arc<dyn Sessions>) -> Self {
        Self { sessions: Arc::new(sessions.into()), runtime: Handle::current() }
    }

    /// Of PostgreSQL, which is tried until it answers.
    ///
    /// # Errors
    /// What a person must change: a URL that is none, a password file that cannot be read, a login that is refused at the start.
    pub async fn of_server(login: &Login) -> anyhow::Result<Self> {
        // Read now, so that a wrong path is an error at the start.
        login.password()?;
        let lives = Self { sessions: Arc::default(), runtime: Handle::current() };
        let first = tokio::time::timeout(START_WITHIN, login.open_results()).await;
        let why = match first {
            Ok(Ok(results)) => {
                drop(lives.sessions.set(Arc::new(results)));
                return Ok(lives);
            }
            Ok(Err(refused)) if matches!(refused.downcast_ref(), Some(StoreError::Refused(_))) => {
                return Err(refused).context("cannot ask which sessions are closed");
            }
            Ok(Err(other)) => format!("{other:#}"),
            Err(_) => format!("no answer within {START_WITHIN:?}"),
        };
        tracing::warn!(error = why, "clients are not told yet that their session is closed on purpose; trying until the results store answers");
        tokio::spawn(open_later(login.clone(), Arc::downgrade(&lives.sessions), why));
        Ok(lives)
    }
}

/// Try to open the store until it is open, or until it is not needed any more.
async fn open_later(login: Login, opening: Weak<Opening>, mut why: String) {
    let mut pause = RETRY_FIRST;
    while opening.strong_count() > 0 {
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LAST);
        let opened = login.open_results().await;
        let Some(opening) = opening.upgrade() else { return };
        match opened {
            Ok(results) => {
                tracing::info!("the results store answers: clients are told when their session is closed on purpose");
                drop(opening.set(Arc::new(results)));
                return;
            }
            Err(error) => {
                let now = format!("{error:#}");
                // Said again when the reason is another one.
                if now != why {
                    tracing::warn!(error = now, "clients are not told yet that their session is closed on purpose");
                    why = now;
                }
            }
        }
    }
}

impl Lives for StoredLives {
    fn life(&self, tenant: TenantId, session: SessionId) -> Answer {
        let Some(sessions) = self.sessions.get().cloned() else { return Box::pin(async { None }) };
        let asked = self.runtime.spawn(async move { sessions.session(&tenant, &session).await });
        Box::pin(async move {
            match asked.await {
                Ok(Ok(Some(info))) if info.retired => Some(Life::Retired),
                Ok(Ok(Some(info))) if info.closed && !info.provisional => Some(Life::Closed),
                Ok(Ok(_)) => Some(Life::Counts),
                // What cannot be told now is told by the results.
                Ok(Err(_)) | Err(_) => None,
            }
        })
    }
}
