//! [`Lives`]: how an edge learns that a session is closed on purpose (E9), so that it can notify the clients that send for it.
//!
//! The edge accepts the frames of such a session all the same, because a closed session keeps what comes late. But a person who uploads a
//! recording must learn that it changes no result. An edge that can ask a results store is given a [`Lives`]; an edge without one sends no
//! such notice. A store that does not answer holds nothing up: the edge admits the frames, and counts that it did not know.

use std::time::Duration;

use boxbox_schemas::{SessionId, TenantId};
use futures::future::BoxFuture;

/// Longest wait for an answer. A store that does not answer must not keep frames from the log: a client waits 3 s for acks (W8).
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// How often a stream's session is asked about while its records come.
pub(crate) const ASK_EVERY: Duration = Duration::from_secs(30);

/// What becomes of what is sent for a session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Life {
    /// It counts, at once or when the session opens again by itself.
    Counts,
    /// It is kept, and changes no result until somebody opens the session again.
    Closed,
    /// It is dropped.
    Retired,
}

/// An answer under way; `None`: it is not known now.
pub type Answer = BoxFuture<'static, Option<Life>>;

/// Who knows the life of sessions.
pub trait Lives: Send + Sync + 'static {
    /// The life of a session now. A session that nothing is stored of counts.
    fn life(&self, tenant: TenantId, session: SessionId) -> Answer;
}
