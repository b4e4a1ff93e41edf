//! The part of the results pump that has sessions come into memory and leave it (see [`resident`](crate::resident)).

use boxbox_log::Entry;
use boxbox_schemas::SessionId;
use boxbox_store::Found;
use tokio::time::Instant;

use super::results::ResultsPump;
use crate::error::ProcessorError;

/// Most sessions that are searched at once.
const FIND_AT_ONCE: usize = 64;

impl ResultsPump {
    /// Have sessions that the records of `batch` need come into memory: that of the first record at least.
    /// `false` if a stop was requested before the store answered.
    pub(super) async fn find(&mut self, batch: &[Entry]) -> Result<bool, ProcessorError> {
        self.residents.memory.set(self.fold.state().bytes());
        if self.residents.memory.excess() > 0 && !self.make_room().await? {
            return Ok(false);
        }
        let wanted: Vec<SessionId> = self.fold.state().missing(batch.iter().map(|entry| &entry.record), FIND_AT_ONCE);
        let (results, lease, wanted) = (&self.results, &self.lease, &wanted);
        let max_bytes = self.residents.memory.session_max_bytes();
        let found = self.ctx.with_retries("load a session", || async move { Ok(results.find(lease, wanted, max_bytes).await?) }).await?;
        let Some(found) = found else { return Ok(false) };
        let metrics = &self.ctx.shared.metrics;
        for found in found {
            metrics.sessions_loaded.increment(u64::from(!matches!(found, Found::Nothing(_))));
            let parked = self.fold.state().put(found)?;
            if let Some(session) = parked {
                tracing::error!(partition = self.ctx.partition, %session, max_bytes, "a session is parked: it would take more memory than all sessions may, so its records are counted and skipped. Allow more with --session-max-bytes, start again, and compute it again with `boxbox recompute`");
                self.residents.named += 1;
                self.ctx.status(|s| s.parked.push(session));
            }
        }
        self.residents.memory.set(self.fold.state().bytes());
        Ok(true)
    }

    /// Commit, so that sessions can leave, and have the least recently used leave. `false` as [`ResultsPump::commit`].
    async fn make_room(&mut self) -> Result<bool, ProcessorError> {
        if !self.commit(None).await? {
            return Ok(false);
        }
        let excess = self.residents.memory.excess();
        let left = if excess > 0 { self.fold.state().make_room(excess) } else { 0 };
        self.left(left);
        Ok(true)
    }

    /// Have sessions leave that are not needed any more, or for which there is no room. `false` as [`ResultsPump::commit`].
    pub(super) async fn leave(&mut self) -> Result<bool, ProcessorError> {
        self.residents.memory.set(self.fold.state().bytes());
        if self.residents.memory.excess() > 0 && !self.make_room().await? {
            return Ok(false);
        }
        // What was processed and is not committed cannot leave, and does so the next time.
        if self.residents.leave_at <= Instant::now() {
            let left = self.fold.state().leave_closed(self.residents.mark);
            self.residents.mark = self.fold.state().processed();
            self.residents.leave_at = Instant::now() + self.ctx.shared.config.leave_after;
            self.left(left);
        }
        self.measure();
        Ok(true)
    }

    fn left(&mut self, sessions: usize) {
        self.ctx.shared.metrics.sessions_left.increment(sessions as u64);
        self.residents.memory.set(self.fold.state().bytes());
    }

    fn measure(&mut self) {
        let state = self.fold.state();
        let ((here, parked), bytes) = (state.here(), state.bytes());
        let before = std::mem::replace(&mut self.residents.counted, (here, parked, bytes));
        if before == self.residents.counted && parked == self.residents.named {
            return;
        }
        let metrics = &self.ctx.shared.metrics;
        metrics.sessions_in_memory.increment(here as f64 - before.0 as f64);
        metrics.parked_sessions.increment(parked as f64 - before.1 as f64);
        metrics.session_bytes.increment(bytes as f64 - before.2 as f64);
        self.residents.named = parked;
        self.ctx.status(|s| {
            s.sessions = here;
            s.parked.retain(|id| state.is_parked(id));
        });
    }
}

impl Drop for ResultsPump {
    fn drop(&mut self) {
        let (here, parked, bytes) = self.residents.counted;
        let metrics = &self.ctx.shared.metrics;
        metrics.sessions_in_memory.decrement(here as f64);
        metrics.parked_sessions.decrement(parked as f64);
        metrics.session_bytes.decrement(bytes as f64);
    }
}
