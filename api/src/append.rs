//! [`Appender`]: appends a record of the API's own to the log, and waits until it is durable.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::{AppendError, Completion, Completions, Log, Outcome, Ticket, Writer};
use boxbox_schemas::SessionId;
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::{OnceCell, oneshot};

use crate::problem::Problem;

/// Time limit of the log; below the time limit of a request, so that the client gets an answer.
const APPEND_TIMEOUT: Duration = Duration::from_secs(5);

/// The position of an appended record.
pub(crate) struct Appended {
    pub(crate) partition: u32,
    /// `None`: durable, but the log does not know at which offset.
    pub(crate) offset: Option<u64>,
}

/// A log, and a writer that is opened when it is first needed.
pub(crate) struct Appender {
    log: Arc<dyn Log>,
    writer: OnceCell<Box<dyn Writer>>,
    waiters: Arc<Waiters>,
}

/// The requests that wait for an outcome.
#[derive(Default)]
struct Waiters {
    state: Mutex<WaitersState>,
}

#[derive(Default)]
struct WaitersState {
    last_mark: u64,
    by_mark: BTreeMap<u64, oneshot::Sender<Outcome>>,
}

impl Completions for Waiters {
    fn completed(&self, batch: &[Completion]) {
        let mut state = self.state.lock();
        for completion in batch {
            if let Some(sender) = state.by_mark.remove(&completion.ticket.mark) {
                // The request may have ended meanwhile.
                let _ = sender.send(completion.outcome);
            }
        }
    }
}

impl Appender {
    pub(crate) fn new(log: Arc<dyn Log>) -> Self {
        Self { log, writer: OnceCell::new(), waiters: Arc::default() }
    }

    /// Appends `record` to the partition of `session`; returns when it is durable.
    pub(crate) async fn append(&self, session: SessionId, record: Bytes) -> Result<Appended, Problem> {
        let partition = session.partition(self.log.partitions());
        let opened = self.writer.get_or_try_init(async || self.log.writer(self.waiters.clone())).await;
        let writer = opened.map_err(|e| unavailable(&e))?;
        let (sender, receiver) = oneshot::channel();
        let mark = {
            let mut state = self.waiters.state.lock();
            state.last_mark += 1;
            let mark = state.last_mark;
            state.by_mark.insert(mark, sender);
            mark
        };
        if let Err(e) = writer.append(partition, session, record, Ticket { owner: 0, mark }) {
            self.waiters.state.lock().by_mark.remove(&mark);
            return Err(match e {
                AppendError::Invalid(_) => Problem::internal(),
                AppendError::Full | AppendError::Closed(_) => unavailable(&e),
            });
        }
        match tokio::time::timeout(APPEND_TIMEOUT, receiver).await {
            Ok(Ok(Outcome::Durable(offset))) => Ok(Appended { partition, offset: Some(offset) }),
            Ok(Ok(Outcome::DurableUnplaced)) => Ok(Appended { partition, offset: None }),
            Ok(Ok(Outcome::Failed) | Err(_)) => Err(unavailable(&"the record is not known to be durable")),
            Err(_) => Err(unavailable(&"the log did not answer in time")),
        }
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> Problem {
    tracing::warn!(%error, "a record could not be appended to the log");
    Problem::unavailable("log_unavailable", "The log does not take the record. Try again: doing it twice does no harm.")
}
