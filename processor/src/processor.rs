//! [`Processor`]: what it is given; [`crew`](crate::crew) does the work.

use std::sync::Arc;

use boxbox_log::Log;
use boxbox_store::{Archive, Step, Steps};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::closer::Clerk;
use crate::config::Config;
use crate::crew::Crew;
use crate::error::ProcessorError;
use crate::metrics::ProcessorMetrics;
use crate::pump::Shared;
use crate::status::Status;

/// Steps that a receiver of the feed may lag behind before it loses some: at 10 steps a second and partition, several
/// seconds of a whole log. What it loses is in the store.
const FEED_STEPS: usize = 256;

/// Log in, results out. See the [crate's documentation](crate).
pub struct Processor {
    log: Arc<dyn Log>,
    results: Arc<dyn Steps>,
    archive: Arc<dyn Archive>,
    shared: Arc<Shared>,
}

impl Processor {
    /// A processor of every partition of `log`. Nothing happens before [`Processor::run`].
    pub fn new(config: Config, log: Arc<dyn Log>, results: Arc<dyn Steps>, archive: Arc<dyn Archive>) -> Self {
        let status = Arc::new(Status::new(log.partitions()));
        let metrics = ProcessorMetrics::new();
        let shared = Shared { config, clerk: Clerk::new(metrics.clone()), metrics, status, feed: broadcast::Sender::new(FEED_STEPS) };
        Self { log, results, archive, shared: Arc::new(shared) }
    }

    /// Committed steps as they are committed. A receiver that lags loses steps, but nothing that is not in the store;
    /// after a crash, a step may have been committed that no feed ever told.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Step>> {
        self.shared.feed.subscribe()
    }

    /// A live view of the work; it outlives [`Processor::run`].
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.clone()
    }

    /// Work until `stop` is cancelled (then whatever is pending is committed, and this returns `Ok`), or until no
    /// partition's results can be worked on any more: then the first reason is the error.
    ///
    /// A partition that fails for good leaves the others working; [`Processor::status`] says so. What does not answer
    /// is tried again for ever. An archive that fails ends neither its partition nor the processor. Where processors share a
    /// store, this one works on its share (E5).
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProcessorError> {
        let Self { log, results, archive, shared } = self;
        Crew::new(shared, log, results, archive).work(stop).await
    }
}
